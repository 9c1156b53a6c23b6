/* SPDX-License-Identifier: BSD-3-Clause */
/* The litmus tests on the library: every test of the table, with every edge, on every layout, under
 * every protocol and consistency. See README.md.
 *
 * litmus [FILTER]   only tests whose "name/layout/edge/protocol/consistency" contains FILTER
 * litmus --table    print the tests, what they allow and why; needs no mpirun
 *
 * HEARTH_LITMUS_RUNS  of each (default 10,000), HEARTH_LITMUS_SEED, V=1: histograms,
 * HEARTH_TEST_SECONDS: the time limit */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../mpi/watchdog.h"
#include "litmus.h"

enum { N_LOCKS = GROUPS * LT_VARS_MAX, RUNS_DEFAULT = 10000, SECONDS_DEFAULT = 300 };

/* What regions can be. One more combination is one more line. */
static const struct kind {
    enum lt_protocol protocol;
    enum lt_consistency consistency;
    struct hearth_region_attr attr;
} kinds[] = {
    {LT_INVALIDATE,
     LT_RELEASE,
     {"inv", HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE, HEARTH_HOME_CYCLIC, 0, 0}},
    {LT_UPDATE, LT_RELEASE, {"upd", HEARTH_WRITE_UPDATE, HEARTH_RELEASE, HEARTH_HOME_CYCLIC, 0, 0}},
    {LT_INVALIDATE,
     LT_SEQUENTIAL,
     {"seq", HEARTH_WRITE_INVALIDATE, HEARTH_SEQUENTIAL, HEARTH_HOME_CYCLIC, 0, 0}},
};

static struct {
    const char *filter;
    bool verbose;
    uint64_t runs;
    unsigned passed, failed;
    bool region_failed;
} job;

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A test in one layout, with one edge. PE 0 speaks; all PEs come to the same verdict. */
static void run_test(struct run *run)
{
    static struct histogram histogram;
    static struct outcomes outcomes;
    static char name[96];
    double began = now();

    if ((int)run->test->n_threads > run->n_pes)
        return;
    snprintf(name, sizeof name, "%s/%s/%s/%s/%s", run->test->name, lt_layout_name(run->layout),
             lt_edge_name(run->edge), lt_protocol_name(run->protocol),
             lt_consistency_name(run->consistency));
    if (job.filter && !strstr(name, job.filter))
        return;
    ht_watchdog_name(name);
    memset(&histogram, 0, sizeof histogram);
    run->failed = false;
    while (histogram.runs < job.runs && !run->failed) {
        lt_round(run, &outcomes);
        lt_histogram_add(&histogram, run, &outcomes);
        run->round++;
    }
    bool ok = !run->failed && histogram.forbidden == 0;
    job.passed += ok;
    job.failed += !ok;
    if (run->pe != 0)
        return;
    printf("%-5s  %-9s  %-7s  %s/%s  %llu runs  %.2f s  %llu relaxed  %s\n", run->test->name,
           lt_layout_name(run->layout), lt_edge_name(run->edge), lt_protocol_name(run->protocol),
           lt_consistency_name(run->consistency), (unsigned long long)histogram.runs, now() - began,
           (unsigned long long)histogram.relaxed, ok ? "ok" : "FAILED");
    lt_histogram_print(&histogram, run, job.verbose);
}

/* Locks and counters live with the PE that makes them, so they are made by all in turn. */
static bool make_handles(struct run *run)
{
    struct hearth_lock *locks = &run->locks[0][0];
    bool made = true;

    memset(run->locks, 0, sizeof run->locks);
    memset(run->meet, 0, sizeof run->meet);
    for (unsigned i = 0; i < N_LOCKS; i++)
        if ((int)(i / 2) % run->n_pes == run->pe)
            made = hearth_lock_init(&locks[i]) == 0 && made;
    for (unsigned g = 0; g < GROUPS; g++)
        if ((int)g % run->n_pes == run->pe)
            made = hearth_counter_init(&run->meet[g], 0) == 0 && made;
    run->met = 0;
    lt_share_handles(&locks->handle, N_LOCKS);
    lt_share_handles(&run->meet->handle, GROUPS);
    return made;
}

