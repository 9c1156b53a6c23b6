/* SPDX-License-Identifier: BSD-3-Clause */
/* Each loop is here up to three times: in portable C; the same C compiled for AVX2 or with its
 * compare; and for AVX-512 with VBMI2 (Ice Lake, Zen 4 and later), whose compress and expand do in
 * one instruction what else is a loop over runs.
 *
 * Why intrinsics and a look at the CPU, not target_clones: neither gcc 12 nor clang 14 turns a byte
 * compare into a move-mask, which made the mask of a 4 KiB page cost 300 ns (gcc's clones: 600 and
 * more) where the intrinsics take 45. And an ifunc is resolved before the sanitizers are ready. */
#include "diff_mask.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_X86 1
#include <immintrin.h>
#define TARGET_AVX2   __attribute__((target("avx2,bmi,popcnt")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi2,bmi,popcnt")))
#else
#define HAVE_X86 0
#endif

/* So that the portable loops are compiled for the instruction set of the function around them. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

enum hth_diff_isa hth_diff_isa_best(void)
{
#if HAVE_X86
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2"))
        return HTH_DIFF_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        return HTH_DIFF_AVX2;
#endif
    return HTH_DIFF_PLAIN;
}

/* ------------------------------------------------------------------------------------------ */
/* Masks                                                                                      */

/* Where runs begin in this mask word, when `carry` says whether the byte before it differs. */
static ALWAYS_INLINE uint64_t run_starts(uint64_t word, uint64_t carry)
{
    return word & ~(word << 1 | carry);
}

static uint64_t mask_block_plain(const uint8_t *a, const uint8_t *b)
{
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7f, low1 = 0x0101010101010101;
    uint64_t x[8], any = 0, word = 0;
    for (unsigned i = 0; i < 8; i++) {
        x[i] = hth_diff_load64(a + 8 * i) ^ hth_diff_load64(b + 8 * i);
        any |= x[i];
    }
    if (any == 0)
        return 0;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t top = ((x[i] & low7) + low7) | x[i]; /* bit 7 of each byte: it is not 0 */
        uint64_t bits = ((top >> 7 & low1) * 0x0102040810204080) >> 56;
        word |= bits << 8 * i;
    }
    return word;
}

static size_t mask_plain(const uint8_t *a, const uint8_t *b, size_t blocks, uint8_t *mask)
{
    size_t runs = 0;
    uint64_t carry = 0;
    for (size_t w = 0; w < blocks; w++) {
        uint64_t word = mask_block_plain(a + HTH_DIFF_BLOCK * w, b + HTH_DIFF_BLOCK * w);
        hth_diff_store64(mask + 8 * w, word);
        if (word != 0)
            runs += hth_diff_popcount(run_starts(word, carry));
        carry = word >> 63;
    }
    return runs;
}

static size_t take_plain(const uint8_t *now, uint8_t *base, size_t blocks, uint8_t *mask)
{
    size_t runs = 0;
    uint64_t carry = 0;
    for (size_t w = 0; w < blocks; w++) {
        uint8_t block[HTH_DIFF_BLOCK];
        memcpy(block, now + HTH_DIFF_BLOCK * w, sizeof block);
        __asm__ volatile("" : "+m"(block)); /* lest the compiler read `now` again */
        uint64_t word = mask_block_plain(block, base + HTH_DIFF_BLOCK * w);
        hth_diff_store64(mask + 8 * w, word);
        if (word != 0) {
            memcpy(base + HTH_DIFF_BLOCK * w, block, sizeof block);
            runs += hth_diff_popcount(run_starts(word, carry));
        }
        carry = word >> 63;
    }
    return runs;
}

/* ------------------------------------------------------------------------------------------ */
/* Gather and scatter, portable: by groups of eight bytes, of which a double that changed a     */
/* little is one, with one run of bytes                                                       */

