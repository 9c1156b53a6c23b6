/* SPDX-License-Identifier: BSD-3-Clause */
/* The address range: one memfd, mapped twice.
 *
 * The *view* is what the program uses; it lies at the same addresses on every PE, and its
 * protection follows the pages' states. The *alias* is the same frames, always writable, anywhere;
 * the library and MPI use it alone. All regions share the one memfd: a shared address, less the
 * base, is an offset in file, view, alias and MPI window alike, and creating a region makes no
 * mapping. The file is sparse: memory is used by what is touched.
 *
 * Both mappings are MADV_DONTFORK (a forked child would scribble on the parent's frames) and
 * MADV_DONTDUMP (a core file would be as long as the range). */
#ifndef HTH_VM_H
#define HTH_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

struct hth_vm {
    uint8_t *view, *alias; /* NULL: none */
    uint64_t bytes;
    int fd;
};
extern struct hth_vm hth_vm;

/* The bases to try, in order; false: no such candidate. Smaller ones are for address-space limits
 * and sanitizers. `wanted` (0: as much as possible) shrinks them. */
bool hth_vm_candidate(unsigned index, uint64_t wanted, uintptr_t *base_out, uint64_t *bytes_out);

/* Reserve the view there; undone by hth_vm_release. False if that cannot be had on this PE. */
bool hth_vm_reserve(uintptr_t base, uint64_t bytes);
void hth_vm_release(void);
/* Map the alias. 0 or errno. */
int hth_vm_map_alias(void);

/* Is this an address of the range? */
static inline bool hth_vm_has(const void *address)
{
    return (uintptr_t)address - (uintptr_t)hth_vm.view < hth_vm.bytes;
}

/* Set the view's protection of [offset, offset + bytes). Any context. Ends the job if it cannot. */
void hth_vm_protect(uint64_t offset, uint64_t bytes, enum hth_view view);
/* How that is done, for hearth-info. */
const char *hth_vm_pager(void);
/* Give the memory back; it reads as zero from then on. */
void hth_vm_punch(uint64_t offset, uint64_t bytes);

/* Anonymous zeroed memory that costs nothing until touched. NULL: none. */
void *hth_vm_sparse(uint64_t bytes);
void hth_vm_sparse_free(void *memory, uint64_t bytes);
/* Which of n system pages of such memory have been touched, one byte each: 1 if it has been or that
 * cannot be known, 0 if it has not, so that it reads as zero. */
void hth_vm_touched(const void *memory, uint64_t n, unsigned char *touched);

#endif
