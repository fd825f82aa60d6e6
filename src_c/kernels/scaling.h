/* Powers of two taken out of intermediates, so that long products stay in range.  Scaling by a
 * power of two is exact; values that underflow are smaller than the largest by the whole range. */

#if FLOATING
static int FN(exponent)(const char *x, int64_t n) {
    R largest = 0;
    int finite = 1;
    for (int64_t i = 0; i < n; i++) {
        R value;
        memcpy(&value, x + (size_t)i * sizeof(R), sizeof(R));
        value = value < 0 ? -value : value;
        finite &= value - value == 0;
        largest = value > largest ? value : largest;
    }
    if (!finite) return 0;
    if (largest == 0) return TN_NO_EXPONENT;
    int exponent;
    frexp((double)largest, &exponent);
    return exponent;
}

/* 2^exponent as two factors, each in range.  Neither is zero, so that infinity stays infinite. */
ALWAYS_INLINE void FN(factors)(int exponent, R *first, R *second) {
    const int least = sizeof(R) == 4 ? -149 : -1074;
    if (exponent < 2 * least) exponent = 2 * least;
    const int half = exponent / 2;
    *first = (R)ldexp(1.0, half);
    *second = (R)ldexp(1.0, exponent - half);
}

static void FN(scale)(char *x, int64_t n, int exponent) {
    R first, second;
    FN(factors)(exponent, &first, &second);
    for (int64_t i = 0; i < n; i++) {
        R value;
        char *at = x + (size_t)i * sizeof(R);
        memcpy(&value, at, sizeof(R));
        value = value * first * second;
        memcpy(at, &value, sizeof(R));
    }
}

static void FN(add)(char *c, const char *x, int64_t n, int exponent) {
    R first, second;
    FN(factors)(exponent, &first, &second);
    for (int64_t i = 0; i < n; i++) {
        R sum, value;
        const size_t at = (size_t)i * sizeof(R);
        memcpy(&sum, c + at, sizeof(R));
        memcpy(&value, x + at, sizeof(R));
        sum += value * first * second;
        memcpy(c + at, &sum, sizeof(R));
    }
}
#else
static void FN(add)(char *c, const char *x, int64_t n, int exponent) {
    (void)exponent;
    for (int64_t i = 0; i < n; i++) {
        const size_t at = (size_t)i * sizeof(R);
        FN(store)(c + at, FN(plus)(FN(load)(c + at), FN(load)(x + at)));
    }
}
#endif
