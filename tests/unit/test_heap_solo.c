/* SPDX-License-Identifier: BSD-3-Clause */
/* The solo allocator against a byte map. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "hearth.h"
#include "heap.h"
#include "heap_model.h"

static bool room_right(struct hth_solo *solo, struct hth_model *m, uint64_t page_bytes)
{
    uint64_t offset, room = hth_solo_room(solo);
    bool ok = true, used;
    HTH_EXPECT(ok, hth_solo_alloc(solo, room + 1, &offset, &used) == HEARTH_ENOMEM);
    if (room > 0) {
        HTH_EXPECT(ok, hth_solo_alloc(solo, room, &offset, &used) == 0);
        HTH_EXPECT(ok, hth_model_add(m, offset, room, room >= page_bytes ? page_bytes : 16, used));
        hth_model_remove(m, m->n - 1);
        HTH_EXPECT(ok, hth_solo_free(solo, offset) == 0);
    }
    return ok;
}

static bool alloc_one(struct hth_solo *solo, struct hth_model *m, uint64_t bytes,
                      uint64_t page_bytes)
{
    uint64_t offset, found = 0, room = hth_solo_room(solo);
    bool ok = true, used;
    int err = hth_solo_alloc(solo, bytes, &offset, &used);
    HTH_EXPECT(ok, err == (bytes <= room ? 0 : HEARTH_ENOMEM));
    if (err != 0)
        return ok;
    HTH_EXPECT(ok, hth_solo_find(solo, offset, &found) == 0 && found == bytes);
    return ok && hth_model_add(m, offset, bytes, bytes >= page_bytes ? page_bytes : 16, used);
}

static bool free_one(struct hth_solo *solo, struct hth_model *m, size_t i)
{
    uint64_t offset = m->blocks[i].offset, found;
    bool ok = true;
    hth_model_remove(m, i);
    HTH_EXPECT(ok, hth_solo_free(solo, offset) == 0);
    HTH_EXPECT(ok, hth_solo_free(solo, offset) == HEARTH_EADDR);
    HTH_EXPECT(ok, hth_solo_find(solo, offset, &found) == HEARTH_EADDR);
    return ok;
}

static bool not_a_block(struct hth_solo *solo, const struct hth_model *m, struct hth_rng *rng)
{
    bool ok = true;
    uint64_t any = hth_rng_below(rng, m->bytes), found;
    if (m->n > 0 && hth_rng_below(rng, 2)) { /* likelier to hit something: inside of a block */
        const struct hth_model_block *block = &m->blocks[hth_rng_below(rng, m->n)];
        any = block->offset + hth_rng_below(rng, block->bytes);
    }
    if (!hth_model_begins(m, any)) {
        HTH_EXPECT(ok, hth_solo_find(solo, any, &found) == HEARTH_EADDR);
        HTH_EXPECT(ok, hth_solo_free(solo, any) == HEARTH_EADDR);
    }
    return ok;
}

static bool run(uint64_t page_bytes, uint64_t first_page, uint64_t pages, struct hth_rng *rng)
{
    struct hth_solo *solo;
    uint64_t first = first_page * page_bytes, end = first + pages * page_bytes;
    struct hth_model *m = hth_model_make(end + 64);
    bool ok = true;
    memset(m->taken, 1, first); /* not ours */
    memset(m->taken + end, 1, 64);
    CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo, first, end, page_bytes), 0);
    for (int round = 0; round < 8000 && ok; round++) {
        bool filling = round / 1000 % 2 == 0;
        if (hth_rng_below(rng, 10) < (filling ? 8u : 3u) && m->n < HTH_MODEL_BLOCKS_MAX - 1)
            ok = alloc_one(solo, m, hth_model_random_bytes(rng, page_bytes), page_bytes);
        else if (m->n > 0)
            ok = free_one(solo, m, hth_rng_below(rng, m->n));
        ok = ok && not_a_block(solo, m, rng);
        if (round % 100 == 99)
            ok = ok && room_right(solo, m, page_bytes);
    }
    while (m->n > 0 && ok)
        ok = free_one(solo, m, m->n - 1);
    HTH_EXPECT(ok, hth_solo_room(solo) == pages * page_bytes); /* all coalesced */
    hth_solo_destroy(solo);
    hth_model_free(m);
    return ok;
}

