/* SPDX-License-Identifier: BSD-3-Clause */
/* The diff codec.
 *
 * Format. All numbers are little-endian and unaligned.
 *
 *   u32  kind (low 8 bits) | first (high 24 bits)
 *   u32  count
 *
 *   RUNS16  len <= 64 KiB. `count` runs, each u16 offset, u16 bytes - 1, and the bytes.
 *   RUNS32  longer images. `count` runs, each u32 offset, u32 bytes - 1, and the bytes.
 *           In both, runs ascend and at least one byte lies between two; `first` is 0.
 *   MASK    covers `count` blocks of 64 bytes from block number `first` on: 8 * count bytes of mask
 *           (bit i of byte k stands for byte 8 * k + i of what is covered), then the bytes whose
 *           bits are set.
 *
 * A diff ends where its last byte is: its length must agree with what it says, and apply checks.
 *
 * Both encodings hold the same bytes; runs add 4 (or 8) bytes a run, the mask 8 a block from the
 * first that has any to the last. Encode takes the shorter. */
#include "diff.h"

#include <string.h>

#include "diff_mask.h"

enum diff_kind { DIFF_RUNS16 = 1, DIFF_RUNS32 = 2, DIFF_MASK = 3 };

enum {
    HEADER_BYTES = 8,
    RUN16_BYTES = 4,
    RUN32_BYTES = 8,
    RUN16_LEN_MAX = 65536 /* the longest image whose offsets fit into 16 bits */
};

static const size_t malformed = SIZE_MAX;

static void put32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void put_header(uint8_t *out, enum diff_kind kind, size_t first, size_t count)
{
    put32(out, (uint32_t)kind | (uint32_t)first << 8);
    put32(out + 4, (uint32_t)count);
}

/* ------------------------------------------------------------------------------------------ */
/* Scanning                                                                                   */

size_t hth_diff_compare(const uint8_t *now, const uint8_t *base, size_t len, uint8_t *mask)
{
    return hth_diff_mask(hth_diff_isa_best(), now, base, len / HTH_DIFF_BLOCK, mask);
}

size_t hth_diff_take(const uint8_t *now, uint8_t *base, size_t len, uint8_t *mask)
{
    return hth_diff_mask_take(hth_diff_isa_best(), now, base, len / HTH_DIFF_BLOCK, mask);
}

/* The first bit >= from that is set (flip == 0) or clear (flip == ~0), or 64 * words. */
static size_t next_bit(const uint8_t *mask, size_t words, size_t from, uint64_t flip)
{
    size_t w = from / 64;
    if (w >= words)
        return 64 * words;
    uint64_t word = (hth_diff_load64(mask + 8 * w) ^ flip) & ~(uint64_t)0 << from % 64;
    while (word == 0) {
        if (++w == words)
            return 64 * words;
        word = hth_diff_load64(mask + 8 * w) ^ flip;
    }
    return 64 * w + (size_t)__builtin_ctzll(word);
}

size_t hth_diff_runs(const uint8_t *mask, size_t len)
{
    size_t runs = 0;
    uint64_t carry = 0;
    for (size_t w = 0; w < len / HTH_DIFF_BLOCK; w++) {
        uint64_t word = hth_diff_load64(mask + 8 * w);
        runs += hth_diff_popcount(word & ~(word << 1 | carry));
        carry = word >> 63;
    }
    return runs;
}

bool hth_diff_next_run(const uint8_t *mask, size_t len, size_t *start_out, size_t *end_inout)
{
    size_t words = len / HTH_DIFF_BLOCK;
    *start_out = next_bit(mask, words, *end_inout, 0);
    *end_inout = next_bit(mask, words, *start_out, ~(uint64_t)0);
    return *start_out < len;
}

void hth_diff_merge(const uint8_t *now, uint8_t *base, uint8_t *image, size_t len)
{
    hth_diff_mask_merge(hth_diff_isa_best(), now, base, len / HTH_DIFF_BLOCK, image);
}

/* ------------------------------------------------------------------------------------------ */
/* Encoding                                                                                   */

static size_t put_run(uint8_t *out, enum diff_kind kind, size_t offset, size_t bytes)
{
    if (kind == DIFF_RUNS32) {
        put32(out, (uint32_t)offset);
        put32(out + 4, (uint32_t)(bytes - 1));
        return RUN32_BYTES;
    }
    put32(out, (uint32_t)offset | (uint32_t)(bytes - 1) << 16);
    return RUN16_BYTES;
}

/* Of a mask with one run, which is mostly all of the page: from both ends, not by looking for its
 * end from the start. */
static void only_run(const uint8_t *mask, size_t len, size_t *start_out, size_t *end_out)
{
    size_t words = len / HTH_DIFF_BLOCK, last = words - 1;
    *start_out = next_bit(mask, words, 0, 0);
    while (hth_diff_load64(mask + 8 * last) == 0)
        last--;
    *end_out = 64 * last + 64 - (size_t)__builtin_clzll(hth_diff_load64(mask + 8 * last));
}

