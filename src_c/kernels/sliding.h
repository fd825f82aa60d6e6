/* What the driver of sliding windows (sliding.c) and its kernels (isa_windows.c) share.
 *
 * An axis of a result is cut into phases: position p + phases * j is number j of phase p.  It sees the
 * positions first + j * step + m * reach of the source through tap tap0 + m * tap_step, m < taps.
 * Windows over an array have one phase; their transpose has as many as the windows' stride. */
#ifndef TN_SLIDING_H
#define TN_SLIDING_H

#include "../tn.h"

typedef struct {
    int64_t n, first, taps, tap0;
} tn_phase;

typedef struct {
    int64_t out, in, phases, step, reach, tap_step;
    const tn_phase *phase;
} tn_axis;

/* Positions j .. j + n - 1 of a phase of the last axis, which see the same taps m0 .. m1 - 1. */
typedef struct {
    int64_t phase, j, n, m0, m1;
} tn_run;

/* What a tap takes from; offsets in bytes. */
typedef struct {
    int64_t source; /* from the position that tap 0 sees */
    int64_t other;  /* into weights, index or factors */
    int64_t number; /* of the tap in its window */
    double factor;  /* of its row */
} tn_tap;

/* The kinds of tn_slide and their transposes, as tiles know them. */
enum {
    TILE_MAX,
    TILE_ARGMAX,
    TILE_PICK,
    TILE_RETURN, /* picking transposed: to each position what the windows that picked it have */
    TILE_SUM,    /* averages that all count alike */
    TILE_SPREAD, /* averages transposed, of windows that count differently */
    TILE_WEIGH,
    TILE_KINDS
};

/* A slide made ready.  Its work is a number of units: rows of the result cut into strips (pixels), or
 * bands of rows of a channel's plane cut into strips (planes), rows (slide_rows.h), or channels (TILE_RETURN on
 * planes, and windows that see all of a channel). */
typedef struct {
    const tn_slide *x;
    tn_axis axis[3];
    const tn_run *runs;
    int64_t n_runs;
    const char *from, *weights;
    char *index, *to;
    const double *factors; /* of source positions of the last axis, for TILE_SPREAD */
    int64_t strip, strips; /* positions of a phase of the last axis in a strip; strips of a row */
    int64_t band, bands;   /* planes: rows in a band; bands of a plane */
    int64_t rows, width;   /* planes: of the source that a band sees; of its columns in a buffer row */
    int64_t left, right;   /* planes: columns from first position of a strip to those its taps see */
    int64_t max_taps;
} tn_sliding;

enum { TILE = 8 };           /* most vectors of a tile, and rows */
enum { SLIDING_PART = 192 }; /* bytes for what is known about a part of a band */
enum { SLIDING_SLACK = 16 }; /* elements behind a row, which a vector may read or write */

typedef void tn_slide_kernel(const tn_sliding *, int64_t first, int64_t last, char *workspace);

/* For weights, units are those of the windows; sums has as many numbers as weights, in the order
 * (tap, channel) for pixels and (channel, tap) for planes, and is added to. */
typedef void tn_weights_kernel(const tn_sliding *, const char *gradient, int64_t first, int64_t last,
                               char *sums, char *workspace);

typedef struct {
    int lanes;
    tn_slide_kernel *pixels[TILE_KINDS], *planes[TILE_KINDS];
    tn_slide_kernel *whole[TILE_KINDS], *whole_spread; /* of windows that see all; NULL: not of this kind */
    tn_slide_kernel *rows[TILE_KINDS]; /* transposed, of few large windows; NULL: not of this kind */
    tn_weights_kernel *pixel_weights, *plane_weights;
} tn_window_kernels;

/* Of the instruction set in use. */
const tn_window_kernels *tn_get_window_kernels(int dtype);

/* Where the parts of the workspace begin that planes need, in bytes. */
typedef struct {
    int64_t rows, counts, firsts, row_counts, row_firsts, parts, results, bytes;
} tn_plane_layout;

static inline tn_plane_layout tn_lay_out_plane(const tn_sliding *s, int64_t itemsize) {
    tn_plane_layout l;
    const int64_t strip = s->strip + SLIDING_SLACK;
    const int64_t rows = s->x->windows.kernel[0] * s->rows + TILE * s->axis[1].step; /* a tile may read on */
    const int64_t buffer = rows * s->axis[2].step * s->width * itemsize;
    l.rows = TN_ALIGNED(s->max_taps * (int64_t)sizeof(tn_tap));
    l.counts = l.rows + TN_ALIGNED(buffer);
    l.firsts = l.counts + TN_ALIGNED(strip * itemsize);
    l.row_counts = l.firsts + TN_ALIGNED(strip * itemsize);
    l.row_firsts = l.row_counts + TN_ALIGNED(s->axis[1].out * itemsize);
    l.parts = l.row_firsts + TN_ALIGNED(s->axis[1].out * itemsize);
    l.results = l.parts + s->axis[1].phases * s->axis[2].phases * SLIDING_PART;
    l.bytes = l.results + TN_ALIGNED(s->band * s->axis[2].phases * strip * itemsize);
    return l;
}

/* ---- where windows lie ------------------------------------------------------------------- */

static inline int64_t tn_bounded(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* The taps *m0 .. *m1 - 1 of position j that lie within the source. */
static inline void tn_clip(const tn_axis *a, const tn_phase *p, int64_t j, int64_t *m0, int64_t *m1) {
    const int64_t base = p->first + j * a->step, reach = a->reach, far = reach < 0 ? -reach : reach;
    const int64_t below = base < 0 ? 0 : base / far + 1; /* steps down until outside */
    const int64_t above = base >= a->in ? 0 : (a->in - 1 - base) / far + 1;
    const int64_t up_to = base < 0 ? (far - 1 - base) / far : 0; /* steps up until inside */
    const int64_t down_to = base >= a->in ? (base - a->in) / far + 1 : 0;
    *m0 = tn_bounded(reach < 0 ? down_to : up_to, 0, p->taps);
    *m1 = tn_bounded(reach < 0 ? below : above, *m0, p->taps);
}

/* The taps *t0 .. *t1 - 1 of a window that see positions within the array on an axis. */
static inline void tn_view(const tn_windows *w, int d, int64_t o, int64_t *t0, int64_t *t1) {
    const int64_t base = o * w->stride[d] - w->before[d], step = w->dilation[d];
    const int64_t low = base < 0 ? (step - 1 - base) / step : 0;
    const int64_t high = base >= w->in[d] ? 0 : (w->in[d] - 1 - base) / step + 1;
    *t1 = tn_bounded(high, 0, w->kernel[d]);
    *t0 = tn_bounded(low, 0, *t1);
}

/* How many they are. */
static inline int64_t tn_seen(const tn_windows *w, int d, int64_t o) {
    int64_t t0, t1;
    tn_view(w, d, o, &t0, &t1);
    return t1 - t0;
}

#endif
