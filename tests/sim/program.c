/* SPDX-License-Identifier: BSD-3-Clause */
/* Random programs that are data-race-free by construction (and the oracle checks that they are),
 * but for groups in sequential regions that anyone may access at any time.
 *
 * A program is phases, with a barrier behind each. Each byte that it uses is in a group, and in
 * each phase a group is guarded by a lock, or shared by the threads of one PE under a local mutex,
 * or read only, or owned: a phase is one or more rounds, and an owner hands a group to another
 * thread between two rounds by raising a flag. Groups are scattered: neighbouring bytes of one word
 * belong to different ones. */
#include <string.h>

#include "sim.h"

enum group_mode { GUARDED, LOCAL, READ_ONLY, OWNED, RACY };
enum { ROUNDS_MAX = 3 };

struct maker {
    const struct sim_config *config;
    struct sim_program *program;
    struct sim_rng rng;
    enum sim_scheme scheme[SIM_REGIONS_MAX]; /* in this phase */
    uint16_t phase_unit;
    enum group_mode mode[SIM_GROUPS_MAX];
    int lock[SIM_GROUPS_MAX], pe[SIM_GROUPS_MAX], owner[SIM_GROUPS_MAX];
    uint16_t owner_unit[SIM_GROUPS_MAX];
    int n_flags;
};

static uint64_t n_pages(const struct sim_config *config)
{
    return config->collective_pages + config->solo_pages * (uint64_t)config->n_pes;
}

static uint16_t new_unit(struct maker *m, uint16_t parent)
{
    if (m->program->n_units == SIM_UNITS_MAX) {
        return parent;
    }
    m->program->parent[m->program->n_units] = parent;
    return (uint16_t)m->program->n_units++;
}

static void emit(struct maker *m, int thread, struct sim_op op)
{
    if (m->program->n_ops[thread] < SIM_OPS_MAX) {
        m->program->ops[thread][m->program->n_ops[thread]++] = op;
    }
}

/* --- bytes and groups --- */

static void add_span(struct maker *m, int region, uint64_t page, unsigned offset, unsigned bytes,
                     unsigned group)
{
    struct sim_program *p = m->program;
    if (p->n_spans == SIM_SPANS_MAX || p->n_bytes + (int)bytes > SIM_BYTES_MAX) {
        return;
    }
    p->spans[p->n_spans++] = (struct sim_span){.region = (uint8_t)region,
                                               .group = (uint8_t)group,
                                               .first_byte = (uint16_t)p->n_bytes,
                                               .bytes = (uint16_t)bytes,
                                               .page = (uint32_t)page,
                                               .offset = offset};
    p->n_bytes += (int)bytes;
}

/* A few neighbouring bytes, in one group or in several. */
static void add_cluster(struct maker *m, int region, uint64_t page, unsigned word, int only)
{
    unsigned from = sim_below(&m->rng, 4), to = from + 1 + sim_below(&m->rng, 8 - from);
    unsigned groups = (unsigned)m->config->n_groups;
    unsigned group = only >= 0 ? (unsigned)only : sim_below(&m->rng, groups), start = from;
    bool mixed = only < 0 && sim_chance(&m->rng, 70);
    for (unsigned i = from; i < to; i++) {
        unsigned next = mixed ? sim_below(&m->rng, groups) : group;
        if (i + 1 == to || next != group) {
            add_span(m, region, page, word * 8 + start, i + 1 - start, group);
            start = i + 1;
            group = next;
        }
    }
}

static void add_page(struct maker *m, int region, uint64_t page)
{
    unsigned words = (unsigned)(m->config->page_bytes / 8), used[3], n = 0;
    int only =
        sim_chance(&m->rng, 25) ? (int)sim_below(&m->rng, (unsigned)m->config->n_groups) : -1;
    for (unsigned i = sim_between(&m->rng, 1, 3); i > 0; i--) {
        unsigned word = sim_below(&m->rng, words);
        if (words > 1000 && sim_chance(&m->rng, 70)) { /* at the seams of slices */
            word = (sim_below(&m->rng, words / 2048) + 1) * 2048 - sim_below(&m->rng, 2);
            word %= words;
        }
        bool free = true;
        for (unsigned j = 0; j < n; j++) {
            free = free && used[j] != word;
        }
        if (free) {
            used[n++] = word;
            add_cluster(m, region, page, word, only);
        }
    }
}

