/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file hearth_mpi.h
 * What of Hearth needs mpi.h.
 */
#ifndef HEARTH_MPI_H
#define HEARTH_MPI_H

#include <hearth.h>
#include <mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * As hearth_init(), over the PEs of `comm`, which is duplicated. MPI must be initialised, with at
 * least MPI_THREAD_SERIALIZED (MPI_THREAD_MULTIPLE if the program itself calls MPI meanwhile), and
 * stays so after hearth_finalize(). Collective over comm; PE numbers are ranks in comm.
 *
 * @return as hearth_init(); HEARTH_EINVAL for MPI_COMM_NULL or an intercommunicator.
 */
int hearth_init_comm(MPI_Comm comm);

#ifdef __cplusplus
}
#endif
#endif
