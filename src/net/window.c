/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/window.h"

#include <hearth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap.h"
#include "log.h"
#include "net/comm.h"
#include "net/mpi.h"
#include "net/relay.h"
#include "net/selftest.h"
#include "vm/vm.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the low 32 bits of a word are taken to be its first four bytes"
#endif

#define WINDOWS_MAX   64
#define WORDS_AT_ONCE (UINT64_C(1) << 20) /* of a further window, at least */
#define OPERANDS      512                 /* a thread's atomics between two flushes */

static MPI_Win frames = MPI_WIN_NULL;
static bool relayed; /* by messages, then, between PEs, and by plain atomics here */

/* One PE alone has no window (MPI_Win_create fails there): the words are plain memory. */
static struct words_window {
    MPI_Win window;
    uint64_t *mine; /* page-aligned */
    uint64_t n;
    uint64_t shift; /* words between the window's base and `mine`, the same on all PEs */
    struct hth_range free;
} windows[WINDOWS_MAX];
static uint32_t n_windows;

/* MPI reads an operand, and writes a result, until the flush: each thread keeps its last ones. */
static _Thread_local struct {
    uint64_t operand, unwanted;
} operands[OPERANDS];
static _Thread_local unsigned n_operands;

static int alone(void)
{
    return hth_comm_n_pes() == 1;
}

/* --- starting --- */

static char why[512]; /* the last failure here, for the message; by the one thread that starts */
static char kind[600];

static bool unified(MPI_Win window)
{
    int *model, found = 0;
    MPI_Win_get_attr(window, MPI_WIN_MODEL, &model, &found);
    return found && *model == MPI_WIN_UNIFIED;
}

/* All PEs say how it went for them; what failed on one has failed on all. `why` says why. */
static int settle(int rc, MPI_Win *window, const char *what, const char *remedy)
{
    char words[MPI_MAX_ERROR_STRING];
    int64_t mine = rc == MPI_SUCCESS ? HEARTH_OK : HEARTH_EMPI;
    if (rc == MPI_SUCCESS && !unified(*window)) {
        snprintf(why, sizeof why, "%s: MPI's windows are not of the unified memory model", what);
        mine = HEARTH_ENOTSUP;
    } else if (rc != MPI_SUCCESS) {
        snprintf(why, sizeof why, "%s: %s. %s", what, hth_mpi_words(rc, words), remedy);
    }
    int worst = (int)hth_comm_min(mine);
    if (worst != HEARTH_OK && mine == HEARTH_OK) {
        snprintf(why, sizeof why, "%s failed on another PE", what);
    }
    return worst;
}

static int start_frames(void *alias, uint64_t bytes)
{
    int rc = MPI_Win_create(alias, (MPI_Aint)bytes, 1, MPI_INFO_NULL, hth_comm_world, &frames);
    if (rc == MPI_SUCCESS) {
        MPI_Win_set_errhandler(frames, MPI_ERRORS_RETURN);
    }
    int worst = settle(rc, &frames, "MPI_Win_create over the shared address range",
                       "On one machine that needs cross-memory attach, which some containers "
                       "forbid (allow CAP_SYS_PTRACE), and room in /dev/shm");
    if (worst == HEARTH_OK) {
        MPI_Win_lock_all(MPI_MODE_NOCHECK, frames);
    } else {
        frames = MPI_WIN_NULL; /* freeing it is collective, and others have none */
    }
    return worst;
}

/* Zero the window, by giving the memory back that MPI has filled already: it reads as zero. */
static void make_sparse(struct words_window *w, char *base, size_t bytes)
{
    size_t os_page = (size_t)sysconf(_SC_PAGESIZE), whole = w->n * sizeof(uint64_t);
    char *mine = (char *)w->mine;
    whole &= ~(os_page - 1);
    if (((uintptr_t)mine & (os_page - 1)) == 0 && madvise(mine, whole, MADV_REMOVE) == 0) {
        memset(base, 0, (size_t)(mine - base));
        memset(mine + whole, 0, bytes - (size_t)(mine - base) - whole);
    } else {
        hth_log(HTH_LOG_DEBUG, "a words window of %zu bytes keeps its memory", bytes);
        memset(base, 0, bytes);
    }
}

