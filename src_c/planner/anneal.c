/* Tree annealing: exchange a subtree with its aunt, ((A B) Z) -> ((A Z) B), and keep the change
 * by the Metropolis rule on the ratio of the multiply-adds of the two steps before and after. */
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "refine.h"

/* Factors by which two steps may grow, drawn once per temperature. */
enum { FACTORS = 1024, STAGES = 256, POWERS = 256, LOOK_MOVES = 8 };

typedef struct {
    tnp_tree *tree;
    tnp_rng rng;
    double factor[FACTORS];
    double *power;     /* 2^(c * weight - unit) if every word has the same weight, else NULL */
    double root[POWERS]; /* 2^(k / POWERS), for when it is NULL */
    bool only_macs;
    double step;       /* 2^-unit */
    double share;      /* of a slice in the steps that are made once */
    double limit;      /* log2 entries beyond which a result makes its step dearer */
    double penalty;    /* log2 of how much, per bit */
    int32_t *best;     /* kids of the best tree so far */
    double best_total;
} annealer;

static void cool(annealer *a, double temperature)
{
    for (int k = 0; k < FACTORS; k++) {
        double u = ((double)k + 0.5) / FACTORS;
        a->factor[k] = tnp_exp2(-temperature * tnp_log2(u));
    }
}

static void remember(annealer *a)
{
    const tnp_tree *tree = a->tree;
    if (!(tree->total < a->best_total)) return;
    a->best_total = tree->total;
    memcpy(a->best, tree->kids, 2 * (size_t)tree->n * sizeof *a->best);
}

/* 2^x to about 1e-13 for x > -1022: half the time of tnp_exp2, which counts here. */
static inline double quick_exp2(const annealer *a, double x)
{
    if (!(x < 1023.0)) return INFINITY;
    if (x < -1022.0) return 0.0;
    double scaled = (x + 1024.0) * POWERS;
    int64_t k = (int64_t)scaled;
    double r = (scaled - (double)k) * (0.69314718055994530942 / POWERS);
    uint64_t bits = (uint64_t)(k / POWERS - 1) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale * a->root[k % POWERS] * (1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r / 24.0))));
}

/* log2 size of the result of (A Z). */
static inline __attribute__((always_inline)) double
result_size(const tnp_tree *tree, const uint64_t *la, const uint64_t *lb, const uint64_t *lz,
            const uint64_t *lp)
{
    double size = 0.0;
    for (int32_t w = 0; w < tree->words; w++) {
        uint64_t legs = (la[w] | lz[w]) & (lb[w] | lp[w]);
        size += tree->word_weight[w] * (double)__builtin_popcountll(legs);
    }
    return size;
}

/* Multiply-adds of (A Z) and of its product with B. */
static inline __attribute__((always_inline)) void
price(const annealer *a, const uint64_t *la, const uint64_t *lb, const uint64_t *lz,
      const uint64_t *lp, double *inner, double *outer)
{
    const tnp_tree *tree = a->tree;
    int32_t words = tree->words;
    if (a->power) {
        int x = 0, y = 0;
        for (int32_t w = 0; w < words; w++) {
            uint64_t az = la[w] | lz[w];
            x += __builtin_popcountll(az);
            y += __builtin_popcountll((az & lp[w]) | lb[w]);
        }
        *inner = a->power[x];
        *outer = a->power[y];
    } else {
        double x = 0.0, y = 0.0;
        for (int32_t w = 0; w < words; w++) {
            uint64_t az = la[w] | lz[w];
            x += tree->word_weight[w] * (double)__builtin_popcountll(az);
            y += tree->word_weight[w] * (double)__builtin_popcountll((az & lp[w]) | lb[w]);
        }
        *inner = quick_exp2(a, x - tree->unit);
        *outer = quick_exp2(a, y - tree->unit);
    }
}

