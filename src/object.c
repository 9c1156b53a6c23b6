/* SPDX-License-Identifier: BSD-3-Clause */
/* Barriers of some PEs, condition variables and semaphores, one-sided.
 *
 * Each is two words at its home: `asked`, how many tickets it has given, and `served`, how many of
 * them may go on, in the low half of a word whose high half is a generation, odd while in use. Who
 * has ticket t goes on when served > t. What differs is who raises `served`:
 *
 *   barrier     ticket a belongs to round a / n, and `served` counts rounds: the n-th of a round to
 *               come raises it. `asked` has 64 bits here, so that a / n never jumps
 *   condition   a signal raises it by one, a broadcast up to `asked`, neither beyond that: a signal
 *               with nobody in line is lost
 *   semaphore   a post raises it by one, `asked` or not: what is ahead of `asked` is the value
 *
 * Tickets of the latter two count modulo 2^32. So waiters go on in the order in which they came,
 * nobody polls (note.h), and what needs nobody's waiting costs two or three atomics. A handle is
 * checked before anything is changed, so that one that is dead does not harm what its slot is used
 * for now. And who finds another generation while it waits goes on: it was served, and somebody was
 * quick to destroy. */
#include <hearth.h>
#include <pthread.h>

#include "handle.h"
#include "log.h"
#include "net/comm.h"
#include "net/window.h"
#include "note.h"
#include "sync.h"

static struct {
    pthread_mutex_t mutex;  /* guards the slots of this PE. Nothing is taken inside */
    uint32_t fresh, search; /* never used, and where to look for one to use again */
} objects = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const struct kind {
    enum hth_handle_kind handle;
    enum hth_wait_kind wait;
    const char *name, *call;
} kinds[] = {
    [HTH_BARRIER] = {HTH_HANDLE_BARRIER, HTH_WAIT_BARRIER, "barrier", "hearth_barrier_init"},
    [HTH_COND] = {HTH_HANDLE_COND, HTH_WAIT_COND, "condition variable", "hearth_cond_init"},
    [HTH_SEMA] = {HTH_HANDLE_SEMA, HTH_WAIT_SEMA, "semaphore", "hearth_sema_init"},
};

static uint64_t asked_word(uint32_t slot)
{
    return HTH_OBJECT_WORDS + UINT64_C(2) * slot;
}

static uint64_t served_word(uint32_t slot)
{
    return asked_word(slot) + 1;
}

static bool alive(uint64_t served, const struct hth_handle *at)
{
    uint32_t generation = (uint32_t)(served >> 32);
    return generation % 2 == 1 && (generation & 0xffff) == at->generation;
}

/* Is ticket `a` before `b`? */
static bool before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

struct state {
    uint64_t asked, served;
};

static struct state read_both(const struct hth_handle *at)
{
    struct state now = {0, 0};
    hth_words_op(&hth_sync_words, at->pe, asked_word(at->slot), HTH_WORD_READ, 0, &now.asked);
    hth_words_op(&hth_sync_words, at->pe, served_word(at->slot), HTH_WORD_READ, 0, &now.served);
    hth_words_flush(&hth_sync_words, at->pe);
    return now;
}

static int was_destroyed(enum hth_object object, uint64_t handle)
{
    return hth_error(HEARTH_EINVAL, "%s 0x%llx has been destroyed", kinds[object].name,
                     (unsigned long long)handle);
}

/* Take a handle apart, and read what it stands for. */
static int look(enum hth_object object, uint64_t handle, struct hth_handle *at_out,
                struct state *now_out)
{
    const struct kind *kind = &kinds[object];
    if (!hth_sync_split(handle, kind->handle, HTH_OBJECTS_MAX, at_out)) {
        return hth_error(HEARTH_EINVAL,
                         "0x%llx is not the handle of a %s (0: %s was not called, or the %s was "
                         "destroyed)",
                         (unsigned long long)handle, kind->name, kind->call, kind->name);
    }
    *now_out = read_both(at_out);
    return alive(now_out->served, at_out) ? HEARTH_OK : was_destroyed(object, handle);
}

int hth_object_check(enum hth_object object, uint64_t handle)
{
    struct hth_handle at;
    struct state now;
    return look(object, handle, &at, &now);
}