static void make_bytes(struct maker *m)
{
    uint64_t pages = n_pages(m->config);
    for (int region = 0; region < m->config->n_regions; region++) {
        unsigned percent = pages > 20 ? 30 : 80;
        uint64_t sure = sim_below(&m->rng, (unsigned)m->config->collective_pages);
        for (uint64_t page = 0; page < pages; page++) {
            bool solo = page >= m->config->collective_pages;
            if (page == sure || sim_chance(&m->rng, solo ? percent / 4 : percent)) {
                add_page(m, region, page);
            }
        }
    }
}

/* --- accesses --- */

/* A span of a group that satisfies what `may` says, or -1. */
static int pick_span(struct maker *m, bool (*may)(const struct maker *, int group, int arg),
                     int arg)
{
    int n = m->program->n_spans;
    if (n == 0) {
        return -1;
    }
    int start = (int)sim_below(&m->rng, (unsigned)n);
    for (int i = 0; i < n; i++) {
        int span = (start + i) % n;
        if (may(m, m->program->spans[span].group, arg)) {
            return span;
        }
    }
    return -1;
}

static bool may_guarded(const struct maker *m, int group, int lock)
{
    return m->mode[group] == GUARDED && m->lock[group] == lock;
}

static bool may_local(const struct maker *m, int group, int pe)
{
    return m->mode[group] == LOCAL && m->pe[group] == pe;
}

static bool may_read_only(const struct maker *m, int group, int arg)
{
    (void)arg;
    return m->mode[group] == READ_ONLY;
}

static bool may_owned(const struct maker *m, int group, int thread)
{
    return m->mode[group] == OWNED && m->owner[group] == thread;
}

static bool may_race(const struct maker *m, int group, int arg)
{
    (void)arg;
    return m->mode[group] == RACY;
}

/* Is the whole page in the span's group? */
static bool has_page(const struct maker *m, int span)
{
    const struct sim_program *p = m->program;
    for (int i = 0; i < p->n_spans; i++) {
        if (p->spans[i].region == p->spans[span].region &&
            p->spans[i].page == p->spans[span].page && p->spans[i].group != p->spans[span].group) {
            return false;
        }
    }
    return true;
}

static void make_access(struct maker *m, int thread, int span, bool read_only, uint16_t parent)
{
    const struct sim_config *config = m->config;
    unsigned bytes = m->program->spans[span].bytes, offset = sim_below(&m->rng, bytes);
    struct sim_op op = {.kind = SIM_READ,
                        .unit = new_unit(m, parent),
                        .which = (uint16_t)span,
                        .racy = m->mode[m->program->spans[span].group] == RACY,
                        .offset = (uint16_t)offset,
                        .bytes = (uint16_t)(1 + sim_below(&m->rng, bytes - offset))};
    if (!read_only && sim_chance(&m->rng, config->write_weight)) {
        op.kind = SIM_WRITE;
        if (sim_chance(&m->rng, config->same_percent)) {
            op.how = SIM_SAME;
        } else if (sim_chance(&m->rng, config->back_percent)) {
            op.how = SIM_BACK;
        }
        if (config->zero_weight > 0 && !op.racy && sim_chance(&m->rng, 5 * config->zero_weight)) {
            op.kind = SIM_ZERO;
            op.all = sim_chance(&m->rng, 50) && has_page(m, span);
        } else if (config->advise_weight > 0 && !op.racy && has_page(m, span) &&
                   sim_chance(&m->rng, 5 * config->advise_weight)) {
            op.kind = SIM_OVERWRITE;
        }
    }
    emit(m, thread, op);
}

