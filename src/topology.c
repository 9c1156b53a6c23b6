/* SPDX-License-Identifier: BSD-3-Clause */
#include "topology.h"

#include <hwloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"
#include "net/comm.h"

#define UNITS_MAX 4096
#define WORDS     (UNITS_MAX / 64)

static hwloc_topology_t topology;
static bool loaded;
/* Sets of units; NULL before the start, and if hwloc fails. */
static hwloc_cpuset_t mine, together; /* what this PE, and the PEs of this machine, may use */
static hwloc_cpuset_t progress;       /* where progress threads may run */

static bool load(void)
{
    if (hwloc_topology_init(&topology) != 0) {
        return false;
    }
    /* Units and cores are all we ask about: the rest of the tree costs time at every start. */
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return false;
    }
    return true;
}

static void to_words(hwloc_const_cpuset_t set, uint64_t *words)
{
    for (int unit = hwloc_bitmap_first(set); unit >= 0 && unit < UNITS_MAX;
         unit = hwloc_bitmap_next(set, unit)) {
        words[unit / 64] |= UINT64_C(1) << unit % 64;
    }
}

static void from_words(const uint64_t *words, hwloc_cpuset_t set)
{
    hwloc_bitmap_zero(set);
    for (unsigned unit = 0; unit < UNITS_MAX; unit++) {
        if (words[unit / 64] >> unit % 64 & 1) {
            hwloc_bitmap_set(set, unit);
        }
    }
}

/* Where progress threads may run, given what the machine's PEs may use and what the launcher may:
 * it binds PEs to a part of that, and what is left over is nobody's, but ours to use. */
static void place_progress(hwloc_cpuset_t launcher)
{
    hwloc_cpuset_t spare = hwloc_bitmap_dup(launcher);
    if (spare == NULL) {
        hwloc_bitmap_copy(progress, together);
        return;
    }
    hwloc_bitmap_andnot(spare, spare, together);
    if (hwloc_bitmap_weight(spare) >= hth_comm_n_here()) {
        hwloc_bitmap_copy(progress, spare);
    } else {
        hwloc_bitmap_or(progress, together, spare);
    }
    hwloc_bitmap_free(spare);
}

static void fini(void)
{
    hwloc_bitmap_free(mine); /* takes NULL */
    hwloc_bitmap_free(together);
    hwloc_bitmap_free(progress);
    mine = together = progress = NULL;
    if (loaded) {
        hwloc_topology_destroy(topology);
        loaded = false;
    }
}

void hth_topology_start(void)
{
    uint64_t words[2 * WORDS] = {0}; /* of the PEs, and of who launched them */
    loaded = load();
    mine = hwloc_bitmap_alloc();
    together = hwloc_bitmap_alloc();
    progress = hwloc_bitmap_alloc();
    bool found = loaded && mine != NULL && together != NULL && progress != NULL &&
                 hwloc_get_cpubind(topology, mine, HWLOC_CPUBIND_PROCESS) == 0;
    if (found) {
        to_words(mine, words);
        if (hwloc_get_proc_cpubind(topology, getppid(), progress, 0) == 0) {
            to_words(progress, words + WORDS);
        }
    }
    hth_comm_or_here(words, 2 * WORDS);
    if (!found) {
        hth_log(HTH_LOG_WARN, "hwloc cannot tell this machine's processing units");
        fini();
        return;
    }
    hwloc_cpuset_t launcher = hwloc_bitmap_alloc();
    from_words(words, together);
    if (launcher != NULL) {
        from_words(words + WORDS, launcher);
        place_progress(launcher);
        hwloc_bitmap_free(launcher);
    } else {
        hwloc_bitmap_copy(progress, together);
    }
}

void hth_topology_stop(void)
{
    fini();
}

int hth_topology_n_units(void)
{
    return together != NULL ? hwloc_bitmap_weight(together) : 0;
}

int hth_topology_n_bound(void)
{
    hwloc_cpuset_t all = mine != NULL ? hwloc_bitmap_alloc() : NULL;
    int n = 0;
    if (all != NULL && hwloc_bitmap_or(all, together, progress) == 0 &&
        !hwloc_bitmap_isequal(mine, all)) {
        n = hwloc_bitmap_weight(mine);
    }
    hwloc_bitmap_free(all);
    return n;
}

int hth_topology_n_cores(void)
{
    int n = 0;
    if (together == NULL) {
        return 0;
    }
    for (hwloc_obj_t core = NULL;
         (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != NULL;) {
        n += hwloc_bitmap_intersects(core->cpuset, together) ||
             hwloc_bitmap_intersects(core->cpuset, progress);
    }
    return n > 0 ? n : hth_topology_n_units(); /* some virtual machines know no cores */
}

void hth_topology_spread(void)
{
    if (progress != NULL && hwloc_bitmap_weight(progress) > 0 &&
        hwloc_set_cpubind(topology, progress, HWLOC_CPUBIND_THREAD) != 0) {
        hth_log(HTH_LOG_DEBUG, "the progress thread stays where it is: binding it failed");
    }
}

void hth_topology_print(enum hth_units which, char *text, size_t bytes)
{
    hwloc_const_cpuset_t set = which == HTH_UNITS_MINE ? mine : progress;
    if (set == NULL || hwloc_bitmap_list_snprintf(text, bytes, set) <= 0) {
        snprintf(text, bytes, "unknown");
    }
}
