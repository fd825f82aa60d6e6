/* Loop nests without packing: small and skinny products, batches of tiny ones, dot, gemv, outer,
 * elementwise products, and with b absent (unary) copies, sums, traces and permutations.
 *
 * The axes are [outer ..., inner, k ...] when the innermost loop runs over an axis of c, and
 * [outer ..., k ..., inner] when it runs over a summed axis.  A box selects a range of outer
 * points (batch0 .. batch1) and of the inner axis (n0 .. n1). */

#define SPAN (4 * VL / PARTS) /* elements whose sums stay in registers */

enum { FN(K_TABLE) = 256 };

/* c[j] (+)= sum_k a[k][j] b[k][j] for `count` elements at unit stride; a_moves is 0 when a is one
 * number for all j. */
ALWAYS_INLINE void FN(span)(const int count, const int unary, const int a_moves, const char *a,
                            const char *b, char *c, const int64_t *a_ks, const int64_t *b_ks,
                            int64_t ks, int accumulate) {
    T sum[SPAN];
    for (int j = 0; j < count; j++) sum[j] = (T){0};
    for (int64_t p = 0; p < ks; p++) {
        const char *x = a + a_ks[p], *y = b + b_ks[p];
        const T fixed = FN(load)(x);
        for (int j = 0; j < count; j++) {
            const size_t at = (size_t)j * sizeof(T);
            const T left = a_moves ? FN(load)(x + at) : fixed;
            sum[j] = unary ? FN(plus)(sum[j], left) : FN(muladd)(sum[j], left, FN(load)(y + at));
        }
    }
    for (int j = 0; j < count; j++) {
        char *to = c + (size_t)j * sizeof(T);
        FN(store)(to, accumulate ? FN(plus)(FN(load)(to), sum[j]) : sum[j]);
    }
}

/* The inner axis of c from n0 to n1, whatever the strides. */
ALWAYS_INLINE void FN(inner)(const int unary, const int a_moves, const tn_dim *inner,
                             const char *a, const char *b, char *c, const int64_t *a_ks,
                             const int64_t *b_ks, int64_t ks, int64_t n0, int64_t n1,
                             int accumulate) {
    const int64_t unit = sizeof(T), sa = inner->sa, sb = inner->sb, sc = inner->sc;
    int64_t j = n0;
    if (sc == unit && (unary || sb == unit) && (!a_moves || sa == unit)) {
        for (; j + SPAN <= n1; j += SPAN)
            FN(span)(SPAN, unary, a_moves, a + j * sa, b + j * sb, c + j * sc, a_ks, b_ks, ks,
                     accumulate);
        for (; j + SPAN / 4 <= n1; j += SPAN / 4)
            FN(span)(SPAN / 4, unary, a_moves, a + j * sa, b + j * sb, c + j * sc, a_ks, b_ks, ks,
                     accumulate);
    }
    for (; j < n1; j++) {
        const char *x = a + j * sa, *y = b + j * sb;
        char *to = c + j * sc;
        T sum = {0};
        for (int64_t p = 0; p < ks; p++) {
            const T left = FN(load)(x + a_ks[p]);
            sum = unary ? FN(plus)(sum, left) : FN(muladd)(sum, left, FN(load)(y + b_ks[p]));
        }
        FN(store)(to, accumulate ? FN(plus)(FN(load)(to), sum) : sum);
    }
}

/* Nest over [outer ..., inner, k ...]. */
ALWAYS_INLINE void FN(nest_output)(const int unary, const int a_moves, const tn_contraction *x,
                                   const char *a, const char *b, char *c, const tn_box *box) {
    const int n_outer = x->n_batch + x->n_m + x->n_n - 1;
    const tn_dim *inner = x->dims + n_outer, *dims_k = inner + 1;
    int64_t a_ks[FN(K_TABLE)], b_ks[FN(K_TABLE)];
    int64_t extents[TN_MAX_DIMS];
    tn_boxes boxes;
    cut_boxes(&boxes, dims_k, x->n_k, ON_A, ON_B, sizeof(T), 1, FN(K_TABLE));
    for (int64_t k = 0; k < boxes.count; k++) {
        const int64_t ks = fill_box(&boxes, k, ON_A, ON_B, a_ks, b_ks, extents);
        tn_walk outer;
        walk_to(&outer, x->dims, n_outer, box->batch0);
        for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&outer))
            FN(inner)(unary, a_moves, inner, a + outer.a, b + outer.b, c + outer.c, a_ks, b_ks, ks,
                      box->n0, box->n1, x->accumulate || k > 0);
    }
}

