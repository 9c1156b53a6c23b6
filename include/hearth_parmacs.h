/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file hearth_parmacs.h
 * What the macros of hearth/parmacs.m4 expand to. Programs do not include it: the macros do. The
 * macros have no way to return an error, so an error ends the job, with file and line.
 */
#ifndef HEARTH_PARMACS_H
#define HEARTH_PARMACS_H

#include <hearth_spawn.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#define HEARTH_PARMACS_INLINE static inline __attribute__((unused))

HEARTH_PARMACS_INLINE void hearth_parmacs_must(int rc, const char *macro, const char *file,
                                               int line)
{
    if (rc != HEARTH_OK) {
        fprintf(stderr, "%s:%d: %s: %s\n", file, line, macro, hearth_error_message());
        exit(1);
    }
}

HEARTH_PARMACS_INLINE void hearth_parmacs_start(int argc, char **argv)
{
#ifdef HEARTH_SHARED_GLOBALS
    hearth_same_addresses(argv);
#endif
    int rc = hearth_replay(&argc, &argv);
#ifdef HEARTH_SHARED_GLOBALS
    rc = rc != HEARTH_OK ? rc : hearth_share_globals();
#endif
    if (rc != HEARTH_OK) {
        fprintf(stderr, "%s\n", hearth_error_message());
        exit(1);
    }
}

/** Microseconds. */
HEARTH_PARMACS_INLINE unsigned long hearth_parmacs_clock(void)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    return (unsigned long)now.tv_sec * 1000000ul + (unsigned long)now.tv_usec;
}

HEARTH_PARMACS_INLINE void *hearth_parmacs_malloc(size_t bytes, const char *file, int line)
{
    void *memory = hearth_shared_malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        fprintf(stderr, "%s:%d: G_MALLOC: %s\n", file, line, hearth_error_message());
    }
    return memory;
}

HEARTH_PARMACS_INLINE int hearth_parmacs_locks(struct hearth_lock *locks, long n)
{
    int rc = HEARTH_OK;
    for (long i = 0; i < n && rc == HEARTH_OK; i++) {
        rc = hearth_lock_init(&locks[i]);
    }
    return rc;
}

HEARTH_PARMACS_INLINE int hearth_parmacs_semas(struct hearth_sema *semas, long n)
{
    int rc = HEARTH_OK;
    for (long i = 0; i < n && rc == HEARTH_OK; i++) {
        rc = hearth_sema_init(&semas[i], 0);
    }
    return rc;
}

/** The number of PEs is said at BARINIT, at BARRIER, or at both. */
HEARTH_PARMACS_INLINE int hearth_parmacs_barrier(const struct hearth_barrier *barrier, long n)
{
    struct hearth_barrier copy = *barrier;
    copy.n = n > 0 ? (uint32_t)n : copy.n;
    return hearth_barrier_wait(&copy);
}

#endif
