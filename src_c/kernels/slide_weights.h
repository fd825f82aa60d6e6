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

ALWAYS_INLINE void FN(pixel_taps)(const int count, const tn_tap *taps, int64_t n_taps, const char *from,
                                  int64_t from_step, const char *gradient, int64_t step, int64_t n,
                                  int64_t channels, int64_t newest, int64_t row, int64_t rows,
 int64_t positions, R *sums) {
    for (int64_t c = 0; c < channels; c += VL) {
        const int64_t begin = MIN(c, channels - VL), bytes = begin * (int64_t)sizeof(R);
        for (int64_t t = 0; t < n_taps; t += count) {
            V sum[WEIGHT_TAPS] = {{0}};
            if (t == 0) {
                const int64_t most = n * VBYTES, at = c / VL * most;
                FN(fetch_ahead)(from + newest + n * from_step + at * positions, row, rows, gradient + n * step + at,
                                most * positions, most);
            }
            FN(weigh_positions)(count, taps + t, from + bytes, from_step, gradient + bytes, step, n, sum);
            for (int64_t i = 0; i < count && t + i < n_taps; i++) {
                R *to = sums + taps[t + i].number * channels + begin;
                if (begin == c) FN(store)((char *)to, FN(load)((const char *)to) + sum[i]);
                else
                    for (int64_t l = c - begin; l < VL; l++) to[l] += sum[i][l];
            }
        }
    }
}

/* units: rows of windows. */
static void FN(pixel_weights)(const tn_sliding *s, const char *gradient, int64_t first, int64_t last,
                              char *sums, char *workspace) {
    enum { NEAR_BYTES = 16 << 10 };
    tn_tap *taps = (tn_tap *)workspace;
    const tn_slide *x = s->x;
    const int64_t from_step = s->axis[2].step * x->from.at[2], step = x->to.at[2];
    for (int64_t unit = first; unit < last; unit++) {
        const slide_row row = locate_row(s, unit);
        const int64_t rows = (row.m1[0] - row.m0[0]) * (row.m1[1] - row.m0[1]);
        /* so many positions that what one vector of channels reads is there for the next */
        const int64_t near = NEAR_BYTES / ((rows * s->axis[2].step + 1) * x->channels * (int64_t)sizeof(R));
        const int64_t piece = MAX(near, 8);
        for (int64_t r = 0; r < s->n_runs; r++) {
            const tn_run *run = &s->runs[r];
            const int64_t n_taps = list_taps(TILE_SUM, s, &row, run, taps);
            if (!n_taps) continue;
            const int few = n_taps <= 3;
            const int64_t newest = taps[n_taps - 1].source;
            fill_group(taps, n_taps, few ? 3 : WEIGHT_TAPS);
            for (int64_t j = run->j, end = run->j + run->n; j < end; j += piece) {
                const int64_t source = s->axis[2].phase->first + j * s->axis[2].step;
                const char *from = s->from + row.batch * x->from.batch + source * x->from.at[2];
                const char *g = gradient + at_row(&x->to, &row) + j * step;
                const int64_t n = MIN(piece, end - j);
                if (few) FN(pixel_taps)(3, taps, n_taps, from, from_step, g, step, n, x->channels, newest, x->from.at[1], MIN(s->axis[1].step, 2), s->axis[2].step, (R *)sums);
                else FN(pixel_taps)(WEIGHT_TAPS, taps, n_taps, from, from_step, g, step, n, x->channels, newest, x->from.at[1], MIN(s->axis[1].step, 2), s->axis[2].step, (R *)sums);
            }
        }
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
    plane_band known = {.depth = NULL};
    for (int64_t unit = first; unit < last; unit++) {
        const plane_band b = locate_band(s, unit);
        const int64_t n_taps = (b.m1 - b.m0) * s->axis[1].phase->taps * s->axis[2].phase->taps;
        const int few = n_taps <= 3;
        if (!n_taps) continue;
        if (!known.depth || b.m0 != known.m0 || b.m1 != known.m1) {
            list_plane_taps(s, &b, sizeof(R), taps);
            fill_group(taps, n_taps, few ? 3 : WEIGHT_TAPS);
        }
        known = b;
        FN(fill_band)(TILE_SUM, s, &b, work);
        const int64_t n = MIN(s->axis[2].out - b.j0, s->strip);
        R *rows = (R *)(work + at.results);
        for (int64_t i = b.i0; i < b.i1; i++) {
            R *to = rows + (i - b.i0) * strip;
            FN(deal_out)(to, gradient + b.to + i * x->to.at[1], x->to.at[2], b.j0, n, s->axis[2].out, 1, strip, 0);
            for (int64_t j = n; j < (n + VL - 1) / VL * VL; j++) to[j] = 0;
        }
        const char *from = work + at.rows + (s->axis[1].phase->first + b.i0 * s->axis[1].step - b.row0) * width;
        R *of_channel = (R *)sums + b.channel * volume;
        if (few) FN(plane_taps)(3, taps, n_taps, from, s->axis[1].step * width, (const char *)rows,
                                strip * (int64_t)sizeof(R), b.i1 - b.i0, n, of_channel);
        else FN(plane_taps)(WEIGHT_TAPS, taps, n_taps, from, s->axis[1].step * width, (const char *)rows,
                            strip * (int64_t)sizeof(R), b.i1 - b.i0, n, of_channel);
    }
}
