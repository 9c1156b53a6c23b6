/* SPDX-License-Identifier: BSD-3-Clause */
/* Synchronisation by itself, beside what it is made of in MPI:
 *
 * - a barrier with nothing written, with a region of 1 MiB and of 16 GiB, beside MPI_Barrier and
 *   MPI_Ibarrier with MPI_Test;
 * - an acquire with 16,384 pages cached of which nothing changed, beside one with nothing cached;
 * - a lock handed to and fro with a counter inside, beside a message of 8 bytes that is;
 * - an uncontended lock and unlock of a lock homed at the other PE, beside two fetch-and-ops there;
 * - an addition to a counter homed at the other PE, beside one.
 *
 * Run with two PEs. */
#include "pair.h"

#define REPS     9
#define BARRIERS 2000
#define ACQUIRES 20000
#define TURNS    1000
#define LOCKS    2000
#define CACHED   16384u
#define PAGE     4096u

static volatile uint64_t sink;

/* --- barriers --- */

static double mpi_barriers(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int i = 0; i < BARRIERS; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
    }
    return (bench_now_us() - begin) / BARRIERS;
}

static double mpi_ibarriers(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int i = 0; i < BARRIERS; i++) {
        MPI_Request request;
        int done = 0;
        MPI_Ibarrier(MPI_COMM_WORLD, &request);
        while (!done) {
            MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        }
    }
    return (bench_now_us() - begin) / BARRIERS;
}

static double hearth_barriers(void)
{
    barrier();
    double begin = bench_now_us();
    for (int i = 0; i < BARRIERS; i++) {
        barrier();
    }
    return (bench_now_us() - begin) / BARRIERS;
}

static void barriers(void)
{
    static const struct {
        size_t bytes;
        const char *name;
    } sizes[] = {{(size_t)1 << 20, "with a region of 1 MiB"},
                 {(size_t)16 << 30, "with a region of 16 GiB"}};
    static struct bench mpi = {.name = "MPI_Barrier", .work = "barrier"};
    static struct bench test = {.name = "MPI_Ibarrier and MPI_Test", .work = "barrier"};
    static struct bench hearth[2];
    for (int rep = 0; rep < REPS; rep++) {
        bench_add(&mpi, mpi_barriers());
        bench_add(&test, mpi_ibarriers());
        for (int i = 0; i < 2; i++) {
            struct hearth_region *region;
            volatile char *shared = region_new(&region, sizes[i].bytes, INVALIDATE, 0, -1);
            /* Once around, so that there are copies and registrations. */
            shared[(size_t)me * (sizes[i].bytes / 2)] = 1;
            barrier();
            sink += (uint64_t)shared[(size_t)(1 - me) * (sizes[i].bytes / 2)];
            barrier();
            hearth[i].name = sizes[i].name;
            hearth[i].work = "barrier";
            hearth[i].protocol = "invalidate";
            bench_add(&hearth[i], hearth_barriers());
            region_end(region);
        }
    }
    if (me == 0) {
        print_head("a barrier with nothing written, us, 9 repetitions of 2000", "to MPI");
        bench_print(&mpi, NULL);
        bench_print(&test, &mpi);
        bench_print(&hearth[0], &mpi);
        bench_print(&hearth[1], &mpi);
    }
}

/* --- acquire --- */

static double acquires(void)
{
    double begin = bench_now_us();
    for (int i = 0; i < ACQUIRES; i++) {
        check(hearth_acquire(), "hearth_acquire");
    }
    return (bench_now_us() - begin) / ACQUIRES;
}

static void acquire(void)
{
    static struct bench none = {
        .name = "nothing cached", .work = "acquire", .protocol = "invalidate"};
    static struct bench many = {
        .name = "16384 pages cached", .work = "acquire", .protocol = "invalidate"};
    for (int rep = 0; rep < REPS; rep++) {
        struct hearth_region *region;
        volatile char *shared = region_new(&region, (size_t)CACHED * PAGE, INVALIDATE, 0, 1);
        barrier();
        if (me == 0) {
            bench_add(&none, acquires());
            for (size_t page = 0; page < CACHED; page++) {
                sink += (uint64_t)shared[page * PAGE];
            }
        }
        barrier();
        barrier();
        if (me == 0) {
            bench_add(&many, acquires());
        }
        barrier();
        region_end(region);
    }
    if (me == 0) {
        print_head("an acquire, nothing changed, us, 9 repetitions of 20000", "to none");
        bench_print(&none, NULL);
        bench_print(&many, &none);
    }
}

/* --- locks --- */

struct guarded {
    struct hearth_lock lock;
    uint64_t counter;
};

/* One turn is from one PE's having the lock to the other's. */
static double hand_overs(volatile struct guarded *guarded)
{
    struct hearth_lock lock = {guarded->lock.handle};
    uint64_t before = guarded->counter;
    barrier();
    double begin = bench_now_us();
    for (int i = 0; i < TURNS; i++) {
        check(hearth_lock_acquire(&lock), "hearth_lock_acquire");
        guarded->counter++;
        check(hearth_lock_release(&lock), "hearth_lock_release");
    }
    barrier();
    double us = (bench_now_us() - begin) / (2.0 * TURNS);
    demand(guarded->counter == before + 2 * TURNS, "lock hand-over");
    barrier();
    return us;
}

