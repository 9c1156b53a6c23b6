/* SPDX-License-Identifier: BSD-3-Clause */
/* Every error that hearth.h promises, once, and that its message names the value. */
#include "harness.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The call returned `expected`, and the message has `part` in it (NULL: anything). */
#define FAILS(call, expected, part)                                                                \
    do {                                                                                           \
        HT_EQUAL(call, expected);                                                                  \
        says(part, #call, __LINE__);                                                               \
    } while (0)
#define FAILS_NULL(call, part)                                                                     \
    do {                                                                                           \
        HT_CHECK((call) == NULL);                                                                  \
        says(part, #call, __LINE__);                                                               \
    } while (0)

static void says(const char *part, const char *call, int line)
{
    const char *text = hearth_error_message();

    ht_check(text && strlen(text) > 10 && strlen(text) < 1000, __FILE__, line, call,
             "the message is '%.100s'", text ? text : "(null)");
    if (part)
        ht_check(text && strstr(text, part), __FILE__, line, call, "no '%s' in '%.200s'", part,
                 text);
}

static void says_pointer(const void *p, const char *call, int line)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRIxPTR, (uintptr_t)p);
    says(digits, call, line);
}

#define FAILS_AT(call, expected, pointer)                                                          \
    do {                                                                                           \
        HT_EQUAL(call, expected);                                                                  \
        says_pointer(pointer, #call, __LINE__);                                                    \
    } while (0)

/* --- regions --- */

static int create_with(size_t bytes, struct hearth_region_attr attr)
{
    struct hearth_region *const untouched = (struct hearth_region *)&attr, *region = untouched;
    int err = hearth_region_create(&region, bytes, &attr);

    if (err)
        HT_CHECKF(region == untouched, "the handle was set by a call that returned %d", err);
    else
        hearth_region_destroy(region);
    return err;
}

static struct hearth_region_attr attr_default(void)
{
    return (struct hearth_region_attr)HEARTH_REGION_ATTR_DEFAULT;
}

static void test_region_attributes(struct hearth_region *none)
{
    struct hearth_region_attr a;
    char pe[16];

    (void)none;
    FAILS(hearth_region_create(NULL, 4096, NULL), HEARTH_EINVAL, NULL);
    FAILS(create_with(0, attr_default()), HEARTH_EINVAL, "0");
    a = attr_default();
    a.page_bytes = 12345;
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, "12345");
    a.page_bytes = 1024;
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, "1024");
    a.page_bytes = 1;
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, "1");
    a = attr_default();
    a.protocol = (enum hearth_protocol)77;
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, "77");
    a = attr_default();
    a.consistency = (enum hearth_consistency)78;
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, "78");
    a = attr_default();
    a.placement = (enum hearth_placement)79;
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, "79");
    a = attr_default();
    a.placement = HEARTH_HOME_FIXED;
    a.home_pe = ht_n_pes();
    snprintf(pe, sizeof pe, "%d", ht_n_pes());
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, pe);
    a.home_pe = -3;
    FAILS(create_with(1 << 20, a), HEARTH_EINVAL, "-3");
}

static void test_region_unsupported(struct hearth_region *none)
{
    struct hearth_region_attr a = attr_default();

    (void)none;
    a.consistency = HEARTH_SEQUENTIAL;
    HT_EQUAL(create_with(1 << 20, a), 0);
    a.protocol = HEARTH_WRITE_UPDATE;
    FAILS(create_with(1 << 20, a), HEARTH_ENOTSUP, "pdate");
}

static void test_region_too_large(struct hearth_region *none)
{
    (void)none;
    FAILS(create_with((size_t)1 << 60, attr_default()), HEARTH_ENOMEM, NULL);
    FAILS(create_with(SIZE_MAX, attr_default()), HEARTH_ENOMEM, NULL);
    FAILS(create_with(SIZE_MAX / (size_t)ht_n_pes(), attr_default()), HEARTH_ENOMEM, NULL);
    HT_EQUAL(create_with(1, attr_default()), 0);
}

