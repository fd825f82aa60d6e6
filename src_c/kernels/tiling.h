/* How a huge operand that meets a tiny one is cut into tiles, and how the elements of a tile move.
 *
 * A tile is a box of m points with all k (on a) or all n (on c).  Every axis is seen as a number of
 * binary digits, and so is the place of an element: the lowest digits count the lanes of a vector,
 * the others the vectors.  All tiles are alike, so that one set of tables serves all of them. */
#ifndef TN_TILING_H
#define TN_TILING_H

#include "../tn.h"

enum {
    TN_TILE_ROWS = 64,      /* k or n points, at most */
    TN_TILE_ENTRIES = 1024, /* of the tiny operand */
    TN_TILE_VECTORS = 256,  /* of a or c in a tile */
    TN_TILE_POINTS = 1024,  /* of a tile that moves element by element */
    TN_LANE_DIGITS = 4
};

/* Two offsets that belong together. */
typedef struct {
    int64_t from, to;
} tn_move;

/* Vectors move in groups, within which digits of the lane change places with digits of the vector's
 * number: the lanes with a bit in `lanes`, from the lowest on.  Then, if `permuted`, lane l of each vector is
 * what was lane order[l]. */
typedef struct {
    int lanes, permuted;
    uint8_t order[1 << TN_LANE_DIGITS];
    int64_t count; /* of groups; 0: vectors stay where they are */
    tn_move vectors[1 << TN_LANE_DIGITS], groups[TN_TILE_VECTORS];
} tn_shuffle;

/* The points of a tile: their offsets on a and on c. */
typedef struct {
    int64_t count;
    tn_move at[TN_TILE_POINTS];
} tn_tile_points;

struct tn_tiling {
    int lanes; /* elements of a vector */
    tn_dim outer[TN_MAX_DIMS];
    int n_outer;
    int64_t tiles;
    /* Tiles pass through two buffers, [k][points] and [n][points], unless they are read and written
     * where they lie: */
    int64_t row_bytes;
    int a_elementwise, c_elementwise; /* no whole vectors there: moved by `whole` */
    tn_shuffle load, store;          /* a to the first buffer, the second one to c */
    int64_t columns;                 /* vectors of a row */
    tn_move column[TN_TILE_VECTORS], buffer_column[TN_TILE_VECTORS];
    int64_t a_rows[TN_TILE_ROWS], c_rows[TN_TILE_ROWS], buffer_rows[TN_TILE_ROWS];
    int64_t b_steps[TN_TILE_ROWS], b_columns[TN_TILE_ROWS];
    tn_tile_points whole, rest;
    int scattered; /* rows of c lie pages apart: too many to stream parts of their lines in turn */
    int64_t c_run; /* bytes of c that a tile writes in one piece */
    int rest_axis; /* of outer, whose last tile is only `rest`; -1: none */
};

/* All sums of multiples of the given strides, the smallest stride of `by_to` or from fastest; returns how
 * many. */
int64_t tn_expand(tn_move *to, const tn_move *strides, const int64_t *extents, int n, int by_to);

/* Returns 0 if the contraction cannot be cut into such tiles. */
int tn_cut_tiles(const tn_contraction *x, tn_tiling *tiling);

/* Whether tiles are read and written where they lie. */
static inline int tn_reads_in_place(const tn_tiling *t) {
    return !t->a_elementwise && !t->c_elementwise && !t->load.count && !t->store.count;
}

#endif
