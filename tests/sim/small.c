/* SPDX-License-Identifier: BSD-3-Clause */
/* The small programs that explore.c runs in every order. One page of 64 bytes, home PE 0, two bytes
 * of one word, each with its lock. Operations, in the letters that name a program:
 *
 *   r  lock 0; read byte 0; unlock 0
 *   w  lock 0; read and write byte 0; unlock 0
 *   v  lock 1; write byte 1, its neighbour; unlock 1
 *   e  evict the page
 *
 * In a sequential region there are no locks: the accesses race.
 *
 * "0:wr 1:we" is PE 0's thread doing w, r and PE 1's doing w, e. The threads of a PE are apart by
 * commas. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

static const char letters[] = "wver";
enum { LETTERS = 4, OPS = 3 };

/* The release-consistent protocols without hot pages, wanted copies and packed diffs, and with. */
#define COMMON .batch = 2, .cool_after = 1, .cool_after_home = 1, .pack_page_runs = 1
#define HOT    .hot_after = 1, .wanted_after = 1, .probe_after = 1, .vain_notices = 2
static const struct hth_tuning plain = {COMMON, .hot_after = 200, .wanted_after = 4,
                                        .vain_notices = 1, .pack_runs = UINT_MAX};
static const struct hth_tuning hot = {COMMON, HOT, .pack_runs = UINT_MAX};
static const struct hth_tuning packed = {COMMON, HOT, .pack_runs = 1};

static const char *tuning_name(const struct hth_tuning *tuning)
{
    return tuning == &plain ? "" : tuning == &hot ? ", hot" : ", hot and packed";
}

struct small {
    int n_pes, n_threads;
    int pe_of[4];
    char ops[4][OPS + 1];
};

static void emit(struct sim_program *p, int thread, struct sim_op op)
{
    p->ops[thread][p->n_ops[thread]++] = op;
}

/* Read and write byte `which`: under its lock, or as a race. */
static void emit_accesses(struct sim_program *p, int thread, uint16_t which, bool read, bool write,
                          bool racy)
{
    struct sim_op op = {.which = which, .bytes = 1, .racy = racy};
    if (!racy) {
        emit(p, thread, (struct sim_op){.kind = SIM_LOCK, .which = which});
    }
    if (read) {
        op.kind = SIM_READ;
        emit(p, thread, op);
    }
    if (write) {
        op.kind = SIM_WRITE;
        emit(p, thread, op);
    }
    if (!racy) {
        emit(p, thread, (struct sim_op){.kind = SIM_UNLOCK, .which = which});
    }
}

static void make_program(struct sim_world *world, const struct small *small)
{
    struct sim_program *p = &world->program;
    bool racy = world->config.scheme[0] == SIM_SEQUENTIAL;
    p->n_spans = p->n_bytes = 2;
    for (unsigned i = 0; i < 2; i++) {
        p->spans[i] = (struct sim_span){
            .group = (uint8_t)i, .first_byte = (uint16_t)i, .bytes = 1, .offset = 8 + i};
    }
    for (int thread = 0; thread < small->n_threads; thread++) {
        p->ops[thread] = sim_arena(4 * (OPS + 1) * sizeof(struct sim_op));
        p->pe_of[thread] = small->pe_of[thread];
        for (const char *op = small->ops[thread]; *op != '\0'; op++) {
            switch (*op) {
            case 'r':
            case 'w':
                emit_accesses(p, thread, 0, true, *op == 'w', racy);
                break;
            case 'v':
                emit_accesses(p, thread, 1, false, true, racy);
                break;
            case 'e':
                emit(p, thread, (struct sim_op){.kind = SIM_EVICT});
                break;
            }
        }
    }
}

