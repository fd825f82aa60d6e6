/* Convolution in Winograd's form against its definition, on small whole numbers, with which all that is
 * computed is exact for windows of 3 x 3, and near enough to be rounded for those of 5 x 5; and every
 * byte outside of the result stays as it was. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 3 };

/* Operands of one random case: images, weights and result with layouts of four axes each. */
typedef struct {
    tn_winograd call;
    layout x, w, y; /* batch, row, column, channel; row, column, channel, output */
    char *in, *weights, *out;
} example;

static tn_volume volume_of(const layout *l) {
    return (tn_volume){l->stride[0], l->stride[3], {0, l->stride[1], l->stride[2]}};
}

static void set_strides(example *e) {
    tn_winograd *x = &e->call;
    x->x = volume_of(&e->x);
    x->y = volume_of(&e->y);
    x->w_row = e->w.stride[0], x->w_column = e->w.stride[1];
    x->w_in = e->w.stride[2], x->w_out = e->w.stride[3];
}

/* Most layouts have unit stride along the channels or along the columns, the others along any axis. */
static void lay_out(layout *l, rng *r, int64_t size, const int64_t *extent, int64_t *order) {
    layout turned = {.n = 4};
    l->n = 4;
    memcpy(l->extent, extent, sizeof turned.extent[0] * 4);
    if (rng_below(r, 4) == 0) {
        layout_random(l, r, size, 0);
        return;
    }
    for (int d = 0; d < 4; d++) turned.extent[d] = extent[order[d]];
    layout_contiguous(&turned, size);
    for (int d = 0; d < 4; d++) l->stride[order[d]] = turned.stride[d];
    l->base = turned.base;
    l->bytes = turned.bytes;
}

static int64_t pick_extent(rng *r) {
    static const int often[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 33};
    return often[rng_below(r, sizeof often / sizeof *often)];
}

static example make_example(rng *r, int dtype) {
    static int64_t last[] = {0, 1, 2, 3}, first[] = {0, 3, 1, 2}, outputs_first[] = {3, 2, 0, 1};
    const int64_t size = tn_itemsize(dtype);
    example e = {.call = {.dtype = dtype}};
    tn_winograd *x = &e.call;
    const int64_t kernel = 3 + 2 * rng_below(r, 2);
    x->at.batch = 1 + rng_below(r, 3);
    x->channels = pick_extent(r);
    x->outputs = pick_extent(r);
    for (int d = 1; d < 3; d++) {
        const int64_t after = rng_below(r, 3);
        x->at.before[d] = rng_below(r, 4) - (rng_below(r, 4) == 0); /* some are cut off */
        x->at.in[d] = d == 2 && rng_below(r, 8) == 0 ? 120 : pick_extent(r);
        x->at.kernel[d] = kernel;
        x->at.out[d] = x->at.in[d] + x->at.before[d] + after + 1 - kernel;
        if (x->at.out[d] < 1) x->at.out[d] = 1;
    }
    const int64_t in[] = {x->at.batch, x->at.in[1], x->at.in[2], x->channels};
    const int64_t out[] = {x->at.batch, x->at.out[1], x->at.out[2], x->outputs};
    const int64_t taps[] = {kernel, kernel, x->channels, x->outputs};
    lay_out(&e.x, r, size, in, rng_below(r, 2) ? last : first);
    lay_out(&e.w, r, size, taps, rng_below(r, 2) ? last : outputs_first);
    lay_out(&e.y, r, size, out, rng_below(r, 2) ? last : first);
    set_strides(&e);
    e.in = array_random(&e.x, dtype, r, value_random);
    e.weights = array_random(&e.w, dtype, r, value_random);
    e.out = array_random(&e.y, dtype, r, value_random);
    return e;
}

static void free_example(example *e) {
    free(e->in);
    free(e->weights);
    free(e->out);
}

static char *entry(const layout *l, char *memory, int64_t i, int64_t j, int64_t k, int64_t c) {
    return memory + l->base + i * l->stride[0] + j * l->stride[1] + k * l->stride[2] +
           c * l->stride[3];
}

