/* SPDX-License-Identifier: BSD-3-Clause */
#include "sort_common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 8 passes over 256 counters: with 2,048, as many write streams as the caches and the TLB hold
   would be exceeded, and a pass costs more than the two that it saves. */
#define DIGIT_BITS 8
#define DIGITS     256
#define PASSES     8

enum { KEY_SEED = 0x200, KEY_SKEWED };

static const struct argp_option option_table[] = {
    {"keys", 'k', "N", 0, "How many keys of 64 bits (default 1048576)", 0},
    {"seed", KEY_SEED, "N", 0, "Other keys (default 1)", 0},
    {"rounds", 'r', "N", 0,
     "So many times, other keys each time, but the first take the longest (default 1)", 0},
    {"skewed", KEY_SKEWED, NULL, 0, "Many small keys and few large ones, not all alike", 0},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct sort_options *options = state->input;

    switch (key) {
    case 'k':
        return app_parse_number(state, "keys", arg, 1, (uint64_t)1 << 36, &options->n_keys);
    case KEY_SEED:
        return app_parse_number(state, "seed", arg, 0, UINT16_MAX, &options->seed);
    case 'r':
        return app_parse_number(state, "rounds", arg, 1, 1000, &options->rounds);
    case KEY_SKEWED:
        options->skewed = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp sort_argp = {option_table, parse_option, NULL, NULL, NULL, NULL, NULL};

void sort_fill(const struct sort_options *options, uint64_t round, struct app_items items,
               uint64_t *keys_out)
{
    for (size_t i = items.first; i < items.end; i++) {
        uint64_t key = app_random((options->seed << 48) + (round << 36) + i);

        /* The product of two even distributions, its leading part. */
        if (options->skewed)
            key = (key >> 32) * (key & UINT32_MAX);
        keys_out[i - items.first] = key;
    }
}

static size_t bucket(uint64_t key)
{
    return key >> (64 - SORT_BUCKET_BITS);
}

void sort_count(const uint64_t *keys, size_t n_keys, uint64_t counts_out[SORT_BUCKETS])
{
    memset(counts_out, 0, SORT_BUCKETS * sizeof(*counts_out));
    for (size_t i = 0; i < n_keys; i++)
        counts_out[bucket(keys[i])]++;
}

void sort_deal(const uint64_t totals[SORT_BUCKETS], size_t n_keys, int n,
               int dest_out[SORT_BUCKETS])
{
    uint64_t before = 0;

    /* A bucket goes where its middle key would. */
    for (size_t b = 0; b < SORT_BUCKETS; b++) {
        uint64_t middle = before + totals[b] / 2;

        dest_out[b] = (int)(middle < n_keys ? middle * (uint64_t)n / n_keys : (uint64_t)n - 1);
        before += totals[b];
    }
}

void sort_scatter(const uint64_t *keys, size_t n_keys, const int dest[SORT_BUCKETS], uint64_t **to)
{
    for (size_t i = 0; i < n_keys; i++)
        *to[dest[bucket(keys[i])]]++ = keys[i];
}

static size_t digit(uint64_t key, int pass)
{
    return key >> (pass * DIGIT_BITS) & (DIGITS - 1);
}

static void one_pass(const uint64_t *from, size_t n_keys, int pass, const size_t counts[DIGITS],
                     uint64_t *to)
{
    uint64_t *next[DIGITS];

    for (size_t d = 0; d < DIGITS; d++) {
        next[d] = to;
        to += counts[d];
    }
    for (size_t i = 0; i < n_keys; i++)
        *next[digit(from[i], pass)]++ = from[i];
}

void sort_radix(const uint64_t *from, size_t n_keys, uint64_t *spare, uint64_t *to)
{
    size_t counts[PASSES][DIGITS] = {0};

    for (size_t i = 0; i < n_keys; i++)
        for (int pass = 0; pass < PASSES; pass++)
            counts[pass][digit(from[i], pass)]++;
    for (int pass = 0; pass < PASSES; pass++) {
        uint64_t *target = pass == PASSES - 1 ? to : spare + (pass & 1 ? n_keys : 0);

        one_pass(from, n_keys, pass, counts[pass], target);
        from = target;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static bool verify(const struct sort_options *options, const uint64_t *sorted, const char *program)
{
    size_t i = 0;
    uint64_t *expected = malloc(options->n_keys * sizeof(*expected));

    if (expected == NULL) {
        fprintf(stderr, "%s: no memory for a private copy of %zu keys: try without --verify\n",
                program, options->n_keys);
        return false;
    }
    sort_fill(options, options->rounds - 1, (struct app_items){0, options->n_keys}, expected);
    qsort(expected, options->n_keys, sizeof(*expected), compare);
    while (i < options->n_keys && sorted[i] == expected[i])
        i++;
    if (i < options->n_keys)
        fprintf(stderr, "%s: WRONG: first at %zu: is %016" PRIx64 ", should be %016" PRIx64 "\n",
                program, i, sorted[i], expected[i]);
    free(expected);
    return i == options->n_keys;
}

bool sort_finish(const struct sort_options *options, const uint64_t *sorted,
                 struct app_report *report)
{
    report->right = !options->app.verify || verify(options, sorted, report->program);
    snprintf(report->problem, sizeof(report->problem), "%zu %skeys x %" PRIu64, options->n_keys,
             options->skewed ? "skewed " : "", options->rounds);
    snprintf(report->result, sizeof(report->result), "checksum %016" PRIx64,
             app_hash(sorted, options->n_keys * sizeof(*sorted)));
    return app_print(&options->app, report) && report->right;
}
