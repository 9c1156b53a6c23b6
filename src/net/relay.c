/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/relay.h"

#include <hearth.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "net/comm.h"
#include "net/message.h"
#include "progress.h"

enum request_kind { GET, PUT, WORD, ADD32, CAS32 };

struct request {
    uint32_t kind, window;
    uint32_t op, expected;
    uint64_t at; /* byte of the frames, or word of the window */
    uint64_t operand, bytes;
    void *to; /* at the requester: where the answer goes */
};

/* An answer: bytes that go to `to` and follow, and whether the request is done with it. */
struct answer {
    void *to;
    uint32_t bytes, last;
};

#define PART (HTH_MESSAGE_BYTES_MAX - 128u)

static struct hth_relay_config config;

/* By PE. */
static struct account {
    atomic_flag lock; /* guards `asked`, and that messages go in its order. Inside: the message's
                         own lock */
    uint64_t asked;
    _Atomic uint64_t answered; /* raised by the handler (release) once the answer is in place; pairs
                                  with is_answered */
} * accounts;

static uint64_t *word_at(const struct request *request)
{
    uint64_t *word = config.word(request->window, request->at);
    if (word == NULL) {
        hth_die("a request for word %llu of window %u, which is not there",
                (unsigned long long)request->at, request->window);
    }
    return word;
}

uint64_t hth_word_apply(uint64_t *word, enum hth_word_op op, uint64_t operand)
{
    switch (op) {
    case HTH_WORD_READ:
        return __atomic_load_n(word, __ATOMIC_SEQ_CST);
    case HTH_WORD_OR:
        return __atomic_fetch_or(word, operand, __ATOMIC_SEQ_CST);
    case HTH_WORD_AND:
        return __atomic_fetch_and(word, operand, __ATOMIC_SEQ_CST);
    case HTH_WORD_SWAP:
        return __atomic_exchange_n(word, operand, __ATOMIC_SEQ_CST);
    case HTH_WORD_ADD:
        return __atomic_fetch_add(word, operand, __ATOMIC_SEQ_CST);
    }
    return 0;
}

/* --- asking --- */

static void ask(int pe, struct request *request, size_t bytes)
{
    struct account *account = &accounts[pe];
    while (atomic_flag_test_and_set_explicit(&account->lock, memory_order_acquire)) {
        sched_yield();
    }
    account->asked++;
    hth_message_send(pe, HTH_MESSAGE_RELAY_REQUEST, request, sizeof *request + bytes);
    atomic_flag_clear_explicit(&account->lock, memory_order_release);
}

void hth_relay_get(int pe, uint64_t offset, void *to, size_t bytes)
{
    struct request *request = hth_message_new();
    *request = (struct request){.kind = GET, .at = offset, .bytes = bytes, .to = to};
    ask(pe, request, 0);
}

void hth_relay_put(int pe, uint64_t offset, const void *from, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += PART) {
        size_t n = bytes - done < PART ? bytes - done : PART;
        struct request *request = hth_message_new();
        *request = (struct request){.kind = PUT, .at = offset + done, .bytes = n};
        memcpy(request + 1, (const char *)from + done, n);
        ask(pe, request, n);
    }
}

void hth_relay_op(int pe, uint32_t window, uint64_t word, enum hth_word_op op, uint64_t operand,
                  uint64_t *old_out)
{
    struct request *request = hth_message_new();
    *request = (struct request){
        .kind = WORD, .window = window, .op = op, .at = word, .operand = operand, .to = old_out};
    ask(pe, request, 0);
}

static uint32_t ask32(int pe, const struct request *wanted)
{
    uint64_t old = 0;
    struct request *request = hth_message_new();
    *request = *wanted;
    request->to = &old;
    ask(pe, request, 0);
    hth_relay_flush(pe);
    return (uint32_t)old;
}

uint32_t hth_relay_add32(int pe, uint32_t window, uint64_t word, uint32_t addend)
{
    struct request request = {.kind = ADD32, .window = window, .at = word, .operand = addend};
    return ask32(pe, &request);
}

