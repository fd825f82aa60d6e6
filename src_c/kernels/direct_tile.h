/* The tiles of direct.h for one width: direct.h includes this file with
 *   WN(x)    suffix of the functions
 *   W_BYTES  bytes of a vector
 *   W_SCALAR 1 if that is one element
 *   W_REALS  how many real numbers these are, as a literal, if elements are complex
 *   VECTORS  vectors in a row of a tile
 *   TALLEST  rows of the largest tile
 *   FETCHES  1 if what the next strips read may be fetched */

#define W WN(vector)
#define WU WN(unaligned_vector)
#if W_SCALAR && !COMPLEX /* compilers keep vectors of one number in memory */
typedef R W;
typedef R WU __attribute__((aligned(1), may_alias));
#else
typedef R W __attribute__((vector_size(W_BYTES)));
typedef R WU __attribute__((vector_size(W_BYTES), aligned(1), may_alias));
#endif

ALWAYS_INLINE void WN(direct_tile)(const int rows, const int fetch, const FN(direct_product) *x,
                                   const char *a, const char *b, char *c) {
    const int64_t row = x->a_row, a_step = x->a_step, b_step = x->b_step, c_row = x->c_row;
    const int accumulate = x->accumulate;
    int64_t row3 = 3 * row;
    OPAQUE(row3); /* an address is then base + 0, 1, 2 or 3 rows: no register for each row */
    const char *four[(TALLEST + 3) / 4];
    W sum[TALLEST][PARTS][VECTORS];
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++) {
        if (i % 4 == 0) four[i / 4] = a + i * row;
        for (int part = 0; part < PARTS; part++)
            for (int j = 0; j < VECTORS; j++) sum[i][part][j] = (W){0};
    }
    for (int64_t p = 0; p < x->depth; p++, b += b_step) {
        W right[VECTORS];
        for (int j = 0; j < VECTORS; j++) right[j] = *(const WU *)(b + j * W_BYTES);
#pragma GCC unroll 4
        for (int line = 64; fetch && line < 64 + VECTORS * (int)W_BYTES; line += 64)
            __builtin_prefetch(b + VECTORS * W_BYTES + line, 0, 2); /* into L2 */
#pragma GCC unroll 24
        for (int i = 0; i < rows; i++) {
            const int at = i % 4;
            const char *left = four[i / 4] + (at == 3 ? row3 : at * row);
            const R re = FN(real)(left);
            for (int j = 0; j < VECTORS; j++) ACCUMULATE(sum[i][0][j], MULTIPLY(re, right[j]));
#if COMPLEX
            const R im = FN(real)(left + sizeof(R));
            for (int j = 0; j < VECTORS; j++) ACCUMULATE(sum[i][1][j], MULTIPLY(im, right[j]));
#endif
            if (at == 3 || i == rows - 1) four[i / 4] += a_step;
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++, c += c_row)
        for (int j = 0; j < VECTORS; j++) {
#if COMPLEX
            const W turned = SHUFFLE(sum[i][1][j], sum[i][1][j], LANES_OF(W_REALS, PARTNER, 1));
            sum[i][0][j] += (W){LANES_OF(W_REALS, ALTERNATE, 1)} * turned;
#endif
            WU *to = (WU *)(c + j * W_BYTES);
            if (accumulate) ACCUMULATE(sum[i][0][j], *to);
            *to = sum[i][0][j];
        }
}

/* Strips of columns side by side, and the tiles of each, one below the other. */
static void WN(direct_strips)(const FN(direct_product) *x, const char *a, const char *b, char *c,
                              int64_t left, int64_t strips) {
    while (left > 0) {
        const int rows = direct_height(left, TALLEST);
        switch (rows) {
#define TILES(count)                                                                          \
    case count:                                                                               \
        if (count > TALLEST) break;                                                           \
        for (int64_t i = 0; i < strips; i++) {                                                \
            const int64_t j = i * (VECTORS * W_BYTES);                                        \
            if (FETCHES && x->fetches)                                                          \
                WN(direct_tile)(count <= TALLEST ? count : 1, FETCHES, x, a, b + j, c + j);   \
            else                                                                              \
                WN(direct_tile)(count <= TALLEST ? count : 1, 0, x, a, b + j, c + j);         \
        }                                                                                     \
        break;
            TILES(24)
            TILES(16)
            TILES(12)
            TILES(8)
            TILES(7)
            TILES(6)
            TILES(5)
            TILES(4)
            TILES(3)
            TILES(2)
            TILES(1)
#undef TILES
        }
        a += rows * x->a_row;
        c += rows * x->c_row;
        left -= rows;
    }
}

#undef W
#undef WU
#undef WN
#undef W_BYTES
#undef W_SCALAR
#undef W_REALS
#undef VECTORS
#undef TALLEST
#undef FETCHES
