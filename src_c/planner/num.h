/* Arithmetic that gives the same bits on every machine: own log2, exp2 and random numbers.
 * Built with -ffp-contract=off, these are plain IEEE operations in a fixed order. */
#ifndef TNP_NUM_H
#define TNP_NUM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* 2^x to about 1e-15; infinity above 1023, zero below -1022. */
static inline double tnp_exp2(double x)
{
    static const double c[] = {1.0,
                               6.93147180559945309e-01,
                               2.40226506959100712e-01,
                               5.55041086648215800e-02,
                               9.61812910762847716e-03,
                               1.33335581464284434e-03,
                               1.54035303933816099e-04,
                               1.52527338040598403e-05,
                               1.32154867901443095e-06,
                               1.01780860092396997e-07,
                               7.05491162080112333e-09,
                               4.44553827187081150e-10};
    if (x >= 1023.5) return INFINITY;
    if (x < -1022.0) return 0.0;
    int64_t whole = (int64_t)(x + 2048.5) - 2048;
    double f = x - (double)whole, p = c[11];
    if (f != 0.0) {
        for (int k = 10; k >= 0; k--) p = p * f + c[k];
    } else {
        p = 1.0;
    }
    uint64_t bits;
    double scale;
    if (whole > 1023) { /* 1023.0 <= x rounds up: split the scale */
        p *= 2.0;
        whole--;
    }
    bits = (uint64_t)(whole + 1023) << 52;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* log2 of a positive normal number, exact for powers of two; -infinity for zero. */
static inline double tnp_log2(double x)
{
    if (!(x > 0.0)) return -INFINITY;
    if (x > 1.7976931348623157e308) return INFINITY;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t e = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    double s = (m - 1.0) / (m + 1.0), z = s * s, p = 1.0 / 21.0;
    for (int k = 19; k >= 1; k -= 2) p = p * z + 1.0 / (double)k;
    return (double)e + s * p * 2.88539008177792681472; /* 2 / ln 2 */
}

/* log2(2^a + 2^b) without overflow. */
static inline double tnp_add2(double a, double b)
{
    double hi = a > b ? a : b, lo = a > b ? b : a;
    if (!(lo > hi - 60.0)) return hi;
    return hi + tnp_log2(1.0 + tnp_exp2(lo - hi));
}

/* splitmix64: every stream is named by its starting state. */
typedef struct {
    uint64_t state;
} tnp_rng;

static inline uint64_t tnp_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline tnp_rng tnp_rng_make(uint64_t seed, uint64_t stream)
{
    uint64_t place = tnp_mix(stream * 0xd1342543de82ef95ULL + 1);
    tnp_rng r = {tnp_mix(seed + 0x9e3779b97f4a7c15ULL) ^ place};
    return r;
}

static inline uint64_t tnp_next(tnp_rng *r)
{
    return tnp_mix(r->state += 0x9e3779b97f4a7c15ULL);
}

/* Uniform in (0, 1). */
static inline double tnp_uniform(tnp_rng *r)
{
    return ((double)(tnp_next(r) >> 12) + 0.5) * 0x1p-52;
}

/* Uniform in 0 .. n-1, n < 2^32. */
static inline uint32_t tnp_below(tnp_rng *r, uint32_t n)
{
    return (uint32_t)(((tnp_next(r) >> 32) * (uint64_t)n) >> 32);
}

#endif
