/* Copies between orders of axes, tile by tile: lines of both operands are read and written whole. */

#define E (VL / PARTS)
/* Whether squares are streamed from registers; pairs of four bytes move as eight. */
#define LINES (VBYTES == 64 && FLOATING && !(COMPLEX && R_BYTES == 4))

/* Rows of squares: SIDE elements of PARTS lanes. */
#if COMPLEX
#define ROW_LANES_2(f, bit) LANES_4(f, bit, 4)
#define ROW_LANES_4(f, bit) LANES_8(f, bit, 8)
#define ROW_LANES_8(f, bit) LANES_16(f, bit, 16)
#else
#define ROW_LANES_2(f, bit) LANES_2(f, bit, 2)
#define ROW_LANES_4(f, bit) LANES_4(f, bit, 4)
#define ROW_LANES_8(f, bit) LANES_8(f, bit, 8)
#define ROW_LANES_16(f, bit) LANES_16(f, bit, 16)
#endif

ALWAYS_INLINE void FN(copy_elements)(char *c, const char *a, int64_t bytes) {
    for (int64_t p = 0; p < bytes; p += sizeof(T)) FN(store)(c + p, FN(load)(a + p));
}

ALWAYS_INLINE void FN(stream_line)(char *to, const char *from) {
#pragma GCC unroll 4
    for (int v = 0; v < TILE_LINE; v += VBYTES) STREAM(to + v, *(const VU *)(from + v));
}

ALWAYS_INLINE void FN(copy_line)(char *to, const char *from) {
#pragma GCC unroll 4
    for (int v = 0; v < TILE_LINE; v += VBYTES) *(VU *)(to + v) = *(const VU *)(from + v);
}

#if FLOATING

/* Part of a row.  With PUT_SHIFTED a line that waits in front goes with it, and what stays behind is
 * kept, the row being `begun` by an earlier part or not. */
ALWAYS_INLINE void FN(put_part)(const int mode, const char *from, char *to, int64_t bytes,
                                char *kept, int begun) {
    enum { FOUR = 4 };
    const int64_t phase = mode == PUT_SHIFTED ? (int64_t)((uintptr_t)to % TILE_LINE) : 0;
    int64_t p = -phase;
    if (mode == PUT_ADDED) {
        for (p = 0; p < bytes; p += sizeof(T))
            FN(store)(to + p, FN(plus)(FN(load)(to + p), FN(load)(from + p)));
        return;
    }
    if (mode == PUT_SHIFTED && !begun && phase) {
        p += TILE_LINE;
        FN(copy_elements)(to, from, MIN(p, bytes));
    }
    for (; p + FOUR * TILE_LINE <= bytes; p += FOUR * TILE_LINE)
#pragma GCC unroll 4
        for (int n = 0; n < FOUR; n++)
            FN(stream_line)(to + p + n * TILE_LINE, from + p + n * TILE_LINE);
    for (; p + TILE_LINE <= bytes; p += TILE_LINE) FN(stream_line)(to + p, from + p);
    if (mode == PUT_SHIFTED)
        FN(copy_line)(kept, from + bytes - TILE_LINE);
    else
        FN(copy_elements)(to + p, from + p, bytes - p);
}

/* Where a line of this row waits, of a column of a at a point between. */
ALWAYS_INLINE char *FN(kept_of)(const copy_tile *t, const int narrow, char *kept, int64_t o,
                                int64_t i) {
    return kept + (!narrow && t->joined ? o : o * t->across + i) * TILE_LINE;
}

/* Brings what waits in front of the rows of a block. */
ALWAYS_INLINE void FN(wait_in_front)(const copy_tile *t, const int narrow, const tile_block *b,
                                     const int mode, char *to, char *kept) {
    const int64_t pitch = t->pitch, joined = !narrow && t->joined;
    if (mode != PUT_SHIFTED) return;
    for (int64_t o = 0; o < b->outers; o++) {
        const char *line = FN(kept_of)(t, narrow, kept, b->o + o, b->i);
        for (int64_t r = 0; r < b->columns; r++, line += TILE_LINE, to += pitch)
            if (r == 0 || !joined) FN(copy_line)(to - TILE_LINE, line);
    }
}

/* Puts a block into c.  Between its rows go reads of as many of a later one, at `ahead`, into the second
 * cache: lines that come on request and lines that are streamed wait for each other otherwise.  Narrow
 * blocks are fetched by whoever fills them. */
