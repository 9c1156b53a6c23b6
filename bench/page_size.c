/* SPDX-License-Identifier: BSD-3-Clause */
/* Time against page size, 4 KiB to 2 MiB, two PEs:
 *
 * - sequential read: PE 1 reads all of 8 MiB homed at PE 0, whose every page has changed since, us
 *   a MiB; beside MPI_Get of the same in pieces of a page;
 * - random read: PE 1 reads 256 words here and there in the same 8 MiB, us a word;
 * - false sharing: PE 0 writes the even blocks of 4 KiB of 256 KiB, a word each, PE 1 the odd ones,
 *   and each then reads its own again, between barriers, us an iteration.
 *
 * Under write-update the reads find what the barrier has brought; its cost is in 'change and
 * barrier', which all have. */
#include <string.h>

#include "pair.h"

#define BYTES  (8u << 20)
#define WORDS  (BYTES / 8)
#define READS  256u
#define SPAN   (256u << 10)
#define BLOCK  4096u
#define REPS   9
#define ROUNDS 20

static const size_t sizes[] = {4096, 16384, 65536, 262144, 1048576, 2097152};
static uint32_t order[WORDS / 512];
static uint64_t *buffer; /* a window's, or where a get goes */

static double from_pe1(double mine)
{
    MPI_Bcast(&mine, 1, MPI_DOUBLE, 1, MPI_COMM_WORLD);
    return mine;
}

/* PE 0 changes a word of each 4 KiB; both pass a barrier. */
static double change(volatile uint64_t *words, uint64_t round)
{
    double began = bench_now_us();
    for (uint32_t i = 0; i < WORDS && me == 0; i += 512) {
        words[i] = i + round;
    }
    barrier();
    return bench_now_us() - began;
}

static double read_all(volatile uint64_t *words, uint64_t round)
{
    double began = bench_now_us();
    uint64_t sum = 0, expected = 0;
    for (uint32_t i = 0; i < WORDS && me == 1; i++) {
        sum += words[i];
        expected += i % 512 == 0 ? i + round : 0;
    }
    demand(sum == expected, "sequential read");
    double took = bench_now_us() - began;
    barrier();
    return from_pe1(took) / (BYTES >> 20);
}

static double read_some(volatile uint64_t *words, uint64_t round)
{
    double began = bench_now_us();
    for (uint32_t i = 0; i < READS && me == 1; i++) {
        uint32_t at = order[i] * 512;
        demand(words[at] == at + round, "random read");
    }
    double took = bench_now_us() - began;
    barrier();
    return from_pe1(took) / READS;
}

static double write_beside(volatile uint64_t *words, uint64_t round)
{
    barrier();
    double began = bench_now_us();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        for (uint32_t block = (uint32_t)me; block < SPAN / BLOCK; block += 2) {
            volatile uint64_t *word = &words[block * (BLOCK / 8) + 7];
            demand(i == 0 || *word == round * ROUNDS + i - 1, "false sharing");
            *word = round * ROUNDS + i;
        }
        barrier();
    }
    return from_pe1(bench_now_us() - began) / ROUNDS;
}

static double get_all(MPI_Win window, size_t piece)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double began = bench_now_us();
    for (size_t at = 0; at < BYTES && me == 1; at += piece) {
        MPI_Get((char *)buffer + at, (int)piece, MPI_BYTE, 0, (MPI_Aint)at, (int)piece, MPI_BYTE,
                window);
        MPI_Win_flush(0, window);
    }
    double took = bench_now_us() - began;
    MPI_Barrier(MPI_COMM_WORLD);
    return from_pe1(took) / (BYTES >> 20);
}

static void measure(enum kind kind, size_t page_bytes, MPI_Win window)
{
    const char *protocol = kind_names[kind];
    struct hearth_region *region, *span_region;
    volatile uint64_t *words = region_new(&region, BYTES, kind, page_bytes, 0);
    volatile uint64_t *span = region_new(&span_region, SPAN, kind, page_bytes, 0);
    struct bench get = {.name = "MPI_Get of a page", .protocol = "MPI", .unit = "us/MiB"};
    struct bench sequential = {.name = "sequential read", .protocol = protocol, .unit = "us/MiB"};
    struct bench random = {.name = "random read", .protocol = protocol, .unit = "us/word"};
    struct bench changing = {.name = "change and barrier", .protocol = protocol};
    struct bench sharing = {.name = "false sharing", .protocol = protocol};
    struct bench *all[] = {&get, &sequential, &random, &changing, &sharing};
    for (uint64_t rep = 0; rep <= REPS; rep++) {
        /* The first one touches memory for the first time, and does not count. */
        double values[] = {get_all(window, page_bytes), 0, 0, 0, write_beside(span, rep)};
        change(words, 2 * rep);
        values[1] = read_all(words, 2 * rep);
        values[3] = change(words, 2 * rep + 1);
        values[2] = read_some(words, 2 * rep + 1);
        for (unsigned i = 0; i < 5 && rep > 0; i++) {
            bench_add(all[i], values[i]);
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        all[i]->page_bytes = page_bytes;
    }
    if (me == 0) {
        printf("pages of %zu KiB\n", page_bytes / 1024);
        if (kind == INVALIDATE) { /* once */
            bench_print(&get, NULL);
        }
        bench_print(&sequential, &get);
        bench_print(&random, NULL);
        bench_print(&changing, NULL);
        bench_print(&sharing, NULL);
    }
    region_end(span_region);
    region_end(region);
}

int main(int argc, char **argv)
{
    MPI_Win window;
    start(&argc, &argv, 2, 2);
    bench_shuffle(order, WORDS / 512);
    /* PE 0 exposes it, PE 1 gets into its own. */
    buffer = calloc(WORDS, 8);
    check(buffer == NULL, "calloc");
    memset(buffer, 1, BYTES);
    MPI_Win_create(buffer, BYTES, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &window);
    MPI_Win_lock_all(0, window);
    if (me == 0) {
        print_head("time against page size, us", "to get");
    }
    for (enum kind kind = 0; kind < KINDS; kind++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            measure(kind, sizes[i], window);
        }
    }
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    free(buffer);
    stop();
    return 0;
}
