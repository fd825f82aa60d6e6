/* Slicing: fix indices one by one until every intermediate is small enough, tuning the tree for
 * the smaller problem as it goes; then anneal tree and slices together.
 *
 * What counts is the work over all slices, in which steps below which no tensor has a sliced index
 * are made once. In annealing, results over the limit make their steps dearer, so that the tree may
 * pass through them; between batches of moves enough indices are sliced for all to fit, and one
 * that is sliced is exchanged for others by the Metropolis rule.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "outline.h"
#include "part.h"
#include "refine.h"

enum {
    LEAST_MOVES = 100,  /* fewer per tensor are not worth annealing */
    SWAP_ROUNDS = 3,
    RUNS = 4,           /* of annealing per round */
    PRUNING = 4,        /* one in so many looks that sliced more */
    MOST_ROUNDS = 40,
    MOVES_PER_TENSOR = 1000,
    MOVES_PER_SAMPLE = 20000
};
static const double SLACK = 1e-9;       /* sizes are sums of rounded logarithms */
static const double PENALTY = 0.7;      /* log2 of the price of a bit beyond the limit */
static const double SOFT = 0.8, HARD = 8.0; /* the same in annealing */
static const double SWAP_HEAT = 0.25;   /* temperature of exchanges, over that of moves */
static const double COLD = 0.05;        /* temperature at which annealing ends */
static const double LEAST_MICROSECONDS = 1000.0;
static const double EXCHANGE_WORK = 1e9; /* words looked at: give up beyond */
static const double LOOK_SHARE = 2.5;   /* of annealing with slices, over that of plain moves */
static const double ROUND_SHARE = 0.4;  /* of the time that is left, for a round at most */

/* How an attempt tunes the tree after each slice: from which temperature, and whether results over
 * the limit count as dearer. Luck varies, so there are several. */
typedef struct {
    double hot; /* 0: the tree is left alone */
    bool minding;
} style;

enum { N_STYLES = 3 };
static const style STYLES[N_STYLES] = {{0.0, false}, {0.3, false}, {0.7, true}};

typedef struct {
    const tnp_net *net;
    tnp_control *ctl;
    bool caller;         /* runs on the calling thread */
    tnp_tree tree;       /* sliced indices have no bit set in it */
    tnp_outline outline; /* of a giant tree; then `tree` has bits for few indices */
    bool giant;
    uint64_t *whole;     /* index sets of the tensors and the output before slicing */
    uint64_t *keep;      /* bits that are not sliced */
    double *size;        /* by node: log2 of the entries */
    uint64_t *candidates; /* indices on a result over the limit */
    double *with;        /* by bit: what slicing the index takes off the charges */
    int32_t *index_of;   /* by bit */
    int32_t *sliced;     /* room for every index */
    int32_t n_sliced;
    int32_t *old;        /* the same, for going back */
    double limit;
    double share;        /* microseconds of annealing granted per slice */
    /* annealing */
    tnp_rng rng;
    double least;        /* the total of the best so far, and what it is */
    int32_t *best_kids, *best_sliced, n_best;
} slicer;

static void measure(slicer *s)
{
    const tnp_tree *tree = &s->tree;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        s->size[v] = tree->size[v];
        if (s->giant) s->size[v] += s->outline.size[v];
    }
}

/* Take the tensors and the output from `whole`, without the sliced indices, and recount. */
static void apply(slicer *s)
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

/* Slice one more index. */
static void slice_index(slicer *s, int32_t bit)
{
    s->sliced[s->n_sliced++] = s->index_of[bit];
    apply(s);
}

