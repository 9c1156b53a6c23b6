/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/directory.h"

void hth_bitmap_layout(struct hth_bitmap *map, uint64_t n_bits, uint64_t *next_word)
{
    for (unsigned level = 0; level < 3; level++) {
        map->n_words[level] = (n_bits + 63) / 64;
        map->level[level] = *next_word;
        *next_word += map->n_words[level];
        n_bits = map->n_words[level];
    }
}

void hth_bitmap_post(struct hth_port *port, struct hth_region *region, int pe,
                     const struct hth_bitmap *map, unsigned level, const uint64_t *bits, unsigned n)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < n; i++) {
        uint64_t bit = bits[i] >> (6 * level);
        mask |= UINT64_C(1) << (bit & 63);
        if (i + 1 == n || bits[i + 1] >> (6 * level + 6) != bit >> 6) {
            hth_port_word(port, region, pe, map->level[level] + (bit >> 6), HTH_WORD_OR, mask,
                          NULL);
            mask = 0;
        }
    }
}

/* Swap one of this PE's own words with zero. */
static uint64_t swap_word(struct hth_port *port, struct hth_region *region, uint64_t word)
{
    uint64_t old = 0;
    hth_port_word(port, region, region->my_pe, word, HTH_WORD_SWAP, 0, &old);
    hth_port_flush_words(port, region, region->my_pe);
    return old;
}

/* The load first keeps what is empty cheap. */
static uint64_t take_word(struct hth_port *port, struct hth_region *region, uint64_t word)
{
    return hth_port_word_peek(port, region, word) != 0 ? swap_word(port, region, word) : 0;
}

bool hth_bitmap_take(struct hth_port *port, struct hth_region *region, const struct hth_bitmap *map,
                     hth_bitmap_taker take, void *arg)
{
    bool any = false;
    uint64_t first = map->level[2], end = first + map->n_words[2], at = first;
    for (; (at = hth_port_words_next(port, region, at, end)) < end; at++) {
        uint64_t top = at - first, top_bits = swap_word(port, region, at);
        for (; top_bits != 0; top_bits &= top_bits - 1) {
            uint64_t middle = top * 64 + (uint64_t)__builtin_ctzll(top_bits);
            uint64_t middle_bits = take_word(port, region, map->level[1] + middle);
            for (; middle_bits != 0; middle_bits &= middle_bits - 1) {
                uint64_t word = middle * 64 + (uint64_t)__builtin_ctzll(middle_bits);
                uint64_t bits = take_word(port, region, map->level[0] + word);
                if (bits != 0) {
                    any = true;
                    take(arg, word * 64, bits);
                }
            }
        }
    }
    return any;
}