ALWAYS_INLINE void FN(put_block)(const copy_tile *t, const int narrow, const tile_block *b,
                                 const int mode, const char *from, char *c, char *kept, int begun,
                                 const tile_block *later, const char *ahead) {
    const int64_t size = sizeof(T), rows = b->outers * b->columns, bytes = later->columns * size;
    const int64_t points = b->points * size, pitch = t->pitch;
    const int64_t *across_to = t->across_to + b->i, joined = !narrow && t->joined;
    const int64_t *along_a = t->along_a + later->j, *between_a = t->between_a + later->o;
    const int64_t reads = narrow ? 0 : later->outers * later->points / (t->shared * t->shared_outers);
    const int64_t each = !narrow && t->ahead ? reads / rows + 1 : 0;
    int64_t outer = 0, point = 0;
    ahead += later->i * size + bytes - 1;
    for (int64_t o = 0; o < b->outers; o++) {
        char *to = c + t->between_to[b->o + o] + b->j * size;
        char *line = FN(kept_of)(t, narrow, kept, b->o + o, b->i);
        for (int64_t r = 0; r < b->columns; r++, from += pitch, line += joined ? 0 : TILE_LINE) {
            for (int64_t n = 0; n < each && outer < later->outers; n++) {
                const char *row = ahead + between_a[outer] + along_a[point];
                for (int64_t p = 0; p < bytes; p += TILE_LINE) __builtin_prefetch(row - p, 0, 2);
                point += t->shared;
                if (point >= later->points) point = 0, outer += t->shared_outers;
            }
            FN(put_part)(mode, from, to + across_to[r], points, line,
                         begun || b->j > 0 || (joined && b->i + r > 0));
        }
    }
}

/* The ends of rows of which `bytes` have been put, as far as they are not in c yet. */
static void FN(put_ends)(const copy_tile *t, char *c, const char *kept, int64_t bytes) {
    const int64_t side = t->side ? t->side : 1;
    for (int64_t o = 0; o < t->between; o++)
        for (int64_t i = t->joined ? t->across - 1 : 0; i < t->across; i = next_group(t, side, i))
            for (int64_t r = 0; r < side; r++, kept += TILE_LINE) {
                const int64_t row = MIN(i, t->across - side) + r;
                char *end = c + t->between_to[o] + t->across_to[row] + t->along * (int64_t)sizeof(T);
                const int64_t rest = MIN((int64_t)((uintptr_t)end % TILE_LINE), bytes);
                FN(copy_elements)(end - rest, kept + TILE_LINE - rest, rest);
            }
}

#if ASSEMBLED /* vectors from parts */
typedef double FN(doubles) __attribute__((vector_size(32)));
#endif

typedef double FN(whole_row) __attribute__((vector_size(32)));
typedef double FN(unaligned_row) __attribute__((vector_size(32), aligned(1), may_alias));
typedef double FN(long_row) __attribute__((vector_size(64)));
typedef double FN(half_row) __attribute__((vector_size(16), aligned(1), may_alias));

#define SIDE 2
#define WIDE 1
#define ROW_LANES ROW_LANES_2
#include "fill.h"
#define SIDE 4
#define WIDE 1
#define ROW_LANES ROW_LANES_4
#if LINES && COMPLEX
#define IN_A_ROW 2
#endif
#include "fill.h"
#if !COMPLEX
#define SIDE 8
#define WIDE 1
#define ROW_LANES ROW_LANES_8
#if LINES && R_BYTES == 8
#define IN_A_ROW 2
#endif
#include "fill.h"
#endif
#if LINES && R_BYTES == 4
#define SIDE 8
#define WIDE 2
#define ROW_LANES ROW_LANES_16
#define IN_A_ROW 1
#include "fill.h"
#define SIDE 16
#define WIDE 1
#define ROW_LANES ROW_LANES_16
#define IN_A_ROW 1
#include "fill.h"
#endif
#endif

#if LINES
static void FN(put_lines)(const copy_tile *t, int mode, const char *a, char *c, const char *ahead,
                          char *kept, int begun) {
#if COMPLEX
    FN(put_lines_1_4)(t, mode, a, c, ahead, kept, begun);
#elif R_BYTES == 8
    FN(put_lines_1_8)(t, mode, a, c, ahead, kept, begun);
#else
    if (t->side == E)
        FN(put_lines_1_16)(t, mode, a, c, ahead, kept, begun);
    else
        FN(put_lines_2_8)(t, mode, a, c, ahead, kept, begun);
#endif
}
#endif

