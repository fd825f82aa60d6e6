/* Sliding windows: pooling and depthwise convolution, and the passes back that gradients are.
 *
 * Where channels lie side by side, kernels read and write in place (slide_pixels.h); else they work on
 * one channel at a time through a buffer (slide_planes.h).  Either way the work is cut into units whose
 * results do not depend on each other. */
#include "sliding.h"
#include "sizes.h"

#include <string.h>

enum { NEAR_BYTES = 24 << 10, STRIP = 1024, STRIP_BYTES = 64 << 10 };
/* Bytes read and written for which several threads are faster: always, and while they are awake. */
static const double PARALLEL = 1 << 20, PARALLEL_AWAKE = 1 << 17;
enum { TASKS_PER_THREAD = 4 };
/* For kernel_of_rows: how often taps must meet padding, and what to begin with a window costs, in positions. */
enum { MUCH_PADDING = 5, ROW_COST = 64 };
enum { MOST_CHUNKS = 16, CHUNK_BYTES = 128 << 10 }; /* of a gradient to weights: the bits depend on them */

typedef struct {
    tn_sliding s;
    int pixels;
    tn_slide_kernel *kernel; /* not of weights */
    int64_t units, tasks, workspace_bytes;
    char *workspace;
    const char *gradient; /* of weights only, as the next two */
    char *sums;
    int64_t sums_bytes;
} slide_job;


static int64_t common_divisor(int64_t x, int64_t y) {
    while (y) {
        const int64_t rest = x % y;
        x = y, y = rest;
    }
    return x;
}

/* ---- axes ---------------------------------------------------------------------------------- */

static int64_t count_phases(const tn_slide *x, int d) {
    return x->transposed ? smaller(x->windows.stride[d], larger(x->windows.in[d], 1)) : 1;
}

/* Axis d of windows over an array, or with transposed of what is brought back to that array. */
static tn_axis make_axis(const tn_slide *x, int d, tn_phase *phases) {
    const tn_windows *w = &x->windows;
    const int64_t stride = w->stride[d], dilation = w->dilation[d], kernel = w->kernel[d];
    if (!x->transposed) {
        phases[0] = (tn_phase){w->out[d], -w->before[d], kernel, 0};
        return (tn_axis){w->out[d], w->in[d], 1, stride, dilation, 1, phases};
    }
    /* position i is seen by window o through tap t if o * stride = i + before - t * dilation */
    const int64_t common = common_divisor(stride, dilation), step = stride / common;
    tn_axis axis = {w->in[d], w->out[d], count_phases(x, d), 1, -dilation / common, step, phases};
    for (int64_t p = 0; p < axis.phases; p++) {
        const int64_t shifted = p + w->before[d];
        int64_t t = 0;
        while (t < smaller(step, kernel) && (shifted - t * dilation) % stride) t++;
        phases[p].n = parts_of(axis.out - p, axis.phases);
        phases[p].tap0 = t;
        phases[p].taps = t < smaller(step, kernel) ? parts_of(kernel - t, step) : 0;
        phases[p].first = (shifted - t * dilation) / stride;
    }
    return axis;
}

/* The runs of an axis; counts them if there is no room given. */
static int64_t list_runs(const tn_axis *axis, tn_run *runs) {
    int64_t count = 0;
    for (int64_t p = 0; p < axis->phases; p++) {
        tn_run run = {p, 0, 0, -1, -1};
        for (int64_t j = 0; j <= axis->phase[p].n; j++) {
            int64_t m0 = -1, m1 = -1;
            if (j < axis->phase[p].n) tn_clip(axis, &axis->phase[p], j, &m0, &m1);
            if (m0 == run.m0 && m1 == run.m1) continue;
            run.n = j - run.j;
            if (run.n && runs) runs[count] = run;
            if (run.n) count++;
            run = (tn_run){p, j, 0, m0, m1};
        }
    }
    return count;
}

/* ---- how the work is cut ------------------------------------------------------------------- */

