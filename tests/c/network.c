#include "network.h"

#include <stdlib.h>
#include <string.h>

static void point_to_arrays(network *g, int dtype) {
    g->net.starts = g->starts;
    g->net.ids = g->ids;
    g->net.sizes = g->sizes;
    g->net.output = g->output;
    g->net.sliced = g->sliced;
    g->net.steps = g->steps;
    g->net.dtype = dtype;
    g->net.threads = 1;
}

/* Layouts and contents once the indices are known; strides are left out where they may be. */
static void fill(network *g, rng *r, int random, value (*make)(int, rng *)) {
    const int dtype = g->net.dtype;
    const int64_t size = tn_itemsize(dtype);
    const int strided = random && rng_below(r, 3), out_strided = random && rng_below(r, 2);
    for (int64_t v = 0; v < g->net.n_inputs; v++) {
        layout *l = &g->inputs[v];
        l->n = (int)(g->starts[v + 1] - g->starts[v]);
        for (int d = 0; d < l->n; d++) l->extent[d] = g->sizes[g->ids[g->starts[v] + d]];
        if (strided) layout_random(l, r, size, 1);
        else layout_contiguous(l, size);
        memcpy(g->input_strides + g->starts[v], l->stride, (size_t)l->n * sizeof *l->stride);
        g->blocks[v] = array_random(l, dtype, r, make);
        g->data[v] = g->blocks[v] + l->base;
    }
    g->result.n = (int)g->net.n_output;
    for (int d = 0; d < g->result.n; d++) g->result.extent[d] = g->sizes[g->output[d]];
    if (out_strided) layout_random(&g->result, r, size, 0);
    else layout_contiguous(&g->result, size);
    memcpy(g->output_strides, g->result.stride, (size_t)g->result.n * sizeof *g->output_strides);
    if (strided) g->net.input_strides = g->input_strides;
    if (out_strided) g->net.output_strides = g->output_strides;
}

static void random_steps(network *g, rng *r) {
    int64_t live[MAX_TENSORS], n = g->net.n_inputs;
    for (int64_t v = 0; v < n; v++) live[v] = v;
    for (int64_t t = 0; n > 1; t++) {
        for (int side = 0; side < 2; side++) {
            const int at = rng_below(r, (int)n);
            g->steps[2 * t + side] = live[at];
            live[at] = live[--n];
        }
        live[n++] = g->net.n_inputs + t;
    }
}

void network_random(network *g, rng *r, int dtype) {
    static const int extents[] = {1, 2, 2, 2, 3, 3, 4, 5};
    *g = (network){0};
    point_to_arrays(g, dtype);
    g->net.n_inputs = rng_below(r, 8) ? 2 + rng_below(r, MAX_TENSORS - 1) : 1;
    g->net.n_indices = 1 + rng_below(r, MAX_INDICES);
    int64_t points = 1;
    for (int64_t i = 0; i < g->net.n_indices; i++) {
        g->sizes[i] = extents[rng_below(r, 8)];
        if (points * g->sizes[i] > 2500) g->sizes[i] = 1;
        points *= g->sizes[i];
    }
    int used[MAX_INDICES] = {0};
    for (int64_t v = 0; v < g->net.n_inputs; v++) {
        int64_t end = g->starts[v];
        for (int axes = rng_below(r, 6); axes > 0; axes--) {
            g->ids[end] = rng_below(r, (int)g->net.n_indices);
            used[g->ids[end++]] = 1;
        }
        g->starts[v + 1] = end;
    }
    for (int64_t i = 0; i < g->net.n_indices; i++) {
        if (!used[i]) g->sizes[i] = 1;
        if (used[i] && rng_below(r, 5) < 2) { /* at a random place of the output */
            const int at = rng_below(r, (int)g->net.n_output + 1);
            g->output[g->net.n_output++] = g->output[at];
            g->output[at] = i;
        }
        if (used[i] && g->net.n_sliced < 3 && rng_below(r, 4) == 0)
            g->sliced[g->net.n_sliced++] = i;
    }
    random_steps(g, r);
    g->net.largest = rng_below(r, 2) ? rng_below(r, 2000) : 0;
    fill(g, r, 1, value_random);
}

