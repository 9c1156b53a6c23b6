/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/message.h"

#include <hearth.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alarm.h"
#include "log.h"
#include "net/comm.h"
#include "net/lend.h"
#include "net/mpi.h"
#include "pool.h"
#include "port.h"
#include "spin.h"

#define TAG 1
#define RECEIVES                                                                                   \
    4 /* posted at once; more, and large ones would go round in more memory than caches have */
#define LENT_MIN  1024 /* bytes; what is shorter MPI copies quicker than we refer to it */
#define AT_A_TIME 16   /* messages handled by one poll, so that its caller gets to look around */

/* What travels: this head, padded to 64 bytes so that the payload is aligned, then the payload. */
struct head {
    uint32_t sequence; /* per pair of PEs, from 0 */
    uint32_t kind;
    uint32_t lent, lent_bytes; /* the payload is in that block of the sender's (lend.h); 0: here */
};

struct buffer {
    MPI_Request request;
    struct buffer *next;
    /* While it is held back: */
    uint64_t due_ns;
    int from, bytes;
    _Alignas(64) union {
        struct head head;
        char pad[64];
    };
    char payload[HTH_MESSAGE_BYTES_MAX];
};
#define HEAD_BYTES 64

static struct {
    pthread_mutex_t
        mutex; /* guards all of this but `handlers`, which is fixed by then. Handlers run
                  inside, so short locks and sends are taken inside. Only ever tried */
    struct buffer *ring[RECEIVES];
    unsigned next;      /* the receive that completes next: they match in the order posted */
    uint32_t *expected; /* by PE: the next message's sequence number */
    bool up;
    uint64_t delay_ns;   /* for tests: messages are held back for up to so long */
    uint64_t *due;       /* by PE: its last message's; they stay in order */
    struct buffer *held; /* oldest first */
    hth_message_handler handlers[HTH_MESSAGE_KINDS];
} in = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* MPI does not promise that sends of two threads arrive in the order in which a lock put them,
 * though the implementations do; the number shows it if one does not. */
static struct outgoing {
    atomic_flag lock; /* guards the number, and that MPI_Isend is called in its order. Nothing is
                         taken inside but MPI's own locks. Short: MPI_Isend does not wait */
    uint32_t sequence;
} * out; /* by PE */

static atomic_flag pending_lock = ATOMIC_FLAG_INIT;      /* guards the two below */
static struct buffer *pending, **pending_end = &pending; /* sent, not yet complete; oldest first */
static _Atomic unsigned n_pending;

static struct buffer *new_buffer(void)
{
    struct buffer *buffer = hth_pool_get(sizeof *buffer);
    if (buffer == NULL) {
        hth_die("out of memory for a message of %zu bytes", sizeof *buffer);
    }
    return buffer;
}

void *hth_message_new(int pe)
{
    void *block = hth_comm_bell(pe) != NULL ? hth_lend_get() : NULL;
    return block != NULL ? block : new_buffer()->payload;
}

static struct buffer *buffer_of(void *message)
{
    return (struct buffer *)((char *)message - offsetof(struct buffer, payload));
}

void hth_message_drop(void *message)
{
    if (hth_lend_number(message) != 0) {
        hth_lend_put(message);
        return;
    }
    hth_pool_put(buffer_of(message), sizeof(struct buffer));
}

static void add_pending(struct buffer *buffer)
{
    buffer->next = NULL;
    hth_spin_lock(&pending_lock);
    *pending_end = buffer;
    pending_end = &buffer->next;
    hth_spin_unlock(&pending_lock);
}

static struct buffer *take_pending(void)
{
    hth_spin_lock(&pending_lock);
    struct buffer *buffer = pending;
    if (buffer != NULL) {
        pending = buffer->next;
        if (pending == NULL) {
            pending_end = &pending;
        }
    }
    hth_spin_unlock(&pending_lock);
    return buffer;
}

/* What MPI is to send: the message, or a reference to it. Sets how much of the payload. */
static struct buffer *to_send(void *message, size_t *bytes_inout)
{
    uint32_t number = hth_lend_number(message);
    struct buffer *buffer = number == 0 ? buffer_of(message) : new_buffer();
    buffer->head.lent = 0;
    if (number == 0) {
        return buffer;
    }
    if (*bytes_inout < LENT_MIN) {
        memcpy(buffer->payload, message, *bytes_inout);
        hth_lend_put(message);
        return buffer;
    }
    hth_lend_out(message);
    buffer->head.lent = number;
    buffer->head.lent_bytes = (uint32_t)*bytes_inout;
    *bytes_inout = 0;
    return buffer;
}

