/* SPDX-License-Identifier: BSD-3-Clause */
#include "tsp_common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Steps in which the cities' numbers are improved. */
#define ASCENT_STEPS 400

/* Paths between two looks at the best length. */
#define PATIENCE 64

/* Cities up to which the subsets of all fit into memory: 2^17 of 17, 4 bytes each. */
#define SUBSETS_CITIES_MAX 18

void tsp_generate(int n, uint64_t seed, struct tsp_problem *problem_out)
{
    int x[TSP_CITIES_MAX], y[TSP_CITIES_MAX];

    *problem_out = (struct tsp_problem){.n = n};
    for (int i = 0; i < n; i++) {
        uint64_t dice = app_random((seed << 32) + (uint64_t)i);

        x[i] = (int)(dice % 10000);
        y[i] = (int)(dice / 10000 % 10000);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            problem_out->distance[i][j] = (int32_t)floor(hypot(x[i] - x[j], y[i] - y[j]) + 0.5);
}

/* ------------------------------------------------------------------------------------------ */
/* Bounds                                                                                     */

/*
 * The weight of a minimum spanning tree (Prim) of the cities listed. degree: NULL, or counts edges
 * at each city.
 */
static int64_t spanning_tree(const struct tsp_problem *problem, const uint8_t *list, int n,
                             int *degree)
{
    int64_t nearest[TSP_CITIES_MAX], total = 0;
    uint8_t left[TSP_CITIES_MAX], by[TSP_CITIES_MAX];
    int n_left = n - 1;

    for (int i = 0; i < n_left; i++) {
        left[i] = list[i + 1];
        by[i] = list[0];
        nearest[i] = problem->weight[list[0]][left[i]];
    }
    while (n_left > 0) {
        int next = 0;

        for (int i = 1; i < n_left; i++)
            if (nearest[i] < nearest[next])
                next = i;
        uint8_t city = left[next];
        total += nearest[next];
        if (degree != NULL) {
            degree[city]++;
            degree[by[next]]++;
        }
        n_left--;
        left[next] = left[n_left];
        by[next] = by[n_left];
        nearest[next] = nearest[n_left];
        for (int i = 0; i < n_left; i++)
            if (problem->weight[city][left[i]] < nearest[i]) {
                nearest[i] = problem->weight[city][left[i]];
                by[i] = city;
            }
    }
    return total;
}

static void set_weights(struct tsp_problem *problem, const int64_t *number)
{
    problem->added = 0;
    for (int i = 0; i < problem->n; i++) {
        problem->added += 2 * number[i];
        for (int j = 0; j < problem->n; j++)
            problem->weight[i][j] =
                (int64_t)TSP_SCALE * problem->distance[i][j] + number[i] + number[j];
    }
}

/* A spanning tree of all but city 0, and its two lightest edges: a tour is one of these, so none
   weighs less. degree[] is how many edges each city has; in a tour it would be two. */
static int64_t one_tree(const struct tsp_problem *problem, int *degree)
{
    uint8_t list[TSP_CITIES_MAX];
    int first = 1, second = 2;

    for (int i = 1; i < problem->n; i++)
        list[i - 1] = (uint8_t)i;
    memset(degree, 0, sizeof(*degree) * TSP_CITIES_MAX);
    int64_t total = spanning_tree(problem, list, problem->n - 1, degree);
    const int64_t *weight = problem->weight[0];
    if (weight[second] < weight[first]) {
        first = 2;
        second = 1;
    }
    for (int i = 3; i < problem->n; i++) {
        if (weight[i] < weight[first]) {
            second = first;
            first = i;
        } else if (weight[i] < weight[second]) {
            second = i;
        }
    }
    degree[0] = 2;
    degree[first]++;
    degree[second]++;
    return total + weight[first] + weight[second];
}

/* Cities with too many edges become dearer, those with too few cheaper, in ever smaller steps. */
void tsp_prepare(struct tsp_problem *problem)
{
    int64_t number[TSP_CITIES_MAX] = {0}, best_number[TSP_CITIES_MAX] = {0};
    int64_t best = INT64_MIN;
    int degree[TSP_CITIES_MAX];

    set_weights(problem, number);
    double step = (double)one_tree(problem, degree) / (2.0 * problem->n);
    for (int i = 0; i < ASCENT_STEPS; i++) {
        set_weights(problem, number);
        int64_t bound = one_tree(problem, degree) - problem->added;
        if (bound > best) {
            best = bound;
            memcpy(best_number, number, sizeof(number));
        }
        for (int city = 0; city < problem->n; city++)
            number[city] += (int64_t)(step * (degree[city] - 2));
        step *= 0.98;
    }
    set_weights(problem, best_number);
}

bool tsp_may_beat(const struct tsp_problem *problem, const struct tsp_path *path, int64_t length)
{
    return path->bound - problem->added <= (length - 1) * TSP_SCALE;
}

/* The path's weight, the lightest edges from its ends to the cities left, and their tree. */
static int64_t bound_of(const struct tsp_problem *problem, const struct tsp_path *path,
                        const uint8_t *left, int n_left)
{
    uint8_t last = path->city[path->n - 1];
    int64_t from = INT64_MAX, to = INT64_MAX;

    if (n_left == 0)
        return path->weight + problem->weight[last][0];
    for (int i = 0; i < n_left; i++) {
        if (problem->weight[last][left[i]] < from)
            from = problem->weight[last][left[i]];
        if (problem->weight[0][left[i]] < to)
            to = problem->weight[0][left[i]];
    }
    return path->weight + from + to + spanning_tree(problem, left, n_left, NULL);
}

/* ------------------------------------------------------------------------------------------ */
/* Paths and tours                                                                            */

int64_t tsp_length(const struct tsp_problem *problem, const struct tsp_path *tour)
{
    uint64_t seen = 0;
    int64_t length = 0;

    if (tour->n != problem->n || tour->city[0] != 0)
        return -1;
    for (int i = 0; i < problem->n; i++) {
        int city = tour->city[i], next = tour->city[(i + 1) % problem->n];

        if (city >= problem->n || next >= problem->n || (seen >> city & 1) != 0)
            return -1;
        seen |= (uint64_t)1 << city;
        length += problem->distance[city][next];
    }
    return length;
}

static int list_left(const struct tsp_problem *problem, const struct tsp_path *path, uint8_t *left)
{
    uint64_t seen = 0;
    int n = 0;

    for (int i = 0; i < path->n; i++)
        seen |= (uint64_t)1 << path->city[i];
    for (int city = 0; city < problem->n; city++)
        if ((seen >> city & 1) == 0)
            left[n++] = (uint8_t)city;
    return n;
}

struct tsp_path tsp_root(const struct tsp_problem *problem)
{
    uint8_t left[TSP_CITIES_MAX];
    struct tsp_path root = {.n = 1};

    root.bound = bound_of(problem, &root, left, list_left(problem, &root, left));
    return root;
}

/* The nearest city that is left, again and again; then stretches are turned round while that makes
   the tour shorter. */
struct tsp_path tsp_first_tour(const struct tsp_problem *problem)
{
    struct tsp_path tour = {.n = 1};
    uint8_t left[TSP_CITIES_MAX];
    int n = problem->n;
    bool better = true;

    while (tour.n < n) {
        const int32_t *distance = problem->distance[tour.city[tour.n - 1]];
        int n_left = list_left(problem, &tour, left), next = 0;

        for (int i = 1; i < n_left; i++)
            if (distance[left[i]] < distance[left[next]])
                next = i;
        tour.city[tour.n++] = left[next];
    }
    while (better) {
        better = false;
        for (int i = 1; i < n - 1; i++)
            for (int j = i + 1; j < n; j++) {
                uint8_t *c = tour.city, after = c[(j + 1) % n];
                int32_t old = problem->distance[c[i - 1]][c[i]] + problem->distance[c[j]][after];
                int32_t new = problem->distance[c[i - 1]][c[j]] + problem->distance[c[i]][after];

                if (new >= old)
                    continue;
                for (int low = i, high = j; low < high; low++, high--) {
                    uint8_t swap = c[low];
                    c[low] = c[high];
                    c[high] = swap;
                }
                better = true;
            }
    }
    return tour;
}

int tsp_expand(const struct tsp_problem *problem, const struct tsp_path *path, int64_t length,
               struct tsp_path children_out[TSP_CITIES_MAX])
{
    uint8_t left[TSP_CITIES_MAX], others[TSP_CITIES_MAX];
    int n_left = list_left(problem, path, left), n = 0;

    for (int i = 0; i < n_left; i++) {
        struct tsp_path child = *path;
        int n_others = 0, place = n;

        for (int k = 0; k < n_left; k++)
            if (k != i)
                others[n_others++] = left[k];
        child.weight += problem->weight[path->city[path->n - 1]][left[i]];
        child.city[child.n++] = left[i];
        child.bound = bound_of(problem, &child, others, n_others);
        if (!tsp_may_beat(problem, &child, length))
            continue;
        for (; place > 0 && children_out[place - 1].bound > child.bound; place--)
            children_out[place] = children_out[place - 1];
        children_out[place] = child;
        n++;
    }
    return n;
}

/* ------------------------------------------------------------------------------------------ */
/* Searching                                                                                  */

struct search {
    const struct tsp_problem *problem;
    const struct tsp_world *world;
    int64_t best; /* as of the last look */
    uint64_t n_paths;
};

static void descend(struct search *search, const struct tsp_path *path)
{
    struct tsp_path children[TSP_CITIES_MAX];

    if (search->n_paths++ % PATIENCE == 0)
        search->best = search->world->best(search->world->context);
    if (!tsp_may_beat(search->problem, path, search->best))
        return;
    if (path->n == search->problem->n) {
        search->best = tsp_length(search->problem, path);
        search->world->found(search->world->context, path, search->best);
        return;
    }
    int n = tsp_expand(search->problem, path, search->best, children);
    for (int i = 0; i < n; i++)
        descend(search, &children[i]);
}

uint64_t tsp_search(const struct tsp_problem *problem, const struct tsp_path *path,
                    const struct tsp_world *world)
{
    struct search search = {.problem = problem, .world = world};

    descend(&search, path);
    return search.n_paths;
}

/* shortest[s][c]: of the paths from city 0 through all cities of subset s, to city c + 1 of it. */
static int64_t optimum_by_subsets(const struct tsp_problem *problem)
{
    size_t m = (size_t)problem->n - 1, n_subsets = (size_t)1 << m;
    int32_t *shortest = malloc(n_subsets * m * sizeof(*shortest));
    int64_t best = INT64_MAX;

    if (shortest == NULL)
        return -1;
    for (size_t s = 1; s < n_subsets; s++)
        for (size_t c = 0; c < m; c++) {
            size_t rest = s & ~((size_t)1 << c);
            int32_t length = INT32_MAX;

            if (rest == s)
                continue;
            if (rest == 0)
                length = problem->distance[0][c + 1];
            for (size_t d = 0; d < m; d++)
                if ((rest >> d & 1) != 0 &&
                    shortest[rest * m + d] + problem->distance[d + 1][c + 1] < length)
                    length = shortest[rest * m + d] + problem->distance[d + 1][c + 1];
            shortest[s * m + c] = length;
        }
    for (size_t c = 0; c < m; c++) {
        int64_t length = shortest[(n_subsets - 1) * m + c] + problem->distance[c + 1][0];

        best = length < best ? length : best;
    }
    free(shortest);
    return best;
}

static int64_t alone_best(void *context)
{
    return *(int64_t *)context;
}

static void alone_found(void *context, const struct tsp_path *tour, int64_t length)
{
    (void)tour;
    *(int64_t *)context = length;
}

int64_t tsp_optimum(const struct tsp_problem *problem)
{
    if (problem->n <= SUBSETS_CITIES_MAX)
        return optimum_by_subsets(problem);
    struct tsp_path tour = tsp_first_tour(problem), root = tsp_root(problem);
    int64_t best = tsp_length(problem, &tour);
    tsp_search(problem, &root, &(struct tsp_world){alone_best, alone_found, &best});
    return best;
}
