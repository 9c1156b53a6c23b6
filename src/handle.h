/* SPDX-License-Identifier: BSD-3-Clause */
/* A lock's, counter's or other object's handle: kind, home PE, generation and slot in 64 bits;
 * never 0. */
#ifndef HTH_HANDLE_H
#define HTH_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

enum hth_handle_kind {
    HTH_HANDLE_LOCK = 0xA,
    HTH_HANDLE_BARRIER = 0xB,
    HTH_HANDLE_COUNTER = 0xC,
    HTH_HANDLE_COND = 0xD,
    HTH_HANDLE_SEMA = 0xE
};

struct hth_handle {
    int pe;
    uint32_t slot, generation;
};

static inline uint64_t hth_handle_make(enum hth_handle_kind kind, int pe, uint32_t generation,
                                       uint32_t slot)
{
    return (uint64_t)kind << 60 | (uint64_t)(uint32_t)pe << 40 |
           (uint64_t)(generation & 0xffff) << 24 | slot;
}

/* False if this cannot be such a handle. */
static inline bool hth_handle_split(uint64_t handle, enum hth_handle_kind kind, int n_pes,
                                    uint32_t slots, struct hth_handle *out)
{
    out->pe = (int)(handle >> 40 & 0xfffff);
    out->generation = (uint32_t)(handle >> 24 & 0xffff);
    out->slot = (uint32_t)(handle & 0xffffff);
    return handle >> 60 == (uint64_t)kind && out->pe < n_pes && out->slot < slots;
}

#endif
