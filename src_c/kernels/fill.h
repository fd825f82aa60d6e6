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
#elif WIDE == 2 && SIDE == 8
#define COLUMNS(a, at)                                                                         \
    (ROW) JOIN_4(FN(long_row), *(const FN(unaligned_row) *)((a) + (at)[0]),                    \
                 *(const FN(unaligned_row) *)((a) + (at)[SIDE]))
#elif WIDE == 2
#define COLUMNS(a, at)                                                                     \
    (ROW)(FN(doubles)) {                                                                   \
        (*(const FN(unaligned_two) *)((a) + (at)[0]))[0],                                    \
            (*(const FN(unaligned_two) *)((a) + (at)[0]))[1],                                \
            (*(const FN(unaligned_two) *)((a) + (at)[SIDE]))[0],                             \
            (*(const FN(unaligned_two) *)((a) + (at)[SIDE]))[1]                              \
    }
#else
#define COLUMNS(a, at) *(const ROW_U *)((a) + (at)[0])
#endif

/* Whether a row is a vector of two halves, and what they are of two columns. */
#define HALVES (VBYTES == 32 && WIDE == 1 && SIDE * R_BYTES * PARTS == 32)
#define HALF(a) (*(const FN(half_row) *)(a))
#define BOTH(a, b) (ROW) JOIN_2(FN(whole_row), HALF(a), HALF(b))

/* Exchanges one bit of the row and the column after the other. */
#define STAGE(bit)                                                                 \
    if (bit < side) {                                                              \
        _Pragma("GCC unroll 16") for (int i = 0; i < SIDE; i++) {                  \
            const int j = (i + bit) % SIDE;                                        \
            if (i & bit) continue;                                                 \
            ROW low = SHUFFLE(x[i], x[j], ROW_LANES(EXCHANGE_LOW, bit * PARTS));    \
            x[j] = SHUFFLE(x[i], x[j], ROW_LANES(EXCHANGE_HIGH, bit * PARTS));      \
            x[i] = low;                                                            \
        }                                                                          \
    }

/* The exchanges of the bits of `side`. */
ALWAYS_INLINE void SHAPED(exchange)(ROW *x, const int side) {
#if R_BYTES == 4 && PARTS == 1 && SIDE > 2 /* as in flip_square */
#pragma GCC unroll 16
    for (int i = 0; i < SIDE; i += 2) {
        const ROW low = SHUFFLE(x[i], x[i + 1], ROW_LANES(INTERLEAVE_LOW, 1));
        x[i + 1] = SHUFFLE(x[i], x[i + 1], ROW_LANES(INTERLEAVE_HIGH, 1));
        x[i] = low;
    }
    STAGE(2)
    STAGE(4)
    STAGE(8)
#pragma GCC unroll 16
    for (int i = 0; i < SIDE; i += 4) {
        const ROW second = x[i + 2];
        x[i + 2] = x[i + 1];
        x[i + 1] = second;
    }
#else
    STAGE(1)
    STAGE(2)
    STAGE(4)
    STAGE(8)
#endif
}

#ifdef IN_A_ROW
#include "lines.h"
#endif
#if WIDE * SIDE <= 8 /* wider ones are for lines only */

ALWAYS_INLINE void SHAPED(finish)(ROW *x, const int side, char *to, const int64_t *rows) {
    SHAPED(exchange)(x, side);
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i++) *(ROW_U *)(to + rows[i]) = x[i];
}

ALWAYS_INLINE void SHAPED(flip)(const char *a, const int64_t *columns, char *to,
                                const int64_t *rows) {
    ROW x[SIDE];
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i++) x[i] = COLUMNS(a, columns + i);
    SHAPED(finish)(x, SIDE, to, rows);
}

/* The same for a row of squares in a narrow block.  Where vectors have two halves, loading these apart does
 * the work of exchanging the last bit. */
ALWAYS_INLINE void SHAPED(flip_narrow)(const char *a, const int64_t *columns, char *to,
                                       const int64_t *rows) {
#if HALVES
    ROW x[SIDE];
#pragma GCC unroll 4
    for (int i = 0; i < SIDE / 2; i++) {
        const char *one = a + columns[i], *other = a + columns[i + SIDE / 2];
        x[i] = BOTH(one, other);
        x[i + SIDE / 2] = BOTH(one + 16, other + 16);
    }
    SHAPED(finish)(x, SIDE / 2, to, rows);
#else
    SHAPED(flip)(a, columns, to, rows);
#endif
    __asm__ volatile("" ::: "memory"); /* there are registers for one square only */
}

/* Transposes a narrow block into a buffer, and fetches the same columns of a later strip meanwhile: an
 * even stream. */
