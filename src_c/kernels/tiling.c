/* Planning the tiles of a skinny product: which m points they have, which lanes change places. */
#include "tiling.h"
#include "sizes.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_DIGITS = 80,    /* sizes are below 2^60, and k and n few */
    CUT_FROM = 64,         /* extents from which a tile need not divide an axis */
    BUFFER = 4 << 10,      /* bytes: small tiles let memory and arithmetic overlap, */
    ROW = 512,             /* but their rows are no shorter */
    NEAR_BUFFER = 8 << 10, /* if they fit in so much, */
    FAR_BUFFER = 16 << 10, /* or in so much where the operand does not stay in the second cache, */
    FAR = 1 << 20,         /* which is from so many bytes on */
    READ = 16 << 10,       /* of a tile that passes through no buffer */
    PAIR = 2,              /* vectors of a row that are multiplied together */
    WAYS = 8,              /* lines that a set of the first cache holds */
    STREAMS_AT_ONCE = 2,   /* rows a page apart that can be written past the caches together */
    NONE = -1
};

typedef enum { ON_M, ON_N, ON_K } group;

/* A digit of an axis: binary, or what is left of a k or n axis when these are taken out. */
typedef struct {
    group of;
    int axis, level;
    int64_t extent, sa, sc, row; /* row: the place on the k or n side, in rows */
    int used;                    /* in the tile */
} digit;

typedef struct {
    digit digits[MOST_DIGITS];
    int count, depth; /* depth: digits of the lane number */
    int64_t size;
    int on_a[TN_LANE_DIGITS], on_c[TN_LANE_DIGITS]; /* what the lanes are in memory, */
    int settled[TN_LANE_DIGITS];                    /* and when multiplied */
    int64_t place[MOST_DIGITS];                     /* in the buffers */
} layout;

static int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride; }

static int64_t power(int digits) { return (int64_t)1 << digits; }

static int binary_digits(int64_t n) {
    int digits = 0;
    while (n % 2 == 0) n /= 2, digits++;
    return digits;
}

static int log2_floor(int64_t n) {
    int digits = 0;
    while (n >>= 1) digits++;
    return digits;
}

static void add_digit(layout *l, digit d) { l->digits[l->count++] = d; }

/* The axes of m; returns the one that tiles need not divide, or NONE. */
static int split_m(layout *l, const tn_dim *dims, int n_dims) {
    int rest_axis = NONE;
    for (int d = n_dims - 1; d >= 0; d--) {
        int levels = binary_digits(dims[d].n);
        if (rest_axis == NONE && dims[d].n >= CUT_FROM && levels < log2_floor(dims[d].n)) {
            rest_axis = d;
            levels = log2_floor(dims[d].n) - 2;
        }
        for (int i = 0; i < levels; i++)
            add_digit(l, (digit){ON_M, d, i, 2, dims[d].sa * power(i), dims[d].sc * power(i), 0,
                                 0});
    }
    return rest_axis;
}

static void split_rows(layout *l, group of, const tn_dim *dims, int n_dims) {
    int64_t row = 1;
    for (int d = n_dims - 1; d >= 0; d--) {
        const int levels = binary_digits(dims[d].n);
        const int64_t odd = dims[d].n >> levels;
        for (int i = 0; i < levels; i++)
            add_digit(l, (digit){of, d, i, 2, dims[d].sa * power(i), dims[d].sc * power(i),
                                 row * power(i), 1});
        if (odd > 1)
            add_digit(l, (digit){of, d, levels, odd, dims[d].sa * power(levels),
                                 dims[d].sc * power(levels), row * power(levels), 1});
        row *= dims[d].n;
    }
}

/* A digit and those below it on its axis are in the tile. */
static void use(layout *l, int i) {
    const int axis = l->digits[i].axis;
    for (; i >= 0 && l->digits[i].of == ON_M && l->digits[i].axis == axis; i--)
        l->digits[i].used = 1;
}

