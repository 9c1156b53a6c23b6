/* SPDX-License-Identifier: BSD-3-Clause */
/* What write-update does on messages. Context: handler. See update.c for the rules. */
#include <string.h>

#include "protocol/diff.h"
#include "protocol/scratch.h"
#include "protocol/update.h"

static size_t publication_bytes(const struct hth_coherence *c)
{
    return sizeof(struct hth_publication) + c->scratch->words * sizeof(uint64_t);
}

void hth_unpublish(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_publication *publication = r->pages[page].side;
    hth_port_free(c->port, publication->image, r->page_bytes);
    hth_port_free(c->port, publication, publication_bytes(c));
    r->pages[page].side = NULL;
}

static struct hth_publication *snapshot(struct hth_coherence *c, struct hth_region *r,
                                        uint64_t page)
{
    struct hth_publication *publication = hth_port_alloc(c->port, publication_bytes(c));
    memset(publication, 0, publication_bytes(c));
    publication->image = hth_port_alloc(c->port, r->page_bytes);
    memcpy(publication->image, hth_frame(r, page), r->page_bytes);
    r->pages[page].side = publication;
    return publication;
}

/* Home lock held: the page has one more subscriber, and what it is to hold goes into the message.
 */
static void subscribe(struct hth_coherence *c, struct hth_region *r, int from, uint64_t page)
{
    struct hth_outbox *box = &c->update->handler_box;
    hth_page_home(c->port, r, page);
    hth_page_lock(c, r, page);
    struct hth_publication *publication = r->pages[page].side;
    if (hth_page_state(&r->pages[page]) == HTH_PAGE_EXCLUSIVE) {
        /* It was not tracked, and the program may be writing just now: to be diffed. On the list
         * before the snapshot: a release that found the list empty has no store that the
         * snapshot lacks (model: BUG_LISTLATE; found by the simulator). */
        hth_page_set_state(c->port, r, page, HTH_PAGE_WRITTEN);
        hth_dirty_add(c->port, r, page);
    }
    if (publication == NULL) {
        publication = snapshot(c, r, page);
    }
    hth_page_unlock(c, r, page);
    publication->copyset[from / 64] |= UINT64_C(1) << from % 64;
    publication->n_subscribers++;
    hth_port_trace(c->port, r, page, HTH_EVENT_SUBSCRIBE, from);
    for (uint64_t offset = 0; offset < r->page_bytes; offset += HTH_SLICE) {
        uint32_t bytes = hth_slice_bytes(r, offset);
        struct hth_update_entry *e = hth_outbox_entry(c, r, box, from, bytes);
        *e = (struct hth_update_entry){page, (uint32_t)offset, bytes};
        memcpy(e + 1, publication->image + offset, bytes);
        hth_outbox_commit(box, from, e);
    }
    hth_count(&r->counts.bytes_out, r->page_bytes);
}

/* As many pages under one lock as fill a message: it is posted before the lock is let go, and the
 * lock is not held for long. */
static void handle_subscribe(struct hth_coherence *c, struct hth_region *r, int from,
                             const uint64_t *pages, uint64_t n)
{
    struct hth_outbox *box = &c->update->handler_box;
    uint64_t at_once = HTH_MESSAGE_BYTES_MAX / (r->page_bytes + sizeof(struct hth_update_entry));
    for (uint64_t i = 0; i < n;) {
        uint64_t end = i + (at_once > 0 ? at_once : 1);
        hth_port_short_lock(c->port, &r->home_lock);
        hth_outbox_begin(box, HTH_MSG_DATA, r, 0);
        for (; i < n && i < end; i++) {
            subscribe(c, r, from, pages[i]);
        }
        hth_outbox_post_all(c, r, box);
        hth_port_short_unlock(c->port, &r->home_lock);
    }
}

/* The page's publication; a PE that is no subscriber cannot have a copy to speak of. */
static struct hth_publication *subscribed(struct hth_coherence *c, struct hth_region *r, int from,
                                          uint64_t page)
{
    struct hth_publication *publication = r->pages[page].side;
    if (publication == NULL || (publication->copyset[from / 64] >> from % 64 & 1) == 0) {
        hth_port_die(c->port, r, page, "a message came from a PE that is no subscriber");
    }
    return publication;
}

