/* Convolution with 3 x 3 and 5 x 5 windows by Winograd's minimal filtering (Lavin & Gray 2016).
 *
 * A tile d of 4 x 4 or 6 x 6 pixels and weights g of 3 x 3 or 5 x 5 give 2 x 2 pixels
 * A'[(G g G') * (B'd B)]A, summed over the channels between the transforms (transforms.h): 16 products
 * instead of 36, or 36 instead of 100.  These are as many matrix products [tiles][channels] x
 * [channels][outputs], of packed weights and rows that are read where the transform leaves them. */

#define E (VL / PARTS)
#define PANE ((int)(PANE_BYTES / sizeof(T))) /* channels of a pane */
#define PIXEL ((int64_t)sizeof(T) * PANE)

#include "transforms.h"

/* ---- pixels in and out -------------------------------------------------------------------- */

/* `channels` of the pixels of a run, side by side in memory, from or to a pane. */
ALWAYS_INLINE void FN(carry_whole)(const pixel_run *run, int64_t step, char *x, R *pane,
                                  int channels, const int out) {
    x += run->from;
    for (int64_t p = 0; p < run->count; p++, x += step) {
        R *at = pane + (int64_t)run->at[p] * PANE;
        if (channels < PANE) {
            memcpy(out ? x : (char *)at, out ? (char *)at : x, channels * sizeof(T));
            continue;
        }
#pragma GCC unroll 4
        for (int v = 0; v < PANE; v += VL)
            if (out)
                *(VU *)(x + v * sizeof(T)) = *(V *)(at + v);
            else
                *(V *)(at + v) = *(const VU *)(x + v * sizeof(T));
    }
}

ALWAYS_INLINE void FN(carry_elements)(const pixel_run *run, int64_t step, int64_t channel, char *x,
                                     R *pane, int channels, const int out) {
    x += run->from;
    for (int64_t p = 0; p < run->count; p++, x += step)
        for (int c = 0; c < channels; c++) {
            R *at = pane + (int64_t)run->at[p] * PANE + c;
            if (out)
                FN(store)(x + c * channel, *at);
            else
                *at = FN(load)(x + c * channel);
        }
}

/* The same for pixels that are neighbours in memory, in squares; the last one may overlap. */
ALWAYS_INLINE void FN(carry_squares)(const pixel_run *run, int64_t channel, char *x, R *pane,
                                    int channels, const int out) {
    x += run->from;
    for (int c = 0; c < channels; c += S)
        for (int64_t p = 0; p < run->count; p += S) {
            const int64_t first = MIN(p, run->count - S);
            const int32_t *at = run->at + first;
            char *from = x + c * channel + first * (int64_t)sizeof(T);
            const int rows = MIN(S, channels - c);
            Q square[S];
#pragma GCC unroll 16
            for (int i = 0; i < S; i++)
                square[i] = *(const QU *)(out ? (char *)(pane + (int64_t)at[i] * PANE + c)
                                              : from + (i < rows ? i : 0) * channel);
            FN(flip_square)(square);
#pragma GCC unroll 16
            for (int i = 0; i < S; i++)
                if (!out)
                    *(Q *)(pane + (int64_t)at[i] * PANE + c) = square[i];
                else if (i < rows)
                    *(QU *)(from + i * channel) = square[i];
        }
}

ALWAYS_INLINE void FN(carry_pixels)(const pixel_runs *x, int64_t channel, char *at, R *pane,
                                   int channels, const int out) {
    for (int64_t r = 0; r < x->count; r++) {
        const pixel_run *run = &x->runs[r];
        if (channel == sizeof(T))
            FN(carry_whole)(run, x->step, at, pane, channels, out);
        else if (x->step == sizeof(T) && run->count >= S)
            FN(carry_squares)(run, channel, at, pane, channels, out);
        else
            FN(carry_elements)(run, x->step, channel, at, pane, channels, out);
    }
}

/* ---- weights ------------------------------------------------------------------------------ */

