/* Exponentials, and the activations made of them, for one element type.  isa_curves.c includes this file
 * with NAME, R and I as slide.h has them, and SINGLE: whether R is float.
 *
 * All of it is polynomials, fitted for this library at Chebyshev points, whose own errors are below half a
 * unit in the last place.  With rounding, exp is within 2 such units, others within 4, but for the tails of
 * silu and gelu: x times a chance that may be no normal number, or that has the square of x in an exponent.
 * NaN stays, infinite entries have the limits, -0 stays where f(0) = 0, and results too small to be normal
 * are rounded as others are; the chance in gelu is 0 where it would be none. */
#define FN(x) TN_PASTE(x, NAME)
#define V FN(curve_vector)
#define VU FN(curve_unaligned)
#define VI FN(curve_lanes)
#define VL ((int)(VBYTES / sizeof(R)))

typedef R V __attribute__((vector_size(VBYTES)));
typedef R VU __attribute__((vector_size(VBYTES), aligned(1), may_alias));
typedef I VI __attribute__((vector_size(VBYTES)));

#if SINGLE
#define MANTISSA 23
#define BIAS 127
#define ROUNDER 12582912.0f /* 1.5 * 2^23: added, numbers are rounded to whole ones in the lowest bits */
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define EXP_MOST 89.0f   /* where exp is inf, */
#define EXP_LEAST -104.0f /* and 0 */
#define EXPM1_MOST 40.0f
#define GELU_MOST 13.0f /* beyond, exp(-x^2 / 2) is no normal number */
#define LOG_TERMS 8
static const R FN(exp_terms)[] = {1.39262034e-3f, 8.36319488e-3f, 4.16665545e-2f, 0.166665769f, 0.5f};
/* erf(x) = x p(x^2) for |x| < 1; beyond, erf(x) = 1 - exp(-x^2) q(1 / (1 + x / 2)) */
static const R FN(erf_near)[] = {7.875875063e-5f, -8.016864287e-4f, 5.189087423e-3f, -2.685421201e-2f,
                                 0.1128359472f, -0.3761262667f, 1.128379166f};
static const R FN(erf_far)[] = {0.1083981935f, -0.4335865765f, 0.5085158605f, -0.05984437746f,
                                0.327061703f, 0.2655129553f, 0.2840149206f, -9.565333183e-5f};
/* exp(t^2) (1 - erf(t)) = s p(s), s = 1 / (1 + 0.3 t), for t from 0 to where the rest of it is 0 */
static const R FN(tail_terms)[] = {-0.130339236f, 0.489803695f, -0.521678039f, 0.559308371f,
                                   -0.103320918f, 0.218948256f, 0.147211685f, 0.170889525f, 0.169176642f};
#else
#define MANTISSA 52
#define BIAS 1023
#define ROUNDER 6755399441055744.0
#define LN2_HIGH 0.693147180369123816490
#define LN2_LOW 1.90821492927058770002e-10
#define EXP_MOST 710.0
#define EXP_LEAST -746.0
#define EXPM1_MOST 40.0
#define GELU_MOST 37.5
#define LOG_TERMS 16
static const R FN(exp_terms)[] = {2.5407966075551621e-08, 2.7648776875298446e-07, 2.7556496660698886e-06,
                                  2.4801456602054742e-05, 1.9841270489081778e-4, 1.3888888961462282e-3,
                                  8.3333333331513486e-3, 4.1666666666531328e-2, 0.16666666666666799,
                                  0.50000000000000044};
static const R FN(erf_near)[] = {-7.79589882700214224e-10, 1.37200645467776856e-8, -1.62084838018717059e-7,
                                 1.64474247033173624e-6, -1.49247369074196603e-5, 1.20552949048397079e-4,
                                 -8.54832597538969208e-4, 5.22397760711642273e-3, -2.68661706432377704e-2,
                                 1.12837916709450063e-1, -3.76126389031835404e-1, 1.12837916709551257};
