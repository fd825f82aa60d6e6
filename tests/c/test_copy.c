/* Copies between orders of axes, tile by tile: streamed past the caches, added, or stored. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { CASES = 120, MOST_POINTS = 40000 };

static int64_t parts_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

/* Extents of up to 9 axes; some copies have whole tiles, some have many axes of extent 2. */
static int random_extents(rng *r, int64_t *extent) {
    static const int64_t some[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 22, 31, 48, 65, 174, 600, 2290};
    const int twos = rng_below(r, 3) == 0, most = twos ? 15 : 1 + rng_below(r, 5);
    int64_t points = 1;
    int n = 0;
    while (n < most) {
        const int64_t e = twos ? 2 : some[rng_below(r, 16)];
        if (points * e > MOST_POINTS) break;
        points *= extent[n++] = e;
    }
    return n;
}

/* Runs all tiles in ranges of random length, the last ones first. */
static void run_tiles(const tn_contraction *x, rng *r, const char *a, char *c, int far) {
    int64_t tiles = 1;
    for (int d = 0; d < x->n_batch + x->n_m + x->n_n + x->n_k; d++)
        tiles *= parts_of(x->dims[d].n, x->dims[d].sb);
    while (tiles > 0) {
        const int64_t length = 1 + rng_below(r, rng_below(r, 2) ? 3 : (int)tiles);
        const int64_t first = length < tiles ? tiles - length : 0;
        const tn_box box = {.batch0 = first, .batch1 = tiles, .far = far};
        tn_get_kernels(x->dtype)->unary(x, a, c, &box);
        tiles = first;
    }
}

/* Copies `from` with its axes in this order. */
static void one_copy(int dtype, int number, rng r, layout from, const int *order) {
    const int64_t size = tn_itemsize(dtype);
    layout to = {.n = from.n};
    tn_dim given[MAX_AXES], chosen[TN_MAX_DIMS];
    for (int d = 0; d < to.n; d++) to.extent[d] = from.extent[order[d]];
    if (rng_below(&r, 3))
        layout_contiguous(&from, size), layout_contiguous(&to, size);
    else
        layout_random(&from, &r, size, 1), layout_random(&to, &r, size, 0);
    for (int d = 0; d < to.n; d++)
        given[d] = (tn_dim){to.extent[d], from.stride[order[d]], 0, to.stride[d]};
    const int far = rng_below(&r, 3), accumulate = rng_below(&r, 4) == 0;
    tn_contraction x = {.dims = given, .n_m = (uint8_t)to.n, .dtype = (uint8_t)dtype,
                        .accumulate = (uint8_t)accumulate, .unary = 1};
    tn_choose_road(&x, chosen);
    x.dims = chosen;
    if (x.road != TN_ROAD_TRANSPOSE) return;
    char *a = array_random(&from, dtype, &r, value_random);
    char *c = array_random(&to, dtype, &r, value_random), *expected = allocate(to.bytes);
    memcpy(expected, c, (size_t)to.bytes);
    int64_t at[MAX_AXES] = {0}, i = to.base, j = from.base;
    for (int d = 0; d >= 0;) {
        value v = value_get(dtype, a + j);
        if (accumulate) v = value_add(dtype, value_get(dtype, expected + i), v);
        value_put(dtype, expected + i, v);
        for (d = to.n - 1; d >= 0; d--) {
            i += given[d].sc, j += given[d].sa;
            if (++at[d] < given[d].n) break;
            i -= given[d].n * given[d].sc, j -= given[d].n * given[d].sa, at[d] = 0;
        }
    }
    run_tiles(&x, &r, a + from.base, c + to.base, far);
    CHECK(!memcmp(c, expected, (size_t)to.bytes), "%s case %d%s%s", dtype_name(dtype), number,
          far > 1 ? " streamed" : "", accumulate ? " accumulating" : "");
    free(a);
    free(c);
    free(expected);
}

static void copies_in_any_ranges_of_tiles_move_every_element_and_touch_no_gap(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < CASES; number++) {
            rng r = {(uint64_t)(1000 * dtype + number)};
            layout from = {0};
            int order[MAX_AXES];
            from.n = random_extents(&r, from.extent);
            for (int d = 0; d < from.n; d++) {
                const int j = rng_below(&r, d + 1);
                order[d] = order[j];
                order[j] = d;
            }
            one_copy(dtype, number, r, from, order);
        }
}

/* Many small matrices, and the small axes of large arrays. */
static void transposes_of_small_blocks_move_every_element_and_touch_no_gap(void) {
    static const int orders[][4] = {{0, 1, 3, 2}, {0, 3, 1, 2}, {0, 2, 3, 1}, {0, 3, 2, 1}};
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < 2 * CASES; number++) {
            rng r = {(uint64_t)(50000 + 1000 * dtype + number)};
            layout from = {.n = 4, .extent = {1 + rng_below(&r, 300), 1 + rng_below(&r, 3),
                                              2 + rng_below(&r, 7), 2 + rng_below(&r, 7)}};
            one_copy(dtype, number, r, from, orders[number % 4]);
        }
}

const test copy_tests[] = {
    TEST(copies_in_any_ranges_of_tiles_move_every_element_and_touch_no_gap),
    TEST(transposes_of_small_blocks_move_every_element_and_touch_no_gap),
    {0},
};
