/* Plan one connected network: a portfolio of searches, each fed with the best of the last.
 *
 * How far "auto" goes is decided by costs, never by the clock, so that a seed names one tree: every
 * search reports its work in (rough) microseconds, and the search goes on while the work done is
 * small against the contraction that the best tree so far would take. `max_time` only cuts short
 * or, if given, removes that limit. "hyper" takes all the time, or all the steps, that it is given.
 */
#include "part.h"

#include <string.h>

#include "bisect.h"
#include "eliminate.h"
#include "runs.h"

enum {
    EXACT = 9,           /* connected networks up to this size go straight to exact search */
    FIRST_SAMPLES = 32,
    FIRST_ORDERS = 2,    /* elimination orders without noise, then more with it */
    MORE_ORDERS = 6,
    RANDOM_SAMPLES = 128,
    BISECTIONS = 16,
    CUTS = 4,            /* bisections of the auto search */
    CHAINS = 4,          /* annealing runs per stage */
    ROUND = 8,           /* and per round of the hyper search */
    MOVES_PER_TENSOR = 500,
    MOVES_PER_SAMPLE = 20000,
    MAX_STAGES = 40,
    LARGE = 5000,        /* tensors: fewer samples may be all that there is time for */
    FRESH = 1 << 20      /* samples that runs start from count on from here */
};
static const double MACS_PER_MICROSECOND = 1e4;
static const double FRACTION = 0.2;       /* of the contraction that planning may take */
static const double CEILING = 6e6;        /* microseconds that are never exceeded unasked */
static const double MOST_CUT = 3e5;       /* microseconds of a bisection that auto may try */
static const double SAMPLING_SHARE = 0.04; /* of the time, for each kind of first samples */
static const double ROUND_SHARE = 0.4;    /* of the time that is left, for a round at most */
static const double LAST_SHARE = 0.95;    /* and for the last, not to end in ever shorter ones */

double tnp_allowance(const tnp_net *net, double cost, double least)
{
    if (net->objective.macs == 0.0) cost /= net->objective.power;
    double contraction = tnp_exp2(cost < 200.0 ? cost : 200.0) / MACS_PER_MICROSECOND;
    double worth = least + FRACTION * contraction;
    return worth < CEILING ? worth : CEILING;
}

static bool timed(const tnp_plan *p)
{
    return isfinite(p->ctl->deadline);
}

/* Is more search worth its time? */
static bool go_on(tnp_plan *p, double next)
{
    if (atomic_load(&p->ctl->stop) != TNP_RUN) return false;
    if (timed(p)) return true;
    return p->spent + next <= tnp_allowance(p->net, p->trees.cost[0], p->opt->least);
}

static tnp_status refine_pool(tnp_plan *p, int64_t n)
{
    tnp_run runs[TNP_KEEP];
    for (int32_t k = 0; k < n; k++) runs[k] = (tnp_run){.origin = TNP_FROM_POOL, .rank = k};
    return p->refinable ? tnp_run_refinements(p, runs, n) : TNP_OK;
}

static tnp_status anneal_stage(tnp_plan *p, int64_t moves)
{
    static const double hot[CHAINS] = {1.5, 0.7, 0.35, 1.5};
    tnp_run runs[CHAINS];
    for (int32_t k = 0; k < CHAINS; k++) {
        runs[k] = (tnp_run){TNP_FROM_POOL, k == CHAINS - 1, hot[k], 0.05, moves};
    }
    return tnp_run_refinements(p, runs, CHAINS);
}

/* Annealing in stages that double, while the best tree is still expensive. */
static tnp_status anneal_in_stages(tnp_plan *p)
{
    int64_t moves = (int64_t)MOVES_PER_TENSOR * p->net->n;
    tnp_status status = TNP_OK;
    if (p->opt->samples) {
        int64_t total = p->opt->samples * MOVES_PER_SAMPLE;
        for (int stage = 0; stage < 2 && !status; stage++) {
            status = anneal_stage(p, 1 + total / (2 * CHAINS));
        }
        return status;
    }
    for (int stage = 0; stage < MAX_STAGES && !status; stage++, moves *= 2) {
        if (!go_on(p, CHAINS * (double)moves * p->move_work)) break;
        status = anneal_stage(p, moves);
    }
    return status;
}

/* Each of `orders` may take its share of what the contraction is worth. */
static double order_budget(const tnp_plan *p, int64_t orders)
{
    if (p->opt->samples || timed(p)) return INFINITY;
    double left = tnp_allowance(p->net, p->trees.cost[0], p->opt->least) - p->spent;
    return left / (2.0 * (double)orders);
}

/* Bisection pays on large networks, where greed loses its way. */
static tnp_status cut_if_worth(tnp_plan *p)
{
    double work = tnp_bisect_work(p->net);
    if (p->opt->samples || p->net->n <= EXACT || work > MOST_CUT || !go_on(p, CUTS * work)) {
        return TNP_OK;
    }
    return tnp_run_cuts(p, CUTS);
}

