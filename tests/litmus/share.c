/* SPDX-License-Identifier: BSD-3-Clause */
/* What the PEs saw, brought together by MPI: not by what is being tested. */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <mpi.h>

#include "litmus.h"

static MPI_Comm comm = MPI_COMM_NULL;

/* Blocking MPI calls burn time slices when there are more PEs than cores. */
static void wait_for(MPI_Request *request)
{
    int done = 0;

    for (int polls = 0; !done; polls++) {
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (!done && polls < 20)
            sched_yield();
        else if (!done)
            usleep(50);
    }
}

void lt_share_start(void)
{
    MPI_Request request;

    MPI_Comm_idup(MPI_COMM_WORLD, &comm, &request);
    wait_for(&request);
}

void lt_share_stop(void)
{
    MPI_Comm_free(&comm);
}

uint64_t lt_from_pe0(uint64_t value)
{
    MPI_Request request;

    MPI_Ibcast(&value, 1, MPI_UINT64_T, 0, comm, &request);
    wait_for(&request);
    return value;
}

void lt_share_handles(uint64_t *handles, unsigned n)
{
    MPI_Request request;

    /* All but one have 0. Not MPI_MAX: MPICH 4.0 compares unsigned numbers as signed. */
    MPI_Iallreduce(MPI_IN_PLACE, handles, (int)n, MPI_UINT64_T, MPI_BOR, comm, &request);
    wait_for(&request);
}

static char letter(unsigned code)
{
    if (code >= 1 && code <= 1 + LT_VALUE_MAX)
        return (char)('0' + code - 1);
    return code == 1 + LT_MIXED ? '~' : '?';
}

/* One variable after the closing barrier, from the least and the greatest code that a PE saw. */
static char final_letter(unsigned least, unsigned greatest)
{
    if (least == greatest)
        return letter(greatest);
    return least < 2 || greatest > 1 + LT_MIXED ? '?' : '!'; /* 1: one has the first value still */
}

static void spell(const struct lt_test *test, const struct seen *all, unsigned i,
                  struct outcomes *outcomes)
{
    char *text = outcomes->text[i];

    memset(text, 0, LT_OUTCOME_MAX + 1);
    for (unsigned r = 0; r < test->n_regs; r++)
        *text++ = letter(all->regs[i][r]);
    outcomes->lost[i] = false;
    for (unsigned v = 0; v < test->n_vars; v++) {
        char c = final_letter(UINT8_MAX - all->finals_down[i][v], all->finals[i][v]);
        int last = lt_last_value(test, v);
        if (test->shows_final)
            *text++ = c;
        if (last >= 0 && c != '0' + last)
            outcomes->lost[i] = true;
    }
}

void lt_share(struct run *run, struct seen *mine, struct outcomes *outcomes)
{
    static struct seen all;
    MPI_Request request;

    MPI_Iallreduce(mine, &all, sizeof all, MPI_UINT8_T, MPI_MAX, comm, &request);
    wait_for(&request);
    run->failed = all.failed != 0;
    for (unsigned i = 0; i < INSTANCES; i++)
        spell(run->test, &all, i, outcomes);
}
