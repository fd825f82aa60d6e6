/* Whole programs against the sum over all index values, and how runs are watched and stopped. */
#include "network.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 1500, CALLERS = 4 };

typedef struct {
    char *block; /* of the result, gaps 0xff */
    int64_t exponent;
    tn_program_info info;
    tn_status status;
} outcome;

/* Runs in an arena of exactly the promised bytes, with no number in it before. */
static outcome run_program(const network *g, const tn_program *program, tn_control *control) {
    outcome o = {.info = tn_program_describe(program), .block = allocate(g->result.bytes)};
    char *arena = tn_alloc((size_t)o.info.arena_bytes);
    CHECK(arena, "arena of %lld bytes", (long long)o.info.arena_bytes);
    memset(arena, 0xff, (size_t)o.info.arena_bytes);
    memset(o.block, 0xff, (size_t)g->result.bytes);
    char *out = o.block + g->result.base;
    const tn_execution run = {program, g->data, &out, arena, control, NULL, TN_WHOLE};
    o.status = tn_program_run(&run, &o.exponent);
    tn_free(arena, (size_t)o.info.arena_bytes);
    return o;
}

static tn_program *lowered(network *g, int threads, int strip) {
    tn_program *program;
    g->net.threads = threads;
    g->net.strip = strip;
    CHECK(tn_lower(&g->net, &program) == TN_OK && program, "lowering");
    return program;
}

static outcome lower_and_run(network *g, int threads, int strip) {
    tn_program *program = lowered(g, threads, strip);
    tn_control control = {0};
    outcome o = run_program(g, program, &control);
    CHECK(o.status == TN_OK, "status %d", o.status);
    tn_program_free(program);
    return o;
}

static double largest_of(const value *x, int64_t n) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fmax(fabs(x[i].re), fabs(x[i].im)));
    return largest;
}

/* What the exponent of a stripped result must be; the values lose it. */
static int64_t strip_values(value *x, int64_t n) {
    int e;
    const double largest = largest_of(x, n);
    if (largest == 0) return TN_NO_EXPONENT;
    frexp(largest, &e);
    for (int64_t i = 0; i < n; i++) x[i].re = ldexp(x[i].re, -e), x[i].im = ldexp(x[i].im, -e);
    return e;
}

/* Every byte of the result, gaps included, and the exponent. */
static void compare(const network *g, const outcome *o, const value *reference, int strip,
                    int number) {
    const int64_t n = network_elements(g);
    const size_t bytes = (size_t)n * sizeof *reference;
    value *x = allocate((int64_t)bytes);
    char *expected = allocate(g->result.bytes);
    memcpy(x, reference, bytes);
    const int64_t exponent = strip ? strip_values(x, n) : 0;
    memset(expected, 0xff, (size_t)g->result.bytes);
    for (int64_t i = 0; i < n; i++) value_put(g->net.dtype, expected + network_place(g, i), x[i]);
    CHECK(o->exponent == exponent, "case %d: exponent %lld, not %lld", number,
          (long long)o->exponent, (long long)exponent);
    for (int64_t i = 0; i < g->result.bytes; i++)
        CHECK(o->block[i] == expected[i],
              "case %d, %s: byte %lld of %lld; %lld operands, %lld slices, %lld threads, strip %d",
              number, dtype_name(g->net.dtype), (long long)i, (long long)g->result.bytes,
              (long long)g->net.n_inputs, (long long)o->info.slices, (long long)o->info.threads,
              strip);
    free(expected);
    free(x);
}

static void verify(network *g, int threads, int strip, int number) {
    value *reference = network_value(g);
    outcome o = lower_and_run(g, threads, strip);
    compare(g, &o, reference, strip, number);
    free(o.block);
    free(reference);
}

static void random_networks_equal_the_sum_over_all_index_values(void) {
    for (int number = 0; number < CASES; number++) {
        static const int dtypes[] = {TN_F64,  TN_F16, TN_C64, TN_U8,   TN_F32, TN_BOOL,
                                     TN_C128, TN_U16, TN_F16, TN_U64, TN_F64, TN_U32};
        const int dtype = dtypes[number % 12];
        rng r = {(uint64_t)number};
        network g;
        network_random(&g, &r, dtype);
        const int strip = is_floating(dtype) && rng_below(&r, 2);
        verify(&g, 1 + rng_below(&r, 4), strip, number);
        network_free(&g);
    }
}

/* Steps of a program that run block by block. */
static int64_t fused_steps(const tn_program *program) {
    int64_t fused = 0;
    for (int64_t i = 0; i < tn_program_describe(program).steps; i++) {
        char text[200];
        tn_program_step(program, i, text, sizeof text);
        fused += strstr(text, "blocks") != NULL;
    }
    return fused;
}

