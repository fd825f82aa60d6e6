/* Loop nests without packing: small and skinny products, batches of tiny ones, dot, gemv, outer,
 * elementwise products, and with b absent (unary) copies, sums, traces and permutations.
 *
 * The axes are [outer ..., inner, k ...] when the innermost loop runs over an axis of c, and
 * [outer ..., k ..., inner] when it runs over a summed axis.  A box selects a range of outer
 * points (batch0 .. batch1) and of the inner axis (n0 .. n1). */

#define E (VL / PARTS)
enum { FN(SPAN) = 4 };   /* vectors whose sums stay in registers */
enum { FN(SHORT) = 16 }; /* vectors of the rows that take longer to begin than to compute */
enum { FN(STREAMED_ROW) = 512, FN(STREAMED_STEPS) = 4 }; /* bytes at least, steps at most, past the caches */

/* From memory, so many long rows are read at a time; from the cache, as many as there are. */
enum { FN(K_TABLE) = 256, FN(STREAMS_READ) = 8, FN(NEAR) = 16 << 10 };

/* Sums of products, as in the microkernel: for complex elements the products with the real parts of
 * the left factor and those with its imaginary parts, until FN(total) brings them together. */
ALWAYS_INLINE void FN(multiply_add)(V *sum, V left, V right) {
#if COMPLEX
    ACCUMULATE(sum[0], REAL_PARTS(left) * right);
    ACCUMULATE(sum[1], IMAGINARY_PARTS(left) * right);
#else
    ACCUMULATE(sum[0], MULTIPLY(left, right));
#endif
}

ALWAYS_INLINE void FN(multiply_add_scalar)(V *sum, T left, V right) {
#if COMPLEX
    ACCUMULATE(sum[0], left.re * right);
    ACCUMULATE(sum[1], left.im * right);
#else
    ACCUMULATE(sum[0], MULTIPLY(left, right));
#endif
}

ALWAYS_INLINE V FN(total)(const V *sum) {
#if COMPLEX
    return sum[0] + NEGATE_REAL * SWAP_PARTS(sum[1]);
#else
    return sum[0];
#endif
}

/* c[j] (+)= sum_k a[k][j] b[k][j] for so many vectors at unit stride; a_moves is 0 when a is one
 * number for all j. `past` the caches, c is a line or several. */
ALWAYS_INLINE void FN(span)(const int vectors, const int unary, const int a_moves, const int past,
                            const char *a, const char *b, char *c, const int64_t *a_ks,
                            const int64_t *b_ks, int64_t ks, int accumulate) {
    V sum[FN(SPAN)][PARTS];
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++)
        for (int part = 0; part < PARTS; part++) sum[j][part] = (V){0};
    for (int64_t p = 0; p < ks; p++) {
        const char *x = a + a_ks[p], *y = b + b_ks[p];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            const int at = j * VBYTES;
            if (unary)
                ACCUMULATE(sum[j][0], *(const VU *)(x + at));
            else if (a_moves)
                FN(multiply_add)(sum[j], *(const VU *)(x + at), *(const VU *)(y + at));
            else
                FN(multiply_add_scalar)(sum[j], FN(load)(x), *(const VU *)(y + at));
        }
    }
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) {
        const V result = unary ? sum[j][0] : FN(total)(sum[j]);
        if (past)
            STREAM(c + j * VBYTES, result);
        else
            FN(put)(c + j * VBYTES, result, accumulate);
    }
}

/* Rows of so many vectors, the last of which may overlap its neighbour; all of a row is computed before
 * any of it is stored, for c may be where a or b is. */
ALWAYS_INLINE void FN(short_rows)(const int vectors, const int unary, const int a_moves,
                                  const tn_dim *rows, int64_t count, int64_t last, const char *a,
                                  const char *b, char *c, const int64_t *a_ks, const int64_t *b_ks,
                                  int64_t ks, int accumulate) {
    for (int64_t i = 0; i < count; i++, a += rows->sa, b += rows->sb, c += rows->sc) {
        V sum[FN(SPAN)][PARTS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            for (int part = 0; part < PARTS; part++) sum[j][part] = (V){0};
        for (int64_t p = 0; p < ks; p++) {
            const char *x = a + a_ks[p], *y = b + b_ks[p];
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) {
                const int64_t at = j < vectors - 1 ? j * VBYTES : last;
                if (unary)
                    ACCUMULATE(sum[j][0], *(const VU *)(x + at));
                else if (a_moves)
                    FN(multiply_add)(sum[j], *(const VU *)(x + at), *(const VU *)(y + at));
                else
                    FN(multiply_add_scalar)(sum[j], FN(load)(x), *(const VU *)(y + at));
            }
        }
        V result[FN(SPAN)];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            result[j] = unary ? sum[j][0] : FN(total)(sum[j]);
            if (accumulate)
                ACCUMULATE(result[j], *(const VU *)(c + (j < vectors - 1 ? j * VBYTES : last)));
        }
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            *(VU *)(c + (j < vectors - 1 ? j * VBYTES : last)) = result[j];
    }
}

