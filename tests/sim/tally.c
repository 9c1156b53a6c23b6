/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting what the protocols ask of the port, and how long the chains of hops are that they wait
 * for. Setting up and taking down do not count, nor what comes before all PEs have come to the
 * barrier that is named. */
#include "tally.h"

static struct sim_tally *tally_of(const struct hth_port *port)
{
    const struct sim_world *world = port->world;
    struct sim_tally *tally = world->tally;
    bool counts = tally != NULL && !world->quiet &&
                  world->barriers[tally->after_barrier].pes_in == sim_n_pes(world);
    return counts ? tally : NULL;
}

static uint64_t *hops_here(const struct hth_port *port)
{
    const struct sim_world *world = port->world;
    return world->tally->hops[world->running - world->actors];
}

static void raise_to(uint64_t *hops, const uint64_t *other)
{
    for (int how = 0; how < SIM_HOPS; how++) {
        hops[how] = other[how] > hops[how] ? other[how] : hops[how];
    }
}

void sim_tally_send(struct hth_port *port, struct sim_message *entry)
{
    struct sim_tally *tally = tally_of(port);
    if (tally == NULL) {
        return;
    }
    tally->of[port->pe].messages++;
    tally->of[port->pe].message_bytes += entry->bytes;
    for (int how = 0; how < SIM_HOPS; how++) {
        entry->hops[how] = hops_here(port)[how] + 1;
    }
}

/* What a handler does follows from the message alone. */
void sim_tally_handle(struct hth_port *port, struct sim_actor *actor,
                      const struct sim_message *entry)
{
    struct sim_tally *tally = tally_of(port);
    if (tally == NULL || entry->region != NULL) {
        return;
    }
    tally->of[port->pe].handled++;
    for (int how = 0; how < SIM_HOPS; how++) {
        tally->hops[actor - port->world->actors][how] = entry->hops[how];
    }
    raise_to(tally->woken[port->pe], entry->hops);
}

void sim_tally_rma(struct hth_port *port, enum sim_rma_kind kind, int pe, size_t bytes)
{
    struct sim_tally *tally = tally_of(port);
    if (tally == NULL) {
        return;
    }
    struct sim_counts *counts = &tally->of[port->pe];
    if (pe == port->pe) {
        counts->own_atomics++;
        return;
    }
    counts->gets += kind == SIM_GET;
    counts->puts += kind == SIM_PUT;
    counts->atomics += kind == SIM_WORD;
    counts->moved_bytes += bytes;
    for (int how = 0; how < SIM_HOPS; how++) {
        tally->flushed[port->pe][pe][kind == SIM_WORD][how] = hops_here(port)[how] + 2;
    }
}

void sim_tally_order(struct hth_port *port, int pe)
{
    struct sim_tally *tally = tally_of(port);
    if (tally != NULL) {
        uint64_t *hops = &hops_here(port)[SIM_HOPS_FLUSHED];
        uint64_t done = tally->flushed[port->pe][pe][true][SIM_HOPS_FLUSHED];
        *hops = done > *hops ? done : *hops;
    }
}

void sim_tally_flush(struct hth_port *port, int pe, bool words)
{
    struct sim_tally *tally = tally_of(port);
    if (tally != NULL) {
        raise_to(hops_here(port), tally->flushed[port->pe][pe][words]);
    }
}

/* A wait is over: by the last message handled here, as far as the model's scenarios go. */
void sim_tally_wake(struct hth_port *port)
{
    struct sim_tally *tally = tally_of(port);
    if (tally != NULL) {
        raise_to(hops_here(port), tally->woken[port->pe]);
    }
}
