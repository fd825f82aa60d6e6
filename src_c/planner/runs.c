/* The searches of a portfolio on all threads; see runs.h.
 *
 * Every tree has a number that names it whatever thread finds it, and a stage reads only what
 * stages before it left, so that what is found does not depend on the number of threads.
 */
#include "runs.h"

#include <stdlib.h>
#include <string.h>

#include "bisect.h"
#include "eliminate.h"

enum { FRESH_SAMPLES = 4 };                /* greedy samples, the best of which is refined */
static const double THREAD_WORTH = 2000.0; /* microseconds that pay for starting threads */

/* Numbers of trees, which decide between equals: samples first. */
enum { ORDERS = 1, CUTS = 2, REFINEMENTS = 3 };
static int64_t number_of(int64_t kind, int64_t number)
{
    return kind << 41 | number;
}

double tnp_sample_work(const tnp_plan *p)
{
    double n = (double)p->net->n; /* the more tensors, the more indices each holds later on */
    return 0.6 * ((double)p->n_pairs + 2.0 * n) * (n < 5000.0 ? 1.0 : n / 6000.0);
}

tnp_status tnp_plan_init(tnp_plan *p, const tnp_net *net, const tnp_options *opt,
                         tnp_control *ctl)
{
    memset(p, 0, sizeof *p);
    p->net = net;
    p->opt = opt;
    p->ctl = ctl;
    p->move_work = tnp_move_work(net);
    p->refinable = net->n > 2 && tnp_tree_bytes(net) < TNP_TREE_BYTES;
    size_t threads = (size_t)opt->threads;
    p->greedy = calloc(threads, sizeof *p->greedy);
    p->buffer = calloc(threads, sizeof *p->buffer);
    p->tree = calloc(threads, sizeof *p->tree);
    if (!p->greedy || !p->buffer || !p->tree) return TNP_NO_MEMORY;
    bool many = opt->mode == TNP_AUTO || opt->mode == TNP_HYPER || opt->mode == TNP_ANNEAL;
    return tnp_trees_init(&p->trees, net->n, many ? TNP_KEEP : 1);
}

void tnp_plan_free(tnp_plan *p)
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

tnp_status tnp_plan_offer(tnp_plan *p, double cost, int64_t number, const int32_t *steps)
{
    bool best = tnp_trees_offer(&p->trees, cost, number, steps);
    if (!best || !p->ctl->watched) return TNP_OK;
    double macs, width;
    tnp_net plain = *p->net;
    plain.objective = (tnp_objective){.macs = 1.0, .power = 1.0};
    tnp_status status = tnp_price(&plain, steps, &macs, &width);
    atomic_store(&p->ctl->macs, macs);
    atomic_store(&p->ctl->width, width);
    return status;
}

static tnp_status buffer_for(tnp_plan *p, int32_t thread)
{
    if (p->buffer[thread]) return TNP_OK;
    p->buffer[thread] = malloc(2 * (size_t)p->net->n * sizeof(int32_t));
    return p->buffer[thread] ? TNP_OK : TNP_NO_MEMORY;
}

static int32_t threads_for(const tnp_plan *p, double work)
{
    return work > THREAD_WORTH ? p->opt->threads : 1;
}

static tnp_status draw_greedy(tnp_plan *p, int64_t number, double bound, int32_t thread,
                              int32_t *steps, double *cost)
{
    tnp_greedy *g = &p->greedy[thread];
    tnp_status status = TNP_OK;
    if (!g->heap) status = tnp_greedy_init(g, p->net, p->pairs, p->n_pairs);
    if (status) return status;
    return tnp_greedy_sample(g, p->opt->seed, number, bound, p->ctl, thread == 0, steps, cost);
}

static tnp_status run_sample(void *arg, int64_t item, int32_t thread)
{
    tnp_plan *p = arg;
    int64_t number = p->n_samples + item;
    double cost, bound = tnp_trees_bound(&p->trees);
    tnp_status status = buffer_for(p, thread);
    if (!status) status = draw_greedy(p, number, bound, thread, p->buffer[thread], &cost);
    return status ? status : tnp_plan_offer(p, cost, number, p->buffer[thread]);
}

tnp_status tnp_run_samples(tnp_plan *p, int64_t n)
{
    tnp_status status = TNP_OK;
    if (!p->pairs) status = tnp_greedy_pairs(p->net, &p->pairs, &p->n_pairs);
    if (!status && p->n_samples == 0 && n > 0) { /* whatever the time: there is always a tree */
        status = run_sample(p, 0, 0);
        p->n_samples++;
        p->spent += tnp_sample_work(p);
        n--;
    }
    if (status || n <= 0) return status;
    double work = tnp_sample_work(p) * (double)n;
    status = tnp_for_each(p->ctl, threads_for(p, work), n, run_sample, p);
    p->n_samples += n;
    p->spent += work;
    return status;
}

static tnp_status run_order(void *arg, int64_t item, int32_t thread)
{
    tnp_plan *p = arg;
    int64_t number = p->n_orders + item;
    bool needed = p->trees.used == 0 && number == 0;
    double cost, work;
    tnp_status status = buffer_for(p, thread);
    if (status) return status;
    int64_t draw = p->orders == TNP_BOTH_ORDERS ? number
                                                : 2 * number + (p->orders == TNP_SIZE_ORDERS);
    status = tnp_eliminate(p->net, p->opt->seed, draw, needed ? INFINITY : p->order_budget, p->ctl,
                           thread == 0, needed, p->buffer[thread], &cost, &work);
    if (status) return status;
    p->worked[thread] += work;
    return tnp_plan_offer(p, cost, number_of(ORDERS, number), p->buffer[thread]);
}

