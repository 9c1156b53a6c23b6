/* SPDX-License-Identifier: BSD-3-Clause */
/* Misuse of barriers of some, condition variables and semaphores, and as many as there can be. */
#include "harness.h"

#include <unistd.h>

struct busy {
    struct hearth_sema sema;
    struct hearth_barrier barrier;
};

/* What a thread waits for cannot be destroyed. */
static void wait_late(void *arg, int index)
{
    struct busy *busy = arg;

    if (index == 1) {
        usleep(300000); /* the other is about to wait */
        HT_EQUAL(hearth_sema_try(&busy->sema), HEARTH_EBUSY);
        HT_EQUAL(hearth_sema_destroy(&busy->sema), HEARTH_EBUSY);
        HT_EQUAL(hearth_sema_post(&busy->sema), 0);
        usleep(300000);
        HT_EQUAL(hearth_barrier_destroy(&busy->barrier), HEARTH_EBUSY);
    } else {
        HT_EQUAL(hearth_sema_wait(&busy->sema), 0);
    }
    HT_EQUAL(hearth_barrier_wait(&busy->barrier), 0);
}

static void check_dead(const struct hearth_barrier *b, const struct hearth_cond *c,
                       const struct hearth_sema *s, const struct hearth_lock *held)
{
    struct hearth_barrier barrier = *b;
    struct hearth_cond cond = *c;
    struct hearth_sema sema = *s;

    HT_EQUAL(hearth_barrier_wait(&barrier), HEARTH_EINVAL);
    HT_EQUAL(hearth_barrier_destroy(&barrier), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_wait(&cond, held), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_signal(&cond), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_broadcast(&cond), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_destroy(&cond), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_wait(&sema), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_try(&sema), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_post(&sema), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_destroy(&sema), HEARTH_EINVAL);
}

