/* Plan one connected network; see part.c. */
#ifndef TNP_PART_H
#define TNP_PART_H

#include "planner.h"

/* Steps for a connected network of at least two tensors. */
tnp_status tnp_plan_part(const tnp_net *net, const tnp_options *opt, tnp_control *ctl,
                         int32_t *steps);

/* Microseconds of search that a contraction of 2^cost multiply-adds is worth, `least` even if it
 * costs nothing. */
double tnp_allowance(double cost, double least);

#endif
