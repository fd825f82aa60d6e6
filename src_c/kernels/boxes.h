/* Groups of axes cut into boxes, and the byte offsets of the points of a box.
 *
 * A block of a matrix product over tensors is a box of points rather than a run of them: near in
 * memory on both operands even where these order their axes differently. */
#ifndef TN_BOXES_H
#define TN_BOXES_H

#include "../tn.h"

static inline int64_t stride_on(const tn_dim *d, tn_operand operand) {
    const int64_t stride = operand == ON_A ? d->sa : operand == ON_B ? d->sb : d->sc;
    return stride < 0 ? -stride : stride;
}

/* Of so many points next to each other, the fewest that make a multiple of `unit`. */
static inline int64_t grain_of(int64_t unit, int64_t points) {
    int64_t divisor = unit;
    for (int64_t rest = points % unit; rest;) {
        const int64_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    return unit / divisor;
}

/* Whether so many points next to each other end within a line where a few times as many do not. */
static inline int ends_within(int64_t line, int64_t points) {
    enum { MOST_LINES = 4, FEW = 4 };
    return points % line && points <= MOST_LINES * line && grain_of(line, points) <= FEW;
}

/* Lengthens the tiles along the axes, nearest on this operand first, until `target` points of them
 * are covered or the box holds `limit` points; with `dense` (bytes of an element) only along axes
 * that are contiguous there, by whole lines, on c beyond the target if need be: what is written in part
 * is read first.  Returns the points of the box. */
static inline int64_t grow_box(tn_boxes *x, tn_operand operand, int64_t dense, int64_t target,
                               int64_t limit, int64_t points) {
    uint8_t order[TN_MAX_DIMS];
    for (int i = 0; i < x->n_dims; i++) { /* insertion sort, last axis first */
        const int d = x->n_dims - 1 - i;
        int j = i;
        for (; j > 0 && stride_on(&x->dims[order[j - 1]], operand) >
                            stride_on(&x->dims[d], operand); j--)
            order[j] = order[j - 1];
        order[j] = (uint8_t)d;
    }
    int64_t covered = 1;
    int whole = 1;
    for (int i = 0; i < x->n_dims && (covered < target || !whole); i++) {
        const int d = order[i];
        if (dense && stride_on(&x->dims[d], operand) > 2 * dense * covered) break;
        const int64_t others = points / x->tile[d];
        int64_t tile = (target + covered - 1) / covered;
        if (dense) {
            const int64_t grain = grain_of(64 / dense, covered);
            tile = (tile + grain - 1) / grain * grain;
            whole = operand != ON_C || !ends_within(64 / dense, covered * x->dims[d].n);
            if (!whole) tile = x->dims[d].n;
        }
        if (tile > x->dims[d].n) tile = x->dims[d].n;
        if (tile > limit / others) tile = limit / others;
        if (tile > x->tile[d]) x->tile[d] = tile;
        points = others * x->tile[d];
        covered *= x->tile[d];
        if (x->tile[d] < x->dims[d].n) break;
    }
    return points;
}

/* Cuts the group into boxes of at most `limit` points, cache lines of both operands kept whole: first
 * those of `one`, then those of `other`; more than `enough` points only where lines ask for them.  Tiles
 * are of nearly equal extent; what is contiguous on `one`, and not whole, is a multiple of `unit`. */
static inline void cut_boxes(tn_boxes *x, const tn_dim *dims, int n_dims, tn_operand one,
                             tn_operand other, int64_t itemsize, int64_t unit, int64_t limit,
                             int64_t enough) {
    const int64_t line = 64 / itemsize > unit ? 64 / itemsize : unit;
    x->dims = dims;
    x->n_dims = n_dims;
    x->count = 1;
    int64_t points = 1;
    for (int d = 0; d < n_dims; d++) x->tile[d] = 1;
    if (n_dims > 1) {
        points = grow_box(x, one, itemsize, line, limit, points);
        points = grow_box(x, other, itemsize, 4 * line, limit, points);
        points = grow_box(x, one, itemsize, 4 * line, limit, points);
    }
    grow_box(x, one, 0, enough, enough, points);
    int64_t covered = 1; /* points next to each other on `one`, if any */
    for (int d = n_dims - 1; d >= 0; d--) {
        const int64_t n = dims[d].n, parts = (n + x->tile[d] - 1) / x->tile[d];
        int64_t tile = (n + parts - 1) / parts;
        if (covered && parts > 1) {
            const int64_t grain = grain_of(unit, covered), most = x->tile[d] / grain * grain;
            tile = (tile + grain - 1) / grain * grain;
            if (tile > most) tile = most ? most : x->tile[d];
        }
        const int goes_on = d && parts == 1 && stride_on(&dims[d - 1], one) == itemsize * covered * n;
        covered = goes_on ? covered * n : 0;
        x->tile[d] = tile;
        x->count *= (n + tile - 1) / tile;
    }
}

/* Writes the offsets of the points of one box to first[] and second[], and its extents; returns how
 * many points these are. */
static inline int64_t fill_box(const tn_boxes *x, int64_t box, tn_operand one, tn_operand other,
                               int64_t *first, int64_t *second, int64_t *extents) {
    int64_t points = 1;
    first[0] = second[0] = 0;
    for (int d = x->n_dims - 1; d >= 0; d--) {
        const tn_dim *dim = &x->dims[d];
        const int64_t s = one == ON_A ? dim->sa : dim->sb;
        const int64_t t = other == ON_C ? dim->sc : dim->sb;
        int64_t start = 0, extent = dim->n;
        if (x->tile[d] < dim->n) {
            const int64_t parts = (dim->n + x->tile[d] - 1) / x->tile[d];
            start = box % parts * x->tile[d];
            extent = extent - start < x->tile[d] ? extent - start : x->tile[d];
            box /= parts;
        }
        extents[d] = extent;
        /* from the far end, so that the first copy, which all others start from, goes last */
        for (int64_t i = extent - 1; i >= 0; i--) {
            const int64_t by = (start + i) * s, and_by = (start + i) * t;
            for (int64_t p = 0; p < points; p++) {
                first[i * points + p] = first[p] + by;
                second[i * points + p] = second[p] + and_by;
            }
        }
        points *= extent;
    }
    return points;
}

/* How the points of a box lie in memory: as [outer][along][across] with unit stride along the middle
 * one.  along is 1 where there is no such axis. */
typedef struct {
    int64_t along, across;
} tn_run;

static inline tn_run unit_run(const tn_boxes *x, const int64_t *extents, tn_operand operand,
                              int64_t itemsize) {
    tn_run run = {1, 1};
    for (int d = x->n_dims - 1; d >= 0; d--) {
        const tn_dim *dim = &x->dims[d];
        const int64_t stride = operand == ON_A ? dim->sa : dim->sb;
        if (stride == itemsize * run.along && (extents[d] > 1 || run.along > 1))
            run.along *= extents[d];
        else if (run.along > 1)
            break;
        else
            run.across *= extents[d];
    }
    if (run.along == 1) run.across = 1;
    return run;
}

#endif
