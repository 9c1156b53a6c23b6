/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs that hang, or lose a PE: for run_hang.sh, one a run, chosen by the first argument.
 *
 * A hang ends when the script says so, by making the file HEARTH_TEST_LATCH (without that variable,
 * after 3 s): it does when it has read what the watchdog should say, however long a loaded machine
 * takes for that. Then whoever was missed comes after all, so that the script sees that the
 * watchdog ended nothing: PE 0 prints "survived". The victim is the last PE. */
#include <hearth.h>
#include <hearth_mpi.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PES_MAX = 16,
    PAGE = 4096,
    TICK_US = 20000,
    SECOND_US = 1000000,
    HANG_US = 3 * SECOND_US,
    TOO_LATE_S = 600 /* by then the script has ended the job */
};

static struct shared {
    struct hearth_lock lock;
    struct hearth_barrier barrier;
    struct hearth_cond cond;
    struct hearth_sema sema;
    bool go;
    int pids[PES_MAX];
} * shared;
static volatile char *pages; /* sequential; page k's home is PE k */
static int me, n_pes, victim, victim_pid;
static volatile sig_atomic_t n_own;
static atomic_int n_left;

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "PE %d: not so: %s\n", me, what);
        _exit(3);
    }
}

static void on_own(int number)
{
    (void)number;
    n_own++;
}

/* Whether the hang is to end, which has lasted for `us`. */
static bool is_released(int us)
{
    const char *latch = getenv("HEARTH_TEST_LATCH");

    return latch == NULL ? us >= HANG_US : access(latch, F_OK) == 0;
}

static void keep_them_waiting(void)
{
    for (int us = 0; !is_released(us); us += TICK_US)
        usleep(TICK_US);
}

static void *die_soon(void *unused)
{
    (void)unused;
    usleep(SECOND_US);
    kill(getpid(), SIGKILL);
    return NULL;
}

static void kill_me_soon(void)
{
    pthread_t thread;

    must(pthread_create(&thread, NULL, die_soon, NULL) == 0, "a thread");
}

static void on_left(int number)
{
    (void)number;
    n_left++;
}

/* When the others have left the last barrier, for which they may need us: they say so by signals
 * that queue. */
static void stop(void)
{
    while (n_left < n_pes - 1)
        usleep(TICK_US);
    raise(SIGSTOP);
}

/* I have left the last barrier. */
static void left(int pid)
{
    kill(pid, SIGRTMIN);
}

static void until_stopped(int pid)
{
    char path[64], line[256] = "";

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    for (;;) {
        FILE *file = fopen(path, "r");
        must(file != NULL && fgets(line, sizeof line, file) != NULL, "the victim's state");
        fclose(file);
        if (strstr(line, ") T ") != NULL)
            return;
        usleep(TICK_US);
    }
}

/* --- hangs --- */

static void hang_barrier(void)
{
    if (me == victim)
        keep_them_waiting();
    hearth_barrier_all();
}

static void hang_lock(void)
{
    if (me == victim)
        hearth_lock_acquire(&shared->lock);
    hearth_barrier_all();
    if (me == victim)
        keep_them_waiting();
    else
        hearth_lock_acquire(&shared->lock);
    hearth_lock_release(&shared->lock);
}

/* The last PE is the one that the others wait for. */
static void hang_some(void)
{
    if (me == victim)
        keep_them_waiting();
    hearth_barrier_wait(&shared->barrier);
}

static void hang_cond(void)
{
    if (me == victim)
        keep_them_waiting();
    hearth_lock_acquire(&shared->lock);
    if (me == victim) {
        shared->go = true;
        hearth_cond_broadcast(&shared->cond);
    }
    while (!shared->go)
        hearth_cond_wait(&shared->cond, &shared->lock);
    hearth_lock_release(&shared->lock);
}

static void hang_sema(void)
{
    if (me == victim) {
        keep_them_waiting();
        for (int pe = 0; pe < victim; pe++)
            hearth_sema_post(&shared->sema);
    } else {
        hearth_sema_wait(&shared->sema);
    }
}

static void *take_lock(void *unused)
{
    (void)unused;
    hearth_lock_acquire(&shared->lock);
    hearth_lock_release(&shared->lock);
    return NULL;
}

/* Two threads of the last PE: its main thread holds the lock. */
static void hang_turn(void)
{
    if (me == victim) {
        pthread_t thread;
        hearth_lock_acquire(&shared->lock);
        must(pthread_create(&thread, NULL, take_lock, NULL) == 0, "a thread");
        keep_them_waiting();
        hearth_lock_release(&shared->lock);
        pthread_join(thread, NULL);
    }
}

/* The last PE, home of the page, or its owner, is stopped; PE 0 wakes it. */
static void hang_fault(bool owned)
{
    volatile char *there = pages + (size_t)(owned ? 0 : victim) * PAGE;

    if (me == victim)
        there[1] = 1; /* of PE 0's page it becomes the owner */
    hearth_barrier_all();
    if (me == victim)
        stop();
    else
        left(victim_pid);
    if (me == 0) {
        pid_t child = fork();
        if (child == 0) {
            keep_them_waiting();
            kill(victim_pid, SIGCONT);
            _exit(0);
        }
    }
    if (me != victim) {
        until_stopped(victim_pid);
        must(there[1] == 1, "what the victim wrote");
    }
}

/* PE 0, which waits for nothing, and the others, which do, are sent a SIGUSR2: once a second, for
 * on a loaded machine the others may not wait yet. */
