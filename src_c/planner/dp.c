/* Exact search over all contraction trees of k tensors, outer products included.
 *
 * For a set S of tensors, touch(S) is the (log2) size of all indices on a tensor of S, and
 * inner(S) of those that are summed once S is one tensor. Contracting the halves A and B of S
 * then takes 2^(touch(S) - inner(A) - inner(B)) multiply-adds, hyperedges included: an index of
 * S is absent only if one half has summed it. Both functions are subset sums over index
 * signatures, so the work does not depend on the number of indices. What else a step counts for
 * depends on the size of its result only, touch(S) - inner(S).
 */
#include "dp.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "objective.h"

/* log2 of the first cost cap of a whole network, how it grows, and where the search ends. */
static const double FIRST_CAP = 24.0, CAP_STRIDE = 16.0, MOST_CAP = 1e6;
static const double SLACK = 1e-9; /* sizes are sums of rounded logarithms */

tnp_status tnp_dp_init(tnp_dp *dp, int32_t max_tensors)
{
    size_t sets = (size_t)1 << max_tensors;
    memset(dp, 0, sizeof *dp);
    dp->cap = INFINITY;
    dp->outer = true;
    dp->inner = malloc(sets * sizeof *dp->inner);
    dp->touch = malloc(sets * sizeof *dp->touch);
    dp->cost = malloc(sets * sizeof *dp->cost);
    dp->summed = malloc(sets * sizeof *dp->summed);
    dp->split = malloc(sets * sizeof *dp->split);
    if (dp->inner && dp->touch && dp->cost && dp->summed && dp->split) return TNP_OK;
    tnp_dp_free(dp);
    return TNP_NO_MEMORY;
}

void tnp_dp_free(tnp_dp *dp)
{
    free(dp->inner);
    free(dp->touch);
    free(dp->cost);
    free(dp->summed);
    free(dp->split);
    memset(dp, 0, sizeof *dp);
}

void tnp_dp_begin(tnp_dp *dp, int32_t k, const tnp_objective *objective)
{
    size_t sets = (size_t)1 << k;
    dp->k = k;
    dp->objective = *objective;
    memset(dp->inner, 0, sets * sizeof *dp->inner);
    memset(dp->touch, 0, sets * sizeof *dp->touch);
}

/* f(S) becomes the sum of f over the subsets of S. */
static void subset_sums(double *f, int32_t k)
{
    uint32_t sets = 1u << k;
    for (uint32_t bit = 1; bit < sets; bit <<= 1) {
        for (uint32_t base = 0; base < sets; base += 2 * bit) {
            for (uint32_t s = base; s < base + bit; s++) f[s + bit] += f[s];
        }
    }
}

/* Best split of S when no power of two here can overflow. */
static double best_split(const tnp_dp *dp, uint32_t set, double scale, uint32_t *split)
{
    uint32_t low = set & -set, rest = set ^ low;
    const double *cost = dp->cost, *summed = dp->summed;
    double best = INFINITY;
    for (uint32_t b = rest; b; b = (b - 1) & rest) { /* b: the half without the lowest tensor */
        double c = cost[b] + cost[set ^ b] + scale * (summed[b] * summed[set ^ b]);
        if (c < best) {
            best = c;
            *split = b;
        }
    }
    return best;
}

/* The same for enormous indices, where powers are taken of the difference, or among the splits
 * whose halves share an index. */
static double best_split_wide(const tnp_dp *dp, uint32_t set, double unit, uint32_t *split)
{
    uint32_t low = set & -set, rest = set ^ low;
    double best = INFINITY;
    for (uint32_t b = rest; b; b = (b - 1) & rest) {
        uint32_t a = set ^ b;
        double both = dp->cost[b] + dp->cost[a];
        if (!(both < best)) continue;
        if (!dp->outer && dp->touch[a] + dp->touch[b] <= dp->touch[set] + SLACK) continue;
        double e = dp->touch[set] - dp->inner[b] - dp->inner[a] - unit;
        double c = both + dp->objective.macs * tnp_exp2(e);
        if (c < best) {
            best = c;
            *split = b;
        }
    }
    return best;
}

