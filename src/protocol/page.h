/* SPDX-License-Identifier: BSD-3-Clause */
/* The page table of a region: what a PE knows of each page. */
#ifndef HTH_PROTOCOL_PAGE_H
#define HTH_PROTOCOL_PAGE_H

#include <hearth.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "homes.h"
#include "port.h"

/* A page's state. Zero, the state of a page that nobody has touched, is EXCLUSIVE at the home and
 * INVALID elsewhere, so that a page table costs nothing until it is used. */
enum hth_page_state {
    /* where this PE is not the home */
    HTH_PAGE_INVALID = 0, /* no copy; view none */
    HTH_PAGE_CLEAN = 1,   /* a copy; view read */
    HTH_PAGE_DIRTY = 2,   /* a copy and its twin, on the dirty list; view write */
    /* where it is */
    HTH_PAGE_EXCLUSIVE = 0, /* no one else has a copy, as far as the home was told; view write */
    HTH_PAGE_TRACKED = 3,   /* others have copies; not written since the last release; view read */
    HTH_PAGE_WRITTEN = 4,   /* others have copies; written, on the dirty list; view write */
    /* sequential, beside INVALID, CLEAN, EXCLUSIVE and TRACKED */
    HTH_PAGE_OWNED = 5, /* not the home: this PE alone has the page; view write */
    HTH_PAGE_AWAY = 6   /* the home: another PE owns the page, or is about to; view none */
};

struct hth_page {
    struct hth_lock busy; /* guards all of the entry but what handlers change (below). Held by a
                             fault until it is served, by a release from 'view read' until the
                             diff is flushed. Inside: page lock, list lock; another busy bit
                             by try-lock only (but for a release, which is alone), never the
                             release or acquire lock */
    struct hth_short_lock lock; /* the page lock. Write-update, sequential: guards `state`, `side`,
                                   `deferred`, `hold_until_ns` and the frame against handlers.
                                   Taken inside: list lock; the page locks of several pages,
                                   ascending, by a release and by who makes pages writable */
    uint8_t state;              /* enum hth_page_state; atomic_load_acquire by those who wait */
    uint8_t registered : 3; /* write-invalidate: this PE is in the copyset at the home; 1 and how
                               often it was told in vain since it last touched the page */
    uint8_t wanted : 2; /* write-invalidate, a copy: how often in a row it was fetched after it had
                           been dropped (protocol/heat.h) */
    uint8_t trust : 3;  /* likewise: how many probes in a row found it wanted; at a home, how many
                           sums found it changed */
    union {
        uint8_t listed;   /* on the dirty list; guarded by the list lock */
        uint8_t deferred; /* sequential: what the home asks for, to be done at an alarm */
    };
    union {
        uint8_t pending; /* sequential: a fault or eviction waits for an answer; set by it under
                            busy, cleared (release) by who answers; pairs with is_answered */
        uint8_t heat;    /* elsewhere: protocol/heat.h */
    };
    int32_t home_plus_1; /* 0: not looked up yet; set once, the same by whoever sets it */
    union {
        uint64_t next_plus_1;   /* dirty list; guarded by the list lock */
        uint64_t hold_until_ns; /* sequential: what was just given is kept until then; at the home
                                   guarded by the home lock */
    };
    union {
        void *side;   /* a copy's twin (write-invalidate: NULL on a dirty page whose every byte
                         counts as written); at the home, struct hth_publication or hth_ledger */
        uint64_t sum; /* at a write-invalidate home: of the page's bytes (heat.h); 0: it has not
                         been hot */
    };

    /* read-ahead (protocol/ahead.c) */
    _Atomic uint16_t extent; /* a hint: how many pages were asked for in sequence from this one on;
                                relaxed, any thread */
    _Atomic int8_t stride;   /* a hint: by how many pages they were apart; likewise */
    uint8_t marker : 2;      /* enum hth_marker; guarded by busy */
    uint8_t refreshed : 6;   /* how often an acquire has refreshed it since it was fetched */
    int32_t to_start;        /* of a marker: how many pages before it its stream began; likewise */
};

