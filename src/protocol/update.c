/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-update, release consistency: the home publishes. DESIGN 3.2; docs/models/update.pml.
 *
 * The home of a page with subscribers keeps its *published* image: what every copy holds. A release
 * sends the bytes where a frame differs from its twin (at the home: from the published image) to
 * the home, which forwards them to the other subscribers; it completes when all have applied
 * them. An acquire does nothing. What makes that right, each with the model's name for dropping it:
 *
 * - Each byte of a frame is read once for a diff, into the twin or the published image, and the
 *   diff is made from there, never from the frame again (BUG_REREAD).
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

#include "protocol/ahead.h"
#include "protocol/diff.h"
#include "protocol/heat.h"
#include "protocol/scratch.h"
#include "protocol/update.h"
#include "protocol/write_ahead.h"

/* --- faults --- */

/* Pages that are on their way. The first `here` of them have come. */
struct awaited {
    const struct hth_region *r;
    const struct hth_bundle *bundle;
    unsigned here;
};

static bool have_come(void *awaited)
{
    struct awaited *a = awaited;
    while (a->here < a->bundle->n &&
           hth_page_state(&a->r->pages[a->bundle->pages[a->here]]) != HTH_PAGE_INVALID) {
        a->here++;
    }
    return a->here == a->bundle->n;
}

/* Subscribe to pages that are all busy, with one message to each home, and wait for them. */
static void subscribe(struct hth_coherence *c, struct hth_region *r,
                      const struct hth_bundle *bundle)
{
    uint64_t pages[HTH_TOGETHER];
    unsigned from = 0, n;
    int home;
    hth_bundle_populate(c, r, bundle);
    while ((n = hth_bundle_next_home(bundle, &from, &home, pages)) > 0) {
        struct hth_update_head *head = hth_port_message_new(c->port, home);
        *head = (struct hth_update_head){HTH_MSG_SUBSCRIBE, r->id, n};
        memcpy(head + 1, pages, n * sizeof pages[0]);
        hth_count(&r->counts.messages, 1);
        hth_update_post(c, home, head, sizeof *head + n * sizeof pages[0]);
    }
    struct awaited awaited = {r, bundle, 0};
    struct hth_wait why = {HTH_WAIT_PAGE, r, bundle->pages[0]};
    hth_port_wait(c->port, have_come, &awaited, &why);
}

/* Page lock held: set the view that the page's state allows, making it writable if asked to. True:
 * it was not, by its state. */
static bool map(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    struct hth_page *p = &r->pages[page];
    bool home = hth_page_home(c->port, r, page) == c->my_pe;
    bool made = write && hth_make_written(c, r, page);
    enum hth_page_state state = hth_page_state(p);
    if (state == HTH_PAGE_INVALID && !home) {
        return false; /* evicted meanwhile: it faults again */
    }
    bool readable = state == HTH_PAGE_CLEAN || state == HTH_PAGE_TRACKED;
    hth_port_protect(c->port, r, page, 1, readable ? HTH_VIEW_READ : HTH_VIEW_WRITE);
    return made;
}

/* The page, unless it is here, and what is expected to be asked for next. Busy held: no state of
 * these pages changes meanwhile but by DATA, so their views need no page lock. */
static void bring(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write,
                  const struct hth_span *ahead)
{
    struct hth_page *p = &r->pages[page];
    struct hth_window window;
    struct hth_bundle bundle;
    uint64_t held = HTH_NO_PAGE;
    if (hth_page_state(p) == HTH_PAGE_INVALID) {
        hth_count(&r->counts.read_misses, !write);
        window = hth_ahead_missed(c, r, page, ahead);
        held = page;
    } else if (p->marker != HTH_MARKER_NONE) {
        window = hth_ahead_reached(c, r, page);
    } else {
        return;
    }
    hth_ahead_collect(c, r, &window, held, &bundle);
    if (bundle.n > 0) {
        subscribe(c, r, &bundle);
        hth_ahead_place(c, r, &window, held, false, &bundle);
    }
}

void hth_update_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    hth_wait_for_busy(c, r, page);
    struct hth_span ahead = write ? hth_write_ahead(c, r, page) : (struct hth_span){0};
    if (hth_page_home(c->port, r, page) != c->my_pe) {
        bring(c, r, page, write, &ahead);
    }
    hth_page_lock(c, r, page);
    bool made = map(c, r, page, write);
    hth_page_unlock(c, r, page);
    if (made) {
        hth_count(&r->counts.write_faults, 1);
        hth_make_writable(c, r, ahead.first, ahead.n, true);
    }
    hth_busy_done(c, r, page);
}

