/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-ahead: which pages a write fault makes writable beside its own. */
#ifndef HTH_PROTOCOL_WRITE_AHEAD_H
#define HTH_PROTOCOL_WRITE_AHEAD_H

#include "protocol/coherence.h"

/* Pages next to one that is about to be written, which are likely to be written soon: `n` pages
 * from `first` on, on one side of it (upwards: above). n is 0 where nothing is likely. */
struct hth_span {
    uint64_t first;
    unsigned n;
    bool upwards;
};

/* What is likely now that this page is written. The thread's access is to `page`, so that its
 * allocation stays; what is returned lies in the same. */
struct hth_span hth_write_ahead(struct hth_coherence *c, struct hth_region *r, uint64_t page);

static inline bool hth_span_has(const struct hth_span *span, uint64_t page)
{
    return page - span->first < span->n; /* unsigned: what is below is far beyond */
}

/* Make pages of one extent or solo share that are here writable, as a fault on each would, without
 * waiting for any: what another thread has busy, or is not here, is left out. As a guess (not
 * because the program says so), what a guess must not touch is left out too: pages that are being
 * freed or moved, markers of read-ahead, and at a write-invalidate home pages that have never been
 * hot. Context: program, no busy bit held but that of one page outside. */
void hth_make_writable(struct hth_coherence *c, struct hth_region *r, uint64_t first, unsigned n,
                       bool guess);

/* Under what guards the page's state; its view is the caller's. A clean copy: a twin, DIRTY, and on
 * the list. */
void hth_make_dirty(struct hth_coherence *c, struct hth_region *r, uint64_t page);
/* Likewise that, or at a home TRACKED to WRITTEN and on the list. False: neither, nothing done. */
bool hth_make_written(struct hth_coherence *c, struct hth_region *r, uint64_t page);

#endif
