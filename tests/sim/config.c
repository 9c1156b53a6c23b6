/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run is to be. Swarm testing: each seed switches features on and off and draws weights over
 * a wide range, so that in some runs a feature that masks another is absent. */
#include <stdio.h>
#include <string.h>

#include "sim.h"

static int draw_pes(struct sim_rng *rng)
{
    unsigned x = sim_below(rng, 1000);
    if (x < 300) {
        return 2;
    }
    if (x < 750) {
        return 3;
    }
    if (x < 990) {
        return (int)sim_between(rng, 4, 8);
    }
    if (x < 997) {
        return (int)sim_between(rng, 9, 40);
    }
    return (int)sim_between(rng, 60, 72);
}

static void draw_threads(struct sim_config *config, struct sim_rng *rng)
{
    unsigned most = config->n_pes > 30 ? 1 : sim_between(rng, 1, 3);
    if (config->n_pes <= 8 && config->seed % 11 == 7) {
        most =
            most * 8 / 3; /* up to eight, without another draw: other seeds stay what they were */
    }
    config->n_threads = 0;
    for (int pe = 0; pe < config->n_pes; pe++) {
        config->threads_of[pe] = (int)sim_between(rng, 1, most);
        config->n_threads += config->threads_of[pe];
    }
}

static void draw_regions(struct sim_config *config, struct sim_rng *rng)
{
    config->n_regions = sim_chance(rng, 15) ? 2 : 1;
    for (int i = 0; i < config->n_regions; i++) {
        config->scheme[i] = sim_chance(rng, 50) ? SIM_INVALIDATE : SIM_UPDATE;
    }
    unsigned x = sim_below(rng, 1000);
    config->page_bytes = x < 600 ? 64 : x < 990 ? 128 : x < 997 ? 32768 : 131072;
    if (config->n_pes > 30 && config->page_bytes > 128) {
        config->page_bytes = 128; /* the arena would not suffice */
    }
    config->collective_pages =
        sim_chance(rng, 60) ? sim_between(rng, 1, 2) : sim_between(rng, 1, 5);
    if (x < 300 && sim_chance(rng, 4)) {
        config->collective_pages = sim_between(rng, 65, 150); /* more than one batch */
    }
    config->solo_pages = sim_between(rng, 1, 2);
    config->deal = (enum hth_deal)sim_below(rng, 3);
    config->fixed_pe = (int)sim_below(rng, (unsigned)config->n_pes);
}

static unsigned or_none(struct sim_rng *rng, unsigned none_percent, unsigned first, unsigned last)
{
    return sim_chance(rng, none_percent) ? 0 : sim_between(rng, first, last);
}

void sim_config_draw_schedule(struct sim_config *config, struct sim_rng *rng)
{
    config->strategy = sim_chance(rng, 70) ? SIM_MOODS : SIM_PRIORITIES;
    config->stay_percent = or_none(rng, 40, 20, 90);
    config->mood_steps = 8u << sim_below(rng, 8);
    config->changes = sim_between(rng, 1, 8);
    config->poll_percent = or_none(rng, 40, 10, 100);
    config->hold_percent = or_none(rng, 50, 5, 60);
    config->hold_steps_max = 16u << sim_below(rng, 7);
    config->piece_percent = or_none(rng, 50, 10, 80);
    config->stage_percent = or_none(rng, 50, 20, 100);
    config->point_after = sim_chance(rng, 40);
    config->steps_max = sim_chance(rng, 70) ? 100000 : sim_between(rng, 100, 4000);
}

static void draw_program(struct sim_config *config, struct sim_rng *rng)
{
    config->n_groups = (int)sim_between(rng, 1, sim_chance(rng, 60) ? 4 : SIM_GROUPS_MAX);
    config->n_locks = (int)sim_between(rng, 1, sim_chance(rng, 60) ? 2 : SIM_LOCKS_MAX);
    config->n_barriers =
        (int)(sim_chance(rng, 60) ? sim_between(rng, 1, 3) : sim_between(rng, 1, 6));
    config->ops_max = sim_between(rng, 1, config->n_pes > 12 || sim_chance(rng, 75) ? 4 : 14);
    config->evict_weight = or_none(rng, 40, 1, 8);
    config->fence_weight = or_none(rng, 40, 1, 6);
    config->zero_weight = or_none(rng, 60, 1, 4);
    config->write_weight = sim_between(rng, 20, 90);
    config->same_percent = or_none(rng, 60, 5, 40);
    config->back_percent = or_none(rng, 60, 5, 40);
    config->local_weight = or_none(rng, 50, 1, 6);
    config->handoff_weight = or_none(rng, 40, 1, 6);
    config->pause_weight = or_none(rng, 70, 1, 3);
    config->forget_percent = or_none(rng, 60, 20, 80);
    config->each_percent = or_none(rng, 40, 10, 100);
    config->values = 256;
}

/* What the third protocol adds: from a stream of its own, so that the others' seeds keep their
 * meaning. */
