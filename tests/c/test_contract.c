/* Contractions of every shape, layout and element type against the definition. */
#include "support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH, M, N, K, GROUPS, ROADS = TN_ROAD_INNER + 1, CASES = 220 };

/* A contraction as given: group axes with an extent and a place on each operand's layout. */
typedef struct {
    tn_contraction x;
    tn_dim given[MAX_AXES], chosen[MAX_AXES];
    int count[GROUPS];
    layout a, b, c;
    char *a_block, *b_block, *c_block; /* c as it is before the run */
    int swapped;
    int dtype; /* copies may run as another type of the same bytes */
} problem;

/* How often each road ran: [unary][dtype][road]. */
static int seen[2][TN_DTYPES][ROADS];

static const int on_a[GROUPS] = {1, 1, 0, 1}, on_b[GROUPS] = {1, 0, 1, 1},
                 on_c[GROUPS] = {1, 1, 1, 0};

static void add_axis(problem *p, int g, int64_t extent) {
    p->given[p->count[BATCH] + p->count[M] + p->count[N] + p->count[K]].n = extent;
    p->count[g]++;
    if (on_a[g]) p->a.extent[p->a.n++] = extent;
    if (on_b[g] && !p->x.unary) p->b.extent[p->b.n++] = extent;
    if (on_c[g]) p->c.extent[p->c.n++] = extent;
}

/* Adds a group of the given size, cut into a few axes where it has divisors. */
static void add_group(problem *p, rng *r, int g, int64_t size) {
    if (rng_below(r, 6) == 0) add_axis(p, g, 1);
    for (int cuts = rng_below(r, 3); cuts > 0 && size > 1; cuts--) {
        const int64_t divisor = 2 + rng_below(r, 6);
        if (size % divisor || size == divisor) continue;
        add_axis(p, g, divisor);
        size /= divisor;
    }
    if (size > 1) add_axis(p, g, size);
}

/* Strides, contents and the description of the call, once the axes are there. */
static void finish(problem *p, rng *r, int dtype, value (*make)(int, rng *), int plain) {
    const int64_t size = tn_itemsize(dtype);
    if (plain) {
        layout_contiguous(&p->a, size);
        layout_contiguous(&p->b, size);
        layout_contiguous(&p->c, size);
    } else {
        layout_random(&p->a, r, size, 1);
        layout_random(&p->b, r, size, 1);
        layout_random(&p->c, r, size, 0);
    }
    int a = 0, b = 0, c = 0, d = 0;
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < p->count[g]; i++, d++) {
            if (on_a[g]) p->given[d].sa = p->a.stride[a++];
            if (on_b[g] && !p->x.unary) p->given[d].sb = p->b.stride[b++];
            if (on_c[g]) p->given[d].sc = p->c.stride[c++];
        }
    p->a_block = array_random(&p->a, dtype, r, make);
    p->b_block = array_random(&p->b, dtype, r, make);
    p->c_block = array_random(&p->c, dtype, r, make);
    if (!p->x.accumulate) memset(p->c_block, 0xff, (size_t)p->c.bytes); /* not a number */
    p->x.dims = p->given;
    p->dtype = dtype;
    p->x.dtype = (uint8_t)dtype;
    p->x.n_batch = (uint8_t)p->count[BATCH];
    p->x.n_m = (uint8_t)p->count[M];
    p->x.n_n = (uint8_t)p->count[N];
    p->x.n_k = (uint8_t)p->count[K];
    p->swapped = tn_choose_road(&p->x, p->chosen);
    p->x.dims = p->chosen;
}

static void discard(problem *p) {
    free(p->a_block);
    free(p->b_block);
    free(p->c_block);
}

/* Byte offsets of point i of the dims on each operand. */
static tn_dim offsets(const tn_dim *dims, int n, int64_t i) {
    tn_dim at = {0};
    for (int d = n - 1; d >= 0; d--) {
        const int64_t digit = i % dims[d].n;
        i /= dims[d].n;
        at.sa += digit * dims[d].sa;
        at.sb += digit * dims[d].sb;
        at.sc += digit * dims[d].sc;
    }
    return at;
}

