/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heat flow by messages: what heat.c does with shared memory, done in plain MPI, to be compared
 * with it. Each PE keeps its rows and a copy of one row of each neighbour (the halo); in every step
 * it sends its own edge rows, computes the rows that need no halo while they travel, and then the
 * two that do. Faults of MPI end the job: that is MPI's default.
 */
#include "heat_common.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_UP, TAG_DOWN };

/* A PE's part of the field: row 0 is the halo above, row `count` + 1 the halo below. */
struct part {
    size_t width;
    size_t count;
    struct heat_rows rows; /* of the whole field */
    struct heat_rows todo; /* that change; counted as in grid[] */
    int above;             /* the PE above, or MPI_PROC_NULL */
    int below;
    MPI_Datatype row;
    double *grid[2];
    uint64_t halo_bytes;
    uint64_t halo_messages;
};

static const struct argp argp = {
    NULL,
    NULL,
    NULL,
    "Heat flow by Jacobi's method on a PGM picture, by MPI messages.\vThe counterpart of heat.",
    (const struct argp_child[]){{&heat_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

static void part_init(struct part *part, const struct heat_options *options,
                      const struct heat_picture *picture, int me, int n)
{
    struct heat_rows rows = heat_share(options->height, me, n);
    struct heat_rows inner = heat_inner_rows(rows, options->height);
    size_t width = options->width;

    *part = (struct part){.width = width,
                          .count = rows.end - rows.first,
                          .rows = rows,
                          .todo = {inner.first - rows.first + 1, inner.end - rows.first + 1},
                          .above = me > 0 ? me - 1 : MPI_PROC_NULL,
                          .below = me + 1 < n ? me + 1 : MPI_PROC_NULL};
    MPI_Type_contiguous((int)width, MPI_DOUBLE, &part->row);
    MPI_Type_commit(&part->row);
    for (int i = 0; i < 2; i++) {
        part->grid[i] = calloc((part->count + 2) * width, sizeof(double));
        if (part->grid[i] == NULL) {
            fprintf(stderr, "heat_mpi: PE %d: no memory for %zu rows of %zu: use more PEs\n", me,
                    part->count + 2, width);
            MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
        }
        for (size_t y = 0; y < part->count; y++)
            heat_picture_row(picture, width, options->height, rows.first + y,
                             part->grid[i] + (y + 1) * width);
    }
}

static void part_fini(struct part *part)
{
    MPI_Type_free(&part->row);
    free(part->grid[0]);
    free(part->grid[1]);
}

static void compute(const struct part *part, double *next, const double *now, size_t first,
                    size_t end)
{
    size_t width = part->width;

    for (size_t y = first; y < end; y++)
        heat_row(next + y * width, now + (y - 1) * width, now + y * width, now + (y + 1) * width,
                 width);
}

static void step(struct part *part, double *next, double *now)
{
    MPI_Request requests[4];
    MPI_Status statuses[4]; /* MPICH's MPI_STATUSES_IGNORE makes gcc warn */
    size_t width = part->width, last = part->count;
    /* The rows between read no halo. With one row, that row is both the first and the last. */
    size_t inner = part->todo.first > 2 ? part->todo.first : 2;
    size_t inner_end = part->todo.end < last ? part->todo.end : last;

    MPI_Irecv(now, 1, part->row, part->above, TAG_DOWN, MPI_COMM_WORLD, &requests[0]);
    MPI_Irecv(now + (last + 1) * width, 1, part->row, part->below, TAG_UP, MPI_COMM_WORLD,
              &requests[1]);
    MPI_Isend(now + width, 1, part->row, part->above, TAG_UP, MPI_COMM_WORLD, &requests[2]);
    MPI_Isend(now + last * width, 1, part->row, part->below, TAG_DOWN, MPI_COMM_WORLD,
              &requests[3]);
    if (inner < inner_end)
        compute(part, next, now, inner, inner_end);
    MPI_Waitall(4, requests, statuses);
    if (part->todo.first == 1 && part->todo.end > 1)
        compute(part, next, now, 1, 2);
    if (part->todo.end == last + 1 && last > 1)
        compute(part, next, now, last, last + 1);

    uint64_t sent = (part->above != MPI_PROC_NULL) + (part->below != MPI_PROC_NULL);
    part->halo_messages += sent;
    part->halo_bytes += sent * width * sizeof(double);
}

static void iterate(struct part *part, long steps, struct heat_report *report)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double start = heat_now();
    for (long i = 0; i < steps; i++) {
        step(part, part->grid[(i + 1) & 1], part->grid[i & 1]);
        if (i == 0)
            report->first_step_seconds = heat_now() - start;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    report->seconds = heat_now() - start;
}

/* The whole field, on PE 0 only; NULL elsewhere. */
static double *gather(const struct part *part, const struct heat_options *options, int me, int n)
{
    int *counts = NULL, *firsts = NULL;
    double *field = NULL;

    if (me == 0) {
        counts = calloc((size_t)n, sizeof(*counts));
        firsts = calloc((size_t)n, sizeof(*firsts));
        field = malloc(options->width * options->height * sizeof(*field));
        if (counts == NULL || firsts == NULL || field == NULL) {
            fprintf(stderr, "heat_mpi: no memory for %zu x %zu points on PE 0\n", options->width,
                    options->height);
            MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
        }
        for (int pe = 0; pe < n; pe++) {
            struct heat_rows rows = heat_share(options->height, pe, n);
            counts[pe] = (int)(rows.end - rows.first);
            firsts[pe] = (int)rows.first;
        }
    }
    MPI_Gatherv(part->grid[options->steps & 1] + part->width, (int)part->count, part->row, field,
                counts, firsts, part->row, 0, MPI_COMM_WORLD);
    free(counts);
    free(firsts);
    return field;
}

static bool run(const struct heat_options *options, const struct heat_picture *picture, int me,
                int n)
{
    struct heat_report report = {
        .program = "heat_mpi", .protocol = "messages", .consistency = "-", .pes = n};
    struct part part;
    int ok = 1;

    part_init(&part, options, picture, me, n);
    iterate(&part, options->steps, &report);

    uint64_t mine[2] = {part.halo_bytes, part.halo_messages}, sums[2] = {0, 0};
    MPI_Reduce(mine, sums, 2, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    report.bytes_out = sums[0]; /* bytes_in stays 0: a byte counts once */
    report.messages = sums[1];
    double *field = gather(&part, options, me, n);
    if (me == 0)
        ok = heat_finish(options, picture, field, &report);
    MPI_Bcast(&ok, 1, MPI_INT, 0, MPI_COMM_WORLD);
    free(field);
    part_fini(&part);
    return ok;
}

/* Whether all PEs can start; if not, the first that cannot says why. */
static bool agree(bool ready, const char *error, int me, int n)
{
    int unready = ready ? n : me, first;

    MPI_Allreduce(&unready, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (first == me)
        fprintf(stderr, "heat_mpi: PE %d: %s\n", me, error);
    return first == n;
}

int main(int argc, char **argv)
{
    struct heat_options options = {.steps = 400};
    struct heat_picture picture = {0};
    char error[HEAT_ERROR_BYTES];
    int me, n, status;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    status = heat_parse(&argp, argc, argv, me == 0, &options);
    if (status == 0 && !options.help) {
        bool ready = heat_load(&options, error, &picture);
        if (ready && options.height < (size_t)n) {
            snprintf(error, sizeof(error),
                     "%zu rows are too few for %d PEs: use fewer PEs or a bigger --size",
                     options.height, n);
            ready = false;
        }
        if (!agree(ready, error, me, n) || !run(&options, &picture, me, n))
            status = EXIT_FAILURE;
    }
    heat_picture_fini(&picture);
    MPI_Finalize();
    return status;
}
