/* Packing: blocks of a and b, wherever they lie, into the panels that the microkernel reads.
 *
 *   a: [panels][kc][width] elements, width <= MR rows
 *   b: [panels][kc][NR] elements, the last panel padded with zeros
 *
 * Memory is read along its unit stride: along the rows or columns where these are neighbours, along k
 * with a transposition in registers, or along another axis of the columns (pack_across). */

#define E (VL / PARTS) /* elements of one vector */
#define LINE ((int)(64 / sizeof(T)))
#define PATCH (3 * LINE) /* elements along a patch at most */
#define PERIOD (64 << 10) /* bytes after which lines meet in one set of the second cache, or in one of two */

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

#if FLOATING
/* Squares of 8 bytes a row and more are worth it. */
#define SQUARES(side) (S >= (side) && (side) > 1 && (side) * (int)sizeof(T) >= 8)

/* Steps p to end, which are neighbours, of rows in squares; returns the first step that is left. */
ALWAYS_INLINE int64_t FN(pack_row_squares)(R *to, const char *from, const int64_t *row, int rows,
                                           const int64_t *down, int64_t p, int64_t end, const int side) {
    enum { GROUPS = (MR + S - 1) / S };
    const int64_t step = rows * PARTS;
    for (; SQUARES(side) && p + side <= end; p += side) {
        Q x[GROUPS][S];
#pragma GCC unroll 16
        for (int g = 0; g < GROUPS; g++) {
#pragma GCC unroll 16
            for (int i = 0; i < side; i++)
                x[g][i] = FN(load_pieces)(from + down[p], row + g * S + i, side);
            FN(flip_squares)(x[g], side);
        }
#pragma GCC unroll 16
        for (int i = 0; i < side; i++)
#pragma GCC unroll 16
            for (int g = 0; g < GROUPS; g++)
                if (g * S < rows) *(QU *)(to + (p + i) * step + g * S * PARTS) = x[g][i];
    }
    return p;
}

/* Steps [y to along][across] of NR columns in squares; returns the first y that is left. */
ALWAYS_INLINE int64_t FN(pack_column_squares)(R *to, const char *from, const int64_t *column,
                                              const int64_t *down, int64_t y, tn_run run,
                                              const int side) {
    for (; SQUARES(side) && y + side <= run.along; y += side)
        for (int64_t p = y * run.across; p < (y + 1) * run.across; p++)
#pragma GCC unroll 4
            for (int g = 0; g < NR / S; g++) {
                Q x[S];
#pragma GCC unroll 16
                for (int i = 0; i < side; i++)
                    x[i] = FN(load_pieces)(from + down[p], column + g * S + i, side);
                FN(flip_squares)(x, side);
#pragma GCC unroll 16
                for (int i = 0; i < side; i++)
                    *(Q *)(to + (p + i * run.across) * NR * PARTS + g * S * PARTS) = x[i];
            }
    return y;
}

/* NR columns that are neighbours `side` by side; 0 if they are not. */
ALWAYS_INLINE int FN(pack_pieces)(R *to, const char *from, const int64_t *column, const int64_t *down,
                                  int64_t kc, const int side) {
    if (!SQUARES(side) || !FN(in_runs)(column, side)) return 0;
    for (int64_t p = 0; p < kc; p++, to += NR * PARTS)
#pragma GCC unroll 4
        for (int g = 0; g < NR / S; g++)
            *(Q *)(to + g * S * PARTS) = FN(load_pieces)(from + down[p], column + g * S, side);
    return 1;
}
#endif

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
    int64_t at[(MR + S - 1) / S * S]; /* rows that do not exist are never stored */
    for (int r = 0; r < (MR + S - 1) / S * S; r++) at[r] = row[r < rows ? r : 0];
    while (run.across == 1 && run.along > 1 && p < kc) {
        const int64_t end = p + run.along;
        p = FN(pack_row_squares)(to, from, at, rows, down, p, end, S);
        p = FN(pack_row_squares)(to, from, at, rows, down, p, end, S / 2);
        p = FN(pack_row_squares)(to, from, at, rows, down, p, end, S / 4);
        for (; p < end; p++) FN(gather)(to + p * step, from + down[p], row, rows);
    }
#else
    (void)run;
#endif
    for (; p < kc; p++) FN(gather)(to + p * step, from + down[p], row, rows);
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
#if FLOATING
    if (run.along < S && (FN(pack_pieces)(to, from, column, down, kc, S / 2) ||
                          FN(pack_pieces)(to, from, column, down, kc, S / 4)))
        return;
#endif
    const int64_t stretch = run.along * run.across;
    for (int64_t first = 0; first < kc; first += stretch) {
        R *panel = to + first * NR * PARTS;
        int64_t y = 0;
#if FLOATING
        y = FN(pack_column_squares)(panel, from, column, down + first, y, run, S);
        y = FN(pack_column_squares)(panel, from, column, down + first, y, run, S / 2);
        y = FN(pack_column_squares)(panel, from, column, down + first, y, run, S / 4);
#endif
        for (int64_t p = y * run.across; p < stretch; p++)
            FN(gather)(panel + p * NR * PARTS, from + down[first + p], column, NR);
    }
}

/* Panels of columns that are all neighbours, so many at once that rows are read some lines at a
 * time; returns the first column that is left. */
