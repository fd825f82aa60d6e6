/* Channels first, the way back where windows are large and few, so that most taps of a position would meet
 * padding: each row of the result has what its windows spread over it.  Units are rows. */

/* Adds what the windows of a row of the source, which see this one through `tap`, have for it: the last
 * window first, as taps come. */
ALWAYS_INLINE void FN(spread_over)(const int kind, const tn_sliding *s, const tn_tap *tap, const char *from,
                                   char *to) {
    const tn_slide *x = s->x;
    const tn_windows *w = &x->windows;
    const int64_t size = sizeof(R), step = w->dilation[2] * x->to.at[2], pitch = x->weight_tap;
    const int together = step == size && (kind != TILE_WEIGH || pitch == size);
    for (int64_t o = w->out[2] - 1; o >= 0; o--) {
        int64_t t0, t1;
        tn_view(w, 2, o, &t0, &t1);
        R share = *(const R *)(from + tap->source + o * x->from.at[2]);
        if (kind == TILE_SUM) share /= (R)(w->kernel[0] * w->kernel[1] * w->kernel[2]);
        if (kind == TILE_SPREAD) share *= (R)(tap->factor * s->factors[o]);
        char *const at = to + (o * w->stride[2] - w->before[2]) * x->to.at[2] + t0 * step;
        const char *const weight = s->weights + tap->other + t0 * pitch;
        const int64_t n = t1 - t0;
        R *restrict row = (R *)at;
        const R *restrict factor = (const R *)weight;
        if (together)
            for (int64_t i = 0; i < n; i++) row[i] += kind == TILE_WEIGH ? share * factor[i] : share;
        else
            for (int64_t i = 0; i < n; i++)
                *(R *)(at + i * step) += kind == TILE_WEIGH ? share * *(const R *)(weight + i * pitch) : share;
    }
}

ALWAYS_INLINE void FN(spread_rows)(const int kind, const tn_sliding *s, int64_t first, int64_t last,
                                   char *work) {
    const tn_slide *x = s->x;
    const tn_run first_tap = {.m1 = 1}; /* of each row of the source */
    const int64_t tap0 = s->axis[2].phase->tap0;
    tn_tap *taps = (tn_tap *)work;
    for (int64_t unit = first; unit < last; unit++) {
        const slide_row row = locate_row(s, unit);
        const int64_t n_taps = list_taps(kind, s, &row, &first_tap, taps);
        const char *from;
        char *to = FN(whole_unit)(s, row.batch, &from).to + row.at[0] * x->to.at[0] + row.at[1] * x->to.at[1];
        for (int64_t i = 0; i < x->windows.in[2]; i++) *(R *)(to + i * x->to.at[2]) = 0;
        for (int64_t t = 0; t < n_taps; t++) {
            taps[t].other += row.batch % x->channels * x->weight_channel - tap0 * x->weight_tap;
            FN(spread_over)(kind, s, &taps[t], from, to);
        }
    }
}

#define ROWS(name, kind)                                                                             \
    static void FN(rows_##name)(const tn_sliding *s, int64_t first, int64_t last, char *work) {      \
        FN(spread_rows)(kind, s, first, last, work);                                                 \
    }
ROWS(sum, TILE_SUM)
ROWS(spread, TILE_SPREAD)
ROWS(weigh, TILE_WEIGH)
#undef ROWS