/* What steps count for besides multiply-adds, with the price of too large results. */
static inline double full_price(const annealer *a, double macs, double size, double left,
                                double right)
{
    const tnp_objective *o = &a->tree->objective;
    double unit = a->tree->unit, cost = macs;
    if (!a->only_macs) {
        cost = o->macs * macs + o->step * a->step;
        if (o->out > 0.0) cost += o->out * quick_exp2(a, o->power * size - unit);
        if (o->in > 0.0) cost += o->in * (quick_exp2(a, left - unit) + quick_exp2(a, right - unit));
    }
    return size > a->limit ? cost * quick_exp2(a, a->penalty * (size - a->limit)) : cost;
}

/* `moves` proposals at one temperature; `bare`: multiply-adds are all that counts. */
static inline __attribute__((always_inline)) void walk(annealer *a, int64_t moves, bool bare)
{
    tnp_tree *tree = a->tree;
    int32_t n = tree->n, words = tree->words;
    double *sizes = tree->size;
    unsigned char *once = tree->once;
    for (; moves > 0; moves--) {
        uint64_t r = tnp_next(&a->rng);
        int32_t p = n + (int32_t)((r >> 32) * (uint64_t)(n - 1) >> 32);
        int32_t *kp = tnp_kids(tree, p);
        int side = (int)(r & 1), up = (int)(r >> 1 & 1);
        if (kp[side] < n) side ^= 1;
        int32_t q = kp[side], z = kp[side ^ 1];
        if (q < n) continue;
        int32_t *kq = tnp_kids(tree, q), b = kq[up], keep = kq[up ^ 1];
        const uint64_t *la = tnp_legs(tree, keep), *lb = tnp_legs(tree, b);
        const uint64_t *lz = tnp_legs(tree, z), *lp = tnp_legs(tree, p);
        double inner, outer, size = 0.0, old = tree->cost[p] + tree->cost[q];
        price(a, la, lb, lz, lp, &inner, &outer);
        if (!bare) {
            size = result_size(tree, la, lb, lz, lp);
            inner = full_price(a, inner, size, sizes[keep], sizes[z]);
            outer = full_price(a, outer, sizes[p], size, sizes[b]);
            if (once) {
                if (once[keep] & once[z]) inner *= a->share;
                if (once[p]) outer *= a->share;
            }
        }
        if (!(inner + outer <= old * a->factor[r >> 2 & (FACTORS - 1)])) continue;
        uint64_t *lq = tnp_legs(tree, q);
        for (int32_t w = 0; w < words; w++) lq[w] = (la[w] | lz[w]) & (lb[w] | lp[w]);
        sizes[q] = size;
        if (!bare && once) once[q] = once[keep] & once[z];
        kp[side ^ 1] = b;
        kq[up] = z;
        tree->parent[b] = p;
        tree->parent[z] = q;
        tree->cost[p] = outer;
        tree->cost[q] = inner;
        tree->total += inner + outer - old;
    }
}

static void walk_plain(annealer *a, int64_t moves)
{
    if (a->only_macs && a->limit == INFINITY) walk(a, moves, true);
    else walk(a, moves, false);
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static void walk_popcnt(annealer *a, int64_t moves)
{
    if (a->only_macs && a->limit == INFINITY) walk(a, moves, true);
    else walk(a, moves, false);
}
#endif

typedef void (*walker)(annealer *a, int64_t moves);

static walker choose_walker(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt")) return walk_popcnt;
#endif
    return walk_plain;
}

static void resum(tnp_tree *tree)
{
    tree->total = 0.0;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) tree->total += tree->cost[v];
}

static double *powers(const tnp_tree *tree)
{
    for (int32_t w = 1; w < tree->words; w++) {
        if (tree->word_weight[w] != tree->word_weight[0]) return NULL;
    }
    int32_t bits = 64 * tree->words;
    double *power = malloc(((size_t)bits + 1) * sizeof *power);
    for (int32_t c = 0; power && c <= bits; c++) {
        power[c] = tnp_exp2((double)c * tree->word_weight[0] - tree->unit);
    }
    return power;
}

