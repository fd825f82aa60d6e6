/* Tree -> Program: which axes are batch, m, n and k in each step, how each intermediate is laid
 * out, and what has to happen to an operand before its first step. */
#include "lowering.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends a step whose groups are given as lists of dims and takes its road. */
static tn_status add_step(tn_lowering *l, tn_step step, const tn_dim *dims) {
    tn_program *p = l->p;
    tn_contraction *x = &step.x;
    int n = x->n_batch + x->n_m + x->n_n + x->n_k;
    if (!tn_grow((void **)&p->dims, &l->dims_capacity, l->dims_count + n + TN_ADDED_DIMS, sizeof *p->dims))
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
    step.fused = -1;
    step.blocks = 1;
    x->dims = p->dims + l->dims_count;
    const int64_t entries = step.widen ? 0 : tn_table_size(x);
    if (entries) {
        if (!tn_grow((void **)&p->tables, &l->tables_capacity, l->tables_count + entries,
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
static tn_status unary_step(tn_lowering *l, int32_t a, int to_output, int widen, const uint8_t *drop,
                            int32_t *result) {
    tn_dim dims[TN_MAX_DIMS];
    int n_m = 0, n_k = 0;
    tn_status status = tn_new_value(l, result);
    if (status) return status;
    const tn_value from = l->p->values[a];
    const int64_t first = l->axes.count;
    for (int32_t d = 0; d < from.n_axes; d++) {
        int32_t i = l->axes.index[from.first_axis + d];
        if (drop && drop[i]) continue;
        if (!tn_push_axis(&l->axes, i, 0)) return TN_NO_MEMORY;
    }
    status = to_output ? tn_output_value(l, *result, first) : tn_finish_value(l, *result, first);
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
static tn_status prepare(tn_lowering *l, int32_t *v, const uint8_t *on_other) {
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

static void mark(tn_lowering *l, int32_t v, uint8_t *on, int64_t *strides, uint8_t set) {
    const tn_value *value = &l->p->values[v];
    for (int32_t d = 0; d < value->n_axes; d++) {
        int32_t i = l->axes.index[value->first_axis + d];
        on[i] = set;
        strides[i] = l->axes.stride[value->first_axis + d];
    }
}

tn_status tn_pair_step(tn_lowering *l, int32_t a, int32_t b, int to_output, int32_t c) {
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
    status = tn_lay_out(l, a, b, to_output, c);
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
static void output_pass(tn_contraction *x, int64_t *first_dim, tn_lowering *l, const tn_dim *dims,
                        int n, int accumulate) {
    *x = (tn_contraction){.dims = dims, .n_m = (uint8_t)n, .dtype = (uint8_t)l->p->dtype,
                          .accumulate = (uint8_t)accumulate, .unary = 1};
    *first_dim = l->dims_count;
    tn_choose_road(x, l->p->dims + l->dims_count);
    l->dims_count += x->n_batch + x->n_m + x->n_n + x->n_k;
}

/* Passes over whole outputs: zeroing, sums -> output, result -> sums. */
static tn_status add_output_passes(tn_lowering *l, int32_t root) {
    tn_program *p = l->p;
    const tn_network *net = l->net;
    tn_dim fill[TN_MAX_DIMS], copy[TN_MAX_DIMS], collect[TN_MAX_DIMS];
    int64_t sums[TN_MAX_DIMS], made[TN_MAX_DIMS];
    int n = 0, n_collect = 0;
    const int64_t itemsize = tn_itemsize(p->dtype);
    const int64_t *out = net->output_strides;
    tn_contiguous_strides(net->sizes, net->output, net->n_output, itemsize, sums);
    tn_contiguous_strides(net->sizes, net->output, net->n_output, p->half ? 2 : itemsize, made);
    if (!out) out = made;
    if (!tn_grow((void **)&p->dims, &l->dims_capacity, l->dims_count + 3 * net->n_output + 3,
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

static tn_status lower_steps(tn_lowering *l, int32_t *root) {
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
        const tn_stem *stem = l->stem_of ? l->stem_of[t] : NULL;
        if (stem) { /* as a whole, when all that it reads is there */
            if (t != stem->steps[stem->n_steps - 1]) continue;
            status = tn_lower_stem(l, stem);
            if (status) return status;
            continue;
        }
        int32_t c;
        status = tn_new_value(l, &c);
        if (status) return status;
        l->current[net->n_inputs + t] = c;
        int32_t a = l->current[net->steps[2 * t]], b = l->current[net->steps[2 * t + 1]];
        status = tn_pair_step(l, a, b, direct_root && t == n_steps - 1, c);
        if (status) return status;
        *root = c;
    }
    return TN_OK;
}

/* Strides of what the last step writes to: the caller's output, or the sums of a chunk. */
static void set_output_strides(tn_lowering *l, const int32_t *loop_of) {
    const tn_network *net = l->net;
    tn_program *p = l->p;
    int64_t made[TN_MAX_DIMS];
    const int64_t *strides = p->direct ? net->output_strides : NULL;
    tn_contiguous_strides(net->sizes, net->output, net->n_output, tn_itemsize(p->dtype), made);
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

static tn_status lower(tn_lowering *l, int32_t *loop_of) {
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
    if (net->n_sliced > 64 || log2_slices > TN_LOG2_LIMIT || log2_output > TN_LOG2_LIMIT ||
        net->n_output > TN_MAX_DIMS)
        return TN_TOO_LARGE;
    for (int64_t s = 0; s < net->n_sliced; s++) p->slices *= p->extents[s];
    for (int64_t v = 0; v < net->n_inputs; v++) {
        tn_status status = tn_add_input(l, v, loop_of);
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

/* Whether the result is made of the entries of one operand, none of them changed. */
static int only_moves(const tn_network *net) {
    if (net->n_inputs != 1 || net->strip) return 0;
    for (int64_t d = 0; d < net->starts[1]; d++) {
        int64_t at = 0;
        while (at < net->n_output && net->output[at] != net->ids[d]) at++;
        if (at == net->n_output && net->sizes[net->ids[d]] > 1) return 0;
    }
    return 1;
}

/* Which stem each step of the tree is part of; NULL if there are none, or no memory. */
static const tn_stem **list_stems(const tn_network *net, const tn_stem *stems, int64_t count) {
    const tn_stem **stem_of = count ? calloc((size_t)net->n_inputs, sizeof *stem_of) : NULL;
    for (int64_t s = 0; stem_of && s < count; s++)
        for (int64_t i = 0; i < stems[s].n_steps; i++) stem_of[stems[s].steps[i]] = &stems[s];
    return stem_of;
}

/* Lowers the network with these stems fused. If there are none, those that could be are returned. */
static tn_status lower_with(const tn_network *net, const tn_stem *stems, int64_t n_stems,
                            tn_stem **found, int64_t *n_found, tn_program **program) {
    const size_t ids = (size_t)net->starts[net->n_inputs] + (size_t)net->n_output + 1;
    const size_t indices = (size_t)net->n_indices + 1, inputs = (size_t)net->n_inputs;
    tn_status status = TN_NO_MEMORY;
    tn_lowering l = {.net = net, .stem_of = list_stems(net, stems, n_stems)};
    tn_program *p = l.p = calloc(1, sizeof *p);
    int32_t *loop_of = malloc(indices * sizeof *loop_of);
    if (!p || !loop_of || (n_stems && !l.stem_of)) goto done;
    const int half = net->dtype == TN_F16, moves = only_moves(net);
    *p = (tn_program){.half = half && !moves,
                      .dtype = !half ? net->dtype : moves ? TN_U16 : TN_F32,
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
    p->fused = malloc((size_t)(n_stems + 1) * sizeof *p->fused);
    p->slice_strides = malloc(ids * sizeof *p->slice_strides);
    p->extents = malloc((size_t)(net->n_sliced + 1) * sizeof *p->extents);
    p->level_start = calloc((size_t)net->n_sliced + 2, sizeof *p->level_start);
    p->level_macs = calloc((size_t)net->n_sliced + 1, sizeof *p->level_macs);
    l.sizes = malloc(indices * sizeof *l.sizes);
    l.alive = calloc(indices, sizeof *l.alive);
    l.stride_a = malloc(3 * indices * sizeof *l.stride_a);
    l.on_a = calloc(2 * indices, 1);
    l.current = malloc(2 * inputs * sizeof *l.current);
    if (p->values && p->steps && p->fused && p->slice_strides && p->extents && p->level_start &&
        p->level_macs && l.sizes && l.alive && l.stride_a && l.on_a && l.current) {
        l.stride_b = l.stride_a + indices;
        l.stride_c = l.stride_b + indices;
        l.on_b = l.on_a + indices;
        status = lower(&l, loop_of);
        if (!status && !n_stems) status = tn_find_stems(&l, found, n_found);
    }
    if (!status) bind_dims(p);
done:
    free(loop_of);
    free(l.stem_of);
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

tn_status tn_lower(const tn_network *net, tn_program **program) {
    tn_stem *stems = NULL;
    int64_t count = 0;
    tn_status status = lower_with(net, NULL, 0, &stems, &count, program);
    if (!status && count) { /* once more: what is fused is laid out in blocks */
        tn_program_free(*program);
        status = lower_with(net, stems, count, NULL, NULL, program);
    }
    free(stems);
    return status;
}

void tn_program_free(tn_program *p) {
    if (!p) return;
    free(p->steps);
    free(p->values);
    free(p->dims);
    free(p->tables);
    free(p->fused);
    free(p->slice_strides);
    free(p->extents);
    free(p->level_start);
    free(p->level_macs);
    free(p);
}
