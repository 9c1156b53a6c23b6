/* SPDX-License-Identifier: BSD-3-Clause */
/* Which PE is home to a page of a region.
 *
 * A region's pages are the collective part, then one solo share for each PE:
 *
 *   0 ............. collective_pages | solo of PE 0 | solo of PE 1 | ... | solo of PE n-1 | end
 *
 * The home of a solo page follows from its number; a collective page belongs to an extent, which
 * the collective allocator makes and all PEs know alike; hearth_place moves pages, which then
 * belong to a span of their own. An extent may leave it to the PEs who touch its pages first
 * (protocol/ claim.c). No MPI, no globals: the simulator links this file unchanged. */
#ifndef HTH_HOMES_H
#define HTH_HOMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum hth_deal {
    HTH_DEAL_BLOCK,  /* n equal contiguous shares of the extent */
    HTH_DEAL_CYCLIC, /* page p of the region at PE p % n */
    HTH_DEAL_FIXED,  /* all at fixed_pe */
    HTH_DEAL_CLAIM   /* each at the PE that touches it first */
};

#define HTH_HOME_NONE (-1) /* a page in no extent */
#define HTH_HOME_OPEN (-2) /* in one that is dealt by claims */

struct hth_extent {
    uint64_t first_page, n_pages;
    enum hth_deal deal;
    int fixed_pe;
};

struct hth_homes {
    int n_pes;
    uint64_t collective_pages, solo_pages; /* solo_pages: per PE */
    atomic_flag lock; /* guards the extents; nothing is taken inside; held for a few instructions,
                         by collective calls that write and by faults that look up */
    struct hth_extent *extents; /* sorted by first_page, disjoint */
    uint64_t n_extents, max_extents;
    struct hth_extent *moved; /* HTH_DEAL_FIXED; sorted, disjoint; they win over the extents */
    uint64_t n_moved, max_moved;
};

int hth_homes_init(struct hth_homes *homes, int n_pes, uint64_t collective_pages,
                   uint64_t solo_pages);      /* 0 or HEARTH_ENOMEM */
void hth_homes_fini(struct hth_homes *homes); /* safe on zeroed memory */

/* Add an extent (disjoint from the others), or remove the one that begins at first_page, with what
 * was moved of it. */
int hth_homes_add(struct hth_homes *homes, const struct hth_extent *extent); /* 0, HEARTH_ENOMEM */
void hth_homes_remove(struct hth_homes *homes, uint64_t first_page);

/* Pages first_page ... + n_pages - 1, of one extent, have their home at `pe` from now on. Never
 * fails if room was made for it, once each time. */
int hth_homes_make_room(struct hth_homes *homes); /* 0, HEARTH_ENOMEM */
void hth_homes_move(struct hth_homes *homes, uint64_t first_page, uint64_t n_pages, int pe);

/* The home of a page; HTH_HOME_NONE if no extent and no solo share has it; HTH_HOME_OPEN. Any
 * thread, fault handler too. */
int hth_homes_lookup(struct hth_homes *homes, uint64_t page);

/* The extent, or the solo share, that a page lies in: the pages *first_out ... *end_out - 1. False:
 * neither has it. Any thread, fault handler too. */
bool hth_homes_bounds(struct hth_homes *homes, uint64_t page, uint64_t *first_out,
                      uint64_t *end_out);

/* The contiguous pages of `extent` that PE `pe` is home to, for BLOCK and FIXED (for the others:
 * none). BLOCK: page k of P is at the PE i with floor(i*P/n) <= k < floor((i+1)*P/n). */
void hth_homes_share(const struct hth_homes *homes, const struct hth_extent *extent, int pe,
                     uint64_t *first_page_out, uint64_t *n_pages_out);

#endif
