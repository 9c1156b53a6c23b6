/* SPDX-License-Identifier: BSD-3-Clause */
/* A fault is served by the thread that faulted, here, in the signal handler: the protocol runs to
 * the end, MPI calls and all, with no hand-over to another thread (that would cost two context
 * switches, and a get costs under a microsecond). This is sound because the signal is synchronous:
 * it interrupts a load or store of the program, never the library or malloc, which do not touch
 * shared memory through the view; and code that does touch it with MPI's locks held, MPI itself, is
 * found and reported. */
#include "fault.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "api.h"
#include "log.h"
#include "region.h"

_Thread_local int hth_inside;
_Thread_local bool hth_copying;

static struct sigaction before_segv, before_bus;
static _Atomic bool forked; /* we are a child: it has no shared memory */

/* Text of the program, and of MPI's libraries. */
struct text {
    uintptr_t start, end;
};
static struct text program;
static struct text mpi_texts[64];
static int n_mpi_texts;

/* --- who faulted --- */

static int note_text(struct dl_phdr_info *info, size_t size, void *first)
{
    (void)size;
    struct text text = {UINTPTR_MAX, 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0) {
            uintptr_t start = info->dlpi_addr + p->p_vaddr;
            text.start = start < text.start ? start : text.start;
            text.end = start + p->p_memsz > text.end ? start + p->p_memsz : text.end;
        }
    }
    static const char *const names[] = {"libmpi",   "libopen-rte", "libopen-pal", "mca_",
                                        "libmpich", "libpmix",     "libucp",      "libuct"};
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;
    if (*(bool *)first) {
        program = text;
        *(bool *)first = false;
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(name, names[i], strlen(names[i])) == 0 && n_mpi_texts < 64) {
            mpi_texts[n_mpi_texts++] = text;
            break;
        }
    }
    return 0;
}

static bool in_mpi_text(uintptr_t address)
{
    for (int i = 0; i < n_mpi_texts; i++) {
        if (address >= mpi_texts[i].start && address < mpi_texts[i].end) {
            return true;
        }
    }
    return false;
}

static uintptr_t program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

static uintptr_t stack_pointer(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.sp;
#else
    (void)context;
    return 0;
#endif
}

/* Was MPI, or something that it called, at the faulting instruction? A fault from the program's own
 * text costs two comparisons. One from a library (memcpy, say) costs a look at the top of the stack
 * for anything that may be a return address into MPI; only then is the stack unwound. */
static bool called_by_mpi(const ucontext_t *context)
{
    uintptr_t pc = program_counter(context);
    if (hth_copying || (pc >= program.start && pc < program.end)) {
        return false;
    }
    if (in_mpi_text(pc)) {
        return true;
    }
    uintptr_t words[256];
    /* Read by the kernel, since nothing says how much stack there is above us. */
    struct iovec to = {words, sizeof words};
    struct iovec from = {(void *)stack_pointer(context), sizeof words};
    ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    bool suspicious = false;
    for (ssize_t i = 0; i < n / (ssize_t)sizeof words[0] && !suspicious; i++) {
        suspicious = in_mpi_text(words[i]);
    }
    if (!suspicious) {
        return false;
    }
    void *frames[48];
    int depth = backtrace(frames, 48);
    for (int i = 0; i < depth; i++) {
        if (in_mpi_text((uintptr_t)frames[i])) {
            return true;
        }
    }
    return false;
}

static bool is_write(const ucontext_t *context, const struct hth_page *page)
{
#if defined(__x86_64__)
    (void)page;
    return (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
    /* A page that can be read faults for a write only; of others, the read comes first and
     * the write faults again. */
    (void)context;
    return page != NULL &&
           (hth_page_state(page) == HTH_PAGE_CLEAN || hth_page_state(page) == HTH_PAGE_TRACKED);
#endif
}

/* --- faults that are not ours --- */

/* Hand a fault to whoever had the signal before us. */
static void pass_on(int signal_number, siginfo_t *info, void *context)
{
    struct sigaction *before = signal_number == SIGBUS ? &before_bus : &before_segv;
    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(signal_number, info, context);
        return;
    }
    if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signal_number);
        return;
    }
    if (before->sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* sent by kill, and ignored */
    }
    /* The default action, as if we had never been: the instruction faults again, with its own
     * address in the core file. A signal that was sent must be sent again. */
    struct sigaction defaults = {.sa_handler = SIG_DFL};
    sigaction(signal_number, &defaults, NULL);
    if (info->si_code <= 0) {
        raise(signal_number);
    }
}

/* --- faults that cannot be served --- */

static const char *verb(bool write)
{
    return write ? "write to" : "read of";
}

static _Noreturn void die_nowhere(const void *address, bool write)
{
    const struct hearth_region *near = hth_region_near(address);
    if (near == NULL) {
        hth_die("%s %p, an address of Hearth's range where there is no region", verb(write),
                address);
    }
    const uint8_t *base = hth_region_base(near), *at = address;
    bool below = at < base;
    hth_die("%s %p, which is in no region; the nearest is '%s', %p to %p, %llu bytes %s",
            verb(write), address, near->name, (const void *)base, (const void *)(base + near->span),
            (unsigned long long)(below ? base - at : at - (base + near->span)),
            below ? "above" : "below");
}

