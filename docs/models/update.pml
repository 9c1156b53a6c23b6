/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-update, release consistency, as built in src/protocol/update.c, update_handle.c and
 * outbox.c. Configurations, mutants and what is left out: README.md. Run: run.sh.
 *
 * Messages are first in, first out per pair of PEs. Each PE has one handler, which stands for
 * whoever handles its messages. What a thread does under the page lock is one step unless the
 * program can store to the frame meanwhile. */
#include "world.pml"

mtype = { NOTHING, SUBSCRIBE, UNSUBSCRIBE, DATA, DIFF, DIFF_ACK, UPDATE, UPDATE_ACK };

/* What a message carries: the page, or whose count goes down; a set of bytes; their values. Byte i
 * of page p is byte p * W + i of the set; a value takes two bits. */
#define CAPACITY 5
chan wire[N * N] = [CAPACITY] of { mtype, byte, byte, byte };
#define WIRE(from, to)   wire[(from) * N + (to)]
#define SEND(to, k, c, m, x) \
    assert(len(WIRE(me, to)) < CAPACITY); WIRE(me, to)!k, c, m, x
#define OWN              255                 /* the cookie of a release, or of an UNSUBSCRIBE */
#define PAGE_BYTES(p)    (((1 << W) - 1) << ((p) * W))
#define VALUE(x, k)      (((x) >> (2 * (k))) & 3)

byte published[P * W];                       /* at the home */
byte publishing;                             /* a set of pages: those that have an image */
byte subscribers[P];                         /* sets of PEs */
byte outstanding[N];
#define SLOTS 3
byte forward_left[N * SLOTS];                /* DIFFs forwarded and not all acknowledged */
byte forward_writer[N * SLOTS];              /* plus 1; 0: free */
LOCKS(page_lock, N * P);
LOCKS(home_lock, N);
#ifdef BUG_DATALATE
byte late_data[N * P];                       /* plus 1; read by the thread, not by the handler */
#define HERE(p) (state[ME(p)] != INVALID || late_data[ME(p)] != 0)
#else
#define HERE(p) (state[ME(p)] != INVALID)
#endif

#define ME(p) AT(me, p)
#if P == 1
#define HOMED_HERE (HOME(0) == me)
#else
#define HOMED_HERE ((HOME(0) == me) | ((HOME(1) == me) << 1))
#endif
#define OUT_OF_DATE_BUT_TOLD(pe, p) false

/* --- faults --- */

inline map(write)                            /* page p */
{
    LOCK(page_lock[ME(p)]);
#ifdef BUG_DATALATE
    if
    :: late_data[ME(p)] != 0 -> d_step {
        for (i : 0 .. W - 1) {
            frame[IN(me, p, i)] = VALUE(late_data[ME(p)] - 1, p * W + i)
        }
        i = 0;
        late_data[ME(p)] = 0;
        state[ME(p)] = CLEAN }
    :: else
    fi;
#endif
    atomic {
        if
        :: write && HOME(p) == me && state[ME(p)] == TRACKED ->
            state[ME(p)] = WRITTEN;
#ifndef BUG_NOTLISTED
            dirty_add(me, p)
#endif
        :: write && HOME(p) != me && state[ME(p)] == CLEAN ->
            make_twin(p);
            state[ME(p)] = DIRTY;
            dirty_add(me, p)
        :: else
        fi;
        if
        :: HOME(p) != me && state[ME(p)] == INVALID
        :: else ->
            view[ME(p)] = (state[ME(p)] == CLEAN || state[ME(p)] == TRACKED -> R : RW);
            assert(HOME(p) == me || HAS(subscribers[p], me))
        fi;
        UNLOCK(page_lock[ME(p)])
    }
}

inline fault(write)                          /* on page p */
{
    LOCK(busy[ME(p)]);
    if
    :: HOME(p) != me && state[ME(p)] == INVALID ->
        atomic { SEND(HOME(p), SUBSCRIBE, p, 0, 0) };
        HERE(p)
    :: else
    fi;
    map(write);
    UNLOCK(busy[ME(p)])
}

