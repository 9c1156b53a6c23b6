/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-invalidate, release consistency, as built in src/protocol/invalidate.c, directory.c and
 * stale.c. Configurations, mutants and what is left out: README.md. Run: run.sh.
 *
 * Every step is one that another PE or thread can see between: an atomic on a word, a byte put or
 * got, a change of view, a lock taken. Steps that only the holder of a lock can see are one with
 * its release: states change under busy and are read under busy. */
#include "world.pml"

byte copyset[P];                             /* at the home: a set of PEs */
byte hint[N], hint_summary[N];               /* at a home: a set of pages; is it empty? */
byte stale[N], stale_summary[N];
bool registered[N * P];
LOCKS(acquire_lock, N);
#ifdef HOT
byte image[N * P * W];                       /* what a release has read; under the release lock */
byte fresh[N * P * W];                       /* what a refresh has fetched; under busy */
#endif
byte taking[N];                              /* acquires that have taken a summary, and not ended */

#define ME(p) AT(me, p)
#define OUT_OF_DATE_BUT_TOLD(pe, p) ((HAS(stale[pe], p) && stale_summary[pe]) || taking[pe] != 0)

/* --- faults --- */

/* Tell the home that page p came to be shared. */
inline set_hint()
{
#ifdef BUG_HINTSUMFIRST
    atomic { hint_summary[HOME(p)] = 1 };
    atomic { hint[HOME(p)] = hint[HOME(p)] | BIT(p) };
#else
    atomic { hint[HOME(p)] = hint[HOME(p)] | BIT(p) };
    atomic { hint_summary[HOME(p)] = 1 };
#endif
}

inline fetch()                               /* page p; busy */
{
    if
    :: !registered[ME(p)] ->
#ifdef BUG_HINTBEFORE
        set_hint();
#endif
        atomic { copyset[p] = copyset[p] | BIT(me) };
#if !defined(BUG_HINTBEFORE) && !defined(BUG_NOHINT)
        set_hint();
#endif
        registered[ME(p)] = true
    :: else
    fi;
    frame[IN(me, p, 0)] = frame[IN(HOME(p), p, 0)];
#if W > 1
    frame[IN(me, p, 1)] = frame[IN(HOME(p), p, 1)];
#endif
    state[ME(p)] = CLEAN
}

inline fault(write)                          /* on page p */
{
#ifdef BUG_FAULTNOBUSY
    if
    :: atomic { write && state[ME(p)] != INVALID -> n = 1 }
    :: else -> LOCK(busy[ME(p)])
    fi;
#else
    LOCK(busy[ME(p)]);
#endif
#ifdef BUG_WAITHOLDING                       /* makes room first, with its own page busy */
    if
    :: state[ME(p)] == INVALID -> LOCK(release_lock[me]); UNLOCK(release_lock[me])
    :: else
    fi;
#endif
    if
    :: HOME(p) == me ->
        atomic {
            if
            :: write && state[ME(p)] == TRACKED -> state[ME(p)] = WRITTEN; dirty_add(me, p)
            :: else
            fi;
            view[ME(p)] = (state[ME(p)] == TRACKED -> R : RW);
            if
            :: n == 0 -> UNLOCK(busy[ME(p)])
            :: else -> n = 0
            fi
        }
    :: else ->
        if
        :: state[ME(p)] == INVALID ->
            fetch();
#ifdef HOT
            missed = true
#endif
        :: else
        fi;
        atomic {
#ifdef HOT                                   /* a page that migrates is writable from its miss on */
            if
            :: !write && missed ->
                if
                :: make_twin(p);
                   state[ME(p)] = DIRTY;
#ifndef BUG_MISSUNLISTED
                   dirty_add(me, p)
#endif
                :: skip
                fi
            :: else
            fi;
            missed = false;
#endif
            if
            :: write && state[ME(p)] == CLEAN ->
#ifdef BUG_OLDTWIN                           /* keeps the twin of the last time */
                if
                :: row == 0 -> make_twin(p); row = 1
                :: else
                fi;
#else
                make_twin(p);
#endif
                state[ME(p)] = DIRTY;
                dirty_add(me, p)
            :: else
            fi
        };
        atomic {
            view[ME(p)] = (state[ME(p)] == DIRTY -> RW : R);
            assert(HAS(copyset[p], me) && registered[ME(p)]);
            if
            :: n == 0 -> UNLOCK(busy[ME(p)])
            :: else -> n = 0
            fi
        }
    fi
}

/* --- release --- */

#ifdef HOT
#define IS_HOT(p) HAS(hot, p)
#else
#define IS_HOT(p) 0
#endif

