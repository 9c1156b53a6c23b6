/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-invalidate: how changed bytes get home. See invalidate.c for the rules.
 *
 * Few runs go as puts, at half a microsecond each; neighbours that touch, over page borders too, as
 * one. Where a home would get many, they are packed into messages in the encoding of diff.h, which
 * its handler applies; a message costs as much as some ten to twenty puts, more if the home
 * computes. Both are over, flushed or acknowledged, before the pages are let go of and before the
 * copysets are read: the home must have the bytes by then (READFIRST, and BUG_ACKEARLY).
 *
 * Other threads may be writing a hot page. So each of its bytes is read once, into the twin, and
 * puts and messages are made from that, never from the frame again: what is written after it was
 * read differs from the twin, and a later release finds it (BUG_TWINFRAME, BUG_PUTFRAME). The frame
 * of a page that is not hot is still. */
#include <string.h>

#include "protocol/diff.h"
#include "protocol/heat.h"
#include "protocol/scratch.h"
#include "protocol/update.h"

/* Look what of each copy has changed. `masks` has room for all of them. */
static void take_changes(struct hth_coherence *c, struct hth_region *r, unsigned kept,
                         uint8_t *masks)
{
    struct hth_scratch *s = c->scratch;
    bool backwards = hth_heat_backwards(c, r, s->pages[0]);
    for (unsigned k = 0; k < kept; k++) {
        unsigned i = backwards ? kept - 1 - k : k;
        s->runs[i] = 0;
        if (s->homes[i] == c->my_pe) {
            continue;
        }
        s->from[i] = hth_frame(r, s->pages[i]);
        uint8_t *twin = r->pages[s->pages[i]].side;
        if (twin == NULL) { /* HTH_ADVICE_OVERWRITE: all of it */
            s->runs[i] = 1;
            continue;
        }
        if (s->hot[i]) {
            s->runs[i] = (unsigned)hth_diff_take(s->from[i], twin, r->page_bytes, masks);
            s->from[i] = twin;
        } else {
            s->runs[i] = (unsigned)hth_diff_compare(s->from[i], twin, r->page_bytes, masks);
        }
        s->masks[i] = masks;
        masks += HTH_DIFF_MASK_BYTES(r->page_bytes);
        if (s->runs[i] >= c->tuning.pack_page_runs) {
            s->toward[s->homes[i]].runs += s->runs[i];
        }
    }
}

/* Neighbouring runs, waiting to go as one put. */
struct span {
    int home;
    uint64_t offset; /* in the region */
    const uint8_t *from;
    size_t bytes;
};

static void put_span(struct hth_coherence *c, struct hth_region *r, struct span *span)
{
    if (span->bytes > 0) {
        hth_port_put(c->port, r, span->home, span->offset, span->from, span->bytes);
        c->scratch->toward[span->home].put = true;
    }
    span->bytes = 0;
}

/* Put the changed bytes of page i of scratch, or leave the last of them in the span. Returns how
 * many there are. */
static uint64_t put_page(struct hth_coherence *c, struct hth_region *r, unsigned i,
                         struct span *span)
{
    struct hth_scratch *s = c->scratch;
    bool whole = r->pages[s->pages[i]].side == NULL;
    uint64_t named = 0;
    for (size_t start = 0, end = 0; end < r->page_bytes;) {
        if (whole) {
            end = r->page_bytes;
        } else if (!hth_diff_next_run(s->masks[i], r->page_bytes, &start, &end)) {
            break;
        }
        const uint8_t *from = s->from[i] + start;
        uint64_t offset = s->pages[i] * r->page_bytes + start;
        if (span->bytes == 0 || span->home != s->homes[i] || span->offset + span->bytes != offset ||
            span->from + span->bytes != from) {
            put_span(c, r, span);
            *span = (struct span){s->homes[i], offset, from, 0};
        }
        span->bytes += end - start;
        named += end - start;
    }
    return named;
}

/* Into the message to the page's home. Returns the bytes that takes. */
static uint64_t pack_page(struct hth_coherence *c, struct hth_region *r, unsigned i)
{
    struct hth_scratch *s = c->scratch;
    struct hth_outbox *box = &c->update->release_box;
    uint64_t packed = 0;
    for (uint64_t offset = 0; offset < r->page_bytes; offset += HTH_SLICE) {
        uint32_t bytes = hth_slice_bytes(r, offset);
        struct hth_update_entry *e =
            hth_outbox_entry(c, r, box, s->homes[i], HTH_DIFF_BYTES_MAX(bytes));
        const uint8_t *mask = s->masks[i] + HTH_DIFF_MASK_BYTES(offset);
        size_t runs = bytes == r->page_bytes ? s->runs[i] : hth_diff_runs(mask, bytes);
        size_t n = hth_diff_encode(s->from[i] + offset, mask, runs, bytes, (uint8_t *)(e + 1));
        *e = (struct hth_update_entry){s->pages[i], (uint32_t)offset, (uint32_t)n};
        if (n > 0) {
            hth_outbox_commit(box, s->homes[i], e);
            packed += n;
        }
    }
    return packed;
}

