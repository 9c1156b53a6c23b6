/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages that are written again and again: no faults once that is known, and every byte right while
 * they stay writable, while they cool, when they are told stale, and when other threads of the PE
 * write during a release. */
#include "harness.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define PAGES 20u
#define WARM  10u

static unsigned char byte_of(uint64_t epoch, size_t i)
{
    return (unsigned char)(i * 131 + epoch * 17 + (i >> 8));
}

static unsigned char *get(struct hearth_region *region, size_t bytes)
{
    unsigned char *p = hearth_region_malloc(region, bytes);

    HT_CHECKF(p, "%zu bytes: %s", bytes, hearth_error_message());
    return ht_all(p != NULL) ? p : NULL;
}

static void fill(unsigned char *p, size_t bytes, uint64_t epoch)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = byte_of(epoch, i);
}

static void check(const unsigned char *p, size_t bytes, uint64_t epoch)
{
    size_t first = bytes;

    for (size_t i = bytes; i-- > 0;)
        if (p[i] != byte_of(epoch, i))
            first = i;
    HT_CHECKF(first == bytes, "epoch %llu, byte %zu: got %d", (unsigned long long)epoch, first,
              p[first == bytes ? 0 : first]);
}

/* One PE writes all of the pages, the others read them: after a few epochs nobody faults to write,
 * whoever is home. */
static void produce(struct hearth_region *region, int home, int producer)
{
    struct hearth_region_attr attr = *ht_attr();
    size_t bytes = PAGES * ht_page_bytes();
    struct hearth_region *own = NULL;
    struct hearth_stats before = {0};
    uint64_t faults, misses;

    (void)region;
    attr.placement = HEARTH_HOME_FIXED;
    attr.home_pe = home;
    HT_EQUAL(hearth_region_create(&own, bytes, &attr), HEARTH_OK);
    unsigned char *p = get(own, bytes);
    for (uint64_t epoch = 0; p && epoch < WARM + 12; epoch++) {
        if (epoch == WARM)
            before = ht_stats(own);
        if (ht_pe() == producer)
            fill(p, bytes, epoch);
        hearth_barrier_all();
        if (ht_pe() != producer)
            check(p, bytes, epoch);
        hearth_barrier_all();
    }
    faults = ht_stats(own).write_faults - before.write_faults;
    misses = ht_stats(own).read_misses - before.read_misses;
    HT_CHECKF(faults == 0, "%llu write faults in steady state, home %d, producer %d",
              (unsigned long long)faults, home, producer);
    if (attr.protocol == HEARTH_WRITE_UPDATE)
        HT_EQUAL(misses, 0);
    HT_EQUAL(hearth_region_destroy(own), HEARTH_OK);
}

static void test_no_faults(struct hearth_region *region)
{
    int last = ht_n_pes() - 1;

    if (ht_attr()->consistency == HEARTH_SEQUENTIAL)
        return ht_skip("nothing is released");
    produce(region, 0, 0);
    produce(region, last, 0);
    produce(region, 0, last);
}

/* Hot pages that are left alone are diffed a few times, and then no more; written again, they are
 * noticed. */
static void test_cooling(struct hearth_region *region)
{
    size_t bytes = PAGES * ht_page_bytes();
    unsigned char *p = get(region, bytes);

    for (uint64_t round = 1; p && round <= 4; round++) {
        for (uint64_t epoch = 0; epoch < 4; epoch++) {
            if (ht_pe() == (int)(round % (uint64_t)ht_n_pes()))
                fill(p, bytes, round * 10 + epoch);
            hearth_barrier_all();
            check(p, bytes, round * 10 + epoch);
            hearth_barrier_all();
        }
        for (unsigned idle = 0; idle < 33 + round;
             idle++) /* a home tells 31 times in vain at most */
            hearth_barrier_all();
        struct hearth_stats before = ht_stats(region);
        for (unsigned idle = 0; idle < 4; idle++)
            hearth_barrier_all();
        struct hearth_stats after = ht_stats(region);
        HT_EQUAL(after.stale_notices - before.stale_notices, 0);
        HT_EQUAL(after.bytes_out - before.bytes_out, 0);
        check(p, bytes, round * 10 + 3);
        hearth_barrier_all();
    }
}

/* Alternate words by different PEs: hundreds of runs a page, all pages told stale in every epoch.
 */
static void test_alternate_words(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), words = PAGES * ht_page_bytes() / 8, me = (size_t)ht_pe();
    uint64_t *p = (uint64_t *)(void *)get(region, words * 8);

    for (uint64_t epoch = 1; p && epoch <= 16; epoch++) {
        for (size_t i = me; i < words; i += n)
            p[i] += i * epoch;
        hearth_barrier_all();
        uint64_t sum = epoch * (epoch + 1) / 2;
        size_t wrong = 0;
        for (size_t i = (me * 7) % 13; i < words; i += 13)
            wrong += p[i] != i * sum;
        HT_EQUAL(wrong, 0);
        hearth_barrier_all();
    }
}