static void check_nulls(const struct hearth_lock *held)
{
    struct hearth_cond cond;

    HT_EQUAL(hearth_cond_init(&cond), 0);
    HT_EQUAL(hearth_barrier_init(NULL, 1), HEARTH_EINVAL);
    HT_EQUAL(hearth_barrier_wait(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_barrier_destroy(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_init(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_wait(NULL, held), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_wait(&cond, NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_signal(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_broadcast(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_destroy(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_init(NULL, 0), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_wait(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_try(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_post(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_destroy(NULL), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_destroy(&cond), 0);
}

static void test_errors(struct hearth_region *region)
{
    struct hearth_barrier barrier = {0}, dead_barrier;
    struct hearth_cond cond = {0}, dead_cond;
    struct hearth_sema sema = {0}, dead_sema;
    struct hearth_lock lock = {0}, none = {0};
    struct busy busy;

    (void)region;
    HT_EQUAL(hearth_lock_init(&lock), 0);
    HT_EQUAL(hearth_lock_acquire(&lock), 0);
    check_dead(&barrier, &cond, &sema, &lock); /* never initialised */
    check_nulls(&lock);
    HT_EQUAL(hearth_barrier_init(&barrier, 0), HEARTH_EINVAL);
    HT_EQUAL(hearth_sema_init(&sema, HEARTH_SEMA_MAX + 1), HEARTH_EINVAL);
    HT_EQUAL(barrier.handle + sema.handle, 0); /* set only on success */
    HT_EQUAL(hearth_barrier_init(&barrier, 1), 0);
    HT_EQUAL(hearth_cond_init(&cond), 0);
    HT_EQUAL(hearth_sema_init(&sema, HEARTH_SEMA_MAX), 0);
    HT_EQUAL(hearth_barrier_wait(&barrier), 0);
    HT_EQUAL(hearth_sema_post(&sema), HEARTH_EINVAL); /* at its most */
    HT_EQUAL(hearth_sema_try(&sema), 0);
    HT_EQUAL(hearth_sema_post(&sema), 0);
    struct hearth_barrier of_none = {barrier.handle, 0};
    HT_EQUAL(hearth_barrier_wait(&of_none), HEARTH_EINVAL);
    struct hearth_sema wrong_kind = {cond.handle};
    HT_EQUAL(hearth_sema_wait(&wrong_kind), HEARTH_EINVAL);
    HT_EQUAL(hearth_cond_wait(&cond, &none), HEARTH_EINVAL);
    HT_EQUAL(hearth_lock_release(&lock), 0);
    HT_EQUAL(hearth_cond_wait(&cond, &lock), HEARTH_EPERM);
    dead_barrier = barrier;
    dead_cond = cond;
    dead_sema = sema;
    HT_EQUAL(hearth_barrier_destroy(&barrier), 0);
    HT_EQUAL(hearth_cond_destroy(&cond), 0);
    HT_EQUAL(hearth_sema_destroy(&sema), 0);
    HT_EQUAL(hearth_lock_acquire(&lock), 0);
    check_dead(&dead_barrier, &dead_cond, &dead_sema, &lock);
    HT_EQUAL(hearth_lock_release(&lock), 0); /* still held after all that */
    HT_EQUAL(hearth_lock_destroy(&lock), 0);
    if (ht_threads_allowed()) {
        HT_EQUAL(hearth_sema_init(&busy.sema, 0), 0);
        HT_EQUAL(hearth_barrier_init(&busy.barrier, 2), 0);
        ht_threads(2, wait_late, &busy);
    }
    hearth_barrier_all();
}

enum { OF_EACH = 16384, MOST = 65536, OF_SEMAS = MOST - 2 * OF_EACH };

struct many {
    struct hearth_barrier barriers[OF_EACH];
    struct hearth_cond conds[OF_EACH];
    struct hearth_sema semas[OF_SEMAS];
};

/* Make all that are not there yet; how many that were. */
static int make_all(struct many *many)
{
    int made = 0;

    for (int i = 0; i < OF_EACH; i++)
        if (many->barriers[i].handle == 0)
            made += !hearth_barrier_init(&many->barriers[i], 1);
    for (int i = 0; i < OF_EACH; i++)
        if (many->conds[i].handle == 0)
            made += !hearth_cond_init(&many->conds[i]);
    for (int i = 0; i < OF_SEMAS; i++)
        if (many->semas[i].handle == 0)
            made += !hearth_sema_init(&many->semas[i], 7);
    return made;
}

static int end_all(struct many *many, int first, int step)
{
    int bad = 0;

    for (int i = first; i < OF_EACH; i += step) {
        bad += hearth_barrier_destroy(&many->barriers[i]) != 0;
        bad += hearth_cond_destroy(&many->conds[i]) != 0;
    }
    for (int i = first; i < OF_SEMAS; i += step)
        if (many->semas[i].handle != 0) /* there was room for it */
            bad += hearth_sema_destroy(&many->semas[i]) != 0;
    return bad;
}

/* As many as a PE can make, in shared memory, and then again. */
static void test_many(struct hearth_region *region)
{
    struct many *many = hearth_region_malloc(region, sizeof *many);
    struct hearth_sema extra = {0};
    int me = ht_pe(), bad = 0;

    if (!ht_all(many != NULL))
        return;
    for (int turn = 0; turn < 2; turn++) {
        if (me == ht_n_pes() - 1) {
            int made = make_all(many);
            /* The tests before have left some. */
            HT_CHECKF(made > (turn == 0 ? MOST : MOST / 3) - 1000, "%d made", made);
            for (int i = 0; i < 1000 && hearth_sema_init(&extra, 0) == 0; i++)
                continue;
            HT_EQUAL(hearth_sema_init(&extra, 0), HEARTH_ENOMEM);
        }
        hearth_barrier_all();
        for (int i = me; i < OF_EACH; i += 1000) {
            bad += hearth_barrier_wait(&many->barriers[i]) != 0;
            bad += hearth_cond_signal(&many->conds[i]) != 0;
            bad += hearth_sema_wait(&many->semas[i]) != 0;
        }
        hearth_barrier_all();
        bad += end_all(many, 3 * me, 3 * ht_n_pes());
        hearth_barrier_all();
    }
    HT_EQUAL(bad, 0);
}

static const struct ht_test tests[] = {
    {"errors", test_errors, HT_ONCE, 0},
    {"many", test_many, HT_ONCE, 1 << 22},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"object-errors", tests,
                                              sizeof tests / sizeof tests[0], false, 0};

    return ht_main(argc, argv, &program);
}
