/* SPDX-License-Identifier: BSD-3-Clause */
/* Under write-invalidate a PE that computes costs its peers nothing: misses, write faults and
 * releases on its pages are served while it is in a loop of its own, from the very first on. */
#include "harness.h"

#include <stdlib.h>
#include <unistd.h>

/* Longer where messages are held back on purpose: see main. */
static double compute_s = 1.0, limit_s = 0.1;

enum { PAGES = 60, ROUNDS = 3, TRIES = 12 };

static double worst(double so_far, double since)
{
    double took = ht_now() - since;

    return took > so_far ? took : so_far;
}

static void compute(void)
{
    volatile double x = 1;

    for (double end = ht_now() + compute_s; ht_now() < end;)
        for (int i = 0; i < 10000; i++)
            x = x * 1.0000001 + 1e-9;
}

/* The pages of PE 0, one by one, spread over the time in which it computes. Returns the longest
 * that PE 1 was held up, in seconds; negative if the machine was so busy that PE 0 had ended by
 * then, which says nothing. */
static double visit(volatile unsigned char *p, int round)
{
    double read_s = 0, write_s = 0, release_s = 0, first_s = 0, began = ht_now();

    for (int k = 0; k < PAGES; k++) {
        volatile unsigned char *page = p + (size_t)k * ht_page_bytes();
        double t = ht_now();
        HT_EQUAL(page[1], round);
        read_s = worst(read_s, t);
        if (k == 0)
            first_s = read_s;
        t = ht_now();
        page[2]++;
        write_s = worst(write_s, t);
        t = ht_now();
        HT_EQUAL(hearth_release(), 0);
        release_s = worst(release_s, t);
        usleep((useconds_t)(1e6 * 0.5 / PAGES));
    }
    if (ht_now() - began >= compute_s)
        return -1;
    HT_CHECKF(first_s < limit_s && read_s < limit_s && write_s < limit_s && release_s < limit_s,
              "worst in ms: first miss %.3f, miss %.3f, write %.3f, release %.3f", 1e3 * first_s,
              1e3 * read_s, 1e3 * write_s, 1e3 * release_s);
    double worst_s = read_s > write_s ? read_s : write_s;
    return worst_s > release_s ? worst_s : release_s;
}

/* Round 0: nobody has touched anything yet. Later: PE 0 has written, and PE 1 has old copies. */
static void test_passive(struct hearth_region *region)
{
    if (ht_n_pes() < 2) {
        ht_skip("takes two PEs");
        return;
    }
    size_t share = (PAGES + 1) * ht_page_bytes();
    volatile unsigned char *p = hearth_region_malloc(region, share * (size_t)ht_n_pes());
    if (!ht_all(p != NULL))
        return;
    if (ht_pe() == 0)
        HT_EQUAL(hearth_home((const void *)(p + (PAGES - 1) * ht_page_bytes())), 0);
    int n_good = 0;
    for (int round = 0; round < TRIES && n_good < ROUNDS; round++) {
        if (ht_pe() == 0)
            for (size_t k = 0; k < PAGES && round > 0; k++)
                p[k * ht_page_bytes() + 1] = (unsigned char)round;
        hearth_barrier_all();
        double worst_s = 0;
        if (ht_pe() == 0)
            compute();
        else if (ht_pe() == 1)
            worst_s = visit(p, round);
        if (ht_all(worst_s >= 0)) {
            n_good++;
            ht_note("%.3f ms", 1e3 * ht_max(worst_s));
        }
        hearth_barrier_all();
        for (size_t k = 0; k < PAGES; k++)
            HT_EQUAL(p[k * ht_page_bytes() + 2], round + 1);
        hearth_barrier_all();
    }
    if (n_good < ROUNDS)
        ht_note("%d rounds only: the machine is too busy", n_good);
}

static const struct ht_test tests[] = {
    {"passive", test_passive, HT_ONCE, 8 << 20},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"passive", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    if (getenv("HEARTH_TEST_DELAY_US")) {
        compute_s = 8;
        limit_s = 1;
    }
    /* Seven PEs on two cores, by messages: the target's progress thread has to get a core. */
    const char *pes = getenv("OMPI_COMM_WORLD_SIZE");
    if (!pes)
        pes = getenv("PMI_SIZE");
    if (pes && atoi(pes) > 4 && limit_s < 0.3)
        limit_s = 0.3;
    return ht_main(argc, argv, &program);
}
