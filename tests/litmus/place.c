/* SPDX-License-Identifier: BSD-3-Clause */
/* Where variables lie, how values are written there, and which PE plays which thread. */
#include "litmus.h"

uint64_t lt_hash(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t h = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15u) * 0xbf58476d1ce4e5b9u ^
                 (c + 0x1ce4e5b9u) * 0x94d049bb133111ebu;

    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

uint64_t lt_random(struct run *run)
{
    run->random += 0x9e3779b97f4a7c15u;
    return lt_hash(run->random, 1, 2);
}

int lt_pe_of(const struct run *run, unsigned group, unsigned thread)
{
    uint64_t turn = lt_hash(run->seed, run->round, group);

    return (int)((turn + thread) % (uint64_t)run->n_pes);
}

unsigned lt_thread(const struct run *run, unsigned group)
{
    for (unsigned t = 0; t < run->test->n_threads; t++)
        if (lt_pe_of(run, group, t) == run->pe)
            return t;
    return LT_THREADS_MAX;
}

/* Pages are dealt round-robin, so the home follows from the page's number modulo n. On two pages,
 * x and y of the groups of a block of 16 have all pairs of homes (of up to 4 PEs). */
unsigned char *lt_place(const struct run *run, unsigned group, unsigned member, unsigned var)
{
    unsigned page = group, offset = member * (PAGE_BYTES / PER_GROUP);

    switch (run->layout) {
    case LT_ONE_WORD:
        offset += (member % 2) * 4 + var;
        break;
    case LT_ONE_PAGE:
        offset += 72 * var;
        break;
    case LT_TWO_PAGES:
        page = var * GROUPS + (group & ~3u) + ((group + var * (group / 4)) & 3);
        offset += 16 * var;
        break;
    case LT_LAYOUTS:
        break;
    }
    return run->memory + (uint64_t)page * PAGE_BYTES + offset;
}

/* One access of a whole word, by one instruction, and nothing of the processor's own reordering:
 * what is on trial is Hearth. (A full fence: also between a store and a later load.) */
static void store64(unsigned char *at, uint64_t value)
{
    __atomic_store_n((uint64_t *)(void *)at, value, __ATOMIC_SEQ_CST);
}

static uint64_t load64(const unsigned char *at)
{
    return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_SEQ_CST);
}

void lt_store(const struct run *run, unsigned group, unsigned member, unsigned var, unsigned v)
{
    unsigned char *at = lt_place(run, group, member, var);
    uint8_t byte = (uint8_t)(run->base + v);

    if (run->layout == LT_ONE_WORD)
        __atomic_store_n(at, byte, __ATOMIC_SEQ_CST);
    else
        store64(at, byte * UINT64_C(0x0101010101010101));
}

unsigned lt_load(const struct run *run, unsigned group, unsigned member, unsigned var)
{
    const unsigned char *at = lt_place(run, group, member, var);
    unsigned bytes = run->layout == LT_ONE_WORD ? 1 : 8, values = lt_values(run->test, var);
    uint64_t word = bytes == 1 ? __atomic_load_n(at, __ATOMIC_SEQ_CST) : load64(at);
    unsigned first = (uint8_t)(word - run->base);
    bool mixed = false;

    for (unsigned i = 0; i < bytes; i++) {
        unsigned v = (uint8_t)((word >> 8 * i) - run->base);
        if (v > LT_VALUE_MAX || (values >> v & 1) == 0)
            return LT_WRONG;
        mixed = mixed || v != first;
    }
    return mixed ? LT_MIXED : first;
}

unsigned char *lt_bystander_byte(const struct run *run, unsigned group, int pe)
{
    unsigned char *word = lt_place(run, group, 0, 0);

    if (run->layout == LT_TWO_PAGES) /* no neighbours there: in a page of their own */
        return run->memory + (uint64_t)(LT_VARS_MAX * GROUPS) * PAGE_BYTES + group * 64 + pe;
    return word + (run->layout == LT_ONE_WORD ? 4 : 32) + pe;
}