ALWAYS_INLINE void SHAPED(fill_narrow)(const copy_tile *t, const tile_block *b, const char *a,
                                       char *to, const tile_block *later, const char *ahead) {
    enum { STEP = WIDE * SIDE, LINE = TILE_LINE / sizeof(T), PAIRS = LINE == 2 * SIDE };
    const int64_t size = sizeof(T), pitch = t->pitch, points = b->points;
    const int64_t room = t->across - SIDE - b->i;
    const int64_t *along_a = t->along_a + b->j, *along_later = t->along_a + later->j;
    const char *const soon = ahead + t->between_a[b->o] + b->i * size;
    int64_t rows[SIDE];
    for (int r = 0; r < SIDE; r++) rows[r] = r * pitch;
    a += t->between_a[b->o] + b->i * size;
    for (int64_t x = 0; x < b->columns; x += PAIRS ? LINE : SIDE) {
        const int64_t first = MIN(x, room), second = MIN(x + SIDE, room);
        const char *from = a + first * size, *beside = a + second * size;
        char *square = to + first * pitch, *below = to + second * pitch;
        const int fetch = t->ahead && x == 0, both = PAIRS && x + SIDE < b->columns;
        for (int64_t p = 0; p < points; p += STEP) {
            for (int q = 0; fetch && q < STEP; q++) /* into L2 */
                __builtin_prefetch(soon + along_later[p + q], 0, 2);
            SHAPED(flip_narrow)(from, along_a + p, square + p * size, rows);
            if (both) SHAPED(flip_narrow)(beside, along_a + p, below + p * size, rows);
        }
    }
}

/* The same with any block, which is fetched by whoever puts it. */
ALWAYS_INLINE void SHAPED(fill_wide)(const copy_tile *t, const tile_block *b, const char *a, char *to) {
    enum { STEP = WIDE * SIDE };
    const int64_t size = sizeof(T), pitch = t->pitch, room = t->across - SIDE - b->i;
    const int64_t last = t->joined ? b->points - STEP : b->points; /* no room between joined rows */
    int64_t rows[SIDE];
    for (int r = 0; r < SIDE; r++) rows[r] = r * pitch;
    for (int64_t o = 0; o < b->outers; o++, to += b->columns * pitch) {
        const char *from = a + t->between_a[b->o + o] + b->i * size;
        for (int64_t p = 0; p < b->points; p += STEP) {
            const int64_t y = MIN(p, last);
            for (int64_t q = 0; q < b->columns; q += SIDE) {
                const int64_t x = MIN(q, room);
                SHAPED(flip)(from + x * size, t->along_a + b->j + y, to + x * pitch + y * size, rows);
            }
        }
    }
}

/* The same with rows that meet in few sets of the cache, where no more than the next points may
 * wait: these are fetched, in a later block after the last ones. */
static __attribute__((noinline)) void SHAPED(fill_meeting)(const copy_tile *t,
                                                           const tile_block *b, const char *a,
                                                           char *to, const tile_block *later,
                                                           const char *ahead) {
    enum { STEP = WIDE * SIDE, LINE = TILE_LINE / sizeof(T) };
    const int64_t size = sizeof(T), pitch = t->pitch, room = t->across - SIDE - b->i;
    int64_t rows[SIDE];
    for (int r = 0; r < SIDE; r++) rows[r] = r * pitch;
    for (int64_t o = 0; o < b->outers; o++, to += b->columns * pitch) {
        const char *from = a + t->between_a[b->o + o] + b->i * size;
        const char *then = ahead + t->between_a[later->o] + later->i * size;
        for (int64_t p = 0; p < b->points; p += STEP) {
            const int within = p + STEP < b->points;
            const int64_t *along_a = t->along_a + b->j + p;
            const int64_t *soon = within ? along_a + STEP : t->along_a + later->j;
            const char *line = (within ? from : then) + TILE_LINE - 1;
            for (int64_t x = 0; x < b->columns; x += LINE, line += TILE_LINE) {
                for (int q = 0; q < STEP; q++) __builtin_prefetch(line + soon[q]);
                for (int64_t y = x; y < MIN(x + LINE, b->columns); y += SIDE) {
                    const int64_t i = MIN(y, room);
                    SHAPED(flip)(from + i * size, along_a, to + i * pitch + p * size, rows);
                }
            }
        }
    }
}

/* Moves strips of c in blocks, and fetches what later ones read, which may be in the tile at `ahead`. */
ALWAYS_INLINE void SHAPED(put_blocks)(const copy_tile *t, const int mode, const int narrow,
                                      const char *a, char *c, const char *ahead, char *kept,
                                      int begun) {
    enum { LINE = TILE_LINE / sizeof(T) };
    char block[BLOCK_BYTES + 2 * TILE_LINE] __attribute__((aligned(TILE_LINE)));
    char *const first = block + (SIDE * t->pitch / TILE_LINE + 2) * TILE_LINE; /* after what waits */
    const int64_t columns = narrow ? LINE : t->columns, outers = narrow ? 1 : t->outers;
    const int64_t lead = (int64_t)(-(uintptr_t)a % TILE_LINE / sizeof(T));
    const int64_t begin = !narrow && t->even && lead ? lead : columns;
    for (int64_t j = 0; j < t->along; j += t->strip)
        for (int64_t o = 0; o < t->between; o += outers)
            for (int64_t i = 0; i < t->across; i += i ? columns : begin) {
                const int64_t between = narrow ? 1 : MIN(outers, t->between - o);
                const tile_block b = block_at(t, j, o, between, i, i ? columns : begin);
                const tile_block later = narrow ? next_strip(t, &b) : next_block(t, &b, begin);
                const char *next = later.wraps ? ahead : a;
                FN(wait_in_front)(t, narrow, &b, mode, first, kept);
                if (narrow)
                    SHAPED(fill_narrow)(t, &b, a, first, &later, next);
                else if (t->meeting)
                    SHAPED(fill_meeting)(t, &b, a, first, &later, next);
                else
                    SHAPED(fill_wide)(t, &b, a, first);
                FN(put_block)(t, narrow, &b, mode, first, c, kept, begun, &later, next);
            }
}

