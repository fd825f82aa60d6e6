/* A network that is being contracted; see graph.h. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "objective.h"

static const size_t CHUNK_BYTES = 1 << 16;

static int size_class(int32_t n)
{
    int c = 0;
    while (((int64_t)4 << c) < n) c++;
    return c;
}

static void *pool_take(tnp_pool *p, int32_t n)
{
    int c = size_class(n);
    void *block = p->spare[c];
    if (block) {
        memcpy(&p->spare[c], block, sizeof(void *));
        return block;
    }
    size_t bytes = ((size_t)4 << c) * sizeof(tnp_leg);
    if (bytes > p->left) {
        size_t want = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        char *chunk = malloc(want + sizeof(tnp_leg) * 2);
        if (!chunk) return NULL;
        memcpy(chunk, &p->chunks, sizeof(void *));
        p->chunks = chunk;
        p->at = chunk + sizeof(tnp_leg) * 2;
        p->left = want;
    }
    block = p->at;
    p->at += bytes;
    p->left -= bytes;
    return block;
}

static void pool_give(tnp_pool *p, void *block, int32_t n)
{
    int c = size_class(n);
    memcpy(block, &p->spare[c], sizeof(void *));
    p->spare[c] = block;
}

/* Keep n legs of a block that was taken for `taken`; the rest goes back in halves. */
static void pool_shrink(tnp_pool *p, tnp_leg *block, int32_t taken, int32_t n)
{
    for (int c = size_class(n), end = size_class(taken); c < end; c++) {
        pool_give(p, block + ((size_t)4 << c), 4 << c);
    }
}

static void pool_free(tnp_pool *p)
{
    while (p->chunks) {
        void *next;
        memcpy(&next, p->chunks, sizeof next);
        free(p->chunks);
        p->chunks = next;
    }
    memset(p, 0, sizeof *p);
}

tnp_status tnp_graph_init(tnp_graph *g, const tnp_net *net)
{
    memset(g, 0, sizeof *g);
    g->net = net;
    size_t ids = 2 * (size_t)net->n + 1;
    g->legs = malloc(ids * sizeof *g->legs);
    g->rank = malloc(ids * sizeof *g->rank);
    g->size = malloc(ids * sizeof *g->size);
    g->holders = malloc(((size_t)net->start[net->n] + 1) * sizeof *g->holders);
    g->first = malloc(((size_t)net->n_ix + 1) * sizeof *g->first);
    g->held = malloc(((size_t)net->n_ix + 1) * sizeof *g->held);
    tnp_status status = TNP_NO_MEMORY;
    if (g->legs && g->rank && g->size && g->holders && g->first && g->held) {
        status = tnp_graph_reset(g);
    }
    if (status) tnp_graph_free(g);
    return status;
}

void tnp_graph_free(tnp_graph *g)
{
    pool_free(&g->pool);
    free(g->legs);
    free(g->rank);
    free(g->size);
    free(g->holders);
    free(g->first);
    free(g->held);
    memset(g, 0, sizeof *g);
}

tnp_status tnp_graph_reset(tnp_graph *g)
{
    const tnp_net *net = g->net;
    pool_free(&g->pool);
    g->n_ids = g->alive = net->n;
    int64_t at = 0;
    for (int32_t i = 0; i < net->n_ix; i++) {
        g->first[i] = at;
        at += net->count[i];
        g->held[i] = 0;
    }
    for (int32_t t = 0; t < net->n; t++) {
        int32_t rank = (int32_t)(net->start[t + 1] - net->start[t]);
        tnp_leg *legs = pool_take(&g->pool, rank);
        if (!legs) return TNP_NO_MEMORY;
        double size = 0.0;
        for (int32_t k = 0; k < rank; k++) {
            int32_t i = net->ix[net->start[t] + k], place = g->held[i]++;
            legs[k] = (tnp_leg){i, place};
            g->holders[g->first[i] + place] = (tnp_holder){t, k};
            size += net->weight[i];
        }
        g->legs[t] = legs;
        g->rank[t] = rank;
        g->size[t] = size;
    }
    return TNP_OK;
}

