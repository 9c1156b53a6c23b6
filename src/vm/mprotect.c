/* SPDX-License-Identifier: BSD-3-Clause */
/* The mprotect pager: the view's protection is the VMA's. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "log.h"
#include "vm/vm.h"

static int protection(enum hth_view view)
{
    switch (view) {
    case HTH_VIEW_NONE:
        return PROT_NONE;
    case HTH_VIEW_READ:
        return PROT_READ;
    case HTH_VIEW_WRITE:
        return PROT_READ | PROT_WRITE;
    }
    return PROT_NONE;
}

const char *hth_vm_pager(void)
{
    return "mprotect";
}

void hth_vm_protect(uint64_t offset, uint64_t bytes, enum hth_view view)
{
    if (mprotect(hth_vm.view + offset, bytes, protection(view)) == 0) {
        return;
    }
    if (errno == ENOMEM) {
        hth_die("mprotect: %s: the pages' protections alternate so often that the kernel is out of "
                "mappings (vm.max_map_count, mostly 65530). Raise it (sysctl -w "
                "vm.max_map_count=1000000), or use larger pages (HEARTH_PAGE_BYTES=65536)",
                strerror(errno));
    }
    hth_die("mprotect of %llu bytes: %s", (unsigned long long)bytes, strerror(errno));
}
