/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory.h"

#include <string.h>

#include "api.h"
#include "ask.h"
#include "log.h"
#include "net/comm.h"

/* --- collective --- */

/* Pages that nobody else can know of yet are writable at their home from the start. */
static void open_share(struct hearth_region *region, const struct hth_block *block)
{
    struct hth_region *core = &region->core;
    uint64_t first, n;
    struct hth_extent extent = {block->offset / core->page_bytes,
                                (block->bytes - 1) / core->page_bytes + 1, HTH_DEAL_BLOCK,
                                region->attr.home_pe};
    switch (region->attr.placement) {
    case HEARTH_HOME_CYCLIC: /* a page at a time, by faults */
        return;
    case HEARTH_HOME_FIRST_TOUCH: /* likewise, unless there is one PE */
        if (core->n_pes > 1) {
            return;
        }
        break;
    case HEARTH_HOME_FIXED:
        extent.deal = HTH_DEAL_FIXED;
        break;
    case HEARTH_HOME_BLOCK:
        break;
    }
    hth_homes_share(&region->homes, &extent, core->my_pe, &first, &n);
    if (n > 0) {
        hth_vm_protect(region->offset + first * core->page_bytes, n * core->page_bytes,
                       HTH_VIEW_WRITE);
    }
}

void *hth_memory_malloc(struct hearth_region *region, uint64_t bytes)
{
    struct hth_block block;
    uint64_t left = region->bytes - region->allocated;
    if (bytes > left || hth_heap_alloc(region->heap, bytes, &block) != HEARTH_OK) {
        uint64_t room = hth_heap_room(region->heap);
        hth_error(HEARTH_ENOMEM,
                  "no room for %llu bytes in region '%s' of %llu bytes (largest that would fit: "
                  "%llu). Create a larger region%s",
                  (unsigned long long)bytes, region->name, (unsigned long long)region->bytes,
                  (unsigned long long)(room < left ? room : left),
                  region == hth_job.heap ? " (HEARTH_HEAP_BYTES)" : "");
        return NULL;
    }
    region->allocated += bytes;
    if (block.whole_pages) {
        open_share(region, &block);
    }
    hth_comm_barrier(); /* nobody may use the pointer before all know its homes */
    return hth_region_base(region) + block.offset;
}

/* Zero what this PE is home to of a block that shares its pages with others. */
static void zero_packed(struct hearth_region *region, const struct hth_block *block)
{
    struct hth_region *core = &region->core;
    uint64_t end = block->offset + block->bytes;
    for (uint64_t at = block->offset; at < end;) {
        uint64_t page = at / core->page_bytes, page_end = (page + 1) * core->page_bytes;
        uint64_t n = (end < page_end ? end : page_end) - at;
        if (hth_page_known_home(core, page) == core->my_pe) {
            hth_coherence_zero(&hth_job.coherence, core, page, at - page * core->page_bytes, n);
        }
        at += n;
    }
}

void hth_memory_free(struct hearth_region *region, const struct hth_block *block)
{
    struct hth_coherence *coherence = &hth_job.coherence;
    uint64_t page_bytes = region->core.page_bytes, first_page = block->offset / page_bytes;
    uint64_t n_pages = (block->bytes - 1) / page_bytes + 1;
    if (block->whole_pages) { /* nobody uses the block any more, and nothing is under way for it */
        hth_coherence_pin(coherence, &region->core, first_page, n_pages);
        hth_settling_barrier();
        hth_coherence_forget(coherence, &region->core, first_page, n_pages);
    } else {
        hth_full_barrier();
        zero_packed(region, block); /* a write like any other: copies learn of it below */
    }
    hth_full_barrier();
    region->allocated -= block->bytes;
    hth_heap_free(region->heap, block->offset);
}

/* --- solo --- */

/* Bytes that were handed out before may be in copies elsewhere: zero them as a write. */
static void zero_used(struct hearth_region *region, uint64_t offset, uint64_t bytes)
{
    uint64_t page_bytes = region->core.page_bytes;
    for (uint64_t at = offset; at < offset + bytes;) {
        uint64_t page = at / page_bytes, page_end = (page + 1) * page_bytes;
        uint64_t n = (offset + bytes < page_end ? offset + bytes : page_end) - at;
        hth_coherence_zero(&hth_job.coherence, &region->core, page, at - page * page_bytes, n);
        at += n;
    }
}

void *hth_memory_solo_malloc(struct hearth_region *region, uint64_t bytes)
{
    uint64_t offset, page_bytes = region->core.page_bytes;
    bool used = false;
    hth_port_short_lock(NULL, &region->solo_lock);
    int rc = hth_solo_alloc(region->solo, bytes, &offset, &used);
    uint64_t room = rc == HEARTH_OK ? 0 : hth_solo_room(region->solo);
    hth_port_short_unlock(NULL, &region->solo_lock);
    if (rc != HEARTH_OK) {
        hth_error(HEARTH_ENOMEM,
                  "no room for a solo allocation of %llu bytes in this PE's share of region '%s', "
                  "%llu bytes (largest that would fit: %llu). Create a larger region%s",
                  (unsigned long long)bytes, region->name, (unsigned long long)region->solo_bytes,
                  (unsigned long long)room, region == hth_job.heap ? " (HEARTH_HEAP_BYTES)" : "");
        return NULL;
    }
    if (used) {
        zero_used(region, offset, bytes);
    } else if (bytes >= page_bytes) {
        /* Never handed out, and with its pages to itself: nobody else can know of it yet. */
        uint64_t whole = (bytes + page_bytes - 1) / page_bytes * page_bytes;
        hth_vm_protect(region->offset + offset, whole, HTH_VIEW_WRITE);
    }
    return hth_region_base(region) + offset;
}

static int solo_free_here(struct hearth_region *region, uint64_t offset)
{
    hth_port_short_lock(NULL, &region->solo_lock);
    int rc = hth_solo_free(region->solo, offset);
    hth_port_short_unlock(NULL, &region->solo_lock);
    return rc;
}

static int64_t answer_solo_free(uint64_t id, uint64_t offset)
{
    struct hearth_region *region = hth_region_by_id((uint32_t)id);
    return region == NULL ? HEARTH_EADDR : solo_free_here(region, offset);
}

int hth_memory_solo_free(struct hearth_region *region, uint64_t offset)
{
    int home = hth_homes_lookup(&region->homes, offset / region->core.page_bytes);
    if (home == region->core.my_pe) {
        return solo_free_here(region, offset);
    }
    /* Bytes that we have written must be home before the memory is handed out again. */
    hth_coherence_release(&hth_job.coherence);
    return (int)hth_ask(home, HTH_ASK_SOLO_FREE, region->core.id, offset);
}

void hth_memory_start(void)
{
    hth_ask_on(HTH_ASK_SOLO_FREE, answer_solo_free);
}
