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

/* One call of a part of a run.  All memory comes from the caller's arena:
 * shared | worker arenas | tables | workspaces | blocks | sums of each chunk | state of each chunk */
typedef struct {
    const tn_program *p;
    const tn_kernels *kernels;
    const char *const *inputs;
    char *const *outs;
    char *arena, *saved;
    tn_control *control;
    int part;
    int64_t workers;              /* that take part, each on one thread; 1: all threads in each step */
    int64_t last;                 /* the end of the chunks to run */
    atomic_llong next_chunk;      /* or branch */
    atomic_int busy;              /* workers that are in a chunk, or branch, or about to take one */
    atomic_llong slices_done;
} run_state;

/* What one worker sees: the address and the stripped exponent of every value. */
typedef struct {
    run_state *run;
    char **at;
    int64_t *exponent;
    char *sums; /* of this chunk */
    char *collected; /* with strip, where among them the result of this slice goes */
    int worker, threads;
    double done, most;      /* macs finished, and how many to report before the slice is over */
    double unchecked;       /* macs since the last look at the clock */
    int unchecked_steps;
} worker_state;

static run_state make_run(const tn_execution *run) {
    const tn_program *p = run->program;
    run->control->total = run->part == TN_FORWARD    ? p->forward_macs[0]
                          : run->part == TN_BACKWARD ? p->macs - p->forward_macs[0]
                                                     : p->macs;
    return (run_state){.p = p, .kernels = tn_get_kernels(p->dtype), .inputs = run->inputs,
                       .outs = run->outs, .arena = run->arena, .saved = run->saved,
                       .control = run->control, .part = run->part};
}

static int64_t workspaces_at(const tn_program *p) {
    return p->shared_bytes + p->workers * (p->worker_bytes + p->table_bytes);
}

static int64_t blocks_at(const tn_program *p) {
    return workspaces_at(p) + p->threads * p->workspace_bytes;
}

static int64_t sums_at(const tn_program *p) { return blocks_at(p) + p->threads * p->block_bytes; }

static int64_t chunks_at(const tn_program *p) { return sums_at(p) + p->chunks * p->sums_bytes; }

static char *chunk_sums(const run_state *r, int64_t chunk) {
    return r->arena + sums_at(r->p) + chunk * r->p->sums_bytes;
}

static tn_chunk *chunk_states(const run_state *r) {
    return (tn_chunk *)(r->arena + chunks_at(r->p));
}

static worker_state make_worker(run_state *r, int worker) {
    const tn_program *p = r->p;
    char *table = r->arena + p->shared_bytes + p->workers * p->worker_bytes +
                  worker * p->table_bytes;
    worker_state w = {.run = r, .at = (char **)table, .worker = worker, .threads = 1,
                      .most = p->macs};
    w.sums = w.collected = chunk_sums(r, 0);
    if (p->strip)
        w.exponent = (int64_t *)(table + TN_ALIGNED(p->n_values * (int64_t)sizeof(char *)));
    return w;
}

/* Points the results, and what is summed over all slices, to the sums of the worker's chunk. */
static void point_to_sums(worker_state *w) {
    const run_state *r = w->run;
    const tn_program *p = r->p;
    for (int64_t i = 0; i < p->n_results; i++) {
        const tn_result *result = &p->results[i];
        if (result->value >= 0)
            w->at[result->value] = result->own_sums ? w->sums + result->offset : r->outs[i];
    }
    for (int64_t v = 0; v < p->n_values && p->has_late; v++)
        if (p->values[v].place == PLACE_SUMS) w->at[v] = w->sums + p->values[v].offset;
}

