/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file app.h
 * What the programs beside heat have in common, whether they share memory or send messages: the
 * options that all have, the report, a clock, a hash, equal shares.
 */
#ifndef APP_H
#define APP_H

#include <hearth.h>

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Room for the text of an error. */
#define APP_ERROR_BYTES 512

/** Room for the words in a report that say what was computed, and what came out. */
#define APP_WORDS_BYTES 96

/** The options that all programs have; those on sharing mean nothing to the ones in plain MPI. */
struct app_options {
    struct hearth_region_attr attr;
    bool verify;
    bool csv;
    bool help; /**< help has been printed; there is nothing more to do */
};

/** What a run did. Counters that a program does not have stay 0. */
struct app_report {
    const char *program;
    const char *protocol;
    const char *consistency;
    int pes;
    char problem[APP_WORDS_BYTES]; /**< no commas in it, nor in `result` */
    char result[APP_WORDS_BYTES];
    double seconds;
    double wait_seconds;       /**< in barriers, locks, sums and the like: the mean of the PEs */
    struct hearth_stats spent; /**< sums over the PEs */
    bool right;                /**< if it was checked */
};

/** The items [first, end) of a PE. */
struct app_items {
    size_t first;
    size_t end;
};

/** Parsers of struct app_options, their `input`, as argp children: of all options, and of those
 *  that make sense without shared memory. */
extern const struct argp app_argp;
extern const struct argp app_plain_argp;

/**
 * Parse main's arguments with `argp` and print what is to be printed, but on `speaks` PEs only.
 * All PEs return the same.
 *
 * @return 0, or the exit code for a wrong command line.
 */
int app_parse(const struct argp *argp, int argc, char **argv, bool speaks, void *input);

/** At ARGP_KEY_INIT of the outermost parser: give all of its children its input. Returns 0. */
error_t app_share_input(struct argp_state *state);

/** An outermost parser that does no more than that. */
error_t app_parse_nothing(int key, char *arg, struct argp_state *state);

/** The number that option --`name` is given, from min to max, or an argp error. */
error_t app_parse_number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                         uint64_t max, uint64_t *value_out);

/** The page size of the region that the options ask for, as far as we can know it. */
size_t app_page_bytes(const struct app_options *options);

/**
 * The i-th of n shares of `count` items, cut where HEARTH_HOME_BLOCK cuts an allocation of that
 * many items of item_bytes: so that a PE's items are at home with it.
 */
struct app_items app_share(size_t count, size_t item_bytes, size_t page_bytes, int i, int n);

/**
 * Write to `error`, of APP_ERROR_BYTES, what is wrong with a line of a file, which it names.
 *
 * @return false, for the reader to return.
 */
bool app_read_error(char *error, const char *path, size_t line_number, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Seconds on a clock that only goes forward. */
double app_now(void);

/** A number from a number, as if at random; the same on any machine. */
uint64_t app_random(uint64_t i);

/** XXH3. */
uint64_t app_hash(const void *data, size_t bytes);

/** Print the report as --csv has it or for people. By one PE. @return false if it cannot. */
bool app_print(const struct app_options *options, const struct app_report *report);

#endif
