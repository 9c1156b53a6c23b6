/* SPDX-License-Identifier: BSD-3-Clause */
/* A lock for a few instructions, or a copy of a few pages: fault handlers and handlers of messages
 * may take it. Whoever waits gives its core to the holder, who may be waiting for one. */
#ifndef HTH_SPIN_H
#define HTH_SPIN_H

#include <sched.h>
#include <stdatomic.h>

static inline void hth_spin_lock(atomic_flag *lock)
{
    while (atomic_flag_test_and_set_explicit(lock, memory_order_acquire)) {
        sched_yield();
    }
}

static inline void hth_spin_unlock(atomic_flag *lock)
{
    atomic_flag_clear_explicit(lock, memory_order_release);
}

#endif
