/* The microkernel: rows x NR elements of c from kc steps over rows of a and columns of b, which may be
 * packed panels or lie in memory.
 *
 * A row of the tile is one vector or two.  Complex elements stay interleaved: one pair of sums takes the
 * real parts of a times b, the other the imaginary parts times b; they meet when the tile is stored. */

/* Byte strides: between rows and between steps of a, between steps of b.  A packed panel of b has
 * NR elements a step; of a, a step is as long as the panel is wide. */
typedef struct {
    int64_t a_row, a_step, b_step;
} FN(tile_strides);

/* High tiles have few steps for the lines of memory that they need: so many a step are fetched at most. */
#define HIGH (MR >= 16)
#define LINES_A_STEP (HIGH ? 2 : 1)

/* Vectors so long that axes of tensors often end within one: its halves may be written apart.  Complex tiles
 * gain little, for they compute twice as long. */
#define HALVES (FLOATING && !COMPLEX && VBYTES == 64)

/* Tiles of one vector a row may take two panels of b and half of the rows: a number of a that is loaded once
 * meets two vectors.  A processor that multiplies as many vectors as it loads waits for its loads otherwise. */
#define TWO_PANELS (FLOATING && TILE_VECTORS == 1)
#define MOST_VECTORS (TWO_PANELS ? 2 : TILE_VECTORS)

/* Where a tile goes: row i at c + rows[i], its vectors at columns[] from there, or their halves.  While it is
 * computed, what is wanted soon comes nearer: lines[0 .. fetched), and bit by
 * bit the rows of a later tile, which begin at later + later_rows[i] and end `span` bytes on, unless
 * they are written past the caches. */
typedef struct {
    char *c;
    const int64_t *rows;
    int64_t columns[HALVES ? 2 * MOST_VECTORS : MOST_VECTORS];
    FN(write_mode) mode;
    const char *later;
    const int64_t *later_rows;
    int64_t span;
    const char *const *lines;
    int64_t fetched;
} FN(tile_target);

/* A row of b, whose vectors are so many bytes apart, times a column of a. */
ALWAYS_INLINE void FN(tile_step)(const int rows, const int vectors, const int64_t a_row,
                                 const int64_t apart, const char *a, const char *b,
                                 V sum[MR][PARTS][MOST_VECTORS]) {
    V row[MOST_VECTORS];
    for (int j = 0; j < vectors; j++) row[j] = *(const VU *)(b + j * apart);
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++) {
        const R x = FN(real)(a + i * a_row);
        for (int j = 0; j < vectors; j++) ACCUMULATE(sum[i][0][j], MULTIPLY(x, row[j]));
#if COMPLEX
        const R y = FN(real)(a + i * a_row + (int64_t)sizeof(R));
        for (int j = 0; j < vectors; j++) ACCUMULATE(sum[i][1][j], MULTIPLY(y, row[j]));
#endif
    }
}

#if FLOATING && STEPS_AT_ONCE > 1
/* The same of packed panels, for loops of several steps.  What is multiplied keeps its registers up
 * to the end, or compilers add into these and move sums about. */
ALWAYS_INLINE void FN(held_step)(const int rows, const char *a, const char *b,
                                 V sum[MR][PARTS][MOST_VECTORS]) {
    V row[TILE_VECTORS];
    for (int j = 0; j < TILE_VECTORS; j++) row[j] = *(const VU *)(b + j * VBYTES);
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++) {
        const V x = FN(real)(a + i * sizeof(T)) - (V){0};
        for (int j = 0; j < TILE_VECTORS; j++) sum[i][0][j] += x * row[j];
        HOLD(x);
#if COMPLEX
        const V y = FN(real)(a + i * sizeof(T) + sizeof(R)) - (V){0};
        for (int j = 0; j < TILE_VECTORS; j++) sum[i][1][j] += y * row[j];
        HOLD(y);
#endif
    }
    for (int j = 0; j < TILE_VECTORS; j++) HOLD(row[j]);
}
#endif

