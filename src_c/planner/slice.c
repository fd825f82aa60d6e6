/* Slicing: fix indices one by one until every intermediate is small enough, tuning the tree for
 * the smaller problem as it goes, then give back what turned out not to be needed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "part.h"
#include "refine.h"

enum { MOVES_PER_TENSOR = 200, SWAP_ROUNDS = 3 };
static const double SLACK = 1e-9; /* sizes are sums of rounded logarithms */
static const double LEAST_MICROSECONDS = 1000.0;
static const double EXCHANGE_WORK = 1e9; /* words looked at: give up beyond */

typedef struct {
    const tnp_net *net;
    tnp_control *ctl;
    tnp_tree tree;       /* sliced indices have no bit set in it */
    uint64_t *whole;     /* index sets of the tensors and the output before slicing */
    double *size;        /* by node: log2 of the entries */
    double *with;        /* by bit: multiply-adds of the steps that have the index */
    int32_t *index_of;   /* by bit */
    int32_t *sliced;
    int32_t n_sliced;
    double slices;       /* log2 of their number */
    double limit, spent;
} slicer;


static void measure(slicer *s)
{
    const tnp_tree *tree = &s->tree;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        s->size[v] = tnp_union_size(tree, tnp_legs(tree, v), tnp_legs(tree, v));
    }
}

/* Take the tensors and the output from `whole`, without the sliced indices, and recount. */
static void apply(slicer *s)
{
    tnp_tree *tree = &s->tree;
    size_t words = (size_t)tree->words, n = (size_t)tree->n;
    memcpy(tree->legs, s->whole, n * words * sizeof *tree->legs);
    uint64_t *output = tnp_legs(tree, tree->root);
    memcpy(output, s->whole + n * words, words * sizeof *output);
    s->slices = 0.0;
    for (int32_t k = 0; k < s->n_sliced; k++) {
        int32_t bit = tree->bit[s->sliced[k]];
        uint64_t keep = ~(1ULL << (bit & 63));
        for (int32_t t = 0; t < tree->n; t++) tnp_legs(tree, t)[bit >> 6] &= keep;
        output[bit >> 6] &= keep;
        s->slices += s->net->weight[s->sliced[k]];
    }
    tnp_tree_recount(tree);
    measure(s);
}

/* The largest intermediate or output, and its log2 size. */
static int32_t largest(const slicer *s, double *size)
{
    int32_t node = s->tree.root;
    *size = -1.0;
    for (int32_t v = s->tree.n; v < s->tree.n_nodes; v++) {
        if (s->size[v] <= *size) continue;
        *size = s->size[v];
        node = v;
    }
    return node;
}

static bool fits(const slicer *s)
{
    double size;
    largest(s, &size);
    return size <= s->limit + SLACK;
}

/* Slice one more index: only the nodes that have it change. */
static void slice_index(slicer *s, int32_t bit)
{
    tnp_tree *tree = &s->tree;
    int32_t w = bit >> 6;
    uint64_t mask = 1ULL << (bit & 63);
    double weight = tree->word_weight[w], share = tnp_exp2(-weight);
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        const int32_t *kids = tnp_kids(tree, v);
        if ((tnp_legs(tree, kids[0])[w] | tnp_legs(tree, kids[1])[w]) & mask) {
            tree->total -= tree->cost[v] * (1.0 - share);
            tree->cost[v] *= share;
        }
        if (tnp_legs(tree, v)[w] & mask) s->size[v] -= weight;
    }
    for (int32_t v = 0; v < tree->n_nodes; v++) tnp_legs(tree, v)[w] &= ~mask;
    s->sliced[s->n_sliced++] = s->index_of[bit];
    s->slices += weight;
}

/* log2 of the multiply-adds over all slices. */
static double total(const slicer *s)
{
    return tnp_tree_macs(&s->tree) + s->slices;
}

/* Sum the multiply-adds of the steps that have each of the indices in `legs`. */
static void sum_by_index(slicer *s, const uint64_t *legs)
{
    const tnp_tree *tree = &s->tree;
    memset(s->with, 0, 64 * (size_t)tree->words * sizeof *s->with);
    for (int32_t w = 0; w < tree->words; w++) {
        if (!legs[w]) continue;
        for (int32_t v = tree->n; v < tree->n_nodes; v++) {
            const int32_t *kids = tnp_kids(tree, v);
            uint64_t x = (tnp_legs(tree, kids[0])[w] | tnp_legs(tree, kids[1])[w]) & legs[w];
            for (; x; x &= x - 1) s->with[64 * w + __builtin_ctzll(x)] += tree->cost[v];
        }
    }
}

/* The index on the largest node whose slicing adds the least work per halving of that node. */
static int32_t choose(slicer *s, int32_t node, int32_t avoid)
{
    const tnp_tree *tree = &s->tree;
    const uint64_t *legs = tnp_legs(tree, node);
    int32_t best = -1;
    double least = INFINITY;
    sum_by_index(s, legs);
    for (int32_t w = 0; w < tree->words; w++) {
        for (uint64_t x = legs[w]; x; x &= x - 1) {
            int32_t bit = 64 * w + __builtin_ctzll(x);
            double extent = tnp_exp2(tree->word_weight[w]);
            double without = tree->total - s->with[bit];
            double grown = ((extent - 1.0) * without + tree->total) / tree->total;
            double price = tnp_log2(grown) / tree->word_weight[w];
            if (bit == avoid || !(price < least)) continue;
            least = price;
            best = bit;
        }
    }
    return best;
}

