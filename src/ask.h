/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to another PE, answered by a function there: one message each way. */
#ifndef HTH_ASK_H
#define HTH_ASK_H

#include <stdbool.h>
#include <stdint.h>

enum hth_question {
    HTH_ASK_SOLO_FREE, /* region, offset: 0 or HEARTH_EADDR */
    HTH_ASK_OWNER,     /* region, page: a PE */
    HTH_ASK_BEGUN,     /* how many collectives the PE has begun */
    HTH_ASK_HOLDS,     /* the handle of a lock: enum hth_holds */
    HTH_ASK_OBJECT,    /* the handle of an object: hth_object_peek */
    HTH_QUESTIONS
};

/* Answers a question, at the PE that is asked. Context: handler. */
typedef int64_t (*hth_answerer)(uint64_t a, uint64_t b);

void hth_ask_start(void); /* before messages come */
void hth_ask_on(enum hth_question question, hth_answerer answerer);
/* Ask and wait for the answer. Context: program. */
int64_t hth_ask(int pe, enum hth_question question, uint64_t a, uint64_t b);

/* Ask n PEs from `first` on, all at once, and call take(arg, pe, answered, value) for each in
 * order, when all have answered or `within_ns` is over: for messages about a hang, in which some
 * may never answer. Nothing is taken if memory is out. Context: program. */
typedef void (*hth_taker)(void *arg, int pe, bool answered, int64_t value);
void hth_ask_each(int first, int n, enum hth_question question, uint64_t a, uint64_t b,
                  uint64_t within_ns, hth_taker take, void *arg);

#endif
