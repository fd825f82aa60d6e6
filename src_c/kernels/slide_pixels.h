/* Channels last: vectors lie along the channels, and are read and written where they are. */

/* Where the vectors of a tile begin, and how far they are apart. */
typedef struct {
    FN(tile_source) source;
    char *to, *index;
    int64_t to_step, index_step;
    int64_t newest, row, rows, step; /* of the source: where the last row begins that taps see, bytes of
                                      * one, how many no row before has seen, positions of a step */
    R divisor; /* of TILE_SUM */
} FN(pixel_place);

ALWAYS_INLINE void FN(pixel_tile)(const int kind, const int count, const int weighing, const int size,
                                  const tn_tap *taps, int64_t n_taps, const FN(pixel_place) * at) {
    V sum[TILE];
    VI place[TILE];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        sum[i] = FN(slide_start)(kind);
        place[i] = (VI){0};
        if (kind == TILE_ARGMAX) place[i] += (I)taps[0].number;
        if (kind == TILE_PICK) place[i] = FN(load_places)(at->index + i * at->index_step, size);
    }
    FN(slide_tile)(kind, count, 1, weighing, size, taps, n_taps, &at->source, sum, place);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        if (kind == TILE_SUM) sum[i] /= at->divisor;
        FN(store)(at->to + i * at->to_step, sum[i]);
        if (kind == TILE_ARGMAX) FN(store_places)(at->index + i * at->index_step, place[i], size);
    }
}

/* The same place some channels and positions further. */
ALWAYS_INLINE FN(pixel_place) FN(pixel_move)(const int kind, const int size, const FN(pixel_place) * at,
                                             int64_t j, int64_t channel) {
    FN(pixel_place) moved = *at;
    const int64_t bytes = channel * (int64_t)sizeof(R);
    moved.source.from += j * at->source.from_step + bytes;
    moved.to += j * at->to_step + bytes;
    moved.source.weights += kind == TILE_WEIGH ? bytes : 0;
    moved.source.other += j * at->source.other_step + (kind == TILE_RETURN ? channel * size : 0);
    moved.index += j * at->index_step + channel * size;
    return moved;
}

/* Fetches a line of each of so many positions: tiles go through them by columns, which the CPU would not
 * foresee. */
ALWAYS_INLINE void FN(fetch_ahead)(const char *p, int64_t step, int64_t positions, const int writes) {
    for (int64_t i = 0; i < positions; i++) {
        if (writes) __builtin_prefetch(p + i * step, 1);
        else __builtin_prefetch(p + i * step);
    }
}

/* Several positions at a time, the last of which may be done twice: their weights are loaded once.
 * Channels come in blocks whose weights stay near. */
ALWAYS_INLINE void FN(pixel_block)(const int kind, const int size, const int along, const tn_tap *taps,
                                   int64_t n_taps, const FN(pixel_place) * at, int64_t n,
                                   int64_t channels) {
    const int64_t block = BLOCK_VECTORS * VL, pixel = at->source.from_step / at->step;
    for (int64_t c0 = 0; c0 < channels; c0 += block)
        for (int64_t j = 0; j < n; j += along) {
            j = MIN(j, n - along);
            for (int64_t c = c0; c < MIN(channels, c0 + block); c += VL) {
                const FN(pixel_place) here = FN(pixel_move)(kind, size, at, j, MIN(c, channels - VL));
                if (channels <= block) { /* in the order of memory */
                    const int64_t part = along * VBYTES, before = c / VL * part;
                    const char *from = at->source.from + at->newest + (j + along) * at->source.from_step;
                    for (int64_t r = 0; r < at->rows; r++)
                        FN(fetch_ahead)(from - r * at->row + before * at->step, LINE,
                                        part * at->step / LINE, 0);
                    FN(fetch_ahead)(at->to + (j + along) * at->to_step + before, LINE, part / LINE, 1);
                } else if (c / VL % LINE_VECTORS == 0) {
                    const char *from = here.source.from + at->newest + along * at->source.from_step;
                    for (int64_t r = 0; r < at->rows; r++)
                        FN(fetch_ahead)(from - r * at->row, pixel, along * at->step, 0);
                    FN(fetch_ahead)(here.to + along * at->to_step, at->to_step, along, 1);
                }
                FN(pixel_tile)(kind, along, WEIGHT_VECTOR, size, taps, n_taps, &here);
            }
        }
}

/* n positions that see the same taps.  A tile is channels of one position, which lie in a row, or the
 * same channels of several where there are weights, or few channels. */
