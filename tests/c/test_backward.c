/* Programs with a backward sweep: every gradient is the cotangent times all other operands, whatever is
 * sliced, in one run or in two halves. */
#include "network.h"

#include <stdlib.h>
#include <string.h>

enum { CASES = 1200 };

/* A network, which operands are needed, and what a run of it reads and writes. */
typedef struct {
    network g;
    int64_t needed[MAX_TENSORS];
    value *cotangent;
    const char *inputs[MAX_TENSORS + 1];
    char *outs[MAX_TENSORS + 1], *blocks[MAX_TENSORS + 1];
    int64_t bytes[MAX_TENSORS + 1];
} sweep;

static int64_t elements_of(const network *g, int64_t v) {
    int64_t n = 1;
    for (int64_t d = g->starts[v]; d < g->starts[v + 1]; d++) n *= g->sizes[g->ids[d]];
    return n;
}

/* Takes some of the operands, at least one, and a cotangent. */
static void begin_sweep(sweep *s, rng *r) {
    network *g = &s->g;
    const int dtype = g->net.dtype;
    const int64_t size = tn_itemsize(dtype), n = network_elements(g);
    g->net.needed = s->needed;
    for (int64_t v = 0; v < g->net.n_inputs; v++)
        if (rng_below(r, 3) || v == g->net.n_inputs - 1) s->needed[g->net.n_needed++] = v;
    s->cotangent = allocate(n * (int64_t)sizeof *s->cotangent);
    char *cotangent = allocate(n * size);
    for (int64_t i = 0; i < n; i++) {
        s->cotangent[i] = value_random(dtype, r);
        value_put(dtype, cotangent + i * size, s->cotangent[i]);
    }
    for (int64_t v = 0; v < g->net.n_inputs; v++) s->inputs[v] = g->data[v];
    s->inputs[g->net.n_inputs] = cotangent;
    for (int64_t i = 0; i <= g->net.n_needed; i++) {
        s->bytes[i] = i ? elements_of(g, s->needed[i - 1]) * size : g->result.bytes;
        s->blocks[i] = allocate(s->bytes[i]);
        s->outs[i] = s->blocks[i] + (i ? 0 : g->result.base);
    }
}

static void end_sweep(sweep *s) {
    free(s->cotangent);
    free((char *)s->inputs[s->g.net.n_inputs]);
    for (int64_t i = 0; i <= s->g.net.n_needed; i++) free(s->blocks[i]);
    network_free(&s->g);
}

/* One part of a run, or all of it, in an arena of exactly the promised bytes with no number in it. */
static void run_part(sweep *s, const tn_program *program, char *saved, int part) {
    const tn_program_info info = tn_program_describe(program);
    char *arena = tn_alloc((size_t)info.arena_bytes);
    tn_control control = {0};
    int64_t exponent;
    const tn_execution run = {program, s->inputs, s->outs, arena, &control, saved, part};
    memset(arena, 0xff, (size_t)info.arena_bytes);
    CHECK(tn_program_run(&run, &exponent) == TN_OK && exponent == 0, "run");
    CHECK(control.done <= control.total, "%g of %g", control.done, control.total);
    tn_free(arena, (size_t)info.arena_bytes);
}

static void run_sweep(sweep *s, const tn_program *program, int halves) {
    const tn_program_info info = tn_program_describe(program);
    char *saved = allocate(info.saved_bytes);
    for (int64_t i = 0; i <= s->g.net.n_needed; i++) memset(s->blocks[i], 0xff, (size_t)s->bytes[i]);
    memset(saved, 0xff, (size_t)info.saved_bytes);
    if (!halves) run_part(s, program, saved, TN_WHOLE);
    if (halves) run_part(s, program, saved, TN_FORWARD);
    for (int twice = 0; halves && twice < 2; twice++) run_part(s, program, saved, TN_BACKWARD);
    free(saved);
}

