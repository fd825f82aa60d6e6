/* GETT: the blocked, packed, register-tiled contraction (Matthews 2018; Springer & Bientinesi 2018).
 *
 * Five loops as in BLIS, over boxes of the m, n and k axes instead of ranges.  Operands that lie well
 * are read where they are; the others are packed straight from their strides, so no operand is ever
 * transposed in memory. */

#define E (VL / PARTS)

/* One block: rows of a, columns of b, steps of k, with their offsets. */
typedef struct {
    int64_t rows, columns, depth;
    const int64_t *a_rows, *c_rows, *b_columns, *c_columns;
    const char *a, *b; /* the operands; NULL where only the packed block is read */
    const R *packed_a, *packed_b;
    FN(tile_strides) strides; /* of the operands that are not packed */
    int64_t width, wide;      /* rows of a panel of a, of one less from row `wide` on */
    tn_run a_run, b_run;      /* how the steps of k lie on the operands */
    char *c;
    int accumulate, stream; /* stream: past the caches, if all rows of tiles are lines */
    int pairs;              /* tiles take two panels of b where both are packed and written alike */
    int large;              /* the result is so large that fetching it competes with packing */
    tn_fetch ahead[2];      /* of a and of b */
    int vectors;            /* of a band of a, where b is read number by number (thin.h), or 0 */
    const char *b_from;     /* b, for such blocks, and its steps */
    const int64_t *b_steps;
} FN(block);

/* Columns that are not neighbours, and panels at the edge, pass through a contiguous buffer, whose rows have
 * `width` elements. */
static void FN(store_edge)(const FN(block) *x, int64_t i, int rows, const int64_t *c_columns,
                           int columns, const R *buffer, int width) {
    for (int r = 0; r < rows; r++) {
        const char *row = (const char *)buffer + r * width * (int64_t)sizeof(T);
        char *to = x->c + x->c_rows[i + r];
        for (int j = 0; j < columns; j++) {
            char *at = to + c_columns[j];
            T value = FN(load)(row + (size_t)j * sizeof(T));
            FN(store)(at, x->accumulate ? FN(plus)(FN(load)(at), value) : value);
        }
    }
}

/* Where a vector goes to two places, neighbours are still stored together. */
static void FN(store_runs)(const FN(block) *x, int64_t i, int rows, const int64_t *c_columns,
                           const R *buffer, int width) {
    for (int r = 0; r < rows; r++, buffer += width * PARTS) {
        char *to = x->c + x->c_rows[i + r];
#pragma GCC unroll 4
        for (int j = 0; j < width; j += S) {
            Q value = *(const Q *)(buffer + j * PARTS);
            if (x->accumulate) ACCUMULATE(value, *(const QU *)(to + c_columns[j]));
            *(QU *)(to + c_columns[j]) = value;
        }
    }
}

/* Whether so many neighbours at a time of the columns of these panels lie side by side. */
ALWAYS_INLINE int FN(panels_in_runs)(const int64_t *columns, int panels, const int count) {
    for (int i = 0; i < panels; i++)
        if (!FN(in_runs)(columns + i * NR, count)) return 0;
    return 1;
}

ALWAYS_INLINE void FN(one_tile)(const FN(block) *x, int64_t i, int rows, int64_t j, int columns,
                                const FN(tile_target) *to) {
    const int b_direct = x->b && columns == NR;
    const char *a = x->a ? x->a + x->a_rows[i] : (const char *)(x->packed_a + i * x->depth * PARTS);
    const char *b = b_direct ? x->b + x->b_columns[j]
                             : (const char *)(x->packed_b + j * x->depth * PARTS);
    const int64_t packed_step = rows * (int64_t)sizeof(T); /* a panel is as wide as its tiles */
    if (!x->a && !b_direct) {
        FN(tile_packed)(rows, packed_step, x->depth, a, b, to);
        return;
    }
    const FN(tile_strides) s = {x->a ? x->strides.a_row : (int64_t)sizeof(T),
                                x->a ? x->strides.a_step : packed_step,
                                b_direct ? x->strides.b_step : NR * (int64_t)sizeof(T)};
    FN(tile_strided)(rows, s, x->depth, a, b, to);
}

