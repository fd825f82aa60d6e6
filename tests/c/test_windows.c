/* Sliding windows against their definition, on small integers, so that sums are exact. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = CASES_OF(150), AXES = 5 }; /* batch, channel, three spatial axes */

typedef struct {
    tn_slide x;
    layout from, to, index, weights; /* of windows over `from`, also if it is transposed */
    char *a, *b, *places, *w;        /* entries of these; b: what is brought back */
    int64_t taps;
} slide_case;

static void random_layout(layout *l, rng *r, int64_t size, int kind) {
    static const int channels_last[AXES] = {0, 4, 1, 2, 3};
    layout_contiguous(l, size);
    if (kind == 0) return;
    if (kind == 1) {
        layout_random(l, r, size, 0);
        return;
    }
    layout moved = {.n = AXES};
    for (int d = 0; d < AXES; d++) moved.extent[channels_last[d]] = l->extent[d];
    layout_contiguous(&moved, size);
    for (int d = 0; d < AXES; d++) l->stride[d] = moved.stride[channels_last[d]];
}

static tn_volume volume_of(const layout *l) {
    return (tn_volume){l->stride[0], l->stride[1], {l->stride[2], l->stride[3], l->stride[4]}};
}

static value small(int dtype, rng *r) { return value_random(dtype, r); }

static slide_case random_case(int dtype, rng *r) {
    static const int64_t many[] = {1, 2, 3, 8, 9, 16, 17, 33, 40};
    slide_case c = {.x = {.dtype = (uint8_t)dtype}};
    tn_windows *w = &c.x.windows;
    const int large = rng_below(r, 6) == 0; /* windows that see most of an array each */
    w->batch = 1 + rng_below(r, 2);
    c.x.channels = many[rng_below(r, large ? 3 : 9)];
    c.taps = 1;
    for (int d = 0; d < 3; d++) {
        const int flat = d == 0 ? rng_below(r, 3) : rng_below(r, 8) == 0;
        w->in[d] = flat ? 1 : 1 + rng_below(r, d == 2 ? 26 : 9);
        w->kernel[d] = flat ? 1 : large ? 1 + w->in[d] * 9 / 10 : 1 + rng_below(r, 4);
        w->stride[d] = 1 + rng_below(r, 3);
        w->dilation[d] = 1 + rng_below(r, 5) / 3;
        const int most = large && w->kernel[d] > 3 ? 3 : (int)w->kernel[d];
        w->before[d] = rng_below(r, most);
        const int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1;
        const int64_t padded = w->before[d] + w->in[d] + rng_below(r, most);
        w->out[d] = padded < reach ? 1 : (padded - reach) / w->stride[d] + 1;
        c.taps *= w->kernel[d];
    }
    const int64_t size = tn_itemsize(dtype), some[2] = {w->batch, c.x.channels};
    c.from.n = c.to.n = AXES;
    for (int d = 0; d < AXES; d++) {
        c.from.extent[d] = d < 2 ? some[d] : w->in[d - 2];
        c.to.extent[d] = d < 2 ? some[d] : w->out[d - 2];
    }
    c.index = c.to;
    c.x.narrow = c.taps <= 256 && rng_below(r, 2);
    const int kind = rng_below(r, 4);
    random_layout(&c.from, r, size, kind);
    random_layout(&c.to, r, size, kind);
    random_layout(&c.index, r, c.x.narrow ? 1 : 4, kind);
    c.weights = (layout){.n = 2, .extent = {c.taps, c.x.channels}};
    layout_contiguous(&c.weights, size);
    c.x.from = volume_of(&c.from), c.x.to = volume_of(&c.to), c.x.index = volume_of(&c.index);
    c.x.weight_tap = c.weights.stride[0], c.x.weight_channel = c.weights.stride[1];
    c.a = array_random(&c.from, dtype, r, small);
    c.b = array_random(&c.to, dtype, r, small);
    c.w = array_random(&c.weights, dtype, r, small);
    c.places = allocate(c.index.bytes + 1);
    return c;
}

static void free_case(slide_case *c) {
    free(c->a);
    free(c->b);
    free(c->w);
    free(c->places);
}