#if ASSEMBLED /* four bytes are so few that vectors are put together from several small squares */
ALWAYS_INLINE double FN(eight_bytes)(const char *a) {
    double x;
    memcpy(&x, a, sizeof x);
    return x;
}

#define SIDE 2
#define WIDE 4
#define ROW_LANES ROW_LANES_8
#include "fill.h"
#define SIDE 4
#define WIDE 2
#define ROW_LANES ROW_LANES_8
#include "fill.h"
#endif

/* Without squares, for few rows and small integers; from a point between on. */
static void FN(fill_elements)(const copy_tile *t, int mode, const char *a, char *c, int64_t o) {
    const int64_t size = sizeof(T);
    for (; o < t->between; o++)
        for (int64_t i = 0; i < t->across; i++) {
            const char *from = a + t->between_a[o] + i * size;
            char *to = c + t->between_to[o] + t->across_to[i];
            for (int64_t j = 0; j < t->along; j++, to += size) {
                const T value = FN(load)(from + t->along_a[j]);
                FN(store)(to, mode == PUT_ADDED ? FN(plus)(FN(load)(to), value) : value);
            }
        }
}

#if FLOATING && VARIABLE_SHUFFLES
/* Which lane of a block, of two vectors that begin `second` elements apart, comes to each lane of c from
 * element `first` on; blocks follow each other. */
static VI FN(lanes_of_block)(const copy_tile *t, int64_t first, int64_t second) {
    VI from;
    for (int l = 0; l < VL; l++) {
        const int64_t e = first + l / PARTS, at = e % t->block, begin = e - at;
        const int64_t source = begin + at % t->along * t->across + at / t->along;
        from[l] = (int)(source < E ? source : source - second + E) * PARTS + l % PARTS;
    }
    return from;
}

/* Blocks within which elements trade places: several in one vector, or one in two vectors that overlap.
 * Returns how many are done. */
static int64_t FN(fill_blocks)(const copy_tile *t, const char *a, char *c) {
    const int64_t bytes = t->block * (int64_t)sizeof(T), whole = t->between * bytes;
    if (bytes <= VBYTES) {
        const int64_t step = VBYTES / bytes * bytes;
        VI from = FN(lanes_of_block)(t, 0, 0);
        for (int l = step / (int64_t)sizeof(R); l < VL; l++) from[l] = l; /* of the next block, to come */
        int64_t p = 0;
        for (; p + VBYTES <= whole; p += step)
            *(VU *)(c + p) = __builtin_shuffle(*(const VU *)(a + p), from);
        return p / bytes;
    }
    const int64_t second = t->block - E, last = bytes - VBYTES;
    const VI low = FN(lanes_of_block)(t, 0, second), high = FN(lanes_of_block)(t, second, second);
    for (int64_t p = 0; p < whole; p += bytes) {
        const V x = *(const VU *)(a + p), y = *(const VU *)(a + p + last);
        *(VU *)(c + p) = __builtin_shuffle(x, y, low);
        *(VU *)(c + p + last) = __builtin_shuffle(x, y, high);
    }
    return t->between;
}
#endif

static void FN(fill)(const copy_tile *t, int mode, const char *a, char *c,
                     const char *ahead, char *kept, int begun) {
#if FLOATING && VARIABLE_SHUFFLES
    if (t->block && mode == PUT_PLAIN) {
        FN(fill_elements)(t, mode, a, c, FN(fill_blocks)(t, a, c));
        return;
    }
#endif
    /* strips reach beyond the end */
    const int64_t along = mode == PUT_PLAIN ? t->along : TILE_LINE;
    const int64_t side = MIN(MIN(along, t->across), (int64_t)E);
    (void)side, (void)ahead, (void)kept, (void)begun;
    if (0) {
#if FLOATING
#if LINES
    } else if (t->side && mode != PUT_PLAIN) {
        FN(put_lines)(t, mode, a, c, ahead, kept, begun);
#endif
#if !COMPLEX
    } else if (E >= 8 && side >= 8) {
        FN(fill_1_8)(t, mode, a, c, ahead, kept, begun);
#endif
#if ASSEMBLED
    } else if (side >= 4 && along >= 8) {
        FN(fill_2_4)(t, mode, a, c, ahead, kept, begun);
    } else if (side >= 2 && along >= 8) {
        FN(fill_4_2)(t, mode, a, c, ahead, kept, begun);
#endif
    } else if (E >= 4 && side >= 4) {
        FN(fill_1_4)(t, mode, a, c, ahead, kept, begun);
    } else if (E >= 2 && side >= 2) {
        FN(fill_1_2)(t, mode, a, c, ahead, kept, begun);
#endif
    } else {
        FN(fill_elements)(t, mode, a, c, 0);
    }
}

