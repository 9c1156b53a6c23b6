/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated world: N PEs in one process, each program thread, each handler and each PE's
 * network an *actor*. Program threads and handlers are coroutines; a network actor has no stack:
 * when it is picked, one piece of a one-sided operation takes effect.
 *
 * Everything of a run hangs on one struct sim_world and is allocated from its arena, so that a new
 * run is a reset, and the exhaustive search can copy a state and come back to it. */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "coroutine.h"
#include "homes.h"
#include "litmus_case.h"
#include "protocol/coherence.h"
#include "rng.h"

enum {
    SIM_PES_MAX = 80,
    SIM_THREADS_MAX = 96, /* of all PEs */
    SIM_REGIONS_MAX = 2,
    SIM_GROUPS_MAX = 10,
    SIM_LOCKS_MAX = 6,
    SIM_FLAGS_MAX = 24,
    SIM_BARRIERS_MAX = 8,
    SIM_BYTES_MAX = 256, /* that the program uses, of all regions */
    SIM_SPANS_MAX = 160,
    SIM_UNITS_MAX = 4096,
    SIM_OPS_MAX = 1024 /* of one thread */
};

/* --- what a run is to be: drawn from the seed (config.c) -------------------------------------- */

enum sim_strategy {
    SIM_MOODS,     /* every actor has a weight, drawn anew from time to time */
    SIM_PRIORITIES /* the highest priority runs; at a few random steps the one that runs falls */
};

enum sim_scheme { SIM_INVALIDATE, SIM_UPDATE, SIM_SEQUENTIAL };

struct sim_config {
    uint64_t seed;
    int n_pes, n_threads; /* threads: of all PEs */
    int threads_of[SIM_PES_MAX];
    int n_regions;
    enum sim_scheme scheme[SIM_REGIONS_MAX]; /* now: a program may change it */
    enum sim_scheme first_scheme[SIM_REGIONS_MAX];
    uint64_t page_bytes, collective_pages, solo_pages;
    unsigned ahead_max; /* pages that a miss may fetch together */
    enum hth_deal deal;
    int fixed_pe;
    unsigned cache_pages;     /* 0: no limit */
    struct hth_tuning tuning; /* when the protocols do what: batch 0, as they ship */
    bool claims;              /* pages may be dealt to who touches them first */
    /* schedule */
    enum sim_strategy strategy;
    unsigned stay_percent;   /* go on with the actor that runs */
    unsigned mood_steps;     /* how long weights last, on average */
    unsigned changes;        /* of priorities */
    unsigned poll_percent;   /* a thread that waits handles messages in the handler's stead */
    unsigned hold_percent;   /* messages held back */
    unsigned hold_steps_max; /* for so long */
    unsigned piece_percent;  /* one-sided operations cut in pieces */
    unsigned stage_percent;  /* pieces read at one moment and written at a later one */
    bool point_after;        /* scheduling points behind port calls as well as before */
    unsigned steps_max;      /* then a fair schedule */
    unsigned step_ns;        /* a step, by the clock of the PEs */
    bool break_fifo;         /* a mutation of the port itself: messages of a pair overtake */
    /* program */
    int n_groups, n_locks, n_barriers;
    unsigned ops_max; /* of a thread and phase */
    unsigned evict_weight, fence_weight, zero_weight, write_weight, same_percent, back_percent,
        local_weight, handoff_weight, pause_weight, forget_percent, each_percent, racy_weight,
        change_percent, place_percent, advise_weight;
    int values; /* of a byte: 256, or few, so that states recur */
};

#include "sim_program.h"

/* --- the oracle (oracle.c) -------------------------------------------------------------------- */

/* A byte that the program uses. */
struct sim_byte {
    uint8_t region;
    uint32_t page, offset;
    uint8_t value, before; /* the last write in happens-before order; the one before it */
    int writer;            /* thread, or -1 */
    uint32_t writer_clock;
    uint64_t written_step; /* for messages */
    uint64_t marks[2];     /* threads whose release under way began after the last write */
    bool in_flux;          /* being zeroed: the value is not known */
    uint32_t *readers;     /* n_threads: each one's clock when it last read it */
};

