/* SPDX-License-Identifier: BSD-3-Clause */
/* The collective allocator.
 *
 * Large blocks are runs of pages and an extent of the homes each. Small ones are packed into the
 * arena, which grows by runs of pages, an extent each, and never shrinks: nobody tells the homes'
 * owner that such a page might get another home. Runs of pages that happen to touch are one to the
 * arena, so a block may lie across two extents. */
#include "heap.h"

#include <stdlib.h>

#include "hearth.h"
#include "heap_table.h"

enum { PACK_BYTES = 64, ARENA_PAGES_MIN = 16 };

struct hth_heap {
    struct hth_heap_config config;
    struct hth_homes *homes;
    uint64_t large_bytes;    /* from here on, a block has its pages to itself */
    struct hth_range pages;  /* in bytes, whole pages: neither large block nor arena */
    struct hth_range arena;  /* what is free in it */
    struct hth_table blocks; /* the live ones, by offset */
    uint32_t gap_pages;      /* before the next large block */
};

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

int hth_heap_create(struct hth_heap **heap_out, const struct hth_heap_config *config,
                    struct hth_homes *homes)
{
    struct hth_heap *heap = calloc(1, sizeof *heap);
    if (heap == NULL)
        return HEARTH_ENOMEM;
    heap->config = *config;
    heap->homes = homes;
    heap->gap_pages = config->first_gap_pages;
    heap->large_bytes = config->page_bytes;
    if (config->deal != HTH_DEAL_FIXED)
        heap->large_bytes *= (uint64_t)config->n_pes;
    uint64_t end = homes->collective_pages * config->page_bytes;
    if (hth_range_init(&heap->pages, 0, end) != 0 || hth_range_init(&heap->arena, 0, 0) != 0 ||
        hth_table_init(&heap->blocks) != 0) {
        hth_heap_destroy(heap);
        return HEARTH_ENOMEM;
    }
    *heap_out = heap;
    return 0;
}

void hth_heap_destroy(struct hth_heap *heap)
{
    if (heap == NULL)
        return;
    hth_table_fini(&heap->blocks);
    hth_range_fini(&heap->arena);
    hth_range_fini(&heap->pages);
    free(heap);
}

/* Take a run of pages, `gap` bytes from what lies before it if there is room, and make it an
 * extent. */
static int take_extent(struct hth_heap *heap, uint64_t bytes, uint64_t gap, enum hth_deal deal,
                       uint64_t *offset_out)
{
    uint64_t page_bytes = heap->config.page_bytes, offset;
    if (hth_range_take_apart(&heap->pages, bytes, page_bytes, gap, &offset) != 0)
        return HEARTH_ENOMEM;
    struct hth_extent extent = {offset / page_bytes, bytes / page_bytes, deal,
                                heap->config.fixed_pe};
    if (hth_homes_add(heap->homes, &extent) != 0) {
        (void)hth_range_give(&heap->pages, offset, bytes); /* if that fails too, it is leaked */
        return HEARTH_ENOMEM;
    }
    *offset_out = offset;
    return 0;
}

static void give_extent(struct hth_heap *heap, uint64_t offset, uint64_t bytes)
{
    hth_homes_remove(heap->homes, offset / heap->config.page_bytes);
    (void)hth_range_give(&heap->pages, offset, bytes);
}

/* Room for `bytes` more in the arena, and for some to come if the region has it. */
static int grow_arena(struct hth_heap *heap, uint64_t bytes)
{
    uint64_t page_bytes = heap->config.page_bytes, n_pes = (uint64_t)heap->config.n_pes;
    uint64_t need = round_up(bytes, page_bytes);
    uint64_t want = (n_pes > ARENA_PAGES_MIN ? n_pes : ARENA_PAGES_MIN) * page_bytes;
    enum hth_deal deal = heap->config.deal == HTH_DEAL_FIXED ? HTH_DEAL_FIXED : HTH_DEAL_CYCLIC;
    uint64_t offset;
    if (want < need)
        want = need;
    if (take_extent(heap, want, 0, deal, &offset) != 0) {
        want = need;
        if (take_extent(heap, want, 0, deal, &offset) != 0)
            return HEARTH_ENOMEM;
    }
    if (hth_range_give(&heap->arena, offset, want) != 0) {
        give_extent(heap, offset, want);
        return HEARTH_ENOMEM;
    }
    return 0;
}

