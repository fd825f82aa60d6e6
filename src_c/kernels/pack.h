/* Packing: blocks of a and b, wherever they lie, into the panels that the microkernel reads.
 *
 *   a: [panels][kc][width] elements, width <= MR rows
 *   b: [panels][kc][NR] elements, the last panel padded with zeros
 *
 * Memory is read along its unit stride: along the rows or columns where these are neighbours, along k
 * with a transposition in registers, or along another axis of the columns (pack_across). */

#define E (VL / PARTS) /* elements of one vector */

#if FLOATING
/* x[i][j] -> x[j][i] for E vectors of E elements: exchanges one bit of i and j after the other. */
ALWAYS_INLINE void FN(flip)(V *x) {
#define STAGE(bit)                                                               \
    if (bit >= PARTS && bit < VL) {                                              \
        _Pragma("GCC unroll 16") for (int i = 0; i < E; i++) {                   \
            const int j = (i + bit / PARTS) % E;                                 \
            if (i & (bit / PARTS)) continue;                                     \
            const V low = SHUFFLE(x[i], x[j], LANES(EXCHANGE_LOW, bit));         \
            x[j] = SHUFFLE(x[i], x[j], LANES(EXCHANGE_HIGH, bit));               \
            x[i] = low;                                                          \
        }                                                                        \
    }
    STAGE(1)
    STAGE(2)
    STAGE(4)
    STAGE(8)
#undef STAGE
}
#endif

ALWAYS_INLINE int FN(neighbours)(const int64_t *offsets, int count) {
    for (int i = 1; i < count; i++)
        if (offsets[i] - offsets[i - 1] != (int64_t)sizeof(T)) return 0;
    return 1;
}

ALWAYS_INLINE void FN(gather)(R *to, const char *from, const int64_t *offsets, int count) {
    for (int i = 0; i < count; i++) memcpy(to + i * PARTS, from + offsets[i], sizeof(T));
}

/* `rows` rows at offsets row[], kc steps at offsets down[], into one panel.  Up to one vector beyond
 * the panel is overwritten. */
static void FN(pack_rows)(R *to, const char *from, const int64_t *row, int rows,
                          const int64_t *down, int64_t kc, tn_run run) {
    const int64_t step = rows * PARTS;
    if (FN(neighbours)(row, rows)) {
        from += row[0];
        if (rows == MR)
            for (int64_t p = 0; p < kc; p++, to += step) memcpy(to, from + down[p], MR * sizeof(T));
        else
            for (int64_t p = 0; p < kc; p++, to += step)
                memcpy(to, from + down[p], (size_t)rows * sizeof(T));
        return;
    }
    int64_t p = 0;
#if FLOATING
    enum { GROUPS = (MR + E - 1) / E };
    const char *start[GROUPS * E]; /* rows that do not exist are never stored */
    for (int r = 0; r < GROUPS * E; r++) start[r] = from + row[r < rows ? r : 0];
    const int64_t whole = run.across == 1 && E > 1 ? run.along / E * E : 0;
    for (int64_t first = 0; whole && first < kc; first += run.along) {
        for (; p < first + whole; p += E) {
            V x[GROUPS][E];
#pragma GCC unroll 16
            for (int g = 0; g < GROUPS; g++) {
#pragma GCC unroll 16
                for (int i = 0; i < E; i++) x[g][i] = *(const VU *)(start[g * E + i] + down[p]);
                FN(flip)(x[g]);
            }
#pragma GCC unroll 16
            for (int i = 0; i < E; i++, to += step)
#pragma GCC unroll 16
                for (int g = 0; g < GROUPS; g++)
                    if (g * E < rows) *(VU *)(to + g * VL) = x[g][i];
        }
        for (; p < first + run.along; p++, to += step) FN(gather)(to, from + down[p], row, rows);
    }
#else
    (void)run;
#endif
    for (; p < kc; p++, to += step) FN(gather)(to, from + down[p], row, rows);
}