void hth_update_advise(struct hth_coherence *c, struct hth_region *r, uint64_t first_page,
                       unsigned n, enum hth_advice advice)
{
    struct hth_window window = hth_ahead_advised(first_page, n);
    struct hth_bundle bundle;
    hth_ahead_collect(c, r, &window, HTH_NO_PAGE, &bundle);
    if (bundle.n > 0) {
        subscribe(c, r, &bundle);
        hth_ahead_place(c, r, &window, HTH_NO_PAGE, false, &bundle);
    }
    if (advice == HTH_ADVICE_READ) {
        return;
    }
    /* Overwriting saves nothing: the home takes a diff from subscribers only, and sends them the
     * page. */
    hth_make_writable(c, r, first_page, n, false);
}

/* --- release --- */

/* What a batch of a release has sent. Summed here: an atomic addition a page would wait, page for
 * page, for the page's stores to reach the caches. */
struct sent {
    uint64_t diffs, updates, bytes;
};

static void count_sent(struct hth_region *r, const struct sent *sent)
{
    hth_count(&r->counts.diffs, sent->diffs);
    hth_count(&r->counts.updates, sent->updates);
    hth_count(&r->counts.bytes_out, sent->bytes);
}

/* Home lock and page lock held. Publish what differs from the published image, if anything does. */
static bool publish(struct hth_coherence *c, struct hth_region *r, uint64_t page, struct sent *sent)
{
    struct hth_update *u = c->update;
    struct hth_publication *publication = r->pages[page].side;
    bool changed = false;
    for (uint64_t offset = 0; offset < r->page_bytes; offset += HTH_SLICE) {
        uint32_t bytes = hth_slice_bytes(r, offset);
        uint8_t *published = publication->image + offset;
        size_t runs = hth_diff_take(hth_frame(r, page) + offset, published, bytes, u->mask);
        if (runs == 0) {
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
                    n = hth_diff_encode(published, u->mask, runs, bytes, (uint8_t *)(e + 1));
                } else {
                    n = first->bytes;
                    memcpy(e + 1, first + 1, n);
                }
                *e = (struct hth_update_entry){page, (uint32_t)offset, (uint32_t)n};
                hth_outbox_commit(&u->release_box, pe, e);
                first = e;
                sent->bytes += n;
                hth_port_trace(c->port, r, page, HTH_EVENT_UPDATE, pe);
            }
        }
    }
    if (changed) {
        sent->diffs++;
        sent->updates += publication->n_subscribers;
    }
    return changed;
}

/* Lock those of these pages that were written and have subscribers still, and return how many; what
 * else was written becomes exclusive. */
static unsigned lock_written(struct hth_coherence *c, struct hth_region *r, uint64_t *pages,
                             unsigned n)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        struct hth_page *p = &r->pages[pages[i]];
        hth_page_lock(c, r, pages[i]);
        if (hth_page_state(p) == HTH_PAGE_WRITTEN && p->side != NULL) {
            c->scratch->hot[kept] = hth_heat_stays(c, p);
            pages[kept++] = pages[i];
            continue;
        }
        if (hth_page_state(p) == HTH_PAGE_WRITTEN) { /* the last subscriber has left */
            hth_page_set_state(c->port, r, pages[i], HTH_PAGE_EXCLUSIVE);
            hth_port_protect(c->port, r, pages[i], 1, HTH_VIEW_WRITE);
        }
        hth_page_unlock(c, r, pages[i]);
    }
    return kept;
}

/* Those of these pages that are hot, or those that are not, into `listed`. */
static unsigned list_hot(struct hth_scratch *s, const uint64_t *pages, unsigned n, bool hot)
{
    unsigned n_listed = 0;
    for (unsigned i = 0; i < n; i++) {
        if (s->hot[i] == hot) {
            s->listed[n_listed++] = pages[i];
        }
    }
    return n_listed;
}

/* Those of the batch that this PE is home to. The page locks are kept until the messages are
 * posted. */