/* The block of c as it has to be: the definition, element by element; gaps stay as they were. */
static char *reference(const problem *p) {
    const int dtype = p->dtype, n_c = p->count[BATCH] + p->count[M] + p->count[N];
    const tn_dim *dims_k = p->given + n_c;
    int64_t points = 1, ks = 1;
    for (int d = 0; d < n_c; d++) points *= p->given[d].n;
    for (int d = 0; d < p->count[K]; d++) ks *= dims_k[d].n;
    tn_dim *summed = allocate(ks * (int64_t)sizeof *summed);
    for (int64_t k = 0; k < ks; k++) summed[k] = offsets(dims_k, p->count[K], k);
    char *result = allocate(p->c.bytes);
    memcpy(result, p->c_block, (size_t)p->c.bytes);
    for (int64_t i = 0; i < points; i++) {
        const tn_dim at = offsets(p->given, n_c, i);
        const char *a = p->a_block + p->a.base + at.sa;
        const char *b = p->x.unary ? NULL : p->b_block + p->b.base + at.sb;
        char *c = result + p->c.base + at.sc;
        value sum = value_dot(dtype, a, b, summed, ks);
        if (p->x.accumulate) sum = value_add(dtype, sum, value_get(dtype, c));
        value_put(dtype, c, sum);
    }
    free(summed);
    return result;
}

/* Every element of c is within c * (k + 2) * eps * |a| |b| of its definition: the bound of any order
 * of summation. */
static void check_bound(const problem *p, const char *got, int number) {
    const int dtype = p->dtype, n_c = p->count[BATCH] + p->count[M] + p->count[N];
    const int is_complex = dtype == TN_C64 || dtype == TN_C128;
    const double eps = dtype == TN_F32 || dtype == TN_C64 ? FLT_EPSILON : DBL_EPSILON;
    const tn_dim *dims_k = p->given + n_c;
    const int64_t points = p->x.batch * p->x.m * p->x.n, ks = p->x.k;
    tn_dim *summed = allocate(ks * (int64_t)sizeof *summed);
    for (int64_t k = 0; k < ks; k++) summed[k] = offsets(dims_k, p->count[K], k);
    for (int64_t i = 0; i < points; i++) {
        const tn_dim at = offsets(p->given, n_c, i);
        const char *b = p->x.unary ? NULL : p->b_block + p->b.base + at.sb;
        precise sum = precise_dot(dtype, p->a_block + p->a.base + at.sa, b, summed, ks);
        if (p->x.accumulate) {
            const value before = value_get(dtype, p->c_block + p->c.base + at.sc);
            sum.re += before.re, sum.im += before.im, sum.size += hypot(before.re, before.im);
        }
        const value x = value_get(dtype, got + p->c.base + at.sc);
        const double error = hypot((double)(x.re - sum.re), (double)(x.im - sum.im));
        const double bound = (is_complex ? 4 : 2) * (double)(ks + 2) * eps * (double)sum.size;
        CHECK(error <= bound, "%s case %d: error %g above %g; road %d m %lld n %lld k %lld",
              dtype_name(dtype), number, error, bound, p->x.road, (long long)p->x.m,
              (long long)p->x.n, (long long)ks);
    }
    free(summed);
}

/* Runs the road into a fresh block; the workspace has the promised bytes and no number in it. */
static char *run(const problem *p, int threads, int worker) {
    const int64_t bytes = tn_workspace(&p->x), all = bytes * threads;
    const char *a = p->a_block + p->a.base, *b = p->x.unary ? NULL : p->b_block + p->b.base;
    char *result = allocate(p->c.bytes), *workspace = tn_alloc((size_t)all);
    CHECK(workspace && bytes % TN_ALIGN == 0, "workspace of %lld", (long long)bytes);
    memset(workspace, 0xff, (size_t)all);
    memcpy(result, p->c_block, (size_t)p->c.bytes);
    tn_control control = {0};
    tn_contract(&p->x, p->swapped ? b : a, p->swapped ? a : b, result + p->c.base, threads,
                workspace, bytes, worker, &control);
    tn_free(workspace, (size_t)all);
    return result;
}