/* Sum over j of a[j] b[j]; SPAN partial sums, added in a fixed order. */
ALWAYS_INLINE T FN(dot)(const int unary, const tn_dim *inner, const char *a, const char *b) {
    const int64_t n = inner->n, unit = sizeof(T), sa = inner->sa, sb = inner->sb;
    T total = {0};
    int64_t j = 0;
    if (sa == unit && (unary || sb == unit) && n >= SPAN) {
        T sum[SPAN];
        for (int i = 0; i < SPAN; i++) sum[i] = (T){0};
        for (; j + SPAN <= n; j += SPAN)
            for (int i = 0; i < SPAN; i++) {
                const int64_t at = (j + i) * unit;
                const T left = FN(load)(a + at);
                sum[i] = unary ? FN(plus)(sum[i], left)
                               : FN(muladd)(sum[i], left, FN(load)(b + at));
            }
        for (int i = 0; i < SPAN; i++) total = FN(plus)(total, sum[i]);
    }
    for (; j < n; j++) {
        const T left = FN(load)(a + j * sa);
        total = unary ? FN(plus)(total, left) : FN(muladd)(total, left, FN(load)(b + j * sb));
    }
    return total;
}

/* Nest over [outer ..., k ..., inner k]. */
ALWAYS_INLINE void FN(nest_sum)(const int unary, const tn_contraction *x, const char *a,
                                const char *b, char *c, const tn_box *box) {
    const int n_outer = x->n_batch + x->n_m + x->n_n, n_k = x->n_k - 1;
    const tn_dim *dims_k = x->dims + n_outer, *inner = dims_k + n_k;
    const int64_t ks = x->k / inner->n;
    tn_walk outer, k;
    walk_to(&outer, x->dims, n_outer, box->batch0);
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&outer)) {
        const char *at = a + outer.a, *bt = b + outer.b;
        T sum = {0};
        walk_to(&k, dims_k, n_k, 0);
        for (int64_t p = 0; p < ks; p++, walk_next(&k))
            sum = FN(plus)(sum, FN(dot)(unary, inner, at + k.a, bt + k.b));
        char *to = c + outer.c;
        FN(store)(to, x->accumulate ? FN(plus)(FN(load)(to), sum) : sum);
    }
}

static void FN(nest)(const tn_contraction *x, const char *a, const char *b, char *c,
                     const tn_box *box) {
    if (x->road == TN_ROAD_K)
        FN(nest_sum)(0, x, a, b, c, box);
    else if (x->road == TN_ROAD_BATCH)
        FN(nest_output)(0, 1, x, a, b, c, box);
    else
        FN(nest_output)(0, 0, x, a, b, c, box);
}

static void FN(unary)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    if (x->road == TN_ROAD_TRANSPOSE)
        FN(transpose)(x, a, c, box);
    else if (x->road == TN_ROAD_K)
        FN(nest_sum)(1, x, a, a, c, box);
    else
        FN(nest_output)(1, 1, x, a, a, c, box);
}

/* Tiny contractions: a walk over tables made when the program was compiled. */
ALWAYS_INLINE void FN(table_points)(const int unary, const tn_contraction *x, const char *a,
                                    const char *b, char *c) {
    const int64_t points = x->batch * x->m * x->n, ks = x->k;
    const int32_t *at = x->table, *summed = x->table + 3 * points;
    for (int64_t t = 0; t < points; t++, at += 3) {
        const char *left = a + at[0], *right = b + at[1];
        T sum = {0};
        for (int64_t p = 0; p < ks; p++) {
            const T value = FN(load)(left + summed[2 * p]);
            sum = unary ? FN(plus)(sum, value)
                        : FN(muladd)(sum, value, FN(load)(right + summed[2 * p + 1]));
        }
        char *to = c + at[2];
        FN(store)(to, x->accumulate ? FN(plus)(FN(load)(to), sum) : sum);
    }
}

static void FN(table)(const tn_contraction *x, const char *a, const char *b, char *c) {
    if (x->unary)
        FN(table_points)(1, x, a, a, c);
    else
        FN(table_points)(0, x, a, b, c);
}

#undef SPAN
