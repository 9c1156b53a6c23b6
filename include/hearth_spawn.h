/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file hearth_spawn.h
 * Programs written for one address space: a main program that allocates, initialises, starts
 * workers and waits for them. The macros of hearth/parmacs.m4 are these calls (docs/parmacs.md).
 *
 * REPLAY
 *
 * After hearth_replay() every PE runs the main program, alone and on private memory, as far as the
 * first hearth_spawn(): so private variables (static ones, and the pointers in them) have the same
 * values on all PEs, as threads would find them. What counts is PE 0's run: at hearth_spawn() its
 * shared memory becomes everybody's and that of the others is forgotten, as is what they wrote to
 * standard output; standard input (as `stdin`) is given to all. From then on PE 0 goes on with the
 * main program, and the others run the workers that it starts. Locks, barriers, counters and the
 * other objects that are initialised during the replay are PE 0's then, on every PE, whether the
 * program keeps them in shared memory or in private variables.
 *
 * This is right for a main program that does the same on every PE: one whose allocations do not
 * depend on the time, the process or the random device. What it does to files, every PE does.
 */
#ifndef HEARTH_SPAWN_H
#define HEARTH_SPAWN_H

#include <hearth.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * hearth_init(), and begin the replay. Collective. Before the program reads standard input or calls
 * hearth_shared_malloc(); a constructor may call it. The program then leaves by exit() or by
 * returning from main, on PE 0, without hearth_finalize(): exit waits for the workers if the status
 * is 0, and ends the job at once if it is not and workers run.
 *
 * @return as hearth_init(), and HEARTH_ENOMEM.
 */
int hearth_replay(int *argc, char ***argv);

/**
 * Share the program's static variables (.data and .bss, function-static ones included) from the
 * first hearth_spawn() on, as threads share them: what PE 0's replay left in them is what all PEs
 * find, and they are release consistent, or what HEARTH_CONSISTENCY says, like all shared memory.
 * Thread-local variables and those of libraries stay each PE's own. Collective; in the replay.
 *
 * The program must lie at the same address everywhere and hold nothing but its own variables:
 * compiled with -fPIC, linked with -no-pie -Wl,-z,relro,-z,now and with libhearth.so (`hearthcc
 * --shared-globals`). A pointer to private memory (malloc's, a FILE *) that the program keeps in a
 * static variable over hearth_spawn() is PE 0's, and means nothing elsewhere.
 *
 * @return 0; HEARTH_ENOTSUP (the program was not built so; the message says what is in the way);
 *         HEARTH_ESTATE (not between hearth_replay() and hearth_spawn(), or called twice);
 *         HEARTH_ENOMEM.
 */
int hearth_share_globals(void);

/**
 * Start the program anew, once, without the randomisation of its address space: so that libraries
 * lie at the same addresses on all PEs, as far as these run the same ones, and a static variable
 * that is shared may hold `stdout` or a pointer to a library's function. The first thing that a
 * program does, before hearth_replay() and MPI_Init(). Returns in the new start; and in the first,
 * with everything as it was, where the system forbids this (personality(2); some containers do).
 *
 * @param argv main's, which the program gets again.
 */
void hearth_same_addresses(char **argv);

/**
 * Allocate shared memory by one PE alone; no communication. Before hearth_spawn() all PEs get the
 * same pointer, if they ask for the same; later as hearth_solo_malloc(). Zeroed; aligned to 64
 * bytes, to a page from one page up. What is never touched costs nothing: HEARTH_HEAP_BYTES (32
 * GiB) is what all that is allocated before hearth_spawn() may add up to, and what each PE may
 * allocate after. Thread-safe after hearth_spawn(); before, for one thread.
 *
 * @return NULL: no room, or 0 bytes.
 */
void *hearth_shared_malloc(size_t bytes);

/**
 * Free what hearth_shared_malloc() returned, on any PE. What was allocated before hearth_spawn() is
 * not used again. NULL is allowed.
 *
 * @return 0; HEARTH_EADDR.
 */
int hearth_shared_free(void *ptr);

/**
 * Run worker() on n further PEs, beside this one, which goes on. A release here and an acquire
 * there. PE 0 alone. In the replay, PEs other than 0 do not return from it: they work, and leave
 * when PE 0 does.
 *
 * @param worker  a function of the program itself, not of a library.
 * @param n       0 or more: so many PEs must be idle; a PE whose worker has returned is idle again
 *                only after hearth_join().
 * @return 0; HEARTH_EINVAL (NULL, or n is more than are idle); HEARTH_ESTATE (without
 *         hearth_replay()); HEARTH_EPERM (not on PE 0).
 */
int hearth_spawn(void (*worker)(void), int n);

/** Wait until all workers have returned. A release there and an acquire here. PE 0 alone.
 *  @return 0; HEARTH_ESTATE; HEARTH_EPERM. */
int hearth_join(void);

#ifdef __cplusplus
}
#endif
#endif
