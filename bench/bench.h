/* SPDX-License-Identifier: BSD-3-Clause */
/* What the benchmarks share: a clock, repetitions, a line of results.
 *
 * bench_print says a result to people; if BENCH_CSV names a file, it also appends a line there:
 *
 *   name,variant,protocol,page_bytes,pes,unit,min,median,max,
 *   counterpart_median,ratio,pager,counterpart_min
 *
 * name: the work, by default the program; variant: struct bench's name. counterpart_* and ratio (of
 * the medians) are empty where there is nothing to compare with. bench/run.sh gathers these lines,
 * so a program in bench/ needs no more than bench_print to be in the table. A name's commas become
 * semicolons. */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* gcc's -O2 vectorises no loops of unknown length; clang's does. */
#ifdef __clang__
#define BENCH_VECTORISED __attribute__((noinline))
#else
#define BENCH_VECTORISED __attribute__((noinline, optimize("O3")))
#endif

static inline double bench_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

/* Up to this many repetitions of one measurement. */
#define BENCH_MAX 128

struct bench {
    const char *name;
    double values[BENCH_MAX];
    int n;
    /* For the CSV, all but the name; what is left out is taken from how the program was run. */
    const char *work;         /* default: the program's name */
    const char *protocol;     /* default: HEARTH_PROTOCOL or none */
    const char *unit;         /* default: us */
    unsigned long page_bytes; /* default: 4096 */
    int pes;                  /* default: BENCH_PES */
};

/* What the patterns write, n words that begin with `first`; and whether they are there. */
static inline void bench_fill(uint64_t *words, size_t n, uint64_t first)
{
    for (size_t i = 0; i < n; i++) {
        words[i] = first + i;
    }
}

static inline int bench_is_filled(const uint64_t *words, size_t n, uint64_t first)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        wrong |= words[i] ^ (first + i);
    }
    return wrong == 0;
}

/* A first word of its own, in all its bytes, for each turn. */
static inline uint64_t bench_first(uint64_t turn)
{
    return turn * UINT64_C(0x0101010101010101);
}

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

static inline const char *bench_from_environment(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL ? value : "";
}

/* Commas would end a column. */
static inline void bench_write_field(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        fputc(*text == ',' ? ';' : *text, file);
    }
    fputc(',', file);
}

/* bench, and to if it is not NULL, are sorted. */
static inline void bench_write_csv(const struct bench *bench, const struct bench *to)
{
    const char *path = getenv("BENCH_CSV");
    FILE *file = path == NULL ? NULL : fopen(path, "a");
    if (file == NULL) {
        if (path != NULL) {
            perror(path);
        }
        return;
    }
    double median = bench->values[bench->n / 2];
    bench_write_field(file, bench->work != NULL ? bench->work : program_invocation_short_name);
    bench_write_field(file, bench->name);
    bench_write_field(file, bench->protocol != NULL ? bench->protocol
                                                    : bench_from_environment("HEARTH_PROTOCOL"));
    fprintf(file, "%lu,", bench->page_bytes != 0 ? bench->page_bytes : 4096ul);
    bench->pes != 0 ? fprintf(file, "%d,", bench->pes)
                    : fprintf(file, "%s,", bench_from_environment("BENCH_PES"));
    bench_write_field(file, bench->unit != NULL ? bench->unit : "us");
    fprintf(file, "%.4f,%.4f,%.4f,", bench->values[0], median, bench->values[bench->n - 1]);
    if (to != NULL) {
        double other = to->values[to->n / 2];
        fprintf(file, "%.4f,%.3f,", other, median / other);
    } else {
        fputs(",,", file);
    }
    fprintf(file, "%s,", bench_from_environment("HEARTH_PAGER"));
    to != NULL ? fprintf(file, "%.4f\n", to->values[0]) : fputs("\n", file);
    fclose(file);
}

/* min, median and max, and the ratio of the medians to `to` unless NULL. Sorts. */
static inline void bench_print(struct bench *bench, struct bench *to)
{
    double median = bench_median(bench);
    char label[80];
    snprintf(label, sizeof label, "%s%s%s", bench->name, bench->protocol != NULL ? ": " : "",
             bench->protocol != NULL ? bench->protocol : "");
    printf("%-44s %9.3f %9.3f %9.3f", label, bench->values[0], median, bench->values[bench->n - 1]);
    if (to != NULL) {
        printf(" %8.2f", median / bench_median(to));
    }
    printf("\n");
    bench_write_csv(bench, to);
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