static int64_t offset(const layout *l, const int64_t *at) {
    int64_t sum = l->base;
    for (int d = 0; d < l->n; d++) sum += at[d] * l->stride[d];
    return sum;
}

static int next_point(const layout *l, int64_t *at) {
    for (int d = l->n - 1; d >= 0; d--) {
        if (++at[d] < l->extent[d]) return 1;
        at[d] = 0;
    }
    return 0;
}

static double get(int dtype, const char *p) { return value_get(dtype, p).re; }

/* Where tap t of the window at `at` looks; 0 if at padding. */
static int look(const slide_case *c, const int64_t *at, int64_t t, int64_t *there) {
    const tn_windows *w = &c->x.windows;
    int inside = 1;
    memcpy(there, at, AXES * sizeof *at);
    for (int d = 2; d >= 0; d--) {
        there[d + 2] = at[d + 2] * w->stride[d] - w->before[d] + t % w->kernel[d] * w->dilation[d];
        inside &= there[d + 2] >= 0 && there[d + 2] < w->in[d];
        t /= w->kernel[d];
    }
    return inside;
}

static int place_at(const slide_case *c, const int64_t *at) {
    const char *p = c->places + offset(&c->index, at);
    int32_t wide;
    memcpy(&wide, p, sizeof wide * !c->x.narrow);
    return c->x.narrow ? *(const uint8_t *)p : wide;
}

static void put_place(slide_case *c, const int64_t *at, int32_t place) {
    char *p = c->places + offset(&c->index, at);
    if (c->x.narrow) *(uint8_t *)p = (uint8_t)place;
    else memcpy(p, &place, sizeof place);
}

/* What a window has by definition. */
static double expected(const slide_case *c, const int64_t *at, int *place) {
    const int dtype = c->x.dtype;
    const int64_t channel = at[1];
    int64_t there[AXES], count = 0;
    double sum = 0, largest = -INFINITY;
    const int wanted = c->x.kind == TN_SLIDE_PICK ? place_at(c, at) : -1;
    *place = -1;
    for (int64_t t = 0; t < c->taps; t++) {
        if (!look(c, at, t, there)) continue;
        const double entry = get(dtype, c->a + offset(&c->from, there));
        const int64_t weight[2] = {t, channel};
        count++;
        if (entry > largest) largest = entry, *place = (int)t;
        if (c->x.kind == TN_SLIDE_WEIGH) sum += entry * get(dtype, c->w + offset(&c->weights, weight));
        else if (c->x.kind == TN_SLIDE_AVERAGE || t == wanted) sum += entry;
    }
    if (c->x.kind == TN_SLIDE_AVERAGE) return sum / (double)(c->x.padded ? c->taps : count);
    return c->x.kind <= TN_SLIDE_ARGMAX ? largest : sum;
}

static void agree(int dtype, const char *at, double want, const char *what, int number) {
    const double got = get(dtype, at), bound = dtype == TN_F32 ? 1e-5 : 1e-13;
    if (isnan(want) || isinf(want)) return; /* a window that sees padding only */
    CHECK(fabs(got - want) <= bound * (fabs(want) + 1), "%s case %d %s: %.17g, expected %.17g",
          dtype_name(dtype), number, what, got, want);
}

static void run(const slide_case *c, const tn_slide *x, char *from, char *to, int number) {
    const tn_status status = tn_run_slide(x, from, c->w, c->places + c->index.base, to, 1 + number % 2);
    CHECK(status == TN_OK, "case %d", number);
}

static void forward(slide_case *c, int kind, int number) {
    int64_t at[AXES] = {0};
    int place;
    c->x.kind = (uint8_t)kind;
    char *made = array_random(&c->to, c->x.dtype, &(rng){7}, small);
    run(c, &c->x, c->a + c->from.base, made + c->to.base, number);
    do {
        const double want = expected(c, at, &place);
        agree(c->x.dtype, made + offset(&c->to, at), want, "forward", number);
        if (kind == TN_SLIDE_ARGMAX && place >= 0)
            CHECK(place_at(c, at) == place, "case %d: %d, expected %d", number, place_at(c, at), place);
    } while (next_point(&c->to, at));
    free(made);
}