/* Against the clock, on networks too large to refine: cuts first, which gain most there. */
static tnp_status search_giant(tnp_plan *p)
{
    tnp_status status = TNP_OK;
    while (!status && !tnp_should_stop(p->ctl, true)) {
        status = tnp_run_cuts(p, p->opt->threads);
        if (!status) status = tnp_run_samples(p, p->opt->threads);
    }
    return status;
}

static tnp_status search_auto(tnp_plan *p)
{
    if (timed(p) && !p->refinable) return search_giant(p);
    tnp_status status = TNP_OK;
    double regions = TNP_REGION_WORK * (double)p->net->n;
    bool shared = p->net->n_ix <= p->net->n; /* many indices on several tensors */
    if (shared) status = tnp_run_orders(p, FIRST_ORDERS, order_budget(p, FIRST_ORDERS));
    if (!status && go_on(p, regions)) status = refine_pool(p, 1);
    int64_t samples = p->opt->samples ? p->opt->samples - 1 : FIRST_SAMPLES - 1;
    double room = tnp_allowance(p->net, p->trees.cost[0], p->opt->least) - p->spent - 2.0 * regions;
    bool large = p->net->n > LARGE && !timed(p) && !p->opt->samples;
    if (large && room < tnp_sample_work(p) * (double)samples) {
        samples = room > 0.0 ? (int64_t)(room / tnp_sample_work(p)) : 0;
        if (samples < 1) return status;
    }
    double next = tnp_sample_work(p) * (double)samples + 2.0 * regions;
    if (status || !(p->opt->samples || go_on(p, next))) return status;
    status = tnp_run_samples(p, samples);
    if (!status && shared) status = tnp_run_orders(p, MORE_ORDERS, order_budget(p, MORE_ORDERS));
    if (!status) status = cut_if_worth(p);
    if (!status) status = refine_pool(p, p->trees.used);
    if (!status && p->refinable && p->net->n > EXACT) status = anneal_in_stages(p);
    return status;
}

/* `n` samples of one kind, or, against the clock, as many as fit into a share of the time. */
static tnp_status sample_for(tnp_plan *p, tnp_status (*run)(tnp_plan *, int64_t), int64_t n,
                             double share)
{
    if (!timed(p)) return run(p, n);
    double end = tnp_now() + share * (p->ctl->deadline - tnp_now());
    tnp_status status = TNP_OK;
    do {
        status = run(p, p->opt->threads);
    } while (!status && tnp_now() < end && !tnp_should_stop(p->ctl, true));
    return status;
}

static tnp_status more_orders(tnp_plan *p, int64_t n)
{
    double left = 1e6 * (p->ctl->deadline - tnp_now()); /* microseconds */
    return tnp_run_orders(p, n, SAMPLING_SHARE * left);
}

/* The runs of one round of `moves` each: some from trees found so far, at temperatures that keep
 * or lose most of them, some afresh. `further`: only the former, and gently. */
static void set_up_round(const tnp_plan *p, tnp_run *runs, int64_t n, int64_t moves, bool further)
{
    static const tnp_run kinds[ROUND] = {
        {TNP_FROM_POOL, 0, 0.5, 0.08, 0}, {TNP_FROM_CUTS, 0, 1.5, 0.2, 0},
        {TNP_FROM_POOL, 0, 1.0, 0.2, 0},  {TNP_FROM_GREEDY, 0, 1.5, 0.2, 0},
        {TNP_FROM_POOL, 1, 0.7, 0.15, 0}, {TNP_FROM_CUTS, 0, 0.8, 0.05, 0},
        {TNP_FROM_POOL, 0, 0.3, 0.05, 0}, {TNP_FROM_POOL, 2, 1.0, 0.1, 0},
    };
    for (int64_t k = 0; k < n; k++) {
        runs[k] = kinds[k % ROUND];
        runs[k].moves = moves;
        if (further) runs[k].origin = TNP_FROM_POOL;
        if (further && runs[k].hot > 0.5) runs[k].hot = 0.5;
        if (runs[k].origin != TNP_FROM_POOL) runs[k].rank = FRESH + (int32_t)(p->n_runs + k);
        else if (k >= ROUND) runs[k].rank = (int32_t)(k % TNP_KEEP);
    }
}

/* Rounds of annealing that double in length, until the time or the steps are used up. */
static tnp_status anneal_in_rounds(tnp_plan *p, int64_t budget, bool further)
{
    tnp_run runs[TNP_MOST_RUNS];
    int32_t threads = p->opt->threads;
    int64_t n = ROUND, moves = (int64_t)MOVES_PER_TENSOR * p->net->n, longest = 0;
    if (timed(p) && threads > 1) n = threads < ROUND ? ROUND / threads * threads : threads;
    if (n > TNP_MOST_RUNS) n = TNP_MOST_RUNS;
    double per_move = p->move_work * 1e-6 * (double)n / (double)threads;
    tnp_status status = TNP_OK;
    while (!status && !tnp_should_stop(p->ctl, true)) {
        if (timed(p)) {
            double begin = tnp_now(), left = p->ctl->deadline - begin;
            int64_t most = 1 + (int64_t)(ROUND_SHARE * left / per_move);
            if (3 * most < longest) most = 1 + (int64_t)(LAST_SHARE * left / per_move);
            if (moves > most) moves = most;
            if (moves > longest) longest = moves;
        } else {
            if (budget <= 0) break;
            if (moves * n > budget) moves = 1 + budget / n;
            budget -= moves * n;
        }
        double begin = tnp_now();
        set_up_round(p, runs, n, moves, further);
        status = tnp_run_refinements(p, runs, n);
        double taken = tnp_now() - begin;
        if (timed(p) && taken > 0.0) per_move = taken / (double)moves;
        moves *= 2;
    }
    return status;
}

