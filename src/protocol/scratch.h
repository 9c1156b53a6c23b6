/* SPDX-License-Identifier: BSD-3-Clause */
/* What a release works with. Guarded by the release lock. */
#ifndef HTH_PROTOCOL_SCRATCH_H
#define HTH_PROTOCOL_SCRATCH_H

#include "protocol/coherence.h"

struct hth_scratch {
    /* of `batch` entries each */
    uint64_t *taken;      /* from the dirty list */
    uint64_t *pages;      /* the pages written, ascending */
    int *homes;           /* their homes */
    bool *hot;            /* they stay writable */
    unsigned *runs;       /* of changed bytes in a copy */
    bool *sent;           /* of a copy: some of its bytes */
    const uint8_t **from; /* where a copy's changed bytes are taken from, */
    uint8_t **masks;      /* and which these are; unless all */
    uint64_t *listed;     /* pages for the dirty list, or to protect */
    uint64_t *told;       /* the pages that one PE is told about; before, those dropped */
    uint64_t *copysets;   /* vectors */
    uint64_t *everyone;   /* one vector: the union of those */
    uint64_t words;       /* of a vector: (n_pes + 63) / 64 */
    struct hth_toward {
        uint32_t runs; /* in the pages that may be packed */
        bool put;      /* to be flushed */
    } * toward;        /* n_pes: the homes */
    void *block;       /* all of these */
    size_t block_bytes;
};

struct hth_scratch *hth_scratch_new(struct hth_port *port, int n_pes, unsigned batch);
void hth_scratch_free(struct hth_port *port, struct hth_scratch *scratch);

/* Write-invalidate (invalidate_diff.c): send what has changed in the copies among the first `kept`
 * pages of scratch home, and have it arrive. All are busy, and but for the hot ones have view read
 * or none. From then on sent[i] says whether page i had changed, and one that is not hot has no
 * twin. */
void hth_invalidate_write_back(struct hth_coherence *c, struct hth_region *r, unsigned kept);

/* Write-invalidate (invalidate_fetch.c): bring copies up to date that this PE is writing, all busy.
 * What they hold of this PE's, released or not, stays. */
struct hth_bundle;
void hth_invalidate_refresh(struct hth_coherence *c, struct hth_region *r,
                            const struct hth_bundle *bundle);
/* The same of copies that are only read, which other threads do meanwhile: all that they hold has
 * arrived at the home, so what comes is as new or newer. */
void hth_invalidate_refresh_clean(struct hth_coherence *c, struct hth_region *r,
                                  const struct hth_bundle *bundle);

/* How many pages to release at once: of large ones fewer, so that what is copied of them has
 * bounds. */
static inline unsigned hth_batch(const struct hth_coherence *c, const struct hth_region *r)
{
    uint64_t n = (UINT64_C(4) << 20) / r->page_bytes;
    n = n == 0 ? 1 : n;
    return n < c->tuning.batch ? (unsigned)n : c->tuning.batch;
}

static inline void hth_wait_for_busy(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_wait why = {HTH_WAIT_BUSY, r, page};
    hth_port_lock(c->port, &r->pages[page].busy, &why);
}

static inline void hth_busy_done(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_port_unlock(c->port, &r->pages[page].busy);
}

static inline void hth_wait_for_release_lock(struct hth_coherence *c)
{
    struct hth_wait why = {HTH_WAIT_RELEASE, NULL, 0};
    hth_port_lock(c->port, &c->release_lock, &why);
}

#endif
