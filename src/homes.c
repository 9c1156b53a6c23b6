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
    free(homes->moved);
    homes->extents = homes->moved = NULL;
    homes->n_extents = homes->max_extents = homes->n_moved = homes->max_moved = 0;
}

/* How many of n extents begin at or before the page. Under the lock. */
static uint64_t upto(const struct hth_extent *extents, uint64_t n, uint64_t page)
{
    uint64_t low = 0, high = n;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (extents[middle].first_page <= page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t extents_upto(const struct hth_homes *homes, uint64_t page)
{
    return upto(homes->extents, homes->n_extents, page);
}

/* The extent of n that has the page, or NULL. Under the lock. */
static const struct hth_extent *around(const struct hth_extent *extents, uint64_t n, uint64_t page)
{
    uint64_t before = upto(extents, n, page);
    if (before == 0)
        return NULL;
    const struct hth_extent *extent = &extents[before - 1];
    return page - extent->first_page < extent->n_pages ? extent : NULL;
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
    uint64_t n = extents_upto(homes, first_page);
    if (n > 0 && homes->extents[n - 1].first_page == first_page) {
        struct hth_extent *gone = homes->extents + n - 1;
        uint64_t end_page = first_page + gone->n_pages, kept = 0;
        memmove(gone, gone + 1, (homes->n_extents - n) * sizeof *gone);
        homes->n_extents--;
        for (uint64_t i = 0; i < homes->n_moved; i++) {
            if (homes->moved[i].first_page < first_page || homes->moved[i].first_page >= end_page)
                homes->moved[kept++] = homes->moved[i];
        }
        homes->n_moved = kept;
    }
    homes_unlock(homes);
}

int hth_homes_make_room(struct hth_homes *homes)
{
    /* A span that lies within another cuts it in two. Only collective calls write, so what is read
     * here without the lock stays as it is. */
    if (homes->n_moved + 2 <= homes->max_moved)
        return 0;
    uint64_t max = 2 * homes->max_moved + EXTENTS_FIRST;
    struct hth_extent *spare = malloc(max * sizeof *spare), *old = homes->moved;
    if (spare == NULL)
        return HEARTH_ENOMEM;
    if (homes->n_moved > 0)
        memcpy(spare, old, homes->n_moved * sizeof *spare);
    homes_lock(homes);
    homes->moved = spare;
    homes->max_moved = max;
    homes_unlock(homes);
    free(old);
    return 0;
}

static void insert(struct hth_homes *homes, uint64_t first_page, uint64_t end_page, int pe)
{
    if (first_page >= end_page)
        return;
    struct hth_extent *at = homes->moved + upto(homes->moved, homes->n_moved, first_page);
    memmove(at + 1, at, (size_t)(homes->moved + homes->n_moved - at) * sizeof *at);
    *at = (struct hth_extent){first_page, end_page - first_page, HTH_DEAL_FIXED, pe};
    homes->n_moved++;
}

void hth_homes_move(struct hth_homes *homes, uint64_t first_page, uint64_t n_pages, int pe)
{
    uint64_t end_page = first_page + n_pages, kept = 0, tail_end = 0;
    int tail_pe = 0;
    homes_lock(homes);
    for (uint64_t i = 0; i < homes->n_moved; i++) {
        struct hth_extent one = homes->moved[i];
        uint64_t one_end = one.first_page + one.n_pages;
        if (one_end > end_page && one.first_page < end_page) { /* at most one does */
            tail_end = one_end;
            tail_pe = one.fixed_pe;
        }
        if (one.first_page < first_page && one_end > first_page)
            one.n_pages = first_page - one.first_page;
        if (one.first_page < first_page || one.first_page >= end_page)
            homes->moved[kept++] = one;
    }
    homes->n_moved = kept;
    insert(homes, first_page, end_page, pe);
    insert(homes, end_page, tail_end, tail_pe);
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
    case HTH_DEAL_CLAIM:
        return HTH_HOME_OPEN;
    }
    return HTH_HOME_NONE;
}

int hth_homes_lookup(struct hth_homes *homes, uint64_t page)
{
    if (page >= homes->collective_pages) {
        uint64_t solo_page = page - homes->collective_pages;
        if (homes->solo_pages == 0 || solo_page / homes->solo_pages >= (uint64_t)homes->n_pes)
            return HTH_HOME_NONE;
        return (int)(solo_page / homes->solo_pages);
    }
    homes_lock(homes);
    const struct hth_extent *extent = around(homes->moved, homes->n_moved, page);
    if (extent == NULL)
        extent = around(homes->extents, homes->n_extents, page);
    int home = extent != NULL ? home_in_extent(extent, page, homes->n_pes) : HTH_HOME_NONE;
    homes_unlock(homes);
    return home;
}

bool hth_homes_bounds(struct hth_homes *homes, uint64_t page, uint64_t *first_out,
                      uint64_t *end_out)
{
    if (page >= homes->collective_pages) {
        if (hth_homes_lookup(homes, page) < 0)
            return false;
        uint64_t solo_page = page - homes->collective_pages;
        *first_out = page - solo_page % homes->solo_pages;
        *end_out = *first_out + homes->solo_pages;
        return true;
    }
    homes_lock(homes);
    const struct hth_extent *extent = around(homes->extents, homes->n_extents, page);
    if (extent != NULL) {
        *first_out = extent->first_page;
        *end_out = extent->first_page + extent->n_pages;
    }
    homes_unlock(homes);
    return extent != NULL;
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
    case HTH_DEAL_CLAIM:
        break;
    case HTH_DEAL_FIXED:
        if (pe == extent->fixed_pe)
            pages = extent->n_pages;
        break;
    }
    *first_page_out = first;
    *n_pages_out = pages;
}
