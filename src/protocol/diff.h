/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte-exact differences between two images of a page.
 *
 * A diff never names a byte that did not change: the home may hold a newer one (DESIGN 3.1). So the
 * unit is the byte, never the word, and runs are not joined over equal bytes in between.
 * Pure functions; any thread. */
#ifndef HTH_PROTOCOL_DIFF_H
#define HTH_PROTOCOL_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Masks: a bit a byte, 64 bytes of an image to a word, HTH_DIFF_MASK_BYTES of them. All images here
 * are a multiple of 64 bytes long and at most 1 GiB. */
#define HTH_DIFF_MASK_BYTES(len) ((len) / 8)

/* The mask of the bytes in which `now` and `base` differ. Returns how many runs of such bytes there
 * are. */
size_t hth_diff_compare(const uint8_t *now, const uint8_t *base, size_t len, uint8_t *mask);

/* The same of `now`, which other threads may be writing: each byte is read once, and `base` becomes
 * what was read. */
size_t hth_diff_take(const uint8_t *now, uint8_t *base, size_t len, uint8_t *mask);

/* The bytes in which `now` and `base` differ, into `image` and no other byte of it: another thread
 * may be writing those. `base` becomes `now`. */
void hth_diff_merge(const uint8_t *now, uint8_t *base, uint8_t *image, size_t len);

/* The first run of the mask that begins at byte *end_inout or later; false: there is none. */
bool hth_diff_next_run(const uint8_t *mask, size_t len, size_t *start_out, size_t *end_inout);

/* An encoded diff is at most this long for images of `len` bytes. */
#define HTH_DIFF_BYTES_MAX(len) ((len) + (len) / 8 + 16)

/* How many runs there are in a mask. */
size_t hth_diff_runs(const uint8_t *mask, size_t len);

/* Encode the bytes of the image that the mask names, in `runs` runs, as such or as a byte mask with
 * the bytes, whichever is shorter. `out` has HTH_DIFF_BYTES_MAX(len) bytes. Returns the bytes
 * written, 0 if there are none to encode. */
size_t hth_diff_encode(const uint8_t *image, const uint8_t *mask, size_t runs, size_t len,
                       uint8_t *out);

/* Write the bytes of an encoded diff into `image`, and into `second` too unless NULL (both `len`
 * bytes). Returns how many page bytes it named, or SIZE_MAX if the diff is malformed (nothing
 * beyond `len` is ever written). */
size_t hth_diff_apply(const uint8_t *diff, size_t diff_bytes, uint8_t *image, uint8_t *second,
                      size_t len);

#endif
