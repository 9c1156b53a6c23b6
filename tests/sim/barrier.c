/* SPDX-License-Identifier: BSD-3-Clause */
/* Barriers, and what all PEs do together behind one: forget pages, change a region's protocol,
 * place pages elsewhere. */
#include "sim.h"

static struct hth_port *port_of(struct sim_actor *actor)
{
    return &actor->world->ports[actor->pe];
}

static bool is_true(const void *flag)
{
    return *(const bool *)flag;
}

struct count {
    const int *have;
    int want;
};

static bool is_reached(const void *arg)
{
    const struct count *count = arg;
    return *count->have >= count->want;
}

static void wait_count(struct sim_actor *actor, const int *have, int want)
{
    struct count count = {have, want};
    sim_block_on(port_of(actor), is_reached, &count);
}

static void forget(struct sim_actor *actor, struct sim_barrier *barrier,
                   const struct sim_forget *what)
{
    struct sim_world *world = actor->world;
    struct hth_port *port = port_of(actor);
    const struct hth_extent *extent = &what->extent;
    if (world->forgetting == 0) {
        world->forgetting = sim_n_pes(world);
        sim_oracle_zeroed(world, what->region, extent->first_page, extent->n_pages);
    }
    sim_call_begin(actor, "forget");
    hth_coherence_forget(port->coherence, &port->region[what->region], extent->first_page,
                         extent->n_pages);
    sim_call_end(actor);
    hth_homes_remove(&port->homes[what->region], extent->first_page);
    hth_homes_add(&port->homes[what->region], extent);
    world->forgetting--;
    barrier->pes_forgot++;
    if (what->fences) {
        sim_call_release(actor);
    }
    wait_count(actor, &barrier->pes_forgot, sim_n_pes(world));
    if (what->fences) {
        sim_call_acquire(actor);
    }
}

/* As hth_region_change does it. */
static void change(struct sim_actor *actor, struct sim_barrier *barrier,
                   const struct sim_change *what)
{
    struct sim_world *world = actor->world;
    struct hth_port *port = port_of(actor);
    struct hth_region *region = &port->region[what->region];
    int n = sim_n_pes(world);
    sim_call_begin(actor, "change");
    hth_coherence_change_begin(port->coherence, region);
    hth_coherence_change_drop(port->coherence, region, 0, region->n_pages);
    barrier->pes_changing[0]++;
    wait_count(actor, &barrier->pes_changing[0], n);
    hth_coherence_change_reset(port->coherence, region, 0, region->n_pages);
    barrier->pes_changing[1]++;
    wait_count(actor, &barrier->pes_changing[1], n);
    world->config.scheme[what->region] = what->to;
    hth_coherence_change_end(port->coherence, region,
                             what->to == SIM_UPDATE ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE,
                             what->to == SIM_SEQUENTIAL ? HEARTH_SEQUENTIAL : HEARTH_RELEASE);
    sim_check_plain(world, actor->pe, what->region);
    barrier->pes_changing[2]++;
    wait_count(actor, &barrier->pes_changing[2], n);
    sim_call_end(actor);
}

/* As hth_region_place does it. */
static void place(struct sim_actor *actor, struct sim_barrier *barrier,
                  const struct sim_place *what)
{
    struct sim_world *world = actor->world;
    struct hth_port *port = port_of(actor);
    struct hth_region *region = &port->region[what->region];
    uint64_t first = what->first_page, n = what->n_pages;
    sim_call_begin(actor, "place");
    hth_coherence_place_drop(port->coherence, region, first, n, what->pe);
    barrier->pes_placing[0]++;
    wait_count(actor, &barrier->pes_placing[0], sim_n_pes(world));
    if (barrier->pes_placing[1] == 0 && world->forgetting == 0) {
        world->forgetting = sim_n_pes(world); /* homes differ from PE to PE */
    }
    hth_coherence_place_move(port->coherence, region, first, n, what->pe);
    barrier->pes_placing[1]++;
    wait_count(actor, &barrier->pes_placing[1], sim_n_pes(world));
    hth_coherence_place_end(port->coherence, region, first, n, what->pe);
    world->forgetting--;
    barrier->pes_placing[2]++;
    wait_count(actor, &barrier->pes_placing[2], sim_n_pes(world));
    hth_coherence_unpin(port->coherence, region);
    sim_call_end(actor);
}

/* Meanwhile this thread evicts what it finds, as a fault on another region's page may. */
static void disturb(struct sim_actor *actor, int region)
{
    struct hth_port *port = port_of(actor);
    for (uint64_t page = 0; page < port->region[region].n_pages && page < 8; page++) {
        sim_call_begin(actor, "evict");
        hth_coherence_evict(port->coherence, &port->region[region], page);
        sim_call_end(actor);
    }
    sim_call_begin(actor, "make room");
    hth_cache_make_room(port->coherence, UINT32_MAX);
    sim_call_end(actor);
}

/* A lock, an unlock, a fence of another thread, which is told of what else goes on. */
static void fence_meanwhile(struct sim_actor *actor)
{
    struct hth_coherence *coherence = port_of(actor)->coherence;
    sim_call_begin(actor, "fences");
    hth_coherence_release(coherence);
    hth_coherence_acquire(coherence);
    sim_call_end(actor);
}

