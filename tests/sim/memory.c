/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a run. The world's own is cut from an arena. What the protocols allocate comes from
 * malloc under address sanitizer, so that it can see overruns, and else from free lists over the
 * arena; it is filled with rubbish, before and after its use, so that nobody relies on it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim.h"

enum { STACKS = 2 * SIM_THREADS_MAX + SIM_PES_MAX, CLASSES = 24, OWNERS = 4 };
#define ARENA_BYTES (UINT64_C(1) << 30)
#define STACK_BYTES (SIM_ASAN ? 262144u : 65536u)

static uint8_t *arena, *stacks;
static size_t arena_used;

/* Before each allocation, 64 bytes so that what follows is aligned. */
struct sim_memory {
    struct sim_memory *next, *previous; /* live ones, or the free list */
    size_t bytes;
    uint64_t magic;
    uint32_t owner; /* which free lists it goes back to */
    uint8_t pad[28];
};
_Static_assert(sizeof(struct sim_memory) == 64, "keeps alignment");

static const uint64_t live_magic = UINT64_C(0x6c69766500000000);
static struct sim_memory *free_lists[OWNERS][CLASSES];

void sim_memory_save(void *to)
{
    _Static_assert(sizeof free_lists + sizeof arena_used <= SIM_MEMORY_SAVED_BYTES, "fits");
    memcpy(to, free_lists, sizeof free_lists);
    memcpy((uint8_t *)to + sizeof free_lists, &arena_used, sizeof arena_used);
}

void sim_memory_restore(const void *from)
{
    memcpy(free_lists, from, sizeof free_lists);
    memcpy(&arena_used, (const uint8_t *)from + sizeof free_lists, sizeof arena_used);
}

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        abort();
    }
    return memory;
}

void *sim_arena(size_t bytes)
{
    if (arena == NULL) {
        arena = map(ARENA_BYTES);
    }
    void *memory = arena + arena_used;
    arena_used += (bytes + 63) & ~(size_t)63;
    if (arena_used > ARENA_BYTES) {
        abort();
    }
    memset(memory, 0, bytes);
    return memory;
}

size_t sim_arena_used(void)
{
    return arena_used;
}

void sim_arena_reset(void)
{
    if (arena_used > 64u << 20) { /* a large world: give its memory back */
        madvise(arena, arena_used, MADV_DONTNEED);
    }
    arena_used = 0;
    memset(free_lists, 0, sizeof free_lists);
}

uint8_t *sim_stack(int index, size_t *bytes_out)
{
    if (stacks == NULL) {
        stacks = map((size_t)STACKS * STACK_BYTES);
    }
    *bytes_out = STACK_BYTES;
    return stacks + (size_t)index * STACK_BYTES;
}

static unsigned size_class(size_t bytes)
{
    return bytes <= 64 ? 0 : (unsigned)(58 - __builtin_clzll(bytes - 1));
}

/* Rubbish, but not over and over the whole of large blocks, which would only cost time. */
static void spoil(void *memory, size_t bytes, uint8_t with)
{
    memset(memory, with, bytes < 4096 || SIM_ASAN ? bytes : 4096);
}

/* When all orders are explored, where a block lies must not tell of the past, or equal states would
 * look different: each PE has free lists of its own, and takes the lowest block. */
static uint32_t owner_of(const struct sim_world *world)
{
    return world->choose == NULL || world->running == NULL ? 0
                                                           : (uint32_t)world->running->pe % OWNERS;
}

static struct sim_memory *take(const struct sim_world *world, size_t bytes)
{
#if SIM_ASAN
    struct sim_memory *block = NULL;
    (void)owner_of(world);
    if (posix_memalign((void **)&block, 64, sizeof *block + bytes) != 0) {
        abort();
    }
    return block;
#else
    unsigned list = size_class(bytes), owner = owner_of(world);
    struct sim_memory *block = free_lists[owner][list];
    if (block != NULL) {
        free_lists[owner][list] = block->next;
        return block;
    }
    block = sim_arena(sizeof *block + ((size_t)64 << list));
    block->owner = owner;
    return block;
#endif
}

void *sim_memory_new(struct sim_world *world, size_t bytes)
{
    size_t real = world->choose != NULL && bytes > SIM_SMALL_BYTES ? SIM_SMALL_BYTES : bytes;
    struct sim_memory *block = take(world, real);
    block->bytes = bytes;
    block->magic = live_magic;
    if (world->choose != NULL) { /* states are compared: no list that tells of the past */
        block->next = block->previous = NULL;
        spoil(block + 1, real, 0xa5);
        return block + 1;
    }
    block->previous = NULL;
    block->next = world->memory;
    if (world->memory != NULL) {
        world->memory->previous = block;
    }
    world->memory = block;
    world->live_bytes += bytes;
    spoil(block + 1, bytes, 0xa5);
    return block + 1;
}

static void give_back(struct sim_world *world, struct sim_memory *block)
{
    if (world->choose != NULL) {
        size_t real = block->bytes > SIM_SMALL_BYTES ? SIM_SMALL_BYTES : block->bytes;
        unsigned list = size_class(real);
        block->magic = 0;
        spoil(block + 1, real, 0xdb);
        struct sim_memory **at = &free_lists[block->owner][list];
        while (*at != NULL && *at < block) {
            at = &(*at)->next;
        }
        block->next = *at;
        *at = block;
        return;
    }
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        world->memory = block->next;
    }
    block->magic = 0;
    world->live_bytes -= block->bytes;
    spoil(block + 1, block->bytes, 0xdb);
#if SIM_ASAN
    free(block);
#else
    unsigned list = size_class(block->bytes);
    block->next = free_lists[0][list];
    free_lists[0][list] = block;
#endif
}

void sim_memory_free(struct sim_world *world, void *memory, size_t bytes)
{
    struct sim_memory *block = (struct sim_memory *)memory - 1;
    if (memory == NULL || block->magic != live_magic) {
        sim_fail(world, SIM_INV_CONTRACT, -1, -1, 0, "memory freed that is not allocated");
        return;
    }
    if (bytes != SIZE_MAX && bytes != block->bytes) {
        sim_fail(world, SIM_INV_CONTRACT, -1, -1, 0, "%zu bytes allocated, %zu freed", block->bytes,
                 bytes);
    }
    give_back(world, block);
}

void sim_memory_reset(struct sim_world *world)
{
    while (world->memory != NULL) {
        give_back(world, world->memory);
    }
}
