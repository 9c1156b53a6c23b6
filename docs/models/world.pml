/* SPDX-License-Identifier: BSD-3-Clause */
/* What the protocols stand on: PEs, pages, locks, the dirty list. Included before the protocol;
 * program.pml comes after it. README.md says which function of src/ each inline stands for.
 *
 * Sizes, all by -D: N PEs; T0..T2 threads of PE 0..2; OPS0..OPS2 critical sections of each of their
 * threads; P pages of W bytes; MOD values of a byte; BATCH pages that a release holds at once.
 * Page 0 is homed at PE 0, page 1 at PE HOME1; with FORGET, page 0 moves to PE NEWHOME (1) in
 * mid-run. */
#ifndef N
#define N 2
#endif
#ifndef T0
#define T0 1
#endif
#ifndef T1
#define T1 1
#endif
#ifndef T2
#define T2 0
#endif
#ifndef OPS0
#define OPS0 1
#endif
#ifndef OPS1
#define OPS1 1
#endif
#ifndef OPS2
#define OPS2 1
#endif
#ifndef P
#define P 1
#endif
#ifndef W
#define W 2
#endif
#ifndef MOD
#define MOD 3
#endif
#ifndef BATCH
#define BATCH 64
#endif
#ifndef HOME1
#define HOME1 0
#endif

#define THREADS  (T0 + T1 + T2)
#define BIT(i)   (1 << (i))
#define HAS(set, i) (((set) >> (i)) & 1)
#define AT(pe, p)   ((pe) * P + (p))         /* an entry of a PE's page table */
#define IN(pe, p, i) (AT(pe, p) * W + (i))   /* a byte of a PE's frame */

/* A byte of a frame that nobody may look at. */
#define POISON 9

/* Views. */
#define NONE 0
#define R    1
#define RW   2

/* Page states, numbered as in src/protocol/page.h: 0 is EXCLUSIVE at the home, INVALID elsewhere. */
#define INVALID   0
#define CLEAN     1
#define DIRTY     2
#define EXCLUSIVE 0
#define TRACKED   3
#define WRITTEN   4

#ifdef FORGET
#ifndef NEWHOME
#define NEWHOME 1
#endif
byte home[P];
#define HOME(p) home[p]
#elif P == 1
#define HOME(p) 0
#else
#define HOME(p) ((p) * HOME1)
#endif

/* --- locks: those that hth_port_lock and hth_port_short_lock take --- */

#ifdef LIVE
/* Progress is promised only if no thread is passed over for ever: first come, first served. */
#define LOCKS(name, n) chan name[n] = [THREADS + P + 1] of { byte }
#define LOCK(x)   x!_pid; x?[eval(_pid)]
#define UNLOCK(x) x?_
#define HELD(x)   nempty(x)
#define FREE(x)   empty(x)
#define GRAB(x)   x!_pid
#else
#define LOCKS(name, n) bool name[n]
#define LOCK(x)   atomic { !x -> x = true }
#define UNLOCK(x) x = false
#define HELD(x)   x
#define FREE(x)   !x
#define GRAB(x)   x = true
#endif

byte frame[N * P * W];
byte twin[N * P * W];
byte view[N * P];
byte state[N * P];
LOCKS(busy, N * P);
LOCKS(release_lock, N);

/* --- the dirty list: linked, as in page.c --- */

byte head_plus_1[N];
byte next_plus_1[N * P];
byte listed[N];                              /* a set of pages */

inline dirty_add(pe, page)                   /* inside atomic */
{
    if
    :: !HAS(listed[pe], page) ->
        listed[pe] = listed[pe] | BIT(page);
        next_plus_1[AT(pe, page)] = head_plus_1[pe];
        head_plus_1[pe] = page + 1
    :: else
    fi
}

/* Detach the list; then take up to BATCH pages of it into `set`. */
inline dirty_detach()
{
    atomic {
        list = head_plus_1[me];
        head_plus_1[me] = 0
#ifdef BUG_UNLISTEARLY
        ; listed[me] = 0
#endif
    }
}

inline dirty_take()
{
    atomic {
        set = 0;
        n = 0;
        do
        :: list != 0 && n < BATCH ->
            q = list - 1;
            list = next_plus_1[AT(me, q)];
            next_plus_1[AT(me, q)] = 0;
            listed[me] = listed[me] & ~BIT(q);
            set = set | BIT(q);
            n++
        :: else -> break
        od;
        q = 0;
        n = 0
    }
}

inline dirty_more()                          /* what was written meanwhile is for the next release */
{
#ifdef BUG_NODETACH
    if
    :: list == 0 -> dirty_detach()
    :: else
    fi
#else
    skip
#endif
}

/* --- frames --- */

inline make_twin(page)                       /* inside atomic: the frame is still */
{
    for (i : 0 .. W - 1) {
        twin[IN(me, page, i)] = frame[IN(me, page, i)]
    }
    i = 0
}

inline end_twin(page)
{
    for (i : 0 .. W - 1) {
        twin[IN(me, page, i)] = 0
    }
    i = 0
}

inline spoil(page)                           /* no copy any more */
{
    for (i : 0 .. W - 1) {
        frame[IN(me, page, i)] = POISON;
        twin[IN(me, page, i)] = 0
    }
    i = 0
}

/* --- the oracle: what a data-race-free program must read, and a lock for byte i of every page --- */

byte truth[P * W];
bool taken[W];
byte finished = 0;
#ifdef FORGET
byte arrived = 0;
bool dealt = false;
bool pinned[N];                              /* page 0: hth_coherence_pin; guarded by release_lock */
#define PINNED(pe, page) ((page) == 0 && pinned[pe])
#else
#define PINNED(pe, page) false
#endif
#ifdef LIVE
bool watched = false;                        /* thread WATCH is in a fault, release, acquire, eviction */
#endif