ALWAYS_INLINE void FN(pixel_run)(const int kind, const int size, const tn_tap *taps, int64_t n_taps,
                                 const FN(pixel_place) * at, int64_t n, int64_t channels) {
    enum { ACROSS = 4 };
    const int along = kind == TILE_SUM || kind == TILE_WEIGH || kind == TILE_MAX ? 8 : 4;
    const int64_t last = channels - VL;
    if (n >= 4 && (kind == TILE_WEIGH || channels < ACROSS * VL)) {
        int64_t done = 0;
        if (along == 8 && n >= 8) {
            done = n % 8 && n % 8 <= 4 ? n / 8 * 8 : n;
            FN(pixel_block)(kind, size, 8, taps, n_taps, at, done, channels);
        }
        if (done < n) {
            const int64_t begin = MIN(done, n - 4);
            const FN(pixel_place) rest = FN(pixel_move)(kind, size, at, begin, 0);
            FN(pixel_block)(kind, size, 4, taps, n_taps, &rest, n - begin, channels);
        }
        return;
    }
    for (int64_t j = 0; j < n; j++) {
        int64_t c = 0;
        for (; c + ACROSS * VL <= channels; c += ACROSS * VL) {
            FN(pixel_place) here = FN(pixel_move)(kind, size, at, j, c);
            here.source.from_step = here.to_step = VBYTES;
            here.index_step = VL * size;
            here.source.other_step = kind == TILE_RETURN ? VL * size : 0;
            if (kind == TILE_RETURN || kind == TILE_SUM || kind == TILE_SPREAD)
                FN(fetch_ahead)(here.to + 2 * at->to_step, LINE, ACROSS * VBYTES / LINE, 1);
            FN(pixel_tile)(kind, ACROSS, WEIGHT_EACH, size, taps, n_taps, &here);
        }
        for (; c < channels; c += VL) {
            const FN(pixel_place) here = FN(pixel_move)(kind, size, at, j, MIN(c, last));
            FN(pixel_tile)(kind, 1, WEIGHT_VECTOR, size, taps, n_taps, &here);
        }
    }
}

ALWAYS_INLINE void FN(pixels)(const int kind, const int size, const tn_sliding *s, int64_t first,
                              int64_t last, char *workspace) {
    tn_tap *taps = (tn_tap *)workspace;
    const tn_slide *x = s->x;
    const tn_axis *axis = &s->axis[2];
    for (int64_t unit = first; unit < last; unit++) {
        const int64_t j0 = unit % s->strips * s->strip;
        const slide_row row = locate_row(s, unit / s->strips);
        for (int64_t r = 0; r < s->n_runs; r++) {
            const tn_run *run = &s->runs[r];
            const int64_t a = MAX(run->j, j0), b = MIN(run->j + run->n, j0 + s->strip);
            if (a >= b) continue;
            const int64_t n_taps = list_taps(kind, s, &row, run, taps);
            const int64_t source = axis->phase[run->phase].first + a * axis->step;
            const int64_t result = run->phase + axis->phases * a;
            FN(pixel_place) at = {
                .source = {.from = s->from + row.batch * x->from.batch + source * x->from.at[2],
                           .weights = s->weights,
                           .from_step = axis->step * x->from.at[2]},
                .to = s->to + at_row(&x->to, &row) + result * x->to.at[2],
                .to_step = axis->phases * x->to.at[2],
                .newest = n_taps ? MAX(taps[0].source, taps[n_taps - 1].source) : 0,
                .row = x->from.at[1],
                .rows = MIN(s->axis[1].step, 2),
                .step = axis->step,
                .divisor = (R)count_seen(x, &row, run),
            };
            if (kind == TILE_ARGMAX || kind == TILE_PICK) {
                at.index = s->index + at_row(&x->index, &row) + result * x->index.at[2];
                at.index_step = x->index.at[2];
            } else if (kind == TILE_RETURN) {
                at.source.other = s->index + row.batch * x->index.batch + source * x->index.at[2];
                at.source.other_step = axis->step * x->index.at[2];
            } else if (kind == TILE_SPREAD) {
                at.source.other = (const char *)(s->factors + source);
                at.source.other_step = axis->step * (int64_t)sizeof(double);
            }
            FN(pixel_run)(kind, size, taps, n_taps, &at, b - a, x->channels);
        }
    }
}

#define PIXELS(name, kind)                                                                           \
    static void FN(pixels_##name)(const tn_sliding *s, int64_t first, int64_t last, char *work) {    \
        FN(pixels)(kind, 1, s, first, last, work);                                                   \
    }
#define PLACED_PIXELS(name, kind)                                                                    \
    static void FN(pixels_##name)(const tn_sliding *s, int64_t first, int64_t last, char *work) {    \
        if (s->x->narrow) FN(pixels)(kind, 1, s, first, last, work);                                 \
        else FN(pixels)(kind, 4, s, first, last, work);                                              \
    }
PIXELS(max, TILE_MAX)
PLACED_PIXELS(argmax, TILE_ARGMAX)
PLACED_PIXELS(pick, TILE_PICK)
PLACED_PIXELS(return, TILE_RETURN)
PIXELS(sum, TILE_SUM)
PIXELS(spread, TILE_SPREAD)
PIXELS(weigh, TILE_WEIGH)
#undef PIXELS
#undef PLACED_PIXELS
