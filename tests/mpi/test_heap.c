/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that comes and goes: zero when it comes, whoever wrote there before, and no loss of
 * memory, address space or descriptors when it goes. */
#include "harness.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_zero(const void *p, size_t bytes, const char *when)
{
    size_t at = p ? ht_find_other(p, bytes, 0) : 0;

    HT_CHECKF(p && at == bytes, "%s: byte %zu of %zu is %d", when, at, bytes,
              p && at < bytes ? ((const unsigned char *)p)[at] : -1);
}

/* All PEs write garbage into all of a block, each its bytes, and read it, so that all have copies
 * in all states; then it is freed and allocated anew. */
static void reuse(struct hearth_region *region, size_t bytes, bool readers_too)
{
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe();

    for (int round = 0; round < 4; round++) {
        unsigned char *p = hearth_region_malloc(region, bytes);
        HT_CHECKF(p, "%zu bytes: %s", bytes, hearth_error_message());
        if (!ht_all(p != NULL))
            return;
        check_zero(p, bytes, round ? "reused" : "fresh");
        hearth_barrier_all();
        for (size_t i = me; i < bytes; i += n)
            p[i] = (unsigned char)(0xa5 + round);
        if (readers_too) {
            hearth_barrier_all();
            HT_EQUAL(ht_find_other(p, bytes, (unsigned char)(0xa5 + round)), bytes);
        }
        HT_EQUAL(hearth_free(p), 0);
    }
}

static void test_reuse_small(struct hearth_region *region)
{
    reuse(region, 100, true);
    reuse(region, 1, false);
    reuse(region, 3000, false);
    reuse(region, 3000, true);
}

static void test_reuse_large(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes();

    reuse(region, n * ht_page_bytes(), false);
    reuse(region, 3 * n * ht_page_bytes() + 123, true);
    reuse(region, 9 * ht_page_bytes() - 1, false);
}

enum { CHURN_SLOTS = 12, CHURN_STEPS = 120 };

/* The same random walk of mallocs and frees on all PEs. Live blocks keep what was written, new
 * ones are zero, whoever had the place before. */
static void test_churn(struct hearth_region *region)
{
    struct {
        unsigned char *p;
        size_t bytes;
        unsigned char value;
    } slots[CHURN_SLOTS] = {{NULL, 0, 0}};
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe();

    for (uint64_t step = 0; step < CHURN_STEPS; step++) {
        uint64_t h = ht_hash(step, 77, 0);
        size_t s = h % CHURN_SLOTS;
        if (slots[s].p) {
            size_t at = ht_find_other(slots[s].p, slots[s].bytes, slots[s].value);
            HT_CHECKF(at == slots[s].bytes, "step %" PRIu64 ": byte %zu of %zu", step, at,
                      slots[s].bytes);
            HT_EQUAL(hearth_free(slots[s].p), 0);
            slots[s].p = NULL;
            continue;
        }
        slots[s].bytes = 1 + (h >> 32) % (h & 256 ? 300 : 3 * n * ht_page_bytes());
        slots[s].value = (unsigned char)(1 + step);
        slots[s].p = hearth_region_malloc(region, slots[s].bytes);
        if (!ht_all(slots[s].p != NULL)) {
            HT_CHECKF(slots[s].p, "%s", hearth_error_message());
            return;
        }
        check_zero(slots[s].p, slots[s].bytes, "new in the walk");
        hearth_barrier_all();
        for (size_t i = me; i < slots[s].bytes; i += n)
            slots[s].p[i] = slots[s].value;
        hearth_barrier_all();
    }
}

static void test_calloc(struct hearth_region *none)
{
    (void)none;
    HT_CHECK(hearth_calloc(SIZE_MAX / 2, 3) == NULL);
    HT_CHECKF(strlen(hearth_error_message()) > 0, "no message");
    HT_CHECK(hearth_calloc((SIZE_MAX >> 1) + 2, 2) == NULL); /* the product is 2 */
    HT_CHECK(hearth_calloc(0, 8) == NULL);
    HT_CHECK(hearth_calloc(8, 0) == NULL);
    for (int round = 0; round < 3; round++) {
        unsigned char *p = hearth_calloc(30, 100);
        check_zero(p, 3000, "calloc");
        if (!ht_all(p != NULL))
            return;
        hearth_barrier_all();
        p[ht_pe()] = 1;
        HT_EQUAL(hearth_free(p), 0);
    }
}

enum { N_SOLO = 40 };

