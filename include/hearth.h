/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file hearth.h
 * Hearth: one shared address space for the processes of an MPI job.
 *
 * CONCEPT
 *
 * A program started with mpirun consists of n processes, here called PEs (processing elements, as
 * in SHMEM) and numbered 0..n-1. Shared memory lives in *regions*. A pointer into a region means
 * the same datum on every PE: it may be stored in shared memory, handed to another PE and
 * dereferenced there. There is no put, no get and no message: programs load and store.
 *
 * Underneath, a region is cut into pages. Each page has a *home*, the PE that holds its master
 * copy; the other PEs get copies when they touch it. A region's protocol says what happens to the
 * copies when somebody writes:
 *
 *   HEARTH_WRITE_INVALIDATE  the other copies are forgotten, and fetched anew when next touched
 *   HEARTH_WRITE_UPDATE      the other copies are sent the new bytes
 *
 * MEMORY MODEL
 *
 * Regions are release consistent (Gharachorloo et al., ISCA 1990) unless created with
 * HEARTH_SEQUENTIAL, which is stronger: see there. Release consistent means: a data-race-free
 * program behaves as on one machine. Two accesses race if they touch the same *byte*, at least one
 * writes, and no chain of synchronisation orders them. What a PE wrote before a *release* is seen
 * by a PE that does a later *acquire* ordered after it. Every synchronisation call below says which
 * of the two it is; hearth_barrier_all() is both. The unit is the byte, not the page: two PEs may
 * write neighbouring bytes of one page, or of one word, without any lock. docs/memory-model.md
 * has the whole story with examples.
 *
 * RULES FOR EVERY CALL
 *
 * - Calls return 0 or a negative enum hearth_err, unless they return a pointer (NULL on failure)
 *   or a number. hearth_error_message() has the text of the calling thread's last error: the value,
 *   the limit and what to do. Misuse is an error returned, never a crash.
 * - *Collective* calls must be made by all PEs, in the same order, with the same arguments, by one
 *   thread of each PE at a time. Arguments that differ are found and refused on all PEs.
 * - All calls may be made from any thread unless they are collective. Barrier, lock and fence calls
 *   act for the whole PE.
 * - Between hearth_init() and hearth_finalize() only, except where the call says otherwise.
 * - Not yet supported: passing shared memory to MPI calls or to system calls such as read(2). Copy
 *   through private memory. Signal handlers must not touch shared memory.
 */
#ifndef HEARTH_H
#define HEARTH_H

#include <stddef.h>
#include <stdint.h>

#define HEARTH_VERSION_MAJOR 0
#define HEARTH_VERSION_MINOR 1
#define HEARTH_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/** What can go wrong. Values are stable. */
enum hearth_err {
    HEARTH_OK = 0,
    HEARTH_EINVAL = -1,  /**< an argument is NULL, out of range or of the wrong kind */
    HEARTH_ENOMEM = -2,  /**< a region, the heap, a lock table or the machine is full */
    HEARTH_ENOTSUP = -3, /**< a combination that cannot work, or not in this version */
    HEARTH_ESTATE = -4,  /**< before hearth_init(), after hearth_finalize(), or initialised twice */
    HEARTH_EMPI = -5,    /**< an MPI call failed; the message has MPI's own words */
    HEARTH_EMISMATCH = -6, /**< PEs called a collective with different arguments */
    HEARTH_EBUSY = -7,     /**< lock held by somebody else */
    HEARTH_EDEADLK = -8,   /**< this thread already holds the lock */
    HEARTH_EPERM = -9,     /**< this PE does not hold the lock */
    HEARTH_EADDR = -10,    /**< the pointer is not the start of (or not in) such an allocation */
    HEARTH_ESYS = -11      /**< a system call failed; the message has errno */
};

/** What a release does to the other copies of a page. */
enum hearth_protocol { HEARTH_WRITE_INVALIDATE, HEARTH_WRITE_UPDATE };

/**
 * HEARTH_RELEASE: as above. HEARTH_SEQUENTIAL (with write-invalidate only): every store is seen by
 * all PEs at once, in one order, as on one machine, in programs with data races too; C11 atomics
 * work across PEs. A page has one writer at a time, to whom it migrates, so a page that several
 * write costs a transfer each time it changes hands. Acquire and release have nothing to do there.
 */
enum hearth_consistency { HEARTH_RELEASE, HEARTH_SEQUENTIAL };