/* The same by way of a table, if the contraction is small enough for one. */
static char *run_table(const problem *p) {
    const int64_t entries = tn_table_size(&p->x);
    if (!entries) return NULL;
    tn_contraction x = p->x;
    int32_t *table = allocate(entries * (int64_t)sizeof *table);
    tn_fill_table(&x, table);
    x.table = table;
    x.road = TN_ROAD_TABLE;
    const char *a = p->a_block + p->a.base, *b = p->x.unary ? NULL : p->b_block + p->b.base;
    char *result = allocate(p->c.bytes);
    memcpy(result, p->c_block, (size_t)p->c.bytes);
    tn_get_kernels(x.dtype)->table(&x, p->swapped ? b : a, p->swapped ? a : b, result + p->c.base);
    free(table);
    seen[x.unary][x.dtype][TN_ROAD_TABLE]++;
    return result;
}

static void compare(const problem *p, const char *got, const char *expected, const char *how,
                    int number) {
    if (!memcmp(got, expected, (size_t)p->c.bytes)) return;
    for (int64_t i = 0; i < p->c.bytes; i++)
        CHECK(got[i] == expected[i],
              "%s case %d, %s: byte %lld of %lld; road %d batch %lld m %lld n %lld k %lld%s%s",
              dtype_name(p->dtype), number, how, (long long)i, (long long)p->c.bytes, p->x.road,
              (long long)p->x.batch, (long long)p->x.m, (long long)p->x.n, (long long)p->x.k,
              p->x.unary ? " unary" : "", p->x.accumulate ? " accumulating" : "");
}

/* Compares, counts the road, and cleans up. */
static void verify(problem *p, rng *r, int number) {
    static const int thread_counts[] = {1, 1, 2, 5};
    const int threads = thread_counts[rng_below(r, 4)];
    const int worker = threads == 1 ? rng_below(r, 4) : 0;
    char *expected = reference(p), *got = run(p, threads, worker), *tabled = run_table(p);
    compare(p, got, expected, "road", number);
    if (tabled) compare(p, tabled, expected, "table", number);
    seen[p->x.unary][p->dtype][p->x.road]++;
    free(expected);
    free(got);
    free(tabled);
    discard(p);
}

static int64_t pick(rng *r, const int64_t *from, int n) { return from[rng_below(r, n)]; }

/* Extents at which the code takes another way: tiles and blocks, and one off each of them. */
static void random_sizes(rng *r, int dtype, int64_t size[GROUPS]) {
    static const int64_t tiny[] = {1, 1, 2, 3, 5}, primes[] = {2, 7, 17, 31, 37},
                         sums[] = {31, 32, 33, 255, 256, 257, 521};
    const tn_kernels *kernels = tn_get_kernels(dtype);
    for (int g = 0; g < GROUPS; g++) size[g] = pick(r, tiny, 5);
    switch (rng_below(r, 7)) {
    case 0: break;
    case 1: case 2: /* tiles */
        size[BATCH] = 1 + rng_below(r, 2);
        size[M] = kernels->mr * (1 + rng_below(r, 3)) + rng_below(r, 3) - 1;
        size[N] = kernels->nr * (1 + rng_below(r, 2)) + rng_below(r, 3) - 1;
        size[K] = pick(r, primes, 5);
        if (size[M] * size[N] * size[K] > 60000) size[K] = 3;
        break;
    case 3: /* long sums */
        size[K] = pick(r, sums, 7);
        break;
    case 4: /* elementwise */
        size[BATCH] = pick(r, sums, 7) + rng_below(r, 3);
        break;
    case 5: /* outer products and matrix times vector */
        size[M] = 1 + rng_below(r, 70);
        size[N] = 1 + rng_below(r, 70);
        size[BATCH] = size[K] = 1;
        if (rng_below(r, 2)) size[rng_below(r, 2) ? M : N] = 1, size[K] = pick(r, primes, 5);
        break;
    case 6: /* networks of 2s */
        for (int g = 0; g < GROUPS; g++) size[g] = (int64_t)1 << rng_below(r, 5);
    }
}

static void contractions_of_any_shape_and_layout_equal_their_definition(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < CASES; number++) {
            rng r = {(uint64_t)(1000 * dtype + number)};
            int64_t size[GROUPS];
            problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
            random_sizes(&r, dtype, size);
            for (int g = 0; g < GROUPS; g++) add_group(&p, &r, g, size[g]);
            finish(&p, &r, dtype, value_random, 0);
            CHECK(p.x.batch * p.x.m * p.x.n * p.x.k ==
                      size[BATCH] * size[M] * size[N] * size[K],
                  "%s case %d: sizes of the groups", dtype_name(dtype), number);
            verify(&p, &r, number);
        }
}

