/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided operations by messages, for where MPI's own cannot be had: served by the target's
 * progress thread, or by a thread of its that waits. The protocols do not notice.
 *
 * What is asked of a PE is collected in a *draft*, and sent when that is full or flushed: a diff of
 * a thousand runs is one message. Requests to a PE are served and answered in the order in which
 * they were made, so nothing that goes to one PE can overtake, and a flush waits until as many
 * messages have been answered as were sent. */
#ifndef HTH_NET_RELAY_H
#define HTH_NET_RELAY_H

#include <stddef.h>
#include <stdint.h>

#include "port.h"

/* Where this PE keeps what others ask for: its frames, and word `word` of words window `window`. */
struct hth_relay_config {
    uint8_t *frames;
    uint64_t frames_bytes;
    uint64_t *(*word)(uint32_t window, uint64_t word); /* NULL: no such word */
};
int hth_relay_start(const struct hth_relay_config *config); /* 0 or an error, noted */
void hth_relay_stop(void);

/* Context of all: program, since a get or put of much waits while too much is on its way. `to` of a
 * get and *old_out are set once the flush has returned. */
void hth_relay_get(int pe, uint64_t offset, void *to, size_t bytes);
void hth_relay_put(int pe, uint64_t offset, const void *from, size_t bytes);
void hth_relay_op(int pe, uint32_t window, uint64_t word, enum hth_word_op op, uint64_t operand,
                  uint64_t *old_out);
/* Wait for the answers to all that this PE has asked of pe so far. */
void hth_relay_flush(int pe);

/* Complete on return; the value before. On the low 32 bits of the word. */
uint32_t hth_relay_add32(int pe, uint32_t window, uint64_t word, uint32_t addend);
uint32_t hth_relay_cas32(int pe, uint32_t window, uint64_t word, uint32_t expected,
                         uint32_t desired);

/* An atomic on a word of this PE's own. */
uint64_t hth_word_apply(uint64_t *word, enum hth_word_op op, uint64_t operand);

#endif
