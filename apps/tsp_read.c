/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of TSPLIB's symmetric problems (Reinelt, ORSA Journal on Computing 1991): EUC_2D,
 * CEIL_2D, and EXPLICIT in four formats. Whatever is not as it should be is named with its line.
 */
#include "tsp_common.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISTANCE_MAX 10000000

enum kind { KIND_NONE, EUC_2D, CEIL_2D, EXPLICIT };
enum format { FORMAT_NONE, FULL_MATRIX, UPPER_ROW, UPPER_DIAG_ROW, LOWER_DIAG_ROW };

static const char *const kinds[] = {"", "EUC_2D", "CEIL_2D", "EXPLICIT", NULL};
static const char *const formats[] = {
    "", "FULL_MATRIX", "UPPER_ROW", "UPPER_DIAG_ROW", "LOWER_DIAG_ROW", NULL};

struct reader {
    const char *path;
    FILE *file;
    char line[1024];
    char *text; /* what is left of the line */
    size_t line_number;
    enum kind kind;
    enum format format;
    bool filled;
    struct tsp_problem *problem;
    char *error;
};

#define fail(reader, ...)                                                                          \
    app_read_error((reader)->error, (reader)->path, (reader)->line_number, __VA_ARGS__)

static bool next_line(struct reader *reader)
{
    if (fgets(reader->line, sizeof(reader->line), reader->file) == NULL)
        return false;
    reader->line_number++;
    reader->text = reader->line;
    return true;
}

/* The next number, on this line or a later one. */
static bool take_number(struct reader *reader, double *value_out)
{
    char *end;

    for (;;) {
        while (reader->text != NULL && isspace((unsigned char)*reader->text))
            reader->text++;
        if (reader->text != NULL && *reader->text != '\0')
            break;
        if (!next_line(reader))
            return fail(reader, "the file ends where a number should be");
    }
    *value_out = strtod(reader->text, &end);
    if (end == reader->text || !isfinite(*value_out))
        return fail(reader, "should be a number: %.20s", reader->text);
    reader->text = end;
    return true;
}

/* Which of the words it is; 0 if none. */
static int one_of(const char *value, const char *const words[])
{
    for (int i = 1; words[i] != NULL; i++)
        if (strcmp(value, words[i]) == 0)
            return i;
    return 0;
}

/* A line "KEY: value". */
static bool take_fact(struct reader *reader, const char *key, const char *value)
{
    if (strcmp(key, "TYPE") == 0 && strcmp(value, "TSP") != 0)
        return fail(reader, "TYPE is %s, but must be TSP", value);
    if (strcmp(key, "DIMENSION") == 0) {
        char *end;
        long n = strtol(value, &end, 10);

        if (*end != '\0' || n < 3 || n > TSP_CITIES_MAX)
            return fail(reader, "DIMENSION is %s, but must be from 3 to %d", value, TSP_CITIES_MAX);
        reader->problem->n = (int)n;
    }
    if (strcmp(key, "EDGE_WEIGHT_TYPE") == 0) {
        reader->kind = (enum kind)one_of(value, kinds);
        if (reader->kind == KIND_NONE)
            return fail(reader, "EDGE_WEIGHT_TYPE is %s, but must be EUC_2D, CEIL_2D or EXPLICIT",
                        value);
    }
    if (strcmp(key, "EDGE_WEIGHT_FORMAT") == 0 && strcmp(value, "FUNCTION") != 0) {
        reader->format = (enum format)one_of(value, formats);
        if (reader->format == FORMAT_NONE)
            return fail(reader,
                        "EDGE_WEIGHT_FORMAT is %s, but must be FULL_MATRIX, UPPER_ROW, "
                        "UPPER_DIAG_ROW or LOWER_DIAG_ROW",
                        value);
    }
    return true;
}

static bool set_distance(struct reader *reader, int i, int j, double value)
{
    if (value < 0 || value > DISTANCE_MAX || value != floor(value))
        return fail(reader,
                    "the distance of cities %d and %d is %g, but must be whole and at most "
                    "%d",
                    i + 1, j + 1, value, DISTANCE_MAX);
    reader->problem->distance[i][j] = (int32_t)value;
    return true;
}

