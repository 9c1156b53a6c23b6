/* SPDX-License-Identifier: BSD-3-Clause */
/* Every order of a small program, depth first. The state of a run is a piece of the arena, the live
 * part of each stack and the world's own fields: it is copied at each choice, and copied back to
 * try the next option, at the same addresses. A state that was seen before is not gone into again;
 * two states are the same if all that can matter later is equal (explore_hash.c). Stacks are
 * compared as they are, dead slots included, so that some equal states count as different, never
 * the reverse but for a collision of 64-bit hashes. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/update.h"

#if SIM_HAND_SWITCH

enum { HOLES = 2 * 8 + 1, RMA_KEPT = 24, KEPT_REGIONS = 2 };

struct range {
    uint8_t *from;
    size_t bytes;
};

/* A choice that was met, to come back to. */
struct node {
    struct node *below;
    size_t bytes;
    struct sim_actor *running;
    int n, next, budget;
    uint8_t memory[SIM_MEMORY_SAVED_BYTES];
    uint8_t state[];
};

struct explorer {
    struct sim_world *world;
    struct sim_explore *explore;
    struct range ranges[HOLES]; /* the fixed part of the arena; the last is open to the end */
    unsigned n_ranges;
    struct node *top;
    uint64_t *seen; /* open addressing; 0: free */
    uint64_t n_seen, n_slots;
    bool at_choice;
    int n, choice, budget;
};

static struct explorer explorer;

/* --- what a state is --- */

static void find_ranges(struct explorer *e)
{
    struct sim_world *world = e->world;
    uint8_t *from = (uint8_t *)world->ports; /* the first thing that sim_world_init allocates */
    e->n_ranges = 0;
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        struct hth_port *port = &world->ports[pe];
        uint8_t *holes[2][2] = {
            {(uint8_t *)(port->rma + RMA_KEPT), (uint8_t *)(port->rma + SIM_RMA_MAX)},
            {(uint8_t *)&port->coherence->regions[KEPT_REGIONS],
             (uint8_t *)&port->coherence->n_regions}};
        for (int i = 0; i < 2; i++) {
            e->ranges[e->n_ranges++] = (struct range){from, (size_t)(holes[i][0] - from)};
            from = holes[i][1];
        }
    }
    e->ranges[e->n_ranges++] = (struct range){from, 0};
}

/* The last range ends where the arena does, which grows. */
static size_t range_bytes(const struct explorer *e, unsigned i, const uint8_t *arena_end)
{
    return i + 1 < e->n_ranges ? e->ranges[i].bytes : (size_t)(arena_end - e->ranges[i].from);
}

static uint8_t *arena_end(void)
{
    return (uint8_t *)sim_arena(0);
}

static struct range stack_of(const struct sim_actor *actor)
{
    if (actor->kind == SIM_NETWORK) {
        return (struct range){NULL, 0};
    }
    uint8_t *top = (uint8_t *)(uintptr_t)actor->context.stack + actor->context.stack_bytes;
    return (struct range){actor->context.sp, (size_t)(top - (uint8_t *)actor->context.sp)};
}

#define WORLD_FROM offsetof(struct sim_world, rng)

static size_t state_bytes(const struct explorer *e)
{
    size_t bytes = sizeof(struct sim_world) - WORLD_FROM;
    uint8_t *end = arena_end();
    for (unsigned i = 0; i < e->n_ranges; i++) {
        bytes += range_bytes(e, i, end);
    }
    for (int i = 0; i < e->world->n_actors; i++) {
        bytes += stack_of(&e->world->actors[i]).bytes;
    }
    return bytes;
}

static uint8_t *put(uint8_t *to, const void *from, size_t bytes)
{
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
    return to + bytes;
}

