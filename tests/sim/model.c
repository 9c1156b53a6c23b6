/* SPDX-License-Identifier: BSD-3-Clause */
/* Run each scenario of model_scenarios.c twice, without and with what is to be measured, and
 * compare the difference of the counts with the formulas: for many numbers of PEs, sharers and
 * pages, under more than one schedule, since what is counted must not depend on it. */
#include "model.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tally.h"

const char *const sim_quantity_names[SIM_QUANTITIES] = {
    "messages",        "message bytes", "atomics", "gets",          "puts",
    "one-sided bytes", "own atomics",   "hops",    "hops, windows", "busiest PE"};

enum { OPS_MAX = 700, PAGES_MAX = SIM_SPANS_MAX };
static const uint64_t page_bytes = 4096;

struct sim_script {
    struct sim_world *world;
    bool with; /* what is measured is there */
    bool measuring;
    int pe; /* who waits for what is measured */
    int barriers, flags;
    int settled; /* the last barrier before it */
};

/* --- writing a script --- */

static void emit(struct sim_script *script, int pe, struct sim_op op)
{
    struct sim_program *program = &script->world->program;
    if (script->measuring && !script->with) {
        return;
    }
    if (program->n_ops[pe] == OPS_MAX) {
        fprintf(stderr, "model: more than %d operations\n", OPS_MAX);
        __builtin_trap();
    }
    program->ops[pe][program->n_ops[pe]++] = op;
}

void sim_script_all(struct sim_script *script)
{
    if (script->barriers == SIM_BARRIERS_MAX) {
        fprintf(stderr, "model: more than %d barriers\n", SIM_BARRIERS_MAX);
        __builtin_trap();
    }
    for (int pe = 0; pe < sim_n_pes(script->world); pe++) {
        emit(script, pe, (struct sim_op){.kind = SIM_BARRIER, .which = (uint16_t)script->barriers});
    }
    script->barriers++;
}

/* Of each page the program uses the first byte, which is span `page`. */
void sim_script_touch(struct sim_script *script, int pe, uint64_t first_page, uint64_t n_pages,
                      bool write)
{
    for (uint64_t page = first_page; page < first_page + n_pages; page++) {
        emit(script, pe,
             (struct sim_op){.kind = write ? SIM_WRITE : SIM_READ,
                             .how = SIM_NEW,
                             .which = (uint16_t)page,
                             .bytes = 1});
    }
}

void sim_script_release(struct sim_script *script, int pe)
{
    emit(script, pe, (struct sim_op){.kind = SIM_RELEASE});
}

void sim_script_acquire(struct sim_script *script, int pe)
{
    emit(script, pe, (struct sim_op){.kind = SIM_ACQUIRE});
}

void sim_script_signal(struct sim_script *script, int pe)
{
    emit(script, pe, (struct sim_op){.kind = SIM_SIGNAL, .which = (uint16_t)script->flags});
}

void sim_script_wait(struct sim_script *script, int pe)
{
    emit(script, pe, (struct sim_op){.kind = SIM_WAIT, .which = (uint16_t)script->flags++});
}

void sim_script_order(struct sim_script *script, int other, int pe, bool fences)
{
    struct sim_op op = {.kind = SIM_SIGNAL, .how = !fences, .which = (uint16_t)script->flags++};
    emit(script, other, op);
    op.kind = SIM_WAIT;
    emit(script, pe, op);
}

void sim_script_measure(struct sim_script *script, int pe)
{
    script->measuring = true;
    script->pe = pe;
    script->settled = script->barriers - 1;
}

/* --- running it --- */

struct result {
    uint64_t of[SIM_QUANTITIES];
    uint64_t traffic[SIM_PES_MAX]; /* for SIM_Q_BUSIEST, which is no sum */
};

