/* SPDX-License-Identifier: BSD-3-Clause */
#include "region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alarm.h"
#include "log.h"
#include "net/comm.h"
#include "net/message.h"
#include "protocol/ahead.h"

/* Regions begin on a granule, so that an address finds its region by one look into a table. */
#define GRANULE_BYTES (UINT64_C(1) << 26)

/* The first pages of each solo share are never handed out: a loop that runs past the end of the
 * collective part, or of the share before, hits them and is told. */
#define GUARD_PAGES 16

/* The arena of small allocations grows by max(16, n_pes) pages and large ones are rounded up to
 * pages, and kept apart by at most a 32nd of each: with so much more, what a region was asked for
 * fits. */
#define SLACK_PAGES    32
#define SOLO_PAGES_MIN 64 /* slabs of each size class need some room */

struct hth_job hth_job;

/* Changed by collective calls, one thread of a PE at a time; read by faults. */
static _Atomic uint16_t *granules; /* the id of the region there, plus 1 */
static uint64_t n_granules;
static struct hearth_region *_Atomic by_id[HTH_REGIONS_MAX];
static struct hth_range addresses; /* free, in bytes from the range's base */

int hth_regions_start(void)
{
    n_granules = hth_vm.bytes / GRANULE_BYTES;
    granules = hth_vm_sparse(n_granules * sizeof *granules);
    if (granules == NULL ||
        hth_range_init(&addresses, 0, n_granules * GRANULE_BYTES) != HEARTH_OK) {
        return hth_error(HEARTH_ENOMEM, "no memory for the table of regions");
    }
    return HEARTH_OK;
}

void hth_regions_stop(void)
{
    hth_vm_sparse_free((void *)(uintptr_t)granules, n_granules * sizeof *granules);
    granules = NULL;
    hth_range_fini(&addresses);
}

struct hearth_region *hth_region_by_id(uint32_t id)
{
    return id < HTH_REGIONS_MAX ? atomic_load_explicit(&by_id[id], memory_order_acquire) : NULL;
}

struct hearth_region *hth_region_at(const void *address)
{
    uint64_t offset = (uint64_t)((uintptr_t)address - (uintptr_t)hth_vm.view);
    if (offset / GRANULE_BYTES >= n_granules) {
        return NULL;
    }
    uint16_t id_plus_1 =
        atomic_load_explicit(&granules[offset / GRANULE_BYTES], memory_order_acquire);
    struct hearth_region *region = id_plus_1 == 0 ? NULL : hth_region_by_id(id_plus_1 - 1u);
    return region != NULL && offset - region->offset < region->span ? region : NULL;
}

struct hearth_region *hth_region_near(const void *address)
{
    uint64_t offset = (uint64_t)((uintptr_t)address - (uintptr_t)hth_vm.view);
    struct hearth_region *nearest = NULL;
    uint64_t least = UINT64_MAX;
    for (uint32_t id = 0; id < HTH_REGIONS_MAX; id++) {
        struct hearth_region *region = hth_region_by_id(id);
        if (region == NULL) {
            continue;
        }
        uint64_t end = region->offset + region->span;
        uint64_t away = offset < region->offset ? region->offset - offset
                        : offset >= end         ? offset - end
                                                : 0;
        if (away < least) {
            least = away;
            nearest = region;
        }
    }
    return nearest;
}

bool hth_region_alive(const struct hearth_region *region)
{
    for (uint32_t id = 0; region != NULL && id < hth_job.coherence.n_regions; id++) {
        if (hth_region_by_id(id) == region) {
            return true;
        }
    }
    return false;
}

const char *hth_protocol_name(const struct hth_region *region)
{
    switch (hth_scheme_of(region)) {
    case HTH_INVALIDATE:
        return "invalidate";
    case HTH_UPDATE:
        return "update";
    case HTH_SEQUENTIAL:
        return "sequential";
    }
    return "?";
}

/* --- making --- */

