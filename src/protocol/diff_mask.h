/* SPDX-License-Identifier: BSD-3-Clause */
/* The inner loops of the diff codec, in the widest form that this CPU has.
 *
 * All work on blocks of 64 bytes with one 64-bit mask word a block, kept as bytes in an order that
 * is the same on every machine: bit i of mask byte k stands for byte 8 * k + i. Nothing needs to be
 * aligned. Pure functions; any thread. Only diff.c and the tests include this. */
#ifndef HTH_PROTOCOL_DIFF_MASK_H
#define HTH_PROTOCOL_DIFF_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HTH_DIFF_BLOCK 64u

/* Which loops to use. The tests call every form up to the best; all others want the best. */
enum hth_diff_isa { HTH_DIFF_PLAIN, HTH_DIFF_AVX2, HTH_DIFF_AVX512 };

enum hth_diff_isa hth_diff_isa_best(void);

/* Write the mask of the bytes in which a and b differ: 8 * blocks bytes. Returns the number of runs
 * of such bytes. */
size_t hth_diff_mask(enum hth_diff_isa isa, const uint8_t *a, const uint8_t *b, size_t blocks,
                     uint8_t *mask);

/* The same of `now`, which other threads may be writing: each of its bytes is read once, and `base`
 * becomes what was read. */
size_t hth_diff_mask_take(enum hth_diff_isa isa, const uint8_t *now, uint8_t *base, size_t blocks,
                          uint8_t *mask);

/* The bytes in which `now` and `base` differ, into `image` and no other byte of it; `base` becomes
 * `now`. */
void hth_diff_mask_merge(enum hth_diff_isa isa, const uint8_t *now, uint8_t *base, size_t blocks,
                         uint8_t *image);

/* Gather the bytes that the mask names into `out`, and return how many. May scribble behind them,
 * but within out[0 .. 64 * blocks + 8). */
size_t hth_diff_pack(enum hth_diff_isa isa, const uint8_t *image, const uint8_t *mask,
                     size_t blocks, uint8_t *out);

/* The reverse. Bytes that the mask does not name are not written at all, not even with what they
 * hold: another thread may be writing them now. Reads only as many bytes as the mask names. */
void hth_diff_unpack(enum hth_diff_isa isa, uint8_t *image, const uint8_t *mask, size_t blocks,
                     const uint8_t *bytes);

/* Swap the bytes on a big-endian machine. */
static inline uint64_t hth_diff_little64(uint64_t word)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

/* Eight bytes as a number whose lowest byte is the first one. */
static inline uint64_t hth_diff_load64(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return hth_diff_little64(word);
}

static inline void hth_diff_store64(uint8_t *to, uint64_t word)
{
    word = hth_diff_little64(word);
    memcpy(to, &word, sizeof word);
}

/* How many bits of a word are set. Of the builtin, compilers make a call into their library where
 * the instruction set at hand has no such instruction. */
static inline size_t hth_diff_popcount(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (size_t)(word * 0x0101010101010101 >> 56);
}

#endif