/* In which order a panel's taps are packed: along what lies side by side in memory. */
typedef struct {
    int64_t row, column; /* strides; those of taps that lie backwards are turned, as are the taps */
    int turned, by_tap;  /* by_tap: the channels of a tap are neighbours, else the taps of a channel */
    int channels_follow; /* the taps of the next channel follow those of one */
} FN(tap_order);

static FN(tap_order) FN(order_taps)(const tn_winograd *x, int kernel) {
    const int turned = x->w_row < 0 && x->w_column < 0;
    const int64_t sign = turned ? -1 : 1, row = sign * x->w_row, column = sign * x->w_column;
    const int together = column == sizeof(T) && row == kernel * column;
    return (FN(tap_order)){row, column, turned, !together,
                           together && x->w_in == kernel * row};
}

/* One panel of weights. */
static void FN(winograd_weights)(const tn_winograd_plan *x, const char *w, char *u, int64_t panel) {
    const tn_winograd *of = x->of;
    const int kernel = x->kernel, all = kernel * kernel, at_once = TAPS / all;
    const FN(tap_order) order = FN(order_taps)(of, kernel);
    const int outputs = (int)MIN((int64_t)NR, of->outputs - panel * NR);
    _Alignas(64) R taps[TAPS * NR];
    int64_t columns[NR], down[TAPS];
    for (int j = 0; j < outputs; j++) columns[j] = (panel * NR + j) * of->w_out;
    if (order.turned) w += (kernel - 1) * (of->w_row + of->w_column);
    u += panel * of->channels * NR * (int64_t)sizeof(T);
    for (int64_t c = 0; c < of->channels; c += at_once) {
        const int count = (int)MIN((int64_t)at_once, of->channels - c);
        const int tap_step = order.by_tap ? count : 1, channel_step = order.by_tap ? 1 : all;
        const int next = order.turned ? -tap_step * NR : tap_step * NR;
        for (int i = 0; i < count; i++)
            for (int tap = 0; tap < all; tap++)
                down[i * channel_step + tap * tap_step] =
                    (c + i) * of->w_in + tap / kernel * order.row + tap % kernel * order.column;
        tn_run run = {.along = all, .across = 1};
        if (order.channels_follow) run.along = all * count;
        if (order.by_tap) run.along = of->w_in == sizeof(T) ? count : 1;
        FN(pack_columns)(taps, w, columns, outputs, down, all * count, run);
        const R *first = taps + (order.turned ? (all - 1) * tap_step * NR : 0);
        for (int i = 0; i < count; i++, first += channel_step * NR, u += NR * sizeof(T))
            if (kernel == 3)
                FN(transform_taps)(THREE, first, next, u, x->u_plane);
            else
                FN(transform_taps)(FIVE, first, next, u, x->u_plane);
    }
}

/* ---- blocks of tiles ---------------------------------------------------------------------- */

/* What one thread works in. */
typedef struct {
    char *v, *m;
    R *pane;
    pixel_runs runs;
} FN(winograd_space);

static FN(winograd_space) FN(winograd_divide)(const tn_winograd_plan *x, char *workspace) {
    FN(winograd_space) s = {.v = workspace};
    s.m = s.v + x->products * x->v_plane;
    s.pane = (R *)(s.m + x->m_planes * x->m_plane);
    s.runs.runs = (pixel_run *)((char *)s.pane + x->pixels * PIXEL);
    s.runs.places = (int32_t *)(s.runs.runs + x->pixels);
    return s;
}

/* One of the transforms for a pane of all tiles of a span, whose rows in the pane have so many elements;
 * the planes of a tile begin at `at`, those of the next one `next` bytes on. */
ALWAYS_INLINE void FN(each_tile)(const int what, const int down, const int across,
                                const tile_span *span, R *pane, int64_t row, char *at, int64_t next,
                                int64_t plane) {
    int64_t column = span->first - span->left;
    for (int64_t t = 0; t < span->tiles; t++, at += next) {
        R *from = pane + 2 * column * PANE;
        if (what == SEEN) FN(transform_tile)(down, across, from, row, at, plane);
        if (what == MADE) FN(transform_back)(down, from, row, at, plane);
        if (what == COTANGENT) FN(transform_cotangent)(down, across, from, row, at, plane);
        if (++column == span->width) column = 0, pane += 2 * row;
    }
}

