/* SPDX-License-Identifier: BSD-3-Clause */
/* The formulas of the cost model are texts, so that what is printed is what is checked. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "protocol/diff.h"

/* As the protocols ship; of pages of 4 KiB. */
enum { RELEASE_BATCH = 512 };

struct parser {
    const char *text, *at;
    const struct sim_point *point;
};

static _Noreturn void wrong(const struct parser *parser)
{
    fprintf(stderr, "'%s' is no formula, from '%s' on\n", parser->text, parser->at);
    exit(2);
}

static char next(struct parser *parser)
{
    while (*parser->at == ' ') {
        parser->at++;
    }
    return *parser->at;
}

static void expect(struct parser *parser, char c)
{
    if (next(parser) != c) {
        wrong(parser);
    }
    parser->at++;
}

static uint64_t diff_bytes(uint64_t page_bytes)
{
    uint8_t *mask = calloc(1, HTH_DIFF_MASK_BYTES(page_bytes)), *now = calloc(1, page_bytes);
    uint8_t *out = malloc(HTH_DIFF_BYTES_MAX(page_bytes));
    if (mask == NULL || now == NULL || out == NULL) {
        abort();
    }
    mask[0] = 1;
    uint64_t bytes = hth_diff_encode(now, mask, 1, page_bytes, out);
    free(out);
    free(now);
    free(mask);
    return (bytes + 7) / 8 * 8; /* as it stands in a message */
}

static uint64_t copyset_bits(uint64_t pes)
{
    uint64_t bits = 1;
    while (bits < 64 && bits < pes) {
        bits *= 2;
    }
    return bits;
}

static uint64_t variable(struct parser *parser)
{
    const struct sim_point *point = parser->point;
    switch (*parser->at++) {
    case 'N':
        return point->pes;
    case 's':
        return point->sharers;
    case 'p':
        return point->pages;
    case 'B':
        return point->page_bytes;
    case 'd':
        return diff_bytes(point->page_bytes);
    case 'b':
        return RELEASE_BATCH;
    case 'w':
        return (point->pes + 63) / 64;
    case 'k':
        return 64 / copyset_bits(point->pes);
    default:
        parser->at--;
        wrong(parser);
    }
}

static uint64_t sum(struct parser *parser);

static uint64_t call_up(struct parser *parser)
{
    expect(parser, '(');
    uint64_t a = sum(parser);
    expect(parser, ',');
    uint64_t b = sum(parser);
    expect(parser, ')');
    return (a + b - 1) / b;
}

static uint64_t call_log(struct parser *parser)
{
    expect(parser, '(');
    uint64_t a = sum(parser), log = 0;
    expect(parser, ')');
    while (UINT64_C(1) << log < a) {
        log++;
    }
    return log;
}

static uint64_t factor(struct parser *parser)
{
    char c = next(parser);
    if (isdigit((unsigned char)c)) {
        char *end;
        uint64_t value = strtoull(parser->at, &end, 10);
        parser->at = end;
        return value;
    }
    if (c == '(') {
        parser->at++;
        uint64_t value = sum(parser);
        expect(parser, ')');
        return value;
    }
    if (strncmp(parser->at, "up", 2) == 0) {
        parser->at += 2;
        return call_up(parser);
    }
    if (strncmp(parser->at, "log", 3) == 0) {
        parser->at += 3;
        return call_log(parser);
    }
    return variable(parser);
}

static uint64_t product(struct parser *parser)
{
    uint64_t value = factor(parser);
    for (;;) {
        switch (next(parser)) {
        case '*':
            parser->at++;
            value *= factor(parser);
            break;
        case '/':
            parser->at++;
            value /= factor(parser);
            break;
        default:
            return value;
        }
    }
}

static uint64_t sum(struct parser *parser)
{
    uint64_t value = product(parser);
    for (;;) {
        switch (next(parser)) {
        case '+':
            parser->at++;
            value += product(parser);
            break;
        case '-':
            parser->at++;
            value -= product(parser);
            break;
        default:
            return value;
        }
    }
}

uint64_t sim_formula(const char *text, const struct sim_point *at)
{
    struct parser parser = {text, text, at};
    uint64_t value = sum(&parser);
    if (next(&parser) != '\0') {
        wrong(&parser);
    }
    return value;
}
