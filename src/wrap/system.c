/* SPDX-License-Identifier: BSD-3-Clause */
/* read, write and theirs. */
#undef _FORTIFY_SOURCE
#include "wrap/system.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_MAX ((size_t)0x7ffff000) /* the kernel moves no more in one call */

ssize_t __read_chk(int fd, void *buf, size_t n, size_t buf_bytes);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t offset, size_t buf_bytes);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t offset, size_t buf_bytes);

void *hth_system_begin(size_t bytes)
{
    void *private = malloc(bytes + 1);
    if (private == NULL) {
        errno = ENOMEM;
    }
    return private;
}

void *hth_system_begin_with(const void *shared, size_t bytes)
{
    void *private = hth_system_begin(bytes);
    return private != NULL ? memcpy(private, shared, bytes) : NULL;
}

ssize_t hth_system_end(void *private, ssize_t n)
{
    int error = errno;
    free(private);
    errno = error;
    return n;
}

ssize_t hth_system_end_read(void *shared, size_t bytes, void *private, ssize_t n)
{
    int error = errno;
    if (n > 0) {
        memcpy(shared, private, (size_t)n < bytes ? (size_t)n : bytes);
    }
    errno = error;
    return hth_system_end(private, n);
}

static size_t at_most(size_t n)
{
    return n < KERNEL_MAX ? n : KERNEL_MAX;
}

/* --- one buffer --- */

ssize_t read(int fd, void *buf, size_t n)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(read)(fd, buf, n);
    }
    n = at_most(n);
    void *private = hth_system_begin(n);
    return private == NULL ? -1
                           : hth_system_end_read(buf, n, private, HTH_NEXT(read)(fd, private, n));
}

ssize_t write(int fd, const void *buf, size_t n)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(write)(fd, buf, n);
    }
    n = at_most(n);
    void *private = hth_system_begin_with(buf, n);
    return private == NULL ? -1 : hth_system_end(private, HTH_NEXT(write)(fd, private, n));
}

ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(pread)(fd, buf, n, offset);
    }
    n = at_most(n);
    void *private = hth_system_begin(n);
    return private == NULL
               ? -1
               : hth_system_end_read(buf, n, private, HTH_NEXT(pread)(fd, private, n, offset));
}

ssize_t pread64(int fd, void *buf, size_t n, off64_t offset)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(pread64)(fd, buf, n, offset);
    }
    n = at_most(n);
    void *private = hth_system_begin(n);
    return private == NULL
               ? -1
               : hth_system_end_read(buf, n, private, HTH_NEXT(pread64)(fd, private, n, offset));
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(pwrite)(fd, buf, n, offset);
    }
    n = at_most(n);
    void *private = hth_system_begin_with(buf, n);
    return private == NULL ? -1 : hth_system_end(private, HTH_NEXT(pwrite)(fd, private, n, offset));
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t offset)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(pwrite64)(fd, buf, n, offset);
    }
    n = at_most(n);
    void *private = hth_system_begin_with(buf, n);
    return private == NULL ? -1
                           : hth_system_end(private, HTH_NEXT(pwrite64)(fd, private, n, offset));
}

/* With _FORTIFY_SOURCE: what does not fit is libc's to complain of. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t buf_bytes)
{
    return n > buf_bytes || !hth_wrap_shared(buf) ? HTH_NEXT(__read_chk)(fd, buf, n, buf_bytes)
                                                  : read(fd, buf, n);
}

ssize_t __pread_chk(int fd, void *buf, size_t n, off_t offset, size_t buf_bytes)
{
    return n > buf_bytes || !hth_wrap_shared(buf)
               ? HTH_NEXT(__pread_chk)(fd, buf, n, offset, buf_bytes)
               : pread(fd, buf, n, offset);
}

ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t offset, size_t buf_bytes)
{
    return n > buf_bytes || !hth_wrap_shared(buf)
               ? HTH_NEXT(__pread64_chk)(fd, buf, n, offset, buf_bytes)
               : pread64(fd, buf, n, offset);
}

/* --- vectors --- */