static void handle_unsubscribe(struct hth_coherence *c, struct hth_region *r, int from,
                               uint64_t page)
{
    hth_port_short_lock(c->port, &r->home_lock);
    hth_page_lock(c, r, page);
    struct hth_publication *publication = subscribed(c, r, from, page);
    publication->copyset[from / 64] &= ~(UINT64_C(1) << from % 64);
    publication->n_subscribers--;
    if (publication->n_subscribers == 0) {
        hth_unpublish(c, r, page);
    }
    hth_page_unlock(c, r, page);
    hth_port_short_unlock(c->port, &r->home_lock);
    hth_update_send(c, r, from, HTH_MSG_UPDATE_ACK, HTH_COOKIE_OWN);
    hth_port_trace(c->port, r, page, HTH_EVENT_UNSUBSCRIBE, from);
}

const struct hth_update_entry *hth_update_next(const struct hth_update_entry *e)
{
    return (const struct hth_update_entry *)((const uint8_t *)(e + 1) + hth_padded(e->bytes));
}

static void handle_data(struct hth_coherence *c, struct hth_region *r,
                        const struct hth_update_head *head, const uint8_t *end)
{
    for (const struct hth_update_entry *e = (const struct hth_update_entry *)(head + 1);
         (const uint8_t *)e < end; e = hth_update_next(e)) {
        hth_page_lock(c, r, e->page);
        memcpy(hth_frame(r, e->page) + e->offset, e + 1, e->bytes);
        if (e->offset + e->bytes == r->page_bytes) {
            hth_page_set_state(c->port, r, e->page, HTH_PAGE_CLEAN);
            hth_port_trace(c->port, r, e->page, HTH_EVENT_FETCH, 0);
            hth_count(&r->counts.pages_fetched, 1);
            hth_count(&r->counts.bytes_in, r->page_bytes);
        }
        hth_page_unlock(c, r, e->page);
    }
    hth_port_notify(c->port);
}

uint64_t hth_update_apply(struct hth_coherence *c, struct hth_region *r,
                          const struct hth_update_entry *e, uint8_t *second)
{
    uint32_t bytes = hth_slice_bytes(r, e->offset);
    if (hth_diff_apply((const uint8_t *)(e + 1), e->bytes, hth_frame(r, e->page) + e->offset,
                       second, bytes) == SIZE_MAX) {
        hth_port_die(c->port, r, e->page, "a malformed diff arrived");
    }
    return e->bytes;
}

static void handle_update(struct hth_coherence *c, struct hth_region *r, int from,
                          const struct hth_update_head *head, const uint8_t *end)
{
    uint64_t bytes = 0;
    for (const struct hth_update_entry *e = (const struct hth_update_entry *)(head + 1);
         (const uint8_t *)e < end; e = hth_update_next(e)) {
        struct hth_page *p = &r->pages[e->page];
        hth_page_lock(c, r, e->page);
        switch (hth_page_state(p)) {
        case HTH_PAGE_CLEAN:
            bytes += hth_update_apply(c, r, e, NULL);
            break;
        case HTH_PAGE_DIRTY:
            bytes += hth_update_apply(c, r, e, (uint8_t *)p->side + e->offset);
            break;
        case HTH_PAGE_INVALID: /* evicted: UNSUBSCRIBE is on its way */
            break;
        case HTH_PAGE_TRACKED:
        case HTH_PAGE_WRITTEN:
        case HTH_PAGE_OWNED:
        case HTH_PAGE_AWAY:
            hth_port_die(c->port, r, e->page, "an update arrived at the page's home");
        }
        hth_page_unlock(c, r, e->page);
        hth_port_trace(c->port, r, e->page, HTH_EVENT_UPDATE, ~(int64_t)from);
    }
    hth_count(&r->counts.bytes_in, bytes);
    hth_update_send(c, r, from, HTH_MSG_UPDATE_ACK, head->cookie);
}

static uint64_t new_forward(struct hth_coherence *c, int writer, uint64_t writer_cookie)
{
    struct hth_update *u = c->update;
    if (u->free_plus_1 == 0) {
        uint64_t n = u->n_forwards == 0 ? 64 : 2 * u->n_forwards;
        struct hth_forward *grown = hth_port_alloc(c->port, n * sizeof *grown);
        if (u->n_forwards > 0) {
            memcpy(grown, u->forwards, u->n_forwards * sizeof *grown);
            hth_port_free(c->port, u->forwards, u->n_forwards * sizeof *grown);
        }
        for (uint64_t i = n; i > u->n_forwards; i--) {
            grown[i - 1].next_free_plus_1 = u->free_plus_1;
            u->free_plus_1 = i;
        }
        u->forwards = grown;
        u->n_forwards = n;
    }
    uint64_t cookie = u->free_plus_1 - 1;
    u->free_plus_1 = u->forwards[cookie].next_free_plus_1;
    u->forwards[cookie] = (struct hth_forward){writer, 0, writer_cookie, 0};
    return cookie;
}

