/* SPDX-License-Identifier: BSD-3-Clause */
/* The mprotect pager: the view's protection is the mapping's.
 *
 * Each run of pages of one protection is a mapping to the kernel, which allows a process
 * vm.max_map_count of them (65,530 mostly). Where that many are about to be used, all views are
 * given up: one mprotect makes the whole view PROT_NONE, and one mapping of it, and pages are
 * mapped again as they are touched.
 *
 * Why that is right under every protocol. A view is an upper bound (pager.h): a page's state, its
 * twin, its place on the dirty list and in copysets and ledgers are the protocol's, do not follow
 * from the view, and are left alone. A page that is clean, dirty, tracked, written, exclusive or
 * owned stays so; its next touch faults, and the protocol answers from the state that it finds,
 * without a message and without a second twin. Nothing that a protocol must be told of is lost,
 * since lower than the state allows is safe: what a protocol relies on is that a page is *not*
 * accessible. And it ends: between two times that all is given up some ten thousand faults are
 * served, so that the cost, some tens of milliseconds, is a few microseconds a fault.
 *
 * It is done before the last mapping is used, so that the program's own mmap, and malloc's, and
 * MPI's, do not fail. The count is an upper bound, two more at each call, until it is too high;
 * then the kernel's list is counted. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "vm/pager.h"
#include "vm/vm.h"

#define FILL_BYTES UINT64_C(65536) /* page table entries made at once, around what is touched */

static struct {
    uint64_t limit;           /* mappings that a process may have: vm.max_map_count */
    uint64_t most;            /* those that we may use: some are for the program, malloc, MPI */
    _Atomic uint64_t at_most; /* mappings that it has; relaxed: it orders nothing */
    atomic_flag counting;     /* held by the thread that counts; the others go on */
    atomic_flag told;         /* that views were given up, once */
} maps = {.counting = ATOMIC_FLAG_INIT, .told = ATOMIC_FLAG_INIT};

/* Lines of /proc/self/maps; 0: unknown. Calls nothing that a signal handler may not. */
static uint64_t count_mappings(void)
{
    char text[16384];
    uint64_t n = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    for (ssize_t got; (got = read(fd, text, sizeof text)) > 0;) {
        const char *at = text, *end = text + got;
        while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
            n++;
            at++;
        }
    }
    close(fd);
    return n;
}

static void give_up_views(void)
{
    if (mprotect(hth_vm.view, hth_vm.bytes, PROT_NONE) != 0 ||
        (hth_graft.bytes > 0 && mprotect(hth_graft.at, hth_graft.bytes, PROT_NONE) != 0)) {
        hth_die("mprotect of the whole view: %s", strerror(errno));
    }
    if (!atomic_flag_test_and_set_explicit(&maps.told, memory_order_relaxed)) {
        hth_log(HTH_LOG_WARN,
                "neighbouring pages differ so often that the kernel's mappings run out "
                "(vm.max_map_count=%llu): views are given up, and pages fault again. Raise it "
                "(sysctl -w vm.max_map_count=1000000), use larger pages "
                "(HEARTH_PAGE_BYTES=65536), or a kernel with userfaultfd (about Linux 6.4)",
                (unsigned long long)maps.limit);
    }
}

/* The bound is reached: how many are there? If more than half, it would be reached again too soon.
 * If the program has that many by itself, giving up is no help, and must not be done at each call.
 */
static void count_again(void)
{
    if (atomic_flag_test_and_set_explicit(&maps.counting, memory_order_acquire)) {
        return; /* the reserve lasts until that thread is done */
    }
    uint64_t n = count_mappings();
    if (n == 0 || n > maps.most / 2) {
        give_up_views();
        n = count_mappings();
        n = n > maps.most / 2 ? maps.most / 2 : n;
    }
    atomic_store_explicit(&maps.at_most, n, memory_order_relaxed);
    atomic_flag_clear_explicit(&maps.counting, memory_order_release);
}

static int protection(enum hth_view view)
{
    switch (view) {
    case HTH_VIEW_NONE:
        return PROT_NONE;
    case HTH_VIEW_READ:
        return PROT_READ;
    case HTH_VIEW_WRITE:
        return PROT_READ | PROT_WRITE;
    }
    return PROT_NONE;
}

/* The page table entries of what is about to be touched: else the touch is a fault again, if a
 * cheap one. Kernels before 5.14 cannot, and then it is. */
static void fill(uint64_t offset, uint64_t bytes, enum hth_view view, uint64_t wanted)
{
#ifdef MADV_POPULATE_WRITE
    uint64_t first = wanted & ~(FILL_BYTES - 1), end = first + FILL_BYTES;
    first = first < offset ? offset : first;
    end = end > offset + bytes ? offset + bytes : end;
    madvise(hth_vm_at(first), end - first,
            view == HTH_VIEW_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
#else
    (void)offset;
    (void)bytes;
    (void)view;
    (void)wanted;
#endif
}

static void protect(uint64_t offset, uint64_t bytes, enum hth_view view, uint64_t wanted)
{
    if (atomic_fetch_add_explicit(&maps.at_most, 2, memory_order_relaxed) + 2 > maps.most) {
        count_again();
    }
    /* Again after giving up: other threads may have used what there was. */
    for (unsigned tries = 0; mprotect(hth_vm_at(offset), bytes, protection(view)) != 0; tries++) {
        if (errno != ENOMEM || tries == 100) {
            hth_die("mprotect of %llu bytes: %s%s", (unsigned long long)bytes, strerror(errno),
                    errno == ENOMEM ? ": the program itself has used up the kernel's mappings "
                                      "(vm.max_map_count, mostly 65530). Raise their number "
                                      "(sysctl -w vm.max_map_count=1000000)"
                                    : "");
        }
        give_up_views();
    }
    if (view != HTH_VIEW_NONE && wanted != HTH_NOT_WANTED) {
        fill(offset, bytes, view, wanted);
    }
}

static int adopt(uint64_t offset, uint64_t bytes)
{
    (void)offset;
    (void)bytes;
    return 0; /* the mapping is the view */
}

static bool start(char *why, size_t why_bytes)
{
    (void)why;
    (void)why_bytes;
    unsigned long long limit = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file != NULL) {
        if (fscanf(file, "%llu", &limit) != 1 || limit == 0) {
            limit = 65530;
        }
        fclose(file);
    }
    maps.limit = limit;
    maps.most = limit - limit / 16; /* 4,096 of 65,530: far from what the others ask for at once */
    atomic_store_explicit(&maps.at_most, count_mappings(), memory_order_relaxed);
    return true;
}

static void stop(void)
{
}

const struct hth_pager hth_pager_mprotect = {"mprotect", SIGSEGV, start, stop, protect, adopt};
