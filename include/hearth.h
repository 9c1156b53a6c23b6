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
 * - Neither the kernel nor MPI takes Hearth's page faults. MPI calls and read(2), write(2) and the
 *   like take shared buffers if the program is linked with libhearth_wrap, as hearthcc and
 * pkg-config do (docs/mpi-and-io.md lists the calls); before others, see hearth_touch(). Signal
 * handlers must not touch shared memory.
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
    HEARTH_EINVAL = -1,    /**< an argument is NULL, out of range or of the wrong kind */
    HEARTH_ENOMEM = -2,    /**< a region, the heap, a lock table or the machine is full */
    HEARTH_ENOTSUP = -3,   /**< a combination that cannot work, or not in this version */
    HEARTH_ESTATE = -4,    /**< before hearth_init(), after hearth_finalize(), or initialised twice;
                                a page that has no home yet */
    HEARTH_EMPI = -5,      /**< an MPI call failed; the message has MPI's own words */
    HEARTH_EMISMATCH = -6, /**< PEs called a collective with different arguments */
    HEARTH_EBUSY = -7,     /**< a lock is held, an object waited for, a semaphore empty */
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
 * round-robin. FIXED: all pages live at home_pe. FIRST_TOUCH: it starts on a page, and each page
 * lives at the PE that reads or writes it first, so a program that initialises in parallel what it
 * then uses in parallel has its data where it is used; the first touch of a page costs each PE two
 * atomics more. Under all but FIXED, allocations smaller than one page a PE are packed together and
 * the pages that they fill are dealt round-robin. hearth_place() moves pages by hand.
 */
enum hearth_placement {
    HEARTH_HOME_BLOCK,
    HEARTH_HOME_CYCLIC,
    HEARTH_HOME_FIXED,
    HEARTH_HOME_FIRST_TOUCH
};

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
 * where copies are; HEARTH_CACHE_BYTES bounds what a PE's copies use. `bytes` (rounded up to pages)
 * bounds the sum of collective allocations; beside it each PE may have as much again in solo
 * allocations.
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
 * Make one PE the home of the pages that `len` bytes from `ptr` on lie in; what is in them stays.
 * For programs that know better than the region's placement who uses what. Collective; a full
 * barrier, like hearth_barrier_all(), for all regions.
 *
 * While a PE is in this call, none of its threads may use these pages. Copies of pages that move
 * are dropped; pages that live there already stay as they are, copies included. The pages at both
 * ends belong to others' data too if the bytes do not begin and end on a page: where two calls meet
 * in a page, the last one counts. It holds until the memory is freed. Costs a transfer of the pages
 * that have been written; best called before there are any.
 *
 * @param ptr,len  within one collective allocation, len at least 1.
 * @param pe       the new home.
 * @return 0; HEARTH_EINVAL (len is 0, no such PE); HEARTH_EADDR (not within one live collective
 *         allocation: solo memory stays with the PE that allocated it); HEARTH_ENOMEM;
 *         HEARTH_EMISMATCH. After an error nothing has changed on any PE.
 */
int hearth_place(void *ptr, size_t len, int pe);

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

/** What a program knows of its next accesses, for hearth_advise(). */
enum hearth_advice {
    HEARTH_WILL_READ = 1,      /**< bring the pages here */
    HEARTH_WILL_WRITE = 2,     /**< bring them here and let them be written without a fault */
    HEARTH_WILL_OVERWRITE = 4, /**< let them be written without bringing them here: see below */
    HEARTH_DONT_NEED = 8       /**< let copies go, as if they had never been here */
};

