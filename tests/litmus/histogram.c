/* SPDX-License-Identifier: BSD-3-Clause */
#include "litmus.h"

#include <stdio.h>
#include <string.h>

static struct bucket *find(struct histogram *h, const char *text, bool lost)
{
    for (unsigned i = 0; i < h->n_buckets; i++)
        if (h->buckets[i].lost == lost && strcmp(h->buckets[i].text, text) == 0)
            return &h->buckets[i];
    /* The last one takes what does not fit: more distinct outcomes than any right test has. */
    if (h->n_buckets < DISTINCT_MAX)
        h->n_buckets++;
    return &h->buckets[h->n_buckets - 1];
}

void lt_histogram_add(struct histogram *h, const struct run *run, const struct outcomes *outcomes)
{
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct bucket *b = find(h, outcomes->text[i], outcomes->lost[i]);
        if (b->n++ == 0) {
            strcpy(b->text, outcomes->text[i]);
            b->lost = outcomes->lost[i];
            b->first_round = run->round;
            b->first_instance = i;
            b->verdict =
                b->lost ? LT_FORBIDDEN
                        : lt_judge(run->test, run->edge, run->protocol, run->consistency, b->text);
        }
        h->relaxed += b->verdict == LT_RELAXED;
        h->forbidden += b->verdict == LT_FORBIDDEN;
    }
    h->runs += INSTANCES;
}

/* "r1=1 r2=0 x=2" */
static void print_outcome(const struct lt_test *test, const char *text)
{
    for (unsigned r = 0; r < test->n_regs; r++)
        printf("r%u=%c ", r + 1, text[r]);
    for (unsigned v = 0; v < test->n_vars && test->shows_final; v++)
        printf("%c=%c ", "xyz"[v], text[test->n_regs + v]);
}

static void print_bucket(const struct histogram *h, const struct bucket *b, const struct run *run)
{
    static const char *const verdicts[] = {"", "relaxed", "FORBIDDEN"};

    printf("    ");
    print_outcome(run->test, b->text);
    printf(" %8llu  %6.2f %%  %s%s\n", (unsigned long long)b->n,
           100.0 * (double)b->n / (double)h->runs, verdicts[b->verdict],
           b->lost ? " (a final value is lost)" : "");
    if (b->verdict != LT_FORBIDDEN)
        return;
    struct run then = *run;
    unsigned group = b->first_instance / PER_GROUP, member = b->first_instance % PER_GROUP;
    then.round = b->first_round;
    printf("      first: round %u, instance %u.%u; threads on PEs", b->first_round, group, member);
    for (unsigned t = 0; t < run->test->n_threads; t++)
        printf(" %d", lt_pe_of(&then, group, t));
    printf("; homes");
    for (unsigned v = 0; v < run->test->n_vars; v++)
        printf(" %c: %d", "xyz"[v], hearth_home(lt_place(run, group, member, v)));
    printf("\n");
}

void lt_histogram_print(const struct histogram *h, const struct run *run, bool all)
{
    for (unsigned i = 0; i < h->n_buckets; i++)
        if (all || h->buckets[i].verdict == LT_FORBIDDEN)
            print_bucket(h, &h->buckets[i], run);
}

/* --- --table --- */

static void print_ops(const struct lt_test *test)
{
    for (unsigned t = 0; t < test->n_threads; t++) {
        printf("    T%u:", t);
        for (unsigned i = 0; i < lt_n_ops(test, t); i++) {
            const struct lt_op *op = &test->ops[t][i];
            if (op->kind == LT_STORE)
                printf("  %c=%u @%u", "xyz"[op->var], op -> what, op -> phase);
            else
                printf("  r%u=%c @%u", op->what + 1, "xyz"[op->var], op -> phase);
        }
        printf("\n");
    }
    printf("\nOutcome:");
    for (unsigned r = 0; r < test->n_regs; r++)
        printf(" r%u", r + 1);
    for (unsigned v = 0; v < test->n_vars && test->shows_final; v++)
        printf(" %c", "xyz"[v]);
    printf(".\n\n");
}

static void print_rule(const char *edge, const struct lt_rule *rule)
{
    printf("- **%s**: `%s`", edge, rule->allowed);
    if (rule->but_not)
        printf(", but not `%s`", rule->but_not);
    if (rule->update_as_well)
        printf("; under update also `%s`", rule->update_as_well);
    printf(".\n  Why: %s.\n", rule->why);
}

void lt_print_table(void)
{
    for (unsigned i = 0; i < lt_n_tests; i++) {
        const struct lt_test *test = &lt_tests[i];
        printf("%s### %s\n\n*%s*\n\n", i > 0 ? "\n" : "", test->name, test->about);
        print_ops(test);
        printf("- **lock**: `%s`.\n  No race, so as under sequential consistency. Why not %s.\n",
               test->sequential, test->sequential_why);
        print_rule("none", &test->none);
        print_rule("fence", &test->fence);
        print_rule("barrier", &test->barrier);
        printf("- Under sequential consistency, **barrier**: `%s`; else as **lock**.\n",
               test->sequential_barrier);
    }
}
