/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, a barrier, a condition variable and pauses that are variables of the program, on any PE, not
 * in shared memory: without shared globals each PE has a copy, and all must mean the same object. What
 * main does with them before CREATE counts once. */
#include <stdio.h>
#include <stdlib.h>

MAIN_ENV

EXTERN_ENV

include(statics.h)

LOCKDEC(id_lock)
ALOCKDEC(locks, 4)
BARDEC(bar)
CONDVARDEC(turned)
PAUSEDEC(posted)

static void work(void)
{
    long id, i;

    LOCK(id_lock)
    id = global->next_id++;
    UNLOCK(id_lock)
    for (i = 0; i < ROUNDS; i++) {
        ALOCK(locks, i % 4)
        global->turns[i % 4]++;
        AULOCK(locks, i % 4)
    }
    BARRIER(bar, global->n_procs)
    LOCK(id_lock)
    while (global->turn != id) {
        CONDVARWAIT(turned, id_lock)
    }
    printf("worker %ld\n", id);
    fflush(stdout);
    global->turn++;
    CONDVARBCAST(turned)
    UNLOCK(id_lock)
    BARRIER(bar, global->n_procs)
    WAITPAUSE(posted) /* one for each, posted before CREATE */
}

int main(int argc, char **argv)
{
    long i;

    MAIN_INITENV()
    global = (struct global *)G_MALLOC(sizeof(struct global))
    global->n_procs = argc > 1 ? atol(argv[1]) : 1;
    LOCKINIT(id_lock)
    ALOCKINIT(locks, 4)
    BARINIT(bar, global->n_procs)
    CONDVARINIT(turned)
    PAUSEINIT(posted)
    for (i = 0; i < global->n_procs + 1; i++) {
        SETPAUSE(posted)
    }
    WAITPAUSE(posted)
    LOCK(id_lock) /* held until after CREATE, by one process alone */
    printf("header\n");
    for (i = 1; i < global->n_procs; i++) {
        CREATE(work)
    }
    UNLOCK(id_lock)
    work();
    WAIT_FOR_END(global->n_procs - 1)
    for (i = 0; i < 4; i++)
        if (global->turns[i] != global->n_procs * ROUNDS / 4)
            printf("WRONG: %ld turns of %ld\n", global->turns[i], global->n_procs * ROUNDS / 4);
    printf("end\n");
    MAIN_END
}
