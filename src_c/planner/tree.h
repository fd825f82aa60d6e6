/* A contraction tree that is being changed: index sets as bitsets, costs per node.
 *
 * Nodes 0..n-1 are the tensors, n..2n-2 the steps, `root` the last of them. Indices of equal
 * extent share words, so a size is a popcount times a weight per word.
 */
#ifndef TNP_TREE_H
#define TNP_TREE_H

#include "objective.h"

typedef struct {
    int32_t n, n_nodes, words, root;
    int32_t *kids;       /* 2 per step: kids[2 * (v - n)] */
    int32_t *parent;     /* -1 above the root */
    uint64_t *legs;      /* `words` per node */
    double *word_weight; /* log2 extent of the indices in a word */
    double *size;        /* per node: log2 of its entries */
    double *cost;        /* per node: what its step counts for, in units of 2^unit; 0 for tensors */
    double unit, total;
    int32_t *bit;        /* by index of the network: its bit, -1 if it has none */
    tnp_objective objective;
    unsigned char *once; /* per node, or NULL: no tensor below it has a sliced index, so that its
                            step is made once for all slices; of the tensors the slicer's to set */
    double slices;       /* log2 of their number, if there is `once` */
    const double *base;  /* per node, or NULL: log2 multiply-adds of the indices without bits */
    int32_t *scratch;    /* 2n */
} tnp_tree;

/* `chosen` (or NULL: all) tells which indices get bits. */
tnp_status tnp_tree_init(tnp_tree *tree, const tnp_net *net, const unsigned char *chosen);
void tnp_tree_free(tnp_tree *tree);

/* Bytes that a tree of the network takes. */
double tnp_tree_bytes(const tnp_net *net);

/* Take over SSA steps; write them in an order that goes down one branch before the other. */
void tnp_tree_load(tnp_tree *tree, const int32_t *steps);
void tnp_tree_store(tnp_tree *tree, int32_t *steps);

/* Recompute every step's index set, size and cost, the unit and the total. */
void tnp_tree_recount(tnp_tree *tree);

static inline uint64_t *tnp_legs(const tnp_tree *tree, int32_t v)
{
    return tree->legs + (size_t)v * (size_t)tree->words;
}

static inline int32_t *tnp_kids(const tnp_tree *tree, int32_t v)
{
    return tree->kids + 2 * (size_t)(v - tree->n);
}

static inline double tnp_popcount(uint64_t x)
{
    return (double)__builtin_popcountll(x);
}

/* log2 of the product of the extents of a or b. */
static inline double tnp_union_size(const tnp_tree *tree, const uint64_t *a, const uint64_t *b)
{
    double size = 0.0;
    for (int32_t w = 0; w < tree->words; w++) {
        size += tree->word_weight[w] * tnp_popcount(a[w] | b[w]);
    }
    return size;
}

/* log2 of what step v counts for, from the index sets and sizes around it. */
static inline double tnp_tree_step(const tnp_tree *tree, int32_t v)
{
    int32_t a = tnp_kids(tree, v)[0], b = tnp_kids(tree, v)[1];
    double all = tnp_union_size(tree, tnp_legs(tree, a), tnp_legs(tree, b));
    return tnp_step_log2(&tree->objective, all, tree->size[v], tree->size[a], tree->size[b]);
}

/* log2 of what all steps count for. */
static inline double tnp_tree_cost(const tnp_tree *tree)
{
    return tnp_log2(tree->total) + tree->unit;
}

#endif
