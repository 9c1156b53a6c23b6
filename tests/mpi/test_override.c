/* SPDX-License-Identifier: BSD-3-Clause */
/* HEARTH_PROTOCOL and HEARTH_CONSISTENCY against a program that changes its mind. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

static void test_override(struct hearth_region *none)
{
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    struct hearth_region *region = NULL;

    (void)none;
    setenv("HEARTH_CONSISTENCY", "sequential", 1);
    unsetenv("HEARTH_PROTOCOL");
    HT_EQUAL(hearth_init(NULL, NULL), 0);
    HT_EQUAL(hearth_region_create(&region, 1 << 20, &attr), 0);
    uint32_t *p = hearth_region_malloc(region, 4096);
    if (ht_all(p != NULL)) {
        p[ht_pe()] = 1;
        HT_CHECK(hearth_owner(p) >= 0);
        HT_EQUAL(hearth_region_set_protocol(region, HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE), 0);
        HT_CHECK(hearth_owner(p) >= 0); /* still sequential: a page has an owner */
        for (int pe = 0; pe < ht_n_pes(); pe++)
            HT_EQUAL(p[pe], 1);
        HT_EQUAL(hearth_region_set_protocol(region, HEARTH_WRITE_UPDATE, HEARTH_RELEASE),
                 HEARTH_ENOTSUP); /* as at its creation */
        HT_CHECK(strstr(hearth_error_message(), "HEARTH_CONSISTENCY") != NULL);
    }
    HT_EQUAL(hearth_finalize(), 0);
}

static const struct ht_test tests[] = {
    {"override", test_override, HT_ONCE, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"override", tests, sizeof tests / sizeof tests[0],
                                              true, 0};

    return ht_main(argc, argv, &program);
}
