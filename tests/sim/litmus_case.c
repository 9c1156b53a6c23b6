/* SPDX-License-Identifier: BSD-3-Clause */
/* A litmus test as a program of the simulator:
 *
 *   first values   (in some runs) one PE stores 0 into all variables; 0 is another byte then
 *   barrier        some PEs load some of them: copies that may become stale
 *   barrier        the threads, each on a PE of its own; PEs without one write bytes of their own
 *   barrier        all PEs load the final values
 *
 * Between and within, as the seed wants: pauses, stray fences, evictions. They may forbid an
 * outcome, never allow one, so that each is a unit that shrinking may drop. What the variables hold
 * is not the oracle's business but the table's; the bystanders' bytes are the oracle's. */
#include "litmus_case.h"

#include <stdio.h>
#include <string.h>

#include "sim.h"

enum { BYSTANDERS_MAX = 2, PAGES = 6, OPS_ROOM = 80 };

struct maker {
    struct sim_world *world;
    struct sim_program *program;
    struct sim_litmus *litmus;
    struct sim_rng rng;
    int pe_of[LT_THREADS_MAX]; /* who plays which thread */
    unsigned stir_percent, linger_percent;
    uint16_t barrier;
};

/* --- the combinations --- */

unsigned sim_litmus_count(void)
{
    return lt_n_tests * LT_LAYOUTS * LT_EDGES * SIM_LITMUS_SCHEMES;
}

struct sim_litmus_id sim_litmus_id(unsigned number)
{
    struct sim_litmus_id id = {.scheme = (int)(number % SIM_LITMUS_SCHEMES)};
    number /= SIM_LITMUS_SCHEMES;
    id.edge = (enum lt_edge)(number % LT_EDGES);
    number /= LT_EDGES;
    id.layout = (enum lt_layout)(number % LT_LAYOUTS);
    id.test = &lt_tests[number / LT_LAYOUTS];
    return id;
}

static enum lt_protocol protocol_of(int scheme)
{
    return scheme == SIM_UPDATE ? LT_UPDATE : LT_INVALIDATE;
}

static enum lt_consistency consistency_of(int scheme)
{
    return scheme == SIM_SEQUENTIAL ? LT_SEQUENTIAL : LT_RELEASE;
}

void sim_litmus_name(unsigned number, char name[SIM_LITMUS_NAME_MAX])
{
    struct sim_litmus_id id = sim_litmus_id(number);
    snprintf(name, SIM_LITMUS_NAME_MAX, "%s/%s/%s/%s/%s", id.test->name, lt_layout_name(id.layout),
             lt_edge_name(id.edge), lt_protocol_name(protocol_of(id.scheme)),
             lt_consistency_name(consistency_of(id.scheme)));
}

int sim_litmus_parse(const char *text, const char **end_out)
{
    for (unsigned i = 0; i < sim_litmus_count(); i++) {
        char name[SIM_LITMUS_NAME_MAX];
        sim_litmus_name(i, name);
        size_t len = strlen(name);
        if (strncmp(text, name, len) == 0 && text[len] == ':') {
            *end_out = text + len + 1;
            return (int)i;
        }
    }
    return -1;
}

/* --- drawing --- */

static void emit(struct maker *m, int thread, struct sim_op op)
{
    m->program->ops[thread][m->program->n_ops[thread]++] = op;
}

static uint16_t new_unit(struct maker *m)
{
    return (uint16_t)m->program->n_units++;
}

