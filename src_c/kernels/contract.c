/* Blocking, workspace and the split of one contraction into tasks. */
#include "../tn.h"
#include "boxes.h"
#include "lane_plan.h"
#include "tiling.h"
#include "sizes.h"

/* Cache budgets in bytes: a panel of a and one of b share L1, or pass through it where c is larger than
 * NEAR_C, does not stay in L2 and is better read less often; a block of a stays in L2, and so does one of
 * b that meets a single block of a, with what is fetched for the next; other blocks of b stay in L3. */
enum { PANELS = 28 << 10, LONG_PANELS = 44 << 10, NEAR_C = 256 << 10 };
enum { A_BLOCK = 192 << 10, B_BLOCK = 2 << 20 };
/* Where L2 is large and c is larger still, reading and writing it for every block of k is what takes long:
 * blocks are so deep that panels stay in L2 alone, of at least so many rows. */
enum { LARGE_C = 2 << 20, DEEP_PANELS = 192 << 10, DEEP_A = 512 << 10, DEEP_B = 8 << 20, DEEP_ROWS = 84 };
enum { B_ONCE = 256 << 10, B_ENOUGH = 128 << 10 }; /* the former where whole lines ask for it */
enum { POINTS = 4096, MIN_POINTS = 256, MIN_DEPTH = 256, FEW_PANELS = 8, LONG_DEPTHS = 4 };
/* Panels of the other operand that make packing worth it, if an operand can be read where it lies. */
enum { A_PANELS = 3, B_PANELS = 4 };
/* Work below which one thread is faster than two that are awake, and than two that sleep: bytes of
 * multiplied reals in packed products, and macs of nests, which wait for memory. */
static const double PARALLEL_GETT[2] = {1 << 25, 1 << 21}, PARALLEL_NEST[2] = {1 << 19, 1 << 17};
/* Work of a task on several threads, and on one, which looks up now and then whether to stop: some rows of
 * a for all columns, or longer runs of b. */
static const double DIRECT_TASK = 1 << 18, DIRECT_ALONE = 1 << 22, DIRECT_LONG = 1 << 25;
/* Bytes of a result for box.far 1, and of all that is as large for 2. */
enum { FETCHED = 2 << 20, STREAMED = 16 << 20 };
static const int64_t NEST_TASK = 1 << 18, LEAST_TASK = 1 << 14, NEST_CHUNK = 4096;
enum { TASKS_EACH = 4 }; /* tasks for every thread where there is not work for more */
/* Where c is so small that only k can be cut for the threads: entries of c, summed points for each of
 * them, chunks of k, and macs of a chunk. */
enum { FEW_KEPT = 256, MANY_SUMMED = 64, MOST_CHUNKS = 16 };
static const double CHUNK_MACS = 1 << 16;

static int64_t round_up(int64_t x, int64_t unit) { return parts_of(x, unit) * unit; }

/* Whether several threads are faster, given the two limits of work. */
static int pays(const double limits[2], double work, int threads) {
    return threads > 1 && (work >= limits[0] || (work >= limits[1] && tn_pool_ready(threads)));
}

/* Work of one task of a nest, so that threads which are held up leave tasks to the others. */
static int64_t nest_task_of(double work, int threads) {
    if (threads == 1 || work >= (double)NEST_TASK * TASKS_EACH * threads) return NEST_TASK;
    return larger(LEAST_TASK, (int64_t)work / (TASKS_EACH * threads));
}

