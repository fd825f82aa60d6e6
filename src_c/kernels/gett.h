/* GETT: the blocked, packed, register-tiled contraction (Matthews 2018; Springer & Bientinesi 2018).
 *
 * Five loops as in BLIS, over boxes of the m, n and k axes instead of ranges.  Operands that lie well
 * are read where they are; the others are packed straight from their strides, so no operand is ever
 * transposed in memory. */

#define E (VL / PARTS)

/* One block: rows of a, columns of b, steps of k, with their offsets. */
typedef struct {
    int64_t rows, columns, depth;
    const int64_t *a_rows, *c_rows, *b_columns, *c_columns;
    const char *a, *b; /* the operands; NULL where only the packed block is read */
    const R *packed_a, *packed_b;
    FN(tile_strides) strides; /* of the operands that are not packed */
    int64_t width;            /* rows of a panel of a */
    tn_run a_run, b_run;      /* how the steps of k lie on the operands */
    char *c;
    int accumulate;
} FN(block);

/* Columns that are not neighbours, and panels at the edge, pass through a contiguous buffer. */
static void FN(store_edge)(const FN(block) *x, int64_t i, int rows, const int64_t *c_columns,
                           int columns, const R *buffer) {
    for (int r = 0; r < rows; r++) {
        const char *row = (const char *)buffer + r * NR * (int64_t)sizeof(T);
        char *to = x->c + x->c_rows[i + r];
        for (int j = 0; j < columns; j++) {
            char *at = to + c_columns[j];
            T value = FN(load)(row + (size_t)j * sizeof(T));
            FN(store)(at, x->accumulate ? FN(plus)(FN(load)(at), value) : value);
        }
    }
}

ALWAYS_INLINE void FN(one_tile)(const FN(block) *x, int64_t i, int rows, int64_t j, int columns,
                                const FN(tile_target) *to) {
    const int b_direct = x->b && columns == NR;
    const char *a = x->a ? x->a + x->a_rows[i] : (const char *)(x->packed_a + i * x->depth * PARTS);
    const char *b = b_direct ? x->b + x->b_columns[j]
                             : (const char *)(x->packed_b + j * x->depth * PARTS);
    /* the last panel is narrower */
    const int64_t packed_step = MIN(x->width, x->rows - i / x->width * x->width) * sizeof(T);
    if (!x->a && !b_direct) {
        FN(tile_packed)(rows, packed_step, x->depth, a, b, to);
        return;
    }
    const FN(tile_strides) s = {x->a ? x->strides.a_row : (int64_t)sizeof(T),
                                x->a ? x->strides.a_step : packed_step,
                                b_direct ? x->strides.b_step : NR * (int64_t)sizeof(T)};
    FN(tile_strided)(rows, s, x->depth, a, b, to);
}

/* All tiles of one block: c[rows, columns] += a[rows, depth] b[depth, columns]. */
static void FN(run_block)(const FN(block) *x) {
    _Alignas(64) R buffer[MR * NR * PARTS];
    int64_t buffer_rows[MR];
    for (int i = 0; i < MR; i++) buffer_rows[i] = i * NR * (int64_t)sizeof(T);
    for (int64_t j = 0; j < x->columns; j += NR) {
        const int64_t *c_columns = x->c_columns + j;
        const int columns = (int)MIN((int64_t)NR, x->columns - j);
        const int whole =
            columns == NR && FN(neighbours)(c_columns, E) && FN(neighbours)(c_columns + E, E);
        for (int64_t i = 0; i < x->rows; i += x->width) {
            const int rows = (int)MIN(x->width, x->rows - i);
            if (whole) {
                const FN(tile_target) to = {x->c, x->c_rows + i, c_columns[0], c_columns[E],
                                            x->accumulate};
                FN(one_tile)(x, i, rows, j, columns, &to);
                continue;
            }
            const FN(tile_target) to = {(char *)buffer, buffer_rows, 0, VBYTES, 0};
            FN(one_tile)(x, i, rows, j, columns, &to);
            FN(store_edge)(x, i, rows, c_columns, columns, buffer);
        }
    }
}

/* Panels as wide as MR allows, and equally wide. */
ALWAYS_INLINE int64_t FN(panel_width)(int64_t rows) {
    const int64_t panels = (rows + MR - 1) / MR;
    return (rows + panels - 1) / panels;
}

