/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole litmus table, under many seeds each. A forbidden outcome is a failure; and outcomes
 * that the protocols are known to have though no single machine would (`witnesses`) must be seen,
 * or the search would prove nothing by not seeing the forbidden ones. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

enum { DISTINCT_MAX = 128 };

struct histogram {
    struct {
        char text[LT_OUTCOME_MAX + 1];
        uint64_t n, first_seed;
        enum lt_verdict verdict;
    } buckets[DISTINCT_MAX];
    unsigned n_buckets, relaxed; /* how many of the buckets are */
};

/* In one layout at least. */
enum { INVALIDATE = 1 << SIM_INVALIDATE, UPDATE = 1 << SIM_UPDATE, BOTH = INVALIDATE | UPDATE };
static struct witness {
    const char *test;
    enum lt_edge edge;
    const char *outcome;
    int schemes;     /* under which it must be seen */
    unsigned within; /* so many schedules of each layout */
    uint64_t seen[SIM_LITMUS_SCHEMES];
} witnesses[] = {
    {"MP", LT_NONE, "10", BOTH, 500, {0}},          {"SB", LT_NONE, "00", BOTH, 500, {0}},
    {"CoRR", LT_NONE, "0~", INVALIDATE, 1000, {0}}, {"2+2W", LT_NONE, "11", BOTH, 500, {0}},
    {"2+2W", LT_NONE, "!2", UPDATE, 500, {0}},      {"2+2W", LT_FENCE, "2!", UPDATE, 500, {0}},
    {"WRC", LT_NONE, "110", BOTH, 1000, {0}},       {"WRC", LT_FENCE, "110", BOTH, 10000, {0}},
    {"ISA2", LT_NONE, "110", BOTH, 1000, {0}},      {"IRIW", LT_NONE, "1010", BOTH, 10000, {0}},
    {"IRIW", LT_FENCE, "1010", BOTH, 10000, {0}},
};
enum { N_WITNESSES = sizeof witnesses / sizeof witnesses[0] };

static void count(struct histogram *h, const struct sim_litmus *litmus, uint64_t seed)
{
    unsigned i = 0;
    while (i < h->n_buckets && strcmp(h->buckets[i].text, litmus->outcome) != 0) {
        i++;
    }
    if (i == DISTINCT_MAX) {
        i--; /* more than any test has: the last one takes them */
    } else if (i == h->n_buckets) {
        h->n_buckets++;
        memcpy(h->buckets[i].text, litmus->outcome, sizeof litmus->outcome);
        h->buckets[i].first_seed = seed;
        h->buckets[i].verdict = litmus->verdict;
        h->relaxed += litmus->verdict == LT_RELAXED;
    }
    h->buckets[i].n++;
}

/* How many outcomes the table allows that no machine with one memory has. */
static unsigned allowed_relaxed(const struct sim_litmus_id *id)
{
    static const char letters[] = "0123~!";
    unsigned len = id->test->n_regs + (id->test->shows_final ? id->test->n_vars : 0), all = 1,
             n = 0;
    for (unsigned i = 0; i < len; i++) {
        all *= sizeof letters - 1;
    }
    for (unsigned number = 0; number < all; number++) {
        char text[LT_OUTCOME_MAX + 1] = "";
        unsigned left = number, values = 0;
        for (unsigned v = 0; v < id->test->n_vars; v++) {
            values |= lt_values(id->test, v);
        }
        bool can = true;
        for (unsigned i = 0; i < len; i++) {
            text[i] = letters[left % (sizeof letters - 1)];
            left /= sizeof letters - 1;
            can = can && (text[i] > '3' || text[i] < '0' || (values >> (text[i] - '0') & 1) != 0) &&
                  (text[i] != '~' || id->layout != LT_ONE_WORD);
        }
        n +=
            can &&
            lt_judge(id->test, id->edge, id->scheme == SIM_UPDATE ? LT_UPDATE : LT_INVALIDATE,
                     id->scheme == SIM_SEQUENTIAL ? LT_SEQUENTIAL : LT_RELEASE, text) == LT_RELAXED;
    }
    return n;
}

static void note_witnesses(const struct sim_litmus_id *id, const struct histogram *h)
{
    for (unsigned i = 0; i < N_WITNESSES; i++) {
        struct witness *w = &witnesses[i];
        for (unsigned b = 0; b < h->n_buckets; b++) {
            if (w->edge == id->edge && strcmp(w->test, id->test->name) == 0 &&
                strcmp(w->outcome, h->buckets[b].text) == 0) {
                w->seen[id->scheme] += h->buckets[b].n;
            }
        }
    }
}

