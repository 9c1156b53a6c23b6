/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-invalidate, sequential consistency, as built in src/protocol/sequential.c and
 * sequential_home.c. Configurations, mutants and what is left out: README.md. Run: run.sh.
 *
 * Messages are first in, first out per pair of PEs. Each PE has one handler, and beside it an alarm
 * and a clock for each page. What is done under the page lock or the home lock is one step, but
 * that it is cut where a view has just been lowered and where a message has been sent before one
 * is: there the program, or another PE, may act in between.
 *
 * Time: a hold ends whenever the clock likes; an alarm may ring before that, for something earlier.
 * With PROMPT, a hold lasts until the access that it was given for. */
#define RACY
#ifndef W
#define W 1
#endif
#if defined(TERMINATION) && !defined(PROMPT)
#define PROMPT
#endif
#include "world.pml"

#define OWNED 5
#define AWAY  6
#undef WRITTEN                               /* here a message */

mtype = {
    NOTHING, READ, WRITE, DATA, GRANT, INVALIDATE, DROPPED, RECALL, RETURN, WRITEBACK, WRITTEN
};

/* A message: kind, page, flags, and of a message with bytes one: a page of two bytes is a page in
 * two parts. */
#define CAPACITY 6
chan wire[N * N] = [CAPACITY] of { mtype, byte, byte, byte };
#define WIRE(from, to) wire[(from) * N + (to)]
#define COPY      1
#define BYTES     2
#define LAST      4
#define PART(i)   ((i) << 3)
#define OFFSET    (flags >> 3)

bool pending[N * P];
bool hold[N * P];                            /* now < hold_until_ns */
bool alarm[N * P];                           /* one at least is set */
byte deferred[N * P];
#define DROP      1
#define GIVE_BACK 2
#define GIVE_BACK_KEEPING 3
#ifdef PROMPT
bool unused[N * P];                          /* the access that the page was given for is to come */
#define GIVEN     unused[ME(p)] = true
#define USED      unused[ME(p)] = false
#define MAY_END   !unused[ME(p)]
#else
#define GIVEN     skip
#define USED      skip
#define MAY_END   true
#endif

/* The ledgers, each at its page's home. */
byte owner_plus_1[P];
byte copyset[P];
bool serving[P], waits_for_owner[P];
byte now_pe[P];
bool now_write[P], now_copy[P];
byte n_drops[P];
chan queue[P] = [N] of { byte, bool, bool }; /* PE, write, with_copy */

LOCKS(page_lock, N * P);
LOCKS(home_lock, N);
#ifdef FORGET
bool home_known[N * P];                      /* home_plus_1 != 0 */
#define KNOW_HOME home_known[ME(p)] = true
#else
#define KNOW_HOME skip
#endif

#define ME(p) AT(me, p)

/* --- inside atomic: views and messages --- */

#define CLASH(a, b) (view[AT(a, p)] == RW && view[AT(b, p)] != NONE)
#define OUT(pe)     (pe == me || pe == now_pe[p] || view[AT(pe, p)] == NONE)
#if N == 2
#define ANY_CLASH   (CLASH(0, 1) || CLASH(1, 0))
#define OTHERS_OUT  (OUT(0) && OUT(1))
#else
#define ANY_CLASH \
    (CLASH(0, 1) || CLASH(1, 0) || CLASH(0, 2) || CLASH(2, 0) || CLASH(1, 2) || CLASH(2, 1))
#define OTHERS_OUT  (OUT(0) && OUT(1) && OUT(2))
#endif
#define TRUE_BYTE(i) (frame[IN(me, p, i)] == truth[p * W + i])
#ifdef LIVE
#define LAST_STORES true
#elif W == 1
#define LAST_STORES TRUE_BYTE(0)
#else
#define LAST_STORES (TRUE_BYTE(0) && TRUE_BYTE(1))
#endif

/* DESIGN 5, 1; what can be read is what was stored last; DESIGN 5, 2. */
inline set_view(x)
{
    view[ME(p)] = x;
    assert(!ANY_CLASH);
    assert(view[ME(p)] == NONE || LAST_STORES);
    assert(view[ME(p)] == NONE || me == HOME(p) || owner_plus_1[p] == me + 1 || HAS(copyset[p], me))
}

