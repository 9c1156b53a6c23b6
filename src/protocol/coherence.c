/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/coherence.h"

#include <string.h>

#include "protocol/claim.h"
#include "protocol/directory.h"
#include "protocol/scratch.h"

const struct hth_tuning hth_tuning_shipped = {.batch = 512,
                                              .hot_after = 2,
                                              .cool_after = 6,
                                              .cool_after_home = 4,
                                              .wanted_after = 3,
                                              .probe_after = 4,
                                              .sweep = 16,
                                              .vain_notices = 3,
                                              .write_ahead = 64,
                                              .pack_runs = 32,
                                              .pack_page_runs = 3};

void hth_coherence_init(struct hth_coherence *coherence, struct hth_port *port, int my_pe,
                        int n_pes, const struct hth_tuning *tuning)
{
    memset(coherence, 0, sizeof *coherence);
    coherence->port = port;
    coherence->my_pe = my_pe;
    coherence->n_pes = n_pes;
    coherence->tuning = tuning != NULL ? *tuning : hth_tuning_shipped;
    coherence->scratch = hth_scratch_new(port, n_pes, coherence->tuning.batch);
    hth_update_init(coherence);
}

void hth_coherence_fini(struct hth_coherence *coherence)
{
    if (coherence->scratch == NULL) {
        return;
    }
    hth_update_fini(coherence);
    hth_scratch_free(coherence->port, coherence->scratch);
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
    region->cache = coherence->cache.limit_bytes != 0 ? &coherence->cache : NULL;
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

/* Before any lock is taken: the page's first touch decides its home. */
static void settle_home(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    if (__atomic_load_n(&r->pages[page].home_plus_1, __ATOMIC_RELAXED) == 0 &&
        hth_homes_lookup(r->homes, page) == HTH_HOME_OPEN) {
        hth_claim_settle(c->port, r, page);
    }
}

void hth_coherence_fault(struct hth_coherence *coherence, struct hth_region *region, uint64_t page,
                         bool write)
{
    if (region->has_claims) {
        settle_home(coherence, region, page);
    }
    if (region->cache != NULL && hth_page_known_home(region, page) != coherence->my_pe) {
        /* A frame, and a twin. Before any lock is taken: see cache.c. */
        hth_cache_make_room(coherence, write ? 2 * region->page_bytes : region->page_bytes);
    }
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

void hth_coherence_limit(struct hth_coherence *coherence, uint64_t cache_bytes)
{
    if (cache_bytes > coherence->cache.limit_bytes) {
        coherence->cache.limit_bytes = cache_bytes;
    }
}

void hth_coherence_evict_pages(struct hth_coherence *coherence, struct hth_region *region,
                               const uint64_t *pages, unsigned n)
{
    switch (hth_scheme_of(region)) {
    case HTH_INVALIDATE:
        hth_invalidate_evict(coherence, region, pages, n);
        break;
    case HTH_UPDATE:
        hth_update_evict(coherence, region, pages, n);
        break;
    case HTH_SEQUENTIAL:
        hth_sequential_evict(coherence, region, pages, n);
        break;
    }
    hth_cache_give_back(coherence, region, pages, n);
}

void hth_coherence_evict(struct hth_coherence *coherence, struct hth_region *region, uint64_t page)
{
    hth_wait_for_release_lock(coherence);
    bool pinned = hth_page_is_pinned(region, page);
    if (!pinned && hth_is_copy(hth_page_state(&region->pages[page]))) {
        hth_coherence_evict_pages(coherence, region, &page, 1);
    }
    hth_port_unlock(coherence->port, &coherence->release_lock);
}

static void set_pinned(struct hth_coherence *coherence, struct hth_region *region, uint64_t first,
                       uint64_t end)
{
    hth_wait_for_release_lock(coherence); /* an eviction has it to its end */
    region->pinned_first = first;
    region->pinned_end = end;
    hth_port_unlock(coherence->port, &coherence->release_lock);
    /* Pairs with hth_page_is_pinned_now and with an acquire (drop_pinned), which make a page busy
     * and then look whether it is pinned: if they have not seen that, they have the page busy now.
     */
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t page = first; page < end; page++) {
        if (atomic_load_explicit(&region->pages[page].busy.word, memory_order_relaxed) != 0) {
            hth_wait_for_busy(coherence, region, page);
            hth_busy_done(coherence, region, page);
        }
    }
}

void hth_coherence_pin(struct hth_coherence *coherence, struct hth_region *region,
                       uint64_t first_page, uint64_t n_pages)
{
    set_pinned(coherence, region, first_page, first_page + n_pages);
}

void hth_coherence_unpin(struct hth_coherence *coherence, struct hth_region *region)
{
    set_pinned(coherence, region, 0, 0);
}

void hth_coherence_advise(struct hth_coherence *coherence, struct hth_region *region,
                          uint64_t first_page, unsigned n_pages, enum hth_advice advice)
{
    if (region->cache != NULL && n_pages > 0) {
        /* For all of it, if that leaves half of what there is. */
        uint64_t wanted = 2 * n_pages * region->page_bytes, half = coherence->cache.limit_bytes / 2;
        hth_cache_make_room(coherence, wanted < half ? wanted : half);
    }
    switch (hth_scheme_of(region)) {
    case HTH_INVALIDATE:
        hth_invalidate_advise(coherence, region, first_page, n_pages, advice);
        break;
    case HTH_UPDATE:
        hth_update_advise(coherence, region, first_page, n_pages, advice);
        break;
    case HTH_SEQUENTIAL: /* one after another: what is given is held for a moment only */
        for (uint64_t page = first_page; page < first_page + n_pages; page++) {
            hth_coherence_fault(coherence, region, page, advice != HTH_ADVICE_READ);
        }
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
    struct hth_page *entry = &region->pages[page];
    if (entry->extent != 0) { /* what comes to lie here will be used in another way */
        atomic_store_explicit(&entry->extent, 0, memory_order_relaxed);
        atomic_store_explicit(&entry->stride, 0, memory_order_relaxed);
    }
}

void hth_coherence_forget(struct hth_coherence *coherence, struct hth_region *region,
                          uint64_t first_page, uint64_t n_pages)
{
    /* Not beside a release, of pages on the dirty list, nor beside an acquire, which may be told of
     * them by what other threads do meanwhile. */
    hth_coherence_lock(coherence);
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
        hth_cache_gone(region, page);
    }
    if (region->has_claims) {
        hth_claim_clear(coherence->port, region, first_page, n_pages);
    }
    hth_port_punch(coherence->port, region, first_page, n_pages);
    if (first_page <= region->pinned_first && first_page + n_pages >= region->pinned_end) {
        region->pinned_first = region->pinned_end = 0;
    }
    hth_coherence_unlock(coherence);
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
        hth_invalidate_handle(coherence, region, from, message, bytes);
        break;
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
