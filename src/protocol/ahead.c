/* SPDX-License-Identifier: BSD-3-Clause */
/* Read-ahead. docs/protocols.md "Read-ahead".
 *
 * Two things foretell which pages come next: that the last ones followed each other (a *stream*:
 * forward, backward, or with a stride), and that they did so the last time, before they were
 * invalidated (the *extent*, kept at the page where a stream began). A program that goes through
 * its memory at random shows neither, and fetches page by page.
 *
 * The last page of a window is its *marker*: fetched but not mapped. The fault on it costs no
 * fetch; it says that the window was used, and fetches the next, twice as large. A marker that is
 * dropped says that it was not. All of it is guessing: a wrong guess costs time, never a wrong
 * byte, for a page fetched ahead is registered and fetched as any other. Two things must be right:
 *
 * - No waiting: what another thread has busy is left out.
 * - No page beyond the allocation of the page asked for: the neighbour may be freed just now, by a
 *   collective call that this thread knows nothing of, and its pages forgotten under our hands.
 *   Nor a solo page that this PE never asked for: it may not be allocated. Nor a page that is
 *   pinned, or that is nobody's yet. */
#include "protocol/ahead.h"

#include "protocol/cache.h"
#include "protocol/claim.h"
#include "protocol/scratch.h"

#define WINDOW_FIRST 4u  /* pages, once a stride is certain */
#define STRIDE_MAX   127 /* what int8_t holds */
#define ASTRAY_MAX   16  /* pages of a stream that may be here already and are passed over */
#define EXTENT_MAX   65535u
/* From how much memory on one system call costs less than a fault of the kernel's for each page. */
#define POPULATE_BYTES (16u << 10)

/* --- streams; the lock is held --- */

static struct hth_stream *touch(struct hth_ahead *a, struct hth_stream *s)
{
    s->used = ++a->clock;
    return s;
}

static struct hth_stream *begin(struct hth_ahead *a, uint64_t page)
{
    struct hth_stream *oldest = a->streams;
    for (struct hth_stream *s = a->streams; s < a->streams + HTH_STREAMS; s++) {
        if (s->used != 0 && s->start == page) {
            oldest = s;
            break;
        }
        oldest = s->used < oldest->used ? s : oldest;
    }
    *oldest = (struct hth_stream){.start = page, .last = page, .next = HTH_NO_PAGE};
    return touch(a, oldest);
}

/* How many pages of the stream come before this one. */
static uint64_t index_of(const struct hth_stream *s, uint64_t page)
{
    return (uint64_t)((int64_t)(page - s->start) / s->stride);
}

static bool is_on_course(const struct hth_stream *s, uint64_t page)
{
    int64_t off = (int64_t)(page - s->next);
    if (s->stride == 0 || off == 0 || (s->window == 0 && s->known == 0)) {
        return s->stride != 0 && off == 0;
    }
    if (off < -ASTRAY_MAX * STRIDE_MAX || off > ASTRAY_MAX * STRIDE_MAX) {
        return false; /* the usual case, without a division */
    }
    return off % s->stride == 0 && off / s->stride > 0 && off / s->stride <= ASTRAY_MAX;
}

/* The page was asked for: so far the stream has come. */
static void remember(struct hth_region *r, struct hth_stream *s, uint64_t page)
{
    struct hth_page *start = &r->pages[s->start];
    uint64_t n = index_of(s, page) + 1;
    s->last = page;
    if (n > atomic_load_explicit(&start->extent, memory_order_relaxed)) {
        atomic_store_explicit(&start->extent, (uint16_t)(n < EXTENT_MAX ? n : EXTENT_MAX),
                              memory_order_relaxed);
        atomic_store_explicit(&start->stride, (int8_t)s->stride, memory_order_relaxed);
    }
}

