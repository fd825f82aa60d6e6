/* Copies between orders of axes are cut into tiles that hold whole cache lines of both operands.
 *
 * The axes are [outer and between ..., along ..., across ..., run]: c is contiguous along the second
 * group (m), a across it (n), both within a run (k).  In their sb, which a copy has no other use
 * for, stands how far a tile extends along each axis.  A tile of elements goes to c in strips; one of
 * runs to its target, which is c itself or a buffer, in segments as long as they are contiguous on c. */
#ifndef TN_TILES_H
#define TN_TILES_H

#include "../tn.h"

enum { TILE_LINE = 64, SHORT_ROW = 32, LONG_ROW = 256 }; /* bytes */
/* How rows are put into c: plainly, added, or past the caches in whole lines, which begin where strips
 * begin or are shifted against them. */
enum { PUT_PLAIN, PUT_ADDED, PUT_WHOLE, PUT_SHIFTED };
/* Elements go to c in strips of so many points, by way of a block of a few columns of a. */
enum { STRIP_POINTS = 128, BLOCK_BYTES = 80 << 10 };
enum { TILE_KEPT = TN_COPY_ROWS * 3 / 2 }; /* lines that wait for more points of their rows */
enum { TILE_BUFFER = 2 * TN_COPY_TILE, TILE_OFFSETS = 9216 + STRIP_POINTS };

/* A walk over all tiles: where one starts, and how far it extends. */
typedef struct {
    const tn_dim *dims;
    int n_dims;
    uint8_t order[TN_MAX_DIMS]; /* of the axes on c, the fastest first */
    uint8_t turns[TN_MAX_DIMS]; /* and in the order that the walk takes them */
    int64_t start[TN_MAX_DIMS], extent[TN_MAX_DIMS];
    int64_t a, c;
} tile_walk;

/* The points of one tile.  Element (i, j, l) is read at between_a[i] + along_a[j] + l unit and goes
 * to between_to[i] + j unit + across_to[l]; segment s of the target is bytes long and belongs at
 * segment_c[s] of the result. */
typedef struct {
    int64_t between, along, across, run, unit;
    int aligned; /* lines of c begin at all rows if one begins at the first */
    int level;   /* and so on a */
    int joined;  /* rows of c follow each other */
    int narrow;  /* blocks are one line of a wide and fetched a strip ahead */
    int64_t block; /* elements of blocks that lie alike on both, and trade places within; 0: there are none */
    int whole;   /* what is at one point between is in one place on both: it is moved as a whole */
    int meeting; /* rows of a meet in few sets of the cache */
    int crowded; /* and those of c, in the first one: a few of them are written at a time */
    int ahead;   /* what blocks need is fetched */
    int even;    /* blocks begin where lines of a do */
    int64_t side, lead; /* of squares that are streamed from registers, or 0; the first line of a is in front */
    int64_t strip, columns, outers; /* the most points, columns of a and points between of a block */
    int64_t shared, shared_outers;  /* points along c and between that share lines of a */
    int64_t segments, bytes, pitch;
    int64_t fetched, rows_a, bytes_a, *row_a; /* what a tile reads: rows_a rows of bytes_a */
    int64_t *between_a, *between_to, *along_a, *across_to, *segment_c;
    int64_t extent[TN_MAX_DIMS], apart[TN_MAX_DIMS];
    int64_t offsets[TILE_OFFSETS];
} copy_tile;

static inline void tile_measure(tile_walk *w) {
    for (int d = 0; d < w->n_dims; d++) {
        const int64_t left = w->dims[d].n - w->start[d];
        w->extent[d] = left < w->dims[d].sb ? left : w->dims[d].sb;
    }
}

static inline void sort_axes(uint8_t *order, const tn_dim *dims, int n_dims, tn_operand operand) {
    for (int i = 0; i < n_dims; i++) { /* insertion sort */
        const int64_t stride = stride_on(&dims[i], operand);
        int j = i;
        for (; j > 0 && stride_on(&dims[order[j - 1]], operand) > stride; j--) order[j] = order[j - 1];
        order[j] = (uint8_t)i;
    }
}

