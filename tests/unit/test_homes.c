/* SPDX-License-Identifier: BSD-3-Clause */
/* Homes against an array with the home of each page. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "homes.h"

static void test_solo(void)
{
    struct hth_homes homes;
    CU_ASSERT_EQUAL_FATAL(hth_homes_init(&homes, 3, 10, 4), 0);
    for (uint64_t page = 0; page < 30; page++) {
        int want = page < 10 || page >= 22 ? -1 : (int)(page - 10) / 4;
        CU_ASSERT_EQUAL(hth_homes_lookup(&homes, page), want);
    }
    CU_ASSERT_EQUAL(hth_homes_lookup(&homes, UINT64_MAX), -1);
    hth_homes_fini(&homes);

    CU_ASSERT_EQUAL_FATAL(hth_homes_init(&homes, 3, 10, 0), 0);
    CU_ASSERT_EQUAL(hth_homes_lookup(&homes, 10), -1);
    hth_homes_fini(&homes);
}

static void test_fini_of_zeroes(void)
{
    struct hth_homes homes;
    memset(&homes, 0, sizeof homes);
    hth_homes_fini(&homes);
    CU_PASS("did not crash");
}

/* All shares together are the extent, in order, and lookup agrees with them. */
static void test_block_shares(void)
{
    bool ok = true;
    for (int n_pes = 1; n_pes <= 17; n_pes++) {
        for (uint64_t pages = 1; pages <= 70; pages++) {
            struct hth_homes homes;
            struct hth_extent extent = {5, pages, HTH_DEAL_BLOCK, 0};
            CU_ASSERT_EQUAL_FATAL(hth_homes_init(&homes, n_pes, 100, 1), 0);
            CU_ASSERT_EQUAL_FATAL(hth_homes_add(&homes, &extent), 0);
            uint64_t next = 5;
            for (int pe = 0; pe < n_pes; pe++) {
                uint64_t first, n, n_pes64 = (uint64_t)n_pes, i = (uint64_t)pe;
                hth_homes_share(&homes, &extent, pe, &first, &n);
                HTH_EXPECT(ok, first == next);
                HTH_EXPECT(ok, first == 5 + i * pages / n_pes64);
                for (next = first; next < first + n; next++)
                    HTH_EXPECT(ok, hth_homes_lookup(&homes, next) == pe);
            }
            HTH_EXPECT(ok, next == 5 + pages);
            HTH_EXPECT(ok, hth_homes_lookup(&homes, 4) == -1);
            HTH_EXPECT(ok, hth_homes_lookup(&homes, 5 + pages) == -1);
            hth_homes_fini(&homes);
        }
    }
    CU_ASSERT_TRUE(ok);
}

static void test_other_shares(void)
{
    struct hth_homes homes;
    struct hth_extent cyclic = {7, 20, HTH_DEAL_CYCLIC, 0}, fixed = {30, 9, HTH_DEAL_FIXED, 2};
    uint64_t first, n;
    CU_ASSERT_EQUAL_FATAL(hth_homes_init(&homes, 4, 100, 0), 0);
    CU_ASSERT_EQUAL_FATAL(hth_homes_add(&homes, &fixed), 0);
    CU_ASSERT_EQUAL_FATAL(hth_homes_add(&homes, &cyclic), 0);
    for (uint64_t page = 0; page < 100; page++) {
        int want = page >= 7 && page < 27 ? (int)(page % 4) : page >= 30 && page < 39 ? 2 : -1;
        CU_ASSERT_EQUAL(hth_homes_lookup(&homes, page), want);
    }
    for (int pe = 0; pe < 4; pe++) {
        hth_homes_share(&homes, &cyclic, pe, &first, &n);
        CU_ASSERT_EQUAL(n, 0);
        hth_homes_share(&homes, &fixed, pe, &first, &n);
        CU_ASSERT_EQUAL(n, pe == 2 ? 9 : 0);
        CU_ASSERT_EQUAL(first, 30);
    }
    hth_homes_fini(&homes);
}

enum { PAGES = 2000, MAX_EXTENTS = PAGES };

/* The naive home of each page, from the extents in use. */
static int naive_home(const struct hth_extent *extent, uint64_t page, int n_pes)
{
    uint64_t k = page - extent->first_page, n = (uint64_t)n_pes;
    switch (extent->deal) {
    case HTH_DEAL_BLOCK:
        for (uint64_t i = 0; i < n; i++) {
            if (i * extent->n_pages / n <= k && k < (i + 1) * extent->n_pages / n)
                return (int)i;
        }
        return -1;
    case HTH_DEAL_CYCLIC:
        return (int)(page % n);
    case HTH_DEAL_FIXED:
        return extent->fixed_pe;
    case HTH_DEAL_CLAIM:
        return HTH_HOME_OPEN;
    }
    return -1;
}

static void test_random_extents(void)
{
    struct hth_rng rng = hth_rng_of(20);
    struct hth_homes homes;
    static int home[PAGES];
    static struct hth_extent live[MAX_EXTENTS];
    size_t n_live = 0;
    bool ok = true;
    CU_ASSERT_EQUAL_FATAL(hth_homes_init(&homes, 5, PAGES, 3), 0);
    for (size_t page = 0; page < PAGES; page++)
        home[page] = -1;
    for (int round = 0; round < 3000 && ok; round++) {
        struct hth_extent e = {hth_rng_below(&rng, PAGES), 1 + hth_rng_below(&rng, 12),
                               (enum hth_deal)hth_rng_below(&rng, 3), (int)hth_rng_below(&rng, 5)};
        bool is_free = e.first_page + e.n_pages <= PAGES;
        for (uint64_t p = e.first_page; is_free && p < e.first_page + e.n_pages; p++)
            is_free = home[p] == -1;
        if (is_free) {
            HTH_EXPECT(ok, hth_homes_add(&homes, &e) == 0);
            for (uint64_t p = e.first_page; p < e.first_page + e.n_pages; p++)
                home[p] = naive_home(&e, p, 5);
            live[n_live++] = e;
        } else if (n_live > 0 && hth_rng_below(&rng, 3) == 0) {
            size_t gone = hth_rng_below(&rng, n_live);
            hth_homes_remove(&homes, live[gone].first_page);
            for (uint64_t p = 0; p < live[gone].n_pages; p++)
                home[live[gone].first_page + p] = -1;
            live[gone] = live[--n_live];
        }
        for (uint64_t p = round % 50 == 0 ? 0 : PAGES; p < PAGES; p++)
            HTH_EXPECT(ok, hth_homes_lookup(&homes, p) == home[p]);
    }
    hth_homes_fini(&homes);
    CU_ASSERT_TRUE(ok);
}

