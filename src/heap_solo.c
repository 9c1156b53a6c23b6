/* SPDX-License-Identifier: BSD-3-Clause */
/* The solo allocator.
 *
 * The share is cut into chunks, of a page or 4 KiB, whichever is less. A small block, of up to half
 * a chunk, lies in a *slab*: a chunk of equal slots, so that no small block straddles a page. Slot
 * sizes are a chunk divided by 2, 3, 4, ..., rounded down to 16: they need no table, and from 400
 * bytes down they are hardly larger than the next multiple of 16. A slab that becomes empty is a
 * free chunk again at once. Other blocks are runs of chunks, from one page up runs of pages.
 *
 * What is handed out for the first time is known to be zero. For that, `fresh` says from where on
 * the share was never touched, and a slab in a fresh chunk from which slot on. Holes that page
 * alignment or a gap left behind count as used: safe, if not exact. */
#include "heap.h"

#include <stdlib.h>
#include <string.h>

#include "hearth.h"
#include "heap_table.h"

enum {
    SLOT_UNIT = 16, /* slots are multiples of this, and aligned to it */
    CHUNK_BYTES_MAX = 4096,
    SLOTS_MAX = CHUNK_BYTES_MAX / SLOT_UNIT,
    CLASSES = CHUNK_BYTES_MAX / 2 / SLOT_UNIT + 1 /* by slot size in units */
};

struct slab {
    struct slab *previous, *next; /* in its class's list, while a slot is free */
    uint64_t offset;
    uint32_t slot_bytes, n_slots, n_free;
    uint32_t fresh_slot;                /* from here on, slots were never handed out */
    uint64_t free_bits[SLOTS_MAX / 64]; /* bit set: slot is free */
    uint16_t asked[];                   /* bytes, of each slot in use */
};

struct hth_solo {
    uint64_t page_bytes, chunk_bytes;
    uint64_t fresh;             /* from this offset on, the share was never handed out */
    struct hth_range chunks;    /* the free ones, in bytes */
    struct hth_table spans;     /* slabs, and blocks that are not small, by offset */
    struct slab *open[CLASSES]; /* slabs with a free slot */
};

static uint64_t round_up(uint64_t bytes, uint64_t power_of_two)
{
    return (bytes + power_of_two - 1) & ~(power_of_two - 1);
}

int hth_solo_create(struct hth_solo **solo_out, uint64_t first, uint64_t end, uint64_t page_bytes)
{
    struct hth_solo *solo = calloc(1, sizeof *solo);
    if (solo == NULL)
        return HEARTH_ENOMEM;
    solo->page_bytes = page_bytes;
    solo->chunk_bytes = page_bytes < CHUNK_BYTES_MAX ? page_bytes : CHUNK_BYTES_MAX;
    solo->fresh = round_up(first, page_bytes);
    end &= ~(page_bytes - 1);
    if (hth_range_init(&solo->chunks, solo->fresh, end) != 0 || hth_table_init(&solo->spans) != 0) {
        hth_solo_destroy(solo);
        return HEARTH_ENOMEM;
    }
    *solo_out = solo;
    return 0;
}

void hth_solo_destroy(struct hth_solo *solo)
{
    if (solo == NULL)
        return;
    for (uint64_t i = 0; solo->spans.slots != NULL && i < (uint64_t)1 << solo->spans.slots_log2;
         i++) {
        if (solo->spans.slots[i].offset != UINT64_MAX)
            free(solo->spans.slots[i].slab);
    }
    hth_table_fini(&solo->spans);
    hth_range_fini(&solo->chunks);
    free(solo);
}

/* ------------------------------------------------------------------------------------------ */
/* Runs of chunks                                                                             */