/* The extents of blocks and the workspace, from the sizes of the groups alone. */
static void limit_blocks(tn_blocking *x, int dtype, int64_t m, int64_t n, int64_t k) {
    const tn_kernels *kernels = tn_get_kernels(dtype);
    const int64_t itemsize = tn_itemsize(dtype), mr = kernels->mr, nr = kernels->nr;
    const double c = (double)m * (double)n * (double)itemsize;
    const int deep = c > LARGE_C && tn_large_l2();
    const int64_t panels = deep ? DEEP_PANELS : c > NEAR_C ? LONG_PANELS : PANELS;
    int64_t depth = larger(panels / ((mr + nr) * itemsize), MIN_DEPTH);
    /* few rows meet a long b in blocks that stay in L2 while the next one is fetched */
    if (m <= FEW_PANELS * mr && n >= MIN_POINTS && k >= LONG_DEPTHS * depth)
        depth = smaller(depth, B_ONCE / (MIN_POINTS * itemsize));
    x->kc = parts_of(k, parts_of(k, depth)); /* equal blocks rather than a thin last one */
    const int64_t step = x->kc * itemsize;
    const int64_t a = deep ? smaller(DEEP_A, larger(DEEP_ROWS * step, A_BLOCK)) : A_BLOCK;
    x->mc = smaller(round_up(m, mr), smaller(a / step, POINTS) / mr * mr);
    const int64_t b = m > x->mc ? (deep ? DEEP_B : B_BLOCK) / step : larger(B_ONCE / step, MIN_POINTS);
    x->nc = smaller(round_up(n, nr), smaller(b, POINTS) / nr * nr);
    x->bytes = TN_ALIGNED(x->mc * step + TN_ALIGN) + TN_ALIGNED(x->nc * step) +
               TN_ALIGNED(4 * (x->mc + x->nc + x->kc) * (int64_t)sizeof(int64_t));
}

/* The most points of a block if all threads get equally many blocks. */
static int64_t share_blocks(int64_t points, int64_t most, int64_t unit, int threads) {
    const int64_t blocks = round_up(parts_of(points, most), threads);
    return smaller(most, round_up(parts_of(points, blocks), unit));
}

/* The whole blocking, for this many threads. */
static void choose_blocks(tn_blocking *blocking, const tn_contraction *x, int threads) {
    const tn_kernels *kernels = tn_get_kernels(x->dtype);
    const int64_t itemsize = tn_itemsize(x->dtype);
    const tn_dim *m = x->dims + x->n_batch, *n = m + x->n_m, *k = n + x->n_n;
    limit_blocks(blocking, x->dtype, x->m, x->n, x->k);
    int64_t mc = blocking->mc, nc = blocking->nc;
    const int64_t once = larger(B_ENOUGH / (blocking->kc * itemsize), MIN_POINTS);
    if (threads > 1 && x->batch < 2 * threads) {
        if (x->n >= x->m)
            nc = share_blocks(x->n, nc, kernels->nr, threads);
        else
            mc = share_blocks(x->m, mc, kernels->mr, threads);
    }
    cut_boxes(&blocking->m, m, x->n_m, ON_A, ON_C, itemsize, kernels->mr, mc, mc);
    cut_boxes(&blocking->n, n, x->n_n, ON_C, ON_B, itemsize, kernels->nr, nc,
              x->m <= mc ? smaller(nc, once) : nc);
    cut_boxes(&blocking->k, k, x->n_k, x->n > x->m ? ON_B : ON_A, x->n > x->m ? ON_A : ON_B,
              itemsize, 1, blocking->kc, blocking->kc);
    blocking->a_direct =
        x->n_m == 1 && x->n_k == 1 && x->n <= (int64_t)A_PANELS * kernels->nr;
    blocking->b_direct = x->n_n == 1 && x->n_k == 1 && n->sb == itemsize &&
                         x->m <= (int64_t)B_PANELS * kernels->mr;
}

/* The longest summed axis, or -1; an index into dims. */
static int longest_summed(const tn_contraction *x) {
    const int first = x->n_batch + x->n_m + x->n_n;
    int longest = -1;
    for (int d = first; d < first + x->n_k; d++)
        if (longest < 0 || x->dims[d].n > x->dims[longest].n) longest = d;
    return longest;
}