inline send(to, what, with)
{
    assert(len(WIRE(me, to)) < CAPACITY);
    WIRE(me, to)!what, p, (with) | LAST, 0
}

inline send_bytes(to, what, with)
{
    assert(len(WIRE(me, to)) + W <= CAPACITY);
#if W == 1
    WIRE(me, to)!what, p, (with) | BYTES | LAST, frame[IN(me, p, 0)]
#else
    WIRE(me, to)!what, p, (with) | BYTES, frame[IN(me, p, 0)];
    WIRE(me, to)!what, p, (with) | BYTES | PART(1) | LAST, frame[IN(me, p, 1)]
#endif
}

#include "sequential_home.pml"

/* --- faults --- */

#define ALLOWS(s_) ((s_) == OWNED || (HOME(p) == me && (s_) == EXCLUSIVE) -> RW : \
                   ((s_) == CLEAN || (s_) == TRACKED -> R : NONE))
#define ALLOWED(write) (ALLOWS(state[ME(p)]) == RW || (ALLOWS(state[ME(p)]) == R && !(write)))

inline fault(write)                          /* on page p */
{
#ifndef BUG_NOBUSY
    LOCK(busy[ME(p)]);
#endif
    KNOW_HOME;
    if
    :: HOME(p) == me ->
        LOCK(home_lock[me]);
        atomic {
            LOCK(page_lock[ME(p)]);
            if
            :: ALLOWED(write) -> set_view(ALLOWS(state[ME(p)]))
            :: else -> pending[ME(p)] = true; queue[p]!me, write, false
            fi;
            UNLOCK(page_lock[ME(p)])
        };
        if
        :: pending[ME(p)] -> serve()
        :: else
        fi;
        UNLOCK(home_lock[me])
    :: else ->
        atomic {
            LOCK(page_lock[ME(p)]);
            if
            :: ALLOWED(write) -> set_view(ALLOWS(state[ME(p)]))
            :: else ->
                pending[ME(p)] = true;
                send(HOME(p), (write -> WRITE : READ), (state[ME(p)] == CLEAN -> COPY : 0))
            fi;
            UNLOCK(page_lock[ME(p)])
        }
    fi;
    !pending[ME(p)];
    atomic {                                 /* awake: sooner than was set */
#ifdef BUG_AWAKEENDSHOLD
        hold[ME(p)] = false;
#endif
        if
        :: hold[ME(p)] && (HOME(p) == me -> len(queue[p]) > 0 : deferred[ME(p)] != 0) ->
            alarm[ME(p)] = true
        :: else
        fi
#ifndef BUG_NOBUSY
        ; UNLOCK(busy[ME(p)])
#endif
    }
}

inline unmap()                               /* inside atomic */
{
    state[ME(p)] = INVALID;
    hold[ME(p)] = false;                     /* nobody looks at it until the page is given again */
    USED;
    spoil(p)
}

inline evict()                               /* page p */
{
    LOCK(release_lock[me]);
    if
    :: HOME(p) != me && !PINNED(me, p) ->
        LOCK(busy[ME(p)]);
        KNOW_HOME;
#ifndef BUG_EVICTNOLOCK
        LOCK(page_lock[ME(p)]);
#endif
        if
        :: atomic { state[ME(p)] == CLEAN -> set_view(NONE); unmap() }
        :: atomic { state[ME(p)] == OWNED ->
#ifdef BUG_EVICTSPLIT
            send_bytes(HOME(p), WRITEBACK, 0);
#else
            set_view(NONE);
#endif
#ifndef BUG_NOWRITTEN
            pending[ME(p)] = true;
#endif
#ifndef BUG_NOTCANCELLED
            deferred[ME(p)] = 0
#endif
            };
            atomic {
#ifdef BUG_EVICTSPLIT
                set_view(NONE);
#else
                send_bytes(HOME(p), WRITEBACK, 0);
#endif
                unmap()
            }
        :: else
        fi;
#ifndef BUG_EVICTNOLOCK
        UNLOCK(page_lock[ME(p)]);
#endif
        !pending[ME(p)];
        UNLOCK(busy[ME(p)])
    :: else
    fi;
    UNLOCK(release_lock[me])
}

/* --- handlers --- */