/* Where puts, packed diffs and a kept twin are made from. */
#ifdef HOT
#define SENT(p, i) image[IN(me, p, i)]
#else
#define SENT(p, i) frame[IN(me, p, i)]
#endif

#ifdef HOT
/* Any page that is kept may be hot: it stays writable. */
inline choose_hot(drop)
{
    q = 0;
    do
    :: q < P ->
        if
        :: HAS(kept, q) && !drop -> hot = hot | BIT(q)
        :: true
        fi;
        q++
    :: else -> q = 0; break
    od
}

inline keep_twin(page)                       /* inside atomic: what was sent is now the twin */
{
    for (i : 0 .. W - 1) {
        if
        :: HAS(named, page * W + i) ->
#ifdef BUG_TWINFRAME
            twin[IN(me, page, i)] = frame[IN(me, page, i)]
#elif !defined(BUG_TWINOLD)
            twin[IN(me, page, i)] = image[IN(me, page, i)]
#endif
        :: else
        fi
    }
    i = 0
}
#endif

/* The kept pages' changed bytes, by puts or in messages that the home applies and acknowledges, in
 * any order; done when all are there. */
inline write_back()
{
    atomic {
        put = 0;
        for (q : 0 .. P - 1) {
            if
            :: HAS(kept, q) && HOME(q) != me ->
                for (i : 0 .. W - 1) {
                    if
                    :: frame[IN(me, q, i)] != twin[IN(me, q, i)] ->
                        put = put | BIT(q * W + i);
#ifdef HOT
                        image[IN(me, q, i)] = frame[IN(me, q, i)]
#endif
                    :: else
                    fi
                }
            :: else
            fi
        }
#ifdef HOT
        named = put;
#endif
        q = 0;
        i = 0
    };
#ifdef BUG_PUTNOBUSY
    atomic { let_go(kept) };
#endif
#ifndef BUG_ACKEARLY                         /* the home acknowledges before it has applied */
    arrive()
#else
    skip
#endif
}

inline arrive()
{
    do
    :: HAS(put, 0) -> d_step { put = put & ~1; frame[IN(HOME(0), 0, 0)] = SENT(0, 0) }
#if P * W > 1
    :: HAS(put, 1) -> d_step { put = put & ~2;
                               frame[IN(HOME(1 / W), 1 / W, 1 % W)] = SENT(1 / W, 1 % W) }
#endif
#if P * W > 2
    :: HAS(put, 2) -> d_step { put = put & ~4; frame[IN(HOME(1), 1, 0)] = SENT(1, 0) }
    :: HAS(put, 3) -> d_step { put = put & ~8; frame[IN(HOME(1), 1, 1)] = SENT(1, 1) }
#endif
    :: put == 0 -> break
    od
}

inline let_go(pages)                         /* inside atomic */
{
    for (q : 0 .. P - 1) {
        if
        :: HAS(pages, q) -> UNLOCK(busy[ME(q)])
        :: else
        fi
    }
    q = 0
}

inline read_copysets()
{
    q = 0;
    do
    :: q < P ->
        if
        :: HAS(kept, q) -> d_step { copies[q] = copyset[q] & ~BIT(me) & ~BIT(HOME(q)); q++ }
        :: else -> q++
        fi
    :: else -> q = 0; break
    od
}

#if P == 1
#define TOLD(s) HAS(copies[0], s)
#else
#define TOLD(s) (HAS(copies[0], s) | (HAS(copies[1], s) << 1))
#endif
#if P == 1
#define EVERYONE copies[0]
#else
#define EVERYONE (copies[0] | copies[1])
#endif

inline tell_one(pe, level)                   /* inside atomic */
{
    if
    :: level == 0 -> stale[pe] = stale[pe] | TOLD(pe)
    :: else -> stale_summary[pe] = 1
    fi;
    told = told & ~BIT(pe)
}

/* One level of tell(): the words of all who are told, in any order, then a flush of each. */
inline tell_level(level)
{
    told = EVERYONE;
    do
    :: HAS(told, 0) -> d_step { tell_one(0, level) }
    :: HAS(told, 1) -> d_step { tell_one(1, level) }
#if N > 2
    :: HAS(told, 2) -> d_step { tell_one(2, level) }
#endif
    :: told == 0 -> break
    od
}

inline tell()
{
#ifdef BUG_SUMFIRST
    tell_level(1);
    tell_level(0)
#else
    tell_level(0);
    tell_level(1)
#endif
}