/**
 * Who is home to the pages of a collective allocation.
 *
 * BLOCK: an allocation of at least one page a PE starts on a page, and PE i is home to the i-th of
 * n equal contiguous shares (in pages; page k of P belongs to the PE i for which
 * floor(i*P/n) <= k < floor((i+1)*P/n)). CYCLIC: it starts on a page, and pages are dealt
 * round-robin. FIXED: all pages live at home_pe. Under BLOCK and CYCLIC, allocations smaller than
 * one page a PE are packed together and the pages that they fill are dealt round-robin.
 */
enum hearth_placement { HEARTH_HOME_BLOCK, HEARTH_HOME_CYCLIC, HEARTH_HOME_FIXED };

struct hearth_region; /* opaque */

/** How a region is to be. Start from HEARTH_REGION_ATTR_DEFAULT and change what matters. */
struct hearth_region_attr {
    const char *name;                    /**< for messages and statistics; copied; may be NULL */
    enum hearth_protocol protocol;       /**< see above */
    enum hearth_consistency consistency; /**< see above */
    enum hearth_placement placement;     /**< see above */
    int home_pe;                         /**< the home of all pages with HEARTH_HOME_FIXED */
    size_t page_bytes; /**< unit of coherence: a power of two, at least the OS page; 0: OS page */
};

/** Write-invalidate, release consistency, homes in blocks, the OS page. */
#define HEARTH_REGION_ATTR_DEFAULT                                                                 \
    {                                                                                              \
        NULL, HEARTH_WRITE_INVALIDATE, HEARTH_RELEASE, HEARTH_HOME_BLOCK, 0, 0                     \
    }

/* ------------------------------------------------------------------------------------------ */
/* Life                                                                                       */

/**
 * Join the shared address space. Collective over MPI_COMM_WORLD; the first Hearth call.
 *
 * Initialises MPI with MPI_THREAD_MULTIPLE if the program has not; an MPI that the program
 * initialised must provide at least MPI_THREAD_SERIALIZED. Installs handlers for SIGSEGV and SIGBUS
 * (faults outside Hearth's addresses go on to whoever had them before; a handler installed after
 * this call must do the same), and for SIGUSR2 where there is none (each waiting thread then says
 * what it waits for), and starts one progress thread. A PE that calls exit() from here on, or
 * returns from main, without hearth_finalize() ends the job.
 *
 * HEARTH_* environment variables are read here; the program hearth-info lists them all.
 *
 * @param argc,argv  main's, handed to MPI_Init_thread; may be NULL.
 * @return 0; HEARTH_ESTATE if called twice; HEARTH_EMPI; HEARTH_ENOMEM; HEARTH_ESYS.
 */
int hearth_init(int *argc, char ***argv);

/**
 * Leave: free all regions, stop the progress thread, and finalise MPI if hearth_init() had
 * initialised it. Collective; a barrier. Shared pointers are dead afterwards. Hearth cannot be
 * initialised again.
 */
int hearth_finalize(void);

/** This PE's number, 0..n-1, or HEARTH_ESTATE. */
int hearth_my_pe(void);

/** How many PEs there are, or HEARTH_ESTATE. */
int hearth_n_pes(void);

/* ------------------------------------------------------------------------------------------ */
/* Regions                                                                                    */

/**
 * Create a region. Collective; a barrier.
 *
 * Costs address space, not memory: memory is used by pages that are touched, at their home and
 * where copies are. `bytes` (rounded up to pages) bounds the sum of collective allocations; beside
 * it each PE may have as much again in solo allocations.
 *
 * @param region_out  the handle, set only on success.
 * @param bytes       capacity, at least 1.
 * @param attr        NULL means HEARTH_REGION_ATTR_DEFAULT. HEARTH_PROTOCOL, HEARTH_CONSISTENCY and
 *                    HEARTH_PAGE_BYTES in the environment override it, for comparisons.
 * @return 0; HEARTH_EINVAL (NULL, 0 bytes, page_bytes, home_pe, unknown enum value);
 *         HEARTH_ENOTSUP (update + sequential: an update protocol has no moment at which a write
 *         is seen by all at once); HEARTH_ENOMEM (address range or directory full);
 *         HEARTH_EMISMATCH.
 */
int hearth_region_create(struct hearth_region **region_out, size_t bytes,
                         const struct hearth_region_attr *attr);

/**
 * Destroy a region and all that was allocated from it, on all PEs. Collective; a barrier before and
 * after. The default region cannot be destroyed.
 */
