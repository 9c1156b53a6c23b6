/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file graph.h
 * Directed graphs for pagerank: read from a list of edges, or made at random. A PE makes the part
 * that it asks for, in private memory.
 */
#ifndef GRAPH_H
#define GRAPH_H

#include "app.h"

/** Where the graph comes from. */
struct graph_source {
    const char *path; /**< NULL: it is generated */
    uint64_t scale;   /**< 2 to the power of it vertices */
    uint64_t degree;  /**< edges per vertex, on average */
    uint64_t seed;
};

struct graph_edge {
    uint32_t from;
    uint32_t to;
};

/** A source that has been looked at: of a file, all edges; else they are made when asked for. */
struct graph {
    struct graph_source source;
    size_t n_vertices;
    size_t n_edges;
    struct graph_edge *edges;
};

/** What a PE needs to compute some vertices: their incoming edges, and how many leave each. */
struct graph_part {
    struct app_items vertices;
    size_t n_edges;
    size_t *start;   /**< [i]: where the edges to vertex vertices.first + i begin; one more */
    uint32_t *from;  /**< in the order of the list */
    uint32_t *n_out; /**< [i]: edges that leave vertex vertices.first + i */
};

/** @param error  why not, if the call fails: the file and the line. */
bool graph_open(const struct graph_source *source, char error[APP_ERROR_BYTES],
                struct graph *graph_out);
void graph_close(struct graph *graph);

/** Make a part. @return false if there is no memory. */
bool graph_part_make(const struct graph *graph, struct app_items vertices,
                     struct graph_part *part_out);
void graph_part_free(struct graph_part *part);

#endif