static void fill_table(worker_state *w) {
    const run_state *r = w->run;
    const tn_program *p = r->p;
    char *own = r->arena + p->shared_bytes + w->worker * p->worker_bytes;
    char *const base[] = {[PLACE_INPUT] = r->arena,  [PLACE_SHARED] = r->arena,
                          [PLACE_WORKER] = own,      [PLACE_OUTPUT] = r->arena,
                          [PLACE_BLOCK] = r->arena,  [PLACE_SUMS] = w->sums,
                          [PLACE_SAVED] = r->saved};
    for (int64_t v = 0; v < p->n_inputs; v++) w->at[v] = (char *)r->inputs[v];
    for (int64_t v = p->n_inputs; v < p->n_values; v++)
        w->at[v] = base[p->values[v].place] + p->values[v].offset;
    if (w->exponent) memset(w->exponent, 0, (size_t)p->n_values * sizeof *w->exponent);
    point_to_sums(w);
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

/* Runs one step; with threads 1 as worker number `worker`. */
static void contract(const run_state *r, const tn_step *s, const char *a, const char *b, char *c,
                     int threads, int worker) {
    const tn_program *p = r->p;
    if (s->x.road == TN_ROAD_TABLE)
        r->kernels->table(&s->x, a, b, c);
    else if (s->widen)
        tn_half_to_float(s->x.dims, s->x.n_m, a, c);
    else
        tn_contract(&s->x, a, b, c, threads,
                    r->arena + workspaces_at(p) + worker * p->workspace_bytes, p->workspace_bytes,
                    worker, r->control);
}

static void run_step(worker_state *w, const tn_step *s) {
    contract(w->run, s, w->at[s->a], s->b >= 0 ? w->at[s->b] : NULL, w->at[s->c], w->threads,
             w->worker);
    if (w->exponent) strip(w, s);
}

/* Fused steps as the threads see them. */
typedef struct {
    worker_state *w;
    const tn_fused *fused;
} fused_job;

/* All fused steps on one block. */
static void block_task(void *argument, int64_t block, int worker) {
    const fused_job *job = argument;
    const tn_fused *f = job->fused;
    const run_state *r = job->w->run;
    const tn_program *p = r->p;
    char *at[TN_MOST_FUSED + 1], *other = f->other < 0 ? NULL : job->w->at[f->other];
    if (job->w->worker) worker = job->w->worker; /* one of several, that runs all blocks itself */
    if (tn_stopped(r->control, worker)) return;
    char *own = r->arena + blocks_at(p) + worker * p->block_bytes;
    for (int64_t i = 1; i < f->n_steps; i++) at[i] = own + p->values[f->first_block + i].offset;
    at[0] = job->w->at[f->stem];
    at[f->n_steps] = job->w->at[f->result];
    for (int64_t d = f->n_dims - 1; d >= 0; d--) {
        at[0] += block % f->dims[d].n * f->dims[d].sa;
        if (other) other += block % f->dims[d].n * f->dims[d].sb;
        at[f->n_steps] += block % f->dims[d].n * f->dims[d].sc;
        block /= f->dims[d].n;
    }
    for (int64_t i = 0; i < f->n_steps; i++) {
        const tn_step *s = &p->steps[f->first_step + i];
        const int32_t before = f->first_block + (int32_t)i;
        const char *a = s->a == before ? at[i] : s->a == f->other_block ? other : job->w->at[s->a];
        const char *b = s->b == before ? at[i] : s->b == f->other_block ? other : job->w->at[s->b];
        contract(r, s, a, b, at[i + 1], 1, worker);
    }
}

static void run_fused(worker_state *w, const tn_fused *f) {
    fused_job job = {w, f};
    tn_parallel_for(w->threads, f->blocks, block_task, &job);
}

/* Looks at the clock now and then; nonzero when the run shall end. */
static int check(worker_state *w, double macs) {
    tn_control *control = w->run->control;
    w->done += macs;
    w->unchecked += macs;
    if (++w->unchecked_steps < CHECK_STEPS && w->unchecked < CHECK_MACS) return 0;
    w->unchecked_steps = 0;
    w->unchecked = 0;
    if (w->worker == 0) control->done = w->done < w->most ? w->done : w->most;
    return tn_stopped(control, w->worker);
}

static int run_steps(worker_state *w, int64_t from, int64_t to) {
    const tn_program *p = w->run->p;
    const int valued = w->run->outs[0] != NULL;
    for (int64_t i = from; i < to; i++) {
        const tn_step *s = &p->steps[i];
        if (!valued && s->value_only) continue;
        if (s->fused < 0)
            run_step(w, s);
        else if (i == p->fused[s->fused].first_step)
            run_fused(w, &p->fused[s->fused]);
        if (check(w, tn_step_macs(s))) return 1;
    }
    return 0;
}

static int64_t at_least(int64_t shift) { return shift < LOWEST_SHIFT ? LOWEST_SHIFT : shift; }

/* sums += result * 2^exponent, where sums stand for sums * 2^*have. */
static void collect(worker_state *w, int64_t *have) {
    run_state *r = w->run;
    const tn_program *p = r->p;
    const int64_t parts = tn_real_count(p->dtype), elements = p->values[p->stripped].elements;
    char *result = w->at[p->stripped];
    const int64_t e = w->exponent[p->stripped];
    if (r->kernels->exponent(result, elements * parts) == TN_NO_EXPONENT) return;
    if (*have == TN_NO_EXPONENT) {
        *have = e;
    } else if (e > *have) {
        r->kernels->scale(w->sums, p->results[0].elements * parts, (int)at_least(*have - e));
        *have = e;
    } else if (e < *have) {
        r->kernels->scale(result, elements * parts, (int)at_least(e - *have));
    }
    tn_contract(&p->collect, result, NULL, w->collected, 1, NULL, 0, w->worker, r->control);
}

/* Points the operands and the results at slice `digits`. */
static void move_to_slice(worker_state *w, const int64_t *digits) {
    const run_state *r = w->run;
    const tn_program *p = r->p;
    for (int pass = 0; pass < 2; pass++) /* to where they begin, then along each loop */
        for (int64_t i = 0; i < p->n_slice_strides; i++) {
            const tn_slice_stride *s = &p->slice_strides[i];
            const tn_result *result = s->value < 0 ? &p->results[-1 - s->value] : NULL;
            char **at = !result ? &w->at[s->value]
                        : result->value < 0 ? &w->collected
                                            : &w->at[result->value];
            if (pass && *at) /* a value that is not wanted is nowhere */
                *at += digits[s->loop] * s->stride;
            else if (!pass)
                *at = !result            ? (char *)r->inputs[s->value]
                      : result->own_sums ? w->sums + result->offset
                                         : r->outs[-1 - s->value];
        }
}

/* Macs once so many slices are done, as if all took the same. */
static double macs_at(const tn_program *p, int64_t slices) {
    const double outside = p->level_macs[0];
    return outside + (p->macs - outside) * (double)slices / (double)p->slices;
}

/* Zeroes what is summed inside loops that begin anew from `level` on. */
static void clear_sums(worker_state *w, int64_t level) {
    const tn_program *p = w->run->p;
    if (!p->has_late || level == p->n_loops) return;
    for (int64_t v = 0; v < p->n_values; v++) {
        const tn_value *value = &p->values[v];
        if (value->summed && value->place == PLACE_WORKER && value->level >= level)
            memset(w->at[v], 0, (size_t)(value->elements * tn_itemsize(p->dtype)));
    }
}

/* One slice from the steps of `level` on; nonzero when the run was cancelled in it.  What is in the
 * sums is torn while steps, or with strip what follows them, add to them. */
static int run_slice(worker_state *w, tn_chunk *chunk, int64_t slice, const int64_t *digits,
                     int64_t level) {
    run_state *r = w->run;
    const tn_program *p = r->p;
    const int64_t done = atomic_load(&r->slices_done);
    const int64_t innermost = p->section_start[p->n_loops];
    const int64_t last = p->section_start[p->n_loops + 1] - 1;
    move_to_slice(w, digits);
    w->done = macs_at(p, done);
    w->most = macs_at(p, done + 1);
    if (run_steps(w, p->section_start[level], innermost)) return 1;
    clear_sums(w, level); /* where other values have been until now */
    if (run_steps(w, innermost, p->first_sum)) return 1;
    if (!p->strip) chunk->next = TN_TORN;
    if (run_steps(w, p->first_sum, last)) return 1;
    if (r->outs[0] || !p->steps[last].value_only) run_step(w, &p->steps[last]);
    if (p->strip) {
        if (tn_stopped(r->control, w->worker)) return 1;
        chunk->next = TN_TORN;
        collect(w, &chunk->exponent);
    }
    if (__atomic_load_n(&r->control->cancel, __ATOMIC_RELAXED)) return 1;
    if (!p->has_late) chunk->next = slice + 1;
    atomic_fetch_add(&r->slices_done, 1);
    return 0;
}

/* The steps that follow loops which have ended, down to `level`; nonzero as run_slice. */
static int run_late(worker_state *w, int64_t level) {
    const tn_program *p = w->run->p;
    if (!p->has_late) return 0;
    return run_steps(w, p->section_start[p->n_loops + 1], p->section_start[2 * p->n_loops - level + 1]);
}

/* The next slice: returns the level of the outermost loop that moves. */
static int64_t advance(const tn_program *p, int64_t *digits) {
    int64_t l = p->n_loops - 1;
    for (; l >= 0 && ++digits[l] == p->extents[l]; l--) digits[l] = 0;
    return l + 1;
}

/* What is left of a chunk, up to a pause after at least one slice, in order; steps that do not depend
 * on the loops that moved are kept.  Where it stops, all loops end: what follows them is linear. */
static void run_chunk(worker_state *w, int64_t number) {
    run_state *r = w->run;
    const tn_program *p = r->p;
    tn_chunk *chunk = &chunk_states(r)[number];
    const int64_t end = tn_first_slice(p, number + 1);
    int64_t digits[64], slice = chunk->next, rest = slice, level = 1;
    for (int64_t l = p->n_loops - 1; l >= 0; l--) {
        digits[l] = rest % p->extents[l];
        rest /= p->extents[l];
    }
    w->sums = w->collected = chunk_sums(r, number);
    point_to_sums(w);
    for (;; slice++) {
        if (run_slice(w, chunk, slice, digits, level)) return;
        if (w->worker == 0) r->control->done = macs_at(p, atomic_load(&r->slices_done));
        if (tn_stopped(r->control, w->worker)) return;
        const int ends = slice + 1 == end || tn_paused(r->control);
        level = ends ? 1 : advance(p, digits);
        if (run_late(w, level)) return;
        if (ends) break;
    }
    chunk->next = slice + 1;
}

/* The calling thread has no more to do: it listens until the others are done too. */
static void await_others(run_state *r) {
    for (int round = 0; atomic_load(&r->busy) && !tn_stopped(r->control, 0); round++) {
        if (r->p->n_loops) r->control->done = macs_at(r->p, atomic_load(&r->slices_done));
        tn_rest(round);
    }
}

/* One worker: takes chunks until there are none, or a pause is asked for and it has done its bit, so
 * that a run that always pauses still comes to its end. */
static void chunks_task(void *argument, int64_t task, int worker) {
    run_state *r = argument;
    worker_state w = make_worker(r, worker);
    (void)task;
    if (r->workers == 1) w.threads = (int)r->p->threads;
    /* busy before a chunk is taken: who finds none left then knows of all that are being run */
    atomic_fetch_add(&r->busy, 1);
    for (int idle = 1; !tn_stopped(r->control, worker) && (idle || !tn_paused(r->control));) {
        const int64_t chunk = atomic_fetch_add(&r->next_chunk, 1);
        if (chunk >= r->last) break;
        if (chunk_states(r)[chunk].next == tn_first_slice(r->p, chunk + 1)) continue;
        run_chunk(&w, chunk);
        idle = 0;
    }
    atomic_fetch_sub(&r->busy, 1);
    if (worker == 0) await_others(r);
}

/* Sums of chunk `from` join those of chunk `to`. */
static void combine(run_state *r, int64_t to, int64_t from) {
    const tn_program *p = r->p;
    const int64_t reals = p->sums_bytes / tn_itemsize(p->dtype) * tn_real_count(p->dtype);
    int64_t shift = 0;
    if (p->strip) {
        int64_t *have = &chunk_states(r)[to].exponent, e = chunk_states(r)[from].exponent;
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

/* Takes the power of two out of the value, in its sums. */
static int64_t strip_value(run_state *r) {
    const tn_program *p = r->p;
    const int64_t reals = p->results[0].elements * tn_real_count(p->dtype);
    const int e = r->kernels->exponent(chunk_sums(r, 0), reals);
    if (e == TN_NO_EXPONENT) return e;
    if (e) r->kernels->scale(chunk_sums(r, 0), reals, -e);
    return chunk_states(r)[0].exponent + e;
}

/* Whether result i is made in this part of a run. */
static int is_made(const run_state *r, int64_t i) {
    return r->outs[i] && r->part != (i ? TN_FORWARD : TN_BACKWARD);
}

static void write_results(run_state *r) {
    const tn_program *p = r->p;
    for (int64_t i = 0; i < p->n_results; i++) {
        const tn_result *result = &p->results[i];
        const char *sums = chunk_sums(r, 0) + result->offset;
        if (!result->own_sums || !is_made(r, i)) continue;
        if (p->half)
            tn_float_to_half(result->copy.dims, result->copy.n_batch, sums, r->outs[i]);
        else
            tn_contract(&result->copy, sums, NULL, r->outs[i], (int)p->threads, NULL, 0, 0, r->control);
    }
}

int64_t tn_first_slice(const tn_program *p, int64_t chunk) {
    return tn_slice_of(p->slices, p->grain, p->chunks, chunk);
}

int64_t tn_loop_index(const tn_program *p, int64_t loop) { return p->order[loop]; }

void tn_execution_begin(const tn_execution *run, int clear_results) {
    static const char zero[16];
    const tn_program *p = run->program;
    run_state r = make_run(run);
    for (int64_t c = 0; c < p->chunks; c++)
        chunk_states(&r)[c] = (tn_chunk){tn_first_slice(p, c), TN_NO_EXPONENT};
    memset(chunk_sums(&r, 0), 0, (size_t)(p->chunks * p->sums_bytes));
    for (int64_t i = 0; i < p->n_results && clear_results; i++)
        if (p->results[i].cleared && is_made(&r, i))
            tn_contract(&p->results[i].fill, zero, NULL, r.outs[i], (int)p->threads, NULL, 0, 0,
                        r.control);
}

/* One thread among those that share the branches: takes the next one until there are none. */
static void branches_task(void *argument, int64_t task, int worker) {
    const worker_state *shared = argument;
    run_state *r = shared->run;
    worker_state w = *shared; /* values have their places, the same for all */
    (void)task;
    w.worker = worker;
    w.threads = 1;
    atomic_fetch_add(&r->busy, 1);
    for (;;) {
        const int64_t b = atomic_fetch_add(&r->next_chunk, 1);
        if (b >= r->p->n_branches) break;
        if (run_steps(&w, tn_branch_start(r->p, b), r->p->branch_end[b])) break;
    }
    atomic_fetch_sub(&r->busy, 1);
    if (worker == 0) await_others(r);
}

/* All branches; returns the step that comes next, or -1 when the run was cancelled. */
static int64_t run_branches(worker_state *w) {
    run_state *r = w->run;
    const tn_program *p = r->p;
    if (!p->n_branches) return 0;
    atomic_store(&r->next_chunk, 0);
    tn_parallel_for((int)p->threads, p->threads < p->n_branches ? p->threads : p->n_branches,
                    branches_task, w);
    if (tn_stopped(r->control, 0)) return -1;
    const int64_t end = p->branch_end[p->n_branches - 1];
    for (int64_t i = 0; i < end; i++) w->done += tn_step_macs(&p->steps[i]);
    return end;
}

/* The steps outside the slice loop; without one, those of this part of the run. */
static tn_status prepare(run_state *r) {
    const tn_program *p = r->p;
    worker_state w = make_worker(r, 0);
    w.threads = (int)p->threads;
    fill_table(&w);
    const int64_t first = r->part == TN_BACKWARD ? p->n_forward : run_branches(&w);
    const int64_t end = r->part == TN_FORWARD ? p->n_forward : p->section_start[1];
    if (first < 0 || run_steps(&w, first, end)) return TN_INTERRUPTED;
    for (int i = 1; i < p->workers; i++) {
        worker_state other = make_worker(r, i);
        fill_table(&other);
        if (p->strip)
            memcpy(other.exponent, w.exponent, (size_t)p->n_values * sizeof *w.exponent);
    }
    if (p->n_loops == 0 && p->strip) collect(&w, &chunk_states(r)[0].exponent);
    return TN_OK;
}

static tn_status run_chunks(run_state *r, int64_t first, int64_t last) {
    const tn_program *p = r->p;
    const tn_chunk *chunks = chunk_states(r);
    if (p->n_loops == 0) return TN_OK; /* all of it was outside the slice loop */
    for (int64_t c = 0; c < p->chunks; c++)
        atomic_fetch_add(&r->slices_done, chunks[c].next - tn_first_slice(p, c));
    r->workers = last - first < p->workers ? last - first : p->workers;
    r->last = last;
    atomic_store(&r->next_chunk, first);
    tn_parallel_for((int)r->workers, r->workers, chunks_task, r);
    if (tn_stopped(r->control, 0)) return TN_INTERRUPTED;
    for (int64_t c = first; c < last; c++)
        if (chunks[c].next < tn_first_slice(p, c + 1)) return TN_PAUSED;
    return TN_OK;
}

/* Combines the chunks, runs what follows the slice loop, and writes what is not in its place yet. */
static tn_status finish(run_state *r, int64_t *exponent) {
    const tn_program *p = r->p;
    *exponent = 0;
    if (tn_stopped(r->control, 0)) return TN_INTERRUPTED;
    if (p->sums_bytes)
        for (int64_t distance = 1; distance < p->chunks; distance *= 2)
            for (int64_t c = 0; c + distance < p->chunks; c += 2 * distance)
                combine(r, c, c + distance);
    if (p->has_late) {
        worker_state w = make_worker(r, 0);
        w.threads = (int)p->threads;
        w.done = macs_at(p, p->slices);
        fill_table(&w);
        if (run_steps(&w, p->section_start[2 * p->n_loops], p->n_steps)) return TN_INTERRUPTED;
    }
    if (p->strip) *exponent = strip_value(r);
    write_results(r);
    return TN_OK;
}

/* Whether the pool should stay awake between the jobs of a part of a run. */
static int wakes_pool(const tn_program *p) {
    return p->threads > 1 && p->n_steps > 1 && p->macs >= TN_WAKING_MACS;
}

tn_status tn_execution_prepare(const tn_execution *run) {
    run_state r = make_run(run);
    const int wakes = wakes_pool(r.p);
    if (wakes) tn_begin_run((int)r.p->threads);
    const tn_status status = prepare(&r);
    if (wakes) tn_end_run();
    return status;
}

tn_status tn_execution_chunks(const tn_execution *run, int64_t first, int64_t last) {
    run_state r = make_run(run);
    const int wakes = wakes_pool(r.p);
    if (wakes) tn_begin_run((int)r.p->threads);
    const tn_status status = run_chunks(&r, first, last);
    if (wakes) tn_end_run();
    return status;
}

tn_status tn_execution_finish(const tn_execution *run, int64_t *exponent) {
    run_state r = make_run(run);
    return finish(&r, exponent);
}

tn_status tn_program_run(const tn_execution *run, int64_t *exponent) {
    const tn_program *p = run->program;
    const int wakes = wakes_pool(p);
    if (wakes) tn_begin_run((int)p->threads);
    tn_execution_begin(run, 1);
    run_state r = make_run(run);
    tn_status status = prepare(&r);
    if (!status) status = run_chunks(&r, 0, p->chunks);
    if (!status) status = finish(&r, exponent);
    if (wakes) tn_end_run();
    return status;
}

tn_program_info tn_program_describe(const tn_program *p) {
    tn_program_info info = {
        .steps = p->n_steps,
        .slices = p->slices,
        .chunks = p->chunks,
        .workers = p->workers,
        .threads = p->threads, .branches = p->n_branches,
        .arena_bytes = p->arena_bytes,
        .saved_bytes = p->saved_bytes,
        .macs = p->macs,
        .forward_macs = p->forward_macs[0],
        .invariant_macs = p->level_macs[0],
        .invariant_steps = p->section_start[1],
        .chunks_at = chunks_at(p),
        .sums_at = sums_at(p),
        .sums_bytes = p->sums_bytes,
        .places = p->slices / p->grain,
    };
    for (int64_t r = 0; r < p->n_results; r++)
        info.output_bytes += p->results[r].elements * (p->half ? 2 : tn_itemsize(p->dtype));
    return info;
}

int tn_program_step(const tn_program *p, int64_t i, char *text, size_t capacity) {
    static const char *const roads[] = {"gett", "direct", "dots", "nest n",
                                        "nest batch", "nest k", "transpose", "skinny", "lanes", "table",
                                        "inner"};
    const tn_step *s = &p->steps[i];
    const int32_t level = s->level;
    if (s->widen) return snprintf(text, capacity, "level %d  widen %d", level, s->a);
    const int n = snprintf(text, capacity,
                           "level %d  %-10s %s(%d, %d) batch %lld m %lld n %lld k %lld",
                           level, roads[s->x.road], s->x.unary ? "unary" : "pair", s->a, s->b,
                           (long long)s->x.batch, (long long)s->x.m, (long long)s->x.n,
                           (long long)s->x.k);
    if (s->fused < 0 || n < 0 || (size_t)n >= capacity) return n;
    return n + snprintf(text + n, capacity - (size_t)n, " in %lld blocks", (long long)s->blocks);
}
