/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "protocol/scratch.h"
#include "protocol/update.h"

void hth_outbox_init(struct hth_coherence *c, struct hth_outbox *box)
{
    uint64_t words = ((uint64_t)c->n_pes + 63) / 64;
    box->drafts = hth_port_alloc(c->port, (size_t)c->n_pes * sizeof *box->drafts);
    memset(box->drafts, 0, (size_t)c->n_pes * sizeof *box->drafts);
    box->open = hth_port_alloc(c->port, words * sizeof *box->open);
    memset(box->open, 0, words * sizeof *box->open);
}

void hth_outbox_fini(struct hth_coherence *c, struct hth_outbox *box)
{
    hth_port_free(c->port, box->drafts, (size_t)c->n_pes * sizeof *box->drafts);
    hth_port_free(c->port, box->open, ((uint64_t)c->n_pes + 63) / 64 * sizeof *box->open);
}

void hth_outbox_begin(struct hth_outbox *box, enum hth_update_kind kind, const struct hth_region *r,
                      uint64_t cookie)
{
    box->kind = kind;
    box->region = r->id;
    box->cookie = cookie;
    box->posted = 0;
}

static void post(struct hth_coherence *c, struct hth_region *r, struct hth_outbox *box, int pe)
{
    struct hth_draft *draft = &box->drafts[pe];
    box->open[pe / 64] &= ~(UINT64_C(1) << pe % 64);
    if (draft->used == sizeof(struct hth_update_head)) { /* nothing had changed after all */
        hth_port_message_drop(c->port, draft->message);
        draft->message = NULL;
        return;
    }
    if (box->cookie == HTH_COOKIE_OWN) { /* first, since the answer may be quicker than we are */
        atomic_fetch_add_explicit(&c->update->outstanding, 1, memory_order_relaxed);
    }
    box->posted++;
    draft->posted++;
    hth_count(&r->counts.messages, 1);
    hth_update_post(c, pe, (struct hth_update_head *)draft->message, draft->used);
    draft->message = NULL;
}

void hth_outbox_post_all(struct hth_coherence *c, struct hth_region *r, struct hth_outbox *box)
{
    for (int w = 0; w * 64 < c->n_pes; w++) {
        for (uint64_t left = box->open[w]; left != 0; left &= left - 1) {
            int pe = w * 64 + __builtin_ctzll(left);
            post(c, r, box, pe);
            box->drafts[pe].posted = 0;
        }
    }
}

/* How much to write into one message: a message costs some microseconds here and there, and what is
 * in it is under way only once it is full. So the first to a PE are shorter. */
static uint32_t fill_bytes(const struct hth_draft *draft)
{
    static const uint32_t fills[] = {16384, 32768};
    return draft->posted < 2 ? fills[draft->posted] : HTH_MESSAGE_BYTES_MAX;
}

struct hth_update_entry *hth_outbox_entry(struct hth_coherence *c, struct hth_region *r,
                                          struct hth_outbox *box, int pe, size_t bytes_max)
{
    struct hth_draft *draft = &box->drafts[pe];
    if (draft->message != NULL &&
        draft->used + sizeof(struct hth_update_entry) + hth_padded(bytes_max) > fill_bytes(draft)) {
        post(c, r, box, pe);
    }
    if (draft->message == NULL) {
        draft->message = hth_port_message_new(c->port, pe);
        *(struct hth_update_head *)draft->message =
            (struct hth_update_head){box->kind, box->region, box->cookie};
        draft->used = sizeof(struct hth_update_head);
        box->open[pe / 64] |= UINT64_C(1) << pe % 64;
    }
    return (struct hth_update_entry *)(draft->message + draft->used);
}

void hth_outbox_commit(struct hth_outbox *box, int pe, const struct hth_update_entry *entry)
{
    box->drafts[pe].used += (uint32_t)sizeof *entry + hth_padded(entry->bytes);
}

void hth_update_send(struct hth_coherence *c, struct hth_region *r, int pe,
                     enum hth_update_kind kind, uint64_t cookie)
{
    struct hth_update_head *head = hth_port_message_new(c->port, pe);
    *head = (struct hth_update_head){kind, r->id, cookie};
    hth_count(&r->counts.messages, 1);
    hth_update_post(c, pe, head, sizeof *head);
}
