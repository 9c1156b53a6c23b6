/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file cg_common.h
 * What cg (shared memory) and cg_mpi (messages) have in common: the options, the arithmetic on a
 * PE's own rows, and the check. What they do not share is how a PE gets at the others' numbers.
 */
#ifndef CG_COMMON_H
#define CG_COMMON_H

#include "app.h"
#include "cg_matrix.h"

struct cg_options {
    struct app_options app; /* first: app_argp is given this */
    struct cg_source source;
    const char *write; /* NULL, or where to write the matrix */
    uint64_t iterations_max;
    double tolerance; /* of the residual, relative to the right-hand side */
};

#define CG_OPTIONS_DEFAULT                                                                         \
    {                                                                                              \
        .app.attr = HEARTH_REGION_ATTR_DEFAULT, .iterations_max = 1000, .tolerance = 1e-8          \
    }

/** The parser of all in struct cg_options but what is in .app. */
extern const struct argp cg_argp;

/** How it ended. The same on all PEs. */
struct cg_outcome {
    uint64_t iterations;
    double residual; /**< relative, as the iteration has it */
    bool broken;     /**< the matrix is not positive definite */
};

/** The right-hand side, whoever asks. */
void cg_fill(struct app_items rows, double *b_out);

/**
 * q = A p for these rows. Columns index p.
 *
 * @param p_own  those of p that belong to the rows.
 * @return the rows' part of the product p q.
 */
double cg_multiply(const struct cg_rows *rows, const double *p, const double *p_own, double *q);

/** x += alpha p, r -= alpha q. @return this part of the product r r. */
double cg_advance(size_t n, double alpha, const double *p, const double *q, double *x, double *r);

/** p = r + beta p. */
void cg_turn(size_t n, double beta, const double *r, double *p);

/**
 * Compare with what one PE makes of the same, and fill in the report's problem, result and verdict.
 *
 * Sums over PEs round differently from one PE's, so this is not bit by bit: after as many
 * iterations each x must be within 1e-6 of the largest x; and the residual, computed anew from x,
 * within 1e-6 (or the tolerance, if larger) of what the iteration says.
 *
 * @return false if wrong, or if there is no memory to tell; stderr says so.
 */
bool cg_finish(const struct cg_options *options, const struct cg_matrix *matrix, const double *x,
               const struct cg_outcome *outcome, struct app_report *report);

#endif
