/* Exact search over all contraction trees of a few tensors; see dp.c. */
#ifndef TNP_DP_H
#define TNP_DP_H

#include "planner.h"

/* The tensors of a small problem, as the sets of them that share indices. */
typedef struct {
    int32_t k;       /* tensors */
    double *inner;   /* 2^k: log2 size of the closed indices whose holders lie within the set */
    double *touch;   /* 2^k: log2 size of the indices on any tensor of the set */
    double *cost;    /* 2^k */
    double *summed;  /* 2^k: 2^-inner */
    tnp_objective objective;
    double cap;      /* sets that cost more are not looked into; in units, infinity: none */
    bool outer;      /* splits whose halves share no index are looked at too */
    uint32_t *split; /* 2^k: one half of the best split */
} tnp_dp;

tnp_status tnp_dp_init(tnp_dp *dp, int32_t max_tensors);
void tnp_dp_free(tnp_dp *dp);

/* Begin a problem of k tensors; then add each index once; then solve. */
void tnp_dp_begin(tnp_dp *dp, int32_t k, const tnp_objective *objective);
static inline void tnp_dp_index(tnp_dp *dp, uint32_t holders, bool open, double weight)
{
    dp->touch[holders] += weight;
    if (!open) dp->inner[holders] += weight;
}

/* The least cost, in units of 2^unit, of the steps and of reading the tensors; `split` then tells
 * the tree. */
tnp_status tnp_dp_solve(tnp_dp *dp, double unit, tnp_control *ctl, bool caller, double *cost);

#endif