/* --- release --- */

/* The bytes of page q that differ from the given image go into the draft and into that image. */
inline diff_into_draft(image)                /* inside atomic; the frame is still */
{
    for (i : 0 .. W - 1) {
        if
        :: frame[IN(me, q, i)] != image ->
            image = frame[IN(me, q, i)];
            put = put | BIT(q * W + i);
            vals = vals | (frame[IN(me, q, i)] << (2 * (q * W + i)))
        :: else
        fi
    }
    i = 0
}

/* The bytes of the draft of those pages that `to` subscribes to. */
inline for_subscriber(to, bytes)             /* inside atomic; into n */
{
    n = 0;
    if
    :: HAS(subscribers[0], to) -> n = n | (bytes & PAGE_BYTES(0))
    :: else
    fi;
#if P > 1
    if
    :: HAS(subscribers[1], to) -> n = n | (bytes & PAGE_BYTES(1))
    :: else
    fi
#endif
}

inline post_updates()                        /* inside atomic */
{
    for (s : 0 .. N - 1) {
        for_subscriber(s, put & mine);
        if
        :: n != 0 -> outstanding[me]++; SEND(s, UPDATE, OWN, n, vals)
        :: else
        fi
    }
    s = 0;
    n = 0;
    put = 0;
    vals = 0
}

inline release_home_pages()
{
    LOCK(home_lock[me]);
    q = 0;
    do
    :: q < P ->
        if
        :: HAS(set, q) && HOME(q) == me ->
            LOCK(page_lock[ME(q)]);
#ifdef BUG_HOMEPROTECTLATE
            atomic {
                if
                :: state[ME(q)] == WRITTEN && HAS(publishing, q) ->
                    diff_into_draft(published[q * W + i])
                :: else
                fi
            };
#endif
            atomic {
                if
                :: state[ME(q)] == WRITTEN && !HAS(publishing, q) ->
                    state[ME(q)] = EXCLUSIVE; view[ME(q)] = RW
                :: state[ME(q)] == WRITTEN && HAS(publishing, q) ->
                    view[ME(q)] = R;
                    state[ME(q)] = TRACKED;
#ifndef BUG_HOMEPROTECTLATE
                    diff_into_draft(published[q * W + i])
#endif
                :: else
                fi;
                mine = mine | PAGE_BYTES(q);
                UNLOCK(page_lock[ME(q)])
            }
        :: else
        fi;
        q++
    :: else -> q = 0; break
    od;
    atomic { post_updates(); mine = 0; UNLOCK(home_lock[me]) }
}

inline post_diffs()                          /* inside atomic */
{
    for (s : 0 .. N - 1) {
        n = 0;
        for (q : 0 .. P - 1) {
            if
            :: HOME(q) == s -> n = n | (put & PAGE_BYTES(q))
            :: else
            fi
        }
        if
        :: n != 0 -> outstanding[me]++; SEND(s, DIFF, OWN, n, vals)
        :: else
        fi
    }
    q = 0;
    s = 0;
    n = 0;
    put = 0;
    vals = 0
}

inline diff_copies()                         /* inside atomic */
{
    for (q : 0 .. P - 1) {
        if
        :: HAS(kept, q) -> diff_into_draft(twin[IN(me, q, i)])
        :: else
        fi
    }
    q = 0
}