#if HALVES
typedef R FN(half_vector) __attribute__((vector_size(VBYTES / 2)));
typedef R FN(unaligned_half) __attribute__((vector_size(VBYTES / 2), aligned(1), may_alias));

/* One half goes to `first` columns from here, the other to `second`. */
ALWAYS_INLINE void FN(write_halves)(char *to, int64_t first, int64_t second, V x) {
    union {
        V whole;
        FN(half_vector) half[2];
    } at = {x};
    *(FN(unaligned_half) *)(to + first) = at.half[0];
    *(FN(unaligned_half) *)(to + second) = at.half[1];
}
#endif

ALWAYS_INLINE void FN(tile_rows)(const int rows, const int vectors, const int fetch,
                                 const int64_t a_row, const int64_t a_step, const int64_t b_step,
                                 const int64_t apart, int64_t kc, const char *a, const char *b,
                                 const FN(tile_target) *to) {
    char *const c = to->c;
    const char *const *lines = to->lines;
    V sum[MR][PARTS][MOST_VECTORS];
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            for (int part = 0; part < PARTS; part++) sum[i][part][j] = (V){0};
    const int64_t due = (to->fetched + LINES_A_STEP - 1) / LINES_A_STEP; /* steps */
    /* steps between fetches of rows, about as many cycles apart */
    const int stretch = 192 * TILE_VECTORS / (rows * vectors);
    int64_t p = 0, later = to->mode == FN(STREAM_PAST) || !to->later ? rows : 0;
    while (p < kc) {
        const int64_t end = MIN(p + stretch, kc);
        for (; later < rows && later * kc < rows * end; later++) {
            const char *row = to->later + to->later_rows[later];
            __builtin_prefetch(row, 0, 2);
            __builtin_prefetch(row + to->span, 0, 2);
        }
        const int64_t near = MIN(end, due);
        for (; fetch == FETCH_AHEAD && p < near; p++, a += a_step, b += b_step) {
            for (int i = 0; i < LINES_A_STEP; i++) __builtin_prefetch(*lines++, 0, 2); /* into L2 */
            FN(tile_step)(rows, vectors, a_row, apart, a, b, sum);
        }
        for (; p < end; p++, a += a_step, b += b_step) {
            if (fetch == FETCH_RIGHT) __builtin_prefetch(b + TILE_VECTORS * VBYTES);
            FN(tile_step)(rows, vectors, a_row, apart, a, b, sum);
        }
    }
#if COMPLEX
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            sum[i][0][j] += NEGATE_REAL * SWAP_PARTS(sum[i][1][j]);
#endif
#define WRITE_AS(mode)                                                                       \
    _Pragma("GCC unroll 24") for (int i = 0; i < rows; i++) for (int j = 0; j < vectors; j++) \
        FN(write)(c + to->rows[i] + to->columns[j], sum[i][0][j], mode)
    if (to->mode == FN(WRITE))
        WRITE_AS(FN(WRITE));
    else if (to->mode == FN(ADD))
        WRITE_AS(FN(ADD));
    else if (to->mode == FN(STREAM_PAST))
        WRITE_AS(FN(STREAM_PAST));
#undef WRITE_AS
#if HALVES
    else {
#pragma GCC unroll 24
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < vectors; j++)
                FN(write_halves)(c + to->rows[i], to->columns[2 * j], to->columns[2 * j + 1], sum[i][0][j]);
    }
#endif
}

/* So many instances that no row is computed in vain; integers, which take many instructions a row, do with few. */
ALWAYS_INLINE void FN(tile_any)(int rows, const int fetch, const int64_t a_row,
                                const int64_t a_step, const int64_t b_step, int64_t kc,
                                const char *a, const char *b, const FN(tile_target) *to) {
    if (rows == MR) { /* most are whole */
        FN(tile_rows)(MR, TILE_VECTORS, fetch, a_row, a_step, b_step, VBYTES, kc, a, b, to);
        return;
    }
    FN(tile_target) rest = *to;
#define INSTANCE(count)                                                              \
    while (MR >= count && rows >= count) {                                           \
        FN(tile_rows)                                                                \
        (MR >= count ? count : 1, TILE_VECTORS, fetch, a_row, a_step, b_step, VBYTES, kc, a, b, &rest); \
        a += count * a_row, rest.rows += count, rest.later_rows += count, rows -= count; \
    }
#if FLOATING
    INSTANCE(24)
    INSTANCE(16)
    INSTANCE(12)
    INSTANCE(8)
    INSTANCE(6)
    INSTANCE(5)
#endif
    INSTANCE(4)
#if FLOATING
    INSTANCE(3)
    INSTANCE(2)
#endif
    INSTANCE(1)
#undef INSTANCE
}

