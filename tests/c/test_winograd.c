/* Convolution in Winograd's form against its definition, on small whole numbers, with which all that is
 * computed is exact; and every byte outside of the result stays as it was. */
#include "support.h"

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

/* Half of the layouts have unit stride along the channels or along the columns, the others any. */
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
    x->at.batch = 1 + rng_below(r, 3);
    x->channels = pick_extent(r);
    x->outputs = pick_extent(r);
    for (int d = 1; d < 3; d++) {
        const int64_t after = rng_below(r, 3);
        x->at.before[d] = rng_below(r, 4) - (rng_below(r, 4) == 0); /* some are cut off */
        x->at.in[d] = d == 2 && rng_below(r, 8) == 0 ? 120 : pick_extent(r);
        x->at.out[d] = x->at.in[d] + x->at.before[d] + after - 2;
        if (x->at.out[d] < 1) x->at.out[d] = 1;
    }
    const int64_t in[] = {x->at.batch, x->at.in[1], x->at.in[2], x->channels};
    const int64_t out[] = {x->at.batch, x->at.out[1], x->at.out[2], x->outputs};
    const int64_t taps[] = {3, 3, x->channels, x->outputs};
    lay_out(&e.x, r, size, in, rng_below(r, 2) ? last : first);
    lay_out(&e.w, r, size, taps, rng_below(r, 2) ? last : outputs_first);
    lay_out(&e.y, r, size, out, rng_below(r, 2) ? last : first);
    x->x = volume_of(&e.x);
    x->y = volume_of(&e.y);
    x->w_row = e.w.stride[0], x->w_column = e.w.stride[1];
    x->w_in = e.w.stride[2], x->w_out = e.w.stride[3];
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
    for (int64_t r = 0; r < 3; r++)
        for (int64_t s = 0; s < 3; s++) {
            const int64_t i = row + r - x->at.before[1], j = column + s - x->at.before[2];
            if (i < 0 || i >= x->at.in[1] || j < 0 || j >= x->at.in[2]) continue;
            for (int64_t c = 0; c < x->channels; c++)
                sum += value_get(x->dtype, entry(&e->x, e->in, n, i, j, c)).re *
                       value_get(x->dtype, entry(&e->w, e->weights, r, s, c, o)).re;
        }
    return sum;
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

static void run(example *e, int threads) {
    const int64_t bytes = tn_winograd_workspace(&e->call, threads);
    tn_control control = {0};
    char *space = tn_alloc((size_t)bytes);
    CHECK(space, "%lld bytes", (long long)bytes);
    memset(space, 0xff, (size_t)bytes); /* not numbers: what was not written must not count */
    tn_winograd_run(&e->call, e->in + e->x.base, e->weights + e->w.base, e->out + e->y.base,
                    threads, space, &control);
    tn_free(space, (size_t)bytes);
    tn_trim();
}

static void any_layout_gives_the_sums_over_windows(void) {
    for (int i = 0; i < 60; i++) {
        rng r = {(uint64_t)i};
        example e = make_example(&r, i % 2 ? TN_F64 : TN_F32);
        char *want = expected(&e);
        run(&e, 1 + i % THREADS);
        CHECK(!memcmp(want, e.out, (size_t)e.y.bytes), "case %d", i);
        free(want);
        free_example(&e);
    }
}

static void the_bits_are_the_same_for_any_number_of_threads(void) {
    for (int i = 0; i < 4; i++) {
        rng r = {(uint64_t)i};
        const int64_t extents[] = {2, 20, 50, 40};
        const int dtype = i % 2 ? TN_F64 : TN_F32;
        example e = {.call = {.channels = 40, .outputs = 70, .dtype = dtype}};
        e.call.at = (tn_windows){.batch = 2, .in = {1, 20, 50}, .out = {1, 18, 48}};
        e.x = (layout){.n = 4};
        memcpy(e.x.extent, extents, sizeof extents);
        e.w = (layout){.n = 4, .extent = {3, 3, 40, 70}};
        e.y = (layout){.n = 4, .extent = {2, 18, 48, 70}};
        layout *all[] = {&e.x, &e.w, &e.y};
        for (int a = 0; a < 3; a++) layout_contiguous(all[a], tn_itemsize(dtype));
        e.call.x = volume_of(&e.x), e.call.y = volume_of(&e.y);
        e.call.w_row = e.w.stride[0], e.call.w_column = e.w.stride[1];
        e.call.w_in = e.w.stride[2], e.call.w_out = e.w.stride[3];
        e.in = array_random(&e.x, dtype, &r, value_rough);
        e.weights = array_random(&e.w, dtype, &r, value_rough);
        e.out = array_random(&e.y, dtype, &r, value_rough);
        run(&e, 1);
        char *first = allocate(e.y.bytes);
        memcpy(first, e.out, (size_t)e.y.bytes);
        for (int threads = 2; threads <= 5; threads++) {
            memset(e.out, 0xff, (size_t)e.y.bytes);
            run(&e, threads);
            CHECK(!memcmp(first, e.out, (size_t)e.y.bytes), "case %d, %d threads", i, threads);
        }
        free(first);
        free_example(&e);
    }
}

const test winograd_tests[] = {
    TEST(any_layout_gives_the_sums_over_windows),
    TEST(the_bits_are_the_same_for_any_number_of_threads),
    {0},
};
