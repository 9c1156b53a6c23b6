/* SPDX-License-Identifier: BSD-3-Clause */
/* Who runs next. Decided in the context of the actor that gives way, so that going on costs no
 * switch. */
#include <stdio.h>
#include <string.h>

#include "sim.h"

static unsigned fair_turns_max(const struct sim_world *world)
{
    return 20000u + 2000u * (unsigned)sim_n_pes(world);
}

/* However long a step has been: in the fair phase holds are long enough, or nobody would get on. */
unsigned sim_step_ns(const struct sim_world *world)
{
    return world->fair ? 100 : world->config.step_ns;
}

static void pass(struct sim_world *world, uint64_t steps)
{
    world->clock += steps;
    world->clock_ns += steps * sim_step_ns(world);
}

/* One message at a time, and alarms beside it. */
bool sim_deliverable(const struct hth_port *port, int from)
{
    const struct sim_message *head = port->from[from].head;
    if (head == NULL || (head->region == NULL && port->handling)) {
        return false;
    }
    return (port->world->fair && head->region == NULL) || head->hold_until <= port->world->clock;
}

bool sim_can_handle(const struct hth_port *port)
{
    if (port->n_inbox == 0) {
        return false;
    }
    for (int pe = 0; pe < sim_n_pes(port->world); pe++) {
        if (sim_deliverable(port, pe)) {
            return true;
        }
    }
    return false;
}

/* A thread that waits for a lock, a notification or the program's own synchronisation may handle
 * messages, if the configuration has that. */
static bool may_poll(const struct sim_actor *actor)
{
    const struct sim_world *world = actor->world;
    return world->config.poll_percent > 0 && actor->kind == SIM_THREAD && !actor->in_handler &&
           actor->short_locks == 0 && sim_can_handle(&world->ports[actor->pe]);
}

static bool runnable(const struct sim_actor *actor)
{
    const struct hth_port *port = &actor->world->ports[actor->pe];
    switch (actor->state) {
    case SIM_READY:
        return true;
    case SIM_ON_LOCK:
        return ((const struct hth_lock *)actor->on)->word == 0 || may_poll(actor);
    case SIM_ON_SHORT:
        return ((const struct hth_short_lock *)actor->on)->word == 0;
    case SIM_ON_NOTIFY:
        return actor->seen != port->notified || may_poll(actor);
    case SIM_ON_FLUSH:
        return !sim_rma_pending(port, actor->on);
    case SIM_ON_PREDICATE:
        return actor->predicate(actor->on) || may_poll(actor);
    case SIM_IDLE:
        return actor->kind == SIM_NETWORK ? port->n_rma > 0 : sim_can_handle(port);
    case SIM_DONE:
        return false;
    }
    return false;
}

static void new_weights(struct sim_world *world)
{
    for (int i = 0; i < world->n_actors; i++) {
        world->actors[i].weight = 1u << 2 * sim_below(&world->rng, 5);
    }
    world->next_mood = world->steps + 1 + sim_below(&world->rng, 2 * world->config.mood_steps);
}

static void demote(struct sim_world *world, struct sim_actor *running)
{
    for (unsigned i = 0; i < world->config.changes; i++) {
        if (world->change_at[i] == world->steps && running != NULL) {
            running->priority = world->next_low--;
        }
    }
}

/* The fair schedule: everyone in turn, and whoever is inside a fault, a release or an acquire must
 * come out of it within a number of turns. */
static struct sim_actor *pick_fair(struct sim_world *world)
{
    for (int tried = 0; tried < world->n_actors; tried++) {
        world->cursor = (world->cursor + 1) % world->n_actors;
        if (world->cursor == 0) {
            pass(world, 1);
        }
        struct sim_actor *actor = &world->actors[world->cursor];
        if (actor->serving && actor->kind == SIM_THREAD &&
            ++actor->since_turn > fair_turns_max(world)) {
            sim_fail(world, SIM_INV_PROGRESS, actor->pe, -1, 0,
                     "thread %d: %s has not ended after %u turns of a fair schedule", actor->thread,
                     actor->doing, fair_turns_max(world));
        }
        if (runnable(actor)) {
            return actor;
        }
    }
    return NULL;
}

