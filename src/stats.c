/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats.h"

#include <hearth.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "net/comm.h"
#include "region.h"

/* In the order of struct hearth_stats and struct hth_counts, which have the same fields. */
static const char *const names[] = {"read misses", "write faults", "pages fetched", "diffs",
                                    "bytes out",   "bytes in",     "stale notices", "invalidations",
                                    "updates",     "messages",     "releases",      "acquires",
                                    "evictions",   "pages ahead",  "ahead unused",  "refreshes"};
#define N (sizeof names / sizeof names[0])
_Static_assert(sizeof(struct hearth_stats) == N * sizeof(uint64_t), "a name for each counter");
_Static_assert(sizeof(struct hth_counts) == sizeof(struct hearth_stats), "the same counters");

static void add(uint64_t *sums, const struct hth_counts *counts)
{
    const _Atomic uint64_t *from = (const _Atomic uint64_t *)counts;
    for (size_t i = 0; i < N; i++) {
        sums[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
    }
}

int hearth_region_stats(const struct hearth_region *region, struct hearth_stats *stats_out)
{
    uint64_t sums[N] = {0};
    if (!hth_job.up) {
        return hth_error(HEARTH_ESTATE,
                         "hearth_region_stats outside of hearth_init ... hearth_finalize");
    }
    if (stats_out == NULL) {
        return hth_error(HEARTH_EINVAL, "hearth_region_stats: stats_out is NULL");
    }
    if (region != NULL && !hth_region_alive(region)) {
        return hth_error(HEARTH_EINVAL, "hearth_region_stats: %p is not a region (destroyed?)",
                         (const void *)region);
    }
    if (region != NULL) {
        add(sums, &region->core.counts);
    } else {
        add(sums, &hth_job.gone);
        for (uint32_t id = 0; id < HTH_REGIONS_MAX; id++) {
            const struct hearth_region *one = hth_region_by_id(id);
            if (one != NULL) {
                add(sums, &one->core.counts);
            }
        }
    }
    memcpy(stats_out, sums, sizeof *stats_out);
    return HEARTH_OK;
}

static void print(const char *name, const char *protocol, uint64_t *sums)
{
    hth_comm_sum(sums, N);
    if (hth_comm_my_pe() != 0) {
        return;
    }
    fprintf(stderr, "hearth: region '%s' (%s), sums over %d PEs:\n", name, protocol,
            hth_comm_n_pes());
    for (size_t i = 0; i < N; i++) {
        fprintf(stderr, "hearth:   %-14s %20llu\n", names[i], (unsigned long long)sums[i]);
    }
}

void hth_stats_print(void)
{
    for (uint32_t id = 0; id < HTH_REGIONS_MAX; id++) {
        struct hearth_region *region = hth_region_by_id(id);
        if (region != NULL) {
            uint64_t sums[N] = {0};
            add(sums, &region->core.counts);
            print(region->name, hth_protocol_name(&region->core), sums);
        }
    }
    uint64_t sums[N] = {0};
    add(sums, &hth_job.gone);
    print("regions destroyed before", "any", sums);
}
