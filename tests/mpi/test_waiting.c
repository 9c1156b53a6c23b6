/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting does not burn: the CPU time that a PE uses, all its threads together, while it waits for
 * a second in a barrier, for a lock or in a fault; and that of an idle progress thread, or how
 * often it wakes beside a program that has barriers. CPU time, not time: a loaded machine makes no
 * difference. */
#include "harness.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const double wait_s = 1.0;
static const double most_s = 0.1,
                    idle_most_s =
                        0.03; /* measured: 0.005 and 0.001; 0.011 where system calls are slow */

static double process_cpu(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/* Does `file` of this thread have a line that begins with `key`? If so, the number after that. */
static bool says(const char *thread, const char *file, const char *key, double *number)
{
    bool said = false;
    char path[300], line[256];

    snprintf(path, sizeof path, "/proc/self/task/%s/%s", thread, file);
    FILE *stream = fopen(path, "r");
    while (stream && !said && fgets(line, sizeof line, stream))
        if ((said = strncmp(line, key, strlen(key)) == 0))
            *number = strtod(line + strlen(key), NULL);
    if (stream)
        fclose(stream);
    return said;
}

/* The same of the progress thread, which goes by its name. */
static bool progress_says(const char *file, const char *key, double *number)
{
    bool said = false;
    double none;
    DIR *tasks = opendir("/proc/self/task");

    for (struct dirent *task; tasks && !said && (task = readdir(tasks));)
        said = says(task->d_name, "comm", "hearth-progress\n", &none) &&
               says(task->d_name, file, key, number);
    if (tasks)
        closedir(tasks);
    return said;
}

/* Negative: the kernel does not tell. */
static double progress_cpu(void)
{
    double ns = -1e9;

    progress_says("schedstat", "", &ns);
    return 1e-9 * ns;
}

static double progress_sleeps(void)
{
    double n = -1;

    progress_says("status", "voluntary_ctxt_switches:", &n);
    return n;
}

static void nap(double s)
{
    for (double end = ht_now() + s; ht_now() < end;)
        usleep((useconds_t)(1e6 * (end - ht_now())) + 1);
}

static void check_burnt(double since, double began)
{
    double burnt = process_cpu() - since, took = ht_now() - began;

    HT_CHECKF(took > 0.8 * wait_s, "waited %.3f s only", took);
    HT_CHECKF(burnt < most_s * took, "%.4f s of CPU time in %.3f s", burnt, took);
    ht_note("%.2f %%", 100 * burnt / took);
}

/* The last PE is what all others wait for, so that PE 0 waits, and its figure is noted. */
static bool is_last(void)
{
    return ht_pe() == ht_n_pes() - 1;
}

static bool alone(void)
{
    if (ht_n_pes() == 1)
        ht_skip("takes two PEs");
    return ht_n_pes() == 1;
}

static void test_barrier(struct hearth_region *region)
{
    (void)region;
    if (alone())
        return;
    hearth_barrier_all();
    if (is_last())
        nap(wait_s);
    double cpu = process_cpu(), began = ht_now();
    HT_EQUAL(hearth_barrier_all(), 0);
    if (!is_last())
        check_burnt(cpu, began);
}

static void test_lock(struct hearth_region *region)
{
    struct hearth_lock *lock = hearth_region_malloc(region, sizeof *lock);

    if (!ht_all(lock != NULL) || alone())
        return;
    if (is_last()) {
        HT_EQUAL(hearth_lock_init(lock), 0);
        HT_EQUAL(hearth_lock_acquire(lock), 0);
    }
    hearth_barrier_all();
    if (is_last())
        nap(wait_s);
    double cpu = process_cpu(), began = ht_now();
    if (!is_last()) {
        HT_EQUAL(hearth_lock_acquire(lock), 0);
        check_burnt(cpu, began);
    }
    HT_EQUAL(hearth_lock_release(lock), 0);
    hearth_barrier_all();
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_destroy(lock), 0);
    hearth_barrier_all();
}

