/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/page.h"

#include <string.h>

#include "protocol/ahead.h"
#include "protocol/cache.h"

int hth_page_home(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    struct hth_page *entry = &region->pages[page];
    int known = __atomic_load_n(&entry->home_plus_1, __ATOMIC_RELAXED);
    if (known != 0) {
        return known - 1;
    }
    int home = hth_homes_lookup(region->homes, page);
    if (home < 0) {
        hth_port_die(port, region, page,
                     home == HTH_HOME_OPEN ? "a page that nobody has touched has no home"
                                           : "a page in no allocation has no home");
    }
    __atomic_store_n(&entry->home_plus_1, home + 1, __ATOMIC_RELAXED);
    return home;
}

int hth_page_known_home(const struct hth_region *region, uint64_t page)
{
    int known = __atomic_load_n(&region->pages[page].home_plus_1, __ATOMIC_RELAXED);
    return known != 0 ? known - 1 : hth_homes_lookup(region->homes, page);
}

void hth_page_set_state(struct hth_port *port, struct hth_region *region, uint64_t page,
                        enum hth_page_state state)
{
    if (region->cache != NULL) {
        hth_cache_note(region, page, hth_page_state(&region->pages[page]), state);
    }
    if (state == HTH_PAGE_INVALID && region->pages[page].marker != HTH_MARKER_NONE) {
        hth_ahead_unused(region, page);
    }
    /* Release: who sees CLEAN without the lock (a fault that waits for its page) sees the bytes. */
    __atomic_store_n(&region->pages[page].state, (uint8_t)state, __ATOMIC_RELEASE);
    hth_port_trace(port, region, page, HTH_EVENT_STATE, state);
}

void hth_dirty_add_all(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                       unsigned n)
{
    hth_port_short_lock(port, &region->list_lock);
    for (unsigned i = 0; i < n; i++) {
        struct hth_page *entry = &region->pages[pages[i]];
        if (!entry->listed) {
            entry->listed = 1;
            entry->next_plus_1 = region->dirty_plus_1;
            region->dirty_plus_1 = pages[i] + 1;
        }
    }
    hth_port_short_unlock(port, &region->list_lock);
}

void hth_dirty_add(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    hth_dirty_add_all(port, region, &page, 1);
}

uint64_t hth_dirty_detach(struct hth_port *port, struct hth_region *region)
{
    hth_port_short_lock(port, &region->list_lock);
    uint64_t head_plus_1 = region->dirty_plus_1;
    region->dirty_plus_1 = 0;
    hth_port_short_unlock(port, &region->list_lock);
    return head_plus_1;
}

static void sort(uint64_t *pages, unsigned n)
{
    /* Writers mostly walk upwards, so a list comes out descending: reverse, then Shell sort, which
     * passes over what is in order. */
    for (unsigned i = 0; i < n / 2; i++) {
        uint64_t swap = pages[i];
        pages[i] = pages[n - 1 - i];
        pages[n - 1 - i] = swap;
    }
    static const unsigned gaps[] = {132, 57, 23, 10, 4, 1}; /* Ciura 2001 */
    for (unsigned g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        for (unsigned gap = gaps[g], i = gap; i < n; i++) {
            uint64_t page = pages[i];
            unsigned j = i;
            for (; j >= gap && pages[j - gap] > page; j -= gap) {
                pages[j] = pages[j - gap];
            }
            pages[j] = page;
        }
    }
}

unsigned hth_dirty_take(struct hth_port *port, struct hth_region *region, uint64_t *head_plus_1,
                        uint64_t *pages, unsigned max)
{
    unsigned n = 0;
    hth_port_short_lock(port, &region->list_lock);
    while (*head_plus_1 != 0 && n < max) {
        uint64_t page = *head_plus_1 - 1;
        struct hth_page *entry = &region->pages[page];
        *head_plus_1 = entry->next_plus_1;
        entry->next_plus_1 = 0;
        entry->listed = 0;
        pages[n++] = page;
    }
    hth_port_short_unlock(port, &region->list_lock);
    sort(pages, n);
    return n;
}

void hth_page_zero(struct hth_port *port, struct hth_region *region, uint64_t page,
                   uint64_t offset_bytes, uint64_t len_bytes)
{
    if (hth_page_state(&region->pages[page]) == HTH_PAGE_TRACKED) {
        hth_page_set_state(port, region, page, HTH_PAGE_WRITTEN);
        hth_dirty_add(port, region, page);
    }
    if (len_bytes == region->page_bytes) {
        hth_port_punch(port, region, page, 1);
    } else {
        memset(hth_frame(region, page) + offset_bytes, 0, len_bytes);
    }
}

void hth_protect_runs(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                      unsigned n, enum hth_view view)
{
    for (unsigned i = 0; i < n;) {
        unsigned end = i + 1;
        while (end < n && pages[end] == pages[end - 1] + 1) {
            end++;
        }
        hth_port_protect(port, region, pages[i], end - i, view);
        i = end;
    }
}
