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
#define STAGE(size, lanes, bit)                                                        \
    if (bit >= PARTS && bit < size * PARTS) {                                          \
        _Pragma("GCC unroll 16") for (int i = 0; i < size; i++) {                      \
            const int j = (i + bit / PARTS) % size;                                    \
            if (i & (bit / PARTS)) continue;                                           \
            __typeof__(x[0]) low = SHUFFLE(x[i], x[j], lanes(EXCHANGE_LOW, bit));      \
            x[j] = SHUFFLE(x[i], x[j], lanes(EXCHANGE_HIGH, bit));                     \
            x[i] = low;                                                                \
        }                                                                              \
    }

ALWAYS_INLINE void FN(flip_square)(Q *x) {
#if PARTS == 1 && R_BYTES == 4
    /* vectors interleave the numbers of two others faster than they exchange every second one; what
     * that moves to the wrong vector of four is then called by its right name */
#pragma GCC unroll 16
    for (int i = 0; i < S; i += 2) {
        const Q low = SHUFFLE(x[i], x[i + 1], SQUARE_LANES(INTERLEAVE_LOW, 1));
        x[i + 1] = SHUFFLE(x[i], x[i + 1], SQUARE_LANES(INTERLEAVE_HIGH, 1));
        x[i] = low;
    }
    STAGE(S, SQUARE_LANES, 2)
    STAGE(S, SQUARE_LANES, 4)
#pragma GCC unroll 16
    for (int i = 0; i < S; i += 4) {
        const Q second = x[i + 2];
        x[i + 2] = x[i + 1];
        x[i + 1] = second;
    }
#else
    STAGE(S, SQUARE_LANES, 1)
    STAGE(S, SQUARE_LANES, 2)
    STAGE(S, SQUARE_LANES, 4)
    STAGE(S, SQUARE_LANES, 8)
#endif
}
#undef STAGE
#endif

#undef E
