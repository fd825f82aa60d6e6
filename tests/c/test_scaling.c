/* Exponents taken out of arrays and put back, at the edges of float32 and float64. */
#include "support.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LONGEST = 70 };

static const int floating[] = {TN_F32, TN_F64, TN_C64, TN_C128};

/* One real number, whatever array type it is part of. */
static int real_type(int dtype) { return dtype == TN_F32 || dtype == TN_C64 ? TN_F32 : TN_F64; }
static int real_bytes(int dtype) { return real_type(dtype) == TN_F32 ? 4 : 8; }

static void put(int dtype, char *at, double x) {
    value_put(real_type(dtype), at, (value){.re = x});
}

static double get(int dtype, const char *at) { return value_get(real_type(dtype), at).re; }

/* The numbers of a type where something could go wrong, and the ordinary ones between. */
static int edge_values(int dtype, double *x) {
    const int single = real_type(dtype) == TN_F32;
    const int least = single ? -149 : -1074, most = single ? 127 : 1023;
    int n = 0;
    for (int e = least; e <= most; e += single ? 3 : 23) {
        x[n++] = ldexp(1.0, e);
        if (e > least + 30) x[n++] = -ldexp(1.4375, e);
    }
    x[n++] = single ? FLT_MAX : DBL_MAX;
    x[n++] = single ? -FLT_MIN : -DBL_MIN;
    x[n++] = single ? 3 * 0x1p-149 : 3 * 0x1p-1074;
    x[n++] = -0.0;
    return n;
}

static void the_exponent_is_that_of_the_largest_number(void) {
    char x[LONGEST * 8];
    double edges[512];
    rng r = {2};
    for (int t = 0; t < 4; t++) {
        const int dtype = floating[t], size = real_bytes(dtype);
        const tn_kernels *kernels = tn_get_kernels(dtype);
        const int n_edges = edge_values(dtype, edges);
        for (int n = 1; n <= LONGEST; n++) {
            double largest = 0;
            for (int i = 0; i < n; i++) {
                const double v = edges[rng_below(&r, n_edges)];
                put(dtype, x + i * size, v);
                if (fabs(v) > largest) largest = fabs(v);
            }
            int expected;
            frexp(largest, &expected);
            if (largest == 0) expected = TN_NO_EXPONENT;
            CHECK(kernels->exponent(x, n) == expected, "%s, %d numbers", dtype_name(dtype), n);
        }
        for (int i = 0; i < n_edges - 1; i++) { /* each alone, the zero left out */
            int expected;
            put(dtype, x, edges[i]);
            frexp(edges[i], &expected);
            CHECK(kernels->exponent(x, 1) == expected, "%s %a", dtype_name(dtype), edges[i]);
        }
    }
}

static void zeros_have_no_exponent_and_what_is_not_finite_keeps_its_scale(void) {
    static const double odd[] = {INFINITY, -INFINITY, NAN};
    char x[LONGEST * 8];
    for (int t = 0; t < 4; t++) {
        const int dtype = floating[t], size = real_bytes(dtype);
        const tn_kernels *kernels = tn_get_kernels(dtype);
        for (int n = 1; n <= LONGEST; n += 23)
            for (int at = 0; at < n; at++) {
                for (int i = 0; i < n; i++) put(dtype, x + i * size, i & 1 ? -0.0 : 0.0);
                CHECK(kernels->exponent(x, n) == TN_NO_EXPONENT, "%s", dtype_name(dtype));
                for (int o = 0; o < 3; o++) {
                    for (int i = 0; i < n; i++) put(dtype, x + i * size, 1024);
                    put(dtype, x + at * size, odd[o]);
                    CHECK(kernels->exponent(x, n) == 0, "%s: %g at %d of %d", dtype_name(dtype),
                          odd[o], at, n);
                }
            }
    }
}

/* Equal, but a product that became subnormal may have been rounded twice. */
static int close_enough(int dtype, double got, double expected) {
    const double least = real_type(dtype) == TN_F32 ? 0x1p-149 : 0x1p-1074;
    return got == expected || fabs(got - expected) <= least;
}

static double rounded(int dtype, double x) {
    return real_type(dtype) == TN_F32 ? (double)(float)x : x;
}

static void scaling_by_a_power_of_two_is_exact(void) {
    static const int shifts[] = {0, 1, -1, 2, -2, 24, -25, 74, 148, -128, 140, -149, -277, -1023};
    char x[8];
    double edges[512];
    for (int t = 0; t < 4; t++) {
        const int dtype = floating[t];
        const int n = edge_values(dtype, edges);
        for (int i = 0; i < n; i++)
            for (size_t s = 0; s < sizeof shifts / sizeof *shifts; s++) {
                put(dtype, x, edges[i]);
                tn_get_kernels(dtype)->scale(x, 1, shifts[s]);
                const double expected = rounded(dtype, ldexp(edges[i], shifts[s]));
                CHECK(close_enough(dtype, get(dtype, x), expected), "%s: %a * 2^%d gave %a",
                      dtype_name(dtype), edges[i], shifts[s], get(dtype, x));
            }
    }
}

