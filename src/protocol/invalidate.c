/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-invalidate, release consistency. DESIGN 3.1; docs/models/invalidate.pml.
 *
 * All one-sided: no other PE's CPU takes part. At a release the writer's bytes go to the home, then
 * every other registered PE's stale bit is set; at an acquire a PE drops the pages whose bits it
 * finds. What makes that right, each with the model's name for dropping it:
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

#include "protocol/coherence.h"
#include "protocol/diff.h"
#include "protocol/directory.h"
#include "protocol/scratch.h"

/* --- faults --- */

static void fetch(struct hth_coherence *c, struct hth_region *r, uint64_t page, int home)
{
    if (!r->pages[page].registered) {
        hth_directory_register(c->port, r, page, home);
    }
    hth_port_get(c->port, r, home, page * r->page_bytes, hth_frame(r, page), r->page_bytes);
    hth_port_flush_frames(c->port, r, home);
    hth_page_set_state(c->port, r, page, HTH_PAGE_CLEAN);
    hth_port_trace(c->port, r, page, HTH_EVENT_FETCH, home);
    hth_count(&r->counts.pages_fetched, 1);
    hth_count(&r->counts.bytes_in, r->page_bytes);
}

static void fault_at_home(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    enum hth_view view = HTH_VIEW_WRITE; /* EXCLUSIVE, WRITTEN */
    if (hth_page_state(&r->pages[page]) == HTH_PAGE_TRACKED) {
        if (write) {
            hth_page_set_state(c->port, r, page, HTH_PAGE_WRITTEN);
            hth_dirty_add(c->port, r, page);
            hth_count(&r->counts.write_faults, 1);
        } else {
            view = HTH_VIEW_READ;
        }
    }
    hth_port_protect(c->port, r, page, 1, view);
}

static void fault_on_copy(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write,
                          int home)
{
    struct hth_page *entry = &r->pages[page];
    if (hth_page_state(entry) == HTH_PAGE_INVALID) {
        hth_count(write ? &r->counts.write_faults : &r->counts.read_misses, 1);
        fetch(c, r, page, home);
    } else if (write && hth_page_state(entry) == HTH_PAGE_CLEAN) {
        hth_count(&r->counts.write_faults, 1);
    }
    if (write && hth_page_state(entry) == HTH_PAGE_CLEAN) {
        entry->side = hth_port_alloc(c->port, r->page_bytes);
        memcpy(entry->side, hth_frame(r, page), r->page_bytes);
        hth_page_set_state(c->port, r, page, HTH_PAGE_DIRTY);
        hth_dirty_add(c->port, r, page);
    }
    bool dirty = hth_page_state(entry) == HTH_PAGE_DIRTY;
    hth_port_protect(c->port, r, page, 1, dirty ? HTH_VIEW_WRITE : HTH_VIEW_READ);
}

void hth_invalidate_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    hth_wait_for_busy(c, r, page);
    int home = hth_page_home(c->port, r, page);
    if (home == c->my_pe) {
        fault_at_home(c, r, page, write);
    } else {
        fault_on_copy(c, r, page, write, home);
    }
    hth_busy_done(c, r, page);
}

/* --- release --- */

/* Issue the puts of a dirty page's changed bytes. Busy held, view read, so the frame is still. */
static void put_diff(struct hth_coherence *c, struct hth_region *r, uint64_t page, int home)
{
    const uint8_t *frame = hth_frame(r, page), *twin = r->pages[page].side;
    uint64_t named = 0;
    size_t end = 0;
    for (;;) {
        size_t start = hth_diff_unequal(frame, twin, end, r->page_bytes);
        if (start == r->page_bytes) {
            break;
        }
        end = hth_diff_equal(frame, twin, start, r->page_bytes);
        hth_port_put(c->port, r, home, page * r->page_bytes + start, frame + start, end - start);
        named += end - start;
    }
    if (named > 0) {
        hth_count(&r->counts.diffs, 1);
        hth_count(&r->counts.bytes_out, named);
        hth_port_trace(c->port, r, page, HTH_EVENT_DIFF, (int64_t)named);
    }
}

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