static size_t encode_runs(const uint8_t *image, const uint8_t *mask, size_t len,
                          enum diff_kind kind, size_t runs, uint8_t *out)
{
    uint8_t *put = out + HEADER_BYTES;
    size_t start, end = 0;
    put_header(out, kind, 0, runs);
    for (size_t run = 0; run < runs; run++) {
        if (runs == 1)
            only_run(mask, len, &start, &end);
        else
            hth_diff_next_run(mask, len, &start, &end);
        put += put_run(put, kind, start, end - start);
        memcpy(put, image + start, end - start);
        put += end - start;
    }
    return (size_t)(put - out);
}

size_t hth_diff_encode(const uint8_t *image, const uint8_t *mask, size_t runs, size_t len,
                       uint8_t *out)
{
    size_t first = 0, end = len / HTH_DIFF_BLOCK;
    if (runs == 0)
        return 0;
    while (runs > 1 && hth_diff_load64(mask + 8 * first) == 0)
        first++;
    while (runs > 1 && hth_diff_load64(mask + 8 * (end - 1)) == 0)
        end--;
    size_t blocks = end - first;

    bool small = len <= RUN16_LEN_MAX;
    if (runs * (small ? RUN16_BYTES : RUN32_BYTES) <= 8 * blocks)
        return encode_runs(image, mask, len, small ? DIFF_RUNS16 : DIFF_RUNS32, runs, out);
    put_header(out, DIFF_MASK, first, blocks);
    uint8_t *bytes = out + HEADER_BYTES + 8 * blocks;
    memcpy(out + HEADER_BYTES, mask + 8 * first, 8 * blocks);
    return (size_t)(bytes - out) + hth_diff_pack(hth_diff_isa_best(),
                                                 image + HTH_DIFF_BLOCK * first, mask + 8 * first,
                                                 blocks, bytes);
}

/* ------------------------------------------------------------------------------------------ */
/* Applying                                                                                   */

static size_t apply_runs(const uint8_t *from, const uint8_t *end, enum diff_kind kind,
                         uint32_t count, uint8_t *image, uint8_t *second, size_t len)
{
    size_t header = kind == DIFF_RUNS32 ? RUN32_BYTES : RUN16_BYTES;
    size_t named = 0, next = 0; /* the least offset that the next run may have */
    for (uint32_t i = 0; i < count; i++) {
        if ((size_t)(end - from) < header)
            return malformed;
        uint32_t word = get32(from);
        size_t offset = kind == DIFF_RUNS32 ? word : word & 0xffff;
        size_t bytes = (kind == DIFF_RUNS32 ? (size_t)get32(from + 4) : (size_t)(word >> 16)) + 1;
        from += header;
        if (offset < next || offset >= len || bytes > len - offset || bytes > (size_t)(end - from))
            return malformed;
        memcpy(image + offset, from, bytes);
        if (second != NULL)
            memcpy(second + offset, from, bytes);
        from += bytes;
        named += bytes;
        next = offset + bytes + 1;
    }
    return from == end ? named : malformed;
}

static size_t apply_mask(const uint8_t *from, const uint8_t *end, size_t first, size_t count,
                         uint8_t *image, uint8_t *second, size_t len)
{
    enum hth_diff_isa isa = hth_diff_isa_best();
    size_t blocks = len / HTH_DIFF_BLOCK, named = 0;
    if (first > blocks || count > blocks - first || count > (size_t)(end - from) / 8)
        return malformed;
    const uint8_t *bytes = from + 8 * count;
    for (size_t w = 0; w < count; w++)
        named += hth_diff_popcount(hth_diff_load64(from + 8 * w));
    if (named == 0 || named != (size_t)(end - bytes))
        return malformed;
    hth_diff_unpack(isa, image + HTH_DIFF_BLOCK * first, from, count, bytes);
    if (second != NULL)
        hth_diff_unpack(isa, second + HTH_DIFF_BLOCK * first, from, count, bytes);
    return named;
}

size_t hth_diff_apply(const uint8_t *diff, size_t diff_bytes, uint8_t *image, uint8_t *second,
                      size_t len)
{
    if (diff_bytes == 0)
        return 0; /* what encode returns for images that are the same */
    if (diff_bytes < HEADER_BYTES)
        return malformed;
    const uint8_t *from = diff + HEADER_BYTES, *end = diff + diff_bytes;
    uint32_t word = get32(diff), count = get32(diff + 4);
    size_t first = word >> 8;
    if (count == 0)
        return malformed;
    switch (word & 0xff) {
    case DIFF_RUNS16:
    case DIFF_RUNS32: {
        enum diff_kind fits = len <= RUN16_LEN_MAX ? DIFF_RUNS16 : DIFF_RUNS32;
        if ((word & 0xff) != fits || first != 0)
            return malformed;
        return apply_runs(from, end, fits, count, image, second, len);
    }
    case DIFF_MASK:
        return apply_mask(from, end, first, count, image, second, len);
    }
    return malformed;
}
