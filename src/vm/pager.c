/* SPDX-License-Identifier: BSD-3-Clause */
/* Which pager keeps the views. */
#include "vm/pager.h"

#include <stdio.h>

#include "log.h"
#include "vm/vm.h"

/* Set once, at the start, before there is a page to protect. */
static const struct hth_pager *pager = &hth_pager_mprotect;

/* The address on which the thread has faulted; NULL: it is not serving a fault. */
static _Thread_local const void *faulted_on;

bool hth_vm_start_pager(enum hth_pager_choice asked, char *why, size_t why_bytes)
{
    char reason[160] = "as HEARTH_PAGER asks";
    pager = &hth_pager_mprotect;
    if (asked != HTH_PAGER_MPROTECT) {
        if (hth_pager_userfaultfd.start(reason, sizeof reason)) {
            pager = &hth_pager_userfaultfd;
            hth_log(HTH_LOG_INFO, "pager: userfaultfd, which a probe found to work here");
            return true;
        }
        if (asked == HTH_PAGER_USERFAULTFD) {
            snprintf(why, why_bytes,
                     "HEARTH_PAGER=userfaultfd cannot work here: %s. HEARTH_PAGER=auto takes "
                     "mprotect instead",
                     reason);
            return false;
        }
    }
    hth_log(HTH_LOG_INFO, "pager: mprotect: %s", reason);
    return pager->start(why, why_bytes);
}

int hth_vm_adopt(uint64_t offset, uint64_t bytes)
{
    return pager->adopt(offset, bytes);
}

void hth_vm_stop_pager(void)
{
    pager->stop();
    pager = &hth_pager_mprotect;
}

const char *hth_vm_pager(void)
{
    return pager->name;
}

int hth_vm_fault_signal(void)
{
    return pager->fault_signal;
}

void hth_vm_serving(const void *address)
{
    faulted_on = address;
}

void hth_vm_protect(uint64_t offset, uint64_t bytes, enum hth_view view)
{
    uint64_t wanted = (uint64_t)((uintptr_t)faulted_on - (uintptr_t)hth_vm.view);
    if (offset - hth_graft.offset < hth_graft.bytes) { /* its last page may not be a whole one */
        uint64_t left = hth_graft.offset + hth_graft.bytes - offset;
        bytes = bytes < left ? bytes : left;
    }
    pager->protect(offset, bytes, view, wanted - offset < bytes ? wanted : HTH_NOT_WANTED);
}
