/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls that synchronise. See api.c on arguments in shared memory. */
#include <hearth.h>

#include "api.h"
#include "fault.h"
#include "log.h"
#include "progress.h"
#include "net/comm.h"
#include "region.h"
#include "sync.h"

_Thread_local struct hth_calling hth_calling;

int hth_check_up(const char *call)
{
    hth_calling = (struct hth_calling){call, NULL};
    return hth_job.up
               ? HEARTH_OK
               : hth_error(HEARTH_ESTATE, "%s outside of hearth_init ... hearth_finalize", call);
}

void hth_full_barrier(void)
{
    hth_progress_promise();
    hth_coherence_release(&hth_job.coherence);
    hth_comm_barrier();
    hth_progress_kept();
    hth_coherence_acquire(&hth_job.coherence);
}

void hth_settling_barrier(void)
{
    hth_full_barrier();
    hth_comm_barrier();
}

int hearth_barrier_all(void)
{
    int rc = hth_check_up("hearth_barrier_all");
    if (rc == HEARTH_OK) {
        hth_enter();
        hth_full_barrier();
        hth_leave();
    }
    return rc;
}

int hearth_acquire(void)
{
    int rc = hth_check_up("hearth_acquire");
    if (rc == HEARTH_OK) {
        hth_enter();
        hth_coherence_acquire(&hth_job.coherence);
        hth_leave();
    }
    return rc;
}

int hearth_release(void)
{
    int rc = hth_check_up("hearth_release");
    if (rc == HEARTH_OK) {
        hth_enter();
        hth_coherence_release(&hth_job.coherence);
        hth_leave();
    }
    return rc;
}

int hth_check_handle(const char *call, const void *holder)
{
    int rc = hth_check_up(call);
    hth_calling.about = holder;
    return rc == HEARTH_OK && holder == NULL ? hth_error(HEARTH_EINVAL, "%s: NULL", call) : rc;
}

int hearth_lock_init(struct hearth_lock *lock)
{
    uint64_t handle = 0;
    int rc = hth_check_handle("hearth_lock_init", lock);
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_enter();
    rc = hth_lock_create(&handle);
    hth_leave();
    if (rc == HEARTH_OK) {
        lock->handle = handle;
    }
    return rc;
}

int hearth_lock_acquire(const struct hearth_lock *lock)
{
    int rc = hth_check_handle("hearth_lock_acquire", lock);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = lock->handle;
    hth_enter();
    rc = hth_lock_take(handle);
    if (rc == HEARTH_OK) {
        hth_coherence_acquire(&hth_job.coherence);
    }
    hth_leave();
    return rc;
}

int hearth_lock_try(const struct hearth_lock *lock)
{
    int rc = hth_check_handle("hearth_lock_try", lock);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = lock->handle;
    hth_enter();
    rc = hth_lock_take_now(handle);
    if (rc == HEARTH_OK) {
        hth_coherence_acquire(&hth_job.coherence);
    }
    hth_leave();
    return rc;
}

int hearth_lock_release(const struct hearth_lock *lock)
{
    int rc = hth_check_handle("hearth_lock_release", lock);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = lock->handle;
    hth_enter();
    rc = hth_lock_check_held(handle);
    if (rc == HEARTH_OK) {
        hth_coherence_release(&hth_job.coherence);
        hth_lock_give(handle);
    }
    hth_leave();
    return rc;
}

int hearth_lock_destroy(struct hearth_lock *lock)
{
    int rc = hth_check_handle("hearth_lock_destroy", lock);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = lock->handle;
    hth_enter();
    rc = hth_lock_end(handle);
    hth_leave();
    if (rc == HEARTH_OK) {
        lock->handle = 0;
    }
    return rc;
}

int hearth_counter_init(struct hearth_counter *counter, int64_t value)
{
    uint64_t handle = 0;
    int rc = hth_check_handle("hearth_counter_init", counter);
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_enter();
    rc = hth_counter_create(value, &handle);
    hth_leave();
    if (rc == HEARTH_OK) {
        counter->handle = handle;
    }
    return rc;
}

int64_t hearth_counter_fetch_add(const struct hearth_counter *counter, int64_t addend)
{
    if (hth_check_handle("hearth_counter_fetch_add", counter) != HEARTH_OK) {
        return HEARTH_COUNTER_INVALID;
    }
    uint64_t handle = counter->handle;
    int64_t old;
    hth_enter();
    int rc = hth_counter_add(handle, addend, &old);
    hth_leave();
    return rc == HEARTH_OK ? old : HEARTH_COUNTER_INVALID;
}

int64_t hearth_counter_load(const struct hearth_counter *counter)
{
    if (hth_check_handle("hearth_counter_load", counter) != HEARTH_OK) {
        return HEARTH_COUNTER_INVALID;
    }
    uint64_t handle = counter->handle;
    int64_t value;
    hth_enter();
    int rc = hth_counter_add(handle, 0, &value);
    hth_leave();
    return rc == HEARTH_OK ? value : HEARTH_COUNTER_INVALID;
}

int hearth_counter_store(const struct hearth_counter *counter, int64_t value)
{
    int rc = hth_check_handle("hearth_counter_store", counter);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = counter->handle;
    hth_enter();
    rc = hth_counter_write(handle, value);
    hth_leave();
    return rc;
}

int hearth_counter_destroy(struct hearth_counter *counter)
{
    int rc = hth_check_handle("hearth_counter_destroy", counter);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t handle = counter->handle;
    hth_enter();
    rc = hth_counter_end(handle);
    hth_leave();
    if (rc == HEARTH_OK) {
        counter->handle = 0;
    }
    return rc;
}