/* How many chunks of k are summed apart, on whatever threads there are: the bits depend on it. */
static int64_t chunks_of(const tn_contraction *x) {
    const double kept = (double)x->batch * (double)x->m * (double)x->n, macs = kept * (double)x->k;
    if (x->road == TN_ROAD_TRANSPOSE) return 1; /* whose k is not summed */
    if (kept > FEW_KEPT || (double)x->k < MANY_SUMMED * kept || macs < 2 * CHUNK_MACS) return 1;
    const int64_t chunks = macs < MOST_CHUNKS * CHUNK_MACS ? (int64_t)(macs / CHUNK_MACS)
                                                           : MOST_CHUNKS;
    return smaller(chunks, x->dims[longest_summed(x)].n);
}

static int64_t sum_bytes(const tn_contraction *x) {
    return TN_ALIGNED(x->batch * x->m * x->n * tn_itemsize(x->dtype));
}

/* Of blocks with so many summed points. */
static int64_t bytes_of_blocks(const tn_contraction *x, int64_t k) {
    tn_blocking one, two;
    limit_blocks(&one, x->dtype, x->m, x->n, k);
    limit_blocks(&two, x->dtype, x->n, x->m, k);
    return larger(one.bytes, two.bytes);
}

/* Without that for the sums of chunks, whose blocks may be deeper than those of the whole. */
static int64_t workspace_of_blocks(const tn_contraction *x) {
    if (x->road != TN_ROAD_GETT && x->road != TN_ROAD_SKINNY) return 0;
    const int64_t chunks = chunks_of(x);
    if (chunks == 1) return bytes_of_blocks(x, x->k);
    const int64_t length = x->dims[longest_summed(x)].n, each = x->k / length;
    return larger(bytes_of_blocks(x, length / chunks * each),
                  bytes_of_blocks(x, parts_of(length, chunks) * each));
}

int64_t tn_workspace(const tn_contraction *x) {
    const int64_t chunks = chunks_of(x);
    return workspace_of_blocks(x) + (chunks > 1 ? chunks * sum_bytes(x) : 0);
}

typedef struct {
    const tn_contraction *x;
    const tn_kernels *kernels;
    const char *a, *b;
    char *c, *workspace;
    int64_t workspace_stride;
    int worker; /* the number of worker 0 of this contraction in the caller's own split */
    tn_control *control;
    tn_blocking *blocking;
    int64_t batch_piece; /* batch points of one task */
    int whole_m;         /* a task has all m */
} contract_job;

/* The arrays, as large as the result, that a copy or an elementwise product goes through at once. */
static int arrays_of(const tn_contraction *x) {
    int on_a = 1, on_b = 1;
    if (x->road == TN_ROAD_TRANSPOSE) return 2;
    if (x->road != TN_ROAD_N && x->road != TN_ROAD_BATCH) return 1;
    for (int d = 0; d < x->n_batch + x->n_m + x->n_n; d++) {
        on_a &= x->dims[d].sa != 0;
        on_b &= x->dims[d].sb != 0;
    }
    return 1 + on_a + on_b;
}

/* Of a box of this contraction, whose result is at c.  Nothing passes the caches unless lines hold whole
 * elements: rows may begin at any byte. */
static int how_far(const tn_contraction *x, const char *c) {
    const double runs = x->road == TN_ROAD_TRANSPOSE ? (double)x->k : 1;
    const double bytes = (double)x->batch * (double)x->m * (double)x->n * runs * tn_itemsize(x->dtype);
    uint64_t bits = (uintptr_t)c;
    for (int d = 0; d < x->n_batch + x->n_m + x->n_n + x->n_k; d++) bits |= (uint64_t)x->dims[d].sc;
    const int whole = bits % (uint64_t)tn_itemsize(x->dtype) == 0;
    return (bytes >= FETCHED || x->far) + (bytes * arrays_of(x) >= STREAMED && whole);
}