static void destroy_handles(struct run *run)
{
    struct hearth_lock *locks = &run->locks[0][0];

    for (unsigned i = 0; i < N_LOCKS; i++)
        if ((int)(i / 2) % run->n_pes == run->pe)
            hearth_lock_destroy(&locks[i]);
    for (unsigned g = 0; g < GROUPS; g++)
        if ((int)g % run->n_pes == run->pe)
            hearth_counter_destroy(&run->meet[g]);
}

static void run_all(struct run *run)
{
    for (unsigned t = 0; t < lt_n_tests; t++) {
        run->test = &lt_tests[t];
        for (run->layout = 0; run->layout < LT_LAYOUTS; run->layout++)
            for (run->edge = 0; run->edge < LT_EDGES; run->edge++)
                run_test(run);
    }
}

static void run_kind(struct run *run, const struct kind *kind)
{
    struct hearth_region *region = NULL;
    size_t bytes = (size_t)MEMORY_PAGES * PAGE_BYTES;

    ht_watchdog_name("region");
    run->protocol = kind->protocol;
    run->consistency = kind->consistency;
    if (hearth_region_create(&region, bytes + (1 << 20), &kind->attr) ||
        !(run->memory = hearth_region_malloc(region, bytes))) {
        fprintf(stderr, "PE %d: %s\n", run->pe, hearth_error_message());
        job.region_failed = true;
        return; /* collective calls fail on all PEs */
    }
    if (make_handles(run))
        run_all(run);
    else
        job.region_failed = true;
    hearth_barrier_all();
    destroy_handles(run);
    if (hearth_region_destroy(region))
        job.region_failed = true;
}

static int run_job(int argc, char **argv)
{
    static struct run run;

    if (hearth_init(&argc, &argv)) {
        fprintf(stderr, "hearth_init: %s\n", hearth_error_message());
        return 2;
    }
    lt_share_start();
    run.pe = hearth_my_pe();
    run.n_pes = hearth_n_pes();
    ht_watchdog_pe(run.pe);
    job.filter = argc > 1 ? argv[1] : NULL;
    job.verbose = env_number("V", 0) != 0;
    job.runs = env_number("HEARTH_LITMUS_RUNS", RUNS_DEFAULT);
    run.seed = lt_from_pe0(env_number("HEARTH_LITMUS_SEED", (uint64_t)time(NULL)));
    run.random = lt_hash(run.seed, 3, (uint64_t)run.pe);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (run.pe == 0)
        printf("litmus: %d PEs, HEARTH_LITMUS_SEED=%llu\n", run.n_pes,
               (unsigned long long)run.seed);
    if (run.n_pes > LT_THREADS_MAX) {
        fprintf(stderr, "litmus: at most %d PEs\n", LT_THREADS_MAX);
        job.region_failed = true;
    }
    for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0] && !job.region_failed; k++)
        run_kind(&run, &kinds[k]);
    ht_watchdog_name("finalize");
    if (run.pe == 0)
        printf("%u passed, %u failed\n", job.passed, job.failed);
    lt_share_stop();
    return hearth_finalize() || job.region_failed || job.failed > 0 || job.passed == 0;
}

int main(int argc, char **argv)
{
    char complaint[1024];

    if (!lt_table_check(complaint, sizeof complaint)) {
        fprintf(stderr, "the table is wrong: %s\n", complaint);
        return 2;
    }
    if (argc > 1 && strcmp(argv[1], "--table") == 0) {
        lt_print_table();
        return 0;
    }
    /* Each test says what its region is to be. */
    unsetenv("HEARTH_PROTOCOL");
    unsetenv("HEARTH_CONSISTENCY");
    unsetenv("HEARTH_PAGE_BYTES");
    ht_watchdog_start((double)env_number("HEARTH_TEST_SECONDS", SECONDS_DEFAULT), "litmus");
    int verdict = run_job(argc, argv);
    ht_watchdog_stop();
    return verdict;
}
