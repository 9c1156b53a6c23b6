/* SPDX-License-Identifier: BSD-3-Clause */
/* A step of Jacobi's method on 2048x2048 doubles, beside the same in MPI with halo rows. Each PE
 * has its rows of both fields; under write-invalidate the fields come from hearth_malloc as it is,
 * under the other protocols from a region of that kind. All results must be MPI's, bit for bit.
 *
 * The kinds take turns, of many steps each, and in the first of them all is cold: the caches, and
 * what Hearth had learnt, since the others' barriers are barriers of all regions. */
#include <string.h>

#include "pair.h"

#define SIDE  2048u
#define STEPS 60
#define FIRST 2 /* steps, one in each field, that are told of by themselves as well */
#define REPS  9

static size_t first_row, end_row; /* mine, without the fixed border */

static BENCH_VECTORISED void row_step(double *restrict out, const double *restrict above,
                                      const double *restrict middle, const double *restrict below)
{
    for (size_t x = 1; x + 1 < SIDE; x++) {
        out[x] = 0.25 * ((above[x] + below[x]) + (middle[x - 1] + middle[x + 1]));
    }
}

static double at_first(size_t y, size_t x)
{
    return (double)((y * 31 + x * 17) % 101);
}

/* My rows and the border next to them: row 0 and the last belong to the first and last PE. */
static void make_rows(double *field, size_t y0)
{
    size_t from = me == 0 ? 0 : first_row, to = me == n_pes - 1 ? SIDE : end_row;
    for (size_t y = from; y < to; y++) {
        for (size_t x = 0; x < SIDE; x++) {
            field[(y - y0) * SIDE + x] = at_first(y, x);
        }
    }
}

static double sum_rows(const double *field, size_t y0)
{
    double sum = 0;
    for (size_t y = first_row; y < end_row; y++) {
        for (size_t x = 0; x < SIDE; x++) {
            sum += field[(y - y0) * SIDE + x] * (double)(x % 7 + y % 5 + 1);
        }
    }
    return sum;
}

/* Into us[0], a step; into us[1], one of the first few. */
static void add_steps(struct bench *us, double begin, double first_end)
{
    bench_add(&us[0], (bench_now_us() - begin) / STEPS);
    bench_add(&us[1], (first_end - begin) / FIRST);
}

/* field[0] holds the values on entry and on return: STEPS is even. */
static void mpi_steps(double *field[2], struct bench *us)
{
    size_t rows = end_row - first_row;
    int up = me > 0 ? me - 1 : MPI_PROC_NULL, down = me + 1 < n_pes ? me + 1 : MPI_PROC_NULL;
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us(), first_end = begin;
    for (int step = 0; step < STEPS; step++) {
        double *now = field[step & 1], *next = field[(step + 1) & 1];
        MPI_Sendrecv(now + SIDE, SIDE, MPI_DOUBLE, up, 1, now + (rows + 1) * SIDE, SIDE, MPI_DOUBLE,
                     down, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Sendrecv(now + rows * SIDE, SIDE, MPI_DOUBLE, down, 2, now, SIDE, MPI_DOUBLE, up, 2,
                     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (size_t y = 1; y <= rows; y++) {
            row_step(next + y * SIDE, now + (y - 1) * SIDE, now + y * SIDE, now + (y + 1) * SIDE);
        }
        first_end = step + 1 == FIRST ? bench_now_us() : first_end;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    add_steps(us, begin, first_end);
}

static void hearth_steps(double *field[2], struct bench *us)
{
    barrier();
    double begin = bench_now_us(), first_end = begin;
    for (int step = 0; step < STEPS; step++) {
        double *now = field[step & 1], *next = field[(step + 1) & 1];
        for (size_t y = first_row; y < end_row; y++) {
            row_step(next + y * SIDE, now + (y - 1) * SIDE, now + y * SIDE, now + (y + 1) * SIDE);
        }
        barrier();
        first_end = step + 1 == FIRST ? bench_now_us() : first_end;
    }
    add_steps(us, begin, first_end);
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 1, 0);
    first_row = SIDE * (size_t)me / (size_t)n_pes + (me == 0);
    end_row = SIDE * ((size_t)me + 1) / (size_t)n_pes - (me == n_pes - 1);
    size_t private_bytes = (end_row - first_row + 2) * SIDE * sizeof(double);
    double *field[KINDS + 1][2];
    struct hearth_region *region[KINDS][2] = {0};
    static struct bench us[KINDS + 1][2];
    static const char *const names[KINDS + 1] = {"Hearth, hearth_malloc", "Hearth, a region",
                                                 "Hearth, a region", "MPI, halo rows"};
    for (int i = 0; i < 2; i++) {
        field[INVALIDATE][i] = hearth_malloc(SIDE * SIDE * sizeof(double));
        field[KINDS][i] = calloc(1, private_bytes);
        check(field[INVALIDATE][i] == NULL || field[KINDS][i] == NULL, "hearth_malloc");
        for (int kind = UPDATE; kind < KINDS; kind++) {
            field[kind][i] =
                region_new(&region[kind][i], SIDE * SIDE * sizeof(double), (enum kind)kind, 0, -1);
        }
        for (int kind = 0; kind < KINDS; kind++) {
            make_rows(field[kind][i], 0);
        }
        make_rows(field[KINDS][i], first_row - 1);
    }
    for (int kind = 0; kind <= KINDS; kind++) {
        us[kind][0] = (struct bench){.name = names[kind],
                                     .work = "jacobi 2048",
                                     .protocol = kind < KINDS ? kind_names[kind] : NULL,
                                     .pes = n_pes};
        us[kind][1] = us[kind][0];
        us[kind][1].name = kind < KINDS ? "of these, the first 2" : "MPI, the first 2";
    }
    for (int rep = 0; rep < REPS; rep++) {
        for (int kind = KINDS; kind >= 0; kind--) {
            (kind == KINDS ? mpi_steps : hearth_steps)(field[kind], us[kind]);
        }
    }
    double right = sum_rows(field[KINDS][0], first_row - 1);
    for (int kind = 0; kind < KINDS; kind++) {
        demand(sum_rows(field[kind][0], 0) == right, kind_names[kind]);
    }
    if (me == 0) {
        print_head("Jacobi 2048x2048, us a step, 9 repetitions of 60", "to MPI");
        for (int first = 0; first < 2; first++) {
            bench_print(&us[KINDS][first], NULL);
            for (int kind = 0; kind < KINDS; kind++) {
                bench_print(&us[kind][first], &us[KINDS][first]);
            }
        }
    }
    for (int i = 0; i < 2; i++) {
        check(hearth_free(field[INVALIDATE][i]), "hearth_free");
        free(field[KINDS][i]);
        region_end(region[UPDATE][i]);
        region_end(region[SEQUENTIAL][i]);
    }
    stop();
    return 0;
}
