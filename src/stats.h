/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters, as the program and the user see them. */
#ifndef HTH_STATS_H
#define HTH_STATS_H

/* The table of HEARTH_STATS=1, by PE 0. Collective. */
void hth_stats_print(void);

#endif
