/* GETT: the blocked, packed, register-tiled contraction (Matthews 2018; Springer & Bientinesi 2018).
 *
 * Five loops as in BLIS.  Both operands are packed into panels straight from their strides, so no
 * operand is ever transposed in memory:
 *   packed a: [mc/MR][kc][MR] elements
 *   packed b: [nc/NR][kc][NR] elements; complex ones as NR real, then NR imaginary parts
 */

/* Copies `count` columns (m or n points, offsets across[]) times kc rows (offsets down[]) into
 * panels of `width` columns; the last panel is padded with zeros. */
ALWAYS_INLINE void FN(pack)(const int width, const int split, R *to, const char *from,
                            const int64_t *across, int64_t count, const int64_t *down,
                            int64_t kc) {
    for (int64_t first = 0; first < count; first += width, to += kc * width * PARTS) {
        const int64_t *column = across + first;
        const int columns = (int)MIN((int64_t)width, count - first);
        int contiguous = columns == width;
        for (int j = 1; contiguous && j < columns; j++)
            contiguous = column[j] - column[j - 1] == (int64_t)sizeof(T);
        if (contiguous) {
            for (int64_t p = 0; p < kc; p++) {
                const char *row = from + column[0] + down[p];
                R *out = to + p * width * PARTS;
#if COMPLEX
                if (split) { /* width is VL then */
                    const V low = *(const VU *)row, high = *(const VU *)(row + VBYTES);
                    *(V *)out = EVEN_LANES(low, high);
                    *(V *)(out + VL) = ODD_LANES(low, high);
                    continue;
                }
#endif
                memcpy(out, row, (size_t)width * sizeof(T));
            }
            continue;
        }
        if (columns == width) {
            /* width streams at once: the stores are contiguous */
            for (int64_t p = 0; p < kc; p++) {
                const char *row = from + down[p];
                R *out = to + p * width * PARTS;
#pragma GCC unroll 16
                for (int j = 0; j < width; j++) {
                    T x = FN(load)(row + column[j]);
#if COMPLEX
                    out[split ? j : 2 * j] = x.re;
                    out[split ? width + j : 2 * j + 1] = x.im;
#else
                    out[j] = x;
#endif
                }
            }
            continue;
        }
        memset(to, 0, (size_t)(kc * width * PARTS) * sizeof(R));
        for (int j = 0; j < columns; j++) {
            const char *source = from + column[j];
#if COMPLEX
            R *out = to + (split ? j : 2 * j);
            const int imaginary = split ? width : 1;
            for (int64_t p = 0; p < kc; p++, out += 2 * width) {
                T x = FN(load)(source + down[p]);
                out[0] = x.re;
                out[imaginary] = x.im;
            }
#else
            R *out = to + j;
            (void)split;
            for (int64_t p = 0; p < kc; p++, out += width) *out = FN(load)(source + down[p]);
#endif
        }
    }
}

/* Where a tile goes: row i at c + rows[i], columns contiguous. */
ALWAYS_INLINE void FN(put)(char *c, V x, int accumulate) {
    VU *to = (VU *)c;
    if (accumulate) ACCUMULATE(x, *to);
    *to = x;
}

/* Where a tile finds a: the byte strides of its rows and of its steps. */
typedef struct {
    int64_t row, step;
} FN(a_strides);

