/* SPDX-License-Identifier: BSD-3-Clause */
/* What synchronisation costs in steady state, beside the same work in plain MPI where it has one,
 * taken in turn in the same run:
 *
 * - producer-consumer: one PE writes all bytes of 1, 16 or 256 pages, the other reads a word of
 * each line; by both protocols, with the pages homed at the producer and at the consumer. An
 * iteration is two barriers. In MPI: the same stores and loads around a send and a receive.
 * - false sharing: the two PEs write alternate 8-byte words of 64 pages between barriers.
 * - a lock that goes back and forth between the PEs, with a counter inside.
 * - a lock homed elsewhere that nobody else wants, beside two bare fetch-and-adds.
 * - an acquire with 16,384 pages cached and nothing changed; a barrier with nothing written.
 *
 * Run with two PEs. `steady WORD` runs only the lines with WORD in their names. */
#include <stdbool.h>
#include <string.h>

#include "pair.h"

#define PAGE  4096u
#define REPS  9
#define WARM  12 /* iterations before the clock starts: MPI connects, pages become hot */
#define CACHE 16384u

static const char *only = "";

static struct hearth_stats stats_of(const struct hearth_region *region)
{
    struct hearth_stats stats;
    check(hearth_region_stats(region, &stats), "stats");
    return stats;
}

/* --- producer and consumer --- */

static void produce(char *memory, size_t bytes, unsigned i)
{
    memset(memory, (int)(i * 7 + 1), bytes);
}

