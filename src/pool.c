/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#define CLASSES    40         /* powers of two from 64 bytes on */
#define SLAB_BYTES (1u << 20) /* what is taken from the system at once, at least */

struct block {
    struct block *next;
};

static struct {
    atomic_flag lock; /* guards the class; nothing is taken inside; held for a few instructions, or
                         for one mmap */
    struct block *free;
    char *fresh, *fresh_end; /* the rest of the last slab */
} classes[CLASSES];

static unsigned class_of(size_t bytes)
{
    unsigned c = 0;
    while ((size_t)64 << c < bytes) {
        c++;
    }
    return c;
}

static void lock(unsigned c)
{
    while (atomic_flag_test_and_set_explicit(&classes[c].lock, memory_order_acquire)) {
        sched_yield();
    }
}

static void unlock(unsigned c)
{
    atomic_flag_clear_explicit(&classes[c].lock, memory_order_release);
}

void *hth_pool_get(size_t bytes)
{
    unsigned c = class_of(bytes);
    size_t size = (size_t)64 << c;
    lock(c);
    void *memory = classes[c].free;
    if (memory != NULL) {
        classes[c].free = classes[c].free->next;
    } else {
        if (classes[c].fresh == classes[c].fresh_end) {
            size_t slab = size < SLAB_BYTES ? SLAB_BYTES : size;
            char *at = mmap(NULL, slab, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (at == MAP_FAILED) {
                unlock(c);
                return NULL;
            }
            classes[c].fresh = at;
            classes[c].fresh_end = at + slab;
        }
        memory = classes[c].fresh;
        classes[c].fresh += size;
    }
    unlock(c);
    return memory;
}

void hth_pool_put(void *memory, size_t bytes)
{
    unsigned c = class_of(bytes);
    struct block *block = memory;
    lock(c);
    block->next = classes[c].free;
    classes[c].free = block;
    unlock(c);
}