static struct sim_actor *pick_random(struct sim_world *world, struct sim_actor *running)
{
    if (running != NULL && running->state == SIM_READY &&
        sim_chance(&world->rng, world->config.stay_percent)) {
        return running;
    }
    if (world->steps >= world->next_mood) {
        new_weights(world);
    }
    struct sim_actor *can[2 * SIM_THREADS_MAX + 2 * SIM_PES_MAX];
    unsigned n = 0, total = 0;
    for (int i = 0; i < world->n_actors; i++) {
        if (runnable(&world->actors[i])) {
            can[n++] = &world->actors[i];
            total += world->actors[i].weight;
        }
    }
    if (n == 0) {
        return NULL;
    }
    unsigned left = sim_below(&world->rng, total);
    unsigned i = 0;
    while (left >= can[i]->weight) {
        left -= can[i++]->weight;
    }
    return can[i];
}

static struct sim_actor *pick_priority(struct sim_world *world, struct sim_actor *running)
{
    demote(world, running);
    struct sim_actor *best = NULL;
    for (int i = 0; i < world->n_actors; i++) {
        struct sim_actor *actor = &world->actors[i];
        if ((best == NULL || actor->priority > best->priority) && runnable(actor)) {
            best = actor;
        }
    }
    return best;
}

struct option {
    struct sim_actor *actor;
    int detail;
};
enum { OPTIONS_MAX = 64 };

/* A network is an option for each operation under way, an idle handler one for each PE that it has
 * a message from. */
static int add_options(struct sim_actor *actor, struct option *options, int n)
{
    const struct hth_port *port = &actor->world->ports[actor->pe];
    if (!runnable(actor)) {
        return n;
    }
    int details = actor->state != SIM_IDLE     ? 1
                  : actor->kind == SIM_NETWORK ? (int)port->n_rma
                                               : sim_n_pes(actor->world);
    for (int detail = 0; detail < details && n < OPTIONS_MAX; detail++) {
        if (actor->state != SIM_IDLE ||
            (actor->kind == SIM_NETWORK ? sim_rma_eligible(port, (unsigned)detail)
                                        : sim_deliverable(port, detail))) {
            options[n++] = (struct option){actor, detail};
        }
    }
    return n;
}

/* Every runnable actor is an option: the one that runs first, if it can go on, then in turn. */
static struct sim_actor *pick_chosen(struct sim_world *world, const struct sim_actor *running)
{
    struct option options[OPTIONS_MAX];
    int n = 0, first = running == NULL ? 0 : (int)(running - world->actors);
    if (running != NULL && running->state != SIM_READY) {
        first++;
    }
    for (int i = 0; i < world->n_actors; i++) {
        n = add_options(&world->actors[(first + i) % world->n_actors], options, n);
    }
    if (n == 0) {
        return NULL;
    }
    int choice = n == 1 ? 0 : world->choose(world, n);
    world->chosen_detail = options[choice].detail;
    return options[choice].actor;
}

static struct sim_actor *pick_once(struct sim_world *world, struct sim_actor *running)
{
    if (world->choose != NULL) {
        return pick_chosen(world, running);
    }
    if (world->fair) {
        return pick_fair(world);
    }
    switch (world->config.strategy) {
    case SIM_MOODS:
        return pick_random(world, running);
    case SIM_PRIORITIES:
        return pick_priority(world, running);
    }
    return NULL;
}

/* Everyone waits for messages that are held back: time passes, until the first of them. */
static bool let_time_pass(struct sim_world *world)
{
    uint64_t now = world->clock, first = UINT64_MAX;
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        const struct hth_port *port = &world->ports[pe];
        for (int from = 0; port->n_inbox > 0 && from < sim_n_pes(world); from++) {
            const struct sim_message *head = port->from[from].head;
            if (head != NULL && head->hold_until < first) {
                first = head->hold_until;
            }
        }
    }
    if (first != UINT64_MAX && first > now) { /* a round of looking for someone may have done */
        pass(world, first - now);
    }
    return first != UINT64_MAX;
}

static void deadlock(struct sim_world *world)
{
    static const char *const names[] = {
        "ready",          "on a lock",  "on a short lock",
        "to be notified", "on a flush", "on the program's lock or barrier",
        "idle",           "done"};
    char text[260];
    int used = 0;
    for (int i = 0; i < world->n_actors && used < 200; i++) {
        const struct sim_actor *actor = &world->actors[i];
        if (actor->kind == SIM_THREAD && actor->state != SIM_DONE) {
            used += snprintf(text + used, sizeof text - (size_t)used, " %d.%d %s (%s);", actor->pe,
                             actor->thread, names[actor->state],
                             actor->doing == NULL ? "program" : actor->doing);
        }
    }
    sim_fail(world, SIM_INV_PROGRESS, -1, -1, 0, "deadlock:%s", used > 0 ? text : " nobody");
}

