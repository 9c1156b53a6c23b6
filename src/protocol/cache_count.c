/* SPDX-License-Identifier: BSD-3-Clause */
/* What the bounded cache holds; which of it goes is in cache.c. */
#include "protocol/cache.h"

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void subtract(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

void hth_cache_note(struct hth_region *region, uint64_t page, enum hth_page_state from,
                    enum hth_page_state to)
{
    struct hth_cache *cache = region->cache;
    if (to == HTH_PAGE_DIRTY && from != HTH_PAGE_DIRTY) {
        add(&cache->used_bytes, region->page_bytes); /* the twin */
    } else if (from == HTH_PAGE_DIRTY && to != HTH_PAGE_DIRTY) {
        subtract(&cache->used_bytes, region->page_bytes);
    }
    /* A release or recall that leaves a copy clean is no use of it. */
    if (!hth_is_copy(to) || (to == HTH_PAGE_CLEAN && hth_is_copy(from))) {
        return;
    }
    if (atomic_exchange_explicit(&region->cached[page], HTH_CACHED_TOUCHED, memory_order_relaxed) ==
        HTH_NOT_CACHED) {
        add(&cache->used_bytes, region->page_bytes);
        atomic_fetch_add_explicit(&region->cached_in[page / HTH_CACHE_CHUNK], 1,
                                  memory_order_relaxed);
    }
}

void hth_cache_gone(struct hth_region *region, uint64_t page)
{
    if (region->cache == NULL ||
        atomic_load_explicit(&region->cached[page], memory_order_relaxed) == HTH_NOT_CACHED) {
        return;
    }
    atomic_store_explicit(&region->cached[page], HTH_NOT_CACHED, memory_order_relaxed);
    subtract(&region->cache->used_bytes, region->page_bytes);
    atomic_fetch_sub_explicit(&region->cached_in[page / HTH_CACHE_CHUNK], 1, memory_order_relaxed);
}
