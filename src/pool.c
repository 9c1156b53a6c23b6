/* SPDX-License-Identifier: BSD-3-Clause */
/* Small blocks and very large ones: free lists, last in first out. Blocks of 4 KiB to 256 KiB,
 * which are twins and published images: always the lowest free one of the oldest slab, so that what
 * is asked for in sequence lies in sequence, whatever was given back before. Neighbours' bytes then
 * go as one put, and caches and their prefetching like it (256 scattered twins: 540 us, in
 * sequence: 270; docs/performance.md). */
#include "pool.h"

#include <stdint.h>
#include <sys/mman.h>

#include "spin.h"

#define CLASSES     40                  /* powers of two from 64 bytes on */
#define RUN_BYTES   (UINT64_C(1) << 20) /* what a list takes from the system at once, at least */
#define SLAB_BYTES  (UINT64_C(4) << 20) /* and aligned to that */
#define SLABBED_MIN UINT64_C(4096)
#define SLABBED_MAX (UINT64_C(256) << 10) /* sizes of blocks in slabs */
#define BLOCKS_MAX  (SLAB_BYTES / SLABBED_MIN)

struct block {
    struct block *next;
};

/* At the head of a slab, in the place of its first block. */
struct slab {
    struct slab *next; /* younger */
    uint32_t age;      /* how many are older */
    uint32_t n_free;
    uint64_t free[BLOCKS_MAX / 64]; /* a bit a block */
};

static struct {
    atomic_flag lock; /* guards the class; nothing is taken inside; held for some instructions, or
                         for an mmap */
    struct block *list;
    char *fresh, *fresh_end;                 /* the rest of the last run of a list */
    struct slab *oldest, *youngest, *lowest; /* lowest: no older slab has a free block */
} classes[CLASSES];

static unsigned class_of(size_t bytes)
{
    unsigned c = 0;
    while ((size_t)64 << c < bytes) {
        c++;
    }
    return c;
}

static char *map(size_t bytes)
{
    char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* --- lists --- */

static void *get_listed(unsigned c, size_t size)
{
    struct block *block = classes[c].list;
    if (block != NULL) {
        classes[c].list = block->next;
        return block;
    }
    if (classes[c].fresh == classes[c].fresh_end) {
        size_t bytes = size < RUN_BYTES ? RUN_BYTES : size;
        char *at = map(bytes);
        if (at == NULL) {
            return NULL;
        }
        classes[c].fresh = at;
        classes[c].fresh_end = at + bytes;
    }
    void *fresh = classes[c].fresh;
    classes[c].fresh += size;
    return fresh;
}

static void put_listed(unsigned c, void *memory)
{
    struct block *block = memory;
    block->next = classes[c].list;
    classes[c].list = block;
}

/* --- slabs --- */

static struct slab *add_slab(unsigned c, size_t size)
{
    char *at = map(2 * SLAB_BYTES);
    if (at == NULL) {
        return NULL;
    }
    uintptr_t gap = -(uintptr_t)at & (SLAB_BYTES - 1);
    if (gap > 0) {
        munmap(at, gap);
    }
    munmap(at + gap + SLAB_BYTES, SLAB_BYTES - gap);
    struct slab *slab = (struct slab *)(void *)(at + gap), *before = classes[c].youngest;
    slab->age = before == NULL ? 0 : before->age + 1;
    for (uint64_t i = 1; i < SLAB_BYTES / size; i++) {
        slab->free[i / 64] |= UINT64_C(1) << i % 64;
        slab->n_free++;
    }
    *(before == NULL ? &classes[c].oldest : &before->next) = slab;
    classes[c].youngest = slab;
    return slab;
}

static void *get_slabbed(unsigned c, size_t size)
{
    struct slab *slab = classes[c].lowest;
    while (slab != NULL && slab->n_free == 0) {
        slab = slab->next;
    }
    if (slab == NULL) {
        slab = add_slab(c, size);
    }
    if (slab == NULL) {
        return NULL;
    }
    classes[c].lowest = slab;
    unsigned word = 0;
    while (slab->free[word] == 0) {
        word++;
    }
    unsigned bit = (unsigned)__builtin_ctzll(slab->free[word]);
    slab->free[word] &= slab->free[word] - 1;
    slab->n_free--;
    return (char *)slab + (word * 64 + bit) * size;
}

static void put_slabbed(unsigned c, size_t size, void *memory)
{
    struct slab *slab = (struct slab *)((uintptr_t)memory & ~(uintptr_t)(SLAB_BYTES - 1));
    uint64_t index = (uint64_t)((char *)memory - (char *)slab) / size;
    slab->free[index / 64] |= UINT64_C(1) << index % 64;
    slab->n_free++;
    if (slab->age < classes[c].lowest->age) {
        classes[c].lowest = slab;
    }
}

/* --- both --- */

void *hth_pool_get(size_t bytes)
{
    unsigned c = class_of(bytes);
    size_t size = (size_t)64 << c;
    hth_spin_lock(&classes[c].lock);
    void *memory =
        size >= SLABBED_MIN && size <= SLABBED_MAX ? get_slabbed(c, size) : get_listed(c, size);
    hth_spin_unlock(&classes[c].lock);
    return memory;
}

void hth_pool_put(void *memory, size_t bytes)
{
    unsigned c = class_of(bytes);
    size_t size = (size_t)64 << c;
    hth_spin_lock(&classes[c].lock);
    if (size >= SLABBED_MIN && size <= SLABBED_MAX) {
        put_slabbed(c, size, memory);
    } else {
        put_listed(c, memory);
    }
    hth_spin_unlock(&classes[c].lock);
}