/* ------------------------------------------------------------------------------------------ */
/* Look-ups during adds and removes                                                           */

struct readers {
    struct hth_homes homes;
    atomic_bool stop;
    atomic_ulong wrong;
};

static void *look_up(void *arg)
{
    struct readers *readers = arg;
    unsigned long wrong = 0;
    while (!atomic_load(&readers->stop)) {
        wrong += hth_homes_lookup(&readers->homes, 10000) != 1;  /* there all the time */
        wrong += hth_homes_lookup(&readers->homes, 30001) != -1; /* never there */
        int home = hth_homes_lookup(&readers->homes, 20000);     /* comes and goes */
        wrong += home != -1 && home != 2;
    }
    atomic_fetch_add(&readers->wrong, wrong);
    return NULL;
}

static void test_concurrent(void)
{
    static struct readers readers;
    pthread_t threads[2];
    struct hth_extent stays = {10000, 10, HTH_DEAL_FIXED, 1};
    CU_ASSERT_EQUAL_FATAL(hth_homes_init(&readers.homes, 4, 40000, 0), 0);
    CU_ASSERT_EQUAL_FATAL(hth_homes_add(&readers.homes, &stays), 0);
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, look_up, &readers), 0);
    for (int round = 0; round < 20; round++) {
        struct hth_extent comes = {20000, 10, HTH_DEAL_FIXED, 2};
        CU_ASSERT_EQUAL(hth_homes_add(&readers.homes, &comes), 0);
        for (uint64_t i = 0; i < 200; i++) {
            struct hth_extent other = {i * 37 % 200 * 2, 1, HTH_DEAL_CYCLIC, 0};
            CU_ASSERT_EQUAL(hth_homes_add(&readers.homes, &other), 0);
        }
        for (uint64_t i = 0; i < 200; i++)
            hth_homes_remove(&readers.homes, 2 * i);
        hth_homes_remove(&readers.homes, 20000);
    }
    atomic_store(&readers.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&readers.wrong), 0);
    CU_ASSERT_EQUAL(readers.homes.n_extents, 1);
    hth_homes_fini(&readers.homes);
}

/* Moves at random over two extents, against an array; then one extent goes, with its moves. */
static void test_moves(void)
{
    bool ok = true;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct hth_homes homes;
        struct hth_extent block = {0, 60, HTH_DEAL_BLOCK, 0}, open = {60, 40, HTH_DEAL_CLAIM, 0};
        uint64_t random = seed;
        int model[101];
        CU_ASSERT_EQUAL_FATAL(hth_homes_init(&homes, 5, 101, 0), 0);
        CU_ASSERT_EQUAL_FATAL(hth_homes_add(&homes, &open), 0);
        CU_ASSERT_EQUAL_FATAL(hth_homes_add(&homes, &block), 0);
        for (uint64_t i = 0; i <= 100; i++)
            model[i] = hth_homes_lookup(&homes, i);
        HTH_EXPECT(ok, model[59] == 4 && model[60] == HTH_HOME_OPEN && model[100] == HTH_HOME_NONE);
        for (int move = 0; move < 40; move++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            uint64_t base = random >> 60 & 1 ? 60 : 0, pages = base == 0 ? 60 : 40;
            uint64_t first = (random >> 20) % pages, n = 1 + (random >> 30) % (pages - first);
            int pe = (int)((random >> 40) % 5);
            CU_ASSERT_EQUAL_FATAL(hth_homes_make_room(&homes), 0);
            hth_homes_move(&homes, base + first, n, pe);
            for (uint64_t i = base + first; i < base + first + n; i++)
                model[i] = pe;
            for (uint64_t i = 0; i <= 100; i++)
                HTH_EXPECT(ok, hth_homes_lookup(&homes, i) == model[i]);
        }
        hth_homes_remove(&homes, 60);
        for (uint64_t i = 0; i <= 100; i++)
            HTH_EXPECT(ok, hth_homes_lookup(&homes, i) == (i < 60 ? model[i] : HTH_HOME_NONE));
        CU_ASSERT_EQUAL_FATAL(hth_homes_add(&homes, &open), 0);
        HTH_EXPECT(ok, hth_homes_lookup(&homes, 77) == HTH_HOME_OPEN);
        hth_homes_fini(&homes);
    }
    CU_ASSERT_TRUE(ok);
}

void hth_suite_homes(void)
{
    static const struct hth_unit_test tests[] = {
        {"solo shares", test_solo},
        {"fini of zeroed memory", test_fini_of_zeroes},
        {"block shares", test_block_shares},
        {"cyclic and fixed", test_other_shares},
        {"random extents", test_random_extents},
        {"random moves", test_moves},
        {"look-ups during adds and removes", test_concurrent},
    };
    hth_unit_register("homes", tests, sizeof tests / sizeof tests[0]);
}
