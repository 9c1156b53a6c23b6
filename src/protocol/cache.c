/* SPDX-License-Identifier: BSD-3-Clause */
/* The bounded cache: HEARTH_CACHE_BYTES.
 *
 * What is bounded is memory: that of the frames that copies lie in, which a copy's end does not
 * give back by itself (it is likely to be fetched again), and that of twins. A page is *cached*
 * from the moment when it becomes a copy until its frame's memory has been given back. It is
 * counted where states change (hth_page_set_state), so no protocol has to be told; home pages never
 * are.
 *
 * A fault that finds the limit reached evicts some pages, up to BATCH at once, before it takes its
 * own page's busy bit. Which: a clock. The hand goes round the regions' pages by address; a page
 * that was fetched or written since it last came by is passed over, once. What is read without a
 * fault leaves no trace, so a page in use may go, and is fetched again, once a round of the hand at
 * most. The hand is guarded by the release lock, which an eviction needs anyway.
 *
 * An eviction ends the copy as the protocol has it (released first if dirty), which leaves the page
 * invalid, view none. Then, under busy again, which is only tried: a page that another thread wants
 * by now stays; and under the page lock a look at its state, since a handler that gives the page up
 * copies its bytes in the same section. From there on nobody looks at the frame until it is fetched
 * anew, for which one must have busy: so its memory can go.
 *
 * Pages that are pinned stay. If nothing can go the limit is exceeded, by a page for each thread
 * that faults; nobody waits for room. */
#include "protocol/cache.h"

#include "protocol/coherence.h"
#include "protocol/scratch.h"

#define BATCH 32u

/* --- giving memory back --- */

/* Take busy, unless that is to wait; true: the page is no copy any more. */
static bool take_ended(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *entry = &r->pages[page];
    if (!hth_port_trylock(c->port, &entry->busy)) {
        return false;
    }
    hth_port_short_lock(c->port, &entry->lock);
    bool ended = hth_page_state(entry) == HTH_PAGE_INVALID;
    hth_port_short_unlock(c->port, &entry->lock);
    if (!ended) {
        hth_busy_done(c, r, page);
    }
    return ended;
}

void hth_cache_give_back(struct hth_coherence *coherence, struct hth_region *region,
                         const uint64_t *pages, unsigned n)
{
    unsigned end;
    for (unsigned i = 0; i < n; i = end) {
        end = i;
        while (end < n && pages[end] - pages[i] == end - i &&
               take_ended(coherence, region, pages[end])) {
            end++;
        }
        if (end == i) { /* wanted again already */
            end++;
            continue;
        }
        hth_port_punch(coherence->port, region, pages[i], end - i);
        for (unsigned j = i; j < end; j++) {
            hth_cache_gone(region, pages[j]);
            hth_busy_done(coherence, region, pages[j]);
        }
        hth_count(&region->counts.evictions, end - i);
    }
}

/* --- the clock --- */

/* May the hand take this page? One that was touched it passes over, this time. */
static bool may_go(struct hth_region *r, uint64_t page)
{
    uint8_t mark = atomic_load_explicit(&r->cached[page], memory_order_relaxed);
    if (mark == HTH_CACHED_TOUCHED) {
        /* Not if it is touched again just now, or gone. */
        atomic_compare_exchange_strong_explicit(&r->cached[page], &mark, HTH_CACHED,
                                                memory_order_relaxed, memory_order_relaxed);
        return false;
    }
    return mark == HTH_CACHED && !hth_page_is_pinned(r, page);
}

/* Go on from the hand to the end of its region; up to `max` pages that may go. */
static unsigned sweep(struct hth_cache *cache, struct hth_region *r, uint64_t *pages, unsigned max)
{
    uint64_t page = cache->hand_page;
    unsigned n = 0;
    while (page < r->n_pages && n < max) {
        if (atomic_load_explicit(&r->cached_in[page / HTH_CACHE_CHUNK], memory_order_relaxed) ==
            0) {
            page = (page / HTH_CACHE_CHUNK + 1) * HTH_CACHE_CHUNK;
            continue;
        }
        if (may_go(r, page)) {
            pages[n++] = page;
        }
        page++;
    }
    cache->hand_page = page;
    return n;
}

/* Ascending pages of one region that are to go; none after two rounds: there are none. */
static unsigned choose(struct hth_coherence *c, uint64_t need_bytes, struct hth_region **region_out,
                       uint64_t *pages)
{
    struct hth_cache *cache = &c->cache;
    /* The region that the hand begins in, in its middle, is come by three times. */
    for (uint32_t visits = 2 * c->n_regions + 1; visits > 0; visits--) {
        if (cache->hand_region >= c->n_regions) {
            cache->hand_region = 0;
            cache->hand_page = 0;
        }
        struct hth_region *r =
            atomic_load_explicit(&c->regions[cache->hand_region], memory_order_acquire);
        if (r != NULL) {
            /* Not the whole of a small cache at once. */
            uint64_t quarter = cache->limit_bytes / 4 / r->page_bytes;
            uint64_t need = (need_bytes - 1) / r->page_bytes + 1;
            uint64_t max = need > quarter ? need : quarter;
            unsigned n = sweep(cache, r, pages, max < BATCH ? (unsigned)max : BATCH);
            if (n > 0) {
                *region_out = r;
                return n;
            }
        }
        cache->hand_region++;
        cache->hand_page = 0;
    }
    return 0;
}

static bool is_over(struct hth_cache *cache, uint64_t bytes)
{
    return cache->limit_bytes != 0 &&
           atomic_load_explicit(&cache->used_bytes, memory_order_relaxed) + bytes >
               cache->limit_bytes;
}

void hth_cache_make_room(struct hth_coherence *coherence, uint64_t bytes)
{
    struct hth_cache *cache = &coherence->cache;
    struct hth_region *region;
    uint64_t pages[BATCH];
    unsigned n;
    if (!is_over(cache, bytes)) {
        return;
    }
    hth_wait_for_release_lock(coherence);
    while (is_over(cache, bytes) && (n = choose(coherence, bytes, &region, pages)) > 0) {
        hth_coherence_evict_pages(coherence, region, pages, n);
    }
    hth_port_unlock(coherence->port, &coherence->release_lock);
}
