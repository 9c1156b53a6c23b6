/* SPDX-License-Identifier: BSD-3-Clause */
/* Heat: which copies an acquire refreshes, and when it looks whether they are still wanted. */
#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/heat.h"
#include "unit.h"

static struct hth_coherence *c;
static struct hth_page page;

static void start(unsigned wanted_after, unsigned probe_after)
{
    c = calloc(1, sizeof *c);
    c->tuning = (struct hth_tuning){.wanted_after = wanted_after, .probe_after = probe_after};
    memset(&page, 0, sizeof page);
}

/* Told again and again: refreshed how often before it is dropped? */
static unsigned refreshes(void)
{
    unsigned n = 0;
    while (n < 1000 && hth_wanted_stays(c, &page)) {
        n++;
    }
    return n;
}

static void test_wanted(void)
{
    static const unsigned expected[] = {0, 0, 4, 8, 16, 32, 63, 63, 63};
    start(3, 4);
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        hth_wanted_note(c, &page);
        CU_ASSERT_EQUAL(refreshes(), expected[i]);
    }
    hth_wanted_no_more(&page);
    for (unsigned i = 0; i < 4; i++) {
        hth_wanted_note(c, &page);
        CU_ASSERT_EQUAL(refreshes(), expected[i]);
    }
    free(c);
}

/* Fetched for this purpose, and for others: it counts to what it can hold, whatever the numbers. */
static void test_bounds(void)
{
    start(3, 1000);
    for (unsigned i = 0; i < 100; i++) {
        hth_wanted_note(c, &page);
    }
    CU_ASSERT_EQUAL(page.wanted, 3);
    CU_ASSERT_EQUAL(refreshes(), 63);
    free(c);
    start(4, 1); /* never */
    for (unsigned i = 0; i < 100; i++) {
        hth_wanted_note(c, &page);
        CU_ASSERT_EQUAL(refreshes(), 0);
    }
    free(c);
}

/* The last page of a window is there to be asked for. */
static void test_marker(void)
{
    start(1, 4);
    hth_wanted_note(c, &page);
    page.marker = HTH_MARKER_GROWING;
    CU_ASSERT_EQUAL(refreshes(), 0);
    page.marker = HTH_MARKER_NONE;
    CU_ASSERT_EQUAL(refreshes(), 4);
    free(c);
}

void hth_suite_heat(void)
{
    static const struct hth_unit_test tests[] = {
        {"wanted copies are refreshed, and probed now and then", test_wanted},
        {"bounds", test_bounds},
        {"a marker is not refreshed", test_marker},
    };
    hth_unit_register("heat", tests, sizeof tests / sizeof tests[0]);
}
