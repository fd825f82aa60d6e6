/* The inner loop of sliding windows for one element type: a few vectors of results at a time, each of
 * which goes through the same taps.  What a vector lies along, channels or a row, only the callers know. */

typedef R V __attribute__((vector_size(VBYTES)));
typedef R VU __attribute__((vector_size(VBYTES), aligned(1), may_alias));
typedef I VI __attribute__((vector_size(VBYTES)));
typedef uint8_t VB __attribute__((vector_size(VBYTES / sizeof(R))));
typedef int32_t VW __attribute__((vector_size(VBYTES / sizeof(R) * 4)));

ALWAYS_INLINE V FN(load)(const char *p) { return (V) * (const VU *)p; }
ALWAYS_INLINE void FN(store)(char *p, V x) { *(VU *)p = (VU)x; }
ALWAYS_INLINE V FN(splat)(R x) { return x - (V){0}; }
ALWAYS_INLINE VI FN(blend)(VI mask, VI yes, VI no) { return (mask & yes) | (~mask & no); }
ALWAYS_INLINE V FN(select)(VI mask, V yes, V no) {
    return (V)FN(blend)(mask, (VI)yes, (VI)no);
}

/* NaN wins over everything. */
ALWAYS_INLINE V FN(larger)(V largest, V x) {
    return FN(select)((VI)(x > largest) | (VI)(x != x), x, largest);
}

/* Places of `size` bytes as lanes: 1, 4, or that of a lane. */
ALWAYS_INLINE VI FN(load_places)(const char *p, int size) {
    if (size == 1) {
#ifdef WIDEN_BYTES
        return (VI)WIDEN_BYTES(p, sizeof(I));
#else
        VB x;
        memcpy(&x, p, sizeof x);
        return __builtin_convertvector(x, VI);
#endif
    }
    if (size == (int)sizeof(I)) return (VI) * (const VU *)p;
    VW x;
    memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, VI);
}

ALWAYS_INLINE void FN(store_places)(char *p, VI places, int size) {
    if (size == 1) {
#ifdef WIDEN_BYTES
        NARROW_TO_BYTES(p, places, sizeof(I));
#else
        const VB x = __builtin_convertvector(places, VB);
        memcpy(p, &x, sizeof x);
#endif
    } else {
        const VW x = __builtin_convertvector(places, VW);
        memcpy(p, &x, sizeof x);
    }
}

/* Where the vectors of a tile are read: rows from_step apart, of neighbours the last of which begins
 * `last` bytes behind the first.  other: their index (TILE_RETURN, size bytes each) or their factors
 * (TILE_SPREAD). */
typedef struct {
    const char *from, *other, *weights;
    int64_t from_step, other_step, last;
} FN(tile_source);

/* Takes rows times across vectors through all taps.  sum and place are as the first tap finds them. */
ALWAYS_INLINE void FN(slide_tile)(const int kind, const int rows, const int across, const int weighing,
                                  const int size, const tn_tap *taps, int64_t n_taps,
                                  const FN(tile_source) * at, V *sum, VI *place) {
    for (int64_t t = 0; t < n_taps; t++) {
        const tn_tap *tap = &taps[t];
        const VI number = (I)tap->number - (VI){0};
        const char *from = at->from + tap->source;
        const char *other = kind == TILE_RETURN || kind == TILE_SPREAD ? at->other + tap->other : NULL;
        V weight = {0};
        if (kind == TILE_WEIGH && weighing == WEIGHT_VECTOR) weight = FN(load)(at->weights + tap->other);
        if (kind == TILE_WEIGH && weighing == WEIGHT_NUMBER)
            weight = FN(splat)(*(const R *)(at->weights + tap->other));
#pragma GCC unroll 8
        for (int i = 0; i < rows * across; i++) {
            const int r = i / across, c = i % across;
            const int64_t along = c && c == across - 1 ? at->last : c * VBYTES;
            const V x = FN(load)(from + r * at->from_step + along);
            if (kind == TILE_MAX) {
                sum[i] = FN(larger)(sum[i], x);
            } else if (kind == TILE_ARGMAX) {
                const VI better = (VI)(x > sum[i]) | (VI)(x != x);
                sum[i] = FN(select)(better, x, sum[i]);
                place[i] = FN(blend)(better, number, place[i]);
            } else if (kind == TILE_PICK) {
                sum[i] = FN(select)((VI)(place[i] == number), x, sum[i]);
            } else if (kind == TILE_RETURN) {
                const VI back = FN(load_places)(other + r * at->other_step + along, size);
                sum[i] += (V)((VI)(back == number) & (VI)x);
            } else if (kind == TILE_SUM) {
                sum[i] += x;
            } else if (kind == TILE_SPREAD) {
                const double factor = *(const double *)(other + r * at->other_step);
                sum[i] += x * FN(splat)((R)(tap->factor * factor));
            } else if (weighing == WEIGHT_EACH) {
                sum[i] += x * FN(load)(at->weights + tap->other + i * VBYTES);
            } else {
                sum[i] += x * weight;
            }
        }
    }
}

/* Before the first tap. */
ALWAYS_INLINE V FN(slide_start)(const int kind) {
    const int largest = kind == TILE_MAX || kind == TILE_ARGMAX;
    return FN(splat)(largest ? (R)-INFINITY : (R)0);
}
