/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/coherence.h"

#include <string.h>

#include "protocol/directory.h"
#include "protocol/scratch.h"

void hth_coherence_init(struct hth_coherence *coherence, struct hth_port *port, int my_pe,
                        int n_pes)
{
    memset(coherence, 0, sizeof *coherence);
    coherence->port = port;
    coherence->my_pe = my_pe;
    coherence->n_pes = n_pes;
    struct hth_scratch *scratch = hth_port_alloc(port, sizeof *scratch);
    memset(scratch, 0, sizeof *scratch);
    scratch->words = ((uint64_t)n_pes + 63) / 64;
    scratch->copysets = hth_port_alloc(port, HTH_BATCH * scratch->words * sizeof(uint64_t));
    scratch->everyone = hth_port_alloc(port, scratch->words * sizeof(uint64_t));
    coherence->scratch = scratch;
    hth_update_init(coherence);
}

void hth_coherence_fini(struct hth_coherence *coherence)
{
    struct hth_scratch *scratch = coherence->scratch;
    if (scratch == NULL) {
        return;
    }
    hth_update_fini(coherence);
    hth_port_free(coherence->port, scratch->copysets,
                  HTH_BATCH * scratch->words * sizeof(uint64_t));
    hth_port_free(coherence->port, scratch->everyone, scratch->words * sizeof(uint64_t));
    hth_port_free(coherence->port, scratch, sizeof *scratch);
    coherence->scratch = NULL;
}

void hth_coherence_lock(struct hth_coherence *coherence)
{
    struct hth_wait why = {HTH_WAIT_ACQUIRE, NULL, 0};
    hth_port_lock(coherence->port, &coherence->acquire_lock, &why);
    hth_wait_for_release_lock(coherence);
}

void hth_coherence_unlock(struct hth_coherence *coherence)
{
    hth_port_unlock(coherence->port, &coherence->release_lock);
    hth_port_unlock(coherence->port, &coherence->acquire_lock);
}

static void set_region(struct hth_coherence *c, uint32_t id, struct hth_region *region)
{
    hth_coherence_lock(c);
    /* Release: handlers read the table without these locks. */
    atomic_store_explicit(&c->regions[id], region, memory_order_release);
    if (region != NULL && id >= c->n_regions) {
        c->n_regions = id + 1;
    }
    hth_coherence_unlock(c);
}

void hth_coherence_add(struct hth_coherence *coherence, struct hth_region *region)
{
    set_region(coherence, region->id, region);
}

void hth_coherence_remove(struct hth_coherence *coherence, struct hth_region *region)
{
    set_region(coherence, region->id, NULL);
}

static struct hth_region *region_at(struct hth_coherence *c, uint32_t id)
{
    return atomic_load_explicit(&c->regions[id], memory_order_acquire);
}

void hth_coherence_fault(struct hth_coherence *coherence, struct hth_region *region, uint64_t page,
                         bool write)
{
    switch (hth_scheme_of(region)) {
    case HTH_INVALIDATE:
        hth_invalidate_fault(coherence, region, page, write);
        break;
    case HTH_UPDATE:
        hth_update_fault(coherence, region, page, write);
        break;
    case HTH_SEQUENTIAL:
        hth_sequential_fault(coherence, region, page, write);
        break;
    }
}

void hth_coherence_release(struct hth_coherence *coherence)
{
    hth_wait_for_release_lock(coherence);
    for (uint32_t id = 0; id < coherence->n_regions; id++) {
        struct hth_region *region = region_at(coherence, id);
        if (region == NULL) {
            continue;
        }
        switch (hth_scheme_of(region)) {
        case HTH_INVALIDATE:
            hth_invalidate_release(coherence, region);
            break;
        case HTH_UPDATE:
            hth_update_release(coherence, region);
            break;
        case HTH_SEQUENTIAL: /* every store was seen by all when it was made */
            break;
        }
    }
    hth_port_unlock(coherence->port, &coherence->release_lock);
}

void hth_coherence_acquire(struct hth_coherence *coherence)
{
    struct hth_wait why = {HTH_WAIT_ACQUIRE, NULL, 0};
    hth_port_lock(coherence->port, &coherence->acquire_lock, &why);
    for (uint32_t id = 0; id < coherence->n_regions; id++) {
        struct hth_region *region = region_at(coherence, id);
        if (region != NULL && hth_scheme_of(region) == HTH_INVALIDATE) {
            hth_invalidate_acquire(coherence, region);
        } /* the others: copies are fresh already */
    }
    hth_port_unlock(coherence->port, &coherence->acquire_lock);
}