/* A marker is the last page of a window: fetched, CLEAN, but its view is none, so that the fault on
 * it says that the window was used, and its end without one that it was not. */
enum hth_marker {
    HTH_MARKER_NONE,
    HTH_MARKER_GROWING, /* of a stream whose end is not known */
    HTH_MARKER_KNOWN    /* of one that ran that far the last time */
};

/* Pages that were asked for one after another, some thread's way through the region. */
struct hth_stream {
    uint64_t start, last, next; /* the first page; the last one asked for; what it will ask for */
    int32_t stride;             /* 0: one page so far, or the entry is free */
    uint32_t known;             /* pages that it ran for the last time; 0: it never began here */
    uint32_t window;            /* pages to fetch at once; 0: the stride is not certain yet */
    uint32_t used;              /* when, by `clock` */
};

#define HTH_STREAMS 8u

struct hth_ahead {
    struct hth_short_lock lock; /* guards the rest; nothing is taken inside */
    uint32_t clock;             /* counts uses of the streams; 0: none was ever used */
    uint32_t window_max;        /* pages, of write-ahead as well; 0 or 1: neither. Set before the
                                   region is used */
    struct hth_stream streams[HTH_STREAMS];
};

/* A bitmap with two summary levels, at the same word offsets on every PE (protocol/stale.c). */
struct hth_bitmap {
    uint64_t
        level[3]; /* first word of: the bits; a bit per word of those; a bit per word of these */
    uint64_t n_words[3];
};

/* One counter for each field of struct hearth_stats, in its order. */
struct hth_counts {
    _Atomic uint64_t read_misses, write_faults, pages_fetched, diffs, bytes_out, bytes_in,
        stale_notices, invalidations, updates, messages, releases, acquires, evictions, pages_ahead,
        ahead_unused, refreshes;
};

static inline void hth_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* What the protocols know of a region. The library embeds it in struct hearth_region. */
struct hth_region {
    uint32_t id; /* index in struct hth_coherence.regions, the same on all PEs */
    /* Changed by hth_coherence_change_end alone, which says why nobody is misled. Relaxed. */
    _Atomic(enum hearth_protocol) protocol;
    _Atomic(enum hearth_consistency) consistency;
    int my_pe, n_pes;
    uint64_t page_bytes, n_pages;
    struct hth_homes *homes;
    struct hth_page *pages; /* n_pages, zeroed, sparse */
    uint8_t *frames;        /* the alias of this PE's frames, n_pages * page_bytes, sparse */

    /* write-invalidate: the layout of the region's words (protocol/directory.c) */
    uint64_t n_words;
    uint64_t copyset_words;  /* 64-bit words that one page's copyset takes, at least 1 */
    unsigned copyset_bits;   /* bits of one page's copyset if < 64 (a power of two), else 64 */
    struct hth_bitmap hints; /* at a home: this page may have come to be shared */
    struct hth_bitmap stale; /* of the whole region: my copy is out of date */
    /* claims of pages (protocol/claim.c): in the words too, if the region deals pages so */
    bool has_claims;
    unsigned claim_bits; /* of one page's claim: a power of two */
    uint64_t claim_word; /* the first */

    struct hth_short_lock list_lock; /* guards the dirty list; nothing is taken inside */
    uint64_t dirty_plus_1;           /* head of the dirty list */

