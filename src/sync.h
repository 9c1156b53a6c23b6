/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, counters and the other objects. All take handles by value: the structures that hold them
 * may lie in shared memory, which the library does not touch. */
#ifndef HTH_SYNC_H
#define HTH_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "handle.h"
#include "net/window.h"

#define HTH_LOCKS_MAX    65536u /* a PE */
#define HTH_COUNTERS_MAX 65536u
#define HTH_OBJECTS_MAX  65536u /* a PE: barriers, condition variables, semaphores together */

#define HTH_NOTES   4096u
#define HTH_WAITERS 256u /* threads of a PE that wait for other PEs' locks */

/* The words of a PE: locks (lock.c), notes, what waiters wait on (note.c), counters, two each
 * (counter.c), objects, two each (object.c). */
enum {
    HTH_LOCK_WORDS = 0,
    HTH_NOTE_WORDS = HTH_LOCK_WORDS + HTH_LOCKS_MAX,
    HTH_WAITER_WORDS = HTH_NOTE_WORDS + HTH_NOTES,
    HTH_COUNTER_WORDS = HTH_WAITER_WORDS + HTH_WAITERS,
    HTH_OBJECT_WORDS = HTH_COUNTER_WORDS + 2 * HTH_COUNTERS_MAX,
    HTH_SYNC_WORDS = HTH_OBJECT_WORDS + 2 * HTH_OBJECTS_MAX
};
extern struct hth_words hth_sync_words;

int hth_sync_start(void); /* collective; 0 or an error, noted */
void hth_sync_stop(void);

/* On a PE other than 0 that replays what PE 0 does (hearth_replay): handles made meanwhile are
 * those that PE 0 makes, so that they mean PE 0's objects afterwards wherever the program keeps
 * them; until then they stand for objects of this PE's own, since what is done with them does not
 * count. Takes the same calls in the same order. Main's thread alone; ends once. */
void hth_sync_replay_begin(void);
void hth_sync_replay_end(void);

/* Whose the handles are that are made here. */
int hth_sync_maker(void);
/* hth_handle_split, and where the object is. */
bool hth_sync_split(uint64_t handle, enum hth_handle_kind kind, uint32_t slots,
                    struct hth_handle *out);

/* On a word at a PE, complete on return. */
uint64_t hth_sync_swap(int pe, uint64_t word, uint64_t value);
uint64_t hth_sync_read(int pe, uint64_t word);

void hth_locks_stop(void);
int hth_lock_create(uint64_t *handle_out);
int hth_lock_take(uint64_t handle); /* without the acquire */
int hth_lock_take_now(uint64_t handle);
int hth_lock_check_held(uint64_t handle); /* 0, HEARTH_EINVAL, HEARTH_EPERM; the lock is then being
                                             released: hth_lock_give must follow */
/* 1: by a thread of this PE; 0: not; -1: cannot be told just now. Any context. */
int hth_lock_is_held(uint64_t handle);
void hth_lock_give(uint64_t handle);
int hth_lock_end(uint64_t handle);

int hth_counter_create(int64_t value, uint64_t *handle_out);
/* HEARTH_EINVAL, or 0 and the value before. An addend of 0 only reads. */
int hth_counter_add(uint64_t handle, int64_t addend, int64_t *old_out);
int hth_counter_write(uint64_t handle, int64_t value);
int hth_counter_end(uint64_t handle);

/* Barriers, condition variables and semaphores. None of these is an acquire or a release. Each
 * returns 0 or HEARTH_EINVAL, noted, and what is said. */
enum hth_object { HTH_BARRIER, HTH_COND, HTH_SEMA };

/* `value`: what a semaphore has at first. HEARTH_ENOMEM. */
int hth_object_create(enum hth_object object, uint32_t value, uint64_t *handle_out);
int hth_object_check(enum hth_object object, uint64_t handle);
/* `n`: as for hth_barrier_pass; 1 for the others. HEARTH_EBUSY. */
int hth_object_end(enum hth_object object, uint64_t handle, uint32_t n);

int hth_barrier_pass(uint64_t handle, uint32_t n); /* wait for n arrivals, this one included */
/* Of a condition variable that was checked: stand in line; then, without the lock, wait. */
uint32_t hth_cond_line_up(uint64_t handle);
void hth_cond_stay(uint64_t handle, uint32_t ticket);
int hth_cond_wake(uint64_t handle, uint32_t most);
int hth_sema_add(uint64_t handle); /* HEARTH_EINVAL too when it is at its most */
int hth_sema_take(uint64_t handle);
int hth_sema_take_now(uint64_t handle); /* HEARTH_EBUSY */

/* What a thread waits for, for messages: the `page` of a struct hth_wait points to it. */
struct hth_object_wait {
    uint64_t handle;
    uint32_t n; /* of a barrier: the arrivals it is for */
};
/* Tickets given and tickets served, from this PE's words: `asked` in the high half. For
 * HTH_ASK_OBJECT; any context. */
int64_t hth_object_peek(uint64_t handle);

#endif
