/* Convolution in Winograd's form: sizes of its blocks, and its two rounds of tasks. */
#include "panes.h"

enum {
    BLOCK = 72,                /* tiles at most, in multiples of the rows of a register tile */
    PRODUCT_BYTES = 208 << 10, /* of M: it shares the second cache with V and U */
    WORK = 1 << 20,            /* multiply-adds that one more thread is worth */
    SUMMED = 96,               /* tiles in a block for the gradient to weights, */
    FAR_SUMMED = 192,          /* or where the sums lie far away, */
    FAR_BYTES = 8 << 20,       /* being more than that */
    PART = 192,                /* tiles at least that have sums of their own */
    PARTS = 16,                /* at most, in powers of two */
    GROUP = 64,                /* outputs that are worth transforming the operand for */
    SUMS_BYTES = 64 << 20,     /* of all parts together, unless one has more */
};

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* An odd number of lines from one plane to the next: 16 of them are read and written in turn. */
static int64_t plane_bytes(int64_t rows, int64_t row) { return round_up(rows * row, 64) | 64; }

/* Blocks are equally long, and as many for each thread. */
static int64_t block_tiles(int64_t tiles, int mr, int threads) {
    const int64_t blocks = round_up((tiles + BLOCK - 1) / BLOCK, threads);
    return blocks ? round_up((tiles + blocks - 1) / blocks, mr) : mr;
}

static tn_winograd_plan count_tiles(const tn_winograd *of, int threads) {
    tn_winograd_plan x = {.of = of, .kernel = (int)of->at.kernel[1]};
    x.products = x.m_planes = (x.kernel + 1) * (x.kernel + 1);
    x.steps = x.kernel == 3 ? 256 : 32;
    x.down = (of->at.out[1] + 1) / 2;
    x.across = (of->at.out[2] + 1) / 2;
    x.tiles = of->at.batch * x.down * x.across;
    const double work = (double)(x.tiles * x.products) * (double)of->channels * (double)of->outputs;
    x.threads = work < WORK * (double)threads ? 1 + (int)(work / WORK) : threads;
    return x;
}

/* What one thread needs: V, M and a pane. */
static void count_bytes(tn_winograd_plan *x) {
    x->v_plane = plane_bytes(x->block, x->v_row);
    x->m_plane = plane_bytes(x->block, x->m_row);
    x->pixels = most_pixels(x);
    x->bytes = TN_ALIGNED(x->products * x->v_plane + x->m_planes * x->m_plane +
                          x->pixels * (int64_t)(PANE_BYTES + sizeof(pixel_run) + sizeof(int32_t)));
}

static tn_winograd_plan plan_run(const tn_winograd *of, int threads) {
    const tn_kernels *kernels = tn_get_kernels(of->dtype);
    const int64_t size = tn_itemsize(of->dtype), pane = PANE_BYTES / size;
    const int64_t outputs = round_up(of->outputs, pane);
    tn_winograd_plan x = count_tiles(of, threads);
    x.block = block_tiles(x.tiles, kernels->mr, x.threads);
    x.chunk = PRODUCT_BYTES / (x.products * x.block * size) / pane * pane;
    if (x.chunk > outputs) x.chunk = outputs;
    x.panels = (of->outputs + kernels->nr - 1) / kernels->nr;
    x.u_plane = plane_bytes(x.panels, of->channels * kernels->nr * size);
    x.v_row = round_up(of->channels, pane) * size;
    if (x.v_row % 1024 == 0) x.v_row += 64; /* the rows of a register tile in different sets */
    x.m_row = x.chunk * size;
    count_bytes(&x);
    return x;
}

