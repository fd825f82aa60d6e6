/* The transforms of Winograd's minimal filtering F(2x2,3x3) and F(2x2,5x5), for one element type.
 *
 * Each is a map of one axis, of the pixels that a tile sees, of taps or of two results, applied to the
 * columns and then to the rows.  Windows of 3 (form THREE) use the points 0, 1, -1 and infinity:
 *
 *        1  0 -1  0        1    0    0
 *   B' = 0  1  1  0    G = 1/2  1/2  1/2    A' = 1  1  1  0
 *        0 -1  1  0        1/2 -1/2  1/2         0  1 -1  1
 *        0 -1  0  1        0    0    1
 *
 * Windows of 5 (form FIVE) use 0, +-p, +-q and infinity.  With p = 1/q = 0.66 the errors are least, two
 * thirds of those with 1 and 2; p = 21/32 and q = 3/2 have squares without rounding:
 *
 *        p2 q2   0   -p2-q2   0    1   0          1/(p2 q2) 0  0    0    0
 *          0  -p q2   -q2     p    1   0              l    p l p2 l p3 l p4 l     l = 1/(2 p2 (p2 - q2))
 *   B' =   0   p q2   -q2    -p    1   0       G =    l   -p l p2 l  ...          h = 1/(2 q2 (q2 - p2))
 *          0  -q p2   -p2     q    1   0              h    q h q2 h q3 h q4 h
 *          0   q p2   -p2    -q    1   0              h   -q h q2 h  ...          p2 = p p, ...
 *          0   p2 q2   0   -p2-q2  0   1              0    0   0    0   1
 *
 *   A' = 1  1  1  1  1  0
 *        0  p -p  q -q  1
 *
 * In the gradient to weights these make the first and the last tap three times as inexact as others.
 * Form SPLIT takes its five taps as three (form THREE, pixels 0 to 3) and two (points 0, 1 and infinity,
 * pixels 3 to 5), in 7 products instead of 6, of which the last three have the cotangents 0, 1 and 3 of
 * the others.
 *
 * Forms are constants wherever these are called, and all loops over their pixels unrolled. */

#define IN(form) ((form) == THREE ? 4 : 6) /* pixels */
#define BETWEEN(form) ((form) == THREE ? 4 : (form) == FIVE ? 6 : 7)
#define WIDEST 7
#define LOW ((R)0.65625)
#define HIGH ((R)1.5)
#define LOW2 (LOW * LOW)
#define HIGH2 (HIGH * HIGH)
#define OF_NONE (1 / (LOW2 * HIGH2))
#define OF_LOW (1 / (2 * LOW2 * (LOW2 - HIGH2)))
#define OF_HIGH (1 / (2 * HIGH2 * (HIGH2 - LOW2)))

/* B'd of a column or row of pixels. */
ALWAYS_INLINE void FN(see)(const int form, const V *d, V *t) {
    if (form != FIVE) {
        t[0] = d[0] - d[2];
        t[1] = d[1] + d[2];
        t[2] = d[2] - d[1];
        t[3] = d[3] - d[1];
        if (form == THREE) return;
        t[4] = d[3] - d[4];
        t[5] = d[4];
        t[6] = d[5] - d[4];
        return;
    }
    const V even = d[4] - HIGH2 * d[2], odd = d[3] - HIGH2 * d[1];
    const V less = d[4] - LOW2 * d[2], fewer = d[3] - LOW2 * d[1];
    t[0] = even - LOW2 * d[2] + LOW2 * HIGH2 * d[0];
    t[1] = even + LOW * odd;
    t[2] = even - LOW * odd;
    t[3] = less + HIGH * fewer;
    t[4] = less - HIGH * fewer;
    t[5] = d[5] - HIGH2 * d[3] - LOW2 * odd;
}

/* A'm: two results. */
ALWAYS_INLINE void FN(make)(const int form, const V *m, V *y) {
    const V sum = m[1] + m[2], difference = m[1] - m[2];
    if (form == THREE) {
        y[0] = m[0] + sum;
        y[1] = difference + m[3];
        return;
    }
    y[0] = m[0] + sum + (m[3] + m[4]);
    y[1] = m[5] + LOW * difference + HIGH * (m[3] - m[4]);
}