static void test_region_mismatch(struct hearth_region *none)
{
    struct hearth_region_attr a;
    bool last = ht_pe() == ht_n_pes() - 1;

    (void)none;
    if (ht_n_pes() < 2) {
        ht_skip("takes two PEs");
        return;
    }
    FAILS(create_with(last ? 1 << 20 : 1 << 21, attr_default()), HEARTH_EMISMATCH, NULL);
    a = attr_default();
    a.protocol = last ? HEARTH_WRITE_UPDATE : HEARTH_WRITE_INVALIDATE;
    FAILS(create_with(1 << 20, a), HEARTH_EMISMATCH, NULL);
    a = attr_default();
    a.placement = last ? HEARTH_HOME_CYCLIC : HEARTH_HOME_BLOCK;
    FAILS(create_with(1 << 20, a), HEARTH_EMISMATCH, NULL);
    a = attr_default();
    a.page_bytes = last ? 65536 : 16384;
    FAILS(create_with(1 << 20, a), HEARTH_EMISMATCH, NULL);
    a = attr_default();
    a.placement = HEARTH_HOME_FIXED;
    a.home_pe = last;
    FAILS(create_with(1 << 20, a), HEARTH_EMISMATCH, NULL);
    /* Wrong on one PE only: an error on all, of one kind or the other. */
    a = attr_default();
    a.page_bytes = last ? 12345 : 0;
    int err = create_with(1 << 20, a);
    HT_CHECKF(err == HEARTH_EMISMATCH || err == HEARTH_EINVAL, "%d", err);
    err = create_with(last ? 0 : 4096, attr_default());
    HT_CHECKF(err == HEARTH_EMISMATCH || err == HEARTH_EINVAL, "%d", err);
    HT_EQUAL(create_with(4096, attr_default()), 0); /* and all are still in step */
}

