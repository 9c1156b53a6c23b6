/* SPDX-License-Identifier: BSD-3-Clause */
/* Coroutines: a hand-written switch on x86-64, ucontext elsewhere and under address sanitizer
 * (which is told of each switch). */
#ifndef SIM_COROUTINE_H
#define SIM_COROUTINE_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifndef SIM_ASAN
#define SIM_ASAN 0
#endif

#if defined(__x86_64__) && !SIM_ASAN && !defined(SIM_UCONTEXT)
#define SIM_HAND_SWITCH 1
#else
#define SIM_HAND_SWITCH 0
#include <ucontext.h>
#endif

struct sim_context {
#if SIM_HAND_SWITCH
    void *sp; /* below it: the callee-saved registers and the return address */
#else
    ucontext_t context;
    void (*entry)(void *);
    void *arg;
    void *fake_stack; /* the sanitizer's */
#endif
    const void *stack; /* NULL for the main one until it is first left */
    size_t stack_bytes;
};

/* Begin at entry(arg) on the first switch to it; entry must not return. */
void sim_context_make(struct sim_context *context, void *stack, size_t bytes, void (*entry)(void *),
                      void *arg);
#if SIM_HAND_SWITCH
/* Call function(arg) with all that the callers keep in registers spilled to the stack first; all
 * that the callers may still need is then in [*live_out, top of the stack). */
void sim_context_spill(void (*function)(void *), void *arg, void **live_out);
#endif
void sim_context_switch(struct sim_context *from, struct sim_context *to);

#endif
