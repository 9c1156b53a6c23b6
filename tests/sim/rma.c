/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided operations: each is cut into pieces when it is issued, and each piece takes effect
 * between then and the flush, at a moment and in an order of the scheduler's choosing. A small
 * piece may be read at one moment and written at a later one. Only atomics on the same word keep
 * the order in which one PE issued them. */
#include <string.h>

#include "sim.h"
#include "tally.h"

/* What a thread in a flush waits for. */
struct flush {
    int region, target;
    bool words;
};

static bool same_word(const struct sim_rma *a, const struct sim_rma *b)
{
    return a->kind == SIM_WORD && b->kind == SIM_WORD && a->region == b->region &&
           a->target == b->target && a->at == b->at;
}

/* An atomic that hth_port_order_words put before the other. */
static bool is_ordered(const struct sim_rma *before, const struct sim_rma *after)
{
    return before->kind == SIM_WORD && before->region == after->region &&
           before->target == after->target && before->rank < after->rank;
}

bool sim_rma_eligible(const struct hth_port *port, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (same_word(&port->rma[i], &port->rma[index]) ||
            is_ordered(&port->rma[i], &port->rma[index])) {
            return false;
        }
    }
    return true;
}

static uint64_t apply(enum hth_word_op op, uint64_t old, uint64_t operand)
{
    switch (op) {
    case HTH_WORD_READ:
        return old;
    case HTH_WORD_OR:
        return old | operand;
    case HTH_WORD_AND:
        return old & operand;
    case HTH_WORD_SWAP:
        return operand;
    case HTH_WORD_ADD:
        return old + operand;
    }
    return old;
}

/* Notices what the invariants are about: a stale bit taken by its PE; a copyset changed. */
static void notice_word(struct hth_port *target, const struct sim_rma *rma, uint64_t old,
                        uint64_t new)
{
    struct hth_region *region = &target->region[rma->region];
    uint64_t first = region->stale.level[0];
    if (rma->at >= first && rma->at < first + region->stale.n_words[0]) {
        for (uint64_t gone = old & ~new; gone != 0; gone &= gone - 1) {
            uint64_t page = (rma->at - first) * 64 + (uint64_t)__builtin_ctzll(gone);
            if (page < region->n_pages) {
                target->taken[rma->region][page] = SIM_TAKEN;
            }
        }
    } else if (rma->at < region->hints.level[0] && (old & ~new) != 0) {
        for (uint64_t page = 0; page < region->n_pages; page++) {
            sim_check_copyset(target->world, rma->region, page);
        }
    }
}

static void word_effect(struct hth_port *port, const struct sim_rma *rma)
{
    struct hth_port *target = &port->world->ports[rma->target];
    uint64_t *word = &target->words[rma->region][rma->at];
    uint64_t old = *word, new = apply((enum hth_word_op)rma->op, old, rma->operand);
    *word = new;
    if (rma->local != NULL) {
        memcpy(rma->local, &old, sizeof old);
    }
    sim_trace(port->world, port->pe, SIM_EV_EFFECT, rma->region, SIM_NO_PAGE, SIM_WORD, rma->target,
              (int64_t)rma->at);
    if (old != new) {
        notice_word(target, rma, old, new);
    }
}

static void bytes_effect(struct hth_port *port, struct sim_rma *rma)
{
    struct hth_port *target = &port->world->ports[rma->target];
    uint8_t *remote = target->region[rma->region].frames + rma->at;
    const uint8_t *from = rma->kind == SIM_GET ? remote : rma->local;
    uint8_t *to = rma->kind == SIM_GET ? rma->local : remote;
    if (rma->stage && !rma->staged) {
        memcpy(rma->data, from, rma->bytes);
        return;
    }
    memcpy(to, rma->stage ? rma->data : from, rma->bytes);
}

