/* Channels first, and everything that pixels cannot take: vectors lie along the rows of one channel.
 *
 * The source of a band of rows is copied with its padding into a buffer, so that no tap has to look
 * where the array ends, its columns dealt out by the windows' step, so that vectors of results read
 * vectors.  Where results have several phases of columns, these are dealt in again afterwards. */

/* First within 16 bytes, which is cheap, then pairs change places. */
ALWAYS_INLINE V FN(even_lanes)(V x, V y) {
    const V mixed = SHUFFLE(x, y, LANES_OF(LANES, SECOND_NEAR, 0));
    return SHUFFLE(mixed, mixed, LANES_OF(LANES, SECOND_FAR, 0));
}
ALWAYS_INLINE V FN(odd_lanes)(V x, V y) {
    const V mixed = SHUFFLE(x, y, LANES_OF(LANES, SECOND_NEAR, 1));
    return SHUFFLE(mixed, mixed, LANES_OF(LANES, SECOND_FAR, 0));
}
ALWAYS_INLINE V FN(mix_low)(V x, V y) { return SHUFFLE(x, y, LANES_OF(LANES, IN_TURNS, 0)); }
ALWAYS_INLINE V FN(mix_high)(V x, V y) { return SHUFFLE(x, y, LANES_OF(LANES, IN_TURNS, LANES / 2)); }

/* Where vectors of a row of n begin: the last overlaps the one before.  Where the row is shorter than one,
 * they begin as long as there is `room` for a whole one, and the caller does the rest. */
#define FOR_VECTORS(i, n, room) \
    for (int64_t i = 0, count = (n) >= VL ? (n) : (n) > 0 && (room) >= VL; i < count; \
         i = i + VL < count && i + 2 * VL > count ? count - VL : i + VL)

/* Copies n numbers; up to a vector may be read and written if there is room for it. */
ALWAYS_INLINE void FN(copy_row)(R *restrict to, const R *restrict from, int64_t n, int64_t room) {
    FOR_VECTORS(i, n, room) FN(store)((char *)(to + i), FN(load)((const char *)(from + i)));
    if (n < VL && room < VL)
        for (int64_t i = 0; i < n; i++) to[i] = from[i];
}

/* n pairs taken apart; as many numbers may be read as there is room for. */
ALWAYS_INLINE void FN(part_pairs)(R *restrict even, R *restrict odd, const R *restrict pairs, int64_t n,
                                  int64_t room) {
    FOR_VECTORS(i, n, room / 2) {
        const V x = FN(load)((const char *)(pairs + 2 * i)), y = FN(load)((const char *)(pairs + 2 * i + VL));
        FN(store)((char *)(even + i), FN(even_lanes)(x, y));
        FN(store)((char *)(odd + i), FN(odd_lanes)(x, y));
    }
    if (n < VL && room / 2 < VL)
        for (int64_t i = 0; i < n; i++) even[i] = pairs[2 * i], odd[i] = pairs[2 * i + 1];
}

/* And put together; as many numbers may be written as there is room for. */
ALWAYS_INLINE void FN(join_pairs)(R *restrict pairs, const R *restrict even, const R *restrict odd, int64_t n,
                                  int64_t room) {
    FOR_VECTORS(i, n, room / 2) {
        const V x = FN(load)((const char *)(even + i)), y = FN(load)((const char *)(odd + i));
        FN(store)((char *)(pairs + 2 * i), FN(mix_low)(x, y));
        FN(store)((char *)(pairs + 2 * i + VL), FN(mix_high)(x, y));
    }
    if (n < VL && room / 2 < VL)
        for (int64_t i = 0; i < n; i++) pairs[2 * i] = even[i], pairs[2 * i + 1] = odd[i];
}