/* Price every step as the walk does. */
static void price_all(annealer *a)
{
    tnp_tree *tree = a->tree;
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        int32_t x = tnp_kids(tree, v)[0], y = tnp_kids(tree, v)[1];
        double all = tnp_union_size(tree, tnp_legs(tree, x), tnp_legs(tree, y));
        double macs = quick_exp2(a, all - tree->unit);
        tree->cost[v] = full_price(a, macs, tree->size[v], tree->size[x], tree->size[y]);
        if (tree->once && tree->once[v]) tree->cost[v] *= a->share;
    }
    resum(tree);
}

static void restore(tnp_tree *tree, const int32_t *kids)
{
    memcpy(tree->kids, kids, 2 * (size_t)tree->n * sizeof *kids);
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        tree->parent[tnp_kids(tree, v)[0]] = tree->parent[tnp_kids(tree, v)[1]] = v;
    }
    tree->parent[tree->root] = -1;
    tnp_tree_recount(tree);
}

/* Let the owner of the index sets change them, and price what has changed. */
static tnp_status look_around(annealer *a, const tnp_anneal_options *opt, double temperature)
{
    double unit = a->tree->unit;
    tnp_status status = opt->between(opt->arg, temperature);
    if (a->tree->unit != unit) {
        free(a->power);
        a->power = powers(a->tree);
    }
    a->step = tnp_exp2(-a->tree->unit);
    a->share = a->tree->once ? tnp_exp2(-a->tree->slices) : 1.0;
    price_all(a);
    return status;
}

tnp_status tnp_anneal(tnp_tree *tree, const tnp_anneal_options *opt, tnp_control *ctl,
                      bool caller)
{
    if (tree->n < 3) return TNP_OK;
    annealer a = {.tree = tree, .rng = tnp_rng_make(opt->seed, opt->stream)};
    a.best = malloc(2 * (size_t)tree->n * sizeof *a.best);
    if (!a.best) return TNP_NO_MEMORY;
    a.power = powers(tree);
    for (int k = 0; k < POWERS; k++) a.root[k] = tnp_exp2((double)k / POWERS);
    a.best_total = INFINITY;
    a.only_macs = tnp_only_macs(&tree->objective);
    a.step = tnp_exp2(-tree->unit);
    a.limit = opt->limit;
    a.penalty = opt->penalty;
    a.share = tree->once ? tnp_exp2(-tree->slices) : 1.0;
    if (a.limit < INFINITY) price_all(&a);
    remember(&a);
    walker go = choose_walker();
    double scale = tree->objective.macs > 0.0 ? 1.0 : tree->objective.power;
    int64_t batch = 1 + (4096 * 8) / tree->words;
    if (opt->between && batch > LOOK_MOVES * (int64_t)tree->n) batch = LOOK_MOVES * tree->n;
    int64_t stage_moves = 1 + opt->moves / STAGES;
    bool running = true;
    tnp_status status = TNP_OK;
    for (int s = 0; s < STAGES && running; s++) {
        double at = (double)s / (STAGES - 1);
        double temperature = opt->hot * tnp_exp2(at * tnp_log2(opt->cold / opt->hot));
        cool(&a, scale * temperature);
        for (int64_t left = stage_moves; left > 0 && running; left -= batch) {
            go(&a, left < batch ? left : batch);
            if (!opt->between) remember(&a);
            else if (!status) status = look_around(&a, opt, temperature);
            running = !status && !tnp_should_stop(ctl, caller);
        }
        resum(tree);
    }
    if (!opt->between) restore(tree, a.best);
    free(a.best);
    free(a.power);
    if (status) return status;
    return tnp_interrupted(ctl, caller) ? TNP_INTERRUPTED : TNP_OK;
}

double tnp_move_work(const tnp_net *net)
{
    bool even = true;
    double held = 0.0, weight = 0.0;
    for (int32_t i = 0; i < net->n_ix; i++) {
        if (!net->count[i]) continue;
        even = even && (held == 0.0 || net->weight[i] == weight);
        weight = net->weight[i];
        held += 1.0;
    }
    double words = held / 64.0 + 1.0;
    return even ? 0.035 + 0.0018 * words : 0.06 + 0.004 * words;
}
