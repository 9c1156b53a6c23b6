/* SPDX-License-Identifier: BSD-3-Clause */
/* Barrier, locks and counters. All take handles by value: the structures that hold them may lie in
 * shared memory, which the library does not touch. */
#ifndef HTH_SYNC_H
#define HTH_SYNC_H

#include <stdint.h>

#define HTH_LOCKS_MAX    65536u /* a PE */
#define HTH_COUNTERS_MAX 65536u

/* How many words of a PE the locks and counters need. */
uint64_t hth_sync_n_words(void);
int hth_sync_start(void); /* collective; 0 or an error, noted */
void hth_sync_stop(void);

int hth_lock_create(uint64_t *handle_out);
int hth_lock_take(uint64_t handle); /* without the acquire */
int hth_lock_take_now(uint64_t handle);
int hth_lock_check_held(uint64_t handle); /* 0, HEARTH_EINVAL, HEARTH_EPERM; the lock is then being
                                             released: hth_lock_give must follow */
void hth_lock_give(uint64_t handle);
int hth_lock_end(uint64_t handle);

int hth_counter_create(int64_t value, uint64_t *handle_out);
/* HEARTH_EINVAL, or 0 and the value before. */
int hth_counter_add(uint64_t handle, int64_t addend, int64_t *old_out);
int hth_counter_read(uint64_t handle, int64_t *value_out);
int hth_counter_write(uint64_t handle, int64_t value);
int hth_counter_end(uint64_t handle);

#endif
