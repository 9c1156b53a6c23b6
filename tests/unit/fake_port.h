/* SPDX-License-Identifier: BSD-3-Clause */
/* Enough of a port to test the directory without a world: n PEs' words in one process, where every
 * operation takes effect at once. What the directory must not call is not there. */
#ifndef HTH_TESTS_FAKE_PORT_H
#define HTH_TESTS_FAKE_PORT_H

#include "protocol/page.h"

struct hth_port {
    int n_pes;
    uint64_t *words[256]; /* by PE */
    uint64_t n_words;
    uint64_t n_atomics, n_flushes; /* so far */
    bool has_views;                /* else nobody may set one */
};

/* A region of `pages` collective and `solo` pages a PE as PE `my_pe` sees it; all collective pages
 * dealt cyclically. */
void hth_fake_start(struct hth_port *port, struct hth_region *region, struct hth_homes *homes,
                    int n_pes, uint64_t pages, uint64_t solo);
void hth_fake_be(struct hth_region *region, int my_pe);
void hth_fake_stop(struct hth_port *port, struct hth_region *region);

#endif
