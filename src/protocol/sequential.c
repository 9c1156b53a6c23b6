/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-invalidate, sequential consistency: ownership migrates. DESIGN 3.3;
 * docs/models/sequential.pml.
 *
 * At any moment a page has one PE that may write it and no other that may read it, or any number
 * that may read it. So each store is seen by all at once, C11 atomics included, and acquire and
 * release have nothing to do. The home serves one request for a page at a time, in the order of
 * arrival (sequential_home.c); bytes travel through the home. What makes it right, each with the
 * model's name for dropping it:
 *
 * - View none before the acknowledgement (BUG_ACKFIRST), and an acknowledgement of every copy
 * before the grant (BUG_NOACK).
 * - A grant without bytes only if the requester said that it has a copy and the directory agrees
 *   (BUG_NODATABYFLAG, BUG_NODATABYCOPYSET).
 * - An owner that evicts sends WRITEBACK in one step with view none (BUG_EVICTSPLIT); one that is
 *   recalled changes the view and sends the bytes in one step (BUG_RECALLSPLIT). Who gets a recall
 *   for a page that it does not own ignores it: the writeback is the answer (BUG_WBNOTANSWER).
 * - The writeback is acknowledged, and last (BUG_NOWRITTEN, BUG_WRITTENEARLY): the evictor may then
 *   free the page.
 * - Handlers never wait for the busy bit (BUG_HANDLERBUSY), which a fault holds while it waits for
 *   them.
 * - What was just given is kept for a while (HTH_HOLD_*; BUG_NOHOLD): a recall or invalidation that
 * comes sooner is put off until an alarm (BUG_NOALARM). The home waits for the answer and so sends
 * nothing else for the page meanwhile; an eviction cancels it (BUG_NOTCANCELLED). */
#include "protocol/sequential.h"

#include <string.h>

#include "protocol/scratch.h"

#define PART 32768u

void hth_seq_send(struct hth_coherence *c, struct hth_region *r, int pe, enum hth_seq_kind kind,
                  uint64_t page, bool with_bytes, bool with_copy)
{
    uint64_t offset = 0;
    do {
        struct hth_seq_head *head = hth_port_message_new(c->port, pe);
        uint64_t left = r->page_bytes - offset;
        uint32_t bytes = with_bytes ? (uint32_t)(left < PART ? left : PART) : 0;
        *head = (struct hth_seq_head){
            kind, r->id, page, (uint32_t)offset, bytes, !with_bytes || bytes == left, with_copy};
        memcpy(head + 1, hth_frame(r, page) + offset, bytes);
        hth_count(&r->counts.messages, 1);
        hth_count(&r->counts.bytes_out, bytes);
        hth_port_message_send(c->port, pe, head, sizeof *head + bytes);
        offset += bytes;
    } while (with_bytes && offset < r->page_bytes);
}

/* --- faults --- */

static bool is_answered(void *page)
{
    return __atomic_load_n(&((struct hth_page *)page)->pending, __ATOMIC_ACQUIRE) == 0;
}

/* Is the access allowed as things stand? Then see to it that the view says so. Page lock held. */
static bool allowed(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write,
                    bool home)
{
    enum hth_view view = HTH_VIEW_NONE;
    switch (hth_page_state(&r->pages[page])) {
    case HTH_PAGE_INVALID: /* EXCLUSIVE at the home */
        view = home ? HTH_VIEW_WRITE : HTH_VIEW_NONE;
        break;
    case HTH_PAGE_CLEAN:
    case HTH_PAGE_TRACKED:
        view = HTH_VIEW_READ;
        break;
    case HTH_PAGE_OWNED:
        view = HTH_VIEW_WRITE;
        break;
    case HTH_PAGE_AWAY:
        break;
    case HTH_PAGE_DIRTY:
    case HTH_PAGE_WRITTEN:
        hth_port_die(c->port, r, page, "a state of another protocol");
    }
    if (view == HTH_VIEW_NONE || (write && view == HTH_VIEW_READ)) {
        return false;
    }
    hth_port_protect(c->port, r, page, 1, view);
    return true;
}

