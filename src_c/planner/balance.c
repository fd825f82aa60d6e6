/* Where a network with nothing open is closed: every edge of its tree parts the tensors in two, and
 * the step between the two sides can come last.  All other steps stay what they are, for each brings
 * the same three index sets together, only that another of them is its result.  So the root goes
 * where either side takes half of the time: two threads then take a side each. */
#include <stdlib.h>

#include "refine.h"

static const double WORTH = 22.0;      /* log2 of the cost of trees that are worth it */
static const double LARGEST = 16.0;    /* log2 of entries: larger results had better be shared */
static const double BALANCED = 0.6;    /* share of the larger side with which a root may stay */
static const double SURCHARGE = 1e-3;  /* share of the whole that the last step may add */

/* Cost of all steps up to each node. */
static void sum_below(const tnp_tree *tree, double *below)
{
    for (int32_t v = tree->n; v < tree->n_nodes; v++) { /* as loaded: kids come first */
        const int32_t *kids = tnp_kids(tree, v);
        below[v] = tree->cost[v] + below[kids[0]] + below[kids[1]];
    }
}

static double larger_side(double whole, double side)
{
    return side > whole - side ? side : whole - side;
}

/* The node above which the root would part the tree most evenly; -1: it does well where it is. */
static int32_t find_edge(const tnp_tree *tree, const double *below)
{
    const int32_t *kids = tnp_kids(tree, tree->root);
    double whole = below[kids[0]] + below[kids[1]];
    double best = larger_side(whole, below[kids[0]]);
    if (best <= BALANCED * whole) return -1;
    int32_t edge = -1;
    for (int32_t v = tree->n; v < tree->root; v++) {
        if (larger_side(whole, below[v]) >= best) continue;
        if (tnp_exp2(tree->size[v] - tree->unit) > SURCHARGE * tree->total) continue;
        best = larger_side(whole, below[v]);
        edge = v;
    }
    return best <= BALANCED * whole ? edge : -1;
}

static void put_in_place_of(tnp_tree *tree, int32_t v, int32_t old, int32_t new)
{
    int32_t *kids = tnp_kids(tree, v);
    kids[kids[0] == old ? 0 : 1] = new;
}

/* Move the root to the edge above v: the steps between v and the old root turn round. */
static void move_root(tnp_tree *tree, int32_t v)
{
    int32_t below = v, at = tree->parent[v], next;
    for (; (next = tree->parent[at]) != tree->root; below = at, at = next) {
        put_in_place_of(tree, at, below, next);
    }
    int32_t *kids = tnp_kids(tree, tree->root);
    put_in_place_of(tree, at, below, kids[0] == at ? kids[1] : kids[0]);
    kids[0] = v;
    kids[1] = tree->parent[v];
}

static bool is_worth_it(const tnp_tree *tree)
{
    for (int32_t w = 0; w < tree->words; w++) {
        if (tnp_legs(tree, tree->root)[w]) return false;
    }
    if (tnp_tree_cost(tree) < WORTH) return false;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        if (tree->size[v] > LARGEST) return false;
    }
    return true;
}

tnp_status tnp_balance(const tnp_net *net, int32_t *steps)
{
    if (net->n < 4 || tnp_tree_bytes(net) > TNP_TREE_BYTES) return TNP_OK;
    tnp_tree tree;
    tnp_status status = tnp_tree_init(&tree, net, NULL);
    if (status) return status;
    tnp_tree_load(&tree, steps);
    double *below = calloc((size_t)tree.n_nodes, sizeof *below);
    if (!below) {
        status = TNP_NO_MEMORY;
    } else if (is_worth_it(&tree)) {
        sum_below(&tree, below);
        int32_t edge = find_edge(&tree, below);
        if (edge >= 0 && tree.parent[edge] != tree.root) {
            move_root(&tree, edge);
            tnp_tree_store(&tree, steps);
        }
    }
    free(below);
    tnp_tree_free(&tree);
    return status;
}
