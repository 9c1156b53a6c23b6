/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a world, running it, taking it down. */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static void make_region(struct sim_world *world, struct hth_port *port, int id)
{
    const struct sim_config *config = &world->config;
    struct hth_homes *homes = &port->homes[id];
    uint64_t collective = config->collective_pages;
    if (hth_homes_init(homes, config->n_pes, collective, config->solo_pages) != 0) {
        abort();
    }
    struct hth_extent extent = {0, collective, config->deal, config->fixed_pe};
    if (hth_homes_add(homes, &extent) != 0) {
        abort();
    }
    struct hth_region *region = &port->region[id];
    uint64_t n_pages = collective + config->solo_pages * (uint64_t)config->n_pes;
    *region = (struct hth_region){
        .id = (uint32_t)id,
        .protocol =
            config->scheme[id] == SIM_UPDATE ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE,
        .consistency = config->scheme[id] == SIM_SEQUENTIAL ? HEARTH_SEQUENTIAL : HEARTH_RELEASE,
        .my_pe = port->pe,
        .n_pes = config->n_pes,
        .page_bytes = config->page_bytes,
        .n_pages = n_pages,
        .homes = homes,
        .ahead.window_max = config->ahead_max,
        .has_claims = config->claims};
    region->pages = sim_arena(n_pages * sizeof *region->pages);
    region->frames = sim_arena(n_pages * config->page_bytes);
    hth_region_layout(region);
    port->words[id] = sim_arena(region->n_words * sizeof(uint64_t));
    port->view[id] = sim_arena(n_pages);
    port->taken[id] = sim_arena(n_pages);
    region->cached = sim_arena(n_pages);
    region->cached_in = sim_arena(hth_cache_chunks(n_pages) * sizeof *region->cached_in);
    hth_coherence_add(port->coherence, region);
}

static void make_pe(struct sim_world *world, int pe)
{
    struct hth_port *port = &world->ports[pe];
    port->world = world;
    port->pe = pe;
    port->from = sim_arena((size_t)sim_n_pes(world) * sizeof *port->from);
    port->rma = sim_arena(SIM_RMA_MAX * sizeof *port->rma);
    port->coherence = sim_arena(sizeof *port->coherence);
    hth_coherence_init(port->coherence, port, pe, sim_n_pes(world),
                       world->config.tuning.batch > 0 ? &world->config.tuning : NULL);
    hth_coherence_limit(port->coherence, world->config.cache_pages * world->config.page_bytes);
    for (int id = 0; id < world->config.n_regions; id++) {
        make_region(world, port, id);
    }
}

static void make_actor(struct sim_world *world, enum sim_kind kind, int pe, int thread)
{
    int index = world->n_actors++;
    struct sim_actor *actor = &world->actors[index];
    *actor = (struct sim_actor){.world = world,
                                .kind = kind,
                                .pe = pe,
                                .thread = thread,
                                .weight = 1,
                                .state = kind == SIM_THREAD ? SIM_READY : SIM_IDLE};
    if (kind != SIM_NETWORK) {
        size_t bytes;
        uint8_t *stack = sim_stack(index, &bytes);
        sim_context_make(&actor->context, stack, bytes,
                         kind == SIM_THREAD ? sim_thread_main : sim_handler_main, actor);
    }
}

void sim_world_init(struct sim_world *world)
{
    const struct sim_config *config = &world->config;
    world->quiet = true;
    world->rng.state = world->schedule_seed;
    world->threads_left = config->n_threads;
    world->ports = sim_arena((size_t)config->n_pes * sizeof *world->ports);
    world->actors =
        sim_arena((size_t)(config->n_threads + 2 * config->n_pes) * sizeof *world->actors);
    sim_oracle_init(world);
    int thread = 0;
    for (int pe = 0; pe < config->n_pes; pe++) {
        make_pe(world, pe);
        for (int i = 0; i < config->threads_of[pe]; i++) {
            make_actor(world, SIM_THREAD, pe, thread++);
        }
        make_actor(world, SIM_HANDLER, pe, -1);
        make_actor(world, SIM_NETWORK, pe, -1);
    }
}

/* After a good run: forget everything and see that nothing is left allocated. */
static void take_down(struct sim_world *world)
{
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        struct hth_port *port = &world->ports[pe];
        for (int id = 0; id < world->config.n_regions; id++) {
            struct hth_region *region = &port->region[id];
            hth_coherence_forget(port->coherence, region, 0, region->n_pages);
            hth_coherence_remove(port->coherence, region);
        }
        hth_coherence_fini(port->coherence);
    }
    if (world->failure.invariant == SIM_INV_NONE && world->live_bytes != 0) {
        sim_fail(world, SIM_INV_CONTRACT, -1, -1, 0, "%llu bytes are never freed",
                 (unsigned long long)world->live_bytes);
    }
}

void sim_world_fini(struct sim_world *world)
{
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        for (int id = 0; id < world->config.n_regions; id++) {
            hth_homes_fini(&world->ports[pe].homes[id]);
        }
    }
    sim_memory_reset(world);
}

/* --- a crash in the protocol is a failure like any other --- */

static sigjmp_buf crash_exit;
static volatile sig_atomic_t crash_signal;

static void on_crash(int signal_number)
{
    crash_signal = signal_number;
    siglongjmp(crash_exit, 1);
}

static void catch_crashes(void)
{
    static bool done;
    static uint8_t stack[65536];
    if (done || SIM_ASAN) {
        return;
    }
    done = true;
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

bool sim_world_run(struct sim_world *world)
{
    catch_crashes();
    if (sigsetjmp(crash_exit, 0) == 0) {
        sim_start_schedule(world);
        if (world->failure.invariant == SIM_INV_NONE) {
            if (world->litmus.test != NULL) {
                sim_litmus_judge(world); /* copies may differ for good */
            } else {
                sim_check_quiet(world);
            }
        }
        if (world->failure.invariant == SIM_INV_NONE) {
            take_down(world);
        }
    } else {
        world->running = NULL;
        sim_fail(world, SIM_INV_DIED, -1, -1, 0, "signal %d", (int)crash_signal);
    }
    world->quiet = true;
    return world->failure.invariant == SIM_INV_NONE;
}
