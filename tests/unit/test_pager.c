/* SPDX-License-Identifier: BSD-3-Clause */
/* Both pagers, on an address range of their own: what a view allows, what it forbids, and that no
 * byte is lost, with one thread and with four. A page's fault is served as a protocol would: by one
 * thread at a time, from what the page's entry says. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "unit.h"
#include "vm/vm.h"

enum { PAGES = 64, THREADS = 4, CYCLES = 20000, TURNS = 5000 };

static uint64_t page_bytes;
static enum hth_pager_choice which;

static struct {
    atomic_flag busy;   /* guards view; held by who changes it, or looks at the frame meanwhile */
    enum hth_view view; /* what the page may be made to by its next fault, or less */
} entries[PAGES];
static _Atomic unsigned n_faults;
static _Atomic bool stray; /* a fault that was none of ours */
static _Thread_local const void *last_address;

static void lock(unsigned page)
{
    while (atomic_flag_test_and_set_explicit(&entries[page].busy, memory_order_acquire))
        sched_yield();
}

static void unlock(unsigned page)
{
    atomic_flag_clear_explicit(&entries[page].busy, memory_order_release);
}

static void set(unsigned page, unsigned n, enum hth_view view)
{
    hth_vm_protect(page * page_bytes, n * page_bytes, view);
    for (unsigned i = page; i < page + n; i++)
        entries[i].view = view;
}

static bool is_write(const ucontext_t *context, unsigned page)
{
#if defined(__x86_64__)
    (void)page;
    return (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
    (void)context;
    return entries[page].view != HTH_VIEW_NONE;
#endif
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    if (number != hth_vm_fault_signal() || !hth_vm_has(info->si_addr)) {
        atomic_store(&stray, true);
        signal(number, SIG_DFL);
        return;
    }
    unsigned page = (unsigned)((uint64_t)((uint8_t *)info->si_addr - hth_vm.view) / page_bytes);
    atomic_fetch_add(&n_faults, 1);
    last_address = info->si_addr;
    lock(page);
    hth_vm_serving(info->si_addr);
    enum hth_view view = is_write(context, page) ? HTH_VIEW_WRITE : HTH_VIEW_READ;
    set(page, 1, view > entries[page].view ? view : entries[page].view);
    hth_vm_serving(NULL);
    unlock(page);
    errno = saved_errno;
}

static struct sigaction before_segv, before_bus;

/* False: this machine has not what it takes; said, and no failure. */
static bool begin(void)
{
    char why[256];
    uintptr_t base;
    uint64_t bytes;
    page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    bool reserved = false;
    for (unsigned i = 0; !reserved && hth_vm_candidate(i, PAGES * page_bytes, &base, &bytes); i++)
        reserved = hth_vm_reserve(base, bytes);
    CU_ASSERT_FATAL(reserved && hth_vm_map_alias() == 0);
    if (!hth_vm_start_pager(which, why, sizeof why)) {
        printf("(skipped: %s) ", why);
        hth_vm_release();
        return false;
    }
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &ours, &before_segv);
    sigaction(SIGBUS, &ours, &before_bus);
    for (unsigned i = 0; i < PAGES; i++)
        entries[i].view = HTH_VIEW_NONE;
    atomic_store(&n_faults, 0);
    return true;
}

static void end(void)
{
    sigaction(SIGSEGV, &before_segv, NULL);
    sigaction(SIGBUS, &before_bus, NULL);
    CU_ASSERT(!atomic_load(&stray));
    hth_vm_release();
}

static volatile uint8_t *view_of(unsigned page)
{
    return hth_vm.view + page * page_bytes;
}

static volatile uint8_t *alias_of(unsigned page)
{
    return hth_vm.alias + page * page_bytes;
}

/* Faults since the last call. */
static unsigned faults(void)
{
    return atomic_exchange(&n_faults, 0);
}

/* None, read, write, read, none, with the alias written between. */
static void cycles(void)
{
    bool ok = true;
    if (!begin())
        return;
    for (unsigned i = 0; i < CYCLES && ok; i++) {
        unsigned page = i % PAGES, at = i * 7 % (unsigned)page_bytes;
        alias_of(page)[at] = (uint8_t)i;
        HTH_EXPECT(ok, view_of(page)[at] == (uint8_t)i && faults() == 1);
        HTH_EXPECT(ok, last_address == (const void *)(uintptr_t)&view_of(page)[at]);
        HTH_EXPECT(ok, view_of(page)[at] == (uint8_t)i && faults() == 0);
        view_of(page)[at] = (uint8_t)(i + 1);
        HTH_EXPECT(ok, alias_of(page)[at] == (uint8_t)(i + 1) && faults() == 1);
        set(page, 1, HTH_VIEW_READ);
        alias_of(page)[at] = (uint8_t)(i + 2);
        HTH_EXPECT(ok, view_of(page)[at] == (uint8_t)(i + 2) && faults() == 0);
        view_of(page)[at] = (uint8_t)(i + 3);
        HTH_EXPECT(ok, alias_of(page)[at] == (uint8_t)(i + 3) && faults() == 1);
        set(page, 1, HTH_VIEW_NONE);
        HTH_EXPECT(ok, alias_of(page)[at] == (uint8_t)(i + 3) && faults() == 0);
    }
    CU_ASSERT(ok);
    end();
}

