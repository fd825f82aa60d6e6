/* Products whose operands are read where they lie: small ones and batches of them, and those with so
 * few rows or columns that packing would cost more than it saves.
 *
 * The axes are [batch ..., m, n, k] with unit stride along n on c.  Columns are cut into strips, as
 * wide as the tiles of the microkernel while these fit and narrower ones at the edge.  A strip of b
 * without unit stride along n is copied to where it has one. */

#define E (VL / PARTS)

typedef struct {
    int64_t depth, a_row, a_step, b_step, c_row;
    int accumulate;
} FN(direct_product);

#define WN(x) TN_PASTE(x, TN_PASTE(whole, NAME))
#define W_BYTES VBYTES
#define W_REALS REALS
#define VECTORS TILE_VECTORS
#define TALLEST MR
#include "direct_tile.h"

#if TILE_VECTORS > 1
#define WN(x) TN_PASTE(x, TN_PASTE(single, NAME))
#define W_BYTES VBYTES
#define W_REALS REALS
#define VECTORS 1
#define TALLEST MR
#include "direct_tile.h"
#endif

#define AT_LEAST_ONE(bytes) ((bytes) > sizeof(T) ? (bytes) : sizeof(T))

#define WN(x) TN_PASTE(x, TN_PASTE(half, NAME))
#define W_BYTES AT_LEAST_ONE(VBYTES / 2)
#define W_REALS HALF_REALS
#define VECTORS 1
#define TALLEST MR
#include "direct_tile.h"

#define WN(x) TN_PASTE(x, TN_PASTE(quarter, NAME))
#define W_BYTES AT_LEAST_ONE(VBYTES / 4)
#define W_REALS QUARTER_REALS
#define VECTORS 1
#define TALLEST MR
#include "direct_tile.h"

#define WN(x) TN_PASTE(x, TN_PASTE(eighth, NAME))
#define W_BYTES AT_LEAST_ONE(VBYTES / 8)
#define W_REALS EIGHTH_REALS
#define VECTORS 1
#define TALLEST MR
#include "direct_tile.h"

#define WN(x) TN_PASTE(x, TN_PASTE(one, NAME))
#define W_BYTES sizeof(T)
#define W_REALS 2
#define VECTORS 1
#define TALLEST MR
#include "direct_tile.h"

#undef AT_LEAST_ONE

typedef void (*FN(strip_function))(const FN(direct_product) *, const char *, const char *, char *,
                                   int64_t);

/* Widths of strips, each at least twice the next one. */
static const struct {
    int width;
    FN(strip_function) run;
} FN(strips)[] = {
    {NR, FN(direct_strip_whole)},
#if TILE_VECTORS > 1
    {E, FN(direct_strip_single)},
#endif
    {E / 2, FN(direct_strip_half)},
    {E / 4, FN(direct_strip_quarter)},
    {E / 8, FN(direct_strip_eighth)},
    {1, FN(direct_strip_one)},
};

/* The strip for column j of n.  One beyond the last column is moved to the left where it may compute
 * columns again. */
ALWAYS_INLINE int FN(choose_strip)(int64_t n, int64_t *j, int accumulate) {
    const int64_t left = n - *j;
    int i = 0;
    while (FN(strips)[i].width > left || FN(strips)[i].width < 1) i++;
    if (accumulate || i == 0 || FN(strips)[i].width == left) return i;
    if (FN(strips)[i - 1].width > n) return i;
    i--;
    *j = n - FN(strips)[i].width;
    return i;
}

/* Columns [across] of b into [depth][width]. */
static void FN(gather_strip)(R *to, const char *from, int64_t across, int64_t down, int width,
                             int64_t depth) {
    int64_t p = 0;
#if FLOATING
    if (down == (int64_t)sizeof(T) && width % S == 0 && S > 1)
        for (; p + S <= depth; p += S)
            for (int g = 0; g < width; g += S) {
                Q x[S];
#pragma GCC unroll 16
                for (int i = 0; i < S; i++)
                    x[i] = *(const QU *)(from + (g + i) * across + p * down);
                FN(flip_square)(x);
#pragma GCC unroll 16
                for (int i = 0; i < S; i++) *(QU *)(to + ((p + i) * width + g) * PARTS) = x[i];
            }
#endif
    for (; p < depth; p++)
        for (int j = 0; j < width; j++)
            memcpy(to + (p * width + j) * PARTS, from + j * across + p * down, sizeof(T));
}

static void FN(direct)(const tn_contraction *x, const char *a, const char *b, char *c,
                       const tn_box *box) {
    const tn_dim *m = x->dims + x->n_batch, *n = m + 1, *k = n + 1;
    const int64_t unit = sizeof(T), columns = box->n1 - box->n0, rows = box->m1 - box->m0;
    const int gathers = n->sb != unit;
    _Alignas(64) R gathered[TN_DIRECT_DEPTH * NR * PARTS];
    FN(direct_product) job = {.depth = x->k, .a_row = m->sa, .a_step = k->sa, .b_step = k->sb,
                              .c_row = m->sc, .accumulate = x->accumulate};
    const int64_t block = gathers ? rows : direct_block(rows, MR, x->k * columns * unit);
    tn_walk batch;
    walk_to(&batch, x->dims, x->n_batch, box->batch0);
    a += box->m0 * m->sa;
    b += box->n0 * n->sb;
    c += box->m0 * m->sc + box->n0 * unit;
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&batch))
        for (int64_t i = 0; i < rows; i += block) {
            const char *at = a + batch.a + i * m->sa;
            char *ct = c + batch.c + i * m->sc;
            for (int64_t j = 0; j < columns;) {
                const int s = FN(choose_strip)(columns, &j, x->accumulate);
                const int width = FN(strips)[s].width;
                const char *bt = b + batch.b + j * n->sb;
                if (gathers) {
                    FN(gather_strip)(gathered, bt, n->sb, k->sb, width, x->k);
                    bt = (const char *)gathered, job.b_step = width * unit;
                }
                FN(strips)[s].run(&job, at, bt, ct + j * unit, MIN(block, rows - i));
                j += width;
            }
        }
}

#undef E
