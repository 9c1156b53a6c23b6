/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocation and freeing in regions: the allocators of heap.h, and what copies must learn of it. */
#ifndef HTH_MEMORY_H
#define HTH_MEMORY_H

#include "region.h"

void hth_memory_start(void); /* before messages come */

/* Collective, arguments agreed. NULL: no room, noted. */
void *hth_memory_malloc(struct hearth_region *region, uint64_t bytes);
/* Collective, of a live block. Full barriers before and after. */
void hth_memory_free(struct hearth_region *region, const struct hth_block *block);

void *hth_memory_solo_malloc(struct hearth_region *region, uint64_t bytes); /* NULL: noted */
/* `offset` is in a solo share. 0, or HEARTH_EADDR, not noted. */
int hth_memory_solo_free(struct hearth_region *region, uint64_t offset);

#endif
