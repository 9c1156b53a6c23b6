/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/comm.h"

#include <dlfcn.h>
#include <hearth.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "net/mpi.h"

MPI_Comm hth_comm_world = MPI_COMM_NULL, hth_comm_here = MPI_COMM_NULL;
bool hth_mpi_serialized;
pthread_mutex_t hth_mpi_lock = PTHREAD_MUTEX_INITIALIZER;

/* What the PEs of a machine share, at the head of the window's first PE. */
struct here {
    _Alignas(64) _Atomic uint64_t arrivals; /* at collectives, by all: tells when all have come */
    _Atomic bool ending;                    /* somebody has said why the job ends */
};

static struct {
    int my_pe, n_pes;
    int n_here, my_rank_here;
    bool finalize_mpi;
    bool finalize_forbidden; /* MPI_Finalize is too early */
    MPI_Win bells_window;
    struct hth_bell **bells; /* by PE; NULL where the PE is on another machine */
    struct here *here;
    _Atomic uint64_t begun; /* collectives, by this PE: changed by one thread at a time, read by
                               handlers (relaxed: it is for messages) */
} job = {.n_pes = 0, .bells_window = MPI_WIN_NULL};

const char *hth_mpi_words(int rc, char *text)
{
    int len = 0;
    if (MPI_Error_string(rc, text, &len) != MPI_SUCCESS) {
        snprintf(text, MPI_MAX_ERROR_STRING, "MPI error %d", rc);
    }
    return text;
}

void hth_mpi_check(int rc, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    if (rc != MPI_SUCCESS) {
        hth_die("%s failed: %s", what, hth_mpi_words(rc, text));
    }
}

/* With more PEs than cores, MPI's blocking calls (and creating windows is one) burn whole time
 * slices unless it yields when idle; everywhere else yielding costs us dear. Open MPI reads its
 * parameter once, but has a function for it; where that is not to be found, the start is slower. */
void hth_comm_blocking(bool begin)
{
    static bool (*set_yield)(bool);
    static bool looked;
    if (!looked) {
        looked = true;
        *(void **)&set_yield = dlsym(RTLD_DEFAULT, "opal_progress_set_yield_when_idle");
    }
    const char *wanted = getenv("OMPI_MCA_mpi_yield_when_idle");
    if (set_yield != NULL) {
        set_yield(begin || (wanted != NULL && wanted[0] == '1'));
    }
}

_Noreturn void hth_comm_abort(int code)
{
    static atomic_flag begun = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&begun)) {
        _exit(code); /* some MPI's MPI_Abort calls exit, and that brought us here again */
    }
    /* MPI_Abort may hang if this thread was interrupted inside MPI: then SIGALRM ends us, and
     * mpirun the others. */
    signal(SIGALRM, SIG_DFL);
    sigset_t unblock;
    sigemptyset(&unblock);
    sigaddset(&unblock, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &unblock, NULL);
    alarm(5);
    /* A launcher may drop what was printed just before the job is aborted (MPICH's does). */
    struct timespec time_to_forward = {0, 200000000};
    nanosleep(&time_to_forward, NULL);
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

static void end_job(void)
{
    hth_comm_abort(86);
}

bool hth_comm_first_to_end(void)
{
    return job.here == NULL || !atomic_exchange(&job.here->ending, true);
}

int hth_mpi_share(size_t bytes, MPI_Win *window_out, void **mine_out)
{
    int rc = MPI_Win_allocate_shared((MPI_Aint)bytes, 1, MPI_INFO_NULL, hth_comm_here, mine_out,
                                     window_out);
    int failed = rc != MPI_SUCCESS, any = 0;
    MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, hth_comm_here);
    if (any != 0) {
        *window_out = MPI_WIN_NULL;
    }
    return rc;
}

char *hth_mpi_shared(MPI_Win window, int rank)
{
    MPI_Aint size;
    int unit;
    char *base;
    MPI_Win_shared_query(window, rank, &size, &unit, &base);
    return base + (-(uintptr_t)base & 63);
}

