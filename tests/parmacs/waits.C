/* SPDX-License-Identifier: BSD-3-Clause */
/* Condition variables, pauses, arrays of them, fences; workers created one by one; standard input;
 * system calls on shared memory. */
#include "waits.H"

MAIN_ENV

EXTERN_ENV

struct global *global;

static void take_input(void)
{
    int i;

    if (scanf("%ld %ld", &global->size, &global->seed) != 2)
        fail("input");
    for (i = 0; i < global->size && i < INPUT_MAX; i++)
        if (scanf("%d", &global->input[i]) != 1)
            fail("input of numbers");
}

static void make_file(const char *name)
{
    FILE *file = fopen(name, "w");

    if (file == NULL || fwrite(global->input, sizeof(int), (size_t)global->size, file) !=
                            (size_t)global->size || fclose(file) != 0)
        fail("fwrite from shared memory");
}

int main(int argc, char **argv)
{
    long i;

    MAIN_INITENV()
    global = (struct global *)G_MALLOC(sizeof(struct global));
    global->n_procs = argc > 1 ? atol(argv[1]) : 1;
    take_input();
    LOCKINIT(global->lock)
    BARINIT(global->bar)
    CONDVARINIT(global->changed)
    PAUSEINIT(global->ready)
    PAUSEINIT(global->each, PES_MAX)
    SETPAUSE(global->each, 0) /* early: it is remembered */
    printf("sum of nothing\n");
    for (i = 1; i < global->n_procs; i++) {
        CREATE(work);
    }
    make_file(argv[2]);
    SETPAUSE(global->ready);
    work();
    WAIT_FOR_END(global->n_procs - 1)
    if (global->turns != global->n_procs * ROUNDS)
        fail("turns");
    for (i = 0; i < global->n_procs; i++)
        if (global->sum[i] != global->sum[0])
            fail("read into shared memory");
    for (i = 1; i < global->n_procs; i++) {
        CREATE(again)
    }
    again();
    WAIT_FOR_END(global->n_procs - 1)
    printf("sum %ld again %ld seed %ld\n", global->sum[0], global->again, global->seed);
    return 0;
}
