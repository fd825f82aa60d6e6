/* Few rows times few columns summed over a long k, such as the gradient of a gate: vectors along k, and sums
 * that stay while k passes in blocks of which everything is in the first cache.  Axes of any number in
 * each group; lanes are added at the end, in a fixed order.
 *
 * Where both operands have a run along k they are read where they lie; else a block of k is copied, of
 * each operand that does not have it in one piece. */

#if FLOATING
#define E (VL / PARTS)

enum {
    FN(INNER_TILE) = (VBYTES == 64 ? 16 : 8) / PARTS, /* sums of one tile, which are registers */
    FN(INNER_SUMS) = TN_INNER_SUMS + 4 * TN_INNER_SIDE, /* of all tiles, those at the edges whole */
    FN(INNER_POINTS) = 128,    /* runs in one block that is read where it lies */
    FN(INNER_COPIED) = 512,    /* points in one block that is copied */
    FN(INNER_READ) = 48 << 10, /* bytes of both operands in it, of which tiles read a part each */
    FN(INNER_BLOCK) = 24 << 10, /* of both in one that is copied */
    FN(INNER_FAR) = 1 << 20,   /* bytes over which an operand lies that is fetched ahead, and */
    FN(INNER_LINES) = 1 << 10   /* lines of it in one block, at most */
};

/* A block of k: where its runs are, from the rows of a and the columns of b. */
typedef struct {
    int64_t points, length;
    int64_t a[FN(INNER_POINTS)], b[FN(INNER_POINTS)];
} FN(inner_block);

ALWAYS_INLINE void FN(inner_step)(const int rows, const int columns, const V *left, const V *right,
                                  V (*sum)[PARTS]) {
#pragma GCC unroll 4
    for (int j = 0; j < columns; j++) {
#if COMPLEX
        const V swapped = SWAP_PARTS(right[j]);
#endif
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            sum[i * columns + j][0] += left[i] * right[j];
#if COMPLEX
            sum[i * columns + j][1] += left[i] * swapped;
#endif
        }
    }
}

/* Adds the products of one vector of each row and column. */
ALWAYS_INLINE void FN(inner_vector)(const int rows, const int columns, const char *a, const char *b,
                                    const int64_t *a_rows, const int64_t *b_columns,
                                    V (*sum)[PARTS]) {
    V left[4], right[4];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        left[i] = *(const VU *)(a + a_rows[i]);
        OPAQUE_VECTOR(left[i]); /* or compilers load it once for each product */
    }
#pragma GCC unroll 4
    for (int j = 0; j < columns; j++) right[j] = *(const VU *)(b + b_columns[j]);
    FN(inner_step)(rows, columns, left, right, sum);
}

/* The sums of a tile, from memory to registers or back: memcpy passes through the stack. */
ALWAYS_INLINE void FN(inner_move)(const int count, V (*from)[PARTS], V (*to)[PARTS]) {
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        for (int r = 0; r < PARTS; r++) to[i][r] = from[i][r];
}

/* So many bytes of these rows. */
ALWAYS_INLINE void FN(inner_fetch_rows)(const int rows, const char *from, const int64_t *offsets,
                                        int64_t bytes) {
    enum { LINE = 64 };
    for (int i = 0; i < rows; i++)
        for (int64_t p = 0; p < bytes; p += LINE) __builtin_prefetch(from + offsets[i] + p, 0, 2);
}

/* Adds the products of a block to the sums of one tile, and fetches what a later block, if there is one, reads
 * of its rows, of its columns. */
ALWAYS_INLINE void FN(inner_tile)(const int rows, const int columns, const FN(inner_block) *block,
                                  const FN(inner_block) *later_a, const FN(inner_block) *later_b,
                                  const char *a, const char *b, const int64_t *a_rows,
                                  const int64_t *b_columns, V (*sums)[PARTS]) {
    const int64_t whole = block->length / E * VBYTES, points = block->points;
    const size_t rest = (size_t)(block->length % E) * sizeof(T);
    V sum[FN(INNER_TILE)][PARTS], left[4], right[4];
    FN(inner_move)(rows * columns, sums, sum);
    if (whole == VBYTES) /* short runs, whose loop would cost more than they do */
        for (int64_t q = 0; q < points; q++)
            FN(inner_vector)(rows, columns, a + block->a[q], b + block->b[q], a_rows, b_columns, sum);
    else
        for (int64_t q = 0; q < points; q++) {
            const char *row = a + block->a[q], *column = b + block->b[q];
            if (later_a) FN(inner_fetch_rows)(rows, a + later_a->a[q], a_rows, whole);
            if (later_b) FN(inner_fetch_rows)(columns, b + later_b->b[q], b_columns, whole);
            for (int64_t p = 0; p < whole; p += VBYTES)
                FN(inner_vector)(rows, columns, row + p, column + p, a_rows, b_columns, sum);
        }
    FN(inner_move)(rows * columns, sum, sums);
    if (!rest) return;
    for (int64_t q = 0; q < points; q++) {
        const char *row = a + block->a[q] + whole, *column = b + block->b[q] + whole;
        for (int i = 0; i < rows; i++) left[i] = (V){0}, memcpy(&left[i], row + a_rows[i], rest);
        for (int j = 0; j < columns; j++)
            right[j] = (V){0}, memcpy(&right[j], column + b_columns[j], rest);
        FN(inner_step)(rows, columns, left, right, sums);
    }
}

