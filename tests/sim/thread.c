/* SPDX-License-Identifier: BSD-3-Clause */
/* What a program thread and a handler do: the program's operations, step by step. */
#include <string.h>

#include "sim.h"

static struct hth_port *port_of(struct sim_actor *actor)
{
    return &actor->world->ports[actor->pe];
}

void sim_call_begin(struct sim_actor *actor, const char *doing)
{
    actor->doing = doing;
    actor->serving = true;
    actor->since_turn = 0;
    sim_trace(actor->world, actor->pe, SIM_EV_CALL, -1, SIM_NO_PAGE, (int64_t)(uintptr_t)doing, 0,
              0);
}

void sim_call_end(struct sim_actor *actor)
{
    sim_trace(actor->world, actor->pe, SIM_EV_DONE, -1, SIM_NO_PAGE,
              (int64_t)(uintptr_t)actor->doing, 0, 0);
    actor->doing = NULL;
    actor->serving = false;
}

void sim_call_release(struct sim_actor *actor)
{
    sim_mark_release(actor);
    sim_call_begin(actor, "release");
    hth_coherence_release(port_of(actor)->coherence);
    sim_call_end(actor);
    sim_check_release(actor);
}

void sim_call_acquire(struct sim_actor *actor)
{
    sim_call_begin(actor, "acquire");
    hth_coherence_acquire(port_of(actor)->coherence);
    sim_call_end(actor);
}

/* --- loads and stores --- */

static void fault(struct sim_actor *actor, int region, uint64_t page, bool write)
{
    struct hth_port *port = port_of(actor);
    actor->world->n_faults++;
    sim_trace(actor->world, actor->pe, SIM_EV_FAULT, region, page, write, 0, 0);
    bool first = !actor->serving; /* a fault that repeats is one, for the bound on its steps */
    if (first) {
        actor->doing = write ? "a write fault" : "a read fault";
        actor->serving = true;
        actor->since_turn = 0;
    }
    hth_coherence_fault(port->coherence, &port->region[region], page, write);
    sim_trace(actor->world, actor->pe, SIM_EV_FAULT_END, region, page, write, 0, 0);
}

/* Until the view allows it: on return the access happens in the same step. */
static uint8_t *reach(struct sim_actor *actor, int region, uint32_t page, uint32_t offset,
                      bool write)
{
    struct hth_port *port = port_of(actor);
    const enum hth_view need = write ? HTH_VIEW_WRITE : HTH_VIEW_READ;
    for (;;) {
        sim_point(port);
        if (port->view[region][page] >= need) {
            break;
        }
        fault(actor, region, page, write);
    }
    actor->serving = false;
    actor->doing = NULL;
    return hth_frame(&port->region[region], page) + offset;
}

static uint8_t *reach_span(struct sim_actor *actor, const struct sim_span *span, bool write)
{
    return reach(actor, span->region, span->page, span->offset, write);
}

static uint8_t *reach_var(struct sim_actor *actor, const struct sim_op *op, bool write)
{
    const struct sim_litmus_var *var = &actor->world->litmus.vars[op->which];
    return reach(actor, 0, var->page, var->offset, write);
}

static void load(struct sim_actor *actor, const struct sim_op *op)
{
    const struct sim_span *span = &actor->world->program.spans[op->which];
    const uint8_t *at = reach_span(actor, span, false);
    for (unsigned i = op->offset; i < op->offset + (unsigned)op->bytes; i++) {
        sim_trace(actor->world, actor->pe, SIM_EV_LOAD, span->region, span->page, span->offset + i,
                  at[i], 0);
        sim_oracle_load(actor, span->first_byte + (int)i, at[i], op->racy);
    }
}

static uint8_t new_value(struct sim_world *world, const struct sim_byte *byte,
                         enum sim_write_how how)
{
    switch (how) {
    case SIM_SAME:
        return byte->value;
    case SIM_BACK:
        return byte->before;
    case SIM_NEW:
        break;
    }
    if (world->config.values < 256) {
        return (uint8_t)((byte->value + 1) % world->config.values);
    }
    uint8_t value = (uint8_t)(world->next_value++ % 255 + 1);
    return value == byte->value ? (uint8_t)(value % 255 + 1) : value;
}

static void store(struct sim_actor *actor, const struct sim_op *op)
{
    struct sim_world *world = actor->world;
    const struct sim_span *span = &world->program.spans[op->which];
    uint8_t *at = reach_span(actor, span, true);
    for (unsigned i = op->offset; i < op->offset + (unsigned)op->bytes; i++) {
        int index = span->first_byte + (int)i;
        at[i] = new_value(world, &world->bytes[index], (enum sim_write_how)op->how);
        sim_trace(world, actor->pe, SIM_EV_STORE, span->region, span->page, span->offset + i, at[i],
                  0);
        sim_oracle_store(actor, index, at[i], op->racy);
    }
}

