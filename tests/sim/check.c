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
        return "3a (after an acquire, what it was told of is unmapped or fetched again)";
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
    const struct hth_region *r = &world->ports[0].region[region];
    int home = hth_homes_lookup(r->homes, page);
    if (home == HTH_HOME_OPEN) {
        uint64_t n = (uint64_t)sim_n_pes(world), bit = page / n * r->claim_bits;
        uint64_t claim = world->ports[page % n].words[region][r->claim_word + bit / 64] >> bit % 64;
        home = (int)((claim & ((UINT64_C(1) << r->claim_bits) - 1)) >> 1) - 1;
    }
    return home; /* negative: nobody has touched it */
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
            return port->taken[region][page] != SIM_NOT_TAKEN;
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
    if (home < 0) {
        return;
    }
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
            if (port->taken[region][page] == SIM_NOT_TAKEN) {
                continue;
            }
            port->taken[region][page] = SIM_NOT_TAKEN;
            if (sim_home_of(port->world, region, page) != port->pe &&
                port->view[region][page] != HTH_VIEW_NONE) {
                sim_fail(port->world, SIM_INV_ACQUIRE, port->pe, region, page,
                         "PE %d has ended an acquire that took the page's stale bit, and the page "
                         "was neither unmapped nor fetched again",
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

/* The bounded cache: what it counts is what is there. */
static void check_cache(struct sim_world *world, int pe)
{
    struct hth_port *port = &world->ports[pe];
    uint64_t used = 0, threads = (uint64_t)world->config.threads_of[pe];
    for (int id = 0; id < world->config.n_regions; id++) {
        struct hth_region *r = &port->region[id];
        uint32_t in_chunk = 0;
        for (uint64_t page = 0; page < r->n_pages; page++) {
            enum hth_page_state state = hth_page_state(&r->pages[page]);
            used += (r->cached[page] != 0) + (state == HTH_PAGE_DIRTY);
            in_chunk += r->cached[page] != 0;
            if (r->cached[page] == 0 ? hth_is_copy(state) : sim_home_of(world, id, page) == pe) {
                sim_fail(world, SIM_INV_CONTRACT, pe, id, page, "state %d, cached %d, home PE %d",
                         state, r->cached[page], sim_home_of(world, id, page));
            }
            if ((page + 1) % HTH_CACHE_CHUNK == 0 || page + 1 == r->n_pages) {
                if (r->cached_in[page / HTH_CACHE_CHUNK] != in_chunk) {
                    sim_fail(world, SIM_INV_CONTRACT, pe, id, page, "%u cached pages counted as %u",
                             in_chunk, r->cached_in[page / HTH_CACHE_CHUNK]);
                }
                in_chunk = 0;
            }
        }
    }
    uint64_t counted = port->coherence->cache.used_bytes / world->config.page_bytes;
    if (counted != used) {
        sim_fail(world, SIM_INV_CONTRACT, pe, -1, 0, "the cache counts %llu pages, and has %llu",
                 (unsigned long long)counted, (unsigned long long)used);
    }
    /* A frame and a twin for each thread, all of which may have looked when there was room. */
    if (used > world->config.cache_pages + 2 * threads) {
        sim_fail(world, SIM_INV_CONTRACT, pe, -1, 0, "%llu pages in a cache for %u",
                 (unsigned long long)used, world->config.cache_pages);
    }
}

/* Who knows a home knows the right one. */
static void check_known(struct sim_world *world, int region, uint64_t page, int home)
{
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        int known = world->ports[pe].region[region].pages[page].home_plus_1;
        if (known != 0 && known != home + 1) {
            sim_fail(world, SIM_INV_QUIET, pe, region, page, "PE %d takes PE %d for the home: %d",
                     pe, known - 1, home);
        }
    }
}

static void check_untouched(struct sim_world *world, int region, uint64_t page)
{
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        if (world->ports[pe].view[region][page] != HTH_VIEW_NONE) {
            sim_fail(world, SIM_INV_QUIET, pe, region, page, "a page without a home has a view");
        }
    }
    for (int i = 0; i < world->program.n_bytes; i++) {
        const struct sim_byte *byte = &world->bytes[i];
        if (byte->region == region && byte->page == page && byte->value != 0) {
            sim_fail(world, SIM_INV_QUIET, -1, region, page, "a page without a home was written");
        }
    }
}

void sim_check_quiet(struct sim_world *world)
{
    for (int pe = 0; pe < sim_n_pes(world) && world->config.cache_pages > 0; pe++) {
        check_cache(world, pe);
    }
    for (int region = 0; region < world->config.n_regions; region++) {
        for (uint64_t page = 0; page < world->ports[0].region[region].n_pages; page++) {
            int home = sim_home_of(world, region, page);
            check_known(world, region, page, home);
            if (home < 0) {
                check_untouched(world, region, page);
                continue;
            }
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
