/* SPDX-License-Identifier: BSD-3-Clause */
/* One round: INSTANCES copies of a test, side by side, between barriers.
 *
 *   first values   one PE of a group stores 0 into all its variables
 *   barrier        each PE loads some of them, so that it has copies, which may become stale
 *   barrier        the threads; with barrier edges, phase by phase
 *   barrier        final values, loaded by all PEs
 *   barrier        so that the next round's first values race with nobody
 *
 * "0" is another byte in each round, so that a value left over from an earlier round is known. */
#include "litmus.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLLS_MAX = 400 };

static void must(struct run *run, int rc, const char *call)
{
    if (rc) {
        fprintf(stderr, "PE %d: %s: %s\n", run->pe, call, hearth_error_message());
        exit(3); /* the others would wait for us: mpirun ends them */
    }
}

static void barrier(struct run *run)
{
    must(run, hearth_barrier_all(), "hearth_barrier_all");
}

static void fence(struct run *run)
{
    must(run, hearth_release(), "hearth_release");
    must(run, hearth_acquire(), "hearth_acquire");
}

/* --- skew --- */

static void spin(unsigned turns)
{
    for (volatile unsigned i = 0; i < turns; i++)
        ;
}

/* Between two operations: mostly nothing, sometimes a little, rarely a lot. With more PEs than
 * cores it is the yields that make them meet. */
static void dither(struct run *run)
{
    uint64_t dice = lt_random(run);
    unsigned how_long = (unsigned)(dice >> 32);

    if (dice % 8 == 0)
        spin(how_long % 300);
    else if (dice % 128 == 1)
        spin(how_long % 6000);
    else if (dice % 256 == 2)
        sched_yield();
    else if (dice % 8192 == 3)
        usleep(1 + how_long % 60);
}

/* A stray fence now and then, so that stores leave a PE, and copies are dropped, while the others
 * are in the middle of it. Nothing is owed to it: no edge of the test's. */
static void stir(struct run *run)
{
    uint64_t dice = lt_random(run) % 192;

    if (dice == 0)
        must(run, hearth_release(), "hearth_release");
    else if (dice == 1)
        must(run, hearth_acquire(), "hearth_acquire");
    else if (dice == 2)
        fence(run);
}

/* Wait, but not for long, until all threads of the group are here, so that they begin together. By
 * a counter, which orders nothing; and without it in some groups, where one thread shall be late.
 */
static void meet(struct run *run, unsigned group)
{
    int64_t before = hearth_counter_fetch_add(&run->meet[group], 1);
    int64_t here = before + 1, all = run->met + (int64_t)run->test->n_threads;

    if (before == HEARTH_COUNTER_INVALID)
        must(run, HEARTH_EINVAL, "hearth_counter_fetch_add");
    if (lt_hash(run->seed, run->round, group) % 8 == 0)
        return;
    for (unsigned polls = 0; here < all && polls < POLLS_MAX; polls++) {
        if (polls % 16 == 15)
            sched_yield();
        here = hearth_counter_load(&run->meet[group]);
    }
}

/* --- the threads --- */

static void operate(struct run *run, struct seen *seen, unsigned group, unsigned member,
                    const struct lt_op *op)
{
    if (op->kind == LT_STORE) {
        lt_store(run, group, member, op->var, op->what);
    } else {
        unsigned code = lt_load(run, group, member, op->var);
        seen->regs[group * PER_GROUP + member][op->what] = (uint8_t)(1 + code);
    }
}

static void operate_all(struct run *run, struct seen *seen, unsigned group, const struct lt_op *op)
{
    for (unsigned m = 0; m < PER_GROUP; m++) {
        operate(run, seen, group, m, op);
        dither(run);
    }
}

static void group_none(struct run *run, struct seen *seen, unsigned group, const struct lt_op *ops,
                       unsigned n_ops)
{
    bool by_member = lt_random(run) % 4 != 0; /* else all first operations, then all second ones */

    for (unsigned k = 0; k < PER_GROUP * n_ops; k++) {
        unsigned member = by_member ? k / n_ops : k % PER_GROUP;
        operate(run, seen, group, member, &ops[by_member ? k % n_ops : k / PER_GROUP]);
        dither(run);
        stir(run);
    }
}

static void group_fence(struct run *run, struct seen *seen, unsigned group, const struct lt_op *ops,
                        unsigned n_ops)
{
    must(run, hearth_acquire(), "hearth_acquire");
    for (unsigned i = 0; i < n_ops; i++) {
        operate_all(run, seen, group, &ops[i]);
        fence(run);
    }
}

static void group_lock(struct run *run, struct seen *seen, unsigned group, const struct lt_op *ops,
                       unsigned n_ops)
{
    for (unsigned i = 0; i < n_ops; i++) {
        const struct hearth_lock *lock = &run->locks[group][ops[i].var];
        must(run, hearth_lock_acquire(lock), "hearth_lock_acquire");
        operate_all(run, seen, group, &ops[i]);
        must(run, hearth_lock_release(lock), "hearth_lock_release");
        dither(run);
    }
}

