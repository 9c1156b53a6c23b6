/* SPDX-License-Identifier: BSD-3-Clause */
/* Read-ahead and advice: many pages fetched at once. The bytes must be right whatever is fetched
 * when; the counters say that it was done. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { PAGES = 384 };

static uint64_t value(size_t page, uint64_t round)
{
    return ht_hash(page, round, 5);
}

static uint64_t *page_at(void *p, size_t page)
{
    return (uint64_t *)((char *)p + page * ht_page_bytes());
}

/* First and last word of every page homed here. */
static void write_mine(void *p, size_t pages, uint64_t round)
{
    for (size_t i = 0; i < pages; i++) {
        uint64_t *at = page_at(p, i);
        if (hearth_home(at) == ht_pe()) {
            at[0] = value(i, round);
            at[ht_page_bytes() / 8 - 1] = ~value(i, round);
        }
    }
}

static size_t is_wrong(void *p, size_t page, uint64_t round)
{
    const volatile uint64_t *at = page_at(p, page);
    return at[0] != value(page, round) || at[ht_page_bytes() / 8 - 1] != ~value(page, round);
}

static void *get(struct hearth_region *region, size_t pages)
{
    void *p = hearth_region_malloc(region, pages * ht_page_bytes());
    HT_CHECKF(p, "%zu pages: %s", pages, hearth_error_message());
    return ht_all(p != NULL) ? p : NULL;
}

/* --- patterns --- */

enum pattern { FORWARD, BACKWARD, STRIDED, RANDOM };

enum { SHUFFLED_MAX = 2048 };
static uint16_t shuffled[SHUFFLED_MAX];

static void shuffle(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = ht_hash(i, 1, 3) % (i + 1);
        shuffled[i] = shuffled[at];
        shuffled[at] = (uint16_t)i;
    }
}

static size_t nth(enum pattern pattern, size_t i, size_t n)
{
    switch (pattern) {
    case FORWARD:
        return i;
    case BACKWARD:
        return n - 1 - i;
    case STRIDED:
        return i % (n / 3) * 3 + i / (n / 3);
    case RANDOM:
        return shuffled[i];
    }
    return 0;
}

static struct hearth_stats read_all(struct hearth_region *region, void *p, size_t pages,
                                    enum pattern pattern, uint64_t round)
{
    struct hearth_stats before = ht_stats(region), after;
    size_t wrong = 0;
    for (size_t i = 0; i < pages; i++)
        wrong += is_wrong(p, nth(pattern, i, pages), round);
    HT_CHECKF(wrong == 0, "%zu pages of %zu are wrong in round %d, pattern %d", wrong, pages,
              (int)round, (int)pattern);
    after = ht_stats(region);
    after.read_misses -= before.read_misses;
    after.pages_fetched -= before.pages_fetched;
    after.pages_ahead -= before.pages_ahead;
    return after;
}

/* Far fewer misses than pages, the first time, and after an invalidation fewer still. */
static void in_pattern(struct hearth_region *region, enum pattern pattern)
{
    void *p = get(region, PAGES);
    for (uint64_t round = 1; p && round <= 4; round++) {
        write_mine(p, PAGES, round);
        hearth_barrier_all();
        struct hearth_stats s = read_all(region, p, PAGES, pattern, round);
        if (!ht_is_sequential())
            HT_CHECKF(s.read_misses * 4 <= s.pages_fetched + 16 * (uint64_t)ht_n_pes(),
                      "round %d: %d misses for %d pages", (int)round, (int)s.read_misses,
                      (int)s.pages_fetched);
        HT_CHECK(s.pages_ahead <= s.pages_fetched);
        hearth_barrier_all();
    }
}

static void test_forward(struct hearth_region *region)
{
    in_pattern(region, FORWARD);
}

static void test_backward(struct hearth_region *region)
{
    in_pattern(region, BACKWARD);
}

static void test_strided(struct hearth_region *region)
{
    in_pattern(region, STRIDED);
}

