/* SPDX-License-Identifier: BSD-3-Clause */
/* Point-to-point calls on shared buffers, in all modes, and all ways of waiting for requests; with
 * datatypes that have gaps, messages shorter than the buffer, and absolute addresses. */
#include "area.h"

#include <stdlib.h>
#include <string.h>

/* What is sent lies in the first pages, what is received further up, neither on a page's border,
 * and both in pages of all states. */
enum { SEND = 120, RECEIVE = 7 * WT_PAGE + 56, N = 3000, TAG = 7 };

static MPI_Request receive(unsigned char *base)
{
    MPI_Request request;
    MPI_Irecv(base + RECEIVE, N, MPI_DOUBLE, wt_before(), TAG, wt_comm, &request);
    return request;
}

typedef int send_call(const void *, int, MPI_Datatype, int, int, MPI_Comm);
typedef int isend_call(const void *, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request *);

static void blocking(unsigned char *base, send_call *call)
{
    MPI_Request request = receive(base);
    MPI_Barrier(wt_comm); /* a ready send wants the receive to have begun */
    HT_EQUAL(call(base + SEND, N, MPI_DOUBLE, wt_next(), TAG, wt_comm), MPI_SUCCESS);
    HT_EQUAL(MPI_Wait(&request, MPI_STATUS_IGNORE), MPI_SUCCESS);
    HT_CHECK(request == MPI_REQUEST_NULL);
}

static void nonblocking(unsigned char *base, isend_call *call)
{
    MPI_Request requests[2] = {receive(base)};
    MPI_Status statuses[2];
    int n = 0;
    MPI_Barrier(wt_comm);
    HT_EQUAL(call(base + SEND, N, MPI_DOUBLE, wt_next(), TAG, wt_comm, &requests[1]), MPI_SUCCESS);
    HT_EQUAL(MPI_Waitall(2, requests, statuses), MPI_SUCCESS);
    MPI_Get_count(&statuses[0], MPI_DOUBLE, &n);
    HT_EQUAL(n, N);
    HT_EQUAL(statuses[0].MPI_SOURCE, wt_before());
}

static void make_send(unsigned char *base)
{
    blocking(base, MPI_Send);
}
static void make_ssend(unsigned char *base)
{
    blocking(base, MPI_Ssend);
}
static void make_rsend(unsigned char *base)
{
    blocking(base, MPI_Rsend);
}
static void make_isend(unsigned char *base)
{
    nonblocking(base, MPI_Isend);
}
static void make_issend(unsigned char *base)
{
    nonblocking(base, MPI_Issend);
}
static void make_irsend(unsigned char *base)
{
    nonblocking(base, MPI_Irsend);
}

/* The buffer that is attached lies in shared memory too, but in none that the test looks at. */
static void *attach(void)
{
    int bytes = N * 8 + MPI_BSEND_OVERHEAD;
    void *buffer = hearth_solo_malloc(NULL, (size_t)bytes);
    HT_EQUAL(MPI_Buffer_attach(buffer, bytes), MPI_SUCCESS);
    return buffer;
}

static void detach(void *buffer)
{
    void *detached = NULL;
    int bytes = 0;
    HT_EQUAL(MPI_Buffer_detach(&detached, &bytes), MPI_SUCCESS);
    HT_CHECK(detached == buffer);
    HT_EQUAL(bytes, N * 8 + MPI_BSEND_OVERHEAD);
    HT_EQUAL(hearth_solo_free(buffer), 0);
}

static void make_bsend(unsigned char *base)
{
    void *buffer = attach();
    blocking(base, MPI_Bsend);
    detach(buffer);
}

static void make_ibsend(unsigned char *base)
{
    void *buffer = attach();
    nonblocking(base, MPI_Ibsend);
    detach(buffer);
}

typedef int init_call(const void *, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request *);