inline take_part()                           /* inside atomic */
{
    if
    :: flags & BYTES ->
#ifndef BUG_VIEWATFIRST
        assert(view[ME(p)] == NONE);
#endif
        frame[IN(me, p, OFFSET)] = value
    :: else
    fi
}

inline given(owned)                          /* inside atomic; page lock held */
{
#ifndef BUG_NOHOLD
    hold[ME(p)] = true;
#endif
    GIVEN;
    state[ME(p)] = (owned -> OWNED : CLEAN);
    set_view((owned -> RW : R));
    pending[ME(p)] = false
}

/* Page lock held, and given back. */
inline give_up(what, keep)
{
    if
    :: what == RECALL && state[ME(p)] == OWNED ->
#ifdef BUG_RECALLSPLIT
        atomic { send_bytes(HOME(p), RETURN, (keep -> COPY : 0)) };
#else
        atomic { set_view((keep -> R : NONE)) };
#endif
        atomic {
#ifdef BUG_RECALLSPLIT
            set_view((keep -> R : NONE));
#else
            send_bytes(HOME(p), RETURN, (keep -> COPY : 0));
#endif
            if
            :: keep -> state[ME(p)] = CLEAN
            :: else -> unmap()
            fi;
            UNLOCK(page_lock[ME(p)])
        }
    :: atomic { what == RECALL && state[ME(p)] != OWNED ->
#ifdef BUG_RECALLANSWERED
        send_bytes(HOME(p), RETURN, 0);
#endif
        UNLOCK(page_lock[ME(p)])
    }
    :: what == INVALIDATE ->
#ifdef BUG_ACKFIRST
        atomic { send(HOME(p), DROPPED, 0) };
#endif
        if
        :: atomic { state[ME(p)] == CLEAN -> set_view(NONE) }
        :: else
        fi;
        atomic {
            if
            :: state[ME(p)] == CLEAN -> unmap()
            :: else
            fi;
#ifndef BUG_ACKFIRST
            send(HOME(p), DROPPED, 0);
#endif
            UNLOCK(page_lock[ME(p)])
        }
    fi
}

inline asked_for()
{
#ifdef BUG_HANDLERBUSY
    LOCK(busy[ME(p)]);
    UNLOCK(busy[ME(p)]);
#endif
    LOCK(page_lock[ME(p)]);
    if
    :: atomic { hold[ME(p)] && state[ME(p)] != INVALID ->
        deferred[ME(p)] =
            (kind == INVALIDATE -> DROP : ((flags & COPY) -> GIVE_BACK_KEEPING : GIVE_BACK));
#ifndef BUG_NOALARM
        alarm[ME(p)] = true;
#endif
        UNLOCK(page_lock[ME(p)])
    }
    :: else -> give_up(kind, (flags & COPY))
    fi
}

inline handle_at_home()                      /* home lock held, and given back */
{
    if
    :: atomic { kind == READ || kind == WRITE ->
        KNOW_HOME;
        queue[p]!from, (kind == WRITE), (flags & COPY)
    }
    :: atomic { kind == DROPPED -> assert(n_drops[p] > 0); n_drops[p]-- }
    :: kind == RETURN && (flags & LAST) ->
        atomic {
            assert(owner_plus_1[p] == from + 1 && waits_for_owner[p]);
            owner_plus_1[p] = 0;
            waits_for_owner[p] = false;
            if
            :: flags & COPY ->
#ifndef BUG_KEEPERUNKNOWN
                copyset[p] = copyset[p] | BIT(from)
#endif
            :: else -> assert(view[AT(from, p)] == NONE)
            fi
        };
        if
        :: flags & COPY -> set_home(TRACKED, R)
        :: else
        fi
    :: kind == WRITEBACK && (flags & LAST) ->
#ifdef BUG_WRITTENEARLY
        atomic { send(from, WRITTEN, 0) };
#endif
        atomic {
            assert(owner_plus_1[p] == from + 1 && view[AT(from, p)] == NONE);
            owner_plus_1[p] = 0;
#ifndef BUG_WBNOTANSWER
            waits_for_owner[p] = false
#endif
        };
        if
        :: !serving[p] -> set_home(TRACKED, R)
        :: else
        fi
    :: (kind == RETURN || kind == WRITEBACK) && !(flags & LAST) -> goto part
    fi;
    serve();
part:
    atomic {
        if
#ifndef BUG_WRITTENEARLY
        :: kind == WRITEBACK && (flags & LAST) -> send(from, WRITTEN, 0)
#endif
        :: else
        fi;
        end_message();
        UNLOCK(home_lock[me])
    }
}

