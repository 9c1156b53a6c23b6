/* SPDX-License-Identifier: BSD-3-Clause */
/* What a read miss costs: one 4-byte load on each of 16,384 pages homed at the other PE, beside the
 * two things it is made of, taken in the same run and the same order of pages:
 *
 * - a bare MPI_Get of 4 KiB and its flush, into memory never touched before (fresh) or again
 * (warm);
 * - a bare fault: a SIGSEGV handler that only calls mprotect, and the load that goes on.
 *
 * First touch: the page has never been here, so the miss also registers (four atomics). Again: the
 * copy was invalidated by the home's writing on it. Also the very first miss of the run, since an
 * operation that waits for its target to call MPI looks fast once the target is in a barrier.
 * Run with two PEs. */
#include <hearth.h>
#include <hearth_mpi.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define PAGES 16384u
#define PAGE  4096u
#define REPS  9

static uint32_t order[PAGES];
static int me;

static void check(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, hearth_error_message());
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

/* --- the bare pieces --- */

static void on_bare_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_READ);
}

/* Faults on pages whose frames exist, as those of a fetched page do. */
static double bare_fault(void)
{
    int fd = memfd_create("bare", 0);
    if (fd < 0 || ftruncate(fd, (off_t)PAGES * PAGE) != 0) {
        perror("memfd");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    char *alias = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    volatile char *view = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_SHARED, fd, 0);
    memset(alias, 1, PAGES * PAGE);
    struct sigaction action = {.sa_sigaction = on_bare_fault, .sa_flags = SA_SIGINFO}, before;
    sigaction(SIGSEGV, &action, &before);
    double start = bench_now_us();
    for (uint32_t i = 0; i < PAGES; i++) {
        (void)view[(size_t)order[i] * PAGE];
    }
    double us = (bench_now_us() - start) / PAGES;
    sigaction(SIGSEGV, &before, NULL);
    munmap(alias, PAGES * PAGE);
    munmap((void *)(uintptr_t)view, PAGES * PAGE);
    close(fd);
    return us;
}

static double bare_get(MPI_Win window, char *into)
{
    double start = bench_now_us();
    for (uint32_t i = 0; i < PAGES; i++) {
        MPI_Get(into + (size_t)order[i] * PAGE, PAGE, MPI_BYTE, 1, (MPI_Aint)order[i] * PAGE, PAGE,
                MPI_BYTE, window);
        MPI_Win_flush(1, window);
    }
    return (bench_now_us() - start) / PAGES;
}

static void bare_pieces(struct bench *fault, struct bench *fresh, struct bench *warm)
{
    MPI_Win window;
    char *memory =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, PAGES * PAGE);
    MPI_Win_create(memory, PAGES * PAGE, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
    for (int rep = 0; rep < REPS && me == 0; rep++) {
        bench_add(fault, bare_fault());
        char *into =
            mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        bench_add(fresh, bare_get(window, into));
        bench_add(warm, bare_get(window, into));
        munmap(into, PAGES * PAGE);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    munmap(memory, PAGES * PAGE);
}

/* --- Hearth --- */

static double read_all(const volatile char *shared)
{
    double start = bench_now_us();
    for (uint32_t i = 0; i < PAGES; i++) {
        (void)*(const volatile int *)(shared + (size_t)order[i] * PAGE);
    }
    return (bench_now_us() - start) / PAGES;
}

static void write_all(volatile char *shared, char value)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        shared[(size_t)i * PAGE] = value;
    }
}

static void hearth_misses(struct bench *first, struct bench *again, double *very_first_us)
{
    for (int rep = 0; rep < REPS; rep++) {
        struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
        struct hearth_region *region;
        attr.placement = HEARTH_HOME_FIXED;
        attr.home_pe = 1;
        check(hearth_region_create(&region, (size_t)PAGES * PAGE, &attr), "region");
        char *shared = hearth_region_malloc(region, (size_t)PAGES * PAGE);
        check(shared == NULL, "malloc");
        if (me == 1) {
            write_all(shared, (char)rep);
        }
        check(hearth_barrier_all(), "barrier");
        if (me == 0) {
            if (*very_first_us == 0) {
                double start = bench_now_us();
                (void)*(volatile char *)shared;
                *very_first_us = bench_now_us() - start;
            }
            bench_add(first, read_all(shared));
        }
        check(hearth_barrier_all(), "barrier");
        if (me == 1) {
            write_all(shared, (char)(rep + 100));
        }
        check(hearth_barrier_all(), "barrier");
        if (me == 0) {
            bench_add(again, read_all(shared));
        }
        check(hearth_region_destroy(region), "destroy");
    }
}

/* The sum, repetition by repetition, of what a miss is made of. */
static void add_up(struct bench *sum, const struct bench *a, const struct bench *b)
{
    for (int i = 0; i < a->n; i++) {
        bench_add(sum, a->values[i] + b->values[i]);
    }
}

static void measure(const char *how)
{
    struct bench fault = {.name = "bare fault and mprotect"};
    struct bench fresh = {.name = "bare MPI_Get of 4 KiB, fresh memory"};
    struct bench warm = {.name = "bare MPI_Get of 4 KiB, warm memory"};
    struct bench fresh_sum = {.name = "fault + fresh get"}, warm_sum = {.name = "fault + warm get"};
    struct bench first = {.name = "Hearth read miss, first touch"};
    struct bench again = {.name = "Hearth read miss, again"};
    double very_first_us = 0;
    bare_pieces(&fault, &fresh, &warm);
    hearth_misses(&first, &again, &very_first_us);
    if (me != 0) {
        return;
    }
    add_up(&fresh_sum, &fault, &fresh);
    add_up(&warm_sum, &fault, &warm);
    printf("\n%s order, us a page, %d repetitions of %u pages\n%-44s %9s %9s %9s %8s\n", how, REPS,
           PAGES, "", "min", "median", "max", "to sum");
    bench_print(&fault, NULL);
    bench_print(&fresh, NULL);
    bench_print(&warm, NULL);
    bench_print(&fresh_sum, NULL);
    bench_print(&warm_sum, NULL);
    bench_print(&first, &fresh_sum);
    bench_print(&again, &warm_sum);
    printf("to the bare get alone: first touch %.2f of a fresh one, again %.2f of a warm one\n",
           bench_median(&first) / bench_median(&fresh), bench_median(&again) / bench_median(&warm));
    printf("the very first miss: %.1f us\n", very_first_us);
}

int main(int argc, char **argv)
{
    int level, n;
    setenv("OMPI_MCA_mpi_yield_when_idle", "0", 0);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    if (n != 2) {
        fprintf(stderr, "miss: run it with 2 PEs, not %d\n", n);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    check(hearth_init_comm(MPI_COMM_WORLD), "hearth_init_comm");
    for (uint32_t i = 0; i < PAGES; i++) {
        order[i] = i;
    }
    measure("sequential");
    bench_shuffle(order, PAGES);
    measure("random");
    check(hearth_finalize(), "hearth_finalize");
    MPI_Finalize();
    return 0;
}
