/* SPDX-License-Identifier: BSD-3-Clause */
/* Barriers of some, condition variables and semaphores, by PEs and by threads. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4 };

static void *shared_by_all(struct hearth_region *region, size_t bytes)
{
    void *memory = hearth_region_malloc(region, bytes);

    return ht_all(memory != NULL) ? memory : NULL;
}

/* --- barriers --- */

enum { ROUNDS = 60 };

struct meeting {
    struct hearth_barrier all, threads;
    struct hearth_lock lock;
    int round_of[64];
    int n;
};

static void test_barrier(struct hearth_region *region)
{
    struct meeting *m = shared_by_all(region, sizeof *m);
    int n = ht_n_pes(), me = ht_pe(), wrong = 0;

    if (!m || n > 64)
        return;
    if (me == n - 1)
        HT_CHECKF(!hearth_barrier_init(&m->all, (uint32_t)n), "%s", hearth_error_message());
    hearth_barrier_all();
    for (int round = 1; round <= ROUNDS; round++) {
        m->round_of[me] = round;
        HT_EQUAL(hearth_barrier_wait(&m->all), 0);
        for (int pe = 0; pe < n; pe++)
            wrong += m->round_of[pe] != round;
        HT_EQUAL(hearth_barrier_wait(&m->all), 0);
    }
    HT_EQUAL(wrong, 0);
    hearth_barrier_all();
    if (me == 0) {
        HT_EQUAL(hearth_barrier_destroy(&m->all), 0);
        HT_EQUAL(m->all.handle, 0);
    }
    hearth_barrier_all();
}

static void meet_often(void *arg, int index)
{
    struct meeting *m = arg;

    (void)index;
    for (int i = 0; i < 10; i++) {
        HT_EQUAL(hearth_lock_acquire(&m->lock), 0);
        m->n++;
        HT_EQUAL(hearth_lock_release(&m->lock), 0);
        HT_EQUAL(hearth_barrier_wait(&m->threads), 0);
        HT_EQUAL(m->n, (i + 1) * THREADS * ht_n_pes());
        HT_EQUAL(hearth_barrier_wait(&m->threads), 0);
    }
}

static void test_barrier_threads(struct hearth_region *region)
{
    struct meeting *m = shared_by_all(region, sizeof *m);

    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    if (m && ht_pe() == 0) {
        HT_EQUAL(hearth_barrier_init(&m->threads, (uint32_t)(THREADS * ht_n_pes())), 0);
        HT_EQUAL(hearth_lock_init(&m->lock), 0);
    }
    hearth_barrier_all();
    if (m)
        ht_threads(THREADS, meet_often, m);
    hearth_barrier_all();
}

struct pairs {
    struct hearth_barrier pair;
    struct hearth_counter arrivals;
};

/* Pairs: whichever two come. One at most waits, and the others come until nobody does. */
static void test_barrier_any(struct hearth_region *region)
{
    struct pairs *p = shared_by_all(region, sizeof *p);
    struct hearth_barrier copy;

    if (!p)
        return;
    if (ht_pe() == 0) {
        HT_EQUAL(hearth_barrier_init(&p->pair, 2), 0);
        HT_EQUAL(hearth_counter_init(&p->arrivals, 0), 0);
    }
    hearth_barrier_all();
    copy = p->pair;
    hearth_barrier_all();
    if (ht_n_pes() > 1)
        for (int64_t i; (i = hearth_counter_fetch_add(&p->arrivals, 1)) < 40;)
            HT_EQUAL(hearth_barrier_wait(i % 2 ? &copy : &p->pair), 0);
    hearth_barrier_all();
    if (ht_pe() == 0)
        HT_EQUAL(hearth_barrier_destroy(&p->pair), 0);
    hearth_barrier_all();
}

/* --- condition variables --- */

enum { SLOTS = 3, ITEMS = 40 };

/* A queue of a few places, which all PEs put into and take out of. */
struct queue {
    struct hearth_lock lock;
    struct hearth_cond filled, emptied;
    int n_in, n_out, items[SLOTS];
    long sum;
};

static void put_item(struct queue *q, int item)
{
    HT_EQUAL(hearth_lock_acquire(&q->lock), 0);
    while (q->n_in - q->n_out == SLOTS)
        if (!HT_EQUAL(hearth_cond_wait(&q->emptied, &q->lock), 0))
            return;
    q->items[q->n_in++ % SLOTS] = item;
    HT_EQUAL(hearth_cond_signal(&q->filled), 0);
    HT_EQUAL(hearth_lock_release(&q->lock), 0);
}