/* Squares that make `points` along c of some rows, from j and row `first` on, at some points between. */
ALWAYS_INLINE void SHAPED(put_plainly)(const copy_tile *t, const char *a, char *c, int64_t j, const int points,
                                       int64_t first, int64_t count, int64_t o, int64_t end) {
    const int64_t size = sizeof(T);
    for (; o < end; o++) {
        const char *from = a + t->between_a[o];
        char *to = c + t->between_to[o] + j * size;
        for (int64_t i = first, rest = count; rest > 0; rest -= SIDE, i += MIN(SIDE, rest))
            for (int p = 0; p < points; p += WIDE * SIDE)
                SHAPED(flip)(from + i * size, t->along_a + j + p, to + p * size, t->across_to + i);
    }
}

/* Squares that make a few rows of c from end to end, whose places stay in registers. */
ALWAYS_INLINE void SHAPED(put_few)(const copy_tile *t, const char *a, char *c) {
    enum { STEP = WIDE * SIDE };
    const int64_t size = sizeof(T), points = t->along, *along_a = t->along_a;
    for (int64_t i = 0; i < t->across; i += SIDE) {
        const int64_t first = MIN(i, t->across - SIDE);
        const char *from = a + first * size;
        char *to[SIDE];
        for (int r = 0; r < SIDE; r++) to[r] = c + t->across_to[first + r];
        for (int64_t j = 0; j < points; j += STEP) {
            const int64_t p = MIN(j, points - STEP);
            ROW x[SIDE];
#pragma GCC unroll 8
            for (int q = 0; q < SIDE; q++) x[q] = COLUMNS(from, along_a + p + q);
            SHAPED(exchange)(x, SIDE);
#pragma GCC unroll 8
            for (int r = 0; r < SIDE; r++) *(ROW_U *)(to[r] + p * size) = x[r];
        }
    }
}

/* On its own, so that the compiler has an eye for those that are put plainly. */
static __attribute__((noinline)) void SHAPED(put_strips)(const copy_tile *t, int mode, const char *a,
                                                         char *c, const char *ahead, char *kept,
                                                         int begun) {
    if (mode == PUT_ADDED)
        SHAPED(put_blocks)(t, PUT_ADDED, 1, a, c, ahead, kept, begun);
    else if (mode == PUT_WHOLE && t->narrow)
        SHAPED(put_blocks)(t, PUT_WHOLE, 1, a, c, ahead, kept, begun);
    else if (mode == PUT_WHOLE)
        SHAPED(put_blocks)(t, PUT_WHOLE, 0, a, c, ahead, kept, begun);
    else if (t->narrow)
        SHAPED(put_blocks)(t, PUT_SHIFTED, 1, a, c, ahead, kept, begun);
    else
        SHAPED(put_blocks)(t, PUT_SHIFTED, 0, a, c, ahead, kept, begun);
}

static inline void SHAPED(fill)(const copy_tile *t, int mode, const char *a, char *c,
                                const char *ahead, char *kept, int begun) {
    enum { STEP = WIDE * SIDE, LINE = TILE_LINE / sizeof(T), FEW = 4 * SIDE }; /* rows of c */
    if (mode != PUT_PLAIN) {
        SHAPED(put_strips)(t, mode, a, c, ahead, kept, begun);
        return;
    }
    if (t->whole && t->across <= FEW) {
        for (int64_t o = 0; o < t->between; o++)
            SHAPED(put_few)(t, a + t->between_a[o], c + t->between_to[o]);
        return;
    }
    for (int64_t o = 0, outers = t->whole ? 1 : t->between; o < t->between; o += outers)
        for (int64_t i = 0, rows; i < t->across; i += rows) {
            rows = t->crowded && t->across - i >= LINE + SIDE ? LINE : t->across - i;
            int64_t j = 0;
            for (; j + LINE <= t->along; j += LINE)
                SHAPED(put_plainly)(t, a, c, j, LINE, i, rows, o, o + outers);
            for (; j < t->along; j += STEP)
                SHAPED(put_plainly)(t, a, c, MIN(j, t->along - STEP), STEP, i, rows, o, o + outers);
        }
}

#endif

#undef IN_A_ROW
#undef STAGE
#undef BOTH
#undef HALF
#undef HALVES
#undef COLUMNS
#undef ROW
#undef ROW_U
#undef SHAPED
#undef ROW_LANES
#undef SIDE
#undef WIDE
