/* SPDX-License-Identifier: BSD-3-Clause */
/* Which protocol for which sharing pattern: each pattern under each protocol, with pages of 4, 16
 * and 64 KiB, beside what one would write in MPI. Every PE looks at what it reads. An iteration is:
 *
 *   false sharing      each PE writes and then reads its own cache lines of 64 KiB, dealt in turn;
 *                      barrier. MPI: a barrier
 *   migratory          with a lock held, read and write all words of an object of 16 KiB; then the
 *                      next PE. MPI: the object goes round in messages
 *   producer-consumer  each PE writes its 64 KiB; barrier; reads the next PE's; barrier. MPI:
 *                      MPI_Sendrecv around a ring
 *   rarely read        the same, but it reads only every 16th time. MPI: MPI_Sendrecv then
 *   read-mostly        PE 0 writes one word of a table of 256 KiB; barrier; all read the whole
 * table; barrier. MPI: each has the table, and the word is broadcast all-to-all         256 KiB in
 * all, a block for each pair of PEs: write one's row of blocks, barrier, read one's column,
 * barrier. MPI: MPI_Alltoall
 *
 * Homes are in equal shares. Run with two PEs or more (at most 8). With more PEs than cores MPI is
 * left out: its blocking calls then burn whole time slices, and nothing is measured but those. */
#include <string.h>
#include <unistd.h>

#include "pair.h"

#define REPS    9
#define PES_MAX 8
#define LINE    8u /* words */

enum pattern { FALSE_SHARING, MIGRATORY, PRODUCER, RARELY, READ_MOSTLY, ALL_TO_ALL, PATTERNS };

struct shape {
    const char *name;
    size_t bytes; /* in all; 0: 64 KiB a PE */
    int turns;    /* iterations of one repetition */
    int slower;   /* ...divided by this under HEARTH_SEQUENTIAL */
};
static const struct shape shapes[PATTERNS] = {
    {"false sharing", 65536, 16, 8}, {"migratory", 16384, 60, 3},
    {"producer-consumer", 0, 32, 2}, {"rarely read", 0, 64, 2},
    {"read-mostly", 262144, 24, 2},  {"all-to-all", 262144, 16, 4}};
static const size_t page_sizes[] = {4096, 16384, 65536};
enum { PAGE_SIZES = 3 };

static size_t total_bytes(enum pattern pattern)
{
    return shapes[pattern].bytes != 0 ? shapes[pattern].bytes : (size_t)65536 * (size_t)n_pes;
}

/* --- what is written and read, in Hearth and in MPI --- */

static uint64_t of(int pe, uint64_t turn)
{
    return ((uint64_t)pe + 1) << 40 | turn << 20;
}

/* My lines of the array; the turn's value, and it is looked at before it is written again. */
static int my_lines(uint64_t *words, size_t n, uint64_t turn, int first)
{
    int right = 1;
    for (size_t at = (size_t)me * LINE; at < n; at += (size_t)n_pes * LINE) {
        right &= first || bench_is_filled(words + at, LINE, of(me, turn - 1));
        bench_fill(words + at, LINE, of(me, turn));
    }
    return right;
}

static int column(const uint64_t *blocks, size_t block, size_t row, uint64_t turn)
{
    int right = 1;
    for (int pe = 0; pe < n_pes; pe++) {
        right &=
            bench_is_filled(blocks + (size_t)pe * row, block, of(pe, turn) + (uint64_t)me * block);
    }
    return right;
}

/* --- Hearth --- */

static struct hearth_lock turn_lock;
static struct hearth_counter whose;

static int migrate(uint64_t *words, size_t n, uint64_t turn)
{
    int right;
    for (uint64_t mine = turn * (uint64_t)n_pes + (uint64_t)me;;) {
        check(hearth_lock_acquire(&turn_lock), "hearth_lock_acquire");
        if ((uint64_t)hearth_counter_load(&whose) == mine) {
            right = bench_is_filled(words, n, mine);
            bench_fill(words, n, mine + 1);
            hearth_counter_fetch_add(&whose, 1);
            check(hearth_lock_release(&turn_lock), "hearth_lock_release");
            return right;
        }
        check(hearth_lock_release(&turn_lock), "hearth_lock_release");
    }
}

