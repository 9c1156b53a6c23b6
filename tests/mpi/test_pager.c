/* SPDX-License-Identifier: BSD-3-Clause */
/* Protections that alternate from page to page, 200,000 of them a PE: three times what the kernel
 * has mappings for (a tenth, where a protection takes none). Nothing may fail, no byte be lost, and
 * the program's own mappings must go on succeeding. (The pagers by themselves:
 * tests/unit/test_pager.c.) */
#include "harness.h"

#include <stdio.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES_MAX = 200000, TRIED = 2000 };

static size_t n_pages;

static uint32_t value(size_t page, uint32_t round)
{
    return (uint32_t)ht_hash(page, round, 77);
}

/* Of the allocation's pages, those that this PE is home to are first ... first + n - 1. */
static void my_share(const char *p, size_t *first_out, size_t *n_out)
{
    *first_out = 0;
    *n_out = 0;
    for (size_t i = 0; i < n_pages; i += 2) {
        if (hearth_home(p + i * PAGE) == ht_pe()) {
            *first_out = *n_out == 0 ? i : *first_out;
            *n_out = i + 2 - *first_out;
        }
    }
}

static size_t wrong_words(const char *p, size_t first, size_t end, size_t step, size_t word,
                          uint32_t round)
{
    size_t wrong = 0;
    for (size_t i = first; i < end; i += step) {
        const volatile uint32_t *page = (const void *)(p + i * PAGE);
        wrong += page[word] != value(i, round);
    }
    return wrong;
}

static void write_words(char *p, size_t first, size_t end, size_t step, size_t word, uint32_t round)
{
    for (size_t i = first; i < end; i += step) {
        volatile uint32_t *page = (void *)(p + i * PAGE);
        page[word] = value(i, round);
    }
}

static size_t mappings(void)
{
    size_t n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    for (int c; f && (c = getc(f)) != EOF;)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

/* Do pages with protections of their own take mappings, as by mprotect? */
static bool take_mappings(struct hearth_region *region)
{
    char *p = hearth_region_malloc(region, (size_t)TRIED * PAGE);
    if (!ht_all(p != NULL))
        return true;
    hearth_barrier_all();
    size_t before = mappings(), sum = 0;
    for (size_t i = 0; i < TRIED; i += 2)
        sum += ((volatile unsigned char *)p)[i * PAGE];
    HT_EQUAL(sum, 0);
    bool more = mappings() > before + TRIED / 8;
    HT_CHECK(ht_same(more));
    HT_EQUAL(hearth_free(p), 0);
    return more;
}

/* What malloc, MPI and thread stacks need. */
static bool can_map(void)
{
    enum { SOME = 200 };
    void *at[SOME];
    bool ok = true;
    for (int i = 0; i < SOME; i++) { /* every other one with other rights, so that none merge */
        at[i] = mmap(NULL, PAGE, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ok = ok && at[i] != MAP_FAILED;
    }
    for (int i = 0; i < SOME; i++)
        if (at[i] != MAP_FAILED)
            munmap(at[i], PAGE);
    return ok;
}

static void test_alternating(struct hearth_region *region)
{
    size_t first, n;
    if (ht_n_pes() != 2) {
        ht_skip("for two PEs: it takes 400 MB on each");
        return;
    }
    bool take = take_mappings(region);
    n_pages = take ? PAGES_MAX : PAGES_MAX / 10;
    size_t before = mappings();
    char *p = hearth_region_malloc(region, n_pages * PAGE);
    if (!ht_all(p != NULL))
        return;
    my_share(p, &first, &n);
    size_t other = first == 0 ? n : 0, end = first == 0 ? n_pages : first;
    HT_CHECK(n > n_pages / 2 - 4 && n < n_pages / 2 + 4);
    write_words(p, first, first + n, 2, 0, 1);
    hearth_barrier_all();

    /* The other's even pages can be read now, the odd ones not. */
    HT_EQUAL(wrong_words(p, other, end, 2, 0, 1), 0);
    HT_CHECK(can_map());
    hearth_barrier_all();
    HT_EQUAL(wrong_words(p, first, first + n, 2, 0, 1), 0);

    /* Dirty copies among clean ones; and homes that write what the other has copies of. */
    write_words(p, other, end, 8, 1, 2);
    write_words(p, first, first + n, 6, 2, 3);
    HT_CHECK(can_map());
    HT_EQUAL(wrong_words(p, other, end, 8, 1, 2), 0);
    hearth_barrier_all();
    for (int round = 0; round < 2; round++) { /* as brought here; as brought back by its home */
        HT_EQUAL(wrong_words(p, 0, n_pages, 2, 0, 1), 0);
        HT_EQUAL(wrong_words(p, other, end, 8, 1, 2), 0);
        HT_EQUAL(wrong_words(p, first, first + n, 8, 1, 2), 0);
        HT_EQUAL(wrong_words(p, other, end, 6, 2, 3), 0);
        HT_EQUAL(wrong_words(p, first, first + n, 6, 2, 3), 0);
        hearth_barrier_all();
    }
    HT_CHECK(can_map());
    HT_CHECKF(take ? mappings() < 65530 : mappings() < before + 500, "%zu mappings, before %zu",
              mappings(), before);
    HT_EQUAL(hearth_free(p), 0);
}

static const struct ht_test tests[] = {
    {"alternating", test_alternating, HT_PROTOCOLS, ((size_t)PAGES_MAX + 64) * PAGE},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"pager", tests, sizeof tests / sizeof tests[0], false,
                                              120};

    return ht_main(argc, argv, &program);
}