static ALWAYS_INLINE size_t pack_loop(const uint8_t *image, const uint8_t *mask, size_t blocks,
                                      uint8_t *out)
{
    size_t n = 0;
    for (size_t group = 0; group < 8 * blocks; group++) {
        uint64_t group_bytes = hth_diff_load64(image + 8 * group);
        unsigned named = mask[group];
        while (named != 0) {
            unsigned first = (unsigned)__builtin_ctz(named);
            unsigned run = (unsigned)__builtin_ctz(~(named >> first));
            /* Eight bytes, of which those behind the run will be overwritten: cheaper than a
             * branch on the length. n <= 8 * group + first. */
            hth_diff_store64(out + n, group_bytes >> 8 * first);
            n += run;
            named &= named + (1u << first);
        }
    }
    return n;
}

static ALWAYS_INLINE void copy_short(uint8_t *to, const uint8_t *from, unsigned n)
{
    if (n & 8) {
        memcpy(to, from, 8);
        return;
    }
    if (n & 4) {
        memcpy(to, from, 4);
        to += 4;
        from += 4;
    }
    if (n & 2) {
        memcpy(to, from, 2);
        to += 2;
        from += 2;
    }
    if (n & 1)
        *to = *from;
}

static ALWAYS_INLINE void unpack_loop(uint8_t *image, const uint8_t *mask, size_t blocks,
                                      const uint8_t *bytes)
{
    for (size_t group = 0; group < 8 * blocks; group++) {
        uint8_t *to = image + 8 * group;
        unsigned named = mask[group];
        while (named != 0) {
            unsigned first = (unsigned)__builtin_ctz(named);
            unsigned run = (unsigned)__builtin_ctz(~(named >> first));
            copy_short(to + first, bytes, run);
            bytes += run;
            named &= named + (1u << first);
        }
    }
}

static ALWAYS_INLINE void copy_named(const uint8_t *from, uint64_t named, uint8_t *to)
{
    while (named != 0) {
        unsigned first = (unsigned)__builtin_ctzll(named);
        uint64_t rest = ~(named >> first);
        unsigned run = rest == 0 ? 64 : (unsigned)__builtin_ctzll(rest);
        memcpy(to + first, from + first, run);
        named = first + run >= 64 ? 0 : named & ~(uint64_t)0 << (first + run);
    }
}

static void merge_plain(const uint8_t *now, uint8_t *base, size_t blocks, uint8_t *image)
{
    for (size_t w = 0; w < blocks; w++) {
        size_t at = HTH_DIFF_BLOCK * w;
        uint64_t word = mask_block_plain(now + at, base + at);
        if (word != 0) {
            copy_named(now + at, word, image + at);
            memcpy(base + at, now + at, HTH_DIFF_BLOCK);
        }
    }
}

static size_t pack_plain(const uint8_t *image, const uint8_t *mask, size_t blocks, uint8_t *out)
{
    return pack_loop(image, mask, blocks, out);
}

static void unpack_plain(uint8_t *image, const uint8_t *mask, size_t blocks, const uint8_t *bytes)
{
    unpack_loop(image, mask, blocks, bytes);
}

#if HAVE_X86

/* ------------------------------------------------------------------------------------------ */
/* AVX2                                                                                       */

TARGET_AVX2 static uint32_t unequal32(const uint8_t *a, const uint8_t *b)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)a);
    __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)b);
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, y));
}

TARGET_AVX2 static size_t mask_avx2(const uint8_t *a, const uint8_t *b, size_t blocks,
                                    uint8_t *mask)
{
    size_t runs = 0;
    uint64_t carry = 0;
    for (size_t w = 0; w < blocks; w++) {
        size_t at = HTH_DIFF_BLOCK * w;
        uint64_t word = unequal32(a + at, b + at);
        word |= (uint64_t)unequal32(a + at + 32, b + at + 32) << 32;
        memcpy(mask + 8 * w, &word, 8);
        runs += (size_t)__builtin_popcountll(run_starts(word, carry));
        carry = word >> 63;
    }
    return runs;
}