struct sim_clock {
    uint32_t *of; /* n_threads */
};

/* --- failures --------------------------------------------------------------------------------- */

enum sim_invariant {
    SIM_INV_NONE = 0,
    SIM_INV_OWNER = 1, /* numbered as in DESIGN 5 */
    SIM_INV_COPYSET = 2,
    SIM_INV_RELEASE = 3,
    SIM_INV_READ = 4,
    SIM_INV_QUIET = 5,
    SIM_INV_PROGRESS = 6,
    SIM_INV_ACQUIRE = 7,   /* 3, seen from the other end: what was taken is unmapped */
    SIM_INV_CONTRACT = 8,  /* port.h's rules for its callers */
    SIM_INV_DIED = 9,      /* hth_port_die, or a crash */
    SIM_INV_WORKLOAD = 10, /* a bug of the simulator: the program races */
    SIM_INV_LITMUS = 11    /* an outcome that the litmus table forbids */
};

struct sim_failure {
    enum sim_invariant invariant;
    int pe, region; /* -1: none */
    uint64_t page, step;
    char text[300];
};

/* --- actors ------------------------------------------------------------------------------------
 */

enum sim_kind { SIM_THREAD, SIM_HANDLER, SIM_NETWORK };
enum sim_state {
    SIM_READY,
    SIM_ON_LOCK,
    SIM_ON_SHORT,
    SIM_ON_NOTIFY,
    SIM_ON_FLUSH,
    SIM_ON_PREDICATE,
    SIM_IDLE, /* a handler without a message; a network without an operation */
    SIM_DONE
};

struct sim_actor {
    struct sim_context context;
    struct sim_world *world;
    enum sim_kind kind;
    enum sim_state state;
    int pe, thread; /* thread: index among all, or -1 */
    const void *on; /* what it waits for: lock, flush */
    bool (*predicate)(const void *);
    void *live;    /* exploring: its stack matters from here up */
    uint64_t seen; /* notifications when it last looked */
    bool in_handler;
    bool fresh;      /* it has just taken a message up */
    bool shown;      /* since its last scheduling point it has done what others can see */
    int short_locks; /* held */
    uint32_t weight, priority;
    uint64_t since_turn; /* fair turns since the fault, release or acquire under way began */
    bool serving;        /* one is under way */
    const char *doing;
};

/* --- a PE, as the port sees it -----------------------------------------------------------------
 */

enum sim_rma_kind { SIM_GET, SIM_PUT, SIM_WORD };

/* A piece of a one-sided operation under way. */
struct sim_rma {
    uint8_t kind, op, region;
    bool staged, stage;
    bool ordered; /* hth_port_order_words came after it: what follows ranks higher */
    uint8_t rank;
    int16_t target;
    uint32_t bytes;
    uint64_t at; /* offset in the region, or word */
    uint8_t *local;
    uint64_t operand;
    uint8_t data[16];
};
enum { SIM_RMA_MAX = 256, SIM_STAGE_MAX = 16 };

struct sim_message {
    struct sim_message *next;
    struct hth_region *region; /* an alarm, to oneself, for this page; NULL: a message */
    uint64_t page;
    uint64_t hold_until;
    uint64_t hops[2]; /* tally.c */
    size_t bytes;
    uint8_t *buffer;
};
struct sim_channel {
    struct sim_message *head, *tail;
};

/* A page's stale bit was taken by the acquire under way. It has not been unmapped since, nor
 * fetched by a get that read the home's bytes since: one that read them before may end after. */
enum sim_taken {
    SIM_NOT_TAKEN,
    SIM_TAKEN,
    SIM_TAKEN_AND_ASKED, /* by a get that has not ended */
};

