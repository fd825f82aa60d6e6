/* Convolution with 3 x 3 windows by Winograd's minimal filtering F(2x2,3x3) (Lavin & Gray 2016).
 *
 * A tile d of 4 x 4 pixels and weights g of 3 x 3 give 2 x 2 pixels A'[(G g G') * (B'd B)]A, summed over
 * the channels between the transforms: 16 products instead of 36.  With
 *
 *        1  0 -1  0        1    0    0
 *   B' = 0  1  1  0    G = 1/2  1/2  1/2    A' = 1  1  1  0
 *        0 -1  1  0        1/2 -1/2  1/2         0  1 -1 -1
 *        0  1  0 -1        0    0    1
 *
 * these products are 16 matrix products [tiles][channels] x [channels][outputs], of packed weights and
 * rows that are read where the transform leaves them. */

#define E (VL / PARTS)
#define PANE ((int)(PANE_BYTES / sizeof(T))) /* channels of a pane */
#define PIXEL ((int64_t)sizeof(T) * PANE)

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

/* ---- transforms --------------------------------------------------------------------------- */

/* B'd B of one tile in a pane with rows of so many elements. */
ALWAYS_INLINE void FN(transform_tile)(const R *pane, int64_t row, char *to, int64_t plane) {
    for (int v = 0; v < PANE; v += VL, pane += VL, to += VBYTES) {
        V d[4][4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++)
#pragma GCC unroll 4
            for (int s = 0; s < 4; s++) d[r][s] = *(const V *)(pane + r * row + s * PANE);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            V t[4];
#pragma GCC unroll 4
            for (int s = 0; s < 4; s++)
                t[s] = r == 0   ? d[0][s] - d[2][s]
                       : r == 1 ? d[1][s] + d[2][s]
                       : r == 2 ? d[2][s] - d[1][s]
                                : d[1][s] - d[3][s];
            *(V *)(to + (4 * r + 0) * plane) = t[0] - t[2];
            *(V *)(to + (4 * r + 1) * plane) = t[1] + t[2];
            *(V *)(to + (4 * r + 2) * plane) = t[2] - t[1];
            *(V *)(to + (4 * r + 3) * plane) = t[1] - t[3];
        }
    }
}

/* A'm A of one tile, into a pane. */
ALWAYS_INLINE void FN(transform_back)(const char *m, int64_t plane, R *pane, int64_t row) {
    for (int v = 0; v < PANE; v += VL, pane += VL, m += VBYTES) {
        V t[2][4];
#pragma GCC unroll 4
        for (int s = 0; s < 4; s++) {
            const V m0 = *(const V *)(m + s * plane), m1 = *(const V *)(m + (4 + s) * plane);
            const V m2 = *(const V *)(m + (8 + s) * plane), m3 = *(const V *)(m + (12 + s) * plane);
            t[0][s] = m0 + m1 + m2;
            t[1][s] = m1 - m2 - m3;
        }
#pragma GCC unroll 2
        for (int r = 0; r < 2; r++) {
            *(V *)(pane + r * row) = t[r][0] + t[r][1] + t[r][2];
            *(V *)(pane + r * row + PANE) = t[r][1] - t[r][2] - t[r][3];
        }
    }
}

/* G g G' of NR outputs and one channel; taps lie `next` elements apart. */
ALWAYS_INLINE void FN(transform_taps)(const R *taps, int64_t next, char *to, int64_t plane) {
    const R half = (R)0.5;
    for (int v = 0; v < NR; v += VL, to += VBYTES) {
        const R *g = taps + v;
        V t[4][3];
#pragma GCC unroll 3
        for (int s = 0; s < 3; s++, g += next) {
            const V g0 = *(const V *)g, g1 = *(const V *)(g + 3 * next);
            const V g2 = *(const V *)(g + 6 * next), sum = g0 + g2;
            t[0][s] = g0;
            t[1][s] = (sum + g1) * half;
            t[2][s] = (sum - g1) * half;
            t[3][s] = g2;
        }
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            const V sum = t[r][0] + t[r][2];
            *(V *)(to + (4 * r + 0) * plane) = t[r][0];
            *(V *)(to + (4 * r + 1) * plane) = (sum + t[r][1]) * half;
            *(V *)(to + (4 * r + 2) * plane) = (sum - t[r][1]) * half;
            *(V *)(to + (4 * r + 3) * plane) = t[r][2];
        }
    }
}

