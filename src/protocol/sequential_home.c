/* SPDX-License-Identifier: BSD-3-Clause */
/* The home's side of the sequential protocol: one request for a page at a time, in the order of
 * arrival. All of it under the home lock; the page lock is taken inside for view and frame. */
#include <string.h>

#include "protocol/scratch.h"
#include "protocol/sequential.h"

static size_t ledger_bytes(const struct hth_coherence *c)
{
    return sizeof(struct hth_ledger) + c->scratch->words * sizeof(uint64_t);
}

struct hth_ledger *hth_ledger_of(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    if (ledger == NULL) {
        ledger = hth_port_alloc(c->port, ledger_bytes(c));
        memset(ledger, 0, ledger_bytes(c));
        ledger->owner = -1;
        ledger->end = &ledger->first;
        r->pages[page].side = ledger;
    }
    return ledger;
}

void hth_ledger_free(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    if (ledger == NULL) {
        return;
    }
    if (ledger->serving || ledger->first != NULL) {
        hth_port_die(
            c->port, r, page,
            "memory was freed, or its region's protocol changed, while a PE was waiting for it");
    }
    hth_port_free(c->port, ledger, ledger_bytes(c));
    r->pages[page].side = NULL;
}

static bool in_copyset(const struct hth_ledger *ledger, int pe)
{
    return ledger->copyset[pe / 64] >> pe % 64 & 1;
}

static void set_home(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                     enum hth_page_state state, enum hth_view view)
{
    hth_seq_lock(c, r, page);
    hth_port_protect(c->port, r, page, 1, view);
    hth_page_set_state(c->port, r, page, state);
    hth_seq_unlock(c, r, page);
}

/* A thread of the home's waits for this: it may go on, and the home keeps the page for a while. */
static void give_to_home(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                         enum hth_page_state state, enum hth_view view)
{
    r->pages[page].hold_until_ns = hth_port_now_ns(c->port) + HTH_HOLD_ASLEEP_NS;
    set_home(c, r, page, state, view);
    __atomic_store_n(&r->pages[page].pending, 0, __ATOMIC_RELEASE);
    hth_port_notify(c->port);
}

static void finish_read(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    enum hth_page_state state = hth_page_state(&r->pages[page]);
    int pe = ledger->now.pe;
    if (pe == c->my_pe) {
        enum hth_view view = state == HTH_PAGE_EXCLUSIVE ? HTH_VIEW_WRITE : HTH_VIEW_READ;
        give_to_home(c, r, page, state == HTH_PAGE_EXCLUSIVE ? state : HTH_PAGE_TRACKED, view);
        return;
    }
    if (state == HTH_PAGE_EXCLUSIVE) {
        set_home(c, r, page, HTH_PAGE_TRACKED, HTH_VIEW_READ);
    }
    ledger->copyset[pe / 64] |= UINT64_C(1) << pe % 64;
    hth_seq_send(c, r, pe, HTH_SEQ_DATA, page, true, false);
}

static void finish_write(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    int pe = ledger->now.pe;
    /* Without bytes only if the requester says that it has them and the directory agrees
     * (models: BUG_NODATABYFLAG, BUG_NODATABYCOPYSET). */
    bool has_them = ledger->now.with_copy && in_copyset(ledger, pe);
    memset(ledger->copyset, 0, c->scratch->words * sizeof(uint64_t));
    if (pe == c->my_pe) {
        give_to_home(c, r, page, HTH_PAGE_EXCLUSIVE, HTH_VIEW_WRITE);
        return;
    }
    if (hth_page_state(&r->pages[page]) != HTH_PAGE_AWAY) {
        set_home(c, r, page, HTH_PAGE_AWAY, HTH_VIEW_NONE);
    }
    ledger->owner = pe;
    hth_seq_send(c, r, pe, HTH_SEQ_GRANT, page, !has_them, false);
}

/* The request is served once all it waits for has come. True if so. */
static bool finish(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    if (!ledger->serving || ledger->n_drops > 0 || ledger->waits_for_owner) {
        return false;
    }
    if (ledger->now.write) {
        finish_write(c, r, page);
    } else {
        finish_read(c, r, page);
    }
    ledger->serving = false;
    return true;
}

