/* SPDX-License-Identifier: BSD-3-Clause */
/* The program's static variables, shared as threads would share them.
 *
 * At hearth_spawn the pages of the program's .data and .bss are replaced by the view of a region of
 * their own (hth_vm_graft), at the addresses where they are: which are the same on all PEs, for the
 * program is linked to lie at a fixed address. PE 0 then writes into them what its replay had left
 * there. At the end the bytes come back into private memory, since what runs in exit (destructors,
 * the C runtime) has variables there too.
 *
 * Only the program's own file: those of libraries stay private. A variable of a library that the
 * linker has copied into the program (stdout, by a copy relocation), the linker's own tables and a
 * Hearth linked statically must not be among what is shared: a program that has them is refused and
 * told how to be built. */
#include <elf.h>
#include <errno.h>
#include <hearth_spawn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <unistd.h>

#include "api.h"
#include "log.h"
#include "net/comm.h"
#include "region.h"
#include "spawn.h"
#include "touch.h"

#if defined(__x86_64__)
#define COPY_RELOCATION R_X86_64_COPY
#elif defined(__aarch64__)
#define COPY_RELOCATION R_AARCH64_COPY
#else
#define COPY_RELOCATION 0u
#endif

static struct {
    uint8_t *at; /* NULL: they are not to be shared */
    uint64_t bytes;
    uint8_t *memory;  /* in the range: what their view would be */
    uint8_t *private; /* what they were before */
} globals;

struct image {
    uintptr_t base;
    uintptr_t start, end; /* of what is to be shared, whole pages */
    const ElfW(Dyn) * dynamic;
};

static uintptr_t page_up(uintptr_t address)
{
    uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    return (address + page_bytes - 1) / page_bytes * page_bytes;
}

/* The program comes first: its writable segment, less what is made read-only after relocation. */
static int find_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct image *image = arg;
    uintptr_t relro_end = 0;
    image->base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && (p->p_flags & PF_W) != 0) {
            image->start = start;
            image->end = page_up(start + p->p_memsz);
        } else if (p->p_type == PT_GNU_RELRO) {
            relro_end = start + p->p_memsz;
        } else if (p->p_type == PT_DYNAMIC) {
            memcpy(&image->dynamic, &start, sizeof start);
        }
    }
    if (relro_end <= image->start) {
        image->start = 0; /* the linker's tables cannot be told from variables */
    } else {
        image->start = page_up(relro_end);
    }
    return 1;
}

static bool is_shared(const struct image *image, uintptr_t address)
{
    return address >= image->start && address < image->end;
}

static const char *const HOW =
    "Compile with -fPIC, link with -no-pie -Wl,-z,relro,-z,now and libhearth.so: "
    "hearthcc --shared-globals does so";

static int refuse(const char *why, const char *name)
{
    return hth_error(HEARTH_ENOTSUP, "hearth_share_globals: %s%s. %s", why, name, HOW);
}

static uintptr_t dynamic_value(const struct image *image, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *d = image->dynamic; d != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == tag) {
            return (uintptr_t)d->d_un.d_ptr;
        }
    }
    return 0;
}

/* A library's variable among the program's: its name, or NULL. */
static const char *copied_variable(const struct image *image)
{
    const ElfW(Rela) *rela = (const ElfW(Rela) *)dynamic_value(image, DT_RELA);
    const ElfW(Sym) *symbols = (const ElfW(Sym) *)dynamic_value(image, DT_SYMTAB);
    const char *names = (const char *)dynamic_value(image, DT_STRTAB);
    size_t n = dynamic_value(image, DT_RELASZ) / sizeof *rela;
    for (size_t i = 0; rela != NULL && i < n; i++) {
        if (ELF64_R_TYPE(rela[i].r_info) == COPY_RELOCATION &&
            is_shared(image, image->base + rela[i].r_offset)) {
            return names + symbols[ELF64_R_SYM(rela[i].r_info)].st_name;
        }
    }
    return NULL;
}

static int check_image(const struct image *image)
{
    if (image->start == 0) {
        return refuse("the program has no RELRO segment", "");
    }
    if (is_shared(image, (uintptr_t)&hth_job)) {
        return refuse("libhearth.a is in the program, whose variables would be shared", "");
    }
    /* Else most of the linker's table of functions is among the variables. */
    bool bound = (dynamic_value(image, DT_FLAGS) & DF_BIND_NOW) != 0 ||
                 (dynamic_value(image, DT_FLAGS_1) & DF_1_NOW) != 0;
    if (!bound) {
        return refuse("the program is not linked with -z now", "");
    }
    const char *name = copied_variable(image);
    if (name != NULL) {
        return refuse("the program has a copy of a library's variable: ", name);
    }
    return HEARTH_OK;
}

