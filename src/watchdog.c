/* SPDX-License-Identifier: BSD-3-Clause */
#include "watchdog.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "alarm.h"
#include "api.h"
#include "ask.h"
#include "handle.h"
#include "log.h"
#include "net/comm.h"
#include "region.h"
#include "sync.h"

#define ANSWER_NS     UINT64_C(1000000000) /* how long others may take to say what they know */
#define SETTLE_NS     UINT64_C(200000000)  /* how long threads may take to see a SIGUSR2 */
#define ASKED_AT_ONCE 256                  /* PEs: each question takes a message buffer */
#define NAMES_MAX     8                    /* PEs named in a list; of the others, the number */
#define SECOND_NS     UINT64_C(1000000000)
#define DAY_SECONDS   86400
#define SILENT        "no answer (stopped, gone, or stuck in MPI) from"

static uint64_t patience_ns; /* 0: without end */

/* SIGUSR2 raises `requests`; the threads that wait answer it, once each; then the progress thread
 * answers if none did, and settles it. None of them guards other data: relaxed. */
static _Atomic uint32_t requests, answered, settled;
static _Thread_local uint32_t my_answer;
static _Thread_local bool explaining; /* the explanation waits for answers: not to be explained */

/* --- a line --- */

struct line {
    char text[900];
    size_t len;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line->text + line->len, sizeof line->text - line->len, format, args);
    va_end(args);
    line->len += n > 0 ? (size_t)n : 0;
    line->len = line->len < sizeof line->text ? line->len : sizeof line->text - 1;
}

/* PEs that something is true of, as "; held by PE 1, PE 2". */
struct list {
    struct line *line;
    const char *head;
    int n;
};

static void add_pe(struct list *list, int pe)
{
    if (list->n == 0) {
        add(list->line, "; %s PE %d", list->head, pe);
    } else if (list->n < NAMES_MAX) {
        add(list->line, ", PE %d", pe);
    }
    list->n++;
}

static void end_list(struct list *list)
{
    if (list->n > NAMES_MAX) {
        add(list->line, " and %d more", list->n - NAMES_MAX);
    }
}

/* --- what other PEs know --- */

struct inquiry {
    int64_t than;                                /* what the answers are compared with */
    bool (*counts)(int64_t value, int64_t than); /* is this PE to be named? */
    struct line named, silent;
    struct list named_list, silent_list;
};

static void take(void *arg, int pe, bool here, int64_t value)
{
    struct inquiry *inquiry = arg;
    if (!here) {
        add_pe(&inquiry->silent_list, pe);
    } else if (inquiry->counts(value, inquiry->than)) {
        add_pe(&inquiry->named_list, pe);
    }
}

/* Ask all PEs, and name those whose answer counts, and those that give none. How many counted. */
static int inquire(struct line *line, enum hth_question question, uint64_t about, const char *head,
                   bool (*counts)(int64_t value, int64_t than), int64_t than)
{
    struct inquiry inquiry = {.than = than, .counts = counts};
    inquiry.named_list = (struct list){&inquiry.named, head, 0};
    inquiry.silent_list = (struct list){&inquiry.silent, SILENT, 0};
    for (int first = 0, n = hth_comm_n_pes(); first < n; first += ASKED_AT_ONCE) {
        int some = n - first < ASKED_AT_ONCE ? n - first : ASKED_AT_ONCE;
        hth_ask_each(first, some, question, about, 0, ANSWER_NS, take, &inquiry);
    }
    end_list(&inquiry.named_list);
    end_list(&inquiry.silent_list);
    add(line, "%s%s", inquiry.named.text, inquiry.silent.text);
    return inquiry.named_list.n + inquiry.silent_list.n;
}

static bool fewer(int64_t value, int64_t than)
{
    return value < than;
}

static bool same(int64_t value, int64_t than)
{
    return value == than;
}

static bool never(int64_t value, int64_t than)
{
    (void)value;
    (void)than;
    return false;
}

static int64_t answer_begun(uint64_t a, uint64_t b)
{
    (void)a;
    (void)b;
    return (int64_t)hth_comm_begun();
}

static int64_t answer_holds(uint64_t handle, uint64_t b)
{
    (void)b;
    return hth_lock_is_held(handle);
}

static int64_t answer_object(uint64_t handle, uint64_t b)
{
    (void)b;
    return hth_object_peek(handle);
}

/* --- what is waited for --- */

static const char *state_name(const struct hth_region *region, uint64_t page, bool home)
{
    switch (hth_page_state(&region->pages[page])) {
    case HTH_PAGE_INVALID: /* EXCLUSIVE at the home */
        return home ? "exclusive" : "invalid";
    case HTH_PAGE_CLEAN:
        return "clean";
    case HTH_PAGE_DIRTY:
        return "dirty";
    case HTH_PAGE_TRACKED:
        return "tracked";
    case HTH_PAGE_WRITTEN:
        return "written";
    case HTH_PAGE_OWNED:
        return "owned";
    case HTH_PAGE_AWAY:
        return "away";
    }
    return "in no state";
}

