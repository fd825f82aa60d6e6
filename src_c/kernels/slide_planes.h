/* Channels first, and everything that pixels cannot take: vectors lie along the rows of one channel.
 *
 * The source of a band of rows is copied with its padding into a buffer, so that no tap has to look
 * where the array ends, its columns dealt out by the windows' step, so that vectors of results read
 * vectors.  Where results have several phases of columns, these are dealt in again afterwards. */

/* The columns first .. first + n - 1 of a row, dealt out to `step` rows of `width`. */
static void FN(deal_out)(R *restrict row, const char *restrict from, int64_t stride, int64_t first,
                         int64_t n, int64_t in, int64_t step, int64_t width, R padding) {
    const int64_t low = tn_bounded(-first, 0, n), high = tn_bounded(in - first, low, n);
    const char *x = from + first * stride;
    if (step == 1 && stride == (int64_t)sizeof(R)) {
        for (int64_t i = 0; i < low; i++) row[i] = padding;
        for (int64_t i = high; i < n; i++) row[i] = padding;
        memcpy(row + low, x + low * stride, (size_t)((high - low) * stride));
        return;
    }
    for (int64_t i = 0; i < low; i++) row[i % step * width + i / step] = padding;
    for (int64_t i = high; i < n; i++) row[i % step * width + i / step] = padding;
    if (step == 2 && stride == (int64_t)sizeof(R)) {
        const R *restrict pairs = (const R *)x;
        R *restrict odd = row + width;
        if (low < high && low % 2) odd[low / 2] = pairs[low];
        if (low < high && high % 2) row[high / 2] = pairs[high - 1];
        for (int64_t i = (low + 1) / 2; i < high / 2; i++)
            row[i] = pairs[2 * i], odd[i] = pairs[2 * i + 1];
        return;
    }
    for (int64_t p = 0; p < step; p++) {
        const int64_t begin = (low - p + step - 1) / step, end = (high - p + step - 1) / step;
        R *restrict to = row + p * width;
        for (int64_t i = begin; i < end; i++) to[i] = *(const R *)(x + (i * step + p) * stride);
    }
}

/* The same of places, for which there is one step only; padding was picked by none. */
static void FN(deal_places)(I *restrict row, const char *restrict from, int64_t stride, int64_t first,
                            int64_t n, int64_t in, int narrow) {
    const int64_t low = tn_bounded(-first, 0, n), high = tn_bounded(in - first, low, n);
    for (int64_t i = 0; i < low; i++) row[i] = -1;
    for (int64_t i = high; i < n; i++) row[i] = -1;
    const char *x = from + first * stride;
    if (narrow && stride == 1) {
        for (int64_t i = low; i < high; i++) row[i] = ((const uint8_t *)x)[i];
    } else {
        for (int64_t i = low; i < high; i++)
            row[i] = narrow ? *(const uint8_t *)(x + i * stride) : *(const int32_t *)(x + i * stride);
    }
}

/* n results of each of `phases` rows of `width`, dealt in. */
static void FN(deal_in)(char *restrict to, int64_t stride, const R *restrict rows, int64_t n,
                        int64_t phases, int64_t width) {
    if (phases == 2 && stride == (int64_t)sizeof(R)) {
        R *restrict pairs = (R *)to;
        const R *restrict odd = rows + width;
        for (int64_t j = 0; j < n / 2; j++) pairs[2 * j] = rows[j], pairs[2 * j + 1] = odd[j];
        if (n % 2) pairs[n - 1] = rows[n / 2];
        return;
    }
    for (int64_t p = 0; p < phases; p++)
        for (int64_t i = p, j = p * width; i < n; i += phases, j++) *(R *)(to + i * stride) = rows[j];
}

