/* SPDX-License-Identifier: BSD-3-Clause */
/* The LogGP parameters of this MPI between PE 0 and PE 1 (Alexandrov, Ionescu, Schauser and
 * Scheiman, SPAA 1995), for the cost model. Prints one line that `sim --network` takes:
 *
 *   NAME:o:L:g:G:atomic:get     us; G in us a byte; atomic: an MPI_Fetch_and_op and its flush;
 *                               get: an MPI_Get of 8 bytes and its; both - where windows do not
 * work
 *
 * o: half of what the CPUs spend on a message, send and receive of one that is there; L: half a
 * round trip without those; g: between messages of a train of 100; G: from a round trip with 64
 * KiB. The least of 9 each, since what else the machine does only adds. Run: loggp NAME, with two
 * PEs. */
#include <mpi.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define REPS  9
#define TRAIN 100
#define LARGE 65536

static int me;
static char buffer[LARGE];

static double half_round_trip(int bytes)
{
    enum { TURNS = 200 };
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int i = 0; i < TURNS; i++) {
        if (me == 0) {
            MPI_Send(buffer, bytes, MPI_BYTE, 1, 1, MPI_COMM_WORLD);
        }
        MPI_Recv(buffer, bytes, MPI_BYTE, 1 - me, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (me == 1) {
            MPI_Send(buffer, bytes, MPI_BYTE, 0, 1, MPI_COMM_WORLD);
        }
    }
    return (bench_now_us() - begin) / (2 * TURNS);
}

/* A send alone; *receive_us: a receive of what has come already. */
static double overheads(double *receive_us)
{
    MPI_Request requests[TRAIN];
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us(), send_us = 0;
    if (me == 0) {
        for (int i = 0; i < TRAIN; i++) {
            MPI_Isend(buffer, 8, MPI_BYTE, 1, 2, MPI_COMM_WORLD, &requests[i]);
        }
        send_us = (bench_now_us() - begin) / TRAIN;
        MPI_Waitall(TRAIN, requests, MPI_STATUSES_IGNORE);
        MPI_Recv(receive_us, 1, MPI_DOUBLE, 1, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else if (me == 1) {
        usleep(3000);
        int there;
        MPI_Iprobe(0, 2, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE); /* pulls them in */
        begin = bench_now_us();
        for (int i = 0; i < TRAIN; i++) {
            MPI_Recv(buffer, 8, MPI_BYTE, 0, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
        double us = (bench_now_us() - begin) / TRAIN;
        MPI_Send(&us, 1, MPI_DOUBLE, 0, 3, MPI_COMM_WORLD);
    }
    return send_us;
}

static double gap(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double begin = bench_now_us();
    for (int i = 0; i < TRAIN; i++) {
        if (me == 0) {
            MPI_Send(buffer, 8, MPI_BYTE, 1, 4, MPI_COMM_WORLD);
        } else {
            MPI_Recv(buffer, 8, MPI_BYTE, 0, 4, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
    }
    if (me == 1) {
        MPI_Send(buffer, 0, MPI_BYTE, 0, 5, MPI_COMM_WORLD);
    } else {
        MPI_Recv(buffer, 0, MPI_BYTE, 1, 5, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    return (bench_now_us() - begin) / TRAIN;
}

/* A window of each kind that Hearth has: atomics on MPI's memory, gets from our own. False where
 * there are none. */
static int one_sided(struct bench *atomic, struct bench *get)
{
    enum { TURNS = 1000 };
    MPI_Win words, frames;
    MPI_Comm comm;
    uint64_t value, one = 1, *memory;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    if (MPI_Win_create(buffer, LARGE, 1, MPI_INFO_NULL, comm, &frames) != MPI_SUCCESS ||
        MPI_Win_allocate(4096, 8, MPI_INFO_NULL, comm, &memory, &words) != MPI_SUCCESS) {
        return 0;
    }
    MPI_Win_lock_all(MPI_MODE_NOCHECK, words);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, frames);
    for (int rep = 0; rep < REPS && me == 0; rep++) {
        double begin = bench_now_us();
        for (int i = 0; i < TURNS; i++) {
            MPI_Fetch_and_op(&one, &value, MPI_UINT64_T, 1, 0, MPI_SUM, words);
            MPI_Win_flush(1, words);
        }
        double between = bench_now_us();
        for (int i = 0; i < TURNS; i++) {
            MPI_Get(&value, 8, MPI_BYTE, 1, 0, 8, MPI_BYTE, frames);
            MPI_Win_flush(1, frames);
        }
        bench_add(atomic, (between - begin) / TURNS);
        bench_add(get, (bench_now_us() - between) / TURNS);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_unlock_all(words);
    MPI_Win_unlock_all(frames);
    MPI_Win_free(&words);
    MPI_Win_free(&frames);
    return 1;
}

static double least(struct bench *bench)
{
    bench_median(bench); /* sorts */
    return bench->values[0];
}

int main(int argc, char **argv)
{
    struct bench small = {0}, large = {0}, send = {0}, receive = {0}, train = {0};
    struct bench atomic = {0}, get = {0};
    int level, n;
    setenv("OMPI_MCA_mpi_yield_when_idle", "0", 0); /* else a message waits for a time slice */
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    if (n != 2 || argc != 2) {
        fprintf(stderr, "usage, with 2 PEs: loggp NAME\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    for (int rep = 0; rep < REPS; rep++) {
        double receive_us = 0;
        bench_add(&small, half_round_trip(8));
        bench_add(&large, half_round_trip(LARGE));
        bench_add(&send, overheads(&receive_us));
        bench_add(&receive, receive_us);
        bench_add(&train, gap());
    }
    int windows = one_sided(&atomic, &get);
    if (me == 0) {
        double o = (least(&send) + least(&receive)) / 2;
        double latency = least(&small) - 2 * o;
        printf("%s:%.3f:%.3f:%.3f:%.6f:", argv[1], o, latency > 0 ? latency : 0, least(&train),
               (least(&large) - least(&small)) / LARGE);
        windows ? printf("%.3f:%.3f\n", least(&atomic), least(&get)) : printf("-:-\n");
    }
    MPI_Finalize();
    return 0;
}
