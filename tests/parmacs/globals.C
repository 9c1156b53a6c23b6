/* SPDX-License-Identifier: BSD-3-Clause */
/* Static variables that all share, as threads would: hearthcc --parmacs --shared-globals. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

MAIN_ENV

enum { PES_MAX = 64, CELLS = 100000, ROUNDS = 50 };

LOCKDEC(sum_lock)
BARDEC(step)
long n_procs, next_id, sum = 1000; /* .bss, .bss, .data */
static long marks[PES_MAX], cells[CELLS];
static const char *greeting = "shared"; /* a pointer into the program, which lies the same */
static unsigned char bytes[CELLS];
static long *on_heap;
static FILE *out; /* PE 0's stdout, which lies the same if the system lets the program start anew */
static __thread long my_own = 7;

static void fail(const char *what, long value)
{
    fprintf(stderr, "globals: not so: %s (%ld)\n", what, value);
    exit(2);
}

static long my_turn(void)
{
    static long turns; /* shared too */

    return ++turns;
}

static void worker(void)
{
    long id, i, round;

    BARINCLUDE(step)
    GET_PID(id)
    if (id < 0 || id >= n_procs)
        fail("GET_PID", id);
    LOCK(sum_lock)
    id = next_id++;
    UNLOCK(sum_lock)
    my_own += id;
    for (round = 0; round < ROUNDS; round++) {
        LOCK(sum_lock)
        sum += id + 1;
        if (my_turn() > n_procs * ROUNDS)
            fail("turns", id);
        UNLOCK(sum_lock)
        for (i = id; i < CELLS; i += n_procs) { /* neighbouring words, and bytes */
            cells[i] += i + round;
            bytes[i]++;
        }
        BARRIER(step, n_procs)
        i = (id * 977 + round * 131) % CELLS;
        if (cells[i] != (round + 1) * i + round * (round + 1) / 2)
            fail("cell", i);
        if (bytes[i] != round + 1)
            fail("byte", i);
        BARRIER(step, n_procs)
    }
    marks[id] = 100 + id;
    on_heap[id] = id;
    if (my_own != 7 + id)
        fail("a thread-local variable", my_own);
    if (strcmp(greeting, "shared") != 0)
        fail("greeting", id);
    errno = 0;
    if (getenv("SAME_ADDRESSES") != NULL && out != stdout)
        fail("stdout of PE 0", id);
    if (id == n_procs - 1)
        fprintf(out == stdout ? out : stdout, "worker\n");
}

static void at_end(void)
{
    if (sum != 1000 + ROUNDS * n_procs * (n_procs + 1) / 2) /* private again, as it was */
        fprintf(stderr, "globals: the sum is lost: %ld\n", sum);
}

int main(int argc, char **argv)
{
    long i, found = 0;

    MAIN_INITENV(, 1000000)
    n_procs = argc > 1 ? atol(argv[1]) : 1;
    atexit(at_end);
    out = stdout;
    LOCKINIT(sum_lock)
    BARINIT(step, n_procs)
    BARINCLUDE(step)
    THREAD_INIT_FREE()
    AUG_ON
    on_heap = G_MALLOC(PES_MAX * sizeof *on_heap);
    for (i = 0; i < PES_MAX; i++)
        marks[i] = -1;
    CREATE(worker, n_procs)
    WAIT_FOR_END(n_procs)
    for (i = 0; i < n_procs; i++)
        found += marks[i] == 100 + i && on_heap[i] == i;
    printf("found %ld sum %ld next %ld\n", found, sum, next_id);
    MAIN_END
}
