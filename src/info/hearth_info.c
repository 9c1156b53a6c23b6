/* SPDX-License-Identifier: BSD-3-Clause */
/* hearth-info: what Hearth found on this machine and what it chose, and every variable that it
 * listens to. Alone, or under mpirun: then PE 0 prints for all. */
#include <hearth.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "config.h"
#include "net/comm.h"
#include "net/window.h"
#include "region.h"
#include "topology.h"
#include "vm/vm.h"

/* What a PE tells PE 0. */
struct pe {
    char host[64], program_units[64], progress_units[64];
    int32_t first_here, node_here; /* the machine, and the virtual node on it */
    int32_t n_units, n_cores;
    struct hth_placement placement;
    uint64_t variables; /* a fingerprint of the HEARTH_* variables' values */
};

static const char *value_of(const struct hth_config_entry *entry, bool *set_out)
{
    const char *value = getenv(entry->name);
    *set_out = value != NULL && value[0] != '\0';
    return *set_out ? value : entry->preset;
}

static uint64_t fingerprint(void)
{
    uint64_t hash = 0;
    const struct hth_config_entry *entry;
    for (unsigned i = 0; (entry = hth_config_entry(i)) != NULL; i++) {
        bool set;
        const char *value = value_of(entry, &set);
        hash = XXH64(value, strlen(value) + 1, hash);
    }
    return hash;
}

static void print_variables(void)
{
    const struct hth_config_entry *entry;
    printf("variables (value, meaning, what is accepted)\n");
    for (unsigned i = 0; (entry = hth_config_entry(i)) != NULL; i++) {
        bool set;
        const char *value = value_of(entry, &set);
        printf("  %s=%s%s\n      %s\n      accepted: %s", entry->name, value, set ? "  (set)" : "",
               entry->help, entry->accepted);
        printf(set ? "; default: %s\n" : "\n", entry->preset[0] != '\0' ? entry->preset : "none");
    }
}

static const char *mode_name(enum hth_progress_mode mode)
{
    switch (mode) {
    case HTH_PROGRESS_AUTO:
        return "auto";
    case HTH_PROGRESS_SPIN:
        return "spin";
    case HTH_PROGRESS_DOORBELL:
        return "doorbell";
    case HTH_PROGRESS_POLL:
        return "poll";
    }
    return "unknown";
}

static void describe_me(struct pe *me)
{
    int node_pes = (int)hth_job.config.node_pes;
    memset(me, 0, sizeof *me);
    if (gethostname(me->host, sizeof me->host - 1) != 0) {
        snprintf(me->host, sizeof me->host, "unknown");
    }
    hth_topology_print(HTH_UNITS_MINE, me->program_units, sizeof me->program_units);
    hth_topology_print(HTH_UNITS_PROGRESS, me->progress_units, sizeof me->progress_units);
    me->first_here = hth_comm_first_here();
    me->node_here = node_pes > 0 ? hth_comm_rank_here() / node_pes : 0;
    me->n_units = hth_topology_n_units();
    me->n_cores = hth_topology_n_cores();
    me->placement = hth_job.placement;
    me->variables = fingerprint();
}

static bool same_node(const struct pe *a, const struct pe *b)
{
    return a->first_here == b->first_here && a->node_here == b->node_here;
}

static void print_pe(int number, const struct pe *pe)
{
    printf("    PE %d: units %s; progress thread: %s, on units %s, %s core of its own; a waiting "
           "thread %s\n",
           number, pe->program_units, mode_name(pe->placement.mode), pe->progress_units,
           pe->placement.own_core ? "a" : "no",
           pe->placement.may_spin ? "spins first" : "yields first");
}

static void print_nodes(const struct pe *pes, int n)
{
    int n_machines = 0, n_nodes = 0;
    for (int i = 0; i < n; i++) {
        n_machines += pes[i].first_here == i;
    }
    printf("PEs: %d on %d machine%s%s\n", n, n_machines, n_machines == 1 ? "" : "s",
           hth_job.config.node_pes > 0 ? ", split into virtual nodes" : "");
    for (int i = 0; i < n; i++) {
        bool first = true;
        for (int k = 0; k < i && first; k++) {
            first = !same_node(&pes[k], &pes[i]);
        }
        if (!first) {
            continue;
        }
        printf("  node %d, on %s, which has %d units for these PEs and %d cores for them and their "
               "progress threads\n",
               n_nodes++, pes[i].host, pes[i].n_units, pes[i].n_cores);
        for (int k = i; k < n; k++) {
            if (same_node(&pes[k], &pes[i])) {
                print_pe(k, &pes[k]);
            }
        }
    }
}

static void print_all(const struct pe *pes, int n)
{
    char mpi[160];
    hth_comm_mpi_version(mpi, sizeof mpi);
    printf("Hearth %d.%d.%d\n", HEARTH_VERSION_MAJOR, HEARTH_VERSION_MINOR, HEARTH_VERSION_PATCH);
    printf("MPI: %s; %s\n", mpi,
           hth_comm_threads() ? "MPI_THREAD_MULTIPLE"
                              : "MPI_THREAD_SERIALIZED: one thread at a time");
    printf("one-sided operations: %s\n", hth_window_kind());
    printf("pager: %s\n", hth_vm_pager());
    long page_bytes = sysconf(_SC_PAGESIZE);
    if (hth_job.config.page_bytes != 0) {
        printf("page: %llu bytes in every region; %ld of the system\n",
               (unsigned long long)hth_job.config.page_bytes, page_bytes);
    } else {
        printf("page: %ld bytes, unless a region asks for more\n", page_bytes);
    }
    printf("addresses: %llu GiB from %p\n", (unsigned long long)(hth_vm.bytes >> 30),
           (void *)hth_vm.view);
    print_nodes(pes, n);
    for (int i = 1; i < n; i++) {
        if (pes[i].variables != pes[0].variables) {
            printf("PE %d has other values in its HEARTH_* variables than PE 0, which are:\n", i);
        }
    }
    print_variables();
}

static int usage(void)
{
    fprintf(stderr, "usage: hearth-info, or: mpirun ... hearth-info\n"
                    "Prints what Hearth finds here and chooses, and every HEARTH_* variable.\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("Hearth %d.%d.%d\n", HEARTH_VERSION_MAJOR, HEARTH_VERSION_MINOR,
               HEARTH_VERSION_PATCH);
        return 0;
    }
    if (argc > 1) {
        return usage();
    }
    if (hearth_init(&argc, &argv) != HEARTH_OK) { /* it has said why */
        if (hth_comm_n_pes() == 0 || hth_comm_my_pe() == 0) {
            print_variables();
        }
        return 1;
    }
    int n = hearth_n_pes();
    struct pe me, *all = hearth_my_pe() == 0 ? calloc((size_t)n, sizeof *all) : NULL;
    if (hearth_my_pe() == 0 && all == NULL) {
        fprintf(stderr, "hearth-info: no memory for %d PEs\n", n);
        return 1;
    }
    describe_me(&me);
    hth_comm_gather(&me, (int)sizeof me, all);
    if (all != NULL) {
        print_all(all, n);
        free(all);
    }
    return hearth_finalize() != HEARTH_OK;
}
