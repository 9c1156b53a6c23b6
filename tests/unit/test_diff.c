/* SPDX-License-Identifier: BSD-3-Clause */
/* The diff codec against a naive one that looks at each byte. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "guarded.h"
#include "protocol/diff.h"
#include "protocol/diff_mask.h"

/* What is to be found about two images. */
struct truth {
    size_t named, runs, first_block, end_block;
};

static struct truth naive_truth(const uint8_t *now, const uint8_t *base, size_t len)
{
    struct truth t = {0, 0, 0, 0};
    for (size_t i = 0; i < len; i++) {
        if (now[i] == base[i])
            continue;
        if (t.named++ == 0)
            t.first_block = i / 64;
        t.end_block = i / 64 + 1;
        if (i == 0 || now[i - 1] == base[i - 1])
            t.runs++;
    }
    return t;
}

static size_t naive_encoded_bytes(const struct truth *t, size_t len)
{
    size_t runs = t->runs * (len <= 65536 ? 4 : 8), mask = 8 * (t->end_block - t->first_block);
    if (t->named == 0)
        return 0;
    return 8 + t->named + (runs <= mask ? runs : mask);
}

/* After applying to an image that held `before`, it must hold `now` where now and base differ and
 * else what it held. */
static bool applied_right(const uint8_t *image, const uint8_t *before, const uint8_t *now,
                          const uint8_t *base, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (image[i] != (now[i] != base[i] ? now[i] : before[i]))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* One pair of images, checked every way                                                      */

struct bench {
    size_t len;
    struct hth_guarded now, base, image, second, out, tight;
    uint8_t *before_image, *before_second;
};

static struct bench bench_make(size_t len)
{
    struct bench b = {.len = len};
    b.now = hth_guarded_make(len);
    b.base = hth_guarded_make(len);
    b.image = hth_guarded_make(len);
    b.second = hth_guarded_make(len);
    b.out = hth_guarded_make(HTH_DIFF_BYTES_MAX(len));
    b.tight = hth_guarded_make(HTH_DIFF_BYTES_MAX(len));
    b.before_image = malloc(len);
    b.before_second = malloc(len);
    if (b.before_image == NULL || b.before_second == NULL)
        abort();
    return b;
}

static void bench_free(struct bench *b)
{
    hth_guarded_free(&b->now);
    hth_guarded_free(&b->base);
    hth_guarded_free(&b->image);
    hth_guarded_free(&b->second);
    hth_guarded_free(&b->out);
    hth_guarded_free(&b->tight);
    free(b->before_image);
    free(b->before_second);
}

/* Moves the diff to where its end is the end of memory. */
static const uint8_t *tight_diff(struct bench *b, size_t diff_bytes)
{
    uint8_t *tight = b->tight.bytes + HTH_DIFF_BYTES_MAX(b->len) - diff_bytes;
    memcpy(tight, b->out.bytes, diff_bytes);
    return tight;
}

static size_t encode(struct bench *b)
{
    struct hth_guarded mask = hth_guarded_make(HTH_DIFF_MASK_BYTES(b->len));
    size_t runs = hth_diff_compare(b->now.bytes, b->base.bytes, b->len, mask.bytes);
    size_t n = hth_diff_encode(b->now.bytes, mask.bytes, runs, b->len, b->out.bytes);
    hth_guarded_free(&mask);
    return n;
}

static bool check_codec(struct bench *b, struct hth_rng *rng)
{
    bool ok = true;
    struct truth t = naive_truth(b->now.bytes, b->base.bytes, b->len);
    size_t n = encode(b);
    HTH_EXPECT(ok, n <= HTH_DIFF_BYTES_MAX(b->len));
    HTH_EXPECT(ok, n == naive_encoded_bytes(&t, b->len));

    const uint8_t *diff = tight_diff(b, n);
    hth_randomise(rng, b->before_image, b->len);
    hth_randomise(rng, b->before_second, b->len);
    memcpy(b->image.bytes, b->before_image, b->len);
    memcpy(b->second.bytes, b->before_second, b->len);
    bool both = hth_rng_below(rng, 2) == 0;
    size_t named = hth_diff_apply(diff, n, b->image.bytes, both ? b->second.bytes : NULL, b->len);
    HTH_EXPECT(ok, named == t.named);
    HTH_EXPECT(ok,
               applied_right(b->image.bytes, b->before_image, b->now.bytes, b->base.bytes, b->len));
    HTH_EXPECT(ok, both ? applied_right(b->second.bytes, b->before_second, b->now.bytes,
                                        b->base.bytes, b->len)
                        : memcmp(b->second.bytes, b->before_second, b->len) == 0);

    memcpy(b->image.bytes, b->base.bytes, b->len);
    (void)hth_diff_apply(diff, n, b->image.bytes, NULL, b->len);
    HTH_EXPECT(ok, memcmp(b->image.bytes, b->now.bytes, b->len) == 0);
    return ok;
}

static bool check_take(struct bench *b, unsigned isa, const uint8_t *mask, size_t runs)
{
    bool ok = true;
    struct hth_guarded again = hth_guarded_make(HTH_DIFF_MASK_BYTES(b->len));
    memcpy(b->second.bytes, b->base.bytes, b->len);
    HTH_EXPECT(ok, hth_diff_mask_take(isa, b->now.bytes, b->second.bytes, b->len / 64,
                                      again.bytes) == runs);
    HTH_EXPECT(ok, memcmp(again.bytes, mask, HTH_DIFF_MASK_BYTES(b->len)) == 0);
    HTH_EXPECT(ok, memcmp(b->second.bytes, b->now.bytes, b->len) == 0);
    hth_guarded_free(&again);
    return ok;
}

static bool check_merge(struct bench *b, struct hth_rng *rng, unsigned isa)
{
    bool ok = true;
    hth_randomise(rng, b->before_image, b->len);
    memcpy(b->image.bytes, b->before_image, b->len);
    memcpy(b->second.bytes, b->base.bytes, b->len);
    hth_diff_mask_merge(isa, b->now.bytes, b->second.bytes, b->len / 64, b->image.bytes);
    HTH_EXPECT(ok, memcmp(b->second.bytes, b->now.bytes, b->len) == 0);
    HTH_EXPECT(ok,
               applied_right(b->image.bytes, b->before_image, b->now.bytes, b->base.bytes, b->len));
    return ok;
}

/* The same for each form of the inner loops, of which check_codec() uses the best only. */
static bool check_loops(struct bench *b, struct hth_rng *rng)
{
    bool ok = true;
    size_t blocks = b->len / 64;
    struct truth t = naive_truth(b->now.bytes, b->base.bytes, b->len);
    for (unsigned isa = 0; isa <= (unsigned)hth_diff_isa_best(); isa++) {
        struct hth_guarded mask = hth_guarded_make(8 * blocks),
                           bytes = hth_guarded_make(64 * blocks + 8);
        size_t runs = hth_diff_mask(isa, b->now.bytes, b->base.bytes, blocks, mask.bytes);
        HTH_EXPECT(ok, runs == t.runs && hth_diff_runs(mask.bytes, b->len) == runs);
        HTH_EXPECT(ok, check_take(b, isa, mask.bytes, runs));
        HTH_EXPECT(ok, check_merge(b, rng, isa));
        size_t named = hth_diff_pack(isa, b->now.bytes, mask.bytes, blocks, bytes.bytes);
        HTH_EXPECT(ok, named == t.named);
        uint8_t *tight = bytes.bytes + 64 * blocks + 8 - named;
        memmove(tight, bytes.bytes, named);
        hth_randomise(rng, b->before_image, b->len);
        memcpy(b->image.bytes, b->before_image, b->len);
        hth_diff_unpack(isa, b->image.bytes, mask.bytes, blocks, tight);
        HTH_EXPECT(ok, applied_right(b->image.bytes, b->before_image, b->now.bytes, b->base.bytes,
                                     b->len));
        hth_guarded_free(&mask);
        hth_guarded_free(&bytes);
    }
    return ok;
}

static bool check(struct bench *b, struct hth_rng *rng)
{
    return check_codec(b, rng) && check_loops(b, rng);
}

/* ------------------------------------------------------------------------------------------ */
/* Tests                                                                                      */

static void change(struct bench *b, size_t i, struct hth_rng *rng)
{
    b->now.bytes[i] = b->base.bytes[i] ^ (uint8_t)(1 + hth_rng_below(rng, 255));
}

static void same(struct bench *b)
{
    memcpy(b->now.bytes, b->base.bytes, b->len);
}

static const size_t sizes[] = {64, 128, 192, 1024, 4096, 8192, 65536, 65536 + 64, 262144};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static void test_densities(void)
{
    static const unsigned per_64k[] = {1,    16,    256,   1024,  2048, 4096,
                                       8192, 16384, 32768, 60000, 65530};
    struct hth_rng rng = hth_rng_of(1);
    bool ok = true;
    for (size_t s = 0; s < N_SIZES && ok; s++) {
        struct bench b = bench_make(sizes[s]);
        unsigned rounds = sizes[s] <= 8192 ? 20 : 2;
        hth_randomise(&rng, b.base.bytes, b.len);
        for (size_t d = 0; d < rounds * sizeof per_64k / sizeof per_64k[0] && ok; d++) {
            same(&b);
            for (size_t i = 0; i < b.len; i++) {
                if (hth_rng_below(&rng, 65536) < per_64k[d / rounds])
                    change(&b, i, &rng);
            }
            ok = check(&b, &rng);
        }
        bench_free(&b);
    }
    CU_ASSERT_TRUE(ok);
}

/* Stretches that differ and stretches that do not, of random lengths. */
static void test_stretches(void)
{
    struct hth_rng rng = hth_rng_of(2);
    bool ok = true;
    for (size_t s = 0; s < N_SIZES && ok; s++) {
        struct bench b = bench_make(sizes[s]);
        hth_randomise(&rng, b.base.bytes, b.len);
        for (int round = 0; round < (sizes[s] <= 8192 ? 100 : 5) && ok; round++) {
            uint64_t changed_max = 1 + hth_rng_below(&rng, 400);
            uint64_t kept_max = 1 + hth_rng_below(&rng, 400);
            same(&b);
            for (size_t i = hth_rng_below(&rng, kept_max); i < b.len;) {
                size_t end = i + 1 + hth_rng_below(&rng, changed_max);
                for (; i < end && i < b.len; i++)
                    change(&b, i, &rng);
                i += 1 + hth_rng_below(&rng, kept_max);
            }
            ok = check(&b, &rng);
        }
        bench_free(&b);
    }
    CU_ASSERT_TRUE(ok);
}

static void test_patterns(void)
{
    struct hth_rng rng = hth_rng_of(3);
    bool ok = true;
    for (size_t s = 0; s < N_SIZES && ok; s++) {
        struct bench b = bench_make(sizes[s]);
        hth_randomise(&rng, b.base.bytes, b.len);
        same(&b);
        ok = check(&b, &rng) && encode(&b) == 0;
        for (size_t i = 0; i < b.len; i++)
            change(&b, i, &rng);
        ok = ok && check(&b, &rng);
        for (size_t period = 1; period <= 64 && ok; period *= 2) {
            same(&b);
            for (size_t i = 0; i < b.len; i++) {
                if (i / period % 2)
                    change(&b, i, &rng);
            }
            ok = check(&b, &rng);
        }
        same(&b); /* doubles that change a little: low bytes */
        for (size_t i = 0; i < b.len; i += 8) {
            for (size_t j = 0; j < 2 + hth_rng_below(&rng, 6); j++)
                change(&b, i + j, &rng);
        }
        ok = ok && check(&b, &rng);
        bench_free(&b);
    }
    CU_ASSERT_TRUE(ok);
}

/* One byte, and one run of each length up to 130, at each place of a small image. */
static void test_every_offset(void)
{
    struct hth_rng rng = hth_rng_of(4);
    struct bench b = bench_make(256);
    bool ok = true;
    hth_randomise(&rng, b.base.bytes, b.len);
    for (size_t i = 0; i < b.len && ok; i++) {
        for (size_t run = 1; run <= 130 && i + run <= b.len && ok; run++) {
            same(&b);
            for (size_t j = i; j < i + run; j++)
                change(&b, j, &rng);
            ok = run <= 70 ? check_codec(&b, &rng) : check(&b, &rng);
        }
    }
    bench_free(&b);
    CU_ASSERT_TRUE(ok);
}

static void test_huge_page(void)
{
    struct hth_rng rng = hth_rng_of(5);
    struct bench b = bench_make((size_t)2 << 20);
    hth_randomise(&rng, b.base.bytes, b.len);
    same(&b);
    for (int i = 0; i < 50; i++)
        change(&b, hth_rng_below(&rng, b.len), &rng);
    change(&b, b.len - 1, &rng);
    bool ok = check(&b, &rng);
    for (size_t i = 0; i < b.len; i += 1 + hth_rng_below(&rng, 30))
        change(&b, i, &rng);
    ok = ok && check(&b, &rng);
    for (size_t i = 0; i < b.len; i++)
        change(&b, i, &rng);
    ok = ok && check(&b, &rng);
    bench_free(&b);
    CU_ASSERT_TRUE(ok);
}

static void test_next_run(void)
{
    struct hth_rng rng = hth_rng_of(6);
    bool ok = true;
    for (int round = 0; round < 300 && ok; round++) {
        size_t len = 64 * hth_rng_below(&rng, 50);
        struct hth_guarded mask = hth_guarded_make(HTH_DIFF_MASK_BYTES(len));
        bool set = hth_rng_below(&rng, 2);
        uint64_t stretch = 1 + hth_rng_below(&rng, 1500);
        memset(mask.bytes, 0, HTH_DIFF_MASK_BYTES(len));
        for (size_t i = 0; i < len; i++) {
            if (hth_rng_below(&rng, stretch) == 0)
                set = !set;
            mask.bytes[i / 8] |= (uint8_t)(set << i % 8);
        }
        size_t start, end = 0;
        for (size_t i = 0; ok; i = end) {
            while (i < len && !(mask.bytes[i / 8] >> i % 8 & 1))
                i++;
            bool found = hth_diff_next_run(mask.bytes, len, &start, &end);
            HTH_EXPECT(ok, found == (i < len) && start == i);
            if (!found)
                break;
            while (i < len && mask.bytes[i / 8] >> i % 8 & 1)
                i++;
            HTH_EXPECT(ok, end == i);
        }
        hth_guarded_free(&mask);
    }
    CU_ASSERT_TRUE(ok);
}

/* ------------------------------------------------------------------------------------------ */
/* Of what another thread is writing, the mask and the base tell the same                     */

struct neighbour {
    uint8_t *image;
    const uint8_t *named; /* not 0: the diff's byte */
    atomic_bool stop;
    uint64_t lost;
};

static void *write_all(void *arg)
{
    struct neighbour *n = arg;
    volatile uint8_t *image = n->image;
    for (uint8_t value = 1; !atomic_load_explicit(&n->stop, memory_order_relaxed); value++) {
        for (size_t i = 0; i < 4096; i++)
            image[i] = value;
    }
    return NULL;
}

static void test_take_beside_writers(void)
{
    struct bench b = bench_make(4096);
    uint8_t mask[512];
    size_t torn = 0, named = 0;
    memset(b.base.bytes, 0, b.len);
    for (unsigned isa = 0; isa <= (unsigned)hth_diff_isa_best(); isa++) {
        struct neighbour neighbour = {.image = b.now.bytes};
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_all, &neighbour), 0);
        for (int round = 0; round < 3000; round++) {
            memcpy(b.before_second, b.base.bytes, b.len);
            hth_diff_mask_take(isa, b.now.bytes, b.base.bytes, 64, mask);
            for (size_t i = 0; i < b.len; i++) {
                bool set = mask[i / 8] >> i % 8 & 1;
                named += set;
                torn += set != (b.base.bytes[i] != b.before_second[i]);
            }
        }
        atomic_store(&neighbour.stop, true);
        pthread_join(thread, NULL);
    }
    CU_ASSERT_EQUAL(torn, 0);
    CU_ASSERT_TRUE(named > 0);
    bench_free(&b);
}

