/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults a second of a PE with 1, 2 and 4 threads: a 4-byte load on each of 8,192 pages that are
 * homed at the other PE, dealt round the threads, so that each takes faults that the others do not.
 * The pages have never been here. The processor time a
 * fault says what a shared machine does not: whether threads stand in each other's way.
 * Run with two PEs. */
#include <pthread.h>
#include <sys/resource.h>

#include "pair.h"

#define PAGES 8192u
#define PAGE  4096u
#define REPS  7

struct share {
    const volatile char *pages;
    unsigned first, step;
};

static void *read_share(void *arg)
{
    const struct share *share = arg;
    for (unsigned i = share->first; i < PAGES; i += share->step) {
        (void)*(const volatile int *)(share->pages + (size_t)i * PAGE);
    }
    return NULL;
}

static double cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return 1e6 * (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* All pages by n threads: faults a second, and processor time a fault. */
static void read_all(const char *pages, unsigned n, struct bench *rate, struct bench *cpu)
{
    pthread_t threads[8];
    struct share shares[8];
    double start = bench_now_us(), cpu_start = cpu_us();
    for (unsigned i = 0; i < n; i++) {
        shares[i] = (struct share){pages, i, n};
        check(pthread_create(&threads[i], NULL, read_share, &shares[i]), "pthread_create");
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    bench_add(rate, PAGES / (bench_now_us() - start) * 1e3);
    bench_add(cpu, (cpu_us() - cpu_start) / PAGES);
}

static void write_all(volatile char *pages, char value)
{
    for (unsigned i = 0; i < PAGES; i++) {
        pages[(size_t)i * PAGE] = value;
    }
}

static void measure(enum kind kind)
{
    const char *name = kind_names[kind];
    static const unsigned numbers[] = {1, 2, 4};
    struct bench rates[3] = {{.n = 0}}, cpus[3] = {{.n = 0}};
    char names[6][64];
    for (int rep = 0; rep < REPS; rep++) {
        for (int i = 0; i < 3; i++) { /* in turn, since the machine changes */
            struct hearth_region *region;
            char *pages = region_new(&region, (size_t)PAGES * PAGE, kind, 0, 1);
            if (me == 1) {
                write_all(pages, (char)(rep + 1));
            }
            check(hearth_barrier_all(), "barrier");
            if (me == 0) {
                read_all(pages, numbers[i], &rates[i], &cpus[i]);
            }
            check(hearth_barrier_all(), "barrier");
            region_end(region);
        }
    }
    if (me != 0) {
        return;
    }
    printf("\n%s, %d repetitions of %u pages\n%-44s %9s %9s %9s %8s\n", name, REPS, PAGES, "",
           "min", "median", "max", "to 1");
    for (int i = 0; i < 3; i++) {
        snprintf(names[i], sizeof names[i], "thousand faults a second; %u threads", numbers[i]);
        rates[i].name = names[i];
        rates[i].protocol = name;
        rates[i].unit = "1000/s";
        bench_print(&rates[i], &rates[0]);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(names[3 + i], sizeof names[0], "processor time a fault; %u threads", numbers[i]);
        cpus[i].name = names[3 + i];
        cpus[i].protocol = name;
        cpus[i].unit = "us";
        bench_print(&cpus[i], &cpus[0]);
    }
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 2, 2);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        measure(kind);
    }
    stop();
    return 0;
}
