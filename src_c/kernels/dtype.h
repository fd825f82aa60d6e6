/* Every kernel for one element type.  isa.c includes this file once per type with
 *   NAME     suffix of the functions
 *   R        the real number type
 *   COMPLEX  1 if an element is a pair of R
 *   BOOLEAN  1 if (multiply, add) are (and, or)
 *   FLOATING 1 if exponents can be stripped
 * The multiply/accumulate pair below is all that a type has of its own. */
#define FN(x) TN_PASTE(x, NAME)

#define V FN(vector)
#define VU FN(unaligned_vector)
typedef R V __attribute__((vector_size(VBYTES)));
typedef R VU __attribute__((vector_size(VBYTES), aligned(1), may_alias));

#define VL ((int)(VBYTES / sizeof(R)))
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

#include "tile.h"
#include "square.h"
#include "pack.h"
#include "gett.h"
#include "transpose.h"
#include "nest.h"
#include "direct.h"
#include "dots.h"
#include "inner.h"
#include "skinny.h"
#include "scaling.h"

static const tn_kernels FN(kernels) = {
    .mr = MR,
    .nr = NR,
    .lanes = VL / PARTS,
    .gett = FN(gett),
    .direct = FN(direct),
#if FLOATING
    .dots = FN(dots),
    .inner = FN(inner_products),
#endif
    .nest = FN(nest),
    .unary = FN(unary),
    .table = FN(table),
#if FLOATING
    .skinny = FN(skinny),
    .exponent = FN(exponent),
    .scale = FN(scale),
#endif
    .add = FN(add),
};

#undef FN
#undef V
#undef VU
#undef VL
#undef S
#undef Q
#undef QU
#undef MR
#undef NR
#undef PARTS
#undef T
#undef ACCUMULATE
#undef MULTIPLY
#undef NAME
#undef ASSEMBLED
#undef R
#undef R_BYTES
#undef COMPLEX
#undef BOOLEAN
#undef FLOATING
