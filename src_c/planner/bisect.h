/* Contraction trees from balanced cuts; see bisect.c. */
#ifndef TNP_BISECT_H
#define TNP_BISECT_H

#include "planner.h"

/* One sample on a network: the balance of its cuts, and all of its luck, are drawn from (seed,
 * number). *cost is log2 of what its steps count for, infinity if the time was up; a
 * `needed` sample is finished whatever the time. */
tnp_status tnp_bisect(const tnp_net *net, uint64_t seed, int64_t number, tnp_control *ctl,
                      bool caller, bool needed, int32_t *steps, double *cost);

/* Microseconds that a sample takes, about. */
double tnp_bisect_work(const tnp_net *net);

#endif