static struct node *save(struct explorer *e)
{
    size_t bytes = state_bytes(e);
    struct node *node = malloc(sizeof *node + bytes);
    if (node == NULL) {
        abort();
    }
    node->bytes = bytes;
    node->running = e->world->running;
    sim_memory_save(node->memory);
    uint8_t *end = arena_end();
    uint8_t *to =
        put(node->state, (uint8_t *)e->world + WORLD_FROM, sizeof(struct sim_world) - WORLD_FROM);
    for (unsigned i = 0; i < e->n_ranges; i++) {
        to = put(to, e->ranges[i].from, range_bytes(e, i, end));
    }
    for (int i = 0; i < e->world->n_actors; i++) {
        struct range stack = stack_of(&e->world->actors[i]);
        to = put(to, stack.from, stack.bytes);
    }
    return node;
}

static void restore(struct explorer *e, const struct node *node)
{
    sim_memory_restore(node->memory);
    const uint8_t *from = node->state;
    size_t bytes = sizeof(struct sim_world) - WORLD_FROM;
    memcpy((uint8_t *)e->world + WORLD_FROM, from, bytes);
    from += bytes;
    uint8_t *end = arena_end();
    for (unsigned i = 0; i < e->n_ranges; i++) {
        bytes = range_bytes(e, i, end);
        memcpy(e->ranges[i].from, from, bytes);
        from += bytes;
    }
    for (int i = 0; i < e->world->n_actors; i++) { /* the contexts are back by now */
        struct range stack = stack_of(&e->world->actors[i]);
        if (stack.bytes > 0) {
            memcpy(stack.from, from, stack.bytes);
            from += stack.bytes;
        }
    }
}

/* Who runs, and how many delays are left, matters if they are counted. */
static uint64_t state_hash(const struct explorer *e, uint64_t hash, int budget)
{
    const struct sim_world *world = e->world;
    if (e->explore->delays >= 0) {
        hash ^= ((uint64_t)budget << 8 | (uint64_t)(world->running - world->actors)) *
                UINT64_C(0x9e3779b97f4a7c15);
    }
    return hash == 0 ? 1 : hash;
}

static void grow(struct explorer *e)
{
    uint64_t old_slots = e->n_slots, *old = e->seen;
    e->n_slots = old_slots == 0 ? 1u << 12 : 2 * old_slots;
    e->seen = calloc(e->n_slots, sizeof *e->seen);
    if (e->seen == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < old_slots; i++) {
        if (old[i] != 0) {
            uint64_t slot = old[i] & (e->n_slots - 1);
            while (e->seen[slot] != 0) {
                slot = (slot + 1) & (e->n_slots - 1);
            }
            e->seen[slot] = old[i];
        }
    }
    free(old);
}

static uint64_t *slot_of(const struct explorer *e, uint64_t hash)
{
    uint64_t slot = hash & (e->n_slots - 1);
    while (e->seen[slot] != 0 && e->seen[slot] != hash) {
        slot = (slot + 1) & (e->n_slots - 1);
    }
    return &e->seen[slot];
}

/* Returns whether it is new: not met before, nor with more delays left. */
static bool note(struct explorer *e)
{
    uint64_t hash = sim_state_hash(e->world);
    int most = e->explore->delays < 0 ? e->budget : e->explore->delays;
    if (2 * e->n_seen >= e->n_slots) {
        grow(e);
    }
    for (int budget = e->budget; budget <= most; budget++) {
        if (*slot_of(e, state_hash(e, hash, budget)) != 0) {
            return false;
        }
    }
    uint64_t mine = state_hash(e, hash, e->budget);
    *slot_of(e, mine) = mine;
    e->n_seen++;
    return true;
}

/* --- the search --- */

/* In the running actor's context: let the search look, and come back with its choice. */
static int choose(struct sim_world *world, int n)
{
    struct explorer *e = &explorer;
    if (world->running == NULL) {
        return 0; /* the very first step: every thread begins with a scheduling point */
    }
    e->at_choice = true;
    e->n = n;
    sim_context_switch(&world->running->context, &world->main);
    return e->choice;
}

static int cost(const struct explorer *e, int option)
{
    return e->explore->delays < 0 ? 0 : option;
}

/* The next option of the top node that the budget allows, or -1. */
static int next_option(struct explorer *e)
{
    struct node *node = e->top;
    return node->next < node->n && cost(e, node->next) <= node->budget ? node->next++ : -1;
}

