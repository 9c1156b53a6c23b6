/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls with rules of their own: packing, where the position says how much; the buffer of buffered
 * sends, which MPI keeps; windows on shared memory, which cannot be. */
#include <pthread.h>
#include <stdlib.h>

#include "wrap/wrap.h"

/* --- packing --- */

/* The stand-in for the part of a packed buffer between two positions is the whole buffer's, but
 * what is copied is that part. */
static void part_out(void *to, const void *from, MPI_Aint start, MPI_Aint end)
{
    if (to != from && end > start) {
        hearth_wrap_copy((char *)to + start, (const char *)from + start, (size_t)(end - start));
    }
}

/* A stand-in for bytes that MPI will write some of; freed with the wrap. */
static void *written_bytes(struct hth_wrap *wrap, void *buffer, MPI_Count bytes)
{
    return hth_wrap_block(wrap, buffer, bytes, MPI_BYTE, 0);
}

int MPI_Pack(const void *inbuf, int incount, MPI_Datatype datatype, void *outbuf, int outsize,
             int *position, MPI_Comm comm)
{
    if (!hth_wrap_may(inbuf) && !hth_wrap_may(outbuf)) {
        return PMPI_Pack(inbuf, incount, datatype, outbuf, outsize, position, comm);
    }
    struct hth_wrap *wrap = hth_wrap_begin("MPI_Pack", false);
    void *inbuf_ = hth_wrap_block(wrap, inbuf, incount, datatype, HTH_IN);
    void *outbuf_ = written_bytes(wrap, outbuf, outsize);
    int start = *position;
    int rc = wrap->failed ? hth_wrap_refuse_comm(wrap, comm)
                          : PMPI_Pack(inbuf_, incount, datatype, outbuf_, outsize, position, comm);
    if (rc == MPI_SUCCESS) {
        part_out(outbuf, outbuf_, start, *position);
    }
    return hth_wrap_end(wrap, rc, NULL);
}

int MPI_Pack_external(const char datarep[], const void *inbuf, int incount, MPI_Datatype datatype,
                      void *outbuf, MPI_Aint outsize, MPI_Aint *position)
{
    if (!hth_wrap_may(inbuf) && !hth_wrap_may(outbuf)) {
        return PMPI_Pack_external(datarep, inbuf, incount, datatype, outbuf, outsize, position);
    }
    struct hth_wrap *wrap = hth_wrap_begin("MPI_Pack_external", false);
    void *inbuf_ = hth_wrap_block(wrap, inbuf, incount, datatype, HTH_IN);
    void *outbuf_ = written_bytes(wrap, outbuf, outsize);
    MPI_Aint start = *position;
    int rc = wrap->failed ? hth_wrap_refuse_comm(wrap, MPI_COMM_WORLD)
                          : PMPI_Pack_external(datarep, inbuf_, incount, datatype, outbuf_, outsize,
                                               position);
    if (rc == MPI_SUCCESS) {
        part_out(outbuf, outbuf_, start, *position);
    }
    return hth_wrap_end(wrap, rc, NULL);
}

int MPI_Unpack(const void *inbuf, int insize, int *position, void *outbuf, int outcount,
               MPI_Datatype datatype, MPI_Comm comm)
{
    if (!hth_wrap_may(inbuf) && !hth_wrap_may(outbuf)) {
        return PMPI_Unpack(inbuf, insize, position, outbuf, outcount, datatype, comm);
    }
    struct hth_wrap *wrap = hth_wrap_begin("MPI_Unpack", false);
    void *inbuf_ = hth_wrap_block(wrap, inbuf, insize, MPI_BYTE, HTH_IN);
    void *outbuf_ = hth_wrap_block(wrap, outbuf, outcount, datatype, HTH_OUT);
    int rc = wrap->failed
                 ? hth_wrap_refuse_comm(wrap, comm)
                 : PMPI_Unpack(inbuf_, insize, position, outbuf_, outcount, datatype, comm);
    return hth_wrap_end(wrap, rc, NULL);
}

