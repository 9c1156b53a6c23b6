/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sort_common.h
 * What sort (shared memory) and sort_mpi (messages) have in common: the keys, the plan of who gets
 * which, and the radix sort of one PE's keys. What they do not share is how the keys get there.
 */
#ifndef SORT_COMMON_H
#define SORT_COMMON_H

#include "app.h"

/** Keys go to PEs by buckets: by so many of their leading bits. */
#define SORT_BUCKET_BITS 11
#define SORT_BUCKETS     ((size_t)1 << SORT_BUCKET_BITS)

struct sort_options {
    struct app_options app; /* first: app_argp is given this */
    size_t n_keys;
    uint64_t seed;
    uint64_t rounds; /* so many times, other keys each time */
    bool skewed;
    bool read; /* the exchange is by reads, not by writes (sort only) */
};

#define SORT_OPTIONS_DEFAULT                                                                       \
    {                                                                                              \
        .app.attr = HEARTH_REGION_ATTR_DEFAULT, .n_keys = (size_t)1 << 20, .seed = 1, .rounds = 1  \
    }

/** The parser of all in struct sort_options but what is in .app and but .read. */
extern const struct argp sort_argp;

/** A round's keys [items.first, items.end), whoever asks. */
void sort_fill(const struct sort_options *options, uint64_t round, struct app_items items,
               uint64_t *keys_out);

/** How many of the keys are in each bucket. */
void sort_count(const uint64_t *keys, size_t n_keys, uint64_t counts_out[SORT_BUCKETS]);

/**
 * Deal the buckets to n PEs, in order, as evenly as whole buckets allow.
 *
 * @param totals    keys of all PEs in each bucket.
 * @param dest_out  the PE of each bucket.
 */
void sort_deal(const uint64_t totals[SORT_BUCKETS], size_t n_keys, int n,
               int dest_out[SORT_BUCKETS]);

/** Put each key at to[PE of its bucket], and step that pointer on. */
void sort_scatter(const uint64_t *keys, size_t n_keys, const int dest[SORT_BUCKETS], uint64_t **to);

/**
 * Sort by radix, least significant digit first. `from` is only read; `spare` has room for all keys
 * twice; the result is in `to`, which is written once, at the end.
 */
void sort_radix(const uint64_t *from, size_t n_keys, uint64_t *spare, uint64_t *to);

/**
 * Compare the last round with what one PE makes of the same keys, by the C library's sort, and fill
 * in the report's problem, result and verdict.
 *
 * @return false if wrong, or if there is no memory to tell; stderr says so.
 */
bool sort_finish(const struct sort_options *options, const uint64_t *sorted,
                 struct app_report *report);

#endif