/* Take a run and enter it into the table, as a slab or (slab NULL) as a block. */
static int take_span(struct hth_solo *solo, uint64_t bytes, uint64_t unit, struct slab *slab,
                     uint64_t *offset_out, bool *used_out)
{
    uint64_t span_bytes = round_up(bytes, unit), offset;
    uint64_t gap = hth_range_gap(bytes, solo->page_bytes, HTH_GAP_PAGES);
    if (hth_range_take_apart(&solo->chunks, span_bytes, unit, gap, &offset) != 0)
        return HEARTH_ENOMEM;
    struct hth_table_entry entry = {offset, bytes, slab};
    if (hth_table_put(&solo->spans, &entry) != 0) {
        (void)hth_range_give(&solo->chunks, offset, span_bytes); /* if that fails too: leaked */
        return HEARTH_ENOMEM;
    }
    *offset_out = offset;
    *used_out = offset < solo->fresh;
    if (offset + span_bytes > solo->fresh)
        solo->fresh = offset + span_bytes;
    return 0;
}

/* What the size of a run that is a block is a multiple of, and its offset too. */
static uint64_t span_unit(const struct hth_solo *solo, uint64_t bytes)
{
    return bytes >= solo->page_bytes ? solo->page_bytes : solo->chunk_bytes;
}

static void give_span(struct hth_solo *solo, const struct hth_table_entry *entry)
{
    uint64_t offset = entry->offset, bytes = entry->bytes;
    hth_table_remove(&solo->spans, entry);
    (void)hth_range_give(&solo->chunks, offset, round_up(bytes, span_unit(solo, bytes)));
}

/* ------------------------------------------------------------------------------------------ */
/* Slabs                                                                                      */

/* The largest slot of which as many fit into a chunk as of `bytes`. */
static uint32_t slot_bytes_for(const struct hth_solo *solo, uint64_t bytes)
{
    uint64_t n_slots = solo->chunk_bytes / round_up(bytes, SLOT_UNIT);
    return (uint32_t)(solo->chunk_bytes / n_slots & ~(uint64_t)(SLOT_UNIT - 1));
}

static struct slab **list_of(struct hth_solo *solo, uint32_t slot_bytes)
{
    return &solo->open[slot_bytes / SLOT_UNIT];
}

static void link_slab(struct hth_solo *solo, struct slab *slab)
{
    struct slab **head = list_of(solo, slab->slot_bytes);
    slab->previous = NULL;
    slab->next = *head;
    if (*head != NULL)
        (*head)->previous = slab;
    *head = slab;
}

static void unlink_slab(struct hth_solo *solo, struct slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        *list_of(solo, slab->slot_bytes) = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
}

static bool slot_is_free(const struct slab *slab, uint32_t slot)
{
    return slab->free_bits[slot / 64] >> slot % 64 & 1;
}

static struct slab *open_slab(struct hth_solo *solo, uint32_t slot_bytes)
{
    uint32_t n_slots = (uint32_t)(solo->chunk_bytes / slot_bytes);
    struct slab *slab = calloc(1, sizeof *slab + n_slots * sizeof slab->asked[0]);
    bool used;
    if (slab == NULL)
        return NULL;
    if (take_span(solo, solo->chunk_bytes, solo->chunk_bytes, slab, &slab->offset, &used) != 0) {
        free(slab);
        return NULL;
    }
    slab->slot_bytes = slot_bytes;
    slab->n_slots = slab->n_free = n_slots;
    slab->fresh_slot = used ? n_slots : 0;
    for (uint32_t slot = 0; slot < n_slots; slot++)
        slab->free_bits[slot / 64] |= (uint64_t)1 << slot % 64;
    link_slab(solo, slab);
    return slab;
}

/* A slab with a free slot of that size: one that is open, or a new one, or when there is no chunk
 * left one with larger slots. */
static struct slab *find_slab(struct hth_solo *solo, uint32_t slot_bytes)
{
    struct slab *slab = *list_of(solo, slot_bytes);
    if (slab == NULL)
        slab = open_slab(solo, slot_bytes);
    for (uint32_t size = slot_bytes; slab == NULL && size <= solo->chunk_bytes / 2;
         size += SLOT_UNIT)
        slab = *list_of(solo, size);
    return slab;
}