static void take_item(struct queue *q)
{
    HT_EQUAL(hearth_lock_acquire(&q->lock), 0);
    while (q->n_in == q->n_out)
        if (!HT_EQUAL(hearth_cond_wait(&q->filled, &q->lock), 0))
            return;
    q->sum += q->items[q->n_out++ % SLOTS];
    HT_EQUAL(hearth_lock_release(&q->lock), 0);
    HT_EQUAL(hearth_cond_signal(&q->emptied), 0); /* without the lock this time */
}

static void put_or_take(void *arg, int index)
{
    for (int i = 1; i <= ITEMS; i++) {
        if (index % 2 == 0)
            put_item(arg, i);
        else
            take_item(arg);
    }
}

static struct queue *new_queue(struct hearth_region *region)
{
    struct queue *q = shared_by_all(region, sizeof *q);

    if (q && ht_pe() == ht_n_pes() / 2) {
        HT_EQUAL(hearth_lock_init(&q->lock), 0);
        HT_EQUAL(hearth_cond_init(&q->filled), 0);
        HT_EQUAL(hearth_cond_init(&q->emptied), 0);
    }
    hearth_barrier_all();
    return q;
}

/* Even PEs put, odd PEs take; the last of an odd number does neither. */
static void test_queue(struct hearth_region *region)
{
    struct queue *q = new_queue(region);
    int pairs = ht_n_pes() / 2;

    if (q && ht_pe() < pairs * 2)
        put_or_take(q, ht_pe());
    hearth_barrier_all();
    if (q)
        HT_EQUAL(q->sum, pairs * ITEMS * (ITEMS + 1) / 2);
    hearth_barrier_all();
}

static void test_queue_threads(struct hearth_region *region)
{
    struct queue *q = new_queue(region);

    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    if (q)
        ht_threads(THREADS, put_or_take, q);
    hearth_barrier_all();
    if (q)
        HT_EQUAL(q->sum, ht_n_pes() * THREADS / 2 * ITEMS * (ITEMS + 1) / 2);
    hearth_barrier_all();
}

struct line {
    struct hearth_lock lock;
    struct hearth_cond cond, go;
    int n_waiting, n_called, n_gone, order[64], left[64];
    bool open;
};

static void count_in(struct line *l)
{
    HT_EQUAL(hearth_lock_acquire(&l->lock), 0);
    l->order[l->n_waiting++] = ht_pe();
    HT_EQUAL(hearth_cond_wait(&l->cond, &l->lock), 0);
    l->left[l->n_gone++] = ht_pe();
    HT_EQUAL(hearth_cond_signal(&l->go), 0);
    while (!l->open)
        HT_EQUAL(hearth_cond_wait(&l->cond, &l->lock), 0);
    HT_EQUAL(hearth_lock_release(&l->lock), 0);
}

/* Each signal wakes the one who came first; a broadcast wakes all. PE 0 calls them. */
static void test_line(struct hearth_region *region)
{
    struct line *l = shared_by_all(region, sizeof *l);
    int others = ht_n_pes() - 1;

    if (!l || others > 63)
        return;
    if (ht_pe() == 0) {
        HT_EQUAL(hearth_lock_init(&l->lock), 0);
        HT_EQUAL(hearth_cond_init(&l->cond), 0);
        HT_EQUAL(hearth_cond_init(&l->go), 0);
        HT_EQUAL(hearth_cond_signal(&l->cond), 0); /* nobody there: not remembered */
        HT_EQUAL(hearth_cond_broadcast(&l->cond), 0);
    }
    hearth_barrier_all();
    if (ht_pe() > 0) {
        count_in(l);
    } else {
        HT_EQUAL(hearth_lock_acquire(&l->lock), 0);
        while (l->n_waiting < others) {
            HT_EQUAL(hearth_lock_release(&l->lock), 0);
            usleep(1000);
            HT_EQUAL(hearth_lock_acquire(&l->lock), 0);
        }
        if (others > 0)
            HT_EQUAL(hearth_cond_destroy(&l->cond), HEARTH_EBUSY);
        for (int i = 1; i <= others; i++) {
            HT_EQUAL(l->n_gone, i - 1);
            HT_EQUAL(hearth_cond_signal(&l->cond), 0);
            while (l->n_gone < i)
                HT_EQUAL(hearth_cond_wait(&l->go, &l->lock), 0);
        }
        l->open = true;
        HT_EQUAL(hearth_cond_broadcast(&l->cond), 0);
        HT_EQUAL(hearth_lock_release(&l->lock), 0);
    }
    hearth_barrier_all();
    HT_EQUAL(memcmp(l->order, l->left, (size_t)others * sizeof l->order[0]), 0);
    hearth_barrier_all();
}