    struct hth_short_lock home_lock; /* write-update: guards publications and copysets of the pages
                                        homed here, and the order in which DATA and UPDATE are
                                        posted. Inside: page locks, list lock */
    /* What of the region is in the PE's bounded cache (protocol/cache.c); NULL: there is no limit
     */
    struct hth_cache *cache;
    _Atomic uint8_t *cached;     /* n_pages, zeroed, sparse. Changed under the page's busy, but for
                                    the mark that the clock takes away */
    _Atomic uint32_t *cached_in; /* hth_cache_chunks(n_pages), zeroed, sparse: how many of each */
    struct hth_ahead ahead;
    _Atomic uint64_t pinned_first, pinned_end; /* hth_coherence_pin; changed under the release
                                                  lock; read-ahead and write-ahead
                                                  read them without */
    struct hth_counts counts;
};

enum hth_scheme { HTH_INVALIDATE, HTH_UPDATE, HTH_SEQUENTIAL };

static inline enum hth_scheme hth_scheme_of(const struct hth_region *region)
{
    if (atomic_load_explicit(&region->consistency, memory_order_relaxed) == HEARTH_SEQUENTIAL) {
        return HTH_SEQUENTIAL; /* with write-invalidate: the other is refused */
    }
    return atomic_load_explicit(&region->protocol, memory_order_relaxed) == HEARTH_WRITE_UPDATE
               ? HTH_UPDATE
               : HTH_INVALIDATE;
}

/* Is a page in this state a copy, of a page homed elsewhere? */
static inline bool hth_is_copy(enum hth_page_state state)
{
    return state == HTH_PAGE_CLEAN || state == HTH_PAGE_DIRTY || state == HTH_PAGE_OWNED;
}

static inline uint8_t *hth_frame(const struct hth_region *region, uint64_t page)
{
    return region->frames + page * region->page_bytes;
}

/* The home of a page; dies if the page is in no allocation (callers have checked), or if nobody
 * has touched it yet and the first to do so is to be its home (a fault settles that first). */
int hth_page_home(struct hth_port *port, struct hth_region *region, uint64_t page);
/* As far as this PE knows it; negative: not at all. A PE that is home to a page knows it. */
int hth_page_known_home(const struct hth_region *region, uint64_t page);

static inline enum hth_page_state hth_page_state(const struct hth_page *page)
{
    return (enum hth_page_state)__atomic_load_n(&page->state, __ATOMIC_ACQUIRE);
}

static inline bool hth_page_is_pinned(const struct hth_region *region, uint64_t page)
{
    return page >= region->pinned_first && page < region->pinned_end;
}

/* The same by who has just made the page busy: pinned pages are being freed, or moved to another
 * home, while this thread uses their neighbours. Pairs with set_pinned (coherence.c), which waits
 * for what was busy before it was seen. */
static inline bool hth_page_is_pinned_now(const struct hth_region *region, uint64_t page)
{
    atomic_thread_fence(memory_order_seq_cst);
    return hth_page_is_pinned(region, page);
}

/* The one place where a page's state changes. */
void hth_page_set_state(struct hth_port *port, struct hth_region *region, uint64_t page,
                        enum hth_page_state state);

/* The dirty list: pages to look at in the next release. Adding one that is on it does nothing. */
void hth_dirty_add(struct hth_port *port, struct hth_region *region, uint64_t page);
void hth_dirty_add_all(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                       unsigned n);
/* Take the whole list, so that a release ends although other threads go on writing: the pages stay
 * marked as listed until hth_dirty_take has taken them, up to `max` at a time, in ascending order.
 * Under the release lock. */
uint64_t hth_dirty_detach(struct hth_port *port, struct hth_region *region);
unsigned hth_dirty_take(struct hth_port *port, struct hth_region *region, uint64_t *head_plus_1,
                        uint64_t *pages, unsigned max);

/* At the home: write zeros through the alias, and note it as the program's write would be. Under
 * what guards the page's state, so that no release comes between the note and the write. */
void hth_page_zero(struct hth_port *port, struct hth_region *region, uint64_t page,
                   uint64_t offset_bytes, uint64_t len_bytes);

/* hth_port_protect on ascending pages, one call for each contiguous run. */
void hth_protect_runs(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                      unsigned n, enum hth_view view);

#endif