static const R FN(erf_far)[] = {0.0641770995699775654, -0.464150310051270232, 1.49932738619925879,
                                -2.80846962008124903, 3.31417899390741177, -2.54857951516277219,
                                1.39072435472766126, -0.672058782219028899, 0.194832338995249526,
                                0.0347789766883714377, 0.185316412975861975, 0.245629758166419056,
                                0.282205141737662301, 0.282088572932022902, 1.62422847400775906e-7};
static const R FN(tail_terms)[] = {0.001763940986763547, -0.022134802728816457, 0.12827802307041986,
                                   -0.454117857053842, 1.0958812478962834, -1.9104368205105522,
                                   2.5006245412286816, -2.5388093169592665, 2.0547848082265099,
                                   -1.3415430421197283, 0.70972017972639334, -0.31738539240511277,
                                   0.10912637509273668, -0.027201570972733555, 0.029534061212244542,
                                   0.042118361206612977, 0.070445360165420454, 0.098202205669075351,
                                   0.12458862773550013, 0.14640699517126157, 0.16164032552619911,
                                   0.1692568747674591, 0.16925687506849024};
#endif

ALWAYS_INLINE V FN(c_load)(const char *p) { return (V) * (const VU *)p; }
ALWAYS_INLINE void FN(c_store)(char *p, V x) { *(VU *)p = (VU)x; }
ALWAYS_INLINE V FN(c_splat)(R x) { return x - (V){0}; }
#if defined(__AVX2__) && VBYTES == 32 && !defined(TN_LOWERED) /* one instruction each */
ALWAYS_INLINE V FN(c_select)(VI mask, V yes, V no) {
    return SINGLE ? (V)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)mask)
                  : (V)_mm256_blendv_pd((__m256d)no, (__m256d)yes, (__m256d)mask);
}
ALWAYS_INLINE V FN(at_most)(V x, R most) {
    const V limit = FN(c_splat)(most);
    return SINGLE ? (V)_mm256_min_ps((__m256)limit, (__m256)x) : (V)_mm256_min_pd((__m256d)limit, (__m256d)x);
}
ALWAYS_INLINE V FN(at_least)(V x, R least) {
    const V limit = FN(c_splat)(least);
    return SINGLE ? (V)_mm256_max_ps((__m256)limit, (__m256)x) : (V)_mm256_max_pd((__m256d)limit, (__m256d)x);
}
#else
ALWAYS_INLINE V FN(c_select)(VI mask, V yes, V no) { return (V)((mask & (VI)yes) | (~mask & (VI)no)); }
ALWAYS_INLINE V FN(at_most)(V x, R most) { return FN(c_select)((VI)(x > most), FN(c_splat)(most), x); }
ALWAYS_INLINE V FN(at_least)(V x, R least) { return FN(c_select)((VI)(x < least), FN(c_splat)(least), x); }
#endif
ALWAYS_INLINE VI FN(sign_of)(V x) { return (VI)x & (VI)FN(c_splat)((R)-0.0); }
ALWAYS_INLINE V FN(size_of)(V x) { return (V)((VI)x & ~(VI)FN(c_splat)((R)-0.0)); }

/* By Horner's rule, the highest power first. */
#define POLYNOMIAL(x, terms) FN(polynomial)(x, terms, sizeof(terms) / sizeof(terms[0]))
ALWAYS_INLINE V FN(polynomial)(V x, const R *terms, const int n) {
    V sum = FN(c_splat)(terms[0]);
#pragma GCC unroll 32
    for (int i = 1; i < n; i++) sum = sum * x + terms[i];
    return sum;
}

/* exp(x) = 2^n (1 + rest): returns rest, and n as a whole number. */
ALWAYS_INLINE V FN(reduced)(V x, V *n) {
    const V shifted = x * (R)1.44269504088896340736 + ROUNDER;
    *n = shifted - ROUNDER;
    const V r = (x - *n * LN2_HIGH) - *n * LN2_LOW;
    return r + r * r * POLYNOMIAL(r, FN(exp_terms));
}

/* 2^n for a whole number within the exponents. */
ALWAYS_INLINE V FN(power_of_two)(V n) {
    const VI whole = (VI)(n + ROUNDER) - (VI)FN(c_splat)(ROUNDER);
    return (V)((whole + BIAS) << MANTISSA);
}

