/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file nbody_tree.h
 * The octree of Barnes and Hut (Nature 324, 1986): built from the points of one cube, of memory
 * from a pool; walked by whoever has the pointer.
 *
 * The tree depends on the points, their order and the cube, and on nothing else. So trees of cells
 * that several PEs built are the trees that one would have built, bit by bit.
 */
#ifndef NBODY_TREE_H
#define NBODY_TREE_H

#include "app_run.h"

/** A point mass. */
struct nbody_point {
    double at[3];
    double mass;
};

/** A cube of space: where it is, and half a side. */
struct nbody_cube {
    double middle[3];
    double half;
};

/** A cell of the tree. Empty if its mass is 0. */
struct nbody_node {
    double at[3]; /**< centre of mass */
    double mass;
    const struct nbody_node *children; /**< eight, one after the other; NULL: a leaf */
    const struct nbody_point *points;  /**< of a leaf */
    uint64_t n_points;
};

/**
 * Memory that is handed out piece by piece and taken back all at once: solo allocations of a run's
 * region, or private memory if run is NULL. Only the PE that made it may allocate from it.
 */
struct nbody_pool {
    struct app_run *run;
    char **chunks; /* private */
    size_t n_chunks;
    size_t current;
    size_t used_bytes;
};

void *nbody_pool_alloc(struct nbody_pool *pool, size_t bytes);
void nbody_pool_reset(struct nbody_pool *pool);
void nbody_pool_fini(struct nbody_pool *pool);

/** The octant of a cube that a point is in, and that octant's cube. */
int nbody_octant(const struct nbody_cube *cube, const double at[3]);
struct nbody_cube nbody_part(const struct nbody_cube *cube, int octant);

/**
 * Build the tree of n points in a cube.
 *
 * @param points  private, and put in another order.
 * @param spare   room for as many.
 * @param node    where the root is to be.
 */
void nbody_build(struct nbody_pool *pool, const struct nbody_cube *cube, struct nbody_point *points,
                 struct nbody_point *spare, size_t n, struct nbody_node *node);

/** Set a node's mass and centre from its eight children, which it is given. */
void nbody_join(struct nbody_node *node, const struct nbody_node *children);

/**
 * The acceleration of a point at `at`. A cell is taken as one mass if its side is less than theta
 * times its distance.
 */
void nbody_walk(const struct nbody_node *root, double side, double theta, const double at[3],
                double acceleration_out[3]);

/** Add what one mass contributes to an acceleration. */
void nbody_pull(const double from[3], double mass, const double at[3], double acceleration[3]);

#endif