void hth_coherence_evict(struct hth_coherence *coherence, struct hth_region *region, uint64_t page)
{
    if (hth_page_home(coherence->port, region, page) == coherence->my_pe) {
        return;
    }
    switch (hth_scheme_of(region)) {
    case HTH_INVALIDATE:
        hth_invalidate_evict(coherence, region, page);
        break;
    case HTH_UPDATE:
        hth_update_evict(coherence, region, page);
        break;
    case HTH_SEQUENTIAL:
        hth_sequential_evict(coherence, region, page);
        break;
    }
}

void hth_coherence_zero(struct hth_coherence *coherence, struct hth_region *region, uint64_t page,
                        uint64_t offset_bytes, uint64_t len_bytes)
{
    switch (hth_scheme_of(region)) {
    case HTH_INVALIDATE:
        hth_invalidate_zero(coherence, region, page, offset_bytes, len_bytes);
        break;
    case HTH_UPDATE:
        hth_update_zero(coherence, region, page, offset_bytes, len_bytes);
        break;
    case HTH_SEQUENTIAL:
        hth_sequential_zero(coherence, region, page, offset_bytes, len_bytes);
        break;
    }
}

void hth_coherence_forget_page(struct hth_coherence *coherence, struct hth_region *region,
                               uint64_t page)
{
    switch (hth_scheme_of(region)) {
    case HTH_INVALIDATE:
        hth_invalidate_forget(coherence, region, page);
        break;
    case HTH_UPDATE:
        hth_update_forget(coherence, region, page);
        break;
    case HTH_SEQUENTIAL:
        hth_sequential_forget(coherence, region, page);
        break;
    }
}

void hth_coherence_forget(struct hth_coherence *coherence, struct hth_region *region,
                          uint64_t first_page, uint64_t n_pages)
{
    hth_wait_for_release_lock(coherence); /* guards pages on the dirty list from a release */
    if (hth_scheme_of(region) == HTH_INVALIDATE) {
        /* A hint left over would make a later release treat the page as homed here, after it may
         * have been dealt to another home. */
        hth_invalidate_take_hints(coherence, region);
    }
    hth_port_protect(coherence->port, region, first_page, n_pages, HTH_VIEW_NONE);
    for (uint64_t page = first_page; page < first_page + n_pages; page++) {
        hth_coherence_forget_page(coherence, region, page);
        /* `listed` stays: a page on the dirty list is skipped there for its state. */
        struct hth_page *entry = &region->pages[page];
        if (entry->home_plus_1 != 0) {
            entry->home_plus_1 = 0;
        }
    }
    hth_port_punch(coherence->port, region, first_page, n_pages);
    hth_port_unlock(coherence->port, &coherence->release_lock);
}

void hth_coherence_handle(struct hth_coherence *coherence, int from, const void *message,
                          size_t bytes)
{
    uint32_t id = ((const struct hth_message_head *)message)->region;
    struct hth_region *region = region_at(coherence, id % HTH_REGIONS_MAX);
    if (region == NULL) {
        hth_port_die(coherence->port, NULL, id, "a message for a region that is gone");
    }
    switch (hth_scheme_of(region)) {
    case HTH_UPDATE:
        hth_update_handle(coherence, region, from, message, bytes);
        break;
    case HTH_SEQUENTIAL:
        hth_sequential_handle(coherence, region, from, message);
        break;
    case HTH_INVALIDATE:
        hth_port_die(coherence->port, region, 0, "a message for a region that sends none");
    }
}

int hth_coherence_owner(struct hth_coherence *coherence, struct hth_region *region, uint64_t page)
{
    return hth_sequential_owner(coherence, region, page);
}

void hth_coherence_alarm(struct hth_coherence *coherence, struct hth_region *region, uint64_t page)
{
    if (hth_scheme_of(region) != HTH_SEQUENTIAL) {
        hth_port_die(coherence->port, region, page, "an alarm for a region that sets none");
    }
    hth_sequential_alarm(coherence, region, page);
}
