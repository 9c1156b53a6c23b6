/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Conjugate gradients by messages: what cg.c does with shared memory, done in plain MPI, to be
 * compared with it. Before the first iteration the PEs tell each other which numbers of the
 * direction p they need; columns are renumbered so that p is this PE's part and behind it the
 * others' (the halo). In each iteration a PE packs and sends what each neighbour asked for,
 * multiplies the rows that need no halo while that travels, then the others. Faults of MPI end the
 * job: that is MPI's default.
 */
#include "cg_common.h"

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who exchanges what. Tables by PE; positions are those of the packed arrays. */
struct halo {
    int *n_wanted; /* by this PE from each */
    int *wanted_at;
    int *n_asked; /* by each of this PE */
    int *asked_at;
    uint32_t *wanted; /* rows of the whole matrix, ascending */
    uint32_t *asked;  /* rows of this PE, from 0 */
    double *packed;
    int n_requests;
    MPI_Request *requests; /* persistent */
    MPI_Status *statuses;  /* MPICH's MPI_STATUSES_IGNORE makes gcc warn */
};

struct job {
    const struct cg_options *options;
    int me;
    int n;
    struct cg_matrix matrix;
    struct app_items mine;
    struct app_items inner; /* rows, from 0, that need no halo, one after the other */
    struct cg_rows rows;    /* columns renumbered */
    struct halo halo;
    double *p; /* with halo */
    double *x;
    double *r;
    double *q;
    double wait_seconds;
    uint64_t bytes_sent;
    uint64_t messages;
};

