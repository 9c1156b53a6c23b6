/* SPDX-License-Identifier: BSD-3-Clause */
#include "sync.h"

struct hth_words hth_sync_words;

int hth_sync_start(void)
{
    return hth_words_create(HTH_SYNC_WORDS, &hth_sync_words);
}

void hth_sync_stop(void)
{
    hth_locks_stop();
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