/* Of `n` ascending pages, all busy: keep those that were written, in scratch, busy and with view
 * read; let go of the others (when dropping: without a copy). Returns how many were kept. */
static unsigned keep_written(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                             unsigned n, bool drop)
{
    struct hth_scratch *s = c->scratch;
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        enum hth_page_state state = hth_page_state(&r->pages[pages[i]]);
        if (state == HTH_PAGE_DIRTY || state == HTH_PAGE_WRITTEN) {
            s->homes[kept] = hth_page_home(c->port, r, pages[i]);
            s->pages[kept++] = pages[i];
            continue;
        }
        if (drop && state == HTH_PAGE_CLEAN) {
            hth_port_protect(c->port, r, pages[i], 1, HTH_VIEW_NONE);
            hth_page_set_state(c->port, r, pages[i], HTH_PAGE_INVALID);
        }
        hth_busy_done(c, r, pages[i]);
    }
    hth_protect_runs(c->port, r, s->pages, kept, HTH_VIEW_READ);
    return kept;
}

/* Send the bytes of the kept pages home, and have them arrive. */
static void write_back(struct hth_coherence *c, struct hth_region *r, unsigned kept)
{
    struct hth_scratch *s = c->scratch;
    for (unsigned i = 0; i < kept; i++) {
        if (s->homes[i] != c->my_pe) {
            put_diff(c, r, s->pages[i], s->homes[i]);
        }
    }
    for (unsigned i = 0; i < kept; i++) {
        bool flushed = s->homes[i] == c->my_pe;
        for (unsigned j = 0; j < i && !flushed; j++) {
            flushed = s->homes[j] == s->homes[i];
        }
        if (!flushed) {
            hth_port_flush_frames(c->port, r, s->homes[i]);
        }
    }
}

/* A home's pages that no one else has a copy of any more cost nothing from here on. */
static void make_exclusive(struct hth_coherence *c, struct hth_region *r, unsigned kept)
{
    struct hth_scratch *s = c->scratch;
    for (unsigned i = 0; i < kept; i++) {
        uint64_t others = 0;
        for (uint64_t w = 0; w < s->words; w++) {
            others |= s->copysets[i * s->words + w];
        }
        if (s->homes[i] == c->my_pe && others == 0) {
            hth_wait_for_busy(c, r, s->pages[i]);
            hth_page_set_state(c->port, r, s->pages[i], HTH_PAGE_EXCLUSIVE);
            hth_port_protect(c->port, r, s->pages[i], 1, HTH_VIEW_WRITE);
            hth_busy_done(c, r, s->pages[i]);
        }
    }
}

/* Release up to HTH_BATCH ascending pages; with `drop`, leave no copy of them. Release lock held.
 */
static void release_pages(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n, bool drop)
{
    struct hth_scratch *s = c->scratch;
    for (unsigned i = 0; i < n; i++) {
        hth_wait_for_busy(c, r, pages[i]);
    }
    unsigned kept = keep_written(c, r, pages, n, drop);
    write_back(c, r, kept);
    if (drop) {
        hth_protect_runs(c->port, r, s->pages, kept, HTH_VIEW_NONE);
    }
    for (unsigned i = 0; i < kept; i++) {
        struct hth_page *entry = &r->pages[s->pages[i]];
        if (s->homes[i] == c->my_pe) {
            hth_page_set_state(c->port, r, s->pages[i], HTH_PAGE_TRACKED);
        } else {
            hth_port_free(c->port, entry->side, r->page_bytes);
            entry->side = NULL;
            hth_page_set_state(c->port, r, s->pages[i], drop ? HTH_PAGE_INVALID : HTH_PAGE_CLEAN);
        }
        hth_busy_done(c, r, s->pages[i]);
    }
    hth_directory_read(c->port, r, s->pages, kept, s->copysets);
    tell(c, r, s->pages, s->homes, kept);
    make_exclusive(c, r, kept);
}

struct taker {
    struct hth_coherence *c;
    struct hth_region *r;
};

/* A page that was exclusive when somebody registered counts as written: what the home wrote on it
 * was not tracked. */
