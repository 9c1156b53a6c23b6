/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int speaker = -1;
static enum hth_log_level threshold = HTH_LOG_ERROR;
static _Thread_local char last_error[512];
static atomic_flag dying = ATOMIC_FLAG_INIT;

static void end_alone(void)
{
    abort();
}
void (*hth_die_end)(void) = end_alone;

void hth_log_start(int my_pe, enum hth_log_level level)
{
    speaker = my_pe;
    threshold = level;
    void *warm_up[1];
    backtrace(warm_up, 1); /* loads the unwinder now: not in a fault handler */
}

/* One write(2) a line: lines of several PEs do not mix, and a handler may call it. */
static void say(const char *format, va_list args)
{
    char line[1024];
    int n = speaker < 0 ? snprintf(line, sizeof line, "hearth: ")
                        : snprintf(line, sizeof line, "hearth: PE %d: ", speaker);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    size_t len = (size_t)n + (m > 0 ? (size_t)m : 0);
    len = len < sizeof line - 1 ? len : sizeof line - 2;
    line[len] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len + 1);
    (void)ignored;
}

void hth_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void hth_log(enum hth_log_level level, const char *format, ...)
{
    if (level > threshold) {
        return;
    }
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

int hth_error(int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    hth_log(HTH_LOG_ERROR, "%s", last_error);
    return err;
}

const char *hth_error_text(void)
{
    return last_error;
}

_Noreturn void hth_die(const char *format, ...)
{
    if (atomic_flag_test_and_set(&dying)) {
        for (;;) {
            pause(); /* one message a PE: the thread that came first ends us */
        }
    }
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    void *frames[64];
    int n = backtrace(frames, 64);
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
    hth_die_end();
    abort();
}
