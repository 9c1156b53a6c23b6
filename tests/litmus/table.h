/* SPDX-License-Identifier: BSD-3-Clause */
/* The litmus tests: what each thread does, and which outcomes are allowed, and why.
 *
 * Knows neither MPI nor hearth.h: litmus.c runs the table on the library, and the simulator can run
 * the same one.
 *
 * WHAT IS PROMISED about racing accesses under release consistency. The unit is the byte, so a
 * word that two PEs race for may be a mixture ('~'). Of each byte:
 *
 *   bytes        a load returns what some PE stored there since the last barrier, or what the byte
 *                was then: nothing older, nothing that nobody wrote
 *   causality    a load never returns a store that has not been executed yet
 *   coherence    all PEs that do not write the byte see its values in one order, that of its home;
 *                none sees it go back, with or without acquires in between
 *   convergence  after the next barrier, all PEs agree; under write-update only if one PE wrote the
 *                byte (else '!' is allowed: see README.md, "A race that outlives its barrier")
 *
 * "bytes" is the contract of hearth.h. The other three are properties of the two protocols, argued
 * in the table's reasons, and tested so that losing one is noticed. */
#ifndef LT_TABLE_H
#define LT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lt_protocol { LT_INVALIDATE, LT_UPDATE };
enum lt_consistency { LT_RELEASE, LT_SEQUENTIAL };

/* What stands between the operations of a thread. */
enum lt_edge {
    LT_NONE,    /* nothing. A runner may put in stray fences: they forbid, but never allow */
    LT_FENCE,   /* acquire; op; release; acquire; op; release ... */
    LT_LOCK,    /* each operation in a critical section of its own; a lock for each variable */
    LT_BARRIER, /* an operation of phase p comes after p barriers of all threads */
    LT_EDGES
};

enum lt_layout {
    LT_ONE_WORD,  /* the variables are neighbouring bytes of one 8-byte word */
    LT_ONE_PAGE,  /* different words of one page */
    LT_TWO_PAGES, /* each on a page of its own */
    LT_LAYOUTS
};

enum lt_kind { LT_END, LT_STORE, LT_LOAD };

enum { LT_THREADS_MAX = 4, LT_OPS_MAX = 2, LT_VARS_MAX = 3, LT_REGS_MAX = 4, LT_VALUE_MAX = 3 };

struct lt_op {
    enum lt_kind kind;
    uint8_t var;   /* x, y, z */
    uint8_t what;  /* the value that is stored, 1..LT_VALUE_MAX; the register that is loaded */
    uint8_t phase; /* with LT_BARRIER */
};

/* An outcome is a text: a character for each register, then, if the test shows final values, one
 * for each variable, as seen after a barrier that closes the test.
 *
 *   0..3  the value; 0 is what the variable was before
 *   ~     bytes of different values, each a right one
 *   !     PEs disagree on the final value (and none of them still has 0)
 *   ?     anything else: a value nobody wrote, or an old one. Never allowed
 */
enum { LT_OUTCOME_MAX = LT_REGS_MAX + LT_VARS_MAX };

/* Outcomes as patterns, separated by spaces, of the characters above and of
 *
 *   *     any value, or ~
 *   w     any value that was written, or ~: that is, not 0
 *   .     any of these, or !
 */
struct lt_rule {
    const char *allowed;
    const char *but_not;        /* exceptions from both; may be NULL */
    const char *update_as_well; /* allowed under write-update beside that; may be NULL */
    const char *why;
};

struct lt_test {
    const char *name;
    const char *about; /* what it asks */
    unsigned n_threads, n_vars, n_regs;
    bool shows_final;
    struct lt_op ops[LT_THREADS_MAX][LT_OPS_MAX];
    /* Sequential consistency: exactly the outcomes of the interleavings, which lt_table_check()
     * makes; with barrier edges, and with any other. */
    const char *sequential, *sequential_barrier, *sequential_why;
    /* Release consistency. Lock edges make every test data-race-free: as sequential, all of them.
     */
    struct lt_rule none, fence, barrier;
};

extern const struct lt_test lt_tests[];
extern const unsigned lt_n_tests;

enum lt_verdict {
    LT_ALLOWED, /* also under sequential consistency */
    LT_RELAXED, /* allowed, but not under sequential consistency */
    LT_FORBIDDEN
};

enum lt_verdict lt_judge(const struct lt_test *test, enum lt_edge edge, enum lt_protocol protocol,
                         enum lt_consistency consistency, const char *outcome);

/* How many operations the thread has; the number of phases with LT_BARRIER. */
unsigned lt_n_ops(const struct lt_test *test, unsigned thread);
unsigned lt_n_phases(const struct lt_test *test);
/* Bit v set: a load of this variable may return v. Bit 0 always is. */
unsigned lt_values(const struct lt_test *test, unsigned var);
/* What the variable must be after the closing barrier, on all PEs and under whatever consistency:
 * the last store of the one thread that writes it. -1: several write it. */
int lt_last_value(const struct lt_test *test, unsigned var);

const char *lt_edge_name(enum lt_edge edge);
const char *lt_layout_name(enum lt_layout layout);
const char *lt_protocol_name(enum lt_protocol protocol);
const char *lt_consistency_name(enum lt_consistency consistency);

/* Do the columns for sequential consistency hold exactly the interleavings' outcomes, and do those
 * for release consistency hold these as well? If not, false, and the reason in `complaint`. */
bool lt_table_check(char *complaint, size_t bytes);

#endif