/* Uses pages that stay where they are, upwards, so that read-ahead comes near those that move. */
static void read_around(struct sim_actor *actor, const struct sim_place *what)
{
    struct hth_port *port = port_of(actor);
    struct hth_region *region = &port->region[what->region];
    for (uint64_t page = 0; page < region->homes->collective_pages && page < 8; page++) {
        bool moves = page >= what->first_page && page < what->first_page + what->n_pages;
        if (!moves && port->view[what->region][page] == HTH_VIEW_NONE) {
            sim_call_begin(actor, "read");
            hth_coherence_fault(port->coherence, region, page, false);
            sim_call_end(actor);
        }
    }
}

/* Writes on pages that stay where they are, and are here, what they hold already: upwards or
 * downwards, so that write-ahead comes near those that are forgotten or moved. */
static void write_around(struct sim_actor *actor, int of, uint64_t first, uint64_t n, bool upwards)
{
    struct hth_port *port = port_of(actor);
    struct hth_region *region = &port->region[of];
    uint64_t pages = region->n_pages < 16 ? region->n_pages : 16;
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t page = upwards ? i : pages - 1 - i;
        bool stays = page < first || page >= first + n;
        if (stays && port->view[of][page] == HTH_VIEW_READ) {
            sim_call_begin(actor, "write");
            hth_coherence_fault(port->coherence, region, page, true);
            sim_call_end(actor);
        }
    }
}

/* What hth_memory_free, set_protocol and hearth_place do before their first barrier. */
static void pin(struct sim_actor *actor, const struct sim_forget *what,
                const struct sim_change *into, const struct sim_place *to)
{
    struct hth_port *port = port_of(actor);
    if (to->yes) {
        hth_homes_make_room(&port->homes[to->region]);
        hth_coherence_pin(port->coherence, &port->region[to->region], to->first_page, to->n_pages);
    }
    if (what->yes && !into->yes) {
        hth_coherence_pin(port->coherence, &port->region[what->region], what->extent.first_page,
                          what->extent.n_pages);
    }
    if (into->yes) { /* and perhaps a forget before it: all of its pages are pinned then */
        hth_coherence_pin(port->coherence, &port->region[into->region], 0,
                          port->region[into->region].n_pages);
    }
    if (what->yes && into->yes && what->region != into->region) {
        hth_coherence_pin(port->coherence, &port->region[what->region], what->extent.first_page,
                          what->extent.n_pages);
    }
}

/* What other threads of the PE do while one of them forgets, changes or places. */
static void meanwhile(struct sim_actor *actor, const struct sim_op *op)
{
    struct sim_world *world = actor->world;
    struct sim_barrier *barrier = &world->barriers[op->which];
    const struct sim_forget *what = &world->program.forget[op->which];
    const struct sim_change *into = &world->program.change[op->which];
    const struct sim_place *to = &world->program.place[op->which];
    if (what->yes && what->disturbed) {
        wait_count(actor, &barrier->pes_in, sim_n_pes(world)); /* all pages are pinned */
        disturb(actor, what->region);
        fence_meanwhile(actor);
        if (!into->yes || into->region != what->region) { /* nobody uses what changes */
            write_around(actor, what->region, what->extent.first_page, what->extent.n_pages, false);
        }
        disturb(actor, what->region);
        fence_meanwhile(actor);
    }
    if (to->yes && to->disturbed) {
        if (to->early) { /* begun before the pages are pinned, and not over then, perhaps */
            read_around(actor, to);
        }
        wait_count(actor, &barrier->pes_in, sim_n_pes(world));
        disturb(actor, to->region);
        read_around(actor, to);
        write_around(actor, to->region, to->first_page, to->n_pages, op->which % 2 != 0);
        fence_meanwhile(actor);
        disturb(actor, to->region);
        read_around(actor, to);
        hth_coherence_release(port_of(actor)->coherence);
    }
    if (into->yes && into->disturbed) {
        wait_count(actor, &barrier->pes_in, sim_n_pes(world)); /* the change begins */
        disturb(actor, into->region);
        sim_call_release(actor);
        sim_call_acquire(actor);
        sim_call_release(actor);
    }
}

/* One thread, the last of its PE to come, fences for all; or each does so for itself. */
void sim_barrier_pass(struct sim_actor *actor, const struct sim_op *op)
{
    struct sim_world *world = actor->world;
    struct sim_barrier *barrier = &world->barriers[op->which];
    const struct sim_forget *what = &world->program.forget[op->which];
    const struct sim_change *into = &world->program.change[op->which];
    const struct sim_place *to = &world->program.place[op->which];
    int pe = actor->pe, threads = world->config.threads_of[pe];
    bool each = world->program.each[op->which][pe];
    sim_point(port_of(actor));
    sim_clock_join(world, &barrier->clock, &world->clocks[actor->thread]);
    if (each) {
        sim_call_release(actor);
    }
    bool last = ++barrier->threads_in[pe] == threads;
    if (last) {
        pin(actor, what, into, to);
        if (!each) {
            sim_call_release(actor);
        }
        barrier->pes_in++;
    }
    if (last || each) {
        wait_count(actor, &barrier->pes_in, sim_n_pes(world));
        sim_call_acquire(actor);
        if (last && what->yes) {
            forget(actor, barrier, what);
        }
        if (last && into->yes) {
            change(actor, barrier, into);
        }
        if (last && to->yes) {
            place(actor, barrier, to);
        }
        barrier->passed[pe] = barrier->passed[pe] || last;
    }
    if (!last) {
        meanwhile(actor, op);
    }
    if (!each) {
        sim_block_on(port_of(actor), is_true, &barrier->passed[pe]);
    }
    sim_clock_join(world, &world->clocks[actor->thread], &barrier->clock);
    sim_clock_tick(actor);
}
