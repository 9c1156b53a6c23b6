/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults: SIGSEGV and SIGBUS, and the mark of threads that are inside the library. */
#ifndef HTH_FAULT_H
#define HTH_FAULT_H

#include <stdbool.h>
#include <stdint.h>

int hth_fault_start(void); /* 0 or an error, noted */
void hth_fault_stop(void);

/* May the program use this page? The solo shares of other PEs cannot be checked from here. */
struct hearth_region;
bool hth_fault_is_allocated(struct hearth_region *region, uint64_t page);

/* How deep the calling thread is inside the library. The library touches shared memory through the
 * alias only, so a fault on the view in there is an error to be named, not served: mostly shared
 * memory that the program passed to MPI, which met it while we polled. */
extern _Thread_local int hth_inside;

/* The calling thread copies from or to shared memory where MPI is not at work (hearth_wrap_copy).
 */
extern _Thread_local bool hth_copying;

static inline void hth_enter(void)
{
    hth_inside++;
}

static inline void hth_leave(void)
{
    hth_inside--;
}

#endif
