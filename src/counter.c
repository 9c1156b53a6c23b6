/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters: two words at the home, the value and a generation, odd while in use. */
#include <hearth.h>
#include <pthread.h>

#include "handle.h"
#include "log.h"
#include "net/comm.h"
#include "net/window.h"
#include "sync.h"

static struct {
    pthread_mutex_t mutex;  /* guards the slots of this PE. Nothing is taken inside */
    uint32_t fresh, search; /* never used, and where to look for one to use again */
} counters = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static uint64_t counter_word(uint32_t slot)
{
    return HTH_COUNTER_WORDS + UINT64_C(2) * slot;
}

static bool alive(uint64_t generation, const struct hth_handle *counter)
{
    return generation % 2 == 1 && (generation & 0xffff) == counter->generation;
}

static int split_counter(uint64_t handle, struct hth_handle *out)
{
    if (hth_sync_split(handle, HTH_HANDLE_COUNTER, HTH_COUNTERS_MAX, out)) {
        return HEARTH_OK;
    }
    return hth_error(
        HEARTH_EINVAL,
        "0x%llx is not the handle of a counter (0: hearth_counter_init was not called, "
        "or the counter was destroyed)",
        (unsigned long long)handle);
}

/* A free slot of mine. The mutex is held. */
static bool find_slot(uint32_t *slot_out)
{
    const uint64_t *mine = hth_words_mine(&hth_sync_words);
    if (counters.fresh < HTH_COUNTERS_MAX) {
        *slot_out = counters.fresh++;
        return true;
    }
    for (uint32_t i = 0; i < HTH_COUNTERS_MAX; i++) {
        uint32_t slot = (counters.search + i) % HTH_COUNTERS_MAX;
        if (__atomic_load_n(&mine[counter_word(slot) + 1], __ATOMIC_ACQUIRE) % 2 == 0) {
            counters.search = slot + 1;
            *slot_out = slot;
            return true;
        }
    }
    return false;
}

int hth_counter_create(int64_t value, uint64_t *handle_out)
{
    const uint64_t *mine = hth_words_mine(&hth_sync_words);
    int me = hth_comm_my_pe();
    uint32_t slot;
    pthread_mutex_lock(&counters.mutex);
    if (!find_slot(&slot)) {
        pthread_mutex_unlock(&counters.mutex);
        return hth_error(HEARTH_ENOMEM,
                         "this PE has made %u counters, the most it can: destroy "
                         "some, or make them on other PEs",
                         HTH_COUNTERS_MAX);
    }
    uint64_t generation = __atomic_load_n(&mine[counter_word(slot) + 1], __ATOMIC_ACQUIRE) + 1;
    hth_sync_swap(me, counter_word(slot), (uint64_t)value);
    hth_sync_swap(me, counter_word(slot) + 1, generation);
    pthread_mutex_unlock(&counters.mutex);
    *handle_out = hth_handle_make(HTH_HANDLE_COUNTER, hth_sync_maker(), (uint32_t)generation, slot);
    return HEARTH_OK;
}

static int was_destroyed(uint64_t handle)
{
    return hth_error(HEARTH_EINVAL, "counter 0x%llx has been destroyed",
                     (unsigned long long)handle);
}

/* Add and read the generation in one flush: a counter that is alive costs no second round trip. One
 * that is not gets its value back, which nobody has any more anyway. */
int hth_counter_add(uint64_t handle, int64_t addend, int64_t *old_out)
{
    struct hth_handle counter;
    int rc = split_counter(handle, &counter);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t word = counter_word(counter.slot), old = 0, generation = 0;
    enum hth_word_op op = addend == 0 ? HTH_WORD_READ : HTH_WORD_ADD;
    hth_words_op(&hth_sync_words, counter.pe, word, op, (uint64_t)addend, &old);
    hth_words_op(&hth_sync_words, counter.pe, word + 1, HTH_WORD_READ, 0, &generation);
    hth_words_flush(&hth_sync_words, counter.pe);
    if (!alive(generation, &counter)) {
        hth_words_op(&hth_sync_words, counter.pe, word, HTH_WORD_ADD, -(uint64_t)addend, NULL);
        hth_words_flush(&hth_sync_words, counter.pe);
        return was_destroyed(handle);
    }
    *old_out = (int64_t)old;
    return HEARTH_OK;
}

int hth_counter_write(uint64_t handle, int64_t value)
{
    struct hth_handle counter;
    int rc = split_counter(handle, &counter);
    if (rc != HEARTH_OK) {
        return rc;
    }
    if (!alive(hth_sync_read(counter.pe, counter_word(counter.slot) + 1), &counter)) {
        return was_destroyed(handle);
    }
    hth_sync_swap(counter.pe, counter_word(counter.slot), (uint64_t)value);
    return HEARTH_OK;
}

int hth_counter_end(uint64_t handle)
{
    struct hth_handle counter;
    int rc = split_counter(handle, &counter);
    if (rc != HEARTH_OK) {
        return rc;
    }
    uint64_t word = counter_word(counter.slot) + 1, generation = hth_sync_read(counter.pe, word);
    if (!alive(generation, &counter)) {
        return was_destroyed(handle);
    }
    hth_sync_swap(counter.pe, word, generation + 1);
    return HEARTH_OK;
}