inline make_exclusive()
{
    q = 0;
    do
    :: q < P ->
        if
#ifdef BUG_EARLYEXCLUSIVE                    /* whatever the copyset says */
        :: HAS(kept, q) && HOME(q) == me ->
#else
        :: HAS(kept, q) && HOME(q) == me && copies[q] == 0 ->
#endif
            LOCK(busy[ME(q)]);
            atomic { state[ME(q)] = EXCLUSIVE; view[ME(q)] = RW; UNLOCK(busy[ME(q)]) }
        :: else
        fi;
        q++
    :: else -> q = 0; break
    od
}

/* The pages in `set`; with `drop`, leave no copy of them. Release lock held. */
inline release_pages(drop)
{
#ifdef HOT
    hot = 0;
#endif
    q = 0;
    do
    :: q < P ->
        if
        :: HAS(set, q) -> LOCK(busy[ME(q)])
        :: else
        fi;
        q++
    :: else -> q = 0; break
    od;
    kept = 0;
    do /* keep_written */
    :: q < P ->
        atomic {
            if
            :: HAS(set, q) && (state[ME(q)] == DIRTY || state[ME(q)] == WRITTEN) ->
                kept = kept | BIT(q)
            :: HAS(set, q) && state[ME(q)] != DIRTY && state[ME(q)] != WRITTEN ->
                if
                :: drop && state[ME(q)] == CLEAN ->
                    view[ME(q)] = NONE; state[ME(q)] = INVALID; spoil(q)
                :: else
                fi;
                UNLOCK(busy[ME(q)])
            :: else
            fi;
            q++
        }
    :: else -> q = 0; set = 0; break
    od;
#ifdef HOT
    choose_hot(drop);
#endif
    do /* hth_protect_runs */
    :: q < P ->
        if
#ifndef BUG_NOPROTECT
        :: HAS(kept, q) && !IS_HOT(q) -> view[ME(q)] = (drop -> NONE : R)
#endif
        :: else
        fi;
        q++
    :: else -> q = 0; break
    od;
#ifdef BUG_READFIRST
    read_copysets();
#endif
#ifdef BUG_DIFFNOBUSY
    atomic { let_go(kept) };
#endif
    write_back();
    do
    :: q < P ->
        atomic {
            if
            :: HAS(kept, q) && HOME(q) == me && !IS_HOT(q) -> state[ME(q)] = TRACKED
            :: HAS(kept, q) && HOME(q) != me && drop ->
                view[ME(q)] = NONE; state[ME(q)] = INVALID; spoil(q)
#ifdef HOT
            :: HAS(kept, q) && IS_HOT(q) ->
                if
                :: HOME(q) != me -> keep_twin(q)
                :: else
                fi
#ifndef BUG_HOTUNLISTED
                ; dirty_add(me, q)
#endif
#endif
            :: HAS(kept, q) && HOME(q) != me && !drop && !IS_HOT(q) ->
                state[ME(q)] = CLEAN
#ifndef BUG_OLDTWIN
                ; end_twin(q)
#endif
            :: else
            fi;
            if
#if !defined(BUG_DIFFNOBUSY) && !defined(BUG_PUTNOBUSY)
            :: HAS(kept, q) -> UNLOCK(busy[ME(q)])
#endif
            :: else
            fi;
            q++
        }
    :: else -> q = 0; break
    od;
#ifdef HOT
    atomic {                                 /* nobody is told of a copy that had not changed */
        for (q : 0 .. P - 1) {
            if
            :: HOME(q) != me && ((named >> (q * W)) & (BIT(W) - 1)) == 0 -> kept = kept & ~BIT(q)
            :: else
            fi;
#ifndef BUG_ACKEARLY
            for (i : 0 .. W - 1) {
                image[IN(me, q, i)] = 0
            }
#endif
        }
        named = 0;
        hot = 0;
        q = 0;
        i = 0
    };
#endif
#ifndef BUG_READFIRST
    read_copysets();
#endif
    tell();
#ifdef BUG_ACKEARLY
    arrive();
#endif
    make_exclusive();
    atomic {
        kept = 0;
        copies[0] = 0;
#if P > 1
        copies[1] = 0;
#endif
    }
}