/* One iteration. */
static int by_hearth(enum pattern pattern, uint64_t *words, uint64_t turn, int first)
{
    size_t n = total_bytes(pattern) / sizeof(uint64_t), share = n / (size_t)n_pes;
    int next = (me + 1) % n_pes, right = 1;
    switch (pattern) {
    case FALSE_SHARING:
        right = my_lines(words, n, turn, first);
        barrier();
        return right;
    case MIGRATORY:
        return migrate(words, n, turn);
    case PRODUCER:
    case RARELY:
        bench_fill(words + (size_t)me * share, share, of(me, turn));
        barrier();
        if (pattern == PRODUCER || turn % 16 == 0) {
            right = bench_is_filled(words + (size_t)next * share, share, of(next, turn));
        }
        break;
    case READ_MOSTLY:
        if (me == 0) {
            words[turn * 1031 % n] = turn * 1031 % n;
        }
        barrier();
        right = bench_is_filled(words, n, 0);
        break;
    case ALL_TO_ALL:
        bench_fill(words + (size_t)me * share, share, of(me, turn));
        barrier();
        right = column(words + (size_t)me * (share / (size_t)n_pes), share / (size_t)n_pes, share,
                       turn);
        break;
    case PATTERNS:
        break;
    }
    barrier();
    return right;
}

static double hearth_turns(enum pattern pattern, uint64_t *words, uint64_t *turn, int n)
{
    int right = 1;
    barrier();
    double begin = bench_now_us();
    for (int i = 0; i < n; i++, ++*turn) {
        right &= by_hearth(pattern, words, *turn, *turn == 0);
    }
    barrier();
    double us = (bench_now_us() - begin) / n;
    demand(right, shapes[pattern].name);
    return pattern == MIGRATORY ? us / n_pes : us;
}

/* --- MPI --- */

