/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/relay.h"

#include <hearth.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "net/comm.h"
#include "net/message.h"
#include "progress.h"
#include "spin.h"

enum request_kind { GET, PUT, WORD, ADD32, CAS32 };

/* A message is a row of these, each with what its kind needs behind it, padded to 8 bytes: a put
 * its bytes, a get where they go at the requester, an atomic its operand and where the result goes.
 */
struct request {
    uint64_t at; /* byte of the frames, or word of the window */
    uint32_t bytes;
    uint8_t kind, op;
    uint16_t window;
};
struct get_tail {
    void *to;
};
struct word_tail {
    uint64_t operand; /* of a CAS32: desired, and above it what is expected */
    void *to;
};

/* An answer is a head and a row of results. The last answer to a request message says so. */
struct answer {
    uint64_t last;
};
struct result {
    void *to;
    uint64_t bytes;
};

#define PIECE     (HTH_MESSAGE_BYTES_MAX / 2)
#define UNDER_WAY 16        /* messages to one PE: then whoever asks for more waits */
#define GETS_MAX  (1 << 20) /* bytes that one message may ask for */

static struct hth_relay_config config;

/* By PE. */
static struct account {
    atomic_flag lock; /* guards the draft and `asked`, and that messages go in their order. Inside:
                         the pool's and the message's own locks. Short: held for a copy of PIECE
                         bytes at most */
    char *draft;      /* NULL: nothing is asked that has not been sent */
    size_t used, wanted;       /* bytes of the draft; bytes that its gets ask for */
    uint64_t asked;            /* messages */
    _Atomic uint64_t answered; /* raised by the handler (release) once what was asked for is in
                                  place; pairs with the loads below */
} * accounts;

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

/* --- asking --- */

static void post(int pe, struct account *account)
{
    if (account->draft != NULL) {
        account->asked++;
        hth_message_send(pe, HTH_MESSAGE_RELAY_REQUEST, account->draft, account->used);
        account->draft = NULL;
    }
}

struct awaited {
    struct account *account;
    uint64_t answers;
};

static bool is_answered(void *arg)
{
    struct awaited *awaited = arg;
    return atomic_load_explicit(&awaited->account->answered, memory_order_acquire) >=
           awaited->answers;
}

static void await(struct account *account, uint64_t answers)
{
    struct awaited awaited = {account, answers};
    struct hth_wait why = {HTH_WAIT_ANSWER, NULL, (uint64_t)(account - accounts)};
    hth_wait_until(is_answered, &awaited, &why);
}

/* Put a request and what belongs to it into the draft; `wanted`: bytes that come back. */
static void ask(int pe, const struct request *request, const void *tail, size_t tail_bytes,
                size_t wanted)
{
    struct account *account = &accounts[pe];
    size_t bytes = sizeof *request + padded(tail_bytes);
    hth_spin_lock(&account->lock);
    if (account->draft != NULL &&
        (account->used + bytes > HTH_MESSAGE_BYTES_MAX || account->wanted + wanted > GETS_MAX)) {
        post(pe, account);
    }
    while (account->draft == NULL &&
           account->asked >=
               UNDER_WAY + atomic_load_explicit(&account->answered, memory_order_relaxed)) {
        uint64_t answers = account->asked + 1 - UNDER_WAY;
        hth_spin_unlock(&account->lock);
        await(account, answers);
        hth_spin_lock(&account->lock);
    }
    if (account->draft == NULL) {
        account->draft = hth_message_new(pe);
        account->used = account->wanted = 0;
    }
    memcpy(account->draft + account->used, request, sizeof *request);
    memcpy(account->draft + account->used + sizeof *request, tail, tail_bytes);
    account->used += bytes;
    account->wanted += wanted;
    hth_spin_unlock(&account->lock);
}

void hth_relay_get(int pe, uint64_t offset, void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += PIECE) {
        size_t n = bytes - done < PIECE ? bytes - done : PIECE;
        struct request request = {.kind = GET, .at = offset + done, .bytes = (uint32_t)n};
        struct get_tail tail = {(char *)to + done};
        ask(pe, &request, &tail, sizeof tail, n);
    }
}

void hth_relay_put(int pe, uint64_t offset, const void *from, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += PIECE) {
        size_t n = bytes - done < PIECE ? bytes - done : PIECE;
        struct request request = {.kind = PUT, .at = offset + done, .bytes = (uint32_t)n};
        ask(pe, &request, (const char *)from + done, n, 0);
    }
}

static void ask_word(int pe, enum request_kind kind, enum hth_word_op op, uint32_t window,
                     uint64_t word, uint64_t operand, uint64_t *old_out)
{
    struct request request = {
        .kind = (uint8_t)kind, .op = (uint8_t)op, .window = (uint16_t)window, .at = word};
    struct word_tail tail = {operand, old_out};
    ask(pe, &request, &tail, sizeof tail, sizeof *old_out);
}

void hth_relay_op(int pe, uint32_t window, uint64_t word, enum hth_word_op op, uint64_t operand,
                  uint64_t *old_out)
{
    ask_word(pe, WORD, op, window, word, operand, old_out);
}

