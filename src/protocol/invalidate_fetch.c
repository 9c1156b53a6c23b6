/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-invalidate: faults, and how pages come here. See invalidate.c for the rules, ahead.c for
 * which pages come together. They are registered together and fetched together, each home's as a
 * miss of one page would do it. */
#include "protocol/ahead.h"
#include "protocol/diff.h"
#include "protocol/heat.h"
#include "protocol/scratch.h"
#include "protocol/write_ahead.h"

/* --- fetching --- */

static void register_all(struct hth_coherence *c, struct hth_region *r,
                         const struct hth_bundle *bundle)
{
    uint64_t pages[HTH_TOGETHER];
    unsigned from = 0, n;
    int home;
    while ((n = hth_bundle_next_home(bundle, &from, &home, pages)) > 0) {
        unsigned new = 0;
        for (unsigned i = 0; i < n; i++) {
            if (!r->pages[pages[i]].registered) {
                pages[new ++] = pages[i];
            }
        }
        if (new > 0) {
            hth_directory_register(c->port, r, pages, new, home);
        }
    }
}

/* A get for each run of pages with one home, then a flush for each home. To where the pages are, or
 * one after another to `aside`. */
static void get_all(struct hth_coherence *c, struct hth_region *r, const struct hth_bundle *bundle,
                    uint8_t *aside)
{
    uint8_t *to = aside;
    uint64_t pages[HTH_TOGETHER];
    unsigned from = 0, n, end;
    int home;
    while ((n = hth_bundle_next_home(bundle, &from, &home, pages)) > 0) {
        for (unsigned i = 0; i < n; i = end) {
            end = i + 1;
            while (end < n && pages[end] == pages[end - 1] + 1) {
                end++;
            }
            hth_port_get(c->port, r, home, pages[i] * r->page_bytes,
                         aside == NULL ? hth_frame(r, pages[i]) : to, (end - i) * r->page_bytes);
            to += aside == NULL ? 0 : (end - i) * r->page_bytes;
        }
    }
    from = 0;
    while (hth_bundle_next_home(bundle, &from, &home, pages) > 0) {
        hth_port_flush_frames(c->port, r, home);
    }
}

static void count_fetched(struct hth_region *r, unsigned n)
{
    hth_count(&r->counts.pages_fetched, n);
    hth_count(&r->counts.bytes_in, n * r->page_bytes);
}

/* `window`: of how many pages that are expected to be read. */
static void fetch(struct hth_coherence *c, struct hth_region *r, const struct hth_bundle *bundle,
                  unsigned window)
{
    hth_bundle_populate(c, r, bundle);
    register_all(c, r, bundle);
    get_all(c, r, bundle, NULL);
    for (unsigned i = 0; i < bundle->n; i++) {
        hth_wanted_note(c, &r->pages[bundle->pages[i]], window);
        r->pages[bundle->pages[i]].registered = 1; /* and touched */
        hth_page_set_state(c->port, r, bundle->pages[i], HTH_PAGE_CLEAN);
        hth_port_trace(c->port, r, bundle->pages[i], HTH_EVENT_FETCH, bundle->homes[i]);
    }
    count_fetched(r, bundle->n);
}

void hth_invalidate_refresh_clean(struct hth_coherence *c, struct hth_region *r,
                                  const struct hth_bundle *bundle)
{
    get_all(c, r, bundle, NULL);
    for (unsigned i = 0; i < bundle->n; i++) {
        hth_port_trace(c->port, r, bundle->pages[i], HTH_EVENT_FETCH, bundle->homes[i]);
    }
    count_fetched(r, bundle->n);
    hth_count(&r->counts.refreshes, bundle->n);
}

void hth_invalidate_refresh(struct hth_coherence *c, struct hth_region *r,
                            const struct hth_bundle *bundle)
{
    uint64_t pages[HTH_TOGETHER];
    unsigned from = 0, n;
    int home;
    size_t bytes = bundle->n * r->page_bytes;
    uint8_t *fresh = hth_port_alloc(c->port, bytes), *at = fresh;
    get_all(c, r, bundle, fresh);
    while ((n = hth_bundle_next_home(bundle, &from, &home, pages)) > 0) {
        for (unsigned i = 0; i < n; i++, at += r->page_bytes) {
            struct hth_page *entry = &r->pages[pages[i]];
            hth_diff_merge(at, entry->side, hth_frame(r, pages[i]), r->page_bytes);
            entry->registered = 1; /* and likely to be touched */
            hth_port_trace(c->port, r, pages[i], HTH_EVENT_FETCH, home);
        }
    }
    hth_port_free(c->port, fresh, bytes);
    count_fetched(r, bundle->n);
    hth_count(&r->counts.refreshes, bundle->n);
}

/* --- faults --- */

static void fault_at_home(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    if (hth_page_state(&r->pages[page]) != HTH_PAGE_TRACKED) { /* EXCLUSIVE, WRITTEN */
        hth_port_protect(c->port, r, page, 1, HTH_VIEW_WRITE);
        return;
    }
    if (!write) {
        hth_port_protect(c->port, r, page, 1, HTH_VIEW_READ);
        return;
    }
    struct hth_span ahead = hth_write_ahead(c, r, page);
    hth_make_written(c, r, page);
    hth_port_protect(c->port, r, page, 1, HTH_VIEW_WRITE);
    hth_count(&r->counts.write_faults, 1);
    hth_make_writable(c, r, ahead.first, ahead.n, true);
}

