/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting and stopping: the order in which the parts come up and go. */
#include <hearth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "alarm.h"
#include "api.h"
#include "ask.h"
#include "fault.h"
#include "log.h"
#include "memory.h"
#include "net/comm.h"
#include "net/lend.h"
#include "net/message.h"
#include "net/mpi.h"
#include "net/window.h"
#include "progress.h"
#include "region.h"
#include "stats.h"
#include "sync.h"
#include "topology.h"
#include "touch.h"
#include "vm/vm.h"
#include "watchdog.h"

#include <hearth_mpi.h>

#define EXIT_EARLY 86 /* the job's exit code if the PE's was 0 */

static bool started; /* once and for all */
static pid_t pid;    /* ours, not a forked child's */

static void on_coherence(int from, const void *message, size_t bytes)
{
    hth_coherence_handle(&hth_job.coherence, from, message, bytes);
}

static int64_t answer_owner(uint64_t id, uint64_t page)
{
    struct hearth_region *region = hth_region_by_id((uint32_t)id);
    return region == NULL ? HEARTH_EADDR
                          : hth_coherence_owner(&hth_job.coherence, &region->core, page);
}

static void on_alarm(uint32_t id, uint64_t page)
{
    struct hearth_region *region = hth_region_by_id(id);
    if (region == NULL) {
        hth_die("an alarm for region %u, which is gone", (unsigned)id);
    }
    hth_coherence_alarm(&hth_job.coherence, &region->core, page);
}

static int poll_all(void)
{
    hth_alarm_poll(on_alarm);
    int messages = hth_message_poll();
    return messages > 0 ? messages : 0;
}

static uint64_t next_in_ns(void)
{
    uint64_t alarm = hth_alarm_next_ns(), message = hth_message_in_ns();
    return alarm < message ? alarm : message;
}

static struct hth_bell own_bell; /* where MPI shares no memory */

static void start_waiting(void)
{
    struct hth_bell *bell = hth_comm_bell(hth_comm_my_pe());
    struct hth_placement_facts facts = {
        .n_here = hth_comm_n_here(),
        .n_pes = hth_comm_n_pes(),
        .n_threads = hth_placement_threads(getenv("OMP_NUM_THREADS")),
        .n_units = hth_topology_n_units(),
        .n_cores = hth_topology_n_cores(),
        .asked = (enum hth_progress_mode)hth_job.config.progress,
        .no_bells = bell == NULL,
    };
    struct hth_placement chosen = hth_placement_choose(&facts);
    hth_job.placement = chosen;
    struct hth_progress_config config = {
        .bell = bell != NULL ? bell : &own_bell,
        .all_here = chosen.all_here,
        .may_spin = chosen.may_spin,
        .own_core = chosen.own_core,
        .mode = chosen.mode,
        .poll = hth_comm_n_pes() > 1 ? poll_all : NULL,
        .alarm_in_ns = next_in_ns,
        .unfinished = hth_message_unfinished,
        .unaided = hth_lend_works, /* what is large and not lent goes in pieces, perhaps */
        .on_start = hth_topology_spread,
        .idle = hth_watchdog_idle,
        .watch = hth_watchdog_look,
    };
    hth_progress_configure(&config);
}

/* mpirun binds a PE to a core unless told otherwise, with all of its threads. One that waits there,
 * in MPI too, takes the time of the one that it waits for. */
static void warn_if_bound(void)
{
    int threads = hth_placement_threads(getenv("OMP_NUM_THREADS")), bound = hth_topology_n_bound();
    if (hth_comm_my_pe() == 0 && bound > 0 && threads > bound) {
        hth_log(HTH_LOG_WARN,
                "OMP_NUM_THREADS=%d, but each PE is bound to %d processing unit%s, which its "
                "threads share; give mpirun --bind-to none, or more units to each (--map-by "
                "slot:PE=%d)",
                threads, bound, bound == 1 ? "" : "s", threads);
    }
}

static void ask_huge_pages(void)
{
    char why[256];
    if (hth_job.config.cache_bytes != 0) {
        if (hth_job.config.huge_pages != 0) {
            hth_log(HTH_LOG_WARN,
                    "HEARTH_HUGE_PAGES=1 has no effect: HEARTH_CACHE_BYTES bounds "
                    "what copies take, and each huge page would take 2 MiB for one of "
                    "4 KiB (unset one of the two)");
        }
        hth_vm_refuse_huge();
        return;
    }
    if (hth_job.config.huge_pages == 0) {
        return;
    }
    if (hth_vm_ask_huge(why, sizeof why)) {
        hth_log(HTH_LOG_INFO, "shared memory: huge pages asked for");
    } else {
        hth_log(HTH_LOG_WARN, "HEARTH_HUGE_PAGES=1 has no effect: %s", why);
    }
}

