/* Trees from the top: cut the tensors into two halves that share little, and each half again.
 *
 * The halves of a set become the operands of the step that makes it. Sets of a few tensors are
 * solved exactly. Good where networks are large and have a shape (lattices, circuits), in which
 * pairwise greed loses its way.
 *
 * Against the clock, a giant network is cut breadth first, so that the large sets are, which count
 * most; sets that are left when the time is nearly up are contracted by greed.
 */
#include "bisect.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "cut.h"
#include "dp.h"
#include "greedy.h"
#include "net.h"

enum {
    SMALL = 8,    /* tensors of a set that is solved exactly */
    GIANT = 20000 /* tensors of a network that there may be no time to cut to the end */
};
static const double LEAST_SLACK = 0.02, MOST_SLACK = 0.8;
static const double CUTTING_SHARE = 0.9;    /* of the time; the rest is for what comes after */
static const double GREEDY_SECONDS = 1e-5;  /* per tensor, about: of large sets in the end, */
static const double FIRST_SECONDS = 5e-6;   /* and of the first cut */

typedef struct {
    int32_t begin, end; /* in `members` */
    int32_t id;         /* of the tensor that the set becomes */
} set;

typedef struct {
    const tnp_net *net;
    tnp_control *ctl;
    bool caller;
    tnp_rng rng;
    double slack;
    int32_t *members, *spare; /* the tensors, those of a set side by side */
    set *sets;                /* to do: from `first` to before `last` */
    int32_t first, last;
    bool broad;               /* the first of them next, not the last */
    bool late;                /* the time is nearly up */
    double end;               /* when it is */
    int32_t next;             /* SSA number to give out, from the back */
    int32_t *steps;
    int32_t *edge_of;         /* by index, -1 between uses */
    int32_t *inside;          /* by index: its tensors in the set, zero between uses */
    unsigned char *side;
    tnp_dp dp;
} bisection;

static void bisection_free(bisection *b)
{
    free(b->members);
    free(b->spare);
    free(b->sets);
    free(b->edge_of);
    free(b->inside);
    free(b->side);
    tnp_dp_free(&b->dp);
}

static tnp_status bisection_init(bisection *b, const tnp_net *net, uint64_t seed, int64_t number)
{
    size_t n = (size_t)net->n + 1, n_ix = (size_t)net->n_ix + 1;
    b->net = net;
    b->rng = tnp_rng_make(seed ^ 0x62697365, (uint64_t)number);
    double u = tnp_uniform(&b->rng);
    b->slack = LEAST_SLACK + (MOST_SLACK - LEAST_SLACK) * u * u;
    b->next = 2 * net->n - 2;
    b->members = malloc(n * sizeof *b->members);
    b->spare = malloc(n * sizeof *b->spare);
    b->sets = malloc(n * sizeof *b->sets);
    b->edge_of = malloc(n_ix * sizeof *b->edge_of);
    b->inside = calloc(n_ix, sizeof *b->inside);
    b->side = malloc(n);
    bool ok = b->members && b->spare && b->sets && b->edge_of && b->inside && b->side;
    if (!ok) return TNP_NO_MEMORY;
    for (int32_t t = 0; t < net->n; t++) b->members[t] = t;
    for (int32_t i = 0; i < net->n_ix; i++) b->edge_of[i] = -1;
    return tnp_dp_init(&b->dp, SMALL);
}

/* Number the indices on at least two tensors of a set in `edge_of`; returns how many. */
static int32_t number_edges(bisection *b, set s, int32_t *pins)
{
    const tnp_net *net = b->net;
    int32_t edges = 0;
    for (int32_t m = s.begin; m < s.end; m++) {
        int32_t t = b->members[m];
        for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) b->inside[net->ix[k]]++;
    }
    *pins = 0;
    for (int32_t m = s.begin; m < s.end; m++) {
        int32_t t = b->members[m];
        for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) {
            int32_t i = net->ix[k];
            if (b->inside[i] < 2) continue;
            if (b->edge_of[i] < 0) b->edge_of[i] = edges++;
            ++*pins;
        }
    }
    return edges;
}

/* Leave the maps as they were found. */
static void forget_edges(bisection *b, set s)
{
    const tnp_net *net = b->net;
    for (int32_t m = s.begin; m < s.end; m++) {
        int32_t t = b->members[m];
        for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) {
            b->edge_of[net->ix[k]] = -1;
            b->inside[net->ix[k]] = 0;
        }
    }
}

