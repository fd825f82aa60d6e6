/* From the axes of a contraction to the road that runs it: order, fuse, choose. */
#include "../tn.h"
#include "groups.h"
#include "lane_plan.h"
#include "tiling.h"
#include "walk.h"

#include <string.h>

enum { PACKING_PAYS = 4096 }; /* macs below which packing costs more than it saves */
enum { LARGE = 16 << 20 }; /* bytes of a result that is written past the caches */
/* tables up to this size; beyond so many macs vectors win over tables */
enum { TABLE_POINTS = 128, TABLE_MACS = 256 };

enum { SUMMED = -1 };

static int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride; }

/* How far outside an axis belongs: by its stride on one operand; summed axes, on none, by the operand
 * on which they are nearer. */
static int64_t outerness(const tn_dim *d, int operand) {
    if (operand != SUMMED) return distance(operand == ON_A ? d->sa : operand == ON_B ? d->sb : d->sc);
    int64_t a = distance(d->sa), b = distance(d->sb);
    return a < b || b == 0 ? a : b;
}

static void order_group(tn_dim *d, int n, int operand) {
    for (int i = 1; i < n; i++) { /* insertion sort: stable, and groups are short */
        tn_dim x = d[i];
        int j = i;
        for (; j > 0 && outerness(&d[j - 1], operand) < outerness(&x, operand); j--) d[j] = d[j - 1];
        d[j] = x;
    }
}

/* Rows that are neighbours on a are packed together, in the order of a.  Other rows stay in the order of
 * c, so that those of a tile lie near each other where they are written. */
static void order_rows(tn_dim *d, int n, int64_t itemsize) {
    for (int i = 0; i < n; i++)
        if (d[i].sa == itemsize) {
            order_group(d, n, ON_A);
            return;
        }
}

/* The same of columns and b, unless they are neighbours on c, which is written by vectors then; also if these
 * do not make squares with those on b, and there is much more to pack than to write. */
static void order_columns(tn_dim *d, int n, int64_t itemsize, int64_t m, int64_t k) {
    enum { SQUARE = 8, MUCH = 4 };
    for (int i = 0; i < n - 1; i++)
        if (d[i].sb == itemsize && (d[n - 1].sc != itemsize || (d[i].n < SQUARE && k >= MUCH * m))) {
            order_group(d, n, ON_B);
            return;
        }
}

/* Brings axes to directly in front of number `first`: those that follow a run of bytes on the operand, as far
 * as they make squares; returns the new first. */
static int bring_near(tn_dim *d, int first, tn_operand operand, int64_t run, int64_t square) {
    while (run < square) {
        int i = first - 1;
        while (i >= 0 && (operand == ON_A ? d[i].sa : d[i].sb) != run) i--;
        if (i < 0) break;
        const tn_dim near = d[i];
        for (; i < first - 1; i++) d[i] = d[i + 1];
        d[--first] = near;
        run *= near.n;
    }
    return first;
}

/* Summed axes in the order of the larger operand; innermost are those that are nearest on a, and directly
 * outside of them those on b, so that both operands are packed in squares, unless a is tiny. */
static void order_summed(tn_dim *d, int n, int64_t itemsize, int64_t rows, int64_t columns) {
    enum { TINY = 8, SQUARE = 8 };
    order_group(d, n, columns > rows ? ON_B : ON_A);
    if (columns > TINY * rows) return;
    const int first = bring_near(d, n, ON_A, itemsize, SQUARE * itemsize);
    int64_t run = itemsize; /* on b */
    for (int i = n - 1; i >= first; i--) {
        if (d[i].sb == run) run *= d[i].n;
        else if (run > itemsize) return;
    }
    bring_near(d, first, ON_B, run, SQUARE * itemsize);
}

/* Merges neighbours that are one axis on every operand; returns the new count. */
static int fuse_group(tn_dim *d, int n) {
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (kept) {
            tn_dim *o = &d[kept - 1];
            if (o->sa == d[i].n * d[i].sa && o->sb == d[i].n * d[i].sb &&
                o->sc == d[i].n * d[i].sc) {
                *o = (tn_dim){o->n * d[i].n, d[i].sa, d[i].sb, d[i].sc};
                continue;
            }
        }
        d[kept++] = d[i];
    }
    return kept;
}