static int start_pager(void)
{
    char why[256];
    ask_huge_pages();
    if (!hth_vm_start_pager((enum hth_pager_choice)hth_job.config.pager, why, sizeof why)) {
        return hth_error(HEARTH_ESYS, "%s", why);
    }
    return HEARTH_OK;
}

/* All PEs try the same bases in the same order until one suits all. */
static int reserve_addresses(void)
{
    uintptr_t base;
    uint64_t bytes;
    for (unsigned i = 0; hth_vm_candidate(i, hth_job.config.reserve_bytes, &base, &bytes); i++) {
        bool mine = hth_vm_reserve(base, bytes);
        if (hth_comm_min(mine)) {
            int rc = hth_vm_map_alias();
            if (hth_comm_min(-rc) != 0) {
                return hth_error(HEARTH_ESYS, "the alias of the address range cannot be mapped: %s",
                                 rc != 0 ? strerror(rc) : "on another PE");
            }
            return HEARTH_OK;
        }
        hth_vm_release();
    }
    return hth_error(HEARTH_ENOMEM,
                     "no address range that is free on all PEs. A limit on address space (ulimit "
                     "-v)? HEARTH_RESERVE_BYTES (default: 16T, then 128G) asks for less");
}

static int create_heap(void)
{
    struct hearth_region_attr attr = HEARTH_REGION_ATTR_DEFAULT;
    attr.name = "heap";
    attr.placement = (enum hearth_placement)hth_job.config.placement;
    int rc = hearth_region_create(&hth_job.heap, hth_job.config.heap_bytes, &attr);
    return rc;
}

/* The words window that is made at the start: for locks and counters, the default region, and some
 * more regions. */
static uint64_t first_words(void)
{
    uint64_t pages = hth_job.config.heap_bytes / 4096 + 1;
    pages += pages / HTH_GAP_PART; /* as a region's measure() has it */
    uint64_t n = (uint64_t)hth_comm_n_pes(), bits = 1;
    while (bits < 64 && bits < n) {
        bits *= 2;
    }
    uint64_t copysets = 2 * pages * (bits < 64 ? bits : (n + 63) / 64 * 64) / 64;
    uint64_t maps = (2 * pages + (n + 1) * pages) / 62; /* bits and their summaries */
    uint64_t claims = pages / n / (n < 128 ? 8 : 2);    /* if pages are dealt so */
    if (hth_job.config.placement != HEARTH_HOME_FIRST_TOUCH) {
        claims = 0;
    }
    return HTH_SYNC_WORDS + copysets + maps + claims + (UINT64_C(1) << 18);
}

/* What failed on one PE has failed on all, so that none waits for it. */
static int together(int mine, const char *what)
{
    int worst = (int)hth_comm_min(mine);
    if (worst != HEARTH_OK && mine == HEARTH_OK) {
        hth_error(worst, "%s failed on another PE", what);
    }
    return worst;
}

/* Who leaves early would leave the others to wait for ever: the job ends. By whoever calls exit, or
 * returns from main; _exit and signals are for mpirun to see. */
static void on_early_exit(int status, void *unused)
{
    (void)unused;
    if (!hth_job.up || getpid() != pid) {
        return; /* as it should be, or a forked child's exit */
    }
    if (hth_comm_first_to_end()) {
        hth_say("exit with status %d before hearth_finalize: the job ends here. Every PE must call "
                "hearth_finalize",
                status);
    }
    fflush(NULL); /* what exit would do after us */
    hth_comm_abort(status != 0 ? status : EXIT_EARLY);
}