static void end_forward(struct hth_coherence *c, struct hth_region *r, uint64_t cookie)
{
    struct hth_update *u = c->update;
    struct hth_forward *forward = &u->forwards[cookie];
    hth_update_send(c, r, forward->writer, HTH_MSG_DIFF_ACK, forward->writer_cookie);
    forward->next_free_plus_1 = u->free_plus_1;
    u->free_plus_1 = cookie + 1;
}

/* A writer's changes: into frame and published image, and on to the other subscribers. */
static void handle_diff(struct hth_coherence *c, struct hth_region *r, int from,
                        const struct hth_update_head *head, const uint8_t *end)
{
    struct hth_outbox *box = &c->update->handler_box;
    uint64_t cookie = new_forward(c, from, head->cookie), bytes = 0, updates = 0, bytes_out = 0;
    hth_outbox_begin(box, HTH_MSG_UPDATE, r, cookie);
    hth_port_short_lock(c->port, &r->home_lock);
    for (const struct hth_update_entry *e = (const struct hth_update_entry *)(head + 1);
         (const uint8_t *)e < end; e = hth_update_next(e)) {
        hth_page_lock(c, r, e->page);
        struct hth_publication *publication = subscribed(c, r, from, e->page);
        bytes += hth_update_apply(c, r, e, publication->image + e->offset);
        for (uint64_t w = 0; w < c->scratch->words; w++) {
            for (uint64_t left = publication->copyset[w]; left != 0; left &= left - 1) {
                int pe = (int)(w * 64 + (uint64_t)__builtin_ctzll(left));
                if (pe == from) {
                    continue;
                }
                struct hth_update_entry *out = hth_outbox_entry(c, r, box, pe, e->bytes);
                memcpy(out, e, sizeof *e + e->bytes);
                hth_outbox_commit(box, pe, out);
                updates++;
                bytes_out += e->bytes;
                hth_port_trace(c->port, r, e->page, HTH_EVENT_UPDATE, pe);
            }
        }
        hth_page_unlock(c, r, e->page);
    }
    hth_count(&r->counts.bytes_in, bytes);
    hth_count(&r->counts.updates, updates);
    hth_count(&r->counts.bytes_out, bytes_out);
    hth_outbox_post_all(c, r, box);
    hth_port_short_unlock(c->port, &r->home_lock);
    c->update->forwards[cookie].remaining = box->posted;
    if (box->posted == 0) {
        end_forward(c, r, cookie);
    }
}

void hth_update_acknowledged(struct hth_coherence *c)
{
    /* Release: pairs with all_acknowledged. */
    if (atomic_fetch_sub_explicit(&c->update->outstanding, 1, memory_order_release) == 1) {
        hth_port_notify(c->port);
    }
}

static void handle_acknowledgement(struct hth_coherence *c, struct hth_region *r, uint64_t cookie)
{
    struct hth_update *u = c->update;
    if (cookie != HTH_COOKIE_OWN) {
        if (--u->forwards[cookie].remaining == 0) {
            end_forward(c, r, cookie);
        }
        return;
    }
    hth_update_acknowledged(c);
}

void hth_update_handle(struct hth_coherence *c, struct hth_region *r, int from, const void *message,
                       size_t bytes)
{
    const struct hth_update_head *head = message;
    const uint8_t *end = (const uint8_t *)message + bytes;
    switch ((enum hth_update_kind)head->kind) {
    case HTH_MSG_SUBSCRIBE:
        handle_subscribe(c, r, from, (const uint64_t *)(head + 1), head->cookie);
        break;
    case HTH_MSG_UNSUBSCRIBE:
        handle_unsubscribe(c, r, from, head->cookie);
        break;
    case HTH_MSG_DATA:
        handle_data(c, r, head, end);
        break;
    case HTH_MSG_DIFF:
        handle_diff(c, r, from, head, end);
        break;
    case HTH_MSG_UPDATE:
        handle_update(c, r, from, head, end);
        break;
    case HTH_MSG_DIFF_ACK:
    case HTH_MSG_UPDATE_ACK:
        handle_acknowledgement(c, r, head->cookie);
        break;
    }
}
