/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file app_run.h
 * A run of a program on shared memory: one region for what is measured, the calls that wait with a
 * clock beside them, and the end, at which PE 0 collects what each PE spent and reports. A call
 * that fails ends the job with the library's words.
 */
#ifndef APP_RUN_H
#define APP_RUN_H

#include "app.h"

/** What a PE tells the others; an array of these lies in shared memory, outside of the region. */
struct app_notice {
    bool failed;
    double wait_seconds;
    struct hearth_stats spent;
};

/** One PE's view of the run. */
struct app_run {
    const char *program;
    const struct app_options *options;
    int me;
    int n;
    size_t page_bytes;
    struct hearth_region *region;
    struct app_notice *notices; /* shared; a PE writes its own only */
    double start;
    double seconds;
    double wait_seconds;
    double wait_before; /* wait_seconds at app_begin() */
    double waited;      /* between app_begin() and app_end() */
    struct hearth_stats spent;
};

/** End the job: the other PEs wait for this one, so there is no way on. */
_Noreturn void app_give_up(const char *call);

/** app_give_up() if err is one. */
void app_check(int err, const char *call);

/** app_give_up(), the machine being out of memory, if ptr is NULL; returns ptr. */
void *app_private(void *ptr);

/**
 * A program's main: join the job, parse into `settings`, of which `options` are a part, run
 * `program` on them unless help was all that was asked for, and leave.
 * @return the exit code
 */
int app_start(int argc, char **argv, const struct argp *argp, void *settings,
              const struct app_options *options, int (*program)(const void *settings));

/** Join the run and make its region, for `bytes` in up to `allocations` pieces. Collective. */
void app_run_init(struct app_run *run, const char *program, const struct app_options *options,
                  size_t bytes, int allocations);

/** Leave it; the region is gone. Collective. */
void app_run_fini(struct app_run *run);

/** hearth_region_malloc() and hearth_solo_malloc() from the run's region. */
void *app_malloc(struct app_run *run, size_t bytes);
void *app_solo(struct app_run *run, size_t bytes);

/** This PE's share of `count` items that lie in one allocation. */
struct app_items app_mine(const struct app_run *run, size_t count, size_t item_bytes);

/** Whether all PEs are ready to run; if not, the first that is not says why. Collective. */
bool app_agree(const char *program, bool ready, const char *error);

/** As the hearth_ calls of these names, and counted as waiting. */
void app_barrier(struct app_run *run);
void app_lock(struct app_run *run, const struct hearth_lock *lock);
void app_unlock(struct app_run *run, const struct hearth_lock *lock);
void app_cond_wait(struct app_run *run, const struct hearth_cond *cond,
                   const struct hearth_lock *lock);

/** The sum of all PEs' values, by MPI, on private memory; counted as waiting. Collective. */
double app_sum(struct app_run *run, double value);

/** The same, not counted; what app_sum() rests on. Collective. In app_sum.c, or on_threads.c. */
double app_sum_all(double value);

/** NULL; or, if there are no protocols below, what there is. */
const char *app_instead_of_protocol(void);

/** Begin and end what is timed and counted, and adds up if there are several such times.
 *  Collective; barriers. */
void app_begin(struct app_run *run);
void app_end(struct app_run *run);

/** The report, as far as it is the same for all programs. PE 0 alone, after app_end(). */
struct app_report app_report_make(const struct app_run *run);

/** Tell all PEs how PE 0 judges the run. Collective. @return the exit code. */
int app_outcome(struct app_run *run, bool ok_on_pe_0);

#endif
