/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory of write-invalidate: copysets, hints and stale maps in the words of a region.
 * All remote, all by atomics; DESIGN 3.1. */
#ifndef HTH_PROTOCOL_DIRECTORY_H
#define HTH_PROTOCOL_DIRECTORY_H

#include "protocol/page.h"

/* --- bitmaps with summaries (stale.c) --- */

/* Lay a bitmap of n_bits out from word *next_word on, which is moved past it. */
void hth_bitmap_layout(struct hth_bitmap *map, uint64_t n_bits, uint64_t *next_word);

/* Issue the atomics that set, at `level` (0: the bits; then their summaries), what stands for the
 * ascending `bits`. Not flushed. Each level must be ordered before the next at the target
 * (hth_port_order_words): a taker that sees the summary must find the bit (docs/models,
 * BUG_SUMFIRST). */
void hth_bitmap_post(struct hth_port *port, struct hth_region *region, int pe,
                     const struct hth_bitmap *map, unsigned level, const uint64_t *bits,
                     unsigned n);

/* Take all bits of this PE's own map: summaries first, each swapped with zero before what it stands
 * for is read (BUG_SUMLAST). `take` gets 64 bits at a time. By one thread at a time. Returns
 * whether there were any. */
typedef void (*hth_bitmap_taker)(void *arg, uint64_t first_bit, uint64_t bits);
bool hth_bitmap_take(struct hth_port *port, struct hth_region *region, const struct hth_bitmap *map,
                     hth_bitmap_taker take, void *arg);

/* --- copysets (directory.c) --- */

#define HTH_REGISTER_MAX 256u

/* Put this PE into the copysets of ascending pages at their home, then set the hints there; each
 * step for all pages before the next, all before what this PE then asks of the home. Even if a
 * copyset was not empty: another's hint may still be on its way. Pages that share a word cost one
 * atomic. At most HTH_REGISTER_MAX pages, all busy. */
void hth_directory_register(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                            unsigned n, int home);
void hth_directory_unregister(struct hth_port *port, struct hth_region *region, uint64_t page,
                              int home);

/* Read the copysets of ascending pages at their homes (copyset_words each, into `copysets`). */
void hth_directory_read(struct hth_port *port, struct hth_region *region, const uint64_t *pages,
                        unsigned n, uint64_t *copysets);

/* Empty the copyset of a page homed here (nobody uses the page). */
void hth_directory_clear(struct hth_port *port, struct hth_region *region, uint64_t page);

/* The page that bit `index` of this PE's hints stands for. */
uint64_t hth_directory_page(const struct hth_region *region, uint64_t index);

#endif
