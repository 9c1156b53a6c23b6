/* SPDX-License-Identifier: BSD-3-Clause */
/* The ways in which programs share pages. Everything is checked byte by byte, and all of it is
 * free of data races: where a check is followed by writes, a barrier is between them. */
#include "harness.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

static unsigned char byte_of(uint64_t epoch, size_t i)
{
    return (unsigned char)(i * 131 + epoch * 17 + (i >> 8));
}

/* `p[i]` is byte_of(epoch, i) for all i. */
static void check_bytes(const unsigned char *p, size_t bytes, uint64_t epoch)
{
    size_t wrong = 0, first = 0;

    for (size_t i = bytes; i-- > 0;)
        if (p[i] != byte_of(epoch, i)) {
            wrong++;
            first = i;
        }
    HT_CHECKF(wrong == 0,
              "epoch %" PRIu64 ": %zu of %zu bytes, first %zu (home %d): got %d, expected %d",
              epoch, wrong, bytes, first, hearth_home(p + first), p[first], byte_of(epoch, first));
}

static void *get(struct hearth_region *region, size_t bytes)
{
    void *p = hearth_region_malloc(region, bytes);

    HT_CHECKF(p, "%zu bytes: %s", bytes, hearth_error_message());
    return ht_all(p != NULL) ? p : NULL;
}

/* Neighbouring bytes by different PEs. */
static void test_bytes(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe(), bytes = (n + 1) * ht_page_bytes() + 13;
    unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 1; p && epoch <= 12; epoch++) {
        for (size_t i = me; i < bytes; i += n)
            p[i] = byte_of(epoch, i);
        hearth_barrier_all();
        check_bytes(p, bytes, epoch);
        hearth_barrier_all();
    }
}

/* Who writes which byte changes every epoch. */
static void test_bytes_rotating(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe(), bytes = 3 * ht_page_bytes();
    unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 1; p && epoch <= 12; epoch++) {
        for (size_t i = (me + epoch) % n; i < bytes; i += n)
            p[i] = byte_of(epoch, i);
        hearth_barrier_all();
        check_bytes(p, bytes, epoch);
        hearth_barrier_all();
    }
}

/* Halves and quarters of a 64-bit word by different PEs. */
static void test_word_parts(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe(), words = ht_page_bytes() / 4;
    uint32_t *halves = get(region, words * 4);
    uint16_t *quarters = get(region, words * 2);

    for (uint32_t epoch = 1; halves && quarters && epoch <= 10; epoch++) {
        for (size_t i = me; i < words; i += n) {
            halves[i] = (uint32_t)i * 0x01010101u + epoch;
            quarters[i] = (uint16_t)(i * 257 + epoch);
        }
        hearth_barrier_all();
        size_t wrong = 0, first = 0;
        for (size_t i = words; i-- > 0;)
            if (halves[i] != (uint32_t)i * 0x01010101u + epoch ||
                quarters[i] != (uint16_t)(i * 257 + epoch)) {
                wrong++;
                first = i;
            }
        HT_CHECKF(wrong == 0, "epoch %u: %zu, first %zu (of PE %zu): %08x and %04x, home %d", epoch,
                  wrong, first, first % n, halves[first], quarters[first], hearth_home(halves));
        hearth_barrier_all();
    }
}

static struct hearth_lock *new_lock(struct hearth_region *region)
{
    struct hearth_lock *lock = get(region, sizeof *lock);

    if (lock && ht_pe() == 0)
        HT_CHECKF(!hearth_lock_init(lock), "%s", hearth_error_message());
    hearth_barrier_all();
    return lock;
}

