/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of write-update share: its messages and its state. See update.c. */
#ifndef HTH_PROTOCOL_UPDATE_H
#define HTH_PROTOCOL_UPDATE_H

#include "protocol/coherence.h"

#define HTH_SLICE 16384u

enum hth_update_kind {
    HTH_MSG_SUBSCRIBE,
    HTH_MSG_UNSUBSCRIBE,
    HTH_MSG_DATA,
    HTH_MSG_DIFF,
    HTH_MSG_DIFF_ACK,
    HTH_MSG_UPDATE,
    HTH_MSG_UPDATE_ACK
};

struct hth_update_head {
    uint32_t kind, region;
    uint64_t cookie; /* of DIFF, UPDATE and their acknowledgements: whose count goes down; of
                        UNSUBSCRIBE: the page; of SUBSCRIBE: how many pages, whose numbers follow,
                        8 bytes each; of DATA: 0 */
};

/* In DATA, DIFF and UPDATE the head is followed by entries, each padded to 8 bytes. Those of DATA
 * are whole pages, one after another, slice by slice; of which a message may hold several, or a
 * part of one. */
struct hth_update_entry {
    uint64_t page;
    uint32_t offset, bytes; /* of the slice in the page; of what follows */
};

/* The published image of a page homed here, and who subscribes. */
struct hth_publication {
    uint8_t *image;
    uint64_t n_subscribers;
    uint64_t copyset[];
};

/* Messages under construction, one per destination. */
struct hth_outbox {
    struct hth_draft {
        uint8_t *message; /* NULL: none yet */
        uint32_t used;
        uint32_t posted; /* messages since hth_outbox_begin */
    } * drafts;          /* n_pes */
    uint64_t *open;      /* bit set of those with a message */
    uint32_t kind, region;
    uint64_t cookie;
    uint32_t posted; /* messages since hth_outbox_begin */
};

/* A writer's DIFF that this home has forwarded and whose UPDATEs are not all acknowledged. */
struct hth_forward {
    int writer;
    uint32_t remaining;
    uint64_t writer_cookie;
    uint64_t next_free_plus_1;
};

struct hth_update {
    struct hth_outbox release_box; /* guarded by the release lock */
    struct hth_outbox handler_box; /* handler context only */
    uint8_t *mask;                 /* of a slice; guarded by the release lock */
    struct hth_forward *forwards;  /* handler context only, as the two below */
    uint64_t n_forwards, free_plus_1;
    _Atomic uint64_t outstanding; /* acknowledgements that the release under way still needs;
                                     raised by it, lowered by handlers */
};

/* The cookie of a release (or an UNSUBSCRIBE) of the PE that gets the acknowledgement; those of
 * forwards are their indices. */
#define HTH_COOKIE_OWN UINT64_MAX

/* Send a message that begins with this head. */
static inline void hth_update_post(struct hth_coherence *c, int pe, struct hth_update_head *head,
                                   size_t bytes)
{
    bool awaited = head->kind == HTH_MSG_DATA || head->kind == HTH_MSG_DIFF_ACK ||
                   (head->kind == HTH_MSG_UPDATE_ACK && head->cookie == HTH_COOKIE_OWN);
    if (awaited) {
        hth_port_message_answer(c->port, pe, head, bytes);
    } else {
        hth_port_message_send(c->port, pe, head, bytes);
    }
}

static inline uint32_t hth_padded(uint64_t bytes)
{
    return (uint32_t)((bytes + 7) & ~UINT64_C(7));
}

static inline uint32_t hth_slice_bytes(const struct hth_region *r, uint64_t offset)
{
    uint64_t left = r->page_bytes - offset;
    return (uint32_t)(left < HTH_SLICE ? left : HTH_SLICE);
}

static inline void hth_page_lock(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_port_short_lock(c->port, &r->pages[page].lock);
}

static inline void hth_page_unlock(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_port_short_unlock(c->port, &r->pages[page].lock);
}

/* --- outbox.c --- */

void hth_outbox_init(struct hth_coherence *c, struct hth_outbox *box);
void hth_outbox_fini(struct hth_coherence *c, struct hth_outbox *box);
/* From here on the drafts are messages of this kind, for this region, with this cookie. */
void hth_outbox_begin(struct hth_outbox *box, enum hth_update_kind kind, const struct hth_region *r,
                      uint64_t cookie);
/* Room for an entry with at most `bytes_max` bytes in the draft for `pe`. A draft that is too full
 * goes out first. */
struct hth_update_entry *hth_outbox_entry(struct hth_coherence *c, struct hth_region *r,
                                          struct hth_outbox *box, int pe, size_t bytes_max);
/* The entry, its header now filled in, belongs to the draft. */
void hth_outbox_commit(struct hth_outbox *box, int pe, const struct hth_update_entry *entry);
/* Send all drafts; those without an entry are dropped. */
void hth_outbox_post_all(struct hth_coherence *c, struct hth_region *r, struct hth_outbox *box);
/* Send a message that is a head alone. */
void hth_update_send(struct hth_coherence *c, struct hth_region *r, int pe,
                     enum hth_update_kind kind, uint64_t cookie);

/* --- update_handle.c --- */

/* Forget the published image of a page homed here. Page lock held. */
void hth_unpublish(struct hth_coherence *c, struct hth_region *r, uint64_t page);
/* The entry after this one. */
const struct hth_update_entry *hth_update_next(const struct hth_update_entry *e);
/* Write an entry's bytes into the page's frame, and into `second` unless NULL. Returns how many
 * bytes came, for the caller to count: a sum for all entries of a message. */
uint64_t hth_update_apply(struct hth_coherence *c, struct hth_region *r,
                          const struct hth_update_entry *e, uint8_t *second);
/* One acknowledgement less that the release under way waits for. */
void hth_update_acknowledged(struct hth_coherence *c);

/* --- update.c --- */

/* Wait for all acknowledgements of what was sent with HTH_COOKIE_OWN. Release lock held. */
void hth_update_wait(struct hth_coherence *c);

#endif
