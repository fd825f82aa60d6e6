/* Where the rows and bands of a slide lie and what their taps see, for any element type. */

enum { LINE = 64, LINE_VECTORS = LINE / VBYTES, BLOCK_VECTORS = 16 };
enum { WEIGHT_TAPS = 9 }; /* summed at a time: with a vector to multiply, they leave registers free */

/* How the vectors of a tile take their weights: all one number, all the same vector, each its own. */
enum { WEIGHT_NUMBER, WEIGHT_VECTOR, WEIGHT_EACH };

/* A row of the result: all positions of the last axis. */
typedef struct {
    int64_t batch, at[2];
    const tn_phase *phase[2];
    int64_t source[2], m0[2], m1[2]; /* what tap 0 sees; the taps within the source */
} slide_row;

static slide_row locate_row(const tn_sliding *s, int64_t number) {
    slide_row row;
    for (int d = 1; d >= 0; d--) {
        const tn_axis *axis = &s->axis[d];
        const int64_t i = row.at[d] = number % axis->out, j = i / axis->phases;
        const tn_phase *phase = row.phase[d] = &axis->phase[i % axis->phases];
        row.source[d] = phase->first + j * axis->step;
        tn_clip(axis, phase, j, &row.m0[d], &row.m1[d]);
        number /= axis->out;
    }
    row.batch = number;
    return row;
}

static int64_t at_row(const tn_volume *volume, const slide_row *row) {
    return row->batch * volume->batch + row->at[0] * volume->at[0] + row->at[1] * volume->at[1];
}

/* Lists what the taps m0 .. m1 - 1 of a phase see, from where tap 0 of the last axis does. */
static int64_t list_taps(int kind, const tn_sliding *s, const slide_row *row, const tn_run *run,
                         tn_tap *taps) {
    const tn_slide *x = s->x;
    const tn_axis *axis = s->axis;
    const tn_phase *phase = &axis[2].phase[run->phase];
    tn_tap *tap = taps;
    for (int64_t a = row->m0[0]; a < row->m1[0]; a++) {
        const int64_t d = row->source[0] + a * axis[0].reach;
        const int64_t number_d = row->phase[0]->tap0 + a * axis[0].tap_step;
        for (int64_t b = row->m0[1]; b < row->m1[1]; b++) {
            const int64_t h = row->source[1] + b * axis[1].reach;
            const int64_t number_h = row->phase[1]->tap0 + b * axis[1].tap_step;
            const int64_t number = (number_d * x->windows.kernel[1] + number_h) * x->windows.kernel[2];
            double factor = 0;
            if (kind == TILE_SPREAD)
                factor = 1.0 / (double)(tn_seen(&x->windows, 0, d) * tn_seen(&x->windows, 1, h));
            for (int64_t m = run->m0; m < run->m1; m++, tap++) {
                const int64_t w = m * axis[2].reach;
                tap->number = number + phase->tap0 + m * axis[2].tap_step;
                tap->factor = factor;
                tap->source = d * x->from.at[0] + h * x->from.at[1] + w * x->from.at[2];
                tap->other = kind == TILE_WEIGH    ? tap->number * x->weight_tap
                             : kind == TILE_RETURN ? d * x->index.at[0] + h * x->index.at[1] +
                                                         w * x->index.at[2]
                                                   : w * (int64_t)sizeof(double);
            }
        }
    }
    return tap - taps;
}

/* How many positions count in the average of windows that see this much. */
static int64_t count_seen(const tn_slide *x, const slide_row *row, const tn_run *run) {
    const int64_t *kernel = x->windows.kernel;
    if (x->padded || x->transposed) return kernel[0] * kernel[1] * kernel[2];
    return (row->m1[0] - row->m0[0]) * (row->m1[1] - row->m0[1]) * (run->m1 - run->m0);
}

/* Rows i0 .. i1 - 1 of a channel's plane, or of one of its layers, in columns j0 .. of each phase. */
typedef struct {
    int64_t channel, from, to, places;  /* bytes; places: of the index */
    const tn_phase *depth;
    int64_t layer, m0, m1, first;       /* what tap 0 of the first axis sees, its taps; number of the first */
    int64_t i0, i1, row0, row1;         /* of the result, and of the source that they see */
    int64_t j0, column, columns;        /* and the columns of the source */
    int64_t layers;                     /* that count in an average */
} plane_band;

