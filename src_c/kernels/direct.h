/* Products whose operands are read where they lie: small ones and batches of them, and those with so
 * few rows or columns that packing would cost more than it saves.
 *
 * The axes are [batch ..., m, n, k] with unit stride along n on c.  Columns are cut into strips, as
 * wide as the tiles of the microkernel while these fit and narrower ones at the edge.  A strip of b
 * without unit stride along n is copied to where it has one; another one is packed on the way, by the
 * first of the tiles that meet it, if its rows lie so that they do not stay in the first cache. */

#define E (VL / PARTS)

typedef struct {
    int64_t depth, a_row, a_step, b_step, b_down, c_row; /* b_down: of b before it is gathered */
    int accumulate;
    int64_t rows_at_once; /* that meet all strips, before the next do */
    int tallest;  /* rows of a tile */
    int widest;   /* of FN(strips) */
    int by_rows;  /* c is written a few rows at a time, from end to end */
    int gathers;  /* strips of b are copied */
    int near;     /* all strips of b meet one tile of rows after the other, else all rows one strip */
    int fetches;  /* strips of a long b, while the one before meets the second tile, or the only one */
    int packs;    /* strips of b, on the way */
    int chains;   /* a single row has all its columns in narrow tiles, whose steps alternate between sums */
    int64_t ahead; /* steps by which strips of a single tile are fetched: all, unless they would not stay */
    char *packed; /* where to, or NULL */
    int far, stream; /* a comes from memory, all of it side by side; c goes past the caches, line by line */
    int64_t a_ahead; /* bytes from rows of a to those that are fetched meanwhile, or 0 */
} FN(direct_product);

typedef enum { FN(PLAIN), FN(PACKING), FN(FETCHING), FN(FAR), FN(FAR_PAST) } FN(direct_way);

/* Tiles so high that the rows of the next ones, and of c, are not fetched by themselves. */
#define HIGH_TILES (FLOATING && VBYTES == 64)

/* Rows of the largest tiles; integers, which take many instructions, and narrow vectors need fewer, but of
 * complex numbers more than microkernels have, to hide the latency of additions. */
#define MOST_ROWS(limit) MIN(MR, FLOATING ? (limit) : 4)
#define NARROW_ROWS (COMPLEX ? 6 : MOST_ROWS(8))
#define AT_LEAST_ONE(bytes) ((bytes) > sizeof(T) ? (bytes) : sizeof(T))

/* A single row of real numbers leaves registers for so many vectors. */
#define BROAD (FLOATING && !COMPLEX)
#if BROAD
#define WN(x) TN_PASTE(x, TN_PASTE(broad, NAME))
#define W_BYTES VBYTES
#define W_SCALAR 0
#define W_REALS REALS
#define VECTORS BROAD_VECTORS
#define TALLEST 1
#define SHARES 0
#include "direct_tile.h"
#endif

#define WN(x) TN_PASTE(x, TN_PASTE(wide, NAME))
#define W_BYTES VBYTES
#define W_SCALAR 0
#define W_REALS REALS
#define VECTORS WIDE_VECTORS
#define TALLEST (WIDE_ROWS / PARTS)
#define SHARES FLOATING
#include "direct_tile.h"

#if TWO_PANELS
#define WN(x) TN_PASTE(x, TN_PASTE(pair, NAME))
#define W_BYTES VBYTES
#define W_SCALAR 0
#define W_REALS REALS
#define VECTORS 2
#define TALLEST (MR / 2)
#define SHARES 1
#include "direct_tile.h"
#endif

#define WN(x) TN_PASTE(x, TN_PASTE(whole, NAME))
#define W_BYTES VBYTES
#define W_SCALAR 0
#define W_REALS REALS
#define VECTORS TILE_VECTORS
#define TALLEST MOST_ROWS(MR)
#define SHARES FLOATING
#include "direct_tile.h"

#if TILE_VECTORS > 1
#define WN(x) TN_PASTE(x, TN_PASTE(single, NAME))
#define W_BYTES VBYTES
#define W_SCALAR 0
#define W_REALS REALS
#define VECTORS 1
#define TALLEST NARROW_ROWS
#define SHARES 0
#include "direct_tile.h"
#endif