/* The home is stopped for a while; a child of its lets it go on. */
static void test_fault(struct hearth_region *region)
{
    size_t bytes = ht_page_bytes() * (size_t)ht_n_pes();
    volatile char *pages = hearth_region_malloc(region, bytes);

    if (!ht_all(pages != NULL) || alone())
        return;
    volatile char *page = pages + bytes - ht_page_bytes(); /* the last PE's */
    if (is_last())
        page[3] = 5;
    hearth_barrier_all();
    if (is_last()) {
        pid_t child = fork();
        if (child == 0) {
            nap(1.5 * wait_s);
            kill(getppid(), SIGCONT);
            _exit(0);
        }
        nap(0.1 * wait_s); /* until the others have left the barrier */
        raise(SIGSTOP);
        waitpid(child, NULL, 0);
    } else {
        nap(0.3 * wait_s);
        double cpu = process_cpu(), began = ht_now();
        HT_EQUAL(page[3], 5);
        check_burnt(cpu, began);
    }
    hearth_barrier_all();
}

static void test_idle(struct hearth_region *region)
{
    (void)region;
    hearth_barrier_all();
    double cpu = progress_cpu(), began = ht_now();
    if (!ht_all(cpu >= 0)) {
        ht_skip("no CPU times of threads in /proc");
        return;
    }
    nap(wait_s);
    double burnt = progress_cpu() - cpu, took = ht_now() - began;
    HT_CHECKF(burnt < idle_most_s * took, "%.5f s of CPU time in %.3f s", burnt, took);
    ht_note("%.3f %%", 100 * burnt / took);
    hearth_barrier_all();
}

/* A barrier rings bells, and is no reason for the progress thread to look again in a millisecond:
 * each sleep costs a program that computes tens of microseconds on a virtual machine. */
static void test_between_barriers(struct hearth_region *region)
{
    enum { ROUNDS = 100 };
    const char *mode = getenv("HEARTH_PROGRESS"), *buffers = getenv("HEARTH_SHARED_BUFFERS");
    bool looks = (mode && strcmp(mode, "poll") == 0) || (buffers && strcmp(buffers, "0") == 0);
    double most = looks ? 3000 : 300; /* a second */

    (void)region;
    hearth_barrier_all();
    double sleeps = progress_sleeps(), began = ht_now();
    if (!ht_all(sleeps >= 0)) {
        ht_skip("no counts of context switches in /proc");
        return;
    }
    for (int i = 0; i < ROUNDS; i++) {
        nap(0.002);
        hearth_barrier_all();
    }
    double slept = progress_sleeps() - sleeps, took = ht_now() - began;
    HT_CHECKF(slept < most * took, "%.0f sleeps in %.3f s", slept, took);
    ht_note("%.0f a second", slept / took);
    hearth_barrier_all();
}

static const struct hearth_region_attr sequential = {
    "seq", HEARTH_WRITE_INVALIDATE, HEARTH_SEQUENTIAL, HEARTH_HOME_BLOCK, 0, 0};

static void test_fault_sequential(struct hearth_region *unused)
{
    struct hearth_region *region = NULL;

    (void)unused;
    bool made = hearth_region_create(&region, 1 << 20, &sequential) == 0;
    if (ht_all(made)) {
        test_fault(region);
        HT_EQUAL(hearth_region_destroy(region), 0);
    }
}

static const struct ht_test tests[] = {
    {"barrier", test_barrier, HT_ONCE, 0},
    {"lock", test_lock, HT_ONCE, 1 << 20},
    {"fault", test_fault_sequential, HT_ONCE, 0},
    {"idle progress thread", test_idle, HT_ONCE, 0},
    {"progress thread between barriers", test_between_barriers, HT_ONCE, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"waiting", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    return ht_main(argc, argv, &program);
}
