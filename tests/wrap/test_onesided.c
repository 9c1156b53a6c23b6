/* SPDX-License-Identifier: BSD-3-Clause */
/* One-sided operations whose local buffers are shared, with each way of completing them; and what
 * is refused: windows on shared memory. */
#include "area.h"

#include <string.h>

enum { SEND = 80, RECEIVE = 7 * WT_PAGE + 16, N = 2000, WINDOW_BYTES = 4 * N * 8 };

static MPI_Win window;
static int64_t *exposed; /* this PE's part of the window */

/* Each call is made twice: the window begins the same. */
static void fill(void)
{
    MPI_Win_lock(MPI_LOCK_EXCLUSIVE, ht_pe(), 0, window);
    for (int i = 0; i < WINDOW_BYTES / 8; i++) {
        exposed[i] = (int64_t)ht_hash(3, (uint64_t)ht_pe(), (uint64_t)i) >> 8;
    }
    MPI_Win_unlock(ht_pe(), window);
    MPI_Barrier(wt_comm);
}

/* What the others put here is looked at where it can be compared. */
static void show(unsigned char *base)
{
    MPI_Barrier(wt_comm);
    MPI_Win_lock(MPI_LOCK_SHARED, ht_pe(), 0, window);
    memcpy(base + RECEIVE + N * 8 + 8, exposed, N * 4);
    MPI_Win_unlock(ht_pe(), window);
    MPI_Barrier(wt_comm);
}

static void make_fence(unsigned char *base)
{
    fill();
    MPI_Win_fence(0, window);
    MPI_Put(base + SEND, N, MPI_INT64_T, wt_next(), 0, N, MPI_INT64_T, window);
    MPI_Get(base + RECEIVE, N, MPI_INT64_T, wt_before(), N, N, MPI_INT64_T, window);
    MPI_Get(base + RECEIVE, N, MPI_INT64_T, MPI_PROC_NULL, N, N, MPI_INT64_T, window);
    MPI_Win_fence(0, window);
    show(base);
}

static void make_lock(unsigned char *base)
{
    fill();
    MPI_Win_lock(MPI_LOCK_SHARED, wt_next(), 0, window);
    MPI_Put(base + SEND, N, MPI_INT64_T, wt_next(), 0, N, MPI_INT64_T, window);
    MPI_Get(base + RECEIVE, N, MPI_INT64_T, wt_next(), N, N, MPI_INT64_T, window);
    MPI_Win_unlock(wt_next(), window);
    show(base);
}

/* Flushed at one target, the other's results may wait. */
static void make_flush(unsigned char *base)
{
    fill();
    MPI_Win_lock_all(0, window);
    MPI_Get(base + RECEIVE, N / 2, MPI_INT64_T, wt_next(), N, N / 2, MPI_INT64_T, window);
    MPI_Get(base + RECEIVE + N * 4, N / 4, MPI_INT64_T, ht_pe(), N, N / 4, MPI_INT64_T, window);
    MPI_Win_flush(wt_next(), window);
    base[RECEIVE + 5] ^= 0x40;
    MPI_Win_flush_local_all(window);
    base[RECEIVE + N * 4 + 5] ^= 0x40;
    MPI_Put(base + SEND, N, MPI_INT64_T, wt_next(), 0, N, MPI_INT64_T, window);
    MPI_Win_flush_local(wt_next(), window);
    memset(base + SEND, 5, 100);
    MPI_Win_flush_all(window);
    MPI_Win_unlock_all(window);
    show(base);
}

static void make_post_start(unsigned char *base)
{
    MPI_Group all, to, from;
    int next = wt_next(), before = wt_before();
    fill();
    MPI_Comm_group(wt_comm, &all);
    MPI_Group_incl(all, 1, &next, &to);
    MPI_Group_incl(all, 1, &before, &from);
    MPI_Win_post(from, 0, window);
    MPI_Win_start(to, 0, window);
    MPI_Put(base + SEND, N, MPI_INT64_T, next, 0, N, MPI_INT64_T, window);
    MPI_Get(base + RECEIVE, N, MPI_INT64_T, next, N, N, MPI_INT64_T, window);
    MPI_Win_complete(window);
    MPI_Win_wait(window);
    MPI_Group_free(&all);
    MPI_Group_free(&to);
    MPI_Group_free(&from);
    show(base);
}

static void make_accumulate(unsigned char *base)
{
    fill();
    MPI_Win_lock_all(0, window);
    MPI_Accumulate(base + SEND, N, MPI_INT64_T, wt_next(), 0, N, MPI_INT64_T, MPI_SUM, window);
    MPI_Get_accumulate(base + SEND + 8, N / 2, MPI_INT64_T, base + RECEIVE, N / 2, MPI_INT64_T,
                       wt_next(), N, N / 2, MPI_INT64_T, MPI_SUM, window);
    MPI_Get_accumulate(NULL, 0, MPI_DATATYPE_NULL, base + RECEIVE + N * 4, N / 4, MPI_INT64_T,
                       wt_next(), 3 * N, N / 4, MPI_INT64_T, MPI_NO_OP, window);
    MPI_Fetch_and_op(base + SEND, base + RECEIVE + N * 6 + 8, MPI_INT64_T, wt_next(), 2 * N + 4,
                     MPI_SUM, window);
    MPI_Win_unlock_all(window);
    show(base);
}

