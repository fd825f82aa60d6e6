/* What kernels are written in, for one element type.  Included once per type with
 *   NAME     suffix of the functions
 *   R        the real number type
 *   COMPLEX  1 if an element is a pair of R
 *   BOOLEAN  1 if (multiply, add) are (and, or)
 *   FLOATING 1 if exponents can be stripped
 * The multiply/accumulate pair below is all that a type has of its own.  element_end.h ends it. */
#define FN(x) TN_PASTE(x, NAME)

#define V FN(vector)
#define VU FN(unaligned_vector)
typedef R V __attribute__((vector_size(VBYTES)));
typedef R VU __attribute__((vector_size(VBYTES), aligned(1), may_alias));

#define VL ((int)(VBYTES / sizeof(R)))
#if FLOATING
/* A whole number for each lane. */
#define VI FN(vector_of_integers)
typedef __typeof__(__builtin_choose_expr(sizeof(R) == 4, (int32_t)0, (int64_t)0)) VI
    __attribute__((vector_size(VBYTES)));
#endif
#if COMPLEX
#define MR COMPLEX_ROWS
#define PARTS 2
#define T FN(element)
typedef struct {
    R re, im;
} T;
#else
#define MR REAL_ROWS
#define PARTS 1
#define T R
#endif

#define NR (TILE_VECTORS * VL / PARTS)

ALWAYS_INLINE T FN(load)(const char *p) {
    T x;
    memcpy(&x, p, sizeof x);
    return x;
}

ALWAYS_INLINE void FN(store)(char *p, T x) { memcpy(p, &x, sizeof x); }

#if BOOLEAN
#define ACCUMULATE(c, x) ((c) |= (x))
#define MULTIPLY(x, y) ((x) & (y))
#else
#define ACCUMULATE(c, x) ((c) += (x))
#define MULTIPLY(x, y) ((x) * (y))
#endif

#if COMPLEX
ALWAYS_INLINE T FN(plus)(T x, T y) { return (T){x.re + y.re, x.im + y.im}; }
ALWAYS_INLINE T FN(muladd)(T c, T x, T y) {
    return (T){c.re + x.re * y.re - x.im * y.im, c.im + x.re * y.im + x.im * y.re};
}
#elif BOOLEAN
ALWAYS_INLINE T FN(plus)(T x, T y) { return x | y; }
ALWAYS_INLINE T FN(muladd)(T c, T x, T y) { return (T)(c | (x & y)); }
#elif FLOATING
ALWAYS_INLINE T FN(plus)(T x, T y) { return x + y; }
ALWAYS_INLINE T FN(muladd)(T c, T x, T y) { return c + x * y; }
#else
ALWAYS_INLINE T FN(plus)(T x, T y) { return (T)(x + y); }
/* 1u: the product of two uint16 would be an int and overflow */
ALWAYS_INLINE T FN(muladd)(T c, T x, T y) { return (T)(c + 1u * x * y); }
#endif

ALWAYS_INLINE void FN(put)(char *c, V x, int accumulate) {
    VU *to = (VU *)c;
    if (accumulate) ACCUMULATE(x, *to);
    *to = x;
}

/* How results are written: over what was there, added to it, or past the caches, aligned; or the halves of
 * vectors each to a place of its own. */
typedef enum { FN(WRITE), FN(ADD), FN(STREAM_PAST), FN(WRITE_HALVES) } FN(write_mode);

ALWAYS_INLINE void FN(write)(char *to, V x, FN(write_mode) mode) {
    if (mode == FN(STREAM_PAST))
        STREAM(to, x);
    else
        FN(put)(to, x, mode == FN(ADD));
}

ALWAYS_INLINE R FN(real)(const char *p) {
    R x;
    memcpy(&x, p, sizeof x);
    return x;
}