/* Bytes of few runs and of many in one release, to several homes. */
static void test_mixed(struct hearth_region *region)
{
    size_t page = ht_page_bytes(), bytes = PAGES * page, n = (size_t)ht_n_pes();
    unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 1; p && epoch <= 12; epoch++) {
        size_t writer = epoch % 3 == 0 ? epoch % n : 0;
        for (size_t i = 0; i < bytes && (size_t)ht_pe() == writer; i++)
            if (i / page % 3 == 0 || (i / page % 3 == 1 && i % 3 == 1) || i % page == 7)
                p[i] = byte_of(epoch, i);
        hearth_barrier_all();
        size_t wrong = 0;
        for (size_t i = 0; i < bytes; i++)
            if (i / page % 3 == 0 || (i / page % 3 == 1 && i % 3 == 1) || i % page == 7)
                wrong += p[i] != byte_of(epoch, i);
            else
                wrong += p[i] != 0;
        HT_EQUAL(wrong, 0);
        hearth_barrier_all();
    }
}

/* --- threads --- */

struct crowd {
    unsigned char *page;
    struct hearth_lock locks[3];
    _Atomic int wrong;
};

/* Threads of all PEs raise counters that lie side by side in one page, each under its lock, so that
 * there is always one who writes a hot page that another releases. */
static void crowd_thread(void *arg, int index)
{
    struct crowd *crowd = arg;
    volatile unsigned char *mine = crowd->page + 3 * index + 1;

    for (unsigned turn = 0; turn < 60; turn++) {
        hearth_lock_acquire(&crowd->locks[index]);
        for (unsigned i = 0; i < 3; i++)
            mine[i]++;
        if (mine[0] != mine[1] || mine[1] != mine[2])
            crowd->wrong = 1;
        hearth_lock_release(&crowd->locks[index]);
    }
}

/* A page, and a lock for each thread. False: the test ends. */
static bool gather(struct hearth_region *region, struct crowd *crowd)
{
    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread only");
        return false;
    }
    unsigned char *p = get(region, 2 * ht_page_bytes());
    struct hearth_lock *locks = (struct hearth_lock *)(void *)(p + ht_page_bytes());
    if (p == NULL)
        return false;
    for (int i = 0; i < 3 && ht_pe() == 0; i++)
        HT_EQUAL(hearth_lock_init(&locks[i]), HEARTH_OK);
    hearth_barrier_all();
    memcpy(crowd->locks, locks, sizeof crowd->locks);
    crowd->page = p;
    crowd->wrong = 0;
    return true;
}

static void test_threads(struct hearth_region *region)
{
    struct crowd crowd;

    if (!gather(region, &crowd))
        return;
    ht_threads(3, crowd_thread, &crowd);
    hearth_barrier_all();
    HT_EQUAL(crowd.wrong, 0);
    for (int i = 0; i < 9; i++)
        HT_EQUAL(crowd.page[1 + i], (unsigned char)(60 * ht_n_pes()));
    hearth_barrier_all();
}

/* --- a page that migrates --- */

static void test_migratory(struct hearth_region *region)
{
    size_t page = ht_page_bytes();
    unsigned char *p = get(region, 2 * page);
    enum { TURNS = 40 };
    struct hearth_stats before = {0};

    if (p == NULL)
        return;
    struct hearth_lock *shared = (struct hearth_lock *)(void *)p, lock;
    volatile uint64_t *count = (volatile uint64_t *)(void *)(p + page);
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_init(shared), HEARTH_OK);
    hearth_barrier_all();
    lock = *shared;
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn == 10)
            before = ht_stats(region);
        hearth_lock_acquire(&lock);
        uint64_t was = *count;
        /* A load, then a store: clang makes one instruction of an increment, which is a store. */
        __asm__ volatile("" : "+r"(was));
        *count = was + 1;
        hearth_lock_release(&lock);
        hearth_barrier_all(); /* so that every PE has its turn */
    }
    struct hearth_stats after = ht_stats(region);
    HT_EQUAL(*count, (uint64_t)TURNS * (uint64_t)ht_n_pes());
    if (ht_attr()->consistency == HEARTH_RELEASE) {
        HT_EQUAL(after.write_faults - before.write_faults, 0);
        /* An acquire refreshes it, or updates come. */
        HT_EQUAL(after.read_misses - before.read_misses, 0);
    }
    hearth_barrier_all();
}

/* --- a copy that is read in every epoch --- */

/* PE 0 writes, the last one reads, twice a page's size. */
static void epoch_of(unsigned char *p, uint64_t epoch, bool read)
{
    size_t bytes = 2 * ht_page_bytes();

    if (ht_pe() == 0)
        fill(p, bytes, epoch);
    hearth_barrier_all();
    if (read && ht_pe() == ht_n_pes() - 1)
        check(p, bytes, epoch);
    hearth_barrier_all();
}

