/* SPDX-License-Identifier: BSD-3-Clause */
/* What a release works with. Guarded by the release lock. */
#ifndef HTH_PROTOCOL_SCRATCH_H
#define HTH_PROTOCOL_SCRATCH_H

#include "protocol/coherence.h"

struct hth_scratch {
    uint64_t pages[HTH_BATCH]; /* the pages written, ascending */
    int homes[HTH_BATCH];      /* their homes */
    uint64_t told[HTH_BATCH];  /* the pages that one PE is told about */
    uint64_t *copysets;        /* HTH_BATCH vectors of copyset_words */
    uint64_t *everyone;        /* one vector: the union of those */
    uint64_t words;            /* of a vector: (n_pes + 63) / 64 */
};

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