inline release_copies()
{
    q = 0;
    do
    :: q < P ->
        if
        :: HAS(set, q) && HOME(q) != me ->
            LOCK(page_lock[ME(q)]);
            atomic {
                if
                :: state[ME(q)] == DIRTY -> kept = kept | BIT(q)
                :: else -> UNLOCK(page_lock[ME(q)])
                fi
            }
        :: else
        fi;
        q++
    :: else -> q = 0; break
    od;
#ifdef BUG_PROTECTLATE
    atomic { diff_copies() };
#endif
    do /* hth_protect_runs */
    :: q < P ->
        if
        :: HAS(kept, q) -> view[ME(q)] = R
        :: else
        fi;
        q++
    :: else -> q = 0; break
    od;
    atomic {
#ifndef BUG_PROTECTLATE
        diff_copies();
#endif
        post_diffs();
        for (q : 0 .. P - 1) {
            if
            :: HAS(kept, q) -> state[ME(q)] = CLEAN; end_twin(q); UNLOCK(page_lock[ME(q)])
            :: else
            fi
        }
        q = 0;
        kept = 0
    }
}

/* The pages in `set`; release lock held. */
inline release_pages()
{
    if
    :: (set & HOMED_HERE) != 0 -> release_home_pages()
    :: else
    fi;
    if
    :: (set & ~HOMED_HERE) != 0 -> release_copies()
    :: else
    fi;
    set = 0
}

inline release()
{
#ifdef BUG_NORELLOCK                         /* finds nothing to do, does not wait for who does it */
    if
    :: head_plus_1[me] == 0 -> goto released
    :: else
    fi;
#endif
    LOCK(release_lock[me]);
    dirty_detach();
    do
    :: list != 0 -> dirty_take(); release_pages(); dirty_more()
    :: else -> break
    od;
#ifndef BUG_NOWAIT
    outstanding[me] == 0;
#endif
    UNLOCK(release_lock[me]);
released:
    skip
}

inline acquire()
{
    skip
}

inline unmap()                               /* inside atomic */
{
    view[ME(p)] = NONE;
    state[ME(p)] = INVALID;
    spoil(p)
}

inline evict_held()
{
#ifndef BUG_EVICTNOBUSY
    LOCK(busy[ME(p)]);
#endif
    set = BIT(p);
    release_pages();
    outstanding[me] == 0;
    LOCK(page_lock[ME(p)]);
#ifdef BUG_UNSUBFIRST
    if
    :: state[ME(p)] == CLEAN ->
        atomic { outstanding[me]++; SEND(HOME(p), UNSUBSCRIBE, p, 0, 0) };
        atomic { unmap() }
    :: else
    fi;
#endif
    atomic {
        if
        :: state[ME(p)] == CLEAN ->
            unmap();
#ifndef BUG_NOUNSUBACK
            outstanding[me]++;
#endif
            SEND(HOME(p), UNSUBSCRIBE, p, 0, 0)
        :: else
        fi;
        UNLOCK(page_lock[ME(p)])
    };
#ifndef BUG_EVICTNOBUSY
    UNLOCK(busy[ME(p)]);
#endif
    skip
}

inline evict()                               /* page p */
{
    LOCK(release_lock[me]);
    if
    :: (state[ME(p)] == CLEAN || state[ME(p)] == DIRTY) && !PINNED(me, p) -> evict_held()
    :: else
    fi;
    UNLOCK(release_lock[me])
}

/* --- memory management --- */

inline unpublish(page)                       /* inside atomic */
{
    publishing = publishing & ~BIT(page);
    for (i : 0 .. W - 1) {
        published[page * W + i] = 0
    }
    i = 0
}

#ifdef FORGET
inline forget()                              /* page 0 */
{
    LOCK(release_lock[me]);
    LOCK(page_lock[ME(0)]);
    atomic {
        if
        :: HOME(0) == me -> unpublish(0); subscribers[0] = 0
        :: else
        fi;
        view[ME(0)] = NONE;
        state[ME(0)] = INVALID;
        spoil(0);
        UNLOCK(page_lock[ME(0)]);
        pinned[me] = false
    };
    UNLOCK(release_lock[me])
}
#endif

/* --- messages --- */

inline snapshot_byte(i)
{
    published[cookie * W + i] = frame[IN(me, cookie, i)]
}

