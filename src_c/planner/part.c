/* Plan one connected network: a portfolio of searches, each fed with the best of the last.
 *
 * How far to go is decided by costs, never by the clock, so that a seed names one tree: every
 * search reports its work in (rough) microseconds, and the search goes on while the work done is
 * small against the contraction that the best tree so far would take. `max_time` only cuts short
 * or, if given, removes that limit.
 */
#include "part.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "eliminate.h"
#include "greedy.h"
#include "pool.h"
#include "refine.h"

enum {
    EXACT = 9,           /* connected networks up to this size go straight to exact search */
    FIRST_SAMPLES = 32,
    FIRST_ORDERS = 2,    /* elimination orders without noise, then more with it */
    MORE_ORDERS = 6,
    RANDOM_SAMPLES = 128,
    CHAINS = 4,          /* annealing runs per stage */
    MOVES_PER_TENSOR = 500,
    MOVES_PER_SAMPLE = 20000,
    MAX_STAGES = 40
};
static const double MACS_PER_MICROSECOND = 1e4;
static const double FRACTION = 0.2;         /* of the contraction that planning may take */
static const double CEILING = 6e6;          /* and that are never exceeded unasked */
static const double THREAD_WORTH = 2000.0;  /* microseconds that pay for starting threads */

double tnp_allowance(double cost, double least)
{
    double contraction = tnp_exp2(cost < 200.0 ? cost : 200.0) / MACS_PER_MICROSECOND;
    double worth = least + FRACTION * contraction;
    return worth < CEILING ? worth : CEILING;
}

typedef struct {
    const tnp_net *net;
    const tnp_options *opt;
    tnp_control *ctl;
    tnp_trees trees;       /* the best so far */
    double spent;          /* microseconds of work, by count */
    double move_work;      /* of one annealing proposal */
    int32_t threads;       /* of the stage that runs */
    /* greedy */
    tnp_candidate *pairs;
    int64_t n_pairs, first_sample;
    tnp_greedy *greedy;    /* per thread, made when first needed */
    int32_t **buffer;      /* per thread: steps */
    /* elimination */
    int64_t first_order;
    double order_budget;
    /* annealing */
    tnp_tree *tree;        /* per thread */
    tnp_trees *starts;     /* what the stage starts from: not written while it runs */
    int64_t moves, first_run;
    int64_t solved[TNP_MAX_THREADS];
    double worked[TNP_MAX_THREADS]; /* microseconds by elimination */
} plan;

static double sample_work(const plan *p)
{
    return 0.6 * (double)(p->n_pairs + 2 * (int64_t)p->net->n);
}

static tnp_status plan_init(plan *p, const tnp_net *net, const tnp_options *opt, tnp_control *ctl)
{
    memset(p, 0, sizeof *p);
    p->net = net;
    p->opt = opt;
    p->ctl = ctl;
    p->move_work = tnp_move_work(net);
    size_t threads = (size_t)opt->threads;
    p->greedy = calloc(threads, sizeof *p->greedy);
    p->buffer = calloc(threads, sizeof *p->buffer);
    p->tree = calloc(threads, sizeof *p->tree);
    if (!p->greedy || !p->buffer || !p->tree) return TNP_NO_MEMORY;
    return tnp_trees_init(&p->trees, net->n, opt->mode == TNP_AUTO ? TNP_KEEP : 1);
}

static void plan_free(plan *p)
{
    for (int32_t t = 0; t < p->opt->threads; t++) {
        if (p->greedy) tnp_greedy_free(&p->greedy[t]);
        if (p->tree) tnp_tree_free(&p->tree[t]);
        if (p->buffer) free(p->buffer[t]);
    }
    free(p->greedy);
    free(p->tree);
    free(p->buffer);
    free(p->pairs);
    tnp_trees_free(&p->trees);
}

static tnp_status buffer_for(plan *p, int32_t thread)
{
    if (p->buffer[thread]) return TNP_OK;
    p->buffer[thread] = malloc(2 * (size_t)p->net->n * sizeof(int32_t));
    return p->buffer[thread] ? TNP_OK : TNP_NO_MEMORY;
}

static int32_t threads_for(const plan *p, double work)
{
    return work > THREAD_WORTH ? p->opt->threads : 1;
}

