/* Slicing: fix indices one by one until every intermediate is small enough, tuning the tree for
 * the smaller problem as it goes, then give back what turned out not to be needed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "outline.h"
#include "part.h"
#include "refine.h"

enum { LEAST_MOVES = 100, SWAP_ROUNDS = 3 }; /* fewer moves per tensor are not worth annealing */
static const double SLACK = 1e-9;       /* sizes are sums of rounded logarithms */
static const double PENALTY = 0.7;      /* log2 of the price of a bit beyond the limit */
static const double COLD = 0.05;        /* temperature at which annealing ends */
static const double LEAST_MICROSECONDS = 1000.0;
static const double EXCHANGE_WORK = 1e9; /* words looked at: give up beyond */

/* How an attempt tunes the tree after each slice: from which temperature, and whether results over
 * the limit count as dearer. Luck varies, so there are several. */
typedef struct {
    double hot; /* 0: the tree is left alone */
    bool minding;
} style;

enum { N_STYLES = 7 };
static const style STYLES[N_STYLES] = {
    {0.0, false}, {0.3, false}, {0.7, true}, {0.3, true}, {1.0, false}, {0.3, false}, {0.2, true},
};

typedef struct {
    const tnp_net *net;
    tnp_control *ctl;
    tnp_tree tree;       /* sliced indices have no bit set in it */
    tnp_outline outline; /* of a giant tree; then `tree` has bits for few indices */
    bool giant;
    uint64_t *whole;     /* index sets of the tensors and the output before slicing */
    double *size;        /* by node: log2 of the entries */
    uint64_t *candidates; /* indices on a result over the limit */
    double *with;        /* by bit: what slicing the index takes off the charges */
    int32_t *index_of;   /* by bit */
    int32_t *sliced;     /* room for every index */
    int32_t n_sliced;
    double slices;       /* log2 of their number */
    double limit;
    double share;        /* microseconds of annealing granted per slice */
} slicer;


static void measure(slicer *s)
{
    const tnp_tree *tree = &s->tree;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        s->size[v] = tnp_union_size(tree, tnp_legs(tree, v), tnp_legs(tree, v));
        if (s->giant) s->size[v] += s->outline.size[v];
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

/* log2 size of the largest intermediate or output. */
static double largest(const slicer *s)
{
    double size = 0.0;
    for (int32_t v = s->tree.n; v < s->tree.n_nodes; v++) {
        if (s->size[v] > size) size = s->size[v];
    }
    return size;
}

static bool fits(const slicer *s)
{
    return largest(s) <= s->limit + SLACK;
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
    return tnp_tree_cost(&s->tree) + s->slices;
}

/* What step v counts for: its multiply-adds, dearer the further its result is over the limit. */
static double charge(const slicer *s, int32_t v, double size)
{
    double over = size - s->limit;
    return s->tree.cost[v] * (over > 0.0 ? tnp_exp2(PENALTY * over) : 1.0);
}

/* Into `candidates`: the indices on results over the limit. Into `with`, for each of them: what
 * slicing it takes off the charges of one slice. Returns the sum of the charges. */
static double weigh(slicer *s)
{
    const tnp_tree *tree = &s->tree;
    double sum = 0.0;
    memset(s->candidates, 0, (size_t)tree->words * sizeof *s->candidates);
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        const uint64_t *legs = tnp_legs(tree, v);
        sum += charge(s, v, s->size[v]);
        if (s->size[v] <= s->limit + SLACK) continue;
        for (int32_t w = 0; w < tree->words; w++) s->candidates[w] |= legs[w];
    }
    memset(s->with, 0, 64 * (size_t)tree->words * sizeof *s->with);
    for (int32_t w = 0; w < tree->words; w++) {
        if (!s->candidates[w]) continue;
        double weight = tree->word_weight[w], share = tnp_exp2(-weight);
        for (int32_t v = tree->n; v < tree->n_nodes; v++) {
            const int32_t *kids = tnp_kids(tree, v);
            uint64_t x = tnp_legs(tree, kids[0])[w] | tnp_legs(tree, kids[1])[w];
            uint64_t kept = tnp_legs(tree, v)[w];
            x &= s->candidates[w];
            if (!x) continue;
            double now = charge(s, v, s->size[v]);
            double summed = now * (1.0 - share);
            double open = now - share * charge(s, v, s->size[v] - weight);
            for (; x; x &= x - 1) {
                int b = __builtin_ctzll(x);
                s->with[64 * w + b] += kept >> b & 1 ? open : summed;
            }
        }
    }
    return sum;
}

/* The index whose slicing adds the least work, all further slicing foreseen, per bit. */
static int32_t choose(slicer *s, int32_t avoid)
{
    const tnp_tree *tree = &s->tree;
    int32_t best = -1;
    double least = INFINITY, sum = weigh(s);
    for (int32_t w = 0; w < tree->words; w++) {
        for (uint64_t x = s->candidates[w]; x; x &= x - 1) {
            int32_t bit = 64 * w + __builtin_ctzll(x);
            double grown = (sum - s->with[bit]) / sum;
            double price = 1.0 + tnp_log2(grown > 0.0 ? grown : 1e-300) / tree->word_weight[w];
            if (bit == avoid || !(price < least)) continue;
            least = price;
            best = bit;
        }
    }
    return best;
}

