/* SPDX-License-Identifier: BSD-3-Clause */
/* The cost model's table: what is done, and what it costs. A protocol that changes what it sends
 * has its formulas changed here; `sim --mode=model` says where they do not fit any more.
 *
 * Where homes are fixed, PE 0 is the home; PE 1 reads or writes; the s sharers are the PEs after
 * those that are named. A write changes one byte of each page. */
#include "model.h"

#include <limits.h>

/* Pages p at home 0 that `first` .. first + s - 1 have copies of and are registered for, nothing
 * dirty, the home's hints taken. The first reads end when the home tells their readers, at one
 * barrier or the next. */
static void share(struct sim_script *script, const struct sim_point *at, int first)
{
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < at->sharers; i++) {
            sim_script_touch(script, first + (int)i, 0, at->pages, false);
        }
        sim_script_all(script);
        sim_script_all(script);
    }
}

/* --- misses --- */

/* Read the p pages, a power of two, in an order without a pattern: the triangular numbers, each
 * stride another. */
static void read_scattered(struct sim_script *script, const struct sim_point *at)
{
    for (uint64_t i = 0; i < at->pages; i++) {
        sim_script_touch(script, 1, i * (i + 1) / 2 % at->pages, 1, false);
    }
}

static void first_miss(struct sim_script *script, const struct sim_point *at)
{
    sim_script_all(script);
    sim_script_measure(script, 1);
    read_scattered(script, at);
}

static void miss_again(struct sim_script *script, const struct sim_point *at)
{
    struct sim_point one = *at;
    one.sharers = 1;
    share(script, &one, 1);
    sim_script_touch(script, 0, 0, at->pages, true);
    sim_script_all(script);
    sim_script_measure(script, 1);
    read_scattered(script, at);
}

static void owned_miss(struct sim_script *script, const struct sim_point *at)
{
    sim_script_touch(script, 2, 0, at->pages, true);
    sim_script_all(script);
    sim_script_measure(script, 1);
    read_scattered(script, at);
}

/* --- writes of the sequential protocol --- */

static void write_shared(struct sim_script *script, const struct sim_point *at)
{
    struct sim_point all = *at;
    all.sharers++;
    share(script, &all, 1);
    sim_script_measure(script, 1);
    sim_script_touch(script, 1, 0, at->pages, true);
}

static void write_owned(struct sim_script *script, const struct sim_point *at)
{
    sim_script_touch(script, 2, 0, at->pages, true);
    sim_script_all(script);
    sim_script_measure(script, 1);
    sim_script_touch(script, 1, 0, at->pages, true);
}

/* --- releases --- */

static void release_at_home(struct sim_script *script, const struct sim_point *at)
{
    share(script, at, 1);
    sim_script_touch(script, 0, 0, at->pages, true);
    sim_script_measure(script, 0);
    sim_script_release(script, 0);
}

static void release_copies(struct sim_script *script, const struct sim_point *at)
{
    struct sim_point all = *at;
    all.sharers++;
    share(script, &all, 1);
    sim_script_touch(script, 1, 0, at->pages, true);
    sim_script_measure(script, 1);
    sim_script_release(script, 1);
}

static void release_nothing(struct sim_script *script, const struct sim_point *at)
{
    share(script, at, 1);
    sim_script_measure(script, 1);
    sim_script_release(script, 1);
}

/* --- acquires --- */

static void acquire_nothing(struct sim_script *script, const struct sim_point *at)
{
    share(script, at, 1);
    sim_script_measure(script, 1);
    sim_script_acquire(script, 1);
}

/* The home writes them, and tells PE 1, which waits for it; measured is that. */
static void measure_told(struct sim_script *script, const struct sim_point *at)
{
    sim_script_order(script, 1, 0, false);
    sim_script_touch(script, 0, 0, at->pages, true);
    sim_script_signal(script, 0);
    sim_script_measure(script, 1);
    sim_script_wait(script, 1);
}

/* The same several times before, PE 1 reading them again each time or not. */
static void tell(struct sim_script *script, const struct sim_point *at, int times, bool read)
{
    for (int told = 0; told < times; told++) {
        sim_script_order(script, 1, 0, false);
        sim_script_touch(script, 0, 0, at->pages, true);
        sim_script_order(script, 0, 1, true);
        sim_script_touch(script, 1, 0, read ? at->pages : 0, false);
    }
}