/* Exclusive pages that somebody registered for count as written. All hints found are cleared. */
inline take_hints()
{
#if defined(BUG_HINTLAST) || defined(BUG_HINTSUMLAST)
    set = hint_summary[me];
#else
    d_step { set = hint_summary[me]; hint_summary[me] = 0 };
#endif
    if
    :: set != 0 ->
#ifdef BUG_HINTLAST
        set = hint[me];
#else
        d_step { set = hint[me]; hint[me] = 0 };
#endif
#ifdef BUG_HINTSUMLAST
        hint_summary[me] = 0;
#endif
        q = 0;
        do
        :: q < P ->
            if
            :: HAS(set, q) && HOME(q) == me ->
                LOCK(busy[ME(q)]);
                atomic {
                    if
                    :: state[ME(q)] == EXCLUSIVE -> state[ME(q)] = WRITTEN; dirty_add(me, q)
                    :: else
                    fi;
                    UNLOCK(busy[ME(q)])
                }
            :: else
            fi;
            q++
        :: else -> q = 0; break
        od;
        set = 0
    :: else
    fi
}

inline release()
{
#ifdef BUG_NORELLOCK                         /* finds nothing to do, does not wait for who does it */
    if
    :: atomic { head_plus_1[me] == 0 && hint_summary[me] == 0 -> goto released }
    :: else
    fi;
#endif
    LOCK(release_lock[me]);
    take_hints();
    dirty_detach();
    do
    :: list != 0 -> dirty_take(); release_pages(false); dirty_more()
    :: else -> break
    od;
#ifdef BUG_HINTLAST
    atomic { hint[me] = 0; hint_summary[me] = 0 };
#endif
    UNLOCK(release_lock[me]);
released:
    skip
}

/* --- acquire and eviction --- */

inline drop_run()
{
    n = 0;
    do
    :: n < P ->
        if
        :: HAS(row, n) -> view[ME(n)] = NONE
        :: else
        fi;
        n++
    :: else -> n = 0; break
    od;
    atomic {
        for (n : 0 .. P - 1) {
            if
            :: HAS(row, n) ->
                state[ME(n)] = INVALID;
                spoil(n);
#ifndef BUG_ACQNOBUSY
                UNLOCK(busy[ME(n)])
#endif
            :: else
            fi
        }
        n = 0;
        row = 0
    }
}

inline unregister()
{
    assert(view[ME(q)] == NONE);
    registered[ME(q)] = false;
#ifdef BUG_UNREGLATE
    UNLOCK(busy[ME(q)]);
#endif
    atomic { copyset[q] = copyset[q] & ~BIT(me) };
}

#ifdef HOT
inline merge(b)                              /* what is new goes into frame and twin */
{
    atomic {
        if
#ifdef BUG_REFRESHALL                        /* what this PE has written is not new, and lost */
        :: fresh[IN(me, q, b)] != frame[IN(me, q, b)] ->
#else
        :: fresh[IN(me, q, b)] != twin[IN(me, q, b)] ->
#endif
            frame[IN(me, q, b)] = fresh[IN(me, q, b)];
#ifndef BUG_REFRESHNOTWIN
            twin[IN(me, q, b)] = fresh[IN(me, q, b)]
#endif
        :: else
        fi
    }
}

/* Page q, which is being written, and stays so. */
inline refresh()
{
#ifdef BUG_REFRESHNOBUSY
    UNLOCK(busy[ME(q)]);
#endif
    fresh[IN(me, q, 0)] = frame[IN(HOME(q), q, 0)];
#if W > 1
    fresh[IN(me, q, 1)] = frame[IN(HOME(q), q, 1)];
#endif
    merge(0);
#if W > 1
    merge(1);
#endif
#ifndef BUG_REFRESHNOBUSY
    UNLOCK(busy[ME(q)]);
#endif
    skip
}
#endif

#ifdef WANTED
/* Page q, which is only read, and goes on to be. */
inline refresh_clean()
{
#ifdef BUG_WANTEDNOBUSY
    UNLOCK(busy[ME(q)]);
#endif
#ifndef BUG_WANTEDNOGET
    frame[IN(me, q, 0)] = frame[IN(HOME(q), q, 0)];
#if W > 1
    frame[IN(me, q, 1)] = frame[IN(HOME(q), q, 1)];
#endif
#endif
#ifndef BUG_WANTEDNOBUSY
    UNLOCK(busy[ME(q)]);
#endif
    skip
}
#endif

