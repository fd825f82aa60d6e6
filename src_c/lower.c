/* Tree -> Program: which axes are batch, m, n and k in each step, how each intermediate is laid
 * out, and what has to happen to an operand before its first step. */
#include "program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG2_LIMIT = 59 };

/* A growing array of axes: index and byte stride. */
typedef struct {
    int32_t *index;
    int64_t *stride;
    int64_t count, capacity;
} axis_pool;

typedef struct {
    const tn_network *net;
    tn_program *p;
    axis_pool axes;
    int64_t dims_capacity, dims_count, values_capacity, tables_capacity, tables_count;
    int64_t *sizes;   /* extents, 1 for sliced indices */
    int32_t *alive;   /* how many live values, and the output, have this index */
    int64_t *stride_a, *stride_b, *stride_c; /* byte strides of the current step, by index */
    uint8_t *on_a, *on_b;
    int32_t *current; /* SSA id -> value that now stands for it */
} lowering;

static int grow(void **memory, int64_t *capacity, int64_t needed, size_t item) {
    if (needed <= *capacity) return 1;
    int64_t target = *capacity * 2 > needed ? *capacity * 2 : needed + 64;
    void *larger = realloc(*memory, (size_t)target * item);
    if (!larger) return 0;
    *memory = larger;
    *capacity = target;
    return 1;
}

static int push_axis(axis_pool *pool, int32_t index, int64_t stride) {
    if (pool->count == pool->capacity) {
        int64_t capacity = pool->capacity;
        if (!grow((void **)&pool->index, &capacity, pool->count + 1, sizeof *pool->index)) return 0;
        capacity = pool->capacity;
        if (!grow((void **)&pool->stride, &capacity, pool->count + 1, sizeof *pool->stride))
            return 0;
        pool->capacity = capacity;
    }
    pool->index[pool->count] = index;
    pool->stride[pool->count++] = stride;
    return 1;
}

static int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride; }

/* Byte strides of a contiguous C-order array whose axis extents are those of the ids. */
static void contiguous_strides(const int64_t *sizes, const int64_t *ids, int64_t n,
                               int64_t itemsize, int64_t *strides) {
    for (int64_t d = n - 1; d >= 0; d--) {
        strides[d] = itemsize;
        itemsize *= sizes[ids[d]];
    }
}

/* The axes of operand v: repeated indices become their diagonal, sliced ones a base offset, axes
 * of extent 1 vanish; the rest is ordered from the largest stride to the smallest. */
