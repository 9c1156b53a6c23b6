/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies that attract each other, by Barnes and Hut's tree, in shared memory.
 *
 * Space is cut into CELLS cells. In each step a PE notes which of its bodies are in which cell;
 * then the cells are dealt to the PEs, each builds the trees of its own, of solo allocations, and
 * puts the roots where all find them; then each moves its own bodies, and for that walks the whole
 * tree by its pointers, whoever built it. A barrier stands between one and the next. Bodies are
 * numbered along a curve through space, so those of a PE are close together, and so are most of
 * those in its cells; and of others' trees it sees the less the farther they are away.
 *
 * All arithmetic is independent of who does it, so the results are the same, bit by bit, for any
 * number of PEs.
 */
#include "nbody_tree.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS    3 /* of the tree above the cells */
#define CELLS     512
#define TOP_NODES (1 + 8 + 64)

/* A sample of accelerations must be this close to those summed body by body. */
#define ERROR_MAX 0.03
#define SAMPLES   64

struct settings {
    struct app_options app; /* first: app_argp is given this */
    uint64_t n_bodies;
    uint64_t steps;
    uint64_t seed;
    double theta;
    double dt;
};

/** What a PE tells the others in each step, on pages of its own. */
struct board {
    double farthest;           /* of its bodies, from the origin, in any direction */
    uint32_t start[CELLS + 1]; /* [cell]: where in order[] its bodies in that cell begin */
    const uint32_t *order;     /* its bodies, cell by cell */
};

struct motion {
    double v[3];
    double unused; /* so that homes are those of the places */
};

/** A simulation; by one PE of several, or (run NULL) by one alone in private memory. */
struct sim {
    const struct settings *settings;
    struct app_run *run;
    int me;
    int n_pes;
    struct app_items mine;      /* bodies */
    struct nbody_point *bodies; /* shared */
    struct motion *motions;     /* shared */
    char *boards;               /* shared; board_bytes for each PE */
    size_t board_bytes;
    struct nbody_node *roots; /* shared: [cell] */
    uint32_t *order;          /* this PE's, on its board */
    struct nbody_pool pool;
    struct nbody_point *room[2];      /* private, for as many points as there are */
    struct nbody_node top[TOP_NODES]; /* private: the levels above the cells */
};

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

enum { KEY_THETA = 0x200, KEY_SEED };

