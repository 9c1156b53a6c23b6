/* SPDX-License-Identifier: BSD-3-Clause */
/* A naive model of an allocator: a byte map that says what is in use. */
#ifndef HTH_TESTS_HEAP_MODEL_H
#define HTH_TESTS_HEAP_MODEL_H

#include "unit.h"

#define HTH_MODEL_BLOCKS_MAX 4096

struct hth_model {
    uint64_t bytes;
    uint8_t *taken, *ever; /* of each byte: in use; ever used */
    struct hth_model_block {
        uint64_t offset, bytes, extent; /* extent: with what it has to itself behind it */
    } blocks[HTH_MODEL_BLOCKS_MAX];
    size_t n;
};

struct hth_model *hth_model_make(uint64_t bytes);
void hth_model_free(struct hth_model *model);

/* A block was handed out, with the bytes up to a multiple of `unit` to itself. `used` is what the
 * allocator said of it. False (and a failure) if it overlaps, is misaligned or was used after all.
 */
bool hth_model_add(struct hth_model *model, uint64_t offset, uint64_t bytes, uint64_t unit,
                   bool used);
void hth_model_remove(struct hth_model *model, size_t i);
bool hth_model_begins(const struct hth_model *model, uint64_t offset); /* does a block? */
bool hth_model_none_set(const uint8_t *map, uint64_t offset, uint64_t bytes);

/* A size to ask for: small mostly, now and then something big. */
uint64_t hth_model_random_bytes(struct hth_rng *rng, uint64_t page_bytes);

#endif
