/* Walking the points of a loop nest, and the byte offsets of many points at once. */
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

/* Offsets of consecutive points of one group on two operands.  The innermost axes are tabulated,
 * so that networks of 2s do not pay an odometer per element. */
enum { SCATTER_TABLE = 32 };

typedef struct {
    const tn_dim *dims;
    int n_outer;
    int64_t inner; /* points in the table */
    int64_t first[SCATTER_TABLE], second[SCATTER_TABLE];
} tn_scatter;

typedef enum { OPERANDS_AC, OPERANDS_BC, OPERANDS_AB } tn_operands;

static inline void pick(tn_operands which, int64_t a, int64_t b, int64_t c, int64_t *first,
                        int64_t *second) {
    *first = which == OPERANDS_BC ? b : a;
    *second = which == OPERANDS_AB ? b : c;
}

static inline void scatter_init(tn_scatter *s, const tn_dim *dims, int n_dims, tn_operands which) {
    s->dims = dims;
    s->inner = 1;
    s->first[0] = s->second[0] = 0;
    int d = n_dims;
    while (d > 0 && s->inner * dims[d - 1].n <= SCATTER_TABLE) {
        d--;
        int64_t one, two;
        pick(which, dims[d].sa, dims[d].sb, dims[d].sc, &one, &two);
        for (int64_t i = 1; i < dims[d].n; i++)
            for (int64_t t = 0; t < s->inner; t++) {
                s->first[i * s->inner + t] = s->first[t] + i * one;
                s->second[i * s->inner + t] = s->second[t] + i * two;
            }
        s->inner *= dims[d].n;
    }
    s->n_outer = d;
}

/* Writes the offsets of points start .. start + count to first[] and second[]. */
static inline void scatter_fill(const tn_scatter *s, tn_operands which, int64_t start,
                                int64_t count, int64_t *first, int64_t *second) {
    const int64_t inner = s->inner;
    int64_t outer = start / inner, t = start % inner;
    if (s->n_outer > 0 && inner == 1) { /* one long innermost axis: an arithmetic run at a time */
        int d = s->n_outer - 1;
        int64_t n = s->dims[d].n, i = start % n, one, two, x, y;
        tn_walk w;
        walk_to(&w, s->dims, d, start / n);
        pick(which, s->dims[d].sa, s->dims[d].sb, s->dims[d].sc, &one, &two);
        while (count > 0) {
            int64_t run = n - i < count ? n - i : count;
            pick(which, w.a, w.b, w.c, &x, &y);
            for (int64_t r = 0; r < run; r++) {
                first[r] = x + (i + r) * one;
                second[r] = y + (i + r) * two;
            }
            first += run, second += run, count -= run, i = 0;
            walk_next(&w);
        }
        return;
    }
    tn_walk w;
    walk_to(&w, s->dims, s->n_outer, outer);
    while (count > 0) {
        int64_t run = inner - t < count ? inner - t : count, x, y;
        pick(which, w.a, w.b, w.c, &x, &y);
        for (int64_t r = 0; r < run; r++) {
            first[r] = x + s->first[t + r];
            second[r] = y + s->second[t + r];
        }
        first += run, second += run, count -= run, t = 0;
        walk_next(&w);
    }
}

#endif