/* The pages in `told`, from this PE's stale map. */
inline take_stale()
{
    q = 0;
    row = 0;
    do
    :: q < P && !HAS(told, q) -> q++
    :: q < P && HAS(told, q) ->
#ifndef BUG_ACQNOBUSY
#if P > 1
        if
        :: row != 0 ->
            if
            :: atomic { FREE(busy[ME(q)]) -> GRAB(busy[ME(q)]) }
            :: HELD(busy[ME(q)]) -> drop_run(); LOCK(busy[ME(q)])
            fi
        :: else -> LOCK(busy[ME(q)])
        fi;
#else
        LOCK(busy[ME(q)]);
#endif
#endif
        if
        :: state[ME(q)] == CLEAN -> row = row | BIT(q); q++
#ifdef WANTED                                /* any copy that is mapped, or not */
        :: state[ME(q)] == CLEAN && view[ME(q)] != NONE -> refresh_clean(); q++
#endif
#ifdef HOT                                   /* not yet: it counts the notices in vain */
        :: state[ME(q)] == INVALID && registered[ME(q)] -> UNLOCK(busy[ME(q)]); q++
        :: state[ME(q)] == DIRTY -> refresh(); q++
#endif
        :: state[ME(q)] == INVALID && registered[ME(q)] ->
#if P > 1
            drop_run();
#endif
#ifdef BUG_UNREGNOBUSY
            UNLOCK(busy[ME(q)]);
#endif
            unregister();
#if !defined(BUG_UNREGNOBUSY) && !defined(BUG_UNREGLATE) && !defined(BUG_ACQNOBUSY)
            UNLOCK(busy[ME(q)]);
#endif
            q++
        :: (state[ME(q)] == INVALID && !registered[ME(q)]) || state[ME(q)] == DIRTY ||
           state[ME(q)] == TRACKED || state[ME(q)] == WRITTEN ->
            atomic {
                if
                :: state[ME(q)] == DIRTY -> dirty = dirty | BIT(q)
                :: else
                fi;
#ifndef BUG_ACQNOBUSY
                UNLOCK(busy[ME(q)]);
#endif
                q++
            };
#if P > 1
            drop_run()
#endif
        fi
    :: q == P -> q = 0; break
    od;
    told = 0;
    drop_run();
    if
    :: dirty != 0 ->
        d_step { set = dirty; dirty = 0 };
#ifdef BUG_DROPGAP                           /* an ordinary release, then the unmapping */
        row = set;
        LOCK(release_lock[me]);
        release_pages(false);
        UNLOCK(release_lock[me]);
        atomic { for (q : 0 .. P - 1) { if :: HAS(row, q) -> LOCK(busy[ME(q)]) :: else fi }; q = 0 };
        drop_run()
#elif defined(BUG_DROPNORELLOCK)
        release_pages(true)
#else
        LOCK(release_lock[me]);
        release_pages(true);
        UNLOCK(release_lock[me])
#endif
    :: else
    fi
}

inline acquire()
{
#ifndef BUG_NOACQLOCK
    LOCK(acquire_lock[me]);
#endif
#ifdef BUG_TAKEUNTILEMPTY
again:
#endif
#ifdef BUG_SUMLAST
    atomic { told = stale_summary[me]; taking[me] = taking[me] + told };
#else
    atomic { told = stale_summary[me]; stale_summary[me] = 0; taking[me] = taking[me] + told };
#endif
    if
    :: told != 0 ->
        d_step { told = stale[me]; stale[me] = 0 };
#ifdef BUG_SUMLAST
        stale_summary[me] = 0;
#endif
        if
        :: told != 0 -> take_stale()
        :: else
        fi;
        taking[me]--
#ifdef BUG_TAKEUNTILEMPTY
        ; if
        :: stale_summary[me] != 0 -> goto again
        :: else
        fi
#endif
    :: else
    fi;
#ifndef BUG_NOACQLOCK
    UNLOCK(acquire_lock[me])
#endif
}

inline evict()                               /* page p */
{
#ifdef BUG_EVICTNORELLOCK
    set = BIT(p);
    release_pages(true)
#else
    LOCK(release_lock[me]);
    if
    :: (state[ME(p)] == CLEAN || state[ME(p)] == DIRTY) && !PINNED(me, p) ->
        set = BIT(p);
        release_pages(true)
    :: else
    fi;
    UNLOCK(release_lock[me])
#endif
}

/* --- memory management --- */

#ifdef FORGET
inline forget()                              /* page 0 */
{
    LOCK(release_lock[me]);
#ifndef BUG_FORGETHINT
    take_hints();
#endif
    atomic {
        view[ME(0)] = NONE;
        state[ME(0)] = INVALID;
        spoil(0);
#ifndef BUG_FORGETREG
        registered[ME(0)] = false;
#endif
        if
        :: HOME(0) == me -> copyset[0] = 0
        :: else
        fi;
        pinned[me] = false
    };
    UNLOCK(release_lock[me])
}
#endif

#ifdef HOT
#define PROTOCOL_LOCALS byte told, dirty, row, hot, named; bool missed; byte copies[P]
#else
#define PROTOCOL_LOCALS byte told, dirty, row; byte copies[P]
#endif
#define START_HANDLERS  skip
#include "program.pml"
