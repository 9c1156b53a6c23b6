/* SPDX-License-Identifier: BSD-3-Clause */
/* The port, answered by the real world: windows, messages, threads, a pager. */
#include <sched.h>
#include <stdlib.h>

#include "alarm.h"
#include "log.h"
#include "net/message.h"
#include "net/window.h"
#include "pool.h"
#include "port.h"
#include "progress.h"
#include "region.h"
#include "vm/vm.h"

static struct hearth_region *whole(struct hth_region *region)
{
    return (struct hearth_region *)region; /* core is its first member */
}

void hth_port_populate(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                       uint64_t n)
{
    (void)port;
    hth_vm_populate(whole(region)->offset + first_page * region->page_bytes,
                    n * region->page_bytes);
}

void hth_port_get(struct hth_port *port, struct hth_region *region, int pe, uint64_t offset,
                  void *to, size_t bytes)
{
    (void)port;
    hth_window_get(pe, whole(region)->offset + offset, to, bytes);
}

void hth_port_put(struct hth_port *port, struct hth_region *region, int pe, uint64_t offset,
                  const void *from, size_t bytes)
{
    (void)port;
    hth_window_put(pe, whole(region)->offset + offset, from, bytes);
}

void hth_port_flush_frames(struct hth_port *port, struct hth_region *region, int pe)
{
    (void)port;
    (void)region;
    hth_window_flush(pe);
}

void hth_port_word(struct hth_port *port, struct hth_region *region, int pe, uint64_t word,
                   enum hth_word_op op, uint64_t operand, uint64_t *old_out)
{
    (void)port;
    hth_words_op(&whole(region)->words, pe, word, op, operand, old_out);
}

void hth_port_flush_words(struct hth_port *port, struct hth_region *region, int pe)
{
    (void)port;
    hth_words_flush(&whole(region)->words, pe);
}

void hth_port_order_words(struct hth_port *port, struct hth_region *region, int pe)
{
    (void)port;
    hth_words_order(&whole(region)->words, pe);
}

uint64_t hth_port_word_peek(struct hth_port *port, struct hth_region *region, uint64_t word)
{
    (void)port;
    return __atomic_load_n(hth_words_mine(&whole(region)->words) + word, __ATOMIC_ACQUIRE);
}

uint64_t hth_port_words_next(struct hth_port *port, struct hth_region *region, uint64_t first,
                             uint64_t end)
{
    (void)port;
    const uint64_t *words = hth_words_mine(&whole(region)->words);
    uint64_t at = first;
    while (at < end && __atomic_load_n(words + at, __ATOMIC_RELAXED) == 0) {
        at++;
    }
    atomic_thread_fence(memory_order_acquire);
    return at;
}

void *hth_port_message_new(struct hth_port *port, int pe)
{
    (void)port;
    return hth_message_new(pe);
}

void hth_port_message_send(struct hth_port *port, int pe, void *message, size_t bytes)
{
    (void)port;
    hth_message_send(pe, HTH_MESSAGE_COHERENCE, message, bytes);
}

void hth_port_message_answer(struct hth_port *port, int pe, void *message, size_t bytes)
{
    (void)port;
    hth_message_answer(pe, HTH_MESSAGE_COHERENCE, message, bytes);
}

void hth_port_message_drop(struct hth_port *port, void *message)
{
    (void)port;
    hth_message_drop(message);
}

void hth_port_wait(struct hth_port *port, bool (*ready)(void *), void *arg,
                   const struct hth_wait *why)
{
    (void)port;
    hth_wait_until(ready, arg, why);
}

void hth_port_notify(struct hth_port *port)
{
    (void)port;
    hth_progress_notify();
}

/* --- locks --- */

static bool take_contended(void *arg)
{
    struct hth_lock *lock = arg;
    return atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) == 0;
}

void hth_port_lock(struct hth_port *port, struct hth_lock *lock, const struct hth_wait *why)
{
    if (!hth_port_trylock(port, lock)) {
        hth_wait_until(take_contended, lock, why);
    }
}

bool hth_port_trylock(struct hth_port *port, struct hth_lock *lock)
{
    (void)port;
    uint32_t is_free = 0;
    return atomic_compare_exchange_strong_explicit(&lock->word, &is_free, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

void hth_port_unlock(struct hth_port *port, struct hth_lock *lock)
{
    (void)port;
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2) {
        hth_progress_notify();
    }
}

void hth_port_short_lock(struct hth_port *port, struct hth_short_lock *lock)
{
    (void)port;
    uint32_t is_free = 0;
    unsigned tries = 0;
    while (!atomic_compare_exchange_weak_explicit(&lock->word, &is_free, 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
        is_free = 0;
        if (++tries > 100) {
            sched_yield(); /* the holder may have lost its core */
        }
    }
}

void hth_port_short_unlock(struct hth_port *port, struct hth_short_lock *lock)
{
    (void)port;
    atomic_store_explicit(&lock->word, 0, memory_order_release);
}

/* --- views, memory, the end --- */

void hth_port_protect(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                      uint64_t n_pages, enum hth_view view)
{
    (void)port;
    hth_vm_protect(whole(region)->offset + first_page * region->page_bytes,
                   n_pages * region->page_bytes, view);
}

void hth_port_punch(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                    uint64_t n_pages)
{
    (void)port;
    hth_vm_punch(whole(region)->offset + first_page * region->page_bytes,
                 n_pages * region->page_bytes);
}

uint64_t hth_port_next_used(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    (void)port;
    uint64_t base = whole(region)->offset, end = base + whole(region)->span;
    uint64_t at = hth_vm_next_used(base + page * region->page_bytes, end);
    return at == end ? region->n_pages : (at - base) / region->page_bytes;
}

void *hth_port_alloc(struct hth_port *port, size_t bytes)
{
    (void)port;
    void *memory = hth_pool_get(bytes);
    if (memory == NULL) {
        hth_die("out of memory for %zu bytes of twins or published pages", bytes);
    }
    return memory;
}

void hth_port_free(struct hth_port *port, void *memory, size_t bytes)
{
    (void)port;
    hth_pool_put(memory, bytes);
}

uint64_t hth_port_now_ns(struct hth_port *port)
{
    (void)port;
    return hth_alarm_now_ns();
}

void hth_port_alarm(struct hth_port *port, struct hth_region *region, uint64_t page, uint64_t in_ns)
{
    (void)port;
    hth_alarm_set(hth_alarm_now_ns() + in_ns, region->id, page);
    hth_progress_alarm();
}

void hth_port_alarm_cancel(struct hth_port *port, struct hth_region *region)
{
    (void)port;
    hth_alarm_cancel(region->id);
}

_Noreturn void hth_port_die(struct hth_port *port, const struct hth_region *region, uint64_t page,
                            const char *what)
{
    (void)port;
    if (region == NULL) {
        hth_die("%s (%llu). This is a bug in Hearth", what, (unsigned long long)page);
    }
    hth_die("%s: page %llu of region '%s', state %d. This is a bug in Hearth", what,
            (unsigned long long)page, whole((struct hth_region *)(uintptr_t)region)->name,
            (int)hth_page_state(&region->pages[page]));
}

void hth_port_trace(struct hth_port *port, const struct hth_region *region, uint64_t page,
                    enum hth_event event, int64_t value)
{
    (void)port;
    (void)region;
    (void)page;
    (void)event;
    (void)value;
}
