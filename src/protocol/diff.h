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

/* The first index >= from at which a and b differ (len if none), and at which they are equal. */
size_t hth_diff_unequal(const uint8_t *a, const uint8_t *b, size_t from, size_t len);
size_t hth_diff_equal(const uint8_t *a, const uint8_t *b, size_t from, size_t len);

/* An encoded diff is at most this long for images of `len` bytes. */
#define HTH_DIFF_BYTES_MAX(len) ((len) + (len) / 8 + 16)

/* Encode where `now` differs from `base`, as runs or as a byte mask with the bytes, whichever is
 * shorter. `out` has HTH_DIFF_BYTES_MAX(len) bytes. Returns the bytes written, 0 if nothing
 * differs. `len` is a multiple of 64 and at most 1 GiB. */
size_t hth_diff_encode(const uint8_t *now, const uint8_t *base, size_t len, uint8_t *out);

/* Write the bytes of an encoded diff into `image`, and into `second` too unless NULL (both `len`
 * bytes). Returns how many page bytes it named, or SIZE_MAX if the diff is malformed (nothing
 * beyond `len` is ever written). */
size_t hth_diff_apply(const uint8_t *diff, size_t diff_bytes, uint8_t *image, uint8_t *second,
                      size_t len);

#endif
