/* Copies between orders of axes, tile by tile: lines of both operands are read and written whole. */

#define E (VL / PARTS)

/* Rows of squares: SIDE elements of PARTS lanes. */
#if COMPLEX
#define ROW_LANES_2(f, bit) LANES_4(f, bit, 4)
#define ROW_LANES_4(f, bit) LANES_8(f, bit, 8)
#define ROW_LANES_8(f, bit) LANES_16(f, bit, 16)
#else
#define ROW_LANES_2(f, bit) LANES_2(f, bit, 2)
#define ROW_LANES_4(f, bit) LANES_4(f, bit, 4)
#define ROW_LANES_8(f, bit) LANES_8(f, bit, 8)
#endif

#if FLOATING
#define SIDE 2
#define WIDE 1
#define ROW_LANES ROW_LANES_2
#include "fill.h"
#define SIDE 4
#define WIDE 1
#define ROW_LANES ROW_LANES_4
#include "fill.h"
#if !COMPLEX
#define SIDE 8
#define WIDE 1
#define ROW_LANES ROW_LANES_8
#include "fill.h"
#endif
#endif

#if ASSEMBLED /* four bytes are so few that vectors are put together from several small squares */
typedef double FN(doubles) __attribute__((vector_size(32)));
typedef double FN(two_doubles) __attribute__((vector_size(16), aligned(1), may_alias));

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

static void FN(fill_elements)(const copy_tile *t, const char *a, char *to) {
    const int64_t size = sizeof(T);
    for (int64_t o = 0; o < t->between; o++)
        for (int64_t i = 0; i < t->across; i++) {
            const char *from = a + t->between_a[o] + i * size;
            char *target = to + t->between_to[o] + t->across_to[i];
            for (int64_t j = 0; j < t->along; j++)
                FN(store)(target + j * size, FN(load)(from + t->along_a[j]));
        }
}

ALWAYS_INLINE void FN(copy_run)(const char *a, char *c, int64_t bytes) {
    if (bytes < VBYTES) {
        for (int64_t p = 0; p < bytes; p += sizeof(T)) FN(store)(c + p, FN(load)(a + p));
        return;
    }
    const int64_t last = bytes - VBYTES; /* the last vector overlaps the one before */
    for (int64_t p = 0; p < last; p += VBYTES) *(VU *)(c + p) = *(const VU *)(a + p);
    *(VU *)(c + last) = *(const VU *)(a + last);
}

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

/* Brings a tile of a to its target, and lines of the next one, at `ahead`, nearer. */
static void FN(fill)(const copy_tile *t, const char *a, char *to, const char *ahead) {
    const int64_t side = MIN(MIN(t->along, t->across), (int64_t)E);
    (void)side;
    if (t->run > 1)
        FN(fill_runs)(t, a, to, ahead);
#if FLOATING
#if !COMPLEX
    else if (E >= 8 && side >= 8)
        FN(fill_1_8)(t, a, to, ahead);
#endif
#if ASSEMBLED
    else if (side >= 4 && t->along >= 8)
        FN(fill_2_4)(t, a, to, ahead);
    else if (side >= 2 && t->along >= 8)
        FN(fill_4_2)(t, a, to, ahead);
#endif
    else if (E >= 4 && side >= 4)
        FN(fill_1_4)(t, a, to, ahead);
    else if (E >= 2 && side >= 2)
        FN(fill_1_2)(t, a, to, ahead);
#endif
    else
        FN(fill_elements)(t, a, to);
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
#pragma GCC unroll 4
            for (int v = 0; v < TILE_LINE; v += VBYTES)
                STREAM(to + p + v, *(const VU *)(from + p + v));
        if (continues)
            memcpy(from - TILE_LINE, from + t->bytes - TILE_LINE, TILE_LINE);
        else
            for (; p < t->bytes; p += sizeof(T)) FN(store)(to + p, FN(load)(from + p));
    }
}

static void FN(add_segments)(const copy_tile *t, const char *from, char *c) {
    for (int64_t s = 0; s < t->segments; s++, from += t->pitch) {
        char *to = c + t->segment_c[s];
        int64_t p = 0;
        for (; p + VBYTES <= t->bytes; p += VBYTES) FN(put)(to + p, *(const VU *)(from + p), 1);
        for (; p < t->bytes; p += sizeof(T))
            FN(store)(to + p, FN(plus)(FN(load)(to + p), FN(load)(from + p)));
    }
}

static void FN(transpose)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    char buffer[TILE_LINE + TILE_BUFFER] __attribute__((aligned(TILE_LINE)));
    tile_walk w;
    copy_tile tile;
    tiles_from(&w, x->dims, x->n_batch + x->n_m + x->n_n + x->n_k, box->batch0);
    int roomy;
    int64_t pitch = buffer_pitch(&w, sizeof(T), &roomy);
    /* the ends of streamed lines are whole elements only if c is aligned to them */
    const int stream = STREAMS && box->far > 1 && !x->accumulate && roomy &&
                       (uintptr_t)c % sizeof(T) == 0;
    if (!stream && !x->accumulate) pitch = 0;
    lay_out_tile(&tile, &w, x, sizeof(T), pitch, box->far > 0);
    int continued = 0;
    for (int64_t t = box->batch0; t < box->batch1; t++) {
        if (!have_same_extents(tile.extent, w.extent, w.n_dims))
            lay_out_tile(&tile, &w, x, sizeof(T), pitch, box->far > 0);
        const char *from = a + w.a;
        const int64_t at = w.c;
        char *target = pitch ? buffer + TILE_LINE : c + at;
        next_tile(&w);
        FN(fill)(&tile, from, target, a + w.a);
        if (x->accumulate) FN(add_segments)(&tile, target, c + at);
        if (!stream) continue;
        const int more = t + 1 < box->batch1 && continues(&tile, at, &w, sizeof(T));
        FN(stream_segments)(&tile, target, c + at, continued, more);
        continued = more;
    }
    if (stream) STREAM_END();
}

#undef ROW_LANES_2
#undef ROW_LANES_4
#undef ROW_LANES_8
#undef E
