/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "sim.h"

bool sim_unit_dropped(const struct sim_world *world, unsigned unit)
{
    for (; unit != 0; unit = world->program.parent[unit]) {
        if (world->dropped[unit / 8] >> unit % 8 & 1) {
            return true;
        }
    }
    return false;
}

static void print_access(const struct sim_world *world, const struct sim_op *op, const char *name)
{
    const struct sim_span *span = &world->program.spans[op->which];
    printf("%s%s %d/%u[%u", op->racy ? "racy-" : "", name, span->region, span->page,
           span->offset + op->offset);
    if (op->bytes > 1) {
        printf("..%u", span->offset + op->offset + op->bytes - 1u);
    }
    printf("]");
}

static void print_op(const struct sim_world *world, const struct sim_op *op)
{
    static const char *const write_names[] = {"write", "write-same", "write-back"};
    const struct sim_forget *forget;
    switch ((enum sim_op_kind)op->kind) {
    case SIM_READ:
        print_access(world, op, "read");
        break;
    case SIM_WRITE:
        print_access(world, op, write_names[op->how]);
        break;
    case SIM_ZERO:
        print_access(world, op, op->all ? "zero-page" : "zero");
        break;
    case SIM_LOCK:
        printf("lock %u", op->which);
        break;
    case SIM_UNLOCK:
        printf("unlock %u", op->which);
        break;
    case SIM_LOCAL_LOCK:
        printf("local-lock");
        break;
    case SIM_LOCAL_UNLOCK:
        printf("local-unlock");
        break;
    case SIM_SIGNAL:
        printf("%ssignal %u", op->how ? "local-" : "", op->which);
        break;
    case SIM_WAIT:
        printf("%swait %u", op->how ? "local-" : "", op->which);
        break;
    case SIM_RELEASE:
        printf("release");
        break;
    case SIM_ACQUIRE:
        printf("acquire");
        break;
    case SIM_ADVISE:
        printf("will %s %u/%u..%u", op->how ? "write" : "read", op->region, op->page,
               op->page + op->bytes - 1);
        break;
    case SIM_OVERWRITE:
        printf("overwrite %u/%u", world->program.spans[op->which].region,
               world->program.spans[op->which].page);
        break;
    case SIM_EVICT:
        printf("evict %u/%u", op->region, op->page);
        break;
    case SIM_BARRIER:
        forget = &world->program.forget[op->which];
        printf("barrier %u%s%s%s", op->which, forget->yes ? "+forget" : "",
               world->program.change[op->which].yes ? "+change" : "",
               world->program.place[op->which].yes ? "+place" : "");
        break;
    case SIM_PAUSE:
        printf("pause %u", op->bytes);
        break;
    case SIM_LITMUS_LINGER:
        printf("linger till the home has %c", "xyz"[op->which]);
        break;
    case SIM_LITMUS_LOAD:
        if (op->offset < SIM_LITMUS_FINALS) {
            printf("r%u = ", op->offset + 1u);
        }
        printf("%c", "xyz"[op->which]);
        break;
    case SIM_LITMUS_STORE:
        printf("%c = %u", "xyz"[op->which], op -> offset);
        break;
    }
}

static void print_vars(const struct sim_world *world)
{
    for (unsigned v = 0; v < world->litmus.test->n_vars; v++) {
        const struct sim_litmus_var *var = &world->litmus.vars[v];
        printf("  %c: page %u[%u], %u bytes, home PE %d; 0 is %02x\n", "xyz"[v], var -> page,
               var -> offset, var -> bytes, hth_homes_lookup(&world->ports[0].homes[0], var->page),
               world -> litmus.base);
    }
}

void sim_program_print(const struct sim_world *world)
{
    const struct sim_program *program = &world->program;
    if (world->litmus.test != NULL) {
        print_vars(world);
    }
    for (int thread = 0; thread < world->config.n_threads; thread++) {
        printf("  thread %d.%d:", program->pe_of[thread], thread);
        bool any = false;
        for (int i = 0; i < program->n_ops[thread]; i++) {
            const struct sim_op *op = &program->ops[thread][i];
            if (!sim_unit_dropped(world, op->unit)) {
                printf("%s ", any ? ";" : "");
                print_op(world, op);
                any = true;
            }
        }
        printf("%s\n", any ? "" : " nothing");
    }
    for (int i = 0; i < world->config.n_barriers; i++) {
        const struct sim_forget *forget = &program->forget[i];
        const struct sim_change *change = &program->change[i];
        if (change->yes) {
            printf("  change at barrier %d: region %d becomes %s%s\n", i, change->region,
                   sim_scheme_name(change->to), change->disturbed ? ", disturbed" : "");
        }
        if (program->place[i].yes) {
            const struct sim_place *place = &program->place[i];
            printf("  place at barrier %d: region %d, pages %llu to %llu, at PE %d%s\n", i,
                   place->region, (unsigned long long)place->first_page,
                   (unsigned long long)(place->first_page + place->n_pages - 1), place->pe,
                   !place->disturbed ? ""
                   : place->early    ? ", disturbed early"
                                     : ", disturbed");
        }
        if (forget->yes) {
            static const char *const deals[] = {"block", "cyclic", "fixed", "first-touch"};
            printf(
                "  forget at barrier %d: region %d, its collective pages, dealt anew: %s (%d)%s\n",
                i, forget->region, deals[forget->extent.deal], forget->extent.fixed_pe,
                forget->fences ? ", fences behind it" : "");
        }
    }
}
