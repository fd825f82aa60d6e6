/* Moving the lanes of vectors about. */
#ifndef TN_SHUFFLE_H
#define TN_SHUFFLE_H

#include "vector.h"

/* Lanes of two vectors x, y of L lanes each are numbered 0 .. 2L-1.  Exchanging a bit of the lane with
 * the choice of vector is one stage of a transposition. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
/* Two vectors of so many lanes side by side; from lanes compilers make single loads. */
#define JOIN_2(type, x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3)
#define JOIN_4(type, x, y) __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7)
#else
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (__typeof__((x) < (y))){__VA_ARGS__})
#define JOIN_2(type, x, y) ((type){x[0], x[1], y[0], y[1]})
#define JOIN_4(type, x, y) ((type){x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3]})
#endif
/* Lanes by numbers that are known when the program runs: __builtin_shuffle. */
#if defined(__clang__)
#define VARIABLE_SHUFFLES 0
#else
#define VARIABLE_SHUFFLES 1
#endif
#define EXCHANGE_LOW(l, bit, L) (((l) & (bit)) ? (L) + (l) - (bit) : (l))
#define EXCHANGE_HIGH(l, bit, L) (((l) & (bit)) ? (L) + (l) : (l) + (bit) < (L) ? (l) + (bit) : (l))
#define INTERLEAVE_LOW(l, bit, L) (((l) & ~3) + ((l) >> 1) % 2 + ((l) & 1) * (L))
#define INTERLEAVE_HIGH(l, bit, L) (INTERLEAVE_LOW(l, bit, L) + 2)
#define PARTNER(l, bit, L) ((l) ^ (bit))
#define WITHOUT(l, bit, L) ((l) & ~(bit))
#define WITH(l, bit, L) ((l) | (bit))
#define LANES_2(f, bit, L) f(0, bit, L), f(1, bit, L)
#define LANES_4(f, bit, L) LANES_2(f, bit, L), f(2, bit, L), f(3, bit, L)
#define LANES_8(f, bit, L)                                                     \
    LANES_4(f, bit, L), f(4, bit, L), f(5, bit, L), f(6, bit, L), f(7, bit, L)
#define LANES_16(f, bit, L)                                                        \
    LANES_8(f, bit, L), f(8, bit, L), f(9, bit, L), f(10, bit, L), f(11, bit, L), \
        f(12, bit, L), f(13, bit, L), f(14, bit, L), f(15, bit, L)
#define SIGNS_2 -1, 1
#define SIGNS_4 SIGNS_2, SIGNS_2
#define SIGNS_8 SIGNS_4, SIGNS_4
#define SIGNS_16 SIGNS_8, SIGNS_8

/* As many lanes as a macro says. */
#define LANES_OF(count, f, bit) LANES_OF_(count, f, bit)
#define LANES_OF_(count, f, bit) LANES_##count(f, bit, count)
#define OTHER_HALF(l, bit, L) (((l) ^ (bit)) % (L)) /* valid also where there is no such bit */
#define LANE(l, bit, L) (l)
#define ALTERNATE(l, bit, L) (((l) & (bit)) ? 1 : -1)

#define SWAP_PARTS(x) SHUFFLE(x, x, LANES(PARTNER, 1))
#define REAL_PARTS(x) SHUFFLE(x, x, LANES(WITHOUT, 1))
#define IMAGINARY_PARTS(x) SHUFFLE(x, x, LANES(WITH, 1))
#define NEGATE_REAL ((V){SIGNS})

/* Words of 32 bits of any vector, in the order of their numbers `from`. */
typedef int32_t words __attribute__((vector_size(VBYTES)));
ALWAYS_INLINE words reorder_words(words x, words from) {
#if VARIABLE_SHUFFLES
    return __builtin_shuffle(x, from);
#else
    words y;
    for (int w = 0; w < VBYTES / (int)sizeof(int32_t); w++) y[w] = x[from[w]];
    return y;
#endif
}

#endif
