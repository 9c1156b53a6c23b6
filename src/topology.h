/* SPDX-License-Identifier: BSD-3-Clause */
/* What hwloc says of the machine. */
#ifndef HTH_TOPOLOGY_H
#define HTH_TOPOLOGY_H

#include <stddef.h>

/* Collective over the PEs of a machine, blocking, before the progress thread exists: find the
 * processing units that these PEs may use together. Never fails: knows less, rather. */
void hth_topology_start(void);
void hth_topology_stop(void);

/* How many those are; 0: unknown. */
int hth_topology_n_units(void);
/* Of these, those that this PE may use, if it is bound to fewer than there are here for what the
 * launcher starts; 0: it is not, or unknown. */
int hth_topology_n_bound(void);
/* The cores that they and the progress threads' units are on; 0: unknown. */
int hth_topology_n_cores(void);

/* Let the calling thread run where progress threads do: on units that no PE is bound to, if there
 * is one for each PE of the machine, so that they keep off the program's cores; else on any that
 * the PEs may use. mpirun binds each PE to a core; a progress thread that may use the others
 * answers in 6 us where one bound to its busy PE's core takes 20. */
void hth_topology_spread(void);

/* Units as text ("0-3,8"; "unknown"): this PE's program's, and where progress threads may run. */
enum hth_units { HTH_UNITS_MINE, HTH_UNITS_PROGRESS };
void hth_topology_print(enum hth_units which, char *text, size_t bytes);

#endif
