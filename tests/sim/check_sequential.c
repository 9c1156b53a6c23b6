/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold of the pages of sequential regions, besides what check.c asks of all. Invariant 1
 * is checked whenever a view changes; so every store is seen by all at once, and what each frame
 * must hold when its view is raised, and each racy load return, is the last store in the
 * simulator's own time. */
#include <string.h>

#include "protocol/sequential.h"
#include "sim.h"

static const struct hth_ledger *ledger_of(const struct sim_world *world, int region, uint64_t page,
                                          int home)
{
    return world->ports[home].region[region].pages[page].side;
}

static bool bit(const struct hth_ledger *ledger, int pe)
{
    return ledger->copyset[pe / 64] >> pe % 64 & 1;
}

/* Does the home know that this PE may have a copy, or is it about to write that down? */
bool sim_ledger_has(struct sim_world *world, int region, uint64_t page, int home, int pe)
{
    const struct hth_ledger *ledger = ledger_of(world, region, page, home);
    return ledger != NULL &&
           (ledger->owner == pe || bit(ledger, pe) || (ledger->serving && ledger->now.pe == pe));
}

/* Invariant 1: one PE may write and no other read, or any number may read. */
static void check_owner(struct sim_world *world, int region, uint64_t page)
{
    int writer = -1, other = -1;
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        uint8_t view = world->ports[pe].view[region][page];
        if (view == HTH_VIEW_WRITE && writer < 0) {
            writer = pe;
        } else if (view != HTH_VIEW_NONE) {
            other = pe;
        }
    }
    if (writer >= 0 && other >= 0) {
        sim_fail(world, SIM_INV_OWNER, writer, region, page,
                 "PE %d may write the page while PE %d may %s it", writer, other,
                 world->ports[other].view[region][page] == HTH_VIEW_WRITE ? "write" : "read");
    }
}

/* The view of the page at this PE has just been set. */
void sim_check_views(struct sim_world *world, int region, uint64_t page, int pe)
{
    struct hth_port *port = &world->ports[pe];
    if (world->config.scheme[region] != SIM_SEQUENTIAL || world->quiet) {
        return;
    }
    check_owner(world, region, page);
    if (port->view[region][page] == HTH_VIEW_NONE || world->forgetting > 0) {
        return;
    }
    const uint8_t *frame = hth_frame(&port->region[region], page);
    for (int i = 0; i < world->program.n_bytes; i++) {
        const struct sim_byte *byte = &world->bytes[i];
        if (byte->region == region && byte->page == page && !byte->in_flux &&
            frame[byte->offset] != byte->value) {
            sim_fail(world, SIM_INV_READ, pe, region, page,
                     "PE %d can read the page: byte %u is %02x, but the last store, at step %llu, "
                     "was %02x",
                     pe, byte->offset, frame[byte->offset], (unsigned long long)byte->written_step,
                     byte->value);
        }
    }
}

int sim_truth_of(struct sim_world *world, int region, uint64_t page, int home)
{
    if (world->config.scheme[region] == SIM_SEQUENTIAL) {
        const struct hth_ledger *ledger = ledger_of(world, region, page, home);
        return ledger != NULL && ledger->owner >= 0 ? ledger->owner : home;
    }
    return home;
}

/* All is quiet: no one waits, and the ledger is true. */
void sim_check_ledger(struct sim_world *world, int region, uint64_t page, int home)
{
    const struct hth_ledger *ledger = ledger_of(world, region, page, home);
    if (ledger != NULL && (ledger->serving || ledger->first != NULL)) {
        sim_fail(world, SIM_INV_QUIET, home, region, page, "a request has not been served");
        return;
    }
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        const struct hth_page *entry = &world->ports[pe].region[region].pages[page];
        enum hth_page_state state = hth_page_state(entry);
        bool owns = state == HTH_PAGE_OWNED;
        if (owns != (ledger != NULL && ledger->owner == pe)) {
            sim_fail(world, SIM_INV_QUIET, pe, region, page,
                     "PE %d %s the page, and the home thinks otherwise", pe,
                     owns ? "owns" : "does not own");
            return;
        }
        if (entry->pending != 0 || entry->deferred != 0 || entry->busy.word != 0) {
            sim_fail(world, SIM_INV_QUIET, pe, region, page,
                     "at the end PE %d still waits for the page, or owes an answer", pe);
            return;
        }
    }
}
