/* SPDX-License-Identifier: BSD-3-Clause */
/* Diffs that encode would never make: apply refuses them and stays within the image. */
#include "unit.h"

#include <string.h>

#include "guarded.h"
#include "protocol/diff.h"

static size_t apply_to(size_t len, const uint8_t *diff, size_t diff_bytes)
{
    enum { GUARD = 256 };
    struct hth_guarded copy = hth_guarded_make(diff_bytes), image = hth_guarded_make(GUARD + len);
    memcpy(copy.bytes, diff, diff_bytes);
    memset(image.bytes, 0x5a, GUARD + len);
    size_t named = hth_diff_apply(copy.bytes, diff_bytes, image.bytes + GUARD, NULL, len);
    bool untouched = true;
    for (size_t i = 0; i < GUARD; i++)
        untouched = untouched && image.bytes[i] == 0x5a;
    CU_ASSERT_TRUE(untouched);
    hth_guarded_free(&copy);
    hth_guarded_free(&image);
    return named;
}

struct case_ {
    const char *what;
    size_t named, n;
    uint8_t bytes[32];
};
static const struct case_ cases[] = {
    {"nothing", 0, 0, {0}},
    {"one run", 2, 14, {1, 0, 0, 0, 1, 0, 0, 0, 0xfe, 0x0f, 1, 0, 7, 7}},
    {"beyond the end", SIZE_MAX, 14, {1, 0, 0, 0, 1, 0, 0, 0, 0xff, 0x0f, 1, 0, 7, 7}},
    {"begins at the end", SIZE_MAX, 13, {1, 0, 0, 0, 1, 0, 0, 0, 0, 0x10, 0, 0, 7}},
    {"longer than its bytes", SIZE_MAX, 13, {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 7}},
    {"shorter than its bytes", SIZE_MAX, 14, {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 7}},
    {"more runs than said", SIZE_MAX, 18, {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 9, 0, 0, 0, 7}},
    {"fewer runs than said", SIZE_MAX, 13, {1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7}},
    {"two runs that touch", SIZE_MAX, 18, {1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 0, 7}},
    {"two runs", 2, 18, {1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 2, 0, 0, 0, 7}},
    {"runs that descend", SIZE_MAX, 18, {1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 7, 2, 0, 0, 0, 7}},
    {"no runs", SIZE_MAX, 8, {1, 0, 0, 0, 0, 0, 0, 0}},
    {"wide runs for a small image",
     SIZE_MAX,
     17,
     {2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}},
    {"runs with a first block", SIZE_MAX, 13, {1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7}},
    {"mask", 2, 18, {3, 63, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 7, 7}},
    {"mask beyond the end",
     SIZE_MAX,
     18,
     {3, 64, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 7, 7}},
    {"mask far beyond the end",
     SIZE_MAX,
     18,
     {3, 255, 255, 255, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 7, 7}},
    {"mask with too many blocks",
     SIZE_MAX,
     18,
     {3, 1, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0x80, 7, 7}},
    {"mask longer than the diff",
     SIZE_MAX,
     18,
     {3, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 7, 7}},
    {"mask with a byte too few",
     SIZE_MAX,
     17,
     {3, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 7}},
    {"mask with a byte too many",
     SIZE_MAX,
     19,
     {3, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 7, 7, 7}},
    {"mask that names nothing", SIZE_MAX, 16, {3, 1, 0, 0, 1, 0, 0, 0}},
    {"unknown kind", SIZE_MAX, 14, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 7, 7}},
    {"half a header", SIZE_MAX, 5, {1, 0, 0, 0, 1}},
};

static void test_malformed_by_hand(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool as_expected = apply_to(4096, cases[i].bytes, cases[i].n) == cases[i].named;
        if (!as_expected)
            CU_FAIL(cases[i].what);
        CU_ASSERT_TRUE(as_expected);
    }
}

static void test_malformed_wide_runs(void)
{
    enum { LEN = 131072 };
    uint8_t diff[18] = {2, 0, 0, 0, 1, 0, 0, 0, 0xfe, 0xff, 1, 0, 1, 0, 0, 0, 7, 7};
    CU_ASSERT_EQUAL(apply_to(LEN, diff, 18), 2);
    CU_ASSERT_EQUAL(apply_to(LEN, diff, 17), SIZE_MAX);
    CU_ASSERT_EQUAL(apply_to(LEN, diff, 15), SIZE_MAX);
    diff[8] = 0xff; /* one byte beyond the end */
    CU_ASSERT_EQUAL(apply_to(LEN, diff, 18), SIZE_MAX);
    memset(diff + 8, 0xff, 8); /* far beyond, 4 GiB long */
    CU_ASSERT_EQUAL(apply_to(LEN, diff, 18), SIZE_MAX);
    memset(diff + 8, 0, 4); /* 4 GiB long */
    CU_ASSERT_EQUAL(apply_to(LEN, diff, 18), SIZE_MAX);
    diff[0] = 1; /* narrow runs for a large image */
    CU_ASSERT_EQUAL(apply_to(LEN, diff, 18), SIZE_MAX);
}

static void test_malformed_at_random(void)
{
    enum { LEN = 4096 };
    struct hth_rng rng = hth_rng_of(7);
    static uint8_t now[LEN], base[LEN], mask[LEN / 8], diff[HTH_DIFF_BYTES_MAX(LEN)];
    bool ok = true;
    hth_randomise(&rng, base, LEN);
    for (int round = 0; round < 3000 && ok; round++) {
        uint64_t gap = 1 + hth_rng_below(&rng, round % 2 ? 8 : 300);
        memcpy(now, base, LEN);
        for (size_t i = hth_rng_below(&rng, gap); i < LEN; i += 1 + hth_rng_below(&rng, gap))
            now[i] ^= (uint8_t)(1 + hth_rng_below(&rng, 255));
        size_t runs = hth_diff_compare(now, base, LEN, mask);
        size_t n = hth_diff_encode(now, mask, runs, LEN, diff);
        size_t cut = hth_rng_below(&rng, n + 1);
        if (cut > 0 && cut < n)
            HTH_EXPECT(ok, apply_to(LEN, diff, cut) == SIZE_MAX);
        for (uint64_t flips = 1 + hth_rng_below(&rng, 3); flips > 0; flips--)
            diff[hth_rng_below(&rng, flips == 1 ? 12 : n)] ^=
                (uint8_t)(1u << hth_rng_below(&rng, 8));
        size_t named = apply_to(LEN, diff, n);
        HTH_EXPECT(ok, named == SIZE_MAX || named <= LEN);
    }
    CU_ASSERT_TRUE(ok);
}

void hth_suite_diff_malformed(void)
{
    static const struct hth_unit_test tests[] = {
        {"by hand", test_malformed_by_hand},
        {"wide runs by hand", test_malformed_wide_runs},
        {"at random", test_malformed_at_random},
    };
    hth_unit_register("diff_malformed", tests, sizeof tests / sizeof tests[0]);
}
