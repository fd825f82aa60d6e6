/* The parts of a convolution for one element type: tiles over strips, and moved matrices. */
#include "element.h"
#include "square.h"

#define E (VL / PARTS)

/* Each row has an address in a register. */
#define TALLEST MIN(MR, 12)

/* The microkernel: like the one of packed products, but that a row of a is anywhere, and so is a step. */
ALWAYS_INLINE void FN(tile_of_steps)(const int rows, const tn_tiles *x, int64_t i) {
    const char *from[TALLEST], *b = x->b;
    V sum[TALLEST][PARTS][TILE_VECTORS];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        from[r] = x->a + x->a_rows[i + r];
        __builtin_prefetch(x->c + x->c_rows[i + r], 1); /* memory answers while the tile is summed */
        for (int j = 0; j < TILE_VECTORS; j++)
            for (int part = 0; part < PARTS; part++) sum[r][part][j] = (V){0};
    }
    const int64_t depth = x->depth, *steps = x->steps;
    for (int64_t p = 0; p < depth; p++, b += NR * sizeof(T)) {
        const int64_t at = steps[p];
        V row[TILE_VECTORS];
        for (int j = 0; j < TILE_VECTORS; j++) row[j] = *(const VU *)(b + j * VBYTES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const R re = FN(real)(from[r] + at);
            for (int j = 0; j < TILE_VECTORS; j++) ACCUMULATE(sum[r][0][j], MULTIPLY(re, row[j]));
#if COMPLEX
            const R im = FN(real)(from[r] + at + sizeof(R));
            for (int j = 0; j < TILE_VECTORS; j++) ACCUMULATE(sum[r][1][j], MULTIPLY(im, row[j]));
#endif
        }
    }
#if COMPLEX
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < TILE_VECTORS; j++)
            sum[r][0][j] += NEGATE_REAL * SWAP_PARTS(sum[r][1][j]);
#endif
    char *const c = x->c;
    const int64_t *c_rows = x->c_rows + i;
    if (x->accumulate)
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < TILE_VECTORS; j++)
                FN(put)(c + c_rows[r] + j * VBYTES, sum[r][0][j], 1);
    else
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < TILE_VECTORS; j++)
                FN(put)(c + c_rows[r] + j * VBYTES, sum[r][0][j], 0);
}

static void FN(convolve_tiles)(const tn_tiles *x) {
    for (int64_t i = 0; i < x->rows;) {
        const int height = direct_height(x->rows - i, TALLEST);
#define INSTANCE(count)                                                    \
    case count:                                                            \
        FN(tile_of_steps)(TALLEST >= count ? count : 1, x, i);             \
        break;
        switch (height) {
            INSTANCE(12)
            INSTANCE(8)
            INSTANCE(7)
            INSTANCE(6)
            INSTANCE(5)
            INSTANCE(4)
            INSTANCE(3)
            INSTANCE(2)
            INSTANCE(1)
        }
#undef INSTANCE
        i += height;
    }
}

static void FN(move_rows)(const tn_move *m, const char *from, char *to) {
    const size_t bytes = (size_t)m->columns * sizeof(T);
    if (m->from_row == (int64_t)bytes && m->to_row == (int64_t)bytes)
        memcpy(to, from, (size_t)m->rows * bytes);
    else if (m->columns == NR)
        for (int64_t r = 0; r < m->rows; r++)
            memcpy(to + r * m->to_row, from + r * m->from_row, NR * sizeof(T));
    else
        for (int64_t r = 0; r < m->rows; r++)
            memcpy(to + r * m->to_row, from + r * m->from_row, bytes);
}

/* From unit stride along the columns to unit stride along the rows; the last squares overlap others. */
static void FN(move_squares)(const tn_move *m, const char *from, char *to) {
    for (int64_t i = 0; i < m->rows; i += S) {
        const int64_t row = MIN(i, m->rows - S);
        for (int64_t j = 0; j < m->columns; j += S) {
            const int64_t column = MIN(j, m->columns - S);
            const char *a = from + row * m->from_row + column * (int64_t)sizeof(T);
            char *c = to + column * m->to_column + row * (int64_t)sizeof(T);
            Q x[S];
#pragma GCC unroll 16
            for (int k = 0; k < S; k++) x[k] = *(const QU *)(a + k * m->from_row);
            FN(flip_square)(x);
#pragma GCC unroll 16
            for (int k = 0; k < S; k++) *(QU *)(c + k * m->to_column) = x[k];
        }
    }
}

static void FN(convolve_move)(const tn_move *given, const char *from, char *to) {
    const int64_t size = sizeof(T);
    tn_move m = *given;
    if (m.from_column == -size) { /* backwards */
        from += (m.columns - 1) * m.from_column, m.from_column = size;
        to += (m.columns - 1) * m.to_column, m.to_column = -m.to_column;
    }
    const int well = m.from_column == size && (m.to_column == size || m.to_row == size);
    if (m.rows > 1 && (m.columns == 1 || !well)) /* rows as columns */
        m = (tn_move){m.columns, m.rows, m.from_column, m.from_row, m.to_column, m.to_row};
    if (m.from_column == size && m.to_column == size)
        FN(move_rows)(&m, from, to);
    else if (m.from_column == size && m.to_row == size && m.rows >= S && m.columns >= S)
        FN(move_squares)(&m, from, to);
    else
        for (int64_t r = 0; r < m.rows; r++)
            for (int64_t c = 0; c < m.columns; c++)
                FN(store)(to + r * m.to_row + c * m.to_column,
                          FN(load)(from + r * m.from_row + c * m.from_column));
}

const tn_convolver TN_PASTE(FN(tn_convolver), TN_ISA) = {
    .rows = TALLEST,
    .columns = NR,
    .move = FN(convolve_move),
    .tiles = FN(convolve_tiles),
};

#undef TALLEST
#undef E
#include "element_end.h"
