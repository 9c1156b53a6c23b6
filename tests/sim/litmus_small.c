/* SPDX-License-Identifier: BSD-3-Clause */
/* The litmus tests in all their orders: each on exactly as many PEs as it has threads, without
 * stray fences or evictions. A variant is one of
 *
 *   shift   which PE plays which thread (PE 0 is home to the page, or to x)
 *   fixed   on two pages: PE 0 is home to both
 *   copies  the variables that every PE has loaded before
 *
 * Final values are not loaded but computed: what each PE's frame holds after an acquire, or what a
 * fetch would bring. So the outcomes seen are exactly those that the variant can have. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

enum { OPS_ROOM = 24, OUTCOMES_MAX = 64 };

struct variant {
    struct sim_litmus_id id;
    unsigned number, shift, copies;
    bool fixed;
};

static struct seen {
    char text[LT_OUTCOME_MAX + 1];
    enum lt_verdict verdict;
} seen[OUTCOMES_MAX]; /* of the variant under way */
static unsigned n_seen;

/* --- the program --- */

static void emit(struct sim_program *p, int pe, struct sim_op op)
{
    p->ops[pe][p->n_ops[pe]++] = op;
}

static void emit_access(struct sim_program *p, int pe, unsigned var, bool store, unsigned what)
{
    emit(p, pe,
         (struct sim_op){.kind = store ? SIM_LITMUS_STORE : SIM_LITMUS_LOAD,
                         .which = (uint16_t)var,
                         .offset = (uint16_t)what});
}

static void emit_op(struct sim_program *p, int pe, const struct lt_op *op, enum lt_edge edge)
{
    if (edge == LT_FENCE) {
        emit(p, pe, (struct sim_op){.kind = SIM_ACQUIRE});
    } else if (edge == LT_LOCK) {
        emit(p, pe, (struct sim_op){.kind = SIM_LOCK, .which = op->var});
    }
    emit_access(p, pe, op->var, op->kind == LT_STORE, op->what);
    if (edge == LT_FENCE) {
        emit(p, pe, (struct sim_op){.kind = SIM_RELEASE});
    } else if (edge == LT_LOCK) {
        emit(p, pe, (struct sim_op){.kind = SIM_UNLOCK, .which = op->var});
    }
}

static void make_program(struct sim_world *world, const struct variant *v)
{
    const struct lt_test *test = v->id.test;
    struct sim_program *p = &world->program;
    unsigned n = test->n_threads, phases = v->id.edge == LT_BARRIER ? lt_n_phases(test) : 1;
    for (unsigned t = 0; t < n; t++) {
        int pe = (int)((t + v->shift) % n);
        p->ops[pe] = sim_arena(OPS_ROOM * sizeof(struct sim_op));
        p->pe_of[pe] = pe;
        for (unsigned var = 0; var < test->n_vars; var++) {
            if ((v->copies >> var & 1) != 0) {
                emit_access(p, pe, var, false, SIM_LITMUS_FIRST);
            }
        }
        emit(p, pe, (struct sim_op){.kind = SIM_BARRIER});
        for (unsigned phase = 0; phase < phases; phase++) {
            for (unsigned i = 0; i < lt_n_ops(test, t); i++) {
                if (phases == 1 || test->ops[t][i].phase == phase) {
                    emit_op(p, pe, &test->ops[t][i], v->id.edge);
                }
            }
            if (phase + 1 < phases) {
                emit(p, pe, (struct sim_op){.kind = SIM_BARRIER, .which = (uint16_t)(1 + phase)});
            }
        }
        emit(p, pe, (struct sim_op){.kind = SIM_RELEASE});
    }
    world->config.n_barriers = (int)phases;
}

static void make_world(struct sim_world *world, const struct variant *v)
{
    const struct lt_test *test = v->id.test;
    bool pages = v->id.layout == LT_TWO_PAGES;
    sim_small_begin(world, (enum sim_scheme)v->id.scheme, (int)test->n_threads);
    world->config.n_threads = world->config.n_pes;
    world->config.n_locks = LT_VARS_MAX;
    world->config.deal = pages && !v->fixed ? HTH_DEAL_CYCLIC : HTH_DEAL_FIXED;
    world->config.collective_pages = pages ? test->n_vars : 1;
    world->litmus = (struct sim_litmus){.test = test, .edge = v->id.edge, .layout = v->id.layout};
    for (unsigned var = 0; var < test->n_vars; var++) {
        world->config.threads_of[var] = 1;
        world->litmus.vars[var] = (struct sim_litmus_var){
            pages ? var : 0, v->id.layout == LT_ONE_WORD ? 8 + var : 8 + 8 * var,
            v->id.layout == LT_ONE_WORD ? 1 : 8};
    }
    for (int pe = 0; pe < world->config.n_pes; pe++) {
        world->config.threads_of[pe] = 1;
    }
    make_program(world, v);
    sim_small_end(world);
}

/* --- a run --- */