/**
 * Say what will be done with memory next, in the manner of madvise(2). By any PE, not collective,
 * any thread; neither acquire nor release. But for HEARTH_WILL_OVERWRITE it changes nothing that a
 * program can observe except time: it may be given wrongly, and for memory that others are writing.
 *
 * HEARTH_WILL_READ fetches all pages of the range that are not here, many at a time, where single
 * misses would fetch one after the other. What comes is as fresh as what a miss would bring now: an
 * acquire still drops it if somebody has written it. HEARTH_WILL_WRITE does that (WILL_READ may be
 * given with it) and prepares the pages for writing, at the price of comparing each at the next
 * release, whether it was written or not.
 *
 * HEARTH_WILL_OVERWRITE counts as a write of unspecified values to every byte of the range, by the
 * calling thread, at the time of the call. So the same rules apply as to any write: no other PE
 * may read or write these bytes unless synchronisation orders it. A program that then writes all of
 * them before its next release has lost nothing, and pages that lie wholly in the range need not be
 * fetched; one that does not finds in each byte that it left out either what it had written there,
 * or zero, or a value that the byte had at some time: which, and whether all PEs find the same one
 * before it is written again, is not specified. Bytes outside of the range are safe. Fetches are
 * saved under write-invalidate with release consistency; elsewhere it is HEARTH_WILL_WRITE.
 *
 * HEARTH_DONT_NEED gives up copies of pages that lie wholly in the range, and sends what this PE
 * has written on them home first. The home's own pages stay, and so does every byte.
 *
 * In a HEARTH_SEQUENTIAL region pages are brought one after another.
 *
 * @param ptr,len  any bytes of allocations of one region; 0 bytes: nothing happens.
 * @param advice   one enum hearth_advice, or HEARTH_WILL_READ | HEARTH_WILL_WRITE.
 * @return 0; HEARTH_EINVAL (no advice, an unknown bit, a contradiction); HEARTH_EADDR (not shared
 *         memory, or some of it is in no allocation; then nothing was done).
 */
int hearth_advise(const void *ptr, size_t len, unsigned advice);

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

/**
 * A barrier of some: whoever waits goes on when n have come, whichever PEs and threads they are;
 * then it starts anew. A handle, like struct hearth_lock; copies are the same barrier, and all must
 * say the same n. A release before and an acquire after. Thread-safe.
 */
struct hearth_barrier {
    uint64_t handle; /**< 0: not initialised */
    uint32_t n;      /**< how many arrivals it waits for */
};

/** Make a barrier, homed at this PE. By one PE alone, no communication.
 *  @return 0; HEARTH_EINVAL (NULL, n is 0); HEARTH_ENOMEM (65,536 barriers, condition variables and
 *          semaphores together a PE). */
int hearth_barrier_init(struct hearth_barrier *barrier, uint32_t n);

/** Do a release, wait until n have come, this call included, and do an acquire.
 *  @return 0; HEARTH_EINVAL (NULL, not a barrier, destroyed, n is 0). */
int hearth_barrier_wait(const struct hearth_barrier *barrier);

/** Destroy and set this handle to 0. By any one PE, when no other will use it any more; one whose
 *  wait is over may, though others are still on their way out.
 *  @return 0; HEARTH_EINVAL; HEARTH_EBUSY (somebody waits). */
int hearth_barrier_destroy(struct hearth_barrier *barrier);

/**
 * A condition variable, used with a lock as in POSIX. A handle, like struct hearth_lock. First
 * come, first served. After a wake-up the lock is taken anew, and others may have had it before: so
 * wait in a loop, `while (!condition) hearth_cond_wait(&cond, &lock)`. What is written with the
 * lock held is seen by who holds it next: acquire and release are the lock's. Thread-safe.
 */
struct hearth_cond {
    uint64_t handle; /**< 0: not initialised */
};

/** Make a condition variable, homed at this PE. By one PE alone, no communication.
 *  @return 0; HEARTH_EINVAL; HEARTH_ENOMEM (as hearth_barrier_init()). */
int hearth_cond_init(struct hearth_cond *cond);

/**
 * Release the lock, wait for a signal or broadcast that is later, and acquire the lock again. Who
 * signals with the lock held, or after having held it, is later than who waited before.
 *
 * @return 0; HEARTH_EINVAL (NULL, not a condition variable or lock, destroyed); HEARTH_EPERM (this
 *         PE does not hold the lock). After an error the lock is as it was, unless it was destroyed
 *         meanwhile.
 */
int hearth_cond_wait(const struct hearth_cond *cond, const struct hearth_lock *lock);

/** Wake the one who has waited longest, if anybody waits: a signal is not remembered. Neither
 *  acquire nor release. With the lock held or not. @return 0 or HEARTH_EINVAL. */
