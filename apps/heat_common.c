/* SPDX-License-Identifier: BSD-3-Clause */
#include "heat_common.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

/* More than this in one direction is a typing error, or a field that fits no machine. */
#define SIDE_MAX 1000000ul

/* gcc's -O2 does not vectorise loops of unknown length; clang's does. */
#if defined(__GNUC__) && !defined(__clang__)
#define VECTORISED __attribute__((optimize("O3")))
#else
#define VECTORISED
#endif

/*
 * Compiled here once, out of line, for the shared-memory program, the message-passing program and
 * the serial check: so all three round alike, whatever the compiler makes of the expression, and
 * their results can be compared bit for bit. The length of a row is work enough for a call.
 */
VECTORISED void heat_row(double *restrict out, const double *restrict above,
                         const double *restrict middle, const double *restrict below, size_t width)
{
    for (size_t x = 1; x + 1 < width; x++)
        out[x] = 0.25 * ((above[x] + below[x]) + (middle[x - 1] + middle[x + 1]));
}

struct heat_rows heat_share(size_t height, int i, int n)
{
    return (struct heat_rows){.first = height * (size_t)i / (size_t)n,
                              .end = height * ((size_t)i + 1) / (size_t)n};
}

struct heat_rows heat_inner_rows(struct heat_rows rows, size_t height)
{
    if (rows.first == 0)
        rows.first = 1;
    if (rows.end == height)
        rows.end = height - 1;
    if (rows.end < rows.first)
        rows.end = rows.first;
    return rows;
}

double heat_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

enum { KEY_VERIFY = 0x100, KEY_CSV, KEY_GREY, KEY_USAGE };

static const struct argp_option option_table[] = {
    {"size", 's', "N|WxH", 0, "Stretch or shrink the picture to this size first", 0},
    {"steps", 'n', "N", 0, "Steps to iterate (default 400)", 0},
    {"output", 'o', "FILE", 0, "Write the result as a PNG picture", 0},
    {"grey", KEY_GREY, NULL, 0, "Write it in greys, not in the colours of a glowing body", 0},
    {"verify", KEY_VERIFY, NULL, 0,
     "Let one PE compute the same by itself and compare, bit for bit; the exit code tells", 0},
    {"csv", KEY_CSV, NULL, 0,
     "Print one line for machines: program, protocol, pes, width, height, steps, seconds, "
     "read_misses, write_faults, bytes_moved, messages, first_step_seconds, checksum, verified, "
     "consistency, bytes_out, bytes_in, pages_fetched, diffs, stale_notices, invalidations, "
     "updates",
     0},
    {"help", 'h', NULL, 0, "Print this help", -1},
    {"usage", KEY_USAGE, NULL, 0, "Print a short form of it", -1},
    {0}};

/* A number from 1, or 0 if it is none; *end_out is behind it. */
static size_t parse_side(const char *text, const char **end_out)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *end_out = end;
    return errno != 0 || *text < '0' || *text > '9' || value > SIDE_MAX ? 0 : value;
}

static error_t parse_size(const char *text, struct heat_options *options, struct argp_state *state)
{
    const char *end;

    options->width = parse_side(text, &end);
    options->height = options->width;
    if (*end == 'x')
        options->height = parse_side(end + 1, &end);
    if (*end != '\0' || options->width < 3 || options->height < 3) {
        argp_error(state, "--size is '%s', but must be N or WxH with sides of 3 to %lu", text,
                   SIDE_MAX);
        return EINVAL;
    }
    return 0;
}

static error_t parse_steps(const char *text, struct heat_options *options, struct argp_state *state)
{
    char *end;

    errno = 0;
    options->steps = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || options->steps < 0) {
        argp_error(state, "--steps is '%s', but must be a number from 0", text);
        return EINVAL;
    }
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct heat_options *options = state->input;

    switch (key) {
    case 's':
        return parse_size(arg, options, state);
    case 'n':
        return parse_steps(arg, options, state);
    case 'o':
        options->output = arg;
        return 0;
    case KEY_VERIFY:
        options->verify = true;
        return 0;
    case KEY_CSV:
        options->csv = true;
        return 0;
    case KEY_GREY:
        options->grey = true;
        return 0;
    case 'h':
    case KEY_USAGE:
        /* Not argp's own: they exit, and a PE that exits alone takes the job with it. */
        options->help = true;
        argp_state_help(state, state->out_stream,
                        (key == 'h' ? ARGP_HELP_STD_HELP : ARGP_HELP_USAGE) & ~ARGP_HELP_EXIT_OK);
        return 0;
    case ARGP_KEY_ARG:
        if (options->input != NULL) {
            argp_error(state, "one picture is enough, but there are '%s' and '%s'", options->input,
                       arg);
            return EINVAL;
        }
        options->input = arg;
        return 0;
    case ARGP_KEY_END:
        if (options->input == NULL && !options->help) {
            argp_error(state, "which picture? Give a PGM file, such as apps/hearth.pgm");
            return EINVAL;
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp heat_argp = {option_table, parse_option, "PICTURE.pgm", NULL, NULL, NULL, NULL};

int heat_parse(const struct argp *argp, int argc, char **argv, bool speaks, void *input)
{
    unsigned flags = ARGP_NO_EXIT | ARGP_NO_HELP | (speaks ? 0 : ARGP_NO_ERRS);

    return argp_parse(argp, argc, argv, flags, NULL, input) == 0 ? 0 : EX_USAGE;
}

bool heat_load(struct heat_options *options, char error[HEAT_ERROR_BYTES],
               struct heat_picture *picture_out)
{
    if (!heat_picture_read(options->input, error, picture_out))
        return false;
    if (options->width != 0)
        return true;
    options->width = picture_out->width;
    options->height = picture_out->height;
    if (options->width >= 3 && options->height >= 3)
        return true;
    snprintf(error, HEAT_ERROR_BYTES,
             "%s: %zu x %zu pixels have no inside to heat: stretch the picture with --size",
             options->input, options->width, options->height);
    heat_picture_fini(picture_out);
    return false;
}

/* ------------------------------------------------------------------------------------------ */
/* The end                                                                                    */

/* Fowler, Noll and Vo's hash, 64 bits: the same field gives the same number on any machine. */
static uint64_t checksum(const double *field, size_t points)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < points; i++) {
        uint64_t bits;

        memcpy(&bits, &field[i], sizeof(bits));
        for (unsigned shift = 0; shift < 64; shift += 8)
            hash = (hash ^ (bits >> shift & 0xff)) * 0x100000001b3u;
    }
    return hash;
}

