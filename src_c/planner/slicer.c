/* A tree and its sliced indices; see slicer.h. */
#include "slicer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "part.h"

enum {
    LEAST_MOVES = 100,  /* fewer per tensor are not worth annealing */
    SWAP_ROUNDS = 3,
    PRUNING = 4         /* one in so many looks that sliced more */
};
static const double SLACK = 1e-9;       /* sizes are sums of rounded logarithms */
static const double PENALTY = 0.7;      /* log2 of the price of a bit beyond the limit */
static const double SWAP_HEAT = 0.25;   /* temperature of exchanges, over that of moves */
static const double EXCHANGE_WORK = 1e9; /* words looked at: give up beyond */
static const double ATTEMPTS = 6.0;      /* that what the contraction is worth would pay for */

static void measure(tnp_slicer *s)
{
    const tnp_tree *tree = &s->tree;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        s->size[v] = tree->size[v];
        if (s->giant) s->size[v] += s->outline.size[v];
    }
}

/* Take the tensors and the output from `whole`, without the sliced indices, and recount. */
void tnp_slicer_apply(tnp_slicer *s)
{
    tnp_tree *tree = &s->tree;
    size_t words = (size_t)tree->words, n = (size_t)tree->n;
    memset(s->keep, 0xff, words * sizeof *s->keep);
    tree->slices = 0.0;
    for (int32_t k = 0; k < s->n_sliced; k++) {
        int32_t bit = tree->bit[s->sliced[k]];
        s->keep[bit >> 6] &= ~(1ULL << (bit & 63));
        tree->slices += s->net->weight[s->sliced[k]];
    }
    for (size_t t = 0; t <= n; t++) {
        const uint64_t *from = s->whole + t * words;
        uint64_t *to = tnp_legs(tree, t < n ? (int32_t)t : tree->root), lost = 0;
        for (size_t w = 0; w < words; w++) {
            to[w] = from[w] & s->keep[w];
            lost |= from[w] & ~s->keep[w];
        }
        if (t < n) tree->once[t] = lost == 0;
    }
    tnp_tree_recount(tree);
    measure(s);
}

/* log2 size of the largest intermediate or output. */
static double largest(const tnp_slicer *s)
{
    double size = 0.0;
    for (int32_t v = s->tree.n; v < s->tree.n_nodes; v++) {
        if (s->size[v] > size) size = s->size[v];
    }
    return size;
}

static bool fits(const tnp_slicer *s)
{
    return largest(s) <= s->limit + SLACK;
}

/* Slice one more index. */
static void slice_index(tnp_slicer *s, int32_t bit)
{
    s->sliced[s->n_sliced++] = s->index_of[bit];
    tnp_slicer_apply(s);
}

/* log2 of the multiply-adds over all slices. */
double tnp_slicer_total(const tnp_slicer *s)
{
    return tnp_tree_cost(&s->tree) + s->tree.slices;
}

/* What step v counts for: its multiply-adds, dearer the further its result is over the limit. */
static double charge(const tnp_slicer *s, int32_t v, double size)
{
    double over = size - s->limit;
    return s->tree.cost[v] * (over > 0.0 ? tnp_exp2(PENALTY * over) : 1.0);
}

/* Into `candidates`: the indices on results over the limit. Into `with`, for each of them: what
 * slicing it takes off the charges of one slice. Returns the sum of the charges. */
static double weigh(tnp_slicer *s)
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
static int32_t choose(tnp_slicer *s, int32_t avoid)
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
static tnp_status tune(tnp_slicer *s, const tnp_slice_style *how)
{
    tnp_tree *tree = &s->tree;
    double move = 2.0 * tnp_move_work(s->net); /* minding the limit doubles it */
    int64_t moves = (int64_t)(s->share / move), solved;
    tnp_status status = TNP_OK;
    if (moves >= (int64_t)LEAST_MOVES * tree->n) {
        tnp_anneal_options o = {.hot = how->hot, .cold = TNP_COLD, .moves = moves,
                                .stream = (uint64_t)s->n_sliced,
                                .limit = how->minding ? s->limit : INFINITY,
                                .penalty = TNP_SOFT};
        status = tnp_anneal(tree, &o, s->ctl, s->caller);
    }
    int64_t regions = 1 + (int64_t)(s->share / TNP_REGION_WORK);
    if (!status) {
        status = tnp_reoptimise(tree, TNP_REGION, TNP_IGNORE, regions, s->ctl, s->caller, &solved);
    }
    measure(s);
    return status;
}