/* The rows of the panel that begins at row i. */
ALWAYS_INLINE int FN(panel_rows)(const FN(block) *x, int64_t i) {
    return (int)(i < x->wide ? x->width : x->width - 1);
}

/* Tiles one below the other that are computed at once: about so many, in equal parts. */
ALWAYS_INLINE int64_t FN(tiles_at_once)(const FN(block) *x) {
    enum { AT_ONCE = 4 };
    const int64_t panels = (x->rows + x->width - 1) / x->width;
    const int64_t parts = (panels + AT_ONCE - 1) / AT_ONCE;
    return (panels + parts - 1) / parts;
}

/* Columns that most tiles have. */
ALWAYS_INLINE int64_t FN(columns_at_once)(const FN(block) *x) { return x->pairs ? 2 * NR : NR; }

/* Whether all rows of whole tiles are lines of memory. */
static int FN(are_lines)(const FN(block) *x) {
    uintptr_t bits = (uintptr_t)x->c;
    for (int64_t i = 0; i < x->rows; i++) bits |= (uintptr_t)x->c_rows[i];
    for (int64_t j = 0; j + NR <= x->columns; j += NR) {
        if (!FN(neighbours)(x->c_columns + j, NR)) return 0;
        bits |= (uintptr_t)x->c_columns[j];
    }
    return bits % LINE_BYTES == 0;
}

/* The tile that is fetched meanwhile, so far ahead that memory has time to answer; the last ones when there
 * are no more. */
typedef struct {
    int64_t i, j;
} FN(later);

enum { FN(FETCHED) = 512, FN(FEW_STEPS) = 64 }; /* lines at a time; steps in which c is not fetched */

ALWAYS_INLINE FN(later) FN(first_later)(const FN(block) *x, int64_t step) {
    const int64_t columns = FN(columns_at_once)(x);
    const int64_t lots = (x->rows + step - 1) / step, lead = 1 + 512 * NR / (x->depth * step * columns);
    return (FN(later)){lead % lots * step, lead / lots * columns};
}

ALWAYS_INLINE void FN(fetch_later)(const FN(block) *x, FN(later) *at, int64_t step,
                                   FN(tile_target) *to) {
    const int64_t first = MIN(at->j, x->columns - 1), columns = FN(columns_at_once)(x);
    to->later = x->c + x->c_columns[first];
    to->span = x->c_columns[MIN(first + columns, x->columns) - 1] - x->c_columns[first] +
               (int64_t)sizeof(T) - 1;
    to->later_rows = x->c_rows + MAX(0, MIN(at->i, x->rows - step));
    at->i += step;
    if (at->i >= x->rows) at->i = 0, at->j += columns;
}

/* Tiles of so many rows are done, and what they have fetched. */
ALWAYS_INLINE void FN(pass_tiles)(const FN(block) *x, int64_t tiles, int rows, FN(tile_target) *to) {
    const int64_t fetched = MIN(to->fetched, tiles * x->depth * LINES_A_STEP);
    to->lines += fetched, to->fetched -= fetched, to->later_rows += tiles * rows;
}

/* Of `count` tiles one below the other those whose panels are so many rows wide, up to row `end`, in one
 * loop; returns how many. */
ALWAYS_INLINE int64_t FN(run_down)(const FN(block) *x, int rows, int panels, int64_t i, int64_t end, int64_t j,
                                   int64_t count, FN(tile_target) *to) {
    const int64_t tiles = MIN(count, (end - i) / rows);
    if (tiles <= 0) return 0;
    const char *a = (const char *)(x->packed_a + i * x->depth * PARTS);
    const char *b = (const char *)(x->packed_b + j * x->depth * PARTS);
    to->rows = x->c_rows + i;
#if TWO_PANELS
    if (panels == 2)
        (rows == MR / 2 ? FN(pairs_down) : FN(low_pairs_down))(tiles, x->depth, a, b, to);
    else if (x->pairs)
        (rows == MR / 2 ? FN(half_tiles_down) : FN(low_half_tiles_down))(tiles, x->depth, a, b, to);
    else
#endif
        (rows == MR ? FN(tiles_down) : FN(low_tiles_down))(tiles, x->depth, a, b, to);
    (void)panels;
    FN(pass_tiles)(x, tiles, rows, to);
    return tiles;
}

