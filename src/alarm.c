/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarm.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "pool.h"
#include "protocol/coherence.h"
#include "spin.h"

struct alarm {
    uint64_t at_ns, page;
    uint32_t region;
};

static atomic_flag lock = ATOMIC_FLAG_INIT; /* guards the list and `ringing`. Nothing is taken
                                               inside; short; fault handlers take it */
static struct alarm *alarms;                /* in no order: there are few */
static uint32_t n_alarms, max_alarms;
static uint32_t ringing[HTH_REGIONS_MAX]; /* threads that are in `ring` for this region */
static _Atomic uint32_t n_set;            /* = n_alarms: so that a poll with none costs a load */

static void enter(void)
{
    hth_spin_lock(&lock);
}

static void leave(void)
{
    atomic_store_explicit(&n_set, n_alarms, memory_order_relaxed);
    hth_spin_unlock(&lock);
}

uint64_t hth_alarm_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void hth_alarm_set(uint64_t at_ns, uint32_t region, uint64_t page)
{
    enter();
    if (n_alarms == max_alarms) {
        uint32_t max = max_alarms == 0 ? 64 : 2 * max_alarms;
        struct alarm *grown = hth_pool_get(max * sizeof *grown);
        if (grown == NULL) {
            hth_die("out of memory for %u alarms", max);
        }
        if (max_alarms > 0) {
            memcpy(grown, alarms, n_alarms * sizeof *grown);
            hth_pool_put(alarms, max_alarms * sizeof *alarms);
        }
        alarms = grown;
        max_alarms = max;
    }
    alarms[n_alarms++] = (struct alarm){at_ns, page, region};
    leave();
}

static uint32_t take_all(uint32_t region)
{
    enter();
    for (uint32_t i = 0; i < n_alarms;) {
        if (alarms[i].region == region) {
            alarms[i] = alarms[--n_alarms];
        } else {
            i++;
        }
    }
    uint32_t busy = ringing[region];
    leave();
    return busy;
}

void hth_alarm_cancel(uint32_t region)
{
    /* Again after a ring has ended: it may have set another. */
    while (take_all(region) > 0) {
        sched_yield();
    }
}

uint64_t hth_alarm_next_ns(void)
{
    if (atomic_load_explicit(&n_set, memory_order_relaxed) == 0) {
        return UINT64_MAX;
    }
    uint64_t now = hth_alarm_now_ns(), next = UINT64_MAX;
    enter();
    for (uint32_t i = 0; i < n_alarms; i++) {
        next = alarms[i].at_ns < next ? alarms[i].at_ns : next;
    }
    leave();
    return next == UINT64_MAX ? next : next > now ? next - now : 0;
}

void hth_alarm_poll(void (*ring)(uint32_t region, uint64_t page))
{
    if (atomic_load_explicit(&n_set, memory_order_relaxed) == 0) {
        return;
    }
    uint64_t now = hth_alarm_now_ns();
    for (uint32_t i = 0;;) {
        struct alarm due = {0, 0, 0};
        enter();
        while (i < n_alarms && alarms[i].at_ns > now) {
            i++;
        }
        bool found = i < n_alarms;
        if (found) {
            due = alarms[i];
            alarms[i] = alarms[--n_alarms];
            ringing[due.region]++;
        }
        leave();
        if (!found) {
            return;
        }
        ring(due.region, due.page); /* without the lock: it may set another */
        enter();
        ringing[due.region]--;
        leave();
    }
}