/* One entry of the result by definition. */
static double window_sum(const example *e, int64_t n, int64_t row, int64_t column, int64_t o) {
    const tn_winograd *x = &e->call;
    double sum = 0;
    for (int64_t r = 0; r < x->at.kernel[1]; r++)
        for (int64_t s = 0; s < x->at.kernel[2]; s++) {
            const int64_t i = row + r - x->at.before[1], j = column + s - x->at.before[2];
            if (i < 0 || i >= x->at.in[1] || j < 0 || j >= x->at.in[2]) continue;
            for (int64_t c = 0; c < x->channels; c++)
                sum += value_get(x->dtype, entry(&e->x, e->in, n, i, j, c)).re *
                       value_get(x->dtype, entry(&e->w, e->weights, r, s, c, o)).re;
        }
    return sum;
}

/* One entry of the gradient to weights by definition. */
static double tap_sum(const example *e, int64_t r, int64_t s, int64_t c, int64_t o) {
    const tn_winograd *x = &e->call;
    double sum = 0;
    for (int64_t n = 0; n < x->at.batch; n++)
        for (int64_t row = 0; row < x->at.out[1]; row++)
            for (int64_t column = 0; column < x->at.out[2]; column++) {
                const int64_t i = row + r - x->at.before[1], j = column + s - x->at.before[2];
                if (i < 0 || i >= x->at.in[1] || j < 0 || j >= x->at.in[2]) continue;
                sum += value_get(x->dtype, entry(&e->x, e->in, n, i, j, c)).re *
                       value_get(x->dtype, entry(&e->y, e->out, n, row, column, o)).re;
            }
    return sum;
}

/* What the whole block of the weights should be after that: the gaps as they were. */
static char *expected_weights(const example *e) {
    const tn_winograd *x = &e->call;
    char *all = allocate(e->w.bytes);
    memcpy(all, e->weights, (size_t)e->w.bytes);
    for (int64_t r = 0; r < x->at.kernel[1]; r++)
        for (int64_t s = 0; s < x->at.kernel[2]; s++)
            for (int64_t c = 0; c < x->channels; c++)
                for (int64_t o = 0; o < x->outputs; o++) {
                    const value sum = {.re = tap_sum(e, r, s, c, o)};
                    value_put(x->dtype, entry(&e->w, all, r, s, c, o), sum);
                }
    return all;
}

/* What the whole block of the result should be: the gaps as they were. */
static char *expected(const example *e) {
    const tn_winograd *x = &e->call;
    char *all = allocate(e->y.bytes);
    memcpy(all, e->out, (size_t)e->y.bytes);
    for (int64_t n = 0; n < x->at.batch; n++)
        for (int64_t i = 0; i < x->at.out[1]; i++)
            for (int64_t j = 0; j < x->at.out[2]; j++)
                for (int64_t o = 0; o < x->outputs; o++) {
                    const value sum = {.re = window_sum(e, n, i, j, o)};
                    value_put(x->dtype, entry(&e->y, all, n, i, j, o), sum);
                }
    return all;
}

/* To the nearest whole numbers, but for the gaps. */
static void round_entries(const layout *l, char *memory, int dtype) {
    for (int64_t i = 0; i < l->extent[0]; i++)
        for (int64_t j = 0; j < l->extent[1]; j++)
            for (int64_t k = 0; k < l->extent[2]; k++)
                for (int64_t c = 0; c < l->extent[3]; c++) {
                    char *at = entry(l, memory, i, j, k, c);
                    const value whole = {.re = rint(value_get(dtype, at).re) + 0.0}; /* no -0 */
                    value_put(dtype, at, whole);
                }
}

/* Computes the result, or from it the weights; in memory of not-a-numbers, for what was not written
 * must not count. */
