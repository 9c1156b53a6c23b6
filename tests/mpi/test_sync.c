/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, counters, barriers and fences, by PEs and by threads. */
#include "harness.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4 };

struct protected
{
    struct hearth_lock lock;
    long value, shadow[3];
};

static struct protected *new_protected(struct hearth_region *region)
{
    struct protected *p = hearth_region_malloc(region, sizeof *p);

    if (!ht_all(p != NULL))
        return NULL;
    if (ht_pe() == ht_n_pes() - 1) /* not at the page's home, mostly */
        HT_CHECKF(!hearth_lock_init(&p->lock), "%s", hearth_error_message());
    hearth_barrier_all();
    return p;
}

static void add_one(struct protected *p)
{
    HT_EQUAL(hearth_lock_acquire(&p->lock), 0);
    HT_CHECK(p->shadow[0] == p->value && p->shadow[2] == -p->value);
    p->value++;
    p->shadow[0]++;
    p->shadow[2]--;
    HT_EQUAL(hearth_lock_release(&p->lock), 0);
}

static void test_lock_counter(struct hearth_region *region)
{
    struct protected *p = new_protected(region);
    int turns = ht_rounds(150);

    for (int i = 0; p && i < turns; i++)
        add_one(p);
    hearth_barrier_all();
    if (p)
        HT_EQUAL(p->value, turns * ht_n_pes());
}

static int thread_turns;

static void add_often(void *arg, int index)
{
    (void)index;
    for (int i = 0; i < thread_turns; i++)
        add_one(arg);
}

static void test_lock_counter_threads(struct hearth_region *region)
{
    struct protected *p = new_protected(region);

    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    thread_turns = ht_rounds(40);
    if (p)
        ht_threads(THREADS, add_often, p);
    hearth_barrier_all();
    if (p)
        HT_EQUAL(p->value, thread_turns * THREADS * ht_n_pes());
}

/* Nobody starves, though those who have the lock near get it more often: they ask more often. */
static void test_contended(struct hearth_region *region)
{
    struct protected *p = new_protected(region);
    int mine = 0;

    if (!p)
        return;
    for (double end = ht_now() + 0.4; ht_now() < end; mine++)
        add_one(p);
    double most = ht_max(mine), least = -ht_max(-mine);
    HT_CHECKF(least >= 2, "turns: %.0f to %.0f", least, most);
    ht_note("%.0f to %.0f turns", least, most);
    hearth_barrier_all();
    HT_EQUAL(p->value, (long)ht_sum(mine));
}

struct queue {
    struct hearth_lock lock;
    struct hearth_counter asking;
    int n, order[64];
};

static void stand_in_line(struct queue *q)
{
    HT_EQUAL(hearth_lock_acquire(&q->lock), 0);
    q->order[q->n++] = ht_pe();
    HT_EQUAL(hearth_lock_release(&q->lock), 0);
}

/* First come, first served: PE 0 holds the lock until all others ask for it, and then asks again:
 * it comes last. */
static void test_fairness(struct hearth_region *region)
{
    struct queue *q = hearth_region_malloc(region, sizeof *q);
    int last = ht_n_pes() - 1;

    if (!ht_all(q != NULL) || ht_n_pes() > 64)
        return;
    if (ht_pe() == last) {
        q->n = 0;
        HT_EQUAL(hearth_lock_init(&q->lock), 0);
        HT_EQUAL(hearth_counter_init(&q->asking, 0), 0);
    }
    hearth_barrier_all();
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_acquire(&q->lock), 0);
    hearth_barrier_all();
    if (ht_pe() == 0) {
        while (hearth_counter_load(&q->asking) < last)
            usleep(1000);
        usleep(300000); /* they have counted, and are about to ask */
        HT_EQUAL(hearth_lock_release(&q->lock), 0);
    } else {
        hearth_counter_fetch_add(&q->asking, 1);
    }
    stand_in_line(q);
    hearth_barrier_all();
    HT_EQUAL(q->n, last + 1);
    HT_EQUAL(q->order[last], 0);
}

static void *release_it(void *arg)
{
    HT_CHECKF(!hearth_lock_release(arg), "%s", hearth_error_message());
    return NULL;
}