static void gett_task(void *argument, int64_t task, int worker) {
    const contract_job *job = argument;
    const tn_contraction *x = job->x;
    const int64_t m_parts = job->whole_m ? 1 : job->blocking->m.count;
    const int64_t m = task % m_parts, rest = task / m_parts;
    const int64_t n = rest % job->blocking->n.count, batch = rest / job->blocking->n.count;
    tn_box box = {batch * job->batch_piece, smaller((batch + 1) * job->batch_piece, x->batch),
                  m, m_parts == 1 ? job->blocking->m.count : m + 1, n, n + 1,
                  how_far(x, job->c)};
    tn_worker self = {worker + job->worker, job->workspace + worker * job->workspace_stride,
                      job->control};
    job->kernels->gett(x, job->blocking, job->a, job->b, job->c, &box, &self);
}

/* Every element of c is summed in the same order however the work is cut: the blocks of k depend on
 * the contraction alone. */
static void run_gett(contract_job *job, int threads) {
    const tn_contraction *x = job->x;
    const double macs = (double)x->batch * (double)x->m * (double)x->n * (double)x->k;
    const double work = macs * tn_real_count(x->dtype) * (double)tn_itemsize(x->dtype);
    tn_blocking blocking;
    if (!pays(PARALLEL_GETT, work, threads)) threads = 1;
    choose_blocks(&blocking, x, threads);
    job->blocking = &blocking;
    if (threads == 1) {
        const tn_box all = {0, x->batch, 0, blocking.m.count, 0, blocking.n.count, how_far(x, job->c)};
        tn_worker self = {job->worker, job->workspace, job->control};
        job->kernels->gett(x, &blocking, job->a, job->b, job->c, &all, &self);
        return;
    }
    job->batch_piece = x->batch >= 2 * threads ? parts_of(x->batch, 4 * threads) : x->batch;
    job->whole_m = x->n >= x->m;
    const int64_t m_parts = job->whole_m ? 1 : blocking.m.count;
    tn_parallel_for(threads, parts_of(x->batch, job->batch_piece) * blocking.n.count * m_parts,
                    gett_task, job);
}

typedef struct {
    contract_job base;
    int64_t batch, m, n;                /* points of a task */
    int64_t batches, m_pieces, n_pieces; /* tasks */
} direct_job;

static void direct_task(void *argument, int64_t task, int worker) {
    const direct_job *job = argument;
    const contract_job *base = &job->base;
    const tn_contraction *x = base->x;
    if (tn_stopped(base->control, worker + base->worker)) return;
    const int64_t m = task % job->m_pieces * job->m, rest = task / job->m_pieces;
    const int64_t n = rest % job->n_pieces * job->n, batch = rest / job->n_pieces * job->batch;
    const tn_box box = {batch, smaller(batch + job->batch, x->batch), m, smaller(m + job->m, x->m),
                        n,     smaller(n + job->n, x->n),             how_far(x, base->c)};
    (x->road == TN_ROAD_DIRECT ? base->kernels->direct : base->kernels->dots)(
        x, base->a, base->b, base->c, &box);
}

/* Whether tasks of a direct product take rows: of the longer side, or of results that are written row by row
 * (direct.h). */
static int are_tasks_rows(const tn_contraction *x, int mr, int threads) {
    enum { FEW_STEPS = 64, PIECES = 4 };
    return x->m >= x->n || (x->k <= FEW_STEPS && x->m >= (int64_t)PIECES * threads * mr);
}

