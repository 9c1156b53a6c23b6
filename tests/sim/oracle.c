/* SPDX-License-Identifier: BSD-3-Clause */
/* What each read may return. But for accesses to sequential regions that are marked racy, the
 * program is data-race-free, so for each byte there is one last
 * write in happens-before order, and it is also the last one in the simulator's own time. Vector
 * clocks, one entry a program thread, check that the program is what it claims to be. */
#include "sim.h"

void sim_oracle_init(struct sim_world *world)
{
    int n = world->config.n_threads;
    size_t bytes = (size_t)n * sizeof(uint32_t);
    world->clocks = sim_arena((size_t)n * sizeof *world->clocks);
    for (int i = 0; i < n; i++) {
        world->clocks[i].of = sim_arena(bytes);
        world->clocks[i].of[i] = 1;
    }
    for (int i = 0; i < SIM_LOCKS_MAX; i++) {
        world->locks[i].clock.of = sim_arena(bytes);
    }
    for (int i = 0; i < sim_n_pes(world); i++) {
        world->local[i].clock.of = sim_arena(bytes);
    }
    for (int i = 0; i < SIM_FLAGS_MAX; i++) {
        world->flag_clock[i].of = sim_arena(bytes);
    }
    for (int i = 0; i < world->config.n_barriers; i++) {
        world->barriers[i].clock.of = sim_arena(bytes);
    }
    const struct sim_program *program = &world->program;
    world->bytes = sim_arena((size_t)(program->n_bytes + 1) * sizeof *world->bytes);
    for (int i = 0; i < program->n_spans; i++) {
        const struct sim_span *span = &program->spans[i];
        for (unsigned j = 0; j < span->bytes; j++) {
            world->bytes[span->first_byte + j] = (struct sim_byte){.region = span->region,
                                                                   .page = span->page,
                                                                   .offset = span->offset + j,
                                                                   .writer = -1,
                                                                   .readers = sim_arena(bytes)};
        }
    }
}

void sim_clock_join(struct sim_world *world, struct sim_clock *into, const struct sim_clock *from)
{
    for (int i = 0; i < world->config.n_threads; i++) {
        if (from->of[i] > into->of[i]) {
            into->of[i] = from->of[i];
        }
    }
}

void sim_clock_tick(struct sim_actor *actor)
{
    actor->world->clocks[actor->thread].of[actor->thread]++;
}

static void check_ordered(struct sim_actor *actor, const struct sim_byte *byte)
{
    const struct sim_clock *mine = &actor->world->clocks[actor->thread];
    if (byte->writer >= 0 && byte->writer_clock > mine->of[byte->writer]) {
        sim_fail(actor->world, SIM_INV_WORKLOAD, actor->pe, byte->region, byte->page,
                 "the program races at byte %u: threads %d and %d", byte->offset, byte->writer,
                 actor->thread);
    }
}

void sim_oracle_store(struct sim_actor *actor, int index, uint8_t value, bool racy)
{
    struct sim_world *world = actor->world;
    struct sim_byte *byte = &world->bytes[index];
    const struct sim_clock *mine = &world->clocks[actor->thread];
    if (!racy) {
        check_ordered(actor, byte);
    }
    for (int i = 0; i < world->config.n_threads; i++) {
        if (!racy && byte->readers[i] > mine->of[i]) {
            sim_fail(world, SIM_INV_WORKLOAD, actor->pe, byte->region, byte->page,
                     "the program races at byte %u: thread %d read it, %d writes it", byte->offset,
                     i, actor->thread);
        }
        byte->readers[i] = 0;
    }
    byte->before = byte->value;
    byte->value = value;
    byte->writer = actor->thread;
    byte->writer_clock = mine->of[actor->thread];
    byte->written_step = world->steps;
    byte->marks[0] = byte->marks[1] = 0;
    world->n_writes++;
}

void sim_oracle_load(struct sim_actor *actor, int index, uint8_t value, bool racy)
{
    struct sim_world *world = actor->world;
    struct sim_byte *byte = &world->bytes[index];
    if (!racy) {
        check_ordered(actor, byte);
    }
    byte->readers[actor->thread] = world->clocks[actor->thread].of[actor->thread];
    world->n_reads++;
    if (value != byte->value) {
        int home = sim_home_of(world, byte->region, byte->page);
        sim_fail(world, SIM_INV_READ, actor->pe, byte->region, byte->page,
                 "thread %d.%d read %02x at byte %u, but the last write%s is "
                 "%02x, by thread %d.%d at step %llu (before that: %02x; home: PE %d)",
                 actor->pe, actor->thread, value, byte->offset,
                 racy ? "" : " in happens-before order", byte->value,
                 byte->writer < 0 ? -1 : world->program.pe_of[byte->writer], byte->writer,
                 (unsigned long long)byte->written_step, byte->before, home);
    }
}

void sim_oracle_zeroed(struct sim_world *world, int region, uint64_t first_page, uint64_t n_pages)
{
    for (int i = 0; i < world->program.n_bytes; i++) {
        struct sim_byte *byte = &world->bytes[i];
        if (byte->region == region && byte->page >= first_page &&
            byte->page < first_page + n_pages) {
            byte->before = byte->value = 0;
            byte->writer = -1;
            byte->marks[0] = byte->marks[1] = 0;
        }
    }
}
