/* SPDX-License-Identifier: BSD-3-Clause */
#include "homes.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "hearth.h"

enum { EXTENTS_FIRST = 16, SPINS_MAX = 100 };

/* Who holds the lock may have lost its core to us, so do not spin for long. sched_yield() is a bare
 * system call and so may be made in a fault handler. */
static void homes_lock(struct hth_homes *homes)
{
    int spins = 0;
    while (atomic_flag_test_and_set_explicit(&homes->lock, memory_order_acquire)) {
        if (++spins >= SPINS_MAX)
            (void)sched_yield();
    }
}

static void homes_unlock(struct hth_homes *homes)
{
    atomic_flag_clear_explicit(&homes->lock, memory_order_release);
}

int hth_homes_init(struct hth_homes *homes, int n_pes, uint64_t collective_pages,
                   uint64_t solo_pages)
{
    memset(homes, 0, sizeof *homes);
    atomic_flag_clear(&homes->lock);
    homes->extents = malloc(EXTENTS_FIRST * sizeof *homes->extents);
    if (homes->extents == NULL)
        return HEARTH_ENOMEM;
    homes->n_pes = n_pes;
    homes->collective_pages = collective_pages;
    homes->solo_pages = solo_pages;
    homes->max_extents = EXTENTS_FIRST;
    return 0;
}

void hth_homes_fini(struct hth_homes *homes)
{
    free(homes->extents);
    homes->extents = NULL;
    homes->n_extents = homes->max_extents = 0;
}

/* How many extents begin at or before the page. Under the lock. */
static uint64_t extents_upto(const struct hth_homes *homes, uint64_t page)
{
    uint64_t low = 0, high = homes->n_extents;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (homes->extents[middle].first_page <= page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Make room for more than `max` extents. The allocator is called without the lock: a thread in a
 * fault handler must not wait for it. */
static int grow(struct hth_homes *homes, uint64_t max)
{
    uint64_t new_max = 2 * max;
    struct hth_extent *spare = malloc(new_max * sizeof *spare);
    if (spare == NULL)
        return HEARTH_ENOMEM;
    homes_lock(homes);
    if (homes->max_extents < new_max) {
        struct hth_extent *old = homes->extents;
        memcpy(spare, old, homes->n_extents * sizeof *spare);
        homes->extents = spare;
        homes->max_extents = new_max;
        spare = old;
    }
    homes_unlock(homes);
    free(spare);
    return 0;
}

int hth_homes_add(struct hth_homes *homes, const struct hth_extent *extent)
{
    for (;;) {
        homes_lock(homes);
        uint64_t n = homes->n_extents, max = homes->max_extents;
        if (n < max) {
            struct hth_extent *at = homes->extents + extents_upto(homes, extent->first_page);
            memmove(at + 1, at, (size_t)(homes->extents + n - at) * sizeof *at);
            *at = *extent;
            homes->n_extents++;
            homes_unlock(homes);
            return 0;
        }
        homes_unlock(homes);
        if (grow(homes, max) != 0)
            return HEARTH_ENOMEM;
    }
}

void hth_homes_remove(struct hth_homes *homes, uint64_t first_page)
{
    homes_lock(homes);
    uint64_t upto = extents_upto(homes, first_page);
    if (upto > 0 && homes->extents[upto - 1].first_page == first_page) {
        struct hth_extent *gone = homes->extents + upto - 1;
        memmove(gone, gone + 1, (homes->n_extents - upto) * sizeof *gone);
        homes->n_extents--;
    }
    homes_unlock(homes);
}

static int home_in_extent(const struct hth_extent *extent, uint64_t page, int n_pes)
{
    uint64_t n = (uint64_t)n_pes;
    switch (extent->deal) {
    case HTH_DEAL_BLOCK:
        /* The greatest i with floor(i*P/n) <= k, which is i*P < (k+1)*n. */
        return (int)(((page - extent->first_page + 1) * n - 1) / extent->n_pages);
    case HTH_DEAL_CYCLIC:
        return (int)(page % n);
    case HTH_DEAL_FIXED:
        return extent->fixed_pe;
    }
    return -1;
}

int hth_homes_lookup(struct hth_homes *homes, uint64_t page)
{
    if (page >= homes->collective_pages) {
        uint64_t solo_page = page - homes->collective_pages;
        if (homes->solo_pages == 0 || solo_page / homes->solo_pages >= (uint64_t)homes->n_pes)
            return -1;
        return (int)(solo_page / homes->solo_pages);
    }
    int home = -1;
    homes_lock(homes);
    uint64_t upto = extents_upto(homes, page);
    if (upto > 0) {
        const struct hth_extent *extent = &homes->extents[upto - 1];
        if (page - extent->first_page < extent->n_pages)
            home = home_in_extent(extent, page, homes->n_pes);
    }
    homes_unlock(homes);
    return home;
}

void hth_homes_share(const struct hth_homes *homes, const struct hth_extent *extent, int pe,
                     uint64_t *first_page_out, uint64_t *n_pages_out)
{
    uint64_t n = (uint64_t)homes->n_pes, i = (uint64_t)pe;
    uint64_t first = extent->first_page, pages = 0;
    switch (extent->deal) {
    case HTH_DEAL_BLOCK:
        first += i * extent->n_pages / n;
        pages = extent->first_page + (i + 1) * extent->n_pages / n - first;
        break;
    case HTH_DEAL_CYCLIC:
        break;
    case HTH_DEAL_FIXED:
        if (pe == extent->fixed_pe)
            pages = extent->n_pages;
        break;
    }
    *first_page_out = first;
    *n_pages_out = pages;
}