static void test_region_destroy(struct hearth_region *none)
{
    struct hearth_region *a = NULL, *b = NULL;
    int local = 0;

    (void)none;
    FAILS(hearth_region_destroy(NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_region_destroy((struct hearth_region *)&local), HEARTH_EINVAL, NULL);
    HT_EQUAL(hearth_region_create(&a, 1 << 20, NULL), 0);
    HT_EQUAL(hearth_region_create(&b, 1 << 20, NULL), 0);
    if (!ht_all(a && b))
        return;
    if (ht_n_pes() > 1)
        FAILS(hearth_region_destroy(ht_pe() ? a : b), HEARTH_EMISMATCH, NULL);
    HT_EQUAL(hearth_region_destroy(a), 0);
    FAILS(hearth_region_destroy(a), HEARTH_EINVAL, NULL);
    HT_EQUAL(hearth_region_destroy(b), 0);
}

/* --- memory --- */

static void test_malloc(struct hearth_region *region)
{
    bool last = ht_pe() == ht_n_pes() - 1;
    int local = 0;

    FAILS_NULL(hearth_region_malloc(region, 0), NULL);
    FAILS_NULL(hearth_malloc(0), NULL);
    FAILS_NULL(hearth_region_malloc(region, 3 << 20), "3145728");
    FAILS_NULL(hearth_region_malloc(region, SIZE_MAX), NULL);
    FAILS_NULL(hearth_malloc(SIZE_MAX), NULL);
    FAILS_NULL(hearth_region_malloc((struct hearth_region *)&local, 100), NULL);
    FAILS_NULL(hearth_calloc(SIZE_MAX / 4, 5), NULL);
    if (ht_n_pes() > 1) {
        FAILS_NULL(hearth_region_malloc(region, last ? 100 : 200), NULL);
        FAILS_NULL(hearth_region_malloc(region, last ? 0 : 200), NULL);
        FAILS_NULL(hearth_malloc(last ? SIZE_MAX : 200), NULL);
        FAILS_NULL(hearth_calloc(last ? 10 : 20, 30), NULL);
    }
    char *p = hearth_region_malloc(region, 100); /* and all are still in step */
    HT_CHECK(p != NULL && ht_same((uintptr_t)p));
    HT_EQUAL(hearth_free(p), 0);
}

/* The heap is full, says so, and works again when something is freed. */
static void test_exhaustion(struct hearth_region *region)
{
    enum { MAX = 64 };
    char *blocks[MAX] = {NULL};
    int n = 0;

    while (n < MAX && (blocks[n] = hearth_region_malloc(region, 150000)))
        n++;
    HT_CHECKF(n >= 4 && n <= 6, "%d blocks of 150000 in 1 MiB", n);
    says("150000", "hearth_region_malloc", __LINE__);
    HT_CHECK(ht_same((uint64_t)n));
    HT_EQUAL(hearth_free(blocks[0]), 0);
    blocks[0] = hearth_region_malloc(region, 150000);
    HT_CHECK(blocks[0] != NULL);
    for (int i = 0; i < n; i++)
        HT_EQUAL(hearth_free(blocks[i]), 0);
    char *all = hearth_region_malloc(region, 1 << 20);
    HT_CHECKF(all != NULL, "%s", hearth_error_message());
    HT_EQUAL(hearth_free(all), 0);
    /* Each PE by itself. */
    FAILS_NULL(hearth_solo_malloc(region, 5 << 20), "5242880");
    char *solo = hearth_solo_malloc(region, 1 << 20);
    HT_CHECKF(solo != NULL, "%s", hearth_error_message());
    HT_EQUAL(hearth_solo_free(solo), 0);
    hearth_barrier_all();
}

static void test_free(struct hearth_region *region)
{
    char *p = hearth_region_malloc(region, 1000), *q = hearth_region_malloc(region, 1000);
    char **solo_of_0 = hearth_region_malloc(region, sizeof *solo_of_0);

    if (!ht_all(p && q && solo_of_0))
        return;
    HT_EQUAL(hearth_free(NULL), 0);
    FAILS(hearth_free((void *)4096), HEARTH_EADDR, NULL); /* the same address on all PEs */
    FAILS_AT(hearth_free(p + 16), HEARTH_EADDR, p + 16);
    FAILS_AT(hearth_free(p + 64), HEARTH_EADDR, p + 64);
    if (ht_pe() == 0) {
        *solo_of_0 = hearth_solo_malloc(region, 100);
        HT_CHECK(*solo_of_0 != NULL);
    }
    hearth_barrier_all();
    char *solo = *solo_of_0;
    FAILS_AT(hearth_free(solo), HEARTH_EADDR, solo);
    if (ht_n_pes() > 1) {
        FAILS(hearth_free(ht_pe() ? p : q), HEARTH_EMISMATCH, NULL);
        FAILS(hearth_free(ht_pe() ? p : NULL), HEARTH_EMISMATCH, NULL);
    }
    p[999] = 1; /* all of that has freed nothing */
    HT_EQUAL(hearth_free(p), 0);
    FAILS_AT(hearth_free(p), HEARTH_EADDR, p);
    HT_EQUAL(hearth_free(q), 0);
    HT_EQUAL(hearth_free(solo_of_0), 0);
}

static void test_solo_free(struct hearth_region *region)
{
    int local = 0, n = ht_n_pes();
    char *p = hearth_region_malloc(region, 1000);
    char **solos = hearth_region_malloc(region, sizeof *solos * (size_t)n);

    if (!ht_all(p && solos))
        return;
    FAILS_NULL(hearth_solo_malloc(region, 0), NULL);
    FAILS_NULL(hearth_solo_malloc(region, SIZE_MAX), NULL);
    FAILS_NULL(hearth_solo_malloc((struct hearth_region *)&local, 10), NULL);
    HT_EQUAL(hearth_solo_free(NULL), 0);
    FAILS(hearth_solo_free(&local), HEARTH_EADDR, NULL);
    FAILS_AT(hearth_solo_free(p), HEARTH_EADDR, p);
    solos[ht_pe()] = hearth_solo_malloc(region, 300);
    HT_CHECKF(solos[ht_pe()], "%s", hearth_error_message());
    hearth_barrier_all();
    /* Interior, and twice, at home and from elsewhere: the answer comes from the home. */
    char *mine = solos[(ht_pe() + 1) % n], *own = hearth_solo_malloc(NULL, 20000);
    FAILS_AT(hearth_solo_free(mine + 16), HEARTH_EADDR, mine + 16);
    FAILS_AT(hearth_solo_free(own + 4096), HEARTH_EADDR, own + 4096);
    HT_EQUAL(hearth_solo_free(mine), 0);
    FAILS_AT(hearth_solo_free(mine), HEARTH_EADDR, mine);
    HT_EQUAL(hearth_solo_free(own), 0);
    FAILS_AT(hearth_solo_free(own), HEARTH_EADDR, own);
    hearth_barrier_all();
}

/* --- synchronisation --- */

static void test_locks(struct hearth_region *none)
{
    const struct hearth_lock zero = {0}, junk[] = {{1}, {12345}, {~0ull}, {0xdeadbeefcafe1234u}};

    (void)none;
    FAILS(hearth_lock_init(NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_lock_acquire(NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_lock_try(NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_lock_release(NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_lock_destroy(NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_lock_acquire(&zero), HEARTH_EINVAL, NULL);
    FAILS(hearth_lock_try(&zero), HEARTH_EINVAL, NULL);
    FAILS(hearth_lock_release(&zero), HEARTH_EINVAL, NULL);
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        struct hearth_lock copy = junk[i];
        FAILS(hearth_lock_acquire(&copy), HEARTH_EINVAL, NULL);
        FAILS(hearth_lock_try(&copy), HEARTH_EINVAL, NULL);
        FAILS(hearth_lock_release(&copy), HEARTH_EINVAL, NULL);
        FAILS(hearth_lock_destroy(&copy), HEARTH_EINVAL, NULL);
        HT_CHECK(copy.handle == junk[i].handle);
    }
    struct hearth_lock lock = {0};
    HT_EQUAL(hearth_lock_init(&lock), 0);
    FAILS(hearth_lock_release(&lock), HEARTH_EPERM, NULL);
    HT_EQUAL(hearth_lock_acquire(&lock), 0);
    FAILS(hearth_lock_acquire(&lock), HEARTH_EDEADLK, NULL);
    FAILS(hearth_lock_destroy(&lock), HEARTH_EBUSY, NULL);
    HT_EQUAL(hearth_lock_release(&lock), 0);
    HT_EQUAL(hearth_lock_destroy(&lock), 0);
    FAILS(hearth_lock_destroy(&lock), HEARTH_EINVAL, NULL);
}

static void test_lock_table_full(struct hearth_region *none)
{
    enum { MAX = 65536 };
    static struct hearth_lock locks[MAX + 1];
    int n = 0, err = 0;

    (void)none;
    while (n <= MAX && !(err = hearth_lock_init(&locks[n])))
        n++;
    HT_EQUAL(err, HEARTH_ENOMEM);
    says("65", "hearth_lock_init", __LINE__);      /* 65536 or 65,536 */
    HT_CHECKF(n > MAX - 1000, "only %d locks", n); /* the library may have some of its own */
    for (int i = 0; i < n; i++)
        HT_EQUAL(hearth_lock_destroy(&locks[i]), 0);
    HT_EQUAL(hearth_lock_init(&locks[0]), 0);
    HT_EQUAL(hearth_lock_destroy(&locks[0]), 0);
}

static void test_counters(struct hearth_region *none)
{
    struct hearth_counter zero = {0}, junk = {0xdeadbeefcafe1234u}, one = {1};

    (void)none;
    FAILS(hearth_counter_init(NULL, 0), HEARTH_EINVAL, NULL);
    FAILS(hearth_counter_fetch_add(NULL, 1), HEARTH_COUNTER_INVALID, NULL);
    FAILS(hearth_counter_load(NULL), HEARTH_COUNTER_INVALID, NULL);
    FAILS(hearth_counter_store(NULL, 1), HEARTH_EINVAL, NULL);
    FAILS(hearth_counter_destroy(NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_counter_fetch_add(&zero, 1), HEARTH_COUNTER_INVALID, NULL);
    FAILS(hearth_counter_load(&zero), HEARTH_COUNTER_INVALID, NULL);
    FAILS(hearth_counter_load(&one), HEARTH_COUNTER_INVALID, NULL);
    FAILS(hearth_counter_store(&zero, 1), HEARTH_EINVAL, NULL);
    FAILS(hearth_counter_destroy(&zero), HEARTH_EINVAL, NULL);
    FAILS(hearth_counter_load(&junk), HEARTH_COUNTER_INVALID, NULL);
    FAILS(hearth_counter_store(&junk, 1), HEARTH_EINVAL, NULL);
    FAILS(hearth_counter_destroy(&junk), HEARTH_EINVAL, NULL);
    /* A lock is not a counter. */
    struct hearth_lock lock = {0};
    HT_EQUAL(hearth_lock_init(&lock), 0);
    struct hearth_counter wrong = {lock.handle};
    FAILS(hearth_counter_load(&wrong), HEARTH_COUNTER_INVALID, NULL);
    HT_EQUAL(hearth_lock_destroy(&lock), 0);
}

/* --- facts --- */

static void test_facts(struct hearth_region *region)
{
    struct hearth_stats stats;
    int local = 0;

    FAILS(hearth_home(NULL), HEARTH_EADDR, NULL);
    FAILS_AT(hearth_home(&local), HEARTH_EADDR, (void *)&local);
    char *p = hearth_region_malloc(region, 1 << 18);
    HT_CHECK(p != NULL);
    HT_EQUAL(hearth_free(p), 0);
    if (p)
        FAILS_AT(hearth_home(p), HEARTH_EADDR, p); /* not any more */
    FAILS(hearth_region_stats(region, NULL), HEARTH_EINVAL, NULL);
    FAILS(hearth_region_stats((struct hearth_region *)&local, &stats), HEARTH_EINVAL, NULL);
    FAILS(hearth_init(NULL, NULL), HEARTH_ESTATE, NULL);
    HT_CHECK(strlen(hearth_strerror(-12345)) > 0);
    HT_CHECK(strlen(hearth_strerror(12345)) > 0);
}

static void *fail_elsewhere(void *arg)
{
    (void)arg;
    HT_EQUAL(hearth_lock_init(NULL), HEARTH_EINVAL);
    return NULL;
}

/* The message is the thread's own. */
static void test_message_of_thread(struct hearth_region *none)
{
    pthread_t thread;
    struct hearth_region_attr a = attr_default();
    char before[1024];

    (void)none;
    a.page_bytes = 54321;
    FAILS(create_with(4096, a), HEARTH_EINVAL, "54321");
    snprintf(before, sizeof before, "%s", hearth_error_message());
    if (!pthread_create(&thread, NULL, fail_elsewhere, NULL))
        pthread_join(thread, NULL);
    HT_CHECK(strcmp(before, hearth_error_message()) == 0);
}

static const struct ht_test tests[] = {
    {"region-attributes", test_region_attributes, HT_ONCE, 0},
    {"region-unsupported", test_region_unsupported, HT_ONCE, 0},
    {"region-too-large", test_region_too_large, HT_ONCE, 0},
    {"region-mismatch", test_region_mismatch, HT_ONCE, 0},
    {"region-destroy", test_region_destroy, HT_ONCE, 0},
    {"malloc", test_malloc, HT_PROTOCOLS, 1 << 20},
    {"exhaustion", test_exhaustion, HT_PROTOCOLS, 1 << 20},
    {"free", test_free, HT_PROTOCOLS, 1 << 20},
    {"solo-free", test_solo_free, HT_PROTOCOLS, 1 << 20},
    {"locks", test_locks, HT_ONCE, 0},
    {"lock-table-full", test_lock_table_full, HT_ONCE, 0},
    {"counters", test_counters, HT_ONCE, 0},
    {"facts", test_facts, HT_ONCE, 1 << 20},
    {"message-of-thread", test_message_of_thread, HT_ONCE, 0},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"errors", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    return ht_main(argc, argv, &program);
}