inline end_message()
{
    kind = NOTHING;
    from = 0;
    flags = 0;
    p = 0
}

proctype handler(byte me)
{
    mtype kind;
    byte from, flags, value, p, i, s;
end:
    do
    :: atomic {
        if
        :: WIRE(0, me)?kind, p, flags, value -> from = 0
        :: WIRE(1, me)?kind, p, flags, value -> from = 1
#if N > 2
        :: WIRE(2, me)?kind, p, flags, value -> from = 2
#endif
#ifdef BUG_NOFIFO
        :: len(WIRE(0, me)) > 1 ->
            WIRE(0, me)?kind, p, flags, value; WIRE(0, me)!kind, p, flags, value;
            kind = NOTHING
#endif
        fi;
        if
        :: kind == NOTHING -> value = 0; end_message(); goto handled
        :: kind != NOTHING && HOME(p) == me ->
            assert(kind == READ || kind == WRITE || kind == DROPPED || kind == RETURN ||
                   kind == WRITEBACK);
            LOCK(home_lock[me]);
            take_part();
            value = 0;
            goto at_home
        :: kind != NOTHING && HOME(p) != me ->
            assert(kind == DATA || kind == GRANT || kind == INVALIDATE || kind == RECALL ||
                   kind == WRITTEN)
        fi;
        if
        :: kind == DATA || kind == GRANT ->
            LOCK(page_lock[ME(p)]);
            take_part();
            if
#ifdef BUG_VIEWATFIRST
            :: true ->
#else
            :: flags & LAST ->
#endif
                given(kind == GRANT)
            :: else
            fi;
            value = 0;
            UNLOCK(page_lock[ME(p)])
        :: kind == WRITTEN ->
            LOCK(page_lock[ME(p)]);
            pending[ME(p)] = false;
            UNLOCK(page_lock[ME(p)])
        :: else -> goto ask
        fi;
        end_message();
        goto handled
    }
    :: false ->
at_home:
        handle_at_home();
        goto handled
    :: false ->
ask:
        asked_for();
        atomic { end_message() };
handled:
        skip
    od
}

/* --- alarms, and time --- */

proctype ring(byte me; byte p)               /* hth_sequential_alarm */
{
    byte i, s, what;
end:
    do
    :: atomic { alarm[ME(p)] ->
        alarm[ME(p)] = false;
#ifdef FORGET
        if
        :: home_known[ME(p)]
        :: else -> goto rung
        fi;
#endif
        if
        :: HOME(p) == me -> goto at_home
        :: else
        fi;
        LOCK(page_lock[ME(p)]);
        if
        :: deferred[ME(p)] != 0 && hold[ME(p)] ->
#ifndef BUG_ALARMONCE
            alarm[ME(p)] = true;
#endif
            UNLOCK(page_lock[ME(p)])
        :: deferred[ME(p)] != 0 && !hold[ME(p)] ->
            what = deferred[ME(p)];
            deferred[ME(p)] = 0;
#ifdef BUG_DEFERREDLOST
            UNLOCK(page_lock[ME(p)])
#else
            goto act
#endif
        :: else -> UNLOCK(page_lock[ME(p)])
        fi;
        goto rung
    }
    :: false ->
at_home:
        atomic {
#ifdef BUG_HOMETWICE
            assert(home_known[ME(p)]);
#endif
            LOCK(home_lock[me])
        };
        serve();
        UNLOCK(home_lock[me]);
        goto rung
    :: false ->
act:
        give_up((what == DROP -> INVALIDATE : RECALL), (what == GIVE_BACK_KEEPING));
        what = 0;
rung:
        skip
    od
}

proctype clock(byte me; byte p)
{
end:
    do
    :: atomic { hold[ME(p)] && MAY_END -> hold[ME(p)] = false }
    od
}

#include "sequential_program.pml"

#define PROTOCOL_LOCALS skip
#define START_HANDLERS \
    for (k : 0 .. N * P - 1) { run ring(k / P, k % P); run clock(k / P, k % P) } \
    for (k : 0 .. N - 1) { run handler(k) }
#include "program.pml"