ALWAYS_INLINE V FN(exp)(V x) {
    V n;
    const V rest = FN(reduced)(FN(at_least)(FN(at_most)(x, EXP_MOST), EXP_LEAST), &n);
    const V half = (n * (R)0.5 + ROUNDER) - ROUNDER; /* 2^n itself may be no number */
    const V scale = FN(power_of_two)(half);
    return (scale + scale * rest) * FN(power_of_two)(n - half);
}

/* exp(x) - 1 for |x| up to EXPM1_MOST, to which others are moved. */
ALWAYS_INLINE V FN(expm1)(V x) {
    V n;
    const V rest = FN(reduced)(FN(at_least)(FN(at_most)(x, EXPM1_MOST), -EXPM1_MOST), &n);
    const V scale = FN(power_of_two)(n);
    return scale * rest + (scale - 1);
}

ALWAYS_INLINE V FN(tanh)(V x) {
    const V above = FN(expm1)(2 * FN(size_of)(x));
    return (V)((VI)(above / (above + 2)) | FN(sign_of)(x));
}

ALWAYS_INLINE V FN(sigmoid)(V x) {
    const V small = FN(exp)(-FN(size_of)(x)), share = 1 / (1 + small);
    return FN(c_select)((VI)(x < 0), small * share, share);
}

/* log(1 + x) for x from 0 to 1: twice the inverse hyperbolic tangent of x / (2 + x). */
ALWAYS_INLINE V FN(log1p)(V x) {
    const V t = x / (x + 2), squared = t * t;
    V sum = FN(c_splat)((R)(1.0 / (2 * LOG_TERMS - 1)));
#pragma GCC unroll 16
    for (int k = LOG_TERMS - 2; k >= 0; k--) sum = sum * squared + (R)(1.0 / (2 * k + 1));
    return 2 * t * sum;
}

ALWAYS_INLINE V FN(erf)(V x) {
    const V size = FN(at_most)(FN(size_of)(x), 6), squared = size * size; /* there erf is 1 */
    const V tail = FN(exp)(-squared) * POLYNOMIAL(1 / (1 + size * (R)0.5), FN(erf_far));
    const V far = (V)((VI)(1 - tail) | FN(sign_of)(x));
    return FN(c_select)((VI)(size < 1), x * POLYNOMIAL(squared, FN(erf_near)), far);
}

/* The chance that a normal variable is below x, which is no less than -GELU_MOST; `density` becomes
 * exp(-x^2 / 2). */
ALWAYS_INLINE V FN(normal)(V x, V *density) {
    const V size = FN(at_most)(FN(size_of)(x), GELU_MOST);
    const V s = 1 / (1 + size * (R)(0.3 * 0.70710678118654752440));
    V n;
    const V rest = FN(reduced)(size * size * (R)-0.5, &n), scale = FN(power_of_two)(n);
    *density = (V)((VI)(scale + scale * rest) & (VI)(size < GELU_MOST));
    const V tail = (R)0.5 * *density * s * POLYNOMIAL(s, FN(tail_terms));
    return FN(c_select)((VI)(x < 0), tail, 1 - tail);
}

