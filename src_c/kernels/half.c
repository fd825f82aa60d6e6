/* float16 is a storage format here: widened on the way in, rounded to nearest even on the way out.
 * Bit arithmetic, so that no compiler support is assumed. */
#include "../tn.h"

#include <string.h>

static float widen(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000 | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        /* subnormal: fraction * 2^-24 is exact in float32 */
        float value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Shifts right, rounding to nearest, ties to even. */
static uint32_t shift_rounding(uint32_t x, int shift) {
    uint32_t half = 1u << (shift - 1), rest = x & ((1u << shift) - 1);
    x >>= shift;
    return x + (rest > half || (rest == half && (x & 1)));
}

static uint16_t narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);  /* not a number */
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00); /* 65536 and beyond */
    int exponent = (int)(magnitude >> 23) - 112;
    if (exponent > 0) /* a carry out of the fraction raises the exponent, up to infinity */
        return (uint16_t)(sign | shift_rounding(magnitude - 0x38000000, 13));
    if (exponent < -10) return sign; /* below half of the smallest subnormal */
    uint32_t fraction = (magnitude & 0x7fffff) | 0x800000;
    return (uint16_t)(sign | shift_rounding(fraction, 14 - exponent));
}

/* Calls with the innermost axis as a plain loop and an odometer over the others. */
static void each(const tn_dim *dims, int n_dims, const char *a, char *c,
                 void (*row)(const tn_dim *, const char *, char *)) {
    static const tn_dim single = {1, 0, 0, 0};
    const tn_dim *inner = n_dims ? &dims[n_dims - 1] : &single;
    int64_t at[TN_MAX_DIMS] = {0};
    for (;;) {
        row(inner, a, c);
        int d = n_dims - 2;
        for (; d >= 0; d--) {
            a += dims[d].sa;
            c += dims[d].sc;
            if (++at[d] < dims[d].n) break;
            a -= dims[d].n * dims[d].sa;
            c -= dims[d].n * dims[d].sc;
            at[d] = 0;
        }
        if (d < 0) return;
    }
}

static void widen_row(const tn_dim *d, const char *a, char *c) {
    for (int64_t i = 0; i < d->n; i++) {
        uint16_t h;
        memcpy(&h, a + i * d->sa, sizeof h);
        float x = widen(h);
        memcpy(c + i * d->sc, &x, sizeof x);
    }
}

static void narrow_row(const tn_dim *d, const char *a, char *c) {
    for (int64_t i = 0; i < d->n; i++) {
        float x;
        memcpy(&x, a + i * d->sa, sizeof x);
        uint16_t h = narrow(x);
        memcpy(c + i * d->sc, &h, sizeof h);
    }
}

void tn_half_to_float(const tn_dim *dims, int n_dims, const char *a, char *c) {
    each(dims, n_dims, a, c, widen_row);
}

void tn_float_to_half(const tn_dim *dims, int n_dims, const char *a, char *c) {
    each(dims, n_dims, a, c, narrow_row);
}