static unsigned missing_witnesses(const struct sim_options *options, uint64_t schedules,
                                  bool histogram)
{
    unsigned missing = 0;
    for (unsigned i = 0; i < N_WITNESSES; i++) {
        const struct witness *w = &witnesses[i];
        for (int scheme = 0; scheme < SIM_SEQUENTIAL; scheme++) {
            if ((w->schemes >> scheme & 1) == 0 ||
                (options->scheme >= 0 && options->scheme != scheme)) {
                continue;
            }
            if (histogram) {
                printf("witness: %s/%s/%s %s: %" PRIu64 "\n", w->test, lt_edge_name(w->edge),
                       sim_scheme_name((enum sim_scheme)scheme), w->outcome, w->seen[scheme]);
            }
            if (w->seen[scheme] == 0 && schedules >= w->within) {
                missing++;
                printf("litmus: %s/%s: %s is allowed, and was never seen under %s\n", w->test,
                       lt_edge_name(w->edge), w->outcome, sim_scheme_name((enum sim_scheme)scheme));
            }
        }
    }
    return missing;
}

static void print_histogram(const struct histogram *h, uint64_t runs)
{
    static const char *const verdicts[] = {"", "relaxed", "FORBIDDEN"};
    for (unsigned i = 0; i < h->n_buckets; i++) {
        printf("    %-8s %8" PRIu64 "  %6.2f %%  %s (seed %" PRIu64 ")\n", h->buckets[i].text,
               h->buckets[i].n, 100.0 * (double)h->buckets[i].n / (double)runs,
               verdicts[h->buckets[i].verdict], h->buckets[i].first_seed);
    }
}

/* One test in one layout, with one edge, under one scheme. False: `what` broke it. */
static bool run_one(struct sim_world *world, unsigned number, struct sim_case *what,
                    const struct sim_litmus_options *how, struct sim_litmus_totals *totals)
{
    static struct histogram histogram;
    struct histogram *h = &histogram;
    struct sim_litmus_id id = sim_litmus_id(number);
    char name[SIM_LITMUS_NAME_MAX];
    bool ok = true;
    memset(h, 0, sizeof *h);
    uint64_t n = 0;
    while (ok && n < how->schedules && (how->deadline == 0 || sim_now() < how->deadline)) {
        *what = sim_case_of_seed(how->seed + n++, &what->options);
        what->litmus = 1 + (int)number;
        ok = sim_case_run(world, what, false);
        if (ok) {
            count(h, &world->litmus, what->seed);
            sim_world_fini(world);
        }
    }
    totals->schedules += n;
    totals->relaxed += h->relaxed;
    totals->allowed += allowed_relaxed(&id);
    note_witnesses(&id, h);
    if (how->histogram) {
        sim_litmus_name(number, name);
        printf("%s: %" PRIu64 " schedules, %u of %u relaxed outcomes\n", name, n, h->relaxed,
               allowed_relaxed(&id));
        print_histogram(h, n);
    }
    return ok;
}

static bool is_wanted(unsigned number, const struct sim_options *options, const char *filter)
{
    char name[SIM_LITMUS_NAME_MAX];
    sim_litmus_name(number, name);
    return (options->scheme < 0 || options->scheme == sim_litmus_id(number).scheme) &&
           (filter == NULL || strstr(name, filter) != NULL);
}

bool sim_litmus_run(struct sim_world *world, const struct sim_options *options,
                    const struct sim_litmus_options *how, struct sim_litmus_totals *totals,
                    struct sim_case *broken)
{
    double start = sim_now();
    *totals = (struct sim_litmus_totals){0};
    for (unsigned i = 0; i < N_WITNESSES; i++) {
        memset(witnesses[i].seen, 0, sizeof witnesses[i].seen);
    }
    bool ok = true;
    for (unsigned i = 0; ok && i < sim_litmus_count(); i++) {
        if (is_wanted(i, options, how->filter)) {
            broken->options = *options;
            ok = run_one(world, i, broken, how, totals);
            totals->tests++;
        }
    }
    double took = sim_now() - start;
    if (!ok) {
        return false;
    }
    printf("litmus: %u tests, %" PRIu64 " schedules in %.1f s: %.0f a second; "
           "%u of %u relaxed outcomes seen\n",
           totals->tests, totals->schedules, took, (double)totals->schedules / (took + 1e-9),
           totals->relaxed, totals->allowed);
    if (how->filter == NULL && how->deadline == 0) {
        totals->missing = missing_witnesses(options, how->schedules, how->histogram);
    }
    return true;
}