/* Cuts the batch, and if need be m or n, into tasks. */
static void run_direct(const contract_job *base, int threads) {
    const tn_contraction *x = base->x;
    const double m = (double)x->m, n = (double)x->n, k = (double)x->k;
    /* of thin products, reading the operands is the work */
    const double work = (double)x->batch * (m * n * k + 2 * (m * k + k * n));
    const double bytes = work * tn_real_count(x->dtype) * (double)tn_itemsize(x->dtype);
    direct_job job = {*base, x->batch, x->m, x->n, 1, 1, 1};
    if (!pays(PARALLEL_GETT, bytes, threads)) threads = 1;
    const double task = threads > 1 ? DIRECT_TASK : x->m < x->n ? DIRECT_LONG : DIRECT_ALONE;
    /* columns of a task: a long b is read in long runs */
    const int64_t few = threads > 1 ? larger(256, smaller(4096, x->n / (2 * threads))) : 4096;
    const int64_t strip = x->m <= base->kernels->mr ? few : base->kernels->nr;
    if (work > task) {
        const int64_t tasks = (int64_t)(work / task) + 1;
        job.batch = parts_of(x->batch, tasks);
        const int64_t each = parts_of(tasks, parts_of(x->batch, job.batch));
        if (are_tasks_rows(x, base->kernels->mr, threads))
            job.m = larger(round_up(parts_of(x->m, each), base->kernels->mr), 2 * base->kernels->mr);
        else
            job.n = round_up(larger(parts_of(x->n, each), strip), base->kernels->nr);
        job.batches = parts_of(x->batch, job.batch);
        job.m_pieces = parts_of(x->m, job.m);
        job.n_pieces = parts_of(x->n, job.n);
    }
    tn_parallel_for(threads, job.batches * job.m_pieces * job.n_pieces, direct_task, &job);
}

typedef struct {
    contract_job base;
    int64_t points, piece, pieces; /* outer points, points per task, tasks per chunk */
    int64_t inner, chunk;          /* inner axis, its part in one task */
    int far;
    const tn_tiling *tiling;       /* of TN_ROAD_SKINNY, whose outer points are tiles */
    const tn_lanes *lanes;         /* of TN_ROAD_LANES: blocks of lanes */
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
                  .n1 = smaller((chunk + 1) * job->chunk, job->inner),
                  .far = job->far};
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
    if (x->road == TN_ROAD_TRANSPOSE) {
        const int n_dims = outputs + x->n_k;
        job.points = per_point = 1; /* tiles, and the elements of one */
        for (int d = 0; d < n_dims; d++) {
            job.points *= parts_of(x->dims[d].n, x->dims[d].sb);
            per_point *= x->dims[d].sb;
        }
    } else if (x->road != TN_ROAD_K) {
        job.inner = x->dims[outputs - 1].n;
        job.points /= job.inner;
    }
    const double macs = (double)job.points * (double)job.inner * (double)per_point;
    job.chunk = smaller(job.inner, NEST_CHUNK);
    job.far = how_far(x, base->c);
    if (!pays(PARALLEL_NEST, macs, threads)) threads = 1;
    job.piece = smaller(job.points, parts_of(nest_task_of(macs, threads), job.chunk * per_point));
    job.pieces = parts_of(job.points, job.piece);
    const int64_t chunks = parts_of(job.inner, job.chunk);
    tn_parallel_for(threads, chunks * job.pieces, nest_task, &job);
}

static void skinny_task(void *argument, int64_t task, int worker) {
    const nest_job *job = argument;
    const contract_job *base = &job->base;
    if (tn_stopped(base->control, worker + base->worker)) return;
    const tn_box box = {.batch0 = task * job->piece,
                        .batch1 = smaller((task + 1) * job->piece, job->points),
                        .far = job->far};
    base->kernels->skinny(base->x, job->tiling, base->a, base->b, base->c, &box);
}

