/* SPDX-License-Identifier: BSD-3-Clause */
/* What it costs to read memory that another PE is home to, in sequence and otherwise: one 4-byte
 * load on each page, beside what plain MPI needs for the same bytes: MPI_Get in pieces of 1 MiB
 * into a memfd, never touched before (fresh) or again (warm).
 *
 * First: the pages have never been here. Again: the home has written them since, and what the
 * reader's acquire does about that counts. Advised: hearth_advise(HEARTH_WILL_READ) on the whole
 * before the loads, and its time counted. All repetitions take turns. Run with two PEs. Usage:
 * read_ahead [pattern...] */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pair.h"

#define PAGES 8192u
#define PAGE  4096u
#define PIECE (UINT64_C(1) << 20)
#define REPS  9

static uint32_t order[PAGES];

/* --- plain MPI --- */

static MPI_Win window;
static char *exposed;

static void open_window(void)
{
    exposed = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(exposed, 1, PAGES * PAGE);
    MPI_Win_create(exposed, PAGES * PAGE, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
}

static double get_all(char *into)
{
    double start = bench_now_us();
    for (uint64_t at = 0; at < PAGES * PAGE; at += PIECE) {
        MPI_Get(into + at, (int)PIECE, MPI_BYTE, 1, (MPI_Aint)at, (int)PIECE, MPI_BYTE, window);
        MPI_Win_flush(1, window);
    }
    return (bench_now_us() - start) / PAGES;
}

static void bare(struct bench *fresh, struct bench *warm)
{
    int fd = memfd_create("bare", 0);
    if (fd < 0 || ftruncate(fd, (off_t)PAGES * PAGE) != 0) {
        perror("memfd");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    char *into = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    bench_add(fresh, get_all(into));
    bench_add(warm, get_all(into));
    munmap(into, PAGES * PAGE);
    close(fd);
}

/* --- Hearth --- */

static double read_all(const volatile char *shared, bool advise)
{
    double start = bench_now_us();
    check(hearth_acquire(), "hearth_acquire");
    if (advise) {
        check(
            hearth_advise((const void *)(uintptr_t)shared, (size_t)PAGES * PAGE, HEARTH_WILL_READ),
            "hearth_advise");
    }
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

static void hearth(struct bench *first, struct bench *again, bool advise, char value)
{
    struct hearth_region *region;
    char *shared = region_new(&region, (size_t)PAGES * PAGE, INVALIDATE, 0, 1);
    for (int turn = 0; turn < 3; turn++) {
        if (me == 1) {
            write_all(shared, (char)(value + 100 * turn));
            check(hearth_release(), "hearth_release");
        }
        MPI_Barrier(MPI_COMM_WORLD);
        if (me == 0) {
            double us = read_all(shared, advise);
            if (turn != 1) { /* from the second time on, what was learnt the first time helps */
                bench_add(turn == 0 ? first : again, us);
            }
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    region_end(region);
}

static void measure(const char *how)
{
    struct bench fresh = {.name = "MPI_Get of 1 MiB, fresh memfd"};
    struct bench warm = {.name = "MPI_Get of 1 MiB, warm memfd"};
    struct bench first = {.name = "Hearth, first"}, again = {.name = "Hearth, again"};
    struct bench told_first = {.name = "Hearth, first, advised"};
    struct bench told_again = {.name = "Hearth, again, advised"};
    for (int rep = 0; rep < REPS; rep++) {
        if (me == 0) {
            bare(&fresh, &warm);
        }
        hearth(&first, &again, false, (char)rep);
        hearth(&told_first, &told_again, true, (char)(rep + 50));
    }
    if (me != 0) {
        return;
    }
    printf("\n%s, us a page, %d repetitions of %u pages\n%-44s %9s %9s %9s %8s\n", how, REPS, PAGES,
           "", "min", "median", "max", "to MPI");
    bench_print(&fresh, NULL);
    bench_print(&first, &fresh);
    bench_print(&told_first, &fresh);
    bench_print(&warm, NULL);
    bench_print(&again, &warm);
    bench_print(&told_again, &warm);
    printf("%-44s %8.0f%% %8.0f%%\n", "MPI's rate reached, first and again",
           100 * bench_median(&fresh) / bench_median(&first),
           100 * bench_median(&warm) / bench_median(&again));
}

/* Every k-th page, then every k-th of those left, and so on. */
static void stride(uint32_t k)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        order[i] = i % (PAGES / k) * k + i / (PAGES / k);
    }
}

int main(int argc, char **argv)
{
    static const char *const patterns[] = {"forward", "backward", "stride of 4", "random"};
    start(&argc, &argv, 2, 2);
    open_window();
    for (int pattern = 0; pattern < 4; pattern++) {
        bool wanted = argc < 2;
        for (int i = 1; i < argc; i++) {
            wanted = wanted || strcmp(argv[i], patterns[pattern]) == 0;
        }
        for (uint32_t i = 0; i < PAGES; i++) {
            order[i] = pattern == 1 ? PAGES - 1 - i : i;
        }
        if (pattern == 2) {
            stride(4);
        } else if (pattern == 3) {
            bench_shuffle(order, PAGES);
        }
        if (wanted) {
            measure(patterns[pattern]);
        }
    }
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    stop();
    return 0;
}
