/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A picture of the Mandelbrot set, painted by all PEs into shared memory, a byte a pixel.
 *
 * Some pixels take a thousand times as long as others, so the picture is cut into tasks, runs of
 * pixels, and a PE takes the next one from a counter when it is done with its own. Nobody knows
 * beforehand who paints what. Runs are shorter than a page and no multiple of a word, so that PEs
 * write bytes next to each other all the time, which is no race: each byte has one writer.
 */
#include "app_run.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 100000

struct settings {
    struct app_options app; /* first: app_argp is given this */
    uint64_t width;
    uint64_t height;
    uint64_t iterations;
    uint64_t task; /* pixels */
    double x;      /* the middle of the picture, and how much it spans */
    double y;
    double span;
    const char *output; /* NULL: no picture is written */
};

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

enum { KEY_TASK = 0x200, KEY_VIEW };

static const struct argp_option option_table[] = {
    {"size", 's', "WxH", 0, "Pixels (default 900x600)", 0},
    {"iterations", 'i', "N", 0, "At most so many iterations a pixel (default 1000)", 0},
    {"task", KEY_TASK, "N", 0, "Pixels that a PE takes at a time (default 997)", 0},
    {"view", KEY_VIEW, "X,Y,WIDTH", 0,
     "The point in the middle, and how far it is from left to right (default -0.65,0,3.3)", 0},
    {"output", 'o', "FILE", 0, "Write the picture as PNG", 0},
    {0}};

static error_t parse_size(const char *text, struct settings *settings, struct argp_state *state)
{
    int end = -1;

    if (sscanf(text, "%" SCNu64 "x%" SCNu64 "%n", &settings->width, &settings->height, &end) < 2 ||
        end < 0 || text[end] != '\0' || settings->width - 1 >= SIDE_MAX ||
        settings->height - 1 >= SIDE_MAX) {
        argp_error(state, "--size is '%s', but must be WxH with sides of 1 to %d", text, SIDE_MAX);
        return EINVAL;
    }
    return 0;
}

