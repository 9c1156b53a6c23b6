/* SPDX-License-Identifier: BSD-3-Clause */
/* PEs of 1 to 8 threads: faults of many threads on one page and on many, releases and acquires from
 * any of them while others fault, under every protocol; with pthreads and with OpenMP. */
#include "harness.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 8, WORDS = 512, PAGES = 6, ROUNDS = 3 };

/* Of a test: what its threads share. */
struct work {
    int n_threads;
    uint32_t round;
    uint64_t *words; /* shared memory, PAGES pages */
    unsigned char *bytes;
    struct hearth_lock *locks;
    _Atomic int running;
};

typedef void thread_body(void *work, int thread);

static void with_pthreads(int n, thread_body *body, struct work *work)
{
    ht_threads(n, body, work);
}

#ifdef _OPENMP
static void with_openmp(int n, thread_body *body, struct work *work)
{
#pragma omp parallel for num_threads(n) schedule(static, 1)
    for (int thread = 0; thread < n; thread++) {
        body(work, thread);
    }
}
#endif

/* The way of making threads, of the present test. */
static void (*run)(int n, thread_body *body, struct work *work) = with_pthreads;

static uint64_t value(uint32_t round, size_t word)
{
    return (word + 1) * UINT64_C(0x9e3779b97f4a7c15) + round * UINT64_C(0x5851f42d4c957f2d);
}

/* --- one page --- */

/* Each thread begins elsewhere, and all fault at once. */
static void check_page(void *arg, int thread)
{
    const struct work *work = arg;
    size_t wrong = 0;
    for (size_t i = 0; i < WORDS; i++) {
        size_t word = (i + (size_t)thread * 61) % WORDS;
        wrong += ((volatile uint64_t *)work->words)[word] != value(work->round, word);
    }
    HT_CHECKF(wrong == 0, "thread %d, round %u: %zu words wrong", thread, work->round, wrong);
}

static void write_page(void *arg, int thread)
{
    const struct work *work = arg;
    for (size_t word = (size_t)thread; word < WORDS; word += (size_t)work->n_threads) {
        ((volatile uint64_t *)work->words)[word] = value(work->round, word);
    }
}

/* In turn each PE's threads write it together, and then all threads of all PEs read it. */
static void one_page(struct hearth_region *region)
{
    struct work work = {.words = hearth_region_malloc(region, WORDS * sizeof(uint64_t))};
    for (work.n_threads = 1; work.n_threads <= THREADS_MAX; work.n_threads *= 2) {
        for (int turn = 0; turn < ROUNDS; turn++) {
            work.round++;
            if (turn % ht_n_pes() == ht_pe()) {
                run(work.n_threads, write_page, &work);
            }
            hearth_barrier_all();
            run(work.n_threads, check_page, &work);
            hearth_barrier_all();
        }
    }
}

/* --- many pages --- */

/* Neighbouring bytes belong to different threads, then to different PEs. */
static size_t owner_of(const struct work *work, size_t byte)
{
    return (byte + work->round) % (size_t)(work->n_threads * ht_n_pes());
}

static void write_bytes(void *arg, int thread)
{
    const struct work *work = arg;
    size_t me = (size_t)(ht_pe() * work->n_threads + thread);
    for (size_t i = 0; i < PAGES * ht_page_bytes(); i++) {
        size_t byte = (i + me * 5 * ht_page_bytes()) % (PAGES * ht_page_bytes());
        if (owner_of(work, byte) == me) {
            work->bytes[byte] = (unsigned char)value(work->round, byte);
        }
    }
}

static void check_bytes(void *arg, int thread)
{
    const struct work *work = arg;
    size_t wrong = 0, from = (size_t)thread * 3 * ht_page_bytes();
    for (size_t i = 0; i < PAGES * ht_page_bytes(); i += 1 + i % 3) {
        size_t byte = (i + from) % (PAGES * ht_page_bytes());
        wrong += work->bytes[byte] != (unsigned char)value(work->round, byte);
    }
    HT_CHECKF(wrong == 0, "thread %d, round %u: %zu bytes wrong", thread, work->round, wrong);
}

static void many_pages(struct hearth_region *region)
{
    struct work work = {.bytes = hearth_region_malloc(region, PAGES * ht_page_bytes())};
    for (work.n_threads = 1; work.n_threads <= THREADS_MAX; work.n_threads *= 2) {
        for (int turn = 0; turn < 1 + (work.n_threads > 4); turn++) {
            work.round++;
            run(work.n_threads, write_bytes, &work);
            hearth_barrier_all();
            run(work.n_threads, check_bytes, &work);
            hearth_barrier_all();
        }
    }
}

/* --- releases and acquires from any thread --- */

enum { LOCKS = 3, COUNTS = 24 };

/* Counts under locks, whose words share pages with each other; what a thread alone writes lies
 * between them and is released by whoever releases. */
