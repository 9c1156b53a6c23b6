/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The travelling salesman's problem by branch and bound, in shared memory.
 *
 * Beginnings of tours wait in a queue in shared memory, the most promising first, guarded by a
 * lock. A PE takes one; if it is short, the PE puts its continuations back into the queue, else it
 * searches all of them by itself. The best length so far is a counter, which all look at often and
 * which seldom changes; the tour itself lies with the queue. Who finds the queue empty waits on a
 * condition variable for others to put something in, or for all to be done.
 */
#include "app_run.h"
#include "tsp_common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When there is less room than each PE may need once, tasks are searched and not divided. */
#define TASKS_MAX 65536

struct settings {
    struct app_options app; /* first: app_argp is given this */
    const char *path;       /* NULL: cities at random */
    uint64_t n_cities;
    uint64_t seed;
    uint64_t split; /* paths of fewer cities go back into the queue */
};

/** What is shared. Handles are written before the run; the lock guards all but `best_length`. */
struct board {
    struct hearth_lock lock;
    struct hearth_cond changed; /* tasks have come, or all is done */
    struct hearth_counter best_length;
    struct tsp_path best;
    uint64_t n_tasks;
    uint64_t n_busy; /* PEs that may yet add tasks */
    uint64_t n_paths;
    struct tsp_path tasks[TASKS_MAX]; /* a heap, the least bound first */
};

struct job {
    struct app_run run;
    const struct settings *settings;
    struct tsp_problem problem;
    struct board *board;
    /* Copies of the handles are the same lock and so on, and lie on no page that changes. */
    struct hearth_lock lock;
    struct hearth_cond changed;
    struct hearth_counter best_length;
};

/* ------------------------------------------------------------------------------------------ */
/* Options                                                                                    */

enum { KEY_RANDOM = 0x200, KEY_SEED, KEY_SPLIT };

