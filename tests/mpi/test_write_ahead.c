/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-ahead: a write fault next to a run of written pages makes as many more writable. The bytes
 * must be right whatever is guessed, and nothing is sent that was not written; the counters say
 * that faults were saved. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* From page EDGE on, pages are written; those before are only read. */
enum { EDGE = 8, PAGES = 200, ALL = EDGE + PAGES };

enum order { UPWARDS, DOWNWARDS, INTERLEAVED };
enum { RUNS = 25 }; /* interleaved: so many runs, one page of each in turn */

static uint64_t value(size_t page, uint64_t round)
{
    return ht_hash(page, round, 7);
}

static volatile uint64_t *page_at(void *p, size_t page)
{
    return (volatile uint64_t *)((char *)p + page * ht_page_bytes());
}

static size_t nth(enum order order, size_t i)
{
    switch (order) {
    case UPWARDS:
        return EDGE + i;
    case DOWNWARDS:
        return EDGE + PAGES - 1 - i;
    case INTERLEAVED:
        return EDGE + i % RUNS * (PAGES / RUNS) + i / RUNS;
    }
    return 0;
}

/* At the home of all pages, or at another PE. */
static void *get_at(struct hearth_region *region, int home)
{
    void *p = hearth_region_malloc(region, ALL * ht_page_bytes());
    HT_CHECKF(p, "%d pages: %s", ALL, hearth_error_message());
    if (!ht_all(p != NULL))
        return NULL;
    HT_EQUAL(hearth_place(p, ALL * ht_page_bytes(), home), 0);
    return p;
}

static void write_all(void *p, enum order order, uint64_t round)
{
    for (size_t i = 0; i < PAGES; i++) {
        size_t page = nth(order, i);
        page_at(p, page)[0] = value(page, round);
        page_at(p, page)[ht_page_bytes() / 8 - 1] = ~value(page, round);
    }
}

static void read_all(void *p, uint64_t round)
{
    size_t wrong = 0;
    for (size_t page = 0; page < ALL; page++) {
        uint64_t v = page < EDGE || round == 0 ? 0 : value(page, round);
        wrong += page_at(p, page)[0] != v;
        wrong += page_at(p, page)[ht_page_bytes() / 8 - 1] != (v == 0 ? 0 : ~v);
    }
    HT_CHECKF(wrong == 0, "%zu of %d words are wrong in round %d", wrong, 2 * ALL, (int)round);
}

/* Far fewer write faults than pages. Larger pages: fewer at once; what a window holds is bounded.
 */
static void few_faults(uint64_t faults, enum order order)
{
    uint64_t most = order == INTERLEAVED ? RUNS * 5 : 30;
    if (!ht_is_sequential() && ht_page_bytes() <= 16384)
        HT_CHECKF(faults <= most, "%llu write faults for %d pages, order %d",
                  (unsigned long long)faults, PAGES, (int)order);
}

/* Pages that the writer has read, all homed at another PE; and then such as it never touched. */
static void copies(struct hearth_region *region, enum order order)
{
    int n = ht_n_pes(), writer = n - 1;
    for (int read_before = 1; read_before >= 0; read_before--) {
        void *p = get_at(region, 0);
        if (p == NULL)
            return;
        if (read_before)
            read_all(p, 0);
        hearth_barrier_all();
        struct hearth_stats before = ht_stats(region), after;
        if (ht_pe() == writer)
            write_all(p, order, 1);
        after = ht_stats(region);
        if (ht_pe() == writer && n > 1)
            few_faults(after.write_faults - before.write_faults, order);
        hearth_barrier_all();
        after = ht_stats(region);
        if (!ht_is_sequential() && ht_pe() == writer &&
            n > 1) /* what was only guessed is not sent */
            HT_EQUAL(after.diffs - before.diffs, PAGES);
        read_all(p, 1);
        hearth_barrier_all();
        hearth_free(p);
    }
}

static void test_upwards(struct hearth_region *region)
{
    copies(region, UPWARDS);
}

static void test_downwards(struct hearth_region *region)
{
    copies(region, DOWNWARDS);
}

static void test_interleaved(struct hearth_region *region)
{
    copies(region, INTERLEAVED);
}

/* A few pages are written, and nothing is sent of what was guessed beyond them. */
static void test_in_vain(struct hearth_region *region)
{
    enum { FEW = 20 };
    int writer = ht_n_pes() - 1;
    void *p = get_at(region, 0);
    if (p == NULL)
        return;
    read_all(p, 0);
    hearth_barrier_all();
    for (uint64_t round = 1; round <= 3; round++) {
        struct hearth_stats before = ht_stats(region);
        for (size_t i = 0; i < FEW && ht_pe() == writer; i++)
            page_at(p, EDGE + i)[1] = value(i, round);
        hearth_barrier_all();
        struct hearth_stats after = ht_stats(region);
        if (!ht_is_sequential() && ht_pe() == writer && ht_n_pes() > 1)
            HT_EQUAL(after.diffs - before.diffs, FEW);
        size_t wrong = 0;
        for (size_t i = 0; i < PAGES; i++)
            wrong += page_at(p, EDGE + i)[1] != (i < FEW ? value(i, round) : 0);
        HT_EQUAL(wrong, 0);
        hearth_barrier_all();
    }
}

/* Written in every epoch, then left alone until they have cooled, then written again: at the home,
 * and at another PE. */