/* The window that begins at `first`. */
static struct hth_window plan(struct hth_region *r, struct hth_stream *s, uint64_t asked,
                              uint64_t first)
{
    uint64_t max = r->ahead.window_max, done = index_of(s, first);
    struct hth_window window = {s->start,           asked, first, s->stride, s->window,
                                HTH_MARKER_GROWING, false};
    if (s->known > done) {
        window.n = (unsigned)(s->known - done < max ? s->known - done : max);
        window.marker = HTH_MARKER_KNOWN;
    }
    s->next = first + (uint64_t)((int64_t)window.n * s->stride);
    return window;
}

static void grow(const struct hth_region *r, struct hth_stream *s)
{
    uint32_t twice = s->window == 0 ? WINDOW_FIRST : 2 * s->window;
    s->window = twice < r->ahead.window_max ? twice : r->ahead.window_max;
}

/* A stream began at this page before: as far as it went then. */
static struct hth_stream *recall(struct hth_region *r, uint64_t page)
{
    int stride = atomic_load_explicit(&r->pages[page].stride, memory_order_relaxed);
    unsigned extent = atomic_load_explicit(&r->pages[page].extent, memory_order_relaxed);
    if (stride == 0 || extent < 2) {
        return NULL;
    }
    struct hth_stream *s = begin(&r->ahead, page);
    s->stride = stride;
    s->known = extent;
    return s;
}

/* Two pages in sequence make a stream, three if they are further apart. True: this one does. */
static bool join(struct hth_region *r, struct hth_stream *s, uint64_t page)
{
    if (s->used == 0 || s->window != 0 || s->known != 0) {
        return false;
    }
    int64_t off = (int64_t)(page - s->last);
    if (off == 1 || off == -1) {
        *s = (struct hth_stream){.start = s->last, .last = page, .stride = (int32_t)off};
        s->window = WINDOW_FIRST < r->ahead.window_max ? WINDOW_FIRST : r->ahead.window_max;
        return true;
    }
    if (s->stride == 0 && off != 0 && off >= -STRIDE_MAX && off <= STRIDE_MAX) {
        s->stride = (int32_t)off;
        s->last = page;
        s->next = page + (uint64_t)off;
        touch(&r->ahead, s);
    }
    return false;
}

static struct hth_window alone(uint64_t page)
{
    return (struct hth_window){page, page, page, 1, 1, HTH_MARKER_NONE, false};
}

static struct hth_window missed(struct hth_region *r, uint64_t page)
{
    struct hth_ahead *a = &r->ahead;
    struct hth_stream *const end = a->streams + HTH_STREAMS;
    struct hth_stream *found = NULL;
    for (struct hth_stream *s = a->streams; s < end && found == NULL; s++) {
        if (is_on_course(s, page)) {
            grow(r, s);
            found = s;
        }
    }
    if (found == NULL) {
        found = recall(r, page);
    }
    bool near = false; /* it may be the second of three */
    for (struct hth_stream *s = a->streams; s < end && found == NULL; s++) {
        uint64_t last = s->last;
        found = join(r, s, page) ? s : NULL;
        near = near || s->last != last;
    }
    if (found == NULL) {
        if (!near) {
            begin(a, page);
        }
        return alone(page);
    }
    remember(r, touch(a, found), page);
    return plan(r, found, page, page);
}

struct hth_window hth_ahead_missed(struct hth_coherence *c, struct hth_region *r, uint64_t page,
                                   const struct hth_span *ahead)
{
    if (r->ahead.window_max < 2) {
        return alone(page);
    }
    hth_port_short_lock(c->port, &r->ahead.lock);
    struct hth_window window = missed(r, page);
    hth_port_short_unlock(c->port, &r->ahead.lock);
    if (window.n == 1 && window.marker == HTH_MARKER_NONE && ahead->n > 0) {
        window.stride = ahead->upwards ? 1 : -1;
        window.n = 1 + ahead->n;
    }
    return window;
}

static struct hth_stream *stream_from(struct hth_region *r, uint64_t start)
{
    for (struct hth_stream *s = r->ahead.streams; s < r->ahead.streams + HTH_STREAMS; s++) {
        if (s->used != 0 && s->start == start && s->stride != 0) {
            return touch(&r->ahead, s);
        }
    }
    return recall(r, start); /* others have taken its place meanwhile */
}

