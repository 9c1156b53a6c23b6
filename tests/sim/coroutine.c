/* SPDX-License-Identifier: BSD-3-Clause */
#include "coroutine.h"

#include <stdint.h>
#include <stdlib.h>

#if SIM_HAND_SWITCH

/* sim_switch(void **save_sp, void *load_sp): the System V ABI's callee-saved registers; nobody here
 * changes the floating point modes. sim_start: the first return lands here. */
__asm__(".text\n"
        ".p2align 4\n"
        "sim_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".globl sim_context_spill\n"
        "sim_context_spill:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    movq $0, (%rsp)\n"
        "    movq %rsp, (%rdx)\n"
        "    movq %rdi, %rax\n"
        "    movq %rsi, %rdi\n"
        "    callq *%rax\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        "sim_start:\n"
        "    movq %r13, %rdi\n"
        "    callq *%r12\n"
        "    ud2\n");
void sim_switch(void **save_sp, void *load_sp);
void sim_start(void);

void sim_context_make(struct sim_context *context, void *stack, size_t bytes, void (*entry)(void *),
                      void *arg)
{
    /* From the lowest address up: r15 r14 r13 r12 rbx rbp, the return address, and a zero that ends
     * back traces; sp is 16-byte aligned when sim_start begins. */
    uint64_t *top = (uint64_t *)((uintptr_t)((char *)stack + bytes) & ~(uintptr_t)15);
    *--top = 0;
    *--top = 0;
    *--top = (uint64_t)(uintptr_t)sim_start;
    *--top = 0;
    *--top = 0;
    *--top = (uint64_t)(uintptr_t)entry;
    *--top = (uint64_t)(uintptr_t)arg;
    *--top = 0;
    *--top = 0;
    context->sp = top;
    context->stack = stack;
    context->stack_bytes = bytes;
}

void sim_context_switch(struct sim_context *from, struct sim_context *to)
{
    sim_switch(&from->sp, to->sp);
}

#else

#if SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

static struct sim_context
    *came_from; /* who switched last: its stack bounds are learnt on arrival */

static void arrive(struct sim_context *at)
{
#if SIM_ASAN
    const void *stack;
    size_t bytes;
    __sanitizer_finish_switch_fiber(at->fake_stack, &stack, &bytes);
    if (came_from->stack == NULL) {
        came_from->stack = stack;
        came_from->stack_bytes = bytes;
    }
#else
    (void)at;
#endif
}

static void start(unsigned high, unsigned low)
{
    struct sim_context *context = (struct sim_context *)((uintptr_t)high << 32 | low);
    arrive(context);
    context->entry(context->arg);
    abort();
}

void sim_context_make(struct sim_context *context, void *stack, size_t bytes, void (*entry)(void *),
                      void *arg)
{
    getcontext(&context->context);
    context->context.uc_stack.ss_sp = stack;
    context->context.uc_stack.ss_size = bytes;
    context->context.uc_link = NULL;
    context->entry = entry;
    context->arg = arg;
    context->fake_stack = NULL;
    context->stack = stack;
    context->stack_bytes = bytes;
    uintptr_t self = (uintptr_t)context;
    makecontext(&context->context, (void (*)(void))start, 2, (unsigned)(self >> 32),
                (unsigned)self);
}

void sim_context_switch(struct sim_context *from, struct sim_context *to)
{
    came_from = from;
#if SIM_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
    swapcontext(&from->context, &to->context);
    arrive(from);
}

#endif
