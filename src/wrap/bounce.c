/* SPDX-License-Identifier: BSD-3-Clause */
/* Stand-ins for shared buffers. One for each buffer argument: it spans all the blocks of a v or w
 * call, so that MPI's displacements hold in it. What lies between the blocks is never read. */
#include <hearth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wrap/wrap.h"

#define ALIGN 64u /* a stand-in lies to a line of the cache as its buffer does */

/* Freed with the wrap. */
struct hth_storage {
    struct hth_storage *next;
    char bytes[];
};

void hth_wrap_say(const char *call, const char *what)
{
    fprintf(stderr, "hearth: PE %d: %s: %s\n", hearth_my_pe(), call, what);
}

static void fail(struct hth_wrap *wrap, int error, const char *what)
{
    hth_wrap_say(wrap->call, what);
    wrap->failed = true;
    wrap->error = error;
}

struct hth_wrap *hth_wrap_begin(const char *call, bool persistent)
{
    struct hth_wrap *wrap = calloc(1, sizeof *wrap);
    if (wrap == NULL) {
        hth_wrap_say(call, "out of memory");
        abort();
    }
    wrap->call = call;
    wrap->persistent = persistent;
    wrap->window = MPI_WIN_NULL;
    return wrap;
}

/* Untouched memory costs nothing: malloc maps what is large. */
static char *store(struct hth_wrap *wrap, size_t bytes)
{
    struct hth_storage *storage = malloc(sizeof *storage + bytes + ALIGN);
    if (storage == NULL) {
        fail(wrap, MPI_ERR_NO_MEM,
             "out of memory for the private stand-in of a shared buffer (docs/mpi-and-io.md)");
        return NULL;
    }
    storage->next = wrap->storage;
    wrap->storage = storage;
    return storage->bytes;
}

/* What MPI is to be told instead of `buffer`, whose bytes lie from lo to hi. */
static char *stand_in(struct hth_wrap *wrap, const char *buffer, uintptr_t lo, uintptr_t hi)
{
    char *bytes = store(wrap, hi - lo);
    if (bytes == NULL) {
        return NULL;
    }
    uintptr_t shift = (lo - (uintptr_t)bytes) % ALIGN;
    return bytes + shift + ((uintptr_t)buffer - lo);
}

enum hth_cover hth_wrap_cover(uintptr_t from, uintptr_t to)
{
    const struct hearth_wrap_range *range = &hearth_wrap_range;
    uintptr_t starts[] = {range->base, range->globals};
    uintptr_t ends[] = {range->base + range->bytes, range->globals + range->globals_bytes};
    for (int i = 0; i < 2; i++) {
        if (to > starts[i] && from < ends[i]) {
            return from >= starts[i] && to <= ends[i] ? HTH_SHARED : HTH_MIXED;
        }
    }
    return HTH_PRIVATE;
}

/* Is this stretch to be copied? If some of it is shared and some not, nothing can be done. */
static bool is_ours(struct hth_wrap *wrap, uintptr_t lo, uintptr_t hi)
{
    enum hth_cover cover = hth_wrap_cover(lo, hi);
    if (cover == HTH_MIXED) {
        fail(wrap, MPI_ERR_BUFFER,
             "one buffer of shared and of private memory (MPI_BOTTOM, or past the end of shared "
             "memory): make two calls, or copy through private memory");
    }
    return cover == HTH_SHARED;
}

static bool add_piece(struct hth_wrap *wrap, const char *buffer, char *private, MPI_Count count,
                      struct hth_layout *layout, MPI_Datatype type, unsigned how)
{
    struct hth_piece *piece = malloc(sizeof *piece);
    if (piece == NULL) {
        hth_layout_drop(layout);
        fail(wrap, MPI_ERR_NO_MEM, "out of memory");
        return false;
    }
    *piece = (struct hth_piece){wrap->pieces, (char *)(uintptr_t)buffer, private, count,
                                layout,       MPI_DATATYPE_NULL,         how};
    if ((how & HTH_COUNTED) != 0 && !layout->named) {
        PMPI_Type_dup(type, &piece->type); /* the program may free its own before the end */
    }
    wrap->pieces = piece;
    if ((how & HTH_IN) != 0 && !wrap->persistent) {
        hth_layout_copy(layout, type, private, buffer, count * layout->bytes);
    }
    return true;
}