/* The bytes of the shared buffers; SIZE_MAX: more than the kernel accepts. */
static size_t shared_bytes(const struct iovec *iov, size_t n)
{
    size_t all = 0, shared = 0;
    for (size_t i = 0; i < n; i++) {
        if (__builtin_add_overflow(all, iov[i].iov_len, &all) || all > SSIZE_MAX) {
            return SIZE_MAX;
        }
        shared += hth_wrap_shared(iov[i].iov_base) ? iov[i].iov_len : 0;
    }
    return shared;
}

bool hth_vector_begin(struct hth_vector *vector, const struct iovec *theirs, size_t n, bool write)
{
    *vector = (struct hth_vector){theirs, (int)n, (struct iovec *)(uintptr_t)theirs, NULL};
    if (n > IOV_MAX) {
        return true; /* the kernel refuses it before it looks */
    }
    size_t bytes = shared_bytes(theirs, n);
    if (bytes == 0 && !hth_wrap_shared(theirs)) {
        return true;
    }
    bool refused = bytes == SIZE_MAX;
    vector->memory = hth_system_begin(n * sizeof *theirs + (refused ? 0 : bytes));
    if (vector->memory == NULL) {
        return false;
    }
    vector->ours = vector->memory;
    memcpy(vector->ours, theirs, n * sizeof *theirs);
    char *at = (char *)(vector->ours + n);
    for (size_t i = 0; i < n && !refused; i++) {
        struct iovec *one = &vector->ours[i];
        if (!hth_wrap_shared(one->iov_base)) {
            continue;
        }
        if (write) {
            memcpy(at, one->iov_base, one->iov_len);
        }
        one->iov_base = at;
        at += one->iov_len;
    }
    return true;
}

ssize_t hth_vector_end(struct hth_vector *vector, ssize_t n, bool read)
{
    int error = errno;
    size_t left = read && n > 0 && vector->memory != NULL ? (size_t)n : 0;
    for (int i = 0; left > 0 && i < vector->n; i++) {
        size_t bytes = vector->ours[i].iov_len < left ? vector->ours[i].iov_len : left;
        if (vector->ours[i].iov_base != vector->theirs[i].iov_base) {
            memcpy(vector->theirs[i].iov_base, vector->ours[i].iov_base, bytes);
        }
        left -= bytes;
    }
    errno = error;
    return hth_system_end(vector->memory, n);
}

/* A negative number of buffers is too many. */
static size_t count_of(int n)
{
    return n < 0 ? SIZE_MAX : (size_t)n;
}

/* Private vectors, nothing shared in them, cost a look at each buffer; `call` names the vector that
 * it tells the kernel `vector.ours`. */
#define HTH_VECTOR_CALL(iov, iovcnt, writes, call)                                                 \
    struct hth_vector vector;                                                                      \
    if (!hth_vector_begin(&vector, iov, count_of(iovcnt), writes)) {                               \
        return -1;                                                                                 \
    }                                                                                              \
    return hth_vector_end(&vector, call, !(writes))

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    HTH_VECTOR_CALL(iov, n, false, HTH_NEXT(readv)(fd, vector.ours, n));
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    HTH_VECTOR_CALL(iov, n, true, HTH_NEXT(writev)(fd, vector.ours, n));
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
    HTH_VECTOR_CALL(iov, n, false, HTH_NEXT(preadv)(fd, vector.ours, n, offset));
}

ssize_t preadv64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    HTH_VECTOR_CALL(iov, n, false, HTH_NEXT(preadv64)(fd, vector.ours, n, offset));
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    HTH_VECTOR_CALL(iov, n, true, HTH_NEXT(pwritev)(fd, vector.ours, n, offset));
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    HTH_VECTOR_CALL(iov, n, true, HTH_NEXT(pwritev64)(fd, vector.ours, n, offset));
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    HTH_VECTOR_CALL(iov, n, false, HTH_NEXT(preadv2)(fd, vector.ours, n, offset, flags));
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
    HTH_VECTOR_CALL(iov, n, false, HTH_NEXT(preadv64v2)(fd, vector.ours, n, offset, flags));
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    HTH_VECTOR_CALL(iov, n, true, HTH_NEXT(pwritev2)(fd, vector.ours, n, offset, flags));
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
    HTH_VECTOR_CALL(iov, n, true, HTH_NEXT(pwritev64v2)(fd, vector.ours, n, offset, flags));
}
