/* SPDX-License-Identifier: BSD-3-Clause */
/* Copysets, hints and stale maps against plain arrays. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "fake_port.h"
#include "protocol/directory.h"

static const int pe_counts[] = {1, 2, 3, 4, 7, 8, 33, 63, 64, 65, 130};
#define N_PE_COUNTS (sizeof pe_counts / sizeof pe_counts[0])

/* --- copysets --- */

static uint64_t pages_homed_at(struct hth_region *region, int pe, uint64_t *pages)
{
    uint64_t n = 0;
    for (uint64_t page = 0; page < region->n_pages; page++) {
        if (hth_homes_lookup(region->homes, page) == pe) {
            pages[n++] = page;
        }
    }
    return n;
}

/* Read the copysets of all pages as one PE sees them, and compare. */
static void compare(struct hth_port *port, struct hth_region *region, const bool *in, bool *ok)
{
    uint64_t words = region->copyset_words, pages[64];
    uint64_t *copysets = calloc(64 * words, sizeof *copysets);
    for (uint64_t first = 0; first < region->n_pages; first += 64) {
        unsigned n = 0;
        for (uint64_t page = first; page < first + 64 && page < region->n_pages; page++) {
            pages[n++] = page;
        }
        hth_directory_read(port, region, pages, n, copysets);
        for (unsigned i = 0; i < n; i++) {
            for (int pe = 0; pe < region->n_pes; pe++) {
                bool there = copysets[i * words + (uint64_t)pe / 64] >> pe % 64 & 1;
                HTH_EXPECT(*ok, there == in[pages[i] * (uint64_t)region->n_pes + (uint64_t)pe]);
            }
            for (int bit = region->n_pes; bit < (int)words * 64; bit++) { /* no neighbour's bits */
                HTH_EXPECT(*ok, (copysets[i * words + (uint64_t)bit / 64] >> bit % 64 & 1) == 0);
            }
        }
    }
    free(copysets);
}

static void copysets_of(int n_pes, bool *ok)
{
    struct hth_port port;
    struct hth_region region;
    struct hth_homes homes;
    struct hth_rng rng = hth_rng_of(500 + (uint64_t)n_pes);
    hth_fake_start(&port, &region, &homes, n_pes, 150, 5);
    bool *in = calloc(region.n_pages * (uint64_t)n_pes, sizeof *in);
    for (int round = 0; round < 40; round++) {
        int me = (int)hth_rng_below(&rng, (uint64_t)n_pes);
        hth_fake_be(&region, me);
        for (int i = 0; i < 60; i++) {
            uint64_t page = hth_rng_below(&rng, region.n_pages);
            int home = hth_homes_lookup(&homes, page);
            bool *mine = &in[page * (uint64_t)n_pes + (uint64_t)me];
            if (hth_rng_below(&rng, 3) == 0) {
                hth_directory_unregister(&port, &region, page, home);
                *mine = false;
            } else {
                hth_directory_register(&port, &region, &page, 1, home);
                *mine = true;
            }
            HTH_EXPECT(*ok, region.pages[page].registered == *mine);
        }
        compare(&port, &region, in, ok);
    }
    uint64_t *pages = calloc(region.n_pages, sizeof *pages);
    hth_fake_be(&region, 0);
    uint64_t n = pages_homed_at(&region, 0, pages);
    for (uint64_t i = 0; i < n; i += 2) { /* clearing one leaves its neighbours in the word alone */
        hth_directory_clear(&port, &region, pages[i]);
        memset(&in[pages[i] * (uint64_t)n_pes], 0, (size_t)n_pes * sizeof *in);
    }
    compare(&port, &region, in, ok);
    free(pages);
    free(in);
    hth_fake_stop(&port, &region);
}

static void test_copysets(void)
{
    bool ok = true;
    for (size_t i = 0; i < N_PE_COUNTS; i++) {
        copysets_of(pe_counts[i], &ok);
    }
    CU_ASSERT(ok);
}

/* --- hints --- */

struct seen {
    const struct hth_region *region;
    bool *pages;
};

static void see(void *arg, uint64_t first, uint64_t bits)
{
    struct seen *seen = arg;
    for (; bits != 0; bits &= bits - 1) {
        uint64_t index = first + (uint64_t)__builtin_ctzll(bits);
        seen->pages[hth_directory_page(seen->region, index)] = true;
    }
}

/* Every registration leaves a hint at the home, and at the home alone; once taken it is gone. */
static void hints_of(int n_pes, bool *ok)
{
    struct hth_port port;
    struct hth_region region;
    struct hth_homes homes;
    struct hth_rng rng = hth_rng_of(600 + (uint64_t)n_pes);
    hth_fake_start(&port, &region, &homes, n_pes, 200, 70);
    bool *hinted = calloc(region.n_pages, sizeof *hinted);
    bool *found = calloc(region.n_pages, sizeof *found);
    for (int i = 0; i < 100; i++) {
        uint64_t page = hth_rng_below(&rng, region.n_pages);
        hth_fake_be(&region, (int)hth_rng_below(&rng, (uint64_t)n_pes));
        hth_directory_register(&port, &region, &page, 1, hth_homes_lookup(&homes, page));
        hinted[page] = true;
    }
    for (int pe = 0; pe < n_pes; pe++) {
        hth_fake_be(&region, pe);
        struct seen seen = {&region, found};
        hth_bitmap_take(&port, &region, &region.hints, see, &seen);
        HTH_EXPECT(*ok, !hth_bitmap_take(&port, &region, &region.hints, see, &seen));
        for (uint64_t page = 0; page < region.n_pages; page++) {
            bool mine = hth_homes_lookup(&homes, page) == pe;
            HTH_EXPECT(*ok, !mine || found[page] == hinted[page]);
            HTH_EXPECT(*ok, !found[page] || hinted[page]);
        }
    }
    free(hinted);
    free(found);
    hth_fake_stop(&port, &region);
}

