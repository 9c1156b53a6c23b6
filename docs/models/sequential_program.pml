/* SPDX-License-Identifier: BSD-3-Clause */
/* The program of the sequential protocol: any load or store whenever it likes, races and all.
 * Included by sequential.pml; program.pml has the threads. */

#define LOAD  0
#define STORE 1
#define ZEROS 2

#ifdef LIVE
#define ACCESS skip
#else
#define ACCESS \
    assert(TRUE_BYTE(b)); \
    truth[p * W + b] = (truth[p * W + b] + v) % MOD; \
    frame[IN(me, p, b)] = truth[p * W + b]
#endif

#define MAY (view[ME(p)] == RW || (view[ME(p)] == R && v == LOAD))

inline access()                              /* v: what to do to byte b of page p */
{
    do
    :: atomic { v != ZEROS && MAY -> ACCESS; USED; break }
    :: v != ZEROS && !MAY -> fault((v != LOAD))
#ifdef ZERO
    :: v == ZEROS && state[ME(p)] != EXCLUSIVE -> fault(true)
    /* hth_sequential_zero, through the alias, whatever its view. */
#ifdef BUG_ZEROUNGUARDED
    :: atomic { v == ZEROS && FREE(page_lock[ME(p)]) ->
#else
    :: atomic { v == ZEROS && state[ME(p)] == EXCLUSIVE && FREE(page_lock[ME(p)]) ->
#endif
        frame[IN(me, p, b)] = 0;
        truth[p * W + b] = 0;
        break
    }
#endif
    od
}

inline choose()                              /* inside atomic */
{
    if
    :: p = 0
#if P > 1
    :: p = 1
#endif
    fi;
    if
    :: v = LOAD
    :: v = STORE
#ifdef ZERO
    :: HOME(p) == me -> v = ZEROS
#endif
    fi
}

inline section()
{
    atomic {
        choose();
#if W > 1
        if
        :: b = 0
        :: b = 1
        fi
#endif
    };
    access();
    atomic { p = 0; b = 0; v = 0 }
}

/* Progress: an access, if a page is held until it is made; else a fault, however often it takes. */
inline live_step()
{
    atomic { choose() };
#ifdef PROMPT
    access();
#else
    if
    :: !MAY -> fault((v != LOAD))
    :: else
    fi;
#endif
    v = 0
}

inline release() { skip }
inline acquire() { skip }

#ifdef FORGET
#define FORGET_HOME home_known[ME(0)] = false; pinned[me] = false
#else
#define FORGET_HOME skip
#endif

inline forget()                              /* page 0 */
{
    LOCK(release_lock[me]);
    view[ME(0)] = NONE;
    atomic {
        LOCK(home_lock[me]);
        if
        :: HOME(0) == me ->
            assert(!serving[0] && len(queue[0]) == 0);
#ifndef BUG_FORGETLEDGER
            owner_plus_1[0] = 0;
            copyset[0] = 0;
            now_pe[0] = 0;
            now_write[0] = false;
            now_copy[0] = false
#endif
        :: else
        fi;
        UNLOCK(home_lock[me])
    };
    atomic {
        deferred[ME(0)] = 0;
        state[ME(0)] = INVALID;
        spoil(0)
    };
    FORGET_HOME;
    UNLOCK(release_lock[me])
}

/* All threads have ended: the bytes are where the ledger says, and nobody is owed anything. */
inline check_end()
{
    for (q : 0 .. P - 1) {
        assert(!serving[q] && len(queue[q]) == 0 && n_drops[q] == 0 && !waits_for_owner[q]);
        s = (owner_plus_1[q] != 0 -> owner_plus_1[q] - 1 : HOME(q));
        for (i : 0 .. W - 1) {
            assert(frame[IN(s, q, i)] == truth[q * W + i])
        }
        for (s : 0 .. N - 1) {
            assert((state[AT(s, q)] == OWNED) == (owner_plus_1[q] == s + 1));
            assert(!pending[AT(s, q)] && deferred[AT(s, q)] == 0)
        }
    }
    for (s : 0 .. N * N - 1) {
        assert(len(wire[s]) == 0)
    }
    q = 0;
    s = 0;
    i = 0
}
