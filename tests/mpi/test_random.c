/* SPDX-License-Identifier: BSD-3-Clause */
/* Random programs without data races, checked byte by byte against a model.
 *
 * A shared array is cut into *chunks* of 1 to 200 bytes, aligned to nothing, with *gaps* of 0 to 60
 * bytes between them, so that every page and many words have several of both.
 *
 * A chunk belongs to the holder of its lock. What is in there is a pure function of the chunk and
 * its version (chunk_byte()). The version is a Hearth counter, which is not in the tested pages,
 * and changes under the lock; so whoever has the lock knows what every byte must be, without
 * asking the memory under test.
 *
 * Gap bytes belong, in each epoch (from barrier to barrier), each to one PE or to none; owner and
 * value are a pure function of byte and epoch (gap_byte()).
 *
 * Some stores change nothing and many bring an old value back, as the values of most chunks are
 * from a small set. Solo blocks are passed between PEs and freed by whoever has them, and blocks
 * are allocated and freed collectively, while all of this goes on. In "changing" the region's
 * protocol is another after most epochs.
 *
 * HEARTH_TEST_SEED, HEARTH_TEST_OPS: where to begin, how many operations (10,000).
 * HEARTH_TEST_SECONDS_RANDOM: go on with new seeds until so many seconds are over, a quarter of
 * them for each test; without HEARTH_TEST_SEED the seeds begin with the clock then. */
#include "harness.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHUNKS_MAX = 600, N_LOCKS = 13, THREADS_MAX = 3, PES_MAX = 64 };

/* What the hashes are for; a number each, so that they are independent. */
enum { FOR_LAYOUT = 1, FOR_STYLE, FOR_VALUES, FOR_GAP, FOR_PLAN, FOR_OPS, FOR_REGION, FOR_SOLO };

/* A solo block on its way to another PE; `id` says what is in it. Guarded by the mail lock. */
struct mail {
    unsigned char *block;
    uint64_t bytes, id;
};

/* What is shared, beside the array. */
struct post {
    struct hearth_lock locks[N_LOCKS], mail_lock;
    struct mail mail[PES_MAX];
    struct hearth_counter versions[CHUNKS_MAX];
};

struct chunk {
    size_t offset, bytes;
};

/* All else is private, and the same on all PEs: derived from the seed. */
static struct world {
    uint64_t seed;
    struct hearth_region *region;
    struct hearth_region_attr attr;
    size_t bytes, n_chunks;
    volatile unsigned char *array;
    struct chunk chunks[CHUNKS_MAX];
    bool *is_gap; /* of each byte */
    struct post *post;
    struct post handles; /* a private copy of locks and versions */
    bool changing;
    uint64_t epoch;
    size_t ops_per_thread; /* in this epoch */
} w;

static uint64_t hash(uint64_t what, uint64_t a, uint64_t b)
{
    return ht_hash(w.seed * 16 + what, a, b);
}

/* --- the model --- */

static unsigned char value_of(uint64_t h, uint64_t alphabet)
{
    static const unsigned char few[4] = {0, 1, 0x80, 0xff};

    return alphabet == 0 ? (unsigned char)(h >> 20) : few[(h >> 20) % (alphabet == 1 ? 2 : 4)];
}

/* Did version `version` store byte i of chunk c? */
static bool chunk_stored(size_t c, uint64_t version, size_t i)
{
    uint64_t h = hash(FOR_STYLE, c, version), bytes = w.chunks[c].bytes;

    switch (h % 4) {
    case 0:
        return true;
    case 1:
        return hash(FOR_VALUES, c << 32 | version, i) % 2 == 0;
    case 2:
        return hash(FOR_VALUES, c << 32 | version, i) % 8 == 0;
    default: /* a run, around the end perhaps */
        return (i + (h >> 8)) % bytes < 1 + (h >> 40) % bytes;
    }
}

static unsigned char chunk_byte(size_t c, uint64_t version, size_t i)
{
    for (; version > 0; version--)
        if (chunk_stored(c, version, i))
            return value_of(hash(FOR_VALUES, c << 32 | version, i), c % 3);
    return 0;
}

/* The PE that stores this gap byte in this epoch, or -1. */
static int gap_owner(uint64_t epoch, size_t i)
{
    int n = ht_n_pes(), pe = (int)(hash(FOR_GAP, epoch, i) % (unsigned)(n + 2));

    return pe < n ? pe : -1;
}

static unsigned char gap_byte(uint64_t epoch, size_t i)
{
    for (; epoch > 0; epoch--)
        if (gap_owner(epoch, i) >= 0)
            return value_of(hash(FOR_GAP, epoch, i), i / 64 % 3);
    return 0;
}

/* --- checks --- */

