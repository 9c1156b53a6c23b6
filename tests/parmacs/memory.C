/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks, arrays of locks, counted barriers, memory: each PE has an id from a lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

MAIN_ENV

enum { CELLS = 64, PIXELS = 10007, PES_MAX = 64 };

struct node {
    struct node *next;
    long from;
};

struct global {
    LOCKDEC(id_lock)
    ALOCKDEC(cell_lock, CELLS)
    BARDEC(start)
    BARDEC(step)
    long id, cell[CELLS], same;
    struct node *list;
    double *sparse;
    unsigned char *pixels;
    LOCKDEC(made_late)
};

static struct global *global;
static long n_procs, replayed; /* private, and the same everywhere */
static char kept[1 << 20];

static void fail(const char *what)
{
    fprintf(stderr, "memory: not so: %s\n", what);
    exit(2);
}

static void draw(long id)
{
    long i;

    for (i = 0; i < PIXELS; i++) /* neighbouring bytes of different PEs */
        if (i % n_procs == id)
            global->pixels[i] = (unsigned char)(i * 7 + 1);
    global->same = 42; /* by all at once */
}

static void add_cells(long id)
{
    long i;

    for (i = 0; i < 4 * CELLS; i++) {
        ALOCK(global->cell_lock, (i + id) % CELLS)
        global->cell[(i + id) % CELLS] += id + 1;
        AULOCK(global->cell_lock, (i + id) % CELLS)
    }
}

static void add_node(long id)
{
    struct node *mine = (struct node *)NU_MALLOC(sizeof(struct node), id);

    mine->from = id;
    LOCK(global->made_late)
    mine->next = global->list;
    global->list = mine;
    UNLOCK(global->made_late)
}

static void worker(void)
{
    long id;

    LOCK(global->id_lock)
    id = global->id++;
    UNLOCK(global->id_lock)
    if (replayed != 12 || kept[12345] != 7)
        fail("private variables are as main left them");
    if (id == n_procs - 1)
        LOCKINIT(global->made_late)
    BARRIER(global->start, n_procs)
    add_cells(id);
    add_node(id);
    draw(id);
    global->sparse[id * 300000000L + 5] = (double)id;
    BARRIER(global->step, n_procs)
    if (global->same != 42 || global->sparse[5] != 0.0)
        fail("what others wrote is seen");
    BARRIER(global->step, n_procs)
}

static void check(void)
{
    long i, n = 0, want = 0;
    struct node *node;

    for (i = 0; i < n_procs; i++)
        want += 4 * (i + 1);
    for (i = 0; i < CELLS; i++)
        if (global->cell[i] != want + 100 + i)
            fail("sums under locks");
    for (i = 0; i < PIXELS; i++)
        if (global->pixels[i] != (unsigned char)(i * 7 + 1))
            fail("neighbouring bytes");
    for (node = global->list; node != NULL; node = node->next)
        n += node->from + 1;
    if (n != want / 4)
        fail("a list made by all");
    for (i = 0; i < n_procs; i++)
        if (global->sparse[i * 300000000L + 5] != (double)i)
            fail("huge sparse memory");
}

int main(int argc, char **argv)
{
    long i;
    unsigned long began, ended;
    int len = 1, index = 2, shift = 3; /* words of m4 */
    void *unused = NULL;

    global = (struct global *)G_MALLOC(sizeof(struct global)); /* before MAIN_INITENV */
    MAIN_INITENV(,60000000)
    CLOCK(began)
    n_procs = argc > 1 ? atol(argv[1]) : 1;
    memset(global, 0, sizeof *global);
    for (i = 0; i < CELLS; i++)
        global->cell[i] = 100 + i;
    for (i = 0; i < 12; i++)
        replayed++;
    kept[12345] = (char)(len + index * shift);
    global->sparse = (double *)G_MALLOC(29UL << 30) /* no semicolon: as some programs have it */
    if (global->sparse == NULL || (unused = G_MALLOC_F(10)) == NULL || NU_MALLOC_F(10, 0) == NULL)
        fail("memory by expressions");
    G_FREE(unused)
    global->pixels = (unsigned char *)G_MALLOC(PIXELS);
    if ((unsigned long)global->sparse % 4096 != 0)
        fail("large blocks are page-aligned");
    LOCKINIT(global->id_lock)
    ALOCKINIT(global->cell_lock, CELLS)
    BARINIT(global->start, n_procs)
    BARINIT(global->step, n_procs)
    LOCK(global->id_lock) /* before CREATE too */
    UNLOCK(global->id_lock)
    printf("begun with %ld\n", global->cell[1]);
    CREATE(worker, n_procs)
    WAIT_FOR_END(n_procs)
    check();
    CLOCK(ended)
    if (ended < began)
        fail("the clock");
    G_FREE(global->pixels)
    printf("done %ld\n", global->id);
    MAIN_END
}
