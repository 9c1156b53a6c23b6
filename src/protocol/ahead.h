/* SPDX-License-Identifier: BSD-3-Clause */
/* Read-ahead: which pages a miss fetches beside its own. What is fetched how is the protocols'. */
#ifndef HTH_PROTOCOL_AHEAD_H
#define HTH_PROTOCOL_AHEAD_H

#include "protocol/coherence.h"
#include "protocol/directory.h"
#include "protocol/write_ahead.h"

#define HTH_TOGETHER HTH_REGISTER_MAX /* pages fetched at once, at most: all busy meanwhile */

/* Pages wanted: first, first + stride, ... */
struct hth_window {
    uint64_t start; /* where their stream began */
    uint64_t asked; /* the page asked for now: `first`, or the one before */
    uint64_t first;
    int32_t stride;
    unsigned n;
    enum hth_marker marker; /* what to leave on the last one */
    bool vouched;           /* the program says that all of it is allocated */
};

/* Pages to be fetched together: ascending, busy, homed elsewhere; INVALID, or to be refreshed. */
struct hth_bundle {
    unsigned n;
    uint64_t pages[HTH_TOGETHER];
    int homes[HTH_TOGETHER];
};

static inline void hth_bundle_add(struct hth_bundle *bundle, uint64_t page, int home)
{
    bundle->pages[bundle->n] = page;
    bundle->homes[bundle->n++] = home;
}

#define HTH_NO_PAGE UINT64_MAX

/* A page is asked for that is not here: what to fetch, itself included. If no stream says what
 * comes next, what `ahead` says is likely to be written next. Busy held. */
struct hth_window hth_ahead_missed(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                                   const struct hth_span *ahead);
/* A marker is asked for, and no marker from here on: what to fetch behind it, maybe nothing. Busy
 * held. */
struct hth_window hth_ahead_reached(struct hth_coherence *c, struct hth_region *r, uint64_t page);
/* A marker's copy ends, and no one has asked for it. Under what guards the page's state. */
void hth_ahead_unused(struct hth_region *r, uint64_t page);

/* What hearth_advise asks for. */
struct hth_window hth_ahead_advised(uint64_t first_page, unsigned n);

/* Of the window, what can be fetched now: made busy, without waiting for any. `held` (or
 * HTH_NO_PAGE) is to be fetched and busy already. */
void hth_ahead_collect(struct hth_coherence *c, struct hth_region *r,
                       const struct hth_window *window, uint64_t held, struct hth_bundle *bundle);
/* Of a bundle that has come, the page that is to be the marker, or HTH_NO_PAGE. */
uint64_t hth_ahead_marker(const struct hth_window *window, uint64_t held,
                          const struct hth_bundle *bundle);
/* They have come: set views (write for those that were made dirty since), leave the marker, let go
 * of all but `held`, whose view is set too if `map_held`. */
void hth_ahead_place(struct hth_coherence *c, struct hth_region *r, const struct hth_window *window,
                     uint64_t held, bool map_held, const struct hth_bundle *bundle);

/* The pages of a bundle are about to come: have memory for those that lie together. */
void hth_bundle_populate(struct hth_coherence *c, struct hth_region *r,
                         const struct hth_bundle *bundle);
/* The pages of a bundle that live at one home. `*from`: 0 at first; NO more: returns 0. */
unsigned hth_bundle_next_home(const struct hth_bundle *bundle, unsigned *from, int *home_out,
                              uint64_t *pages);

#endif
