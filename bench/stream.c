/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading 64 MiB that are homed at the other PE from beginning to end, one load a page, beside
 * MPI_Get of the same in pieces of 1 MiB into a memfd's memory.
 *
 * Fresh: the frames were never touched before, so the kernel zeroes them first. Warm: they were,
 * and the home has written them all since. Under Hearth that is what the reader's acquire is told
 * of, so it counts: from the time at which the writer has released, to the last load. Again: the
 * mean of the turns that follow, written and read; some are probes (docs/protocols.md "Hot pages").
 *
 * "...and mapped" is MPI_Get of the same, each piece then mapped into a view by the pager's own
 * means, and a load from each page: what a fault cannot do without. Run with two PEs. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pair.h"
#include "vm/userfaultfd.h"
#include "vm/vm.h"

#define BYTES ((size_t)64 << 20)
#define PIECE ((size_t)1 << 20)
#define PAGE  4096u
#define REPS  9

static struct hth_uffd bare = {-1, NULL, NULL};

/* A piece of the view, of which nothing is mapped: to be read, and read. */
static void map_piece(char *view, size_t at)
{
    if (bare.fd >= 0) {
        hth_uffd_protect(&bare, at, PIECE, HTH_VIEW_READ, at);
    } else {
        mprotect(view + at, PIECE, PROT_READ);
#ifdef MADV_POPULATE_READ
        madvise(view + at, PIECE, MADV_POPULATE_READ);
#endif
    }
    for (size_t page = at; page < at + PIECE; page += PAGE) {
        (void)*(const volatile char *)(view + page);
    }
}

/* Milliseconds; `view`: NULL, or where to map it as well. */
static double get_all(MPI_Win window, char *into, char *view, char value)
{
    double begin = bench_now_us();
    for (size_t at = 0; at < BYTES; at += PIECE) {
        MPI_Get(into + at, (int)PIECE, MPI_BYTE, 1, (MPI_Aint)at, (int)PIECE, MPI_BYTE, window);
        MPI_Win_flush(1, window);
        if (view != NULL) {
            map_piece(view, at);
        }
    }
    double ms = (bench_now_us() - begin) / 1000;
    demand(into[0] == value && into[BYTES - 1] == value, "MPI_Get");
    return ms;
}

static char *map_memfd(int *fd_out)
{
    *fd_out = memfd_create("stream", 0);
    check(*fd_out < 0 || ftruncate(*fd_out, (off_t)BYTES) != 0, "memfd");
    char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd_out, 0);
    check(memory == MAP_FAILED, "mmap");
    return memory;
}

/* A view of it, controlled as Hearth's pager would. */
static char *open_view(int fd, char *into)
{
    bool uffd = hth_vm_fault_signal() == SIGBUS;
    char why[256];
    char *view = mmap(NULL, BYTES, uffd ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_SHARED, fd, 0);
    check(view == MAP_FAILED, "mmap");
    check(uffd && !hth_uffd_open(&bare, (uint8_t *)view, (uint8_t *)into, BYTES, why, sizeof why),
          "userfaultfd");
    return view;
}

/* ms[0] fresh, ms[1] warm, each time what the other PE has just written. All memory is new, as a
 * region's is: how fast it is read depends on which frames the kernel gives. */
static void by_mpi(struct bench *ms, bool mapped)
{
    int fd;
    char *memory = map_memfd(&fd), *view = NULL;
    MPI_Win window;
    MPI_Win_create(memory, (MPI_Aint)BYTES, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
    for (char warm = 0; warm < 2; warm++) {
        if (me == 1) {
            memset(memory, warm + 1, BYTES);
        } else if (mapped) {
            view = open_view(fd, memory);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        if (me == 0) {
            bench_add(&ms[(int)warm], get_all(window, memory, view, (char)(warm + 1)));
        }
        MPI_Barrier(MPI_COMM_WORLD);
        if (view != NULL) {
            hth_uffd_close(&bare);
            munmap(view, BYTES);
        }
    }
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    munmap(memory, BYTES);
    close(fd);
}

/* What the writer has released before the reader comes: milliseconds, `*acquire_out` of them in the
 * acquire. */
static double read_all(const volatile char *shared, char value, double *acquire_out)
{
    int right = 1;
    double begin = bench_now_us();
    check(hearth_acquire(), "hearth_acquire");
    *acquire_out = (bench_now_us() - begin) / 1000;
    for (size_t at = 0; at < BYTES; at += PAGE) {
        right &= shared[at] == value;
    }
    double ms = (bench_now_us() - begin) / 1000;
    demand(right, "stream");
    return ms;
}

enum turn { FRESH, WARM, ACQUIRE, AGAIN, TURNS };
#define MORE 8

static void by_hearth(struct bench *ms)
{
    struct hearth_region *region;
    char *shared = region_new(&region, BYTES, INVALIDATE, 0, 1);
    double again = 0;
    for (char turn = 0; turn < 2 + MORE; turn++) {
        if (me == 1) {
            memset(shared, turn + 1, BYTES);
            check(hearth_release(), "hearth_release");
        }
        MPI_Barrier(MPI_COMM_WORLD);
        if (me == 0) {
            double acquire, all = read_all(shared, (char)(turn + 1), &acquire);
            again += turn >= 2 ? all / MORE : 0;
            if (turn < 2) {
                bench_add(&ms[turn == 0 ? FRESH : WARM], all);
            }
            if (turn == 1) {
                bench_add(&ms[ACQUIRE], acquire);
            }
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    if (me == 0) {
        bench_add(&ms[AGAIN], again);
    }
    region_end(region);
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 2, 2);
    static struct bench mpi[] = {
        {.name = "MPI_Get of 1 MiB, fresh frames", .work = "sequential read 64 MiB", .unit = "ms"},
        {.name = "MPI_Get of 1 MiB, warm frames", .work = "sequential read 64 MiB", .unit = "ms"}};
    static struct bench mapped[] = {
        {.name = "the same and mapped, fresh", .work = "sequential read 64 MiB", .unit = "ms"},
        {.name = "the same and mapped, warm", .work = "sequential read 64 MiB", .unit = "ms"}};
    static struct bench hearth[TURNS];
    static const char *const names[TURNS] = {"Hearth, fresh frames", "Hearth, warm frames",
                                             "of that, the acquire", "Hearth, again and again"};
    for (int turn = 0; turn < TURNS; turn++) {
        hearth[turn].name = names[turn];
        hearth[turn].work = "sequential read 64 MiB";
        hearth[turn].protocol = "invalidate";
        hearth[turn].unit = "ms";
    }
    for (int rep = 0; rep < REPS; rep++) { /* so that what else the machine does meets all */
        by_mpi(mpi, false);
        by_mpi(mapped, true);
        by_hearth(hearth);
    }
    if (me == 0) {
        print_head("sequential read of 64 MiB, ms, 9 repetitions", "to MPI");
        bench_print(&mpi[0], NULL);
        bench_print(&mapped[0], &mpi[0]);
        bench_print(&hearth[FRESH], &mpi[0]);
        bench_print(&mpi[1], NULL);
        bench_print(&mapped[1], &mpi[1]);
        for (int turn = WARM; turn < TURNS; turn++) {
            bench_print(&hearth[turn], &mpi[1]);
        }
    }
    stop();
    return 0;
}