static void copies_transposes_sums_and_traces_equal_their_definition(void) {
    static const int64_t sizes[] = {1, 2, 3, 5, 16, 17, 31, 48, 65};
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < CASES; number++) {
            rng r = {(uint64_t)(100000 + 1000 * dtype + number)};
            problem p = {.x.unary = 1, .x.accumulate = (uint8_t)rng_below(&r, 2)};
            if (rng_below(&r, 4) == 0) add_group(&p, &r, BATCH, 1 + rng_below(&r, 6));
            int64_t points = 1;
            for (int axes = 1 + rng_below(&r, 3); axes > 0 && points < 800; axes--) {
                add_axis(&p, M, pick(&r, sizes, 9));
                points *= p.c.extent[p.c.n - 1];
            }
            if (rng_below(&r, 2) && points < 800)
                add_group(&p, &r, K, pick(&r, sizes, 9) * (points < 90 && number % 4 == 0 ? 9 : 1));
            finish(&p, &r, dtype, value_random, 0);
            verify(&p, &r, number);
        }
}

/* More than one block in every direction, more than one chunk of a nest, and work for threads. */
static void contractions_larger_than_every_block_equal_their_definition(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++) {
        const int64_t deep = 1536 / tn_itemsize(dtype) + 1;
        const int64_t sizes[][GROUPS] = {
            {1, 140, 4, deep}, {1, 2, 700, deep}, {1, 3, 9000, 5},  {9000, 3, 1, 5},
            {1, 4200, 3, 11},  {12, 40, 24, 13},  {1, 300, 1, 450}, {30, 1, 1, 4500},
            {2, 9, 17, 2 * deep}, {1, 1, 132000, 1}, {132000, 1, 1, 1},
        };
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            rng r = {(uint64_t)(200000 + 1000 * dtype) + i};
            problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
            for (int g = 0; g < GROUPS; g++) add_group(&p, &r, g, sizes[i][g]);
            finish(&p, &r, dtype, value_random, i % 3 == 0);
            verify(&p, &r, (int)i);
        }
        static const int64_t unary[][GROUPS] = {
            {1, 132000, 1, 1}, {1, 500, 1, 270}, {1, 3, 1, 45000}, {1, 9000, 1, 15}};
        for (size_t i = 0; i < sizeof unary / sizeof *unary; i++) {
            rng r = {(uint64_t)(300000 + 1000 * dtype) + i};
            problem p = {.x.unary = 1, .x.accumulate = (uint8_t)((i + (size_t)dtype) & 1)};
            for (int g = 0; g < GROUPS; g++) add_group(&p, &r, g, unary[i][g]);
            finish(&p, &r, dtype, value_random, 0);
            verify(&p, &r, (int)i);
        }
        rng r = {(uint64_t)(400000 + dtype)}; /* a transpose that is split among threads */
        problem p = {.x.unary = 1};
        add_axis(&p, M, 3), add_axis(&p, M, 210), add_axis(&p, M, 230);
        finish(&p, &r, dtype, value_random, 1);
        for (int d = 1; d < 3; d++) /* a is read as if it were [3][230][210] */
            p.given[d].sa = d == 1 ? tn_itemsize(dtype) : 210 * tn_itemsize(dtype);
        p.x = (tn_contraction){.dims = p.given, .n_m = 3, .dtype = (uint8_t)dtype, .unary = 1};
        tn_choose_road(&p.x, p.chosen);
        p.x.dims = p.chosen;
        CHECK(p.x.road == TN_ROAD_TRANSPOSE, "road %d", p.x.road);
        verify(&p, &r, -1);
    }
}