static int tile_of(const tn_slide *x) {
    static const int forward[] = {TILE_MAX, TILE_ARGMAX, TILE_PICK, TILE_SUM, TILE_WEIGH};
    if (!x->transposed || x->kind == TN_SLIDE_WEIGH) return forward[x->kind];
    if (x->kind == TN_SLIDE_PICK) return TILE_RETURN;
    if (x->padded) return TILE_SUM;
    for (int d = 0; d < 3; d++)
        for (int64_t o = 0; o < x->windows.out[d]; o++)
            if (tn_seen(&x->windows, d, o) != x->windows.kernel[d]) return TILE_SPREAD;
    return TILE_SUM;
}

static int takes_pixels(const tn_slide *x) {
    const int64_t size = tn_itemsize(x->dtype);
    const int indexed = x->kind == TN_SLIDE_ARGMAX || x->kind == TN_SLIDE_PICK;
    return x->from.channel == size && x->to.channel == size &&
           x->channels >= tn_get_window_kernels(x->dtype)->lanes &&
           (x->kind != TN_SLIDE_WEIGH || x->weight_channel == size) &&
           (!indexed || x->index.channel == (x->narrow ? 1 : 4));
}

static void cut_pixels(slide_job *job, int64_t strip_bytes) {
    tn_sliding *s = &job->s;
    const tn_axis *axis = &s->axis[2];
    const int64_t bytes = axis->phases * s->x->channels * tn_itemsize(s->x->dtype);
    const int64_t n = axis->phase->n;
    s->strips = parts_of(n, smaller(n, larger(64, strip_bytes / bytes)));
    s->strip = parts_of(n, s->strips);
    job->units = s->x->windows.batch * s->axis[0].out * s->axis[1].out * s->strips;
    job->workspace_bytes = TN_ALIGNED(s->max_taps * (int64_t)sizeof(tn_tap));
}

/* From where to where the taps of a position reach, over all phases. */
static void reach_of(const tn_axis *axis, int64_t *left, int64_t *right) {
    *left = INT64_MAX, *right = INT64_MIN;
    for (int64_t p = 0; p < axis->phases; p++) {
        if (!axis->phase[p].taps) continue;
        const int64_t first = axis->phase[p].first;
        const int64_t last = first + (axis->phase[p].taps - 1) * axis->reach;
        *left = smaller(*left, smaller(first, last)), *right = larger(*right, larger(first, last));
    }
    if (*left > *right) *left = *right = 0;
}

/* Windows that see all of a channel whose numbers are one run, and the way back from their averages. */
static tn_slide_kernel *kernel_of_whole(const tn_slide *x) {
    const tn_windows *w = &x->windows;
    const tn_volume *run = x->transposed ? &x->to : &x->from;
    const tn_window_kernels *kernels = tn_get_window_kernels(x->dtype);
    int64_t bytes = tn_itemsize(x->dtype);
    for (int d = 2; d >= 0; bytes *= w->in[d], d--)
        if (w->out[d] != 1 || w->before[d] || w->kernel[d] != w->in[d] ||
            (w->in[d] > 1 && (w->dilation[d] != 1 || run->at[d] != bytes)))
            return NULL;
    if (x->transposed) return x->kind == TN_SLIDE_AVERAGE ? kernels->whole_spread : NULL;
    return kernels->whole[tile_of(x)];
}

/* The way back from windows so large and few that most taps of a position would meet padding. */
static tn_slide_kernel *kernel_of_rows(const tn_sliding *s) {
    const tn_slide *x = s->x;
    double taps = 1, seen = 1; /* of all positions of a plane, and by all windows */
    for (int d = 1; d < 3; d++) {
        const tn_axis *axis = &s->axis[d];
        int64_t of_axis = 0;
        for (int64_t p = 0; p < axis->phases; p++) of_axis += axis->phase[p].n * axis->phase[p].taps;
        taps *= (double)of_axis;
        seen *= (double)(x->windows.out[d] * (x->windows.kernel[d] + (d == 2 ? ROW_COST : 0)));
    }
    const int few = x->transposed && taps > MUCH_PADDING * seen;
    return few ? tn_get_window_kernels(x->dtype)->rows[tile_of(x)] : NULL;
}

static void cut_rows(slide_job *job) {
    const tn_sliding *s = &job->s;
    job->units = s->x->windows.batch * s->x->channels * s->axis[0].out * s->axis[1].out;
    job->workspace_bytes = TN_ALIGNED(s->x->windows.out[0] * s->x->windows.out[1] * (int64_t)sizeof(tn_tap));
}

