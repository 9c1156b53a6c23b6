/* SPDX-License-Identifier: BSD-3-Clause */
/* The cost model: scenarios that the simulator runs and counts, and formulas that must give the
 * same numbers (model.c), evaluated far beyond what can be simulated (model_estimate.c). */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "sim.h"

/* What a formula is a function of. */
struct sim_point {
    uint64_t pes, sharers, pages, page_bytes;
};

/* A formula: + - * / ( ) and numbers; N PEs, s sharers, p pages, B bytes of a page, d bytes of the
 * encoded diff of a page of which one byte changed, w words of a copyset, k pages whose copysets
 * share a word, b pages that a release handles at once, up(a, b): a / b rounded up, log(a): of 2,
 * rounded up. A text that is none ends the program. */
uint64_t sim_formula(const char *text, const struct sim_point *at);

enum sim_quantity {
    SIM_Q_MESSAGES,
    SIM_Q_MESSAGE_BYTES,
    SIM_Q_ATOMICS,
    SIM_Q_GETS,
    SIM_Q_PUTS,
    SIM_Q_MOVED_BYTES,
    SIM_Q_OWN_ATOMICS,
    SIM_Q_HOPS,    /* that the PE waits for, where ordering is free (by messages) */
    SIM_Q_FLUSHES, /* ...and where ordering is a flush (windows) */
    SIM_Q_BUSIEST, /* messages sent and handled and operations issued, by the PE that has most */
    SIM_QUANTITIES
};
extern const char *const sim_quantity_names[SIM_QUANTITIES];

/* In the place of a formula: it depends on the schedule. */
#define SIM_VARIES "depends on the schedule"

struct sim_script; /* model.c */

struct sim_scenario {
    const char *name, *what;
    enum sim_scheme scheme;
    enum hth_deal deal;
    int sharers_min, others; /* least s; PEs that there are beside the sharers */
    /* In place of struct hth_tuning's wanted_after, if not 0. What is refreshed is never probed. */
    unsigned wanted_after;
    void (*write)(struct sim_script *script, const struct sim_point *at);
    const char *formula[SIM_QUANTITIES]; /* NULL: 0 */
};
extern const struct sim_scenario sim_scenarios[];
extern const int sim_n_scenarios;

/* model.c: count, compare with the formulas, print them; then estimates (model_estimate.c).
 * `networks`: "name:o:L:g:G:atomic:get" each (bench/loggp.c). Returns an exit code. */
int sim_model(struct sim_world *world, const char *const *networks, int n_networks, bool quiet);

void sim_model_estimates(const char *const *networks, int n_networks);

/* --- for the scenarios (model_scenarios.c) --- */

void sim_script_all(struct sim_script *script); /* a barrier of all */
void sim_script_touch(struct sim_script *script, int pe, uint64_t first_page, uint64_t n_pages,
                      bool write);
void sim_script_release(struct sim_script *script, int pe);
void sim_script_acquire(struct sim_script *script, int pe);
/* pe waits until `other` has come here: with release and acquire if `fences`. */
void sim_script_order(struct sim_script *script, int other, int pe, bool fences);
/* From here on it is what is measured, as `pe` waits for it. Once a script, after a barrier. */
void sim_script_measure(struct sim_script *script, int pe);
/* The two halves of sim_script_order with fences, for when only the second is measured. */
void sim_script_signal(struct sim_script *script, int pe);
void sim_script_wait(struct sim_script *script, int pe);

#endif
