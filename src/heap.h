/* SPDX-License-Identifier: BSD-3-Clause */
/* The allocators: which bytes of a region are in use. All metadata lies outside of the shared
 * memory. Offsets are bytes from the region's start. No MPI, no globals, no locks: the caller
 * serialises. Every PE that makes the same calls gets the same answers. */
#ifndef HTH_HEAP_H
#define HTH_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "homes.h"

/* A set of free intervals of [first, end), first fit by address. */
struct hth_range {
    struct hth_range_free {
        uint64_t offset, bytes;
    } * list; /* sorted, disjoint, never touching */
    uint64_t n, max;
};
int hth_range_init(struct hth_range *range, uint64_t first, uint64_t end); /* 0, HEARTH_ENOMEM */
void hth_range_fini(struct hth_range *range); /* safe on zeroed memory */
/* Take `bytes` at a multiple of `align` (a power of two). 0, or HEARTH_ENOMEM: nothing so large. */
int hth_range_take(struct hth_range *range, uint64_t bytes, uint64_t align, uint64_t *offset_out);
/* The same, `gap` bytes (or up to `align` more) after the start of the interval, so that the block
 * does not begin where its neighbour ends; without the gap where no interval has room for both.
 * The gap stays free. */
int hth_range_take_apart(struct hth_range *range, uint64_t bytes, uint64_t align, uint64_t gap,
                         uint64_t *offset_out);
/* The gap, in whole pages of page_bytes, that a block of `bytes` is worth: `pages` of 4 KiB, none
 * if that is more than a part of HTH_GAP_PART of the block. Blocks whose distance is a power of two
 * would share sets of the caches, and the first-level cache's guesses of AMD's processors (which
 * hash address bits 12 to 27), so that stencils over two fields of 2^n bytes ran 1.2 times as long.
 */
uint64_t hth_range_gap(uint64_t bytes, uint64_t page_bytes, uint32_t pages);
#define HTH_GAP_PART 32u
/* Odd, so that k blocks on is no power of two either; with 1, 2, and 8 to 10 the rows of a stencil
 * next to each other still met. */
enum { HTH_GAP_PAGES = 13 };
/* Give back what was taken (any part of it). 0, or HEARTH_ENOMEM (list could not grow: leaked). */
int hth_range_give(struct hth_range *range, uint64_t offset, uint64_t bytes);
uint64_t hth_range_largest(const struct hth_range *range); /* the largest free interval, bytes */

/* The collective allocator of a region. */
struct hth_heap_config {
    uint64_t page_bytes;
    int n_pes;
    enum hth_deal deal; /* how large allocations are dealt */
    int fixed_pe;
    uint32_t first_gap_pages; /* before the first large block, of 4 KiB: regions differ in it */
};
struct hth_block {
    uint64_t offset, bytes; /* bytes as asked for */
    bool whole_pages;       /* starts on a page and has its last page to itself */
};
struct hth_heap; /* holds a pointer to the homes, whose extents it adds and removes */
int hth_heap_create(struct hth_heap **heap_out, const struct hth_heap_config *config,
                    struct hth_homes *homes);
void hth_heap_destroy(struct hth_heap *heap); /* NULL allowed */
/* 0 or HEARTH_ENOMEM. The block is whole_pages if bytes >= one page a PE (or, with
 * HTH_DEAL_FIXED, >= one page); smaller ones are packed, 64-byte aligned, into pages that are dealt
 * cyclically (FIXED: at fixed_pe). */
int hth_heap_alloc(struct hth_heap *heap, uint64_t bytes, struct hth_block *block_out);
/* 0 and the live block that begins at offset, or HEARTH_EADDR. */
int hth_heap_find(const struct hth_heap *heap, uint64_t offset, struct hth_block *block_out);
/* Do these bytes lie within one live block? Looks at all blocks. */
bool hth_heap_covers(const struct hth_heap *heap, uint64_t offset, uint64_t bytes);
/* Free the block that begins at offset: 0 or HEARTH_EADDR. Its extent goes with it if whole_pages.
 */
int hth_heap_free(struct hth_heap *heap, uint64_t offset);
uint64_t hth_heap_room(const struct hth_heap *heap); /* the largest allocation that would succeed */

/* The solo allocator of one PE: many small blocks, fast. */
struct hth_solo;
int hth_solo_create(struct hth_solo **solo_out, uint64_t first, uint64_t end, uint64_t page_bytes);
void hth_solo_destroy(struct hth_solo *solo); /* NULL allowed */
/* 0 or HEARTH_ENOMEM. 16-byte aligned, page-aligned (and page to itself) from one page up.
 * *used_out: the bytes may have been handed out before, so the caller must zero them. */
int hth_solo_alloc(struct hth_solo *solo, uint64_t bytes, uint64_t *offset_out, bool *used_out);
/* 0 and the block's size as asked for, or HEARTH_EADDR. */
int hth_solo_find(const struct hth_solo *solo, uint64_t offset, uint64_t *bytes_out);
int hth_solo_free(struct hth_solo *solo, uint64_t offset); /* 0 or HEARTH_EADDR */
uint64_t hth_solo_room(const struct hth_solo *solo); /* the largest allocation that would succeed */

#endif