static void exchange(tn_dim group[4][TN_MAX_DIMS], int count[4]) {
    for (int g = 0; g < 4; g++)
        for (int i = 0; i < count[g]; i++) {
            int64_t sa = group[g][i].sa;
            group[g][i].sa = group[g][i].sb;
            group[g][i].sb = sa;
        }
    tn_dim kept[TN_MAX_DIMS];
    size_t m_bytes = (size_t)count[1] * sizeof *kept, n_bytes = (size_t)count[2] * sizeof *kept;
    memcpy(kept, group[1], m_bytes);
    memcpy(group[1], group[2], n_bytes);
    memcpy(group[2], kept, m_bytes);
    int n_m = count[1];
    count[1] = count[2];
    count[2] = n_m;
}

/* Worth of running the innermost loop over this axis: long and contiguous is best. */
static double worth(const tn_dim *d, int64_t itemsize, int uses_a, int uses_b, int summed) {
    int contiguous = (!uses_a || d->sa == itemsize) && (!uses_b || d->sb == itemsize) &&
                     (summed || d->sc == itemsize);
    double length = d->n < 64 ? (double)d->n : 64.0;
    return contiguous ? (summed ? length / 2 : length) : (length < 8 ? length : 8.0) / 8;
}

static const tn_dim *last(tn_dim *group, int count) { return count ? &group[count - 1] : NULL; }

/* Nest roads: picks the innermost axis; dims become [outer ..., inner, k ...]. */
static int choose_nest(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                       int count[4]) {
    const int64_t itemsize = tn_itemsize(x->dtype);
    const int binary = !x->unary;
    const tn_dim *inner[4];
    double best = -1;
    int choice = -1, swapped = 0;
    static const int order[4] = {2, 1, 0, 3};
    for (int i = 0; i < 4; i++) {
        int g = order[i];
        inner[g] = last(group[g], count[g]);
        if (!inner[g]) continue;
        int uses_a = g != 2, uses_b = binary && g != 1;
        double w = worth(inner[g], itemsize, uses_a, uses_b, g == 3);
        if (w > best) best = w, choice = g;
    }
    if (choice == 1 && binary) {
        exchange(group, count);
        swapped = 1, choice = 2;
    }
    if (choice == 3 || choice < 0) {
        /* a scalar times a scalar: one summed axis of extent 1 keeps the nest uniform */
        if (choice < 0) group[3][count[3]++] = (tn_dim){1, 0, 0, 0};
        x->road = TN_ROAD_K;
        pack_groups(x, dims, group, count);
        return swapped;
    }
    /* b is reused from cache by all m points when m runs inside the other n axes */
    tn_dim outer[TN_MAX_DIMS], innermost = group[choice][--count[choice]];
    int n = 0;
    static const int outer_order[3] = {0, 2, 1};
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < count[outer_order[i]]; d++) outer[n++] = group[outer_order[i]][d];
    if (x->unary) order_group(outer, n, ON_C);
    outer[n++] = innermost;
    x->road = choice == 2 ? TN_ROAD_N : TN_ROAD_BATCH;
    /* as far as the nest is concerned every axis of c is a batch axis */
    int nest[4] = {n, 0, 0, count[3]};
    memcpy(group[0], outer, (size_t)n * sizeof *outer);
    pack_groups(x, dims, group, nest);
    return swapped;
}

/* n should hold the contiguous axis of c, unless that group is too narrow to fill vectors. */
static int prefers_exchange(tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4]) {
    const int64_t itemsize = tn_itemsize(x->dtype), nr = tn_get_kernels(x->dtype)->nr;
    const int64_t m = group_size(group[1], count[1]), n = group_size(group[2], count[2]);
    const tn_dim *m_last = last(group[1], count[1]), *n_last = last(group[2], count[2]);
    if (m_last && m_last->sc == itemsize) return m >= nr / 2 || m >= n;
    if (n_last && n_last->sc == itemsize) return n < nr / 2 && n < m;
    return m > n;
}

/* Elements of the rows of c that are rows of both operands, too, or 0. */
static int64_t batch_row_of(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4]) {
    const int64_t itemsize = tn_itemsize(x->dtype);
    const tn_dim *batch = last(group[0], count[0]);
    return batch && batch->sa == itemsize && batch->sb == itemsize && batch->sc == itemsize ? batch->n : 0;
}

/* The same of those that are rows of one operand, or of both. */
static int64_t row_of(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4]) {
    const int64_t itemsize = tn_itemsize(x->dtype), row = batch_row_of(x, group, count);
    const tn_dim *m = last(group[1], count[1]), *n = last(group[2], count[2]);
    if (row) return row;
    if (n && n->sb == itemsize && n->sc == itemsize) return n->n;
    return m && m->sa == itemsize && m->sc == itemsize ? m->n : 0;
}