void *hth_wrap_block(struct hth_wrap *wrap, const void *buffer, MPI_Count count, MPI_Datatype type,
                     unsigned how)
{
    const char *why;
    if (!hth_wrap_may(buffer) || buffer == MPI_IN_PLACE || count <= 0 || wrap->failed) {
        return (void *)(uintptr_t)buffer;
    }
    MPI_Aint lo, hi;
    hth_layout_hull(type, count, &lo, &hi);
    uintptr_t from = (uintptr_t)buffer + (uintptr_t)lo, to = (uintptr_t)buffer + (uintptr_t)hi;
    bool touches = buffer != MPI_BOTTOM || hth_layout_touches(NULL, count, type);
    if (hi <= lo || !touches || !is_ours(wrap, from, to)) {
        return (void *)(uintptr_t)buffer;
    }
    struct hth_layout *layout = hth_layout_of(type, &why);
    if (layout == NULL) {
        fail(wrap, MPI_ERR_TYPE, why);
        return (void *)(uintptr_t)buffer;
    }
    char *private = stand_in(wrap, buffer, from, to);
    if (private == NULL) {
        hth_layout_drop(layout);
        return (void *)(uintptr_t)buffer;
    }
    add_piece(wrap, buffer, private, count, layout, type, how);
    return private;
}

/* --- the v and w calls --- */

static MPI_Datatype type_of(const struct hth_blocks *blocks, int i)
{
    return blocks->types != NULL ? blocks->types[i] : blocks->type;
}

static MPI_Aint place_of(const struct hth_blocks *blocks, int i, const struct hth_layout *layout)
{
    if (blocks->places != NULL) {
        return blocks->places[i];
    }
    return blocks->displs[i] * (blocks->types != NULL ? 1 : layout->extent);
}

/* Each block's layout, and from where to where they go together. False: no block has a byte, or it
 * failed. */
static bool span_blocks(struct hth_wrap *wrap, const char *buffer, const struct hth_blocks *blocks,
                        struct hth_layout **layouts, uintptr_t *from_out, uintptr_t *to_out)
{
    *from_out = UINTPTR_MAX;
    *to_out = 0;
    for (int i = 0; i < blocks->n; i++) {
        const char *why;
        if (blocks->counts[i] <= 0) {
            continue;
        }
        layouts[i] = hth_layout_of(type_of(blocks, i), &why);
        if (layouts[i] == NULL) {
            fail(wrap, MPI_ERR_TYPE, why);
            return false;
        }
        if (layouts[i]->bytes == 0) {
            continue;
        }
        MPI_Aint lo, hi;
        hth_layout_hull(type_of(blocks, i), blocks->counts[i], &lo, &hi);
        uintptr_t at = (uintptr_t)buffer + (uintptr_t)place_of(blocks, i, layouts[i]);
        *from_out = at + (uintptr_t)lo < *from_out ? at + (uintptr_t)lo : *from_out;
        *to_out = at + (uintptr_t)hi > *to_out ? at + (uintptr_t)hi : *to_out;
    }
    return *from_out < *to_out;
}

