/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file heat_picture.h
 * The pictures that heat reads (PGM) and writes (PNG).
 */
#ifndef HEAT_PICTURE_H
#define HEAT_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Room for any error text of this module. */
#define HEAT_ERROR_BYTES 512

/** A grey picture in private memory. */
struct heat_picture {
    size_t width;
    size_t height;
    unsigned max_grey; /**< the grey that means white, 1..65535 */
    uint16_t *grey;    /**< width * height values, row by row from the top; malloc'd */
};

/**
 * Read a PGM file: P5 (binary) or P2 (text), 8 or 16 bits, with comments. Of a file with several
 * pictures the first is read.
 *
 * @param error        gets the file, what is wrong there, and what to do, if the call fails.
 * @param picture_out  set only on success; heat_picture_fini() frees it.
 */
bool heat_picture_read(const char *path, char error[HEAT_ERROR_BYTES],
                       struct heat_picture *picture_out);

/** Free what heat_picture_read() allocated. Safe on a zeroed struct. */
void heat_picture_fini(struct heat_picture *picture);

/**
 * The temperatures, 0 to 1, of row `y` of a width x height version of the picture: the picture's
 * own pixels if it has that size, bilinear interpolation otherwise.
 */
void heat_picture_row(const struct heat_picture *picture, size_t width, size_t height, size_t y,
                      double *row_out);

/**
 * Write temperatures 0 to 1 as a PNG file of 256 colours: those of a glowing body, or greys.
 *
 * @param field  private memory: libpng must not be handed shared memory.
 */
bool heat_picture_write(const char *path, const double *field, size_t width, size_t height,
                        bool grey, char error[HEAT_ERROR_BYTES]);

#endif
