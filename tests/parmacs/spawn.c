/* SPDX-License-Identifier: BSD-3-Clause */
/* hearth_replay, hearth_spawn and hearth_join without the macros, and their errors. */
#include <hearth_spawn.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct shared {
    struct hearth_lock lock;
    int ran, refused;
    char *late[64];
} * shared;
static int private_too = 1;

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "spawn: not so: %s (%s)\n", what, hearth_error_message());
        exit(2);
    }
}

static void work(void)
{
    int me = hearth_my_pe();

    must(private_too == 5, "private variables are as main left them");
    hearth_lock_acquire(&shared->lock);
    shared->ran++;
    if (me != 0)
        shared->refused += hearth_spawn(work, 0) == HEARTH_EPERM && hearth_join() == HEARTH_EPERM;
    shared->late[me] = hearth_shared_malloc(10000);
    must(shared->late[me] != NULL && (size_t)shared->late[me] % 4096 == 0, "memory in a worker");
    strcpy(shared->late[me], "late");
    hearth_lock_release(&shared->lock);
    printf("a worker\n");
}

static void leave(void)
{
    exit(3);
}

static void check_before(void)
{
    char *first = hearth_shared_malloc(1);

    must(hearth_shared_malloc(0) == NULL, "0 bytes");
    must(hearth_shared_malloc((size_t)1 << 46) == NULL, "too much");
    must(first != NULL && *first == 0, "zeroed");
    must(hearth_shared_free(first) == 0 && hearth_shared_free(NULL) == 0, "free");
    must(hearth_spawn(NULL, 1) == HEARTH_EINVAL, "no worker");
    must(hearth_spawn(work, -1) == HEARTH_EINVAL, "-1 workers");
    must(hearth_spawn(work, hearth_n_pes()) == HEARTH_EINVAL, "too many workers");
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int n, private_value;

    must(hearth_shared_malloc(1) == NULL, "memory before hearth_init");
    must(hearth_spawn(work, 0) == HEARTH_ESTATE, "workers before hearth_init");
    must(!hearth_replay(&argc, &argv), "replay");
    must(hearth_replay(&argc, &argv) == HEARTH_ESTATE, "twice");
    n = hearth_n_pes();
    check_before();
    shared = hearth_shared_malloc(sizeof *shared);
    must(!hearth_lock_init(&shared->lock), "lock");
    private_too = 5;
    printf("before\n");
    if (strcmp(mode, "early") == 0)
        return 0;
    for (int round = 1; round <= 3; round++) {
        must(!hearth_spawn(work, n - 1), "spawn");
        private_too = 5;
        must(hearth_spawn(work, 1) == HEARTH_EINVAL, "nobody is idle");
        work();
        must(!hearth_join(), "join");
        must(shared->ran == round * n && shared->refused == round * (n - 1), "all have run");
    }
    for (int pe = 0; pe < n; pe++)
        must(!strcmp(shared->late[pe], "late") && !hearth_shared_free(shared->late[pe]), "free");
    must(hearth_shared_free(&private_value) == HEARTH_EADDR, "not shared");
    if (strcmp(mode, "worker-exits") == 0) {
        hearth_spawn(leave, n - 1);
        hearth_join();
    }
    printf("after\n");
    if (strcmp(mode, "unjoined") == 0)
        hearth_spawn(work, n - 1);
    return 0;
}