static void stems_in_blocks_equal_the_sum_over_all_index_values(void) {
    static const int dtypes[] = {TN_F64, TN_U8, TN_C64, TN_F32, TN_U16, TN_C128, TN_F16, TN_U64};
    int64_t fused = 0;
    for (int number = 0; number < CASES / 4; number++) {
        rng r = {(uint64_t)(90000 + number)};
        network g;
        network_stem(&g, &r, dtypes[number % 8]);
        g.net.block_bytes = tn_itemsize(g.net.dtype) << (3 + rng_below(&r, 6));
        tn_program *program = lowered(&g, 1, 0);
        fused += fused_steps(program);
        tn_program_free(program);
        verify(&g, 1 + rng_below(&r, 4), 0, number);
        network_free(&g);
    }
    CHECK(fused > CASES / 12, "only %lld steps ran in blocks", (long long)fused);
}

static void what_is_between_fused_steps_takes_the_memory_of_blocks(void) {
    static const int64_t sizes[] = {2, 64, 64, 2, 2, 2};
    int64_t bytes[2];
    for (int whole = 0; whole < 2; whole++) {
        network g;
        network_parse(&g, "abc,ad,de,ef->fbc", sizes, "", TN_F64, value_random);
        g.net.block_bytes = whole ? -1 : 1024;
        tn_program *program = lowered(&g, 1, 0);
        CHECK(fused_steps(program) == (whole ? 0 : 2), "%lld", (long long)fused_steps(program));
        bytes[whole] = tn_program_describe(program).arena_bytes;
        tn_program_free(program);
        network_free(&g);
    }
    /* blocks instead of a value of 2 x 64 x 64 */
    CHECK(bytes[1] - bytes[0] > 60 << 10, "%lld and %lld bytes", (long long)bytes[0],
          (long long)bytes[1]);
}

static void operands_are_left_as_they_were(void) {
    for (int number = 0; number < 60; number++) {
        rng r = {(uint64_t)(5000 + number)};
        network g;
        char *before[MAX_TENSORS];
        network_random(&g, &r, number % 2 ? TN_F32 : TN_F16);
        for (int64_t v = 0; v < g.net.n_inputs; v++) {
            before[v] = allocate(g.inputs[v].bytes);
            memcpy(before[v], g.blocks[v], (size_t)g.inputs[v].bytes);
        }
        outcome o = lower_and_run(&g, 2, number % 3 == 0);
        for (int64_t v = 0; v < g.net.n_inputs; v++) {
            CHECK(!memcmp(before[v], g.blocks[v], (size_t)g.inputs[v].bytes), "case %d", number);
            free(before[v]);
        }
        free(o.block);
        network_free(&g);
    }
}

/* Cases that are too large to come up at random. */
static const struct {
    const char *equation, *sliced;
    int64_t sizes[MAX_INDICES];
} large[] = {
    {"ab,bc->ac", "", {60, 50, 55}},              /* one step that threads share */
    {"abe,bce,cde->ad", "e", {24, 16, 12, 4, 6}}, /* a worker and a workspace per chunk */
    {"bc,cd,ab->ad", "a", {33, 16, 15, 12}},      /* a step before the slices, sliced output */
    {"abc,cbd->d", "bc", {9, 7, 11, 13}},         /* more slices than chunks, uneven chunks */
    {"ab,ab,ab->ab", "", {200, 150}},             /* elementwise */
    {"abc->cab", "", {20, 60, 50}},               /* a transpose */
    {"abc->b", "a", {6, 40, 50}},                 /* a sum */
};
enum { LARGE = sizeof large / sizeof *large };

static void large_networks_equal_the_sum_over_all_index_values(void) {
    static const int dtypes[] = {TN_F32, TN_F16, TN_C128, TN_U16, TN_C64, TN_F64};
    for (int i = 0; i < LARGE; i++)
        for (int d = i; d < i + 2; d++) {
            network g;
            network_parse(&g, large[i].equation, large[i].sizes, large[i].sliced, dtypes[d % 6],
                          value_random);
            value *reference = network_value(&g);
            for (int threads = 1; threads <= 4; threads += 3) {
                const int strip = is_floating(g.net.dtype) && threads == 4;
                outcome o = lower_and_run(&g, threads, strip);
                compare(&g, &o, reference, strip, i);
                free(o.block);
            }
            free(reference);
            network_free(&g);
        }
}

static void a_result_too_large_for_a_sum_per_chunk_is_summed_in_place(void) {
    static const int64_t sizes[] = {32, 4200};
    for (int strip = 0; strip < 2; strip++) {
        network g;
        network_parse(&g, "ab,b->ab", sizes, "a", TN_C128, value_random);
        verify(&g, 3, strip, strip);
        network_free(&g);
    }
}

