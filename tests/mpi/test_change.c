/* SPDX-License-Identifier: BSD-3-Clause */
/* hearth_region_set_protocol(): what is in a region survives, and the new protocol does its work.
 * test_random changes protocols too. */
#include "harness.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const struct way {
    const char *name;
    enum hearth_protocol protocol;
    enum hearth_consistency consistency;
} ways[3] = {
    {"invalidate", HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE},
    {"update", HEARTH_WRITE_UPDATE, HEARTH_RELEASE},
    {"sequential", HEARTH_WRITE_INVALIDATE, HEARTH_SEQUENTIAL},
};
enum { INV, UPD, SEQ };

/* Every way to every other and to itself, one after the other, beginning and ending with the
 * first. */
static const int tour[] = {UPD, UPD, SEQ, SEQ, INV, INV, SEQ, UPD, INV};
enum { TOUR = sizeof tour / sizeof tour[0] };

static int change(struct hearth_region *region, int way)
{
    return hearth_region_set_protocol(region, ways[way].protocol, ways[way].consistency);
}

/* --- what survives --- */

enum { EPOCHS = 3, SOLO_BYTES = 5000, PAGES_MAX = 128 };

/* What the PEs do with a page before a change. */
enum use {
    NOTHING,
    HOME_WRITES,  /* and nobody else looks */
    OTHER_WRITES, /* one that is not the home, at the very end: dirty, or the owner */
    ALL_READ,
    ONE_WRITES_ALL_READ, /* in every epoch */
    ALL_WRITE,           /* each its bytes */
    ALL_WRITE_AT_THE_END,
    FEW_BYTES, /* some of the PEs, some of the bytes */
    USES
};

struct stage {
    struct hearth_region *region;
    size_t page_bytes, n_pages;
    volatile unsigned char *array; /* n_pages, then one solo block for each PE */
    volatile unsigned char *solo[64];
    unsigned char *model; /* what must be in all of it */
    uint64_t round;
};

static volatile unsigned char *at(const struct stage *s, size_t page, size_t i)
{
    return page < s->n_pages ? &s->array[page * s->page_bytes + i] : &s->solo[page - s->n_pages][i];
}

static size_t bytes_of(const struct stage *s, size_t page)
{
    return page < s->n_pages ? s->page_bytes : SOLO_BYTES;
}

static void check_page(const struct stage *s, size_t page, const char *when)
{
    const unsigned char *model = s->model + page * s->page_bytes;
    for (size_t i = 0; i < bytes_of(s, page); i++)
        if (*at(s, page, i) != model[i]) {
            HT_CHECKF(false,
                      "round %" PRIu64 " %s: page %zu (home %d) byte %zu: got %d, expected %d",
                      s->round, when, page, hearth_home((const void *)at(s, page, i)), i,
                      *at(s, page, i), model[i]);
            return;
        }
    HT_CHECK(true);
}

/* The PE that writes this byte of a page now, or -1. The same on all PEs. */
static int writer(const struct stage *s, size_t page, size_t i, int epoch)
{
    uint64_t h = ht_hash(s->round, page, 1), n = (uint64_t)ht_n_pes();
    int home = hearth_home((const void *)at(s, page, 0));
    int other = (home + 1 + (int)(h >> 8) % (n > 1 ? (int)n - 1 : 1)) % (int)n;
    bool last = epoch == EPOCHS - 1;

    switch ((enum use)(h % USES)) {
    case NOTHING:
    case ALL_READ:
    case USES:
        return -1;
    case HOME_WRITES:
        return home;
    case OTHER_WRITES:
        return last ? other : -1;
    case ONE_WRITES_ALL_READ:
        return (int)((h >> 20) % n);
    case ALL_WRITE:
        return (int)((i + (size_t)epoch) % n);
    case ALL_WRITE_AT_THE_END:
        return last ? (int)(i / 3 % n) : -1;
    case FEW_BYTES:
        return ht_hash(h, i, (uint64_t)epoch) % 64 == 0 ? (int)(ht_hash(h, i, 9) % n) : -1;
    }
    return -1;
}