/* The same steps on one PE in private memory. Returns the field, to be freed, or NULL. */
static double *compute_serially(const struct heat_options *options,
                                const struct heat_picture *picture)
{
    size_t width = options->width;
    double *now = malloc(width * options->height * sizeof(*now));
    double *next = malloc(width * options->height * sizeof(*next));

    if (now == NULL || next == NULL) {
        free(now);
        free(next);
        return NULL;
    }
    for (size_t y = 0; y < options->height; y++)
        heat_picture_row(picture, width, options->height, y, now + y * width);
    memcpy(next, now, width * options->height * sizeof(*next));
    for (long step = 0; step < options->steps; step++) {
        for (size_t y = 1; y + 1 < options->height; y++)
            heat_row(next + y * width, now + (y - 1) * width, now + y * width,
                     now + (y + 1) * width, width);
        double *swap = now;
        now = next;
        next = swap;
    }
    free(next);
    return now;
}

static bool verify(const struct heat_options *options, const struct heat_picture *picture,
                   const double *field, const char *program)
{
    size_t points = options->width * options->height;
    double *expected = compute_serially(options, picture);
    size_t i = 0;

    if (expected == NULL) {
        fprintf(stderr, "%s: no memory for two private fields of %zu x %zu: try without --verify\n",
                program, options->width, options->height);
        return false;
    }
    /* By bits: -0 is not 0 here. */
    while (i < points && memcmp(&field[i], &expected[i], sizeof(*field)) == 0)
        i++;
    if (i < points)
        fprintf(stderr, "%s: WRONG: first at column %zu, row %zu: is %a, should be %a\n", program,
                i % options->width, i / options->width, field[i], expected[i]);
    free(expected);
    return i == points;
}

static void print_csv(const struct heat_options *options, const struct heat_report *report,
                      uint64_t hash, const char *verdict)
{
    printf("%s,%s,%d,%zu,%zu,%ld,%.6f", report->program, report->protocol, report->pes,
           options->width, options->height, options->steps, report->seconds);
    printf(",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, report->read_misses,
           report->write_faults, report->bytes_out + report->bytes_in, report->messages);
    printf(",%.6f,%016" PRIx64 ",%s,%s", report->first_step_seconds, hash, verdict,
           report->consistency);
    printf(",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
           report->bytes_out, report->bytes_in, report->pages_fetched, report->diffs,
           report->stale_notices, report->invalidations, report->updates);
}

static void print_for_people(const struct heat_options *options, const struct heat_report *report,
                             uint64_t hash, const char *verdict)
{
    printf("%s: %zu x %zu points, %ld steps on %d PEs, %s: %.3f s, the first step %.3f s\n",
           report->program, options->width, options->height, options->steps, report->pes,
           report->protocol, report->seconds, report->first_step_seconds);
    printf("%s: %" PRIu64 " read misses, %" PRIu64 " write faults, %.2f MiB moved, %" PRIu64
           " messages\n",
           report->program, report->read_misses, report->write_faults,
           (double)(report->bytes_out + report->bytes_in) / (1 << 20), report->messages);
    printf("%s: checksum %016" PRIx64 ", verified: %s\n", report->program, hash, verdict);
}

bool heat_finish(const struct heat_options *options, const struct heat_picture *picture,
                 const double *field, const struct heat_report *report)
{
    char error[HEAT_ERROR_BYTES];
    bool right = !options->verify || verify(options, picture, field, report->program);
    bool written =
        options->output == NULL || heat_picture_write(options->output, field, options->width,
                                                      options->height, options->grey, error);
    const char *verdict = !options->verify ? "-" : right ? "yes" : "NO";
    uint64_t hash = checksum(field, options->width * options->height);

    if (!written)
        fprintf(stderr, "%s: %s\n", report->program, error);
    if (options->csv)
        print_csv(options, report, hash, verdict);
    else
        print_for_people(options, report, hash, verdict);
    bool printed = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (!printed)
        fprintf(stderr, "%s: cannot print the report: %s\n", report->program, strerror(errno));
    return right && written && printed;
}
