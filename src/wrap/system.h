/* SPDX-License-Identifier: BSD-3-Clause */
/* libhearth_wrap, the part of system calls: the kernel takes no faults for Hearth and would say
 * EFAULT, or do half. Touching the pages first would not do: another thread or PE may take them
 * while the call waits, and what a pipe or a socket gave is then lost. So, as with MPI, the kernel
 * gets private memory of the same size, and the program's thread copies, with faults that are
 * served: the whole of what is written before, as many bytes as were read after. One call of the
 * program is one call of the kernel, so what is atomic stays so. */
#ifndef HTH_WRAP_SYSTEM_H
#define HTH_WRAP_SYSTEM_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "wrap/seam.h"

static inline void *hth_system_next(void **cache, const char *name)
{
    /* Relaxed: whoever looks it up finds the same. */
    void *function = __atomic_load_n(cache, __ATOMIC_RELAXED);
    if (__builtin_expect(function == NULL, 0)) {
        function = dlsym(RTLD_NEXT, name);
        __atomic_store_n(cache, function, __ATOMIC_RELAXED);
    }
    return function;
}

/* The function of this name that we stand before. */
#define HTH_NEXT(name)                                                                             \
    ({                                                                                             \
        static void *hth_next_;                                                                    \
        (__typeof__(&name))hth_system_next(&hth_next_, #name);                                     \
    })

/* Private memory for a call. NULL: errno is ENOMEM, and the call is to fail. */
void *hth_system_begin(size_t bytes);
/* ... with the bytes of a shared buffer in it. */
void *hth_system_begin_with(const void *shared, size_t bytes);
/* The call is over: free, keep errno. Returns n. */
ssize_t hth_system_end(void *private, ssize_t n);
/* ... and what was read, n bytes, but never more than the buffer has, goes to it. */
ssize_t hth_system_end_read(void *shared, size_t bytes, void *private, ssize_t n);

/* Vectors, some of whose buffers, or that themselves, are shared. */
struct hth_vector {
    const struct iovec *theirs;
    int n;
    struct iovec *ours; /* to be told the kernel; `theirs` if nothing is shared */
    void *memory;
};
/* False: errno is ENOMEM. */
bool hth_vector_begin(struct hth_vector *vector, const struct iovec *theirs, size_t n, bool write);
ssize_t hth_vector_end(struct hth_vector *vector, ssize_t n, bool read);

#endif