/* The page, unless it is here, and what is expected to be asked for next. Of that, what is to be
 * written, too. */
static void bring(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write,
                  const struct hth_span *ahead)
{
    struct hth_page *entry = &r->pages[page];
    struct hth_window window;
    struct hth_bundle bundle;
    uint64_t held = HTH_NO_PAGE;
    if (hth_page_state(entry) == HTH_PAGE_INVALID) {
        window = hth_ahead_missed(c, r, page, ahead);
        held = page;
    } else if (entry->marker != HTH_MARKER_NONE) {
        window = hth_ahead_reached(c, r, page);
    } else {
        return;
    }
    hth_ahead_collect(c, r, &window, held, &bundle);
    if (bundle.n > 0) {
        fetch(c, r, &bundle, window.marker != HTH_MARKER_NONE ? window.n : 0);
        for (unsigned i = 0; i < bundle.n; i++) { /* as if each had been missed */
            uint64_t other = bundle.pages[i];
            if (other != held && other != hth_ahead_marker(&window, held, &bundle) &&
                (hth_heat_is_hot(c, &r->pages[other]) || hth_span_has(ahead, other))) {
                hth_make_dirty(c, r, other);
            }
        }
        hth_ahead_place(c, r, &window, held, !write, &bundle);
    }
}

static void fault_on_copy(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    struct hth_page *entry = &r->pages[page];
    bool missing = hth_page_state(entry) == HTH_PAGE_INVALID;
    if (missing) {
        hth_count(write ? &r->counts.write_faults : &r->counts.read_misses, 1);
    } else if (write && hth_page_state(entry) == HTH_PAGE_CLEAN) {
        hth_count(&r->counts.write_faults, 1);
    }
    /* A page that migrates is written soon after its miss. */
    bool coming = missing || entry->marker != HTH_MARKER_NONE;
    bool writable = write || (coming && hth_heat_is_hot(c, entry));
    struct hth_span ahead = write ? hth_write_ahead(c, r, page) : (struct hth_span){0};
    bring(c, r, page, writable, &ahead);
    if (writable && hth_page_state(entry) == HTH_PAGE_CLEAN) {
        hth_make_dirty(c, r, page);
    }
    if (missing && !writable) {
        return; /* its view was set along with those of the pages fetched with it */
    }
    bool dirty = hth_page_state(entry) == HTH_PAGE_DIRTY;
    hth_port_protect(c->port, r, page, 1, dirty ? HTH_VIEW_WRITE : HTH_VIEW_READ);
    hth_make_writable(c, r, ahead.first, ahead.n, true);
}

void hth_invalidate_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    hth_wait_for_busy(c, r, page);
    if (hth_page_home(c->port, r, page) == c->my_pe) {
        fault_at_home(c, r, page, write);
    } else {
        fault_on_copy(c, r, page, write);
    }
    hth_busy_done(c, r, page);
}

/* --- advice --- */

/* Pages that are not here and whose bytes the program is about to replace: dirty without a twin,
 * which to a release is a page of which every byte was written. What the frame holds until then is
 * what it held, which the program has said it does not care for. Registered like any copy, before
 * the release that will make it one. */
static void overwrite(struct hth_coherence *c, struct hth_region *r, uint64_t first, unsigned n)
{
    struct hth_window window = hth_ahead_advised(first, n);
    struct hth_bundle bundle;
    uint64_t pages[HTH_TOGETHER];
    unsigned from = 0;
    int home;
    hth_ahead_collect(c, r, &window, HTH_NO_PAGE, &bundle);
    register_all(c, r, &bundle);
    while (hth_bundle_next_home(&bundle, &from, &home, pages) > 0) {
        hth_port_flush_words(c->port, r, home); /* no get follows that would show it done */
    }
    for (unsigned i = 0; i < bundle.n; i++) {
        hth_page_set_state(c->port, r, bundle.pages[i], HTH_PAGE_DIRTY);
        hth_dirty_add(c->port, r, bundle.pages[i]);
    }
    hth_protect_runs(c->port, r, bundle.pages, bundle.n, HTH_VIEW_WRITE);
    for (unsigned i = 0; i < bundle.n; i++) {
        hth_busy_done(c, r, bundle.pages[i]);
    }
}

void hth_invalidate_advise(struct hth_coherence *c, struct hth_region *r, uint64_t first_page,
                           unsigned n, enum hth_advice advice)
{
    if (advice == HTH_ADVICE_OVERWRITE) {
        overwrite(c, r, first_page, n);
    } else {
        struct hth_window window = hth_ahead_advised(first_page, n);
        struct hth_bundle bundle;
        hth_ahead_collect(c, r, &window, HTH_NO_PAGE, &bundle);
        if (bundle.n > 0) {
            fetch(c, r, &bundle, 0);
            hth_ahead_place(c, r, &window, HTH_NO_PAGE, false, &bundle);
        }
    }
    if (advice != HTH_ADVICE_READ) {
        hth_make_writable(c, r, first_page, n, false);
    }
}