static int mpi_migrate(uint64_t *words, int bytes, uint64_t turn, int last)
{
    uint64_t mine = turn * (uint64_t)n_pes + (uint64_t)me;
    size_t n = (size_t)bytes / sizeof(uint64_t);
    if (mine != 0) {
        MPI_Recv(words, bytes, MPI_BYTE, (me + n_pes - 1) % n_pes, 1, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    }
    int right = bench_is_filled(words, n, mine);
    bench_fill(words, n, mine + 1);
    if (!last || me != n_pes - 1) {
        MPI_Send(words, bytes, MPI_BYTE, (me + 1) % n_pes, 1, MPI_COMM_WORLD);
    }
    return right;
}

/* words: mine; other: room for as much as comes. */
static int by_mpi(enum pattern pattern, uint64_t *words, uint64_t *other, uint64_t turn, int last)
{
    size_t bytes = total_bytes(pattern), n = bytes / sizeof(uint64_t), share = n / (size_t)n_pes;
    int next = (me + 1) % n_pes, before = (me + n_pes - 1) % n_pes, right = 1;
    int share_bytes = (int)(share * sizeof(uint64_t));
    uint64_t word = turn * 1031 % n;
    switch (pattern) {
    case FALSE_SHARING:
        right = my_lines(words, n, turn, turn == 0);
        MPI_Barrier(MPI_COMM_WORLD);
        break;
    case MIGRATORY:
        right = mpi_migrate(words, (int)bytes, turn, last);
        break;
    case PRODUCER:
    case RARELY:
        bench_fill(words, share, of(me, turn));
        if (pattern == PRODUCER || turn % 16 == 0) {
            MPI_Sendrecv(words, share_bytes, MPI_BYTE, before, 1, other, share_bytes, MPI_BYTE,
                         next, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            right = bench_is_filled(other, share, of(next, turn));
        }
        break;
    case READ_MOSTLY:
        MPI_Bcast(&word, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
        words[word] = word;
        right = bench_is_filled(words, n, 0);
        break;
    case ALL_TO_ALL:
        bench_fill(words, share, of(me, turn));
        MPI_Alltoall(words, share_bytes / n_pes, MPI_BYTE, other, share_bytes / n_pes, MPI_BYTE,
                     MPI_COMM_WORLD);
        right = column(other, share / (size_t)n_pes, share / (size_t)n_pes, turn);
        break;
    case PATTERNS:
        break;
    }
    return right;
}

static double mpi_turns(enum pattern pattern, uint64_t *words, uint64_t *other, int n)
{
    int right = 1;
    bench_fill(words, total_bytes(pattern) / sizeof(uint64_t), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int i = 0; i < n; i++) {
        right &= by_mpi(pattern, words, other, (uint64_t)i, i + 1 == n);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    double us = (bench_now_us() - begin) / n;
    demand(right, "MPI");
    return pattern == MIGRATORY ? us / n_pes : us;
}

/* --- all of it --- */

static void prepare(enum pattern pattern, uint64_t *words)
{
    size_t n = total_bytes(pattern) / sizeof(uint64_t);
    if (me == 0 && (pattern == MIGRATORY || pattern == READ_MOSTLY)) {
        bench_fill(words, n, 0);
    }
    if (me == 0) {
        check(hearth_counter_store(&whose, 0), "hearth_counter_store");
    }
    barrier();
}

/* MPI and Hearth take turns, so that what else the machine does meets both. */
static void measure(enum pattern pattern, struct bench *mpi, struct bench (*hearth)[PAGE_SIZES],
                    struct bench (*beside)[PAGE_SIZES])
{
    const struct shape *shape = &shapes[pattern];
    uint64_t *words = malloc(total_bytes(pattern)), *other = malloc(total_bytes(pattern));
    check(words == NULL || other == NULL, "malloc");
    *mpi = (struct bench){.name = "MPI", .work = shape->name, .pes = n_pes};
    for (int i = 0; i < KINDS * PAGE_SIZES; i++) {
        int kind = i / PAGE_SIZES, size = i % PAGE_SIZES;
        int turns = shape->turns / (kind == SEQUENTIAL ? shape->slower : 1);
        struct hearth_region *region;
        uint64_t turn = 0, *shared = region_new(&region, total_bytes(pattern), (enum kind)kind,
                                                page_sizes[size], -1);
        prepare(pattern, shared);
        beside[kind][size] = *mpi;
        beside[kind][size].n = 0;
        hearth[kind][size] = (struct bench){.name = "Hearth",
                                            .work = shape->name,
                                            .protocol = kind_names[kind],
                                            .page_bytes = page_sizes[size],
                                            .pes = n_pes};
        hearth_turns(pattern, shared, &turn, turns); /* to be in a steady state */
        for (int rep = 0; rep < REPS; rep++) {
            if (n_pes <= sysconf(_SC_NPROCESSORS_ONLN)) {
                double us = mpi_turns(pattern, words, other, shape->turns);
                bench_add(mpi, us);
                bench_add(&beside[kind][size], us);
            }
            bench_add(&hearth[kind][size], hearth_turns(pattern, shared, &turn, turns));
        }
        barrier();
        region_end(region);
    }
    free(words);
    free(other);
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 2, PES_MAX);
    if (me == 0) {
        check(hearth_lock_init(&turn_lock), "hearth_lock_init");
        check(hearth_counter_init(&whose, 0), "hearth_counter_init");
    }
    MPI_Bcast(&turn_lock, sizeof turn_lock, MPI_BYTE, 0, MPI_COMM_WORLD);
    MPI_Bcast(&whose, sizeof whose, MPI_BYTE, 0, MPI_COMM_WORLD);
    for (int pattern = 0; pattern < PATTERNS; pattern++) {
        static struct bench mpi, hearth[KINDS][PAGE_SIZES], beside[KINDS][PAGE_SIZES];
        measure((enum pattern)pattern, &mpi, hearth, beside);
        if (me != 0) {
            continue;
        }
        char title[80];
        snprintf(title, sizeof title, "%s, %d PEs, us an iteration, 9 repetitions",
                 shapes[pattern].name, n_pes);
        print_head(title, "to MPI");
        if (mpi.n > 0) {
            bench_print(&mpi, NULL);
        }
        for (int size = 0; size < PAGE_SIZES; size++) {
            printf("pages of %zu KiB\n", page_sizes[size] / 1024);
            for (int kind = 0; kind < KINDS; kind++) {
                bench_print(&hearth[kind][size], mpi.n > 0 ? &beside[kind][size] : NULL);
            }
        }
    }
    barrier();
    if (me == 0) {
        check(hearth_counter_destroy(&whose), "hearth_counter_destroy");
        check(hearth_lock_destroy(&turn_lock), "hearth_lock_destroy");
    }
    stop();
    return 0;
}