static bool reads(const struct stage *s, size_t page)
{
    enum use use = (enum use)(ht_hash(s->round, page, 1) % USES);
    return use == ALL_READ || use == ONE_WRITES_ALL_READ ||
           (use == ALL_WRITE && (page + (size_t)ht_pe()) % 2 == 0);
}

/* The last epoch ends without a barrier: what is to happen next must see to that. */
static void use_pages(struct stage *s, size_t n_blocks)
{
    s->round++;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (size_t page = 0; page < n_blocks; page++)
            for (size_t i = 0; i < bytes_of(s, page); i++) {
                int who = writer(s, page, i, epoch);
                unsigned char value = (unsigned char)ht_hash(s->round, page * 7 + i, 3);
                if (who == ht_pe())
                    *at(s, page, i) = value;
                if (who >= 0)
                    s->model[page * s->page_bytes + i] = value;
            }
        if (epoch + 1 == EPOCHS)
            return;
        HT_EQUAL(hearth_barrier_all(), 0);
        for (size_t page = 0; page < n_blocks; page++)
            if (reads(s, page))
                check_page(s, page, "before");
        HT_EQUAL(hearth_barrier_all(), 0);
    }
}

static bool set_stage(struct stage *s, const struct hearth_region_attr *attr)
{
    size_t n = (size_t)ht_n_pes();
    void *table = NULL;

    memset(s, 0, sizeof *s);
    HT_CHECKF(!hearth_region_create(&s->region, 8 << 20, attr), "%s", hearth_error_message());
    if (!ht_all(s->region != NULL))
        return false;
    s->page_bytes = attr->page_bytes > 4096 ? attr->page_bytes : 8192;
    s->n_pages = 3 * n + 12 < PAGES_MAX ? 3 * n + 12 : PAGES_MAX;
    s->array = hearth_region_malloc(s->region, s->n_pages * s->page_bytes);
    table = hearth_region_malloc(s->region, n * sizeof(void *));
    s->model = calloc(s->n_pages + n, s->page_bytes);
    if (!ht_all(s->array && table && s->model))
        return false;
    ((void **)table)[ht_pe()] = hearth_solo_malloc(s->region, SOLO_BYTES);
    HT_EQUAL(hearth_barrier_all(), 0);
    for (size_t pe = 0; pe < n && pe < 64; pe++)
        s->solo[pe] = ((volatile unsigned char **)table)[pe];
    return ht_all(s->solo[ht_pe()] != NULL);
}

static void survive(const struct hearth_region_attr *attr)
{
    static struct stage s;
    bool ready = set_stage(&s, attr);
    size_t n_blocks = s.n_pages + (size_t)ht_n_pes();

    for (int step = 0; ready && step < TOUR && ht_all(!ht_failed()); step++) {
        use_pages(&s, n_blocks);
        HT_CHECKF(!change(s.region, tour[step % TOUR]), "%s", hearth_error_message());
        /* Not all pages, so that some are changed again as the change left them. */
        for (size_t page = 0; page < n_blocks; page++)
            if (ht_hash(s.round, page, 5 + (uint64_t)ht_pe()) % 3 > 0)
                check_page(&s, page, ways[tour[step % TOUR]].name);
        if (step % 4 == 3) { /* twice in a row, with nothing or a little in between */
            HT_EQUAL(change(s.region, (tour[step % TOUR] + 1) % 3), 0);
            check_page(&s, (size_t)step % n_blocks, "between two changes");
            HT_EQUAL(change(s.region, tour[step % TOUR]), 0);
        }
        HT_EQUAL(hearth_barrier_all(), 0);
    }
    for (size_t page = 0; ready && page < n_blocks; page++)
        check_page(&s, page, "at the end");
    free(s.model);
    if (ht_all(s.region != NULL))
        HT_EQUAL(hearth_region_destroy(s.region), 0);
}