/* Which digits are the lanes of a vector in memory; 0 if whole vectors are not contiguous. */
static int find_lanes(layout *l, group rows, int *lanes) {
    for (int i = 0; i < l->depth; i++) {
        const int64_t stride = l->size << i;
        int at = 0;
        for (; at < l->count; at++) {
            const digit *d = &l->digits[at];
            if (d->extent == 2 && (d->of == ON_M || d->of == rows) &&
                (rows == ON_K ? d->sa : d->sc) == stride)
                break;
        }
        if (at == l->count) return 0;
        lanes[i] = at;
    }
    for (int i = 0; i < l->depth; i++)
        if (l->digits[lanes[i]].of == ON_M) use(l, lanes[i]);
    return 1;
}

static int holds(const layout *l, const int *lanes, int digit) {
    for (int i = 0; i < l->depth; i++)
        if (lanes[i] == digit) return 1;
    return 0;
}

/* The m digit nearest in memory that could join the tile, or NONE. */
static int next_digit(const layout *l, int by_c) {
    int best = NONE;
    for (int i = 0; i < l->count; i++) {
        const digit *d = &l->digits[i];
        if (d->of != ON_M || d->used || (d->level && !l->digits[i - 1].used)) continue;
        if (best == NONE || distance(by_c ? d->sc : d->sa) <
                                distance(by_c ? l->digits[best].sc : l->digits[best].sa))
            best = i;
    }
    return best;
}

/* An m digit of the tile, or one that joins it, that is in no lanes; or NONE. */
static int spare_digit(layout *l) {
    for (int i = 0; i < l->count; i++)
        if (l->digits[i].of == ON_M && l->digits[i].used && !holds(l, l->settled, i) &&
            !holds(l, l->on_a, i) && !holds(l, l->on_c, i))
            return i;
    const int next = next_digit(l, 0);
    if (next != NONE) use(l, next);
    return next;
}

/* Which m digits are the lanes when vectors are multiplied: those of c, and where c has n, of a. */
static int settle_lanes(layout *l) {
    for (int i = 0; i < l->depth; i++) {
        const int c = l->on_c[i], a = l->on_a[i];
        l->settled[i] = NONE;
        if (c != NONE && l->digits[c].of == ON_M)
            l->settled[i] = c;
        else if (a != NONE && l->digits[a].of == ON_M && !holds(l, l->on_c, a))
            l->settled[i] = a;
    }
    for (int i = 0; i < l->depth; i++)
        if (l->settled[i] == NONE) {
            l->settled[i] = spare_digit(l);
            if (l->settled[i] == NONE) return 0;
        }
    return 1;
}

/* The lanes when those that settle have come for those that cannot stay, at their own place if it is free. */
static void replace_lanes(const layout *l, const int *before, int *lanes) {
    for (int i = 0; i < l->depth; i++) {
        const int arrives = !holds(l, before, l->settled[i]);
        lanes[i] = holds(l, l->settled, before[i]) ? before[i] : arrives ? l->settled[i] : NONE;
    }
    for (int i = 0, next = 0; i < l->depth; i++) {
        if (lanes[i] != NONE) continue;
        while (holds(l, lanes, l->settled[next])) next++;
        lanes[i] = l->settled[next];
    }
}

/* Where each lane comes from when lanes that are `before` are put in the order in which they settle. */
static void fill_order(tn_shuffle *x, const layout *l, const int *before) {
    memset(x->order, 0, sizeof x->order);
    x->permuted = 0;
    for (int i = 0; i < l->depth; i++)
        for (int from = 0; from < l->depth; from++) {
            if (before[from] != l->settled[i]) continue;
            x->permuted |= from != i;
            for (int lane = 0; lane < 1 << l->depth; lane++)
                x->order[lane] |= (uint8_t)((lane >> i & 1) << from);
        }
}

/* The places of all digits in the buffers; returns the points of a tile. */
static int64_t place_digits(layout *l) {
    int64_t points = power(l->depth);
    for (int i = 0; i < l->depth; i++) l->place[l->settled[i]] = l->size << i;
    for (int i = 0; i < l->count; i++) {
        const digit *d = &l->digits[i];
        if (d->of != ON_M || !d->used || holds(l, l->settled, i)) continue;
        l->place[i] = l->size * points;
        points *= 2;
    }
    for (int i = 0; i < l->count; i++)
        if (l->digits[i].of != ON_M) l->place[i] = l->digits[i].row * points * l->size;
    return points;
}

