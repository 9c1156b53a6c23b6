/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file heat_common.h
 * What heat (shared memory) and heat_mpi (messages) have in common: the physics, the options, the
 * check and the report. What they do not share is how a PE gets at its neighbours' rows.
 */
#ifndef HEAT_COMMON_H
#define HEAT_COMMON_H

#include "heat_picture.h"

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The command line, as far as both programs understand it. */
struct heat_options {
    const char *input;
    const char *output; /**< NULL: no picture is written */
    size_t width;       /**< 0: that of the picture */
    size_t height;
    long steps;
    bool verify;
    bool csv;
    bool grey;
    bool help; /**< help has been printed; there is nothing more to do */
};

/** What the run did. Counters that a program does not have stay 0. */
struct heat_report {
    const char *program;
    const char *protocol;
    const char *consistency;
    int pes;
    double seconds;
    double first_step_seconds;
    uint64_t read_misses;
    uint64_t write_faults;
    uint64_t bytes_out;
    uint64_t bytes_in;
    uint64_t messages;
    uint64_t pages_fetched;
    uint64_t diffs;
    uint64_t stale_notices;
    uint64_t invalidations;
    uint64_t updates;
};

/** The rows [first, end) of a PE. */
struct heat_rows {
    size_t first;
    size_t end;
};

/** The parser of struct heat_options, its `input`; to be used alone or as an argp child. */
extern const struct argp heat_argp;

/**
 * Parse main's arguments with `argp` and print what is to be printed, but on `speaks` PEs only.
 * All PEs return the same.
 *
 * @return 0, or the exit code for a wrong command line.
 */
int heat_parse(const struct argp *argp, int argc, char **argv, bool speaks, void *input);

/**
 * Read the picture and set the field's size from it, unless --size has.
 *
 * @param error  why not, if the call fails.
 */
bool heat_load(struct heat_options *options, char error[HEAT_ERROR_BYTES],
               struct heat_picture *picture_out);

/** The i-th of n equal shares of the rows. */
struct heat_rows heat_share(size_t height, int i, int n);

/** Those of a PE's rows that change: all but the picture's first and last. */
struct heat_rows heat_inner_rows(struct heat_rows rows, size_t height);

/**
 * One Jacobi step of one row: each point but the two at the ends becomes the mean of its four
 * neighbours. `out` overlaps none of the others.
 */
void heat_row(double *restrict out, const double *restrict above, const double *restrict middle,
              const double *restrict below, size_t width);

/** Seconds on a clock that only goes forward. */
double heat_now(void);

/**
 * Check the field if asked to, write its picture if asked to, and print the report. By one PE.
 *
 * @param field  the result, in private memory.
 * @return false if the field is wrong or the picture could not be written; stderr says why.
 */
bool heat_finish(const struct heat_options *options, const struct heat_picture *picture,
                 const double *field, const struct heat_report *report);

#endif
