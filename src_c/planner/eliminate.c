/* Trees from elimination orders: sum the index whose neighbourhood is easiest, contract all the
 * tensors on it, and go on.
 *
 * Works on the graph of indices, in which those of one tensor are all adjacent. Eliminating an
 * index makes its neighbours adjacent; min-fill takes the index that adds the fewest new pairs,
 * min-size the one with the smallest neighbourhood. Best where indices sit on many tensors
 * (models, diagonal gates) and pairwise greed does not see the sum coming.
 */
#include "eliminate.h"

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "graph.h"
#include "num.h"

static const double MICROSECONDS_PER_LOOK = 2e-3;

typedef struct {
    tnp_graph graph;
    int32_t n_ix, words;
    uint64_t *near;   /* by index: bitset of the adjacent indices */
    uint64_t *stale;  /* bitset: scores to find anew */
    uint64_t *left;   /* bitset: closed indices still to be eliminated */
    double *score;
    int32_t *bucket;  /* tensors on the index being eliminated */
    bool fill;
    double noise;
    int64_t looks;    /* words looked at so far */
    tnp_rng rng;
} elimination;

static void elimination_free(elimination *e)
{
    tnp_graph_free(&e->graph);
    free(e->near);
    free(e->stale);
    free(e->left);
    free(e->score);
    free(e->bucket);
}

static tnp_status elimination_init(elimination *e, const tnp_net *net)
{
    memset(e, 0, sizeof *e);
    tnp_status status = tnp_graph_init(&e->graph, net);
    if (status) return status;
    e->n_ix = net->n_ix;
    e->words = (net->n_ix + 63) / 64 + 1;
    size_t words = (size_t)e->words;
    e->near = calloc(words * ((size_t)net->n_ix + 1), sizeof *e->near);
    e->stale = calloc(words, sizeof *e->stale);
    e->left = calloc(words, sizeof *e->left);
    e->score = malloc(((size_t)net->n_ix + 1) * sizeof *e->score);
    e->bucket = malloc(2 * (size_t)net->n * sizeof *e->bucket);
    if (!e->near || !e->stale || !e->left || !e->score || !e->bucket) return TNP_NO_MEMORY;
    uint64_t *mask = e->stale;
    for (int32_t t = 0; t < net->n; t++) {
        memset(mask, 0, words * sizeof *mask);
        for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) {
            mask[net->ix[k] >> 6] |= 1ULL << (net->ix[k] & 63);
        }
        for (int64_t k = net->start[t]; k < net->start[t + 1]; k++) {
            uint64_t *row = e->near + words * (size_t)net->ix[k];
            for (size_t w = 0; w < words; w++) row[w] |= mask[w];
        }
    }
    memset(e->stale, 0, words * sizeof *mask);
    for (int32_t i = 0; i < net->n_ix; i++) {
        if (!net->count[i]) continue;
        uint64_t bit = 1ULL << (i & 63);
        e->near[words * (size_t)i + (size_t)(i >> 6)] &= ~bit;
        if (net->open[i]) continue;
        e->left[i >> 6] |= bit;
        e->stale[i >> 6] |= bit;
    }
    return TNP_OK;
}

/* Pairs of neighbours that are not adjacent yet, counted twice. */
static double fill_of(elimination *e, const uint64_t *row)
{
    int64_t missing = 0;
    size_t words = (size_t)e->words;
    for (int32_t w = 0; w < e->words; w++) {
        for (uint64_t x = row[w]; x; x &= x - 1) {
            const uint64_t *other = e->near + words * (size_t)(64 * w + __builtin_ctzll(x));
            for (size_t v = 0; v < words; v++) {
                missing += __builtin_popcountll(row[v] & ~other[v]);
            }
            missing--; /* nothing is adjacent to itself */
            e->looks += e->words;
        }
    }
    return (double)missing;
}

static double size_of(const elimination *e, const uint64_t *row)
{
    double size = 0.0;
    for (int32_t w = 0; w < e->words; w++) {
        for (uint64_t x = row[w]; x; x &= x - 1) {
            size += e->graph.net->weight[64 * w + __builtin_ctzll(x)];
        }
    }
    return size;
}

static void rescore(elimination *e)
{
    for (int32_t w = 0; w < e->words; w++) {
        for (uint64_t x = e->stale[w] & e->left[w]; x; x &= x - 1) {
            int32_t i = 64 * w + __builtin_ctzll(x);
            const uint64_t *row = e->near + (size_t)e->words * (size_t)i;
            double s = size_of(e, row) + e->graph.net->weight[i];
            e->looks += 2 * (int64_t)e->words;
            /* Of equal fill, the smaller neighbourhood. */
            e->score[i] = e->fill ? fill_of(e, row) + 1e-3 * s : s;
            if (e->noise > 0.0) {
                e->score[i] += -e->noise * tnp_log2(tnp_uniform(&e->rng)) * (1.0 + s * 0.1);
            }
        }
        e->stale[w] = 0;
    }
}