static void test_survival(struct hearth_region *none)
{
    static const size_t page_bytes[2] = {0, 16384};

    (void)none;
    for (int i = 0; i < 6; i++) {
        struct hearth_region_attr attr = *ht_attr();
        attr.placement = (enum hearth_placement)(i % 3);
        attr.home_pe = ht_n_pes() - 1;
        attr.page_bytes = page_bytes[i / 3];
        survive(&attr);
    }
}

/* --- pages that are fought for until the change --- */

static void test_contended(struct hearth_region *region)
{
    enum { TURNS = 60, ROUNDS = 12 };
    struct {
        _Atomic uint32_t sum;
        struct hearth_lock lock;
        uint32_t locked;
    } *shared = hearth_region_malloc(region, sizeof *shared);

    if (!ht_all(shared != NULL))
        return;
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_init(&shared->lock), 0);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        HT_EQUAL(change(region, SEQ), 0);
        struct hearth_lock lock = shared->lock;
        for (int i = 0; i < TURNS; i++)
            atomic_fetch_add(&shared->sum, 1);
        HT_EQUAL(change(region, round % 2 ? INV : UPD), 0);
        HT_EQUAL(atomic_load(&shared->sum), round * TURNS * (uint32_t)ht_n_pes());
        for (int i = 0; i < 10; i++) {
            HT_EQUAL(hearth_lock_acquire(&lock), 0);
            shared->locked++;
            HT_EQUAL(hearth_lock_release(&lock), 0);
        }
        hearth_barrier_all();
        HT_EQUAL(shared->locked, round * 10 * (uint32_t)ht_n_pes());
    }
    HT_EQUAL(change(region, SEQ), 0);
    HT_EQUAL(shared->locked, ROUNDS * 10 * ht_n_pes());
}

/* --- other regions go on --- */

struct elsewhere {
    struct hearth_region *region;
    struct hearth_lock lock;
    uint32_t *counters; /* some pages of them */
    int way;
};

enum { COUNTERS = 3000, CHANGES = 30, ADDITIONS = 60 };

static void work(void *arg, int index)
{
    struct elsewhere *all = arg;

    if (index == 0) {
        for (int i = 0; i < CHANGES; i++)
            HT_EQUAL(change(all[0].region, tour[i % TOUR]), 0);
        return;
    }
    for (int i = 0; i < ADDITIONS; i++) {
        HT_EQUAL(hearth_lock_acquire(&all[index].lock), 0);
        for (size_t k = 0; k < COUNTERS; k += 100)
            all[index].counters[k]++;
        HT_EQUAL(hearth_lock_release(&all[index].lock), 0);
    }
}

static void test_elsewhere(struct hearth_region *region)
{
    struct elsewhere all[4];
    bool ready = true;

    if (!ht_threads_allowed()) {
        ht_skip("takes threads");
        return;
    }
    for (int i = 0; i < 4; i++) {
        struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
        struct hearth_lock *lock = NULL;
        attr.protocol = ways[(i + 2) % 3].protocol;
        attr.consistency = ways[(i + 2) % 3].consistency;
        all[i] = (struct elsewhere){.region = region};
        if (i > 0)
            HT_EQUAL(hearth_region_create(&all[i].region, 1 << 20, &attr), 0);
        ready = ready && ht_all(all[i].region != NULL);
        if (ready)
            all[i].counters = hearth_region_malloc(all[i].region, COUNTERS * sizeof(uint32_t));
        lock = hearth_malloc(sizeof *lock);
        ready = ready && ht_all(all[i].counters && lock);
        if (ready && ht_pe() == 0)
            HT_EQUAL(hearth_lock_init(lock), 0);
        HT_EQUAL(hearth_barrier_all(), 0);
        if (ready)
            all[i].lock = *lock;
    }
    for (size_t k = (size_t)ht_pe(); ready && k < COUNTERS; k += (size_t)ht_n_pes())
        all[0].counters[k] = (uint32_t)k;
    HT_EQUAL(hearth_barrier_all(), 0);
    if (ready)
        ht_threads(4, work, all);
    HT_EQUAL(hearth_barrier_all(), 0);
    for (size_t k = 0; ready && k < COUNTERS; k++) {
        HT_EQUAL(all[0].counters[k], k);
        for (int i = 1; i < 4; i++)
            HT_EQUAL(all[i].counters[k], k % 100 ? 0 : ADDITIONS * ht_n_pes());
    }
    for (int i = 1; i < 4 && ready; i++)
        HT_EQUAL(hearth_region_destroy(all[i].region), 0);
}