/* Hand one holder entry of a contracted tensor over to its successor. */
static inline void pass_on(tnp_graph *g, tnp_leg leg, int32_t tensor, int32_t slot)
{
    g->holders[g->first[leg.index] + leg.place] = (tnp_holder){tensor, slot};
}

/* Remove one holder entry; the last one takes its place. */
static inline void remove_holder(tnp_graph *g, tnp_leg leg)
{
    tnp_holder *list = g->holders + g->first[leg.index];
    int32_t last = --g->held[leg.index];
    if (leg.place == last) return;
    list[leg.place] = list[last];
    g->legs[list[last].tensor][list[last].slot].place = leg.place;
}

tnp_status tnp_graph_contract(tnp_graph *g, int32_t a, int32_t b, int32_t *made, double *cost)
{
    const double *weight = g->net->weight;
    int32_t c = g->n_ids, ra = g->rank[a], rb = g->rank[b];
    tnp_leg *out = pool_take(&g->pool, ra + rb), *la = g->legs[a], *lb = g->legs[b];
    if (!out) return TNP_NO_MEMORY;
    g->legs[c] = out; /* remove_holder may already write to it */
    int32_t ia = 0, ib = 0, rank = 0;
    double all = 0.0, size = 0.0;
    while (ia < ra || ib < rb) {
        int32_t xa = ia < ra ? la[ia].index : INT32_MAX, xb = ib < rb ? lb[ib].index : INT32_MAX;
        int32_t x = xa < xb ? xa : xb;
        tnp_leg leg = xa == x ? la[ia] : lb[ib];
        all += weight[x];
        ia += xa == x;
        if (xa == xb) {
            if (g->held[x] == 2 && !g->net->open[x]) { /* the last two holders: summed here */
                g->held[x] = 0;
                ib++;
                continue;
            }
            remove_holder(g, lb[ib]);
            leg = la[ia - 1]; /* its place may just have changed */
        }
        ib += xb == x;
        pass_on(g, leg, c, rank);
        out[rank++] = leg;
        size += weight[x];
    }
    pool_shrink(&g->pool, out, ra + rb, rank);
    pool_give(&g->pool, la, ra);
    pool_give(&g->pool, lb, rb);
    g->rank[a] = g->rank[b] = -1;
    g->rank[c] = rank;
    g->size[c] = size;
    g->n_ids++;
    g->alive--;
    *made = c;
    *cost = tnp_step_log2(&g->net->objective, all, size, g->size[a], g->size[b]);
    return TNP_OK;
}

double tnp_graph_result_size(const tnp_graph *g, int32_t a, int32_t b)
{
    const tnp_leg *la = g->legs[a], *lb = g->legs[b];
    const double *weight = g->net->weight;
    int32_t ra = g->rank[a], rb = g->rank[b], ib = 0;
    double size = g->size[a] + g->size[b];
    for (int32_t ia = 0; ia < ra; ia++) {
        int32_t x = la[ia].index;
        while (ib < rb && lb[ib].index < x) ib++;
        if (ib == rb) break;
        if (lb[ib].index != x) continue;
        size -= g->held[x] == 2 && !g->net->open[x] ? 2.0 * weight[x] : weight[x];
    }
    return size;
}

tnp_status tnp_price(const tnp_net *net, const int32_t *steps, double *cost, double *width)
{
    tnp_graph g;
    tnp_status status = tnp_graph_init(&g, net);
    if (status) return status;
    *cost = -INFINITY;
    *width = 0.0;
    for (int32_t t = 0; t < net->n - 1 && !status; t++) {
        int32_t made;
        double step;
        status = tnp_graph_contract(&g, steps[2 * t], steps[2 * t + 1], &made, &step);
        if (status) break;
        *cost = tnp_add2(*cost, step);
        if (g.size[made] > *width) *width = g.size[made];
    }
    tnp_graph_free(&g);
    return status;
}