/* Few summed points and long rows: a product bound by writing the result, which packing would slow. */
static int streams(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4],
                   int64_t k) {
    enum { FEW = 4, LONG_ROW = 64 };
    return k <= FEW && row_of(x, group, count) >= LONG_ROW;
}

/* Whether the result is best written row by row: single products, and large results of a few summed points,
 * which pass the caches (nest.h). */
static int goes_by_rows(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4],
                        int64_t k) {
    enum { FEW = 4 };
    const int64_t itemsize = tn_itemsize(x->dtype), row = row_of(x, group, count);
    const int64_t points = group_size(group[0], count[0]) * group_size(group[1], count[1]) *
                           group_size(group[2], count[2]);
    if (k == 1 && batch_row_of(x, group, count) >= FEW) return points >= TABLE_MACS;
    if (k == 1) return points >= TABLE_MACS && row >= tn_get_kernels(x->dtype)->lanes;
    return streams(x, group, count, k) && points * itemsize >= LARGE;
}

/* Whether tiles over a and b where they lie are the way: one axis in each group, n contiguous on c, and
 * a product too small or too narrow for packing to pay, or with so few rows that packing b would cost
 * more than reading it in short strips. */
static int is_direct(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4]) {
    enum { TALL = 16, NEAR_TALL = 768 << 10, NEAR = 384 << 10 }; /* tall tiles read b less often */
    enum { FEW = 16, SHORT = 16 }; /* sums and vectors for which a nest has less to prepare */
    enum { NARROW = 16, LOW = 12 }; /* columns, whatever the vectors; tiles of rows below a long b */
    enum { APART = 32 << 10 }; /* a multiple of which brings all rows of b to a few sets of every cache */
    enum { ROW = 768, ROWS = 128 }; /* bytes of a row of c, and rows, with which a tiny operand pays */
    const tn_kernels *kernels = tn_get_kernels(x->dtype);
    const int64_t itemsize = tn_itemsize(x->dtype);
    if (count[1] > 1 || count[2] != 1 || count[3] > 1) return 0;
    const tn_dim *n = group[2];
    const int64_t m = group_size(group[1], count[1]), k = group_size(group[3], count[3]);
    if (n->n < 2 || n->sc != itemsize || (n->sb != itemsize && k > TN_DIRECT_DEPTH)) return 0;
    const int short_rows = count[0] && k <= FEW && n->n >= kernels->lanes &&
                           n->n <= SHORT * kernels->lanes;
    if (m == 1) return n->sb == itemsize && !short_rows;
    if ((m + n->n) * k * itemsize <= (kernels->mr < TALL ? NEAR : NEAR_TALL)) return 1;
    if (n->n <= NARROW || n->n <= 3 * kernels->nr) return 1;
    const int64_t tiny = TN_DIRECT_DEPTH * kernels->nr;
    if (n->n <= m) return n->n * itemsize <= ROW && n->n * k <= tiny;
    const int apart = !count[3] || group[3]->sb % APART != 0;
    return n->sb == itemsize && (m <= (apart ? LOW : 4) * kernels->mr || (m <= ROWS && m * k <= tiny));
}

/* Whether vectors with no more elements than these in them are still worth it: a quarter is. */
static int is_short_run(const tn_contraction *x, int64_t n) {
    enum { PART = 4, FEWEST = 3 };
    return n >= FEWEST && n * PART > tn_get_kernels(x->dtype)->lanes;
}

/* Whether vectors should run along k: many rows of a and few columns of b, one axis each, and one run of k or
 * many. */
static int is_dots(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4]) {
    enum { FEW = 4, MANY = 64, LINE = 64 }; /* columns, rows, bytes */
    const tn_kernels *kernels = tn_get_kernels(x->dtype);
    const int64_t itemsize = tn_itemsize(x->dtype);
    if (!kernels->dots || count[1] != 1 || count[2] > 1 || count[3] < 1) return 0;
    const tn_dim *m = group[1], *k = last(group[3], count[3]);
    const int64_t columns = count[2] ? group[2]->n : 1;
    if (k->sa != itemsize || m->n < 2 || columns > FEW || columns * itemsize > 32) return 0;
    if (count[3] > 1 && (columns > 1 || m->n < MANY)) return 0;
    if (k->n * itemsize >= LINE) return 1;
    /* vectors of shorter rows reach into those behind them */
    return columns == 1 && is_short_run(x, k->n) && m->n >= MANY && m->sa >= k->n * itemsize;
}