/* Who goes at random fetches what it reads, and little else. */
static void test_random(struct hearth_region *region)
{
    size_t pages = ((size_t)8 << 20) / ht_page_bytes();
    pages = pages < SHUFFLED_MAX ? pages : SHUFFLED_MAX;
    void *p = get(region, pages);
    shuffle(pages);
    for (uint64_t round = 1; p && round <= 2; round++) {
        write_mine(p, pages, round);
        hearth_barrier_all();
        struct hearth_stats s = read_all(region, p, pages, RANDOM, round);
        if (pages >= 2048)
            HT_CHECKF(s.pages_ahead * 4 <= s.pages_fetched, "%d of %d pages were fetched ahead",
                      (int)s.pages_ahead, (int)s.pages_fetched);
        hearth_barrier_all();
    }
}

/* The same run of pages in every round: one miss brings all of it, once that has been learnt. */
static void test_extent(struct hearth_region *region)
{
    enum { RUN = 20, FIRST = 7, ROUNDS = 8 };
    void *p = get(region, PAGES);
    int writer = 0;
    if (p == NULL)
        return;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        if (ht_pe() == writer)
            for (size_t i = FIRST; i < FIRST + RUN; i++)
                page_at(p, i)[0] = value(i, round);
        hearth_barrier_all();
        struct hearth_stats before = ht_stats(region);
        size_t wrong = 0;
        for (size_t i = FIRST; i < FIRST + RUN; i++)
            wrong += *(volatile uint64_t *)page_at(p, i) != value(i, round);
        HT_EQUAL(wrong, 0);
        struct hearth_stats after = ht_stats(region);
        if (round == ROUNDS && !ht_is_sequential() && ht_n_pes() == 2 && hearth_home(p) == writer &&
            hearth_home(page_at(p, FIRST + RUN)) == writer && ht_pe() != writer)
            HT_CHECKF(after.read_misses - before.read_misses <= 2, "%d misses for %d pages",
                      (int)(after.read_misses - before.read_misses), RUN);
        hearth_barrier_all();
    }
}

/* What was read in a sweep is brought up to date by the first acquire that is told of it, which is
 * that of the barrier behind the sweep if the home is quick. */
static void test_swept(struct hearth_region *region)
{
    enum { SWEEP = 256 };
    struct hearth_region_attr attr = *ht_attr();
    struct hearth_region *own;
    (void)region;
    attr.placement = HEARTH_HOME_FIXED;
    attr.home_pe = 0;
    HT_EQUAL(hearth_region_create(&own, (SWEEP + 4) * ht_page_bytes(), &attr), HEARTH_OK);
    void *p = get(own, SWEEP);
    struct hearth_stats before = ht_stats(own);
    for (uint64_t round = 1; p && round <= 3; round++) {
        write_mine(p, SWEEP, round);
        hearth_barrier_all();
        struct hearth_stats told = ht_stats(own);
        struct hearth_stats s = read_all(own, p, SWEEP, FORWARD, round);
        if (round == 2 && ht_pe() > 0 && attr.protocol == HEARTH_WRITE_INVALIDATE &&
            !ht_is_sequential() && ht_page_bytes() <= 16384) {
            HT_CHECKF(told.refreshes - before.refreshes >= SWEEP * 3 / 4, "%d of %d refreshed",
                      (int)(told.refreshes - before.refreshes), SWEEP);
            HT_CHECKF(s.read_misses <= 16, "%d misses", (int)s.read_misses);
        }
        before = ht_stats(own);
        hearth_barrier_all();
    }
    HT_EQUAL(hearth_region_destroy(own), HEARTH_OK);
}

/* --- threads --- */

struct reading {
    void *p;
    uint64_t round;
    _Atomic size_t wrong;
};

/* Halves from both ends, so that they meet; and all of it. */
static void read_part(void *arg, int index)
{
    struct reading *r = arg;
    for (size_t i = 0; i < PAGES; i++) {
        size_t at = index == 0 ? i : index == 1 ? PAGES - 1 - i : nth(STRIDED, i, PAGES);
        if (is_wrong(r->p, at, r->round))
            atomic_fetch_add(&r->wrong, 1);
    }
}