/* Appends an index to the last operand. */
static void add_id(network *g, int64_t index) {
    g->ids[g->starts[g->net.n_inputs]++] = index;
}

static void begin_operand(network *g) {
    const int64_t n = ++g->net.n_inputs;
    g->starts[n] = g->starts[n - 1];
}

/* Another large operand, which most of what is open is summed over with, and a small one after it. */
static void meet_another(network *g, rng *r, int64_t *open, int64_t *n_open) {
    int64_t left = 0;
    begin_operand(g);
    for (int64_t i = 0; i < *n_open; i++) {
        const int shared = rng_below(r, 8) > 0;
        if (shared) add_id(g, open[i]);
        if (!shared || !rng_below(r, 8)) open[left++] = open[i];
    }
    *n_open = left;
    begin_operand(g);
    if (left) add_id(g, open[0]);
}

void network_stem(network *g, rng *r, int dtype) {
    int64_t open[MAX_INDICES], n_open = 0, points = 1;
    *g = (network){0};
    point_to_arrays(g, dtype);
    begin_operand(g);
    for (int i = 0; i < 6; i++) {
        g->sizes[i] = i < 2 ? 8 + rng_below(r, 8) : 2 + !rng_below(r, 5);
        points *= g->sizes[i];
        add_id(g, open[n_open++] = i);
    }
    g->net.n_indices = 6;
    for (int gate = 2 + rng_below(r, 4); gate > 0; gate--) {
        begin_operand(g);
        for (int axes = 1 + rng_below(r, 2); axes > 0 && n_open > 3; axes--) {
            const int kept = rng_below(r, 8) ? 2 : 0, at = kept + rng_below(r, (int)n_open - kept);
            add_id(g, open[at]);
            if (rng_below(r, 2)) open[at] = open[--n_open]; /* summed here */
        }
        if (g->net.n_indices == MAX_INDICES || points > 9000 || !rng_below(r, 4)) continue;
        g->sizes[g->net.n_indices] = 2 + rng_below(r, 2);
        points *= g->sizes[g->net.n_indices];
        add_id(g, open[n_open++] = g->net.n_indices++);
    }
    if (rng_below(r, 2)) meet_another(g, r, open, &n_open);
    while (n_open) {
        const int64_t i = open[--n_open];
        if (rng_below(r, 12)) g->output[g->net.n_output++] = i;
        if (g->net.n_sliced < 2 && !rng_below(r, 9)) g->sliced[g->net.n_sliced++] = i;
    }
    /* from the left; sometimes the last two operands first meet each other */
    const int64_t n = g->net.n_inputs, pair = n > 3 && rng_below(r, 2);
    int64_t stem = 0, t = 0;
    for (int64_t v = 1; v < n - 2 * pair; v++, stem = n + t++)
        g->steps[2 * t] = stem, g->steps[2 * t + 1] = v;
    if (pair) {
        g->steps[2 * t] = n - 1, g->steps[2 * t + 1] = n - 2;
        g->steps[2 * t + 2] = n + t, g->steps[2 * t + 3] = stem;
    }
    fill(g, r, 1, value_random);
}

void network_parse(network *g, const char *equation, const int64_t *sizes, const char *sliced,
                   int dtype, value (*make)(int, rng *)) {
    *g = (network){0};
    point_to_arrays(g, dtype);
    int64_t end = 0;
    const char *s = equation;
    for (; *s != '-'; s++) {
        if (*s == ',') {
            g->starts[++g->net.n_inputs] = end;
            continue;
        }
        g->ids[end++] = *s - 'a';
        if (*s - 'a' >= g->net.n_indices) g->net.n_indices = *s - 'a' + 1;
    }
    g->starts[++g->net.n_inputs] = end;
    for (s += 2; *s; s++) g->output[g->net.n_output++] = *s - 'a';
    for (; *sliced; sliced++) g->sliced[g->net.n_sliced++] = *sliced - 'a';
    memcpy(g->sizes, sizes, (size_t)g->net.n_indices * sizeof *sizes);
    for (int64_t t = 0; t < g->net.n_inputs - 1; t++) {
        g->steps[2 * t] = t ? g->net.n_inputs + t - 1 : 0;
        g->steps[2 * t + 1] = t + 1;
    }
    rng r = {11};
    fill(g, &r, 0, make);
}

