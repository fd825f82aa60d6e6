/* Fills the target of a tile by squares of SIDE x SIDE elements that are transposed in registers; the
 * last ones overlap those before.  transpose.h includes this file once per SIDE with
 *   LANES_OF  the lanes of one row of a square */
#define SQUARE FN(TN_PASTE(square, SIDE))
#define SQUARE_U FN(TN_PASTE(unaligned_square, SIDE))
typedef R SQUARE __attribute__((vector_size(SIDE * sizeof(T))));
typedef R SQUARE_U __attribute__((vector_size(SIDE * sizeof(T)), aligned(1), may_alias));

/* Exchanges one bit of the row and the column after the other. */
#define STAGE(bit)                                                                      \
    if (bit < SIDE) {                                                                   \
        _Pragma("GCC unroll 16") for (int i = 0; i < SIDE; i++) {                       \
            const int j = (i + bit) % SIDE;                                             \
            if (i & bit) continue;                                                      \
            SQUARE low = SHUFFLE(x[i], x[j], LANES_OF(EXCHANGE_LOW, bit * PARTS));      \
            x[j] = SHUFFLE(x[i], x[j], LANES_OF(EXCHANGE_HIGH, bit * PARTS));           \
            x[i] = low;                                                                 \
        }                                                                               \
    }

static void FN(TN_PASTE(fill, SIDE))(const copy_tile *t, const char *a, char *to) {
    const int64_t size = sizeof(T);
    for (int64_t j = 0; j < t->along; j = j + SIDE < t->along ? MIN(j + SIDE, t->along - SIDE) : t->along) {
        const int64_t *columns = t->along_a + j;
        for (int64_t o = 0; o < t->between; o++) {
            const char *from = a + t->between_a[o];
            char *target = to + t->between_to[o] + j * size;
            for (int64_t i = 0; i < t->across; i = i + SIDE < t->across ? MIN(i + SIDE, t->across - SIDE) : t->across) {
                SQUARE x[SIDE];
#pragma GCC unroll 16
                for (int q = 0; q < SIDE; q++)
                    x[q] = *(const SQUARE_U *)(from + columns[q] + i * size);
                STAGE(1)
                STAGE(2)
                STAGE(4)
                STAGE(8)
                const int64_t *rows = t->across_to + i;
#pragma GCC unroll 16
                for (int q = 0; q < SIDE; q++) *(SQUARE_U *)(target + rows[q]) = x[q];
            }
        }
    }
}

#undef STAGE
#undef SQUARE
#undef SQUARE_U
#undef LANES_OF
#undef SIDE