static void acquire_told(struct sim_script *script, const struct sim_point *at)
{
    share(script, at, 1);
    measure_told(script, at);
}

/* Told so often in vain that it leaves the copyset (struct hth_tuning, as shipped). */
enum { VAIN_NOTICES = 3 };

static void acquire_told_in_vain(struct sim_script *script, const struct sim_point *at)
{
    share(script, at, 1);
    tell(script, at, VAIN_NOTICES, false);
    measure_told(script, at);
}

static void acquire_wanted(struct sim_script *script, const struct sim_point *at)
{
    share(script, at, 1);
    tell(script, at, 3, true);
    measure_told(script, at);
}

/* --- a whole barrier --- */

/* Each PE is home to p pages, which the next PE (around a ring) reads. Measured: all write theirs
 * (which other PEs do not see), barrier, all read. */
static void read_next(struct sim_script *script, const struct sim_point *at)
{
    for (uint64_t pe = 0; pe < at->pes; pe++) {
        sim_script_touch(script, (int)pe, (pe + 1) % at->pes * at->pages, at->pages, false);
    }
    sim_script_all(script);
}

static void write_mine(struct sim_script *script, const struct sim_point *at)
{
    for (uint64_t pe = 0; pe < at->pes; pe++) {
        sim_script_touch(script, (int)pe, pe * at->pages, at->pages, true);
    }
    sim_script_all(script);
}

static void ring(struct sim_script *script, const struct sim_point *at)
{
    read_next(script, at); /* as in share */
    sim_script_all(script);
    read_next(script, at);
    write_mine(script, at);
    read_next(script, at);
    sim_script_measure(script, 0);
    write_mine(script, at);
    read_next(script, at);
}

/* Of one protocol, with homes fixed, and how many PEs there are beside the sharers. */
#define OF(protocol, beside, least)                                                                \
    .scheme = SIM_##protocol, .deal = HTH_DEAL_FIXED, .others = beside, .sharers_min = least
#define NO_SHARERS -1
#define RING                                                                                       \
    .what = "each PE writes its p pages (at most a word of the stale map), all wait, each reads "  \
            "the next PE's; without the barrier's own messages",                                   \
    .deal = HTH_DEAL_BLOCK, .others = 2, .sharers_min = NO_SHARERS, .write = ring