/* The hypergraph of a set of tensors: an edge for each index on at least two of them. */
static tnp_status describe(bisection *b, set s, tnp_hyper *h)
{
    const tnp_net *net = b->net;
    int32_t pins, edges = number_edges(b, s, &pins);
    tnp_status status = tnp_hyper_alloc(h, s.end - s.begin, edges, pins);
    if (status) return status;
    memset(h->e_start, 0, ((size_t)edges + 2) * sizeof *h->e_start);
    for (int pass = 0; pass < 2; pass++) { /* count the pins of each edge, then place them */
        for (int32_t m = s.begin; m < s.end; m++) {
            int32_t t = b->members[m];
            h->v_weight[m - s.begin] = 1;
            for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) {
                int32_t e = b->edge_of[net->ix[k]];
                if (e < 0) continue;
                if (pass == 0) h->e_start[e + 1]++;
                else h->e_pin[h->e_start[e]++] = m - s.begin;
                h->e_weight[e] = net->weight[net->ix[k]];
            }
        }
        if (pass == 0) {
            for (int32_t e = 0; e < edges; e++) h->e_start[e + 1] += h->e_start[e];
        }
    }
    for (int32_t e = edges; e > 0; e--) h->e_start[e] = h->e_start[e - 1];
    h->e_start[0] = 0;
    forget_edges(b, s);
    tnp_hyper_transpose(h);
    return TNP_OK;
}

/* Place the tensors of side 0 first; returns where side 1 begins. */
static int32_t divide(bisection *b, set s)
{
    int32_t k = s.end - s.begin, at = s.begin, rest = 0;
    for (int32_t m = 0; m < k; m++) {
        if (b->side[m]) b->spare[rest++] = b->members[s.begin + m];
        else b->members[at++] = b->members[s.begin + m];
    }
    memcpy(b->members + at, b->spare, (size_t)rest * sizeof *b->spare);
    if (at == s.begin || at == s.end) at = s.begin + k / 2; /* a cut of nothing */
    return at;
}

/* Give half a set its number and queue it, or name its only tensor. */
static int32_t enter(bisection *b, int32_t begin, int32_t end)
{
    if (end - begin == 1) return b->members[begin];
    b->sets[b->last++] = (set){begin, end, b->next};
    return b->next--;
}

/* Give exact search the indices of a small set; returns log2 size of all of them. */
static double hand_over(bisection *b, set s)
{
    const tnp_net *net = b->net;
    int32_t k = s.end - s.begin;
    uint32_t *holders = (uint32_t *)b->inside;
    for (int32_t m = 0; m < k; m++) {
        int32_t t = b->members[s.begin + m];
        for (int64_t j = net->start[t]; j < net->start[t + 1]; j++) {
            holders[net->ix[j]] |= 1u << m;
        }
    }
    tnp_dp_begin(&b->dp, k, &net->objective);
    double most = 0.0;
    for (int32_t m = 0; m < k; m++) {
        int32_t t = b->members[s.begin + m];
        for (int64_t j = net->start[t]; j < net->start[t + 1]; j++) {
            int32_t i = net->ix[j];
            if (!holders[i]) continue;
            bool open = net->open[i] || net->count[i] > __builtin_popcount(holders[i]);
            tnp_dp_index(&b->dp, holders[i], open, net->weight[i]);
            most += net->weight[i];
            holders[i] = 0;
        }
    }
    return most;
}

/* The best tree of a small set. */
static tnp_status solve(bisection *b, set s)
{
    double cost, unit = b->net->objective.power * hand_over(b, s);
    tnp_status status = tnp_dp_solve(&b->dp, unit < 500.0 ? 0.0 : unit - 500.0, b->ctl, b->caller,
                                     &cost);
    struct {
        uint32_t set;
        int32_t id;
    } stack[SMALL + 1];
    int32_t depth = 1;
    stack[0].set = (1u << (s.end - s.begin)) - 1;
    stack[0].id = s.id;
    while (depth && !status) {
        uint32_t all = stack[--depth].set;
        int32_t at = stack[depth].id - b->net->n;
        for (int side = 0; side < 2; side++) {
            uint32_t half = side ? b->dp.split[all] : all ^ b->dp.split[all];
            if (half & (half - 1)) {
                b->steps[2 * at + side] = b->next;
                stack[depth].set = half;
                stack[depth++].id = b->next--;
            } else {
                b->steps[2 * at + side] = b->members[s.begin + __builtin_ctz(half)];
            }
        }
    }
    return status;
}