void sim_rma_effect(struct hth_port *port, unsigned index)
{
    struct sim_rma *rma = &port->rma[index];
    struct sim_rma done = *rma;
    if (rma->kind != SIM_WORD) {
        bytes_effect(port, rma);
        if (rma->stage && !rma->staged) {
            rma->staged = true;
            return;
        }
        sim_trace(port->world, port->pe, SIM_EV_EFFECT, rma->region,
                  rma->at / port->region[rma->region].page_bytes, rma->kind, rma->target,
                  (int64_t)rma->at);
    }
    port->n_rma--;
    memmove(rma, rma + 1, (port->n_rma - index) * sizeof *rma);
    if (done.kind == SIM_WORD) {
        word_effect(port, &done); /* last, since it may fail the run */
    }
}

static void put_piece(struct hth_port *port, const struct sim_rma *piece)
{
    if (port->n_rma == SIM_RMA_MAX) { /* rare: the oldest takes effect now, as it may */
        sim_rma_effect(port, 0);
        if (port->n_rma == SIM_RMA_MAX) {
            sim_rma_effect(port, 0);
        }
    }
    struct sim_rma *added = &port->rma[port->n_rma++];
    *added = *piece;
    for (const struct sim_rma *rma = port->rma; rma < added; rma++) {
        if (rma->kind == SIM_WORD && rma->region == added->region && rma->target == added->target &&
            rma->rank + rma->ordered > added->rank) {
            added->rank = (uint8_t)(rma->rank + rma->ordered);
        }
    }
    if (port->world->quiet) {
        sim_rma_effect(port, port->n_rma - 1);
    } else {
        port->world->running->shown = true;
    }
}

static void issue_bytes(struct hth_port *port, struct sim_rma whole)
{
    struct sim_world *world = port->world;
    const struct sim_config *config = &world->config;
    unsigned pieces = 0;
    while (whole.bytes > 0) {
        struct sim_rma piece = whole;
        if (config->piece_percent > 0 && pieces < 6 && whole.bytes > 1 &&
            sim_chance(&world->rng, config->piece_percent)) {
            unsigned most = whole.bytes < 128 ? whole.bytes : 128;
            piece.bytes = 1 + sim_below(&world->rng, most - 1);
        }
        piece.stage = config->stage_percent > 0 && piece.bytes <= SIM_STAGE_MAX && !world->quiet &&
                      sim_chance(&world->rng, config->stage_percent);
        put_piece(port, &piece);
        whole.at += piece.bytes;
        whole.local += piece.bytes;
        whole.bytes -= piece.bytes;
        pieces++;
    }
}

static void check_range(struct hth_port *port, struct hth_region *region, int pe, uint64_t offset,
                        size_t bytes)
{
    if (pe == port->pe || pe < 0 || pe >= sim_n_pes(port->world) || bytes == 0 ||
        offset + bytes > region->n_pages * region->page_bytes) {
        sim_fail(port->world, SIM_INV_CONTRACT, port->pe, (int)region->id,
                 offset / region->page_bytes, "get or put of %zu bytes at %d's %#llx", bytes, pe,
                 (unsigned long long)offset);
    }
}

/* Exploring, there is none: see port_sim.c. */
static void point_at_issue(struct hth_port *port)
{
    if (port->world->choose == NULL) {
        sim_point(port);
    }
}

static void issue(struct hth_port *port, enum sim_rma_kind kind, struct hth_region *region, int pe,
                  uint64_t offset, uint8_t *local, size_t bytes)
{
    point_at_issue(port);
    check_range(port, region, pe, offset, bytes);
    sim_tally_rma(port, kind, pe, bytes);
    sim_trace(port->world, port->pe, SIM_EV_ISSUE, (int)region->id, offset / region->page_bytes,
              (int)kind, pe, (int64_t)offset);
    issue_bytes(port, (struct sim_rma){.kind = (uint8_t)kind,
                                       .region = (uint8_t)region->id,
                                       .target = (int16_t)pe,
                                       .at = offset,
                                       .local = local,
                                       .bytes = (uint32_t)bytes});
    sim_point_after(port);
}

void hth_port_populate(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                       uint64_t n)
{
    (void)port;
    (void)region;
    (void)first_page;
    (void)n;
}

