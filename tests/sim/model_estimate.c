/* SPDX-License-Identifier: BSD-3-Clause */
/* From counts to times, by LogGP, and what grows; what the directory takes. The counts are those
 * of the formulas, evaluated where nobody can simulate. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct network {
    char name[40];
    double o, latency, g, per_byte; /* us */
    double atomic, get;             /* one, and its flush; 0: operations go by messages */
};

/* LogGP of MVAPICH over InfiniBand QDR on Argonne's Tukey, by Netgauge (Hoefler, Mehlan, Lumsdaine
 * and Rehm, HPCC 2007), as published in the file tests/ng-mpi-tukey.dat of the CODES network
 * simulator (github.com/codes-org/codes), the line for 8 bytes: half a round trip 5.69, o_s 1.05,
 * o_r 1.08, g 0.94; G 0.000497 from its lines of 256 KiB and more. L is half a round trip less the
 * overheads; an operation and its flush are taken as a round trip, 2 (L + o), since the file has no
 * one-sided figures. */
static const char published[] = "InfiniBand QDR (published):1.068:3.554:0.940:0.000497:9.244:9.244";

static bool parse(const char *text, struct network *network)
{
    char atomic[32], get[32];
    int n = sscanf(text, "%39[^:]:%lf:%lf:%lf:%lf:%31[^:]:%31s", network->name, &network->o,
                   &network->latency, &network->g, &network->per_byte, atomic, get);
    network->atomic = n == 7 && atomic[0] != '-' ? atof(atomic) : 0;
    network->get = n == 7 && get[0] != '-' ? atof(get) : 0;
    return n == 7;
}

static uint64_t quantity(const struct sim_scenario *scenario, enum sim_quantity q,
                         const struct sim_point *at)
{
    return scenario->formula[q] == NULL ? 0 : sim_formula(scenario->formula[q], at);
}

static bool is_barrier(const struct sim_scenario *scenario)
{
    return scenario->deal != HTH_DEAL_FIXED;
}

/* The chain of hops, then what the busiest PE does beside it, one each g, then its bytes. A
 * barrier's own rounds, log(N) of messages, are MPI's, and are added. */
static double estimate_us(const struct sim_scenario *scenario, const struct network *network,
                          const struct sim_point *at)
{
    double hop = network->latency + 2 * network->o;
    double bytes = (double)(quantity(scenario, SIM_Q_MESSAGE_BYTES, at) +
                            quantity(scenario, SIM_Q_MOVED_BYTES, at));
    double busiest = (double)quantity(scenario, SIM_Q_BUSIEST, at), chain, us;
    if (scenario->scheme == SIM_INVALIDATE && network->atomic > 0) {
        chain = (double)quantity(scenario, SIM_Q_FLUSHES, at) / 2;
        double gets = (double)quantity(scenario, SIM_Q_GETS, at);
        gets /= is_barrier(scenario) ? (double)at->pes : 1;
        us = chain * network->atomic + gets * (network->get - network->atomic);
    } else {
        chain = (double)quantity(scenario, SIM_Q_HOPS, at);
        us = chain * hop;
    }
    if (is_barrier(scenario)) {
        bytes /= (double)at->pes;
        us += (double)sim_formula("log(N)", at) * hop;
    }
    return us + fmax(0, busiest - chain) * network->g + bytes * network->per_byte;
}

/* --- tables --- */

struct column {
    uint64_t pes;
    bool all; /* all the others are sharers; else one is */
};
static const struct column columns[] = {{64, false}, {1024, false}, {4096, false},
                                        {64, true},  {1024, true},  {4096, true}};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

static struct sim_point point(const struct sim_scenario *scenario, const struct column *column,
                              uint64_t pages)
{
    uint64_t all = column->pes - (uint64_t)scenario->others;
    return (struct sim_point){column->pes, column->all ? all : 1, pages, 4096};
}