#define WN(x) TN_PASTE(x, TN_PASTE(half, NAME))
#define W_BYTES AT_LEAST_ONE(VBYTES / 2)
#define W_SCALAR 0
#define W_REALS HALF_REALS
#define VECTORS 1
#define TALLEST NARROW_ROWS
#define SHARES 0
#include "direct_tile.h"

#define WN(x) TN_PASTE(x, TN_PASTE(quarter, NAME))
#define W_BYTES AT_LEAST_ONE(VBYTES / 4)
#define W_SCALAR 0
#define W_REALS QUARTER_REALS
#define VECTORS 1
#define TALLEST NARROW_ROWS
#define SHARES 0
#include "direct_tile.h"

#define WN(x) TN_PASTE(x, TN_PASTE(eighth, NAME))
#define W_BYTES AT_LEAST_ONE(VBYTES / 8)
#define W_SCALAR 0
#define W_REALS EIGHTH_REALS
#define VECTORS 1
#define TALLEST NARROW_ROWS
#define SHARES 0
#include "direct_tile.h"

#define WN(x) TN_PASTE(x, TN_PASTE(one, NAME))
#define W_BYTES sizeof(T)
#define W_SCALAR 1
#define W_REALS 2
#define VECTORS 1
#define TALLEST NARROW_ROWS
#define SHARES 0
#include "direct_tile.h"

#undef AT_LEAST_ONE
#undef MOST_ROWS
#undef NARROW_ROWS

typedef void (*FN(strips_function))(const FN(direct_product) *, const char *, const char *, char *,
                                   int64_t, int64_t);

/* Widths of strips, widest first; 0: there is none. */
#define AT_LEAST_TWO(width) ((width) > 1 ? (width) : 0)
static const struct {
    int width;
    FN(strips_function) run;
} FN(strips)[] = {
#if BROAD
    {BROAD_VECTORS * E, FN(direct_strips_broad)}, /* only for one row */
#else
    {0, NULL},
#endif
    {WIDE_VECTORS * E, FN(direct_strips_wide)}, /* only for few rows */
#if TWO_PANELS
    {2 * NR, FN(direct_strips_pair)}, /* only where loads would limit whole ones */
#else
    {0, NULL},
#endif
    {NR, FN(direct_strips_whole)},
#if TILE_VECTORS > 1
    {E, FN(direct_strips_single)},
#endif
    {AT_LEAST_TWO(E / 2), FN(direct_strips_half)},
    {AT_LEAST_TWO(E / 4), FN(direct_strips_quarter)},
    {AT_LEAST_TWO(E / 8), FN(direct_strips_eighth)},
    {1, FN(direct_strips_one)},
};
#undef AT_LEAST_TWO

enum { FN(BROADEST), FN(WIDE), FN(PAIR), FN(WHOLE) }; /* of strips */
enum { FN(MOST_COPIED) = MOST_VECTORS / TILE_VECTORS * TN_DIRECT_DEPTH * NR }; /* elements of b */

/* The strip for column j of n.  One beyond the last column is moved to the left where it may compute
 * columns again. */
ALWAYS_INLINE int FN(choose_strip)(int64_t n, int64_t *j, int widest, int accumulate) {
    const int64_t left = n - *j;
    int i = widest, wider = -1;
    while (FN(strips)[i].width > left || FN(strips)[i].width == 0) {
        if (FN(strips)[i].width) wider = i;
        i++;
    }
    if (accumulate || FN(strips)[i].width == left || wider < 0 || FN(strips)[wider].width > n)
        return i;
    *j = n - FN(strips)[wider].width;
    return wider;
}