/* A page of counters goes with a lock from PE to PE. */
static void test_migratory(struct hearth_region *region)
{
    enum { N = 500 };
    int turns = ht_rounds(25);
    struct hearth_lock *lock = new_lock(region);
    uint32_t *counters = get(region, N * sizeof *counters);

    if (!lock || !counters)
        return;
    for (int turn = 0; turn < turns; turn++) {
        HT_EQUAL(hearth_lock_acquire(lock), 0);
        int wrong = 0;
        for (uint32_t i = 0; i < N; i++)
            wrong += counters[i] != counters[0] * (i % 7 + 1);
        HT_EQUAL(wrong, 0);
        for (uint32_t i = 0; i < N; i++)
            counters[i] += i % 7 + 1;
        HT_EQUAL(hearth_lock_release(lock), 0);
    }
    hearth_barrier_all();
    HT_EQUAL(counters[0], turns * ht_n_pes());
    HT_EQUAL(counters[N - 1], turns * ht_n_pes() * ((N - 1) % 7 + 1));
}

static void test_producer_consumer(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), bytes = 2 * ht_page_bytes() + 1001;
    unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 1; p && epoch <= 3 * n + 6; epoch++) {
        if (epoch % n == (size_t)ht_pe())
            for (size_t i = epoch % 50; i < bytes; i++) /* a few at the start stay as they were */
                p[i] = byte_of(epoch, i);
        hearth_barrier_all();
        size_t first = epoch % 50, wrong = 0;
        for (size_t i = first; i < bytes; i++)
            wrong += p[i] != byte_of(epoch, i);
        HT_CHECKF(wrong == 0, "epoch %" PRIu64 ": %zu bytes", epoch, wrong);
        hearth_barrier_all();
    }
}

/* The same producer every time, so that its pages turn hot, and then another. */
static void test_hot_producer(struct hearth_region *region)
{
    size_t bytes = 2 * ht_page_bytes();
    unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 1; p && epoch <= 40; epoch++) {
        int producer = (int)(epoch / 15) % ht_n_pes();
        if (producer == ht_pe() && epoch % 10 != 3)
            for (size_t i = 0; i < bytes; i++)
                p[i] = byte_of(epoch, i);
        hearth_barrier_all();
        if (epoch % 10 != 3)
            check_bytes(p, bytes, epoch);
        else
            check_bytes(p, bytes, epoch - 1); /* nobody wrote */
        hearth_barrier_all();
    }
}

/* Rows are written, columns are read, and back, as a transpose does. */
static void test_all_to_all(struct hearth_region *region)
{
    enum { BLOCK = 601 }; /* odd, so that blocks share pages and words */
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe();
    unsigned char *p = get(region, n * n * BLOCK);

    for (uint64_t epoch = 1; p && epoch <= 10; epoch++) {
        bool rows = epoch % 2;
        size_t wrong = 0;
        for (size_t other = 0; other < n; other++) {
            size_t at = (rows ? me * n + other : other * n + me) * BLOCK;
            for (size_t i = 0; i < BLOCK; i++)
                p[at + i] = byte_of(epoch, at + i);
        }
        hearth_barrier_all();
        for (size_t other = 0; other < n; other++) {
            size_t at = (rows ? other * n + me : me * n + other) * BLOCK;
            for (size_t i = 0; i < BLOCK; i++)
                wrong += p[at + i] != byte_of(epoch, at + i);
        }
        HT_EQUAL(wrong, 0);
        /* What is written next was read by its writer itself: no barrier needed, in fact. */
    }
}

static void test_read_mostly(struct hearth_region *region)
{
    size_t bytes = 6 * ht_page_bytes(), n = (size_t)ht_n_pes();
    unsigned char *p = get(region, bytes);

    if (!p)
        return;
    if (ht_pe() == 0)
        for (size_t i = 0; i < bytes; i++)
            p[i] = byte_of(0, i);
    hearth_barrier_all();
    size_t changed = 0;
    unsigned char change = 0;
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        size_t wrong = 0;
        for (size_t i = 0; i < bytes; i++)
            wrong += p[i] != (unsigned char)(byte_of(0, i) + (i == changed ? change : 0));
        HT_CHECKF(wrong == 0, "epoch %" PRIu64 ": %zu bytes", epoch, wrong);
        hearth_barrier_all();
        uint64_t h = ht_hash(epoch, 1, 2);
        if (h % n == (size_t)ht_pe()) {
            p[changed] = byte_of(0, changed);
            p[h % bytes] = (unsigned char)(byte_of(0, h % bytes) + 1);
        }
        changed = h % bytes;
        change = 1;
        hearth_barrier_all();
    }
}

