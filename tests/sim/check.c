/* SPDX-License-Identifier: BSD-3-Clause */
/* The invariants of DESIGN 5. Each is checked where it can be broken: 2 when a view is raised or a
 * copyset shrinks, 3 when a release returns, 4 at every load (oracle.c), 5 at the end, 6 by the
 * scheduler. Reads the protocols' structures, so this is the place to change with their layout. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/update.h"
#include "sim.h"

const char *sim_invariant_name(enum sim_invariant invariant)
{
    switch (invariant) {
    case SIM_INV_NONE:
        return "none";
    case SIM_INV_OWNER:
        return "1 (one PE may write a sequential page and no other read it, or any number read)";
    case SIM_INV_COPYSET:
        return "2 (who can read a page is in its copyset)";
    case SIM_INV_RELEASE:
        return "3 (after a release, old copies are marked stale or hold the new bytes)";
    case SIM_INV_READ:
        return "4 (a read returns the last write in happens-before order)";
    case SIM_INV_QUIET:
        return "5 (at quiescence every copy equals the home)";
    case SIM_INV_PROGRESS:
        return "6 (every fault and every release ends)";
    case SIM_INV_ACQUIRE:
        return "3a (after an acquire, what it was told of is unmapped)";
    case SIM_INV_CONTRACT:
        return "port.h's contract";
    case SIM_INV_DIED:
        return "no crash";
    case SIM_INV_WORKLOAD:
        return "the workload is data-race-free (a fault of the simulator)";
    case SIM_INV_LITMUS:
        return "litmus (the table allows the outcome)";
    }
    return "?";
}

void sim_fail(struct sim_world *world, enum sim_invariant invariant, int pe, int region,
              uint64_t page, const char *format, ...)
{
    if (world->failure.invariant == SIM_INV_NONE) {
        world->failure = (struct sim_failure){
            .invariant = invariant, .pe = pe, .region = region, .page = page, .step = world->steps};
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(world->failure.text, sizeof world->failure.text, format, arguments);
        va_end(arguments);
    }
    sim_leave(world);
}

/* --- copysets --- */

static bool in_copyset(const struct hth_region *home_region, const uint64_t *words, uint64_t page,
                       int pe)
{
    const struct hth_homes *homes = home_region->homes;
    uint64_t index = page;
    if (page >= homes->collective_pages) {
        index = homes->collective_pages + (page - homes->collective_pages) % homes->solo_pages;
    }
    uint64_t bit = home_region->copyset_bits < 64
                       ? index * home_region->copyset_bits + (uint64_t)pe
                       : index * home_region->copyset_words * 64 + (uint64_t)pe;
    return words[bit / 64] >> bit % 64 & 1;
}

static bool registered(struct sim_world *world, int region, uint64_t page, int home, int pe)
{
    struct hth_port *port = &world->ports[home];
    switch (world->config.scheme[region]) {
    case SIM_INVALIDATE:
        return in_copyset(&port->region[region], port->words[region], page, pe);
    case SIM_SEQUENTIAL:
        return sim_ledger_has(world, region, page, home, pe);
    case SIM_UPDATE:
        break;
    }
    const struct hth_publication *publication = port->region[region].pages[page].side;
    return publication != NULL && (publication->copyset[pe / 64] >> pe % 64 & 1) != 0;
}

int sim_home_of(struct sim_world *world, int region, uint64_t page)
{
    return hth_homes_lookup(&world->ports[0].homes[region], page);
}

void sim_check_copyset(struct sim_world *world, int region, uint64_t page)
{
    if (world->forgetting > 0 || world->quiet) {
        return;
    }
    int home = sim_home_of(world, region, page);
    for (int pe = 0; home >= 0 && pe < sim_n_pes(world); pe++) {
        if (pe != home && world->ports[pe].view[region][page] != HTH_VIEW_NONE &&
            !registered(world, region, page, home, pe)) {
            sim_fail(world, SIM_INV_COPYSET, pe, region, page,
                     "PE %d can read the page and is not in the copyset at PE %d", pe, home);
        }
    }
}

