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

#include "alarm.h"

#define SPINS       1000 /* polls, some 100 us */
#define YIELDS      40
#define YIELDS_NS   200000 /* at most: on a busy core a yield may take milliseconds (Linux 6.18) */
#define EMPTY_POLLS 3      /* the first only pulls a message in */

/* A sleep is bounded by an eighth of the time since the thread began to wait, was last rung for, or
 * as the progress thread handled something, so that a long wait costs little and none becomes much
 * longer for it; and that within these. Since it was rung for: what rang may go on without a bell
 * (a message in pieces). On a virtual machine a timed sleep may take 30 us of a core.
 *
 * Naps: where something may happen that rings no bell. */
#define NAP_NS     50000
#define NAP_NS_MAX 1000000
/* Elsewhere, the safety net under a ring that is not about a message; and the most, which is what
 * the progress thread sleeps while it knows of nothing that needs it. */
#define SLEEP_NS     1000000
#define SLEEP_NS_MAX 10000000
#define SLACK_NS     1000 /* of the progress thread's timers: alarms are microseconds away */

static struct hth_progress_config config;
static pthread_t thread;
static _Atomic bool running, stopping;
static _Thread_local uint32_t promised; /* 1: between hth_progress_promise and _kept */

/* Who sleeps on a bell: program threads, and the progress thread. Each can be woken without the
 * other. */
enum { PROGRAM = 1, PROGRESS = 2 };

/* Until a point in time, in CLOCK_MONOTONIC, as FUTEX_WAIT_BITSET has it. */
static void futex_wait(struct hth_bell *bell, uint32_t seen, uint64_t until_ns, uint32_t who)
{
    struct timespec bound = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    syscall(SYS_futex, &bell->rings, FUTEX_WAIT_BITSET, seen, &bound, NULL, who);
}

static bool futex_wake(struct hth_bell *bell, uint32_t who)
{
    return syscall(SYS_futex, &bell->rings, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, who) > 0;
}

/* Wake somebody who will poll: waking the progress thread for what a waiting program thread could
 * see to costs a busy core two switches. */
static void wake_a_poller(struct hth_bell *bell)
{
    if (atomic_load(&bell->waiting) > 0 && futex_wake(bell, PROGRAM)) {
        return;
    }
    if (atomic_load(&bell->sleeping) > 0) {
        futex_wake(bell, PROGRESS);
    }
}

/* In those below and in sleep_on: the ringer raises `rings`, then looks for sleepers; the sleeper
 * counts itself, then lets the kernel compare `rings` with what it read before it
 * last looked. All sequentially consistent, so one of the two sees the other. */

void hth_bell_announce(struct hth_bell *bell)
{
    atomic_fetch_add(&bell->messages, 1);
}

void hth_bell_ring(struct hth_bell *bell)
{
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->polling) == 0) {
        wake_a_poller(bell);
    }
}

void hth_bell_wake(struct hth_bell *bell)
{
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->sleeping) > 0) {
        futex_wake(bell, PROGRAM | PROGRESS);
    }
}

void hth_bell_wake_waiting(struct hth_bell *bell)
{
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->waiting) > 0) {
        futex_wake(bell, PROGRAM);
    }
}

void hth_progress_notify(void)
{
    hth_bell_wake_waiting(config.bell);
}

void hth_progress_alarm(void)
{
    hth_bell_ring(config.bell);
}

static void sleep_on(struct hth_bell *bell, uint32_t seen, long ns, uint32_t who)
{
    atomic_fetch_add(&bell->sleeping, 1);
    futex_wait(bell, seen, hth_alarm_now_ns() + (uint64_t)ns, who);
    atomic_fetch_sub(&bell->sleeping, 1);
}

void hth_progress_taken(uint32_t n)
{
    atomic_fetch_add_explicit(&config.bell->taken, n, memory_order_relaxed);
}

static int poll(void)
{
    return config.poll != NULL ? config.poll() : 0;
}

static bool any_under_way(const struct hth_bell *bell)
{
    return atomic_load(&bell->messages) != atomic_load_explicit(&bell->taken, memory_order_relaxed);
}

static bool alarm_set(void)
{
    return config.alarm_in_ns != NULL && config.alarm_in_ns() != UINT64_MAX;
}