static void cooled(struct hearth_region *region, int writer)
{
    void *p = get_at(region, 0);
    uint64_t round = 1;
    if (p == NULL)
        return;
    for (int phase = 0; phase < 3; phase++) {
        for (int i = 0; i < 6; i++, round++) {
            struct hearth_stats before = ht_stats(region), after;
            if (ht_pe() == writer)
                write_all(p, UPWARDS, round);
            after = ht_stats(region);
            if (phase > 0 && ht_pe() == writer && ht_n_pes() > 1) {
                uint64_t faults = after.write_faults - before.write_faults;
                few_faults(faults, UPWARDS);
                HT_CHECKF(i > 0 || faults > 0, "the pages of phase %d have not cooled", phase);
            }
            hearth_barrier_all();
            read_all(p, round);
            hearth_barrier_all();
        }
        for (int i = 0; i < 80; i++) { /* the copies stay */
            if (i % 2 == 0)
                read_all(p, round - 1);
            hearth_barrier_all();
        }
    }
}

static void test_cooled_home(struct hearth_region *region)
{
    cooled(region, 0);
}

static void test_cooled_copies(struct hearth_region *region)
{
    cooled(region, ht_n_pes() - 1);
}

/* Each PE writes its words of all pages, by two threads from both ends. */
struct writing {
    void *p;
    uint64_t round;
};

static void write_words(void *arg, int index)
{
    struct writing *w = arg;
    for (size_t i = 0; i < PAGES; i++) {
        size_t page = nth(index == 0 ? UPWARDS : DOWNWARDS, i);
        page_at(w->p, page)[2 * ht_pe() + index] = value(page, w->round) + (uint64_t)ht_pe();
    }
}

static void test_threads(struct hearth_region *region)
{
    struct writing w = {get_at(region, 0), 1};
    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    int rounds = ht_is_sequential() ? 1 : 8;
    for (; w.p && w.round <= (uint64_t)rounds; w.round++) {
        ht_threads(2, write_words, &w);
        hearth_barrier_all();
        size_t wrong = 0;
        for (size_t page = EDGE; page < ALL; page++)
            for (int word = 0; word < 2 * ht_n_pes(); word++)
                wrong += page_at(w.p, page)[word] != value(page, w.round) + (uint64_t)(word / 2);
        HT_EQUAL(wrong, 0);
        hearth_barrier_all();
    }
}

/* Allocations are written to their ends over and over, by a thread, while what lies between them is
 * freed and allocated anew. */
struct neighbours {
    void *p[2];
    size_t pages;
    _Atomic bool stop;
    _Atomic size_t wrong;
};

static void *neighbour_main(void *arg)
{
    struct neighbours *n = arg;
    for (uint64_t round = 1; !atomic_load(&n->stop); round++) {
        for (size_t i = 0; i < 2 * n->pages; i++) {
            bool up = i < n->pages; /* towards the one between */
            void *p = n->p[up ? 0 : 1];
            volatile uint64_t *word =
                page_at(p, up ? i : 2 * n->pages - 1 - i) + 4 * (size_t)ht_pe();
            if (*word != (round == 1 ? 0 : value(i, round - 1)))
                atomic_fetch_add(&n->wrong, 1);
            *word = value(i, round);
        }
        for (int which = 0; which < 2; which++)
            hearth_advise(n->p[which], n->pages * ht_page_bytes(), HEARTH_DONT_NEED);
        sched_yield();
    }
    return NULL;
}

static void test_neighbours(struct hearth_region *region)
{
    struct neighbours n = {.pages = 8 * (size_t)ht_n_pes()};
    pthread_t thread;
    if (!ht_threads_allowed() || ht_is_sequential()) {
        ht_skip("MPI allows one thread at a time, or pages go to and fro");
        return;
    }
    size_t bytes = n.pages * ht_page_bytes();
    n.p[0] = hearth_region_malloc(region, bytes);
    void *between = hearth_region_malloc(region, bytes);
    n.p[1] = hearth_region_malloc(region, bytes);
    if (!ht_all(n.p[0] && between && n.p[1]))
        return;
    hearth_free(between);
    pthread_create(&thread, NULL, neighbour_main, &n);
    for (uint64_t round = 1; round <= 4; round++) {
        between = hearth_region_malloc(region, bytes);
        size_t wrong = 0;
        for (size_t i = 0; i < n.pages; i++) /* it is zero */
            wrong += page_at(between, i)[0] != 0;
        hearth_barrier_all();
        for (size_t i = 0; i < n.pages; i++)
            page_at(between, i)[4 * ht_pe()] = value(i, round) + (uint64_t)ht_pe();
        hearth_barrier_all();
        for (size_t i = 0; i < n.pages; i++)
            for (int pe = 0; pe < ht_n_pes(); pe++)
                wrong += page_at(between, i)[4 * pe] != value(i, round) + (uint64_t)pe;
        HT_EQUAL(wrong, 0);
        hearth_free(between);
    }
    atomic_store(&n.stop, true);
    pthread_join(thread, NULL);
    HT_EQUAL(n.wrong, 0);
}

#define ROOM ((size_t)32 << 20)
static const struct ht_test tests[] = {
    {"upwards", test_upwards, HT_KINDS, ROOM},
    {"downwards", test_downwards, HT_PROTOCOLS, ROOM},
    {"interleaved", test_interleaved, HT_PROTOCOLS, ROOM},
    {"in vain", test_in_vain, HT_PROTOCOLS, ROOM},
    {"cooled, home", test_cooled_home, HT_PROTOCOLS, ROOM},
    {"cooled, copies", test_cooled_copies, HT_PROTOCOLS, ROOM},
    {"threads", test_threads, HT_PROTOCOLS, ROOM},
    {"neighbours", test_neighbours, HT_KINDS, ROOM},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"write_ahead", tests, sizeof tests / sizeof tests[0],
                                              false, 60};

    unsetenv("HEARTH_CACHE_BYTES"); /* faults are counted */
    return ht_main(argc, argv, &program);
}