/* PE 0 holds the lock, and each PE finds out what it may not do. */
static void test_lock_errors(struct hearth_region *region)
{
    struct protected *p = new_protected(region);
    pthread_t thread;

    if (!p)
        return;
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_acquire(&p->lock), 0);
    hearth_barrier_all();
    if (ht_pe() == 0) {
        HT_EQUAL(hearth_lock_acquire(&p->lock), HEARTH_EDEADLK);
        HT_CHECK(hearth_lock_try(&p->lock) != 0);
    } else {
        HT_EQUAL(hearth_lock_try(&p->lock), HEARTH_EBUSY);
        HT_EQUAL(hearth_lock_release(&p->lock), HEARTH_EPERM);
    }
    HT_EQUAL(hearth_lock_destroy(&p->lock), HEARTH_EBUSY);
    hearth_barrier_all();
    /* Any thread of the PE may let it go. */
    if (ht_pe() == 0) {
        if (!pthread_create(&thread, NULL, release_it, &p->lock))
            pthread_join(thread, NULL);
        HT_EQUAL(hearth_lock_release(&p->lock), HEARTH_EPERM); /* not held any more */
        HT_EQUAL(hearth_lock_try(&p->lock), 0);
        HT_EQUAL(hearth_lock_release(&p->lock), 0);
    }
    hearth_barrier_all();
    for (int pe = 0; pe < ht_n_pes(); pe++) {
        if (pe == ht_pe()) {
            HT_EQUAL(hearth_lock_try(&p->lock), 0);
            HT_EQUAL(hearth_lock_release(&p->lock), 0);
        }
        hearth_barrier_all();
    }
}

static void hold_then_let_go(void *arg, int index)
{
    struct hearth_lock *lock = arg;

    (void)index;
    HT_EQUAL(hearth_lock_acquire(lock), 0);
    HT_EQUAL(hearth_lock_release(lock), 0);
}

static void try_foreign(void *arg, int index)
{
    (void)index;
    HT_EQUAL(hearth_lock_try(arg), HEARTH_EBUSY); /* not EDEADLK: another thread holds it */
}

/* Threads of one PE exclude each other too. */
static void test_lock_threads(struct hearth_region *region)
{
    struct protected *p = new_protected(region);

    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    if (p && ht_pe() == 0) {
        HT_EQUAL(hearth_lock_acquire(&p->lock), 0);
        ht_threads(2, try_foreign, &p->lock);
        HT_EQUAL(hearth_lock_release(&p->lock), 0);
        ht_threads(THREADS, hold_then_let_go, &p->lock);
    }
    hearth_barrier_all();
}

enum { LOCKS_PER_PE = 1500 };

/* Copies of a handle are the same lock; a destroyed lock stays dead though its place is used anew.
 */
static void test_lock_copies(struct hearth_region *region)
{
    struct protected *p = new_protected(region);
    struct hearth_lock copy, fresh = {0};
    int n = ht_n_pes();

    if (!p)
        return;
    copy = p->lock;
    hearth_barrier_all();
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_acquire(&copy), 0);
    hearth_barrier_all();
    if (n > 1)
        HT_EQUAL(hearth_lock_try(&p->lock) != 0, 1);
    hearth_barrier_all();
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_release(&p->lock), 0);
    hearth_barrier_all();
    if (ht_pe() == n / 2) { /* made by PE n - 1 */
        HT_CHECKF(!hearth_lock_destroy(&p->lock), "%s", hearth_error_message());
        HT_EQUAL(p->lock.handle, 0);
    }
    hearth_barrier_all();
    HT_EQUAL(hearth_lock_init(&fresh), 0);
    hearth_barrier_all();
    HT_CHECK(fresh.handle != copy.handle);
    HT_EQUAL(hearth_lock_try(&copy), HEARTH_EINVAL);
    HT_EQUAL(hearth_lock_acquire(&copy), HEARTH_EINVAL);
    int err = hearth_lock_release(&copy); /* dead, and not held: either is true */
    HT_CHECKF(err == HEARTH_EINVAL || err == HEARTH_EPERM, "%d", err);
    HT_EQUAL(hearth_lock_acquire(&p->lock), HEARTH_EINVAL); /* zero */
    HT_EQUAL(hearth_lock_destroy(&fresh), 0);
    hearth_barrier_all();
}

/* Thousands of locks at once, in shared memory, with the datum of each beside it. */
static void test_many_locks(struct hearth_region *region)
{
    struct cell {
        struct hearth_lock lock;
        int value;
    } * cells;
    size_t n = (size_t)ht_n_pes(), me = (size_t)ht_pe(), n_cells = n * LOCKS_PER_PE, sum = 0;

    cells = hearth_region_malloc(region, n_cells * sizeof *cells);
    if (!ht_all(cells != NULL))
        return;
    for (size_t i = me; i < n_cells; i += n)
        HT_CHECKF(!hearth_lock_init(&cells[i].lock), "%s", hearth_error_message());
    hearth_barrier_all();
    size_t turns = (size_t)ht_rounds(150);
    for (size_t turn = 0; turn < turns; turn++) {
        struct cell *cell = &cells[ht_hash(turn / 2, turn % 2 ? me : 0, 3) % n_cells];
        HT_EQUAL(hearth_lock_acquire(&cell->lock), 0);
        cell->value++;
        HT_EQUAL(hearth_lock_release(&cell->lock), 0);
    }
    hearth_barrier_all();
    for (size_t i = 0; i < n_cells; i++)
        sum += (size_t)cells[i].value;
    HT_EQUAL(sum, n * turns);
    hearth_barrier_all();
    for (size_t i = (me + 1) % n; i < n_cells; i += n)
        HT_CHECKF(!hearth_lock_destroy(&cells[i].lock), "%s", hearth_error_message());
    hearth_barrier_all();
    size_t alive = 0;
    for (size_t i = 0; i < n_cells; i++)
        alive += cells[i].lock.handle != 0;
    HT_EQUAL(alive, 0);
    hearth_barrier_all();
}

