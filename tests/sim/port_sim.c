/* SPDX-License-Identifier: BSD-3-Clause */
/* src/port.h for the simulated PEs; the one-sided operations are in rma.c.
 *
 * When all orders are explored, there is a point only where it makes a difference (Lipton 1975).
 * What a thread does with a lock of program context where it is the PE's only thread, and with a
 * view then, nobody can tell; an operation issued is noticed when it takes effect; a short lock
 * under another, and what is done under it, might as well have been done when the first was taken.
 * But what follows something that others can see, a message sent or a lock let go, is not done in
 * the same moment (`shown`). This rests on the protocols' locking what they share, which the random
 * schedules do not. */
#include <string.h>

#include "protocol/sequential.h"
#include "sim.h"
#include "tally.h"

/* Exploring: a point only if `shared`. */
static void point_if(struct hth_port *port, bool shared)
{
    if (port->world->choose == NULL || shared) {
        sim_point(port);
    }
}

static bool has_company(const struct hth_port *port)
{
    return port->world->config.threads_of[port->pe] > 1;
}

static bool is_alone(const struct hth_port *port)
{
    const struct sim_actor *self = port->world->running;
    return self != NULL && self->kind == SIM_THREAD && !self->in_handler && !has_company(port);
}

static bool under_short_lock(const struct hth_port *port)
{
    const struct sim_actor *self = port->world->running;
    return self != NULL && self->short_locks > 0;
}

static bool has_shown(const struct hth_port *port)
{
    return port->world->running != NULL && port->world->running->shown;
}

/* Others can see what was just done. */
static void show(struct hth_port *port)
{
    if (port->world->running != NULL) {
        port->world->running->shown = true;
    }
}

/* --- messages --- */

void *hth_port_message_new(struct hth_port *port, int pe)
{
    (void)pe;
    point_if(port, false);
    return sim_memory_new(port->world, HTH_MESSAGE_BYTES_MAX);
}

void hth_port_message_drop(struct hth_port *port, void *message)
{
    point_if(port, false);
    sim_memory_free(port->world, message, HTH_MESSAGE_BYTES_MAX);
}

static void enqueue(struct sim_world *world, struct sim_channel *channel, struct sim_message *entry)
{
    if (world->config.break_fifo && channel->head != NULL && sim_chance(&world->rng, 50)) {
        entry->next = channel->head; /* the mutation 'FIFO broken' */
        channel->head = entry;
        return;
    }
    if (channel->tail != NULL) {
        channel->tail->next = entry;
    } else {
        channel->head = entry;
    }
    channel->tail = entry;
}

void hth_port_message_send(struct hth_port *port, int pe, void *message, size_t bytes)
{
    struct sim_world *world = port->world;
    point_if(port, !under_short_lock(port));
    if (pe == port->pe || pe < 0 || pe >= sim_n_pes(world) || bytes > HTH_MESSAGE_BYTES_MAX) {
        sim_fail(world, SIM_INV_CONTRACT, port->pe, -1, 0, "a message of %zu bytes to PE %d", bytes,
                 pe);
    }
    struct sim_message *entry = sim_memory_new(world, sizeof *entry);
    *entry = (struct sim_message){.bytes = bytes, .buffer = message};
    if (sim_chance(&world->rng, world->config.hold_percent)) {
        entry->hold_until = world->clock + sim_below(&world->rng, world->config.hold_steps_max);
    }
    sim_tally_send(port, entry);
    enqueue(world, &world->ports[pe].from[port->pe], entry);
    world->ports[pe].n_inbox++;
    sim_trace_message(world, port->pe, SIM_EV_SEND, pe, message, bytes);
    show(port);
    sim_point_after(port);
}

void hth_port_message_answer(struct hth_port *port, int pe, void *message, size_t bytes)
{
    hth_port_message_send(port, pe, message, bytes);
}

uint64_t hth_port_now_ns(struct hth_port *port)
{
    if (port->world->choose != NULL) {
        /* Time plays no part. Every hold, this plus its length, has wrapped around and is over; but
         * the shorter one has not, or it would have an alarm set. */
        return UINT64_MAX - (HTH_HOLD_ASLEEP_NS + HTH_HOLD_AWAKE_NS) / 2;
    }
    return port->world->clock_ns;
}

/* An alarm is a message to oneself that comes some time after it is due; the earliest first. */
void hth_port_alarm(struct hth_port *port, struct hth_region *region, uint64_t page, uint64_t in_ns)
{
    struct sim_world *world = port->world;
    point_if(port, !under_short_lock(port));
    struct sim_message *entry = sim_memory_new(world, sizeof *entry);
    unsigned steps = (unsigned)(in_ns / sim_step_ns(world) + 1);
    uint64_t due = world->choose != NULL ? 0 : world->clock + steps;
    if (!world->fair && world->choose == NULL) {
        due += sim_below(&world->rng, steps);
    }
    *entry = (struct sim_message){.region = region, .page = page, .hold_until = due};
    struct sim_message **at = &port->from[port->pe].head;
    while (*at != NULL && (*at)->hold_until <= due) {
        at = &(*at)->next;
    }
    entry->next = *at;
    *at = entry;
    port->n_inbox++;
    sim_point_after(port);
}

