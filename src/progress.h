/* SPDX-License-Identifier: BSD-3-Clause */
/* The progress thread, and how a waiting thread waits. DESIGN 4 "Waiting".
 *
 * Somebody must handle the messages that come in: a program thread that waits does so while it
 * waits; when none does, the progress thread. Whoever has waited in vain for a while sleeps on this
 * PE's *bell*, a futex word in memory that the machine's PEs share; senders ring it. */
#ifndef HTH_PROGRESS_H
#define HTH_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "port.h"

struct hth_bell {
    _Alignas(64) _Atomic uint32_t rings; /* the futex word: goes up with each ring */
    _Atomic uint32_t
        messages;             /* messages that this machine's PEs have sent here, or are about to */
    _Atomic uint32_t taken;   /* of these, those received; changed by who polls */
    _Atomic uint32_t polling; /* threads of the PE that will look at messages by
                                 themselves, so that nobody need be woken */
    _Atomic uint32_t sleeping; /* threads of the PE in FUTEX_WAIT, or about to be */
    _Atomic uint32_t waiting;  /* of these, program threads: but for the progress thread */
    _Atomic uint32_t tested;   /* the self-test of windows on this PE is over */
};

/* What a long wait keeps of itself: zeroed at its beginning. */
struct hth_watch {
    uint64_t began_ns; /* since when the thread sleeps now and then; 0: not yet */
    uint64_t tell_ns;  /* how long it is to have lasted when the watchdog speaks next; 0: as
                          HEARTH_WATCHDOG says */
};

/* How this PE waits. */
struct hth_progress_config {
    struct hth_bell *bell; /* this PE's own; in shared memory, or private where there is none */
    bool all_here;         /* every PE is on this machine, so whoever sends rings */
    bool may_spin;         /* each waiting thread can have a core */
    bool own_core;         /* the progress thread can have one beside them */
    enum hth_progress_mode mode;
    int (*poll)(void);             /* handle messages; how many were handled; 0 too if another
                                      thread is at it */
    uint64_t (*alarm_in_ns)(void); /* when the next alarm is due; UINT64_MAX: none is set */
    bool (*unfinished)(void); /* are there sends that MPI may need us for? Then sleep but shortly */
    bool (*unaided)(void);    /* do sends end without us, but for a rare one? */
    void (*on_start)(void);   /* called first thing in the progress thread: placement */
    void (*idle)(void);       /* called by it now and then, every 10 ms at least */
    /* Called now and then by a thread that has waited for long, between two sleeps. May wait. */
    void (*watch)(const struct hth_wait *why, struct hth_watch *watch, uint64_t now_ns);
};

void hth_progress_configure(const struct hth_progress_config *config); /* before any waiting */
int hth_progress_start(void);                                          /* 0 or errno */
void hth_progress_stop(void);

/* Wait until ready(arg). See hth_port_wait. */
void hth_wait_until(bool (*ready)(void *), void *arg, const struct hth_wait *why);
/* As hth_wait_until, but once `no_sleep` says that the end is microseconds away, without sleeping.
 */
void hth_wait_until_soon(bool (*ready)(void *), void *arg, const struct hth_wait *why,
                         bool (*no_sleep)(void *));
/* As hth_wait_until, for a wait that is made of several: `watch` lives through all of them. */
void hth_wait_on(bool (*ready)(void *), void *arg, const struct hth_wait *why,
                 struct hth_watch *watch);

/* From here to hth_progress_kept this thread counts as one that polls: it will, before it leaves
 * the library. For work of a release, say, during which the progress thread, woken for a message,
 * would only take the core from it; where the progress thread has a core of its own this does
 * nothing. */
void hth_progress_promise(void);
void hth_progress_kept(void);

/* Does any program thread of this PE wait? */
bool hth_progress_waited_for(void);

/* Wake this PE's waiting program threads: something has changed. */
void hth_progress_notify(void);
/* An alarm has been set: whoever polls, or is just done with it, must look again; if nobody does,
 * the progress thread must wake. */
void hth_progress_alarm(void);
/* Another PE's bell: a message for it is about to be sent; it has been sent. Whoever waits there
 * may have it before the latter, and then knows that it was the last. */
void hth_bell_announce(struct hth_bell *bell);
void hth_bell_ring(struct hth_bell *bell);
/* This PE has received so many messages that were announced. By who polls, one at a time. */
void hth_progress_taken(uint32_t n);
/* Ring, and wake whoever sleeps there, also if somebody is polling: what changed is not a message.
 */
void hth_bell_wake(struct hth_bell *bell);
/* Likewise, where it is of interest to waiting program threads only: the progress thread sleeps on.
 * Waking it for nothing cost 10 us of a barrier of 4 PEs on 2 cores. */
void hth_bell_wake_waiting(struct hth_bell *bell);

#endif