/* Memory with the bells of this machine's PEs. Without it nobody rings, and waiting is in naps. */
static void share_bells(const int *pes)
{
    void *mine = NULL;
    char words[MPI_MAX_ERROR_STRING];
    size_t bytes = 2 * 64 + sizeof(struct hth_bell);
    int rc = hth_mpi_share(bytes, &job.bells_window, &mine);
    if (job.bells_window == MPI_WIN_NULL) {
        if (rc != MPI_SUCCESS && job.my_rank_here == 0) {
            hth_log(HTH_LOG_WARN,
                    "MPI_Win_allocate_shared of %zu bytes: %s. The PEs of this machine cannot wake "
                    "each other and look for messages every 50 us, which is slower. Is /dev/shm "
                    "full? With osc ucx, say --mca osc ucx,sm",
                    bytes, hth_mpi_words(rc, words));
        }
        return;
    }
    memset(mine, 0, bytes);
    MPI_Barrier(hth_comm_here); /* nobody rings a bell that is about to be zeroed */
    for (int i = 0; i < job.n_here; i++) {
        char *base = hth_mpi_shared(job.bells_window, i);
        job.bells[pes[i]] = (struct hth_bell *)(base + sizeof(struct here));
        if (i == 0) {
            job.here = (struct here *)base;
        }
    }
}

/* Which PEs share this machine, and their bells. */
static int find_here(void)
{
    MPI_Comm_split_type(hth_comm_world, MPI_COMM_TYPE_SHARED, job.my_pe, MPI_INFO_NULL,
                        &hth_comm_here);
    MPI_Comm_set_errhandler(hth_comm_here, MPI_ERRORS_RETURN);
    MPI_Comm_size(hth_comm_here, &job.n_here);
    MPI_Comm_rank(hth_comm_here, &job.my_rank_here);
    job.bells = calloc((size_t)job.n_pes, sizeof *job.bells);
    int *pes = calloc((size_t)job.n_here, sizeof *pes);
    if (job.bells == NULL || pes == NULL) {
        free(pes);
        return hth_error(HEARTH_ENOMEM, "no memory for a table of %d PEs", job.n_pes);
    }
    MPI_Allgather(&job.my_pe, 1, MPI_INT, pes, 1, MPI_INT, hth_comm_here);
    share_bells(pes);
    free(pes);
    return HEARTH_OK;
}

/* MPI calls this at the beginning of MPI_Finalize. */
static int on_finalize(MPI_Comm comm, int keyval, void *unused, void *extra)
{
    (void)comm;
    (void)keyval;
    (void)unused;
    (void)extra;
    if (job.finalize_forbidden) {
        hth_die("MPI_Finalize before hearth_finalize: Hearth still uses MPI. Call hearth_finalize "
                "first");
    }
    return MPI_SUCCESS;
}

static void watch_finalize(void)
{
    int keyval;
    if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, on_finalize, &keyval, NULL) == MPI_SUCCESS) {
        MPI_Comm_set_attr(MPI_COMM_SELF, keyval, NULL);
        MPI_Comm_free_keyval(&keyval); /* once the attribute is gone */
    }
}

void hth_comm_forbid_finalize(bool forbid)
{
    job.finalize_forbidden = forbid;
}

static int join(MPI_Comm comm)
{
    char words[MPI_MAX_ERROR_STRING];
    hth_comm_blocking(true); /* until hth_comm_started */
    int rc = MPI_Comm_dup(comm, &hth_comm_world);
    if (rc != MPI_SUCCESS) {
        return hth_error(HEARTH_EMPI, "MPI_Comm_dup: %s", hth_mpi_words(rc, words));
    }
    MPI_Comm_set_errhandler(hth_comm_world, MPI_ERRORS_RETURN);
    MPI_Comm_rank(hth_comm_world, &job.my_pe);
    MPI_Comm_size(hth_comm_world, &job.n_pes);
    hth_die_end = end_job;
    watch_finalize();
    return find_here();
}

