/* SPDX-License-Identifier: BSD-3-Clause */
#include "heat_picture.h"

#include <errno.h>
#include <limits.h>
#include <png.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A PGM file in memory, and how far it has been read. */
struct pgm {
    const char *path;
    unsigned char *bytes;
    size_t len;
    size_t at;
    char *error; /* HEAT_ERROR_BYTES of room */
};

/* Always false, so that a caller can return it. */
__attribute__((format(printf, 2, 3))) static bool refuse(struct pgm *pgm, const char *format, ...)
{
    va_list args;
    int len = snprintf(pgm->error, HEAT_ERROR_BYTES, "%s: ", pgm->path);

    if (len >= 0 && len < HEAT_ERROR_BYTES) {
        va_start(args, format);
        vsnprintf(pgm->error + len, HEAT_ERROR_BYTES - (size_t)len, format, args);
        va_end(args);
    }
    return false;
}

/* Read to the end instead of asking for the size: the picture may come through a pipe. */
static bool slurp(struct pgm *pgm, FILE *file)
{
    size_t room = 0;

    for (;;) {
        if (pgm->len == room) {
            size_t more = room == 0 ? 1u << 20 : room * 2;
            unsigned char *grown = realloc(pgm->bytes, more);

            if (grown == NULL)
                return refuse(pgm, "no memory for %zu bytes of picture: use a smaller one", more);
            pgm->bytes = grown;
            room = more;
        }
        size_t got = fread(pgm->bytes + pgm->len, 1, room - pgm->len, file);
        if (got == 0)
            break;
        pgm->len += got;
    }
    if (ferror(file))
        return refuse(pgm, "cannot be read: %s", strerror(errno));
    return true;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* From a # up to the end of its line. */
static void skip_comment(struct pgm *pgm)
{
    while (pgm->at < pgm->len && pgm->bytes[pgm->at] != '\n' && pgm->bytes[pgm->at] != '\r')
        pgm->at++;
}

static void skip_blank(struct pgm *pgm)
{
    while (pgm->at < pgm->len) {
        if (pgm->bytes[pgm->at] == '#')
            skip_comment(pgm);
        else if (is_space(pgm->bytes[pgm->at]))
            pgm->at++;
        else
            return;
    }
}

/* The next decimal number, which must lie in min..max; `what` names it in the error. */
static bool read_number(struct pgm *pgm, const char *what, unsigned long min, unsigned long max,
                        unsigned long *value_out)
{
    unsigned long value = 0;

    skip_blank(pgm);
    size_t start = pgm->at;
    while (pgm->at < pgm->len && pgm->bytes[pgm->at] >= '0' && pgm->bytes[pgm->at] <= '9') {
        unsigned digit = pgm->bytes[pgm->at++] - '0';
        value = value > (ULONG_MAX - digit) / 10 ? ULONG_MAX : value * 10 + digit;
    }
    if (start == pgm->len)
        return refuse(pgm, "ends before the %s: the file is cut short, get it anew", what);
    if (pgm->at == start)
        return refuse(pgm,
                      "the %s at byte %zu begins with 0x%02x, not a digit: save it as PGM anew",
                      what, start, pgm->bytes[start]);
    if (value < min || value > max)
        return refuse(pgm, "the %s at byte %zu is %lu, not %lu to %lu: save it as PGM anew", what,
                      start, value, min, max);
    *value_out = value;
    return true;
}

static bool read_text(struct pgm *pgm, const struct heat_picture *picture, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        unsigned long value;
        char what[80];

        snprintf(what, sizeof(what), "grey of column %zu, row %zu", i % picture->width,
                 i / picture->width);
        if (!read_number(pgm, what, 0, picture->max_grey, &value))
            return false;
        picture->grey[i] = (uint16_t)value;
    }
    return true;
}

static bool read_binary(struct pgm *pgm, const struct heat_picture *picture, size_t pixels)
{
    bool wide = picture->max_grey > 255;
    const unsigned char *raw = pgm->bytes + pgm->at;

    for (size_t i = 0; i < pixels; i++) {
        unsigned value = wide ? (unsigned)raw[2 * i] << 8 | raw[2 * i + 1] : raw[i];

        if (value > picture->max_grey)
            return refuse(pgm,
                          "the grey of column %zu, row %zu is %u, more than its white, %u: save it "
                          "as PGM anew",
                          i % picture->width, i / picture->width, value, picture->max_grey);
        picture->grey[i] = (uint16_t)value;
    }
    return true;
}

/* The numbers before the pixels; leaves pgm->at on the first pixel. */
static bool read_header(struct pgm *pgm, bool *text_out, struct heat_picture *picture)
{
    unsigned long width, height, max_grey;

    if (pgm->len < 2 || pgm->bytes[0] != 'P' || (pgm->bytes[1] != '5' && pgm->bytes[1] != '2'))
        return refuse(pgm, "begins with neither P5 nor P2, so it is not a grey PGM picture: "
                           "convert it, for example with 'magick in.png -colorspace gray out.pgm'");
    *text_out = pgm->bytes[1] == '2';
    pgm->at = 2;
    if (!read_number(pgm, "width", 1, INT_MAX, &width) ||
        !read_number(pgm, "height", 1, INT_MAX, &height) ||
        !read_number(pgm, "maximum grey", 1, 65535, &max_grey))
        return false;
    /* One byte of white space, and only one: the next may be a pixel that looks like a space. It
       may be the one that ends a comment. */
    if (pgm->at < pgm->len && pgm->bytes[pgm->at] == '#')
        skip_comment(pgm);
    if (pgm->at < pgm->len) {
        if (!is_space(pgm->bytes[pgm->at]))
            return refuse(pgm,
                          "has 0x%02x after the maximum grey at byte %zu, not white space: "
                          "save it as PGM anew",
                          pgm->bytes[pgm->at], pgm->at);
        pgm->at++;
    }
    picture->width = width;
    picture->height = height;
    picture->max_grey = (unsigned)max_grey;
    return true;
}

