/* Runs in parts: paused, stored, continued elsewhere, shared out by chunks; the bits stay the same. */
#include "network.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Sliced networks: uneven chunks, sums in place, sliced output, steps outside the loop. */
static const struct {
    const char *equation, *sliced;
    int64_t sizes[MAX_INDICES];
    int dtype;
    int64_t largest; /* 1: no memory for sums, so that chunks can only be places of the output */
} cases[] = {
    {"abe,bce,cde->ad", "e", {24, 16, 12, 4, 6}, TN_F32, 0},
    {"bc,cd,ab->ad", "a", {33, 16, 15, 12}, TN_F64, 0},
    {"bc,cd,ab->ad", "a", {33, 16, 15, 12}, TN_C64, 1},
    {"abc,cbd->d", "bc", {9, 7, 11, 130}, TN_C128, 1},
    {"ab,bc,cd->a", "cd", {5, 6, 7, 8}, TN_F16, 0},
    {"ab,bc,cd->ad", "ca", {70, 6, 5, 8}, TN_F32, 1},
    {"ab,b->ab", "ab", {8, 300}, TN_F64, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* What there is of one run: its own arena and output. */
typedef struct {
    const network *g;
    tn_program *program;
    tn_program_info info;
    char *block, *out, *arena;
    tn_control control;
} part;

static part make_part(network *g, int threads, int strip) {
    part x = {.g = g};
    g->net.threads = threads;
    g->net.strip = strip;
    CHECK(tn_lower(&g->net, &x.program) == TN_OK, "lowering");
    x.info = tn_program_describe(x.program);
    x.arena = tn_alloc((size_t)x.info.arena_bytes);
    x.block = allocate(g->result.bytes);
    CHECK(x.arena, "arena of %lld bytes", (long long)x.info.arena_bytes);
    memset(x.arena, 0xff, (size_t)x.info.arena_bytes);
    memset(x.block, 0xff, (size_t)g->result.bytes);
    return x;
}

static void free_part(part *x) {
    tn_free(x->arena, (size_t)x->info.arena_bytes);
    tn_program_free(x->program);
    free(x->block);
}

static tn_execution run_of(part *x) {
    x->out = x->block + x->g->result.base;
    return (tn_execution){x->program, x->g->data, &x->out, x->arena, &x->control, NULL, TN_WHOLE};
}

static tn_chunk *chunks_of(const part *x) { return (tn_chunk *)(x->arena + x->info.chunks_at); }

static void begin(part *x) {
    const tn_execution run = run_of(x);
    tn_execution_begin(&run, 1);
    CHECK(tn_execution_prepare(&run) == TN_OK, "prepare");
}

/* What `from` has summed of a chunk replaces what `to` has. */
static void move_chunk(const part *from, part *to, int64_t chunk) {
    chunks_of(to)[chunk] = chunks_of(from)[chunk];
    if (from->info.sums_bytes) {
        memcpy(to->arena + to->info.sums_at + chunk * to->info.sums_bytes,
               from->arena + from->info.sums_at + chunk * from->info.sums_bytes,
               (size_t)from->info.sums_bytes);
        return;
    }
    /* rows of the output: what is sliced comes first in it */
    const int64_t row = from->g->result.bytes / from->info.places;
    const int64_t slices = from->info.slices / from->info.places; /* in each */
    const int64_t first = tn_first_slice(from->program, chunk) / slices * row;
    const int64_t end = tn_first_slice(from->program, chunk + 1) / slices * row;
    memcpy(to->block + first, from->block + first, (size_t)(end - first));
}

static int64_t finish(part *x) {
    const tn_execution run = run_of(x);
    int64_t exponent = 0;
    x->control = (tn_control){0};
    CHECK(tn_execution_finish(&run, &exponent) == TN_OK, "finish");
    return exponent;
}

/* The bytes of an uninterrupted run on one thread. */
static char *in_one_go(network *g, int strip, int64_t *exponent) {
    part x = make_part(g, 1, strip);
    char *result = allocate(g->result.bytes);
    const tn_execution run = run_of(&x);
    CHECK(tn_program_run(&run, exponent) == TN_OK, "run");
    memcpy(result, x.block, (size_t)g->result.bytes);
    free_part(&x);
    return result;
}

static void make_case(network *g, int i) {
    network_parse(g, cases[i].equation, cases[i].sizes, cases[i].sliced, cases[i].dtype,
                  value_rough);
    g->net.largest = cases[i].largest;
}

typedef struct {
    tn_control *control;
    int calls, answer;
} asker;

static int ask(void *self, double done, double total) {
    asker *x = self;
    CHECK(done >= 0 && done <= total, "%g of %g", done, total);
    x->control->next_poll = 0; /* ask again at the next occasion, whatever the time */
    return x->calls++ % 3 == 2 ? x->answer : TN_GO_ON;
}

static void a_run_that_pauses_and_moves_to_another_arena_keeps_its_bits(void) {
    for (int i = 0; i < CASES; i++)
        for (int variant = 0; variant < 6; variant++) {
            const int strip = variant % 2, threads = 1 + variant / 2;
            network g;
            make_case(&g, i);
            int64_t expected_exponent, pauses = 0;
            char *expected = in_one_go(&g, strip, &expected_exponent);
            part x = make_part(&g, threads, strip);
            begin(&x);
            for (;;) {
                tn_execution run = run_of(&x);
                asker a = {&x.control, 0, TN_PAUSE};
                x.control = (tn_control){.poll = ask, .self = &a};
                const tn_status status = tn_execution_chunks(&run, 0, x.info.chunks);
                if (status == TN_OK) break;
                CHECK(status == TN_PAUSED, "status %d", status);
                pauses++;
                part other = make_part(&g, 1 + (threads + 1) % 4, strip);
                begin(&other);
                for (int64_t c = 0; c < x.info.chunks; c++) move_chunk(&x, &other, c);
                free_part(&x);
                x = other;
            }
            CHECK(pauses > 0 || threads > 1, "%s never paused", cases[i].equation);
            const int64_t exponent = finish(&x);
            CHECK(exponent == expected_exponent &&
                      !memcmp(x.block, expected, (size_t)g.result.bytes),
                  "%s, %d threads, strip %d", cases[i].equation, threads, strip);
            free(expected);
            free_part(&x);
            network_free(&g);
        }
}

static void chunks_summed_apart_in_any_order_combine_to_the_same_bits(void) {
    for (int i = 0; i < CASES; i++)
        for (int strip = 0; strip < 2; strip++) {
            network g;
            make_case(&g, i);
            int64_t expected_exponent;
            char *expected = in_one_go(&g, strip, &expected_exponent);
            part whole = make_part(&g, 2, strip), worker = make_part(&g, 1, strip);
            tn_execution run = run_of(&whole);
            tn_execution_begin(&run, 1);
            run = run_of(&worker);
            begin(&worker);
            for (int64_t c = worker.info.chunks - 1; c >= 0; c--) {
                CHECK(tn_execution_chunks(&run, c, c + 1) == TN_OK, "chunk %lld", (long long)c);
                CHECK(chunks_of(&worker)[c].next == tn_first_slice(worker.program, c + 1),
                      "chunk %lld is not done", (long long)c);
                move_chunk(&worker, &whole, c);
            }
            const int64_t exponent = finish(&whole);
            CHECK(exponent == expected_exponent &&
                      !memcmp(whole.block, expected, (size_t)g.result.bytes),
                  "%s, strip %d", cases[i].equation, strip);
            free(expected);
            free_part(&whole);
            free_part(&worker);
            network_free(&g);
        }
}

static void chunks_are_places_of_an_output_too_large_to_be_summed_apart(void) {
    static const int64_t places[CASES] = {0, 0, 33, 1, 0, 70, 0}; /* 0: there are sums */
    for (int i = 0; i < CASES; i++) {
        network g;
        make_case(&g, i);
        part x = make_part(&g, 1, 0);
        CHECK(!x.info.sums_bytes == !!places[i], "case %d", i);
        if (places[i])
            CHECK(x.info.places == places[i], "case %d: %lld", i, (long long)x.info.places);
        CHECK((x.info.chunks > 1) == (places[i] != 1), "case %d", i);
        free_part(&x);
        network_free(&g);
    }
}

static void a_cancelled_run_goes_on_from_every_chunk_that_is_not_torn(void) {
    for (int i = 0; i < CASES; i++)
        for (int variant = 0; variant < 4; variant++) {
            const int strip = variant % 2, threads = 1 + variant / 2;
            network g;
            make_case(&g, i);
            int64_t expected_exponent;
            char *expected = in_one_go(&g, strip, &expected_exponent);
            part x = make_part(&g, threads, strip), fresh = make_part(&g, 1, strip);
            tn_execution run = run_of(&fresh);
            tn_execution_begin(&run, 1);
            begin(&x);
            run = run_of(&x);
            asker a = {&x.control, 0, TN_CANCEL};
            x.control = (tn_control){.poll = ask, .self = &a};
            const tn_status status = tn_execution_chunks(&run, 0, x.info.chunks);
            /* other threads may be done before this one has asked often enough */
            CHECK(status == TN_INTERRUPTED || threads > 1, "status %d", status);
            x.control = (tn_control){0};
            for (int64_t c = 0; c < x.info.chunks; c++)
                if (chunks_of(&x)[c].next == TN_TORN) move_chunk(&fresh, &x, c);
            CHECK(tn_execution_chunks(&run, 0, x.info.chunks) == TN_OK, "not continued");
            const int64_t exponent = finish(&x);
            CHECK(exponent == expected_exponent &&
                      !memcmp(x.block, expected, (size_t)g.result.bytes),
                  "%s, %d threads, strip %d", cases[i].equation, threads, strip);
            free(expected);
            free_part(&x);
            free_part(&fresh);
            network_free(&g);
        }
}

typedef struct {
    atomic_int polls;
    int patience;
} listener;

static int hear(void *self, double done, double total) {
    listener *x = self;
    (void)done, (void)total;
    return atomic_fetch_add(&x->polls, 1) >= x->patience ? TN_CANCEL : TN_GO_ON;
}

static void rest_until_cancelled(void *argument, int64_t task, int worker) {
    tn_control *control = argument;
    (void)task;
    for (int round = 0; !tn_stopped(control, worker); round++) tn_rest(round);
}

static void whoever_rests_hears_of_the_end(void) {
    listener x = {.patience = 2};
    tn_control control = {.poll = hear, .self = &x};
    tn_parallel_for(3, 3, rest_until_cancelled, &control);
    CHECK(control.cancel && atomic_load(&x.polls) == 3, "%d polls", atomic_load(&x.polls));
}

const test parts_tests[] = {
    TEST(a_run_that_pauses_and_moves_to_another_arena_keeps_its_bits),
    TEST(chunks_summed_apart_in_any_order_combine_to_the_same_bits),
    TEST(chunks_are_places_of_an_output_too_large_to_be_summed_apart),
    TEST(a_cancelled_run_goes_on_from_every_chunk_that_is_not_torn),
    TEST(whoever_rests_hears_of_the_end),
    {0},
};