void *hth_wrap_blocks(struct hth_wrap *wrap, const void *buffer, struct hth_blocks blocks,
                      unsigned how)
{
    if (!hth_wrap_may(buffer) || buffer == MPI_IN_PLACE || blocks.n <= 0 || wrap->failed) {
        return (void *)(uintptr_t)buffer;
    }
    struct hth_layout **layouts = calloc((size_t)blocks.n, sizeof(struct hth_layout *));
    if (layouts == NULL) {
        fail(wrap, MPI_ERR_NO_MEM, "out of memory");
        return (void *)(uintptr_t)buffer;
    }
    uintptr_t from, to;
    char *private = NULL;
    if (span_blocks(wrap, buffer, &blocks, layouts, &from, &to) && is_ours(wrap, from, to)) {
        private = stand_in(wrap, buffer, from, to);
    }
    for (int i = 0; i < blocks.n; i++) {
        if (layouts[i] != NULL && private != NULL && !wrap->failed) {
            MPI_Aint at = place_of(&blocks, i, layouts[i]);
            add_piece(wrap, (const char *)buffer + at, private + at, blocks.counts[i], layouts[i],
                      type_of(&blocks, i), how);
        } else {
            hth_layout_drop(layouts[i]);
        }
    }
    free(layouts);
    return private != NULL ? private : (void *)(uintptr_t)buffer;
}

const void *hth_wrap_array(struct hth_wrap *wrap, const void *array, int n, size_t each)
{
    if (!hth_wrap_shared(array) || n <= 0 || wrap->failed) {
        return array;
    }
    char *copy = store(wrap, (size_t)n * each);
    if (copy != NULL) {
        hearth_wrap_copy(copy, array, (size_t)n * each);
    }
    return copy != NULL ? copy : array;
}

/* --- the end --- */

int hth_wrap_refuse_comm(struct hth_wrap *wrap, MPI_Comm comm)
{
    PMPI_Comm_call_errhandler(comm, wrap->error);
    return wrap->error;
}

int hth_wrap_refuse_win(struct hth_wrap *wrap, MPI_Win window)
{
    PMPI_Win_call_errhandler(window, wrap->error);
    return wrap->error;
}

int hth_wrap_refuse_file(struct hth_wrap *wrap, MPI_File file)
{
    PMPI_File_call_errhandler(file, wrap->error);
    return wrap->error;
}

void hth_wrap_copy_in(struct hth_wrap *wrap)
{
    for (const struct hth_piece *piece = wrap->pieces; piece != NULL; piece = piece->next) {
        if ((piece->how & HTH_IN) != 0) {
            hth_layout_copy(piece->layout, piece->type, piece->private, piece->shared,
                            piece->count * piece->layout->bytes);
        }
    }
}

/* How many bytes were received. */
static MPI_Count received(const MPI_Status *status, MPI_Count most)
{
    MPI_Count bytes = 0;
    PMPI_Get_elements_x(status, MPI_BYTE, &bytes);
    return bytes < 0 || bytes > most ? most : bytes;
}

void hth_wrap_copy_out(struct hth_wrap *wrap, const MPI_Status *status)
{
    for (const struct hth_piece *piece = wrap->pieces; piece != NULL; piece = piece->next) {
        MPI_Count bytes = piece->count * piece->layout->bytes;
        if ((piece->how & HTH_COUNTED) != 0) {
            bytes = received(status, bytes);
        }
        if ((piece->how & HTH_OUT) != 0 &&
            !hth_layout_copy(piece->layout, piece->type, piece->shared, piece->private, bytes)) {
            hth_wrap_say(wrap->call, "out of memory for the last, partial element");
            abort();
        }
    }
}

void hth_wrap_free(struct hth_wrap *wrap)
{
    while (wrap->pieces != NULL) {
        struct hth_piece *piece = wrap->pieces;
        wrap->pieces = piece->next;
        if (piece->type != MPI_DATATYPE_NULL) {
            PMPI_Type_free(&piece->type);
        }
        hth_layout_drop(piece->layout);
        free(piece);
    }
    while (wrap->storage != NULL) {
        struct hth_storage *storage = wrap->storage;
        wrap->storage = storage->next;
        free(storage);
    }
    free(wrap);
}

int hth_wrap_end(struct hth_wrap *wrap, int rc, const MPI_Status *status)
{
    if (rc == MPI_SUCCESS && !wrap->failed) {
        hth_wrap_copy_out(wrap, status);
    }
    hth_wrap_free(wrap);
    return rc;
}
