/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulator's command line. See README.md. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "sim.h"

enum mode { SWARM, LITMUS, LITMUS_ALL, EXHAUSTIVE, LARGER, PREEMPT, MODEL, MODES };
static const char *const modes[MODES] = {"swarm",  "litmus",  "litmus-all", "exhaustive",
                                         "larger", "preempt", "model"};

struct arguments {
    struct sim_options options;
    struct sim_case replay;
    enum mode mode;
    const char *seeds, *filter;
    uint64_t seed, schedules; /* schedules: 0, as many as the time allows */
    double seconds, shrink_seconds;
    bool replaying, quiet, histogram;
    const char *networks[8]; /* for the model */
    int n_networks;
    int trace; /* events to print, 0: default */
};

static struct sim_world world;

static const struct argp_option options[] = {
    {"seed", 's', "N", 0, "First seed (default 1)", 0},
    {"schedules", 'n', "N", 0, "How many seeds; 0: until the time is up (default)", 0},
    {"seconds", 't', "S", 0,
     "How long (default 10); of exhaustive and preempt: for each kind of world", 0},
    {"pes", 'p', "N", 0, "Fix the number of PEs, 2 to 80", 0},
    {"steps", 'k', "N", 0, "Steps before the schedule turns fair (default: from the seed)", 0},
    {"protocol", 'P', "NAME", 0, "invalidate, update, sequential or any (default)", 0},
    {"mode", 'm', "NAME", 0,
     "swarm (default), litmus, litmus-all, exhaustive, larger, preempt, model", 0},
    {"litmus", 'l', "TEXT", 0,
     "Mode litmus (or litmus-all), only the tests with this in their names", 0},
    {"histogram", 'H', NULL, 0, "Mode litmus: print the outcomes of each test", 0},
    {"replay", 'r', "CASE", 0, "Run one case, as a failure printed it, and tell its story", 0},
    {"seeds", 'f', "FILE", 0, "First run the cases of FILE, one a line", 0},
    {"trace", 'T', "N", 0, "Events to print (default 80; with --replay all)", 0},
    {"shrink", 'x', "S", 0, "Seconds for making a failure small (default 20)", 0},
    {"break-fifo", 'F', NULL, 0, "A mutation of the port: messages of a pair overtake", 0},
    {"network", 'N', "TEXT", 0, "Mode model: name:o:L:g:G:atomic:get (bench/loggp.c)", 0},
    {"quiet", 'q', NULL, 0, "Of a failure, only one line", 0},
    {0}};

static const char *const schemes[] = {"invalidate", "update", "sequential"};

static bool parse_protocol(struct sim_options *to, const char *text)
{
    to->scheme = -1;
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, schemes[i]) == 0) {
            to->scheme = i;
        }
    }
    return to->scheme >= 0 || strcmp(text, "any") == 0;
}

static bool parse_mode(struct arguments *a, const char *text)
{
    for (unsigned i = 0; i < MODES; i++) {
        if (strcmp(text, modes[i]) == 0) {
            a->mode = (enum mode)i;
            return true;
        }
    }
    return false;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct arguments *a = state->input;
    bool ok = true;
    switch (key) {
    case 's':
        a->seed = strtoull(text, NULL, 0);
        break;
    case 'n':
        a->schedules = strtoull(text, NULL, 0);
        break;
    case 't':
        a->seconds = atof(text);
        break;
    case 'p':
        a->options.pes = atoi(text);
        ok = a->options.pes >= 2 && a->options.pes <= SIM_PES_MAX;
        break;
    case 'k':
        a->options.steps = (unsigned)strtoul(text, NULL, 0);
        break;
    case 'P':
        ok = parse_protocol(&a->options, text);
        break;
    case 'm':
        ok = parse_mode(a, text);
        break;
    case 'r':
        a->replaying = true;
        ok = sim_case_parse(&a->replay, text);
        break;
    case 'f':
        a->seeds = text;
        break;
    case 'T':
        a->trace = atoi(text);
        break;
    case 'x':
        a->shrink_seconds = atof(text);
        break;
    case 'F':
        a->options.break_fifo = true;
        break;
    case 'q':
        a->quiet = true;
        break;
    case 'N':
        ok = a->n_networks < 8;
        a->networks[ok ? a->n_networks++ : 0] = text;
        break;
    case 'l':
        a->mode = a->mode == LITMUS_ALL ? LITMUS_ALL : LITMUS;
        a->filter = text;
        break;
    case 'H':
        a->histogram = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (!ok) {
        argp_error(state, "'%s' will not do", text);
    }
    return 0;
}

static void print_failure(const struct sim_failure *f)
{
    printf("INVARIANT %s\n  at step %" PRIu64, sim_invariant_name(f->invariant), f->step);
    if (f->region >= 0) {
        printf(", page %d/%" PRIu64, f->region, f->page);
    }
    if (f->pe >= 0) {
        printf(", PE %d", f->pe);
    }
    printf(": %s\n", f->text);
}

static void print_replay(const struct sim_case *what)
{
    printf("replay: sim --replay=");
    sim_case_print(what);
    if (what->options.pes > 0) {
        printf(" --pes=%d", what->options.pes);
    }
    if (what->options.scheme >= 0) {
        printf(" --protocol=%s", schemes[what->options.scheme]);
    }
    if (what->options.steps > 0) {
        printf(" --steps=%u", what->options.steps);
    }
    printf("%s\n", what->options.break_fifo ? " --break-fifo" : "");
}

/* Run a case once more, with its trace, and print everything. */
static bool tell_story(const struct sim_case *what, unsigned events)
{
    bool ok = sim_case_run(&world, what, true);
    struct sim_failure failure = world.failure;
    sim_config_print(&world.config);
    sim_program_print(&world);
    sim_trace_print(&world, failure.region, failure.page, events);
    if (!ok) {
        print_failure(&failure);
    }
    sim_world_fini(&world);
    print_replay(what);
    return ok;
}

static void report(struct sim_case what, const struct arguments *a, uint64_t schedules)
{
    printf("seed %" PRIu64 " failed after %" PRIu64 " schedules\n", what.seed, schedules);
    print_failure(&world.failure);
    sim_world_fini(&world);
    if (a->quiet) {
        return;
    }
    print_replay(&what);
    printf("making it smaller...\n");
    sim_shrink(&world, &what, a->shrink_seconds);
    tell_story(&what, a->trace > 0 ? (unsigned)a->trace : 80);
}

/* The cases that failed once. */
static unsigned run_seeds(const struct arguments *a, unsigned *failed)
{
    FILE *file = fopen(a->seeds, "r");
    if (file == NULL) {
        perror(a->seeds);
        exit(2);
    }
    static char line[2 * SIM_UNITS_MAX];
    unsigned n = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        struct sim_case what = sim_case_of_seed(0, &a->options);
        line[strcspn(line, " #\n")] = '\0';
        if (line[0] == '\0') {
            continue;
        }
        n++;
        if (!sim_case_parse(&what, line)) {
            fprintf(stderr, "%s: '%s' is no case\n", a->seeds, line);
            exit(2);
        }
        if (!sim_case_run(&world, &what, false)) {
            ++*failed;
            report(what, a, n);
        } else {
            sim_world_fini(&world);
        }
    }
    fclose(file);
    return n;
}

