/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-update, release consistency: the home publishes. DESIGN 3.2; docs/models/update.pml.
 *
 * The home of a page with subscribers keeps its *published* image: what every copy holds. A release
 * sends the bytes where a frame differs from its twin (at the home: from the published image) to
 * the home, which forwards them to the other subscribers; it completes when all have applied
 * them. An acquire does nothing. What makes that right, each with the model's name for dropping it:
 *
 * - Each byte of a frame is read once for a diff, into a private image; twin and published image
 *   are set from that, never from the frame again (BUG_REREAD).
 * - The handler of DATA writes it into the frame, not the thread it wakes: an UPDATE may come
 *   between (BUG_DATALATE).
 * - An UPDATE goes into the twin as well, else a later diff sends a neighbour's old byte again
 *   (BUG_NOTWIN).
 * - At the home, snapshot and answer, apply and forward, diff and post are each one section of the
 *   home lock: what is posted inside a lock arrives in the order of the lock.
 * - Unsubscribing happens under the release lock and busy, with 'view none' and UNSUBSCRIBE in one
 *   page-lock section (BUG_NORELLOCK). An UPDATE for a page not held is dropped and acknowledged.
 *
 * A page's diff travels in slices of at most SLICE bytes, so that it fits a message. */
#include <string.h>

#include "protocol/diff.h"
#include "protocol/scratch.h"
#include "protocol/update.h"

/* --- faults --- */

static bool has_copy(void *page)
{
    return hth_page_state(page) != HTH_PAGE_INVALID;
}

/* Page lock held: set the view that the page's state allows, making it writable if asked to. */
static void map(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    struct hth_page *p = &r->pages[page];
    bool home = hth_page_home(c->port, r, page) == c->my_pe;
    enum hth_page_state state = hth_page_state(p);
    if (write && home && state == HTH_PAGE_TRACKED) {
        hth_page_set_state(c->port, r, page, HTH_PAGE_WRITTEN);
        hth_dirty_add(c->port, r, page);
        hth_count(&r->counts.write_faults, 1);
    } else if (write && state == HTH_PAGE_CLEAN) {
        p->side = hth_port_alloc(c->port, r->page_bytes);
        memcpy(p->side, hth_frame(r, page), r->page_bytes);
        hth_page_set_state(c->port, r, page, HTH_PAGE_DIRTY);
        hth_dirty_add(c->port, r, page);
        hth_count(&r->counts.write_faults, 1);
    }
    state = hth_page_state(p);
    if (state == HTH_PAGE_INVALID && !home) {
        return; /* evicted meanwhile: it faults again */
    }
    bool readable = state == HTH_PAGE_CLEAN || state == HTH_PAGE_TRACKED;
    hth_port_protect(c->port, r, page, 1, readable ? HTH_VIEW_READ : HTH_VIEW_WRITE);
}

void hth_update_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    struct hth_page *p = &r->pages[page];
    hth_wait_for_busy(c, r, page);
    int home = hth_page_home(c->port, r, page);
    if (home != c->my_pe && hth_page_state(p) == HTH_PAGE_INVALID) {
        if (!write) {
            hth_count(&r->counts.read_misses, 1);
        }
        hth_update_send(c, r, home, HTH_MSG_SUBSCRIBE, page);
        struct hth_wait why = {HTH_WAIT_PAGE, r, page};
        hth_port_wait(c->port, has_copy, p, &why);
    }
    hth_page_lock(c, r, page);
    map(c, r, page, write);
    hth_page_unlock(c, r, page);
    hth_busy_done(c, r, page);
}

/* --- release --- */

/* Home lock and page lock held. Publish what differs from the published image. */
static void publish(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_update *u = c->update;
    struct hth_publication *publication = r->pages[page].side;
    bool changed = false;
    for (uint64_t offset = 0; offset < r->page_bytes; offset += HTH_SLICE) {
        uint32_t bytes = hth_slice_bytes(r, offset);
        uint8_t *published = publication->image + offset;
        memcpy(u->image, hth_frame(r, page) + offset, bytes); /* each byte once */
        if (hth_diff_unequal(u->image, published, 0, bytes) == bytes) {
            continue;
        }
        changed = true;
        const struct hth_update_entry *first = NULL; /* the diff is made once, then copied */
        for (uint64_t w = 0; w < c->scratch->words; w++) {
            for (uint64_t left = publication->copyset[w]; left != 0; left &= left - 1) {
                int pe = (int)(w * 64 + (uint64_t)__builtin_ctzll(left));
                struct hth_update_entry *e =
                    hth_outbox_entry(c, r, &u->release_box, pe, HTH_DIFF_BYTES_MAX(bytes));
                size_t n;
                if (first == NULL) {
                    n = hth_diff_encode(u->image, published, bytes, (uint8_t *)(e + 1));
                } else {
                    n = first->bytes;
                    memcpy(e + 1, first + 1, n);
                }
                *e = (struct hth_update_entry){page, (uint32_t)offset, (uint32_t)n};
                hth_outbox_commit(&u->release_box, pe, e);
                first = e;
                hth_count(&r->counts.bytes_out, n);
                hth_port_trace(c->port, r, page, HTH_EVENT_UPDATE, pe);
            }
        }
        memcpy(published, u->image, bytes);
    }
    if (changed) {
        hth_count(&r->counts.diffs, 1);
        hth_count(&r->counts.updates, publication->n_subscribers);
    }
}

