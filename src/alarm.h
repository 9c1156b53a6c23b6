/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms: things to do for a page in some microseconds. */
#ifndef HTH_ALARM_H
#define HTH_ALARM_H

#include <stdint.h>

/* Any context. `ring` is then called with these by hth_alarm_poll, once. */
void hth_alarm_set(uint64_t at_ns, uint32_t region, uint64_t page);
/* Ring those that are due. */
void hth_alarm_poll(void (*ring)(uint32_t region, uint64_t page));
/* How long until the next one is due; UINT64_MAX: none is set. */
uint64_t hth_alarm_next_ns(void);
/* Forget those of a region. On return none of it rings: before the region goes, or its number is
 * given to another. Program context. */
void hth_alarm_cancel(uint32_t region);
uint64_t hth_alarm_now_ns(void);

#endif
