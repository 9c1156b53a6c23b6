/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/page.h"

#include <string.h>

int hth_page_home(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    struct hth_page *entry = &region->pages[page];
    int known = __atomic_load_n(&entry->home_plus_1, __ATOMIC_RELAXED);
    if (known != 0) {
        return known - 1;
    }
    int home = hth_homes_lookup(region->homes, page);
    if (home < 0) {
        hth_port_die(port, region, page, "a page in no allocation has no home");
    }
    __atomic_store_n(&entry->home_plus_1, home + 1, __ATOMIC_RELAXED);
    return home;
}

void hth_page_set_state(struct hth_port *port, struct hth_region *region, uint64_t page,
                        enum hth_page_state state)
{
    /* Release: who sees CLEAN without the lock (a fault that waits for its page) sees the bytes. */
    __atomic_store_n(&region->pages[page].state, (uint8_t)state, __ATOMIC_RELEASE);
    hth_port_trace(port, region, page, HTH_EVENT_STATE, state);
}

void hth_dirty_add(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    struct hth_page *entry = &region->pages[page];
    hth_port_short_lock(port, &region->list_lock);
    if (!entry->listed) {
        entry->listed = 1;
        entry->next_plus_1 = region->dirty_plus_1;
        region->dirty_plus_1 = page + 1;
    }
    hth_port_short_unlock(port, &region->list_lock);
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
    /* Writers mostly walk upwards, so a list comes out descending: reverse, then insertion. */
    for (unsigned i = 0; i < n / 2; i++) {
        uint64_t swap = pages[i];
        pages[i] = pages[n - 1 - i];
        pages[n - 1 - i] = swap;
    }
    for (unsigned i = 1; i < n; i++) {
        uint64_t page = pages[i];
        unsigned j = i;
        for (; j > 0 && pages[j - 1] > page; j--) {
            pages[j] = pages[j - 1];
        }
        pages[j] = page;
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
