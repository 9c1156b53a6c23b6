/* SPDX-License-Identifier: BSD-3-Clause */
/* What hwloc says of the machine. */
#ifndef HTH_TOPOLOGY_H
#define HTH_TOPOLOGY_H

/* Collective over the PEs of a machine, blocking, before the progress thread exists: find the
 * processing units that these PEs may use together. Never fails: knows less, rather. */
void hth_topology_start(void);
void hth_topology_stop(void);

/* How many those are; 0: unknown. */
int hth_topology_n_units(void);

/* Let the calling thread run on any of them. mpirun binds each PE to a core; a progress thread that
 * may use the others answers in 6 us where one bound to its busy PE's core takes 20. */
void hth_topology_spread(void);

#endif
