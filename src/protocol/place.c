/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages get another home. docs/protocols.md "Placing".
 *
 * As when a protocol is changed (change.c), pages go through the state of a page that nobody has
 * touched; but their bytes go with them, and other pages of the region are in use meanwhile. The
 * caller has the barriers.
 *
 * 1. drop: copies end, as before a change, and the memory behind them goes back: the new home must
 *    find zeros where the old one has no memory and so sends nothing.
 * 2. move: each old home sends what it has, forgets the pages and may not touch them any more. Not
 *    together with step 1: the new home might still throw its copy's frame away, or a PE end a copy
 *    that it has written.
 * 3. end: everyone learns the new home, which may write the pages. Not together with step 2: it
 *    must not be used before the bytes have come, and until an old home has forgotten a page it
 *    must be the one that is asked.
 *
 * They stay pinned until a barrier after that: read-ahead would ask a new home that does not know
 * yet that it is one (found by the simulator).
 *
 * A page that lives at `pe` already stays as it is, with its copies. Who has never heard of a
 * page's home has nothing of it, so nobody need ask. */
#include "protocol/coherence.h"
#include "protocol/scratch.h"

/* How a PE stands to a page that is to live at `pe`. */
enum part { STAYS, COPY, OLD_HOME };

static enum part part_of(const struct hth_coherence *c, const struct hth_region *r, uint64_t page,
                         int pe)
{
    int home = hth_page_known_home(r, page);
    return home == pe ? STAYS : home == c->my_pe ? OLD_HOME : COPY;
}

/* The next run of pages of one part, at most HTH_BATCH; 0: none up to `end`. */
static unsigned next_run(const struct hth_coherence *c, const struct hth_region *r, enum part part,
                         int pe, uint64_t *page, uint64_t end, uint64_t *pages)
{
    unsigned n = 0;
    while (*page < end && n < HTH_BATCH) {
        bool is = part_of(c, r, *page, pe) == part;
        if (!is && n > 0) {
            break;
        }
        if (is) {
            pages[n++] = *page;
        }
        (*page)++;
    }
    return n;
}

static void send_bytes(struct hth_coherence *c, struct hth_region *r, uint64_t first, unsigned n,
                       int pe)
{
    bool any = false;
    for (uint64_t page = hth_port_next_used(c->port, r, first); page < first + n;
         page = hth_port_next_used(c->port, r, page + 1)) {
        hth_port_put(c->port, r, pe, page * r->page_bytes, hth_frame(r, page), r->page_bytes);
        hth_count(&r->counts.bytes_out, r->page_bytes);
        any = true;
    }
    if (any) {
        hth_port_flush_frames(c->port, r, pe);
    }
}

void hth_coherence_place_drop(struct hth_coherence *coherence, struct hth_region *region,
                              uint64_t first_page, uint64_t n_pages, int pe)
{
    uint64_t pages[HTH_BATCH], page = first_page;
    unsigned n;
    hth_coherence_lock(coherence);
    if (hth_scheme_of(region) == HTH_INVALIDATE) {
        /* So that none is left for a page that is homed elsewhere afterwards, and perhaps here
         * again one day. */
        hth_invalidate_take_hints(coherence, region);
    }
    while ((n = next_run(coherence, region, COPY, pe, &page, first_page + n_pages, pages)) > 0) {
        if (hth_scheme_of(region) == HTH_SEQUENTIAL) {
            hth_sequential_evict(coherence, region, pages, n);
        }
        hth_coherence_forget_pages(coherence, region, pages, n, HTH_VIEW_NONE);
        hth_port_punch(coherence->port, region, pages[0], n);
        for (unsigned i = 0; i < n; i++) {
            hth_cache_gone(region, pages[i]);
        }
    }
    hth_coherence_unlock(coherence);
}

void hth_coherence_place_move(struct hth_coherence *coherence, struct hth_region *region,
                              uint64_t first_page, uint64_t n_pages, int pe)
{
    uint64_t pages[HTH_BATCH], page = first_page;
    unsigned n;
    hth_coherence_lock(coherence);
    while ((n = next_run(coherence, region, OLD_HOME, pe, &page, first_page + n_pages, pages)) >
           0) {
        /* All of them: exclusive pages have a view and the state of an untouched one. */
        hth_port_protect(coherence->port, region, pages[0], n, HTH_VIEW_NONE);
        send_bytes(coherence, region, pages[0], n, pe);
        hth_coherence_forget_pages(coherence, region, pages, n, HTH_VIEW_NONE);
        hth_port_punch(coherence->port, region, pages[0], n);
    }
    hth_coherence_unlock(coherence);
}

void hth_coherence_place_end(struct hth_coherence *coherence, struct hth_region *region,
                             uint64_t first_page, uint64_t n_pages, int pe)
{
    hth_coherence_lock(coherence);
    hth_homes_move(region->homes, first_page, n_pages, pe);
    for (uint64_t page = first_page; page < first_page + n_pages; page++) {
        struct hth_page *entry = &region->pages[page];
        if (entry->home_plus_1 != 0) { /* what was dealt by claims, too */
            __atomic_store_n(&entry->home_plus_1, pe + 1, __ATOMIC_RELAXED);
        }
    }
    for (uint64_t page = first_page, end; pe == coherence->my_pe && page < first_page + n_pages;
         page = end + 1) {
        end = page; /* the run of those that nobody else has */
        while (end < first_page + n_pages &&
               hth_page_state(&region->pages[end]) == HTH_PAGE_EXCLUSIVE) {
            end++;
        }
        if (end > page) {
            hth_port_protect(coherence->port, region, page, end - page, HTH_VIEW_WRITE);
        }
    }
    hth_coherence_unlock(coherence);
}