static void configure(struct sim_world *world, const struct sim_scenario *scenario,
                      const struct sim_point *at, uint64_t seed)
{
    static const uint8_t nothing[SIM_UNITS_MAX / 8];
    sim_arena_reset();
    memset(world, 0, sizeof *world);
    uint64_t shares = scenario->deal == HTH_DEAL_FIXED ? 1 : at->pes;
    world->config = (struct sim_config){.n_pes = (int)at->pes,
                                        .n_threads = (int)at->pes,
                                        .n_regions = 1,
                                        .page_bytes = at->page_bytes,
                                        .collective_pages = at->pages * shares,
                                        .solo_pages = 1,
                                        .deal = scenario->deal,
                                        .mood_steps = 64,
                                        .stay_percent = 50,
                                        .hold_steps_max = 1,
                                        .steps_max = UINT32_MAX,
                                        .step_ns = 100000, /* holds are over at once */
                                        .n_locks = 1,
                                        .n_barriers = SIM_BARRIERS_MAX,
                                        .values = 256};
    if (scenario->wanted_after != 0) {
        world->config.tuning = hth_tuning_shipped;
        world->config.tuning.wanted_after = scenario->wanted_after;
        world->config.tuning.probe_after = UINT_MAX >> 8;
    }
    world->config.scheme[0] = world->config.first_scheme[0] = scenario->scheme;
    world->dropped = nothing;
    world->schedule_seed = seed;
    struct sim_program *program = &world->program;
    program->n_units = 1;
    program->n_spans = program->n_bytes = (int)world->config.collective_pages;
    for (int i = 0; i < program->n_spans; i++) {
        program->spans[i] =
            (struct sim_span){.first_byte = (uint16_t)i, .bytes = 1, .page = (uint32_t)i};
    }
    for (int pe = 0; pe < world->config.n_pes; pe++) {
        world->config.threads_of[pe] = 1;
        program->pe_of[pe] = pe;
        program->ops[pe] = sim_arena(OPS_MAX * sizeof(struct sim_op));
    }
}

static uint64_t hops_of(const struct sim_world *world, int pe, int how)
{
    for (int i = 0; i < world->n_actors; i++) {
        if (world->actors[i].kind == SIM_THREAD && world->actors[i].pe == pe) {
            return world->tally->hops[i][how];
        }
    }
    return 0;
}

static bool run(struct sim_world *world, const struct sim_scenario *scenario,
                const struct sim_point *at, uint64_t seed, bool with, struct result *result)
{
    static struct sim_tally tally;
    struct sim_script script = {.world = world, .with = with};
    configure(world, scenario, at, seed);
    memset(&tally, 0, sizeof tally);
    memset(result, 0, sizeof *result);
    scenario->write(&script, at);
    tally.after_barrier = script.settled;
    sim_world_init(world);
    world->tally = &tally;
    sim_start_schedule(world);
    bool ok = world->failure.invariant == SIM_INV_NONE;
    if (!ok) {
        printf("%s: %s: %s\n", scenario->name, sim_invariant_name(world->failure.invariant),
               world->failure.text);
    }
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        const struct sim_counts *counts = &tally.of[pe];
        result->of[SIM_Q_MESSAGES] += counts->messages;
        result->of[SIM_Q_MESSAGE_BYTES] += counts->message_bytes;
        result->of[SIM_Q_ATOMICS] += counts->atomics;
        result->of[SIM_Q_GETS] += counts->gets;
        result->of[SIM_Q_PUTS] += counts->puts;
        result->of[SIM_Q_MOVED_BYTES] += counts->moved_bytes;
        result->traffic[pe] =
            counts->messages + counts->handled + counts->atomics + counts->gets + counts->puts;
    }
    result->of[SIM_Q_OWN_ATOMICS] = tally.of[script.pe].own_atomics;
    result->of[SIM_Q_HOPS] = hops_of(world, script.pe, SIM_HOPS_ORDERED);
    result->of[SIM_Q_FLUSHES] = hops_of(world, script.pe, SIM_HOPS_FLUSHED);
    sim_world_fini(world);
    return ok;
}

static bool count(struct sim_world *world, const struct sim_scenario *scenario,
                  const struct sim_point *at, uint64_t seed, struct result *difference)
{
    static struct result without;
    bool ok = run(world, scenario, at, seed, false, &without) &&
              run(world, scenario, at, seed, true, difference);
    for (int q = 0; q < SIM_QUANTITIES; q++) {
        difference->of[q] -= without.of[q];
    }
    for (uint64_t pe = 0; pe < at->pes; pe++) {
        uint64_t traffic = difference->traffic[pe] - without.traffic[pe];
        if (traffic > difference->of[SIM_Q_BUSIEST]) {
            difference->of[SIM_Q_BUSIEST] = traffic;
        }
    }
    return ok;
}