static enum hth_deal deal_of(enum hearth_placement placement, int n_pes)
{
    switch (placement) {
    case HEARTH_HOME_BLOCK:
        return HTH_DEAL_BLOCK;
    case HEARTH_HOME_CYCLIC:
        return HTH_DEAL_CYCLIC;
    case HEARTH_HOME_FIXED:
        return HTH_DEAL_FIXED;
    case HEARTH_HOME_FIRST_TOUCH:
        return n_pes > 1 ? HTH_DEAL_CLAIM : HTH_DEAL_BLOCK; /* one PE need not ask */
    }
    return HTH_DEAL_BLOCK;
}

/* Sizes that follow from bytes and attributes, the same on all PEs. */
static int measure(struct hearth_region *region, uint64_t bytes)
{
    struct hth_region *core = &region->core;
    uint64_t page = region->attr.page_bytes, n = (uint64_t)core->n_pes;
    uint64_t asked = (bytes - 1) / page + 1;
    uint64_t collective = asked + asked / HTH_GAP_PART + SLACK_PAGES + n;
    uint64_t solo = (collective > SOLO_PAGES_MIN ? collective : SOLO_PAGES_MIN) + GUARD_PAGES;
    if (collective > (UINT64_C(1) << 50) / page / (n + 2)) {
        return hth_error(HEARTH_ENOMEM,
                         "a region of %llu bytes with %d PEs does not fit into the "
                         "address range of %llu bytes",
                         (unsigned long long)bytes, core->n_pes, (unsigned long long)hth_vm.bytes);
    }
    core->page_bytes = page;
    core->n_pages = collective + n * solo;
    region->bytes = bytes;
    region->collective_bytes = collective * page;
    region->solo_bytes = (solo - GUARD_PAGES) * page;
    region->span = core->n_pages * page;
    region->solo_first = (collective + (uint64_t)core->my_pe * solo + GUARD_PAGES) * page;
    int rc = hth_homes_init(&region->homes, core->n_pes, collective, solo);
    core->homes = &region->homes;
    core->has_claims = deal_of(region->attr.placement, core->n_pes) == HTH_DEAL_CLAIM;
    hth_region_layout(core);
    return rc;
}

/* The bounded cache: what marks the region's cached pages. With fewer pages than some an
 * instruction that touches several at once might never find them all. */
static bool make_cache_tables(struct hearth_region *region)
{
    enum { PAGES_MIN = 32 };
    struct hth_region *core = &region->core;
    uint64_t limit = hth_job.config.cache_bytes, least = PAGES_MIN * core->page_bytes;
    if (limit == 0 || core->n_pes == 1) {
        return true;
    }
    if (limit < least && least > hth_job.coherence.cache.limit_bytes) {
        hth_log(HTH_LOG_WARN,
                "HEARTH_CACHE_BYTES=%llu is less than %d pages of region '%s': taken to be %llu",
                (unsigned long long)limit, PAGES_MIN, region->name, (unsigned long long)least);
    }
    hth_coherence_limit(&hth_job.coherence, limit > least ? limit : least);
    core->cached = hth_vm_sparse(core->n_pages);
    core->cached_in = hth_vm_sparse(hth_cache_chunks(core->n_pages) * sizeof *core->cached_in);
    return core->cached != NULL && core->cached_in != NULL;
}

/* What this PE needs of its own; may fail on one PE and not on another. */
static int make_tables(struct hearth_region *region)
{
    struct hth_region *core = &region->core;
    enum { COLOURS = 4, COLOUR_PAGES = 20 }; /* among gaps of 13: rarely less than 6 apart */
    struct hth_heap_config config = {core->page_bytes, core->n_pes,
                                     deal_of(region->attr.placement, core->n_pes),
                                     region->attr.home_pe, core->id % COLOURS * COLOUR_PAGES};
    core->pages = hth_vm_sparse(core->n_pages * sizeof *core->pages);
    if (core->pages == NULL || !make_cache_tables(region) ||
        hth_heap_create(&region->heap, &config, &region->homes) != HEARTH_OK ||
        hth_solo_create(&region->solo, region->solo_first, region->solo_first + region->solo_bytes,
                        core->page_bytes) != HEARTH_OK) {
        return hth_error(HEARTH_ENOMEM, "no memory for the page table of region '%s' (%llu pages)",
                         region->name, (unsigned long long)core->n_pages);
    }
    core->frames = hth_vm.alias + region->offset;
    uint64_t window = hth_job.config.read_ahead / core->page_bytes;
    core->ahead.window_max = (uint32_t)(window < HTH_TOGETHER ? window : HTH_TOGETHER);
    return HEARTH_OK;
}

