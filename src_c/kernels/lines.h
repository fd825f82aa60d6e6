/* Streams a tile from registers: squares that make whole lines of SIDE rows of c, IN_A_ROW of them one after
 * the other, go side by side along the rows of a.  Each row is read by an instruction of its own, so that the
 * hardware sees one stream in each; those of the next lines come on request into the second cache.  What is
 * stored besides would wait behind the lines: only the last points of each row are, for what does not begin
 * with a line of c. */

ALWAYS_INLINE void SHAPED(take)(const char *a, const int64_t *columns, ROW *x) {
#pragma GCC unroll 16
    for (int i = 0; i < SIDE; i++) x[i] = COLUMNS(a, columns + i);
    SHAPED(exchange)(x, SIDE);
}

/* So many squares.  In `kept` are the points in front of them, and then their last ones. */
ALWAYS_INLINE void SHAPED(stream_squares)(const int squares, const int shifted, const char *a,
                                          const int64_t *along_a, char *c, const int64_t *rows,
                                          char *kept) {
    enum { LINE = TILE_LINE / sizeof(T) };
    ROW last[SIDE];
    splice from[SIDE];
    char *to[SIDE];
#pragma GCC unroll 16
    for (int i = 0; i < SIDE; i++) {
        const int64_t phase = shifted ? (int64_t)((uintptr_t)(c + rows[i]) % TILE_LINE) : 0;
        to[i] = c + rows[i] - phase;
        last[i] = *(ROW *)(kept + i * TILE_LINE);
        from[i] = splice_by(phase);
    }
#pragma GCC unroll 2
    for (int n = 0; n < squares; n++) {
        ROW x[SIDE];
        SHAPED(take)(a, along_a + n * LINE, x);
#pragma GCC unroll 16
        for (int i = 0; i < SIDE; i++) {
            STREAM(to[i] + n * TILE_LINE, shifted ? SPLICE(last[i], x[i], from[i]) : x[i]);
            last[i] = x[i];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; shifted && i < SIDE; i++) *(ROW *)(kept + i * TILE_LINE) = last[i];
}

/* The first line of points, or the last ones, fewer than that, of SIDE rows: the last `bytes` of the line of
 * points at a belong at c. */
static __attribute__((noinline)) void SHAPED(stream_ends)(const char *a, const int64_t *along_a,
                                                          char *c, const int64_t *rows, char *kept,
                                                          int64_t bytes, int begun) {
    ROW x[SIDE];
    SHAPED(take)(a, along_a, x);
    for (int i = 0; i < SIDE; i++, kept += TILE_LINE) {
        char *to = c + rows[i];
        const int64_t phase = (int64_t)((uintptr_t)to % TILE_LINE), room = TILE_LINE - phase;
        const ROW before = *(ROW *)kept, points = SPLICE(x[i], x[i], splice_by(bytes));
        if ((begun || !phase) && bytes >= room)
            STREAM(to - phase, SPLICE(before, points, splice_by(phase)));
        else if (!begun && phase)
            FN(copy_elements)(to, (const char *)&points, MIN(room, bytes));
        *(ROW *)kept = begun ? SPLICE(before, points, splice_by(TILE_LINE - bytes)) : points;
    }
}

/* One step along c, and what is fetched meanwhile: points at `soon` of the tile at `ahead`. */
ALWAYS_INLINE void SHAPED(step_along)(const copy_tile *t, const int squares, const int shifted, const char *a,
                                      char *c, int64_t j, const char *ahead, const int64_t *soon,
                                      char *kept) {
    enum { LINE = TILE_LINE / sizeof(T), STEP = IN_A_ROW * LINE };
    const int64_t size = sizeof(T);
    for (int64_t o = 0; o < t->between; o++) {
        const char *from = a + t->between_a[o], *next = ahead + t->between_a[o];
        char *to = c + t->between_to[o] + j * size;
        for (int q = 0; q < STEP; q++) __builtin_prefetch(next + soon[q], 0, 2);
        for (int64_t i = 0; i < t->across; i = next_group(t, SIDE, i), kept += SIDE * TILE_LINE) {
            const int64_t x = MIN(i, t->across - SIDE);
            if ((i - t->lead) % LINE == 0)
#pragma GCC unroll 16
                for (int q = 0; q < STEP; q++)
                    __builtin_prefetch(next + i * size + soon[q] + TILE_LINE - 1, 0, 2);
            SHAPED(stream_squares)(squares, shifted, from + x * size, t->along_a + j, to,
                                   t->across_to + x, kept);
        }
    }
}

/* The same for the ends of rows. */
static void SHAPED(ends_along)(const copy_tile *t, const char *a, char *c, int64_t j, int64_t points,
                               char *kept, int begun) {
    enum { LINE = TILE_LINE / sizeof(T) };
    const int64_t size = sizeof(T);
    int64_t along_a[LINE]; /* a short tile has no line of points */
    for (int64_t q = 0; q < LINE; q++) along_a[q] = t->along_a[MAX(j + points - LINE + q, 0)];
    for (int64_t o = 0; o < t->between; o++)
        for (int64_t i = 0; i < t->across; i = next_group(t, SIDE, i), kept += SIDE * TILE_LINE) {
            const int64_t x = MIN(i, t->across - SIDE);
            SHAPED(stream_ends)(a + t->between_a[o] + x * size, along_a,
                                c + t->between_to[o] + j * size, t->across_to + x, kept,
                                points * size, begun);
        }
}

/* All steps; the next tile is at `ahead`. */
ALWAYS_INLINE void SHAPED(put_tile)(const copy_tile *t, const int mode, const char *a, char *c,
                                    const char *ahead, char *kept, int begun) {
    enum { LINE = TILE_LINE / sizeof(T), STEP = IN_A_ROW * LINE };
    for (int64_t j = 0, points; j < t->along; j += points) {
        const int64_t left = t->along - j;
        const int first = mode == PUT_SHIFTED && !begun && j == 0;
        points = first ? LINE : left < STEP ? MIN(left, LINE) : STEP;
        const char *next = points < left ? a : ahead;
        const int64_t *soon = t->along_a + (points < left ? j + points : 0);
        if (first || points < LINE)
            SHAPED(ends_along)(t, a, c, j, points, kept, !first);
        else if (points == STEP)
            SHAPED(step_along)(t, IN_A_ROW, mode == PUT_SHIFTED, a, c, j, next, soon, kept);
        else
            SHAPED(step_along)(t, 1, mode == PUT_SHIFTED, a, c, j, next, soon, kept);
    }
}

static __attribute__((noinline)) void SHAPED(put_lines)(const copy_tile *t, int mode, const char *a,
                                                        char *c, const char *ahead, char *kept,
                                                        int begun) {
    if (mode == PUT_SHIFTED)
        SHAPED(put_tile)(t, PUT_SHIFTED, a, c, ahead, kept, begun);
    else
        SHAPED(put_tile)(t, PUT_WHOLE, a, c, ahead, kept, begun);
}