/* --- comparing --- */

static unsigned compare(struct sim_world *world, const struct sim_scenario *scenario,
                        const struct sim_point *at, uint64_t seed)
{
    struct result counted;
    if (!count(world, scenario, at, seed, &counted)) {
        return 1;
    }
    unsigned wrong = 0;
    for (int q = 0; q < SIM_QUANTITIES; q++) {
        const char *formula = scenario->formula[q] == NULL ? "0" : scenario->formula[q];
        if (strcmp(formula, SIM_VARIES) == 0) {
            continue;
        }
        uint64_t predicted = sim_formula(formula, at);
        if (predicted != counted.of[q]) {
            wrong++;
            printf("%s: N=%" PRIu64 " s=%" PRIu64 " p=%" PRIu64 ": %s: counted %" PRIu64
                   ", but %s is %" PRIu64 "\n",
                   scenario->name, at->pes, at->sharers, at->pages, sim_quantity_names[q],
                   counted.of[q], formula, predicted);
        }
    }
    return wrong;
}

/* Every number of PEs, each with few and with as many sharers as fit, and numbers of pages on both
 * sides of a word and of a batch. */
static unsigned check(struct sim_world *world, const struct sim_scenario *scenario,
                      unsigned *points)
{
    static const uint64_t pes[] = {2, 4, 8, 16, 32, 64, 72};
    static const uint64_t pages[] = {1, 2, 16, 64, 128};
    unsigned wrong = 0;
    for (unsigned i = 0; i < sizeof pes / sizeof pes[0]; i++) {
        int most = (int)pes[i] - scenario->others;
        if (most < 0) {
            continue;
        }
        for (unsigned j = 0; j < sizeof pages / sizeof pages[0]; j++) {
            struct sim_point at = {pes[i], 0, pages[j], page_bytes};
            if (scenario->deal != HTH_DEAL_FIXED && pes[i] * pages[j] > PAGES_MAX) {
                continue;
            }
            for (int s = scenario->sharers_min; s <= most; s = s == 0 ? 1 : s * 3) {
                if ((uint64_t)s * pages[j] * pes[i] > 12000 && s > 1) {
                    break; /* it would take seconds */
                }
                at.sharers = (uint64_t)s;
                wrong += compare(world, scenario, &at, 1 + *points);
                ++*points;
                if (scenario->sharers_min < 0) {
                    break;
                }
            }
        }
    }
    return wrong;
}

static void print_formulas(void)
{
    printf(
        "N PEs, s sharers (besides home and writer), p pages, B bytes of a page; d: the encoded "
        "diff of a page with one byte changed;\nw: words of a copyset, up(N, 64); k: pages whose "
        "copysets share a word (64 / N, N rounded up to a power of two; 1 from 64 on).\n"
        "b: pages that a release handles at once; up(a, b) is a / b rounded up. p is at most 64, "
        "or "
        "a multiple of that. What is not named is 0.\nAll PEs together, but: own atomics and hops, "
        "of the PE that waits (windows: where "
        "ordering is a flush); busiest PE: messages\nsent and handled and operations issued by "
        "the one that has most.\n");
    for (int i = 0; i < sim_n_scenarios; i++) {
        const struct sim_scenario *scenario = &sim_scenarios[i];
        printf("\n%s: %s\n", scenario->name, scenario->what);
        for (int q = 0; q < SIM_QUANTITIES; q++) {
            if (scenario->formula[q] != NULL) {
                printf("    %-16s %s\n", sim_quantity_names[q], scenario->formula[q]);
            }
        }
    }
}

int sim_model(struct sim_world *world, const char *const *networks, int n_networks, bool quiet)
{
    unsigned points = 0, wrong = 0;
    for (int i = 0; i < sim_n_scenarios; i++) {
        wrong += check(world, &sim_scenarios[i], &points);
    }
    if (!quiet && wrong == 0) {
        print_formulas();
        sim_model_estimates(networks, n_networks);
    }
    printf("%d scenarios, %u points: the formulas give %s\n%d passed, %u failed\n", sim_n_scenarios,
           points, wrong == 0 ? "exactly what the simulator counts" : "something else",
           wrong == 0 ? sim_n_scenarios : 0, wrong);
    return wrong > 0;
}