/* Columns [across] of b, up to `width` of them, into [depth][width]. */
static void FN(gather_strip)(R *to, const char *from, int64_t across, int64_t down, int width,
                             int columns, int64_t depth) {
    int64_t p = 0;
#if FLOATING
    if (down == (int64_t)sizeof(T) && columns % S == 0 && S > 1)
        for (; p + S <= depth; p += S)
            for (int g = 0; g < columns; g += S) {
                Q x[S];
#pragma GCC unroll 16
                for (int i = 0; i < S; i++)
                    x[i] = *(const QU *)(from + (g + i) * across + p * down);
                FN(flip_square)(x);
#pragma GCC unroll 16
                for (int i = 0; i < S; i++) *(QU *)(to + ((p + i) * width + g) * PARTS) = x[i];
            }
#endif
    const int whole = across == (int64_t)sizeof(T) && columns == width;
    if (whole && width == NR)
        for (; p < depth; p++) memcpy(to + p * NR * PARTS, from + p * down, NR * sizeof(T));
    if (whole && width == 2 * NR)
        for (; p < depth; p++) memcpy(to + 2 * p * NR * PARTS, from + p * down, 2 * NR * sizeof(T));
    for (; p < depth; p++)
        for (int j = 0; j < columns; j++)
            memcpy(to + (p * width + j) * PARTS, from + j * across + p * down, sizeof(T));
}

/* Strips of columns side by side, and where each waits in a copy of b. */
typedef struct {
    int count;
    int64_t beyond; /* columns that the last strip has beyond the last column */
    struct {
        int at; /* of FN(strips) */
        int64_t column, copied;
    } strip[DIRECT_STRIPS];
} FN(strip_list);

/* The strips of a product of many rows.  Where rows follow each other without a gap, the last strip may
 * write into the next row, which is written after it.  Returns 0 if there are too many strips, or b is too
 * large to be copied. */
static int FN(list_strips)(FN(strip_list) *list, const FN(direct_product) *job, int64_t columns) {
    const int dense = job->c_row == columns * (int64_t)sizeof(T) && !job->accumulate;
    const int64_t depth = job->depth;
    const int64_t room = job->widest == FN(PAIR) ? FN(MOST_COPIED) : TN_DIRECT_DEPTH * NR;
    const int last = (int)(sizeof FN(strips) / sizeof *FN(strips)) - 1;
    int64_t copied = 0;
    list->count = 0;
    list->beyond = 0;
    for (int64_t j = 0; j < columns;) {
        const int64_t left = columns - j;
        int i = job->widest;
        if (!dense) i = FN(choose_strip)(columns, &j, i, job->accumulate);
        for (int narrower = job->widest + 1; dense && narrower <= last; narrower++)
            if (FN(strips)[narrower].width >= left) i = narrower;
        const int width = FN(strips)[i].width;
        if (list->count == DIRECT_STRIPS || copied + depth * width > room) return 0;
        list->strip[list->count].at = i;
        list->strip[list->count].column = j;
        list->strip[list->count++].copied = copied * PARTS;
        copied += depth * width;
        j += width;
        list->beyond = j - columns;
    }
    return 1;
}

/* Many rows and few columns, a few rows of all columns at a time, so that c is written once.  Returns
 * how many rows are done. */
static int64_t FN(direct_rows)(FN(direct_product) *job, int64_t rows, int64_t columns,
                               int64_t b_column, const char *a, const char *b, char *c, R *copied) {
    enum { BLOCK = 24, FAR = 512 << 10 };
    const int64_t unit = sizeof(T);
    FN(strip_list) list;
    if (!FN(list_strips)(&list, job, columns)) return 0;
    for (int s = 0; s < list.count; s++) {
        const int width = FN(strips)[list.strip[s].at].width;
        const int64_t j = list.strip[s].column, there = MIN(width, columns - j);
        R *to = copied + list.strip[s].copied;
        if (there < width) memset(to, 0, (size_t)(job->depth * width) * sizeof(T));
        FN(gather_strip)(to, b + j * b_column, b_column, job->b_down, width, (int)there, job->depth);
    }
    rows -= (list.beyond + columns - 1) / columns;
    const int far = rows * columns * unit > FAR;
    for (int64_t row = 0; row < rows; row += BLOCK) {
        const int64_t next = MIN((int64_t)BLOCK, rows - row - BLOCK);
        for (int64_t i = 0; far && i < next; i++)
            for (int64_t line = 0; line < columns * unit; line += 64)
                __builtin_prefetch(c + (row + BLOCK + i) * job->c_row + line, 1, 2);
        for (int s = list.count - 1; s >= 0; s--) {
            const int at = list.strip[s].at;
            job->b_step = FN(strips)[at].width * unit;
            FN(strips)[at].run(job, a + row * job->a_row,
                               (const char *)(copied + list.strip[s].copied),
                               c + row * job->c_row + list.strip[s].column * unit,
                               MIN((int64_t)BLOCK, rows - row), 1);
        }
    }
    return rows;
}

