/* SPDX-License-Identifier: BSD-3-Clause */
/* The bounded cache: how much memory a PE's copies take, and which of them goes. See cache.c. */
#ifndef HTH_PROTOCOL_CACHE_H
#define HTH_PROTOCOL_CACHE_H

#include "protocol/page.h"

struct hth_coherence;

/* A PE's. Zeroed: no limit. */
struct hth_cache {
    uint64_t limit_bytes;        /* 0: none. Set before there is a region, raised by new ones */
    _Atomic uint64_t used_bytes; /* of copies' frames that have memory, and of twins. Relaxed */
    uint32_t hand_region;        /* where the clock's hand is; guarded by the release lock */
    uint64_t hand_page;
};

/* What struct hth_region.cached says of a page. */
enum { HTH_NOT_CACHED = 0, HTH_CACHED = 1, HTH_CACHED_TOUCHED = 2 /* since the hand came by */ };

/* Pages of a region that share one count (struct hth_region.cached_in), so that the hand passes
 * over what has no copies. */
#define HTH_CACHE_CHUNK 512u

static inline uint64_t hth_cache_chunks(uint64_t n_pages)
{
    return (n_pages + HTH_CACHE_CHUNK - 1) / HTH_CACHE_CHUNK;
}

/* hth_page_set_state's: a page of a region with a limit goes from one state to another. */
void hth_cache_note(struct hth_region *region, uint64_t page, enum hth_page_state from,
                    enum hth_page_state to);

/* The memory behind a page's frame has been given back, or the page is homed here now. */
void hth_cache_gone(struct hth_region *region, uint64_t page);

/* How many bytes more the region's copies may take. */
static inline uint64_t hth_cache_room(const struct hth_region *region)
{
    if (region->cache == NULL) {
        return UINT64_MAX;
    }
    uint64_t used = atomic_load_explicit(&region->cache->used_bytes, memory_order_relaxed);
    return used < region->cache->limit_bytes ? region->cache->limit_bytes - used : 0;
}

/* See to it that `bytes` more do not exceed the limit, if anything can be evicted. Context:
 * program, no busy bit and no lock held. */
void hth_cache_make_room(struct hth_coherence *coherence, uint64_t bytes);

/* Of n ascending pages, at most HTH_BATCH, which were evicted: give the memory behind those that
 * nobody wants again back. Release lock held. */
void hth_cache_give_back(struct hth_coherence *coherence, struct hth_region *region,
                         const uint64_t *pages, unsigned n);

#endif