int hearth_cond_signal(const struct hearth_cond *cond);

/** Wake all who wait. As hearth_cond_signal(). */
int hearth_cond_broadcast(const struct hearth_cond *cond);

/** Destroy and set this handle to 0. By any one PE, when no other will use it any more.
 *  @return 0; HEARTH_EINVAL; HEARTH_EBUSY (somebody waits). */
int hearth_cond_destroy(struct hearth_cond *cond);

/**
 * A counting semaphore: a number of permits, which remembers a post that comes before the wait. A
 * handle, like struct hearth_lock. First come, first served. A post is a release and a wait an
 * acquire: who goes on sees what was written before the post that let it. Thread-safe.
 */
struct hearth_sema {
    uint64_t handle; /**< 0: not initialised */
};

/** The most permits that a semaphore has. */
#define HEARTH_SEMA_MAX 0x7fffffffu

/** Make a semaphore with some permits, homed at this PE. By one PE alone, no communication.
 *  @return 0; HEARTH_EINVAL (NULL, more than HEARTH_SEMA_MAX); HEARTH_ENOMEM (as
 *          hearth_barrier_init()). */
int hearth_sema_init(struct hearth_sema *sema, uint32_t permits);

/** Do a release, then add a permit, or let the one go on who has waited longest.
 *  @return 0; HEARTH_EINVAL (also: it has HEARTH_SEMA_MAX permits). */
int hearth_sema_post(const struct hearth_sema *sema);

/** Wait for a permit, take it, and do an acquire. @return 0 or HEARTH_EINVAL. */
int hearth_sema_wait(const struct hearth_sema *sema);

/** As hearth_sema_wait(), but returns HEARTH_EBUSY at once if there is no permit. */
int hearth_sema_try(const struct hearth_sema *sema);

/** Destroy and set this handle to 0. By any one PE, when no other will use it any more.
 *  @return 0; HEARTH_EINVAL; HEARTH_EBUSY (somebody waits). */
int hearth_sema_destroy(struct hearth_sema *sema);

/* ------------------------------------------------------------------------------------------ */
/* Calls that cannot fault                                                                    */

/** What hearth_touch() makes memory ready for. */
#define HEARTH_TOUCH_READ  1u
#define HEARTH_TOUCH_WRITE 2u

/**
 * Make memory accessible to this PE, as loads and stores to each page would, but that no byte
 * changes: for calls that are handed shared memory and cannot take a page fault, such as system
 * calls that libhearth_wrap does not know. Thread-safe.
 *
 * How long it stays so: in release-consistent regions until this PE next releases (pages that were
 * made writable can then be read only) or acquires (copies may be dropped), whichever thread does
 * it. In HEARTH_SEQUENTIAL regions until another PE uses the page, which may be at once. So where
 * other threads synchronise, or the region is sequential, be ready for EFAULT: touch again and
 * repeat a call that can be repeated, or copy through private memory, which always works.
 *
 * @param access  HEARTH_TOUCH_READ, HEARTH_TOUCH_WRITE or both.
 * @return 0, also for private memory and len 0; HEARTH_EINVAL (access); HEARTH_EADDR (not within
 *         the allocations of one region).
 */
int hearth_touch(const void *ptr, size_t len, unsigned access);

/* ------------------------------------------------------------------------------------------ */
/* Facts                                                                                      */

/**
 * The home of the page that ptr points into, a PE. With HEARTH_HOME_FIRST_TOUCH and a page that
 * this PE has not touched, one atomic at another PE; it is not a touch.
 *
 * @return the PE; HEARTH_EADDR if ptr is in no allocation; HEARTH_ESTATE if nobody has touched the
 *         page yet, and it is to live where it is touched first.
 */
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
    uint64_t evictions;     /**< pages whose memory was given back, for HEARTH_CACHE_BYTES mostly */
    uint64_t pages_ahead;   /**< of the pages fetched: before they were touched */
    uint64_t ahead_unused;  /**< times that the last page of those fetched together was dropped
                                 without having been touched */
    uint64_t refreshes;     /**< of the pages fetched: copies that an acquire found out of date and
                                 brought up to date where they are, instead of dropping them */
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
