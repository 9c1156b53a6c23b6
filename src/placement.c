/* SPDX-License-Identifier: BSD-3-Clause */
#include "placement.h"

#include <stdlib.h>

#define THREADS_MAX 4096

struct hth_placement hth_placement_choose(const struct hth_placement_facts *facts)
{
    struct hth_placement chosen = {
        .mode = facts->asked,
        .may_spin = facts->n_units >= facts->n_here * facts->n_threads,
        .own_core = facts->n_cores >= facts->n_here * (facts->n_threads + 1),
        .all_here = !facts->no_bells && facts->n_here == facts->n_pes,
    };
    if (facts->asked == HTH_PROGRESS_AUTO) {
        /* A doorbell answers as fast as polling, and costs nothing; but only those on this machine
         * can ring it. For the others somebody has to look: all the time where that costs nobody a
         * core, else now and then. */
        chosen.mode = chosen.all_here   ? HTH_PROGRESS_DOORBELL
                      : chosen.own_core ? HTH_PROGRESS_SPIN
                                        : HTH_PROGRESS_POLL;
    }
    return chosen;
}

int hth_placement_threads(const char *text)
{
    long n = text != NULL ? strtol(text, NULL, 10) : 1;
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (int)n;
}
