/* SPDX-License-Identifier: BSD-3-Clause */
/* Two ways of sharing between barriers, by write-invalidate and write-update, beside MPI:
 *
 * - producer and consumer: PE 0 writes all words of 1, 16 or 256 pages, PE 1 reads them all. There
 *   are two buffers, so that the producer fills the one while the consumer reads the other, and one
 *   barrier an iteration. The pages' home is the producer, or the consumer. In MPI: fill, send;
 *   receive, read, of two buffers likewise;
 * - alternate words: of 64 pages, two PEs write every other 8-byte word each. In MPI each packs its
 *   words, they exchange them, and each unpacks.
 *
 * Every word is looked at. Run with two PEs. */
#include <string.h>

#include "pair.h"

#define REPS       9
#define PAGE       4096u
#define PAGE_WORDS (PAGE / sizeof(uint64_t))
#define ALTERNATE  64u

/* --- producer and consumer --- */

static int iterations(unsigned pages)
{
    return pages == 1 ? 2000 : pages == 16 ? 500 : 250;
}

static double mpi_produce(uint64_t *private, unsigned pages, uint64_t *value)
{
    int n = iterations(pages), right = 1;
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int i = 0; i < n; i++, ++*value) {
        uint64_t *half = private + (*value & 1) * pages * PAGE_WORDS;
        if (me == 0) {
            bench_fill(half, pages * PAGE_WORDS, bench_first(*value));
            MPI_Send(half, (int)(pages * PAGE), MPI_BYTE, 1, 1, MPI_COMM_WORLD);
        } else {
            MPI_Recv(half, (int)(pages * PAGE), MPI_BYTE, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            right &= bench_is_filled(half, pages * PAGE_WORDS, bench_first(*value));
        }
    }
    MPI_Barrier(MPI_COMM_WORLD);
    double us = (bench_now_us() - begin) / n;
    demand(right, "producer-consumer by MPI");
    return us;
}

static double hearth_produce(uint64_t *shared, unsigned pages, uint64_t *value)
{
    int n = iterations(pages), right = 1;
    barrier();
    double begin = bench_now_us();
    for (int i = 0; i < n; i++, ++*value) {
        uint64_t *half = shared + (*value & 1) * pages * PAGE_WORDS;
        if (me == 0) {
            bench_fill(half, pages * PAGE_WORDS, bench_first(*value));
        }
        barrier();
        if (me == 1) {
            right &= bench_is_filled(half, pages * PAGE_WORDS, bench_first(*value));
        }
    }
    barrier();
    double us = (bench_now_us() - begin) / n;
    demand(right, "producer-consumer");
    return us;
}

/* Protocol and home, in the order of the output. */
enum { HOWS = 4 };
static const char *const home_names[] = {"the producer is home", "the consumer is home"};

static void produce(unsigned pages)
{
    static char work[3][40];
    static int called;
    char *name = work[called++];
    snprintf(name, sizeof work[0], "producer-consumer %u", pages);
    struct bench mpi = {.name = "MPI_Send and MPI_Recv", .work = name}, hearth[HOWS];
    struct hearth_region *region[HOWS];
    uint64_t *shared[HOWS], value[HOWS + 1] = {0};
    uint64_t *private = malloc(2 * (size_t)pages * PAGE);
    check(private == NULL, "malloc");
    for (int how = 0; how < HOWS; how++) {
        shared[how] =
            region_new(&region[how], (size_t)2 * pages * PAGE, (enum kind)(how % 2), 0, how / 2);
        hearth[how] = (struct bench){
            .name = home_names[how / 2], .work = name, .protocol = kind_names[how % 2]};
        hearth_produce(shared[how], pages, &value[how]); /* to be in a steady state */
    }
    for (int rep = 0; rep < REPS; rep++) {
        bench_add(&mpi, mpi_produce(private, pages, &value[HOWS]));
        for (int how = 0; how < HOWS; how++) {
            bench_add(&hearth[how], hearth_produce(shared[how], pages, &value[how]));
        }
    }
    if (me == 0) {
        char title[80];
        snprintf(title, sizeof title,
                 "%u page%s produced and consumed an iteration, us, 9 times %d", pages,
                 pages == 1 ? "" : "s", iterations(pages));
        print_head(title, "to MPI");
        bench_print(&mpi, NULL);
        for (int how = 0; how < HOWS; how++) {
            bench_print(&hearth[how], &mpi);
        }
    }
    for (int how = 0; how < HOWS; how++) {
        region_end(region[how]);
    }
    free(private);
}

/* --- alternate words --- */

#define WORDS ((size_t)ALTERNATE * PAGE_WORDS)
#define TURNS 50

static double mpi_alternate(uint64_t *words, uint64_t *value)
{
    static uint64_t out[WORDS / 2], in[WORDS / 2];
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int turn = 0; turn < TURNS; turn++, ++*value) {
        for (size_t i = 0; i < WORDS / 2; i++) {
            words[2 * i + (size_t)me] = out[i] = *value + i;
        }
        MPI_Sendrecv(out, (int)sizeof out, MPI_BYTE, 1 - me, 1, in, (int)sizeof in, MPI_BYTE,
                     1 - me, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (size_t i = 0; i < WORDS / 2; i++) {
            words[2 * i + (size_t)(1 - me)] = in[i];
        }
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return (bench_now_us() - begin) / TURNS;
}

/* Write mine, barrier; the neighbours' are looked at once at the end. */
static double hearth_alternate(uint64_t *words, uint64_t *value)
{
    barrier();
    double begin = bench_now_us();
    for (int turn = 0; turn < TURNS; turn++, ++*value) {
        for (size_t i = 0; i < WORDS / 2; i++) {
            words[2 * i + (size_t)me] = *value + i;
        }
        barrier();
    }
    double us = (bench_now_us() - begin) / TURNS;
    uint64_t wrong = 0;
    for (size_t i = 0; i < WORDS / 2; i++) {
        wrong |= words[2 * i + (size_t)(1 - me)] ^ (*value - 1 + i);
    }
    demand(wrong == 0, "alternate words");
    barrier();
    return us;
}

static void alternate(void)
{
    static uint64_t private[WORDS];
    static struct bench mpi = {.name = "pack, MPI_Sendrecv, unpack", .work = "alternate words"};
    struct bench hearth[2];
    struct hearth_region *region[2];
    uint64_t *shared[2], value[3] = {0};
    for (int kind = 0; kind < 2; kind++) {
        shared[kind] = region_new(&region[kind], WORDS * sizeof(uint64_t), (enum kind)kind, 0, -1);
        hearth[kind] = (struct bench){
            .name = "stores", .work = "alternate words", .protocol = kind_names[kind]};
        hearth_alternate(shared[kind], &value[kind]);
    }
    for (int rep = 0; rep < REPS; rep++) {
        bench_add(&mpi, mpi_alternate(private, &value[2]));
        for (int kind = 0; kind < 2; kind++) {
            bench_add(&hearth[kind], hearth_alternate(shared[kind], &value[kind]));
        }
    }
    if (me == 0) {
        print_head("alternate 8-byte words of 64 pages, us, 9 repetitions of 50", "to MPI");
        bench_print(&mpi, NULL);
        bench_print(&hearth[0], &mpi);
        bench_print(&hearth[1], &mpi);
    }
    region_end(region[0]);
    region_end(region[1]);
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 2, 2);
    produce(1);
    produce(16);
    produce(256);
    alternate();
    stop();
    return 0;
}
