/* From the axes of a contraction to the road that runs it: order, fuse, choose. */
#include "../tn.h"
#include "boxes.h"
#include "tiling.h"
#include "walk.h"

#include <string.h>

enum { PACKING_PAYS = 4096 }; /* macs below which packing costs more than it saves */
/* tables up to this size; beyond so many macs vectors win over tables */
enum { TABLE_POINTS = 128, TABLE_MACS = 256 };

enum { SUMMED = -1 };

static int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride; }

/* How far outside an axis belongs: by its stride on one operand; summed axes, on none, by the operand
 * on which they are nearer. */
static int64_t outerness(const tn_dim *d, int operand) {
    if (operand != SUMMED) return distance(operand == ON_A ? d->sa : d->sc);
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

static int64_t group_size(const tn_dim *d, int n) {
    int64_t size = 1;
    for (int i = 0; i < n; i++) size *= d[i].n;
    return size;
}

/* Brings the groups, given as (dims, count) in order batch, m, n, k, back into one array. */
static void pack_groups(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                        const int count[4]) {
    for (int g = 0; g < 4; g++)
        for (int i = 0; i < count[g]; i++) *dims++ = group[g][i];
    x->n_batch = (uint8_t)count[0];
    x->n_m = (uint8_t)count[1];
    x->n_n = (uint8_t)count[2];
    x->n_k = (uint8_t)count[3];
    x->batch = group_size(group[0], count[0]);
    x->m = group_size(group[1], count[1]);
    x->n = group_size(group[2], count[2]);
    x->k = group_size(group[3], count[3]);
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

/* Takes out of group the axes along which runs of `bytes` are contiguous on the operand, innermost
 * first, until a long run is covered; puts them into run, outermost first.  Returns how many. */
static int take_run(tn_dim *group, int *count, tn_operand operand, int64_t bytes, tn_dim *run) {
    enum { LONG_RUN = 256 };
    tn_dim found[TN_MAX_DIMS];
    int n = 0;
    while (bytes < LONG_RUN) {
        int d = 0;
        while (d < *count && (operand == ON_A ? group[d].sa : group[d].sc) != bytes) d++;
        if (d == *count) break;
        bytes *= group[d].n;
        found[n++] = group[d];
        memmove(&group[d], &group[d + 1], (size_t)(--*count - d) * sizeof *group);
    }
    for (int i = 0; i < n; i++) run[i] = found[n - 1 - i];
    return n;
}

/* A copy moves bytes: elements that stay together move as one wider element, whatever their type. */
static int64_t widen_elements(tn_contraction *x, int64_t run) {
    static const int wider[] = {TN_C128, TN_F64, TN_F32};
    for (int i = 0; i < 3 && !x->accumulate; i++)
        if (run % tn_itemsize(wider[i]) == 0) {
            x->dtype = (uint8_t)wider[i];
            break;
        }
    return tn_itemsize(x->dtype);
}

/* A pure permutation: elements, or runs of them (k) that stay together, whose neighbours on the
 * operand (m) are others than those on the result (n). */
static int choose_transpose(tn_contraction *x, tn_dim *dims, const tn_dim *group, int count) {
    const int dtype = x->dtype;
    int64_t run = tn_itemsize(dtype);
    tn_dim parts[4][TN_MAX_DIMS];
    memcpy(parts[0], group, (size_t)count * sizeof *group);
    if (count && group[count - 1].sa == run && group[count - 1].sc == run)
        run *= group[--count].n;
    const int64_t itemsize = widen_elements(x, run);
    parts[3][0] = (tn_dim){run / itemsize, itemsize, 0, itemsize};
    const int n = take_run(parts[0], &count, ON_C, run, parts[2]);
    const int m = take_run(parts[0], &count, ON_A, run, parts[1]);
    const int together = run > itemsize;
    if (group_size(parts[2], n) < (together ? 2 : 4)) {
        x->dtype = (uint8_t)dtype;
        return 0;
    }
    const int counts[4] = {count, m, n, together};
    x->road = TN_ROAD_TRANSPOSE;
    pack_groups(x, dims, parts, counts);
    return 1;
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

/* Few summed points and long rows: a product bound by writing the result, which packing would slow. */
static int streams(const tn_contraction *x, tn_dim group[4][TN_MAX_DIMS], const int count[4],
                   int64_t k) {
    enum { FEW = 4, LONG_ROW = 64 };
    const int64_t itemsize = tn_itemsize(x->dtype);
    const tn_dim *m = last(group[1], count[1]), *n = last(group[2], count[2]);
    return k <= FEW &&
           ((n && n->n >= LONG_ROW && n->sb == itemsize && n->sc == itemsize) ||
            (m && m->n >= LONG_ROW && m->sa == itemsize && m->sc == itemsize));
}

/* A huge operand meets a tiny one.  With more entries than a few the arithmetic counts, and the
 * microkernel of packed products is as good once elements have to change places. */
static int choose_skinny(tn_contraction *x, tn_dim *dims, tn_dim group[4][TN_MAX_DIMS],
                         int count[4], int *swapped) {
    enum { FEW_IF_MOVED = 64, MANY_ROWS = 256, CACHED = 128 << 10 };
    const int64_t m = group_size(group[1], count[1]), n = group_size(group[2], count[2]),
                  k = group_size(group[3], count[3]);
    const int64_t narrow = m < n ? m : n, wide = m < n ? n : m;
    if (!tn_get_kernels(x->dtype)->skinny || wide < MANY_ROWS || narrow * k > TN_TILE_ENTRIES ||
        narrow * k < 2)
        return 0;
    if (wide * (narrow + k) * tn_itemsize(x->dtype) < CACHED && streams(x, group, count, k)) return 0;
    tn_tiling tiling;
    tn_contraction skinny = *x;
    *swapped = n > m;
    if (*swapped) exchange(group, count);
    pack_groups(&skinny, dims, group, count);
    skinny.dims = dims;
    if (tn_cut_tiles(&skinny, &tiling) &&
        (narrow * k <= FEW_IF_MOVED || skinny.n_k > 1 || tn_reads_in_place(&tiling))) {
        skinny.dims = x->dims;
        skinny.road = TN_ROAD_SKINNY;
        *x = skinny;
        return 1;
    }
    if (*swapped) exchange(group, count);
    return 0;
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
        if (copy && choose_transpose(x, dims, group[1], count[1])) return 0;
        return choose_nest(x, dims, group, count);
    }
    const int64_t m = group_size(group[1], count[1]), n = group_size(group[2], count[2]),
                  k = group_size(group[3], count[3]);
    const double macs = (double)m * (double)n * (double)k;
    const int64_t narrow = m < n ? m : n, wide = m < n ? n : m;
    int swapped;
    if (choose_skinny(x, dims, group, count, &swapped)) return swapped;
    if (macs < PACKING_PAYS || narrow < 2 || wide < 4 || k < 2 || streams(x, group, count, k))
        return choose_nest(x, dims, group, count);
    swapped = prefers_exchange(x, group, count);
    if (swapped) exchange(group, count);
    order_group(group[1], count[1], ON_A); /* rows of c may come in the order of a */
    for (int i = 0; i < count[3]; i++)
        if (group[3][i].sa == tn_itemsize(x->dtype)) {
            order_group(group[3], count[3], ON_A); /* b copes with any order of k */
            break;
        }
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
