/* SPDX-License-Identifier: BSD-3-Clause */
/* Many lock operations on many locks, whose data lie close together. */
#include <stdio.h>
#include <stdlib.h>

MAIN_ENV

enum { LOCKS = 1000 };

struct global {
    LOCKDEC(id_lock)
    ALOCKDEC(locks, LOCKS)
    long id, count[LOCKS], n_procs, operations;
};

static struct global *global;

static void worker(void)
{
    long id, i;
    unsigned long random;

    LOCK(global->id_lock)
    id = global->id++;
    UNLOCK(global->id_lock)
    random = (unsigned long)id * 7919 + 1;
    for (i = 0; i < global->operations / global->n_procs; i++) {
        long which;
        random = random * 6364136223846793005UL + 1442695040888963407UL;
        which = (long)(random >> 33) % LOCKS;
        ALOCK(global->locks, which)
        global->count[which]++;
        AULOCK(global->locks, which)
    }
}

int main(int argc, char **argv)
{
    long i, n = 0;
    unsigned long began, ended;

    MAIN_INITENV()
    global = (struct global *)G_MALLOC(sizeof(struct global));
    global->n_procs = argc > 1 ? atol(argv[1]) : 1;
    global->operations = argc > 2 ? atol(argv[2]) : 1000;
    LOCKINIT(global->id_lock)
    ALOCKINIT(global->locks, LOCKS)
    CLOCK(began)
    CREATE(worker, global->n_procs)
    WAIT_FOR_END(global->n_procs)
    CLOCK(ended)
    for (i = 0; i < LOCKS; i++)
        n += global->count[i];
    printf("counted %ld in %lu us\n", n, ended - began);
    MAIN_END
}
