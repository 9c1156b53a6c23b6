/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file cg_matrix.h
 * Sparse matrices for cg: from a Matrix Market file, or of Poisson's equation on a square or a
 * cube. Always symmetric. A PE makes the rows that it asks for, in private memory.
 */
#ifndef CG_MATRIX_H
#define CG_MATRIX_H

#include "app.h"

/** Where the matrix comes from. */
struct cg_source {
    const char *path; /**< NULL: it is generated */
    size_t side;      /**< points in each direction */
    int dimensions;   /**< 2 or 3 */
};

/** Rows [rows.first, rows.end) by compressed rows. */
struct cg_rows {
    struct app_items rows;
    size_t n_entries;
    size_t *start;    /**< [i]: where row rows.first + i begins; one more than there are rows */
    uint32_t *column; /**< ascending in each row */
    double *value;
};

/**
 * A source that has been looked at. From a file, all of it is in memory; the rows that are wanted
 * are not known before its size is.
 */
struct cg_matrix {
    struct cg_source source;
    size_t n; /**< rows, and columns */
    struct cg_rows all;
};

/** @param error  why not, if the call fails: the file and the line. */
bool cg_matrix_open(const struct cg_source *source, char error[APP_ERROR_BYTES],
                    struct cg_matrix *matrix_out);
void cg_matrix_close(struct cg_matrix *matrix);

/** Make rows. @return false if there is no memory. */
bool cg_matrix_rows(const struct cg_matrix *matrix, struct app_items rows,
                    struct cg_rows *rows_out);
void cg_rows_free(struct cg_rows *rows);

/** Write the whole matrix as a Matrix Market file, its lower half. */
bool cg_matrix_write(const struct cg_matrix *matrix, const char *path, char error[APP_ERROR_BYTES]);

/** The part that reads a file, in cg_read.c. Sets matrix->n and ->all. */
bool cg_matrix_read(const char *path, char error[APP_ERROR_BYTES], struct cg_matrix *matrix);

#endif
