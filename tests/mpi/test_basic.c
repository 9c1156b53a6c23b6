/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program sees first: its number, pointers that mean the same everywhere, where pages live,
 * page sizes, counters. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_facts(struct hearth_region *none)
{
    int size = -1, rank = -1;

    (void)none;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    HT_EQUAL(hearth_n_pes(), size);
    HT_EQUAL(hearth_my_pe(), rank);
    for (int err = HEARTH_ESYS; err < 0; err++) {
        HT_CHECKF(strlen(hearth_strerror(err)) > 3, "error %d: '%s'", err, hearth_strerror(err));
        for (int other = err + 1; other <= 0; other++)
            HT_CHECKF(strcmp(hearth_strerror(err), hearth_strerror(other)) != 0,
                      "errors %d and %d have the same text", err, other);
    }
    HT_CHECK(HEARTH_VERSION_MAJOR == 0 && HEARTH_VERSION_MINOR >= 1);
}

static void test_same_pointer(struct hearth_region *region)
{
    const size_t sizes[] = {1, 64, 65, 1000, 4096, 5000, 40000, 300000};
    int n = ht_n_pes(), me = ht_pe();
    void **shared = hearth_region_malloc(region, sizeof(void *) * (size_t)n);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int *p = hearth_region_malloc(region, sizes[i]);
        int *q = hearth_malloc(sizes[i]);
        HT_CHECKF(p && q, "%zu bytes: %s", sizes[i], hearth_error_message());
        HT_CHECK(ht_same((uintptr_t)p));
        HT_CHECK(ht_same((uintptr_t)q));
        HT_EQUAL((uintptr_t)p % 64, 0);
        HT_EQUAL((uintptr_t)q % 64, 0);
        HT_EQUAL(hearth_free(q), 0);
        if (sizes[i] >= ht_page_bytes() * (size_t)n)
            HT_EQUAL((uintptr_t)p % ht_page_bytes(), 0);
    }
    if (!ht_all(shared != NULL))
        return;
    /* A pointer is a datum like any other. Each PE's points at the next one's slot. */
    shared[me] = &shared[(me + 1) % n];
    hearth_barrier_all();
    void **at = &shared[me];
    for (int i = 0; i < n; i++)
        at = *at;
    HT_CHECK(at == &shared[me]);
}

static int block_home(size_t page, size_t n_pages)
{
    size_t n = (size_t)ht_n_pes();

    for (size_t i = 0; i < n; i++)
        if (i * n_pages / n <= page && page < (i + 1) * n_pages / n)
            return (int)i;
    return -1;
}

static void check_homes(const char *block, size_t bytes, const struct hearth_region_attr *attr)
{
    int n = ht_n_pes(), first = hearth_home(block), home = -1;
    size_t page_bytes = attr->page_bytes, n_pages = (bytes + page_bytes - 1) / page_bytes;

    for (size_t k = 0; k < n_pages; k++) {
        switch (attr->placement) {
        case HEARTH_HOME_BLOCK:
            home = block_home(k, n_pages);
            break;
        case HEARTH_HOME_CYCLIC:
            home = (int)(((size_t)first + k) % (size_t)n);
            break;
        case HEARTH_HOME_FIXED:
            home = attr->home_pe;
            break;
        case HEARTH_HOME_FIRST_TOUCH: /* test_place */
            break;
        }
        size_t last = k + 1 < n_pages ? page_bytes - 1 : (bytes - 1) % page_bytes;
        HT_CHECKF(hearth_home(block + k * page_bytes) == home &&
                      hearth_home(block + k * page_bytes + last) == home,
                  "placement %d, page %zu of %zu: home %d, expected %d", attr->placement, k,
                  n_pages, hearth_home(block + k * page_bytes), home);
    }
}