void sim_litmus_end(struct sim_world *world)
{
    struct sim_litmus *litmus = &world->litmus;
    for (unsigned var = 0; var < litmus->test->n_vars; var++) {
        uint32_t page = litmus->vars[var].page;
        int truth = sim_truth_of(world, 0, page, sim_home_of(world, 0, page));
        for (int pe = 0; pe < sim_n_pes(world); pe++) {
            bool has = world->ports[pe].view[0][page] != HTH_VIEW_NONE;
            const struct hth_region *region = &world->ports[has ? pe : truth].region[0];
            sim_litmus_see(
                litmus, var,
                sim_litmus_decode(litmus, var, hth_frame(region, page) + litmus->vars[var].offset));
        }
    }
    sim_litmus_judge(world);
    unsigned i = 0;
    while (i < n_seen && strcmp(seen[i].text, litmus->outcome) != 0) {
        i++;
    }
    if (i == n_seen && n_seen < OUTCOMES_MAX) {
        memcpy(seen[n_seen].text, litmus->outcome, sizeof litmus->outcome);
        seen[n_seen++].verdict = litmus->verdict;
    }
}

static void print_variant(const struct variant *v)
{
    char name[SIM_LITMUS_NAME_MAX];
    sim_litmus_name(v->number, name);
    printf("%s, thread 0 on PE %u, homes %s, copies of", name, v->shift,
           v->fixed ? "at PE 0" : "in turn");
    for (unsigned var = 0; var < v->id.test->n_vars; var++) {
        printf("%s", (v->copies >> var & 1) != 0 ? (const char *[]){" x", " y", " z"}[var] : "");
    }
    printf("%s:", v->copies == 0 ? " none" : "");
}

static void print_outcomes(const struct variant *v)
{
    print_variant(v);
    for (unsigned i = 0; i < n_seen; i++) {
        printf(" %s%s", seen[i].text, seen[i].verdict == LT_RELAXED ? "(relaxed)" : "");
    }
    printf("\n");
}

static void tell(struct sim_world *world, const struct variant *v, struct sim_explore *explore)
{
    print_variant(v);
    printf("\n");
    sim_world_fini(world);
    make_world(world, v);
    world->tracing = true;
    sim_trace_reset();
    sim_program_print(world);
    sim_explore_replay(world, explore);
    sim_trace_print(world, -1, 0, UINT32_MAX);
    printf("INVARIANT %s\n  after %u choices: %s\n", sim_invariant_name(world->failure.invariant),
           explore->n_choices, world->failure.text);
}

struct totals {
    uint64_t variants, complete, states, runs, relaxed, failed;
};

static bool run_variant(struct sim_world *world, const struct variant *v, double deadline,
                        struct totals *totals, bool histogram)
{
    struct sim_explore explore = {
        .scheme = (enum sim_scheme)v->id.scheme, .delays = -1, .deadline = deadline};
    n_seen = 0;
    make_world(world, v);
    bool ok = sim_explore(world, &explore);
    totals->variants++;
    totals->complete += explore.complete;
    totals->states += explore.states;
    totals->runs += explore.runs;
    totals->failed += !ok;
    for (unsigned i = 0; i < n_seen; i++) {
        totals->relaxed += seen[i].verdict == LT_RELAXED;
    }
    if (!ok) {
        tell(world, v, &explore);
    } else if (histogram) {
        print_outcomes(v);
    }
    sim_world_fini(world);
    return ok;
}

/* Two threads only: with three, a variant may have millions of states. One word is one page here:
 * one-sided pieces are whole. */
static bool is_small(const struct sim_litmus_id *id)
{
    return id->test->n_threads == 2 && id->layout != LT_ONE_WORD &&
           (id->layout == LT_ONE_PAGE || id->test->n_vars > 1);
}

/* The which-th variant of all; false: there is no such one. */
static bool variant_of(unsigned which, struct variant *v)
{
    enum { SHIFTS = 2, FIXED = 2, COPIES = 1 << 2 };
    v->copies = which % COPIES;
    which /= COPIES;
    v->fixed = which % FIXED == 0;
    which /= FIXED;
    v->shift = which % SHIFTS;
    v->number = which / SHIFTS;
    v->id = sim_litmus_id(v->number);
    return is_small(&v->id) && v->copies < 1u << v->id.test->n_vars &&
           (v->fixed || v->id.layout == LT_TWO_PAGES);
}

int sim_litmus_explore(struct sim_world *world, const struct sim_options *options,
                       const char *filter, uint64_t seed, double seconds, bool histogram)
{
    struct totals totals = {0};
    double start = sim_now(), deadline = start + seconds;
    unsigned all = sim_litmus_count() * 2 * 2 * 4;
    for (unsigned i = 0; i < all && totals.failed == 0 && sim_now() < deadline; i++) {
        struct variant v;
        char name[SIM_LITMUS_NAME_MAX];
        /* In an order of the seed's choosing, in case the time does not suffice: a prime step. */
        bool is = variant_of((unsigned)(((uint64_t)i * 1000003 + seed) % all), &v);
        sim_litmus_name(v.number, name);
        if (is && (options->scheme < 0 || options->scheme == v.id.scheme) &&
            (filter == NULL || strstr(name, filter) != NULL)) {
            run_variant(world, &v, deadline, &totals, histogram);
        }
    }
    double took = sim_now() - start + 1e-9;
    printf("litmus: %" PRIu64 " variants of tests, %" PRIu64 " in all their orders, %" PRIu64
           " states in %.1f s: %.0f a second, %.0f schedules a second; relaxed outcomes %" PRIu64
           " times\n",
           totals.variants, totals.complete, totals.states, took, (double)totals.states / took,
           (double)totals.runs / took, totals.relaxed);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", totals.variants - totals.failed,
           totals.failed);
    return totals.failed > 0 || totals.variants == 0;
}
