/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PageRank (Page, Brin, Motwani and Winograd, 1998) in shared memory, by pulling: a vertex gets its
 * new rank from the vertices that have an edge to it.
 *
 * Vertices are dealt in blocks. What is shared is what a vertex gives to each of its neighbours,
 * its rank by its number of edges: a PE writes its block at home, and everybody reads from all over
 * it, since edges go anywhere. The ranks of vertices without an edge out go to all; each PE sums
 * them, and by how much ranks have changed, page of vertices by page, and all add up the pages in
 * the same order. So results are the same, bit by bit, for any number of PEs.
 */
#include "app_run.h"
#include "graph.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAMPING 0.85

/* Vertices whose sums are added up first. A PE's block consists of whole ones. */
#define GROUP 512

struct settings {
    struct app_options app; /* first: app_argp is given this */
    struct graph_source source;
    uint64_t iterations_max;
    double tolerance;
};

/* The sums over a group of vertices. */
struct sums {
    double idle;   /* ranks of vertices without an edge out */
    double change; /* of ranks, in absolute terms */
};

/* A graph's part and its ranks. given[] and sums[] are shared in a run by several. */
struct job {
    const struct settings *settings;
    size_t n_vertices;
    struct graph_part part;
    double *given[2]; /* of all vertices: read one, write the other */
    struct sums *sums[2];
    double *rank; /* of this part's vertices */
};

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

enum { KEY_RMAT = 0x200, KEY_DEGREE, KEY_SEED, KEY_TOLERANCE };

static const struct argp_option option_table[] = {
    {"rmat", KEY_RMAT, "SCALE", 0, "Make a graph of 2^SCALE vertices at random (default 14)", 0},
    {"degree", KEY_DEGREE, "N", 0, "Edges per vertex in it (default 16)", 0},
    {"seed", KEY_SEED, "N", 0, "Another graph (default 1)", 0},
    {"iterations", 'i', "N", 0, "At most so many iterations (default 100)", 0},
    {"tolerance", KEY_TOLERANCE, "X", 0,
     "End when all ranks together change by no more (default 1e-9)", 0},
    {0}};

static error_t parse_tolerance(const char *text, struct settings *settings,
                               struct argp_state *state)
{
    char *end;