/* The roads over operands where they lie; returns 0 if neither is the way. */
static int choose_unpacked(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                           int count[4], int *swapped) {
    const tn_dim *m = last(group[1], count[1]);
    const int c_along_m = m && m->sc == tn_itemsize(x->dtype);
    const int dots = is_dots(x, group, count);
    *swapped = 0;
    if (!dots) exchange(group, count), *swapped = 1;
    x->road = TN_ROAD_DOTS;
    if (!dots && !is_dots(x, group, count)) {
        x->road = TN_ROAD_DIRECT;
        if (!c_along_m) exchange(group, count), *swapped = 0;
        if (!is_direct(x, group, count)) {
            if (*swapped) exchange(group, count);
            return 0;
        }
    }
    for (int g = 1; g < 4; g++)
        if (!count[g]) group[g][count[g]++] = (tn_dim){1, 0, 0, 0};
    pack_groups(x, dims, group, count);
    return 1;
}

/* Few rows and columns and a long k, for which one axis in each group does not do. */
static int choose_inner(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                        const int count[4]) {
    enum { LONG = 256, FEW_IF_COPIED = 64 }; /* summed points; sums, unless both have a run along k */
    const tn_kernels *kernels = tn_get_kernels(x->dtype);
    const int64_t m = group_size(group[1], count[1]), n = group_size(group[2], count[2]),
                  k = group_size(group[3], count[3]), itemsize = tn_itemsize(x->dtype);
    const tn_dim *run = last(group[3], count[3]);
    if (!kernels->inner || m < 2 || n < 2 || m > TN_INNER_SIDE || n > TN_INNER_SIDE ||
        m * n > TN_INNER_SUMS || k < LONG || (count[3] == 1 && is_dots(x, group, count)))
        return 0;
    const int copied = run->sa != itemsize || run->sb != itemsize;
    /* direct tiles read in place what would be copied here */
    if (copied && count[1] == 1 && count[2] == 1 && count[3] == 1 && row_of(x, group, count) > 1) return 0;
    if ((copied || run->n < kernels->lanes) && m * n > FEW_IF_COPIED) return 0;
    x->road = TN_ROAD_INNER;
    pack_groups(x, dims, group, count);
    return 1;
}

/* Whether the wide axis is the only one of its group, and vectors run along it on its operand and on c: then
 * the tiles of direct products need no tables. */
static int is_one_run(const tn_contraction *x, const tn_dim *wide, int on_b, const int count[4]) {
    const int64_t itemsize = tn_itemsize(x->dtype);
    return !count[0] && count[1] == 1 && count[2] == 1 && count[3] == 1 && wide->sc == itemsize &&
           (on_b ? wide->sb : wide->sa) == itemsize;
}

/* Whether a vector meets a matrix along whose rows or columns vectors run. */
static int is_matrix_times_vector(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4]) {
    const int64_t itemsize = tn_itemsize(x->dtype);
    const int rows = count[1] > 0;
    if (count[1] + count[2] != 1 || count[3] < 1) return 0;
    const tn_dim *m = group[rows ? 1 : 2], *k = last(group[3], count[3]);
    const int64_t m_stride = rows ? m->sa : m->sb, k_stride = rows ? k->sa : k->sb;
    return (k_stride == itemsize && is_short_run(x, k->n)) ||
           (count[3] == 1 && m_stride == itemsize && m->sc == itemsize);
}

/* A huge operand meets a tiny one.  With more entries than a few the arithmetic counts, and the
 * microkernel of packed products is as good once elements have to change places.  With in_vectors, no
 * element may have to move alone. */
