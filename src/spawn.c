/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs written for one address space: replay, workers.
 *
 * Until the first hearth_spawn every PE runs the main program on *private* memory that lies where
 * the shared region will be (hth_vm_hide). PE 0 no less: so what it writes costs what it costs in
 * any program, and no page of the region has a state yet that the others would have to respect. At
 * hearth_spawn all put the region in its place (hth_vm_show), and PE 0 copies into it what it had
 * written; the others forget theirs. The memory is handed out from the bottom of the region, which
 * is one collective allocation: so no PE need ask another, and all come to the same pointers. PE 0
 * is home to all of it: with pages dealt round four PEs, publishing 200 MiB took 13 s of faults and
 * diffs, and protections that alternated from page to page. Static variables, if they are to be
 * shared, join at the same moment (spawn_globals.c).
 *
 * This file is a program on top of the public API, not a part of the library beneath: it touches
 * shared memory as programs do. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <hearth_spawn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "log.h"
#include "region.h"
#include "sync.h"

#define ALIGN_BYTES 64u
#define AT_ONCE     512u /* pages looked at for whether they were touched */

/* One for each PE, in shared memory. */
struct order {
    struct hearth_sema go;
    uint64_t worker; /* from the program's load address on, plus 1; 0: leave */
};

static struct {
    struct hearth_region *region; /* NULL: hearth_replay was not called */
    uint8_t *memory;
    uint64_t bytes, used;   /* of memory: in all, and handed out */
    bool replaying;         /* all by main's thread, and still after it for PE 0 */
    bool working;           /* a worker runs on this PE, which is not 0 */
    int output;             /* standard output, while it is discarded; -1: it is not */
    int started, n_running; /* PE 0: the last PE that was given work, and how many were */
    pid_t pid;              /* not a forked child's */
    struct order *orders;
    struct hearth_sema *done;
} spawn = {.output = -1};

/* --- memory --- */

static int system_error(const char *what)
{
    return hth_error(HEARTH_ESYS, "hearth_replay: %s: %s", what, strerror(errno));
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static void *replay_malloc(size_t bytes)
{
    uint64_t page_bytes = spawn.region->core.page_bytes;
    uint64_t unit = bytes >= page_bytes ? page_bytes : ALIGN_BYTES;
    uint64_t at = round_up(spawn.used, unit);
    if (bytes == 0) {
        hth_error(HEARTH_EINVAL, "hearth_shared_malloc: 0 bytes");
        return NULL;
    }
    if (at > spawn.bytes || bytes > spawn.bytes - at) {
        hth_error(HEARTH_ENOMEM,
                  "hearth_shared_malloc: no room for %llu bytes, with %llu of %llu handed out "
                  "before hearth_spawn. Raise HEARTH_HEAP_BYTES",
                  (unsigned long long)bytes, (unsigned long long)spawn.used,
                  (unsigned long long)spawn.bytes);
        return NULL;
    }
    spawn.used = round_up(at + bytes, unit);
    return spawn.memory + at;
}

void *hearth_shared_malloc(size_t bytes)
{
    if (hth_check_up("hearth_shared_malloc") != HEARTH_OK) {
        return NULL;
    }
    return spawn.replaying ? replay_malloc(bytes) : hearth_solo_malloc(spawn.region, bytes);
}

int hearth_shared_free(void *ptr)
{
    int rc = hth_check_up("hearth_shared_free");
    bool replayed = spawn.region != NULL && (uint8_t *)ptr >= spawn.memory &&
                    (uint8_t *)ptr < spawn.memory + spawn.used;
    return rc != HEARTH_OK || replayed ? rc : hearth_solo_free(ptr);
}

static bool is_zero(const uint8_t *bytes, uint64_t n)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

void hth_copy_nonzero(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    for (uint64_t at = 0; at < bytes; at += page_bytes) {
        uint64_t some = bytes - at < page_bytes ? bytes - at : page_bytes;
        if (!is_zero(from + at, some)) {
            memcpy(to + at, from + at, some);
        }
    }
}

bool hth_spawn_replaying(void)
{
    return spawn.replaying;
}

/* What PE 0 wrote in its private memory becomes everybody's. */
static void publish(const uint8_t *private)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t n_pages = round_up(spawn.used, page_bytes) / page_bytes;
    unsigned char touched[AT_ONCE];
    for (uint64_t first = 0; first < n_pages; first += AT_ONCE) {
        uint64_t some = n_pages - first < AT_ONCE ? n_pages - first : AT_ONCE;
        hth_vm_touched(private + first * page_bytes, some, touched);
        for (uint64_t i = 0; i < some; i++) {
            uint64_t at = (first + i) * page_bytes;
            if (touched[i]) {
                hth_copy_nonzero(spawn.memory + at, private + at, page_bytes);
            }
        }
    }
}

