/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/coherence.h"

void hth_fake_start(struct hth_port *port, struct hth_region *region, struct hth_homes *homes,
                    int n_pes, uint64_t pages, uint64_t solo)
{
    memset(port, 0, sizeof *port);
    memset(region, 0, sizeof *region);
    struct hth_extent all = {0, pages, HTH_DEAL_CYCLIC, 0};
    if (hth_homes_init(homes, n_pes, pages, solo) != 0 || hth_homes_add(homes, &all) != 0) {
        abort();
    }
    region->n_pes = n_pes;
    region->page_bytes = 4096;
    region->n_pages = pages + (uint64_t)n_pes * solo;
    region->homes = homes;
    region->pages = calloc(region->n_pages, sizeof *region->pages);
    hth_region_layout(region);
    port->n_pes = n_pes;
    port->n_words = region->n_words;
    for (int pe = 0; pe < n_pes; pe++) {
        port->words[pe] = calloc(region->n_words, sizeof(uint64_t));
    }
}

/* What a PE knows by itself starts anew; the words stay. */
void hth_fake_be(struct hth_region *region, int my_pe)
{
    memset(region->pages, 0, region->n_pages * sizeof *region->pages);
    region->my_pe = my_pe;
}

void hth_fake_stop(struct hth_port *port, struct hth_region *region)
{
    for (int pe = 0; pe < port->n_pes; pe++) {
        free(port->words[pe]);
    }
    hth_homes_fini(region->homes);
    free(region->pages);
}

/* One thread: no lock is ever in the way. */
bool hth_port_trylock(struct hth_port *port, struct hth_lock *lock)
{
    (void)port;
    return ++lock->word == 1;
}

void hth_port_unlock(struct hth_port *port, struct hth_lock *lock)
{
    (void)port;
    lock->word = 0;
}

void hth_port_word(struct hth_port *port, struct hth_region *region, int pe, uint64_t word,
                   enum hth_word_op op, uint64_t operand, uint64_t *old_out)
{
    (void)region;
    if (word >= port->n_words) {
        fprintf(stderr, "word %llu of %llu\n", (unsigned long long)word,
                (unsigned long long)port->n_words);
        abort();
    }
    uint64_t *at = &port->words[pe][word], old = *at;
    switch (op) {
    case HTH_WORD_READ:
        break;
    case HTH_WORD_OR:
        *at |= operand;
        break;
    case HTH_WORD_AND:
        *at &= operand;
        break;
    case HTH_WORD_SWAP:
        *at = operand;
        break;
    case HTH_WORD_ADD:
        *at += operand;
        break;
    }
    if (old_out != NULL) {
        *old_out = old;
    }
    port->n_atomics++;
}

void hth_port_flush_words(struct hth_port *port, struct hth_region *region, int pe)
{
    (void)region;
    (void)pe;
    port->n_flushes++;
}

void hth_port_order_words(struct hth_port *port, struct hth_region *region, int pe)
{
    (void)region;
    (void)pe;
    port->n_flushes++;
}

uint64_t hth_port_word_peek(struct hth_port *port, struct hth_region *region, uint64_t word)
{
    return port->words[region->my_pe][word];
}

uint64_t hth_port_words_next(struct hth_port *port, struct hth_region *region, uint64_t first,
                             uint64_t end)
{
    while (first < end && hth_port_word_peek(port, region, first) == 0) {
        first++;
    }
    return first;
}

void hth_port_short_lock(struct hth_port *port, struct hth_short_lock *lock)
{
    (void)port;
    if (atomic_exchange(&lock->word, 1) != 0) {
        abort(); /* one thread: it would wait for itself */
    }
}

void hth_port_short_unlock(struct hth_port *port, struct hth_short_lock *lock)
{
    (void)port;
    atomic_store(&lock->word, 0);
}

void hth_port_populate(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                       uint64_t n)
{
    (void)port;
    (void)region;
    (void)first_page;
    (void)n;
}

void hth_port_protect(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                      uint64_t n_pages, enum hth_view view)
{
    (void)region;
    (void)first_page;
    (void)n_pages;
    (void)view;
    if (!port->has_views) {
        abort();
    }
}

void hth_port_punch(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                    uint64_t n_pages)
{
    hth_port_protect(port, region, first_page, n_pages, HTH_VIEW_NONE);
}

_Noreturn void hth_port_die(struct hth_port *port, const struct hth_region *region, uint64_t page,
                            const char *what)
{
    (void)port;
    (void)region;
    fprintf(stderr, "page %llu: %s\n", (unsigned long long)page, what);
    abort();
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