/* Operands that lie as in a product of matrices, or with a or b transposed. */
static void products_of_small_matrices_equal_their_definition(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < CASES; number++) {
            rng r = {(uint64_t)(700000 + 1000 * dtype + number)};
            const tn_kernels *kernels = tn_get_kernels(dtype);
            const int64_t itemsize = tn_itemsize(dtype);
            const int widest = kernels->nr > 16 ? kernels->nr + 20 : 5 * kernels->nr + 2;
            int64_t batch = 1, m = 1 + rng_below(&r, 2 * kernels->mr + 2);
            int64_t n = 1 + rng_below(&r, number % 2 ? 6 : widest), k = 1 + rng_below(&r, 19);
            if (number % 4 == 0) batch = 1 + rng_below(&r, 3);
            if (number % 8 == 1) k += rng_below(&r, TN_DIRECT_DEPTH + 40);
            if (number % 16 == 2) m = 8 * kernels->mr + 1, n = 1 + rng_below(&r, 40), k = 3;
            problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
            add_axis(&p, BATCH, batch), add_axis(&p, M, m), add_axis(&p, N, n), add_axis(&p, K, k);
            finish(&p, &r, dtype, value_random, 1);
            if (rng_below(&r, 2)) p.given[1].sa = itemsize, p.given[3].sa = m * itemsize;
            if (rng_below(&r, 3)) p.given[2].sb = itemsize, p.given[3].sb = n * itemsize;
            p.x = (tn_contraction){.dims = p.given, .n_batch = 1, .n_m = 1, .n_n = 1, .n_k = 1,
                                   .dtype = (uint8_t)dtype, .accumulate = p.x.accumulate};
            p.swapped = tn_choose_road(&p.x, p.chosen);
            p.x.dims = p.chosen;
            verify(&p, &r, number);
        }
}

/* A large b is read a few rows at a time, and many columns are copied piece by piece. */
static void thin_products_with_large_operands_equal_their_definition(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++) {
        const int64_t itemsize = tn_itemsize(dtype), wide = 16000 / itemsize + 3;
        const int64_t sizes[][3] = {{1, wide, 133}, {3, wide, 130}, {150, 3, 1500}, {9, 1, 1500}};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            rng r = {(uint64_t)(800000 + 1000 * dtype) + i};
            problem p = {.x.accumulate = (uint8_t)(i & 1)};
            add_axis(&p, M, sizes[i][0]), add_axis(&p, N, sizes[i][1]), add_axis(&p, K, sizes[i][2]);
            finish(&p, &r, dtype, value_random, 1);
            p.given[1].sb = itemsize, p.given[2].sb = sizes[i][1] * itemsize;
            p.x = (tn_contraction){.dims = p.given, .n_m = 1, .n_n = 1, .n_k = 1,
                                   .dtype = (uint8_t)dtype, .accumulate = p.x.accumulate};
            p.swapped = tn_choose_road(&p.x, p.chosen);
            p.x.dims = p.chosen;
            verify(&p, &r, (int)i);
        }
    }
}

/* A huge operand and a tiny one: axes of 2 in any order, others that tiles do not divide, and extents
 * that no vector divides. */
static void skinny_sizes(problem *p, rng *r) {
    static const int64_t lengths[] = {256, 257, 300, 1000, 2049}, odd[] = {3, 5, 6, 12, 24};
    const int kind = rng_below(r, 3);
    if (rng_below(r, 4) == 0) add_axis(p, BATCH, 2 + rng_below(r, 2));
    if (kind == 0)
        for (int digits = 8 + rng_below(r, 4); digits > 0; digits--) add_axis(p, M, 2);
    else if (kind == 1)
        add_group(p, r, M, pick(r, lengths, 5));
    else
        for (int i = 0; i < 2; i++) add_axis(p, M, i ? 64 : pick(r, odd, 5));
    for (int g = N; g <= K; g++)
        if (rng_below(r, 3))
            for (int digits = rng_below(r, 4); digits > 0; digits--) add_axis(p, g, 2);
        else
            add_axis(p, g, 1 + rng_below(r, 9));
}

