/* SPDX-License-Identifier: BSD-3-Clause */
/* The range and the collective allocator against a byte map. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "hearth.h"
#include "heap.h"
#include "heap_model.h"

/* ------------------------------------------------------------------------------------------ */
/* Ranges                                                                                     */

static bool check_range(const struct hth_range *range, const struct hth_model *m)
{
    bool ok = true;
    uint64_t at = 0, largest = 0;
    for (uint64_t i = 0; i < range->n; i++) {
        const struct hth_range_free *run = &range->list[i];
        HTH_EXPECT(ok, i == 0 || run->offset > at);
        for (; at < run->offset; at++)
            HTH_EXPECT(ok, m->taken[at] == 1);
        HTH_EXPECT(ok, run->bytes > 0 && hth_model_none_set(m->taken, run->offset, run->bytes));
        at = run->offset + run->bytes;
        largest = run->bytes > largest ? run->bytes : largest;
    }
    for (; at < m->bytes; at++)
        HTH_EXPECT(ok, m->taken[at] == 1);
    HTH_EXPECT(ok, hth_range_largest(range) == largest);
    return ok;
}

static bool fits_somewhere(const struct hth_model *m, uint64_t bytes, uint64_t align,
                           uint64_t *offset_out)
{
    for (uint64_t offset = 0; offset + bytes <= m->bytes; offset += align) {
        if (hth_model_none_set(m->taken, offset, bytes)) {
            *offset_out = offset;
            return true;
        }
    }
    return false;
}

/* As hth_range_take_apart: in the first free run with room after the gap, else as without one. */
static bool fits_apart(const struct hth_model *m, uint64_t bytes, uint64_t align, uint64_t gap,
                       uint64_t *offset_out)
{
    for (uint64_t first = 0; gap != 0 && first < m->bytes; first++) {
        uint64_t offset = (first + gap + align - 1) & ~(align - 1);
        if (m->taken[first] || (first > 0 && !m->taken[first - 1]) || offset + bytes > m->bytes)
            continue;
        if (hth_model_none_set(m->taken, first, offset + bytes - first)) {
            *offset_out = offset;
            return true;
        }
    }
    return fits_somewhere(m, bytes, align, offset_out);
}

static void test_range(void)
{
    struct hth_rng rng = hth_rng_of(40);
    struct hth_model *m = hth_model_make(4096);
    struct hth_range range;
    bool ok = true;
    CU_ASSERT_EQUAL_FATAL(hth_range_init(&range, 0, 4096), 0);
    for (int round = 0; round < 5000 && ok; round++) {
        uint64_t offset, want = 0, align = (uint64_t)1 << hth_rng_below(&rng, 8);
        uint64_t bytes = 1 + hth_rng_below(&rng, 100);
        if (hth_rng_below(&rng, 9) < 5) {
            uint64_t gap = hth_rng_below(&rng, 2) * hth_rng_below(&rng, 50);
            bool fits = fits_apart(m, bytes, align, gap, &want);
            int err = gap != 0 ? hth_range_take_apart(&range, bytes, align, gap, &offset)
                               : hth_range_take(&range, bytes, align, &offset);
            HTH_EXPECT(ok, err == (fits ? 0 : HEARTH_ENOMEM));
            HTH_EXPECT(ok, err != 0 || offset == want);
            for (uint64_t i = offset; err == 0 && i < offset + bytes; i++)
                m->taken[i] = 1;
        } else { /* any part of what was taken may be given back */
            offset = hth_rng_below(&rng, 4096);
            for (bytes = 0; offset + bytes < 4096 && bytes < 150 && m->taken[offset + bytes];)
                m->taken[offset + bytes++] = 0;
            HTH_EXPECT(ok, hth_range_give(&range, offset, bytes) == 0);
        }
        if (round % 20 == 0)
            ok = ok && check_range(&range, m);
    }
    hth_range_fini(&range);
    hth_range_fini(&range);
    hth_model_free(m);
    CU_ASSERT_TRUE(ok);
}

/* ------------------------------------------------------------------------------------------ */
/* The collective allocator                                                                   */

struct collective {
    struct hth_homes homes;
    struct hth_heap *heap;
    struct hth_heap_config config;
};