static void test_homes(struct hearth_region *none)
{
    size_t n = (size_t)ht_n_pes();
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    const enum hearth_placement placements[] = {HEARTH_HOME_BLOCK, HEARTH_HOME_CYCLIC,
                                                HEARTH_HOME_FIXED};

    (void)none;
    for (size_t round = 0; round < 6; round++) {
        struct hearth_region *region = NULL;
        attr.placement = placements[round % 3];
        attr.page_bytes = round < 3 ? ht_page_bytes() : 16384;
        attr.home_pe = (int)(n - 1);
        HT_CHECKF(!hearth_region_create(&region, 200 * attr.page_bytes, &attr), "%s",
                  hearth_error_message());
        if (!ht_all(region != NULL))
            return;
        const size_t n_pages[] = {n, n + 1, 3 * n - 1, 10 * n + 3};
        for (size_t i = 0; i < 4; i++) {
            size_t bytes = n_pages[i] * attr.page_bytes - (i % 2 ? 1000 : 0);
            const char *block = hearth_region_malloc(region, bytes);
            HT_CHECKF(block, "%s", hearth_error_message());
            if (!ht_all(block != NULL))
                continue;
            HT_EQUAL((uintptr_t)block % attr.page_bytes, 0);
            check_homes(block, bytes, &attr);
        }
        HT_EQUAL(hearth_region_destroy(region), 0);
    }
}

enum { N_SMALL = 400 };

static void check_small_homes(char *const *blocks, size_t n_blocks)
{
    int n = ht_n_pes(), n_of_pe[n];
    size_t page_bytes = ht_page_bytes();
    uintptr_t last_page = 0;
    int last_home = -1;
    bool fixed = ht_attr()->placement == HEARTH_HOME_FIXED;

    memset(n_of_pe, 0, sizeof n_of_pe);
    for (size_t i = 0; i < n_blocks; i++) {
        uintptr_t page = (uintptr_t)blocks[i] / page_bytes;
        int home = hearth_home(blocks[i]);
        HT_CHECKF(home >= 0 && home < n, "home %d", home);
        if (fixed)
            HT_EQUAL(home, ht_attr()->home_pe);
        if (page == last_page)
            HT_EQUAL(home, last_home);
        else if (page == last_page + 1 && !fixed)
            HT_EQUAL(home, (last_home + 1) % n);
        if (page != last_page && home >= 0 && home < n)
            n_of_pe[home]++;
        last_page = page;
        last_home = home;
    }
    for (int pe = 0; pe < n && !fixed; pe++)
        HT_CHECKF(n_of_pe[pe] > 0, "PE %d is home to none of the small pages", pe);
}

/* Small blocks share pages, do not overlap, and all PEs are home to some of them. */
static void test_small_packed(struct hearth_region *region)
{
    int n = ht_n_pes();
    size_t bytes = ht_page_bytes() / 16, n_blocks = (size_t)n * 3 * 16;
    char *blocks[N_SMALL];

    if (n_blocks > N_SMALL)
        n_blocks = N_SMALL;
    for (size_t i = 0; i < n_blocks; i++)
        blocks[i] = hearth_region_malloc(region, bytes);
    for (size_t i = 0; i < n_blocks; i++) {
        HT_CHECK(blocks[i] != NULL);
        HT_EQUAL((uintptr_t)blocks[i] % 64, 0);
        for (size_t j = 0; j < i; j++)
            HT_CHECKF(blocks[i] + bytes <= blocks[j] || blocks[j] + bytes <= blocks[i],
                      "blocks %zu and %zu overlap", i, j);
    }
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (size_t i = 0; i < n_blocks; i++) {
        low = (uintptr_t)blocks[i] < low ? (uintptr_t)blocks[i] : low;
        high = (uintptr_t)blocks[i] > high ? (uintptr_t)blocks[i] : high;
    }
    HT_CHECKF(high - low < 2 * n_blocks * bytes + ht_page_bytes(), "%zu bytes spread over %zu",
              n_blocks * bytes, (size_t)(high - low));
    check_small_homes(blocks, n_blocks);
}

