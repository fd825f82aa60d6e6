/* Packing: blocks of a and b, wherever they lie, into the panels that the microkernel reads.
 *
 *   a: [panels][kc][width] elements, width <= MR rows
 *   b: [panels][kc][NR] elements, the last panel padded with zeros
 *
 * Memory is read along its unit stride: along the rows or columns where these are neighbours, along k
 * with a transposition in registers, or along another axis of the columns (pack_across). */

#define E (VL / PARTS) /* elements of one vector */

ALWAYS_INLINE int FN(neighbours)(const int64_t *offsets, int count) {
    for (int i = 1; i < count; i++)
        if (offsets[i] - offsets[i - 1] != (int64_t)sizeof(T)) return 0;
    return 1;
}

/* Whether NR columns are neighbours within every `count` of them. */
ALWAYS_INLINE int FN(in_runs)(const int64_t *columns, const int count) {
    for (int j = 0; j < NR; j += count)
        if (!FN(neighbours)(columns + j, count)) return 0;
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
    enum { GROUPS = (MR + S - 1) / S };
    const char *start[GROUPS * S]; /* rows that do not exist are never stored */
    for (int r = 0; r < GROUPS * S; r++) start[r] = from + row[r < rows ? r : 0];
    const int64_t whole = run.across == 1 && S > 1 ? run.along / S * S : 0;
    for (int64_t first = 0; whole && first < kc; first += run.along) {
        for (; p < first + whole; p += S) {
            Q x[GROUPS][S];
#pragma GCC unroll 16
            for (int g = 0; g < GROUPS; g++) {
#pragma GCC unroll 16
                for (int i = 0; i < S; i++) x[g][i] = *(const QU *)(start[g * S + i] + down[p]);
                FN(flip_square)(x[g]);
            }
#pragma GCC unroll 16
            for (int i = 0; i < S; i++, to += step)
#pragma GCC unroll 16
                for (int g = 0; g < GROUPS; g++)
                    if (g * S < rows) *(QU *)(to + g * S * PARTS) = x[g][i];
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
        for (int64_t p = 0; p < kc; p++, to += NR * PARTS)
            FN(gather)(to, from + down[p], column, columns);
        return;
    }
    if (FN(in_runs)(column, E)) {
        const char *first = from + column[0], *last = from + column[NR - E];
        for (int64_t p = 0; p < kc; p++, to += NR * PARTS) {
            __builtin_prefetch(last + down[p] + VBYTES); /* of the next panel, often */
            *(V *)to = *(const VU *)(first + down[p]);
            if (NR > E) *(V *)(to + (NR - E) * PARTS) = *(const VU *)(last + down[p]);
        }
        return;
    }
    const int64_t whole = FLOATING && S > 1 ? run.along / S * S : 0;
    for (int64_t first = 0; first < kc; first += run.along * run.across) {
#if FLOATING
        for (int64_t y = 0; y < whole; y += S)
            for (int64_t x0 = 0; x0 < run.across; x0++) {
                const int64_t p = first + y * run.across + x0;
                R *panel = to + p * NR * PARTS;
#pragma GCC unroll 4
                for (int g = 0; g < NR / S; g++) {
                    Q x[S];
#pragma GCC unroll 16
                    for (int i = 0; i < S; i++)
                        x[i] = *(const QU *)(from + column[g * S + i] + down[p]);
                    FN(flip_square)(x);
#pragma GCC unroll 16
                    for (int i = 0; i < S; i++)
                        *(Q *)(panel + NR * PARTS * i * run.across + g * S * PARTS) = x[i];
                }
            }
#endif
        for (int64_t p = first + whole * run.across; p < first + run.along * run.across; p++)
            FN(gather)(to + p * NR * PARTS, from + down[p], column, NR);
    }
}

#if FLOATING
/* Columns [along][across] from x0 and y0 on: `rows` neighbours across, `squares` times S along.  They go
 * to the places to[i], one for each step along; only whole vectors if `split` is 0, else one element at
 * a time. */
ALWAYS_INLINE void FN(across_tile)(R *const *to, const char *const *start, int rows,
                                   const int squares, const int split, int64_t panel,
                                   const int *room, const int64_t *down, int64_t kc) {
    for (int64_t p = 0; p < kc; p++) {
        const int64_t ahead = down[MIN(p + 8, kc - 1)];
#pragma GCC unroll 16
        for (int i = 0; i < S; i++) __builtin_prefetch(start[i] + ahead);
#pragma GCC unroll 4
        for (int square = 0; square < squares; square++) {
            Q x[S];
#pragma GCC unroll 16
            for (int i = 0; i < S; i++) x[i] = ((const QU *)(start[i] + down[p]))[square];
            FN(flip_square)(x);
#pragma GCC unroll 16
            for (int i = 0; i < S; i++) {
                R *at = to[square * S + i] + p * NR * PARTS;
                if (!split) {
                    *(Q *)at = x[i];
                    continue;
                }
                /* the first room[] elements end their panel */
                for (int j = 0; j < rows; j++)
                    memcpy(at + j * PARTS + (j < room[square * S + i] ? 0 : panel - NR * PARTS),
                           (R *)&x[i] + j * PARTS, sizeof(T));
            }
        }
    }
}

/* All panels of columns [outer][along][across] whose middle axis has unit stride in memory. */
static void FN(pack_across)(R *to, const char *from, const int64_t *column, int64_t count,
                            const int64_t *down, int64_t kc, tn_run run) {
    enum { SQUARES = 64 / (S * sizeof(T)), LINE = SQUARES * S };
    const int64_t panel = kc * NR * PARTS, along = run.along, across = run.across;
    const int split = across % S != 0;
    if (count % NR) memset(to + count / NR * panel, 0, (size_t)panel * sizeof(R));
    for (int64_t first = 0; first < count; first += along * across)
        for (int64_t x0 = 0; x0 < across; x0 += S) {
            const int rows = (int)MIN((int64_t)S, across - x0);
            int64_t steps;
            for (int64_t y0 = 0; y0 < along; y0 += steps) {
                steps = along - y0 >= LINE ? LINE : MIN((int64_t)S, along - y0);
                R *place[LINE];
                int room[LINE];
                const char *start[S];
                for (int64_t i = 0; i < steps; i++) {
                    const int64_t q = first + (y0 + i) * across + x0;
                    place[i] = to + q / NR * panel + q % NR * PARTS;
                    room[i] = (int)(NR - q % NR);
                }
                for (int64_t i = 0; i < S; i++)
                    start[i] = from + column[first + y0 * across + x0 + (i < rows ? i : 0)];
                if (steps == LINE && !split)
                    FN(across_tile)(place, start, S, SQUARES, 0, panel, room, down, kc);
                else if (steps == S && !split)
                    FN(across_tile)(place, start, S, 1, 0, panel, room, down, kc);
                else if (steps >= S) {
                    steps = S;
                    FN(across_tile)(place, start, rows, 1, 1, panel, room, down, kc);
                } else
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