/* It is refreshed by the acquires, without a fault; when nobody reads it any more that ends, and so
 * does its registration; read again, it has every byte. */
static void test_wanted(struct hearth_region *region)
{
    struct hearth_region_attr attr = *ht_attr();
    struct hearth_region *own = NULL;
    struct hearth_stats before = {0}, after;
    uint64_t epoch = 0;
    bool reader = ht_pe() == ht_n_pes() - 1 && ht_n_pes() > 1;

    (void)region;
    attr.placement = HEARTH_HOME_FIXED;
    attr.home_pe = 0;
    HT_EQUAL(hearth_region_create(&own, 4 * ht_page_bytes(), &attr), HEARTH_OK);
    unsigned char *p = get(own, 2 * ht_page_bytes());
    for (; p && epoch < 60; epoch++) {
        if (epoch == 10)
            before = ht_stats(own);
        epoch_of(p, epoch, true);
    }
    after = ht_stats(own);
    if (attr.protocol == HEARTH_WRITE_INVALIDATE && reader) {
        HT_CHECKF(after.read_misses - before.read_misses <= 10, "%llu misses in 50 epochs",
                  (unsigned long long)(after.read_misses - before.read_misses));
        HT_CHECKF(after.refreshes - before.refreshes >= 80, "%llu refreshes in 50 epochs",
                  (unsigned long long)(after.refreshes - before.refreshes));
    }
    for (uint64_t end = epoch + 100; p && epoch < end; epoch++)
        epoch_of(p, epoch, false);
    before = ht_stats(own);
    for (uint64_t end = epoch + 10; p && epoch < end; epoch++)
        epoch_of(p, epoch, false);
    after = ht_stats(own);
    if (attr.protocol == HEARTH_WRITE_INVALIDATE) {
        HT_EQUAL(after.pages_fetched - before.pages_fetched, 0);
        HT_EQUAL(after.stale_notices - before.stale_notices, 0);
    }
    for (uint64_t end = epoch + 10; p && epoch < end; epoch++)
        epoch_of(p, epoch, true);
    HT_EQUAL(hearth_region_destroy(own), HEARTH_OK);
}

static void test_wanted_release(struct hearth_region *region)
{
    if (ht_attr()->consistency == HEARTH_SEQUENTIAL)
        return ht_skip("nothing is released");
    test_wanted(region);
}

/* Threads that read a page while others of their PE acquire, and so refresh it: what is theirs by a
 * lock stays as it is meanwhile, and never goes back. */
static void reading_thread(void *arg, int index)
{
    struct crowd *crowd = arg;
    volatile uint64_t *mine = (volatile uint64_t *)(void *)crowd->page + 2 * index;
    uint64_t last = 0;

    for (unsigned turn = 0; turn < 200; turn++) {
        hearth_lock_acquire(&crowd->locks[index]);
        if (ht_pe() == 0) {
            mine[0]++;
            mine[1] = 3 * mine[0];
        }
        uint64_t was = mine[0];
        for (unsigned i = 0; i < 20; i++)
            if (mine[0] != was || mine[1] != 3 * was || was < last)
                crowd->wrong = 1;
        last = was;
        hearth_lock_release(&crowd->locks[index]);
        if (turn % 4 == 0)
            usleep(50); /* lest one PE be done before the others begin */
    }
}

static void test_wanted_threads(struct hearth_region *region)
{
    struct crowd crowd;

    if (!gather(region, &crowd))
        return;
    bool refreshes = ht_n_pes() > 1 && ht_attr()->consistency == HEARTH_RELEASE &&
                     ht_attr()->protocol == HEARTH_WRITE_INVALIDATE;
    int round = 0;
    do { /* who runs when is the machine's choice: until it has come to what this is about */
        ht_threads(3, reading_thread, &crowd);
        hearth_barrier_all();
        round++;
    } while (refreshes && round < 50 && ht_max((double)ht_stats(region).refreshes) == 0);
    HT_EQUAL(crowd.wrong, 0);
    HT_CHECKF(round < 50, "no copy was refreshed");
    for (int i = 0; i < 3; i++)
        HT_EQUAL(((uint64_t *)(void *)crowd.page)[2 * i + 1], 600 * round);
    hearth_barrier_all();
}

#define ALL_KINDS(name, body)                                                                      \
    {                                                                                              \
        name, body, HT_KINDS, 4 << 20                                                              \
    }

static const struct ht_test tests[] = {
    ALL_KINDS("no-faults", test_no_faults),
    ALL_KINDS("cooling", test_cooling),
    ALL_KINDS("alternate-words", test_alternate_words),
    ALL_KINDS("mixed", test_mixed),
    ALL_KINDS("threads", test_threads),
    ALL_KINDS("migratory", test_migratory),
    ALL_KINDS("wanted", test_wanted_release),
    ALL_KINDS("wanted-threads", test_wanted_threads),
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"steady", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    return ht_main(argc, argv, &program);
}