static int start_all(void)
{
    char why[256];
    int rc = hth_config_read(&hth_job.config, why, sizeof why);
    hth_log_start(hth_comm_my_pe(),
                  rc == HEARTH_OK ? (enum hth_log_level)hth_job.config.log : HTH_LOG_ERROR);
    if (rc != HEARTH_OK) {
        hth_error(rc, "%s", why);
    }
    hth_topology_start();
    warn_if_bound();
    start_waiting();
    rc = together(rc, "reading the configuration");
    if (rc == HEARTH_OK) {
        rc = reserve_addresses();
    }
    if (rc == HEARTH_OK) {
        rc = together(start_pager(), "starting the pager");
    }
    if (rc == HEARTH_OK) {
        rc = together(hth_message_start(hth_job.config.test_delay_us), "starting messages");
    }
    if (rc == HEARTH_OK) {
        hth_comm_blocking(true);
        rc = hth_window_start(hth_vm.alias, hth_vm.bytes, first_words(), &hth_job.config);
    }
    if (rc == HEARTH_OK) { /* after the windows, which cannot do without their memory */
        hth_lend_start(hth_job.config.shared_buffers, HTH_MESSAGE_BYTES_MAX);
    }
    if (rc == HEARTH_OK) {
        rc = hth_sync_start();
    }
    if (rc == HEARTH_OK) {
        rc = together(hth_regions_start(), "starting regions");
    }
    if (rc != HEARTH_OK) {
        return rc;
    }
    hth_coherence_init(&hth_job.coherence, NULL, hth_comm_my_pe(), hth_comm_n_pes(), NULL);
    hth_message_on(HTH_MESSAGE_COHERENCE, on_coherence);
    hth_ask_start();
    hth_ask_on(HTH_ASK_OWNER, answer_owner);
    hth_watchdog_start(hth_job.config.watchdog);
    hth_memory_start();
    rc = hth_fault_start();
    hth_touch_start();
    int err = rc == HEARTH_OK ? hth_progress_start() : 0;
    if (err != 0) {
        rc = hth_error(HEARTH_ESYS, "no progress thread: %s", strerror(err));
    }
    hth_comm_started();
    rc = together(rc, "starting the progress thread");
    if (rc == HEARTH_OK) {
        pid = getpid();
        on_exit(on_early_exit, NULL);
        hth_job.up = true;
        rc = create_heap();
        hth_job.up = rc == HEARTH_OK;
        hth_comm_forbid_finalize(hth_job.up);
    }
    return rc;
}

static int start(int comm_rc)
{
    if (comm_rc != HEARTH_OK) {
        return comm_rc;
    }
    hth_enter();
    int rc = start_all();
    hth_leave();
    return rc;
}

static int first_time(void)
{
    if (started) {
        return hth_error(HEARTH_ESTATE,
                         "Hearth was initialised before; it can be once in a program");
    }
    started = true;
    hth_calling = (struct hth_calling){"hearth_init", NULL};
    return HEARTH_OK;
}

int hearth_init(int *argc, char ***argv)
{
    int rc = first_time();
    return rc != HEARTH_OK ? rc : start(hth_comm_start(argc, argv));
}

int hearth_init_comm(MPI_Comm comm)
{
    int rc = first_time();
    if (rc == HEARTH_OK) {
        rc = hth_comm_start_on(comm);
        started = rc == HEARTH_OK; /* a refused communicator has started nothing */
    }
    return rc != HEARTH_OK ? rc : start(HEARTH_OK);
}

int hearth_finalize(void)
{
    if (!hth_job.up) {
        return hth_error(HEARTH_ESTATE,
                         "hearth_finalize outside of hearth_init ... hearth_finalize");
    }
    hth_calling = (struct hth_calling){"hearth_finalize", NULL};
    hth_enter();
    hth_settling_barrier();
    hth_job.up = false;
    if (hth_job.config.stats) {
        hth_stats_print();
    }
    for (uint32_t id = 0; id < HTH_REGIONS_MAX; id++) {
        struct hearth_region *region = hth_region_by_id(id);
        if (region != NULL) {
            hth_region_end(region);
        }
    }
    hth_job.heap = NULL;
    hth_comm_barrier(); /* nobody sends any more */
    hth_comm_blocking(true);
    hth_progress_stop();
    hth_watchdog_stop();
    hth_message_stop();
    hth_lend_stop();
    hth_fault_stop();
    hth_touch_stop();
    hth_coherence_fini(&hth_job.coherence);
    hth_sync_stop();
    hth_window_stop();
    hth_regions_stop();
    hth_vm_release();
    hth_topology_stop();
    hth_comm_stop();
    hth_leave();
    return HEARTH_OK;
}

int hearth_my_pe(void)
{
    return hth_job.up ? hth_comm_my_pe()
                      : hth_error(HEARTH_ESTATE, "hearth_my_pe outside of hearth_init ... "
                                                 "hearth_finalize");
}

int hearth_n_pes(void)
{
    return hth_job.up ? hth_comm_n_pes()
                      : hth_error(HEARTH_ESTATE, "hearth_n_pes outside of hearth_init ... "
                                                 "hearth_finalize");
}
