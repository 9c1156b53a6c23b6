/* SPDX-License-Identifier: BSD-3-Clause */
/* The bounded cache: regions of many times HEARTH_CACHE_BYTES, every byte right, and the memory of
 * copies bounded. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CACHE_PAGES = 128, THREADS = 3 };

static size_t cache_pages(void)
{
    return (size_t)CACHE_PAGES * 4096 / ht_page_bytes(); /* at least 32: it takes no less */
}

/* Pages enough that those homed elsewhere are 4 times the cache (with many PEs, twice), if there is
 * another PE. */
static size_t n_pages(void)
{
    return cache_pages() * (ht_n_pes() > 4 ? 2 : 4) * (size_t)ht_n_pes() /
           (size_t)(ht_n_pes() > 1 ? ht_n_pes() - 1 : 1);
}

static unsigned char value_of(size_t page, uint64_t round)
{
    return (unsigned char)(ht_hash(page, round, 3) % 255 + 1);
}

/* Is there memory behind any of a page, as the kernel has it? */
static bool has_memory(const unsigned char *page)
{
    size_t n = ht_page_bytes() / (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *there = malloc(n);
    HT_CHECK(mincore((void *)(uintptr_t)page, ht_page_bytes(), there) == 0);
    bool any = memchr(there, 1, n) != NULL;
    free(there);
    return any;
}

/* Pages homed elsewhere that have memory. */
static size_t resident(const unsigned char *bytes, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *page = bytes + i * ht_page_bytes();
        found += hearth_home(page) != ht_pe() && has_memory(page);
    }
    return found;
}

static void check_bounded(const unsigned char *bytes, size_t n, int threads)
{
    size_t found = resident(bytes, n);
    HT_CHECKF(found <= cache_pages() + (size_t)threads, "%zu pages of copies, with a cache for %zu",
              found, cache_pages());
}

static void check_page(const unsigned char *bytes, size_t page, uint64_t round)
{
    size_t n = ht_page_bytes();
    size_t other = ht_find_other(bytes + page * n, n, value_of(page, round));
    HT_CHECKF(other == n, "page %zu, byte %zu is %d, not %d", page, other,
              bytes[page * n + other % n], value_of(page, round));
}

/* What is homed here. */
static void fill_mine(unsigned char *bytes, size_t n, uint64_t round)
{
    for (size_t i = 0; i < n; i++) {
        if (hearth_home(bytes + i * ht_page_bytes()) == ht_pe()) {
            memset(bytes + i * ht_page_bytes(), value_of(i, round), ht_page_bytes());
        }
    }
}

static unsigned char *filled(struct hearth_region *region, size_t n, uint64_t round)
{
    unsigned char *bytes = hearth_region_malloc(region, n * ht_page_bytes());
    HT_CHECK(bytes != NULL);
    fill_mine(bytes, n, round);
    hearth_barrier_all();
    return bytes;
}

static uint64_t evictions(struct hearth_region *region)
{
    return ht_stats(region).evictions;
}

static struct hearth_region *make(void)
{
    struct hearth_region *region = NULL;
    HT_EQUAL(hearth_region_create(&region, (n_pages() + 8) * ht_page_bytes(), ht_attr()),
             HEARTH_OK);
    return region;
}

