/* SPDX-License-Identifier: BSD-3-Clause */
#include "ask.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "alarm.h"
#include "net/comm.h"
#include "net/message.h"
#include "pool.h"
#include "progress.h"

struct reply {
    int64_t value;
    _Atomic bool here;     /* set by the handler, last; pairs with is_here */
    struct replies *group; /* this is one of several; NULL: it is alone, on the asker's stack */
};

/* From the pool, since it may have to outlive the wait. */
struct replies {
    _Atomic uint32_t users; /* answers to come, and the asker: the last gives the block back */
    uint64_t until_ns;
    size_t bytes;
    struct reply at[];
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
    struct answer *answer = hth_message_new(from);
    (void)bytes;
    answer->reply = request->reply;
    answer->value = answerers[request->question % HTH_QUESTIONS](request->a, request->b);
    hth_message_answer(from, HTH_MESSAGE_ANSWER, answer, sizeof *answer);
}

static void leave_group(struct replies *group)
{
    if (atomic_fetch_sub(&group->users, 1) == 1) {
        hth_pool_put(group, group->bytes);
    }
}

static void on_answer(int from, const void *message, size_t bytes)
{
    const struct answer *answer = message;
    (void)from;
    (void)bytes;
    struct replies *group =
        answer->reply->group; /* a reply that is alone is gone once it is here */
    answer->reply->value = answer->value;
    atomic_store_explicit(&answer->reply->here, true, memory_order_release);
    if (group != NULL) {
        leave_group(group);
    }
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

static void send_question(int pe, enum hth_question question, uint64_t a, uint64_t b,
                          struct reply *reply)
{
    struct request *request = hth_message_new(pe);
    *request = (struct request){question, a, b, reply};
    hth_message_send(pe, HTH_MESSAGE_QUESTION, request, sizeof *request);
}

int64_t hth_ask(int pe, enum hth_question question, uint64_t a, uint64_t b)
{
    if (pe == hth_comm_my_pe()) {
        return answerers[question](a, b);
    }
    struct reply reply = {0, false, NULL};
    struct hth_wait why = {HTH_WAIT_ANSWER, NULL, (uint64_t)pe};
    send_question(pe, question, a, b, &reply);
    hth_wait_until(is_here, &reply, &why);
    return reply.value;
}

static bool all_here_or_late(void *arg)
{
    struct replies *group = arg;
    return atomic_load(&group->users) == 1 || hth_alarm_now_ns() > group->until_ns;
}

void hth_ask_each(int first, int n, enum hth_question question, uint64_t a, uint64_t b,
                  uint64_t within_ns, hth_taker take, void *arg)
{
    size_t bytes = sizeof(struct replies) + (size_t)n * sizeof(struct reply);
    struct replies *group = hth_pool_get(bytes);
    if (group == NULL) {
        return;
    }
    atomic_store(&group->users, (uint32_t)n + 1);
    group->until_ns = hth_alarm_now_ns() + within_ns;
    group->bytes = bytes;
    for (int i = 0; i < n; i++) {
        group->at[i] = (struct reply){0, false, group};
        if (first + i == hth_comm_my_pe()) {
            group->at[i] = (struct reply){answerers[question](a, b), true, group};
            atomic_fetch_sub(&group->users, 1);
        } else {
            send_question(first + i, question, a, b, &group->at[i]);
        }
    }
    struct hth_wait why = {HTH_WAIT_ANSWER, NULL, (uint64_t)first};
    hth_wait_until(all_here_or_late, group, &why);
    for (int i = 0; i < n; i++) {
        bool answered = is_here(&group->at[i]);
        take(arg, first + i, answered, answered ? group->at[i].value : 0);
    }
    leave_group(group);
}
