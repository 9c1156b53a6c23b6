/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-invalidate, release consistency. DESIGN 3.1; docs/models/invalidate.pml.
 *
 * All one-sided: no other PE's CPU takes part. At a release the writer's bytes go to the home, then
 * every other registered PE's stale bit is set; at an acquire a PE drops, or fetches anew, the
 * pages whose bits it finds. What makes that right, each with the model's name for dropping it:
 *
 * - A miss registers in the copyset, then sets the hint, then gets (HINTBEFORE, NOHINT). A releaser
 *   puts and flushes, then reads the copyset (READFIRST). So either it sees the reader and tells
 *   it, or the reader's get comes after the put.
 * - A page is busy from 'view read' until its diff is flushed (DIFFNOBUSY, PUTNOBUSY), and faults
 *   and drops wait for that (FAULTNOBUSY, ACQNOBUSY): else an acquire drops the page while its
 *   bytes are under way, a miss brings the old ones back, and nobody will tell us.
 * - A drop that finds a page dirty releases it under the release lock and keeps busy through 'view
 *   none' (DROPNORELLOCK, DROPGAP).
 * - Registering and unregistering are done under busy, flag and atomic both (UNREGNOBUSY,
 *   UNREGLATE).
 * - At the home, the hint is cleared before the copyset is read (HINTLAST).
 *
 * Where this differs from DESIGN's text: a hint found for a page that is not exclusive is cleared
 * too. The hint matters only once the page is exclusive again, which a release makes it after it
 * has read an empty copyset; a PE that registers after that read sets its hint after it, so later
 * than this release's scan, and the next release finds it (model: -DHINTANY). */
#include <string.h>

#include "protocol/ahead.h"
#include "protocol/coherence.h"
#include "protocol/directory.h"
#include "protocol/heat.h"
#include "protocol/scratch.h"

/* --- release --- */

/* Tell every PE in the pages' copysets, but the home and this PE, that its copy is stale. */
static void tell(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                 const int *homes, unsigned n)
{
    struct hth_scratch *s = c->scratch;
    memset(s->everyone, 0, s->words * sizeof(uint64_t));
    for (unsigned i = 0; i < n; i++) {
        uint64_t *set = &s->copysets[i * s->words];
        set[c->my_pe / 64] &= ~(UINT64_C(1) << c->my_pe % 64);
        set[homes[i] / 64] &= ~(UINT64_C(1) << homes[i] % 64);
        for (uint64_t w = 0; w < s->words; w++) {
            s->everyone[w] |= set[w];
        }
    }
    for (unsigned level = 0; level < 3; level++) {
        for (uint64_t w = 0; w < s->words; w++) {
            for (uint64_t left = s->everyone[w]; left != 0; left &= left - 1) {
                unsigned bit = (unsigned)__builtin_ctzll(left);
                int pe = (int)(w * 64 + bit);
                unsigned n_told = 0;
                for (unsigned i = 0; i < n; i++) {
                    if (s->copysets[i * s->words + w] >> bit & 1) {
                        s->told[n_told++] = pages[i];
                        if (level == 0) {
                            hth_port_trace(c->port, r, pages[i], HTH_EVENT_TELL, pe);
                        }
                    }
                }
                hth_bitmap_post(c->port, r, pe, &r->stale, level, s->told, n_told);
                if (level == 0) {
                    hth_count(&r->counts.stale_notices, n_told);
                }
            }
        }
        for (uint64_t w = 0; w < s->words; w++) {
            for (uint64_t left = s->everyone[w]; left != 0; left &= left - 1) {
                int pe = (int)(w * 64 + (uint64_t)__builtin_ctzll(left));
                if (level < 2) {
                    hth_port_order_words(c->port, r, pe);
                } else {
                    hth_port_flush_words(c->port, r, pe);
                }
            }
        }
    }
}

/* Of `n` ascending pages, all busy: keep those that were written, in scratch, busy, and but for the
 * hot ones with view read; when dropping, none is hot, and view none. Let go of the others (when
 * dropping: without a copy). Returns how many were kept. */