/* Rows shorter than a vector: two parts of them, which may overlap. */
ALWAYS_INLINE void FN(brief_rows)(const int bytes, const int unary, const int a_moves, const tn_dim *rows,
                                  int64_t count, int64_t last, const char *a, const char *b, char *c,
                                  const int64_t *a_ks, const int64_t *b_ks, int64_t ks, int accumulate) {
    for (int64_t i = 0; i < count; i++, a += rows->sa, b += rows->sb, c += rows->sc) {
        V sum[2][PARTS], result[2];
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++)
            for (int part = 0; part < PARTS; part++) sum[j][part] = (V){0};
        for (int64_t p = 0; p < ks; p++) {
            const char *x = a + a_ks[p], *y = b + b_ks[p];
#pragma GCC unroll 2
            for (int j = 0; j < 2; j++) {
                const int64_t at = j ? last : 0;
                if (unary)
                    ACCUMULATE(sum[j][0], (V)load_part(bytes, x + at));
                else if (a_moves)
                    FN(multiply_add)(sum[j], (V)load_part(bytes, x + at), (V)load_part(bytes, y + at));
                else
                    FN(multiply_add_scalar)(sum[j], FN(load)(x), (V)load_part(bytes, y + at));
            }
        }
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            result[j] = unary ? sum[j][0] : FN(total)(sum[j]);
            if (accumulate) ACCUMULATE(result[j], (V)load_part(bytes, c + (j ? last : 0)));
        }
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) memcpy(c + (j ? last : 0), &result[j], (size_t)bytes);
    }
}

