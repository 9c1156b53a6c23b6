/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, one-sided.
 *
 * A lock is a ticket lock (Mellor-Crummey and Scott 1991) in the low 32 bits of a word at its home:
 * `next` ticket in the high half of those, ticket being `served` in the low half. To acquire is one
 * fetch-and-add; who finds next == served has the lock. To release is another, on `served`, whose
 * result says whether anybody waits. So a lock that nobody else wants costs two atomics.
 *
 * Who must wait does not poll the home: it leaves a note there (note.h), which the releaser of the
 * ticket before reads.
 *
 * Threads of one PE queue up locally before one of them takes a ticket; a table of the locks that
 * this PE holds or waits for also finds the misuse of a lock that is not held. */
#include "sync.h"

#include <hearth.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "log.h"
#include "net/comm.h"
#include "net/window.h"
#include "note.h"
#include "progress.h"

#define BUCKETS 1024u

/* The lock's 32 bits. */
#define NEXT      0x10000u
#define DESTROYED 0x80000000u /* next is 0x8000 ahead of served: more than there can be PEs */

static uint32_t next_of(uint32_t lock)
{
    return lock >> 16;
}

static uint32_t served_of(uint32_t lock)
{
    return lock & 0xffff;
}

static bool destroyed(uint32_t lock)
{
    return ((next_of(lock) - served_of(lock)) & 0xffff) >= 0x7000;
}

/* A lock that this PE holds or wants. */
struct claim {
    uint64_t handle;
    struct claim *next;
    unsigned users;             /* threads that hold or want it */
    uint32_t turn, turns_given; /* the local queue: who may go for the ticket */
    bool held, releasing;
    pthread_t holder;
    uint32_t ticket;
};

static struct {
    pthread_mutex_t mutex; /* guards the rest. Nothing is taken inside; held for a few instructions.
                              Program context, never a fault handler's; handlers only try it */
    struct claim *claims[BUCKETS], *spare;
    uint32_t fresh, search; /* slots of this PE: never used, and where to look for one again */
} locks = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void hth_locks_stop(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (locks.claims[i] != NULL) {
            struct claim *claim = locks.claims[i];
            locks.claims[i] = claim->next;
            free(claim);
        }
    }
    while (locks.spare != NULL) {
        struct claim *claim = locks.spare;
        locks.spare = claim->next;
        free(claim);
    }
}

/* --- claims --- */