static _Noreturn void die_unallocated(const struct hearth_region *region, const void *address,
                                      bool write)
{
    const uint8_t *base = hth_region_base(region), *at = address;
    uint64_t offset = (uint64_t)(at - base);
    bool past = offset >= region->bytes && offset < region->collective_bytes + (UINT64_C(1) << 20);
    hth_die("%s %p, byte %llu of region '%s' (%p, %llu bytes), which %s", verb(write), address,
            (unsigned long long)offset, region->name, (const void *)base,
            (unsigned long long)region->bytes,
            past ? "is past the region's end" : "is in no allocation");
}

bool hth_fault_is_allocated(struct hearth_region *region, uint64_t page)
{
    const struct hth_homes *homes = &region->homes;
    if (__atomic_load_n(&region->core.pages[page].home_plus_1, __ATOMIC_RELAXED) != 0) {
        return true;
    }
    if (page < homes->collective_pages) {
        return hth_homes_lookup(&region->homes, page) != HTH_HOME_NONE;
    }
    uint64_t in_share = (page - homes->collective_pages) % homes->solo_pages;
    return in_share >= homes->solo_pages - region->solo_bytes / region->core.page_bytes;
}

static void serve(int signal_number, void *address, const ucontext_t *context)
{
    struct hearth_region *region = hth_region_at(address);
    bool write = is_write(context, NULL);
    if (signal_number != hth_vm_fault_signal()) { /* on_fault: SIGBUS, and mprotect */
        hth_die("%s %p: out of memory (SIGBUS): this machine has none left for a page", verb(write),
                address);
    }
    if (region == NULL) {
        die_nowhere(address, write);
    }
    uint64_t page =
        (uint64_t)((uint8_t *)address - hth_region_base(region)) / region->core.page_bytes;
    write = is_write(context, &region->core.pages[page]);
    if (hth_inside > 0) {
        hth_die(
            "%s %p in region '%s' from within Hearth: most likely shared memory was passed to an "
            "MPI call that libhearth_wrap does not know of. Link libhearth_wrap if the program "
            "was linked without; else call hearth_touch before, or copy through private memory",
            verb(write), address, region->name);
    }
    if (!hth_fault_is_allocated(region, page)) {
        die_unallocated(region, address, write);
    }
    if (called_by_mpi(context)) {
        hth_die(
            "%s %p in region '%s' from within MPI: shared memory was passed to an MPI call that "
            "libhearth_wrap does not know of. Link libhearth_wrap if the program was linked "
            "without; else call hearth_touch before, or copy through private memory",
            verb(write), address, region->name);
    }
    /* A call that reads its argument from shared memory may be what faulted, and goes on after. */
    struct hth_calling before = hth_calling;
    hth_calling = (struct hth_calling){write ? "a write" : "a read", address};
    hth_enter();
    hth_vm_serving(address);
    hth_coherence_fault(&hth_job.coherence, &region->core, page, write);
    hth_vm_serving(NULL);
    hth_leave();
    hth_calling = before;
}

/* Other faults on the view are the program's: with userfaultfd, whose faults are SIGBUS, a jump
 * into shared memory (SIGSEGV); memory that is broken (BUS_MCEERR_*). */
static bool can_be_ours(int signal_number, int code)
{
    return signal_number == SIGBUS ? code == BUS_ADRERR : hth_vm_fault_signal() == SIGSEGV;
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    void *address = hth_vm_canonical(info->si_addr);
    bool ours = info->si_code > 0 && hth_vm_has(address) &&
                can_be_ours(signal_number, info->si_code) &&
                !atomic_load_explicit(&forked, memory_order_relaxed);
    if (ours) {
        serve(signal_number, address, context);
    } else {
        pass_on(signal_number, info, context);
    }
    errno = saved_errno;
}

/* --- starting --- */

static void in_child(void)
{
    atomic_store_explicit(&forked, true, memory_order_relaxed);
}

static int install(int signal_number, struct sigaction *before)
{
    sigaction(signal_number, NULL, before);
    /* NODEFER: a fault in the handler must reach the handler, to be named. An alternate stack is
     * used if the program's handler did: only then has it made one large enough. */
    struct sigaction ours = {.sa_sigaction = on_fault,
                             .sa_flags = SA_SIGINFO | SA_NODEFER | (before->sa_flags & SA_ONSTACK)};
    ours.sa_mask = before->sa_mask;
    if (sigaction(signal_number, &ours, NULL) != 0) {
        return hth_error(HEARTH_ESYS, "sigaction: %s", strerror(errno));
    }
    return HEARTH_OK;
}

int hth_fault_start(void)
{
    bool first = true;
    dl_iterate_phdr(note_text, &first);
    pthread_atfork(NULL, NULL, in_child);
    int rc = install(SIGSEGV, &before_segv);
    return rc != HEARTH_OK ? rc : install(SIGBUS, &before_bus);
}

void hth_fault_stop(void)
{
    sigaction(SIGSEGV, &before_segv, NULL);
    sigaction(SIGBUS, &before_bus, NULL);
}
