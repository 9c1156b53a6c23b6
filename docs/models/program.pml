/* SPDX-License-Identifier: BSD-3-Clause */
/* The program: threads that take a lock, acquire, load and store under it, release, give it back.
 * Included after the protocol, which has given fault, release, acquire, evict, forget, and
 * OUT_OF_DATE_BUT_TOLD(pe, page): may this copy be older than the last release?
 * A protocol that is RACY has given section, live_step and check_end instead of the latter. */

#ifndef RACY
inline load()                                /* byte b of page p into v */
{
    do
    :: atomic { view[AT(me, p)] != NONE -> v = frame[IN(me, p, b)]; break }
    :: view[AT(me, p)] == NONE -> fault(false)
    od
}

inline store()
{
    do
    :: atomic { view[AT(me, p)] == RW -> frame[IN(me, p, b)] = v; truth[p * W + b] = v; break }
    :: view[AT(me, p)] != RW -> fault(true)
    od
}

/* DESIGN 5, 3: after my release no PE maps older bytes, but such as are told. Mine are those that
 * the lock guards. */
inline check_released()
{
    for (q : 0 .. P - 1) {
        assert(frame[IN(HOME(q), q, b)] == truth[q * W + b]);
        for (s : 0 .. N - 1) {
            assert(s == HOME(q) || view[AT(s, q)] == NONE ||
                   frame[IN(s, q, b)] == truth[q * W + b] || OUT_OF_DATE_BUT_TOLD(s, q))
        }
    }
    q = 0;
    s = 0
}

/* DESIGN 5, 5: no update is lost. */
inline check_end()
{
    for (q : 0 .. P - 1) {
        for (i : 0 .. W - 1) {
            assert(frame[IN(HOME(q), q, i)] == truth[q * W + i]);
            for (s : 0 .. N - 1) {
                assert(s == HOME(q) || view[AT(s, q)] == NONE ||
                       frame[IN(s, q, i)] == truth[q * W + i] || OUT_OF_DATE_BUT_TOLD(s, q));
#ifdef HOT                                   /* a hot page stays dirty, with nothing to send */
                assert(state[AT(s, q)] != DIRTY || s == HOME(q) ||
                       frame[IN(s, q, i)] == twin[IN(s, q, i)])
#else
                assert(state[AT(s, q)] != DIRTY)
#endif
            }
        }
    }
    q = 0;
    s = 0;
    i = 0
}

inline section()                             /* one critical section */
{
    if
    :: atomic { !taken[0] -> taken[0] = true; b = 0 }
#if W > 1
    :: atomic { !taken[1] -> taken[1] = true; b = 1 }
#endif
    fi;
    acquire();
    p = 0;
    do
    :: p < P ->
        load();
        assert(v == truth[p * W + b]);
        if
        :: v = (v + 1) % MOD; store()
#ifdef ABA
        :: v = (v + 1) % MOD; store(); v = (v + MOD - 1) % MOD; store() /* back to what it was */
#endif
        :: skip
        fi;
        v = 0;
        p++
    :: else -> p = 0; break
    od;
    release();
    atomic {
        check_released();
        taken[b] = false;
        b = 0
    }
}

#endif

inline maybe_evict()
{
#ifdef EVICT
    if
    :: HOME(0) != me && state[AT(me, 0)] != INVALID -> p = 0; evict()
#if P > 1
    :: HOME(1) != me && state[AT(me, 1)] != INVALID -> p = 1; evict(); p = 0
#endif
    :: skip
    fi
#else
    skip
#endif
}

#ifdef FORGET
#define BARRIER(k) atomic { arrived++ }; arrived >= (k) * N

/* hth_memory_free of page 0, then the memory is dealt to home NEWHOME. One thread of each PE. */
inline free_page()
{
#ifndef BUG_NOPIN
    LOCK(release_lock[me]);
    pinned[me] = true;
    UNLOCK(release_lock[me]);
#endif
    release(); BARRIER(1); acquire();
    forget();                                /* which unpins */
    release(); BARRIER(2); acquire();
    atomic {
        if
        :: !dealt ->
            dealt = true;
            home[0] = NEWHOME;
            for (s : 0 .. N - 1) {
                assert(view[AT(s, 0)] == NONE)
            }
            s = 0;
            for (i : 0 .. W - 1) {
                frame[IN(NEWHOME, 0, i)] = 0;
                truth[i] = 0
            }
            i = 0
        :: else
        fi
    };
    BARRIER(3)
}
#endif

#ifdef LIVE
/* Progress: threads without end, that do what they like. All store to byte 0 of a page; with SAME,
 * what was there. */
#ifdef SAME
#define STORE_SOMETHING skip
#else
#define STORE_SOMETHING frame[IN(me, p, 0)] = 1 - frame[IN(me, p, 0)]
#endif

proctype thread(byte me; byte id)
{
    byte b, v, p, q, s, i, n, set, kept, list, put;
    PROTOCOL_LOCALS;
    do
    :: id == WATCH -> atomic { watched = true };
work:
        p = 0;
        if
#if P > 1
        :: p = 1
#endif
        :: skip
        fi;
        if
#ifdef RACY
        :: live_step()
#else
        :: view[AT(me, p)] == NONE -> fault(false)
        :: view[AT(me, p)] != RW -> fault(true)
        :: atomic { view[AT(me, p)] == RW -> STORE_SOMETHING }
        :: release()
        :: acquire()
#endif
#ifdef EVICT
        :: HOME(p) != me -> evict()
#endif
        fi;
        p = 0;
        if
        :: id == WATCH -> atomic { watched = false }
        :: else
        fi
    :: id != WATCH -> goto work
    od
}

ltl ends { [] (watched -> <> !watched) }
#else
proctype thread(byte me; byte ops)
{
    byte b, v, p, q, s, i, n, set, kept, list, put;
    PROTOCOL_LOCALS;
    do
    :: ops > 0 ->
        maybe_evict();
        section();
        ops--
    :: else -> break
    od;
#ifdef FORGET
    maybe_evict();
    free_page();
    section();
#endif
    atomic {
        finished++;
        if
        :: finished == THREADS -> check_end()
        :: else
        fi
    }
}

#ifdef TERMINATION
ltl ends { <> (finished == THREADS) }
#endif
#endif

#ifdef STRAY
/* A thread that knows nothing of the program's locks, and once evicts page 0 or fences: STRAY is
 * evict, acquire or release. */
proctype stray(byte me)
{
    byte b, v, p, q, s, i, n, set, kept, list, put;
    PROTOCOL_LOCALS;
    STRAY()
}
#endif

#ifdef LIVE
#define ARG(ops) k
#else
#define ARG(ops) ops
#endif

init
{
    byte k;
    atomic {
        for (k : 0 .. N * P * W - 1) {
            frame[k] = POISON
        }
        for (k : 0 .. P - 1) { /* hth_memory_malloc opens a home's share */
            view[AT(HOME(k), k)] = RW;
            frame[IN(HOME(k), k, 0)] = 0;
#if W > 1
            frame[IN(HOME(k), k, 1)] = 0;
#endif
        }
        START_HANDLERS;
        k = 0;
        do
        :: k < T0 -> run thread(0, ARG(OPS0)); k++
        :: k >= T0 && k < T0 + T1 -> run thread(1, ARG(OPS1)); k++
#if N > 2
        :: k >= T0 + T1 && k < THREADS -> run thread(2, ARG(OPS2)); k++
#endif
        :: else -> break
        od;
#ifdef STRAY
        run stray(1)
#endif
    }
}
