/* The tiles of direct.h for one width: direct.h includes this file with
 *   WN(x)    suffix of the functions
 *   W_BYTES  bytes of a vector
 *   W_SCALAR 1 if that is one element
 *   W_REALS  how many real numbers these are, as a literal, if elements are complex
 *   VECTORS  vectors in a row of a tile
 *   TALLEST  rows of the largest tile
 *   SHARES   1 if tiles fetch: of several, one below the other, that share a strip of b, the first may pack
 *            it, the second fetches the next; a single one does, too; high ones fetch rows that come later */

#define W WN(vector)
#define WU WN(unaligned_vector)
#define LINES MAX(VECTORS * (int)W_BYTES / LINE_BYTES, 1)
#define CHAINS (FLOATING && VECTORS <= 2 ? 4 : 1) /* sums of a single row, which would wait for each addition */
#if W_SCALAR && !COMPLEX /* compilers keep vectors of one number in memory */
typedef R W;
typedef R WU __attribute__((aligned(1), may_alias));
#else
typedef R W __attribute__((vector_size(W_BYTES)));
typedef R WU __attribute__((vector_size(W_BYTES), aligned(1), may_alias));
#endif

/* A tile that packs stores the strip of b that it reads for the tiles below it; one that fetches brings b
 * nearer, x->ahead steps further on, where after the last step of this strip comes the next one, at `next`; a
 * far one rows of a further down, some bytes with every step. */
ALWAYS_INLINE void WN(direct_tile)(const int rows, const FN(direct_way) way, const FN(direct_product) *x,
                                   const char *a, const char *b, int64_t b_step, const char *next,
                                   char *c) {
    const int64_t row = x->a_row, a_step = x->a_step, c_row = x->c_row;
    const int64_t turn = x->depth - x->ahead;
    const char *fetched = turn ? b + x->ahead * b_step : next;
    const int accumulate = x->accumulate;
    char *packed = x->packed;
    const int each = (rows * (int)sizeof(T) + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES; /* bytes of a */
    const char *later = a + x->a_ahead, *const end = later + rows * row;
    int64_t row3 = 3 * row;
    OPAQUE(row3); /* an address is then base + 0, 1, 2 or 3 rows: no register for each row */
    const char *four[(TALLEST + 3) / 4];
    W sum[MAX(TALLEST, CHAINS)][PARTS][VECTORS];
    int64_t p = 0;
#pragma GCC unroll 24
    for (int i = 0; i < MAX(rows, CHAINS); i++) {
        if (i % 4 == 0 && i < rows) four[i / 4] = a + i * row;
        for (int part = 0; part < PARTS; part++)
            for (int j = 0; j < VECTORS; j++) sum[i][part][j] = (W){0};
    }
    if (CHAINS > 1 && rows == 1 && way == FN(PLAIN) && x->chains) {
        for (; p + CHAINS <= x->depth; p += CHAINS) {
#pragma GCC unroll 4
            for (int i = 0; i < CHAINS; i++, b += b_step, four[0] += a_step) {
                const R re = FN(real)(four[0]);
                for (int j = 0; j < VECTORS; j++)
                    ACCUMULATE(sum[i][0][j], MULTIPLY(re, *(const WU *)(b + j * W_BYTES)));
#if COMPLEX
                const R im = FN(real)(four[0] + sizeof(R));
                for (int j = 0; j < VECTORS; j++)
                    ACCUMULATE(sum[i][1][j], MULTIPLY(im, *(const WU *)(b + j * W_BYTES)));
#endif
            }
        }
        for (int half = CHAINS / 2; half; half /= 2)
            for (int i = 0; i < half; i++)
                for (int part = 0; part < PARTS; part++)
                    for (int j = 0; j < VECTORS; j++) ACCUMULATE(sum[i][part][j], sum[i + half][part][j]);
    }
    for (; p < x->depth; p++, b += b_step) {
        W right[VECTORS];
        for (int j = 0; j < VECTORS; j++) {
            right[j] = *(const WU *)(b + j * W_BYTES);
            if (COMPLEX && rows == 1 && VECTORS > 1) OPAQUE_VECTOR(right[j]);
            if (way == FN(PACKING)) *(W *)(packed + j * W_BYTES) = right[j];
        }
        if (way == FN(PACKING)) packed += VECTORS * W_BYTES;
        if (way == FN(FETCHING)) {
            if (p == turn) fetched = next;
            for (int line = 1; line <= LINES; line++) /* into L2 */
                __builtin_prefetch(fetched + line * (VECTORS * W_BYTES / LINES) - 1, 0, 2);
            fetched += x->b_step;
        }
        for (int line = 0; way >= FN(FAR) && later < end && line < each; line += LINE_BYTES)
            __builtin_prefetch(later + line, 0, 2);
        if (way >= FN(FAR)) later += each;
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
#if SHARES
            if (way == FN(FAR_PAST)) {
                STREAM(to, sum[i][0][j]);
                continue;
            }
#endif
            if (accumulate) ACCUMULATE(sum[i][0][j], *to);
            *to = sum[i][0][j];
        }
}

/* Strips of columns side by side, and the tiles of each, one below the other. */
static void WN(direct_strips)(const FN(direct_product) *x, const char *a, const char *b, char *c,
                              int64_t left, int64_t strips) {
    const char *next = b + VECTORS * W_BYTES;
    int64_t b_step = x->b_step;
    const int tallest = MIN(TALLEST, x->tallest);
    const int fetching = direct_height(left, tallest) < left; /* which tile */
    for (int tile = 0; left > 0; tile++) {
        const int rows = direct_height(left, tallest);
        const FN(direct_way) way = tile == 0 && x->packed            ? FN(PACKING)
                                   : x->fetches && tile == fetching ? FN(FETCHING)
                                   : x->stream                       ? FN(FAR_PAST)
                                   : x->far                          ? FN(FAR)
                                                                     : FN(PLAIN);
        switch (rows) {
#define TILE(count, way, j)                                                                       \
    WN(direct_tile)(count <= TALLEST ? count : 1, way, x, a, b + (j), b_step, next, c + (j))
#define TILES(count)                                                                              \
    case count:                                                                                   \
        if (count > TALLEST) break;                                                               \
        if (SHARES && way == FN(PACKING))                                                          \
            TILE(count, FN(PACKING), 0);                                                          \
        else if (SHARES && way == FN(FETCHING))                                                    \
            TILE(count, FN(FETCHING), 0);                                                         \
        else if (SHARES && HIGH_TILES && count == MR && way == FN(FAR))                           \
            for (int64_t i = 0; i < strips; i++) TILE(count, FN(FAR), i * (VECTORS * W_BYTES));   \
        else if (SHARES && HIGH_TILES && count == MR && way == FN(FAR_PAST))                      \
            for (int64_t i = 0; i < strips; i++) TILE(count, FN(FAR_PAST), i * (VECTORS * W_BYTES)); \
        else                                                                                      \
            for (int64_t i = 0; i < strips; i++) TILE(count, FN(PLAIN), i * (VECTORS * W_BYTES)); \
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
#undef TILE
        }
        if (SHARES && way == FN(PACKING)) b = x->packed, b_step = VECTORS * W_BYTES;
        a += rows * x->a_row;
        c += rows * x->c_row;
        left -= rows;
    }
}

#undef W
#undef WU
#undef LINES
#undef CHAINS
#undef WN
#undef W_BYTES
#undef W_SCALAR
#undef W_REALS
#undef VECTORS
#undef TALLEST
#undef SHARES
