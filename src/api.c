/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls: argument checks, then the work. Arguments that may lie in shared memory are
 * read before hth_enter and written after hth_leave, where a fault is served like any other. */
#include <hearth.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "api.h"
#include "ask.h"
#include "fault.h"
#include "log.h"
#include "memory.h"
#include "net/comm.h"
#include "protocol/claim.h"
#include "region.h"

enum collective_call { CREATE = 1, DESTROY, MALLOC, FREE, SET_PROTOCOL, PLACE };

static int agree(const char *call, enum collective_call which, uint64_t a, uint64_t b)
{
    uint64_t said[3] = {which, a, b}; /* all PEs must say the same */
    return hth_comm_agree(XXH64(said, sizeof said, 0)) == HEARTH_OK
               ? HEARTH_OK
               : hth_error(HEARTH_EMISMATCH,
                           "%s: collective, but the PEs called it with different arguments (this "
                           "one: %llu, %llu), or called different functions",
                           call, (unsigned long long)a, (unsigned long long)b);
}

/* --- regions --- */

static uint64_t os_page_bytes(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool overrides(void)
{
    return hth_job.config.protocol != HTH_CONFIG_UNSET ||
           hth_job.config.consistency != HTH_CONFIG_UNSET;
}

/* For comparisons, whatever the program asks for. */
static void override_protocol(enum hearth_protocol *protocol, enum hearth_consistency *consistency)
{
    const struct hth_config *config = &hth_job.config;
    if (config->protocol != HTH_CONFIG_UNSET) {
        *protocol = (enum hearth_protocol)config->protocol;
    }
    if (config->consistency != HTH_CONFIG_UNSET) {
        *consistency = (enum hearth_consistency)config->consistency;
    }
}

static void override(struct hearth_region_attr *attr)
{
    const struct hth_config *config = &hth_job.config;
    override_protocol(&attr->protocol, &attr->consistency);
    if (config->page_bytes != 0) {
        attr->page_bytes = config->page_bytes;
    }
    if (attr->page_bytes == 0) {
        attr->page_bytes = os_page_bytes();
    }
}

static int check_supported(const char *call, enum hearth_protocol protocol,
                           enum hearth_consistency consistency)
{
    if (consistency == HEARTH_SEQUENTIAL && protocol == HEARTH_WRITE_UPDATE) {
        return hth_error(HEARTH_ENOTSUP,
                         "%s: write-update cannot be sequentially consistent: copies take updates "
                         "at different moments, so there is none at which all PEs see a write. Use "
                         "HEARTH_WRITE_INVALIDATE or HEARTH_RELEASE%s",
                         call,
                         overrides() ? "; HEARTH_PROTOCOL or HEARTH_CONSISTENCY in the environment "
                                       "override what the program asks for"
                                     : "");
    }
    return HEARTH_OK;
}

static int check_attr(const struct hearth_region_attr *attr, uint64_t bytes)
{
    if (bytes == 0) {
        return hth_error(HEARTH_EINVAL, "hearth_region_create: 0 bytes; a region has at least 1");
    }
    if ((unsigned)attr->protocol > HEARTH_WRITE_UPDATE ||
        (unsigned)attr->consistency > HEARTH_SEQUENTIAL ||
        (unsigned)attr->placement > HEARTH_HOME_FIRST_TOUCH) {
        return hth_error(HEARTH_EINVAL,
                         "hearth_region_create: protocol %d, consistency %d or placement %d is not "
                         "one of the enumerated values; begin with HEARTH_REGION_ATTR_DEFAULT",
                         (int)attr->protocol, (int)attr->consistency, (int)attr->placement);
    }
    if ((attr->page_bytes & (attr->page_bytes - 1)) != 0 || attr->page_bytes < os_page_bytes() ||
        attr->page_bytes > UINT64_C(1) << 30) {
        return hth_error(
            HEARTH_EINVAL,
            "hearth_region_create: page_bytes %zu is not a power of two from %llu (the "
            "system's page) to 1073741824; 0 takes the system's",
            attr->page_bytes, (unsigned long long)os_page_bytes());
    }
    if (attr->placement == HEARTH_HOME_FIXED &&
        (attr->home_pe < 0 || attr->home_pe >= hth_comm_n_pes())) {
        return hth_error(HEARTH_EINVAL,
                         "hearth_region_create: home_pe %d is not a PE; there are %d",
                         attr->home_pe, hth_comm_n_pes());
    }
    return check_supported("hearth_region_create", attr->protocol, attr->consistency);
}

/* Everything about the request that must be alike. */
static uint64_t fingerprint(const struct hearth_region_attr *attr, bool out)
{
    uint64_t said[] = {out,
                       attr->protocol,
                       attr->consistency,
                       attr->placement,
                       (uint64_t)(int64_t)attr->home_pe,
                       attr->page_bytes};
    return XXH64(said, sizeof said, 0);
}

static int create(struct hearth_region **region_out, uint64_t bytes,
                  const struct hearth_region_attr *attr)
{
    int rc = agree("hearth_region_create", CREATE, bytes, fingerprint(attr, region_out != NULL));
    if (rc == HEARTH_OK && region_out == NULL) {
        rc = hth_error(HEARTH_EINVAL, "hearth_region_create: region_out is NULL");
    }
    if (rc == HEARTH_OK) {
        rc = check_attr(attr, bytes);
    }
    return rc == HEARTH_OK ? hth_region_make(region_out, bytes, attr) : rc;
}

int hearth_region_create(struct hearth_region **region_out, size_t bytes,
                         const struct hearth_region_attr *attr)
{
    int rc = hth_check_up("hearth_region_create");
    if (rc != HEARTH_OK) {
        return rc;
    }
    struct hearth_region_attr wanted = HEARTH_REGION_ATTR_DEFAULT;
    char name[HTH_NAME_MAX];
    if (attr != NULL) {
        wanted = *attr;
    }
    if (wanted.name != NULL) { /* may lie in shared memory: copied while faults are served */
        strncpy(name, wanted.name, sizeof name - 1);
        name[sizeof name - 1] = '\0';
        wanted.name = name;
    }
    struct hearth_region *region = NULL;
    hth_enter();
    override(&wanted);
    rc = create(region_out != NULL ? &region : NULL, bytes, &wanted);
    hth_leave();
    if (rc == HEARTH_OK) {
        *region_out = region;
    }
    return rc;
}

static int bad_region(const char *call, const struct hearth_region *region)
{
    return hth_error(HEARTH_EINVAL, "%s: %p is not a region (NULL, or destroyed)", call,
                     (const void *)region);
}

int hearth_region_destroy(struct hearth_region *region)
{
    int rc = hth_check_up("hearth_region_destroy");
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_enter();
    bool alive = hth_region_alive(region);
    rc = agree("hearth_region_destroy", DESTROY, alive ? region->core.id : UINT64_MAX, 0);
    if (rc == HEARTH_OK && !alive) {
        rc = bad_region("hearth_region_destroy", region);
    }
    if (rc == HEARTH_OK && region == hth_job.heap) {
        rc = hth_error(HEARTH_EINVAL, "hearth_region_destroy: the default region stays");
    }
    if (rc == HEARTH_OK) {
        hth_coherence_pin(&hth_job.coherence, &region->core, 0, region->core.n_pages);
        hth_settling_barrier();
        hth_region_end(region);
        hth_comm_barrier();
    }
    hth_leave();
    return rc;
}

static int set_protocol(struct hearth_region *region, enum hearth_protocol protocol,
                        enum hearth_consistency consistency)
{
    static const char call[] = "hearth_region_set_protocol";
    bool alive = hth_region_alive(region);
    uint64_t wanted = (uint64_t)(uint32_t)protocol << 32 | (uint32_t)consistency;
    int rc = agree(call, SET_PROTOCOL, alive ? region->core.id : UINT64_MAX, wanted);
    if (rc == HEARTH_OK && !alive) {
        rc = bad_region(call, region);
    }
    if (rc == HEARTH_OK &&
        ((unsigned)protocol > HEARTH_WRITE_UPDATE || (unsigned)consistency > HEARTH_SEQUENTIAL)) {
        rc = hth_error(HEARTH_EINVAL,
                       "%s: protocol %d is not HEARTH_WRITE_INVALIDATE (%d) or HEARTH_WRITE_UPDATE "
                       "(%d), or consistency %d is not HEARTH_RELEASE (%d) or HEARTH_SEQUENTIAL "
                       "(%d)",
                       call, (int)protocol, HEARTH_WRITE_INVALIDATE, HEARTH_WRITE_UPDATE,
                       (int)consistency, HEARTH_RELEASE, HEARTH_SEQUENTIAL);
    }
    if (rc == HEARTH_OK) {
        rc = check_supported(call, protocol, consistency);
    }
    if (rc == HEARTH_OK) {
        bool changes = region->attr.protocol != protocol || region->attr.consistency != consistency;
        if (changes) {
            hth_coherence_pin(&hth_job.coherence, &region->core, 0, region->core.n_pages);
        }
        hth_full_barrier();
        if (changes) {
            hth_region_change(region, protocol, consistency);
        }
    }
    return rc;
}

int hearth_region_set_protocol(struct hearth_region *region, enum hearth_protocol protocol,
                               enum hearth_consistency consistency)
{
    int rc = hth_check_up("hearth_region_set_protocol");
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_enter();
    override_protocol(&protocol, &consistency);
    rc = set_protocol(region, protocol, consistency);
    hth_leave();
    return rc;
}

/* --- memory --- */

static void *collective_malloc(const char *call, struct hearth_region *region, size_t bytes)
{
    if (hth_check_up(call) != HEARTH_OK) {
        return NULL;
    }
    hth_enter();
    void *memory = NULL;
    bool alive = hth_region_alive(region);
    if (agree(call, MALLOC, alive ? region->core.id : UINT64_MAX, bytes) == HEARTH_OK) {
        if (!alive) {
            bad_region(call, region);
        } else if (bytes == 0) {
            hth_error(HEARTH_EINVAL, "%s: 0 bytes", call);
        } else {
            memory = hth_memory_malloc(region, bytes);
        }
    }
    hth_leave();
    return memory;
}

void *hearth_region_malloc(struct hearth_region *region, size_t bytes)
{
    return collective_malloc("hearth_region_malloc", region, bytes);
}

void *hearth_malloc(size_t bytes)
{
    return collective_malloc("hearth_malloc", hth_job.heap, bytes);
}

void *hearth_calloc(size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) {
        hth_error(HEARTH_EINVAL, "hearth_calloc: %zu times %zu bytes overflows", count, bytes);
        return NULL;
    }
    return collective_malloc("hearth_calloc", hth_job.heap, total);
}

