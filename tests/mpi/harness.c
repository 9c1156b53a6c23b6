/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "watchdog.h"

enum { ROWS_MAX = 256, FAILURES_KEPT = 4 };

/* The kinds of region that tests are run with. One more combination is one more line. */
static const struct kind {
    const char *name;
    bool basic; /* also for HT_PROTOCOLS */
    struct hearth_region_attr attr;
} kinds[] = {
    {"invalidate", true, {"inv", HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE, HEARTH_HOME_BLOCK, 0, 0}},
    {"update", true, {"upd", HEARTH_WRITE_UPDATE, HEARTH_RELEASE, HEARTH_HOME_BLOCK, 0, 0}},
    {"sequential",
     true,
     {"seq", HEARTH_WRITE_INVALIDATE, HEARTH_SEQUENTIAL, HEARTH_HOME_BLOCK, 0, 0}},
    {"invalidate-cyclic-16k",
     false,
     {"inv16", HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE, HEARTH_HOME_CYCLIC, 0, 16384}},
    {"update-fixed-16k",
     false,
     {"upd16", HEARTH_WRITE_UPDATE, HEARTH_RELEASE, HEARTH_HOME_FIXED, 0, 16384}},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static const struct hearth_region_attr default_attr = HEARTH_REGION_ATTR_DEFAULT;

/* A test with a kind: what CUnit knows as one test. */
static struct row {
    const struct ht_test *test;
    const struct kind *kind; /* NULL: HT_ONCE */
    CU_pTest cunit;
    char name[96];
} rows[ROWS_MAX];
static size_t n_rows;
static const struct row *current;

static struct failure {
    int line;
    char file[76];
    char text[432];
} kept[FAILURES_KEPT]; /* the first few of the present test; guarded by kept_lock */
static long n_failed;  /* how many there were; guarded by kept_lock */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf: nothing is taken inside */
static atomic_long n_checked;
static long n_failed_in_all; /* over all tests and PEs */

static MPI_Comm comm = MPI_COMM_NULL;
static int my_pe = -1, n_pes = -1;

/* --- checks --- */

static void keep(const char *file, int line, const char *condition, const char *text)
{
    const char *base = strrchr(file, '/');

    pthread_mutex_lock(&kept_lock);
    if (n_failed < FAILURES_KEPT) {
        struct failure *f = &kept[n_failed];
        f->line = line;
        snprintf(f->file, sizeof f->file, "%s", base ? base + 1 : file);
        snprintf(f->text, sizeof f->text, "%.160s%s%.260s", condition, *text ? ": " : "", text);
    }
    n_failed++;
    pthread_mutex_unlock(&kept_lock);
}

bool ht_check(bool holds, const char *file, int line, const char *condition, const char *format,
              ...)
{
    atomic_fetch_add_explicit(&n_checked, 1, memory_order_relaxed);
    if (!holds) {
        char text[300] = "";
        if (format) {
            va_list args;
            va_start(args, format);
            vsnprintf(text, sizeof text, format, args);
            va_end(args);
        }
        keep(file, line, condition, text);
    }
    return holds;
}

bool ht_equal(long long got, long long expected, const char *file, int line, const char *condition)
{
    return ht_check(got == expected, file, line, condition, "got %lld, expected %lld", got,
                    expected);
}

bool ht_failed(void)
{
    pthread_mutex_lock(&kept_lock);
    bool failed = n_failed > 0;
    pthread_mutex_unlock(&kept_lock);
    return failed;
}

void ht_skip(const char *why)
{
    ht_note("skipped: %s", why);
}

void ht_note(const char *format, ...)
{
    if (my_pe == 0) {
        va_list args;
        va_start(args, format);
        printf(" (");
        vprintf(format, args);
        printf(") ");
        va_end(args);
    }
}

/* --- facts --- */

int ht_pe(void)
{
    return my_pe;
}

int ht_n_pes(void)
{
    return n_pes;
}

MPI_Comm ht_comm(void)
{
    return comm;
}

const struct hearth_region_attr *ht_attr(void)
{
    return current && current->kind ? &current->kind->attr : &default_attr;
}

size_t ht_page_bytes(void)
{
    size_t bytes = ht_attr()->page_bytes;

    return bytes ? bytes : (size_t)sysconf(_SC_PAGESIZE);
}

bool ht_is_sequential(void)
{
    return ht_attr()->consistency == HEARTH_SEQUENTIAL;
}

struct hearth_stats ht_stats(const struct hearth_region *region)
{
    struct hearth_stats stats;
    HT_EQUAL(hearth_region_stats(region, &stats), HEARTH_OK);
    return stats;
}

bool ht_threads_allowed(void)
{
    int level = MPI_THREAD_SINGLE;

    MPI_Query_thread(&level);
    return level == MPI_THREAD_MULTIPLE;
}

double ht_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* --- collectives --- */

void ht_wait(MPI_Request *request)
{
    int done = 0;

    for (int polls = 0; !done; polls++) {
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (!done && polls < 20)
            sched_yield();
        else if (!done)
            usleep(50);
    }
}

static void reduce(const void *mine, void *all, int count, MPI_Datatype type, MPI_Op op)
{
    MPI_Request request;

    MPI_Iallreduce(mine, all, count, type, op, comm, &request);
    ht_wait(&request);
}

bool ht_all(bool mine)
{
    int in = mine, out = 0;

    reduce(&in, &out, 1, MPI_INT, MPI_MIN);
    return out != 0;
}

bool ht_same(uint64_t value)
{
    uint64_t in[2] = {value, ~value}, out[2] = {0, 0};

    reduce(in, out, 2, MPI_UINT64_T, MPI_MAX);
    return out[0] == ~out[1]; /* the largest is the smallest */
}

double ht_max(double mine)
{
    double out = 0;

    reduce(&mine, &out, 1, MPI_DOUBLE, MPI_MAX);
    return out;
}

double ht_sum(double mine)
{
    double out = 0;

    reduce(&mine, &out, 1, MPI_DOUBLE, MPI_SUM);
    return out;
}

uint64_t ht_from_pe0(uint64_t value)
{
    uint64_t in = my_pe == 0 ? value : 0, out = 0;

    /* Not MAX: MPICH 4.0 compares unsigned numbers as signed. */
    reduce(&in, &out, 1, MPI_UINT64_T, MPI_BOR);
    return out;
}

/* --- tools --- */

struct thread_call {
    void (*body)(void *arg, int index);
    void *arg;
    int index;
};

static void *thread_main(void *arg)
{
    struct thread_call *call = arg;

    call->body(call->arg, call->index);
    return NULL;
}

void ht_threads(int n, void (*body)(void *arg, int index), void *arg)
{
    pthread_t threads[n];
    struct thread_call calls[n];
    bool started[n];

    for (int i = 0; i < n; i++) {
        calls[i] = (struct thread_call){body, arg, i};
        started[i] = pthread_create(&threads[i], NULL, thread_main, &calls[i]) == 0;
        HT_CHECK(started[i]);
    }
    for (int i = 0; i < n; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
}

uint64_t ht_hash(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t h = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15u) * 0xbf58476d1ce4e5b9u ^
                 (c + 0x1ce4e5b9u) * 0x94d049bb133111ebu;

    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

size_t ht_find_other(const void *bytes, size_t n, unsigned char value)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        if (p[i] != value)
            return i;
    return n;
}

uint64_t ht_env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* --- running --- */

int ht_rounds(int n)
{
    uint64_t rounds = ht_from_pe0((uint64_t)n * ht_env_number("HEARTH_TEST_PERCENT", 100) / 100);

    return rounds < 1 ? 1 : (int)rounds;
}

/* Bring all PEs' failures to PE 0, as failed assertions, and their passed checks, as passed ones.
 */
static void settle(void)
{
    struct report {
        long n_failed;
        struct failure kept[FAILURES_KEPT];
    } mine = {n_failed, {{0}}}, *all = NULL;
    long in[2] = {n_failed, atomic_load(&n_checked)}, sum[2] = {0, 0};

    reduce(in, sum, 2, MPI_LONG, MPI_SUM);
    n_failed_in_all += sum[0];
    for (long i = sum[0]; i < sum[1] && my_pe == 0; i++)
        CU_assertImplementation(CU_TRUE, __LINE__, "a check that held", __FILE__, "", CU_FALSE);
    if (sum[0] == 0)
        return;

    MPI_Request request;
    memcpy(mine.kept, kept, sizeof kept);
    if (my_pe == 0)
        all = calloc((size_t)n_pes, sizeof *all);
    MPI_Igather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, 0, comm, &request);
    ht_wait(&request);
    if (my_pe != 0)
        CU_FAIL("some PE failed a check");
    for (int pe = 0; all && pe < n_pes; pe++) {
        for (long i = 0; i < all[pe].n_failed && i < FAILURES_KEPT; i++) {
            const struct failure *f = &all[pe].kept[i];
            char text[512];
            snprintf(text, sizeof text, "PE %d (%ld failed there): %s", pe, all[pe].n_failed,
                     f->text);
            CU_assertImplementation(CU_FALSE, (unsigned)f->line, text, f->file, "", CU_FALSE);
        }
    }
    free(all);
}