static void test_page_sizes(struct hearth_region *none)
{
    const size_t page_bytes[] = {4096, 16384, 65536};
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe();
    struct hearth_region_attr attr = *ht_attr();

    (void)none;
    for (int i = 0; i < 3; i++) {
        struct hearth_region *region = NULL;
        if (page_bytes[i] < ht_page_bytes())
            continue;
        attr.page_bytes = page_bytes[i];
        HT_CHECKF(!hearth_region_create(&region, 40 * page_bytes[i], &attr), "%s",
                  hearth_error_message());
        size_t bytes = (n + 1) * page_bytes[i] + 77;
        unsigned char *p = region ? hearth_region_malloc(region, bytes) : NULL;
        if (ht_all(p != NULL)) {
            check_homes((char *)p, bytes, &attr);
            for (size_t b = me; b < bytes; b += n)
                p[b] = (unsigned char)(b / 7 + 1);
            hearth_barrier_all();
            size_t wrong = 0;
            for (size_t b = 0; b < bytes; b++)
                wrong += p[b] != (unsigned char)(b / 7 + 1);
            HT_EQUAL(wrong, 0);
        }
        if (ht_all(region != NULL))
            HT_EQUAL(hearth_region_destroy(region), 0);
    }
}

/* PE 0 is home. Everybody else reads twice, then PE 0 writes, and they read again. */
static void test_stats(struct hearth_region *none)
{
    struct hearth_region *region = NULL;
    struct hearth_region_attr attr = *ht_attr();
    struct hearth_stats s[4] = {{0}}, all = {0};
    bool away = ht_pe() != 0;

    (void)none;
    attr.placement = HEARTH_HOME_FIXED;
    attr.home_pe = 0;
    HT_EQUAL(hearth_region_create(&region, 1 << 20, &attr), 0);
    volatile unsigned char *p = region ? hearth_region_malloc(region, ht_page_bytes()) : NULL;
    if (!ht_all(p != NULL))
        return;
    HT_EQUAL(hearth_region_stats(region, &s[0]), 0);
    HT_EQUAL(p[5], 0);
    HT_EQUAL(hearth_region_stats(region, &s[1]), 0);
    HT_EQUAL(p[6], 0);
    HT_EQUAL(p[4000], 0);
    HT_EQUAL(hearth_region_stats(region, &s[2]), 0);
    HT_EQUAL(s[1].read_misses - s[0].read_misses, away);
    HT_EQUAL(s[1].pages_fetched - s[0].pages_fetched, away);
    HT_CHECK(!away || s[1].bytes_in - s[0].bytes_in >= ht_page_bytes());
    HT_EQUAL(s[2].read_misses - s[1].read_misses, 0);
    HT_EQUAL(s[2].pages_fetched - s[1].pages_fetched, 0);
    hearth_barrier_all();
    if (!away)
        p[6] = 7;
    hearth_barrier_all();
    HT_EQUAL(p[6], 7);
    HT_EQUAL(hearth_region_stats(region, &s[3]), 0);
    bool again = away && attr.protocol == HEARTH_WRITE_INVALIDATE;
    HT_EQUAL(s[3].read_misses - s[2].read_misses, again); /* the difference between the two */
    HT_EQUAL(s[3].invalidations - s[2].invalidations, again);
    if (attr.consistency == HEARTH_RELEASE) { /* elsewhere there is nothing to release */
        HT_CHECK(away || ht_n_pes() == 1 || s[3].releases > s[2].releases);
    }
    HT_EQUAL(hearth_region_stats(NULL, &all), 0);
    HT_CHECK(all.read_misses >= s[3].read_misses && all.messages >= s[3].messages);
    HT_EQUAL(hearth_region_destroy(region), 0);
}