static int not_allocated(const char *call, const char *kind, const void *ptr)
{
    return hth_error(HEARTH_EADDR,
                     "%s: %p is not the start of a live %s allocation (freed twice, of the other "
                     "kind, or not Hearth's)",
                     call, ptr, kind);
}

int hearth_free(void *ptr)
{
    int rc = hth_check_up("hearth_free");
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_enter();
    rc = agree("hearth_free", FREE, (uint64_t)(uintptr_t)ptr, 0);
    if (rc == HEARTH_OK && ptr != NULL) {
        struct hearth_region *region = hth_region_of(ptr);
        struct hth_block block;
        if (region == NULL ||
            hth_heap_find(region->heap, (uint64_t)((uint8_t *)ptr - hth_region_base(region)),
                          &block) != HEARTH_OK) {
            rc = not_allocated("hearth_free", "collective", ptr);
        } else {
            hth_memory_free(region, &block);
        }
    } else if (rc == HEARTH_OK) {
        hth_full_barrier();
    }
    hth_leave();
    return rc;
}

void *hearth_solo_malloc(struct hearth_region *region, size_t bytes)
{
    if (hth_check_up("hearth_solo_malloc") != HEARTH_OK) {
        return NULL;
    }
    if (region == NULL) {
        region = hth_job.heap;
    }
    if (region != hth_job.heap && !hth_region_alive(region)) {
        bad_region("hearth_solo_malloc", region);
        return NULL;
    }
    if (bytes == 0) {
        hth_error(HEARTH_EINVAL, "hearth_solo_malloc: 0 bytes");
        return NULL;
    }
    hth_enter();
    void *memory = hth_memory_solo_malloc(region, bytes);
    hth_leave();
    return memory;
}

