/* SPDX-License-Identifier: BSD-3-Clause */
#include "sync.h"

#include "net/comm.h"

struct hth_words hth_sync_words;

static bool replaying; /* on a PE other than 0; by main's thread, before there are others */

int hth_sync_start(void)
{
    return hth_words_create(HTH_SYNC_WORDS, &hth_sync_words);
}

void hth_sync_stop(void)
{
    hth_locks_stop();
}

void hth_sync_replay_begin(void)
{
    replaying = hth_comm_my_pe() != 0;
}

void hth_sync_replay_end(void)
{
    if (replaying) {
        hth_locks_stop(); /* what was held was held in vain */
        replaying = false;
    }
}

int hth_sync_maker(void)
{
    return replaying ? 0 : hth_comm_my_pe();
}

bool hth_sync_split(uint64_t handle, enum hth_handle_kind kind, uint32_t slots,
                    struct hth_handle *out)
{
    bool ok = hth_handle_split(handle, kind, hth_comm_n_pes(), slots, out);
    if (replaying && out->pe == 0) {
        out->pe = hth_comm_my_pe();
    }
    return ok;
}

uint64_t hth_sync_swap(int pe, uint64_t word, uint64_t value)
{
    uint64_t old = 0;
    hth_words_op(&hth_sync_words, pe, word, HTH_WORD_SWAP, value, &old);
    hth_words_flush(&hth_sync_words, pe);
    return old;
}

uint64_t hth_sync_read(int pe, uint64_t word)
{
    uint64_t value = 0;
    hth_words_op(&hth_sync_words, pe, word, HTH_WORD_READ, 0, &value);
    hth_words_flush(&hth_sync_words, pe);
    return value;
}