static void test_random(void)
{
    struct hth_rng rng = hth_rng_of(60);
    CU_ASSERT_TRUE(run(4096, 100, 200, &rng));
    CU_ASSERT_TRUE(run(4096, 0, 3, &rng));
    CU_ASSERT_TRUE(run(4096, 7, 1, &rng));
    CU_ASSERT_TRUE(run(65536, 5, 16, &rng));
    CU_ASSERT_TRUE(run(256, 5, 300, &rng));
}

/* A share that is never reused needs no zeroing at all. */
static void test_bump_is_fresh(void)
{
    struct hth_rng rng = hth_rng_of(61);
    struct hth_solo *solo;
    uint64_t offset;
    bool ok = true, used;
    int n = 0;
    CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo, 8192, (uint64_t)64 << 20, 4096), 0);
    while (hth_solo_alloc(solo, hth_model_random_bytes(&rng, 4096), &offset, &used) == 0) {
        HTH_EXPECT(ok, !used);
        n++;
    }
    CU_ASSERT_TRUE(ok);
    CU_ASSERT_TRUE(n > 10000);
    hth_solo_destroy(solo);
}

/* Fill, be refused, free one, be served again; of each size. */
static void test_exhaustion(void)
{
    static uint64_t offsets[4096];
    for (uint64_t bytes = 1; bytes < 40000; bytes += 1 + bytes / 3) {
        struct hth_solo *solo;
        uint64_t offset;
        size_t n = 0;
        bool ok = true, used;
        CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo, 4096, 11 * 4096, 4096), 0);
        while (n < 4096 && hth_solo_alloc(solo, bytes, &offsets[n], &used) == 0)
            n++;
        HTH_EXPECT(ok, n * (bytes + 15) >= 10 * 4096 * 1 / 3);
        HTH_EXPECT(ok, hth_solo_alloc(solo, bytes, &offset, &used) == HEARTH_ENOMEM);
        HTH_EXPECT(ok, hth_solo_free(solo, offsets[n / 2]) == 0);
        HTH_EXPECT(ok, hth_solo_alloc(solo, bytes, &offset, &used) == 0 && used);
        HTH_EXPECT(ok, offset == offsets[n / 2]);
        for (size_t i = 0; i < n; i++)
            HTH_EXPECT(ok, hth_solo_free(solo, offsets[i]) == 0);
        HTH_EXPECT(ok, hth_solo_room(solo) == 10 * 4096);
        hth_solo_destroy(solo);
        CU_ASSERT_TRUE(ok);
    }
}

/* Large blocks keep apart; what lies between is handed out when there is nothing else. */
static void test_gaps(void)
{
    enum { N = 1024, GAP = HTH_GAP_PAGES };
    struct hth_solo *solo;
    uint64_t a, b, c;
    bool used;
    CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo, 0, (2 * N + 2 * GAP) * 4096, 4096), 0);
    CU_ASSERT_EQUAL(hth_solo_alloc(solo, N * 4096, &a, &used), 0);
    CU_ASSERT_EQUAL(a, GAP * 4096);
    CU_ASSERT_EQUAL(hth_solo_alloc(solo, N * 4096, &b, &used), 0);
    CU_ASSERT_EQUAL(b, (N + 2 * GAP) * 4096);
    CU_ASSERT_FALSE(used);
    CU_ASSERT_EQUAL(hth_solo_alloc(solo, GAP * 4096, &c, &used), 0);
    CU_ASSERT_EQUAL(c, 0);
    CU_ASSERT_TRUE(used);
    CU_ASSERT_EQUAL(hth_solo_room(solo), GAP * 4096);
    hth_solo_destroy(solo);
}

/* As for collective ones: a 32nd more is enough, whatever the gaps. */
static void test_all_fit(void)
{
    enum { ASKED = 64 * 420 };
    bool ok = true, used;
    for (uint64_t n = 1; n <= 64; n++) {
        struct hth_solo *solo;
        uint64_t offset;
        CU_ASSERT_EQUAL_FATAL(
            hth_solo_create(&solo, 0, (ASKED + ASKED / HTH_GAP_PART) * 4096, 4096), 0);
        for (uint64_t k = 0; k < n; k++)
            HTH_EXPECT(ok, hth_solo_alloc(solo, ASKED / n * 4096, &offset, &used) == 0);
        hth_solo_destroy(solo);
    }
    CU_ASSERT_TRUE(ok);
}

