/* SPDX-License-Identifier: BSD-3-Clause */
/* Do MPI's one-sided operations do here what Hearth relies on: the right thing, and while the
 * target computes? Some do neither, and some wait until the target calls MPI. */
#ifndef HTH_NET_SELFTEST_H
#define HTH_NET_SELFTEST_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

struct hth_selftest {
    MPI_Win frames; /* HTH_SELFTEST_BYTES a PE are scratch from the start of it on */
    MPI_Win words;  /* one 64-bit word, word `word`, is, and is zero */
    uint64_t word;
    enum hth_test_rma pretend; /* for tests of what follows */
};
#define HTH_SELFTEST_BYTES 64

/* Each PE but one, if they are odd in number, has another do a put, a get and atomics on it, the
 * first of the job, while it stays out of MPI. Collective, before there is a progress thread. 0; or
 * HEARTH_ENOTSUP on all, and in `why` what was found, where it was. Leaves zeros. */
int hth_selftest_windows(const struct hth_selftest *test, char *why, size_t why_bytes);

#endif
