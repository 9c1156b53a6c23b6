/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of private memory for use anywhere, fault handlers included: never malloc, which the
 * interrupted program may be inside of. Sizes recur (twins, messages), so freed blocks are kept. */
#ifndef HTH_POOL_H
#define HTH_POOL_H

#include <stddef.h>

/* 64-byte aligned, not zeroed. NULL: out of memory. Any thread. */
void *hth_pool_get(size_t bytes);
void hth_pool_put(void *memory, size_t bytes); /* `bytes` as asked for */

#endif
