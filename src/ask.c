/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "net/comm.h"
#include "net/message.h"
#include "progress.h"

struct reply {
    int64_t value;
    _Atomic bool here; /* set by the handler, last; pairs with is_here */
};

struct request {
    uint64_t question, a, b;
    struct reply *reply; /* at who asks */
};

struct answer {
    struct reply *reply;
    int64_t value;
};

static hth_answerer answerers[HTH_QUESTIONS];

static void on_question(int from, const void *message, size_t bytes)
{
    const struct request *request = message;
    struct answer *answer = hth_message_new();
    (void)bytes;
    answer->reply = request->reply;
    answer->value = answerers[request->question % HTH_QUESTIONS](request->a, request->b);
    hth_message_send(from, HTH_MESSAGE_ANSWER, answer, sizeof *answer);
}

static void on_answer(int from, const void *message, size_t bytes)
{
    const struct answer *answer = message;
    (void)from;
    (void)bytes;
    answer->reply->value = answer->value;
    atomic_store_explicit(&answer->reply->here, true, memory_order_release);
    hth_progress_notify();
}

static bool is_here(void *arg)
{
    struct reply *reply = arg;
    return atomic_load_explicit(&reply->here, memory_order_acquire);
}

void hth_ask_start(void)
{
    hth_message_on(HTH_MESSAGE_QUESTION, on_question);
    hth_message_on(HTH_MESSAGE_ANSWER, on_answer);
}

void hth_ask_on(enum hth_question question, hth_answerer answerer)
{
    answerers[question] = answerer;
}

int64_t hth_ask(int pe, enum hth_question question, uint64_t a, uint64_t b)
{
    if (pe == hth_comm_my_pe()) {
        return answerers[question](a, b);
    }
    struct reply reply = {0, false};
    struct request *request = hth_message_new();
    *request = (struct request){question, a, b, &reply};
    hth_message_send(pe, HTH_MESSAGE_QUESTION, request, sizeof *request);
    struct hth_wait why = {HTH_WAIT_OTHER, NULL, 0};
    hth_wait_until(is_here, &reply, &why);
    return reply.value;
}