/* Those of the batch that this PE is home to. */
static void release_home_pages(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                               unsigned n)
{
    struct hth_update *u = c->update;
    hth_outbox_begin(&u->release_box, HTH_MSG_UPDATE, r, HTH_COOKIE_OWN);
    hth_port_short_lock(c->port, &r->home_lock);
    for (unsigned i = 0; i < n; i++) {
        hth_page_lock(c, r, pages[i]);
        if (hth_page_state(&r->pages[pages[i]]) == HTH_PAGE_WRITTEN) {
            if (r->pages[pages[i]].side == NULL) { /* the last subscriber has left */
                hth_page_set_state(c->port, r, pages[i], HTH_PAGE_EXCLUSIVE);
                hth_port_protect(c->port, r, pages[i], 1, HTH_VIEW_WRITE);
            } else {
                hth_port_protect(c->port, r, pages[i], 1, HTH_VIEW_READ);
                hth_page_set_state(c->port, r, pages[i], HTH_PAGE_TRACKED);
                publish(c, r, pages[i]);
            }
        }
        hth_page_unlock(c, r, pages[i]);
    }
    hth_outbox_post_all(c, r, &u->release_box);
    hth_port_short_unlock(c->port, &r->home_lock);
}

/* Page lock held: the changed bytes of a dirty copy, into the message to its home. */
static void diff_copy(struct hth_coherence *c, struct hth_region *r, uint64_t page, int home)
{
    struct hth_update *u = c->update;
    struct hth_page *p = &r->pages[page];
    uint64_t named = 0;
    for (uint64_t offset = 0; offset < r->page_bytes; offset += HTH_SLICE) {
        uint32_t bytes = hth_slice_bytes(r, offset);
        const uint8_t *twin = (const uint8_t *)p->side + offset;
        memcpy(u->image, hth_frame(r, page) + offset, bytes); /* each byte once */
        struct hth_update_entry *e =
            hth_outbox_entry(c, r, &u->release_box, home, HTH_DIFF_BYTES_MAX(bytes));
        size_t n = hth_diff_encode(u->image, twin, bytes, (uint8_t *)(e + 1));
        *e = (struct hth_update_entry){page, (uint32_t)offset, (uint32_t)n};
        if (n > 0) {
            hth_outbox_commit(&u->release_box, home, e);
            named += n;
        }
    }
    if (named > 0) {
        hth_count(&r->counts.diffs, 1);
        hth_count(&r->counts.bytes_out, named);
        hth_port_trace(c->port, r, page, HTH_EVENT_DIFF, (int64_t)named);
    }
    hth_port_free(c->port, p->side, r->page_bytes);
    p->side = NULL;
}

/* The copies of the batch. The page locks are kept until the messages are posted. */
static void release_copies(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                           const int *homes, unsigned n)
{
    struct hth_update *u = c->update;
    uint64_t dirty[HTH_BATCH];
    int home[HTH_BATCH];
    unsigned n_dirty = 0;
    hth_outbox_begin(&u->release_box, HTH_MSG_DIFF, r, HTH_COOKIE_OWN);
    for (unsigned i = 0; i < n; i++) {
        hth_page_lock(c, r, pages[i]);
        if (hth_page_state(&r->pages[pages[i]]) == HTH_PAGE_DIRTY) {
            home[n_dirty] = homes[i];
            dirty[n_dirty++] = pages[i];
        } else {
            hth_page_unlock(c, r, pages[i]);
        }
    }
    hth_protect_runs(c->port, r, dirty, n_dirty, HTH_VIEW_READ);
    for (unsigned i = 0; i < n_dirty; i++) {
        hth_page_set_state(c->port, r, dirty[i], HTH_PAGE_CLEAN);
        diff_copy(c, r, dirty[i], home[i]);
    }
    hth_outbox_post_all(c, r, &u->release_box);
    for (unsigned i = 0; i < n_dirty; i++) {
        hth_page_unlock(c, r, dirty[i]);
    }
}