static int take_large(struct hth_heap *heap, uint64_t bytes, uint64_t *offset_out)
{
    uint64_t gap = hth_range_gap(bytes, heap->config.page_bytes, heap->gap_pages);
    int err = take_extent(heap, round_up(bytes, heap->config.page_bytes), gap, heap->config.deal,
                          offset_out);
    if (err == 0 && (gap != 0 || heap->gap_pages == 0))
        heap->gap_pages = HTH_GAP_PAGES; /* what comes first has the region's own */
    return err;
}

static int take_packed(struct hth_heap *heap, uint64_t bytes, uint64_t *offset_out)
{
    uint64_t packed = round_up(bytes, PACK_BYTES);
    if (hth_range_take(&heap->arena, packed, PACK_BYTES, offset_out) == 0)
        return 0;
    if (grow_arena(heap, packed) != 0)
        return HEARTH_ENOMEM;
    return hth_range_take(&heap->arena, packed, PACK_BYTES, offset_out);
}

static void give_back(struct hth_heap *heap, uint64_t offset, uint64_t bytes)
{
    if (bytes >= heap->large_bytes)
        give_extent(heap, offset, round_up(bytes, heap->config.page_bytes));
    else
        (void)hth_range_give(&heap->arena, offset, round_up(bytes, PACK_BYTES));
}

int hth_heap_alloc(struct hth_heap *heap, uint64_t bytes, struct hth_block *block_out)
{
    uint64_t page_bytes = heap->config.page_bytes, offset;
    bool large = bytes >= heap->large_bytes;
    if (bytes == 0)
        return HEARTH_EINVAL;
    if (bytes > heap->homes->collective_pages * page_bytes)
        return HEARTH_ENOMEM;
    int err = large ? take_large(heap, bytes, &offset) : take_packed(heap, bytes, &offset);
    if (err != 0)
        return err;
    struct hth_table_entry entry = {offset, bytes, NULL};
    if (hth_table_put(&heap->blocks, &entry) != 0) {
        give_back(heap, offset, bytes);
        return HEARTH_ENOMEM;
    }
    *block_out = (struct hth_block){offset, bytes, large};
    return 0;
}

int hth_heap_find(const struct hth_heap *heap, uint64_t offset, struct hth_block *block_out)
{
    const struct hth_table_entry *entry = hth_table_get(&heap->blocks, offset);
    if (entry == NULL)
        return HEARTH_EADDR;
    *block_out = (struct hth_block){offset, entry->bytes, entry->bytes >= heap->large_bytes};
    return 0;
}

bool hth_heap_covers(const struct hth_heap *heap, uint64_t offset, uint64_t bytes)
{
    const struct hth_table_entry *block = hth_table_upto(&heap->blocks, offset);
    return block != NULL && offset - block->offset < block->bytes &&
           bytes <= block->bytes - (offset - block->offset);
}

int hth_heap_free(struct hth_heap *heap, uint64_t offset)
{
    const struct hth_table_entry *entry = hth_table_get(&heap->blocks, offset);
    if (entry == NULL)
        return HEARTH_EADDR;
    uint64_t bytes = entry->bytes;
    hth_table_remove(&heap->blocks, entry);
    give_back(heap, offset, bytes);
    return 0;
}

uint64_t hth_heap_room(const struct hth_heap *heap)
{
    uint64_t large = hth_range_largest(&heap->pages);
    if (large >= heap->large_bytes)
        return large;
    /* Only packed blocks are left: in the arena, or in pages that it would grow by. */
    uint64_t packed = hth_range_largest(&heap->arena);
    packed = packed > large ? packed : large;
    return packed < heap->large_bytes ? packed : heap->large_bytes - 1;
}
