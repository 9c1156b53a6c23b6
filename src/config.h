/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration: one table of HEARTH_* environment variables, from which parsing, defaults and the
 * list of docs/configuration come. Read once, at hearth_init. */
#ifndef HTH_CONFIG_H
#define HTH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hth_progress_mode {
    HTH_PROGRESS_AUTO,
    HTH_PROGRESS_SPIN,     /* the progress thread polls without a pause: for a core of its own */
    HTH_PROGRESS_DOORBELL, /* it sleeps on a futex that senders on this machine ring */
    HTH_PROGRESS_POLL      /* it naps, and polls in between */
};
enum hth_test_rma { HTH_TEST_RMA_NO, HTH_TEST_RMA_LATE, HTH_TEST_RMA_WRONG };
enum hth_log_level { HTH_LOG_NONE, HTH_LOG_ERROR, HTH_LOG_WARN, HTH_LOG_INFO, HTH_LOG_DEBUG };

enum hth_pager_choice { HTH_PAGER_AUTO, HTH_PAGER_MPROTECT, HTH_PAGER_USERFAULTFD };
enum hth_rma { HTH_RMA_AUTO, HTH_RMA_WINDOW, HTH_RMA_RELAY };

/* An override that was not given. */
#define HTH_CONFIG_UNSET (-1)

struct hth_config {
    uint64_t heap_bytes;     /* capacity of the default region */
    uint64_t reserve_bytes;  /* of the address range; 0: as much as can be had */
    uint64_t page_bytes;     /* overrides every region; 0: not */
    int64_t protocol;        /* overrides every region; enum hearth_protocol or HTH_CONFIG_UNSET */
    int64_t consistency;     /* likewise, enum hearth_consistency */
    uint64_t cache_bytes;    /* of copies; 0: no limit */
    int64_t huge_pages;      /* ask for them */
    int64_t placement;       /* of the default region; enum hearth_placement */
    int64_t rma;             /* enum hth_rma */
    int64_t progress;        /* enum hth_progress_mode */
    int64_t pager;           /* enum hth_pager_choice */
    uint64_t read_ahead;     /* bytes fetched, or made writable, at once, at most; 0: a page */
    uint64_t shared_buffers; /* of 64 KiB, a PE, for messages within a machine */
    int64_t node_pes;        /* PEs of a virtual node; 0: all that share the machine */
    uint64_t watchdog;       /* seconds; 0: off */
    int64_t stats;           /* print counters at hearth_finalize */
    int64_t log;             /* enum hth_log_level */
    uint64_t test_delay_us;  /* messages are handled up to so much later */
    int64_t test_rma;        /* enum hth_test_rma */
};

/* Read the environment. 0, or HEARTH_EINVAL with the variable, its value and the accepted ones in
 * `why`. */
int hth_config_read(struct hth_config *config, char *why, size_t why_bytes);

/* The table, for printing: entries 0.. until NULL. */
struct hth_config_entry {
    const char *name, *accepted, *preset, *help;
};
const struct hth_config_entry *hth_config_entry(unsigned index);

#endif