static int home_of(const struct hth_region *region, uint64_t page)
{
    return __atomic_load_n(&region->pages[page].home_plus_1, __ATOMIC_RELAXED) - 1;
}

static void add_page(struct line *line, const struct hth_region *core, uint64_t page)
{
    const struct hearth_region *region = (const struct hearth_region *)core; /* its first member */
    int home = home_of(core, page);
    add(line, "page %llu (from %p) of region '%s', %s here, ", (unsigned long long)page,
        (const void *)(hth_region_base(region) + page * core->page_bytes), region->name,
        state_name(core, page, home == core->my_pe));
    if (home >= 0) {
        add(line, "home PE %d", home);
    } else {
        add(line, "home not looked up yet");
    }
    add(line, ", %s", hth_protocol_name(core));
}

struct answer {
    bool here;
    int64_t value;
};

static void take_one(void *arg, int pe, bool here, int64_t value)
{
    (void)pe;
    *(struct answer *)arg = (struct answer){here, value};
}

static struct answer ask_one(struct line *line, int pe, enum hth_question question, uint64_t a,
                             uint64_t b)
{
    struct answer answer = {false, 0};
    hth_ask_each(pe, 1, question, a, b, ANSWER_NS, take_one, &answer);
    if (!answer.here) {
        add(line, "; " SILENT " PE %d", pe);
    }
    return answer;
}

/* Who is to send the page, and does he answer? */
static void add_sender(struct line *line, const struct hth_region *region, uint64_t page)
{
    int home = home_of(region, page);
    if (home < 0) {
        return;
    }
    if (region->consistency != HEARTH_SEQUENTIAL) {
        ask_one(line, home, HTH_ASK_BEGUN, 0, 0);
        return;
    }
    struct answer owner = ask_one(line, home, HTH_ASK_OWNER, region->id, page);
    if (owner.here && owner.value >= 0) {
        add(line, "; for its home, PE %d has it", (int)owner.value);
        if (owner.value != home) {
            ask_one(line, (int)owner.value, HTH_ASK_BEGUN, 0, 0);
        }
    }
}

/* A lock or another object; its home, or -1. */
static int add_object(struct line *line, const char *name, enum hth_handle_kind kind,
                      uint64_t handle)
{
    struct hth_handle split = {.pe = -1};
    if (hth_handle_split(handle, kind, hth_comm_n_pes(), UINT32_MAX, &split)) {
        add(line, "for %s 0x%llx, made by PE %d", name, (unsigned long long)handle, split.pe);
    }
    const void *at = hth_calling.about;
    if (at != NULL) {
        const struct hearth_region *region = hth_region_of(at);
        add(line, ", struct at %p %s%s%s", at, region != NULL ? "in region '" : "(private memory)",
            region != NULL ? region->name : "", region != NULL ? "'" : "");
    }
    return split.pe;
}

/* Those in line of an object, and of a barrier those who have come. */
static void add_state(struct line *line, const struct hth_object_wait *wait, int home)
{
    struct answer answer = ask_one(line, home, HTH_ASK_OBJECT, wait->handle, 0);
    if (answer.here) {
        uint32_t served = (uint32_t)answer.value * (wait->n > 0 ? wait->n : 1);
        uint32_t waiting = ((uint32_t)(answer.value >> 32) - served) & 0x7fffffff;
        if (wait->n > 0) {
            add(line, "; %u of %u have come", (unsigned)waiting, (unsigned)wait->n);
        } else {
            add(line, "; %u wait for it", (unsigned)waiting);
        }
    }
}

static void add_object_wait(struct line *line, const char *name, enum hth_handle_kind kind,
                            const struct hth_wait *why, bool ask)
{
    const struct hth_object_wait *wait = (const void *)(uintptr_t)why->page;
    int home = add_object(line, name, kind, wait->handle);
    if (ask && home >= 0) {
        add_state(line, wait, home);
    }
}