static void draw_sequential(struct sim_config *config, struct sim_rng *rng, int scheme)
{
    bool any = false;
    for (int i = 0; i < config->n_regions; i++) {
        if (sim_chance(rng, 33)) {
            config->scheme[i] = SIM_SEQUENTIAL;
        }
        if (scheme >= 0) {
            config->scheme[i] = (enum sim_scheme)scheme;
        }
        any = any || config->scheme[i] == SIM_SEQUENTIAL;
    }
    /* From holds longer than most runs' stretches to holds that are over at once. */
    static const unsigned step_ns[] = {100, 100, 1000, 10000, 300000};
    config->step_ns = step_ns[sim_below(rng, 5)];
    memcpy(config->first_scheme, config->scheme, sizeof config->scheme);
    /* A quarter of the seeds, so that the others keep their meaning. */
    config->change_percent = scheme < 0 && config->seed % 4 == 1 ? sim_between(rng, 20, 90) : 0;
    any = any || config->change_percent > 0;
    config->cache_pages = or_none(rng, 50, 1, 6);
    config->claims = sim_chance(rng, 30);
    if (config->claims && sim_chance(rng, 60)) {
        config->deal = HTH_DEAL_CLAIM;
    }
    config->place_percent = or_none(rng, 60, 20, 80);
    config->racy_weight = any ? or_none(rng, 30, 2, 30) : 0;
}

/* What is rare as the protocols ship, so that pages become hot in short programs, and leave again.
 * From a stream of its own, as above. */
static void draw_tuning(struct hth_tuning *tuning, struct sim_rng *rng)
{
    static const unsigned often[] = {1, 1, 2, 3};
    tuning->batch = sim_chance(rng, 30) ? sim_between(rng, 1, 4) : 64;
    tuning->hot_after = sim_chance(rng, 20) ? 200 : often[sim_below(rng, 4)];
    tuning->cool_after = often[sim_below(rng, 4)] + 4 * sim_chance(rng, 25);
    tuning->cool_after_home = often[sim_below(rng, 4)];
    tuning->vain_notices = often[sim_below(rng, 4)];
    tuning->pack_runs = sim_chance(rng, 40) ? 1 : sim_between(rng, 2, 12);
    tuning->pack_page_runs = often[sim_below(rng, 4)];
    tuning->wanted_after = often[sim_below(rng, 4)];
    tuning->probe_after = often[sim_below(rng, 4)];
    tuning->write_ahead = sim_chance(rng, 25) ? 0 : 8;
    tuning->sweep = sim_chance(rng, 50) ? sim_between(rng, 2, 4) : 0;
}

void sim_config_draw(struct sim_config *config, uint64_t seed, const struct sim_options *options)
{
    memset(config, 0, sizeof *config);
    config->seed = seed;
    struct sim_rng rng = {seed * 4 + 1};
    int pes = draw_pes(&rng);
    config->n_pes = options->pes > 0 ? options->pes : pes;
    draw_threads(config, &rng);
    draw_regions(config, &rng);
    sim_config_draw_schedule(config, &rng);
    draw_program(config, &rng);
    struct sim_rng more = {seed * 4 + 3};
    draw_sequential(config, &more, options->scheme);
    config->ahead_max = or_none(&more, 25, 2, 12);
    config->advise_weight = or_none(&more, 40, 1, 8);
    struct sim_rng tuning = {seed * 4 + 2000001};
    draw_tuning(&config->tuning, &tuning);
    if (options->steps > 0) {
        config->steps_max = options->steps;
    }
    config->break_fifo = options->break_fifo;
}

const char *sim_scheme_name(enum sim_scheme scheme)
{
    static const char *const names[] = {"write-invalidate", "write-update", "sequential"};
    return names[scheme];
}

void sim_config_print(const struct sim_config *c)
{
    static const char *const deals[] = {"block", "cyclic", "fixed", "first-touch"};
    printf("  seed %llu: %d PEs, %d threads (", (unsigned long long)c->seed, c->n_pes,
           c->n_threads);
    for (int pe = 0; pe < c->n_pes; pe++) {
        printf("%s%d", pe == 0 ? "" : " ", c->threads_of[pe]);
    }
    printf("), %llu+%llu pages of %llu bytes, %s homes, %u pages ahead,",
           (unsigned long long)c->collective_pages, (unsigned long long)c->solo_pages,
           (unsigned long long)c->page_bytes, deals[c->deal], c->ahead_max);
    if (c->cache_pages > 0) {
        printf(" a cache of %u,", c->cache_pages);
    }
    for (int i = 0; i < c->n_regions; i++) {
        printf(" region %d %s", i, sim_scheme_name(c->first_scheme[i]));
    }
    printf("\n  schedule: %s, stay %u%%, mood %u, poll %u%%, hold %u%% for %u, pieces %u%%, staged "
           "%u%%, %s, %u ns a step, fair from step %u\n",
           c->strategy == SIM_MOODS ? "moods" : "priorities", c->stay_percent, c->mood_steps,
           c->poll_percent, c->hold_percent, c->hold_steps_max, c->piece_percent, c->stage_percent,
           c->point_after ? "points on both sides" : "points before", c->step_ns, c->steps_max);
    printf("  tuning: batch %u, hot after %u, cool after %u (home %u), wanted after %u, probed "
           "after %u, swept from %u, vain notices %u, packed from %u runs (%u a page), %u written "
           "ahead\n",
           c->tuning.batch, c->tuning.hot_after, c->tuning.cool_after, c->tuning.cool_after_home,
           c->tuning.wanted_after, c->tuning.probe_after, c->tuning.sweep, c->tuning.vain_notices,
           c->tuning.pack_runs, c->tuning.pack_page_runs, c->tuning.write_ahead);
}