/* --- semaphores --- */

struct ring {
    struct hearth_sema sema[64];
    int value[64];
};

/* A token goes round: a post carries what was written before it. */
static void test_ring(struct hearth_region *region)
{
    struct ring *r = shared_by_all(region, sizeof *r);
    int n = ht_n_pes(), me = ht_pe(), next = (me + 1) % n;

    if (!r || n > 64)
        return;
    HT_EQUAL(hearth_sema_init(&r->sema[me], me == 0), 0);
    hearth_barrier_all();
    for (int turn = 0; turn < 30; turn++) {
        HT_EQUAL(hearth_sema_wait(&r->sema[me]), 0);
        HT_EQUAL(r->value[me], me == 0 ? turn * n : turn * n + me);
        r->value[next] = turn * n + me + 1;
        HT_EQUAL(hearth_sema_post(&r->sema[next]), 0);
    }
    hearth_barrier_all();
    HT_EQUAL(hearth_sema_try(&r->sema[me]), me == 0 ? 0 : HEARTH_EBUSY);
    HT_EQUAL(hearth_sema_destroy(&r->sema[me]), 0);
    hearth_barrier_all();
}

struct permits {
    struct hearth_sema sema, early;
    struct hearth_lock lock;
    int inside, most, entries;
};

static void enter_often(void *arg, int index)
{
    struct permits *p = arg;

    (void)index;
    for (int i = 0; i < 12; i++) {
        HT_EQUAL(hearth_sema_wait(&p->sema), 0);
        HT_EQUAL(hearth_lock_acquire(&p->lock), 0);
        p->inside++;
        p->entries++;
        p->most = p->inside > p->most ? p->inside : p->most;
        HT_EQUAL(hearth_lock_release(&p->lock), 0);
        HT_EQUAL(hearth_lock_acquire(&p->lock), 0);
        p->inside--;
        HT_EQUAL(hearth_lock_release(&p->lock), 0);
        HT_EQUAL(hearth_sema_post(&p->sema), 0);
    }
}

/* Never more inside than there are permits; early posts are remembered, and counted. */
static void test_permits(struct hearth_region *region)
{
    struct permits *p = shared_by_all(region, sizeof *p);
    int n_threads = ht_threads_allowed() ? THREADS : 1;

    if (!p)
        return;
    if (ht_pe() == 0) {
        HT_EQUAL(hearth_sema_init(&p->sema, 2), 0);
        HT_EQUAL(hearth_sema_init(&p->early, 0), 0);
        HT_EQUAL(hearth_lock_init(&p->lock), 0);
    }
    hearth_barrier_all();
    ht_threads(n_threads, enter_often, p);
    HT_EQUAL(hearth_sema_post(&p->early), 0);
    hearth_barrier_all();
    HT_CHECKF(p->most >= 1 && p->most <= 2, "%d inside", p->most);
    HT_EQUAL(p->entries, 12 * n_threads * ht_n_pes());
    HT_EQUAL(hearth_sema_try(&p->early), 0);
    hearth_barrier_all();
    HT_EQUAL(hearth_sema_try(&p->early), HEARTH_EBUSY);
    hearth_barrier_all();
}

static const struct ht_test tests[] = {
    {"barrier", test_barrier, HT_PROTOCOLS, 1 << 20},
    {"barrier-threads", test_barrier_threads, HT_PROTOCOLS, 1 << 20},
    {"barrier-any", test_barrier_any, HT_ONCE, 1 << 20},
    {"queue", test_queue, HT_PROTOCOLS, 1 << 20},
    {"queue-threads", test_queue_threads, HT_PROTOCOLS, 1 << 20},
    {"line", test_line, HT_PROTOCOLS, 1 << 20},
    {"ring", test_ring, HT_PROTOCOLS, 1 << 20},
    {"permits", test_permits, HT_PROTOCOLS, 1 << 20},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"objects", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    return ht_main(argc, argv, &program);
}