/* The inner axis of c from n0 to n1, whatever the strides. */
ALWAYS_INLINE void FN(inner)(const int unary, const int a_moves, const tn_dim *inner,
                             const char *a, const char *b, char *c, const int64_t *a_ks,
                             const int64_t *b_ks, int64_t ks, int64_t n0, int64_t n1,
                             int accumulate) {
    const int64_t unit = sizeof(T), sa = inner->sa, sb = inner->sb, sc = inner->sc;
    int64_t j = n0;
    if (n1 - n0 >= E && sc == unit && (unary || sb == unit) && (!a_moves || sa == unit)) {
        /* the last vector overlaps its neighbour: computed before that changes c, stored after it */
        const int64_t end = n1 - E;
        char tail[VBYTES] = {0};
        const int has_tail = (n1 - n0) % E != 0;
        if (has_tail) {
            if (accumulate) memcpy(tail, c + end * sc, VBYTES);
            FN(span)(1, unary, a_moves, 0, a + end * sa, b + end * sb, tail, a_ks, b_ks, ks, accumulate);
        }
        for (; j + FN(SPAN) * E <= n1; j += FN(SPAN) * E)
            FN(span)(FN(SPAN), unary, a_moves, 0, a + j * sa, b + j * sb, c + j * sc, a_ks, b_ks, ks,
                     accumulate);
        for (; j + E <= n1; j += E)
            FN(span)(1, unary, a_moves, 0, a + j * sa, b + j * sb, c + j * sc, a_ks, b_ks, ks,
                     accumulate);
        if (has_tail) memcpy(c + end * sc, tail, VBYTES);
        return;
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

/* So many rows of any length up to SPAN vectors, but no shorter than 8 bytes. */
ALWAYS_INLINE void FN(rows_of)(int64_t length, const int unary, const int a_moves,
                               const tn_dim *rows, int64_t count, const char *a, const char *b,
                               char *c, const int64_t *a_ks, const int64_t *b_ks, int64_t ks,
                               int accumulate) {
    const int64_t bytes = length * (int64_t)sizeof(T);
    int64_t last = bytes - VBYTES;
    if (last < 0) {
        last = bytes - largest_part(bytes);
#define BRIEF_ROWS(part)                                                                             \
    if (part < VBYTES && part == bytes - last)                                                       \
        return FN(brief_rows)(MIN(part, VBYTES / 2), unary, a_moves, rows, count, last, a, b, c, a_ks, \
                              b_ks, ks, accumulate);
        BRIEF_ROWS(8)
        BRIEF_ROWS(16)
        BRIEF_ROWS(32)
#undef BRIEF_ROWS
    }
#define ROWS(vectors)                                                                               \
    case vectors:                                                                                    \
        if (ks == 1)                                                                                 \
            FN(short_rows)(vectors, unary, a_moves, rows, count, last, a, b, c, a_ks, b_ks, 1,       \
                           accumulate);                                                              \
        else                                                                                         \
            FN(short_rows)(vectors, unary, a_moves, rows, count, last, a, b, c, a_ks, b_ks, ks,      \
                           accumulate);                                                              \
        break;
    switch ((length + E - 1) / E) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
    }
#undef ROWS
}

/* Rows of single products, of any length from one vector on, in the order of memory. */
ALWAYS_INLINE void FN(outer_rows)(const int unary, const int a_moves, const tn_dim *rows, int64_t count,
                                  const char *a, const char *b, char *c, int64_t length,
                                  int accumulate) {
    static const int64_t here[1] = {0};
    const int64_t unit = sizeof(T), last = (length - E) * unit, step = FN(SPAN) * VBYTES;
    const int64_t steps = length / (FN(SPAN) * E), vectors = length / E % FN(SPAN), rest = length % E;
    for (int64_t i = 0; i < count; i++, a += rows->sa, b += rows->sb, c += rows->sc) {
        const char *x = a, *y = b;
        char *to = c;
        char tail[VBYTES] __attribute__((aligned(VBYTES))); /* overlaps what is stored before it */
        if (rest && accumulate) memcpy(tail, c + last, VBYTES);
        if (rest)
            FN(span)(1, unary, a_moves, 0, a + (a_moves ? last : 0), b + last, tail, here, here, 1,
                     accumulate);
        for (int64_t s = 0; s < steps; s++, x += a_moves ? step : 0, y += step, to += step)
            FN(span)(FN(SPAN), unary, a_moves, 0, x, y, to, here, here, 1, accumulate);
        for (int64_t v = 0; v < vectors; v++, x += a_moves ? VBYTES : 0, y += VBYTES, to += VBYTES)
            FN(span)(1, unary, a_moves, 0, x, y, to, here, here, 1, accumulate);
        if (rest) memcpy(c + last, tail, VBYTES);
    }
}

/* A row that is written past the caches, in whole lines. In `line` is what the row before has of the first of
 * them, if that is `begun`, and then what this row has of its last; returns how many bytes that is. */
ALWAYS_INLINE int64_t FN(stream_row)(const int unary, const int a_moves, const char *a, const char *b,
                                     char *c, int64_t length, const int64_t *a_ks, const int64_t *b_ks,
                                     const int64_t ks, char *line, int begun) {
    enum { PER_LINE = LINE_BYTES / sizeof(T), VECTORS = LINE_BYTES / VBYTES };
    const int64_t unit = sizeof(T), phase = (int64_t)((uintptr_t)c % LINE_BYTES);
    const int64_t room = phase ? (LINE_BYTES - phase) / unit : 0, rest = (length - room) % PER_LINE;
    char head[LINE_BYTES], tail[LINE_BYTES]; /* computed before c changes, which may be a or b */
    const int64_t last = (length - PER_LINE) * unit, a_last = a_moves ? last : 0;
    if (room) FN(span)(VECTORS, unary, a_moves, 0, a, b, head, a_ks, b_ks, ks, 0);
    if (rest) FN(span)(VECTORS, unary, a_moves, 0, a + a_last, b + last, tail, a_ks, b_ks, ks, 0);
    if (room && !begun) memcpy(c, head, (size_t)(room * unit));
    if (room && begun) {
        memcpy(line + phase, head, (size_t)(room * unit));
        for (int v = 0; v < LINE_BYTES; v += VBYTES) STREAM(c - phase + v, *(const VU *)(line + v));
    }
    const int64_t end = length - rest;
    int64_t j = room;
    for (; j + FN(SPAN) * E <= end; j += FN(SPAN) * E)
        FN(span)(FN(SPAN), unary, a_moves, 1, a + (a_moves ? j * unit : 0), b + j * unit, c + j * unit, a_ks,
                 b_ks, ks, 0);
    for (; j < end; j += E)
        FN(span)(1, unary, a_moves, 1, a + (a_moves ? j * unit : 0), b + j * unit, c + j * unit, a_ks, b_ks,
                 ks, 0);
    memcpy(line, tail + (PER_LINE - rest) * unit, (size_t)(rest * unit));
    return rest * unit;
}

/* The outer points of a box whose results are written past the caches: a row for each. */
ALWAYS_INLINE void FN(stream_rows)(const int unary, const int a_moves, const tn_contraction *x,
                                   const tn_dim *inner, const char *a, const char *b, char *c,
                                   const int64_t *a_ks, const int64_t *b_ks, const int64_t ks,
                                   const tn_box *box) {
    const int64_t unit = sizeof(T), length = box->n1 - box->n0, at = box->n0 * unit;
    _Alignas(64) char line[LINE_BYTES];
    char *to = NULL; /* where the row before ends, and how much of it is still in `line` */
    int64_t kept = 0;
    tn_walk outer;
    walk_to(&outer, x->dims, (int)(inner - x->dims), box->batch0);
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&outer)) {
        char *row = c + outer.c + at;
        const int begun = kept && to == row;
        if (kept && !begun) memcpy(to - kept, line, (size_t)kept);
        kept = FN(stream_row)(unary, a_moves, a + outer.a + (a_moves ? at : 0), b + outer.b + at, row, length,
                              a_ks, b_ks, ks, line, begun);
        to = row + length * unit;
    }
    if (kept) memcpy(to - kept, line, (size_t)kept);
    STREAM_END();
}