/* --- counters --- */

enum { TICKETS = 250 };

struct tickets {
    struct hearth_counter counter;
    unsigned char taken_by[]; /* one byte a ticket: who has it */
};

static void take_tickets(void *arg, int index)
{
    struct tickets *t = arg;
    long last = -1;

    for (int i = 0; i < TICKETS; i++) {
        long ticket = (long)hearth_counter_fetch_add(&t->counter, 1);
        HT_CHECKF(ticket > last, "%ld after %ld", ticket, last);
        if (ticket < 0)
            return;
        last = ticket;
        t->taken_by[ticket] = (unsigned char)(1 + ht_pe() * THREADS + index);
    }
}

static void test_tickets(struct hearth_region *region)
{
    int n_threads = ht_threads_allowed() ? THREADS : 1;
    size_t n_of[256] = {0}, all = (size_t)(n_threads * ht_n_pes() * TICKETS);
    struct tickets *t = hearth_region_malloc(region, sizeof *t + all);

    if (!ht_all(t != NULL))
        return;
    if (ht_pe() == 0)
        HT_EQUAL(hearth_counter_init(&t->counter, 0), 0);
    hearth_barrier_all();
    ht_threads(n_threads, take_tickets, t);
    hearth_barrier_all();
    HT_EQUAL(hearth_counter_load(&t->counter), all);
    for (size_t i = 0; i < all; i++)
        n_of[t->taken_by[i]]++;
    HT_EQUAL(n_of[0], 0);
    for (int i = 0; i < n_threads * ht_n_pes(); i++)
        HT_EQUAL(n_of[1 + i % n_threads + i / n_threads * THREADS], TICKETS); /* each just once */
    hearth_barrier_all();
}

static void test_counter_values(struct hearth_region *region)
{
    struct hearth_counter *c = hearth_region_malloc(region, sizeof *c), copy, mine = {0};

    if (!ht_all(c != NULL))
        return;
    if (ht_pe() == 0)
        HT_EQUAL(hearth_counter_init(c, -5), 0);
    hearth_barrier_all();
    copy = *c;
    HT_EQUAL(hearth_counter_load(c), -5);
    hearth_barrier_all();
    for (int pe = 0; pe < ht_n_pes(); pe++) {
        if (pe == ht_pe()) {
            HT_EQUAL(hearth_counter_store(c, INT64_MAX), 0);
            HT_EQUAL(hearth_counter_fetch_add(&copy, 2), INT64_MAX);
            HT_EQUAL(hearth_counter_load(&copy), INT64_MIN + 1); /* wraps */
            HT_EQUAL(hearth_counter_fetch_add(c, -1000), INT64_MIN + 1);
            HT_EQUAL(hearth_counter_store(c, pe), 0);
        }
        hearth_barrier_all();
        HT_EQUAL(hearth_counter_load(&copy), pe);
        hearth_barrier_all();
    }
    if (ht_pe() == ht_n_pes() - 1) {
        HT_EQUAL(hearth_counter_destroy(c), 0);
        HT_EQUAL(c->handle, 0);
    }
    hearth_barrier_all();
    HT_CHECK(hearth_counter_load(c) == HEARTH_COUNTER_INVALID);
    HT_CHECK(hearth_counter_fetch_add(&copy, 1) == HEARTH_COUNTER_INVALID);
    HT_EQUAL(hearth_counter_store(&copy, 1), HEARTH_EINVAL);
    HT_EQUAL(hearth_counter_init(&mine, 3), 0);
    HT_EQUAL(hearth_counter_load(&mine), 3);
    HT_EQUAL(hearth_counter_destroy(&mine), 0);
    hearth_barrier_all();
}

static const struct ht_test tests[] = {
    {"lock-counter", test_lock_counter, HT_PROTOCOLS, 1 << 20},
    {"lock-counter-threads", test_lock_counter_threads, HT_PROTOCOLS, 1 << 20},
    {"contended", test_contended, HT_PROTOCOLS, 1 << 20},
    {"fairness", test_fairness, HT_PROTOCOLS, 1 << 20},
    {"lock-errors", test_lock_errors, HT_PROTOCOLS, 1 << 20},
    {"lock-threads", test_lock_threads, HT_PROTOCOLS, 1 << 20},
    {"lock-copies", test_lock_copies, HT_PROTOCOLS, 1 << 20},
    {"many-locks", test_many_locks, HT_PROTOCOLS, 1 << 20},
    {"tickets", test_tickets, HT_PROTOCOLS, 1 << 20},
    {"counter-values", test_counter_values, HT_PROTOCOLS, 1 << 20},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"sync", tests, sizeof tests / sizeof tests[0], false,
                                              0};

    return ht_main(argc, argv, &program);
}
