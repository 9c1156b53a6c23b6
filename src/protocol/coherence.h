/* SPDX-License-Identifier: BSD-3-Clause */
/* Coherence: the protocols' common front, one per PE. DESIGN 3.
 *
 * Lock order within a PE: acquire lock, release lock, busy bits; inside those the short locks: home
 * lock, page lock, list lock. */
#ifndef HTH_PROTOCOL_COHERENCE_H
#define HTH_PROTOCOL_COHERENCE_H

#include "cache.h"
#include "page.h"
#include "port.h"

#define HTH_REGIONS_MAX 4096u
#define HTH_BATCH       64u /* pages that a change of protocol handles at once */

/* How every message of a protocol begins. */
struct hth_message_head {
    uint32_t kind, region;
};

struct hth_update; /* protocol/update.c: acknowledgements under way */

/* When the release-consistent protocols do what. Any values are right; the simulator draws its own,
 * so that what is rare at these is not rare there. Fixed once threads run. */
struct hth_tuning {
    unsigned batch;           /* pages that a release holds busy at once */
    unsigned hot_after;       /* a page is hot when so many releases in a row found it written... */
    unsigned cool_after;      /* ...until so many in a row find it unchanged; */
    unsigned cool_after_home; /* at a write-invalidate home: looked at after so many releases, later
                                 each 8 times so many */
    unsigned wanted_after;    /* Write-invalidate: a copy is wanted when fetched so often in a row,
                                 each time after it was dropped (more than 3: never); */
    unsigned probe_after;     /* refreshed so often, it is dropped to see whether it still is; */
    unsigned sweep;           /* a copy that came in a window of so many pages is refreshed once
                                 before it is wanted (0: not) */
    unsigned vain_notices;    /* up to 6. Leave a copyset when told so often without touching the
                                 page */
    unsigned write_ahead;     /* pages that a write fault makes writable beside its own, at most
                                 (less than 2: none) */
    unsigned pack_runs;       /* write-invalidate: a home gets diffs of so many runs as messages */
    unsigned pack_page_runs;  /* and then all pages with at least so many */
};

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
    struct hth_tuning tuning;
    struct hth_cache cache;
};

extern const struct hth_tuning hth_tuning_shipped;

/* tuning: NULL, as it ships. */
void hth_coherence_init(struct hth_coherence *coherence, struct hth_port *port, int my_pe,
                        int n_pes, const struct hth_tuning *tuning);
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

/* Bound the memory of this PE's copies; 0: not. Before regions are added, whose `cached` and
 * `cached_in` must then be there. Later calls raise the bound. */
void hth_coherence_limit(struct hth_coherence *coherence, uint64_t cache_bytes);

/* Drop this PE's copy of a page, released first if dirty, and give its memory back. At the home,
 * and while the page is pinned: nothing. Context: program. */
void hth_coherence_evict(struct hth_coherence *coherence, struct hth_region *region, uint64_t page);

/* From here on neither eviction, read-ahead nor write-ahead touches these pages (one span a
 * region), and none is under way; what one has sent is acknowledged when the next release ends.
 * Before the barrier behind which homes begin to forget the pages: an eviction's message to a home
 * that has forgotten them, or is another by then, would be one that nobody can answer. Until
 * hth_coherence_unpin, or until hth_coherence_forget has forgotten them all. Context: program, by a
 * collective call. */
void hth_coherence_pin(struct hth_coherence *coherence, struct hth_region *region,
                       uint64_t first_page, uint64_t n_pages);
void hth_coherence_unpin(struct hth_coherence *coherence, struct hth_region *region);

enum hth_advice {
    HTH_ADVICE_READ,
    HTH_ADVICE_WRITE,
    HTH_ADVICE_OVERWRITE /* the program counts this as a write of all bytes, of values unknown */
};
/* Bring pages, as if each were read or written just now, but many at once. What cannot be had
 * without waiting for another thread is left to faults. All of one extent or solo share, at most
 * HTH_ADVISE_MAX, allocated. Context: program. */
#define HTH_ADVISE_MAX 256u
void hth_coherence_advise(struct hth_coherence *coherence, struct hth_region *region,
                          uint64_t first_page, unsigned n_pages, enum hth_advice advice);

/* Write zeros to bytes of a page homed here, as the program would: through the alias, and noted as
 * a write. Whole pages are given back to the system. Context: program. */
void hth_coherence_zero(struct hth_coherence *coherence, struct hth_region *region, uint64_t page,
                        uint64_t offset_bytes, uint64_t len_bytes);

/* Make pages as if never touched: drop copies, twins, directory entries; frames read as zero. All
 * PEs do it, between two barriers, when no one touches the pages, which were pinned before the
 * first, and no acquire that began before it is under way on any PE; they are not pinned any more.
 * Context: program, no lock held. */
void hth_coherence_forget(struct hth_coherence *coherence, struct hth_region *region,
                          uint64_t first_page, uint64_t n_pages);

/* Change a region's protocol, the bytes of its pages staying as they are (change.c). Collective, in
 * this order, no thread of any PE using the region, all PEs having released before:
 *
 *   hth_coherence_pin of the whole region
 *   all have released and wait for each other                 (a full barrier)
 *   ..._begin, then ..._drop for all pages with an entry; wait for each other
 *   ..._reset for all pages with an entry; wait for each other
 *   ..._end, which unpins; wait for each other
 *
 * Other regions go on meanwhile, releases, acquires and messages. Context: program. */