/* A free slot of mine. The mutex is held. */
static bool find_slot(uint32_t *slot_out)
{
    const uint64_t *mine = hth_words_mine(&hth_sync_words);
    if (objects.fresh < HTH_OBJECTS_MAX) {
        *slot_out = objects.fresh++;
        return true;
    }
    for (uint32_t i = 0; i < HTH_OBJECTS_MAX; i++) {
        uint32_t slot = (objects.search + i) % HTH_OBJECTS_MAX;
        if ((__atomic_load_n(&mine[served_word(slot)], __ATOMIC_ACQUIRE) >> 32) % 2 == 0) {
            objects.search = slot + 1;
            *slot_out = slot;
            return true;
        }
    }
    return false;
}

int hth_object_create(enum hth_object object, uint32_t value, uint64_t *handle_out)
{
    const uint64_t *mine = hth_words_mine(&hth_sync_words);
    int me = hth_comm_my_pe();
    uint32_t slot;
    pthread_mutex_lock(&objects.mutex);
    if (!find_slot(&slot)) {
        pthread_mutex_unlock(&objects.mutex);
        return hth_error(HEARTH_ENOMEM,
                         "this PE has made %u barriers, condition variables and semaphores, the "
                         "most it can: destroy some, or make them on other PEs",
                         HTH_OBJECTS_MAX);
    }
    uint64_t old = __atomic_load_n(&mine[served_word(slot)], __ATOMIC_ACQUIRE);
    uint32_t generation = (uint32_t)(old >> 32) + 1;
    hth_sync_swap(me, asked_word(slot), 0);
    hth_sync_swap(me, served_word(slot), (uint64_t)generation << 32 | value);
    pthread_mutex_unlock(&objects.mutex);
    *handle_out = hth_handle_make(kinds[object].handle, hth_sync_maker(), generation, slot);
    return HEARTH_OK;
}

int hth_object_end(enum hth_object object, uint64_t handle, uint32_t n)
{
    struct hth_handle at;
    struct state now;
    int rc = look(object, handle, &at, &now);
    if (rc != HEARTH_OK) {
        return rc;
    }
    if (before((uint32_t)now.served * n, (uint32_t)now.asked)) {
        return hth_error(HEARTH_EBUSY, "%s 0x%llx is waited for: it cannot be destroyed",
                         kinds[object].name, (unsigned long long)handle);
    }
    hth_sync_swap(at.pe, served_word(at.slot), ((now.served >> 32) + 1) << 32);
    return HEARTH_OK;
}

int64_t hth_object_peek(uint64_t handle)
{
    const uint64_t *mine = hth_words_mine(&hth_sync_words);
    uint32_t slot = (uint32_t)(handle & 0xffffff) % HTH_OBJECTS_MAX;
    uint64_t asked = __atomic_load_n(&mine[asked_word(slot)], __ATOMIC_ACQUIRE);
    uint64_t served = __atomic_load_n(&mine[served_word(slot)], __ATOMIC_ACQUIRE);
    return (int64_t)((asked & 0x7fffffff) << 32 | (served & 0xffffffff));
}

/* --- waiting --- */

struct ticket_wait {
    struct hth_handle at;
    uint32_t turn; /* `served` beyond this ends it */
};

static bool is_served(void *arg)
{
    const struct ticket_wait *wait = arg;
    uint64_t served = hth_sync_read(wait->at.pe, served_word(wait->at.slot));
    return !alive(served, &wait->at) || before(wait->turn, (uint32_t)served);
}

/* `ticket` is what the note goes by. */
static void wait_for(enum hth_object object, uint64_t handle, uint32_t n,
                     const struct hth_handle *at, uint32_t ticket, uint32_t turn)
{
    struct ticket_wait wait = {*at, turn};
    struct hth_object_wait about = {handle, n};
    struct hth_wait why = {kinds[object].wait, NULL, (uint64_t)(uintptr_t)&about};
    hth_note_wait(at->pe, hth_note_of_object(at->slot), ticket, is_served, &wait, &why);
}

static uint32_t add_served(const struct hth_handle *at)
{
    return hth_words_add32(&hth_sync_words, at->pe, served_word(at->slot), 1);
}

