/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions of the real library: addresses, allocators, words. */
#ifndef HTH_REGION_H
#define HTH_REGION_H

#include <hearth.h>

#include "config.h"

#include "heap.h"
#include "net/window.h"
#include "placement.h"
#include "protocol/coherence.h"
#include "vm/vm.h"

#define HTH_NAME_MAX 64

struct hearth_region {
    struct hth_region core; /* first: the protocols' part */
    char name[HTH_NAME_MAX];
    struct hearth_region_attr attr;
    uint64_t offset, span;     /* in the address range, bytes */
    uint64_t bytes;            /* as asked for */
    uint64_t allocated;        /* of these, by live collective allocations */
    uint64_t collective_bytes; /* what collective allocations may use, with some slack */
    uint64_t solo_bytes;       /* what one PE's solo allocations may */
    struct hth_homes homes;
    struct hth_heap *heap;           /* by collective calls alone, one at a time */
    struct hth_short_lock solo_lock; /* guards `solo`. Nothing is taken inside; handlers take it */
    struct hth_solo *solo;
    uint64_t solo_first; /* offset in the region of this PE's solo share, bytes */
    struct hth_words words;
};

/* The job's state, beside what net/, vm/ and progress keep. */
struct hth_job {
    bool up;
    struct hth_config config;
    struct hth_placement placement; /* how this PE waits */
    struct hth_coherence coherence;
    struct hearth_region *heap; /* the default region */
    struct hth_counts gone;     /* the counters of regions destroyed */
};
extern struct hth_job hth_job;

int hth_regions_start(void); /* the tables; 0 or an error, noted */
void hth_regions_stop(void);

/* As hearth_region_create and _destroy. */
int hth_region_make(struct hearth_region **region_out, uint64_t bytes,
                    const struct hearth_region_attr *attr);
void hth_region_end(struct hearth_region *region);
/* Between full barriers, on all PEs. */
void hth_region_change(struct hearth_region *region, enum hearth_protocol protocol,
                       enum hearth_consistency consistency);

/* Between full barriers, on all PEs; the pages are pinned and the homes have room. */
void hth_region_place(struct hearth_region *region, uint64_t first_page, uint64_t n_pages, int pe);

/* The region that an address of the range lies in, or NULL. Any context. */
struct hearth_region *hth_region_at(const void *address);
/* Of any address. */
static inline struct hearth_region *hth_region_of(const void *address)
{
    return hth_vm_has(address) ? hth_region_at(address) : NULL;
}
/* The region nearest to an address that is in none, or NULL. For messages. */
struct hearth_region *hth_region_near(const void *address);
bool hth_region_alive(const struct hearth_region *region);
struct hearth_region *hth_region_by_id(uint32_t id); /* NULL: none */

static inline uint8_t *hth_region_base(const struct hearth_region *region)
{
    return hth_vm.view + region->offset;
}

/* The words and words of protocols, for messages and tables. */
const char *hth_protocol_name(const struct hth_region *region);

#endif
