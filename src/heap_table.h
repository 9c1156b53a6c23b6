/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash table from the offsets of live things to what they are: open addressing with linear
 * probing, and no tombstones. No locks: the caller serialises. Only the allocators use it. */
#ifndef HTH_HEAP_TABLE_H
#define HTH_HEAP_TABLE_H

#include <stdint.h>

struct hth_table_entry {
    uint64_t offset; /* the key; UINT64_MAX: slot is empty */
    uint64_t bytes;  /* as asked for */
    void *slab;      /* the solo allocator's; else NULL */
};

struct hth_table {
    struct hth_table_entry *slots;
    unsigned slots_log2;
    uint64_t n;
};

int hth_table_init(struct hth_table *table);  /* 0 or HEARTH_ENOMEM */
void hth_table_fini(struct hth_table *table); /* safe on zeroed memory */
/* The offset must not be in the table yet. 0 or HEARTH_ENOMEM. */
int hth_table_put(struct hth_table *table, const struct hth_table_entry *entry);
/* NULL if there is none. The pointer is good until the next put or remove. */
const struct hth_table_entry *hth_table_get(const struct hth_table *table, uint64_t offset);
/* The entry with the greatest offset up to this one, or NULL. Looks at all of them. */
const struct hth_table_entry *hth_table_upto(const struct hth_table *table, uint64_t offset);
void hth_table_remove(struct hth_table *table, const struct hth_table_entry *entry); /* from get */

#endif