static void skinny_products_equal_their_definition(void) {
    for (int dtype = TN_F32; dtype <= TN_C128; dtype++) {
        for (int number = 0; number < CASES / 2; number++) {
            rng r = {(uint64_t)(600000 + 1000 * dtype + number)};
            problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
            skinny_sizes(&p, &r);
            finish(&p, &r, dtype, value_random, number % 3 == 0);
            verify(&p, &r, number);
        }
        if (dtype != TN_C64) continue;
        rng r = {1}; /* a result that passes by the caches */
        problem p = {.dtype = 0};
        add_axis(&p, M, 1 << 20), add_axis(&p, N, 2), add_axis(&p, K, 2);
        finish(&p, &r, dtype, value_random, 1);
        CHECK(p.x.road == TN_ROAD_SKINNY, "road %d", p.x.road);
        verify(&p, &r, -1);
    }
}

static void many_small_products_equal_their_definition(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < CASES / 2; number++) {
            rng r = {(uint64_t)(800000 + 1000 * dtype + number)};
            problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
            const int along = number % 4 == 0 ? M : number % 4 == 1 ? N : BATCH;
            for (int g = 0; g < GROUPS; g++) {
                add_group(&p, &r, g, 1 + rng_below(&r, 6));
                if (g == along) add_axis(&p, g, 16 + rng_below(&r, number % 5 ? 70 : 500));
            }
            finish(&p, &r, dtype, value_random, number % 3 == 0);
            verify(&p, &r, number);
        }
}

/* A matrix times a vector, with rows or columns from two entries on, and elementwise and outer products
 * with rows that are shorter than vectors. */
static void products_with_short_rows_equal_their_definition(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < CASES / 2; number++) {
            rng r = {(uint64_t)(880000 + 1000 * dtype + number)};
            problem p = {.x.accumulate = (uint8_t)(rng_below(&r, 4) == 0)};
            const int64_t length = 2 + number % 19, many = 60 + rng_below(&r, 40);
            const int kind = rng_below(&r, 4), runs = kind == 0 && rng_below(&r, 2) ? 2 + rng_below(&r, 4) : 1;
            if (kind == 0) { /* sums along rows, or along parts of them */
                add_axis(&p, M, many);
                if (runs > 1) add_axis(&p, K, runs);
                add_axis(&p, K, length);
            } else if (kind == 1) { /* and across them */
                add_axis(&p, N, length), add_axis(&p, K, 5 * many);
            } else {
                add_axis(&p, kind == 2 ? BATCH : M, many), add_axis(&p, kind == 2 ? BATCH : N, length);
                if (rng_below(&r, 2)) add_axis(&p, K, 1 + rng_below(&r, 3));
            }
            finish(&p, &r, dtype, value_random, runs == 1 && number % 4 > 0);
            verify(&p, &r, number);
        }
}

/* Few sums over a k of one to many axes, in runs on both operands, on one, or on none. */
static void few_sums_over_a_long_k_equal_their_definition(void) {
    static const int64_t lengths[] = {256, 300, 513, 1000, 3000};
    for (int dtype = TN_F32; dtype <= TN_C128; dtype++)
        for (int number = 0; number < CASES / 2; number++) {
            rng r = {(uint64_t)(850000 + 1000 * dtype + number)};
            problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
            const int digits = rng_below(&r, 3) == 0;
            if (rng_below(&r, 4) == 0) add_axis(&p, BATCH, 2 + rng_below(&r, 2));
            add_group(&p, &r, M, 2 + rng_below(&r, 14));
            add_group(&p, &r, N, 2 + rng_below(&r, number % 2 ? 7 : 30));
            for (int i = 0; digits && i < 8 + rng_below(&r, 3); i++) add_axis(&p, K, 2);
            if (!digits) add_group(&p, &r, K, pick(&r, lengths, 5));
            finish(&p, &r, dtype, value_random, number % 3 == 0);
            verify(&p, &r, number);
        }
}

/* Rows that follow each other without a gap, of any number of columns; and short rows of others. */
static void tall_products_equal_their_definition(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int number = 0; number < CASES / 2; number++) {
            rng r = {(uint64_t)(900000 + 1000 * dtype + number)};
            problem p = {.x.accumulate = (uint8_t)(rng_below(&r, 4) == 0)};
            const int elementwise = number % 4 == 3;
            if (number % 4 == 2) add_axis(&p, BATCH, 2);
            add_axis(&p, elementwise ? BATCH : M, 48 + rng_below(&r, 90));
            add_axis(&p, elementwise ? M : N, 1 + rng_below(&r, 75));
            if (!elementwise) add_axis(&p, K, 1 + rng_below(&r, number % 8 ? 9 : 40));
            finish(&p, &r, dtype, value_random, number % 5 > 0);
            verify(&p, &r, number);
        }
}