int hth_barrier_pass(uint64_t handle, uint32_t n)
{
    struct hth_handle at;
    struct state now;
    int rc = look(HTH_BARRIER, handle, &at, &now);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t arrival = 0;
    hth_words_op(&hth_sync_words, at.pe, asked_word(at.slot), HTH_WORD_ADD, 1, &arrival);
    hth_words_flush(&hth_sync_words, at.pe);
    uint32_t round = (uint32_t)(arrival / n);
    if (arrival % n < n - 1) {
        wait_for(HTH_BARRIER, handle, n, &at, (uint32_t)arrival, round);
    } else {
        add_served(&at);
        hth_note_wake(at.pe, hth_note_of_object(at.slot), (uint32_t)arrival - (n - 1), n - 1);
    }
    return HEARTH_OK;
}

uint32_t hth_cond_line_up(uint64_t handle)
{
    struct hth_handle at;
    hth_sync_split(handle, HTH_HANDLE_COND, HTH_OBJECTS_MAX, &at);
    return hth_words_add32(&hth_sync_words, at.pe, asked_word(at.slot), 1);
}

void hth_cond_stay(uint64_t handle, uint32_t ticket)
{
    struct hth_handle at;
    hth_sync_split(handle, HTH_HANDLE_COND, HTH_OBJECTS_MAX, &at);
    wait_for(HTH_COND, handle, 0, &at, ticket, ticket);
}

int hth_cond_wake(uint64_t handle, uint32_t most)
{
    struct hth_handle at;
    struct state now;
    int rc = look(HTH_COND, handle, &at, &now);
    while (rc == HEARTH_OK) {
        uint32_t served = (uint32_t)now.served, waiting = (uint32_t)now.asked - served;
        uint32_t n = waiting < most ? waiting : most;
        if (n == 0 || hth_words_cas32(&hth_sync_words, at.pe, served_word(at.slot), served,
                                      served + n) == served) {
            hth_note_wake(at.pe, hth_note_of_object(at.slot), served, n);
            return HEARTH_OK;
        }
        now = read_both(&at); /* somebody else has signalled */
        rc = alive(now.served, &at) ? HEARTH_OK : was_destroyed(HTH_COND, handle);
    }
    return rc;
}

int hth_sema_add(uint64_t handle)
{
    struct hth_handle at;
    struct state now;
    int rc = look(HTH_SEMA, handle, &at, &now);
    if (rc != HEARTH_OK) {
        return rc;
    }
    if ((uint32_t)now.served - (uint32_t)now.asked == HEARTH_SEMA_MAX) {
        return hth_error(HEARTH_EINVAL, "semaphore 0x%llx is at its most, %u: wait for it first",
                         (unsigned long long)handle, HEARTH_SEMA_MAX);
    }
    uint32_t ticket = add_served(&at);
    uint32_t asked = (uint32_t)hth_sync_read(at.pe, asked_word(at.slot));
    if (before(ticket, asked)) {
        hth_note_wake(at.pe, hth_note_of_object(at.slot), ticket, 1);
    }
    return HEARTH_OK;
}

int hth_sema_take(uint64_t handle)
{
    struct hth_handle at;
    struct state now;
    int rc = look(HTH_SEMA, handle, &at, &now);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint32_t ticket = hth_words_add32(&hth_sync_words, at.pe, asked_word(at.slot), 1);
    if (!before(ticket, (uint32_t)now.served)) {
        wait_for(HTH_SEMA, handle, 0, &at, ticket, ticket);
    }
    return HEARTH_OK;
}

int hth_sema_take_now(uint64_t handle)
{
    struct hth_handle at;
    struct state now;
    int rc = look(HTH_SEMA, handle, &at, &now);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint32_t asked = (uint32_t)now.asked, seen;
    while (before(asked, (uint32_t)now.served)) {
        seen = hth_words_cas32(&hth_sync_words, at.pe, asked_word(at.slot), asked, asked + 1);
        if (seen == asked) {
            return HEARTH_OK;
        }
        asked = seen; /* `served` only grows */
    }
    return HEARTH_EBUSY;
}
