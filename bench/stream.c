/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading 64 MiB that are homed at the other PE from beginning to end, one load a page, beside
 * MPI_Get of the same in pieces of 1 MiB into a memfd's memory.
 *
 * Fresh: the frames were never touched before, so the kernel zeroes them first. Warm: they were;
 * under Hearth the copies were invalidated by the home's writing on them.
 *
 * "...and mapped" is MPI_Get of the same, each piece then mapped into a view by the pager's own
 * means, and a load from each page: what no pager can do without. Run with two PEs. */
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
static double get_all(MPI_Win window, char *into, char *view)
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
    demand(into[0] == 1 && into[BYTES - 1] == 1, "MPI_Get");
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

/* us[0] fresh, us[1] warm. */
static void by_mpi(MPI_Win window, struct bench *us, bool mapped)
{
    if (me == 0) {
        int fd;
        char *into = map_memfd(&fd);
        for (int warm = 0; warm < 2; warm++) {
            char *view = mapped ? open_view(fd, into) : NULL;
            bench_add(&us[warm], get_all(window, into, view));
            if (view != NULL) {
                hth_uffd_close(&bare);
                munmap(view, BYTES);
            }
        }
        munmap(into, BYTES);
        close(fd);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static double read_all(const volatile char *shared, char value)
{
    int right = 1;
    double begin = bench_now_us();
    for (size_t at = 0; at < BYTES; at += PAGE) {
        right &= shared[at] == value;
    }
    double ms = (bench_now_us() - begin) / 1000;
    demand(right, "stream");
    return ms;
}

static void by_hearth(struct bench *fresh, struct bench *warm)
{
    struct hearth_region *region;
    char *shared = region_new(&region, BYTES, INVALIDATE, 0, 1);
    for (char value = 1; value <= 2; value++) {
        if (me == 1) {
            memset(shared, value, BYTES);
        }
        barrier();
        if (me == 0) {
            bench_add(value == 1 ? fresh : warm, read_all(shared, value));
        }
        barrier();
    }
    region_end(region);
}

/* They take turns, so that what else the machine does meets both. */
static void measure(struct bench *mpi, struct bench *mapped, struct bench *hearth)
{
    int fd;
    char *source = map_memfd(&fd);
    MPI_Win window;
    memset(source, 1, BYTES);
    MPI_Win_create(source, (MPI_Aint)BYTES, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
    for (int rep = 0; rep < REPS; rep++) {
        by_mpi(window, mpi, false);
        by_mpi(window, mapped, true);
        by_hearth(&hearth[0], &hearth[1]);
    }
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    munmap(source, BYTES);
    close(fd);
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
    static struct bench hearth[] = {{.name = "Hearth, fresh frames",
                                     .work = "sequential read 64 MiB",
                                     .protocol = "invalidate",
                                     .unit = "ms"},
                                    {.name = "Hearth, warm frames",
                                     .work = "sequential read 64 MiB",
                                     .protocol = "invalidate",
                                     .unit = "ms"}};
    measure(mpi, mapped, hearth);
    if (me == 0) {
        print_head("sequential read of 64 MiB, ms, 9 repetitions", "to MPI");
        for (int i = 0; i < 2; i++) {
            bench_print(&mpi[i], NULL);
            bench_print(&mapped[i], &mpi[i]);
            bench_print(&hearth[i], &mpi[i]);
        }
    }
    stop();
    return 0;
}
