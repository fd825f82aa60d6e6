/* Shrink a network before searching: absorb every tensor that makes no neighbour larger.
 *
 * A contraction whose result is no larger than the larger operand is made at once: vectors,
 * matrices and diagonals on a bigger tensor, tensors on the same indices (Hadamard groups),
 * tensors whose indices are a subset of another's. A queue of tensors to look at again runs to
 * the fixed point. Scalars are left alone: they end as parts of their own.
 */
#include "simplify.h"

#include <stdlib.h>

#include "control.h"
#include "graph.h"

/* How many holders of one index are looked at as partners: bounds the work on giant indices. */
enum { LOOKS = 64, POLL_ROUNDS = 1024 };
static const double SLACK = 1e-9; /* sizes are sums of rounded logarithms */

/* What looking for partners needs. */
typedef struct {
    double *saved;    /* by tensor: log2 size that a contraction with it would save, else 0 */
    int32_t *touched; /* tensors with an entry in `saved` */
} partners;

/* Find the tensors that share an index with t; returns how many. */
static int32_t look(const tnp_graph *g, int32_t t, partners *p, bool *partial)
{
    int32_t n = 0;
    *partial = false;
    for (int32_t k = 0; k < g->rank[t]; k++) {
        tnp_leg leg = g->legs[t][k];
        const tnp_holder *list = g->holders + g->first[leg.index];
        int32_t held = g->held[leg.index], looks = held - 1;
        double weight = g->net->weight[leg.index];
        double saves = held == 2 && !g->net->open[leg.index] ? 2.0 * weight : weight;
        if (looks > LOOKS) {
            looks = LOOKS;
            *partial = true;
        }
        for (int32_t j = 0, at = leg.place; j < looks; j++) {
            if (++at == held) at = 0;
            int32_t u = list[at].tensor;
            p->touched[n] = u;
            n += p->saved[u] == 0.0;
            p->saved[u] += saves;
        }
    }
    return n;
}

/* The partner with which t makes the smallest step that grows nothing, or -1. */
static int32_t find_partner(const tnp_graph *g, int32_t t, partners *p)
{
    bool partial;
    int32_t best = -1, n = look(g, t, p, &partial);
    double best_macs = 0.0;
    for (int32_t k = 0; k < n; k++) {
        int32_t u = p->touched[k];
        double larger = g->size[t] > g->size[u] ? g->size[t] : g->size[u];
        double size = g->size[t] + g->size[u] - p->saved[u];
        p->saved[u] = 0.0;
        if (partial) size = tnp_graph_result_size(g, t, u);
        if (size > larger + SLACK) continue;
        double macs = size + larger; /* orders partners: small ones first */
        if (best >= 0 && (macs > best_macs || (macs == best_macs && u >= best))) continue;
        best = u;
        best_macs = macs;
    }
    return best;
}

static tnp_status shrink(tnp_graph *g, partners *p, tnp_control *ctl, int32_t *steps,
                         int32_t *n_steps)
{
    int32_t n = g->net->n;
    *n_steps = 0;
    /* Ids are looked at in the order they are made. A pair is judged when the later of the two
     * is looked at, and again when either is replaced, so one sweep reaches the fixed point. */
    for (int32_t t = 0; t < g->n_ids; t++) {
        if (t % POLL_ROUNDS == 0 && tnp_interrupted(ctl, true)) return TNP_INTERRUPTED;
        if (g->rank[t] <= 0) continue;
        int32_t u = find_partner(g, t, p), made;
        if (u < 0) continue;
        double macs;
        tnp_status status = tnp_graph_contract(g, t, u, &made, &macs);
        if (status) return status;
        steps[2 * (made - n)] = t < u ? t : u;
        steps[2 * (made - n) + 1] = t < u ? u : t;
        (*n_steps)++;
    }
    return TNP_OK;
}

static tnp_status remains(const tnp_graph *g, tnp_net *small, int32_t *origin)
{
    int64_t legs = 0;
    int32_t n = 0;
    for (int32_t t = 0; t < g->n_ids; t++) {
        if (g->rank[t] < 0) continue;
        origin[n++] = t;
        legs += g->rank[t];
    }
    tnp_status status = tnp_net_alloc(small, n, g->net->n_ix, legs);
    if (status) return status;
    small->objective = g->net->objective;
    legs = 0;
    for (int32_t s = 0; s < n; s++) {
        for (int32_t k = 0; k < g->rank[origin[s]]; k++) {
            small->ix[legs++] = g->legs[origin[s]][k].index;
        }
        small->start[s + 1] = legs;
    }
    for (int32_t i = 0; i < g->net->n_ix; i++) {
        small->weight[i] = g->net->weight[i];
        small->open[i] = g->net->open[i];
        small->count[i] = g->held[i];
    }
    return TNP_OK;
}

tnp_status tnp_simplify(const tnp_net *net, tnp_control *ctl, int32_t *steps, int32_t *n_steps,
                        tnp_net *small, int32_t *origin)
{
    tnp_graph g;
    tnp_status status = tnp_graph_init(&g, net);
    if (status) return status;
    size_t ids = 2 * (size_t)net->n + 1;
    partners p = {calloc(ids, sizeof *p.saved), malloc(ids * sizeof *p.touched)};
    status = p.saved && p.touched ? shrink(&g, &p, ctl, steps, n_steps) : TNP_NO_MEMORY;
    free(p.saved);
    free(p.touched);
    if (!status) status = remains(&g, small, origin);
    tnp_graph_free(&g);
    return status;
}
