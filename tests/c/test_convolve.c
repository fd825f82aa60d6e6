/* Convolutions and their gradients to weights against sums over windows, element by element. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { CASES = CASES_OF(60) };

/* A call, and where its arrays lie: x, y [batch, spatial axes, groups, channels of one], w [groups,
 * spatial axes, channels of x, of y]. */
typedef struct {
    tn_convolution call;
    layout x, y, w;
} problem;

static int64_t some(rng *r, int most) { return 1 + rng_below(r, most); }

static tn_volume volume_of(const layout *l) {
    return (tn_volume){l->stride[0], l->stride[5], {l->stride[1], l->stride[2], l->stride[3]}};
}

/* Arrays for the windows of p, on which the channels of a group follow each other. */
static void lay_out(problem *p, rng *r, int contiguous) {
    tn_convolution *c = &p->call;
    const tn_windows *w = &c->windows;
    const int64_t size = tn_itemsize(c->dtype), groups = c->groups;
    p->x = (layout){6, {w->batch, w->in[0], w->in[1], w->in[2], groups, c->in_channels}, {0}, 0, 0};
    p->y = (layout){6, {w->batch, w->out[0], w->out[1], w->out[2], groups, c->out_channels}, {0}, 0, 0};
    p->w = (layout){6, {groups, w->kernel[0], w->kernel[1], w->kernel[2], c->in_channels,
                        c->out_channels}, {0}, 0, 0};
    layout *all[] = {&p->x, &p->y, &p->w};
    for (int i = 0; i < 3; i++) {
        if (contiguous || groups > 1)
            layout_contiguous(all[i], size);
        else
            layout_random(all[i], r, size, i == 0);
    }
    c->x = volume_of(&p->x);
    c->y = volume_of(&p->y);
    const int64_t *s = p->w.stride;
    c->w = (tn_weights){{s[1], s[2], s[3]}, s[4], s[5], s[0]};
}

static problem random_problem(int dtype, rng *r) {
    problem p = {.call = {.dtype = dtype}};
    tn_convolution *c = &p.call;
    tn_windows *w = &c->windows;
    c->groups = rng_below(r, 4) ? 1 : some(r, 3);
    c->in_channels = some(r, rng_below(r, 2) ? 3 : 19);
    c->out_channels = some(r, rng_below(r, 2) ? 3 : 40);
    w->batch = some(r, 3);
    for (int axis = 0; axis < 3; axis++) {
        const int there = axis > 0 || rng_below(r, 3) == 0;
        w->in[axis] = there ? some(r, 12) : 1;
        w->kernel[axis] = there ? some(r, 4) : 1;
        w->stride[axis] = some(r, 3);
        w->dilation[axis] = some(r, 3);
        w->before[axis] = there ? rng_below(r, 7) - 2 : 0;
        w->out[axis] = there ? some(r, 9) : 1; /* windows beyond the end see padding */
    }
    lay_out(&p, r, rng_below(r, 3) == 0);
    return p;
}

/* Calls visit with the offsets of every x, y and w that meet; x is negative where there is padding. */
typedef void (*visitor)(const problem *p, int64_t x, int64_t y, int64_t w, void *data);

static int64_t offset(const layout *l, const int64_t at[6]) {
    int64_t sum = l->base;
    for (int d = 0; d < 6; d++) sum += at[d] * l->stride[d];
    return sum;
}

static void visit_all(const problem *p, visitor visit, void *data) {
    const tn_windows *w = &p->call.windows;
    int64_t counts[10] = {w->batch, w->out[0], w->out[1], w->out[2], p->call.groups,
                          p->call.out_channels, w->kernel[0], w->kernel[1], w->kernel[2],
                          p->call.in_channels};
    int64_t total = 1, at[10] = {0};
    for (int d = 0; d < 10; d++) total *= counts[d];
    for (int64_t i = 0; i < total; i++) {
        int64_t x[6] = {at[0], 0, 0, 0, at[4], at[9]};
        int inside = 1;
        for (int axis = 0; axis < 3; axis++) {
            x[axis + 1] = at[axis + 1] * w->stride[axis] - w->before[axis] +
                          at[axis + 6] * w->dilation[axis];
            inside = inside && x[axis + 1] >= 0 && x[axis + 1] < w->in[axis];
        }
        const int64_t weight[6] = {at[4], at[6], at[7], at[8], at[9], at[5]};
        visit(p, inside ? offset(&p->x, x) : -1, offset(&p->y, at), offset(&p->w, weight), data);
        for (int d = 9; d >= 0 && ++at[d] == counts[d]; d--) at[d] = 0;
    }
}

typedef struct {
    const char *x, *other;
    char *sums;
    int to_weights;
} summed;