static void draw_config(struct maker *m, const struct sim_case *what, struct sim_litmus_id id)
{
    struct sim_config *config = &m->world->config;
    int threads = (int)id.test->n_threads;
    *config = (struct sim_config){.seed = what->seed, .n_regions = 1, .values = 256};
    config->n_pes = threads;
    if (sim_chance(&m->rng, 40)) {
        config->n_pes += (int)sim_between(&m->rng, 1, BYSTANDERS_MAX);
    }
    if (what->options.pes >= threads && what->options.pes <= threads + BYSTANDERS_MAX) {
        config->n_pes = what->options.pes;
    }
    config->n_threads = config->n_pes;
    for (int pe = 0; pe < config->n_pes; pe++) {
        config->threads_of[pe] = 1;
    }
    config->scheme[0] = (enum sim_scheme)id.scheme;
    config->page_bytes = sim_chance(&m->rng, 70) ? 64 : 128;
    config->collective_pages = PAGES;
    config->solo_pages = 1;
    config->deal = sim_chance(&m->rng, 70) ? HTH_DEAL_CYCLIC : (enum hth_deal)sim_below(&m->rng, 3);
    config->fixed_pe = (int)sim_below(&m->rng, (unsigned)config->n_pes);
    sim_config_draw_schedule(config, &m->rng);
    if (sim_chance(&m->rng, 50)) { /* messages that come late: stores that some see before others */
        config->hold_percent = sim_between(&m->rng, 20, 60);
        config->hold_steps_max = 64u << sim_below(&m->rng, 4);
    }
    config->step_ns = sim_chance(&m->rng, 50) ? 100 : 10000;
    config->n_locks = LT_VARS_MAX;
    config->n_groups = 1;
    if (what->options.steps > 0) {
        config->steps_max = what->options.steps;
    }
}

static void place_vars(struct maker *m)
{
    const struct sim_config *config = &m->world->config;
    unsigned words = (unsigned)(config->page_bytes / 8);
    uint32_t page = sim_below(&m->rng, PAGES), word = sim_below(&m->rng, words);
    for (unsigned v = 0; v < m->litmus->test->n_vars; v++) {
        struct sim_litmus_var *var = &m->litmus->vars[v];
        *var = (struct sim_litmus_var){page, 8 * ((word + v) % words), 8};
        if (m->litmus->layout == LT_ONE_WORD) {
            *var = (struct sim_litmus_var){page, 8 * word + v, 1};
        } else if (m->litmus->layout == LT_TWO_PAGES) {
            var->page = (page + v * sim_between(&m->rng, 1, 2)) % PAGES;
            for (unsigned before = 0; before < v; before++) {
                if (m->litmus->vars[before].page == var->page) {
                    var->page = (var->page + 1) % PAGES;
                    before = UINT32_MAX; /* from the start */
                }
            }
        }
    }
}

/* A byte beside x for each PE that has no thread. */
static void place_bystanders(struct maker *m)
{
    const struct sim_config *config = &m->world->config;
    const struct sim_litmus_var *x = &m->litmus->vars[0];
    for (int i = 0; i < config->n_pes - (int)m->litmus->test->n_threads; i++) {
        uint32_t offset =
            m->litmus->layout == LT_ONE_WORD
                ? (x->offset & ~7u) + LT_VARS_MAX + (uint32_t)i
                : (uint32_t)((x->offset + 8u * (LT_VARS_MAX + (unsigned)i)) % config->page_bytes);
        m->program->spans[i] = (struct sim_span){
            .group = 0, .first_byte = (uint16_t)i, .bytes = 1, .page = x->page, .offset = offset};
        m->program->n_spans = m->program->n_bytes = i + 1;
    }
}

static void cast(struct maker *m)
{
    int n = m->world->config.n_pes, pes[LT_THREADS_MAX + BYSTANDERS_MAX];
    for (int i = 0; i < n; i++) {
        pes[i] = i;
    }
    for (int i = n - 1; i > 0; i--) {
        int j = (int)sim_below(&m->rng, (unsigned)i + 1), pe = pes[i];
        pes[i] = pes[j];
        pes[j] = pe;
    }
    for (unsigned t = 0; t < m->litmus->test->n_threads; t++) {
        m->pe_of[t] = pes[t];
    }
}

/* The test's thread that this PE plays, or -1. */
static int part_of(const struct maker *m, int pe)
{
    for (unsigned t = 0; t < m->litmus->test->n_threads; t++) {
        if (m->pe_of[t] == pe) {
            return (int)t;
        }
    }
    return -1;
}

