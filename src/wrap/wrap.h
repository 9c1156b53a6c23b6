/* SPDX-License-Identifier: BSD-3-Clause */
/* libhearth_wrap, the MPI part: calls that are handed shared buffers.
 *
 * A fault on shared memory inside MPI could find MPI's locks held, so MPI never sees the memory:
 * each shared buffer has a private stand-in, of the same layout, for the time of the call, or until
 * the request is complete. What MPI reads is copied in before, what MPI wrote is copied out after,
 * by the program's thread, outside of MPI, with faults that are served like any others. So a call
 * with shared buffers is the call with private ones and a memcpy, whatever the protocol, and there
 * is nothing to pin, no page that another PE waits for while we wait for a message of its, and no
 * lock of ours or of MPI's held during a fault. (hth_rma_end holds one, and says why it may.) What
 * is copied are the bytes of the datatype, as many as were received: neighbours may be another
 * PE's.
 *
 * The wrappers are made from calls.table by generate.awk; those that wait for requests are in
 * complete.c, those with rules of their own in special.c. */
#ifndef HTH_WRAP_WRAP_H
#define HTH_WRAP_WRAP_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wrap/seam.h"

/* May it be shared, or MPI_BOTTOM, for which the datatype has the addresses? Two comparisons. */
static inline bool hth_wrap_may(const void *buffer)
{
    const struct hearth_wrap_range *range = &hearth_wrap_range;
    return __builtin_expect((uintptr_t)buffer - range->base < range->bytes, 0) ||
           __builtin_expect((uintptr_t)buffer < range->low_end, 0);
}

enum hth_cover { HTH_PRIVATE, HTH_SHARED, HTH_MIXED };
/* What lies from one address to another. */
enum hth_cover hth_wrap_cover(uintptr_t from, uintptr_t to);

/* --- layout.c: where the bytes of a datatype are --- */

struct hth_run {
    MPI_Aint at; /* from the datatype's true lower bound */
    size_t bytes;
};

struct hth_layout {
    _Atomic unsigned users;
    MPI_Aint lb, span; /* the true ones */
    MPI_Aint extent;
    MPI_Count bytes; /* of an element, without gaps */
    bool dense;      /* elements follow each other without gaps */
    bool named;      /* by MPI: its bytes are in the order of their addresses */
    size_t n_runs;
    struct hth_run runs[]; /* ascending */
};

/* The layout, for hth_layout_drop; NULL, and `why` (a literal): it cannot be had. */
struct hth_layout *hth_layout_of(MPI_Datatype type, const char **why);
void hth_layout_drop(struct hth_layout *layout);
/* From where to where an array of elements goes, from the address of the buffer on. */
void hth_layout_hull(MPI_Datatype type, MPI_Count count, MPI_Aint *lo_out, MPI_Aint *hi_out);
/* Copy the first `bytes` bytes of an array of elements, in the order of the type map, from one
 * buffer to the other. False: out of memory. */
bool hth_layout_copy(const struct hth_layout *layout, MPI_Datatype type, char *to, const char *from,
                     MPI_Count bytes);
/* Does an array of elements at `base` touch shared memory? May err to yes. */
bool hth_layout_touches(const char *base, MPI_Count count, MPI_Datatype type);

/* --- bounce.c: stand-ins --- */

enum { HTH_IN = 1, HTH_OUT = 2, HTH_COUNTED = 4 /* out: what the status says was received */ };

struct hth_piece {
    struct hth_piece *next;
    char *shared, *private; /* the buffer, and what MPI is told; copied are private + lb and up */
    MPI_Count count;
    struct hth_layout *layout;
    MPI_Datatype type; /* valid while the call lasts; for partial elements only */
    unsigned how;
};

struct hth_wrap {
    const char *call;
    struct hth_piece *pieces;
    struct hth_storage *storage;
    bool failed; /* a buffer could not be had; said already */
    int error;   /* ... and MPI's number for it */
    /* once the call has returned, for pending.c */
    struct hth_wrap *next;
    MPI_Request request;
    bool persistent, active, delivered;
    MPI_Win window; /* MPI_WIN_NULL: none */
    int target;
    uint64_t issued; /* when: pending.c */
    MPI_File file;
    void *file_buffer; /* what MPI was told at ..._begin */
};