void hth_port_get(struct hth_port *port, struct hth_region *region, int pe, uint64_t offset,
                  void *to, size_t bytes)
{
    /* What it reads is newer than the stale bits that were taken before. */
    for (uint64_t page = offset / region->page_bytes; page * region->page_bytes < offset + bytes;
         page++) {
        if (port->taken[region->id][page] == SIM_TAKEN) {
            port->taken[region->id][page] = SIM_TAKEN_AND_ASKED;
        }
    }
    issue(port, SIM_GET, region, pe, offset, to, bytes);
}

void hth_port_put(struct hth_port *port, struct hth_region *region, int pe, uint64_t offset,
                  const void *from, size_t bytes)
{
    issue(port, SIM_PUT, region, pe, offset, (uint8_t *)(uintptr_t)from, bytes);
}

void hth_port_word(struct hth_port *port, struct hth_region *region, int pe, uint64_t word,
                   enum hth_word_op op, uint64_t operand, uint64_t *old_out)
{
    point_at_issue(port);
    if (pe < 0 || pe >= sim_n_pes(port->world) || word >= region->n_words) {
        sim_fail(port->world, SIM_INV_CONTRACT, port->pe, (int)region->id, 0, "word %llu of PE %d",
                 (unsigned long long)word, pe);
    }
    sim_tally_rma(port, SIM_WORD, pe, sizeof(uint64_t));
    struct sim_rma rma = {.kind = SIM_WORD,
                          .op = (uint8_t)op,
                          .region = (uint8_t)region->id,
                          .target = (int16_t)pe,
                          .at = word,
                          .local = (uint8_t *)old_out,
                          .operand = operand};
    put_piece(port, &rma);
    sim_point_after(port);
}

bool sim_rma_pending(const struct hth_port *port, const void *on)
{
    const struct flush *flush = on;
    for (unsigned i = 0; i < port->n_rma; i++) {
        const struct sim_rma *rma = &port->rma[i];
        if (rma->target == flush->target && rma->region == flush->region &&
            (rma->kind == SIM_WORD) == flush->words) {
            return true;
        }
    }
    return false;
}

static void wait_flush(struct hth_port *port, struct hth_region *region, int pe, bool words)
{
    struct flush flush = {(int)region->id, pe, words};
    point_at_issue(port);
    if (!port->world->quiet) {
        struct sim_actor *self = port->world->running;
        if (self->in_handler || self->short_locks > 0) {
            sim_fail(port->world, SIM_INV_CONTRACT, port->pe, (int)region->id, 0,
                     "a flush in a handler or under a short lock");
        }
        if (sim_rma_pending(port, &flush)) {
            sim_block(self, SIM_ON_FLUSH, &flush);
        }
    }
    sim_tally_flush(port, pe, words);
    sim_point_after(port);
}

void hth_port_flush_frames(struct hth_port *port, struct hth_region *region, int pe)
{
    wait_flush(port, region, pe, false);
}

void hth_port_flush_words(struct hth_port *port, struct hth_region *region, int pe)
{
    wait_flush(port, region, pe, true);
}

void hth_port_order_words(struct hth_port *port, struct hth_region *region, int pe)
{
    point_at_issue(port);
    sim_tally_order(port, pe);
    for (unsigned i = 0; i < port->n_rma; i++) {
        struct sim_rma *rma = &port->rma[i];
        if (rma->kind == SIM_WORD && rma->region == region->id && rma->target == pe) {
            rma->ordered = true;
        }
    }
    sim_point_after(port);
}

uint64_t hth_port_word_peek(struct hth_port *port, struct hth_region *region, uint64_t word)
{
    sim_point(port);
    return port->words[region->id][word];
}

uint64_t hth_port_words_next(struct hth_port *port, struct hth_region *region, uint64_t first,
                             uint64_t end)
{
    while (first < end && hth_port_word_peek(port, region, first) == 0) {
        first++;
    }
    return first;
}
