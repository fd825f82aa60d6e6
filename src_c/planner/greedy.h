/* Greedy search; connected parts are joined last, in order. See greedy.c. */
#ifndef TNP_GREEDY_H
#define TNP_GREEDY_H

#include "graph.h"
#include "num.h"

typedef struct {
    double score;
    int32_t a, b;
} tnp_candidate;

/* The same in a form that is quick to compare; see choice_of. */
typedef struct {
    uint64_t pair, score;
} tnp_choice;

/* What one thread needs for sample after sample. */
typedef struct {
    tnp_graph graph;
    tnp_choice *list;      /* pairs, by owner */
    int64_t used, room;
    int64_t *first;        /* by tensor: where its list starts, in ascending order */
    int32_t *listed;       /* by tensor: how many pairs it owns */
    unsigned char *heaped; /* by tensor: its list is a heap */
    tnp_choice *heap;      /* the best pair of each owner */
    int32_t n_heap;
    int32_t parts;         /* tensors before this have been looked at by any_two */
    const tnp_candidate *pairs; /* the neighbours at the start; score holds log2 result size */
    int64_t n_pairs;
    double *shared;   /* by tensor: log2 size that a contraction with the newest would save */
    int32_t *touched; /* tensors with an entry in `shared` */
    bool plain;       /* no luck, and no power of two can overflow */
    double all_entries; /* log2 size of all indices together */
    double *entries;  /* by tensor, for plain paths: 2^size */
    double alpha;     /* log2 */
    double temperature;
    tnp_rng rng;
} tnp_greedy;

/* The neighbours in `net`, for all threads; free() it. */
tnp_status tnp_greedy_pairs(const tnp_net *net, tnp_candidate **pairs, int64_t *n_pairs);

tnp_status tnp_greedy_init(tnp_greedy *w, const tnp_net *net, const tnp_candidate *pairs,
                           int64_t n_pairs);
void tnp_greedy_free(tnp_greedy *w);

/* One sample: number 0 is the plain greedy path, others draw their parameters from (seed,
 * number). *cost is log2 of what the steps count for, infinity if it was given up for exceeding
 * `bound` or for lack of time. */
tnp_status tnp_greedy_sample(tnp_greedy *w, uint64_t seed, int64_t number, double bound,
                             tnp_control *ctl, bool caller, int32_t *steps, double *cost);

#endif
