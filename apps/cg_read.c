/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of Matrix Market files: coordinate, real or integer, symmetric or general (and then
 * symmetric none the less, since conjugate gradients need that). Boisvert, Pozo and Remington, "The
 * Matrix Market Exchange Formats", NISTIR 5935, 1996. Whatever is not as it should be is named with
 * its line.
 */
#include "cg_matrix.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct entry {
    uint32_t row;
    uint32_t column;
    double value;
};

struct reader {
    const char *path;
    FILE *file;
    char *line; /* getline's */
    size_t line_bytes;
    size_t line_number;
    bool symmetric;
    size_t n;
    size_t n_lines; /* with entries, as the file promises */
    struct entry *entries;
    size_t n_entries;
    char *error;
};

#define fail(reader, ...)                                                                          \
    app_read_error((reader)->error, (reader)->path, (reader)->line_number, __VA_ARGS__)

/* The next line that is neither empty nor a comment; NULL at the end. */
static char *next_line(struct reader *reader)
{
    while (getline(&reader->line, &reader->line_bytes, reader->file) >= 0) {
        char *text = reader->line;

        reader->line_number++;
        while (isspace((unsigned char)*text))
            text++;
        if (*text != '\0' && *text != '%')
            return text;
    }
    return NULL;
}

static bool read_banner(struct reader *reader)
{
    char word[5][32];

    reader->line_number = 1;
    if (getline(&reader->line, &reader->line_bytes, reader->file) < 0)
        return fail(reader, "the file is empty");
    int n = sscanf(reader->line, "%31s %31s %31s %31s %31s", word[0], word[1], word[2], word[3],
                   word[4]);
    if (n != 5 || strcmp(word[0], "%%MatrixMarket") != 0)
        return fail(reader, "should be '%%%%MatrixMarket matrix coordinate real symmetric'");
    if (strcasecmp(word[1], "matrix") != 0 || strcasecmp(word[2], "coordinate") != 0)
        return fail(reader, "it is a '%s %s', but must be a 'matrix coordinate'", word[1], word[2]);
    if (strcasecmp(word[3], "real") != 0 && strcasecmp(word[3], "integer") != 0)
        return fail(reader, "its entries are '%s', but must be real or integer", word[3]);
    if (strcasecmp(word[4], "symmetric") != 0 && strcasecmp(word[4], "general") != 0)
        return fail(reader, "it is '%s', but must be symmetric or general", word[4]);
    reader->symmetric = strcasecmp(word[4], "symmetric") == 0;
    return true;
}

/* A number from min to max; *text moves behind it. */
static bool take_number(char **text, uint64_t min, uint64_t max, uint64_t *value_out)
{
    char *end;

    while (isspace((unsigned char)**text))
        (*text)++;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    *value_out = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0 && *value_out >= min && *value_out <= max;
}

static bool at_end(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return *text == '\0';
}

static bool read_sizes(struct reader *reader)
{
    uint64_t rows, columns, entries;
    char *text = next_line(reader);

    if (text == NULL)
        return fail(reader, "the file ends before its sizes");
    if (!take_number(&text, 1, UINT32_MAX, &rows) || !take_number(&text, 1, UINT32_MAX, &columns) ||
        !take_number(&text, 1, UINT64_MAX / 64, &entries) || !at_end(text))
        return fail(reader, "should be three numbers: rows, columns (1 to %" PRIu32 "), entries",
                    UINT32_MAX);
    if (rows != columns)
        return fail(reader, "%" PRIu64 " rows and %" PRIu64 " columns: it must be square", rows,
                    columns);
    reader->n = rows;
    reader->n_lines = entries;
    return true;
}

static bool read_entry(struct reader *reader)
{
    uint64_t row, column;
    char *end, *text = next_line(reader);

    if (text == NULL)
        return fail(reader, "the file ends, but %zu entries were promised", reader->n_lines);
    if (!take_number(&text, 1, reader->n, &row) || !take_number(&text, 1, reader->n, &column))
        return fail(reader, "should begin with a row and a column, 1 to %zu", reader->n);
    double value = strtod(text, &end);
    if (end == text || !at_end(end) || !isfinite(value))
        return fail(reader, "should be a row, a column and a finite value");
    if (reader->symmetric && column > row)
        return fail(reader,
                    "(%" PRIu64 ", %" PRIu64 ") is above the diagonal, and of a symmetric matrix "
                    "only what is not is given",
                    row, column);
    reader->entries[reader->n_entries++] =
        (struct entry){(uint32_t)row - 1, (uint32_t)column - 1, value};
    if (reader->symmetric && row != column)
        reader->entries[reader->n_entries++] =
            (struct entry){(uint32_t)column - 1, (uint32_t)row - 1, value};
    return true;
}