static void add_product(const problem *p, int64_t x, int64_t y, int64_t w, void *data) {
    const summed *s = data;
    const int dtype = p->call.dtype;
    char *to = s->sums + (s->to_weights ? w : y);
    if (x < 0) return;
    const value product = value_multiply(dtype, value_get(dtype, s->x + x),
                                         value_get(dtype, s->other + (s->to_weights ? y : w)));
    value_put(dtype, to, value_add(dtype, value_get(dtype, to), product));
}

static value value_zero(int dtype, rng *r) {
    (void)dtype, (void)r;
    return (value){0};
}

/* Runs one problem on arrays of small integers, of which all sums are exact. */
static void check_problem(const problem *p, rng *r, int to_weights, int number) {
    const int dtype = p->call.dtype;
    const layout *other = to_weights ? &p->y : &p->w, *result = to_weights ? &p->w : &p->y;
    char *x = array_random(&p->x, dtype, r, value_random);
    char *b = array_random(other, dtype, r, value_random);
    char *expected = array_random(result, dtype, r, value_zero);
    char *got = array_random(result, dtype, r, value_random);
    visit_all(p, add_product, &(summed){x, b, expected, to_weights});
    const tn_status status =
        to_weights ? tn_convolve_to_weights(&p->call, x + p->x.base, b + p->y.base,
                                            got + p->w.base, 2)
                   : tn_convolve(&p->call, x + p->x.base, b + p->w.base, got + p->y.base, 2);
    CHECK(status == TN_OK, "%d", status);
    CHECK(!memcmp(got, expected, (size_t)result->bytes), "%s case %d%s", dtype_name(dtype), number,
          to_weights ? " to weights" : "");
    free(x);
    free(b);
    free(expected);
    free(got);
}

static void random_convolutions_are_exact_and_touch_no_gap(void) {
    for (int dtype = TN_F32; dtype <= TN_C128; dtype++)
        for (int number = 0; number < CASES; number++) {
            rng r = {(uint64_t)(7000 * dtype + number)};
            const problem p = random_problem(dtype, &r);
            check_problem(&p, &r, number % 2, number);
        }
}

static void nothing_to_sum_gives_zeros(void) {
    rng r = {3};
    problem p = random_problem(TN_F32, &r);
    p.call.groups = 1;
    p.call.in_channels = 0;
    lay_out(&p, &r, 1);
    check_problem(&p, &r, 0, -1);
    p.call.in_channels = 3;
    p.call.windows.batch = 0;
    lay_out(&p, &r, 1);
    check_problem(&p, &r, 0, -2);
    check_problem(&p, &r, 1, -3);
}

static void strips_too_large_for_memory_are_an_error(void) {
    rng r = {4};
    problem p = random_problem(TN_F64, &r);
    lay_out(&p, &r, 1);
    tn_windows *w = &p.call.windows;
    for (int axis = 0; axis < 3; axis++) w->kernel[axis] = 2, w->dilation[axis] = (int64_t)1 << 40;
    CHECK(tn_convolve(&p.call, NULL, NULL, NULL, 1) == TN_NO_MEMORY, "strip");
    CHECK(tn_convolve_to_weights(&p.call, NULL, NULL, NULL, 1) == TN_NO_MEMORY, "strip");
}

/* Large enough for several threads, with sums that show their order. */
static void bits_do_not_depend_on_the_number_of_threads(void) {
    rng r = {5};
    problem p = {.call = {.dtype = TN_F32, .groups = 1, .in_channels = 20, .out_channels = 40}};
    p.call.windows = (tn_windows){3, {1, 28, 30}, {1, 28, 30}, {1, 3, 5}, {1, 1, 1}, {1, 1, 1},
                                  {0, 1, 2}};
    for (int to_weights = 0; to_weights < 2; to_weights++) {
        lay_out(&p, &r, 1);
        const layout *other = to_weights ? &p.y : &p.w, *result = to_weights ? &p.w : &p.y;
        char *x = array_random(&p.x, TN_F32, &r, value_rough);
        char *b = array_random(other, TN_F32, &r, value_rough);
        char *got[3];
        for (int i = 0; i < 3; i++) {
            got[i] = allocate(result->bytes);
            const tn_status status =
                to_weights ? tn_convolve_to_weights(&p.call, x, b, got[i], 1 + 2 * i)
                           : tn_convolve(&p.call, x, b, got[i], 1 + 2 * i);
            CHECK(status == TN_OK, "%d", status);
            CHECK(!memcmp(got[i], got[0], (size_t)result->bytes), "%d threads", 1 + 2 * i);
        }
        for (int i = 0; i < 3; i++) free(got[i]);
        free(x);
        free(b);
    }
}

const test convolve_tests[] = {
    TEST(random_convolutions_are_exact_and_touch_no_gap),
    TEST(nothing_to_sum_gives_zeros),
    TEST(strips_too_large_for_memory_are_an_error),
    TEST(bits_do_not_depend_on_the_number_of_threads),
    {0},
};