static void test_bad_arguments(void)
{
    struct hth_solo *solo;
    uint64_t offset;
    bool used;
    CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo, 4096, 8192, 4096), 0);
    CU_ASSERT_EQUAL(hth_solo_alloc(solo, 0, &offset, &used), HEARTH_EINVAL);
    CU_ASSERT_EQUAL(hth_solo_alloc(solo, UINT64_MAX, &offset, &used), HEARTH_ENOMEM);
    CU_ASSERT_EQUAL(hth_solo_alloc(solo, UINT64_MAX - 4096, &offset, &used), HEARTH_ENOMEM);
    CU_ASSERT_EQUAL(hth_solo_free(solo, 0), HEARTH_EADDR);
    CU_ASSERT_EQUAL(hth_solo_free(solo, 4096), HEARTH_EADDR);
    CU_ASSERT_EQUAL(hth_solo_free(solo, UINT64_MAX), HEARTH_EADDR);
    hth_solo_destroy(solo);
    CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo, 4096, 4096, 4096), 0);
    CU_ASSERT_EQUAL(hth_solo_room(solo), 0);
    CU_ASSERT_EQUAL(hth_solo_alloc(solo, 1, &offset, &used), HEARTH_ENOMEM);
    hth_solo_destroy(solo);
    hth_solo_destroy(NULL);
}

/* Barnes-Hut's tree: 600,000 nodes, freed in another order. */
static void test_many_nodes(void)
{
    enum { NODES = 600000 };
    struct hth_rng rng = hth_rng_of(62);
    struct hth_solo *solo;
    uint64_t *offsets = malloc(NODES * sizeof *offsets);
    bool ok = offsets != NULL, used;
    CU_ASSERT_TRUE_FATAL(ok);
    CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo, 0, (uint64_t)128 << 20, 4096), 0);
    for (size_t i = 0; i < NODES; i++)
        HTH_EXPECT(ok, hth_solo_alloc(solo, 120, &offsets[i], &used) == 0 && !used);
    for (size_t i = NODES - 1; i > 0; i--) {
        size_t j = hth_rng_below(&rng, i + 1);
        uint64_t swapped = offsets[i];
        offsets[i] = offsets[j];
        offsets[j] = swapped;
    }
    for (size_t i = 0; i < NODES; i++)
        HTH_EXPECT(ok, hth_solo_free(solo, offsets[i]) == 0);
    HTH_EXPECT(ok, hth_solo_room(solo) == (uint64_t)128 << 20);
    hth_solo_destroy(solo);
    free(offsets);
    CU_ASSERT_TRUE(ok);
}

static void test_deterministic(void)
{
    struct hth_rng rng = hth_rng_of(63);
    struct hth_solo *solo[2];
    uint64_t offsets[1000];
    size_t n = 0;
    bool ok = true;
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(hth_solo_create(&solo[i], 0, 100 * 4096, 4096), 0);
    for (int round = 0; round < 10000 && ok; round++) {
        uint64_t offset[2] = {0, 0};
        bool used[2] = {false, false};
        if (n < 1000 && hth_rng_below(&rng, 10) < 6) {
            uint64_t bytes = hth_model_random_bytes(&rng, 4096);
            int err = hth_solo_alloc(solo[0], bytes, &offset[0], &used[0]);
            HTH_EXPECT(ok, err == hth_solo_alloc(solo[1], bytes, &offset[1], &used[1]));
            HTH_EXPECT(ok, offset[0] == offset[1] && used[0] == used[1]);
            if (err == 0)
                offsets[n++] = offset[0];
        } else if (n > 0) {
            size_t i = hth_rng_below(&rng, n);
            HTH_EXPECT(ok, hth_solo_free(solo[0], offsets[i]) == 0);
            HTH_EXPECT(ok, hth_solo_free(solo[1], offsets[i]) == 0);
            offsets[i] = offsets[--n];
        }
        HTH_EXPECT(ok, hth_solo_room(solo[0]) == hth_solo_room(solo[1]));
    }
    for (int i = 0; i < 2; i++)
        hth_solo_destroy(solo[i]);
    CU_ASSERT_TRUE(ok);
}

void hth_suite_heap_solo(void)
{
    static const struct hth_unit_test tests[] = {
        {"random blocks", test_random},
        {"a share that is never reused is fresh", test_bump_is_fresh},
        {"exhaustion and recovery", test_exhaustion},
        {"gaps between large blocks", test_gaps},
        {"what was asked for fits", test_all_fit},
        {"bad arguments", test_bad_arguments},
        {"600,000 tree nodes", test_many_nodes},
        {"same calls, same answers", test_deterministic},
    };
    hth_unit_register("heap_solo", tests, sizeof tests / sizeof tests[0]);
}
