/* Ways to improve a contraction tree in place. */
#ifndef TNP_REFINE_H
#define TNP_REFINE_H

#include "tree.h"

enum { TNP_REGION = 8 };                    /* usual leaves of a re-optimised subtree */
#define TNP_REGION_WORK 12.0                /* microseconds it takes, about */
#define TNP_IGNORE 1e-6                     /* share of the total below which steps are left */
#define TNP_TREE_BYTES 256e6                /* larger trees are not refined */

/* Replace connected subtrees of up to `k` leaves by optimal ones until none can be improved or
 * `budget` subtrees were solved; *solved counts them. Steps that cost less than `floor` times the
 * whole are left alone. */
tnp_status tnp_reoptimise(tnp_tree *tree, int32_t k, double floor, int64_t budget,
                          tnp_control *ctl, bool caller, int64_t *solved);

/* Simulated annealing by exchanging a subtree with its aunt, from temperature `hot` to `cold`
 * over `moves` proposals. */
typedef struct {
    double hot, cold; /* temperature, in units of log2 of the cost ratio */
    int64_t moves;
    uint64_t seed, stream;
    double limit;   /* log2 entries beyond which a result makes its step dearer, or infinity */
    double penalty; /* log2 of how much, per bit */
    /* If not NULL: called between batches of proposals with the temperature, may change index sets
     * and recount, and keeps the best tree itself. */
    tnp_status (*between)(void *arg, double temperature);
    void *arg;
} tnp_anneal_options;

tnp_status tnp_anneal(tnp_tree *tree, const tnp_anneal_options *opt, tnp_control *ctl,
                      bool caller);

/* Let a scalar network's last step be one with half of the cost on either side of it, where results
 * are small and the cost stays what it is. */
tnp_status tnp_balance(const tnp_net *net, int32_t *steps);

/* Microseconds that a proposal takes on trees of the network, about. */
double tnp_move_work(const tnp_net *net);

#endif