/* One byte; `what` and `which` are for the message, made only if it is wrong. */
static bool expect(size_t offset, unsigned char expected, const char *what, size_t which,
                   uint64_t version)
{
    unsigned char got = w.array[offset];

    if (got == expected)
        return true;
    return HT_CHECKF(false,
                     "seed %" PRIu64 ", region '%s', page bytes %zu, placement %d: offset %zu "
                     "(home %d): got %d, expected %d; %s %zu version %" PRIu64 ", epoch %" PRIu64
                     ", now %d",
                     w.seed, w.attr.name, w.attr.page_bytes, w.attr.placement, offset,
                     hearth_home((const void *)&w.array[offset]), got, expected, what, which,
                     version, w.epoch, w.array[offset]);
}

static void check_chunk(size_t c, uint64_t version)
{
    bool good = true;

    for (size_t i = 0; i < w.chunks[c].bytes && good; i++)
        good = expect(w.chunks[c].offset + i, chunk_byte(c, version, i), "chunk", c, version);
    HT_CHECK(good);
}

static void check_epoch(void)
{
    uint64_t h = hash(FOR_PLAN, w.epoch, 100 + (uint64_t)ht_pe());

    for (size_t i = 0; i < w.bytes; i++)
        if (w.is_gap[i] && (h % 4 == 0 || hash(FOR_PLAN, h, i) % 16 == 0))
            if (!expect(i, gap_byte(w.epoch, i), "gap", i, w.epoch))
                return;
    /* No one holds a lock now: the chunks can be looked at freely. */
    for (size_t c = h % 7; c < w.n_chunks; c += 7)
        check_chunk(c, (uint64_t)hearth_counter_load(&w.handles.versions[c]));
}

/* --- operations --- */

static void change_chunk(size_t c, uint64_t version, uint64_t h)
{
    volatile unsigned char *p = w.array + w.chunks[c].offset;

    if (h % 5 == 0) /* away and back, all of it, within the critical section */
        for (size_t i = 0; i < w.chunks[c].bytes; i++)
            p[i] ^= 0xff;
    if (h % 5 == 0)
        for (size_t i = 0; i < w.chunks[c].bytes; i++)
            p[i] ^= 0xff;
    for (size_t i = 0; i < w.chunks[c].bytes; i++)
        if (chunk_stored(c, version, i))
            p[i] = value_of(hash(FOR_VALUES, c << 32 | version, i), c % 3);
}

static void use_chunk(size_t c, uint64_t h)
{
    int64_t version = hearth_counter_load(&w.handles.versions[c]);

    if (!HT_CHECKF(version >= 0, "seed %" PRIu64 ": %s", w.seed, hearth_error_message()))
        return;
    check_chunk(c, (uint64_t)version);
    if (h % 4 == 0)
        return; /* only looked */
    change_chunk(c, (uint64_t)version + 1, h >> 8);
    HT_EQUAL(hearth_counter_store(&w.handles.versions[c], version + 1), 0);
}

static void lock_op(uint64_t h)
{
    size_t first = h % w.n_chunks, second = (h >> 16) % w.n_chunks;
    const struct hearth_lock *locks = w.handles.locks;
    bool both = (h >> 32) % 8 == 0 && first % N_LOCKS != second % N_LOCKS;

    if (both && first % N_LOCKS > second % N_LOCKS) { /* always in one order: no deadlock */
        size_t other = first;
        first = second;
        second = other;
    }
    HT_EQUAL(hearth_lock_acquire(&locks[first % N_LOCKS]), 0);
    use_chunk(first, h >> 36);
    if (both) {
        HT_EQUAL(hearth_lock_acquire(&locks[second % N_LOCKS]), 0);
        use_chunk(second, h >> 40);
        HT_EQUAL(hearth_lock_release(&locks[first % N_LOCKS]), 0);
        first = second;
    }
    HT_EQUAL(hearth_lock_release(&locks[first % N_LOCKS]), 0);
}

static void fill_mail(struct mail *mail, uint64_t h)
{
    mail->id = h;
    mail->bytes = 1 + (h >> 32) % (h % 8 == 0 ? 10000 : 500);
    mail->block = hearth_solo_malloc(w.region, mail->bytes);
    if (!HT_CHECKF(mail->block, "seed %" PRIu64 ": %s", w.seed, hearth_error_message()))
        return;
    size_t at = ht_find_other(mail->block, mail->bytes, 0);
    HT_CHECKF(at == mail->bytes, "seed %" PRIu64 ": new solo block, byte %zu of %" PRIu64 ": %d",
              w.seed, at, mail->bytes, mail->block[at % mail->bytes]);
    for (size_t i = 0; i < mail->bytes; i++)
        mail->block[i] = (unsigned char)hash(FOR_SOLO, mail->id, i);
}

