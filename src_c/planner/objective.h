/* What a step of a tree counts for: the one formula that every search minimises the sum of.
 *
 * It covers multiply-adds, memory written, sums of both, the largest result (by a high power of
 * all), and time: with extents m, n and k, 2^all / m is 2^right and so on, so that what a skinny
 * shape costs more per multiply-add is, like memory traffic, so much per entry of the operands.
 */
#ifndef TNP_OBJECTIVE_H
#define TNP_OBJECTIVE_H

#include "num.h"
#include "planner.h"

static inline bool tnp_only_macs(const tnp_objective *o)
{
    return o->out == 0.0 && o->in == 0.0 && o->step == 0.0;
}

/* log2 of what a step counts for. */
static inline double tnp_step_log2(const tnp_objective *o, double all, double size, double left,
                                   double right)
{
    if (tnp_only_macs(o)) return all;
    double cost = all + tnp_log2(o->macs); /* -infinity for a weight of zero */
    cost = tnp_add2(cost, o->power * size + tnp_log2(o->out));
    cost = tnp_add2(cost, tnp_add2(left, right) + tnp_log2(o->in));
    return tnp_add2(cost, tnp_log2(o->step));
}

/* What the result of a step counts for besides, as a result and as an operand later on. */
static inline double tnp_result_cost(const tnp_objective *o, double size, double unit, bool read)
{
    double cost = 0.0;
    if (o->out > 0.0) cost += o->out * tnp_exp2(o->power * size - unit);
    if (o->in > 0.0 && read) cost += o->in * tnp_exp2(size - unit);
    return o->step > 0.0 ? cost + o->step * tnp_exp2(-unit) : cost;
}

#endif
