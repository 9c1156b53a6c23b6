/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hearth.h"

enum { SLOTS_LOG2_FIRST = 6 };

static const uint64_t empty = UINT64_MAX;

static uint64_t n_slots(const struct hth_table *table)
{
    return (uint64_t)1 << table->slots_log2;
}

/* Fibonacci hashing: offsets are multiples of powers of two, so the entropy is not in low bits. */
static uint64_t slot_of(const struct hth_table *table, uint64_t offset)
{
    return offset * 0x9e3779b97f4a7c15 >> (64 - table->slots_log2);
}

static uint64_t next_slot(const struct hth_table *table, uint64_t slot)
{
    return (slot + 1) & (n_slots(table) - 1);
}

static int make_slots(struct hth_table *table, unsigned slots_log2)
{
    table->slots = malloc(sizeof *table->slots << slots_log2);
    if (table->slots == NULL)
        return HEARTH_ENOMEM;
    table->slots_log2 = slots_log2;
    table->n = 0;
    for (uint64_t i = 0; i < n_slots(table); i++)
        table->slots[i].offset = empty;
    return 0;
}

static void put_unchecked(struct hth_table *table, const struct hth_table_entry *entry)
{
    uint64_t slot = slot_of(table, entry->offset);
    while (table->slots[slot].offset != empty)
        slot = next_slot(table, slot);
    table->slots[slot] = *entry;
    table->n++;
}

int hth_table_init(struct hth_table *table)
{
    return make_slots(table, SLOTS_LOG2_FIRST);
}

void hth_table_fini(struct hth_table *table)
{
    free(table->slots);
    memset(table, 0, sizeof *table);
}

int hth_table_put(struct hth_table *table, const struct hth_table_entry *entry)
{
    if (2 * (table->n + 1) > n_slots(table)) {
        struct hth_table bigger;
        if (make_slots(&bigger, table->slots_log2 + 1) != 0)
            return HEARTH_ENOMEM;
        for (uint64_t i = 0; i < n_slots(table); i++) {
            if (table->slots[i].offset != empty)
                put_unchecked(&bigger, &table->slots[i]);
        }
        free(table->slots);
        *table = bigger;
    }
    put_unchecked(table, entry);
    return 0;
}

const struct hth_table_entry *hth_table_get(const struct hth_table *table, uint64_t offset)
{
    if (offset == empty)
        return NULL;
    uint64_t slot = slot_of(table, offset);
    while (table->slots[slot].offset != empty) {
        if (table->slots[slot].offset == offset)
            return &table->slots[slot];
        slot = next_slot(table, slot);
    }
    return NULL;
}

const struct hth_table_entry *hth_table_upto(const struct hth_table *table, uint64_t offset)
{
    const struct hth_table_entry *best = NULL;
    for (uint64_t i = 0; i < n_slots(table); i++) {
        const struct hth_table_entry *entry = &table->slots[i];
        if (entry->offset != empty && entry->offset <= offset &&
            (best == NULL || entry->offset > best->offset))
            best = entry;
    }
    return best;
}

void hth_table_remove(struct hth_table *table, const struct hth_table_entry *entry)
{
    uint64_t mask = n_slots(table) - 1;
    uint64_t hole = (uint64_t)(entry - table->slots);
    /* Close the gap: move up whatever was pushed past the hole on its way from its own slot. */
    for (uint64_t i = next_slot(table, hole); table->slots[i].offset != empty;
         i = next_slot(table, i)) {
        uint64_t want = slot_of(table, table->slots[i].offset);
        if (((i - want) & mask) >= ((i - hole) & mask)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole].offset = empty;
    table->n--;
}
