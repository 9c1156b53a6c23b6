/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of spawn.c. */
#ifndef HTH_SPAWN_H
#define HTH_SPAWN_H

#include <stdbool.h>
#include <stdint.h>

bool hth_spawn_replaying(void);
/* Copy what is not zero, by the system page; `to` reads as zero there. */
void hth_copy_nonzero(uint8_t *to, const uint8_t *from, uint64_t bytes);

/* Collective. 0 or an error, noted. */
int hth_input_start(void);
/* From now on PE 0 keeps what it reads, and the others are at the end. */
void hth_input_stop(void);

/* Where hearth_share_globals was called; else nothing. At the end of the replay the static
 * variables become a region's on all PEs, then, all having done that, get what PE 0 had in them. */
void hth_globals_share(void);
void hth_globals_publish(void);
/* Before the end: private again, as they are. Collective if they were shared. */
void hth_globals_unshare(void);

#endif
