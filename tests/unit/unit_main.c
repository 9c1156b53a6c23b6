/* SPDX-License-Identifier: BSD-3-Clause */
/* All unit suites. Exit code 0: all passed.
 *
 * unit [seed]    the seed of the random tests; fixed unless given */
#include "unit.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t hth_unit_seed = 20240229;

void hth_suite_diff(void);
void hth_suite_diff_malformed(void);
void hth_suite_homes(void);
void hth_suite_heap(void);
void hth_suite_heap_solo(void);
void hth_suite_ahead(void);
void hth_suite_config(void);
void hth_suite_directory(void);
void hth_suite_heat(void);
void hth_suite_placement(void);
void hth_suite_pager(void);
void hth_suite_pool(void);

static void (*const suites[])(void) = {
    hth_suite_diff,      hth_suite_diff_malformed, hth_suite_homes,     hth_suite_heap,
    hth_suite_heap_solo, hth_suite_config,         hth_suite_directory, hth_suite_placement,
    hth_suite_pager,     hth_suite_ahead,          hth_suite_pool,      hth_suite_heat,
};

void hth_unit_register(const char *suite, const struct hth_unit_test *tests, size_t n_tests)
{
    CU_pSuite registered = CU_add_suite(suite, NULL, NULL);
    bool ok = registered != NULL;
    for (size_t i = 0; ok && i < n_tests; i++)
        ok = CU_add_test(registered, tests[i].name, tests[i].run) != NULL;
    if (!ok) {
        fprintf(stderr, "unit: suite %s: %s\n", suite, CU_get_error_msg());
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        hth_unit_seed = strtoull(argv[1], NULL, 0);
    printf("unit: seed %llu\n", (unsigned long long)hth_unit_seed);
    if (CU_initialize_registry() != CUE_SUCCESS) {
        fprintf(stderr, "unit: %s\n", CU_get_error_msg());
        return 2;
    }
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        suites[i]();
    CU_basic_set_mode(CU_BRM_VERBOSE);
    bool ok = CU_basic_run_tests() == CUE_SUCCESS && CU_get_number_of_tests_run() > 0 &&
              CU_get_number_of_tests_failed() == 0 && CU_get_number_of_failures() == 0;
    CU_cleanup_registry();
    return ok ? 0 : 1;
}