uint32_t hth_relay_cas32(int pe, uint32_t window, uint64_t word, uint32_t expected,
                         uint32_t desired)
{
    struct request request = {
        .kind = CAS32, .window = window, .at = word, .operand = desired, .expected = expected};
    return ask32(pe, &request);
}

struct awaited {
    struct account *account;
    uint64_t asked;
};

static bool is_answered(void *arg)
{
    struct awaited *awaited = arg;
    return atomic_load_explicit(&awaited->account->answered, memory_order_acquire) >=
           awaited->asked;
}

void hth_relay_flush(int pe)
{
    struct awaited awaited = {&accounts[pe], 0};
    while (atomic_flag_test_and_set_explicit(&awaited.account->lock, memory_order_acquire)) {
        sched_yield();
    }
    awaited.asked = awaited.account->asked;
    atomic_flag_clear_explicit(&awaited.account->lock, memory_order_release);
    struct hth_wait why = {HTH_WAIT_OTHER, NULL, 0};
    hth_wait_until(is_answered, &awaited, &why);
}

/* --- answering. Context: handler --- */

static void answer(int pe, void *to, const void *bytes, uint32_t n, bool last)
{
    struct answer *out = hth_message_new();
    *out = (struct answer){to, n, last};
    memcpy(out + 1, bytes, n);
    hth_message_send(pe, HTH_MESSAGE_RELAY_ANSWER, out, sizeof *out + n);
}

static void check_range(int from, const struct request *request)
{
    if (request->bytes > config.frames_bytes ||
        request->at > config.frames_bytes - request->bytes) {
        hth_die("PE %d asks for %llu bytes at %llu, beyond the address range", from,
                (unsigned long long)request->bytes, (unsigned long long)request->at);
    }
}

static void answer_get(int from, const struct request *request)
{
    uint64_t done = 0;
    check_range(from, request);
    do {
        uint64_t left = request->bytes - done;
        uint32_t n = (uint32_t)(left < PART ? left : PART);
        answer(from, (char *)request->to + done, config.frames + request->at + done, n, n == left);
        done += n;
    } while (done < request->bytes);
}

static void on_request(int from, const void *message, size_t bytes)
{
    const struct request *request = message;
    uint64_t old;
    uint32_t expected = request->expected;
    (void)bytes;
    switch ((enum request_kind)request->kind) {
    case GET:
        answer_get(from, request);
        return;
    case PUT:
        check_range(from, request);
        memcpy(config.frames + request->at, request + 1, request->bytes);
        answer(from, NULL, NULL, 0, true);
        return;
    case WORD:
        old = hth_word_apply(word_at(request), (enum hth_word_op)request->op, request->operand);
        break;
    case ADD32:
        old = __atomic_fetch_add((uint32_t *)word_at(request), (uint32_t)request->operand,
                                 __ATOMIC_SEQ_CST);
        break;
    case CAS32:
        __atomic_compare_exchange_n((uint32_t *)word_at(request), &expected,
                                    (uint32_t)request->operand, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        old = expected;
        break;
    default:
        hth_die("PE %d asks for an unknown operation %u", from, request->kind);
    }
    answer(from, request->to, &old, request->to != NULL ? sizeof old : 0, true);
}

static void on_answer(int from, const void *message, size_t bytes)
{
    const struct answer *in = message;
    (void)bytes;
    if (in->bytes > 0) {
        memcpy(in->to, in + 1, in->bytes);
    }
    if (in->last) {
        atomic_fetch_add_explicit(&accounts[from].answered, 1, memory_order_release);
        hth_progress_notify();
    }
}

int hth_relay_start(const struct hth_relay_config *wanted)
{
    config = *wanted;
    accounts = calloc((size_t)hth_comm_n_pes(), sizeof *accounts);
    if (accounts == NULL) {
        return hth_error(HEARTH_ENOMEM, "no memory for a table of %d PEs", hth_comm_n_pes());
    }
    hth_message_on(HTH_MESSAGE_RELAY_REQUEST, on_request);
    hth_message_on(HTH_MESSAGE_RELAY_ANSWER, on_answer);
    return HEARTH_OK;
}

void hth_relay_stop(void)
{
    free(accounts);
    accounts = NULL;
}
