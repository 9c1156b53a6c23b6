/* SPDX-License-Identifier: BSD-3-Clause */
/* A region changes its protocol. docs/protocols.md "Changing the protocol".
 *
 * The three protocols share a page's entry, but not what its fields mean: `side` is a twin, a
 * published image or a ledger, `listed` of the one is `deferred` of the other. So a region goes
 * from one to another through the state that all have in common, that of a page that nobody has
 * touched: the bytes at the home, no copies, no bookkeeping anywhere. That takes three steps, and
 * after each all PEs wait for each other. The caller has the barriers; before the first step there
 * is one too, behind a release: from then on diffs, updates and requests for pages are done, for
 * each was waited for by a thread that has come to the barrier since.
 *
 * 1. begin, drop: copies go, and in the sequential protocol owners send their pages home and wait
 *    until they are there. First the hints are taken: another PE can register at a home that has
 *    never touched the page and so has no entry for it, and taking the hint makes one.
 *    Not together with step 2: the home takes a writeback for what its ledger says.
 * 2. reset: with no copy left anywhere, homes forget copysets, published images and ledgers, and
 *    may write all their pages. Until then another thread's release (for other regions) could find
 *    a page of this one and tell of it, which does no harm: a copy that is gone is told in vain.
 *    Not together with step 3: a stale bit could be set after its PE has taken its map.
 * 3. end: nobody tells anyone any more; what was told is thrown away, and the fields change.
 *
 * A frame that held a copy keeps its memory: the next protocol is likely to fetch the page again.
 */
#include "protocol/coherence.h"
#include "protocol/directory.h"
#include "protocol/scratch.h"

/* Pages whose bytes are all under way at once. */
static unsigned batch(const struct hth_region *r)
{
    uint64_t n = (UINT64_C(1) << 20) / r->page_bytes;
    return n == 0 ? 1 : n < HTH_BATCH ? (unsigned)n : HTH_BATCH;
}

/* The next pages of *page ... end - 1, at most `max`, that this PE is home to, or is not. */
static unsigned next_pages(struct hth_coherence *c, struct hth_region *r, bool homed_here,
                           uint64_t *page, uint64_t end, uint64_t *pages, unsigned max)
{
    unsigned n = 0;
    for (; *page < end && n < max; (*page)++) {
        if ((hth_page_known_home(r, *page) == c->my_pe) == homed_here) {
            pages[n++] = *page;
        }
    }
    return n;
}

void hth_coherence_forget_pages(struct hth_coherence *c, struct hth_region *r,
                                const uint64_t *pages, unsigned n, enum hth_view view)
{
    uint64_t seen[HTH_BATCH] = {0}; /* those that have a view to change */
    unsigned n_seen = 0;
    for (unsigned i = 0; i < n; i++) {
        if (hth_page_state(&r->pages[pages[i]]) != HTH_PAGE_INVALID) { /* or EXCLUSIVE */
            seen[n_seen++] = pages[i];
        }
    }
    hth_protect_runs(c->port, r, seen, n_seen, view);
    for (unsigned i = 0; i < n; i++) {
        struct hth_page *entry = &r->pages[pages[i]];
        hth_coherence_forget_page(c, r, pages[i]);
        if (hth_scheme_of(r) == HTH_SEQUENTIAL) { /* elsewhere these are the dirty list's */
            entry->deferred = 0;
            entry->hold_until_ns = 0;
        }
    }
}

void hth_coherence_change_begin(struct hth_coherence *coherence, struct hth_region *region)
{
    /* Nobody waits for a page, so what alarms are set have nothing to do, nor will there be more.
     */
    hth_port_alarm_cancel(coherence->port, region);
    hth_wait_for_release_lock(coherence);
    if (hth_scheme_of(region) == HTH_INVALIDATE) {
        hth_invalidate_take_hints(coherence, region);
    }
    hth_port_unlock(coherence->port, &coherence->release_lock);
}

void hth_coherence_change_drop(struct hth_coherence *coherence, struct hth_region *region,
                               uint64_t first_page, uint64_t n_pages)
{
    uint64_t pages[HTH_BATCH], page = first_page;
    unsigned n;
    hth_coherence_lock(coherence);
    while ((n = next_pages(coherence, region, false, &page, first_page + n_pages, pages,
                           batch(region))) > 0) {
        if (hth_scheme_of(region) == HTH_SEQUENTIAL) {
            hth_sequential_evict(coherence, region, pages, n);
        }
        hth_coherence_forget_pages(coherence, region, pages, n, HTH_VIEW_NONE);
    }
    hth_coherence_unlock(coherence);
}

void hth_coherence_change_reset(struct hth_coherence *coherence, struct hth_region *region,
                                uint64_t first_page, uint64_t n_pages)
{
    uint64_t pages[HTH_BATCH], page = first_page;
    unsigned n;
    hth_coherence_lock(coherence);
    while ((n = next_pages(coherence, region, true, &page, first_page + n_pages, pages,
                           HTH_BATCH)) > 0) {
        hth_coherence_forget_pages(coherence, region, pages, n, HTH_VIEW_WRITE);
    }
    hth_coherence_unlock(coherence);
}

static void told_in_vain(void *arg, uint64_t first_bit, uint64_t bits)
{
    (void)arg;
    (void)first_bit;
    (void)bits;
}

void hth_coherence_change_end(struct hth_coherence *coherence, struct hth_region *region,
                              enum hearth_protocol protocol, enum hearth_consistency consistency)
{
    struct hth_port *port = coherence->port;
    uint64_t pages[HTH_BATCH];
    hth_coherence_lock(coherence);
    /* Pages that were homed here, or were freed while on the list. */
    for (uint64_t list = hth_dirty_detach(port, region); list != 0;) {
        hth_dirty_take(port, region, &list, pages, HTH_BATCH);
    }
    if (hth_scheme_of(region) == HTH_INVALIDATE) {
        hth_bitmap_take(port, region, &region->stale, told_in_vain, NULL);
    }
    /* Who reads these: releases and acquires of any thread, under the two locks; faults and
     * handlers of messages, none of which is under way and the next of which comes after the
     * barrier that follows; alarms, none of which is set; and a question for a page's owner, which
     * a thread that breaks the rules may ask just now, under the home lock. */
    hth_port_short_lock(port, &region->home_lock);
    atomic_store_explicit(&region->protocol, protocol, memory_order_relaxed);
    atomic_store_explicit(&region->consistency, consistency, memory_order_relaxed);
    hth_port_short_unlock(port, &region->home_lock);
    region->pinned_first = region->pinned_end = 0;
    hth_coherence_unlock(coherence);
}