/* A y of two cotangents. */
ALWAYS_INLINE void FN(spread)(const int form, const V *y, V *t) {
    const R p = form == THREE ? 1 : LOW;
    t[0] = y[0];
    t[1] = y[0] + p * y[1];
    t[2] = y[0] - p * y[1];
    t[IN(form) - 1] = y[1];
    if (form == THREE) return;
    t[3] = y[0] + HIGH * y[1];
    t[4] = y[0] - HIGH * y[1];
}

/* G g of a column or row of taps. */
ALWAYS_INLINE void FN(weigh)(const int form, const V *g, V *t) {
    const R half = (R)0.5;
    if (form == THREE) {
        const V sum = g[0] + g[2];
        t[0] = g[0];
        t[1] = (sum + g[1]) * half;
        t[2] = (sum - g[1]) * half;
        t[3] = g[2];
        return;
    }
    const V even = g[0] + LOW2 * (g[2] + LOW2 * g[4]), odd = LOW * (g[1] + LOW2 * g[3]);
    const V more = g[0] + HIGH2 * (g[2] + HIGH2 * g[4]), rest = HIGH * (g[1] + HIGH2 * g[3]);
    t[0] = OF_NONE * g[0];
    t[1] = OF_LOW * (even + odd);
    t[2] = OF_LOW * (even - odd);
    t[3] = OF_HIGH * (more + rest);
    t[4] = OF_HIGH * (more - rest);
    t[5] = g[4];
}

/* G's: the taps. */
ALWAYS_INLINE void FN(gather_taps)(const int form, const V *s, V *g) {
    const R half = (R)0.5;
    if (form != FIVE) {
        const V both = (s[1] + s[2]) * half;
        g[0] = s[0] + both;
        g[1] = (s[1] - s[2]) * half;
        g[2] = both + s[3];
        if (form == THREE) return;
        g[3] = s[4] + s[5];
        g[4] = s[5] + s[6];
        return;
    }
    const V even = OF_LOW * (s[1] + s[2]), odd = LOW * OF_LOW * (s[1] - s[2]);
    const V more = OF_HIGH * (s[3] + s[4]), rest = HIGH * OF_HIGH * (s[3] - s[4]);
    g[0] = OF_NONE * s[0] + even + more;
    g[1] = odd + rest;
    g[2] = LOW2 * even + HIGH2 * more;
    g[3] = LOW2 * odd + HIGH2 * rest;
    g[4] = s[5] + LOW2 * LOW2 * even + HIGH2 * HIGH2 * more;
}

/* B'd B of one tile in a pane with rows of so many elements, to the planes of all products. */
ALWAYS_INLINE void FN(transform_tile)(const int down, const int across, const R *pane, int64_t row,
                                     char *to, int64_t plane) {
    const int high = IN(down), wide = IN(across), rows_made = BETWEEN(down);
    const int made = BETWEEN(across);
    for (int v = 0; v < PANE; v += VL, pane += VL, to += VBYTES) {
        V rows[WIDEST][WIDEST], t[WIDEST];
#pragma GCC unroll 7
        for (int s = 0; s < wide; s++) {
            V d[WIDEST];
#pragma GCC unroll 7
            for (int r = 0; r < high; r++) d[r] = *(const V *)(pane + r * row + s * PANE);
            FN(see)(down, d, t);
#pragma GCC unroll 7
            for (int r = 0; r < rows_made; r++) rows[r][s] = t[r];
        }
        char *at = to;
#pragma GCC unroll 7
        for (int r = 0; r < rows_made; r++) {
            FN(see)(across, rows[r], t);
#pragma GCC unroll 7
            for (int s = 0; s < made; s++, at += plane) *(V *)at = t[s];
        }
    }
}

/* A'm A of one tile, into a pane. */
ALWAYS_INLINE void FN(transform_back)(const int form, R *pane, int64_t row, const char *m,
                                     int64_t plane) {
    const int wide = IN(form);
    for (int v = 0; v < PANE; v += VL, pane += VL, m += VBYTES) {
        V columns[2][WIDEST], y[2];
        const char *at = m;
#pragma GCC unroll 7
        for (int r = 0; r < wide; r++) {
            V t[WIDEST];
#pragma GCC unroll 7
            for (int s = 0; s < wide; s++, at += plane) t[s] = *(const V *)at;
            FN(make)(form, t, y);
            columns[0][r] = y[0], columns[1][r] = y[1];
        }
#pragma GCC unroll 2
        for (int s = 0; s < 2; s++) {
            FN(make)(form, columns[s], y);
            *(V *)(pane + s * PANE) = y[0];
            *(V *)(pane + row + s * PANE) = y[1];
        }
    }
}

