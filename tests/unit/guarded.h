/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers that end where a page begins that must not be touched: sanitizers do not see into vector
 * instructions. */
#ifndef HTH_TESTS_GUARDED_H
#define HTH_TESTS_GUARDED_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

struct hth_guarded {
    uint8_t *bytes; /* the last of them is the last before the forbidden page */
    void *map;
    size_t map_bytes;
};

static inline struct hth_guarded hth_guarded_make(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct hth_guarded g;
    g.map_bytes = (bytes + page - 1) / page * page + page;
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED || mprotect((char *)g.map + g.map_bytes - page, page, PROT_NONE) != 0)
        abort();
    g.bytes = (uint8_t *)g.map + g.map_bytes - page - bytes;
    return g;
}

static inline void hth_guarded_free(struct hth_guarded *g)
{
    munmap(g->map, g->map_bytes);
}

static inline void hth_randomise(struct hth_rng *rng, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)hth_rng_next(rng);
}

#endif
