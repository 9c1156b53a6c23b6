/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of the port, counted for the cost model. All do nothing where world->tally is NULL.
 */
#ifndef SIM_TALLY_H
#define SIM_TALLY_H

#include "sim.h"

/* tally.c: what is asked of the port, counted for the cost model. All do nothing without a tally.
 */
struct sim_counts {
    uint64_t messages, message_bytes, handled;
    uint64_t gets, puts, moved_bytes; /* one-sided: operations and their bytes */
    uint64_t atomics, own_atomics;    /* on others' words, on a PE's own */
};
enum { SIM_HOPS_ORDERED, SIM_HOPS_FLUSHED, SIM_HOPS }; /* hth_port_order_words: free; a flush */
struct sim_tally {
    int after_barrier;
    struct sim_counts of[SIM_PES_MAX];
    /* How long a chain of hops from PE to PE has led to where an actor is now: a message is one
     * hop, a flush of operations two. */
    uint64_t hops[SIM_THREADS_MAX + 2 * SIM_PES_MAX][SIM_HOPS];
    uint64_t flushed[SIM_PES_MAX][SIM_PES_MAX][2][SIM_HOPS]; /* of a PE at another, frames, words */
    uint64_t woken[SIM_PES_MAX][SIM_HOPS];
};
void sim_tally_send(struct hth_port *port, struct sim_message *entry);
void sim_tally_handle(struct hth_port *port, struct sim_actor *actor,
                      const struct sim_message *entry);
void sim_tally_rma(struct hth_port *port, enum sim_rma_kind kind, int pe, size_t bytes);
void sim_tally_order(struct hth_port *port, int pe);
void sim_tally_flush(struct hth_port *port, int pe, bool words);
void sim_tally_wake(struct hth_port *port);

#endif