/* Any pages will do, of one extent or solo share: advice is neither read nor write. */
static void make_advice(struct maker *m, struct sim_op *op)
{
    const struct sim_config *config = m->config;
    uint64_t first = 0, n = config->collective_pages;
    if (sim_chance(&m->rng, 15)) {
        first = n + sim_below(&m->rng, (unsigned)config->n_pes) * config->solo_pages;
        n = config->solo_pages;
    }
    unsigned skip = sim_below(&m->rng, (unsigned)n);
    *op = (struct sim_op){.kind = SIM_ADVISE, .unit = op->unit, .page = (uint32_t)first + skip};
    op->how = sim_chance(&m->rng, 40);
    op->region = (uint16_t)sim_below(&m->rng, (unsigned)config->n_regions);
    op->bytes = (uint16_t)sim_between(&m->rng, 1, (unsigned)n - skip);
}

static unsigned disturbances(const struct sim_config *c)
{
    return c->evict_weight + c->fence_weight + c->pause_weight + c->advise_weight;
}

static void make_disturbance(struct maker *m, int thread, uint16_t parent)
{
    const struct sim_config *config = m->config;
    unsigned total = disturbances(config), x = total > 0 ? sim_below(&m->rng, total) : 0;
    if (total == 0) {
        return;
    }
    struct sim_op op = {.kind = SIM_EVICT, .unit = new_unit(m, parent)};
    if (x < config->evict_weight) {
        const struct sim_span *span =
            &m->program->spans[sim_below(&m->rng, (unsigned)m->program->n_spans)];
        op.region = span->region;
        op.page = span->page;
    } else if (x < config->evict_weight + config->fence_weight) {
        op.kind = sim_chance(&m->rng, 50) ? SIM_RELEASE : SIM_ACQUIRE;
    } else if (x >= total - config->advise_weight) {
        make_advice(m, &op);
    } else {
        op.kind = SIM_PAUSE;
        op.bytes = (uint16_t)sim_between(&m->rng, 1, 60);
    }
    emit(m, thread, op);
}

/* --- blocks --- */

/* Accesses between two operations that take and give a lock. */
static void make_section(struct maker *m, int thread, bool local)
{
    int which =
        local ? m->program->pe_of[thread] : (int)sim_below(&m->rng, (unsigned)m->config->n_locks);
    uint16_t unit = new_unit(m, m->phase_unit);
    emit(m, thread,
         (struct sim_op){
             .kind = local ? SIM_LOCAL_LOCK : SIM_LOCK, .unit = unit, .which = (uint16_t)which});
    for (unsigned i = sim_between(&m->rng, 1, 4); i > 0; i--) {
        int span = pick_span(m, local ? may_local : may_guarded, which);
        if (span >= 0) {
            make_access(m, thread, span, false, unit);
        }
        if (sim_chance(&m->rng, 10)) {
            make_disturbance(m, thread, unit);
        }
    }
    emit(m, thread,
         (struct sim_op){.kind = local ? SIM_LOCAL_UNLOCK : SIM_UNLOCK,
                         .unit = unit,
                         .which = (uint16_t)which});
}

static void make_owned(struct maker *m, int thread)
{
    int span = pick_span(m, may_owned, thread);
    if (span >= 0) {
        make_access(m, thread, span, false, m->owner_unit[m->program->spans[span].group]);
    }
}

static void make_read_only(struct maker *m, int thread)
{
    int span = pick_span(m, may_read_only, 0);
    if (span >= 0) {
        make_access(m, thread, span, true, m->phase_unit);
    }
}

static void make_race(struct maker *m, int thread)
{
    int span = pick_span(m, may_race, 0);
    if (span >= 0) {
        make_access(m, thread, span, false, m->phase_unit);
    }
}

static void make_round(struct maker *m, int thread)
{
    const struct sim_config *config = m->config;
    for (unsigned i = sim_below(&m->rng, config->ops_max + 1); i > 0; i--) {
        if (m->program->n_ops[thread] > SIM_OPS_MAX / 2) {
            return; /* room for flags, barriers and the reads at the end */
        }
        unsigned disturb = disturbances(config), local = config->local_weight;
        unsigned x = sim_below(&m->rng, 20 + local + disturb + config->racy_weight);
        if (x < 8) {
            make_section(m, thread, false);
        } else if (x < 15) {
            make_owned(m, thread);
        } else if (x < 20) {
            make_read_only(m, thread);
        } else if (x < 20 + local) {
            make_section(m, thread, true);
        } else if (x < 20 + local + disturb) {
            make_disturbance(m, thread, m->phase_unit);
        } else {
            make_race(m, thread);
        }
    }
}

