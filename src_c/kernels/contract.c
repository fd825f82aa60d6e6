/* Blocking, workspace and the split of one contraction into tasks. */
#include "../tn.h"

/* Cache budgets in bytes: a panel of a and one of b share L1, a block of a stays in L2 and a block of
 * b in L3. */
enum { PANELS = 28 << 10, A_BLOCK = 192 << 10, B_BLOCK = 2 << 20, COLUMNS = 4096, MIN_DEPTH = 192 };
/* Work below which one thread is faster than two: real multiply-adds of packed products, and macs of
 * nests, which wait for memory. */
static const double PARALLEL_GETT = 1 << 20, PARALLEL_MACS = 1 << 17;
static const int64_t NEST_TASK = 1 << 18, NEST_CHUNK = 4096, MIN_PIECE = 128;

static int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t round_up(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }

tn_blocking tn_gett_blocking(int dtype, int64_t m, int64_t n, int64_t k) {
    const tn_kernels *kernels = tn_get_kernels(dtype);
    const int64_t itemsize = tn_itemsize(dtype);
    tn_blocking x;
    int64_t depth = PANELS / ((kernels->mr + kernels->nr) * itemsize);
    if (depth < MIN_DEPTH) depth = MIN_DEPTH;
    int64_t parts = (k + depth - 1) / depth;
    x.kc = (k + parts - 1) / parts; /* equal blocks rather than a thin last one */
    int64_t mc = A_BLOCK / (x.kc * itemsize) / kernels->mr * kernels->mr;
    int64_t nc = B_BLOCK / (x.kc * itemsize) / kernels->nr * kernels->nr;
    x.mc = smaller(round_up(m, kernels->mr), smaller(mc, COLUMNS / kernels->mr * kernels->mr));
    x.nc = smaller(round_up(n, kernels->nr), smaller(nc, COLUMNS / kernels->nr * kernels->nr));
    x.bytes = TN_ALIGNED(x.mc * x.kc * itemsize) + TN_ALIGNED(x.nc * x.kc * itemsize) +
              TN_ALIGNED(2 * (x.mc + x.nc + x.kc) * (int64_t)sizeof(int64_t));
    return x;
}

int64_t tn_workspace(const tn_contraction *x) {
    if (x->road != TN_ROAD_GETT) return 0;
    int64_t one = tn_gett_blocking(x->dtype, x->m, x->n, x->k).bytes;
    int64_t two = tn_gett_blocking(x->dtype, x->n, x->m, x->k).bytes;
    return one > two ? one : two;
}

typedef struct {
    const tn_contraction *x;
    const tn_kernels *kernels;
    const char *a, *b;
    char *c, *workspace;
    int64_t workspace_stride;
    int worker; /* the number of worker 0 of this contraction in the caller's own split */
    tn_control *control;
    tn_blocking blocking;
    /* how many pieces each range is cut into, and their length */
    int64_t batch_piece, m_piece, n_piece, m_pieces, n_pieces;
} contract_job;

static void gett_task(void *argument, int64_t task, int worker) {
    const contract_job *job = argument;
    const tn_contraction *x = job->x;
    int64_t n = task % job->n_pieces, rest = task / job->n_pieces;
    int64_t m = rest % job->m_pieces, batch = rest / job->m_pieces;
    tn_box box = {
        batch * job->batch_piece, smaller((batch + 1) * job->batch_piece, x->batch),
        m * job->m_piece,         smaller((m + 1) * job->m_piece, x->m),
        n * job->n_piece,         smaller((n + 1) * job->n_piece, x->n),
    };
    tn_worker self = {worker + job->worker, job->workspace + worker * job->workspace_stride,
                      job->control};
    job->kernels->gett(x, &job->blocking, job->a, job->b, job->c, &box, &self);
}

