/* Tree annealing: exchange a subtree with its aunt, ((A B) Z) -> ((A Z) B), and keep the change
 * by the Metropolis rule on the ratio of the multiply-adds of the two steps before and after. */
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "refine.h"

/* Factors by which two steps may grow, drawn once per temperature. */
enum { FACTORS = 1024, STAGES = 256 };

typedef struct {
    tnp_tree *tree;
    tnp_rng rng;
    double factor[FACTORS];
    double *power;     /* 2^(c * weight - unit) if every word has the same weight, else NULL */
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
        *inner = tnp_exp2(x - tree->unit);
        *outer = tnp_exp2(y - tree->unit);
    }
}

/* `moves` proposals at one temperature. */
static inline __attribute__((always_inline)) void walk(annealer *a, int64_t moves)
{
    tnp_tree *tree = a->tree;
    int32_t n = tree->n, words = tree->words;
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
        double inner, outer, old = tree->cost[p] + tree->cost[q];
        price(a, la, lb, lz, lp, &inner, &outer);
        if (!(inner + outer <= old * a->factor[r >> 2 & (FACTORS - 1)])) continue;
        uint64_t *lq = tnp_legs(tree, q);
        for (int32_t w = 0; w < words; w++) lq[w] = (la[w] | lz[w]) & (lb[w] | lp[w]);
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
    walk(a, moves);
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static void walk_popcnt(annealer *a, int64_t moves)
{
    walk(a, moves);
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

static void restore(tnp_tree *tree, const int32_t *kids)
{
    memcpy(tree->kids, kids, 2 * (size_t)tree->n * sizeof *kids);
    for (int32_t v = tree->n; v < tree->n_nodes; v++) {
        tree->parent[tnp_kids(tree, v)[0]] = tree->parent[tnp_kids(tree, v)[1]] = v;
    }
    tree->parent[tree->root] = -1;
    tnp_tree_recount(tree);
}

tnp_status tnp_anneal(tnp_tree *tree, const tnp_anneal_options *opt, tnp_control *ctl,
                      bool caller)
{
    if (tree->n < 3) return TNP_OK;
    annealer a = {.tree = tree, .rng = tnp_rng_make(opt->seed, opt->stream)};
    a.best = malloc(2 * (size_t)tree->n * sizeof *a.best);
    if (!a.best) return TNP_NO_MEMORY;
    a.power = powers(tree);
    a.best_total = INFINITY;
    remember(&a);
    walker go = choose_walker();
    int64_t batch = 1 + (4096 * 8) / tree->words;
    int64_t stage_moves = 1 + opt->moves / STAGES;
    bool running = true;
    for (int s = 0; s < STAGES && running; s++) {
        double at = (double)s / (STAGES - 1);
        cool(&a, opt->hot * tnp_exp2(at * tnp_log2(opt->cold / opt->hot)));
        for (int64_t left = stage_moves; left > 0 && running; left -= batch) {
            go(&a, left < batch ? left : batch);
            remember(&a);
            running = !tnp_should_stop(ctl, caller);
        }
        resum(tree);
    }
    restore(tree, a.best);
    free(a.best);
    free(a.power);
    return tnp_interrupted(ctl, caller) ? TNP_INTERRUPTED : TNP_OK;
}