const struct sim_scenario sim_scenarios[] = {
    /* --- write-invalidate --- */
    {.name = "invalidate, miss, first touch",
     .what = "a PE reads p pages of one home for the first time, in no order",
     OF(INVALIDATE, 2, NO_SHARERS),
     .write = first_miss,
     .formula = {[SIM_Q_ATOMICS] = "4 * p",
                 [SIM_Q_GETS] = "p",
                 [SIM_Q_MOVED_BYTES] = "p * (B + 32)",
                 [SIM_Q_HOPS] = "2 * p",
                 [SIM_Q_FLUSHES] = "10 * p",
                 [SIM_Q_BUSIEST] = "5 * p"}},
    {.name = "invalidate, miss again",
     .what = "the same, after the home has written on them",
     OF(INVALIDATE, 2, NO_SHARERS),
     .write = miss_again,
     .formula = {[SIM_Q_GETS] = "p",
                 [SIM_Q_MOVED_BYTES] = "p * B",
                 [SIM_Q_HOPS] = "2 * p",
                 [SIM_Q_FLUSHES] = "2 * p",
                 [SIM_Q_BUSIEST] = "p"}},
    {.name = "invalidate, release at home",
     .what = "the home has written p pages that s PEs are registered for",
     OF(INVALIDATE, 1, 1),
     .write = release_at_home,
     .formula = {[SIM_Q_ATOMICS] = "s * (up(p, 64) + 2 * up(p, b))",
                 [SIM_Q_MOVED_BYTES] = "8 * s * (up(p, 64) + 2 * up(p, b))",
                 [SIM_Q_HOPS] = "2 * up(p, b)",
                 [SIM_Q_FLUSHES] = "6 * up(p, b)",
                 [SIM_Q_BUSIEST] = "s * (up(p, 64) + 2 * up(p, b))"}},
    {.name = "invalidate, release of copies",
     .what = "a PE has written p pages of one home that s others are registered for",
     OF(INVALIDATE, 2, 1),
     .write = release_copies,
     .formula = {[SIM_Q_ATOMICS] = "up(p, k) * w + s * (up(p, 64) + 2 * up(p, b))",
                 [SIM_Q_PUTS] = "p",
                 [SIM_Q_MOVED_BYTES] = "p + 8 * up(p, k) * w + 8 * s * (up(p, 64) + 2 * up(p, b))",
                 [SIM_Q_HOPS] = "6 * up(p, b)",
                 [SIM_Q_FLUSHES] = "10 * up(p, b)",
                 [SIM_Q_BUSIEST] = "p + up(p, k) * w + s * (up(p, 64) + 2 * up(p, b))"}},
    {.name = "invalidate, release of nothing",
     .what = "p pages are cached, nothing was written",
     OF(INVALIDATE, 1, 1),
     .write = release_nothing},
    {.name = "invalidate, acquire of nothing",
     .what = "p pages are cached, nothing was told",
     OF(INVALIDATE, 1, 1),
     .write = acquire_nothing},
    {.name = "invalidate, acquire",
     .what = "p cached pages are stale",
     OF(INVALIDATE, 1, 1),
     .write = acquire_told,
     .formula = {[SIM_Q_OWN_ATOMICS] = "2 + up(p, 64)"}},
    {.name = "invalidate, acquire, told in vain",
     .what = "p pages are stale that were not touched since, for the time that makes it leave",
     OF(INVALIDATE, 1, 1),
     .write = acquire_told_in_vain,
     .formula = {[SIM_Q_ATOMICS] = "p",
                 [SIM_Q_MOVED_BYTES] = "8 * p",
                 [SIM_Q_OWN_ATOMICS] = "2 + up(p, 64)",
                 [SIM_Q_HOPS] = "2 * p",
                 [SIM_Q_FLUSHES] = "2 * p",
                 [SIM_Q_BUSIEST] = "p"}},
    {.name = "invalidate, acquire, wanted",
     .what = "p cached pages are stale that were read again each time",
     OF(INVALIDATE, 1, 1),
     .wanted_after = 2,
     .write = acquire_wanted,
     .formula = {[SIM_Q_GETS] = "up(p, 256)",
                 [SIM_Q_MOVED_BYTES] = "p * B",
                 [SIM_Q_OWN_ATOMICS] = "2 + up(p, 64)",
                 [SIM_Q_HOPS] = "2 * up(p, 256)",
                 [SIM_Q_FLUSHES] = "2 * up(p, 256)",
                 [SIM_Q_BUSIEST] = "up(p, 256)"}},
    {.name = "invalidate, barrier of a ring, missed",
     .scheme = SIM_INVALIDATE,
     RING,
     .wanted_after = UINT_MAX,
     .formula = {[SIM_Q_ATOMICS] = "6 * N",
                 [SIM_Q_GETS] = "N * p",
                 [SIM_Q_MOVED_BYTES] = "N * (48 + p * B)",
                 [SIM_Q_OWN_ATOMICS] = SIM_VARIES,
                 [SIM_Q_HOPS] = "4 + 2 * p",
                 [SIM_Q_FLUSHES] = "12 + 2 * p",
                 [SIM_Q_BUSIEST] = "6 + p"}},

    /* --- write-update --- */
    {.name = "update, miss",
     .what = "a PE reads p pages of one home for the first time, in no order",
     OF(UPDATE, 2, NO_SHARERS),
     .write = first_miss,
     .formula = {[SIM_Q_MESSAGES] = "2 * p",
                 [SIM_Q_MESSAGE_BYTES] = "p * (B + 56)",
                 [SIM_Q_HOPS] = "2 * p",
                 [SIM_Q_FLUSHES] = "2 * p",
                 [SIM_Q_BUSIEST] = "2 * p"}},
    {.name = "update, release at home",
     .what = "the home has written p pages that s PEs subscribe to",
     OF(UPDATE, 1, 1),
     .write = release_at_home,
     .formula = {[SIM_Q_MESSAGES] = "2 * s * up(p, b)",
                 [SIM_Q_MESSAGE_BYTES] = "s * (32 * up(p, b) + p * (16 + d))",
                 [SIM_Q_HOPS] = "2",
                 [SIM_Q_FLUSHES] = "2",
                 [SIM_Q_BUSIEST] = "2 * s * up(p, b)"}},
    {.name = "update, release of copies",
     .what = "a PE has written p pages of one home that s others subscribe to",
     OF(UPDATE, 2, 1),
     .write = release_copies,
     .formula = {[SIM_Q_MESSAGES] = "(2 + 2 * s) * up(p, b)",
                 [SIM_Q_MESSAGE_BYTES] = "(1 + s) * (32 * up(p, b) + p * (16 + d))",
                 [SIM_Q_HOPS] = "4",
                 [SIM_Q_FLUSHES] = "4",
                 [SIM_Q_BUSIEST] = "(2 + 2 * s) * up(p, b)"}},
    {.name = "update, release of nothing",
     .what = "p pages are cached, nothing was written",
     OF(UPDATE, 1, 1),
     .write = release_nothing},
    {.name = "update, acquire",
     .what = "p cached pages were updated",
     OF(UPDATE, 1, 1),
     .write = acquire_told},
    {.name = "update, barrier of a ring",
     .scheme = SIM_UPDATE,
     RING,
     .formula = {[SIM_Q_MESSAGES] = "2 * N",
                 [SIM_Q_MESSAGE_BYTES] = "N * (32 + p * (16 + d))",
                 [SIM_Q_HOPS] = "2",
                 [SIM_Q_FLUSHES] = "2",
                 [SIM_Q_BUSIEST] = "4"}},

    /* --- sequential --- */
    {.name = "sequential, read miss",
     .what = "a PE reads p pages that their home has",
     OF(SEQUENTIAL, 2, NO_SHARERS),
     .write = first_miss,
     .formula = {[SIM_Q_MESSAGES] = "2 * p",
                 [SIM_Q_MESSAGE_BYTES] = "p * (B + 64)",
                 [SIM_Q_HOPS] = "2 * p",
                 [SIM_Q_FLUSHES] = "2 * p",
                 [SIM_Q_BUSIEST] = "2 * p"}},
    {.name = "sequential, read miss, owned",
     .what = "a PE reads p pages that a third owns",
     OF(SEQUENTIAL, 3, NO_SHARERS),
     .write = owned_miss,
     .formula = {[SIM_Q_MESSAGES] = "4 * p",
                 [SIM_Q_MESSAGE_BYTES] = "p * (2 * B + 128)",
                 [SIM_Q_HOPS] = "4 * p",
                 [SIM_Q_FLUSHES] = "4 * p",
                 [SIM_Q_BUSIEST] = "4 * p"}},
    {.name = "sequential, write, shared",
     .what = "a PE that has copies writes p pages that s others have copies of",
     OF(SEQUENTIAL, 2, 1),
     .write = write_shared,
     .formula = {[SIM_Q_MESSAGES] = "(2 + 2 * s) * p",
                 [SIM_Q_MESSAGE_BYTES] = "32 * (2 + 2 * s) * p",
                 [SIM_Q_HOPS] = "4 * p",
                 [SIM_Q_FLUSHES] = "4 * p",
                 [SIM_Q_BUSIEST] = "(2 + 2 * s) * p"}},
    {.name = "sequential, write, owned",
     .what = "a PE without copies writes p pages that a third owns",
     OF(SEQUENTIAL, 3, NO_SHARERS),
     .write = write_owned,
     .formula = {[SIM_Q_MESSAGES] = "4 * p",
                 [SIM_Q_MESSAGE_BYTES] = "p * (2 * B + 128)",
                 [SIM_Q_HOPS] = "4 * p",
                 [SIM_Q_FLUSHES] = "4 * p",
                 [SIM_Q_BUSIEST] = "4 * p"}},
};
const int sim_n_scenarios = sizeof sim_scenarios / sizeof sim_scenarios[0];
