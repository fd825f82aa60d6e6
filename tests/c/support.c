#include "support.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void check_failed(const char *file, int line, const char *condition, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: (%s) is false: ", file, line, condition);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " [%s]\n", tn_isa_name());
    va_end(arguments);
    fflush(NULL);
    _exit(1); /* no report of leaks on top */
}

void *allocate(int64_t bytes) {
    void *memory = malloc((size_t)(bytes ? bytes : 1));
    CHECK(memory, "%lld bytes", (long long)bytes);
    return memory;
}

int is_floating(int dtype) { return dtype >= TN_F32; }

const char *dtype_name(int dtype) {
    static const char *const names[] = {
        [TN_BOOL] = "bool",   [TN_U8] = "uint8",    [TN_U16] = "uint16",  [TN_U32] = "uint32",
        [TN_U64] = "uint64",  [TN_F32] = "float32", [TN_F64] = "float64", [TN_C64] = "complex64",
        [TN_C128] = "complex128", [TN_F16] = "float16"};
    return names[dtype];
}

double half_value(uint16_t h) {
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    double x;
    if (exponent == 31)
        x = fraction ? NAN : INFINITY;
    else if (exponent)
        x = ldexp(1024 + fraction, exponent - 25);
    else
        x = ldexp(fraction, -24);
    return copysign(x, h & 0x8000 ? -1.0 : 1.0);
}

uint16_t half_nearest(double x) {
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return sign | 0x7e00;
    x = fabs(x);
    if (x == 0) return sign;
    if (x >= 65520) return sign | 0x7c00;
    int exponent;
    frexp(x, &exponent); /* x < 2^exponent; a binade has 1024 steps, and 2^-24 is the least */
    const int step = exponent - 11 > -24 ? exponent - 11 : -24;
    const int count = (int)nearbyint(ldexp(x, -step));
    /* below 2^-14 the count is the encoding; each further binade adds 1024 to it */
    return (uint16_t)(sign | (count + (step + 24) * 1024));
}

value value_get(int dtype, const char *at) {
    value x = {0};
    float f[2];
    double d[2];
    uint16_t h;
    switch (dtype) {
    case TN_F32: memcpy(f, at, 4); x.re = f[0]; break;
    case TN_F64: memcpy(d, at, 8); x.re = d[0]; break;
    case TN_C64: memcpy(f, at, 8); x.re = f[0], x.im = f[1]; break;
    case TN_C128: memcpy(d, at, 16); x.re = d[0], x.im = d[1]; break;
    case TN_F16: memcpy(&h, at, 2); x.re = half_value(h); break;
    default: memcpy(&x.bits, at, (size_t)tn_itemsize(dtype)); /* the machines are little-endian */
    }
    return x;
}

void value_put(int dtype, char *at, value x) {
    const float f[2] = {(float)x.re, (float)x.im};
    const double d[2] = {x.re, x.im};
    uint16_t h;
    switch (dtype) {
    case TN_F32: memcpy(at, f, 4); break;
    case TN_F64: memcpy(at, d, 8); break;
    case TN_C64: memcpy(at, f, 8); break;
    case TN_C128: memcpy(at, d, 16); break;
    case TN_F16: h = half_nearest(x.re), memcpy(at, &h, 2); break;
    default: memcpy(at, &x.bits, (size_t)tn_itemsize(dtype));
    }
}

value value_add(int dtype, value x, value y) {
    const uint64_t bits = dtype == TN_BOOL ? (x.bits | y.bits) : x.bits + y.bits;
    return (value){bits, x.re + y.re, x.im + y.im};
}

