/* SPDX-License-Identifier: BSD-3-Clause */
/* Racy programs on sequentially consistent memory: plain C11 atomics between PEs, as on one
 * machine. Each would fail, or hang, in a release-consistent region. */
#include <hearth.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "harness.h"

static struct hearth_region *make_region(size_t bytes)
{
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    struct hearth_region *region = NULL;
    attr.name = "atomics";
    attr.consistency = HEARTH_SEQUENTIAL;
    HT_CHECKF(hearth_region_create(&region, bytes, &attr) == 0, "%s", hearth_error_message());
    return region;
}

/* --- a spin lock --- */

struct guarded {
    atomic_flag lock;
    uint64_t counter; /* on the lock's page */
    char apart[8192];
    uint64_t mirror[3]; /* and on another */
};

static void test_spin_lock(struct hearth_region *none)
{
    enum { ROUNDS = 150 };
    (void)none;
    struct hearth_region *region = make_region(65536);
    struct guarded *shared = hearth_region_malloc(region, sizeof *shared);
    uint64_t torn = 0;
    for (int i = 0; i < ROUNDS; i++) {
        while (atomic_flag_test_and_set(&shared->lock)) {
        }
        uint64_t was = shared->counter;
        for (int k = 0; k < 3; k++) {
            torn += shared->mirror[k] != was;
            shared->mirror[k] = was + 1;
        }
        shared->counter = was + 1;
        atomic_flag_clear(&shared->lock);
    }
    hearth_barrier_all();
    HT_EQUAL(torn, 0);
    HT_EQUAL(shared->counter, (uint64_t)ROUNDS * (uint64_t)ht_n_pes());
    hearth_region_destroy(region);
}

/* --- a Treiber stack --- */

struct item {
    _Atomic(struct item *) next;
    int from, number;
};

struct stack {
    _Atomic(struct item *) top;
    _Atomic uint64_t popped, sum;
};

static void push(struct stack *stack, struct item *item)
{
    struct item *top = atomic_load(&stack->top);
    do {
        atomic_store(&item->next, top);
    } while (!atomic_compare_exchange_weak(&stack->top, &top, item));
}

/* Items are never pushed twice, so there is no ABA. */
static struct item *pop(struct stack *stack)
{
    struct item *top = atomic_load(&stack->top);
    while (top != NULL &&
           !atomic_compare_exchange_weak(&stack->top, &top, atomic_load(&top->next))) {
    }
    return top;
}

static void test_treiber_stack(struct hearth_region *none)
{
    enum { ITEMS = 60 };
    (void)none;
    uint64_t n = (uint64_t)ht_n_pes(), expected = 0;
    struct hearth_region *region = make_region(1u << 20);
    struct stack *stack = hearth_region_malloc(region, sizeof *stack);
    for (int i = 0; i < ITEMS; i++) {
        struct item *item = hearth_solo_malloc(region, sizeof *item);
        item->from = ht_pe();
        item->number = i;
        push(stack, item);
        if (i % 3 == 2) {
            struct item *other = pop(stack);
            if (other != NULL) {
                atomic_fetch_add(&stack->popped, 1);
                atomic_fetch_add(&stack->sum, (uint64_t)(other->from * ITEMS + other->number));
            }
        }
    }
    hearth_barrier_all();
    for (struct item *item; ht_pe() == 0 && (item = pop(stack)) != NULL;) {
        atomic_fetch_add(&stack->popped, 1);
        atomic_fetch_add(&stack->sum, (uint64_t)(item->from * ITEMS + item->number));
    }
    hearth_barrier_all();
    for (uint64_t i = 0; i < n * ITEMS; i++) {
        expected += i;
    }
    HT_EQUAL(atomic_load(&stack->popped), n * ITEMS);
    HT_EQUAL(atomic_load(&stack->sum), expected);
    hearth_region_destroy(region);
}

/* --- a seqlock: the writer never waits, readers try again --- */

struct seqlock {
    _Atomic uint64_t sequence;
    char apart[8192];
    _Atomic uint64_t words[8];
    char apart_too[8192];
    _Atomic uint64_t more[8];
};

static void write_all(struct seqlock *s, uint64_t value)
{
    atomic_fetch_add(&s->sequence, 1);
    for (int i = 0; i < 8; i++) {
        atomic_store(&s->words[i], value);
        atomic_store(&s->more[i], value * 3);
    }
    atomic_fetch_add(&s->sequence, 1);
}

static bool read_all(struct seqlock *s, uint64_t *value_out, uint64_t *torn)
{
    uint64_t before = atomic_load(&s->sequence), words[16];
    for (int i = 0; i < 8; i++) {
        words[i] = atomic_load(&s->words[i]);
        words[8 + i] = atomic_load(&s->more[i]);
    }
    if (before % 2 != 0 || atomic_load(&s->sequence) != before) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        *torn += words[i] != words[0] || words[8 + i] != words[0] * 3;
    }
    *value_out = words[0];
    return true;
}