static void cut_channels(slide_job *job) {
    job->units = job->s.x->windows.batch * job->s.x->channels;
    job->workspace_bytes = TN_ALIGNED(job->s.max_taps * (int64_t)sizeof(tn_tap)); /* or as many return_tap */
}

static void cut_planes(slide_job *job) {
    tn_sliding *s = &job->s;
    const tn_axis *high = &s->axis[1], *wide = &s->axis[2];
    const int64_t size = tn_itemsize(s->x->dtype);
    s->strips = parts_of(wide->phase->n, STRIP);
    s->strip = parts_of(wide->phase->n, s->strips);
    reach_of(wide, &s->left, &s->right);
    s->width = (s->right - s->left) / wide->step + s->strip + SLIDING_SLACK;
    s->width = parts_of(s->width, 8) * 8;
    int64_t top, bottom;
    reach_of(high, &top, &bottom);
    const int64_t span = bottom - top + 1, row = s->x->windows.kernel[0] * wide->step * s->width * size;
    const int64_t near = larger(NEAR_BYTES / row - span, 0) / high->step;
    s->band = larger(near, span / high->step) * high->phases + high->phases;
    s->bands = parts_of(high->out, smaller(s->band, high->out));
    s->band = parts_of(high->out, s->bands);
    s->rows = span + parts_of(s->band, high->phases) * high->step;
    job->units = s->x->windows.batch * s->x->channels * s->axis[0].out * s->bands * s->strips;
    job->workspace_bytes = tn_lay_out_plane(s, tn_itemsize(s->x->dtype)).bytes;
}

/* ---- running ------------------------------------------------------------------------------- */

static int64_t volume_of(const int64_t *extents) { return extents[0] * extents[1] * extents[2]; }

static int threads_for(const tn_slide *x, int threads) {
    const double seen = (double)volume_of(x->windows.in), made = (double)volume_of(x->windows.out);
    const double work = (seen + made) * (double)(x->windows.batch * x->channels * tn_itemsize(x->dtype));
    const int pays = work >= PARALLEL || (work >= PARALLEL_AWAKE && tn_pool_ready(threads));
    return threads > 1 && pays ? threads : 1;
}

static void slide_task(void *pointer, int64_t task, int worker) {
    const slide_job *job = pointer;
    job->kernel(&job->s, job->units * task / job->tasks, job->units * (task + 1) / job->tasks,
        job->workspace + worker * job->workspace_bytes);
}

static void weights_task(void *pointer, int64_t task, int worker) {
    const slide_job *job = pointer;
    const tn_window_kernels *kernels = tn_get_window_kernels(job->s.x->dtype);
    (job->pixels ? kernels->pixel_weights : kernels->plane_weights)(
        &job->s, job->gradient, job->units * task / job->tasks, job->units * (task + 1) / job->tasks,
        job->sums + task * job->sums_bytes, job->workspace + worker * job->workspace_bytes);
}

/* What all slides need: axes, runs, factors.  Returns their memory, or NULL. */
static char *prepare(slide_job *job, const tn_slide *x, int64_t *bytes) {
    tn_sliding *s = &job->s;
    int64_t phases = 0;
    for (int d = 0; d < 3; d++) phases += count_phases(x, d);
    const int64_t factors = x->windows.out[2], phase_bytes = phases * (int64_t)sizeof(tn_phase);
    const int64_t most_runs = x->transposed ? x->windows.in[2] : x->windows.out[2];
    *bytes = phase_bytes + factors * (int64_t)sizeof(double) + most_runs * (int64_t)sizeof(tn_run);
    char *memory = tn_alloc((size_t)*bytes);
    if (!memory) return NULL;
    tn_phase *phase = (tn_phase *)memory;
    for (int d = 0; d < 3; d++) {
        s->axis[d] = make_axis(x, d, phase);
        phase += count_phases(x, d);
    }
    double *factor = (double *)phase;
    for (int64_t o = 0; o < factors; o++) factor[o] = 1.0 / (double)larger(tn_seen(&x->windows, 2, o), 1);
    tn_run *runs = (tn_run *)(factor + factors);
    s->x = x;
    s->factors = factor;
    s->runs = runs;
    s->n_runs = list_runs(&s->axis[2], runs);
    s->max_taps = volume_of(x->windows.kernel) + 8; /* groups of taps may be filled */
    job->pixels = takes_pixels(x);
    return memory;
}