value value_multiply(int dtype, value x, value y) {
    const uint64_t bits = dtype == TN_BOOL ? (x.bits & y.bits) : x.bits * y.bits;
    return (value){bits, x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}

value value_dot(int dtype, const char *a, const char *b, const tn_dim *points, int64_t n) {
    value sum = {0};
    for (int64_t i = 0; i < n; i++) {
        value term = value_get(dtype, a + points[i].sa);
        if (b) term = value_multiply(dtype, term, value_get(dtype, b + points[i].sb));
        sum = value_add(dtype, sum, term);
    }
    return sum;
}

static double size_of(value x) { return x.im == 0 ? fabs(x.re) : hypot(x.re, x.im); }

precise precise_dot(int dtype, const char *a, const char *b, const tn_dim *points, int64_t n) {
    precise sum = {0};
    for (int64_t i = 0; i < n; i++) {
        const value x = value_get(dtype, a + points[i].sa);
        const value y = b ? value_get(dtype, b + points[i].sb) : (value){.re = 1};
        sum.re += (long double)x.re * y.re - (long double)x.im * y.im;
        sum.im += (long double)x.re * y.im + (long double)x.im * y.re;
        sum.size += size_of(x) * size_of(y);
    }
    return sum;
}

value value_one(int dtype) { return is_floating(dtype) ? (value){.re = 1} : (value){.bits = 1}; }

value value_random(int dtype, rng *r) {
    if (dtype == TN_BOOL) return (value){.bits = rng_below(r, 3) == 0};
    if (!is_floating(dtype)) return (value){.bits = rng_bits(r)};
    if (dtype == TN_C64 || dtype == TN_C128)
        return (value){.re = rng_below(r, 3) - 1, .im = rng_below(r, 3) - 1};
    return (value){.re = rng_below(r, 5) - 2};
}

value value_rough(int dtype, rng *r) {
    value x = {.re = rng_unit(r) - 0.5};
    if (dtype == TN_C64 || dtype == TN_C128) x.im = rng_unit(r) - 0.5;
    return x;
}

static void set_block(layout *l, int64_t itemsize, int64_t front) {
    l->base = front;
    l->bytes = front + itemsize;
    for (int d = 0; d < l->n; d++) {
        const int64_t reach = (l->extent[d] - 1) * l->stride[d];
        if (reach < 0) l->base -= reach;
        l->bytes += reach < 0 ? -reach : reach;
    }
}

void layout_contiguous(layout *l, int64_t itemsize) {
    int64_t stride = itemsize;
    for (int d = l->n - 1; d >= 0; d--) {
        l->stride[d] = stride;
        stride *= l->extent[d];
    }
    set_block(l, itemsize, 0);
}

void layout_random(layout *l, rng *r, int64_t itemsize, int broadcast) {
    const int style = rng_below(r, 4); /* 0: C order, 1, 2: permuted, 3: anything */
    const int wild = style == 3;
    int order[MAX_AXES];
    for (int d = 0; d < l->n; d++) order[d] = l->n - 1 - d;
    for (int d = l->n - 1; style && d > 0; d--) {
        const int e = rng_below(r, d + 1), kept = order[d];
        order[d] = order[e];
        order[e] = kept;
    }
    int64_t stride = itemsize;
    if (wild) stride += itemsize * rng_below(r, 3) + (rng_below(r, 3) == 0);
    for (int i = 0; i < l->n; i++) {
        const int d = order[i];
        l->stride[d] = stride;
        if (wild && rng_below(r, 3) == 0) l->stride[d] = -stride;
        if (broadcast && rng_below(r, 8) == 0) {
            l->stride[d] = 0;
            continue;
        }
        stride *= l->extent[d];
        if (wild && rng_below(r, 2)) stride += itemsize;
    }
    set_block(l, itemsize, wild ? rng_below(r, 3) : 0);
}

char *array_random(const layout *l, int dtype, rng *r, value (*make)(int, rng *)) {
    char *block = allocate(l->bytes);
    memset(block, 0xff, (size_t)l->bytes);
    int64_t count = 1, digits[MAX_AXES] = {0};
    for (int d = 0; d < l->n; d++) count *= l->extent[d];
    char *at = block + l->base;
    for (int64_t i = 0; i < count; i++) {
        value_put(dtype, at, make(dtype, r));
        int d = l->n - 1;
        for (; d >= 0 && digits[d] == l->extent[d] - 1; d--) {
            at -= digits[d] * l->stride[d];
            digits[d] = 0;
        }
        if (d >= 0) digits[d]++, at += l->stride[d];
    }
    return block;
}
