/* Windows cut into boxes, and the strips that these see. */
#include "convolve.h"
#include "sizes.h"

#include <string.h>

/* Bytes of the panels of a tile, which share the first cache with much else; steps of a block. */
enum { PANELS = 28 << 10, LEAST_DEPTH = 256 };
enum { JOINED = 4 }; /* positions of weights that are moved together */
/* Bytes of multiplied reals below which one thread is faster than two that sleep, that are awake. */
static const double PARALLEL = 1 << 25, PARALLEL_AWAKE = 1 << 21;


/* Positions between which a number of windows lie. */
static int64_t extent_of(const tn_windows *w, int axis, int64_t count) {
    return (count - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

/* Where windows see a single position, only every stride-th position of x is there at all. */
static void simplify(tn_strips *s, int axis) {
    tn_windows *w = &s->call.windows;
    if (w->kernel[axis] > 1) return;
    const int64_t stride = w->stride[axis], before = w->before[axis];
    const int64_t padded = before > 0 ? parts_of(before, stride) : 0;
    const int64_t start = padded * stride - before;
    s->shift += start < w->in[axis] ? start * s->call.x.at[axis] : 0;
    w->in[axis] = start < w->in[axis] ? parts_of(w->in[axis] - start, stride) : 0;
    w->before[axis] = padded;
    w->stride[axis] = w->dilation[axis] = 1;
    s->call.x.at[axis] *= stride;
}

void tn_begin_strips(tn_strips *s, const tn_convolution *call) {
    const tn_windows *w = &call->windows;
    *s = (tn_strips){.call = *call,
                      .kernels = tn_get_kernels(call->dtype)->convolver,
                      .size = tn_itemsize(call->dtype),
                      .count = {w->batch, w->out[0], w->out[1], w->out[2]},
                      .taps = w->kernel[0] * w->kernel[1] * w->kernel[2]};
    for (int axis = 0; axis < 3; axis++) simplify(s, axis);
}

/* Lays the strip out; its images, planes, rows and columns are those of a box. */
static void lay_out_strip(tn_strips *s, int order, int64_t channels) {
    const tn_windows *w = &s->call.windows;
    tn_volume *v = &s->strip;
    int64_t stride = order == TN_BY_PIXEL ? channels * s->size : s->size;
    for (int axis = 2; axis >= 0; axis--) {
        v->at[axis] = stride;
        stride *= extent_of(w, axis, s->box[axis + 1]);
    }
    v->batch = stride;
    /* an odd number of cache lines: many channels at one position are read together */
    const int64_t lines = parts_of(stride * s->box[0], TN_ALIGN) | 1;
    v->channel = order == TN_BY_PIXEL ? s->size : lines * TN_ALIGN;
}

void tn_cut_strips(tn_strips *s, int order, int64_t channels, double bytes, double windows) {
    const tn_windows *w = &s->call.windows;
    double seen = (double)(channels * s->size), made = 1; /* bytes of a strip, windows of a box */
    for (int axis = 0; axis < 3; axis++) seen *= (double)extent_of(w, axis, 1);
    int whole = 1;
    s->n_boxes = s->points = 1;
    for (int axis = 3; axis >= 0; axis--) {
        const int64_t count = s->count[axis];
        const double least = axis ? (double)extent_of(w, axis - 1, 1) : 1;
        const double step = axis ? (double)w->stride[axis - 1] : 1;
        double most = 1 + (bytes / seen - 1) * least / step; /* extents grow linearly */
        if (most > windows / made) most = windows / made;
        int64_t extent = !whole || most < 1 ? 1 : most < (double)count ? (int64_t)most : count;
        if (count && whole) extent = parts_of(count, parts_of(count, extent)); /* of equal extent */
        whole = whole && extent >= count;
        s->box[axis] = extent = larger(extent, 1);
        s->boxes[axis] = parts_of(count, extent);
        s->n_boxes *= s->boxes[axis];
        s->points *= extent;
        seen *= (least + (double)(extent - 1) * step) / least;
        made *= (double)extent;
    }
    s->strip_bytes = seen + (double)channels * 2 * TN_ALIGN;
    if (s->strip_bytes < 0x1p58) lay_out_strip(s, order, channels);
}

void tn_place_box(const tn_strips *s, int64_t number, tn_window_box *box) {
    for (int axis = 3; axis >= 0; axis--) {
        box->first[axis] = number % s->boxes[axis] * s->box[axis];
        box->count[axis] = smaller(s->box[axis], s->count[axis] - box->first[axis]);
        number /= s->boxes[axis];
    }
}

void tn_fill_strip(const tn_strips *s, const tn_window_box *box, const char *x, int64_t channels,
                   char *strip) {
    const tn_windows *w = &s->call.windows;
    const tn_volume *v = &s->strip, *from = &s->call.x;
    int64_t start[3], low[3], high[3]; /* what is not padding, from low to high in the strip */
    int whole = 1;
    for (int axis = 0; axis < 3; axis++) {
        const int64_t extent = extent_of(w, axis, box->count[axis + 1]);
        start[axis] = box->first[axis + 1] * w->stride[axis] - w->before[axis];
        low[axis] = smaller(larger(-start[axis], 0), extent);
        high[axis] = larger(smaller(w->in[axis] - start[axis], extent), low[axis]);
        whole = whole && high[axis] - low[axis] == extent;
    }
    if (!whole)
        memset(strip, 0, (size_t)(v->channel == s->size ? box->count[0] * v->batch
                                                        : channels * v->channel));
    const tn_move row = {high[2] - low[2], channels,    from->at[2],
                         from->channel,    v->at[2], v->channel};
    if (!row.rows || !channels) return;
    for (int64_t n = 0; n < box->count[0]; n++)
        for (int64_t d = low[0]; d < high[0]; d++)
            for (int64_t h = low[1]; h < high[1]; h++)
                s->kernels->move(&row,
                                 x + s->shift + (box->first[0] + n) * from->batch +
                                     (start[0] + d) * from->at[0] + (start[1] + h) * from->at[1] +
                                     (start[2] + low[2]) * from->at[2],
                                 strip + n * v->batch + d * v->at[0] + h * v->at[1] +
                                     low[2] * v->at[2]);
}

int64_t *tn_tabulate(const int64_t *first, const int64_t *count, const tn_volume *strides,
                     int64_t *to) {
    for (int64_t n = 0; n < count[0]; n++)
        for (int64_t d = 0; d < count[1]; d++)
            for (int64_t h = 0; h < count[2]; h++) {
                const int64_t at = (first[0] + n) * strides->batch +
                                   (first[1] + d) * strides->at[0] +
                                   (first[2] + h) * strides->at[1] + first[3] * strides->at[2];
                for (int64_t i = 0; i < count[3]; i++) *to++ = at + i * strides->at[2];
            }
    return to;
}

int64_t *tn_tabulate_windows(const tn_strips *s, const int64_t *first, const int64_t *count,
                             int64_t *to) {
    tn_volume steps = s->strip;
    for (int axis = 0; axis < 3; axis++) steps.at[axis] *= s->call.windows.stride[axis];
    return tn_tabulate(first, count, &steps, to);
}

void tn_tabulate_taps(const tn_strips *s, int64_t channels, int64_t *to) {
    const tn_windows *w = &s->call.windows;
    /* the channels as a fourth axis */
    const tn_volume steps = {w->dilation[0] * s->strip.at[0], 0,
                             {w->dilation[1] * s->strip.at[1], w->dilation[2] * s->strip.at[2],
                              s->strip.channel}};
    const int64_t first[4] = {0}, count[4] = {w->kernel[0], w->kernel[1], w->kernel[2], channels};
    tn_tabulate(first, count, &steps, to);
}

/* The positions of window o along an axis that are not padding. */
static void find_seen(const tn_windows *w, int axis, int64_t o, int64_t *low, int64_t *high) {
    const int64_t start = o * w->stride[axis] - w->before[axis], step = w->dilation[axis];
    *low = start < 0 ? parts_of(-start, step) : 0;
    *high = start < w->in[axis] ? smaller(parts_of(w->in[axis] - start, step), w->kernel[axis]) : 0;
    if (*high <= *low) *low = *high = 0;
}

/* How many windows from o on see the same positions. */
static int64_t run_of(const tn_windows *w, int axis, int64_t o, int64_t most, int64_t *low,
                      int64_t *high) {
    int64_t run = 0, next_low, next_high;
    find_seen(w, axis, o, low, high);
    do {
        find_seen(w, axis, o + ++run, &next_low, &next_high);
    } while (run < most && next_low == *low && next_high == *high);
    return run;
}

int64_t tn_most_bands(const tn_strips *s) {
    const int64_t *kernel = s->call.windows.kernel;
    return smaller(s->box[1], 2 * kernel[0] + 3) * smaller(s->box[2], 2 * kernel[1] + 3);
}

int64_t tn_cut_bands(const tn_strips *s, const tn_window_box *box, tn_band *bands) {
    const tn_windows *w = &s->call.windows;
    const int64_t *first = box->first, *count = box->count;
    int64_t n = 0, planes, rows;
    for (int64_t d = 0; d < count[1]; d += planes) {
        int64_t low[2], high[2];
        planes = run_of(w, 0, first[1] + d, count[1] - d, &low[0], &high[0]);
        for (int64_t h = 0; h < count[2]; h += rows) {
            rows = run_of(w, 1, first[2] + h, count[2] - h, &low[1], &high[1]);
            bands[n++] = (tn_band){{0, d, h, 0},
                                   {count[0], planes, rows, count[3]},
                                   {low[0], low[1]},
                                   {high[0], high[1]},
                                   count[0] * planes * rows * count[3],
                                   0};
        }
    }
    return n;
}

int64_t tn_box_offset(const tn_window_box *box, const tn_volume *strides) {
    return box->first[0] * strides->batch + box->first[1] * strides->at[0] +
           box->first[2] * strides->at[1] + box->first[3] * strides->at[2];
}

void tn_move_windows(const tn_strips *s, const tn_window_box *box, char *rows, int64_t row, char *y,
                     int64_t columns, int from_y) {
    const tn_volume *v = &s->call.y;
    const int64_t strides[3] = {v->batch, v->at[0], v->at[1]}, pixel = v->at[2];
    int64_t count[3] = {box->count[0], box->count[1], box->count[2]}, run = box->count[3];
    for (int axis = 2; axis >= 0 && (count[axis] == 1 || strides[axis] == run * pixel); axis--) {
        run *= count[axis];
        count[axis] = 1;
    }
    const tn_move out = {run, columns, row, s->size, pixel, v->channel};
    const tn_move in = {run, columns, pixel, v->channel, row, s->size};
    for (int64_t n = 0; n < count[0]; n++)
        for (int64_t d = 0; d < count[1]; d++)
            for (int64_t h = 0; h < count[2]; h++, rows += run * row) {
                char *at = y + n * strides[0] + d * strides[1] + h * strides[2];
                if (from_y)
                    s->kernels->move(&in, at, rows);
                else
                    s->kernels->move(&out, rows, at);
            }
}

int64_t tn_joined_taps(const tn_strips *s) {
    const tn_weights *w = &s->call.w;
    const int64_t *kernel = s->call.windows.kernel;
    int64_t taps = 1, unit = 0;
    for (int axis = 2; axis >= 0; axis--) {
        if (kernel[axis] == 1) continue;
        if (!unit) unit = w->at[axis];
        if (w->at[axis] != unit * taps) return 0;
        taps *= kernel[axis];
    }
    return taps >= JOINED && (unit == s->size || unit == -s->size) ? unit : 0;
}

int64_t tn_block_depth(const tn_convolver *kernels, int64_t size, int64_t n) {
    const int64_t depth = larger(PANELS / ((kernels->rows + kernels->columns) * size), LEAST_DEPTH);
    return n ? parts_of(n, parts_of(n, depth)) : 1;
}

int tn_worthwhile_threads(const tn_convolution *call, double macs, int threads) {
    const double work = macs * tn_real_count(call->dtype) * (double)tn_itemsize(call->dtype);
    if (threads == 1 || work >= PARALLEL) return threads;
    return work >= PARALLEL_AWAKE && tn_pool_ready(threads) ? threads : 1;
}
