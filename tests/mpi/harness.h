/* SPDX-License-Identifier: BSD-3-Clause */
/* CUnit under mpirun: every PE runs the same tests, PE 0 alone speaks.
 *
 * A test says what must hold with HT_CHECK, from any thread (CUnit's own macros are not
 * thread-safe). A check that fails is written down and the test goes on, because the other PEs
 * wait for this one in the next collective. At the end of each test the PEs' notes are brought
 * together: PE 0 hands each failure, with the PE that saw it, to CUnit as a failed assertion, and
 * each check that held as one that passed. All PEs leave with the common verdict.
 *
 * Most tests are run once for each *kind* of region (see kinds[] in harness.c), in a region of
 * their own, under a name like "migratory/invalidate". */
#ifndef HT_HARNESS_H
#define HT_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hearth.h>
#include <mpi.h>

enum ht_each {
    HT_ONCE,      /* once; attributes are the default ones */
    HT_PROTOCOLS, /* for each protocol */
    HT_KINDS      /* for each protocol, and again with other placements and page sizes */
};

struct ht_test {
    const char *name;
    void (*body)(struct hearth_region *region);
    enum ht_each each;
    size_t region_bytes; /* 0: no region is made, and body gets NULL */
};

struct ht_program {
    const char *name;
    const struct ht_test *tests;
    size_t n_tests;
    bool own_mpi; /* the harness initialises MPI and the tests call hearth_init() themselves */
    double extra_seconds; /* on top of the time limit */
};

/* Run the tests whose "name/kind" contains argv[1] (if given), and return main's exit code.
 * HEARTH_TEST_SECONDS: the time limit of the program, default 120. HEARTH_TEST_GDB=1: when it is
 * over, print all stacks. */
int ht_main(int argc, char **argv, const struct ht_program *program);

/* --- what must hold: any thread --- */

#define HT_CHECK(condition) ht_check((condition), __FILE__, __LINE__, #condition, NULL)
/* with a text of printf's kind, which says what was seen */
#define HT_CHECKF(condition, ...) ht_check((condition), __FILE__, __LINE__, #condition, __VA_ARGS__)
/* two integers, both printed if they differ */
#define HT_EQUAL(got, expected)                                                                    \
    ht_equal((long long)(got), (long long)(expected), __FILE__, __LINE__, #got " == " #expected)

bool ht_check(bool holds, const char *file, int line, const char *condition, const char *format,
              ...) __attribute__((format(printf, 5, 6)));
bool ht_equal(long long got, long long expected, const char *file, int line, const char *condition);
bool ht_failed(void);          /* has this PE failed a check in the present test? */
void ht_skip(const char *why); /* say so; then return from the body, on all PEs alike */
/* PE 0 prints a line about the present test. */
void ht_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- facts --- */

int ht_pe(void); /* as MPI has it: valid whatever Hearth's state */
int ht_n_pes(void);
MPI_Comm ht_comm(void);                         /* for the tests' own messages; tags below 1000 */
const struct hearth_region_attr *ht_attr(void); /* of the present test's kind */
size_t ht_page_bytes(void);                     /* likewise, never 0 */
bool ht_is_sequential(void);                    /* likewise */
struct hearth_stats ht_stats(const struct hearth_region *region); /* this PE's counters of it */
bool ht_threads_allowed(void); /* may several threads call at once? */
double ht_now(void);           /* seconds */

/* --- collectives that do not go through Hearth: one thread of each PE --- */

void ht_wait(MPI_Request *request); /* sleeps between tests: blocking MPI calls burn time slices */
bool ht_all(bool mine);             /* true on every PE? */
bool ht_same(uint64_t value);       /* the same on every PE? */
double ht_max(double mine);
double ht_sum(double mine);
uint64_t ht_from_pe0(uint64_t value);

/* --- tools --- */

/* Run body(arg, 0..n-1) on n threads and wait for them. */
void ht_threads(int n, void (*body)(void *arg, int index), void *arg);
uint64_t ht_hash(uint64_t a, uint64_t b, uint64_t c); /* well mixed, the same everywhere */
/* The first index at which bytes are not all `value`, or `n`. */
size_t ht_find_other(const void *bytes, size_t n, unsigned char value);
uint64_t ht_env_number(const char *name, uint64_t otherwise);
/* How often to repeat what is repeated n times: HEARTH_TEST_PERCENT of it (default 100), at least
 * once. Collective. */
int ht_rounds(int n);

#endif
