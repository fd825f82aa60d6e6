/* Curves against the mathematical library, for every rest behind whole vectors, in buffers of exact size. */
#include "../../src_c/tn.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>

static double normal(double x) { return 0.5 * erfc(-x / sqrt(2)); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double value(int curve, double x) {
    switch (curve) {
    case TN_CURVE_TANH: return tanh(x);
    case TN_CURVE_SIGMOID: return sigmoid(x);
    case TN_CURVE_SILU: return x * sigmoid(x);
    case TN_CURVE_SOFTPLUS: return fmax(x, 0) + log1p(exp(-fabs(x)));
    case TN_CURVE_ELU: return x > 0 ? x : 0.5 * expm1(x);
    case TN_CURVE_ERF: return erf(x);
    case TN_CURVE_GELU: return x * normal(x);
    default: return x * 0.5 * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    }
}

/* Of a curve of tanh and sigmoid, x is its result. */
static double slope(int curve, double x) {
    if (curve == TN_CURVE_TANH) return 1 - x * x;
    if (curve == TN_CURVE_SIGMOID) return x * (1 - x);
    const double step = 1e-5;
    return (value(curve, x + step) - value(curve, x - step)) / (2 * step);
}

static double get(const char *p, int dtype, int64_t i) {
    return dtype == TN_F64 ? ((const double *)p)[i] : ((const float *)p)[i];
}

static void put(char *p, int dtype, int64_t i, double x) {
    if (dtype == TN_F64) ((double *)p)[i] = x;
    else ((float *)p)[i] = (float)x;
}

static void check_curve(int dtype, int curve, int64_t n, int sloped) {
    const size_t bytes = (size_t)(n * tn_itemsize(dtype));
    char *x = malloc(bytes), *g = malloc(bytes), *out = malloc(bytes);
    for (int64_t i = 0; i < n; i++) {
        put(x, dtype, i, (double)(i * 37 % 101 - 50) * (i % 5 ? 0.05 : 0.5) + 0.013);
        put(g, dtype, i, 2 - (double)(i % 3));
    }
    tn_curve(dtype, curve, 0.5, sloped ? g : NULL, x, out, n, 1 + (int)(n % 2));
    for (int64_t i = 0; i < n; i++) {
        const double at = get(x, dtype, i), got = get(out, dtype, i);
        const double want = sloped ? slope(curve, at) * get(g, dtype, i) : value(curve, at);
        const double tolerance = (dtype == TN_F64 ? sloped ? 1e-9 : 1e-14 : 1e-5) * (1 + fabs(want));
        CHECK(fabs(got - want) <= tolerance, "curve %d of %g: %g, not %g", curve, at, got, want);
    }
    free(x), free(g), free(out);
}

static void curves_are_those_of_the_library(void) {
    for (int dtype = TN_F32; dtype <= TN_F64; dtype++)
        for (int curve = 0; curve < TN_CURVES; curve++)
            for (int64_t n = 0; n < 70; n++)
                for (int sloped = 0; sloped < 2; sloped++) check_curve(dtype, curve, n, sloped);
    check_curve(TN_F32, TN_CURVE_GELU, 100001, 0);
}

const test curve_tests[] = {
    TEST(curves_are_those_of_the_library),
    {0},
};