static error_t parse_view(const char *text, struct settings *settings, struct argp_state *state)
{
    int end = -1;

    if (sscanf(text, "%lf,%lf,%lf%n", &settings->x, &settings->y, &settings->span, &end) < 3 ||
        end < 0 || text[end] != '\0' || !isfinite(settings->x) || !isfinite(settings->y) ||
        !(settings->span > 0) || !isfinite(settings->span)) {
        argp_error(state, "--view is '%s', but must be X,Y,WIDTH, as in -0.65,0,3.3", text);
        return EINVAL;
    }
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct settings *settings = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        return app_share_input(state);
    case 's':
        return parse_size(arg, settings, state);
    case 'i':
        return app_parse_number(state, "iterations", arg, 1, UINT32_MAX, &settings->iterations);
    case KEY_TASK:
        return app_parse_number(state, "task", arg, 1, UINT32_MAX, &settings->task);
    case KEY_VIEW:
        return parse_view(arg, settings, state);
    case 'o':
        settings->output = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    option_table,
    parse_option,
    NULL,
    "Paint the Mandelbrot set in shared memory.\v"
    "HEARTH_PROTOCOL, HEARTH_CONSISTENCY and HEARTH_PAGE_BYTES override the options.",
    (const struct argp_child[]){{&app_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

/* ------------------------------------------------------------------------------------------ */
/* The picture                                                                                */

/* 0 inside of the set; else 1 to 255, by how soon the point escapes, in fractions of an iteration
   lest there be stripes. */
static uint8_t paint_pixel(const struct settings *settings, uint64_t pixel)
{
    double step = settings->span / (double)settings->width;
    double column = (double)(pixel % settings->width) - 0.5 * (double)(settings->width - 1);
    double row = (double)(pixel / settings->width) - 0.5 * (double)(settings->height - 1);
    double cx = settings->x + step * column, cy = settings->y - step * row;
    double x = 0, y = 0, xx = 0, yy = 0;
    uint64_t i = 0;

    while (xx + yy < 256 && i < settings->iterations) {
        y = 2 * x * y + cy;
        x = xx - yy + cx;
        xx = x * x;
        yy = y * y;
        i++;
    }
    if (xx + yy < 256)
        return 0;
    double escape = (double)i + 1 - log2(0.5 * log2(xx + yy));
    return (uint8_t)(1 + (uint64_t)(28 * sqrt(fmax(escape, 0))) % 255);
}

static void paint_run(const struct settings *settings, uint64_t first, uint64_t end,
                      uint8_t *pixels)
{
    for (uint64_t pixel = first; pixel < end; pixel++)
        pixels[pixel] = paint_pixel(settings, pixel);
}

/* Black, then once around from deep blue over white and gold. */
static void make_colours(uint8_t colours[256][3])
{
    memset(colours[0], 0, 3);
    for (int i = 1; i < 256; i++)
        for (int part = 0; part < 3; part++) {
            static const double phase[3] = {0.02, 0.10, 0.24};
            double turn = (i - 1) / 255.0 - 0.5 + phase[part];

            colours[i][part] = (uint8_t)(127.5 + 127.5 * cos(2 * M_PI * turn));
        }
}

static bool write_png(const struct settings *settings, const uint8_t *pixels)
{
    uint8_t colours[256][3];
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)settings->width,
                       .height = (png_uint_32)settings->height,
                       .format = PNG_FORMAT_RGB_COLORMAP,
                       .colormap_entries = 256};

    make_colours(colours);
    if (png_image_write_to_file(&image, settings->output, 0, pixels, 0, colours))
        return true;
    fprintf(stderr, "paint: cannot write %s: %s\n", settings->output, image.message);
    return false;
}

static bool verify(const struct settings *settings, const uint8_t *pixels)
{
    uint64_t n = settings->width * settings->height;

    for (uint64_t i = 0; i < n; i++) {
        uint8_t expected = paint_pixel(settings, i);

        if (pixels[i] != expected) {
            fprintf(stderr,
                    "paint: WRONG: first at column %" PRIu64 ", row %" PRIu64
                    ": is %d, should be %d\n",
                    i % settings->width, i / settings->width, pixels[i], expected);
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------------------ */
/* The run                                                                                    */

/* On PE 0: copy the picture out of shared memory (libpng must not be handed that), judge it. */
static bool finish(const struct settings *settings, const struct app_run *run,
                   const uint8_t *pixels)
{
    struct app_report report = app_report_make(run);
    size_t n = settings->width * settings->height;
    uint8_t *copy = app_private(malloc(n));

    memcpy(copy, pixels, n);
    report.right = !settings->app.verify || verify(settings, copy);
    bool written = settings->output == NULL || write_png(settings, copy);
    snprintf(report.problem, sizeof(report.problem), "%" PRIu64 " x %" PRIu64 " pixels",
             settings->width, settings->height);
    snprintf(report.result, sizeof(report.result), "checksum %016" PRIx64, app_hash(copy, n));
    free(copy);
    return app_print(&settings->app, &report) && report.right && written;
}

/* Returns the exit code, the same on all PEs. */
static int paint(const void *given)
{
    const struct settings *settings = given;
    uint64_t n = settings->width * settings->height;
    struct app_run run;

    app_run_init(&run, "paint", &settings->app, n + sizeof(struct hearth_counter), 2);
    uint8_t *pixels = app_malloc(&run, n);
    struct hearth_counter *next = app_malloc(&run, sizeof(*next));
    if (run.me == 0)
        app_check(hearth_counter_init(next, 0), "hearth_counter_init");
    app_begin(&run);
    struct hearth_counter mine = *next; /* a copy of the handle is the same counter */
    for (;;) {
        int64_t first = hearth_counter_fetch_add(&mine, (int64_t)settings->task);

        if (first == HEARTH_COUNTER_INVALID)
            app_give_up("hearth_counter_fetch_add");
        if ((uint64_t)first >= n)
            break;
        uint64_t end = (uint64_t)first + settings->task;
        paint_run(settings, (uint64_t)first, end < n ? end : n, pixels);
    }
    app_end(&run);
    int status = app_outcome(&run, run.me != 0 || finish(settings, &run, pixels));
    app_run_fini(&run);
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings = {.app.attr = HEARTH_REGION_ATTR_DEFAULT,
                                .width = 900,
                                .height = 600,
                                .iterations = 1000,
                                .task = 997,
                                .x = -0.65,
                                .span = 3.3};

    return app_start(argc, argv, &argp, &settings, &settings.app, paint);
}