static void test_threads(struct hearth_region *region)
{
    struct reading r = {.p = get(region, PAGES)};
    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    for (r.round = 1; r.p && r.round <= 6; r.round++) {
        write_mine(r.p, PAGES, r.round);
        hearth_barrier_all();
        ht_threads(3, read_part, &r);
        HT_EQUAL(r.wrong, 0);
        hearth_barrier_all();
    }
}

/* Two allocations are read to their ends over and over, by a thread, while what lies between them
 * is freed and allocated anew. */
struct neighbours {
    void *p[2];
    size_t pages;
    _Atomic bool stop;
    _Atomic size_t wrong;
};

static void read_neighbours(struct neighbours *n, size_t which)
{
    for (size_t i = 0; i < n->pages; i++) {
        size_t at = which == 0 ? i : n->pages - 1 - i; /* towards the one between */
        if (is_wrong(n->p[which], at, 1))
            atomic_fetch_add(&n->wrong, 1);
    }
    hearth_advise(n->p[which], n->pages * ht_page_bytes(), HEARTH_DONT_NEED);
    sched_yield();
}

static void *neighbour_main(void *arg)
{
    struct neighbours *n = arg;
    while (!atomic_load(&n->stop)) {
        read_neighbours(n, 0);
        read_neighbours(n, 1);
    }
    return NULL;
}

static void free_and_allocate(struct hearth_region *region, size_t pages)
{
    for (uint64_t round = 2; round < 5; round++) {
        void *between = get(region, pages);
        if (between == NULL)
            return;
        size_t dirty = 0;
        for (size_t i = 0; i < pages; i++) /* it is zero */
            dirty += *(volatile uint64_t *)page_at(between, i) != 0;
        HT_EQUAL(dirty, 0);
        hearth_barrier_all();
        write_mine(between, pages, round);
        hearth_barrier_all();
        read_all(region, between, pages, FORWARD, round);
        hearth_free(between);
    }
}

static void test_neighbours(struct hearth_region *region)
{
    struct neighbours n = {.pages = 8 * (size_t)ht_n_pes()};
    pthread_t thread;
    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    n.p[0] = get(region, n.pages);
    void *between = get(region, n.pages);
    n.p[1] = get(region, n.pages);
    if (!n.p[0] || !between || !n.p[1])
        return;
    write_mine(n.p[0], n.pages, 1);
    write_mine(n.p[1], n.pages, 1);
    hearth_free(between);
    pthread_create(&thread, NULL, neighbour_main, &n);
    free_and_allocate(region, n.pages);
    atomic_store(&n.stop, true);
    pthread_join(thread, NULL);
    HT_EQUAL(n.wrong, 0);
}

/* --- advice --- */

static void test_will_read(struct hearth_region *region)
{
    void *p = get(region, PAGES);
    for (uint64_t round = 1; p && round <= 3; round++) {
        write_mine(p, PAGES, round);
        hearth_barrier_all();
        HT_EQUAL(hearth_advise(p, PAGES * ht_page_bytes(), HEARTH_WILL_READ), 0);
        struct hearth_stats s = read_all(region, p, PAGES, FORWARD, round);
        HT_EQUAL(s.read_misses, 0);
        HT_EQUAL(s.pages_fetched, 0);
        hearth_barrier_all();
    }
}

/* PE by PE in turn writes all, without a write fault. */
static void test_will_write(struct hearth_region *region)
{
    void *p = get(region, PAGES);
    for (uint64_t round = 1; p && round <= 4; round++) {
        if ((int)(round % (uint64_t)ht_n_pes()) == ht_pe()) {
            HT_EQUAL(
                hearth_advise(p, PAGES * ht_page_bytes(), HEARTH_WILL_WRITE | HEARTH_WILL_READ), 0);
            struct hearth_stats before = ht_stats(region);
            for (size_t i = 0; i < PAGES; i++) {
                uint64_t *at = page_at(p, i);
                at[0] = value(i, round);
                at[ht_page_bytes() / 8 - 1] = ~value(i, round);
            }
            struct hearth_stats after = ht_stats(region);
            HT_EQUAL(after.write_faults - before.write_faults, 0);
            HT_EQUAL(after.pages_fetched - before.pages_fetched, 0);
        }
        hearth_barrier_all();
        read_all(region, p, PAGES, BACKWARD, round);
        hearth_barrier_all();
    }
}

