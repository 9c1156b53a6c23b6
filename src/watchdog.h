/* SPDX-License-Identifier: BSD-3-Clause */
/* When it hangs: what each thread waits for, in words on standard error.
 *
 * A thread that has waited as long as HEARTH_WATCHDOG says (and again after twice that, and so on)
 * says so itself, between two sleeps; so does every waiting thread after a SIGUSR2. It asks the
 * other PEs who is missing at a barrier or holds a lock, and gives them a second for it. Nothing is
 * ended, and a thread that waits for less pays nothing. */
#ifndef HTH_WATCHDOG_H
#define HTH_WATCHDOG_H

#include <stdint.h>

#include "progress.h"

/* seconds: HEARTH_WATCHDOG, 0: on SIGUSR2 only, whose handler is installed unless the program has
 * one. After hth_ask_start. */
void hth_watchdog_start(uint64_t seconds);
void hth_watchdog_stop(void);

/* For struct hth_progress_config. */
void hth_watchdog_look(const struct hth_wait *why, struct hth_watch *watch, uint64_t now_ns);
void hth_watchdog_idle(void);

#endif
