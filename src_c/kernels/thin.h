/* Blocks of a product with few rows whose b runs along k: b is read where it lies, number by number, and
 * a, which is small, is what vectors are of.  Tiles are transposed when they are stored.
 *
 *   a: [bands][depth][width] elements, a band being as many rows as two or three vectors hold
 */

#define BAND_VECTORS 3
#define BAND_BYTES ((int)sizeof(Q)) /* of a vector: rows are few, and squares are what is transposed */
enum { FN(THIN_ROWS) = 24, FN(THIN_BYTES) = 26 << 10 }; /* at most: of a; of a band, which stays in L1 */
enum { FN(THIN_DEPTH) = 24, FN(THIN_RUN) = 2 * LINE_BYTES }; /* at least: steps; bytes of b side by side */

/* The vectors of a band for so many rows, the fewer lanes in vain the better; 0 if these are too many. */
static int FN(band_vectors)(int64_t rows) {
    int best = 0;
    int64_t least = rows + rows / 12;
    for (int v = BAND_VECTORS; v >= 2 && rows <= FN(THIN_ROWS); v--) {
        const int64_t bands = (rows + v * S - 1) / (v * S);
        if (bands * v * S <= least) best = v, least = bands * v * S - 1;
    }
    return best;
}

/* Whether this is the way; returns the vectors of a band, or 0. */
static int FN(is_thin)(const tn_blocking *x) {
    const tn_boxes *m = &x->m, *n = &x->n, *k = &x->k;
    int64_t rows = 1, run = 1;
    for (int d = 0; d < m->n_dims; d++) rows *= m->dims[d].n;
    for (int d = 0; d < k->n_dims; d++)
        if (k->dims[d].sb == (int64_t)sizeof(T)) run = k->tile[d];
    const int last = n->n_dims - 1;
    if (m->count > 1 || last < 0 || x->kc < FN(THIN_DEPTH)) return 0;
    if (run * (int64_t)sizeof(T) < FN(THIN_RUN)) return 0;
    if (n->dims[last].sc != (int64_t)sizeof(T) || n->dims[last].n % PIECE || n->tile[last] % PIECE)
        return 0;
    const int vectors = FN(band_vectors)(rows);
    const int64_t padded = vectors ? (rows + vectors * S - 1) / (vectors * S) * (vectors * S) : 0;
    return padded <= x->mc && vectors * BAND_BYTES * x->kc <= FN(THIN_BYTES) ? vectors : 0;
}

static void FN(pack_bands)(const FN(block) *x, R *to, const char *from, const int64_t *down) {
    const int64_t width = x->vectors * S;
    for (int64_t i = 0; i < x->rows; i += width)
        for (int64_t p = 0; p < x->depth; p++, to += width) {
            const int64_t rows = MIN(width, x->rows - i);
            FN(gather)(to, from + down[p], x->a_rows + i, (int)rows);
            if (rows < width) memset(to + rows, 0, (size_t)(width - rows) * sizeof(T));
        }
}

/* The first `left` of S rows of PIECE neighbouring columns, given as columns. */
ALWAYS_INLINE void FN(put_pieces)(Q *columns, const int64_t *rows, int64_t left, int accumulate, char *c) {
    typedef R piece __attribute__((vector_size(PIECE * sizeof(T)), aligned(1), may_alias));
    FN(flip_squares)(columns, PIECE);
#pragma GCC unroll 4
    for (int g = 0; g < S; g += PIECE)
#pragma GCC unroll 4
        for (int r = 0; r < PIECE; r++) {
            if (g + r >= left) return;
            piece *to = (piece *)(c + rows[g + r]), value;
            memcpy(&value, (const R *)&columns[r] + g, sizeof value);
            if (accumulate) value += *to;
            *to = value;
        }
}

/* The same for sums that are added to c, and for the last rows. */
static __attribute__((noinline)) void FN(put_last_pieces)(const FN(block) *x, const Q *columns, int64_t row,
                                                           char *c) {
    Q kept[S];
    for (int r = 0; r < PIECE; r++) kept[r] = columns[r];
    FN(put_pieces)(kept, x->c_rows + row, x->rows - row, x->accumulate, c);
}

