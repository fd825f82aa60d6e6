/* Products of many rows with few columns, unit stride along k: matrix times vector, and batches.
 * Vectors run along k; the lanes of all sums of a tile are added at the end, in a fixed order.
 *
 * The axes are [batch ..., m, n, outer k ..., k].  Columns of b without unit stride are copied first, and
 * those shorter than a vector, with zeros behind them: vectors of such rows reach into the next ones. */

#if FLOATING
#define E (VL / PARTS)

/* Sums of one tile, which are registers. */
enum { FN(SUMS) = (VBYTES == 64 ? 16 : 8) / PARTS };

typedef struct {
    int64_t depth, a_row, b_column, c_row, c_column;
    int accumulate;
    const char *end; /* of all rows of a */
} FN(dot_product);

/* One vector along k of each row times one of each column; lanes that mask leaves out count as zero. */
ALWAYS_INLINE void FN(dot_step)(const int rows, const int columns, const int masked,
                                const VI mask, const char *const *four, int64_t row, int64_t row3,
                                const char *b, const int64_t *b_columns, V (*sum)[PARTS]) {
    V right[4][PARTS];
#pragma GCC unroll 4
    for (int j = 0; j < columns; j++) {
        right[j][0] = *(const VU *)(b + b_columns[j]);
        if (masked) right[j][0] = (V)((VI)right[j][0] & mask);
#if COMPLEX
        right[j][1] = SWAP_PARTS(right[j][0]);
#endif
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        V left = *(const VU *)(four[i / 4] + (i % 4 == 3 ? row3 : i % 4 * row));
        if (masked) left = (V)((VI)left & mask);
        if (columns * PARTS > 1) OPAQUE_VECTOR(left); /* or compilers load it once for each product */
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++)
            for (int part = 0; part < PARTS; part++)
                sum[i * columns + j][part] += left * right[j][part];
    }
}

/* Adds the lanes of `count` sums, a power of two: sum i becomes element i of the vectors x. */
ALWAYS_INLINE void FN(add_lanes)(int count, V (*sum)[PARTS], V *x) {
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) {
#if COMPLEX
        const V real = sum[i][0] * -NEGATE_REAL, imaginary = sum[i][1];
        x[i] = SHUFFLE(real, imaginary, LANES(EXCHANGE_LOW, 1)) +
               SHUFFLE(real, imaginary, LANES(EXCHANGE_HIGH, 1));
#else
        x[i] = sum[i][0];
#endif
    }
#define JOIN(bit)                                                                      \
    if (bit >= PARTS && bit < VL && count > 1) {                                       \
        count /= 2;                                                                    \
        _Pragma("GCC unroll 16") for (int i = 0; i < count; i++)                       \
            x[i] = SHUFFLE(x[2 * i], x[2 * i + 1], LANES(EXCHANGE_LOW, bit)) +         \
                   SHUFFLE(x[2 * i], x[2 * i + 1], LANES(EXCHANGE_HIGH, bit));         \
    } else if (bit >= PARTS && bit < VL)                                               \
        x[0] += SHUFFLE(x[0], x[0], LANES(OTHER_HALF, bit));
    JOIN(1)
    JOIN(2)
    JOIN(4)
    JOIN(8)
#undef JOIN
}

/* The last of four columns may be one that is computed but not wanted. */
ALWAYS_INLINE void FN(dot_tile)(const int rows, const int columns, int wanted,
                                const FN(dot_product) *x,
                                const char *a, const char *b, char *c) {
    const int64_t b_columns[4] = {0, x->b_column, 2 * x->b_column, (wanted - 1) * x->b_column};
    const int64_t row = x->a_row, c_row = x->c_row, c_column = x->c_column;
    const int accumulate = x->accumulate;
    int64_t row3 = 3 * row;
    OPAQUE(row3);
    const char *four[2] = {a, a + 4 * row};
    V sum[FN(SUMS)][PARTS];
#pragma GCC unroll 16
    for (int i = 0; i < rows * columns; i++)
        for (int part = 0; part < PARTS; part++) sum[i][part] = (V){0};
    const VI none = {0};
    int64_t p = 0;
    for (; p + E <= x->depth; p += E, b += VBYTES, four[0] += VBYTES, four[1] += VBYTES)
        FN(dot_step)(rows, columns, 0, none, four, row, row3, b, b_columns, sum);
    /* the last vector again, without the lanes that are counted already; or the first, without the next row */
    if (p < x->depth) {
        const int is_short = p == 0;
        const int64_t back = is_short ? 0 : p + E - x->depth, bytes = back * (int64_t)sizeof(T);
        const V lane = {LANES(LANE, 1)};
        const VI mask = is_short ? (VI)(lane < (V){0} + (R)(x->depth * PARTS))
                                 : (VI)(lane >= (V){0} + (R)(back * PARTS));
        four[0] -= bytes, four[1] -= bytes;
        FN(dot_step)(rows, columns, 1, mask, four, row, row3, b - bytes, b_columns, sum);
    }
    V all[FN(SUMS)];
    FN(add_lanes)(rows * columns, sum, all);
    if (columns == 1 && c_row == (int64_t)sizeof(T) && !accumulate) {
        memcpy(c, all, (size_t)rows * sizeof(T));
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows * columns; i++) {
        if (i % columns >= wanted) continue;
        char *to = c + i / columns * c_row + i % columns * c_column;
        const T value = FN(load)((const char *)all + (size_t)i * sizeof(T));
        FN(store)(to, accumulate ? FN(plus)(FN(load)(to), value) : value);
    }
}