static void group_phase(struct run *run, struct seen *seen, unsigned group, unsigned phase,
                        const struct lt_op *ops, unsigned n_ops)
{
    for (unsigned i = 0; i < n_ops; i++)
        if (ops[i].phase == phase)
            operate_all(run, seen, group, &ops[i]);
}

static uint8_t bystander_value(const struct run *run, unsigned group, int pe)
{
    return (uint8_t)lt_hash(run->seed + run->round, group, (uint64_t)pe);
}

static void run_group(struct run *run, struct seen *seen, unsigned group, unsigned phase)
{
    unsigned thread = lt_thread(run, group);

    if (thread == LT_THREADS_MAX) {
        if (phase == 0)
            *lt_bystander_byte(run, group, run->pe) = bystander_value(run, group, run->pe);
        stir(run);
        return;
    }
    if (phase == 0)
        meet(run, group);
    const struct lt_op *ops = run->test->ops[thread];
    unsigned n_ops = lt_n_ops(run->test, thread);
    switch (run->edge) {
    case LT_NONE:
        group_none(run, seen, group, ops, n_ops);
        break;
    case LT_FENCE:
        group_fence(run, seen, group, ops, n_ops);
        break;
    case LT_LOCK:
        group_lock(run, seen, group, ops, n_ops);
        break;
    case LT_BARRIER:
        group_phase(run, seen, group, phase, ops, n_ops);
        break;
    case LT_EDGES:
        break;
    }
}

/* All groups; in some rounds each PE begins elsewhere. */
static void run_groups(struct run *run, struct seen *seen, unsigned phase)
{
    bool together = lt_hash(run->seed, run->round, 77) % 8 != 0;
    unsigned begin = together ? 0 : (unsigned)(lt_random(run) % GROUPS);

    spin((unsigned)(lt_random(run) % 20000));
    for (unsigned i = 0; i < GROUPS; i++)
        run_group(run, seen, (begin + i) % GROUPS, phase);
}

/* --- before and after --- */

static int first_pe(const struct run *run, unsigned group)
{
    return (int)(lt_hash(run->seed + 1, run->round, group) % (uint64_t)run->n_pes);
}

static void store_first(struct run *run)
{
    for (unsigned i = 0; i < INSTANCES; i++)
        if (first_pe(run, i / PER_GROUP) == run->pe)
            for (unsigned v = 0; v < run->test->n_vars; v++)
                lt_store(run, i / PER_GROUP, i % PER_GROUP, v, 0);
}

static void load_first(struct run *run)
{
    bool few = run->round % 3 == 0;

    for (unsigned g = 0; g < GROUPS; g++) {
        for (unsigned v = 0; v < run->test->n_vars; v++) {
            if (lt_random(run) % 4 < (few ? 3 : 1))
                continue;
            unsigned code = lt_load(run, g, v, v);
            if (code != 0 && !run->failed) {
                fprintf(stderr, "PE %d: round %u: variable %u of group %u is not its first value\n",
                        run->pe, run->round, v, g);
                run->failed = true;
            }
        }
    }
}

static void load_finals(struct run *run, struct seen *seen)
{
    for (unsigned i = 0; i < INSTANCES; i++) {
        for (unsigned v = 0; v < run->test->n_vars; v++) {
            unsigned code = 1 + lt_load(run, i / PER_GROUP, i % PER_GROUP, v);
            seen->finals[i][v] = (uint8_t)code;
            seen->finals_down[i][v] = (uint8_t)(UINT8_MAX - code);
        }
    }
}

/* What bystanders wrote must be there, whatever was raced for beside it. */
static void check_bystanders(struct run *run)
{
    for (unsigned g = 0; g < GROUPS; g++) {
        unsigned expected = 0;
        for (unsigned t = 0; t < run->test->n_threads; t++)
            expected |= 1u << lt_pe_of(run, g, t); /* no bystanders */
        for (int pe = 0; pe < run->n_pes; pe++) {
            uint8_t byte = *lt_bystander_byte(run, g, pe);
            if ((expected >> pe & 1) == 0 && byte != bystander_value(run, g, pe) && !run->failed) {
                fprintf(stderr, "PE %d: round %u: PE %d's own byte in group %u is lost\n", run->pe,
                        run->round, pe, g);
                run->failed = true;
            }
        }
    }
}

void lt_round(struct run *run, struct outcomes *outcomes)
{
    static struct seen seen; /* too large for the stack */
    unsigned n_phases = run->edge == LT_BARRIER ? lt_n_phases(run->test) : 1;

    memset(&seen, 0, sizeof seen);
    run->base = (uint8_t)(4 + run->round % 62 * 4);
    store_first(run);
    barrier(run);
    load_first(run);
    barrier(run);
    for (unsigned phase = 0; phase < n_phases; phase++) {
        run_groups(run, &seen, phase);
        barrier(run);
    }
    run->met += run->test->n_threads;
    load_finals(run, &seen);
    check_bystanders(run);
    barrier(run);
    seen.failed = run->failed;
    lt_share(run, &seen, outcomes);
}