static const struct argp_option option_table[] = {
    {"random", KEY_RANDOM, "N", 0, "Cities at random, 3 to 64 (default 40)", 0},
    {"seed", KEY_SEED, "N", 0, "Other cities (default 4)", 0},
    {"split", KEY_SPLIT, "N", 0,
     "Beginnings of tours with fewer cities are divided among PEs, longer ones are not (default 4)",
     0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct settings *settings = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        return app_share_input(state);
    case KEY_RANDOM:
        return app_parse_number(state, "random", arg, 3, TSP_CITIES_MAX, &settings->n_cities);
    case KEY_SEED:
        return app_parse_number(state, "seed", arg, 0, UINT32_MAX, &settings->seed);
    case KEY_SPLIT:
        return app_parse_number(state, "split", arg, 1, TSP_CITIES_MAX, &settings->split);
    case ARGP_KEY_ARG:
        if (settings->path != NULL) {
            argp_error(state, "one problem is enough, but there are '%s' and '%s'", settings->path,
                       arg);
            return EINVAL;
        }
        settings->path = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    option_table,
    parse_option,
    "[CITIES.tsp]",
    "The travelling salesman's problem by branch and bound, in shared memory. The cities are a "
    "TSPLIB file (EUC_2D, CEIL_2D or EXPLICIT), such as apps/twenty.tsp, or at random.\v"
    "HEARTH_PROTOCOL, HEARTH_CONSISTENCY and HEARTH_PAGE_BYTES override the options.",
    (const struct argp_child[]){{&app_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL};

/* ------------------------------------------------------------------------------------------ */
/* The queue: the lock is held                                                                */

static void push(struct board *board, const struct tsp_path *path)
{
    uint64_t at = board->n_tasks++;

    while (at > 0 && board->tasks[(at - 1) / 2].bound > path->bound) {
        board->tasks[at] = board->tasks[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    board->tasks[at] = *path;
}

static struct tsp_path pop(struct board *board)
{
    struct tsp_path first = board->tasks[0], last = board->tasks[--board->n_tasks];
    uint64_t at = 0, n = board->n_tasks;

    for (;;) {
        uint64_t child = 2 * at + 1;

        if (child + 1 < n && board->tasks[child + 1].bound < board->tasks[child].bound)
            child++;
        if (child >= n || board->tasks[child].bound >= last.bound)
            break;
        board->tasks[at] = board->tasks[child];
        at = child;
    }
    board->tasks[at] = last;
    return first;
}

/* ------------------------------------------------------------------------------------------ */
/* The work                                                                                   */

static int64_t best_length(void *context)
{
    const struct job *job = context;
    int64_t length = hearth_counter_load(&job->best_length);

    if (length == HEARTH_COUNTER_INVALID)
        app_give_up("hearth_counter_load");
    return length;
}

/* The counter may have been lowered since the search looked; with the lock held it is not. */
static void found(void *context, const struct tsp_path *tour, int64_t length)
{
    struct job *job = context;

    app_lock(&job->run, &job->lock);
    if (length < best_length(job)) {
        job->board->best = *tour;
        app_check(hearth_counter_store(&job->best_length, length), "hearth_counter_store");
    }
    app_unlock(&job->run, &job->lock);
}

/* What came of a task: the paths that go on from it, if they are for the queue. */
struct yield {
    uint64_t n_paths; /* looked at */
    int n_children;
    struct tsp_path children[TSP_CITIES_MAX];
};

/* Hand in what the last task yielded (NULL: there was none), and take the next one. False if there
   is no more. */
static bool exchange(struct job *job, const struct yield *yield, struct tsp_path *task_out,
                     bool *room_out)
{
    int n_children = yield != NULL ? yield->n_children : 0;

    struct board *board = job->board;

    app_lock(&job->run, &job->lock);
    for (int i = 0; i < n_children; i++)
        push(board, &yield->children[i]);
    if (yield != NULL) {
        board->n_paths += yield->n_paths;
        board->n_busy--;
    }
    if (n_children > 1 || (board->n_tasks == 0 && board->n_busy == 0))
        app_check(hearth_cond_broadcast(&job->changed), "hearth_cond_broadcast");
    while (board->n_tasks == 0 && board->n_busy > 0)
        app_cond_wait(&job->run, &job->changed, &job->lock);
    bool more = board->n_tasks > 0;
    if (more) {
        *task_out = pop(board);
        board->n_busy++;
    }
    *room_out = TASKS_MAX - board->n_tasks >= TSP_CITIES_MAX * (uint64_t)job->run.n;
    app_unlock(&job->run, &job->lock);
    return more;
}

static void work(struct job *job)
{
    const struct tsp_world world = {best_length, found, job};
    struct tsp_path task;
    struct yield yield;
    bool room, more = exchange(job, NULL, &task, &room);

    while (more) {
        yield.n_paths = 1;
        yield.n_children = 0;
        if (task.n < job->settings->split && task.n < job->problem.n && room)
            yield.n_children = tsp_expand(&job->problem, &task, best_length(job), yield.children);
        else
            yield.n_paths = tsp_search(&job->problem, &task, &world);
        more = exchange(job, &yield, &task, &room);
    }
}

/* ------------------------------------------------------------------------------------------ */
/* The run                                                                                    */

static void job_init(struct job *job)
{
    struct board *board = job->board;

    if (job->run.me == 0) {
        struct tsp_path root = tsp_root(&job->problem);

        board->best = tsp_first_tour(&job->problem);
        app_check(hearth_lock_init(&board->lock), "hearth_lock_init");
        app_check(hearth_cond_init(&board->changed), "hearth_cond_init");
        app_check(hearth_counter_init(&board->best_length, tsp_length(&job->problem, &board->best)),
                  "hearth_counter_init");
        push(board, &root);
    }
    app_barrier(&job->run);
    job->lock = board->lock;
    job->changed = board->changed;
    job->best_length = board->best_length;
}

static bool verify(const struct job *job, const struct tsp_path *tour, int64_t length)
{
    int64_t optimum = tsp_optimum(&job->problem), really = tsp_length(&job->problem, tour);

    if (optimum < 0)
        fprintf(stderr, "tsp: no memory to verify the result\n");
    else if (really != length || length != optimum)
        fprintf(stderr,
                "tsp: WRONG: the length is said to be %" PRId64 ", the tour's is %" PRId64
                ", the shortest is %" PRId64 "\n",
                length, really, optimum);
    return really == length && length == optimum;
}

static bool finish(struct job *job)
{
    const struct board *board = job->board;
    struct app_report report = app_report_make(&job->run);
    struct tsp_path tour = board->best;
    int64_t length = best_length(job);

    report.right = !job->settings->app.verify || verify(job, &tour, length);
    snprintf(report.problem, sizeof(report.problem), "%d cities", job->problem.n);
    snprintf(report.result, sizeof(report.result), "length %" PRId64, length);
    if (!job->settings->app.csv) {
        printf("tsp: %" PRIu64 " paths looked at; the tour:", board->n_paths);
        for (int i = 0; i < tour.n; i++)
            printf(" %d", tour.city[i] + 1);
        printf("\n");
    }
    return app_print(&job->settings->app, &report) && report.right;
}

static bool get_problem(struct job *job, char error[APP_ERROR_BYTES])
{
    const struct settings *settings = job->settings;

    if (settings->path == NULL)
        tsp_generate((int)settings->n_cities, settings->seed, &job->problem);
    else if (!tsp_read(settings->path, error, &job->problem))
        return false;
    tsp_prepare(&job->problem);
    return true;
}

/* Returns the exit code, the same on all PEs. */
static int tsp(const void *given)
{
    const struct settings *settings = given;
    struct job job = {.settings = settings};
    char error[APP_ERROR_BYTES];

    if (!app_agree("tsp", get_problem(&job, error), error))
        return EXIT_FAILURE;
    app_run_init(&job.run, "tsp", &settings->app, sizeof(struct board), 1);
    job.board = app_malloc(&job.run, sizeof(*job.board));
    job_init(&job);
    app_begin(&job.run);
    work(&job);
    app_end(&job.run);
    int status = app_outcome(&job.run, job.run.me != 0 || finish(&job));
    app_run_fini(&job.run);
    return status;
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .app.attr = HEARTH_REGION_ATTR_DEFAULT, .n_cities = 40, .seed = 4, .split = 4};

    return app_start(argc, argv, &argp, &settings, &settings.app, tsp);
}
