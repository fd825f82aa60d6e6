/* Where results go: the value of the network and the gradients, whose slices are summed in the caller's
 * arrays or among the sums of a chunk; and the passes over whole results. */
#include "lowering.h"

#include <string.h>

/* Strides of what the last step writes to: the caller's array, or the sums of a chunk. */
static void set_output_strides(tn_lowering *l) {
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
        if (l->loop_of[i] < 0) continue;
        p->slice_strides[p->n_slice_strides++] = (tn_slice_stride){-1, l->loop_of[i], strides[d]};
    }
}

/* Where the slices of the gradients lie. */
static void slice_gradients(tn_lowering *l) {
    const tn_network *net = l->net;
    tn_program *p = l->p;
    int64_t strides[TN_MAX_DIMS];
    for (int32_t r = 1; r < p->n_results; r++) {
        const int64_t first = net->starts[net->needed[r - 1]];
        const int64_t n = net->starts[net->needed[r - 1] + 1] - first, *ids = net->ids + first;
        tn_contiguous_strides(net->sizes, ids, n, tn_itemsize(p->dtype), strides);
        for (int64_t d = 0; d < n; d++) {
            const int32_t loop = l->loop_of[ids[d]];
            if (loop < 0) continue;
            p->slice_strides[p->n_slice_strides++] = (tn_slice_stride){-1 - r, loop, strides[d]};
        }
    }
}

tn_status tn_add_results(tn_lowering *l) {
    const tn_network *net = l->net;
    tn_program *p = l->p;
    int64_t elements = 0;
    for (int64_t r = 0; r < p->n_results; r++) {
        const int64_t *ids = net->output, *end = ids + net->n_output;
        tn_result *result = &p->results[r];
        if (r) {
            ids = net->ids + net->starts[net->needed[r - 1]];
            end = net->ids + net->starts[net->needed[r - 1] + 1];
        }
        *result = (tn_result){.value = -1, .elements = 1};
        for (; ids < end; ids++) result->elements *= net->sizes[*ids];
        elements += result->elements;
    }
    tn_split_slices(p, net->largest, elements);
    set_output_strides(l);
    slice_gradients(l);
    p->results[0].own_sums = !p->direct;
    p->results[0].cleared = p->direct && p->n_loops;
    return TN_OK;
}

/* A unary contraction over a result: fill (a has no strides) or copy. */
static void add_pass(tn_contraction *x, int64_t *first_dim, tn_lowering *l, const tn_dim *dims, int n,
                     int accumulate) {
    *x = (tn_contraction){.dims = dims, .n_m = (uint8_t)n, .dtype = (uint8_t)l->p->dtype,
                          .accumulate = (uint8_t)accumulate, .unary = 1};
    *first_dim = l->dims_count;
    tn_choose_road(x, l->p->dims + l->dims_count);
    l->dims_count += x->n_batch + x->n_m + x->n_n + x->n_k;
}

/* Zeroing the caller's array, of these dims, and copying sums to it. */
static void add_passes(tn_lowering *l, tn_result *result, const tn_dim *dims, int n) {
    tn_program *p = l->p;
    tn_dim fill[TN_MAX_DIMS];
    for (int d = 0; d < n; d++) fill[d] = (tn_dim){dims[d].n, 0, 0, dims[d].sc};
    add_pass(&result->fill, &result->fill_dims, l, fill, n, 0);
    if (!p->half) {
        add_pass(&result->copy, &result->copy_dims, l, dims, n, 0);
        return;
    }
    result->copy_dims = l->dims_count; /* narrowing walks its dims as they are */
    result->copy = (tn_contraction){.n_batch = (uint8_t)n};
    memcpy(p->dims + l->dims_count, dims, (size_t)n * sizeof *dims);
    l->dims_count += n;
}

tn_status tn_add_passes(tn_lowering *l, int32_t root) {
    tn_program *p = l->p;
    const tn_network *net = l->net;
    tn_dim copy[TN_MAX_DIMS], collect[TN_MAX_DIMS];
    int64_t sums[TN_MAX_DIMS], made[TN_MAX_DIMS];
    int n = 0, n_collect = 0;
    const int64_t itemsize = tn_itemsize(p->dtype), out_size = p->half ? 2 : itemsize;
    const int64_t *out = net->output_strides;
    tn_contiguous_strides(net->sizes, net->output, net->n_output, itemsize, sums);
    tn_contiguous_strides(net->sizes, net->output, net->n_output, out_size, made);
    if (!out) out = made;
    const int64_t needed = l->dims_count + 3 * net->n_output + 3 + 4 * p->n_results;
    if (!tn_grow((void **)&p->dims, &l->dims_capacity, needed, sizeof *p->dims)) return TN_NO_MEMORY;
    tn_mark(l, root, l->on_a, l->stride_a, 0);
    for (int64_t d = 0; d < net->n_output; d++) {
        const int64_t i = net->output[d], extent = net->sizes[i];
        if (l->sizes[i] > 1)
            collect[n_collect++] = (tn_dim){extent, l->stride_a[i], 0, sums[d]};
        if (extent > 1) copy[n++] = (tn_dim){extent, sums[d], 0, out[d]};
    }
    add_passes(l, &p->results[0], copy, n);
    add_pass(&p->collect, &p->collect_dims, l, collect, n_collect, 1);
    for (int64_t r = 1; r < p->n_results; r++) {
        const tn_dim whole = {p->results[r].elements, itemsize, 0, out_size};
        add_passes(l, &p->results[r], &whole, 1);
    }
    p->stripped = p->strip ? root : -1;
    return TN_OK;
}
