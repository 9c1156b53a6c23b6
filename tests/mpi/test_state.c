/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls before hearth_init() and after hearth_finalize(), and a life over a communicator of the
 * program's. MPI belongs to the program here. The tests build on each other, in this order; with a
 * filter only the first is of use. */
#include <hearth_mpi.h>

#include "harness.h"

#include <string.h>

static void estate(int got, const char *call)
{
    HT_CHECKF(got == HEARTH_ESTATE, "%s: %d", call, got);
    HT_CHECKF(strstr(hearth_error_message(), "init") != NULL, "%s: '%s'", call,
              hearth_error_message());
}

static void no_pointer(const void *got, const char *call)
{
    HT_CHECKF(got == NULL, "%s", call);
    HT_CHECKF(strlen(hearth_error_message()) > 10, "%s: '%s'", call, hearth_error_message());
}

#define ESTATE(call)     estate((int)(call), #call)
#define NO_POINTER(call) no_pointer(call, #call)

/* Nothing works, and nothing crashes. */
static void all_refused(void)
{
    struct hearth_region *region = NULL;
    struct hearth_lock lock = {0};
    struct hearth_counter counter = {0};
    struct hearth_stats stats;
    int local = 0;

    ESTATE(hearth_my_pe());
    ESTATE(hearth_n_pes());
    ESTATE(hearth_region_create(&region, 4096, NULL));
    ESTATE(hearth_region_destroy((struct hearth_region *)&local));
    NO_POINTER(hearth_region_malloc((struct hearth_region *)&local, 100));
    NO_POINTER(hearth_malloc(100));
    NO_POINTER(hearth_calloc(10, 10));
    ESTATE(hearth_free(&local));
    NO_POINTER(hearth_solo_malloc(NULL, 100));
    ESTATE(hearth_solo_free(&local));
    ESTATE(hearth_barrier_all());
    ESTATE(hearth_acquire());
    ESTATE(hearth_release());
    ESTATE(hearth_lock_init(&lock));
    HT_CHECK(hearth_lock_acquire(&lock) < 0);
    HT_CHECK(hearth_lock_try(&lock) < 0);
    HT_CHECK(hearth_lock_release(&lock) < 0);
    HT_CHECK(hearth_lock_destroy(&lock) < 0);
    ESTATE(hearth_counter_init(&counter, 5));
    HT_CHECK(hearth_counter_fetch_add(&counter, 1) == HEARTH_COUNTER_INVALID);
    HT_CHECK(hearth_counter_load(&counter) == HEARTH_COUNTER_INVALID);
    HT_CHECK(hearth_counter_store(&counter, 1) < 0);
    HT_CHECK(hearth_counter_destroy(&counter) < 0);
    HT_CHECK(hearth_home(&local) < 0);
    HT_CHECK(hearth_region_stats(NULL, &stats) < 0);
    HT_CHECK(strlen(hearth_strerror(HEARTH_ESTATE)) > 3);
}

static void test_before(struct hearth_region *none)
{
    (void)none;
    HT_CHECK(hearth_error_message() != NULL);
    all_refused();
    ESTATE(hearth_finalize());
}

static void test_bad_communicators(struct hearth_region *none)
{
    (void)none;
    HT_EQUAL(hearth_init_comm(MPI_COMM_NULL), HEARTH_EINVAL);
    HT_CHECK(strlen(hearth_error_message()) > 10);
    if (ht_n_pes() < 2)
        return;
    MPI_Comm half, inter;
    MPI_Comm_split(ht_comm(), ht_pe() % 2, ht_pe(), &half);
    MPI_Intercomm_create(half, 0, ht_comm(), 1 - ht_pe() % 2, 7, &inter);
    HT_EQUAL(hearth_init_comm(inter), HEARTH_EINVAL);
    MPI_Comm_free(&inter);
    MPI_Comm_free(&half);
    ESTATE(hearth_my_pe()); /* still not initialised */
}

/* Over the PEs in reverse: their numbers are ranks in this communicator. */
static void test_life(struct hearth_region *none)
{
    MPI_Comm reversed;
    int n = ht_n_pes(), me = n - 1 - ht_pe();

    (void)none;
    MPI_Comm_split(ht_comm(), 0, -ht_pe(), &reversed);
    int err = hearth_init_comm(reversed);
    MPI_Comm_free(&reversed); /* it was duplicated */
    HT_CHECKF(!err, "%s", hearth_error_message());
    if (!ht_all(!err))
        return;
    HT_EQUAL(hearth_my_pe(), me);
    HT_EQUAL(hearth_n_pes(), n);
    ESTATE(hearth_init(NULL, NULL));
    ESTATE(hearth_init_comm(MPI_COMM_WORLD));
    int *p = hearth_calloc((size_t)n, sizeof *p);
    struct hearth_region *region = NULL; /* left to hearth_finalize() */
    HT_EQUAL(hearth_region_create(&region, 1 << 20, NULL), 0);
    int *q = region ? hearth_region_malloc(region, sizeof *q * (size_t)n) : NULL;
    if (ht_all(p && q)) {
        p[me] = me + 1;
        q[(me + 1) % n] = me;
        HT_EQUAL(hearth_barrier_all(), 0);
        for (int pe = 0; pe < n; pe++) {
            HT_EQUAL(p[pe], pe + 1);
            HT_EQUAL(q[pe], (pe + n - 1) % n);
        }
        HT_EQUAL(hearth_home(hearth_solo_malloc(NULL, 8)), me);
    }
    HT_EQUAL(hearth_finalize(), 0);
}

static void test_after(struct hearth_region *none)
{
    int finalized = 1;

    (void)none;
    MPI_Finalized(&finalized);
    HT_CHECK(!finalized); /* it was ours */
    all_refused();
    ESTATE(hearth_finalize());
    ESTATE(hearth_init(NULL, NULL));
    ESTATE(hearth_init_comm(MPI_COMM_WORLD));
}

static const struct ht_test tests[] = {
    {"before", test_before, HT_ONCE, 0},
    {"bad-communicators", test_bad_communicators, HT_ONCE, 0},
    {"life", test_life, HT_ONCE, 0},
    {"after", test_after, HT_ONCE, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"state", tests, sizeof tests / sizeof tests[0], true,
                                              0};

    return ht_main(argc, argv, &program);
}
