/* Planning the rows of products along lanes. */
#include "lane_plan.h"

#include <math.h>

enum { MANY = 64 }; /* rows of c that are written where they lie, too many to be in the cache */

/* An axis of an operand beside the lanes: on the operand, and in steps of rows that wait. */
typedef struct {
    int64_t n, stride, row;
} side;

/* Adds the axes of one group, whose points are `row` rows apart. */
static int add_sides(side *to, int n, const tn_dim *dims, int n_dims, tn_operand operand, int64_t row) {
    for (int d = n_dims - 1; d >= 0; d--) {
        if (dims[d].n == 1) continue;
        const int64_t stride = operand == ON_A   ? dims[d].sa
                               : operand == ON_B ? dims[d].sb
                                                 : dims[d].sc;
        to[n++] = (side){dims[d].n, stride, row};
        row *= dims[d].n;
    }
    return n;
}

/* Offsets of the points of one group, where they are multiplied. */
static void list_group(int64_t *to, const tn_dim *dims, int n_dims, tn_operand operand, int64_t row,
                       int moved, int64_t row_bytes) {
    side sides[TN_MAX_DIMS];
    const int n = add_sides(sides, 0, dims, n_dims, operand, row);
    int64_t count = 1;
    to[0] = 0;
    for (int i = 0; i < n; i++) {
        const int64_t by = moved ? sides[i].row * row_bytes : sides[i].stride;
        for (int64_t e = 1; e < sides[i].n; e++)
            for (int64_t p = 0; p < count; p++) to[e * count + p] = to[p] + e * by;
        count *= sides[i].n;
    }
}

/* The rows of an operand with two groups, of which the second has `inner` points. */
static void list_rows(tn_lane_rows *to, const tn_dim *outer, int n_outer, const tn_dim *inner_dims,
                      int n_inner, int64_t inner, tn_operand operand, int64_t size,
                      int64_t row_bytes) {
    side sides[2 * TN_MAX_DIMS];
    tn_move strides[TN_LANE_ROWS];
    int64_t extents[TN_LANE_ROWS];
    int n = add_sides(sides, 0, inner_dims, n_inner, operand, 1);
    n = add_sides(sides, n, outer, n_outer, operand, inner);
    for (int i = 0; i < n; i++) {
        strides[i] = (tn_move){sides[i].stride, sides[i].row * row_bytes};
        extents[i] = sides[i].n;
    }
    to->count = tn_expand(to->rows, strides, extents, n, 0);
    for (int64_t i = to->count - 1; i >= 0; i--) {
        to->rows[i].to += to->start;
        const int next = i + 1 < to->count && to->rows[i + 1].from == to->rows[i].from + size;
        to->run[i] = next ? to->run[i + 1] + 1 : 1;
    }
}

static int64_t row_length(int64_t rows, int64_t size, int64_t unit, int64_t n) {
    int64_t lanes = rows ? TN_LANE_BYTES / (rows * size) : TN_LANES;
    const int64_t all = (n + unit - 1) / unit * unit;
    if (lanes > TN_LANES) lanes = TN_LANES;
    return lanes > all ? all : lanes / unit * unit;
}

/* Where both operands are the same for all lanes, b is repeated. */
static int b_moves(const tn_dim *lane, int64_t size) {
    return lane->sb != size && (lane->sb || !lane->sa);
}

double tn_cost_in_lanes(const tn_contraction *x, const tn_dim *lane, const double sizes[3]) {
    const int64_t size = tn_itemsize(x->dtype);
    const double lanes = tn_get_kernels(x->dtype)->lanes, m = sizes[0], n = sizes[1], k = sizes[2];
    const int is_complex = tn_real_count(x->dtype) > 1;
    double moved = 0;
    if (lane->sa && lane->sa != size) moved += m * k;
    if (b_moves(lane, size)) moved += k * n;
    if (lane->sc != size) moved += m * n;
    if (m * k > TN_LANE_ROWS || k * n > TN_LANE_ROWS || m * n > TN_LANE_ROWS ||
        (m * k + k * n + m * n) * TN_ALIGN > TN_LANE_BYTES ||
        (moved == 0 && (k == 1 || m * n > MANY)))
        return HUGE_VAL;
    const int in_squares = x->dtype == TN_F32 || x->dtype == TN_F64 || x->dtype == TN_C64;
    const double move = in_squares ? 0.6 : size == 1 || size == 16 ? 1.6 : 1.1;
    const double length = (double)row_length((int64_t)moved, size, TN_ALIGN / size, lane->n);
    return moved * move + m * n * k * (is_complex ? 3 : 2) / lanes +
           (moved * 6 + m * n * 20 + 60) / length;
}

void tn_plan_lanes(const tn_contraction *x, tn_lanes *t) {
    const int64_t size = tn_itemsize(x->dtype), unit = TN_ALIGN / size;
    const tn_dim *lane = &x->dims[x->n_batch - 1], *m = lane + 1, *n = m + x->n_m, *k = n + x->n_n;
    const int64_t on_a = x->m * x->k, on_b = x->k * x->n, on_c = x->m * x->n;
    t->a.moved = lane->sa != 0 && lane->sa != size;
    t->b.moved = b_moves(lane, size);
    t->c.moved = lane->sc != size;
    const int64_t rows = on_a * t->a.moved + on_b * t->b.moved + on_c * t->c.moved;
    t->lanes = row_length(rows, size, unit, lane->n);
    t->blocks = (lane->n + t->lanes - 1) / t->lanes;
    t->whole = (t->a.moved || !lane->sa) && (t->b.moved || !lane->sb) && t->c.moved;
    const int64_t bytes = t->lanes * size;
    t->a.start = 0;
    t->b.start = t->a.moved ? on_a * bytes : 0;
    t->c.start = t->b.start + (t->b.moved ? on_b * bytes : 0);
    if (t->a.moved) list_rows(&t->a, m, x->n_m, k, x->n_k, x->k, ON_A, size, bytes);
    if (t->b.moved) list_rows(&t->b, n, x->n_n, k, x->n_k, x->k, ON_B, size, bytes);
    if (t->c.moved) list_rows(&t->c, m, x->n_m, n, x->n_n, x->n, ON_C, size, bytes);
    list_group(t->a_m, m, x->n_m, ON_A, x->k, t->a.moved, bytes);
    list_group(t->a_k, k, x->n_k, ON_A, 1, t->a.moved, bytes);
    list_group(t->b_n, n, x->n_n, ON_B, x->k, t->b.moved, bytes);
    list_group(t->b_k, k, x->n_k, ON_B, 1, t->b.moved, bytes);
    list_group(t->c_m, m, x->n_m, ON_C, x->n, t->c.moved, bytes);
    list_group(t->c_n, n, x->n_n, ON_C, 1, t->c.moved, bytes);
}
