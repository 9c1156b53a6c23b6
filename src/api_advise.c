/* SPDX-License-Identifier: BSD-3-Clause */
/* hearth_advise. */
#include <hearth.h>
#include <inttypes.h>

#include "api.h"
#include "fault.h"
#include "log.h"
#include "region.h"

#define KNOWN         (HEARTH_WILL_READ | HEARTH_WILL_WRITE | HEARTH_WILL_OVERWRITE | HEARTH_DONT_NEED)
#define AT_ONCE_BYTES (UINT64_C(1) << 20) /* under way together */

static int check_advice(unsigned advice)
{
    if (advice == 0 || (advice & ~(unsigned)KNOWN) != 0) {
        return hth_error(HEARTH_EINVAL,
                         "hearth_advise: advice %#x %s; there are HEARTH_WILL_READ (%#x), "
                         "HEARTH_WILL_WRITE (%#x), HEARTH_WILL_OVERWRITE (%#x) and "
                         "HEARTH_DONT_NEED (%#x)",
                         advice, advice == 0 ? "says nothing" : "has an unknown bit",
                         HEARTH_WILL_READ, HEARTH_WILL_WRITE, HEARTH_WILL_OVERWRITE,
                         HEARTH_DONT_NEED);
    }
    bool alone = (advice & (HEARTH_WILL_OVERWRITE | HEARTH_DONT_NEED)) != 0;
    if (alone && (advice & (advice - 1)) != 0) {
        return hth_error(
            HEARTH_EINVAL,
            "hearth_advise: advice %#x contradicts itself: %s is given alone, since "
            "%s. Make two calls for two ranges",
            advice, (advice & HEARTH_DONT_NEED) != 0 ? "HEARTH_DONT_NEED" : "HEARTH_WILL_OVERWRITE",
            (advice & HEARTH_DONT_NEED) != 0
                ? "memory that is not needed is neither read nor written soon"
                : "it throws away the bytes that a read, or a write of some of them, "
                  "would want");
    }
    return HEARTH_OK;
}

/* All of the range in allocations of one region, as far as can be known here. */
static int check_range(const void *ptr, size_t len, struct hearth_region **region_out)
{
    struct hearth_region *region = hth_region_of(ptr);
    if (region == NULL) {
        return hth_error(HEARTH_EADDR,
                         "hearth_advise: %p is not shared memory: it lies in no region", ptr);
    }
    uint64_t offset = (uint64_t)((const uint8_t *)ptr - hth_region_base(region));
    if (len > region->span - offset) {
        return hth_error(HEARTH_EADDR,
                         "hearth_advise: %p and %zu bytes reach beyond region '%s', which has "
                         "%" PRIu64 " bytes from there on",
                         ptr, len, region->name, region->span - offset);
    }
    uint64_t page_bytes = region->core.page_bytes;
    for (uint64_t page = offset / page_bytes; page * page_bytes < offset + len; page++) {
        if (!hth_fault_is_allocated(region, page)) {
            uint64_t at = page * page_bytes < offset ? offset : page * page_bytes;
            return hth_error(HEARTH_EADDR,
                             "hearth_advise: byte %" PRIu64 " of the %zu from %p on is in no "
                             "allocation of region '%s'. Advise no more than was allocated",
                             at - offset, len, ptr, region->name);
        }
    }
    *region_out = region;
    return HEARTH_OK;
}

/* Piece by piece, none across the end of an allocation. */
static void advise_pages(struct hth_region *core, uint64_t page, uint64_t end_page,
                         enum hth_advice advice)
{
    uint64_t at_once = AT_ONCE_BYTES / core->page_bytes;
    at_once = at_once > HTH_ADVISE_MAX ? HTH_ADVISE_MAX : at_once == 0 ? 1 : at_once;
    while (page < end_page) {
        uint64_t first, end;
        if (!hth_homes_bounds(core->homes, page, &first, &end)) {
            return; /* freed just now, which the program must not do */
        }
        end = end < end_page ? end : end_page;
        end = end < page + at_once ? end : page + at_once;
        hth_coherence_advise(&hth_job.coherence, core, page, (unsigned)(end - page), advice);
        page = end;
    }
}

static void drop_pages(struct hth_region *core, uint64_t page, uint64_t end_page)
{
    for (; page < end_page; page++) {
        if (hth_page_state(&core->pages[page]) != HTH_PAGE_INVALID) {
            hth_coherence_evict(&hth_job.coherence, core, page);
        }
    }
}

static void advise(struct hth_region *core, uint64_t offset, uint64_t len, unsigned advice)
{
    uint64_t page = offset / core->page_bytes, whole = (offset - 1) / core->page_bytes + 1;
    uint64_t end = (offset + len - 1) / core->page_bytes + 1;
    uint64_t whole_end = (offset + len) / core->page_bytes;
    whole = offset == 0 ? 0 : whole;
    if (advice == HEARTH_DONT_NEED) {
        drop_pages(core, whole, whole_end);
        return;
    }
    if (advice == HEARTH_WILL_OVERWRITE && whole < whole_end) {
        advise_pages(core, page, whole, HTH_ADVICE_WRITE); /* of these, other bytes are wanted */
        advise_pages(core, whole, whole_end, HTH_ADVICE_OVERWRITE);
        page = whole_end;
    }
    advise_pages(core, page, end, advice == HEARTH_WILL_READ ? HTH_ADVICE_READ : HTH_ADVICE_WRITE);
}

int hearth_advise(const void *ptr, size_t len, unsigned advice)
{
    struct hearth_region *region = NULL;
    int rc = hth_check_up("hearth_advise");
    if (rc == HEARTH_OK) {
        rc = check_advice(advice);
    }
    if (rc == HEARTH_OK && len > 0) {
        rc = check_range(ptr, len, &region);
    }
    if (region == NULL) {
        return rc;
    }
    hth_enter();
    advise(&region->core, (uint64_t)((const uint8_t *)ptr - hth_region_base(region)), len, advice);
    hth_leave();
    return HEARTH_OK;
}