struct hth_window hth_ahead_reached(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    struct hth_page *entry = &r->pages[page];
    enum hth_marker kind = (enum hth_marker)entry->marker;
    struct hth_window window = {.n = 0};
    entry->marker = HTH_MARKER_NONE;
    hth_port_short_lock(c->port, &r->ahead.lock);
    struct hth_stream *s = stream_from(r, page - (uint64_t)(int64_t)entry->to_start);
    if (s != NULL && entry->to_start % s->stride == 0 && entry->to_start / s->stride > 0) {
        uint64_t next = page + (uint64_t)(int64_t)s->stride;
        remember(r, s, page);
        if (s->known > index_of(s, page) + 1 || kind == HTH_MARKER_GROWING) {
            grow(r, s);
            window = plan(r, s, page, next);
        } else { /* it ended here the last time */
            s->window = 1;
            s->next = next;
        }
    }
    hth_port_short_unlock(c->port, &r->ahead.lock);
    return window;
}

void hth_ahead_unused(struct hth_region *r, uint64_t page)
{
    struct hth_page *entry = &r->pages[page];
    if (entry->marker == HTH_MARKER_KNOWN) {
        struct hth_page *start = entry - entry->to_start;
        unsigned extent = atomic_load_explicit(&start->extent, memory_order_relaxed);
        atomic_store_explicit(&start->extent, (uint16_t)(extent / 2), memory_order_relaxed);
    }
    entry->marker = HTH_MARKER_NONE;
    hth_count(&r->counts.ahead_unused, 1);
}

struct hth_window hth_ahead_advised(uint64_t first_page, unsigned n)
{
    return (struct hth_window){first_page, first_page, first_page, 1, n, HTH_MARKER_NONE, true};
}

/* --- bundles --- */

static bool is_missing(const struct hth_region *r, uint64_t page)
{
    return hth_page_state(&r->pages[page]) == HTH_PAGE_INVALID;
}

/* Where it is, or HTH_HOME_OPEN: to look ahead is not to touch, and claims nothing. */
static int home_of(struct hth_coherence *c, struct hth_region *r, uint64_t page)
{
    int home = hth_page_known_home(r, page);
    if (home == HTH_HOME_OPEN) {
        home = hth_claim_read(c->port, r, page);
    }
    if (home >= 0) {
        __atomic_store_n(&r->pages[page].home_plus_1, home + 1, __ATOMIC_RELAXED);
    }
    return home;
}

/* How much of a window to fetch: what is fetched ahead evicts nothing. Room was made for a page
 * that is asked for; each may come to have a twin. */
static unsigned within_cache(const struct hth_region *r, const struct hth_window *window,
                             uint64_t held)
{
    uint64_t room = hth_cache_room(r) / (2 * r->page_bytes);
    if (room == 0 && held != HTH_NO_PAGE) {
        room = 1;
    }
    return room < window->n ? (unsigned)room : window->n;
}

