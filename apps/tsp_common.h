/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file tsp_common.h
 * What there is to the travelling salesman's problem besides who does what: reading TSPLIB files,
 * bounds, the search of one branch, and another way to the optimum, to check it.
 */
#ifndef TSP_COMMON_H
#define TSP_COMMON_H

#include "app.h"

#define TSP_CITIES_MAX 64

/** Lengths are multiplied by this before they are changed, so that integers are fine enough. */
#define TSP_SCALE 256

/** Distances, and what bounds are made of. The same on all PEs. */
struct tsp_problem {
    int n;
    int32_t distance[TSP_CITIES_MAX][TSP_CITIES_MAX]; /**< symmetric */
    /**
     * TSP_SCALE times the distance, plus a number for each of the two cities: that adds the same to
     * every tour, but can bring spanning trees close to the best one (Held and Karp, Operations
     * Research 1970).
     */
    int64_t weight[TSP_CITIES_MAX][TSP_CITIES_MAX];
    int64_t added; /**< to every tour */
};

/** The beginning of a tour, or all of it. Begins with city 0. */
struct tsp_path {
    int64_t weight; /**< of its edges; of a task's, see there */
    int64_t bound;  /**< no tour that begins so weighs less */
    uint8_t n;
    uint8_t city[TSP_CITIES_MAX];
};

/** Read a TSPLIB file. @param error  why not, if the call fails: the file and the line. */
bool tsp_read(const char *path, char error[APP_ERROR_BYTES], struct tsp_problem *problem_out);

/** n cities at random on a square. */
void tsp_generate(int n, uint64_t seed, struct tsp_problem *problem_out);

/** Find good numbers for the cities, and set the weights. */
void tsp_prepare(struct tsp_problem *problem);

/** A tour that is not bad, to begin with. */
struct tsp_path tsp_first_tour(const struct tsp_problem *problem);

/** The length of a tour of all cities, or -1 if it is none. */
int64_t tsp_length(const struct tsp_problem *problem, const struct tsp_path *tour);

/** Whether a path's bound leaves room for a tour shorter than `length`. */
bool tsp_may_beat(const struct tsp_problem *problem, const struct tsp_path *path, int64_t length);

/** The path of city 0 alone. */
struct tsp_path tsp_root(const struct tsp_problem *problem);

/**
 * Go on to every city that is left, by ascending bound, if that may beat `length`.
 *
 * @return how many paths there are in `children_out`.
 */
int tsp_expand(const struct tsp_problem *problem, const struct tsp_path *path, int64_t length,
               struct tsp_path children_out[TSP_CITIES_MAX]);

/** What a search asks of the world. */
struct tsp_world {
    int64_t (*best)(void *context);                                 /**< the shortest length */
    void (*found)(void *context, const struct tsp_path *, int64_t); /**< a shorter tour */
    void *context;
};

/** Look at all tours that begin with the path and may beat the best one. Returns how many paths it
 *  has looked at. */
uint64_t tsp_search(const struct tsp_problem *problem, const struct tsp_path *path,
                    const struct tsp_world *world);

/**
 * The shortest length, found without the above if there are at most 18 cities (by subsets: Held and
 * Karp, SIAM Journal 1962; Bellman, Journal of the ACM 1962), else by the above on one PE alone.
 *
 * @return -1 if there is no memory.
 */
int64_t tsp_optimum(const struct tsp_problem *problem);

#endif