static void free_tables(struct hearth_region *region)
{
    hth_vm_sparse_free(region->core.pages, region->core.n_pages * sizeof *region->core.pages);
    hth_vm_sparse_free((void *)(uintptr_t)region->core.cached, region->core.n_pages);
    hth_vm_sparse_free((void *)(uintptr_t)region->core.cached_in,
                       hth_cache_chunks(region->core.n_pages) * sizeof *region->core.cached_in);
    hth_heap_destroy(region->heap);
    hth_solo_destroy(region->solo);
    hth_homes_fini(&region->homes);
    free(region);
}

static void set_granules(const struct hearth_region *region, uint16_t value)
{
    uint64_t first = region->offset / GRANULE_BYTES;
    uint64_t end = (region->offset + region->span - 1) / GRANULE_BYTES + 1;
    for (uint64_t i = first; i < end; i++) {
        atomic_store_explicit(&granules[i], value, memory_order_release);
    }
}

static uint64_t span_of(const struct hearth_region *region)
{
    return (region->span + GRANULE_BYTES - 1) / GRANULE_BYTES * GRANULE_BYTES;
}

/* Find a number, addresses and words: the same on all PEs, who make the same calls. */
static int place(struct hearth_region *region)
{
    uint32_t id = 0;
    while (id < HTH_REGIONS_MAX && hth_region_by_id(id) != NULL) {
        id++;
    }
    if (id == HTH_REGIONS_MAX) {
        return hth_error(HEARTH_ENOMEM, "there are %u regions already, the most there can be",
                         HTH_REGIONS_MAX);
    }
    region->core.id = id;
    if (hth_range_take(&addresses, span_of(region), GRANULE_BYTES, &region->offset) != HEARTH_OK) {
        return hth_error(HEARTH_ENOMEM,
                         "region '%s' needs %llu bytes of addresses (%d solo shares included), and "
                         "the largest free stretch has %llu. Make it smaller, or raise "
                         "HEARTH_RESERVE_BYTES",
                         region->name, (unsigned long long)region->span, region->core.n_pes,
                         (unsigned long long)hth_range_largest(&addresses));
    }
    int rc = hth_words_create(region->core.n_words, &region->words);
    if (rc != HEARTH_OK) {
        hth_range_give(&addresses, region->offset, span_of(region));
    }
    return rc;
}

int hth_region_make(struct hearth_region **region_out, uint64_t bytes,
                    const struct hearth_region_attr *attr)
{
    struct hearth_region *region = calloc(1, sizeof *region);
    if (region == NULL) {
        return hth_error(HEARTH_ENOMEM, "no memory for a region");
    }
    snprintf(region->name, sizeof region->name, "%s", attr->name != NULL ? attr->name : "unnamed");
    region->attr = *attr;
    region->attr.name = region->name;
    region->core.protocol = attr->protocol;
    region->core.consistency = attr->consistency;
    region->core.my_pe = hth_comm_my_pe();
    region->core.n_pes = hth_comm_n_pes();
    int rc = measure(region, bytes);
    if (rc == HEARTH_OK) {
        rc = place(region);
    }
    if (rc != HEARTH_OK) { /* the same on all PEs */
        hth_homes_fini(&region->homes);
        free(region);
        return rc;
    }
    int mine = make_tables(region);
    if (mine == HEARTH_OK) {
        atomic_store_explicit(&by_id[region->core.id], region, memory_order_release);
        set_granules(region, (uint16_t)(region->core.id + 1));
        hth_coherence_add(&hth_job.coherence, &region->core);
    }
    rc = (int)hth_comm_min(mine); /* also the barrier: from here on all know the region */
    if (rc != HEARTH_OK) {
        if (mine == HEARTH_OK) {
            hth_error(rc, "another PE could not create region '%s'", region->name);
            hth_coherence_remove(&hth_job.coherence, &region->core);
            atomic_store_explicit(&by_id[region->core.id], NULL, memory_order_release);
            set_granules(region, 0);
        }
        hth_range_give(&addresses, region->offset, span_of(region));
        hth_words_destroy(&region->words);
        free_tables(region);
        hth_comm_barrier();
        return rc;
    }
    *region_out = region;
    return HEARTH_OK;
}

