/* The axes of values: those of operands as they are, those of intermediates in an order that suits
 * the steps around them. */
#include "lowering.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int tn_grow(void **memory, int64_t *capacity, int64_t needed, size_t item) {
    if (needed <= *capacity) return 1;
    int64_t target = *capacity * 2 > needed ? *capacity * 2 : needed + 64;
    void *larger = realloc(*memory, (size_t)target * item);
    if (!larger) return 0;
    *memory = larger;
    *capacity = target;
    return 1;
}

int tn_push_axis(tn_axis_pool *pool, int32_t index, int64_t stride) {
    if (pool->count == pool->capacity) {
        int64_t capacity = pool->capacity;
        if (!tn_grow((void **)&pool->index, &capacity, pool->count + 1, sizeof *pool->index)) return 0;
        capacity = pool->capacity;
        if (!tn_grow((void **)&pool->stride, &capacity, pool->count + 1, sizeof *pool->stride))
            return 0;
        pool->capacity = capacity;
    }
    pool->index[pool->count] = index;
    pool->stride[pool->count++] = stride;
    return 1;
}

static int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride; }

/* Byte strides of a contiguous C-order array whose axis extents are those of the ids. */
void tn_contiguous_strides(const int64_t *sizes, const int64_t *ids, int64_t n, int64_t itemsize,
                           int64_t *strides) {
    for (int64_t d = n - 1; d >= 0; d--) {
        strides[d] = itemsize;
        itemsize *= sizes[ids[d]];
    }
}

/* The axes of an operand: repeated indices become their diagonal, sliced ones a base offset, axes of
 * extent 1 vanish; the rest is ordered from the largest stride to the smallest.  Without strides the
 * operand is contiguous. */
tn_status tn_add_input(tn_lowering *l, int32_t v, const int64_t *ids, int64_t n,
                       const int64_t *strides) {
    tn_value *value = &l->p->values[v];
    const int32_t *loop_of = l->loop_of;
    int64_t made[TN_MAX_DIMS];
    if (n > TN_MAX_DIMS) return TN_TOO_LARGE;
    if (!strides) {
        tn_contiguous_strides(l->net->sizes, ids, n, l->p->half ? 2 : tn_itemsize(l->p->dtype), made);
        strides = made;
    }
    *value = (tn_value){.first_axis = l->axes.count, .producer = -1, .elements = 1};
    for (int64_t d = 0; d < n; d++) {
        const int64_t i = ids[d];
        if (loop_of[i] >= 0) {
            value->sliced |= (uint64_t)1 << loop_of[i];
            tn_slice_stride s = {v, loop_of[i], strides[d]};
            l->p->slice_strides[l->p->n_slice_strides++] = s;
        }
        if (!l->on_a[i]) l->alive[i]++;
        if (l->sizes[i] == 1) {
            l->on_a[i] = 1;
            continue;
        }
        if (l->on_a[i]) {
            for (int64_t x = value->first_axis; x < l->axes.count; x++)
                if (l->axes.index[x] == i) l->axes.stride[x] += strides[d];
            continue;
        }
        l->on_a[i] = 1;
        if (l->sizes[i] && value->elements > ((int64_t)1 << TN_LOG2_LIMIT) / l->sizes[i]) return TN_TOO_LARGE;
        value->elements *= l->sizes[i];
        if (!tn_push_axis(&l->axes, (int32_t)i, strides[d])) return TN_NO_MEMORY;
        for (int64_t x = l->axes.count - 1; x > value->first_axis; x--) {
            if (distance(l->axes.stride[x - 1]) >= distance(l->axes.stride[x])) break;
            int32_t index = l->axes.index[x];
            int64_t stride = l->axes.stride[x];
            l->axes.index[x] = l->axes.index[x - 1], l->axes.stride[x] = l->axes.stride[x - 1];
            l->axes.index[x - 1] = index, l->axes.stride[x - 1] = stride;
        }
    }
    value->n_axes = (int32_t)(l->axes.count - value->first_axis);
    for (int64_t d = 0; d < n; d++) l->on_a[ids[d]] = 0;
    return TN_OK;
}

/* A new contiguous value with the given indices, outermost first, already pushed to the pool from
 * first_axis on; fills in the strides. */