/* What is known of the rows and columns of one product. */
typedef struct {
    int64_t m, n, rows, columns; /* how many there are, and in one tile */
    int64_t a[TN_INNER_SIDE + 4], c_row[TN_INNER_SIDE];
    int64_t b[TN_INNER_SIDE + 4], c_column[TN_INNER_SIDE];
} FN(inner_sides);

/* Offsets of rows and columns; beyond the last, that one again. */
static void FN(inner_offsets)(FN(inner_sides) *s, const tn_contraction *x) {
    tn_walk w;
    *s = (FN(inner_sides)){.m = x->m, .n = x->n, .rows = x->m <= 2 || FN(INNER_TILE) == 4 ? 2 : 4};
    s->columns = MIN(FN(INNER_TILE) / s->rows, (int64_t)4);
    walk_to(&w, x->dims + x->n_batch, x->n_m, 0);
    for (int64_t i = 0; i < x->m; i++, walk_next(&w)) s->a[i] = w.a, s->c_row[i] = w.c;
    walk_to(&w, x->dims + x->n_batch + x->n_m, x->n_n, 0);
    for (int64_t j = 0; j < x->n; j++, walk_next(&w)) s->b[j] = w.b, s->c_column[j] = w.c;
    for (int64_t i = 0; i < 4; i++) {
        s->a[x->m + i] = s->a[x->m - 1];
        s->b[x->n + i] = s->b[x->n - 1];
    }
}

/* All tiles with one block; what later ones read is fetched. */
static void FN(inner_tiles)(const FN(inner_sides) *s, const FN(inner_block) *block,
                            const FN(inner_block) *later_a, const FN(inner_block) *later_b,
                            const char *a, const char *b, V (*sums)[PARTS]) {
    for (int64_t i = 0; i < s->m; i += s->rows)
        for (int64_t j = 0; j < s->n; j += s->columns, sums += FN(INNER_TILE)) {
            const FN(inner_block) *rows = j == 0 ? later_a : NULL, *columns = i == 0 ? later_b : NULL;
            if (FN(INNER_TILE) > 4 && s->rows == 4)
                FN(inner_tile)(4, FN(INNER_TILE) / 4, block, rows, columns, a, b, s->a + i, s->b + j,
                               sums);
            else
                FN(inner_tile)(2, FN(INNER_TILE) / 2 < 4 ? FN(INNER_TILE) / 2 : 4, block, rows,
                               columns, a, b, s->a + i, s->b + j, sums);
        }
}

static void FN(inner_store)(const FN(inner_sides) *s, V (*sums)[PARTS], char *c, int accumulate) {
    V all[FN(INNER_TILE)];
    for (int64_t i0 = 0; i0 < s->m; i0 += s->rows)
        for (int64_t j0 = 0; j0 < s->n; j0 += s->columns, sums += FN(INNER_TILE)) {
            FN(add_lanes)(FN(INNER_TILE), sums, all);
            for (int64_t i = i0; i < MIN(i0 + s->rows, s->m); i++)
                for (int64_t j = j0; j < MIN(j0 + s->columns, s->n); j++) {
                    const size_t at = (size_t)((i - i0) * s->columns + j - j0) * sizeof(T);
                    const T value = FN(load)((const char *)all + at);
                    char *to = c + s->c_row[i] + s->c_column[j];
                    FN(store)(to, accumulate ? FN(plus)(FN(load)(to), value) : value);
                }
        }
}

/* The runs of k that are not in a block yet: so many, of the first from point `at` on. */
typedef struct {
    tn_walk walk;
    int64_t left, at, run;
} FN(inner_rest);

/* The next block of at most so many points, or of a part of a run; 0 if there is none. */
static int FN(inner_take)(FN(inner_rest) *rest, FN(inner_block) *block, int64_t most) {
    const int64_t runs = MIN(MAX(most / rest->run, (int64_t)1), (int64_t)FN(INNER_POINTS));
    block->length = MIN(rest->run - rest->at, most);
    block->points = MIN(runs, rest->left);
    for (int64_t i = 0; i < block->points; i++) {
        block->a[i] = rest->walk.a + rest->at * (int64_t)sizeof(T);
        block->b[i] = rest->walk.b + rest->at * (int64_t)sizeof(T);
        if ((rest->at += block->length) < rest->run) continue;
        rest->at = 0;
        rest->left--;
        walk_next(&rest->walk);
    }
    return block->points > 0;
}