/* Columns in front of the first that begins a line, if all rows of b then have one there; none where c is
 * streamed, whose lines count then. */
ALWAYS_INLINE int64_t FN(columns_before_line)(const FN(direct_product) *job, const char *b,
                                              int64_t columns) {
    enum { MANY = 8 }; /* strips that make up for narrow ones */
    const int64_t unit = sizeof(T), before = (int64_t)(-(uintptr_t)b % LINE_BYTES);
    if (!job->fetches || job->stream || job->b_down % LINE_BYTES || before % unit || columns < MANY * NR) return 0;
    return before / unit;
}

/* Some rows of c, strip by strip. */
ALWAYS_INLINE void FN(direct_block)(FN(direct_product) *job, int64_t rows, int64_t columns,
                                    int64_t b_column, const char *a, const char *b, char *c,
                                    R *copied) {
    const int64_t unit = sizeof(T), lead = FN(columns_before_line)(job, b, columns);
    for (int64_t j = 0; j < columns;) {
        const int64_t end = j < lead ? lead : columns;
        const int s = FN(choose_strip)(end, &j, job->widest, job->accumulate);
        const int width = FN(strips)[s].width;
        const int64_t strips = job->near && !job->gathers ? (end - j) / width : 1;
        job->a_ahead = job->far ? 2 * MR * job->a_row : 0;
        const char *from = b + j * b_column;
        if (job->gathers) {
            FN(gather_strip)(copied, from, b_column, job->b_down, width, width, job->depth);
            from = (const char *)copied, job->b_step = width * unit;
        }
        FN(strips)[s].run(job, a, from, c + j * unit, rows, strips);
        j += strips * width;
    }
}

/* A few rows of c where b is near: no strip of it is copied. */
static void FN(direct_near)(const FN(direct_product) *job, int64_t rows, int64_t columns,
                            const char *a, const char *b, char *c) {
    const int64_t unit = sizeof(T);
    for (int64_t j = 0; j < columns;) {
        const int s = FN(choose_strip)(columns, &j, job->widest, job->accumulate);
        const int64_t strips = (columns - j) / FN(strips)[s].width;
        FN(strips)[s].run(job, a, b + j * unit, c + j * unit, rows, strips);
        j += strips * FN(strips)[s].width;
    }
}

/* A few rows of c at a time, from end to end, or as far as b stays in the second cache. */
static void FN(direct_by_rows)(const FN(direct_product) *job, int64_t rows, int64_t columns, const char *a,
                               const char *b, char *c) {
    enum { NEAR = 256 << 10 };
    const int64_t unit = sizeof(T), most = NEAR / (job->depth * unit) / NR * NR;
    const int64_t blocks = (columns + most - 1) / most, each = ((columns + blocks - 1) / blocks + NR - 1) / NR * NR;
    for (int64_t j = 0; j < columns; j += each)
        for (int64_t row = 0; row < rows; row += MR)
            FN(direct_near)(job, MIN(MR, rows - row), MIN(each, columns - j), a + row * job->a_row, b + j * unit,
                            c + row * job->c_row + j * unit);
}

/* Rows whose part of a stays in the second cache while all strips meet them. */
static int64_t FN(rows_at_once)(const FN(direct_product) *job, int64_t depth, int64_t rows,
                                int64_t columns) {
    enum { BYTES = 256 << 10, LEAST = 8 * MR }; /* fewer would not be worth a copy of a strip */
    if (columns <= NR || job->gathers || job->near) return rows;
    return MAX((int64_t)LEAST, BYTES / (depth * (int64_t)sizeof(T)) / MR * MR);
}

enum { FN(MANY_ROWS) = 48 }; /* that are worth a copy of all strips */