/* Starts a walk along the operand. */
static inline void tiles_from(tile_walk *w, const tn_dim *dims, int n_dims, int64_t tile,
                              tn_operand operand) {
    w->dims = dims;
    w->n_dims = n_dims;
    w->a = w->c = 0;
    sort_axes(w->order, dims, n_dims, ON_C);
    sort_axes(w->turns, dims, n_dims, operand);
    for (int i = 0; i < n_dims; i++) {
        const int d = w->turns[i];
        const int64_t parts = (dims[d].n + dims[d].sb - 1) / dims[d].sb;
        w->start[d] = tile % parts * dims[d].sb;
        tile /= parts;
        w->a += w->start[d] * dims[d].sa;
        w->c += w->start[d] * dims[d].sc;
    }
    tile_measure(w);
}

static inline void next_tile(tile_walk *w) {
    for (int i = 0; i < w->n_dims; i++) {
        const int d = w->turns[i];
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

/* Finds the segments of c: returns how many bytes long they are, and writes to `apart` the extents of
 * the axes that tell them apart. */
static inline int64_t find_segments(const tile_walk *w, int64_t size, int64_t *apart) {
    int64_t bytes = size;
    for (int d = 0; d < w->n_dims; d++) apart[d] = w->extent[d];
    for (int i = 0; i < w->n_dims; i++) {
        const int d = w->order[i];
        if (apart[d] == 1) continue;
        if (w->dims[d].sc != bytes) break;
        bytes *= apart[d];
        apart[d] = 1;
    }
    return bytes;
}

/* The same on a. */
static inline int64_t find_rows(const tile_walk *w, int64_t size, int64_t *apart) {
    int64_t bytes = size;
    for (int d = 0; d < w->n_dims; d++) apart[d] = w->extent[d];
    for (int d = w->n_dims - 1; d >= 0;) {
        if (apart[d] > 1 && w->dims[d].sa == bytes) {
            bytes *= apart[d];
            apart[d] = 1;
            d = w->n_dims;
        }
        d--;
    }
    return bytes;
}

/* How long those of a whole tile are, and how many. */
static inline int64_t whole_segments(const tn_dim *dims, int n_dims, int64_t size,
                                     int64_t *segments) {
    tile_walk whole = {.dims = dims, .n_dims = n_dims};
    int64_t apart[TN_MAX_DIMS];
    sort_axes(whole.order, dims, n_dims, ON_C);
    for (int d = 0; d < n_dims; d++) whole.extent[d] = dims[d].sb;
    const int64_t bytes = find_segments(&whole, size, apart);
    *segments = 1;
    for (int d = 0; d < n_dims; d++) *segments *= apart[d];
    return bytes;
}

/* Along which operand a copy of runs goes: along a, of which the hardware fetches the rows then,
 * but along c if its segments share lines, so that one continues the other. */
static inline tn_operand walk_along(const tn_dim *dims, int n_dims, int64_t size) {
    int64_t segments;
    return whole_segments(dims, n_dims, size, &segments) % TILE_LINE ? ON_C : ON_A;
}

/* Bytes from one segment to the next in a buffer, the same for all tiles; *roomy tells whether there is
 * a line in front of each, which streaming needs. */
static inline int64_t buffer_pitch(const tile_walk *w, int64_t size, int *roomy) {
    int64_t segments;
    const int64_t bytes = whole_segments(w->dims, w->n_dims, size, &segments);
    /* an odd number of lines: segments of a power of two would meet in few sets of the cache */
    const int64_t pitch = ((bytes + TILE_LINE - 1) / TILE_LINE * TILE_LINE + TILE_LINE) | TILE_LINE;
    *roomy = bytes >= 2 * TILE_LINE && segments * pitch <= TILE_BUFFER;
    return *roomy ? pitch : bytes;
}

static inline int have_same_extents(const int64_t *x, const int64_t *y, int n_dims) {
    for (int d = 0; d < n_dims; d++)
        if (x[d] != y[d]) return 0;
    return 1;
}

/* Where the tile lies on a, in rows as long as they are contiguous; long ones in equal parts, which may
 * overlap, and none where they are so short that the hardware does as well. */
static inline void lay_out_rows(copy_tile *t, const tile_walk *w, int64_t size,
                                const int64_t *on_a) {
    int64_t apart[TN_MAX_DIMS];
    t->bytes_a = find_rows(w, size, apart);
    if (t->bytes_a < SHORT_ROW) return;
    t->rows_a = offsets_of(t->row_a, apart, on_a, 0, w->n_dims);
    if (t->bytes_a <= LONG_ROW) return;
    const int64_t parts = (t->bytes_a + LONG_ROW - 1) / LONG_ROW, last = t->bytes_a - LONG_ROW;
    for (int64_t i = t->rows_a * parts - 1; i >= 0; i--) {
        const int64_t at = i % parts * LONG_ROW;
        t->row_a[i] = t->row_a[i / parts] + (at < last ? at : last);
    }
    t->rows_a *= parts;
    t->bytes_a = LONG_ROW;
}

static inline int64_t bits_of(const int64_t *offsets, int64_t n) {
    int64_t any = 0;
    for (int64_t i = 0; i < n; i++) any |= offsets[i];
    return any;
}

/* How many points next to each other share a line. */
static inline int64_t points_of_line(const int64_t *offsets, int64_t n) {
    int64_t points = 1;
    while (2 * points <= n && offsets[2 * points - 1] - offsets[0] < TILE_LINE) points *= 2;
    return points;
}

/* Whether the rows of a that a strip reads meet in so few sets of the second cache that it does not
 * hold two blocks. */
static inline int meet_in_cache(const copy_tile *t, int64_t size) {
    enum { STRIP = 512, SHORT = 4, PERIOD = 4 << 10 }; /* bytes */
    const int64_t period = size > SHORT ? PERIOD : PERIOD / 2;
    return bits_of(t->along_a, MIN(t->along, STRIP / size)) % period == 0;
}

/* The side of squares that are streamed from registers, or 0: where vectors are lines, and rows long on both
 * operands, more so where rows of a follow each other, less so where they meet in few sets of the cache and
 * where rows of c are whole lines.  Small elements have squares of half a line, whose rows must stay in the
 * first cache, unless squares can begin where lines of a do; where rows of c lie some KB apart they lose. */
static inline int64_t side_of_lines(const copy_tile *t, int64_t size, int meet) {
    enum { SMALL = 4, LONG = 1 << 10, LONG_ON_A = 512 };
    const int64_t row = t->across * size, row_c = t->along * size;
    const int64_t least = (row_c % TILE_LINE ? LONG : LONG / 2) >> meet;
    const int64_t least_on_a = t->along_a[1] <= row ? 2 * LONG_ON_A : LONG_ON_A;
    const int half = size == SMALL && !t->level;
    const int loses = size == SMALL && !meet && bits_of(t->across_to, t->across) % LONG == 0;
    const int64_t side = TILE_LINE / size >> half, rows = (t->across + 2 * side - 1) / side * side;
    if (VBYTES != TILE_LINE || size < SMALL || loses || row_c < least || row < least_on_a) return 0;
    return t->between * rows <= TILE_KEPT ? side : 0;
}

/* The first of the columns after those of the squares at i: squares begin where lines of a do, if all rows
 * allow it, but for the first ones and the last. */
ALWAYS_INLINE int64_t next_group(const copy_tile *t, int64_t side, int64_t i) {
    return i == 0 && t->side ? t->lead % side ? t->lead % side : side : i + side;
}

/* Sets what blocks need to know of the rows, and lengthens their table beyond the end.  Blocks are
 * narrow, one line of a wide, where many lines are read next to each other or one stride apart, as in the
 * transpose of one axis with another: there is hardly time for anything but the lines.  Where rows of a
 * are scattered, or meet in few sets of the cache, larger blocks fetch while they are put. */
static inline void look_at_rows(copy_tile *t, int64_t size, int added) {
    enum { LONGEST = 2048, WIDEST = 8 }; /* bytes of rows that are joined, and of their elements */
    const int64_t row = t->across * size;
    for (int64_t i = 0; i < STRIP_POINTS; i++) t->along_a[t->along + i] = t->along_a[t->along - 1];
    t->aligned = (bits_of(t->between_to, t->between) | bits_of(t->across_to, t->across)) % TILE_LINE == 0;
    t->level = (bits_of(t->between_a, t->between) | bits_of(t->along_a, t->along)) % TILE_LINE == 0;
    t->joined = !added && t->across > 1 && size <= WIDEST && t->along * size <= LONGEST &&
                t->along * size >= 2 * TILE_LINE;
    for (int64_t i = 0; i < t->across; i++) t->joined &= t->across_to[i] == i * t->along * size;
    const int meet = meet_in_cache(t, size);
    const int one_axis = t->across > 1 && t->across_to[t->across - 1] == (t->across - 1) * t->across_to[1];
    t->narrow = !t->joined && (added || t->along_a[1] <= row || (!meet && (one_axis || size > WIDEST)));
    t->side = added ? 0 : side_of_lines(t, size, meet);
    if (t->side) t->joined = 0;
    t->meeting = !t->narrow && !t->joined && meet;
    t->ahead = !meet && (t->between > 1 || row >= TILE_LINE);
    t->shared = points_of_line(t->along_a, t->along);
    t->shared_outers = points_of_line(t->between_a, t->between);
}

/* How many bytes of each row of a a block reads at once.  Single lines, as long as they are whole: from
 * two on the hardware fetches more of a row, which is in the way unless it comes next.  All where the
 * lines of a column would drive each other from the cache: they are used as they come. */
static inline int64_t breadth_of(const copy_tile *t, int64_t size) {
    enum { SOME = 256 };
    if (meet_in_cache(t, size)) return t->across * size;
    return !t->joined && (t->level || t->narrow) ? TILE_LINE : SOME;
}

/* Sets how large blocks are: a few KB, and with strips so wide that memory takes them at full speed, which
 * it does 8 lines at a time where the rows of c are pages apart. */
static inline void size_blocks(copy_tile *t, int64_t size) {
    enum { SIDE = 8, FEW_BYTES = 8 << 10, WIDE = 512, SOME = 256, LONG = 8, PAGE = 4 << 10 };
    const int64_t line = TILE_LINE / size, columns = (breadth_of(t, size) + TILE_LINE - 1) / size / line * line;
    int64_t points = FEW_BYTES / (columns * size) / line * line; /* the next strip begins with a line, too */
    if (points > STRIP_POINTS) points = STRIP_POINTS;
    if (points < WIDE / size) points = WIDE / size;
    if (t->narrow) points = (t->across > 1 && t->across_to[1] % PAGE == 0 ? WIDE : SOME) / size;
    t->strip = t->joined ? t->along : points;
    t->pitch = t->joined ? t->along * size : TILE_LINE + points * size;
    const int64_t rows = BLOCK_BYTES / t->pitch - SIDE;
    t->columns = columns < rows ? columns : rows / line * line;
    t->outers = t->joined || t->narrow || t->across > t->columns ? 1 : rows / t->across;
    t->even = t->level && t->columns == line && t->across > LONG * line;
}

/* Part of a tile that is moved at once: `points` of each of `columns` columns of a, at `outers` points
 * between.  One that `wraps` is of the tile after. */
typedef struct {
    int64_t j, points, o, outers, i, columns;
    int wraps;
} tile_block;

ALWAYS_INLINE tile_block block_at(const copy_tile *t, int64_t j, int64_t o, int64_t outers, int64_t i,
                                  int64_t columns) {
    return (tile_block){j, MIN(t->strip, t->along - j), o, outers, i, MIN(columns, t->across - i), 0};
}

/* The same part of the next strip. */
ALWAYS_INLINE tile_block next_strip(const copy_tile *t, const tile_block *b) {
    tile_block next = *b;
    next.j = b->j + t->strip;
    next.wraps = next.j >= t->along;
    if (next.wraps) next.j = 0;
    return next;
}

/* The next block, the first ones of all rows being `begin` columns wide. */
static inline tile_block next_block(const copy_tile *t, const tile_block *b, int64_t begin) {
    int64_t j = b->j, o = b->o, i = b->i + b->columns;
    if (i == t->across) i = 0, o += t->outers;
    if (o >= t->between) o = 0, j += t->strip;
    const int wraps = j >= t->along;
    if (wraps) j = 0;
    tile_block next = block_at(t, j, o, MIN(t->outers, t->between - o), i, i ? t->columns : begin);
    next.wraps = wraps;
    return next;
}

/* Elements of the blocks of a tile that lie in the same place on a and c, one after the other, or 0. */
static inline int64_t block_of(const copy_tile *t, int64_t size) {
    const int64_t block = t->along * t->across;
    if (t->along < 2 || t->across < 2 || block * size > 2 * VBYTES) return 0;
    for (int64_t j = 0; j < t->along; j++)
        if (t->along_a[j] != j * t->across * size) return 0;
    for (int64_t i = 0; i < t->across; i++)
        if (t->across_to[i] != i * t->along * size) return 0;
    for (int64_t o = 0; o < t->between; o++)
        if (t->between_a[o] != o * block * size || t->between_to[o] != t->between_a[o]) return 0;
    return block;
}

/* Lays out the tile that w is at, with the target in a buffer of this pitch or, without, in c; also what
 * to fetch of the next tile, if anything, and how to stream it if it is so far. */
static __attribute__((noinline)) void lay_out_tile(copy_tile *t, const tile_walk *w,
                                                   const tn_contraction *x, int64_t size,
                                                   int64_t pitch, int far) {
    enum { CROWDED = 1 << 10, MEETING = 8 << 10 }; /* bytes, of which the first cache has few multiples */
    int64_t on_a[TN_MAX_DIMS], on_c[TN_MAX_DIMS], on_to[TN_MAX_DIMS];
    const int along = x->n_batch, across = along + x->n_m, run = across + x->n_n;
    t->bytes = pitch ? find_segments(w, size, t->apart) : 0;
    t->pitch = pitch;
    for (int d = w->n_dims - 1; d >= 0; d--) {
        t->extent[d] = w->extent[d];
        on_a[d] = w->dims[d].sa;
        on_c[d] = on_to[d] = w->dims[d].sc;
        if (t->pitch && t->apart[d] > 1) {
            on_to[d] = pitch;
            pitch *= t->apart[d];
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
    t->across_to = t->along_a + t->along + STRIP_POINTS; /* strips may be longer than what is left */
    t->across = offsets_of(t->across_to, w->extent, on_to, across, run);
    t->crowded = t->across > 1 && bits_of(t->across_to, t->across) % CROWDED == 0 &&
                 bits_of(t->along_a, t->along) % MEETING != 0; /* else lines of a would not stay */
    t->whole = t->between > 1 && t->between_a[1] >= t->along * t->across * size &&
               t->between_to[1] >= t->along * t->across * size;
    t->block = pitch || x->n_k || x->accumulate ? 0 : block_of(t, size);
    t->segment_c = t->across_to + t->across;
    t->segments = t->pitch ? offsets_of(t->segment_c, t->apart, on_c, 0, w->n_dims) : 0;
    t->row_a = t->segment_c + t->segments;
    t->rows_a = 0;
    t->joined = 0;
    t->side = t->lead = 0;
    if (!x->n_k && (far > 1 || x->accumulate)) { /* otherwise they are put plainly */
        look_at_rows(t, size, x->accumulate);
        size_blocks(t, size);
    }
    if (x->n_k && far) lay_out_rows(t, w, size, on_a);
    t->fetched = (t->rows_a + t->along - 1) / t->along;
}

/* Whether the tile that w is at has the same rows as another one, which it may lengthen.  Joined rows may be
 * fewer, but not a single one, which goes to c without squares. */
static inline int same_rows(const copy_tile *t, const tile_walk *w, const tn_contraction *x) {
    const int along = x->n_batch, across = along + x->n_m, run = across + x->n_n;
    if (!have_same_extents(t->extent, w->extent, along)) return 0;
    if (!t->joined) return have_same_extents(t->extent + across, w->extent + across, w->n_dims - across);
    int64_t rows = 1;
    for (int d = across; d < run; d++) rows *= w->extent[d];
    return rows > 1 && have_same_extents(t->extent + along, w->extent + along, across - along);
}

/* Whether the segments of the tile that w is at begin where those of the tile before, at c, end. */
static inline int continues(const copy_tile *before, int64_t c, const tile_walk *w, int64_t size) {
    int64_t apart[TN_MAX_DIMS];
    if (w->c != c + before->bytes || before->bytes < TILE_LINE) return 0;
    find_segments(w, size, apart);
    return have_same_extents(apart, before->apart, w->n_dims);
}

/* Fetches rows of the next tile, as many as a step along c takes from this one; from `row` on. */
ALWAYS_INLINE int64_t fetch_rows(const copy_tile *t, const char *ahead, int64_t row, int64_t steps) {
    const int64_t end = row + steps * t->fetched < t->rows_a ? row + steps * t->fetched : t->rows_a;
    for (; row < end; row++) {
        const char *line = ahead + t->row_a[row], *last = line + t->bytes_a - 1;
        for (; line < last; line += TILE_LINE) __builtin_prefetch(line, 0, 2); /* into L2 */
        if ((uintptr_t)(last + 1) % TILE_LINE) __builtin_prefetch(last, 0, 2);
    }
    return row;
}

#endif
