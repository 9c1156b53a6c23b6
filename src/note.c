/* SPDX-License-Identifier: BSD-3-Clause */
#include "note.h"

#include <pthread.h>

#include "alarm.h"
#include "net/comm.h"
#include "net/window.h"
#include "progress.h"
#include "sync.h"

/* How long a waiter trusts its note: an eighth of its wait, within these. */
#define LOOK_NS       500000
#define LOOK_NS_MAX   50000000
#define WAKES_AT_ONCE 64u

static struct {
    pthread_mutex_t mutex; /* guards the rest. Nothing is taken inside; held for a few
                              instructions. Program context, never a fault handler's */
    uint64_t in_use[HTH_WAITERS / 64];
} waiters = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct turn {
    const uint64_t *word; /* this PE's own, which the server raises */
    uint64_t seen;
    uint64_t until_ns;
};

static bool raised_or_late(void *arg)
{
    struct turn *turn = arg;
    if (__atomic_load_n(turn->word, __ATOMIC_ACQUIRE) != turn->seen) {
        return true;
    }
    return hth_alarm_now_ns() > turn->until_ns;
}

static bool take_waiter(void *arg)
{
    unsigned *index_out = arg;
    bool found = false;
    pthread_mutex_lock(&waiters.mutex);
    for (unsigned w = 0; w < HTH_WAITERS / 64 && !found; w++) {
        if (~waiters.in_use[w] != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(~waiters.in_use[w]);
            waiters.in_use[w] |= UINT64_C(1) << bit;
            *index_out = w * 64 + bit;
            found = true;
        }
    }
    pthread_mutex_unlock(&waiters.mutex);
    return found;
}

static void give_waiter(unsigned index)
{
    pthread_mutex_lock(&waiters.mutex);
    waiters.in_use[index / 64] &= ~(UINT64_C(1) << index % 64);
    pthread_mutex_unlock(&waiters.mutex);
}

static uint64_t note_word(uint32_t what, uint32_t ticket)
{
    return HTH_NOTE_WORDS + (what * 31 + (ticket & 0xffff)) % HTH_NOTES;
}

/* A note: what and ticket, so that the reader knows what it is about; PE and waiter. */
static uint64_t make_note(uint32_t what, uint32_t ticket, int pe, unsigned waiter)
{
    return UINT64_C(1) << 63 | (uint64_t)what << 44 | (uint64_t)(ticket & 0xffff) << 28 |
           (uint64_t)(uint32_t)pe << 8 | waiter;
}

static int pe_of(uint64_t note)
{
    return (int)(note >> 8 & 0xfffff);
}

/* How long to trust the note now. */
static uint64_t look_ns(const struct hth_watch *watch, uint64_t now_ns)
{
    uint64_t part = watch->began_ns == 0 ? 0 : (now_ns - watch->began_ns) / 8;
    return part < LOOK_NS ? LOOK_NS : part > LOOK_NS_MAX ? LOOK_NS_MAX : part;
}

void hth_note_wait(int home, uint32_t what, uint32_t ticket, bool (*served)(void *), void *arg,
                   const struct hth_wait *why)
{
    unsigned waiter = 0;
    struct hth_watch watch = {0, 0};
    hth_wait_on(take_waiter, &waiter, why, &watch);
    struct turn turn = {.word = hth_words_mine(&hth_sync_words) + HTH_WAITER_WORDS + waiter};
    turn.seen = __atomic_load_n(turn.word, __ATOMIC_ACQUIRE);
    hth_sync_swap(home, note_word(what, ticket), make_note(what, ticket, hth_comm_my_pe(), waiter));
    while (!served(arg)) {
        uint64_t now_ns = hth_alarm_now_ns();
        turn.until_ns = now_ns + look_ns(&watch, now_ns);
        hth_wait_on(raised_or_late, &turn, why, &watch);
        turn.seen = __atomic_load_n(turn.word, __ATOMIC_ACQUIRE);
    }
    give_waiter(waiter);
}

/* At most WAKES_AT_ONCE: all notes are read at once, and all waiters raised at once. */
static void wake_some(int home, uint32_t what, uint32_t first, uint32_t n)
{
    uint64_t notes[WAKES_AT_ONCE] = {0};
    for (uint32_t i = 0; i < n; i++) {
        hth_words_op(&hth_sync_words, home, note_word(what, first + i), HTH_WORD_READ, 0,
                     &notes[i]);
    }
    hth_words_flush(&hth_sync_words, home);
    for (uint32_t i = 0; i < n; i++) {
        unsigned waiter = (unsigned)(notes[i] & 0xff);
        if (notes[i] != make_note(what, first + i, pe_of(notes[i]), waiter)) {
            notes[i] = 0; /* not there yet, or overwritten */
            continue;
        }
        hth_words_op(&hth_sync_words, pe_of(notes[i]), HTH_WAITER_WORDS + waiter, HTH_WORD_ADD, 1,
                     NULL);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (notes[i] != 0) {
            hth_words_flush(&hth_sync_words, pe_of(notes[i]));
            struct hth_bell *bell = hth_comm_bell(pe_of(notes[i]));
            if (pe_of(notes[i]) == hth_comm_my_pe()) {
                hth_progress_notify();
            } else if (bell != NULL) {
                hth_bell_wake_waiting(bell);
            }
        }
    }
}

void hth_note_wake(int home, uint32_t what, uint32_t first, uint32_t n)
{
    while (n > 0) {
        uint32_t some = n < WAKES_AT_ONCE ? n : WAKES_AT_ONCE;
        wake_some(home, what, first, some);
        first += some;
        n -= some;
    }
}