/* Upwards, downwards, at random. */
static void walks(struct hearth_region *unused)
{
    (void)unused;
    struct hearth_region *region = make();
    size_t n = n_pages();
    unsigned char *bytes = filled(region, n, 1);
    for (size_t i = 0; i < n; i++) {
        check_page(bytes, i, 1);
        if (i % 100 == 99) {
            check_bounded(bytes, n, 1);
        }
    }
    for (size_t i = n; i > 0; i--) {
        check_page(bytes, i - 1, 1);
    }
    check_bounded(bytes, n, 1);
    for (size_t i = 0; i < n; i++) {
        check_page(bytes, ht_hash(i, (uint64_t)ht_pe(), 9) % n, 1);
    }
    check_bounded(bytes, n, 1);
    if (ht_n_pes() > 1 && ht_attr()->placement != HEARTH_HOME_FIXED) {
        HT_CHECKF(evictions(region) > n - cache_pages(), "%llu evictions of %zu pages",
                  (unsigned long long)evictions(region), n);
    }
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

/* PEs overwrite each other's pages: dirty pages go, and twins count too. */
static void write_all(struct hearth_region *unused)
{
    (void)unused;
    struct hearth_region *region = make();
    size_t n = n_pages() / 2, page = ht_page_bytes();
    unsigned char *bytes = filled(region, n, 1);
    for (uint64_t round = 2; round < 4; round++) {
        for (size_t i = 0; i < n; i++) {
            if ((i + round) % (size_t)ht_n_pes() == (size_t)ht_pe()) {
                memset(bytes + i * page, value_of(i, round), page);
            }
        }
        check_bounded(bytes, n, 1);
        hearth_barrier_all();
        for (size_t i = 0; i < n; i++) {
            check_page(bytes, i, round);
        }
        hearth_barrier_all();
    }
    HT_EQUAL(hearth_free(bytes), HEARTH_OK);
    bytes = hearth_region_malloc(region, n * page);
    for (size_t i = 0; i < n; i += 17) { /* nothing is left in frames that held copies */
        HT_EQUAL(ht_find_other(bytes + i * page, page, 0), page);
    }
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

struct rush {
    unsigned char *bytes;
    size_t n;
    uint64_t round;
    const struct hearth_lock *lock;
    volatile uint64_t *sum; /* guarded by the lock; in the region too */
    uint64_t n_ops;
};

/* One byte a thread in each page, 0 at first: it adds to it, at random pages. */
static void add_at_random(void *arg, int index)
{
    struct rush *rush = arg;
    size_t me = (size_t)(ht_pe() * THREADS + index);
    for (uint64_t op = 0; op < rush->n_ops; op++) {
        size_t page = ht_hash(op, me, rush->round) % rush->n;
        rush->bytes[page * ht_page_bytes() + 8 * (page % 40) + me]++;
        if (op % 50 == 7) {
            hearth_lock_acquire(rush->lock);
            *rush->sum += op;
            hearth_lock_release(rush->lock);
        }
        if (op % 60 == 11) {
            hearth_release();
            hearth_acquire();
        }
    }
}

/* What one thread has added to a page in all rounds up to this one. */
static void add_model(unsigned char *model, const struct rush *rush, size_t me, uint64_t round)
{
    for (uint64_t op = 0; op < rush->n_ops; op++) {
        model[ht_hash(op, me, round) % rush->n]++;
    }
}

/* Several threads a PE, which fault, evict, release and acquire beside each other. */
static void threads(struct hearth_region *unused)
{
    (void)unused;
    struct hearth_region *region = make();
    size_t n = n_pages() / 3;
    int n_threads = ht_threads_allowed() ? THREADS : 1;
    struct shared {
        struct hearth_lock lock;
        uint64_t sum;
    } *shared = hearth_region_malloc(region, sizeof *shared);
    if (ht_pe() == 0) {
        HT_EQUAL(hearth_lock_init(&shared->lock), HEARTH_OK);
    }
    hearth_barrier_all();
    struct hearth_lock lock = shared->lock;
    struct rush rush = {hearth_region_malloc(region, n * ht_page_bytes()),
                        n,
                        0,
                        &lock,
                        &shared->sum,
                        (uint64_t)ht_rounds(300)};
    unsigned char *model = calloc(n, 1);
    size_t all = (size_t)(ht_n_pes() * THREADS);
    for (; rush.round < 2; rush.round++) {
        hearth_barrier_all();
        ht_threads(n_threads, add_at_random, &rush);
        check_bounded(rush.bytes, n, n_threads);
        hearth_barrier_all();
        for (size_t me = 0; me < all; me++) {
            memset(model, 0, n);
            for (uint64_t round = 0; round <= rush.round && me % THREADS < (size_t)n_threads;
                 round++) {
                add_model(model, &rush, me, round);
            }
            /* Not all by all: each page would be fetched for each. */
            for (size_t page = me % 3; page < n; page += 3) {
                HT_EQUAL(rush.bytes[page * ht_page_bytes() + 8 * (page % 40) + me], model[page]);
            }
        }
    }
    uint64_t sum = 0;
    for (uint64_t op = 7; op < rush.n_ops; op += 50) {
        sum += op;
    }
    HT_EQUAL(shared->sum, sum * 2 * (uint64_t)(ht_n_pes() * n_threads));
    hearth_barrier_all();
    free(model);
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

/* With what else changes pages behind a program's back. */
static void with_changes(struct hearth_region *unused)
{
    (void)unused;
    struct hearth_region *region = make();
    size_t n = n_pages() / 3, page = ht_page_bytes();
    unsigned char *bytes = filled(region, n, 1);
    for (uint64_t round = 2; round < 6; round++) {
        for (size_t i = 0; i < n; i++) {
            if ((i + round) % (size_t)ht_n_pes() == (size_t)ht_pe()) {
                memset(bytes + i * page, value_of(i, round), page);
            }
        }
        if (round % 2 == 0) {
            int pe = (int)(round / 2) % ht_n_pes();
            HT_EQUAL(hearth_place(bytes + n / 3 * page, n / 3 * page, pe), HEARTH_OK);
        } else {
            enum hearth_consistency consistency =
                round % 4 == 1 ? HEARTH_RELEASE : HEARTH_SEQUENTIAL;
            HT_EQUAL(hearth_region_set_protocol(region, HEARTH_WRITE_INVALIDATE, consistency),
                     HEARTH_OK);
        }
        for (size_t i = 0; i < n; i++) {
            check_page(bytes, i, round);
        }
        check_bounded(bytes, n, 1);
        hearth_barrier_all();
    }
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

/* What a region's end gives back stays so: an acquire of the last barrier, which may still refresh
 * copies, reads no home that has ended already. */
static void ended(struct hearth_region *unused)
{
    (void)unused;
    enum { PAGES = 24, EPOCHS = 6 };
    size_t page = ht_page_bytes();
    void *before = NULL;
    for (int time = 0; time < 8; time++) {
        struct hearth_region *region = make();
        unsigned char *bytes = hearth_region_malloc(region, PAGES * page);
        HT_CHECKF(time == 0 || bytes == before, "%p, before %p", (void *)bytes, before);
        before = bytes;
        for (size_t i = 0; i < PAGES; i++) {
            HT_CHECKF(!has_memory(bytes + i * page), "time %d: page %zu", time, i);
        }
        hearth_barrier_all();
        for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
            fill_mine(bytes, PAGES, epoch);
            hearth_barrier_all();
            for (size_t i = 0; i < PAGES; i++) {
                check_page(bytes, i, epoch);
            }
            hearth_barrier_all();
        }
        fill_mine(bytes, PAGES, EPOCHS); /* the end is told of it */
        HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
    }
}

static const struct ht_test tests[] = {
    {"ended", ended, HT_KINDS, 0},
    {"walks", walks, HT_KINDS, 0},
    {"write_all", write_all, HT_KINDS, 0},
    {"threads", threads, HT_KINDS, 0},
    {"with_changes", with_changes, HT_PROTOCOLS, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"cache", tests, sizeof tests / sizeof tests[0], false,
                                              0};
    setenv("HEARTH_CACHE_BYTES", "524288", 1); /* CACHE_PAGES of 4 KiB */
    return ht_main(argc, argv, &program);
}