static void the_number_of_threads_changes_no_bit(void) {
    static const int dtypes[] = {TN_F32, TN_F64, TN_C64, TN_C128};
    for (int i = 0; i < LARGE; i++)
        for (int strip = 0; strip < 2; strip++) {
            network g;
            network_parse(&g, large[i].equation, large[i].sizes, large[i].sliced, dtypes[i % 4],
                          value_rough);
            outcome one = lower_and_run(&g, 1, strip);
            for (int threads = 2; threads <= 4; threads++) {
                outcome more = lower_and_run(&g, threads, strip);
                CHECK(more.exponent == one.exponent &&
                          !memcmp(more.block, one.block, (size_t)g.result.bytes),
                      "%s, %d threads, strip %d", large[i].equation, threads, strip);
                free(more.block);
            }
            free(one.block);
            network_free(&g);
        }
}

/* One thread runs all steps in order. */
static void branches_on_threads_of_their_own_change_no_bit(void) {
    static const int dtypes[] = {TN_F32, TN_F64, TN_C64, TN_F16, TN_U64};
    static const int64_t branches[] = {0, 2, 3, 4};
    for (int d = 0; d < 5; d++)
        for (int strip = 0; strip < 1 + (dtypes[d] != TN_U64); strip++) {
            network g;
            network_ring(&g, 110, dtypes[d], value_rough);
            outcome one = lower_and_run(&g, 1, strip);
            for (int threads = 1; threads <= 4; threads++) {
                outcome more = lower_and_run(&g, threads, strip);
                CHECK(more.info.branches == branches[threads - 1], "%lld branches on %d threads",
                      (long long)more.info.branches, threads);
                CHECK(more.exponent == one.exponent &&
                          !memcmp(more.block, one.block, (size_t)g.result.bytes),
                      "%s, %d threads, strip %d", dtype_name(dtypes[d]), threads, strip);
                free(more.block);
            }
            free(one.block);
            network_free(&g);
        }
}

static void small_or_huge_steps_make_no_branches(void) {
    static const int64_t extents[] = {20, 520};
    for (int i = 0; i < 2; i++) {
        network g;
        network_ring(&g, extents[i], TN_F32, value_random);
        tn_program *program = lowered(&g, 4, 0);
        CHECK(tn_program_describe(program).branches == 0, "extent %lld", (long long)extents[i]);
        tn_program_free(program);
        network_free(&g);
    }
}

static value make_scaled(int dtype, rng *r) {
    value x = value_random(dtype, r);
    x.re *= 0x1p60, x.im *= 0x1p60;
    return x;
}

static void stripping_keeps_products_in_range_that_overflow_without_it(void) {
    static const int64_t sizes[] = {2, 3, 2, 3, 2};
    for (int sliced = 0; sliced < 2; sliced++) {
        network g;
        network_parse(&g, "ab,bc,cd,de->ae", sizes, sliced ? "c" : "", TN_F32, make_scaled);
        verify(&g, 2, 1, sliced); /* products near 2^240; float32 ends at 2^128 */
        outcome o = lower_and_run(&g, 1, 0);
        CHECK(!isfinite(value_get(TN_F32, o.block).re), "did not overflow");
        free(o.block);
        network_free(&g);
    }
}

/* Row a of the result, slices b: one slice is 2^700, far out of float32, and the other `rest`. */
static outcome run_uneven_slices(int large_at, double rest) {
    static const int64_t sizes[] = {2, 2};
    network g;
    network_parse(&g, "ab,ab,ab,ab,ab,ab,ab->a", sizes, "b", TN_F32, value_random);
    for (int v = 0; v < 7; v++)
        for (int i = 0; i < 4; i++)
            value_put(TN_F32, g.blocks[v] + 4 * i,
                      (value){.re = i % 2 == large_at ? 0x1p100 : v ? 1 : rest});
    outcome o = lower_and_run(&g, 1, 1);
    network_free(&g);
    return o;
}

static void stripped_slices_of_very_different_size_add_up(void) {
    for (int large_at = 0; large_at < 2; large_at++) {
        outcome o = run_uneven_slices(large_at, 1);
        const double got = value_get(TN_F32, o.block).re;
        CHECK(o.exponent == 701 && got == 0.5, "%g * 2^%lld", got, (long long)o.exponent);
        free(o.block);
        o = run_uneven_slices(large_at, INFINITY);
        CHECK(value_get(TN_F32, o.block).re == INFINITY, "%g", value_get(TN_F32, o.block).re);
        free(o.block);
    }
}

typedef struct {
    int calls, stop_at;
    double last, total;
} watcher;

