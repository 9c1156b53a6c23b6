/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that complete requests. While nothing is pending each costs a load more. */
#include <stdlib.h>

#include "wrap/wrap.h"

/* The wraps of an array of requests, taken, and statuses of our own if the program wants none. */
struct set {
    int n;
    struct hth_wrap **wraps; /* NULL: none of the requests has one */
    MPI_Status *statuses, *own;
};

static struct set take(int n, const MPI_Request *requests, MPI_Status *statuses)
{
    struct set set = {.n = n, .statuses = statuses};
    size_t size = n > 0 ? (size_t)n : 0;
    for (int i = 0; hth_pending_any() && i < n; i++) {
        struct hth_wrap *wrap = hth_pending_take(requests[i]);
        if (wrap == NULL) {
            continue;
        }
        if (set.wraps == NULL) {
            set.wraps = calloc(size, sizeof(struct hth_wrap *));
            set.own = statuses == MPI_STATUSES_IGNORE ? calloc(size, sizeof *set.own) : NULL;
            set.statuses = set.own != NULL ? set.own : statuses;
        }
        if (set.wraps == NULL || set.statuses == MPI_STATUSES_IGNORE) {
            hth_wrap_say("waiting for requests", "out of memory");
            abort();
        }
        set.wraps[i] = wrap;
    }
    return set;
}

static void complete(struct set *set, int i, const MPI_Status *status)
{
    if (set->wraps != NULL && set->wraps[i] != NULL) {
        hth_pending_complete(set->wraps[i], status);
        set->wraps[i] = NULL;
    }
}

/* What is not complete goes back. */
static void give_back(struct set *set)
{
    for (int i = 0; set->wraps != NULL && i < set->n; i++) {
        if (set->wraps[i] != NULL) {
            hth_pending_put(set->wraps[i]);
        }
    }
    free(set->wraps);
    free(set->own);
}

/* The call failed: some requests may be complete, or failed. */
static void sort_out(struct set *set, int rc, const MPI_Request *requests)
{
    for (int i = 0; set->wraps != NULL && i < set->n; i++) {
        int err = rc == MPI_ERR_IN_STATUS ? set->statuses[i].MPI_ERROR : MPI_ERR_OTHER;
        if (err == MPI_SUCCESS) {
            complete(set, i, &set->statuses[i]);
        } else if (set->wraps[i] != NULL && !set->wraps[i]->persistent &&
                   requests[i] == MPI_REQUEST_NULL) {
            complete(set, i, NULL);
        }
    }
}

int MPI_Waitall(int count, MPI_Request requests[], MPI_Status statuses[])
{
    struct set set = take(count, requests, statuses);
    int rc = PMPI_Waitall(count, requests, set.statuses);
    for (int i = 0; rc == MPI_SUCCESS && set.wraps != NULL && i < count; i++) {
        complete(&set, i, &set.statuses[i]);
    }
    if (rc != MPI_SUCCESS) {
        sort_out(&set, rc, requests);
    }
    give_back(&set);
    return rc;
}

int MPI_Testall(int count, MPI_Request requests[], int *flag, MPI_Status statuses[])
{
    struct set set = take(count, requests, statuses);
    int rc = PMPI_Testall(count, requests, flag, set.statuses);
    for (int i = 0; rc == MPI_SUCCESS && *flag && set.wraps != NULL && i < count; i++) {
        complete(&set, i, &set.statuses[i]);
    }
    if (rc != MPI_SUCCESS) {
        sort_out(&set, rc, requests);
    }
    give_back(&set);
    return rc;
}

/* One of several is complete, or (index MPI_UNDEFINED) none. */
static void one_done(struct set *set, int rc, int index, const MPI_Request *requests,
                     const MPI_Status *status)
{
    if (rc != MPI_SUCCESS) {
        sort_out(set, MPI_ERR_OTHER, requests);
    } else if (index != MPI_UNDEFINED) {
        complete(set, index, status);
    }
    give_back(set);
}

int MPI_Waitany(int count, MPI_Request requests[], int *index, MPI_Status *status)
{
    MPI_Status own = {0};
    MPI_Status *wanted = status == MPI_STATUS_IGNORE ? &own : status;
    struct set set = take(count, requests, wanted);
    int rc = PMPI_Waitany(count, requests, index, wanted);
    one_done(&set, rc, *index, requests, wanted);
    return rc;
}

