/* SPDX-License-Identifier: BSD-3-Clause */
/* A pager: how the view's protection is kept. For vm/ alone; the others call vm.h.
 *
 * A view is an upper bound. On return from `protect` the program can do no more than the view
 * allows, but it may fault on a page all the same, now or later: the kernel reclaimed the page's
 * mapping, the memory behind it was given back, or the pager ran out of something and gave views
 * up. The protocols serve such a fault from the page's state, which allows the access, by asking
 * for the same view again. What must not be is that a fault is served and comes again for ever;
 * hence `wanted`. */
#ifndef HTH_VM_PAGER_H
#define HTH_VM_PAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

#define HTH_NOT_WANTED UINT64_MAX

struct hth_pager {
    const char *name;
    int fault_signal; /* a fault on the view comes as this */
    /* View and alias are mapped, all PROT_NONE and without a frame. False, and `why`: it cannot
     * work here, and the view is as it was. */
    bool (*start)(char *why, size_t why_bytes);
    /* Before the view is unmapped. Harmless if never started. */
    void (*stop)(void);
    /* `wanted`: the offset in the span that the calling thread has faulted on and is about to
     * touch again, or HTH_NOT_WANTED. Any context; ends the job if it cannot. */
    void (*protect)(uint64_t offset, uint64_t bytes, enum hth_view view, uint64_t wanted);
    /* A span of the view has been mapped anew, PROT_NONE: keep it as the rest is. 0 or errno. */
    int (*adopt)(uint64_t offset, uint64_t bytes);
};

extern const struct hth_pager hth_pager_mprotect, hth_pager_userfaultfd;

#endif