ALWAYS_INLINE R FN(real)(const char *p) {
    R x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* The microkernel: rows x NR elements of c from kc steps over one panel of a and one of b. */
ALWAYS_INLINE void FN(tile_rows)(const int rows, const FN(a_strides) sa, int64_t kc, const char *a,
                                 const R *b, char *c, const int64_t *c_rows, int accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) { /* c is wanted only at the end, but from far away */
        __builtin_prefetch(c + c_rows[i], 1);
        __builtin_prefetch(c + c_rows[i] + 2 * VBYTES - 1, 1);
    }
#if COMPLEX
    V re[MR], im[MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) re[i] = im[i] = (V){0};
    for (int64_t p = 0; p < kc; p++, a += sa.step, b += 2 * VL) {
        const V b_re = *(const V *)b, b_im = *(const V *)(b + VL);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const char *element = a + i * sa.row;
            const R x = FN(real)(element), y = FN(real)(element + sizeof(R));
            re[i] += x * b_re;
            im[i] += x * b_im;
            re[i] -= y * b_im;
            im[i] += y * b_re;
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        FN(put)(c + c_rows[i], INTERLEAVE_LOW(re[i], im[i]), accumulate);
        FN(put)(c + c_rows[i] + VBYTES, INTERLEAVE_HIGH(re[i], im[i]), accumulate);
    }
#else
    V sum[MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = (V){0};
    for (int64_t p = 0; p < kc; p++, a += sa.step, b += 2 * VL) {
        const V left = *(const V *)b, right = *(const V *)(b + VL);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const R x = FN(real)(a + i * sa.row);
            ACCUMULATE(sum[i][0], MULTIPLY(x, left));
            ACCUMULATE(sum[i][1], MULTIPLY(x, right));
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        FN(put)(c + c_rows[i], sum[i][0], accumulate);
        FN(put)(c + c_rows[i] + VBYTES, sum[i][1], accumulate);
    }
#endif
}

/* Fewer rows than MR cost fewer operations: one instance per row count that exists. */
ALWAYS_INLINE void FN(tile_any)(int rows, const FN(a_strides) sa, int64_t kc, const char *a,
                                const R *b, char *c, const int64_t *c_rows, int accumulate) {
    if (rows <= 2)
        FN(tile_rows)(2, sa, kc, a, b, c, c_rows, accumulate);
    else if (rows <= 4)
        FN(tile_rows)(4, sa, kc, a, b, c, c_rows, accumulate);
#if MR > 8
    else if (rows <= 8)
        FN(tile_rows)(8, sa, kc, a, b, c, c_rows, accumulate);
#endif
    else
        FN(tile_rows)(MR, sa, kc, a, b, c, c_rows, accumulate);
}

static void FN(tile)(int rows, int64_t kc, const R *a, const R *b, char *c, const int64_t *c_rows,
                     int accumulate) {
    const FN(a_strides) packed = {sizeof(T), MR * sizeof(T)};
    FN(tile_any)(rows, packed, kc, (const char *)a, b, c, c_rows, accumulate);
}

/* a as it lies in memory: worth it when few columns of c would share a packed a. */
static void FN(tile_unpacked)(int rows, FN(a_strides) sa, int64_t kc, const char *a, const R *b,
                              char *c, const int64_t *c_rows, int accumulate) {
    FN(tile_any)(rows, sa, kc, a, b, c, c_rows, accumulate);
}

/* Whether tile() writes exactly this many rows. */
ALWAYS_INLINE int FN(is_tile)(int rows) {
    return rows == MR || rows == 2 || rows == 4 || (MR > 8 && rows == 8);
}

/* Columns that are not contiguous, and tiles at the edge, pass through a contiguous buffer. */
static void FN(store_edge)(int rows, int columns, int contiguous, const R *buffer, char *c,
                           const int64_t *c_rows, const int64_t *c_columns, int accumulate) {
    for (int i = 0; i < rows; i++) {
        const char *row = (const char *)buffer + i * NR * (int64_t)sizeof(T);
        char *to = c + c_rows[i];
        if (contiguous && !accumulate) {
            memcpy(to + c_columns[0], row, (size_t)columns * sizeof(T));
            continue;
        }
        for (int j = 0; j < columns; j++) {
            char *at = to + c_columns[j];
            T x = FN(load)(row + (size_t)j * sizeof(T));
            FN(store)(at, accumulate ? FN(plus)(FN(load)(at), x) : x);
        }
    }
}

/* One block of c and what makes it. */
typedef struct {
    int64_t mc, nc, kc;
    const R *packed_a, *packed_b;
    const char *a; /* the block as it lies in memory, with strides sa, or NULL */
    FN(a_strides) sa;
    char *c;
    const int64_t *c_rows, *c_columns;
    int accumulate;
} FN(block);

/* Rows of a that no tile instance has exactly come from the packed a, which is padded. */
ALWAYS_INLINE void FN(one_tile)(const FN(block) *x, int64_t i, int rows, const R *b, char *c,
                                const int64_t *c_rows, int accumulate) {
    if (x->a && FN(is_tile)(rows))
        FN(tile_unpacked)(rows, x->sa, x->kc, x->a + i * x->sa.row, b, c, c_rows, accumulate);
    else
        FN(tile)(rows, x->kc, x->packed_a + i * x->kc * PARTS, b, c, c_rows, accumulate);
}

/* All tiles of one block: c[mc, nc] += a[mc, kc] b[kc, nc]. */
static void FN(run_block)(const FN(block) *x) {
    _Alignas(64) R buffer[MR * NR * PARTS];
    int64_t buffer_rows[MR];
    for (int i = 0; i < MR; i++) buffer_rows[i] = i * NR * (int64_t)sizeof(T);
    for (int64_t j = 0; j < x->nc; j += NR) {
        const int64_t *c_columns = x->c_columns + j;
        const int columns = (int)MIN((int64_t)NR, x->nc - j);
        int contiguous = 1;
        for (int t = 1; contiguous && t < columns; t++)
            contiguous = c_columns[t] - c_columns[t - 1] == (int64_t)sizeof(T);
        const R *b = x->packed_b + j * x->kc * PARTS;
        for (int64_t i = 0; i < x->mc; i += MR) {
            const int rows = (int)MIN((int64_t)MR, x->mc - i);
            if (contiguous && columns == NR && FN(is_tile)(rows)) {
                FN(one_tile)(x, i, rows, b, x->c + c_columns[0], x->c_rows + i, x->accumulate);
                continue;
            }
            FN(one_tile)(x, i, rows, b, (char *)buffer, buffer_rows, 0);
            FN(store_edge)(rows, columns, contiguous, buffer, x->c, x->c_rows + i, c_columns,
                           x->accumulate);
        }
    }
}

/* Packing a pays off from this many panels of b on. */
enum { FN(UNPACKED_PANELS) = 3 };

static void FN(gett)(const tn_contraction *x, const tn_blocking *blocking, const char *a,
                     const char *b, char *c, const tn_box *box, const tn_worker *worker) {
    const int64_t mc = blocking->mc, nc = blocking->nc, kc = blocking->kc;
    const tn_dim *dims_m = x->dims + x->n_batch, *dims_n = dims_m + x->n_m,
                 *dims_k = dims_n + x->n_n;
    R *packed_a = (R *)worker->workspace;
    R *packed_b = (R *)(worker->workspace + TN_ALIGNED(mc * kc * (int64_t)sizeof(T)));
    int64_t *a_rows = (int64_t *)((char *)packed_b + TN_ALIGNED(nc * kc * (int64_t)sizeof(T))),
            *c_rows = a_rows + mc, *b_columns = c_rows + mc, *c_columns = b_columns + nc, *a_ks = c_columns + nc,
            *b_ks = a_ks + kc;
    tn_scatter scatter_m, scatter_n, scatter_k;
    scatter_init(&scatter_m, dims_m, x->n_m, OPERANDS_AC);
    scatter_init(&scatter_n, dims_n, x->n_n, OPERANDS_BC);
    scatter_init(&scatter_k, dims_k, x->n_k, OPERANDS_AB);
    /* with one m and one k axis, a can be read as it lies in memory */
    const int unpacked = x->n_m == 1 && x->n_k == 1 && x->n <= FN(UNPACKED_PANELS) * NR;
    const FN(a_strides) sa = {unpacked ? dims_m->sa : 0, unpacked ? dims_k->sa : 0};
    /* what the packed buffers hold: broadcast batches and single blocks are packed once */
    const char *a_base = NULL, *b_base = NULL;
    int64_t a_m = -1, a_k = -1, b_n = -1, b_k = -1;
    tn_walk batch;
    walk_to(&batch, x->dims, x->n_batch, box->batch0);
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&batch)) {
        const char *at = a + batch.a, *bt = b + batch.b;
        for (int64_t n = box->n0; n < box->n1; n += nc) {
            const int64_t columns = MIN(nc, box->n1 - n);
            scatter_fill(&scatter_n, OPERANDS_BC, n, columns, b_columns, c_columns);
            for (int64_t k = 0; k < x->k; k += kc) {
                const int64_t depth = MIN(kc, x->k - k);
                if (tn_stopped(worker->control, worker->index)) return;
                scatter_fill(&scatter_k, OPERANDS_AB, k, depth, a_ks, b_ks);
                if (b_base != bt || b_n != n || b_k != k)
                    FN(pack)(NR, 1, packed_b, bt, b_columns, columns, b_ks, depth);
                b_base = bt, b_n = n, b_k = k;
                for (int64_t m = box->m0; m < box->m1; m += mc) {
                    const int64_t rows = MIN(mc, box->m1 - m);
                    scatter_fill(&scatter_m, OPERANDS_AC, m, rows, a_rows, c_rows);
                    const int64_t whole = unpacked ? rows / MR * MR : 0;
                    if (a_base != at || a_m != m || a_k != k)
                        FN(pack)(MR, 0, packed_a + whole * depth * PARTS, at, a_rows + whole,
                                 rows - whole, a_ks, depth);
                    a_base = at, a_m = m, a_k = k;
                    const FN(block) block = {rows, columns, depth, packed_a, packed_b,
                                             unpacked ? at + a_rows[0] + a_ks[0] : NULL, sa,
                                             c + batch.c, c_rows, c_columns,
                                             x->accumulate || k > 0};
                    FN(run_block)(&block);
                }
            }
        }
    }
}
