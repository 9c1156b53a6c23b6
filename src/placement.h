/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may have a core, and so how the PE waits: pure, for tests. DESIGN 4 "Waiting". */
#ifndef HTH_PLACEMENT_H
#define HTH_PLACEMENT_H

#include <stdbool.h>

#include "config.h"

/* What is known of a machine and its PEs. */
struct hth_placement_facts {
    int n_here, n_pes; /* PEs of this machine, and of the job */
    int n_threads;     /* of the program in each PE, as far as one can know */
    int n_units;       /* processing units that the program threads may use together; 0: unknown */
    int n_cores;       /* cores that those and the progress threads may use; 0: unknown */
    enum hth_progress_mode asked; /* HEARTH_PROGRESS */
    bool no_bells;                /* they share no memory, so cannot wake each other */
};

struct hth_placement {
    enum hth_progress_mode mode; /* not HTH_PROGRESS_AUTO */
    bool may_spin; /* each program thread can have a unit: it may spin when it waits */
    bool own_core; /* each progress thread can have a core beside them */
    bool all_here; /* every PE is on this machine and can ring the others' bells */
};

struct hth_placement hth_placement_choose(const struct hth_placement_facts *facts);

/* OMP_NUM_THREADS, or 1 if `text` is NULL or not a number: how many threads a program has is not
 * known when it starts. Of a list ("4,2"), the first. */
int hth_placement_threads(const char *text);

#endif