TARGET_AVX2 static size_t take_avx2(const uint8_t *now, uint8_t *base, size_t blocks, uint8_t *mask)
{
    size_t runs = 0;
    uint64_t carry = 0;
    for (size_t w = 0; w < blocks; w++) {
        size_t at = HTH_DIFF_BLOCK * w;
        __m256i block[2];
        uint64_t word = 0;
        for (unsigned i = 0; i < 2; i++) {
            block[i] = _mm256_loadu_si256((const __m256i *)(const void *)(now + at + 32 * i));
            __asm__ volatile("" : "+x"(block[i])); /* lest the compiler load it again */
            __m256i old = _mm256_loadu_si256((const __m256i *)(const void *)(base + at + 32 * i));
            uint32_t same = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(block[i], old));
            word |= (uint64_t)~same << 32 * i;
        }
        memcpy(mask + 8 * w, &word, 8);
        for (unsigned i = 0; i < 2 && word != 0; i++) {
            _mm256_storeu_si256((__m256i *)(void *)(base + at + 32 * i), block[i]);
        }
        runs += (size_t)__builtin_popcountll(run_starts(word, carry));
        carry = word >> 63;
    }
    return runs;
}

TARGET_AVX2 static void merge_avx2(const uint8_t *now, uint8_t *base, size_t blocks, uint8_t *image)
{
    for (size_t w = 0; w < blocks; w++) {
        size_t at = HTH_DIFF_BLOCK * w;
        uint64_t word = unequal32(now + at, base + at);
        word |= (uint64_t)unequal32(now + at + 32, base + at + 32) << 32;
        if (word != 0) {
            copy_named(now + at, word, image + at);
            memcpy(base + at, now + at, HTH_DIFF_BLOCK);
        }
    }
}

TARGET_AVX2 static size_t pack_avx2(const uint8_t *image, const uint8_t *mask, size_t blocks,
                                    uint8_t *out)
{
    return pack_loop(image, mask, blocks, out);
}

TARGET_AVX2 static void unpack_avx2(uint8_t *image, const uint8_t *mask, size_t blocks,
                                    const uint8_t *bytes)
{
    unpack_loop(image, mask, blocks, bytes);
}

/* ------------------------------------------------------------------------------------------ */
/* AVX-512                                                                                    */

TARGET_AVX512 static size_t mask_avx512(const uint8_t *a, const uint8_t *b, size_t blocks,
                                        uint8_t *mask)
{
    size_t runs = 0;
    uint64_t carry = 0;
    for (size_t w = 0; w < blocks; w++) {
        size_t at = HTH_DIFF_BLOCK * w;
        uint64_t word =
            _mm512_cmpneq_epi8_mask(_mm512_loadu_si512(a + at), _mm512_loadu_si512(b + at));
        memcpy(mask + 8 * w, &word, 8);
        runs += (size_t)__builtin_popcountll(run_starts(word, carry));
        carry = word >> 63;
    }
    return runs;
}

TARGET_AVX512 static size_t take_avx512(const uint8_t *now, uint8_t *base, size_t blocks,
                                        uint8_t *mask)
{
    size_t runs = 0;
    uint64_t carry = 0;
    for (size_t w = 0; w < blocks; w++) {
        size_t at = HTH_DIFF_BLOCK * w;
        __m512i block = _mm512_loadu_si512(now + at);
        __asm__ volatile("" : "+v"(block)); /* lest the compiler load it again */
        uint64_t word = _mm512_cmpneq_epi8_mask(block, _mm512_loadu_si512(base + at));
        memcpy(mask + 8 * w, &word, 8);
        if (word != 0)
            _mm512_storeu_si512(base + at, block);
        runs += (size_t)__builtin_popcountll(run_starts(word, carry));
        carry = word >> 63;
    }
    return runs;
}

TARGET_AVX512 static void merge_avx512(const uint8_t *now, uint8_t *base, size_t blocks,
                                       uint8_t *image)
{
    for (size_t w = 0; w < blocks; w++) {
        size_t at = HTH_DIFF_BLOCK * w;
        __m512i block = _mm512_loadu_si512(now + at);
        uint64_t word = _mm512_cmpneq_epi8_mask(block, _mm512_loadu_si512(base + at));
        if (word != 0) {
            _mm512_mask_storeu_epi8(image + at, word, block);
            _mm512_storeu_si512(base + at, block);
        }
    }
}