inline snapshot()                            /* the program may store meanwhile */
{
    snapshot_byte(0);
#if W > 1
    snapshot_byte(1);
#endif
    publishing = publishing | BIT(cookie)
}

inline note_written()
{
    atomic {
        if
        :: state[ME(cookie)] == EXCLUSIVE ->
            state[ME(cookie)] = WRITTEN;
            dirty_add(me, cookie)
        :: else
        fi
    }
}

inline handle_subscribe()
{
    LOCK(home_lock[me]);
    LOCK(page_lock[ME(cookie)]);
#ifndef BUG_LISTLATE
    note_written();
#endif
    if
    :: !HAS(publishing, cookie) -> snapshot()
    :: else
    fi;
#ifdef BUG_LISTLATE
    note_written();
#endif
    atomic {
        UNLOCK(page_lock[ME(cookie)]);
        subscribers[cookie] = subscribers[cookie] | BIT(from);
        for (i : 0 .. W - 1) {
#ifdef BUG_DATAFRAME                         /* a store since the snapshot, undone before the diff */
            vals = vals | (frame[IN(me, cookie, i)] << (2 * (cookie * W + i)))
#else
            vals = vals | (published[cookie * W + i] << (2 * (cookie * W + i)))
#endif
        }
        i = 0;
#ifndef BUG_DATAPOSTLATE
        SEND(from, DATA, cookie, 0, vals);
#endif
        UNLOCK(home_lock[me])
    }
#ifdef BUG_DATAPOSTLATE
    ; atomic { SEND(from, DATA, cookie, 0, vals) }
#endif
}

inline handle_unsubscribe()                  /* inside atomic, as all below but handle_update */
{
    LOCK(home_lock[me]);
    LOCK(page_lock[ME(cookie)]);
    assert(HAS(publishing, cookie) && HAS(subscribers[cookie], from)); /* or subscribed() dies */
#ifndef BUG_UNSUBFIRST
    assert(view[AT(from, cookie)] == NONE);
#endif
    subscribers[cookie] = subscribers[cookie] & ~BIT(from);
    if
    :: subscribers[cookie] == 0 -> unpublish(cookie)
    :: else
    fi;
    UNLOCK(page_lock[ME(cookie)]);
    UNLOCK(home_lock[me]);
#ifndef BUG_NOUNSUBACK
    SEND(from, UPDATE_ACK, OWN, 0, 0)
#endif
}

inline handle_data()
{
    LOCK(page_lock[ME(cookie)]);
#ifdef BUG_DATALATE
    late_data[ME(cookie)] = vals + 1;
#else
    for (i : 0 .. W - 1) {
        frame[IN(me, cookie, i)] = VALUE(vals, cookie * W + i)
    }
    i = 0;
    state[ME(cookie)] = CLEAN;
#endif
    UNLOCK(page_lock[ME(cookie)])
}

inline apply(q)                              /* to frame, and to the twin of a dirty copy */
{
    for (i : 0 .. W - 1) {
        if
        :: HAS(mask, q * W + i) ->
            if
            :: state[ME(q)] != INVALID -> frame[IN(me, q, i)] = VALUE(vals, q * W + i)
            :: else
            fi;
            if
#ifndef BUG_NOTWIN
            :: state[ME(q)] == DIRTY -> twin[IN(me, q, i)] = VALUE(vals, q * W + i)
#endif
            :: else
            fi
        :: else
        fi
    }
    i = 0
}

inline handle_update()
{
    q = 0;
    do
    :: q < P ->
        if
        :: (mask & PAGE_BYTES(q)) != 0 ->
            LOCK(page_lock[ME(q)]);
            atomic {
#ifdef BUG_DROPNOACK
                if
                :: state[ME(q)] == INVALID -> from = N
                :: else
                fi;
#endif
                assert(HOME(q) != me && state[ME(q)] != TRACKED && state[ME(q)] != WRITTEN);
                apply(q);
                UNLOCK(page_lock[ME(q)])
            }
        :: else
        fi;
        q++
    :: else -> q = 0; break
    od;
    atomic {
        if
        :: from < N -> SEND(from, UPDATE_ACK, cookie, 0, 0)
        :: else
        fi
    }
}

