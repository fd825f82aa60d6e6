/* The whole search: simplify, plan the connected parts apart, merge them smallest first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "net.h"
#include "part.h"
#include "refine.h"
#include "simplify.h"

enum {
    EXACT = 11,        /* networks up to this size go straight to exact search */
    ROUND_NUMBER = 100 /* of tensors: smaller networks are granted less search */
};
static const double POLISH_GAIN = 0.999;  /* a stage that gains less is the last */
static const double POLISH_LEAST = 300.0; /* microseconds granted to the last polish */
static const double POLISH_ONCE = 60.0;   /* and to that of a network that is run once */

typedef struct {
    const tnp_options *opt;
    tnp_control *ctl;
    const tnp_net *net;
    int32_t *steps;
    int32_t n_steps;       /* written so far */
    tnp_net small;         /* what simplification left */
    int32_t *origin;       /* its tensors as SSA numbers */
    int32_t *label;        /* and their parts */
    int32_t n_parts;
    int32_t *first;        /* n_parts + 1: where a part starts in `members` */
    int32_t *members;      /* tensors of `small`, part by part */
    int32_t *order;        /* parts, those of few tensors first */
    int32_t *local;        /* n_ix, all -1 between uses */
    int32_t *part_steps;
    double deadline;
} search;

typedef struct {
    double size;
    int32_t id;
} result;

static void search_free(search *s)
{
    tnp_net_free(&s->small);
    free(s->origin);
    free(s->label);
    free(s->first);
    free(s->members);
    free(s->order);
    free(s->local);
    free(s->part_steps);
}

static tnp_status search_init(search *s)
{
    size_t n = (size_t)s->net->n + 2;
    s->origin = malloc(n * sizeof(int32_t));
    s->label = malloc(n * sizeof(int32_t));
    s->first = calloc(n, sizeof(int32_t));
    s->members = malloc(n * sizeof(int32_t));
    s->order = malloc(n * sizeof(int32_t));
    s->part_steps = malloc(2 * n * sizeof(int32_t));
    s->local = malloc(((size_t)s->net->n_ix + 1) * sizeof(int32_t));
    bool ok = s->origin && s->label && s->first && s->members && s->order && s->part_steps;
    if (!ok || !s->local) return TNP_NO_MEMORY;
    for (int32_t i = 0; i < s->net->n_ix; i++) s->local[i] = -1;
    return TNP_OK;
}

/* Counting sorts: members by part, then parts by number of members. */
static void group_parts(search *s)
{
    for (int32_t t = 0; t < s->small.n; t++) s->first[s->label[t] + 1]++;
    int32_t *by_size = s->part_steps, n = s->small.n;
    memset(by_size, 0, ((size_t)n + 2) * sizeof *by_size);
    for (int32_t p = 0; p < s->n_parts; p++) by_size[s->first[p + 1] + 1]++;
    for (int32_t k = 1; k <= n; k++) by_size[k] += by_size[k - 1];
    for (int32_t p = 0; p < s->n_parts; p++) s->order[by_size[s->first[p + 1]]++] = p;
    for (int32_t p = 0; p < s->n_parts; p++) s->first[p + 1] += s->first[p];
    for (int32_t t = 0; t < s->small.n; t++) s->members[s->first[s->label[t]]++] = t;
    for (int32_t p = s->n_parts; p > 0; p--) s->first[p] = s->first[p - 1];
    s->first[0] = 0;
}

/* Give a part its share of the time that is left: by its share of the tensors still to plan. */
static void set_deadline(search *s, int32_t tensors, int64_t tensors_left)
{
    if (!isfinite(s->deadline)) return;
    int up = TNP_TIME_UP; /* what the user stopped stays so */
    double now = tnp_now(), left = s->deadline - now;
    atomic_compare_exchange_strong(&s->ctl->stop, &up, TNP_RUN);
    s->ctl->deadline = now + left * (double)tensors / (double)tensors_left;
}

/* Plan one part and append its steps; *id is the SSA number of its result. */
static tnp_status plan_part(search *s, int32_t part, const tnp_options *opt, bool last,
                            int32_t *id)
{
    const int32_t *members = s->members + s->first[part];
    int32_t k = s->first[part + 1] - s->first[part], base = s->net->n + s->n_steps;
    *id = s->origin[members[0]];
    if (k == 1) return TNP_OK;
    tnp_net sub;
    tnp_status status = tnp_subnet(&s->small, members, k, s->local, &sub);
    if (status) return status;
    status = tnp_plan_part(&sub, opt, s->ctl, last, s->part_steps);
    tnp_net_free(&sub);
    if (status) return status;
    for (int32_t j = 0; j < 2 * (k - 1); j++) {
        int32_t x = s->part_steps[j];
        s->steps[2 * s->n_steps + j] = x < k ? s->origin[members[x]] : base + x - k;
    }
    s->n_steps += k - 1;
    *id = s->net->n + s->n_steps - 1;
    return TNP_OK;
}

static double open_size(const search *s, int32_t part)
{
    double size = 0.0;
    for (int32_t m = s->first[part]; m < s->first[part + 1]; m++) {
        int32_t t = s->members[m];
        for (int64_t k = s->small.start[t]; k < s->small.start[t + 1]; k++) {
            int32_t i = s->small.ix[k];
            if (!s->small.open[i] || s->local[i] >= 0) continue;
            s->local[i] = 0;
            size += s->small.weight[i];
        }
    }
    for (int32_t m = s->first[part]; m < s->first[part + 1]; m++) {
        int32_t t = s->members[m];
        for (int64_t k = s->small.start[t]; k < s->small.start[t + 1]; k++) {
            s->local[s->small.ix[k]] = -1;
        }
    }
    return size;
}

