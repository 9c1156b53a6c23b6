/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the bytes of a datatype are.
 *
 * MPI is asked, not its constructors taken apart: bytes that are all 1 are unpacked, as one element
 * of the type, into memory that is all 0, and where there is a 1 now there is a byte of the type.
 * That holds for whatever constructors there are, once a type: the layout is kept with the type as
 * an attribute. Where only a part of an element was received, the order of the type map matters
 * too, and is found in the same way, with numbers instead of ones. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wrap/wrap.h"

#define SPAN_MAX ((MPI_Aint)1 << 32) /* of an element of a type with gaps */

/* One look for an attribute, or setting of one, at a time: two threads may find that a type has
 * none. Nothing is taken inside but what MPI takes. */
static pthread_mutex_t attribute_lock = PTHREAD_MUTEX_INITIALIZER;
static int keyval = MPI_KEYVAL_INVALID;

void hth_layout_drop(struct hth_layout *layout)
{
    if (layout != NULL && atomic_fetch_sub(&layout->users, 1) == 1) {
        free(layout);
    }
}

static int on_delete(MPI_Datatype type, int key, void *layout, void *unused)
{
    (void)type;
    (void)key;
    (void)unused;
    hth_layout_drop(layout);
    return MPI_SUCCESS;
}

static void *sparse(MPI_Aint bytes)
{
    void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* An element made of these bytes, over zeros; for munmap. NULL: out of memory. */
static unsigned char *element_of(const struct hth_layout *layout, MPI_Datatype type, void *packed)
{
    unsigned char *image = sparse(layout->span);
    int position = 0;
    if (image != NULL) {
        PMPI_Unpack(packed, (int)layout->bytes, &position, image - layout->lb, 1, type,
                    MPI_COMM_SELF);
    }
    return image;
}

/* The runs of bytes that are not 0; how many, of which the first n_max are noted. */
static size_t find_runs(const unsigned char *image, MPI_Aint span, struct hth_run *runs,
                        size_t n_max)
{
    size_t n = 0;
    for (MPI_Aint at = 0; at < span;) {
        uint64_t word = 0;
        if (at + (MPI_Aint)sizeof word <= span) {
            memcpy(&word, image + at, sizeof word);
            if (word == 0) {
                at += (MPI_Aint)sizeof word;
                continue;
            }
        }
        if (image[at] == 0) {
            at++;
            continue;
        }
        MPI_Aint end = at;
        while (end < span && image[end] != 0) {
            end++;
        }
        if (n < n_max) {
            runs[n] = (struct hth_run){at, (size_t)(end - at)};
        }
        n++;
        at = end;
    }
    return n;
}

static struct hth_layout *with_runs(const struct hth_layout *head, const unsigned char *image)
{
    size_t n = find_runs(image, head->span, NULL, 0);
    struct hth_layout *layout = malloc(sizeof *layout + n * sizeof layout->runs[0]);
    if (layout != NULL) {
        memcpy(layout, head, sizeof *layout);
        layout->n_runs = find_runs(image, head->span, layout->runs, n);
        layout->dense = n == 1 && head->span == head->extent;
    }
    return layout;
}

static struct hth_layout *with_gaps(const struct hth_layout *head, MPI_Datatype type,
                                    const char **why)
{
    if (head->bytes > INT32_MAX || head->span > SPAN_MAX) {
        *why = "its datatype has gaps, and an element takes more than 4 GiB, or holds more than 2";
        return NULL;
    }
    void *ones = malloc((size_t)head->bytes);
    if (ones != NULL) {
        memset(ones, 1, (size_t)head->bytes);
    }
    unsigned char *image = ones != NULL ? element_of(head, type, ones) : NULL;
    struct hth_layout *layout = image != NULL ? with_runs(head, image) : NULL;
    if (image != NULL) {
        munmap(image, (size_t)head->span);
    }
    free(ones);
    return layout;
}

static struct hth_layout *make(MPI_Datatype type, bool named, const char **why)
{
    MPI_Aint lb;
    MPI_Count bytes;
    struct hth_layout head = {.users = 1, .named = named};
    PMPI_Type_get_extent(type, &lb, &head.extent);
    PMPI_Type_get_true_extent(type, &head.lb, &head.span);
    PMPI_Type_size_x(type, &bytes);
    head.bytes = bytes;
    if (bytes == 0 || (named && bytes == head.span)) {
        struct hth_layout *layout = malloc(sizeof *layout + sizeof layout->runs[0]);
        if (layout != NULL) {
            memcpy(layout, &head, sizeof *layout);
            layout->n_runs = bytes != 0;
            layout->runs[0] = (struct hth_run){0, (size_t)bytes};
            layout->dense = head.extent == bytes;
        }
        return layout;
    }
    return with_gaps(&head, type, why);
}

static struct hth_layout *kept(MPI_Datatype type, const char **why)
{
    struct hth_layout *layout = NULL;
    int found = 0;
    pthread_mutex_lock(&attribute_lock);
    if (keyval == MPI_KEYVAL_INVALID) {
        PMPI_Type_create_keyval(MPI_TYPE_NULL_COPY_FN, on_delete, &keyval, NULL);
    }
    PMPI_Type_get_attr(type, keyval, &layout, &found);
    if (!found) {
        layout = make(type, false, why);
        if (layout != NULL) {
            PMPI_Type_set_attr(type, keyval, layout);
        }
    }
    if (layout != NULL) {
        atomic_fetch_add(&layout->users, 1);
    }
    pthread_mutex_unlock(&attribute_lock);
    return layout;
}

struct hth_layout *hth_layout_of(MPI_Datatype type, const char **why)
{
    int integers, addresses, types, combiner;
    *why = "out of memory";
    PMPI_Type_get_envelope(type, &integers, &addresses, &types, &combiner);
    return combiner == MPI_COMBINER_NAMED ? make(type, true, why) : kept(type, why);
}

void hth_layout_hull(MPI_Datatype type, MPI_Count count, MPI_Aint *lo_out, MPI_Aint *hi_out)
{
    MPI_Aint lb, span, least, extent;
    PMPI_Type_get_true_extent(type, &lb, &span);
    PMPI_Type_get_extent(type, &least, &extent);
    MPI_Aint last = (MPI_Aint)(count - 1) * extent;
    *lo_out = lb + (last < 0 ? last : 0);
    *hi_out = lb + span + (last > 0 ? last : 0);
}

/* The first bytes of one element. Byte i of the type map is the one where the number i comes out,
 * found a digit of 256 at a time. */
static bool copy_part(const struct hth_layout *layout, MPI_Datatype type, char *to,
                      const char *from, MPI_Count bytes)
{
    size_t n = (size_t)layout->bytes;
    unsigned char *packed = malloc(n);
    uint32_t *numbers = calloc(n, sizeof *numbers);
    bool done = packed != NULL && numbers != NULL;
    for (unsigned shift = 0; done && shift < 32 && (layout->bytes - 1) >> shift != 0; shift += 8) {
        for (size_t i = 0; i < n; i++) {
            packed[i] = (unsigned char)(i >> shift);
        }
        unsigned char *image = element_of(layout, type, packed);
        done = image != NULL;
        for (size_t run = 0, i = 0; done && run < layout->n_runs; run++) {
            for (size_t j = 0; j < layout->runs[run].bytes; j++, i++) {
                numbers[i] |= (uint32_t)image[layout->runs[run].at + (MPI_Aint)j] << shift;
            }
        }
        if (image != NULL) {
            munmap(image, (size_t)layout->span);
        }
    }
    for (size_t run = 0, i = 0; done && run < layout->n_runs; run++) {
        for (size_t j = 0; j < layout->runs[run].bytes; j++, i++) {
            if (numbers[i] < bytes) {
                MPI_Aint at = layout->lb + layout->runs[run].at + (MPI_Aint)j;
                hearth_wrap_copy(to + at, from + at, 1);
            }
        }
    }
    free(packed);
    free(numbers);
    return done;
}

bool hth_layout_copy(const struct hth_layout *layout, MPI_Datatype type, char *to, const char *from,
                     MPI_Count bytes)
{
    if (bytes == 0) {
        return true;
    }
    MPI_Count whole = bytes / layout->bytes, part = bytes % layout->bytes;
    if (layout->dense) {
        hearth_wrap_copy(to + layout->lb, from + layout->lb,
                         (size_t)(layout->named ? bytes : whole * layout->bytes));
        part = layout->named ? 0 : part;
    } else {
        for (MPI_Count i = 0; i < whole; i++) {
            MPI_Aint at = (MPI_Aint)i * layout->extent + layout->lb;
            for (size_t run = 0; run < layout->n_runs; run++) {
                hearth_wrap_copy(to + at + layout->runs[run].at, from + at + layout->runs[run].at,
                                 layout->runs[run].bytes);
            }
        }
    }
    MPI_Aint at = (MPI_Aint)whole * layout->extent;
    return part == 0 || copy_part(layout, type, to + at, from + at, part);
}