/* The highest tiles, and the lowest ones that share a loop. */
#define HIGHEST(pairs) ((pairs) ? MR / 2 : MR)
#define LOW(highest) ((highest) > 4 ? (highest) - 1 : (highest))

/* Tiles one below the other, of panels of a as wide as the highest ones or one less: in one loop, with little to
 * do between tiles, so that the multiply-adds of the next one begin while this one is written.  Each fetches its
 * share of the lines, of which there are as many as steps fetch together; later_rows are those of as many tiles. */
ALWAYS_INLINE void FN(tiles_written)(const int high, const int vectors, const FN(write_mode) mode,
                                     int64_t tiles, int64_t kc, const char *a, const char *const panel,
                                     int64_t apart, const FN(tile_target) *to) {
    const int64_t due = (to->fetched + LINES_A_STEP - 1) / LINES_A_STEP; /* steps */
    const int64_t share = MIN((due + tiles - 1) / tiles, kc) * LINES_A_STEP;
    const char *const *lines = to->lines, *const *const last = lines + due * LINES_A_STEP;
    const int64_t *rows = to->rows, *later_rows = to->later_rows;
    const char *const later = to->later;
    char *const c = to->c;
    const int64_t span = to->span;
    for (; tiles > 0; tiles--, rows += high) {
        V sum[MR][PARTS][MOST_VECTORS];
#pragma GCC unroll 24
        for (int i = 0; i < high; i++)
            for (int j = 0; j < vectors; j++)
                for (int part = 0; part < PARTS; part++) sum[i][part][j] = (V){0};
        const char *b = panel;
        int64_t left = kc;
        if (mode != FN(STREAM_PAST) && later) {
#pragma GCC unroll 24
            for (int i = 0; i < high; i++) {
                const char *row = later + later_rows[i];
                __builtin_prefetch(row, 0, 2);
                if (span) __builtin_prefetch(row + span, 0, 2);
            }
            later_rows += high;
        }
        const char *const *const near = lines + MIN(share, last - lines);
        for (; lines < near; lines += LINES_A_STEP, left--) {
            for (int i = 0; i < LINES_A_STEP; i++) __builtin_prefetch(lines[i], 0, 2); /* into L2 */
            FN(tile_step)(high, vectors, sizeof(T), apart, a, b, sum);
            a += high * sizeof(T), b += NR * sizeof(T);
        }
#if FLOATING && STEPS_AT_ONCE > 1
        for (; left >= STEPS_AT_ONCE; left -= STEPS_AT_ONCE)
#pragma GCC unroll 4
            for (int step = 0; step < STEPS_AT_ONCE; step++) {
                FN(held_step)(high, a, b, sum);
                a += high * sizeof(T), b += NR * sizeof(T);
            }
#endif
        for (; left > 0; left--, a += high * sizeof(T), b += NR * sizeof(T))
            FN(tile_step)(high, vectors, sizeof(T), apart, a, b, sum);
#if COMPLEX
        static const V negate = {SIGNS};
        const V *signs = &negate;
        OPAQUE(signs); /* no register for them during the steps */
#pragma GCC unroll 24
        for (int i = 0; i < high; i++)
            for (int j = 0; j < vectors; j++)
                sum[i][0][j] += *signs * SWAP_PARTS(sum[i][1][j]);
#endif
#if HALVES
#pragma GCC unroll 24
        for (int i = 0; mode == FN(WRITE_HALVES) && i < high; i++)
            for (int j = 0; j < vectors; j++)
                FN(write_halves)(c + rows[i], to->columns[2 * j], to->columns[2 * j + 1], sum[i][0][j]);
#endif
#pragma GCC unroll 24
        for (int i = 0; mode != FN(WRITE_HALVES) && i < high; i++)
            for (int j = 0; j < vectors; j++)
                FN(write)(c + rows[i] + to->columns[j], sum[i][0][j], mode);
    }
}

