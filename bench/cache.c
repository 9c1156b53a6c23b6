/* SPDX-License-Identifier: BSD-3-Clause */
/* What a bounded cache costs: PE 1 walks memory that is homed at PE 0, one load a page (or a store
 * of 8 bytes), us a page. With HEARTH_CACHE_BYTES of 4 MiB:
 *
 * - an array of 3 MiB: the first walk misses, the second finds everything;
 * - one of 16 MiB, four times the cache: every page misses on every walk, and another must go.
 *
 * The second of these, less the first walk over what fits, is what an eviction costs; the first
 * registers each page too, later ones do not. Run with two PEs. */
#include <string.h>

#include "pair.h"

#define PAGE      4096u
#define FITS      768u  /* pages */
#define CACHE     "4M"  /* 1024 pages */
#define LARGE     4096u /* pages */
#define REPS      9
#define ALL_BYTES (((size_t)FITS + LARGE) * PAGE)

static uint32_t order[LARGE];
static volatile uint64_t sink;

enum how { UPWARDS, AT_RANDOM, WRITING };

/* PE 1 walks; all wait. */
static double walk(volatile uint64_t *words, uint32_t n, enum how how)
{
    barrier();
    double start = bench_now_us();
    for (uint32_t i = 0; i < n && me == 1; i++) {
        size_t at = (size_t)(how == AT_RANDOM ? order[i] % n : i) * (PAGE / 8);
        if (how == WRITING) {
            words[at + 3] = i;
        } else {
            sink += words[at];
        }
    }
    double took = bench_now_us() - start;
    MPI_Bcast(&took, 1, MPI_DOUBLE, 1, MPI_COMM_WORLD);
    return took / n;
}

static uint64_t *homed_at_pe0(struct hearth_region *region, uint32_t n)
{
    uint64_t *words = hearth_region_malloc(region, (size_t)n * PAGE);
    check(words == NULL, "malloc");
    if (me == 0) {
        memset(words, 1, (size_t)n * PAGE);
    }
    return words;
}

static void measure(const char *protocol, struct hearth_region *region)
{
    struct bench fresh = {.name = "fits, first walk", .protocol = protocol};
    struct bench again = {.name = "fits, again", .protocol = protocol};
    struct bench first = {.name = "4x the cache, first walk", .protocol = protocol};
    struct bench later = {.name = "4x the cache, again", .protocol = protocol};
    struct bench random = {.name = "4x the cache, random order", .protocol = protocol};
    struct bench writing = {.name = "4x the cache, writing", .protocol = protocol};
    for (int rep = 0; rep < REPS; rep++) {
        uint64_t *small = homed_at_pe0(region, FITS);
        bench_add(&fresh, walk(small, FITS, UPWARDS));
        walk(small, FITS, UPWARDS); /* the home learns that it is no longer alone, and tells */
        bench_add(&again, walk(small, FITS, UPWARDS));
        check(hearth_free(small), "free");
        uint64_t *large = homed_at_pe0(region, LARGE);
        bench_add(&first, walk(large, LARGE, UPWARDS));
        bench_add(&later, walk(large, LARGE, UPWARDS));
        bench_add(&random, walk(large, LARGE, AT_RANDOM));
        bench_add(&writing, walk(large, LARGE, WRITING));
        check(hearth_free(large), "free");
    }
    if (me == 0) {
        bench_print(&fresh, NULL);
        bench_print(&again, &fresh);
        bench_print(&first, &fresh);
        bench_print(&later, &fresh);
        bench_print(&random, &fresh);
        bench_print(&writing, &fresh);
    }
}

/* Did it evict at all? */
static void print_evictions(struct hearth_region *region, enum kind kind)
{
    struct hearth_stats stats;
    check(hearth_region_stats(region, &stats), "hearth_region_stats");
    uint64_t evictions = stats.evictions;
    MPI_Bcast(&evictions, 1, MPI_UINT64_T, 1, MPI_COMM_WORLD);
    demand(evictions > (uint64_t)REPS * LARGE, "evictions");
    if (me == 0) {
        printf("%s: %llu evictions\n", kind_names[kind], (unsigned long long)evictions);
    }
}

int main(int argc, char **argv)
{
    setenv("HEARTH_CACHE_BYTES", CACHE, 1);
    start(&argc, &argv, 2, 2);
    bench_shuffle(order, LARGE);
    if (me == 0) {
        print_head("a cache of " CACHE ", us a page", "to first");
    }
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
        struct hearth_region *region;
        attr.protocol = kind == UPDATE ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
        attr.consistency = kind == SEQUENTIAL ? HEARTH_SEQUENTIAL : HEARTH_RELEASE;
        attr.placement = HEARTH_HOME_FIXED;
        check(hearth_region_create(&region, ALL_BYTES, &attr), "hearth_region_create");
        measure(kind_names[kind], region);
        print_evictions(region, kind);
        region_end(region);
    }
    stop();
    return 0;
}
