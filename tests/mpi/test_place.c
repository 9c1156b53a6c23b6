/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is home to what: HEARTH_HOME_FIRST_TOUCH and hearth_place(). */
#include "harness.h"

#include <stdatomic.h>
#include <string.h>

static struct hearth_region *make(enum hearth_placement placement, size_t bytes)
{
    struct hearth_region_attr attr = *ht_attr();
    struct hearth_region *region = NULL;
    attr.placement = placement;
    HT_EQUAL(hearth_region_create(&region, bytes, &attr), HEARTH_OK);
    return region;
}

static unsigned char value_of(size_t page, uint64_t round)
{
    return (unsigned char)(ht_hash(page, round, 77) % 255 + 1);
}

/* Every PE reads all bytes of all pages. */
static void check_all(const volatile unsigned char *bytes, size_t n_pages, uint64_t round)
{
    for (size_t page = 0; page < n_pages; page++) {
        size_t other = ht_find_other((const void *)(bytes + page * ht_page_bytes()),
                                     ht_page_bytes(), value_of(page, round));
        HT_CHECKF(other == ht_page_bytes(), "round %d, page %zu (home %d), byte %zu is wrong",
                  (int)round, page, hearth_home((const void *)(bytes + page * ht_page_bytes())),
                  other);
    }
}

static int toucher(size_t page, uint64_t round)
{
    return (int)(ht_hash(page, round, 5) % (uint64_t)ht_n_pes());
}