static void count(void *arg, int thread)
{
    struct work *work = arg;
    volatile uint64_t *counts = work->words;
    uint64_t mine = 0;
    size_t my_word = 2 * (size_t)(ht_pe() * THREADS_MAX + thread) + 1;
    for (int i = 0; i < COUNTS; i++) {
        size_t lock = (size_t)(i + thread) % LOCKS;
        HT_EQUAL(hearth_lock_acquire(&work->locks[lock]), 0);
        counts[lock * 2]++;
        counts[WORDS + lock * WORDS]++; /* a page of its own, too */
        HT_EQUAL(hearth_lock_release(&work->locks[lock]), 0);
        counts[my_word + 8] += ++mine;
        if (i % 8 == thread) {
            HT_EQUAL(i % 2 == 0 ? hearth_release() : hearth_acquire(), 0);
        }
    }
    HT_EQUAL(counts[my_word + 8], COUNTS * (COUNTS + 1) / 2);
}

static void check_counts(const struct work *work)
{
    uint64_t sum = 0, far_sum = 0, all = (uint64_t)(work->n_threads * ht_n_pes()) * COUNTS;
    for (size_t lock = 0; lock < LOCKS; lock++) {
        sum += work->words[lock * 2];
        far_sum += work->words[WORDS + lock * WORDS];
    }
    HT_EQUAL(sum, all);
    HT_EQUAL(far_sum, all);
    for (int pe = 0; pe < ht_n_pes(); pe++) {
        for (int thread = 0; thread < work->n_threads; thread++) {
            size_t word = 2 * (size_t)(pe * THREADS_MAX + thread) + 1;
            HT_EQUAL(work->words[word + 8], COUNTS * (COUNTS + 1) / 2);
        }
    }
}

static void locks(struct hearth_region *region)
{
    struct hearth_lock *handles = hearth_region_malloc(region, LOCKS * sizeof *handles);
    for (int i = 0; i < LOCKS; i++) {
        if (ht_pe() == i % ht_n_pes()) {
            HT_EQUAL(hearth_lock_init(&handles[i]), 0);
        }
    }
    for (int n = 1; n <= THREADS_MAX; n *= 2) {
        size_t bytes = (LOCKS + 1) * WORDS * sizeof(uint64_t);
        struct work work = {.n_threads = n, .locks = handles};
        work.words = hearth_region_malloc(region, bytes);
        hearth_barrier_all();
        run(n, count, &work);
        hearth_barrier_all();
        check_counts(&work);
        HT_EQUAL(hearth_free(work.words), 0);
    }
}

/* --- barriers while others fault --- */

/* Thread 0 writes and meets the other PEs; the others read what never changes, whose copies every
 * acquire finds again beside those that it drops. */
static void barrier_or_read(void *arg, int thread)
{
    struct work *work = arg;
    volatile uint64_t *words = work->words;
    size_t n = ht_page_bytes() / sizeof *words, wrong = 0;
    if (thread == 0) {
        for (uint32_t i = 0; i < 6; i++) {
            for (size_t page = 0; page < PAGES; page++) {
                words[page * n + 100 + (size_t)ht_pe()] = value(i, page);
            }
            hearth_barrier_all();
            for (size_t page = 0; page < PAGES; page++) {
                for (int pe = 0; pe < ht_n_pes(); pe++) {
                    wrong += words[page * n + 100 + (size_t)pe] != value(i, page);
                }
            }
            hearth_barrier_all();
        }
        atomic_store(&work->running, 0);
    }
    while (thread != 0 && atomic_load(&work->running)) {
        for (size_t page = 0; page < PAGES; page++) {
            wrong += words[page * n + (size_t)thread] != value(99, page);
        }
        sched_yield(); /* the PEs may have one core */
    }
    HT_CHECKF(wrong == 0, "thread %d: %zu words wrong", thread, wrong);
}

static void barriers(struct hearth_region *region)
{
    struct work work = {.words = hearth_region_malloc(region, PAGES * ht_page_bytes())};
    size_t n = ht_page_bytes() / sizeof(uint64_t);
    for (size_t page = (size_t)ht_pe(); page < PAGES; page += (size_t)ht_n_pes()) {
        for (size_t word = 0; word < THREADS_MAX; word++) {
            work.words[page * n + word] = value(99, page);
        }
    }
    hearth_barrier_all();
    atomic_store(&work.running, 1);
    run(4, barrier_or_read, &work);
    hearth_barrier_all();
}

static void openmp(struct hearth_region *region)
{
#ifdef _OPENMP
    run = with_openmp;
    many_pages(region);
    locks(region);
    run = with_pthreads;
#else
    (void)region;
    ht_skip("this compiler has no OpenMP here");
#endif
}

static const struct ht_test tests[] = {
    {"one page", one_page, HT_PROTOCOLS, 1 << 16}, {"many pages", many_pages, HT_KINDS, 1 << 20},
    {"locks", locks, HT_PROTOCOLS, 1 << 20},       {"barriers", barriers, HT_PROTOCOLS, 1 << 20},
    {"openmp", openmp, HT_PROTOCOLS, 1 << 20},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"test_threads", tests, sizeof tests / sizeof tests[0],
                                              false, 60};
    return ht_main(argc, argv, &program);
}
