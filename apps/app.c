/* SPDX-License-Identifier: BSD-3-Clause */
#include "app.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

enum { KEY_VERIFY = 0x100, KEY_CSV, KEY_USAGE, KEY_PAGE_BYTES };

static const struct argp_option plain_table[] = {
    {"verify", KEY_VERIFY, NULL, 0,
     "Let one PE compute the same by itself and compare; the exit code tells", 0},
    {"csv", KEY_CSV, NULL, 0,
     "Print one line for machines: program, protocol, consistency, pes, problem, seconds, "
     "wait_seconds, read_misses, write_faults, bytes_out, bytes_in, messages, result, verified",
     0},
    {"help", 'h', NULL, 0, "Print this help", -1},
    {"usage", KEY_USAGE, NULL, 0, "Print a short form of it", -1},
    {0}};

static const struct argp_option shared_table[] = {
    {"protocol", 'p', "invalidate|update", 0,
     "What a release does to the copies of changed pages (default invalidate)", 0},
    {"consistency", 'c', "release|sequential", 0, "The region's consistency (default release)", 0},
    {"page-bytes", KEY_PAGE_BYTES, "N", 0,
     "Unit of coherence, a power of two from the OS page up (default the OS page)", 0},
    {0}};

static error_t parse_plain(int key, char *arg, struct argp_state *state)
{
    struct app_options *options = state->input;

    (void)arg;
    switch (key) {
    case KEY_VERIFY:
        options->verify = true;
        return 0;
    case KEY_CSV:
        options->csv = true;
        return 0;
    case 'h':
    case KEY_USAGE:
        /* Not argp's own: they exit, and a PE that exits alone takes the job with it. */
        options->help = true;
        argp_state_help(state, state->out_stream,
                        (key == 'h' ? ARGP_HELP_STD_HELP : ARGP_HELP_USAGE) & ~ARGP_HELP_EXIT_OK);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_shared(int key, char *arg, struct argp_state *state)
{
    struct app_options *options = state->input;
    uint64_t number;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options;
        return 0;
    case 'p':
        if (strcmp(arg, "invalidate") != 0 && strcmp(arg, "update") != 0) {
            argp_error(state, "--protocol is '%s', but must be invalidate or update", arg);
            return EINVAL;
        }
        options->attr.protocol = *arg == 'u' ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
        return 0;
    case 'c':
        if (strcmp(arg, "release") != 0 && strcmp(arg, "sequential") != 0) {
            argp_error(state, "--consistency is '%s', but must be release or sequential", arg);
            return EINVAL;
        }
        options->attr.consistency = *arg == 's' ? HEARTH_SEQUENTIAL : HEARTH_RELEASE;
        return 0;
    case KEY_PAGE_BYTES:
        /* Whether it is a good number is for the library to say. */
        if (app_parse_number(state, "page-bytes", arg, 1, SIZE_MAX, &number) != 0)
            return EINVAL;
        options->attr.page_bytes = number;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp app_plain_argp = {plain_table, parse_plain, NULL, NULL, NULL, NULL, NULL};

const struct argp app_argp = {shared_table,
                              parse_shared,
                              NULL,
                              NULL,
                              (const struct argp_child[]){{&app_plain_argp, 0, NULL, 0}, {0}},
                              NULL,
                              NULL};

int app_parse(const struct argp *argp, int argc, char **argv, bool speaks, void *input)
{
    unsigned flags = ARGP_NO_EXIT | ARGP_NO_HELP | (speaks ? 0 : ARGP_NO_ERRS);

    return argp_parse(argp, argc, argv, flags, NULL, input) == 0 ? 0 : EX_USAGE;
}

error_t app_share_input(struct argp_state *state)
{
    for (size_t i = 0; state->root_argp->children[i].argp != NULL; i++)
        state->child_inputs[i] = state->input;
    return 0;
}

error_t app_parse_nothing(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    return key == ARGP_KEY_INIT ? app_share_input(state) : ARGP_ERR_UNKNOWN;
}

error_t app_parse_number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                         uint64_t max, uint64_t *value_out)
{
    char *end;

    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value < min || value > max) {
        argp_error(state, "--%s is '%s', but must be a number from %" PRIu64 " to %" PRIu64, name,
                   text, min, max);
        return EINVAL;
    }
    *value_out = value;
    return 0;
}

/* ------------------------------------------------------------------------------------------ */
/* Shares                                                                                     */

size_t app_page_bytes(const struct app_options *options)
{
    const char *variable = getenv("HEARTH_PAGE_BYTES");
    size_t page_bytes = variable != NULL ? strtoull(variable, NULL, 0) : options->attr.page_bytes;

    return page_bytes != 0 ? page_bytes : (size_t)sysconf(_SC_PAGESIZE);
}

struct app_items app_share(size_t count, size_t item_bytes, size_t page_bytes, int i, int n)
{
    size_t pages = (count * item_bytes + page_bytes - 1) / page_bytes;
    size_t first = pages * (size_t)i / (size_t)n * page_bytes;
    size_t end = pages * ((size_t)i + 1) / (size_t)n * page_bytes;
    struct app_items items = {(first + item_bytes - 1) / item_bytes,
                              (end + item_bytes - 1) / item_bytes};

    if (items.end > count)
        items.end = count;
    if (items.first > items.end)
        items.first = items.end;
    return items;
}

bool app_read_error(char *error, const char *path, size_t line_number, const char *format, ...)
{
    char words[APP_ERROR_BYTES - 128];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    snprintf(error, APP_ERROR_BYTES, "%.100s, line %zu: %s", path, line_number, words);
    return false;
}

double app_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The last steps of Steele, Lea and Flood's SplitMix64 (OOPSLA 2014). */
uint64_t app_random(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t app_hash(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

/* ------------------------------------------------------------------------------------------ */
/* The report                                                                                 */

static void print_csv(const struct app_report *report, const char *verdict)
{
    const struct hearth_stats *spent = &report->spent;

    printf("%s,%s,%s,%d,%s,%.6f,%.6f", report->program, report->protocol, report->consistency,
           report->pes, report->problem, report->seconds, report->wait_seconds);
    printf(",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%s\n",
           spent->read_misses, spent->write_faults, spent->bytes_out, spent->bytes_in,
           spent->messages, report->result, verdict);
}

static void print_for_people(const struct app_report *report, const char *verdict)
{
    const struct hearth_stats *spent = &report->spent;
    const char *program = report->program;

    printf("%s: %s on %d PEs, %s, %s: %.4f s, of which a PE waited %.4f s\n", program,
           report->problem, report->pes, report->protocol, report->consistency, report->seconds,
           report->wait_seconds);
    printf("%s: %" PRIu64 " read misses, %" PRIu64 " write faults, %.2f MiB out, %.2f MiB in, "
           "%" PRIu64 " messages\n",
           program, spent->read_misses, spent->write_faults, (double)spent->bytes_out / (1 << 20),
           (double)spent->bytes_in / (1 << 20), spent->messages);
    printf("%s: %s, verified: %s\n", program, report->result, verdict);
}

bool app_print(const struct app_options *options, const struct app_report *report)
{
    const char *verdict = !options->verify ? "-" : report->right ? "yes" : "NO";

    if (options->csv)
        print_csv(report, verdict);
    else
        print_for_people(report, verdict);
    bool printed = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (!printed)
        fprintf(stderr, "%s: cannot print the report: %s\n", report->program, strerror(errno));
    return printed;
}
