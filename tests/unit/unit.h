/* SPDX-License-Identifier: BSD-3-Clause */
/* What the unit suites share: the random numbers and the table of suites in unit_main.c. */
#ifndef HTH_TESTS_UNIT_H
#define HTH_TESTS_UNIT_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of this run; printed at its start. Each test seeds a generator of its own from it, so that a test
 * does the same alone as among the others. */
extern uint64_t hth_unit_seed;

struct hth_rng {
    uint64_t state;
};

static inline uint64_t hth_rng_next(struct hth_rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint64_t hth_rng_below(struct hth_rng *rng, uint64_t limit)
{
    return hth_rng_next(rng) % limit;
}

static inline struct hth_rng hth_rng_of(uint64_t test_number)
{
    return (struct hth_rng){hth_unit_seed * 1000003 + test_number};
}

/* An assertion that may stand in a hot loop: CUnit remembers every one, so only the first failure
 * is told to it. Assert `ok` at the end. */
#define HTH_EXPECT(ok, condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            if (ok)                                                                                \
                CU_FAIL(#condition);                                                               \
            (ok) = false;                                                                          \
        }                                                                                          \
    } while (0)

struct hth_unit_test {
    const char *name;
    void (*run)(void);
};

/* Register a suite of tests; the program ends if CUnit cannot. */
void hth_unit_register(const char *suite, const struct hth_unit_test *tests, size_t n_tests);

#endif