static unsigned keep_written(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                             unsigned n, bool drop)
{
    struct hth_scratch *s = c->scratch;
    unsigned kept = 0, n_protect = 0, n_clean = 0;
    for (unsigned i = 0; i < n; i++) {
        enum hth_page_state state = hth_page_state(&r->pages[pages[i]]);
        if (state == HTH_PAGE_DIRTY || state == HTH_PAGE_WRITTEN) {
            s->hot[kept] = state == HTH_PAGE_WRITTEN ? hth_heat_stays_home(c, r, pages[i])
                                                     : !drop && r->pages[pages[i]].side != NULL &&
                                                           hth_heat_stays(c, &r->pages[pages[i]]);
            if (!s->hot[kept]) {
                s->listed[n_protect++] = pages[i];
            }
            s->homes[kept] = hth_page_home(c->port, r, pages[i]);
            s->pages[kept++] = pages[i];
            continue;
        }
        if (drop && state == HTH_PAGE_CLEAN) {
            s->told[n_clean++] = pages[i]; /* free until there is somebody to tell */
            continue;
        }
        hth_busy_done(c, r, pages[i]);
    }
    hth_protect_runs(c->port, r, s->told, n_clean, HTH_VIEW_NONE);
    for (unsigned i = 0; i < n_clean; i++) {
        hth_page_set_state(c->port, r, s->told[i], HTH_PAGE_INVALID);
        hth_busy_done(c, r, s->told[i]);
    }
    hth_protect_runs(c->port, r, s->listed, n_protect, drop ? HTH_VIEW_NONE : HTH_VIEW_READ);
    return kept;
}

/* Their bytes have arrived: set the states, let go. Keeps in scratch those that copies are to be
 * told of, and returns how many. */
static unsigned let_go(struct hth_coherence *c, struct hth_region *r, unsigned kept, bool drop)
{
    struct hth_scratch *s = c->scratch;
    unsigned n_hot = 0, n_changed = 0;
    for (unsigned i = 0; i < kept; i++) {
        uint64_t page = s->pages[i];
        bool home = s->homes[i] == c->my_pe;
        if (s->hot[i]) {
            s->listed[n_hot++] = page; /* still written, as far as we know */
        } else if (home) {
            hth_page_set_state(c->port, r, page, HTH_PAGE_TRACKED);
        } else {
            hth_page_set_state(c->port, r, page, drop ? HTH_PAGE_INVALID : HTH_PAGE_CLEAN);
        }
        if (home || s->sent[i]) {
            s->homes[n_changed] = s->homes[i];
            s->pages[n_changed++] = page;
        }
        hth_busy_done(c, r, page);
    }
    /* Before another release can begin: what was written since the images is for that one. */
    hth_dirty_add_all(c->port, r, s->listed, n_hot);
    return n_changed;
}

/* A home's pages that no one else has a copy of any more cost nothing from here on. */
static void make_exclusive(struct hth_coherence *c, struct hth_region *r, unsigned kept)
{
    struct hth_scratch *s = c->scratch;
    unsigned n = 0;
    for (unsigned i = 0; i < kept; i++) {
        uint64_t others = 0;
        for (uint64_t w = 0; w < s->words; w++) {
            others |= s->copysets[i * s->words + w];
        }
        if (s->homes[i] == c->my_pe && others == 0) {
            hth_wait_for_busy(c, r, s->pages[i]);
            hth_page_set_state(c->port, r, s->pages[i], HTH_PAGE_EXCLUSIVE);
            hth_heat_alone(c, &r->pages[s->pages[i]]);
            s->listed[n++] = s->pages[i];
        }
    }
    hth_protect_runs(c->port, r, s->listed, n, HTH_VIEW_WRITE);
    for (unsigned i = 0; i < n; i++) {
        hth_busy_done(c, r, s->listed[i]);
    }
}

/* Release up to a batch of ascending pages; with `drop`, leave no copy of them. Release lock held.
 */
static void release_pages(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n, bool drop)
{
    struct hth_scratch *s = c->scratch;
    for (unsigned i = 0; i < n; i++) {
        hth_wait_for_busy(c, r, pages[i]);
    }
    unsigned kept = keep_written(c, r, pages, n, drop);
    hth_invalidate_write_back(c, r, kept);
    unsigned changed = let_go(c, r, kept, drop);
    hth_directory_read(c->port, r, s->pages, changed, s->copysets);
    tell(c, r, s->pages, s->homes, changed);
    make_exclusive(c, r, changed);
}

struct taker {
    struct hth_coherence *c;
    struct hth_region *r;
    struct told *told; /* of an acquire */
};

/* A page that was exclusive when somebody registered counts as written: what the home wrote on it
 * was not tracked. */
static void take_hints(void *arg, uint64_t first, uint64_t bits)
{
    struct taker *t = arg;
    for (; bits != 0; bits &= bits - 1) {
        uint64_t page = hth_directory_page(t->r, first + (uint64_t)__builtin_ctzll(bits));
        if (hth_page_known_home(t->r, page) != t->c->my_pe) {
            continue; /* freed since, or another's: a late hint */
        }
        hth_wait_for_busy(t->c, t->r, page);
        if (hth_page_state(&t->r->pages[page]) == HTH_PAGE_EXCLUSIVE) {
            hth_page_set_state(t->c->port, t->r, page, HTH_PAGE_WRITTEN);
            hth_dirty_add(t->c->port, t->r, page);
        }
        hth_busy_done(t->c, t->r, page);
    }
}