/* --- replay --- */

static int discard_output(void)
{
    fflush(stdout);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    spawn.output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    bool done = null >= 0 && spawn.output >= 0 && dup2(null, STDOUT_FILENO) >= 0;
    if (null >= 0) {
        close(null);
    }
    return done ? HEARTH_OK : system_error("/dev/null as standard output");
}

static void restore_output(void)
{
    if (spawn.output >= 0) {
        fflush(stdout);
        dup2(spawn.output, STDOUT_FILENO);
        close(spawn.output);
        spawn.output = -1;
    }
}

/* A PE other than 0 that leaves main without having spawned is at the same place as PE 0; one that
 * leaves from within a worker ends the job (life.c). */
static void on_leave(int status, void *unused)
{
    (void)unused;
    if (!hth_job.up || spawn.working || getpid() != spawn.pid) {
        return;
    }
    if (!spawn.replaying && hearth_my_pe() == 0) {
        if (spawn.n_running > 0 && status != 0) {
            return;
        }
        hearth_join();
        for (int pe = 1; pe < hearth_n_pes(); pe++) {
            spawn.orders[pe].worker = 0;
            hearth_sema_post(&spawn.orders[pe].go);
        }
    }
    if (spawn.replaying) {
        hth_input_stop();
    }
    fflush(NULL);
    hth_globals_unshare();
    hearth_finalize();
}

static int make_region(void)
{
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    attr.name = "shared";
    attr.placement = HEARTH_HOME_FIXED; /* PE 0, which publishes without a fault */
    spawn.bytes = hth_job.config.heap_bytes;
    int rc = hearth_region_create(&spawn.region, spawn.bytes, &attr);
    if (rc != HEARTH_OK) {
        return rc;
    }
    size_t n = (size_t)hearth_n_pes();
    spawn.memory = hearth_region_malloc(spawn.region, spawn.bytes);
    spawn.orders = hearth_malloc(n * sizeof *spawn.orders);
    spawn.done = hearth_malloc(sizeof *spawn.done);
    if (spawn.memory == NULL || spawn.orders == NULL || spawn.done == NULL) {
        return HEARTH_ENOMEM;
    }
    int me = hearth_my_pe();
    struct hearth_sema unused; /* as many everywhere, for what the replay makes (sync.h) */
    rc = hearth_sema_init(&spawn.orders[me].go, 0);
    return rc != HEARTH_OK ? rc : hearth_sema_init(me == 0 ? spawn.done : &unused, 0);
}

/* The private memory that lies where the shared memory will, in bytes of whole pages. */
static uint64_t hidden_bytes(void)
{
    return round_up(spawn.bytes, spawn.region->core.page_bytes);
}

static uint64_t offset_of_memory(void)
{
    return (uint64_t)(spawn.memory - hth_vm.view);
}

int hearth_replay(int *argc, char ***argv)
{
    int rc = hearth_init(argc, argv);
    rc = rc != HEARTH_OK ? rc : make_region();
    rc = rc != HEARTH_OK ? rc : hth_input_start();
    if (rc == HEARTH_OK && hth_vm_hide(offset_of_memory(), hidden_bytes()) != 0) {
        rc = system_error("private memory");
    }
    if (rc == HEARTH_OK && hearth_my_pe() != 0) {
        rc = discard_output();
    }
    if (rc != HEARTH_OK) {
        return rc;
    }
    spawn.pid = getpid();
    spawn.replaying = true;
    hth_sync_replay_begin();
    if (on_exit(on_leave, NULL) != 0) {
        return hth_error(HEARTH_ENOMEM, "hearth_replay: on_exit has no room");
    }
    return hearth_barrier_all();
}

