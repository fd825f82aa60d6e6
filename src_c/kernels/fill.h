/* Fills the target of a tile by squares of SIDE x SIDE elements that are transposed in registers, WIDE
 * of them next to each other along c; the last ones overlap those before.  transpose.h includes this
 * file once per shape with
 *   ROW_LANES  the lanes of one row of the squares */
#define SHAPED(x) FN(TN_PASTE(TN_PASTE(x, WIDE), SIDE))
#define ROW SHAPED(row)
#define ROW_U SHAPED(unaligned_row)
typedef R ROW __attribute__((vector_size(WIDE * SIDE * sizeof(T))));
typedef R ROW_U __attribute__((vector_size(WIDE * SIDE * sizeof(T)), aligned(1), may_alias));

/* One column of each square. */
#if WIDE == 4
#define COLUMNS(a, at)                                                                     \
    (ROW)(FN(doubles)) {                                                                   \
        FN(eight_bytes)((a) + (at)[0]), FN(eight_bytes)((a) + (at)[SIDE]),                 \
            FN(eight_bytes)((a) + (at)[2 * SIDE]), FN(eight_bytes)((a) + (at)[3 * SIDE])   \
    }
#elif WIDE == 2
#define COLUMNS(a, at)                                                                     \
    (ROW)(FN(doubles)) {                                                                   \
        (*(const FN(two_doubles) *)((a) + (at)[0]))[0],                                    \
            (*(const FN(two_doubles) *)((a) + (at)[0]))[1],                                \
            (*(const FN(two_doubles) *)((a) + (at)[SIDE]))[0],                             \
            (*(const FN(two_doubles) *)((a) + (at)[SIDE]))[1]                              \
    }
#else
#define COLUMNS(a, at) *(const ROW_U *)((a) + (at)[0])
#endif

/* Exchanges one bit of the row and the column after the other. */
#define STAGE(bit)                                                                 \
    if (bit < SIDE) {                                                              \
        _Pragma("GCC unroll 8") for (int i = 0; i < SIDE; i++) {                   \
            const int j = (i + bit) % SIDE;                                        \
            if (i & bit) continue;                                                 \
            ROW low = SHUFFLE(x[i], x[j], ROW_LANES(EXCHANGE_LOW, bit * PARTS));    \
            x[j] = SHUFFLE(x[i], x[j], ROW_LANES(EXCHANGE_HIGH, bit * PARTS));      \
            x[i] = low;                                                            \
        }                                                                          \
    }

ALWAYS_INLINE void SHAPED(flip)(const char *a, const int64_t *columns, char *to,
                                const int64_t *rows) {
    ROW x[SIDE];
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i++) x[i] = COLUMNS(a, columns + i);
    STAGE(1)
    STAGE(2)
    STAGE(4)
#pragma GCC unroll 8
    for (int i = 0; i < SIDE; i++) *(ROW_U *)(to + rows[i]) = x[i];
}

static inline void SHAPED(fill)(const copy_tile *t, const char *a, char *to, const char *ahead) {
    enum { STEP = WIDE * SIDE };
    const int64_t size = sizeof(T);
    int64_t fetched = 0;
    for (int64_t j = 0, left = t->along; left > 0; left -= STEP, j += MIN(STEP, left)) {
        fetched = fetch_rows(t, ahead, fetched, STEP);
        for (int64_t o = 0; o < t->between; o++) {
            const char *from = a + t->between_a[o];
            char *target = to + t->between_to[o] + j * size;
            for (int64_t i = 0, rest = t->across; rest > 0; rest -= SIDE, i += MIN(SIDE, rest))
                SHAPED(flip)(from + i * size, t->along_a + j, target, t->across_to + i);
        }
    }
}

#undef STAGE
#undef COLUMNS
#undef ROW
#undef ROW_U
#undef SHAPED
#undef ROW_LANES
#undef SIDE
#undef WIDE