static int check_threads(void)
{
    int level;
    MPI_Query_thread(&level);
    if (level < MPI_THREAD_SERIALIZED) {
        return hth_error(HEARTH_EMPI,
                         "MPI was initialised with thread level %d, and Hearth needs at least "
                         "MPI_THREAD_SERIALIZED (%d), since its progress thread calls MPI. Call "
                         "hearth_init before MPI_Init, or MPI_Init_thread with MPI_THREAD_MULTIPLE",
                         level, MPI_THREAD_SERIALIZED);
    }
    hth_mpi_serialized = level < MPI_THREAD_MULTIPLE;
    return HEARTH_OK;
}

int hth_comm_start_on(MPI_Comm comm)
{
    int up = 0, inter = 0;
    MPI_Initialized(&up);
    if (!up) {
        return hth_error(HEARTH_ESTATE, "hearth_init_comm before MPI_Init: initialise MPI first");
    }
    if (comm == MPI_COMM_NULL) {
        return hth_error(HEARTH_EINVAL, "hearth_init_comm with MPI_COMM_NULL");
    }
    MPI_Comm_test_inter(comm, &inter);
    if (inter) {
        return hth_error(HEARTH_EINVAL,
                         "hearth_init_comm with an intercommunicator: merge it first "
                         "(MPI_Intercomm_merge)");
    }
    int rc = check_threads();
    return rc != HEARTH_OK ? rc : join(comm);
}

int hth_comm_start(int *argc, char ***argv)
{
    int up = 0, over = 0;
    MPI_Initialized(&up);
    MPI_Finalized(&over);
    if (over) {
        return hth_error(HEARTH_ESTATE, "hearth_init after MPI_Finalize");
    }
    if (!up) {
        /* mpirun turns this on when there are more PEs than cores, and it makes a fetch take 46 us
         * instead of 3 (docs/design.md). Our own waits yield by themselves. */
        setenv("OMPI_MCA_mpi_yield_when_idle", "0", 0);
        int level;
        int rc = MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &level);
        if (rc != MPI_SUCCESS) {
            return hth_error(HEARTH_EMPI, "MPI_Init_thread failed with code %d", rc);
        }
        job.finalize_mpi = true;
    } else {
        const char *yields = getenv("OMPI_MCA_mpi_yield_when_idle");
        if (yields != NULL && yields[0] == '1') {
            hth_log(HTH_LOG_WARN, "MPI was initialised before Hearth and yields when idle, which "
                                  "makes every fetch slower; call hearth_init first, or run with "
                                  "--mca mpi_yield_when_idle 0");
        }
    }
    int rc = check_threads();
    return rc != HEARTH_OK ? rc : join(MPI_COMM_WORLD);
}

void hth_comm_started(void)
{
    hth_comm_blocking(false);
}

void hth_comm_stop(void)
{
    if (job.bells_window != MPI_WIN_NULL) {
        MPI_Win_free(&job.bells_window);
    }
    if (hth_comm_here != MPI_COMM_NULL) {
        MPI_Comm_free(&hth_comm_here);
    }
    if (hth_comm_world != MPI_COMM_NULL) {
        MPI_Comm_free(&hth_comm_world);
    }
    free(job.bells);
    job.bells = NULL;
    job.finalize_forbidden = false;
    if (job.finalize_mpi) {
        MPI_Finalize();
    }
}

int hth_comm_my_pe(void)
{
    return job.my_pe;
}

int hth_comm_n_pes(void)
{
    return job.n_pes;
}

int hth_comm_first_here(void)
{
    int pe = 0;
    while (job.bells[pe] == NULL) {
        pe++;
    }
    return pe;
}

int hth_comm_rank_here(void)
{
    return job.my_rank_here;
}

void hth_comm_mpi_version(char *text, size_t bytes)
{
    char whole[MPI_MAX_LIBRARY_VERSION_STRING];
    int len = 0;
    MPI_Get_library_version(whole, &len);
    snprintf(text, bytes, "%.*s", (int)strcspn(whole, "\n"), whole);
}

bool hth_comm_threads(void)
{
    return !hth_mpi_serialized;
}

