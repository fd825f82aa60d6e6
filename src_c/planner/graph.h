/* A network that is being contracted: tensors know their indices, indices know their tensors,
 * and both sides know each other's places, so one contraction costs O(legs) however many
 * tensors hold an index. Shared by simplification and greedy search. */
#ifndef TNP_GRAPH_H
#define TNP_GRAPH_H

#include <stddef.h>

#include "planner.h"

typedef struct {
    int32_t index;
    int32_t place; /* where the index keeps this tensor */
} tnp_leg;

typedef struct {
    int32_t tensor;
    int32_t slot; /* where the tensor keeps this index */
} tnp_holder;

enum { TNP_POOL_CLASSES = 32 };

/* Blocks of legs in power-of-two sizes, carved from chunks and reused. */
typedef struct {
    void *chunks;
    char *at;
    size_t left;
    void *spare[TNP_POOL_CLASSES];
} tnp_pool;

typedef struct {
    const tnp_net *net;
    int32_t n_ids;       /* tensors made so far, dead ones included */
    int32_t alive;       /* tensors still to be contracted */
    tnp_leg **legs;      /* 2n - 1, ascending by index */
    int32_t *rank;       /* 2n - 1, -1 once contracted */
    double *size;        /* 2n - 1: log2 of the entries */
    tnp_holder *holders; /* by index, from first[i], held[i] of them */
    int64_t *first;
    int32_t *held;
    tnp_pool pool;
} tnp_graph;

tnp_status tnp_graph_init(tnp_graph *g, const tnp_net *net);
void tnp_graph_free(tnp_graph *g);

/* Back to the network as it was given. */
tnp_status tnp_graph_reset(tnp_graph *g);

/* Contract a and b into the new tensor *made; *cost is log2 of what the step counts for. */
tnp_status tnp_graph_contract(tnp_graph *g, int32_t a, int32_t b, int32_t *made, double *cost);

/* log2 size of the result of contracting a and b. */
double tnp_graph_result_size(const tnp_graph *g, int32_t a, int32_t b);

/* log2 of what the steps of a tree count for, and of its largest result. */
tnp_status tnp_price(const tnp_net *net, const int32_t *steps, double *cost, double *width);

#endif
