/* SPDX-License-Identifier: BSD-3-Clause */
/* Without libhearth_wrap: a message into shared memory of which this PE has no copy. Meant to die
 * inside of MPI, with words that name the remedy; and read(2) to say EFAULT. */
#include <hearth.h>
#include <mpi.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char private[40000];
    char *shared;
    int level, n, me;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (hearth_init(NULL, NULL) != 0) {
        return 2;
    }
    n = hearth_n_pes();
    me = hearth_my_pe();
    shared = hearth_calloc((size_t)n, 1 << 20);
    char *next = shared + (size_t)((me + 1) % n) * (1 << 20); /* homed there */
    int fd = open("/dev/zero", O_RDONLY);
    if (read(fd, next, 100) != -1 || errno != EFAULT) {
        printf("read did not say EFAULT\n");
    }
    fflush(stdout);
    MPI_Sendrecv(private, sizeof private, MPI_CHAR, (me + 1) % n, 1, next, sizeof private, MPI_CHAR,
                 (me + n - 1) % n, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    printf("NOTHING HAPPENED\n");
    return hearth_finalize();
}