static void take_hints(void *arg, uint64_t first, uint64_t bits)
{
    struct taker *t = arg;
    for (; bits != 0; bits &= bits - 1) {
        uint64_t page = hth_directory_page(t->r, first + (uint64_t)__builtin_ctzll(bits));
        if (hth_homes_lookup(t->r->homes, page) != t->c->my_pe) {
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
    struct taker taker = {c, r};
    /* Pairs with a registrant's atomic on the hint, then its get: if we miss its hint below, its
     * get comes after what this PE has stored to the page, exclusive as it is. */
    atomic_thread_fence(memory_order_seq_cst);
    hth_bitmap_take(c->port, r, &r->hints, take_hints, &taker);
}

void hth_invalidate_release(struct hth_coherence *c, struct hth_region *r)
{
    hth_invalidate_take_hints(c, r);
    uint64_t list = hth_dirty_detach(c->port, r);
    uint64_t pages[HTH_BATCH];
    unsigned n;
    if (list != 0) {
        hth_count(&r->counts.releases, 1);
    }
    while ((n = hth_dirty_take(c->port, r, &list, pages, HTH_BATCH)) > 0) {
        release_pages(c, r, pages, n, false);
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

static void take_stale(void *arg, uint64_t first, uint64_t bits)
{
    struct taker *t = arg;
    struct hth_coherence *c = t->c;
    struct hth_region *r = t->r;
    uint64_t dirty[64], run = 0;
    unsigned n_dirty = 0, n_run = 0;
    for (; bits != 0; bits &= bits - 1) {
        uint64_t page = first + (uint64_t)__builtin_ctzll(bits);
        struct hth_page *entry = &r->pages[page];
        hth_port_trace(c->port, r, page, HTH_EVENT_TOLD, 0);
        if (n_run > 0 && (page != run + n_run || !hth_port_trylock(c->port, &entry->busy))) {
            drop_run(c, r, run, n_run); /* no waiting for one page with others held */
            n_run = 0;
        }
        if (n_run == 0) {
            hth_wait_for_busy(c, r, page);
            run = page;
        }
        switch (hth_page_state(entry)) {
        case HTH_PAGE_CLEAN:
            n_run++;
            continue;
        case HTH_PAGE_DIRTY:
            dirty[n_dirty++] = page;
            break;
        case HTH_PAGE_INVALID: /* told twice and not touched in between: no longer interested */
            if (entry->registered) {
                drop_run(c, r, run, n_run);
                n_run = 0;
                hth_directory_unregister(c->port, r, page, hth_page_home(c->port, r, page));
            }
            break;
        case HTH_PAGE_TRACKED: /* a late notice about memory that was freed and is mine now */
        case HTH_PAGE_WRITTEN:
        case HTH_PAGE_OWNED: /* not in this protocol */
        case HTH_PAGE_AWAY:
            break;
        }
        hth_busy_done(c, r, page);
        drop_run(c, r, run, n_run);
        n_run = 0;
    }
    drop_run(c, r, run, n_run);
    if (n_dirty > 0) {
        hth_wait_for_release_lock(c);
        release_pages(c, r, dirty, n_dirty, true);
        hth_port_unlock(c->port, &c->release_lock);
        hth_count(&r->counts.invalidations, n_dirty);
    }
}

void hth_invalidate_acquire(struct hth_coherence *c, struct hth_region *r)
{
    struct taker taker = {c, r};
    if (hth_bitmap_take(c->port, r, &r->stale, take_stale, &taker)) {
        hth_count(&r->counts.acquires, 1);
    }
}

void hth_invalidate_evict(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_wait_for_release_lock(c);
    release_pages(c, r, &page, 1, true);
    hth_port_unlock(c->port, &c->release_lock);
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
    if (entry->side != NULL) {
        hth_port_free(c->port, entry->side, r->page_bytes);
        entry->side = NULL;
    }
    if (entry->state != 0) {
        hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
    }
    if (entry->registered) {
        entry->registered = 0;
    }
    if (hth_homes_lookup(r->homes, page) == c->my_pe) {
        hth_directory_clear(c->port, r, page);
    }
}