int MPI_Unpack_external(const char datarep[], const void *inbuf, MPI_Aint insize,
                        MPI_Aint *position, void *outbuf, int outcount, MPI_Datatype datatype)
{
    if (!hth_wrap_may(inbuf) && !hth_wrap_may(outbuf)) {
        return PMPI_Unpack_external(datarep, inbuf, insize, position, outbuf, outcount, datatype);
    }
    struct hth_wrap *wrap = hth_wrap_begin("MPI_Unpack_external", false);
    void *inbuf_ = hth_wrap_block(wrap, inbuf, insize, MPI_BYTE, HTH_IN);
    void *outbuf_ = hth_wrap_block(wrap, outbuf, outcount, datatype, HTH_OUT);
    int rc = wrap->failed ? hth_wrap_refuse_comm(wrap, MPI_COMM_WORLD)
                          : PMPI_Unpack_external(datarep, inbuf_, insize, position, outbuf_,
                                                 outcount, datatype);
    return hth_wrap_end(wrap, rc, NULL);
}

/* --- the buffer of buffered sends: MPI gets one of ours for as long --- */

static struct {
    pthread_mutex_t lock;   /* guards the rest. Inside: what MPI_Buffer_attach takes */
    void *shared, *private; /* NULL: the buffer attached, if any, is private */
} attached = {.lock = PTHREAD_MUTEX_INITIALIZER};

int MPI_Buffer_attach(void *buffer, int size)
{
    if (!hth_wrap_shared(buffer) || size <= 0) {
        return PMPI_Buffer_attach(buffer, size);
    }
    void *private = malloc((size_t)size);
    if (private == NULL) {
        hth_wrap_say("MPI_Buffer_attach", "out of memory");
        PMPI_Comm_call_errhandler(MPI_COMM_WORLD, MPI_ERR_NO_MEM);
        return MPI_ERR_NO_MEM;
    }
    pthread_mutex_lock(&attached.lock);
    int rc = PMPI_Buffer_attach(private, size);
    if (rc == MPI_SUCCESS) {
        attached.shared = buffer;
        attached.private = private;
    } else {
        free(private);
    }
    pthread_mutex_unlock(&attached.lock);
    return rc;
}

/* Waits for the sends, so the lock is not held during the call. */
int MPI_Buffer_detach(void *buffer_addr, int *size)
{
    void *buffer = NULL;
    int rc = PMPI_Buffer_detach(&buffer, size);
    pthread_mutex_lock(&attached.lock);
    if (rc == MPI_SUCCESS && buffer != NULL && buffer == attached.private) {
        buffer = attached.shared;
        free(attached.private);
        attached.shared = attached.private = NULL;
    }
    pthread_mutex_unlock(&attached.lock);
    if (rc == MPI_SUCCESS) {
        *(void **)buffer_addr = buffer;
    }
    return rc;
}

/* --- windows --- */

static const char no_window[] =
    "a window on Hearth's shared memory cannot be: the other PEs would write it behind the "
    "protocol's back. They have the memory already, at the same address";

int MPI_Win_create(void *base, MPI_Aint size, int disp_unit, MPI_Info info, MPI_Comm comm,
                   MPI_Win *win)
{
    if (!hth_wrap_shared(base) || size == 0) {
        return PMPI_Win_create(base, size, disp_unit, info, comm, win);
    }
    hth_wrap_say("MPI_Win_create", no_window);
    PMPI_Comm_call_errhandler(comm, MPI_ERR_BASE);
    return MPI_ERR_BASE;
}

int MPI_Win_attach(MPI_Win win, void *base, MPI_Aint size)
{
    if (!hth_wrap_shared(base) || size == 0) {
        return PMPI_Win_attach(win, base, size);
    }
    hth_wrap_say("MPI_Win_attach", no_window);
    PMPI_Win_call_errhandler(win, MPI_ERR_BASE);
    return MPI_ERR_BASE;
}
