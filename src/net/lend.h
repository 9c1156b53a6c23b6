/* SPDX-License-Identifier: BSD-3-Clause */
/* Lent blocks: memory for messages that the PEs of a machine share. What travels by MPI is a
 * reference; the receiver handles the message where it was written, and returns the block. So a
 * page is written once and read once on its way, instead of three times each, and a message of 64
 * KiB costs its PEs half a microsecond each instead of 2.5 (docs/design.md). */
#ifndef HTH_NET_LEND_H
#define HTH_NET_LEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Collective; needs no end of its own to be safe. block_bytes: a multiple of 64. Without the memory
 * for n_blocks a PE there are none, which is logged and is no error. */
void hth_lend_start(uint64_t n_blocks, size_t block_bytes);
void hth_lend_stop(void);

/* Are there blocks? */
bool hth_lend_works(void);

/* A block of this PE's, or NULL: there is none just now. Any context. */
void *hth_lend_get(void);
/* Is it one? Then a number that says which, else 0. */
uint32_t hth_lend_number(const void *block);
/* Back to this PE, which has not sent it. */
void hth_lend_put(void *block);
/* Before the number is sent: from here on the block is another PE's, who will return it. */
void hth_lend_out(void *block);

/* At that PE: where the block is; the lender may have it again. Context: handler. */
const void *hth_lend_at(int lender, uint32_t number);
void hth_lend_return(int lender, uint32_t number);

#endif
