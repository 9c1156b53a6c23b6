/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct sim_case sim_case_of_seed(uint64_t seed, const struct sim_options *options)
{
    return (struct sim_case){.options = *options, .seed = seed, .schedule_seed = seed * 4 + 3};
}

bool sim_case_run(struct sim_world *world, const struct sim_case *what, bool tracing)
{
    sim_arena_reset();
    memset(world, 0, sizeof *world);
    if (what->litmus > 0) {
        sim_litmus_draw(world, what);
    } else {
        sim_config_draw(&world->config, what->seed, &what->options);
        sim_program_draw(&world->program, &world->config);
    }
    world->schedule_seed = what->schedule_seed;
    world->dropped = what->dropped;
    world->tracing = tracing;
    if (tracing) {
        sim_trace_reset();
    }
    sim_world_init(world);
    return sim_world_run(world);
}

void sim_case_print(const struct sim_case *what)
{
    unsigned used = sizeof what->dropped;
    while (used > 0 && what->dropped[used - 1] == 0) {
        used--;
    }
    if (what->litmus > 0) {
        char name[SIM_LITMUS_NAME_MAX];
        sim_litmus_name((unsigned)what->litmus - 1, name);
        printf("%s:", name);
    }
    printf("%" PRIu64, what->seed);
    if (used > 0 || what->schedule_seed != what->seed * 4 + 3) {
        printf(":%" PRIu64 ":", what->schedule_seed);
        for (unsigned i = 0; i < used; i++) {
            printf("%02x", what->dropped[i]);
        }
    }
}

bool sim_case_parse(struct sim_case *what, const char *text)
{
    const char *after = text;
    what->litmus = 1 + sim_litmus_parse(text, &after);
    text = after;
    char *end;
    what->seed = strtoull(text, &end, 0);
    what->schedule_seed = what->seed * 4 + 3;
    memset(what->dropped, 0, sizeof what->dropped);
    if (end == text || (*end != ':' && *end != '\0')) {
        return false;
    }
    if (*end == '\0') {
        return true;
    }
    text = end + 1;
    what->schedule_seed = strtoull(text, &end, 0);
    if (end == text || (*end != ':' && *end != '\0')) {
        return false;
    }
    for (unsigned i = 0; *end != '\0' && i < sizeof what->dropped; i++) {
        unsigned byte;
        if (sscanf(end + 1 + 2 * i, "%2x", &byte) != 1) {
            break;
        }
        what->dropped[i] = (uint8_t)byte;
    }
    return true;
}
