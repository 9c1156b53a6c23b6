/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided access to other PEs: the frames window (get and put) and words windows (atomics).
 *
 * One frames window covers the alias of the whole address range, so that regions come and go
 * without one (creating a window blocks in MPI: 0.3 s with four PEs on two cores). It is made
 * over our own memory, where atomics would wait for the target to call MPI; the words are in
 * memory that MPI allocates, where they do not. MPI fills that with zeros, so we give the pages
 * back to the system at once, and it is sparse too. No 8-byte compare-and-swap anywhere: it
 * crashes Open MPI 4.1.4. */
#ifndef HTH_NET_WINDOW_H
#define HTH_NET_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "port.h"

/* Where windows cannot be had on any PE, or fail the self-test, all PEs go by messages (relay.h),
 * and a warning says why; unless windows are asked for. Collective, blocking; 0 or an error, noted,
 * the same on all PEs. */
int hth_window_start(void *alias, uint64_t bytes, uint64_t first_words,
                     const struct hth_config *config);
void hth_window_stop(void); /* collective, blocking */
/* For people: which it is, and why. */
const char *hth_window_kind(void);

void hth_window_get(int pe, uint64_t offset, void *to, size_t bytes);
void hth_window_put(int pe, uint64_t offset, const void *from, size_t bytes);
void hth_window_flush(int pe);

/* Some words: as many on every PE, at the same place. */
struct hth_words {
    uint32_t window;
    uint64_t first, n;
};
/* Collective: all PEs get the same answer. The words are zero. 0, or an error, noted. Blocks in MPI
 * when the windows so far are full. */
int hth_words_create(uint64_t n, struct hth_words *words_out);
/* Collective. Zeroes this PE's part; a barrier must come before (no more access) and after. */
void hth_words_destroy(struct hth_words *words);
/* This PE's own. Plain loads only: changes go through hth_words_op. */
uint64_t *hth_words_mine(const struct hth_words *words);

void hth_words_op(const struct hth_words *words, int pe, uint64_t word, enum hth_word_op op,
                  uint64_t operand, uint64_t *old_out);
void hth_words_flush(const struct hth_words *words, int pe);
/* As hth_port_order_words. */
void hth_words_order(const struct hth_words *words, int pe);
/* On the low 32 bits of a word; complete on return; the value before. */
uint32_t hth_words_add32(const struct hth_words *words, int pe, uint64_t word, uint32_t addend);
uint32_t hth_words_cas32(const struct hth_words *words, int pe, uint64_t word, uint32_t expected,
                         uint32_t desired);

#endif
