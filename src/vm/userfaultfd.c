/* SPDX-License-Identifier: BSD-3-Clause */
/* Views by userfaultfd: the view is one mapping that may be read and written, and what the program
 * may do with a page is what its page table entry says.
 *
 *   none    no entry. A touch is a minor fault (the file has the page) or a missing one (it does
 *           not, yet), and both are userfaultfd's.
 *   read    an entry with userfaultfd's write-protect bit.
 *   write   an entry without.
 *
 * UFFD_FEATURE_SIGBUS makes a fault a signal to the thread that faulted, so that it serves itself,
 * as with mprotect, and nobody reads the descriptor. No mapping is split, whatever alternates.
 *
 * The kernel may take an entry away when it likes (reclaim): the page faults again, see pager.h. If
 * it was write-protected a marker stays, which CONTINUE overwrites. UFFDIO_CONTINUE stops at the
 * first page that has an entry (EEXIST) or that the file has not (EFAULT); pages beyond it are left
 * to fault by themselves, so that memory of a large span is used as it is touched. */
#include "vm/userfaultfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "vm/pager.h"

#if defined(UFFD_FEATURE_WP_HUGETLBFS_SHMEM) && defined(UFFD_FEATURE_EXACT_ADDRESS) &&             \
    defined(UFFD_USER_MODE_ONLY) && defined(MADV_POPULATE_WRITE)

/* Linux 6.4; younger than many headers, and announced by no feature bit. */
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif

#define FILL_BYTES UINT64_C(65536) /* of memory first touched, at most so much at once */

static const struct {
    uint64_t bit;
    const char *name;
} features[] = {
    {UFFD_FEATURE_SIGBUS, "SIGBUS"},
    {UFFD_FEATURE_MISSING_SHMEM, "MISSING_SHMEM"},
    {UFFD_FEATURE_MINOR_SHMEM, "MINOR_SHMEM"},
    {UFFD_FEATURE_EXACT_ADDRESS, "EXACT_ADDRESS"},
    {UFFD_FEATURE_PAGEFAULT_FLAG_WP, "PAGEFAULT_FLAG_WP"},
    {UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "WP_HUGETLBFS_SHMEM"},
};
enum { N_FEATURES = sizeof features / sizeof features[0] };

/* A descriptor with these features, or -1. User mode only: it needs no privilege, and a system call
 * on shared memory is not ours to serve. */
static int handshake(uint64_t *bits, char *why, size_t why_bytes)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (fd < 0) {
        snprintf(why, why_bytes, "userfaultfd: %s%s", strerror(errno),
                 errno == EPERM ? " (does the container forbid it?)" : "");
        return -1;
    }
    struct uffdio_api api = {.api = UFFD_API, .features = *bits};
    if (ioctl(fd, UFFDIO_API, &api) != 0) {
        snprintf(why, why_bytes, "UFFDIO_API: %s", strerror(errno));
        close(fd);
        return -1;
    }
    *bits = api.features;
    return fd;
}

/* First asked for what it has, since a kernel that misses one does not say which. */
static int open_with_features(char *why, size_t why_bytes)
{
    uint64_t there = 0, wanted = 0;
    int fd = handshake(&there, why, why_bytes);
    if (fd < 0) {
        return -1;
    }
    close(fd);
    for (int i = 0; i < N_FEATURES; i++) {
        if ((there & features[i].bit) == 0) {
            snprintf(why, why_bytes,
                     "this kernel's userfaultfd has no UFFD_FEATURE_%s (it takes about Linux 6.4)",
                     features[i].name);
            return -1;
        }
        wanted |= features[i].bit;
    }
    return handshake(&wanted, why, why_bytes);
}

int hth_uffd_register(int fd, uint8_t *start, uint64_t bytes)
{
    const uint64_t needed = 1u << _UFFDIO_CONTINUE | 1u << _UFFDIO_WRITEPROTECT;
    struct uffdio_register span = {.range = {(uintptr_t)start, bytes},
                                   .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP |
                                           UFFDIO_REGISTER_MODE_MINOR};
    if (ioctl(fd, UFFDIO_REGISTER, &span) != 0) {
        return errno;
    }
    return (span.ioctls & needed) == needed ? 0 : ENOTSUP; /* not both, for a memfd */
}

bool hth_uffd_open(struct hth_uffd *uffd, uint8_t *view, uint8_t *alias, uint64_t bytes, char *why,
                   size_t why_bytes)
{
    int fd = open_with_features(why, why_bytes);
    if (fd < 0) {
        return false;
    }
    int rc = hth_uffd_register(fd, view, bytes);
    if (rc == 0) {
        *uffd = (struct hth_uffd){fd, view, alias};
        return true;
    }
    snprintf(why, why_bytes, "UFFDIO_REGISTER: %s",
             rc == ENOTSUP ? "no UFFDIO_CONTINUE or UFFDIO_WRITEPROTECT for a memfd"
                           : strerror(rc));
    close(fd);
    return false;
}

void hth_uffd_close(struct hth_uffd *uffd)
{
    if (uffd->fd >= 0) {
        close(uffd->fd);
    }
    uffd->fd = -1;
}

static _Noreturn void die(const char *what, uint64_t bytes)
{
    hth_die("%s of %llu bytes: %s%s", what, (unsigned long long)bytes, strerror(errno),
            errno == ENOMEM ? ". This machine has no memory left for a page" : "");
}