    settings->tolerance = strtod(text, &end);
    if (end == text || *end != '\0' || !(settings->tolerance >= 0 && settings->tolerance < 1)) {
        argp_error(state, "--tolerance is '%s', but must be from 0 to less than 1", text);
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
    case KEY_RMAT:
        return app_parse_number(state, "rmat", arg, 1, 31, &settings->source.scale);
    case KEY_DEGREE:
        return app_parse_number(state, "degree", arg, 1, 65535, &settings->source.degree);
    case KEY_SEED:
        return app_parse_number(state, "seed", arg, 0, UINT16_MAX, &settings->source.seed);
    case 'i':
        return app_parse_number(state, "iterations", arg, 1, UINT32_MAX, &settings->iterations_max);
    case KEY_TOLERANCE:
        return parse_tolerance(arg, settings, state);
    case ARGP_KEY_ARG:
        if (settings->source.path != NULL) {
            argp_error(state, "one graph is enough, but there are '%s' and '%s'",
                       settings->source.path, arg);
            return EINVAL;
        }
        settings->source.path = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    option_table,
    parse_option,
    "[EDGES.txt]",
    "PageRank of a directed graph in shared memory. The graph is a file with an edge a line, two "
    "numbers from 0 (and comments after #), or made at random.\v"
    "HEARTH_PROTOCOL, HEARTH_CONSISTENCY and HEARTH_PAGE_BYTES override the options.",
    (const struct argp_child[]){{&app_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

/* ------------------------------------------------------------------------------------------ */
/* The iteration                                                                              */

static size_t n_groups(const struct job *job)
{
    return (job->n_vertices + GROUP - 1) / GROUP;
}

/* Set the rank of vertex i of the part, and what follows from it. */
static void set_rank(struct job *job, size_t i, double rank, int into, struct sums *sums)
{
    uint32_t n_out = job->part.n_out[i];

    job->given[into][job->part.vertices.first + i] = n_out > 0 ? rank / n_out : 0;
    if (n_out == 0)
        sums->idle += rank;
    sums->change += fabs(rank - job->rank[i]);
    job->rank[i] = rank;
}

static double pull(const struct job *job, size_t i, const double *given)
{
    double sum = 0;

    for (size_t k = job->part.start[i]; k < job->part.start[i + 1]; k++)
        sum += given[job->part.from[k]];
    return sum;
}

/* One step of this part's vertices; `from` < 0: their first ranks. */
static void step(struct job *job, int from, int into, double idle)
{
    size_t first = job->part.vertices.first, end = job->part.vertices.end;
    double n = (double)job->n_vertices;

    for (size_t group = first; group < end; group += GROUP) {
        struct sums sums = {0};

        for (size_t v = group; v < group + GROUP && v < end; v++) {
            double rank = 1 / n;

            if (from >= 0)
                rank = (1 - DAMPING) / n +
                       DAMPING * (pull(job, v - first, job->given[from]) + idle / n);
            set_rank(job, v - first, rank, into, &sums);
        }
        job->sums[into][group / GROUP] = sums;
    }
}

static struct sums add_sums(const struct job *job, int which)
{
    struct sums all = {0};

    for (size_t group = 0; group < n_groups(job); group++) {
        all.idle += job->sums[which][group].idle;
        all.change += job->sums[which][group].change;
    }
    return all;
}

/* run: NULL if this part is all. Returns the iterations; *last_out is which ranks are given. */
static uint64_t iterate(struct job *job, struct app_run *run, double *change_out)
{
    uint64_t iterations = 0;

    step(job, -1, 0, 0);
    for (;;) {
        if (run != NULL)
            app_barrier(run);
        struct sums all = add_sums(job, iterations & 1);
        *change_out = all.change;
        if (iterations == job->settings->iterations_max ||
            (iterations > 0 && all.change <= job->settings->tolerance))
            return iterations;
        step(job, iterations & 1, (iterations + 1) & 1, all.idle);
        iterations++;
    }
}

/* ------------------------------------------------------------------------------------------ */
/* The end                                                                                    */

/* All ranks as one PE computes them; NULL if there is no memory. */
static double *serial_ranks(const struct settings *settings, const struct graph *graph)
{
    struct job job = {.settings = settings, .n_vertices = graph->n_vertices};
    double change;

    if (!graph_part_make(graph, (struct app_items){0, graph->n_vertices}, &job.part))
        return NULL;
    double *room = calloc(3 * graph->n_vertices, sizeof(*room));
    struct sums *sums = calloc(2 * n_groups(&job), sizeof(*sums));
    double *ranks = calloc(graph->n_vertices, sizeof(*ranks));
    if (room != NULL && sums != NULL && ranks != NULL) {
        job.rank = ranks;
        for (int i = 0; i < 2; i++) {
            job.given[i] = room + (size_t)i * graph->n_vertices;
            job.sums[i] = sums + (size_t)i * n_groups(&job);
        }
        iterate(&job, NULL, &change);
    } else {
        free(ranks);
        ranks = NULL;
    }
    free(room);
    free(sums);
    graph_part_free(&job.part);
    return ranks;
}

static bool verify(const struct settings *settings, const struct graph *graph, const double *ranks)
{
    double *expected = serial_ranks(settings, graph);
    size_t i = 0;

    if (expected == NULL) {
        fprintf(stderr, "pagerank: no memory for the whole graph: try without --verify\n");
        return false;
    }
    while (i < graph->n_vertices && memcmp(&ranks[i], &expected[i], sizeof(*ranks)) == 0)
        i++;
    if (i < graph->n_vertices)
        fprintf(stderr, "pagerank: WRONG: first at vertex %zu: is %a, should be %a\n", i, ranks[i],
                expected[i]);
    free(expected);
    return i == graph->n_vertices;
}

static bool finish(const struct settings *settings, const struct graph *graph,
                   const struct app_run *run, const double *shared_ranks, uint64_t iterations)
{
    struct app_report report = app_report_make(run);
    size_t bytes = graph->n_vertices * sizeof(double);
    double *ranks = app_private(malloc(bytes));

    memcpy(ranks, shared_ranks, bytes);
    report.right = !settings->app.verify || verify(settings, graph, ranks);
    snprintf(report.problem, sizeof(report.problem), "%zu vertices %zu edges", graph->n_vertices,
             graph->n_edges);
    snprintf(report.result, sizeof(report.result),
             "checksum %016" PRIx64 " after %" PRIu64 " iterations", app_hash(ranks, bytes),
             iterations);
    free(ranks);
    return app_print(&settings->app, &report) && report.right;
}

/* This PE's part of the graph, its edges moved into shared memory at home. */
static void job_init(struct job *job, struct app_run *run, const struct graph *graph)
{
    struct app_items mine = app_mine(run, graph->n_vertices, sizeof(double));

    if (!graph_part_make(graph, mine, &job->part))
        app_private(NULL);
    for (int i = 0; i < 2; i++) {
        job->given[i] = app_malloc(run, graph->n_vertices * sizeof(double));
        job->sums[i] = app_malloc(run, n_groups(job) * sizeof(struct sums));
    }
    /* Ranks are everybody's own until PE 0 collects them. */
    job->rank = (double *)app_malloc(run, graph->n_vertices * sizeof(double)) + mine.first;
    uint32_t *from = app_solo(run, job->part.n_edges * sizeof(*from) + 1);
    memcpy(from, job->part.from, job->part.n_edges * sizeof(*from));
    free(job->part.from);
    job->part.from = from;
}

/* Returns the exit code, the same on all PEs. */
static int pagerank(const void *given)
{
    const struct settings *settings = given;
    struct job job = {.settings = settings};
    struct app_run run;
    struct graph graph;
    char error[APP_ERROR_BYTES];
    double change;

    if (!app_agree("pagerank", graph_open(&settings->source, error, &graph), error))
        return EXIT_FAILURE;
    job.n_vertices = graph.n_vertices;
    app_run_init(&run, "pagerank", &settings->app,
                 4 * graph.n_vertices * sizeof(double) + graph.n_edges * sizeof(uint32_t), 6);
    job_init(&job, &run, &graph);
    app_begin(&run);
    uint64_t iterations = iterate(&job, &run, &change);
    app_end(&run);
    /* PE 0's part is the first, so its ranks are where all of them begin. */
    int status =
        app_outcome(&run, run.me != 0 || finish(settings, &graph, &run, job.rank, iterations));
    job.part.from = NULL; /* the region's */
    graph_part_free(&job.part);
    app_run_fini(&run);
    graph_close(&graph);
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings = {.app.attr = HEARTH_REGION_ATTR_DEFAULT,
                                .source = {.scale = 14, .degree = 16, .seed = 1},
                                .iterations_max = 100,
                                .tolerance = 1e-9};

    return app_start(argc, argv, &argp, &settings, &settings.app, pagerank);
}