void sim_small_begin(struct sim_world *world, enum sim_scheme scheme, int n_pes)
{
    static const uint8_t nothing[SIM_UNITS_MAX / 8];
    sim_arena_reset();
    memset(world, 0, sizeof *world);
    world->config = (struct sim_config){.n_pes = n_pes,
                                        .n_regions = 1,
                                        .page_bytes = 64,
                                        .collective_pages = 1,
                                        .solo_pages = 1,
                                        .deal = HTH_DEAL_FIXED,
                                        .mood_steps = 1,
                                        .hold_steps_max = 1,
                                        .n_locks = 2,
                                        .values = 4};
    world->config.scheme[0] = scheme;
    world->config.first_scheme[0] = scheme;
    world->config.step_ns = 1;
    world->config.tuning = plain;
    world->dropped = nothing;
    world->choose = (int (*)(struct sim_world *, int))1; /* small allocations */
    world->program.n_units = 1;
}

void sim_small_end(struct sim_world *world)
{
    for (int i = 0; i < 2 * world->config.n_pes + world->config.n_threads; i++) {
        size_t bytes;
        uint8_t *stack = sim_stack(i, &bytes);
        memset(stack + bytes - 16384, 0, 16384);
    }
    sim_world_init(world);
}

static void make_world(struct sim_world *world, const struct small *small,
                       struct sim_explore *explore)
{
    sim_small_begin(world, explore->scheme, small->n_pes);
    world->config.tuning = *explore->tuning;
    world->config.n_threads = small->n_threads;
    for (int i = 0; i < small->n_threads; i++) {
        world->config.threads_of[small->pe_of[i]]++;
    }
    make_program(world, small);
    sim_small_end(world);
}

static void print_small(const struct small *small)
{
    for (int i = 0; i < small->n_threads; i++) {
        bool same = i > 0 && small->pe_of[i] == small->pe_of[i - 1];
        if (same) {
            printf(",%s", small->ops[i]);
        } else {
            printf("%s%d:%s", i == 0 ? "" : " ", small->pe_of[i], small->ops[i]);
        }
    }
}

/* Once more, by the choices that led to the failure, with a trace. */
static void tell_small(struct sim_world *world, const struct small *small,
                       struct sim_explore *explore)
{
    sim_world_fini(world);
    make_world(world, small, explore);
    world->tracing = true;
    sim_trace_reset();
    sim_explore_replay(world, explore);
    sim_trace_print(world, 0, 0, UINT32_MAX);
    printf("INVARIANT %s\n  after %u choices: %s\n", sim_invariant_name(world->failure.invariant),
           explore->n_choices, world->failure.text);
}

struct totals {
    uint64_t programs, complete, states, runs, failed;
    bool quiet;
};

static void try_small(struct sim_world *world, const struct small *small,
                      struct sim_explore explore, struct totals *totals)
{
    make_world(world, small, &explore);
    bool ok = sim_explore(world, &explore);
    totals->programs++;
    totals->complete += explore.complete;
    totals->states += explore.states;
    totals->runs += explore.runs;
    if (!ok) {
        totals->failed++;
        printf("%s%s, program ", sim_scheme_name(explore.scheme), tuning_name(explore.tuning));
        print_small(small);
        printf("\n");
        tell_small(world, small, &explore);
    }
    sim_world_fini(world);
}

/* The number-th program of `ops` letters a thread. */
static struct small number_to_small(uint64_t number, int n_pes, const int *threads_of, int ops)
{
    struct small small = {.n_pes = n_pes};
    for (int pe = 0; pe < n_pes; pe++) {
        for (int i = 0; i < threads_of[pe]; i++) {
            int thread = small.n_threads++;
            small.pe_of[thread] = pe;
            for (int op = 0; op < ops; op++) {
                small.ops[thread][op] = letters[number % LETTERS];
                number /= LETTERS;
            }
        }
    }
    return small;
}

/* The home has no copy to evict: such programs say nothing new. */
static bool is_idle(const struct small *small)
{
    return small->pe_of[0] == 0 && strchr(small->ops[0], 'e') != NULL;
}

