/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Radix sort by messages: what sort.c does with shared memory, done in plain MPI, to be compared
 * with it. Counts are summed by MPI_Allreduce, keys packed by the PE that they go to and exchanged
 * by one MPI_Alltoallv, and each PE sorts what it has got. Faults of MPI end the job: that is
 * MPI's default.
 */
#include "sort_common.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

/* Tables of MPI_Alltoallv, in keys. */
struct tables {
    int *send_n;
    int *send_at;
    int *recv_n;
    int *recv_at;
};

struct job {
    const struct sort_options *options;
    int me;
    int n;
    size_t n_own;
    size_t n_sorted;
    uint64_t *keys; /* sorted in place, but there may be more or fewer then */
    uint64_t *packed;
    uint64_t *received;
    uint64_t *spare;
    struct tables tables;
    double seconds;
    double wait_seconds;
    uint64_t bytes_sent;
};

static const struct argp argp = {
    NULL,
    app_parse_nothing,
    NULL,
    "Sort 64-bit keys by radix, by MPI messages.\vThe counterpart of sort.",
    (const struct argp_child[]){{&sort_argp, 0, NULL, 0}, {&app_plain_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

static void *need(void *ptr)
{
    if (ptr == NULL) {
        fprintf(stderr, "sort_mpi: no memory: use more PEs or fewer --keys\n");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    return ptr;
}

static struct app_items own_items(const struct job *job, int pe)
{
    return app_share(job->options->n_keys, sizeof(uint64_t), sizeof(uint64_t), pe, job->n);
}

static void job_init(struct job *job)
{
    struct app_items own = own_items(job, job->me);
    size_t bytes = job->options->n_keys * sizeof(uint64_t);
    int *tables = need(calloc(4 * (size_t)job->n, sizeof(*tables)));

    if (job->options->n_keys > INT32_MAX) {
        fprintf(stderr, "sort_mpi: --keys must be at most %d, for MPI_Alltoallv\n", INT32_MAX);
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    job->n_own = own.end - own.first;
    job->packed = need(malloc(job->n_own * sizeof(uint64_t) + 1));
    /* All, if all keys are alike. What is not used is not touched and costs no memory. */
    job->keys = need(malloc(bytes));
    job->received = need(malloc(bytes));
    job->spare = need(malloc(2 * bytes));
    job->tables =
        (struct tables){tables, tables + job->n, tables + 2 * job->n, tables + 3 * job->n};
}

static void job_fini(struct job *job)
{
    free(job->keys);
    free(job->packed);
    free(job->received);
    free(job->spare);
    free(job->tables.send_n);
}

/* Who gets what, from all PEs' counts. */
static void make_plan(struct job *job, int dest[SORT_BUCKETS])
{
    struct tables *t = &job->tables;
    uint64_t counts[SORT_BUCKETS], totals[SORT_BUCKETS];

    sort_count(job->keys, job->n_own, counts);
    double start = app_now();
    MPI_Allreduce(counts, totals, SORT_BUCKETS, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    job->wait_seconds += app_now() - start;
    sort_deal(totals, job->options->n_keys, job->n, dest);
    for (int pe = 0; pe < job->n; pe++)
        t->send_n[pe] = 0;
    for (size_t b = 0; b < SORT_BUCKETS; b++)
        t->send_n[dest[b]] += (int)counts[b];
    start = app_now();
    MPI_Alltoall(t->send_n, 1, MPI_INT, t->recv_n, 1, MPI_INT, MPI_COMM_WORLD);
    job->wait_seconds += app_now() - start;
    for (int pe = 0, send = 0, recv = 0; pe < job->n; pe++) {
        t->send_at[pe] = send;
        t->recv_at[pe] = recv;
        send += t->send_n[pe];
        recv += t->recv_n[pe];
        job->n_sorted = (size_t)recv;
    }
}

static void sort_once(struct job *job)
{
    const struct tables *t = &job->tables;
    int dest[SORT_BUCKETS];
    uint64_t *to[job->n];

    make_plan(job, dest);
    for (int pe = 0; pe < job->n; pe++)
        to[pe] = job->packed + t->send_at[pe];
    sort_scatter(job->keys, job->n_own, dest, to);
    double start = app_now();
    MPI_Alltoallv(job->packed, t->send_n, t->send_at, MPI_UINT64_T, job->received, t->recv_n,
                  t->recv_at, MPI_UINT64_T, MPI_COMM_WORLD);
    job->wait_seconds += app_now() - start;
    job->bytes_sent += (job->n_own - (size_t)t->send_n[job->me]) * sizeof(uint64_t);
    sort_radix(job->received, job->n_sorted, job->spare, job->keys);
}

static void timed_sort(struct job *job)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double start = app_now();
    sort_once(job);
    double end_start = app_now();
    MPI_Barrier(MPI_COMM_WORLD);
    job->wait_seconds += app_now() - end_start;
    job->seconds += app_now() - start;
}

/* All sorted keys, on PE 0 only; NULL elsewhere. */
static uint64_t *gather(const struct job *job)
{
    int mine = (int)job->n_sorted, counts[job->n], firsts[job->n];
    uint64_t *keys = NULL;

    MPI_Gather(&mine, 1, MPI_INT, counts, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (job->me == 0) {
        keys = need(malloc(job->options->n_keys * sizeof(*keys)));
        for (int pe = 0, at = 0; pe < job->n; pe++) {
            firsts[pe] = at;
            at += counts[pe];
        }
    }
    MPI_Gatherv(job->keys, mine, MPI_UINT64_T, keys, counts, firsts, MPI_UINT64_T, 0,
                MPI_COMM_WORLD);
    return keys;
}

static int sort(const struct sort_options *options, int me, int n)
{
    struct app_report report = {
        .program = "sort_mpi", .protocol = "messages", .consistency = "-", .pes = n};
    struct job job = {.options = options, .me = me, .n = n};
    int ok = 1;

    job_init(&job);
    for (uint64_t round = 0; round < options->rounds; round++) {
        sort_fill(options, round, own_items(&job, me), job.keys);
        timed_sort(&job);
    }
    report.seconds = job.seconds;
    MPI_Reduce(&job.wait_seconds, &report.wait_seconds, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(&job.bytes_sent, &report.spent.bytes_out, 1, MPI_UINT64_T, MPI_SUM, 0,
               MPI_COMM_WORLD);
    report.wait_seconds /= n;
    uint64_t *keys = gather(&job);
    if (me == 0)
        ok = sort_finish(options, keys, &report);
    MPI_Bcast(&ok, 1, MPI_INT, 0, MPI_COMM_WORLD);
    free(keys);
    job_fini(&job);
    return ok ? 0 : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct sort_options options = SORT_OPTIONS_DEFAULT;
    int me, n;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    int status = app_parse(&argp, argc, argv, me == 0, &options);
    if (status == 0 && !options.app.help)
        status = sort(&options, me, n);
    MPI_Finalize();
    return status;
}
