/* Tree -> Program: which axes are batch, m, n and k in each step, how each intermediate is laid
 * out, and what has to happen to an operand before its first step. */
#include "lowering.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends a step whose groups are given as lists of dims and takes its road. */
tn_status tn_add_step(tn_lowering *l, tn_step step, const tn_dim *dims) {
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

/* One-operand step; indices that c has not are summed away. */
tn_status tn_move_step(tn_lowering *l, int32_t a, int32_t c, int widen, int accumulate) {
    tn_dim dims[TN_MAX_DIMS];
    int n_m = 0;
    const tn_value from = l->p->values[a], to = l->p->values[c];
    tn_mark(l, a, l->on_a, l->stride_a, 1);
    for (int32_t d = 0; d < to.n_axes; d++) {
        const int32_t i = l->axes.index[to.first_axis + d];
        dims[n_m++] = (tn_dim){l->sizes[i], l->stride_a[i], 0, l->axes.stride[to.first_axis + d]};
        l->on_a[i] = 0;
    }
    int n_k = 0;
    for (int32_t d = 0; d < from.n_axes; d++) {
        const int32_t i = l->axes.index[from.first_axis + d];
        if (l->on_a[i]) dims[n_m + n_k++] = (tn_dim){l->sizes[i], l->stride_a[i], 0, 0};
    }
    tn_mark(l, a, l->on_a, l->stride_a, 0);
    tn_step step = {.a = a, .b = -1, .c = c, .widen = (uint8_t)widen};
    step.x.n_m = (uint8_t)n_m;
    step.x.n_k = (uint8_t)n_k;
    step.x.unary = 1;
    step.x.accumulate = (uint8_t)accumulate;
    return tn_add_step(l, step, dims);
}

/* The same into a new value, or a result, without the indices that have drop[index] set. */
static tn_status unary_step(tn_lowering *l, int32_t a, tn_target target, int widen,
                            const uint8_t *drop, int32_t *result) {
    tn_status status = tn_new_value(l, result);
    if (status) return status;
    const tn_value from = l->p->values[a];
    const int64_t first = l->axes.count;
    for (int32_t d = 0; d < from.n_axes; d++) {
        int32_t i = l->axes.index[from.first_axis + d];
        if (drop && drop[i]) continue;
        if (!tn_push_axis(&l->axes, i, 0)) return TN_NO_MEMORY;
    }
    status = target.result >= 0 ? tn_output_value(l, *result, first, target.result)
                                : tn_finish_value(l, *result, first);
    return status ? status : tn_move_step(l, a, *result, widen, target.accumulate);
}

/* A float16 operand becomes a value in float32. */
tn_status tn_widen(tn_lowering *l, int32_t *v) {
    const int widen = l->p->half && l->p->values[*v].producer < 0;
    return widen ? unary_step(l, *v, TN_NEW_VALUE, 1, NULL, v) : TN_OK;
}

/* Makes operand v ready: widened, copied where its exponent will be stripped, and with the indices
 * that nobody else has summed away. on_other marks the indices of the step's other operand. */
static tn_status prepare(tn_lowering *l, int32_t *v, const uint8_t *on_other) {
    tn_program *p = l->p;
    const int is_input = p->values[*v].producer < 0;
    tn_status status = tn_widen(l, v);
    if (status) return status;
    int lonely = 0;
    const tn_value value = p->values[*v];
    uint8_t *drop = l->on_a; /* free between steps: all zero */
    for (int32_t d = 0; d < value.n_axes; d++) {
        int32_t i = l->axes.index[value.first_axis + d];
        if (l->alive[i] == 1 && !on_other[i]) drop[i] = 1, lonely++;
    }
    if (lonely || (is_input && p->strip && !p->half))
        status = unary_step(l, *v, TN_NEW_VALUE, 0, drop, v);
    for (int32_t d = 0; d < value.n_axes; d++) drop[l->axes.index[value.first_axis + d]] = 0;
    return status;
}

tn_status tn_sum_lonely(tn_lowering *l, int32_t *v) { return prepare(l, v, l->on_b); }

void tn_mark(tn_lowering *l, int32_t v, uint8_t *on, int64_t *strides, uint8_t set) {
    const tn_value *value = &l->p->values[v];
    for (int32_t d = 0; d < value->n_axes; d++) {
        int32_t i = l->axes.index[value->first_axis + d];
        on[i] = set;
        strides[i] = l->axes.stride[value->first_axis + d];
    }
}

/* Makes both operands of a step ready for each other. */
static tn_status prepare_pair(tn_lowering *l, int32_t *a, int32_t *b) {
    tn_mark(l, *b, l->on_b, l->stride_b, 1);
    tn_status status = prepare(l, a, l->on_b);
    tn_mark(l, *b, l->on_b, l->stride_b, 0);
    if (status) return status;
    tn_mark(l, *a, l->on_b, l->stride_a, 1); /* on_b doubles as "on the other" */
    status = prepare(l, b, l->on_b);
    tn_mark(l, *a, l->on_b, l->stride_a, 0);
    return status;
}

tn_status tn_pair_step(tn_lowering *l, int32_t *left, int32_t *right, tn_target target, int32_t c) {
    tn_status status = prepare_pair(l, left, right);
    if (status) return status;
    const int is_result = target.result >= 0 && !l->net->n_needed;
    const int is_free = target.step >= 0 && !(l->stem_of && l->stem_of[target.step]);
    const int32_t result = c;
    int32_t a = *left, b = *right;
    if (l->p->values[a].n_axes + l->p->values[b].n_axes > TN_MAX_DIMS) return TN_TOO_LARGE;
    if (is_result || is_free) status = tn_reorder(l, &a, &b, is_result ? &c : NULL);
    if (status) return status;
    tn_mark(l, a, l->on_a, l->stride_a, 1);
    tn_mark(l, b, l->on_b, l->stride_b, 1);
    status = tn_lay_out(l, a, b, target, result);
    if (status) return status;

    tn_dim group[4][TN_MAX_DIMS];
    int count[4] = {0};
    const tn_value va = l->p->values[a], vc = l->p->values[c];
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
        if (l->alive[i] == 2) {
            group[3][count[3]++] = (tn_dim){l->sizes[i], l->stride_a[i], l->stride_b[i], 0};
            if (target.step >= 0) l->summed_at[i] = target.step;
        }
        l->alive[i]--; /* a and b become one holder, or none */
    }
    tn_mark(l, a, l->on_a, l->stride_a, 0);
    tn_mark(l, b, l->on_b, l->stride_b, 0);
    tn_dim dims[TN_MAX_DIMS];
    int n = 0;
    for (int g = 0; g < 4; g++)
        for (int d = 0; d < count[g]; d++) dims[n++] = group[g][d];
    tn_step step = {.a = a, .b = b, .c = c};
    step.x.n_batch = (uint8_t)count[0];
    step.x.n_m = (uint8_t)count[1];
    step.x.n_n = (uint8_t)count[2];
    step.x.n_k = (uint8_t)count[3];
    step.x.accumulate = (uint8_t)(c == result && target.accumulate);
    status = tn_add_step(l, step, dims);
    return status || c == result ? status : tn_move_step(l, c, result, 0, target.accumulate);
}