/* --- workers --- */

static int take_base(struct dl_phdr_info *info, size_t bytes, void *base)
{
    (void)bytes;
    *(uintptr_t *)base = info->dlpi_addr; /* the program comes first */
    return 1;
}

static uintptr_t load_address(void)
{
    uintptr_t base = 0;
    dl_iterate_phdr(take_base, &base);
    return base;
}

static _Noreturn void serve(void)
{
    struct order *order = &spawn.orders[hearth_my_pe()];
    for (;;) {
        hearth_sema_wait(&order->go);
        if (order->worker == 0) {
            exit(0);
        }
        uintptr_t address = load_address() + (uintptr_t)(order->worker - 1);
        void (*worker)(void);
        memcpy(&worker, &address, sizeof worker);
        spawn.working = true;
        worker();
        spawn.working = false;
        fflush(stdout); /* before what PE 0 says after it joined */
        hearth_sema_post(spawn.done);
    }
}

/* The end of the replay; returns on PE 0. */
static void end_replay(void)
{
    hth_input_stop();
    void *private = hth_vm_show(offset_of_memory(), hidden_bytes());
    spawn.replaying = false;
    hth_sync_replay_end();
    restore_output();
    hth_globals_share();
    hearth_barrier_all(); /* the region is in its place everywhere */
    if (hearth_my_pe() == 0) {
        /* As a new allocation is at its home: nobody else has touched it yet. */
        hth_vm_protect(offset_of_memory(), hidden_bytes(), HTH_VIEW_WRITE);
        publish(private);
    }
    hth_vm_sparse_free(private, hidden_bytes());
    hth_globals_publish();
    if (hearth_my_pe() != 0) {
        serve();
    }
}

static int check_main(const char *call)
{
    int rc = hth_check_up(call);
    if (rc != HEARTH_OK) {
        return rc;
    }
    if (spawn.region == NULL) {
        return hth_error(HEARTH_ESTATE, "%s without hearth_replay", call);
    }
    if (!spawn.replaying && hearth_my_pe() != 0) {
        return hth_error(HEARTH_EPERM, "%s on PE %d: only PE 0 may", call, hearth_my_pe());
    }
    return HEARTH_OK;
}

int hearth_spawn(void (*worker)(void), int n)
{
    int rc = check_main("hearth_spawn");
    if (rc != HEARTH_OK) {
        return rc;
    }
    if (worker == NULL || n < 0) {
        return hth_error(HEARTH_EINVAL, "hearth_spawn: %s",
                         worker == NULL ? "the worker is NULL" : "less than 0 workers");
    }
    int idle = hearth_n_pes() - 1 - spawn.n_running;
    if (n > idle) {
        return hth_error(HEARTH_EINVAL,
                         "hearth_spawn: %d workers, and %d of the job's %d PEs are idle. Start it "
                         "with more (mpirun -np %d)%s",
                         n, idle, hearth_n_pes(), n + spawn.n_running + 1,
                         spawn.n_running > 0 ? ", or hearth_join first" : "");
    }
    if (spawn.replaying) {
        end_replay();
    }
    uintptr_t address;
    memcpy(&address, &worker, sizeof address);
    fflush(stdout); /* before what the workers say */
    for (int i = 0; i < n; i++) {
        struct order *order = &spawn.orders[++spawn.started];
        order->worker = address - load_address() + 1;
        spawn.n_running++;
        hearth_sema_post(&order->go);
    }
    return HEARTH_OK;
}

int hearth_join(void)
{
    int rc = check_main("hearth_join");
    for (; rc == HEARTH_OK && spawn.n_running > 0; spawn.n_running--) {
        rc = hearth_sema_wait(spawn.done);
    }
    spawn.started = rc == HEARTH_OK ? 0 : spawn.started;
    return rc;
}