/* --- the program --- */

static void stir(struct maker *m, int pe)
{
    if (!sim_chance(&m->rng, m->stir_percent)) {
        return;
    }
    struct sim_op op = {.kind = SIM_PAUSE, .unit = new_unit(m)};
    switch (sim_below(&m->rng, 5)) {
    case 0:
        op.kind = SIM_RELEASE;
        break;
    case 1:
        op.kind = SIM_ACQUIRE;
        break;
    case 2:
        op.kind = SIM_EVICT;
        op.page = m->litmus->vars[sim_below(&m->rng, m->litmus->test->n_vars)].page;
        break;
    default:
        op.bytes = (uint16_t)(1 + sim_below(&m->rng, 4u << sim_below(&m->rng, 7)));
    }
    emit(m, pe, op);
}

/* In some runs a thread waits with a load for as long as it takes a store to come to the home, but
 * not for ever: in the moment after that PEs differ most. */
static void linger(struct maker *m, int pe, const struct lt_op *op)
{
    if (op->kind == LT_LOAD && sim_chance(&m->rng, m->linger_percent)) {
        emit(m, pe,
             (struct sim_op){.kind = SIM_LITMUS_LINGER,
                             .unit = new_unit(m),
                             .which = op->var,
                             .bytes = (uint16_t)(1 + sim_below(&m->rng, 2000))});
    }
}

static void barrier(struct maker *m)
{
    for (int pe = 0; pe < m->world->config.n_pes; pe++) {
        emit(m, pe, (struct sim_op){.kind = SIM_BARRIER, .which = m->barrier});
    }
    m->barrier++;
}

static struct sim_op access_to(unsigned var, bool store, unsigned what)
{
    return (struct sim_op){.kind = store ? SIM_LITMUS_STORE : SIM_LITMUS_LOAD,
                           .which = (uint16_t)var,
                           .offset = (uint16_t)what};
}

static void make_first(struct maker *m)
{
    unsigned n_vars = m->litmus->test->n_vars;
    int n_pes = m->world->config.n_pes;
    if (sim_chance(&m->rng, 60)) {
        int pe = (int)sim_below(&m->rng, (unsigned)n_pes);
        m->litmus->base = (uint8_t)((LT_VALUE_MAX + 1) * sim_between(&m->rng, 1, 62));
        for (unsigned v = 0; v < n_vars; v++) {
            emit(m, pe, access_to(v, true, 0));
        }
        barrier(m);
    }

    unsigned percent = 25 * sim_below(&m->rng, 5);
    for (int pe = 0; pe < n_pes; pe++) {
        for (unsigned v = 0; v < n_vars; v++) {
            if (sim_chance(&m->rng, percent)) {
                struct sim_op op = access_to(v, false, SIM_LITMUS_FIRST);
                op.unit = new_unit(m);
                emit(m, pe, op);
            }
        }
    }
    barrier(m);
}

/* One operation of a thread, with what the edge puts around it. */
static void make_op(struct maker *m, int pe, const struct lt_op *op)
{
    enum lt_edge edge = m->litmus->edge;
    if (edge == LT_FENCE) {
        emit(m, pe, (struct sim_op){.kind = SIM_ACQUIRE});
    } else if (edge == LT_LOCK) {
        emit(m, pe, (struct sim_op){.kind = SIM_LOCK, .which = op->var});
    }
    emit(m, pe, access_to(op->var, op->kind == LT_STORE, op->what));
    if (edge == LT_FENCE) {
        emit(m, pe, (struct sim_op){.kind = SIM_RELEASE});
    } else if (edge == LT_LOCK) {
        stir(m, pe);
        emit(m, pe, (struct sim_op){.kind = SIM_UNLOCK, .which = op->var});
    }
}

static void make_bystander(struct maker *m, int pe, int number)
{
    for (int i = 0; i < 3; i++) {
        stir(m, pe);
        emit(m, pe,
             (struct sim_op){
                 .kind = SIM_WRITE, .which = (uint16_t)number, .bytes = 1, .unit = new_unit(m)});
    }
}