/* --- each protocol does what it is for --- */

/* One writes a page homed at PE 0, all read it. Returns what that cost this PE. */
static struct hearth_stats share(struct hearth_region *region, volatile uint32_t *p, int epochs)
{
    static uint32_t value;
    struct hearth_stats before, after;
    uint64_t *x = (uint64_t *)&before, *y = (uint64_t *)&after;

    HT_EQUAL(p[1], value); /* all have a copy */
    HT_EQUAL(hearth_barrier_all(), 0);
    before = ht_stats(region);
    for (int i = 0; i < epochs; i++) {
        value++;
        if (ht_pe() == 0)
            p[1] = value;
        HT_EQUAL(hearth_barrier_all(), 0);
        HT_EQUAL(p[1], value);
        HT_EQUAL(hearth_barrier_all(), 0);
    }
    after = ht_stats(region);
    for (size_t i = 0; i < sizeof after / sizeof *y; i++) {
        HT_CHECKF(y[i] >= x[i], "counter %zu went from %" PRIu64 " to %" PRIu64, i, x[i], y[i]);
        y[i] -= x[i];
    }
    return after;
}

static void test_counters(struct hearth_region *region)
{
    enum { N = 5 };
    uint64_t others = (uint64_t)ht_n_pes() - 1, copies = others ? N : 0;
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    bool home = ht_pe() == 0;

    (void)region;
    attr.placement = HEARTH_HOME_FIXED;
    HT_EQUAL(hearth_region_create(&region, 1 << 20, &attr), 0);
    volatile uint32_t *p = hearth_region_malloc(region, 3 * 16384);
    if (!ht_all(p != NULL))
        return;
    for (int round = 0; round < 3; round++) {
        struct hearth_stats s = share(region, p, N);
        /* Once an epoch, by a miss or by an acquire; by that at both barriers, perhaps. */
        HT_EQUAL(s.read_misses + s.refreshes, s.pages_fetched);
        HT_CHECK(s.read_misses >= (home ? 0 : 1) && s.read_misses <= (home ? 0 : N));
        HT_CHECK(s.pages_fetched >= (home ? 0 : N) && s.pages_fetched <= (home ? 0 : 2 * N));
        /* A hot page counts as written at the second barrier of an epoch as well. */
        HT_CHECK(s.stale_notices >= (home ? N * others : 0));
        HT_CHECK(s.stale_notices <= (home ? 2 * N * others : 0));
        HT_EQUAL(s.updates + s.messages, 0);
        HT_EQUAL(change(region, UPD), 0);
        s = share(region, p, N);
        HT_EQUAL(s.read_misses + s.pages_fetched + s.stale_notices + s.invalidations, 0);
        HT_EQUAL(s.updates, home ? N * others : 0);
        HT_EQUAL(change(region, SEQ), 0);
        s = share(region, p, N);
        HT_EQUAL(s.read_misses, home ? 0 : N);
        HT_EQUAL(s.write_faults, home ? copies : 0);
        HT_EQUAL(s.updates + s.diffs + s.releases + s.acquires, 0);
        HT_EQUAL(change(region, INV), 0);
    }
    /* The same again is a barrier: copies stay. */
    for (int i = 0; i < 2; i++) { /* the home learns of the copies, and says so once */
        HT_CHECK(p[1] > 0);
        HT_EQUAL(hearth_barrier_all(), 0);
    }
    HT_CHECK(p[1] > 0);
    struct hearth_stats before = ht_stats(region);
    HT_EQUAL(change(region, INV), 0);
    HT_CHECK(p[1] > 0);
    HT_EQUAL(ht_stats(region).pages_fetched, before.pages_fetched);
    HT_EQUAL(hearth_region_destroy(region), 0);
}