static int add_window(uint64_t n)
{
    if (n_windows == WINDOWS_MAX) {
        snprintf(why, sizeof why, "the directory is full: %d windows", WINDOWS_MAX);
        return HEARTH_ENOMEM;
    }
    struct words_window *w = &windows[n_windows];
    *w = (struct words_window){.window = MPI_WIN_NULL, .n = n};
    if (alone() || relayed) {
        w->mine = hth_vm_sparse(n * sizeof(uint64_t));
        if (w->mine == NULL) {
            snprintf(why, sizeof why, "no memory for a directory of %llu bytes",
                     (unsigned long long)(n * sizeof(uint64_t)));
            return HEARTH_ENOMEM;
        }
    } else {
        uint64_t os_page = (uint64_t)sysconf(_SC_PAGESIZE);
        MPI_Aint bytes = (MPI_Aint)(n * sizeof(uint64_t) + os_page);
        char *base = NULL;
        char remedy[160];
        snprintf(remedy, sizeof remedy,
                 "It needs %ld bytes a PE of shared memory: enlarge /dev/shm (docker run "
                 "--shm-size), or use smaller regions (HEARTH_HEAP_BYTES)",
                 (long)bytes);
        hth_comm_barrier(); /* so that nobody waits in MPI for the last to come */
        hth_comm_blocking(true);
        int rc = MPI_Win_allocate(bytes, sizeof(uint64_t), MPI_INFO_NULL, hth_comm_world, &base,
                                  &w->window);
        hth_comm_blocking(false);
        if (rc == MPI_SUCCESS) {
            MPI_Win_set_errhandler(w->window, MPI_ERRORS_RETURN);
        }
        int worst = settle(rc, &w->window, "MPI_Win_allocate of the directory", remedy);
        if (worst != HEARTH_OK) {
            return worst;
        }
        /* MPI aligns to 8 bytes only, and not alike everywhere: each PE tells how far off it is by
         * where `mine` begins, and the shift must be one for all. */
        uint64_t off = (-(uintptr_t)base & (os_page - 1)) / sizeof(uint64_t);
        if (hth_comm_agree(off) == HEARTH_OK) {
            w->shift = off;
        } /* else: unaligned, and memory stays filled where the page does not fit */
        w->mine = (uint64_t *)base + w->shift;
        make_sparse(w, base, (size_t)bytes);
        MPI_Win_lock_all(MPI_MODE_NOCHECK, w->window);
        MPI_Win_sync(w->window);
        hth_comm_barrier();
    }
    if (hth_range_init(&w->free, 0, n) != HEARTH_OK) {
        snprintf(why, sizeof why, "no memory for the directory's free list");
        return HEARTH_ENOMEM;
    }
    n_windows++;
    return HEARTH_OK;
}

static void free_windows(void)
{
    for (uint32_t i = 0; i < n_windows; i++) {
        struct words_window *w = &windows[i];
        if (w->window == MPI_WIN_NULL) {
            hth_vm_sparse_free(w->mine, w->n * sizeof(uint64_t));
        } else {
            MPI_Win_unlock_all(w->window);
            MPI_Win_free(&w->window);
        }
        hth_range_fini(&w->free);
    }
    n_windows = 0;
    if (frames != MPI_WIN_NULL) {
        MPI_Win_unlock_all(frames);
        MPI_Win_free(&frames);
    }
}

/* A word of this PE's own, for the relay. */
static uint64_t *own_word(uint32_t window, uint64_t word)
{
    return window < n_windows && word < windows[window].n ? &windows[window].mine[word] : NULL;
}

/* Where there is no other way left. */
static int must_add_window(uint64_t n)
{
    int rc = add_window(n);
    return rc != HEARTH_OK ? hth_error(rc, "%s", why) : HEARTH_OK;
}

static int start_relay(void *alias, uint64_t bytes, uint64_t first_words, const char *reason)
{
    struct hth_relay_config config = {alias, bytes, own_word};
    bool chosen = reason != why;
    if (hth_comm_my_pe() == 0) {
        hth_log(chosen ? HTH_LOG_INFO : HTH_LOG_WARN,
                "memory of other PEs is reached by messages, not by MPI's one-sided operations: %s",
                reason);
    }
    relayed = true;
    snprintf(kind, sizeof kind, "relay (%s)", reason);
    int rc = (int)hth_comm_min(hth_relay_start(&config));
    return rc != HEARTH_OK ? rc : must_add_window(first_words);
}