tn_status tn_run_slide(const tn_slide *x, const char *from, const char *weights, char *index,
                       char *to, int threads) {
    const int64_t *made = x->transposed ? x->windows.in : x->windows.out;
    if (x->windows.batch * x->channels * volume_of(made) == 0) return TN_OK;
    slide_job job = {.tasks = 1};
    int64_t bytes;
    char *memory = prepare(&job, x, &bytes);
    if (!memory) return TN_NO_MEMORY;
    job.s.from = from, job.s.weights = weights, job.s.index = index, job.s.to = to;
    const tn_window_kernels *kernels = tn_get_window_kernels(x->dtype);
    const int tile = tile_of(x);
    job.kernel = job.pixels ? kernels->pixels[tile] : kernel_of_whole(x);
    if (job.pixels) cut_pixels(&job, STRIP_BYTES);
    else if (job.kernel || tile == TILE_RETURN) cut_channels(&job);
    else if ((job.kernel = kernel_of_rows(&job.s))) cut_rows(&job);
    else cut_planes(&job);
    if (!job.kernel) job.kernel = kernels->planes[tile];
    threads = threads_for(x, threads);
    job.tasks = threads > 1 ? smaller(job.units, TASKS_PER_THREAD * threads) : 1;
    const size_t workspace = (size_t)(threads * job.workspace_bytes);
    job.workspace = tn_alloc(workspace);
    if (job.workspace) tn_parallel_for(threads, job.tasks, slide_task, &job);
    const tn_status status = job.workspace ? TN_OK : TN_NO_MEMORY;
    if (job.workspace) tn_free(job.workspace, workspace);
    tn_free(memory, (size_t)bytes);
    return status;
}

/* Adds up the sums of all chunks, and stores them where the weights' gradient lies. */
static void store_sums(const slide_job *job, char *weights) {
    const tn_slide *x = job->s.x;
    const int64_t size = tn_itemsize(x->dtype), taps = volume_of(x->windows.kernel);
    for (int64_t k = 1; k < job->tasks; k++)
        tn_get_kernels(x->dtype)->add(job->sums, job->sums + k * job->sums_bytes, taps * x->channels, 0);
    for (int64_t t = 0; t < taps; t++)
        for (int64_t c = 0; c < x->channels; c++) {
            const int64_t at = job->pixels ? t * x->channels + c : c * taps + t;
            memcpy(weights + t * x->weight_tap + c * x->weight_channel, job->sums + at * size, (size_t)size);
        }
}

tn_status tn_slide_weights(const tn_slide *x, const char *from, const char *to, char *weights,
                           int threads) {
    slide_job job = {.tasks = 1};
    int64_t bytes;
    char *memory = prepare(&job, x, &bytes);
    if (!memory) return TN_NO_MEMORY;
    job.s.from = from, job.gradient = to;
    const int64_t size = tn_itemsize(x->dtype);
    const int64_t windows = x->windows.batch * x->channels * volume_of(x->windows.out);
    if (windows && job.pixels) cut_pixels(&job, INT64_MAX);
    else if (windows) cut_planes(&job);
    job.tasks = larger(smaller(smaller(job.units, MOST_CHUNKS), windows * size / CHUNK_BYTES), 1);
    job.sums_bytes = TN_ALIGNED(volume_of(x->windows.kernel) * x->channels * size);
    threads = threads_for(x, threads);
    const size_t sums = (size_t)(job.tasks * job.sums_bytes);
    const size_t workspace = (size_t)(threads * job.workspace_bytes);
    job.sums = tn_alloc(sums + workspace + 1);
    if (job.sums) {
        memset(job.sums, 0, sums);
        job.workspace = job.sums + sums;
        if (windows) tn_parallel_for(threads, job.tasks, weights_task, &job);
        store_sums(&job, weights);
        tn_free(job.sums, sums + workspace + 1);
    }
    tn_free(memory, (size_t)bytes);
    return job.sums ? TN_OK : TN_NO_MEMORY;
}
