/* Slicing: fix indices one by one until every intermediate is small enough, tuning the tree for
 * the smaller problem as it goes; then anneal tree and slices together.
 *
 * What counts is the work over all slices, in which steps below which no tensor has a sliced index
 * are made once. In annealing, results over the limit make their steps dearer, so that the tree may
 * pass through them; between batches of moves enough indices are sliced for all to fit, and one
 * that is sliced is exchanged for others by the Metropolis rule. See slicer.h for one such tree; here
 * are attempts at a first choice and rounds of annealing on all threads.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "part.h"
#include "slicer.h"

enum {
    RUNS = 4,           /* of annealing per round */
    MOST_ROUNDS = 40,
    MOVES_PER_TENSOR = 1000,
    MOVES_PER_SAMPLE = 20000
};
static const double HARD = 8.0;         /* log2 of the price of a bit beyond the limit, see TNP_SOFT */
static const double LOOK_SHARE = 2.5;   /* of annealing with slices, over that of plain moves */
static const double ROUND_SHARE = 0.4;  /* of the time that is left, for a round at most */

enum { N_STYLES = 3 };
static const tnp_slice_style STYLES[N_STYLES] = {{0.0, false}, {0.3, false}, {0.7, true}};

/* Rounds of annealing runs over tree and slices, each round from the best so far. */
typedef struct {
    const tnp_net *net;
    const tnp_options *opt;
    tnp_control *ctl;
    double limit;
    const int32_t *given;    /* steps of the tree that came in */
    tnp_slicer *slicers;         /* per thread, made when first needed */
    int64_t moves, first_run;
    struct {
        double cost;
        int64_t run;
        int32_t *steps, *sliced, n_sliced;
    } best, found;           /* before the round, and of it */
    pthread_mutex_t lock;
} rounds;

/* Back to the best tree of a run and its slices. */
static void go_to_best(tnp_slicer *s)
{
    memcpy(s->tree.kids, s->best_kids, 2 * (size_t)s->tree.n * sizeof *s->best_kids);
    tnp_slicer_go_to(s, s->best_sliced, s->n_best);
}

/* Anneal tree and slices, then re-optimise the best of them. */
static tnp_status anneal_once(rounds *r, tnp_slicer *s, int64_t number, int kind)
{
    static const double hot[RUNS] = {0.5, 0.3, 0.7, 1.0};
    static const double penalty[RUNS] = {TNP_SOFT, HARD, HARD, TNP_SOFT};
    tnp_anneal_options o = {.hot = hot[kind], .cold = TNP_COLD, .moves = r->moves,
                            .seed = r->opt->seed, .stream = (uint64_t)number, .limit = s->limit,
                            .penalty = penalty[kind], .between = tnp_slicer_look, .arg = s};
    tnp_status status = tnp_anneal(&s->tree, &o, s->ctl, s->caller);
    if (status) return status;
    go_to_best(s);
    int64_t solved;
    status = tnp_reoptimise(&s->tree, TNP_REGION, TNP_IGNORE, INT64_MAX / 2, s->ctl, s->caller,
                            &solved);
    tnp_slicer_apply(s);
    tnp_slicer_keep_best(s);
    go_to_best(s);
    return status ? status : tnp_slicer_give_back(s);
}

/* Keep what a run found if it is the best of the round. */
static void offer(rounds *r, tnp_slicer *s, int64_t number)
{
    double cost = tnp_slicer_total(s);
    pthread_mutex_lock(&r->lock);
    if (cost < r->found.cost || (cost == r->found.cost && number < r->found.run)) {
        r->found.cost = cost;
        r->found.run = number;
        r->found.n_sliced = s->n_sliced;
        memcpy(r->found.sliced, s->sliced, (size_t)s->n_sliced * sizeof *s->sliced);
        tnp_tree_store(&s->tree, r->found.steps);
    }
    pthread_mutex_unlock(&r->lock);
}

static tnp_status run(void *arg, int64_t item, int32_t thread)
{
    rounds *r = arg;
    tnp_slicer *s = &r->slicers[thread];
    int64_t number = r->first_run + item;
    tnp_status status = TNP_OK;
    if (!s->net) {
        *s = (tnp_slicer){.net = r->net, .ctl = r->ctl, .limit = r->limit, .caller = thread == 0};
        status = tnp_slicer_init(s, r->given);
        if (status) return status;
    }
    bool fresh = item % RUNS == RUNS - 1;
    s->rng = tnp_rng_make(r->opt->seed ^ 0x736c6963, (uint64_t)number);
    s->least = INFINITY;
    tnp_tree_load(&s->tree, fresh ? r->given : r->best.steps);
    tnp_slicer_go_to(s, r->best.sliced, fresh ? 0 : r->best.n_sliced);
    if (!tnp_slicer_fit(s, -1)) return TNP_IMPOSSIBLE;
    tnp_slicer_keep_best(s);
    status = anneal_once(r, s, number, (int)(item % RUNS));
    if (!status) offer(r, s, number);
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
    tnp_slicer *s = &r->slicers[0];
    *s = (tnp_slicer){.net = r->net, .ctl = r->ctl, .limit = r->limit, .most = r->opt->most,
                      .caller = true};
    tnp_status status = tnp_slicer_init(s, r->given);
    *worth = 0.0;
    for (int k = 0; k < N_STYLES && !status; k++) { /* each starts from the best so far */
        if (k > 0 && tnp_should_stop(r->ctl, true)) break;
        status = tnp_slicer_attempt(s, r->best.steps, &STYLES[k]);
        if (status == TNP_IMPOSSIBLE && !s->giant) {
            status = TNP_OK; /* a tuned tree may take fewer slices */
            continue;
        }
        if (status || !(tnp_slicer_total(s) < r->best.cost)) continue;
        r->best.cost = tnp_slicer_total(s);
        r->best.n_sliced = s->n_sliced;
        memcpy(r->best.sliced, s->sliced, (size_t)s->n_sliced * sizeof *s->sliced);
        if (k > 0) tnp_tree_store(&s->tree, r->best.steps);
        atomic_store(&r->ctl->ready, true);
        if (s->n_sliced == 0 || s->giant) return status; /* giant trees are sliced as they are */
    }
    if (!status && isinf(r->best.cost)) return TNP_IMPOSSIBLE;
    *worth = 0.5 * tnp_allowance(r->net, r->best.cost, TNP_SLICING_LEAST);
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
    for (int32_t t = 0; r.slicers && t < opt->threads; t++) tnp_slicer_free(&r.slicers[t]);
    free(r.slicers);
    free(r.best.steps);
    free(r.best.sliced);
    free(r.found.steps);
    free(r.found.sliced);
    pthread_mutex_destroy(&r.lock);
    return status;
}