static int start_windows(void *alias, uint64_t bytes, uint64_t first_words, bool must)
{
    /* osc/pt2pt, which Open MPI takes for TCP, prints a complaint of its own before it fails. */
    const char *osc = getenv("OMPI_MCA_osc");
    if (!must && hth_comm_n_here() < hth_comm_n_pes() &&
        (osc == NULL || strstr(osc, "ucx") == NULL)) {
        snprintf(why, sizeof why,
                 "the PEs are on several machines (HEARTH_RMA=window tries MPI's)");
        return HEARTH_ENOTSUP;
    }
    int rc = start_frames(alias, bytes);
    return rc != HEARTH_OK ? rc : add_window(first_words);
}

static int test_windows(enum hth_test_rma pretend)
{
    struct words_window *w = &windows[0];
    struct hth_selftest test = {frames, w->window, w->shift, pretend};
    return hth_selftest_windows(&test, why, sizeof why);
}

int hth_window_start(void *alias, uint64_t bytes, uint64_t first_words,
                     const struct hth_config *config)
{
    enum hth_rma rma = (enum hth_rma)config->rma;
    snprintf(kind, sizeof kind, "%s", alone() ? "not needed (one PE)" : "MPI windows");
    if (alone()) {
        return must_add_window(first_words);
    }
    if (rma == HTH_RMA_RELAY) {
        return start_relay(alias, bytes, first_words, "HEARTH_RMA=relay");
    }
    int rc = start_windows(alias, bytes, first_words, rma == HTH_RMA_WINDOW);
    if (rc == HEARTH_OK) {
        rc = test_windows((enum hth_test_rma)config->test_rma);
    }
    if (rc != HEARTH_OK && rma == HTH_RMA_WINDOW) {
        return hth_error(rc, "HEARTH_RMA=window, but %s. HEARTH_RMA=auto would use messages", why);
    }
    if (rc != HEARTH_OK) {
        free_windows();
        rc = start_relay(alias, bytes, first_words, why);
    }
    return rc;
}

const char *hth_window_kind(void)
{
    return kind;
}

void hth_window_stop(void)
{
    free_windows();
    hth_relay_stop();
}

/* --- frames --- */

/* MPI counts in int. */
#define PIECE (UINT64_C(1) << 30)

void hth_window_get(int pe, uint64_t offset, void *to, size_t bytes)
{
    if (relayed) {
        hth_relay_get(pe, offset, to, bytes);
        return;
    }
    for (size_t done = 0; done < bytes; done += PIECE) {
        int n = (int)(bytes - done < PIECE ? bytes - done : PIECE);
        HTH_MPI(MPI_Get((char *)to + done, n, MPI_BYTE, pe, (MPI_Aint)(offset + done), n, MPI_BYTE,
                        frames));
    }
}

void hth_window_put(int pe, uint64_t offset, const void *from, size_t bytes)
{
    if (relayed) {
        hth_relay_put(pe, offset, from, bytes);
        return;
    }
    for (size_t done = 0; done < bytes; done += PIECE) {
        int n = (int)(bytes - done < PIECE ? bytes - done : PIECE);
        HTH_MPI(MPI_Put((const char *)from + done, n, MPI_BYTE, pe, (MPI_Aint)(offset + done), n,
                        MPI_BYTE, frames));
    }
}

void hth_window_flush(int pe)
{
    if (relayed) {
        hth_relay_flush(pe);
        return;
    }
    HTH_MPI(MPI_Win_flush(pe, frames));
}

/* --- words --- */

int hth_words_create(uint64_t n, struct hth_words *words_out)
{
    /* Whole OS pages, so that giving them back is exact. */
    n = (n + 511) & ~UINT64_C(511);
    for (uint32_t i = 0; i < n_windows; i++) {
        uint64_t first;
        if (hth_range_take(&windows[i].free, n, 512, &first) == HEARTH_OK) {
            *words_out = (struct hth_words){i, first, n};
            return HEARTH_OK;
        }
    }
    int rc = must_add_window(n > WORDS_AT_ONCE ? n : WORDS_AT_ONCE);
    return rc != HEARTH_OK ? rc : hth_words_create(n, words_out);
}

