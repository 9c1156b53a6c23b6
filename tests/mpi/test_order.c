/* SPDX-License-Identifier: BSD-3-Clause */
/* What barriers, bare fences and threads promise about the order of things. */
#include "harness.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4 };

/* A barrier with one counter in three, so that one barrier a turn is enough: a counter is touched
 * again three turns, so at least two barriers, later. */
static void test_barriers(struct hearth_region *region)
{
    struct state {
        struct hearth_counter counters[3];
        int slots[3][64];
    } *s = hearth_region_malloc(region, sizeof *s);
    int n = ht_n_pes(), me = ht_pe(), turns = ht_rounds(2000);

    if (!ht_all(s != NULL) || n > 64)
        return;
    for (int i = 0; i < 3 && me == 0; i++)
        HT_EQUAL(hearth_counter_init(&s->counters[i], 0), 0);
    hearth_barrier_all();
    struct hearth_counter counters[3] = {s->counters[0], s->counters[1], s->counters[2]};
    for (int turn = 0; turn < turns; turn++) {
        bool slots = turn % 10 < 3; /* shared memory too, now and then */
        hearth_counter_fetch_add(&counters[turn % 3], 1);
        if (slots)
            s->slots[turn % 3][me] = turn;
        HT_EQUAL(hearth_barrier_all(), 0);
        HT_EQUAL(hearth_counter_load(&counters[turn % 3]), n * (turn / 3 + 1));
        for (int pe = 0; slots && pe < n; pe++)
            HT_EQUAL(s->slots[turn % 3][pe], turn);
    }
    hearth_barrier_all();
}

static void pass(int to, int tag, int value)
{
    MPI_Request request;

    MPI_Isend(&value, 1, MPI_INT, to, tag, ht_comm(), &request);
    ht_wait(&request);
}

static int await(int from, int tag)
{
    MPI_Request request;
    int value = -1;

    MPI_Irecv(&value, 1, MPI_INT, from, tag, ht_comm(), &request);
    ht_wait(&request);
    return value;
}

/* A token of MPI's goes round, and with it the right to the shared bytes. */
static void test_fences_ring(struct hearth_region *region)
{
    enum { ROUNDS = 8 };
    size_t bytes = 2 * ht_page_bytes() + 99;
    unsigned char *p = hearth_region_malloc(region, bytes);
    int n = ht_n_pes(), me = ht_pe();

    if (!ht_all(p != NULL))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        int step = round * n + me;
        if (n > 1 && step > 0) {
            HT_EQUAL(await((me + n - 1) % n, 1), step);
            HT_EQUAL(hearth_acquire(), 0);
        }
        size_t at = ht_find_other(p, bytes, (unsigned char)step);
        HT_CHECKF(at == bytes, "step %d: byte %zu is %d", step, at, p[at % bytes]);
        memset(p, step + 1, bytes);
        HT_EQUAL(hearth_release(), 0);
        if (n > 1 && step + 1 < ROUNDS * n)
            pass((me + 1) % n, 1, step + 1);
    }
    hearth_barrier_all();
    HT_EQUAL(ht_find_other(p, bytes, (unsigned char)(ROUNDS * n)), bytes);
    hearth_barrier_all();
}

/* All PEs at once: each writes its stripe and tells its neighbour, who answers when it has read. */
static void test_fences_neighbours(struct hearth_region *region)
{
    enum { STRIPE = 777, TURNS = 15 };
    int n = ht_n_pes(), me = ht_pe(), left = (me + n - 1) % n, right = (me + 1) % n;
    unsigned char *p = hearth_region_malloc(region, (size_t)n * STRIPE);

    if (!ht_all(p != NULL))
        return;
    for (int turn = 1; turn <= TURNS && n > 1; turn++) {
        memset(p + me * STRIPE, turn + me, STRIPE);
        HT_EQUAL(hearth_release(), 0);
        pass(right, 2, turn);
        HT_EQUAL(await(left, 2), turn);
        HT_EQUAL(hearth_acquire(), 0);
        size_t at = ht_find_other(p + left * STRIPE, STRIPE, (unsigned char)(turn + left));
        HT_CHECKF(at == STRIPE, "turn %d: byte %zu of the left one's", turn, at);
        HT_EQUAL(hearth_release(), 0);
        pass(left, 3, turn); /* read: you may write again */
        HT_EQUAL(await(right, 3), turn);
        HT_EQUAL(hearth_acquire(), 0);
    }
    hearth_barrier_all();
}

/* --- threads --- */

enum { PAGES = 6, LOCK_TURNS = 40, EPOCHS = 3 };

struct crowd {
    unsigned char *p; /* PAGES pages; byte i is of kind i % 4 */
    struct hearth_lock lock;
    int epoch;
    atomic_bool stop;
};

static unsigned char constant(size_t i)
{
    return (unsigned char)(i * 7 + 1);
}

/* Bytes of kind 0 are constant; 1: written in every epoch by the thread whose they are;
 * 2: all equal, and incremented under the lock, LOCK_TURNS times in all; 3: nobody's, zero. */
