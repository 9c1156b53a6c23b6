/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls of Hearth that the apps make, on the threads of one process: memory that is shared
 * anyway, pthreads' barrier, mutexes and condition variables. An app linked with this instead of
 * the library is a threaded program: what the same text costs where sharing is free, and, under
 * thread sanitizer, a check that the app has no data race.
 *
 *   build/apps/cg_threads -n 2 --poisson2d 300        as        mpirun -n 2 build/apps/cg ...
 *
 * The app's objects are compiled once for both; only its main is renamed (objcopy), since here
 * each thread runs it. So an app has no writable static data. A call that fails ends the process:
 * what can fail here is memory.
 */
#include "app_run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int app_main(int argc, char **argv);

/** A region is nothing but a name for memory that is freed with it. */
struct hearth_region {
    char *base;
    size_t bytes;
    size_t used; /* written by the thread of PE 0, between barriers */
};

struct pe {
    pthread_t thread;
    int number;
    int argc;
    char **argv;
    int status;
};

static int n_pes;
static _Thread_local int my_pe;
static pthread_barrier_t all;
static void *given;   /* what PE 0 hands to all, between barriers */
static double *terms; /* of app_sum_all(), by PE */

static _Noreturn void out_of_memory(void)
{
    fprintf(stderr, "on_threads: no memory\n");
    exit(EXIT_FAILURE);
}

/* The same pointer on every PE: PE 0 makes it. */
static void *hand_out(void *made_by_pe_0)
{
    if (my_pe == 0)
        given = made_by_pe_0;
    pthread_barrier_wait(&all);
    void *ptr = given;
    pthread_barrier_wait(&all);
    return ptr;
}

/* ------------------------------------------------------------------------------------------ */
/* Life, regions and memory                                                                   */

int hearth_init(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

int hearth_finalize(void)
{
    return 0;
}

int hearth_my_pe(void)
{
    return my_pe;
}

int hearth_n_pes(void)
{
    return n_pes;
}

const char *hearth_error_message(void)
{
    return "a call failed";
}

int hearth_region_create(struct hearth_region **region_out, size_t bytes,
                         const struct hearth_region_attr *attr)
{
    struct hearth_region *region = NULL;

    (void)attr;
    if (my_pe == 0) {
        region = calloc(1, sizeof(*region));
        if (region == NULL)
            out_of_memory();
        region->bytes = bytes;
        region->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region->base == MAP_FAILED)
            out_of_memory();
    }
    *region_out = hand_out(region);
    return 0;
}

int hearth_region_destroy(struct hearth_region *region)
{
    pthread_barrier_wait(&all);
    if (my_pe == 0) {
        munmap(region->base, region->bytes);
        free(region);
    }
    return 0;
}

void *hearth_region_malloc(struct hearth_region *region, size_t bytes)
{
    char *ptr = NULL;

    if (my_pe == 0 && bytes <= region->bytes - region->used) {
        size_t whole_bytes = (bytes + 4095) & ~(size_t)4095;

        ptr = region->base + region->used;
        region->used +=
            whole_bytes < region->bytes - region->used ? whole_bytes : region->bytes - region->used;
    }
    return hand_out(ptr);
}

void *hearth_calloc(size_t count, size_t bytes)
{
    return hand_out(my_pe == 0 ? calloc(count, bytes) : NULL);
}

int hearth_free(void *ptr)
{
    pthread_barrier_wait(&all);
    if (my_pe == 0)
        free(ptr);
    return 0;
}

/* Lives as long as the process, which is about as long as the region. */
void *hearth_solo_malloc(struct hearth_region *region, size_t bytes)
{
    (void)region;
    void *ptr = NULL;
    size_t whole_bytes = (bytes + 4095) & ~(size_t)4095;
    if (bytes < 4096)
        return calloc(1, bytes);
    if (posix_memalign(&ptr, 4096, whole_bytes) == 0)
        memset(ptr, 0, whole_bytes);
    return ptr;
}

int hearth_region_stats(const struct hearth_region *region, struct hearth_stats *stats_out)
{
    (void)region;
    *stats_out = (struct hearth_stats){0};
    return 0;
}

int hearth_advise(const void *ptr, size_t len, unsigned advice)
{
    (void)ptr;
    (void)len;
    (void)advice;
    return HEARTH_OK;
}

/* ------------------------------------------------------------------------------------------ */
/* Synchronisation                                                                            */

int hearth_barrier_all(void)
{
    pthread_barrier_wait(&all);
    return 0;
}

