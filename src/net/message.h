/* SPDX-License-Identifier: BSD-3-Clause */
/* Active messages: small blocks that a function at the receiver is called with.
 *
 * Received and handled under one mutex, so that the order of handling is the order of arrival,
 * which per pair of PEs is the order of sending. */
#ifndef HTH_NET_MESSAGE_H
#define HTH_NET_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hth_message_kind {
    HTH_MESSAGE_COHERENCE,
    HTH_MESSAGE_QUESTION,
    HTH_MESSAGE_ANSWER,
    HTH_MESSAGE_RELAY_REQUEST,
    HTH_MESSAGE_RELAY_ANSWER,
    HTH_MESSAGE_KINDS
};

/* Handles a message that came from PE `from`. Must not wait. May send. */
typedef void (*hth_message_handler)(int from, const void *message, size_t bytes);

/* Collective; 0 or an error, noted. delay_us: see HEARTH_TEST_DELAY_US. */
int hth_message_start(uint64_t delay_us);
/* No PE may send any more (a barrier between the last message and this). */
void hth_message_stop(void);
void hth_message_on(enum hth_message_kind kind, hth_message_handler handler);

/* As hth_port_message_new, _send, _answer and _drop. */
void *hth_message_new(int pe);
void hth_message_send(int pe, enum hth_message_kind kind, void *message, size_t bytes);
void hth_message_answer(int pe, enum hth_message_kind kind, void *message, size_t bytes);
void hth_message_drop(void *message);

/* Are there messages that MPI has not let go of yet? */
bool hth_message_unfinished(void);

/* Wait until a handler that is at work has returned. What it has sent, or set, may long have been
 * seen by those who waited for it. Program context. */
void hth_message_settle(void);

/* Handle what has come: how many messages; -1 if another thread is at it. */
int hth_message_poll(void);
/* In how long the next message that is held back is due; UINT64_MAX: none is. */
uint64_t hth_message_in_ns(void);

#endif