static bool enumerate(struct sim_world *world, struct sim_explore explore, int n_pes,
                      const int *threads_of, int ops, uint64_t seed, double seconds,
                      struct totals *totals)
{
    int threads = 0;
    uint64_t all = 1;
    for (int pe = 0; pe < n_pes; pe++) {
        threads += threads_of[pe];
    }
    for (int i = 0; i < threads * ops; i++) {
        all *= LETTERS;
    }
    struct totals before = *totals;
    double start = sim_now();
    uint64_t number = 0;
    for (; number < all && sim_now() < start + seconds; number++) {
        /* All of them, but in an order of the seed's choosing, in case the time does not suffice.
         */
        uint64_t which = (number * UINT64_C(0x9e3779b1) + seed) % all; /* all: a power of 2 */
        struct small small = number_to_small(which, n_pes, threads_of, ops);
        explore.deadline = start + seconds;
        if (!is_idle(&small)) {
            try_small(world, &small, explore, totals);
        }
        if (totals->failed > before.failed) {
            return false;
        }
    }
    if (totals->quiet) {
        return true;
    }
    char bound[48] = "";
    if (explore.delays >= 0) {
        snprintf(bound, sizeof bound, " with up to %d delays", explore.delays);
    }
    printf("%s%s: %d PEs, %d threads, %d operations each: %" PRIu64 " programs, %" PRIu64
           " in all their orders%s, %" PRIu64 " states, %.1f s\n",
           sim_scheme_name(explore.scheme), tuning_name(explore.tuning), n_pes, threads, ops,
           totals->programs - before.programs, totals->complete - before.complete, bound,
           totals->states - before.states, sim_now() - start);
    if (number < all) {
        printf("  (time is up: %" PRIu64 " of %" PRIu64 " programs)\n", number, all);
    }
    return true;
}

struct shape {
    int n_pes, threads_of[3], ops, delays;
    const struct hth_tuning *tuning;
};
/* What each set of worlds is; ended by no PEs. */
static const struct shape shapes[][7] = {[SIM_SMALL] = {{2, {1, 1}, 1, -1, &plain},
                                                        {2, {1, 1}, 2, -1, &plain},
                                                        {3, {1, 1, 1}, 1, -1, &plain},
                                                        {2, {1, 1}, 2, -1, &hot},
                                                        {2, {1, 1}, 2, -1, &packed}},
                                         [SIM_LARGER] = {{2, {1, 1}, 3, -1, &plain},
                                                         {3, {1, 1, 1}, 2, -1, &plain},
                                                         {2, {1, 2}, 1, -1, &plain},
                                                         {2, {1, 1}, 3, -1, &packed},
                                                         {3, {1, 1, 1}, 1, -1, &packed},
                                                         {2, {1, 2}, 1, -1, &hot}},
                                         [SIM_DELAYED] = {{2, {1, 2}, 2, 2, &hot},
                                                          {3, {1, 1, 1}, 2, 2, &plain},
                                                          {3, {1, 2, 1}, 1, 2, &plain}}};

int sim_small_worlds(struct sim_world *world, const struct sim_options *options,
                     enum sim_small_set set, uint64_t seed, double seconds, bool quiet)
{
    struct totals totals = {.quiet = quiet};
    double start = sim_now();
    for (int scheme = 0; scheme < 3; scheme++) {
        for (const struct shape *shape = shapes[set]; shape->n_pes > 0 && totals.failed == 0;
             shape++) {
            struct sim_explore explore = {.scheme = (enum sim_scheme)scheme,
                                          .delays = shape->delays,
                                          .tuning = shape->tuning};
            bool same =
                shape->tuning != &plain && /* as plain */
                (scheme == SIM_SEQUENTIAL || (scheme == SIM_UPDATE && shape->tuning == &packed));
            if (!same && (options->scheme < 0 || options->scheme == scheme)) {
                enumerate(world, explore, shape->n_pes, shape->threads_of, shape->ops, seed,
                          seconds, &totals);
            }
        }
    }
    double took = sim_now() - start + 1e-9;
    printf("%s: %" PRIu64 " programs, %" PRIu64 " in all their orders%s, %" PRIu64
           " states in %.1f s: %.0f a second, %.0f schedules a second\n",
           (const char *[]){"small", "larger", "middle"}[set], totals.programs, totals.complete,
           set == SIM_DELAYED ? " of few delays" : "", totals.states, took,
           (double)totals.states / took, (double)totals.runs / took);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", totals.programs - totals.failed,
           totals.failed);
    return totals.failed > 0;
}
