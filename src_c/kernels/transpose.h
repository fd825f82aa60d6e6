/* Copies between orders of axes: a is contiguous along the m axes and c along the n axes.  Squares are
 * transposed in registers, and lines of both are read and written whole. */

#define E (VL / PARTS)

/* Where the points of a group lie on the operand on which they are not contiguous. */
static void FN(fill_offsets)(const tn_dim *dims, int n_dims, tn_operand operand, int64_t start,
                             int64_t count, int64_t *offsets) {
    tn_walk w;
    walk_to(&w, dims, n_dims, start);
    for (int64_t i = 0; i < count; i++, walk_next(&w)) offsets[i] = operand == ON_A ? w.a : w.c;
}

ALWAYS_INLINE void FN(copy_one)(const char *a, char *c, int accumulate) {
    const T value = FN(load)(a);
    FN(store)(c, accumulate ? FN(plus)(FN(load)(c), value) : value);
}

/* c[rows[i] + j] = a[columns[j] + i] for m rows and n columns. */
ALWAYS_INLINE void FN(transpose_block)(const char *a, char *c, const int64_t *rows, int64_t m,
                                       const int64_t *columns, int64_t n, const int accumulate,
                                       const int stream) {
    const int64_t size = sizeof(T);
    int64_t j = 0;
    (void)stream;
#if FLOATING
    enum { LINES = 2 * VBYTES <= 64 ? 2 : 1, STEP = LINES * E };
    for (; E > 1 && j + STEP <= n; j += STEP) {
        int64_t i = 0;
        for (; i + E <= m; i += E) {
            V x[LINES][E];
#pragma GCC unroll 4
            for (int l = 0; l < LINES; l++) {
#pragma GCC unroll 16
                for (int t = 0; t < E; t++)
                    x[l][t] = *(const VU *)(a + columns[j + l * E + t] + i * size);
                FN(flip)(x[l]);
            }
#pragma GCC unroll 16
            for (int t = 0; t < E; t++) {
                char *to = c + rows[i + t] + j * size;
#pragma GCC unroll 4
                for (int l = 0; l < LINES; l++) {
                    if (stream)
                        STREAM(to + l * VBYTES, x[l][t]);
                    else
                        FN(put)(to + l * VBYTES, x[l][t], accumulate);
                }
            }
        }
        for (; i < m; i++)
            for (int64_t t = j; t < j + STEP; t++)
                FN(copy_one)(a + columns[t] + i * size, c + rows[i] + t * size, accumulate);
    }
#endif
    for (int64_t i = 0; i < m; i++)
        for (int64_t t = j; t < n; t++)
            FN(copy_one)(a + columns[t] + i * size, c + rows[i] + t * size, accumulate);
}

ALWAYS_INLINE void FN(copy_run)(const char *a, char *c, int64_t k, int accumulate) {
    int64_t p = 0;
    if (!accumulate && k >= E) {
        for (; p + E <= k; p += E) *(VU *)(c + p * sizeof(T)) = *(const VU *)(a + p * sizeof(T));
        if (p == k) return;
        p = k - E; /* the last vector overlaps the one before */
        *(VU *)(c + p * sizeof(T)) = *(const VU *)(a + p * sizeof(T));
        return;
    }
    for (; p < k; p++) FN(copy_one)(a + p * sizeof(T), c + p * sizeof(T), accumulate);
}

/* c[rows[i] + j run] = a[columns[j] + i run] for runs of k elements. */
ALWAYS_INLINE void FN(copy_runs)(const char *a, char *c, const int64_t *rows, int64_t m,
                                 const int64_t *columns, int64_t n, int64_t k, int accumulate) {
    enum { SQUARE = 8 };
    const int64_t run = k * (int64_t)sizeof(T);
    for (int64_t j0 = 0; j0 < n; j0 += SQUARE)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = j0; j < MIN(j0 + SQUARE, n); j++)
                FN(copy_run)(a + columns[j] + i * run, c + rows[i] + j * run, k, accumulate);
}

static void FN(transpose)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    enum { ROWS = 128 };
    const tn_dim *dims_m = x->dims + x->n_batch, *dims_n = dims_m + x->n_m;
    const int64_t run = x->k * (int64_t)sizeof(T), n = box->n1 - box->n0;
    int64_t columns[TN_TRANSPOSE_CHUNK], rows[ROWS];
    FN(fill_offsets)(dims_n, x->n_n, ON_A, box->n0, n, columns);
    char *to = c + box->n0 * run;
    int stream = STREAMS && !x->accumulate && box->stream && (uintptr_t)to % VBYTES == 0;
    for (int d = 0; d < x->n_batch + x->n_m; d++) stream &= x->dims[d].sc % VBYTES == 0;
    for (int64_t i = 0; i < x->m; i += ROWS) {
        const int64_t m = MIN((int64_t)ROWS, x->m - i);
        FN(fill_offsets)(dims_m, x->n_m, ON_C, i, m, rows);
        tn_walk outer;
        walk_to(&outer, x->dims, x->n_batch, box->batch0);
        for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&outer)) {
            const char *at = a + i * run + outer.a;
            if (x->k > 1)
                FN(copy_runs)(at, to + outer.c, rows, m, columns, n, x->k, x->accumulate);
            else if (x->accumulate)
                FN(transpose_block)(at, to + outer.c, rows, m, columns, n, 1, 0);
            else if (stream)
                FN(transpose_block)(at, to + outer.c, rows, m, columns, n, 0, 1);
            else
                FN(transpose_block)(at, to + outer.c, rows, m, columns, n, 0, 0);
        }
    }
    if (stream) STREAM_END();
}

#undef E