static tnp_status slice_until_fits(tnp_slicer *s, const tnp_slice_style *how)
{
    tnp_status status = TNP_OK;
    while (!fits(s) && !status) {
        int32_t bit = choose(s, -1);
        if (bit < 0) return TNP_IMPOSSIBLE;
        slice_index(s, bit);
        if (s->tree.slices > s->most) return TNP_IMPOSSIBLE;
        if (how->hot > 0.0) status = tune(s, how);
        if (tnp_interrupted(s->ctl, s->caller)) status = TNP_INTERRUPTED;
    }
    return status;
}

static void drop(tnp_slicer *s, int32_t at)
{
    s->n_sliced--;
    for (int32_t k = at; k < s->n_sliced; k++) s->sliced[k] = s->sliced[k + 1];
}

/* Give back each index that need not be sliced, or that another can stand in for at less work. */
static bool exchange(tnp_slicer *s, int32_t at)
{
    double before = tnp_slicer_total(s);
    int32_t index = s->sliced[at], last = s->n_sliced - 1;
    drop(s, at);
    tnp_slicer_apply(s);
    if (fits(s)) return true;
    int32_t bit = choose(s, s->tree.bit[index]);
    if (bit >= 0) {
        slice_index(s, bit);
        if (fits(s) && tnp_slicer_total(s) < before - SLACK) return true;
        s->n_sliced--;
    }
    for (int32_t k = last; k > at; k--) s->sliced[k] = s->sliced[k - 1];
    s->sliced[at] = index;
    s->n_sliced++;
    tnp_slicer_apply(s);
    return false;
}

tnp_status tnp_slicer_give_back(tnp_slicer *s)
{
    double recount = (double)s->tree.n * (double)s->tree.words;
    double tries = (double)s->n_sliced * (double)s->n_sliced;
    bool changed = tries * recount < EXCHANGE_WORK;
    for (int round = 0; round < SWAP_ROUNDS && changed; round++) {
        changed = false;
        for (int32_t k = s->n_sliced - 1; k >= 0; k--) {
            if (k < s->n_sliced && exchange(s, k)) changed = true;
            if (!tnp_should_stop(s->ctl, s->caller)) continue;
            return tnp_interrupted(s->ctl, s->caller) ? TNP_INTERRUPTED : TNP_OK;
        }
    }
    return TNP_OK;
}

tnp_status tnp_slicer_init(tnp_slicer *s, const int32_t *steps)
{
    s->sliced = malloc(((size_t)s->net->n_ix + 1) * sizeof *s->sliced);
    s->giant = tnp_tree_bytes(s->net) > TNP_TREE_BYTES;
    tnp_status status = s->sliced ? TNP_OK : TNP_NO_MEMORY;
    if (s->giant && !status) {
        status = tnp_outline_init(&s->outline, s->net, steps, s->limit + SLACK);
    }
    if (!status) status = tnp_tree_init(&s->tree, s->net, s->outline.chosen);
    if (status) return status;
    s->tree.base = s->outline.macs;
    size_t words = (size_t)s->tree.words, n = (size_t)s->tree.n, n_ix = (size_t)s->net->n_ix + 1;
    s->whole = malloc((n + 1) * words * sizeof *s->whole);
    s->keep = malloc(words * sizeof *s->keep);
    s->size = malloc(2 * n * sizeof *s->size);
    s->candidates = malloc(words * sizeof *s->candidates);
    s->with = malloc(64 * words * sizeof *s->with);
    s->index_of = malloc(64 * words * sizeof *s->index_of);
    s->old = malloc(n_ix * sizeof *s->old);
    s->best_kids = malloc(2 * n * sizeof *s->best_kids);
    s->best_sliced = malloc(n_ix * sizeof *s->best_sliced);
    s->tree.once = calloc(2 * n, 1);
    bool ok = s->whole && s->keep && s->size && s->candidates && s->with && s->index_of;
    if (!ok || !s->old || !s->best_kids || !s->best_sliced || !s->tree.once) return TNP_NO_MEMORY;
    memcpy(s->whole, s->tree.legs, n * words * sizeof *s->whole);
    memcpy(s->whole + n * words, tnp_legs(&s->tree, s->tree.root), words * sizeof *s->whole);
    for (int32_t i = 0; i < s->net->n_ix; i++) {
        if (s->tree.bit[i] >= 0) s->index_of[s->tree.bit[i]] = i;
    }
    return TNP_OK;
}

void tnp_slicer_free(tnp_slicer *s)
{
    free(s->tree.once);
    tnp_tree_free(&s->tree);
    tnp_outline_free(&s->outline);
    free(s->whole);
    free(s->keep);
    free(s->size);
    free(s->sliced);
    free(s->old);
    free(s->candidates);
    free(s->with);
    free(s->index_of);
    free(s->best_kids);
    free(s->best_sliced);
}

