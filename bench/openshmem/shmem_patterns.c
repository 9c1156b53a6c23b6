/* SPDX-License-Identifier: BSD-3-Clause */
/* What bench/sharing.c, patterns.c, sync.c and jacobi.c measure, in OpenSHMEM with explicit puts
 * and atomics, where a pattern has a natural version: producer and consumer, all-to-all, Jacobi's
 * halo rows, a counter. (False sharing has none: with puts nothing is shared by accident.) The
 * works have the names that they have there, so that the lines stand beside each other in the
 * table.
 *
 * Run with two PEs. Open MPI 4.1.4's programs crash in shmem_finalize unless oshrun is given
 * `--mca memory ^patcher`. */
#include <shmem.h>
#include <stddef.h>
#include <string.h>

#include "../bench.h"

#define REPS       9
#define PAGE       4096u
#define PAGE_WORDS (PAGE / sizeof(uint64_t))
#define BLOCK      (65536u / sizeof(uint64_t)) /* all-to-all: 256 KiB in all, 2 PEs */
#define SIDE       2048u
#define STEPS      20

static int me;

static void *symmetric(size_t bytes)
{
    void *memory = shmem_calloc(1, bytes);
    if (memory == NULL) {
        fprintf(stderr, "shmem_patterns: no symmetric heap for %zu bytes (SHMEM_SYMMETRIC_SIZE)\n",
                bytes);
        shmem_global_exit(1);
    }
    return memory;
}

static void demand(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "shmem_patterns: %s: PE %d read a wrong value\n", what, me);
        shmem_global_exit(1);
    }
}

/* Two buffers at the consumer, one barrier an iteration, as in sharing.c. */
static double produce(uint64_t *shared, uint64_t *private, unsigned pages, int n, uint64_t *value)
{
    int right = 1;
    shmem_barrier_all();
    double begin = bench_now_us();
    for (int i = 0; i < n; i++, ++*value) {
        uint64_t *half = shared + (*value & 1) * pages * PAGE_WORDS;
        if (me == 0) {
            bench_fill(private, pages * PAGE_WORDS, bench_first(*value));
            shmem_putmem(half, private, (size_t)pages * PAGE, 1);
        }
        shmem_barrier_all();
        if (me == 1) {
            right &= bench_is_filled(half, pages * PAGE_WORDS, bench_first(*value));
        }
    }
    shmem_barrier_all();
    demand(right, "producer-consumer");
    return (bench_now_us() - begin) / n;
}

static void producer_consumer(unsigned pages, int n)
{
    uint64_t *shared = symmetric((size_t)2 * pages * PAGE), value = 0;
    uint64_t *private = malloc((size_t)pages * PAGE);
    char work[40];
    struct bench us = {.name = "OpenSHMEM put", .work = work};
    snprintf(work, sizeof work, "producer-consumer %u", pages);
    if (private == NULL) {
        shmem_global_exit(1);
    }
    for (int rep = 0; rep < REPS; rep++) {
        bench_add(&us, produce(shared, private, pages, n, &value));
    }
    if (me == 0) {
        printf("producer-consumer, %u pages\n", pages);
        bench_print(&us, NULL);
    }
    free(private);
    shmem_free(shared);
}

static void all_to_all(void)
{
    static uint64_t mine[2 * BLOCK];
    uint64_t *in = symmetric(2 * BLOCK * sizeof *in), turn = 0;
    struct bench us = {.name = "OpenSHMEM put", .work = "all-to-all"};
    for (int rep = 0; rep < REPS; rep++) {
        int right = 1;
        shmem_barrier_all();
        double begin = bench_now_us();
        for (int i = 0; i < 16; i++, turn++) {
            bench_fill(mine, 2 * BLOCK, bench_first(turn * 2 + (uint64_t)me));
            for (int pe = 0; pe < 2; pe++) {
                shmem_putmem(in + (size_t)me * BLOCK, mine + (size_t)pe * BLOCK, BLOCK * sizeof *in,
                             pe);
            }
            shmem_barrier_all();
            for (unsigned pe = 0; pe < 2; pe++) {
                uint64_t first = bench_first(turn * 2 + pe) + (size_t)me * BLOCK;
                right &= bench_is_filled(in + pe * BLOCK, BLOCK, first);
            }
            shmem_barrier_all();
        }
        bench_add(&us, (bench_now_us() - begin) / 16);
        demand(right, "all-to-all");
    }
    if (me == 0) {
        printf("all-to-all\n");
        bench_print(&us, NULL);
    }
    shmem_free(in);
}

static void counter(void)
{
    unsigned long *word = symmetric(sizeof *word);
    struct bench us = {.name = "OpenSHMEM fetch_add", .work = "counter"};
    for (int rep = 0; rep < REPS; rep++) {
        shmem_barrier_all();
        double begin = bench_now_us();
        for (int i = 0; i < 4000 && me == 0; i++) {
            shmem_ulong_atomic_fetch_add(word, 1, 1);
        }
        bench_add(&us, (bench_now_us() - begin) / 4000);
        shmem_barrier_all();
    }
    demand(me == 0 || *word == REPS * 4000, "counter");
    if (me == 0) {
        printf("counter at the other PE\n");
        bench_print(&us, NULL);
    }
    shmem_free(word);
}

static BENCH_VECTORISED void row_step(double *restrict out, const double *restrict above,
                                      const double *restrict middle, const double *restrict below)
{
    for (size_t x = 1; x + 1 < SIDE; x++) {
        out[x] = 0.25 * ((above[x] + below[x]) + (middle[x - 1] + middle[x + 1]));
    }
}

/* Rows 1 .. SIDE/2 are mine. PE 0's last goes into PE 1's row 0, PE 1's first into PE 0's row
 * SIDE/2 + 1. */
static void jacobi(void)
{
    size_t rows = SIDE / 2, bytes = (rows + 2) * SIDE * sizeof(double);
    double *field[2] = {symmetric(bytes), symmetric(bytes)};
    struct bench us = {.name = "OpenSHMEM, halo rows put", .work = "jacobi 2048"};
    for (size_t i = 0; i < (rows + 2) * SIDE; i++) {
        field[0][i] = field[1][i] = (double)(i % 101);
    }
    for (int rep = 0; rep < REPS; rep++) {
        shmem_barrier_all();
        double begin = bench_now_us();
        for (int step = 0; step < STEPS; step++) {
            double *now = field[step & 1], *next = field[(step + 1) & 1];
            size_t edge = me == 0 ? rows : 1, halo = me == 0 ? 0 : rows + 1;
            for (size_t y = 1 + (me == 0); y < rows + (me == 0); y++) {
                row_step(next + y * SIDE, now + (y - 1) * SIDE, now + y * SIDE,
                         now + (y + 1) * SIDE);
            }
            shmem_double_put(next + halo * SIDE, next + edge * SIDE, SIDE, 1 - me);
            shmem_barrier_all();
        }
        bench_add(&us, (bench_now_us() - begin) / STEPS);
    }
    if (me == 0) {
        printf("Jacobi 2048x2048, a step\n");
        bench_print(&us, NULL);
    }
    shmem_free(field[1]);
    shmem_free(field[0]);
}

int main(void)
{
    shmem_init();
    me = shmem_my_pe();
    if (shmem_n_pes() != 2) {
        fprintf(stderr, "shmem_patterns: run it with 2 PEs, not %d\n", shmem_n_pes());
        shmem_global_exit(2);
    }
    producer_consumer(1, 2000);
    producer_consumer(16, 500);
    producer_consumer(256, 60);
    all_to_all();
    counter();
    jacobi();
    shmem_finalize();
    return 0;
}