ALWAYS_INLINE void FN(transform_span)(const int what, const tn_winograd_plan *x,
                                     const tile_span *span, R *pane, int64_t row, char *at,
                                     int64_t next, int64_t plane) {
    if (x->kernel == 3)
        FN(each_tile)(what, THREE, THREE, span, pane, row, at, next, plane);
    else if (what == COTANGENT)
        FN(each_tile)(what, FIVE, THREE, span, pane, row, at, next, plane);
    else if (what == SEEN && x->products > x->m_planes)
        FN(each_tile)(what, FIVE, SPLIT, span, pane, row, at, next, plane);
    else
        FN(each_tile)(what, FIVE, FIVE, span, pane, row, at, next, plane);
}

/* All channels of a span into V, from tile number `at` of the block on. */
static void FN(winograd_read)(const tn_winograd_plan *x, const tile_span *span, const char *a,
                              const FN(winograd_space) *s, int64_t at) {
    const tn_winograd *of = x->of;
    pixel_runs runs = s->runs;
    const int64_t row = (2 * span->width + x->kernel - 1) * PANE;
    memset(s->pane, 0, (size_t)(pixels_seen(x, span, &runs) * PIXEL));
    for (int64_t c = 0; c < of->channels; c += PANE) {
        const int channels = (int)MIN((int64_t)PANE, of->channels - c);
        FN(carry_pixels)(&runs, of->x.channel, (char *)a + c * of->x.channel, s->pane, channels, 0);
        char *to = s->v + at * x->v_row + c * (int64_t)sizeof(T);
        FN(transform_span)(SEEN, x, span, s->pane, row, to, x->v_row, x->v_plane);
    }
}

/* The outputs of a chunk from M, whose row `at` is the first tile of the span. */
static void FN(winograd_write)(const tn_winograd_plan *x, const tile_span *span, char *c,
                               const FN(winograd_space) *s, int64_t at, int64_t first) {
    const tn_winograd *of = x->of;
    pixel_runs runs = s->runs;
    const int64_t row = 2 * span->width * PANE, end = MIN(first + x->chunk, of->outputs);
    pixels_made(x, span, &runs);
    for (int64_t o = first; o < end; o += PANE) {
        char *m = s->m + at * x->m_row + (o - first) * (int64_t)sizeof(T);
        FN(transform_span)(MADE, x, span, s->pane, row, m, x->m_row, x->m_plane);
        FN(carry_pixels)(&runs, of->y.channel, c + o * of->y.channel, s->pane,
                        (int)MIN((int64_t)PANE, end - o), 1);
    }
}

/* The products of one plane for NR columns: byte strides of a, b and c; so many steps are summed at a
 * time. */
typedef struct {
    int64_t a_row, a_step, b_step, c_row, steps;
    int accumulate;
} FN(product_strides);

/* Sums for so many rows: of few steps in registers, then of these, then of what is there, for the shorter
 * the sums, the smaller are their errors. */
ALWAYS_INLINE void FN(product_rows)(const int rows, const FN(product_strides) *x, int64_t depth,
                                   const char *a, const char *b, char *c) {
    V sum[MR][TILE_VECTORS], total[MR][TILE_VECTORS];
    for (int64_t k = 0; k < depth; k += x->steps) {
        const int64_t steps = MIN(x->steps, depth - k);
#pragma GCC unroll 24
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < TILE_VECTORS; j++) sum[i][j] = (V){0};
        for (int64_t p = 0; p < steps; p++, a += x->a_step, b += x->b_step) {
            V row[TILE_VECTORS];
            for (int j = 0; j < TILE_VECTORS; j++) row[j] = *(const V *)(b + j * VBYTES);
#pragma GCC unroll 24
            for (int i = 0; i < rows; i++) {
                const R left = *(const R *)(a + i * x->a_row);
                for (int j = 0; j < TILE_VECTORS; j++) sum[i][j] += left * row[j];
            }
        }
        if (depth <= x->steps) break;
#pragma GCC unroll 24
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < TILE_VECTORS; j++)
                total[i][j] = k ? total[i][j] + sum[i][j] : sum[i][j];
    }