static void print_network(const struct network *network, uint64_t pages)
{
    printf("\n%s: o %.3f, L %.3f, g %.3f us, G %.6f us a byte, ", network->name, network->o,
           network->latency, network->g, network->per_byte);
    if (network->atomic > 0) {
        printf("an atomic or a get with its flush %.3f, %.3f us\n", network->atomic, network->get);
    } else {
        printf("operations by messages\n");
    }
    printf("us, pages of 4 KiB, p = %-19" PRIu64
           " N=64     1024     4096       64     1024     4096\n"
           "%-42s s=1      s=1      s=1    s=all    s=all    s=all\n",
           pages, "");
    for (int i = 0; i < sim_n_scenarios; i++) {
        const struct sim_scenario *scenario = &sim_scenarios[i];
        if (scenario->formula[SIM_Q_BUSIEST] == NULL) {
            continue; /* it asks nothing of others */
        }
        printf("%-36s", scenario->name);
        for (int c = 0; c < COLUMNS; c++) {
            struct sim_point at = point(scenario, &columns[c], pages);
            if (columns[c].all && scenario->sharers_min < 0) {
                printf("        -");
            } else {
                printf(" %8.1f", estimate_us(scenario, network, &at));
            }
        }
        printf("\n");
    }
}

/* From 64 to 4,096 PEs log(PEs) doubles. */
static void print_growth(void)
{
    printf("\nWhat grows by more than log(PEs), so more than twice from 64 to 4,096 PEs (hops, or "
           "the busiest PE's messages and operations; p = 1):\n");
    for (int i = 0; i < sim_n_scenarios; i++) {
        for (int c = 0; c < COLUMNS; c += 3) {
            const struct sim_scenario *scenario = &sim_scenarios[i];
            struct sim_point few = point(scenario, &columns[c], 1);
            struct sim_point many = point(scenario, &columns[c + 2], 1);
            if (columns[c].all && scenario->sharers_min < 0) {
                continue;
            }
            for (int q = SIM_Q_HOPS; q <= SIM_Q_BUSIEST; q++) {
                uint64_t from = quantity(scenario, (enum sim_quantity)q, &few);
                uint64_t to = quantity(scenario, (enum sim_quantity)q, &many);
                if (to > 2 * from) {
                    printf("    %-32s %-6s %s: %" PRIu64 ", then %" PRIu64 "\n", scenario->name,
                           columns[c].all ? "s=all" : "s=1", sim_quantity_names[q], from, to);
                }
            }
        }
    }
}

/* --- memory --- */

static void print_memory(void)
{
    static const int pes[] = {64, 1024, 4096};
    const uint64_t pages = UINT64_C(1) << 18; /* 1 GiB of 4 KiB */
    printf(
        "\nA region of 1 GiB, pages of 4 KiB, write-invalidate, for each of its pages; addresses "
        "are set aside on every PE, memory is\ntaken where pages are touched (a region has as many "
        "solo pages again for each PE, and they are in the stale map too):\n"
        "PEs    copyset at the home    words set aside    page table set aside    words that an "
        "acquire of nothing reads    largest region in 16 TiB\n");
    for (unsigned i = 0; i < sizeof pes / sizeof pes[0]; i++) {
        struct hth_homes homes = {0};
        if (hth_homes_init(&homes, pes[i], pages, pages) != 0) {
            abort();
        }
        struct hth_region region = {.n_pes = pes[i],
                                    .page_bytes = 4096,
                                    .n_pages = pages + pages * (uint64_t)pes[i],
                                    .homes = &homes};
        hth_region_layout(&region);
        printf("%4d %13.0f bytes %12.0f bytes a PE %12.0f bytes a PE %20" PRIu64 " %33.0f GiB\n",
               pes[i],
               (double)region.copyset_words *
                   (region.copyset_bits < 64 ? region.copyset_bits / 8.0 : 8.0),
               (double)region.n_words * 8 / (double)pages,
               (double)region.n_pages * sizeof(struct hth_page) / (double)pages,
               region.stale.n_words[2], 16384.0 / (1 + pes[i]));
        hth_homes_fini(&homes);
    }
    printf(
        "A word of the stale map is touched when one of its 64 pages is told of; an entry of the "
        "page table has %zu bytes.\n",
        sizeof(struct hth_page));
}

void sim_model_estimates(const char *const *networks, int n_networks)
{
    struct network network;
    printf("\n\nEstimates: hops * (L + 2 o), or operations and flushes where there are windows; "
           "then g "
           "for each message or operation of the\nbusiest PE that is not in that chain; then G for "
           "each byte. With a barrier's own log(N) rounds. One page:\n");
    for (int i = 0; i <= n_networks; i++) {
        const char *text = i == n_networks ? published : networks[i];
        if (!parse(text, &network)) {
            fprintf(stderr, "'%s' is not name:o:L:g:G:atomic:get\n", text);
            exit(2);
        }
        print_network(&network, 1);
    }
    printf("\n64 pages, over the last of these:\n");
    print_network(&network, 64);
    print_growth();
    print_memory();
}