int64_t tn_expand(tn_move *to, const tn_move *strides, const int64_t *extents, int n, int by_to) {
    uint8_t order[MOST_DIGITS];
    for (int i = 0; i < n; i++) {
        int j = i;
        for (; j > 0; j--) {
            const tn_move *x = &strides[order[j - 1]], *y = &strides[i];
            if (distance(by_to ? x->to : x->from) <= distance(by_to ? y->to : y->from)) break;
            order[j] = order[j - 1];
        }
        order[j] = (uint8_t)i;
    }
    int64_t count = 1;
    to[0] = (tn_move){0, 0};
    for (int i = 0; i < n; i++) {
        const tn_move by = strides[order[i]];
        for (int64_t e = 1; e < extents[order[i]]; e++)
            for (int64_t p = 0; p < count; p++)
                to[e * count + p] = (tn_move){to[p].from + e * by.from, to[p].to + e * by.to};
        count *= extents[order[i]];
    }
    return count;
}

/* The moves that turn the lanes `before` into `after`, with the places of all digits then; none if they
 * are the same and vectors need not move. */
static void fill_shuffle(tn_shuffle *x, const layout *l, group rows, const int *before,
                          const int *after, const int64_t *from, const int64_t *to, int by_to, int moves) {
    tn_move strides[MOST_DIGITS];
    int64_t extents[MOST_DIGITS];
    int n = 0;
    x->lanes = x->permuted = 0;
    x->count = 0;
    x->vectors[0] = (tn_move){0, 0};
    for (int i = 0, size = 1; i < l->depth; i++) {
        if (before[i] == after[i]) continue;
        x->lanes |= 1 << i;
        for (int v = 0; v < size; v++)
            x->vectors[size + v] = (tn_move){x->vectors[v].from + from[after[i]],
                                             x->vectors[v].to + to[before[i]]};
        size *= 2;
    }
    if (!x->lanes && !moves) return;
    for (int i = 0; i < l->count; i++) {
        const digit *d = &l->digits[i];
        if ((d->of != ON_M && d->of != rows) || !d->used || holds(l, before, i) ||
            holds(l, after, i))
            continue;
        strides[n] = (tn_move){from[i], to[i]};
        extents[n++] = d->extent;
    }
    x->count = tn_expand(x->groups, strides, extents, n, by_to);
}

static void row_offsets(const tn_dim *dims, int n_dims, int64_t *on_b, int64_t *other, group of) {
    int64_t count = 1;
    on_b[0] = other[0] = 0;
    for (int d = n_dims - 1; d >= 0; d--) {
        const int64_t s = of == ON_K ? dims[d].sa : dims[d].sc;
        for (int64_t e = 1; e < dims[d].n; e++)
            for (int64_t p = 0; p < count; p++) {
                on_b[e * count + p] = on_b[p] + e * dims[d].sb;
                other[e * count + p] = other[p] + e * s;
            }
        count *= dims[d].n;
    }
}

/* Whether more lines that rows begin in meet in one set of the first cache than `ways`. */
static int are_crowded(const int64_t *rows, int64_t n, int ways) {
    enum { SETS = 64 };
    int64_t last[SETS];
    uint8_t lines[SETS] = {0};
    for (int64_t i = 0; i < n; i++) {
        const int64_t line = rows[i] / 64;
        const int set = (int)(line & (SETS - 1));
        if (lines[set] && last[set] == line) continue;
        last[set] = line;
        if (++lines[set] > ways) return 1;
    }
    return 0;
}

/* Adds digits to the tile while its buffers stay in the cache. */
static void grow_tile(layout *l, const tn_tiling *t, int64_t rows, int limited, int far) {
    const int64_t vector = l->size << l->depth, room = TN_TILE_VECTORS * vector;
    const int64_t largest = far ? FAR_BUFFER : NEAR_BUFFER, wanted = larger(BUFFER, rows * ROW);
    const int64_t buffer = smaller(room, smaller(largest, wanted));
    int64_t most = (tn_reads_in_place(t) && !limited ? READ : buffer) / (rows * vector);
    if (most < PAIR) most = PAIR;
    int64_t columns = 1, points = power(l->depth);
    for (int i = 0; i < l->count; i++)
        if (l->digits[i].of == ON_M && l->digits[i].used && !holds(l, l->settled, i))
            columns *= 2, points *= 2;
    for (int by_c = 1; 2 * columns <= most; by_c = !by_c, columns *= 2, points *= 2) {
        const int next = next_digit(l, by_c);
        if (next == NONE || (limited && 2 * points > TN_TILE_POINTS)) return;
        use(l, next);
    }
}