void hth_ahead_collect(struct hth_coherence *c, struct hth_region *r,
                       const struct hth_window *window, uint64_t held, struct hth_bundle *bundle)
{
    uint64_t first = 0, end = 0;
    bundle->n = 0;
    unsigned n = within_cache(r, window, held);
    bool more = n > 1 || (n == 1 && window->first != held);
    if (more && !hth_homes_bounds(r->homes, window->asked, &first, &end)) {
        hth_port_die(c->port, r, window->asked, "a page in no allocation is fetched");
    }
    bool doubtful = window->asked >= r->homes->collective_pages && !window->vouched;
    for (unsigned i = 0; i < n; i++) {
        int64_t steps = window->stride > 0 ? i : n - 1 - i;
        uint64_t page = window->first + (uint64_t)(steps * window->stride);
        if (page == held && held != HTH_NO_PAGE) {
            hth_bundle_add(bundle, page, hth_page_home(c->port, r, page));
            continue;
        }
        /* Unsigned: a page below 0 is far beyond the end. */
        if (page < first || page >= end || !is_missing(r, page) ||
            (doubtful && __atomic_load_n(&r->pages[page].home_plus_1, __ATOMIC_RELAXED) == 0)) {
            continue;
        }
        if (hth_page_known_home(r, page) == c->my_pe ||
            !hth_port_trylock(c->port, &r->pages[page].busy)) {
            continue;
        }
        /* Where it is, once it is known that it is not being moved. */
        int home = hth_page_is_pinned_now(r, page) ? HTH_HOME_NONE : home_of(c, r, page);
        if (home >= 0 && home != c->my_pe && is_missing(r, page)) {
            hth_bundle_add(bundle, page, home);
        } else {
            hth_busy_done(c, r, page);
        }
    }
}

uint64_t hth_ahead_marker(const struct hth_window *window, uint64_t held,
                          const struct hth_bundle *bundle)
{
    uint64_t last = bundle->pages[window->stride > 0 ? bundle->n - 1 : 0];
    int64_t to_start = (int64_t)(last - window->start);
    return window->marker == HTH_MARKER_NONE || last == held || to_start != (int32_t)to_start
               ? HTH_NO_PAGE
               : last;
}

void hth_ahead_place(struct hth_coherence *c, struct hth_region *r, const struct hth_window *window,
                     uint64_t held, bool map_held, const struct hth_bundle *bundle)
{
    uint64_t pages[2][HTH_TOGETHER]; /* to be read; to be written */
    unsigned n[2] = {0, 0};
    if (bundle->n == 0) {
        return;
    }
    uint64_t marker = hth_ahead_marker(window, held, bundle);
    if (marker != HTH_NO_PAGE) {
        r->pages[marker].marker = (uint8_t)window->marker;
        r->pages[marker].to_start = (int32_t)(marker - window->start);
    }
    for (unsigned i = 0; i < bundle->n; i++) {
        uint64_t page = bundle->pages[i];
        if (page != marker && (page != held || map_held)) {
            bool dirty = hth_page_state(&r->pages[page]) == HTH_PAGE_DIRTY;
            pages[dirty][n[dirty]++] = page;
        }
    }
    hth_protect_runs(c->port, r, pages[0], n[0], HTH_VIEW_READ);
    hth_protect_runs(c->port, r, pages[1], n[1], HTH_VIEW_WRITE);
    for (unsigned i = 0; i < bundle->n; i++) {
        if (bundle->pages[i] != held) {
            hth_busy_done(c, r, bundle->pages[i]);
        }
    }
    hth_count(&r->counts.pages_ahead, bundle->n - (held != HTH_NO_PAGE));
}

void hth_bundle_populate(struct hth_coherence *c, struct hth_region *r,
                         const struct hth_bundle *bundle)
{
    unsigned end;
    for (unsigned i = 0; i < bundle->n; i = end) {
        end = i + 1;
        while (end < bundle->n && bundle->pages[end] == bundle->pages[end - 1] + 1) {
            end++;
        }
        if ((end - i) * r->page_bytes >= POPULATE_BYTES) {
            hth_port_populate(c->port, r, bundle->pages[i], end - i);
        }
    }
}

unsigned hth_bundle_next_home(const struct hth_bundle *bundle, unsigned *from, int *home_out,
                              uint64_t *pages)
{
    unsigned n = 0;
    for (; *from < bundle->n && n == 0; (*from)++) {
        int home = bundle->homes[*from];
        bool seen = false;
        for (unsigned i = 0; i < *from && !seen; i++) {
            seen = bundle->homes[i] == home;
        }
        for (unsigned i = *from; i < bundle->n && !seen; i++) {
            if (bundle->homes[i] == home) {
                pages[n++] = bundle->pages[i];
            }
        }
        *home_out = home;
    }
    return n;
}