static bool read_entries(struct reader *reader)
{
    /* What the file promises may be a typing error: no more than it can hold, 6 bytes an entry. */
    if (fseek(reader->file, 0, SEEK_END) == 0) {
        long bytes = ftell(reader->file);

        rewind(reader->file);
        for (size_t i = 0; i < reader->line_number; i++)
            if (getline(&reader->line, &reader->line_bytes, reader->file) < 0)
                break;
        if (bytes >= 0 && reader->n_lines > (size_t)bytes / 6)
            return fail(reader, "%zu entries are promised, but the file has only %ld bytes",
                        reader->n_lines, bytes);
    }
    reader->entries = malloc(2 * reader->n_lines * sizeof(*reader->entries));
    if (reader->entries == NULL)
        return fail(reader, "no memory for %zu entries", reader->n_lines);
    for (size_t i = 0; i < reader->n_lines; i++)
        if (!read_entry(reader))
            return false;
    if (next_line(reader) != NULL)
        return fail(reader, "more than the promised %zu entries", reader->n_lines);
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

/* Where (row, column) is among the sorted entries, or SIZE_MAX. */
static size_t find(const struct cg_rows *rows, uint32_t row, uint32_t column)
{
    size_t low = rows->start[row], high = rows->start[row + 1];

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (rows->column[middle] == column)
            return middle;
        if (rows->column[middle] < column)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

static bool make_rows(struct reader *reader, struct cg_rows *rows)
{
    size_t n_entries = reader->n_entries;

    rows->rows = (struct app_items){0, reader->n};
    rows->n_entries = n_entries;
    rows->start = calloc(reader->n + 1, sizeof(*rows->start));
    rows->column = malloc(n_entries * sizeof(*rows->column));
    rows->value = malloc(n_entries * sizeof(*rows->value));
    if (rows->start == NULL || rows->column == NULL || rows->value == NULL)
        return fail(reader, "no memory for %zu rows", reader->n);
    qsort(reader->entries, n_entries, sizeof(*reader->entries), compare);
    for (size_t k = 0; k < n_entries; k++) {
        const struct entry *entry = &reader->entries[k];

        if (k > 0 && compare(entry, entry - 1) == 0)
            return fail(reader, "the file has (%" PRIu32 ", %" PRIu32 ") twice", entry->row + 1,
                        entry->column + 1);
        rows->start[entry->row + 1]++;
        rows->column[k] = entry->column;
        rows->value[k] = entry->value;
    }
    for (size_t i = 0; i < reader->n; i++)
        rows->start[i + 1] += rows->start[i];
    return true;
}

static bool check_symmetry(struct reader *reader, const struct cg_rows *rows)
{
    for (size_t i = 0; i < reader->n; i++)
        for (size_t k = rows->start[i]; k < rows->start[i + 1]; k++) {
            size_t mirror = find(rows, rows->column[k], (uint32_t)i);

            if (mirror == SIZE_MAX || rows->value[mirror] != rows->value[k])
                return fail(reader,
                            "the matrix is not symmetric: (%zu, %" PRIu32
                            ") is %g, and its mirror image is not",
                            i + 1, rows->column[k] + 1, rows->value[k]);
        }
    return true;
}

bool cg_matrix_read(const char *path, char error[APP_ERROR_BYTES], struct cg_matrix *matrix)
{
    struct reader reader = {.path = path, .error = error, .file = fopen(path, "r")};

    if (reader.file == NULL) {
        snprintf(error, APP_ERROR_BYTES, "cannot open %.200s: %s", path, strerror(errno));
        return false;
    }
    bool ok = read_banner(&reader) && read_sizes(&reader) && read_entries(&reader) &&
              make_rows(&reader, &matrix->all) && check_symmetry(&reader, &matrix->all);
    matrix->n = reader.n;
    if (!ok)
        cg_rows_free(&matrix->all);
    free(reader.entries);
    free(reader.line);
    fclose(reader.file);
    return ok;
}
