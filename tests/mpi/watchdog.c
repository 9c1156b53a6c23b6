/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread that waits for the end of the program or of its time. It shares nothing with the
 * library, so that it works when the main thread is stuck in there, and has no use for signals
 * but for SIGALRM, by which it dies itself should MPI_Abort() hang. */
#include "watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <mpi.h>

enum { EXIT_TIME_OVER = 124 }; /* as timeout(1) */

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `over`; a leaf */
static pthread_cond_t changed;
static bool over;
static struct timespec deadline;
static const char *program_name;
static const char *_Atomic test_name = "start";
static atomic_int pe_number = -1;

static void print_stacks(void)
{
    char command[128];

    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    snprintf(command, sizeof command,
             "gdb -p %d -batch -nx -ex 'thread apply all bt' 1>&2 2>/dev/null", (int)getpid());
    if (system(command))
        fprintf(stderr, "no stacks: gdb failed\n");
}

static void end_job(void)
{
    int up = 0, down = 0;
    sigset_t none;

    signal(SIGALRM, SIG_DFL);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    fprintf(stderr, "TIME OVER: PE %d of %s is in test '%s'\n", atomic_load(&pe_number),
            program_name, atomic_load(&test_name));
    usleep(500000); /* the other PEs are about to say where they are */
    if (getenv("HEARTH_TEST_GDB")) {
        print_stacks();
        sleep(10); /* for the other PEs' stacks */
    }
    alarm(5);
    MPI_Initialized(&up);
    MPI_Finalized(&down);
    if (up && !down)
        MPI_Abort(MPI_COMM_WORLD, EXIT_TIME_OVER);
    _exit(EXIT_TIME_OVER);
}

static void *watch(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    while (!over)
        if (pthread_cond_timedwait(&changed, &lock, &deadline) == ETIMEDOUT)
            break;
    bool in_time = over;
    pthread_mutex_unlock(&lock);
    if (!in_time)
        end_job();
    return NULL;
}

void ht_watchdog_start(double seconds, const char *program)
{
    pthread_condattr_t attr;
    sigset_t all, before;
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");

    program_name = program;
    atomic_store(&pe_number, rank ? atoi(rank) : -1);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attr);
    pthread_condattr_destroy(&attr);
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += (time_t)seconds;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the program's runs in there */
    if (pthread_create(&thread, NULL, watch, NULL)) {
        perror("watchdog");
        exit(2);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void ht_watchdog_name(const char *test)
{
    atomic_store(&test_name, test);
}

void ht_watchdog_pe(int pe)
{
    atomic_store(&pe_number, pe);
}

void ht_watchdog_stop(void)
{
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}