/* How the rows of a tile at c are put there. */
static int FN(put_mode)(const copy_tile *t, const tn_contraction *x, const char *c, int far) {
    if (x->accumulate) return PUT_ADDED;
    /* squares need room, and the ends of streamed lines are whole elements only if c is aligned */
    if (!STREAMS || !FLOATING || far < 2 || MIN(t->across, E) < 2 ||
        t->along * (int64_t)sizeof(T) < 2 * TILE_LINE || (uintptr_t)c % sizeof(T))
        return PUT_PLAIN;
    const int even = !t->side || t->along * (int64_t)sizeof(T) % TILE_LINE == 0;
    return even && t->aligned && (uintptr_t)c % TILE_LINE == 0 ? PUT_WHOLE : PUT_SHIFTED;
}

/* Elements trade places. */
static void FN(move_elements)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    char kept[TILE_KEPT * TILE_LINE] __attribute__((aligned(TILE_LINE)));
    tile_walk w;
    copy_tile tile;
    int64_t begun = 0; /* bytes of the rows that the tiles before have put */
    tiles_from(&w, x->dims, x->n_batch + x->n_m + x->n_n, box->batch0, ON_C);
    lay_out_tile(&tile, &w, x, sizeof(T), 0, box->far);
    for (int64_t t = box->batch0; t < box->batch1; t++) {
        if (!have_same_extents(tile.extent, w.extent, w.n_dims)) {
            const int64_t side = tile.side, lead = tile.lead;
            lay_out_tile(&tile, &w, x, sizeof(T), 0, box->far);
            if (begun) tile.side = side, tile.lead = lead; /* what waits lies in their order */
        }
        const char *from = a + w.a;
        if (!begun) tile.lead = tile.level ? (int64_t)(-(uintptr_t)from % TILE_LINE / sizeof(T)) : 0;
        char *to = c + w.c;
        const int64_t rows = tile.joined ? tile.across : 1;
        const int64_t end = w.c + rows * tile.along * (int64_t)sizeof(T);
        const int mode = begun ? PUT_SHIFTED : FN(put_mode)(&tile, x, to, box->far);
        next_tile(&w);
        FN(fill)(&tile, mode, from, to, a + w.a, kept, begun > 0);
        begun = mode == PUT_SHIFTED ? begun + end - (to - c) : 0;
#if FLOATING
        if (begun && (t + 1 == box->batch1 || w.c != end || !same_rows(&tile, &w, x))) {
            FN(put_ends)(&tile, to, kept, begun);
            begun = 0;
        }
#endif
    }
    if (box->far > 1) STREAM_END();
}

/* The first and the last ones of `bytes`, which overlap unless there are twice as many. */
ALWAYS_INLINE void FN(copy_ends)(const char *a, char *c, int64_t bytes, const size_t ends) {
    const char *end = a + bytes - ends;
    memcpy(c, a, ends);
    memcpy(c + bytes - ends, end, ends);
}

ALWAYS_INLINE void FN(copy_run)(const char *a, char *c, int64_t bytes) {
    if (bytes < VBYTES) {
        if (bytes >= 32)
            FN(copy_ends)(a, c, bytes, 32);
        else if (bytes >= 16)
            FN(copy_ends)(a, c, bytes, 16);
        else if (bytes >= 8)
            FN(copy_ends)(a, c, bytes, 8);
        else
            FN(copy_elements)(c, a, bytes);
        return;
    }
    enum { LONG = 2 << 10 };
    if (bytes >= LONG) { /* the library knows how a machine writes lines without reading them */
        memcpy(c, a, (size_t)bytes);
        return;
    }
    const int64_t last = bytes - VBYTES; /* the last vector overlaps the one before */
    for (int64_t p = 0; p < last; p += VBYTES) *(VU *)(c + p) = *(const VU *)(a + p);
    *(VU *)(c + last) = *(const VU *)(a + last);
}