void hth_words_destroy(struct hth_words *words)
{
    struct words_window *w = &windows[words->window];
    uint64_t *mine = w->mine + words->first;
    if (((uintptr_t)mine & 4095) != 0 ||
        madvise(mine, words->n * sizeof(uint64_t),
                w->window == MPI_WIN_NULL ? MADV_DONTNEED : MADV_REMOVE) != 0) {
        memset(mine, 0, words->n * sizeof(uint64_t));
    }
    if (w->window != MPI_WIN_NULL) {
        HTH_MPI(MPI_Win_sync(w->window));
    }
    if (hth_range_give(&w->free, words->first, words->n) != HEARTH_OK) {
        hth_log(HTH_LOG_WARN, "out of memory: part of the directory is lost");
    }
}

uint64_t *hth_words_mine(const struct hth_words *words)
{
    return windows[words->window].mine + words->first;
}

static MPI_Op mpi_op(enum hth_word_op op)
{
    switch (op) {
    case HTH_WORD_READ:
        return MPI_NO_OP;
    case HTH_WORD_OR:
        return MPI_BOR;
    case HTH_WORD_AND:
        return MPI_BAND;
    case HTH_WORD_SWAP:
        return MPI_REPLACE;
    case HTH_WORD_ADD:
        return MPI_SUM;
    }
    return MPI_OP_NULL;
}

void hth_words_op(const struct hth_words *words, int pe, uint64_t word, enum hth_word_op op,
                  uint64_t operand, uint64_t *old_out)
{
    const struct words_window *w = &windows[words->window];
    uint64_t at = words->first + word;
    if (relayed && pe != hth_comm_my_pe()) {
        hth_relay_op(pe, words->window, at, op, operand, old_out);
        return;
    }
    if (w->window == MPI_WIN_NULL) {
        uint64_t old = hth_word_apply(&w->mine[at], op, operand);
        if (old_out != NULL) {
            *old_out = old;
        }
        return;
    }
    if (n_operands == OPERANDS) { /* none of them may be reused before it was read */
        for (uint32_t i = 0; i < n_windows; i++) {
            HTH_MPI(MPI_Win_flush_local_all(windows[i].window));
        }
        n_operands = 0;
    }
    uint64_t *kept = &operands[n_operands].operand;
    uint64_t *result = old_out != NULL ? old_out : &operands[n_operands].unwanted;
    n_operands++;
    *kept = operand;
    HTH_MPI(MPI_Fetch_and_op(kept, result, MPI_UINT64_T, pe, (MPI_Aint)(w->shift + at), mpi_op(op),
                             w->window));
}

void hth_words_flush(const struct hth_words *words, int pe)
{
    const struct words_window *w = &windows[words->window];
    if (relayed && pe != hth_comm_my_pe()) {
        hth_relay_flush(pe);
    } else if (w->window != MPI_WIN_NULL) {
        HTH_MPI(MPI_Win_flush(pe, w->window));
    }
}

void hth_words_order(const struct hth_words *words, int pe)
{
    if (!relayed) { /* the relay serves in the order of asking */
        hth_words_flush(words, pe);
    }
}

uint32_t hth_words_add32(const struct hth_words *words, int pe, uint64_t word, uint32_t addend)
{
    const struct words_window *w = &windows[words->window];
    uint64_t at = words->first + word;
    if (relayed && pe != hth_comm_my_pe()) {
        return hth_relay_add32(pe, words->window, at, addend);
    }
    if (w->window == MPI_WIN_NULL) {
        return __atomic_fetch_add((uint32_t *)&w->mine[at], addend, __ATOMIC_SEQ_CST);
    }
    uint32_t old;
    HTH_MPI(MPI_Fetch_and_op(&addend, &old, MPI_UINT32_T, pe, (MPI_Aint)(w->shift + at), MPI_SUM,
                             w->window));
    HTH_MPI(MPI_Win_flush(pe, w->window));
    return old;
}

uint32_t hth_words_cas32(const struct hth_words *words, int pe, uint64_t word, uint32_t expected,
                         uint32_t desired)
{
    const struct words_window *w = &windows[words->window];
    uint64_t at = words->first + word;
    if (relayed && pe != hth_comm_my_pe()) {
        return hth_relay_cas32(pe, words->window, at, expected, desired);
    }
    if (w->window == MPI_WIN_NULL) {
        __atomic_compare_exchange_n((uint32_t *)&w->mine[at], &expected, desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return expected;
    }
    uint32_t old;
    HTH_MPI(MPI_Compare_and_swap(&desired, &expected, &old, MPI_UINT32_T, pe,
                                 (MPI_Aint)(w->shift + at), w->window));
    HTH_MPI(MPI_Win_flush(pe, w->window));
    return old;
}