/* Copies what a band sees into the buffer. */
static void FN(fill_band)(const int kind, const tn_sliding *s, const plane_band *b, char *work) {
    const tn_slide *x = s->x;
    const tn_axis *depth = &s->axis[0];
    const tn_plane_layout at = tn_lay_out_plane(s, sizeof(R));
    const int64_t step = s->axis[2].step, pitch = step * s->width;
    const R padding = kind == TILE_MAX || kind == TILE_ARGMAX ? (R)-INFINITY : 0;
    for (int64_t m = b->m0; m < b->m1; m++) {
        const int64_t d = b->layer + m * depth->reach;
        R *row = (R *)(work + at.rows) + (m - b->m0) * s->rows * pitch;
        I *places = (I *)(work + at.places) + (m - b->m0) * s->rows * pitch;
        for (int64_t h = b->row0; h < b->row1; h++, row += pitch, places += pitch) {
            const int64_t in = h < 0 || h >= s->axis[1].in ? 0 : s->axis[2].in;
            const char *from = s->from + b->from + d * x->from.at[0] + h * x->from.at[1];
            FN(deal_out)(row, from, x->from.at[2], b->column, b->columns, in, step, s->width, padding);
            if (kind == TILE_RETURN) {
                from = s->index + b->places + d * x->index.at[0] + h * x->index.at[1];
                FN(deal_places)(places, from, x->index.at[2], b->column, b->columns, in, x->narrow);
            } else if (kind == TILE_SPREAD && in) {
                const double of_row = 1.0 / (double)(tn_seen(&x->windows, 0, d) * tn_seen(&x->windows, 1, h));
                const int64_t low = tn_bounded(-b->column, 0, b->columns);
                const int64_t high = tn_bounded(in - b->column, low, b->columns);
                for (int64_t i = low; i < high; i++)
                    row[i] *= (R)(of_row * s->factors[b->column + i]);
            }
        }
    }
}

/* For positions j0 .. j0 + n - 1 of an axis: how many taps count in an average, and the first that sees
 * something. */
static void FN(look_up)(const tn_sliding *s, int d, int64_t j0, int64_t n, R *counts, I *firsts) {
    const tn_axis *axis = &s->axis[d];
    const int all = s->x->padded || s->x->transposed;
    for (int64_t j = 0; j < n; j++) {
        int64_t m0 = 0, m1 = 0;
        if (!s->x->transposed && j0 + j < axis->out) tn_clip(axis, axis->phase, j0 + j, &m0, &m1);
        counts[j] = (R)(all ? s->x->windows.kernel[d] : m1 - m0);
        firsts[j] = (I)m0;
    }
}

ALWAYS_INLINE VI FN(load_some_places)(const char *p, int64_t stride, int64_t lanes, int narrow) {
    VI places = {0};
    if (lanes == VL && stride == (narrow ? 1 : 4))
        return narrow ? FN(load_places)(p, 1) : FN(load_places)(p, 4);
    for (int64_t i = 0; i < lanes; i++)
        places[i] = narrow ? *(const uint8_t *)(p + i * stride) : *(const int32_t *)(p + i * stride);
    return places;
}

ALWAYS_INLINE void FN(store_some_places)(char *p, int64_t stride, int64_t lanes, int narrow, VI places) {
    if (lanes == VL && stride == (narrow ? 1 : 4)) {
        if (narrow) FN(store_places)(p, places, 1);
        else FN(store_places)(p, places, 4);
        return;
    }
    for (int64_t i = 0; i < lanes; i++) {
        if (narrow) *(uint8_t *)(p + i * stride) = (uint8_t)places[i];
        else *(int32_t *)(p + i * stride) = (int32_t)places[i];
    }
}

/* The rows of one phase of a band and one phase of their columns. */
typedef struct {
    const tn_tap *taps;
    const char *from, *weights;
    char *to, *index;
    const R *counts, *row_counts;
    const I *firsts, *row_firsts;
    int64_t n_taps, rows, n;                     /* n: columns */
    int64_t from_row, to_row, index_row, places; /* bytes; places: from values to their places */
    int whole;                                   /* vectors may be written whole */
} FN(plane_part);

/* Where a vector of results is made: column `column` of row `row`. */
typedef struct {
    const char *from;
    char *to, *index;
    int64_t row, column;
} FN(plane_spot);