/* Arguments are the same on all PEs, and so is the answer but for memory that is out. */
static int place(void *ptr, size_t len, int pe)
{
    static const char call[] = "hearth_place";
    struct hearth_region *region = hth_region_of(ptr);
    uint64_t offset = region != NULL ? (uint64_t)((uint8_t *)ptr - hth_region_base(region)) : 0;
    if (len == 0 || pe < 0 || pe >= hth_comm_n_pes()) {
        return hth_error(HEARTH_EINVAL, "%s: %zu bytes at PE %d; at least 1 byte, and PEs 0 to %d",
                         call, len, pe, hth_comm_n_pes() - 1);
    }
    if (region == NULL || !hth_heap_covers(region->heap, offset, len)) {
        return hth_error(HEARTH_EADDR,
                         "%s: %zu bytes at %p are not within one live collective allocation", call,
                         len, ptr);
    }
    int mine = hth_homes_make_room(&region->homes);
    if (mine != HEARTH_OK) {
        hth_error(mine, "%s: no memory for the list of placed pages", call);
    }
    if (hth_comm_min(mine) != HEARTH_OK) {
        return mine != HEARTH_OK
                   ? mine
                   : hth_error(HEARTH_ENOMEM, "%s: another PE is out of memory", call);
    }
    uint64_t page_bytes = region->core.page_bytes, first_page = offset / page_bytes;
    uint64_t n_pages = (offset + len - 1) / page_bytes + 1 - first_page;
    hth_coherence_pin(&hth_job.coherence, &region->core, first_page, n_pages);
    hth_full_barrier();
    hth_region_place(region, first_page, n_pages, pe);
    return HEARTH_OK;
}

