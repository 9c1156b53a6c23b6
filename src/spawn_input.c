/* SPDX-License-Identifier: BSD-3-Clause */
/* Standard input for all PEs of a replay: `stdin` becomes a stream of our own. PE 0's reads, and
 * writes each block that it read into a log in shared memory; the others' read the log, and wait
 * for the block if they are ahead. As in spawn.c, this is a program on top of the public API. */
#include <errno.h>
#include <hearth.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "region.h"
#include "spawn.h"

#define LOG_BYTES_MAX (UINT64_C(1) << 30) /* costs nothing until written */

struct block {
    int64_t bytes; /* 0: the end */
    char data[];
};

static struct {
    char *log;
    uint64_t bytes, at;         /* of the log; where this PE is in it */
    int64_t taken;              /* of the block there */
    bool in_block, on;          /* has that block been waited for? do the others want to know? */
    struct hearth_sema *blocks; /* by PE: how many are there for it */
} input;

static struct block *block_here(void)
{
    return (struct block *)(input.log + input.at);
}

static uint64_t length_of(int64_t bytes)
{
    return (sizeof(struct block) + (uint64_t)bytes + 7) / 8 * 8;
}

/* What PE 0 has read goes to all. */
static void tell(const char *data, int64_t bytes)
{
    if (input.at + length_of(bytes) + sizeof(struct block) > input.bytes) {
        hth_die("more than %llu bytes of standard input before hearth_spawn: raise "
                "HEARTH_HEAP_BYTES, or read a file",
                (unsigned long long)input.bytes);
    }
    block_here()->bytes = bytes;
    memcpy(block_here()->data, data, (size_t)bytes);
    input.at += length_of(bytes);
    for (int pe = 1; pe < hearth_n_pes(); pe++) {
        hearth_sema_post(&input.blocks[pe]);
    }
}

static ssize_t read_and_tell(void *unused, char *to, size_t bytes)
{
    (void)unused;
    ssize_t n;
    do {
        n = read(STDIN_FILENO, to, bytes);
    } while (n < 0 && errno == EINTR);
    if (input.on) {
        tell(to, n > 0 ? n : 0);
    }
    return n;
}

static ssize_t read_log(void *unused, char *to, size_t bytes)
{
    (void)unused;
    if (!input.on) {
        return 0;
    }
    if (!input.in_block) {
        hearth_sema_wait(&input.blocks[hearth_my_pe()]);
        input.in_block = true;
        input.taken = 0;
    }
    int64_t left = block_here()->bytes - input.taken;
    int64_t n = left < (int64_t)bytes ? left : (int64_t)bytes;
    memcpy(to, block_here()->data + input.taken, (size_t)n);
    input.taken += n;
    if (input.taken == block_here()->bytes) {
        input.at += length_of(input.taken);
        input.in_block = false;
    }
    return n;
}

int hth_input_start(void)
{
    int n = hearth_n_pes(), me = hearth_my_pe();
    if (n == 1) {
        return HEARTH_OK;
    }
    uint64_t heap = hth_job.config.heap_bytes;
    input.bytes = heap / 4 < LOG_BYTES_MAX ? heap / 4 : LOG_BYTES_MAX;
    input.log = hearth_malloc(input.bytes);
    input.blocks = hearth_malloc((size_t)n * sizeof *input.blocks);
    if (input.log == NULL || input.blocks == NULL) {
        return HEARTH_ENOMEM;
    }
    int rc = hearth_sema_init(&input.blocks[me], 0);
    FILE *stream =
        fopencookie(NULL, "r", (cookie_io_functions_t){.read = me == 0 ? read_and_tell : read_log});
    if (stream == NULL) {
        return hth_error(HEARTH_ESYS, "fopencookie: %s", strerror(errno));
    }
    stdin = stream;
    input.on = true;
    return rc;
}

void hth_input_stop(void)
{
    if (input.on && hearth_my_pe() == 0) {
        tell("", 0);
    }
    input.on = false;
}