#define INSTANCE(name, high, vectors, apart)                                                     \
    static void FN(name)(int64_t tiles, int64_t kc, const char *a, const char *b,                \
                         const FN(tile_target) *to) {                                             \
        if (to->mode == FN(WRITE))                                                                \
            FN(tiles_written)(high, vectors, FN(WRITE), tiles, kc, a, b, apart, to);              \
        else if (to->mode == FN(ADD))                                                             \
            FN(tiles_written)(high, vectors, FN(ADD), tiles, kc, a, b, apart, to);                \
        else if (HALVES && to->mode == FN(WRITE_HALVES))                                          \
            FN(tiles_written)(high, vectors, FN(WRITE_HALVES), tiles, kc, a, b, apart, to);       \
        else                                                                                      \
            FN(tiles_written)(high, vectors, FN(STREAM_PAST), tiles, kc, a, b, apart, to);        \
    }
INSTANCE(tiles_down, MR, TILE_VECTORS, VBYTES)
INSTANCE(low_tiles_down, LOW(MR), TILE_VECTORS, VBYTES)
#if TWO_PANELS
#define APART (kc * NR * (int64_t)sizeof(T))
INSTANCE(half_tiles_down, MR / 2, 1, VBYTES)
INSTANCE(low_half_tiles_down, LOW(MR / 2), 1, VBYTES)
INSTANCE(pairs_down, MR / 2, 2, APART)
INSTANCE(low_pairs_down, LOW(MR / 2), 2, APART)
#undef APART
#endif
#undef INSTANCE

static void FN(tile_packed)(int rows, int64_t a_step, int64_t kc, const char *a, const char *b,
                            const FN(tile_target) *to) {
    FN(tile_any)(rows, FETCH_AHEAD, sizeof(T), a_step, NR * sizeof(T), kc, a, b, to);
}

static void FN(tile_strided)(int rows, FN(tile_strides) s, int64_t kc, const char *a,
                             const char *b, const FN(tile_target) *to) {
    FN(tile_any)(rows, FETCH_RIGHT, s.a_row, s.a_step, s.b_step, kc, a, b, to);
}

#if TWO_PANELS
/* Rows of a panel of a and two panels of b. */
#define INSTANCE(rows)                                                                              \
    static void FN(pair_##rows)(int64_t kc, const char *a, const char *b, const FN(tile_target) *to) { \
        FN(tile_rows)(rows <= MR / 2 ? rows : 1, 2, FETCH_AHEAD, sizeof(T), rows * sizeof(T),        \
                      NR * sizeof(T), kc * NR * (int64_t)sizeof(T), kc, a, b, to);                   \
    }
INSTANCE(1) INSTANCE(2) INSTANCE(3) INSTANCE(4) INSTANCE(5) INSTANCE(6)
INSTANCE(7) INSTANCE(8) INSTANCE(9) INSTANCE(10) INSTANCE(11) INSTANCE(12)
#undef INSTANCE

static void FN(tile_pair)(int rows, int64_t kc, const char *a, const char *b, const FN(tile_target) *to) {
#define REAL(rows) (COMPLEX ? FN(pair_1) : FN(pair_##rows))
    static void (*const instances[])(int64_t, const char *, const char *, const FN(tile_target) *) = {
        FN(pair_1), FN(pair_2), FN(pair_3), FN(pair_4), FN(pair_5), FN(pair_6),
        REAL(7),    REAL(8),    REAL(9),    REAL(10),   REAL(11),   REAL(12)};
#undef REAL
    instances[rows - 1](kc, a, b, to);
}
#endif
