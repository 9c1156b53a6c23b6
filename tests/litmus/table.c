/* SPDX-License-Identifier: BSD-3-Clause */
/* In reasons, "home order" is the order in which a byte's values come to its home, and T0, T1 ...
 * are the threads, each on a PE of its own. */
#include "table.h"

enum { X, Y, Z };

/* The last argument is the phase with barrier edges. */
/* clang-format off */
#define W(var, value, phase) {LT_STORE, var, value, phase}
#define R(reg, var, phase)   {LT_LOAD, var, (reg) - 1, phase}
/* clang-format on */

const struct lt_test lt_tests[] = {
    {
        .name = "MP",
        .about = "message passing: is the flag (y) seen only with the message (x)?",
        .n_threads = 2,
        .n_vars = 2,
        .n_regs = 2,
        .ops = {{W(X, 1, 0), W(Y, 1, 1)}, {R(1, Y, 1), R(2, X, 2)}},
        .sequential = "00 01 11",
        .sequential_barrier = "01 11",
        .sequential_why = "10: the flag is seen, so x=1 was before it",
        .none = {"**", NULL, NULL,
                 "10 is allowed: pages travel one by one and in any order, and a copy of x from "
                 "before is kept until an acquire"},
        .fence = {"0* w1", NULL, NULL,
                  "if any byte of y=1 is seen, T0's release of x had returned, and T1's acquire "
                  "came after"},
        .barrier = {"*1", NULL, NULL, "x=1 is a barrier before its load; y is raced for"},
    },
    {
        .name = "SB",
        .about = "store buffering: can both loads miss the other's store?",
        .n_threads = 2,
        .n_vars = 2,
        .n_regs = 2,
        .ops = {{W(X, 1, 0), R(1, Y, 1)}, {W(Y, 1, 0), R(2, X, 1)}},
        .sequential = "01 10 11",
        .sequential_barrier = "11",
        .sequential_why = "00: the first of the two stores is before the other thread's load",
        .none = {"**", NULL, NULL,
                 "00 is allowed, and usual: a store stays in the writer's frame until a release"},
        .fence = {"*1 1*", NULL, NULL,
                  "of the two releases one returned first, and the other thread's acquire began "
                  "after that: that thread sees the whole of the other's store. So one register "
                  "at least is 1"},
        .barrier = {"11", NULL, NULL, "no race: both stores are a barrier before both loads"},
    },
    {
        .name = "LB",
        .about = "load buffering: can each load return the other thread's later store?",
        .n_threads = 2,
        .n_vars = 2,
        .n_regs = 2,
        .ops = {{R(1, X, 0), W(Y, 1, 1)}, {R(2, Y, 1), W(X, 1, 2)}},
        .sequential = "00 01 10",
        .sequential_barrier = "00 01",
        .sequential_why = "11: each load would come before itself",
        .none = {"0* *0", NULL, NULL,
                 "causality: a load is done before the next operation begins, and nothing is sent "
                 "before it is stored; so 11 cannot be, not even in part (ww). The runner keeps "
                 "the processor from exchanging a load and a later store"},
        .fence = {"0* *0", NULL, NULL, "as without fences"},
        .barrier = {"0*", NULL, NULL, "x=1 is two barriers after its load; y is raced for"},
    },
    {
        .name = "IRIW",
        .about = "independent reads of independent writes: do two readers agree on the order?",
        .n_threads = 4,
        .n_vars = 2,
        .n_regs = 4,
        .ops = {{W(X, 1, 0)}, {W(Y, 1, 0)}, {R(1, X, 0), R(2, Y, 1)}, {R(3, Y, 0), R(4, X, 1)}},
        .sequential = "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111",
        .sequential_barrier = "0101 0111 1101 1111",
        .sequential_why = "1010: T2 has x=1 before y=1, T3 the other way round",
        .none = {"****", NULL, NULL, "1010 is allowed: each reader has copies of its own age"},
        .fence = {"****", NULL, NULL,
                  "1010 is allowed: a store comes to the home, and may be fetched there, before "
                  "the release has told (or updated) all others. A reader that has seen it does "
                  "not know that the release has returned"},
        .barrier = {"*1*1", NULL, NULL, "r2 and r4 are a barrier after the stores"},
    },
    {
        .name = "CoRR",
        .about = "coherence of two reads: can a variable go back to an older value?",
        .n_threads = 2,
        .n_vars = 1,
        .n_regs = 2,
        .ops = {{W(X, 1, 0)}, {R(1, X, 0), R(2, X, 1)}},
        .sequential = "00 01 11",
        .sequential_barrier = "01 11",
        .sequential_why = "10: back in time",
        .none = {"0* ~~ w1", NULL, NULL,
                 "coherence. Invalidate: without an acquire a copy changes only once, when it is "
                 "fetched, and at the home each byte of the writer's puts arrives once; after an "
                 "acquire it is fetched from the home again, later, and the home's byte has not "
                 "gone back. Update: DATA and UPDATEs come from the home in its order (one "
                 "channel), and the handler writes both into the frame"},
        .fence = {"0* ~~ w1", NULL, NULL, "as without: an acquire fetches from the home, later"},
        .barrier = {"*1", NULL, NULL, "r1 is raced for, r2 is a barrier after the store"},
    },
    {
        .name = "CoWW",
        .about = "coherence of two writes: does the second one stay?",
        .n_threads = 2,
        .n_vars = 1,
        .n_regs = 1,
        .shows_final = true,
        .ops = {{W(X, 1, 0), W(X, 2, 1)}, {R(1, X, 1)}},
        .sequential = "02 12 22",
        .sequential_barrier = "12 22",
        .sequential_why = "x=0 or x=1: x=2 is the last in the order",
        .none = {"*2", NULL, NULL,
                 "one PE writes x, so its final value is no race: two puts (or DIFFs) of one PE "
                 "for one byte come to the home in order, each release waiting for its own"},
        .fence = {"*2", NULL, NULL, "as without fences"},
        .barrier = {"w2", NULL, NULL, "r1 is a barrier after x=1, and races with x=2"},
    },
    {
        .name = "2+2W",
        .about = "two writers, two variables each: does one order of all stores explain the end?",
        .n_threads = 2,
        .n_vars = 2,
        .n_regs = 0,
        .shows_final = true,
        .ops = {{W(X, 1, 0), W(Y, 2, 1)}, {W(Y, 1, 0), W(X, 2, 1)}},
        .sequential = "12 21 22",
        .sequential_barrier = "22",
        .sequential_why = "11: each thread's first store would be after the other's second",
        .none = {"ww", NULL, "!w w! !!",
                 "11 is allowed: each page has a home order of its own. All PEs agree on it under "
                 "invalidate: who released told all others, and they fetch what is at the home. "
                 "Under update a writer's own DIFF and the other's UPDATE may cross: then the "
                 "writer has the other's bytes, and the home has its own"},
        .fence = {"2w w2", NULL, "!w w! !!",
                  "a release waits until its bytes are at the home; for 11, x=2 came there before "
                  "x=1, whose release returned before y=2, which came before y=1, whose release "
                  "returned before x=2"},
        .barrier = {"22", NULL, NULL, "no race: a barrier between the two stores of a variable"},
    },
    {
        .name = "WRC",
        .about = "write to read causality: does what T1 saw reach who sees T1's store?",
        .n_threads = 3,
        .n_vars = 2,
        .n_regs = 3,
        .ops = {{W(X, 1, 0)}, {R(1, X, 0), W(Y, 1, 1)}, {R(2, Y, 1), R(3, X, 2)}},
        .sequential = "000 001 010 011 100 101 111",
        .sequential_barrier = "001 011 101 111",
        .sequential_why = "110: x=1, seen by T1, is before y=1, seen by T2",
        .none = {"***", NULL, NULL, "110 is allowed, as 10 in MP"},
        .fence = {"***", NULL, NULL,
                  "110 is allowed: T1's fences act for T1's stores. T1 may fetch x=1 from the home "
                  "(or be updated) before T0's release has told T2"},
        .barrier = {"**1", NULL, NULL, "x=1 is a barrier before r3; x at r1 and y are raced for"},
    },
    {
        .name = "ISA2",
        .about = "message passing through a third: x, then y by T0; y, then z by T1; z, then x",
        .n_threads = 3,
        .n_vars = 3,
        .n_regs = 3,
        .ops = {{W(X, 1, 0), W(Y, 1, 1)}, {R(1, Y, 1), W(Z, 1, 2)}, {R(2, Z, 2), R(3, X, 3)}},
        .sequential = "000 001 010 011 100 101 111",
        .sequential_barrier = "001 011 101 111",
        .sequential_why = "110: x=1 is before y=1, seen before z=1, seen before r3",
        .none = {"***", NULL, NULL, "110 is allowed, as 10 in MP"},
        .fence = {"0** *0* **1", NULL, NULL,
                  "unlike in WRC, x=1 is released by its writer before y=1 is stored: if T1 saw y, "
                  "and T2 saw z, that release had returned before T2's acquire"},
        .barrier = {"**1", NULL, NULL, "x=1 is a barrier before r3; y and z are raced for"},
    },
    {
        .name = "CoRR2",
        .about = "two writers of one variable: do two readers see one order?",
        .n_threads = 4,
        .n_vars = 1,
        .n_regs = 4,
        .shows_final = true,
        .ops = {{W(X, 1, 0)}, {W(X, 2, 1)}, {R(1, X, 0), R(2, X, 1)}, {R(3, X, 1), R(4, X, 2)}},
        .sequential = "00001 00002 00011 00012 00021 00022 00111 00112 00122 00211 00221 "
                      "00222 01001 01002 01011 01012 01021 01022 01111 01112 01122 01211 "
                      "01221 01222 02001 02002 02011 02012 02021 02022 02111 02112 02122 "
                      "02211 02221 02222 11001 11002 11011 11012 11021 11022 11111 11112 "
                      "11122 11211 11221 11222 12002 12012 12022 12112 12122 12222 21001 "
                      "21011 21021 21111 21211 21221 22001 22002 22011 22012 22021 22022 "
                      "22111 22112 22122 22211 22221 22222",
        .sequential_barrier = "01122 01222 02122 02222 11122 11222 12122 12222",
        .sequential_why =
            "any other: both readers, and the final value, follow the order of the two stores",
        .none = {"****w", "w0**. **w0. 1221. 2112. 12**1 21**2 **121 **212", "****!",
                 "coherence: readers that do not write x themselves see its home order (as in "
                 "CoRR), and an agreed final value is the last of it. Whether PEs agree: 2+2W"},
        .fence = {"****w", "w0**. **w0. 1221. 2112. 12**1 21**2 **121 **212", "****!",
                  "as without fences"},
        .barrier = {"0ww22 1ww22 ~ww22", NULL, NULL,
                    "no race between the stores; x=1 races with r1 alone, x=2 with r2 and r3"},
    },
};

const unsigned lt_n_tests = sizeof lt_tests / sizeof lt_tests[0];
