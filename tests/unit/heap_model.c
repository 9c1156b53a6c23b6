/* SPDX-License-Identifier: BSD-3-Clause */
#include "heap_model.h"

#include <stdlib.h>
#include <string.h>

struct hth_model *hth_model_make(uint64_t bytes)
{
    struct hth_model *m = calloc(1, sizeof *m);
    if (m == NULL || (m->taken = calloc(1, bytes)) == NULL || (m->ever = calloc(1, bytes)) == NULL)
        abort();
    m->bytes = bytes;
    return m;
}

void hth_model_free(struct hth_model *m)
{
    free(m->taken);
    free(m->ever);
    free(m);
}

bool hth_model_none_set(const uint8_t *map, uint64_t offset, uint64_t bytes)
{
    for (uint64_t i = offset; i < offset + bytes; i++) {
        if (map[i] != 0)
            return false;
    }
    return true;
}

bool hth_model_add(struct hth_model *m, uint64_t offset, uint64_t bytes, uint64_t unit, bool used)
{
    uint64_t extent = (bytes + unit - 1) / unit * unit;
    bool ok = true;
    HTH_EXPECT(ok, m->n < HTH_MODEL_BLOCKS_MAX);
    HTH_EXPECT(ok, offset % unit == 0);
    HTH_EXPECT(ok, offset <= m->bytes && extent <= m->bytes - offset);
    if (!ok)
        return false;
    HTH_EXPECT(ok, hth_model_none_set(m->taken, offset, extent));
    HTH_EXPECT(ok, used || hth_model_none_set(m->ever, offset, bytes));
    memset(m->taken + offset, 1, extent);
    memset(m->ever + offset, 1, bytes);
    m->blocks[m->n++] = (struct hth_model_block){offset, bytes, extent};
    return ok;
}

void hth_model_remove(struct hth_model *m, size_t i)
{
    memset(m->taken + m->blocks[i].offset, 0, m->blocks[i].extent);
    m->blocks[i] = m->blocks[--m->n];
}

bool hth_model_begins(const struct hth_model *m, uint64_t offset)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->blocks[i].offset == offset)
            return true;
    }
    return false;
}

uint64_t hth_model_random_bytes(struct hth_rng *rng, uint64_t page_bytes)
{
    switch (hth_rng_below(rng, 8)) {
    case 0:
        return 1 + hth_rng_below(rng, 5 * page_bytes);
    case 1:
        return 1 + hth_rng_below(rng, 2 * page_bytes);
    case 2:
    case 3:
        return 1 + hth_rng_below(rng, page_bytes);
    default:
        return 1 + hth_rng_below(rng, 200);
    }
}