/* ------------------------------------------------------------------------------------------ */
/* Bytes that a diff does not name belong to other threads                                    */

static void *write_neighbours(void *arg)
{
    struct neighbour *n = arg;
    volatile uint8_t *image = n->image;
    for (uint8_t value = 1; !atomic_load_explicit(&n->stop, memory_order_relaxed); value++) {
        for (size_t i = 0; i < 4096; i++) {
            if (n->named[i] == 0)
                image[i] = value;
        }
        for (size_t i = 0; i < 4096; i++)
            n->lost += n->named[i] == 0 && image[i] != value;
    }
    return NULL;
}

static void test_apply_beside_writers(void)
{
    struct hth_rng rng = hth_rng_of(8);
    struct bench b = bench_make(4096);
    uint8_t named[4096], mask[512];
    hth_randomise(&rng, b.base.bytes, b.len);
    same(&b);
    for (size_t i = 0; i < b.len; i++) {
        if (hth_rng_below(&rng, 2))
            change(&b, i, &rng);
        named[i] = b.now.bytes[i] != b.base.bytes[i];
    }
    size_t n = encode(&b);
    for (unsigned isa = 0; isa <= (unsigned)hth_diff_isa_best(); isa++) {
        struct neighbour neighbour = {.image = b.image.bytes, .named = named};
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_neighbours, &neighbour), 0);
        hth_diff_mask(isa, b.now.bytes, b.base.bytes, 64, mask);
        for (int i = 0; i < 20000; i++)
            hth_diff_unpack(isa, b.image.bytes, mask, 64, b.out.bytes + 8 + 512);
        for (int i = 0; i < 20000; i++) {
            memcpy(b.second.bytes, b.base.bytes, b.len);
            hth_diff_mask_merge(isa, b.now.bytes, b.second.bytes, 64, b.image.bytes);
        }
        for (int i = 0; i < 20000; i++)
            (void)hth_diff_apply(b.out.bytes, n, b.image.bytes, NULL, b.len);
        atomic_store(&neighbour.stop, true);
        pthread_join(thread, NULL);
        CU_ASSERT_EQUAL(neighbour.lost, 0);
    }
    bench_free(&b);
}

void hth_suite_diff(void)
{
    static const struct hth_unit_test tests[] = {
        {"random bytes of many densities", test_densities},
        {"random stretches", test_stretches},
        {"patterns: none, all, alternating, doubles", test_patterns},
        {"one run of each length at each offset", test_every_offset},
        {"a page of 2 MiB", test_huge_page},
        {"runs of a mask", test_next_run},
        {"take reads each byte once", test_take_beside_writers},
        {"apply and merge write only the bytes they name", test_apply_beside_writers},
    };
    hth_unit_register("diff", tests, sizeof tests / sizeof tests[0]);
}
