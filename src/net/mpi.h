/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that know MPI share. */
#ifndef HTH_NET_MPI_H
#define HTH_NET_MPI_H

#include <mpi.h>
#include <pthread.h>
#include <stdbool.h>

/* The library's own calls are not for libhearth_wrap, nor for other tools that put themselves
 * between a program and MPI: they watch the program. `make lint` finds a call that is missing here.
 */
#define MPI_Abort               PMPI_Abort
#define MPI_Allgather           PMPI_Allgather
#define MPI_Allreduce           PMPI_Allreduce
#define MPI_Barrier             PMPI_Barrier
#define MPI_Cancel              PMPI_Cancel
#define MPI_Comm_create_keyval  PMPI_Comm_create_keyval
#define MPI_Comm_dup            PMPI_Comm_dup
#define MPI_Comm_free           PMPI_Comm_free
#define MPI_Comm_free_keyval    PMPI_Comm_free_keyval
#define MPI_Comm_rank           PMPI_Comm_rank
#define MPI_Comm_set_attr       PMPI_Comm_set_attr
#define MPI_Comm_set_errhandler PMPI_Comm_set_errhandler
#define MPI_Comm_size           PMPI_Comm_size
#define MPI_Comm_split_type     PMPI_Comm_split_type
#define MPI_Comm_test_inter     PMPI_Comm_test_inter
#define MPI_Compare_and_swap    PMPI_Compare_and_swap
#define MPI_Error_string        PMPI_Error_string
#define MPI_Fetch_and_op        PMPI_Fetch_and_op
#define MPI_Finalize            PMPI_Finalize
#define MPI_Finalized           PMPI_Finalized
#define MPI_Get                 PMPI_Get
#define MPI_Get_count           PMPI_Get_count
#define MPI_Get_library_version PMPI_Get_library_version
#define MPI_Iallreduce          PMPI_Iallreduce
#define MPI_Ibarrier            PMPI_Ibarrier
#define MPI_Igather             PMPI_Igather
#define MPI_Init_thread         PMPI_Init_thread
#define MPI_Initialized         PMPI_Initialized
#define MPI_Irecv               PMPI_Irecv
#define MPI_Isend               PMPI_Isend
#define MPI_Put                 PMPI_Put
#define MPI_Query_thread        PMPI_Query_thread
#define MPI_Test                PMPI_Test
#define MPI_Wait                PMPI_Wait
#define MPI_Win_allocate        PMPI_Win_allocate
#define MPI_Win_allocate_shared PMPI_Win_allocate_shared
#define MPI_Win_create          PMPI_Win_create
#define MPI_Win_flush           PMPI_Win_flush
#define MPI_Win_flush_local_all PMPI_Win_flush_local_all
#define MPI_Win_free            PMPI_Win_free
#define MPI_Win_get_attr        PMPI_Win_get_attr
#define MPI_Win_lock_all        PMPI_Win_lock_all
#define MPI_Win_set_errhandler  PMPI_Win_set_errhandler
#define MPI_Win_shared_query    PMPI_Win_shared_query
#define MPI_Win_sync            PMPI_Win_sync
#define MPI_Win_unlock_all      PMPI_Win_unlock_all

/* The library's own communicators: of the job, and of the PEs of this machine. */
extern MPI_Comm hth_comm_world, hth_comm_here;

/* With MPI_THREAD_SERIALIZED one thread at a time may be in MPI. Guards all of MPI; nothing is
 * taken inside. Not used with MPI_THREAD_MULTIPLE. */
extern bool hth_mpi_serialized;
extern pthread_mutex_t hth_mpi_lock;

static inline void hth_mpi_enter(void)
{
    if (hth_mpi_serialized) {
        pthread_mutex_lock(&hth_mpi_lock);
    }
}

static inline void hth_mpi_leave(void)
{
    if (hth_mpi_serialized) {
        pthread_mutex_unlock(&hth_mpi_lock);
    }
}

/* End the job if an MPI call failed in the middle of things, with MPI's own words. */
void hth_mpi_check(int rc, const char *what);
#define HTH_MPI(call)                                                                              \
    do {                                                                                           \
        hth_mpi_enter();                                                                           \
        int hth_mpi_rc_ = (call);                                                                  \
        hth_mpi_leave();                                                                           \
        if (__builtin_expect(hth_mpi_rc_ != MPI_SUCCESS, 0)) {                                     \
            hth_mpi_check(hth_mpi_rc_, #call);                                                     \
        }                                                                                          \
    } while (0)

/* MPI's words on an error code, in `text` (MPI_MAX_ERROR_STRING bytes). */
const char *hth_mpi_words(int rc, char *text);

/* Memory that the PEs of this machine share, `bytes` of it each: all have it, or none, and then
 * *window_out is MPI_WIN_NULL. The code tells what MPI had against it here; MPI_SUCCESS, if it was
 * at another PE. Collective on hth_comm_here, blocking. */
int hth_mpi_share(size_t bytes, MPI_Win *window_out, void **mine_out);
/* Where a PE's part is, by its rank in hth_comm_here, from the first line of a cache on: MPI aligns
 * to 8 at most, so 64 bytes more than are needed must have been asked for. */
char *hth_mpi_shared(MPI_Win window, int rank);

/* As hth_comm_start, on a communicator of the program's, MPI being initialised. */
int hth_comm_start_on(MPI_Comm comm);

#endif