static tnp_status split(bisection *b, set s)
{
    tnp_hyper h;
    tnp_status status = describe(b, s, &h);
    if (status) return status;
    status = tnp_cut(&h, b->slack, &b->rng, b->ctl, b->caller, b->side);
    tnp_hyper_free(&h);
    if (status) return status;
    int32_t middle = divide(b, s), at = s.id - b->net->n;
    b->steps[2 * at] = enter(b, s.begin, middle);
    b->steps[2 * at + 1] = enter(b, middle, s.end);
    return TNP_OK;
}

/* The plain greedy path of a set, as steps on its k tensors. */
static tnp_status greedy_steps(bisection *b, set s, int32_t *steps)
{
    tnp_net sub;
    int32_t k = s.end - s.begin;
    tnp_status status = tnp_subnet(b->net, b->members + s.begin, k, b->edge_of, &sub);
    if (status) return status;
    tnp_candidate *pairs = NULL;
    int64_t n_pairs;
    tnp_greedy greedy = {0};
    double cost;
    status = tnp_greedy_pairs(&sub, &pairs, &n_pairs);
    if (!status) status = tnp_greedy_init(&greedy, &sub, pairs, n_pairs);
    if (!status) {
        status = tnp_greedy_sample(&greedy, 0, 0, INFINITY, b->ctl, b->caller, steps, &cost);
    }
    tnp_greedy_free(&greedy);
    free(pairs);
    tnp_net_free(&sub);
    return status;
}

static tnp_status contract_greedily(bisection *b, set s)
{
    int32_t k = s.end - s.begin, *steps = malloc(2 * (size_t)k * sizeof *steps);
    if (!steps) return TNP_NO_MEMORY;
    tnp_status status = greedy_steps(b, s, steps);
    int32_t first = b->next - (k - 3); /* of the steps but the last, which makes s.id */
    for (int32_t t = 0; t < k - 1 && !status; t++) {
        int32_t at = (t == k - 2 ? s.id : first + t) - b->net->n;
        for (int side = 0; side < 2; side++) {
            int32_t x = steps[2 * t + side];
            b->steps[2 * at + side] = x < k ? b->members[s.begin + x] : first + x - k;
        }
    }
    b->next -= k - 2;
    free(steps);
    return status;
}

/* Do one set; false if there is no time for a tree. */
static bool go_on(bisection *b, bool needed, tnp_status *status)
{
    set s = b->broad ? b->sets[b->first++] : b->sets[--b->last];
    if (s.end - s.begin <= SMALL) *status = solve(b, s);
    else *status = b->late ? contract_greedily(b, s) : split(b, s);
    if (*status) return false;
    bool stop = tnp_should_stop(b->ctl, b->caller);
    if (stop && tnp_interrupted(b->ctl, b->caller)) *status = TNP_INTERRUPTED;
    b->late = b->broad && !needed && tnp_now() > b->end;
    return !*status && (!stop || needed);
}

double tnp_bisect_work(const tnp_net *net)
{
    double levels = 1.0 + tnp_log2(1.0 + (double)net->n / SMALL);
    return 0.35 * (double)net->start[net->n] * levels + 2.0 * (double)net->n;
}

tnp_status tnp_bisect(const tnp_net *net, uint64_t seed, int64_t number, tnp_control *ctl,
                      bool caller, bool needed, int32_t *steps, double *cost)
{
    bisection b = {.ctl = ctl, .caller = caller, .steps = steps};
    double now = tnp_now(), size = (double)net->n, width;
    b.broad = isfinite(ctl->deadline) && net->n > GIANT;
    b.end = now + CUTTING_SHARE * (ctl->deadline - now) - GREEDY_SECONDS * size;
    *cost = INFINITY;
    if (b.broad && !needed && b.end - now < FIRST_SECONDS * size) return TNP_OK;
    tnp_status status = bisection_init(&b, net, seed, number);
    if (!status) enter(&b, 0, net->n);
    while (b.first < b.last && !status) {
        if (!go_on(&b, needed, &status)) break;
    }
    if (!status && b.first == b.last) status = tnp_price(net, steps, cost, &width);
    bisection_free(&b);
    return status;
}