/* The steps of the forward sweep, into the first result; with strip that is a value of its own, added
 * to the sums with its exponent. */
static tn_status lower_steps(tn_lowering *l, int32_t *root) {
    const tn_network *net = l->net;
    const int64_t n_steps = net->n_inputs - 1;
    const tn_target last = l->p->strip ? TN_NEW_VALUE : (tn_target){0, -1, net->n_sliced > 0, -1};
    tn_status status;
    if (n_steps == 0) {
        int32_t v = 0;
        status = tn_widen(l, &v);
        if (status) return status;
        const tn_value value = l->p->values[v];
        for (int32_t d = 0; d < value.n_axes; d++) {
            int32_t i = l->axes.index[value.first_axis + d];
            l->on_a[i] = l->alive[i] == 1;
        }
        status = unary_step(l, v, last, 0, l->on_a, root);
        tn_mark(l, v, l->on_a, l->stride_a, 0);
        return status;
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
        const tn_target next = {-1, -1, 0, t};
        status = tn_pair_step(l, &a, &b, t == n_steps - 1 ? last : next, c);
        if (status) return status;
        l->prepared[2 * t] = a;
        l->prepared[2 * t + 1] = b;
        *root = c;
    }
    return TN_OK;
}

/* The extents within a slice, and the loops over slices. */
static tn_status set_sizes(tn_lowering *l) {
    const tn_network *net = l->net;
    tn_program *p = l->p;
    double log2_slices = 0, log2_output = 4;
    for (int64_t i = 0; i < net->n_indices; i++) {
        l->sizes[i] = net->sizes[i];
        l->loop_of[i] = -1;
        l->summed_at[i] = net->n_inputs;
    }
    for (int64_t s = 0; s < net->n_sliced; s++) {
        const int64_t i = net->sliced[s];
        l->loop_of[i] = (int32_t)s;
        p->extents[s] = net->sizes[i];
        log2_slices += log2((double)net->sizes[i]);
        l->sizes[i] = 1;
    }
    for (int64_t d = 0; d < net->n_output; d++) log2_output += log2((double)net->sizes[net->output[d]]);
    if (net->n_sliced > 64 || log2_slices > TN_LOG2_LIMIT || log2_output > TN_LOG2_LIMIT ||
        net->n_output > TN_MAX_DIMS)
        return TN_TOO_LARGE;
    for (int64_t s = 0; s < net->n_sliced; s++) p->slices *= p->extents[s];
    return TN_OK;
}