static void run_in_region(const struct row *row)
{
    struct hearth_region *region = NULL;
    const struct ht_test *test = row->test;

    if (test->region_bytes) {
        int err = hearth_region_create(&region, test->region_bytes, ht_attr());
        HT_CHECKF(!err, "%s", hearth_error_message());
        if (!ht_all(!err))
            return;
    }
    test->body(region);
    if (region)
        HT_CHECKF(!hearth_region_destroy(region), "%s", hearth_error_message());
}

/* What CUnit calls, for every row. */
static void run_current(void)
{
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].cunit == CU_get_current_test())
            current = &rows[i];
    ht_watchdog_name(current->name);
    n_failed = 0;
    atomic_store(&n_checked, 0);
    double began = ht_now();
    run_in_region(current);
    settle();
    if (my_pe == 0)
        printf("%.2f s, ", ht_now() - began); /* CUnit goes on in this line */
}

static void add_row(CU_pSuite suite, const struct ht_test *test, const struct kind *kind,
                    const char *filter)
{
    struct row *row = &rows[n_rows];

    snprintf(row->name, sizeof row->name, "%s%s%s", test->name, kind ? "/" : "",
             kind ? kind->name : "");
    if (n_rows == ROWS_MAX || (filter && !strstr(row->name, filter)))
        return;
    row->test = test;
    row->kind = kind;
    row->cunit = CU_add_test(suite, row->name, run_current);
    n_rows++;
}