/* Some tiles one below the other, from row i on, of the columns from j on, in so many panels; returns the row
 * after them.  What is fetched meanwhile is dealt to the first of them. */
ALWAYS_INLINE int64_t FN(run_tiles)(const FN(block) *x, int64_t i, int64_t j, int panels, int64_t count,
                                    FN(tile_target) *to) {
    _Alignas(64) R buffer[MR * NR * PARTS];
    int64_t buffer_rows[MR];
    const int64_t *c_columns = x->c_columns + j;
    const int wide = panels * NR, columns = (int)MIN((int64_t)wide, x->columns - j);
    const int in_runs = S < E && columns == wide && FN(panels_in_runs)(c_columns, panels, S);
    const int whole = to->c == x->c, packed = whole && !x->a && !x->b;
    const int highest = HIGHEST(x->pairs), low = LOW(highest);
    for (int r = 0; !whole && r < MR; r++) buffer_rows[r] = r * wide * (int64_t)sizeof(T);
    if (packed && x->width == highest) {
        const int64_t tiles = FN(run_down)(x, highest, panels, i, x->wide, j, count, to);
        i += tiles * highest, count -= tiles;
    }
    if (packed && low < highest && x->width >= low) {
        const int64_t end = x->width == low ? x->wide : x->rows;
        const int64_t tiles = FN(run_down)(x, low, panels, i, end, j, count, to);
        i += tiles * low, count -= tiles;
    }
    for (; count > 0 && i < x->rows; count--) {
        const int rows = FN(panel_rows)(x, i);
        if (!whole) to->c = (char *)buffer;
        to->rows = whole ? x->c_rows + i : buffer_rows;
#if TWO_PANELS
        if (panels == 2)
            FN(tile_pair)(rows, x->depth, (const char *)(x->packed_a + i * x->depth * PARTS),
                          (const char *)(x->packed_b + j * x->depth * PARTS), to);
        else
#endif
            FN(one_tile)(x, i, rows, j, columns, to);
        if (!whole && in_runs)
            FN(store_runs)(x, i, rows, c_columns, buffer, wide);
        else if (!whole)
            FN(store_edge)(x, i, rows, c_columns, columns, buffer, wide);
        i += rows;
        FN(pass_tiles)(x, 1, rows, to);
    }
    return i;
}

/* Whether the halves of vectors are neighbours on c, and tiles so high that they can be written like that. */
ALWAYS_INLINE int FN(in_halves)(const FN(block) *x, const int64_t *c_columns, int panels) {
    const int highest = HIGHEST(x->pairs);
    const int high = x->width == highest || (x->width == LOW(highest) && x->wide >= x->rows);
    return HALVES && high && !x->a && !x->b && !x->accumulate && FN(panels_in_runs)(c_columns, panels, E / 2);
}

/* How the columns of panels from j on are written: in place, or to a buffer where there is no c. */
ALWAYS_INLINE void FN(aim_at)(const FN(block) *x, int64_t j, int panels, int stream, FN(tile_target) *to) {
    const int64_t *c_columns = x->c_columns + j;
    const int full = j + panels * NR <= x->columns;
    const int whole = full && FN(panels_in_runs)(c_columns, panels, E);
    const int halves = full && !whole && FN(in_halves)(x, c_columns, panels);
    const int vectors = panels * TILE_VECTORS;
    to->c = whole || halves ? x->c : NULL;
    to->mode = halves   ? FN(WRITE_HALVES)
               : !whole ? FN(WRITE)
               : stream ? FN(STREAM_PAST)
               : x->accumulate ? FN(ADD) : FN(WRITE);
    for (int v = 0; v < vectors; v++) to->columns[v] = whole ? c_columns[v * E] : v * VBYTES;
    for (int v = 0; halves && v < 2 * vectors; v++) to->columns[v] = c_columns[v * (E / 2)];
}