static void make_compare_and_swap(unsigned char *base)
{
    fill();
    memcpy(base + SEND + 64, "abcd", 4);
    MPI_Win_lock_all(0, window);
    MPI_Compare_and_swap(base + SEND, base + SEND + 64, base + RECEIVE, MPI_INT32_T, wt_next(), 0,
                         window);
    MPI_Win_flush(wt_next(), window);
    MPI_Win_unlock_all(window);
    show(base);
}

static void make_requests(unsigned char *base)
{
    MPI_Request requests[4];
    fill();
    MPI_Win_lock_all(0, window);
    MPI_Rput(base + SEND, N, MPI_INT64_T, wt_next(), 0, N, MPI_INT64_T, window, &requests[0]);
    MPI_Rget(base + RECEIVE, N / 2, MPI_INT64_T, wt_next(), N, N / 2, MPI_INT64_T, window,
             &requests[1]);
    MPI_Raccumulate(base + SEND, N / 2, MPI_INT64_T, wt_next(), 2 * N, N / 2, MPI_INT64_T, MPI_BXOR,
                    window, &requests[2]);
    MPI_Rget_accumulate(base + SEND, 9, MPI_INT64_T, base + RECEIVE + N * 4 + 24, 9, MPI_INT64_T,
                        wt_next(), 3 * N, 9, MPI_INT64_T, MPI_SUM, window, &requests[3]);
    MPI_Waitall(3, requests, MPI_STATUSES_IGNORE);
    MPI_Win_flush_all(window);
    base[RECEIVE + N * 4 + 30] ^= 1; /* ours since the flush, though the request is still to free */
    MPI_Wait(&requests[3], MPI_STATUS_IGNORE);
    MPI_Win_unlock_all(window);
    show(base);
}

static const struct wt_call calls[] = {
    {"fence", make_fence, 0},           {"lock", make_lock, 0},
    {"flush", make_flush, 0},           {"post, start, complete, wait", make_post_start, 2},
    {"accumulate", make_accumulate, 0}, {"compare_and_swap", make_compare_and_swap, 0},
    {"requests", make_requests, 0},
};

static void test_calls(struct hearth_region *region)
{
    (void)region;
    MPI_Win_allocate(WINDOW_BYTES, 8, MPI_INFO_NULL, ht_comm(), &exposed, &window);
    wt_run(calls, sizeof calls / sizeof calls[0]);
    MPI_Win_free(&window);
}

static void test_refused(struct hearth_region *region)
{
    MPI_Win none;
    int class = MPI_SUCCESS;
    char *memory = hearth_solo_malloc(region, 4096);
    MPI_Comm_set_errhandler(ht_comm(), MPI_ERRORS_RETURN);
    int rc = MPI_Win_create(memory, 4096, 1, MPI_INFO_NULL, ht_comm(), &none);
    MPI_Error_class(rc, &class);
    HT_EQUAL(class, MPI_ERR_BASE);
    MPI_Comm_set_errhandler(ht_comm(), MPI_ERRORS_ARE_FATAL);
}

/* Shared and private memory in one message. */
static void test_mixed(struct hearth_region *region)
{
    MPI_Datatype type;
    MPI_Aint places[2];
    int lengths[] = {1, 1}, private = 1, class = MPI_SUCCESS;
    MPI_Get_address(&private, &places[0]);
    MPI_Get_address(hearth_solo_malloc(region, 64), &places[1]);
    MPI_Type_create_hindexed(2, lengths, places, MPI_INT, &type);
    MPI_Type_commit(&type);
    MPI_Comm_set_errhandler(ht_comm(), MPI_ERRORS_RETURN);
    int rc = MPI_Send(MPI_BOTTOM, 1, type, MPI_PROC_NULL, 0, ht_comm());
    MPI_Error_class(rc, &class);
    HT_EQUAL(class, MPI_ERR_BUFFER);
    MPI_Comm_set_errhandler(ht_comm(), MPI_ERRORS_ARE_FATAL);
    MPI_Type_free(&type);
}

static const struct ht_test tests[] = {{"one-sided", test_calls, HT_PROTOCOLS, 4096},
                                       {"window refused", test_refused, HT_ONCE, 8192},
                                       {"mixed refused", test_mixed, HT_ONCE, 8192}};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"test_onesided", tests, 3, false, 0};
    return ht_main(argc, argv, &program);
}
