/* SPDX-License-Identifier: BSD-3-Clause */
/* What it costs to hand a page of a sequentially consistent region to another PE, beside an MPI
 * ping-pong of 4 KiB in the same run:
 *
 * - both wait: each PE in turn writes the page, and otherwise waits in a receive of a tiny message
 * (in private memory) that says whose turn it is;
 * - one computes: the owner computes without calling Hearth or MPI, writing on the page now and
 * then, while the other takes the page from it;
 * - a plain C11 flag: both spin on the page itself, which one may do here.
 *
 * Run with two PEs. */
#include <stdatomic.h>
#include <string.h>

#include "pair.h"

#define PAGE  4096
#define REPS  9
#define TURNS 400

static double mpi_ping_pong(void)
{
    static char buffer[PAGE];
    MPI_Barrier(MPI_COMM_WORLD);
    double start = bench_now_us();
    for (int i = 0; i < TURNS; i++) {
        if (i % 2 == me) {
            MPI_Send(buffer, PAGE, MPI_BYTE, 1 - me, 1, MPI_COMM_WORLD);
        } else {
            MPI_Recv(buffer, PAGE, MPI_BYTE, 1 - me, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
    }
    return (bench_now_us() - start) / TURNS;
}

/* The write alone: from the store to its end, the page being at the other PE. */
static double both_wait(volatile char *page)
{
    char token = 0;
    double sum = 0;
    check(hearth_barrier_all(), "barrier");
    for (int i = 0; i < TURNS; i++) {
        if (i % 2 == me) {
            double start = bench_now_us();
            page[i % PAGE] = (char)i;
            sum += bench_now_us() - start;
            MPI_Send(&token, 1, MPI_BYTE, 1 - me, 2, MPI_COMM_WORLD);
        } else {
            MPI_Recv(&token, 1, MPI_BYTE, 1 - me, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
    }
    return sum / (TURNS / 2.0);
}

/* PE 1 computes and writes now and then; PE 0 takes the page every 200 us. */
static double one_computes(volatile char *page, double *first_us)
{
    double sum = 0;
    check(hearth_barrier_all(), "barrier");
    double start = bench_now_us();
    if (me == 1) {
        volatile double work = 0;
        while (bench_now_us() - start < 200.0 * TURNS / 4) {
            for (int i = 0; i < 2000; i++) {
                work = work + i;
            }
            page[1]++;
        }
    } else {
        for (int i = 0; i < TURNS / 8; i++) {
            double until = start + 200.0 * (i + 1);
            while (bench_now_us() < until) {
            }
            double begin = bench_now_us();
            page[0]++;
            double us = bench_now_us() - begin;
            sum += us;
            *first_us = *first_us == 0 ? us : *first_us;
        }
    }
    check(hearth_barrier_all(), "barrier");
    return sum / (TURNS / 8.0);
}

static double flag(_Atomic int *turn)
{
    if (me == 0) {
        atomic_store(turn, 0);
    }
    check(hearth_barrier_all(), "barrier");
    double start = bench_now_us();
    for (int i = 0; i < TURNS; i++) {
        if (i % 2 == me) {
            while (atomic_load(turn) != i) {
            }
            atomic_store(turn, i + 1);
        }
    }
    check(hearth_barrier_all(), "barrier");
    return (bench_now_us() - start) / TURNS;
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 2, 2);
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    struct hearth_region *region;
    attr.consistency = HEARTH_SEQUENTIAL;
    check(hearth_region_create(&region, 16 * PAGE, &attr), "region");
    char *page = hearth_region_malloc(region, 2 * PAGE);
    check(page == NULL, "malloc");
    struct bench mpi = {.name = "MPI ping-pong of 4 KiB, one way"};
    struct bench wait = {.name = "hand-over, both wait"};
    struct bench compute = {.name = "hand-over, the owner computes"};
    struct bench spin = {.name = "a C11 flag, a turn"};
    double first_us = 0;
    for (int rep = 0; rep < REPS; rep++) {
        bench_add(&mpi, mpi_ping_pong());
        bench_add(&wait, both_wait(page));
        bench_add(&compute, one_computes(page, &first_us));
        bench_add(&spin, flag((_Atomic int *)page));
    }
    if (me == 0) {
        printf("ownership of one page, 2 PEs, us, %d repetitions\n%-44s %9s %9s %9s %8s\n", REPS,
               "", "min", "median", "max", "to MPI");
        bench_print(&mpi, NULL);
        bench_print(&wait, &mpi);
        bench_print(&compute, &mpi);
        bench_print(&spin, &mpi);
        printf("the very first hand-over from a PE that computes: %.1f us\n", first_us);
    }
    stop();
    return 0;
}
