/* Skinny products: a huge operand meets a tiny one (k and n are few, m is many), as when a gate acts
 * on a quantum state.  They are bound by memory: a is read once and c written once, whole vectors.
 *
 * Lanes run along m.  Where a vector of a or c has k or n points in its lanes, or m points in other
 * lanes than its counterpart, lanes change places with vectors in registers, tile by tile. */
#if FLOATING
#define E (VL / PARTS)

/* Rows of c at a time, two vectors each. */
enum { FN(SKINNY_ROWS) = VBYTES == 64 ? 8 : VBYTES == 32 ? 6 - COMPLEX : 4 };

/* Bytes of a that do not stay in the second cache; of c in one piece, which processors fetch by themselves. */
enum { FN(SKINNY_FAR) = 1 << 20, FN(SKINNY_RUN) = 512 };

/* Real numbers of an element of b: complex ones are [re, -im, im], the last two for swapped parts. */
enum { FN(ENTRY) = COMPLEX ? 3 : 1 };

#if COMPLEX
/* A vector of the pair of numbers at p. */
#if R_BYTES == 4
typedef int64_t FN(pairs) __attribute__((vector_size(VBYTES)));
ALWAYS_INLINE V FN(pair)(const R *p) {
    int64_t bits;
    memcpy(&bits, p, sizeof bits);
    return (V)((FN(pairs)){0} + bits);
}
#elif VBYTES == 64
#define PAIR_4(p) (p)[0], (p)[1], (p)[0], (p)[1]
ALWAYS_INLINE V FN(pair)(const R *p) { return (V){PAIR_4(p), PAIR_4(p)}; }
#undef PAIR_4
#elif VBYTES == 32
ALWAYS_INLINE V FN(pair)(const R *p) { return (V){p[0], p[1], p[0], p[1]}; }
#else
ALWAYS_INLINE V FN(pair)(const R *p) { return *(const VU *)p; }
#endif
#endif

/* The row at which block number i begins; blocks differ by one row at most. */
ALWAYS_INLINE int64_t FN(block_row)(int64_t i, int64_t blocks, int64_t n) { return i * n / blocks; }

/* One digit of the lane changes places with digit r of the vector's number. */
#define STAGE(bit)                                                                     \
    if ((bit) < E && (lanes & (bit))) {                                                \
        const int r = 1 << __builtin_popcount(lanes & ((bit) - 1));                    \
        _Pragma("GCC unroll 16") for (int i = 0; i < size; i++) {                      \
            const int j = (i + r) % size;                                              \
            if (i & r) continue;                                                       \
            V low = SHUFFLE(x[i], x[j], LANES(EXCHANGE_LOW, (bit) * PARTS));           \
            x[j] = SHUFFLE(x[i], x[j], LANES(EXCHANGE_HIGH, (bit) * PARTS));           \
            x[i] = low;                                                                \
        }                                                                              \
    }

/* Lanes are put in `order` at last, or stay where they are with NULL. */
ALWAYS_INLINE void FN(exchange_lanes)(const int lanes, const tn_shuffle *exchange,
                                      const words *order, const char *from, char *to, int64_t ahead,
                                      int64_t ahead_to, FN(write_mode) mode) {
    const int size = 1 << __builtin_popcount(lanes);
    const int64_t count = exchange->count;
    const words from_word = order ? *order : (words){0};
    int64_t reads[1 << TN_LANE_DIGITS], writes[1 << TN_LANE_DIGITS];
#pragma GCC unroll 16
    for (int i = 0; i < size; i++)
        reads[i] = exchange->vectors[i].from, writes[i] = exchange->vectors[i].to;
    for (int64_t g = 0; g < count; g++) {
        const char *at = from + exchange->groups[g].from;
        char *target = to + exchange->groups[g].to;
        V x[1 << TN_LANE_DIGITS];
#pragma GCC unroll 16
        for (int i = 0; i < size; i++) {
            x[i] = *(const VU *)(at + reads[i]);
            if (ahead) __builtin_prefetch(at + ahead + reads[i], 0, 2); /* into L2 */
        }
        STAGE(1)
        STAGE(2)
        STAGE(4)
        STAGE(8)
#pragma GCC unroll 16
        for (int i = 0; i < size; i++) {
            if (order) x[i] = (V)reorder_words((words)x[i], from_word);
            FN(write)(target + writes[i], x[i], mode);
            if (ahead_to) __builtin_prefetch(target + ahead_to + writes[i], 1, 2);
        }
    }
}
#undef STAGE