/* Whether the points of k lie so far apart that they are fetched ahead. */
static int FN(inner_is_far)(const tn_dim *k, int n_k, tn_operand operand) {
    int64_t reach = 0;
    for (int d = 0; d < n_k; d++) reach += (k[d].n - 1) * llabs(operand == ON_A ? k[d].sa : k[d].sb);
    return reach >= FN(INNER_FAR);
}

/* All of k in runs, which both operands have. */
static void FN(inner_runs)(const tn_contraction *x, const FN(inner_sides) *s, const char *a,
                           const char *b, V (*sums)[PARTS]) {
    const tn_dim *k = x->dims + x->n_batch + x->n_m + x->n_n;
    const int64_t run = k[x->n_k - 1].n;
    const int64_t most = MAX(FN(INNER_READ) / (int64_t)sizeof(T) / (s->m + s->n), (int64_t)E) / E * E;
    const int far_a = FN(inner_is_far)(k, x->n_k, ON_A), far_b = FN(inner_is_far)(k, x->n_k, ON_B);
    FN(inner_rest) rest = {.left = x->k / run, .run = run};
    FN(inner_block) blocks[2], *now = &blocks[0], *later = &blocks[1];
    walk_to(&rest.walk, k, x->n_k - 1, 0);
    for (int more = FN(inner_take)(&rest, now, most); more;) {
        more = FN(inner_take)(&rest, later, most);
        const int alike = later->points == now->points && later->length == now->length;
        FN(inner_tiles)(s, now, alike && far_a ? later : NULL, alike && far_b ? later : NULL, a, b, sums);
        FN(inner_block) *const swap = now;
        now = later;
        later = swap;
    }
}

/* The innermost axes of k that make a block, the outermost of them in pieces: where its points lie. */
typedef struct {
    int axes;                /* of k outside the block */
    int64_t piece;           /* how many points of the first axis are in one */
    int64_t points, inside;  /* of a block; of its other axes */
    int64_t a[FN(INNER_COPIED)], b[FN(INNER_COPIED)];
    int64_t broken_a, broken_b; /* inner_broken of these */
} FN(inner_points);

/* Of the points in order: bits of those that do not follow the one before. */
static int64_t FN(inner_broken)(const int64_t *at, int64_t points) {
    int64_t broken = 0;
    for (int64_t q = 1; q < points; q++)
        if (at[q] != at[q - 1] + (int64_t)sizeof(T)) broken |= q;
    return broken;
}

static void FN(inner_cut)(FN(inner_points) *c, const tn_dim *k, int n_k, int64_t most) {
    c->axes = n_k;
    c->inside = 1;
    while (c->axes > 1 && c->inside * k[c->axes - 1].n <= most) c->inside *= k[--c->axes].n;
    const tn_dim *cut = &k[--c->axes];
    c->piece = MIN(MAX(most / c->inside, (int64_t)1), cut->n);
    c->points = c->piece * c->inside;
    c->a[0] = c->b[0] = 0;
    int64_t made = 1;
    for (int d = n_k - 1; d >= c->axes; d--) {
        const int64_t n = d > c->axes ? k[d].n : c->piece, before = made;
        for (int64_t i = 1; i < n; i++)
            for (int64_t j = 0; j < before; j++, made++) {
                c->a[made] = c->a[j] + i * k[d].sa;
                c->b[made] = c->b[j] + i * k[d].sb;
            }
    }
    c->broken_a = FN(inner_broken)(c->a, c->points);
    c->broken_b = FN(inner_broken)(c->b, c->points);
}

/* Copies groups of so many points that are together. */
ALWAYS_INLINE void FN(inner_gather)(const int together, const int64_t *at, int64_t points,
                                    const char *from, char *to) {
    for (int64_t q = 0; q < points; q += together)
        memcpy(to + q * (int64_t)sizeof(T), from + at[q], (size_t)together * sizeof(T));
}

/* The points of a block, of each line, in one piece; returns where they are. */
static const char *FN(inner_copy)(const int64_t *at, int64_t broken, int64_t points, int64_t lines,
                                  int64_t *offsets, const char *from, char *to, int always) {
    const int together = (broken | points) & 1 ? 1 : (broken | points) & 2 ? 2 : 4;
    if (!broken && !always) return from;
    for (int64_t i = 0; i < lines; i++) {
        const char *line = from + offsets[i];
        offsets[i] = i * points * (int64_t)sizeof(T);
        if (together == 4)
            FN(inner_gather)(4, at, points, line, to + offsets[i]);
        else if (together == 2)
            FN(inner_gather)(2, at, points, line, to + offsets[i]);
        else
            FN(inner_gather)(1, at, points, line, to + offsets[i]);
    }
    for (int64_t i = lines; i < lines + 4; i++) offsets[i] = offsets[lines - 1];
    return to;
}

