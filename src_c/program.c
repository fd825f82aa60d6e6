/* Runs a compiled program: steps in order, slices in chunks, chunks combined in a fixed tree. */
#include "program.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    CHECK_STEPS = 256,     /* tiny steps between two looks at the clock */
    LOWEST_SHIFT = -2100   /* below this, scaling by 2^shift gives zero in every type */
};
static const double CHECK_MACS = 1 << 20;
static const double WORTH_WAKING = 1 << 22; /* macs of a program of many steps */

/* One run.  All memory comes from the caller's arena:
 * shared | worker arenas | tables | workspaces | sums of each chunk */
typedef struct {
    const tn_program *p;
    const tn_kernels *kernels;
    const char *const *inputs;
    char *out, *arena;
    tn_control *control;
    atomic_llong slices_done;
    int64_t exponents[64]; /* of the sums of each chunk */
} run_state;

/* What one worker sees: the address and the stripped exponent of every value. */
typedef struct {
    run_state *run;
    char **at;
    int64_t *exponent;
    char *sums; /* where results go: the output, or the sums of this chunk */
    int worker, threads;
    double done, unchecked; /* macs: finished, and since the last look at the clock */
    int unchecked_steps;
} worker_state;

static char *workspaces(const run_state *r) {
    const tn_program *p = r->p;
    return r->arena + p->shared_bytes + p->workers * (p->worker_bytes + p->table_bytes);
}

static char *chunk_sums(const run_state *r, int64_t chunk) {
    return workspaces(r) + r->p->threads * r->p->workspace_bytes + chunk * r->p->sums_bytes;
}

static worker_state make_worker(run_state *r, int worker) {
    const tn_program *p = r->p;
    char *table = r->arena + p->shared_bytes + p->workers * p->worker_bytes +
                  worker * p->table_bytes;
    worker_state w = {.run = r, .at = (char **)table, .worker = worker, .threads = 1,
                      .sums = r->out};
    if (p->strip)
        w.exponent = (int64_t *)(table + TN_ALIGNED(p->n_values * (int64_t)sizeof(char *)));
    return w;
}

static void fill_table(worker_state *w) {
    const run_state *r = w->run;
    const tn_program *p = r->p;
    char *own = r->arena + p->shared_bytes + w->worker * p->worker_bytes;
    for (int64_t v = 0; v < p->n_values; v++) {
        const tn_value *value = &p->values[v];
        w->at[v] = value->place == PLACE_SHARED   ? r->arena + value->offset
                   : value->place == PLACE_WORKER ? own + value->offset
                   : value->place == PLACE_INPUT  ? (char *)r->inputs[v]
                                                  : w->sums;
        if (w->exponent) w->exponent[v] = 0;
    }
}

/* Takes the power of two out of a fresh value. */
static void strip(worker_state *w, const tn_step *s) {
    const tn_program *p = w->run->p;
    const int64_t reals = p->values[s->c].elements * tn_real_count(p->dtype);
    const int e = w->run->kernels->exponent(w->at[s->c], reals);
    int64_t sum = w->exponent[s->a] + (s->b >= 0 ? w->exponent[s->b] : 0);
    if (e != 0 && e != TN_NO_EXPONENT) {
        w->run->kernels->scale(w->at[s->c], reals, -e);
        sum += e;
    }
    w->exponent[s->c] = sum;
}

static void run_step(worker_state *w, const tn_step *s) {
    const run_state *r = w->run;
    const char *a = w->at[s->a], *b = s->b >= 0 ? w->at[s->b] : NULL;
    char *c = w->at[s->c];
    if (s->x.road == TN_ROAD_TABLE)
        r->kernels->table(&s->x, a, b, c);
    else if (s->widen)
        tn_half_to_float(s->x.dims, s->x.n_m, a, c);
    else
        tn_contract(&s->x, a, b, c, w->threads,
                    workspaces(r) + w->worker * r->p->workspace_bytes, r->p->workspace_bytes,
                    w->worker, r->control);
    if (w->exponent) strip(w, s);
}

/* Looks at the clock now and then; nonzero when the run shall end. */
static int check(worker_state *w, double macs) {
    tn_control *control = w->run->control;
    w->done += macs;
    w->unchecked += macs;
    if (++w->unchecked_steps < CHECK_STEPS && w->unchecked < CHECK_MACS) return 0;
    w->unchecked_steps = 0;
    w->unchecked = 0;
    if (w->worker == 0) control->done = w->done;
    return tn_stopped(control, w->worker);
}

