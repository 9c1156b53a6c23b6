/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own random numbers, so that a seed means the same everywhere: splitmix64. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct sim_rng {
    uint64_t state;
};

static inline uint64_t sim_random(struct sim_rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* 0 .. n - 1; n >= 1. The bias of the multiplication is far below what we could notice. */
static inline unsigned sim_below(struct sim_rng *rng, unsigned n)
{
    return (unsigned)((sim_random(rng) >> 32) * n >> 32);
}

/* first .. last */
static inline unsigned sim_between(struct sim_rng *rng, unsigned first, unsigned last)
{
    return first + sim_below(rng, last - first + 1);
}

static inline bool sim_chance(struct sim_rng *rng, unsigned percent)
{
    return sim_below(rng, 100) < percent;
}

#endif
