/* SPDX-License-Identifier: BSD-3-Clause */
/* The home's side of the sequential protocol, src/protocol/sequential_home.c: all of it with the
 * home lock held. Included by sequential.pml. */

/* A step of its own: the page lock is taken inside, and the program may act before and after. */
inline set_home(s_, v_)
{
    atomic {
        LOCK(page_lock[ME(p)]);
        set_view(v_);
        state[ME(p)] = s_;
        UNLOCK(page_lock[ME(p)])
    }
}

inline give_to_home(s_, v_)                  /* inside atomic */
{
#ifndef BUG_HOMENOHOLD
    hold[ME(p)] = true;
#endif
    GIVEN;
    LOCK(page_lock[ME(p)]);
    set_view(v_);
    state[ME(p)] = s_;
    UNLOCK(page_lock[ME(p)]);
    pending[ME(p)] = false
}

inline finish_read()
{
    if
    :: atomic { now_pe[p] == me ->
        if
        :: state[ME(p)] == EXCLUSIVE -> give_to_home(EXCLUSIVE, RW)
        :: else -> give_to_home(TRACKED, R)
        fi;
        serving[p] = false
    }
    :: now_pe[p] != me ->
#ifdef BUG_DATAFIRST
        atomic { copyset[p] = copyset[p] | BIT(now_pe[p]); send_bytes(now_pe[p], DATA, 0) };
#endif
        if
#ifndef BUG_HOMEGOESON
        :: state[ME(p)] == EXCLUSIVE -> set_home(TRACKED, R)
#endif
        :: else
        fi;
        atomic {
#ifndef BUG_DATAFIRST
#ifndef BUG_READERUNKNOWN
            copyset[p] = copyset[p] | BIT(now_pe[p]);
#endif
            send_bytes(now_pe[p], DATA, 0);
#endif
            serving[p] = false
        }
    fi
}

#ifdef BUG_NODATABYFLAG
#define HAS_THEM now_copy[p]
#elif defined(BUG_NODATABYCOPYSET)
#define HAS_THEM HAS(copyset[p], now_pe[p])
#else
#define HAS_THEM (now_copy[p] && HAS(copyset[p], now_pe[p]))
#endif

inline grant()                               /* inside atomic */
{
    assert(OTHERS_OUT);                      /* who leaves the copyset has no view */
    if
    :: HAS_THEM -> send(now_pe[p], GRANT, 0)
    :: else -> send_bytes(now_pe[p], GRANT, 0)
    fi;
    copyset[p] = 0;
    owner_plus_1[p] = now_pe[p] + 1
}

inline finish_write()
{
    if
    :: atomic { now_pe[p] == me ->
        copyset[p] = 0;
        give_to_home(EXCLUSIVE, RW);
        serving[p] = false
    }
    :: now_pe[p] != me ->
#ifdef BUG_GRANTFIRST
        atomic { grant() };
#endif
        if
#ifndef BUG_HOMEKEEPSVIEW
        :: state[ME(p)] != AWAY -> set_home(AWAY, NONE)
#endif
        :: else
        fi;
        atomic {
#ifndef BUG_GRANTFIRST
            grant();
#endif
#ifndef BUG_HOMEKEEPSVIEW
            spoil(p);
#endif
            serving[p] = false
        }
    fi
}

#ifdef BUG_NOACK
#define ALL_HAS_COME (HOME(p) == me && serving[p] && !waits_for_owner[p])
#else
#define ALL_HAS_COME (HOME(p) == me && serving[p] && n_drops[p] == 0 && !waits_for_owner[p])
#endif

inline begin()                               /* inside atomic: the messages of it */
{
    queue[p]?now_pe[p], now_write[p], now_copy[p];
    serving[p] = true;
    assert(owner_plus_1[p] != now_pe[p] + 1);
    if
    :: owner_plus_1[p] != 0 ->
        waits_for_owner[p] = true;
        send(owner_plus_1[p] - 1, RECALL, (now_write[p] -> 0 : COPY))
    :: owner_plus_1[p] == 0 && now_write[p] ->
        for (s : 0 .. N - 1) {
            if
            :: HAS(copyset[p], s) && s != now_pe[p] -> n_drops[p]++; send(s, INVALIDATE, 0)
            :: else
            fi
        }
        s = 0
    :: else
    fi
}

/* The ledger is here, and it is the next one's turn. */
#ifdef BUG_TWOATATIME
#define NEXT (HOME(p) == me && len(queue[p]) > 0)
#else
#define NEXT (HOME(p) == me && !serving[p] && len(queue[p]) > 0)
#endif
#define HELD_HERE (hold[ME(p)] && !queue[p]?[eval(me), _, _])

/* hth_ledger_serve, which every change of the ledger ends with; `finish` before it, and in it. */
inline serve()
{
    do
    :: ALL_HAS_COME && now_write[p] -> finish_write()
    :: ALL_HAS_COME && !now_write[p] -> finish_read()
    :: atomic { !ALL_HAS_COME && NEXT && HELD_HERE ->
#ifndef BUG_HOMENOALARM
        alarm[ME(p)] = true;
#endif
        break
    }
    :: atomic { !ALL_HAS_COME && NEXT && !HELD_HERE -> begin() };
        if
#ifndef BUG_HOMEKEEPSVIEW
        :: owner_plus_1[p] == 0 && now_write[p] && now_pe[p] != me -> set_home(AWAY, NONE)
#endif
        :: else
        fi
    :: else -> break
    od
}
