/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heat flow in shared memory: Jacobi's method on a picture, the usual first program of its kind.
 *
 * Two fields lie in a region; in each step all PEs read the one and write the other, each PE its
 * own rows, and a barrier ends the step. The region's homes are in blocks, as the rows are, so a
 * PE's rows are at home with it (but for the page or so that a border may cut). What travels is
 * then only what must: the rows along the borders, which one PE writes and its neighbour reads.
 *
 * heat_mpi.c does the same by messages. Note what is missing here: halo rows, sends, receives, a
 * gather, and any thought of who needs what.
 */
#include "heat_common.h"

#include <hearth.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room in the region for each field to start on a page, if HEARTH_PAGE_BYTES makes pages larger
   than we know. It costs addresses, not memory. */
#define SLACK_BYTES ((size_t)64 << 20)

struct settings {
    struct heat_options options; /* first: heat_argp is given this */
    struct hearth_region_attr attr;
};

/** What each PE tells the others; an array of these lies in shared memory. */
struct notice {
    bool failed;
    struct hearth_stats spent;
};

/** One PE's view of the run. */
struct run {
    const struct settings *settings;
    struct heat_picture picture;
    int me;
    int n;
    struct notice *notices; /* shared; a PE writes its own only */
    struct hearth_region *region;
    double *grid[2]; /* shared */
    double seconds;
    double first_step_seconds;
    struct hearth_stats spent; /* by this PE, in the steps only */
};

/* The other PEs wait for this one at the next barrier, so there is no way on: leave the job without
   hearth_finalize(), which mpirun takes as a reason to end the rest. */
static _Noreturn void give_up(const char *call)
{
    fprintf(stderr, "heat: PE %d: %s: %s\n", hearth_my_pe(), call, hearth_error_message());
    exit(EXIT_FAILURE);
}

static void check(int err, const char *call)
{
    if (err != 0)
        give_up(call);
}

static void barrier(void)
{
    check(hearth_barrier_all(), "hearth_barrier_all");
}

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

enum { KEY_PAGE_BYTES = 0x200 };