static bool read_coordinates(struct reader *reader)
{
    double x[TSP_CITIES_MAX], y[TSP_CITIES_MAX], number;
    int n = reader->problem->n;

    if (n == 0 || (reader->kind != EUC_2D && reader->kind != CEIL_2D))
        return fail(reader, "NODE_COORD_SECTION needs a DIMENSION and an EDGE_WEIGHT_TYPE of "
                            "EUC_2D or CEIL_2D before it");
    for (int i = 0; i < n; i++) {
        if (!take_number(reader, &number))
            return false;
        if (number != i + 1)
            return fail(reader, "city %d should be next", i + 1);
        if (!take_number(reader, &x[i]) || !take_number(reader, &y[i]))
            return false;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double length = hypot(x[i] - x[j], y[i] - y[j]);

            if (!set_distance(reader, i, j,
                              reader->kind == EUC_2D ? floor(length + 0.5) : ceil(length)))
                return false;
        }
    reader->filled = true;
    return true;
}

static bool is_listed(enum format format, int i, int j)
{
    switch (format) {
    case FULL_MATRIX:
        return true;
    case UPPER_ROW:
        return j > i;
    case UPPER_DIAG_ROW:
        return j >= i;
    case LOWER_DIAG_ROW:
        return j <= i;
    case FORMAT_NONE:
        break;
    }
    return false;
}

static bool read_weights(struct reader *reader)
{
    int n = reader->problem->n;
    double value;

    if (n == 0 || reader->kind != EXPLICIT || reader->format == FORMAT_NONE)
        return fail(reader,
                    "EDGE_WEIGHT_SECTION needs a DIMENSION, an EDGE_WEIGHT_TYPE of EXPLICIT "
                    "and an EDGE_WEIGHT_FORMAT before it");
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            if (!is_listed(reader->format, i, j))
                continue;
            if (!take_number(reader, &value) || !set_distance(reader, i, j, i == j ? 0 : value))
                return false;
            if (reader->format != FULL_MATRIX && !set_distance(reader, j, i, i == j ? 0 : value))
                return false;
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (reader->problem->distance[i][j] != reader->problem->distance[j][i])
                return fail(reader, "from city %d to %d is not as far as back", j + 1, i + 1);
    reader->filled = true;
    return true;
}

/* A word in capitals, and perhaps a colon and something behind it. False at EOF or on an error, of
   which *ok tells. */
static bool take_section(struct reader *reader, bool *ok)
{
    char key[64] = "", value[64] = "";

    if (!next_line(reader))
        return false;
    int words = sscanf(reader->line, " %63[A-Z0-9_] : %63s", key, value);
    if (words < 1 || strcmp(key, "COMMENT") == 0)
        return true;
    reader->text = NULL; /* sections begin on the next line */
    if (strcmp(key, "EOF") == 0 || strcmp(key, "DISPLAY_DATA_SECTION") == 0)
        return false;
    if (strcmp(key, "NODE_COORD_SECTION") == 0)
        *ok = read_coordinates(reader);
    else if (strcmp(key, "EDGE_WEIGHT_SECTION") == 0)
        *ok = read_weights(reader);
    else
        *ok = take_fact(reader, key, value);
    return *ok;
}

bool tsp_read(const char *path, char error[APP_ERROR_BYTES], struct tsp_problem *problem_out)
{
    struct reader reader = {
        .path = path, .problem = problem_out, .error = error, .file = fopen(path, "r")};
    bool ok = true;

    if (reader.file == NULL) {
        snprintf(error, APP_ERROR_BYTES, "cannot open %.200s: %s", path, strerror(errno));
        return false;
    }
    *problem_out = (struct tsp_problem){0};
    while (take_section(&reader, &ok))
        ;
    if (ok && !reader.filled)
        ok = fail(&reader, "the file ends without a NODE_COORD_SECTION or EDGE_WEIGHT_SECTION");
    fclose(reader.file);
    return ok;
}