static bool read_pgm(struct pgm *pgm, struct heat_picture *picture)
{
    bool text = false;

    if (!read_header(pgm, &text, picture))
        return false;
    /* Held against the file's length before any memory is asked for: a broken header must not
       make us allocate the moon. A text pixel takes a digit and a space, bar the last space. */
    size_t pixel_bytes = text || picture->max_grey > 255 ? 2 : 1;
    size_t pixels = picture->width * picture->height;
    size_t need = pixels * pixel_bytes - (text ? 1 : 0);
    if (pgm->len - pgm->at < need)
        return refuse(pgm,
                      "%zu x %zu pixels need at least %zu bytes after the header, but %zu are "
                      "there: the file is cut short, get it anew",
                      picture->width, picture->height, need, pgm->len - pgm->at);
    picture->grey = malloc(pixels * sizeof(*picture->grey));
    if (picture->grey == NULL)
        return refuse(pgm, "no memory for %zu x %zu pixels: use a smaller picture", picture->width,
                      picture->height);
    if (text ? read_text(pgm, picture, pixels) : read_binary(pgm, picture, pixels))
        return true;
    heat_picture_fini(picture);
    return false;
}

bool heat_picture_read(const char *path, char error[HEAT_ERROR_BYTES],
                       struct heat_picture *picture_out)
{
    struct pgm pgm = {.path = path, .error = error};
    struct heat_picture picture = {0};
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        return refuse(&pgm, "cannot be opened: %s: give a PGM picture that every PE can read",
                      strerror(errno));
    bool ok = slurp(&pgm, file) && read_pgm(&pgm, &picture);
    fclose(file);
    free(pgm.bytes);
    if (ok)
        *picture_out = picture;
    return ok;
}

void heat_picture_fini(struct heat_picture *picture)
{
    free(picture->grey);
    picture->grey = NULL;
}

/* Where the centre of pixel i of `count` lies among `from` pixels: the two neighbours and how far
   it is from the first to the second. */
static double resample_at(size_t i, size_t count, size_t from, size_t *first_out,
                          size_t *second_out)
{
    double at = ((double)i + 0.5) * (double)from / (double)count - 0.5;

    if (at < 0)
        at = 0;
    size_t first = (size_t)at;
    if (first >= from)
        first = from - 1;
    *first_out = first;
    *second_out = first + 1 < from ? first + 1 : first;
    return at - (double)first;
}

void heat_picture_row(const struct heat_picture *picture, size_t width, size_t height, size_t y,
                      double *row_out)
{
    size_t top, bottom;
    double down = resample_at(y, height, picture->height, &top, &bottom);
    const uint16_t *above = picture->grey + top * picture->width;
    const uint16_t *below = picture->grey + bottom * picture->width;
    double white = picture->max_grey;

    for (size_t x = 0; x < width; x++) {
        size_t left, right;
        double along = resample_at(x, width, picture->width, &left, &right);
        double upper = above[left] + along * (above[right] - above[left]);
        double lower = below[left] + along * (below[right] - below[left]);

        row_out[x] = (upper + down * (lower - upper)) / white;
    }
}

/* What a black body looks like as it heats up; blue comes last. */
static void glow_colour(unsigned level, png_byte rgb[3])
{
    static const struct {
        int level, red, green, blue;
    } stops[] = {{0, 6, 4, 16},       {48, 66, 10, 40},     {96, 156, 26, 26},   {144, 224, 82, 12},
                 {192, 252, 166, 32}, {232, 255, 228, 122}, {255, 255, 252, 232}};
    size_t i = 1;

    while (stops[i].level < (int)level)
        i++;
    int span = stops[i].level - stops[i - 1].level;
    int part = (int)level - stops[i - 1].level;
    rgb[0] = (png_byte)(stops[i - 1].red + (stops[i].red - stops[i - 1].red) * part / span);
    rgb[1] = (png_byte)(stops[i - 1].green + (stops[i].green - stops[i - 1].green) * part / span);
    rgb[2] = (png_byte)(stops[i - 1].blue + (stops[i].blue - stops[i - 1].blue) * part / span);
}

bool heat_picture_write(const char *path, const double *field, size_t width, size_t height,
                        bool grey, char error[HEAT_ERROR_BYTES])
{
    png_byte palette[256][3];
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB_COLORMAP,
                       .colormap_entries = 256};
    png_byte *levels = malloc(width * height);

    if (levels == NULL) {
        snprintf(error, HEAT_ERROR_BYTES,
                 "%s: no memory for %zu x %zu pixels: try without --output", path, width, height);
        return false;
    }
    for (size_t i = 0; i < width * height; i++) {
        double level = field[i] * 255 + 0.5;
        levels[i] = (png_byte)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
    for (unsigned i = 0; i < 256; i++) {
        if (grey)
            memset(palette[i], (int)i, sizeof(palette[i]));
        else
            glow_colour(i, palette[i]);
    }
    bool ok = png_image_write_to_file(&image, path, 0, levels, (png_int_32)width, palette) != 0;
    if (!ok)
        snprintf(error, HEAT_ERROR_BYTES, "%s: cannot be written: %s: give another --output", path,
                 image.message);
    free(levels);
    return ok;
}
