/* SPDX-License-Identifier: BSD-3-Clause */
/* What libhearth_wrap needs of libhearth beside the public API. The two are built and installed
 * together; programs use neither symbol. */
#ifndef HTH_WRAP_SEAM_H
#define HTH_WRAP_SEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The addresses of shared memory: those reserved, and those of static variables that are shared. No
 * bytes: none. Written while one thread of the program runs. */
struct hearth_wrap_range {
    uintptr_t base;
    uint64_t bytes;
    uintptr_t globals;
    uint64_t globals_bytes;
    uintptr_t low_end; /* below it: NULL, and static variables if they are shared */
};
extern struct hearth_wrap_range hearth_wrap_range;

static inline bool hth_wrap_shared(const void *address)
{
    const struct hearth_wrap_range *range = &hearth_wrap_range;
    return __builtin_expect((uintptr_t)address - range->base < range->bytes, 0) ||
           __builtin_expect((uintptr_t)address - range->globals < range->globals_bytes, 0);
}

/* memcpy by the program, one side being shared memory, at a place where MPI is not at work: faults
 * are spared the look for MPI's text on the stack. */
void hearth_wrap_copy(void *to, const void *from, size_t bytes);

#endif
