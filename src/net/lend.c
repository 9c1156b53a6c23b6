/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/lend.h"

#include <errno.h>
#include <mpi.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "net/comm.h"
#include "net/mpi.h"
#include "spin.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* One a block, in the shared memory, on a line of its own. */
struct mark {
    _Alignas(64) _Atomic uint32_t out; /* set by the lender (relaxed: the message that follows
                                          orders it), cleared by the borrower (release) when it has
                                          read all; pairs with the acquire load in hth_lend_get */
};

static struct {
    MPI_Win window;
    char **segments; /* by PE; NULL where there is none */
    char *mine;
    size_t block_bytes;
    uint32_t n;
    atomic_flag lock; /* guards the rest. Nothing is taken inside; a few instructions */
    uint32_t *stack;  /* numbers of blocks that are here */
    uint32_t n_here;
    uint32_t *line; /* numbers of those that are out, a ring: the one longest out first */
    uint32_t line_first, n_out;
} lend = {.window = MPI_WIN_NULL, .lock = ATOMIC_FLAG_INIT};

/* A segment is the blocks, then the marks. */
static char *block_at(char *segment, uint32_t number)
{
    return segment + (size_t)(number - 1) * lend.block_bytes;
}

static struct mark *mark_at(char *segment, uint32_t number)
{
    return (struct mark *)(segment + lend.n * lend.block_bytes) + (number - 1);
}

/* Have the memory now: later it would be a SIGBUS that tells that /dev/shm is full. */
static bool populate(char *memory, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)memory & ~(page - 1);
    size_t whole = (uintptr_t)memory + bytes - start;
    return madvise((void *)start, whole, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

/* Collective on the PEs of this machine. */
static bool share_memory(size_t bytes)
{
    char words[MPI_MAX_ERROR_STRING];
    void *base = NULL;
    int rc = hth_mpi_share(bytes, &lend.window, &base);
    if (lend.window == MPI_WIN_NULL) {
        hth_log(HTH_LOG_INFO, "no shared memory for messages: %s",
                rc != MPI_SUCCESS ? hth_mpi_words(rc, words) : "another PE could not have it");
        return false;
    }
    int failed = !populate(base, bytes), any = 0;
    MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, hth_comm_here);
    if (any != 0) {
        MPI_Win_free(&lend.window);
        hth_log(HTH_LOG_INFO,
                "no shared memory for messages: %zu bytes a PE are not there "
                "(/dev/shm full?)",
                bytes);
        return false;
    }
    return true;
}

static void find_segments(void)
{
    for (int pe = 0, rank = 0; pe < hth_comm_n_pes(); pe++) {
        if (hth_comm_bell(pe) != NULL) { /* on this machine, whose PEs are ranked as they are */
            lend.segments[pe] = hth_mpi_shared(lend.window, rank++);
        }
    }
    lend.mine = lend.segments[hth_comm_my_pe()];
}

void hth_lend_start(uint64_t n_blocks, size_t block_bytes)
{
    uint32_t n = (uint32_t)n_blocks;
    if (n == 0 || hth_comm_n_here() == 1 || hth_comm_bell(hth_comm_my_pe()) == NULL) {
        return;
    }
    lend.segments = calloc((size_t)hth_comm_n_pes(), sizeof *lend.segments);
    lend.stack = calloc(n, sizeof *lend.stack);
    lend.line = calloc(n, sizeof *lend.line);
    int failed = lend.segments == NULL || lend.stack == NULL || lend.line == NULL, any = 0;
    MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, hth_comm_here);
    if (any != 0 || !share_memory(n * (block_bytes + sizeof(struct mark)) + 64)) {
        hth_lend_stop();
        return;
    }
    lend.block_bytes = block_bytes;
    lend.n = n;
    find_segments();
    for (uint32_t number = n; number > 0; number--) {
        atomic_store_explicit(&mark_at(lend.mine, number)->out, 0, memory_order_relaxed);
        lend.stack[lend.n_here++] = number;
    }
}

void hth_lend_stop(void)
{
    if (lend.window != MPI_WIN_NULL) {
        MPI_Win_free(&lend.window);
    }
    free(lend.segments);
    free(lend.stack);
    free(lend.line);
    lend.segments = NULL;
    lend.stack = lend.line = NULL;
    lend.n = lend.n_here = lend.n_out = 0;
}

bool hth_lend_works(void)
{
    return lend.n > 0;
}

void *hth_lend_get(void)
{
    uint32_t number = 0;
    if (lend.n == 0) {
        return NULL;
    }
    hth_spin_lock(&lend.lock);
    /* One that has come back is in some cache; those on the stack may have been out for long. */
    if (lend.n_out > 0) {
        uint32_t oldest = lend.line[lend.line_first];
        if (atomic_load_explicit(&mark_at(lend.mine, oldest)->out, memory_order_acquire) == 0) {
            number = oldest;
            lend.line_first = (lend.line_first + 1) % lend.n;
            lend.n_out--;
        }
    }
    if (number == 0 && lend.n_here > 0) {
        number = lend.stack[--lend.n_here];
    }
    hth_spin_unlock(&lend.lock);
    return number == 0 ? NULL : block_at(lend.mine, number);
}

uint32_t hth_lend_number(const void *block)
{
    uintptr_t at = (uintptr_t)block, first = (uintptr_t)lend.mine;
    return lend.n > 0 && at >= first && at < first + lend.n * lend.block_bytes
               ? (uint32_t)((at - first) / lend.block_bytes) + 1
               : 0;
}

void hth_lend_put(void *block)
{
    hth_spin_lock(&lend.lock);
    lend.stack[lend.n_here++] = hth_lend_number(block);
    hth_spin_unlock(&lend.lock);
}

void hth_lend_out(void *block)
{
    uint32_t number = hth_lend_number(block);
    atomic_store_explicit(&mark_at(lend.mine, number)->out, 1, memory_order_relaxed);
    hth_spin_lock(&lend.lock);
    lend.line[(lend.line_first + lend.n_out++) % lend.n] = number;
    hth_spin_unlock(&lend.lock);
    /* Pairs with the fence in hth_lend_at, by way of MPI's message, which carries the number. */
    atomic_thread_fence(memory_order_release);
}

const void *hth_lend_at(int lender, uint32_t number)
{
    char *segment = lend.segments != NULL ? lend.segments[lender] : NULL;
    if (segment == NULL || number > lend.n) {
        hth_die("PE %d refers to block %u of its own, which is not there", lender, number);
    }
    atomic_thread_fence(memory_order_acquire);
    return block_at(segment, number);
}

void hth_lend_return(int lender, uint32_t number)
{
    atomic_store_explicit(&mark_at(lend.segments[lender], number)->out, 0, memory_order_release);
}