/* Rounds of one pair of requests; what is sent changes, and not at a moment when MPI has it. */
static void persistent(unsigned char *base, init_call *call, int rounds)
{
    MPI_Request requests[2];
    MPI_Recv_init(base + RECEIVE, N, MPI_DOUBLE, wt_before(), TAG, wt_comm, &requests[0]);
    call(base + SEND, N, MPI_DOUBLE, wt_next(), TAG, wt_comm, &requests[1]);
    for (int round = 0; round < rounds; round++) {
        base[SEND + 8 * round]++;
        MPI_Start(&requests[0]);
        MPI_Barrier(wt_comm);
        MPI_Start(&requests[1]);
        MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
        base[RECEIVE + 100 + round] ^= 1; /* ours again, and not to be written once more */
        MPI_Waitall(2, requests, MPI_STATUSES_IGNORE); /* inactive */
    }
    if (rounds > 1) {
        MPI_Startall(1, requests);
        MPI_Barrier(wt_comm);
        MPI_Startall(1, requests + 1);
        MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
    }
    MPI_Request_free(&requests[0]);
    MPI_Request_free(&requests[1]);
}

static void make_send_init(unsigned char *base)
{
    persistent(base, MPI_Send_init, 3);
}
static void make_ssend_init(unsigned char *base)
{
    persistent(base, MPI_Ssend_init, 3);
}
static void make_rsend_init(unsigned char *base)
{
    persistent(base, MPI_Rsend_init, 3);
}

/* Once: a second round of a persistent buffered send is sent from the attached buffer as it happens
 * to be (Open MPI 4.1.4, and no Hearth). */
static void make_bsend_init(unsigned char *base)
{
    void *buffer = attach();
    persistent(base, MPI_Bsend_init, 1);
    detach(buffer);
}

static void make_sendrecv(unsigned char *base)
{
    MPI_Status status;
    int n = 0;
    MPI_Sendrecv(base + SEND, N - 100, MPI_DOUBLE, wt_next(), TAG, base + RECEIVE, N, MPI_DOUBLE,
                 wt_before(), TAG, wt_comm, &status);
    MPI_Get_count(&status, MPI_DOUBLE, &n);
    HT_EQUAL(n, N - 100);
}

static void make_sendrecv_replace(unsigned char *base)
{
    MPI_Sendrecv_replace(base + SEND, N, MPI_DOUBLE, wt_next(), TAG, wt_before(), TAG, wt_comm,
                         MPI_STATUS_IGNORE);
}