/* All PEs write one page, each random bytes of its own; some bytes nobody writes. */
static void test_one_page(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), bytes = ht_page_bytes();
    unsigned char *p = get(region, bytes), model[65536] = {0};

    for (uint64_t epoch = 1; p && epoch <= 15; epoch++) {
        size_t wrong = 0;
        for (size_t i = 0; i < bytes; i++) {
            uint64_t h = ht_hash(epoch, i, 9);
            size_t writer = h % (n + 1);
            if (writer == n)
                continue;
            model[i] = (unsigned char)(h >> 40);
            if (writer == (size_t)ht_pe())
                p[i] = model[i];
        }
        hearth_barrier_all();
        for (size_t i = 0; i < bytes; i++)
            wrong += p[i] != model[i];
        HT_CHECKF(wrong == 0, "epoch %" PRIu64 ": %zu bytes", epoch, wrong);
        hearth_barrier_all();
    }
}

/* Two PEs take turns; whose turn it is lies in shared memory under the lock. */
static void test_ping_pong(struct hearth_region *region)
{
    enum { TURNS = 60 };
    struct ball {
        int turn, value[64];
    } *ball = get(region, sizeof *ball);
    struct hearth_lock *lock = new_lock(region);
    int last = ht_n_pes() - 1, me = ht_pe();

    for (int done = 0; ball && lock && (me == 0 || me == last) && !done;) {
        HT_EQUAL(hearth_lock_acquire(lock), 0);
        bool mine = (ball->turn % 2 ? last : 0) == me;
        done = ball->turn >= TURNS;
        if (mine && !done) {
            HT_EQUAL(ball->value[ball->turn % 64], ball->turn / 64);
            HT_EQUAL(ball->value[(ball->turn + 63) % 64], (ball->turn + 63) / 64);
            ball->value[ball->turn % 64]++;
            ball->turn++;
        }
        HT_EQUAL(hearth_lock_release(lock), 0);
        if (!mine)
            usleep(20);
    }
    hearth_barrier_all();
    if (ball)
        HT_EQUAL(ball->turn, TURNS);
}

/* Pages with a home at each PE, written by the home alone, by another alone, and by both. */
static void test_home_and_away(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), page_bytes = ht_page_bytes(), bytes = 2 * n * page_bytes;
    unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 1; p && epoch <= 12; epoch++) {
        for (size_t k = 0; k < 2 * n; k++) {
            size_t home = (size_t)hearth_home(p + k * page_bytes);
            bool at_home = home == (size_t)ht_pe();
            bool away = (home + 1 + k % 2) % n == (size_t)ht_pe();
            for (size_t i = k * page_bytes; i < (k + 1) * page_bytes; i++) {
                bool by_home = epoch % 3 == 0 || (epoch % 3 == 2 && i % 2);
                if (by_home ? at_home : away)
                    p[i] = byte_of(epoch, i);
            }
        }
        hearth_barrier_all();
        check_bytes(p, bytes, epoch);
        hearth_barrier_all();
    }
}

/* Stores that change nothing, next to another PE's stores that do. */
static void test_silent_stores(struct hearth_region *region)
{
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe(), bytes = 2 * ht_page_bytes();
    volatile unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 1; p && epoch <= 12; epoch++) {
        uint64_t changer = epoch / 2 % n; /* all others store what is there */
        for (size_t i = me; i < bytes; i += n)
            p[i] = (unsigned char)(me == changer ? epoch : p[i]);
        hearth_barrier_all();
        size_t wrong = 0;
        for (size_t i = 0; i < bytes; i++) {
            uint64_t last = 0;
            for (uint64_t e = 1; e <= epoch; e++)
                last = e / 2 % n == i % n ? e : last;
            wrong += p[i] != (unsigned char)last;
        }
        HT_CHECKF(wrong == 0, "epoch %" PRIu64 ": %zu bytes", epoch, wrong);
        hearth_barrier_all();
    }
}

