/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared memory for those that cannot fault. The pages are touched as the program would touch them,
 * outside of the library's inside: so whatever the protocol and the pager, what is on the way is
 * what a load or store does. */
#include "touch.h"

#include <hearth.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "fault.h"
#include "log.h"
#include "region.h"
#include "wrap/seam.h"

struct hearth_wrap_range hearth_wrap_range = {.low_end = 1};

void hth_touch_start(void)
{
    uintptr_t globals = (uintptr_t)hth_graft.at;
    bool any = hth_graft.bytes > 0;
    hearth_wrap_range =
        (struct hearth_wrap_range){(uintptr_t)hth_vm.view, hth_vm.bytes, any ? globals : 0,
                                   any ? hth_graft.bytes : 0, any ? globals + hth_graft.bytes : 1};
}

void hth_touch_stop(void)
{
    hearth_wrap_range = (struct hearth_wrap_range){.low_end = 1};
}

static int check_allocated(const uint8_t *from, const uint8_t *to)
{
    const uint8_t *start = hth_vm_canonical(from), *last = hth_vm_canonical(to);
    struct hearth_region *region = hth_region_of(start);
    uint64_t page_bytes = region != NULL ? region->core.page_bytes : 0;
    bool whole = region != NULL && hth_region_of(last) == region;
    uint64_t first_page = whole ? (uint64_t)(start - hth_region_base(region)) / page_bytes : 0;
    uint64_t last_page = whole ? (uint64_t)(last - hth_region_base(region)) / page_bytes : 0;
    for (uint64_t page = first_page; whole && page <= last_page; page++) {
        whole = hth_fault_is_allocated(region, page);
    }
    return whole ? HEARTH_OK
                 : hth_error(HEARTH_EADDR,
                             "hearth_touch: %p to %p is not within the allocations of one region",
                             (const void *)from, (const void *)(to + 1));
}

/* A write that changes nothing: another thread, or a handler of the library through the alias, may
 * be writing the same byte. */
static void touch(const uint8_t *at, bool write)
{
    if (write) {
        /* Hidden from the compiler: clang makes a load of an `or` with a 0 that it can see. */
        uint8_t nothing = 0;
        __asm__ volatile("" : "+r"(nothing));
        atomic_fetch_or_explicit((volatile _Atomic uint8_t *)(uintptr_t)at, nothing,
                                 memory_order_relaxed);
    } else {
        (void)*(const volatile uint8_t *)at;
    }
}

int hearth_touch(const void *ptr, size_t len, unsigned access)
{
    int rc = hth_check_up("hearth_touch");
    if (rc != HEARTH_OK) {
        return rc;
    }
    if (access == 0 || (access & ~(HEARTH_TOUCH_READ | HEARTH_TOUCH_WRITE)) != 0) {
        return hth_error(HEARTH_EINVAL,
                         "hearth_touch: access %u is not HEARTH_TOUCH_READ (%u), "
                         "HEARTH_TOUCH_WRITE (%u) or both",
                         access, HEARTH_TOUCH_READ, HEARTH_TOUCH_WRITE);
    }
    const uint8_t *start = ptr, *last = start + len - 1;
    bool shared = hth_vm_has(hth_vm_canonical(start)) || hth_vm_has(hth_vm_canonical(last));
    if (len == 0 || (!shared && last >= start)) {
        return HEARTH_OK;
    }
    rc = last < start
             ? hth_error(HEARTH_EINVAL, "hearth_touch: %zu bytes from %p overflow", len, ptr)
             : check_allocated(start, last);
    size_t os_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    for (const uint8_t *at = start; rc == HEARTH_OK && at <= last;
         at += os_page_bytes - (uintptr_t)at % os_page_bytes) {
        touch(at, (access & HEARTH_TOUCH_WRITE) != 0);
    }
    return rc;
}

void hearth_wrap_copy(void *to, const void *from, size_t bytes)
{
    bool before = hth_copying;
    hth_copying = true;
    memcpy(to, from, bytes);
    hth_copying = before;
}