static void test_seqlock(struct hearth_region *none)
{
    enum { WRITES = 60 };
    (void)none;
    struct hearth_region *region = make_region(1u << 17);
    struct seqlock *s = hearth_region_malloc(region, sizeof *s);
    uint64_t torn = 0, back = 0, last = 0;
    if (ht_pe() == 0) {
        for (uint64_t i = 1; i <= WRITES; i++) {
            write_all(s, i);
        }
    } else {
        while (last < WRITES) {
            uint64_t value = last;
            if (read_all(s, &value, &torn)) {
                back += value < last;
                last = value;
            }
        }
    }
    HT_EQUAL(torn, 0);
    HT_EQUAL(back, 0);
    hearth_region_destroy(region);
}

/* --- Dekker's idea: two PEs that each announce themselves, then look; no fence but seq_cst --- */

struct dekker {
    _Atomic int wants[2];
    char apart[8192];
    _Atomic int turn;
    char apart_too[8192];
    int inside;
    uint64_t counter;
};

static void enter(struct dekker *d, int me)
{
    atomic_store(&d->wants[me], 1);
    while (atomic_load(&d->wants[1 - me])) {
        if (atomic_load(&d->turn) != me) {
            atomic_store(&d->wants[me], 0);
            while (atomic_load(&d->turn) != me) {
            }
            atomic_store(&d->wants[me], 1);
        }
    }
}

static void leave(struct dekker *d, int me)
{
    atomic_store(&d->turn, 1 - me);
    atomic_store(&d->wants[me], 0);
}

static void test_dekker(struct hearth_region *none)
{
    enum { ROUNDS = 100 };
    (void)none;
    struct hearth_region *region = make_region(1u << 17);
    struct dekker *d = hearth_region_malloc(region, sizeof *d);
    int both = 0, me = ht_pe();
    for (int i = 0; me < 2 && ht_n_pes() > 1 && i < ROUNDS; i++) {
        enter(d, me);
        both += d->inside++ != 0;
        d->counter++;
        d->inside--;
        leave(d, me);
    }
    hearth_barrier_all();
    HT_EQUAL(both, 0);
    HT_EQUAL(d->counter, (uint64_t)(ht_n_pes() > 1 ? 2 * ROUNDS : 0));
    hearth_region_destroy(region);
}

/* --- threads of all PEs on one word --- */

static void *add_many(void *counter)
{
    for (int i = 0; i < 200; i++) {
        atomic_fetch_add((_Atomic uint64_t *)counter, 1);
    }
    return NULL;
}

static void test_fetch_add(struct hearth_region *none)
{
    enum { THREADS = 3 };
    (void)none;
    struct hearth_region *region = make_region(65536);
    _Atomic uint64_t *counter = hearth_region_malloc(region, sizeof *counter);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, add_many, (void *)counter);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    hearth_barrier_all();
    HT_EQUAL(atomic_load(counter), (uint64_t)ht_n_pes() * THREADS * 200);
    hearth_region_destroy(region);
}

/* --- who owns --- */

static void test_owner(struct hearth_region *none)
{
    (void)none;
    struct hearth_region *region = make_region(65536);
    char *p = hearth_region_malloc(region, 4096 * (size_t)ht_n_pes());
    char *page = p; /* homed at PE 0 */
    int last = ht_n_pes() - 1;
    HT_EQUAL(hearth_owner(page), 0);
    hearth_barrier_all();
    if (ht_pe() == last) {
        page[5] = 1;
    }
    hearth_barrier_all();
    HT_EQUAL(hearth_owner(page), last);
    hearth_barrier_all();
    if (ht_pe() == 0) { /* a reader leaves the owner a copy: then nobody may write, but the home */
        HT_EQUAL(page[5], 1);
        HT_EQUAL(hearth_owner(page), 0);
    }
    hearth_barrier_all();
    HT_EQUAL(hearth_owner(page), 0);
    HT_EQUAL(hearth_owner(&last), HEARTH_EADDR);
    hearth_region_destroy(region);
    int *relaxed = hearth_malloc(64);
    HT_EQUAL(hearth_owner(relaxed), HEARTH_ENOTSUP);
    hearth_free(relaxed);
}

static const struct ht_test tests[] = {
    {"spin-lock", test_spin_lock, HT_ONCE, 0}, {"treiber-stack", test_treiber_stack, HT_ONCE, 0},
    {"seqlock", test_seqlock, HT_ONCE, 0},     {"dekker", test_dekker, HT_ONCE, 0},
    {"fetch-add", test_fetch_add, HT_ONCE, 0}, {"owner", test_owner, HT_ONCE, 0},
};

int main(int argc, char **argv)
{
    struct ht_program program = {"atomics", tests, sizeof tests / sizeof tests[0], false, 0};
    return ht_main(argc, argv, &program);
}