/* Must follow the tests above. */
static void every_road_was_taken_for_every_type(void) {
    for (int dtype = 0; dtype < TN_DTYPES; dtype++)
        for (int road = 0; road < ROADS; road++) {
            const int dots = road == TN_ROAD_DOTS, has_dots = tn_get_kernels(dtype)->dots != NULL;
            const int floating = road == TN_ROAD_SKINNY || road == TN_ROAD_INNER;
            const int pairs = road != TN_ROAD_TRANSPOSE && (!dots || has_dots) &&
                              (!floating || is_floating(dtype));
            const int unary = road > TN_ROAD_DOTS && road != TN_ROAD_N && !floating &&
                              road != TN_ROAD_LANES;
            CHECK(!pairs || seen[0][dtype][road], "%s: road %d", dtype_name(dtype), road);
            CHECK(!unary || seen[1][dtype][road], "%s: unary road %d", dtype_name(dtype), road);
        }
}

static void rough_numbers_keep_to_the_error_bound_on_any_number_of_threads(void) {
    for (int dtype = TN_F32; dtype <= TN_C128; dtype++)
        for (int number = 0; number < CASES; number++) {
            rng r = {(uint64_t)(700000 + 1000 * dtype + number)};
            int64_t size[GROUPS];
            problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
            random_sizes(&r, dtype, size);
            for (int g = 0; g < GROUPS; g++) add_group(&p, &r, g, size[g]);
            finish(&p, &r, dtype, value_rough, 0);
            char *one = run(&p, 1, 0), *more = run(&p, 2 + number % 4, 0);
            check_bound(&p, one, number);
            compare(&p, more, one, "threads", number);
            free(one);
            free(more);
            discard(&p);
        }
}