/* Returns how many panels from j on one tile takes: two that are written alike. */
ALWAYS_INLINE int FN(aim)(const FN(block) *x, int64_t j, int stream, FN(tile_target) *to) {
    FN(aim_at)(x, j, 1, stream, to);
    if (!TWO_PANELS || !x->pairs || j + 2 * NR > x->columns) return 1;
    FN(tile_target) both = *to;
    FN(aim_at)(x, j, MOST_VECTORS / TILE_VECTORS, stream, &both);
    if (to->c && !both.c) return 1;
    *to = both;
    return 2;
}

/* The lines of the panels of b after those before column j, or of the first ones, which come from the third
 * cache if the block is large; returns how many. */
ALWAYS_INLINE int64_t FN(next_panels)(const FN(block) *x, int64_t j, int64_t room, const char **lines) {
    enum { LARGE = 512 << 10 };
    const int64_t panel = x->depth * NR * (int64_t)sizeof(T);
    if (!x->pairs || x->columns / NR * panel < LARGE) return 0;
    const char *next = (const char *)x->packed_b + (j < x->columns ? j / NR : 0) * panel;
    const int64_t count = MIN(room, 2 * panel / LINE_BYTES);
    for (int64_t i = 0; i < count; i++) lines[i] = next + i * LINE_BYTES;
    return count;
}

/* All tiles of one block: c[rows, columns] += a[rows, depth] b[depth, columns]. */
static void FN(run_block)(FN(block) *x) {
    const int64_t at_once = FN(tiles_at_once)(x), step = at_once * x->width;
    const int64_t room = MIN(x->depth * at_once * LINES_A_STEP, (int64_t)FN(FETCHED));
    const char *lines[FN(FETCHED) + LINES_A_STEP];
    const int lines_of_c = FN(are_lines)(x), stream = x->stream && lines_of_c;
    /* Whole lines that are only written need no answer, and fetching them delays what is packed next; but high
     * tiles write so many at once that they wait for them. */
    const int fetching = HIGH || !x->large || !lines_of_c || x->accumulate ||
                         x->depth > FN(FEW_STEPS);
    FN(later) later = FN(first_later)(x, step);
    FN(tile_target) to = {.lines = lines};
    for (int64_t j = 0, panels; j < x->columns; j += panels * NR) {
        panels = FN(aim)(x, j, stream, &to);
        char *const c = to.c;
        for (int64_t i = 0; i < x->rows;) {
            to.c = c;
            to.lines = lines;
            to.fetched = next_lines(&x->ahead[0], room, lines);
            to.fetched += next_lines(&x->ahead[1], room - to.fetched, lines + to.fetched);
            if (i == 0)
                to.fetched += FN(next_panels)(x, j + panels * NR, room - to.fetched, lines + to.fetched);
            for (int n = 0; to.fetched && n + 1 < LINES_A_STEP; n++) /* steps fetch as many each */
                lines[to.fetched + n] = lines[to.fetched - 1];
            FN(fetch_later)(x, &later, step, &to);
            if (lines_of_c && !x->pairs) to.span = 0; /* a line each */
            if (!fetching) to.later = NULL;
            i = FN(run_tiles)(x, i, j, (int)panels, at_once, &to);
        }
    }
}

/* Panels as wide as MR allows, and as equally wide as can be: few rows do not keep the multipliers busy.
 * Rows of a read where they lie need an address each. */
ALWAYS_INLINE void FN(cut_panels)(FN(block) *x, int direct) {
    const int most = direct ? MIN(MR, 8) : HIGHEST(x->pairs);
    const int64_t panels = (x->rows + most - 1) / most;
    x->width = (x->rows + panels - 1) / panels;
    x->wide = x->width * (x->rows - (x->width - 1) * panels);
}

static void FN(pack_a)(const FN(block) *x, R *to, const char *from, const int64_t *down) {
    for (int64_t i = 0, rows; i < x->rows; i += rows) {
        rows = FN(panel_rows)(x, i);
        FN(pack_rows)(to + i * x->depth * PARTS, from, x->a_rows + i, (int)rows, down, x->depth,
                      x->a_run);
    }
}