/* Brings runs to their target, and lines of the next tile, at `ahead`, nearer. */
static void FN(fill_runs)(const copy_tile *t, const char *a, char *to, const char *ahead) {
    int64_t fetched = 0;
    for (int64_t j = 0; j < t->along; j++) {
        fetched = fetch_rows(t, ahead, fetched, 1);
        for (int64_t o = 0; o < t->between; o++) {
            const char *from = a + t->between_a[o] + t->along_a[j];
            char *target = to + t->between_to[o] + j * t->unit;
            for (int64_t i = 0; i < t->across; i++)
                FN(copy_run)(from + i * t->unit, target + t->across_to[i], t->unit);
        }
    }
}

/* Moves segments to c past the caches, in whole lines but for their ends.  The line that a segment
 * leaves half full waits in front of its place in the buffer, if the next tile continues it. */
static void FN(stream_segments)(const copy_tile *t, char *from, char *c, int continued,
                                int continues) {
    for (int64_t s = 0; s < t->segments; s++, from += t->pitch) {
        char *to = c + t->segment_c[s];
        int64_t p = 0;
        if (continued)
            p = -(int64_t)((uintptr_t)to % TILE_LINE);
        else
            for (; p < t->bytes && (uintptr_t)(to + p) % TILE_LINE; p += sizeof(T))
                FN(store)(to + p, FN(load)(from + p));
        for (; p + TILE_LINE <= t->bytes; p += TILE_LINE)
            FN(stream_line)(to + p, from + p);
        if (continues)
            memcpy(from - TILE_LINE, from + t->bytes - TILE_LINE, TILE_LINE);
        else
            for (; p < t->bytes; p += sizeof(T)) FN(store)(to + p, FN(load)(from + p));
    }
}

/* Short runs of elements stay together. */
static void FN(move_short_runs)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    char buffer[TILE_LINE + TILE_BUFFER] __attribute__((aligned(TILE_LINE)));
    tile_walk w;
    copy_tile tile;
    const int n_dims = x->n_batch + x->n_m + x->n_n + x->n_k;
    tiles_from(&w, x->dims, n_dims, box->batch0, walk_along(x->dims, n_dims, sizeof(T)));
    int roomy;
    int64_t pitch = buffer_pitch(&w, sizeof(T), &roomy);
    /* the ends of streamed lines are whole elements only if c is aligned to them */
    const int stream = STREAMS && box->far > 1 && roomy && (uintptr_t)c % sizeof(T) == 0;
    if (!stream) pitch = 0;
    lay_out_tile(&tile, &w, x, sizeof(T), pitch, box->far);
    int continued = 0;
    for (int64_t t = box->batch0; t < box->batch1; t++) {
        if (!have_same_extents(tile.extent, w.extent, w.n_dims))
            lay_out_tile(&tile, &w, x, sizeof(T), pitch, box->far);
        const char *from = a + w.a;
        const int64_t at = w.c;
        char *target = pitch ? buffer + TILE_LINE : c + at;
        next_tile(&w);
        FN(fill_runs)(&tile, from, target, a + w.a);
        if (!stream) continue;
        const int more = t + 1 < box->batch1 && continues(&tile, at, &w, sizeof(T));
        FN(stream_segments)(&tile, target, c + at, continued, more);
        continued = more;
    }
    if (stream) STREAM_END();
}

/* Writes a run that continues what is in c but for the last `held` bytes, which wait in `line` for those
 * that fill theirs, and fetches one at `ahead`.  Returns how many wait then. */
ALWAYS_INLINE int64_t FN(write_run)(char *line, int64_t held, const char *from, char *to,
                                    int64_t bytes, const char *ahead) {
    const int64_t room = held ? TILE_LINE - held : 0;
    if (bytes < TILE_LINE) { /* what is left of a run that was cut */
        const int64_t first = MIN(room, bytes);
        for (int64_t p = 0; p < first; p++) line[held + p] = from[p];
        if (bytes < room) return held + bytes;
        if (held) FN(stream_line)(to - held, line);
        for (int64_t p = first; p < bytes; p++) line[p - first] = from[p];
        return bytes - first;
    }
    int64_t p = room;
    if (held) {
        FN(copy_line)(line + held, from);
        FN(stream_line)(to - held, line);
        __builtin_prefetch(ahead);
    }
    for (; p + TILE_LINE <= bytes; p += TILE_LINE) {
        FN(stream_line)(to + p, from + p);
        __builtin_prefetch(ahead + p);
    }
    __builtin_prefetch(ahead + bytes - 1);
    held = bytes - p;
    FN(copy_line)(line + held - TILE_LINE, from + bytes - TILE_LINE);
    return held;
}

