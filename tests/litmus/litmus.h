/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of the program that runs the table on the library. */
#ifndef LITMUS_H
#define LITMUS_H

#include <stdbool.h>
#include <stdint.h>

#include <hearth.h>

#include "table.h"

enum {
    PAGE_BYTES = 4096, /* asked for: the OS page may be larger, then pages are shared more */
    GROUPS = 64,       /* of instances that share pages, and locks. A multiple of 16 */
    PER_GROUP = 8,
    INSTANCES = GROUPS * PER_GROUP, /* in a round */
    MEMORY_PAGES = GROUPS * LT_VARS_MAX + GROUPS * 64 / PAGE_BYTES,
    DISTINCT_MAX = 512 /* outcomes of one test */
};

/* What one round's instances ended with, as every PE knows after sharing. */
struct outcomes {
    char text[INSTANCES][LT_OUTCOME_MAX + 1];
    bool lost[INSTANCES]; /* a variable that one PE wrote has not its value on all PEs */
};

/* A test under way: the same on all PEs but for `random`. */
struct run {
    const struct lt_test *test;
    enum lt_edge edge;
    enum lt_layout layout;
    enum lt_protocol protocol;
    enum lt_consistency consistency;
    unsigned char *memory;
    struct hearth_lock locks[GROUPS][LT_VARS_MAX];
    struct hearth_counter meet[GROUPS]; /* how many threads have come to this group */
    int64_t met;                        /* ... in all rounds before this one */
    int pe, n_pes;
    uint64_t seed, random;
    unsigned round;
    uint8_t base; /* the byte that stands for 0 in this round; base + v stands for v */
    bool failed;  /* on this PE: a call failed, or the first values were wrong */
};

/* --- place.c: where a variable lies, and who runs what --- */

unsigned char *lt_place(const struct run *run, unsigned group, unsigned member, unsigned var);
/* Store value `v`, or load: LT_VALUE_MAX or less, or LT_MIXED, or LT_WRONG. */
void lt_store(const struct run *run, unsigned group, unsigned member, unsigned var, unsigned v);
enum { LT_MIXED = LT_VALUE_MAX + 1, LT_WRONG };
unsigned lt_load(const struct run *run, unsigned group, unsigned member, unsigned var);
/* The thread that this PE runs in a group this round; LT_THREADS_MAX or more: none. */
unsigned lt_thread(const struct run *run, unsigned group);
/* A byte of the group's that belongs to this PE (0..3): written by bystanders, PEs without a
 * thread. A neighbour of the variables, but on two pages, where it is elsewhere. */
unsigned char *lt_bystander_byte(const struct run *run, unsigned group, int pe);
int lt_pe_of(const struct run *run, unsigned group, unsigned thread);
uint64_t lt_hash(uint64_t a, uint64_t b, uint64_t c);
uint64_t lt_random(struct run *run);

/* --- round.c --- */

/* One round of all instances; the outcomes of all PEs. Collective. */
void lt_round(struct run *run, struct outcomes *outcomes);

/* --- share.c --- */

/* What this PE has seen: a code per register and final value, 0 where it saw none. */
struct seen {
    uint8_t regs[INSTANCES][LT_REGS_MAX];
    uint8_t finals[INSTANCES][LT_VARS_MAX];
    uint8_t finals_down[INSTANCES][LT_VARS_MAX]; /* 255 - finals, so that a maximum is a minimum */
    uint8_t failed;
};
void lt_share_start(void);
void lt_share_stop(void);
/* Bring all PEs' codes together, and make texts of them. Collective; through MPI. */
void lt_share(struct run *run, struct seen *mine, struct outcomes *outcomes);
uint64_t lt_from_pe0(uint64_t value);
void lt_share_handles(uint64_t *handles, unsigned n); /* each made by one PE, and 0 elsewhere */

/* --- histogram.c --- */

struct histogram {
    struct bucket {
        char text[LT_OUTCOME_MAX + 1];
        bool lost;
        uint64_t n;
        unsigned first_round, first_instance;
        enum lt_verdict verdict;
    } buckets[DISTINCT_MAX];
    unsigned n_buckets;
    uint64_t runs, relaxed, forbidden;
};
void lt_histogram_add(struct histogram *h, const struct run *run, const struct outcomes *outcomes);
/* The whole of it, or only what is forbidden. */
void lt_histogram_print(const struct histogram *h, const struct run *run, bool all);
/* --table: the tests, for people. */
void lt_print_table(void);

#endif
