/* SPDX-License-Identifier: BSD-3-Clause */
#include "waits.H"

EXTERN_ENV

void fail(const char *what)
{
    fprintf(stderr, "waits: not so: %s\n", what);
    exit(2);
}

static long next_id(void)
{
    long id;

    LOCK(global->lock)
    id = global->ids++;
    UNLOCK(global->lock)
    return id;
}

/* Each in turn, by a condition variable that all wait for. */
static void take_turns(long id)
{
    int round;

    for (round = 0; round < ROUNDS; round++) {
        LOCK(global->lock)
        while (global->turn != id) {
            CONDVARWAIT(global->changed, global->lock);
        }
        global->turns++;
        global->turn = (global->turn + 1) % global->n_procs;
        CONDVARBCAST(global->changed)
        UNLOCK(global->lock)
    }
}

/* A pause for each: the token is handed on. */
static void hand_on(long id)
{
    WAITPAUSE(global->each, id)
    CLEARPAUSE(global->each)
    if (id + 1 < global->n_procs) {
        SETPAUSE(global->each, id + 1)
    }
}

/* Thousands of condition variables of one lock, made by workers, each waited for by its
 * neighbour. */
static void wait_for_many(long id)
{
    long i;

    for (i = id; i < CONDS; i += global->n_procs) {
        CONDVARINIT(global->many[i].cond)
    }
    BARRIER(global->bar, global->n_procs)
    for (i = id; i < CONDS; i += 50) {
        LOCK(global->lock)
        if (i % global->n_procs == id) {
            global->many[i].set = 1;
            CONDVARSIGNAL(global->many[i].cond)
        }
        UNLOCK(global->lock)
    }
    BARRIER(global->bar, global->n_procs)
}

static void read_file(long id)
{
    extern char *input_name;
    int fd = open(input_name, O_RDONLY), i;
    long n = global->size * (long)sizeof(int);
    FILE *file;

    if (fd < 0 || read(fd, global->copy[id], (size_t)n) != n || close(fd) != 0)
        fail("read into shared memory");
    for (i = 0; i < global->size; i++)
        global->sum[id] += global->copy[id][i];
    file = fopen(input_name, "r");
    if (file == NULL ||
        fread(global->copy[id], sizeof(int), (size_t)global->size, file) != (size_t)global->size)
        fail("fread into shared memory");
    fclose(file);
}

char *input_name = "waits.bin";

void work(void)
{
    long id = next_id();

    WAITPAUSE(global->ready)
    SETPAUSE(global->ready)
    take_turns(id);
    hand_on(id);
    wait_for_many(id);
    read_file(id);
    RELEASE_FENCE
    ACQUIRE_FENCE
    FULL_FENCE
    BARRIER(global->bar, global->n_procs)
}

void again(void)
{
    LOCK(global->lock)
    global->again++;
    UNLOCK(global->lock)
}
