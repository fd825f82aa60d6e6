/* Squares of elements transposed in registers: x[i][j] -> x[j][i] for as many vectors as a vector has
 * elements. */

#define E (VL / PARTS)

/* Packing takes squares of at most 8 x 8, from vectors shorter than others if need be: few axes of
 * tensors are longer, and whatever a square does not cover moves element by element. */
#define S (FLOATING && E > 8 ? 8 : E)
#define Q FN(square_vector)
#define QU FN(unaligned_square_vector)
typedef R Q __attribute__((vector_size(S * sizeof(T))));
typedef R QU __attribute__((vector_size(S * sizeof(T)), aligned(1), may_alias));

#if FLOATING
/* Exchanges one bit of i and j after the other. */
#define STAGE(bit)                                                                     \
    if (bit >= PARTS && bit < side * PARTS) {                                          \
        _Pragma("GCC unroll 16") for (int i = 0; i < side; i++) {                      \
            const int j = (i + bit / PARTS) % side;                                    \
            if (i & (bit / PARTS)) continue;                                           \
            const Q low = SHUFFLE(x[i], x[j], SQUARE_LANES(EXCHANGE_LOW, bit));        \
            x[j] = SHUFFLE(x[i], x[j], SQUARE_LANES(EXCHANGE_HIGH, bit));              \
            x[i] = low;                                                                \
        }                                                                              \
    }

/* Squares of side x side elements, S / side of them next to each other. */
ALWAYS_INLINE void FN(flip_squares)(Q *x, const int side) {
#if PARTS == 1 && R_BYTES == 4
    if (side < 4) {
        STAGE(1)
        return;
    }
    /* vectors interleave the numbers of two others faster than they exchange every second one; what
     * that moves to the wrong vector of four is then called by its right name */
#pragma GCC unroll 16
    for (int i = 0; i < side; i += 2) {
        const Q low = SHUFFLE(x[i], x[i + 1], SQUARE_LANES(INTERLEAVE_LOW, 1));
        x[i + 1] = SHUFFLE(x[i], x[i + 1], SQUARE_LANES(INTERLEAVE_HIGH, 1));
        x[i] = low;
    }
    STAGE(2)
    STAGE(4)
#pragma GCC unroll 16
    for (int i = 0; i < side; i += 4) {
        const Q second = x[i + 2];
        x[i + 2] = x[i + 1];
        x[i + 1] = second;
    }
#else
    STAGE(1)
    STAGE(2)
    STAGE(4)
    STAGE(8)
#endif
}
#undef STAGE

ALWAYS_INLINE void FN(flip_square)(Q *x) { FN(flip_squares)(x, S); }

typedef double FN(two_doubles) __attribute__((vector_size(16)));
typedef double FN(unaligned_two) __attribute__((vector_size(16), aligned(1), may_alias));
typedef double FN(four_doubles) __attribute__((vector_size(32)));
typedef double FN(eight_doubles) __attribute__((vector_size(64)));

/* Doubles number i and the next of a vector from pieces. */
ALWAYS_INLINE FN(two_doubles) FN(load_two)(const char *from, const int64_t *at, const int side, int i) {
    typedef double unaligned_one __attribute__((aligned(1), may_alias));
    const int bytes = side * (int)sizeof(T);
    const char *piece = from + at[i * 8 / bytes * side] + i * 8 % bytes;
    if (bytes >= 16) return *(const FN(unaligned_two) *)piece;
    const char *next = from + at[(i + 1) * side];
    return (FN(two_doubles)){*(const unaligned_one *)piece, *(const unaligned_one *)next};
}

ALWAYS_INLINE FN(four_doubles) FN(load_four)(const char *from, const int64_t *at, const int side, int i) {
    const FN(two_doubles) low = FN(load_two)(from, at, side, i);
    const FN(two_doubles) high = FN(load_two)(from, at, side, i + 2);
    return JOIN_2(FN(four_doubles), low, high);
}

/* A vector from pieces of `side` elements, eight bytes or more each, at at[0], at[side] and so on. */
ALWAYS_INLINE Q FN(load_pieces)(const char *from, const int64_t *at, const int side) {
    if (side == S) return *(const QU *)(from + at[0]);
#if VBYTES == 16
    return (Q)FN(load_two)(from, at, side, 0);
#elif VBYTES == 32 || R_BYTES * PARTS == 4
    return (Q)FN(load_four)(from, at, side, 0);
#else
    const FN(four_doubles) low = FN(load_four)(from, at, side, 0);
    const FN(four_doubles) high = FN(load_four)(from, at, side, 4);
    return (Q)JOIN_4(FN(eight_doubles), low, high);
#endif
}
#endif

#undef E