ALWAYS_INLINE void FN(finish)(const int kind, const tn_sliding *s, const plane_band *b,
                              const FN(plane_part) * p, const FN(plane_spot) * at, int64_t lanes, V sum,
                              VI place) {
    const tn_volume *index = &s->x->index;
    if (kind == TILE_SUM)
        sum /= FN(splat)(p->row_counts[at->row * s->axis[1].phases] * (R)b->layers) *
               FN(load)((const char *)(p->counts + at->column));
    if (lanes == VL || p->whole) FN(store)(at->to, sum);
    else memcpy(at->to, &sum, (size_t)lanes * sizeof(R));
    if (kind == TILE_ARGMAX)
        FN(store_some_places)(at->index, index->at[2], lanes, s->x->narrow, place);
}

/* All vectors of a part, some at a time.  The last one of a row overlaps the one before, so that all are
 * whole where a row has a vector. */
ALWAYS_INLINE void FN(plane_tiles)(const int kind, const tn_sliding *s, const plane_band *b,
                                   const FN(plane_part) * p) {
    const int indexed = kind == TILE_ARGMAX || kind == TILE_PICK;
    const int count = indexed || kind == TILE_RETURN ? 4 : 8;
    const int inner = kind == TILE_SPREAD ? TILE_SUM : kind; /* the buffer holds shares */
    const tn_slide *x = s->x;
    const int64_t last = MAX(p->n - VL, 0), lanes = MIN(p->n, VL);
    FN(plane_spot) next = {p->from, p->to, p->index, 0, 0};
    for (int left = 1; left;) {
        FN(plane_spot) at[TILE];
        const char *from[TILE], *other[TILE];
        V sum[TILE];
        VI place[TILE];
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            const int64_t j = MIN(next.column, last);
            at[i] = next;
            at[i].column = j;
            at[i].to += j * (int64_t)sizeof(R);
            from[i] = next.from + j * (int64_t)sizeof(R);
            other[i] = from[i] + p->places;
            if (indexed) at[i].index += j * x->index.at[2];
            next.column += VL;
            if (next.column < p->n) continue;
            if (next.row + 1 < p->rows) {
                next.row++, next.column = 0;
                next.from += p->from_row, next.to += p->to_row;
                if (indexed) next.index += p->index_row;
            } else {
                next.column -= VL, left = 0; /* the last vector once more */
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            sum[i] = FN(slide_start)(kind);
            place[i] = (VI){0};
            if (kind == TILE_ARGMAX)
                place[i] = (I)(b->first + p->row_firsts[at[i].row] * x->windows.kernel[2]) +
                           (VI)FN(load)((const char *)(p->firsts + at[i].column));
            if (kind == TILE_PICK)
                place[i] = FN(load_some_places)(at[i].index, x->index.at[2], lanes, x->narrow);
        }
        FN(slide_tile)(inner, count, WEIGHT_NUMBER, sizeof(I), p->taps, p->n_taps, from, other,
                       p->weights, sum, place);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) FN(finish)(kind, s, b, p, &at[i], lanes, sum[i], place[i]);
    }
}

