/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Conjugate gradients (Hestenes and Stiefel, 1952) on a sparse symmetric matrix, in shared memory.
 *
 * The vectors lie in a region in blocks of whole pages, and the rows of the matrix are dealt
 * accordingly, so a PE writes at home only. Of these, one vector is read by others: the direction
 * p, by the PEs whose rows have an entry in its column; on a grid, along the border of two blocks.
 * So that is all that travels, but for the two dot products of an iteration, which MPI_Allreduce
 * sums: they are one number a PE, and private.
 *
 * cg_mpi.c does the same by messages. Note what is missing here: the list of who needs which of my
 * numbers, the columns renumbered, sends and receives.
 */
#include "app_run.h"
#include "cg_common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One PE's view. */
struct job {
    struct app_run run;
    const struct cg_options *options;
    struct cg_matrix matrix;
    struct app_items mine;
    struct cg_rows rows; /* shared, but nobody else reads them */
    double *p;           /* all of it, shared; the others begin with this PE's part */
    double *x;
    double *r;
    double *q;
};

static const struct argp argp = {
    NULL,
    app_parse_nothing,
    NULL,
    "Conjugate gradients on a sparse symmetric matrix, from a Matrix Market file or of Poisson's "
    "equation, in shared memory.\v"
    "HEARTH_PROTOCOL, HEARTH_CONSISTENCY and HEARTH_PAGE_BYTES override the options.",
    (const struct argp_child[]){{&cg_argp, 0, NULL, 0}, {&app_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

/* This PE's rows, moved into shared memory at home. */
static void share_rows(struct job *job)
{
    struct cg_rows made;
    size_t n_rows = job->mine.end - job->mine.first;

    if (!cg_matrix_rows(&job->matrix, job->mine, &made))
        app_private(NULL);
    job->rows = made;
    /* One more byte: a PE may have no rows. */
    job->rows.start = app_solo(&job->run, (n_rows + 1) * sizeof(*made.start));
    job->rows.column = app_solo(&job->run, made.n_entries * sizeof(*made.column) + 1);
    job->rows.value = app_solo(&job->run, made.n_entries * sizeof(*made.value) + 1);
    memcpy(job->rows.start, made.start, (n_rows + 1) * sizeof(*made.start));
    memcpy(job->rows.column, made.column, made.n_entries * sizeof(*made.column));
    memcpy(job->rows.value, made.value, made.n_entries * sizeof(*made.value));
    cg_rows_free(&made);
}

static void job_init(struct job *job)
{
    size_t bytes = job->matrix.n * sizeof(double);
    double *vectors[4];

    job->mine = app_mine(&job->run, job->matrix.n, sizeof(double));
    for (int i = 0; i < 4; i++)
        vectors[i] = app_malloc(&job->run, bytes);
    job->p = vectors[0];
    job->x = vectors[1] + job->mine.first;
    job->r = vectors[2] + job->mine.first;
    job->q = vectors[3] + job->mine.first;
    share_rows(job);
    /* x is 0, so r is the right-hand side. */
    cg_fill(job->mine, job->r);
    cg_fill(job->mine, job->p + job->mine.first);
    memset(job->q, 0, (job->mine.end - job->mine.first) * sizeof(double));
    memset(job->x, 0, (job->mine.end - job->mine.first) * sizeof(double));
}

static struct cg_outcome solve(struct job *job)
{
    struct app_run *run = &job->run;
    struct cg_outcome outcome = {0};
    size_t n = job->mine.end - job->mine.first;
    double *p = job->p + job->mine.first;
    double own = 0;

    for (size_t i = 0; i < n; i++)
        own += job->r[i] * job->r[i];
    double rr = app_sum(run, own), bb = rr;
    for (;;) {
        outcome.residual = sqrt(rr / bb);
        if (outcome.residual <= job->options->tolerance ||
            outcome.iterations == job->options->iterations_max)
            return outcome;
        /* The sum is also what keeps p: nobody changes his before all have multiplied. */
        double pq = app_sum(run, cg_multiply(&job->rows, job->p, p, job->q));
        outcome.broken = !(pq > 0);
        if (outcome.broken)
            return outcome;
        double before = rr;
        rr = app_sum(run, cg_advance(n, rr / pq, p, job->q, job->x, job->r));
        cg_turn(n, rr / before, job->r, p);
        outcome.iterations++;
        app_barrier(run); /* all see all of p */
    }
}

/* On PE 0: copy the solution out of shared memory, and judge it. */
static bool finish(const struct job *job, const struct cg_outcome *outcome)
{
    size_t bytes = job->matrix.n * sizeof(double);
    struct app_report report = app_report_make(&job->run);
    double *x = app_private(malloc(bytes));

    memcpy(x, job->x, bytes); /* PE 0's part is the first */
    bool ok = cg_finish(job->options, &job->matrix, x, outcome, &report);
    free(x);
    return ok;
}

/* What the region must hold. A solo allocation may be as large as the region, so: no less than the
   largest PE's rows. A row of Poisson's has up to 7 entries. */
static size_t region_bytes(const struct cg_matrix *matrix)
{
    size_t entries = matrix->source.path != NULL ? matrix->all.n_entries : 7 * matrix->n;

    return 4 * matrix->n * sizeof(double) + (matrix->n + 1) * sizeof(size_t) +
           entries * (sizeof(double) + sizeof(uint32_t));
}

static bool prepare(struct job *job, char error[APP_ERROR_BYTES])
{
    if (!cg_matrix_open(&job->options->source, error, &job->matrix))
        return false;
    return job->options->write == NULL || hearth_my_pe() != 0 ||
           cg_matrix_write(&job->matrix, job->options->write, error);
}

/* Returns the exit code, the same on all PEs. */
static int cg(const void *given)
{
    const struct cg_options *options = given;
    struct job job = {.options = options};
    struct app_run *run = &job.run;
    char error[APP_ERROR_BYTES];

    if (!app_agree("cg", prepare(&job, error), error)) {
        cg_matrix_close(&job.matrix);
        return EXIT_FAILURE;
    }
    app_run_init(run, "cg", &options->app, region_bytes(&job.matrix), 7);
    job_init(&job);
    app_begin(run);
    struct cg_outcome outcome = solve(&job);
    app_end(run);
    int status = app_outcome(run, run->me != 0 || finish(&job, &outcome));
    app_run_fini(run);
    cg_matrix_close(&job.matrix);
    return status;
}

int main(int argc, char **argv)
{
    struct cg_options options = CG_OPTIONS_DEFAULT;

    return app_start(argc, argv, &argp, &options, &options.app, cg);
}
