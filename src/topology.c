/* SPDX-License-Identifier: BSD-3-Clause */
#include "topology.h"

#include <hwloc.h>
#include <stdbool.h>
#include <stdint.h>

#include "log.h"
#include "net/comm.h"

#define UNITS_MAX 4096

static hwloc_topology_t topology;
static hwloc_cpuset_t together; /* what the PEs of this machine may use; NULL: unknown */

static bool load(void)
{
    if (hwloc_topology_init(&topology) != 0) {
        return false;
    }
    /* Units are all we ask about: the rest of the tree costs time at every start. */
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    if (hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return false;
    }
    return true;
}

void hth_topology_start(void)
{
    uint64_t units[UNITS_MAX / 64] = {0};
    bool loaded = load();
    hwloc_cpuset_t mine = hwloc_bitmap_alloc();
    if (loaded && mine != NULL && hwloc_get_cpubind(topology, mine, HWLOC_CPUBIND_PROCESS) == 0) {
        for (int unit = hwloc_bitmap_first(mine); unit >= 0 && unit < UNITS_MAX;
             unit = hwloc_bitmap_next(mine, unit)) {
            units[unit / 64] |= UINT64_C(1) << unit % 64;
        }
    }
    hwloc_bitmap_free(mine);
    hth_comm_or_here(units, UNITS_MAX / 64);
    if (!loaded) {
        hth_log(HTH_LOG_WARN, "hwloc cannot tell this machine's processing units");
        return;
    }
    together = hwloc_bitmap_alloc();
    for (int unit = 0; together != NULL && unit < UNITS_MAX; unit++) {
        if (units[unit / 64] >> unit % 64 & 1) {
            hwloc_bitmap_set(together, (unsigned)unit);
        }
    }
}

void hth_topology_stop(void)
{
    if (together != NULL) {
        hwloc_bitmap_free(together);
        together = NULL;
        hwloc_topology_destroy(topology);
    }
}

int hth_topology_n_units(void)
{
    return together != NULL ? hwloc_bitmap_weight(together) : 0;
}

void hth_topology_spread(void)
{
    if (together != NULL && hwloc_bitmap_weight(together) > 0 &&
        hwloc_set_cpubind(topology, together, HWLOC_CPUBIND_THREAD) != 0) {
        hth_log(HTH_LOG_DEBUG, "the progress thread stays where it is: binding it failed");
    }
}