/* One band of a plane. */
ALWAYS_INLINE void FN(plane)(const int kind, const tn_sliding *s, const plane_band *b, char *work) {
    const tn_slide *x = s->x;
    const tn_axis *high = &s->axis[1], *wide = &s->axis[2];
    const tn_plane_layout at = tn_lay_out_plane(s, sizeof(R));
    const int64_t pitch = wide->step * s->width * (int64_t)sizeof(R);
    const int64_t strip = (s->strip + SLIDING_SLACK) * (int64_t)sizeof(R);
    const int direct = wide->phases == 1 && x->to.at[2] == (int64_t)sizeof(R);
    const tn_tap *taps = (const tn_tap *)work;
    char *results = work + at.results, *to = s->to + b->to + b->i0 * x->to.at[1];
    FN(fill_band)(kind, s, b, work);
    for (int64_t ph = 0; ph < high->phases; ph++) {
        const tn_phase *tall = &high->phase[ph];
        const int64_t jh = (b->i0 - ph + high->phases - 1) / high->phases; /* of the first row */
        const int64_t i = ph + high->phases * jh;
        for (int64_t pw = 0; pw < wide->phases; pw++) {
            const int64_t n_taps = (b->m1 - b->m0) * tall->taps * wide->phase[pw].taps;
            FN(plane_part) part = {
                .taps = taps,
                .n_taps = n_taps,
                .from = work + at.rows + (tall->first + jh * high->step - b->row0) * pitch,
                .from_row = high->step * pitch,
                .places = at.places - at.rows,
                .weights = s->weights + b->channel * x->weight_channel,
                .counts = (const R *)(work + at.counts),
                .firsts = (const I *)(work + at.firsts),
                .row_counts = (const R *)(work + at.row_counts) + i,
                .row_firsts = (const I *)(work + at.row_firsts) + i,
                .rows = i < b->i1 ? (b->i1 - 1 - i) / high->phases + 1 : 0,
                .n = MIN(wide->phase[pw].n - b->j0, s->strip),
                .whole = !direct,
            };
            taps += n_taps;
            if (part.rows <= 0 || part.n <= 0) continue;
            if (direct) {
                part.to = to + (i - b->i0) * x->to.at[1] + b->j0 * x->to.at[2];
                part.to_row = high->phases * x->to.at[1];
            } else {
                part.to = results + ((i - b->i0) * wide->phases + pw) * strip;
                part.to_row = high->phases * wide->phases * strip;
            }
            if (kind == TILE_ARGMAX || kind == TILE_PICK) {
                part.index = s->index + b->places + i * x->index.at[1] + b->j0 * x->index.at[2];
                part.index_row = x->index.at[1];
            }
            FN(plane_tiles)(kind, s, b, &part);
        }
    }
    if (direct) return;
    const int64_t begin = wide->phases * b->j0, n = MIN(wide->out - begin, wide->phases * s->strip);
    for (int64_t i = b->i0; i < b->i1; i++)
        FN(deal_in)(to + (i - b->i0) * x->to.at[1] + begin * x->to.at[2], x->to.at[2],
                    (const R *)(results + (i - b->i0) * wide->phases * strip), n, wide->phases,
                    strip / (int64_t)sizeof(R));
}

ALWAYS_INLINE void FN(planes)(const int kind, const tn_sliding *s, int64_t first, int64_t last, char *work) {
    const tn_plane_layout at = tn_lay_out_plane(s, sizeof(R));
    const int looks_up = kind == TILE_SUM || kind == TILE_ARGMAX;
    plane_band known = {.depth = NULL, .j0 = -1};
    if (looks_up)
        FN(look_up)(s, 1, 0, s->axis[1].out, (R *)(work + at.row_counts), (I *)(work + at.row_firsts));
    for (int64_t unit = first; unit < last; unit++) {
        const plane_band band = locate_band(s, unit);
        if (band.depth != known.depth || band.m0 != known.m0 || band.m1 != known.m1)
            list_plane_taps(s, &band, sizeof(R), (tn_tap *)work);
        if (looks_up && band.j0 != known.j0)
            FN(look_up)(s, 2, band.j0, s->strip + SLIDING_SLACK, (R *)(work + at.counts),
                        (I *)(work + at.firsts));
        FN(plane)(kind, s, &band, work);
        known = band;
    }
}

#define PLANES(name, kind)                                                                           \
    static void FN(planes_##name)(const tn_sliding *s, int64_t first, int64_t last, char *work) {    \
        FN(planes)(kind, s, first, last, work);                                                      \
    }
PLANES(max, TILE_MAX)
PLANES(argmax, TILE_ARGMAX)
PLANES(pick, TILE_PICK)
PLANES(return, TILE_RETURN)
PLANES(sum, TILE_SUM)
PLANES(spread, TILE_SPREAD)
PLANES(weigh, TILE_WEIGH)
#undef PLANES
