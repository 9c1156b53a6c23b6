/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages of 64 KiB and 2 MiB: everything that sends a page in parts, keeps a twin or publishes. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum { PAGES = 5 };
static const size_t sizes[] = {65536, 2097152};

static unsigned char value_of(size_t at, uint64_t round)
{
    return (unsigned char)(ht_hash(at, round, 21) % 255 + 1);
}

static struct hearth_region *make(size_t page_bytes, enum hearth_placement placement)
{
    struct hearth_region_attr attr = *ht_attr();
    struct hearth_region *region = NULL;
    attr.page_bytes = page_bytes;
    attr.placement = placement;
    HT_EQUAL(hearth_region_create(&region, (PAGES + 1) * page_bytes, &attr), HEARTH_OK);
    return region;
}

/* Bytes that matter: at the edges of what a diff, a message or a part of a page holds, and some at
 * random. The PE that writes one follows from where it is. */
static size_t spot(size_t i, size_t bytes, uint64_t round)
{
    static const int around[] = {-2, -1, 0, 1};
    size_t at =
        i < 400 ? (i / 4 + 1) * 16384 + (size_t)(around[i % 4] + 2) - 2 : ht_hash(i, round, 1);
    return at % bytes;
}

static int writer(size_t at)
{
    return (int)(ht_hash(at, 4, 4) % (uint64_t)ht_n_pes());
}

/* All PEs write bytes of all pages, neighbours mostly, and look at all of it. */
static void write_spots(volatile unsigned char *bytes, size_t n, unsigned char *model,
                        uint64_t round)
{
    for (size_t i = 0; i < 600; i++) {
        size_t at = spot(i, n, round);
        model[at] = value_of(at, round);
        if (writer(at) == ht_pe()) {
            bytes[at] = model[at];
        }
    }
}

static void compare(const volatile unsigned char *bytes, size_t n, const unsigned char *model)
{
    bool same = memcmp((const void *)(uintptr_t)bytes, model, n) == 0;
    for (size_t i = 0; !same && i < n; i++) {
        if (bytes[i] != model[i]) {
            HT_CHECKF(false, "byte %zu: %d, not %d", i, bytes[i], model[i]);
            return;
        }
    }
    HT_CHECK(same);
}

static void shared_writes(struct hearth_region *unused)
{
    (void)unused;
    for (size_t s = 0; s < 2; s++) {
        size_t n = PAGES * sizes[s];
        struct hearth_region *region = make(sizes[s], HEARTH_HOME_CYCLIC);
        volatile unsigned char *bytes = hearth_region_malloc(region, n);
        unsigned char *model = calloc(n, 1);
        HT_CHECK(bytes != NULL && model != NULL);
        for (uint64_t round = 0; round < 4; round++) {
            write_spots(bytes, n, model, round);
            hearth_barrier_all();
            compare(bytes, n, model);
            hearth_barrier_all();
        }
        /* A whole page at once, by one that is not its home. */
        memset(model + sizes[s], 77, sizes[s]);
        if (ht_pe() == ht_n_pes() - 1) {
            memset((void *)(uintptr_t)(bytes + sizes[s]), 77, sizes[s]);
        }
        hearth_barrier_all();
        compare(bytes, n, model);
        HT_EQUAL(hearth_free((void *)(uintptr_t)bytes), HEARTH_OK);
        bytes = hearth_region_malloc(region, n);
        HT_EQUAL(ht_find_other((const void *)(uintptr_t)bytes, n, 0), n);
        free(model);
        HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
    }
}

/* One page that goes from PE to PE under a lock: counters at its ends and at an edge. */
static void migratory(struct hearth_region *unused)
{
    (void)unused;
    for (size_t s = 0; s < 2; s++) {
        struct hearth_region *region = make(sizes[s], HEARTH_HOME_FIXED);
        volatile uint64_t *words = hearth_region_malloc(region, sizes[s]);
        size_t last = sizes[s] / 8 - 1, edge = 32768 / 8;
        struct hearth_lock lock = {0};
        if (ht_pe() == 0) {
            HT_EQUAL(hearth_lock_init(&lock), HEARTH_OK);
        }
        lock.handle = ht_from_pe0(lock.handle);
        for (int i = 0; i < 10; i++) {
            HT_EQUAL(hearth_lock_acquire(&lock), HEARTH_OK);
            words[0]++;
            words[edge]++;
            words[last]++;
            HT_EQUAL(hearth_lock_release(&lock), HEARTH_OK);
        }
        hearth_barrier_all();
        HT_EQUAL(words[0], 10 * ht_n_pes());
        HT_EQUAL(words[edge], 10 * ht_n_pes());
        HT_EQUAL(words[last], 10 * ht_n_pes());
        HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
    }
}

/* Placed, dealt by first touch, under each protocol in turn. */
static void moved_and_changed(struct hearth_region *unused)
{
    (void)unused;
    for (size_t s = 0; s < 2; s++) {
        size_t n = PAGES * sizes[s];
        struct hearth_region *region = make(sizes[s], HEARTH_HOME_FIRST_TOUCH);
        volatile unsigned char *bytes = hearth_region_malloc(region, n);
        if (bytes == NULL) { /* fewer pages than PEs: packed, and dealt cyclically */
            HT_CHECK(false);
            return;
        }
        unsigned char *model = calloc(n, 1);
        static const struct {
            enum hearth_protocol protocol;
            enum hearth_consistency consistency;
        } next[] = {{HEARTH_WRITE_UPDATE, HEARTH_RELEASE},
                    {HEARTH_WRITE_INVALIDATE, HEARTH_SEQUENTIAL},
                    {HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE}};
        for (uint64_t round = 0; round < 3; round++) {
            write_spots(bytes, n, model, round);
            int pe = (int)round % ht_n_pes();
            HT_EQUAL(hearth_place((void *)(uintptr_t)(bytes + sizes[s]), 2 * sizes[s], pe),
                     HEARTH_OK);
            HT_EQUAL(hearth_home((const void *)(uintptr_t)(bytes + sizes[s])), pe);
            compare(bytes, n, model);
            hearth_barrier_all();
            HT_EQUAL(
                hearth_region_set_protocol(region, next[round].protocol, next[round].consistency),
                HEARTH_OK);
            compare(bytes, n, model);
            hearth_barrier_all();
        }
        free(model);
        HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
    }
}

static const struct ht_test tests[] = {
    {"shared_writes", shared_writes, HT_PROTOCOLS, 0},
    {"migratory", migratory, HT_PROTOCOLS, 0},
    {"moved_and_changed", moved_and_changed, HT_PROTOCOLS, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"large_pages", tests, sizeof tests / sizeof tests[0],
                                              false, 0};
    return ht_main(argc, argv, &program);
}
