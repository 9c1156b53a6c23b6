/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls for barriers of some, condition variables and semaphores. See api.c on arguments
 * in shared memory. */
#include <hearth.h>

#include "api.h"
#include "fault.h"
#include "log.h"
#include "region.h"
#include "sync.h"

/* `handle` is the member of the caller's struct, maybe in shared memory. */
static int create(enum hth_object object, uint32_t value, uint64_t *handle)
{
    uint64_t made = 0;
    hth_enter();
    int rc = hth_object_create(object, value, &made);
    hth_leave();
    if (rc == HEARTH_OK) {
        *handle = made;
    }
    return rc;
}

static int destroy(enum hth_object object, uint32_t n, uint64_t *handle)
{
    uint64_t value = *handle;
    hth_enter();
    int rc = hth_object_end(object, value, n);
    hth_leave();
    if (rc == HEARTH_OK) {
        *handle = 0;
    }
    return rc;
}

/* --- barriers --- */

static int check_n(const char *call, uint32_t n)
{
    return n > 0 ? HEARTH_OK
                 : hth_error(HEARTH_EINVAL, "%s: a barrier for 0: it must be for at least 1", call);
}

int hearth_barrier_init(struct hearth_barrier *barrier, uint32_t n)
{
    const char *call = "hearth_barrier_init";
    int rc = hth_check_handle(call, barrier);
    rc = rc != HEARTH_OK ? rc : check_n(call, n);
    rc = rc != HEARTH_OK ? rc : create(HTH_BARRIER, 0, &barrier->handle);
    if (rc == HEARTH_OK) {
        barrier->n = n;
    }
    return rc;
}

int hearth_barrier_wait(const struct hearth_barrier *barrier)
{
    const char *call = "hearth_barrier_wait";
    int rc = hth_check_handle(call, barrier);
    if (rc != HEARTH_OK) {
        return rc;
    }
    struct hearth_barrier copy = *barrier;
    rc = check_n(call, copy.n);
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_enter();
    hth_coherence_release(&hth_job.coherence);
    rc = hth_barrier_pass(copy.handle, copy.n);
    if (rc == HEARTH_OK) {
        hth_coherence_acquire(&hth_job.coherence);
    }
    hth_leave();
    return rc;
}

int hearth_barrier_destroy(struct hearth_barrier *barrier)
{
    const char *call = "hearth_barrier_destroy";
    int rc = hth_check_handle(call, barrier);
    if (rc != HEARTH_OK) {
        return rc;
    }
    return destroy(HTH_BARRIER, barrier->n, &barrier->handle);
}

/* --- condition variables --- */

int hearth_cond_init(struct hearth_cond *cond)
{
    int rc = hth_check_handle("hearth_cond_init", cond);
    return rc != HEARTH_OK ? rc : create(HTH_COND, 0, &cond->handle);
}

/* The condition variable is looked at before the lock: once that is being released, it must be. */
static int wait_without(uint64_t cond, uint64_t lock)
{
    int rc = hth_object_check(HTH_COND, cond);
    rc = rc != HEARTH_OK ? rc : hth_lock_check_held(lock);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint32_t ticket = hth_cond_line_up(cond);
    hth_coherence_release(&hth_job.coherence);
    hth_lock_give(lock);
    hth_cond_stay(cond, ticket);
    rc = hth_lock_take(lock);
    if (rc == HEARTH_OK) {
        hth_coherence_acquire(&hth_job.coherence);
    }
    return rc;
}

int hearth_cond_wait(const struct hearth_cond *cond, const struct hearth_lock *lock)
{
    const char *call = "hearth_cond_wait";
    int rc = hth_check_handle(call, lock);
    rc = rc != HEARTH_OK ? rc : hth_check_handle(call, cond);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t cond_handle = cond->handle, lock_handle = lock->handle;
    hth_enter();
    rc = wait_without(cond_handle, lock_handle);
    hth_leave();
    return rc;
}

static int wake(const char *call, const struct hearth_cond *cond, uint32_t most)
{
    int rc = hth_check_handle(call, cond);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = cond->handle;
    hth_enter();
    rc = hth_cond_wake(handle, most);
    hth_leave();
    return rc;
}

int hearth_cond_signal(const struct hearth_cond *cond)
{
    return wake("hearth_cond_signal", cond, 1);
}

int hearth_cond_broadcast(const struct hearth_cond *cond)
{
    return wake("hearth_cond_broadcast", cond, UINT32_MAX);
}

int hearth_cond_destroy(struct hearth_cond *cond)
{
    int rc = hth_check_handle("hearth_cond_destroy", cond);
    return rc != HEARTH_OK ? rc : destroy(HTH_COND, 1, &cond->handle);
}

/* --- semaphores --- */

int hearth_sema_init(struct hearth_sema *sema, uint32_t permits)
{
    int rc = hth_check_handle("hearth_sema_init", sema);
    if (rc == HEARTH_OK && permits > HEARTH_SEMA_MAX) {
        rc = hth_error(HEARTH_EINVAL, "hearth_sema_init: %u permits, more than %u", permits,
                       HEARTH_SEMA_MAX);
    }
    return rc != HEARTH_OK ? rc : create(HTH_SEMA, permits, &sema->handle);
}

int hearth_sema_post(const struct hearth_sema *sema)
{
    int rc = hth_check_handle("hearth_sema_post", sema);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = sema->handle;
    hth_enter();
    hth_coherence_release(&hth_job.coherence);
    rc = hth_sema_add(handle);
    hth_leave();
    return rc;
}

static int take(const char *call, const struct hearth_sema *sema, int (*how)(uint64_t))
{
    int rc = hth_check_handle(call, sema);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = sema->handle;
    hth_enter();
    rc = how(handle);
    if (rc == HEARTH_OK) {
        hth_coherence_acquire(&hth_job.coherence);
    }
    hth_leave();
    return rc;
}

int hearth_sema_wait(const struct hearth_sema *sema)
{
    return take("hearth_sema_wait", sema, hth_sema_take);
}

int hearth_sema_try(const struct hearth_sema *sema)
{
    return take("hearth_sema_try", sema, hth_sema_take_now);
}

int hearth_sema_destroy(struct hearth_sema *sema)
{
    int rc = hth_check_handle("hearth_sema_destroy", sema);
    return rc != HEARTH_OK ? rc : destroy(HTH_SEMA, 1, &sema->handle);
}