#define INSTANCE(which)                                                                          \
    static __attribute__((noinline)) void FN(exchange_##which)(                                  \
        const tn_shuffle *x, const words *order, const char *from, char *to, int64_t ahead,      \
        int64_t ahead_to, FN(write_mode) mode) {                                                 \
        const int lanes = which < E ? which : 0;                                                 \
        if (order)                                                                               \
            FN(exchange_lanes)(lanes, x, order, from, to, ahead, 0, FN(WRITE));                  \
        else if (mode == FN(WRITE))                                                              \
            FN(exchange_lanes)(lanes, x, NULL, from, to, ahead, ahead_to, FN(WRITE));            \
        else if (mode == FN(ADD))                                                                \
            FN(exchange_lanes)(lanes, x, NULL, from, to, ahead, ahead_to, FN(ADD));              \
        else                                                                                     \
            FN(exchange_lanes)(lanes, x, NULL, from, to, ahead, ahead_to, FN(STREAM_PAST));      \
    }
INSTANCE(0) INSTANCE(1) INSTANCE(2) INSTANCE(3) INSTANCE(4) INSTANCE(5) INSTANCE(6) INSTANCE(7)
INSTANCE(8) INSTANCE(9) INSTANCE(10) INSTANCE(11) INSTANCE(12) INSTANCE(13) INSTANCE(14)
INSTANCE(15)
#undef INSTANCE

/* The order of lanes, word by word. */
static words FN(order_of)(const tn_shuffle *x) {
    enum { EACH = sizeof(T) / sizeof(int32_t) };
    words order;
    for (int w = 0; w < VBYTES / (int)sizeof(int32_t); w++)
        order[w] = x->order[w / EACH] * EACH + w % EACH;
    return order;
}

static void FN(exchange)(const tn_shuffle *x, const words *order, const char *from, char *to,
                         int64_t ahead, int64_t ahead_to, FN(write_mode) mode) {
    static void (*const instances[])(const tn_shuffle *, const words *, const char *, char *, int64_t,
                                     int64_t, FN(write_mode)) = {
        FN(exchange_0),  FN(exchange_1),  FN(exchange_2),  FN(exchange_3),
        FN(exchange_4),  FN(exchange_5),  FN(exchange_6),  FN(exchange_7),
        FN(exchange_8),  FN(exchange_9),  FN(exchange_10), FN(exchange_11),
        FN(exchange_12), FN(exchange_13), FN(exchange_14), FN(exchange_15)};
    instances[x->lanes](x, order, from, to, ahead, ahead_to, mode);
}

/* What one tile multiplies: vectors at columns[].from + from_rows[], columns[].to + to_rows[]. */
typedef struct {
    const tn_move *columns;
    const int64_t *from_rows, *to_rows;
    int64_t count, k, n, blocks; /* b is [blocks][k][rows of the block] */
    const R *b;
    FN(write_mode) mode;
    int64_t ahead; /* from here to what is fetched for later; 0: nothing */
} FN(skinny_tile);

/* Adds the products of step p with b, from which the next step begins. */
ALWAYS_INLINE void FN(skinny_step)(const int rows, const int vectors, const R *b, const char *near,
                                   const char *far, V (*sum)[2]) {
    const V values[2] = {*(const VU *)near, *(const VU *)far};
#if COMPLEX
    V swapped[2];
    for (int v = 0; v < vectors; v++) swapped[v] = SWAP_PARTS(values[v]);
#endif
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        const R real = b[r * FN(ENTRY)];
        for (int v = 0; v < vectors; v++) sum[r][v] += real * values[v];
#if COMPLEX
        const V imaginary = FN(pair)(b + r * FN(ENTRY) + 1);
        for (int v = 0; v < vectors; v++) sum[r][v] += imaginary * swapped[v];
#endif
    }
}