static void collective_make(struct collective *c, enum hth_deal deal, int n_pes, uint64_t pages)
{
    c->config = (struct hth_heap_config){4096, n_pes, deal, n_pes - 1, 5};
    CU_ASSERT_EQUAL_FATAL(hth_homes_init(&c->homes, n_pes, pages, 0), 0);
    CU_ASSERT_EQUAL_FATAL(hth_heap_create(&c->heap, &c->config, &c->homes), 0);
}

static void collective_free(struct collective *c)
{
    hth_heap_destroy(c->heap);
    hth_homes_fini(&c->homes);
}

/* The homes of a block's pages are as its deal says. */
static bool homes_right(struct collective *c, const struct hth_block *block)
{
    uint64_t first = block->offset / 4096, end = (block->offset + block->bytes + 4095) / 4096;
    uint64_t n = (uint64_t)c->config.n_pes, pages = end - first;
    for (uint64_t page = first; page < end; page++) {
        uint64_t k = page - first, home = page % n;
        if (c->config.deal == HTH_DEAL_FIXED)
            home = (uint64_t)c->config.fixed_pe;
        else if (c->config.deal == HTH_DEAL_BLOCK && block->whole_pages)
            home = ((k + 1) * n - 1) / pages;
        if (hth_homes_lookup(&c->homes, page) != (int)home)
            return false;
    }
    return true;
}

static bool room_right(struct collective *c)
{
    struct hth_block block;
    bool ok = true;
    uint64_t room = hth_heap_room(c->heap);
    HTH_EXPECT(ok, hth_heap_alloc(c->heap, room + 1, &block) == HEARTH_ENOMEM);
    if (room > 0) {
        HTH_EXPECT(ok, hth_heap_alloc(c->heap, room, &block) == 0);
        HTH_EXPECT(ok, hth_heap_free(c->heap, block.offset) == 0);
    }
    return ok;
}

static bool collective_alloc(struct collective *c, struct hth_model *m, uint64_t bytes)
{
    struct hth_block block, found;
    uint64_t room = hth_heap_room(c->heap);
    uint64_t large = 4096 * (c->config.deal == HTH_DEAL_FIXED ? 1 : (uint64_t)c->config.n_pes);
    bool ok = true;
    int err = hth_heap_alloc(c->heap, bytes, &block);
    HTH_EXPECT(ok, err == (bytes <= room ? 0 : HEARTH_ENOMEM));
    if (err != 0)
        return ok;
    HTH_EXPECT(ok, block.bytes == bytes && block.whole_pages == (bytes >= large));
    HTH_EXPECT(ok, hth_heap_find(c->heap, block.offset, &found) == 0);
    HTH_EXPECT(ok, found.offset == block.offset && found.bytes == bytes &&
                       found.whole_pages == block.whole_pages);
    HTH_EXPECT(ok, homes_right(c, &block));
    HTH_EXPECT(ok, hth_model_add(m, block.offset, bytes, block.whole_pages ? 4096 : 64, true));
    return ok;
}

static bool collective_free_block(struct collective *c, struct hth_model *m, size_t i)
{
    uint64_t offset = m->blocks[i].offset;
    struct hth_block block;
    bool ok = true;
    hth_model_remove(m, i);
    HTH_EXPECT(ok, hth_heap_free(c->heap, offset) == 0);
    HTH_EXPECT(ok, hth_heap_free(c->heap, offset) == HEARTH_EADDR);
    HTH_EXPECT(ok, hth_heap_find(c->heap, offset, &block) == HEARTH_EADDR);
    return ok;
}

static bool collective_run(enum hth_deal deal, int n_pes, uint64_t pages, struct hth_rng *rng)
{
    struct collective c;
    struct hth_block block;
    struct hth_model *m = hth_model_make(pages * 4096);
    bool ok = true;
    collective_make(&c, deal, n_pes, pages);
    HTH_EXPECT(ok, hth_heap_alloc(c.heap, 0, &block) == HEARTH_EINVAL);
    for (int round = 0; round < 2500 && ok; round++) {
        bool filling = round / 300 % 2 == 0;
        uint64_t bytes = hth_rng_below(rng, 40) == 0
                             ? 1 + hth_rng_below(rng, pages * 4096)
                             : hth_model_random_bytes(rng, 4096 * (uint64_t)n_pes);
        if (hth_rng_below(rng, 10) < (filling ? 8u : 3u) && m->n < HTH_MODEL_BLOCKS_MAX)
            ok = collective_alloc(&c, m, bytes);
        else if (m->n > 0)
            ok = collective_free_block(&c, m, hth_rng_below(rng, m->n));
        uint64_t any = hth_rng_below(rng, pages * 4096);
        if (!hth_model_begins(m, any))
            HTH_EXPECT(ok, hth_heap_free(c.heap, any) == HEARTH_EADDR);
        if (round % 100 == 99)
            ok = ok && room_right(&c);
    }
    while (m->n > 0 && ok)
        ok = collective_free_block(&c, m, m->n - 1);
    CU_ASSERT_TRUE(ok);
    collective_free(&c);
    hth_model_free(m);
    return ok;
}