static int32_t easiest(const elimination *e)
{
    int32_t best = -1;
    for (int32_t w = 0; w < e->words; w++) {
        for (uint64_t x = e->left[w]; x; x &= x - 1) {
            int32_t i = 64 * w + __builtin_ctzll(x);
            if (best < 0 || e->score[i] < e->score[best]) best = i;
        }
    }
    return best;
}

/* Remove index i from the graph of indices and make its neighbours adjacent. */
static void eliminate_index(elimination *e, int32_t i)
{
    size_t words = (size_t)e->words;
    uint64_t *row = e->near + words * (size_t)i, bit = 1ULL << (i & 63);
    for (size_t w = 0; w < words; w++) {
        for (uint64_t x = row[w]; x; x &= x - 1) {
            size_t j = 64 * w + (size_t)__builtin_ctzll(x);
            e->looks += 2 * (int64_t)e->words;
            uint64_t *other = e->near + words * j;
            for (size_t v = 0; v < words; v++) other[v] |= row[v];
            other[j >> 6] &= ~(1ULL << (j & 63));
            other[i >> 6] &= ~bit;
            e->stale[w] |= x & -x;
            for (size_t v = 0; e->fill && v < words; v++) e->stale[v] |= other[v];
        }
    }
    e->left[i >> 6] &= ~bit;
}

/* Contract the k tensors in `bucket`, always the two smallest; adds to *total. */
static tnp_status contract_bucket(elimination *e, int32_t k, int32_t *steps, double *total)
{
    tnp_graph *g = &e->graph;
    int32_t *bucket = e->bucket, n = g->net->n;
    while (k > 1) {
        for (int pick = 0; pick < 2; pick++) { /* the two smallest to the front */
            int32_t least = pick;
            for (int32_t j = pick + 1; j < k; j++) {
                double a = g->size[bucket[j]], b = g->size[bucket[least]];
                if (a < b || (a == b && bucket[j] < bucket[least])) least = j;
            }
            int32_t x = bucket[pick];
            bucket[pick] = bucket[least];
            bucket[least] = x;
        }
        int32_t made;
        double macs;
        tnp_status status = tnp_graph_contract(g, bucket[0], bucket[1], &made, &macs);
        if (status) return status;
        steps[2 * (made - n)] = bucket[0];
        steps[2 * (made - n) + 1] = bucket[1];
        *total = tnp_add2(*total, macs);
        bucket[0] = made;
        bucket[1] = bucket[--k];
    }
    return TNP_OK;
}

static double work_of(const elimination *e)
{
    return MICROSECONDS_PER_LOOK * (double)e->looks + (double)e->graph.n_ids;
}

static tnp_status run(elimination *e, double budget, tnp_control *ctl, bool caller, bool needed,
                      int32_t *steps, double *total)
{
    tnp_graph *g = &e->graph;
    *total = -INFINITY;
    for (;;) {
        rescore(e);
        int32_t i = easiest(e), k = 0;
        if (i < 0) break;
        for (int32_t h = 0; h < g->held[i]; h++) {
            e->bucket[k++] = g->holders[g->first[i] + h].tensor;
        }
        tnp_status status = contract_bucket(e, k, steps, total);
        if (status) return status;
        eliminate_index(e, i);
        e->looks += e->words;
        if (work_of(e) > budget || (!needed && tnp_should_stop(ctl, caller))) {
            *total = INFINITY;
            return TNP_OK;
        }
        if (tnp_interrupted(ctl, caller)) return TNP_INTERRUPTED;
    }
    int32_t k = 0; /* what is left has open indices only */
    for (int32_t t = 0; t < g->n_ids; t++) {
        if (g->rank[t] >= 0) e->bucket[k++] = t;
    }
    return contract_bucket(e, k, steps, total);
}

tnp_status tnp_eliminate(const tnp_net *net, uint64_t seed, int64_t number, double budget,
                         tnp_control *ctl, bool caller, bool needed, int32_t *steps,
                         double *cost, double *work)
{
    elimination e;
    tnp_status status = elimination_init(&e, net);
    e.fill = number % 2 == 0;
    if (number > 1) {
        e.rng = tnp_rng_make(seed ^ 0x656c696d, (uint64_t)number);
        e.noise = 0.5 + 1.5 * tnp_uniform(&e.rng);
    }
    if (!status) status = run(&e, budget, ctl, caller, needed, steps, cost);
    *work = work_of(&e);
    elimination_free(&e);
    return status;
}