static void open_mail(const struct mail *mail)
{
    size_t wrong = 0;

    for (size_t i = 0; i < mail->bytes; i++) {
        wrong += mail->block[i] != (unsigned char)hash(FOR_SOLO, mail->id, i);
        mail->block[i] = 0xbb;
    }
    HT_CHECKF(wrong == 0, "seed %" PRIu64 ": solo block from PE %d, %zu of %" PRIu64 " bytes",
              w.seed, hearth_home(mail->block), wrong, mail->bytes);
    HT_CHECKF(!hearth_solo_free(mail->block), "seed %" PRIu64 ": %s", w.seed,
              hearth_error_message());
}

/* Take the block that has come for this PE, and send one to some PE whose box is empty. */
static void mail_op(uint64_t h)
{
    struct mail out = {0}, in = {0}, *boxes = w.post->mail;
    int to = (int)((h >> 8) % (unsigned)ht_n_pes());

    fill_mail(&out, h);
    HT_EQUAL(hearth_lock_acquire(&w.handles.mail_lock), 0);
    in = boxes[ht_pe()];
    boxes[ht_pe()] = (struct mail){0};
    bool sent = !boxes[to].block;
    if (sent)
        boxes[to] = out;
    HT_EQUAL(hearth_lock_release(&w.handles.mail_lock), 0);
    if (!sent && out.block)
        open_mail(&out);
    if (in.block)
        open_mail(&in);
}

static void thread_ops(void *arg, int index)
{
    (void)arg;
    for (size_t i = 0; i < w.ops_per_thread && !ht_failed(); i++) {
        uint64_t h = hash(FOR_OPS, w.epoch << 20 | i, (uint64_t)(ht_pe() * THREADS_MAX + index));
        if (h % 16 == 0)
            mail_op(h >> 4);
        else
            lock_op(h >> 4);
    }
    for (size_t i = 0; i < w.bytes && index == 0; i++)
        if (w.is_gap[i] && gap_owner(w.epoch, i) == ht_pe())
            w.array[i] = value_of(hash(FOR_GAP, w.epoch, i), i / 64 % 3);
}

/* --- a run with one seed --- */

static bool make_region(uint64_t seed, bool changing)
{
    static const size_t page_bytes[4] = {0, 0, 8192, 16384};
    uint64_t h;

    memset(&w, 0, sizeof w);
    w.seed = seed;
    w.changing = changing;
    h = hash(FOR_REGION, 0, 0);
    w.attr = *ht_attr();
    w.attr.page_bytes = page_bytes[h % 4];
    w.attr.placement = (enum hearth_placement)(h / 4 % 3);
    w.attr.home_pe = (int)(h / 16 % (unsigned)ht_n_pes());
    HT_CHECKF(!hearth_region_create(&w.region, 4 << 20, &w.attr), "%s", hearth_error_message());
    if (!ht_all(w.region != NULL))
        return false;
    w.bytes = (h / 1024 % 5 + 2) * 4096 + h % 100;
    w.array = hearth_region_malloc(w.region, w.bytes);
    w.post = hearth_region_malloc(w.region, sizeof *w.post);
    w.is_gap = calloc(w.bytes, sizeof *w.is_gap);
    HT_CHECKF(w.array && w.post, "seed %" PRIu64 ": %s", w.seed, hearth_error_message());
    return ht_all(w.array && w.post && w.is_gap);
}

static void lay_out(void)
{
    size_t at = 0;

    while (at + 260 < w.bytes && w.n_chunks < CHUNKS_MAX) {
        uint64_t h = hash(FOR_LAYOUT, w.n_chunks, 0);
        w.chunks[w.n_chunks] = (struct chunk){at, 1 + h % (h & 1 ? 16 : 200)};
        at += w.chunks[w.n_chunks].bytes;
        for (size_t gap = (h >> 32) % 61; gap > 0; gap--)
            w.is_gap[at++] = true;
        w.n_chunks++;
    }
    for (size_t i = 0; i < N_LOCKS; i++)
        if (i % (size_t)ht_n_pes() == (size_t)ht_pe())
            HT_EQUAL(hearth_lock_init(&w.post->locks[i]), 0);
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_init(&w.post->mail_lock), 0);
    for (size_t c = (size_t)ht_pe(); c < w.n_chunks; c += (size_t)ht_n_pes())
        HT_EQUAL(hearth_counter_init(&w.post->versions[c], 0), 0);
    hearth_barrier_all();
    memcpy(&w.handles, w.post, sizeof w.handles);
    hearth_barrier_all();
}