static double mpi_hand_overs(void)
{
    uint64_t counter = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int i = 0; i < 2 * TURNS; i++) {
        if (i % 2 == me) {
            counter++;
            MPI_Send(&counter, 1, MPI_UINT64_T, 1 - me, 1, MPI_COMM_WORLD);
        } else {
            MPI_Recv(&counter, 1, MPI_UINT64_T, 1 - me, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
    }
    double us = (bench_now_us() - begin) / (2.0 * TURNS);
    demand(counter == 2 * TURNS, "MPI hand-over");
    return us;
}

static struct guarded *guarded_new(struct hearth_region **region, enum kind kind)
{
    struct guarded *guarded = region_new(region, PAGE, kind, 0, 0);
    if (me == 0) {
        check(hearth_lock_init(&guarded->lock), "hearth_lock_init");
    }
    barrier();
    return guarded;
}

static void guarded_end(struct guarded *guarded, struct hearth_region *region)
{
    if (me == 0) {
        check(hearth_lock_destroy(&guarded->lock), "hearth_lock_destroy");
    }
    region_end(region);
}

static void hand_over(void)
{
    static struct bench mpi = {.name = "MPI message of 8 bytes", .work = "lock hand-over"};
    static struct bench hearth[KINDS];
    struct hearth_region *region[KINDS];
    struct guarded *guarded[KINDS];
    for (int kind = 0; kind < KINDS; kind++) {
        guarded[kind] = guarded_new(&region[kind], (enum kind)kind);
        hearth[kind].name = "lock, counter, unlock";
        hearth[kind].work = "lock hand-over";
        hearth[kind].protocol = kind_names[kind];
    }
    for (int rep = 0; rep < REPS; rep++) {
        bench_add(&mpi, mpi_hand_overs());
        for (int kind = 0; kind < KINDS; kind++) {
            bench_add(&hearth[kind], hand_overs(guarded[kind]));
        }
    }
    if (me == 0) {
        print_head("a lock handed to the other PE, us, 9 repetitions of 2000", "to MPI");
        bench_print(&mpi, NULL);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        if (me == 0) {
            bench_print(&hearth[kind], &mpi);
        }
        guarded_end(guarded[kind], region[kind]);
    }
}

static double fetch_and_ops(MPI_Win window, int each)
{
    uint64_t one = 1, old;
    double begin = bench_now_us();
    for (int i = 0; i < each * LOCKS; i++) {
        MPI_Fetch_and_op(&one, &old, MPI_UINT64_T, 1, 0, MPI_SUM, window);
        MPI_Win_flush(1, window);
    }
    return (bench_now_us() - begin) / LOCKS;
}

static double additions(const struct hearth_counter *counter)
{
    double begin = bench_now_us();
    for (int i = 0; i < LOCKS; i++) {
        hearth_counter_fetch_add(counter, 1);
    }
    return (bench_now_us() - begin) / LOCKS;
}

static double lock_and_unlock(const struct hearth_lock *lock)
{
    double begin = bench_now_us();
    for (int i = 0; i < LOCKS; i++) {
        check(hearth_lock_acquire(lock), "hearth_lock_acquire");
        check(hearth_lock_release(lock), "hearth_lock_release");
    }
    return (bench_now_us() - begin) / LOCKS;
}

static void uncontended(void)
{
    static struct bench mpi = {.name = "two MPI_Fetch_and_op", .work = "uncontended lock"};
    static struct bench mpi_one = {.name = "one MPI_Fetch_and_op", .work = "counter"};
    static struct bench add = {.name = "hearth_counter_fetch_add", .work = "counter"};
    static struct bench hearth = {.name = "lock, unlock, home elsewhere",
                                  .work = "uncontended lock",
                                  .protocol = "invalidate"};
    MPI_Win window;
    uint64_t *word;
    struct hearth_lock lock = {0};
    struct hearth_counter counter = {0};
    MPI_Win_allocate(4096, 8, MPI_INFO_NULL, MPI_COMM_WORLD, &word, &window);
    *word = 0;
    MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
    if (me == 1) {
        check(hearth_lock_init(&lock), "hearth_lock_init");
        check(hearth_counter_init(&counter, 0), "hearth_counter_init");
    }
    MPI_Bcast(&lock, sizeof lock, MPI_BYTE, 1, MPI_COMM_WORLD);
    MPI_Bcast(&counter, sizeof counter, MPI_BYTE, 1, MPI_COMM_WORLD);
    for (int rep = 0; rep < REPS && me == 0; rep++) {
        bench_add(&mpi, fetch_and_ops(window, 2));
        bench_add(&mpi_one, fetch_and_ops(window, 1));
        bench_add(&hearth, lock_and_unlock(&lock));
        bench_add(&add, additions(&counter));
    }
    barrier();
    demand(hearth_counter_load(&counter) == REPS * LOCKS, "counter");
    barrier();
    if (me == 1) {
        check(hearth_counter_destroy(&counter), "hearth_counter_destroy");
        check(hearth_lock_destroy(&lock), "hearth_lock_destroy");
    }
    MPI_Win_unlock_all(window);
    MPI_Win_free(&window);
    if (me == 0) {
        print_head(
            "an uncontended lock and a counter homed at the other PE, us, 9 repetitions of 2000",
            "to MPI");
        bench_print(&mpi, NULL);
        bench_print(&hearth, &mpi);
        bench_print(&mpi_one, NULL);
        bench_print(&add, &mpi_one);
    }
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 2, 2);
    barriers();
    acquire();
    hand_over();
    uncontended();
    stop();
    return 0;
}
