/* SPDX-License-Identifier: BSD-3-Clause */
#include "app_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for each allocation to start on a page, if pages are larger than we know. It costs
   addresses, not memory. */
#define SLACK_BYTES ((size_t)16 << 20)

_Noreturn void app_give_up(const char *call)
{
    fprintf(stderr, "PE %d: %s: %s\n", hearth_my_pe(), call, hearth_error_message());
    exit(EXIT_FAILURE); /* without hearth_finalize(): mpirun ends the rest */
}

void app_check(int err, const char *call)
{
    if (err != 0)
        app_give_up(call);
}

void *app_private(void *ptr)
{
    if (ptr == NULL) {
        fprintf(stderr, "PE %d: no private memory: %s; use more PEs or a smaller problem\n",
                hearth_my_pe(), strerror(ENOMEM));
        exit(EXIT_FAILURE);
    }
    return ptr;
}

int app_start(int argc, char **argv, const struct argp *argp, void *settings,
              const struct app_options *options, int (*program)(const void *settings))
{
    app_check(hearth_init(&argc, &argv), "hearth_init");
    int status = app_parse(argp, argc, argv, hearth_my_pe() == 0, settings);
    if (status == 0 && !options->help)
        status = program(settings);
    app_check(hearth_finalize(), "hearth_finalize");
    return status;
}

void app_run_init(struct app_run *run, const char *program, const struct app_options *options,
                  size_t bytes, int allocations)
{
    struct hearth_region_attr attr = options->attr;

    *run = (struct app_run){.program = program,
                            .options = options,
                            .me = hearth_my_pe(),
                            .n = hearth_n_pes(),
                            .page_bytes = app_page_bytes(options)};
    run->notices = hearth_calloc((size_t)run->n, sizeof(*run->notices));
    if (run->notices == NULL)
        app_give_up("hearth_calloc");
    attr.name = program;
    app_check(hearth_region_create(&run->region, bytes + (size_t)allocations * SLACK_BYTES, &attr),
              "hearth_region_create");
}

void app_run_fini(struct app_run *run)
{
    app_check(hearth_region_destroy(run->region), "hearth_region_destroy");
    app_check(hearth_free(run->notices), "hearth_free");
}

void *app_malloc(struct app_run *run, size_t bytes)
{
    void *ptr = hearth_region_malloc(run->region, bytes);

    if (ptr == NULL)
        app_give_up("hearth_region_malloc");
    return ptr;
}

void *app_solo(struct app_run *run, size_t bytes)
{
    void *ptr = hearth_solo_malloc(run->region, bytes);

    if (ptr == NULL)
        app_give_up("hearth_solo_malloc");
    return ptr;
}

struct app_items app_mine(const struct app_run *run, size_t count, size_t item_bytes)
{
    return app_share(count, item_bytes, run->page_bytes, run->me, run->n);
}

bool app_agree(const char *program, bool ready, const char *error)
{
    int me = hearth_my_pe(), n = hearth_n_pes(), pe = 0;
    bool *unready = hearth_calloc((size_t)n, sizeof(*unready));

    if (unready == NULL)
        app_give_up("hearth_calloc");
    unready[me] = !ready;
    app_check(hearth_barrier_all(), "hearth_barrier_all");
    while (pe < n && !unready[pe])
        pe++;
    if (pe == me)
        fprintf(stderr, "%s: PE %d: %s\n", program, me, error);
    app_check(hearth_free(unready), "hearth_free");
    return pe == n;
}

/* ------------------------------------------------------------------------------------------ */
/* What waits                                                                                 */

void app_barrier(struct app_run *run)
{
    double start = app_now();

    app_check(hearth_barrier_all(), "hearth_barrier_all");
    run->wait_seconds += app_now() - start;
}

void app_lock(struct app_run *run, const struct hearth_lock *lock)
{
    double start = app_now();

    app_check(hearth_lock_acquire(lock), "hearth_lock_acquire");
    run->wait_seconds += app_now() - start;
}

void app_unlock(struct app_run *run, const struct hearth_lock *lock)
{
    double start = app_now();

    app_check(hearth_lock_release(lock), "hearth_lock_release");
    run->wait_seconds += app_now() - start;
}

void app_cond_wait(struct app_run *run, const struct hearth_cond *cond,
                   const struct hearth_lock *lock)
{
    double start = app_now();

    app_check(hearth_cond_wait(cond, lock), "hearth_cond_wait");
    run->wait_seconds += app_now() - start;
}

double app_sum(struct app_run *run, double value)
{
    double start = app_now();
    double sum = app_sum_all(value);

    run->wait_seconds += app_now() - start;
    return sum;
}

/* ------------------------------------------------------------------------------------------ */
/* What is measured                                                                           */

/* All members of struct hearth_stats are counters of 64 bits. */
static void stats_add(struct hearth_stats *sum, const struct hearth_stats *addend, int sign)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)addend;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
        to[i] += (uint64_t)sign * from[i];
}

void app_begin(struct app_run *run)
{
    struct hearth_stats before;

    /* Between two barriers, so that nobody's first step is in another's `before`. */
    app_barrier(run);
    app_check(hearth_region_stats(run->region, &before), "hearth_region_stats");
    stats_add(&run->spent, &before, -1);
    app_barrier(run);
    run->wait_before = run->wait_seconds;
    run->start = app_now();
}

void app_end(struct app_run *run)
{
    struct hearth_stats after;

    app_barrier(run);
    run->seconds += app_now() - run->start;
    run->waited += run->wait_seconds - run->wait_before;
    app_check(hearth_region_stats(run->region, &after), "hearth_region_stats");
    stats_add(&run->spent, &after, 1);
    run->notices[run->me].spent = run->spent;
    run->notices[run->me].wait_seconds = run->waited;
    app_barrier(run);
}

/* The environment has the last word, and the report must not name another protocol than that. */
static const char *in_force(const char *variable, const char *asked_for)
{
    const char *value = getenv(variable);

    return value != NULL && *value != '\0' ? value : asked_for;
}

struct app_report app_report_make(const struct app_run *run)
{
    const struct hearth_region_attr *attr = &run->options->attr;
    struct app_report report = {
        .program = run->program,
        .protocol = in_force("HEARTH_PROTOCOL",
                             attr->protocol == HEARTH_WRITE_UPDATE ? "update" : "invalidate"),
        .consistency = in_force("HEARTH_CONSISTENCY",
                                attr->consistency == HEARTH_SEQUENTIAL ? "sequential" : "release"),
        .pes = run->n,
        .seconds = run->seconds};

    if (app_instead_of_protocol() != NULL) {
        report.protocol = app_instead_of_protocol();
        report.consistency = "-";
    }
    for (int pe = 0; pe < run->n; pe++) {
        stats_add(&report.spent, &run->notices[pe].spent, 1);
        report.wait_seconds += run->notices[pe].wait_seconds / run->n;
    }
    return report;
}

int app_outcome(struct app_run *run, bool ok_on_pe_0)
{
    if (run->me == 0)
        run->notices[0].failed = !ok_on_pe_0;
    app_barrier(run);
    return run->notices[0].failed ? EXIT_FAILURE : 0;
}