/* Packs columns from number `first` on, which is a multiple of NR. */
static void FN(pack_b)(const FN(block) *x, R *to, const char *from, const int64_t *down,
                       int64_t first, tn_run columns) {
#if FLOATING
    if (columns.across > 1 && columns.along >= S && S > 1) {
        FN(pack_across)(to, from, x->b_columns, x->columns, down, x->depth, columns);
        return;
    }
#else
    (void)columns;
#endif
    first = FN(pack_wide)(to, from, x->b_columns, first, x->columns, down, x->depth);
    for (int64_t j = first; j < x->columns; j += NR)
        FN(pack_columns)(to + j * x->depth * PARTS, from, x->b_columns + j,
                         (int)MIN((int64_t)NR, x->columns - j), down, x->depth, x->b_run);
}

/* Three vectors of a and four numbers of b fill sixteen registers; complex tiles gain nothing. */
#define THIN (FLOATING && !COMPLEX && VBYTES >= 32)
#define PIECE 4 /* columns of such tiles, which are neighbours on c */
#if THIN
#include "thin.h"
#endif

/* A packed product under way: the boxes at hand, and what the packed buffers hold, so that broadcast
 * batches and single blocks are packed once. */
typedef struct {
    const tn_blocking *blocking;
    tn_group m, n, k;
    FN(block) block;
    R *packed_a, *packed_b;
    const char *a_base, *b_base;
    int64_t a_m, a_k, b_n, b_k;
    int64_t rows; /* in all */
} FN(product);

static void FN(begin)(FN(product) *x, const tn_blocking *blocking, char *workspace) {
    const tn_boxes *m = &blocking->m, *k = &blocking->k;
    const int64_t mc = blocking->mc, nc = blocking->nc, kc = blocking->kc, size = sizeof(T);
    x->blocking = blocking;
    x->packed_a = (R *)workspace;
    workspace += TN_ALIGNED(mc * kc * size + VBYTES);
    x->packed_b = (R *)workspace;
    workspace += TN_ALIGNED(nc * kc * size);
    int64_t *space = (int64_t *)workspace;
    x->m = make_group(m, ON_A, ON_C, size, mc, &space);
    x->n = make_group(&blocking->n, ON_B, ON_C, size, nc, &space);
    x->k = make_group(k, ON_A, ON_B, size, kc, &space);
    x->block = (FN(block)){.packed_a = x->packed_a, .packed_b = x->packed_b};
    x->block.pairs = TWO_PANELS && tn_loads_limit() && !blocking->a_direct && !blocking->b_direct;
    if (m->n_dims == 1) x->block.strides.a_row = m->dims[0].sa;
    if (k->n_dims == 1) x->block.strides.a_step = k->dims[0].sa;
    if (k->n_dims == 1) x->block.strides.b_step = k->dims[0].sb;
    x->a_base = x->b_base = NULL;
#if THIN
    x->block.vectors = FN(is_thin)(blocking);
#endif
}

/* The block of b at box n and these steps, if it is not the one at hand. */
static void FN(provide_b)(FN(product) *x, const char *b, int64_t n, const tn_points *steps) {
    if (x->b_base == b && x->b_n == n && x->b_k == steps->number) return;
    FN(block) *block = &x->block;
    const tn_points *columns = move_to(&x->n, n);
    block->depth = steps->points;
    block->a_run = steps->run;
    block->b_run = steps->other_run;
    block->columns = columns->points;
    block->b_columns = columns->own;
    block->c_columns = columns->others;
    block->b_from = b;
    block->b_steps = steps->others;
    x->b_base = b, x->b_n = n, x->b_k = steps->number;
    if (block->vectors) return;
    block->b = x->blocking->b_direct ? b + steps->others[0] : NULL;
    const int64_t direct = block->b ? block->columns / NR * NR : 0;
    FN(pack_b)(block, x->packed_b, b, steps->others, direct, columns->run);
}