/* --- phases --- */

static int any_thread(struct maker *m)
{
    return (int)sim_below(&m->rng, (unsigned)m->config->n_threads);
}

static bool is_sequential(const struct maker *m, int group)
{
    for (int i = 0; i < m->program->n_spans; i++) {
        const struct sim_span *span = &m->program->spans[i];
        if (span->group == group && m->scheme[span->region] != SIM_SEQUENTIAL) {
            return false;
        }
    }
    return true;
}

static void make_modes(struct maker *m)
{
    const struct sim_config *config = m->config;
    unsigned local = config->local_weight, owned = 4;
    for (int group = 0; group < config->n_groups; group++) {
        unsigned x = sim_below(&m->rng, 8 + owned + local);
        m->mode[group] = x < 6 ? GUARDED : x < 8 ? READ_ONLY : x < 8 + owned ? OWNED : LOCAL;
        m->lock[group] = (int)sim_below(&m->rng, (unsigned)config->n_locks);
        m->pe[group] = (int)sim_below(&m->rng, (unsigned)config->n_pes);
        m->owner[group] = any_thread(m);
        if (config->racy_weight > 0 && is_sequential(m, group) && sim_chance(&m->rng, 60)) {
            m->mode[group] = RACY;
        }
        m->owner_unit[group] = m->phase_unit;
    }
}

/* Between two rounds: some owned groups change hands. All signals come before all waits, so that no
 * cycle of waiting can be. */
static void make_handoffs(struct maker *m)
{
    int to[SIM_GROUPS_MAX], flag[SIM_GROUPS_MAX];
    bool local[SIM_GROUPS_MAX]; /* to a thread of the same PE: no fences needed */
    for (int group = 0; group < m->config->n_groups; group++) {
        to[group] = -1;
        if (m->mode[group] != OWNED || m->n_flags == SIM_FLAGS_MAX ||
            m->config->handoff_weight == 0 ||
            !sim_chance(&m->rng, 15 * m->config->handoff_weight)) {
            continue;
        }
        int next = any_thread(m);
        if (next == m->owner[group]) {
            continue;
        }
        to[group] = next;
        flag[group] = m->n_flags++;
        local[group] = m->program->pe_of[next] == m->program->pe_of[m->owner[group]] &&
                       sim_chance(&m->rng, 60);
        m->owner_unit[group] = new_unit(m, m->owner_unit[group]);
        emit(m, m->owner[group],
             (struct sim_op){.kind = SIM_SIGNAL,
                             .unit = m->owner_unit[group],
                             .which = (uint16_t)flag[group],
                             .how = local[group]});
    }
    for (int group = 0; group < m->config->n_groups; group++) {
        if (to[group] >= 0) {
            emit(m, to[group],
                 (struct sim_op){.kind = SIM_WAIT,
                                 .unit = m->owner_unit[group],
                                 .which = (uint16_t)flag[group],
                                 .how = local[group]});
            m->owner[group] = to[group];
        }
    }
}

static void make_phase(struct maker *m)
{
    make_modes(m);
    unsigned rounds = sim_between(&m->rng, 1, m->config->handoff_weight > 0 ? ROUNDS_MAX : 1);
    for (unsigned round = 0; round < rounds; round++) {
        for (int thread = 0; thread < m->config->n_threads; thread++) {
            make_round(m, thread);
        }
        if (round + 1 < rounds) {
            make_handoffs(m);
        }
    }
}