/* A collective block, zero when it comes and garbage when it goes. */
static void collective_block(void)
{
    size_t bytes = 1 + hash(FOR_PLAN, w.epoch, 50) % 30000, n = (size_t)ht_n_pes();
    unsigned char *p = hearth_region_malloc(w.region, bytes);

    HT_CHECKF(p, "seed %" PRIu64 ": %s", w.seed, hearth_error_message());
    if (!ht_all(p != NULL))
        return;
    size_t at = ht_find_other(p, bytes, 0);
    HT_CHECKF(at == bytes, "seed %" PRIu64 ", epoch %" PRIu64 ": new block, byte %zu of %zu: %d",
              w.seed, w.epoch, at, bytes, p[at % bytes]);
    hearth_barrier_all();
    for (size_t i = (size_t)ht_pe(); i < bytes; i += n)
        p[i] = 0xcc;
    HT_EQUAL(hearth_free(p), 0);
}

static void change_protocol(void)
{
    uint64_t h = hash(FOR_PLAN, w.epoch, 60);

    if (h % 4 == 0)
        return;
    w.attr.protocol = h / 4 % 3 == 0 ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
    w.attr.consistency = h / 4 % 3 == 1 ? HEARTH_SEQUENTIAL : HEARTH_RELEASE;
    HT_CHECKF(!hearth_region_set_protocol(w.region, w.attr.protocol, w.attr.consistency),
              "seed %" PRIu64 ": %s", w.seed, hearth_error_message());
}

static void empty_boxes(void)
{
    hearth_barrier_all();
    if (w.post->mail[ht_pe()].block)
        open_mail(&w.post->mail[ht_pe()]);
    for (size_t i = 0; i < N_LOCKS; i++)
        if (i % (size_t)ht_n_pes() == (size_t)ht_pe())
            HT_EQUAL(hearth_lock_destroy(&w.handles.locks[i]), 0);
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_destroy(&w.handles.mail_lock), 0);
    for (size_t c = (size_t)ht_pe(); c < w.n_chunks; c += (size_t)ht_n_pes())
        HT_EQUAL(hearth_counter_destroy(&w.handles.versions[c]), 0);
}

/* At least n_ops operations, all PEs together. */
static void run_seed(uint64_t seed, uint64_t n_ops, bool changing)
{
    bool ready = make_region(seed, changing);
    uint64_t n_done = 0;

    if (ready)
        lay_out();
    while (ready && n_done < n_ops) {
        uint64_t h = hash(FOR_PLAN, ++w.epoch, 0);
        int n_threads = ht_threads_allowed() && h % 3 == 0 ? 1 + (int)(h / 4 % THREADS_MAX) : 1;
        w.ops_per_thread = 5 + h / 64 % 40;
        if (n_threads > 1)
            ht_threads(n_threads, thread_ops, NULL);
        else
            thread_ops(NULL, 0);
        if (w.changing && w.epoch % 2 == 0)
            change_protocol(); /* a barrier, and at once: pages are as the operations left them */
        hearth_barrier_all();
        check_epoch();
        if (w.changing && w.epoch % 2 == 1)
            change_protocol();
        if (h / 16 % 4 == 0)
            collective_block();
        else
            hearth_barrier_all();
        n_done += w.ops_per_thread * (unsigned)(n_threads * ht_n_pes());
        if (!ht_all(!ht_failed()))
            break;
    }
    if (ready)
        empty_boxes();
    free(w.is_gap);
    if (ht_all(w.region != NULL))
        HT_EQUAL(hearth_region_destroy(w.region), 0);
}

static void run_seeds(bool changing)
{
    uint64_t seconds = ht_env_number("HEARTH_TEST_SECONDS_RANDOM", 0);
    uint64_t first = seconds ? (uint64_t)time(NULL) * 1000 : 1;
    uint64_t seed = ht_from_pe0(ht_env_number("HEARTH_TEST_SEED", first));
    uint64_t n_ops = ht_env_number("HEARTH_TEST_OPS", (uint64_t)ht_rounds(10000)), n_seeds = 0,
             more;
    double end = ht_now() + (double)seconds / 4;

    do {
        /* Without a time to fill, four seeds: other page sizes, other homes. */
        run_seed(seed + n_seeds, n_ops / 4 + 1, changing);
        n_seeds++;
        more = ht_from_pe0(n_seeds < 4 || ht_now() < end);
    } while (more && ht_all(!ht_failed()));
    ht_note("seeds %" PRIu64 " to %" PRIu64, seed, seed + n_seeds - 1);
}

static void test_random(struct hearth_region *none)
{
    (void)none;
    run_seeds(false);
}

static void test_changing(struct hearth_region *none)
{
    (void)none;
    run_seeds(true);
}

static const struct ht_test tests[] = {
    {"changing", test_changing, HT_ONCE, 0},
    {"random", test_random, HT_PROTOCOLS, 0},
};

int main(int argc, char **argv)
{
    struct ht_program program = {"random", tests, sizeof tests / sizeof tests[0], false, 0};

    program.extra_seconds = 1.2 * (double)ht_env_number("HEARTH_TEST_SECONDS_RANDOM", 0);
    return ht_main(argc, argv, &program);
}
