/* How Winograd's convolution walks over its tiles, and how the pixels of tiles move.
 *
 * A tile is 2 x 2 pixels of the result, computed from 4 x 4 of the operand, or from 6 x 6 with windows of
 * 5 x 5.  Tiles are numbered over
 * images, rows and columns; a block of them is cut into spans of one image.  The pixels of a span pass
 * through a pane, [rows][columns][PANE_BYTES of channels], whatever the order of axes in memory: what
 * lies outside of the image is zero there, or never leaves it. */
#ifndef TN_PANES_H
#define TN_PANES_H

#include "../tn.h"

enum { PANE_BYTES = 64, TAPS = 200 }; /* TAPS: that are transformed at a time, at most */
enum { THREE, FIVE, SPLIT };          /* forms of the transforms, see transforms.h */
enum { SEEN, MADE, COTANGENT };       /* pixels that are transformed, by either side's transform */

/* What all blocks of one convolution have in common.  Byte strides: V is the transformed operand,
 * [products][tiles of a block][channels]; U the weights, [products][panels][channels][NR], M the
 * products, [products][tiles of a block][outputs of a chunk]. */
struct tn_winograd_plan {
    const tn_winograd *of;
    int kernel;                  /* taps of a row */
    int64_t products, m_planes;  /* per tile, channel and output; planes of M */
    int64_t steps;               /* of a product that are summed at a time */
    int64_t down, across, tiles; /* of an image; of all images */
    int64_t block;               /* tiles in a block */
    int64_t chunk;               /* outputs that are multiplied before they are transformed back */
    int64_t panels, u_plane, v_row, v_plane, m_row, m_plane;
    /* For the gradient to weights: so many parts, of so many tiles, are summed apart; M is the
     * transformed cotangent, and the sums of a part are [products][channels][outputs]. */
    int64_t parts, part, sums_row, sums_plane;
    int64_t groups, group; /* of outputs that are tasks of their own, where parts are too few */
    int64_t pixels, bytes; /* of a pane, at most; workspace of one thread */
    int threads;           /* that the work is worth */
};

/* Tiles of one image: the rows row .. row_end - 1, the first from tile `first` on, the last before tile
 * `last`, in a pane that begins at tile `left` and is `width` tiles wide. */
typedef struct {
    int64_t image, row, row_end, first, last, left, width, tiles;
} tile_span;

/* Pixels that lie evenly in memory: the first at byte offset `from`; pixel p at place at[p] of the
 * pane. */
typedef struct {
    int64_t from, count;
    const int32_t *at;
} pixel_run;

typedef struct {
    pixel_run *runs;
    int32_t *places;
    int64_t count, used; /* runs; places */
    int64_t step;        /* bytes from one pixel to the next */
} pixel_runs;

/* The plane of M that has the cotangents of a product: those of form SPLIT share theirs. */
static inline int64_t cotangent_plane(const tn_winograd_plan *x, int64_t product) {
    static const int8_t shared[] = {0, 1, 2, 3, 0, 1, 3};
    return x->products == x->m_planes ? product : product / 7 * 4 + shared[product % 7];
}

/* The next span of the tiles tile .. end - 1.  Rows that are longer than a block are spans of their own,
 * for a pane has room for `block` tiles a row. */
static inline tile_span next_span(const tn_winograd_plan *x, int64_t tile, int64_t end) {
    const int64_t in_image = tile % (x->down * x->across), first = in_image % x->across;
    int64_t most = x->across < x->block ? x->down * x->across - in_image : x->across - first;
    if (most > end - tile) most = end - tile;
    const int64_t final = in_image + most - 1;
    tile_span s = {tile / (x->down * x->across), in_image / x->across, final / x->across + 1,
                   first, final % x->across + 1, 0, x->across, most};
    if (s.row_end - s.row == 1) s.left = first, s.width = most;
    return s;
}

/* The most pixels that the pane of any span has. */
static inline int64_t most_pixels(const tn_winograd_plan *x) {
    const int64_t width = x->across < x->block ? x->across : x->block, more = x->kernel - 1;
    int64_t rows = x->across < x->block ? (x->block + x->across - 2) / x->across + 1 : 1;
    if (rows > x->down) rows = x->down;
    return (2 * rows + more) * (2 * width + more);
}

static inline void add_pixels(pixel_runs *x, int64_t from, int64_t count, int64_t place) {
    pixel_run *last = &x->runs[x->count - 1];
    if (count <= 0) return;
    if (!x->count || last->from + last->count * x->step != from) {
        last = &x->runs[x->count++];
        *last = (pixel_run){from, 0, x->places + x->used};
    }
    last->count += count;
    for (int64_t p = 0; p < count; p++) x->places[x->used++] = (int32_t)(place + p);
}

/* The pixels of the operand that the tiles of a span see; returns how many places its pane has. */
static inline int64_t pixels_seen(const tn_winograd_plan *x, const tile_span *s, pixel_runs *to) {
    const tn_winograd *of = x->of;
    const tn_volume *v = &of->x;
    const int64_t height = of->at.in[1], width = of->at.in[2];
    const int64_t top = 2 * s->row - of->at.before[1], left = 2 * s->left - of->at.before[2];
    const int64_t more = x->kernel - 1;
    const int64_t rows = 2 * (s->row_end - s->row) + more, columns = 2 * s->width + more;
    const int64_t begin = left < 0 ? 0 : left;
    const int64_t end = left + columns < width ? left + columns : width;
    to->count = to->used = 0;
    to->step = v->at[2];
    for (int64_t r = 0; r < rows; r++)
        if (top + r >= 0 && top + r < height)
            add_pixels(to, s->image * v->batch + (top + r) * v->at[1] + begin * v->at[2],
                       end - begin, r * columns + begin - left);
    return rows * columns;
}

/* The pixels of the result that the tiles of a span make. */
static inline void pixels_made(const tn_winograd_plan *x, const tile_span *s, pixel_runs *to) {
    const tn_winograd *of = x->of;
    const tn_volume *v = &of->y;
    to->count = to->used = 0;
    to->step = v->at[2];
    for (int64_t r = 2 * s->row; r < 2 * s->row_end && r < of->at.out[1]; r++) {
        const int64_t begin = r / 2 == s->row ? 2 * s->first : 0;
        int64_t end = r / 2 == s->row_end - 1 ? 2 * s->last : 2 * x->across;
        if (end > of->at.out[2]) end = of->at.out[2];
        add_pixels(to, s->image * v->batch + r * v->at[1] + begin * v->at[2], end - begin,
                   (r - 2 * s->row) * 2 * s->width + begin - 2 * s->left);
    }
}

#endif
