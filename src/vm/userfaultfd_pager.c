/* SPDX-License-Identifier: BSD-3-Clause */
/* The userfaultfd pager: userfaultfd on the whole view, and what makes it bearable to touch memory
 * for the first time.
 *
 * A home may write its pages before anyone has asked for them: the view of a new allocation is set
 * to 'write' at once. With mprotect the kernel does the rest. Here each first touch is a signal,
 * for the file has no page yet, and to fill a gigabyte would be four times as slow. So the pager
 * remembers which granules of 64 KiB are *open*: all of it was made writable, before it was
 * touched, and nothing of it less since. A fault in an open granule, if the page before is there
 * already (the program goes upwards), maps the rest of the granule. Memory touched here and there
 * is had page by page.
 *
 * Mapping pages that nobody asked for, while another thread takes one of them away, would leave
 * that one mapped. So a granule's lock is held from the look at its bit until the pages are mapped,
 * and whoever makes less of a page clears the bit first, under the lock; if it finds the bit clear,
 * who cleared it has had the lock, and what was mapped by the bit is mapped before what it does. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/pager.h"
#include "vm/userfaultfd.h"
#include "vm/vm.h"

#define GRANULE_BYTES UINT64_C(65536)
#define LOCKS         64u

static struct {
    struct hth_uffd uffd;
    uint64_t page_bytes;
    /* A bit a granule. Set (release) by who opens it, cleared (release) under its lock; loads are
     * acquire, and pair with both. */
    _Atomic uint64_t *open;
    uint64_t open_bytes;
    atomic_flag locks[LOCKS]; /* by granule: guards clearing its bit, and mapping by it. Nothing is
                                 taken inside; held for a few system calls */
} pager = {.uffd = {-1, NULL, NULL}};

static void lock(uint64_t granule)
{
    while (atomic_flag_test_and_set_explicit(&pager.locks[granule % LOCKS], memory_order_acquire)) {
        sched_yield();
    }
}

static void unlock(uint64_t granule)
{
    atomic_flag_clear_explicit(&pager.locks[granule % LOCKS], memory_order_release);
}

static uint64_t bit_of(uint64_t granule)
{
    return UINT64_C(1) << granule % 64;
}

static bool is_open(uint64_t granule)
{
    return (atomic_load_explicit(&pager.open[granule / 64], memory_order_acquire) &
            bit_of(granule)) != 0;
}

static void open_granules(uint64_t offset, uint64_t bytes)
{
    uint64_t end = (offset + bytes) / GRANULE_BYTES;
    for (uint64_t g = (offset + GRANULE_BYTES - 1) / GRANULE_BYTES; g < end; g++) {
        atomic_fetch_or_explicit(&pager.open[g / 64], bit_of(g), memory_order_release);
    }
}

static void close_granules(uint64_t offset, uint64_t bytes)
{
    uint64_t last = (offset + bytes - 1) / GRANULE_BYTES;
    for (uint64_t g = offset / GRANULE_BYTES; g <= last; g++) {
        uint64_t word = atomic_load_explicit(&pager.open[g / 64], memory_order_acquire);
        if (word == 0) {
            g |= 63; /* the word's last */
        } else if ((word & bit_of(g)) != 0) {
            lock(g);
            atomic_fetch_and_explicit(&pager.open[g / 64], ~bit_of(g), memory_order_release);
            unlock(g);
        }
    }
}

/* Has the file the page before this one, and not this one? */
static bool goes_upwards(uint64_t page)
{
    unsigned char there[2];
    return page >= pager.page_bytes &&
           mincore(hth_vm.alias + page - pager.page_bytes, 2 * pager.page_bytes, there) == 0 &&
           (there[0] & 1) != 0 && (there[1] & 1) == 0;
}

/* The view that this byte of the file is seen through: the graft's is one of its own. */
static struct hth_uffd uffd_of(uint64_t offset)
{
    struct hth_uffd uffd = pager.uffd;
    uffd.view = hth_vm_at(offset) - offset;
    return uffd;
}

/* True: the page was mapped, with others. */
static bool map_open(uint64_t wanted)
{
    uint64_t granule = wanted / GRANULE_BYTES, page = wanted & ~(pager.page_bytes - 1);
    bool mapped = false;
    if (!is_open(granule) || !goes_upwards(page)) {
        return false;
    }
    lock(granule);
    if (is_open(granule)) {
        struct hth_uffd uffd = uffd_of(wanted);
        mapped = hth_uffd_map_wanted(&uffd, page, (granule + 1) * GRANULE_BYTES, true) > 0;
    }
    unlock(granule);
    return mapped;
}

static void protect(uint64_t offset, uint64_t bytes, enum hth_view view, uint64_t wanted)
{
    if (view != HTH_VIEW_WRITE) {
        close_granules(offset, bytes);
    } else if (wanted != HTH_NOT_WANTED && map_open(wanted)) {
        return; /* the page's others, if it is larger, are writable or fault by themselves */
    }
    struct hth_uffd uffd = uffd_of(offset);
    hth_uffd_protect(&uffd, offset, bytes, view, wanted);
    if (view == HTH_VIEW_WRITE && wanted == HTH_NOT_WANTED) {
        open_granules(offset, bytes);
    }
}

static int adopt(uint64_t offset, uint64_t bytes)
{
    close_granules(offset, bytes);
    int rc = hth_uffd_register(pager.uffd.fd, hth_vm_at(offset), bytes);
    if (rc == 0 && mprotect(hth_vm_at(offset), bytes, PROT_READ | PROT_WRITE) != 0) {
        rc = errno;
    }
    return rc;
}

static void stop(void)
{
    hth_uffd_close(&pager.uffd);
    hth_vm_sparse_free(pager.open, pager.open_bytes);
    pager.open = NULL;
}

static bool start(char *why, size_t why_bytes)
{
    if (!hth_uffd_probe(why, why_bytes)) {
        return false;
    }
    pager.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    pager.open_bytes = (hth_vm.bytes / GRANULE_BYTES / 64 + 1) * sizeof pager.open[0];
    pager.open = hth_vm_sparse(pager.open_bytes);
    for (unsigned i = 0; i < LOCKS; i++) {
        atomic_flag_clear(&pager.locks[i]);
    }
    if (pager.open == NULL) {
        snprintf(why, why_bytes, "no %llu bytes of address space for a map of the view",
                 (unsigned long long)pager.open_bytes);
        return false;
    }
    if (!hth_uffd_open(&pager.uffd, hth_vm.view, hth_vm.alias, hth_vm.bytes, why, why_bytes)) {
        stop();
        return false;
    }
    /* After it was registered, so that nothing of it is ever mapped unasked. */
    if (mprotect(hth_vm.view, hth_vm.bytes, PROT_READ | PROT_WRITE) != 0) {
        snprintf(why, why_bytes, "mprotect of the whole view: %s", strerror(errno));
        stop();
        return false;
    }
    return true;
}

const struct hth_pager hth_pager_userfaultfd = {"userfaultfd", SIGBUS, start, stop, protect, adopt};
