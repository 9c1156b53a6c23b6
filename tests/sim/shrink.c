/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a failure small: leave operations out as long as some schedule still breaks the same
 * invariant, then look for the schedule that breaks it soonest. A program with an operation less
 * runs differently from its first step on, so each is tried under many schedules. */
#include <string.h>

#include "sim.h"

enum { SCHEDULES = 400 };

struct shrinker {
    struct sim_world *world;
    struct sim_case *best;
    enum sim_invariant invariant;
    uint64_t best_steps;
    double deadline;
};

/* Does some schedule break the candidate? If so it becomes the best. */
static bool breaks(struct shrinker *s, const struct sim_case *candidate, unsigned schedules)
{
    struct sim_case attempt = *candidate;
    for (unsigned i = 0; i < schedules && sim_now() < s->deadline; i++) {
        attempt.schedule_seed = i == 0 ? candidate->schedule_seed : candidate->seed * 4 + 3 + i;
        bool ok = sim_case_run(s->world, &attempt, false);
        enum sim_invariant invariant = s->world->failure.invariant;
        uint64_t steps = s->world->steps;
        sim_world_fini(s->world);
        if (!ok && invariant == s->invariant) {
            *s->best = attempt;
            s->best_steps = steps;
            return true;
        }
    }
    return false;
}

static void drop(struct sim_case *candidate, unsigned unit)
{
    candidate->dropped[unit / 8] |= (uint8_t)(1u << unit % 8);
}

static bool is_dropped(const struct sim_case *candidate, unsigned unit)
{
    return candidate->dropped[unit / 8] >> unit % 8 & 1;
}

/* Try without each run of `chunk` units, the last first. Returns whether any could go. */
static bool pass(struct shrinker *s, unsigned n_units, unsigned chunk)
{
    bool any = false;
    for (unsigned end = n_units; end > 1;) {
        unsigned first = end > chunk + 1 ? end - chunk : 1;
        struct sim_case candidate = *s->best;
        bool changed = false;
        for (unsigned unit = first; unit < end; unit++) {
            changed = changed || !is_dropped(&candidate, unit);
            drop(&candidate, unit);
        }
        any = (changed && breaks(s, &candidate, SCHEDULES)) || any;
        end = first;
    }
    return any;
}

static void soonest(struct shrinker *s)
{
    struct sim_case attempt = *s->best;
    for (unsigned i = 0; i < 20000 && sim_now() < s->deadline; i++) {
        attempt.schedule_seed = attempt.seed * 4 + 1000003 + i;
        attempt.options.steps = 0;
        bool ok = sim_case_run(s->world, &attempt, false);
        if (!ok && s->world->failure.invariant == s->invariant && s->world->steps < s->best_steps) {
            s->best->schedule_seed = attempt.schedule_seed;
            s->best_steps = s->world->steps;
        }
        sim_world_fini(s->world);
    }
}

void sim_shrink(struct sim_world *world, struct sim_case *what, double seconds)
{
    bool ok = sim_case_run(world, what, false);
    struct shrinker s = {world, what, world->failure.invariant, world->steps,
                         sim_now() + seconds * 0.8};
    unsigned n_units = (unsigned)world->program.n_units;
    sim_world_fini(world);
    if (ok) {
        return;
    }
    for (unsigned chunk = n_units / 2; chunk > 0; chunk /= 2) {
        pass(&s, n_units, chunk);
    }
    while (sim_now() < s.deadline && pass(&s, n_units, 1)) {
    }
    s.deadline = sim_now() + seconds * 0.2;
    soonest(&s);
}
