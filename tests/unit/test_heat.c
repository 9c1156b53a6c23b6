/* SPDX-License-Identifier: BSD-3-Clause */
/* Heat: which copies an acquire refreshes, and when it looks whether they are still wanted; when a
 * home looks whether a page is still written. */
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
        hth_wanted_note(c, &page, 0);
        CU_ASSERT_EQUAL(refreshes(), expected[i]);
    }
    hth_wanted_no_more(c, &page); /* a phase of the program ends, and another begins */
    for (unsigned i = 0; i < 3; i++) {
        hth_wanted_note(c, &page, 0);
        CU_ASSERT_EQUAL(refreshes(), 8u << i);
    }
    hth_wanted_no_more(c, &page);
    hth_wanted_no_more(c, &page); /* in vain once more: all is forgotten */
    for (unsigned i = 0; i < 4; i++) {
        hth_wanted_note(c, &page, 0);
        CU_ASSERT_EQUAL(refreshes(), expected[i]);
    }
    free(c);
}

/* Wanted, but no probe had found so yet. */
static void test_unproven(void)
{
    start(3, 4);
    for (unsigned i = 0; i < 3; i++) {
        hth_wanted_note(c, &page, 0);
    }
    CU_ASSERT_EQUAL(refreshes(), 4);
    hth_wanted_no_more(c, &page);
    hth_wanted_note(c, &page, 0);
    CU_ASSERT_EQUAL(refreshes(), 0);
    free(c);
}

/* Fetched for this purpose, and for others: it counts to what it can hold, whatever the numbers. */
static void test_bounds(void)
{
    start(3, 1000);
    for (unsigned i = 0; i < 100; i++) {
        hth_wanted_note(c, &page, 0);
    }
    CU_ASSERT_EQUAL(page.wanted, 3);
    CU_ASSERT_EQUAL(refreshes(), 63);
    free(c);
    start(4, 1); /* never */
    for (unsigned i = 0; i < 100; i++) {
        hth_wanted_note(c, &page, 0);
        CU_ASSERT_EQUAL(refreshes(), 0);
    }
    free(c);
}

/* Fetched in a sweep: one refresh by a guess, which leaves the counting as it was; none any more
 * once a notice was in vain. */
static void test_swept(void)
{
    start(3, 4);
    c->tuning.sweep = 16;
    hth_wanted_note(c, &page, 15);
    CU_ASSERT_EQUAL(refreshes(), 0);
    hth_wanted_note(c, &page, 16);
    CU_ASSERT_EQUAL(refreshes(), 1);
    CU_ASSERT_EQUAL(refreshes(), 0);
    hth_wanted_note(c, &page, 16);
    CU_ASSERT(refreshes() > 1);
    for (unsigned vain = 0; vain < 2; vain++) {
        memset(&page, 0, sizeof page);
        hth_wanted_note(c, &page, 256);
        CU_ASSERT_EQUAL(refreshes(), 1);
        page.registered = (1 + vain) & 7;
        hth_wanted_note(c, &page, 256);
        CU_ASSERT_EQUAL(refreshes(), 1 - vain);
    }
    memset(&page, 0, sizeof page);
    hth_wanted_no_more(c, &page);
    for (unsigned i = 0; i < 3; i++) {
        hth_wanted_note(c, &page, 256);
        CU_ASSERT_EQUAL(refreshes() > 0, i == 2);
    }
    free(c);
    start(4, 4); /* nothing is wanted, ever */
    c->tuning.sweep = 16;
    for (unsigned i = 0; i < 10; i++) {
        hth_wanted_note(c, &page, 256);
        CU_ASSERT_EQUAL(refreshes(), 0);
    }
    free(c);
}

/* Told of three times for each read: to refresh it would cost more than to fetch it. */
static void test_seldom(void)
{
    start(3, 4);
    for (unsigned i = 0; i < 10; i++) {
        page.registered = 3;
        hth_wanted_note(c, &page, 0);
        CU_ASSERT_EQUAL(refreshes(), 0);
    }
    page.registered = 2;
    for (unsigned i = 0; i < 3; i++) {
        hth_wanted_note(c, &page, 0);
        CU_ASSERT_EQUAL(refreshes() > 0, i == 2);
    }
    free(c);
}

/* The last page of a window is there to be asked for. */
static void test_marker(void)
{
    start(1, 4);
    hth_wanted_note(c, &page, 0);
    page.marker = HTH_MARKER_GROWING;
    CU_ASSERT_EQUAL(refreshes(), 0);
    page.marker = HTH_MARKER_NONE;
    CU_ASSERT_EQUAL(refreshes(), 4);
    free(c);
}

/* At a home: how many releases tell of a page that was written in so many after it had become hot,
 * and is no longer; if `alone`, nobody had a copy of it for a while then. */
static unsigned told_in_vain(unsigned written, bool alone)
{
    static uint8_t frame[4096];
    struct hth_region region = {.frames = frame, .page_bytes = sizeof frame, .pages = &page};
    unsigned told = 0;
    start(3, 4);
    c->tuning.hot_after = 2;
    c->tuning.cool_after_home = 4;
    frame[17]++;
    CU_ASSERT_FALSE(hth_heat_stays_home(c, &region, 0));
    for (unsigned i = 0; i <= written; i++) {
        frame[17]++;
        CU_ASSERT_TRUE(hth_heat_stays_home(c, &region, 0));
    }
    if (alone) {
        hth_heat_alone(c, &page);
    }
    while (told < 1000 && hth_heat_stays_home(c, &region, 0)) {
        told++;
    }
    free(c);
    return told;
}

static void test_home(void)
{
    CU_ASSERT_EQUAL(told_in_vain(0, false), 3);
    CU_ASSERT_EQUAL(told_in_vain(3, false),
                    8); /* the look comes after the last write, and finds it */
    CU_ASSERT_EQUAL(told_in_vain(4, false), 7);
    CU_ASSERT_EQUAL(told_in_vain(4 + 8, false), 15);
    CU_ASSERT_EQUAL(told_in_vain(4 + 8 + 16, false), 31);
    CU_ASSERT_EQUAL(told_in_vain(4 + 8 + 16 + 32, false), 31);
    CU_ASSERT_EQUAL(told_in_vain(4 + 8 + 16 + 320, false), 31);
    CU_ASSERT_EQUAL(told_in_vain(4 + 8 + 16 + 32, true), 4); /* a new sum, then as at first */
}

void hth_suite_heat(void)
{
    static const struct hth_unit_test tests[] = {
        {"wanted copies are refreshed, and probed now and then", test_wanted},
        {"wanted in vain at once", test_unproven},
        {"read too seldom to be wanted", test_seldom},
        {"bounds", test_bounds},
        {"what was swept is guessed to be wanted", test_swept},
        {"a marker is not refreshed", test_marker},
        {"a home looks less and less often", test_home},
    };
    hth_unit_register("heat", tests, sizeof tests / sizeof tests[0]);
}