/* --- releases and acquires --- */

/* Will the next acquire find this page's stale bit, or has the one under way found it? */
static bool will_be_told(struct hth_port *port, int region, uint64_t page)
{
    const struct hth_bitmap *map = &port->region[region].stale;
    uint64_t bit = page;
    bool all = true;
    for (unsigned level = 0; level < 3; level++) {
        bool set = port->words[region][map->level[level] + bit / 64] >> bit % 64 & 1;
        if (level == 0 && !set) {
            return port->taken[region][page] != 0;
        }
        all = all && set;
        bit /= 64;
    }
    return all || port->coherence->acquire_lock.word != 0;
}

static void check_byte_released(struct sim_world *world, const struct sim_byte *byte, int writer)
{
    int home = sim_home_of(world, byte->region, byte->page);
    enum sim_scheme scheme = world->config.scheme[byte->region];
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        struct hth_port *port = &world->ports[pe];
        struct hth_region *region = &port->region[byte->region];
        if ((pe != home || scheme == SIM_SEQUENTIAL) &&
            port->view[byte->region][byte->page] == HTH_VIEW_NONE) {
            continue;
        }
        uint8_t value = hth_frame(region, byte->page)[byte->offset];
        if (value == byte->value || (pe != home && scheme == SIM_INVALIDATE &&
                                     will_be_told(port, byte->region, byte->page))) {
            continue;
        }
        sim_fail(world, SIM_INV_RELEASE, pe, byte->region, byte->page,
                 "PE %d has released byte %u = %02x (written at step %llu), but PE %d%s has %02x%s",
                 writer, byte->offset, byte->value, (unsigned long long)byte->written_step, pe,
                 pe == home ? ", the home," : "", value,
                 pe != home && scheme == SIM_INVALIDATE ? " and no stale bit" : "");
    }
}

/* A release begins: what this PE wrote last, and wrote before, it must have sent when it ends. */
void sim_mark_release(struct sim_actor *actor)
{
    struct sim_world *world = actor->world;
    for (int i = 0; i < world->program.n_bytes; i++) {
        struct sim_byte *byte = &world->bytes[i];
        if (byte->writer >= 0 && world->program.pe_of[byte->writer] == actor->pe) {
            byte->marks[actor->thread / 64] |= UINT64_C(1) << actor->thread % 64;
        }
    }
}

/* It has returned. A mark is gone if the byte has been written since. */
void sim_check_release(struct sim_actor *actor)
{
    struct sim_world *world = actor->world;
    for (int i = 0; i < world->program.n_bytes; i++) {
        struct sim_byte *byte = &world->bytes[i];
        uint64_t mark = UINT64_C(1) << actor->thread % 64;
        if ((byte->marks[actor->thread / 64] & mark) != 0) {
            byte->marks[actor->thread / 64] &= ~mark;
            if (!byte->in_flux) {
                check_byte_released(world, byte, actor->pe);
            }
        }
    }
}

void sim_check_acquired(struct hth_port *port)
{
    for (int region = 0; region < port->world->config.n_regions; region++) {
        for (uint64_t page = 0; page < port->region[region].n_pages; page++) {
            if (!port->taken[region][page]) {
                continue;
            }
            port->taken[region][page] = 0;
            if (sim_home_of(port->world, region, page) != port->pe &&
                port->view[region][page] != HTH_VIEW_NONE) {
                sim_fail(port->world, SIM_INV_ACQUIRE, port->pe, region, page,
                         "PE %d has ended an acquire that took the page's stale bit, and the page "
                         "was never unmapped",
                         port->pe);
            }
        }
    }
}

/* --- the end --- */