int hearth_region_destroy(struct hearth_region *region);

/**
 * Change a region's protocol and consistency; what is in it stays, its allocations and their homes
 * too. For programs whose phases share in different ways. Collective; a full barrier, like
 * hearth_barrier_all(), for all regions.
 *
 * Between phases: while a PE is in this call, none of its threads may use the region's memory,
 * allocate from it or free. Other regions may be used meanwhile. Copies are dropped, so each PE
 * fetches anew what it touches next; the call takes time for every page that was touched since the
 * region's creation. If nothing changes, it is a full barrier and copies stay.
 *
 * HEARTH_PROTOCOL and HEARTH_CONSISTENCY in the environment win over this call as they do over
 * hearth_region_create(), so that an experiment has one protocol throughout: what they fix stays.
 * Counters go on (hearth_region_stats()). The default region has no handle, and keeps its protocol.
 *
 * @return 0; HEARTH_EINVAL (not a region, unknown enum value); HEARTH_ENOTSUP (update +
 * sequential); HEARTH_EMISMATCH (the PEs disagree). After an error nothing has changed on any PE.
 */
int hearth_region_set_protocol(struct hearth_region *region, enum hearth_protocol protocol,
                               enum hearth_consistency consistency);

/* ------------------------------------------------------------------------------------------ */
/* Memory                                                                                     */

/**
 * Allocate from a region. Collective, symmetric: every PE gets the same pointer. A barrier (but
 * neither acquire nor release).
 *
 * The memory is zero. Aligned to 64 bytes; to a page if at least one page a PE.
 *
 * @return the pointer, or NULL: no room, 0 bytes, or arguments that differ between PEs.
 */
void *hearth_region_malloc(struct hearth_region *region, size_t bytes);

/** hearth_region_malloc() from the default region (HEARTH_HEAP_BYTES, default 32G virtual). */
void *hearth_malloc(size_t bytes);

/** hearth_malloc(count * bytes), refused if that overflows. (All memory is zero at first.) */
void *hearth_calloc(size_t count, size_t bytes);

/**
 * Free what a collective allocation returned. Collective; a full barrier, after which no PE holds
 * a copy and the homes have given whole pages back to the system. NULL is allowed and is still a
 * collective call.
 *
 * @return 0; HEARTH_EADDR (not the start of a live collective allocation: freed twice, solo, or not
 *         ours); HEARTH_EMISMATCH.
 */
int hearth_free(void *ptr);

/**
 * Allocate by one PE alone; no communication. The pointer is valid on every PE, so linked
 * structures pass by reference. The pages' home is the PE that allocates. Thread-safe.
 *
 * The memory is zero, aligned to 16 bytes; to a page from one page up. Another PE must be
 * *synchronised* with before it uses the pointer (lock, barrier), as with any datum.
 *
 * @param region  NULL: the default region.
 */
void *hearth_solo_malloc(struct hearth_region *region, size_t bytes);

/**
 * Free what hearth_solo_malloc() returned, on any one PE. If that is not the allocating PE: a
 * release of what this PE wrote, and one message round trip. NULL is allowed. Thread-safe.
 *
 * @return 0; HEARTH_EADDR (freed twice, not the start of a solo allocation, not ours).
 */
int hearth_solo_free(void *ptr);

/* ------------------------------------------------------------------------------------------ */
/* Synchronisation                                                                            */

/**
 * Wait for all PEs. Collective. A release before and an acquire after: what any PE wrote before the
 * barrier is seen by all after it. Memory outside of shared regions is not touched.
 */
int hearth_barrier_all(void);

/**
 * The bare fences, for programs that synchronise by other means (MPI messages, for example).
 * hearth_release(): on return, a PE that then does an acquire sees all that this PE wrote before.
 * hearth_acquire(): on return, this PE sees what was released before the acquire began. Not
 * collective. Thread-safe: both act for all threads of the PE.
 */
int hearth_acquire(void);
int hearth_release(void); /**< see hearth_acquire() */

/**
 * A lock: a small handle that may lie in shared memory and may be copied; copies are the same lock.
 * The state lives with the PE that called init, off the shared pages.
 */
struct hearth_lock {
    uint64_t handle; /**< 0: not initialised */
};

/** Make a lock, free, homed at this PE. By one PE alone, no communication. Thread-safe.
 *  @return 0; HEARTH_EINVAL; HEARTH_ENOMEM (65,536 locks a PE). */