double app_sum_all(double value)
{
    double sum = 0;

    terms[my_pe * 8] = value; /* a cache line each */
    pthread_barrier_wait(&all);
    for (int pe = 0; pe < n_pes; pe++)
        sum += terms[pe * 8];
    pthread_barrier_wait(&all);
    return sum;
}

const char *app_instead_of_protocol(void)
{
    return "threads";
}

/* A handle is the address of what it stands for. */
static void *make(size_t bytes, uint64_t *handle_out)
{
    void *object = calloc(1, bytes);

    if (object == NULL)
        out_of_memory();
    *handle_out = (uintptr_t)object;
    return object;
}

int hearth_lock_init(struct hearth_lock *lock)
{
    return pthread_mutex_init(make(sizeof(pthread_mutex_t), &lock->handle), NULL);
}

int hearth_lock_acquire(const struct hearth_lock *lock)
{
    return pthread_mutex_lock((void *)(uintptr_t)lock->handle);
}

int hearth_lock_release(const struct hearth_lock *lock)
{
    return pthread_mutex_unlock((void *)(uintptr_t)lock->handle);
}

int hearth_cond_init(struct hearth_cond *cond)
{
    return pthread_cond_init(make(sizeof(pthread_cond_t), &cond->handle), NULL);
}

int hearth_cond_wait(const struct hearth_cond *cond, const struct hearth_lock *lock)
{
    return pthread_cond_wait((void *)(uintptr_t)cond->handle, (void *)(uintptr_t)lock->handle);
}

int hearth_cond_signal(const struct hearth_cond *cond)
{
    return pthread_cond_signal((void *)(uintptr_t)cond->handle);
}

int hearth_cond_broadcast(const struct hearth_cond *cond)
{
    return pthread_cond_broadcast((void *)(uintptr_t)cond->handle);
}

/* Relaxed: as in the library, a counter orders nothing else. */
int hearth_counter_init(struct hearth_counter *counter, int64_t value)
{
    atomic_init((_Atomic int64_t *)make(sizeof(int64_t), &counter->handle), value);
    return 0;
}

int64_t hearth_counter_fetch_add(const struct hearth_counter *counter, int64_t addend)
{
    return atomic_fetch_add_explicit((_Atomic int64_t *)(uintptr_t)counter->handle, addend,
                                     memory_order_relaxed);
}

int64_t hearth_counter_load(const struct hearth_counter *counter)
{
    return atomic_load_explicit((_Atomic int64_t *)(uintptr_t)counter->handle,
                                memory_order_relaxed);
}

int hearth_counter_store(const struct hearth_counter *counter, int64_t value)
{
    atomic_store_explicit((_Atomic int64_t *)(uintptr_t)counter->handle, value,
                          memory_order_relaxed);
    return 0;
}

/* ------------------------------------------------------------------------------------------ */
/* The threads                                                                                */

static void *run_pe(void *arg)
{
    struct pe *pe = arg;

    my_pe = pe->number;
    pe->status = app_main(pe->argc, pe->argv);
    return NULL;
}

/* argp puts the arguments in another order, so each thread has an array of its own. */
static char **copy_arguments(int argc, char **argv)
{
    char **copy = calloc((size_t)argc + 1, sizeof(*copy));

    if (copy == NULL)
        out_of_memory();
    memcpy(copy, argv, (size_t)argc * sizeof(*copy));
    return copy;
}

int main(int argc, char **argv)
{
    n_pes = argc > 2 && strcmp(argv[1], "-n") == 0 ? atoi(argv[2]) : 1;
    if (n_pes < 1 || n_pes > 1024) {
        fprintf(stderr, "%s: -n is '%s', but must be a number from 1 to 1024\n", argv[0], argv[2]);
        return EXIT_FAILURE;
    }
    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        argv[2] = argv[0];
        argc -= 2;
        argv += 2;
    }
    struct pe *pes = calloc((size_t)n_pes, sizeof(*pes));
    terms = calloc((size_t)n_pes * 8, sizeof(*terms));
    if (pes == NULL || terms == NULL || pthread_barrier_init(&all, NULL, (unsigned)n_pes) != 0)
        out_of_memory();
    for (int i = 0; i < n_pes; i++) {
        pes[i] = (struct pe){.number = i, .argc = argc, .argv = copy_arguments(argc, argv)};
        if (pthread_create(&pes[i].thread, NULL, run_pe, &pes[i]) != 0)
            out_of_memory();
    }
    int status = 0;
    for (int i = 0; i < n_pes; i++) {
        pthread_join(pes[i].thread, NULL);
        status = status != 0 ? status : pes[i].status;
        free(pes[i].argv);
    }
    free(pes);
    free(terms);
    return status;
}
