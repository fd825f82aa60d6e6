/* Walking the points of a loop nest. */
#ifndef TN_WALK_H
#define TN_WALK_H

#include "../tn.h"

/* A position in a nest, innermost axis last, and its byte offset on each operand. */
typedef struct {
    const tn_dim *dims;
    int n_dims;
    int64_t at[TN_MAX_DIMS];
    int64_t a, b, c;
} tn_walk;

static inline void walk_to(tn_walk *w, const tn_dim *dims, int n_dims, int64_t point) {
    w->dims = dims;
    w->n_dims = n_dims;
    w->a = w->b = w->c = 0;
    for (int d = n_dims - 1; d >= 0; d--) {
        int64_t i = point ? point % dims[d].n : 0;
        if (point) point /= dims[d].n;
        w->at[d] = i;
        w->a += i * dims[d].sa;
        w->b += i * dims[d].sb;
        w->c += i * dims[d].sc;
    }
}

static inline void walk_next(tn_walk *w) {
    for (int d = w->n_dims - 1; d >= 0; d--) {
        const tn_dim *x = &w->dims[d];
        w->a += x->sa;
        w->b += x->sb;
        w->c += x->sc;
        if (++w->at[d] < x->n) return;
        w->a -= x->n * x->sa;
        w->b -= x->n * x->sb;
        w->c -= x->n * x->sc;
        w->at[d] = 0;
    }
}

#endif