/* A write by a PE that is not the home costs one fault, and one diff at the release. */
static void test_stats_writer(struct hearth_region *none)
{
    struct hearth_region *region = NULL;
    struct hearth_region_attr attr = *ht_attr();
    struct hearth_stats before = {0}, after = {0};
    int writer = ht_n_pes() - 1;
    bool writes = ht_pe() == writer;

    (void)none;
    attr.placement = HEARTH_HOME_FIXED;
    attr.home_pe = 0;
    HT_EQUAL(hearth_region_create(&region, 1 << 20, &attr), 0);
    volatile unsigned char *p = region ? hearth_region_malloc(region, ht_page_bytes()) : NULL;
    if (!ht_all(p != NULL))
        return;
    hearth_region_stats(region, &before);
    if (writes) {
        p[100] = 1;
        p[200] = 2;
    }
    hearth_barrier_all();
    HT_EQUAL(p[100] + p[200], 3);
    hearth_region_stats(region, &after);
    if (writes && writer != 0) {
        HT_EQUAL(after.write_faults - before.write_faults, 1);
        /* Sequential: the page migrates, and no diff is made. */
        HT_EQUAL(after.diffs - before.diffs, attr.consistency == HEARTH_RELEASE);
        if (attr.consistency == HEARTH_RELEASE) {
            HT_CHECK(after.bytes_out - before.bytes_out >= 2);
        }
    } else if (writer != 0) {
        HT_EQUAL(after.write_faults - before.write_faults, 0);
        HT_EQUAL(after.diffs - before.diffs, 0);
    }
    HT_EQUAL(hearth_region_destroy(region), 0);
}

enum { N_REGIONS = 24 };

static void test_many_regions(struct hearth_region *none)
{
    struct hearth_region *regions[N_REGIONS] = {NULL};
    unsigned char *p[N_REGIONS] = {NULL};
    int n = ht_n_pes(), me = ht_pe();

    (void)none;
    for (int i = 0; i < N_REGIONS; i++) {
        char name[16];
        snprintf(name, sizeof name, "many%d", i);
        struct hearth_region_attr attr = {
            name,           i % 2 ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE,
            HEARTH_RELEASE, (enum hearth_placement)(i % 3),
            i % n,          i % 4 ? 0 : 16384};
        HT_CHECKF(!hearth_region_create(&regions[i], (size_t)(i + 1) << 16, &attr), "%s",
                  hearth_error_message());
        p[i] = regions[i] ? hearth_region_malloc(regions[i], 5000) : NULL;
        if (!ht_all(p[i] != NULL))
            return;
    }
    for (int epoch = 1; epoch <= 3; epoch++) {
        for (int i = 0; i < N_REGIONS; i++)
            for (int b = me; b < 5000; b += n)
                p[i][b] = (unsigned char)(i + b + epoch);
        hearth_barrier_all();
        int wrong = 0;
        for (int i = 0; i < N_REGIONS; i++)
            for (int b = 0; b < 5000; b++)
                wrong += p[i][b] != (unsigned char)(i + b + epoch);
        HT_EQUAL(wrong, 0);
        hearth_barrier_all();
    }
    for (int i = 0; i < N_REGIONS; i++)
        HT_EQUAL(hearth_region_destroy(regions[i * 7 % N_REGIONS]), 0);
}

static const struct ht_test tests[] = {
    {"facts", test_facts, HT_ONCE, 0},
    {"same-pointer", test_same_pointer, HT_KINDS, 1 << 20},
    {"homes", test_homes, HT_ONCE, 0},
    {"small-packed", test_small_packed, HT_KINDS, 1 << 20},
    {"page-sizes", test_page_sizes, HT_PROTOCOLS, 0},
    {"stats-reader", test_stats, HT_PROTOCOLS, 0},
    {"stats-writer", test_stats_writer, HT_PROTOCOLS, 0},
    {"many-regions", test_many_regions, HT_ONCE, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"basic", tests, sizeof tests / sizeof tests[0], false,
                                              0};

    return ht_main(argc, argv, &program);
}
