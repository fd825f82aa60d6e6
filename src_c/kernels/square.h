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

/* A vector from pieces of `side` elements, eight bytes or more each, at at[0], at[side] and so on. */
ALWAYS_INLINE Q FN(load_pieces)(const char *from, const int64_t *at, const int side) {
    typedef double doubles __attribute__((vector_size(sizeof(Q))));
    typedef double two_doubles __attribute__((vector_size(16), aligned(1), may_alias));
    typedef double one_double __attribute__((aligned(1), may_alias));
    const int bytes = side * (int)sizeof(T);
    if (side == S) return *(const QU *)(from + at[0]);
    doubles x;
#pragma GCC unroll 8
    for (int i = 0; i < (int)sizeof(Q) / 8; i++) {
        const char *piece = from + at[i * 8 / bytes * side] + i * 8 % bytes;
        x[i] = bytes < 16 ? *(const one_double *)piece
                          : (*(const two_doubles *)(piece - i % 2 * 8))[i % 2];
    }
    return (Q)x;
}
#endif

#undef E