/* A y A' of one tile of 2 x 2 pixels in a pane. */
ALWAYS_INLINE void FN(transform_cotangent)(const int down, const int across, const R *pane,
                                          int64_t row, char *to, int64_t plane) {
    const int high = IN(down), wide = IN(across);
    for (int v = 0; v < PANE; v += VL, pane += VL, to += VBYTES) {
        V columns[2][WIDEST], t[WIDEST];
#pragma GCC unroll 2
        for (int s = 0; s < 2; s++) {
            const V y[] = {*(const V *)(pane + s * PANE), *(const V *)(pane + row + s * PANE)};
            FN(spread)(down, y, columns[s]);
        }
        char *at = to;
#pragma GCC unroll 7
        for (int r = 0; r < high; r++) {
            const V y[] = {columns[0][r], columns[1][r]};
            FN(spread)(across, y, t);
#pragma GCC unroll 7
            for (int s = 0; s < wide; s++, at += plane) *(V *)at = t[s];
        }
    }
}

/* G g G' of NR outputs and one channel; taps lie `next` elements apart. */
ALWAYS_INLINE void FN(transform_taps)(const int form, const R *taps, int64_t next, char *to,
                                     int64_t plane) {
    const int wide = IN(form), kernel = wide - 1;
    for (int v = 0; v < NR; v += VL, taps += VL, to += VBYTES) {
        V rows[WIDEST][WIDEST], t[WIDEST];
#pragma GCC unroll 7
        for (int s = 0; s < kernel; s++) {
            V g[WIDEST];
#pragma GCC unroll 7
            for (int r = 0; r < kernel; r++) g[r] = *(const V *)(taps + (r * kernel + s) * next);
            FN(weigh)(form, g, t);
#pragma GCC unroll 7
            for (int r = 0; r < wide; r++) rows[r][s] = t[r];
        }
        char *at = to;
#pragma GCC unroll 7
        for (int r = 0; r < wide; r++) {
            FN(weigh)(form, rows[r], t);
#pragma GCC unroll 7
            for (int s = 0; s < wide; s++, at += plane) *(V *)at = t[s];
        }
    }
}

/* G's G of one channel and a pane of outputs, s being the sum of all parts, which lie `next` bytes
 * apart. */
ALWAYS_INLINE void FN(transform_sums)(const int down, const int across, const char *sums,
                                     int64_t plane, int64_t parts, int64_t next, R *taps) {
    const int kernel = IN(down) - 1, high = BETWEEN(down), wide = BETWEEN(across);
    for (int v = 0; v < PANE; v += VL, sums += VBYTES, taps += VL) {
        V columns[WIDEST][WIDEST], g[WIDEST];
        const char *first = sums;
#pragma GCC unroll 7
        for (int r = 0; r < high; r++) {
            V sum[WIDEST];
#pragma GCC unroll 7
            for (int s = 0; s < wide; s++, first += plane) {
                const char *at = first;
                sum[s] = *(const V *)at;
                for (int64_t part = 1; part < parts; part++) sum[s] += *(const V *)(at += next);
            }
            FN(gather_taps)(across, sum, g);
#pragma GCC unroll 7
            for (int s = 0; s < kernel; s++) columns[s][r] = g[s];
        }
#pragma GCC unroll 7
        for (int s = 0; s < kernel; s++) {
            FN(gather_taps)(down, columns[s], g);
#pragma GCC unroll 7
            for (int r = 0; r < kernel; r++) *(V *)(taps + (r * kernel + s) * PANE) = g[r];
        }
    }
}

#undef IN
#undef BETWEEN
#undef WIDEST
#undef LOW
#undef HIGH
#undef LOW2
#undef HIGH2
#undef OF_NONE
#undef OF_LOW
#undef OF_HIGH
