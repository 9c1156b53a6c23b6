/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of public calls share. */
#ifndef HTH_API_H
#define HTH_API_H

/* 0, or HEARTH_ESTATE, noted, outside of hearth_init ... hearth_finalize. */
int hth_check_up(const char *call);

/* As hth_check_up, and HEARTH_EINVAL for NULL: of a lock, counter or other object. */
int hth_check_handle(const char *call, const void *holder);

/* What the calling thread is, or was last, in the library for: messages name it. Set by
 * hth_check_up and by faults. */
struct hth_calling {
    const char *call;
    const void *about; /* the lock or other object, or the address that faulted; NULL: nothing */
};
extern _Thread_local struct hth_calling hth_calling;

/* Release, barrier, acquire. Collective. */
void hth_full_barrier(void);

/* The same, and every PE's acquire is over when it returns: before what other PEs' acquires may
 * still look at (an acquire refreshes copies from their homes, and leaves copysets) is taken away.
 */
void hth_settling_barrier(void);

#endif