inline handle_diff()
{
    slot = 0;
    do
    :: forward_writer[me * SLOTS + slot] != 0 -> slot++
    :: else -> break
    od;
    assert(slot < SLOTS);
    forward_writer[me * SLOTS + slot] = from + 1;
    LOCK(home_lock[me]);
    for (q : 0 .. P - 1) {
        if
        :: (mask & PAGE_BYTES(q)) != 0 ->
            LOCK(page_lock[ME(q)]);
            assert(HAS(publishing, q) && HAS(subscribers[q], from));
            for (i : 0 .. W - 1) {
                if
                :: HAS(mask, q * W + i) ->
                    frame[IN(me, q, i)] = VALUE(vals, q * W + i);
#ifndef BUG_NOTPUBLISHED
                    published[q * W + i] = VALUE(vals, q * W + i)
#endif
                :: else
                fi
            }
            i = 0;
            UNLOCK(page_lock[ME(q)])
        :: else
        fi
    }
    q = 0;
    for (s : 0 .. N - 1) {
        for_subscriber(s, mask);
        if
#ifdef BUG_ECHO
        :: n != 0 ->
#else
        :: n != 0 && s != from ->
#endif
            forward_left[me * SLOTS + slot]++;
            SEND(s, UPDATE, slot, n, vals)
        :: else
        fi
    }
    s = 0;
    n = 0;
    UNLOCK(home_lock[me]);
#ifdef BUG_ACKEARLY
    SEND(from, DIFF_ACK, OWN, 0, 0);
#endif
    if
    :: forward_left[me * SLOTS + slot] == 0 -> end_forward()
    :: else
    fi;
    slot = 0
}

inline end_forward()
{
#ifndef BUG_ACKEARLY
    SEND(forward_writer[me * SLOTS + slot] - 1, DIFF_ACK, OWN, 0, 0);
#endif
    forward_writer[me * SLOTS + slot] = 0
}

inline handle_acknowledgement()
{
    if
    :: cookie == OWN -> assert(outstanding[me] > 0); outstanding[me]--
    :: else ->
        slot = cookie;
        forward_left[me * SLOTS + slot]--;
        if
        :: forward_left[me * SLOTS + slot] == 0 -> end_forward()
        :: else
        fi;
        slot = 0
    fi
}

proctype handler(byte me)
{
    mtype kind;
    byte from, cookie, mask, vals, q, i, n, s, slot;
end:
    do
    :: atomic {
        if
        :: WIRE(0, me)?kind, cookie, mask, vals -> from = 0
        :: WIRE(1, me)?kind, cookie, mask, vals -> from = 1
#if N > 2
        :: WIRE(2, me)?kind, cookie, mask, vals -> from = 2
#endif
        fi;
        if
        :: kind == SUBSCRIBE -> vals = 0; goto subscribe
        :: kind == UPDATE -> goto update
        :: kind == UNSUBSCRIBE -> handle_unsubscribe()
        :: kind == DATA -> handle_data()
        :: kind == DIFF -> handle_diff()
        :: kind == DIFF_ACK || kind == UPDATE_ACK -> handle_acknowledgement()
        fi;
        goto handled
    }
    :: false ->
subscribe:
        handle_subscribe();
        goto handled
    :: false ->
update:
        handle_update();
handled:
        atomic { kind = NOTHING; from = 0; cookie = 0; mask = 0; vals = 0 }
    od
}

#define PROTOCOL_LOCALS byte vals, mine
#define START_HANDLERS  for (k : 0 .. N - 1) { run handler(k) }
#include "program.pml"
