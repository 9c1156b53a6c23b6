/* SPDX-License-Identifier: BSD-3-Clause */
/* MPI-IO on shared buffers: all calls that read and write. Each PE has a block of the file. */
#include "area.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEND = 200, RECEIVE = 7 * WT_PAGE + 72, N = 2500, BLOCK = N * 8 };

static MPI_File file;

static MPI_Offset mine(void)
{
    return (MPI_Offset)ht_pe() * BLOCK;
}

/* What all have written can be read; what they had to read, they have. */
static void synchronise(void)
{
    MPI_File_sync(file);
    MPI_Barrier(wt_comm);
    MPI_File_sync(file);
}

static void check(const MPI_Status *status, int expected)
{
    int n = -1;
    MPI_Get_count(status, MPI_INT64_T, &n);
    HT_EQUAL(n, expected);
}

static void make_at(unsigned char *base)
{
    MPI_Status status;
    synchronise();
    MPI_File_write_at(file, mine(), base + SEND, N, MPI_INT64_T, &status);
    check(&status, N);
    synchronise();
    MPI_File_read_at(file, wt_next() * (MPI_Offset)BLOCK, base + RECEIVE, N, MPI_INT64_T, &status);
    check(&status, N);
}

static void make_at_all(unsigned char *base)
{
    synchronise();
    MPI_File_write_at_all(file, mine(), base + SEND, N, MPI_INT64_T, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_read_at_all(file, wt_next() * (MPI_Offset)BLOCK, base + RECEIVE, N, MPI_INT64_T,
                         MPI_STATUS_IGNORE);
}

static void make_seek(unsigned char *base)
{
    MPI_Status status;
    synchronise();
    MPI_File_seek(file, mine(), MPI_SEEK_SET);
    MPI_File_write(file, base + SEND, N, MPI_INT64_T, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek(file, (ht_n_pes() - 1) * (MPI_Offset)BLOCK + BLOCK / 2, MPI_SEEK_SET);
    MPI_File_read(file, base + RECEIVE, N, MPI_INT64_T, &status); /* the file ends before */
    check(&status, N / 2);
}

static void make_all(unsigned char *base)
{
    synchronise();
    MPI_File_seek(file, mine(), MPI_SEEK_SET);
    MPI_File_write_all(file, base + SEND, N, MPI_INT64_T, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek(file, wt_before() * (MPI_Offset)BLOCK, MPI_SEEK_SET);
    MPI_File_read_all(file, base + RECEIVE, N, MPI_INT64_T, MPI_STATUS_IGNORE);
}

/* Open MPI 4.1.4 has two ways of doing files. In one (ompio) nonblocking calls crash when two
 * threads are in MPI, as Hearth's progress thread is; the other (romio321) lacks these collectives.
 */
static bool has_nonblocking_collectives(void)
{
    return getenv("OMPI_MCA_io") == NULL;
}

static void make_nonblocking(unsigned char *base)
{
    MPI_Request request;
    synchronise();
    MPI_File_iwrite_at(file, mine(), base + SEND, N, MPI_INT64_T, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_iread_at(file, wt_next() * (MPI_Offset)BLOCK, base + RECEIVE, N, MPI_INT64_T,
                      &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    if (!has_nonblocking_collectives()) {
        return;
    }
    MPI_File_iwrite_at_all(file, mine(), base + SEND + 8, N, MPI_INT64_T, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_iread_at_all(file, mine(), base + RECEIVE + 16, N, MPI_INT64_T, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

static void make_nonblocking_seek(unsigned char *base)
{
    MPI_Request request;
    synchronise();
    MPI_File_seek(file, mine(), MPI_SEEK_SET);
    MPI_File_iwrite(file, base + SEND, N, MPI_INT64_T, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek(file, wt_next() * (MPI_Offset)BLOCK, MPI_SEEK_SET);
    MPI_File_iread(file, base + RECEIVE, N, MPI_INT64_T, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    if (!has_nonblocking_collectives()) {
        return;
    }
    synchronise();
    MPI_File_seek(file, mine(), MPI_SEEK_SET);
    MPI_File_iwrite_all(file, base + SEND + 80, N, MPI_INT64_T, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek(file, mine(), MPI_SEEK_SET);
    MPI_File_iread_all(file, base + RECEIVE + 80, N, MPI_INT64_T, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
}

static void make_split(unsigned char *base)
{
    synchronise();
    MPI_File_write_at_all_begin(file, mine(), base + SEND, N, MPI_INT64_T);
    MPI_File_write_at_all_end(file, base + SEND, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_read_at_all_begin(file, wt_next() * (MPI_Offset)BLOCK, base + RECEIVE, N, MPI_INT64_T);
    base[0]++;
    MPI_File_read_at_all_end(file, base + RECEIVE, MPI_STATUS_IGNORE);
    MPI_File_seek(file, mine(), MPI_SEEK_SET);
    MPI_File_write_all_begin(file, base + SEND + 8, N, MPI_INT64_T);
    MPI_File_write_all_end(file, base + SEND + 8, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek(file, mine(), MPI_SEEK_SET);
    MPI_File_read_all_begin(file, base + RECEIVE + 24, N, MPI_INT64_T);
    MPI_File_read_all_end(file, base + RECEIVE + 24, MPI_STATUS_IGNORE);
}

/* The shared pointer, with all its calls; where order is not MPI's, a PE at a time. */
static void make_shared(unsigned char *base)
{
    MPI_Request request;
    synchronise();
    MPI_File_seek_shared(file, 0, MPI_SEEK_SET);
    MPI_File_write_ordered(file, base + SEND, N, MPI_INT64_T, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek_shared(file, 0, MPI_SEEK_SET);
    MPI_File_read_ordered(file, base + RECEIVE, N, MPI_INT64_T, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek_shared(file, 0, MPI_SEEK_SET);
    MPI_File_write_ordered_begin(file, base + SEND + 8, N, MPI_INT64_T);
    MPI_File_write_ordered_end(file, base + SEND + 8, MPI_STATUS_IGNORE);
    synchronise();
    MPI_File_seek_shared(file, 0, MPI_SEEK_SET);
    MPI_File_read_ordered_begin(file, base + RECEIVE + 8, N, MPI_INT64_T);
    MPI_File_read_ordered_end(file, base + RECEIVE + 8, MPI_STATUS_IGNORE);
    for (int pe = 0; pe < ht_n_pes(); pe++) {
        synchronise();
        MPI_File_seek_shared(file, pe * (MPI_Offset)BLOCK, MPI_SEEK_SET);
        if (pe == ht_pe()) {
            MPI_File_write_shared(file, base + SEND + 40, N, MPI_INT64_T, MPI_STATUS_IGNORE);
        }
        synchronise();
        MPI_File_seek_shared(file, pe * (MPI_Offset)BLOCK, MPI_SEEK_SET);
        if (pe == ht_pe()) {
            MPI_File_read_shared(file, base + RECEIVE, N / 2, MPI_INT64_T, MPI_STATUS_IGNORE);
            MPI_File_iread_shared(file, base + RECEIVE + N * 4, N / 4, MPI_INT64_T, &request);
            MPI_Wait(&request, MPI_STATUS_IGNORE);
            MPI_File_iwrite_shared(file, base + SEND, N / 4, MPI_INT64_T, &request);
            MPI_Wait(&request, MPI_STATUS_IGNORE);
        }
    }
}

static const struct wt_call calls[] = {
    {"at", make_at, 0},
    {"at all", make_at_all, 0},
    {"seek", make_seek, 0},
    {"all", make_all, 0},
    {"nonblocking", make_nonblocking, 0},
    {"nonblocking seek", make_nonblocking_seek, 0},
    {"split", make_split, 0},
    {"shared pointer", make_shared, 0},
};

/* A file with a name that the PEs agree on. */
static void test_calls(struct hearth_region *region)
{
    char name[64];
    (void)region;
    snprintf(name, sizeof name, "/tmp/hearth_test_files_%llu",
             (unsigned long long)ht_from_pe0((uint64_t)getpid()));
    int rc = MPI_File_open(ht_comm(), name, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &file);
    if (!HT_CHECK(rc == MPI_SUCCESS)) {
        return;
    }
    MPI_File_set_view(file, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL);
    wt_run(calls, sizeof calls / sizeof calls[0]);
    MPI_File_close(&file);
    if (ht_pe() == 0) {
        unlink(name);
    }
}

static const struct ht_test tests[] = {{"files", test_calls, HT_PROTOCOLS, 4096}};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"test_files", tests, 1, false, 0};
    return ht_main(argc, argv, &program);
}
