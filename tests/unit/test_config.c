/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration table: what it takes, what it refuses, and what it says then. */
#include "unit.h"

#include <hearth.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static void clear(void)
{
    for (unsigned i = 0; hth_config_entry(i) != NULL; i++) {
        unsetenv(hth_config_entry(i)->name);
    }
}

static int with(const char *name, const char *value, struct hth_config *config, char *why)
{
    clear();
    setenv(name, value, 1);
    why[0] = '\0';
    int rc = hth_config_read(config, why, 256);
    clear();
    return rc;
}

static void test_presets(void)
{
    struct hth_config config;
    char why[256];
    clear();
    CU_ASSERT_EQUAL(hth_config_read(&config, why, sizeof why), HEARTH_OK);
    CU_ASSERT_EQUAL(config.heap_bytes, UINT64_C(32) << 30);
    CU_ASSERT_EQUAL(config.page_bytes, 0);
    CU_ASSERT_EQUAL(config.protocol, HTH_CONFIG_UNSET);
    CU_ASSERT_EQUAL(config.consistency, HTH_CONFIG_UNSET);
    CU_ASSERT_EQUAL(config.progress, HTH_PROGRESS_AUTO);
    CU_ASSERT_EQUAL(config.log, HTH_LOG_WARN);
    CU_ASSERT_EQUAL(config.stats, 0);
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"65536", 65536},
                {"64k", 65536},
                {"64K", 65536},
                {"1M", 1u << 20},
                {"3g", UINT64_C(3) << 30},
                {"2T", UINT64_C(2) << 40},
                {"0x20000", 131072}};
    static const char *const bad[] = {"-1",
                                      "+1",
                                      "1KK",
                                      "1 M",
                                      "one",
                                      "1E9",
                                      "65535",
                                      "16T",
                                      "1.5G",
                                      "99999999999999999999",
                                      "18446744073709551615G",
                                      "K"};
    struct hth_config config;
    char why[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CU_ASSERT_EQUAL(with("HEARTH_HEAP_BYTES", good[i].text, &config, why), HEARTH_OK);
        CU_ASSERT_EQUAL(config.heap_bytes, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_EQUAL(with("HEARTH_HEAP_BYTES", bad[i], &config, why), HEARTH_EINVAL);
        /* The message names the variable, the value and what is accepted. */
        CU_ASSERT_PTR_NOT_NULL(strstr(why, "HEARTH_HEAP_BYTES"));
        CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i]));
        CU_ASSERT_PTR_NOT_NULL(strstr(why, "accepted"));
    }
}

static void test_words(void)
{
    struct hth_config config;
    char why[256];
    CU_ASSERT_EQUAL(with("HEARTH_PROTOCOL", "update", &config, why), HEARTH_OK);
    CU_ASSERT_EQUAL(config.protocol, HEARTH_WRITE_UPDATE);
    CU_ASSERT_EQUAL(with("HEARTH_PROTOCOL", "invalidate", &config, why), HEARTH_OK);
    CU_ASSERT_EQUAL(config.protocol, HEARTH_WRITE_INVALIDATE);
    CU_ASSERT_EQUAL(with("HEARTH_CONSISTENCY", "sequential", &config, why), HEARTH_OK);
    CU_ASSERT_EQUAL(config.consistency, HEARTH_SEQUENTIAL);
    CU_ASSERT_EQUAL(with("HEARTH_PROGRESS", "doorbell", &config, why), HEARTH_OK);
    CU_ASSERT_EQUAL(config.progress, HTH_PROGRESS_DOORBELL);
    CU_ASSERT_EQUAL(with("HEARTH_PROTOCOL", "Update", &config, why), HEARTH_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "invalidate, update"));
    CU_ASSERT_EQUAL(with("HEARTH_STATS", "yes", &config, why), HEARTH_EINVAL);
    CU_ASSERT_EQUAL(with("HEARTH_STATS", "", &config, why), HEARTH_OK); /* as if not set */
}

static void test_page_bytes(void)
{
    struct hth_config config;
    char why[256];
    CU_ASSERT_EQUAL(with("HEARTH_PAGE_BYTES", "64K", &config, why), HEARTH_OK);
    CU_ASSERT_EQUAL(config.page_bytes, 65536);
    CU_ASSERT_EQUAL(with("HEARTH_PAGE_BYTES", "12288", &config, why), HEARTH_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "power of two"));
    CU_ASSERT_EQUAL(with("HEARTH_PAGE_BYTES", "2G", &config, why), HEARTH_EINVAL);
}

/* Each entry of the table has all that the docs print, and its preset is one that it takes. */
static void test_table(void)
{
    struct hth_config config;
    char why[256];
    unsigned n = 0;
    for (; hth_config_entry(n) != NULL; n++) {
        const struct hth_config_entry *entry = hth_config_entry(n);
        CU_ASSERT(strncmp(entry->name, "HEARTH_", 7) == 0);
        CU_ASSERT(entry->accepted[0] != '\0' && entry->help[0] != '\0');
        CU_ASSERT_EQUAL(with(entry->name, entry->preset, &config, why), HEARTH_OK);
        CU_ASSERT_EQUAL(with(entry->name, "no such value", &config, why), HEARTH_EINVAL);
    }
    CU_ASSERT(n >= 9);
}

void hth_suite_config(void)
{
    static const struct hth_unit_test tests[] = {
        {"presets", test_presets},       {"sizes", test_sizes}, {"words", test_words},
        {"page_bytes", test_page_bytes}, {"table", test_table},
    };
    hth_unit_register("config", tests, sizeof tests / sizeof tests[0]);
}