/* The transpose, entry by entry: each window's share of each position that it sees. */
static void backward(slide_case *c, int kind, int number) {
    const int dtype = c->x.dtype;
    int64_t at[AXES] = {0}, there[AXES];
    layout plain = c->from;
    layout_contiguous(&plain, sizeof(double));
    double *sums = allocate(plain.bytes + 1);
    memset(sums, 0, (size_t)plain.bytes);
    do {
        const double g = get(dtype, c->b + offset(&c->to, at));
        int64_t count = 0;
        for (int64_t t = 0; t < c->taps; t++) count += look(c, at, t, there);
        for (int64_t t = 0; t < c->taps; t++) {
            if (!look(c, at, t, there)) continue;
            const int64_t weight[2] = {t, at[1]};
            const double share = kind == TN_SLIDE_WEIGH ? get(dtype, c->w + offset(&c->weights, weight))
                                 : kind == TN_SLIDE_PICK ? place_at(c, at) == t
                                                         : 1.0 / (double)(c->x.padded ? c->taps : count);
            *(double *)((char *)sums + offset(&plain, there)) += share * g;
        }
    } while (next_point(&c->to, at));
    tn_slide x = c->x;
    x.kind = (uint8_t)kind, x.transposed = 1;
    x.from = c->x.to, x.to = c->x.from;
    char *made = array_random(&c->from, dtype, &(rng){8}, small);
    run(c, &x, c->b + c->to.base, made + c->from.base, number);
    memset(at, 0, sizeof at);
    do
        agree(dtype, made + offset(&c->from, at), *(double *)((char *)sums + offset(&plain, at)),
              "backward", number);
    while (next_point(&c->from, at));
    free(sums);
    free(made);
}

static void weights(slide_case *c, int number) {
    const int dtype = c->x.dtype;
    int64_t at[AXES] = {0}, there[AXES], weight[2] = {0};
    layout plain = c->weights;
    layout_contiguous(&plain, sizeof(double));
    double *sums = allocate(plain.bytes + 1);
    memset(sums, 0, (size_t)plain.bytes);
    do {
        const double g = get(dtype, c->b + offset(&c->to, at));
        for (weight[0] = 0, weight[1] = at[1]; weight[0] < c->taps; weight[0]++)
            if (look(c, at, weight[0], there))
                *(double *)((char *)sums + offset(&plain, weight)) +=
                    g * get(dtype, c->a + offset(&c->from, there));
    } while (next_point(&c->to, at));
    char *made = allocate(c->weights.bytes);
    c->x.kind = TN_SLIDE_WEIGH;
    CHECK(tn_slide_weights(&c->x, c->a + c->from.base, c->b + c->to.base, made, 1 + number % 2) == TN_OK,
          "case %d", number);
    memset(weight, 0, sizeof weight);
    do
        agree(dtype, made + offset(&c->weights, weight),
              *(double *)((char *)sums + offset(&plain, weight)), "weights", number);
    while (next_point(&c->weights, weight));
    free(sums);
    free(made);
}

static void slides_and_their_transposes_are_those_of_the_definition(void) {
    for (int number = 0; number < CASES; number++) {
        rng r = {(uint64_t)number};
        const int dtype = number % 2 ? TN_F32 : TN_F64;
        slide_case c = random_case(dtype, &r);
        int64_t at[AXES] = {0};
        c.x.padded = (uint8_t)rng_below(&r, 2);
        do put_place(&c, at, rng_below(&r, (int)c.taps));
        while (next_point(&c.index, at));
        forward(&c, TN_SLIDE_PICK, number);
        backward(&c, TN_SLIDE_PICK, number);
        forward(&c, TN_SLIDE_MAX, number);
        forward(&c, TN_SLIDE_ARGMAX, number);
        forward(&c, TN_SLIDE_AVERAGE, number);
        backward(&c, TN_SLIDE_AVERAGE, number);
        forward(&c, TN_SLIDE_WEIGH, number);
        backward(&c, TN_SLIDE_WEIGH, number);
        weights(&c, number);
        free_case(&c);
    }
}

const test window_tests[] = {
    TEST(slides_and_their_transposes_are_those_of_the_definition),
    {0},
};
