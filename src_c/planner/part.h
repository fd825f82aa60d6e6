/* Plan one connected network; see part.c. */
#ifndef TNP_PART_H
#define TNP_PART_H

#include "planner.h"

/* Steps for a connected network of at least two tensors. `last`: there is a tree of everything
 * else, so that with one of this part the search can be ended at any time. */
tnp_status tnp_plan_part(const tnp_net *net, const tnp_options *opt, tnp_control *ctl, bool last,
                         int32_t *steps);

/* Improve the steps of a network, connected or not, for as long as there is time or budget. */
tnp_status tnp_plan_further(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                            int32_t *steps);

/* Microseconds of search that a contraction costing 2^cost is worth, `least` even if it costs
 * nothing. */
double tnp_allowance(const tnp_net *net, double cost, double least);

#endif