/* All rows with so many columns.  Short ones that would reach beyond the end are copied first. */
ALWAYS_INLINE void FN(dot_rows)(const int columns, int wanted, const FN(dot_product) *x,
                                int64_t left, const char *a, const char *b, char *c) {
    char copied[8 * VBYTES];
    FN(dot_product) apart = *x;
    apart.a_row = VBYTES;
#define ROWS(count)                                                                     \
    for (; count * columns <= FN(SUMS) && left >= count; left -= count) {               \
        const int beyond = x->depth < E && a + (count - 1) * x->a_row + VBYTES > x->end; \
        for (int i = 0; beyond && i < count; i++)                                       \
            memcpy(copied + i * VBYTES, a + i * x->a_row, (size_t)x->depth * sizeof(T)); \
        FN(dot_tile)(count * columns <= FN(SUMS) ? count : 1, columns, wanted,          \
                     beyond ? &apart : x, beyond ? copied : a, b, c);                   \
        a += count * x->a_row, c += count * x->c_row;                                   \
    }
    ROWS(8)
    ROWS(4)
    ROWS(2)
    ROWS(1)
#undef ROWS
}

static void FN(dot_strips)(const FN(dot_product) *x, int64_t rows, int64_t columns, const char *a,
                           const char *b, char *c) {
    for (; columns > 2; columns -= 4, b += 4 * x->b_column, c += 4 * x->c_column)
        FN(dot_rows)(4, (int)MIN(columns, (int64_t)4), x, rows, a, b, c);
    if (columns == 2) FN(dot_rows)(2, 2, x, rows, a, b, c);
    if (columns == 1) FN(dot_rows)(1, 1, x, rows, a, b, c);
}

/* The products with one run along k, from its rows at a and columns at b.  Where columns are copied, k is
 * cut into pieces of which all fit. */
static void FN(dots_of_run)(const tn_contraction *x, const tn_box *box, const char *a, const char *b, char *c,
                            int accumulate) {
    const tn_dim *m = x->dims + x->n_batch, *n = m + 1, *k = n + x->n_k;
    const int64_t unit = sizeof(T), rows = box->m1 - box->m0, columns = box->n1 - box->n0;
    const int is_short = k->n < E, copies = k->sb != unit || is_short;
    _Alignas(64) T copied[TN_DIRECT_DEPTH * NR];
    if (is_short) memset(copied, 0, (size_t)columns * VBYTES);
    const int64_t most = is_short ? E : MIN(k->n, TN_DIRECT_DEPTH * NR / columns);
    const int64_t piece = copies ? most : k->n;
    FN(dot_product) job = {0, m->sa, copies ? piece * unit : n->sb, m->sc, n->sc, 0, NULL};
    for (int64_t p = 0; p < k->n; p += job.depth) {
        const char *at = a + box->m0 * m->sa + p * unit, *bt = b + box->n0 * n->sb + p * k->sb;
        /* no piece may be shorter than a vector */
        job.depth = k->n - p >= piece + E || k->n - p <= piece ? MIN(piece, k->n - p) : piece - E;
        job.accumulate = accumulate || p > 0;
        job.end = a + (m->n - 1) * m->sa + k->n * unit;
        if (copies) {
            for (int64_t j = 0; j < columns; j++)
                for (int64_t q = 0; q < job.depth; q++)
                    copied[j * piece + q] = FN(load)(bt + j * n->sb + q * k->sb);
            bt = (const char *)copied;
        }
        FN(dot_strips)(&job, rows, columns, at, bt, c + box->m0 * m->sc + box->n0 * n->sc);
    }
}

static void FN(dots)(const tn_contraction *x, const char *a, const char *b, char *c,
                     const tn_box *box) {
    const tn_dim *outer_k = x->dims + x->n_batch + 2, *k = outer_k + x->n_k - 1;
    const int64_t runs = x->k / k->n;
    tn_walk batch, outer;
    walk_to(&batch, x->dims, x->n_batch, box->batch0);
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&batch)) {
        walk_to(&outer, outer_k, x->n_k - 1, 0);
        for (int64_t run = 0; run < runs; run++, walk_next(&outer))
            FN(dots_of_run)(x, box, a + batch.a + outer.a, b + batch.b + outer.b, c + batch.c,
                            x->accumulate || run > 0);
    }
}

#undef E
#endif