/* --- errors --- */

static void fails(int got, int expected, const char *part)
{
    HT_EQUAL(got, expected);
    HT_CHECKF(strstr(hearth_error_message(), part), "no '%s' in '%s'", part,
              hearth_error_message());
}

static void test_errors(struct hearth_region *region)
{
    bool last = ht_pe() == ht_n_pes() - 1;
    struct hearth_region *gone = NULL;
    uint32_t *p = hearth_region_malloc(region, 8192);
    int local = 0;

    if (!ht_all(p != NULL))
        return;
    p[ht_pe()] = 17u + (uint32_t)ht_pe();
    fails(hearth_region_set_protocol(NULL, HEARTH_WRITE_UPDATE, HEARTH_RELEASE), HEARTH_EINVAL,
          "not a region");
    fails(change((struct hearth_region *)&local, UPD), HEARTH_EINVAL, "not a region");
    HT_EQUAL(hearth_region_create(&gone, 4096, NULL), 0);
    HT_EQUAL(hearth_region_destroy(gone), 0);
    fails(change(gone, UPD), HEARTH_EINVAL, "not a region");
    fails(hearth_region_set_protocol(region, (enum hearth_protocol)77, HEARTH_RELEASE),
          HEARTH_EINVAL, "77");
    fails(hearth_region_set_protocol(region, (enum hearth_protocol) - 1, HEARTH_RELEASE),
          HEARTH_EINVAL, "-1");
    fails(hearth_region_set_protocol(region, HEARTH_WRITE_UPDATE, (enum hearth_consistency)78),
          HEARTH_EINVAL, "78");
    fails(hearth_region_set_protocol(region, HEARTH_WRITE_UPDATE, HEARTH_SEQUENTIAL),
          HEARTH_ENOTSUP, "pdate");
    if (ht_n_pes() > 1) {
        fails(change(region, last ? UPD : INV), HEARTH_EMISMATCH, "different arguments");
        fails(change(region, last ? SEQ : INV), HEARTH_EMISMATCH, "different arguments");
        fails(change(last ? NULL : region, UPD), HEARTH_EMISMATCH, "different arguments");
        int err =
            hearth_region_set_protocol(region, last ? HEARTH_WRITE_UPDATE : 55, HEARTH_SEQUENTIAL);
        HT_EQUAL(err, HEARTH_EMISMATCH);
    }
    HT_EQUAL(hearth_barrier_all(), 0); /* nothing has changed, and all are still in step */
    for (int pe = 0; pe < ht_n_pes(); pe++)
        HT_EQUAL(p[pe], 17 + pe);
    HT_EQUAL(change(region, SEQ), 0);
    HT_CHECK(hearth_owner(p) >= 0);
    HT_EQUAL(change(region, UPD), 0);
    fails(hearth_owner(p), HEARTH_ENOTSUP, "owner");
    for (int pe = 0; pe < ht_n_pes(); pe++)
        HT_EQUAL(p[pe], 17 + pe);
}

static const struct ht_test tests[] = {
    {"survival", test_survival, HT_ONCE, 0},
    {"contended", test_contended, HT_ONCE, 1 << 20},
    {"elsewhere", test_elsewhere, HT_ONCE, 1 << 20},
    {"counters", test_counters, HT_ONCE, 0},
    {"errors", test_errors, HT_ONCE, 1 << 20},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"change", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    return ht_main(argc, argv, &program);
}