static void FN(pack_a)(const FN(block) *x, R *to, const char *from, const int64_t *down) {
    for (int64_t i = 0; i < x->rows; i += x->width)
        FN(pack_rows)(to + i * x->depth * PARTS, from, x->a_rows + i,
                      (int)MIN(x->width, x->rows - i), down, x->depth, x->a_run);
}

/* Packs columns from number `first` on, which is a multiple of NR. */
static void FN(pack_b)(const FN(block) *x, R *to, const char *from, const int64_t *down,
                       int64_t first, tn_run columns) {
#if FLOATING
    if (columns.across > 1 && columns.along >= E && E > 1) {
        FN(pack_across)(to, from, x->b_columns, x->columns, down, x->depth, columns);
        return;
    }
#else
    (void)columns;
#endif
    for (int64_t j = first; j < x->columns; j += NR)
        FN(pack_columns)(to + j * x->depth * PARTS, from, x->b_columns + j,
                         (int)MIN((int64_t)NR, x->columns - j), down, x->depth, x->b_run);
}

static void FN(gett)(const tn_contraction *x, const tn_blocking *blocking, const char *a,
                     const char *b, char *c, const tn_box *box, const tn_worker *worker) {
    const tn_boxes *boxes_m = &blocking->m, *boxes_n = &blocking->n, *boxes_k = &blocking->k;
    const int64_t mc = blocking->mc, nc = blocking->nc, kc = blocking->kc;
    R *packed_a = (R *)worker->workspace;
    R *packed_b = (R *)((char *)packed_a + TN_ALIGNED(mc * kc * (int64_t)sizeof(T) + VBYTES));
    int64_t *a_rows = (int64_t *)((char *)packed_b + TN_ALIGNED(nc * kc * (int64_t)sizeof(T)));
    int64_t *c_rows = a_rows + mc, *b_columns = c_rows + mc, *c_columns = b_columns + nc,
            *a_ks = c_columns + nc, *b_ks = a_ks + kc;
    int64_t extents[TN_MAX_DIMS];
    const FN(tile_strides) strides = {
        boxes_m->n_dims == 1 ? boxes_m->dims[0].sa : 0,
        boxes_k->n_dims == 1 ? boxes_k->dims[0].sa : 0,
        boxes_k->n_dims == 1 ? boxes_k->dims[0].sb : 0,
    };
    FN(block) block = {.a_rows = a_rows, .c_rows = c_rows, .b_columns = b_columns,
                       .c_columns = c_columns, .packed_a = packed_a, .packed_b = packed_b,
                       .strides = strides};
    /* what the packed buffers hold: broadcast batches and single blocks are packed once */
    const char *a_base = NULL, *b_base = NULL;
    int64_t a_m = -1, a_k = -1, b_n = -1, b_k = -1;
    tn_walk batch;
    walk_to(&batch, x->dims, x->n_batch, box->batch0);
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&batch)) {
        const char *at = a + batch.a, *bt = b + batch.b;
        block.c = c + batch.c;
        for (int64_t n = box->n0; n < box->n1; n++)
            for (int64_t k = 0; k < boxes_k->count; k++) {
                if (tn_stopped(worker->control, worker->index)) return;
                if (b_base != bt || b_n != n || b_k != k) {
                    block.depth = fill_box(boxes_k, k, ON_A, ON_B, a_ks, b_ks, extents);
                    block.a_run = unit_run(boxes_k, extents, ON_A, sizeof(T));
                    block.b_run = unit_run(boxes_k, extents, ON_B, sizeof(T));
                    block.columns = fill_box(boxes_n, n, ON_B, ON_C, b_columns, c_columns, extents);
                    block.b = blocking->b_direct ? bt + b_ks[0] : NULL;
                    const int64_t direct = block.b ? block.columns / NR * NR : 0;
                    FN(pack_b)(&block, packed_b, bt, b_ks, direct,
                               unit_run(boxes_n, extents, ON_B, sizeof(T)));
                    b_base = bt, b_n = n, b_k = k;
                }
                for (int64_t m = box->m0; m < box->m1; m++) {
                    if (a_base != at || a_m != m || a_k != k) {
                        block.rows = fill_box(boxes_m, m, ON_A, ON_C, a_rows, c_rows, extents);
                        block.width = FN(panel_width)(block.rows);
                        block.a = blocking->a_direct ? at + a_ks[0] : NULL;
                        if (!block.a) FN(pack_a)(&block, packed_a, at, a_ks);
                        a_base = at, a_m = m, a_k = k;
                    }
                    block.accumulate = x->accumulate || k > 0;
                    FN(run_block)(&block);
                }
            }
    }
}

#undef E