/* n numbers, and up to a vector behind them. */
ALWAYS_INLINE void FN(pad)(R *to, int64_t n, R padding) {
    for (int64_t i = 0; i < n; i += VL) {
        R *at = to + i;
        OPAQUE(at); /* no call of memset for a vector */
        FN(store)((char *)at, FN(splat)(padding));
    }
}

/* Columns of a row of the buffer: padding up to low, from there to high what the source has, then padding
 * up to n. */
typedef struct {
    int64_t low, high, n, step, width; /* dealt out to `step` rows of `width` */
    R padding;
} FN(deal);

/* Rows that are dealt out: bytes from one number and from one row to the next, and how many numbers may
 * be read from the first one on, and fewer from each row on. */
typedef struct {
    int64_t begin, stride, row, rows, room, less; /* begin: bytes from the layer to the first number */
} FN(deal_source);

ALWAYS_INLINE void FN(part_row)(R *restrict row, const FN(deal) * d, const R *restrict x, int64_t room) {
    const int64_t low = d->low, high = d->high, begin = (low + 1) / 2, end = high / 2, skipped = low % 2;
    R *restrict odd = row + d->width;
    FN(pad)(row, begin, d->padding);
    FN(pad)(odd, low / 2, d->padding);
    FN(part_pairs)(row + begin, odd + begin, x + skipped, end - begin, room - skipped);
    if (low < high && skipped) odd[low / 2] = x[0];
    if (low < high && high % 2) row[end] = x[high - 1 - low];
    FN(pad)(row + (high + 1) / 2, (d->n + 1) / 2 - (high + 1) / 2, d->padding);
    FN(pad)(odd + end, d->n / 2 - end, d->padding);
}

static void FN(deal_out)(R *restrict row, int64_t pitch, const FN(deal) * given, const FN(deal_source) * source,
                         const char *restrict from) {
    const FN(deal_source) x = *source; /* copies, which no store could change */
    const FN(deal) copy = *given, *d = &copy;
    const int64_t low = d->low, high = d->high, n = d->n, step = d->step;
    const int together = x.stride == (int64_t)sizeof(R);
    int64_t room = x.room;
    for (int64_t r = 0; r < x.rows; r++, row += pitch, from += x.row, room -= x.less) {
        if (step == 1 && together) {
            FN(pad)(row, low, d->padding);
            FN(copy_row)(row + low, (const R *)from, high - low, room);
            FN(pad)(row + high, n - high, d->padding);
        } else if (step == 2 && together) {
            FN(part_row)(row, d, (const R *)from, room);
        } else {
            for (int64_t i = 0; i < low; i++) row[i % step * d->width + i / step] = d->padding;
            for (int64_t i = high; i < n; i++) row[i % step * d->width + i / step] = d->padding;
            for (int64_t p = 0; p < step; p++) {
                const int64_t begin = (low - p + step - 1) / step, end = (high - p + step - 1) / step;
                R *restrict to = row + p * d->width;
                for (int64_t i = begin; i < end; i++)
                    to[i] = *(const R *)(from + (i * step + p - low) * x.stride);
            }
        }
    }
}

/* Rows of n results dealt in, that come as `phases` rows of `width` each; so many numbers may be written
 * from the first one on as there is room for. */
static void FN(deal_in)(char *restrict to, const tn_volume *at, const R *restrict from, int64_t rows, int64_t n,
                        int64_t phases, int64_t width, int64_t room, int64_t less) {
    const int64_t stride = at->at[2];
    for (int64_t r = 0; r < rows; r++, to += at->at[1], from += phases * width, room -= less) {
        if (phases == 1 && stride == (int64_t)sizeof(R)) {
            FN(copy_row)((R *)to, from, n, room);
            continue;
        }
        if (phases == 2 && stride == (int64_t)sizeof(R)) {
            FN(join_pairs)((R *)to, from, from + width, n / 2, room);
            if (n % 2) ((R *)to)[n - 1] = from[n / 2];
            continue;
        }
        for (int64_t p = 0; p < phases; p++)
            for (int64_t i = p, j = p * width; i < n; i += phases, j++) *(R *)(to + i * stride) = from[j];
    }
}