/* In which order a panel's taps are packed: along what lies side by side in memory. */
typedef struct {
    int64_t row, column; /* strides; those of taps that lie backwards are turned, as are the taps */
    int turned, by_tap;  /* by_tap: the channels of a tap are neighbours, else the taps of a channel */
    int channels_follow; /* the taps of the next channel follow those of one */
} FN(tap_order);

static FN(tap_order) FN(order_taps)(const tn_winograd *x) {
    const int turned = x->w_row < 0 && x->w_column < 0;
    const int64_t sign = turned ? -1 : 1, row = sign * x->w_row, column = sign * x->w_column;
    const int together = column == sizeof(T) && row == 3 * column;
    return (FN(tap_order)){row, column, turned, !together, together && x->w_in == 9 * column};
}

/* One panel of weights. */
static void FN(winograd_weights)(const tn_winograd_plan *x, const char *w, char *u, int64_t panel) {
    enum { AT_ONCE = 16 };
    const tn_winograd *of = x->of;
    const FN(tap_order) order = FN(order_taps)(of);
    const int outputs = (int)MIN((int64_t)NR, of->outputs - panel * NR);
    _Alignas(64) R taps[AT_ONCE * 9 * NR];
    int64_t columns[NR], down[AT_ONCE * 9];
    for (int j = 0; j < outputs; j++) columns[j] = (panel * NR + j) * of->w_out;
    if (order.turned) w += 2 * (of->w_row + of->w_column);
    u += panel * of->channels * NR * (int64_t)sizeof(T);
    for (int64_t c = 0; c < of->channels; c += AT_ONCE) {
        const int count = (int)MIN((int64_t)AT_ONCE, of->channels - c);
        const int tap_step = order.by_tap ? count : 1, channel_step = order.by_tap ? 1 : 9;
        for (int i = 0; i < count; i++)
            for (int tap = 0; tap < 9; tap++)
                down[i * channel_step + tap * tap_step] =
                    (c + i) * of->w_in + tap / 3 * order.row + tap % 3 * order.column;
        tn_run run = {.along = 9, .across = 1};
        if (order.channels_follow) run.along = 9 * count;
        if (order.by_tap) run.along = of->w_in == sizeof(T) ? count : 1;
        FN(pack_columns)(taps, w, columns, outputs, down, 9 * count, run);
        const R *first = taps + (order.turned ? 8 * tap_step * NR : 0);
        for (int i = 0; i < count; i++, first += channel_step * NR, u += NR * sizeof(T))
            FN(transform_taps)(first, order.turned ? -tap_step * NR : tap_step * NR, u, x->u_plane);
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
    s.m = s.v + TRANSFORMED * x->v_plane;
    s.pane = (R *)(s.m + TRANSFORMED * x->m_plane);
    s.runs.runs = (pixel_run *)((char *)s.pane + x->pixels * PIXEL);
    s.runs.places = (int32_t *)(s.runs.runs + x->pixels);
    return s;
}

/* All channels of a span into V, from tile number `at` of the block on. */
static void FN(winograd_read)(const tn_winograd_plan *x, const tile_span *span, const char *a,
                              const FN(winograd_space) *s, int64_t at) {
    const tn_winograd *of = x->of;
    pixel_runs runs = s->runs;
    const int64_t row = (2 * span->width + 2) * PANE;
    memset(s->pane, 0, (size_t)(pixels_seen(x, span, &runs) * PIXEL));
    for (int64_t c = 0; c < of->channels; c += PANE) {
        const int channels = (int)MIN((int64_t)PANE, of->channels - c);
        FN(carry_pixels)(&runs, of->x.channel, (char *)a + c * of->x.channel, s->pane, channels, 0);
        char *to = s->v + at * x->v_row + c * (int64_t)sizeof(T);
        int64_t tile = span->first - span->left, top = 0;
        for (int64_t t = 0; t < span->tiles; t++, to += x->v_row) {
            FN(transform_tile)(s->pane + top * row + 2 * tile * PANE, row, to, x->v_plane);
            if (++tile == span->width) tile = 0, top += 2;
        }
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
        const char *m = s->m + at * x->m_row + (o - first) * (int64_t)sizeof(T);
        int64_t tile = span->first - span->left, top = 0;
        for (int64_t t = 0; t < span->tiles; t++, m += x->m_row) {
            FN(transform_back)(m, x->m_plane, s->pane + top * row + 2 * tile * PANE, row);
            if (++tile == span->width) tile = 0, top += 2;
        }
        FN(carry_pixels)(&runs, of->y.channel, c + o * of->y.channel, s->pane,
                        (int)MIN((int64_t)PANE, end - o), 1);
    }
}

/* One of the 16 products, for the outputs of a chunk. */
static void FN(winograd_multiply)(const tn_winograd_plan *x, const char *v, const char *u, char *m,
                                  int64_t tiles, int64_t outputs) {
    enum { DEPTH = 256 };
    const int64_t size = sizeof(T), channels = x->of->channels;
    int64_t rows[MR];
    for (int i = 0; i < MR; i++) rows[i] = i * x->m_row;
    FN(tile_target) to = {.rows = rows, .later_rows = rows, .span = NR * size - 1};
    for (int j = 0; j < TILE_VECTORS; j++) to.columns[j] = j * VBYTES;
    for (int64_t k = 0; k < channels; k += DEPTH) {
        const int64_t depth = MIN((int64_t)DEPTH, channels - k);
        to.accumulate = k > 0;
        for (int64_t j = 0; j < outputs; j += NR) {
            const char *b = u + (j * channels + k * NR) * size;
            for (int64_t i = 0; i < tiles; i += MR) {
                to.c = m + i * x->m_row + j * size;
                to.later = to.c;
                FN(tile_strided)((int)MIN((int64_t)MR, tiles - i),
                                 (FN(tile_strides)){x->v_row, size, NR * size}, depth,
                                 v + i * x->v_row + k * size, b, &to);
            }
        }
    }
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
        for (int p = 0; p < TRANSFORMED; p++)
            FN(winograd_multiply)(x, s.v + p * x->v_plane, weights + p * x->u_plane,
                                  s.m + p * x->m_plane, end - begin, outputs);
        for (int64_t t = begin; t < end; t += span.tiles) {
            span = next_span(x, t, end);
            FN(winograd_write)(x, &span, c, &s, t - begin, o);
        }
    }
}