static const struct argp_option option_table[] = {
    {"bodies", 'b', "N", 0, "How many (default 8192)", 0},
    {"steps", 'n', "N", 0, "Steps in time (default 4)", 0},
    {"theta", KEY_THETA, "X", 0,
     "A cell is taken as one mass if its side is less than X times its distance (default 0.5)", 0},
    {"seed", KEY_SEED, "N", 0, "Other bodies (default 1)", 0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct settings *settings = state->input;
    char *end;

    switch (key) {
    case ARGP_KEY_INIT:
        return app_share_input(state);
    case 'b':
        return app_parse_number(state, "bodies", arg, 1, UINT32_MAX, &settings->n_bodies);
    case 'n':
        return app_parse_number(state, "steps", arg, 0, UINT32_MAX, &settings->steps);
    case KEY_SEED:
        return app_parse_number(state, "seed", arg, 0, UINT16_MAX, &settings->seed);
    case KEY_THETA:
        settings->theta = strtod(arg, &end);
        if (end == arg || *end != '\0' || !(settings->theta >= 0 && settings->theta <= 1)) {
            argp_error(state, "--theta is '%s', but must be from 0 to 1", arg);
            return EINVAL;
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    option_table,
    parse_option,
    NULL,
    "Bodies that attract each other, by Barnes and Hut's tree, in shared memory.\v"
    "HEARTH_PROTOCOL, HEARTH_CONSISTENCY and HEARTH_PAGE_BYTES override the options.",
    (const struct argp_child[]){{&app_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

/* ------------------------------------------------------------------------------------------ */
/* Bodies                                                                                     */

struct numbered {
    struct nbody_point body;
    struct motion motion;
    uint64_t key; /* on the curve */
};

static double even(const struct settings *settings, uint64_t i)
{
    return ((double)(app_random((settings->seed << 48) + i) >> 11) + 0.5) * 0x1p-53;
}

/* A direction at random, `length` long. */
static void direction(const struct settings *settings, uint64_t i, double length, double out[3])
{
    double z = 2 * even(settings, i) - 1, angle = 2 * M_PI * even(settings, i + 1);
    double flat = sqrt(1 - z * z);

    out[0] = length * flat * cos(angle);
    out[1] = length * flat * sin(angle);
    out[2] = length * z;
}

/* Plummer's sphere, without those far out; velocities below that of escape. */
static struct numbered make_body(const struct settings *settings, uint64_t i)
{
    struct numbered made = {.body.mass = 1.0 / (double)settings->n_bodies};
    double radius = 1 / sqrt(pow(0.99 * even(settings, 8 * i) + 1e-9, -2.0 / 3) - 1);
    double speed = 0.5 * even(settings, 8 * i + 1) * sqrt(2) * pow(1 + radius * radius, -0.25);

    direction(settings, 8 * i + 2, radius, made.body.at);
    direction(settings, 8 * i + 4, speed, made.motion.v);
    return made;
}

/* Morton's curve: the octants of 20 levels, of a cube that is large enough. */
static uint64_t curve_key(const double at[3])
{
    struct nbody_cube cube = {.half = 16};
    uint64_t key = 0;

    for (int level = 0; level < 20; level++) {
        int octant = nbody_octant(&cube, at);

        key = 8 * key + (uint64_t)octant;
        cube = nbody_part(&cube, octant);
    }
    return key;
}

static int compare(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

/* All make all bodies, and keep their own. */
static void fill(struct sim *sim)
{
    uint64_t n = sim->settings->n_bodies;
    struct numbered *all = app_private(malloc(n * sizeof(*all)));

    for (uint64_t i = 0; i < n; i++) {
        all[i] = make_body(sim->settings, i);
        all[i].key = curve_key(all[i].body.at);
    }
    qsort(all, n, sizeof(*all), compare);
    for (size_t i = sim->mine.first; i < sim->mine.end; i++) {
        sim->bodies[i] = all[i].body;
        sim->motions[i] = all[i].motion;
    }
    free(all);
}

/* ------------------------------------------------------------------------------------------ */
/* A step                                                                                     */

static struct board *board_of(const struct sim *sim, int pe)
{
    return (struct board *)(sim->boards + (size_t)pe * sim->board_bytes);
}

static void barrier(struct sim *sim)
{
    if (sim->run != NULL)
        app_barrier(sim->run);
}

/* How far out this PE's bodies are. */
static void measure(struct sim *sim)
{
    double farthest = 0;

    for (size_t i = sim->mine.first; i < sim->mine.end; i++)
        for (int k = 0; k < 3; k++)
            farthest = fmax(farthest, fabs(sim->bodies[i].at[k]));
    board_of(sim, sim->me)->farthest = farthest;
}

static struct nbody_cube whole_space(const struct sim *sim)
{
    struct nbody_cube cube = {.half = 0};

    for (int pe = 0; pe < sim->n_pes; pe++)
        cube.half = fmax(cube.half, board_of(sim, pe)->farthest);
    cube.half = cube.half * 1.000001 + 1e-9;
    return cube;
}

static uint32_t cell_at(struct nbody_cube cube, const double at[3])
{
    uint32_t cell = 0;

    for (int level = 0; level < LEVELS; level++) {
        int octant = nbody_octant(&cube, at);

        cell = 8 * cell + (uint32_t)octant;
        cube = nbody_part(&cube, octant);
    }
    return cell;
}

static struct nbody_cube cube_of(struct nbody_cube cube, uint32_t cell)
{
    for (int level = LEVELS - 1; level >= 0; level--)
        cube = nbody_part(&cube, (int)(cell >> (3 * level) & 7));
    return cube;
}

/* This PE's bodies, cell by cell, in order of their numbers. */
static void note_cells(struct sim *sim, struct nbody_cube space)
{
    struct board *board = board_of(sim, sim->me);
    uint32_t next[CELLS + 1] = {0};

    for (size_t i = sim->mine.first; i < sim->mine.end; i++)
        next[cell_at(space, sim->bodies[i].at) + 1]++;
    for (uint32_t cell = 0; cell < CELLS; cell++)
        next[cell + 1] += next[cell];
    memcpy(board->start, next, sizeof(next));
    board->order = sim->order;
    for (size_t i = sim->mine.first; i < sim->mine.end; i++)
        sim->order[next[cell_at(space, sim->bodies[i].at)]++] = (uint32_t)i;
}

/* The points of a cell, from all PEs, in order of their numbers. */
static size_t collect(const struct sim *sim, uint32_t cell)
{
    size_t n = 0;

    for (int pe = 0; pe < sim->n_pes; pe++) {
        const struct board *board = board_of(sim, pe);

        for (uint32_t k = board->start[cell]; k < board->start[cell + 1]; k++)
            sim->room[0][n++] = sim->bodies[board->order[k]];
    }
    return n;
}

/* Cells are dealt in order, by how many bodies there are before a cell. */
static void build_cells(struct sim *sim, struct nbody_cube space)
{
    uint64_t before = 0, n_bodies = sim->settings->n_bodies;

    nbody_pool_reset(&sim->pool);
    for (uint32_t cell = 0; cell < CELLS; cell++) {
        uint64_t n = 0;

        for (int pe = 0; pe < sim->n_pes; pe++)
            n += board_of(sim, pe)->start[cell + 1] - board_of(sim, pe)->start[cell];
        uint64_t middle = before + n / 2;
        uint64_t dest =
            middle < n_bodies ? middle * (uint64_t)sim->n_pes / n_bodies : (uint64_t)sim->n_pes - 1;
        before += n;
        if (dest != (uint64_t)sim->me)
            continue;
        struct nbody_cube cube = cube_of(space, cell);
        nbody_build(&sim->pool, &cube, sim->room[0], sim->room[1], collect(sim, cell),
                    &sim->roots[cell]);
    }
}

/* The levels above: few, so that each PE makes its own. Returns the root. */
static const struct nbody_node *build_top(struct sim *sim)
{
    struct nbody_node *level = sim->top + 1 + 8, *above = sim->top + 1;

    for (int i = 0; i < 64; i++)
        nbody_join(&level[i], &sim->roots[8 * i]);
    for (int i = 0; i < 8; i++)
        nbody_join(&above[i], &level[8 * i]);
    nbody_join(&sim->top[0], above);
    return &sim->top[0];
}

static void move(struct sim *sim, const struct nbody_node *root, double side)
{
    double dt = sim->settings->dt;

    for (size_t i = sim->mine.first; i < sim->mine.end; i++) {
        struct nbody_point *body = &sim->bodies[i];
        struct motion *motion = &sim->motions[i];
        double acceleration[3];

        nbody_walk(root, side, sim->settings->theta, body->at, acceleration);
        for (int k = 0; k < 3; k++) {
            motion->v[k] += dt * acceleration[k];
            body->at[k] += dt * motion->v[k];
        }
    }
}

static void simulate(struct sim *sim)
{
    for (uint64_t step = 0; step < sim->settings->steps; step++) {
        measure(sim);
        barrier(sim); /* all know how large space is */
        struct nbody_cube space = whole_space(sim);
        note_cells(sim, space);
        barrier(sim); /* all know who has what in which cell */
        build_cells(sim, space);
        barrier(sim); /* the tree stands; bodies are read by their own PE only from here on */
        move(sim, build_top(sim), 2 * space.half);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* The end                                                                                    */

static bool sim_init_alone(struct sim *sim, const struct settings *settings)
{
    size_t n = settings->n_bodies;

    *sim = (struct sim){
        .settings = settings,
        .n_pes = 1,
        .mine = {0, n},
        .board_bytes = sizeof(struct board),
        .bodies = malloc(n * sizeof(*sim->bodies)),
        .motions = malloc(n * sizeof(*sim->motions)),
        .boards = malloc(sizeof(struct board)),
        .roots = malloc(CELLS * sizeof(*sim->roots)),
        .order = malloc(n * sizeof(*sim->order)),
        .room = {malloc(n * sizeof(struct nbody_point)), malloc(n * sizeof(struct nbody_point))}};
    return sim->bodies != NULL && sim->motions != NULL && sim->boards != NULL &&
           sim->roots != NULL && sim->order != NULL && sim->room[0] != NULL && sim->room[1] != NULL;
}

static void sim_fini_alone(struct sim *sim)
{
    nbody_pool_fini(&sim->pool);
    free(sim->bodies);
    free(sim->motions);
    free(sim->boards);
    free(sim->roots);
    free(sim->order);
    free(sim->room[0]);
    free(sim->room[1]);
}

/* How far the tree's accelerations are from those that are summed over all bodies: the root of the
   mean square of a sample, relative. */
static double tree_error(struct sim *sim)
{
    size_t n = sim->settings->n_bodies, every = n / SAMPLES + 1;
    double apart = 0, all = 0;

    measure(sim);
    struct nbody_cube space = whole_space(sim);
    note_cells(sim, space);
    build_cells(sim, space);
    const struct nbody_node *root = build_top(sim);
    for (size_t i = 0; i < n; i += every) {
        double by_tree[3], direct[3] = {0};

        nbody_walk(root, 2 * space.half, sim->settings->theta, sim->bodies[i].at, by_tree);
        for (size_t k = 0; k < n; k++)
            nbody_pull(sim->bodies[k].at, sim->bodies[k].mass, sim->bodies[i].at, direct);
        for (int k = 0; k < 3; k++) {
            apart += (by_tree[k] - direct[k]) * (by_tree[k] - direct[k]);
            all += direct[k] * direct[k];
        }
    }
    return all > 0 ? sqrt(apart / all) : 0;
}

static bool verify(const struct settings *settings, const struct nbody_point *bodies)
{
    struct sim alone;
    size_t i = 0;

    if (!sim_init_alone(&alone, settings)) {
        fprintf(stderr, "nbody: no memory for a private simulation: try without --verify\n");
        sim_fini_alone(&alone);
        return false;
    }
    fill(&alone);
    simulate(&alone);
    while (i < settings->n_bodies && memcmp(&bodies[i], &alone.bodies[i], sizeof(*bodies)) == 0)
        i++;
    if (i < settings->n_bodies)
        fprintf(stderr, "nbody: WRONG: first body %zu: is at %a %a %a, should be at %a %a %a\n", i,
                bodies[i].at[0], bodies[i].at[1], bodies[i].at[2], alone.bodies[i].at[0],
                alone.bodies[i].at[1], alone.bodies[i].at[2]);
    double error = tree_error(&alone);
    if (!(error <= ERROR_MAX))
        fprintf(stderr, "nbody: WRONG: the tree is %g off the sum over all bodies\n", error);
    sim_fini_alone(&alone);
    return i == settings->n_bodies && error <= ERROR_MAX;
}

static bool finish(const struct sim *sim)
{
    const struct settings *settings = sim->settings;
    struct app_report report = app_report_make(sim->run);
    size_t bytes = settings->n_bodies * sizeof(struct nbody_point);
    struct nbody_point *bodies = app_private(malloc(bytes));

    memcpy(bodies, sim->bodies, bytes);
    report.right = !settings->app.verify || verify(settings, bodies);
    snprintf(report.problem, sizeof(report.problem), "%" PRIu64 " bodies %" PRIu64 " steps",
             settings->n_bodies, settings->steps);
    snprintf(report.result, sizeof(report.result), "checksum %016" PRIx64, app_hash(bodies, bytes));
    free(bodies);
    return app_print(&settings->app, &report) && report.right;
}

static void sim_init(struct sim *sim, const struct settings *settings, struct app_run *run)
{
    size_t n = settings->n_bodies;

    *sim = (struct sim){.settings = settings, .run = run, .me = run->me, .n_pes = run->n};
    sim->mine = app_mine(run, n, sizeof(struct nbody_point));
    sim->board_bytes = (sizeof(struct board) + run->page_bytes - 1) & ~(run->page_bytes - 1);
    sim->bodies = app_malloc(run, n * sizeof(*sim->bodies));
    sim->motions = app_malloc(run, n * sizeof(*sim->motions));
    sim->boards = app_malloc(run, (size_t)run->n * sim->board_bytes);
    sim->roots = app_malloc(run, CELLS * sizeof(*sim->roots));
    sim->order = app_solo(run, (sim->mine.end - sim->mine.first + 1) * sizeof(*sim->order));
    sim->pool.run = run;
    for (int i = 0; i < 2; i++)
        sim->room[i] = app_private(malloc(n * sizeof(struct nbody_point)));
    fill(sim);
}

/* Returns the exit code, the same on all PEs. */
static int nbody(const void *given)
{
    const struct settings *settings = given;
    struct app_run run;
    struct sim sim;
    /* Solo allocations as well: a tree has about two nodes a body at worst. */
    size_t bytes = settings->n_bodies * 512 + ((size_t)64 << 20);

    app_run_init(&run, "nbody", &settings->app, bytes, 8);
    sim_init(&sim, settings, &run);
    app_begin(&run);
    simulate(&sim);
    app_end(&run);
    int status = app_outcome(&run, run.me != 0 || finish(&sim));
    free(sim.room[0]);
    free(sim.room[1]);
    nbody_pool_fini(&sim.pool);
    app_run_fini(&run);
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings = {.app.attr = HEARTH_REGION_ATTR_DEFAULT,
                                .n_bodies = 8192,
                                .steps = 4,
                                .seed = 1,
                                .theta = 0.5,
                                .dt = 0.01};

    return app_start(argc, argv, &argp, &settings, &settings.app, nbody);
}