/* How many numbers lie behind each other from a row on, of so many rows of n; fewer from the next. */
ALWAYS_INLINE int64_t FN(room_of)(const tn_volume *x, int64_t rows, int64_t n, int64_t itemsize,
                                  int64_t *less) {
    *less = x->at[2] == itemsize && x->at[1] == n * itemsize ? n : 0;
    return *less ? rows * n : n;
}

/* Rows h .. h + rows - 1 of a layer, of which there are n of `wide` columns. */
static FN(deal_source) FN(rows_of)(const tn_volume *x, int64_t h, int64_t rows, int64_t n, int64_t first,
                                   int64_t wide, int64_t itemsize) {
    FN(deal_source) source = {h * x->at[1] + first * x->at[2], x->at[2], x->at[1], rows, 0, 0};
    source.room = FN(room_of)(x, n - h, wide, itemsize, &source.less) - first;
    return source;
}

/* How a band is copied into the buffer: rows above .. below - 1 of it are not padding. */
typedef struct {
    FN(deal) deal;
    FN(deal_source) source;
    int64_t above, below, pitch;
} FN(band_fill);

static FN(band_fill) FN(plan_fill)(const int kind, const tn_sliding *s, const plane_band *b) {
    const tn_slide *x = s->x;
    const int64_t step = s->axis[2].step, high = s->axis[1].in, wide = s->axis[2].in, rows = b->row1 - b->row0;
    const int64_t low = tn_bounded(-b->column, 0, b->columns), first = b->column + low;
    FN(band_fill) f = {.deal = {low, tn_bounded(wide - b->column, low, b->columns), b->columns, step, s->width,
                                kind == TILE_MAX || kind == TILE_ARGMAX ? (R)-INFINITY : 0},
                       .pitch = step * s->width};
    f.above = tn_bounded(-b->row0, 0, rows);
    f.below = tn_bounded(high - b->row0, f.above, rows);
    const int64_t h = b->row0 + f.above, inside = f.below - f.above;
    f.source = FN(rows_of)(&x->from, h, inside, high, first, wide, sizeof(R));
    return f;
}

