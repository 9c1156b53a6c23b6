/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends the job, and says where it was, when a test program takes too long. */
#ifndef HT_WATCHDOG_H
#define HT_WATCHDOG_H

void ht_watchdog_start(double seconds, const char *program);
void ht_watchdog_name(const char *test); /* what runs now; the string must live on */
void ht_watchdog_pe(int pe);
void ht_watchdog_stop(void);

#endif
