/* Convolution as an implicit matrix product (implicit GEMM, as Chetlur et al. 2014; row pointers as in
 * Dukhan's indirect convolution, 2019).
 *
 * Boxes of windows are worked through one after the other.  What the windows of a box see is copied into a
 * strip in the second cache, with its padding; each input is copied once, not once per window.  In the
 * strip, what window i sees at position and channel p lies at windows[i] + taps[p]: the microkernel adds
 * the two and needs no matrix of windows.  With x in the strip, y = sum over p of x[i, p] w[p], and
 * the gradient to the weights is the sum over i of x[i, p] y[i]: the same tile, the two tables exchanged. */
#ifndef TN_CONVOLVE_H
#define TN_CONVOLVE_H

#include "../tn.h"

/* A matrix to move: extents, byte strides on both sides. */
typedef struct {
    int64_t rows, columns, from_row, from_column, to_row, to_column;
} tn_move;

/* c[i] (+)= sum over p of a[a_rows[i] + steps[p]] * b[p], where b and c have rows of a tile's width. */
typedef struct {
    const char *a, *b;
    const int64_t *a_rows, *steps, *c_rows;
    char *c;
    int64_t rows, depth;
    int accumulate;
} tn_tiles;

struct tn_convolver {
    int rows, columns; /* of a tile */
    void (*move)(const tn_move *, const char *from, char *to);
    void (*tiles)(const tn_tiles *);
};

/* Some of the windows: on the batch and on the spatial axes. */
typedef struct {
    int64_t first[4], count[4];
} tn_window_box;

/* Some planes and rows of the windows of a box, which see the same part of their positions: what else
 * they would see is padding. */
typedef struct {
    int64_t first[4], count[4]; /* counted from those of the box */
    int64_t low[2], high[2];    /* positions along the first and second axis that are seen */
    int64_t windows;
    int begun; /* for the caller */
} tn_band;

/* How the windows of a convolution are cut into boxes, and where a box finds its strip. */
typedef struct {
    tn_convolution call; /* the caller's, with strides of 1 where kernels are 1 */
    int64_t shift;       /* of x, in bytes, that this took */
    const tn_convolver *kernels;
    int64_t size;              /* of an element */
    int64_t count[4], taps;    /* windows on the batch and the spatial axes; positions in one */
    int64_t box[4], boxes[4];  /* extents of a box; boxes along each axis */
    int64_t n_boxes, points;   /* points: windows in a box */
    tn_volume strip;
    double strip_bytes;
} tn_strips;

enum { TN_BY_PIXEL, TN_BY_CHANNEL }; /* whether the channels are next to each other in a strip */

/* The call, not cut yet. */
void tn_begin_strips(tn_strips *s, const tn_convolution *call);
/* Cuts into boxes whose strips of so many channels have at most so many bytes, and that are of at most
 * so many windows (one at least). */
void tn_cut_strips(tn_strips *s, int order, int64_t channels, double bytes, double windows);
void tn_place_box(const tn_strips *s, int64_t number, tn_window_box *box);
/* Copies what a box sees of these channels of x into its strip. */
void tn_fill_strip(const tn_strips *s, const tn_window_box *box, const char *x, int64_t channels,
                   char *strip);
/* Offsets of windows in a strip; of its positions and channels. */
int64_t *tn_tabulate_windows(const tn_strips *s, const int64_t *first, const int64_t *count,
                             int64_t *to);
void tn_tabulate_taps(const tn_strips *s, int64_t channels, int64_t *to);
/* Offsets in a volume; returns where the next ones go. */
int64_t *tn_tabulate(const int64_t *first, const int64_t *count, const tn_volume *strides,
                     int64_t *to);
int64_t tn_box_offset(const tn_window_box *box, const tn_volume *strides);
/* Cuts a box into bands and returns how many these are, at most tn_most_bands. */
int64_t tn_most_bands(const tn_strips *s);
int64_t tn_cut_bands(const tn_strips *s, const tn_window_box *box, tn_band *bands);
/* Moves [windows of the box][columns], rows of which are `row` bytes long, to y, or from it. */
void tn_move_windows(const tn_strips *s, const tn_window_box *box, char *rows, int64_t row, char *y,
                     int64_t columns, int from_y);
/* The stride of weights along all positions, if these are neighbours in memory, forwards or backwards;
 * 0 if they are not, or too few to be moved together. */
int64_t tn_joined_taps(const tn_strips *s);
/* Steps of a block of a sum of n terms. */
int64_t tn_block_depth(const tn_convolver *kernels, int64_t size, int64_t n);
/* How many threads are worth it for so many multiply-adds. */
int tn_worthwhile_threads(const tn_convolution *call, double macs, int threads);

#endif
