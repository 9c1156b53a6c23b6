/* SPDX-License-Identifier: BSD-3-Clause */
/* A bitmap with two levels of summary, as built in src/protocol/stale.c: pages two to a word,
 * two words under one word, that one under another. Tellers write a page at its home, then set
 * its bit level by level; takers of one PE take the map, drop what they find, and may fetch again.
 * After an acquire, a copy is as new as the releases before it. README.md, run.sh.
 * invalidate.pml has two levels of this in place; this one has all three and nothing else. */
#define BIT(i) (1 << (i))
#define HAS(set, i) (((set) >> (i)) & 1)
#ifndef TAKES
#define TAKES 1
#endif
#ifndef TELLS1
#define TELLS1 0
#endif

byte bits[2], middle, top;
byte at_home[4], copy[4], told[4];           /* versions of the pages */
bool absent[4];
bool acquire_lock = false;

inline set_bit() { atomic { bits[page / 2] = bits[page / 2] | BIT(page % 2) } }
inline set_middle() { atomic { middle = middle | BIT(page / 2) } }

proctype teller(byte page; byte times)       /* hth_bitmap_post, a level flushed before the next */
{
    do
    :: times > 0 ->
        at_home[page]++;
#ifdef BUG_MIDDLEFIRST
        set_middle();
        set_bit();
        top = 1;
#elif defined(BUG_TOPFIRST)
        set_bit();
        top = 1;
        set_middle();
#else
        set_bit();
        set_middle();
        top = 1;
#endif
        told[page] = at_home[page];
        times--
    :: else -> break
    od
}

/* take_word: a look first, then a swap. */
inline take_word(word, found)
{
    if
    :: word != 0 -> d_step { found = word; word = 0 }
    :: word == 0 -> found = 0
    fi
}

proctype taker(byte times)                   /* hth_bitmap_take, under the acquire lock */
{
    byte tops, middles, found, w, page, before;
    do
    :: times > 0 ->
        if /* the page that will be looked at */
        :: page = 0
        :: page = 1
        :: page = 2
        fi;
        before = told[page];
#ifndef BUG_NOACQLOCK
        atomic { !acquire_lock -> acquire_lock = true };
#endif
#ifdef BUG_TOPLAST
        tops = top;
#else
        take_word(top, tops);
#endif
        if
        :: tops != 0 ->
#ifdef BUG_MIDDLELAST
            middles = middle;
#else
            take_word(middle, middles);
#endif
            w = 0;
            do
            :: w < 2 && HAS(middles, w) ->
                take_word(bits[w], found);
                atomic {
                    if
                    :: HAS(found, 0) -> absent[2 * w] = true
                    :: else
                    fi;
                    if
                    :: HAS(found, 1) -> absent[2 * w + 1] = true
                    :: else
                    fi;
                    found = 0;
                    w++
                }
            :: w < 2 && !HAS(middles, w) -> w++
            :: w == 2 -> w = 0; break
            od;
#ifdef BUG_MIDDLELAST
            middle = 0;
#endif
            middles = 0
        :: else
        fi;
#ifdef BUG_TOPLAST
        top = 0;
#endif
        tops = 0;
#ifndef BUG_NOACQLOCK
        acquire_lock = false;
#endif
        d_step {
            if
            :: absent[page] -> absent[page] = false; copy[page] = at_home[page]
            :: else
            fi;
            assert(copy[page] >= before);
            page = 0;
            before = 0
        };
        times--
    :: else -> break
    od
}

init
{
    atomic {
        run teller(0, 2);
        run teller(1, TELLS1);
        run teller(2, 1);
        run taker(2);
        run taker(TAKES)
    }
}