struct solo_block {
    unsigned char *p;
    size_t bytes;
};

static void solo_fill(struct hearth_region *region, struct solo_block *mine)
{
    for (uint64_t i = 0; i < N_SOLO; i++) {
        uint64_t h = ht_hash(i, (uint64_t)ht_pe(), 5);
        size_t bytes = 1 + h % (i % 8 == 0 ? 3 * ht_page_bytes() : 700);
        unsigned char *p = hearth_solo_malloc(region, bytes);
        HT_CHECKF(p, "%zu bytes: %s", bytes, hearth_error_message());
        if (!p)
            continue;
        HT_EQUAL((uintptr_t)p % 16, 0);
        if (bytes >= ht_page_bytes())
            HT_EQUAL((uintptr_t)p % ht_page_bytes(), 0);
        HT_EQUAL(hearth_home(p), ht_pe());
        HT_EQUAL(hearth_home(p + bytes - 1), ht_pe());
        check_zero(p, bytes, "solo, at its PE");
        mine[i].p = p;
        mine[i].bytes = bytes;
    }
}

static void solo(struct hearth_region *region)
{
    int n = ht_n_pes(), me = ht_pe();
    struct solo_block *table =
        hearth_region_malloc(region, sizeof *table * N_SOLO * (size_t)ht_n_pes());

    if (!ht_all(table != NULL))
        return;
    for (int round = 0; round < 3; round++) {
        solo_fill(region, &table[me * N_SOLO]);
        hearth_barrier_all();
        /* Everybody looks at everything, the next PE writes, and the one after that frees. */
        for (int i = 0; i < n * N_SOLO; i++)
            check_zero(table[i].p, table[i].bytes, "solo, seen by all");
        hearth_barrier_all();
        for (int i = (me + 1) % n * N_SOLO, end = i + N_SOLO; i < end; i++)
            if (table[i].p)
                memset(table[i].p, me + 1, table[i].bytes);
        hearth_barrier_all();
        int writer = (me + 1) % n, owner = (writer + 1) % n;
        for (int i = owner * N_SOLO, end = i + N_SOLO; i < end; i++) {
            if (!table[i].p)
                continue;
            size_t at = ht_find_other(table[i].p, table[i].bytes, (unsigned char)(writer + 1));
            HT_EQUAL(at, table[i].bytes);
            if (i % 3 == 0) /* written by the one that frees it, not released yet */
                memset(table[i].p, 0xee, table[i].bytes);
            HT_CHECKF(!hearth_solo_free(table[i].p), "%s", hearth_error_message());
            table[i].p = NULL;
        }
        hearth_barrier_all();
    }
    HT_EQUAL(hearth_free(table), 0);
}

static void test_solo(struct hearth_region *region)
{
    solo(region);
}

/* The capacity comes back when blocks are freed. */
static void test_whole_capacity(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes();

    for (size_t i = 0; i < 10; i++) {
        char *p = hearth_region_malloc(region, 1 << 20);
        HT_CHECKF(p, "time %zu: %s", i, hearth_error_message());
        if (!ht_all(p != NULL))
            return;
        if (i % n == (size_t)ht_pe())
            p[i * 1000] = 1;
        HT_EQUAL(hearth_free(p), 0);
        char *q = hearth_solo_malloc(region, 1 << 20);
        HT_CHECKF(q, "time %zu: %s", i, hearth_error_message());
        if (q)
            q[5] = 1;
        HT_EQUAL(hearth_solo_free(q), 0);
    }
}

static long shared_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssShmem: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static void test_memory_given_back(struct hearth_region *region)
{
    const size_t bytes = 8 << 20;
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe();
    unsigned char *p = hearth_region_malloc(region, bytes);

    if (!ht_all(p != NULL))
        return;
    long before = shared_kib();
    for (size_t i = me * (bytes / n); i < (me + 1) * (bytes / n); i += 100)
        p[i] = 1;
    hearth_barrier_all();
    long sum = 0;
    for (size_t i = 0; i < bytes; i += ht_page_bytes())
        sum += p[i];
    HT_CHECK(sum > 0);
    long full = shared_kib();
    HT_EQUAL(hearth_free(p), 0);
    long after = shared_kib();
    HT_CHECKF(full - before >= (long)(bytes >> 11), "%ld KiB before, %ld when touched", before,
              full);
    HT_CHECKF(after - before < (full - before) / 2, "%ld KiB before, %ld touched, %ld freed",
              before, full, after);
}