static int run_all(const struct ht_program *program, const char *filter)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite suite = CU_add_suite(program->name, NULL, NULL);
    for (size_t t = 0; suite && t < program->n_tests; t++) {
        const struct ht_test *test = &program->tests[t];
        if (test->each == HT_ONCE)
            add_row(suite, test, NULL, filter);
        for (int k = 0; k < N_KINDS && test->each != HT_ONCE; k++)
            if (kinds[k].basic || test->each == HT_KINDS)
                add_row(suite, test, &kinds[k], filter);
    }
    CU_basic_set_mode(my_pe == 0 ? CU_BRM_VERBOSE : CU_BRM_SILENT);
    if (!suite || n_rows == 0 || CU_basic_run_tests() != CUE_SUCCESS) {
        fprintf(stderr, "PE %d: no test of %s ran\n", my_pe, program->name);
        CU_cleanup_registry();
        return 2;
    }
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures > 0 || n_failed_in_all > 0;
}

/* Bring up MPI, by Hearth or alone, and the harness's communicator. */
static int start(int *argc, char ***argv, const struct ht_program *program)
{
    MPI_Request request;

    if (program->own_mpi) {
        int level;
        setenv("OMPI_MCA_mpi_yield_when_idle", "0", 0); /* as hearth_init() does */
        MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &level);
    } else if (hearth_init(argc, argv)) {
        fprintf(stderr, "hearth_init: %s\n", hearth_error_message());
        return -1;
    }
    MPI_Comm_idup(MPI_COMM_WORLD, &comm, &request);
    ht_wait(&request);
    MPI_Comm_rank(comm, &my_pe);
    MPI_Comm_size(comm, &n_pes);
    return 0;
}

static int stop(const struct ht_program *program)
{
    int finalized = 0, err = 0;

    ht_watchdog_name("finalize");
    MPI_Comm_free(&comm);
    if (program->own_mpi)
        MPI_Finalize();
    else
        err = hearth_finalize();
    MPI_Finalized(&finalized);
    if (err || !finalized)
        fprintf(stderr, "PE %d: hearth_finalize returned %d, MPI is %s\n", my_pe, err,
                finalized ? "finalised" : "still up");
    return err || !finalized;
}

int ht_main(int argc, char **argv, const struct ht_program *program)
{
    /* Each test says what its region is to be: no comparison by environment here. */
    unsetenv("HEARTH_PROTOCOL");
    unsetenv("HEARTH_CONSISTENCY");
    unsetenv("HEARTH_PAGE_BYTES");
    unsetenv("HEARTH_READ_AHEAD"); /* nor are fewer faults than there would be */
    /* Many errors here are meant, and a failed check has the message with it. */
    setenv("HEARTH_LOG", "none", 0);
    ht_watchdog_start((double)ht_env_number("HEARTH_TEST_SECONDS", 120) + program->extra_seconds,
                      program->name);
    ht_watchdog_name("init");
    if (start(&argc, &argv, program))
        return 2;
    ht_watchdog_pe(my_pe);
    setvbuf(stdout, NULL, _IONBF, 0); /* what was said is not lost if the job is aborted */
    if (my_pe != 0 && !freopen("/dev/null", "w", stdout))
        return 2;
    int verdict = run_all(program, argc > 1 ? argv[1] : NULL);
    if (stop(program))
        verdict = 2;
    ht_watchdog_stop();
    return verdict;
}