/* --- the resident part of the page table --- */

typedef void (*page_visitor)(struct hth_coherence *c, struct hth_region *core, uint64_t first_page,
                             uint64_t n_pages);

/* Visit every page that this PE has an entry for, and some more; one at the edge of two system
 * pages of the table twice. */
static void visit_pages(struct hearth_region *region, page_visitor visit)
{
    struct hth_region *core = &region->core;
    uint64_t os_page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t n = (core->n_pages * sizeof *core->pages + os_page - 1) / os_page;
    enum { CHUNK = 4096 };
    unsigned char touched[CHUNK];
    for (uint64_t at = 0; at < n; at += CHUNK) {
        uint64_t some = n - at < CHUNK ? n - at : CHUNK;
        hth_vm_touched((char *)core->pages + at * os_page, some, touched);
        for (uint64_t i = at; i < at + some; i++) {
            if (touched[i - at]) {
                uint64_t first = i * os_page / sizeof *core->pages;
                uint64_t end = ((i + 1) * os_page - 1) / sizeof *core->pages + 1;
                end = end < core->n_pages ? end : core->n_pages;
                visit(&hth_job.coherence, core, first, end - first);
            }
        }
    }
}

/* --- changing --- */

void hth_region_change(struct hearth_region *region, enum hearth_protocol protocol,
                       enum hearth_consistency consistency)
{
    struct hth_coherence *coherence = &hth_job.coherence;
    hth_message_settle(); /* it acts by the old protocol to its end */
    hth_coherence_change_begin(coherence, &region->core);
    visit_pages(region, hth_coherence_change_drop);
    hth_comm_barrier();
    visit_pages(region, hth_coherence_change_reset);
    hth_comm_barrier();
    hth_coherence_change_end(coherence, &region->core, protocol, consistency);
    region->attr.protocol = protocol;
    region->attr.consistency = consistency;
    hth_comm_barrier();
}

void hth_region_place(struct hearth_region *region, uint64_t first_page, uint64_t n_pages, int pe)
{
    struct hth_coherence *coherence = &hth_job.coherence;
    hth_coherence_place_drop(coherence, &region->core, first_page, n_pages, pe);
    hth_comm_barrier();
    hth_coherence_place_move(coherence, &region->core, first_page, n_pages, pe);
    hth_comm_barrier();
    hth_coherence_place_end(coherence, &region->core, first_page, n_pages, pe);
    hth_comm_barrier();
    hth_coherence_unpin(coherence, &region->core);
}

/* --- ending --- */

static void keep_counts(const struct hth_region *core)
{
    _Atomic uint64_t *to = (_Atomic uint64_t *)&hth_job.gone;
    const _Atomic uint64_t *from = (const _Atomic uint64_t *)&core->counts;
    for (size_t i = 0; i < sizeof core->counts / sizeof *from; i++) {
        hth_count(&to[i], atomic_load_explicit(&from[i], memory_order_relaxed));
    }
}

void hth_region_end(struct hearth_region *region)
{
    hth_message_settle(); /* the last handler may still have its locks, which are in the tables */
    hth_alarm_cancel(region->core.id);
    visit_pages(region, hth_coherence_forget);
    hth_vm_protect(region->offset, region->span, HTH_VIEW_NONE);
    hth_vm_punch(region->offset, region->span);
    hth_coherence_remove(&hth_job.coherence, &region->core);
    atomic_store_explicit(&by_id[region->core.id], NULL, memory_order_release);
    set_granules(region, 0);
    keep_counts(&region->core);
    hth_range_give(&addresses, region->offset, span_of(region));
    hth_words_destroy(&region->words);
    free_tables(region);
}