static tnp_status search_hyper(tnp_plan *p)
{
    if (timed(p) && !p->refinable) return search_giant(p);
    int64_t budget = p->opt->samples * MOVES_PER_SAMPLE;
    tnp_status status = TNP_OK;
    if (p->net->n_ix <= TNP_ELIMINATE_MAX) {
        status = sample_for(p, more_orders, FIRST_ORDERS + MORE_ORDERS, SAMPLING_SHARE);
    }
    if (!status) status = sample_for(p, tnp_run_cuts, BISECTIONS, SAMPLING_SHARE);
    if (!status) status = sample_for(p, tnp_run_samples, FIRST_SAMPLES, SAMPLING_SHARE);
    if (!status) status = refine_pool(p, p->trees.used);
    return status || !p->refinable ? status : anneal_in_rounds(p, budget, false);
}

/* As many samples as were asked for, or as there is time for, else `usual`. */
static int64_t samples_for(const tnp_plan *p, int64_t usual)
{
    return p->opt->samples ? p->opt->samples : timed(p) ? INT64_MAX / 2 : usual;
}

static tnp_status search_by_name(tnp_plan *p)
{
    tnp_status status;
    switch (p->opt->mode) {
    case TNP_RANDOM_GREEDY:
        return tnp_run_samples(p, samples_for(p, RANDOM_SAMPLES));
    case TNP_MIN_FILL:
    case TNP_MIN_SIZE:
        p->orders = p->opt->mode == TNP_MIN_FILL ? TNP_FILL_ORDERS : TNP_SIZE_ORDERS;
        return tnp_run_orders(p, samples_for(p, 1), INFINITY);
    case TNP_BISECTION:
        return tnp_run_cuts(p, samples_for(p, BISECTIONS));
    case TNP_ANNEAL:
        status = tnp_run_samples(p, FIRST_SAMPLES);
        return status || !p->refinable ? status : anneal_in_stages(p);
    case TNP_AUTO:
        return search_auto(p);
    case TNP_HYPER:
        return search_hyper(p);
    default:
        return TNP_OK;
    }
}

static tnp_status search_part(tnp_plan *p, bool last)
{
    tnp_mode mode = p->opt->mode;
    bool by_itself = mode == TNP_MIN_FILL || mode == TNP_MIN_SIZE || mode == TNP_BISECTION;
    tnp_status status = TNP_OK;
    if (!by_itself) status = tnp_run_samples(p, 1); /* plain greedy: there is always a tree */
    if (!status && last && !by_itself) atomic_store(&p->ctl->ready, true);
    if (!status) status = search_by_name(p);
    if (!status && p->trees.used == 0) status = tnp_run_samples(p, 1); /* too large for others */
    return status;
}

tnp_status tnp_plan_part(const tnp_net *net, const tnp_options *opt, tnp_control *ctl, bool last,
                         int32_t *steps)
{
    if (net->n == 2) {
        steps[0] = 0;
        steps[1] = 1;
        return TNP_OK;
    }
    bool portfolio = opt->mode == TNP_AUTO || opt->mode == TNP_HYPER;
    if (portfolio && net->n <= EXACT) return tnp_optimal(net, true, ctl, steps);
    tnp_plan p;
    tnp_status status = tnp_plan_init(&p, net, opt, ctl);
    if (!status) status = search_part(&p, last);
    if (!status) memcpy(steps, p.trees.steps[0], 2 * (size_t)(net->n - 1) * sizeof *steps);
    tnp_plan_free(&p);
    return status;
}

tnp_status tnp_plan_further(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                            int32_t *steps)
{
    tnp_plan p;
    double cost, width;
    tnp_status status = tnp_plan_init(&p, net, opt, ctl);
    if (!status && !p.refinable) {
        tnp_plan_free(&p);
        return TNP_OK;
    }
    if (!status) status = tnp_price(net, steps, &cost, &width);
    if (!status) status = tnp_plan_offer(&p, cost, 0, steps);
    if (!status) status = refine_pool(&p, 1);
    int64_t budget = opt->samples * MOVES_PER_SAMPLE / 4;
    if (!status) status = anneal_in_rounds(&p, budget, true);
    if (!status) memcpy(steps, p.trees.steps[0], 2 * (size_t)(net->n - 1) * sizeof *steps);
    tnp_plan_free(&p);
    return status;
}