/* Every byte of the results; the value is left alone where it was not wanted. */
static void check_results(const sweep *s, int valued, int number) {
    const network *g = &s->g;
    const int dtype = g->net.dtype;
    for (int64_t i = 0; i <= g->net.n_needed; i++) {
        value *x = i ? network_gradient(g, s->needed[i - 1], s->cotangent) : network_value(g);
        const int64_t size = tn_itemsize(dtype), n = i ? s->bytes[i] / size : network_elements(g);
        char *expected = allocate(s->bytes[i]);
        memset(expected, 0xff, (size_t)s->bytes[i]);
        for (int64_t e = 0; e < n && (i || valued); e++)
            value_put(dtype, expected + (i ? e * size : network_place(g, e)), x[e]);
        for (int64_t at = 0; at < s->bytes[i]; at++)
            CHECK(s->blocks[i][at] == expected[at],
                  "case %d, %s, result %lld: byte %lld of %lld; %lld operands, %lld sliced", number,
                  dtype_name(dtype), (long long)i, (long long)at, (long long)s->bytes[i],
                  (long long)g->net.n_inputs, (long long)g->net.n_sliced);
        free(expected);
        free(x);
    }
}

static void verify(sweep *s, rng *r, int number) {
    tn_program *program;
    s->g.net.threads = 1 + rng_below(r, 3);
    CHECK(tn_lower(&s->g.net, &program) == TN_OK, "lowering");
    run_sweep(s, program, 0);
    check_results(s, 1, number);
    if (!s->g.net.n_sliced) {
        run_sweep(s, program, 1);
        check_results(s, 1, number);
    }
    char *value_at = s->outs[0];
    s->outs[0] = NULL;
    run_sweep(s, program, 0);
    s->outs[0] = value_at;
    check_results(s, 0, number);
    tn_program_free(program);
}

static void gradients_are_the_product_of_all_others(void) {
    static const int dtypes[] = {TN_F64,  TN_F16, TN_C64, TN_U8,  TN_F32, TN_C128,
                                 TN_BOOL, TN_U16, TN_F64, TN_U64, TN_C64, TN_U32};
    for (int number = 0; number < CASES; number++) {
        rng r = {(uint64_t)(30000 + number)};
        sweep s = {0};
        network_random(&s.g, &r, dtypes[number % 12]);
        begin_sweep(&s, &r);
        verify(&s, &r, number);
        end_sweep(&s);
    }
}

static void gradients_of_stems_are_those_of_their_definition(void) {
    for (int number = 0; number < CASES / 40; number++) {
        rng r = {(uint64_t)(40000 + number)};
        sweep s = {0};
        network_stem(&s.g, &r, number % 2 ? TN_F64 : TN_C64);
        begin_sweep(&s, &r);
        verify(&s, &r, number);
        end_sweep(&s);
    }
}

static void the_sweep_costs_twice_the_forward_steps(void) {
    static const int64_t sizes[] = {3, 4, 5, 6, 7};
    static const struct {
        const char *sliced;
        double macs;
    } cases[] = {
        {"", 3 * (3 * 4 * 5 + 3 * 5 * 6 + 3 * 6 * 7)},
        /* the gradients of a, b and of b, c wait for the end of the loop over d */
        {"d", 3 * (3 * 4 * 5 + 6 * (3 * 5 + 3 * 7))},
        {"e", 3 * (3 * 4 * 5 + 3 * 5 * 6 + 7 * (3 * 6))},
    };
    static const int64_t all[] = {0, 1, 2, 3};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        network g;
        network_parse(&g, "ab,bc,cd,de->ae", sizes, cases[i].sliced, TN_F64, value_random);
        g.net.needed = all;
        g.net.n_needed = 4;
        tn_program *program;
        CHECK(tn_lower(&g.net, &program) == TN_OK, "lowering");
        const tn_program_info info = tn_program_describe(program);
        CHECK(info.macs <= cases[i].macs, "%s: %g", cases[i].sliced, info.macs);
        CHECK(*cases[i].sliced || 3 * info.forward_macs == info.macs, "%g", info.forward_macs);
        CHECK(info.output_bytes == 8 * (3 * 7 + 3 * 4 + 4 * 5 + 5 * 6 + 6 * 7), "%lld",
              (long long)info.output_bytes);
        tn_program_free(program);
        network_free(&g);
    }
}

const test backward_tests[] = {
    TEST(gradients_are_the_product_of_all_others),
    TEST(gradients_of_stems_are_those_of_their_definition),
    TEST(the_sweep_costs_twice_the_forward_steps),
    {0},
};