/* Map pages from `offset` on until one is in the way. How many bytes were mapped, and what was in
 * the way: 0 (nothing), EEXIST or EFAULT. */
static uint64_t map(const struct hth_uffd *uffd, uint64_t offset, uint64_t bytes, bool writable,
                    int *stop_out)
{
    uint64_t done = 0;
    *stop_out = 0;
    while (done < bytes) {
        struct uffdio_continue one = {
            .range = {(uintptr_t)uffd->view + offset + done, bytes - done},
            .mode = UFFDIO_CONTINUE_MODE_DONTWAKE | (writable ? 0 : UFFDIO_CONTINUE_MODE_WP)};
        if (ioctl(uffd->fd, UFFDIO_CONTINUE, &one) == 0) {
            return bytes;
        }
        if (errno == EAGAIN) { /* some of it done, or the mappings were being changed */
            done += one.mapped > 0 ? (uint64_t)one.mapped : 0;
        } else if (errno == EEXIST || errno == EFAULT) {
            *stop_out = errno;
            return done;
        } else {
            die("UFFDIO_CONTINUE", bytes);
        }
    }
    return done;
}

/* Give the file pages where it has none. By the alias, and not by touching it: that would be a
 * signal where memory is out. */
static void fill(const struct hth_uffd *uffd, uint64_t offset, uint64_t bytes)
{
    while (madvise(uffd->alias + offset, bytes, MADV_POPULATE_WRITE) != 0) {
        if (errno != EAGAIN && errno != EINTR) {
            die("MADV_POPULATE_WRITE", bytes);
        }
    }
}

static void write_protect(const struct hth_uffd *uffd, uint64_t offset, uint64_t bytes, bool on)
{
    struct uffdio_writeprotect span = {.range = {(uintptr_t)uffd->view + offset, bytes},
                                       .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP
                                                  : UFFDIO_WRITEPROTECT_MODE_DONTWAKE};
    while (ioctl(uffd->fd, UFFDIO_WRITEPROTECT, &span) != 0) {
        if (errno != EAGAIN) {
            die("UFFDIO_WRITEPROTECT", bytes);
        }
    }
}

uint64_t hth_uffd_map_wanted(const struct hth_uffd *uffd, uint64_t wanted, uint64_t end,
                             bool writable)
{
    int stop;
    uint64_t mapped;
    /* Again: another thread may give the memory back meanwhile. */
    while ((mapped = map(uffd, wanted, end - wanted, writable, &stop)) == 0 && stop == EFAULT) {
        fill(uffd, wanted, end - wanted < FILL_BYTES ? end - wanted : FILL_BYTES);
    }
    return mapped;
}

void hth_uffd_protect(const struct hth_uffd *uffd, uint64_t offset, uint64_t bytes,
                      enum hth_view view, uint64_t wanted)
{
    if (view == HTH_VIEW_NONE) {
        /* The entries go; the file keeps its pages, for the mapping is shared. */
        if (madvise(uffd->view + offset, bytes, MADV_DONTNEED) != 0) {
            die("MADV_DONTNEED", bytes);
        }
        return;
    }
    int stop;
    bool writable = view == HTH_VIEW_WRITE;
    uint64_t mapped = map(uffd, offset, bytes, writable, &stop);
    if (mapped == bytes) {
        return; /* a page just fetched, mostly: one call */
    }
    if (wanted != HTH_NOT_WANTED) {
        uint64_t page = wanted & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
        if (page > offset + mapped) {
            hth_uffd_map_wanted(uffd, page, offset + bytes, writable);
        } else if (page == offset + mapped && stop == EFAULT) {
            mapped += hth_uffd_map_wanted(uffd, page, offset + bytes, writable);
            if (mapped == bytes) {
                return;
            }
        }
    }
    /* What was mapped before; all of it at once, since nothing says which. */
    write_protect(uffd, offset, bytes, !writable);
}

#else

bool hth_uffd_open(struct hth_uffd *uffd, uint8_t *view, uint8_t *alias, uint64_t bytes, char *why,
                   size_t why_bytes)
{
    (void)uffd;
    (void)view;
    (void)alias;
    (void)bytes;
    snprintf(why, why_bytes, "Hearth was built with headers older than Linux 5.19");
    return false;
}

int hth_uffd_register(int fd, uint8_t *start, uint64_t bytes)
{
    (void)fd;
    (void)start;
    (void)bytes;
    return ENOTSUP;
}

void hth_uffd_close(struct hth_uffd *uffd)
{
    uffd->fd = -1;
}

uint64_t hth_uffd_map_wanted(const struct hth_uffd *uffd, uint64_t wanted, uint64_t end,
                             bool writable)
{
    (void)writable;
    hth_uffd_protect(uffd, wanted, end - wanted, HTH_VIEW_WRITE, wanted);
    return 0;
}

void hth_uffd_protect(const struct hth_uffd *uffd, uint64_t offset, uint64_t bytes,
                      enum hth_view view, uint64_t wanted)
{
    (void)uffd;
    (void)offset;
    (void)wanted;
    hth_die("a view of %llu bytes to be made %d without userfaultfd", (unsigned long long)bytes,
            (int)view);
}

#endif