static unsigned char byte_of(uint64_t round, size_t i)
{
    return (unsigned char)(i * 7 + i / 251 + round * 31);
}

/* Ranges that begin and end within pages, whose other bytes belong to the neighbours. */
static void test_will_overwrite(struct hearth_region *region)
{
    size_t each = 5 * ht_page_bytes() + ht_page_bytes() / 3, n = (size_t)ht_n_pes();
    size_t pages = (n * each + ht_page_bytes() - 1) / ht_page_bytes();
    unsigned char *p = get(region, pages);
    for (uint64_t round = 1; p && round <= 6; round++) {
        size_t part = ((size_t)ht_pe() + round) % n;
        struct hearth_stats before = ht_stats(region);
        HT_EQUAL(hearth_advise(p + part * each, each, HEARTH_WILL_OVERWRITE), 0);
        for (size_t i = part * each; i < (part + 1) * each; i++)
            p[i] = byte_of(round, i);
        struct hearth_stats after = ht_stats(region);
        if (ht_attr()->protocol == HEARTH_WRITE_INVALIDATE && !ht_is_sequential())
            HT_CHECKF(after.pages_fetched - before.pages_fetched <= 2, "%d pages were fetched",
                      (int)(after.pages_fetched - before.pages_fetched));
        hearth_barrier_all();
        size_t wrong = 0;
        for (size_t i = 0; i < n * each; i++)
            wrong += p[i] != byte_of(round, i);
        HT_EQUAL(wrong, 0);
        hearth_barrier_all();
    }
}

static void test_dont_need(struct hearth_region *region)
{
    void *p = get(region, PAGES);
    if (p == NULL)
        return;
    write_mine(p, PAGES, 1);
    hearth_barrier_all();
    read_all(region, p, PAGES, FORWARD, 1);
    hearth_barrier_all();
    if (ht_pe() == ht_n_pes() - 1) /* copies that were written go home */
        for (size_t i = 0; i < PAGES; i += 2)
            page_at(p, i)[1] = i;
    HT_EQUAL(hearth_advise(p, PAGES * ht_page_bytes(), HEARTH_DONT_NEED), 0);
    hearth_barrier_all();
    struct hearth_stats s = read_all(region, p, PAGES, FORWARD, 1);
    size_t remote = 0, wrong = 0;
    for (size_t i = 0; i < PAGES; i++) {
        remote += hearth_home(page_at(p, i)) != ht_pe();
        wrong += page_at(p, i)[1] != (i % 2 == 0 ? i : 0);
    }
    HT_EQUAL(wrong, 0);
    HT_EQUAL(s.pages_fetched, remote);
}

/* Solo memory that this PE has never asked for is fetched ahead only if the program vouches for it.
 */
static void test_solo(struct hearth_region *region)
{
    uint64_t n = 24, address = 0;
    if (ht_pe() == 0) {
        char *mine = hearth_solo_malloc(region, n * ht_page_bytes());
        HT_CHECK(mine != NULL);
        for (size_t i = 0; mine && i < n; i++)
            page_at(mine, i)[0] = value(i, 9);
        address = (uint64_t)(uintptr_t)mine;
    }
    char *p = (char *)(uintptr_t)ht_from_pe0(address);
    hearth_barrier_all();
    if (!ht_all(p != NULL))
        return;
    struct hearth_stats before = ht_stats(region);
    size_t wrong = 0, half = n / 2;
    for (size_t i = 0; i < half; i++)
        wrong += page_at(p, i)[0] != value(i, 9);
    struct hearth_stats between = ht_stats(region);
    HT_EQUAL(between.pages_ahead - before.pages_ahead, 0);
    HT_EQUAL(hearth_advise(p + half * ht_page_bytes(), half * ht_page_bytes(), HEARTH_WILL_READ),
             0);
    for (size_t i = half; i < n; i++)
        wrong += page_at(p, i)[0] != value(i, 9);
    struct hearth_stats after = ht_stats(region);
    HT_EQUAL(wrong, 0);
    if (ht_pe() != 0 && !ht_is_sequential()) {
        HT_EQUAL(after.pages_ahead - between.pages_ahead, half);
        HT_EQUAL(after.read_misses - between.read_misses, 0);
    }
}