/* `home`, here and below: whose frame is the truth. */
static void check_image(struct sim_world *world, int region, uint64_t page, int home)
{
    const uint8_t *frame = hth_frame(&world->ports[home].region[region], page);
    uint64_t used = 0, nonzero = 0;
    for (int i = 0; i < world->program.n_bytes; i++) {
        const struct sim_byte *byte = &world->bytes[i];
        if (byte->region == region && byte->page == page && frame[byte->offset] != byte->value) {
            sim_fail(world, SIM_INV_QUIET, home, region, page,
                     "byte %u of the home is %02x, the last write was %02x", byte->offset,
                     frame[byte->offset], byte->value);
            return;
        }
    }
    for (int i = 0; i < world->program.n_bytes; i++) {
        const struct sim_byte *byte = &world->bytes[i];
        used += byte->region == region && byte->page == page && byte->value != 0;
    }
    for (uint64_t i = 0; i < world->config.page_bytes; i++) {
        nonzero += frame[i] != 0;
    }
    if (nonzero != used) {
        sim_fail(world, SIM_INV_QUIET, home, region, page,
                 "a byte that nobody wrote is not zero at the home");
    }
}

static void check_publication(struct sim_world *world, int region, uint64_t page, int home)
{
    struct hth_region *at_home = &world->ports[home].region[region];
    const struct hth_publication *publication = at_home->pages[page].side;
    uint64_t subscribers = 0;
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        bool has = pe != home &&
                   hth_page_state(&world->ports[pe].region[region].pages[page]) != HTH_PAGE_INVALID;
        subscribers += has;
        if (pe != home && has != registered(world, region, page, home, pe)) {
            sim_fail(world, SIM_INV_QUIET, pe, region, page,
                     "PE %d %s a copy, and the home thinks otherwise", pe, has ? "has" : "has not");
        }
    }
    if (publication != NULL &&
        (publication->n_subscribers != subscribers || subscribers == 0 ||
         memcmp(publication->image, hth_frame(at_home, page), at_home->page_bytes) != 0)) {
        sim_fail(world, SIM_INV_QUIET, home, region, page,
                 "the published image or the count of subscribers is wrong");
    }
}

static void check_copy(struct sim_world *world, int region, uint64_t page, int home, int truth,
                       int pe)
{
    struct hth_port *port = &world->ports[pe];
    struct hth_region *here = &port->region[region];
    if (port->view[region][page] != HTH_VIEW_NONE &&
        memcmp(hth_frame(here, page), hth_frame(&world->ports[truth].region[region], page),
               here->page_bytes) != 0) {
        sim_fail(world, SIM_INV_QUIET, pe, region, page, "the copy at PE %d differs from PE %d's",
                 pe, truth);
    }
    if (world->config.scheme[region] == SIM_INVALIDATE &&
        (here->pages[page].registered != 0) != registered(world, region, page, home, pe)) {
        sim_fail(world, SIM_INV_QUIET, pe, region, page,
                 "PE %d's own note of its registration is wrong", pe);
    }
    if (pe != home && port->view[region][page] != HTH_VIEW_NONE &&
        !registered(world, region, page, home, pe)) {
        sim_fail(world, SIM_INV_COPYSET, pe, region, page,
                 "at the end PE %d has a copy and is not in the copyset", pe);
    }
}

void sim_check_quiet(struct sim_world *world)
{
    for (int region = 0; region < world->config.n_regions; region++) {
        for (uint64_t page = 0; page < world->ports[0].region[region].n_pages; page++) {
            int home = sim_home_of(world, region, page);
            int truth = sim_truth_of(world, region, page, home);
            check_image(world, region, page, truth);
            if (world->config.scheme[region] == SIM_UPDATE) {
                check_publication(world, region, page, home);
            } else if (world->config.scheme[region] == SIM_SEQUENTIAL) {
                sim_check_ledger(world, region, page, home);
            }
            for (int pe = 0; pe < sim_n_pes(world); pe++) {
                if (pe != truth) {
                    check_copy(world, region, page, home, truth, pe);
                }
            }
        }
    }
}
