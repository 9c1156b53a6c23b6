/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of the simulated PEs. Part of sim.h, which includes it. */
#ifndef SIM_PROGRAM_H
#define SIM_PROGRAM_H

/* --- the program: data-race-free by construction (program.c) ---------------------------------- */

enum sim_op_kind {
    SIM_READ,
    SIM_WRITE,
    SIM_LOCK,       /* take an oracle lock, then acquire */
    SIM_UNLOCK,     /* release, then let it go */
    SIM_LOCAL_LOCK, /* a mutex among the threads of one PE: no fences */
    SIM_LOCAL_UNLOCK,
    SIM_SIGNAL, /* release, then raise a flag */
    SIM_WAIT,   /* wait for the flag, then acquire */
    SIM_RELEASE,
    SIM_ACQUIRE,
    SIM_EVICT,
    SIM_ZERO,      /* hth_coherence_zero at the home */
    SIM_ADVISE,    /* page and `bytes` pages behind it will be read; written, if `how` */
    SIM_OVERWRITE, /* the span's page will be overwritten; then it is, all of it */
    SIM_BARRIER,
    SIM_PAUSE,        /* compute */
    SIM_LITMUS_LOAD,  /* which: the variable; offset: the register, or FINALS + .., or FIRST */
    SIM_LITMUS_STORE, /* offset: the value */
    SIM_LITMUS_LINGER /* until the variable has come to its home, at most `bytes` steps */
};

enum sim_write_how { SIM_NEW, SIM_SAME, SIM_BACK }; /* BACK: what the byte held before that */

struct sim_op {
    uint8_t kind, how;
    uint8_t all;            /* ZERO: the whole page */
    uint8_t racy;           /* READ, WRITE: of a sequential region, and ordered by nothing */
    uint16_t unit;          /* what is dropped together in shrinking */
    uint16_t which;         /* the lock, flag, barrier; of READ, WRITE and ZERO: the span */
    uint16_t offset, bytes; /* within the span */
    uint16_t region;
    uint32_t page; /* EVICT, ADVISE */
};

/* Consecutive bytes of one page, in one group. */
struct sim_span {
    uint8_t region, group;
    uint16_t first_byte, bytes; /* index among the program's bytes */
    uint32_t page, offset;
};

/* Pages forgotten and dealt anew after a barrier. */
struct sim_forget {
    bool yes, fences, disturbed; /* disturbed: other threads evict meanwhile */
    int region;
    struct hth_extent extent; /* as it is dealt afterwards */
};

/* A region's protocol changed after a barrier. */
struct sim_change {
    bool yes, disturbed; /* disturbed: other threads release and acquire meanwhile */
    int region;
    enum sim_scheme to;
};

/* Pages get another home after a barrier. */
struct sim_place {
    bool yes, disturbed; /* disturbed: other threads release, acquire and evict meanwhile */
    bool early;          /* and read what stays, from before the pages are pinned on */
    int region, pe;
    uint64_t first_page, n_pages;
};

struct sim_program {
    int n_spans, n_bytes, n_units;
    struct sim_span spans[SIM_SPANS_MAX];
    uint16_t parent[SIM_UNITS_MAX]; /* a dropped unit takes its children along; 0: none */
    int n_ops[SIM_THREADS_MAX];
    struct sim_op *ops[SIM_THREADS_MAX];
    int pe_of[SIM_THREADS_MAX];
    bool each[SIM_BARRIERS_MAX][SIM_PES_MAX]; /* every thread fences for itself */
    struct sim_forget forget[SIM_BARRIERS_MAX];
    struct sim_change change[SIM_BARRIERS_MAX];
    struct sim_place place[SIM_BARRIERS_MAX];
};

#endif