#pragma GCC unroll 24
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < TILE_VECTORS; j++) {
            V *to = (V *)(c + i * x->c_row + j * VBYTES);
            const V made = depth <= x->steps ? sum[i][j] : total[i][j];
            *to = x->accumulate ? *to + made : made;
        }
}

/* Sums for any number of rows. */
static void FN(product_column)(const FN(product_strides) *x, int64_t rows, int64_t depth, const char *a,
                               const char *b, char *c) {
    for (; rows >= MR; rows -= MR, a += MR * x->a_row, c += MR * x->c_row)
        FN(product_rows)(MR, x, depth, a, b, c);
#define INSTANCE(count)                                                       \
    if (MR > count && rows >= count) {                                        \
        FN(product_rows)(MR > count ? count : 1, x, depth, a, b, c);          \
        rows -= count, a += count * x->a_row, c += count * x->c_row;          \
    }
    INSTANCE(16)
    INSTANCE(12)
    INSTANCE(8)
    INSTANCE(4)
    INSTANCE(3)
    INSTANCE(2)
    INSTANCE(1)
#undef INSTANCE
}

/* One of the products, for the outputs of a chunk. */
static void FN(winograd_multiply)(const tn_winograd_plan *x, const char *v, const char *u, char *m,
                                  int64_t tiles, int64_t outputs) {
    enum { DEPTH = 256 };
    const int64_t size = sizeof(T), channels = x->of->channels;
    FN(product_strides) plan = {x->v_row, size, NR * size, x->m_row, x->steps, 0};
    for (int64_t k = 0; k < channels; k += DEPTH, plan.accumulate = 1)
        for (int64_t j = 0; j < outputs; j += NR)
            FN(product_column)(&plan, tiles, MIN((int64_t)DEPTH, channels - k), v + k * size,
                               u + (j * channels + k * NR) * size, m + j * size);
}

/* The tiles of one block. */
static void FN(winograd_block)(const tn_winograd_plan *x, const char *a, const char *u, char *c,
                               int64_t block, char *workspace) {
    const FN(winograd_space) s = FN(winograd_divide)(x, workspace);
    const int64_t begin = block * x->block, end = MIN(begin + x->block, x->tiles);
    tile_span span;
    for (int64_t t = begin; t < end; t += span.tiles) {
        span = next_span(x, t, end);
        FN(winograd_read)(x, &span, a, &s, t - begin);
    }
    for (int64_t o = 0; o < x->of->outputs; o += x->chunk) {
        const int64_t outputs = MIN(x->chunk, x->of->outputs - o);
        const char *weights = u + o * x->of->channels * (int64_t)sizeof(T);
        for (int p = 0; p < x->products; p++)
            FN(winograd_multiply)(x, s.v + p * x->v_plane, weights + p * x->u_plane,
                                  s.m + p * x->m_plane, end - begin, outputs);
        for (int64_t t = begin; t < end; t += span.tiles) {
            span = next_span(x, t, end);
            FN(winograd_write)(x, &span, c, &s, t - begin, o);
        }
    }
}

/* ---- gradient to weights ------------------------------------------------------------------ */

