/* SPDX-License-Identifier: BSD-3-Clause */
/* Who takes which part in a collective: what of the arguments counts depends on it. */
#include "wrap/wrap.h"

int hth_wrap_size(MPI_Comm comm)
{
    int n = 0;
    PMPI_Comm_size(comm, &n);
    return n;
}

int hth_wrap_rank(MPI_Comm comm)
{
    int rank = 0;
    PMPI_Comm_rank(comm, &rank);
    return rank;
}

static bool is_inter(MPI_Comm comm)
{
    int inter = 0;
    PMPI_Comm_test_inter(comm, &inter);
    return inter != 0;
}

int hth_wrap_peers(MPI_Comm comm)
{
    int n = 0;
    if (!is_inter(comm)) {
        return hth_wrap_size(comm);
    }
    PMPI_Comm_remote_size(comm, &n);
    return n;
}

bool hth_wrap_is_root(MPI_Comm comm, int root)
{
    return is_inter(comm) ? root == MPI_ROOT : root == hth_wrap_rank(comm);
}

bool hth_wrap_is_leaf(MPI_Comm comm, int root)
{
    return !is_inter(comm) || root >= 0;
}

static void neighbours(MPI_Comm comm, int *from_out, int *to_out)
{
    int kind = MPI_UNDEFINED, n = 0, weighted;
    PMPI_Topo_test(comm, &kind);
    *from_out = *to_out = 0;
    if (kind == MPI_CART) {
        PMPI_Cartdim_get(comm, &n);
        *from_out = *to_out = 2 * n;
    } else if (kind == MPI_GRAPH) {
        PMPI_Graph_neighbors_count(comm, hth_wrap_rank(comm), &n);
        *from_out = *to_out = n;
    } else if (kind == MPI_DIST_GRAPH) {
        PMPI_Dist_graph_neighbors_count(comm, from_out, to_out, &weighted);
    }
}

int hth_wrap_n_from(MPI_Comm comm)
{
    int from, to;
    neighbours(comm, &from, &to);
    return from;
}

int hth_wrap_n_to(MPI_Comm comm)
{
    int from, to;
    neighbours(comm, &from, &to);
    return to;
}

MPI_Count hth_wrap_sum(const int *counts, int n)
{
    MPI_Count sum = 0;
    for (int i = 0; i < n; i++) {
        sum += counts[i];
    }
    return sum;
}