/* With `few` steps that many, written plainly and with nothing fetched; 0: as x says. */
ALWAYS_INLINE void FN(skinny_rows)(const int rows, const int vectors, const int few,
                                   const FN(skinny_tile) *x, const R *b, const char *from,
                                   char *const *to, const tn_move *column, int64_t ahead) {
    V sum[FN(SKINNY_ROWS)][2];
    const char *near = from + column[0].from, *far = from + column[vectors - 1].from;
    const int64_t *steps = x->from_rows, ks = x->k;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = (V){0};
#pragma GCC unroll 8
    for (int p = 0; p < few; p++)
        FN(skinny_step)(rows, vectors, b + p * rows * FN(ENTRY), near + steps[p], far + steps[p], sum);
    for (int64_t p = 0; !few && p < ks; p++, b += rows * FN(ENTRY))
        FN(skinny_step)(rows, vectors, b, near + steps[p], far + steps[p], sum);
    if (!few && ahead)
        for (int64_t p = 0; p < ks; p++) {
            __builtin_prefetch(near + steps[p] + ahead, 0, 2); /* into L2 */
            __builtin_prefetch(far + steps[p] + ahead, 0, 2);
        }
    const int64_t places[2] = {column[0].to, column[vectors - 1].to};
#define WRITE_AS(mode)                                                                     \
    _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++) for (int v = 0; v < vectors; v++) \
        FN(write)(to[r] + places[v], sum[r][v], mode)
    if (few || x->mode == FN(WRITE))
        WRITE_AS(FN(WRITE));
    else if (x->mode == FN(ADD))
        WRITE_AS(FN(ADD));
    else
        WRITE_AS(FN(STREAM_PAST));
#undef WRITE_AS
}

/* So many rows of c from `row` on, in a function of its own: registers are allotted to one loop. */
#define INSTANCE(most, few)                                                                      \
    static __attribute__((noinline)) void FN(skinny_rows_##most##_##few)(                       \
        const FN(skinny_tile) *x, const char *from, char *to, int64_t row) {                     \
        const int rows = most <= FN(SKINNY_ROWS) ? most : 1;                                   \
        const R *b = x->b + row * x->k * FN(ENTRY);                                              \
        const int64_t ahead = row == 0 ? x->ahead : 0;                                           \
        const tn_move *column = x->columns, *end = column + x->count;                            \
        char *at[most];                                                                          \
        for (int r = 0; r < rows; r++) at[r] = to + x->to_rows[row + r];                         \
        for (; column + 2 <= end; column += 2)                                                   \
            FN(skinny_rows)(rows, 2, few, x, b, from, at, column, ahead);                        \
        if (column < end) FN(skinny_rows)(rows, 1, few, x, b, from, at, column, ahead);          \
    }
#define INSTANCES(few)                                                                   \
    INSTANCE(1, few) INSTANCE(2, few) INSTANCE(3, few) INSTANCE(4, few) INSTANCE(5, few) \
    INSTANCE(6, few) INSTANCE(7, few) INSTANCE(8, few)
INSTANCES(0)
INSTANCES(2)
INSTANCES(4)
INSTANCES(8)
#undef INSTANCE
#undef INSTANCES

