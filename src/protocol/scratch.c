/* SPDX-License-Identifier: BSD-3-Clause */
#include "protocol/scratch.h"

#include <string.h>

/* Cut the next piece off the block, or, while there is none, count its bytes. */
static void *cut(struct hth_scratch *s, size_t bytes)
{
    void *piece = s->block == NULL ? NULL : (uint8_t *)s->block + s->block_bytes;
    s->block_bytes += (bytes + 7) & ~(size_t)7;
    return piece;
}

static void cut_all(struct hth_scratch *s, int n_pes, unsigned batch)
{
    s->block_bytes = 0;
    s->taken = cut(s, batch * sizeof *s->taken);
    s->pages = cut(s, batch * sizeof *s->pages);
    s->homes = cut(s, batch * sizeof *s->homes);
    s->hot = cut(s, batch * sizeof *s->hot);
    s->runs = cut(s, batch * sizeof *s->runs);
    s->sent = cut(s, batch * sizeof *s->sent);
    s->from = cut(s, batch * sizeof *s->from);
    s->masks = cut(s, batch * sizeof *s->masks);
    s->listed = cut(s, batch * sizeof *s->listed);
    s->told = cut(s, batch * sizeof *s->told);
    s->copysets = cut(s, batch * s->words * sizeof *s->copysets);
    s->everyone = cut(s, s->words * sizeof *s->everyone);
    s->toward = cut(s, (size_t)n_pes * sizeof *s->toward);
}

struct hth_scratch *hth_scratch_new(struct hth_port *port, int n_pes, unsigned batch)
{
    struct hth_scratch *s = hth_port_alloc(port, sizeof *s);
    memset(s, 0, sizeof *s);
    s->words = ((uint64_t)n_pes + 63) / 64;
    cut_all(s, n_pes, batch);
    void *block = hth_port_alloc(port, s->block_bytes);
    memset(block, 0, s->block_bytes);
    s->block = block;
    cut_all(s, n_pes, batch);
    return s;
}

void hth_scratch_free(struct hth_port *port, struct hth_scratch *scratch)
{
    hth_port_free(port, scratch->block, scratch->block_bytes);
    hth_port_free(port, scratch, sizeof *scratch);
}