/* Several pages at once, some mapped already, some without a frame; faults in the middle. */
static void runs(void)
{
    bool ok = true;
    if (!begin())
        return;
    alias_of(3)[0] = 3;
    alias_of(9)[0] = 9;
    set(0, PAGES, HTH_VIEW_WRITE); /* frames come as they are touched */
    view_of(5)[1] = 5;
    HTH_EXPECT(ok, alias_of(5)[1] == 5 && view_of(3)[0] == 3 && view_of(9)[0] == 9);
    HTH_EXPECT(ok, view_of(7)[0] == 0);
    set(2, 10, HTH_VIEW_READ);
    faults();
    for (unsigned i = 2; i < 12; i++) {
        unsigned was = atomic_load(&n_faults);
        HTH_EXPECT(ok, view_of(i)[0] == (i == 3 || i == 9 ? i : 0));
        view_of(i)[2] = (uint8_t)i;
        HTH_EXPECT(ok, alias_of(i)[2] == i && atomic_load(&n_faults) > was);
    }
    set(0, PAGES, HTH_VIEW_NONE);
    faults();
    for (unsigned i = 2; i < 12; i++)
        HTH_EXPECT(ok, view_of(i)[2] == i);
    HTH_EXPECT(ok, faults() == 10);
    CU_ASSERT(ok);
    end();
}

/* A coherence unit of many system pages, one of which has lost its mapping: a fault there must be
 * served for good, though others of it are mapped. */
static void wanted(void)
{
    bool ok = true;
    if (!begin())
        return;
    for (int view = HTH_VIEW_READ; view <= HTH_VIEW_WRITE; view++) {
        for (unsigned lost = 0; lost < 16; lost++) {
            set(0, 16, HTH_VIEW_NONE);
            memset((void *)(uintptr_t)alias_of(0), (int)lost, 16 * page_bytes);
            set(0, 16, (enum hth_view)view);
            hth_vm_protect(lost * page_bytes, page_bytes, HTH_VIEW_NONE); /* as reclaim does */
            if (lost % 2 == 1)
                hth_vm_punch(lost * page_bytes, page_bytes);
            hth_vm_serving((const void *)(uintptr_t)view_of(lost));
            hth_vm_protect(0, 16 * page_bytes, (enum hth_view)view);
            hth_vm_serving(NULL);
            faults();
            HTH_EXPECT(ok, view_of(lost)[0] == (lost % 2 == 1 ? 0 : lost) && faults() == 0);
        }
    }
    CU_ASSERT(ok);
    end();
}

static void given_back(void)
{
    bool ok = true;
    if (!begin())
        return;
    for (unsigned i = 0; i < PAGES; i++)
        view_of(i)[i] = 1;
    hth_vm_punch(0, PAGES * page_bytes);
    for (unsigned i = 0; i < PAGES; i++) {
        HTH_EXPECT(ok, view_of(i)[i] == 0);
        view_of(i)[i] = 2;
        HTH_EXPECT(ok, alias_of(i)[i] == 2);
    }
    CU_ASSERT(ok);
    end();
}

static _Atomic bool threads_ok;
static unsigned turns;
static bool upwards; /* the threads go through the pages in order */

/* Each thread counts in a byte of its own on every page, by the view, while all of them take views
 * away; and while one holds a page with view read or none, its frame must not change. */
static void *work(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, expected[PAGES] = {0};
    struct hth_rng rng = hth_rng_of(900 + me);
    bool ok = true;
    for (unsigned turn = 0; turn < turns; turn++) {
        unsigned page = upwards ? turn % PAGES : (unsigned)hth_rng_below(&rng, PAGES);
        volatile uint8_t *mine = view_of(page) + me;
        ok = ok && *mine == (uint8_t)expected[page];
        *mine = (uint8_t)++expected[page];
        if (hth_rng_below(&rng, 3) != 0)
            continue;
        page = (unsigned)hth_rng_below(&rng, PAGES);
        uint8_t frame[THREADS], again[THREADS];
        lock(page);
        enum hth_view view = hth_rng_below(&rng, 2) == 0 ? HTH_VIEW_NONE : HTH_VIEW_READ;
        if (view < entries[page].view)
            set(page, 1, view);
        if (entries[page].view != HTH_VIEW_WRITE) {
            memcpy(frame, (void *)(uintptr_t)alias_of(page), THREADS);
            sched_yield();
            memcpy(again, (void *)(uintptr_t)alias_of(page), THREADS);
            ok = ok && memcmp(frame, again, THREADS) == 0;
        }
        unlock(page);
    }
    for (unsigned page = 0; page < PAGES; page++)
        ok = ok && alias_of(page)[me] == (uint8_t)expected[page];
    if (!ok)
        atomic_store(&threads_ok, false);
    return NULL;
}