/* The thread that waited for the page is running: it needs the page for a moment only. */
static void awake(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool at_home)
{
    struct hth_page *p = &r->pages[page];
    uint64_t until = hth_port_now_ns(c->port) + HTH_HOLD_AWAKE_NS;
    struct hth_short_lock *lock = at_home ? &r->home_lock : &p->lock;
    hth_port_short_lock(c->port, lock);
    if (until < p->hold_until_ns) {
        const struct hth_ledger *ledger = at_home ? p->side : NULL;
        p->hold_until_ns = until;
        if (at_home ? ledger != NULL && ledger->first != NULL : p->deferred != 0) {
            hth_port_alarm(c->port, r, page, HTH_HOLD_AWAKE_NS); /* sooner than was set */
        }
    }
    hth_port_short_unlock(c->port, lock);
}

void hth_sequential_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write)
{
    struct hth_page *p = &r->pages[page];
    hth_wait_for_busy(c, r, page);
    int home = hth_page_home(c->port, r, page);
    bool at_home = home == c->my_pe;
    if (at_home) {
        hth_port_short_lock(c->port, &r->home_lock);
    }
    hth_seq_lock(c, r, page);
    bool done = allowed(c, r, page, write, at_home);
    if (!done) {
        bool with_copy = hth_page_state(p) == HTH_PAGE_CLEAN;
        hth_count(write ? &r->counts.write_faults : &r->counts.read_misses, 1);
        p->pending = 1;
        if (!at_home) {
            hth_seq_send(c, r, home, write ? HTH_SEQ_WRITE : HTH_SEQ_READ, page, false, with_copy);
        }
    }
    hth_seq_unlock(c, r, page);
    if (at_home) {
        if (!done) {
            hth_ledger_request(c, r, page, home, write, false);
        }
        hth_port_short_unlock(c->port, &r->home_lock);
    }
    if (!done) {
        struct hth_wait why = {HTH_WAIT_PAGE, r, page};
        hth_port_wait(c->port, is_answered, p, &why);
        awake(c, r, page, at_home);
    }
    hth_busy_done(c, r, page);
}

/* Busy held. End this PE's copy; true: its bytes are on their way home, to be waited for. */
static bool drop(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *p = &r->pages[page];
    bool wrote = false;
    hth_seq_lock(c, r, page);
    enum hth_page_state state = hth_page_state(p);
    if (state == HTH_PAGE_CLEAN || state == HTH_PAGE_OWNED) {
        hth_port_protect(c->port, r, page, 1, HTH_VIEW_NONE);
        hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
        hth_count(&r->counts.invalidations, 1);
        wrote = state == HTH_PAGE_OWNED;
        if (wrote) {
            p->pending = 1;
            p->deferred = 0; /* the writeback answers a recall that was put off */
            hth_seq_send(c, r, hth_page_home(c->port, r, page), HTH_SEQ_WRITEBACK, page, true,
                         false);
        }
    }
    hth_seq_unlock(c, r, page);
    return wrote;
}

/* So that none is under way when the page is freed, or its protocol changes. */
static void wait_until_written(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_wait why = {HTH_WAIT_ACKS, r, page};
    hth_port_wait(c->port, is_answered, &r->pages[page], &why);
}