struct hth_port {
    struct sim_world *world;
    int pe;
    struct hth_coherence *coherence;
    uint64_t notified;
    bool handling;
    unsigned ringing; /* alarms that are being handled */
    unsigned n_inbox;
    struct sim_channel *from; /* n_pes */
    struct sim_rma *rma;      /* SIM_RMA_MAX, in order of issue */
    unsigned n_rma;
    struct hth_homes homes[SIM_REGIONS_MAX];
    struct hth_region region[SIM_REGIONS_MAX];
    uint8_t *view[SIM_REGIONS_MAX]; /* enum hth_view, a page each */
    uint64_t *words[SIM_REGIONS_MAX];
    uint8_t *taken[SIM_REGIONS_MAX]; /* enum sim_taken, a page each */
    uint64_t acquire_no;
};

struct sim_barrier {
    int threads_in[SIM_PES_MAX];
    bool passed[SIM_PES_MAX];
    int pes_in, pes_forgot, pes_out, pes_changing[3], pes_placing[3];
    struct sim_clock clock;
};

struct sim_lock {
    int holder_plus_1;
    struct sim_clock clock;
};

struct sim_event {
    uint64_t step;
    int16_t pe, thread;
    uint8_t what, region;
    bool in_handler;
    uint32_t page;
    int64_t a, b, c;
};

struct sim_world {
    struct sim_config config;
    struct sim_program program;
    struct sim_rng rng;
    struct sim_litmus litmus;
    struct sim_context main;
    struct sim_actor *actors, *running;
    int n_actors, threads_left, cursor;
    bool quiet;    /* no scheduling: setting up, or taking down */
    bool fair;     /* the last phase: everyone in turn, messages at once */
    bool draining; /* all threads are done */
    uint64_t steps, fair_turns, next_mood;
    uint64_t clock;    /* counts steps; in the fair phase rounds, for all PEs run at once */
    uint64_t clock_ns; /* what the PEs' clocks show */
    uint64_t change_at[8];
    uint32_t next_low;
    struct hth_port *ports; /* n_pes */
    struct sim_byte *bytes;
    uint16_t *byte_at[SIM_REGIONS_MAX]; /* of each region byte: index + 1, or 0; NULL if big */
    struct sim_clock *clocks;           /* n_threads */
    struct sim_lock locks[SIM_LOCKS_MAX], local[SIM_PES_MAX];
    bool flag[SIM_FLAGS_MAX];
    struct sim_clock flag_clock[SIM_FLAGS_MAX];
    struct sim_barrier barriers[SIM_BARRIERS_MAX];
    int forgetting; /* PEs between the start of a forget or place and the end of everyone's */
    uint64_t next_value;
    uint64_t live_bytes; /* of hth_port_alloc and messages */
    uint64_t n_reads, n_writes, n_faults;
    struct sim_failure failure;
    bool tracing;
    const uint8_t *dropped; /* SIM_UNITS_MAX bits */
    /* Not NULL: all orders are explored. Returns one of n options; the first: no delay. */
    int (*choose)(struct sim_world *world, int n);
    int chosen_detail; /* of a network: the operation; of a handler: the channel; -1: any */
    uint64_t schedule_seed;
    struct sim_memory *memory; /* live allocations (memory.c) */
    struct sim_tally *tally;   /* NULL: nobody counts */
};

/* What the command line fixes, whatever the seed says. */
struct sim_options {
    int pes, scheme; /* 0, -1: any */
    unsigned steps;  /* of the unfair part; 0: from the seed */
    bool break_fifo;
};

/* All that a run follows from. */
struct sim_case {
    struct sim_options options;
    int litmus; /* 0: none; else 1 + the combination */
    uint64_t seed, schedule_seed;
    uint8_t dropped[SIM_UNITS_MAX / 8]; /* operations left out of the program */
};

/* case.c */
struct sim_case sim_case_of_seed(uint64_t seed, const struct sim_options *options);
/* Run it in `world`; the caller looks at the world and then calls sim_world_fini. */
bool sim_case_run(struct sim_world *world, const struct sim_case *what, bool tracing);
/* "seed", or "seed:schedule seed:dropped operations"; of a litmus test with its name and a colon
 * before. */
