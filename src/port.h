/* SPDX-License-Identifier: BSD-3-Clause */
/* The port: all that a protocol may ask of the world.
 *
 * A link-time seam. src/port_mpi.c answers with MPI windows, active messages, a pager and threads;
 * tests/sim/port_sim.c answers with N simulated PEs in one process under a seeded scheduler. A
 * protocol keeps no globals and calls nothing but this, src/homes.h and a few pure functions of
 * libc (memcpy, memset, memcmp); `make lint` checks its undefined symbols.
 *
 * Contexts. *Program*: a program thread in a fault or in a library call. *Handler*: whoever handles
 * messages, the progress thread or a program thread that polls while it waits; one at a time per
 * PE. Only program context may call what can wait: hth_port_wait,
 * hth_port_lock, gets, puts, atomics and their flushes.
 *
 * Ordering. Operations on one target are unordered among themselves until flushed, except that
 * atomics on the same word happen in the order issued. A flush orders what was issued before it,
 * by any thread of this PE, before what is issued after it. */
#ifndef HTH_PORT_H
#define HTH_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hth_port;   /* this PE's door to the world; opaque to the protocols */
struct hth_region; /* protocol/page.h */

/* --- frames: one-sided, get and put --- */

/* The frames of these pages here will be written whole: have their memory at once, where that is
 * cheaper than page by page. A hint. */
void hth_port_populate(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                       uint64_t n);
/* Copy `bytes` bytes between PE `pe`'s frame of this region, from byte `offset` of the region on,
 * and private memory (or this PE's own frame, through the alias). Complete only after
 * hth_port_flush_frames. `pe` is another PE. `to`/`from` stay untouched until then. */
void hth_port_get(struct hth_port *port, struct hth_region *region, int pe, uint64_t offset,
                  void *to, size_t bytes);
void hth_port_put(struct hth_port *port, struct hth_region *region, int pe, uint64_t offset,
                  const void *from, size_t bytes);
/* On return all gets and puts of this PE on pe's frames are done, there and here. */
void hth_port_flush_frames(struct hth_port *port, struct hth_region *region, int pe);

/* --- words: one-sided atomics on 64-bit words --- */

enum hth_word_op { HTH_WORD_READ, HTH_WORD_OR, HTH_WORD_AND, HTH_WORD_SWAP, HTH_WORD_ADD };

/* Apply `op` with `operand` to word `word` of the region's words at PE `pe` (this PE included).
 * *old_out (may be NULL) is set to the value before, once hth_port_flush_words has returned. */
void hth_port_word(struct hth_port *port, struct hth_region *region, int pe, uint64_t word,
                   enum hth_word_op op, uint64_t operand, uint64_t *old_out);
void hth_port_flush_words(struct hth_port *port, struct hth_region *region, int pe);
/* Less than a flush: what this PE has issued on pe's words takes effect before whatever it issues
 * on pe's words or frames from now on, though maybe not yet, and no result is there. By messages
 * that is free, and a flush a round trip. */
void hth_port_order_words(struct hth_port *port, struct hth_region *region, int pe);
/* A plain load (acquire) of one of this PE's own words. */
uint64_t hth_port_word_peek(struct hth_port *port, struct hth_region *region, uint64_t word);
/* The first of this PE's own words from `first` on that is not zero, each looked at once (acquire);
 * `end` if there is none before that. Cheap for hundreds. */
uint64_t hth_port_words_next(struct hth_port *port, struct hth_region *region, uint64_t first,
                             uint64_t end);

/* --- active messages --- */

#define HTH_MESSAGE_BYTES_MAX 65536u /* of one message, the protocol's header included */

/* A buffer of HTH_MESSAGE_BYTES_MAX bytes, 64-byte aligned, for a message to `pe`, another PE.
 * Never fails, never waits. */
void *hth_port_message_new(struct hth_port *port, int pe);
/* Send the first `bytes` bytes of a buffer and give the buffer back. Never waits, any context.
 * FIFO per pair of PEs: two sends ordered by a lock arrive, and are handled, in that order.
 * `pe` is the PE that the buffer is for; it is handled there by hth_coherence_handle. */
void hth_port_message_send(struct hth_port *port, int pe, void *message, size_t bytes);
/* Likewise, to a PE of which a program thread waits for it, or will before it returns from the
 * library: nobody else there need be woken for it. */
void hth_port_message_answer(struct hth_port *port, int pe, void *message, size_t bytes);
/* Give a buffer back unsent. */
void hth_port_message_drop(struct hth_port *port, void *message);

/* --- waiting and mutual exclusion, within this PE --- */

/* A lock that is held across port calls and waited for by program context only. Zeroed: free. */
struct hth_lock {
    _Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody waits */
};

