/* SPDX-License-Identifier: BSD-3-Clause */
/* Structures of nodes that point to nodes on other PEs. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum { NODES_PER_PE = 60 };

struct node {
    struct node *next;
    int pe, number;
    unsigned char pad[29]; /* nodes straddle pages here and there */
};

struct list {
    struct hearth_lock lock;
    struct node *head;
    int n_nodes;
};

static struct list *new_list(struct hearth_region *region)
{
    struct list *list = hearth_region_malloc(region, sizeof *list);

    if (!ht_all(list != NULL))
        return NULL;
    if (ht_pe() == 0)
        HT_EQUAL(hearth_lock_init(&list->lock), 0);
    hearth_barrier_all();
    return list;
}

static void push_nodes(struct hearth_region *region, struct list *list)
{
    for (int i = 0; i < NODES_PER_PE; i++) {
        struct node *node = hearth_solo_malloc(region, sizeof *node);
        HT_CHECKF(node, "%s", hearth_error_message());
        if (!node)
            continue;
        HT_EQUAL(ht_find_other(node, sizeof *node, 0), sizeof *node);
        node->pe = ht_pe();
        node->number = i;
        memset(node->pad, i, sizeof node->pad);
        HT_EQUAL(hearth_lock_acquire(&list->lock), 0);
        node->next = list->head;
        list->head = node;
        list->n_nodes++;
        HT_EQUAL(hearth_lock_release(&list->lock), 0);
    }
}

/* Every node is there once, and each PE's in the order in which it pushed them. */
static void walk(const struct list *list)
{
    int n = ht_n_pes(), expected[n], length = 0;

    for (int pe = 0; pe < n; pe++)
        expected[pe] = NODES_PER_PE - 1;
    for (const struct node *node = list->head; node && length <= n * NODES_PER_PE;
         node = node->next) {
        length++;
        if (!HT_CHECKF(node->pe >= 0 && node->pe < n, "pe %d", node->pe))
            return;
        HT_EQUAL(hearth_home(node), node->pe);
        HT_EQUAL(node->number, expected[node->pe]);
        HT_EQUAL(ht_find_other(node->pad, sizeof node->pad, (unsigned char)node->number),
                 sizeof node->pad);
        expected[node->pe]--;
    }
    HT_EQUAL(length, n * NODES_PER_PE);
    HT_EQUAL(list->n_nodes, n * NODES_PER_PE);
}

/* Everybody takes nodes off the head, whoever made them, and frees them. */
static void pop_all(struct list *list)
{
    for (;;) {
        HT_EQUAL(hearth_lock_acquire(&list->lock), 0);
        struct node *node = list->head;
        if (node) {
            list->head = node->next;
            list->n_nodes--;
            memset(node, 0xdd, sizeof *node); /* the next to get this memory must not see it */
        }
        HT_EQUAL(hearth_lock_release(&list->lock), 0);
        if (!node)
            return;
        HT_CHECKF(!hearth_solo_free(node), "%s", hearth_error_message());
    }
}

static void test_list(struct hearth_region *region)
{
    struct list *list = new_list(region);

    for (int round = 0; list && round < 2; round++) {
        push_nodes(region, list);
        hearth_barrier_all();
        walk(list);
        hearth_barrier_all();
        pop_all(list);
        hearth_barrier_all();
        HT_EQUAL(list->n_nodes, 0);
        hearth_barrier_all();
    }
}

struct tree {
    struct tree *left, *right;
    int key, value;
};

static struct tree *build(struct hearth_region *region, int low, int high)
{
    if (low >= high)
        return NULL;
    struct tree *tree = hearth_solo_malloc(region, sizeof *tree);
    int middle = (low + high) / 2;
    HT_CHECKF(tree, "%s", hearth_error_message());
    if (tree) {
        tree->key = middle;
        tree->value = middle * 3;
        tree->left = build(region, low, middle);
        tree->right = build(region, middle + 1, high);
    }
    return tree;
}

/* In order the keys are first, first + 1, ... Returns the next one. */
static int check_tree(const struct tree *tree, int first, int plus)
{
    if (!tree)
        return first;
    first = check_tree(tree->left, first, plus);
    HT_EQUAL(tree->key, first);
    HT_EQUAL(tree->value, first * 3 + plus);
    return check_tree(tree->right, first + 1, plus);
}

static void add_to_values(struct tree *tree, int n, int me)
{
    if (!tree)
        return;
    if (tree->key % n == me)
        tree->value += 1000;
    add_to_values(tree->left, n, me);
    add_to_values(tree->right, n, me);
}

static void free_tree(struct tree *tree)
{
    if (!tree)
        return;
    free_tree(tree->left);
    free_tree(tree->right);
    HT_CHECKF(!hearth_solo_free(tree), "%s", hearth_error_message());
}

/* One PE builds a tree, all walk it, all change it, and another PE frees it. */
static void test_tree(struct hearth_region *region)
{
    enum { KEYS = 255 };
    int n = ht_n_pes(), me = ht_pe();
    struct tree **root = hearth_region_malloc(region, sizeof *root);

    if (!ht_all(root != NULL))
        return;
    for (int round = 0; round < 3; round++) {
        if (me == round % n)
            *root = build(region, 0, KEYS);
        hearth_barrier_all();
        HT_EQUAL(check_tree(*root, 0, 0), KEYS);
        hearth_barrier_all();
        add_to_values(*root, n, me);
        hearth_barrier_all();
        HT_EQUAL(check_tree(*root, 0, 1000), KEYS);
        hearth_barrier_all();
        if (me == (round + 1) % n)
            free_tree(*root);
        hearth_barrier_all();
    }
}

/* A tree a PE; each PE walks all of them, a forest of nodes with homes everywhere. */
static void test_forest(struct hearth_region *region)
{
    enum { KEYS = 63 };
    int n = ht_n_pes(), me = ht_pe();
    struct tree **roots = hearth_region_malloc(region, sizeof *roots * (size_t)n);

    if (!ht_all(roots != NULL))
        return;
    roots[me] = build(region, 0, KEYS);
    hearth_barrier_all();
    for (int pe = 0; pe < n; pe++)
        HT_EQUAL(check_tree(roots[pe], 0, 0), KEYS);
    hearth_barrier_all();
    for (int pe = 0; pe < n; pe++)
        add_to_values(roots[pe], n, me);
    hearth_barrier_all();
    for (int pe = 0; pe < n; pe++)
        HT_EQUAL(check_tree(roots[pe], 0, 1000), KEYS);
    hearth_barrier_all();
    free_tree(roots[(me + n - 1) % n]);
}

static const struct ht_test tests[] = {
    {"list", test_list, HT_KINDS, 1 << 20},
    {"tree", test_tree, HT_KINDS, 1 << 20},
    {"forest", test_forest, HT_KINDS, 1 << 20},
};

int main(int argc, char **argv)
{
    static const struct ht_program program = {"linked", tests, sizeof tests / sizeof tests[0],
                                              false, 0};

    return ht_main(argc, argv, &program);
}
