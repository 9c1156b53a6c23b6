/* SPDX-License-Identifier: BSD-3-Clause */
/* What waiting costs those who compute. Made for two cores.
 *
 * With 5 PEs: PE 0 and 1 compute a fixed amount while PE 2 and 3 wait, in a barrier, for a lock
 * that PE 0 holds, or in a fault on a page whose home does not answer; beside the same with PE 2
 * and 3 asleep outside of the library. PE 4 is that home; it is stopped (SIGSTOP) all the while, so
 * that it uses no time. The machine may be noisy, so beside the time that the computing took there
 * is the CPU time that each waiting PE burnt, all its threads together, and the CPU time of an idle
 * progress thread.
 *
 * With 4 PEs: barriers, beside bare ones of MPI's that wait in other ways. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pair.h"

#define REPS     9
#define WORK     60000000u
#define PAGE     4096
#define BARRIERS 200

/* --- CPU time --- */

static double process_cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static bool read_text(const char *thread, const char *file, char *text, int bytes)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/%s", thread, file);
    FILE *stream = fopen(path, "r");
    bool ok = stream != NULL && fgets(text, bytes, stream) != NULL;
    if (stream != NULL) {
        fclose(stream);
    }
    return ok;
}

/* Of the library's progress thread, which goes by its name. */
static double progress_cpu_us(void)
{
    double us = -1;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char name[64], times[128];
        if (read_text(task->d_name, "comm", name, sizeof name) &&
            strcmp(name, "hearth-progress\n") == 0 &&
            read_text(task->d_name, "schedstat", times, sizeof times)) {
            us = strtod(times, NULL) / 1e3;
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return us;
}

/* --- who waits, and what for --- */

enum waiters { ASLEEP, BARRIER, LOCK, FAULT, WAITERS };
static const char *const names[WAITERS] = {"asleep, outside of the library", "in a barrier",
                                           "for a lock", "in a fault"};

struct shared {
    struct hearth_lock lock;
    int pid_of_4;
};

static struct results {
    struct bench wall[WAITERS], cpu[WAITERS], idle;
} results;

static double compute(void)
{
    static volatile double sink;
    double x = 1;
    for (unsigned i = 0; i < WORK; i++) {
        x = x * 1.0000001 + 1e-9;
    }
    sink = x;
    return sink;
}

static void wait_stopped(int pid)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    while (state != 'T') {
        FILE *stream = fopen(path, "r");
        if (stream == NULL || fscanf(stream, "%*d %*s %c", &state) != 1) {
            state = 'T';
        }
        if (stream != NULL) {
            fclose(stream);
        }
        usleep(1000);
    }
}

static void wait_as(enum waiters kind, struct shared *shared, volatile char *page)
{
    switch (kind) {
    case ASLEEP:
        usleep(600000);
        break;
    case LOCK:
        check(hearth_lock_acquire(&shared->lock), "lock");
        check(hearth_lock_release(&shared->lock), "unlock");
        break;
    case FAULT:
        (void)*page;
        break;
    case BARRIER:
    case WAITERS:
        break;
    }
}

/* The shares of a core that a process used, or a thread, since these. */
static double share(double cpu_us, double since_us)
{
    return 100 * cpu_us / (bench_now_us() - since_us);
}