/* The outer points of a box whose inner axis is a few vectors long: a row for each, and long ones in
 * pieces of which each is a few vectors long. */
ALWAYS_INLINE void FN(nest_short)(const int unary, const int a_moves, const tn_contraction *x,
                                  const tn_dim *inner, const char *a, const char *b, char *c,
                                  const int64_t *a_ks, const int64_t *b_ks, int64_t ks,
                                  const tn_box *box, int accumulate) {
    enum { TOGETHER = 32 }; /* rows whose pieces are still in the cache */
    const int n_outer = (int)(inner - x->dims);
    const tn_dim one = {1, 0, 0, 0}, *rows = n_outer ? inner - 1 : &one;
    const int64_t unit = sizeof(T), length = box->n1 - box->n0;
    const int64_t pieces = (length + FN(SPAN) * E - 1) / (FN(SPAN) * E);
    tn_walk outer;
    walk_to(&outer, x->dims, n_outer ? n_outer - 1 : 0, box->batch0 / rows->n);
    int64_t row = box->batch0 % rows->n;
    for (int64_t t = box->batch0, count; t < box->batch1; t += count) {
        count = MIN(rows->n - row, box->batch1 - t);
        if (pieces > 1 && ks > 1) count = MIN(count, (int64_t)TOGETHER);
        const char *left = a + outer.a + row * rows->sa, *right = b + outer.b + row * rows->sb;
        char *to = c + outer.c + row * rows->sc;
        if (pieces > 1 && ks == 1) {
            const int64_t at = box->n0 * unit;
            FN(outer_rows)(unary, a_moves, rows, count, left + a_ks[0] + (a_moves ? at : 0),
                           right + b_ks[0] + at, to + at, length, accumulate);
        }
        for (int64_t i = 0, first = 0, next; (pieces == 1 || ks > 1) && i < pieces; i++, first = next) {
            next = length * (i + 1) / pieces;
            const int64_t at = (box->n0 + first) * unit;
            FN(rows_of)(next - first, unary, a_moves, rows, count, left + (a_moves ? at : 0),
                        right + at, to + at, a_ks, b_ks, ks, accumulate);
        }
        row += count;
        if (row == rows->n) row = 0, walk_next(&outer);
    }
}