static void resume(struct explorer *e)
{
    struct node *node = e->top;
    e->budget = node->budget - cost(e, e->choice);
    e->at_choice = false;
    e->world->running = node->running;
    sim_context_switch(&e->world->main, &node->running->context);
}

/* The run has met a choice: go on with its first option, unless the state is known. */
static bool go_on(struct explorer *e)
{
    if (!note(e)) {
        return false;
    }
    struct node *node = save(e);
    node->below = e->top;
    node->n = e->n;
    node->next = 0;
    node->budget = e->budget;
    e->top = node;
    e->choice = next_option(e);
    resume(e);
    return true;
}

static bool backtrack(struct explorer *e)
{
    while (e->top != NULL) {
        int option = next_option(e);
        if (option >= 0) {
            restore(e, e->top);
            e->choice = option;
            resume(e);
            return true;
        }
        struct node *node = e->top;
        e->top = node->below;
        free(node);
    }
    return false;
}

/* A run has come to its end: what a barrier would do last, and the checks at quiescence. */
static void finish(struct sim_world *world)
{
    world->quiet = true;
    for (int pe = 0; pe < sim_n_pes(world) && world->failure.invariant == SIM_INV_NONE; pe++) {
        hth_coherence_acquire(world->ports[pe].coherence);
    }
    if (world->failure.invariant == SIM_INV_NONE) {
        if (world->litmus.test != NULL) {
            sim_litmus_end(world);
        } else {
            sim_check_quiet(world);
        }
    }
    world->quiet = false;
}

static void keep_choices(const struct explorer *e)
{
    unsigned n = 0;
    for (const struct node *node = e->top; node != NULL; node = node->below) {
        n++;
    }
    e->explore->n_choices = n;
    for (const struct node *node = e->top; node != NULL && n > 0; node = node->below) {
        if (--n < sizeof e->explore->choices / sizeof e->explore->choices[0]) {
            e->explore->choices[n] = node->next - 1;
        }
    }
}

bool sim_explore(struct sim_world *world, struct sim_explore *explore)
{
    struct explorer *e = &explorer;
    memset(e, 0, sizeof *e);
    e->world = world;
    e->explore = explore;
    e->budget = explore->delays < 0 ? 0 : explore->delays;
    world->choose = choose;
    find_ranges(e);
    sim_start_schedule(world); /* to the first choice, or to the end */
    world->quiet = false;
    bool more = true;
    while (more && world->failure.invariant == SIM_INV_NONE && sim_now() < explore->deadline) {
        if (e->at_choice) {
            more = go_on(e) || backtrack(e);
        } else {
            explore->runs++;
            finish(world);
            more = world->failure.invariant == SIM_INV_NONE && backtrack(e);
        }
    }
    bool ok = world->failure.invariant == SIM_INV_NONE;
    explore->complete = !more && ok;
    explore->states = e->n_seen;
    if (!ok) {
        keep_choices(e);
    }
    while (e->top != NULL) {
        struct node *node = e->top;
        e->top = node->below;
        free(node);
    }
    free(e->seen);
    return ok;
}

static struct sim_explore *replayed;
static unsigned n_replayed;

static int choose_again(struct sim_world *world, int n)
{
    if (world->running == NULL || n_replayed >= replayed->n_choices) {
        return 0;
    }
    int choice = replayed->choices[n_replayed++];
    return choice < n ? choice : 0;
}

void sim_explore_replay(struct sim_world *world, struct sim_explore *explore)
{
    replayed = explore;
    n_replayed = 0;
    world->choose = choose_again;
    sim_start_schedule(world);
    if (world->failure.invariant == SIM_INV_NONE) {
        finish(world);
    }
}

#else

bool sim_explore(struct sim_world *world, struct sim_explore *explore)
{
    (void)world;
    explore->complete = false; /* states are copied with their stacks: needs our own switch */
    return true;
}

void sim_explore_replay(struct sim_world *world, struct sim_explore *explore)
{
    (void)world;
    (void)explore;
}

#endif
