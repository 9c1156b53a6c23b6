/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that know MPI share. */
#ifndef HTH_NET_MPI_H
#define HTH_NET_MPI_H

#include <mpi.h>
#include <pthread.h>
#include <stdbool.h>

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

/* As hth_comm_start, on a communicator of the program's, MPI being initialised. */
int hth_comm_start_on(MPI_Comm comm);

#endif