/* At the home, hth_coherence_zero; elsewhere, an ordinary write. The whole page includes bytes that
 * nobody uses. While it lasts, nothing is known of the bytes. */
static void zero(struct sim_actor *actor, const struct sim_op *op)
{
    struct sim_world *world = actor->world;
    struct hth_port *port = port_of(actor);
    const struct sim_span *span = &world->program.spans[op->which];
    if (hth_page_known_home(&port->region[span->region], span->page) != actor->pe) {
        store(actor, op);
        return;
    }
    uint64_t offset = op->all ? 0 : span->offset + op->offset;
    uint64_t len = op->all ? world->config.page_bytes : op->bytes;
    int first = -1, last = -1;
    for (int i = 0; i < world->program.n_bytes; i++) {
        struct sim_byte *byte = &world->bytes[i];
        if (byte->region == span->region && byte->page == span->page && byte->offset >= offset &&
            byte->offset < offset + len) {
            byte->in_flux = true;
            first = first < 0 ? i : first;
            last = i;
        }
    }
    sim_call_begin(actor, op->all ? "zero the page" : "zero bytes");
    hth_coherence_zero(port->coherence, &port->region[span->region], span->page, offset, len);
    sim_call_end(actor);
    for (int i = first; i >= 0 && i <= last; i++) {
        if (world->bytes[i].in_flux) { /* of this page: no two threads may zero the same */
            sim_trace(world, actor->pe, SIM_EV_STORE, span->region, span->page,
                      world->bytes[i].offset, 0, 0);
            sim_oracle_store(actor, i, 0, false);
            world->bytes[i].in_flux = false;
        }
    }
}

static bool is_used(const struct sim_world *world, const struct sim_span *page, uint64_t offset)
{
    for (int i = 0; i < world->program.n_bytes; i++) {
        const struct sim_byte *byte = &world->bytes[i];
        if (byte->region == page->region && byte->page == page->page && byte->offset == offset) {
            return true;
        }
    }
    return false;
}

/* From the advice on, nothing is known of the bytes; then all of the page is written, byte by byte
 * of those that the program uses and the rest with zeros: they were zero, but a frame whose memory
 * was given back is not. */
static void overwrite(struct sim_actor *actor, const struct sim_op *op)
{
    struct sim_world *world = actor->world;
    struct hth_port *port = port_of(actor);
    const struct sim_span *span = &world->program.spans[op->which];
    for (int i = 0; i < world->program.n_bytes; i++) {
        struct sim_byte *byte = &world->bytes[i];
        byte->in_flux = byte->in_flux || (byte->region == span->region && byte->page == span->page);
    }
    sim_call_begin(actor, "overwrite");
    hth_coherence_advise(port->coherence, &port->region[span->region], span->page, 1,
                         HTH_ADVICE_OVERWRITE);
    sim_call_end(actor);
    for (int i = 0; i < world->program.n_bytes; i++) {
        struct sim_byte *byte = &world->bytes[i];
        if (byte->region == span->region && byte->page == span->page) {
            uint8_t *at = reach(actor, span->region, span->page, byte->offset, true);
            *at = new_value(world, byte, SIM_NEW);
            sim_trace(world, actor->pe, SIM_EV_STORE, span->region, span->page, byte->offset, *at,
                      0);
            byte->in_flux = false;
            sim_oracle_store(actor, i, *at, false);
        }
    }
    uint8_t *frame = reach(actor, span->region, span->page, 0, true);
    for (uint64_t i = 0; i < world->config.page_bytes; i++) {
        if (frame[i] != 0 && !is_used(world, span, i)) {
            frame[i] = 0;
        }
    }
}

/* --- the program's synchronisation --- */

static bool is_free(const void *lock)
{
    return ((const struct sim_lock *)lock)->holder_plus_1 == 0;
}

static bool is_true(const void *flag)
{
    return *(const bool *)flag;
}

static void take(struct sim_actor *actor, struct sim_lock *lock)
{
    sim_block_on(port_of(actor), is_free, lock);
    lock->holder_plus_1 = actor->thread + 1;
    sim_clock_join(actor->world, &actor->world->clocks[actor->thread], &lock->clock);
}

static void give(struct sim_actor *actor, struct sim_lock *lock)
{
    sim_clock_join(actor->world, &lock->clock, &actor->world->clocks[actor->thread]);
    sim_clock_tick(actor);
    lock->holder_plus_1 = 0;
}

static void do_signal(struct sim_actor *actor, const struct sim_op *op)
{
    if (!op->how) {
        sim_call_release(actor);
    }
    sim_point(port_of(actor));
    sim_clock_join(actor->world, &actor->world->flag_clock[op->which],
                   &actor->world->clocks[actor->thread]);
    sim_clock_tick(actor);
    actor->world->flag[op->which] = true;
}