static int64_t FN(pack_wide)(R *to, const char *from, const int64_t *column, int64_t first,
                             int64_t count, const int64_t *down, int64_t kc) {
    enum { RUN = 4 * LINE_BYTES, PANELS = RUN / (TILE_VECTORS * VBYTES), AHEAD = 8 };
    const int64_t panel = kc * NR * PARTS;
    for (; first + PANELS * NR <= count && FN(neighbours)(column + first, PANELS * NR);
         first += PANELS * NR) {
        R *next = to + first * kc * PARTS;
        const char *start = from + column[first];
        for (int64_t p = 0; p < kc; p++, next += NR * PARTS) {
            const char *row = start + down[p], *later = start + down[MIN(p + AHEAD, kc - 1)];
#pragma GCC unroll 4
            for (int i = 0; i < RUN; i += LINE_BYTES) __builtin_prefetch(later + i);
#pragma GCC unroll 8
            for (int q = 0; q < PANELS; q++)
                for (int v = 0; v < TILE_VECTORS; v++)
                    *(V *)(next + q * panel + v * VL) =
                        *(const VU *)(row + (q * TILE_VECTORS + v) * VBYTES);
        }
    }
    return first;
}

#if FLOATING
/* A patch of columns [along][rows].  Its columns stay together in the panels by the grain: row g * grain
 * of step i along goes to to[g][i]. */
typedef struct {
    const char *start[NR]; /* rows that do not exist are read, but not stored */
    R *to[NR][PATCH];
    int rows, along;
    int meet; /* in so few sets of the second cache that lines do not stay there until they are packed */
} FN(patch);

/* Up to S elements, the first of them in row r, as columns of step i. */
ALWAYS_INLINE void FN(put_across)(const FN(patch) *x, Q values, const int grain, int r, int i,
                                  int64_t step) {
    R *const *to = &x->to[r / grain][i];
    if (grain == S) {
        *(Q *)(*to + step) = values;
        return;
    }
    const int grains = MIN(S, x->rows - r) / grain;
    for (int g = 0; g < grains; g++)
        memcpy(to[g * PATCH] + step, (const R *)&values + g * grain * PARTS, grain * sizeof(T));
}

/* The lines of one step, into the first cache; apart, for packing needs all registers. */
static __attribute__((noinline)) void FN(fetch_patch)(const FN(patch) *x, int64_t down) {
    const int64_t last = x->along * (int64_t)sizeof(T) - 1;
    for (int r = 0; r < x->rows; r++)
        for (int64_t i = 0; i < last + LINE_BYTES; i += LINE_BYTES)
            __builtin_prefetch(x->start[r] + down + MIN(i, last));
}

ALWAYS_INLINE void FN(pack_patch)(const FN(patch) *x, const int grain, const int64_t *down,
                                  int64_t kc) {
    enum { TOGETHER = 3 * S }; /* columns whose lines are completed before others begin */
    for (int64_t p = 0; p < kc; p++) {
        if (x->meet && p + 1 < kc) FN(fetch_patch)(x, down[p + 1]);
        const int64_t step = p * NR * PARTS;
        for (int first = 0; first < x->along; first += TOGETHER)
            for (int r = 0; r < x->rows; r += S) {
                const int end = MIN(first + TOGETHER, x->along);
                int y = first;
                for (; y + S <= end; y += S) {
                    Q square[S];
#pragma GCC unroll 16
                    for (int i = 0; i < S; i++)
                        square[i] = *(const QU *)(x->start[r + i] + down[p] + y * (int64_t)sizeof(T));
                    FN(flip_square)(square);
#pragma GCC unroll 16
                    for (int i = 0; i < S; i++) FN(put_across)(x, square[i], grain, r, y + i, step);
                }
                for (; y < end; y++) {
                    Q values;
                    for (int j = 0; j < S; j++)
                        memcpy((R *)&values + j * PARTS,
                               x->start[r + j] + down[p] + y * (int64_t)sizeof(T), sizeof(T));
                    FN(put_across)(x, values, grain, r, y, step);
                }
            }
    }
}

/* All panels of columns [outer][along][across] whose middle axis has unit stride in memory: in patches
 * of a line or two along and a panel's width across, so that lines are read and written whole. */
static void FN(pack_across)(R *to, const char *from, const int64_t *column, int64_t count,
                            const int64_t *down, int64_t kc, tn_run run) {
    const int64_t along = run.along, across = run.across, panel = kc * NR * PARTS;
    const int grain = across % S == 0 ? S : S > 2 && across % (S / 2) == 0 ? S / 2 : 1;
    const int64_t parts = (along + PATCH - 1) / PATCH;
    const int64_t length = MIN((along + parts - 1) / parts + S - 1, PATCH) / S * S;
    FN(patch) x;
    if (count % NR) memset(to + count / NR * panel, 0, (size_t)panel * sizeof(R));
    for (int64_t first = 0; first < count; first += along * across)
        for (int64_t y0 = 0; y0 < along; y0 += length)
            for (int64_t x0 = 0; x0 < across; x0 += NR) {
                x.rows = (int)MIN((int64_t)NR, across - x0);
                x.along = (int)MIN(length, along - y0);
                for (int i = 0; i < NR; i++)
                    x.start[i] = from + column[first + y0 * across + x0 + (i < x.rows ? i : 0)];
                for (int r = 0; r < x.rows; r += grain)
                    for (int i = 0; i < x.along; i++) {
                        const int64_t q = first + (y0 + i) * across + x0 + r;
                        x.to[r / grain][i] = to + q / NR * panel + q % NR * PARTS;
                    }
                x.meet = x.rows > 1 && kc > 1 &&
                         ((x.start[1] - x.start[0]) | (down[1] - down[0])) % PERIOD == 0;
                if (grain == S)
                    FN(pack_patch)(&x, S, down, kc);
                else if (grain > 1)
                    FN(pack_patch)(&x, S / 2, down, kc);
                else
                    FN(pack_patch)(&x, 1, down, kc);
            }
}
#endif

#undef E
#undef LINE
#undef PATCH
#undef PERIOD