/* log2 of the multiply-adds over all slices. */
static double total(const slicer *s)
{
    return tnp_tree_cost(&s->tree) + s->tree.slices;
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
        tnp_anneal_options o = {.hot = how->hot, .cold = COLD, .moves = moves,
                                .stream = (uint64_t)s->n_sliced,
                                .limit = how->minding ? s->limit : INFINITY,
                                .penalty = SOFT};
        status = tnp_anneal(tree, &o, s->ctl, s->caller);
    }
    int64_t regions = 1 + (int64_t)(s->share / TNP_REGION_WORK);
    if (!status) {
        status = tnp_reoptimise(tree, TNP_REGION, TNP_IGNORE, regions, s->ctl, s->caller, &solved);
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
        if (tnp_interrupted(s->ctl, s->caller)) status = TNP_INTERRUPTED;
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
            if (!tnp_should_stop(s->ctl, s->caller)) continue;
            return tnp_interrupted(s->ctl, s->caller) ? TNP_INTERRUPTED : TNP_OK;
        }
    }
    return TNP_OK;
}

static tnp_status slicer_init(slicer *s, const int32_t *steps)
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

static void slicer_free(slicer *s)
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
static tnp_status attempt(slicer *s, const int32_t *steps, const style *how)
{
    s->n_sliced = 0;
    tnp_tree_load(&s->tree, steps);
    apply(s);
    double worth = tnp_allowance(s->net, total(s), LEAST_MICROSECONDS) / (2.0 * N_STYLES);
    double excess = largest(s) - s->limit; /* wide indices need fewer slices than bits */
    s->share = worth / (1.5 * (excess > 0.0 ? excess : 0.0) + 1.0);
    tnp_status status = slice_until_fits(s, how);
    if (!status) status = give_back(s);
    return status;
}

static void keep_best(slicer *s)
{
    if (!fits(s) || !(total(s) < s->least)) return;
    s->least = total(s);
    s->n_best = s->n_sliced;
    memcpy(s->best_sliced, s->sliced, (size_t)s->n_sliced * sizeof *s->sliced);
    memcpy(s->best_kids, s->tree.kids, 2 * (size_t)s->tree.n * sizeof *s->best_kids);
}

/* Slice until all fits, the index `avoid` not first; false if nothing is left to slice. */
static bool fit(slicer *s, int32_t avoid)
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
static void swap(slicer *s, double temperature)
{
    double before = total(s);
    int32_t n = s->n_sliced, at = (int32_t)tnp_below(&s->rng, (uint32_t)n);
    memcpy(s->old, s->sliced, (size_t)n * sizeof *s->old);
    int32_t bit = s->tree.bit[s->sliced[at]];
    drop(s, at);
    apply(s);
    double most = before - SWAP_HEAT * temperature * tnp_log2(tnp_uniform(&s->rng));
    if (fit(s, bit) && total(s) <= most) {
        keep_best(s);
        return;
    }
    s->n_sliced = n;
    memcpy(s->sliced, s->old, (size_t)n * sizeof *s->old);
    apply(s);
}

/* Drop the indices that later ones have made needless. */
static void prune(slicer *s)
{
    for (int32_t k = s->n_sliced - 1; k >= 0; k--) {
        int32_t index = s->sliced[k];
        drop(s, k);
        apply(s);
        if (fits(s)) continue;
        for (int32_t j = s->n_sliced++; j > k; j--) s->sliced[j] = s->sliced[j - 1];
        s->sliced[k] = index;
    }
    apply(s);
}

/* Between moves of the tree: slice what it asks for, then exchange some indices. */
static tnp_status look(void *arg, double temperature)
{
    slicer *s = arg;
    int32_t before = s->n_sliced;
    apply(s); /* true costs */
    if (!fit(s, -1)) return TNP_IMPOSSIBLE;
    if (s->n_sliced > before && tnp_below(&s->rng, PRUNING) == 0) prune(s);
    keep_best(s);
    int32_t swaps = s->n_sliced > before ? 3 : 1;
    for (int32_t k = 0; k < swaps && s->n_sliced > 0; k++) swap(s, temperature);
    return TNP_OK;
}

/* Go to a tree with these slices. */
static void go_to(slicer *s, const int32_t *sliced, int32_t n_sliced)
{
    s->n_sliced = n_sliced;
    memcpy(s->sliced, sliced, (size_t)n_sliced * sizeof *sliced);
    for (int32_t v = s->tree.n; v < s->tree.n_nodes; v++) {
        const int32_t *kids = tnp_kids(&s->tree, v);
        s->tree.parent[kids[0]] = s->tree.parent[kids[1]] = v;
    }
    s->tree.parent[s->tree.root] = -1;
    apply(s);
}