/* Tune the tree for one slice, as far as the whole work is worth it. */
static tnp_status tune(slicer *s)
{
    tnp_tree *tree = &s->tree;
    double worth = tnp_allowance(total(s), LEAST_MICROSECONDS);
    int64_t solved;
    tnp_status status = TNP_OK;
    int64_t moves = (int64_t)MOVES_PER_TENSOR * tree->n;
    double work = 0.05 * (double)moves;
    if (s->spent + work < worth) {
        tnp_anneal_options o = {0.3, 0.05, moves, 0, (uint64_t)s->n_sliced};
        s->spent += work;
        status = tnp_anneal(tree, &o, s->ctl, true);
    }
    double regions = (worth - s->spent) / TNP_REGION_WORK;
    if (status || regions < 1.0) {
        measure(s);
        return status;
    }
    status = tnp_reoptimise(tree, TNP_REGION, TNP_IGNORE, (int64_t)regions, s->ctl, true, &solved);
    s->spent += (double)solved * TNP_REGION_WORK;
    measure(s);
    return status;
}

static tnp_status slice_until_fits(slicer *s, bool anneal)
{
    tnp_status status = TNP_OK;
    double size;
    for (int32_t node = largest(s, &size); size > s->limit + SLACK && !status;
         node = largest(s, &size)) {
        int32_t bit = choose(s, node, -1);
        if (bit < 0) return TNP_IMPOSSIBLE;
        slice_index(s, bit);
        if (anneal) status = tune(s);
        if (tnp_interrupted(s->ctl, true)) status = TNP_INTERRUPTED;
    }
    return status;
}

static void drop(slicer *s, int32_t at)
{
    s->n_sliced--;
    for (int32_t k = at; k < s->n_sliced; k++) s->sliced[k] = s->sliced[k + 1];
}

/* Give back each index that need not be sliced, or that another can stand in for at less work. */
static bool exchange(slicer *s, int32_t at)
{
    double before = total(s), size;
    int32_t index = s->sliced[at], last = s->n_sliced - 1;
    drop(s, at);
    apply(s);
    int32_t node = largest(s, &size);
    if (size <= s->limit + SLACK) return true;
    int32_t bit = choose(s, node, s->tree.bit[index]);
    if (bit >= 0) {
        slice_index(s, bit);
        if (fits(s) && total(s) < before - SLACK) return true;
        s->n_sliced--;
    }
    for (int32_t k = last; k > at; k--) s->sliced[k] = s->sliced[k - 1];
    s->sliced[at] = index;
    s->n_sliced++;
    apply(s);
    return false;
}

static tnp_status give_back(slicer *s)
{
    double recount = (double)s->tree.n * (double)s->tree.words;
    double tries = (double)s->n_sliced * (double)s->n_sliced;
    bool changed = tries * recount < EXCHANGE_WORK;
    for (int round = 0; round < SWAP_ROUNDS && changed; round++) {
        changed = false;
        for (int32_t k = s->n_sliced - 1; k >= 0; k--) {
            if (k < s->n_sliced && exchange(s, k)) changed = true;
            if (tnp_interrupted(s->ctl, true)) return TNP_INTERRUPTED;
        }
    }
    return TNP_OK;
}

static tnp_status slicer_init(slicer *s, const int32_t *steps)
{
    tnp_status status = tnp_tree_init(&s->tree, s->net);
    if (status) return status;
    size_t words = (size_t)s->tree.words, n = (size_t)s->tree.n;
    s->whole = malloc((n + 1) * words * sizeof *s->whole);
    s->size = malloc(2 * n * sizeof *s->size);
    s->with = malloc(64 * words * sizeof *s->with);
    s->index_of = malloc(64 * words * sizeof *s->index_of);
    if (!s->whole || !s->size || !s->with || !s->index_of) return TNP_NO_MEMORY;
    memcpy(s->whole, s->tree.legs, n * words * sizeof *s->whole);
    memcpy(s->whole + n * words, tnp_legs(&s->tree, s->tree.root), words * sizeof *s->whole);
    for (int32_t i = 0; i < s->net->n_ix; i++) {
        if (s->tree.bit[i] >= 0) s->index_of[s->tree.bit[i]] = i;
    }
    tnp_tree_load(&s->tree, steps);
    return TNP_OK;
}

static void slicer_free(slicer *s)
{
    tnp_tree_free(&s->tree);
    free(s->whole);
    free(s->size);
    free(s->with);
    free(s->index_of);
}

/* One attempt, with the tree as given or tuned along the way. */
static tnp_status attempt(slicer *s, bool anneal)
{
    s->n_sliced = 0;
    s->spent = 0.0;
    apply(s);
    tnp_status status = slice_until_fits(s, anneal);
    if (!status) status = give_back(s);
    return status;
}

tnp_status tnp_slice(const tnp_net *net, double limit, tnp_control *ctl, int32_t *steps,
                     int32_t *sliced, int32_t *n_sliced)
{
    slicer s = {.net = net, .ctl = ctl, .sliced = sliced, .limit = limit};
    int32_t *kept = malloc(((size_t)net->n_ix + 1) * sizeof *kept);
    *n_sliced = 0;
    tnp_status status = kept ? slicer_init(&s, steps) : TNP_NO_MEMORY;
    if (!status) status = attempt(&s, false);
    if (!status && s.n_sliced) {
        int32_t n_kept = s.n_sliced;
        double plain = total(&s);
        memcpy(kept, sliced, (size_t)n_kept * sizeof *kept);
        status = attempt(&s, true);
        if (!status && total(&s) < plain) {
            tnp_tree_store(&s.tree, steps);
        } else if (!status) {
            memcpy(sliced, kept, (size_t)n_kept * sizeof *kept);
            s.n_sliced = n_kept;
        }
    }
    *n_sliced = s.n_sliced;
    slicer_free(&s);
    free(kept);
    return status;
}
