/* Many small products at once: a vector holds the same element of as many of them, side by side along
 * one long axis.  Operands without unit stride along it are gathered into rows that have it, and results
 * scattered, in squares where elements are neighbours along another axis. */

#define E (VL / PARTS)

static void FN(gather_lanes)(const tn_lane_rows *x, const char *from, int64_t stride, int64_t count,
                             char *to) {
    const int64_t unit = sizeof(T);
    for (int64_t r = 0; r < x->count;) {
        const char *at = from + x->rows[r].from;
        int64_t l = 0;
#if FLOATING
        if (S > 1 && x->run[r] >= S) {
            for (; l + S <= count; l += S) {
                Q square[S];
#pragma GCC unroll 16
                for (int i = 0; i < S; i++) square[i] = *(const QU *)(at + (l + i) * stride);
                FN(flip_square)(square);
#pragma GCC unroll 16
                for (int i = 0; i < S; i++) *(QU *)(to + x->rows[r + i].to + l * unit) = square[i];
            }
            for (; l < count; l++)
                for (int i = 0; i < S; i++)
                    memcpy(to + x->rows[r + i].to + l * unit, at + l * stride + i * unit, sizeof(T));
            r += S;
            continue;
        }
#endif
        char *row = to + x->rows[r++].to;
#pragma GCC unroll 4
        for (; l < count; l++) memcpy(row + l * unit, at + l * stride, sizeof(T));
    }
}

static void FN(scatter_lanes)(const tn_lane_rows *x, const char *from, char *to, int64_t stride,
                              int64_t count) {
    const int64_t unit = sizeof(T);
    for (int64_t r = 0; r < x->count;) {
        char *at = to + x->rows[r].from;
        int64_t l = 0;
#if FLOATING
        if (S > 1 && x->run[r] >= S) {
            for (; l + S <= count; l += S) {
                Q square[S];
#pragma GCC unroll 16
                for (int i = 0; i < S; i++)
                    square[i] = *(const QU *)(from + x->rows[r + i].to + l * unit);
                FN(flip_square)(square);
#pragma GCC unroll 16
                for (int i = 0; i < S; i++) *(QU *)(at + (l + i) * stride) = square[i];
            }
            for (; l < count; l++)
                for (int i = 0; i < S; i++)
                    memcpy(at + l * stride + i * unit, from + x->rows[r + i].to + l * unit,
                           sizeof(T));
            r += S;
            continue;
        }
#endif
        const char *row = from + x->rows[r++].to;
#pragma GCC unroll 4
        for (; l < count; l++) memcpy(at + l * stride, row + l * unit, sizeof(T));
    }
}

/* One block of lanes, all of whose rows have unit stride or are one element for all lanes. */
static void FN(multiply_lanes)(const tn_contraction *x, const tn_lanes *t, const char *a,
                               const char *b, char *c, int64_t count) {
    const tn_dim *lane = &x->dims[x->n_batch - 1];
    const int64_t unit = sizeof(T);
    const tn_dim both = {count, unit, unit, unit}, one = {count, 0, unit, unit};
    if (t->whole) count = (count + E - 1) / E * E;
    for (int64_t m = 0; m < x->m; m++)
        for (int64_t n = 0; n < x->n; n++) {
            const char *left = a + t->a_m[m], *right = b + t->b_n[n];
            char *to = c + t->c_m[m] + t->c_n[n];
            if (lane->sa && lane->sb)
                FN(inner)(0, 1, &both, left, right, to, t->a_k, t->b_k, x->k, 0, count,
                          x->accumulate);
            else if (lane->sa)
                FN(inner)(0, 0, &one, right, left, to, t->b_k, t->a_k, x->k, 0, count,
                          x->accumulate);
            else
                FN(inner)(0, 0, &one, left, right, to, t->a_k, t->b_k, x->k, 0, count,
                          x->accumulate);
        }
}

/* A box is a range of blocks of lanes, those of one outer point after those of another. */
static void FN(in_lanes)(const tn_contraction *x, const tn_lanes *t, const char *a, const char *b,
                      char *c, const tn_box *box) {
    _Alignas(64) char rows[TN_LANE_BYTES];
    const tn_dim *lane = &x->dims[x->n_batch - 1];
    tn_walk outer;
    walk_to(&outer, x->dims, x->n_batch - 1, box->batch0 / t->blocks);
    int64_t block = box->batch0 % t->blocks;
    for (int64_t i = box->batch0; i < box->batch1; i++) {
        const int64_t first = block * t->lanes, count = MIN(t->lanes, lane->n - first);
        const char *left = a + outer.a + first * lane->sa, *right = b + outer.b + first * lane->sb;
        char *to = c + outer.c + first * lane->sc;
        if (t->a.moved) FN(gather_lanes)(&t->a, left, lane->sa, count, rows);
        if (t->b.moved) FN(gather_lanes)(&t->b, right, lane->sb, count, rows);
        if (t->c.moved && x->accumulate) FN(gather_lanes)(&t->c, to, lane->sc, count, rows);
        FN(multiply_lanes)(x, t, t->a.moved ? rows + t->a.start : left,
                           t->b.moved ? rows + t->b.start : right,
                           t->c.moved ? rows + t->c.start : to, count);
        if (t->c.moved) FN(scatter_lanes)(&t->c, rows, to, lane->sc, count);
        if (++block == t->blocks) block = 0, walk_next(&outer);
    }
}

#undef E