tn_status tn_finish_value(tn_lowering *l, int32_t v, int64_t first_axis) {
    tn_value *value = &l->p->values[v];
    double log2_bytes = log2(tn_itemsize(l->p->dtype));
    int64_t stride = tn_itemsize(l->p->dtype);
    for (int64_t x = first_axis; x < l->axes.count; x++)
        log2_bytes += log2((double)l->sizes[l->axes.index[x]]);
    if (log2_bytes > TN_LOG2_LIMIT) return TN_TOO_LARGE;
    for (int64_t x = l->axes.count - 1; x >= first_axis; x--) {
        l->axes.stride[x] = stride;
        stride *= l->sizes[l->axes.index[x]];
    }
    value->first_axis = first_axis;
    value->n_axes = (int32_t)(l->axes.count - first_axis);
    value->elements = stride / tn_itemsize(l->p->dtype);
    return TN_OK;
}

/* A result as the program writes it: its axes with their real strides. */
tn_status tn_output_value(tn_lowering *l, int32_t v, int64_t first_axis, int32_t result) {
    tn_value *value = &l->p->values[v];
    l->p->results[result].value = v;
    value->first_axis = first_axis;
    value->n_axes = (int32_t)(l->axes.count - first_axis);
    value->place = PLACE_OUTPUT;
    value->elements = 1;
    for (int64_t x = first_axis; x < l->axes.count; x++) {
        value->elements *= l->sizes[l->axes.index[x]];
        l->axes.stride[x] = l->stride_c[l->axes.index[x]];
    }
    return TN_OK;
}

tn_status tn_new_value(tn_lowering *l, int32_t *v) {
    tn_program *p = l->p;
    if (!tn_grow((void **)&p->values, &l->values_capacity, p->n_values + 1, sizeof *p->values))
        return TN_NO_MEMORY;
    p->values[p->n_values] = (tn_value){0};
    *v = (int32_t)p->n_values++;
    return TN_OK;
}

/* Pushes the indices of v that are (not) on the other operand and survive the step. */
static int push_kept(tn_lowering *l, int32_t v, const uint8_t *on_other, int shared) {
    const tn_value value = l->p->values[v];
    for (int32_t d = 0; d < value.n_axes; d++) {
        int32_t i = l->axes.index[value.first_axis + d];
        if (on_other[i] == shared && !(shared && l->alive[i] == 2))
            if (!tn_push_axis(&l->axes, i, 0)) return 0;
    }
    return 1;
}

/* The axis of a value, of those outside of number d, that takes the place of one in the lanes: the nearest
 * of its extent, or of these the one that is summed last, if that is known; -1 if there is none. */
static int32_t find_lane(const tn_lowering *l, const int32_t *index, int32_t d, int64_t inside,
                         const uint8_t *on_other) {
    const int64_t lanes = tn_get_kernels(l->p->dtype)->lanes, *summed_at = NULL;
    if (l->before) summed_at = l->before->summed_at;
    int32_t best = -1;
    for (int32_t i = d - 1; i >= 0; i--) {
        inside *= l->sizes[index[i]];
        if (on_other[index[i]] || inside <= lanes || l->sizes[index[i]] != l->sizes[index[d]]) continue;
        if (best < 0 || summed_at[index[i]] > summed_at[index[best]]) best = i;
        if (!summed_at) break;
    }
    return best;
}

/* Pushes the axes of v that are not on the other operand.  Where the vectors of v have an axis in their
 * lanes that goes, another one of its extent takes its place, so that the other lanes stay as they
 * are: the kernels then exchange one lane, and need not shift them all. */
static int push_own(tn_lowering *l, int32_t v, const uint8_t *on_other) {
    const tn_value value = l->p->values[v];
    const int64_t first = l->axes.count, lanes = tn_get_kernels(l->p->dtype)->lanes;
    for (int32_t d = 0; d < value.n_axes; d++)
        if (!tn_push_axis(&l->axes, l->axes.index[value.first_axis + d], 0)) return 0;
    int32_t *index = l->axes.index + first;
    int64_t lane = 1;
    for (int32_t d = value.n_axes - 1; d >= 0 && lane < lanes; d--) {
        const int32_t gone = index[d];
        lane *= l->sizes[gone];
        const int32_t next = on_other[gone] ? find_lane(l, index, d, lane, on_other) : -1;
        if (next < 0) continue;
        index[d] = index[next];
        index[next] = gone;
    }
    l->axes.count = first;
    for (int32_t d = 0; d < value.n_axes; d++)
        if (!on_other[index[d]]) l->axes.index[l->axes.count++] = index[d];
    return 1;
}

/* The axes in the order of another value, which has the same ones: a cotangent in that of its value, so
 * that sums over both run along memory. */
static int push_like(tn_lowering *l, int32_t like) {
    const tn_value value = l->p->values[like];
    for (int32_t d = 0; d < value.n_axes; d++)
        if (!tn_push_axis(&l->axes, l->axes.index[value.first_axis + d], 0)) return 0;
    return 1;
}

