/* SPDX-License-Identifier: BSD-3-Clause */
/* The events of a run that is told again after it failed: recorded only then. */
#include <stdio.h>
#include <stdlib.h>

#include "protocol/sequential.h"
#include "protocol/update.h"
#include "sim.h"

enum { SEQUENTIAL_KIND = 100 };

static struct sim_event *events;
static size_t n_events, max_events;

void sim_trace_reset(void)
{
    n_events = 0;
}

void sim_trace(struct sim_world *world, int pe, enum sim_what what, int region, uint64_t page,
               int64_t a, int64_t b, int64_t c)
{
    if (!world->tracing || world->quiet) {
        return;
    }
    if (n_events == max_events) {
        max_events = max_events == 0 ? 4096 : 2 * max_events;
        events = realloc(events, max_events * sizeof *events);
        if (events == NULL) {
            abort();
        }
    }
    const struct sim_actor *actor = world->running;
    events[n_events++] = (struct sim_event){
        .step = world->steps,
        .pe = (int16_t)pe,
        .thread = actor == NULL || actor->pe != pe ? (int16_t)-2 : (int16_t)actor->thread,
        .what = (uint8_t)what,
        .region = (uint8_t)region,
        .in_handler = actor != NULL && actor->in_handler,
        .page = (uint32_t)page,
        .a = a,
        .b = b,
        .c = c};
}

static const char *state_name(int64_t state)
{
    static const char *const names[] = {"INVALID/EXCLUSIVE", "CLEAN", "DIRTY", "TRACKED",
                                        "WRITTEN",           "OWNED", "AWAY"};
    return state >= 0 && state < 7 ? names[state] : "?";
}

static void print_protocol(const struct sim_event *e)
{
    long long value = (long long)e->b;
    switch ((enum hth_event)e->a) {
    case HTH_EVENT_STATE:
        printf("state %s", state_name(e->b));
        break;
    case HTH_EVENT_REGISTER:
        printf("%s", value ? "registered" : "unregistered");
        break;
    case HTH_EVENT_FETCH:
        printf("fetched");
        break;
    case HTH_EVENT_DIFF:
        printf("diff of %lld", value);
        break;
    case HTH_EVENT_TELL:
        printf("tells PE %lld", value);
        break;
    case HTH_EVENT_TOLD:
        printf("was told");
        break;
    case HTH_EVENT_SUBSCRIBE:
        printf("PE %lld subscribed", value);
        break;
    case HTH_EVENT_UPDATE:
        printf(value < 0 ? "update from PE %lld applied or dropped" : "update to PE %lld",
               value < 0 ? ~value : value);
        break;
    case HTH_EVENT_UNSUBSCRIBE:
        printf("PE %lld unsubscribed", value);
        break;
    }
}

void sim_trace_message(struct sim_world *world, int pe, enum sim_what what, int other,
                       const void *message, size_t bytes)
{
    const struct hth_message_head *head = message;
    if (world->config.scheme[head->region] == SIM_SEQUENTIAL) {
        const struct hth_seq_head *seq = message;
        int64_t kind = (int64_t)(seq->kind + SEQUENTIAL_KIND);
        sim_trace(world, pe, what, (int)seq->region, seq->page, other, kind, (int64_t)bytes);
    } else {
        sim_trace(world, pe, what, -1, SIM_NO_PAGE, other, head->kind, (int64_t)bytes);
    }
}

static const char *message_name(int64_t kind)
{
    static const char *const sequential[] = {"READ",       "WRITE",   "DATA",   "GRANT",
                                             "INVALIDATE", "DROPPED", "RECALL", "RETURN",
                                             "WRITEBACK",  "WRITTEN"};
    if (kind >= SEQUENTIAL_KIND) {
        return sequential[kind - SEQUENTIAL_KIND];
    }
    switch ((enum hth_update_kind)kind) {
    case HTH_MSG_SUBSCRIBE:
        return "SUBSCRIBE";
    case HTH_MSG_UNSUBSCRIBE:
        return "UNSUBSCRIBE";
    case HTH_MSG_DATA:
        return "DATA";
    case HTH_MSG_DIFF:
        return "DIFF";
    case HTH_MSG_DIFF_ACK:
        return "DIFF_ACK";
    case HTH_MSG_UPDATE:
        return "UPDATE";
    case HTH_MSG_UPDATE_ACK:
        return "UPDATE_ACK";
    }
    return "message";
}

static void print_event(const struct sim_event *e)
{
    static const char *const views[] = {"none", "read", "write"};
    static const char *const rma[] = {"get", "put", "atomic"};
    long long a = (long long)e->a, b = (long long)e->b, c = (long long)e->c;
    switch ((enum sim_what)e->what) {
    case SIM_EV_PROTOCOL:
        print_protocol(e);
        break;
    case SIM_EV_PROTECT:
        printf("view %s", views[e->a]);
        break;
    case SIM_EV_PUNCH:
        printf("punch %lld pages", a);
        break;
    case SIM_EV_ISSUE:
        printf("issues %s at PE %lld, offset %lld", rma[e->a], b, c);
        break;
    case SIM_EV_EFFECT:
        printf("  %s takes effect at PE %lld, %s %lld", rma[e->a], b,
               e->a == SIM_WORD ? "word" : "offset", c);
        break;
    case SIM_EV_SEND:
        printf("sends %s to PE %lld (%lld bytes)", message_name(b), a, c);
        break;
    case SIM_EV_HANDLE:
        printf("handles %s from PE %lld", message_name(b), a);
        break;
    case SIM_EV_ALARM:
        printf("alarm");
        break;
    case SIM_EV_FAULT:
        printf("%s fault", e->a ? "write" : "read");
        break;
    case SIM_EV_FAULT_END:
        printf("%s fault served", e->a ? "write" : "read");
        break;
    case SIM_EV_LOAD:
        printf("loads byte %lld: %02llx", a, b);
        break;
    case SIM_EV_STORE:
        printf("stores byte %lld = %02llx", a, b);
        break;
    case SIM_EV_CALL:
        printf("-- %s", (const char *)(uintptr_t)e->a);
        break;
    case SIM_EV_DONE:
        printf("-- %s done", (const char *)(uintptr_t)e->a);
        break;
    }
}

static bool concerns(const struct sim_event *e, int region, uint64_t page)
{
    return region < 0 || e->page == SIM_NO_PAGE || (e->region == region && e->page == page);
}

void sim_trace_print(const struct sim_world *world, int region, uint64_t page, unsigned last)
{
    size_t first = n_events, left = last;
    while (first > 0 && left > 0) {
        left -= concerns(&events[--first], region, page);
    }
    for (size_t i = first; i < n_events; i++) {
        const struct sim_event *e = &events[i];
        if (!concerns(e, region, page)) {
            continue;
        }
        printf("  %6llu  PE %d", (unsigned long long)e->step, e->pe);
        if (e->thread >= 0) {
            printf(".%-3d", e->thread);
        } else {
            printf("    ");
        }
        printf("%s", e->in_handler ? "[handler] " : "");
        if (e->page != SIM_NO_PAGE) {
            printf("page %d/%u: ", e->region, e->page);
        }
        print_event(e);
        printf("\n");
    }
    (void)world;
}