/* Begin to serve the first request of the queue. */
static void begin(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    struct hth_request *request = ledger->first;
    ledger->first = request->next;
    if (ledger->first == NULL) {
        ledger->end = &ledger->first;
    }
    ledger->now = *request;
    ledger->serving = true;
    hth_port_free(c->port, request, sizeof *request);
    if (ledger->owner >= 0) {
        hth_seq_send(c, r, ledger->owner, HTH_SEQ_RECALL, page, false, !ledger->now.write);
        ledger->waits_for_owner = true;
        return;
    }
    if (!ledger->now.write) {
        return;
    }
    for (uint64_t w = 0; w < c->scratch->words; w++) {
        for (uint64_t left = ledger->copyset[w]; left != 0; left &= left - 1) {
            int pe = (int)(w * 64 + (uint64_t)__builtin_ctzll(left));
            if (pe != ledger->now.pe) {
                hth_seq_send(c, r, pe, HTH_SEQ_INVALIDATE, page, false, false);
                hth_count(&r->counts.stale_notices, 1);
                ledger->n_drops++;
            }
        }
    }
    if (ledger->now.pe != c->my_pe) {
        set_home(c, r, page, HTH_PAGE_AWAY, HTH_VIEW_NONE);
    }
}

void hth_ledger_serve(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    while (ledger != NULL && !ledger->serving && ledger->first != NULL) {
        uint64_t now = hth_port_now_ns(c->port), until = r->pages[page].hold_until_ns;
        if (now < until && ledger->first->pe != c->my_pe) {
            hth_port_alarm(c->port, r, page, until - now);
            return;
        }
        begin(c, r, page);
        if (!finish(c, r, page)) {
            return;
        }
    }
}

void hth_ledger_request(struct hth_coherence *c, struct hth_region *r, uint64_t page, int pe,
                        bool write, bool with_copy)
{
    struct hth_ledger *ledger = hth_ledger_of(c, r, page);
    struct hth_request *request = hth_port_alloc(c->port, sizeof *request);
    *request = (struct hth_request){NULL, pe, write, with_copy};
    *ledger->end = request;
    ledger->end = &request->next;
    hth_ledger_serve(c, r, page);
}

static void go_on(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    finish(c, r, page);
    hth_ledger_serve(c, r, page);
}

void hth_ledger_dropped(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_ledger *ledger = r->pages[page].side;
    if (ledger == NULL || ledger->n_drops == 0) {
        hth_port_die(c->port, r, page, "an acknowledgement that nobody waits for");
    }
    ledger->n_drops--;
    go_on(c, r, page);
}

void hth_ledger_returned(struct hth_coherence *c, struct hth_region *r, uint64_t page, int pe,
                         bool with_copy)
{
    struct hth_ledger *ledger = r->pages[page].side;
    if (ledger == NULL || ledger->owner != pe || !ledger->waits_for_owner) {
        hth_port_die(c->port, r, page, "a page came back that was not recalled");
    }
    ledger->owner = -1;
    ledger->waits_for_owner = false;
    if (with_copy) {
        ledger->copyset[pe / 64] |= UINT64_C(1) << pe % 64;
        set_home(c, r, page, HTH_PAGE_TRACKED, HTH_VIEW_READ);
    }
    go_on(c, r, page);
}

void hth_ledger_written_back(struct hth_coherence *c, struct hth_region *r, uint64_t page, int pe)
{
    struct hth_ledger *ledger = r->pages[page].side;
    if (ledger == NULL || ledger->owner != pe) {
        hth_port_die(c->port, r, page, "a page was written back by a PE that does not own it");
    }
    ledger->owner = -1;
    ledger->waits_for_owner = false; /* it is the answer to a recall that is under way */
    if (!ledger->serving) {
        set_home(c, r, page, HTH_PAGE_TRACKED, HTH_VIEW_READ);
    }
    go_on(c, r, page);
}
