/* SPDX-License-Identifier: BSD-3-Clause */
/* The litmus tests of ../litmus/table.h in the simulator: a case is one test with one layout, edge
 * and scheme, and a seed that says who plays which thread, where the pages are at home, who has
 * copies, and when. See litmus_case.c, litmus_run.c. */
#ifndef SIM_LITMUS_CASE_H
#define SIM_LITMUS_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "../litmus/table.h"

enum { SIM_LITMUS_MIXED = LT_VALUE_MAX + 1, SIM_LITMUS_WRONG };
enum { SIM_LITMUS_SCHEMES = 3, SIM_LITMUS_NAME_MAX = 64 };
enum { SIM_LITMUS_FINALS = LT_REGS_MAX, SIM_LITMUS_FIRST = LT_REGS_MAX + LT_VARS_MAX };

/* Where a variable lies. */
struct sim_litmus_var {
    uint32_t page, offset;
    uint16_t bytes; /* all of the same value, or it is a mixture */
};

/* A run's test, and what has come of it so far. */
struct sim_litmus {
    const struct lt_test *test; /* NULL: the program is no litmus test */
    enum lt_edge edge;
    enum lt_layout layout;
    uint8_t base;   /* the byte that stands for 0 */
    bool impatient; /* nobody lingers any more: else nobody would get on */
    struct sim_litmus_var vars[LT_VARS_MAX];
    /* 0: not seen; 1 + a value; 1 + MIXED or WRONG. Finals: the least and the greatest seen */
    uint8_t regs[LT_REGS_MAX], least[LT_VARS_MAX], greatest[LT_VARS_MAX];
    char outcome[LT_OUTCOME_MAX + 1];
    enum lt_verdict verdict;
};

struct sim_world;
struct sim_case;
struct sim_actor;
struct sim_op;
struct sim_options;

/* --- the combinations: 0 .. sim_litmus_count() - 1 --- */

struct sim_litmus_id {
    const struct lt_test *test;
    enum lt_layout layout;
    enum lt_edge edge;
    int scheme; /* enum sim_scheme */
};
unsigned sim_litmus_count(void);
struct sim_litmus_id sim_litmus_id(unsigned number);
/* As the runner on the library has it: "MP/one-page/none/update/release". */
void sim_litmus_name(unsigned number, char name[SIM_LITMUS_NAME_MAX]);
/* The combination that `text` begins with, followed by ':'; -1: none. */
int sim_litmus_parse(const char *text, const char **end_out);

/* --- litmus_case.c --- */

/* Configuration and program of a case whose `litmus` is set. */
void sim_litmus_draw(struct sim_world *world, const struct sim_case *what);
/* The outcome, and the verdict; a forbidden one is the run's failure. */
void sim_litmus_judge(struct sim_world *world);
/* A PE sees a final value. */
void sim_litmus_see(struct sim_litmus *litmus, unsigned final_var, unsigned code);
/* What the bytes of a variable mean: a value, MIXED or WRONG. */
unsigned sim_litmus_decode(const struct sim_litmus *litmus, unsigned var, const uint8_t *at);
/* In thread.c's stead: the operations on a test's variables. */
void sim_litmus_load(struct sim_actor *actor, const struct sim_op *op, const uint8_t *at);
void sim_litmus_linger(struct sim_actor *actor, const struct sim_op *op);
void sim_litmus_store(struct sim_actor *actor, const struct sim_op *op, uint8_t *at);

/* --- litmus_small.c --- */

/* Small variants of the tests in all their orders, as many as the time allows; an exit code. */
int sim_litmus_explore(struct sim_world *world, const struct sim_options *options,
                       const char *filter, uint64_t seed, double seconds, bool histogram);
/* A run of those is over: what all PEs would see now, and the verdict. */
void sim_litmus_end(struct sim_world *world);

/* --- litmus_run.c --- */

struct sim_litmus_options {
    const char *filter;       /* only tests whose name contains it; NULL: all */
    uint64_t seed, schedules; /* of each test */
    double deadline;          /* sim_now(); 0: none */
    bool histogram;
};
struct sim_litmus_totals {
    unsigned tests, relaxed, allowed; /* relaxed outcomes: seen; that the table allows */
    unsigned missing;                 /* witnesses that were not seen */
    uint64_t schedules;
};
/* False: a case failed, `broken`; the world is as it left it. */
bool sim_litmus_run(struct sim_world *world, const struct sim_options *options,
                    const struct sim_litmus_options *how, struct sim_litmus_totals *totals,
                    struct sim_case *broken);

#endif