static void the_number_of_threads_changes_no_bit(void) {
    static const int64_t sizes[][GROUPS] = {
        {1, 200, 37, 20}, {1, 37, 300, 14},  {1, 700, 2, 200}, {40, 20, 18, 11}, {1, 370, 370, 1},
        {132000, 1, 1, 1}, {1, 300, 1, 450}, {600, 1, 1, 230}, {1, 1, 1, 140000},
        {1, 12000, 17, 3}, {30000, 3, 2, 3}, {1, 2000, 17, 40}, {700, 13, 9, 17}, {1, 3000, 3, 150},
        {1, 70001, 2, 2}, {1, 4, 9000, 4}, {1, 30001, 1, 5}, {1, 20001, 1, 13}, {1, 1, 3, 90000},
        {1, 1, 70, 9000}, {1, 1, 5000, 60}};
    for (int dtype = TN_F32; dtype <= TN_C128; dtype++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (int plain = 0; plain < 2; plain++) {
                rng r = {(uint64_t)(500000 + 100 * dtype + plain) + 2 * i};
                problem p = {.x.accumulate = (uint8_t)rng_below(&r, 2)};
                for (int g = 0; g < GROUPS; g++) add_group(&p, &r, g, sizes[i][g]);
                finish(&p, &r, dtype, value_rough, plain);
                char *one = run(&p, 1, 0);
                check_bound(&p, one, (int)i);
                for (int threads = 2; threads <= 5; threads += 3) {
                    char *more = run(&p, threads, 0);
                    compare(&p, more, one, "threads", (int)i);
                    free(more);
                }
                free(one);
                discard(&p);
            }
}

static value make_one(int dtype, rng *r) {
    (void)r;
    return value_one(dtype);
}

/* Padding of panels and lanes must not mix rows: only the row with the nan or infinity has one. */
static void what_is_not_finite_stays_in_its_row(void) {
    static const double odd[] = {NAN, INFINITY};
    for (int dtype = TN_F32; dtype <= TN_C128; dtype++)
        for (int64_t m = 7; m < 30; m += 3)
            for (int o = 0; o < 6; o++) {
                static const int64_t columns[] = {37, 37, 2}, sums[] = {33, 301, 33};
                static const int roads[] = {TN_ROAD_DIRECT, TN_ROAD_GETT, TN_ROAD_DOTS};
                const int64_t size = tn_itemsize(dtype), bad = m / 2;
                const int64_t n = columns[o / 2], k = sums[o / 2];
                rng r = {(uint64_t)(600000 + m)};
                problem p = {0};
                add_axis(&p, M, m), add_axis(&p, N, n), add_axis(&p, K, k);
                finish(&p, &r, dtype, make_one, 1);
                CHECK(p.x.road == roads[o / 2], "road %d", p.x.road);
                value_put(dtype, p.a_block + (bad * k + k - 1) * size, (value){.re = odd[o % 2]});
                char *got = run(&p, 1, 0);
                for (int64_t i = 0; i < m * n; i++) {
                    const double x = value_get(dtype, got + i * size).re;
                    CHECK(i / n == bad ? !isfinite(x) : x == (double)k, "%s: c[%lld][%lld] = %g",
                          dtype_name(dtype), (long long)(i / n), (long long)(i % n), x);
                }
                free(got);
                discard(&p);
            }
}

static void a_cancelled_contraction_leaves_its_result_alone(void) {
    static const int64_t sizes[][GROUPS] = {{1, 100, 100, 20}, {1, 600, 300, 1}};
    for (int i = 0; i < 2; i++)
        for (int threads = 1; threads <= 4; threads++) {
            rng r = {7};
            problem p = {0};
            for (int g = 0; g < GROUPS; g++) add_group(&p, &r, g, sizes[i][g]);
            finish(&p, &r, TN_F64, value_random, 1);
            const int64_t bytes = tn_workspace(&p.x);
            char *workspace = tn_alloc((size_t)(bytes * threads)), *c = allocate(p.c.bytes);
            CHECK(workspace, "workspace");
            memcpy(c, p.c_block, (size_t)p.c.bytes);
            tn_control control = {.cancel = 1};
            const char *a = p.swapped ? p.b_block : p.a_block;
            tn_contract(&p.x, a, p.swapped ? p.a_block : p.b_block, c, threads, workspace, bytes,
                        0, &control);
            CHECK(!memcmp(c, p.c_block, (size_t)p.c.bytes), "written after it was cancelled");
            tn_free(workspace, (size_t)(bytes * threads));
            free(c);
            discard(&p);
        }
}

static void blocks_of_memory_are_aligned_and_unknown_instruction_sets_refused(void) {
    static const size_t sizes[] = {0, 1, 63, 4096, (32 << 20) - 1, 32 << 20, (64 << 20) + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = tn_alloc(sizes[i]);
        CHECK(block && (uintptr_t)block % TN_ALIGN == 0, "%zu bytes", sizes[i]);
        if (sizes[i]) block[0] = block[sizes[i] - 1] = 1;
        tn_free(block, sizes[i]);
    }
    tn_free(NULL, 5);
    char one, two;
    void *slot = &one;
    CHECK(tn_exchange(&slot, &two) == &one && slot == &two, "exchange");
    const char *before = tn_isa_name();
    CHECK(tn_set_isa("abacus") == TN_BAD_ISA && tn_isa_name() == before, "%s", tn_isa_name());
}

const test contract_tests[] = {
    TEST(contractions_of_any_shape_and_layout_equal_their_definition),
    TEST(copies_transposes_sums_and_traces_equal_their_definition),
    TEST(contractions_larger_than_every_block_equal_their_definition),
    TEST(products_of_small_matrices_equal_their_definition),
    TEST(thin_products_with_large_operands_equal_their_definition),
    TEST(skinny_products_equal_their_definition),
    TEST(many_small_products_equal_their_definition),
    TEST(products_with_short_rows_equal_their_definition),
    TEST(tall_products_equal_their_definition),
    TEST(few_sums_over_a_long_k_equal_their_definition),
    TEST(every_road_was_taken_for_every_type),
    TEST(rough_numbers_keep_to_the_error_bound_on_any_number_of_threads),
    TEST(the_number_of_threads_changes_no_bit),
    TEST(what_is_not_finite_stays_in_its_row),
    TEST(a_cancelled_contraction_leaves_its_result_alone),
    TEST(blocks_of_memory_are_aligned_and_unknown_instruction_sets_refused),
    {0},
};