/* Returns 0 if the instruction set in use has no tiles for it. */
static int run_skinny(const contract_job *base, int threads) {
    const tn_contraction *x = base->x;
    tn_tiling found;
    const tn_tiling *tiling = x->tiling;
    if (!tiling || tiling->lanes != base->kernels->lanes) {
        if (!tn_cut_tiles(x, &found)) return 0;
        tiling = &found;
    }
    if (!tiling->tiles) return 1;
    nest_job job = {.base = *base, .tiling = tiling, .points = tiling->tiles};
    const double macs = (double)x->batch * (double)x->m * (double)x->n * (double)x->k;
    job.far = how_far(x, base->c);
    if (!pays(PARALLEL_NEST, macs, threads)) threads = 1;
    const double task = (double)nest_task_of(macs, threads);
    job.piece = smaller(larger(1, (int64_t)(task * (double)job.points / macs)), job.points);
    job.pieces = parts_of(job.points, job.piece);
    tn_parallel_for(threads, job.pieces, skinny_task, &job);
    return 1;
}

static void lanes_task(void *argument, int64_t task, int worker) {
    const nest_job *job = argument;
    const contract_job *base = &job->base;
    if (tn_stopped(base->control, worker + base->worker)) return;
    const tn_box box = {.batch0 = task * job->piece,
                        .batch1 = smaller((task + 1) * job->piece, job->points)};
    base->kernels->in_lanes(base->x, job->lanes, base->a, base->b, base->c, &box);
}

static void run_lanes(const contract_job *base, int threads) {
    const tn_contraction *x = base->x;
    const int64_t length = x->dims[x->n_batch - 1].n;
    tn_lanes plan;
    tn_plan_lanes(x, &plan);
    nest_job job = {.base = *base, .lanes = &plan, .points = x->batch / length * plan.blocks};
    const int64_t each = x->m * x->n * x->k + x->m * x->k + x->k * x->n + x->m * x->n;
    const double work = (double)x->batch * (double)each;
    if (!pays(PARALLEL_NEST, work, threads)) threads = 1;
    job.piece = nest_task_of(work, threads) / (plan.lanes * each);
    job.piece = larger(1, smaller(job.points, job.piece));
    job.pieces = parts_of(job.points, job.piece);
    tn_parallel_for(threads, job.pieces, lanes_task, &job);
}

static void inner_task(void *argument, int64_t task, int worker) {
    const contract_job *job = argument;
    if (tn_stopped(job->control, worker + job->worker)) return;
    const int64_t end = smaller((task + 1) * job->batch_piece, job->x->batch);
    const tn_box box = {.batch0 = task * job->batch_piece, .batch1 = end};
    job->kernels->inner(job->x, job->a, job->b, job->c, &box);
}

static void run_inner(contract_job *job, int threads) {
    const tn_contraction *x = job->x;
    const double each = (double)x->m * (double)x->n * (double)x->k;
    const double work = each * (double)x->batch;
    if (!pays(PARALLEL_NEST, work, threads)) threads = 1;
    job->batch_piece = larger(1, (int64_t)((double)nest_task_of(work, threads) / each));
    tn_parallel_for(threads, parts_of(x->batch, job->batch_piece), inner_task, job);
}

static void contract_whole(contract_job *job, int threads) {
    const int road = job->x->road;
    if (road == TN_ROAD_SKINNY && run_skinny(job, threads)) return;
    if (road == TN_ROAD_GETT || road == TN_ROAD_SKINNY)
        run_gett(job, threads);
    else if (road == TN_ROAD_DIRECT || road == TN_ROAD_DOTS)
        run_direct(job, threads);
    else if (road == TN_ROAD_LANES)
        run_lanes(job, threads);
    else if (road == TN_ROAD_INNER)
        run_inner(job, threads);
    else
        run_nest(job, threads);
}

typedef struct {
    contract_job base;
    int64_t chunks, bytes;      /* of k; of the sums of one */
    int axis;                   /* that is cut */
    tn_dim dims[TN_MAX_DIMS + TN_ADDED_DIMS]; /* with the strides of the sums */
    char *sums[MOST_CHUNKS];    /* chunk 0 goes to c itself */
} chunk_job;