static int choose_skinny(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                         int count[4], int in_vectors, int *swapped) {
    enum { FEW_IF_MOVED = 64, MANY_ROWS = 256, CACHED = 16 << 20, MANY = 48, PAIR = 2 }; /* summed points */
    const int64_t m = group_size(group[1], count[1]), n = group_size(group[2], count[2]),
                  k = group_size(group[3], count[3]);
    const int64_t narrow = m < n ? m : n, wide = m < n ? n : m;
    if (!tn_get_kernels(x->dtype)->skinny || wide < MANY_ROWS || narrow * k > TN_TILE_ENTRIES ||
        narrow * k < 2)
        return 0;
    if (k == PAIR && row_of(x, group, count) >= tn_get_kernels(x->dtype)->lanes) return 0;
    if (narrow == 1 && is_matrix_times_vector(x, group, count)) return 0;
    const int longer = m < n ? 2 : 1, mr = tn_get_kernels(x->dtype)->mr;
    /* two direct tiles that share strips of one line are no faster than skinny ones */
    const int many = k > MANY && (narrow <= mr || narrow > 2 * mr);
    if (narrow * k > FEW_IF_MOVED && (many || k * wide * tn_itemsize(x->dtype) < CACHED) &&
        is_one_run(x, last(group[longer], count[longer]), m < n, count))
        return 0;
    tn_tiling tiling;
    tn_contraction skinny = *x;
    *swapped = n > m;
    if (*swapped) exchange(group, count);
    pack_groups(&skinny, dims, group, count);
    skinny.dims = dims;
    if (tn_cut_tiles(&skinny, &tiling) &&
        (!in_vectors || (!tiling.a_elementwise && !tiling.c_elementwise)) &&
        (narrow * k <= FEW_IF_MOVED || skinny.n_k > 1 || tn_reads_in_place(&tiling))) {
        skinny.dims = x->dims;
        skinny.road = TN_ROAD_SKINNY;
        *x = skinny;
        return 1;
    }
    if (*swapped) exchange(group, count);
    return 0;
}

/* Cycles of a product of these sizes, one of a batch, on the roads over operands where they lie. */
static double cost_in_place(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4]) {
    const int64_t itemsize = tn_itemsize(x->dtype), lanes = tn_get_kernels(x->dtype)->lanes;
    const double parts = tn_real_count(x->dtype);
    double size[4], longest = 1, best;
    const tn_dim *inner[4];
    for (int g = 0; g < 4; g++) {
        size[g] = (double)group_size(group[g], count[g]);
        inner[g] = last(group[g], count[g]);
        if (inner[g] && (double)inner[g]->n > longest) longest = (double)inner[g]->n;
    }
    const double kept = size[1] * size[2], k = size[3];
    best = kept * (4 + 3 * k * parts + 20 / longest);
    for (int g = 0; g < 3; g++) { /* vectors along an axis of c */
        const tn_dim *d = inner[g];
        if (!d || d->sc != itemsize) continue;
        const int along = (g == 2 || d->sa == itemsize) && (g == 1 || d->sb == itemsize);
        if (!along && (!g || k > TN_DIRECT_DEPTH)) continue;
        const int64_t rest = d->n % lanes;
        const int odd = rest & (rest - 1) ? 1 : 0;
        const double n = (double)d->n, strips = (double)(d->n / lanes + (rest > 0) + odd);
        const double rows = g ? kept / n : kept;
        double cost = (10 + strips * (2 * k * parts + 1)) * (g ? rows : rows / n);
        if (along && d->n >= lanes && cost < best) best = cost;
        cost = 40 + (along ? 0 : k * n) + strips * (10 + rows * (k * parts / 2 + 1)) * (rest ? 1.4 : 1);
        if (g && cost < best) best = cost;
    }
    const tn_dim *d = inner[3];
    if (d && d->sa == itemsize && d->sb == itemsize) {
        const double vectors = (double)((d->n + lanes - 1) / lanes) * k / (double)d->n;
        const double cost = 20 + kept * (vectors * 1.5 * parts + 5);
        if (cost < best) best = cost;
    }
    return best;
}

/* Many products at once cost less where these are small, or have no unit stride in common.  Vectors then
 * run along the axis of c along which the fewest elements move. */
static int choose_lanes(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                        int count[4]) {
    enum { FEW = 16 };
    double size[4], best = cost_in_place(x, group, count);
    int from = -1, axis = 0;
    for (int g = 0; g < 4; g++) size[g] = (double)group_size(group[g], count[g]);
    if (size[0] * size[1] * size[2] * size[3] < TABLE_MACS) return 0;
    for (int g = 0; g < 3; g++)
        for (int d = 0; d < count[g]; d++) {
            const tn_dim *lane = &group[g][d];
            if (lane->n < FEW) continue;
            double each[3] = {size[1], size[2], size[3]};
            if (g) each[g - 1] /= (double)lane->n;
            double cost = tn_cost_in_lanes(x, lane, each);
            if (g) cost *= (double)lane->n;
            if (cost < best) best = cost, from = g, axis = d;
        }
    if (from < 0) return 0;
    const tn_dim lane = group[from][axis];
    for (int d = axis; d + 1 < count[from]; d++) group[from][d] = group[from][d + 1];
    count[from]--;
    group[0][count[0]++] = lane;
    x->road = TN_ROAD_LANES;
    pack_groups(x, dims, group, count);
    return 1;
}

