/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPINS        200 /* polls, some 20 us */
#define YIELDS       40
#define NAP_NS       50000    /* where nobody rings */
#define SLEEP_NS_MAX 1000000  /* the safety net under a ring that is not about a message */
#define IDLE_NS_MAX  10000000 /* the progress thread's */
#define SLACK_NS     1000     /* of the progress thread's timers: alarms are microseconds away */
#define EMPTY_POLLS  3        /* the first only pulls a message in */

static struct hth_progress_config config;
static pthread_t thread;
static _Atomic bool running, stopping;
static _Atomic uint32_t sleepers; /* program threads in FUTEX_WAIT, or about to be: what
                                     hth_progress_notify wakes. Pairs with its load: see there */

static void futex_wait(struct hth_bell *bell, uint32_t seen, long ns)
{
    struct timespec bound = {ns / 1000000000, ns % 1000000000};
    syscall(SYS_futex, &bell->rings, FUTEX_WAIT, seen, &bound, NULL, 0);
}

static void futex_wake(struct hth_bell *bell)
{
    syscall(SYS_futex, &bell->rings, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* In the three below and in sleep_on: the ringer raises `rings`, then looks for sleepers; the
 * sleeper counts itself, then lets the kernel compare `rings` with what it read before it
 * last looked. All sequentially consistent, so one of the two sees the other. */

void hth_bell_ring(struct hth_bell *bell)
{
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->polling) == 0 && atomic_load(&bell->sleeping) > 0) {
        futex_wake(bell);
    }
}

void hth_bell_wake(struct hth_bell *bell)
{
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->sleeping) > 0) {
        futex_wake(bell);
    }
}

void hth_progress_notify(void)
{
    struct hth_bell *bell = config.bell;
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&sleepers) > 0) {
        futex_wake(bell);
    }
}

void hth_progress_alarm(void)
{
    hth_bell_ring(config.bell);
}

static void sleep_on(struct hth_bell *bell, uint32_t seen, long ns)
{
    atomic_fetch_add(&bell->sleeping, 1);
    futex_wait(bell, seen, ns);
    atomic_fetch_sub(&bell->sleeping, 1);
}

static int poll(void)
{
    return config.poll != NULL ? config.poll() : 0;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Poll. What comes back is the bell's count before, or, while an alarm is set, one that it cannot
 * have: who leaves then wakes the progress thread to see to it. */
static uint32_t look(int *handled_out)
{
    uint32_t seen = atomic_load(&config.bell->rings);
    int handled = poll();
    if (handled_out != NULL) {
        *handled_out = handled % HTH_POLL_ALARM;
    }
    return handled >= HTH_POLL_ALARM ? seen - 1 : seen;
}

/* Poll and test `n` times, yielding in between or not. Sets *seen to the bell before the last. */
static bool try_for(unsigned n, bool yield, bool (*ready)(void *), void *arg, uint32_t *seen)
{
    for (unsigned i = 0; i < n; i++) {
        *seen = look(NULL);
        if (ready(arg)) {
            return true;
        }
        if (yield) {
            sched_yield();
        } else {
            relax();
        }
    }
    return false;
}

/* May something happen that rings no bell? */
static bool short_sleep(void)
{
    return !config.all_here || (config.unfinished != NULL && config.unfinished());
}

/* The least of a bound and the time to the next alarm. An alarm is slept for, not yielded for:
 * who had yielded until an alarm did not get a busy core back for milliseconds (Linux 6.18,
 * docs/performance.md). */
static long until_alarm(long ns)
{
    uint64_t in_ns = config.alarm_in_ns != NULL ? config.alarm_in_ns() : UINT64_MAX;
    return in_ns < (uint64_t)ns ? (long)in_ns : ns;
}

/* Sleep once, having seen enough empty polls since waking. True: ready. */
static bool sleep_once(bool (*ready)(void *), void *arg, uint32_t *seen)
{
    struct hth_bell *bell = config.bell;
    uint32_t first = atomic_load(&bell->rings);
    for (unsigned empty = 0; empty < EMPTY_POLLS;) {
        int handled;
        *seen = look(&handled);
        if (ready(arg)) {
            return true;
        }
        empty = handled > 0 ? 0 : empty + 1;
    }
    atomic_fetch_add(&sleepers, 1);
    atomic_fetch_sub(&bell->polling, 1);
    sleep_on(bell, first, until_alarm(short_sleep() ? NAP_NS : SLEEP_NS_MAX));
    atomic_fetch_add(&bell->polling, 1);
    atomic_fetch_sub(&sleepers, 1);
    return false;
}

void hth_wait_until_soon(bool (*ready)(void *), void *arg, const struct hth_wait *why,
                         bool (*no_sleep)(void *))
{
    (void)why;
    if (ready(arg)) {
        return;
    }
    struct hth_bell *bell = config.bell;
    uint32_t seen = 0;
    atomic_fetch_add(&bell->polling, 1);
    bool done = (config.may_spin && try_for(SPINS, false, ready, arg, &seen)) ||
                try_for(YIELDS, true, ready, arg, &seen);
    while (!done) {
        if (no_sleep != NULL && no_sleep(arg)) {
            done = try_for(YIELDS, true, ready, arg, &seen);
        } else {
            done = sleep_once(ready, arg, &seen);
        }
    }
    atomic_fetch_sub(&bell->polling, 1);
    /* A message may have come since our last look, and its sender relied on us: hand it over. */
    if (atomic_load(&bell->rings) != seen) {
        hth_bell_wake(bell); /* raises it too, for a progress thread that is just going to sleep */
    }
}

void hth_wait_until(bool (*ready)(void *), void *arg, const struct hth_wait *why)
{
    hth_wait_until_soon(ready, arg, why, NULL);
}

static void serve_once(void)
{
    struct hth_bell *bell = config.bell;
    uint32_t seen = atomic_load(&bell->rings);
    unsigned empty = 0;
    while (empty < EMPTY_POLLS && atomic_load(&bell->polling) == 0) {
        int handled = poll() % HTH_POLL_ALARM;
        empty = handled > 0 ? 0 : empty + 1;
        if (empty == 0) {
            seen = atomic_load(&bell->rings);
        }
    }
    long bound = config.mode == HTH_PROGRESS_POLL || short_sleep() ? NAP_NS : IDLE_NS_MAX;
    /* Who polls rings the alarms too: waking for them would be waking in vain until then. */
    sleep_on(bell, seen, atomic_load(&bell->polling) == 0 ? until_alarm(bound) : bound);
}

static void *run(void *unused)
{
    (void)unused;
    prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
    if (config.on_start != NULL) {
        config.on_start();
    }
    while (!atomic_load_explicit(&stopping, memory_order_acquire)) {
        if (config.mode == HTH_PROGRESS_SPIN) {
            poll();
            if (config.may_spin) {
                relax();
            } else {
                sched_yield(); /* asked to spin where there is no core for it */
            }
        } else {
            serve_once();
        }
    }
    return NULL;
}

void hth_progress_configure(const struct hth_progress_config *wanted)
{
    config = *wanted;
}

int hth_progress_start(void)
{
    /* The program's signals are for the program's threads. SIGSEGV and its kin stay open: a fault
     * in the library must be reported, not kill us silently. */
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    atomic_store(&stopping, false);
    int rc = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    atomic_store(&running, rc == 0);
    return rc;
}

void hth_progress_stop(void)
{
    if (!atomic_exchange(&running, false)) {
        return;
    }
    atomic_store_explicit(&stopping, true, memory_order_release);
    hth_bell_wake(config.bell);
    pthread_join(thread, NULL);
}