/* Copies what a band sees into the buffer; with `again`, rows of padding are there already. */
ALWAYS_INLINE void FN(fill_band)(const int kind, const tn_sliding *s, const plane_band *b, int again,
                                 const FN(band_fill) * f, const tn_plane_layout *at, char *work) {
    const tn_slide *x = s->x;
    const int64_t pitch = f->pitch, n = b->row1 - b->row0;
    for (int64_t m = b->m0; m < b->m1; m++) {
        const int64_t d = b->layer + m * s->axis[0].reach, begin = (m - b->m0) * s->rows;
        R *rows = (R *)(work + at->rows) + begin * pitch, *inside = rows + f->above * pitch;
        for (int64_t r = f->above ? 0 : f->below; !again && r < n; r = r + 1 == f->above ? f->below : r + 1)
            FN(pad)(rows + r * pitch, pitch, f->deal.padding);
        FN(deal_out)(inside, pitch, &f->deal, &f->source,
                     s->from + b->from + d * x->from.at[0] + f->source.begin);
        for (int64_t r = f->above; kind == TILE_SPREAD && r < f->below; r++, inside += pitch) {
            const double of_row = 1.0 / (double)(tn_seen(&x->windows, 0, d) *
                                                 tn_seen(&x->windows, 1, b->row0 + r));
            for (int64_t i = f->deal.low; i < f->deal.high; i++)
                inside[i] *= (R)(of_row * s->factors[b->column + i]);
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

/* Where results and their places go. */
typedef struct {
    char *to, *index;
} FN(plane_results);

/* The rows of one phase of a band and one phase of their columns. */
typedef struct {
    const tn_tap *taps;
    FN(tile_source) source;
    int64_t to, index; /* bytes behind those of the plane, or the buffer of results */
    const R *counts, *row_counts;
    const I *firsts, *row_firsts;
    int64_t n_taps, rows, n; /* n: columns */
    int64_t to_row, index_row;
    int64_t whole_rows;      /* the first rows whose places may be written as whole vectors */
    int64_t count_step;      /* from the count of a row to that of the next */
    R layers;
} FN(plane_part);

ALWAYS_INLINE void FN(finish)(const int kind, const tn_sliding *s,
                              const FN(plane_part) * p, FN(plane_results) out, int64_t row, int64_t column,
                              V sum, VI place) {
    const tn_volume *index = &s->x->index;
    if (kind == TILE_SUM)
        sum /= FN(splat)(p->row_counts[row * p->count_step] * p->layers) *
               FN(load)((const char *)(p->counts + column));
    FN(store)(out.to + row * p->to_row + column * (int64_t)sizeof(R), sum);
    const int64_t lanes = row < p->whole_rows ? VL : MIN(p->n, VL);
    if (kind == TILE_ARGMAX)
        FN(store_some_places)(out.index + row * p->index_row + column * index->at[2], index->at[2], lanes,
                              s->x->narrow, place);
}

/* Some rows of some vectors from a column on; the last of these begins at `last`, and of the rows `left`
 * are kept. */
ALWAYS_INLINE void FN(plane_tile)(const int kind, const int rows, const int across, const tn_sliding *s,
                                  const plane_band *b, const FN(plane_part) * p, FN(plane_results) out,
                                  const char *weights, int64_t row, int64_t column, int64_t last,
                                  int64_t left) {
    const int inner = kind == TILE_SPREAD ? TILE_SUM : kind; /* the buffer holds shares */
    const tn_slide *x = s->x;
    V sum[TILE];
    VI place[TILE];
    FN(tile_source) source = p->source;
    source.from += row * source.from_step + column * (int64_t)sizeof(R);
    source.last = (last - column) * (int64_t)sizeof(R);
    source.weights = weights;
#pragma GCC unroll 8
    for (int i = 0; i < rows * across; i++) {
        const int64_t r = row + MIN(i / across, left - 1);
        const int64_t j = i % across && i % across == across - 1 ? last : column + i % across * VL;
        sum[i] = FN(slide_start)(kind);
        place[i] = (VI){0};
        if (kind == TILE_ARGMAX)
            place[i] = (I)(b->first + p->row_firsts[r] * x->windows.kernel[2]) +
                       (VI)FN(load)((const char *)(p->firsts + j));
        if (kind == TILE_PICK)
            place[i] = FN(load_some_places)(out.index + r * p->index_row + j * x->index.at[2], x->index.at[2],
                                            MIN(p->n, VL), x->narrow);
    }
    FN(slide_tile)(inner, rows, across, WEIGHT_NUMBER, sizeof(I), p->taps, p->n_taps, &source, sum, place);
#pragma GCC unroll 8
    for (int i = 0; i < rows * across; i++) {
        const int64_t j = i % across && i % across == across - 1 ? last : column + i % across * VL;
        if (i / across < left) FN(finish)(kind, s, p, out, row + i / across, j, sum[i], place[i]);
    }
}

/* All vectors of a part, some at a time.  The last one of a row overlaps the one before, so that all are
 * whole where a row has a vector. */
ALWAYS_INLINE void FN(plane_tiles)(const int kind, const tn_sliding *s, const plane_band *b,
                                   const FN(plane_part) * p, FN(plane_results) out, const char *weights) {
    const int most = kind == TILE_ARGMAX || kind == TILE_PICK ? 4 : TILE;
    const int64_t last = MAX(p->n - VL, 0), vectors = (p->n + VL - 1) / VL;
    const int rows = vectors == 1 ? most : vectors == 2 ? most / 2 : most / 4;
    for (int64_t row = 0; row < p->rows; row += rows) {
        if (p->rows >= rows) row = MIN(row, p->rows - rows);
        const int64_t left = MIN(p->rows - row, rows);
        if (vectors == 1) FN(plane_tile)(kind, most, 1, s, b, p, out, weights, row, 0, 0, left);
        else if (vectors == 2) FN(plane_tile)(kind, most / 2, 2, s, b, p, out, weights, row, 0, last, left);
        else
            for (int64_t v = 0; v < vectors; v += 4) {
                const int64_t column = v * VL;
                if (vectors - v >= 4)
                    FN(plane_tile)(kind, most / 4, 4, s, b, p, out, weights, row, column,
                                   MIN(column + 3 * VL, last), left);
                else if (vectors - v == 3)
                    FN(plane_tile)(kind, most / 4, 3, s, b, p, out, weights, row, column, last, left);
                else if (vectors - v == 2)
                    FN(plane_tile)(kind, most / 4, 2, s, b, p, out, weights, row, column, last, left);
                else
                    FN(plane_tile)(kind, most / 4, 1, s, b, p, out, weights, row, last, last, left);
            }
    }
}

_Static_assert(sizeof(FN(plane_part)) <= SLIDING_PART, "parts have room");

/* Whether results go where they belong at once: whole vectors that lie behind each other. */
static int FN(is_direct)(const tn_sliding *s) {
    const tn_axis *wide = &s->axis[2];
    return wide->phases == 1 && s->x->to.at[2] == (int64_t)sizeof(R) && wide->out >= VL &&
           (wide->out % s->strip == 0 || wide->out % s->strip >= VL);
}

/* The parts of a band like this one; returns how many. */
static int64_t FN(list_parts)(const int kind, const tn_sliding *s, const plane_band *b,
                              const tn_plane_layout *at, char *work) {
    const tn_slide *x = s->x;
    const tn_axis *high = &s->axis[1], *wide = &s->axis[2];
    const int64_t size = sizeof(R), pitch = wide->step * s->width * size, strip = s->strip + SLIDING_SLACK;
    const int direct = FN(is_direct)(s);
    /* what a row writes behind its end is written again by the next */
    const int flows = s->strips == 1 && x->index.at[2] == (x->narrow ? 1 : 4) &&
                      x->index.at[1] == wide->phase->n * x->index.at[2];
    const tn_tap *taps = (const tn_tap *)work;
    FN(plane_part) *part = (FN(plane_part) *)(work + at->parts);
    for (int64_t ph = 0; ph < high->phases; ph++) {
        const tn_phase *tall = &high->phase[ph];
        const int64_t jh = (b->i0 - ph + high->phases - 1) / high->phases; /* of the first row */
        const int64_t i = ph + high->phases * jh;
        for (int64_t pw = 0; pw < wide->phases; pw++) {
            *part = (FN(plane_part)){
                .taps = taps,
                .n_taps = (b->m1 - b->m0) * tall->taps * wide->phase[pw].taps,
                .source = {.from = work + at->rows + (tall->first + jh * high->step - b->row0) * pitch,
                           .from_step = high->step * pitch},
                .counts = (const R *)(work + at->counts),
                .firsts = (const I *)(work + at->firsts),
                .row_counts = (const R *)(work + at->row_counts) + i,
                .row_firsts = (const I *)(work + at->row_firsts) + i,
                .rows = i < b->i1 ? (b->i1 - 1 - i) / high->phases + 1 : 0,
                .n = MIN(wide->phase[pw].n - b->j0, s->strip),
                .index = i * x->index.at[1] + b->j0 * x->index.at[2],
                .index_row = x->index.at[1],
                .count_step = high->phases,
                .layers = (R)b->layers,
            };
            taps += part->n_taps;
            if (part->rows <= 0 || part->n <= 0) continue;
            if (direct) {
                part->to = i * x->to.at[1] + b->j0 * size;
                part->to_row = high->phases * x->to.at[1];
            } else {
                part->to = ((i - b->i0) * wide->phases + pw) * strip * size;
                part->to_row = high->phases * wide->phases * strip * size;
            }
            if (kind == TILE_ARGMAX) part->whole_rows = flows ? part->rows - (VL - 1) / part->n : 0;
            part++;
        }
    }
    return part - (FN(plane_part) *)(work + at->parts);
}

/* One band of a plane. */
ALWAYS_INLINE void FN(plane)(const int kind, const tn_sliding *s, const plane_band *b, int64_t parts,
                             const tn_plane_layout *at, char *work) {
    const tn_slide *x = s->x;
    const tn_axis *wide = &s->axis[2];
    const int direct = FN(is_direct)(s);
    const char *weights = s->weights + b->channel * x->weight_channel;
    for (int64_t p = 0; p < parts; p++) {
        const FN(plane_part) *part = (const FN(plane_part) *)(work + at->parts) + p;
        const FN(plane_results) out = {(direct ? s->to + b->to : work + at->results) + part->to,
                                       s->index + b->places + part->index};
        FN(plane_tiles)(kind, s, b, part, out, weights);
    }
    if (direct) return;
    const int64_t strip = s->strip + SLIDING_SLACK, begin = wide->phases * b->j0;
    const int64_t end = MIN(wide->out, begin + wide->phases * s->strip);
    int64_t less, room = FN(room_of)(&x->to, b->i1 - b->i0, wide->out, sizeof(R), &less);
    if (s->strips > 1) less = 0, room = end - begin;
    FN(deal_in)(s->to + b->to + b->i0 * x->to.at[1] + begin * x->to.at[2], &x->to,
                (const R *)(work + at->results), b->i1 - b->i0, end - begin, wide->phases, strip, room, less);
}

ALWAYS_INLINE void FN(planes)(const int kind, const tn_sliding *s, int64_t first, int64_t last, char *work) {
    const tn_plane_layout at = tn_lay_out_plane(s, sizeof(R));
    const int looks_up = kind == TILE_SUM || kind == TILE_ARGMAX;
    plane_band band = {.depth = NULL};
    FN(band_fill) fill;
    int64_t parts = 0;
    if (looks_up)
        FN(look_up)(s, 1, 0, s->axis[1].out, (R *)(work + at.row_counts), (I *)(work + at.row_firsts));
    for (int64_t unit = first; unit < last; unit++) {
        const plane_band known = band;
        const int again = next_plane(s, &band);
        if (!again) {
            band = locate_band(s, unit);
            fill = FN(plan_fill)(kind, s, &band);
            if (band.depth != known.depth || band.m0 != known.m0 || band.m1 != known.m1)
                list_plane_taps(s, &band, sizeof(R), (tn_tap *)work);
            if (looks_up && (!known.depth || band.j0 != known.j0))
                FN(look_up)(s, 2, band.j0, s->strip + SLIDING_SLACK, (R *)(work + at.counts),
                            (I *)(work + at.firsts));
            parts = FN(list_parts)(kind, s, &band, &at, work);
        }
        FN(fill_band)(kind, s, &band, again, &fill, &at, work);
        FN(plane)(kind, s, &band, parts, &at, work);
    }
}

#define PLANES(name, kind)                                                                           \
    static void FN(planes_##name)(const tn_sliding *s, int64_t first, int64_t last, char *work) {    \
        FN(planes)(kind, s, first, last, work);                                                      \
    }
PLANES(max, TILE_MAX)
PLANES(argmax, TILE_ARGMAX)
PLANES(pick, TILE_PICK)
PLANES(sum, TILE_SUM)
PLANES(spread, TILE_SPREAD)
PLANES(weigh, TILE_WEIGH)
#undef PLANES