int hearth_place(void *ptr, size_t len, int pe)
{
    int rc = hth_check_up("hearth_place");
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_enter();
    uint64_t said[] = {len, (uint64_t)(int64_t)pe};
    rc = agree("hearth_place", PLACE, (uint64_t)(uintptr_t)ptr, XXH64(said, sizeof said, 0));
    if (rc == HEARTH_OK) {
        rc = place(ptr, len, pe);
    }
    hth_leave();
    return rc;
}

int hearth_solo_free(void *ptr)
{
    int rc = hth_check_up("hearth_solo_free");
    if (rc != HEARTH_OK || ptr == NULL) {
        return rc;
    }
    hth_enter();
    struct hearth_region *region = hth_region_of(ptr);
    uint64_t offset = region != NULL ? (uint64_t)((uint8_t *)ptr - hth_region_base(region)) : 0;
    rc = region != NULL && offset >= region->collective_bytes ? hth_memory_solo_free(region, offset)
                                                              : HEARTH_EADDR;
    if (rc == HEARTH_EADDR) {
        rc = not_allocated("hearth_solo_free", "solo", ptr);
    }
    hth_leave();
    return rc;
}

/* The page that ptr is in, of a region, and its home; or an error. */
static int find_page(const char *call, const void *ptr, struct hearth_region **region_out,
                     uint64_t *page_out)
{
    ptr = hth_vm_canonical(ptr);
    struct hearth_region *region = hth_region_of(ptr);
    int home = -1;
    if (region != NULL) {
        uint64_t offset = (uint64_t)((const uint8_t *)ptr - hth_region_base(region));
        *page_out = offset / region->core.page_bytes;
        home = hth_homes_lookup(&region->homes, *page_out);
    }
    *region_out = region;
    if (home == HTH_HOME_OPEN) {
        hth_enter();
        home = hth_page_known_home(&region->core, *page_out);
        home = home >= 0 ? home : hth_claim_read(NULL, &region->core, *page_out);
        hth_leave();
        return home >= 0 ? home
                         : hth_error(HEARTH_ESTATE,
                                     "%s: nobody has touched the page of %p yet, so it has no home "
                                     "(HEARTH_HOME_FIRST_TOUCH)",
                                     call, ptr);
    }
    return home >= 0 ? home
                     : hth_error(HEARTH_EADDR, "%s: %p is in no allocation of a region", call, ptr);
}

int hearth_owner(const void *ptr)
{
    struct hearth_region *region;
    uint64_t page;
    int rc = hth_check_up("hearth_owner");
    if (rc != HEARTH_OK) {
        return rc;
    }
    int home = find_page("hearth_owner", ptr, &region, &page);
    if (home < 0) {
        return home;
    }
    if (hth_scheme_of(&region->core) != HTH_SEQUENTIAL) {
        return hth_error(HEARTH_ENOTSUP,
                         "hearth_owner: region '%s' is release consistent, where a page has a home "
                         "(hearth_home) and no owner",
                         region->name);
    }
    hth_enter();
    int owner = (int)hth_ask(home, HTH_ASK_OWNER, region->core.id, page);
    hth_leave();
    return owner;
}

int hearth_home(const void *ptr)
{
    struct hearth_region *region;
    uint64_t page;
    int rc = hth_check_up("hearth_home");
    return rc != HEARTH_OK ? rc : find_page("hearth_home", ptr, &region, &page);
}