static void test_collective(void)
{
    struct hth_rng rng = hth_rng_of(41);
    bool ok = true;
    for (int n_pes = 1; n_pes <= 5 && ok; n_pes += 2) {
        for (int deal = 0; deal < 3 && ok; deal++) {
            ok = collective_run((enum hth_deal)deal, n_pes, 100, &rng) &&
                 collective_run((enum hth_deal)deal, n_pes, 800, &rng) &&
                 collective_run((enum hth_deal)deal, n_pes, 7, &rng);
        }
    }
    CU_ASSERT_TRUE(ok);
}

/* Extents go with large blocks; the arena grows as agreed and is one where runs of it touch. */
static void test_collective_extents(void)
{
    struct collective c;
    struct hth_block a, b;
    collective_make(&c, HTH_DEAL_BLOCK, 4, 64);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 100, &a), 0);
    CU_ASSERT_EQUAL(c.homes.n_extents, 1);
    CU_ASSERT_EQUAL(c.homes.extents[0].n_pages, 16);
    CU_ASSERT_EQUAL(c.homes.extents[0].deal, HTH_DEAL_CYCLIC);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 5 * 4096 + 1, &b), 0);
    CU_ASSERT_TRUE(b.whole_pages);
    CU_ASSERT_EQUAL(b.offset, 16 * 4096);
    CU_ASSERT_EQUAL(c.homes.extents[1].n_pages, 6);
    CU_ASSERT_EQUAL(c.homes.extents[1].deal, HTH_DEAL_BLOCK);
    CU_ASSERT_EQUAL(hth_heap_free(c.heap, b.offset), 0);
    CU_ASSERT_EQUAL(c.homes.n_extents, 1);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 4 * 4096, &b), 0); /* the least that is large */
    CU_ASSERT_EQUAL(c.homes.n_extents, 2);
    CU_ASSERT_EQUAL(hth_heap_free(c.heap, b.offset), 0);
    CU_ASSERT_EQUAL(c.homes.n_extents, 1);
    CU_ASSERT_EQUAL(hth_heap_room(c.heap), 48 * 4096);

    for (int i = 0; i < 5; i++) /* 15 of the arena's 16 pages, and the second run of it */
        CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 3 * 4096, &b), 0);
    CU_ASSERT_EQUAL(c.homes.n_extents, 1);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 2 * 4096, &b), 0);
    CU_ASSERT_EQUAL(c.homes.n_extents, 2);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 3 * 4096, &b), 0); /* across both runs */
    CU_ASSERT_EQUAL(c.homes.n_extents, 2);
    collective_free(&c);

    collective_make(&c, HTH_DEAL_CYCLIC, 3, 64);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 7 * 4096, &a), 0);
    CU_ASSERT_TRUE(a.whole_pages);
    CU_ASSERT_EQUAL(c.homes.extents[0].deal, HTH_DEAL_CYCLIC);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, UINT64_MAX, &a), HEARTH_ENOMEM);
    collective_free(&c);
    hth_heap_destroy(NULL);
}

