/* Copies between orders of axes are cut into tiles that hold whole cache lines of both operands.
 *
 * The axes are [outer and between ..., along ..., across ..., run]: c is contiguous along the second
 * group (m), a across it (n), both within a run (k).  In their sb, which a copy has no other use
 * for, stands how far a tile extends along each axis.  A tile lies on its target, which is c itself
 * or a buffer, in segments as long as they are contiguous on c. */
#ifndef TN_TILES_H
#define TN_TILES_H

#include "../tn.h"

enum { TILE_BYTES = 2 * TN_COPY_TILE, TILE_OFFSETS = 2 * TN_COPY_TILE / 4 };

/* A walk over all tiles: where one starts, and how far it extends. */
typedef struct {
    const tn_dim *dims;
    int n_dims;
    int64_t start[TN_MAX_DIMS], extent[TN_MAX_DIMS];
    int64_t a, c;
} tile_walk;

/* The points of one tile.  Element (i, j, l) is read at between_a[i] + along_a[j] + l unit and goes
 * to between_to[i] + j unit + across_to[l]; segment s of the target is bytes long and belongs at
 * segment_c[s] of the result. */
typedef struct {
    int64_t between, along, across, run, unit;
    int64_t segments, bytes, pitch;
    int64_t *between_a, *between_to, *along_a, *across_to, *segment_c;
    int64_t extent[TN_MAX_DIMS];
    int64_t offsets[TILE_OFFSETS];
} copy_tile;

static inline void tile_measure(tile_walk *w) {
    for (int d = 0; d < w->n_dims; d++) {
        const int64_t left = w->dims[d].n - w->start[d];
        w->extent[d] = left < w->dims[d].sb ? left : w->dims[d].sb;
    }
}

static inline void tiles_from(tile_walk *w, const tn_dim *dims, int n_dims, int64_t tile) {
    w->dims = dims;
    w->n_dims = n_dims;
    w->a = w->c = 0;
    for (int d = n_dims - 1; d >= 0; d--) {
        const int64_t parts = (dims[d].n + dims[d].sb - 1) / dims[d].sb;
        w->start[d] = tile % parts * dims[d].sb;
        tile /= parts;
        w->a += w->start[d] * dims[d].sa;
        w->c += w->start[d] * dims[d].sc;
    }
    tile_measure(w);
}

static inline void next_tile(tile_walk *w) {
    for (int d = w->n_dims - 1; d >= 0; d--) {
        const tn_dim *x = &w->dims[d];
        w->start[d] += x->sb;
        w->a += x->sb * x->sa;
        w->c += x->sb * x->sc;
        if (w->start[d] < x->n) break;
        w->a -= w->start[d] * x->sa;
        w->c -= w->start[d] * x->sc;
        w->start[d] = 0;
    }
    tile_measure(w);
}

/* Writes the offsets of the points of axes first <= d < end, the last one fastest; returns how many. */
static inline int64_t offsets_of(int64_t *to, const int64_t *extent, const int64_t *stride,
                                 int first, int end) {
    int64_t points = 1;
    to[0] = 0;
    for (int d = end - 1; d >= first; d--) {
        for (int64_t i = 1; i < extent[d]; i++)
            for (int64_t p = 0; p < points; p++) to[i * points + p] = to[p] + i * stride[d];
        points *= extent[d];
    }
    return points;
}

/* Finds the segments of c: how long they are, and to `apart` the extents of the axes that tell them
 * apart. */
static inline int64_t find_segments(const tile_walk *w, int64_t size, int64_t *apart) {
    int64_t bytes = size;
    for (int d = 0; d < w->n_dims; d++) apart[d] = w->extent[d];
    for (int d = w->n_dims - 1; d >= 0;) {
        if (apart[d] > 1 && w->dims[d].sc == bytes) {
            bytes *= apart[d];
            apart[d] = 1;
            d = w->n_dims;
        }
        d--;
    }
    return bytes;
}

/* Lays out the tile that w is at, with the target in a buffer or in c itself. */
static inline void lay_out_tile(copy_tile *t, const tile_walk *w, const tn_contraction *x,
                                int64_t size, int buffered) {
    enum { LINE = 64, LONG = 256 };
    int64_t apart[TN_MAX_DIMS], on_a[TN_MAX_DIMS], on_c[TN_MAX_DIMS], on_to[TN_MAX_DIMS];
    const int along = x->n_batch, across = along + x->n_m, run = across + x->n_n;
    t->bytes = find_segments(w, size, apart);
    /* segments of a power of two would meet in few sets of the cache */
    t->pitch = (t->bytes + LINE - 1) / LINE * LINE;
    if (t->pitch >= LONG) t->pitch |= LINE;
    int64_t pitch = t->pitch;
    for (int d = w->n_dims - 1; d >= 0; d--) {
        t->extent[d] = w->extent[d];
        on_a[d] = w->dims[d].sa;
        on_c[d] = on_to[d] = w->dims[d].sc;
        if (buffered && apart[d] > 1) {
            on_to[d] = pitch;
            pitch *= apart[d];
        }
    }
    t->run = x->n_k ? w->extent[run] : 1;
    t->unit = t->run * size;
    t->between_a = t->offsets;
    t->between = offsets_of(t->between_a, w->extent, on_a, 0, along);
    t->between_to = t->between_a + t->between;
    offsets_of(t->between_to, w->extent, on_to, 0, along);
    t->along_a = t->between_to + t->between;
    t->along = offsets_of(t->along_a, w->extent, on_a, along, across);
    t->across_to = t->along_a + t->along;
    t->across = offsets_of(t->across_to, w->extent, on_to, across, run);
    t->segment_c = t->across_to + t->across;
    t->segments = offsets_of(t->segment_c, apart, on_c, 0, w->n_dims);
}

static inline int tile_has_extents(const copy_tile *t, const tile_walk *w) {
    for (int d = 0; d < w->n_dims; d++)
        if (t->extent[d] != w->extent[d]) return 0;
    return 1;
}

#endif
