/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may have a core, and how the progress thread waits. */
#include "unit.h"

#include "placement.h"

static struct hth_placement choose(int n_here, int n_pes, int n_threads, int n_units, int n_cores)
{
    struct hth_placement_facts facts = {
        n_here, n_pes, n_threads, n_units, n_cores, HTH_PROGRESS_AUTO, false};
    return hth_placement_choose(&facts);
}

static void test_mode(void)
{
    CU_ASSERT_EQUAL(choose(4, 4, 1, 2, 2).mode, HTH_PROGRESS_DOORBELL);
    CU_ASSERT_EQUAL(choose(2, 2, 1, 64, 64).mode, HTH_PROGRESS_DOORBELL); /* as fast, and idle */
    CU_ASSERT_EQUAL(choose(2, 4, 1, 4, 4).mode, HTH_PROGRESS_SPIN);
    CU_ASSERT_EQUAL(choose(2, 4, 1, 3, 3).mode, HTH_PROGRESS_POLL);
    CU_ASSERT_EQUAL(choose(2, 4, 1, 0, 0).mode, HTH_PROGRESS_POLL); /* nothing is known */
}

static void test_no_bells(void)
{
    struct hth_placement_facts facts = {2, 2, 1, 2, 2, HTH_PROGRESS_AUTO, true};
    CU_ASSERT_EQUAL(hth_placement_choose(&facts).mode, HTH_PROGRESS_POLL);
}

static void test_asked(void)
{
    for (int mode = HTH_PROGRESS_SPIN; mode <= HTH_PROGRESS_POLL; mode++) {
        struct hth_placement_facts facts = {2, 2, 1, 2, 2, (enum hth_progress_mode)mode, false};
        CU_ASSERT_EQUAL((int)hth_placement_choose(&facts).mode, mode);
    }
}

static void test_cores(void)
{
    CU_ASSERT(choose(2, 2, 1, 2, 2).may_spin);
    CU_ASSERT_FALSE(choose(2, 2, 1, 2, 2).own_core);
    CU_ASSERT_FALSE(choose(3, 3, 1, 2, 2).may_spin);
    CU_ASSERT(choose(2, 2, 1, 2, 4).own_core); /* bound to a core each, two left over */
    CU_ASSERT(choose(1, 1, 1, 4, 2).own_core); /* two units a core */
    CU_ASSERT_FALSE(choose(1, 1, 4, 4, 4).own_core);
    CU_ASSERT(choose(1, 1, 4, 4, 4).may_spin);
    CU_ASSERT_FALSE(choose(2, 2, 4, 4, 4).may_spin);
    CU_ASSERT_FALSE(choose(1, 1, 1, 0, 0).may_spin);
}

static void test_threads(void)
{
    CU_ASSERT_EQUAL(hth_placement_threads(NULL), 1);
    CU_ASSERT_EQUAL(hth_placement_threads(""), 1);
    CU_ASSERT_EQUAL(hth_placement_threads("many"), 1);
    CU_ASSERT_EQUAL(hth_placement_threads("-3"), 1);
    CU_ASSERT_EQUAL(hth_placement_threads("6"), 6);
    CU_ASSERT_EQUAL(hth_placement_threads("4,2"), 4);
    CU_ASSERT_EQUAL(hth_placement_threads("99999999999999999999"), 4096);
}

void hth_suite_placement(void)
{
    static const struct hth_unit_test tests[] = {
        {"mode", test_mode},   {"no bells", test_no_bells}, {"asked", test_asked},
        {"cores", test_cores}, {"threads", test_threads},
    };
    hth_unit_register("placement", tests, sizeof tests / sizeof tests[0]);
}