TARGET_AVX512 static size_t pack_avx512(const uint8_t *image, const uint8_t *mask, size_t blocks,
                                        uint8_t *out)
{
    size_t n = 0;
    for (size_t w = 0; w < blocks; w++) {
        uint64_t word = hth_diff_load64(mask + 8 * w);
        __m512i bytes = _mm512_loadu_si512(image + HTH_DIFF_BLOCK * w);
        /* Compress into a register and store all of it: compressing to memory is slow on Zen. */
        _mm512_storeu_si512(out + n, _mm512_maskz_compress_epi8(word, bytes));
        n += (size_t)__builtin_popcountll(word);
    }
    return n;
}

TARGET_AVX512 static void unpack_avx512(uint8_t *image, const uint8_t *mask, size_t blocks,
                                        const uint8_t *bytes)
{
    for (size_t w = 0; w < blocks; w++) {
        uint64_t word = hth_diff_load64(mask + 8 * w);
        __m512i spread = _mm512_maskz_expandloadu_epi8(word, bytes);
        _mm512_mask_storeu_epi8(image + HTH_DIFF_BLOCK * w, word, spread);
        bytes += (size_t)__builtin_popcountll(word);
    }
}

#endif /* HAVE_X86 */

/* ------------------------------------------------------------------------------------------ */
/* Dispatch                                                                                   */

size_t hth_diff_mask(enum hth_diff_isa isa, const uint8_t *a, const uint8_t *b, size_t blocks,
                     uint8_t *mask)
{
#if HAVE_X86
    if (isa == HTH_DIFF_AVX512)
        return mask_avx512(a, b, blocks, mask);
    if (isa == HTH_DIFF_AVX2)
        return mask_avx2(a, b, blocks, mask);
#endif
    (void)isa;
    return mask_plain(a, b, blocks, mask);
}

size_t hth_diff_mask_take(enum hth_diff_isa isa, const uint8_t *now, uint8_t *base, size_t blocks,
                          uint8_t *mask)
{
#if HAVE_X86
    if (isa == HTH_DIFF_AVX512)
        return take_avx512(now, base, blocks, mask);
    if (isa == HTH_DIFF_AVX2)
        return take_avx2(now, base, blocks, mask);
#endif
    (void)isa;
    return take_plain(now, base, blocks, mask);
}

void hth_diff_mask_merge(enum hth_diff_isa isa, const uint8_t *now, uint8_t *base, size_t blocks,
                         uint8_t *image)
{
#if HAVE_X86
    if (isa == HTH_DIFF_AVX512) {
        merge_avx512(now, base, blocks, image);
        return;
    }
    if (isa == HTH_DIFF_AVX2) {
        merge_avx2(now, base, blocks, image);
        return;
    }
#endif
    (void)isa;
    merge_plain(now, base, blocks, image);
}

size_t hth_diff_pack(enum hth_diff_isa isa, const uint8_t *image, const uint8_t *mask,
                     size_t blocks, uint8_t *out)
{
#if HAVE_X86
    if (isa == HTH_DIFF_AVX512)
        return pack_avx512(image, mask, blocks, out);
    if (isa == HTH_DIFF_AVX2)
        return pack_avx2(image, mask, blocks, out);
#endif
    (void)isa;
    return pack_plain(image, mask, blocks, out);
}

void hth_diff_unpack(enum hth_diff_isa isa, uint8_t *image, const uint8_t *mask, size_t blocks,
                     const uint8_t *bytes)
{
#if HAVE_X86
    if (isa == HTH_DIFF_AVX512) {
        unpack_avx512(image, mask, blocks, bytes);
        return;
    }
    if (isa == HTH_DIFF_AVX2) {
        unpack_avx2(image, mask, blocks, bytes);
        return;
    }
#endif
    (void)isa;
    unpack_plain(image, mask, blocks, bytes);
}