static tnp_status run_sample(void *arg, int64_t item, int32_t thread)
{
    plan *p = arg;
    int64_t number = p->first_sample + item;
    tnp_greedy *g = &p->greedy[thread];
    tnp_status status = buffer_for(p, thread);
    if (!status && !g->heap) status = tnp_greedy_init(g, p->net, p->pairs, p->n_pairs);
    if (status) return status;
    double cost, bound = tnp_trees_bound(&p->trees);
    status = tnp_greedy_sample(g, p->opt->seed, number, bound, p->ctl, thread == 0,
                               p->buffer[thread], &cost);
    if (!status) tnp_trees_offer(&p->trees, cost, number, p->buffer[thread]);
    return status;
}

static tnp_status sample(plan *p, int64_t samples)
{
    double work = sample_work(p) * (double)samples;
    tnp_status status =
        tnp_for_each(p->ctl, threads_for(p, work), samples, run_sample, p);
    p->first_sample += samples;
    p->spent += work;
    return status;
}

static tnp_status run_order(void *arg, int64_t item, int32_t thread)
{
    plan *p = arg;
    int64_t number = p->first_order + item;
    double cost, work;
    tnp_status status = buffer_for(p, thread);
    if (status) return status;
    status = tnp_eliminate(p->net, p->opt->seed, number, p->order_budget, p->ctl, thread == 0,
                           p->buffer[thread], &cost, &work);
    if (status) return status;
    p->worked[thread] += work;
    tnp_trees_offer(&p->trees, cost, (int64_t)1 << 41 | number, p->buffer[thread]);
    return TNP_OK;
}

/* Try elimination orders, each for a share of what the contraction is worth. */
static tnp_status eliminate(plan *p, int64_t orders)
{
    if (p->net->n_ix > TNP_ELIMINATE_MAX) return TNP_OK;
    double left = tnp_allowance(p->trees.cost[0], p->opt->least) - p->spent;
    p->order_budget = p->opt->samples || isfinite(p->ctl->deadline) ? INFINITY
                                                                   : left / (2.0 * (double)orders);
    memset(p->worked, 0, sizeof p->worked);
    int32_t threads = threads_for(p, (double)orders * (double)p->net->n_ix);
    tnp_status status = tnp_for_each(p->ctl, threads, orders, run_order, p);
    for (int32_t t = 0; t < TNP_MAX_THREADS; t++) p->spent += p->worked[t];
    p->first_order += orders;
    return status;
}

/* Refine one tree: re-optimise, anneal unless there are no moves, re-optimise again. */
static tnp_status run_refinement(void *arg, int64_t item, int32_t thread)
{
    static const double hot[CHAINS] = {1.5, 0.7, 0.35, 1.5};
    static const int32_t from[CHAINS] = {0, 0, 0, 1};
    plan *p = arg;
    bool caller = thread == 0;
    tnp_tree *tree = &p->tree[thread];
    tnp_status status = buffer_for(p, thread);
    if (!status && !tree->kids) status = tnp_tree_init(tree, p->net, NULL);
    if (status) return status;
    int32_t chain = (int32_t)(item % CHAINS);
    int32_t start = (p->moves ? from[chain] : (int32_t)item) % p->starts->used;
    int64_t solved = 0;
    tnp_tree_load(tree, p->starts->steps[start]);
    if (p->moves) {
        tnp_anneal_options o = {hot[chain], 0.05, p->moves, p->opt->seed,
                                (uint64_t)(p->first_run + item), INFINITY};
        status = tnp_anneal(tree, &o, p->ctl, caller);
    }
    if (!status) {
        status = tnp_reoptimise(tree, TNP_REGION, TNP_IGNORE, INT64_MAX / 2, p->ctl, caller,
                                &solved);
    }
    if (status) return status;
    p->solved[thread] += solved;
    tnp_tree_store(tree, p->buffer[thread]);
    tnp_trees_offer(&p->trees, tnp_tree_macs(tree), (int64_t)1 << 40 | (p->first_run + item),
                    p->buffer[thread]);
    return TNP_OK;
}

