/* SPDX-License-Identifier: BSD-3-Clause */
/* Heat: which pages are likely to be written again before the next release.
 *
 * A hot page stays writable over a release, on the dirty list, and each release looks whether it
 * has changed: a compare instead of a fault and two changes of view. A copy that is lost to an
 * acquire keeps its heat, and is writable again from its next miss on: so is a page that migrates
 * from writer to writer. Heat is a guess, and nothing that must hold rests on it.
 *
 * Of `hot_after` H and `cool_after` C: below H the releases in a row that found the page written;
 * at H + C it was written in the last epoch, and each epoch without a change takes one off; at H
 * the page is on probation: the next release protects it.
 *
 * At a write-invalidate home there is nothing to compare with: readers fetch from the frame at any
 * time, so that a byte that was written and written back has been seen by some. There a hot page
 * counts as written at every release, and a sum of its bytes tells when to stop, taken after C
 * releases and, as long as it changes, after 2C, 4C and then every 8C; that is a guess again, and
 * the release that stops it tells the copies once more.
 *
 * Guarded as the page's state: by busy, in write-update by the page lock.
 *
 * A copy that is only read, in write-invalidate, can be *wanted* in the same way: fetched
 * again and again, each time after it was dropped. An acquire that is told of such a copy refreshes
 * it where it is, mapped, instead of dropping it for the next fault to fetch: a get, without which
 * there would have been the same get, a fault and two changes of view. Whether it is still read
 * cannot be seen then. So now and then it is dropped all the same, a *probe*: after `probe_after`
 * refreshes, and twice as many each time that it turned out to be wanted.
 *
 * Not all notices are followed by a read: a home tells of its hot pages at each of its releases,
 * written or not. A copy that was told of twice in vain before it was fetched again is not counted
 * as wanted by that fetch: to refresh it would be to fetch it three times for one read.
 *
 * What was read in a sweep is likely to be swept again, and to fetch it by a fault is most of what
 * it costs then. So a copy that came in a window of `sweep` pages is refreshed once by a guess, and
 * dropped at the next notice, until it has been fetched often enough to be wanted. Where a guess
 * was wrong, none is made again. */
#ifndef HTH_PROTOCOL_HEAT_H
#define HTH_PROTOCOL_HEAT_H

#include "protocol/coherence.h"

/* Was it hot, by what the last releases saw? */
static inline bool hth_heat_is_hot(const struct hth_coherence *c, const struct hth_page *page)
{
    return page->heat > c->tuning.hot_after;
}

/* Does a copy, or a page homed here in write-update, stay writable over the release that begins? */
static inline bool hth_heat_stays(const struct hth_coherence *c, const struct hth_page *page)
{
    return page->heat != c->tuning.hot_after && page->heat + 1u >= c->tuning.hot_after;
}

/* A release, or a drop, has compared such a page: had it changed? `kept`: it stays writable. */
void hth_heat_note(const struct hth_coherence *c, const struct hth_region *r, struct hth_page *page,
                   bool changed, bool kept);

/* Through which end of many pages, of which this is the first, to begin to compare. What was
 * touched last may still be in the cache, and what was touched first no longer: the program writes
 * upwards; a release goes downwards after that, and upwards again if nothing was written since. */
bool hth_heat_backwards(const struct hth_coherence *c, const struct hth_region *r, uint64_t first);

/* Does a page homed here in write-invalidate, found written, stay writable over the release that
 * begins? Counts it as written, or takes its sum: once a release. */
bool hth_heat_stays_home(const struct hth_coherence *c, const struct hth_region *r, uint64_t page);

/* At a home: nobody else has a copy any more, so that writes are not seen. Once somebody has, the
 * page is as hot as it was, but its sum says nothing. */
void hth_heat_alone(const struct hth_coherence *c, struct hth_page *page);

/* A copy was fetched, in a window of so many pages that read-ahead expects to be read (0: not).
 * Before the notices that were in vain are forgotten. */
void hth_wanted_note(const struct hth_coherence *c, struct hth_page *page, unsigned window);

/* An acquire is told of a clean copy: is it to be refreshed? Counts it as refreshed, or dropped. */
bool hth_wanted_stays(const struct hth_coherence *c, struct hth_page *page);

/* It is told of again and again, and nobody has asked for it since it was dropped. Once probes had
 * found it wanted, that may be between two phases of a program: then it is wanted from its next
 * fetch on, trusted half as much. */
void hth_wanted_no_more(const struct hth_coherence *c, struct hth_page *page);

#endif
