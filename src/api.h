/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of public calls share. */
#ifndef HTH_API_H
#define HTH_API_H

/* 0, or HEARTH_ESTATE, noted, outside of hearth_init ... hearth_finalize. */
int hth_check_up(const char *call);

/* Release, barrier, acquire. Collective. */
void hth_full_barrier(void);

#endif