static void release_pages(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n)
{
    uint64_t mine[HTH_BATCH], copies[HTH_BATCH];
    int homes[HTH_BATCH];
    unsigned n_mine = 0, n_copies = 0;
    for (unsigned i = 0; i < n; i++) {
        if (r->pages[pages[i]].home_plus_1 == 0) {
            continue; /* freed since it was listed */
        }
        int home = hth_page_home(c->port, r, pages[i]);
        if (home == c->my_pe) {
            mine[n_mine++] = pages[i];
        } else {
            homes[n_copies] = home;
            copies[n_copies++] = pages[i];
        }
    }
    if (n_mine > 0) {
        release_home_pages(c, r, mine, n_mine);
    }
    if (n_copies > 0) {
        release_copies(c, r, copies, homes, n_copies);
    }
}

static bool all_acknowledged(void *update)
{
    struct hth_update *u = update;
    return atomic_load_explicit(&u->outstanding, memory_order_acquire) == 0;
}

static void wait_for_acknowledgements(struct hth_coherence *c)
{
    struct hth_wait why = {HTH_WAIT_ACKS, NULL, 0};
    hth_port_wait(c->port, all_acknowledged, c->update, &why);
}

void hth_update_release(struct hth_coherence *c, struct hth_region *r)
{
    uint64_t list = hth_dirty_detach(c->port, r);
    uint64_t pages[HTH_BATCH];
    unsigned n;
    if (list != 0) {
        hth_count(&r->counts.releases, 1);
    }
    while ((n = hth_dirty_take(c->port, r, &list, pages, HTH_BATCH)) > 0) {
        release_pages(c, r, pages, n);
    }
    wait_for_acknowledgements(c);
}

void hth_update_evict(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_wait_for_release_lock(c);
    hth_wait_for_busy(c, r, page);
    release_pages(c, r, &page, 1);
    wait_for_acknowledgements(c);
    hth_page_lock(c, r, page);
    if (hth_page_state(&r->pages[page]) == HTH_PAGE_CLEAN) {
        hth_port_protect(c->port, r, page, 1, HTH_VIEW_NONE);
        hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
        hth_count(&r->counts.invalidations, 1);
        /* Acknowledged, so that none is under way when the page is forgotten; the next release
         * waits for it. */
        atomic_fetch_add_explicit(&c->update->outstanding, 1, memory_order_relaxed);
        hth_update_send(c, r, hth_page_home(c->port, r, page), HTH_MSG_UNSUBSCRIBE, page);
    }
    hth_page_unlock(c, r, page);
    hth_busy_done(c, r, page);
    hth_port_unlock(c->port, &c->release_lock);
}

/* --- memory management --- */

void hth_update_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                     uint64_t offset_bytes, uint64_t len_bytes)
{
    hth_page_lock(c, r, page);
    hth_page_home(c->port, r, page);
    hth_page_zero(c->port, r, page, offset_bytes, len_bytes);
    hth_page_unlock(c, r, page);
}

void hth_update_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *p = &r->pages[page];
    if (p->state == 0 && p->side == NULL) {
        return;
    }
    hth_page_lock(c, r, page);
    if (hth_homes_lookup(r->homes, page) != c->my_pe) {
        if (p->side != NULL) {
            hth_port_free(c->port, p->side, r->page_bytes);
            p->side = NULL;
        }
    } else if (p->side != NULL) {
        hth_unpublish(c, r, page);
    }
    hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
    hth_page_unlock(c, r, page);
}

void hth_update_init(struct hth_coherence *c)
{
    struct hth_update *u = hth_port_alloc(c->port, sizeof *u);
    memset(u, 0, sizeof *u);
    u->image = hth_port_alloc(c->port, HTH_SLICE);
    hth_outbox_init(c, &u->release_box);
    hth_outbox_init(c, &u->handler_box);
    c->update = u;
}

void hth_update_fini(struct hth_coherence *c)
{
    struct hth_update *u = c->update;
    hth_outbox_fini(c, &u->release_box);
    hth_outbox_fini(c, &u->handler_box);
    hth_port_free(c->port, u->image, HTH_SLICE);
    if (u->n_forwards > 0) {
        hth_port_free(c->port, u->forwards, u->n_forwards * sizeof *u->forwards);
    }
    hth_port_free(c->port, u, sizeof *u);
}
