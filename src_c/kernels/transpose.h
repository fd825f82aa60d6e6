/* Copies between orders of axes, tile by tile: lines of both operands are read and written whole. */

#define E (VL / PARTS)

/* Rows of squares: SIDE elements of PARTS lanes. */
#if COMPLEX
#define LANES_OF_2(f, bit) LANES_4(f, bit, 4)
#define LANES_OF_4(f, bit) LANES_8(f, bit, 8)
#define LANES_OF_8(f, bit) LANES_16(f, bit, 16)
#else
#define LANES_OF_2(f, bit) LANES_2(f, bit, 2)
#define LANES_OF_4(f, bit) LANES_4(f, bit, 4)
#define LANES_OF_8(f, bit) LANES_8(f, bit, 8)
#define LANES_OF_16(f, bit) LANES_16(f, bit, 16)
#endif

#if FLOATING
#define SIDE 2
#define LANES_OF LANES_OF_2
#include "fill.h"
#define SIDE 4
#define LANES_OF LANES_OF_4
#include "fill.h"
#define SIDE 8
#define LANES_OF LANES_OF_8
#include "fill.h"
#if !COMPLEX
#define SIDE 16
#define LANES_OF LANES_OF_16
#include "fill.h"
#endif
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

static void FN(fill_runs)(const copy_tile *t, const char *a, char *to) {
    for (int64_t j = 0; j < t->along; j++)
        for (int64_t o = 0; o < t->between; o++) {
            const char *from = a + t->between_a[o] + t->along_a[j];
            char *target = to + t->between_to[o] + j * t->unit;
            for (int64_t i = 0; i < t->across; i++)
                FN(copy_run)(from + i * t->unit, target + t->across_to[i], t->unit);
        }
}

static void FN(fill)(const copy_tile *t, const char *a, char *to) {
    const int64_t side = MIN(MIN(t->along, t->across), (int64_t)E);
    (void)side;
    if (t->run > 1) {
        FN(fill_runs)(t, a, to);
        return;
    }
#if FLOATING
#if !COMPLEX
    if (E >= 16 && side >= 16) {
        FN(fill_16)(t, a, to);
        return;
    }
#endif
    if (E >= 8 && side >= 8) {
        FN(fill_8)(t, a, to);
        return;
    }
    if (E >= 4 && side >= 4) {
        FN(fill_4)(t, a, to);
        return;
    }
    if (E >= 2 && side >= 2) {
        FN(fill_2)(t, a, to);
        return;
    }
#endif
    FN(fill_elements)(t, a, to);
}

/* Moves bytes to c past the caches, in whole lines but for the ends. */
ALWAYS_INLINE void FN(stream_bytes)(const char *from, char *c, int64_t bytes) {
    enum { LINE = 64 };
    int64_t p = 0;
    for (; p < bytes && (uintptr_t)(c + p) % LINE; p += sizeof(T))
        FN(store)(c + p, FN(load)(from + p));
    for (; p + LINE <= bytes; p += LINE)
#pragma GCC unroll 4
        for (int v = 0; v < LINE; v += VBYTES)
            STREAM(c + p + v, *(const VU *)(from + p + v));
    for (; p < bytes; p += sizeof(T)) FN(store)(c + p, FN(load)(from + p));
}

ALWAYS_INLINE void FN(add_bytes)(const char *from, char *c, int64_t bytes) {
    int64_t p = 0;
    for (; p + VBYTES <= bytes; p += VBYTES) FN(put)(c + p, *(const VU *)(from + p), 1);
    for (; p < bytes; p += sizeof(T))
        FN(store)(c + p, FN(plus)(FN(load)(c + p), FN(load)(from + p)));
}

static void FN(flush)(const copy_tile *t, const char *from, char *c, int accumulate) {
    for (int64_t s = 0; s < t->segments; s++, from += t->pitch)
        if (accumulate)
            FN(add_bytes)(from, c + t->segment_c[s], t->bytes);
        else
            FN(stream_bytes)(from, c + t->segment_c[s], t->bytes);
}

static void FN(transpose)(const tn_contraction *x, const char *a, char *c, const tn_box *box) {
    const int n_dims = x->n_batch + x->n_m + x->n_n + x->n_k;
    /* streams take elements apart if these are not aligned themselves */
    const int stream = STREAMS && box->stream && (uintptr_t)c % sizeof(T) == 0;
    const int buffered = stream || x->accumulate;
    char buffer[TILE_BYTES] __attribute__((aligned(64)));
    tile_walk w;
    copy_tile tile;
    tiles_from(&w, x->dims, n_dims, box->batch0);
    lay_out_tile(&tile, &w, x, sizeof(T), buffered);
    for (int64_t t = box->batch0; t < box->batch1; t++, next_tile(&w)) {
        if (!tile_has_extents(&tile, &w)) lay_out_tile(&tile, &w, x, sizeof(T), buffered);
        const char *from = a + w.a;
        if (!buffered) {
            FN(fill)(&tile, from, c + w.c);
            continue;
        }
        if (tile.segments > 1 || tile.bytes > tile.unit) {
            FN(fill)(&tile, from, buffer);
            from = buffer;
        }
        FN(flush)(&tile, from, c + w.c, x->accumulate);
    }
    if (stream) STREAM_END();
}

#undef LANES_OF_2
#undef LANES_OF_4
#undef LANES_OF_8
#undef LANES_OF_16
#undef E