static void make_parts(struct maker *m, unsigned phase)
{
    const struct lt_test *test = m->litmus->test;
    int bystander = 0;
    for (int pe = 0; pe < m->world->config.n_pes; pe++) {
        int part = part_of(m, pe);
        if (part < 0) {
            make_bystander(m, pe, bystander++);
            continue;
        }
        stir(m, pe);
        for (unsigned i = 0; i < lt_n_ops(test, (unsigned)part); i++) {
            const struct lt_op *op = &test->ops[part][i];
            if (m->litmus->edge != LT_BARRIER || op->phase == phase) {
                linger(m, pe, op);
                make_op(m, pe, op);
                stir(m, pe);
            }
        }
    }
}

static void make_finals(struct maker *m)
{
    unsigned n_vars = m->litmus->test->n_vars;
    for (int pe = 0; pe < m->world->config.n_pes; pe++) {
        unsigned first = sim_below(&m->rng, n_vars);
        for (unsigned v = 0; v < n_vars; v++) {
            unsigned var = (first + v) % n_vars;
            emit(m, pe, access_to(var, false, SIM_LITMUS_FINALS + var));
        }
        for (int i = 0; i < m->program->n_spans; i++) {
            emit(m, pe, (struct sim_op){.kind = SIM_READ, .which = (uint16_t)i, .bytes = 1});
        }
    }
}

void sim_litmus_draw(struct sim_world *world, const struct sim_case *what)
{
    struct sim_litmus_id id = sim_litmus_id((unsigned)what->litmus - 1);
    struct maker maker = {.world = world, .program = &world->program, .litmus = &world->litmus};
    struct maker *m = &maker;
    m->rng.state = what->seed * 4 + 1;
    *m->litmus = (struct sim_litmus){.test = id.test, .edge = id.edge, .layout = id.layout};
    draw_config(m, what, id);
    cast(m);
    place_vars(m);
    place_bystanders(m);
    m->stir_percent = sim_chance(&m->rng, 20) ? 0 : sim_between(&m->rng, 5, 70);
    m->linger_percent = sim_chance(&m->rng, 30) ? 0 : sim_between(&m->rng, 20, 100);
    m->program->n_units = 1;
    for (int pe = 0; pe < world->config.n_pes; pe++) {
        m->program->ops[pe] = sim_arena(OPS_ROOM * sizeof(struct sim_op));
        m->program->pe_of[pe] = pe;
    }
    make_first(m);
    unsigned phases = id.edge == LT_BARRIER ? lt_n_phases(id.test) : 1;
    for (unsigned phase = 0; phase < phases; phase++) {
        make_parts(m, phase);
        barrier(m);
    }
    make_finals(m);
    world->config.n_barriers = m->barrier;
}

/* --- the run --- */

struct lingering {
    struct sim_world *world;
    uint64_t until_step;
    unsigned var;
};

static bool has_lingered(const void *arg)
{
    const struct lingering *l = arg;
    const struct sim_litmus_var *var = &l->world->litmus.vars[l->var];
    int home = sim_home_of(l->world, 0, var->page);
    return l->world->litmus.impatient || l->world->steps > l->until_step ||
           hth_frame(&l->world->ports[home].region[0], var->page)[var->offset] !=
               l->world->litmus.base;
}

void sim_litmus_linger(struct sim_actor *actor, const struct sim_op *op)
{
    struct sim_world *world = actor->world;
    struct lingering lingering = {world, world->steps + op->bytes, op->which};
    sim_block_on(&world->ports[actor->pe], has_lingered, &lingering);
}

unsigned sim_litmus_decode(const struct sim_litmus *litmus, unsigned var, const uint8_t *at)
{
    unsigned values = lt_values(litmus->test, var), code = UINT32_MAX;
    for (unsigned i = 0; i < litmus->vars[var].bytes; i++) {
        unsigned value = (unsigned)(uint8_t)(at[i] - litmus->base);
        if (value > LT_VALUE_MAX || (values >> value & 1) == 0) {
            return SIM_LITMUS_WRONG;
        }
        code = code == UINT32_MAX || code == value ? value : SIM_LITMUS_MIXED;
    }
    return code;
}