static tn_status add_input(lowering *l, int64_t v, const int32_t *loop_of) {
    const tn_network *net = l->net;
    const int64_t first = net->starts[v], n = net->starts[v + 1] - first, *ids = net->ids + first;
    tn_value *value = &l->p->values[v];
    int64_t made[TN_MAX_DIMS];
    if (n > TN_MAX_DIMS) return TN_TOO_LARGE;
    const int64_t *strides = made;
    if (net->input_strides)
        strides = net->input_strides + first;
    else
        contiguous_strides(net->sizes, ids, n, l->p->half ? 2 : tn_itemsize(l->p->dtype), made);
    *value = (tn_value){.first_axis = l->axes.count, .producer = -1, .elements = 1};
    for (int64_t d = 0; d < n; d++) {
        const int64_t i = ids[d];
        if (loop_of[i] >= 0) {
            value->sliced |= (uint64_t)1 << loop_of[i];
            tn_slice_stride s = {(int32_t)v, loop_of[i], strides[d]};
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
        value->elements *= l->sizes[i];
        if (!push_axis(&l->axes, (int32_t)i, strides[d])) return TN_NO_MEMORY;
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
static tn_status finish_value(lowering *l, int32_t v, int64_t first_axis) {
    tn_value *value = &l->p->values[v];
    double log2_bytes = log2(tn_itemsize(l->p->dtype));
    int64_t stride = tn_itemsize(l->p->dtype);
    for (int64_t x = first_axis; x < l->axes.count; x++)
        log2_bytes += log2((double)l->sizes[l->axes.index[x]]);
    if (log2_bytes > LOG2_LIMIT) return TN_TOO_LARGE;
    for (int64_t x = l->axes.count - 1; x >= first_axis; x--) {
        l->axes.stride[x] = stride;
        stride *= l->sizes[l->axes.index[x]];
    }
    value->first_axis = first_axis;
    value->n_axes = (int32_t)(l->axes.count - first_axis);
    value->elements = stride / tn_itemsize(l->p->dtype);
    return TN_OK;
}

/* The result as the program writes it: the axes of the output with their real strides. */
static tn_status output_value(lowering *l, int32_t v, int64_t first_axis) {
    tn_value *value = &l->p->values[v];
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

static tn_status new_value(lowering *l, int32_t *v) {
    tn_program *p = l->p;
    if (!grow((void **)&p->values, &l->values_capacity, p->n_values + 1, sizeof *p->values))
        return TN_NO_MEMORY;
    p->values[p->n_values] = (tn_value){0};
    *v = (int32_t)p->n_values++;
    return TN_OK;
}

/* Appends a step whose groups are given as lists of dims and takes its road. */
static tn_status add_step(lowering *l, tn_step step, const tn_dim *dims) {
    tn_program *p = l->p;
    tn_contraction *x = &step.x;
    int n = x->n_batch + x->n_m + x->n_n + x->n_k;
    if (!grow((void **)&p->dims, &l->dims_capacity, l->dims_count + n + TN_ADDED_DIMS, sizeof *p->dims))
        return TN_NO_MEMORY;
    x->dims = dims;
    x->dtype = (uint8_t)p->dtype;
    step.first_dim = l->dims_count;
    if (step.widen) {
        x->road = TN_ROAD_N;
        memcpy(p->dims + l->dims_count, dims, (size_t)n * sizeof *dims);
    } else if (tn_choose_road(x, p->dims + l->dims_count)) {
        int32_t a = step.a;
        step.a = step.b;
        step.b = a;
    }
    step.first_entry = -1;
    x->dims = p->dims + l->dims_count;
    const int64_t entries = step.widen ? 0 : tn_table_size(x);
    if (entries) {
        if (!grow((void **)&p->tables, &l->tables_capacity, l->tables_count + entries,
                  sizeof *p->tables))
            return TN_NO_MEMORY;
        tn_fill_table(x, p->tables + l->tables_count);
        step.first_entry = l->tables_count;
        l->tables_count += entries;
        x->road = TN_ROAD_TABLE;
    }
    l->dims_count += x->n_batch + x->n_m + x->n_n + x->n_k;
    p->values[step.c].producer = (int32_t)p->n_steps;
    p->values[step.c].sliced = p->values[step.a].sliced;
    if (step.b >= 0) p->values[step.c].sliced |= p->values[step.b].sliced;
    p->steps[p->n_steps++] = step;
    return TN_OK;
}

/* One-operand step: copies (widening float16) or sums away the indices with drop[index] set. */
static tn_status unary_step(lowering *l, int32_t a, int to_output, int widen, const uint8_t *drop,
                            int32_t *result) {
    tn_dim dims[TN_MAX_DIMS];
    int n_m = 0, n_k = 0;
    tn_status status = new_value(l, result);
    if (status) return status;
    const tn_value from = l->p->values[a];
    const int64_t first = l->axes.count;
    for (int32_t d = 0; d < from.n_axes; d++) {
        int32_t i = l->axes.index[from.first_axis + d];
        if (drop && drop[i]) continue;
        if (!push_axis(&l->axes, i, 0)) return TN_NO_MEMORY;
    }
    status = to_output ? output_value(l, *result, first) : finish_value(l, *result, first);
    if (status) return status;
    for (int64_t x = first; x < l->axes.count; x++, n_m++)
        dims[n_m] = (tn_dim){l->sizes[l->axes.index[x]], 0, 0, l->axes.stride[x]};
    int kept = 0;
    for (int32_t d = 0; d < from.n_axes; d++) {
        int32_t i = l->axes.index[from.first_axis + d];
        int64_t stride = l->axes.stride[from.first_axis + d];
        if (drop && drop[i])
            dims[n_m + n_k++] = (tn_dim){l->sizes[i], stride, 0, 0};
        else
            dims[kept++].sa = stride;
    }
    tn_step step = {.a = a, .b = -1, .c = *result, .widen = (uint8_t)widen};
    step.x.n_m = (uint8_t)n_m;
    step.x.n_k = (uint8_t)n_k;
    step.x.unary = 1;
    step.x.accumulate = (uint8_t)(to_output && l->net->n_sliced > 0);
    return add_step(l, step, dims);
}

/* Makes operand v ready: widened, copied where its exponent will be stripped, and with the indices
 * that nobody else has summed away. on_other marks the indices of the step's other operand. */
static tn_status prepare(lowering *l, int32_t *v, const uint8_t *on_other) {
    tn_program *p = l->p;
    tn_status status;
    const int is_input = p->values[*v].producer < 0;
    if (is_input && p->half) {
        status = unary_step(l, *v, 0, 1, NULL, v);
        if (status) return status;
    }
    int lonely = 0;
    const tn_value value = p->values[*v];
    uint8_t *drop = l->on_a; /* free between steps: all zero */
    for (int32_t d = 0; d < value.n_axes; d++) {
        int32_t i = l->axes.index[value.first_axis + d];
        if (l->alive[i] == 1 && !on_other[i]) drop[i] = 1, lonely++;
    }
    if (lonely || (is_input && p->strip && !p->half))
        status = unary_step(l, *v, 0, 0, drop, v);
    else
        status = TN_OK;
    for (int32_t d = 0; d < value.n_axes; d++) drop[l->axes.index[value.first_axis + d]] = 0;
    return status;
}

static void mark(lowering *l, int32_t v, uint8_t *on, int64_t *strides, uint8_t set) {
    const tn_value *value = &l->p->values[v];
    for (int32_t d = 0; d < value->n_axes; d++) {
        int32_t i = l->axes.index[value->first_axis + d];
        on[i] = set;
        strides[i] = l->axes.stride[value->first_axis + d];
    }
}

/* Pushes the indices of v that are (not) on the other operand and survive the step. */
static int push_kept(lowering *l, int32_t v, const uint8_t *on_other, int shared) {
    const tn_value value = l->p->values[v];
    for (int32_t d = 0; d < value.n_axes; d++) {
        int32_t i = l->axes.index[value.first_axis + d];
        if (on_other[i] == shared && !(shared && l->alive[i] == 2))
            if (!push_axis(&l->axes, i, 0)) return 0;
    }
    return 1;
}

/* Pushes the axes of v that are not on the other operand.  Where the vectors of v have an axis in their
 * lanes that goes, the next one of its extent takes its place, so that the other lanes stay as they
 * are: the kernels then exchange one lane, and need not shift them all. */
static int push_own(lowering *l, int32_t v, const uint8_t *on_other) {
    const tn_value value = l->p->values[v];
    const int64_t first = l->axes.count, lanes = tn_get_kernels(l->p->dtype)->lanes;
    for (int32_t d = 0; d < value.n_axes; d++)
        if (!push_axis(&l->axes, l->axes.index[value.first_axis + d], 0)) return 0;
    int32_t *index = l->axes.index + first;
    int64_t lane = 1;
    for (int32_t d = value.n_axes - 1, next = d; d >= 0 && lane < lanes; d--) {
        const int32_t gone = index[d];
        lane *= l->sizes[gone];
        if (!on_other[gone]) continue;
        int64_t inner = lane;
        for (next = d - 1; next >= 0; next--) {
            const int32_t i = index[next];
            inner *= l->sizes[i];
            if (on_other[i] || inner <= lanes || l->sizes[i] != l->sizes[gone]) continue;
            index[d] = i;
            index[next] = gone;
            break;
        }
    }
    l->axes.count = first;
    for (int32_t d = 0; d < value.n_axes; d++)
        if (!on_other[index[d]]) l->axes.index[l->axes.count++] = index[d];
    return 1;
}

/* Layout of an intermediate: [batch, axes of the smaller operand, axes of the larger]. The large
 * operand's axes stay together and innermost, so that both reading it and writing the result run
 * along memory; when nearly everything is batch, the batch axes are innermost instead. */
static tn_status lay_out(lowering *l, int32_t a, int32_t b, int to_output, int32_t c) {
    const tn_value *va = &l->p->values[a], *vb = &l->p->values[b];
    const int a_smaller = va->elements <= vb->elements;
    const int32_t small = a_smaller ? a : b, large = a_smaller ? b : a;
    const uint8_t *on_small = a_smaller ? l->on_a : l->on_b, *on_large = a_smaller ? l->on_b
                                                                                   : l->on_a;
    const int64_t first = l->axes.count;
    int64_t batch = 1;
    const tn_value big = l->p->values[large];
    for (int32_t d = 0; d < big.n_axes; d++) {
        int32_t i = l->axes.index[big.first_axis + d];
        if (on_small[i] && l->alive[i] > 2) batch *= l->sizes[i];
    }
    const int batch_inside = batch > big.elements / batch;
    if (!batch_inside && !push_kept(l, large, on_small, 1)) return TN_NO_MEMORY;
    if (!push_kept(l, small, on_large, 0) || !push_own(l, large, on_small))
        return TN_NO_MEMORY;
    if (batch_inside && !push_kept(l, large, on_small, 1)) return TN_NO_MEMORY;
    return to_output ? output_value(l, c, first) : finish_value(l, c, first);
}

static tn_status pair_step(lowering *l, int32_t a, int32_t b, int to_output, int32_t c) {
    mark(l, b, l->on_b, l->stride_b, 1);
    tn_status status = prepare(l, &a, l->on_b);
    mark(l, b, l->on_b, l->stride_b, 0);
    if (status) return status;
    mark(l, a, l->on_b, l->stride_a, 1); /* on_b doubles as "on the other" */
    status = prepare(l, &b, l->on_b);
    mark(l, a, l->on_b, l->stride_a, 0);
    if (status) return status;
    mark(l, a, l->on_a, l->stride_a, 1);
    mark(l, b, l->on_b, l->stride_b, 1);
    status = lay_out(l, a, b, to_output, c);
    if (status) return status;

    tn_dim group[4][TN_MAX_DIMS];
    int count[4] = {0};
    const tn_value va = l->p->values[a], vb = l->p->values[b], vc = l->p->values[c];
    if (va.n_axes + vb.n_axes > TN_MAX_DIMS) return TN_TOO_LARGE;
    for (int32_t d = 0; d < vc.n_axes; d++) {
        int32_t i = l->axes.index[vc.first_axis + d];
        int g = l->on_a[i] && l->on_b[i] ? 0 : l->on_a[i] ? 1 : 2;
        group[g][count[g]++] = (tn_dim){l->sizes[i], l->on_a[i] ? l->stride_a[i] : 0,
                                        l->on_b[i] ? l->stride_b[i] : 0,
                                        l->axes.stride[vc.first_axis + d]};
    }
    for (int32_t d = 0; d < va.n_axes; d++) {
        int32_t i = l->axes.index[va.first_axis + d];
        if (!l->on_b[i]) continue;
        if (l->alive[i] == 2)
            group[3][count[3]++] = (tn_dim){l->sizes[i], l->stride_a[i], l->stride_b[i], 0};
        l->alive[i]--; /* a and b become one holder, or none */
    }
    mark(l, a, l->on_a, l->stride_a, 0);
    mark(l, b, l->on_b, l->stride_b, 0);
    tn_dim dims[TN_MAX_DIMS];
    int n = 0;
    for (int g = 0; g < 4; g++)
        for (int d = 0; d < count[g]; d++) dims[n++] = group[g][d];
    tn_step step = {.a = a, .b = b, .c = c};
    step.x.n_batch = (uint8_t)count[0];
    step.x.n_m = (uint8_t)count[1];
    step.x.n_n = (uint8_t)count[2];
    step.x.n_k = (uint8_t)count[3];
    step.x.accumulate = (uint8_t)(to_output && l->net->n_sliced > 0);
    return add_step(l, step, dims);
}

/* A unary contraction over the output: fill (a has no strides) or copy. */
static void output_pass(tn_contraction *x, int64_t *first_dim, lowering *l, const tn_dim *dims,
                        int n, int accumulate) {
    *x = (tn_contraction){.dims = dims, .n_m = (uint8_t)n, .dtype = (uint8_t)l->p->dtype,
                          .accumulate = (uint8_t)accumulate, .unary = 1};
    *first_dim = l->dims_count;
    tn_choose_road(x, l->p->dims + l->dims_count);
    l->dims_count += x->n_batch + x->n_m + x->n_n + x->n_k;
}

/* Passes over whole outputs: zeroing, sums -> output, result -> sums. */
static tn_status add_output_passes(lowering *l, int32_t root) {
    tn_program *p = l->p;
    const tn_network *net = l->net;
    tn_dim fill[TN_MAX_DIMS], copy[TN_MAX_DIMS], collect[TN_MAX_DIMS];
    int64_t sums[TN_MAX_DIMS], made[TN_MAX_DIMS];
    int n = 0, n_collect = 0;
    const int64_t itemsize = tn_itemsize(p->dtype);
    const int64_t *out = net->output_strides;
    contiguous_strides(net->sizes, net->output, net->n_output, itemsize, sums);
    contiguous_strides(net->sizes, net->output, net->n_output, p->half ? 2 : itemsize, made);
    if (!out) out = made;
    if (!grow((void **)&p->dims, &l->dims_capacity, l->dims_count + 3 * net->n_output + 3,
              sizeof *p->dims))
        return TN_NO_MEMORY;
    const tn_value value = p->values[root];
    for (int32_t d = 0; d < value.n_axes; d++)
        l->stride_a[l->axes.index[value.first_axis + d]] = l->axes.stride[value.first_axis + d];
    for (int64_t d = 0; d < net->n_output; d++) {
        const int64_t i = net->output[d], extent = net->sizes[i];
        if (l->sizes[i] > 1)
            collect[n_collect++] = (tn_dim){extent, l->stride_a[i], 0, sums[d]};
        if (extent == 1) continue;
        fill[n] = (tn_dim){extent, 0, 0, out[d]};
        copy[n++] = (tn_dim){extent, sums[d], 0, out[d]};
    }
    output_pass(&p->fill, &p->fill_dims, l, fill, n, 0);
    if (p->half) { /* narrowing walks its dims as they are */
        p->copy_dims = l->dims_count;
        p->copy = (tn_contraction){.n_batch = (uint8_t)n};
        memcpy(p->dims + l->dims_count, copy, (size_t)n * sizeof *copy);
        l->dims_count += n;
    } else {
        output_pass(&p->copy, &p->copy_dims, l, copy, n, 0);
    }
    output_pass(&p->collect, &p->collect_dims, l, collect, n_collect, 1);
    return TN_OK;
}

static tn_status lower_steps(lowering *l, int32_t *root) {
    const tn_network *net = l->net;
    const int64_t n_steps = net->n_inputs - 1;
    /* with strip the result is a value of its own, added to the sums with its exponent */
    const int direct_root = !l->p->strip;
    tn_status status;
    if (n_steps == 0) {
        int32_t v = 0;
        if (l->p->half) {
            status = unary_step(l, v, 0, 1, NULL, &v);
            if (status) return status;
        }
        const tn_value value = l->p->values[v];
        for (int32_t d = 0; d < value.n_axes; d++) {
            int32_t i = l->axes.index[value.first_axis + d];
            l->on_a[i] = l->alive[i] == 1;
        }
        return unary_step(l, v, direct_root, 0, l->on_a, root);
    }
    for (int64_t t = 0; t < n_steps; t++) {
        int32_t c;
        status = new_value(l, &c);
        if (status) return status;
        l->current[net->n_inputs + t] = c;
        int32_t a = l->current[net->steps[2 * t]], b = l->current[net->steps[2 * t + 1]];
        status = pair_step(l, a, b, direct_root && t == n_steps - 1, c);
        if (status) return status;
        *root = c;
    }
    return TN_OK;
}

/* Strides of what the last step writes to: the caller's output, or the sums of a chunk. */
static void set_output_strides(lowering *l, const int32_t *loop_of) {
    const tn_network *net = l->net;
    tn_program *p = l->p;
    int64_t made[TN_MAX_DIMS];
    const int64_t *strides = p->direct ? net->output_strides : NULL;
    contiguous_strides(net->sizes, net->output, net->n_output, tn_itemsize(p->dtype), made);
    if (!strides) strides = made;
    for (int64_t d = 0; d < net->n_output; d++) {
        const int64_t i = net->output[d];
        l->alive[i]++;
        l->stride_c[i] = strides[d];
        p->output_elements *= net->sizes[i];
        if (loop_of[i] < 0) continue;
        p->slice_strides[p->n_slice_strides++] = (tn_slice_stride){-1, loop_of[i], strides[d]};
    }
}

static tn_status lower(lowering *l, int32_t *loop_of) {
    const tn_network *net = l->net;
    tn_program *p = l->p;
    double log2_slices = 0, log2_output = 4;
    for (int64_t i = 0; i < net->n_indices; i++) {
        l->sizes[i] = net->sizes[i];
        loop_of[i] = -1;
    }
    for (int64_t s = 0; s < net->n_sliced; s++) {
        const int64_t i = net->sliced[s];
        loop_of[i] = (int32_t)s;
        p->extents[s] = net->sizes[i];
        log2_slices += log2((double)net->sizes[i]);
        l->sizes[i] = 1;
    }
    for (int64_t d = 0; d < net->n_output; d++) log2_output += log2((double)net->sizes[net->output[d]]);
    if (net->n_sliced > 64 || log2_slices > LOG2_LIMIT || log2_output > LOG2_LIMIT ||
        net->n_output > TN_MAX_DIMS)
        return TN_TOO_LARGE;
    for (int64_t s = 0; s < net->n_sliced; s++) p->slices *= p->extents[s];
    for (int64_t v = 0; v < net->n_inputs; v++) {
        tn_status status = add_input(l, v, loop_of);
        if (status) return status;
        l->current[v] = (int32_t)v;
    }
    for (int64_t d = 0; d < net->n_output; d++) p->output_elements *= net->sizes[net->output[d]];
    tn_split_slices(p, net->largest);
    p->output_elements = 1;
    set_output_strides(l, loop_of);
    int32_t root = -1;
    tn_status status = lower_steps(l, &root);
    if (status) return status;
    p->result = p->strip ? root : -1;
    status = add_output_passes(l, root);
    if (status) return status;
    return tn_schedule(p, root);
}

static void bind_dims(tn_program *p) {
    for (int64_t i = 0; i < p->n_steps; i++) {
        tn_step *s = &p->steps[i];
        s->x.dims = p->dims + s->first_dim;
        s->x.table = s->first_entry < 0 ? NULL : p->tables + s->first_entry;
    }
    p->fill.dims = p->dims + p->fill_dims;
    p->copy.dims = p->dims + p->copy_dims;
    p->collect.dims = p->dims + p->collect_dims;
}

tn_status tn_lower(const tn_network *net, tn_program **program) {
    const size_t ids = (size_t)net->starts[net->n_inputs] + (size_t)net->n_output + 1;
    const size_t indices = (size_t)net->n_indices + 1, inputs = (size_t)net->n_inputs;
    tn_status status = TN_NO_MEMORY;
    lowering l = {.net = net};
    tn_program *p = l.p = calloc(1, sizeof *p);
    int32_t *loop_of = malloc(indices * sizeof *loop_of);
    if (!p || !loop_of) goto done;
    *p = (tn_program){.half = net->dtype == TN_F16,
                      .dtype = net->dtype == TN_F16 ? TN_F32 : net->dtype,
                      .strip = net->strip,
                      .threads = net->threads,
                      .n_inputs = net->n_inputs,
                      .n_values = net->n_inputs,
                      .n_loops = net->n_sliced,
                      .slices = 1,
                      .output_elements = 1};
    l.values_capacity = (int64_t)(2 * inputs + 4);
    p->values = malloc((size_t)l.values_capacity * sizeof *p->values);
    /* per operand at most a widening and a summing copy, besides its tree step */
    p->steps = malloc((3 * inputs + 3) * sizeof *p->steps);
    p->slice_strides = malloc(ids * sizeof *p->slice_strides);
    p->extents = malloc((size_t)(net->n_sliced + 1) * sizeof *p->extents);
    p->level_start = calloc((size_t)net->n_sliced + 2, sizeof *p->level_start);
    p->level_macs = calloc((size_t)net->n_sliced + 1, sizeof *p->level_macs);
    l.sizes = malloc(indices * sizeof *l.sizes);
    l.alive = calloc(indices, sizeof *l.alive);
    l.stride_a = malloc(3 * indices * sizeof *l.stride_a);
    l.on_a = calloc(2 * indices, 1);
    l.current = malloc(2 * inputs * sizeof *l.current);
    if (p->values && p->steps && p->slice_strides && p->extents && p->level_start &&
        p->level_macs && l.sizes && l.alive && l.stride_a && l.on_a && l.current) {
        l.stride_b = l.stride_a + indices;
        l.stride_c = l.stride_b + indices;
        l.on_b = l.on_a + indices;
        status = lower(&l, loop_of);
    }
    if (!status) bind_dims(p);
done:
    free(loop_of);
    free(l.sizes);
    free(l.alive);
    free(l.stride_a);
    free(l.on_a);
    free(l.current);
    free(l.axes.index);
    free(l.axes.stride);
    if (status) tn_program_free(p), p = NULL;
    *program = p;
    return status;
}

void tn_program_free(tn_program *p) {
    if (!p) return;
    free(p->steps);
    free(p->values);
    free(p->dims);
    free(p->tables);
    free(p->slice_strides);
    free(p->extents);
    free(p->level_start);
    free(p->level_macs);
    free(p);
}
