/* Moves a tile by squares of SIDE x SIDE elements that are transposed in registers, WIDE of them next
 * to each other along c; the last ones overlap those before.  transpose.h includes this file once per
 * shape with
 *   ROW_LANES  the lanes of one row of the squares */
#define SHAPED(x) FN(TN_PASTE(TN_PASTE(x, WIDE), SIDE))
#define ROW SHAPED(row)
#define ROW_U SHAPED(unaligned_row)
typedef R ROW __attribute__((vector_size(WIDE * SIDE * sizeof(T))));
typedef R ROW_U __attribute__((vector_size(WIDE * SIDE * sizeof(T)), aligned(1), may_alias));

/* One column of each square. */
#if WIDE == 4
#define COLUMNS(a, at)                                                                     \
    (ROW)(FN(doubles)) {                                                                   \
        FN(eight_bytes)((a) + (at)[0]), FN(eight_bytes)((a) + (at)[SIDE]),                 \
            FN(eight_bytes)((a) + (at)[2 * SIDE]), FN(eight_bytes)((a) + (at)[3 * SIDE])   \
    }
#elif WIDE == 2
#define COLUMNS(a, at)                                                                     \
    (ROW)(FN(doubles)) {                                                                   \
        (*(const FN(two_doubles) *)((a) + (at)[0]))[0],                                    \
            (*(const FN(two_doubles) *)((a) + (at)[0]))[1],                                \
            (*(const FN(two_doubles) *)((a) + (at)[SIDE]))[0],                             \
            (*(const FN(two_doubles) *)((a) + (at)[SIDE]))[1]                              \
    }
#else
#define COLUMNS(a, at) *(const ROW_U *)((a) + (at)[0])
#endif

/* Exchanges one bit of the row and the column after the other. */
#define STAGE(bit)                                                                 \
    if (bit < SIDE) {                                                              \
        _Pragma("GCC unroll 8") for (int i = 0; i < SIDE; i++) {                   \
            const int j = (i + bit) % SIDE;                                        \
            if (i & bit) continue;                                                 \
            ROW low = SHUFFLE(x[i], x[j], ROW_LANES(EXCHANGE_LOW, bit * PARTS));    \
            x[j] = SHUFFLE(x[i], x[j], ROW_LANES(EXCHANGE_HIGH, bit * PARTS));      \
            x[i] = low;                                                            \
        }                                                                          \
    }

ALWAYS_INLINE void SHAPED(flip)(const char *a, const int64_t *columns, char *to,
                                const int64_t *rows) {
    ROW x[SIDE];
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i++) x[i] = COLUMNS(a, columns + i);
#if R_BYTES == 4 && PARTS == 1 && SIDE > 2 /* as in flip_square */
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i += 2) {
        const ROW low = SHUFFLE(x[i], x[i + 1], ROW_LANES(INTERLEAVE_LOW, 1));
        x[i + 1] = SHUFFLE(x[i], x[i + 1], ROW_LANES(INTERLEAVE_HIGH, 1));
        x[i] = low;
    }
    STAGE(2)
    STAGE(4)
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i += 4) {
        const ROW second = x[i + 2];
        x[i + 2] = x[i + 1];
        x[i + 1] = second;
    }
#else
    STAGE(1)
    STAGE(2)
    STAGE(4)
#endif
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i++) *(ROW_U *)(to + rows[i]) = x[i];
}

/* Moves strips of c in blocks a line wide on a, and fetches what the next strip, or the tile at `ahead`,
 * has there. */
ALWAYS_INLINE void SHAPED(put_strips)(const copy_tile *t, const int mode, const char *a, char *c,
                                      const char *ahead, char *kept, int begun) {
    enum { STEP = WIDE * SIDE, LINE = TILE_LINE / sizeof(T), WIDEST = TILE_LINE + WIDEST_STRIP };
    const int64_t size = sizeof(T), strip = t->strip / size, pitch = TILE_LINE + t->strip;
    char block[(SIDE + LINE) * WIDEST] __attribute__((aligned(TILE_LINE)));
    char *const first = block + SIDE * pitch + TILE_LINE; /* after the line of an earlier part */
    int64_t rows[SIDE];
    for (int r = 0; r < SIDE; r++) rows[r] = r * pitch;
    for (int64_t j = 0; j < t->along; j += strip) {
        const int64_t points = MIN(strip, t->along - j);
        const int more = j + strip < t->along;
        const char *next = more ? a : ahead;
        const int64_t *later = t->along_a + (more ? j + strip : 0);
        char *line = kept;
        for (int64_t o = 0; o < t->between; o++)
            for (int64_t i = 0; i < t->across; i += LINE) {
                const int64_t count = MIN(LINE, t->across - i), at = t->between_a[o] + i * size;
                char *to = c + t->between_to[o] + j * size;
                for (int64_t r = 0; mode == PUT_SHIFTED && r < count; r++)
                    FN(copy_line)(first + r * pitch - TILE_LINE, line + r * TILE_LINE);
                for (int64_t p = 0; p < points; p += STEP) {
                    for (int q = 0; t->ahead && q < STEP; q++) /* into L2 */
                        __builtin_prefetch(next + at + later[p + q], 0, 2);
                    for (int64_t q = 0; q < count; q += SIDE) {
                        const int64_t x = MIN(q, t->across - SIDE - i);
                        SHAPED(flip)(a + at + x * size, t->along_a + j + p,
                                     first + x * pitch + p * size, rows);
                    }
                }
                for (int64_t r = 0; r < count; r++, line += TILE_LINE)
                    FN(put_part)(mode, first + r * pitch, to + t->across_to[i + r], points * size,
                                 line, begun || j > 0);
            }
    }
}

/* Squares that make `points` along c of all rows, from j on. */
ALWAYS_INLINE void SHAPED(put_plainly)(const copy_tile *t, const char *a, char *c, int64_t j,
                                       const int points) {
    const int64_t size = sizeof(T);
    for (int64_t o = 0; o < t->between; o++) {
        const char *from = a + t->between_a[o];
        char *to = c + t->between_to[o] + j * size;
        for (int64_t i = 0, rest = t->across; rest > 0; rest -= SIDE, i += MIN(SIDE, rest))
            for (int p = 0; p < points; p += WIDE * SIDE)
                SHAPED(flip)(from + i * size, t->along_a + j + p, to + p * size, t->across_to + i);
    }
}

static inline void SHAPED(fill)(const copy_tile *t, int mode, const char *a, char *c,
                                const char *ahead, char *kept, int begun) {
    enum { STEP = WIDE * SIDE, LINE = TILE_LINE / sizeof(T) };
    int64_t j = 0;
    for (; mode == PUT_PLAIN && j + LINE <= t->along; j += LINE)
        SHAPED(put_plainly)(t, a, c, j, LINE);
    for (; mode == PUT_PLAIN && j < t->along; j += STEP)
        SHAPED(put_plainly)(t, a, c, MIN(j, t->along - STEP), STEP);
    if (mode == PUT_WHOLE) SHAPED(put_strips)(t, PUT_WHOLE, a, c, ahead, kept, begun);
    if (mode == PUT_SHIFTED) SHAPED(put_strips)(t, PUT_SHIFTED, a, c, ahead, kept, begun);
    if (mode == PUT_ADDED) SHAPED(put_strips)(t, PUT_ADDED, a, c, ahead, kept, begun);
}

#undef STAGE
#undef COLUMNS
#undef ROW
#undef ROW_U
#undef SHAPED
#undef ROW_LANES
#undef SIDE
#undef WIDE