void sim_litmus_see(struct sim_litmus *litmus, unsigned var, unsigned code)
{
    uint8_t seen = (uint8_t)(1 + code);
    if (litmus->least[var] == 0 || seen < litmus->least[var]) {
        litmus->least[var] = seen;
    }
    if (seen > litmus->greatest[var]) {
        litmus->greatest[var] = seen;
    }
}

void sim_litmus_load(struct sim_actor *actor, const struct sim_op *op, const uint8_t *at)
{
    struct sim_world *world = actor->world;
    struct sim_litmus *litmus = &world->litmus;
    const struct sim_litmus_var *var = &litmus->vars[op->which];
    unsigned code = sim_litmus_decode(litmus, op->which, at);
    sim_trace(world, actor->pe, SIM_EV_LOAD, 0, var->page, var->offset, at[0], 0);
    world->n_reads++;
    if (op->offset < LT_REGS_MAX) {
        litmus->regs[op->offset] = (uint8_t)(1 + code);
    } else if (op->offset < SIM_LITMUS_FIRST) {
        sim_litmus_see(litmus, op->which, code);
    } else if (code != 0) {
        sim_fail(world, SIM_INV_LITMUS, actor->pe, 0, var->page,
                 "variable %c has not its first value %02x, but %02x", "xyz"[op->which],
                 litmus -> base, at[0]);
    }
}

void sim_litmus_store(struct sim_actor *actor, const struct sim_op *op, uint8_t *at)
{
    struct sim_litmus *litmus = &actor->world->litmus;
    const struct sim_litmus_var *var = &litmus->vars[op->which];
    memset(at, litmus->base + op->offset, var->bytes);
    sim_trace(actor->world, actor->pe, SIM_EV_STORE, 0, var->page, var->offset, at[0], 0);
    actor->world->n_writes++;
}

static char letter(unsigned code)
{
    if (code >= 1 && code <= 1 + LT_VALUE_MAX) {
        return (char)('0' + code - 1);
    }
    return code == 1 + SIM_LITMUS_MIXED ? '~' : '?';
}

/* As ../litmus/share.c has it. */
static char final_letter(unsigned least, unsigned greatest)
{
    if (least == greatest) {
        return letter(greatest);
    }
    return least < 2 || greatest > 1 + SIM_LITMUS_MIXED ? '?' : '!';
}

void sim_litmus_judge(struct sim_world *world)
{
    struct sim_litmus *litmus = &world->litmus;
    const struct lt_test *test = litmus->test;
    char *text = litmus->outcome;
    int scheme = (int)world->config.scheme[0], lost = -1;
    memset(text, 0, sizeof litmus->outcome);
    for (unsigned r = 0; r < test->n_regs; r++) {
        *text++ = letter(litmus->regs[r]);
    }
    for (unsigned v = 0; v < test->n_vars; v++) {
        char c = final_letter(litmus->least[v], litmus->greatest[v]);
        int last = lt_last_value(test, v);
        if (test->shows_final) {
            *text++ = c;
        }
        if (last >= 0 && c != '0' + last) {
            lost = (int)v;
        }
    }
    litmus->verdict =
        lt_judge(test, litmus->edge, protocol_of(scheme), consistency_of(scheme), litmus->outcome);
    if (litmus->verdict == LT_FORBIDDEN) {
        sim_fail(world, SIM_INV_LITMUS, -1, 0, litmus->vars[0].page, "%s: %s is forbidden",
                 test->name, litmus->outcome);
    } else if (lost >= 0) {
        litmus->verdict = LT_FORBIDDEN;
        sim_fail(world, SIM_INV_LITMUS, -1, 0, litmus->vars[lost].page,
                 "%s: the last store to %c is lost", test->name, "xyz"[lost]);
    }
}