/* A waiting thread is about to leave: take what has come since it looked last, if it is here soon.
 * Then, since senders have relied on us until now, see that somebody looks at the rest. */
static void stop_polling(struct hth_bell *bell)
{
    for (unsigned i = 0; i < EMPTY_POLLS && any_under_way(bell); i++) {
        poll();
    }
    atomic_fetch_sub(&bell->polling, 1);
    /* Pairs with hth_bell_ring, after an alarm was set: it sees that nobody polls, or we see it. */
    atomic_thread_fence(memory_order_seq_cst);
    if (any_under_way(bell) || alarm_set()) {
        atomic_fetch_add(&bell->rings, 1); /* for who is just going to sleep */
        wake_a_poller(bell);
    }
}

void hth_progress_promise(void)
{
    if (!config.own_core && promised == 0) {
        atomic_fetch_add(&config.bell->polling, 1);
        promised = 1;
    }
}

void hth_progress_kept(void)
{
    if (promised != 0) {
        promised = 0;
        stop_polling(config.bell);
    }
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Poll and test `n` times, yielding in between or not; if so, not for long. */
static bool try_for(unsigned n, bool yield, bool (*ready)(void *), void *arg)
{
    uint64_t end_ns = yield ? hth_alarm_now_ns() + YIELDS_NS : 0;
    for (unsigned i = 0; i < n; i++) {
        poll();
        if (ready(arg)) {
            return true;
        }
        if (yield) {
            sched_yield();
            if (hth_alarm_now_ns() > end_ns) {
                return false;
            }
        } else {
            relax();
        }
    }
    return false;
}

/* May something happen that rings no bell? */
static bool unrung(void)
{
    return !config.all_here || (config.unfinished != NULL && config.unfinished());
}

static long clamp_ns(uint64_t ns, long least, long most)
{
    return ns < (uint64_t)least ? least : ns > (uint64_t)most ? most : (long)ns;
}

/* How long to sleep at most. *quiet_since_ns: 0 at first, and after a ring. */
static long bound_ns(bool nap, uint64_t *quiet_since_ns)
{
    uint64_t now = hth_alarm_now_ns();
    if (*quiet_since_ns == 0) {
        *quiet_since_ns = now;
    }
    uint64_t part = (now - *quiet_since_ns) / 8;
    return nap ? clamp_ns(part, NAP_NS, NAP_NS_MAX) : clamp_ns(part, SLEEP_NS, SLEEP_NS_MAX);
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
static bool sleep_once(bool (*ready)(void *), void *arg, uint64_t *quiet_since_ns)
{
    struct hth_bell *bell = config.bell;
    uint32_t first = atomic_load(&bell->rings);
    unsigned enough = EMPTY_POLLS;
    for (unsigned empty = 0; empty < enough;) {
        int handled = poll();
        if (ready(arg)) {
            return true;
        }
        empty = handled > 0 ? 0 : empty + 1;
        if (handled > 0 && config.may_spin) {
            enough = SPINS; /* a message seldom comes alone, and to be woken takes as long */
        }
        relax();
    }
    atomic_fetch_add(&bell->waiting, 1);
    atomic_fetch_sub(&bell->polling, 1 + promised);
    sleep_on(bell, first, until_alarm(bound_ns(unrung(), quiet_since_ns)), PROGRAM);
    atomic_fetch_add(&bell->polling, 1 + promised);
    atomic_fetch_sub(&bell->waiting, 1);
    if (atomic_load(&bell->rings) != first) {
        *quiet_since_ns = 0;
    }
    return false;
}

/* The part of a wait in which the thread sleeps now and then. */
static void wait_long(bool (*ready)(void *), void *arg, const struct hth_wait *why,
                      struct hth_watch *watch, bool (*no_sleep)(void *))
{
    uint64_t now = hth_alarm_now_ns();
    if (watch->began_ns == 0) {
        watch->began_ns = now;
    }
    uint64_t quiet_since_ns = watch->began_ns;
    for (bool done = false; !done; now = hth_alarm_now_ns()) {
        if (no_sleep != NULL && no_sleep(arg)) {
            done = try_for(YIELDS, true, ready, arg);
        } else {
            done = sleep_once(ready, arg, &quiet_since_ns);
        }
        if (!done && config.watch != NULL) {
            /* It may wait itself, and must be rung for then: this level of us does not poll. */
            atomic_fetch_add(&config.bell->waiting, 1);
            uint32_t mine = 1 + promised;
            promised = 0;
            atomic_fetch_sub(&config.bell->polling, mine);
            config.watch(why, watch, now);
            atomic_fetch_add(&config.bell->polling, mine);
            promised = mine - 1;
            atomic_fetch_sub(&config.bell->waiting, 1);
        }
    }
}

static void wait_for(bool (*ready)(void *), void *arg, const struct hth_wait *why,
                     struct hth_watch *watch, bool (*no_sleep)(void *))
{
    if (ready(arg)) {
        return;
    }
    struct hth_bell *bell = config.bell;
    atomic_fetch_add(&bell->polling, 1);
    /* What is the continuation of a long wait is not likely to end in microseconds. */
    bool done = watch->began_ns == 0 && ((config.may_spin && try_for(SPINS, false, ready, arg)) ||
                                         try_for(YIELDS, true, ready, arg));
    if (!done) {
        wait_long(ready, arg, why, watch, no_sleep);
    }
    stop_polling(bell);
}

void hth_wait_until_soon(bool (*ready)(void *), void *arg, const struct hth_wait *why,
                         bool (*no_sleep)(void *))
{
    struct hth_watch watch = {0, 0};
    wait_for(ready, arg, why, &watch, no_sleep);
}

void hth_wait_until(bool (*ready)(void *), void *arg, const struct hth_wait *why)
{
    hth_wait_until_soon(ready, arg, why, NULL);
}

void hth_wait_on(bool (*ready)(void *), void *arg, const struct hth_wait *why,
                 struct hth_watch *watch)
{
    wait_for(ready, arg, why, watch, NULL);
}

bool hth_progress_waited_for(void)
{
    /* A thread that goes to sleep counts itself as waiting first. */
    return atomic_load(&config.bell->polling) > 0 || atomic_load(&config.bell->waiting) > 0;
}

/* May MPI need us for what was sent and has not all gone, without a ring? */
static bool may_go_in_pieces(void)
{
    return config.poll != NULL && !(config.unaided != NULL && config.unaided());
}

static void serve_once(void)
{
    static uint64_t quiet_since_ns; /* these two by the progress thread alone */
    static bool was_unrung;
    struct hth_bell *bell = config.bell;
    uint32_t seen = atomic_load(&bell->rings);
    unsigned empty = 0;
    while (empty < EMPTY_POLLS && atomic_load(&bell->polling) == 0) {
        int handled = poll();
        empty = handled > 0 ? 0 : empty + 1;
        if (empty == 0) {
            seen = atomic_load(&bell->rings);
            quiet_since_ns = 0;
        }
    }
    if (unrung() != was_unrung) { /* a program thread has sent something, and computes */
        was_unrung = !was_unrung;
        quiet_since_ns = 0;
    }
    bool nap = config.mode == HTH_PROGRESS_POLL || unrung();
    bool pieces = !nap && may_go_in_pieces();
    bool rests = !nap && !pieces && !any_under_way(bell);
    long bound = rests ? SLEEP_NS_MAX : bound_ns(nap, &quiet_since_ns);
    /* Who polls rings the alarms too: waking for them would be waking in vain until then. */
    sleep_on(bell, seen, atomic_load(&bell->polling) == 0 ? until_alarm(bound) : bound, PROGRESS);
    if (atomic_load(&bell->rings) != seen && (pieces || any_under_way(bell))) {
        quiet_since_ns = 0;
    }
    if (config.idle != NULL) {
        config.idle();
    }
}

static void *run(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "hearth-progress"); /* for top, gdb and our own tests */
    prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
    if (config.on_start != NULL) {
        config.on_start();
    }
    while (!atomic_load_explicit(&stopping, memory_order_acquire)) {
        if (config.mode == HTH_PROGRESS_SPIN) {
            poll();
            if (config.own_core) {
                relax();
            } else {
                sched_yield(); /* asked to spin where there is no core for it */
            }
            if (config.idle != NULL) {
                config.idle();
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
