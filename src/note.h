/* SPDX-License-Identifier: BSD-3-Clause */
/* Notes: how who waits for a ticket is found by who serves it, without anybody polling.
 *
 * Locks, barriers, condition variables and semaphores hand out tickets, by an atomic at their home.
 * Who must wait for his leaves a *note* at the home, who he is and which ticket he has, and sleeps
 * on a word of his own, which the server of that ticket raises. Notes are hints: they lie in a
 * hashed table, one may overwrite another, and a server may come before the note; so a waiter looks
 * again after leaving his note (the atomics of the two sides make a Dekker pair: note then look,
 * serve then read the note), and now and then. */
#ifndef HTH_NOTE_H
#define HTH_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

/* What a ticket is of, at its home: locks and objects number their slots alike. 17 bits. */
static inline uint32_t hth_note_of_lock(uint32_t slot)
{
    return slot;
}
static inline uint32_t hth_note_of_object(uint32_t slot)
{
    return UINT32_C(1) << 16 | slot;
}

/* Wait until served(arg), which reads the state at the home and may wait; of a ticket only the low
 * 16 bits count. Context: program. */
void hth_note_wait(int home, uint32_t what, uint32_t ticket, bool (*served)(void *), void *arg,
                   const struct hth_wait *why);
/* Wake who has left notes about the n tickets from `first` on; after they were served. */
void hth_note_wake(int home, uint32_t what, uint32_t first, uint32_t n);

#endif
