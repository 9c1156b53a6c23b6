/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the sequential protocol share. See sequential.c. */
#ifndef HTH_PROTOCOL_SEQUENTIAL_H
#define HTH_PROTOCOL_SEQUENTIAL_H

#include "protocol/coherence.h"

/* How long a PE keeps what it was given before it gives it up again, so that it makes progress:
 * until the thread that waited for it is running, at most the first of these, and then for the
 * second, in which that thread makes its access. By time alone: that a page was accessed cannot be
 * seen. */
#define HTH_HOLD_ASLEEP_NS 200000u
#define HTH_HOLD_AWAKE_NS  5000u

enum hth_seq_kind {
    HTH_SEQ_READ,       /* to the home: I want to read */
    HTH_SEQ_WRITE,      /* ... to write; with_copy: I hold a copy */
    HTH_SEQ_DATA,       /* from the home: a copy; in parts */
    HTH_SEQ_GRANT,      /* from the home: the page is yours; with bytes, in parts, or without */
    HTH_SEQ_INVALIDATE, /* from the home: drop your copy */
    HTH_SEQ_DROPPED,    /* to the home: done */
    HTH_SEQ_RECALL,     /* from the home to the owner: send it back; with_copy: keep a copy */
    HTH_SEQ_RETURN,     /* to the home: here it is; with_copy: I keep one; in parts */
    HTH_SEQ_WRITEBACK,  /* to the home: evicted; in parts */
    HTH_SEQ_WRITTEN     /* from the home: the writeback has come */
};

struct hth_seq_head {
    uint32_t kind, region; /* region: as in every protocol's messages */
    uint64_t page;
    uint32_t offset, bytes; /* of the part of the page that follows; bytes 0: none */
    uint32_t last;          /* this is the last part */
    uint32_t with_copy;
};

struct hth_request {
    struct hth_request *next;
    int pe;
    bool write, with_copy;
};

/* The home's directory entry of a page that some other PE has asked for. Guarded by the home lock.
 */
struct hth_ledger {
    int owner; /* the PE that may write, if it is not the home; else -1 */
    bool serving, waits_for_owner;
    struct hth_request now;           /* the request being served */
    uint64_t n_drops;                 /* acknowledgements it waits for */
    struct hth_request *first, **end; /* those that wait their turn */
    uint64_t copyset[];
};

/* Send `kind` for a page, with the frame's bytes or without. If with: page lock held; at the home,
 * home lock held and no view to write. */
void hth_seq_send(struct hth_coherence *c, struct hth_region *r, int pe, enum hth_seq_kind kind,
                  uint64_t page, bool with_bytes, bool with_copy);

/* --- sequential_home.c; home lock held --- */

struct hth_ledger *hth_ledger_of(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_ledger_free(struct hth_coherence *c, struct hth_region *r, uint64_t page);
/* A request comes in: queue it, and serve the queue as far as it goes. */
void hth_ledger_request(struct hth_coherence *c, struct hth_region *r, uint64_t page, int pe,
                        bool write, bool with_copy);
void hth_ledger_dropped(struct hth_coherence *c, struct hth_region *r, uint64_t page);
void hth_ledger_returned(struct hth_coherence *c, struct hth_region *r, uint64_t page, int pe,
                         bool with_copy);
void hth_ledger_written_back(struct hth_coherence *c, struct hth_region *r, uint64_t page, int pe);
/* Serve what waits, if nothing is being served and the home has held the page long enough. */
void hth_ledger_serve(struct hth_coherence *c, struct hth_region *r, uint64_t page);

static inline void hth_seq_lock(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_port_short_lock(c->port, &r->pages[page].lock);
}

static inline void hth_seq_unlock(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    hth_port_short_unlock(c->port, &r->pages[page].lock);
}

#endif