void sim_case_print(const struct sim_case *what);
bool sim_case_parse(struct sim_case *what, const char *text);

/* small.c */
enum sim_small_set { SIM_SMALL, SIM_LARGER, SIM_DELAYED };
/* `seconds` for each kind of small world. Prints what it did; returns an exit code. */
int sim_small_worlds(struct sim_world *world, const struct sim_options *options,
                     enum sim_small_set set, uint64_t seed, double seconds, bool quiet);
/* An empty world in which all orders can be explored; its program is made between the two. */
void sim_small_begin(struct sim_world *world, enum sim_scheme scheme, int n_pes);
void sim_small_end(struct sim_world *world);

/* shrink.c */
void sim_shrink(struct sim_world *world, struct sim_case *what, double seconds);

/* config.c */
void sim_config_draw(struct sim_config *config, uint64_t seed, const struct sim_options *options);
void sim_config_draw_schedule(struct sim_config *config, struct sim_rng *rng);
const char *sim_scheme_name(enum sim_scheme scheme);
void sim_config_print(const struct sim_config *config);

/* program.c, program_print.c */
void sim_program_draw(struct sim_program *program, const struct sim_config *config);
void sim_program_print(const struct sim_world *world);
bool sim_unit_dropped(const struct sim_world *world, unsigned unit);

/* world.c */
void sim_world_init(struct sim_world *world); /* config, program, dropped are set */
void sim_world_fini(struct sim_world *world);
/* Run to the end or to a failure; returns whether all is well. */
bool sim_world_run(struct sim_world *world);

/* explore.c: every order of a small program, or every one with few delays. The actor that runs goes
 * on, and when it must wait the next in turn does; each that is passed over for another costs a
 * delay. (Delay bounding: Emmi, Qadeer and Rakamaric, POPL 2011. A preemption is a delay or more.)
 */
struct sim_explore {
    enum sim_scheme scheme;
    const struct hth_tuning *tuning;
    int delays;      /* -1: any number */
    double deadline; /* sim_now() then */
    uint64_t states, runs;
    bool complete;     /* out: all orders were seen */
    int choices[4096]; /* out: those that led to the failure */
    unsigned n_choices;
};
/* The world is initialised. Returns whether all is well. */
bool sim_explore(struct sim_world *world, struct sim_explore *explore);
/* The world is initialised anew: make the choices that led to the failure again. */
void sim_explore_replay(struct sim_world *world, struct sim_explore *explore);

uint64_t sim_state_hash(const struct sim_world *world); /* explore_hash.c */

/* memory.c */
void *sim_arena(size_t bytes); /* zeroed, 64-byte aligned, lives until sim_arena_reset */
void sim_arena_reset(void);
size_t sim_arena_used(void);
/* What the search over all orders must save besides the arena: the free lists. */
void sim_memory_save(void *to);
void sim_memory_restore(const void *from);
enum { SIM_MEMORY_SAVED_BYTES = 1024, SIM_SMALL_BYTES = 2048 };
uint8_t *sim_stack(int index, size_t *bytes_out);
void *sim_memory_new(struct sim_world *world, size_t bytes);
void sim_memory_free(struct sim_world *world, void *memory, size_t bytes);
void sim_memory_reset(struct sim_world *world);

/* schedule.c */
void sim_point(struct hth_port *port);       /* a scheduling point */
void sim_point_after(struct hth_port *port); /* one more, if the configuration says so */
void sim_block(struct sim_actor *actor, enum sim_state state, const void *on);
void sim_block_on(struct hth_port *port, bool (*predicate)(const void *), const void *arg);
void sim_leave(struct sim_world *world); /* the running actor is done, or the run is over */
bool sim_can_handle(const struct hth_port *port);
bool sim_deliverable(const struct hth_port *port, int from);
unsigned sim_step_ns(const struct sim_world *world); /* of world->clock */
void sim_start_schedule(struct sim_world *world);