/* Layout of an intermediate: [batch, axes of the smaller operand, axes of the larger]. The large
 * operand's axes stay together and innermost, so that both reading it and writing the result run
 * along memory; when nearly everything is batch, the batch axes are innermost instead. */
static int push_chosen(tn_lowering *l, int32_t a, int32_t b) {
    const tn_value *va = &l->p->values[a], *vb = &l->p->values[b];
    const int a_smaller = va->elements <= vb->elements;
    const int32_t small = a_smaller ? a : b, large = a_smaller ? b : a;
    const uint8_t *on_small = a_smaller ? l->on_a : l->on_b, *on_large = a_smaller ? l->on_b
                                                                                   : l->on_a;
    int64_t batch = 1;
    const tn_value big = l->p->values[large];
    for (int32_t d = 0; d < big.n_axes; d++) {
        int32_t i = l->axes.index[big.first_axis + d];
        if (on_small[i] && l->alive[i] > 2) batch *= l->sizes[i];
    }
    const int batch_inside = batch > big.elements / batch;
    if (!batch_inside && !push_kept(l, large, on_small, 1)) return 0;
    if (!push_kept(l, small, on_large, 0) || !push_own(l, large, on_small)) return 0;
    return !batch_inside || push_kept(l, large, on_small, 1);
}

int tn_sums_scattered(const tn_lowering *l, int64_t t) {
    enum { LONG = 256, NEAR = 4 << 20 }; /* points; bytes, beyond which writing out of order costs more */
    const tn_value *c = &l->p->values[l->current[l->net->n_inputs + t]];
    const tn_contraction *x = &l->p->steps[c->producer].x;
    const int64_t rows = x->m > x->n ? x->m : x->n;
    return x->batch == 1 && x->k >= LONG && x->n_k > 1 &&
           rows <= NEAR / tn_itemsize(l->p->dtype) / x->k;
}

static const int32_t *axes_before(const tn_lowering *l, int64_t id, int32_t *n) {
    const tn_value *value = &l->before->p->values[l->before->current[id]];
    *n = value->n_axes;
    return l->before->axes.index + value->first_axis;
}

/* Ranks the indices that stay in vectors of a stem innermost, in the same order on all values; but packed
 * products, such as step t, write whole vectors of what one operand has. */
static void rank_lanes(tn_lowering *l, const tn_stem *stem, int64_t t) {
    const tn_value *made = t < 0 ? NULL : &l->before->p->values[l->before->current[l->net->n_inputs + t]];
    int64_t filled = 1;
    for (int64_t i = 0; i < stem->n_lanes; i++) filled *= l->sizes[stem->lanes[i]];
    if (made && l->before->p->steps[made->producer].x.road == TN_ROAD_GETT &&
        filled < tn_get_kernels(l->p->dtype)->lanes)
        return;
    for (int64_t i = 0; i < stem->n_lanes; i++) l->rank[stem->lanes[i]] = (int32_t)(stem->n_lanes - i);
}

/* Ranks the indices of a value in its order. */
static void rank_like(tn_lowering *l, int32_t v) {
    const tn_value *value = &l->p->values[v];
    for (int32_t d = 0; d < value->n_axes; d++) l->rank[l->axes.index[value->first_axis + d]] = d + 1;
}

/* Ranks the indices that value id of the tree has and the other has not: outermost. */
static void rank_own(tn_lowering *l, int64_t id, int64_t other) {
    int32_t n;
    const int32_t *index = axes_before(l, id, &n);
    for (int32_t d = 0; d < n; d++) l->rank[index[d]] = -1;
    index = axes_before(l, other, &n);
    for (int32_t d = 0; d < n; d++) l->rank[index[d]] = 0;
}

/* Ranks the indices that the stem through step t of the tree, if there is one, leaves alone. */
static void rank_blocked(tn_lowering *l, int64_t t, int32_t rank) {
    const tn_stem *stem = l->stem_of ? l->stem_of[t] : NULL;
    for (int64_t i = 0; stem && i < stem->n_blocked; i++) l->rank[stem->blocked[i]] = rank;
}

/* Ranks the axes of value id of the tree for the sum over what it shares with value other: outermost what
 * is so on either, since that is made in blocks, then what is not summed, then the others, in the same
 * order on both: that of the first, or of the one that is not made in blocks. */