uint32_t hth_relay_add32(int pe, uint32_t window, uint64_t word, uint32_t addend)
{
    uint64_t old = 0;
    ask_word(pe, ADD32, HTH_WORD_ADD, window, word, addend, &old);
    hth_relay_flush(pe);
    return (uint32_t)old;
}

uint32_t hth_relay_cas32(int pe, uint32_t window, uint64_t word, uint32_t expected,
                         uint32_t desired)
{
    uint64_t old = 0;
    ask_word(pe, CAS32, HTH_WORD_SWAP, window, word, (uint64_t)expected << 32 | desired, &old);
    hth_relay_flush(pe);
    return (uint32_t)old;
}

void hth_relay_flush(int pe)
{
    struct account *account = &accounts[pe];
    hth_spin_lock(&account->lock);
    post(pe, account);
    uint64_t answers = account->asked;
    hth_spin_unlock(&account->lock);
    await(account, answers);
}

/* --- answering. Context: handler --- */

/* The answer being written. */
struct reply {
    int to;
    char *message; /* NULL: none yet */
    size_t used;
};

static void send_reply(struct reply *reply, bool last)
{
    struct answer head = {last};
    if (reply->message == NULL) {
        reply->message = hth_message_new(reply->to);
        reply->used = sizeof head;
    }
    memcpy(reply->message, &head, sizeof head);
    hth_message_answer(reply->to, HTH_MESSAGE_RELAY_ANSWER, reply->message, reply->used);
    reply->message = NULL;
}

static void add_result(struct reply *reply, void *to, const void *from, size_t bytes)
{
    struct result result = {to, bytes};
    size_t all = sizeof result + padded(bytes);
    if (reply->message != NULL && reply->used + all > HTH_MESSAGE_BYTES_MAX) {
        send_reply(reply, false);
    }
    if (reply->message == NULL) {
        reply->message = hth_message_new(reply->to);
        reply->used = sizeof(struct answer);
    }
    memcpy(reply->message + reply->used, &result, sizeof result);
    memcpy(reply->message + reply->used + sizeof result, from, bytes);
    reply->used += all;
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

static uint64_t apply32(uint32_t *word, const struct request *request, uint64_t operand)
{
    if (request->kind == ADD32) {
        return __atomic_fetch_add(word, (uint32_t)operand, __ATOMIC_SEQ_CST);
    }
    uint32_t expected = (uint32_t)(operand >> 32);
    __atomic_compare_exchange_n(word, &expected, (uint32_t)operand, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
    return expected;
}

static void serve_word(struct reply *reply, const struct request *request,
                       const struct word_tail *tail)
{
    uint64_t *word = config.word(request->window, request->at);
    if (word == NULL) {
        hth_die("PE %d asks for word %llu of window %u, which is not there", reply->to,
                (unsigned long long)request->at, request->window);
    }
    uint64_t old = request->kind == WORD
                       ? hth_word_apply(word, (enum hth_word_op)request->op, tail->operand)
                       : apply32((uint32_t *)word, request, tail->operand);
    if (tail->to != NULL) {
        add_result(reply, tail->to, &old, sizeof old);
    }
}

static void check_range(int from, const struct request *request)
{
    if (request->bytes > PIECE || request->at > config.frames_bytes - request->bytes) {
        hth_die("PE %d asks for %u bytes at %llu, beyond the address range", from, request->bytes,
                (unsigned long long)request->at);
    }
}

static void on_request(int from, const void *message, size_t bytes)
{
    struct reply reply = {from, NULL, 0};
    const char *end = (const char *)message + bytes;
    for (const char *at = message; at < end;) {
        const struct request *request = (const struct request *)at;
        const void *tail = request + 1;
        size_t tail_bytes = 0;
        switch ((enum request_kind)request->kind) {
        case GET:
            check_range(from, request);
            /* Pairs with the fences before the home's program thread looks for hints and copysets:
             * the atomics that this message has brought are before the reading. */
            atomic_thread_fence(memory_order_seq_cst);
            add_result(&reply, ((const struct get_tail *)tail)->to, config.frames + request->at,
                       request->bytes);
            tail_bytes = sizeof(struct get_tail);
            break;
        case PUT:
            check_range(from, request);
            memcpy(config.frames + request->at, tail, request->bytes);
            tail_bytes = request->bytes;
            break;
        case WORD:
        case ADD32:
        case CAS32:
            serve_word(&reply, request, tail);
            tail_bytes = sizeof(struct word_tail);
            break;
        default:
            hth_die("PE %d asks for an unknown operation %u", from, request->kind);
        }
        at += sizeof *request + padded(tail_bytes);
    }
    send_reply(&reply, true);
}

static void on_answer(int from, const void *message, size_t bytes)
{
    const char *end = (const char *)message + bytes;
    const struct answer *head = message;
    for (const char *at = (const char *)(head + 1); at < end;) {
        const struct result *result = (const struct result *)at;
        memcpy(result->to, result + 1, result->bytes);
        at += sizeof *result + padded(result->bytes);
    }
    if (head->last) {
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