static void add_reason(struct line *line, const struct hth_wait *why)
{
    bool ask = hth_job.up; /* else they may not be able to answer, and need not */
    switch (why->kind) {
    case HTH_WAIT_BUSY:
        add(line, "for another thread of this PE to be done with ");
        add_page(line, why->region, why->page);
        break;
    case HTH_WAIT_RELEASE:
        add(line, "for another thread's release to end");
        break;
    case HTH_WAIT_ACQUIRE:
        add(line, "for another thread's acquire to end");
        break;
    case HTH_WAIT_PAGE:
        add(line, "for ");
        add_page(line, why->region, why->page);
        if (ask) {
            add_sender(line, why->region, why->page);
        }
        break;
    case HTH_WAIT_ACKS:
        add(line, "for other PEs to acknowledge what was sent");
        if (why->region != NULL) {
            add(line, " of ");
            add_page(line, why->region, why->page);
        }
        if (ask) {
            inquire(line, HTH_ASK_BEGUN, 0, "", never, 0);
        }
        break;
    case HTH_WAIT_TURN:
    case HTH_WAIT_LOCK:
        add_object(line, "lock", HTH_HANDLE_LOCK, why->page);
        if (ask && inquire(line, HTH_ASK_HOLDS, why->page, "held by", same, 1) == 0) {
            add(line, "; nobody holds it just now");
        }
        break;
    case HTH_WAIT_COLLECTIVE:
        add(line, "for all PEs, collective %llu", (unsigned long long)why->page);
        if (ask &&
            inquire(line, HTH_ASK_BEGUN, 0, "not come yet:", fewer, (int64_t)why->page) == 0) {
            add(line, "; all have come");
        }
        break;
    case HTH_WAIT_ANSWER:
        add(line, "for PE %llu's answer", (unsigned long long)why->page);
        break;
    case HTH_WAIT_BARRIER:
        add_object_wait(line, "barrier", HTH_HANDLE_BARRIER, why, ask);
        break;
    case HTH_WAIT_COND:
        add_object_wait(line, "condition variable", HTH_HANDLE_COND, why, ask);
        break;
    case HTH_WAIT_SEMA:
        add_object_wait(line, "semaphore", HTH_HANDLE_SEMA, why, ask);
        break;
    }
}

static void explain(const struct hth_wait *why, uint64_t waited_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t since = ((uint64_t)now.tv_sec - waited_ns / SECOND_NS) % DAY_SECONDS;
    struct line line = {.len = 0};
    add(&line, "watchdog: thread %ld waits for %.1f s, since %02u:%02u:%02u UTC, in %s ",
        syscall(SYS_gettid), (double)waited_ns / (double)SECOND_NS, (unsigned)(since / 3600),
        (unsigned)(since / 60 % 60), (unsigned)(since % 60),
        hth_calling.call != NULL ? hth_calling.call : "the library");
    explaining = true;
    add_reason(&line, why);
    explaining = false;
    hth_say("%s", line.text);
}

void hth_watchdog_look(const struct hth_wait *why, struct hth_watch *watch, uint64_t now_ns)
{
    if (explaining) {
        return;
    }
    uint64_t waited_ns = now_ns - watch->began_ns;
    uint32_t request = atomic_load_explicit(&requests, memory_order_relaxed);
    bool asked =
        request != my_answer && request != atomic_load_explicit(&settled, memory_order_relaxed);
    uint64_t tell_ns = watch->tell_ns != 0 ? watch->tell_ns : patience_ns;
    bool due = patience_ns != 0 && waited_ns >= tell_ns;
    if (asked) {
        my_answer = request;
        atomic_store_explicit(&answered, request, memory_order_relaxed);
    }
    if (due) {
        watch->tell_ns = 2 * tell_ns;
    }
    if (asked || due) {
        explain(why, waited_ns);
    }
}

void hth_watchdog_idle(void)
{
    static uint32_t noticed; /* by the progress thread alone */
    static uint64_t noticed_ns;
    uint32_t request = atomic_load_explicit(&requests, memory_order_relaxed);
    if (request == atomic_load_explicit(&settled, memory_order_relaxed)) {
        return;
    }
    if (request != noticed) {
        noticed = request;
        noticed_ns = hth_alarm_now_ns();
        return;
    }
    if (hth_alarm_now_ns() - noticed_ns < SETTLE_NS) {
        return;
    }
    if (atomic_load_explicit(&answered, memory_order_relaxed) != request) {
        hth_say("watchdog: no thread of this PE waits in Hearth%s",
                hth_progress_waited_for() ? ", or not for long" : "");
    }
    atomic_store_explicit(&settled, request, memory_order_relaxed);
}

/* --- the signal --- */

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed);
}

void hth_watchdog_start(uint64_t seconds)
{
    patience_ns = seconds * SECOND_NS;
    hth_ask_on(HTH_ASK_BEGUN, answer_begun);
    hth_ask_on(HTH_ASK_HOLDS, answer_holds);
    hth_ask_on(HTH_ASK_OBJECT, answer_object);
    struct sigaction before, ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&ours.sa_mask);
    if (sigaction(SIGUSR2, NULL, &before) == 0 && (before.sa_flags & SA_SIGINFO) == 0 &&
        before.sa_handler == SIG_DFL) {
        sigaction(SIGUSR2, &ours, NULL);
    }
}

void hth_watchdog_stop(void)
{
    /* The handler stays, and does nothing any more: the default action would kill a PE that has
     * left when somebody wants to know what the others wait for. */
    patience_ns = 0;
}