void hth_sequential_evict(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n)
{
    bool wrote[HTH_BATCH];
    for (unsigned i = 0; i < n; i++) {
        hth_wait_for_busy(c, r, pages[i]);
        wrote[i] = drop(c, r, pages[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        if (wrote[i]) {
            wait_until_written(c, r, pages[i]);
        }
        hth_busy_done(c, r, pages[i]);
    }
}

/* --- handlers --- */

/* The part of the page that a message brings, into the frame. Page lock held. True: it is whole. */
static bool take_part(struct hth_region *r, const struct hth_seq_head *head)
{
    memcpy(hth_frame(r, head->page) + head->offset, head + 1, head->bytes);
    hth_count(&r->counts.bytes_in, head->bytes);
    return head->last != 0;
}

/* DATA or GRANT has come whole: the waiting thread may go on. */
static void given(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool owned)
{
    struct hth_page *p = &r->pages[page];
    p->hold_until_ns = hth_port_now_ns(c->port) + HTH_HOLD_ASLEEP_NS;
    hth_page_set_state(c->port, r, page, owned ? HTH_PAGE_OWNED : HTH_PAGE_CLEAN);
    hth_port_protect(c->port, r, page, 1, owned ? HTH_VIEW_WRITE : HTH_VIEW_READ);
    __atomic_store_n(&p->pending, 0, __ATOMIC_RELEASE);
    hth_port_notify(c->port);
}

/* Give up what the home asks for. Page lock held. */
static void give_up(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                    enum hth_seq_kind kind, bool keep_copy)
{
    struct hth_page *p = &r->pages[page];
    int home = hth_page_home(c->port, r, page);
    bool owned = hth_page_state(p) == HTH_PAGE_OWNED;
    if (kind == HTH_SEQ_RECALL) {
        if (!owned) {
            return; /* evicted: the writeback is on its way, and is the answer */
        }
        hth_port_protect(c->port, r, page, 1, keep_copy ? HTH_VIEW_READ : HTH_VIEW_NONE);
        hth_page_set_state(c->port, r, page, keep_copy ? HTH_PAGE_CLEAN : HTH_PAGE_INVALID);
        hth_seq_send(c, r, home, HTH_SEQ_RETURN, page, true, keep_copy);
        return;
    }
    if (hth_page_state(p) == HTH_PAGE_CLEAN) {
        hth_port_protect(c->port, r, page, 1, HTH_VIEW_NONE);
        hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
        hth_count(&r->counts.invalidations, 1);
    }
    hth_seq_send(c, r, home, HTH_SEQ_DROPPED, page, false, false);
}

enum deferred { NOTHING, DROP, RETURN, RETURN_KEEPING };

/* An INVALIDATE or RECALL: now, or when the page has been held long enough. Page lock held. */
static void asked_for(struct hth_coherence *c, struct hth_region *r,
                      const struct hth_seq_head *head)
{
    struct hth_page *p = &r->pages[head->page];
    uint64_t now = hth_port_now_ns(c->port);
    if (now >= p->hold_until_ns || hth_page_state(p) == HTH_PAGE_INVALID) {
        give_up(c, r, head->page, (enum hth_seq_kind)head->kind, head->with_copy != 0);
        return;
    }
    p->deferred = (uint8_t)(head->kind == HTH_SEQ_INVALIDATE ? DROP
                            : head->with_copy != 0           ? RETURN_KEEPING
                                                             : RETURN);
    hth_port_alarm(c->port, r, head->page, p->hold_until_ns - now);
}

void hth_sequential_alarm(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *p = &r->pages[page];
    int home_plus_1 = __atomic_load_n(&p->home_plus_1, __ATOMIC_RELAXED);
    if (home_plus_1 == 0) {
        return; /* freed since; looked up once, for it may be freed meanwhile */
    }
    if (home_plus_1 - 1 == c->my_pe) {
        hth_port_short_lock(c->port, &r->home_lock);
        hth_ledger_serve(c, r, page);
        hth_port_short_unlock(c->port, &r->home_lock);
        return;
    }
    hth_seq_lock(c, r, page);
    enum deferred what = (enum deferred)p->deferred;
    uint64_t now = hth_port_now_ns(c->port);
    if (what != NOTHING && now < p->hold_until_ns) { /* this alarm was for something earlier */
        hth_port_alarm(c->port, r, page, p->hold_until_ns - now);
    } else if (what != NOTHING) {
        p->deferred = NOTHING;
        give_up(c, r, page, what == DROP ? HTH_SEQ_INVALIDATE : HTH_SEQ_RECALL,
                what == RETURN_KEEPING);
    }
    hth_seq_unlock(c, r, page);
}

static void handle_at_home(struct hth_coherence *c, struct hth_region *r, int from,
                           const struct hth_seq_head *head)
{
    bool with_copy = head->with_copy != 0, whole = true;
    hth_port_short_lock(c->port, &r->home_lock);
    if (head->bytes > 0) {
        hth_seq_lock(c, r, head->page);
        whole = take_part(r, head);
        hth_seq_unlock(c, r, head->page);
    }
    switch ((enum hth_seq_kind)head->kind) {
    case HTH_SEQ_READ:
    case HTH_SEQ_WRITE:
        hth_page_home(c->port, r, head->page);
        hth_ledger_request(c, r, head->page, from, head->kind == HTH_SEQ_WRITE, with_copy);
        break;
    case HTH_SEQ_DROPPED:
        hth_ledger_dropped(c, r, head->page);
        break;
    case HTH_SEQ_RETURN:
        if (whole) {
            hth_ledger_returned(c, r, head->page, from, with_copy);
        }
        break;
    case HTH_SEQ_WRITEBACK:
        if (whole) {
            /* Last: the evictor may go on to free the page (found by the simulator). */
            hth_ledger_written_back(c, r, head->page, from);
            hth_seq_send(c, r, from, HTH_SEQ_WRITTEN, head->page, false, false);
        }
        break;
    case HTH_SEQ_DATA:
    case HTH_SEQ_GRANT:
    case HTH_SEQ_INVALIDATE:
    case HTH_SEQ_RECALL:
    case HTH_SEQ_WRITTEN:
        hth_port_die(c->port, r, head->page, "a message for a copy arrived at the home");
    }
    hth_port_short_unlock(c->port, &r->home_lock);
}

static void handle_at_copy(struct hth_coherence *c, struct hth_region *r,
                           const struct hth_seq_head *head)
{
    hth_seq_lock(c, r, head->page);
    switch ((enum hth_seq_kind)head->kind) {
    case HTH_SEQ_DATA:
    case HTH_SEQ_GRANT:
        if (take_part(r, head)) {
            hth_count(&r->counts.pages_fetched, head->bytes > 0);
            given(c, r, head->page, head->kind == HTH_SEQ_GRANT);
        }
        break;
    case HTH_SEQ_INVALIDATE:
    case HTH_SEQ_RECALL:
        asked_for(c, r, head);
        break;
    case HTH_SEQ_WRITTEN:
        __atomic_store_n(&r->pages[head->page].pending, 0, __ATOMIC_RELEASE);
        hth_port_notify(c->port);
        break;
    case HTH_SEQ_READ:
    case HTH_SEQ_WRITE:
    case HTH_SEQ_DROPPED:
    case HTH_SEQ_RETURN:
    case HTH_SEQ_WRITEBACK:
        hth_port_die(c->port, r, head->page, "a message for the home arrived at a copy");
    }
    hth_seq_unlock(c, r, head->page);
}

void hth_sequential_handle(struct hth_coherence *c, struct hth_region *r, int from,
                           const void *message)
{
    const struct hth_seq_head *head = message;
    if (hth_page_known_home(r, head->page) == c->my_pe) {
        handle_at_home(c, r, from, head);
    } else {
        handle_at_copy(c, r, head);
    }
}

int hth_sequential_owner(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_port_short_lock(c->port, &r->home_lock);
    /* Asked under the lock under which it changes: elsewhere `side` is something else. */
    const struct hth_ledger *ledger =
        hth_scheme_of(r) == HTH_SEQUENTIAL ? r->pages[page].side : NULL;
    int owner = ledger != NULL && ledger->owner >= 0 ? ledger->owner : c->my_pe;
    hth_port_short_unlock(c->port, &r->home_lock);
    return owner;
}

/* --- memory management --- */

void hth_sequential_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                         uint64_t offset_bytes, uint64_t len_bytes)
{
    for (bool done = false; !done;) {
        hth_sequential_fault(c, r, page, true);
        hth_seq_lock(c, r, page); /* so that nobody takes the page away meanwhile */
        done = hth_page_state(&r->pages[page]) == HTH_PAGE_EXCLUSIVE;
        if (done && len_bytes == r->page_bytes) {
            hth_port_punch(c->port, r, page, 1);
        } else if (done) {
            memset(hth_frame(r, page) + offset_bytes, 0, len_bytes);
        }
        hth_seq_unlock(c, r, page);
    }
}

void hth_sequential_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *p = &r->pages[page];
    if (p->state == 0 && p->side == NULL) {
        return;
    }
    hth_port_short_lock(c->port, &r->home_lock);
    hth_ledger_free(c, r, page);
    hth_port_short_unlock(c->port, &r->home_lock);
    p->deferred = 0;
    hth_page_set_state(c->port, r, page, HTH_PAGE_INVALID);
}
