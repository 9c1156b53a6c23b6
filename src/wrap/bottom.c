/* SPDX-License-Identifier: BSD-3-Clause */
/* MPI_BOTTOM: a datatype of addresses may reach from the program's data to its stack, across shared
 * memory, and have no byte there. The constructors that take addresses are looked into. */
#include <stdlib.h>

#include "wrap/wrap.h"

/* The parts of a datatype: the i-th has integers[1 + i] elements of types[i] at places[i]; or one
 * length, or one type, holds for all. */
struct parts {
    int n, n_types;
    bool one_length;
    int *integers;
    MPI_Aint *places;
    MPI_Datatype *types;
};

static bool is_named(MPI_Datatype type)
{
    int integers, addresses, types, combiner;
    PMPI_Type_get_envelope(type, &integers, &addresses, &types, &combiner);
    return combiner == MPI_COMBINER_NAMED;
}

static void free_parts(struct parts *parts)
{
    for (int i = 0; i < parts->n_types; i++) {
        if (!is_named(parts->types[i])) {
            PMPI_Type_free(&parts->types[i]);
        }
    }
    free(parts->integers);
    free(parts->places);
    free(parts->types);
}

/* False: not a type made of addresses, or out of memory. */
static bool get_parts(MPI_Datatype type, struct parts *parts)
{
    int n_integers, n_addresses, n_types, combiner;
    PMPI_Type_get_envelope(type, &n_integers, &n_addresses, &n_types, &combiner);
    if (combiner != MPI_COMBINER_STRUCT && combiner != MPI_COMBINER_HINDEXED &&
        combiner != MPI_COMBINER_HINDEXED_BLOCK) {
        return false;
    }
    *parts = (struct parts){n_addresses,
                            0,
                            false,
                            calloc((size_t)n_integers + 1, sizeof(int)),
                            calloc((size_t)n_addresses + 1, sizeof(MPI_Aint)),
                            calloc((size_t)n_types + 1, sizeof(MPI_Datatype))};
    if (parts->integers == NULL || parts->places == NULL || parts->types == NULL) {
        free_parts(parts);
        return false;
    }
    PMPI_Type_get_contents(type, n_integers, n_addresses, n_types, parts->integers, parts->places,
                           parts->types);
    parts->n_types = n_types;
    parts->one_length = combiner == MPI_COMBINER_HINDEXED_BLOCK;
    return true;
}

bool hth_layout_touches(const char *base, MPI_Count count, MPI_Datatype type)
{
    MPI_Aint lo, hi;
    hth_layout_hull(type, count, &lo, &hi);
    if (count <= 0 || hi <= lo) {
        return false;
    }
    uintptr_t from = (uintptr_t)base + (uintptr_t)lo, to = (uintptr_t)base + (uintptr_t)hi;
    enum hth_cover cover = hth_wrap_cover(from, to);
    struct parts parts;
    if (cover != HTH_MIXED || count != 1 || !get_parts(type, &parts)) {
        return cover != HTH_PRIVATE;
    }
    bool touches = false;
    for (int i = 0; i < parts.n && !touches; i++) {
        MPI_Datatype part = parts.types[parts.n_types == 1 ? 0 : i];
        touches = hth_layout_touches(base + parts.places[i],
                                     parts.integers[parts.one_length ? 1 : 1 + i], part);
    }
    free_parts(&parts);
    return touches;
}
