/* Shrink a network before searching; see simplify.c. */
#ifndef TNP_SIMPLIFY_H
#define TNP_SIMPLIFY_H

#include "planner.h"

/* `steps` receives the contractions made (SSA numbers of `net`), *n_steps their number. The
 * rest is `small`; small tensor t is `net`'s SSA tensor origin[t] (room for net->n). */
tnp_status tnp_simplify(const tnp_net *net, tnp_control *ctl, int32_t *steps, int32_t *n_steps,
                        tnp_net *small, int32_t *origin);

#endif
