/* SPDX-License-Identifier: BSD-3-Clause */
/* What a read miss costs: one 4-byte load on each of 16,384 pages homed at the other PE, beside the
 * three things it is made of, taken in the same run and the same order of pages:
 *
 * - a bare MPI_Get of 4 KiB and its flush, into memory never touched before (fresh) or again
 * (warm);
 * - a bare fault, by the pager in use: a signal handler that only makes the page readable, by
 *   mprotect or by UFFDIO_CONTINUE, and the load that goes on.
 *
 * - four bare atomics there, each flushed, as a first touch has them.
 *
 * First touch: the page has never been here, so the miss also registers (four atomics). Again: the
 * copy was invalidated by the home's writing on it. Also the very first miss of the run, since an
 * operation that waits for its target to call MPI looks fast once the target is in a barrier.
 * Run with two PEs. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pair.h"
#include "vm/userfaultfd.h"
#include "vm/vm.h"

#define PAGES 16384u
#define PAGE  4096u
#define REPS  9

static uint32_t order[PAGES];

/* --- the bare pieces --- */

static struct hth_uffd bare = {-1, NULL, NULL};

static void on_bare_segv(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_READ);
}

static void on_bare_bus(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    uint64_t at = (uintptr_t)info->si_addr - (uintptr_t)bare.view;
    hth_uffd_protect(&bare, at & ~(uint64_t)(PAGE - 1), PAGE, HTH_VIEW_READ, at);
}

/* Faults on pages whose frames exist, as those of a fetched page do. */
static double bare_fault(void)
{
    bool uffd = hth_vm_fault_signal() == SIGBUS;
    char why[256];
    int fd = memfd_create("bare", 0);
    if (fd < 0 || ftruncate(fd, (off_t)PAGES * PAGE) != 0) {
        perror("memfd");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    uint8_t *alias = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint8_t *view =
        mmap(NULL, PAGES * PAGE, uffd ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_SHARED, fd, 0);
    if (uffd && !hth_uffd_open(&bare, view, alias, PAGES * PAGE, why, sizeof why)) {
        fprintf(stderr, "miss: %s\n", why);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    memset(alias, 1, PAGES * PAGE);
    struct sigaction action = {.sa_sigaction = uffd ? on_bare_bus : on_bare_segv,
                               .sa_flags = SA_SIGINFO},
                     before;
    sigaction(hth_vm_fault_signal(), &action, &before);
    double start = bench_now_us();
    for (uint32_t i = 0; i < PAGES; i++) {
        (void)*(volatile uint8_t *)(view + (size_t)order[i] * PAGE);
    }
    double us = (bench_now_us() - start) / PAGES;
    sigaction(hth_vm_fault_signal(), &before, NULL);
    hth_uffd_close(&bare);
    munmap(alias, PAGES * PAGE);
    munmap(view, PAGES * PAGE);
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

/* On a word of each page's own, and three that summarise many. */
static double bare_atomics(MPI_Win window)
{
    uint64_t bit = 1, old;
    double start = bench_now_us();
    for (uint32_t i = 0; i < PAGES; i++) {
        const uint32_t words[] = {order[i], PAGES + order[i] / 64, 2 * PAGES + order[i] / 4096,
                                  3 * PAGES};
        for (int k = 0; k < 4; k++) {
            MPI_Fetch_and_op(&bit, &old, MPI_UINT64_T, 1, words[k], MPI_BOR, window);
            MPI_Win_flush(1, window);
        }
    }
    return (bench_now_us() - start) / PAGES;
}

/* What the bare pieces are measured on. */
struct bare {
    MPI_Win frames, words;
    char *memory;
};

static void bare_start(struct bare *windows)
{
    uint64_t *words;
    windows->memory =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(windows->memory, 1, PAGES * PAGE);
    MPI_Win_create(windows->memory, PAGES * PAGE, 1, MPI_INFO_NULL, MPI_COMM_WORLD,
                   &windows->frames);
    MPI_Win_allocate((3 * PAGES + 1) * 8, 8, MPI_INFO_NULL, MPI_COMM_WORLD, &words,
                     &windows->words);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, windows->frames);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, windows->words);
}

static void bare_stop(struct bare *windows)
{
    MPI_Win_unlock_all(windows->words);
    MPI_Win_unlock_all(windows->frames);
    MPI_Win_free(&windows->words);
    MPI_Win_free(&windows->frames);
    munmap(windows->memory, PAGES * PAGE);
}

static void bare_pieces(struct bare *windows, struct bench *fault, struct bench *fresh,
                        struct bench *warm, struct bench *atomics)
{
    if (me == 0) {
        bench_add(fault, bare_fault());
        char *into =
            mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        bench_add(fresh, bare_get(windows->frames, into));
        bench_add(warm, bare_get(windows->frames, into));
        munmap(into, PAGES * PAGE);
        bench_add(atomics, bare_atomics(windows->words));
    }
    MPI_Barrier(MPI_COMM_WORLD);
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

static void hearth_misses(int rep, struct bench *first, struct bench *again, double *very_first_us)
{
    struct hearth_region *region;
    char *shared = region_new(&region, (size_t)PAGES * PAGE, INVALIDATE, 0, 1);
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
    check(hearth_barrier_all(), "barrier");
    region_end(region);
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
    char name[64], work[32];
    snprintf(name, sizeof name, "bare fault and %s", hth_vm_pager());
    struct bench fault = {.name = name};
    struct bench fresh = {.name = "bare MPI_Get of 4 KiB, fresh memory"};
    struct bench warm = {.name = "bare MPI_Get of 4 KiB, warm memory"};
    struct bench atomics = {.name = "four bare atomics"};
    struct bench touch = {.name = "fault + fresh get"}, warm_sum = {.name = "fault + warm get"};
    struct bench fresh_sum = {.name = "fault + fresh get + four atomics"};
    struct bench first = {.name = "Hearth read miss, first touch"};
    struct bench again = {.name = "Hearth read miss, again"};
    double very_first_us = 0;
    struct bare windows;
    bare_start(&windows);
    for (int rep = 0; rep < REPS; rep++) { /* by turns: what else the machine does meets all */
        bare_pieces(&windows, &fault, &fresh, &warm, &atomics);
        hearth_misses(rep, &first, &again, &very_first_us);
    }
    bare_stop(&windows);
    if (me != 0) {
        return;
    }
    snprintf(work, sizeof work, "miss, %s", how);
    fault.work = fresh.work = warm.work = atomics.work = fresh_sum.work = warm_sum.work = work;
    first.work = again.work = work;
    add_up(&touch, &fault, &fresh);
    add_up(&fresh_sum, &touch, &atomics);
    add_up(&warm_sum, &fault, &warm);
    printf("\n%s order, us a page, %d repetitions of %u pages\n%-44s %9s %9s %9s %8s\n", how, REPS,
           PAGES, "", "min", "median", "max", "to sum");
    bench_print(&fault, NULL);
    bench_print(&fresh, NULL);
    bench_print(&warm, NULL);
    bench_print(&atomics, NULL);
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
    start(&argc, &argv, 2, 2);
    for (uint32_t i = 0; i < PAGES; i++) {
        order[i] = i;
    }
    measure("sequential");
    bench_shuffle(order, PAGES);
    measure("random");
    stop();
    return 0;
}
