/* SPDX-License-Identifier: BSD-3-Clause */
/* The job: MPI's start and end, who shares this machine, and collectives that do not block in MPI.
 *
 * With more PEs than cores a blocking MPI call burns whole time slices (an MPI_Barrier took 20 ms
 * on two cores), so after start the library makes none but where MPI has no other: creating
 * windows. Everything else is started, then waited for in the library's own way. */
#ifndef HTH_NET_COMM_H
#define HTH_NET_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "progress.h"

/* Initialise MPI if the program has not, and join. 0 or an error, noted. Collective, blocking. */
int hth_comm_start(int *argc, char ***argv);
/* The start is over: no more blocking calls. */
void hth_comm_started(void);
/* Free the job's MPI objects, which no one may be using any more; finalises MPI if hth_comm_start
 * initialised it. */
void hth_comm_stop(void);

/* Around calls that block in MPI. By one thread at a time. */
void hth_comm_blocking(bool begin);

int hth_comm_my_pe(void);
int hth_comm_n_pes(void);

/* From now on it is an error, which ends the job, if the program calls MPI_Finalize; until
 * hth_comm_stop. */
void hth_comm_forbid_finalize(bool forbid);

/* How many collectives of Hearth's this PE has begun. Any context. */
uint64_t hth_comm_begun(void);
/* End the job, without a word. */
_Noreturn void hth_comm_abort(int code);
/* Has nobody on this machine said yet that he ends the job? Then he who asks does so. */
bool hth_comm_first_to_end(void);

/* The bell of a PE on this machine, NULL for others. */
struct hth_bell *hth_comm_bell(int pe);
/* PEs on this machine, me included. */
int hth_comm_n_here(void);

/* Wait for all PEs; orders nothing else. */
void hth_comm_barrier(void);
/* 0 if all PEs pass the same fingerprint, else HEARTH_EMISMATCH on all. */
int hth_comm_agree(uint64_t fingerprint);
/* The smallest of all PEs' values: of a status, the worst. Also a barrier. */
int64_t hth_comm_min(int64_t value);
/* Sum over PEs, in place, the result on all. */
void hth_comm_sum(uint64_t *values, int n);
/* Every PE's `bytes` bytes, in the order of PEs, into `all` at PE 0; `all` is not used elsewhere.
 */
void hth_comm_gather(const void *mine, int bytes, void *all);
/* MPI's own words on its version, the first line. */
void hth_comm_mpi_version(char *text, size_t bytes);
/* Whether MPI lets several threads call it at once. */
bool hth_comm_threads(void);
/* The lowest PE of this machine, and how many of this machine's come before this one. */
int hth_comm_first_here(void);
int hth_comm_rank_here(void);
/* Bitwise or over the PEs of this machine, in place. */
void hth_comm_or_here(uint64_t *values, int n);

#endif