static struct sim_actor *pick(struct sim_world *world, struct sim_actor *running)
{
    struct sim_actor *actor = pick_once(world, running);
    if (actor == NULL && let_time_pass(world)) {
        actor = pick_once(world, running);
    }
    if (actor == NULL && world->litmus.test != NULL && !world->litmus.impatient) {
        world->litmus.impatient = true;
        actor = pick_once(world, running);
    }
    return actor;
}

/* Give way. Returns when this actor is picked (and what it waits for has come true, or a message
 * can be handled). */
static void schedule(struct sim_world *world, struct sim_actor *self)
{
    for (;;) {
        world->steps++;
        pass(world, !world->fair);
        if (!world->fair && world->steps >= world->config.steps_max && world->choose == NULL) {
            world->fair = true;
        }
        if (world->fair && ++world->fair_turns > 5000000) {
            sim_fail(world, SIM_INV_PROGRESS, -1, -1, 0, "the fair schedule never ends");
        }
        struct sim_actor *next = pick(world, self);
        if (next == NULL) {
            if (world->threads_left > 0) {
                deadlock(world);
            }
            sim_leave(world);
            return;
        }
        if (next->kind == SIM_NETWORK) {
            struct hth_port *port = &world->ports[next->pe];
            unsigned index = (unsigned)world->chosen_detail;
            while (world->choose == NULL) {
                index = sim_below(&world->rng, port->n_rma);
                if (sim_rma_eligible(port, index)) {
                    break;
                }
            }
            sim_rma_effect(port, index);
            continue;
        }
        world->running = next;
        if (next != self) {
            sim_context_switch(self == NULL ? &world->main : &self->context, &next->context);
        }
        return;
    }
}

#if SIM_HAND_SWITCH
static void schedule_actor(void *actor)
{
    schedule(((struct sim_actor *)actor)->world, actor);
}

/* What the scheduler leaves below the stack would end up in the holes of later frames, and make
 * equal states look different. */
static __attribute__((noinline)) void scrub(void)
{
    uint8_t below[4096];
    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}
#endif

static void give_way(struct sim_world *world, struct sim_actor *self)
{
#if SIM_HAND_SWITCH
    if (world->choose != NULL && self != NULL) {
        self->shown = false;
        sim_context_spill(schedule_actor, self, &self->live);
        scrub();
        return;
    }
#endif
    schedule(world, self);
}

void sim_point(struct hth_port *port)
{
    struct sim_world *world = port->world;
    if (!world->quiet) {
        give_way(world, world->running);
    }
}

void sim_point_after(struct hth_port *port)
{
    if (port->world->config.point_after) {
        sim_point(port);
    }
}

void sim_block(struct sim_actor *actor, enum sim_state state, const void *on)
{
    actor->state = state;
    actor->on = on;
    give_way(actor->world, actor);
    actor->state = SIM_READY;
}

void sim_block_on(struct hth_port *port, bool (*predicate)(const void *), const void *arg)
{
    struct sim_actor *self = port->world->running;
    if (port->world->choose == NULL) {
        sim_point(port);
    } else { /* one choice does for both: it is runnable when the predicate holds */
        self->predicate = predicate;
        sim_block(self, SIM_ON_PREDICATE, arg);
    }
    while (!predicate(arg)) {
        self->predicate = predicate;
        sim_block(self, SIM_ON_PREDICATE, arg);
        if (!predicate(arg) && sim_can_handle(port)) {
            sim_handle_one(port, self);
        }
    }
}

void sim_leave(struct sim_world *world)
{
    struct sim_actor *self = world->running;
    world->running = NULL;
    if (self != NULL) {
        sim_context_switch(&self->context, &world->main);
    }
}

void sim_start_schedule(struct sim_world *world)
{
    for (int i = 0; i < world->n_actors; i++) {
        world->actors[i].priority = 1000000 + (uint32_t)(sim_random(&world->rng) >> 40);
    }
    for (unsigned i = 0; i < world->config.changes; i++) {
        world->change_at[i] = 1 + sim_below(&world->rng, 300 << sim_below(&world->rng, 5));
    }
    world->next_low = 999999;
    new_weights(world);
    world->running = NULL;
    world->quiet = false;
    schedule(world, NULL);
    world->quiet = true;
}
