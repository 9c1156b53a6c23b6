/* SPDX-License-Identifier: BSD-3-Clause */
#include "graph.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chances of the quarters of the matrix, in 1/100: Chakrabarti, Zhan and Faloutsos, "R-MAT: A
   Recursive Model for Graph Mining", SIAM Data Mining 2004, with the Graph500 benchmark's numbers.
 */
enum { UPPER_LEFT = 57, UPPER_RIGHT = 19, LOWER_LEFT = 19 };

/* R-MAT's well-connected vertices have small numbers, and would all be one PE's: so renumber, one
   to one, by steps that can each be undone. */
static uint32_t scramble(uint64_t vertex, uint64_t scale)
{
    uint64_t mask = ((uint64_t)1 << scale) - 1;

    for (int i = 0; i < 3; i++) {
        vertex = (vertex * 0x9e3779b97f4a7c15u + 0x7f4a7c15u) & mask;
        vertex ^= vertex >> ((scale + 1) / 2);
    }
    return (uint32_t)vertex;
}

static struct graph_edge make_edge(const struct graph_source *source, uint64_t number)
{
    uint64_t from = 0, to = 0, bits = 0;

    for (uint64_t level = 0; level < source->scale; level++) {
        if (level % 8 == 0)
            bits = app_random((source->seed << 48) + number * 4 + level / 8);
        unsigned dice = (unsigned)((bits & 0xff) * 100 >> 8);
        bits >>= 8;
        from = 2 * from + (dice >= UPPER_LEFT + UPPER_RIGHT);
        to = 2 * to + ((dice >= UPPER_LEFT && dice < UPPER_LEFT + UPPER_RIGHT) ||
                       dice >= UPPER_LEFT + UPPER_RIGHT + LOWER_LEFT);
    }
    return (struct graph_edge){scramble(from, source->scale), scramble(to, source->scale)};
}

static struct graph_edge get_edge(const struct graph *graph, size_t number)
{
    return graph->edges != NULL ? graph->edges[number] : make_edge(&graph->source, number);
}

/* ------------------------------------------------------------------------------------------ */
/* Lists of edges                                                                             */

static bool read_vertex(char **text, uint32_t *vertex_out)
{
    char *end;

    while (isspace((unsigned char)**text))
        (*text)++;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    unsigned long vertex = strtoul(*text, &end, 10);
    *text = end;
    *vertex_out = (uint32_t)vertex;
    return errno == 0 && vertex < UINT32_MAX;
}

static bool add_edge(struct graph *graph, struct graph_edge edge, size_t *room)
{
    if (graph->n_edges == *room) {
        *room = *room == 0 ? 1024 : 2 * *room;
        struct graph_edge *larger = realloc(graph->edges, *room * sizeof(*larger));
        if (larger == NULL)
            return false;
        graph->edges = larger;
    }
    graph->edges[graph->n_edges++] = edge;
    uint32_t largest = edge.from > edge.to ? edge.from : edge.to;
    if (largest >= graph->n_vertices)
        graph->n_vertices = (size_t)largest + 1;
    return true;
}

/* Returns NULL, or what is wrong with the line. */
static const char *take_line(struct graph *graph, char *text, size_t *room)
{
    struct graph_edge edge;

    while (isspace((unsigned char)*text))
        text++;
    if (*text == '\0' || *text == '#' || *text == '%')
        return NULL;
    if (!read_vertex(&text, &edge.from) || !read_vertex(&text, &edge.to))
        return "should be two vertices, numbers from 0 to 4294967294";
    if (*text != '\0' && !isspace((unsigned char)*text))
        return "should have a space behind the second vertex";
    return add_edge(graph, edge, room) ? NULL : "no memory for more edges";
}

static bool read_list(struct graph *graph, char error[APP_ERROR_BYTES])
{
    const char *path = graph->source.path, *wrong = NULL;
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t line_bytes = 0, line_number = 0, room = 0;

    if (file == NULL) {
        snprintf(error, APP_ERROR_BYTES, "cannot open %.200s: %s", path, strerror(errno));
        return false;
    }
    while (wrong == NULL && getline(&line, &line_bytes, file) >= 0) {
        line_number++;
        wrong = take_line(graph, line, &room);
    }
    if (wrong == NULL && ferror(file))
        wrong = "cannot be read";
    if (wrong == NULL && graph->n_edges == 0)
        wrong = "the file ends without an edge";
    if (wrong != NULL)
        snprintf(error, APP_ERROR_BYTES, "%.200s, line %zu: %s", path, line_number, wrong);
    free(line);
    fclose(file);
    return wrong == NULL;
}

bool graph_open(const struct graph_source *source, char error[APP_ERROR_BYTES],
                struct graph *graph_out)
{
    *graph_out = (struct graph){.source = *source};
    if (source->path != NULL) {
        if (read_list(graph_out, error))
            return true;
        graph_close(graph_out);
        return false;
    }
    graph_out->n_vertices = (size_t)1 << source->scale;
    graph_out->n_edges = graph_out->n_vertices * source->degree;
    return true;
}

void graph_close(struct graph *graph)
{
    free(graph->edges);
    graph->edges = NULL;
}

/* ------------------------------------------------------------------------------------------ */
/* Parts                                                                                      */

static bool is_in(struct app_items items, uint32_t vertex)
{
    return vertex >= items.first && vertex < items.end;
}

/* Twice over all edges, first to count: they may be too many to keep. */
bool graph_part_make(const struct graph *graph, struct app_items vertices,
                     struct graph_part *part_out)
{
    size_t n = vertices.end - vertices.first;
    struct graph_part part = {.vertices = vertices,
                              .start = calloc(n + 2, sizeof(*part.start)),
                              .n_out = calloc(n + 1, sizeof(*part.n_out))};

    for (size_t k = 0; part.start != NULL && part.n_out != NULL && k < graph->n_edges; k++) {
        struct graph_edge edge = get_edge(graph, k);

        if (is_in(vertices, edge.from))
            part.n_out[edge.from - vertices.first]++;
        if (is_in(vertices, edge.to)) {
            part.start[edge.to - vertices.first + 2]++;
            part.n_edges++;
        }
    }
    part.from = malloc(part.n_edges * sizeof(*part.from) + 1);
    if (part.start == NULL || part.n_out == NULL || part.from == NULL) {
        graph_part_free(&part);
        return false;
    }
    /* start[i + 1] is where the next edge to i goes; at the end, where those to i + 1 begin. */
    for (size_t i = 0; i < n; i++)
        part.start[i + 2] += part.start[i + 1];
    for (size_t k = 0; k < graph->n_edges; k++) {
        struct graph_edge edge = get_edge(graph, k);

        if (is_in(vertices, edge.to))
            part.from[part.start[edge.to - vertices.first + 1]++] = edge.from;
    }
    *part_out = part;
    return true;
}

void graph_part_free(struct graph_part *part)
{
    free(part->start);
    free(part->from);
    free(part->n_out);
    *part = (struct graph_part){0};
}