void network_ring(network *g, int64_t extent, int dtype, value (*make)(int, rng *)) {
    static const int64_t steps[] = {0, 1, 2, 3, 8, 9, 4, 5, 6, 7, 11, 12, 10, 13};
    int64_t sizes[8];
    for (int i = 0; i < 8; i++) sizes[i] = extent;
    network_parse(g, "ab,bc,cd,de,ef,fg,gh,ha->", sizes, "", dtype, make);
    memcpy(g->steps, steps, sizeof steps);
}

void network_free(network *g) {
    for (int64_t v = 0; v < g->net.n_inputs; v++) free(g->blocks[v]);
}

int64_t network_elements(const network *g) {
    int64_t elements = 1;
    for (int64_t d = 0; d < g->net.n_output; d++) elements *= g->sizes[g->output[d]];
    return elements;
}

int64_t network_place(const network *g, int64_t i) {
    int64_t at = g->result.base;
    for (int d = g->result.n - 1; d >= 0; d--) {
        at += i % g->result.extent[d] * g->result.stride[d];
        i /= g->result.extent[d];
    }
    return at;
}

/* The element of operand v where the indices have these digits. */
static value entry(const network *g, int64_t v, const int64_t *digit) {
    const char *at = g->data[v];
    for (int d = 0; d < g->inputs[v].n; d++)
        at += digit[g->ids[g->starts[v] + d]] * g->inputs[v].stride[d];
    return value_get(g->net.dtype, at);
}

/* The place, counted in C order, of the element with these digits in an array of these indices. */
static int64_t element(const network *g, const int64_t *ids, int64_t n, const int64_t *digit) {
    int64_t at = 0;
    for (int64_t d = 0; d < n; d++) at = at * g->sizes[ids[d]] + digit[ids[d]];
    return at;
}

value *network_gradient(const network *g, int64_t v, const value *cotangent) {
    const int dtype = g->net.dtype;
    const int64_t *ids = g->ids + g->starts[v], n = g->starts[v + 1] - g->starts[v];
    int64_t digit[MAX_INDICES] = {0}, i = 0, elements = 1;
    for (int64_t d = 0; d < n; d++) elements *= g->sizes[ids[d]];
    value *result = allocate(elements * (int64_t)sizeof *result);
    memset(result, 0, (size_t)elements * sizeof *result);
    do {
        value product = cotangent[element(g, g->output, g->net.n_output, digit)];
        for (int64_t w = 0; w < g->net.n_inputs; w++)
            if (w != v) product = value_multiply(dtype, product, entry(g, w, digit));
        value *to = &result[element(g, ids, n, digit)];
        *to = value_add(dtype, *to, product);
        for (i = g->net.n_indices - 1; i >= 0 && ++digit[i] == g->sizes[i]; i--) digit[i] = 0;
    } while (i >= 0);
    return result;
}

value *network_value(const network *g) {
    const int dtype = g->net.dtype;
    int64_t digit[MAX_INDICES] = {0}, i = 0;
    value *result = allocate(network_elements(g) * (int64_t)sizeof *result);
    memset(result, 0, (size_t)network_elements(g) * sizeof *result);
    do {
        value product = entry(g, 0, digit);
        for (int64_t v = 1; v < g->net.n_inputs; v++)
            product = value_multiply(dtype, product, entry(g, v, digit));
        const int64_t to = element(g, g->output, g->net.n_output, digit);
        result[to] = value_add(dtype, result[to], product);
        for (i = g->net.n_indices - 1; i >= 0 && ++digit[i] == g->sizes[i]; i--) digit[i] = 0;
    } while (i >= 0);
    return result;
}
