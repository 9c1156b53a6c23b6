/* SPDX-License-Identifier: BSD-3-Clause */
#include "area.h"

#include <string.h>

MPI_Comm wt_comm = MPI_COMM_NULL;
static unsigned char *areas;
static unsigned char expected[WT_BYTES];

/* What a page is, just before the call. Where it is homed follows from its place: pages are dealt
 * round the PEs, and there are PEs' number times 7 combinations. */
enum page_state {
    ALONE,   /* written by this PE, seen by no other */
    READ,    /* read by the neighbour since */
    TAKEN,   /* written by the neighbour since */
    SHARED,  /* written by the neighbour, and read by this PE since */
    WRITTEN, /* read by the neighbour, and written again by this PE: not released yet */
    DIRTY,   /* written by the neighbour, and by this PE since */
    ZERO,    /* never touched in this round (nor ever, in the first) */
    N_STATES
};

int wt_next(void)
{
    return (ht_pe() + 1) % ht_n_pes();
}

int wt_before(void)
{
    return (ht_pe() + ht_n_pes() - 1) % ht_n_pes();
}

static unsigned char *area_of(int pe)
{
    return areas + (size_t)pe * WT_BYTES;
}

static enum page_state state_of(size_t page)
{
    return (enum page_state)(page % N_STATES);
}

static unsigned char byte_of(uint64_t round, int pe, size_t i)
{
    return (unsigned char)ht_hash(round, (uint64_t)pe, i / 8) ^ (unsigned char)(i * 29);
}

static void write_pages(int pe, uint64_t round, unsigned states)
{
    unsigned char *area = area_of(pe);
    for (size_t i = 0; i < WT_BYTES; i++) {
        if ((states & 1u << state_of(i / WT_PAGE)) != 0) {
            area[i] = byte_of(round, pe, i);
        }
    }
}

static unsigned read_pages(int pe, unsigned states)
{
    unsigned sum = 0;
    for (size_t i = 0; i < WT_BYTES; i += 64) {
        if ((states & 1u << state_of(i / WT_PAGE)) != 0) {
            sum += ((volatile unsigned char *)area_of(pe))[i];
        }
    }
    return sum;
}

static void prepare(uint64_t round)
{
    enum { BY_NEIGHBOUR = 1u << TAKEN | 1u << SHARED | 1u << DIRTY };
    int me = ht_pe();
    write_pages(me, round + 1000000, ~(1u << ZERO));
    write_pages(me, round, 1u << ALONE | 1u << READ);
    hearth_barrier_all();
    read_pages(wt_next(), 1u << READ | 1u << WRITTEN);
    write_pages(wt_next(), round + (ht_n_pes() > 1 ? 0 : 0), BY_NEIGHBOUR);
    hearth_barrier_all();
    read_pages(me, 1u << SHARED);
    write_pages(me, round, 1u << WRITTEN | 1u << DIRTY);
}

static uint64_t hash_of(const unsigned char *bytes)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < WT_BYTES; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void compare(const char *name)
{
    const unsigned char *mine = area_of(ht_pe());
    size_t i = 0;
    while (i < WT_BYTES && mine[i] == expected[i]) {
        i++;
    }
    HT_CHECKF(i == WT_BYTES, "%s: byte %zu (page %zu) is %02x, not %02x", name, i, i / WT_PAGE,
              i < WT_BYTES ? mine[i] : 0, i < WT_BYTES ? expected[i] : 0);
    uint64_t my_hash = hash_of(expected), its_hash = 0;
    MPI_Request request[2];
    MPI_Irecv(&its_hash, 1, MPI_UINT64_T, wt_next(), 999, ht_comm(), &request[0]);
    MPI_Isend(&my_hash, 1, MPI_UINT64_T, wt_before(), 999, ht_comm(), &request[1]);
    ht_wait(&request[0]);
    ht_wait(&request[1]);
    hearth_barrier_all();
    HT_CHECKF(hash_of(area_of(wt_next())) == its_hash, "%s: as the neighbour sees it", name);
    hearth_barrier_all();
}

void wt_run(const struct wt_call *calls, size_t n_calls)
{
    struct hearth_region_attr attr = *ht_attr();
    struct hearth_region *region;
    size_t bytes = (size_t)ht_n_pes() * WT_BYTES;
    attr.placement = HEARTH_HOME_CYCLIC;
    if (wt_comm == MPI_COMM_NULL) {
        MPI_Comm_dup(MPI_COMM_WORLD, &wt_comm);
    }
    HT_EQUAL(hearth_region_create(&region, bytes, &attr), 0);
    areas = hearth_region_malloc(region, bytes);
    HT_CHECK(areas != NULL);
    for (size_t call = 0; call < n_calls; call++) {
        if (ht_n_pes() < calls[call].n_pes_min) {
            continue;
        }
        double begun = ht_now();
        prepare(call);
        for (size_t i = 0; i < WT_BYTES; i++) {
            bool zero = state_of(i / WT_PAGE) == ZERO;
            expected[i] = zero ? 0 : byte_of(call, ht_pe(), i);
        }
        if (call > 0) { /* what the calls before left there */
            for (size_t page = ZERO; page < WT_PAGES; page += N_STATES) {
                memcpy(expected + page * WT_PAGE, area_of(ht_pe()) + page * WT_PAGE, WT_PAGE);
            }
        }
        calls[call].make(area_of(ht_pe()));
        calls[call].make(expected);
        compare(calls[call].name);
        if (ht_env_number("WT_TIMES", 0) && ht_pe() == 0) {
            ht_note("%s %.0f ms", calls[call].name, 1e3 * (ht_now() - begun));
        }
    }
    HT_EQUAL(hearth_region_destroy(region), 0);
}