/* Dims and tables have their place in memory when all steps are there, and not before. */
static void bind_dims(tn_program *p) {
    for (int64_t i = 0; i < p->n_steps; i++) {
        tn_step *s = &p->steps[i];
        s->x.dims = p->dims + s->first_dim;
        s->x.table = s->first_entry < 0 ? NULL : p->tables + s->first_entry;
    }
    for (int64_t r = 0; r < p->n_results; r++) {
        p->results[r].fill.dims = p->dims + p->results[r].fill_dims;
        p->results[r].copy.dims = p->dims + p->results[r].copy_dims;
    }
    p->collect.dims = p->dims + p->collect_dims;
}

static tn_status lower(tn_lowering *l) {
    const tn_network *net = l->net;
    tn_status status = set_sizes(l);
    for (int32_t v = 0; v < net->n_inputs && !status; v++) {
        const int64_t first = net->starts[v];
        l->current[v] = v;
        status = tn_add_input(l, v, net->ids + first, net->starts[v + 1] - first,
                              net->input_strides ? net->input_strides + first : NULL);
    }
    if (!status) status = tn_add_results(l);
    int32_t root = -1;
    if (!status) status = lower_steps(l, &root);
    if (!status && net->n_needed) status = tn_add_cotangent(l);
    if (status) return status;
    tn_rank_loops(l->p);
    if (net->n_needed) status = tn_lower_backward(l);
    if (!status) status = tn_add_passes(l, root);
    if (status) return status;
    bind_dims(l->p);
    return tn_schedule(l->p, root, net->largest);
}

static void make_tilings(tn_program *p) {
    for (int64_t i = 0; i < p->n_steps; i++)
        p->steps[i].x.tiling = p->steps[i].blocks > 1 ? tn_make_tiling(&p->steps[i].x) : NULL;
}

