/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Radix sort in shared memory. The keys lie in blocks, one a PE. Each PE counts its keys by their
 * leading bits, all look at all counts and so know, each by itself, which PE is to sort which
 * buckets, and where in the array each PE's keys for it begin. Then each PE writes its keys there,
 * into everybody's memory (all to all), and after a barrier sorts what it has been given back into
 * the array.
 *
 * sort_mpi.c does the same by messages. Note what is missing here: the buffer into which a PE packs
 * what it sends, and the tables of counts and offsets for MPI_Alltoallv.
 */
#include "app_run.h"
#include "sort_common.h"

#include <stdlib.h>
#include <string.h>

/* What is shared, and what this PE knows of it. */
struct job {
    struct app_run run;
    const struct sort_options *options;
    uint64_t *keys;                   /* in blocks; sorted in place */
    uint64_t *exchanged;              /* by buckets, in blocks, within them unsorted */
    uint64_t (*counts)[SORT_BUCKETS]; /* of each PE, at home there */
    uint64_t *spare;                  /* private */
};

enum { KEY_EXCHANGE = 0x300 };

static const struct argp_option option_table[] = {
    {"exchange", KEY_EXCHANGE, "write|read", 0,
     "Who moves a key: the PE that has it writes it to the one that sorts it (the default), or "
     "that one reads it",
     0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct sort_options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        return app_share_input(state);
    case KEY_EXCHANGE:
        if (strcmp(arg, "write") != 0 && strcmp(arg, "read") != 0) {
            argp_error(state, "--exchange is '%s', but must be write or read", arg);
            return EINVAL;
        }
        options->read = *arg == 'r';
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    option_table,
    parse_option,
    NULL,
    "Sort 64-bit keys by radix, in shared memory.\v"
    "HEARTH_PROTOCOL, HEARTH_CONSISTENCY and HEARTH_PAGE_BYTES override the options.",
    (const struct argp_child[]){{&sort_argp, 0, NULL, 0}, {&app_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

static void job_init(struct job *job, const struct sort_options *options)
{
    struct app_run *run = &job->run;
    size_t bytes = options->n_keys * sizeof(uint64_t);

    job->options = options;
    job->keys = app_malloc(run, bytes);
    job->exchanged = app_malloc(run, bytes);
    job->counts = app_malloc(run, (size_t)run->n * sizeof(*job->counts));
    job->spare = app_private(malloc(2 * bytes)); /* all, if all keys are alike */
}

/* Where things go. Every PE makes this for itself from everybody's counts. */
struct plan {
    int dest[SORT_BUCKETS];
    struct app_items mine; /* of the sorted keys */
    size_t *from_at;       /* [pe]: where that PE's keys for this one begin */
    size_t *to_at, *to_n;  /* [pe]: where this PE's keys for that one begin, and how many */
    size_t *from_n;        /* [pe]: how many keys that PE has for this one */
};

/* How many keys `from` has for `to`. */
static size_t flow(const struct job *job, const struct plan *plan, int from, int to)
{
    size_t n = 0;

    for (size_t b = 0; b < SORT_BUCKETS; b++)
        if (plan->dest[b] == to)
            n += job->counts[from][b];
    return n;
}

/* If keys are written, they lie by the PE that sorts them, and then by the one that had them; if
   they are read, the other way round. */
static void make_plan(const struct job *job, struct plan *plan)
{
    const struct app_run *run = &job->run;
    uint64_t totals[SORT_BUCKETS] = {0};
    size_t at = 0, sorted_at = 0;

    for (int pe = 0; pe < run->n; pe++)
        for (size_t b = 0; b < SORT_BUCKETS; b++)
            totals[b] += job->counts[pe][b];
    sort_deal(totals, job->options->n_keys, run->n, plan->dest);
    for (int outer = 0; outer < run->n; outer++) {
        plan->mine.first = outer == run->me ? sorted_at : plan->mine.first;
        for (int inner = 0; inner < run->n; inner++) {
            int from = job->options->read ? outer : inner, to = job->options->read ? inner : outer;
            size_t n = flow(job, plan, from, to);

            if (from == run->me) {
                plan->to_at[to] = at;
                plan->to_n[to] = n;
            }
            if (to == run->me) {
                plan->from_at[from] = at;
                plan->from_n[from] = n;
            }
            at += n;
            sorted_at += flow(job, plan, inner, outer);
        }
        plan->mine.end = outer == run->me ? sorted_at : plan->mine.end;
    }
}

/* They are written from end to end: what is there need not be fetched, nor asked for by faults. */
static void will_overwrite(uint64_t *keys, size_t n)
{
    app_check(hearth_advise(keys, n * sizeof(*keys), HEARTH_WILL_OVERWRITE), "hearth_advise");
}

/* One PE's part, between barriers. */
static void sort_once(struct job *job, struct plan *plan)
{
    struct app_run *run = &job->run;
    struct app_items own = app_mine(run, job->options->n_keys, sizeof(uint64_t));
    const uint64_t *keys = job->keys + own.first;
    uint64_t *to[run->n];

    sort_count(keys, own.end - own.first, job->counts[run->me]);
    app_barrier(run);
    make_plan(job, plan);
    for (int pe = 0; pe < run->n; pe++) {
        to[pe] = job->exchanged + plan->to_at[pe];
        will_overwrite(to[pe], plan->to_n[pe]);
    }
    sort_scatter(keys, own.end - own.first, plan->dest, to);
    app_barrier(run);

    const uint64_t *given = job->exchanged + plan->mine.first;
    uint64_t *sorted = job->keys + plan->mine.first; /* all have moved theirs */
    will_overwrite(sorted, plan->mine.end - plan->mine.first);
    if (job->options->read) {
        uint64_t *next = sorted;

        for (int pe = 0; pe < run->n; pe++) {
            memcpy(next, job->exchanged + plan->from_at[pe], plan->from_n[pe] * sizeof(*next));
            next += plan->from_n[pe];
        }
        given = sorted;
    }
    sort_radix(given, plan->mine.end - plan->mine.first, job->spare, sorted);
}

static bool finish(struct job *job)
{
    size_t bytes = job->options->n_keys * sizeof(uint64_t);
    struct app_report report = app_report_make(&job->run);
    uint64_t *copy = app_private(malloc(bytes));

    memcpy(copy, job->keys, bytes);
    bool ok = sort_finish(job->options, copy, &report);
    free(copy);
    return ok;
}

/* Returns the exit code, the same on all PEs. */
static int sort(const void *given)
{
    const struct sort_options *options = given;
    struct job job = {0};
    struct app_run *run = &job.run;

    app_run_init(
        run, options->read ? "sort_read" : "sort", &options->app,
        3 * options->n_keys * sizeof(uint64_t) + (size_t)hearth_n_pes() * sizeof(*job.counts), 4);
    job_init(&job, options);
    size_t places[4][run->n];
    struct plan plan = {
        .from_at = places[0], .from_n = places[1], .to_at = places[2], .to_n = places[3]};
    for (uint64_t round = 0; round < options->rounds; round++) {
        struct app_items mine = app_mine(run, options->n_keys, sizeof(uint64_t));

        sort_fill(options, round, mine, job.keys + mine.first);
        app_begin(run);
        sort_once(&job, &plan);
        app_end(run);
    }
    int status = app_outcome(run, run->me != 0 || finish(&job));
    free(job.spare);
    app_run_fini(run);
    return status;
}

int main(int argc, char **argv)
{
    struct sort_options options = SORT_OPTIONS_DEFAULT;

    return app_start(argc, argv, &argp, &options, &options.app, sort);
}