/* Nest over [outer ..., inner, k ...]. */
ALWAYS_INLINE void FN(nest_output)(const int unary, const int a_moves, const tn_contraction *x,
                                   const char *a, const char *b, char *c, const tn_box *box) {
    const int n_outer = x->n_batch + x->n_m + x->n_n - 1;
    const tn_dim *inner = x->dims + n_outer, *dims_k = inner + 1;
    const int64_t unit = sizeof(T);
    int64_t a_ks[FN(K_TABLE)], b_ks[FN(K_TABLE)];
    int64_t extents[TN_MAX_DIMS];
    tn_boxes boxes;
    cut_boxes(&boxes, dims_k, x->n_k, ON_A, ON_B, sizeof(T), 1, FN(K_TABLE), FN(K_TABLE));
    const int stream = STREAMS && box->far > 1 && x->k <= FN(STREAMED_STEPS) && boxes.count == 1 &&
                       !x->accumulate;
    for (int64_t k = 0; k < boxes.count; k++) {
        const int64_t ks = fill_box(&boxes, k, ON_A, ON_B, a_ks, b_ks, extents);
        const int far = ks * (box->n1 - box->n0) * (int64_t)sizeof(T) > FN(NEAR);
        const int64_t rows = far ? FN(STREAMS_READ) : FN(K_TABLE), length = box->n1 - box->n0;
        const int runs = inner->sc == unit && (unary || inner->sb == unit) && (!a_moves || inner->sa == unit);
        if (runs && stream && length * unit >= FN(STREAMED_ROW)) {
            if (ks == 1)
                FN(stream_rows)(unary, a_moves, x, inner, a, b, c, a_ks, b_ks, 1, box);
            else
                FN(stream_rows)(unary, a_moves, x, inner, a, b, c, a_ks, b_ks, ks, box);
            continue;
        }
        if (runs && length * unit >= 8 && (ks == 1 || length <= FN(SHORT) * E)) {
            FN(nest_short)(unary, a_moves, x, inner, a, b, c, a_ks, b_ks, ks, box,
                           x->accumulate || k > 0);
            continue;
        }
        tn_walk outer;
        walk_to(&outer, x->dims, n_outer, box->batch0);
        for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&outer))
            for (int64_t p = 0; p < ks; p += rows)
                FN(inner)(unary, a_moves, inner, a + outer.a, b + outer.b, c + outer.c, a_ks + p,
                          b_ks + p, MIN(rows, ks - p), box->n0, box->n1,
                          x->accumulate || k > 0 || p > 0);
    }
}

/* Sum over j of a[j] b[j]; the sums of all lanes are added in a fixed order. */
ALWAYS_INLINE T FN(dot)(const int unary, const tn_dim *inner, const char *a, const char *b) {
    const int64_t n = inner->n, unit = sizeof(T), sa = inner->sa, sb = inner->sb;
    T total = {0};
    int64_t j = 0;
    if (sa == unit && (unary || sb == unit) && n >= E) {
        V sum[FN(SPAN)][PARTS];
        for (int i = 0; i < FN(SPAN); i++)
            for (int part = 0; part < PARTS; part++) sum[i][part] = (V){0};
        for (; j + E <= n;) {
            const int vectors = j + FN(SPAN) * E <= n ? FN(SPAN) : 1;
#pragma GCC unroll 4
            for (int i = 0; i < FN(SPAN); i++) {
                if (i >= vectors) break;
                const VU *left = (const VU *)(a + j * unit + i * VBYTES);
                if (unary)
                    ACCUMULATE(sum[i][0], *left);
                else
                    FN(multiply_add)(sum[i], *left, *(const VU *)(b + j * unit + i * VBYTES));
            }
            j += vectors * E;
        }
        for (int part = 0; part < PARTS; part++) {
            ACCUMULATE(sum[0][part], sum[1][part]);
            ACCUMULATE(sum[2][part], sum[3][part]);
            ACCUMULATE(sum[0][part], sum[2][part]);
        }
        const V all = unary ? sum[0][0] : FN(total)(sum[0]);
        for (int i = 0; i < E; i++)
            total = FN(plus)(total, FN(load)((const char *)&all + i * unit));
    }
    T sums[4] = {0}; /* one would wait for each addition */
    for (; j + 4 <= n; j += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const T left = FN(load)(a + (j + i) * sa);
            sums[i] = unary ? FN(plus)(sums[i], left)
                            : FN(muladd)(sums[i], left, FN(load)(b + (j + i) * sb));
        }
    for (; j < n; j++) {
        const T left = FN(load)(a + j * sa);
        total = unary ? FN(plus)(total, left) : FN(muladd)(total, left, FN(load)(b + j * sb));
    }
    return FN(plus)(total, FN(plus)(FN(plus)(sums[0], sums[1]), FN(plus)(sums[2], sums[3])));
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

#undef E
