/* SPDX-License-Identifier: BSD-3-Clause */
/* What read-ahead foretells, without a protocol: a program that touches pages in some order, and a
 * count of what it had to wait for. */
#include <stdlib.h>
#include <string.h>

#include "fake_port.h"
#include "protocol/ahead.h"
#include "unit.h"

enum { PAGES = 4096, HALF = PAGES / 2 };

static struct hth_port port;
static struct hth_region region;
static struct hth_homes homes;
static struct hth_coherence *c;
static unsigned misses, markers, fetched;

/* All pages are at PE 1, and we are PE 0; two allocations. */
static void start(unsigned window_max)
{
    hth_fake_start(&port, &region, &homes, 2, PAGES, 64);
    hth_fake_be(&region, 0);
    hth_homes_remove(&homes, 0);
    hth_homes_add(&homes, &(struct hth_extent){0, HALF, HTH_DEAL_FIXED, 1});
    hth_homes_add(&homes, &(struct hth_extent){HALF, HALF, HTH_DEAL_FIXED, 1});
    port.has_views = true;
    region.ahead.window_max = window_max;
    c = calloc(1, sizeof *c);
    c->port = &port;
    misses = markers = fetched = 0;
}

static void stop(void)
{
    hth_fake_stop(&port, &region);
    free(c);
}

static void bring(const struct hth_window *window, uint64_t held)
{
    struct hth_bundle bundle;
    hth_ahead_collect(c, &region, window, held, &bundle);
    for (unsigned i = 0; i < bundle.n; i++) {
        CU_ASSERT(i == 0 || bundle.pages[i] > bundle.pages[i - 1]);
        CU_ASSERT_EQUAL(bundle.homes[i], 1);
        hth_page_set_state(&port, &region, bundle.pages[i], HTH_PAGE_CLEAN);
    }
    fetched += bundle.n;
    hth_ahead_place(c, &region, window, held, true, &bundle);
}

/* An access, with the fault that it takes. */
static void touch(uint64_t page)
{
    struct hth_page *entry = &region.pages[page];
    if (hth_page_state(entry) == HTH_PAGE_INVALID) {
        misses++;
        CU_ASSERT_TRUE(hth_port_trylock(&port, &entry->busy));
        static const struct hth_span unknown = {0};
        struct hth_window window = hth_ahead_missed(c, &region, page, &unknown);
        bring(&window, page);
        hth_port_unlock(&port, &entry->busy);
    } else if (entry->marker != HTH_MARKER_NONE) {
        markers++;
        struct hth_window window = hth_ahead_reached(c, &region, page);
        bring(&window, HTH_NO_PAGE);
    }
    CU_ASSERT_EQUAL(hth_page_state(entry), HTH_PAGE_CLEAN);
}

static void drop_all(void)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        CU_ASSERT_EQUAL(region.pages[page].busy.word, 0);
        hth_page_set_state(&port, &region, page, HTH_PAGE_INVALID);
        CU_ASSERT_EQUAL(region.pages[page].marker, HTH_MARKER_NONE);
    }
    misses = markers = fetched = 0;
}

/* n pages from `first` on; far fewer faults than pages, and fewer still once it is known. */
static void check_pattern(uint64_t first, int stride, unsigned n)
{
    start(256);
    for (unsigned round = 0; round < 8; round++) {
        drop_all();
        for (unsigned i = 0; i < n; i++) {
            touch(first + (uint64_t)((int64_t)i * stride));
        }
        CU_ASSERT(misses <= 3);
        CU_ASSERT(misses + markers <= 8 + n / 64);
        CU_ASSERT(fetched >= n && fetched <= 2 * n + 8);
        if (round == 7) {
            CU_ASSERT_EQUAL(misses, 1);
            CU_ASSERT_EQUAL(fetched, n);
            CU_ASSERT_EQUAL(markers, (n + 255) / 256);
        }
    }
    stop();
}

static void test_patterns(void)
{
    check_pattern(0, 1, 1000);
    check_pattern(100, 1, 16);
    check_pattern(7, 1, 3);
    check_pattern(HALF, 1, HALF); /* to the end of the region */
    check_pattern(0, 1, HALF);    /* to the end of the allocation */
    check_pattern(1500, -1, 600);
    check_pattern(HALF - 1, -1, HALF);
    check_pattern(3, 3, 300);
    check_pattern(HALF + 2000, -7, 100);
}