/* One batch point: c[rows, columns] from the operands at a and b. */
static void FN(direct_point)(FN(direct_product) *job, int64_t rows, int64_t columns,
                             int64_t b_column, const char *a, const char *b, char *c) {
    _Alignas(64) R copied[FN(MOST_COPIED) * PARTS];
    job->packed = NULL;
    if (job->by_rows) {
        FN(direct_by_rows)(job, rows, columns, a, b, c);
        return;
    }
    if (rows >= FN(MANY_ROWS) && columns % NR) {
        const int64_t done = FN(direct_rows)(job, rows, columns, b_column, a, b, c, copied);
        a += done * job->a_row, c += done * job->c_row, rows -= done;
        job->b_step = job->b_down;
        if (!rows) return;
    }
    if (job->packs) job->packed = (char *)copied;
    for (int64_t row = 0; row < rows; row += job->rows_at_once)
        FN(direct_block)(job, MIN(job->rows_at_once, rows - row), columns, b_column,
                         a + row * job->a_row, b, c + row * job->c_row, copied);
}

/* Whether b is so long that its strips meet all rows, few steps at a time, and are fetched ahead. */
static int FN(is_long)(const tn_contraction *x, int64_t b_column) {
    enum { LEAST = 3 }; /* rows: one or two take rows of b from end to end */
    const int64_t unit = sizeof(T);
    if (b_column != unit || x->n <= x->m || x->m < LEAST) return 0;
    return x->k * x->n * unit > (x->m > MR ? DIRECT_NEAR : DIRECT_FAR);
}

/* Whether writing c is the work, for there are few steps, and no more than rows.  Short rows are left to strips
 * of all of them where no cache holds c. */
static int FN(writes_by_rows)(const tn_contraction *x, int64_t rows, int64_t columns) {
    enum { FEW = 64, LEAST = 64 << 10, CACHED = 6 << 20, LONG = 1536 }; /* steps; bytes */
    const int64_t unit = sizeof(T), row = columns * unit;
    return rows > MR && x->k <= MIN(FEW, rows) && rows * row >= LEAST &&
           (row >= LONG || x->batch * x->m * x->n * unit <= CACHED);
}

/* Chooses the ways of all batch points alike. */
static void FN(choose_ways)(FN(direct_product) *job, const tn_contraction *x, int is_long, int64_t rows,
                            int64_t columns, int64_t b_column) {
    enum { MANY = 8 }; /* tiles that meet a strip and make it worth a copy without gaps */
    enum { CROWDED = 512 }; /* bytes from row to row, with which half of a strip is more than the ways hold */
    enum { ONE_SET = 2048, FEW = 8 }; /* with which rows of a meet in a set or two of the first cache; that stay */
    const int64_t unit = sizeof(T);
    const int in_rows = b_column == unit;
    const int pairs = TWO_PANELS && tn_loads_limit(), highest = pairs ? MR / 2 : MR;
    job->widest = in_rows && rows == 1                   ? FN(BROADEST)
                  : in_rows && rows <= WIDE_ROWS / PARTS ? FN(WIDE)
                  : pairs                                ? FN(PAIR)
                                                         : FN(WHOLE);
    job->by_rows = in_rows && FN(writes_by_rows)(x, rows, columns);
    job->gathers = !in_rows || (!is_long && !job->by_rows && rows >= MANY * MR && job->depth <= TN_DIRECT_DEPTH);
    job->near = (rows <= highest && !is_long) || job->depth * columns * unit <= DIRECT_NEAR || job->by_rows;
    job->fetches = is_long && !job->near;
    job->tallest = !job->by_rows && (job->a_row % ONE_SET || !job->fetches) ? highest : MIN(highest, FEW);
    job->packs = job->fetches && rows > job->tallest && job->b_down % CROWDED == 0;
}

/* How many steps of k to take at a time.  A large b that meets few rows is read a few of its rows at a
 * time, each from end to end; more of them if they are short and meet a single row.  A strip that several
 * tiles share stays in the first cache.  All tasks take the same steps, so that bits do not depend on
 * their number. */
