/* SPDX-License-Identifier: BSD-3-Clause */
#include "nbody_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)64 << 10)
#define LEAF_POINTS 8
#define DEPTH_MAX   40 /* points closer than that are a leaf, however many there are */

/* Squared: pulls of points that are closer than this grow no more. */
#define SOFTENING 1e-4

/* ------------------------------------------------------------------------------------------ */
/* Pools                                                                                      */

static void add_chunk(struct nbody_pool *pool)
{
    char **more = realloc(pool->chunks, (pool->n_chunks + 1) * sizeof(*more));

    pool->chunks = app_private(more);
    pool->chunks[pool->n_chunks++] =
        pool->run != NULL ? app_solo(pool->run, CHUNK_BYTES) : app_private(malloc(CHUNK_BYTES));
}

/* No piece is larger than a chunk but for a leaf of very many points, which gets its own. */
void *nbody_pool_alloc(struct nbody_pool *pool, size_t bytes)
{
    if (bytes > CHUNK_BYTES)
        return pool->run != NULL ? app_solo(pool->run, bytes) : app_private(malloc(bytes));
    if (pool->used_bytes + bytes > CHUNK_BYTES) {
        pool->current++;
        pool->used_bytes = 0;
    }
    if (pool->current == pool->n_chunks)
        add_chunk(pool);
    void *piece = pool->chunks[pool->current] + pool->used_bytes;
    pool->used_bytes += bytes;
    return piece;
}

void nbody_pool_reset(struct nbody_pool *pool)
{
    pool->current = 0;
    pool->used_bytes = 0;
}

void nbody_pool_fini(struct nbody_pool *pool)
{
    for (size_t i = 0; pool->run == NULL && i < pool->n_chunks; i++)
        free(pool->chunks[i]);
    free(pool->chunks);
}

/* ------------------------------------------------------------------------------------------ */
/* Building                                                                                   */

int nbody_octant(const struct nbody_cube *cube, const double at[3])
{
    return (at[0] >= cube->middle[0] ? 4 : 0) | (at[1] >= cube->middle[1] ? 2 : 0) |
           (at[2] >= cube->middle[2] ? 1 : 0);
}

struct nbody_cube nbody_part(const struct nbody_cube *cube, int octant)
{
    struct nbody_cube part = {.half = cube->half / 2};

    for (int i = 0; i < 3; i++)
        part.middle[i] = cube->middle[i] + (octant >> (2 - i) & 1 ? part.half : -part.half);
    return part;
}

static void centre(struct nbody_node *node, const double sum[3])
{
    for (int i = 0; i < 3; i++)
        node->at[i] = node->mass > 0 ? sum[i] / node->mass : 0;
}

void nbody_join(struct nbody_node *node, const struct nbody_node *children)
{
    double sum[3] = {0};

    node->mass = 0;
    node->children = children;
    node->points = NULL;
    node->n_points = 0;
    for (int c = 0; c < 8; c++) {
        node->mass += children[c].mass;
        for (int i = 0; i < 3; i++)
            sum[i] += children[c].mass * children[c].at[i];
    }
    centre(node, sum);
}

static void make_leaf(struct nbody_pool *pool, const struct nbody_point *points, size_t n,
                      struct nbody_node *node)
{
    struct nbody_point *copy = n > 0 ? nbody_pool_alloc(pool, n * sizeof(*copy)) : NULL;
    double sum[3] = {0};

    if (n > 0)
        memcpy(copy, points, n * sizeof(*copy));
    *node = (struct nbody_node){.points = copy, .n_points = n};
    for (size_t k = 0; k < n; k++) {
        node->mass += points[k].mass;
        for (int i = 0; i < 3; i++)
            sum[i] += points[k].mass * points[k].at[i];
    }
    centre(node, sum);
}

static void build(struct nbody_pool *pool, const struct nbody_cube *cube,
                  struct nbody_point *points, struct nbody_point *spare, size_t n, int depth,
                  struct nbody_node *node)
{
    size_t first[9] = {0}, next[8];

    if (n <= LEAF_POINTS || depth == DEPTH_MAX) {
        make_leaf(pool, points, n, node);
        return;
    }
    for (size_t k = 0; k < n; k++)
        first[nbody_octant(cube, points[k].at) + 1]++;
    for (int c = 0; c < 8; c++) {
        first[c + 1] += first[c];
        next[c] = first[c];
    }
    for (size_t k = 0; k < n; k++)
        spare[next[nbody_octant(cube, points[k].at)]++] = points[k];
    struct nbody_node *children = nbody_pool_alloc(pool, 8 * sizeof(*children));
    for (int c = 0; c < 8; c++) {
        struct nbody_cube part = nbody_part(cube, c);

        build(pool, &part, spare + first[c], points + first[c], first[c + 1] - first[c], depth + 1,
              &children[c]);
    }
    nbody_join(node, children);
}

void nbody_build(struct nbody_pool *pool, const struct nbody_cube *cube, struct nbody_point *points,
                 struct nbody_point *spare, size_t n, struct nbody_node *node)
{
    build(pool, cube, points, spare, n, 0, node);
}

/* ------------------------------------------------------------------------------------------ */
/* Walking                                                                                    */

void nbody_pull(const double from[3], double mass, const double at[3], double acceleration[3])
{
    double d[3] = {from[0] - at[0], from[1] - at[1], from[2] - at[2]};
    double square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + SOFTENING;
    double factor = mass / (square * sqrt(square));

    for (int i = 0; i < 3; i++)
        acceleration[i] += factor * d[i];
}

static void walk(const struct nbody_node *node, double side, double theta, const double at[3],
                 double acceleration[3])
{
    double square = 0;

    /* A point pulls itself by nothing, its distance being 0. */
    for (uint64_t k = 0; k < node->n_points; k++)
        nbody_pull(node->points[k].at, node->points[k].mass, at, acceleration);
    if (node->children == NULL)
        return;
    for (int i = 0; i < 3; i++)
        square += (node->at[i] - at[i]) * (node->at[i] - at[i]);
    if (side * side < theta * theta * square) {
        nbody_pull(node->at, node->mass, at, acceleration);
        return;
    }
    for (int c = 0; c < 8; c++)
        if (node->children[c].mass > 0)
            walk(&node->children[c], side / 2, theta, at, acceleration);
}

void nbody_walk(const struct nbody_node *root, double side, double theta, const double at[3],
                double acceleration_out[3])
{
    memset(acceleration_out, 0, 3 * sizeof(*acceleration_out));
    walk(root, side, theta, at, acceleration_out);
}
