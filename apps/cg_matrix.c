/* SPDX-License-Identifier: BSD-3-Clause */
#include "cg_matrix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Poisson's equation by the second difference: 2 * dimensions on the diagonal, -1 for each
 * neighbour. The row's entries by ascending column; NULL: only count them.
 */
static size_t poisson_row(const struct cg_source *source, size_t row, uint32_t *column,
                          double *value)
{
    size_t n = 0;

    /* First the neighbours below, the farthest first, then itself, then those above. */
    for (int step = -source->dimensions; step <= source->dimensions; step++) {
        size_t stride = 1;
        int direction = abs(step);

        for (int i = 1; i < direction; i++)
            stride *= source->side;
        size_t at = row / stride % source->side;
        if ((step < 0 && at == 0) || (step > 0 && at + 1 == source->side))
            continue;
        if (column != NULL) {
            column[n] = (uint32_t)(step < 0 ? row - stride : step > 0 ? row + stride : row);
            value[n] = step == 0 ? 2.0 * source->dimensions : -1.0;
        }
        n++;
    }
    return n;
}

bool cg_matrix_open(const struct cg_source *source, char error[APP_ERROR_BYTES],
                    struct cg_matrix *matrix_out)
{
    *matrix_out = (struct cg_matrix){.source = *source, .n = 1};
    if (source->path != NULL)
        return cg_matrix_read(source->path, error, matrix_out);
    for (int i = 0; i < source->dimensions; i++)
        matrix_out->n *= source->side;
    if (matrix_out->n <= UINT32_MAX)
        return true;
    snprintf(error, APP_ERROR_BYTES, "%zu to the power %d is too many rows: the limit is %" PRIu32,
             source->side, source->dimensions, UINT32_MAX);
    return false;
}

void cg_matrix_close(struct cg_matrix *matrix)
{
    cg_rows_free(&matrix->all);
}

void cg_rows_free(struct cg_rows *rows)
{
    free(rows->start);
    free(rows->column);
    free(rows->value);
    *rows = (struct cg_rows){0};
}

/* One row of any source; column NULL: only count. */
static size_t get_row(const struct cg_matrix *matrix, size_t row, uint32_t *column, double *value)
{
    if (matrix->source.path == NULL)
        return poisson_row(&matrix->source, row, column, value);
    size_t first = matrix->all.start[row], n = matrix->all.start[row + 1] - first;
    if (column != NULL) {
        memcpy(column, matrix->all.column + first, n * sizeof(*column));
        memcpy(value, matrix->all.value + first, n * sizeof(*value));
    }
    return n;
}

bool cg_matrix_rows(const struct cg_matrix *matrix, struct app_items rows, struct cg_rows *rows_out)
{
    size_t n_rows = rows.end - rows.first;
    struct cg_rows made = {.rows = rows};

    made.start = malloc((n_rows + 1) * sizeof(*made.start));
    if (made.start == NULL)
        return false;
    for (size_t i = 0; i < n_rows; i++) {
        made.start[i] = made.n_entries;
        made.n_entries += get_row(matrix, rows.first + i, NULL, NULL);
    }
    made.start[n_rows] = made.n_entries;
    made.column = malloc(made.n_entries * sizeof(*made.column) + 1);
    made.value = malloc(made.n_entries * sizeof(*made.value) + 1);
    if (made.column == NULL || made.value == NULL) {
        cg_rows_free(&made);
        return false;
    }
    for (size_t i = 0; i < n_rows; i++)
        get_row(matrix, rows.first + i, made.column + made.start[i], made.value + made.start[i]);
    *rows_out = made;
    return true;
}

static bool write_rows(const struct cg_rows *rows, size_t n, FILE *file)
{
    size_t n_lower = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = rows->start[i]; k < rows->start[i + 1]; k++)
            n_lower += rows->column[k] <= i;
    fprintf(file, "%%%%MatrixMarket matrix coordinate real symmetric\n%zu %zu %zu\n", n, n,
            n_lower);
    for (size_t i = 0; i < n; i++)
        for (size_t k = rows->start[i]; k < rows->start[i + 1]; k++)
            if (rows->column[k] <= i)
                fprintf(file, "%zu %" PRIu32 " %.17g\n", i + 1, rows->column[k] + 1,
                        rows->value[k]);
    return fflush(file) == 0 && ferror(file) == 0;
}

bool cg_matrix_write(const struct cg_matrix *matrix, const char *path, char error[APP_ERROR_BYTES])
{
    struct cg_rows rows;

    if (!cg_matrix_rows(matrix, (struct app_items){0, matrix->n}, &rows)) {
        snprintf(error, APP_ERROR_BYTES, "no memory for all %zu rows", matrix->n);
        return false;
    }
    FILE *file = fopen(path, "w");
    bool ok = file != NULL && write_rows(&rows, matrix->n, file);
    ok = (file == NULL || fclose(file) == 0) && ok;
    if (!ok)
        snprintf(error, APP_ERROR_BYTES, "cannot write %s: %s", path, strerror(errno));
    cg_rows_free(&rows);
    return ok;
}
