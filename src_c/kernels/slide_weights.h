/* The gradient of a depthwise convolution to its weights: for each tap, the sum over the windows of what
 * they see there times the gradient of their result.  Some taps at a time have their sums in registers. */

/* Adds to the sums of `count` taps, for n positions. */
ALWAYS_INLINE void FN(weigh_positions)(const int count, const tn_tap *taps, const char *from,
                                       int64_t from_step, const char *gradient, int64_t step,
                                       int64_t n, V *sum) {
    const char *seen[WEIGHT_TAPS];
    for (int i = 0; i < count; i++) seen[i] = from + taps[i].source;
    for (int64_t j = 0, at = 0; j < n; j++, at += from_step, gradient += step) {
        const V g = FN(load)(gradient);
#pragma GCC unroll 9
        for (int i = 0; i < count; i++) sum[i] += g * FN(load)(seen[i] + at);
    }
}

/* A stretch of positions of a row, and where they are. */
typedef struct {
    const char *from, *gradient;
    int64_t from_step, step, n, newest, positions; /* positions: from one to the next, of the source */
} FN(stretch);

/* Channels c0 .. c1 - 1; the last vector of all may overlap the one before. */
ALWAYS_INLINE void FN(pixel_taps)(const int count, const tn_tap *taps, int64_t n_taps,
                                  const FN(stretch) * at, int64_t c0, int64_t c1, int64_t channels,
                                  R *sums) {
    for (int64_t c = c0; c < c1; c += VL) {
        const int64_t begin = MIN(c, channels - VL), bytes = begin * (int64_t)sizeof(R);
        if (c / VL % LINE_VECTORS == 0) {
            const int64_t pixel = at->from_step / at->positions;
            FN(fetch_ahead)(at->from + bytes + at->newest + at->n * at->from_step, pixel,
                            at->n * at->positions, 0);
            FN(fetch_ahead)(at->gradient + bytes + at->n * at->step, at->step, at->n, 0);
        }
        for (int64_t t = 0; t < n_taps; t += count) {
            V sum[WEIGHT_TAPS] = {{0}};
            FN(weigh_positions)(count, taps + t, at->from + bytes, at->from_step, at->gradient + bytes,
                                at->step, at->n, sum);
            for (int64_t i = 0; i < count && t + i < n_taps; i++) {
                R *to = sums + taps[t + i].number * channels + begin;
                if (begin == c) FN(store)((char *)to, FN(load)((const char *)to) + sum[i]);
                else
                    for (int64_t l = c - begin; l < VL; l++) to[l] += sum[i][l];
            }
        }
    }
}

/* One position, whose products are added where the sums are. */
static void FN(pixel_edge)(const tn_tap *taps, int64_t n_taps, const FN(stretch) * at, int64_t c0,
                           int64_t c1, int64_t channels, R *sums) {
    for (int64_t c = c0; c < c1; c += VL) {
        const int64_t begin = MIN(c, channels - VL), bytes = begin * (int64_t)sizeof(R);
        const V g = FN(load)(at->gradient + bytes);
        for (int64_t t = 0; t < n_taps; t++) {
            const V x = FN(load)(at->from + taps[t].source + bytes) * g;
            R *to = sums + taps[t].number * channels + begin;
            if (begin == c) FN(store)((char *)to, FN(load)((const char *)to) + x);
            else
                for (int64_t l = c - begin; l < VL; l++) to[l] += x[l];
        }
    }
}

/* Channels c0 .. c1 - 1 of one row of windows. */
static void FN(weigh_row)(const tn_sliding *s, const slide_row *row, const char *gradient, int64_t c0,
                          int64_t c1, tn_tap *taps, R *sums) {
    enum { NEAR_BYTES = 16 << 10 };
    const tn_slide *x = s->x;
    const tn_axis *axis = &s->axis[2];
    const int64_t rows = (row->m1[0] - row->m0[0]) * (row->m1[1] - row->m0[1]);
    /* so many positions that what one vector of channels reads is there for the next */
    const int64_t bytes = (rows * axis->step + 1) * (c1 - c0) * (int64_t)sizeof(R);
    const int64_t piece = MAX(NEAR_BYTES / bytes, 8);
    for (int64_t r = 0; r < s->n_runs; r++) {
        const tn_run *run = &s->runs[r];
        const int64_t n_taps = list_taps(TILE_SUM, s, row, run, taps);
        if (!n_taps) continue;
        FN(stretch) at = {.from_step = axis->step * x->from.at[2], .step = x->to.at[2]};
        at.newest = taps[n_taps - 1].source, at.positions = axis->step;
        fill_group(taps, n_taps, n_taps <= 3 ? 3 : WEIGHT_TAPS);
        for (int64_t j = run->j, end = run->j + run->n; j < end; j += piece) {
            const int64_t source = axis->phase->first + j * axis->step;
            at.from = s->from + row->batch * x->from.batch + source * x->from.at[2];
            at.gradient = gradient + at_row(&x->to, row) + j * at.step;
            at.n = MIN(piece, end - j);
            if (at.n == 1) FN(pixel_edge)(taps, n_taps, &at, c0, c1, x->channels, sums);
            else if (n_taps <= 3) FN(pixel_taps)(3, taps, n_taps, &at, c0, c1, x->channels, sums);
            else FN(pixel_taps)(WEIGHT_TAPS, taps, n_taps, &at, c0, c1, x->channels, sums);
        }
    }
}