static void in_the_crowd(void *arg, int index)
{
    struct crowd *c = arg;
    size_t bytes = PAGES * ht_page_bytes(), workers = (size_t)(ht_n_pes() * THREADS);
    size_t id = (size_t)(ht_pe() * THREADS + index), wrong = 0;

    if (index == THREADS) { /* the one with the lock */
        for (int turn = ht_pe(); turn < LOCK_TURNS; turn += ht_n_pes()) {
            HT_EQUAL(hearth_lock_acquire(&c->lock), 0);
            unsigned char now = c->p[2];
            for (size_t i = 2; i < bytes; i += 4) {
                wrong += c->p[i] != now;
                c->p[i] = (unsigned char)(now + 1);
            }
            HT_EQUAL(hearth_lock_release(&c->lock), 0);
        }
        HT_CHECKF(wrong == 0, "epoch %d: %zu bytes under the lock", c->epoch, wrong);
        atomic_store(&c->stop, true);
        return;
    }
    do { /* all the time, on pages that come and go by the other thread's acquires */
        for (size_t k = 0; k < PAGES; k++) {
            size_t page = index % 2 ? k : (k + (size_t)index) % PAGES; /* the same, or others */
            size_t end = (page + 1) * ht_page_bytes();
            for (size_t i = page * ht_page_bytes(); i < end; i += 4) {
                wrong += c->p[i] != constant(i) || c->p[i + 3] != 0;
                if (i / 4 % workers == id)
                    c->p[i + 1] = (unsigned char)(c->epoch + (int)i);
            }
        }
        usleep(200); /* there are not cores for all */
    } while (!atomic_load(&c->stop));
    HT_CHECKF(wrong == 0, "epoch %d, thread %d: %zu constant bytes", c->epoch, index, wrong);
}

static void check_crowd(const struct crowd *c)
{
    size_t bytes = PAGES * ht_page_bytes(), wrong[4] = {0};
    unsigned char sum = (unsigned char)(c->epoch * LOCK_TURNS);

    for (size_t i = 0; i < bytes; i += 4) {
        wrong[0] += c->p[i] != constant(i);
        wrong[1] += c->p[i + 1] != (unsigned char)(c->epoch + (int)i);
        wrong[2] += c->p[i + 2] != sum;
        wrong[3] += c->p[i + 3] != 0;
    }
    HT_CHECKF(wrong[0] + wrong[1] + wrong[2] + wrong[3] == 0,
              "epoch %d: constant %zu, own %zu, locked %zu, nobody's %zu", c->epoch, wrong[0],
              wrong[1], wrong[2], wrong[3]);
}

static void test_thread_crowd(struct hearth_region *region)
{
    static struct crowd crowd; /* private; threads of the PE share it */
    struct hearth_lock *lock = hearth_region_malloc(region, sizeof *lock);

    crowd = (struct crowd){.p = hearth_region_malloc(region, PAGES * ht_page_bytes())};
    if (!ht_all(crowd.p && lock))
        return;
    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    if (ht_pe() == 0) {
        HT_EQUAL(hearth_lock_init(lock), 0);
        for (size_t i = 0; i < PAGES * ht_page_bytes(); i += 4)
            crowd.p[i] = constant(i);
    }
    hearth_barrier_all();
    crowd.lock = *lock;
    for (crowd.epoch = 1; crowd.epoch <= EPOCHS; crowd.epoch++) {
        atomic_store(&crowd.stop, false);
        ht_threads(THREADS + 1, in_the_crowd, &crowd);
        hearth_barrier_all();
        check_crowd(&crowd);
        hearth_barrier_all();
    }
}

/* Threads that all touch the same new pages at the same moment: one fetch each, all see it. */
static void fault_together(void *arg, int index)
{
    const unsigned char *p = arg;
    size_t wrong = 0;

    (void)index;
    for (size_t i = 0; i < PAGES * ht_page_bytes(); i += 64)
        wrong += p[i] != constant(i);
    HT_EQUAL(wrong, 0);
}

static void test_thread_faults(struct hearth_region *region)
{
    unsigned char *p = hearth_region_malloc(region, PAGES * ht_page_bytes());

    if (!ht_all(p != NULL))
        return;
    if (!ht_threads_allowed()) {
        ht_skip("MPI allows one thread at a time");
        return;
    }
    for (int epoch = 0; epoch < 10; epoch++) {
        if (epoch % ht_n_pes() == ht_pe())
            for (size_t i = 0; i < PAGES * ht_page_bytes(); i += 64) {
                p[i] = constant(i);
                p[i + 1]++; /* so that copies elsewhere go */
            }
        hearth_barrier_all();
        ht_threads(THREADS, fault_together, p);
        hearth_barrier_all();
    }
}

static const struct ht_test tests[] = {
    {"barriers", test_barriers, HT_PROTOCOLS, 1 << 20},
    {"fences-ring", test_fences_ring, HT_KINDS, 1 << 20},
    {"fences-neighbours", test_fences_neighbours, HT_KINDS, 1 << 20},
    {"thread-crowd", test_thread_crowd, HT_PROTOCOLS, 1 << 20},
    {"thread-faults", test_thread_faults, HT_KINDS, 1 << 20},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"order", tests, sizeof tests / sizeof tests[0], false,
                                              0};

    return ht_main(argc, argv, &program);
}