static void FN(multiply_tile)(const FN(skinny_tile) *x, const char *from, char *to) {
#define INSTANCES(few)                                                                       \
    {FN(skinny_rows_1_##few), FN(skinny_rows_2_##few), FN(skinny_rows_3_##few),              \
     FN(skinny_rows_4_##few), FN(skinny_rows_5_##few), FN(skinny_rows_6_##few),              \
     FN(skinny_rows_7_##few), FN(skinny_rows_8_##few)}
    static void (*const instances[][8])(const FN(skinny_tile) *, const char *, char *, int64_t) = {
        INSTANCES(0), INSTANCES(2), INSTANCES(4), INSTANCES(8)};
#undef INSTANCES
    const int plain = x->mode == FN(WRITE) && !x->ahead;
    const int few = !plain ? 0 : x->k == 2 ? 1 : x->k == 4 ? 2 : x->k == 8 ? 3 : 0;
    for (int64_t i = 0, row = 0, next; i < x->blocks; i++, row = next) {
        next = FN(block_row)(i + 1, x->blocks, x->n);
        instances[few][next - row - 1](x, from, to, row);
    }
}

static void FN(gather_points)(const tn_tile_points *points, const char *a, const int64_t *a_rows,
                              int64_t k, R *to, int64_t row_bytes) {
    for (int64_t p = 0; p < k; p++) {
        char *row = (char *)to + p * row_bytes;
        for (int64_t i = 0; i < points->count; i++)
            FN(store)(row + i * (int64_t)sizeof(T), FN(load)(a + a_rows[p] + points->at[i].from));
    }
}

static void FN(scatter_points)(const tn_tile_points *points, char *c, const int64_t *c_rows,
                               int64_t n, const R *from, int64_t row_bytes, int accumulate) {
    for (int64_t r = 0; r < n; r++) {
        const char *row = (const char *)from + r * row_bytes;
        for (int64_t i = 0; i < points->count; i++) {
            const T value = FN(load)(row + i * (int64_t)sizeof(T));
            char *at = c + c_rows[r] + points->at[i].to;
            FN(store)(at, accumulate ? FN(plus)(FN(load)(at), value) : value);
        }
    }
}

/* b as [blocks of n][k][rows of the block] */
static void FN(gather_tiny)(const tn_tiling *t, int64_t k, int64_t n, int64_t blocks, const char *b,
                            R *to) {
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t row = FN(block_row)(i, blocks, n), end = FN(block_row)(i + 1, blocks, n);
        for (int64_t p = 0; p < k; p++)
            for (int64_t r = row; r < end; r++, to += FN(ENTRY)) {
                const char *entry = b + t->b_steps[p] + t->b_columns[r];
                to[0] = FN(real)(entry);
#if COMPLEX
                to[2] = FN(real)(entry + sizeof(R));
                to[1] = -to[2];
#endif
            }
    }
}

/* Whether every vector of c lies at a multiple of its length. */
static int FN(aligned_tiles)(const tn_contraction *x, const tn_tiling *t, const char *c) {
    int64_t bits = (int64_t)(uintptr_t)c;
    for (int d = 0; d < t->n_outer; d++) bits |= t->outer[d].sc;
    if (t->store.count) {
        for (int64_t g = 0; g < t->store.count; g++) bits |= t->store.groups[g].to;
        for (int i = 0; i < 1 << __builtin_popcount(t->store.lanes); i++)
            bits |= t->store.vectors[i].to;
        return bits % VBYTES == 0;
    }
    for (int64_t r = 0; r < x->n; r++) bits |= t->c_rows[r];
    for (int64_t j = 0; j < t->columns; j++) bits |= t->column[j].to;
    return bits % VBYTES == 0;
}

/* How many tiles ahead operands too large for the caches are fetched.  What is read where it lies meets in
 * few sets of no cache: there is room for more. */
static int64_t FN(tiles_ahead)(const tn_contraction *x, const tn_tiling *t, int in_place) {
    enum { AHEAD = 8 << 10, FEWEST = 2, FEWEST_IN_PLACE = 12 };
    const int64_t tiles = AHEAD / (x->k * t->row_bytes);
    return MAX(tiles, in_place ? FEWEST_IN_PLACE : FEWEST);
}

/* The lines that a tile writes where they lie. */
static void FN(fetch_rows)(const tn_tiling *t, int64_t n, const char *c) {
    for (int64_t r = 0; r < n; r++)
        for (int64_t j = 0; j < t->columns; j++)
            __builtin_prefetch(c + t->c_rows[r] + t->column[j].to, 1, 2);
}

static void FN(skinny)(const tn_contraction *x, const tn_tiling *t, const char *a, const char *b,
                       char *c, const tn_box *box) {
    _Alignas(64) R tiny[TN_TILE_ENTRIES * FN(ENTRY)];
    _Alignas(64) R read[TN_TILE_VECTORS * VL], written[TN_TILE_VECTORS * VL];
    const int64_t blocks = (x->n + FN(SKINNY_ROWS) - 1) / FN(SKINNY_ROWS);
    const int a_direct = !t->a_elementwise && !t->load.count;
    const int c_direct = !t->c_elementwise && !t->store.count;
    const int stream = STREAMS && box->far > 1 && !x->accumulate && !t->c_elementwise &&
                       (VBYTES == 64 || !t->scattered) && FN(aligned_tiles)(x, t, c);
    const FN(write_mode) mode = x->accumulate ? FN(ADD) : stream ? FN(STREAM_PAST) : FN(WRITE);
    FN(skinny_tile) whole = {t->column, a_direct ? t->a_rows : t->buffer_rows,
                             c_direct ? t->c_rows : t->buffer_rows, t->columns, x->k, x->n, blocks,
                             tiny, c_direct ? mode : FN(WRITE), 0};
    const FN(skinny_tile) rest = {t->buffer_column, t->buffer_rows, t->buffer_rows,
                                  (t->rest.count + E - 1) / E, x->k, x->n, blocks, tiny,
                                  FN(WRITE), 0};
    const words order = t->load.permuted ? FN(order_of)(&t->load) : (words){0};
    const words *const permuted = t->load.permuted ? &order : NULL;
    const char *tiny_from = NULL;
    const int far_a = x->batch * x->m * x->k * (int64_t)sizeof(T) >= FN(SKINNY_FAR);
    const int far_c = !stream && (far_a || box->far) && t->c_run < FN(SKINNY_RUN);
    const int64_t ahead_tiles = far_a || far_c ? FN(tiles_ahead)(x, t, a_direct) : 0;
    tn_walk w, next;
    walk_to(&next, t->outer, t->n_outer, (box->batch0 + ahead_tiles) % t->tiles);
    if (t->rest_axis >= 0) memset(read, 0, sizeof read); /* beyond the rest are lanes of no use */
    walk_to(&w, t->outer, t->n_outer, box->batch0);
    for (int64_t tile = box->batch0; tile < box->batch1; tile++, walk_next(&w), walk_next(&next)) {
        const char *from = a + w.a;
        char *to = c + w.c;
        const int64_t ahead = far_a ? next.a - w.a : 0, ahead_to = far_c ? next.c - w.c : 0;
        if (a_direct) whole.ahead = ahead;
        if (tiny_from != b + w.b) FN(gather_tiny)(t, x->k, x->n, blocks, tiny_from = b + w.b, tiny);
        if (t->rest_axis >= 0 && w.at[t->rest_axis] == t->outer[t->rest_axis].n - 1) {
            FN(gather_points)(&t->rest, from, t->a_rows, x->k, read, t->row_bytes);
            FN(multiply_tile)(&rest, (const char *)read, (char *)written);
            FN(scatter_points)(&t->rest, to, t->c_rows, x->n, written, t->row_bytes,
                               x->accumulate);
            continue;
        }
        if (t->a_elementwise)
            FN(gather_points)(&t->whole, from, t->a_rows, x->k, read, t->row_bytes);
        if (t->load.count)
            FN(exchange)(&t->load, permuted, from, (char *)read, ahead, 0, FN(WRITE));
        if (c_direct && far_c) FN(fetch_rows)(t, x->n, to + ahead_to);
        FN(multiply_tile)(&whole, a_direct ? from : (const char *)read,
                          c_direct ? to : (char *)written);
        if (t->store.count) FN(exchange)(&t->store, NULL, (char *)written, to, 0, ahead_to, mode);
        if (t->c_elementwise)
            FN(scatter_points)(&t->whole, to, t->c_rows, x->n, written, t->row_bytes,
                               x->accumulate);
    }
    if (stream) STREAM_END();
}

#undef E
#endif