tnp_status tnp_run_orders(tnp_plan *p, int64_t n, double budget)
{
    tnp_status status = TNP_OK;
    if (p->net->n_ix > TNP_ELIMINATE_MAX || n <= 0) return TNP_OK;
    p->order_budget = budget;
    memset(p->worked, 0, sizeof p->worked);
    if (p->trees.used == 0) {
        status = run_order(p, 0, 0);
        p->n_orders++;
        n--;
    }
    int32_t threads = threads_for(p, (double)n * (double)p->net->n_ix);
    if (!status) status = tnp_for_each(p->ctl, threads, n, run_order, p);
    for (int32_t t = 0; t < TNP_MAX_THREADS; t++) p->spent += p->worked[t];
    p->n_orders += n;
    return status;
}

static tnp_status run_cut(void *arg, int64_t item, int32_t thread)
{
    tnp_plan *p = arg;
    int64_t number = p->n_cuts + item;
    bool needed = p->trees.used == 0 && number == 0;
    double cost;
    tnp_status status = buffer_for(p, thread);
    if (status) return status;
    status = tnp_bisect(p->net, p->opt->seed, number, p->ctl, thread == 0, needed,
                        p->buffer[thread], &cost);
    if (status) return status;
    return tnp_plan_offer(p, cost, number_of(CUTS, number), p->buffer[thread]);
}

tnp_status tnp_run_cuts(tnp_plan *p, int64_t n)
{
    tnp_status status = TNP_OK;
    double work = (double)n * tnp_bisect_work(p->net);
    if (p->trees.used == 0 && n > 0) {
        status = run_cut(p, 0, 0);
        p->n_cuts++;
        n--;
    }
    if (!status) status = tnp_for_each(p->ctl, threads_for(p, work), n, run_cut, p);
    p->n_cuts += n;
    p->spent += work;
    return status;
}

/* The tree that a run starts from; *found is false if the time was up first. */
static tnp_status find_start(tnp_plan *p, const tnp_run *run, int32_t thread, bool *found)
{
    int32_t *steps = p->buffer[thread], rank = run->rank % p->starts.used;
    double cost = INFINITY, best = INFINITY;
    tnp_status status = TNP_OK;
    if (run->origin == TNP_FROM_CUTS) {
        status = tnp_bisect(p->net, p->opt->seed, run->rank, p->ctl, thread == 0, false, steps,
                            &cost);
        if (!status && isfinite(cost)) tnp_tree_load(&p->tree[thread], steps);
        best = cost;
    } else if (run->origin == TNP_FROM_GREEDY) {
        for (int64_t k = 0; k < FRESH_SAMPLES && !status; k++) {
            int64_t number = (int64_t)1 << 40 | ((int64_t)run->rank * FRESH_SAMPLES + k);
            status = draw_greedy(p, number, best, thread, steps, &cost);
            if (status || !(cost < best)) continue;
            best = cost;
            tnp_tree_load(&p->tree[thread], steps);
        }
    } else {
        tnp_tree_load(&p->tree[thread], p->starts.steps[rank]);
        best = 0.0;
    }
    *found = isfinite(best);
    return status;
}

/* Refine one tree: anneal it unless there are no moves, then re-optimise it. */
static tnp_status run_refinement(void *arg, int64_t item, int32_t thread)
{
    tnp_plan *p = arg;
    const tnp_run *run = &p->runs[item];
    int64_t number = p->n_runs + item, solved = 0;
    tnp_tree *tree = &p->tree[thread];
    bool caller = thread == 0, found = false;
    tnp_status status = buffer_for(p, thread);
    if (!status && !tree->kids) status = tnp_tree_init(tree, p->net, NULL);
    if (!status) status = find_start(p, run, thread, &found);
    if (status || !found) return status;
    if (run->moves) {
        tnp_anneal_options o = {.hot = run->hot, .cold = run->cold, .moves = run->moves,
                                .seed = p->opt->seed, .stream = (uint64_t)number,
                                .limit = INFINITY};
        status = tnp_anneal(tree, &o, p->ctl, caller);
    }
    if (!status) {
        status = tnp_reoptimise(tree, TNP_REGION, TNP_IGNORE, INT64_MAX / 2, p->ctl, caller,
                                &solved);
    }
    if (status) return status;
    p->solved[thread] += solved;
    tnp_tree_store(tree, p->buffer[thread]);
    return tnp_plan_offer(p, tnp_tree_cost(tree), number_of(REFINEMENTS, number),
                          p->buffer[thread]);
}

tnp_status tnp_run_refinements(tnp_plan *p, const tnp_run *runs, int64_t n)
{
    tnp_status status = tnp_trees_init(&p->starts, p->net->n, TNP_KEEP);
    if (status) return status;
    for (int32_t k = 0; k < p->trees.used; k++) {
        tnp_trees_offer(&p->starts, p->trees.cost[k], k, p->trees.steps[k]);
    }
    p->runs = runs;
    double moves = 0.0, reoptimise = (double)n * (double)p->net->n * TNP_REGION_WORK;
    for (int64_t k = 0; k < n; k++) moves += (double)runs[k].moves;
    double work = moves * p->move_work;
    memset(p->solved, 0, sizeof p->solved);
    status = tnp_for_each(p->ctl, threads_for(p, work + reoptimise), n, run_refinement, p);
    for (int32_t t = 0; t < TNP_MAX_THREADS; t++) work += (double)p->solved[t] * TNP_REGION_WORK;
    p->spent += work;
    p->n_runs += n;
    tnp_trees_free(&p->starts);
    return status;
}
