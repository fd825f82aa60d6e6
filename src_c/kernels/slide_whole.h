/* Channels first, where vectors lie along no row: windows that see all of a channel, whose numbers are one
 * run, and the way back for maxima, which are few.  Units are channels of entries of the batch. */

static FN(plane_results) FN(whole_unit)(const tn_sliding *s, int64_t unit, const char **from) {
    const tn_slide *x = s->x;
    const int64_t batch = unit / x->channels, channel = unit % x->channels;
    *from = s->from + batch * x->from.batch + channel * x->from.channel;
    return (FN(plane_results)){s->to + batch * x->to.batch + channel * x->to.channel,
                               s->index + batch * x->index.batch + channel * x->index.channel};
}

static int64_t FN(whole_extent)(const tn_sliding *s) {
    const int64_t *in = s->x->windows.in;
    return in[0] * in[1] * in[2];
}

static void FN(whole_sum)(const tn_sliding *s, int64_t first, int64_t last, char *work) {
    const int64_t n = FN(whole_extent)(s), lot = 4 * VL;
    (void)work;
    for (int64_t unit = first; unit < last; unit++) {
        const char *from;
        const FN(plane_results) out = FN(whole_unit)(s, unit, &from);
        V sums[4] = {{0}};
        int64_t i = 0;
        for (; i + lot <= n; i += lot)
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++) sums[k] += FN(load)(from + (i + k * VL) * (int64_t)sizeof(R));
        for (; i + VL <= n; i += VL) sums[0] += FN(load)(from + i * (int64_t)sizeof(R));
        R sum = FN(across)(sums[0] + sums[1] + (sums[2] + sums[3]));
        for (; i < n; i++) sum += ((const R *)from)[i];
        *(R *)out.to = sum / (R)n;
    }
}

static void FN(whole_spread)(const tn_sliding *s, int64_t first, int64_t last, char *work) {
    const int64_t n = FN(whole_extent)(s);
    (void)work;
    for (int64_t unit = first; unit < last; unit++) {
        const char *from;
        R *to = (R *)FN(whole_unit)(s, unit, &from).to;
        const R share = *(const R *)from / (R)n;
        for (int64_t i = 0; i < n; i++) to[i] = share;
    }
}

/* The largest, of equals the first, of several NaN the last. */
ALWAYS_INLINE void FN(whole_largest)(const int kind, const tn_sliding *s, int64_t first, int64_t last) {
    const int64_t n = FN(whole_extent)(s);
    VI lanes;
    for (int l = 0; l < VL; l++) lanes[l] = l;
    for (int64_t unit = first; unit < last; unit++) {
        const char *from;
        const FN(plane_results) out = FN(whole_unit)(s, unit, &from);
        V largest = FN(slide_start)(TILE_ARGMAX);
        VI place = lanes;
        int64_t i = 0;
        for (; i + VL <= n; i += VL) {
            const V x = FN(load)(from + i * (int64_t)sizeof(R));
            const VI better = (VI)(x > largest) | (VI)(x != x);
            largest = FN(select)(better, x, largest);
            if (kind == TILE_ARGMAX) place = FN(blend)(better, lanes + (I)i, place);
        }
        R best = largest[0];
        int64_t at = place[0];
        for (int l = 1; l < VL && i; l++) {
            const int later = place[l] > at, none = best != best;
            if (largest[l] != largest[l] ? none && !later : none || largest[l] < best ||
                                                                (largest[l] == best && later))
                continue;
            best = largest[l], at = place[l];
        }
        for (; i < n; i++) {
            const R x = ((const R *)from)[i];
            if (x > best || x != x) best = x, at = i;
        }
        *(R *)out.to = best;
        if (kind == TILE_ARGMAX && s->x->narrow) *(uint8_t *)out.index = (uint8_t)at;
        else if (kind == TILE_ARGMAX) *(int32_t *)out.index = (int32_t)at;
    }
}

static void FN(whole_max)(const tn_sliding *s, int64_t first, int64_t last, char *work) {
    (void)work;
    FN(whole_largest)(TILE_MAX, s, first, last);
}

static void FN(whole_argmax)(const tn_sliding *s, int64_t first, int64_t last, char *work) {
    (void)work;
    FN(whole_largest)(TILE_ARGMAX, s, first, last);
}

/* The windows of a row: where the first of them sees its first position, and bytes from one to the next. */
typedef struct {
    char *to;
    const char *from, *index;
    int64_t step, from_step, index_step, volume;
    const return_tap *taps; /* the positions in a window */
} FN(return_row);

/* Windows number o1 - 1 down to o0: adds what each has to the position that it picked. */
ALWAYS_INLINE void FN(return_inside)(const FN(return_row) * row, int64_t o0, int64_t o1, const int narrow) {
    const int64_t step = row->step, from_step = row->from_step, index_step = row->index_step;
    const uint64_t volume = (uint64_t)row->volume;
    const return_tap *taps = row->taps;
    char *to = row->to + (o1 - 1) * step;
    const char *from = row->from + (o1 - 1) * from_step, *index = row->index + (o1 - 1) * index_step;
    for (int64_t n = o1 - o0; n > 0; n--, to -= step, from -= from_step, index -= index_step) {
        const uint64_t t = narrow ? *(const uint8_t *)index : (uint64_t)(int64_t) * (const int32_t *)index;
        if (t < volume) *(R *)(to + taps[t].offset) += *(const R *)from;
    }
}

