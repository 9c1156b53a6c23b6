/* SPDX-License-Identifier: BSD-3-Clause */
/* When two states of an exploration are the same: what can still matter, as one number. Left out
 * are counters, clocks, freed memory, and what the release lock's holder left behind. */
#include "sim.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "protocol/scratch.h"
#include "protocol/sequential.h"
#include "protocol/diff.h"
#include "protocol/update.h"

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    return XXH3_64bits_withSeed(data, bytes, hash);
}

static uint64_t mix_word(uint64_t hash, uint64_t word)
{
    return mix(hash, &word, sizeof word);
}

static uint64_t hash_request(const struct hth_request *request, uint64_t hash)
{
    return mix_word(hash, (uint64_t)request->pe << 2 | (uint64_t)request->write << 1 |
                              (uint64_t)request->with_copy);
}

static uint64_t hash_ledger(const struct hth_ledger *ledger, uint64_t hash)
{
    hash = mix_word(hash, (uint64_t)(ledger->owner + 1) << 2 | (uint64_t)ledger->serving << 1 |
                              (uint64_t)ledger->waits_for_owner);
    hash = mix_word(hash, ledger->n_drops);
    if (ledger->serving) {
        hash = hash_request(&ledger->now, hash);
    }
    for (const struct hth_request *request = ledger->first; request != NULL;
         request = request->next) {
        hash = hash_request(request, hash);
    }
    return mix(hash, ledger->copyset, sizeof(uint64_t));
}

static uint64_t hash_side(const struct hth_region *r, uint64_t page, uint64_t hash)
{
    const void *side = r->pages[page].side;
    int home = hth_homes_lookup(r->homes, page);
    if (side == NULL) {
        return mix_word(hash, 0);
    }
    if (r->consistency == HEARTH_SEQUENTIAL) {
        return hash_ledger(side, hash);
    }
    if (home == r->my_pe && r->protocol == HEARTH_WRITE_INVALIDATE) {
        return mix_word(hash, r->pages[page].sum);
    }
    if (home == r->my_pe) {
        const struct hth_publication *publication = side;
        hash = mix(hash, publication->copyset, sizeof(uint64_t));
        side = publication->image;
    }
    return mix(hash, side, r->page_bytes);
}

static uint64_t hash_region(const struct hth_port *port, int id, uint64_t hash)
{
    const struct hth_region *r = &port->region[id];
    hash = mix(hash, port->view[id], r->n_pages);
    hash = mix(hash, port->taken[id], r->n_pages);
    hash = mix(hash, r->frames, r->n_pages * r->page_bytes);
    hash = mix(hash, port->words[id], r->n_words * sizeof(uint64_t));
    hash = mix_word(hash, r->dirty_plus_1 << 8 | r->list_lock.word << 4 | r->home_lock.word);
    for (uint64_t page = 0; page < r->n_pages; page++) {
        struct hth_page entry = r->pages[page];
        entry.side = NULL; /* where it lies makes no difference; what it holds comes next */
        hash = mix(hash, &entry, sizeof entry);
        hash = hash_side(r, page, hash);
    }
    return hash;
}

static uint64_t hash_update(const struct hth_coherence *c, uint64_t hash)
{
    const struct hth_update *u = c->update;
    hash = mix_word(hash, u->outstanding << 32 | u->free_plus_1);
    if (u->n_forwards > 0) {
        hash = mix(hash, u->forwards, 4 * sizeof *u->forwards);
    }
    return hash;
}

static uint64_t hash_port(const struct hth_port *port, uint64_t hash)
{
    const struct hth_coherence *c = port->coherence;
    hash = mix_word(hash, (uint64_t)c->acquire_lock.word << 32 | c->release_lock.word << 1 |
                              port->handling);
    if (c->release_lock.word != 0) { /* what is in there else is rubbish */
        hash = mix(hash, c->scratch->block, c->scratch->block_bytes);
        hash = mix(hash, c->update->mask, HTH_DIFF_MASK_BYTES(port->region[0].page_bytes));
        hash = mix(hash, &c->update->release_box, sizeof c->update->release_box);
    }
    if (port->handling) {
        hash = mix(hash, &c->update->handler_box, sizeof c->update->handler_box);
    }
    hash = hash_update(c, hash);
    for (int id = 0; id < port->world->config.n_regions; id++) {
        hash = hash_region(port, id, hash);
    }
    hash = mix(hash, port->rma, port->n_rma * sizeof *port->rma);
    for (int from = 0; from < sim_n_pes(port->world); from++) {
        for (const struct sim_message *m = port->from[from].head; m != NULL; m = m->next) {
            hash = mix(hash, m->buffer, m->bytes);
            hash = mix_word(hash, m->region == NULL ? 0 : 1 + m->page);
        }
        hash = mix_word(hash, (uint64_t)from);
    }
    return hash;
}

static uint64_t hash_stack(const struct sim_actor *actor, uint64_t hash)
{
    if (actor->live == NULL) {
        return hash; /* has not run yet, or has no stack */
    }
    const uint8_t *top = (const uint8_t *)actor->context.stack + actor->context.stack_bytes;
    return mix(hash, actor->live, (size_t)(top - (const uint8_t *)actor->live));
}

uint64_t sim_state_hash(const struct sim_world *world)
{
    uint64_t hash = 1;
    for (int pe = 0; pe < sim_n_pes(world); pe++) {
        hash = hash_port(&world->ports[pe], hash);
    }
    for (int i = 0; i < world->n_actors; i++) {
        const struct sim_actor *actor = &world->actors[i];
        hash = hash_stack(actor, hash);
        bool notified =
            actor->state == SIM_ON_NOTIFY && actor->seen != world->ports[actor->pe].notified;
        hash = mix_word(hash,
                        (uint64_t)actor->state << 8 | (uint64_t)notified << 1 | actor->in_handler);
    }
    for (int i = 0; i < world->program.n_bytes; i++) {
        const struct sim_byte *byte = &world->bytes[i];
        hash = mix_word(hash, (uint64_t)byte->value << 8 | byte->before |
                                  (uint64_t)(byte->writer + 1) << 16 | byte->marks[0] << 32);
    }
    for (int i = 0; i < world->config.n_locks; i++) {
        hash = mix_word(hash, (uint64_t)world->locks[i].holder_plus_1);
    }
    hash = mix(hash, world->flag, sizeof world->flag);
    hash = mix(hash, world->litmus.regs, sizeof world->litmus.regs);
    for (int i = 0; i < world->config.n_barriers; i++) {
        hash = mix(hash, &world->barriers[i], offsetof(struct sim_barrier, clock));
    }
    return hash;
}