/* Fetches this tile's share of the lines of c that tiles a little further on write. */
ALWAYS_INLINE void FN(fetch_pieces)(const int vectors, const FN(block) *x, int64_t i, int64_t j) {
    enum { TILES = LINE_BYTES / (PIECE * sizeof(T)), AHEAD = 2 * TILES * PIECE };
    const int share = vectors * S / TILES;
    const char *c = x->c + x->c_columns[MIN(j + AHEAD, x->columns - PIECE)];
    const int64_t *rows = x->c_rows + MIN(i + j / PIECE % TILES * share, x->rows - share);
    for (int r = 0; r < share; r++) __builtin_prefetch(c + rows[r], 0, 2);
}

/* The band of a from row i on, times PIECE columns of b. */
ALWAYS_INLINE void FN(thin_tile)(const int vectors, const FN(block) *x, int64_t i, int64_t j,
                                 const char *const *lines, int64_t fetched) {
    Q sum[PIECE][BAND_VECTORS];
    const char *from[PIECE], *a = (const char *)(x->packed_a + i * x->depth);
    const int64_t *down = x->b_steps;
    FN(fetch_pieces)(vectors, x, i, j);
#pragma GCC unroll 4
    for (int r = 0; r < PIECE; r++) {
        from[r] = x->b_from + x->b_columns[j + r];
        for (int v = 0; v < vectors; v++) sum[r][v] = (Q){0};
    }
    for (int64_t p = 0; p < x->depth; p++, a += vectors * BAND_BYTES) {
        Q row[BAND_VECTORS];
        if (p < fetched) __builtin_prefetch(lines[p], 0, 2); /* into L2 */
        for (int v = 0; v < vectors; v++) row[v] = *(const Q *)(a + v * BAND_BYTES);
#pragma GCC unroll 4
        for (int r = 0; r < PIECE; r++) {
            Q number = FN(real)(from[r] + down[p]) - (Q){0};
            OPAQUE_VECTOR(number); /* loaded once */
            for (int v = 0; v < vectors; v++) sum[r][v] += number * row[v];
        }
    }
#pragma GCC unroll 3
    for (int v = 0; v < vectors; v++) {
        Q columns[S];
#pragma GCC unroll 4
        for (int r = 0; r < PIECE; r++) columns[r] = sum[r][v];
        const int64_t row = i + v * S;
        char *c = x->c + x->c_columns[j];
        if (row + S <= x->rows && !x->accumulate) {
            FN(put_pieces)(columns, x->c_rows + row, S, 0, c);
            continue;
        }
        Q kept[PIECE];
        for (int r = 0; r < PIECE; r++) kept[r] = sum[r][v];
        FN(put_last_pieces)(x, kept, row, c);
    }
}

/* One band after the other: that in use stays in L1, and b in L2. */
ALWAYS_INLINE void FN(run_bands)(FN(block) *x, const int vectors) {
    const char *lines[FN(FETCHED)];
    const int64_t room = MIN(x->depth, (int64_t)FN(FETCHED));
    for (int64_t i = 0; i < x->rows; i += vectors * S)
        for (int64_t j = 0; j < x->columns; j += PIECE)
            FN(thin_tile)(vectors, x, i, j, lines, next_lines(&x->ahead[1], room, lines));
}

/* In functions of their own: registers are allotted to one loop. */
static __attribute__((noinline)) void FN(run_high_bands)(FN(block) *x) { FN(run_bands)(x, BAND_VECTORS); }
static __attribute__((noinline)) void FN(run_low_bands)(FN(block) *x) { FN(run_bands)(x, 2); }

static void FN(run_thin)(FN(block) *x) {
    if (x->vectors == BAND_VECTORS)
        FN(run_high_bands)(x);
    else
        FN(run_low_bands)(x);
}

#undef BAND_VECTORS
#undef BAND_BYTES