/* Every element of c is summed in the same order however the work is cut. */
static void run_gett(contract_job *job, int threads) {
    const tn_contraction *x = job->x;
    const double macs = (double)x->batch * (double)x->m * (double)x->n * (double)x->k;
    const int parts = tn_real_count(x->dtype);
    if (macs * parts * parts < PARALLEL_GETT) threads = 1;
    job->blocking = tn_gett_blocking(x->dtype, x->m, x->n, x->k);
    job->batch_piece = x->batch, job->m_piece = x->m, job->n_piece = x->n;
    if (threads > 1) {
        if (x->batch >= 2 * threads) {
            job->batch_piece = (x->batch + 4 * threads - 1) / (4 * threads);
        } else {
            int cut_n = x->n >= x->m;
            int64_t extent = cut_n ? x->n : x->m;
            int64_t unit = cut_n ? job->kernels->nr : job->kernels->mr;
            int64_t pieces = smaller(4 * threads, extent / MIN_PIECE);
            if (pieces < threads) pieces = threads;
            int64_t piece = round_up((extent + pieces - 1) / pieces, unit);
            *(cut_n ? &job->n_piece : &job->m_piece) = piece;
        }
    }
    job->m_pieces = (x->m + job->m_piece - 1) / job->m_piece;
    job->n_pieces = (x->n + job->n_piece - 1) / job->n_piece;
    int64_t batches = (x->batch + job->batch_piece - 1) / job->batch_piece;
    tn_parallel_for(threads, batches * job->m_pieces * job->n_pieces, gett_task, job);
}

typedef struct {
    contract_job base;
    int64_t points, piece, pieces; /* outer points, points per task, tasks per chunk */
    int64_t inner, chunk;          /* inner axis, its part in one task */
} nest_job;

static void nest_task(void *argument, int64_t task, int worker) {
    const nest_job *job = argument;
    const contract_job *base = &job->base;
    if (tn_stopped(base->control, worker + base->worker)) return;
    /* chunks of the inner axis are the slow digit: all outer points reuse a chunk of b */
    const int64_t chunk = task / job->pieces, piece = task % job->pieces;
    tn_box box = {.batch0 = piece * job->piece,
                  .batch1 = smaller((piece + 1) * job->piece, job->points),
                  .n0 = chunk * job->chunk,
                  .n1 = smaller((chunk + 1) * job->chunk, job->inner)};
    if (base->x->unary)
        base->kernels->unary(base->x, base->a, base->c, &box);
    else
        base->kernels->nest(base->x, base->a, base->b, base->c, &box);
}

static void run_nest(const contract_job *base, int threads) {
    const tn_contraction *x = base->x;
    const int outputs = x->n_batch + x->n_m + x->n_n;
    nest_job job = {.base = *base, .points = x->batch * x->m * x->n, .inner = 1};
    int64_t per_point = x->k;
    if (x->road != TN_ROAD_K) {
        job.inner = x->dims[outputs - 1].n;
        job.points /= job.inner;
    }
    if (x->road == TN_ROAD_TRANSPOSE) {
        per_point = x->dims[outputs - 2].n;
        job.points /= per_point;
    }
    job.chunk = smaller(job.inner, NEST_CHUNK);
    const int64_t work = job.chunk * per_point;
    job.piece = work >= NEST_TASK ? 1 : smaller(job.points, (NEST_TASK + work - 1) / work);
    job.pieces = (job.points + job.piece - 1) / job.piece;
    const int64_t chunks = (job.inner + job.chunk - 1) / job.chunk;
    if ((double)job.points * (double)job.inner * (double)per_point < PARALLEL_MACS) threads = 1;
    tn_parallel_for(threads, chunks * job.pieces, nest_task, &job);
}

void tn_contract(const tn_contraction *x, const char *a, const char *b, char *c, int threads,
                 char *workspace, int64_t workspace_stride, int worker, tn_control *control) {
    contract_job job = {.x = x,
                        .kernels = tn_get_kernels(x->dtype),
                        .a = a,
                        .b = b,
                        .c = c,
                        .workspace = workspace,
                        .workspace_stride = workspace_stride,
                        .worker = worker,
                        .control = control};
    if (x->road == TN_ROAD_GETT)
        run_gett(&job, threads);
    else
        run_nest(&job, threads);
}
