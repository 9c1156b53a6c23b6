/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults: SIGSEGV and SIGBUS, and the mark of threads that are inside the library. */
#ifndef HTH_FAULT_H
#define HTH_FAULT_H

#include <stdbool.h>

int hth_fault_start(void); /* 0 or an error, noted */
void hth_fault_stop(void);

/* How deep the calling thread is inside the library. The library touches shared memory through the
 * alias only, so a fault on the view in there is an error to be named, not served: mostly shared
 * memory that the program passed to MPI, which met it while we polled. */
extern _Thread_local int hth_inside;

static inline void hth_enter(void)
{
    hth_inside++;
}

static inline void hth_leave(void)
{
    hth_inside--;
}

#endif