/* Each page lives where it was touched first, as all PEs know; in freed memory anew. */
static void first_touch(struct hearth_region *unused)
{
    (void)unused;
    size_t page = ht_page_bytes(), n = (size_t)ht_n_pes() * 10;
    struct hearth_region *region = make(HEARTH_HOME_FIRST_TOUCH, n * page);
    for (uint64_t round = 0; round < 3; round++) {
        unsigned char *bytes = hearth_region_malloc(region, n * page);
        HT_CHECK(bytes != NULL);
        if (bytes == NULL) {
            break;
        }
        HT_EQUAL(hearth_home(bytes + page), ht_n_pes() == 1 ? 0 : HEARTH_ESTATE);
        hearth_barrier_all();
        for (size_t i = 0; i < n; i++) {
            volatile unsigned char *at = bytes + i * page;
            if (toucher(i, round) == ht_pe()) {
                if (i % 3 == 0) { /* a read is a touch */
                    HT_EQUAL(at[5], 0);
                }
                memset((void *)at, value_of(i, round), page);
            }
        }
        hearth_barrier_all();
        for (size_t i = 0; i < n; i++) {
            HT_EQUAL(hearth_home(bytes + i * page), toucher(i, round));
        }
        check_all(bytes, n, round);
        for (size_t i = 0; i < n; i++) {
            HT_EQUAL(hearth_home(bytes + i * page + page - 1), toucher(i, round));
        }
        HT_EQUAL(hearth_free(bytes), HEARTH_OK);
    }
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

struct rush {
    volatile unsigned char *bytes;
    size_t n_pages;
    uint64_t round;
};

enum { THREADS = 3 };

/* A byte of its own in every page, in an order of its own. */
static void rush_in(void *arg, int index)
{
    struct rush *rush = arg;
    size_t me = (size_t)(ht_pe() * THREADS + index);
    for (size_t i = 0; i < rush->n_pages; i++) {
        size_t at = (i * 7 + me * 5 + rush->round) % rush->n_pages;
        rush->bytes[at * ht_page_bytes() + me] = value_of(at, me);
    }
}

/* All touch all pages at once: one of them is home, and everyone has the same. */
static void all_at_once(struct hearth_region *unused)
{
    (void)unused;
    size_t page = ht_page_bytes(), n = 37;
    int threads = ht_threads_allowed() ? THREADS : 1;
    size_t bytes_max = n * page < (size_t)ht_n_pes() * page ? (size_t)ht_n_pes() * page : n * page;
    struct hearth_region *region = make(HEARTH_HOME_FIRST_TOUCH, bytes_max);
    for (uint64_t round = 0; round < 6; round++) {
        struct rush rush = {hearth_region_malloc(region, n * page), n, round};
        HT_CHECK(rush.bytes != NULL);
        ht_threads(threads, rush_in, &rush);
        hearth_barrier_all();
        for (size_t i = 0; i < n; i++) {
            int home = hearth_home((const void *)(rush.bytes + i * page));
            HT_CHECK(home >= 0 && home < ht_n_pes());
            HT_CHECK(ht_same((uint64_t)home));
            for (int pe = 0; pe < ht_n_pes(); pe++) {
                for (int t = 0; t < threads; t++) {
                    size_t who = (size_t)(pe * THREADS + t);
                    HT_EQUAL(rush.bytes[i * page + who], value_of(i, who));
                }
            }
        }
        HT_EQUAL(hearth_free((void *)rush.bytes), HEARTH_OK);
    }
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

/* Rows that each PE initialises and then computes on: only the borders travel. */
static void jacobi(struct hearth_region *unused)
{
    (void)unused;
    size_t page = ht_page_bytes(), rows = (size_t)ht_n_pes() * 8, columns = page / sizeof(double);
    struct hearth_region *region = make(HEARTH_HOME_FIRST_TOUCH, 2 * rows * page);
    double *from = hearth_region_malloc(region, rows * page);
    double *to = hearth_region_malloc(region, rows * page);
    /* From the last PE to the first, so that blocks would be all wrong. */
    size_t first = (size_t)(ht_n_pes() - 1 - ht_pe()) * 8, end = first + 8;
    for (size_t i = first; i < end; i++) {
        for (size_t j = 0; j < columns; j++) {
            from[i * columns + j] = (double)(i * j % 17);
            to[i * columns + j] = from[i * columns + j];
        }
    }
    hearth_barrier_all();
    enum { STEPS = 4 };
    for (int step = 0; step < STEPS; step++) {
        for (size_t i = first; i < end; i++) {
            for (size_t j = 1; j + 1 < columns && i > 0 && i + 1 < rows; j++) {
                const double *at = from + i * columns + j;
                to[i * columns + j] = (at[-1] + at[1] + at[-(ptrdiff_t)columns] + at[columns]) / 4;
            }
        }
        double *swap = from;
        from = to;
        to = swap;
        hearth_barrier_all();
    }
    struct hearth_stats stats = ht_stats(region);
    HT_CHECKF(stats.pages_fetched <= 2 * STEPS, "%llu pages fetched in %d steps, of 2 borders",
              (unsigned long long)stats.pages_fetched, STEPS);
    HT_EQUAL(stats.diffs > 0 && ht_n_pes() == 1, 0);
    for (size_t i = first; i < end; i++) {
        HT_EQUAL(hearth_home(&from[i * columns]), ht_pe());
    }
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

/* Placed again and again, read and written in between, by homes and others. */
static void place_and_use(struct hearth_region *unused, enum hearth_placement placement)
{
    (void)unused;
    size_t page = ht_page_bytes(), n = (size_t)ht_n_pes() * 6 + 5;
    struct hearth_region *region = make(placement, (n + 1) * page);
    unsigned char *bytes = hearth_region_malloc(region, n * page);
    HT_CHECK(bytes != NULL);
    for (uint64_t round = 0; round < 6; round++) {
        for (size_t i = 0; i < n; i++) { /* by whoever; not released when the placing begins */
            if (toucher(i, round + 100) == ht_pe()) {
                memset(bytes + i * page, value_of(i, round), page);
            }
        }
        if (round % 2 == 0) {
            hearth_barrier_all();
            check_all(bytes, n, round); /* copies everywhere */
        }
        size_t from = ht_hash(round, 1, 1) % n, pages = 1 + ht_hash(round, 2, 2) % (n - from);
        int pe = (int)(ht_hash(round, 3, 3) % (uint64_t)ht_n_pes());
        int before = from > 0 ? hearth_home(bytes + (from - 1) * page) : 0;
        /* From within the first page to within the last. */
        HT_EQUAL(hearth_place(bytes + from * page + 3, (pages - 1) * page + 1, pe), HEARTH_OK);
        for (size_t i = from; i < from + pages; i++) {
            HT_EQUAL(hearth_home(bytes + i * page), pe);
        }
        HT_EQUAL(from > 0 ? hearth_home(bytes + (from - 1) * page) : 0, before);
        check_all(bytes, n, round);
        hearth_barrier_all();
    }
    HT_EQUAL(hearth_free(bytes), HEARTH_OK);
    bytes = hearth_region_malloc(region, n * page); /* nothing is left of it */
    HT_EQUAL(ht_find_other(bytes, n * page, 0), n * page);
    if (placement == HEARTH_HOME_BLOCK) {
        HT_EQUAL(hearth_home(bytes), 0);
        HT_EQUAL(hearth_home(bytes + (n - 1) * page), ht_n_pes() - 1);
    }
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

static void place_block(struct hearth_region *region)
{
    place_and_use(region, HEARTH_HOME_BLOCK);
}

static void place_cyclic(struct hearth_region *region)
{
    place_and_use(region, HEARTH_HOME_CYCLIC);
}

static void place_first_touch(struct hearth_region *region)
{
    place_and_use(region, HEARTH_HOME_FIRST_TOUCH);
}

/* Before anyone has touched it; small allocations, which share their pages; then under the other
 * protocols. */
static void place_untouched(struct hearth_region *unused)
{
    (void)unused;
    size_t page = ht_page_bytes(), n = (size_t)ht_n_pes() * 3;
    int last = ht_n_pes() - 1;
    struct hearth_region *region = make(HEARTH_HOME_FIRST_TOUCH, (n + 40) * page);
    unsigned char *bytes = hearth_region_malloc(region, n * page);
    unsigned char *small = hearth_region_malloc(region, 100);
    HT_EQUAL(hearth_place(bytes, n * page, last), HEARTH_OK);
    HT_EQUAL(hearth_place(small, 100, last), HEARTH_OK);
    HT_EQUAL(hearth_home(bytes), last);
    HT_EQUAL(hearth_home(small), last);
    HT_EQUAL(ht_find_other(bytes, n * page, 0), n * page);
    hearth_barrier_all();
    small[ht_pe()] = (unsigned char)(ht_pe() + 1);
    for (size_t i = 0; i < n; i++) {
        if (toucher(i, 1) == ht_pe()) {
            memset(bytes + i * page, value_of(i, 9), page);
        }
    }
    static const struct {
        enum hearth_protocol protocol;
        enum hearth_consistency consistency;
    } next[] = {{HEARTH_WRITE_UPDATE, HEARTH_RELEASE},
                {HEARTH_WRITE_INVALIDATE, HEARTH_SEQUENTIAL},
                {HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE}};
    for (int i = 0; i < 3; i++) {
        HT_EQUAL(hearth_region_set_protocol(region, next[i].protocol, next[i].consistency),
                 HEARTH_OK);
        check_all(bytes, n, 9);
        for (int pe = 0; pe < ht_n_pes(); pe++) {
            HT_EQUAL(small[pe], pe + 1);
        }
        HT_EQUAL(hearth_place(bytes + page, page, i % ht_n_pes()), HEARTH_OK);
        HT_EQUAL(hearth_home(bytes + page), i % ht_n_pes());
        HT_EQUAL(hearth_home(bytes), last);
    }
    HT_EQUAL(hearth_free(small), HEARTH_OK);
    HT_EQUAL(hearth_region_destroy(region), HEARTH_OK);
}

/* Another thread goes on in another region, and fences for all, while pages are placed. */
struct beside {
    _Atomic bool stop;
    struct hearth_lock lock;
    volatile uint64_t *sum; /* guarded by the lock */
    uint64_t mine;
};

static void placing_beside(void *arg, int index)
{
    struct beside *b = arg;
    if (index == 0) {
        place_and_use(NULL, HEARTH_HOME_BLOCK);
        atomic_store(&b->stop, true);
        return;
    }
    do {
        hearth_lock_acquire(&b->lock);
        *b->sum += 1;
        b->mine++;
        hearth_lock_release(&b->lock);
    } while (!atomic_load(&b->stop));
}

static void others_go_on(struct hearth_region *region)
{
    if (!ht_threads_allowed()) {
        ht_skip("MPI is not thread-safe here");
        return;
    }
    struct shared {
        struct hearth_lock lock;
        uint64_t sum;
    } *shared = hearth_region_malloc(region, sizeof *shared);
    if (ht_pe() == 0) {
        HT_EQUAL(hearth_lock_init(&shared->lock), HEARTH_OK);
    }
    hearth_barrier_all();
    struct beside b = {.lock = shared->lock, .sum = &shared->sum};
    ht_threads(2, placing_beside, &b);
    hearth_barrier_all();
    double all = ht_sum((double)b.mine);
    HT_CHECK((double)shared->sum == all && b.mine > 0);
    hearth_barrier_all();
    HT_EQUAL(hearth_free(shared), HEARTH_OK);
}

static void errors(struct hearth_region *region)
{
    unsigned char *bytes = hearth_region_malloc(region, 5000);
    unsigned char *solo = hearth_solo_malloc(region, 64);
    void *first = (void *)(uintptr_t)ht_from_pe0((uint64_t)(uintptr_t)solo);
    HT_EQUAL(hearth_place(bytes, 0, 0), HEARTH_EINVAL);
    HT_EQUAL(hearth_place(bytes, 5000, ht_n_pes()), HEARTH_EINVAL);
    HT_EQUAL(hearth_place(bytes, 5000, -1), HEARTH_EINVAL);
    HT_EQUAL(hearth_place(bytes, 5001, 0), HEARTH_EADDR);
    HT_EQUAL(hearth_place(bytes + 4999, 2, 0), HEARTH_EADDR);
    HT_EQUAL(hearth_place(first, 64, 0), HEARTH_EADDR);
    HT_EQUAL(hearth_place(NULL, 64, 0), HEARTH_EADDR);
    HT_EQUAL(hearth_place(bytes, SIZE_MAX, 0), HEARTH_EADDR);
    if (ht_n_pes() > 1) {
        HT_EQUAL(hearth_place(bytes, 100 + (size_t)ht_pe(), 0), HEARTH_EMISMATCH);
    }
    HT_EQUAL(hearth_place(bytes, 5000, ht_n_pes() - 1), HEARTH_OK);
    HT_EQUAL(hearth_solo_free(solo), HEARTH_OK);
    HT_EQUAL(hearth_free(bytes), HEARTH_OK);
}

static const struct ht_test tests[] = {
    {"first_touch", first_touch, HT_PROTOCOLS, 0},
    {"all_at_once", all_at_once, HT_PROTOCOLS, 0},
    {"jacobi", jacobi, HT_PROTOCOLS, 0},
    {"place_block", place_block, HT_KINDS, 0},
    {"place_cyclic", place_cyclic, HT_PROTOCOLS, 0},
    {"place_first_touch", place_first_touch, HT_KINDS, 0},
    {"place_untouched", place_untouched, HT_PROTOCOLS, 0},
    {"others_go_on", others_go_on, HT_PROTOCOLS, 65536},
    {"errors", errors, HT_PROTOCOLS, 65536},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"place", tests, sizeof tests / sizeof tests[0], false,
                                              0};
    return ht_main(argc, argv, &program);
}
