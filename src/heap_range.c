/* SPDX-License-Identifier: BSD-3-Clause */
/* Free intervals in a sorted array: few in practice, as neighbours always merge. */
#include "heap.h"

#include <stdlib.h>
#include <string.h>

#include "hearth.h"

enum { FREE_FIRST = 16 };

int hth_range_init(struct hth_range *range, uint64_t first, uint64_t end)
{
    memset(range, 0, sizeof *range);
    range->list = malloc(FREE_FIRST * sizeof *range->list);
    if (range->list == NULL)
        return HEARTH_ENOMEM;
    range->max = FREE_FIRST;
    if (first < end) {
        range->list[0] = (struct hth_range_free){first, end - first};
        range->n = 1;
    }
    return 0;
}

void hth_range_fini(struct hth_range *range)
{
    free(range->list);
    memset(range, 0, sizeof *range);
}

/* Room for one more interval. */
static int reserve(struct hth_range *range)
{
    if (range->n < range->max)
        return 0;
    uint64_t new_max = 2 * range->max;
    struct hth_range_free *list = realloc(range->list, new_max * sizeof *list);
    if (list == NULL)
        return HEARTH_ENOMEM;
    range->list = list;
    range->max = new_max;
    return 0;
}

static void insert_at(struct hth_range *range, uint64_t index, uint64_t offset, uint64_t bytes)
{
    struct hth_range_free *at = range->list + index;
    memmove(at + 1, at, (range->n - index) * sizeof *at);
    *at = (struct hth_range_free){offset, bytes};
    range->n++;
}

static void remove_at(struct hth_range *range, uint64_t index)
{
    struct hth_range_free *at = range->list + index;
    memmove(at, at + 1, (range->n - index - 1) * sizeof *at);
    range->n--;
}

/* What must be skipped at the start of an interval to reach a multiple of `align`. */
static uint64_t skip_to_align(uint64_t offset, uint64_t align)
{
    return -offset & (align - 1);
}

/* The first interval with `bytes` in it from `skip_out` bytes after its start, which is `gap` or up
 * to `align` more. n if there is none. */
static uint64_t find_fit(const struct hth_range *range, uint64_t bytes, uint64_t align,
                         uint64_t gap, uint64_t *skip_out)
{
    uint64_t i = 0;
    for (; i < range->n; i++) {
        uint64_t skip = gap + skip_to_align(range->list[i].offset + gap, align);
        if (skip <= range->list[i].bytes && bytes <= range->list[i].bytes - skip) {
            *skip_out = skip;
            break;
        }
    }
    return i;
}

int hth_range_take_apart(struct hth_range *range, uint64_t bytes, uint64_t align, uint64_t gap,
                         uint64_t *offset_out)
{
    uint64_t skip = 0;
    if (bytes == 0)
        return HEARTH_EINVAL;
    uint64_t i = find_fit(range, bytes, align, gap, &skip);
    if (i == range->n && gap != 0)
        i = find_fit(range, bytes, align, 0, &skip);
    if (i == range->n || reserve(range) != 0)
        return HEARTH_ENOMEM;

    struct hth_range_free *from = &range->list[i];
    uint64_t offset = from->offset + skip, after = from->bytes - skip - bytes;
    if (skip == 0 && after == 0) {
        remove_at(range, i);
    } else if (skip == 0) {
        *from = (struct hth_range_free){offset + bytes, after};
    } else {
        from->bytes = skip;
        if (after != 0)
            insert_at(range, i + 1, offset + bytes, after);
    }
    *offset_out = offset;
    return 0;
}

int hth_range_take(struct hth_range *range, uint64_t bytes, uint64_t align, uint64_t *offset_out)
{
    return hth_range_take_apart(range, bytes, align, 0, offset_out);
}

uint64_t hth_range_gap(uint64_t bytes, uint64_t page_bytes, uint32_t pages)
{
    enum { SMALL_PAGE = 4096 };
    uint64_t gap = ((uint64_t)pages * SMALL_PAGE + page_bytes - 1) / page_bytes * page_bytes;
    return bytes / HTH_GAP_PART < gap ? 0 : gap;
}

/* The index of the first interval that begins after offset. */
static uint64_t first_after(const struct hth_range *range, uint64_t offset)
{
    uint64_t low = 0, high = range->n;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (range->list[middle].offset > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int hth_range_give(struct hth_range *range, uint64_t offset, uint64_t bytes)
{
    if (bytes == 0)
        return 0;
    uint64_t i = first_after(range, offset);
    struct hth_range_free *before = i > 0 ? &range->list[i - 1] : NULL;
    struct hth_range_free *after = i < range->n ? &range->list[i] : NULL;
    bool touches_before = before != NULL && before->offset + before->bytes == offset;
    bool touches_after = after != NULL && after->offset == offset + bytes;
    if (touches_before) {
        before->bytes += bytes;
        if (touches_after) {
            before->bytes += after->bytes;
            remove_at(range, i);
        }
    } else if (touches_after) {
        after->offset = offset;
        after->bytes += bytes;
    } else {
        if (reserve(range) != 0)
            return HEARTH_ENOMEM;
        insert_at(range, i, offset, bytes);
    }
    return 0;
}

uint64_t hth_range_largest(const struct hth_range *range)
{
    uint64_t largest = 0;
    for (uint64_t i = 0; i < range->n; i++) {
        if (range->list[i].bytes > largest)
            largest = range->list[i].bytes;
    }
    return largest;
}
