/* SPDX-License-Identifier: BSD-3-Clause */
/* Does userfaultfd do here what the pager needs? A few pages are put through every change of view,
 * with real loads, stores and signals. What the kernel announces is not enough: that CONTINUE can
 * write-protect is announced by nothing, and valgrind, gVisor and their like announce what they do
 * not do. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/pager.h"
#include "vm/userfaultfd.h"

#define PAGES 4u

/* What the handler of the probe knows; one probe at a time, by one thread. */
static struct {
    struct hth_uffd uffd;
    uint64_t page_bytes;
    struct sigaction before;
    volatile uintptr_t address; /* of the last fault */
    volatile unsigned n_faults;
    volatile enum hth_view grant; /* what to answer a fault with */
} probe;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    int saved_errno = errno;
    uint64_t at = (uintptr_t)info->si_addr - (uintptr_t)probe.uffd.view;
    if (at >= PAGES * probe.page_bytes || ++probe.n_faults > 1000) {
        sigaction(signal_number, &probe.before, NULL); /* not ours: it happens again without us */
    } else {
        probe.address = (uintptr_t)info->si_addr;
        hth_uffd_protect(&probe.uffd, at & ~(probe.page_bytes - 1), probe.page_bytes, probe.grant,
                         at);
    }
    errno = saved_errno;
}

/* Touch a byte, faults being answered with `grant`. True: it faulted as often as expected, at the
 * byte. */
static bool load(uint64_t at, enum hth_view grant, unsigned expected, uint8_t value)
{
    volatile uint8_t *byte = probe.uffd.view + at;
    probe.grant = grant;
    probe.n_faults = 0;
    bool right = *byte == value;
    return right && probe.n_faults == expected &&
           (expected == 0 || probe.address == (uintptr_t)byte);
}

static bool store(uint64_t at, enum hth_view grant, unsigned expected, uint8_t value)
{
    volatile uint8_t *byte = probe.uffd.view + at;
    probe.grant = grant;
    probe.n_faults = 0;
    *byte = value;
    return *(volatile uint8_t *)(probe.uffd.alias + at) == value && probe.n_faults == expected &&
           (expected == 0 || probe.address == (uintptr_t)byte);
}

static void set(uint64_t first, uint64_t n, enum hth_view view)
{
    hth_uffd_protect(&probe.uffd, first * probe.page_bytes, n * probe.page_bytes, view,
                     HTH_NOT_WANTED);
}

/* The first thing that does not hold; NULL: all does. The last page has no frame at first. */
static const char *cycle(uint8_t mark)
{
    uint64_t page = probe.page_bytes, at = page + 5;
    for (uint64_t i = 0; i < PAGES - 1; i++) {
        memset(probe.uffd.alias + i * page, mark, page);
    }
    if (!load(at, HTH_VIEW_READ, 1, mark)) {
        return "a read of a page that is not mapped is not a fault, once, with its address";
    }
    if (!store(at, HTH_VIEW_WRITE, 1, (uint8_t)(mark + 1))) {
        return "a page mapped write-protected by UFFDIO_CONTINUE can be written, or not made "
               "writable";
    }
    set(0, PAGES - 1, HTH_VIEW_READ);
    if (!load(at, HTH_VIEW_READ, 0, (uint8_t)(mark + 1)) ||
        !store(at, HTH_VIEW_WRITE, 1, (uint8_t)(mark + 2))) {
        return "a page write-protected again does not fault, once, when it is written";
    }
    set(0, PAGES, HTH_VIEW_NONE);
    probe.uffd.alias[at] = mark;
    if (!load(at, HTH_VIEW_READ, 1, mark)) {
        return "a page unmapped again does not fault, or has lost its bytes";
    }
    set(0, PAGES, HTH_VIEW_NONE);
    if (!store(at, HTH_VIEW_WRITE, 1, mark) || !load(2 * page, HTH_VIEW_WRITE, 1, mark)) {
        return "a page that was unmapped cannot be made writable at once";
    }
    set(0, PAGES, HTH_VIEW_NONE);
    return NULL;
}

static const char *holes(void)
{
    uint64_t last = (PAGES - 1) * probe.page_bytes;
    if (!load(last + 1, HTH_VIEW_READ, 1, 0) || !store(last + 1, HTH_VIEW_WRITE, 1, 7)) {
        return "a page that the file does not have yet cannot be mapped";
    }
    return NULL;
}

static void try_out(char *why, size_t why_bytes, bool *works_out)
{
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGBUS, &ours, &probe.before) != 0) {
        snprintf(why, why_bytes, "sigaction: %s", strerror(errno));
        return;
    }
    const char *what = cycle(40);
    what = what == NULL ? holes() : what;
    what = what == NULL ? cycle(80) : what;
    sigaction(SIGBUS, &probe.before, NULL);
    *works_out = what == NULL;
    if (what != NULL) {
        snprintf(why, why_bytes, "%s", what);
    }
}

bool hth_uffd_probe(char *why, size_t why_bytes)
{
    probe.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    size_t bytes = PAGES * probe.page_bytes;
    bool works = false;
    int fd = memfd_create("hearth-probe", MFD_CLOEXEC);
    void *view = MAP_FAILED, *alias = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0) {
        view = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        alias = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    if (view == MAP_FAILED || alias == MAP_FAILED) {
        snprintf(why, why_bytes, "no memfd to try it on: %s", strerror(errno));
    } else if (hth_uffd_open(&probe.uffd, view, alias, bytes, why, why_bytes)) {
        try_out(why, why_bytes, &works);
        hth_uffd_close(&probe.uffd);
    }
    if (view != MAP_FAILED) {
        munmap(view, bytes);
    }
    if (alias != MAP_FAILED) {
        munmap(alias, bytes);
    }
    if (fd >= 0) {
        close(fd);
    }
    return works;
}