/* Where lines begin among the points of a block, of all rows or columns: what is fetched ahead. */
typedef struct {
    int64_t count, at[FN(INNER_LINES)];
} FN(inner_lines);

static void FN(inner_list)(FN(inner_lines) *to, const int64_t *points, int64_t n_points,
                           const int64_t *offsets, int64_t n_offsets) {
    enum { LINE = 64 };
    to->count = 0;
    for (int64_t i = 0; i < n_offsets; i++)
        for (int64_t q = 0; q < n_points && to->count < FN(INNER_LINES); q++)
            if ((offsets[i] + points[q]) % LINE == 0) to->at[to->count++] = offsets[i] + points[q];
}

static void FN(inner_fetch)(const FN(inner_lines) *x, const char *from) {
    for (int64_t i = 0; i < x->count; i++) __builtin_prefetch(from + x->at[i], 0, 2);
}

/* All of k in blocks of which what is needed is copied. */
static void FN(inner_copies)(const tn_contraction *x, const FN(inner_sides) *s, const char *a,
                             const char *b, V (*sums)[PARTS]) {
    const tn_dim *k = x->dims + x->n_batch + x->n_m + x->n_n;
    const int64_t most = FN(INNER_BLOCK) / (int64_t)sizeof(T) / (s->m + s->n);
    _Alignas(64) char copied[2][FN(INNER_BLOCK)];
    FN(inner_points) cut;
    FN(inner_block) block = {.points = 1};
    FN(inner_lines) far_a = {0}, far_b = {0};
    tn_walk w, next;
    FN(inner_cut)(&cut, k, x->n_k, MIN(most, (int64_t)FN(INNER_COPIED)));
    if (cut.broken_a && FN(inner_is_far)(k, x->n_k, ON_A))
        FN(inner_list)(&far_a, cut.a, cut.points, s->a, s->m);
    if (cut.broken_b && FN(inner_is_far)(k, x->n_k, ON_B))
        FN(inner_list)(&far_b, cut.b, cut.points, s->b, s->n);
    const int64_t pieces = k[cut.axes].n, outer = x->k / cut.inside / pieces;
    walk_to(&w, k, cut.axes, 0);
    walk_to(&next, k, cut.axes, outer > 1);
    for (int64_t q = 0; q < outer; q++, walk_next(&w), walk_next(&next))
        for (int64_t p = 0; p < pieces; p += cut.piece) {
            FN(inner_sides) lines = *s;
            const int64_t after = p + cut.piece;
            block.length = MIN(cut.piece, pieces - p) * cut.inside;
            FN(inner_fetch)(&far_a, a + (after < pieces ? w.a + after * k[cut.axes].sa : next.a));
            const char *left = FN(inner_copy)(cut.a, cut.broken_a, block.length, s->m, lines.a,
                                              a + w.a + p * k[cut.axes].sa, copied[0], 0);
            FN(inner_fetch)(&far_b, b + (after < pieces ? w.b + after * k[cut.axes].sb : next.b));
            const char *right = FN(inner_copy)(cut.b, cut.broken_b, block.length, s->n, lines.b,
                                               b + w.b + p * k[cut.axes].sb, copied[1], 0);
            block.a[0] = block.b[0] = 0;
            FN(inner_tiles)(&lines, &block, NULL, NULL, left, right, sums);
        }
}

/* A box is a range of batch points. */
static void FN(inner_products)(const tn_contraction *x, const char *a, const char *b, char *c,
                               const tn_box *box) {
    FN(inner_sides) sides;
    V sums[FN(INNER_SUMS)][PARTS];
    tn_walk batch;
    const tn_dim *run = x->dims + x->n_batch + x->n_m + x->n_n + x->n_k - 1;
    const int runs = run->sa == (int64_t)sizeof(T) && run->sb == run->sa &&
                     (run->n >= 4 * E || (run->n >= E && run->n % E == 0));
    FN(inner_offsets)(&sides, x);
    const size_t tiles = (size_t)((sides.m + sides.rows - 1) / sides.rows) *
                         (size_t)((sides.n + sides.columns - 1) / sides.columns);
    walk_to(&batch, x->dims, x->n_batch, box->batch0);
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&batch)) {
        memset(sums, 0, tiles * FN(INNER_TILE) * sizeof *sums);
        (runs ? FN(inner_runs) : FN(inner_copies))(x, &sides, a + batch.a, b + batch.b, sums);
        FN(inner_store)(&sides, sums, c + batch.c, x->accumulate);
    }
}

#undef E
#endif
