/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <errno.h>
#include <hearth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { BYTES, CHOICE };

struct choice {
    const char *word;
    int64_t value;
};

static const struct choice protocols[] = {{"", HTH_CONFIG_UNSET},
                                          {"invalidate", HEARTH_WRITE_INVALIDATE},
                                          {"update", HEARTH_WRITE_UPDATE},
                                          {NULL, 0}};
static const struct choice consistencies[] = {{"", HTH_CONFIG_UNSET},
                                              {"release", HEARTH_RELEASE},
                                              {"sequential", HEARTH_SEQUENTIAL},
                                              {NULL, 0}};
static const struct choice rmas[] = {
    {"auto", HTH_RMA_AUTO}, {"window", HTH_RMA_WINDOW}, {"relay", HTH_RMA_RELAY}, {NULL, 0}};
static const struct choice progress_modes[] = {{"auto", HTH_PROGRESS_AUTO},
                                               {"spin", HTH_PROGRESS_SPIN},
                                               {"doorbell", HTH_PROGRESS_DOORBELL},
                                               {"poll", HTH_PROGRESS_POLL},
                                               {NULL, 0}};
static const struct choice pagers[] = {{"auto", HTH_PAGER_AUTO},
                                       {"mprotect", HTH_PAGER_MPROTECT},
                                       {"userfaultfd", HTH_PAGER_USERFAULTFD},
                                       {NULL, 0}};
static const struct choice placements[] = {{"block", HEARTH_HOME_BLOCK},
                                           {"cyclic", HEARTH_HOME_CYCLIC},
                                           {"first-touch", HEARTH_HOME_FIRST_TOUCH},
                                           {NULL, 0}};
static const struct choice switches[] = {{"0", 0}, {"1", 1}, {NULL, 0}};
static const struct choice test_rmas[] = {
    {"", HTH_TEST_RMA_NO}, {"late", HTH_TEST_RMA_LATE}, {"wrong", HTH_TEST_RMA_WRONG}, {NULL, 0}};
static const struct choice levels[] = {{"none", HTH_LOG_NONE},   {"error", HTH_LOG_ERROR},
                                       {"warn", HTH_LOG_WARN},   {"info", HTH_LOG_INFO},
                                       {"debug", HTH_LOG_DEBUG}, {NULL, 0}};

struct row {
    struct hth_config_entry shown;
    enum type type;
    size_t field; /* offset in struct hth_config */
    const struct choice *choices;
    uint64_t least, most;
};

#define FIELD(f) offsetof(struct hth_config, f)
#define SIZES    "bytes, with K, M, G or T"