/* The rows of the source that rows i0 .. i1 - 1 of the result see, padding and all. */
static void see_rows(const tn_axis *axis, int64_t i0, int64_t i1, int64_t *row0, int64_t *row1) {
    *row0 = INT64_MAX, *row1 = INT64_MIN;
    for (int64_t p = 0; p < axis->phases; p++) {
        const tn_phase *phase = &axis->phase[p];
        const int64_t j0 = (i0 - p + axis->phases - 1) / axis->phases;
        const int64_t j1 = i1 > p ? (i1 - 1 - p) / axis->phases + 1 : 0;
        if (j0 >= j1 || !phase->taps) continue;
        const int64_t span = (phase->taps - 1) * axis->reach;
        const int64_t low = phase->first + j0 * axis->step + MIN(span, 0);
        const int64_t high = phase->first + (j1 - 1) * axis->step + MAX(span, 0);
        *row0 = MIN(*row0, low), *row1 = MAX(*row1, high + 1);
    }
    if (*row0 > *row1) *row0 = *row1 = 0;
}

static plane_band locate_band(const tn_sliding *s, int64_t unit) {
    const tn_slide *x = s->x;
    const tn_axis *depth = &s->axis[0];
    plane_band b;
    b.j0 = unit % s->strips * s->strip, unit /= s->strips;
    b.i0 = unit % s->bands * s->band, unit /= s->bands;
    b.i1 = MIN(b.i0 + s->band, s->axis[1].out);
    const int64_t i = unit % depth->out;
    unit /= depth->out;
    b.channel = unit % x->channels;
    const int64_t batch = unit / x->channels;
    b.depth = &depth->phase[i % depth->phases];
    b.layer = b.depth->first + i / depth->phases * depth->step;
    tn_clip(depth, b.depth, i / depth->phases, &b.m0, &b.m1);
    b.layers = x->padded || x->transposed ? x->windows.kernel[0] : b.m1 - b.m0;
    b.first = b.m0 * x->windows.kernel[1] * x->windows.kernel[2];
    see_rows(&s->axis[1], b.i0, b.i1, &b.row0, &b.row1);
    b.column = s->left + b.j0 * s->axis[2].step;
    b.columns = s->right - s->left + (MIN(s->axis[2].phase->n - b.j0, s->strip) - 1) * s->axis[2].step + 1;
    b.from = batch * x->from.batch + b.channel * x->from.channel;
    b.to = batch * x->to.batch + b.channel * x->to.channel + i * x->to.at[0];
    b.places = batch * x->index.batch + b.channel * x->index.channel;
    if (!x->transposed) b.places += i * x->index.at[0];
    return b;
}

/* Moves on to the next channel where a band is all of its plane; returns 0 if it cannot. */
static int next_plane(const tn_sliding *s, plane_band *b) {
    const tn_slide *x = s->x;
    if (!b->depth || s->strips > 1 || s->bands > 1 || s->axis[0].out > 1 || b->channel + 1 == x->channels)
        return 0;
    b->channel++;
    b->from += x->from.channel, b->to += x->to.channel, b->places += x->index.channel;
    return 1;
}

/* Lists what the taps see in the buffer of such a band, phase of rows by phase of columns. */
static void list_plane_taps(const tn_sliding *s, const plane_band *b, int64_t itemsize, tn_tap *tap) {
    const tn_slide *x = s->x;
    const tn_axis *deep = &s->axis[0], *high = &s->axis[1], *wide = &s->axis[2];
    const int64_t row = wide->step * s->width;
    for (int64_t ph = 0; ph < high->phases; ph++)
        for (int64_t pw = 0; pw < wide->phases; pw++)
            for (int64_t d = b->m0; d < b->m1; d++)
                for (int64_t h = 0; h < high->phase[ph].taps; h++)
                    for (int64_t w = 0; w < wide->phase[pw].taps; w++, tap++) {
                        const int64_t column = wide->phase[pw].first + w * wide->reach - s->left;
                        const int64_t number_d = b->depth->tap0 + d * deep->tap_step;
                        const int64_t number_h = high->phase[ph].tap0 + h * high->tap_step;
                        const int64_t number_w = wide->phase[pw].tap0 + w * wide->tap_step;
                        tap->source = ((d - b->m0) * s->rows + h * high->reach) * row +
                                      column % wide->step * s->width + column / wide->step;
                        tap->source *= itemsize;
                        tap->number = (number_d * x->windows.kernel[1] + number_h) *
                                          x->windows.kernel[2] +
                                      number_w;
                        tap->other = x->kind == TN_SLIDE_WEIGH ? tap->number * x->weight_tap : tap->source;
                        tap->factor = 0;
                    }
}

/* Lists taps so that groups of `count` are full; the sums of those added are dropped. */
static void fill_group(tn_tap *taps, int64_t n_taps, int64_t count) {
    for (int64_t t = n_taps; t % count; t++) taps[t] = taps[n_taps - 1];
}

/* A position in a window: how far from the first it is, in bytes and on each axis. */
typedef struct {
    int64_t offset, at[3];
} return_tap;