static int run_steps(worker_state *w, int64_t from, int64_t to) {
    const tn_program *p = w->run->p;
    for (int64_t i = from; i < to; i++) {
        const tn_step *s = &p->steps[i];
        run_step(w, s);
        double macs = (double)s->x.batch * (double)s->x.m * (double)s->x.n * (double)s->x.k;
        if (check(w, s->x.unary ? 0 : macs)) return 1;
    }
    return 0;
}

static int64_t at_least(int64_t shift) { return shift < LOWEST_SHIFT ? LOWEST_SHIFT : shift; }

/* sums += result * 2^exponent, where sums stand for sums * 2^*have. */
static void collect(worker_state *w, int64_t *have, char *to) {
    run_state *r = w->run;
    const tn_program *p = r->p;
    const int64_t parts = tn_real_count(p->dtype), elements = p->values[p->result].elements;
    char *result = w->at[p->result];
    const int64_t e = w->exponent[p->result];
    if (r->kernels->exponent(result, elements * parts) == TN_NO_EXPONENT) return;
    if (*have == TN_NO_EXPONENT) {
        *have = e;
    } else if (e > *have) {
        r->kernels->scale(w->sums, p->output_elements * parts, (int)at_least(*have - e));
        *have = e;
    } else if (e < *have) {
        r->kernels->scale(result, elements * parts, (int)at_least(e - *have));
    }
    tn_contract(&p->collect, result, NULL, to, 1, NULL, 0, w->worker, r->control);
}

/* Points the operands at slice `digits`; returns where the slice's result goes. */
static char *move_to_slice(worker_state *w, const int64_t *digits) {
    const tn_program *p = w->run->p;
    char *to = w->sums;
    for (int64_t i = 0; i < p->n_slice_strides; i++) {
        const int32_t v = p->slice_strides[i].value;
        if (v >= 0) w->at[v] = (char *)w->run->inputs[v];
    }
    for (int64_t i = 0; i < p->n_slice_strides; i++) {
        const tn_slice_stride *s = &p->slice_strides[i];
        *(s->value < 0 ? &to : &w->at[s->value]) += digits[s->loop] * s->stride;
    }
    const int32_t root = p->steps[p->n_steps - 1].c;
    if (p->values[root].place == PLACE_OUTPUT) w->at[root] = to;
    return to;
}

/* The slices of one chunk, in order; steps that do not depend on the loops that moved are kept. */
static int run_chunk(worker_state *w, int64_t chunk) {
    run_state *r = w->run;
    const tn_program *p = r->p;
    const int64_t begin = tn_chunk_start(p, chunk), end = tn_chunk_start(p, chunk + 1);
    int64_t digits[64], rest = begin, level = 1;
    for (int64_t l = p->n_loops - 1; l >= 0; l--) {
        digits[l] = rest % p->extents[l];
        rest /= p->extents[l];
    }
    for (int64_t s = begin; s < end; s++) {
        char *to = move_to_slice(w, digits);
        w->done = p->level_macs[0] + (p->macs - p->level_macs[0]) *
                  (double)atomic_load(&r->slices_done) / (double)p->slices;
        if (run_steps(w, p->level_start[level], p->n_steps)) return 1;
        if (p->strip) collect(w, &r->exponents[chunk], to);
        atomic_fetch_add(&r->slices_done, 1);
        if (w->worker == 0) r->control->done = w->done;
        if (tn_stopped(r->control, w->worker)) return 1;
        int64_t l = p->n_loops - 1;
        for (; l >= 0 && ++digits[l] == p->extents[l]; l--) digits[l] = 0;
        level = l + 1;
    }
    return 0;
}

static void chunk_task(void *argument, int64_t chunk, int worker) {
    run_state *r = argument;
    if (tn_stopped(r->control, worker)) return;
    worker_state w = make_worker(r, worker);
    if (r->p->workers == 1) w.threads = (int)r->p->threads;
    if (!r->p->direct) w.sums = chunk_sums(r, chunk);
    run_chunk(&w, chunk);
}

/* Sums of chunk `from` join those of chunk `to`. */
static void combine(run_state *r, int64_t to, int64_t from) {
    const tn_program *p = r->p;
    const int64_t reals = p->output_elements * tn_real_count(p->dtype);
    int64_t shift = 0;
    if (p->strip) {
        int64_t *have = &r->exponents[to], e = r->exponents[from];
        if (e == TN_NO_EXPONENT) return;
        if (*have == TN_NO_EXPONENT) *have = e;
        if (e > *have) {
            r->kernels->scale(chunk_sums(r, to), reals, (int)at_least(*have - e));
            *have = e;
        }
        shift = at_least(e - *have);
    }
    r->kernels->add(chunk_sums(r, to), chunk_sums(r, from), reals, (int)shift);
}

