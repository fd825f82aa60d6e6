/* Lowering: what it costs, what it refuses, and that it survives every failed allocation.
 * Its sources are compiled with malloc, calloc and realloc replaced by those here. */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *test_malloc(size_t bytes);
void *test_calloc(size_t count, size_t bytes);
void *test_realloc(void *memory, size_t bytes);

static int failing_at, allocations; /* the number of the one that fails, 0: none */

static int fails(void) { return failing_at && ++allocations == failing_at; }

void *test_malloc(size_t bytes) { return fails() ? NULL : malloc(bytes); }
void *test_calloc(size_t count, size_t bytes) { return fails() ? NULL : calloc(count, bytes); }
void *test_realloc(void *memory, size_t bytes) { return fails() ? NULL : realloc(memory, bytes); }

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    static const int64_t first[] = {0};
    int most = 0;
    for (int number = 0; number < 41; number++) {
        const int ring = number == 40; /* in branches */
        rng r = {(uint64_t)(7000 + number)};
        network g;
        if (ring) network_ring(&g, 110, TN_F32, value_random), g.net.threads = 2;
        else if (number % 4) network_random(&g, &r, number % 2 ? TN_F16 : TN_C64);
        else network_stem(&g, &r, TN_F32);
        g.net.strip = number % 3 == 0;
        g.net.needed = first;
        g.net.n_needed = number % 3 == 1 && !ring;
        g.net.block_bytes = number % 8 ? 0 : 64;
        tn_status status = TN_NO_MEMORY;
        int n = 0;
        while (status == TN_NO_MEMORY) {
            tn_program *program;
            failing_at = ++n;
            allocations = 0;
            status = tn_lower(&g.net, &program);
            failing_at = 0;
            CHECK((status == TN_OK) == (program != NULL), "allocation %d: status %d", n, status);
            CHECK((status == TN_OK) == (allocations < n), "allocation %d was not noticed", n);
            if (ring && program) CHECK(tn_program_describe(program).branches == 2, "no branches");
            tn_program_free(program);
        }
        CHECK(status == TN_OK, "status %d", status);
        if (n > most) most = n;
        network_free(&g);
    }
    CHECK(most > 18, "only %d allocations failed", most);
}

static tn_program *lowered(network *g) {
    tn_program *program;
    CHECK(tn_lower(&g->net, &program) == TN_OK, "lowering");
    return program;
}