static int64_t FN(direct_depth)(const tn_contraction *x, int is_long, int64_t b_column) {
    enum { FEW = 16, LARGE_OF_ONE = 64 << 10, FEW_OF_ONE = 8, MORE = 4096 };
    enum { TOGETHER = 32 << 10, SHARED = 160 }; /* bytes of such rows; steps of a strip */
    const int64_t unit = sizeof(T), row = x->n * unit;
    if (is_long) {
        const int64_t blocks = (x->k + SHARED - 1) / SHARED;
        return (x->k + blocks - 1) / blocks;
    }
    if (b_column != unit || x->m > MR || x->k * row <= (x->m > 1 ? DIRECT_FAR : LARGE_OF_ONE)) return x->k;
    int64_t depth = x->m > 1 ? FEW : FEW_OF_ONE;
    while (x->m == 1 && depth < MORE && depth * row <= TOGETHER) depth *= 2;
    return depth;
}

/* Whether a, or c, is so large that memory is waited for. */
static void FN(look_far)(FN(direct_product) *job, const tn_contraction *x, int64_t depth, int far) {
    enum { MANY = 8 << 20, MANY_TILES = 8 }; /* bytes of a */
    const tn_dim *m = x->dims + x->n_batch, *n = m + 1, *k = n + 1;
    const int64_t unit = sizeof(T);
    if (!HIGH_TILES || x->m < MANY_TILES * MR || depth < x->k) return;
    job->far = k->sa == unit && m->sa == x->k * unit && x->m * m->sa > MANY;
    job->stream = STREAMS && far > 1 && !x->accumulate && n->n % NR == 0 && m->sc % LINE_BYTES == 0;
    if ((job->far || job->stream) && job->widest == FN(PAIR)) job->widest = FN(WHOLE), job->tallest = MR;
}

static void FN(direct)(const tn_contraction *x, const char *a, const char *b, char *c,
                       const tn_box *box) {
    enum { SCATTERED = 2048, AHEAD = 24 }; /* bytes from row to row that fill the sets of the second cache */
    const tn_dim *m = x->dims + x->n_batch, *n = m + 1, *k = n + 1;
    const int64_t unit = sizeof(T), columns = box->n1 - box->n0, rows = box->m1 - box->m0;
    FN(direct_product) job = {.a_row = m->sa, .a_step = k->sa, .b_step = k->sb, .b_down = k->sb,
                              .c_row = m->sc, .depth = x->k};
    const int is_long = FN(is_long)(x, n->sb);
    FN(choose_ways)(&job, x, is_long, rows, columns, n->sb);
    const int64_t depth = FN(direct_depth)(x, is_long, n->sb);
    job.rows_at_once = FN(rows_at_once)(&job, depth, rows, columns);
    const int near = job.near && !job.gathers && rows < FN(MANY_ROWS);
    FN(look_far)(&job, x, depth, box->far);
    job.chains = x->m == 1 && x->n < WIDE_VECTORS * E; /* however many threads there are */
    const int stream = job.stream;
    tn_walk batch;
    walk_to(&batch, x->dims, x->n_batch, box->batch0);
    a += box->m0 * m->sa;
    b += box->n0 * n->sb;
    c += box->m0 * m->sc + box->n0 * unit;
    for (int64_t t = box->batch0; t < box->batch1; t++, walk_next(&batch))
        for (int64_t p = 0; p < x->k; p += depth) {
            job.depth = MIN(depth, x->k - p);
            job.ahead = job.b_down % SCATTERED || rows > job.tallest ? job.depth : MIN(job.depth, AHEAD);
            job.accumulate = x->accumulate || p > 0;
            job.stream = stream && (uintptr_t)(c + batch.c) % LINE_BYTES == 0;
            const char *at = a + batch.a + p * k->sa, *bt = b + batch.b + p * k->sb;
            if (near)
                FN(direct_near)(&job, rows, columns, at, bt, c + batch.c);
            else
                FN(direct_point)(&job, rows, columns, n->sb, at, bt, c + batch.c);
        }
    if (stream) STREAM_END();
}

#undef HIGH_TILES
#undef E
#undef BROAD