static void run_threads(void)
{
    pthread_t ids[THREADS];
    atomic_store(&threads_ok, true);
    for (uintptr_t i = 0; i < THREADS; i++)
        CU_ASSERT_FATAL(pthread_create(&ids[i], NULL, work, (void *)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    CU_ASSERT(atomic_load(&threads_ok));
}

static void threads(void)
{
    if (!begin())
        return;
    turns = TURNS;
    upwards = false;
    run_threads();
    end();
}

/* The same on new memory, each time, which was made writable before it is touched: what comes with
 * the page that is touched must not come after it was taken away. */
static void fresh(void)
{
    if (!begin())
        return;
    turns = PAGES;
    upwards = true;
    for (unsigned round = 0; round < 200; round++) {
        set(0, PAGES, HTH_VIEW_NONE);
        hth_vm_punch(0, PAGES * page_bytes);
        set(0, PAGES, HTH_VIEW_WRITE);
        run_threads();
    }
    /* One fault for the first page, one for the second, one for each 64 KiB more. */
    set(0, PAGES, HTH_VIEW_NONE);
    hth_vm_punch(0, PAGES * page_bytes);
    set(0, PAGES, HTH_VIEW_WRITE);
    faults();
    for (unsigned i = 0; i < PAGES; i++)
        view_of(i)[0] = 1;
    CU_ASSERT(faults() <= 2 + PAGES * page_bytes / 65536);
    end();
}

/* Memory that is had before it is written: up to where there is some, whose bytes stay. */
static void populated(void)
{
    if (!begin())
        return;
    uint64_t all = PAGES * page_bytes, kept = PAGES / 2 * page_bytes;
    hth_vm_punch(0, all);
    CU_ASSERT(hth_vm_next_used(0, all) == all);
    alias_of(PAGES / 2)[3] = 7;
    CU_ASSERT(hth_vm_next_used(0, all) == kept);
    hth_vm_populate(0, all);
    CU_ASSERT(hth_vm_next_used(0, all) == 0);
    CU_ASSERT(hth_vm_next_used(kept - page_bytes, all) == kept - page_bytes);
    CU_ASSERT(alias_of(PAGES / 2)[3] == 7);
    CU_ASSERT(hth_vm_next_used(kept + page_bytes, all) == all);
    hth_vm_populate(0, all); /* there is some: nothing is done */
    CU_ASSERT(hth_vm_next_used(kept + page_bytes, all) == all);
    hth_vm_populate(kept + page_bytes, all - kept - page_bytes);
    CU_ASSERT(hth_vm_next_used(all - page_bytes, all) == all - page_bytes);
    for (unsigned i = 0; i < PAGES; i++)
        CU_ASSERT(view_of(i)[3] == (i == PAGES / 2 ? 7 : 0));
    end();
}

static void with(enum hth_pager_choice pager, void (*test)(void))
{
    which = pager;
    test();
}

#define BOTH(test)                                                                                 \
    static void test##_mprotect(void)                                                              \
    {                                                                                              \
        with(HTH_PAGER_MPROTECT, test);                                                            \
    }                                                                                              \
    static void test##_userfaultfd(void)                                                           \
    {                                                                                              \
        with(HTH_PAGER_USERFAULTFD, test);                                                         \
    }
BOTH(cycles)
BOTH(runs)
BOTH(wanted)
BOTH(given_back)
BOTH(threads)
BOTH(fresh)
BOTH(populated)

void hth_suite_pager(void);
void hth_suite_pager(void)
{
    static const struct hth_unit_test tests[] = {
        {"cycles, mprotect", cycles_mprotect},
        {"cycles, userfaultfd", cycles_userfaultfd},
        {"runs of pages, mprotect", runs_mprotect},
        {"runs of pages, userfaultfd", runs_userfaultfd},
        {"a large page half mapped, mprotect", wanted_mprotect},
        {"a large page half mapped, userfaultfd", wanted_userfaultfd},
        {"memory given back, mprotect", given_back_mprotect},
        {"memory given back, userfaultfd", given_back_userfaultfd},
        {"four threads, mprotect", threads_mprotect},
        {"four threads, userfaultfd", threads_userfaultfd},
        {"four threads, new memory, mprotect", fresh_mprotect},
        {"four threads, new memory, userfaultfd", fresh_userfaultfd},
        {"memory had at once, mprotect", populated_mprotect},
        {"memory had at once, userfaultfd", populated_userfaultfd},
    };
    hth_unit_register("pager", tests, sizeof tests / sizeof tests[0]);
}
