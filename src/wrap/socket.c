/* SPDX-License-Identifier: BSD-3-Clause */
/* send, recv and theirs. Addresses and control data may be shared too, and the header of a message.
 */
#undef _FORTIFY_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wrap/system.h"

ssize_t __recv_chk(int fd, void *buf, size_t n, size_t buf_bytes, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t buf_bytes, int flags,
                       struct sockaddr *address, socklen_t *address_bytes);

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(send)(fd, buf, n, flags);
    }
    void *private = hth_system_begin_with(buf, n);
    return private == NULL ? -1 : hth_system_end(private, HTH_NEXT(send)(fd, private, n, flags));
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    if (!hth_wrap_shared(buf)) {
        return HTH_NEXT(recv)(fd, buf, n, flags);
    }
    void *private = hth_system_begin(n);
    return private == NULL
               ? -1
               : hth_system_end_read(buf, n, private, HTH_NEXT(recv)(fd, private, n, flags));
}

/* The rest is a message of one buffer. */

ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *address,
               socklen_t address_bytes)
{
    if (!hth_wrap_shared(buf) && !hth_wrap_shared(address)) {
        return HTH_NEXT(sendto)(fd, buf, n, flags, address, address_bytes);
    }
    struct iovec one = {(void *)(uintptr_t)buf, n};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)address,
                             .msg_namelen = address_bytes,
                             .msg_iov = &one,
                             .msg_iovlen = 1};
    return sendmsg(fd, &message, flags);
}

ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *address,
                 socklen_t *address_bytes)
{
    if (!hth_wrap_shared(buf) && !hth_wrap_shared(address) && !hth_wrap_shared(address_bytes)) {
        return HTH_NEXT(recvfrom)(fd, buf, n, flags, address, address_bytes);
    }
    struct iovec one = {buf, n};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
    if (address != NULL && address_bytes != NULL) {
        message.msg_name = address;
        message.msg_namelen = *address_bytes;
    }
    ssize_t got = recvmsg(fd, &message, flags);
    if (got >= 0 && address != NULL && address_bytes != NULL) {
        *address_bytes = message.msg_namelen;
    }
    return got;
}

ssize_t __recv_chk(int fd, void *buf, size_t n, size_t buf_bytes, int flags)
{
    return n > buf_bytes || !hth_wrap_shared(buf)
               ? HTH_NEXT(__recv_chk)(fd, buf, n, buf_bytes, flags)
               : recv(fd, buf, n, flags);
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t buf_bytes, int flags,
                       struct sockaddr *address, socklen_t *address_bytes)
{
    return n > buf_bytes
               ? HTH_NEXT(__recvfrom_chk)(fd, buf, n, buf_bytes, flags, address, address_bytes)
               : recvfrom(fd, buf, n, flags, address, address_bytes);
}

/* A message header of ours, with what is shared of the program's elsewhere. */
struct header {
    struct msghdr ours;
    struct hth_vector vector;
    void *name, *control; /* stand-ins, or NULL */
};

static void header_free(struct header *header)
{
    int error = errno;
    free(header->name);
    free(header->control);
    errno = error;
}

static bool stand_in(void **pointer, size_t bytes, void **stand_in_out)
{
    *stand_in_out = NULL;
    if (!hth_wrap_shared(*pointer) || bytes == 0) {
        return true;
    }
    *stand_in_out = hth_system_begin_with(*pointer, bytes);
    *pointer = *stand_in_out;
    return *stand_in_out != NULL;
}

static bool header_begin(struct header *header, const struct msghdr *theirs, bool write)
{
    header->ours = *theirs;
    header->control = NULL;
    if (!stand_in(&header->ours.msg_name, theirs->msg_namelen, &header->name) ||
        !stand_in(&header->ours.msg_control, theirs->msg_controllen, &header->control) ||
        !hth_vector_begin(&header->vector, theirs->msg_iov, theirs->msg_iovlen, write)) {
        header_free(header);
        return false;
    }
    header->ours.msg_iov = header->vector.ours;
    return true;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct header header;
    if (!header_begin(&header, message, true)) {
        return -1;
    }
    ssize_t sent =
        hth_vector_end(&header.vector, HTH_NEXT(sendmsg)(fd, &header.ours, flags), false);
    header_free(&header);
    return sent;
}

static void copy_back(void *to, const void *stand_in_or_null, size_t bytes, size_t room)
{
    if (stand_in_or_null != NULL) {
        memcpy(to, stand_in_or_null, bytes < room ? bytes : room);
    }
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    struct header header;
    if (!header_begin(&header, message, false)) {
        return -1;
    }
    ssize_t got = hth_vector_end(&header.vector, HTH_NEXT(recvmsg)(fd, &header.ours, flags), true);
    if (got >= 0) {
        int error = errno;
        copy_back(message->msg_name, header.name, header.ours.msg_namelen, message->msg_namelen);
        copy_back(message->msg_control, header.control, header.ours.msg_controllen,
                  message->msg_controllen);
        message->msg_namelen = header.ours.msg_namelen;
        message->msg_controllen = header.ours.msg_controllen;
        message->msg_flags = header.ours.msg_flags;
        errno = error;
    }
    header_free(&header);
    return got;
}