static void chunk_task(void *argument, int64_t task, int worker) {
    chunk_job *job = argument;
    const contract_job *base = &job->base;
    tn_contraction x = *base->x;
    tn_dim dims[TN_MAX_DIMS + TN_ADDED_DIMS];
    const int n_dims = x.n_batch + x.n_m + x.n_n + x.n_k;
    for (int d = 0; d < n_dims; d++) dims[d] = task ? job->dims[d] : x.dims[d];
    tn_dim *cut = &dims[job->axis];
    const int64_t length = cut->n, first = length * task / job->chunks;
    cut->n = length * (task + 1) / job->chunks - first;
    x.dims = dims;
    x.k = x.k / length * cut->n;
    x.accumulate = task ? 0 : x.accumulate;
    char *workspace = base->workspace + worker * base->workspace_stride;
    job->sums[task] = task ? workspace + workspace_of_blocks(base->x) + task * job->bytes : base->c;
    contract_job part = *base;
    part.x = &x;
    part.a += first * cut->sa;
    part.b = x.unary ? part.b : part.b + first * cut->sb;
    part.c = job->sums[task];
    part.workspace = workspace;
    part.worker += worker;
    contract_whole(&part, 1);
}

/* Gives the sums of a chunk strides of their own, in the order that the axes have on c. */
static void lay_out_sums(chunk_job *job) {
    const tn_contraction *x = job->base.x;
    const int kept = x->n_batch + x->n_m + x->n_n;
    uint8_t order[TN_MAX_DIMS + TN_ADDED_DIMS];
    int64_t stride = tn_itemsize(x->dtype);
    for (int d = 0; d < kept + x->n_k; d++) job->dims[d] = x->dims[d];
    for (int i = 0; i < kept; i++) { /* insertion sort */
        int j = i;
        for (; j > 0 && stride_on(&x->dims[order[j - 1]], ON_C) > stride_on(&x->dims[i], ON_C); j--)
            order[j] = order[j - 1];
        order[j] = (uint8_t)i;
    }
    for (int i = 0; i < kept; i++) {
        job->dims[order[i]].sc = stride;
        stride *= x->dims[order[i]].n;
    }
}

/* Adds the sums of one chunk to c. */
static void add_sums(const chunk_job *job, int64_t chunk) {
    const tn_contraction *x = job->base.x;
    const int kept = x->n_batch + x->n_m + x->n_n;
    tn_dim given[TN_MAX_DIMS + TN_ADDED_DIMS], dims[TN_MAX_DIMS + 2 * TN_ADDED_DIMS];
    for (int d = 0; d < kept; d++)
        given[d] = (tn_dim){x->dims[d].n, job->dims[d].sc, 0, x->dims[d].sc};
    tn_contraction sum = {.dims = given, .n_m = (uint8_t)kept, .dtype = x->dtype,
                          .accumulate = 1, .unary = 1};
    tn_choose_road(&sum, dims);
    sum.dims = dims;
    contract_job part = job->base;
    part.x = &sum;
    part.a = job->sums[chunk];
    run_nest(&part, 1);
}

/* Chunks of k are summed apart and added in their order, whichever thread had them. */
static void run_chunks(const contract_job *base, int64_t chunks, int threads) {
    const tn_contraction *x = base->x;
    const double macs = (double)x->batch * (double)x->m * (double)x->n * (double)x->k;
    chunk_job job = {.base = *base, .chunks = chunks, .bytes = sum_bytes(x),
                     .axis = longest_summed(x)};
    lay_out_sums(&job);
    if (!pays(PARALLEL_NEST, macs, threads)) threads = 1;
    tn_parallel_for(threads, chunks, chunk_task, &job);
    for (int64_t chunk = 1; chunk < chunks; chunk++) add_sums(&job, chunk);
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
    const int64_t chunks = chunks_of(x);
    if (chunks > 1)
        run_chunks(&job, chunks, threads);
    else
        contract_whole(&job, threads);
}