/* A run that became shorter is forgotten. */
static void test_shorter(void)
{
    start(256);
    for (unsigned i = 0; i < 200; i++) {
        touch(i);
    }
    for (unsigned round = 0; round < 10; round++) {
        drop_all();
        touch(0);
    }
    CU_ASSERT_EQUAL(fetched, 1);
    CU_ASSERT(atomic_load(&region.counts.ahead_unused) >= 6);
    stop();
}

static void test_random(void)
{
    start(256);
    struct hth_rng rng = hth_rng_of(911);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t page = hth_rng_below(&rng, PAGES);
        hth_page_set_state(&port, &region, page, HTH_PAGE_INVALID);
        touch(page);
    }
    CU_ASSERT(fetched - misses < misses / 5);
    stop();
}

/* Three at once, as a stencil reads three rows; and others between that follow nothing. */
static void test_several(void)
{
    start(256);
    for (unsigned i = 0; i < 500; i++) {
        touch(i);
        touch(600 + i);
        touch(1200 + i);
        if (i % 20 == 0) {
            touch(HALF + i * 37 % HALF);
        }
    }
    CU_ASSERT(misses <= 6 + 25);
    stop();
}

/* Nothing of a neighbour's, nothing that is busy or pinned, nothing of a solo share that was not
 * asked for. */
static void test_left_out(void)
{
    start(256);
    region.pages[20].busy.word = 1;
    region.pinned_first = 30;
    region.pinned_end = 33;
    for (uint64_t page = 0; page < HALF; page++) {
        if (page != 20 && (page < 30 || page >= 33)) {
            touch(page);
        }
    }
    for (uint64_t page = 30; page < 33; page++) {
        CU_ASSERT_EQUAL(hth_page_state(&region.pages[page]), HTH_PAGE_INVALID);
        CU_ASSERT_EQUAL(region.pages[page].busy.word, 0);
    }
    CU_ASSERT_EQUAL(hth_page_state(&region.pages[20]), HTH_PAGE_INVALID);
    CU_ASSERT_EQUAL(hth_page_state(&region.pages[HALF]), HTH_PAGE_INVALID);
    region.pages[20].busy.word = 0;
    fetched = misses = 0;
    for (uint64_t page = PAGES + 64; page < PAGES + 2 * 64; page++) { /* PE 1's share */
        touch(page);
    }
    CU_ASSERT_EQUAL(misses, 64);
    CU_ASSERT_EQUAL(fetched, 64);
    stop();
}

static void test_off(void)
{
    start(0);
    for (uint64_t page = 0; page < 300; page++) {
        touch(page);
    }
    CU_ASSERT_EQUAL(misses, 300);
    CU_ASSERT_EQUAL(fetched, 300);
    stop();
}

static void test_bounds(void)
{
    uint64_t first, end;
    start(256);
    CU_ASSERT_TRUE(hth_homes_bounds(&homes, HALF - 1, &first, &end));
    CU_ASSERT(first == 0 && end == HALF);
    CU_ASSERT_TRUE(hth_homes_bounds(&homes, HALF, &first, &end));
    CU_ASSERT(first == HALF && end == PAGES);
    CU_ASSERT_TRUE(hth_homes_bounds(&homes, PAGES + 70, &first, &end));
    CU_ASSERT(first == PAGES + 64 && end == PAGES + 128);
    CU_ASSERT_FALSE(hth_homes_bounds(&homes, PAGES + 128, &first, &end));
    hth_homes_remove(&homes, 0);
    CU_ASSERT_FALSE(hth_homes_bounds(&homes, HALF - 1, &first, &end));
    stop();
}

void hth_suite_ahead(void)
{
    static const struct hth_unit_test tests[] = {
        {"patterns", test_patterns}, {"a shorter run", test_shorter}, {"random", test_random},
        {"several", test_several},   {"left out", test_left_out},     {"off", test_off},
        {"bounds", test_bounds},
    };
    hth_unit_register("ahead", tests, sizeof tests / sizeof tests[0]);
}
