/* SPDX-License-Identifier: BSD-3-Clause */
/* What Hearth says: log lines, a thread's last error, and the last words of a job. */
#ifndef HTH_LOG_H
#define HTH_LOG_H

#include "config.h"

/* Who is speaking; -1 before that is known. */
void hth_log_start(int my_pe, enum hth_log_level level);

void hth_log(enum hth_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whatever HEARTH_LOG says: what was asked for. */
void hth_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Note the calling thread's last error and log it; returns `err`, so that callers can write
 * `return hth_error(HEARTH_EINVAL, "...")`. Logged where it is detected, once. */
int hth_error(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *hth_error_text(void);

/* How hth_die ends the job once the message is out; set by net/, which can end the other PEs. Does
 * not return. */
extern void (*hth_die_end)(void);

/* One message and a backtrace on standard error, then the end of the job. Any context. */
_Noreturn void hth_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