static void drop_alarms(struct hth_port *port, const struct hth_region *region)
{
    struct sim_message **at = &port->from[port->pe].head;
    while (*at != NULL) {
        struct sim_message *entry = *at;
        if (entry->region == region) {
            *at = entry->next;
            port->n_inbox--;
            sim_memory_free(port->world, entry, sizeof *entry);
        } else {
            at = &entry->next;
        }
    }
}

static bool none_rings(const void *port)
{
    return ((const struct hth_port *)port)->ringing == 0;
}

void hth_port_alarm_cancel(struct hth_port *port, struct hth_region *region)
{
    sim_point(port);
    drop_alarms(port, region);
    sim_block_on(port, none_rings, port);
    drop_alarms(port, region); /* one that rang may have set another */
    sim_point_after(port);
}

void sim_handle_one(struct hth_port *port, struct sim_actor *actor)
{
    struct sim_world *world = port->world;
    int n_pes = sim_n_pes(world);
    int from =
        world->choose != NULL ? world->chosen_detail : (int)sim_below(&world->rng, (unsigned)n_pes);
    while (!sim_deliverable(port, from)) {
        from = (from + 1) % n_pes;
    }
    struct sim_channel *channel = &port->from[from];
    struct sim_message *entry = channel->head;
    channel->head = entry->next;
    if (entry->next == NULL) {
        channel->tail = NULL;
    }
    port->n_inbox--;
    actor->in_handler = true;
    actor->fresh = true;
    sim_tally_handle(port, actor, entry);
    if (entry->region != NULL) { /* perhaps beside a handler */
        sim_trace(world, port->pe, SIM_EV_ALARM, (int)entry->region->id, entry->page, 0, 0, 0);
        port->ringing++;
        hth_coherence_alarm(port->coherence, entry->region, entry->page);
        port->ringing--;
        sim_memory_free(world, entry, sizeof *entry);
        actor->in_handler = false;
        return;
    }
    port->handling = true;
    sim_trace_message(world, port->pe, SIM_EV_HANDLE, from, entry->buffer, entry->bytes);
    if (SIM_ASAN) { /* no byte beyond what was sent may be read */
        uint8_t *copy = sim_memory_new(world, entry->bytes);
        memcpy(copy, entry->buffer, entry->bytes);
        hth_coherence_handle(port->coherence, from, copy, entry->bytes);
        sim_memory_free(world, copy, entry->bytes);
    } else {
        hth_coherence_handle(port->coherence, from, entry->buffer, entry->bytes);
    }
    sim_memory_free(world, entry->buffer, HTH_MESSAGE_BYTES_MAX);
    sim_memory_free(world, entry, sizeof *entry);
    actor->in_handler = false;
    port->handling = false;
}

/* --- waiting and mutual exclusion --- */

/* Only a program thread that holds no short lock may wait. */
static struct sim_actor *waiter(struct hth_port *port)
{
    struct sim_actor *self = port->world->running;
    if (self->in_handler || self->kind != SIM_THREAD || self->short_locks > 0) {
        sim_fail(port->world, SIM_INV_CONTRACT, port->pe, -1, 0,
                 "a wait in a handler or under a short lock");
    }
    return self;
}

static void perhaps_handle(struct hth_port *port, struct sim_actor *self)
{
    struct sim_world *world = port->world;
    if (self->kind == SIM_THREAD && world->config.poll_percent > 0 && sim_can_handle(port)) {
        sim_handle_one(port, self);
    }
}

void hth_port_wait(struct hth_port *port, bool (*ready)(void *), void *arg,
                   const struct hth_wait *why)
{
    (void)why;
    if (port->world->quiet && ready(arg)) {
        return;
    }
    point_if(port, false); /* if it is not ready, whoever makes it so notifies */
    struct sim_actor *self = waiter(port);
    for (;;) {
        self->seen = port->notified;
        if (ready(arg)) {
            sim_tally_wake(port);
            break;
        }
        sim_block(self, SIM_ON_NOTIFY, NULL);
        if (self->seen == port->notified ||
            sim_chance(&port->world->rng, port->world->config.poll_percent)) {
            perhaps_handle(port, self);
        }
    }
}

void hth_port_notify(struct hth_port *port)
{
    point_if(port, !under_short_lock(port));
    port->notified++;
    show(port);
    sim_point_after(port);
}

void hth_port_lock(struct hth_port *port, struct hth_lock *lock, const struct hth_wait *why)
{
    (void)why;
    point_if(port, has_company(port));
    if (!port->world->quiet) {
        struct sim_actor *self = waiter(port);
        while (lock->word != 0) {
            sim_block(self, SIM_ON_LOCK, lock);
            if (lock->word != 0) {
                perhaps_handle(port, self);
            }
        }
    }
    lock->word = 1;
    sim_point_after(port);
}

bool hth_port_trylock(struct hth_port *port, struct hth_lock *lock)
{
    point_if(port, has_company(port));
    if (lock->word != 0) {
        return false;
    }
    lock->word = 1;
    return true;
}