/* The end of what has been put into c, and its last bytes, which wait in a line for those that fill it. */
typedef struct {
    char *line, *end;
    int64_t held;
} FN(stream_end);

/* Puts a run at `to`, and fetches one at `ahead`. */
ALWAYS_INLINE void FN(put_run)(FN(stream_end) *s, const char *run, char *to, int64_t bytes,
                               const char *ahead) {
    int64_t put = 0;
    if (to != s->end || s->held != (int64_t)((uintptr_t)to % TILE_LINE)) { /* it continues nothing */
        memcpy(s->end - s->held, s->line, (size_t)s->held);
        put = MIN((int64_t)(-(uintptr_t)to % TILE_LINE), bytes);
        memcpy(to, run, (size_t)put);
        s->held = 0;
    }
    s->held = FN(write_run)(s->line, s->held, run + put, to + put, bytes - put, ahead);
    s->end = to + bytes;
}

/* Puts the runs of a tile row by row, past the caches if need be, and fetches those some KB ahead, at last
 * in the tile at `after`. */
ALWAYS_INLINE void FN(put_tile)(const copy_tile *t, const int stream, FN(stream_end) *s, const char *a,
                                char *c, const char *after) {
    enum { AHEAD = 3 << 10 };
    const int64_t soon = MIN(AHEAD / t->unit + 1, t->along);
    for (int64_t o = 0; o < t->between; o++)
        for (int64_t i = 0; i < t->across; i++) {
            const int last = o + 1 == t->between && i + 1 == t->across;
            const char *from = a + t->between_a[o] + i * t->unit, *next = last ? after : from;
            char *to = c + t->between_to[o] + t->across_to[i];
            for (int64_t j = 0; j < t->along; j++, to += t->unit) {
                const int64_t later = j + soon, beyond = later - t->along;
                const char *ahead = beyond < 0 ? from + t->along_a[later] : next + t->along_a[beyond];
                if (stream)
                    FN(put_run)(s, from + t->along_a[j], to, t->unit, ahead);
                else
                    FN(copy_run)(from + t->along_a[j], to, t->unit);
            }
        }
}

/* Long runs go to c directly, in its order; in whole lines if past the caches. */
ALWAYS_INLINE void FN(put_runs)(const int stream, const tn_contraction *x, const char *a, char *c,
                                const tn_box *box) {
    char lines[3 * TILE_LINE] __attribute__((aligned(TILE_LINE)));
    FN(stream_end) s = {lines + TILE_LINE, c, 0};
    tile_walk w;
    copy_tile tile;
    const int n_dims = x->n_batch + x->n_m + x->n_n + x->n_k;
    tiles_from(&w, x->dims, n_dims, box->batch0, walk_along(x->dims, n_dims, sizeof(T)));
    lay_out_tile(&tile, &w, x, sizeof(T), 0, 0);
    for (int64_t t = box->batch0; t < box->batch1; t++) {
        if (!have_same_extents(tile.extent, w.extent, w.n_dims))
            lay_out_tile(&tile, &w, x, sizeof(T), 0, 0);
        const char *from = a + w.a;
        char *to = c + w.c;
        next_tile(&w);
        FN(put_tile)(&tile, stream, &s, from, to, a + w.a);
    }
    if (!stream) return;
    memcpy(s.end - s.held, s.line, (size_t)s.held);
    STREAM_END();
}

static __attribute__((noinline)) void FN(move_long_runs)(const tn_contraction *x, const char *a, char *c,
                                                         const tn_box *box) {
    if (STREAMS && box->far > 1)
        FN(put_runs)(1, x, a, c, box);
    else
        FN(put_runs)(0, x, a, c, box);
}

/* Runs of elements stay together. */
static void FN(move_runs)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    enum { LONG = TILE_LINE, LONG_STREAMED = 256 }; /* bytes */
    const int64_t bytes = x->dims[x->n_batch + x->n_m + x->n_n].n * (int64_t)sizeof(T);
    const int far = STREAMS && box->far > 1;
    if (bytes >= (far ? LONG_STREAMED : LONG))
        FN(move_long_runs)(x, a, c, box);
    else
        FN(move_short_runs)(x, a, c, box);
}

static void FN(transpose)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    if (x->n_k)
        FN(move_runs)(x, a, c, box);
    else
        FN(move_elements)(x, a, c, box);
}

#undef ROW_LANES_2
#undef ROW_LANES_4
#undef ROW_LANES_8
#undef ROW_LANES_16
#undef LINES
#undef E