static struct claim **bucket_of(uint64_t handle)
{
    return &locks.claims[(handle * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

/* The mutex is held. */
static struct claim *find_claim(uint64_t handle)
{
    struct claim *claim = *bucket_of(handle);
    while (claim != NULL && claim->handle != handle) {
        claim = claim->next;
    }
    return claim;
}

static struct claim *make_claim(uint64_t handle)
{
    struct claim *claim = locks.spare;
    if (claim != NULL) {
        locks.spare = claim->next;
    } else {
        claim = malloc(sizeof *claim);
        if (claim == NULL) {
            return NULL;
        }
    }
    struct claim **bucket = bucket_of(handle);
    *claim = (struct claim){.handle = handle, .next = *bucket};
    *bucket = claim;
    return claim;
}

static void leave_claim(struct claim *claim)
{
    claim->held = claim->releasing = false;
    claim->turn++;
    if (--claim->users > 0) {
        return;
    }
    struct claim **link = bucket_of(claim->handle);
    while (*link != claim) {
        link = &(*link)->next;
    }
    *link = claim->next;
    claim->next = locks.spare;
    locks.spare = claim;
}

static void abandon(struct claim *claim)
{
    pthread_mutex_lock(&locks.mutex);
    bool others = claim->users > 1;
    leave_claim(claim);
    pthread_mutex_unlock(&locks.mutex);
    if (others) {
        hth_progress_notify();
    }
}

static int not_a_lock(uint64_t handle)
{
    return hth_error(HEARTH_EINVAL,
                     "0x%llx is not the handle of a lock (0: hearth_lock_init was not called, or "
                     "the lock was destroyed)",
                     (unsigned long long)handle);
}

static int was_destroyed(uint64_t handle)
{
    return hth_error(HEARTH_EINVAL, "lock 0x%llx has been destroyed", (unsigned long long)handle);
}

static bool split_lock(uint64_t handle, struct hth_handle *out)
{
    return hth_sync_split(handle, HTH_HANDLE_LOCK, HTH_LOCKS_MAX, out);
}

/* --- waiting for a ticket --- */

struct ticket_wait {
    struct hth_handle lock;
    uint32_t ticket;
};

static bool ticket_served(void *arg)
{
    const struct ticket_wait *wait = arg;
    uint64_t word = hth_sync_read(wait->lock.pe, HTH_LOCK_WORDS + wait->lock.slot);
    return served_of((uint32_t)word) == wait->ticket;
}

static void wait_for_ticket(uint64_t handle, const struct hth_handle *lock, uint32_t ticket)
{
    struct ticket_wait wait = {*lock, ticket};
    struct hth_wait why = {HTH_WAIT_LOCK, NULL, handle};
    hth_note_wait(lock->pe, hth_note_of_lock(lock->slot), ticket, ticket_served, &wait, &why);
}

/* --- locks --- */

/* A free slot of mine: a fresh one, else one that somebody destroyed. The mutex is held. */
static bool find_lock_slot(uint32_t *slot_out)
{
    const uint64_t *mine = hth_words_mine(&hth_sync_words) + HTH_LOCK_WORDS;
    if (locks.fresh < HTH_LOCKS_MAX) {
        *slot_out = locks.fresh++;
        return true;
    }
    for (uint32_t i = 0; i < HTH_LOCKS_MAX; i++) {
        uint32_t slot = (locks.search + i) % HTH_LOCKS_MAX;
        if (destroyed((uint32_t)__atomic_load_n(&mine[slot], __ATOMIC_ACQUIRE))) {
            locks.search = slot + 1;
            *slot_out = slot;
            return true;
        }
    }
    return false;
}

int hth_lock_create(uint64_t *handle_out)
{
    uint32_t slot;
    int me = hth_comm_my_pe();
    pthread_mutex_lock(&locks.mutex);
    if (!find_lock_slot(&slot)) {
        pthread_mutex_unlock(&locks.mutex);
        return hth_error(HEARTH_ENOMEM,
                         "this PE has made %u locks, the most it can: destroy some, "
                         "or make them on other PEs",
                         HTH_LOCKS_MAX);
    }
    uint64_t old =
        __atomic_load_n(hth_words_mine(&hth_sync_words) + HTH_LOCK_WORDS + slot, __ATOMIC_ACQUIRE);
    uint32_t generation = (uint32_t)(old >> 32) + 1;
    hth_sync_swap(me, HTH_LOCK_WORDS + slot, (uint64_t)generation << 32);
    pthread_mutex_unlock(&locks.mutex);
    *handle_out = hth_handle_make(HTH_HANDLE_LOCK, hth_sync_maker(), generation, slot);
    return HEARTH_OK;
}

struct local_turn {
    struct claim *claim;
    uint32_t mine;
};

static bool my_turn(void *arg)
{
    struct local_turn *turn = arg;
    pthread_mutex_lock(&locks.mutex);
    bool mine = turn->claim->turn == turn->mine;
    pthread_mutex_unlock(&locks.mutex);
    return mine;
}

static void mark_held(struct claim *claim, uint32_t ticket)
{
    pthread_mutex_lock(&locks.mutex);
    claim->held = true;
    claim->holder = pthread_self();
    claim->ticket = ticket;
    pthread_mutex_unlock(&locks.mutex);
}

static int deadlock(uint64_t handle)
{
    return hth_error(HEARTH_EDEADLK,
                     "this thread holds lock 0x%llx already; locks are not "
                     "recursive",
                     (unsigned long long)handle);
}

int hth_lock_take(uint64_t handle)
{
    struct hth_handle lock;
    if (!split_lock(handle, &lock)) {
        return not_a_lock(handle);
    }
    pthread_mutex_lock(&locks.mutex);
    struct claim *claim = find_claim(handle);
    if (claim != NULL && claim->held && pthread_equal(claim->holder, pthread_self())) {
        pthread_mutex_unlock(&locks.mutex);
        return deadlock(handle);
    }
    if (claim == NULL && (claim = make_claim(handle)) == NULL) {
        pthread_mutex_unlock(&locks.mutex);
        return hth_error(HEARTH_ENOMEM, "no memory to wait for a lock");
    }
    claim->users++;
    struct local_turn turn = {claim, claim->turns_given++};
    bool now = claim->turn == turn.mine;
    pthread_mutex_unlock(&locks.mutex);
    if (!now) {
        struct hth_wait why = {HTH_WAIT_TURN, NULL, handle};
        hth_wait_until(my_turn, &turn, &why);
    }
    uint32_t old = hth_words_add32(&hth_sync_words, lock.pe, HTH_LOCK_WORDS + lock.slot, NEXT);
    if (destroyed(old)) {
        hth_words_add32(&hth_sync_words, lock.pe, HTH_LOCK_WORDS + lock.slot, -NEXT);
        abandon(claim);
        return was_destroyed(handle);
    }
    if (next_of(old) != served_of(old)) {
        wait_for_ticket(handle, &lock, next_of(old));
    }
    mark_held(claim, next_of(old));
    return HEARTH_OK;
}

int hth_lock_take_now(uint64_t handle)
{
    struct hth_handle lock;
    if (!split_lock(handle, &lock)) {
        return not_a_lock(handle);
    }
    pthread_mutex_lock(&locks.mutex);
    struct claim *claim = find_claim(handle);
    if (claim != NULL) { /* a thread of this PE holds it or is about to */
        bool mine = claim->held && pthread_equal(claim->holder, pthread_self());
        pthread_mutex_unlock(&locks.mutex);
        return mine ? deadlock(handle) : HEARTH_EBUSY;
    }
    claim = make_claim(handle);
    if (claim == NULL) {
        pthread_mutex_unlock(&locks.mutex);
        return hth_error(HEARTH_ENOMEM, "no memory to hold a lock");
    }
    claim->users++;
    claim->turns_given++;
    pthread_mutex_unlock(&locks.mutex);
    uint64_t word = HTH_LOCK_WORDS + lock.slot;
    uint32_t now = (uint32_t)hth_sync_read(lock.pe, word);
    bool gone = destroyed(now);
    if (!gone && next_of(now) == served_of(now) &&
        hth_words_cas32(&hth_sync_words, lock.pe, word, now, now + NEXT) == now) {
        mark_held(claim, next_of(now));
        return HEARTH_OK;
    }
    abandon(claim);
    return gone ? was_destroyed(handle) : HEARTH_EBUSY;
}

int hth_lock_check_held(uint64_t handle)
{
    struct hth_handle lock;
    if (!split_lock(handle, &lock)) {
        return not_a_lock(handle);
    }
    pthread_mutex_lock(&locks.mutex);
    struct claim *claim = find_claim(handle);
    bool held = claim != NULL && claim->held && !claim->releasing;
    if (held) {
        claim->releasing = true; /* a second thread that releases it too is told */
    }
    pthread_mutex_unlock(&locks.mutex);
    if (held) {
        return HEARTH_OK;
    }
    uint64_t value = hth_sync_read(lock.pe, HTH_LOCK_WORDS + lock.slot);
    if (destroyed((uint32_t)value) || (value >> 32 & 0xffff) != lock.generation) {
        return was_destroyed(handle);
    }
    return hth_error(HEARTH_EPERM,
                     "this PE does not hold lock 0x%llx (if it is looked up in shared memory, the "
                     "acquire may have brought another one there)",
                     (unsigned long long)handle);
}

int hth_lock_is_held(uint64_t handle)
{
    if (pthread_mutex_trylock(&locks.mutex) != 0) {
        return -1; /* handlers may not wait */
    }
    const struct claim *claim = find_claim(handle);
    int held = claim != NULL && claim->held;
    pthread_mutex_unlock(&locks.mutex);
    return held;
}

void hth_lock_give(uint64_t handle)
{
    struct hth_handle lock;
    split_lock(handle, &lock);
    pthread_mutex_lock(&locks.mutex);
    struct claim *claim = find_claim(handle);
    uint32_t ticket = claim->ticket;
    pthread_mutex_unlock(&locks.mutex);
    /* `served` wraps without a carry into `next`. */
    uint32_t one = ticket == 0xffff ? 1 - NEXT : 1;
    uint32_t old = hth_words_add32(&hth_sync_words, lock.pe, HTH_LOCK_WORDS + lock.slot, one);
    uint32_t successor = (ticket + 1) & 0xffff;
    if (next_of(old) != successor) {
        hth_note_wake(lock.pe, hth_note_of_lock(lock.slot), successor, 1);
    }
    abandon(claim);
}

int hth_lock_end(uint64_t handle)
{
    struct hth_handle lock;
    if (!split_lock(handle, &lock)) {
        return not_a_lock(handle);
    }
    pthread_mutex_lock(&locks.mutex);
    bool claimed = find_claim(handle) != NULL;
    pthread_mutex_unlock(&locks.mutex);
    uint64_t word = HTH_LOCK_WORDS + lock.slot, value = hth_sync_read(lock.pe, word);
    uint32_t now = (uint32_t)value;
    if (destroyed(now) || (value >> 32 & 0xffff) != lock.generation) {
        return was_destroyed(handle);
    }
    if (claimed || next_of(now) != served_of(now) ||
        hth_words_cas32(&hth_sync_words, lock.pe, word, now, DESTROYED) != now) {
        return hth_error(HEARTH_EBUSY, "lock 0x%llx is held or waited for: it cannot be destroyed",
                         (unsigned long long)handle);
    }
    return HEARTH_OK;
}
