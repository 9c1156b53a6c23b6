/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <stdio.h>
#include <string.h>

/* --- names and facts --- */

const char *lt_edge_name(enum lt_edge edge)
{
    static const char *const names[LT_EDGES] = {"none", "fence", "lock", "barrier"};

    return names[edge];
}

const char *lt_layout_name(enum lt_layout layout)
{
    static const char *const names[LT_LAYOUTS] = {"one-word", "one-page", "two-pages"};

    return names[layout];
}

const char *lt_protocol_name(enum lt_protocol protocol)
{
    return protocol == LT_UPDATE ? "update" : "invalidate";
}

const char *lt_consistency_name(enum lt_consistency consistency)
{
    return consistency == LT_SEQUENTIAL ? "sequential" : "release";
}

unsigned lt_n_ops(const struct lt_test *test, unsigned thread)
{
    unsigned n = 0;

    while (n < LT_OPS_MAX && test->ops[thread][n].kind != LT_END)
        n++;
    return n;
}

unsigned lt_n_phases(const struct lt_test *test)
{
    unsigned last = 0;

    for (unsigned t = 0; t < test->n_threads; t++)
        for (unsigned i = 0; i < lt_n_ops(test, t); i++)
            if (test->ops[t][i].phase > last)
                last = test->ops[t][i].phase;
    return last + 1;
}

unsigned lt_values(const struct lt_test *test, unsigned var)
{
    unsigned values = 1;

    for (unsigned t = 0; t < test->n_threads; t++)
        for (unsigned i = 0; i < lt_n_ops(test, t); i++)
            if (test->ops[t][i].kind == LT_STORE && test->ops[t][i].var == var)
                values |= 1u << test->ops[t][i].what;
    return values;
}

int lt_last_value(const struct lt_test *test, unsigned var)
{
    int value = 0, writer = -1;

    for (unsigned t = 0; t < test->n_threads; t++) {
        for (unsigned i = 0; i < lt_n_ops(test, t); i++) {
            if (test->ops[t][i].kind != LT_STORE || test->ops[t][i].var != var)
                continue;
            if (writer >= 0 && writer != (int)t)
                return -1;
            writer = (int)t;
            value = test->ops[t][i].what;
        }
    }
    return value;
}

/* --- patterns --- */

static bool fits(char pattern, char outcome)
{
    bool written = (outcome >= '1' && outcome <= '0' + LT_VALUE_MAX) || outcome == '~';

    switch (pattern) {
    case '*':
        return written || outcome == '0';
    case 'w':
        return written;
    case '.':
        return written || outcome == '0' || outcome == '!';
    }
    return pattern == outcome;
}

/* Does one of the patterns fit? */
static bool listed(const char *patterns, const char *outcome)
{
    size_t len = strlen(outcome);

    for (const char *p = patterns; p && *p;) {
        size_t n = strcspn(p, " "), i = 0;
        while (i < n && i < len && fits(p[i], outcome[i]))
            i++;
        if (i == n && n == len)
            return true;
        p += n;
        p += strspn(p, " ");
    }
    return false;
}

static const char *sequential(const struct lt_test *test, enum lt_edge edge)
{
    return edge == LT_BARRIER ? test->sequential_barrier : test->sequential;
}

static bool released(const struct lt_rule *rule, enum lt_protocol protocol, const char *outcome)
{
    bool as_well = protocol == LT_UPDATE && listed(rule->update_as_well, outcome);

    return (as_well || listed(rule->allowed, outcome)) && !listed(rule->but_not, outcome);
}

enum lt_verdict lt_judge(const struct lt_test *test, enum lt_edge edge, enum lt_protocol protocol,
                         enum lt_consistency consistency, const char *outcome)
{
    const struct lt_rule *rule = NULL;

    switch (edge) {
    case LT_NONE:
        rule = &test->none;
        break;
    case LT_FENCE:
        rule = &test->fence;
        break;
    case LT_BARRIER:
        rule = &test->barrier;
        break;
    case LT_LOCK: /* data-race-free: as sequential */
    case LT_EDGES:
        break;
    }
    bool as_sequential = listed(sequential(test, edge), outcome);
    if (consistency == LT_SEQUENTIAL || !rule)
        return as_sequential ? LT_ALLOWED : LT_FORBIDDEN;
    if (!released(rule, protocol, outcome))
        return LT_FORBIDDEN;
    return as_sequential ? LT_ALLOWED : LT_RELAXED;
}