/* Up to NR columns at offsets column[] into one panel. */
static void FN(pack_columns)(R *to, const char *from, const int64_t *column, int columns,
                             const int64_t *down, int64_t kc, tn_run run) {
    if (columns < NR) memset(to, 0, (size_t)kc * NR * sizeof(T));
    if (columns < NR) {
        for (int64_t p = 0; p < kc; p++, to += 2 * VL)
            FN(gather)(to, from + down[p], column, columns);
        return;
    }
    if (FN(neighbours)(column, E) && FN(neighbours)(column + E, E)) {
        const char *left = from + column[0], *right = from + column[E];
        for (int64_t p = 0; p < kc; p++, to += 2 * VL) {
            __builtin_prefetch(right + down[p] + VBYTES); /* of the next panel, often */
            *(V *)to = *(const VU *)(left + down[p]);
            *(V *)(to + VL) = *(const VU *)(right + down[p]);
        }
        return;
    }
    const int64_t whole = FLOATING && E > 1 ? run.along / E * E : 0;
    for (int64_t first = 0; first < kc; first += run.along * run.across) {
#if FLOATING
        for (int64_t y = 0; y < whole; y += E)
            for (int64_t x0 = 0; x0 < run.across; x0++) {
                const int64_t p = first + y * run.across + x0;
                R *panel = to + p * 2 * VL;
#pragma GCC unroll 2
                for (int g = 0; g < 2; g++) {
                    V x[E];
#pragma GCC unroll 16
                    for (int i = 0; i < E; i++)
                        x[i] = *(const VU *)(from + column[g * E + i] + down[p]);
                    FN(flip)(x);
#pragma GCC unroll 16
                    for (int i = 0; i < E; i++)
                        *(V *)(panel + 2 * VL * i * run.across + g * VL) = x[i];
                }
            }
#endif
        for (int64_t p = first + whole * run.across; p < first + run.along * run.across; p++)
            FN(gather)(to + p * 2 * VL, from + down[p], column, NR);
    }
}

#if FLOATING
/* Columns [along][across] from x0 and y0 on: `rows` neighbours across, E along.  They go to the places
 * to[i], one for each step along; only whole vectors if `split` is 0, else one element at a time. */
ALWAYS_INLINE void FN(across_tile)(R *const *to, const char *const *start, int rows, int split,
                                   int64_t panel, const int *room, const int64_t *down,
                                   int64_t kc) {
    for (int64_t p = 0; p < kc; p++) {
        V x[E];
        const int64_t ahead = down[MIN(p + 8, kc - 1)];
#pragma GCC unroll 16
        for (int i = 0; i < E; i++) {
            x[i] = *(const VU *)(start[i] + down[p]);
            __builtin_prefetch(start[i] + ahead);
        }
        FN(flip)(x);
#pragma GCC unroll 16
        for (int i = 0; i < E; i++) {
            R *at = to[i] + p * NR * PARTS;
            if (!split) {
                *(V *)at = x[i];
                continue;
            }
            /* the first room[i] elements end their panel */
            for (int j = 0; j < rows; j++)
                memcpy(at + j * PARTS + (j < room[i] ? 0 : panel - NR * PARTS),
                       (R *)&x[i] + j * PARTS, sizeof(T));
        }
    }
}

/* All panels of columns [outer][along][across] whose middle axis has unit stride in memory. */
static void FN(pack_across)(R *to, const char *from, const int64_t *column, int64_t count,
                            const int64_t *down, int64_t kc, tn_run run) {
    const int64_t panel = kc * NR * PARTS, along = run.along, across = run.across;
    if (count % NR) memset(to + count / NR * panel, 0, (size_t)panel * sizeof(R));
    for (int64_t first = 0; first < count; first += along * across)
        for (int64_t x0 = 0; x0 < across; x0 += E) {
            const int rows = (int)MIN((int64_t)E, across - x0);
            for (int64_t y0 = 0; y0 < along; y0 += E) {
                const int64_t steps = MIN((int64_t)E, along - y0);
                R *place[E];
                int room[E];
                const char *start[E];
                for (int64_t i = 0; i < E; i++) {
                    const int64_t q = first + (y0 + i) * across + x0;
                    place[i] = to + q / NR * panel + q % NR * PARTS;
                    room[i] = (int)(NR - q % NR);
                    start[i] = from + column[first + y0 * across + x0 + (i < rows ? i : 0)];
                }
                if (steps == E) {
                    if (across % E == 0)
                        FN(across_tile)(place, start, E, 0, panel, room, down, kc);
                    else
                        FN(across_tile)(place, start, rows, 1, panel, room, down, kc);
                    continue;
                }
                for (int64_t p = 0; p < kc; p++)
                    for (int64_t i = 0; i < steps; i++)
                        for (int j = 0; j < rows; j++)
                            memcpy(place[i] + (p * NR + j) * PARTS +
                                       (j < room[i] ? 0 : panel - NR * PARTS),
                                   start[j] + down[p] + i * (int64_t)sizeof(T), sizeof(T));
            }
        }
}
#endif

#undef E