/* The same where a window may have picked padding; the row sees position `at` of the leading axes. */
static void FN(return_edge)(const FN(return_row) * row, const tn_windows *w, const int64_t *at, int64_t o0,
                            int64_t o1, int narrow) {
    for (int64_t o = o1 - 1; o >= o0; o--) {
        const char *index = row->index + o * row->index_step;
        const int64_t t = narrow ? *(const uint8_t *)index : *(const int32_t *)index;
        const int64_t first[3] = {at[0], at[1], o * w->stride[2] - w->before[2]};
        if (t < 0 || t >= row->volume) continue;
        const return_tap *tap = &row->taps[t];
        int inside = 1;
        for (int d = 0; d < 3; d++) inside &= (uint64_t)(first[d] + tap->at[d]) < (uint64_t)w->in[d];
        if (inside)
            *(R *)(row->to + o * row->step + tap->offset) += *(const R *)(row->from + o * row->from_step);
    }
}

/* A channel: windows come in the order of the taps that pixels have (slide_tile.h), the last one first, so
 * that sums have the same bits.  Windows first .. last - 1 of an axis see no padding there. */
ALWAYS_INLINE void FN(return_plane)(const tn_sliding *s, FN(return_row) row, const int64_t *first,
                                    const int64_t *last, FN(plane_results) out, const char *from,
                                    const int narrow) {
    const tn_slide *x = s->x;
    const tn_windows *w = &x->windows;
    for (int64_t d = w->out[0] - 1; d >= 0; d--)
        for (int64_t h = w->out[1] - 1; h >= 0; h--) {
            const int64_t at[2] = {d * w->stride[0] - w->before[0], h * w->stride[1] - w->before[1]};
            const int inside = d >= first[0] && d < last[0] && h >= first[1] && h < last[1];
            const int64_t begin = inside ? first[2] : 0, end = inside ? last[2] : 0;
            row.to = out.to + at[0] * x->to.at[0] + at[1] * x->to.at[1] - w->before[2] * x->to.at[2];
            row.from = from + d * x->from.at[0] + h * x->from.at[1];
            row.index = out.index + d * x->index.at[0] + h * x->index.at[1];
            if (end < w->out[2]) FN(return_edge)(&row, w, at, end, w->out[2], narrow);
            FN(return_inside)(&row, begin, end, narrow);
            if (begin) FN(return_edge)(&row, w, at, 0, begin, narrow);
        }
}

static void FN(clear_plane)(const tn_sliding *s, char *to) {
    const int64_t *in = s->x->windows.in, *at = s->x->to.at, size = sizeof(R);
    const int rows = at[2] == size && (in[1] == 1 || at[1] == in[2] * size);
    if (rows && (in[0] == 1 || at[0] == in[1] * in[2] * size)) {
        memset(to, 0, (size_t)(in[0] * in[1] * in[2] * size));
        return;
    }
    for (int64_t d = 0; d < in[0]; d++)
        for (int64_t h = 0; h < in[1]; h++)
            for (int64_t c = 0; c < in[2]; c++) *(R *)(to + d * at[0] + h * at[1] + c * at[2]) = 0;
}

static void FN(planes_return)(const tn_sliding *s, int64_t first, int64_t last, char *work) {
    const tn_slide *x = s->x;
    const tn_windows *w = &x->windows;
    const int64_t plane = w->kernel[1] * w->kernel[2];
    return_tap *taps = (return_tap *)work;
    int64_t begin[3], end[3];
    for (int64_t t = 0; t < w->kernel[0] * plane; t++) {
        const int64_t at[3] = {t / plane, t % plane / w->kernel[2], t % w->kernel[2]};
        taps[t].offset = 0;
        for (int d = 0; d < 3; d++) {
            taps[t].at[d] = at[d] * w->dilation[d];
            taps[t].offset += taps[t].at[d] * x->to.at[d];
        }
    }
    for (int d = 0; d < 3; d++) {
        begin[d] = 0, end[d] = w->out[d];
        while (begin[d] < end[d] && tn_seen(w, d, begin[d]) < w->kernel[d]) begin[d]++;
        while (end[d] > begin[d] && tn_seen(w, d, end[d] - 1) < w->kernel[d]) end[d]--;
    }
    const FN(return_row) row = {.step = w->stride[2] * x->to.at[2],
                                .from_step = x->from.at[2],
                                .index_step = x->index.at[2],
                                .volume = w->kernel[0] * plane,
                                .taps = taps};
    for (int64_t unit = first; unit < last; unit++) {
        const char *from;
        const FN(plane_results) out = FN(whole_unit)(s, unit, &from);
        FN(clear_plane)(s, out.to);
        if (x->narrow) FN(return_plane)(s, row, begin, end, out, from, 1);
        else FN(return_plane)(s, row, begin, end, out, from, 0);
    }
}