static const struct row table[] = {
    {{"HEARTH_HEAP_BYTES", SIZES, "32G", "capacity of the default region; virtual until touched"},
     BYTES,
     FIELD(heap_bytes),
     NULL,
     65536,
     UINT64_C(1) << 43},
    {{"HEARTH_RESERVE_BYTES", SIZES ", or 0", "0",
      "address space to reserve for all regions; 0: 16T, or 128G where that cannot be had"},
     BYTES,
     FIELD(reserve_bytes),
     NULL,
     0,
     UINT64_C(1) << 44},
    {{"HEARTH_PAGE_BYTES", SIZES ", or 0", "0",
      "unit of coherence of every region, whatever the program asks for; 0: as it asks"},
     BYTES,
     FIELD(page_bytes),
     NULL,
     0,
     UINT64_C(1) << 30},
    {{"HEARTH_PROTOCOL", "invalidate, update", "",
      "protocol of every region, whatever the program asks for"},
     CHOICE,
     FIELD(protocol),
     protocols,
     0,
     0},
    {{"HEARTH_CONSISTENCY", "release, sequential", "",
      "consistency of every region, whatever the program asks for"},
     CHOICE,
     FIELD(consistency),
     consistencies,
     0,
     0},
    {{"HEARTH_PLACEMENT", "block, cyclic, first-touch", "block",
      "who is home to what hearth_malloc returns (the default region's placement)"},
     CHOICE,
     FIELD(placement),
     placements,
     0,
     0},
    {{"HEARTH_CACHE_BYTES", SIZES ", or 0", "0",
      "memory that a PE's copies of pages homed elsewhere may take, twins included; 0: no limit. "
      "At "
      "least 32 pages of the region with the largest"},
     BYTES,
     FIELD(cache_bytes),
     NULL,
     0,
     UINT64_C(1) << 44},
    {{"HEARTH_HUGE_PAGES", "0, 1", "0",
      "ask the kernel for huge pages behind shared memory (MADV_HUGEPAGE; "
      "/sys/kernel/mm/transparent_hugepage/shmem_enabled must say advise)"},
     CHOICE,
     FIELD(huge_pages),
     switches,
     0,
     0},
    {{"HEARTH_RMA", "auto, window, relay", "auto",
      "how PEs reach each other's memory: by MPI's one-sided operations, or by messages; auto: by "
      "messages where MPI's cannot be had"},
     CHOICE,
     FIELD(rma),
     rmas,
     0,
     0},
    {{"HEARTH_PROGRESS", "auto, spin, doorbell, poll", "auto",
      "how the progress thread waits: without a pause (needs a core), on a futex that senders on "
      "this machine ring, or in naps of 50 us to 1 ms"},
     CHOICE,
     FIELD(progress),
     progress_modes,
     0,
     0},
    {{"HEARTH_PAGER", "auto, mprotect, userfaultfd", "auto",
      "how the program's accesses to shared pages are noticed; auto: by userfaultfd where the "
      "kernel has all of it (about Linux 6.4), else by mprotect"},
     CHOICE,
     FIELD(pager),
     pagers,
     0,
     0},
    {{"HEARTH_READ_AHEAD", SIZES ", or 0", "1M",
      "where misses or write faults follow a pattern, serve up to so much at once; 0: one page "
      "at a time"},
     BYTES,
     FIELD(read_ahead),
     NULL,
     0,
     UINT64_C(1) << 30},
    {{"HEARTH_SHARED_BUFFERS", "a number, or 0", "32",
      "buffers of 64 KiB a PE, in /dev/shm, by which large messages between PEs of one machine go "
      "without copies; 0: by MPI alone"},
     BYTES,
     FIELD(shared_buffers),
     NULL,
     0,
     65536},
    {{"HEARTH_NODE_PES", "a number, or 0", "0",
      "split a machine into virtual nodes of that many PEs (for tests); 0: not"},
     BYTES,
     FIELD(node_pes),
     NULL,
     0,
     1u << 20},
    {{"HEARTH_WATCHDOG", "seconds, or 0", "0",
      "a thread that waits this long says what for, and again after twice that; 0: only after a "
      "SIGUSR2"},
     BYTES,
     FIELD(watchdog),
     NULL,
     0,
     1u << 20},
    {{"HEARTH_STATS", "0, 1", "0", "print every region's counters at hearth_finalize"},
     CHOICE,
     FIELD(stats),
     switches,
     0,
     0},
    {{"HEARTH_LOG", "none, error, warn, info, debug", "warn", "what goes to standard error"},
     CHOICE,
     FIELD(log),
     levels,
     0,
     0},
    {{"HEARTH_TEST_DELAY_US", "microseconds", "0",
      "for tests of Hearth: handle each message up to so much later than it came"},
     BYTES,
     FIELD(test_delay_us),
     NULL,
     0,
     1000000},
    {{"HEARTH_TEST_RMA", "late, wrong", "",
      "for tests of Hearth: pretend that MPI's one-sided operations wait for the target, or err"},
     CHOICE,
     FIELD(test_rma),
     test_rmas,
     0,
     0},
};

const struct hth_config_entry *hth_config_entry(unsigned index)
{
    return index < sizeof table / sizeof table[0] ? &table[index].shown : NULL;
}

static bool parse_bytes(const char *text, uint64_t *value_out)
{
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9') {
        return false; /* strtoull would take a sign */
    }
    unsigned long long value = strtoull(text, &end, 0);
    unsigned shift = 0;
    switch (*end) {
    case 'k':
    case 'K':
        shift = 10;
        break;
    case 'm':
    case 'M':
        shift = 20;
        break;
    case 'g':
    case 'G':
        shift = 30;
        break;
    case 't':
    case 'T':
        shift = 40;
        break;
    default:
        break;
    }
    end += shift != 0;
    if (errno != 0 || end == text || *end != '\0' || value > UINT64_MAX >> shift) {
        return false;
    }
    *value_out = (uint64_t)value << shift;
    return true;
}

static bool parse(const struct row *row, const char *text, struct hth_config *config)
{
    void *field = (char *)config + row->field;
    if (row->type == BYTES) {
        uint64_t value;
        if (!parse_bytes(text, &value) || value < row->least || value > row->most) {
            return false;
        }
        memcpy(field, &value, sizeof value);
        return true;
    }
    for (const struct choice *c = row->choices; c->word != NULL; c++) {
        if (strcmp(c->word, text) == 0) {
            memcpy(field, &c->value, sizeof c->value);
            return true;
        }
    }
    return false;
}

int hth_config_read(struct hth_config *config, char *why, size_t why_bytes)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct row *row = &table[i];
        const char *text = getenv(row->shown.name);
        if (text == NULL || text[0] == '\0') {
            text = row->shown.preset;
        }
        if (!parse(row, text, config)) {
            int n = snprintf(why, why_bytes, "%s=%s is not understood; accepted: %s",
                             row->shown.name, text, row->shown.accepted);
            if (row->type == BYTES && n > 0 && (size_t)n < why_bytes) {
                snprintf(why + n, why_bytes - (size_t)n, " (%llu to %llu)",
                         (unsigned long long)row->least, (unsigned long long)row->most);
            }
            return HEARTH_EINVAL;
        }
    }
    if (config->page_bytes != 0 && (config->page_bytes & (config->page_bytes - 1)) != 0) {
        snprintf(why, why_bytes, "HEARTH_PAGE_BYTES=%s is not a power of two",
                 getenv("HEARTH_PAGE_BYTES"));
        return HEARTH_EINVAL;
    }
    return HEARTH_OK;
}
