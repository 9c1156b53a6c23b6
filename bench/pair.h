/* SPDX-License-Identifier: BSD-3-Clause */
/* What the benchmarks of Hearth beside MPI share: starting, stopping, a region of each kind. One
 * program each includes it, so the PE's number may be a variable here. */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include <hearth.h>
#include <hearth_mpi.h>
#include <stdlib.h>

#include "bench.h"

enum kind { INVALIDATE, UPDATE, SEQUENTIAL, KINDS };
static const char *const kind_names[KINDS] = {"invalidate", "update", "sequential"};

static int me, n_pes;

static inline void check(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, hearth_error_message());
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

static inline void barrier(void)
{
    check(hearth_barrier_all(), "hearth_barrier_all");
}

/* A wrong byte makes a time worthless. */
static inline void demand(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "%s %s: PE %d read a wrong value\n", program_invocation_short_name, what,
                me);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
}

/* most: 0, any number of PEs. */
static inline void start(int *argc, char ***argv, int least, int most)
{
    int level;
    setenv("OMPI_MCA_mpi_yield_when_idle", "0", 0);
    MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &n_pes);
    if (n_pes < least || (most != 0 && n_pes > most)) {
        fprintf(stderr, "%s: run it with %d%s PEs, not %d\n", program_invocation_short_name, least,
                most == 0 ? " or more" : "", n_pes);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    check(hearth_init_comm(MPI_COMM_WORLD), "hearth_init_comm");
}

static inline void stop(void)
{
    check(hearth_finalize(), "hearth_finalize");
    MPI_Finalize();
}

/* A region of one allocation; home: a PE, or -1 for equal shares. page_bytes 0: the OS page. */
static inline void *region_new(struct hearth_region **region_out, size_t bytes, enum kind kind,
                               size_t page_bytes, int home)
{
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    attr.protocol = kind == UPDATE ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
    attr.consistency = kind == SEQUENTIAL ? HEARTH_SEQUENTIAL : HEARTH_RELEASE;
    attr.page_bytes = page_bytes;
    if (home >= 0) {
        attr.placement = HEARTH_HOME_FIXED;
        attr.home_pe = home;
    }
    check(hearth_region_create(region_out, bytes, &attr), "hearth_region_create");
    void *memory = hearth_region_malloc(*region_out, bytes);
    check(memory == NULL, "hearth_region_malloc");
    return memory;
}

static inline void region_end(struct hearth_region *region)
{
    check(hearth_region_destroy(region), "hearth_region_destroy");
}

/* By PE 0 alone. */
static inline void print_head(const char *title, const char *ratio)
{
    printf("\n%s\n%-44s %9s %9s %9s %8s\n", title, "", "min", "median", "max", ratio);
}

#endif