/* --- the interleavings --- */

enum { SET_MAX = 128 };

struct walk {
    const struct lt_test *test;
    bool lockstep; /* barriers between phases */
    unsigned next[LT_THREADS_MAX];
    char vars[LT_VARS_MAX], regs[LT_REGS_MAX];
    char set[SET_MAX][LT_OUTCOME_MAX + 1]; /* the outcomes found */
    unsigned n_set;
};

static void arrive(struct walk *walk)
{
    char outcome[LT_OUTCOME_MAX + 1] = "";
    const struct lt_test *test = walk->test;

    memcpy(outcome, walk->regs, test->n_regs);
    if (test->shows_final)
        memcpy(outcome + test->n_regs, walk->vars, test->n_vars);
    for (unsigned i = 0; i < walk->n_set; i++)
        if (strcmp(walk->set[i], outcome) == 0)
            return;
    if (walk->n_set < SET_MAX)
        memcpy(walk->set[walk->n_set++], outcome, sizeof outcome);
}

static const struct lt_op *next_op(const struct walk *walk, unsigned thread)
{
    unsigned n = walk->next[thread];

    return n < lt_n_ops(walk->test, thread) ? &walk->test->ops[thread][n] : NULL;
}

static void explore(struct walk *walk)
{
    unsigned phase = UINT8_MAX, n = walk->test->n_threads;
    bool over = true;

    for (unsigned t = 0; t < n; t++)
        if (next_op(walk, t) && next_op(walk, t)->phase < phase)
            phase = next_op(walk, t)->phase;
    for (unsigned t = 0; t < n; t++) {
        const struct lt_op *op = next_op(walk, t);
        if (!op || (walk->lockstep && op->phase != phase))
            continue;
        over = false;
        char *to = op->kind == LT_STORE ? &walk->vars[op->var] : &walk->regs[op->what];
        char before = *to;
        *to = op->kind == LT_STORE ? (char)('0' + op->what) : walk->vars[op->var];
        walk->next[t]++;
        explore(walk);
        walk->next[t]--;
        *to = before;
    }
    if (over)
        arrive(walk);
}

/* --- the check of the table --- */

static unsigned count(const char *patterns)
{
    unsigned n = 0;

    for (const char *p = patterns; *p; p += strspn(p, " ")) {
        n++;
        p += strcspn(p, " ");
    }
    return n;
}

static bool check_edge(const struct lt_test *test, enum lt_edge edge, char *complaint, size_t bytes)
{
    struct walk walk = {.test = test, .lockstep = edge == LT_BARRIER};
    const char *column = sequential(test, edge);
    bool right = true;
    size_t used;

    memset(walk.vars, '0', sizeof walk.vars);
    memset(walk.regs, '0', sizeof walk.regs);
    explore(&walk);
    for (unsigned i = 0; i < walk.n_set; i++) {
        right = right && listed(column, walk.set[i]);
        if (lt_judge(test, edge, LT_INVALIDATE, LT_RELEASE, walk.set[i]) == LT_FORBIDDEN) {
            snprintf(complaint, bytes, "%s/%s: %s is sequential, but forbidden under release",
                     test->name, lt_edge_name(edge), walk.set[i]);
            return false;
        }
    }
    if (right && count(column) == walk.n_set)
        return true;
    used = (size_t)snprintf(complaint, bytes, "%s/%s: the interleavings' outcomes are", test->name,
                            lt_edge_name(edge));
    for (unsigned i = 0; i < walk.n_set && used < bytes; i++)
        used += (size_t)snprintf(complaint + used, bytes - used, " %s", walk.set[i]);
    return false;
}

bool lt_table_check(char *complaint, size_t bytes)
{
    for (unsigned t = 0; t < lt_n_tests; t++)
        for (enum lt_edge edge = 0; edge < LT_EDGES; edge++)
            if (!check_edge(&lt_tests[t], edge, complaint, bytes))
                return false;
    return true;
}