static void make_forget(struct maker *m, int barrier)
{
    const struct sim_config *config = m->config;
    struct sim_forget *forget = &m->program->forget[barrier];
    forget->yes = sim_chance(&m->rng, config->forget_percent);
    forget->fences = sim_chance(&m->rng, 50);
    forget->disturbed = sim_chance(&m->rng, 50);
    forget->region = (int)sim_below(&m->rng, (unsigned)config->n_regions);
    forget->extent = (struct hth_extent){0, config->collective_pages, /* the one there is */
                                         (enum hth_deal)sim_below(&m->rng, config->claims ? 4 : 3),
                                         (int)sim_below(&m->rng, (unsigned)config->n_pes)};
}

static void make_change(struct maker *m, int barrier)
{
    const struct sim_config *config = m->config;
    struct sim_change *change = &m->program->change[barrier];
    if (config->change_percent == 0) {
        return;
    }
    change->yes = sim_chance(&m->rng, config->change_percent);
    change->disturbed = sim_chance(&m->rng, 50);
    change->region = (int)sim_below(&m->rng, (unsigned)config->n_regions);
    change->to = (enum sim_scheme)sim_below(&m->rng, 3);
    if (change->yes) {
        m->scheme[change->region] = change->to;
    }
}

static void make_place(struct maker *m, int barrier)
{
    const struct sim_config *config = m->config;
    struct sim_place *place = &m->program->place[barrier];
    if (config->place_percent == 0 || m->program->forget[barrier].yes ||
        m->program->change[barrier].yes) {
        return;
    }
    unsigned pages = (unsigned)config->collective_pages;
    place->yes = sim_chance(&m->rng, config->place_percent);
    place->disturbed = sim_chance(&m->rng, 50);
    place->early = sim_chance(&m->rng, 50);
    place->region = (int)sim_below(&m->rng, (unsigned)config->n_regions);
    place->pe = (int)sim_below(&m->rng, (unsigned)config->n_pes);
    place->first_page = sim_below(&m->rng, pages);
    place->n_pages = 1 + sim_below(&m->rng, pages - (unsigned)place->first_page);
}

static void make_barrier(struct maker *m, int barrier, uint16_t unit, bool last)
{
    if (!last) {
        make_forget(m, barrier);
        make_change(m, barrier);
        make_place(m, barrier);
    }
    for (int pe = 0; pe < m->config->n_pes; pe++) {
        m->program->each[barrier][pe] =
            !m->program->forget[barrier].yes && !m->program->change[barrier].yes &&
            !m->program->place[barrier].yes && sim_chance(&m->rng, m->config->each_percent);
    }
    for (int thread = 0; thread < m->config->n_threads; thread++) {
        emit(m, thread,
             (struct sim_op){.kind = SIM_BARRIER, .unit = unit, .which = (uint16_t)barrier});
    }
}

void sim_program_draw(struct sim_program *program, const struct sim_config *config)
{
    static struct maker maker;
    struct maker *m = &maker;
    memset(program, 0, sizeof *program);
    memset(m, 0, sizeof *m);
    m->config = config;
    m->program = program;
    m->rng.state = config->seed * 4 + 2;
    memcpy(m->scheme, config->scheme, sizeof m->scheme);
    program->n_units = 1;
    int thread = 0;
    for (int pe = 0; pe < config->n_pes; pe++) {
        for (int i = 0; i < config->threads_of[pe]; i++) {
            program->ops[thread] = sim_arena(SIM_OPS_MAX * sizeof(struct sim_op));
            program->pe_of[thread++] = pe;
        }
    }
    make_bytes(m);
    for (int phase = 0; phase < config->n_barriers; phase++) {
        make_phase(m);
        bool last = phase + 1 == config->n_barriers;
        m->phase_unit = last ? 0 : new_unit(m, m->phase_unit);
        make_barrier(m, phase, m->phase_unit, last);
    }
    for (int i = 0; i < config->n_threads; i++) { /* everyone looks at everything */
        for (int span = 0; span < program->n_spans; span++) {
            if (sim_chance(&m->rng, config->n_pes > 12 ? 5 : 50)) {
                emit(m, i,
                     (struct sim_op){.kind = SIM_READ,
                                     .unit = new_unit(m, 0),
                                     .which = (uint16_t)span,
                                     .bytes = program->spans[span].bytes});
            }
        }
    }
}