/* Stripping as programs do it: the largest number ends in [0.5, 1) and nothing is lost. */
static void taking_the_exponent_out_loses_nothing(void) {
    char x[8];
    double edges[512];
    for (int t = 0; t < 4; t++) {
        const int dtype = floating[t];
        const tn_kernels *kernels = tn_get_kernels(dtype);
        const int n = edge_values(dtype, edges) - 1;
        for (int i = 0; i < n; i++) {
            put(dtype, x, edges[i]);
            const int e = kernels->exponent(x, 1);
            kernels->scale(x, 1, -e);
            const double mantissa = get(dtype, x);
            CHECK(fabs(mantissa) >= 0.5 && fabs(mantissa) < 1, "%s: %a", dtype_name(dtype),
                  edges[i]);
            CHECK(ldexp(mantissa, e) == edges[i], "%s: %a", dtype_name(dtype), edges[i]);
        }
    }
}

static void infinity_zero_and_nan_scale_to_themselves(void) {
    static const int shifts[] = {-2100, -1075, -700, -300, -2, 0, 2, 148};
    static const double fixed[] = {INFINITY, -INFINITY, NAN, 0.0, -0.0};
    char x[8];
    for (int t = 0; t < 4; t++)
        for (size_t s = 0; s < sizeof shifts / sizeof *shifts; s++)
            for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
                const int dtype = floating[t];
                put(dtype, x, fixed[i]);
                tn_get_kernels(dtype)->scale(x, 1, shifts[s]);
                const double got = get(dtype, x);
                CHECK(isnan(fixed[i]) ? isnan(got)
                                      : got == fixed[i] && !signbit(got) == !signbit(fixed[i]),
                      "%s: %g * 2^%d gave %g", dtype_name(dtype), fixed[i], shifts[s], got);
            }
}

static void scaling_far_down_gives_zero(void) {
    char x[8];
    for (int t = 0; t < 4; t++) {
        const int dtype = floating[t];
        put(dtype, x, real_type(dtype) == TN_F32 ? FLT_MAX : DBL_MAX);
        tn_get_kernels(dtype)->scale(x, 1, -2100);
        CHECK(get(dtype, x) == 0, "%s gave %a", dtype_name(dtype), get(dtype, x));
    }
}

static double sum_of(int dtype, double x, double y) {
    if (real_type(dtype) == TN_F32) return (double)((float)x + (float)y);
    return x + y;
}

static void adding_scales_the_second_array_only(void) {
    static const int shifts[] = {0, -1, -24, -53, -60, -149, -700, -2100};
    char c[LONGEST * 8], x[LONGEST * 8];
    double edges[512], before[LONGEST], added[LONGEST];
    rng r = {3};
    for (int t = 0; t < 4; t++) {
        const int dtype = floating[t], size = real_bytes(dtype);
        const int n_edges = edge_values(dtype, edges);
        for (int i = 0; i < n_edges; i++) /* sums of two of these stay finite */
            if (fabs(edges[i]) > 1e37) edges[i] = ldexp(edges[i], -4);
        for (int n = 1; n <= LONGEST; n++)
            for (size_t s = 0; s < sizeof shifts / sizeof *shifts; s++) {
                for (int i = 0; i < n; i++) {
                    before[i] = edges[rng_below(&r, n_edges)];
                    added[i] = edges[rng_below(&r, n_edges)];
                    put(dtype, c + i * size, before[i]);
                    put(dtype, x + i * size, added[i]);
                }
                tn_get_kernels(dtype)->add(c, x, n, shifts[s]);
                for (int i = 0; i < n; i++) {
                    const double scaled = rounded(dtype, ldexp(added[i], shifts[s]));
                    const double expected = sum_of(dtype, before[i], scaled);
                    CHECK(close_enough(dtype, get(dtype, c + i * size), expected),
                          "%s: %a + %a * 2^%d gave %a", dtype_name(dtype), before[i], added[i],
                          shifts[s], get(dtype, c + i * size));
                    CHECK(get(dtype, x + i * size) == added[i], "the second array changed");
                }
            }
    }
}

static void integers_add_modulo_their_size_and_bools_by_or(void) {
    char c[LONGEST * 8], x[LONGEST * 8], expected[LONGEST * 8];
    rng r = {4};
    for (int dtype = TN_BOOL; dtype <= TN_U64; dtype++)
        for (int n = 1; n <= LONGEST; n++) {
            const int size = tn_itemsize(dtype);
            for (int i = 0; i < n; i++) {
                const value one = value_random(dtype, &r), two = value_random(dtype, &r);
                value_put(dtype, c + i * size, one);
                value_put(dtype, x + i * size, two);
                value_put(dtype, expected + i * size, value_add(dtype, one, two));
            }
            tn_get_kernels(dtype)->add(c, x, n, 0);
            CHECK(!memcmp(c, expected, (size_t)(n * size)), "%s, %d", dtype_name(dtype), n);
        }
}

const test scaling_tests[] = {
    TEST(the_exponent_is_that_of_the_largest_number),
    TEST(zeros_have_no_exponent_and_what_is_not_finite_keeps_its_scale),
    TEST(scaling_by_a_power_of_two_is_exact),
    TEST(taking_the_exponent_out_loses_nothing),
    TEST(infinity_zero_and_nan_scale_to_themselves),
    TEST(scaling_far_down_gives_zero),
    TEST(adding_scales_the_second_array_only),
    TEST(integers_add_modulo_their_size_and_bools_by_or),
    {0},
};
