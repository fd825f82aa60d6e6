/* Trees from elimination orders; see eliminate.c. */
#ifndef TNP_ELIMINATE_H
#define TNP_ELIMINATE_H

#include "planner.h"

enum { TNP_ELIMINATE_MAX = 8192 }; /* indices: more would need too much memory */

/* One sample on a connected network: even numbers go by fill, odd ones by size; the first two are
 * plain, later ones draw noise from (seed, number). *cost is log2 of the multiply-adds, infinity if
 * it was given up for taking more than `budget` (rough) microseconds, or, unless `needed`, for lack
 * of time; *work tells how many microseconds it took. */
tnp_status tnp_eliminate(const tnp_net *net, uint64_t seed, int64_t number, double budget,
                         tnp_control *ctl, bool caller, bool needed, int32_t *steps,
                         double *cost, double *work);

#endif