/* units: rows of windows. */
static void FN(pixel_weights)(const tn_sliding *s, const char *gradient, int64_t first, int64_t last,
                              char *sums, char *workspace) {
    const int64_t channels = s->x->channels, block = BLOCK_VECTORS * VL;
    for (int64_t c = 0; c < channels; c += block)
        for (int64_t unit = first; unit < last; unit++) {
            const slide_row row = locate_row(s, unit);
            FN(weigh_row)(s, &row, gradient, c, MIN(c + block, channels), (tn_tap *)workspace,
                          (R *)sums);
        }
}

ALWAYS_INLINE R FN(across)(V x) {
    R sum = 0;
    for (int i = 0; i < VL; i++) sum += x[i];
    return sum;
}

/* n columns of `rows` rows, from_row and row bytes apart. */
ALWAYS_INLINE void FN(plane_taps)(const int count, const tn_tap *taps, int64_t n_taps, const char *from,
                                  int64_t from_row, const char *gradient, int64_t row, int64_t rows,
                                  int64_t n, R *sums) {
    VI inside = {0};
    for (int i = 0; i < VL; i++) inside[i] = i < n % VL ? -1 : 0;
    for (int64_t t = 0; t < n_taps; t += count) {
        V sum[WEIGHT_TAPS] = {{0}};
        const int64_t whole = n / VL, rest = whole * VBYTES;
        for (int64_t r = 0; r < rows; r++) {
            const char *x = from + r * from_row, *g = gradient + r * row;
            FN(weigh_positions)(count, taps + t, x, VBYTES, g, VBYTES, whole, sum);
            if (n % VL)
                for (int i = 0; i < count; i++)
                    sum[i] += FN(load)(g + rest) * (V)(inside & (VI)FN(load)(x + taps[t + i].source + rest));
        }
        for (int64_t i = 0; i < count && t + i < n_taps; i++)
            sums[taps[t + i].number] += FN(across)(sum[i]);
    }
}

/* units: bands of windows. */
static void FN(plane_weights)(const tn_sliding *s, const char *gradient, int64_t first, int64_t last,
                              char *sums, char *work) {
    const tn_slide *x = s->x;
    const tn_plane_layout at = tn_lay_out_plane(s, sizeof(R));
    const int64_t strip = s->strip + SLIDING_SLACK, width = s->axis[2].step * s->width * (int64_t)sizeof(R);
    const int64_t volume = x->windows.kernel[0] * x->windows.kernel[1] * x->windows.kernel[2];
    tn_tap *taps = (tn_tap *)work;
    plane_band b = {.depth = NULL};
    FN(band_fill) fill;
    FN(deal_source) given;
    for (int64_t unit = first; unit < last; unit++) {
        const plane_band known = b;
        const int again = next_plane(s, &b);
        if (!again) b = locate_band(s, unit);
        const int64_t n_taps = (b.m1 - b.m0) * s->axis[1].phase->taps * s->axis[2].phase->taps;
        const int few = n_taps <= 3;
        const int64_t n = MIN(s->axis[2].out - b.j0, s->strip);
        if (!n_taps) continue;
        if (!again) {
            if (!known.depth || b.m0 != known.m0 || b.m1 != known.m1) {
                list_plane_taps(s, &b, sizeof(R), taps);
                fill_group(taps, n_taps, few ? 3 : WEIGHT_TAPS);
            }
            fill = FN(plan_fill)(TILE_SUM, s, &b);
            given = FN(rows_of)(&x->to, b.i0, b.i1 - b.i0, s->axis[1].out, b.j0, s->axis[2].out, sizeof(R));
        }
        FN(fill_band)(TILE_SUM, s, &b, again, &fill, &at, work);
        const FN(deal) deal = {0, n, (n + VL - 1) / VL * VL, 1, strip, 0};
        R *rows = (R *)(work + at.results);
        FN(deal_out)(rows, strip, &deal, &given, gradient + b.to + given.begin);
        const char *from = work + at.rows + (s->axis[1].phase->first + b.i0 * s->axis[1].step - b.row0) * width;
        R *of_channel = (R *)sums + b.channel * volume;
        if (few) FN(plane_taps)(3, taps, n_taps, from, s->axis[1].step * width, (const char *)rows,
                                strip * (int64_t)sizeof(R), b.i1 - b.i0, n, of_channel);
        else FN(plane_taps)(WEIGHT_TAPS, taps, n_taps, from, s->axis[1].step * width, (const char *)rows,
                            strip * (int64_t)sizeof(R), b.i1 - b.i0, n, of_channel);
    }
}
