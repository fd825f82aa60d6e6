/* Channels last: vectors lie along the channels, and are read and written where they are. */

/* Where the vectors of a tile begin, and how far they are apart. */
typedef struct {
    const char *from, *other, *weights;
    char *to, *index;
    int64_t from_step, other_step, to_step, index_step;
    int64_t newest, row, rows, step; /* of the source: where the last row begins that taps see, bytes of
                                      * one, how many no row before has seen, positions of a step */
    R divisor; /* of TILE_SUM */
} FN(pixel_place);

ALWAYS_INLINE void FN(pixel_tile)(const int kind, const int count, const int weighing, const int size,
                                  const tn_tap *taps, int64_t n_taps, const FN(pixel_place) * at) {
    const char *from[TILE], *other[TILE];
    V sum[TILE];
    VI place[TILE];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        from[i] = at->from + i * at->from_step;
        other[i] = at->other + i * at->other_step;
        sum[i] = FN(slide_start)(kind);
        place[i] = (VI){0};
        if (kind == TILE_ARGMAX) place[i] += (I)taps[0].number;
        if (kind == TILE_PICK) place[i] = FN(load_places)(at->index + i * at->index_step, size);
    }
    FN(slide_tile)(kind, count, weighing, size, taps, n_taps, from, other, at->weights, sum, place);
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
    moved.from += j * at->from_step + bytes;
    moved.to += j * at->to_step + bytes;
    moved.weights += kind == TILE_WEIGH ? bytes : 0;
    moved.other += j * at->other_step + (kind == TILE_RETURN ? channel * size : 0);
    moved.index += j * at->index_step + channel * size;
    return moved;
}

/* Fetches lines for a vector of channels: a part of `bytes` of what follows at `from` and `to`, which a
 * tile of positions reads for the first time and writes.  They lie in a row, but such tiles go through
 * them by columns, which the CPU would not foresee. */
ALWAYS_INLINE void FN(fetch_ahead)(const char *from, int64_t row, int64_t rows, const char *to,
                                   int64_t from_bytes, int64_t to_bytes) {
    enum { LINE = 64 };
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < from_bytes; i += LINE) __builtin_prefetch(from - r * row + i);
    for (int64_t i = 0; i < to_bytes; i += LINE) __builtin_prefetch(to + i, 1);
}

/* n positions that see the same taps.  A tile is channels of one position, which lie in a row; but with
 * weights, which are loaded once for a tile then, the same channels of several positions where there are
 * as many, the last ones of which may be done twice. */
ALWAYS_INLINE void FN(pixel_run)(const int kind, const int size, const tn_tap *taps, int64_t n_taps,
                                 const FN(pixel_place) * at, int64_t n, int64_t channels) {
    enum { ACROSS = 4 };
    const int along = kind == TILE_SUM || kind == TILE_WEIGH || kind == TILE_MAX ? 8 : 4;
    const int64_t last = channels - VL;
    const int alongside = n >= along && (kind == TILE_WEIGH || channels < ACROSS * VL);
    for (int64_t j = 0; j < n;) {
        if (alongside) {
            j = MIN(j, n - along);
            for (int64_t c = 0; c < channels; c += VL) {
                const FN(pixel_place) here = FN(pixel_move)(kind, size, at, j, MIN(c, last));
                FN(fetch_ahead)(at->from + at->newest + (j + along) * at->from_step + c / VL * along * VBYTES * at->step,
                                at->row, at->rows, at->to + (j + along) * at->to_step + c / VL * along * VBYTES,
                                along * VBYTES * at->step, along * VBYTES);
                FN(pixel_tile)(kind, along, WEIGHT_VECTOR, size, taps, n_taps, &here);
            }
            j += along;
            continue;
        }
        int64_t c = 0;
        for (; c + ACROSS * VL <= channels; c += ACROSS * VL) {
            FN(pixel_place) here = FN(pixel_move)(kind, size, at, j, c);
            here.from_step = here.to_step = VBYTES;
            here.index_step = VL * size;
            here.other_step = kind == TILE_RETURN ? VL * size : 0;
            if (kind == TILE_RETURN || kind == TILE_SUM || kind == TILE_SPREAD)
                FN(fetch_ahead)(NULL, 0, 0, here.to + 2 * at->to_step, 0, ACROSS * VBYTES);
            FN(pixel_tile)(kind, ACROSS, WEIGHT_EACH, size, taps, n_taps, &here);
        }
        for (; c < channels; c += VL) {
            const FN(pixel_place) here = FN(pixel_move)(kind, size, at, j, MIN(c, last));
            FN(pixel_tile)(kind, 1, WEIGHT_VECTOR, size, taps, n_taps, &here);
        }
        j++;
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
                .from = s->from + row.batch * x->from.batch + source * x->from.at[2],
                .to = s->to + at_row(&x->to, &row) + result * x->to.at[2],
                .weights = s->weights,
                .from_step = axis->step * x->from.at[2],
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
                at.other = s->index + row.batch * x->index.batch + source * x->index.at[2];
                at.other_step = axis->step * x->index.at[2];
            } else if (kind == TILE_SPREAD) {
                at.other = (const char *)(s->factors + source);
                at.other_step = axis->step * (int64_t)sizeof(double);
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