static void post(int pe, struct hth_bell *bell, enum hth_message_kind kind, void *message,
                 size_t bytes)
{
    struct buffer *buffer = to_send(message, &bytes);
    struct outgoing *to = &out[pe];
    buffer->head.kind = kind;
    if (bell != NULL) {
        hth_bell_announce(bell);
    }
    hth_spin_lock(&to->lock);
    buffer->head.sequence = to->sequence++;
    HTH_MPI(MPI_Isend(&buffer->head, (int)(HEAD_BYTES + bytes), MPI_BYTE, pe, TAG, hth_comm_world,
                      &buffer->request));
    hth_spin_unlock(&to->lock);
    /* Put aside; the next poll looks whether it is complete. Testing it here would enter MPI's
     * progress, and with it other requests, from within a handler. */
    add_pending(buffer);
    atomic_fetch_add_explicit(&n_pending, 1, memory_order_relaxed);
}

void hth_message_send(int pe, enum hth_message_kind kind, void *message, size_t bytes)
{
    struct hth_bell *bell = hth_comm_bell(pe);
    post(pe, bell, kind, message, bytes);
    if (bell != NULL) {
        hth_bell_ring(bell);
    }
}

void hth_message_answer(int pe, enum hth_message_kind kind, void *message, size_t bytes)
{
    struct hth_bell *bell = hth_comm_bell(pe);
    post(pe, bell, kind, message, bytes);
    if (bell != NULL) {
        hth_bell_wake_waiting(bell);
    }
}

/* Give back the buffers of sends that are complete: look at the oldest few, so that a poll costs
 * the same however many there are. One that is not complete goes to the end of the line. The mutex
 * is held. */
static void reap(void)
{
    for (int i = 0, misses = 0; i < AT_A_TIME && misses < 2; i++) {
        struct buffer *buffer = take_pending();
        if (buffer == NULL) {
            return;
        }
        int done = 0;
        HTH_MPI(MPI_Test(&buffer->request, &done, MPI_STATUS_IGNORE));
        if (done) {
            atomic_fetch_sub_explicit(&n_pending, 1, memory_order_relaxed);
            hth_pool_put(buffer, sizeof *buffer);
        } else {
            add_pending(buffer);
            misses++;
        }
    }
}

bool hth_message_unfinished(void)
{
    return atomic_load_explicit(&n_pending, memory_order_relaxed) > 0;
}

static void post_receive(struct buffer *buffer)
{
    HTH_MPI(MPI_Irecv(&buffer->head, (int)(HEAD_BYTES + HTH_MESSAGE_BYTES_MAX), MPI_BYTE,
                      MPI_ANY_SOURCE, TAG, hth_comm_world, &buffer->request));
}

static void handle(struct buffer *buffer, int from, int bytes)
{
    if (bytes < HEAD_BYTES || buffer->head.kind >= HTH_MESSAGE_KINDS ||
        in.handlers[buffer->head.kind] == NULL) {
        hth_die("a message of %d bytes from PE %d is not one of ours", bytes, from);
    }
    if (buffer->head.sequence != in.expected[from]) {
        hth_die("messages from PE %d overtook each other: %u came for %u. This MPI does not keep "
                "the order of sends, which Hearth relies on",
                from, buffer->head.sequence, in.expected[from]);
    }
    in.expected[from]++;
    uint32_t lent = buffer->head.lent;
    if (lent == 0) {
        in.handlers[buffer->head.kind](from, buffer->payload, (size_t)bytes - HEAD_BYTES);
        return;
    }
    in.handlers[buffer->head.kind](from, hth_lend_at(from, lent), buffer->head.lent_bytes);
    hth_lend_return(from, lent);
}

/* --- holding back, for tests: each message by a time of its own, in order within a pair of PEs ---
 */

static _Atomic uint64_t next_due; /* of those held back; 0: there are none. A hint: pairs with
                                     nothing */

static uint64_t random_delay(void)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15); /* the mutex is held */
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % (in.delay_ns + 1);
}