/* Whether the result is made of the entries of one operand, none of them changed. */
static int only_moves(const tn_network *net) {
    if (net->n_inputs != 1 || net->strip || net->n_needed) return 0;
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

static void list_readers(tn_lowering *l) {
    const tn_network *net = l->net;
    const int64_t n = net->n_inputs;
    for (int64_t t = 0; t < n; t++) l->reader[t] = -1;
    for (int64_t i = 0; i < 2 * (n - 1); i++)
        if (net->steps[i] >= n) l->reader[net->steps[i] - n] = i / 2;
}

/* Everything but the program. */
static void free_lowering(tn_lowering *l) {
    free(l->loop_of);
    free(l->stem_of);
    free(l->sizes);
    free(l->alive);
    free(l->stride_a);
    free(l->on_a);
    free(l->current);
    free(l->reader);
    free(l->rank);
    free(l->summed_at);
    free(l->axes.index);
    free(l->axes.stride);
}

/* Lowers the network with these stems fused, once more if it was lowered before. */
static tn_status lower_with(tn_lowering *made, const tn_network *net, const tn_lowering *before,
                            const tn_stem *stems, int64_t n_stems) {
    const size_t ids = 2 * (size_t)(net->starts[net->n_inputs] + net->n_output) + 1;
    const size_t indices = (size_t)net->n_indices + 1, inputs = (size_t)net->n_inputs;
    const int64_t n_inputs = net->n_inputs + (net->n_needed > 0);
    tn_status status = TN_NO_MEMORY;
    tn_lowering l = {.net = net, .before = before, .stem_of = list_stems(net, stems, n_stems)};
    tn_program *p = l.p = calloc(1, sizeof *p);
    if (!p || (n_stems && !l.stem_of)) goto done;
    const int half = net->dtype == TN_F16, moves = only_moves(net);
    *p = (tn_program){.half = half && !moves,
                      .dtype = !half ? net->dtype : moves ? TN_U16 : TN_F32,
                      .strip = net->strip,
                      .threads = net->threads,
                      .n_inputs = n_inputs,
                      .n_values = n_inputs,
                      .n_loops = net->n_sliced,
                      .n_results = 1 + net->n_needed,
                      .stripped = -1,
                      .slices = 1};
    l.values_capacity = (int64_t)(2 * inputs + 4);
    p->values = malloc((size_t)l.values_capacity * sizeof *p->values);
    p->results = calloc((size_t)p->n_results, sizeof *p->results);
    /* per operand at most a widening, a summing and an ordering copy, besides its tree step; three for the last
     * one; backwards two products for the step and a copy of its sum, and the cotangent is widened */
    p->steps = malloc((7 * inputs + 7) * sizeof *p->steps);
    p->fused = malloc((size_t)(n_stems + 1) * sizeof *p->fused);
    p->slice_strides = malloc(ids * sizeof *p->slice_strides);
    p->extents = malloc((size_t)(net->n_sliced + 1) * sizeof *p->extents);
    p->section_start = calloc(2 * (size_t)net->n_sliced + 2, sizeof *p->section_start);
    p->level_macs = calloc((size_t)net->n_sliced + 1, sizeof *p->level_macs);
    p->forward_macs = calloc((size_t)net->n_sliced + 1, sizeof *p->forward_macs);
    l.sizes = malloc(indices * sizeof *l.sizes);
    l.alive = calloc(indices, sizeof *l.alive);
    l.stride_a = malloc(3 * indices * sizeof *l.stride_a);
    l.on_a = calloc(2 * indices, 1);
    l.current = malloc(4 * inputs * sizeof *l.current);
    l.loop_of = malloc(indices * sizeof *l.loop_of);
    l.reader = malloc(inputs * sizeof *l.reader);
    l.rank = calloc(indices, sizeof *l.rank);
    l.summed_at = malloc(indices * sizeof *l.summed_at);
    if (p->values && p->results && p->steps && p->fused && p->slice_strides && p->extents &&
        p->section_start && p->level_macs && p->forward_macs && l.sizes && l.alive && l.stride_a && l.on_a &&
        l.current && l.loop_of && l.reader && l.rank && l.summed_at) {
        l.prepared = l.current + 2 * inputs;
        l.stride_b = l.stride_a + indices;
        l.stride_c = l.stride_b + indices;
        l.on_b = l.on_a + indices;
        list_readers(&l);
        status = lower(&l);
    }
    if (!status) make_tilings(p);
done:
    if (status) tn_program_free(p), l.p = NULL;
    *made = l;
    return status;
}

static int sums_scattered(const tn_lowering *l) {
    for (int64_t t = 0; t < l->net->n_inputs - 1; t++)
        if (tn_sums_scattered(l, t)) return 1;
    return 0;
}

tn_status tn_lower(const tn_network *net, tn_program **program) {
    tn_lowering first, second;
    tn_stem *stems = NULL;
    int64_t count = 0;
    tn_status status = lower_with(&first, net, NULL, NULL, 0);
    *program = first.p;
    if (!status) status = tn_find_stems(&first, &stems, &count);
    if (!status && (count || sums_scattered(&first))) { /* once more, knowing what reads each result */
        status = lower_with(&second, net, &first, stems, count);
        free_lowering(&second);
        *program = second.p;
        tn_program_free(first.p);
    }
    free_lowering(&first);
    free(stems);
    if (status && *program) tn_program_free(*program), *program = NULL;
    return status;
}

void tn_program_free(tn_program *p) {
    if (!p) return;
    for (int64_t i = 0; i < p->n_steps; i++) free((void *)p->steps[i].x.tiling);
    free(p->steps);
    free(p->results);
    free(p->values);
    free(p->dims);
    free(p->tables);
    free(p->fused);
    free(p->slice_strides);
    free(p->extents);
    free(p->section_start);
    free(p->level_macs);
    free(p->forward_macs);
    free(p);
}
