/* SPDX-License-Identifier: BSD-3-Clause */
/* What is handed to MPI and to the kernel: a stretch of shared memory for each PE, whose pages are
 * in every state before each call, and whose bytes are known. Each call is made twice, on the area
 * and on private memory with the same bytes, and the two must be the same afterwards, in every
 * byte: as this PE sees the area, and as its neighbour does. */
#ifndef WT_AREA_H
#define WT_AREA_H

#include "harness.h"

enum { WT_PAGES = 14, WT_PAGE = 4096, WT_BYTES = WT_PAGES * WT_PAGE };

struct wt_call {
    const char *name;
    /* Not collective over Hearth; all PEs make it. `base` has WT_BYTES bytes. */
    void (*make)(unsigned char *base);
    int n_pes_min; /* 0: any number */
};

extern MPI_Comm wt_comm; /* for the calls; a duplicate of the world */
int wt_next(void);
int wt_before(void);

/* Make the calls, one after the other, under the protocol of the present test. Collective. */
void wt_run(const struct wt_call *calls, size_t n_calls);

#endif
