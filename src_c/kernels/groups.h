/* The axes of a contraction in groups: batch, m, n, k. */
#ifndef TN_GROUPS_H
#define TN_GROUPS_H

#include "../tn.h"

#include <string.h>

static inline int64_t group_size(const tn_dim *d, int n) {
    int64_t size = 1;
    for (int i = 0; i < n; i++) size *= d[i].n;
    return size;
}

/* Brings the groups, given as (dims, count) in order batch, m, n, k, back into one array. */
static inline void pack_groups(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                               const int count[4]) {
    for (int g = 0; g < 4; g++)
        for (int i = 0; i < count[g]; i++) *dims++ = group[g][i];
    x->n_batch = (uint8_t)count[0];
    x->n_m = (uint8_t)count[1];
    x->n_n = (uint8_t)count[2];
    x->n_k = (uint8_t)count[3];
    x->batch = group_size(group[0], count[0]);
    x->m = group_size(group[1], count[1]);
    x->n = group_size(group[2], count[2]);
    x->k = group_size(group[3], count[3]);
}

/* tiles.c: a copy of the axes of `group` into another order; 0 if it does not go by tiles. */
int tn_cut_copy(tn_contraction *x, tn_dim *dims, const tn_dim *group, int count);

#endif