/* Refine `runs` trees with `moves` annealing proposals each (0: only re-optimise them). */
static tnp_status refine(plan *p, int64_t runs, int64_t moves)
{
    tnp_trees starts;
    tnp_status status = tnp_trees_init(&starts, p->net->n, TNP_KEEP);
    if (status) return status;
    for (int32_t k = 0; k < p->trees.used; k++) {
        tnp_trees_offer(&starts, p->trees.cost[k], k, p->trees.steps[k]);
    }
    p->starts = &starts;
    p->moves = moves;
    double work = (double)runs * (double)moves * p->move_work;
    double reoptimise = (double)runs * (double)p->net->n * TNP_REGION_WORK;
    memset(p->solved, 0, sizeof p->solved);
    status = tnp_for_each(p->ctl, threads_for(p, work + reoptimise), runs, run_refinement, p);
    for (int32_t t = 0; t < TNP_MAX_THREADS; t++) work += (double)p->solved[t] * TNP_REGION_WORK;
    p->spent += work;
    p->first_run += runs;
    tnp_trees_free(&starts);
    return status;
}

/* Is more search worth its time? */
static bool go_on(plan *p, double next)
{
    if (atomic_load(&p->ctl->stop) != TNP_RUN) return false;
    if (isfinite(p->ctl->deadline)) return true;
    return p->spent + next <= tnp_allowance(p->trees.cost[0], p->opt->least);
}

/* Annealing in stages that double, while the best tree is still expensive. */
static tnp_status anneal_in_stages(plan *p)
{
    int64_t moves = (int64_t)MOVES_PER_TENSOR * p->net->n;
    tnp_status status = TNP_OK;
    if (p->opt->samples) {
        int64_t total = p->opt->samples * MOVES_PER_SAMPLE;
        for (int stage = 0; stage < 2 && !status; stage++) {
            status = refine(p, CHAINS, 1 + total / (2 * CHAINS));
        }
        return status;
    }
    for (int stage = 0; stage < MAX_STAGES && !status; stage++, moves *= 2) {
        if (!go_on(p, CHAINS * (double)moves * p->move_work)) break;
        status = refine(p, CHAINS, moves);
    }
    return status;
}

static tnp_status search_auto(plan *p)
{
    tnp_status status = TNP_OK;
    bool refinable = p->net->n > 2 && tnp_tree_bytes(p->net) < TNP_TREE_BYTES;
    double regions = TNP_REGION_WORK * (double)p->net->n;
    bool shared = p->net->n_ix <= p->net->n; /* many indices on several tensors */
    if (shared) status = eliminate(p, FIRST_ORDERS);
    if (!status && refinable && go_on(p, regions)) status = refine(p, 1, 0);
    int64_t samples = p->opt->samples ? p->opt->samples - 1 : FIRST_SAMPLES - 1;
    double next = sample_work(p) * (double)samples + 2.0 * regions;
    if (status || !(p->opt->samples || go_on(p, next))) return status;
    status = sample(p, samples);
    if (!status && shared) status = eliminate(p, MORE_ORDERS);
    if (!status && refinable) status = refine(p, p->trees.used, 0);
    if (!status && refinable && p->net->n > EXACT) status = anneal_in_stages(p);
    return status;
}

static tnp_status search_part(plan *p)
{
    tnp_status status = tnp_greedy_pairs(p->net, &p->pairs, &p->n_pairs);
    if (!status) status = run_sample(p, 0, 0); /* plain greedy: there is always a tree */
    if (status) return status;
    p->first_sample = 1;
    p->spent += sample_work(p);
    if (p->opt->mode == TNP_RANDOM_GREEDY) {
        int64_t samples = p->opt->samples;
        if (!samples) samples = isfinite(p->ctl->deadline) ? INT64_MAX / 2 : RANDOM_SAMPLES;
        return sample(p, samples - 1);
    }
    return p->opt->mode == TNP_AUTO ? search_auto(p) : TNP_OK;
}

tnp_status tnp_plan_part(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                         int32_t *steps)
{
    if (net->n == 2) {
        steps[0] = 0;
        steps[1] = 1;
        return TNP_OK;
    }
    if (opt->mode == TNP_AUTO && net->n <= EXACT) return tnp_optimal(net, ctl, steps);
    plan p;
    tnp_status status = plan_init(&p, net, opt, ctl);
    if (!status) status = search_part(&p);
    if (!status) memcpy(steps, p.trees.steps[0], 2 * (size_t)(net->n - 1) * sizeof *steps);
    plan_free(&p);
    return status;
}