/* How many bytes of c a tile writes in one piece. */
static int64_t find_run(const layout *l) {
    int64_t run = l->size;
    for (int i = 0; i < l->count; i++) {
        const digit *d = &l->digits[i];
        if (d->sc != run || !(d->of == ON_N || (d->of == ON_M && d->used))) continue;
        run *= d->extent;
        i = -1; /* what follows may stand before */
    }
    return run;
}

/* What is not in the tile stays for the loop over tiles. */
static void cut_outer(tn_tiling *t, const layout *l, const tn_contraction *x, int rest_axis) {
    t->n_outer = 0;
    t->tiles = 1;
    t->rest_axis = NONE;
    t->rest.count = 0;
    for (int d = 0; d < x->n_batch + x->n_m; d++) {
        tn_dim dim = x->dims[d];
        int levels = 0;
        for (int i = 0; d >= x->n_batch && i < l->count; i++)
            levels += l->digits[i].of == ON_M && l->digits[i].axis == d - x->n_batch &&
                      l->digits[i].used;
        const int64_t rest = dim.n - (dim.n >> levels << levels);
        dim = (tn_dim){(dim.n >> levels) + (rest > 0), dim.sa * power(levels), dim.sb,
                       dim.sc * power(levels)};
        if (rest && d - x->n_batch == rest_axis) {
            t->rest_axis = t->n_outer;
            t->rest.count = rest;
        } else if (dim.n == 1)
            continue;
        t->outer[t->n_outer++] = dim;
        t->tiles *= dim.n;
    }
}

/* The points of a tile one by one; of `axis` the given number of points. */
static void list_points(tn_tile_points *to, const layout *l, const tn_dim *dims_m, int axis,
                        int64_t extent) {
    tn_move strides[MOST_DIGITS];
    int64_t extents[MOST_DIGITS];
    int n = 0;
    for (int i = 0; i < l->count; i++) {
        const digit *d = &l->digits[i];
        if (d->of != ON_M || !d->used || d->axis == axis) continue;
        strides[n] = (tn_move){d->sa, d->sc};
        extents[n++] = 2;
    }
    if (axis != NONE) {
        strides[n] = (tn_move){dims_m[axis].sa, dims_m[axis].sc};
        extents[n++] = extent;
    }
    to->count = tn_expand(to->at, strides, extents, n, 1);
}

/* As list_points, in the order of the buffers. */
static void list_places(tn_tile_points *to, const layout *l) {
    to->count = 1;
    for (int i = 0; i < l->count; i++)
        if (l->digits[i].of == ON_M && l->digits[i].used) to->count *= 2;
    to->at[0] = (tn_move){0, 0};
    for (int64_t p = 1; p < to->count; p++) {
        const int64_t low = p & -p;
        int i = 0;
        while (l->digits[i].of != ON_M || !l->digits[i].used || l->place[i] != low * l->size) i++;
        const tn_move *other = &to->at[p - low];
        to->at[p] = (tn_move){other->from + l->digits[i].sa, other->to + l->digits[i].sc};
    }
}

static void fill_columns(tn_tiling *t, const layout *l) {
    const int a_direct = !t->a_elementwise && !t->load.count;
    const int c_direct = !t->c_elementwise && !t->store.count;
    tn_move strides[MOST_DIGITS] = {{0, 0}}, places[MOST_DIGITS] = {{0, 0}};
    int64_t extents[MOST_DIGITS] = {0};
    int n = 0;
    for (int i = 0; i < l->count; i++) {
        const digit *d = &l->digits[i];
        if (d->of != ON_M || !d->used || holds(l, l->settled, i)) continue;
        strides[n] = (tn_move){a_direct ? d->sa : l->place[i], c_direct ? d->sc : l->place[i]};
        places[n] = (tn_move){l->place[i], l->place[i]};
        extents[n++] = 2;
    }
    t->columns = tn_expand(t->column, strides, extents, n, c_direct);
    tn_expand(t->buffer_column, places, extents, n, 0);
}