/* The curves: of a vector, their value, or with `slope` their derivative (tn.h says where). */
ALWAYS_INLINE V FN(curve)(const int curve, const int slope, V x, R parameter) {
    V density, inner;
    switch (curve) {
    case TN_CURVE_TANH:
        return slope ? 1 - x * x : FN(tanh)(x);
    case TN_CURVE_SIGMOID:
        return slope ? x * (1 - x) : FN(sigmoid)(x);
    case TN_CURVE_SILU:
        x = FN(at_least)(slope ? FN(at_most)(x, -2 * EXP_LEAST) : x, 2 * EXP_LEAST);
        inner = FN(sigmoid)(x);
        return slope ? inner * (1 + x * (1 - inner)) : x * inner;
    case TN_CURVE_SOFTPLUS:
        if (slope) return FN(sigmoid)(x);
        return FN(c_select)((VI)(x > 0), x, (V){0}) + FN(log1p)(FN(exp)(-FN(size_of)(x)));
    case TN_CURVE_ELU:
        if (slope) return FN(c_select)((VI)(x > 0), FN(c_splat)(1), parameter * FN(exp)(x));
        return FN(c_select)((VI)(x < 0), parameter * FN(expm1)(x), x);
    case TN_CURVE_ERF:
        if (slope) return (R)1.12837916709551257390 * FN(exp)(-(x * x));
        return FN(erf)(x);
    case TN_CURVE_GELU:
        x = FN(at_least)(slope ? FN(at_most)(x, GELU_MOST) : x, -GELU_MOST);
        inner = FN(normal)(x, &density);
        return slope ? inner + x * density * (R)0.39894228040143267794 : x * inner;
    default: { /* TN_CURVE_GELU_TANH */
        x = FN(at_least)(slope ? FN(at_most)(x, GELU_MOST) : x, -GELU_MOST);
        const V bent = (R)0.044715 * (x * x), scaled = (R)0.79788456080286535588 * x;
        inner = FN(tanh)(scaled * (1 + bent));
        const V weight = (R)0.5 * (1 + inner);
        if (!slope) return weight * x;
        return weight + (R)0.5 * (1 - inner * inner) * (scaled * (1 + 3 * bent));
    }
    }
}

ALWAYS_INLINE void FN(draw)(const int curve, const int slope, const char *g, const char *x, char *out,
                            int64_t n, R parameter) {
    int64_t i = 0;
    const int64_t whole = n / VL * VL, rest = (n - whole) * (int64_t)sizeof(R);
    for (; i < whole; i += VL) {
        const int64_t at = i * (int64_t)sizeof(R);
        const V y = FN(curve)(curve, slope, FN(c_load)(x + at), parameter);
        FN(c_store)(out + at, slope ? y * FN(c_load)(g + at) : y);
    }
    if (!rest) return;
    const int64_t at = whole * (int64_t)sizeof(R);
    V last = {0}, of = {0};
    memcpy(&last, x + at, (size_t)rest);
    if (slope) memcpy(&of, g + at, (size_t)rest);
    last = FN(curve)(curve, slope, last, parameter);
    if (slope) last *= of;
    memcpy(out + at, &last, (size_t)rest);
}

#define EACH_CURVE(DO)                                                                              \
    DO(tanh, TN_CURVE_TANH) DO(sigmoid, TN_CURVE_SIGMOID) DO(silu, TN_CURVE_SILU)                   \
    DO(softplus, TN_CURVE_SOFTPLUS) DO(elu, TN_CURVE_ELU) DO(erf, TN_CURVE_ERF)                     \
    DO(gelu, TN_CURVE_GELU) DO(gelu_tanh, TN_CURVE_GELU_TANH)
#define DEFINE(name, curve)                                                                         \
    static void FN(value_of_##name)(const char *g, const char *x, char *out, int64_t n, double p) { \
        FN(draw)(curve, 0, g, x, out, n, (R)p);                                                     \
    }                                                                                               \
    static void FN(slope_of_##name)(const char *g, const char *x, char *out, int64_t n, double p) { \
        FN(draw)(curve, 1, g, x, out, n, (R)p);                                                     \
    }
EACH_CURVE(DEFINE)
#define VALUE(name, curve) [curve] = FN(value_of_##name),
#define SLOPE(name, curve) [curve] = FN(slope_of_##name),
static const tn_curve_kernels FN(curve_kernels) = {.value = {EACH_CURVE(VALUE)}, .slope = {EACH_CURVE(SLOPE)}};

#undef FN
#undef V
#undef VU
#undef VI
#undef VL
#undef MANTISSA
#undef BIAS
#undef ROUNDER
#undef LN2_HIGH
#undef LN2_LOW
#undef EXP_MOST
#undef EXP_LEAST
#undef EXPM1_MOST
#undef GELU_MOST
#undef LOG_TERMS
#undef POLYNOMIAL
#undef EACH_CURVE
#undef DEFINE
#undef VALUE
#undef SLOPE
#undef NAME
#undef R
#undef I
#undef SINGLE
