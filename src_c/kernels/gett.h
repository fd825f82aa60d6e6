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
                if (split) {
                    for (int j = 0; j < width; j++) {
                        T x = FN(load)(row + (size_t)j * sizeof(T));
                        out[j] = x.re;
                        out[width + j] = x.im;
                    }
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

/* The microkernel: rows x NR elements of c from kc steps over one panel of a and one of b. */
ALWAYS_INLINE void FN(tile_rows)(const int rows, int64_t kc, const R *a, const R *b, char *c,
                                 const int64_t *c_rows, int accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) { /* c is wanted only at the end, but from far away */
        __builtin_prefetch(c + c_rows[i], 1);
        __builtin_prefetch(c + c_rows[i] + 2 * VBYTES - 1, 1);
    }
#if COMPLEX
    V re[MR], im[MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) re[i] = im[i] = (V){0};
    for (int64_t p = 0; p < kc; p++, a += 2 * MR, b += 2 * VL) {
        const V b_re = *(const V *)b, b_im = *(const V *)(b + VL);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const R x = a[2 * i], y = a[2 * i + 1];
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
    for (int64_t p = 0; p < kc; p++, a += MR, b += 2 * VL) {
        const V left = *(const V *)b, right = *(const V *)(b + VL);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const R x = a[i];
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
static void FN(tile)(int rows, int64_t kc, const R *a, const R *b, char *c, const int64_t *c_rows,
                     int accumulate) {
    if (rows <= 2)
        FN(tile_rows)(2, kc, a, b, c, c_rows, accumulate);
    else if (rows <= 4)
        FN(tile_rows)(4, kc, a, b, c, c_rows, accumulate);
#if MR > 8
    else if (rows <= 8)
        FN(tile_rows)(8, kc, a, b, c, c_rows, accumulate);
#endif
    else
        FN(tile_rows)(MR, kc, a, b, c, c_rows, accumulate);
}

/* Whether tile() writes exactly this many rows. */
ALWAYS_INLINE int FN(is_tile)(int rows) {
    return rows == MR || rows == 2 || rows == 4 || (MR > 8 && rows == 8);
}

/* Columns that are not contiguous, and tiles at the edge, pass through a contiguous buffer. */
static void FN(tile_edge)(int rows, int columns, int64_t kc, const R *a, const R *b, char *c,
                          const int64_t *c_rows, const int64_t *c_columns, int accumulate) {
    _Alignas(64) R buffer[MR * NR * PARTS];
    int64_t buffer_rows[MR];
    for (int i = 0; i < MR; i++) buffer_rows[i] = i * NR * (int64_t)sizeof(T);
    FN(tile)(rows, kc, a, b, (char *)buffer, buffer_rows, 0);
    for (int i = 0; i < rows; i++) {
        const char *row = (const char *)buffer + buffer_rows[i];
        for (int j = 0; j < columns; j++) {
            char *to = c + c_rows[i] + c_columns[j];
            T x = FN(load)(row + (size_t)j * sizeof(T));
            FN(store)(to, accumulate ? FN(plus)(FN(load)(to), x) : x);
        }
    }
}

/* All tiles of one packed block: c[mc, nc] += a[mc, kc] b[kc, nc]. */
static void FN(block)(int64_t mc, int64_t nc, int64_t kc, const R *a, const R *b, char *c,
                      const int64_t *c_rows, const int64_t *c_columns, int accumulate) {
    for (int64_t j = 0; j < nc; j += NR) {
        const int columns = (int)MIN((int64_t)NR, nc - j);
        int contiguous = columns == NR;
        for (int t = 1; contiguous && t < NR; t++)
            contiguous = c_columns[j + t] - c_columns[j + t - 1] == (int64_t)sizeof(T);
        const R *b_panel = b + j * kc * PARTS;
        for (int64_t i = 0; i < mc; i += MR) {
            const R *a_panel = a + i * kc * PARTS;
            const int rows = (int)MIN((int64_t)MR, mc - i);
            if (contiguous && FN(is_tile)(rows))
                FN(tile)(rows, kc, a_panel, b_panel, c + c_columns[j], c_rows + i, accumulate);
            else
                FN(tile_edge)(rows, columns, kc, a_panel, b_panel, c, c_rows + i, c_columns + j,
                              accumulate);
        }
    }
}

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
                    if (a_base != at || a_m != m || a_k != k)
                        FN(pack)(MR, 0, packed_a, at, a_rows, rows, a_ks, depth);
                    a_base = at, a_m = m, a_k = k;
                    FN(block)(rows, columns, depth, packed_a, packed_b, c + batch.c, c_rows,
                              c_columns, x->accumulate || k > 0);
                }
            }
        }
    }
}