/* Tune the tree for one slice; the annealing is paid from `share`. */
static tnp_status tune(slicer *s, const style *how)
{
    tnp_tree *tree = &s->tree;
    double move = 2.0 * tnp_move_work(s->net); /* minding the limit doubles it */
    int64_t moves = (int64_t)(s->share / move), solved;
    tnp_status status = TNP_OK;
    if (moves >= (int64_t)LEAST_MOVES * tree->n) {
        tnp_anneal_options o = {how->hot, COLD, moves, 0, (uint64_t)s->n_sliced,
                                how->minding ? s->limit : INFINITY};
        status = tnp_anneal(tree, &o, s->ctl, true);
    }
    int64_t regions = 1 + (int64_t)(s->share / TNP_REGION_WORK);
    if (!status) {
        status = tnp_reoptimise(tree, TNP_REGION, TNP_IGNORE, regions, s->ctl, true, &solved);
    }
    measure(s);
    return status;
}

static tnp_status slice_until_fits(slicer *s, const style *how)
{
    tnp_status status = TNP_OK;
    while (!fits(s) && !status) {
        int32_t bit = choose(s, -1);
        if (bit < 0) return TNP_IMPOSSIBLE;
        slice_index(s, bit);
        if (how->hot > 0.0) status = tune(s, how);
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
    double before = total(s);
    int32_t index = s->sliced[at], last = s->n_sliced - 1;
    drop(s, at);
    apply(s);
    if (fits(s)) return true;
    int32_t bit = choose(s, s->tree.bit[index]);
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
    s->giant = tnp_tree_bytes(s->net) > TNP_TREE_BYTES;
    tnp_status status = TNP_OK;
    if (s->giant) status = tnp_outline_init(&s->outline, s->net, steps, s->limit + SLACK);
    if (!status) status = tnp_tree_init(&s->tree, s->net, s->outline.chosen);
    if (status) return status;
    s->tree.base = s->outline.macs;
    size_t words = (size_t)s->tree.words, n = (size_t)s->tree.n;
    s->whole = malloc((n + 1) * words * sizeof *s->whole);
    s->size = malloc(2 * n * sizeof *s->size);
    s->candidates = malloc(words * sizeof *s->candidates);
    s->with = malloc(64 * words * sizeof *s->with);
    s->index_of = malloc(64 * words * sizeof *s->index_of);
    if (!s->whole || !s->size || !s->candidates || !s->with || !s->index_of) return TNP_NO_MEMORY;
    memcpy(s->whole, s->tree.legs, n * words * sizeof *s->whole);
    memcpy(s->whole + n * words, tnp_legs(&s->tree, s->tree.root), words * sizeof *s->whole);
    for (int32_t i = 0; i < s->net->n_ix; i++) {
        if (s->tree.bit[i] >= 0) s->index_of[s->tree.bit[i]] = i;
    }
    return TNP_OK;
}

static void slicer_free(slicer *s)
{
    tnp_tree_free(&s->tree);
    tnp_outline_free(&s->outline);
    free(s->whole);
    free(s->size);
    free(s->sliced);
    free(s->candidates);
    free(s->with);
    free(s->index_of);
}

/* One attempt, starting from the given tree. */
static tnp_status attempt(slicer *s, const int32_t *steps, const style *how)
{
    s->n_sliced = 0;
    tnp_tree_load(&s->tree, steps);
    apply(s);
    double worth = tnp_allowance(s->net, total(s), LEAST_MICROSECONDS) / (double)N_STYLES;
    double excess = largest(s) - s->limit; /* wide indices need fewer slices than bits */
    s->share = worth / (1.5 * (excess > 0.0 ? excess : 0.0) + 1.0);
    tnp_status status = slice_until_fits(s, how);
    if (!status) status = give_back(s);
    return status;
}

tnp_status tnp_slice(const tnp_net *net, double limit, tnp_control *ctl, int32_t *steps,
                     int32_t *sliced, int32_t *n_sliced)
{
    slicer s = {.net = net, .ctl = ctl, .limit = limit};
    s.sliced = malloc(((size_t)net->n_ix + 1) * sizeof *s.sliced);
    *n_sliced = 0;
    tnp_status status = s.sliced ? slicer_init(&s, steps) : TNP_NO_MEMORY;
    double least = INFINITY;
    for (int k = 0; k < N_STYLES && !status; k++) { /* each starts from the best so far */
        status = attempt(&s, steps, &STYLES[k]);
        if (status || !(total(&s) < least)) continue;
        least = total(&s);
        *n_sliced = s.n_sliced;
        memcpy(sliced, s.sliced, (size_t)s.n_sliced * sizeof *sliced);
        if (k > 0) tnp_tree_store(&s.tree, steps);
        if (s.n_sliced == 0 || s.giant) break; /* giant trees are sliced as they are */
    }
    slicer_free(&s);
    return status;
}