int tn_choose_road(tn_contraction *x, tn_dim *dims) {
    tn_dim group[4][TN_MAX_DIMS];
    int count[4] = {x->n_batch, x->n_m, x->n_n, x->n_k};
    const tn_dim *from = x->dims;
    for (int g = 0; g < 4; g++) {
        memcpy(group[g], from, (size_t)count[g] * sizeof *from);
        from += count[g];
        order_group(group[g], count[g], g == 3 ? SUMMED : ON_C);
        count[g] = fuse_group(group[g], count[g]);
    }
    if (x->unary) {
        const int copy = !count[0] && !count[3] && group_size(group[1], count[1]) > TABLE_MACS;
        if (copy && tn_cut_copy(x, dims, group[1], count[1])) return 0;
        return choose_nest(x, dims, group, count);
    }
    const int64_t m = group_size(group[1], count[1]), n = group_size(group[2], count[2]),
                  k = group_size(group[3], count[3]), itemsize = tn_itemsize(x->dtype);
    const double macs = (double)m * (double)n * (double)k;
    const int64_t narrow = m < n ? m : n, wide = m < n ? n : m;
    int swapped;
    if (k == 1 && goes_by_rows(x, group, count, k)) return choose_nest(x, dims, group, count);
    if (choose_skinny(x, dims, group, count, 1, &swapped)) return swapped;
    if (goes_by_rows(x, group, count, k)) return choose_nest(x, dims, group, count);
    if (narrow == 1 && !count[0] && is_matrix_times_vector(x, group, count) &&
        choose_unpacked(x, dims, group, count, &swapped))
        return swapped;
    if (choose_lanes(x, dims, group, count)) return 0;
    if (choose_inner(x, dims, group, count)) return 0;
    if (choose_unpacked(x, dims, group, count, &swapped)) return swapped;
    if (choose_skinny(x, dims, group, count, 0, &swapped)) return swapped;
    if (streams(x, group, count, k) || macs < PACKING_PAYS || narrow < 2 || wide < 4 || k < 2)
        return choose_nest(x, dims, group, count);
    swapped = prefers_exchange(x, group, count);
    if (swapped) exchange(group, count);
    const int64_t rows = swapped ? n : m, columns = swapped ? m : n;
    order_rows(group[1], count[1], itemsize);
    order_columns(group[2], count[2], itemsize, rows, k);
    order_summed(group[3], count[3], itemsize, rows, columns);
    x->road = TN_ROAD_GETT;
    pack_groups(x, dims, group, count);
    return swapped;
}

/* The largest offset that any operand reaches. */
static int64_t reach(const tn_contraction *x) {
    const int n = x->n_batch + x->n_m + x->n_n + x->n_k;
    int64_t a = 0, b = 0, c = 0;
    for (int d = 0; d < n; d++) {
        a += x->dims[d].n * distance(x->dims[d].sa);
        b += x->dims[d].n * distance(x->dims[d].sb);
        c += x->dims[d].n * distance(x->dims[d].sc);
    }
    a = a > b ? a : b;
    return a > c ? a : c;
}

int64_t tn_table_size(const tn_contraction *x) {
    const int64_t points = x->batch * x->m * x->n;
    if (x->road == TN_ROAD_GETT || x->road == TN_ROAD_TRANSPOSE || x->road == TN_ROAD_SKINNY)
        return 0;
    if (points > TABLE_POINTS || x->k > TABLE_POINTS) return 0;
    if (points * x->k > TABLE_MACS || reach(x) > INT32_MAX) return 0;
    return 3 * points + 2 * x->k;
}

void tn_fill_table(const tn_contraction *x, int32_t *table) {
    const int outputs = x->n_batch + x->n_m + x->n_n;
    const int64_t points = x->batch * x->m * x->n;
    tn_walk w;
    walk_to(&w, x->dims, outputs, 0);
    for (int64_t t = 0; t < points; t++, walk_next(&w)) {
        *table++ = (int32_t)w.a;
        *table++ = (int32_t)w.b;
        *table++ = (int32_t)w.c;
    }
    walk_to(&w, x->dims + outputs, x->n_k, 0);
    for (int64_t p = 0; p < x->k; p++, walk_next(&w)) {
        *table++ = (int32_t)w.a;
        *table++ = (int32_t)w.b;
    }
}