/* ---- gradient to weights ------------------------------------------------------------------ */

/* A y A' of one tile of 2 x 2 pixels in a pane with rows of so many elements. */
ALWAYS_INLINE void FN(transform_cotangent)(const R *pane, int64_t row, char *to, int64_t plane) {
    for (int v = 0; v < PANE; v += VL, pane += VL, to += VBYTES) {
        const V y0 = *(const V *)pane, y1 = *(const V *)(pane + PANE);
        const V z0 = *(const V *)(pane + row), z1 = *(const V *)(pane + row + PANE);
        const V t[4][2] = {{y0, y1}, {y0 + z0, y1 + z1}, {y0 - z0, y1 - z1}, {-z0, -z1}};
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            *(V *)(to + (4 * r + 0) * plane) = t[r][0];
            *(V *)(to + (4 * r + 1) * plane) = t[r][0] + t[r][1];
            *(V *)(to + (4 * r + 2) * plane) = t[r][0] - t[r][1];
            *(V *)(to + (4 * r + 3) * plane) = -t[r][1];
        }
    }
}

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
        int64_t tile = span->first - span->left, top = 0;
        for (int64_t t = 0; t < span->tiles; t++, to += x->m_row) {
            FN(transform_cotangent)(s->pane + top * row + 2 * tile * PANE, row, to, x->m_plane);
            if (++tile == span->width) tile = 0, top += 2;
        }
    }
}

/* One of the 16 sums over the tiles of a block, for these outputs, added or not. */
static void FN(winograd_sum)(const tn_winograd_plan *x, const char *v, const char *m, char *sums,
                             int64_t tiles, int64_t first, int64_t end, int accumulate) {
    const int64_t size = sizeof(T), channels = x->of->channels;
    const FN(tile_strides) strides = {size, x->v_row, x->m_row};
    int64_t rows[MR];
    for (int i = 0; i < MR; i++) rows[i] = i * x->sums_row;
    FN(tile_target) to = {.rows = rows, .later_rows = rows, .span = NR * size - 1};
    for (int j = 0; j < TILE_VECTORS; j++) to.columns[j] = j * VBYTES;
    to.accumulate = accumulate;
    for (int64_t j = first; j < end; j += NR)
        for (int64_t i = 0; i < channels; i += MR) {
            to.later = to.c = sums + i * x->sums_row + j * size;
            FN(tile_strided)((int)MIN((int64_t)MR, channels - i), strides, tiles, v + i * size,
                             m + j * size, &to);
        }
}

