/* Parts of a network. */
#ifndef TNP_NET_H
#define TNP_NET_H

#include "planner.h"

/* Number the connected parts: label[t] is the part of tensor t; parts are numbered by their
 * first tensor. */
tnp_status tnp_components(const tnp_net *net, int32_t *label, int32_t *n_parts);

/* The sub-network of some tensors, with indices open that others hold too. `local` maps indices and
 * is all -1 before and after. */
tnp_status tnp_subnet(const tnp_net *net, const int32_t *members, int32_t n, int32_t *local,
                      tnp_net *sub);

#endif