/* Rounds of annealing runs over tree and slices, each round from the best so far. */
typedef struct {
    const tnp_net *net;
    const tnp_options *opt;
    tnp_control *ctl;
    double limit;
    const int32_t *given;    /* steps of the tree that came in */
    slicer *slicers;         /* per thread, made when first needed */
    int64_t moves, first_run;
    struct {
        double cost;
        int64_t run;
        int32_t *steps, *sliced, n_sliced;
    } best, found;           /* before the round, and of it */
    pthread_mutex_t lock;
} rounds;

static tnp_status run(void *arg, int64_t item, int32_t thread)
{
    static const double hot[RUNS] = {0.5, 0.3, 0.7, 1.0};
    static const double penalty[RUNS] = {SOFT, HARD, HARD, SOFT};
    rounds *r = arg;
    slicer *s = &r->slicers[thread];
    int64_t number = r->first_run + item;
    tnp_status status = TNP_OK;
    if (!s->net) {
        *s = (slicer){.net = r->net, .ctl = r->ctl, .limit = r->limit, .caller = thread == 0};
        status = slicer_init(s, r->given);
        if (status) return status;
    }
    bool fresh = item % RUNS == RUNS - 1;
    s->rng = tnp_rng_make(r->opt->seed ^ 0x736c6963, (uint64_t)number);
    s->least = INFINITY;
    tnp_tree_load(&s->tree, fresh ? r->given : r->best.steps);
    go_to(s, r->best.sliced, fresh ? 0 : r->best.n_sliced);
    if (!fit(s, -1)) return TNP_IMPOSSIBLE;
    keep_best(s);
    tnp_anneal_options o = {.hot = hot[item % RUNS], .cold = COLD, .moves = r->moves,
                            .seed = r->opt->seed, .stream = (uint64_t)number, .limit = s->limit,
                            .penalty = penalty[item % RUNS], .between = look, .arg = s};
    status = tnp_anneal(&s->tree, &o, s->ctl, s->caller);
    if (status) return status;
    memcpy(s->tree.kids, s->best_kids, 2 * (size_t)s->tree.n * sizeof *s->best_kids);
    go_to(s, s->best_sliced, s->n_best);
    int64_t solved;
    status = tnp_reoptimise(&s->tree, TNP_REGION, TNP_IGNORE, INT64_MAX / 2, s->ctl, s->caller,
                            &solved);
    apply(s);
    keep_best(s);
    memcpy(s->tree.kids, s->best_kids, 2 * (size_t)s->tree.n * sizeof *s->best_kids);
    go_to(s, s->best_sliced, s->n_best);
    if (!status) status = give_back(s);
    double cost = total(s);
    pthread_mutex_lock(&r->lock);
    if (!status && (cost < r->found.cost || (cost == r->found.cost && number < r->found.run))) {
        r->found.cost = cost;
        r->found.run = number;
        r->found.n_sliced = s->n_sliced;
        memcpy(r->found.sliced, s->sliced, (size_t)s->n_sliced * sizeof *s->sliced);
        tnp_tree_store(&s->tree, r->found.steps);
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

static tnp_status anneal_rounds(rounds *r, double worth)
{
    bool timed = isfinite(r->ctl->deadline);
    double per_move = LOOK_SHARE * tnp_move_work(r->net), spent = 0.0;
    double seconds_per_move = 1e-6 * per_move * RUNS / r->opt->threads;
    int64_t left = r->opt->samples * MOVES_PER_SAMPLE;
    r->moves = (int64_t)MOVES_PER_TENSOR * r->net->n;
    tnp_status status = TNP_OK;
    for (int k = 0; k < MOST_ROUNDS && !status && !tnp_should_stop(r->ctl, true); k++) {
        double begin = tnp_now(), work = per_move * (double)r->moves * RUNS;
        if (timed) {
            int64_t most = 1 + (int64_t)(ROUND_SHARE * (r->ctl->deadline - begin) /
                                         seconds_per_move);
            if (r->moves > most) r->moves = most;
        } else if (r->opt->samples) {
            if (left <= 0) break;
            if (r->moves * RUNS > left) r->moves = 1 + left / RUNS;
            left -= r->moves * RUNS;
        } else if (spent + work > worth) {
            break;
        }
        r->found.cost = INFINITY;
        status = tnp_for_each(r->ctl, r->opt->threads, RUNS, run, r);
        seconds_per_move = (tnp_now() - begin) / (double)r->moves;
        spent += work;
        r->first_run += RUNS;
        r->moves *= 2;
        if (!(r->found.cost < r->best.cost)) continue;
        int32_t *steps = r->best.steps, *sliced = r->best.sliced;
        r->best = r->found;
        r->found.steps = steps;
        r->found.sliced = sliced;
    }
    return status;
}

/* The best of a few attempts, as what the rounds start from. */
static tnp_status first_slices(rounds *r, double *worth)
{
    slicer *s = &r->slicers[0];
    *s = (slicer){.net = r->net, .ctl = r->ctl, .limit = r->limit, .caller = true};
    tnp_status status = slicer_init(s, r->given);
    *worth = 0.0;
    for (int k = 0; k < N_STYLES && !status; k++) { /* each starts from the best so far */
        if (k > 0 && tnp_should_stop(r->ctl, true)) break;
        status = attempt(s, r->best.steps, &STYLES[k]);
        if (status || !(total(s) < r->best.cost)) continue;
        r->best.cost = total(s);
        r->best.n_sliced = s->n_sliced;
        memcpy(r->best.sliced, s->sliced, (size_t)s->n_sliced * sizeof *s->sliced);
        if (k > 0) tnp_tree_store(&s->tree, r->best.steps);
        atomic_store(&r->ctl->ready, true);
        if (s->n_sliced == 0 || s->giant) return status; /* giant trees are sliced as they are */
    }
    *worth = 0.5 * tnp_allowance(r->net, r->best.cost, LEAST_MICROSECONDS);
    return status;
}

static tnp_status rounds_init(rounds *r, const int32_t *steps)
{
    size_t n = 2 * (size_t)r->net->n * sizeof(int32_t);
    size_t n_ix = ((size_t)r->net->n_ix + 1) * sizeof(int32_t);
    r->slicers = calloc((size_t)r->opt->threads, sizeof *r->slicers);
    r->best.steps = malloc(n);
    r->best.sliced = malloc(n_ix);
    r->found.steps = malloc(n);
    r->found.sliced = malloc(n_ix);
    r->best.cost = INFINITY;
    bool ok = r->slicers && r->best.steps && r->best.sliced && r->found.steps && r->found.sliced;
    if (!ok || pthread_mutex_init(&r->lock, NULL)) return TNP_NO_MEMORY;
    memcpy(r->best.steps, steps, 2 * (size_t)(r->net->n - 1) * sizeof *steps);
    return TNP_OK;
}

tnp_status tnp_slice(const tnp_net *net, double limit, const tnp_options *opt, tnp_control *ctl,
                     int32_t *steps, int32_t *sliced, int32_t *n_sliced)
{
    rounds r = {.net = net, .opt = opt, .ctl = ctl, .limit = limit, .given = steps};
    double worth = 0.0;
    *n_sliced = 0;
    tnp_status status = rounds_init(&r, steps);
    if (!status) status = first_slices(&r, &worth);
    if (!status && worth > 0.0 && net->n > 2) status = anneal_rounds(&r, worth);
    if (!status) {
        memcpy(steps, r.best.steps, 2 * (size_t)(net->n - 1) * sizeof *steps);
        *n_sliced = r.best.n_sliced;
        memcpy(sliced, r.best.sliced, (size_t)r.best.n_sliced * sizeof *sliced);
    }
    for (int32_t t = 0; r.slicers && t < opt->threads; t++) slicer_free(&r.slicers[t]);
    free(r.slicers);
    free(r.best.steps);
    free(r.best.sliced);
    free(r.found.steps);
    free(r.found.sliced);
    pthread_mutex_destroy(&r.lock);
    return status;
}