static int alloc_small(struct hth_solo *solo, uint64_t bytes, uint64_t *offset_out, bool *used_out)
{
    struct slab *slab = find_slab(solo, slot_bytes_for(solo, bytes));
    if (slab == NULL)
        return HEARTH_ENOMEM;
    uint32_t word = 0;
    while (slab->free_bits[word] == 0)
        word++;
    uint32_t slot = 64 * word + (uint32_t)__builtin_ctzll(slab->free_bits[word]);
    slab->free_bits[word] &= slab->free_bits[word] - 1;
    slab->asked[slot] = (uint16_t)bytes;
    if (--slab->n_free == 0)
        unlink_slab(solo, slab);
    *used_out = slot < slab->fresh_slot;
    if (slot >= slab->fresh_slot) /* the lowest free slot is taken: all below were handed out */
        slab->fresh_slot = slot + 1;
    *offset_out = slab->offset + (uint64_t)slot * slab->slot_bytes;
    return 0;
}

static void free_small(struct hth_solo *solo, const struct hth_table_entry *entry, uint32_t slot)
{
    struct slab *slab = entry->slab;
    slab->free_bits[slot / 64] |= (uint64_t)1 << slot % 64;
    if (slab->n_free++ == 0)
        link_slab(solo, slab);
    if (slab->n_free == slab->n_slots) {
        unlink_slab(solo, slab);
        give_span(solo, entry);
        free(slab);
    }
}

/* ------------------------------------------------------------------------------------------ */

/* What holds the live block that begins at offset, and which slot of it; or NULL. */
static const struct hth_table_entry *find_live(const struct hth_solo *solo, uint64_t offset,
                                               uint32_t *slot_out)
{
    uint64_t chunk = offset & ~(solo->chunk_bytes - 1);
    const struct hth_table_entry *entry = hth_table_get(&solo->spans, chunk);
    *slot_out = 0;
    if (entry == NULL)
        return NULL;
    const struct slab *slab = entry->slab;
    uint32_t within = (uint32_t)(offset - chunk);
    if (slab == NULL)
        return within == 0 ? entry : NULL;
    uint32_t slot = within / slab->slot_bytes;
    if (within % slab->slot_bytes != 0 || slot >= slab->n_slots || slot_is_free(slab, slot))
        return NULL;
    *slot_out = slot;
    return entry;
}

int hth_solo_alloc(struct hth_solo *solo, uint64_t bytes, uint64_t *offset_out, bool *used_out)
{
    if (bytes == 0)
        return HEARTH_EINVAL;
    if (bytes <= solo->chunk_bytes / 2)
        return alloc_small(solo, bytes, offset_out, used_out);
    if (bytes > UINT64_MAX - solo->page_bytes) /* could not be rounded up */
        return HEARTH_ENOMEM;
    return take_span(solo, bytes, span_unit(solo, bytes), NULL, offset_out, used_out);
}

int hth_solo_find(const struct hth_solo *solo, uint64_t offset, uint64_t *bytes_out)
{
    uint32_t slot;
    const struct hth_table_entry *entry = find_live(solo, offset, &slot);
    if (entry == NULL)
        return HEARTH_EADDR;
    const struct slab *slab = entry->slab;
    *bytes_out = slab != NULL ? slab->asked[slot] : entry->bytes;
    return 0;
}

int hth_solo_free(struct hth_solo *solo, uint64_t offset)
{
    uint32_t slot;
    const struct hth_table_entry *entry = find_live(solo, offset, &slot);
    if (entry == NULL)
        return HEARTH_EADDR;
    if (entry->slab != NULL)
        free_small(solo, entry, slot);
    else
        give_span(solo, entry);
    return 0;
}

uint64_t hth_solo_room(const struct hth_solo *solo)
{
    uint64_t page_mask = ~(solo->page_bytes - 1), room = 0;
    for (uint64_t i = 0; i < solo->chunks.n; i++) {
        const struct hth_range_free *run = &solo->chunks.list[i];
        uint64_t first = round_up(run->offset, solo->page_bytes);
        uint64_t end = (run->offset + run->bytes) & page_mask;
        uint64_t fits = run->bytes < solo->page_bytes ? run->bytes : solo->page_bytes - 1;
        if (end > first)
            fits = end - first;
        room = fits > room ? fits : room;
    }
    for (uint64_t size = solo->chunk_bytes / 2; room == 0 && size >= SLOT_UNIT; size -= SLOT_UNIT) {
        if (solo->open[size / SLOT_UNIT] != NULL)
            room = size;
    }
    return room;
}