void hth_port_unlock(struct hth_port *port, struct hth_lock *lock)
{
    point_if(port, has_company(port));
    if (lock->word == 0) {
        sim_fail(port->world, SIM_INV_CONTRACT, port->pe, -1, 0, "a lock that is free is unlocked");
    }
    lock->word = 0;
    sim_point_after(port);
}

/* Exploring: to wait for a lock is to be runnable when it is free, so that one choice does for
 * both; and a handler that has just taken a message up might as well have done so now. */
static void await_short(struct hth_port *port, struct hth_short_lock *lock)
{
    struct sim_actor *self = port->world->running;
    bool exploring = port->world->choose != NULL;
    bool skip = (self->short_locks > 0 || self->fresh) && lock->word == 0 && !self->shown;
    if (!exploring) {
        sim_point(port);
    }
    if (exploring && !skip) {
        sim_block(self, SIM_ON_SHORT, lock);
    }
    while (lock->word != 0) {
        sim_block(self, SIM_ON_SHORT, lock);
    }
    self->fresh = false;
    self->short_locks++;
}

void hth_port_short_lock(struct hth_port *port, struct hth_short_lock *lock)
{
    if (!port->world->quiet) {
        await_short(port, lock);
    }
    lock->word = 1;
    sim_point_after(port);
}

void hth_port_short_unlock(struct hth_port *port, struct hth_short_lock *lock)
{
    point_if(port, false);
    if (lock->word == 0) {
        sim_fail(port->world, SIM_INV_CONTRACT, port->pe, -1, 0,
                 "a short lock that is free is unlocked");
    }
    lock->word = 0;
    if (!port->world->quiet) {
        port->world->running->short_locks--;
        show(port);
    }
    sim_point_after(port);
}

/* --- views --- */

void hth_port_protect(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                      uint64_t n_pages, enum hth_view view)
{
    point_if(port, !is_alone(port) || has_shown(port));
    if (first_page + n_pages > region->n_pages) {
        sim_fail(port->world, SIM_INV_CONTRACT, port->pe, (int)region->id, first_page,
                 "protect of pages that are not there");
    }
    for (uint64_t page = first_page; page < first_page + n_pages; page++) {
        port->view[region->id][page] = (uint8_t)view;
        if (view == HTH_VIEW_NONE) {
            port->taken[region->id][page] = SIM_NOT_TAKEN;
        }
        sim_trace(port->world, port->pe, SIM_EV_PROTECT, (int)region->id, page, view, 0, 0);
        sim_check_views(port->world, (int)region->id, page, port->pe);
        sim_check_copyset(port->world, (int)region->id, page);
    }
    sim_point_after(port);
}

void hth_port_punch(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                    uint64_t n_pages)
{
    sim_point(port);
    for (uint64_t page = first_page; page < first_page + n_pages; page++) {
        if (hth_is_copy(hth_page_state(&region->pages[page])) ||
            (port->view[region->id][page] != HTH_VIEW_NONE && !port->world->quiet &&
             sim_home_of(port->world, (int)region->id, page) != port->pe)) {
            sim_fail(port->world, SIM_INV_CONTRACT, port->pe, (int)region->id, page,
                     "the memory of a copy is given back");
        }
    }
    memset(hth_frame(region, first_page), 0, n_pages * region->page_bytes);
    sim_trace(port->world, port->pe, SIM_EV_PUNCH, (int)region->id, first_page, (int64_t)n_pages, 0,
              0);
    sim_point_after(port);
}

uint64_t hth_port_next_used(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    point_if(port, false);
    for (; page < region->n_pages; page++) { /* zeros: taken for a hole */
        const uint8_t *frame = hth_frame(region, page);
        if (frame[0] != 0 || memcmp(frame, frame + 1, region->page_bytes - 1) != 0) {
            break;
        }
    }
    return page;
}

/* --- the rest --- */

void *hth_port_alloc(struct hth_port *port, size_t bytes)
{
    point_if(port, false);
    return sim_memory_new(port->world, bytes);
}

void hth_port_free(struct hth_port *port, void *memory, size_t bytes)
{
    sim_memory_free(port->world, memory, bytes);
}

_Noreturn void hth_port_die(struct hth_port *port, const struct hth_region *region, uint64_t page,
                            const char *what)
{
    sim_fail(port->world, SIM_INV_DIED, port->pe, region == NULL ? -1 : (int)region->id, page, "%s",
             what);
    __builtin_trap(); /* sim_fail came back: no actor was running */
}

void hth_port_trace(struct hth_port *port, const struct hth_region *region, uint64_t page,
                    enum hth_event event, int64_t value)
{
    sim_trace(port->world, port->pe, SIM_EV_PROTOCOL, (int)region->id, page, event, value, 0);
    if (event == HTH_EVENT_UNSUBSCRIBE || event == HTH_EVENT_SUBSCRIBE) {
        sim_check_copyset(port->world, (int)region->id, page);
    }
    if (event == HTH_EVENT_FETCH && port->taken[region->id][page] == SIM_TAKEN_AND_ASKED) {
        port->taken[region->id][page] = SIM_NOT_TAKEN;
    }
    point_if(port, false);
}
