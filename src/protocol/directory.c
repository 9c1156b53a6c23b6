/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a region's words are, the same on every PE:
 *
 *   copysets of the pages homed here | hints (3 levels) | stale map of the whole region (3 levels)
 *   | claims of every n_pes-th collective page (claim.c), if pages are dealt so
 *
 * A directory index numbers the pages that a PE can be home to: the collective pages, then its own
 * solo share. A copyset takes the next power of two of n_pes bits, several to a word, or from 64
 * PEs on a vector of whole words. */
#include "protocol/claim.h"
#include "protocol/coherence.h"
#include "protocol/directory.h"

static uint64_t directory_index(const struct hth_region *region, uint64_t page)
{
    const struct hth_homes *homes = region->homes;
    return page < homes->collective_pages
               ? page
               : homes->collective_pages + (page - homes->collective_pages) % homes->solo_pages;
}

uint64_t hth_directory_page(const struct hth_region *region, uint64_t index)
{
    const struct hth_homes *homes = region->homes;
    return index < homes->collective_pages ? index
                                           : index + (uint64_t)region->my_pe * homes->solo_pages;
}

void hth_region_layout(struct hth_region *region)
{
    unsigned bits = 1;
    while (bits < 64 && bits < (unsigned)region->n_pes) {
        bits *= 2;
    }
    region->copyset_bits = bits;
    region->copyset_words = ((uint64_t)region->n_pes + 63) / 64;
    uint64_t entries = region->homes->collective_pages + region->homes->solo_pages;
    uint64_t word = bits < 64 ? (entries * bits + 63) / 64 : entries * region->copyset_words;
    hth_bitmap_layout(&region->hints, entries, &word);
    hth_bitmap_layout(&region->stale, region->n_pages, &word);
    if (region->has_claims) {
        hth_claim_layout(region, &word);
    }
    region->n_words = word;
}

/* The word of a page's copyset that has PE `pe`'s bit, and the shift of the set's first bit in it.
 */
static uint64_t copyset_word(const struct hth_region *region, uint64_t page, int pe,
                             unsigned *shift_out)
{
    uint64_t index = directory_index(region, page);
    if (region->copyset_bits < 64) {
        uint64_t bit = index * region->copyset_bits;
        *shift_out = (unsigned)(bit % 64);
        return bit / 64;
    }
    *shift_out = 0;
    return index * region->copyset_words + (uint64_t)pe / 64;
}

void hth_directory_register(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                            unsigned n, int home)
{
    uint64_t indices[HTH_REGISTER_MAX], mine = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned shift, next_shift;
        uint64_t word = copyset_word(region, pages[i], region->my_pe, &shift);
        mine |= UINT64_C(1) << (shift + (unsigned)region->my_pe % 64);
        if (i + 1 == n || copyset_word(region, pages[i + 1], region->my_pe, &next_shift) != word) {
            hth_port_word(port, region, home, word, HTH_WORD_OR, mine, NULL);
            mine = 0;
        }
        indices[i] = directory_index(region, pages[i]);
    }
    hth_port_order_words(port, region, home);
    for (unsigned level = 0; level < 3; level++) {
        hth_bitmap_post(port, region, home, &region->hints, level, indices, n);
        hth_port_order_words(port, region, home);
    }
    for (unsigned i = 0; i < n; i++) {
        region->pages[pages[i]].registered = 1;
        hth_port_trace(port, region, pages[i], HTH_EVENT_REGISTER, 1);
    }
}

void hth_directory_unregister(struct hth_port *port, struct hth_region *region, uint64_t page,
                              int home)
{
    unsigned shift;
    uint64_t word = copyset_word(region, page, region->my_pe, &shift);
    uint64_t mine = UINT64_C(1) << (shift + (unsigned)region->my_pe % 64);
    region->pages[page].registered = 0;
    hth_port_word(port, region, home, word, HTH_WORD_AND, ~mine, NULL);
    hth_port_flush_words(port, region, home);
    hth_port_trace(port, region, page, HTH_EVENT_REGISTER, 0);
}

/* Read the words that hold the copysets of pages[0..n), all at `home`, into place. Pages that share
 * a word get it from one read. */
static void read_run(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                     unsigned n, int home, uint64_t *copysets)
{
    uint64_t last_word = UINT64_MAX;
    for (unsigned i = 0; i < n; i++) {
        for (uint64_t w = 0; w < region->copyset_words; w++) {
            unsigned shift;
            uint64_t word = copyset_word(region, pages[i], (int)w * 64, &shift);
            uint64_t *to = &copysets[i * region->copyset_words + w];
            if (home == region->my_pe) {
                *to = hth_port_word_peek(port, region, word);
            } else if (word != last_word) {
                hth_port_word(port, region, home, word, HTH_WORD_READ, 0, to);
                last_word = word;
            }
        }
    }
}

void hth_directory_read(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                        unsigned n, uint64_t *copysets)
{
    uint64_t words = region->copyset_words;
    unsigned end;
    /* Pairs with a registrant's atomic on the copyset, then its get: if we miss its bit below, its
     * get comes after all that this PE has stored so far. */
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < n; i = end) { /* issue: runs with the same home */
        int home = hth_page_home(port, region, pages[i]);
        end = i + 1;
        while (end < n && hth_page_home(port, region, pages[end]) == home) {
            end++;
        }
        read_run(port, region, &pages[i], end - i, home, &copysets[i * words]);
        if (home != region->my_pe) {
            hth_port_flush_words(port, region, home);
        }
    }
    if (region->copyset_bits == 64) {
        return;
    }
    uint64_t mask = (UINT64_C(1) << region->copyset_bits) - 1;
    uint64_t last = UINT64_MAX, value = 0;
    int last_home = -1;
    for (unsigned i = 0; i < n;
         i++) { /* unpack; a shared word was read for the first of its pages */
        unsigned shift;
        uint64_t word = copyset_word(region, pages[i], 0, &shift);
        int home = hth_page_home(port, region, pages[i]);
        if (word != last || home != last_home || home == region->my_pe) {
            value = copysets[i];
        }
        last = word;
        last_home = home;
        copysets[i] = (value >> shift) & mask;
    }
}

void hth_directory_clear(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    for (uint64_t w = 0; w < region->copyset_words; w++) {
        unsigned shift;
        uint64_t word = copyset_word(region, page, (int)w * 64, &shift);
        uint64_t set = region->copyset_bits < 64
                           ? ((UINT64_C(1) << region->copyset_bits) - 1) << shift
                           : ~UINT64_C(0);
        if ((hth_port_word_peek(port, region, word) & set) != 0) {
            hth_port_word(port, region, region->my_pe, word, HTH_WORD_AND, ~set, NULL);
            hth_port_flush_words(port, region, region->my_pe);
        }
    }
}
