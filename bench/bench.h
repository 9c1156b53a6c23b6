/* SPDX-License-Identifier: BSD-3-Clause */
/* What the benchmarks share: a clock, repetitions, a line of results. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double bench_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

/* Up to this many repetitions of one measurement. */
#define BENCH_MAX 64

struct bench {
    const char *name;
    double values[BENCH_MAX];
    int n;
};

static inline void bench_add(struct bench *bench, double value)
{
    if (bench->n < BENCH_MAX) {
        bench->values[bench->n++] = value;
    }
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double bench_median(struct bench *bench)
{
    qsort(bench->values, (size_t)bench->n, sizeof bench->values[0], bench_compare);
    return bench->values[bench->n / 2];
}

/* min, median and max, and the ratio of the medians to `to` unless NULL. Sorts. */
static inline void bench_print(struct bench *bench, struct bench *to)
{
    double median = bench_median(bench);
    printf("%-44s %9.3f %9.3f %9.3f", bench->name, bench->values[0], median,
           bench->values[bench->n - 1]);
    if (to != NULL) {
        printf(" %8.2f", median / bench_median(to));
    }
    printf("\n");
}

/* A page order in which no two neighbours follow each other: a fixed shuffle. */
static inline void bench_shuffle(uint32_t *order, uint32_t n)
{
    uint64_t state = 88172645463325252u;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (uint32_t i = n; i > 1; i--) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint32_t j = (uint32_t)(state % i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

#endif
