/* SPDX-License-Identifier: BSD-3-Clause */
#include "cg_common.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far x may be from the serial run's, and the residual from what it is said to be. */
#define NEAR 1e-6

enum { KEY_2D = 0x200, KEY_3D, KEY_WRITE, KEY_TOLERANCE };

static const struct argp_option option_table[] = {
    {"poisson2d", KEY_2D, "N", 0, "Poisson's equation on N x N points (default 200)", 0},
    {"poisson3d", KEY_3D, "N", 0, "Poisson's equation on N x N x N points", 0},
    {"write", KEY_WRITE, "FILE", 0, "Write the matrix as a Matrix Market file first", 0},
    {"iterations", 'i', "N", 0, "At most so many iterations (default 1000)", 0},
    {"tolerance", KEY_TOLERANCE, "X", 0,
     "End when the residual is this much smaller than the right-hand side (default 1e-8)", 0},
    {0}};

static error_t parse_tolerance(const char *text, struct cg_options *options,
                               struct argp_state *state)
{
    char *end;

    options->tolerance = strtod(text, &end);
    if (end == text || *end != '\0' || !(options->tolerance >= 0 && options->tolerance < 1)) {
        argp_error(state, "--tolerance is '%s', but must be from 0 to less than 1", text);
        return EINVAL;
    }
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct cg_options *options = state->input;