static void test_errors(struct hearth_region *region)
{
    size_t page = ht_page_bytes();
    char *p = get(region, 4 * (size_t)ht_n_pes());
    size_t bytes = 4 * (size_t)ht_n_pes() * page;
    int local = 0;
    if (p == NULL)
        return;
    HT_EQUAL(hearth_advise(p, bytes, 0), HEARTH_EINVAL);
    HT_EQUAL(hearth_advise(p, bytes, 64), HEARTH_EINVAL);
    HT_CHECK(strstr(hearth_error_message(), "0x40") != NULL);
    HT_EQUAL(hearth_advise(p, bytes, HEARTH_WILL_READ | HEARTH_DONT_NEED), HEARTH_EINVAL);
    HT_CHECK(strstr(hearth_error_message(), "HEARTH_DONT_NEED is given alone") != NULL);
    HT_EQUAL(hearth_advise(p, bytes, HEARTH_WILL_WRITE | HEARTH_WILL_OVERWRITE), HEARTH_EINVAL);
    HT_EQUAL(hearth_advise(NULL, 1, HEARTH_WILL_READ), HEARTH_EADDR);
    HT_EQUAL(hearth_advise(&local, sizeof local, HEARTH_WILL_READ), HEARTH_EADDR);
    HT_CHECK(strstr(hearth_error_message(), "not shared memory") != NULL);
    HT_EQUAL(hearth_advise(p, (size_t)-1 - (size_t)p, HEARTH_WILL_READ), HEARTH_EADDR);
    HT_EQUAL(hearth_advise(p, (size_t)-1, HEARTH_WILL_READ), HEARTH_EADDR);
    HT_EQUAL(hearth_advise(p, 0, HEARTH_WILL_READ), 0);
    HT_EQUAL(hearth_advise(p + 1, bytes - 1, HEARTH_WILL_READ), 0);
    HT_EQUAL(hearth_advise(p + 1, 1, HEARTH_DONT_NEED), 0);
    hearth_free(p);
    HT_EQUAL(hearth_advise(p, bytes, HEARTH_WILL_READ), HEARTH_EADDR);
    HT_CHECK(strstr(hearth_error_message(), "no allocation") != NULL);
}

#define ROOM ((size_t)32 << 20)
static const struct ht_test tests[] = {
    {"forward", test_forward, HT_KINDS, ROOM},
    {"backward", test_backward, HT_PROTOCOLS, ROOM},
    {"strided", test_strided, HT_PROTOCOLS, ROOM},
    {"random", test_random, HT_PROTOCOLS, ROOM},
    {"extent", test_extent, HT_PROTOCOLS, ROOM},
    {"swept", test_swept, HT_PROTOCOLS, 4 << 20},
    {"threads", test_threads, HT_PROTOCOLS, ROOM},
    {"neighbours", test_neighbours, HT_KINDS, ROOM},
    {"will read", test_will_read, HT_KINDS, ROOM},
    {"will write", test_will_write, HT_KINDS, ROOM},
    {"will overwrite", test_will_overwrite, HT_KINDS, ROOM},
    {"don't need", test_dont_need, HT_KINDS, ROOM},
    {"solo", test_solo, HT_PROTOCOLS, ROOM},
    {"errors", test_errors, HT_ONCE, ROOM},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"ahead", tests, sizeof tests / sizeof tests[0], false,
                                              60};

    return ht_main(argc, argv, &program);
}