static tn_winograd_plan plan_to_weights(const tn_winograd *of, int threads) {
    const int64_t size = tn_itemsize(of->dtype), pane = PANE_BYTES / size;
    tn_winograd_plan x = count_tiles(of, threads);
    if (x.kernel == 5) x.products = 6 * 7, x.m_planes = 6 * 4; /* forms FIVE and SPLIT */
    x.sums_row = round_up(of->outputs, pane) * size;
    x.sums_plane = plane_bytes(of->channels, x.sums_row);
    for (x.parts = 1; x.parts < PARTS && x.tiles / (2 * x.parts) >= PART;) {
        if (2 * x.parts * x.products * x.sums_plane > SUMS_BYTES) break;
        x.parts *= 2;
    }
    x.part = (x.tiles + x.parts - 1) / x.parts;
    x.groups = (x.threads + x.parts - 1) / x.parts;
    x.group = round_up((of->outputs + x.groups - 1) / x.groups, GROUP);
    x.groups = (of->outputs + x.group - 1) / x.group;
    x.block = x.products * x.sums_plane > FAR_BYTES ? FAR_SUMMED : SUMMED;
    if (x.block > x.part) x.block = x.part;
    /* odd numbers of lines: a step of a sum goes to the next tile */
    x.v_row = (round_up(of->channels, pane) * size) | 64;
    x.m_row = x.sums_row | 64;
    count_bytes(&x);
    return x;
}

typedef struct {
    tn_winograd_plan plan;
    const char *a, *w;
    char *c, *u, *workspace;
    tn_control *control;
} winograd_job;

static void weights_task(void *job, int64_t task, int worker) {
    (void)worker;
    const winograd_job *x = job;
    tn_get_kernels(x->plan.of->dtype)->winograd_weights(&x->plan, x->w, x->u, task);
}

static void block_task(void *job, int64_t task, int worker) {
    const winograd_job *x = job;
    if (tn_stopped(x->control, worker)) return;
    tn_get_kernels(x->plan.of->dtype)
        ->winograd_block(&x->plan, x->a, x->u, x->c, task, x->workspace + worker * x->plan.bytes);
}

int64_t tn_winograd_workspace(const tn_winograd *x, int threads) {
    const tn_winograd_plan plan = plan_run(x, threads);
    return plan.products * plan.u_plane + plan.threads * plan.bytes;
}

void tn_winograd_run(const tn_winograd *x, const char *a, const char *w, char *c, int threads,
                     char *workspace, tn_control *control) {
    winograd_job job = {plan_run(x, threads), a, w, c, workspace, NULL, control};
    job.workspace = workspace + job.plan.products * job.plan.u_plane;
    if (!job.plan.tiles || !x->outputs) return;
    threads = job.plan.threads;
    if (threads > 1) tn_begin_run(threads);
    tn_parallel_for(threads, job.plan.panels, weights_task, &job);
    tn_parallel_for(threads, (job.plan.tiles + job.plan.block - 1) / job.plan.block, block_task,
                    &job);
    if (threads > 1) tn_end_run();
}

typedef struct {
    tn_winograd_plan plan;
    const char *a, *y;
    char *w, *sums, *workspace;
    tn_control *control;
} weights_job;

static void part_task(void *job, int64_t task, int worker) {
    const weights_job *x = job;
    if (tn_stopped(x->control, worker)) return;
    tn_get_kernels(x->plan.of->dtype)
        ->winograd_part(&x->plan, x->a, x->y, x->sums, task / x->plan.groups,
                        task % x->plan.groups, x->workspace + worker * x->plan.bytes);
}

static void taps_task(void *job, int64_t task, int worker) {
    (void)worker;
    const weights_job *x = job;
    tn_get_kernels(x->plan.of->dtype)->winograd_taps(&x->plan, x->sums, x->w, task);
}

int64_t tn_winograd_to_weights_workspace(const tn_winograd *x, int threads) {
    const tn_winograd_plan plan = plan_to_weights(x, threads);
    return plan.parts * plan.products * plan.sums_plane + plan.threads * plan.bytes;
}

void tn_winograd_to_weights(const tn_winograd *x, const char *a, const char *y, char *w, int threads,
                            char *workspace, tn_control *control) {
    weights_job job = {plan_to_weights(x, threads), a, y, w, workspace, NULL, control};
    const tn_winograd_plan *plan = &job.plan;
    const int64_t pane = PANE_BYTES / tn_itemsize(x->dtype);
    job.workspace = workspace + plan->parts * plan->products * plan->sums_plane;
    if (plan->threads > 1) tn_begin_run(plan->threads);
    tn_parallel_for(plan->threads, plan->parts * plan->groups, part_task, &job);
    tn_parallel_for(plan->threads, (x->outputs + pane - 1) / pane, taps_task, &job);
    if (plan->threads > 1) tn_end_run();
}