/* Large blocks keep apart by what makes their distance no power of two. */
static void test_collective_gaps(void)
{
    enum { N = 1024, GAP = HTH_GAP_PAGES };
    struct collective c;
    struct hth_block a, b, again, rest;
    collective_make(&c, HTH_DEAL_BLOCK, 2, 3 * N);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, N * 4096, &a), 0);
    CU_ASSERT_EQUAL(a.offset, 5 * 4096); /* as first_gap_pages says */
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, N * 4096, &b), 0);
    CU_ASSERT_EQUAL(b.offset, (5 + N + GAP) * 4096);
    CU_ASSERT_EQUAL(hth_heap_free(c.heap, b.offset), 0);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, N * 4096, &again), 0);
    CU_ASSERT_EQUAL(again.offset, b.offset);
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, 4 * 4096, &rest), 0); /* a gap is no loss */
    CU_ASSERT_EQUAL(rest.offset, 0);
    uint64_t room = hth_heap_room(c.heap);
    CU_ASSERT_EQUAL(room, (N - 5 - GAP) * 4096);
    /* None where there is no room for it. */
    CU_ASSERT_EQUAL(hth_heap_alloc(c.heap, room, &rest), 0);
    CU_ASSERT_EQUAL(rest.offset, again.offset + N * 4096);
    collective_free(&c);

    CU_ASSERT_EQUAL(hth_range_gap(GAP * 4096 * 32, 4096, GAP), GAP * 4096);
    CU_ASSERT_EQUAL(hth_range_gap(GAP * 4096 * 32 - 1, 4096, GAP), 0);
    CU_ASSERT_EQUAL(hth_range_gap(64 << 20, 65536, GAP), 65536);
    CU_ASSERT_EQUAL(hth_range_gap(64 << 20, 2 << 20, GAP), 2 << 20);
    CU_ASSERT_EQUAL(hth_range_gap((64 << 20) - 1, 2 << 20, GAP), 0);
    CU_ASSERT_EQUAL(hth_range_gap(64 << 20, 4096, 0), 0);
}

/* Blocks that are together what a region was asked for fit into it, whatever their gaps: a 32nd
 * more is enough (region.c). */
static void test_collective_all_fit(void)
{
    enum { ASKED = 64 * 420 };
    static const uint32_t first_gaps[] = {0, 20, 60};
    bool ok = true;
    for (uint64_t n = 1; n <= 64; n++) {
        for (unsigned i = 0; i < 3; i++) {
            struct hth_block block;
            struct collective c;
            collective_make(&c, HTH_DEAL_BLOCK, 2, ASKED + ASKED / HTH_GAP_PART + 34);
            hth_heap_destroy(c.heap);
            c.config.first_gap_pages = first_gaps[i];
            CU_ASSERT_EQUAL_FATAL(hth_heap_create(&c.heap, &c.config, &c.homes), 0);
            for (uint64_t k = 0; k < n; k++)
                HTH_EXPECT(ok, hth_heap_alloc(c.heap, ASKED / n * 4096, &block) == 0);
            collective_free(&c);
        }
    }
    CU_ASSERT_TRUE(ok);
}

static void test_collective_deterministic(void)
{
    struct hth_rng rng = hth_rng_of(42);
    struct collective c[2];
    uint64_t offsets[500];
    size_t n = 0;
    bool ok = true;
    for (int i = 0; i < 2; i++)
        collective_make(&c[i], HTH_DEAL_BLOCK, 3, 200);
    for (int round = 0; round < 3000 && ok; round++) {
        struct hth_block b[2] = {{0, 0, false}, {0, 0, false}};
        if (n < 500 && hth_rng_below(&rng, 10) < 6) {
            uint64_t bytes = hth_model_random_bytes(&rng, 4096);
            int err = hth_heap_alloc(c[0].heap, bytes, &b[0]);
            HTH_EXPECT(ok, err == hth_heap_alloc(c[1].heap, bytes, &b[1]));
            HTH_EXPECT(ok, b[0].offset == b[1].offset && b[0].whole_pages == b[1].whole_pages);
            if (err == 0)
                offsets[n++] = b[0].offset;
        } else if (n > 0) {
            size_t i = hth_rng_below(&rng, n);
            HTH_EXPECT(ok, hth_heap_free(c[0].heap, offsets[i]) == 0);
            HTH_EXPECT(ok, hth_heap_free(c[1].heap, offsets[i]) == 0);
            offsets[i] = offsets[--n];
        }
        HTH_EXPECT(ok, hth_heap_room(c[0].heap) == hth_heap_room(c[1].heap));
    }
    for (int i = 0; i < 2; i++)
        collective_free(&c[i]);
    CU_ASSERT_TRUE(ok);
}

/* ------------------------------------------------------------------------------------------ */

void hth_suite_heap(void)
{
    static const struct hth_unit_test tests[] = {
        {"range: random takes and gives", test_range},
        {"collective: random blocks", test_collective},
        {"collective: extents", test_collective_extents},
        {"collective: gaps between large blocks", test_collective_gaps},
        {"collective: what was asked for fits", test_collective_all_fit},
        {"collective: same calls, same answers", test_collective_deterministic},
    };
    hth_unit_register("heap", tests, sizeof tests / sizeof tests[0]);
}