/* The digits of all axes and the lanes; returns 0 if vectors cannot be filled. */
static int find_layout(layout *l, tn_tiling *t, const tn_contraction *x, int *rest_axis) {
    const tn_dim *m = x->dims + x->n_batch, *n = m + x->n_m, *k = n + x->n_n;
    l->count = 0;
    l->size = tn_itemsize(x->dtype);
    l->depth = log2_floor(tn_get_kernels(x->dtype)->lanes);
    *rest_axis = split_m(l, m, x->n_m);
    split_rows(l, ON_N, n, x->n_n);
    split_rows(l, ON_K, k, x->n_k);
    t->a_elementwise = !find_lanes(l, ON_K, l->on_a);
    t->c_elementwise = !find_lanes(l, ON_N, l->on_c);
    for (int i = 0; i < l->depth; i++) {
        if (t->a_elementwise) l->on_a[i] = NONE;
        if (t->c_elementwise) l->on_c[i] = NONE;
    }
    return settle_lanes(l);
}

int tn_cut_tiles(const tn_contraction *x, tn_tiling *t) {
    layout l;
    int rest_axis;
    const tn_dim *m = x->dims + x->n_batch, *n = m + x->n_m, *k = n + x->n_n;
    const int64_t rows = x->n > x->k ? x->n : x->k;
    if (rows > TN_TILE_ROWS || x->n * x->k > TN_TILE_ENTRIES) return 0;
    if (!find_layout(&l, t, x, &rest_axis)) return 0;
    int before[TN_LANE_DIGITS], replaced[TN_LANE_DIGITS], after[TN_LANE_DIGITS];
    t->lanes = 1 << l.depth;
    t->load.count = t->store.count = 0;
    for (int i = 0; i < l.depth; i++) {
        before[i] = t->a_elementwise ? l.settled[i] : l.on_a[i];
        after[i] = t->c_elementwise ? l.settled[i] : l.on_c[i];
        t->load.count |= before[i] != l.settled[i];
        t->store.count |= l.settled[i] != after[i];
    }
    row_offsets(k, x->n_k, t->b_steps, t->a_rows, ON_K);
    row_offsets(n, x->n_n, t->b_columns, t->c_rows, ON_N);
    const int crowded = !t->a_elementwise && are_crowded(t->a_rows, x->k, WAYS);
    t->scattered = are_crowded(t->c_rows, x->n, STREAMS_AT_ONCE);
    t->load.count |= crowded;
    const int limited = t->a_elementwise || t->c_elementwise || rest_axis != NONE;
    grow_tile(&l, t, rows, limited, x->batch * x->m * x->k * l.size >= FAR);
    const int64_t points = place_digits(&l);
    const int buffered = limited || t->load.count || t->store.count;
    if ((points >> l.depth) * (buffered ? rows : 1) > TN_TILE_VECTORS) return 0;
    if (limited && points > TN_TILE_POINTS) return 0;
    t->row_bytes = points * l.size;
    t->c_run = find_run(&l);
    int64_t on_a[MOST_DIGITS], on_c[MOST_DIGITS];
    for (int i = 0; i < l.count; i++) on_a[i] = l.digits[i].sa, on_c[i] = l.digits[i].sc;
    replace_lanes(&l, before, replaced);
    fill_shuffle(&t->load, &l, ON_K, before, replaced, on_a, l.place, 0, t->load.count != 0);
    if (t->load.count) fill_order(&t->load, &l, replaced);
    fill_shuffle(&t->store, &l, ON_N, l.settled, after, l.place, on_c, 1, 0);
    for (int64_t i = 0; i < rows; i++) t->buffer_rows[i] = i * t->row_bytes;
    fill_columns(t, &l);
    cut_outer(t, &l, x, rest_axis);
    if (t->a_elementwise || t->c_elementwise) list_places(&t->whole, &l);
    if (t->rest_axis != NONE) list_points(&t->rest, &l, m, rest_axis, t->rest.count);
    return 1;
}

const tn_tiling *tn_make_tiling(const tn_contraction *x) {
    tn_tiling *tiling = x->road == TN_ROAD_SKINNY ? malloc(sizeof *tiling) : NULL;
    if (tiling && tn_cut_tiles(x, tiling)) return tiling;
    free(tiling);
    return NULL;
}