static long entries_of(const char *directory)
{
    long n = 0;
    DIR *d = opendir(directory);

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static long lines_of(const char *file)
{
    long n = 0;
    FILE *f = fopen(file, "r");

    for (int c = f ? getc(f) : EOF; c != EOF; c = getc(f))
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

static void use_a_little(struct hearth_region *region, int i)
{
    int n = ht_n_pes(), me = ht_pe();
    int *p = hearth_region_malloc(region, 3000 * sizeof *p);

    if (!ht_all(p != NULL))
        return;
    for (int k = me; k < 3000; k += n)
        p[k] = k + i;
    hearth_barrier_all();
    int wrong = 0;
    for (int k = 0; k < 3000; k++)
        wrong += p[k] != k + i;
    HT_EQUAL(wrong, 0);
}

static void test_thousand_regions(struct hearth_region *none)
{
    long descriptors = 0, mappings = 0;
    int n = ht_rounds(1000);

    (void)none;
    for (int i = 0; i < n; i++) {
        struct hearth_region *region = NULL;
        struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
        attr.protocol = i % 2 ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
        HT_CHECKF(!hearth_region_create(&region, 1 << 20, &attr), "time %d: %s", i,
                  hearth_error_message());
        if (!region) /* the same on all PEs, or this hangs and the watchdog says so */
            return;
        if (i % 50 < 2)
            use_a_little(region, i);
        HT_CHECKF(!hearth_region_destroy(region), "time %d: %s", i, hearth_error_message());
        if (i == n / 10) {
            descriptors = entries_of("/proc/self/fd");
            mappings = lines_of("/proc/self/maps");
        }
    }
    long descriptors_now = entries_of("/proc/self/fd"), mappings_now = lines_of("/proc/self/maps");
    HT_CHECKF(descriptors_now <= descriptors + 16, "descriptors: %ld, later %ld", descriptors,
              descriptors_now);
    HT_CHECKF(mappings_now <= mappings + 64, "mappings: %ld, later %ld", mappings, mappings_now);
}

/* A region with another protocol gets the number and the addresses of one whose pages were just
 * being fought over: nothing of the old one, such as an alarm, may reach it. */
static void test_regions_alternate(struct hearth_region *none)
{
    enum { PAGES = 4 };
    int rounds = ht_rounds(300);
    size_t page = ht_page_bytes(), n = (size_t)ht_n_pes(), me = (size_t)ht_pe();
    bool made = true;

    (void)none;
    for (int i = 1; i <= rounds && made; i++) {
        struct hearth_region *region = NULL;
        struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
        attr.consistency = i % 2 ? HEARTH_SEQUENTIAL : HEARTH_RELEASE;
        attr.protocol = i % 4 == 2 ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
        int rc = hearth_region_create(&region, PAGES * page, &attr);
        unsigned char *p = rc ? NULL : hearth_region_malloc(region, PAGES * page);
        made = p != NULL;
        HT_CHECKF(made, "time %d: %s", i, hearth_error_message());
        size_t wrong = 0;
        for (int turn = 1; made && turn <= 3; turn++) {
            for (size_t k = me; k < PAGES * page; k += n)
                p[k] = (unsigned char)(i + turn);
            if (i % 2 == 0)
                hearth_barrier_all();
            for (size_t k = me; k < PAGES * page; k += n)
                wrong += p[k] != (unsigned char)(i + turn);
        }
        HT_CHECKF(wrong == 0, "time %d: %zu bytes", i, wrong);
        HT_CHECKF(!made || !hearth_region_destroy(region), "time %d: %s", i,
                  hearth_error_message());
    }
}

static const struct ht_test tests[] = {
    {"reuse-small", test_reuse_small, HT_KINDS, 1 << 20},
    {"reuse-large", test_reuse_large, HT_KINDS, 4 << 20},
    {"churn", test_churn, HT_KINDS, 32 << 20},
    {"calloc", test_calloc, HT_ONCE, 0},
    {"solo", test_solo, HT_KINDS, 4 << 20},
    {"whole-capacity", test_whole_capacity, HT_PROTOCOLS, 1 << 20},
    {"memory-given-back", test_memory_given_back, HT_PROTOCOLS, 16 << 20},
    {"thousand-regions", test_thousand_regions, HT_ONCE, 0},
    {"regions-alternate", test_regions_alternate, HT_ONCE, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"heap", tests, sizeof tests / sizeof tests[0], false,
                                              0};

    return ht_main(argc, argv, &program);
}
