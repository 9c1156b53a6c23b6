/* SPDX-License-Identifier: BSD-3-Clause */
/* hearth_touch, and the seam to libhearth_wrap. */
#ifndef HTH_TOUCH_H
#define HTH_TOUCH_H

void hth_touch_start(void); /* the address range is known; again when static variables move */
void hth_touch_stop(void);

#endif
