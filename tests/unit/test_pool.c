/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool: blocks do not overlap, whatever is asked for and given back in which order, by several
 * threads; and those of a page and more lie in sequence if asked for in sequence. */
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

struct held {
    unsigned char *memory;
    size_t bytes;
    unsigned char mark;
};

static bool is_marked(const struct held *held)
{
    for (size_t i = 0; i < held->bytes; i += held->bytes < 64 ? 1 : 61) {
        if (held->memory[i] != held->mark)
            return false;
    }
    return held->memory[held->bytes - 1] == held->mark;
}

/* Get, mark, look again later, give back, at random. Returns whether all marks were there. */
static void *churn(void *seed)
{
    enum { HELD = 300, ROUNDS = 30000 };
    static const size_t sizes[] = {1, 64, 100, 4000, 4096, 4097, 16384, 70000, 262144, 300000};
    struct hth_rng rng = hth_rng_of(*(uint64_t *)seed);
    struct held *all = calloc(HELD, sizeof *all);
    bool ok = all != NULL;
    for (int round = 0; round < ROUNDS && ok; round++) {
        struct held *held = &all[hth_rng_below(&rng, HELD)];
        if (held->memory == NULL) {
            /* Seldom the large ones, so that the test stays small. */
            uint64_t n = hth_rng_below(&rng, 20) == 0 ? 10 : 6;
            held->bytes = sizes[hth_rng_below(&rng, n)];
            held->memory = hth_pool_get(held->bytes);
            held->mark = (unsigned char)hth_rng_next(&rng);
            HTH_EXPECT(ok, held->memory != NULL && ((uintptr_t)held->memory & 63) == 0);
            if (ok)
                memset(held->memory, held->mark, held->bytes);
        } else {
            HTH_EXPECT(ok, is_marked(held));
            hth_pool_put(held->memory, held->bytes);
            held->memory = NULL;
        }
    }
    for (int i = 0; i < HELD && ok; i++) {
        if (all[i].memory != NULL) {
            HTH_EXPECT(ok, is_marked(&all[i]));
            hth_pool_put(all[i].memory, all[i].bytes);
        }
    }
    free(all);
    return ok ? seed : NULL;
}

static void test_churn(void)
{
    uint64_t seed = 1;
    CU_ASSERT_PTR_NOT_NULL(churn(&seed));
}

static void test_threads(void)
{
    enum { N = 4 };
    pthread_t threads[N];
    uint64_t seeds[N];
    for (int i = 0; i < N; i++) {
        seeds[i] = 10 + (uint64_t)i;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, churn, &seeds[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        void *ok;
        pthread_join(threads[i], &ok);
        CU_ASSERT_PTR_NOT_NULL(ok);
    }
}

/* Given back in any order, pages come out upwards, and but for the border of a slab side by side.
 */
static void test_sequence(void)
{
    enum { N = 3000 };
    struct hth_rng rng = hth_rng_of(3);
    static unsigned char *pages[N];
    for (int round = 0; round < 3; round++) {
        unsigned gaps = 0;
        for (int i = 0; i < N; i++) {
            pages[i] = hth_pool_get(4096);
            CU_ASSERT_PTR_NOT_NULL_FATAL(pages[i]);
            gaps += i > 0 && pages[i] != pages[i - 1] + 4096;
        }
        CU_ASSERT_TRUE(gaps <= 4);
        for (int i = N; i > 1; i--) { /* a shuffle */
            int j = (int)hth_rng_below(&rng, (uint64_t)i);
            unsigned char *swap = pages[i - 1];
            pages[i - 1] = pages[j];
            pages[j] = swap;
        }
        for (int i = 0; i < N; i++)
            hth_pool_put(pages[i], 4096);
    }
}

void hth_suite_pool(void)
{
    static const struct hth_unit_test tests[] = {
        {"blocks in sequence", test_sequence},
        {"no two overlap", test_churn},
        {"nor by several threads", test_threads},
    };
    hth_unit_register("pool", tests, sizeof tests / sizeof tests[0]);
}
