/* Cut a hypergraph into two balanced halves by multilevel refinement; see cut.c. */
#ifndef TNP_CUT_H
#define TNP_CUT_H

#include "num.h"
#include "planner.h"

/* Vertices with weights, edges with weights; both lists of incidences are kept. */
typedef struct {
    int32_t n, n_edges;
    int32_t *v_start, *v_edge; /* edges of vertex v: v_edge[v_start[v] .. v_start[v+1]) */
    int32_t *e_start, *e_pin;  /* vertices of edge e */
    int32_t *v_weight;
    double *e_weight;
    int32_t *coarse;           /* by vertex: its vertex in the next coarser hypergraph */
} tnp_hyper;

void tnp_hyper_free(tnp_hyper *h);

/* Allocate for these counts; starts and contents are the caller's to fill. */
tnp_status tnp_hyper_alloc(tnp_hyper *h, int32_t n, int32_t n_edges, int32_t pins);

/* Fill the lists by vertex from the lists by edge. */
void tnp_hyper_transpose(tnp_hyper *h);

/* side[v] becomes 0 or 1, such that neither half weighs more than (1 + slack) / 2 of the whole,
 * except where a single vertex does, and little edge weight has pins on both. */
tnp_status tnp_cut(tnp_hyper *h, double slack, tnp_rng *rng, tnp_control *ctl, bool caller,
                   unsigned char *side);

#endif