static bool smaller(result a, result b)
{
    return a.size != b.size ? a.size < b.size : a.id < b.id;
}

static void settle(result *heap, int32_t n, int32_t at)
{
    result x = heap[at];
    for (int32_t kid; (kid = 2 * at + 1) < n; at = kid) {
        if (kid + 1 < n && smaller(heap[kid + 1], heap[kid])) kid++;
        if (!smaller(heap[kid], x)) break;
        heap[at] = heap[kid];
    }
    heap[at] = x;
}

/* Multiply the results of the parts, always the two smallest. */
static void merge_parts(search *s, result *heap)
{
    int32_t n = s->n_parts;
    for (int32_t k = n / 2 - 1; k >= 0; k--) settle(heap, n, k);
    while (n > 1) {
        result a = heap[0];
        heap[0] = heap[--n];
        settle(heap, n, 0);
        s->steps[2 * s->n_steps] = a.id;
        s->steps[2 * s->n_steps + 1] = heap[0].id;
        heap[0].size += a.size;
        heap[0].id = s->net->n + s->n_steps++;
        settle(heap, n, 0);
    }
}

static tnp_status plan_parts(search *s)
{
    result *results = malloc(((size_t)s->n_parts + 1) * sizeof *results);
    if (!results) return TNP_NO_MEMORY;
    tnp_options opt = *s->opt;
    int64_t left = s->small.n, polish_share = 1 + left / 8;
    tnp_status status = TNP_OK;
    for (int32_t k = 0; k < s->n_parts && !status; k++) {
        int32_t part = s->order[k], tensors = s->first[part + 1] - s->first[part];
        set_deadline(s, tensors, left + polish_share);
        opt.least = s->opt->least * (double)tensors / (double)(s->small.n + ROUND_NUMBER);
        left -= tensors;
        results[k].size = open_size(s, part);
        status = plan_part(s, part, &opt, k == s->n_parts - 1, &results[k].id);
        if (!status && k % 256 == 0 && tnp_interrupted(s->ctl, true)) status = TNP_INTERRUPTED;
    }
    if (!status) merge_parts(s, results);
    free(results);
    return status;
}

/* Simplification and parts were planned one after the other: re-optimise across their borders,
 * then anneal the whole tree, gently, as long as it is worth it and helps. */
static tnp_status polish(search *s)
{
    if (s->net->n < 3 || tnp_tree_bytes(s->net) > TNP_TREE_BYTES) return TNP_OK;
    tnp_tree tree;
    tnp_status status = tnp_tree_init(&tree, s->net, NULL);
    if (status) return status;
    tnp_tree_load(&tree, s->steps);
    bool timed = isfinite(s->deadline);
    double least = s->opt->least > 0.0 ? POLISH_LEAST : POLISH_ONCE;
    double worth = timed ? 1e15 : tnp_allowance(s->net, tnp_tree_cost(&tree), least);
    double spent = 0.0, work = 500.0 * (double)s->net->n * tnp_move_work(s->net);
    for (uint64_t stage = 0; !status; stage++, work *= 2.0) {
        int64_t solved, regions = 1 + (int64_t)((worth - spent) / TNP_REGION_WORK);
        double before = tree.total;
        if (stage > 0) {
            if (spent + work > worth || tnp_should_stop(s->ctl, true)) break;
            tnp_anneal_options o = {.hot = 0.35, .cold = 0.05,
                                    .moves = (int64_t)(work / tnp_move_work(s->net)),
                                    .seed = s->opt->seed, .stream = ~stage, .limit = INFINITY};
            status = tnp_anneal(&tree, &o, s->ctl, true);
            spent += work;
        }
        if (status) break;
        status = tnp_reoptimise(&tree, TNP_REGION, TNP_IGNORE, regions, s->ctl, true, &solved);
        spent += (double)solved * TNP_REGION_WORK;
        if (stage > 0 && !timed && tree.total > POLISH_GAIN * before) break;
    }
    if (!status) tnp_tree_store(&tree, s->steps);
    tnp_tree_free(&tree);
    return status;
}

static tnp_status search_by_parts(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                                  int32_t *steps)
{
    search s = {.opt = opt, .ctl = ctl, .net = net, .steps = steps, .deadline = ctl->deadline};
    tnp_status status = search_init(&s);
    if (!status) status = tnp_simplify(net, ctl, steps, &s.n_steps, &s.small, s.origin);
    if (!status) status = tnp_components(&s.small, s.label, &s.n_parts);
    if (!status) {
        group_parts(&s);
        status = plan_parts(&s);
    }
    set_deadline(&s, 1, 1);
    if (!status) atomic_store(&ctl->ready, true);
    if (!status && opt->mode == TNP_AUTO) status = polish(&s);
    if (!status && opt->mode == TNP_HYPER) status = tnp_plan_further(net, opt, ctl, steps);
    search_free(&s);
    return status;
}

tnp_status tnp_search(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                      int32_t *steps)
{
    if (net->n < 2) return TNP_OK;
    bool portfolio = opt->mode == TNP_AUTO || opt->mode == TNP_HYPER;
    bool exact = opt->mode == TNP_OPTIMAL || opt->mode == TNP_DP;
    tnp_status status = exact || (portfolio && net->n <= EXACT)
                            ? tnp_optimal(net, opt->mode != TNP_DP, ctl, steps)
                            : search_by_parts(net, opt, ctl, steps);
    if (!status && portfolio) status = tnp_balance(net, steps);
    return status;
}