int MPI_Testany(int count, MPI_Request requests[], int *index, int *flag, MPI_Status *status)
{
    MPI_Status own = {0};
    MPI_Status *wanted = status == MPI_STATUS_IGNORE ? &own : status;
    struct set set = take(count, requests, wanted);
    int rc = PMPI_Testany(count, requests, index, flag, wanted);
    one_done(&set, rc, rc == MPI_SUCCESS && *flag ? *index : MPI_UNDEFINED, requests, wanted);
    return rc;
}

/* Wait and Test are Waitany and Testany of one, but that MPI may treat errors differently. */
int MPI_Wait(MPI_Request *request, MPI_Status *status)
{
    MPI_Status own = {0};
    MPI_Status *wanted = status == MPI_STATUS_IGNORE ? &own : status;
    struct set set = take(1, request, wanted);
    int rc = PMPI_Wait(request, wanted);
    one_done(&set, rc, 0, request, wanted);
    return rc;
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    MPI_Status own = {0};
    MPI_Status *wanted = status == MPI_STATUS_IGNORE ? &own : status;
    struct set set = take(1, request, wanted);
    int rc = PMPI_Test(request, flag, wanted);
    one_done(&set, rc, rc == MPI_SUCCESS && *flag ? 0 : MPI_UNDEFINED, request, wanted);
    return rc;
}

static void some_done(struct set *set, int rc, int n_done, const int *indices,
                      const MPI_Request *requests)
{
    for (int k = 0; n_done != MPI_UNDEFINED && k < n_done; k++) {
        const MPI_Status *status = set->wraps != NULL ? &set->statuses[k] : NULL;
        bool failed = rc == MPI_ERR_IN_STATUS && status != NULL && status->MPI_ERROR != MPI_SUCCESS;
        complete(set, indices[k], failed ? NULL : status);
    }
    if (rc != MPI_SUCCESS && rc != MPI_ERR_IN_STATUS) {
        sort_out(set, MPI_ERR_OTHER, requests);
    }
    give_back(set);
}

int MPI_Waitsome(int incount, MPI_Request requests[], int *outcount, int indices[],
                 MPI_Status statuses[])
{
    struct set set = take(incount, requests, statuses);
    *outcount = 0;
    int rc = PMPI_Waitsome(incount, requests, outcount, indices, set.statuses);
    some_done(&set, rc, *outcount, indices, requests);
    return rc;
}

int MPI_Testsome(int incount, MPI_Request requests[], int *outcount, int indices[],
                 MPI_Status statuses[])
{
    struct set set = take(incount, requests, statuses);
    *outcount = 0;
    int rc = PMPI_Testsome(incount, requests, outcount, indices, set.statuses);
    some_done(&set, rc, *outcount, indices, requests);
    return rc;
}

/* The operation is complete, the request not freed: what was received can be read, once. */
int MPI_Request_get_status(MPI_Request request, int *flag, MPI_Status *status)
{
    MPI_Status own = {0};
    MPI_Status *wanted = status == MPI_STATUS_IGNORE ? &own : status;
    struct hth_wrap *wrap = hth_pending_any() ? hth_pending_take(request) : NULL;
    int rc = PMPI_Request_get_status(request, flag, wanted);
    if (wrap != NULL) {
        if (rc == MPI_SUCCESS && *flag) {
            hth_pending_deliver(wrap, wanted);
        }
        hth_pending_put(wrap);
    }
    return rc;
}

/* MPI goes on with a request that is freed, but nobody can be told when it is over: so it is freed
 * when that is seen. */
int MPI_Request_free(MPI_Request *request)
{
    struct hth_wrap *wrap = hth_pending_any() ? hth_pending_take(*request) : NULL;
    if (wrap == NULL) {
        return PMPI_Request_free(request);
    }
    if (wrap->persistent && !wrap->active) {
        hth_wrap_free(wrap);
        return PMPI_Request_free(request);
    }
    hth_pending_orphan(wrap);
    *request = MPI_REQUEST_NULL;
    return MPI_SUCCESS;
}

static void start(MPI_Request request)
{
    struct hth_wrap *wrap = hth_pending_any() ? hth_pending_take(request) : NULL;
    if (wrap != NULL) {
        hth_wrap_copy_in(wrap);
        wrap->active = true;
        wrap->delivered = false;
        hth_pending_put(wrap);
    }
}

int MPI_Start(MPI_Request *request)
{
    start(*request);
    return PMPI_Start(request);
}

int MPI_Startall(int count, MPI_Request requests[])
{
    for (int i = 0; i < count; i++) {
        start(requests[i]);
    }
    return PMPI_Startall(count, requests);
}