static void one_round(enum waiters kind, struct shared *shared, volatile char *page)
{
    double wall = 0, burnt = 0, idle = 0;
    int pid = shared->pid_of_4;
    if (me == 0 && kind == LOCK) {
        check(hearth_lock_acquire(&shared->lock), "lock");
    }
    check(hearth_barrier_all(), "barrier");
    if (me == 4) {
        usleep(20000); /* until the others have left the barrier */
        raise(SIGSTOP);
    }
    if (me == 2 || me == 3) {
        wait_stopped(pid);
        double cpu = process_cpu_us(), progress = progress_cpu_us(), start = bench_now_us();
        wait_as(kind, shared, page);
        if (kind == BARRIER) {
            check(hearth_barrier_all(), "barrier");
        }
        burnt = share(process_cpu_us() - cpu, start);
        idle = share(progress_cpu_us() - progress, start);
    } else if (me < 2) {
        wait_stopped(pid);
        usleep(100000); /* until they wait */
        double start = bench_now_us();
        compute();
        wall = (bench_now_us() - start) / 1e3;
    }
    if (me == 0) {
        kill(pid, SIGCONT);
        if (kind == LOCK) {
            check(hearth_lock_release(&shared->lock), "unlock");
        }
    }
    if (kind != BARRIER || me == 0 || me == 1 || me == 4) {
        check(hearth_barrier_all(), "barrier");
    }
    double mine[3] = {wall, burnt, idle}, most[3];
    MPI_Reduce(mine, most, 3, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    bench_add(&results.wall[kind], most[0]);
    bench_add(&results.cpu[kind], most[1]);
    if (kind == ASLEEP) {
        bench_add(&results.idle, most[2]);
    }
}

static void waiting(void)
{
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    struct hearth_region *region;
    attr.consistency = HEARTH_SEQUENTIAL; /* its faults need the home's CPU */
    attr.placement = HEARTH_HOME_FIXED;
    attr.home_pe = 4;
    check(hearth_region_create(&region, 2 * REPS * PAGE, &attr), "region");
    char *pages = hearth_region_malloc(region, REPS * PAGE);
    struct shared *shared = hearth_malloc(sizeof *shared);
    check(pages == NULL || shared == NULL, "malloc");
    if (me == 4) {
        check(hearth_lock_init(&shared->lock), "lock");
        shared->pid_of_4 = (int)getpid();
    }
    check(hearth_barrier_all(), "barrier");
    for (int rep = 0; rep < REPS; rep++) {
        for (int i = 0; i < WAITERS; i++) { /* to and fro, lest the order matter */
            one_round((enum waiters)(rep % 2 == 0 ? i : WAITERS - 1 - i), shared,
                      pages + rep * PAGE);
        }
    }
    if (me != 0) {
        return;
    }
    printf("2 PEs compute, 2 others wait; ms of the computing, %d repetitions\n"
           "%-44s %9s %9s %9s %8s\n",
           REPS, "the others are", "min", "median", "max", "ratio");
    for (enum waiters kind = ASLEEP; kind < WAITERS; kind++) {
        results.wall[kind].name = names[kind];
        results.wall[kind].work = "waiting, time of the others";
        results.wall[kind].unit = "ms";
        bench_print(&results.wall[kind], kind == ASLEEP ? NULL : &results.wall[ASLEEP]);
    }
    printf("CPU time of a waiting PE, per cent of a core, all its threads (the worse of two)\n");
    for (enum waiters kind = ASLEEP; kind < WAITERS; kind++) {
        results.cpu[kind].name = names[kind];
        results.cpu[kind].work = "waiting, CPU time";
        results.cpu[kind].unit = "% of a core";
        bench_print(&results.cpu[kind], NULL);
    }
    results.idle.name = "of this, the idle progress thread";
    results.idle.work = "waiting, CPU time";
    results.idle.unit = "% of a core";
    bench_print(&results.idle, NULL);
}

/* --- barriers --- */

enum policy { BLOCK, YIELD, NAP, YIELD_NAP, HEARTH, POLICIES };

static void bare_barrier(enum policy policy)
{
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    for (int polls = 0;; polls++) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (done) {
            return;
        }
        if (policy == YIELD || (policy == YIELD_NAP && polls < 40)) {
            sched_yield();
        } else {
            usleep(50);
        }
    }
}

static double barriers(enum policy policy)
{
    int n = policy == BLOCK ? BARRIERS / 10 : BARRIERS;
    check(hearth_barrier_all(), "barrier");
    double start = bench_now_us();
    for (int i = 0; i < n; i++) {
        if (policy == HEARTH) {
            check(hearth_barrier_all(), "barrier");
        } else if (policy == BLOCK) {
            MPI_Barrier(MPI_COMM_WORLD);
        } else {
            bare_barrier(policy);
        }
    }
    return (bench_now_us() - start) / n;
}

static void policies(void)
{
    static struct bench us[POLICIES] = {{.name = "MPI_Barrier"},
                                        {.name = "MPI_Ibarrier, test and yield"},
                                        {.name = "MPI_Ibarrier, test and sleep 50 us"},
                                        {.name = "MPI_Ibarrier, 40 yields, then sleeps of 50 us"},
                                        {.name = "hearth_barrier_all"}};
    for (int rep = 0; rep < REPS; rep++) {
        for (enum policy policy = BLOCK; policy < POLICIES; policy++) {
            bench_add(&us[policy], barriers(policy));
        }
    }
    if (me != 0) {
        return;
    }
    struct bench *best = &us[0];
    for (enum policy policy = BLOCK; policy < POLICIES; policy++) {
        us[policy].work = "barrier, more PEs than cores";
    }
    for (enum policy policy = BLOCK; policy < HEARTH; policy++) {
        best = bench_median(&us[policy]) < bench_median(best) ? &us[policy] : best;
    }
    printf("a barrier of %d PEs, us, %d repetitions of %d\n%-44s %9s %9s %9s %8s\n", n_pes, REPS,
           BARRIERS, "", "min", "median", "max", "to best");
    for (enum policy policy = BLOCK; policy < POLICIES; policy++) {
        bench_print(&us[policy], best);
    }
}

int main(int argc, char **argv)
{
    start(&argc, &argv, 1, 0);
    if (n_pes == 5) {
        waiting();
    } else {
        policies();
    }
    stop();
    return 0;
}
