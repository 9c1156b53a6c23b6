/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-ahead. docs/protocols.md "Write-ahead".
 *
 * A fault on each page that is written is what release consistency costs a program that fills an
 * array, or that goes on with one whose pages have cooled. Next to a run of k pages that are being
 * written, a write fault makes the k on the other side writable with its own, so that n pages in
 * sequence, up or down, take about log n faults. No stream is kept for that, as read-ahead keeps
 * them: the states of the pages themselves say where a run is, for as many runs at once as the
 * program likes.
 *
 * It is all guessing, and a wrong guess costs no wrong byte: the page is as one on which the
 * program has written what it held. A release compares it with its twin (or published image), finds
 * nothing and protects it; but it may have been fetched for this, and stays registered (in
 * write-update subscribed) until it is dropped. Only a write-invalidate home has nothing to compare
 * with, and would tell its copies; there only pages are guessed that were hot before. As with
 * read-ahead (ahead.c), nothing is waited for, and no page is touched that is pinned. Another
 * allocation's pages would do no harm, but what was written here says nothing of them. */
#include "protocol/write_ahead.h"

#include <string.h>

#include "protocol/cache.h"
#include "protocol/scratch.h"
#include "protocol/update.h"

#define LOCKS_MAX 16u /* pages whose page locks are held at once: handlers wait for them */

/* --- which --- */

static bool is_written(const struct hth_region *r, uint64_t page)
{
    enum hth_page_state state = hth_page_state(&r->pages[page]);
    return state == HTH_PAGE_DIRTY || state == HTH_PAGE_WRITTEN;
}

/* How many pages next to this one are being written, one side of it (step 1 or -1), up to `max`. */
static unsigned run_beside(const struct hth_region *r, uint64_t page, int step, uint64_t max)
{
    unsigned n = 0;
    while (n < max && is_written(r, page + (uint64_t)step * (n + 1))) {
        n++;
    }
    return n;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Copies and their twins need memory, and what is guessed evicts nothing; the page that is written
 * comes first. A home's pages are where they are. */
static unsigned within_cache(const struct hth_coherence *c, const struct hth_region *r,
                             uint64_t page, uint64_t n)
{
    if (r->cache == NULL || hth_page_known_home(r, page) == c->my_pe) {
        return (unsigned)n;
    }
    uint64_t room = hth_cache_room(r) / (2 * r->page_bytes);
    return (unsigned)least(n, room > 0 ? room - 1 : 0);
}

struct hth_span hth_write_ahead(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_span span = {0};
    uint64_t max = least(c->tuning.write_ahead, r->ahead.window_max), first = 0, end = 0;
    bool beside =
        (page > 0 && is_written(r, page - 1)) || (page + 1 < r->n_pages && is_written(r, page + 1));
    if (max < 2 || !beside || !hth_homes_bounds(r->homes, page, &first, &end)) {
        return span;
    }
    uint64_t pages_below = page - first, pages_above = end - page - 1;
    unsigned below = run_beside(r, page, -1, least(max, pages_below));
    unsigned above = run_beside(r, page, 1, least(max, pages_above));
    if (above == 0) {
        span.upwards = true;
        span.n = within_cache(c, r, page, least(below, pages_above));
        span.first = page + 1;
    } else if (below == 0) {
        span.n = within_cache(c, r, page, least(above, pages_below));
        span.first = page - span.n;
    }
    return span;
}

/* --- making them writable --- */

void hth_make_dirty(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *entry = &r->pages[page];
    entry->side = hth_port_alloc(c->port, r->page_bytes);
    memcpy(entry->side, hth_frame(r, page), r->page_bytes);
    hth_page_set_state(c->port, r, page, HTH_PAGE_DIRTY);
    hth_dirty_add(c->port, r, page);
}

bool hth_make_written(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    switch (hth_page_state(&r->pages[page])) {
    case HTH_PAGE_CLEAN:
        hth_make_dirty(c, r, page);
        return true;
    case HTH_PAGE_TRACKED:
        hth_page_set_state(c->port, r, page, HTH_PAGE_WRITTEN);
        hth_dirty_add(c->port, r, page);
        return true;
    default:
        return false;
    }
}

/* Is it to be made writable? Under what guards the page's state. */
static bool is_for_it(const struct hth_region *r, uint64_t page, bool guess)
{
    const struct hth_page *entry = &r->pages[page];
    switch (hth_page_state(entry)) {
    case HTH_PAGE_CLEAN:
        return !guess || (entry->marker == HTH_MARKER_NONE && hth_cache_room(r) >= r->page_bytes);
    case HTH_PAGE_TRACKED:
        return !guess || hth_scheme_of(r) == HTH_UPDATE || entry->sum != 0;
    default:
        return false;
    }
}

/* Pages in sequence, all busy. In write-update a handler, or a release, may change states and views
 * meanwhile: so from the look at the state until the view is set, the page locks are held. */
static void make_run_writable(struct hth_coherence *c, struct hth_region *r, uint64_t first,
                              unsigned n, bool guess)
{
    uint64_t pages[HTH_ADVISE_MAX] = {first};
    unsigned made = 0;
    bool locked = hth_scheme_of(r) == HTH_UPDATE;
    for (uint64_t page = first; page < first + n; page++) {
        if (locked) {
            hth_page_lock(c, r, page);
        }
        if (!is_for_it(r, page, guess)) {
            continue;
        }
        r->pages[page].marker = HTH_MARKER_NONE; /* whether it is asked for will not be seen */
        hth_make_written(c, r, page);
        pages[made++] = page;
    }
    hth_protect_runs(c->port, r, pages, made, HTH_VIEW_WRITE);
    for (uint64_t page = first; page < first + n; page++) {
        if (locked) {
            hth_page_unlock(c, r, page);
        }
        hth_busy_done(c, r, page);
    }
}

/* Make the page busy, if it may be for it. */
static bool take(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool guess)
{
    enum hth_page_state state = hth_page_state(&r->pages[page]);
    if ((state != HTH_PAGE_CLEAN && state != HTH_PAGE_TRACKED) ||
        !hth_port_trylock(c->port, &r->pages[page].busy)) {
        return false;
    }
    if (guess && hth_page_is_pinned_now(r, page)) {
        hth_busy_done(c, r, page);
        return false;
    }
    return true;
}

void hth_make_writable(struct hth_coherence *c, struct hth_region *r, uint64_t first, unsigned n,
                       bool guess)
{
    unsigned together = hth_scheme_of(r) == HTH_UPDATE ? LOCKS_MAX : HTH_ADVISE_MAX;
    unsigned held = 0; /* the pages just before `page`, busy */
    together = together < c->tuning.batch ? together : c->tuning.batch;
    uint64_t page = first;
    for (; page < first + n; page++) {
        if (held == together) {
            make_run_writable(c, r, page - held, held, guess);
            held = 0;
        }
        if (take(c, r, page, guess)) {
            held++;
        } else if (held > 0) {
            make_run_writable(c, r, page - held, held, guess);
            held = 0;
        }
    }
    if (held > 0) {
        make_run_writable(c, r, page - held, held, guess);
    }
}