static void FN(provide_a)(FN(product) *x, const char *a, int64_t m, const tn_points *steps) {
    if (x->a_base == a && x->a_m == m && x->a_k == steps->number) return;
    FN(block) *block = &x->block;
    const tn_points *rows = move_to(&x->m, m);
    block->rows = rows->points;
    block->a_rows = rows->own;
    block->c_rows = rows->others;
    FN(cut_panels)(block, x->blocking->a_direct);
    x->a_base = a, x->a_m = m, x->a_k = steps->number;
#if THIN
    if (block->vectors) {
        FN(pack_bands)(block, x->packed_a, a, steps->own);
        return;
    }
#endif
    block->a = x->blocking->a_direct ? a + steps->own[0] : NULL;
    if (!block->a) FN(pack_a)(block, x->packed_a, a, steps->own);
}

/* What is packed after block m, n, k of a task: the next block of a, and after the last one also of b. */
static void FN(look_ahead)(FN(product) *x, const char *a, const char *b, int64_t m, int64_t n,
                           const tn_points *steps, const tn_box *box) {
    FN(block) *block = &x->block;
    const int64_t step = block->vectors ? block->vectors * S : FN(tiles_at_once)(block) * block->width;
    const int64_t width = block->vectors ? PIECE : FN(columns_at_once)(block); /* of tiles */
    const int64_t times = (block->rows + step - 1) / step * ((block->columns + width - 1) / width);
    const int last_m = m + 1 == box->m1, last_k = steps->number + 1 == x->k.boxes->count;
    const int64_t next_m = last_m ? box->m0 : m + 1;
    block->ahead[0] = block->ahead[1] = (tn_fetch){0};
    if (last_m && last_k && n + 1 == box->n1) return;
    const tn_points *next =
        last_m ? look_up(&x->k, last_k ? 0 : steps->number + 1) : steps;
    const int fetch_a = !x->blocking->a_direct && (next_m != m || next != steps);
    const int fetch_b = !x->blocking->b_direct && last_m;
    if (fetch_a)
        block->ahead[0] = plan_fetch(a, look_up(&x->m, next_m), next->own, next->points, next->run,
                                     sizeof(T), block->columns, times);
    if (fetch_b)
        block->ahead[1] = plan_fetch(b, look_up(&x->n, n + last_k), next->others, next->points,
                                     next->other_run, sizeof(T), x->rows, times);
}

static void FN(run)(FN(block) *x) {
#if THIN
    if (x->vectors) {
        FN(run_thin)(x);
        return;
    }
#endif
    FN(run_block)(x);
}

static void FN(gett)(const tn_contraction *x, const tn_blocking *blocking, const char *a,
                     const char *b, char *c, const tn_box *box, const tn_worker *worker) {
    FN(product) product;
    FN(begin)(&product, blocking, worker->workspace);
    product.rows = x->m;
    FN(block) *block = &product.block;
    block->large = box->far > 0;
    block->stream = STREAMS && box->far > 1 && !x->accumulate && blocking->k.count == 1 &&
                    NR * sizeof(T) % LINE_BYTES == 0;
    tn_walk batch;
    walk_to(&batch, x->dims, x->n_batch, box->batch0);
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&batch)) {
        const char *at = a + batch.a, *bt = b + batch.b;
        block->c = c + batch.c;
        for (int64_t n = box->n0; n < box->n1; n++)
            for (int64_t k = 0; k < blocking->k.count; k++) {
                if (tn_stopped(worker->control, worker->index)) return;
                const tn_points *steps = move_to(&product.k, k);
                FN(provide_b)(&product, bt, n, steps);
                for (int64_t m = box->m0; m < box->m1; m++) {
                    FN(provide_a)(&product, at, m, steps);
                    block->accumulate = x->accumulate || k > 0;
                    FN(look_ahead)(&product, at, bt, m, n, steps, box);
                    FN(run)(block);
                }
            }
    }
    if (block->stream) STREAM_END();
}

#undef E
#undef THIN
#undef HALVES
#undef HIGH
#undef LOW
#undef HIGHEST
#undef PIECE
