/* SPDX-License-Identifier: BSD-3-Clause */
/* Collectives on shared buffers, blocking and nonblocking, in place too, and those of neighbours.
 */
#include "area.h"

#include <stdlib.h>
#include <string.h>

/* Given from here on; taken to there: as long as a PE's part times eight PEs. */
enum { SEND = 40, RECEIVE = 6 * WT_PAGE + 24, N = 350, PES_MAX = 7 };

static int n_pes, me;
static bool blocking; /* each call is made in both ways; the tests set it */

/* A nonblocking call is waited for in its turn; shared memory beside its buffers may be used. */
static void finish(MPI_Request *request)
{
    HT_EQUAL(MPI_Wait(request, MPI_STATUS_IGNORE), MPI_SUCCESS);
}

#define BOTH(name, ...)                                                                            \
    do {                                                                                           \
        if (blocking) {                                                                            \
            HT_EQUAL(MPI_##name(__VA_ARGS__), MPI_SUCCESS);                                        \
        } else {                                                                                   \
            MPI_Request request_;                                                                  \
            HT_EQUAL(MPI_I##name(__VA_ARGS__, &request_), MPI_SUCCESS);                            \
            finish(&request_);                                                                     \
        }                                                                                          \
    } while (0)

/* MPI's names of nonblocking calls begin with a capital I and a small letter. */
#define MPI_IBcast                MPI_Ibcast
#define MPI_IGather               MPI_Igather
#define MPI_IGatherv              MPI_Igatherv
#define MPI_IScatter              MPI_Iscatter
#define MPI_IScatterv             MPI_Iscatterv
#define MPI_IAllgather            MPI_Iallgather
#define MPI_IAllgatherv           MPI_Iallgatherv
#define MPI_IAlltoall             MPI_Ialltoall
#define MPI_IAlltoallv            MPI_Ialltoallv
#define MPI_IAlltoallw            MPI_Ialltoallw
#define MPI_IReduce               MPI_Ireduce
#define MPI_IAllreduce            MPI_Iallreduce
#define MPI_IScan                 MPI_Iscan
#define MPI_IExscan               MPI_Iexscan
#define MPI_IReduce_scatter       MPI_Ireduce_scatter
#define MPI_IReduce_scatter_block MPI_Ireduce_scatter_block
#define MPI_INeighbor_allgather   MPI_Ineighbor_allgather
#define MPI_INeighbor_allgatherv  MPI_Ineighbor_allgatherv
#define MPI_INeighbor_alltoall    MPI_Ineighbor_alltoall
#define MPI_INeighbor_alltoallv   MPI_Ineighbor_alltoallv
#define MPI_INeighbor_alltoallw   MPI_Ineighbor_alltoallw

/* Parts of different sizes, with gaps between them, the last first. The arrays lie in shared memory
 * too: MPI reads them. */
static struct arrays {
    int counts[PES_MAX], places[PES_MAX], offsets[PES_MAX];
    MPI_Datatype types[PES_MAX];
    MPI_Aint far_offsets[PES_MAX];
} * arrays; /* one a PE */

static void fill_arrays(int n)
{
    struct arrays *mine = arrays;
    for (int i = 0; i < n; i++) {
        mine->counts[i] = N - 10 * i;
        mine->places[i] = (n - 1 - i) * (N + 3);
        mine->offsets[i] = mine->places[i] * (int)sizeof(int64_t);
        mine->far_offsets[i] = mine->offsets[i];
        mine->types[i] = MPI_INT64_T;
    }
}

/* Counts that all agree on, as part i is what PE i gives or gets. */
static int my_count(void)
{
    return N - 10 * me;
}

static int root(void)
{
    return n_pes / 2;
}

static void make_bcast(unsigned char *base)
{
    BOTH(Bcast, base + SEND, 5 * N, MPI_INT64_T, root(), wt_comm);
}

static void make_gather(unsigned char *base)
{
    BOTH(Gather, base + SEND, N, MPI_INT64_T, base + RECEIVE, N, MPI_INT64_T, root(), wt_comm);
}

static void make_gather_in_place(unsigned char *base)
{
    BOTH(Gather, me == root() ? MPI_IN_PLACE : base + SEND, N, MPI_INT64_T, base + RECEIVE, N,
         MPI_INT64_T, root(), wt_comm);
}

static void make_gatherv(unsigned char *base)
{
    fill_arrays(n_pes);
    BOTH(Gatherv, base + SEND, my_count(), MPI_INT64_T, base + RECEIVE, arrays->counts,
         arrays->places, MPI_INT64_T, root(), wt_comm);
}

static void make_scatter(unsigned char *base)
{
    BOTH(Scatter, base + RECEIVE, N, MPI_INT64_T, base + SEND, N, MPI_INT64_T, root(), wt_comm);
}

static void make_scatter_in_place(unsigned char *base)
{
    BOTH(Scatter, base + RECEIVE, N, MPI_INT64_T, me == root() ? MPI_IN_PLACE : base + SEND, N,
         MPI_INT64_T, root(), wt_comm);
}

static void make_scatterv(unsigned char *base)
{
    fill_arrays(n_pes);
    BOTH(Scatterv, base + RECEIVE, arrays->counts, arrays->places, MPI_INT64_T, base + SEND,
         my_count(), MPI_INT64_T, root(), wt_comm);
}

static void make_allgather(unsigned char *base)
{
    BOTH(Allgather, base + SEND, N, MPI_INT64_T, base + RECEIVE, N, MPI_INT64_T, wt_comm);
}

static void make_allgather_in_place(unsigned char *base)
{
    BOTH(Allgather, MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, base + RECEIVE, N, MPI_INT64_T, wt_comm);
}

static void make_allgatherv(unsigned char *base)
{
    fill_arrays(n_pes);
    BOTH(Allgatherv, base + SEND, my_count(), MPI_INT64_T, base + RECEIVE, arrays->counts,
         arrays->places, MPI_INT64_T, wt_comm);
}

static void make_alltoall(unsigned char *base)
{
    BOTH(Alltoall, base + SEND, N / 2, MPI_INT64_T, base + RECEIVE, N / 2, MPI_INT64_T, wt_comm);
}

static void make_alltoall_in_place(unsigned char *base)
{
    HT_EQUAL(
        MPI_Alltoall(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, base + RECEIVE, N, MPI_INT64_T, wt_comm),
        MPI_SUCCESS);
}

/* All parts alike: what I give to you has the length of what you take from me. */
static void even_arrays(void)
{
    fill_arrays(n_pes);
    for (int i = 0; i < n_pes; i++) {
        arrays->counts[i] = N;
    }
}

static void make_alltoallv(unsigned char *base)
{
    even_arrays();
    BOTH(Alltoallv, base + SEND, arrays->counts, arrays->places, MPI_INT64_T, base + RECEIVE,
         arrays->counts, arrays->places, MPI_INT64_T, wt_comm);
}

static void make_alltoallw(unsigned char *base)
{
    even_arrays();
    BOTH(Alltoallw, base + SEND, arrays->counts, arrays->offsets, arrays->types, base + RECEIVE,
         arrays->counts, arrays->offsets, arrays->types, wt_comm);
}

static void make_reduce(unsigned char *base)
{
    BOTH(Reduce, base + SEND, me == root() ? base + RECEIVE : NULL, 4 * N, MPI_INT64_T, MPI_SUM,
         root(), wt_comm);
}

/* PE 0 is the root: with another, MPICH 4.0.2 fails on messages of this length, and no Hearth. */
static void make_reduce_in_place(unsigned char *base)
{
    BOTH(Reduce, me == 0 ? MPI_IN_PLACE : base + SEND, me == 0 ? base + SEND : NULL, 4 * N,
         MPI_INT64_T, MPI_MAX, 0, wt_comm);
}

static void make_allreduce(unsigned char *base)
{
    BOTH(Allreduce, base + SEND, base + RECEIVE, 5 * N, MPI_INT64_T, MPI_BXOR, wt_comm);
}

static void make_allreduce_in_place(unsigned char *base)
{
    BOTH(Allreduce, MPI_IN_PLACE, base + RECEIVE, 5 * N, MPI_INT64_T, MPI_SUM, wt_comm);
}

static void add_first(void *in, void *inout, int *n, MPI_Datatype *type)
{
    (void)type;
    for (int i = 0; i < *n; i++) {
        ((uint64_t *)inout)[2 * i] += ((uint64_t *)in)[2 * i];
    }
}

/* The program's own operation, on a datatype with gaps. */
static void make_own_op(unsigned char *base)
{
    MPI_Datatype type, padded;
    MPI_Op op;
    MPI_Type_contiguous(1, MPI_INT64_T, &type);
    MPI_Type_create_resized(type, 0, 16, &padded);
    MPI_Type_commit(&padded);
    MPI_Op_create(add_first, 1, &op);
    BOTH(Allreduce, base + SEND, base + RECEIVE, 2 * N, padded, op, wt_comm);
    MPI_Op_free(&op);
    MPI_Type_free(&type);
    MPI_Type_free(&padded);
}

static void make_scan(unsigned char *base)
{
    BOTH(Scan, base + SEND, base + RECEIVE, 4 * N, MPI_INT64_T, MPI_SUM, wt_comm);
}

static void make_exscan(unsigned char *base)
{
    BOTH(Exscan, base + SEND, base + RECEIVE, 4 * N, MPI_INT64_T, MPI_SUM, wt_comm);
}

static void make_reduce_scatter_block(unsigned char *base)
{
    BOTH(Reduce_scatter_block, base + SEND, base + RECEIVE, N, MPI_INT64_T, MPI_SUM, wt_comm);
}

static void make_reduce_scatter(unsigned char *base)
{
    fill_arrays(n_pes);
    BOTH(Reduce_scatter, base + SEND, base + RECEIVE, arrays->counts, MPI_INT64_T, MPI_SUM,
         wt_comm);
}

/* What lies behind this PE's part of recvbuf is rubbish afterwards: it is made the same. */
static void make_reduce_scatter_in_place(unsigned char *base)
{
    fill_arrays(n_pes);
    BOTH(Reduce_scatter, MPI_IN_PLACE, base + RECEIVE, arrays->counts, MPI_INT64_T, MPI_SUM,
         wt_comm);
    memset(base + RECEIVE + my_count() * 8, 0, (size_t)(n_pes * N * 8 - my_count() * 8));
}

static void make_reduce_local(unsigned char *base)
{
    HT_EQUAL(MPI_Reduce_local(base + SEND, base + RECEIVE, 5 * N, MPI_INT64_T, MPI_SUM),
             MPI_SUCCESS);
}

/* --- neighbours: a line, whose ends have nobody on one side --- */

static MPI_Comm line = MPI_COMM_NULL;

static void make_neighbors(unsigned char *base)
{
    fill_arrays(2);
    arrays->counts[0] = arrays->counts[1] = N;
    BOTH(Neighbor_allgather, base + SEND, N, MPI_INT64_T, base + RECEIVE, N, MPI_INT64_T, line);
    BOTH(Neighbor_allgatherv, base + SEND + 8, N, MPI_INT64_T, base + RECEIVE, arrays->counts,
         arrays->places, MPI_INT64_T, line);
    BOTH(Neighbor_alltoall, base + SEND + 16, N, MPI_INT64_T, base + RECEIVE, N, MPI_INT64_T, line);
    BOTH(Neighbor_alltoallv, base + SEND, arrays->counts, arrays->places, MPI_INT64_T,
         base + RECEIVE, arrays->counts, arrays->places, MPI_INT64_T, line);
    BOTH(Neighbor_alltoallw, base + SEND + 24, arrays->counts, arrays->far_offsets, arrays->types,
         base + RECEIVE, arrays->counts, arrays->far_offsets, arrays->types, line);
}

/* Between the two halves of the PEs. */
static MPI_Comm between = MPI_COMM_NULL;

static void make_inter(unsigned char *base)
{
    int half = me < n_pes / 2 ? 0 : 1, rank;
    MPI_Comm_rank(between, &rank);
    int my_root = half == 1 ? 0 : rank == 0 ? MPI_ROOT : MPI_PROC_NULL;
    HT_EQUAL(MPI_Bcast(base + SEND, N, MPI_INT64_T, my_root, between), MPI_SUCCESS);
    HT_EQUAL(
        MPI_Gather(base + SEND, N, MPI_INT64_T, base + RECEIVE, N, MPI_INT64_T, my_root, between),
        MPI_SUCCESS);
    HT_EQUAL(MPI_Reduce(base + SEND, base + RECEIVE, N, MPI_INT64_T, MPI_SUM, my_root, between),
             MPI_SUCCESS);
    HT_EQUAL(MPI_Allgather(base + SEND, N, MPI_INT64_T, base + RECEIVE, N, MPI_INT64_T, between),
             MPI_SUCCESS);
}

static const struct wt_call calls[] = {
    {"bcast", make_bcast, 0},
    {"gather", make_gather, 0},
    {"gather in place", make_gather_in_place, 0},
    {"gatherv", make_gatherv, 0},
    {"scatter", make_scatter, 0},
    {"scatter in place", make_scatter_in_place, 0},
    {"scatterv", make_scatterv, 0},
    {"allgather", make_allgather, 0},
    {"allgather in place", make_allgather_in_place, 0},
    {"allgatherv", make_allgatherv, 0},
    {"alltoall", make_alltoall, 0},
    {"alltoall in place", make_alltoall_in_place, 0},
    {"alltoallv", make_alltoallv, 0},
    {"alltoallw", make_alltoallw, 0},
    {"reduce", make_reduce, 0},
    {"reduce in place", make_reduce_in_place, 0},
    {"allreduce", make_allreduce, 0},
    {"allreduce in place", make_allreduce_in_place, 0},
    {"own operation", make_own_op, 0},
    {"scan", make_scan, 0},
    {"exscan", make_exscan, 0},
    {"reduce_scatter_block", make_reduce_scatter_block, 0},
    {"reduce_scatter", make_reduce_scatter, 0},
    {"reduce_scatter in place", make_reduce_scatter_in_place, 0},
    {"reduce_local", make_reduce_local, 0},
    {"neighbors", make_neighbors, 0},
    {"inter", make_inter, 2},
};

static void make_comms(void)
{
    int periodic = 0, half = me < n_pes / 2 ? 0 : 1;
    MPI_Comm local;
    if (line != MPI_COMM_NULL) {
        return;
    }
    MPI_Cart_create(MPI_COMM_WORLD, 1, &n_pes, &periodic, 0, &line);
    if (n_pes > 1) {
        MPI_Comm_split(MPI_COMM_WORLD, half, me, &local);
        MPI_Intercomm_create(local, 0, MPI_COMM_WORLD, half == 0 ? n_pes / 2 : 0, 5, &between);
        MPI_Comm_free(&local);
    }
}

static void test_calls(struct hearth_region *region)
{
    me = ht_pe();
    n_pes = ht_n_pes();
    make_comms();
    arrays = hearth_solo_malloc(region, sizeof *arrays);
    wt_run(calls, sizeof calls / sizeof calls[0]);
}

static void test_blocking(struct hearth_region *region)
{
    blocking = true;
    test_calls(region);
}

static void test_nonblocking(struct hearth_region *region)
{
    blocking = false;
    test_calls(region);
}

static const struct ht_test tests[] = {{"blocking", test_blocking, HT_PROTOCOLS, 8192},
                                       {"nonblocking", test_nonblocking, HT_PROTOCOLS, 8192}};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"test_collectives", tests, 2, false, 0};
    return ht_main(argc, argv, &program);
}