static void test_hints(void)
{
    bool ok = true;
    for (size_t i = 0; i < N_PE_COUNTS; i++) {
        hints_of(pe_counts[i], &ok);
    }
    CU_ASSERT(ok);
}

/* --- bitmaps --- */

struct taken {
    uint64_t bits[64], n;
};

static void take(void *arg, uint64_t first, uint64_t bits)
{
    struct taken *taken = arg;
    for (; bits != 0 && taken->n < 64; bits &= bits - 1) {
        taken->bits[taken->n++] = first + (uint64_t)__builtin_ctzll(bits);
    }
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Random sets of bits, posted and taken: the same bits come out, each once, in order. */
static void test_bitmap(void)
{
    struct hth_port port;
    struct hth_region region;
    struct hth_homes homes;
    struct hth_rng rng = hth_rng_of(700);
    bool ok = true;
    hth_fake_start(&port, &region, &homes, 2, 600000, 16); /* three words at the top */
    HTH_EXPECT(ok, region.stale.n_words[2] == 3);
    hth_fake_be(&region, 1);
    for (int round = 0; round < 2000; round++) {
        uint64_t bits[64];
        unsigned n = 1 + (unsigned)hth_rng_below(&rng, 40), distinct = 0;
        uint64_t width = hth_rng_below(&rng, 2) != 0 ? 200 : region.n_pages;
        uint64_t base = hth_rng_below(&rng, region.n_pages - width + 1);
        for (unsigned i = 0; i < n; i++) {
            bits[i] = base + hth_rng_below(&rng, width);
        }
        qsort(bits, n, sizeof bits[0], ascending);
        for (unsigned i = 0; i < n; i++) {
            if (distinct == 0 || bits[i] != bits[distinct - 1]) {
                bits[distinct++] = bits[i];
            }
        }
        for (unsigned level = 0; level < 3; level++) {
            hth_bitmap_post(&port, &region, 1, &region.stale, level, bits, distinct);
        }
        struct taken taken = {{0}, 0};
        HTH_EXPECT(ok, hth_bitmap_take(&port, &region, &region.stale, take, &taken));
        HTH_EXPECT(ok,
                   taken.n == distinct && memcmp(taken.bits, bits, distinct * sizeof bits[0]) == 0);
    }
    CU_ASSERT(ok);
    hth_fake_stop(&port, &region);
}

/* An empty map costs no atomic, whatever its size: an acquire with nothing to do is cheap. */
static void test_empty_is_free(void)
{
    struct hth_port port;
    struct hth_region region;
    struct hth_homes homes;
    struct taken taken = {{0}, 0};
    hth_fake_start(&port, &region, &homes, 2, 600000, 16);
    CU_ASSERT_FALSE(hth_bitmap_take(&port, &region, &region.stale, take, &taken));
    CU_ASSERT_EQUAL(port.n_atomics, 0);
    CU_ASSERT_EQUAL(port.n_flushes, 0);
    hth_fake_stop(&port, &region);
}

/* --- the dirty list --- */

static void test_dirty_list(void)
{
    struct hth_port port;
    struct hth_region region;
    struct hth_homes homes;
    struct hth_rng rng = hth_rng_of(800);
    bool ok = true;
    hth_fake_start(&port, &region, &homes, 1, 1000, 16);
    for (int round = 0; round < 200; round++) {
        bool on[1000] = {false};
        unsigned n_on = 0, n_off = 0, n;
        for (unsigned i = 0; i < 300; i++) {
            uint64_t page = hth_rng_below(&rng, 1000);
            n_on += !on[page];
            on[page] = true;
            hth_dirty_add(&port, &region, page);
        }
        uint64_t list = hth_dirty_detach(&port, &region), pages[64];
        while ((n = hth_dirty_take(&port, &region, &list, pages, 64)) > 0) {
            for (unsigned i = 0; i < n; i++) {
                HTH_EXPECT(ok, on[pages[i]] && (i == 0 || pages[i] > pages[i - 1]));
                on[pages[i]] = false;
            }
            n_off += n;
        }
        HTH_EXPECT(ok, n_on == n_off);
    }
    CU_ASSERT(ok);
    hth_fake_stop(&port, &region);
}

void hth_suite_directory(void)
{
    static const struct hth_unit_test tests[] = {
        {"copysets", test_copysets},
        {"hints", test_hints},
        {"bitmaps with summaries", test_bitmap},
        {"an empty map is free", test_empty_is_free},
        {"dirty list", test_dirty_list},
    };
    hth_unit_register("directory", tests, sizeof tests / sizeof tests[0]);
}
