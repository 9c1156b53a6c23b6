/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold between two protocols: a PE's part of the region is as before anybody touched it,
 * but for the bytes of the pages homed there. */
#include "sim.h"

static void check_bytes(struct sim_world *world, int pe, int region)
{
    for (int i = 0; i < world->program.n_bytes; i++) {
        const struct sim_byte *byte = &world->bytes[i];
        uint8_t now = hth_frame(&world->ports[pe].region[region], byte->page)[byte->offset];
        if (byte->region == region && sim_home_of(world, region, byte->page) == pe &&
            now != byte->value) {
            sim_fail(world, SIM_INV_QUIET, pe, region, byte->page,
                     "between two protocols byte %u of the home is %02x, the last write was %02x",
                     byte->offset, now, byte->value);
        }
    }
}

static void check_entries(struct sim_world *world, int pe, int region)
{
    const struct hth_port *port = &world->ports[pe];
    for (uint64_t page = 0; page < port->region[region].n_pages; page++) {
        const struct hth_page *entry = &port->region[region].pages[page];
        bool copy =
            sim_home_of(world, region, page) != pe && port->view[region][page] != HTH_VIEW_NONE;
        if (entry->state != 0 || entry->side != NULL || entry->registered || entry->pending ||
            entry->listed || entry->next_plus_1 != 0 || copy) {
            sim_fail(world, SIM_INV_QUIET, pe, region, page,
                     "between two protocols: state %d, side %p, registered %d, pending %d, listed "
                     "%d, next %llu, view %d",
                     entry->state, entry->side, entry->registered, entry->pending, entry->listed,
                     (unsigned long long)entry->next_plus_1, port->view[region][page]);
        }
    }
}

/* This PE has changed the protocol, and not all have. */
void sim_check_plain(struct sim_world *world, int pe, int region)
{
    const struct hth_region *r = &world->ports[pe].region[region];
    check_bytes(world, pe, region);
    check_entries(world, pe, region);
    uint64_t n_words = r->has_claims ? r->claim_word : r->n_words; /* homes stay */
    for (uint64_t word = 0; word < n_words; word++) {
        if (world->ports[pe].words[region][word] != 0) {
            sim_fail(world, SIM_INV_QUIET, pe, region, 0,
                     "between two protocols word %llu of copysets, hints and stale map is not 0",
                     (unsigned long long)word);
        }
    }
    if (r->dirty_plus_1 != 0) {
        sim_fail(world, SIM_INV_QUIET, pe, region, r->dirty_plus_1 - 1,
                 "between two protocols the page is on the dirty list");
    }
}
