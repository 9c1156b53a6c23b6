/* SPDX-License-Identifier: BSD-3-Clause */
#include <hearth.h>

#include "log.h"

const char *hearth_strerror(int err)
{
    switch ((enum hearth_err)err) {
    case HEARTH_OK:
        return "success";
    case HEARTH_EINVAL:
        return "invalid argument";
    case HEARTH_ENOMEM:
        return "out of memory, addresses or table entries";
    case HEARTH_ENOTSUP:
        return "not supported";
    case HEARTH_ESTATE:
        return "not initialised, or initialised twice";
    case HEARTH_EMPI:
        return "an MPI call failed";
    case HEARTH_EMISMATCH:
        return "PEs called a collective with different arguments";
    case HEARTH_EBUSY:
        return "held or waited for by somebody else, or nothing there to take";
    case HEARTH_EDEADLK:
        return "this thread already holds the lock";
    case HEARTH_EPERM:
        return "this PE does not hold the lock";
    case HEARTH_EADDR:
        return "not the address of such an allocation";
    case HEARTH_ESYS:
        return "a system call failed";
    }
    return "unknown error code";
}

const char *hearth_error_message(void)
{
    return hth_error_text();
}
