/* SPDX-License-Identifier: BSD-3-Clause */
/* Who touches a page first is its home: HTH_DEAL_CLAIM. */
#ifndef HTH_PROTOCOL_CLAIM_H
#define HTH_PROTOCOL_CLAIM_H

#include "protocol/page.h"

/* Room for the claims in the words, from *next_word on, which is moved past it. */
void hth_claim_layout(struct hth_region *region, uint64_t *next_word);

/* Find a page's home out, by claiming it, and note it in the page's entry. Any number of threads
 * may. Context: program, no lock held that another PE's progress needs. */
void hth_claim_settle(struct hth_port *port, struct hth_region *region, uint64_t page);

/* The home that a page has by now, or HTH_HOME_OPEN; claims nothing. Context: program. */
int hth_claim_read(struct hth_port *port, struct hth_region *region, uint64_t page);

/* Forget the claims of those of these pages whose claims are kept here. Nobody touches them. */
void hth_claim_clear(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                     uint64_t n_pages);

#endif