static void run(example *e, int threads, int to_weights) {
    const int64_t bytes = to_weights ? tn_winograd_to_weights_workspace(&e->call, threads)
                                     : tn_winograd_workspace(&e->call, threads);
    const char *in = e->in + e->x.base;
    char *weights = e->weights + e->w.base, *out = e->out + e->y.base;
    tn_control control = {0};
    char *space = allocate(bytes + TN_ALIGN), *at = space + TN_ALIGN;
    at -= (uintptr_t)at % TN_ALIGN;
    memset(space, 0xff, (size_t)(bytes + TN_ALIGN));
    if (to_weights)
        tn_winograd_to_weights(&e->call, in, out, weights, threads, at, &control);
    else
        tn_winograd_run(&e->call, in, weights, out, threads, at, &control);
    free(space);
}

static void any_layout_gives_the_sums_over_windows(void) {
    for (int i = 0; i < CASES_OF(60); i++) {
        rng r = {(uint64_t)i};
        example e = make_example(&r, i % 2 ? TN_F64 : TN_F32);
        char *want = expected(&e);
        run(&e, 1 + i % THREADS, 0);
        round_entries(&e.y, e.out, e.call.dtype);
        CHECK(!memcmp(want, e.out, (size_t)e.y.bytes), "case %d", i);
        free(want);
        free_example(&e);
    }
}

static void any_layout_gives_the_gradient_to_weights(void) {
    for (int i = 0; i < CASES_OF(60); i++) {
        rng r = {(uint64_t)i};
        example e = make_example(&r, i % 2 ? TN_F64 : TN_F32);
        char *want = expected_weights(&e);
        run(&e, 1 + i % THREADS, 1);
        round_entries(&e.w, e.weights, e.call.dtype);
        CHECK(!memcmp(want, e.weights, (size_t)e.w.bytes), "case %d", i);
        free(want);
        free_example(&e);
    }
}

/* Enough tiles for several blocks and parts, in C order. */
static example large_example(rng *r, int dtype, int64_t kernel) {
    example e = {.call = {.channels = 40, .outputs = 70, .dtype = dtype}};
    e.call.at = (tn_windows){.batch = 2, .out = {1, 18, 48}, .kernel = {1, kernel, kernel}};
    for (int d = 1; d < 3; d++) e.call.at.in[d] = e.call.at.out[d] + kernel - 1;
    e.x = (layout){.n = 4, .extent = {2, 17 + kernel, 47 + kernel, 40}};
    e.w = (layout){.n = 4, .extent = {kernel, kernel, 40, 70}};
    e.y = (layout){.n = 4, .extent = {2, 18, 48, 70}};
    layout *all[] = {&e.x, &e.w, &e.y};
    for (int a = 0; a < 3; a++) layout_contiguous(all[a], tn_itemsize(dtype));
    set_strides(&e);
    e.in = array_random(&e.x, dtype, r, value_rough);
    e.weights = array_random(&e.w, dtype, r, value_rough);
    e.out = array_random(&e.y, dtype, r, value_rough);
    return e;
}

static void the_bits_are_the_same_for_any_number_of_threads(void) {
    for (int i = 0; i < 8; i++) {
        rng r = {(uint64_t)i};
        const int to_weights = i / 2 % 2;
        example e = large_example(&r, i % 2 ? TN_F64 : TN_F32, i < 4 ? 3 : 5);
        char *made = to_weights ? e.weights : e.out;
        const int64_t bytes = to_weights ? e.w.bytes : e.y.bytes;
        run(&e, 1, to_weights);
        char *first = allocate(bytes);
        memcpy(first, made, (size_t)bytes);
        for (int threads = 2; threads <= 5; threads++) {
            memset(made, 0xff, (size_t)bytes);
            run(&e, threads, to_weights);
            CHECK(!memcmp(first, made, (size_t)bytes), "case %d, %d threads", i, threads);
        }
        free(first);
        free_example(&e);
    }
}

const test winograd_tests[] = {
    TEST(any_layout_gives_the_sums_over_windows),
    TEST(any_layout_gives_the_gradient_to_weights),
    TEST(the_bits_are_the_same_for_any_number_of_threads),
    {0},
};