/* A value that goes away and comes back before the release, after it, and by another PE's hand. */
static void test_aba(struct hearth_region *region)
{
    enum { A = 5, B = 7 };
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe(), bytes = ht_page_bytes() + 100;
    volatile unsigned char *p = get(region, bytes);

    for (uint64_t epoch = 0; p && epoch < 20; epoch++) {
        unsigned char now = epoch % 2 ? B : A, other = epoch % 2 ? A : B;
        for (size_t i = (me + epoch / 3) % n; i < bytes; i += n) {
            p[i] = other; /* from the second epoch on this is what is there */
            p[i] = now;
            if (i % 5 == 0) { /* these stay A */
                p[i] = B;
                p[i] = A;
            }
        }
        hearth_barrier_all();
        size_t wrong = 0;
        for (size_t i = 0; i < bytes; i++)
            wrong += p[i] != (i % 5 ? now : A);
        HT_CHECKF(wrong == 0, "epoch %" PRIu64 ": %zu bytes", epoch, wrong);
        hearth_barrier_all();
    }
}

/* The same by lock: each holder flips all bytes, so that every other time they are as before. */
static void test_aba_by_lock(struct hearth_region *region)
{
    enum { TURNS = 30, N = 300 };
    struct flips {
        unsigned n;
        unsigned char bytes[N], own[N];
    } *flips = get(region, sizeof *flips);
    struct hearth_lock *lock = new_lock(region);
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe();

    for (unsigned turn = 1; flips && lock && turn <= TURNS; turn++) {
        for (size_t i = me; i < N; i += n) /* not under the lock, and nobody else's */
            flips->own[i] = (unsigned char)turn;
        HT_EQUAL(hearth_lock_acquire(lock), 0);
        unsigned char was = flips->n % 2 ? 0x55 : 0;
        size_t at = ht_find_other(flips->bytes, N, was);
        HT_CHECKF(at == N, "flip %u, byte %zu: %d", flips->n, at, flips->bytes[at % N]);
        memset(flips->bytes, was ^ 0x55, N);
        flips->n++;
        HT_EQUAL(hearth_lock_release(lock), 0);
    }
    hearth_barrier_all();
    if (flips) {
        HT_EQUAL(flips->n, TURNS * n);
        HT_EQUAL(ht_find_other(flips->own, N, TURNS), N);
    }
}

#define ALL_KINDS(name, body)                                                                      \
    {                                                                                              \
        name, body, HT_KINDS, 4 << 20                                                              \
    }

static const struct ht_test tests[] = {
    ALL_KINDS("bytes", test_bytes),
    ALL_KINDS("bytes-rotating", test_bytes_rotating),
    ALL_KINDS("word-parts", test_word_parts),
    ALL_KINDS("migratory", test_migratory),
    ALL_KINDS("producer-consumer", test_producer_consumer),
    ALL_KINDS("hot-producer", test_hot_producer),
    ALL_KINDS("all-to-all", test_all_to_all),
    ALL_KINDS("read-mostly", test_read_mostly),
    ALL_KINDS("one-page", test_one_page),
    ALL_KINDS("ping-pong", test_ping_pong),
    ALL_KINDS("home-and-away", test_home_and_away),
    ALL_KINDS("silent-stores", test_silent_stores),
    ALL_KINDS("aba", test_aba),
    ALL_KINDS("aba-by-lock", test_aba_by_lock),
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"sharing", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    return ht_main(argc, argv, &program);
}
