/* SPDX-License-Identifier: BSD-3-Clause */
/* What is not over when its call returns: requests, one-sided operations until their window is
 * synchronised, split collectives of files.
 *
 * A request is found by its handle. A handle is MPI's to use again as soon as the request is
 * complete and freed, and some implementations give all requests that are complete at once the same
 * handle. So a request that is complete when its call returns is delivered there and then, and a
 * wrap is taken out of the table before MPI is asked whether its request is complete. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "wrap/wrap.h"

#define BUCKETS 256u

static struct {
    pthread_mutex_t lock; /* guards the lists, and not what wraps in none hold. Nothing is taken
                             inside */
    struct hth_wrap *requests[BUCKETS];
    struct hth_wrap *one_sided, *split, *orphans;
    uint64_t issued; /* one-sided operations so far */
    /* Relaxed: who looks for something pending has synchronised with who began it. */
    _Atomic unsigned n_requests, n_one_sided, n_split, n_orphans;
} pending = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Held while one-sided results are copied out, see hth_rma_end. Inside: what faults take. */
static pthread_mutex_t deliver_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned load(const _Atomic unsigned *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void add(_Atomic unsigned *n, int by)
{
    atomic_fetch_add_explicit(n, (unsigned)by, memory_order_relaxed);
}

/* --- requests --- */

static struct hth_wrap **bucket(MPI_Request request)
{
    uint64_t key = 0;
    memcpy(&key, &request, sizeof request);
    return &pending.requests[key * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

bool hth_pending_any(void)
{
    return load(&pending.n_requests) + load(&pending.n_orphans) > 0;
}

void hth_pending_put(struct hth_wrap *wrap)
{
    pthread_mutex_lock(&pending.lock);
    struct hth_wrap **head = bucket(wrap->request);
    wrap->next = *head;
    *head = wrap;
    pthread_mutex_unlock(&pending.lock);
    add(&pending.n_requests, 1);
}

struct hth_wrap *hth_pending_take(MPI_Request request)
{
    pthread_mutex_lock(&pending.lock);
    struct hth_wrap **link = bucket(request);
    while (*link != NULL && (*link)->request != request) {
        link = &(*link)->next;
    }
    struct hth_wrap *wrap = *link;
    if (wrap != NULL) {
        *link = wrap->next;
    }
    pthread_mutex_unlock(&pending.lock);
    if (wrap != NULL) {
        add(&pending.n_requests, -1);
    }
    return wrap;
}

static void end(struct hth_wrap *wrap)
{
    if (wrap->window != MPI_WIN_NULL) {
        add(&pending.n_one_sided, -1);
    }
    hth_wrap_free(wrap);
}

/* Receives can be cancelled. Other statuses are not looked at: MPICH leaves those of collectives,
 * and ROMIO that part of all, as they were. */
static bool is_cancelled(const struct hth_wrap *wrap, const MPI_Status *status)
{
    int cancelled = 0;
    if (wrap->pieces != NULL && (wrap->pieces->how & HTH_COUNTED) != 0) {
        PMPI_Test_cancelled(status, &cancelled);
    }
    return cancelled != 0;
}

void hth_pending_deliver(struct hth_wrap *wrap, const MPI_Status *status)
{
    if (!wrap->delivered && (wrap->active || !wrap->persistent) && !is_cancelled(wrap, status)) {
        hth_wrap_copy_out(wrap, status);
    }
    wrap->delivered = true;
}

void hth_pending_complete(struct hth_wrap *wrap, const MPI_Status *status)
{
    if (status != NULL) {
        hth_pending_deliver(wrap, status);
    }
    if (wrap->persistent) {
        wrap->active = false;
        hth_pending_put(wrap);
    } else {
        end(wrap);
    }
}

/* Freed requests that are complete by now. */
static void look_after_orphans(void)
{
    if (load(&pending.n_orphans) == 0) {
        return;
    }
    pthread_mutex_lock(&pending.lock);
    struct hth_wrap *orphans = pending.orphans;
    pending.orphans = NULL;
    pthread_mutex_unlock(&pending.lock);
    while (orphans != NULL) {
        struct hth_wrap *wrap = orphans;
        orphans = wrap->next;
        MPI_Status status = {0};
        int done = 0, rc = PMPI_Test(&wrap->request, &done, &status);
        add(&pending.n_orphans, -1);
        if (rc == MPI_SUCCESS && !done) {
            hth_pending_orphan(wrap);
            continue;
        }
        if (rc == MPI_SUCCESS) {
            hth_pending_deliver(wrap, &status);
        }
        if (wrap->persistent) {
            PMPI_Request_free(&wrap->request);
        }
        end(wrap);
    }
}

void hth_pending_orphan(struct hth_wrap *wrap)
{
    pthread_mutex_lock(&pending.lock);
    wrap->next = pending.orphans;
    pending.orphans = wrap;
    pthread_mutex_unlock(&pending.lock);
    add(&pending.n_orphans, 1);
}

int hth_wrap_pend(struct hth_wrap *wrap, int rc, const MPI_Request *request)
{
    MPI_Status status = {0};
    int done = 0;
    look_after_orphans();
    if (rc != MPI_SUCCESS || wrap->failed || (wrap->pieces == NULL && wrap->storage == NULL)) {
        hth_wrap_free(wrap);
        return rc;
    }
    wrap->request = *request;
    if (!wrap->persistent &&
        PMPI_Request_get_status(wrap->request, &done, &status) == MPI_SUCCESS && done) {
        hth_pending_deliver(wrap, &status);
        end(wrap);
        return rc;
    }
    hth_pending_put(wrap);
    return rc;
}

/* --- one-sided operations --- */

int hth_wrap_pend_rma(struct hth_wrap *wrap, int rc, MPI_Win window, int target,
                      const MPI_Request *request)
{
    if (rc != MPI_SUCCESS || wrap->failed || wrap->pieces == NULL) {
        hth_wrap_free(wrap);
        return rc;
    }
    wrap->window = window;
    wrap->target = target;
    pthread_mutex_lock(&pending.lock);
    wrap->issued = ++pending.issued;
    if (request == NULL) {
        wrap->next = pending.one_sided;
        pending.one_sided = wrap;
    }
    pthread_mutex_unlock(&pending.lock);
    add(&pending.n_one_sided, 1);
    return request != NULL ? hth_wrap_pend(wrap, rc, request) : rc;
}

uint64_t hth_rma_begin(void)
{
    if (load(&pending.n_one_sided) == 0) {
        return 0;
    }
    pthread_mutex_lock(&pending.lock);
    uint64_t until = pending.issued;
    pthread_mutex_unlock(&pending.lock);
    return until;
}

static bool is_complete(const struct hth_wrap *wrap, uint64_t until, MPI_Win window, int target)
{
    return wrap->window == window && wrap->issued <= until &&
           (target == HTH_ALL_TARGETS || wrap->target == target);
}

/* Move what is complete from a list to another. */
static struct hth_wrap *take_complete(struct hth_wrap **from, struct hth_wrap *to, uint64_t until,
                                      MPI_Win window, int target)
{
    while (*from != NULL) {
        struct hth_wrap *wrap = *from;
        if (is_complete(wrap, until, window, target)) {
            *from = wrap->next;
            wrap->next = to;
            to = wrap;
        } else {
            from = &wrap->next;
        }
    }
    return to;
}

static void deliver(uint64_t until, MPI_Win window, int target)
{
    struct hth_wrap *done = NULL, *requests = NULL;
    pthread_mutex_lock(&pending.lock);
    done = take_complete(&pending.one_sided, done, until, window, target);
    for (unsigned i = 0; i < BUCKETS; i++) {
        requests = take_complete(&pending.requests[i], requests, until, window, target);
    }
    pthread_mutex_unlock(&pending.lock);
    while (done != NULL) {
        struct hth_wrap *wrap = done;
        done = wrap->next;
        hth_wrap_copy_out(wrap, NULL);
        end(wrap);
    }
    while (requests != NULL) { /* the program has yet to wait for them */
        struct hth_wrap *wrap = requests;
        requests = wrap->next;
        if (!wrap->delivered) {
            hth_wrap_copy_out(wrap, NULL);
            wrap->delivered = true;
        }
        add(&pending.n_requests, -1);
        hth_pending_put(wrap);
    }
}

/* Two threads that synchronise one window at the same time may each find the other's results in the
 * lists. None may return before its own have been copied out; hence the lock, which is held while
 * shared memory is written: who serves those faults takes no lock of ours, and calls no wrapper. */
int hth_rma_end(uint64_t until, int rc, MPI_Win window, int target)
{
    if (until > 0 && rc == MPI_SUCCESS) {
        pthread_mutex_lock(&deliver_lock);
        deliver(until, window, target);
        pthread_mutex_unlock(&deliver_lock);
    }
    return rc;
}

/* --- split collectives --- */

int hth_wrap_pend_split(struct hth_wrap *wrap, int rc, MPI_File file, void *buffer)
{
    if (rc != MPI_SUCCESS || wrap->failed || wrap->pieces == NULL) {
        hth_wrap_free(wrap);
        return rc;
    }
    wrap->file = file;
    wrap->file_buffer = buffer;
    pthread_mutex_lock(&pending.lock);
    wrap->next = pending.split;
    pending.split = wrap;
    pthread_mutex_unlock(&pending.lock);
    add(&pending.n_split, 1);
    return rc;
}

struct hth_wrap *hth_split_take(MPI_File file)
{
    if (load(&pending.n_split) == 0) {
        return NULL;
    }
    pthread_mutex_lock(&pending.lock);
    struct hth_wrap **link = &pending.split;
    while (*link != NULL && (*link)->file != file) {
        link = &(*link)->next;
    }
    struct hth_wrap *wrap = *link;
    if (wrap != NULL) {
        *link = wrap->next;
        add(&pending.n_split, -1);
    }
    pthread_mutex_unlock(&pending.lock);
    return wrap;
}