void hearth_same_addresses(char **argv)
{
    int now = personality(0xffffffff);
    /* A set-user-ID program would lose the flag at each start, and start for ever. */
    if (now == -1 || (now & ADDR_NO_RANDOMIZE) != 0 || getauxval(AT_SECURE) != 0 ||
        personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1) {
        return;
    }
    execv("/proc/self/exe", argv);
    personality((unsigned long)now);
}

static int make_region(void)
{
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    struct hearth_region *region;
    attr.name = "globals";
    attr.placement = HEARTH_HOME_FIXED; /* PE 0, which publishes without a fault */
    int rc = hearth_region_create(&region, globals.bytes, &attr);
    if (rc != HEARTH_OK) {
        return rc;
    }
    globals.memory = hearth_region_malloc(region, globals.bytes);
    return globals.memory != NULL ? HEARTH_OK : HEARTH_ENOMEM;
}

int hearth_share_globals(void)
{
    int rc = hth_check_up("hearth_share_globals");
    if (rc != HEARTH_OK) {
        return rc;
    }
    if (!hth_spawn_replaying() || globals.at != NULL) {
        return hth_error(HEARTH_ESTATE, "hearth_share_globals: %s",
                         globals.at != NULL ? "called twice"
                                            : "not between hearth_replay and hearth_spawn");
    }
    struct image image = {0, 0, 0, NULL};
    dl_iterate_phdr(find_image, &image);
    int mine = check_image(&image);
    rc = (int)hth_comm_min(mine);
    if (rc != HEARTH_OK) {
        return mine != HEARTH_OK ? mine
                                 : hth_error(rc, "hearth_share_globals: refused on another PE");
    }
    if (hth_comm_agree((uint64_t)image.start << 32 ^ image.end) != HEARTH_OK) {
        return refuse("the program lies elsewhere on another PE", "");
    }
    if (image.start == image.end) {
        return HEARTH_OK;
    }
    globals.bytes = image.end - image.start;
    rc = make_region();
    if (rc == HEARTH_OK) {
        globals.at = (uint8_t *)image.start;
    }
    return rc;
}

/* --- sharing and unsharing --- */

/* Nothing here may use a variable of the program's, and nothing does: this is libhearth.so. */
void hth_globals_share(void)
{
    if (globals.at == NULL) {
        return;
    }
    globals.private = hth_vm_sparse(globals.bytes);
    if (globals.private == NULL) {
        hth_die("no memory for a copy of %llu bytes of static variables",
                (unsigned long long)globals.bytes);
    }
    memcpy(globals.private, globals.at, globals.bytes);
    int rc = hth_vm_graft((uint64_t)(globals.memory - hth_vm.view), globals.bytes, globals.at);
    if (rc != 0) {
        hth_die("sharing %llu bytes of static variables at %p failed: %s",
                (unsigned long long)globals.bytes, (void *)globals.at, strerror(rc));
    }
    hth_touch_start();
}

void hth_globals_publish(void)
{
    if (globals.at == NULL) {
        return;
    }
    if (hearth_my_pe() == 0) {
        /* As a new allocation is at its home: nobody else has touched it yet. */
        hth_vm_protect((uint64_t)(globals.memory - hth_vm.view), globals.bytes, HTH_VIEW_WRITE);
        hth_copy_nonzero(globals.at, globals.private, globals.bytes);
    }
    hth_vm_sparse_free(globals.private, globals.bytes);
    globals.private = NULL;
}

void hth_globals_unshare(void)
{
    if (hth_graft.bytes == 0) {
        return;
    }
    uint8_t *last = hth_vm_sparse(globals.bytes);
    if (last == NULL) {
        hth_die("no memory for a copy of %llu bytes of static variables",
                (unsigned long long)globals.bytes);
    }
    hth_copy_nonzero(last, globals.at, globals.bytes);
    hearth_barrier_all(); /* all have what they ask for, from homes that still answer */
    int rc = hth_vm_ungraft();
    if (rc != 0) {
        hth_die("making static variables private failed: %s", strerror(rc));
    }
    hth_touch_start();
    hth_copy_nonzero(globals.at, last, globals.bytes);
    hth_vm_sparse_free(last, globals.bytes);
}