static const struct argp_option option_table[] = {
    {"protocol", 'p', "invalidate|update", 0,
     "What a barrier does to the copies of changed pages (default invalidate)", 0},
    {"consistency", 'c', "release|sequential", 0, "The region's consistency (default release)", 0},
    {"page-bytes", KEY_PAGE_BYTES, "N", 0,
     "Unit of coherence, a power of two from the OS page up (default the OS page)", 0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct settings *settings = state->input;
    char *end;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &settings->options;
        return 0;
    case 'p':
        if (strcmp(arg, "invalidate") != 0 && strcmp(arg, "update") != 0) {
            argp_error(state, "--protocol is '%s', but must be invalidate or update", arg);
            return EINVAL;
        }
        settings->attr.protocol = *arg == 'u' ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
        return 0;
    case 'c':
        if (strcmp(arg, "release") != 0 && strcmp(arg, "sequential") != 0) {
            argp_error(state, "--consistency is '%s', but must be release or sequential", arg);
            return EINVAL;
        }
        settings->attr.consistency = *arg == 's' ? HEARTH_SEQUENTIAL : HEARTH_RELEASE;
        return 0;
    case KEY_PAGE_BYTES:
        errno = 0;
        settings->attr.page_bytes = strtoul(arg, &end, 10);
        if (errno != 0 || *arg < '0' || *arg > '9' || *end != '\0') {
            argp_error(state, "--page-bytes is '%s', but must be a number", arg);
            return EINVAL;
        }
        return 0; /* whether it is a good number is for the library to say */
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    option_table,
    parse_option,
    NULL,
    "Heat flow by Jacobi's method on a PGM picture, in shared memory.\v"
    "HEARTH_PROTOCOL, HEARTH_CONSISTENCY and HEARTH_PAGE_BYTES override the options.",
    (const struct argp_child[]){{&heat_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

/* ------------------------------------------------------------------------------------------ */
/* The run                                                                                    */

/* Whether all PEs could read the picture; if not, the first that could not says why. */
static bool agree(struct run *run, bool ready, const char *error)
{
    int pe = 0;

    run->notices[run->me].failed = !ready;
    barrier();
    while (pe < run->n && !run->notices[pe].failed)
        pe++;
    if (pe == run->me)
        fprintf(stderr, "heat: PE %d: %s\n", run->me, error);
    return pe == run->n;
}

/* Each PE fills its own rows of both fields: the fixed border must be in both, and rows that no
   other PE ever touched cost their home nothing. */
static void make_fields(struct run *run)
{
    const struct heat_options *options = &run->settings->options;
    size_t width = options->width, height = options->height;
    size_t field_bytes = width * height * sizeof(double);
    struct heat_rows rows = heat_share(height, run->me, run->n);

    check(hearth_region_create(&run->region, 2 * (field_bytes + SLACK_BYTES), &run->settings->attr),
          "hearth_region_create");
    for (int i = 0; i < 2; i++) {
        run->grid[i] = hearth_region_malloc(run->region, field_bytes);
        if (run->grid[i] == NULL)
            give_up("hearth_region_malloc");
        for (size_t y = rows.first; y < rows.end; y++)
            heat_picture_row(&run->picture, width, height, y, run->grid[i] + y * width);
    }
}

static void step(double *next, const double *now, struct heat_rows rows, size_t width)
{
    for (size_t y = rows.first; y < rows.end; y++)
        heat_row(next + y * width, now + (y - 1) * width, now + y * width, now + (y + 1) * width,
                 width);
}

static void read_stats(const struct run *run, struct hearth_stats *stats_out)
{
    check(hearth_region_stats(run->region, stats_out), "hearth_region_stats");
}

/* All members of struct hearth_stats are counters of 64 bits. */
static void stats_add(struct hearth_stats *sum, const struct hearth_stats *addend, int sign)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)addend;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
        to[i] += (uint64_t)sign * from[i];
}

static void iterate(struct run *run)
{
    const struct heat_options *options = &run->settings->options;
    struct heat_rows rows =
        heat_inner_rows(heat_share(options->height, run->me, run->n), options->height);
    struct hearth_stats before;

    /* Between two barriers, so that nobody's first step is in a neighbour's `before`. */
    barrier();
    read_stats(run, &before);
    barrier();
    double start = heat_now();
    for (long i = 0; i < options->steps; i++) {
        step(run->grid[(i + 1) & 1], run->grid[i & 1], rows, options->width);
        barrier();
        if (i == 0)
            run->first_step_seconds = heat_now() - start;
    }
    run->seconds = heat_now() - start;
    read_stats(run, &run->spent);
    stats_add(&run->spent, &before, -1);
}

/* ------------------------------------------------------------------------------------------ */
/* The end                                                                                    */

/* The environment has the last word, and the report must not name another protocol than that. */
static const char *in_force(const char *variable, const char *asked_for)
{
    const char *value = getenv(variable);

    return value != NULL && *value != '\0' ? value : asked_for;
}

static struct heat_report make_report(const struct run *run)
{
    const struct hearth_region_attr *attr = &run->settings->attr;
    struct hearth_stats sum = {0};

    for (int pe = 0; pe < run->n; pe++)
        stats_add(&sum, &run->notices[pe].spent, 1);
    return (struct heat_report){
        .program = "heat",
        .protocol = in_force("HEARTH_PROTOCOL",
                             attr->protocol == HEARTH_WRITE_UPDATE ? "update" : "invalidate"),
        .consistency = in_force("HEARTH_CONSISTENCY",
                                attr->consistency == HEARTH_SEQUENTIAL ? "sequential" : "release"),
        .pes = run->n,
        .seconds = run->seconds,
        .first_step_seconds = run->first_step_seconds,
        .read_misses = sum.read_misses,
        .write_faults = sum.write_faults,
        .bytes_out = sum.bytes_out,
        .bytes_in = sum.bytes_in,
        .messages = sum.messages,
        .pages_fetched = sum.pages_fetched,
        .diffs = sum.diffs,
        .stale_notices = sum.stale_notices,
        .invalidations = sum.invalidations,
        .updates = sum.updates};
}

/* On PE 0: copy the result out of shared memory (libpng must not be handed that) and judge it. */
static bool finish(const struct run *run)
{
    const struct heat_options *options = &run->settings->options;
    size_t field_bytes = options->width * options->height * sizeof(double);
    struct heat_report report = make_report(run);
    double *field = malloc(field_bytes);

    if (field == NULL) {
        fprintf(stderr, "heat: no memory for a copy of %zu bytes on PE 0\n", field_bytes);
        return false;
    }
    memcpy(field, run->grid[options->steps & 1], field_bytes);
    bool ok = heat_finish(options, &run->picture, field, &report);
    free(field);
    return ok;
}

/* Returns the exit code, the same on all PEs. */
static int heat(struct settings *settings)
{
    struct run run = {.settings = settings, .me = hearth_my_pe(), .n = hearth_n_pes()};
    char error[HEAT_ERROR_BYTES];
    bool ok;

    run.notices = hearth_calloc((size_t)run.n, sizeof(*run.notices));
    if (run.notices == NULL)
        give_up("hearth_calloc");
    ok = agree(&run, heat_load(&settings->options, error, &run.picture), error);
    if (ok) {
        make_fields(&run);
        iterate(&run);
        run.notices[run.me].spent = run.spent;
        barrier();
        if (run.me == 0)
            run.notices[0].failed = !finish(&run);
        barrier();
        ok = !run.notices[0].failed;
        check(hearth_region_destroy(run.region), "hearth_region_destroy");
    }
    check(hearth_free(run.notices), "hearth_free");
    heat_picture_fini(&run.picture);
    return ok ? 0 : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct settings settings = {.options.steps = 400, .attr = HEARTH_REGION_ATTR_DEFAULT};

    settings.attr.name = "heat";
    check(hearth_init(&argc, &argv), "hearth_init");
    int status = heat_parse(&argp, argc, argv, hearth_my_pe() == 0, &settings);
    if (status == 0 && !settings.options.help)
        status = heat(&settings);
    check(hearth_finalize(), "hearth_finalize");
    return status;
}
