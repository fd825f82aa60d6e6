/* The searches that a portfolio is made of, run on all threads over one connected network; what
 * they find meets in a pool of the best trees. See runs.c. */
#ifndef TNP_RUNS_H
#define TNP_RUNS_H

#include "control.h"
#include "greedy.h"
#include "pool.h"
#include "refine.h"

/* One tree to refine: where it comes from, and how it is annealed (no moves: not at all). */
typedef struct {
    enum { TNP_FROM_POOL, TNP_FROM_GREEDY, TNP_FROM_CUTS } origin;
    int32_t rank;     /* in the pool, or the number of the sample */
    double hot, cold; /* temperatures */
    int64_t moves;
} tnp_run;

enum { TNP_MOST_RUNS = TNP_MAX_THREADS };

typedef struct {
    const tnp_net *net;
    const tnp_options *opt;
    tnp_control *ctl;
    tnp_trees trees;    /* the best so far */
    double spent;       /* microseconds of work, by count */
    double move_work;   /* of one annealing proposal */
    bool refinable;     /* trees of the network fit into memory */
    /* samples */
    tnp_candidate *pairs;
    int64_t n_pairs;
    int64_t n_samples, n_orders, n_cuts, n_runs; /* made so far, which names the next */
    double order_budget;
    enum { TNP_BOTH_ORDERS, TNP_FILL_ORDERS, TNP_SIZE_ORDERS } orders;
    tnp_greedy *greedy; /* per thread, made when first needed */
    int32_t **buffer;   /* per thread: steps */
    /* refinement */
    tnp_tree *tree;     /* per thread */
    tnp_trees starts;   /* what the runs start from: not written while they go */
    const tnp_run *runs;
    int64_t solved[TNP_MAX_THREADS];
    double worked[TNP_MAX_THREADS]; /* microseconds by elimination */
} tnp_plan;

tnp_status tnp_plan_init(tnp_plan *p, const tnp_net *net, const tnp_options *opt,
                         tnp_control *ctl);
void tnp_plan_free(tnp_plan *p);

/* Bring a tree into the pool. */
tnp_status tnp_plan_offer(tnp_plan *p, double cost, int64_t number, const int32_t *steps);

/* Greedy samples; number 0 is the plain path, finished whatever the time. */
tnp_status tnp_run_samples(tnp_plan *p, int64_t n);

/* Elimination orders, each given up beyond `budget` microseconds; the first is finished if the
 * pool is empty. */
tnp_status tnp_run_orders(tnp_plan *p, int64_t n, double budget);

/* Trees by recursive bisection; the first is finished if the pool is empty. */
tnp_status tnp_run_cuts(tnp_plan *p, int64_t n);

/* Refine `n` trees. */
tnp_status tnp_run_refinements(tnp_plan *p, const tnp_run *runs, int64_t n);

/* Microseconds that a greedy sample takes, about. */
double tnp_sample_work(const tnp_plan *p);

#endif