static void hang_signal(void)
{
    int n_sent = 0;

    if (me == 0) {
        for (int us = TICK_US; !is_released(us); us += TICK_US) {
            usleep(TICK_US);
            if (us % SECOND_US != 0)
                continue;
            n_sent++;
            for (int pe = 0; pe < n_pes; pe++)
                kill(shared->pids[pe], SIGUSR2);
        }
        printf("%d signals\n", n_sent);
    }
    hearth_barrier_all();
}

/* The program's own handler stays, whether installed before hearth_init or after. */
static void own_handler(bool before)
{
    struct sigaction now;

    if (!before)
        signal(SIGUSR2, on_own);
    raise(SIGUSR2);
    must(n_own == 1, "the program's handler is called");
    hearth_barrier_all();
    hearth_finalize();
    sigaction(SIGUSR2, NULL, &now);
    must(now.sa_handler == on_own, "it is there after hearth_finalize");
    if (me == 0)
        printf("survived\n");
    exit(0);
}

/* --- losses --- */

static void lose_in_barrier(void)
{
    if (me == victim)
        kill_me_soon();
    if (me != 0)
        hearth_barrier_all();
    sleep(TOO_LATE_S);
}

static void lose_in_lock(void)
{
    if (me == victim) {
        hearth_lock_acquire(&shared->lock);
        kill_me_soon();
    }
    hearth_barrier_all();
    if (me != victim)
        hearth_lock_acquire(&shared->lock);
    sleep(TOO_LATE_S);
}

static void lose_in_fault(void)
{
    if (me == victim)
        kill_me_soon();
    if (me == 0)
        stop();
    left(shared->pids[0]);
    until_stopped(shared->pids[0]);
    (void)pages[0];
    sleep(TOO_LATE_S);
}

/* Everybody reads and writes pages of the PE that is killed. */
static void lose_a_home(void)
{
    volatile char *block = hearth_malloc((size_t)n_pes * 16 * PAGE);

    if (me == victim)
        kill_me_soon();
    for (int round = 0;; round++) {
        for (int i = 0; i < n_pes * 16; i++)
            block[i * PAGE + me] = (char)(block[i * PAGE + (me + 1) % n_pes] + round);
        hearth_acquire();
        hearth_release();
    }
}

static void run(const char *mode)
{
    if (strcmp(mode, "barrier") == 0)
        hang_barrier();
    else if (strcmp(mode, "lock") == 0)
        hang_lock();
    else if (strcmp(mode, "some") == 0)
        hang_some();
    else if (strcmp(mode, "cond") == 0)
        hang_cond();
    else if (strcmp(mode, "sema") == 0)
        hang_sema();
    else if (strcmp(mode, "turn") == 0)
        hang_turn();
    else if (strcmp(mode, "fault") == 0 || strcmp(mode, "owner") == 0)
        hang_fault(mode[0] == 'o');
    else if (strcmp(mode, "signal") == 0)
        hang_signal();
    else if (strcmp(mode, "own") == 0)
        own_handler(false);
    else if (strcmp(mode, "own-before") == 0)
        own_handler(true);
    else if (strcmp(mode, "kill-barrier") == 0)
        lose_in_barrier();
    else if (strcmp(mode, "kill-lock") == 0)
        lose_in_lock();
    else if (strcmp(mode, "kill-fault") == 0)
        lose_in_fault();
    else if (strcmp(mode, "kill-home") == 0)
        lose_a_home();
    else if (strcmp(mode, "exit0") == 0 && me == victim)
        exit(0);
    else if (strcmp(mode, "exit7") == 0 && me == victim)
        exit(7);
    else if (strcmp(mode, "mpi") == 0 && me == victim)
        MPI_Finalize();
    else if (strcmp(mode, "child") == 0 && me == victim && fork() == 0)
        exit(5); /* a child's exit is none of the job's business */
    else if (strcmp(mode, "all") == 0)
        exit(0);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    struct hearth_region *region;

    if (strcmp(mode, "own-before") == 0)
        signal(SIGUSR2, on_own);
    if (hearth_init(&argc, &argv)) {
        fprintf(stderr, "%s\n", hearth_error_message());
        return 2;
    }
    signal(SIGRTMIN, on_left);
    me = hearth_my_pe();
    n_pes = hearth_n_pes();
    victim = n_pes - 1;
    attr.name = "victim";
    attr.consistency = HEARTH_SEQUENTIAL;
    must(!hearth_region_create(&region, 1 << 20, &attr), "the region");
    shared = hearth_malloc(sizeof *shared);
    pages = hearth_region_malloc(region, (size_t)n_pes * PAGE);
    must(shared != NULL && pages != NULL, "memory");
    shared->pids[me] = (int)getpid();
    if (me == 0)
        must(!hearth_lock_init(&shared->lock) &&
                 !hearth_barrier_init(&shared->barrier, (uint32_t)n_pes) &&
                 !hearth_cond_init(&shared->cond) && !hearth_sema_init(&shared->sema, 0),
             "the lock and the other objects");
    hearth_barrier_all();
    victim_pid = shared->pids[victim]; /* a forked child has no shared memory */
    if (strcmp(mode, "return") == 0 && me == victim)
        return 0;
    run(mode);
    hearth_barrier_all();
    if (me == 0)
        printf("survived\n");
    return hearth_finalize() != 0;
}