    switch (key) {
    case KEY_2D:
    case KEY_3D:
        options->source.dimensions = key == KEY_2D ? 2 : 3;
        return app_parse_number(state, key == KEY_2D ? "poisson2d" : "poisson3d", arg, 1, 65535,
                                &options->source.side);
    case KEY_WRITE:
        options->write = arg;
        return 0;
    case 'i':
        return app_parse_number(state, "iterations", arg, 1, UINT32_MAX, &options->iterations_max);
    case KEY_TOLERANCE:
        return parse_tolerance(arg, options, state);
    case ARGP_KEY_ARG:
        if (options->source.path != NULL) {
            argp_error(state, "one matrix is enough, but there are '%s' and '%s'",
                       options->source.path, arg);
            return EINVAL;
        }
        options->source.path = arg;
        return 0;
    case ARGP_KEY_END:
        if (options->source.path != NULL && options->source.dimensions != 0) {
            argp_error(state, "a matrix is read or generated: give a file or --poisson, not both");
            return EINVAL;
        }
        if (options->source.dimensions == 0) {
            options->source.dimensions = 2;
            options->source.side = 200;
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cg_argp = {option_table, parse_option, "[MATRIX.mtx]", NULL, NULL, NULL, NULL};

/* ------------------------------------------------------------------------------------------ */
/* Arithmetic                                                                                 */

/* From 0.5 to 1.5: no multiple of what a matrix might take to 0. */
void cg_fill(struct app_items rows, double *b_out)
{
    for (size_t i = rows.first; i < rows.end; i++)
        b_out[i - rows.first] = 0.5 + (double)(app_random(i) >> 11) * 0x1p-53;
}

double cg_multiply(const struct cg_rows *rows, const double *p, const double *p_own, double *q)
{
    size_t n = rows->rows.end - rows->rows.first;
    double product = 0;

    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (size_t k = rows->start[i]; k < rows->start[i + 1]; k++)
            sum += rows->value[k] * p[rows->column[k]];
        q[i] = sum;
        product += sum * p_own[i];
    }
    return product;
}

double cg_advance(size_t n, double alpha, const double *p, const double *q, double *x, double *r)
{
    double product = 0;

    for (size_t i = 0; i < n; i++) {
        x[i] += alpha * p[i];
        r[i] -= alpha * q[i];
        product += r[i] * r[i];
    }
    return product;
}

void cg_turn(size_t n, double beta, const double *r, double *p)
{
    for (size_t i = 0; i < n; i++)
        p[i] = r[i] + beta * p[i];
}

/* ------------------------------------------------------------------------------------------ */
/* The check                                                                                  */

/* What one PE needs: five vectors in one piece. */
struct serial {
    struct cg_rows rows;
    double *x;
    double *r;
    double *p;
    double *q;
    double *b;
};

static bool serial_init(struct serial *serial, const struct cg_matrix *matrix)
{
    size_t n = matrix->n;

    *serial = (struct serial){.x = calloc(5 * n, sizeof(double))};
    if (serial->x == NULL || !cg_matrix_rows(matrix, (struct app_items){0, n}, &serial->rows)) {
        free(serial->x);
        return false;
    }
    serial->r = serial->x + n;
    serial->p = serial->r + n;
    serial->q = serial->p + n;
    serial->b = serial->q + n;
    cg_fill(serial->rows.rows, serial->b);
    return true;
}

static void serial_fini(struct serial *serial)
{
    cg_rows_free(&serial->rows);
    free(serial->x);
}

static void solve(struct serial *serial, size_t n, uint64_t iterations)
{
    double rr = 0;

    for (size_t i = 0; i < n; i++) {
        serial->r[i] = serial->p[i] = serial->b[i];
        rr += serial->r[i] * serial->r[i];
    }
    for (uint64_t i = 0; i < iterations; i++) {
        double pq = cg_multiply(&serial->rows, serial->p, serial->p, serial->q);
        double before = rr;

        rr = cg_advance(n, rr / pq, serial->p, serial->q, serial->x, serial->r);
        cg_turn(n, rr / before, serial->r, serial->p);
    }
}

/* |b - A x| / |b| */
static double residual(struct serial *serial, size_t n, const double *x)
{
    double rr = 0, bb = 0;

    cg_multiply(&serial->rows, x, x, serial->q);
    for (size_t i = 0; i < n; i++) {
        double r = serial->b[i] - serial->q[i];

        rr += r * r;
        bb += serial->b[i] * serial->b[i];
    }
    return sqrt(rr / bb);
}

static bool compare(struct serial *serial, size_t n, const double *x,
                    const struct cg_options *options, const struct cg_outcome *outcome,
                    const char *program)
{
    double largest = 0, apart = 0;
    double really = residual(serial, n, x);

    solve(serial, n, outcome->iterations);
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(serial->x[i]));
        if (!(fabs(x[i] - serial->x[i]) <= apart)) /* NaN is apart as well */
            apart = fabs(x[i] - serial->x[i]);
    }
    bool near = apart <= NEAR * largest;
    bool solved = fabs(really - outcome->residual) <= fmax(NEAR, options->tolerance);
    if (!near)
        fprintf(stderr, "%s: WRONG: x is %g off the serial run's, whose largest is %g\n", program,
                apart, largest);
    if (!solved)
        fprintf(stderr, "%s: WRONG: the residual is %g, not %g\n", program, really,
                outcome->residual);
    return near && solved;
}

bool cg_finish(const struct cg_options *options, const struct cg_matrix *matrix, const double *x,
               const struct cg_outcome *outcome, struct app_report *report)
{
    struct serial serial;

    report->right = true;
    if (options->app.verify) {
        report->right = serial_init(&serial, matrix);
        if (report->right) {
            report->right = compare(&serial, matrix->n, x, options, outcome, report->program);
            serial_fini(&serial);
        } else {
            fprintf(stderr, "%s: no memory for the whole matrix: try without --verify\n",
                    report->program);
        }
    }
    if (outcome->broken)
        fprintf(stderr, "%s: after %" PRIu64 " iterations: the matrix is not positive definite\n",
                report->program, outcome->iterations);
    if (options->source.path != NULL)
        snprintf(report->problem, sizeof(report->problem), "file of %zu rows", matrix->n);
    else
        snprintf(report->problem, sizeof(report->problem), "poisson %dD %zu",
                 options->source.dimensions, options->source.side);
    snprintf(report->result, sizeof(report->result), "residual %.3e in %" PRIu64 " iterations",
             outcome->residual, outcome->iterations);
    return app_print(&options->app, report) && report->right && !outcome->broken;
}
