/* SPDX-License-Identifier: BSD-3-Clause */
/* Claims: the PE that touches a page first becomes its home.
 *
 * Page p's claim lies in the words of PE p % n_pes, several to a word: a bit that says that
 * somebody has claimed it, and above it the claimant's number plus 1. A fault on a page whose home
 * this PE does not know sets the bit by a fetch-or. Who finds it clear has won, and writes its
 * number by another; the rest read the number, once, and keep it in the page's entry.
 *
 * Who lost and finds no number yet reads again until it is there. There is no way around a wait:
 * fetch-or, add and swap cannot make more than two PEs agree without one (Herlihy, "Wait-free
 * synchronization", TOPLAS 1991), and compare-and-swap, which can, knows no fields of a word and so
 * would need 16 times the room. The winner is between two atomics, and waits for nobody.
 *
 * The winner notes that it is home *before* it writes its number: from then on messages for the
 * page may come here, and are handled where nothing can be looked up.
 *
 * The number goes when the page is forgotten, by the PE that keeps it, between two barriers. Until
 * then nobody can come to another answer, so an entry never has to be told. */
#include "protocol/claim.h"

#include "protocol/directory.h"

struct place {
    int pe;
    uint64_t word;
    unsigned shift;
};

static struct place place_of(const struct hth_region *region, uint64_t page)
{
    uint64_t n = (uint64_t)region->n_pes, bit = page / n * region->claim_bits;
    return (struct place){(int)(page % n), region->claim_word + bit / 64, (unsigned)(bit % 64)};
}

static uint64_t field(const struct hth_region *region, const struct place *at, uint64_t word)
{
    return word >> at->shift & ((UINT64_C(1) << region->claim_bits) - 1);
}

void hth_claim_layout(struct hth_region *region, uint64_t *next_word)
{
    uint64_t n = (uint64_t)region->n_pes;
    region->claim_bits = 2;
    while ((UINT64_C(1) << (region->claim_bits - 1)) - 1 < n) {
        region->claim_bits *= 2;
    }
    region->claim_word = *next_word;
    uint64_t each = (region->homes->collective_pages + n - 1) / n;
    *next_word += (each * region->claim_bits + 63) / 64;
}

static uint64_t fetch(struct hth_port *port, struct hth_region *region, const struct place *at,
                      enum hth_word_op op, uint64_t operand)
{
    uint64_t old = 0;
    hth_port_word(port, region, at->pe, at->word, op, operand, &old);
    hth_port_flush_words(port, region, at->pe);
    return field(region, at, old);
}

/* Release: whoever learns of it from the claim, or from this entry, finds it noted. */
static void note(struct hth_region *region, uint64_t page, int home)
{
    __atomic_store_n(&region->pages[page].home_plus_1, home + 1, __ATOMIC_RELEASE);
}

void hth_claim_settle(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    struct place at = place_of(region, page);
    uint64_t claim = fetch(port, region, &at, HTH_WORD_OR, UINT64_C(1) << at.shift);
    if ((claim & 1) == 0) {
        note(region, page, region->my_pe);
        fetch(port, region, &at, HTH_WORD_OR, ((uint64_t)region->my_pe + 1) << (at.shift + 1));
        return;
    }
    while (claim >> 1 == 0) {
        claim = fetch(port, region, &at, HTH_WORD_READ, 0);
    }
    note(region, page, (int)(claim >> 1) - 1);
}

int hth_claim_read(struct hth_port *port, struct hth_region *region, uint64_t page)
{
    struct place at = place_of(region, page);
    uint64_t claim = fetch(port, region, &at, HTH_WORD_READ, 0);
    return claim >> 1 == 0 ? HTH_HOME_OPEN : (int)(claim >> 1) - 1;
}

void hth_claim_clear(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                     uint64_t n_pages)
{
    uint64_t end = first_page + n_pages, n = (uint64_t)region->n_pes;
    if (end > region->homes->collective_pages) {
        end = region->homes->collective_pages;
    }
    uint64_t page = first_page + ((uint64_t)region->my_pe + n - first_page % n) % n;
    for (; page < end; page += n) {
        struct place at = place_of(region, page);
        uint64_t mask = (UINT64_C(1) << region->claim_bits) - 1;
        if (field(region, &at, hth_port_word_peek(port, region, at.word)) != 0) {
            hth_port_word(port, region, region->my_pe, at.word, HTH_WORD_AND, ~(mask << at.shift),
                          NULL);
            hth_port_flush_words(port, region, region->my_pe);
        }
    }
}