static void do_wait(struct sim_actor *actor, const struct sim_op *op)
{
    sim_block_on(port_of(actor), is_true, &actor->world->flag[op->which]);
    sim_clock_join(actor->world, &actor->world->clocks[actor->thread],
                   &actor->world->flag_clock[op->which]);
    if (!op->how) {
        sim_call_acquire(actor);
    }
}

/* --- operations --- */

/* A page that this PE has a copy of, if there is one: the first behind the one that is named. */
static uint64_t victim(struct hth_port *port, const struct sim_op *op)
{
    uint64_t n_pages = port->region[op->region].n_pages;
    for (uint64_t i = 0; i < n_pages; i++) {
        uint64_t page = (op->page + i) % n_pages;
        if (port->view[op->region][page] != HTH_VIEW_NONE &&
            hth_page_known_home(&port->region[op->region], page) != port->pe) {
            return page;
        }
    }
    return op->page;
}

/* And then the memory is given back, if nobody wants the page again already: under busy and the
 * page lock, which a recall holds from view none until it has the bytes. */
static void do_evict(struct sim_actor *actor, const struct sim_op *op)
{
    struct hth_port *port = port_of(actor);
    struct hth_region *region = &port->region[op->region];
    uint64_t page = victim(port, op);
    sim_call_begin(actor, "evict");
    hth_coherence_evict(port->coherence, region, page);
    sim_call_end(actor);
    if (port->view[op->region][page] == HTH_VIEW_NONE && region->pages[page].busy.word == 0 &&
        region->pages[page].lock.word == 0 &&
        hth_page_state(&region->pages[page]) == HTH_PAGE_INVALID &&
        hth_page_known_home(region, page) >= 0 && hth_page_known_home(region, page) != port->pe) {
        memset(hth_frame(region, page), 0xee, region->page_bytes);
    }
}

static void do_op(struct sim_actor *actor, const struct sim_op *op)
{
    struct sim_world *world = actor->world;
    switch ((enum sim_op_kind)op->kind) {
    case SIM_READ:
        load(actor, op);
        break;
    case SIM_WRITE:
        store(actor, op);
        break;
    case SIM_LOCK:
        take(actor, &world->locks[op->which]);
        sim_call_acquire(actor);
        break;
    case SIM_UNLOCK:
        sim_call_release(actor);
        give(actor, &world->locks[op->which]);
        break;
    case SIM_LOCAL_LOCK:
        take(actor, &world->local[op->which]);
        break;
    case SIM_LOCAL_UNLOCK:
        give(actor, &world->local[op->which]);
        break;
    case SIM_SIGNAL:
        do_signal(actor, op);
        break;
    case SIM_WAIT:
        do_wait(actor, op);
        break;
    case SIM_RELEASE:
        sim_call_release(actor);
        break;
    case SIM_ACQUIRE:
        sim_call_acquire(actor);
        break;
    case SIM_EVICT:
        do_evict(actor, op);
        break;
    case SIM_ZERO:
        zero(actor, op);
        break;
    case SIM_ADVISE:
        sim_call_begin(actor, "advise");
        hth_coherence_advise(port_of(actor)->coherence, &port_of(actor)->region[op->region],
                             op->page, op->bytes, op->how ? HTH_ADVICE_WRITE : HTH_ADVICE_READ);
        sim_call_end(actor);
        break;
    case SIM_OVERWRITE:
        overwrite(actor, op);
        break;
    case SIM_BARRIER:
        sim_barrier_pass(actor, op);
        break;
    case SIM_PAUSE:
        for (unsigned i = 0; i < op->bytes; i++) {
            sim_point(port_of(actor));
        }
        break;
    case SIM_LITMUS_LOAD:
        sim_litmus_load(actor, op, reach_var(actor, op, false));
        break;
    case SIM_LITMUS_LINGER:
        sim_litmus_linger(actor, op);
        break;
    case SIM_LITMUS_STORE:
        sim_litmus_store(actor, op, reach_var(actor, op, true));
        break;
    }
}

void sim_thread_main(void *arg)
{
    struct sim_actor *actor = arg;
    struct sim_world *world = actor->world;
    const struct sim_op *ops = world->program.ops[actor->thread];
    for (int i = 0; i < world->program.n_ops[actor->thread]; i++) {
        if (!sim_unit_dropped(world, ops[i].unit)) {
            do_op(actor, &ops[i]);
        }
    }
    world->threads_left--;
    for (;;) {
        sim_block(actor, SIM_DONE, NULL);
    }
}

void sim_handler_main(void *arg)
{
    struct sim_actor *actor = arg;
    for (;;) {
        struct hth_port *port = port_of(actor);
        actor->state = SIM_READY;
        if (sim_can_handle(port)) {
            sim_handle_one(port, actor);
        }
        sim_block(actor, SIM_IDLE, NULL);
    }
}