/* One attempt, starting from the given tree. */
tnp_status tnp_slicer_attempt(tnp_slicer *s, const int32_t *steps, const tnp_slice_style *how)
{
    s->n_sliced = 0;
    tnp_tree_load(&s->tree, steps);
    tnp_slicer_apply(s);
    double worth = tnp_allowance(s->net, tnp_slicer_total(s), TNP_SLICING_LEAST) / ATTEMPTS;
    double excess = largest(s) - s->limit; /* wide indices need fewer slices than bits */
    s->share = worth / (1.5 * (excess > 0.0 ? excess : 0.0) + 1.0);
    tnp_status status = slice_until_fits(s, how);
    if (!status) status = tnp_slicer_give_back(s);
    return status;
}

void tnp_slicer_keep_best(tnp_slicer *s)
{
    if (!fits(s) || !(tnp_slicer_total(s) < s->least)) return;
    s->least = tnp_slicer_total(s);
    s->n_best = s->n_sliced;
    memcpy(s->best_sliced, s->sliced, (size_t)s->n_sliced * sizeof *s->sliced);
    memcpy(s->best_kids, s->tree.kids, 2 * (size_t)s->tree.n * sizeof *s->best_kids);
}

/* Slice until all fits, the index `avoid` not first; false if nothing is left to slice. */
bool tnp_slicer_fit(tnp_slicer *s, int32_t avoid)
{
    while (!fits(s)) {
        int32_t bit = choose(s, avoid);
        if (bit < 0) return false;
        slice_index(s, bit);
        avoid = -1;
    }
    return true;
}

/* Exchange a sliced index for those that its return asks for, or for none, and keep the change by
 * the Metropolis rule. */
static void swap(tnp_slicer *s, double temperature)
{
    double before = tnp_slicer_total(s);
    int32_t n = s->n_sliced, at = (int32_t)tnp_below(&s->rng, (uint32_t)n);
    memcpy(s->old, s->sliced, (size_t)n * sizeof *s->old);
    int32_t bit = s->tree.bit[s->sliced[at]];
    drop(s, at);
    tnp_slicer_apply(s);
    double most = before - SWAP_HEAT * temperature * tnp_log2(tnp_uniform(&s->rng));
    if (tnp_slicer_fit(s, bit) && tnp_slicer_total(s) <= most) {
        tnp_slicer_keep_best(s);
        return;
    }
    s->n_sliced = n;
    memcpy(s->sliced, s->old, (size_t)n * sizeof *s->old);
    tnp_slicer_apply(s);
}

/* Drop the indices that later ones have made needless. */
static void prune(tnp_slicer *s)
{
    for (int32_t k = s->n_sliced - 1; k >= 0; k--) {
        int32_t index = s->sliced[k];
        drop(s, k);
        tnp_slicer_apply(s);
        if (fits(s)) continue;
        for (int32_t j = s->n_sliced++; j > k; j--) s->sliced[j] = s->sliced[j - 1];
        s->sliced[k] = index;
    }
    tnp_slicer_apply(s);
}

/* Between moves of the tree: slice what it asks for, then exchange some indices. */
tnp_status tnp_slicer_look(void *arg, double temperature)
{
    tnp_slicer *s = arg;
    int32_t before = s->n_sliced;
    tnp_slicer_apply(s); /* true costs */
    if (!tnp_slicer_fit(s, -1)) return TNP_IMPOSSIBLE;
    if (s->n_sliced > before && tnp_below(&s->rng, PRUNING) == 0) prune(s);
    tnp_slicer_keep_best(s);
    int32_t swaps = s->n_sliced > before ? 3 : 1;
    for (int32_t k = 0; k < swaps && s->n_sliced > 0; k++) swap(s, temperature);
    return TNP_OK;
}

/* Go to a tree with these slices. */
void tnp_slicer_go_to(tnp_slicer *s, const int32_t *sliced, int32_t n_sliced)
{
    s->n_sliced = n_sliced;
    memcpy(s->sliced, sliced, (size_t)n_sliced * sizeof *sliced);
    for (int32_t v = s->tree.n; v < s->tree.n_nodes; v++) {
        const int32_t *kids = tnp_kids(&s->tree, v);
        s->tree.parent[kids[0]] = s->tree.parent[kids[1]] = v;
    }
    s->tree.parent[s->tree.root] = -1;
    tnp_slicer_apply(s);
}
