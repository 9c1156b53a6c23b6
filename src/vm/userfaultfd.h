/* SPDX-License-Identifier: BSD-3-Clause */
/* userfaultfd on one mapping of a memfd: a view that the program faults on, by SIGBUS, and an alias
 * that is always writable. Apart from the pager so that the probe, the tests and bench/miss can
 * have a small one of their own. */
#ifndef HTH_VM_USERFAULTFD_H
#define HTH_VM_USERFAULTFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

struct hth_uffd {
    int fd; /* -1: none */
    uint8_t *view, *alias;
};

/* Take a view (mapped shared, PROT_READ | PROT_WRITE or to become that before it is touched, no
 * page of it touched yet) under control: it is HTH_VIEW_NONE all over. False, and `why`. */
bool hth_uffd_open(struct hth_uffd *uffd, uint8_t *view, uint8_t *alias, uint64_t bytes, char *why,
                   size_t why_bytes);
/* As the above does, for a span of the view that has been mapped anew. 0 or errno. */
int hth_uffd_register(int fd, uint8_t *start, uint64_t bytes);
/* Harmless on one that is not open. What is mapped stays; the rest becomes an ordinary mapping. */
void hth_uffd_close(struct hth_uffd *uffd);

/* As hth_pager.protect. */
void hth_uffd_protect(const struct hth_uffd *uffd, uint64_t offset, uint64_t bytes,
                      enum hth_view view, uint64_t wanted);

/* Map the page at `wanted`, which is unmapped, and those that follow, up to `end`, until one is in
 * the way; memory that was never touched is had for at most 64 KiB of them. How many bytes were
 * mapped: 0 if the page was mapped after all. */
uint64_t hth_uffd_map_wanted(const struct hth_uffd *uffd, uint64_t wanted, uint64_t end,
                             bool writable);

/* Does all of the above work here? Tried out on a mapping of its own, with real faults. False, and
 * `why`. Context: program, before Hearth's handlers are installed. */
bool hth_uffd_probe(char *why, size_t why_bytes);

#endif
