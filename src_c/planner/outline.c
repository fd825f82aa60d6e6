/* The few indices of a giant tree that slicing may have to look at.
 *
 * Only an index on a result over the limit is ever worth slicing. All others are a constant factor
 * of each step, so that a tree of 100,000 tensors needs bits for some hundred indices only. Both
 * passes contract the network along the given steps and look at the index sets that come by.
 */
#include "outline.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"

void tnp_outline_free(tnp_outline *outline)
{
    free(outline->chosen);
    free(outline->macs);
    free(outline->size);
    memset(outline, 0, sizeof *outline);
}

static tnp_status choose(tnp_outline *o, tnp_graph *g, const int32_t *steps, double limit)
{
    int32_t n = g->net->n;
    for (int32_t t = 0; t < n - 1; t++) {
        int32_t made;
        double macs;
        tnp_status status =
            tnp_graph_contract(g, steps[2 * t], steps[2 * t + 1], &made, &macs);
        if (status) return status;
        if (g->size[made] <= limit) continue;
        for (int32_t k = 0; k < g->rank[made]; k++) o->chosen[g->legs[made][k].index] = 1;
    }
    return tnp_graph_reset(g);
}

/* log2 size of the chosen indices of a tensor. */
static double chosen_size(const tnp_outline *o, const tnp_graph *g, int32_t t)
{
    double size = 0.0;
    for (int32_t k = 0; k < g->rank[t]; k++) {
        int32_t i = g->legs[t][k].index;
        if (o->chosen[i]) size += g->net->weight[i];
    }
    return size;
}

/* The same for the indices that a and b share. */
static double chosen_shared(const tnp_outline *o, const tnp_graph *g, int32_t a, int32_t b)
{
    double size = 0.0;
    for (int32_t j = 0, k = 0; j < g->rank[a] && k < g->rank[b];) {
        int32_t x = g->legs[a][j].index, y = g->legs[b][k].index;
        if (x == y && o->chosen[x]) size += g->net->weight[x];
        j += x <= y;
        k += y <= x;
    }
    return size;
}

static tnp_status measure(tnp_outline *o, tnp_graph *g, const int32_t *steps)
{
    int32_t n = g->net->n;
    for (int32_t t = 0; t < n - 1; t++) {
        int32_t a = steps[2 * t], b = steps[2 * t + 1], made;
        double of_union = chosen_size(o, g, a) + chosen_size(o, g, b) - chosen_shared(o, g, a, b);
        double macs;
        tnp_status status = tnp_graph_contract(g, a, b, &made, &macs);
        if (status) return status;
        o->macs[made] = macs - of_union;
        o->size[made] = g->size[made] - chosen_size(o, g, made);
    }
    return TNP_OK;
}

tnp_status tnp_outline_init(tnp_outline *outline, const tnp_net *net, const int32_t *steps,
                            double limit)
{
    memset(outline, 0, sizeof *outline);
    outline->chosen = calloc((size_t)net->n_ix + 1, 1);
    outline->macs = calloc(2 * (size_t)net->n + 1, sizeof *outline->macs);
    outline->size = calloc(2 * (size_t)net->n + 1, sizeof *outline->size);
    tnp_graph graph;
    tnp_status status = tnp_graph_init(&graph, net);
    if (!status && outline->chosen && outline->macs && outline->size) {
        status = choose(outline, &graph, steps, limit);
        if (!status) status = measure(outline, &graph, steps);
    } else if (!status) {
        status = TNP_NO_MEMORY;
    }
    tnp_graph_free(&graph);
    if (status) tnp_outline_free(outline);
    return status;
}
