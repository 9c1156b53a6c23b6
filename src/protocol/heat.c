/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/heat.h"

#include <string.h>

static unsigned cool_after(const struct hth_coherence *c, const struct hth_region *r)
{
    /* To compare a large page takes as long as a fault. Two: pages may be written every second
     * epoch. */
    return r->page_bytes <= 16384 || c->tuning.cool_after < 2 ? c->tuning.cool_after : 2;
}

/* What was hot, and is no longer: the next release that finds it written makes it hot again. */
static unsigned cooled(const struct hth_coherence *c)
{
    return c->tuning.hot_after > 0 ? c->tuning.hot_after - 1 : 0;
}

void hth_heat_note(const struct hth_coherence *c, const struct hth_region *r, struct hth_page *page,
                   bool changed, bool kept)
{
    unsigned hot_after = c->tuning.hot_after;
    if (changed) {
        bool hot = kept || page->heat > hot_after;
        unsigned warmer = page->heat + 1u < hot_after ? page->heat + 1u : hot_after - 1;
        page->heat = (uint8_t)(hot ? hot_after + cool_after(c, r) : warmer);
    } else if (page->heat > hot_after) {
        page->heat--;
    } else if (kept) {
        page->heat = (uint8_t)hot_after;
    } else {
        page->heat = (uint8_t)(page->heat == hot_after ? cooled(c) : 0);
    }
}

bool hth_heat_backwards(const struct hth_coherence *c, const struct hth_region *r, uint64_t first)
{
    return r->pages[first].heat != c->tuning.hot_after + cool_after(c, r);
}

/* A sum of a page's bytes; of a large page, of a sample. Other threads may be writing. */
static uint64_t sum_of(const struct hth_region *r, uint64_t page)
{
    const uint8_t *frame = hth_frame(r, page);
    uint64_t step = r->page_bytes <= 4096 ? 8 : r->page_bytes / 512, sums[4] = {1, 2, 3, 4};
    for (uint64_t at = 0; at + 4 * step <= r->page_bytes; at += 4 * step) {
        for (unsigned i = 0; i < 4; i++) {
            uint64_t word;
            memcpy(&word, frame + at + i * step, sizeof word);
            sums[i] = (sums[i] ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        }
    }
    return sums[0] ^ sums[1] << 1 ^ sums[2] << 2 ^ sums[3] << 3;
}

#define HOME_TRUST_MAX 3u

bool hth_heat_stays_home(const struct hth_coherence *c, const struct hth_region *r, uint64_t page)
{
    struct hth_page *entry = &r->pages[page];
    unsigned hot_after = c->tuning.hot_after;
    if (entry->heat + 1u < hot_after) {
        entry->heat++;
        return false;
    }
    if (entry->heat > hot_after + 1) {
        entry->heat--;
        return true;
    }
    uint64_t sum = sum_of(r, page);
    if (entry->heat <= hot_after) {
        entry->trust = 0;
    } else if (sum == entry->sum) {
        entry->heat = (uint8_t)cooled(c);
        return false;
    } else if (entry->trust < HOME_TRUST_MAX) {
        entry->trust++;
    }
    entry->sum = sum;
    entry->heat = (uint8_t)(hot_after + (c->tuning.cool_after_home << entry->trust));
    return true;
}

void hth_heat_alone(const struct hth_coherence *c, struct hth_page *page)
{
    if (page->heat > c->tuning.hot_after) {
        page->heat = (uint8_t)c->tuning.hot_after;
    }
}

#define WANTED_MAX    3u /* what struct hth_page.wanted holds, and .refreshed */
#define REFRESHED_MAX 63u
#define TRUST_MAX     4u
#define VAIN_MAX      1u /* notices between two fetches of what is to be wanted */
#define TRUST_GUESS   6u /* not wanted yet, but guessed to be: one refresh */
#define TRUST_VAIN    7u /* such a guess, or all that was learnt, was in vain: no guess */

void hth_wanted_note(const struct hth_coherence *c, struct hth_page *page, unsigned window)
{
    unsigned after = c->tuning.wanted_after;
    unsigned vain = page->registered > 0 ? page->registered - 1u : 0;
    page->refreshed = 0;
    if (page->trust == TRUST_GUESS) {
        page->trust = vain == 0 ? 0 : TRUST_VAIN;
    }
    if (after > WANTED_MAX || page->wanted >= after || vain > VAIN_MAX) {
        return;
    }
    page->wanted++;
    if (page->wanted == after) {
        page->trust = page->trust == TRUST_VAIN ? 0 : page->trust;
    } else if (page->trust == 0 && c->tuning.sweep != 0 && window >= c->tuning.sweep) {
        page->trust = TRUST_GUESS;
    }
}

bool hth_wanted_stays(const struct hth_coherence *c, struct hth_page *page)
{
    bool guess = page->trust == TRUST_GUESS && page->refreshed == 0;
    /* A marker is there to be asked for. */
    if ((page->wanted < c->tuning.wanted_after && !guess) || page->marker != HTH_MARKER_NONE) {
        return false;
    }
    unsigned limit = c->tuning.probe_after << page->trust;
    if (guess || page->refreshed < (limit < REFRESHED_MAX ? limit : REFRESHED_MAX)) {
        page->refreshed++;
        return true;
    }
    page->wanted--; /* the next fetch makes up for it */
    if (page->trust < TRUST_MAX) {
        page->trust++;
    }
    return false;
}

void hth_wanted_no_more(const struct hth_coherence *c, struct hth_page *page)
{
    if (page->trust > 1 && page->trust <= TRUST_MAX) { /* proven: the last probe raised it */
        page->wanted = (c->tuning.wanted_after - 1) & WANTED_MAX;
        page->trust = (page->trust - 1u) / 2;
    } else {
        page->wanted = 0;
        page->trust = TRUST_VAIN;
    }
}