/* port_sim.c */
void sim_handle_one(struct hth_port *port, struct sim_actor *actor);
/* rma.c */
void sim_rma_effect(struct hth_port *port, unsigned index);
bool sim_rma_pending(const struct hth_port *port, const void *flush);
bool sim_rma_eligible(const struct hth_port *port, unsigned index);

/* thread.c */
void sim_thread_main(void *actor);
void sim_handler_main(void *actor);
/* A call begins and ends: its steps are bounded in the fair phase. */
void sim_call_begin(struct sim_actor *actor, const char *doing);
void sim_call_end(struct sim_actor *actor);
void sim_call_release(struct sim_actor *actor); /* and what must hold then */
void sim_call_acquire(struct sim_actor *actor);

/* barrier.c */
void sim_barrier_pass(struct sim_actor *actor, const struct sim_op *op);

/* oracle.c */
void sim_oracle_init(struct sim_world *world);
/* racy: by an access that no other orders; of a sequential region */
void sim_oracle_store(struct sim_actor *actor, int index, uint8_t value, bool racy);
void sim_oracle_load(struct sim_actor *actor, int index, uint8_t value, bool racy);
void sim_oracle_zeroed(struct sim_world *world, int region, uint64_t first_page, uint64_t n_pages);
void sim_clock_join(struct sim_world *world, struct sim_clock *into, const struct sim_clock *from);
void sim_clock_tick(struct sim_actor *actor);

/* check.c */
void sim_check_copyset(struct sim_world *world, int region, uint64_t page);
void sim_mark_release(struct sim_actor *actor);
void sim_check_release(struct sim_actor *actor);
void sim_check_acquired(struct hth_port *port);
void sim_check_quiet(struct sim_world *world);
void sim_check_plain(struct sim_world *world, int pe, int region); /* check_change.c */
int sim_home_of(struct sim_world *world, int region, uint64_t page);
/* check_sequential.c */
bool sim_ledger_has(struct sim_world *world, int region, uint64_t page, int home, int pe);
void sim_check_views(struct sim_world *world, int region, uint64_t page, int pe);
void sim_check_ledger(struct sim_world *world, int region, uint64_t page, int home);
/* The PE whose frame is the page's truth: its owner, or its home. */
int sim_truth_of(struct sim_world *world, int region, uint64_t page, int home);
/* Record a failure and end the run: does not return while an actor runs. */
void sim_fail(struct sim_world *world, enum sim_invariant invariant, int pe, int region,
              uint64_t page, const char *format, ...) __attribute__((format(printf, 6, 7)));
const char *sim_invariant_name(enum sim_invariant invariant);

/* trace.c */
enum sim_what {
    SIM_EV_PROTOCOL, /* a: enum hth_event, b: value */
    SIM_EV_PROTECT,
    SIM_EV_PUNCH,
    SIM_EV_ISSUE, /* a: kind, b: target, c: offset or word */
    SIM_EV_EFFECT,
    SIM_EV_SEND, /* a: to, b: kind, c: bytes */
    SIM_EV_HANDLE,
    SIM_EV_ALARM,
    SIM_EV_FAULT,
    SIM_EV_FAULT_END,
    SIM_EV_LOAD, /* a: offset, b: value */
    SIM_EV_STORE,
    SIM_EV_CALL, /* a: string */
    SIM_EV_DONE
};
enum { SIM_NO_PAGE = UINT32_MAX };
void sim_trace(struct sim_world *world, int pe, enum sim_what what, int region, uint64_t page,
               int64_t a, int64_t b, int64_t c);
void sim_trace_message(struct sim_world *world, int pe, enum sim_what what, int other,
                       const void *message, size_t bytes);
void sim_trace_reset(void);
void sim_trace_print(const struct sim_world *world, int region, uint64_t page, unsigned last);

static inline double sim_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int sim_n_pes(const struct sim_world *world)
{
    return world->config.n_pes;
}

#endif