/* The cheapest way to make the tensor of a set, or infinity if that exceeds the cap. */
static double cost_of_set(tnp_dp *dp, uint32_t s, double unit, bool wide)
{
    const tnp_objective *o = &dp->objective;
    double size = dp->touch[s] - dp->inner[s], cost;
    if ((s & (s - 1)) == 0) return o->in > 0.0 ? o->in * tnp_exp2(size - unit) : 0.0;
    bool whole = s == (1u << dp->k) - 1;
    double made = tnp_only_macs(o) ? 0.0 : tnp_result_cost(o, size, unit, !whole);
    double least = o->macs > 0.0 ? o->macs * tnp_exp2(size - unit) : 0.0;
    dp->split[s] = s & (s - 1);
    if (least + made > dp->cap) return INFINITY;
    if (wide || !dp->outer) {
        cost = best_split_wide(dp, s, unit, &dp->split[s]);
    } else {
        double scale = o->macs > 0.0 ? o->macs * tnp_exp2(dp->touch[s] - unit) : 0.0;
        cost = best_split(dp, s, scale, &dp->split[s]);
    }
    return cost + made;
}

tnp_status tnp_dp_solve(tnp_dp *dp, double unit, tnp_control *ctl, bool caller, double *cost)
{
    uint32_t sets = 1u << dp->k, all = sets - 1;
    subset_sums(dp->inner, dp->k);
    subset_sums(dp->touch, dp->k); /* so far: indices only on tensors of S */
    double total = dp->touch[all];
    for (uint32_t s = 0; s < sets / 2; s++) { /* touch(S) = total - only(not S) */
        double only = dp->touch[s];
        dp->touch[s] = total - dp->touch[all ^ s];
        dp->touch[all ^ s] = total - only;
    }
    bool wide = total > 900.0 || unit > 900.0;
    if (!wide) {
        for (uint32_t s = 0; s < sets; s++) dp->summed[s] = tnp_exp2(-dp->inner[s]);
    }
    dp->cost[0] = 0.0;
    for (uint32_t s = 1; s < sets; s++) {
        dp->cost[s] = cost_of_set(dp, s, unit, wide);
        if (s % 1024 == 0 && tnp_interrupted(ctl, caller)) return TNP_INTERRUPTED;
    }
    *cost = dp->cost[all];
    return TNP_OK;
}

/* Read the tree off the splits: visit sets from the top, number their steps from the back. */
static void write_steps(const tnp_dp *dp, int32_t *steps)
{
    int32_t k = dp->k, next = 2 * k - 2, depth = 1;
    struct {
        uint32_t set;
        int32_t id;
    } stack[TNP_DP_MAX + 1];
    stack[0].set = (1u << k) - 1;
    stack[0].id = next--;
    while (depth) {
        uint32_t set = stack[--depth].set;
        int32_t at = stack[depth].id - k;
        for (int side = 0; side < 2; side++) {
            uint32_t half = side ? dp->split[set] : set ^ dp->split[set];
            if (half & (half - 1)) {
                stack[depth].set = half;
                stack[depth++].id = next;
                steps[2 * at + side] = next--;
            } else {
                int32_t leaf = 0;
                while (half >>= 1) leaf++;
                steps[2 * at + side] = leaf;
            }
        }
    }
}

static tnp_status add_indices(tnp_dp *dp, const tnp_net *net)
{
    uint32_t *holders = calloc((size_t)net->n_ix + 1, sizeof *holders);
    if (!holders) return TNP_NO_MEMORY;
    for (int32_t t = 0; t < net->n; t++) {
        for (int64_t j = net->start[t]; j < net->start[t + 1]; j++) {
            holders[net->ix[j]] |= 1u << t;
        }
    }
    tnp_dp_begin(dp, net->n, &net->objective);
    for (int32_t i = 0; i < net->n_ix; i++) {
        if (holders[i]) tnp_dp_index(dp, holders[i], net->open[i], net->weight[i]);
    }
    free(holders);
    return TNP_OK;
}

tnp_status tnp_optimal(const tnp_net *net, bool outer, tnp_control *ctl, int32_t *steps)
{
    if (net->n < 2) return TNP_OK;
    if (net->n > TNP_DP_MAX) return TNP_TOO_LARGE;
    tnp_dp dp;
    tnp_status status = tnp_dp_init(&dp, net->n);
    double cap = FIRST_CAP;
    dp.outer = outer;
    while (!status) { /* trees over the cap are not seen, so what is found must be below it */
        double unit = cap < 500.0 ? 0.0 : cap - 500.0, cost;
        dp.cap = tnp_exp2(cap - unit);
        status = add_indices(&dp, net);
        if (!status) status = tnp_dp_solve(&dp, unit, ctl, true, &cost);
        if (status || cost <= dp.cap) break;
        double next = isfinite(cost) ? tnp_log2(cost) + unit + 1e-6 : cap + CAP_STRIDE;
        if (cap > MOST_CAP) { /* no tree without outer products */
            if (outer) break;
            dp.outer = outer = true;
            next = FIRST_CAP;
        }
        cap = next;
    }
    if (!status) write_steps(&dp, steps);
    tnp_dp_free(&dp);
    return status;
}