/* The sums of one part of the tiles, for one group of outputs. */
static void FN(winograd_part)(const tn_winograd_plan *x, const char *a, const char *y, char *sums,
                              int64_t part, int64_t group, char *workspace) {
    const FN(winograd_space) s = FN(winograd_divide)(x, workspace);
    const int64_t begin = part * x->part, end = MIN(begin + x->part, x->tiles);
    const int64_t first = group * x->group, last = MIN(first + x->group, x->of->outputs);
    sums += part * TRANSFORMED * x->sums_plane;
    for (int64_t block = begin; block < end; block += x->block) {
        const int64_t stop = MIN(block + x->block, end);
        tile_span span;
        for (int64_t t = block; t < stop; t += span.tiles) {
            span = next_span(x, t, stop);
            FN(winograd_read)(x, &span, a, &s, t - block);
            FN(winograd_read_back)(x, &span, y, &s, t - block, first, last);
        }
        for (int p = 0; p < TRANSFORMED; p++)
            FN(winograd_sum)(x, s.v + p * x->v_plane, s.m + p * x->m_plane,
                             sums + p * x->sums_plane, stop - block, first, last, block > begin);
    }
}

/* G's G of one channel and a pane of outputs, s being the sum of all parts. */
ALWAYS_INLINE void FN(transform_sums)(const tn_winograd_plan *x, const char *sums, R *taps) {
    const R half = (R)0.5;
    for (int v = 0; v < PANE; v += VL, sums += VBYTES, taps += VL) {
        V t[3][4];
#pragma GCC unroll 4
        for (int s = 0; s < 4; s++) {
            V sum[4];
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++) {
                const char *at = sums + (4 * r + s) * x->sums_plane;
                sum[r] = *(const V *)at;
                for (int64_t part = 1; part < x->parts; part++)
                    sum[r] += *(const V *)(at += TRANSFORMED * x->sums_plane);
            }
            const V both = (sum[1] + sum[2]) * half;
            t[0][s] = sum[0] + both;
            t[1][s] = (sum[1] - sum[2]) * half;
            t[2][s] = both + sum[3];
        }
#pragma GCC unroll 3
        for (int r = 0; r < 3; r++) {
            const V both = (t[r][1] + t[r][2]) * half;
            *(V *)(taps + (3 * r + 0) * PANE) = t[r][0] + both;
            *(V *)(taps + (3 * r + 1) * PANE) = (t[r][1] - t[r][2]) * half;
            *(V *)(taps + (3 * r + 2) * PANE) = both + t[r][3];
        }
    }
}

/* A pane of outputs of the gradient, from the sums of all parts. */
static void FN(winograd_taps)(const tn_winograd_plan *x, const char *sums, char *w, int64_t pane) {
    enum { AT_ONCE = 16 };
    const tn_winograd *of = x->of;
    const int64_t o = pane * PANE;
    _Alignas(64) R taps[AT_ONCE * 9 * (PANE_BYTES / sizeof(T))];
    pixel_run at[AT_ONCE * 9];
    int32_t places[AT_ONCE * 9];
    pixel_runs runs = {.runs = at, .places = places, .step = of->w_column};
    sums += o * (int64_t)sizeof(T);
    for (int64_t c = 0; c < of->channels; c += AT_ONCE) {
        const int count = (int)MIN((int64_t)AT_ONCE, of->channels - c);
        runs.count = runs.used = 0;
        for (int i = 0; i < count; i++, sums += x->sums_row) {
            FN(transform_sums)(x, sums, taps + i * 9 * PANE);
            for (int r = 0; r < 3; r++)
                add_pixels(&runs, (c + i) * of->w_in + r * of->w_row, 3, i * 9 + r * 3);
        }
        FN(carry_pixels)(&runs, of->w_out, w + o * of->w_out, taps,
                         (int)MIN((int64_t)PANE, of->outputs - o), 1);
    }
}

#undef E
#undef PANE
#undef PIXEL