static int swarm(const struct arguments *a)
{
    unsigned failed = 0;
    uint64_t n = a->seeds == NULL ? 0 : run_seeds(a, &failed), steps = 0;
    double start = sim_now(), took = 0;
    uint64_t seeds = 0;
    while (failed == 0 && (a->schedules == 0 ? took < a->seconds : seeds < a->schedules)) {
        struct sim_case what = sim_case_of_seed(a->seed + seeds++, &a->options);
        n++;
        bool ok = sim_case_run(&world, &what, false);
        steps += world.steps;
        took = sim_now() - start;
        if (!ok) {
            failed++;
            report(what, a, seeds);
        } else {
            sim_world_fini(&world);
        }
    }
    took = took > 0 ? took : 1e-9;
    printf("%" PRIu64 " scheduling points in %.1f s: %.0f a second, %.0f schedules a second\n",
           steps, took, (double)steps / took, (double)seeds / took);
    printf("%" PRIu64 " passed, %u failed\n", n - failed, failed);
    return failed > 0;
}

static int litmus(const struct arguments *a)
{
    static struct sim_case broken;
    struct sim_litmus_options how = {.filter = a->filter,
                                     .seed = a->seed,
                                     .schedules = a->schedules > 0 ? a->schedules : 10000,
                                     .histogram = a->histogram};
    struct sim_litmus_totals totals;
    bool ok = sim_litmus_run(&world, &a->options, &how, &totals, &broken);
    if (!ok) {
        report(broken, a, totals.schedules);
    }
    printf("%u passed, %u failed\n", totals.tests - !ok, !ok + totals.missing);
    return !ok || totals.missing > 0 || totals.tests == 0;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, NULL, "Drive the coherence protocols through random schedules.", 0, 0, 0};
    static struct arguments a = {
        .options = {.scheme = -1}, .seed = 1, .seconds = 10, .shrink_seconds = 20};
    setvbuf(stdout, NULL, _IOLBF, 0);
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.replaying) {
        a.replay.options = a.options;
        bool ok = tell_story(&a.replay, a.trace > 0 ? (unsigned)a.trace : UINT32_MAX);
        printf("%d passed, %d failed\n", ok, !ok);
        return !ok;
    }
    if (!SIM_HAND_SWITCH && a.mode != SWARM && a.mode != LITMUS && a.mode != MODEL) {
        printf("%s: states are copied with their stacks, which this build cannot do\n0 passed, 0 "
               "failed\n",
               modes[a.mode]);
        return 0;
    }
    switch (a.mode) {
    case LITMUS:
        return litmus(&a);
    case LITMUS_ALL:
        return sim_litmus_explore(&world, &a.options, a.filter, a.seed, a.seconds, a.histogram);
    case EXHAUSTIVE:
        return sim_small_worlds(&world, &a.options, SIM_SMALL, a.seed, a.seconds, a.quiet);
    case LARGER:
        return sim_small_worlds(&world, &a.options, SIM_LARGER, a.seed, a.seconds, a.quiet);
    case PREEMPT:
        return sim_small_worlds(&world, &a.options, SIM_DELAYED, a.seed, a.seconds, a.quiet);
    case MODEL:
        return sim_model(&world, a.networks, a.n_networks, a.quiet);
    case SWARM:
    case MODES:
        break;
    }
    return swarm(&a);
}