/* Arrays of the v and w calls. */
struct hth_blocks {
    const int *counts;
    const int *displs;      /* in elements if `type` is said, else bytes */
    const MPI_Aint *places; /* or these, in bytes */
    MPI_Datatype type;
    const MPI_Datatype *types;
    int n;
};

/* Ends the job if there is no memory for some hundred bytes. */
struct hth_wrap *hth_wrap_begin(const char *call, bool persistent);
/* The stand-in for a buffer, with what MPI reads (HTH_IN) in it; the buffer itself if it is not
 * shared. On failure sets wrap->failed. */
void *hth_wrap_block(struct hth_wrap *wrap, const void *buffer, MPI_Count count, MPI_Datatype type,
                     unsigned how);
void *hth_wrap_blocks(struct hth_wrap *wrap, const void *buffer, struct hth_blocks blocks,
                      unsigned how);
/* A private copy of an array that may be shared; lives as long as the wrap. */
const void *hth_wrap_array(struct hth_wrap *wrap, const void *array, int n, size_t each);
/* What to return instead of calling MPI. */
int hth_wrap_refuse_comm(struct hth_wrap *wrap, MPI_Comm comm);
int hth_wrap_refuse_win(struct hth_wrap *wrap, MPI_Win window);
int hth_wrap_refuse_file(struct hth_wrap *wrap, MPI_File file);
/* The call has returned rc: copy out if it went well, free. Returns rc. */
int hth_wrap_end(struct hth_wrap *wrap, int rc, const MPI_Status *status);
void hth_wrap_copy_in(struct hth_wrap *wrap);
void hth_wrap_copy_out(struct hth_wrap *wrap, const MPI_Status *status);
void hth_wrap_free(struct hth_wrap *wrap);
void hth_wrap_say(const char *call, const char *what);

/* --- roles.c: who takes which part in a collective --- */

int hth_wrap_peers(MPI_Comm comm); /* blocks that a PE sends or gets: the other group's size */
int hth_wrap_size(MPI_Comm comm);
int hth_wrap_rank(MPI_Comm comm);
int hth_wrap_n_from(MPI_Comm comm); /* neighbours */
int hth_wrap_n_to(MPI_Comm comm);
bool hth_wrap_is_root(MPI_Comm comm, int root);
bool hth_wrap_is_leaf(MPI_Comm comm, int root); /* gives to the root, or gets from it */
MPI_Count hth_wrap_sum(const int *counts, int n);

/* --- pending.c: what is not over when its call returns --- */

int hth_wrap_pend(struct hth_wrap *wrap, int rc, const MPI_Request *request);
int hth_wrap_pend_rma(struct hth_wrap *wrap, int rc, MPI_Win window, int target,
                      const MPI_Request *request);
int hth_wrap_pend_split(struct hth_wrap *wrap, int rc, MPI_File file, void *buffer);
struct hth_wrap *hth_split_take(MPI_File file); /* NULL: none */

/* Is anything pending at all? */
bool hth_pending_any(void);
/* Take a request's wrap out while MPI is asked about the request, so that a request that MPI makes
 * under the same handle meanwhile is not mistaken for it. NULL: none. */
struct hth_wrap *hth_pending_take(MPI_Request request);
void hth_pending_put(struct hth_wrap *wrap);
/* The operation is complete, with this status: copy out, once. */
void hth_pending_deliver(struct hth_wrap *wrap, const MPI_Status *status);
/* A request that was taken is complete, with this status; NULL: failed. */
void hth_pending_complete(struct hth_wrap *wrap, const MPI_Status *status);
/* The program frees a request that is under way: it is looked after from here on. */
void hth_pending_orphan(struct hth_wrap *wrap);

#define HTH_ALL_TARGETS (-1000000)
/* Around a call that completes one-sided operations, of one target or all. */
uint64_t hth_rma_begin(void);
int hth_rma_end(uint64_t until, int rc, MPI_Win window, int target);

#endif