static void a_chain_costs_what_its_equation_says(void) {
    static const int64_t sizes[] = {3, 4, 5, 6, 7};
    static const struct {
        const char *sliced;
        double macs;
        int64_t slices, chunks, invariant;
    } cases[] = {
        {"", 3 * 4 * 5 + 3 * 5 * 6 + 3 * 6 * 7, 1, 1, 3},
        /* ab,bc does not depend on d and runs once */
        {"d", 3 * 4 * 5 + 6 * (3 * 5 + 3 * 7), 6, 6, 1},
        {"e", 3 * 4 * 5 + 3 * 5 * 6 + 7 * (3 * 6), 7, 7, 2},
        {"b", 4 * (3 * 5 + 3 * 5 * 6 + 3 * 6 * 7), 4, 4, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        network g;
        network_parse(&g, "ab,bc,cd,de->ae", sizes, cases[i].sliced, TN_F64, value_random);
        tn_program *program = lowered(&g);
        const tn_program_info info = tn_program_describe(program);
        CHECK(info.macs == cases[i].macs, "%s: %g", cases[i].sliced, info.macs);
        CHECK(info.slices == cases[i].slices && info.chunks == cases[i].chunks, "%s: %lld, %lld",
              cases[i].sliced, (long long)info.slices, (long long)info.chunks);
        CHECK(info.steps == 3 && info.invariant_steps == cases[i].invariant, "%s: %lld",
              cases[i].sliced, (long long)info.invariant_steps);
        CHECK(info.output_bytes == 3 * 7 * 8, "%lld", (long long)info.output_bytes);
        CHECK(info.workers == 1 && info.threads == 1, "%lld", (long long)info.workers);
        for (int64_t s = 0; s < info.steps; s++) {
            char text[160];
            const int length = tn_program_step(program, s, text, sizeof text);
            CHECK(length > 0 && length < (int)sizeof text && strstr(text, "pair("), "%s", text);
        }
        tn_program_free(program);
        network_free(&g);
    }
}

/* A chunk that starts inside the outer loop repeats that loop's step: where it is most of the work,
 * chunks start with the loop; where it is little, there are more chunks than it has passes. */
static void a_step_of_an_outer_loop_is_counted_once_per_chunk_that_needs_it(void) {
    static const int64_t sizes[2][5] = {{3, 4, 5, 6, 7}, {3, 4, 5, 6, 700}};
    for (int i = 0; i < 2; i++) {
        network g;
        network_parse(&g, "ab,bc,cd,de->ae", sizes[i], "ed", TN_F64, value_random);
        tn_program *program = lowered(&g);
        const tn_program_info info = tn_program_describe(program);
        int64_t passes = 6; /* of the step that depends on d alone; e is the inner loop */
        for (int64_t chunk = 0; chunk < info.chunks; chunk++)
            passes += tn_first_slice(program, chunk) % sizes[i][4] != 0;
        const double macs = 3 * 4 * 5 + (double)passes * (3 * 5) + 6 * (double)sizes[i][4] * 3;
        CHECK(info.macs == macs, "%g macs, not %g", info.macs, macs);
        CHECK(i ? info.chunks > 24 : info.chunks == 6, "%lld chunks", (long long)info.chunks);
        tn_program_free(program);
        network_free(&g);
    }
}

static void the_innermost_loop_is_the_one_that_repeats_the_least(void) {
    static const int64_t sizes[] = {20, 20, 20, 4, 4};
    for (int i = 0; i < 2; i++) {
        network g;
        network_parse(&g, "ab,bcd,ce->a", sizes, i ? "de" : "ed", TN_F64, value_random);
        tn_program *program = lowered(&g);
        const tn_program_info info = tn_program_describe(program);
        /* ab,bcd is computed for each d, and only the last step for each e too */
        CHECK(info.macs == 4 * 20 * 20 * 20 + 16 * 20 * 20, "%g", info.macs);
        tn_program_free(program);
        network_free(&g);
    }
}

static void only_a_long_run_is_cut_into_more_chunks(void) {
    static const int64_t sizes[2][4] = {{2, 64, 2, 64}, {4096, 64, 4096, 64}};
    for (int i = 0; i < 2; i++) {
        network g;
        network_parse(&g, "abd,bcd,acd->", sizes[0], "bd", TN_F64, value_random);
        memcpy(g.sizes, sizes[i], sizeof sizes[i]);
        tn_program *program = lowered(&g);
        const tn_program_info info = tn_program_describe(program);
        CHECK(i ? info.chunks > 32 && info.chunks <= 256 : info.chunks <= 32, "%lld of %g macs",
              (long long)info.chunks, info.macs);
        tn_program_free(program);
        network_free(&g);
    }
}

static void chunks_are_set_by_the_plan_and_never_by_the_threads(void) {
    static const int64_t sizes[] = {30, 100, 30};
    for (int threads = 1; threads <= 8; threads++) {
        network g;
        network_parse(&g, "ab,bc->ac", sizes, "b", TN_F32, value_random);
        g.net.threads = threads;
        tn_program *program = lowered(&g);
        const tn_program_info info = tn_program_describe(program);
        CHECK(info.chunks == 32 && info.slices == 100, "%lld", (long long)info.chunks);
        CHECK(info.workers == threads, "%lld workers", (long long)info.workers);
        tn_program_free(program);
        network_free(&g);
    }
}

static int64_t chunks_of(const char *equation, const int64_t *sizes, const char *sliced,
                         int dtype, int64_t largest) {
    network g;
    network_parse(&g, equation, sizes, sliced, dtype, value_random);
    g.net.largest = largest;
    tn_program *program = lowered(&g);
    const int64_t chunks = tn_program_describe(program).chunks;
    tn_program_free(program);
    network_free(&g);
    return chunks;
}

static void sums_of_chunks_stay_small(void) {
    static const int64_t wide[] = {32, 4200}, square[] = {30, 100, 30};
    CHECK(chunks_of("ab,b->ab", wide, "b", TN_C128, 0) == 32, "32 sums of 2 MB");
    CHECK(chunks_of("ab,b->ab", wide, "a", TN_F32, 0) == 32, "32 sums of 0.5 MB");
    /* with a largest intermediate, all sums together have at most half its entries */
    CHECK(chunks_of("ab,bc->ac", square, "b", TN_F32, 100000) == 32, "small enough");
    CHECK(chunks_of("ab,bc->ac", square, "b", TN_F32, 10 * 900) == 5, "5 sums of 900");
    CHECK(chunks_of("ab,bc->ac", square, "b", TN_F32, 900) == 1, "not even two");
    CHECK(chunks_of("ab,bc->", square, "b", TN_F32, 3) == 32, "sums of one number");
}

/* The sanitizer sees if the axes of a step are read where they lay before more were added. */
static void many_steps_after_a_long_sum_leave_it_its_workspace(void) {
    static const int64_t sizes[] = {400, 400, 2, 2, 2, 2, 2, 2, 2}, all[] = {0, 1, 2, 3, 4, 5, 6};
    network g;
    network_parse(&g, "ab,ab,cdefghi,ihgfedc,dcfehgi,gfedcih,eicgdfh->hgcdief", sizes, "", TN_F32, value_random);
    g.net.needed = all;
    g.net.n_needed = 7;
    tn_program *program;
    CHECK(tn_lower(&g.net, &program) == TN_OK, "lowering");
    CHECK(tn_program_describe(program).macs >= 400 * 400, "the long sum is there");
    tn_program_free(program);
    network_free(&g);
}

static tn_status refuse(const tn_network *net) {
    tn_program *program;
    const tn_status status = tn_lower(net, &program);
    CHECK((status == TN_OK) == (program != NULL), "status %d", status);
    tn_program_free(program);
    return status;
}

static void too_many_axes_slices_or_entries_are_refused(void) {
    enum { MANY = 140 };
    int64_t sizes[MANY], ids[2 * MANY], strides[2 * MANY] = {0};
    for (int i = 0; i < MANY; i++) sizes[i] = 1, ids[i] = i;
    int64_t starts[5] = {0, TN_MAX_DIMS + 1}, steps[6];
    tn_network net = {.n_inputs = 1, .n_indices = MANY, .starts = starts, .ids = ids,
                      .sizes = sizes, .output = ids, .sliced = ids, .steps = steps,
                      .input_strides = strides, .dtype = TN_F64, .threads = 1};
    CHECK(refuse(&net) == TN_TOO_LARGE, "an operand with too many axes");
    starts[1] = TN_MAX_DIMS;
    CHECK(refuse(&net) == TN_OK, "as many axes as there may be");
    net.n_sliced = 65;
    CHECK(refuse(&net) == TN_TOO_LARGE, "too many sliced indices");
    net.n_sliced = 64;
    CHECK(refuse(&net) == TN_OK, "as many sliced indices as there may be");
    net.n_sliced = 0;
    net.n_output = TN_MAX_DIMS + 1;
    CHECK(refuse(&net) == TN_TOO_LARGE, "an output with too many axes");
    for (int i = 0; i < MANY; i++) sizes[i] = 2;
    net.n_output = starts[1] = 60;
    CHECK(refuse(&net) == TN_TOO_LARGE, "an output of 2^60 entries");
    net.n_output = 0;
    net.n_sliced = 60;
    CHECK(refuse(&net) == TN_TOO_LARGE, "2^60 slices");
    net.n_sliced = 0;
    starts[1] = 70;
    CHECK(refuse(&net) == TN_TOO_LARGE, "an operand of 2^70 entries");
    /* 20 + 20 + 20 axes whose outer product has 2^60 entries, and an operand with all of them */
    for (int i = 0; i < 60; i++) ids[60 + i] = i;
    memcpy(starts, (int64_t[]){0, 20, 40, 60, 120}, sizeof starts);
    memcpy(steps, (int64_t[]){0, 1, 4, 2, 5, 3}, sizeof steps);
    net.n_inputs = 4;
    CHECK(refuse(&net) == TN_TOO_LARGE, "an intermediate of 2^60 entries");
}

const test lowering_tests[] = {
    TEST(every_failed_allocation_is_reported_and_leaks_nothing),
    TEST(a_chain_costs_what_its_equation_says),
    TEST(a_step_of_an_outer_loop_is_counted_once_per_chunk_that_needs_it),
    TEST(the_innermost_loop_is_the_one_that_repeats_the_least),
    TEST(only_a_long_run_is_cut_into_more_chunks),
    TEST(chunks_are_set_by_the_plan_and_never_by_the_threads),
    TEST(sums_of_chunks_stay_small),
    TEST(many_steps_after_a_long_sum_leave_it_its_workspace),
    TEST(too_many_axes_slices_or_entries_are_refused),
    {0},
};