static const struct argp argp = {
    NULL,
    app_parse_nothing,
    NULL,
    "Conjugate gradients on a sparse symmetric matrix, by MPI messages.\vThe counterpart of cg.",
    (const struct argp_child[]){{&cg_argp, 0, NULL, 0}, {&app_plain_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

static void *need(void *ptr)
{
    if (ptr == NULL) {
        fprintf(stderr, "cg_mpi: no memory: use more PEs or a smaller matrix\n");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    return ptr;
}

static struct app_items rows_of(const struct job *job, int pe)
{
    return app_share(job->matrix.n, sizeof(double), sizeof(double), pe, job->n);
}

/* ------------------------------------------------------------------------------------------ */
/* The halo                                                                                   */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The columns of others, each once, ascending. Returns how many. */
static size_t list_wanted(struct job *job)
{
    struct halo *halo = &job->halo;
    size_t n = 0, n_once = 0;

    halo->wanted = need(malloc(job->rows.n_entries * sizeof(*halo->wanted) + 1));
    for (size_t k = 0; k < job->rows.n_entries; k++)
        if (job->rows.column[k] < job->mine.first || job->rows.column[k] >= job->mine.end)
            halo->wanted[n++] = job->rows.column[k];
    qsort(halo->wanted, n, sizeof(*halo->wanted), compare);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || halo->wanted[i] != halo->wanted[i - 1])
            halo->wanted[n_once++] = halo->wanted[i];
    return n_once;
}

/* Each PE learns what the others want of it. */
static void exchange_wishes(struct job *job, size_t n_wanted)
{
    struct halo *halo = &job->halo;
    size_t i = 0, n_asked = 0;

    halo->n_wanted = need(calloc(4 * (size_t)job->n, sizeof(int)));
    halo->wanted_at = halo->n_wanted + job->n;
    halo->n_asked = halo->wanted_at + job->n;
    halo->asked_at = halo->n_asked + job->n;
    for (int pe = 0; pe < job->n; pe++) {
        size_t end = rows_of(job, pe).end;

        halo->wanted_at[pe] = (int)i;
        while (i < n_wanted && halo->wanted[i] < end)
            i++;
        halo->n_wanted[pe] = (int)i - halo->wanted_at[pe];
    }
    MPI_Alltoall(halo->n_wanted, 1, MPI_INT, halo->n_asked, 1, MPI_INT, MPI_COMM_WORLD);
    for (int pe = 0; pe < job->n; pe++) {
        halo->asked_at[pe] = (int)n_asked;
        n_asked += (size_t)halo->n_asked[pe];
    }
    halo->asked = need(malloc(n_asked * sizeof(*halo->asked) + 1));
    halo->packed = need(malloc(n_asked * sizeof(*halo->packed) + 1));
    MPI_Alltoallv(halo->wanted, halo->n_wanted, halo->wanted_at, MPI_UINT32_T, halo->asked,
                  halo->n_asked, halo->asked_at, MPI_UINT32_T, MPI_COMM_WORLD);
    for (i = 0; i < n_asked; i++)
        halo->asked[i] -= (uint32_t)job->mine.first;
}

/* Own columns from 0, the halo's behind them; and the longest run of rows that need no halo. */
static void renumber(struct job *job, size_t n_wanted)
{
    size_t n_rows = job->mine.end - job->mine.first, first = 0;

    for (size_t i = 0; i < n_rows; i++) {
        bool inner = true;

        for (size_t k = job->rows.start[i]; k < job->rows.start[i + 1]; k++) {
            uint32_t *column = &job->rows.column[k];

            if (*column >= job->mine.first && *column < job->mine.end) {
                *column -= (uint32_t)job->mine.first;
                continue;
            }
            const uint32_t *place =
                bsearch(column, job->halo.wanted, n_wanted, sizeof(*place), compare);
            *column = (uint32_t)(n_rows + (size_t)(place - job->halo.wanted));
            inner = false;
        }
        first = inner ? first : i + 1;
        if (i + 1 - first > job->inner.end - job->inner.first)
            job->inner = (struct app_items){first, i + 1};
    }
}

static void make_requests(struct job *job)
{
    struct halo *halo = &job->halo;
    double *halo_p = job->p + (job->mine.end - job->mine.first);

    halo->requests = need(malloc(2 * (size_t)job->n * sizeof(MPI_Request)));
    halo->statuses = need(malloc(2 * (size_t)job->n * sizeof(MPI_Status)));
    for (int pe = 0; pe < job->n; pe++) {
        if (halo->n_wanted[pe] > 0)
            MPI_Recv_init(halo_p + halo->wanted_at[pe], halo->n_wanted[pe], MPI_DOUBLE, pe, 0,
                          MPI_COMM_WORLD, &halo->requests[halo->n_requests++]);
        if (halo->n_asked[pe] > 0)
            MPI_Send_init(halo->packed + halo->asked_at[pe], halo->n_asked[pe], MPI_DOUBLE, pe, 0,
                          MPI_COMM_WORLD, &halo->requests[halo->n_requests++]);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* The run                                                                                    */

static void job_init(struct job *job)
{
    job->mine = rows_of(job, job->me);
    if (!cg_matrix_rows(&job->matrix, job->mine, &job->rows))
        need(NULL);
    size_t n_rows = job->mine.end - job->mine.first, n_wanted = list_wanted(job);

    exchange_wishes(job, n_wanted);
    renumber(job, n_wanted);
    job->p = need(calloc(4 * n_rows + n_wanted + 1, sizeof(double)));
    job->x = job->p + n_rows + n_wanted;
    job->r = job->x + n_rows;
    job->q = job->r + n_rows;
    cg_fill(job->mine, job->p);
    cg_fill(job->mine, job->r);
    make_requests(job);
}

static void job_fini(struct job *job)
{
    for (int i = 0; i < job->halo.n_requests; i++)
        MPI_Request_free(&job->halo.requests[i]);
    free(job->halo.requests);
    free(job->halo.statuses);
    free(job->halo.n_wanted);
    free(job->halo.wanted);
    free(job->halo.asked);
    free(job->halo.packed);
    free(job->p);
    cg_rows_free(&job->rows);
    cg_matrix_close(&job->matrix);
}

static double sum(struct job *job, double value)
{
    double start = app_now(), total;

    MPI_Allreduce(&value, &total, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    job->wait_seconds += app_now() - start;
    return total;
}

static double multiply_some(const struct job *job, size_t first, size_t end)
{
    struct cg_rows some = job->rows;

    some.rows = (struct app_items){first, end};
    some.start += first;
    return cg_multiply(&some, job->p, job->p + first, job->q + first);
}

static double multiply(struct job *job)
{
    struct halo *halo = &job->halo;
    int last = job->n - 1, n_asked = halo->asked_at[last] + halo->n_asked[last];

    for (int i = 0; i < n_asked; i++)
        halo->packed[i] = job->p[halo->asked[i]];
    MPI_Startall(halo->n_requests, halo->requests);
    double product = multiply_some(job, job->inner.first, job->inner.end);
    double start = app_now();
    MPI_Waitall(halo->n_requests, halo->requests, halo->statuses);
    job->wait_seconds += app_now() - start;
    product += multiply_some(job, 0, job->inner.first);
    product += multiply_some(job, job->inner.end, job->mine.end - job->mine.first);
    job->bytes_sent += (uint64_t)n_asked * sizeof(double);
    job->messages += (uint64_t)halo->n_requests;
    return product;
}

static struct cg_outcome solve(struct job *job)
{
    struct cg_outcome outcome = {0};
    size_t n = job->mine.end - job->mine.first;
    double own = 0;

    for (size_t i = 0; i < n; i++)
        own += job->r[i] * job->r[i];
    double rr = sum(job, own), bb = rr;
    for (;;) {
        outcome.residual = sqrt(rr / bb);
        if (outcome.residual <= job->options->tolerance ||
            outcome.iterations == job->options->iterations_max)
            return outcome;
        double pq = sum(job, multiply(job));
        outcome.broken = !(pq > 0);
        if (outcome.broken)
            return outcome;
        double before = rr;
        rr = sum(job, cg_advance(n, rr / pq, job->p, job->q, job->x, job->r));
        cg_turn(n, rr / before, job->r, job->p);
        outcome.iterations++;
    }
}

/* All of x, on PE 0 only; NULL elsewhere. */
static double *gather(const struct job *job)
{
    int counts[job->n], firsts[job->n];
    double *x = job->me == 0 ? need(malloc(job->matrix.n * sizeof(*x))) : NULL;

    for (int pe = 0; pe < job->n; pe++) {
        struct app_items rows = rows_of(job, pe);

        counts[pe] = (int)(rows.end - rows.first);
        firsts[pe] = (int)rows.first;
    }
    MPI_Gatherv(job->x, counts[job->me], MPI_DOUBLE, x, counts, firsts, MPI_DOUBLE, 0,
                MPI_COMM_WORLD);
    return x;
}

static bool run(struct job *job)
{
    struct app_report report = {
        .program = "cg_mpi", .protocol = "messages", .consistency = "-", .pes = job->n};
    uint64_t sent[2], sums[2] = {0, 0};
    int ok = 1;

    job_init(job);
    MPI_Barrier(MPI_COMM_WORLD);
    double start = app_now();
    struct cg_outcome outcome = solve(job);
    MPI_Barrier(MPI_COMM_WORLD);
    report.seconds = app_now() - start;
    sent[0] = job->bytes_sent;
    sent[1] = job->messages;
    MPI_Reduce(sent, sums, 2, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(&job->wait_seconds, &report.wait_seconds, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    report.wait_seconds /= job->n;
    report.spent.bytes_out = sums[0];
    report.spent.messages = sums[1] / 2; /* a message is a request at both ends */
    double *x = gather(job);
    if (job->me == 0)
        ok = cg_finish(job->options, &job->matrix, x, &outcome, &report);
    MPI_Bcast(&ok, 1, MPI_INT, 0, MPI_COMM_WORLD);
    free(x);
    job_fini(job);
    return ok;
}

/* Whether all PEs can start; if not, the first that cannot says why. */
static bool agree(bool ready, const char *error, const struct job *job)
{
    int unready = ready ? job->n : job->me, first;

    MPI_Allreduce(&unready, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (first == job->me)
        fprintf(stderr, "cg_mpi: PE %d: %s\n", job->me, error);
    return first == job->n;
}

int main(int argc, char **argv)
{
    struct cg_options options = CG_OPTIONS_DEFAULT;
    struct job job = {.options = &options};
    char error[APP_ERROR_BYTES];

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.me);
    MPI_Comm_size(MPI_COMM_WORLD, &job.n);
    int status = app_parse(&argp, argc, argv, job.me == 0, &options);
    if (status == 0 && !options.app.help) {
        bool ready = cg_matrix_open(&options.source, error, &job.matrix);

        if (ready && job.matrix.n > INT32_MAX / 8) {
            snprintf(error, sizeof(error), "%zu rows are too many for MPI's counts: at most %d",
                     job.matrix.n, INT32_MAX / 8);
            ready = false;
        }
        if (ready && options.write != NULL && job.me == 0)
            ready = cg_matrix_write(&job.matrix, options.write, error);
        if (!agree(ready, error, &job) || !run(&job))
            status = EXIT_FAILURE;
    }
    MPI_Finalize();
    return status;
}