static int watch(void *self, double done, double total) {
    watcher *w = self;
    CHECK(done >= 0 && done <= total, "%g of %g", done, total);
    w->last = done;
    w->total = total;
    return ++w->calls == w->stop_at;
}

/* Stops a run by its poll, and one from outside; then a run to the end, watched. */
static outcome stop_then_run(const network *g, const tn_program *program) {
    watcher w = {.stop_at = 1};
    tn_control stopped = {.poll = watch, .self = &w}, cancelled = {.cancel = 1};
    outcome o = run_program(g, program, &stopped);
    CHECK(o.status == TN_INTERRUPTED && w.calls == 1, "status %d", o.status);
    free(o.block);
    o = run_program(g, program, &cancelled);
    CHECK(o.status == TN_INTERRUPTED, "status %d", o.status);
    free(o.block);
    w = (watcher){0};
    tn_control watched = {.poll = watch, .self = &w};
    o = run_program(g, program, &watched);
    CHECK(o.status == TN_OK && w.calls > 0, "status %d", o.status);
    CHECK(w.total == o.info.macs, "%g of %g macs", w.total, o.info.macs);
    return o;
}

static void a_poll_that_asks_to_stop_interrupts_the_run(void) {
    for (int i = 0; i < LARGE; i++)
        for (int threads = 1; threads <= 3; threads++) {
            network g;
            network_parse(&g, large[i].equation, large[i].sizes, large[i].sliced, TN_F32,
                          value_random);
            tn_program *program = lowered(&g, threads, threads == 2);
            outcome o = stop_then_run(&g, program);
            value *reference = network_value(&g);
            compare(&g, &o, reference, threads == 2, i);
            free(reference);
            free(o.block);
            tn_program_free(program);
            network_free(&g);
        }
}

static void branches_can_be_watched_and_stopped(void) {
    network g;
    network_ring(&g, 110, TN_F64, value_random);
    tn_program *program = lowered(&g, 3, 0);
    outcome o = stop_then_run(&g, program), alone = lower_and_run(&g, 1, 0);
    CHECK(!memcmp(o.block, alone.block, (size_t)g.result.bytes), "another result");
    free(alone.block);
    free(o.block);
    tn_program_free(program);
    network_free(&g);
}

typedef struct {
    const network *g;
    const tn_program *program;
    const outcome *expected;
    int number;
} caller;

static void *call_often(void *argument) {
    const caller *c = argument;
    for (int i = 0; i < 8; i++) {
        tn_control control = {0};
        outcome o = run_program(c->g, c->program, &control);
        CHECK(o.status == TN_OK && o.exponent == c->expected->exponent &&
                  !memcmp(o.block, c->expected->block, (size_t)c->g->result.bytes),
              "case %d", c->number);
        free(o.block);
    }
    return NULL;
}

static void one_program_runs_in_many_threads_at_once(void) {
    for (int i = 0; i < 5; i++) {
        network g;
        if (i == 4) network_ring(&g, 110, TN_F64, value_rough); /* in branches */
        else network_parse(&g, large[i].equation, large[i].sizes, large[i].sliced, TN_F64, value_rough);
        tn_program *program = lowered(&g, 3, i & 1);
        tn_control control = {0};
        outcome alone = run_program(&g, program, &control);
        caller shared = {&g, program, &alone, i};
        pthread_t threads[CALLERS];
        for (int t = 0; t < CALLERS; t++)
            CHECK(!pthread_create(&threads[t], NULL, call_often, &shared), "thread %d", t);
        for (int t = 0; t < CALLERS; t++) pthread_join(threads[t], NULL);
        free(alone.block);
        tn_program_free(program);
        network_free(&g);
    }
}

const test program_tests[] = {
    TEST(random_networks_equal_the_sum_over_all_index_values),
    TEST(stems_in_blocks_equal_the_sum_over_all_index_values),
    TEST(what_is_between_fused_steps_takes_the_memory_of_blocks),
    TEST(operands_are_left_as_they_were),
    TEST(large_networks_equal_the_sum_over_all_index_values),
    TEST(a_result_too_large_for_a_sum_per_chunk_is_summed_in_place),
    TEST(the_number_of_threads_changes_no_bit),
    TEST(branches_on_threads_of_their_own_change_no_bit),
    TEST(small_or_huge_steps_make_no_branches),
    TEST(stripping_keeps_products_in_range_that_overflow_without_it),
    TEST(stripped_slices_of_very_different_size_add_up),
    TEST(a_poll_that_asks_to_stop_interrupts_the_run),
    TEST(branches_can_be_watched_and_stopped),
    TEST(one_program_runs_in_many_threads_at_once),
    {0},
};