static void release_home_pages(struct hth_coherence *c, struct hth_region *r, uint64_t *pages,
                               unsigned n)
{
    struct hth_update *u = c->update;
    struct hth_scratch *s = c->scratch;
    struct sent sent = {0};
    hth_outbox_begin(&u->release_box, HTH_MSG_UPDATE, r, HTH_COOKIE_OWN);
    hth_port_short_lock(c->port, &r->home_lock);
    bool backwards = hth_heat_backwards(c, r, pages[0]);
    n = lock_written(c, r, pages, n);
    /* What is written to a hot page from the diff on is for the next release. */
    hth_dirty_add_all(c->port, r, s->listed, list_hot(s, pages, n, true));
    hth_protect_runs(c->port, r, s->listed, list_hot(s, pages, n, false), HTH_VIEW_READ);
    for (unsigned k = 0; k < n; k++) {
        unsigned i = backwards ? n - 1 - k : k;
        if (!s->hot[i]) {
            hth_page_set_state(c->port, r, pages[i], HTH_PAGE_TRACKED);
        }
        hth_heat_note(c, r, &r->pages[pages[i]], publish(c, r, pages[i], &sent), s->hot[i]);
    }
    hth_outbox_post_all(c, r, &u->release_box);
    for (unsigned i = 0; i < n; i++) {
        hth_page_unlock(c, r, pages[i]);
    }
    hth_port_short_unlock(c->port, &r->home_lock);
    count_sent(r, &sent);
}

/* Page lock held: the changed bytes of a dirty copy, into the message to its home. If it is hot,
 * the twin is kept and becomes what was sent. */
static void diff_copy(struct hth_coherence *c, struct hth_region *r, uint64_t page, int home,
                      bool hot, struct sent *sent)
{
    struct hth_update *u = c->update;
    struct hth_page *p = &r->pages[page];
    uint64_t named = 0;
    for (uint64_t offset = 0; offset < r->page_bytes; offset += HTH_SLICE) {
        uint32_t bytes = hth_slice_bytes(r, offset);
        uint8_t *twin = (uint8_t *)p->side + offset;
        size_t runs = hth_diff_take(hth_frame(r, page) + offset, twin, bytes, u->mask);
        if (runs == 0) {
            continue;
        }
        struct hth_update_entry *e =
            hth_outbox_entry(c, r, &u->release_box, home, HTH_DIFF_BYTES_MAX(bytes));
        size_t n = hth_diff_encode(twin, u->mask, runs, bytes, (uint8_t *)(e + 1));
        *e = (struct hth_update_entry){page, (uint32_t)offset, (uint32_t)n};
        hth_outbox_commit(&u->release_box, home, e);
        named += n;
    }
    if (named > 0) {
        sent->diffs++;
        sent->bytes += named;
        hth_port_trace(c->port, r, page, HTH_EVENT_DIFF, (int64_t)named);
    }
    hth_heat_note(c, r, p, named > 0, hot);
    if (!hot) {
        hth_port_free(c->port, p->side, r->page_bytes);
        p->side = NULL;
    }
}

/* The first n of scratch, copies; with `drop` none stays writable. The page locks are kept until
 * the messages are posted. */
static void release_copies(struct hth_coherence *c, struct hth_region *r, unsigned n, bool drop)
{
    struct hth_update *u = c->update;
    struct hth_scratch *s = c->scratch;
    struct sent sent = {0};
    unsigned n_dirty = 0;
    hth_outbox_begin(&u->release_box, HTH_MSG_DIFF, r, HTH_COOKIE_OWN);
    for (unsigned i = 0; i < n; i++) {
        uint64_t page = s->pages[i];
        hth_page_lock(c, r, page);
        if (hth_page_state(&r->pages[page]) != HTH_PAGE_DIRTY) {
            hth_page_unlock(c, r, page);
            continue;
        }
        s->hot[n_dirty] = !drop && hth_heat_stays(c, &r->pages[page]);
        s->homes[n_dirty] = s->homes[i];
        s->pages[n_dirty++] = page;
    }
    /* What is written to a hot page from the diff on is for the next release. */
    hth_dirty_add_all(c->port, r, s->listed, list_hot(s, s->pages, n_dirty, true));
    hth_protect_runs(c->port, r, s->listed, list_hot(s, s->pages, n_dirty, false), HTH_VIEW_READ);
    bool backwards = n_dirty > 0 && hth_heat_backwards(c, r, s->pages[0]);
    for (unsigned k = 0; k < n_dirty; k++) {
        unsigned i = backwards ? n_dirty - 1 - k : k;
        if (!s->hot[i]) {
            hth_page_set_state(c->port, r, s->pages[i], HTH_PAGE_CLEAN);
        }
        diff_copy(c, r, s->pages[i], s->homes[i], s->hot[i], &sent);
    }
    hth_outbox_post_all(c, r, &u->release_box);
    for (unsigned i = 0; i < n_dirty; i++) {
        hth_page_unlock(c, r, s->pages[i]);
    }
    count_sent(r, &sent);
}