int hearth_lock_init(struct hearth_lock *lock);

/**
 * Acquire: wait until no one holds the lock, take it, and do an acquire. First come, first served
 * among PEs (a ticket lock; Mellor-Crummey and Scott, ACM TOCS 1991); threads of one PE queue
 * locally first. Not recursive.
 *
 * @return 0; HEARTH_EINVAL (NULL, not a lock, destroyed); HEARTH_EDEADLK (this thread holds it).
 */
int hearth_lock_acquire(const struct hearth_lock *lock);

/** As hearth_lock_acquire(), but returns HEARTH_EBUSY at once if somebody holds the lock. */
int hearth_lock_try(const struct hearth_lock *lock);

/** Do a release, then let the lock go. Any thread of the PE that holds it may.
 *  @return 0; HEARTH_EINVAL; HEARTH_EPERM (this PE does not hold it). */
int hearth_lock_release(const struct hearth_lock *lock);

/** Destroy a free lock and set this handle to 0. By any one PE.
 *  @return 0; HEARTH_EINVAL; HEARTH_EBUSY (held or waited for). */
int hearth_lock_destroy(struct hearth_lock *lock);

/**
 * An atomic 64-bit number, for work queues and bounds. A handle, like struct hearth_lock. Atomic,
 * but orders nothing else: it is neither acquire nor release. Thread-safe.
 */
struct hearth_counter {
    uint64_t handle; /**< 0: not initialised */
};

/** What the calls that return a counter's value return on misuse; not a value to store. */
#define HEARTH_COUNTER_INVALID INT64_MIN

/** Make a counter, homed at this PE. By one PE alone. @return 0; HEARTH_EINVAL; HEARTH_ENOMEM. */
int hearth_counter_init(struct hearth_counter *counter, int64_t value);

/** Add, return the value before (wrapping), or HEARTH_COUNTER_INVALID. */
int64_t hearth_counter_fetch_add(const struct hearth_counter *counter, int64_t addend);

/** The value now, or HEARTH_COUNTER_INVALID. */
int64_t hearth_counter_load(const struct hearth_counter *counter);

/** Set the value. @return 0 or HEARTH_EINVAL. */
int hearth_counter_store(const struct hearth_counter *counter, int64_t value);

/** Destroy and set this handle to 0. By any one PE, when no other uses it any more. */
int hearth_counter_destroy(struct hearth_counter *counter);

/* ------------------------------------------------------------------------------------------ */
/* Facts                                                                                      */

/** The home of the page that ptr points into, a PE; or HEARTH_EADDR if it is in no allocation. */
int hearth_home(const void *ptr);

/**
 * In a HEARTH_SEQUENTIAL region: the PE that may write the page that ptr points into, just now; the
 * home, while several PEs may read it. It may have moved on by the time that you know. A message
 * round trip if this PE is not the home.
 *
 * @return the PE; HEARTH_EADDR; HEARTH_ENOTSUP in a release-consistent region, where pages have a
 *         home and no owner.
 */
int hearth_owner(const void *ptr);

/** What a region has cost this PE so far. Counts since the region's creation. */
struct hearth_stats {
    uint64_t read_misses;   /**< loads that found no copy here */
    uint64_t write_faults;  /**< stores that found the page not writable */
    uint64_t pages_fetched; /**< whole pages brought from their home */
    uint64_t diffs;         /**< pages whose changed bytes were sent at a release */
    uint64_t bytes_out;     /**< page data sent: diffs and updates */
    uint64_t bytes_in;      /**< page data received: fetches and updates */
    uint64_t stale_notices; /**< notices sent: copy s of page p is out of date */
    uint64_t invalidations; /**< copies dropped here because of such a notice */
    uint64_t updates;       /**< pages sent to a subscriber because they changed */
    uint64_t messages;      /**< active messages sent */
    uint64_t releases;      /**< releases that found something to do */
    uint64_t acquires;      /**< acquires that found something to do */
};

/**
 * This PE's counters of a region; NULL: of all regions that ever were, together. Not collective.
 * HEARTH_STATS=1 prints them, summed over PEs, at hearth_finalize().
 */
int hearth_region_stats(const struct hearth_region *region, struct hearth_stats *stats_out);

/** A few words on an error code. Any time, any thread. */
const char *hearth_strerror(int err);

/** The full text of this thread's last error: what, the value, the limit, what to do. Any time. */
const char *hearth_error_message(void);

#ifdef __cplusplus
}
#endif
#endif
