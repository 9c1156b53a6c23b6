/* SPDX-License-Identifier: BSD-3-Clause */
/* What libhearth_wrap costs: a message to and fro and a write to /dev/null, of private memory and
 * of shared memory that is here, written before each (the stand-in is then one copy more at each
 * end). Run with two PEs. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pair.h"

#define REPS 9

static void to_and_fro(char *out, char *in, int bytes)
{
    if (me == 0) {
        memset(out, 1, (size_t)bytes);
        MPI_Send(out, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
        MPI_Recv(in, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else {
        MPI_Recv(in, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        memset(out, 1, (size_t)bytes);
        MPI_Send(out, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
    demand(in[0] == 1 && in[bytes - 1] == 1, "message");
}

static void messages(char *out[2], char *in[2], int bytes)
{
    char names[2][64];
    struct bench us[2] = {{.name = names[0]}, {.name = names[1]}};
    int n = bytes > 65536 ? 100 : 2000;
    snprintf(names[0], sizeof names[0], "message of %d bytes, private", bytes);
    snprintf(names[1], sizeof names[1], "message of %d bytes, shared", bytes);
    for (int rep = -1; rep < REPS; rep++) {
        for (int shared = 0; shared < 2; shared++) {
            MPI_Barrier(MPI_COMM_WORLD);
            double start = bench_now_us();
            for (int i = 0; i < n; i++) {
                to_and_fro(out[shared], in[shared], bytes);
            }
            if (rep >= 0) {
                bench_add(&us[shared], (bench_now_us() - start) / (2 * n));
            }
        }
    }
    if (me == 0) {
        bench_print(&us[0], NULL);
        bench_print(&us[1], &us[0]);
    }
}

static void writes(char *memory[2], size_t bytes)
{
    char names[2][64];
    struct bench us[2] = {{.name = names[0]}, {.name = names[1]}};
    int fd = open("/dev/null", O_WRONLY), n = 2000;
    check(fd < 0, "/dev/null");
    snprintf(names[0], sizeof names[0], "write of %zu bytes, private", bytes);
    snprintf(names[1], sizeof names[1], "write of %zu bytes, shared", bytes);
    for (int rep = -1; rep < REPS; rep++) {
        for (int shared = 0; shared < 2; shared++) {
            double start = bench_now_us();
            for (int i = 0; i < n; i++) {
                demand(write(fd, memory[shared], bytes) == (ssize_t)bytes, "write");
            }
            if (rep >= 0) {
                bench_add(&us[shared], (bench_now_us() - start) / n);
            }
        }
    }
    close(fd);
    bench_print(&us[0], NULL);
    bench_print(&us[1], &us[0]);
}

int main(int argc, char **argv)
{
    enum { MOST = 1 << 20 };
    start(&argc, &argv, 2, 2);
    struct hearth_region *region;
    char *shared = region_new(&region, 4 * MOST, INVALIDATE, 0, -1);
    char *mine = shared + (size_t)me * 2 * MOST;
    char *private = malloc(2 * MOST);
    check(private == NULL, "malloc");
    char *out[2] = {private, mine}, *in[2] = {private + MOST, mine + MOST};
    for (int i = 0; i < 2; i++) {
        memset(out[i], 1, MOST);
        memset(in[i], 1, MOST);
    }
    barrier();
    if (me == 0) {
        print_head("private and shared buffers of MPI and system calls, us", "to priv.");
    }
    for (int bytes = 8; bytes <= MOST; bytes = bytes == 8 ? 4096 : bytes * 256) {
        messages(out, in, bytes);
    }
    if (me == 0) {
        writes(out, 4096);
        writes(out, 65536);
    }
    barrier();
    region_end(region);
    free(private);
    stop();
    return 0;
}
