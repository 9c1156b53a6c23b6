/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks and counters. All take handles by value: the structures that hold them may lie in
 * shared memory, which the library does not touch. */
#ifndef HTH_SYNC_H
#define HTH_SYNC_H

#include <stdint.h>

#include "net/window.h"

#define HTH_LOCKS_MAX    65536u /* a PE */
#define HTH_COUNTERS_MAX 65536u

#define HTH_NOTES   4096u
#define HTH_WAITERS 256u /* threads of a PE that wait for other PEs' locks */

/* The words of a PE: locks, notes, what waiters wait on (lock.c), counters, two each (counter.c).
 */
enum {
    HTH_LOCK_WORDS = 0,
    HTH_NOTE_WORDS = HTH_LOCK_WORDS + HTH_LOCKS_MAX,
    HTH_WAITER_WORDS = HTH_NOTE_WORDS + HTH_NOTES,
    HTH_COUNTER_WORDS = HTH_WAITER_WORDS + HTH_WAITERS,
    HTH_SYNC_WORDS = HTH_COUNTER_WORDS + 2 * HTH_COUNTERS_MAX
};
extern struct hth_words hth_sync_words;

int hth_sync_start(void); /* collective; 0 or an error, noted */
void hth_sync_stop(void);

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

#endif