/* Up to a batch of ascending pages; with `drop`, none stays writable. Release lock held. */
static void release_pages(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n, bool drop)
{
    struct hth_scratch *s = c->scratch;
    unsigned n_mine = 0, n_copies = 0;
    for (unsigned i = 0; i < n; i++) {
        if (r->pages[pages[i]].home_plus_1 == 0) {
            continue; /* freed since it was listed */
        }
        int home = hth_page_home(c->port, r, pages[i]);
        if (home == c->my_pe) {
            s->told[n_mine++] = pages[i];
        } else {
            s->homes[n_copies] = home;
            s->pages[n_copies++] = pages[i];
        }
    }
    if (n_mine > 0) {
        release_home_pages(c, r, s->told, n_mine);
    }
    if (n_copies > 0) {
        release_copies(c, r, n_copies, drop);
    }
}

static bool all_acknowledged(void *update)
{
    struct hth_update *u = update;
    return atomic_load_explicit(&u->outstanding, memory_order_acquire) == 0;
}

void hth_update_wait(struct hth_coherence *c)
{
    struct hth_wait why = {HTH_WAIT_ACKS, NULL, 0};
    hth_port_wait(c->port, all_acknowledged, c->update, &why);
}

void hth_update_release(struct hth_coherence *c, struct hth_region *r)
{
    uint64_t list = hth_dirty_detach(c->port, r);
    unsigned n;
    if (list != 0) {
        hth_count(&r->counts.releases, 1);
    }
    while ((n = hth_dirty_take(c->port, r, &list, c->scratch->taken, hth_batch(c, r))) > 0) {
        release_pages(c, r, c->scratch->taken, n, false);
    }
    hth_update_wait(c);
}

/* Page lock held: end a clean copy. */
static void unsubscribe(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    if (hth_page_state(&r->pages[page]) == HTH_PAGE_CLEAN) {
        hth_port_protect(c->port, r, page, 1, HTH_VIEW_NONE);
        hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
        hth_count(&r->counts.invalidations, 1);
        /* Acknowledged, so that none is under way when the page is forgotten; the next release
         * waits for it. */
        atomic_fetch_add_explicit(&c->update->outstanding, 1, memory_order_relaxed);
        hth_update_send(c, r, hth_page_home(c->port, r, page), HTH_MSG_UNSUBSCRIBE, page);
    }
}

void hth_update_evict(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                      unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        hth_wait_for_busy(c, r, pages[i]);
    }
    for (unsigned done = 0; done < n; done += hth_batch(c, r)) {
        unsigned left = n - done;
        release_pages(c, r, pages + done, left < hth_batch(c, r) ? left : hth_batch(c, r), true);
    }
    hth_update_wait(c);
    for (unsigned i = 0; i < n; i++) {
        hth_page_lock(c, r, pages[i]);
        unsubscribe(c, r, pages[i]);
        hth_page_unlock(c, r, pages[i]);
        hth_busy_done(c, r, pages[i]);
    }
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
    if (p->state == 0 && p->side == NULL && p->heat == 0) {
        return;
    }
    hth_page_lock(c, r, page);
    p->heat = 0;
    if (hth_page_known_home(r, page) != c->my_pe) {
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
    u->mask = hth_port_alloc(c->port, HTH_DIFF_MASK_BYTES(HTH_SLICE));
    hth_outbox_init(c, &u->release_box);
    hth_outbox_init(c, &u->handler_box);
    c->update = u;
}

void hth_update_fini(struct hth_coherence *c)
{
    struct hth_update *u = c->update;
    hth_outbox_fini(c, &u->release_box);
    hth_outbox_fini(c, &u->handler_box);
    hth_port_free(c->port, u->mask, HTH_DIFF_MASK_BYTES(HTH_SLICE));
    if (u->n_forwards > 0) {
        hth_port_free(c->port, u->forwards, u->n_forwards * sizeof *u->forwards);
    }
    hth_port_free(c->port, u, sizeof *u);
}