static void rank_summed(tn_lowering *l, int64_t id, int64_t other) {
    enum { OUTSIDE = 1, OWN = 2, SUMMED = 3 };
    const int64_t inputs = l->net->n_inputs, first = id < other ? id : other, second = id + other - first;
    int32_t n, *rank = l->rank;
    const int32_t *index = axes_before(l, id, &n);
    for (int32_t d = 0; d < n; d++) rank[index[d]] = OWN;
    index = axes_before(l, other, &n);
    for (int32_t d = 0; d < n; d++) rank[index[d]] = rank[index[d]] ? SUMMED : 0;
    const int in_blocks = l->stem_of && l->stem_of[first - inputs];
    const int64_t leader = in_blocks && !l->stem_of[second - inputs] ? second : first;
    index = axes_before(l, leader, &n);
    for (int32_t d = 0; d < n; d++)
        if (rank[index[d]] == SUMMED) rank[index[d]] += d;
    rank_blocked(l, first - inputs, OUTSIDE);
    rank_blocked(l, second - inputs, OUTSIDE);
}

/* Whether a packed product reads value id of the tree as its larger operand. */
static int is_packed(const tn_lowering *l, int64_t id, int64_t other, int64_t r) {
    const tn_program *p = l->before->p;
    const int32_t *current = l->before->current;
    const tn_contraction *x = &p->steps[p->values[current[l->net->n_inputs + r]].producer].x;
    return x->road == TN_ROAD_GETT && x->batch == 1 &&
           p->values[current[id]].elements >= p->values[current[other]].elements;
}

/* Ranks the axes from `first` on of a value, where what is on the other value and what is not alternate in
 * vectors: then what is not comes innermost, as far as it makes lines and is within a page. */
static void rank_kept(tn_lowering *l, int64_t first, int64_t other) {
    enum { SHARED = 2, LINE = 64, PAGE = 4096 };
    const int32_t *axes = l->axes.index;
    const int64_t last = l->axes.count - 1, lanes = tn_get_kernels(l->p->dtype)->lanes;
    int32_t n;
    const int32_t *shared = axes_before(l, other, &n);
    for (int32_t d = 0; d < n; d++) l->on_a[shared[d]] |= SHARED;
    int64_t alike = 1, line = tn_itemsize(l->p->dtype), bytes = line;
    for (int64_t x = last; x >= first && !((l->on_a[axes[x]] ^ l->on_a[axes[last]]) & SHARED); x--)
        alike *= l->sizes[axes[x]];
    for (int64_t x = last; x >= first && alike < lanes && bytes < PAGE && line < LINE; x--) {
        bytes *= l->sizes[axes[x]];
        if (l->on_a[axes[x]] & SHARED) continue;
        line *= l->sizes[axes[x]];
        l->rank[axes[x]] = 1;
    }
    for (int32_t d = 0; d < n; d++) l->on_a[shared[d]] &= ~SHARED;
}

/* Moves the axes from `first` on of the result of step t, outside ones first, to where the step that
 * reads it wants them: one that goes through it in blocks, or sums many points. */
static void arrange(tn_lowering *l, int64_t first, int64_t t) {
    const int64_t n = l->net->n_inputs, r = l->before && t >= 0 ? l->reader[t] : -1;
    if (r < 0) return;
    const int64_t *ids = l->net->steps + 2 * r, other = ids[0] == n + t ? ids[1] : ids[0];
    int32_t *index = l->axes.index;
    const tn_stem *stem = l->stem_of ? l->stem_of[r] : NULL;
    if (stem && (stem == l->stem_of[t] || stem->stem == n + t)) {
        rank_blocked(l, r, -1);
        if (stem->other >= 0 && r == stem->steps[stem->n_steps - 1])
            rank_like(l, l->current[stem->other]);
        else
            rank_lanes(l, stem, t);
    } else if (stem && stem->other == n + t) {
        rank_own(l, n + t, other);
        rank_blocked(l, r, -2);
        rank_lanes(l, stem, t);
    } else if (other >= n && tn_sums_scattered(l->before, r))
        rank_summed(l, n + t, other);
    else if (is_packed(l, n + t, other, r))
        rank_kept(l, first, other);
    else
        return;
    for (int64_t x = first + 1; x < l->axes.count; x++) {
        const int32_t moved = index[x];
        int64_t y = x;
        for (; y > first && l->rank[index[y - 1]] > l->rank[moved]; y--) index[y] = index[y - 1];
        index[y] = moved;
    }
    memset(l->rank, 0, (size_t)l->net->n_indices * sizeof *l->rank);
}

/* The axes of c, which a and b are contracted to. */
tn_status tn_lay_out(tn_lowering *l, int32_t a, int32_t b, tn_target target, int32_t c) {
    const int64_t first = l->axes.count;
    if (!(target.like >= 0 ? push_like(l, target.like) : push_chosen(l, a, b))) return TN_NO_MEMORY;
    if (target.result < 0 && target.like < 0) arrange(l, first, target.step);
    return target.result >= 0 ? tn_output_value(l, c, first, target.result)
                              : tn_finish_value(l, c, first);
}