static void write_output(run_state *r, int64_t *exponent) {
    const tn_program *p = r->p;
    char *sums = chunk_sums(r, 0);
    for (int64_t distance = 1; distance < p->chunks; distance *= 2)
        for (int64_t c = 0; c + distance < p->chunks; c += 2 * distance) combine(r, c, c + distance);
    if (p->strip) {
        const int64_t reals = p->output_elements * tn_real_count(p->dtype);
        int e = r->kernels->exponent(sums, reals);
        *exponent = r->exponents[0];
        if (e == TN_NO_EXPONENT) *exponent = TN_NO_EXPONENT;
        else if (e) r->kernels->scale(sums, reals, -e), *exponent += e;
    }
    if (p->half)
        tn_float_to_half(p->copy.dims, p->copy.n_batch, sums, r->out);
    else
        tn_contract(&p->copy, sums, NULL, r->out, (int)p->threads, NULL, 0, 0, r->control);
}

/* Everything that is summed into starts at zero. */
static void clear_sums(run_state *r) {
    static const char zero[16];
    const tn_program *p = r->p;
    for (int64_t c = 0; c < p->chunks; c++) r->exponents[c] = TN_NO_EXPONENT;
    if (!p->direct)
        memset(chunk_sums(r, 0), 0, (size_t)(p->chunks * p->sums_bytes));
    else if (p->n_loops)
        tn_contract(&p->fill, zero, NULL, r->out, (int)p->threads, NULL, 0, 0, r->control);
}

static tn_status run_all(const tn_program *p, const char *const *inputs, char *out, char *arena,
                         tn_control *control, int64_t *exponent) {
    run_state r = {.p = p, .kernels = tn_get_kernels(p->dtype), .inputs = inputs, .out = out,
                   .arena = arena, .control = control};
    *exponent = 0;
    control->total = p->macs;
    clear_sums(&r);
    worker_state w = make_worker(&r, 0);
    w.threads = (int)p->threads;
    if (!p->direct) w.sums = chunk_sums(&r, 0);
    fill_table(&w);
    if (run_steps(&w, 0, p->level_start[1])) return TN_INTERRUPTED;
    if (p->n_loops == 0) {
        if (p->strip) collect(&w, &r.exponents[0], w.sums);
    } else {
        for (int i = 1; i < p->workers; i++) {
            worker_state other = make_worker(&r, i);
            fill_table(&other);
            if (p->strip)
                memcpy(other.exponent, w.exponent, (size_t)p->n_values * sizeof *w.exponent);
        }
        tn_parallel_for((int)p->workers, p->chunks, chunk_task, &r);
    }
    if (tn_stopped(control, 0)) return TN_INTERRUPTED;
    if (!p->direct) write_output(&r, exponent);
    return TN_OK;
}

tn_status tn_program_run(const tn_program *p, const char *const *inputs, char *out, char *arena,
                         tn_control *control, int64_t *exponent) {
    if (p->threads == 1 || p->n_steps == 1 || p->macs < WORTH_WAKING)
        return run_all(p, inputs, out, arena, control, exponent);
    tn_begin_run((int)p->threads);
    const tn_status status = run_all(p, inputs, out, arena, control, exponent);
    tn_end_run();
    return status;
}

tn_program_info tn_program_describe(const tn_program *p) {
    return (tn_program_info){
        .steps = p->n_steps,
        .slices = p->slices,
        .chunks = p->chunks,
        .workers = p->workers,
        .threads = p->threads,
        .arena_bytes = p->arena_bytes,
        .output_bytes = p->output_elements * (p->half ? 2 : tn_itemsize(p->dtype)),
        .macs = p->macs,
        .invariant_steps = p->level_start[1],
    };
}

int tn_program_step(const tn_program *p, int64_t i, char *text, size_t capacity) {
    static const char *const roads[] = {"gett", "direct", "dots", "nest n",
                                        "nest batch", "nest k", "transpose", "skinny", "table"};
    const tn_step *s = &p->steps[i];
    const int32_t level = p->values[s->c].level;
    if (s->widen) return snprintf(text, capacity, "level %d  widen %d", level, s->a);
    return snprintf(text, capacity, "level %d  %-10s %s(%d, %d) batch %lld m %lld n %lld k %lld",
                    level, roads[s->x.road], s->x.unary ? "unary" : "pair", s->a, s->b,
                    (long long)s->x.batch, (long long)s->x.m, (long long)s->x.n,
                    (long long)s->x.k);
}
