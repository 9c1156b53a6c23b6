/* SPDX-License-Identifier: BSD-3-Clause */
/* Coherence: the protocols' common front, one per PE. DESIGN 3.
 *
 * Lock order within a PE: acquire lock, release lock, busy bits; inside those the short locks: home
 * lock, page lock, list lock. */
#ifndef HTH_PROTOCOL_COHERENCE_H
#define HTH_PROTOCOL_COHERENCE_H

#include "page.h"
#include "port.h"

#define HTH_REGIONS_MAX 4096u
#define HTH_BATCH       64u /* pages that a release holds busy at once */

/* How every message of a protocol begins. */
struct hth_message_head {
    uint32_t kind, region;
};

struct hth_update; /* protocol/update.c: acknowledgements under way */

struct hth_coherence {
    struct hth_port *port;
    int my_pe, n_pes;
    struct hth_lock
        acquire_lock; /* one acquire at a time, to the end. Inside: release lock, busy */
    struct hth_lock release_lock; /* one release at a time, to the end; guards `scratch`. Inside:
                                     busy bits. Taken by evictions and by acquires that meet a
                                     dirty page */
    struct hth_region *_Atomic regions[HTH_REGIONS_MAX]; /* changed with both locks held */
    uint32_t n_regions;                                  /* highest id in use, plus 1 */
    struct hth_scratch *scratch;
    struct hth_update *update;
};

void hth_coherence_init(struct hth_coherence *coherence, struct hth_port *port, int my_pe,
                        int n_pes);
void hth_coherence_fini(struct hth_coherence *coherence);

/* Lay out the region's words: sets n_words and the fields around it, from n_pes, n_pages and homes.
 * Pure; before the words are allocated. */
void hth_region_layout(struct hth_region *region);

/* Make a region known, or unknown, to releases, acquires and handlers. Its words must be zero; its
 * fields set; no thread of any PE touches it yet, or any more. */
void hth_coherence_add(struct hth_coherence *coherence, struct hth_region *region);
void hth_coherence_remove(struct hth_coherence *coherence, struct hth_region *region);

/* Serve a fault: on return the access is allowed, or was for a moment (then it faults again).
 * Context: program (fault handler). The page is in an allocation. */
void hth_coherence_fault(struct hth_coherence *coherence, struct hth_region *region, uint64_t page,
                         bool write);

/* The two halves of synchronisation, over all regions. Context: program. */
void hth_coherence_release(struct hth_coherence *coherence);
void hth_coherence_acquire(struct hth_coherence *coherence);

/* Drop this PE's copy of a page, released first if dirty. At the home: nothing. Context: program.
 */
void hth_coherence_evict(struct hth_coherence *coherence, struct hth_region *region, uint64_t page);

/* Write zeros to bytes of a page homed here, as the program would: through the alias, and noted as
 * a write. Whole pages are given back to the system. Context: program. */
void hth_coherence_zero(struct hth_coherence *coherence, struct hth_region *region, uint64_t page,
                        uint64_t offset_bytes, uint64_t len_bytes);

/* Make pages as if never touched: drop copies, twins, directory entries; frames read as zero. All
 * PEs do it, between two barriers, when no one touches the pages. Context: program. */
void hth_coherence_forget(struct hth_coherence *coherence, struct hth_region *region,
                          uint64_t first_page, uint64_t n_pages);

/* Change a region's protocol, the bytes of its pages staying as they are (change.c). Collective, in
 * this order, no thread of any PE using the region, all PEs having released before:
 *
 *   all have released and wait for each other                 (a full barrier)
 *   ..._begin, then ..._drop for all pages with an entry; wait for each other
 *   ..._reset for all pages with an entry; wait for each other
 *   ..._end; wait for each other
 *
 * Other regions go on meanwhile, releases, acquires and messages. Context: program. */
void hth_coherence_change_begin(struct hth_coherence *coherence, struct hth_region *region);
void hth_coherence_change_drop(struct hth_coherence *coherence, struct hth_region *region,
                               uint64_t first_page, uint64_t n_pages);
void hth_coherence_change_reset(struct hth_coherence *coherence, struct hth_region *region,
                                uint64_t first_page, uint64_t n_pages);
void hth_coherence_change_end(struct hth_coherence *coherence, struct hth_region *region,
                              enum hearth_protocol protocol, enum hearth_consistency consistency);

/* Handle a message that hth_port_message_send sent. Context: handler. */
void hth_coherence_handle(struct hth_coherence *coherence, int from, const void *message,
                          size_t bytes);

/* At the home of a page: the PE that may write it now; the home while several may read, or where
 * the protocol knows no owners. Context: handler. */
int hth_coherence_owner(struct hth_coherence *coherence, struct hth_region *region, uint64_t page);

/* What hth_port_alarm was asked for. Context: handler, or beside one. */
void hth_coherence_alarm(struct hth_coherence *coherence, struct hth_region *region, uint64_t page);

/* --- for change.c --- */

/* The acquire lock and the release lock: no release or acquire of any thread is under way. */
void hth_coherence_lock(struct hth_coherence *coherence);
void hth_coherence_unlock(struct hth_coherence *coherence);
/* A page's entry as if never touched, but for its home; frame and view stay. Release lock held. */
void hth_coherence_forget_page(struct hth_coherence *coherence, struct hth_region *region,
                               uint64_t page);

/* --- the protocols, one file each --- */

void hth_invalidate_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write);
void hth_invalidate_release(struct hth_coherence *c, struct hth_region *r); /* release lock held */
void hth_invalidate_take_hints(struct hth_coherence *c, struct hth_region *r); /* likewise */
void hth_invalidate_acquire(struct hth_coherence *c, struct hth_region *r); /* acquire lock held */
void hth_invalidate_evict(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_invalidate_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                         uint64_t offset_bytes, uint64_t len_bytes);
void hth_invalidate_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page);

void hth_update_init(struct hth_coherence *c);
void hth_update_fini(struct hth_coherence *c);
void hth_update_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write);
void hth_update_release(struct hth_coherence *c, struct hth_region *r); /* release lock held */
void hth_update_evict(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_update_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                     uint64_t offset_bytes, uint64_t len_bytes);
void hth_update_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_update_handle(struct hth_coherence *c, struct hth_region *r, int from, const void *message,
                       size_t bytes);

void hth_sequential_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write);
void hth_sequential_evict(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_sequential_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                         uint64_t offset_bytes, uint64_t len_bytes);
void hth_sequential_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page);
/* Send those of ascending pages that this PE owns home, and wait until they are there; at most
 * HTH_BATCH. Release lock held. */
void hth_sequential_give_back(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                              unsigned n);
int hth_sequential_owner(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_sequential_alarm(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_sequential_handle(struct hth_coherence *c, struct hth_region *r, int from,
                           const void *message);

#endif