void hth_invalidate_take_hints(struct hth_coherence *c, struct hth_region *r)
{
    struct taker taker = {c, r, NULL};
    /* Pairs with a registrant's atomic on the hint, then its get: if we miss its hint below, its
     * get comes after what this PE has stored to the page, exclusive as it is. */
    atomic_thread_fence(memory_order_seq_cst);
    hth_bitmap_take(c->port, r, &r->hints, take_hints, &taker);
}

void hth_invalidate_release(struct hth_coherence *c, struct hth_region *r)
{
    hth_invalidate_take_hints(c, r);
    uint64_t list = hth_dirty_detach(c->port, r);
    unsigned n;
    if (list != 0) {
        hth_count(&r->counts.releases, 1);
    }
    while ((n = hth_dirty_take(c->port, r, &list, c->scratch->taken, hth_batch(c, r))) > 0) {
        release_pages(c, r, c->scratch->taken, n, false);
    }
}

/* --- acquire and eviction --- */

/* End the copies of n contiguous clean pages, all busy. */
static void drop_run(struct hth_coherence *c, struct hth_region *r, uint64_t first, unsigned n)
{
    if (n == 0) {
        return;
    }
    hth_port_protect(c->port, r, first, n, HTH_VIEW_NONE);
    for (uint64_t page = first; page < first + n; page++) {
        hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
        hth_busy_done(c, r, page);
    }
    hth_count(&r->counts.invalidations, n);
}

/* A copy that was written in each of the last epochs, and stayed writable, is refreshed instead of
 * dropped: it will be written again, and the fault, the fetch and the twin are most of what a
 * migrating page costs. */
static bool is_refreshed(const struct hth_coherence *c, const struct hth_page *entry)
{
    return entry->side != NULL && hth_heat_is_hot(c, entry);
}

/* What an acquire has made busy so far: contiguous clean pages to drop, and pages to refresh, clean
 * ones and such as are being written. */
struct told {
    uint64_t first;
    unsigned n_run;
    struct hth_bundle wanted, fresh;
};

/* What comes aside is merged while the cache still holds it. */
#define FRESH_MAX 64u

static unsigned wanted_max(const struct hth_coherence *c, const struct hth_region *r)
{
    unsigned batch = hth_batch(c, r);
    return batch < HTH_TOGETHER ? batch : HTH_TOGETHER;
}

static void end_run(struct hth_coherence *c, struct hth_region *r, struct told *told)
{
    drop_run(c, r, told->first, told->n_run);
    told->n_run = 0;
}

static void let_go_of(struct hth_coherence *c, struct hth_region *r, struct hth_bundle *bundle)
{
    for (unsigned i = 0; i < bundle->n; i++) {
        hth_busy_done(c, r, bundle->pages[i]);
    }
    bundle->n = 0;
}

/* Of pages to refresh, all busy: drop those that are being freed or moved, since their home may
 * have given their memory back. */
static void drop_pinned(struct hth_coherence *c, struct hth_region *r, struct hth_bundle *bundle)
{
    unsigned n = bundle->n;
    atomic_thread_fence(memory_order_seq_cst); /* pairs with set_pinned (coherence.c) */
    if (r->pinned_end == 0) {
        return;
    }
    bundle->n = 0;
    for (unsigned i = 0; i < n; i++) {
        if (hth_page_is_pinned(r, bundle->pages[i])) {
            drop_run(c, r, bundle->pages[i], 1);
        } else {
            hth_bundle_add(bundle, bundle->pages[i], bundle->homes[i]);
        }
    }
}

static void end_told(struct hth_coherence *c, struct hth_region *r, struct told *told)
{
    end_run(c, r, told);
    if (told->wanted.n > 0) {
        drop_pinned(c, r, &told->wanted);
        hth_invalidate_refresh_clean(c, r, &told->wanted);
    }
    if (told->fresh.n > 0) {
        hth_invalidate_refresh(c, r, &told->fresh);
    }
    let_go_of(c, r, &told->wanted);
    let_go_of(c, r, &told->fresh);
}

/* A busy page is to be refreshed. */
static void refresh_later(struct hth_coherence *c, struct hth_region *r, struct told *told,
                          struct hth_bundle *bundle, uint64_t page)
{
    hth_bundle_add(bundle, page, hth_page_home(c->port, r, page));
    if (told->wanted.n + told->fresh.n == wanted_max(c, r) || told->fresh.n == FRESH_MAX) {
        end_told(c, r, told);
    }
}