static void hold_back(struct buffer *buffer, int from, int bytes)
{
    uint64_t due = hth_alarm_now_ns() + random_delay();
    struct buffer **end = &in.held;
    in.due[from] = due > in.due[from] ? due : in.due[from];
    buffer->due_ns = in.due[from];
    buffer->from = from;
    buffer->bytes = bytes;
    buffer->next = NULL;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = buffer;
}

static int handle_held(void)
{
    uint64_t now = hth_alarm_now_ns();
    int handled = 0;
    for (struct buffer **at = &in.held; *at != NULL;) {
        struct buffer *buffer = *at;
        if (buffer->due_ns > now) {
            at = &buffer->next;
            continue;
        }
        *at = buffer->next;
        handle(buffer, buffer->from, buffer->bytes);
        hth_pool_put(buffer, sizeof *buffer);
        handled++;
    }
    uint64_t next = 0;
    for (const struct buffer *held = in.held; held != NULL; held = held->next) {
        next = next == 0 || held->due_ns < next ? held->due_ns : next;
    }
    atomic_store_explicit(&next_due, next, memory_order_relaxed);
    return handled;
}

uint64_t hth_message_in_ns(void)
{
    uint64_t due = atomic_load_explicit(&next_due, memory_order_relaxed);
    if (due == 0) {
        return UINT64_MAX;
    }
    uint64_t now = hth_alarm_now_ns();
    return due > now ? due - now : 0;
}

/* --- polling --- */

int hth_message_poll(void)
{
    if (pthread_mutex_trylock(&in.mutex) != 0) {
        return -1;
    }
    int handled = 0;
    for (int i = 0; in.up && i < AT_A_TIME; i++) {
        struct buffer *buffer = in.ring[in.next];
        int done = 0, bytes = 0;
        MPI_Status status;
        HTH_MPI(MPI_Test(&buffer->request, &done, &status));
        if (!done) {
            break;
        }
        MPI_Get_count(&status, MPI_BYTE, &bytes);
        if (hth_comm_bell(status.MPI_SOURCE) != NULL) {
            hth_progress_taken(1);
        }
        if (in.delay_ns > 0) {
            hold_back(buffer, status.MPI_SOURCE, bytes);
            buffer = in.ring[in.next] = new_buffer();
        } else {
            handle(buffer, status.MPI_SOURCE, bytes);
            handled++;
        }
        post_receive(buffer);
        in.next = (in.next + 1) % RECEIVES;
    }
    if (in.held != NULL) {
        handled = handle_held();
    }
    if (atomic_load_explicit(&n_pending, memory_order_relaxed) > 0) {
        reap();
    }
    pthread_mutex_unlock(&in.mutex);
    return handled;
}

void hth_message_settle(void)
{
    while (pthread_mutex_trylock(&in.mutex) != 0) {
        sched_yield();
    }
    pthread_mutex_unlock(&in.mutex);
}

void hth_message_on(enum hth_message_kind kind, hth_message_handler handler)
{
    in.handlers[kind] = handler;
}

int hth_message_start(uint64_t delay_us)
{
    if (hth_comm_n_pes() == 1) {
        return HEARTH_OK;
    }
    in.expected = calloc((size_t)hth_comm_n_pes(), sizeof *in.expected);
    in.due = calloc((size_t)hth_comm_n_pes(), sizeof *in.due);
    in.delay_ns = delay_us * 1000;
    out = calloc((size_t)hth_comm_n_pes(), sizeof *out);
    if (in.expected == NULL || in.due == NULL || out == NULL) {
        return hth_error(HEARTH_ENOMEM, "no memory for a table of %d PEs", hth_comm_n_pes());
    }
    for (int i = 0; i < RECEIVES; i++) {
        in.ring[i] = new_buffer();
        post_receive(in.ring[i]);
    }
    in.up = true;
    return HEARTH_OK;
}

void hth_message_stop(void)
{
    while (atomic_load(&n_pending) > 0) {
        hth_message_poll();
        sched_yield();
    }
    pthread_mutex_lock(&in.mutex);
    if (in.up) {
        in.up = false;
        for (int i = 0; i < RECEIVES; i++) {
            MPI_Cancel(&in.ring[i]->request);
            MPI_Wait(&in.ring[i]->request, MPI_STATUS_IGNORE);
        }
        free(in.expected);
        free(in.due);
        free(out);
    }
    pthread_mutex_unlock(&in.mutex);
}