uint64_t hth_comm_begun(void)
{
    return atomic_load_explicit(&job.begun, memory_order_relaxed);
}

int hth_comm_n_here(void)
{
    return job.n_here;
}

struct hth_bell *hth_comm_bell(int pe)
{
    return job.bells[pe];
}

/* --- collectives --- */

struct collective {
    MPI_Request request; /* none: a barrier of PEs that are all on this machine */
    uint64_t everyone;   /* what job.here->arrivals is once all PEs of this machine have begun it */
};

/* All PEs of the job, which are all on this machine. What is left of a collective of MPI's then is
 * a few messages that ring no bell; of a barrier, nothing. */
static bool all_have_come(void *arg)
{
    struct collective *collective = arg;
    return job.here != NULL && job.n_here == job.n_pes &&
           atomic_load(&job.here->arrivals) >= collective->everyone;
}

static bool collective_done(void *arg)
{
    struct collective *collective = arg;
    int done = 0;
    if (collective->request == MPI_REQUEST_NULL) {
        return all_have_come(collective);
    }
    HTH_MPI(MPI_Test(&collective->request, &done, MPI_STATUS_IGNORE));
    return done != 0;
}

static void finish(struct collective *collective)
{
    uint64_t begun = hth_comm_begun() + 1;
    atomic_store_explicit(&job.begun, begun, memory_order_relaxed);
    collective->everyone = begun * (uint64_t)job.n_here;
    if (job.here != NULL && job.n_here > 1 &&
        atomic_fetch_add(&job.here->arrivals, 1) + 1 == collective->everyone) {
        for (int pe = 0; pe < job.n_pes; pe++) { /* the last to come wakes the others */
            if (pe != job.my_pe && job.bells[pe] != NULL) {
                hth_bell_wake_waiting(job.bells[pe]);
            }
        }
    }
    struct hth_wait why = {HTH_WAIT_COLLECTIVE, NULL, begun};
    hth_wait_until_soon(collective_done, collective, &why, all_have_come);
}

void hth_comm_barrier(void)
{
    if (job.n_pes == 1) {
        return;
    }
    struct collective collective = {.request = MPI_REQUEST_NULL};
    if (job.here == NULL || job.n_here < job.n_pes) {
        HTH_MPI(MPI_Ibarrier(hth_comm_world, &collective.request));
    }
    finish(&collective);
}

static void reduce(const void *in, void *out, int n, MPI_Datatype type, MPI_Op op)
{
    struct collective collective;
    HTH_MPI(MPI_Iallreduce(in, out, n, type, op, hth_comm_world, &collective.request));
    finish(&collective);
}

int hth_comm_agree(uint64_t fingerprint)
{
    uint64_t in[2] = {fingerprint, ~fingerprint}, out[2];
    if (job.n_pes == 1) {
        return HEARTH_OK;
    }
    reduce(in, out, 2, MPI_UINT64_T, MPI_MIN); /* the least, and the complement of the greatest */
    return out[0] == ~out[1] ? HEARTH_OK : HEARTH_EMISMATCH;
}

int64_t hth_comm_min(int64_t value)
{
    int64_t least = value;
    if (job.n_pes > 1) {
        reduce(&value, &least, 1, MPI_INT64_T, MPI_MIN);
    }
    return least;
}

void hth_comm_sum(uint64_t *values, int n)
{
    uint64_t sums[64];
    if (job.n_pes > 1 && n <= 64) {
        reduce(values, sums, n, MPI_UINT64_T, MPI_SUM);
        memcpy(values, sums, (size_t)n * sizeof *values);
    }
}

void hth_comm_gather(const void *mine, int bytes, void *all)
{
    struct collective collective;
    HTH_MPI(MPI_Igather(mine, bytes, MPI_BYTE, all, bytes, MPI_BYTE, 0, hth_comm_world,
                        &collective.request));
    finish(&collective);
}

void hth_comm_or_here(uint64_t *values, int n)
{
    /* At start only, before there is a progress thread. */
    MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_UINT64_T, MPI_BOR, hth_comm_here);
}
