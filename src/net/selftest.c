/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/selftest.h"

#include <hearth.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alarm.h"
#include "net/comm.h"
#include "net/mpi.h"

/* How long the target stays out of MPI. A flush that waits for it cannot be cancelled, so then it
 * comes back. On one machine it hears at once when the test is over; between machines it cannot,
 * and the whole time passes, twice. */
#define OUT_HERE_NS   UINT64_C(1000000000)
#define OUT_REMOTE_NS UINT64_C(300000000)

enum verdict { GOOD, FAILED, WRONG, LATE }; /* the worst last */
static const char *const words_for[] = {"", "MPI reports an error", "they do the wrong thing",
                                        "they wait until the target calls MPI"};

static void nap(uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
}

/* --- the tester --- */

static bool put_and_get(const struct hth_selftest *t, int pe, enum verdict *verdict)
{
    char out[HTH_SELFTEST_BYTES], in[HTH_SELFTEST_BYTES];
    memset(out, 0xa5 ^ pe, sizeof out);
    memset(in, 0, sizeof in);
    if (MPI_Put(out, sizeof out, MPI_BYTE, pe, 0, sizeof out, MPI_BYTE, t->frames) != MPI_SUCCESS ||
        MPI_Win_flush(pe, t->frames) != MPI_SUCCESS ||
        MPI_Get(in, sizeof in, MPI_BYTE, pe, 0, sizeof in, MPI_BYTE, t->frames) != MPI_SUCCESS ||
        MPI_Win_flush(pe, t->frames) != MPI_SUCCESS) {
        return false;
    }
    in[0] = (char)(in[0] + (t->pretend == HTH_TEST_RMA_WRONG));
    if (memcmp(in, out, sizeof in) != 0) {
        *verdict = WRONG;
    }
    memset(out, 0, sizeof out);
    return MPI_Put(out, sizeof out, MPI_BYTE, pe, 0, sizeof out, MPI_BYTE, t->frames) ==
               MPI_SUCCESS &&
           MPI_Win_flush(pe, t->frames) == MPI_SUCCESS;
}

static bool atomics(const struct hth_selftest *t, int pe, enum verdict *verdict)
{
    static const struct {
        MPI_Op op;
        uint64_t operand, before;
    } steps[] = {{MPI_BOR, 0xf0, 0},
                 {MPI_BAND, 0x3f, 0xf0},
                 {MPI_SUM, 0x100000001, 0x30},
                 {MPI_REPLACE, 0, 0x100000031},
                 {MPI_NO_OP, 1, 0}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint64_t before = ~UINT64_C(0);
        if (MPI_Fetch_and_op(&steps[i].operand, &before, MPI_UINT64_T, pe, (MPI_Aint)t->word,
                             steps[i].op, t->words) != MPI_SUCCESS ||
            MPI_Win_flush(pe, t->words) != MPI_SUCCESS) {
            return false;
        }
        if (before != steps[i].before) {
            *verdict = WRONG;
        }
    }
    return true;
}

static enum verdict try_on(const struct hth_selftest *t, int pe)
{
    struct hth_bell *bell = hth_comm_bell(pe);
    uint64_t out = bell != NULL ? OUT_HERE_NS : OUT_REMOTE_NS, began = hth_alarm_now_ns();
    enum verdict verdict = GOOD;
    if (!put_and_get(t, pe, &verdict) || !atomics(t, pe, &verdict)) {
        verdict = FAILED;
    }
    if (t->pretend == HTH_TEST_RMA_LATE) {
        nap(out / 2);
    }
    if (hth_alarm_now_ns() - began > out / 2) {
        verdict = LATE;
    }
    if (bell != NULL) {
        atomic_store(&bell->tested, 1); /* pairs with stay_out */
    }
    return verdict;
}

/* --- the target --- */

static void stay_out(int tester)
{
    uint64_t began = hth_alarm_now_ns();
    if (hth_comm_bell(tester) == NULL) {
        nap(OUT_REMOTE_NS);
        return;
    }
    struct hth_bell *mine = hth_comm_bell(hth_comm_my_pe());
    while (atomic_load(&mine->tested) == 0 && hth_alarm_now_ns() - began < OUT_HERE_NS) {
        nap(50000);
    }
}

int hth_selftest_windows(const struct hth_selftest *test, char *why, size_t why_bytes)
{
    int half = hth_comm_n_pes() / 2, me = hth_comm_my_pe();
    int other =
        me < half ? me + half : me - half; /* likely on another machine, if there are some */
    enum verdict verdict = GOOD;
    for (int phase = 0; phase < 2; phase++) {
        hth_comm_barrier();
        if (me >= 2 * half) {
            continue;
        }
        if ((me < half) == (phase == 0)) {
            verdict = try_on(test, other);
        } else {
            stay_out(other);
        }
    }
    enum verdict worst = (enum verdict) - hth_comm_min(-(int64_t)verdict);
    if (worst == GOOD) {
        return HEARTH_OK;
    }
    snprintf(why, why_bytes,
             "a test of MPI's one-sided operations: %s (HEARTH_RMA=relay spares the test)",
             words_for[worst]);
    return HEARTH_ENOTSUP;
}