/* What a wait is for, so that a hang can explain itself. */
enum hth_wait_kind {
    HTH_WAIT_BUSY,    /* another thread has the page */
    HTH_WAIT_RELEASE, /* the release lock */
    HTH_WAIT_ACQUIRE, /* the acquire lock */
    HTH_WAIT_PAGE,    /* bytes from the home */
    HTH_WAIT_ACKS,    /* acknowledgements of diffs and updates */
    /* outside of the protocols; `page` is then... */
    HTH_WAIT_TURN,       /* another thread of this PE; the handle of the lock that both want */
    HTH_WAIT_LOCK,       /* another PE; the lock's handle */
    HTH_WAIT_COLLECTIVE, /* PEs that have not come; how many collectives this one has begun */
    HTH_WAIT_ANSWER,     /* the answer to a question; the PE asked */
    HTH_WAIT_BARRIER,    /* these three: the address of a struct hth_object_wait */
    HTH_WAIT_COND,
    HTH_WAIT_SEMA
};
struct hth_wait {
    enum hth_wait_kind kind;
    const struct hth_region *region; /* may be NULL */
    uint64_t page;
};

/* Wait until `ready(arg)` returns true; handles messages meanwhile. `ready` is called by this
 * thread alone, must not wait and may have side effects (a try-lock): the first true ends the wait.
 * Whoever makes it true from another thread calls hth_port_notify after. */
void hth_port_wait(struct hth_port *port, bool (*ready)(void *), void *arg,
                   const struct hth_wait *why);
void hth_port_notify(struct hth_port *port);

void hth_port_lock(struct hth_port *port, struct hth_lock *lock, const struct hth_wait *why);
bool hth_port_trylock(struct hth_port *port, struct hth_lock *lock);
void hth_port_unlock(struct hth_port *port, struct hth_lock *lock);

/* A lock that handlers may take too: held for a bounded time, in which the holder neither waits nor
 * polls. Zeroed: free. */
struct hth_short_lock {
    _Atomic uint32_t word; /* 0 free, 1 held */
};
void hth_port_short_lock(struct hth_port *port, struct hth_short_lock *lock);
void hth_port_short_unlock(struct hth_port *port, struct hth_short_lock *lock);

/* --- views --- */

enum hth_view { HTH_VIEW_NONE, HTH_VIEW_READ, HTH_VIEW_WRITE };

/* Change what the program may do with pages first_page .. first_page + n_pages - 1. On return no
 * thread of this PE can do more than `view` allows. It may come to be able to do less: then the
 * page faults although its state allows the access, and the same view is to be set again. Any
 * context. */
void hth_port_protect(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                      uint64_t n_pages, enum hth_view view);
/* Give the memory behind these pages' frames back: they read as zero from then on. */
void hth_port_punch(struct hth_port *port, struct hth_region *region, uint64_t first_page,
                    uint64_t n_pages);
/* The first page from `page` on whose frame has memory behind it, of the region's; n_pages of the
 * region if none has. The others read as zero. */
uint64_t hth_port_next_used(struct hth_port *port, struct hth_region *region, uint64_t page);

/* --- the rest --- */

/* Private memory, 64-byte aligned, not zeroed; sizes recur (a page), so the port keeps a pool. Any
 * context. Never NULL: ends the job when memory is out. */
void *hth_port_alloc(struct hth_port *port, size_t bytes);
void hth_port_free(struct hth_port *port, void *memory, size_t bytes);

/* A clock that never goes back. Any context. */
uint64_t hth_port_now_ns(struct hth_port *port);
/* Call hth_coherence_alarm for this page in about so long, as a handler would be called, though
 * maybe beside one. Any context. */
void hth_port_alarm(struct hth_port *port, struct hth_region *region, uint64_t page,
                    uint64_t in_ns);

/* Forget the alarms of a region. On return none of it rings. Context: program, no lock held that a
 * handler may take. */
void hth_port_alarm_cancel(struct hth_port *port, struct hth_region *region);

/* Something that must not be has been found: say so, name the page, end the job. */
_Noreturn void hth_port_die(struct hth_port *port, const struct hth_region *region, uint64_t page,
                            const char *what);

enum hth_event {
    HTH_EVENT_STATE,      /* value: the page's new state */
    HTH_EVENT_REGISTER,   /* value: 1 registered, 0 unregistered */
    HTH_EVENT_FETCH,      /* value: home */
    HTH_EVENT_DIFF,       /* value: bytes named */
    HTH_EVENT_TELL,       /* value: the PE told */
    HTH_EVENT_TOLD,       /* a stale bit taken */
    HTH_EVENT_SUBSCRIBE,  /* value: the subscriber */
    HTH_EVENT_UPDATE,     /* value: the PE it goes to, or comes from with ~ */
    HTH_EVENT_UNSUBSCRIBE /* value: the subscriber */
};
/* For traces; costs a load when no one traces. Any context. */
void hth_port_trace(struct hth_port *port, const struct hth_region *region, uint64_t page,
                    enum hth_event event, int64_t value);

#endif