static void consume(const char *memory, size_t bytes, unsigned i)
{
    unsigned char expected = (unsigned char)(i * 7 + 1);
    unsigned wrong = 0;
    for (size_t at = 0; at < bytes; at += 64) {
        wrong += ((const volatile unsigned char *)memory)[at] != expected;
    }
    if (wrong > 0) {
        fprintf(stderr, "PE %d: %u wrong bytes in iteration %u\n", me, wrong, i);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

static void share_by_mpi(char *memory, size_t bytes, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        if (me == 0) {
            produce(memory, bytes, i);
            MPI_Send(memory, (int)bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
        } else {
            MPI_Recv(memory, (int)bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            consume(memory, bytes, i);
        }
    }
}

static void share(char *memory, size_t bytes, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        if (me == 0) {
            produce(memory, bytes, i);
        }
        check(hearth_barrier_all(), "barrier");
        if (me == 1) {
            consume(memory, bytes, i);
        }
        check(hearth_barrier_all(), "barrier");
    }
}

struct way {
    struct hearth_region *region;
    char *memory, name[64];
    struct bench us;
    uint64_t write_faults, read_misses;
};

static void producer_consumer(unsigned pages)
{
    size_t bytes = (size_t)pages * PAGE;
    unsigned n = pages >= 256 ? 50 : pages >= 16 ? 200 : 1000, at = 2 * WARM;
    char *private = malloc(bytes);
    struct bench mpi = {.name = "  plain MPI, send and receive"};
    struct way ways[4] = {0};
    share_by_mpi(private, bytes, 0, WARM);
    for (int w = 0; w < 4; w++) {
        enum kind kind = w < 2 ? INVALIDATE : UPDATE;
        snprintf(ways[w].name, sizeof ways[w].name, "  %s, %s is home", kind_names[kind],
                 w % 2 == 0 ? "producer" : "consumer");
        ways[w].memory = region_new(&ways[w].region, bytes, kind, 0, w % 2);
        ways[w].us.name = ways[w].name;
    }
    for (int rep = 0; rep < REPS; rep++, at += n) {
        double start = bench_now_us();
        share_by_mpi(private, bytes, at, n);
        MPI_Barrier(MPI_COMM_WORLD);
        bench_add(&mpi, (bench_now_us() - start) / n);
        for (int w = 0; w < 4; w++) {
            share(ways[w].memory, bytes, at - WARM, WARM); /* anew: the others took their time */
            struct hearth_stats before = stats_of(ways[w].region);
            check(hearth_barrier_all(), "barrier");
            start = bench_now_us();
            share(ways[w].memory, bytes, at, n);
            bench_add(&ways[w].us, (bench_now_us() - start) / n);
            struct hearth_stats after = stats_of(ways[w].region);
            ways[w].write_faults += after.write_faults - before.write_faults;
            ways[w].read_misses += after.read_misses - before.read_misses;
        }
    }
    for (int w = 0; w < 4; w++) {
        uint64_t counts[2] = {ways[w].write_faults, ways[w].read_misses};
        MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
        if (me == 0 && w == 0) {
            printf("producer-consumer, %u page%s an iteration\n", pages, pages == 1 ? "" : "s");
            bench_print(&mpi, NULL);
        }
        if (me == 0) {
            snprintf(ways[w].name + strlen(ways[w].name), 24, " (%.2g,%.2g)",
                     (double)counts[0] / (REPS * n), (double)counts[1] / (REPS * n));
            bench_print(&ways[w].us, &mpi);
        }
        region_end(ways[w].region);
    }
    free(private);
}

/* --- false sharing --- */

static void alternate_words(void)
{
    enum { PAGES = 64, N = 60 };
    for (enum kind kind = INVALIDATE; kind <= UPDATE; kind++) {
        char name[64];
        struct hearth_region *region;
        char *memory = region_new(&region, PAGES * PAGE, kind, 0, 0);
        volatile uint64_t *words = (volatile uint64_t *)memory;
        struct bench us = {.name = name};
        snprintf(name, sizeof name, "alternate words of 64 pages, %s", kind_names[kind]);
        for (int rep = -1; rep < REPS; rep++) {
            double start = bench_now_us();
            for (unsigned i = 0; i < N; i++) {
                for (size_t at = (size_t)me; at < PAGES * PAGE / 8; at += 2) {
                    words[at] = words[at] + 0x0101010101010101u;
                }
                check(hearth_barrier_all(), "barrier");
            }
            if (rep >= 0) {
                bench_add(&us, (bench_now_us() - start) / N);
            }
        }
        for (size_t at = 0; at < PAGES * PAGE / 8; at++) {
            if (words[at] != (uint64_t)(REPS + 1) * N * 0x0101010101010101u) {
                fprintf(stderr, "PE %d: word %zu is %llx\n", me, at, (unsigned long long)words[at]);
                MPI_Abort(MPI_COMM_WORLD, 1);
            }
        }
        if (me == 0) {
            bench_print(&us, NULL);
        }
        region_end(region);
    }
}

/* --- locks --- */

static void hand_over(void)
{
    enum { N = 500 };
    for (enum kind kind = INVALIDATE; kind <= UPDATE; kind++) {
        char name[64];
        struct hearth_region *region;
        char *memory = region_new(&region, PAGE, kind, 0, 0);
        struct {
            struct hearth_lock lock;
            long count;
        } *shared = (void *)memory;
        struct bench us = {.name = name};
        snprintf(name, sizeof name, "lock hand-over with a counter, %s", kind_names[kind]);
        if (me == 0) {
            check(hearth_lock_init(&shared->lock), "lock init");
        }
        check(hearth_barrier_all(), "barrier");
        struct hearth_lock lock = shared->lock;
        for (int rep = -1; rep < REPS; rep++) {
            check(hearth_barrier_all(), "barrier");
            double start = bench_now_us();
            for (unsigned i = 0; i < N; i++) {
                check(hearth_lock_acquire(&lock), "acquire");
                shared->count++;
                check(hearth_lock_release(&lock), "release");
            }
            check(hearth_barrier_all(), "barrier");
            if (rep >= 0) {
                bench_add(&us, (bench_now_us() - start) / (2 * N));
            }
        }
        if (shared->count != 2L * N * (REPS + 1)) {
            fprintf(stderr, "PE %d: the count is %ld\n", me, shared->count);
            MPI_Abort(MPI_COMM_WORLD, 1);
        }
        if (me == 0) {
            bench_print(&us, NULL);
        }
        region_end(region);
    }
}

static double bare_fetch_adds(MPI_Win window, unsigned n)
{
    uint64_t one = 1, old;
    double start = bench_now_us();
    for (unsigned i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++) {
            MPI_Fetch_and_op(&one, &old, MPI_UINT64_T, 0, 0, MPI_SUM, window);
            MPI_Win_flush(0, window);
        }
    }
    return (bench_now_us() - start) / n;
}

static void uncontended(void)
{
    enum { N = 2000 };
    struct bench us = {.name = "uncontended lock homed elsewhere"};
    struct bench bare = {.name = "  two bare fetch-and-adds"};
    struct hearth_region *region;
    char *memory = region_new(&region, PAGE, INVALIDATE, 0, 0);
    struct hearth_lock *shared = (struct hearth_lock *)(void *)memory;
    MPI_Win window;
    uint64_t *words;
    MPI_Win_allocate(PAGE, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &words, &window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
    if (me == 0) {
        check(hearth_lock_init(shared), "lock init");
    }
    check(hearth_barrier_all(), "barrier");
    struct hearth_lock lock = *shared;
    for (int rep = -1; rep < REPS && me == 1; rep++) {
        double start = bench_now_us();
        for (unsigned i = 0; i < N; i++) {
            check(hearth_lock_acquire(&lock), "acquire");
            check(hearth_lock_release(&lock), "release");
        }
        double took = (bench_now_us() - start) / N, bare_took = bare_fetch_adds(window, N);
        if (rep >= 0) {
            bench_add(&us, took);
            bench_add(&bare, bare_took);
        }
    }
    if (me == 1) {
        bench_print(&bare, NULL);
        bench_print(&us, &bare);
        fflush(stdout);
    }
    check(hearth_barrier_all(), "barrier");
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    region_end(region);
}

/* --- nothing to do --- */

static void nothing_to_do(void)
{
    enum { N = 2000 };
    struct bench acquire = {.name = "acquire, 16,384 pages cached, nothing changed"};
    struct bench barrier = {.name = "barrier, nothing written"};
    struct bench bare = {.name = "  MPI_Barrier"};
    struct hearth_region *region;
    char *memory = region_new(&region, (size_t)CACHE * PAGE, INVALIDATE, 0, 0);
    check(hearth_barrier_all(), "barrier");
    for (size_t page = 0; page < CACHE && me == 1; page++) {
        (void)*(volatile char *)(memory + page * PAGE);
    }
    check(hearth_barrier_all(), "barrier");
    check(hearth_barrier_all(), "barrier");
    for (int rep = -1; rep < REPS; rep++) {
        double start = bench_now_us();
        for (unsigned i = 0; i < N; i++) {
            check(hearth_barrier_all(), "barrier");
        }
        double took = (bench_now_us() - start) / N;
        start = bench_now_us();
        for (unsigned i = 0; i < N; i++) {
            MPI_Barrier(MPI_COMM_WORLD);
        }
        double bare_took = (bench_now_us() - start) / N;
        start = bench_now_us();
        for (unsigned i = 0; i < N && me == 1; i++) {
            check(hearth_acquire(), "acquire");
        }
        if (rep >= 0) {
            bench_add(&acquire, (bench_now_us() - start) / N);
            bench_add(&barrier, took);
            bench_add(&bare, bare_took);
        }
    }
    if (me == 1) {
        bench_print(&bare, NULL);
        bench_print(&barrier, &bare);
        bench_print(&acquire, NULL);
        fflush(stdout);
    }
    region_end(region);
}

static bool wanted(const char *name)
{
    return strstr(name, only) != NULL;
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : "";
    start(&argc, &argv, 2, 2);
    if (me == 0) {
        printf("us, %d repetitions; in brackets: write faults and read misses an iteration\n"
               "%-44s %9s %9s %9s %8s\n",
               REPS, "", "min", "median", "max", "to bare");
        fflush(stdout);
    }
    for (unsigned pages = 1; pages <= 256; pages *= 16) {
        char name[32];
        snprintf(name, sizeof name, "producer %u pages", pages);
        if (wanted(name)) {
            producer_consumer(pages);
        }
    }
    if (wanted("alternate words")) {
        alternate_words();
    }
    if (wanted("lock hand-over")) {
        hand_over();
    }
    if (wanted("uncontended lock")) {
        uncontended();
    }
    if (wanted("nothing: barrier, acquire")) {
        nothing_to_do();
    }
    stop();
    return 0;
}