static void make_busy(struct hth_coherence *c, struct hth_region *r, struct told *told,
                      uint64_t page)
{
    if (told->n_run > 0 && page != told->first + told->n_run) {
        end_run(c, r, told);
    }
    /* No waiting for one page with others held. */
    bool held = told->n_run + told->wanted.n + told->fresh.n > 0;
    if (held && hth_port_trylock(c->port, &r->pages[page].busy)) {
        return;
    }
    if (held) {
        end_told(c, r, told);
    }
    hth_wait_for_busy(c, r, page);
}

/* A page that was told of, and that is not here: busy, and no run of others is. */
static void told_in_vain(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *entry = &r->pages[page];
    int home = entry->registered ? hth_page_known_home(r, page) : HTH_HOME_NONE;
    if (home < 0) { /* freed just now, while this thread was on its way */
    } else if (entry->registered < c->tuning.vain_notices) {
        entry->registered++;
    } else { /* no longer interested */
        hth_wanted_no_more(c, entry);
        hth_directory_unregister(c->port, r, page, home);
    }
}

static void take_stale(void *arg, uint64_t first, uint64_t bits)
{
    struct taker *t = arg;
    struct hth_coherence *c = t->c;
    struct hth_region *r = t->r;
    struct told *told = t->told;
    uint64_t dirty[64];
    unsigned n_dirty = 0;
    for (; bits != 0; bits &= bits - 1) {
        uint64_t page = first + (uint64_t)__builtin_ctzll(bits);
        struct hth_page *entry = &r->pages[page];
        hth_port_trace(c->port, r, page, HTH_EVENT_TOLD, 0);
        make_busy(c, r, told, page);
        switch (hth_page_state(entry)) {
        case HTH_PAGE_CLEAN:
            if (hth_wanted_stays(c, entry)) {
                refresh_later(c, r, told, &told->wanted, page);
            } else {
                told->first = told->n_run == 0 ? page : told->first;
                if (++told->n_run == hth_batch(c, r)) {
                    end_run(c, r, told);
                }
            }
            continue;
        case HTH_PAGE_DIRTY:
            if (is_refreshed(c, entry)) {
                refresh_later(c, r, told, &told->fresh, page);
                continue;
            }
            dirty[n_dirty++] = page;
            break;
        case HTH_PAGE_INVALID: /* told, and not touched since it was told last */
            end_run(c, r, told);
            told_in_vain(c, r, page);
            break;
        case HTH_PAGE_TRACKED: /* a late notice about memory that was freed and is mine now */
        case HTH_PAGE_WRITTEN:
        case HTH_PAGE_OWNED: /* not in this protocol */
        case HTH_PAGE_AWAY:
            break;
        }
        hth_busy_done(c, r, page);
        end_run(c, r, told);
    }
    if (n_dirty > 0) {
        end_told(c, r, told); /* a release waits for busy with that lock held */
        hth_wait_for_release_lock(c);
        hth_invalidate_evict(c, r, dirty, n_dirty);
        hth_port_unlock(c->port, &c->release_lock);
        hth_count(&r->counts.invalidations, n_dirty);
    }
}

void hth_invalidate_acquire(struct hth_coherence *c, struct hth_region *r)
{
    struct told told;
    struct taker taker = {c, r, &told};
    told.n_run = told.wanted.n = told.fresh.n = 0;
    if (hth_bitmap_take(c->port, r, &r->stale, take_stale, &taker)) {
        end_told(c, r, &told);
        hth_count(&r->counts.acquires, 1);
    }
}

void hth_invalidate_evict(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n)
{
    for (unsigned done = 0; done < n; done += hth_batch(c, r)) {
        unsigned left = n - done;
        release_pages(c, r, pages + done, left < hth_batch(c, r) ? left : hth_batch(c, r), true);
    }
}

/* --- memory management --- */

void hth_invalidate_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                         uint64_t offset_bytes, uint64_t len_bytes)
{
    hth_wait_for_busy(c, r, page); /* a release must not come between the note and the write */
    hth_page_zero(c->port, r, page, offset_bytes, len_bytes);
    hth_busy_done(c, r, page);
}

void hth_invalidate_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *entry = &r->pages[page];
    bool home = hth_page_known_home(r, page) == c->my_pe;
    if (entry->side != NULL) {
        if (!home) {
            hth_port_free(c->port, entry->side, r->page_bytes);
        }
        entry->side = NULL; /* or the sum */
    }
    if (entry->heat != 0) {
        entry->heat = 0;
    }
    if (entry->wanted != 0 || entry->trust != 0) {
        entry->wanted = 0;
        entry->trust = 0;
    }
    if (entry->state != 0) {
        hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
    }
    if (entry->registered) {
        entry->registered = 0;
    }
    if (home) {
        hth_directory_clear(c->port, r, page);
    }
}
