/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams: libc hands large buffers straight to the kernel, holding the stream's lock. A stream is
 * a sequence of bytes, so it may go a part at a time. What libc only loads and stores (fgets, getc,
 * scanf, printf of short strings) needs no help. */
#undef _FORTIFY_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wrap/system.h"

/* Macros, in some libcs. */
#undef fread_unlocked
#undef fwrite_unlocked
#undef fputs_unlocked

#define PART_BYTES ((size_t)1 << 18)

size_t __fread_chk(void *ptr, size_t ptr_bytes, size_t size, size_t n, FILE *stream);
size_t __fread_unlocked_chk(void *ptr, size_t ptr_bytes, size_t size, size_t n, FILE *stream);

/* In bytes; false: more than there are. */
static bool total_of(size_t size, size_t n, size_t *total_out)
{
    return !__builtin_mul_overflow(size, n, total_out) && *total_out > 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Under the stream's lock. Returns bytes; errno is kept. */
static size_t read_parts(char *to, size_t bytes, FILE *stream)
{
    size_t done = 0;
    char *part = hth_system_begin(least(bytes, PART_BYTES));
    while (part != NULL && done < bytes) {
        size_t wanted = least(bytes - done, PART_BYTES);
        size_t got = HTH_NEXT(fread_unlocked)(part, 1, wanted, stream);
        int error = errno;
        memcpy(to + done, part, got);
        errno = error;
        done += got;
        if (got < wanted) {
            break;
        }
    }
    hth_system_end(part, 0);
    return done;
}

static size_t write_parts(const char *from, size_t bytes, FILE *stream)
{
    size_t done = 0;
    char *part = hth_system_begin(least(bytes, PART_BYTES));
    while (part != NULL && done < bytes) {
        size_t wanted = least(bytes - done, PART_BYTES);
        int error = errno;
        memcpy(part, from + done, wanted);
        errno = error;
        size_t put = HTH_NEXT(fwrite_unlocked)(part, 1, wanted, stream);
        done += put;
        if (put < wanted) {
            break;
        }
    }
    hth_system_end(part, 0);
    return done;
}

size_t fread_unlocked(void *ptr, size_t size, size_t n, FILE *stream)
{
    size_t bytes;
    if (!hth_wrap_shared(ptr) || !total_of(size, n, &bytes)) {
        return HTH_NEXT(fread_unlocked)(ptr, size, n, stream);
    }
    return read_parts(ptr, bytes, stream) / size;
}

size_t fread(void *ptr, size_t size, size_t n, FILE *stream)
{
    size_t bytes;
    if (!hth_wrap_shared(ptr) || !total_of(size, n, &bytes)) {
        return HTH_NEXT(fread)(ptr, size, n, stream);
    }
    flockfile(stream);
    size_t done = read_parts(ptr, bytes, stream);
    funlockfile(stream);
    return done / size;
}

size_t __fread_chk(void *ptr, size_t ptr_bytes, size_t size, size_t n, FILE *stream)
{
    size_t bytes;
    if (!hth_wrap_shared(ptr) || !total_of(size, n, &bytes) || bytes > ptr_bytes) {
        return HTH_NEXT(__fread_chk)(ptr, ptr_bytes, size, n, stream);
    }
    return fread(ptr, size, n, stream);
}

size_t __fread_unlocked_chk(void *ptr, size_t ptr_bytes, size_t size, size_t n, FILE *stream)
{
    size_t bytes;
    if (!hth_wrap_shared(ptr) || !total_of(size, n, &bytes) || bytes > ptr_bytes) {
        return HTH_NEXT(__fread_unlocked_chk)(ptr, ptr_bytes, size, n, stream);
    }
    return fread_unlocked(ptr, size, n, stream);
}

size_t fwrite_unlocked(const void *ptr, size_t size, size_t n, FILE *stream)
{
    size_t bytes;
    if (!hth_wrap_shared(ptr) || !total_of(size, n, &bytes)) {
        return HTH_NEXT(fwrite_unlocked)(ptr, size, n, stream);
    }
    return write_parts(ptr, bytes, stream) / size;
}

size_t fwrite(const void *ptr, size_t size, size_t n, FILE *stream)
{
    size_t bytes;
    if (!hth_wrap_shared(ptr) || !total_of(size, n, &bytes)) {
        return HTH_NEXT(fwrite)(ptr, size, n, stream);
    }
    flockfile(stream);
    size_t done = write_parts(ptr, bytes, stream);
    funlockfile(stream);
    return done / size;
}

int fputs_unlocked(const char *text, FILE *stream)
{
    if (!hth_wrap_shared(text)) {
        return HTH_NEXT(fputs_unlocked)(text, stream);
    }
    size_t bytes = strlen(text);
    return write_parts(text, bytes, stream) == bytes ? 1 : EOF;
}

int fputs(const char *text, FILE *stream)
{
    if (!hth_wrap_shared(text)) {
        return HTH_NEXT(fputs)(text, stream);
    }
    flockfile(stream);
    int rc = fputs_unlocked(text, stream);
    funlockfile(stream);
    return rc;
}

int puts(const char *text)
{
    if (!hth_wrap_shared(text)) {
        return HTH_NEXT(puts)(text);
    }
    flockfile(stdout);
    int rc = fputs_unlocked(text, stdout);
    rc = rc == EOF ? EOF : putc_unlocked('\n', stdout);
    funlockfile(stdout);
    return rc == EOF ? EOF : 1;
}