static bool to_be_packed(const struct hth_coherence *c, const struct hth_region *r, unsigned i)
{
    const struct hth_scratch *s = c->scratch;
    return r->pages[s->pages[i]].side != NULL && s->runs[i] >= c->tuning.pack_page_runs &&
           s->toward[s->homes[i]].runs >= c->tuning.pack_runs;
}

/* Send the pages that are to be packed, or the others; their runs become bytes. */
static void send_pages(struct hth_coherence *c, struct hth_region *r, unsigned kept, bool packed)
{
    struct hth_scratch *s = c->scratch;
    struct span span = {0};
    uint64_t diffs = 0, bytes_out = 0; /* an atomic addition a page would wait for its stores */
    for (unsigned i = 0; i < kept; i++) {
        if (s->runs[i] == 0 || to_be_packed(c, r, i) != packed) {
            continue;
        }
        uint64_t bytes = packed ? pack_page(c, r, i) : put_page(c, r, i, &span);
        s->sent[i] = bytes > 0;
        if (bytes > 0) {
            diffs++;
            bytes_out += bytes;
            hth_port_trace(c->port, r, s->pages[i], HTH_EVENT_DIFF, (int64_t)bytes);
        }
    }
    put_span(c, r, &span);
    hth_count(&r->counts.diffs, diffs);
    hth_count(&r->counts.bytes_out, bytes_out);
}

static void have_arrived(struct hth_coherence *c, struct hth_region *r, unsigned kept)
{
    struct hth_scratch *s = c->scratch;
    for (unsigned i = 0; i < kept; i++) {
        struct hth_toward *toward = &s->toward[s->homes[i]];
        if (toward->put) {
            hth_port_flush_frames(c->port, r, s->homes[i]);
        }
        *toward = (struct hth_toward){0};
    }
    hth_update_wait(c);
}

/* Hot pages keep their twins, the others none. */
static void settle_twins(struct hth_coherence *c, struct hth_region *r, unsigned kept)
{
    struct hth_scratch *s = c->scratch;
    for (unsigned i = 0; i < kept; i++) {
        struct hth_page *entry = &r->pages[s->pages[i]];
        if (s->homes[i] == c->my_pe) {
            continue;
        }
        if (!s->hot[i]) {
            if (entry->side != NULL) {
                hth_port_free(c->port, entry->side, r->page_bytes);
                entry->side = NULL;
            }
        }
        hth_heat_note(c, r, entry, s->sent[i], s->hot[i]);
    }
}

void hth_invalidate_write_back(struct hth_coherence *c, struct hth_region *r, unsigned kept)
{
    struct hth_scratch *s = c->scratch;
    size_t n_copies = 0;
    for (unsigned i = 0; i < kept; i++) {
        n_copies += s->homes[i] != c->my_pe;
    }
    memset(s->sent, 0, kept * sizeof s->sent[0]);
    if (n_copies == 0) {
        return;
    }
    size_t masks_bytes = n_copies * HTH_DIFF_MASK_BYTES(r->page_bytes);
    uint8_t *masks = hth_port_alloc(c->port, masks_bytes);
    take_changes(c, r, kept, masks);
    hth_outbox_begin(&c->update->release_box, HTH_MSG_DIFF, r, HTH_COOKIE_OWN);
    send_pages(c, r, kept, true);
    hth_outbox_post_all(c, r, &c->update->release_box);
    send_pages(c, r, kept, false);
    have_arrived(c, r, kept);
    settle_twins(c, r, kept);
    hth_port_free(c->port, masks, masks_bytes);
}

/* --- at the home. Context: handler --- */

static void handle_diff(struct hth_coherence *c, struct hth_region *r, int from,
                        const struct hth_update_head *head, const uint8_t *end)
{
    uint64_t bytes = 0;
    for (const struct hth_update_entry *e = (const struct hth_update_entry *)(head + 1);
         (const uint8_t *)e < end; e = hth_update_next(e)) {
        bytes += hth_update_apply(c, r, e, NULL);
        hth_port_trace(c->port, r, e->page, HTH_EVENT_UPDATE, ~(int64_t)from);
    }
    hth_count(&r->counts.bytes_in, bytes);
    hth_update_send(c, r, from, HTH_MSG_DIFF_ACK, head->cookie);
}

void hth_invalidate_handle(struct hth_coherence *c, struct hth_region *r, int from,
                           const void *message, size_t bytes)
{
    const struct hth_update_head *head = message;
    switch (head->kind) {
    case HTH_MSG_DIFF: /* as a put would: no lock, and whatever the page's state */
        handle_diff(c, r, from, head, (const uint8_t *)message + bytes);
        break;
    case HTH_MSG_DIFF_ACK:
        hth_update_acknowledged(c);
        break;
    default:
        hth_port_die(c->port, r, head->kind, "a message that write-invalidate does not know");
    }
}
