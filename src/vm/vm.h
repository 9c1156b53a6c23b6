/* SPDX-License-Identifier: BSD-3-Clause */
/* The address range: one memfd, mapped twice.
 *
 * The *view* is what the program uses; it lies at the same addresses on every PE, and its
 * protection follows the pages' states. The *alias* is the same frames, always writable, anywhere;
 * the library and MPI use it alone. All regions share the one memfd: a shared address, less the
 * base, is an offset in file, view, alias and MPI window alike, and creating a region makes no
 * mapping. The file is sparse: memory is used by what is touched. How the view is protected is a
 * pager's business: vm/mprotect.c, vm/userfaultfd.c.
 *
 * Both mappings are MADV_DONTFORK (a forked child would scribble on the parent's frames) and
 * MADV_DONTDUMP (a core file would be as long as the range). */
#ifndef HTH_VM_H
#define HTH_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "port.h"

struct hth_vm {
    uint8_t *view, *alias; /* NULL: none */
    uint64_t bytes;
    int fd;
};
extern struct hth_vm hth_vm;

/* A span of the file whose view lies elsewhere: where the program's static variables are. At most
 * one; there while no thread but the caller's uses it. */
struct hth_graft {
    uint8_t *at;
    uint64_t offset, bytes; /* 0 bytes: none */
};
extern struct hth_graft hth_graft;

/* The bases to try, in order; false: no such candidate. Smaller ones are for address-space limits
 * and sanitizers. `wanted` (0: as much as possible) shrinks them. */
bool hth_vm_candidate(unsigned index, uint64_t wanted, uintptr_t *base_out, uint64_t *bytes_out);

/* Reserve the view there; undone by hth_vm_release. False if that cannot be had on this PE. */
bool hth_vm_reserve(uintptr_t base, uint64_t bytes);
void hth_vm_release(void);
/* Map the alias. 0 or errno. */
int hth_vm_map_alias(void);

/* Ask for huge pages behind it, once the alias is mapped. True if the kernel will give some; else,
 * and `why`. */
bool hth_vm_ask_huge(char *why, size_t why_bytes);
/* Have none, even where the kernel gives them unasked: they are given back in pieces of 4 KiB at
 * best, so what copies take could not be bounded. Once the alias is mapped. */
void hth_vm_refuse_huge(void);

/* Is this an address of the range? */
static inline bool hth_vm_has(const void *address)
{
    return (uintptr_t)address - (uintptr_t)hth_vm.view < hth_vm.bytes;
}

/* The address of the range that stands for this one: another if it is in the graft. */
static inline void *hth_vm_canonical(const void *address)
{
    uint64_t in_graft = (uint64_t)((uintptr_t)address - (uintptr_t)hth_graft.at);
    return in_graft < hth_graft.bytes ? hth_vm.view + hth_graft.offset + in_graft
                                      : (void *)(uintptr_t)address;
}

/* Where the view of this byte of the file lies. */
static inline uint8_t *hth_vm_at(uint64_t offset)
{
    uint64_t in_graft = offset - hth_graft.offset;
    return in_graft < hth_graft.bytes ? hth_graft.at + in_graft : hth_vm.view + offset;
}

/* Choose how views are kept, once view and alias are mapped; logs which, and why. False: not as
 * asked, and `why`. */
bool hth_vm_start_pager(enum hth_pager_choice asked, char *why, size_t why_bytes);
/* What hth_vm_show does to a span that it has mapped anew. 0 or errno. */
int hth_vm_adopt(uint64_t offset, uint64_t bytes);
void hth_vm_stop_pager(void);   /* hth_vm_release does it */
const char *hth_vm_pager(void); /* its name, for hearth-info */
int hth_vm_fault_signal(void);  /* SIGSEGV or SIGBUS: as what a fault on the view comes */

/* Set the view's protection of [offset, offset + bytes): an upper bound (vm/pager.h); a page may
 * fault all the same, and is then to be protected again. Any context. Ends the job if it cannot. */
void hth_vm_protect(uint64_t offset, uint64_t bytes, enum hth_view view);
/* The calling thread is about to serve a fault on this address (NULL: has served it): if a view is
 * set there meanwhile, it holds for this address when the thread goes on. */
void hth_vm_serving(const void *address);
/* Give the memory back; it reads as zero from then on. */
void hth_vm_punch(uint64_t offset, uint64_t bytes);

/* It is about to be written by the alias: have the memory, if there is none yet and it can be had.
 */
void hth_vm_populate(uint64_t offset, uint64_t bytes);

/* The first offset from `offset` on that has memory, or `end`. */
uint64_t hth_vm_next_used(uint64_t offset, uint64_t end);

/* Put private memory, zeroed and writable, in the view's place there; nobody may use the range as
 * shared memory meanwhile, on any PE. 0 or errno. */
int hth_vm_hide(uint64_t offset, uint64_t bytes);
/* Put the view back, inaccessible. Returns the private memory, now elsewhere, for
 * hth_vm_sparse_free. Ends the job if it cannot. */
void *hth_vm_show(uint64_t offset, uint64_t bytes);

/* Put the view of a span, inaccessible, over private memory at `at`, whole system pages of it. The
 * caller has saved what was there. 0 or errno. */
int hth_vm_graft(uint64_t offset, uint64_t bytes, void *at);
/* Put private memory, zeroed, back in its place. 0 or errno. */
int hth_vm_ungraft(void);

/* Anonymous zeroed memory that costs nothing until touched. NULL: none. */
void *hth_vm_sparse(uint64_t bytes);
void hth_vm_sparse_free(void *memory, uint64_t bytes);
/* Which of n system pages of such memory have been touched, one byte each: 1 if it has been or that
 * cannot be known, 0 if it has not, so that it reads as zero. */
void hth_vm_touched(const void *memory, uint64_t n, unsigned char *touched);

#endif