void hth_coherence_change_begin(struct hth_coherence *coherence, struct hth_region *region);
void hth_coherence_change_drop(struct hth_coherence *coherence, struct hth_region *region,
                               uint64_t first_page, uint64_t n_pages);
void hth_coherence_change_reset(struct hth_coherence *coherence, struct hth_region *region,
                                uint64_t first_page, uint64_t n_pages);
void hth_coherence_change_end(struct hth_coherence *coherence, struct hth_region *region,
                              enum hearth_protocol protocol, enum hearth_consistency consistency);

/* Make `pe` the home of pages, the bytes staying as they are (place.c). Collective, in this order,
 * no thread of any PE using the pages:
 *
 *   hth_homes_make_room; hth_coherence_pin of the pages
 *   all have released and wait for each other                 (a full barrier)
 *   ..._drop; wait for each other
 *   ..._move; wait for each other
 *   ..._end; wait for each other; hth_coherence_unpin
 *
 * Other pages and regions go on meanwhile. Context: program. */
void hth_coherence_place_drop(struct hth_coherence *coherence, struct hth_region *region,
                              uint64_t first_page, uint64_t n_pages, int pe);
void hth_coherence_place_move(struct hth_coherence *coherence, struct hth_region *region,
                              uint64_t first_page, uint64_t n_pages, int pe);
void hth_coherence_place_end(struct hth_coherence *coherence, struct hth_region *region,
                             uint64_t first_page, uint64_t n_pages, int pe);

/* Handle a message that hth_port_message_send sent. Context: handler. */
void hth_coherence_handle(struct hth_coherence *coherence, int from, const void *message,
                          size_t bytes);

/* At the home of a page: the PE that may write it now; the home while several may read, or where
 * the protocol knows no owners. Context: handler. */
int hth_coherence_owner(struct hth_coherence *coherence, struct hth_region *region, uint64_t page);

/* What hth_port_alarm was asked for. Context: handler, or beside one. */
void hth_coherence_alarm(struct hth_coherence *coherence, struct hth_region *region, uint64_t page);

/* Ends the copies of n ascending pages, at most HTH_BATCH, that are not pinned, if they are copies,
 * and gives the memory back. Release lock held. */
void hth_coherence_evict_pages(struct hth_coherence *coherence, struct hth_region *region,
                               const uint64_t *pages, unsigned n);

/* --- for change.c and place.c --- */

/* The acquire lock and the release lock: no release or acquire of any thread is under way. */
void hth_coherence_lock(struct hth_coherence *coherence);
void hth_coherence_unlock(struct hth_coherence *coherence);
/* A page's entry as if never touched, but for its home; frame and view stay. Release lock held. */
void hth_coherence_forget_page(struct hth_coherence *coherence, struct hth_region *region,
                               uint64_t page);

/* Forget what is known of ascending pages, all homed here or all elsewhere, and set the view of
 * those that are not in the state of an untouched page. At most HTH_BATCH. Both locks held. */
void hth_coherence_forget_pages(struct hth_coherence *coherence, struct hth_region *region,
                                const uint64_t *pages, unsigned n, enum hth_view view);

/* --- the protocols, one file each --- */

void hth_invalidate_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write);
void hth_invalidate_release(struct hth_coherence *c, struct hth_region *r); /* release lock held */
void hth_invalidate_take_hints(struct hth_coherence *c, struct hth_region *r); /* likewise */
void hth_invalidate_acquire(struct hth_coherence *c, struct hth_region *r); /* acquire lock held */
/* End the copies of n ascending pages, at most HTH_BATCH, none homed here. Release lock held. */
void hth_invalidate_evict(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n);
void hth_invalidate_advise(struct hth_coherence *c, struct hth_region *r, uint64_t first_page,
                           unsigned n, enum hth_advice advice);
void hth_invalidate_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                         uint64_t offset_bytes, uint64_t len_bytes);
void hth_invalidate_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_invalidate_handle(struct hth_coherence *c, struct hth_region *r, int from,
                           const void *message, size_t bytes);

void hth_update_init(struct hth_coherence *c);
void hth_update_fini(struct hth_coherence *c);
void hth_update_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write);
void hth_update_release(struct hth_coherence *c, struct hth_region *r); /* release lock held */
void hth_update_evict(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                      unsigned n); /* as hth_invalidate_evict */
void hth_update_advise(struct hth_coherence *c, struct hth_region *r, uint64_t first_page,
                       unsigned n, enum hth_advice advice);
void hth_update_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                     uint64_t offset_bytes, uint64_t len_bytes);
void hth_update_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_update_handle(struct hth_coherence *c, struct hth_region *r, int from, const void *message,
                       size_t bytes);

void hth_sequential_fault(struct hth_coherence *c, struct hth_region *r, uint64_t page, bool write);
void hth_sequential_zero(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                         uint64_t offset_bytes, uint64_t len_bytes);
void hth_sequential_forget(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_sequential_evict(struct hth_coherence *c, struct hth_region *r, const uint64_t *pages,
                          unsigned n); /* as hth_invalidate_evict */
int hth_sequential_owner(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_sequential_alarm(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_sequential_handle(struct hth_coherence *c, struct hth_region *r, int from,
                           const void *message);

#endif