static void make_recv(unsigned char *base)
{
    MPI_Request request;
    MPI_Isend(base + SEND, N / 2, MPI_DOUBLE, wt_next(), TAG, wt_comm, &request);
    memset(base + SEND + N / 2 * 8, 1, 1); /* behind what MPI has */
    MPI_Recv(base + RECEIVE, N, MPI_DOUBLE, MPI_ANY_SOURCE, MPI_ANY_TAG, wt_comm,
             MPI_STATUS_IGNORE);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

static void make_mrecv(unsigned char *base)
{
    MPI_Request requests[2];
    MPI_Message message;
    int there = 0;
    MPI_Isend(base + SEND, N, MPI_DOUBLE, wt_next(), TAG, wt_comm, &requests[0]);
    MPI_Mprobe(wt_before(), TAG, wt_comm, &message, MPI_STATUS_IGNORE);
    MPI_Mrecv(base + RECEIVE, N, MPI_DOUBLE, &message, MPI_STATUS_IGNORE);
    MPI_Wait(&requests[0], MPI_STATUS_IGNORE);
    MPI_Isend(base + SEND, 99, MPI_INT, wt_next(), TAG, wt_comm, &requests[0]);
    while (!there) {
        MPI_Improbe(wt_before(), TAG, wt_comm, &there, &message, MPI_STATUS_IGNORE);
    }
    MPI_Imrecv(base + RECEIVE + 64, 100, MPI_INT, &message, &requests[1]);
    MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
}

/* --- ways of waiting --- */

enum { PARTS = 6, PART = 500 };

/* PARTS messages, each with a request of its own; requests in the same order at the end. */
static void begin_parts(unsigned char *base, MPI_Request *requests)
{
    for (int i = 0; i < PARTS; i++) {
        MPI_Irecv(base + RECEIVE + i * PART * 8, PART, MPI_DOUBLE, wt_before(), i, wt_comm,
                  &requests[i]);
    }
    for (int i = 0; i < PARTS; i++) {
        MPI_Isend(base + SEND + i * PART * 8, PART, MPI_DOUBLE, wt_next(), i, wt_comm,
                  &requests[PARTS + i]);
    }
}

static void make_waitany(unsigned char *base)
{
    MPI_Request requests[2 * PARTS];
    begin_parts(base, requests);
    for (int i = 0; i < 2 * PARTS; i++) {
        int index = -1;
        MPI_Waitany(2 * PARTS, requests, &index, MPI_STATUS_IGNORE);
        HT_CHECK(index >= 0 && index < 2 * PARTS && requests[index] == MPI_REQUEST_NULL);
    }
}

static void make_testany(unsigned char *base)
{
    MPI_Request requests[2 * PARTS];
    begin_parts(base, requests);
    for (int done = 0; done < 2 * PARTS;) {
        int index = -1, flag = 0;
        MPI_Status status;
        MPI_Testany(2 * PARTS, requests, &index, &flag, &status);
        done += flag;
    }
}

static void some(unsigned char *base, bool wait, bool statuses_wanted)
{
    MPI_Request requests[2 * PARTS];
    MPI_Status statuses[2 * PARTS];
    int indices[2 * PARTS];
    begin_parts(base, requests);
    for (int done = 0; done < 2 * PARTS;) {
        int n = 0;
        (wait ? MPI_Waitsome : MPI_Testsome)(2 * PARTS, requests, &n, indices,
                                             statuses_wanted ? statuses : MPI_STATUSES_IGNORE);
        HT_CHECK(n >= 0 && n <= 2 * PARTS);
        done += n;
    }
}

static void make_waitsome(unsigned char *base)
{
    some(base, true, true);
}
static void make_testsome(unsigned char *base)
{
    some(base, false, false);
}

static void make_testall(unsigned char *base)
{
    MPI_Request requests[2 * PARTS];
    int flag = 0;
    begin_parts(base, requests);
    while (!flag) {
        MPI_Testall(2 * PARTS, requests, &flag, MPI_STATUSES_IGNORE);
    }
}

static void make_test(unsigned char *base)
{
    MPI_Request requests[2 * PARTS];
    begin_parts(base, requests);
    for (int i = 2 * PARTS - 1; i >= 0; i--) {
        int flag = 0;
        while (!flag) {
            MPI_Test(&requests[i], &flag, MPI_STATUS_IGNORE);
        }
    }
}

/* Once the status says so, the bytes are there; and they come but once. */
static void make_get_status(unsigned char *base)
{
    MPI_Request request = receive(base), sending;
    int flag = 0;
    MPI_Isend(base + SEND, N, MPI_DOUBLE, wt_next(), TAG, wt_comm, &sending);
    while (!flag) {
        MPI_Request_get_status(request, &flag, MPI_STATUS_IGNORE);
    }
    base[RECEIVE + 3] ^= 0xff;
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    MPI_Wait(&sending, MPI_STATUS_IGNORE);
}

static void make_request_free(unsigned char *base)
{
    MPI_Request request = receive(base), sending;
    MPI_Isend(base + SEND, N, MPI_DOUBLE, wt_next(), TAG, wt_comm, &sending);
    MPI_Request_free(&sending);
    HT_CHECK(sending == MPI_REQUEST_NULL);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    MPI_Barrier(wt_comm); /* the send is over */
}

static void make_cancel(unsigned char *base)
{
    MPI_Request request;
    MPI_Status status;
    int cancelled = 0;
    MPI_Irecv(base + RECEIVE, N, MPI_DOUBLE, wt_before(), TAG + 1, wt_comm, &request);
    MPI_Cancel(&request);
    MPI_Wait(&request, &status);
    MPI_Test_cancelled(&status, &cancelled);
    HT_CHECK(cancelled);
}

static void make_proc_null(unsigned char *base)
{
    MPI_Request requests[2];
    MPI_Recv(base + RECEIVE, N, MPI_DOUBLE, MPI_PROC_NULL, TAG, wt_comm, MPI_STATUS_IGNORE);
    MPI_Irecv(base + RECEIVE, N, MPI_DOUBLE, MPI_PROC_NULL, TAG, wt_comm, &requests[0]);
    MPI_Isend(base + SEND, N, MPI_DOUBLE, MPI_PROC_NULL, TAG, wt_comm, &requests[1]);
    MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
}

/* --- datatypes --- */

static void ring(const void *from, void *to, int sent, int received, MPI_Datatype type)
{
    MPI_Request request;
    MPI_Irecv(to, received, type, wt_before(), TAG, wt_comm, &request);
    MPI_Send(from, sent, type, wt_next(), TAG, wt_comm);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

static void make_vector(unsigned char *base)
{
    MPI_Datatype column, interleaved;
    MPI_Type_vector(700, 2, 4, MPI_DOUBLE, &column);
    MPI_Type_create_resized(column, 0, 2 * sizeof(double), &interleaved);
    MPI_Type_commit(&interleaved);
    ring(base + SEND, base + RECEIVE, 1, 2, interleaved); /* two fit into each other; one comes */
    ring(base + SEND, base + RECEIVE, 2, 2, interleaved);
    MPI_Type_free(&column);
    MPI_Type_free(&interleaved);
}

struct odd {
    char letter;
    double number;
    short few[3];
};

/* A letter, a number and three shorts, in another order than in memory, and a gap behind each. */
static MPI_Datatype odd_type(void)
{
    MPI_Datatype type, resized;
    int lengths[] = {3, 1, 1};
    MPI_Aint places[] = {offsetof(struct odd, few), offsetof(struct odd, letter),
                         offsetof(struct odd, number)};
    MPI_Datatype types[] = {MPI_SHORT, MPI_CHAR, MPI_DOUBLE};
    MPI_Type_create_struct(3, lengths, places, types, &type);
    MPI_Type_create_resized(type, 0, sizeof(struct odd), &resized);
    MPI_Type_commit(&resized);
    MPI_Type_free(&type);
    return resized;
}

static void make_struct(unsigned char *base)
{
    MPI_Datatype type = odd_type();
    ring(base + SEND, base + RECEIVE, 900, 1000, type);
    MPI_Type_free(&type);
}

/* A message that ends within an element. The type is freed while the receive is under way. */
static void make_partial(unsigned char *base)
{
    MPI_Datatype type = odd_type();
    MPI_Request request;
    short shorts[3] = {1, 2, 3};
    MPI_Irecv(base + RECEIVE, 5, type, wt_before(), TAG, wt_comm, &request);
    MPI_Type_free(&type);
    MPI_Barrier(wt_comm);
    memcpy(shorts, base + SEND, sizeof shorts);
    MPI_Send(shorts, 2, MPI_SHORT, wt_next(), TAG, wt_comm);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

static void make_pair(unsigned char *base)
{
    ring(base + SEND, base + RECEIVE, 700, 700, MPI_SHORT_INT);
    ring(base + SEND, base + RECEIVE + 3 * WT_PAGE, 100, 100, MPI_LONG_DOUBLE_INT);
}

static void make_subarray(unsigned char *base)
{
    MPI_Datatype type;
    int sizes[] = {40, 60}, part[] = {20, 30}, start[] = {10, 7};
    MPI_Type_create_subarray(2, sizes, part, start, MPI_ORDER_C, MPI_DOUBLE, &type);
    MPI_Type_commit(&type);
    ring(base + SEND, base + RECEIVE, 1, 1, type);
    ring(base + SEND, base + RECEIVE, 1, 1, type); /* its layout is known now */
    MPI_Type_free(&type);
}

static void make_bottom(unsigned char *base)
{
    MPI_Datatype from, to;
    MPI_Aint places[2];
    int lengths[] = {300, 5};
    MPI_Get_address(base + SEND, &places[0]);
    MPI_Get_address(base + SEND + 5 * WT_PAGE, &places[1]);
    MPI_Type_create_hindexed(2, lengths, places, MPI_DOUBLE, &from);
    MPI_Get_address(base + RECEIVE, &places[0]);
    MPI_Get_address(base + RECEIVE + 5 * WT_PAGE, &places[1]);
    MPI_Type_create_hindexed(2, lengths, places, MPI_DOUBLE, &to);
    MPI_Type_commit(&from);
    MPI_Type_commit(&to);
    MPI_Request request;
    MPI_Irecv(MPI_BOTTOM, 1, to, wt_before(), TAG, wt_comm, &request);
    MPI_Send(MPI_BOTTOM, 1, from, wt_next(), TAG, wt_comm);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    MPI_Type_free(&from);
    MPI_Type_free(&to);
}

/* Private memory below and above shared memory is no business of ours. */
static void make_bottom_private(unsigned char *base)
{
    static int low = 1;
    int high[2] = {2, 3};
    MPI_Datatype type, types[] = {MPI_INT, MPI_INT};
    MPI_Aint places[2];
    int lengths[] = {1, 2}, packed[3] = {0};
    (void)base;
    MPI_Get_address(&low, &places[0]);
    MPI_Get_address(high, &places[1]);
    MPI_Type_create_struct(2, lengths, places, types, &type);
    MPI_Type_commit(&type);
    MPI_Sendrecv(MPI_BOTTOM, 1, type, ht_pe(), TAG, packed, 3, MPI_INT, ht_pe(), TAG, wt_comm,
                 MPI_STATUS_IGNORE);
    HT_CHECK(packed[0] == 1 && packed[1] == 2 && packed[2] == 3);
    MPI_Type_free(&type);
}

static void make_pack(unsigned char *base)
{
    MPI_Datatype type = odd_type();
    int position = 40;
    MPI_Pack(base + SEND, 500, type, base + RECEIVE, 9000, &position, wt_comm);
    HT_EQUAL(position, 40 + 500 * 15);
    position = 40;
    MPI_Unpack(base + RECEIVE, 9000, &position, base + RECEIVE + 4 * WT_PAGE, 400, type, wt_comm);
    MPI_Aint place = 8; /* numbers only: MPICH 4.0.2 traps on structures here */
    MPI_Pack_external("external32", base + SEND, 700, MPI_INT, base + RECEIVE, 9000, &place);
    HT_EQUAL(place, 8 + 700 * 4);
    place = 8;
    MPI_Unpack_external("external32", base + RECEIVE, 9000, &place, base + RECEIVE + 3 * WT_PAGE,
                        690, MPI_INT);
    MPI_Type_free(&type);
}

static const struct wt_call calls[] = {
    {"send", make_send, 0},
    {"bsend", make_bsend, 0},
    {"ssend", make_ssend, 2},
    {"rsend", make_rsend, 0},
    {"isend", make_isend, 0},
    {"ibsend", make_ibsend, 0},
    {"issend", make_issend, 0},
    {"irsend", make_irsend, 0},
    {"send_init", make_send_init, 0},
    {"bsend_init", make_bsend_init, 0},
    {"ssend_init", make_ssend_init, 0},
    {"rsend_init", make_rsend_init, 0},
    {"sendrecv", make_sendrecv, 0},
    {"sendrecv_replace", make_sendrecv_replace, 0},
    {"recv", make_recv, 0},
    {"mrecv", make_mrecv, 0},
    {"waitany", make_waitany, 0},
    {"testany", make_testany, 0},
    {"waitsome", make_waitsome, 0},
    {"testsome", make_testsome, 0},
    {"testall", make_testall, 0},
    {"test", make_test, 0},
    {"get_status", make_get_status, 0},
    {"request_free", make_request_free, 0},
    {"cancel", make_cancel, 0},
    {"proc_null", make_proc_null, 0},
    {"vector", make_vector, 0},
    {"struct", make_struct, 0},
    {"partial", make_partial, 0},
    {"pair", make_pair, 0},
    {"subarray", make_subarray, 0},
    {"bottom", make_bottom, 0},
    {"bottom_private", make_bottom_private, 0},
    {"pack", make_pack, 0},
};

static void test_calls(struct hearth_region *region)
{
    (void)region;
    wt_run(calls, sizeof calls / sizeof calls[0]);
}

static const struct ht_test tests[] = {{"messages", test_calls, HT_PROTOCOLS, 4096}};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"test_messages", tests, 1, false, 0};
    return ht_main(argc, argv, &program);
}