/* The outputs first .. end - 1 of the cotangent of a span into M, from tile `at` of the block on. */
static void FN(winograd_read_back)(const tn_winograd_plan *x, const tile_span *span, const char *y,
                                   const FN(winograd_space) *s, int64_t at, int64_t first,
                                   int64_t end) {
    const tn_winograd *of = x->of;
    pixel_runs runs = s->runs;
    const int64_t row = 2 * span->width * PANE;
    pixels_made(x, span, &runs);
    memset(s->pane, 0, (size_t)(2 * (span->row_end - span->row) * row) * sizeof(T));
    for (int64_t o = first; o < end; o += PANE) {
        const int outputs = (int)MIN((int64_t)PANE, end - o);
        FN(carry_pixels)(&runs, of->y.channel, (char *)y + o * of->y.channel, s->pane, outputs, 0);
        char *to = s->m + at * x->m_row + o * (int64_t)sizeof(T);
        FN(transform_span)(COTANGENT, x, span, s->pane, row, to, x->m_row, x->m_plane);
    }
}

/* One of the sums over the tiles of a block, for these outputs, added or not. */
static void FN(winograd_sum)(const tn_winograd_plan *x, const char *v, const char *m, char *sums,
                             int64_t tiles, int64_t first, int64_t end, int accumulate) {
    const int64_t size = sizeof(T);
    const FN(product_strides) plan = {size, x->v_row, x->m_row, x->sums_row, x->steps, accumulate};
    for (int64_t j = first; j < end; j += NR)
        FN(product_column)(&plan, x->of->channels, tiles, v, m + j * size, sums + j * size);
}

/* The sums of one part of the tiles, for one group of outputs. */
static void FN(winograd_part)(const tn_winograd_plan *x, const char *a, const char *y, char *sums,
                              int64_t part, int64_t group, char *workspace) {
    const FN(winograd_space) s = FN(winograd_divide)(x, workspace);
    const int64_t begin = part * x->part, end = MIN(begin + x->part, x->tiles);
    const int64_t first = group * x->group, last = MIN(first + x->group, x->of->outputs);
    sums += part * x->products * x->sums_plane;
    for (int64_t block = begin; block < end; block += x->block) {
        const int64_t stop = MIN(block + x->block, end);
        tile_span span;
        for (int64_t t = block; t < stop; t += span.tiles) {
            span = next_span(x, t, stop);
            FN(winograd_read)(x, &span, a, &s, t - block);
            FN(winograd_read_back)(x, &span, y, &s, t - block, first, last);
        }
        for (int p = 0; p < x->products; p++)
            FN(winograd_sum)(x, s.v + p * x->v_plane, s.m + cotangent_plane(x, p) * x->m_plane,
                             sums + p * x->sums_plane, stop - block, first, last, block > begin);
    }
}

/* A pane of outputs of the gradient, from the sums of all parts. */
static void FN(winograd_taps)(const tn_winograd_plan *x, const char *sums, char *w, int64_t pane) {
    const tn_winograd *of = x->of;
    const int kernel = x->kernel, all = kernel * kernel, at_once = TAPS / all;
    const int64_t o = pane * PANE, part = x->products * x->sums_plane;
    _Alignas(64) R taps[TAPS * (PANE_BYTES / sizeof(T))];
    pixel_run at[TAPS];
    int32_t places[TAPS];
    pixel_runs runs = {.runs = at, .places = places, .step = of->w_column};
    sums += o * (int64_t)sizeof(T);
    for (int64_t c = 0; c < of->channels; c += at_once) {
        const int count = (int)MIN((int64_t)at_once, of->channels - c);
        runs.count = runs.used = 0;
        for (int i = 0; i < count; i++, sums += x->sums_row) {
            R *to = taps + i * all * PANE;
            if (kernel == 3)
                FN(transform_sums)(THREE, THREE, sums, x->sums_plane, x->parts, part, to);
            else
                FN(transform_sums)(FIVE, SPLIT, sums, x->sums_plane, x->parts, part, to);
            for (int r = 0; r < kernel; r++)
                add_pixels(&runs, (c + i) * of->w_in + r * of->w_row, kernel, i * all + r * kernel);
        }
        FN(carry_pixels)(&runs, of->w_out, w + o * of->w_out, taps,
                         (int)MIN((int64_t)PANE, of->outputs - o), 1);
    }
}

#undef E
#undef PANE
#undef PIXEL
