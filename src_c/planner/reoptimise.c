/* Subtree re-optimisation: cut a few neighbouring steps out of the tree and put the optimal ones
 * in their place, until no such cut helps. */
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "dp.h"
#include "refine.h"

static const double GAIN = 1e-9; /* relative; less is rounding */

typedef struct {
    int32_t k;                        /* leaves */
    int32_t leaf[TNP_DP_MAX];         /* nodes that stay */
    int32_t inner[TNP_DP_MAX];        /* the k - 1 steps between them, top first */
    double cost;                      /* of those steps */
} region;

typedef struct {
    int32_t node;
    double cost;
} ranked;

/* Grow a region down from v, opening the costliest step on its border. */
static void grow_region(const tnp_tree *tree, int32_t v, int32_t k, region *r)
{
    r->k = 1;
    r->leaf[0] = v;
    r->cost = 0.0;
    while (r->k < k) {
        int32_t open = -1;
        for (int32_t j = 0; j < r->k; j++) {
            if (r->leaf[j] < tree->n) continue;
            if (open < 0 || tree->cost[r->leaf[j]] > tree->cost[r->leaf[open]]) open = j;
        }
        if (open < 0) break;
        int32_t u = r->leaf[open];
        r->inner[r->k - 1] = u;
        r->cost += tree->cost[u];
        r->leaf[open] = tnp_kids(tree, u)[0];
        r->leaf[r->k++] = tnp_kids(tree, u)[1];
    }
}

static void describe(const tnp_tree *tree, const region *r, tnp_dp *dp)
{
    const uint64_t *top = tnp_legs(tree, r->inner[0]);
    tnp_dp_begin(dp, r->k, &tree->objective);
    for (int32_t w = 0; w < tree->words; w++) {
        uint64_t word[TNP_DP_MAX], any = 0;
        for (int32_t j = 0; j < r->k; j++) any |= word[j] = tnp_legs(tree, r->leaf[j])[w];
        for (; any; any &= any - 1) {
            int b = __builtin_ctzll(any);
            uint32_t holders = 0;
            for (int32_t j = 0; j < r->k; j++) holders |= (uint32_t)(word[j] >> b & 1) << j;
            tnp_dp_index(dp, holders, top[w] >> b & 1, tree->word_weight[w]);
        }
    }
}

/* Index set of the node that joins the leaves in `set`: what they and the rest share. */
static void join_legs(tnp_tree *tree, const region *r, uint32_t set, int32_t v)
{
    uint64_t *legs = tnp_legs(tree, v);
    const uint64_t *top = tnp_legs(tree, r->inner[0]);
    for (int32_t w = 0; w < tree->words; w++) {
        uint64_t in = 0, out = top[w];
        for (int32_t j = 0; j < r->k; j++) {
            uint64_t word = tnp_legs(tree, r->leaf[j])[w];
            if (set >> j & 1) in |= word;
            else out |= word;
        }
        legs[w] = in & out;
    }
    tree->size[v] = tnp_union_size(tree, legs, legs);
}

static void rebuild(tnp_tree *tree, const region *r, const tnp_dp *dp)
{
    struct {
        uint32_t set;
        int32_t node;
    } stack[TNP_DP_MAX + 1];
    int32_t depth = 1, used = 1;
    stack[0].set = (1u << r->k) - 1;
    stack[0].node = r->inner[0];
    while (depth) {
        uint32_t set = stack[--depth].set;
        int32_t v = stack[depth].node, *kids = tnp_kids(tree, v);
        for (int side = 0; side < 2; side++) {
            uint32_t half = side ? dp->split[set] : set ^ dp->split[set];
            int32_t kid = r->leaf[__builtin_ctz(half)];
            if (half & (half - 1)) {
                kid = r->inner[used++];
                join_legs(tree, r, half, kid);
                stack[depth].set = half;
                stack[depth++].node = kid;
            }
            kids[side] = kid;
            tree->parent[kid] = v;
        }
    }
    tree->total -= r->cost;
    for (int32_t j = 0; j < r->k - 1; j++) {
        tree->cost[r->inner[j]] = tnp_exp2(tnp_tree_step(tree, r->inner[j]) - tree->unit);
        tree->total += tree->cost[r->inner[j]];
    }
}

static int by_cost(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->cost != y->cost) return x->cost > y->cost ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

/* One pass over the steps marked in `dirty`, costliest first; *improved tells if any changed. */
static tnp_status pass(tnp_tree *tree, int32_t k, double least, ranked *order, char *dirty,
                       tnp_dp *dp, int64_t *left, tnp_control *ctl, bool caller, bool *improved)
{
    int32_t n_order = 0;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        if (dirty[v]) order[n_order++] = (ranked){v, tree->cost[v]};
    }
    qsort(order, (size_t)n_order, sizeof *order, by_cost);
    *improved = false;
    for (int32_t at = 0; at < n_order && *left > 0; at++) {
        int32_t v = order[at].node;
        region r;
        if (!dirty[v]) continue;
        dirty[v] = 0;
        grow_region(tree, v, k, &r);
        if (r.k < 3 || r.cost < least) continue;
        describe(tree, &r, dp);
        dp->cap = r.cost;
        double cost;
        tnp_status status = tnp_dp_solve(dp, tree->unit, ctl, caller, &cost);
        if (status) return status;
        --*left;
        if (*left % 64 == 0 && tnp_should_stop(ctl, caller)) *left = 0;
        if (!(cost < r.cost * (1.0 - GAIN))) continue;
        *improved = true;
        rebuild(tree, &r, dp);
        for (int32_t j = 0; j < r.k - 1; j++) dirty[r.inner[j]] = 1;
        for (int32_t up = tree->parent[v], j = 0; up >= 0 && j < k; j++) {
            dirty[up] = 1;
            up = tree->parent[up];
        }
    }
    return TNP_OK;
}

tnp_status tnp_reoptimise(tnp_tree *tree, int32_t k, double floor, int64_t budget,
                          tnp_control *ctl, bool caller, int64_t *solved)
{
    *solved = 0;
    if (tree->n < 3) return TNP_OK;
    if (k > tree->n) k = tree->n;
    tnp_dp dp;
    tnp_status status = tnp_dp_init(&dp, k);
    if (status) return status;
    ranked *order = malloc((size_t)tree->n * sizeof *order);
    char *dirty = malloc((size_t)tree->n_nodes);
    if (!order || !dirty) status = TNP_NO_MEMORY;
    else memset(dirty, 1, (size_t)tree->n_nodes);
    int64_t left = budget;
    for (bool improved = true; improved && left > 0 && !status;) {
        double least = floor * tree->total;
        status = pass(tree, k, least, order, dirty, &dp, &left, ctl, caller, &improved);
    }
    *solved = budget - left;
    free(order);
    free(dirty);
    tnp_dp_free(&dp);
    if (!status) tnp_tree_recount(tree);
    return status;
}
