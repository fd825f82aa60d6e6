/* w from x and y, its gradient: each task sums over a chunk of the boxes of windows, for some channels
 * of x and some of y.  Which boxes make a chunk, and so every bit of the sums, depends on the call alone. */
#include "convolve.h"
#include "sizes.h"

#include <string.h>

/* Bytes of a strip; windows of a box, and enough of them to sum at a time. */
static const double STRIP = 256 << 10, WINDOWS = 4096, ENOUGH = 256;
/* Chunks that are summed apart where there are few channels, and bytes of their sums. */
enum { CHUNKS = 8, CHUNKS_BYTES = 4 << 20 };
enum { TASKS = 2 }; /* for each thread */


typedef struct {
    tn_strips s;
    const char *x, *y;
    char *w, *sums; /* sums: [chunk][group][position][channel of x] rows */
    int64_t channels, parts; /* of x in a task; tasks that share the channels of a group */
    int64_t panels, panel_parts; /* of y, of a tile's width each; tasks that share these */
    int64_t row, chunks, chunk_bytes;
    char *workspace;
    int64_t stride;
} weights_job;

/* What is in a thread's workspace, and for which box its tables were made: any box with as many
 * windows, and the same planes and rows of them, has the same. */
typedef struct {
    tn_window_box box;
    tn_band *bands;
    int64_t n_bands;
    int64_t *windows, *taps, *sums; /* offsets: in the strip, twice, and in the sums */
    char *strip, *packed;           /* packed: [panel][window] rows */
} weights_space;

static int64_t tables(const weights_job *job) {
    return TN_ALIGNED((job->s.points + 2 * job->s.taps * job->channels) * (int64_t)sizeof(int64_t) +
                      tn_most_bands(&job->s) * (int64_t)sizeof(tn_band));
}

static double workspace_bytes(const weights_job *job) {
    return (double)sizeof(weights_space) + 4 * TN_ALIGN + job->s.strip_bytes + (double)tables(job) +
           (double)job->s.points * (double)(job->row * job->panels);
}

static void lay_out_space(const weights_job *job, char *workspace) {
    weights_space *space = (weights_space *)workspace;
    workspace += TN_ALIGNED(sizeof *space);
    space->box = (tn_window_box){{0}, {0}};
    space->windows = (int64_t *)workspace;
    space->taps = space->windows + job->s.points;
    space->sums = space->taps + job->s.taps * job->channels;
    space->bands = (tn_band *)(space->sums + job->s.taps * job->channels);
    space->packed = workspace + tables(job);
    space->strip = space->packed + job->s.points * job->row * job->panels;
}

static int64_t panel_columns(const weights_job *job, int64_t panel) {
    const int64_t columns = job->s.kernels->columns;
    return smaller(job->s.call.out_channels - panel * columns, columns);
}

/* The share of a task, and where its operands begin. */
typedef struct {
    int64_t channels, first_panel, last_panel;
    const char *x;
    char *y, *sums; /* y is only read */
} weights_share;

static void tabulate(const tn_strips *s, weights_space *space, const tn_window_box *box) {
    int64_t *windows = space->windows;
    if (!memcmp(space->box.count, box->count, sizeof box->count) &&
        space->box.first[1] == box->first[1] && space->box.first[2] == box->first[2])
        return;
    space->box = *box;
    space->n_bands = tn_cut_bands(s, box, space->bands);
    for (int64_t i = 0; i < space->n_bands; i++)
        windows = tn_tabulate_windows(s, space->bands[i].first, space->bands[i].count, windows);
}

/* The panels of y in a box, band by band. */
static void pack(const weights_job *job, const weights_space *space, const weights_share *share,
                 char *y, int64_t windows) {
    const tn_strips *s = &job->s;
    const int64_t width = s->kernels->columns;
    for (int64_t j = share->first_panel; j < share->last_panel; j++) {
        char *to = space->packed + (j - share->first_panel) * windows * job->row;
        if (panel_columns(job, j) < width) memset(to, 0, (size_t)(windows * job->row));
        for (int64_t i = 0; i < space->n_bands; i++) {
            const tn_band *band = &space->bands[i];
            tn_window_box part;
            memcpy(part.first, band->first, sizeof part.first);
            memcpy(part.count, band->count, sizeof part.count);
            tn_move_windows(s, &part, to, job->row,
                            y + tn_box_offset(&part, &s->call.y) + j * width * s->call.y.channel,
                            panel_columns(job, j), 1);
            to += band->windows * job->row;
        }
    }
}

static int sees(const tn_band *band, int64_t rows, int64_t tap_row) {
    const int64_t d = tap_row / rows, h = tap_row % rows;
    return d >= band->low[0] && d < band->high[0] && h >= band->low[1] && h < band->high[1];
}

/* Whether the same bands see these two rows of positions. */
static int seen_alike(const weights_space *space, int64_t rows, int64_t one, int64_t other) {
    for (int64_t i = 0; i < space->n_bands; i++)
        if (sees(&space->bands[i], rows, one) != sees(&space->bands[i], rows, other)) return 0;
    return 1;
}

/* Adds the windows from p to end that see these rows of positions; a tile sums over windows. */
static void add_windows(const weights_job *job, const weights_space *space, tn_tiles *tiles,
                        const char *packed, int64_t tap_row, int64_t p, int64_t end) {
    const int64_t rows = job->s.call.windows.kernel[1];
    for (int64_t i = 0, at = 0; i < space->n_bands;) {
        int64_t low = larger(p, at);
        const int visible = sees(&space->bands[i], rows, tap_row);
        do { /* neighbours that see them, too */
            at += space->bands[i++].windows;
        } while (i < space->n_bands && sees(&space->bands[i], rows, tap_row) == visible);
        tiles->depth = smaller(end, at) - low;
        if (!visible || tiles->depth <= 0) continue;
        tiles->b = packed + low * job->row;
        tiles->steps = space->windows + low;
        job->s.kernels->tiles(tiles);
    }
}

/* One box of windows into the sums of a task. */
static void sum_box(const weights_job *job, weights_space *space, const tn_window_box *box,
                    const weights_share *share) {
    const tn_strips *s = &job->s;
    const int64_t *kernel = s->call.windows.kernel, *count = box->count;
    const int64_t windows = count[0] * count[1] * count[2] * count[3];
    const int64_t depth = tn_block_depth(s->kernels, s->size, windows);
    const int64_t tap_rows = kernel[0] * kernel[1], each = kernel[2] * share->channels;
    tabulate(s, space, box);
    tn_fill_strip(s, box, share->x, share->channels, space->strip);
    pack(job, space, share, share->y + tn_box_offset(box, &s->call.y), windows);
    for (int64_t p = 0; p < windows; p += depth)
        for (int64_t j = share->first_panel; j < share->last_panel; j++) {
            const char *packed = space->packed + (j - share->first_panel) * windows * job->row;
            tn_tiles tiles = {.a = space->strip,
                              .c = share->sums + j * job->row,
                              .columns = panel_columns(job, j),
                              .accumulate = 1};
            int64_t next;
            for (int64_t t = 0; t < tap_rows; t = next) {
                for (next = t + 1; next < tap_rows && seen_alike(space, kernel[1], t, next);) next++;
                tiles.a_rows = space->taps + t * each;
                tiles.c_rows = space->sums + t * each;
                tiles.rows = (next - t) * each;
                add_windows(job, space, &tiles, packed, t, p, smaller(p + depth, windows));
            }
        }
}

static void chunk_task(void *argument, int64_t task, int worker) {
    const weights_job *job = argument;
    const tn_strips *s = &job->s;
    const tn_convolution *call = &s->call;
    weights_space *space = (weights_space *)(job->workspace + worker * job->stride);
    const int64_t panel_part = task % job->panel_parts, rest = task / job->panel_parts;
    const int64_t part = rest % job->parts, chunk = rest / job->parts % job->chunks;
    const int64_t group = rest / job->parts / job->chunks, row = job->row * job->panels;
    const int64_t first = part * job->channels, into = call->in_channels;
    weights_share share = {.channels = smaller(job->channels, into - first),
                           .first_panel = job->panels * panel_part / job->panel_parts,
                           .last_panel = job->panels * (panel_part + 1) / job->panel_parts};
    share.x = job->x + (group * into + first) * call->x.channel;
    share.y = (char *)job->y + group * call->out_channels * call->y.channel;
    share.sums = job->sums + chunk * job->chunk_bytes + (group * s->taps * into + first) * row;
    tn_tabulate_taps(s, share.channels, space->taps);
    int64_t *to = space->sums;
    for (int64_t tap = 0; tap < s->taps; tap++)
        for (int64_t i = 0; i < share.channels; i++, to++) {
            *to = (tap * into + i) * row;
            memset(share.sums + *to + share.first_panel * job->row, 0,
                   (size_t)((share.last_panel - share.first_panel) * job->row));
        }
    const int64_t end = s->n_boxes * (chunk + 1) / job->chunks;
    for (int64_t b = s->n_boxes * chunk / job->chunks; b < end; b++) {
        tn_window_box box;
        tn_place_box(s, b, &box);
        sum_box(job, space, &box, &share);
    }
}

/* Adds the chunks up for one channel of x, in their order, and moves the sums to w. */
static void finish_task(void *argument, int64_t task, int worker) {
    const weights_job *job = argument;
    const tn_strips *s = &job->s;
    const tn_convolution *call = &s->call;
    const int64_t *kernel = call->windows.kernel, unit = tn_joined_taps(s);
    const int64_t group = task / call->in_channels, channel = task % call->in_channels;
    const int64_t row = job->row * job->panels, tap = call->in_channels * row;
    const int64_t reals = row / s->size * tn_real_count(call->dtype);
    char *sums = job->sums + group * s->taps * tap + channel * row;
    char *w = job->w + group * call->w.group + channel * call->w.in;
    (void)worker;
    for (int64_t c = 1; c < job->chunks; c++)
        for (int64_t t = 0; t < s->taps; t++)
            tn_get_kernels(call->dtype)->add(sums + t * tap, sums + t * tap + c * job->chunk_bytes,
                                             reals, 0);
    const tn_move all = {s->taps, call->out_channels, tap, s->size, unit, call->w.out};
    const tn_move one = {1, call->out_channels, tap, s->size, 0, call->w.out};
    if (unit) s->kernels->move(&all, sums, w);
    for (int64_t d = 0; !unit && d < kernel[0]; d++)
        for (int64_t h = 0; h < kernel[1]; h++)
            for (int64_t i = 0; i < kernel[2]; i++, sums += tap)
                s->kernels->move(&one, sums, w + d * call->w.at[0] + h * call->w.at[1] +
                                                 i * call->w.at[2]);
}

/* Boxes and chunks from the call alone; then shares of the channels for the threads. */
static void cut(weights_job *job, int threads) {
    tn_strips *s = &job->s;
    const tn_convolution *call = &s->call;
    const int64_t channels = call->in_channels;
    double all = 1;
    for (int axis = 0; axis < 4; axis++) all *= (double)s->count[axis];
    for (job->parts = 1;; job->parts *= 2) {
        job->channels = parts_of(channels, job->parts);
        tn_cut_strips(s, TN_BY_CHANNEL, job->channels, STRIP, WINDOWS);
        if ((double)s->points >= (all < ENOUGH ? all : ENOUGH) || job->channels <= 16) break;
    }
    job->parts = parts_of(channels, job->channels);
    const int64_t most = larger(CHUNKS_BYTES / larger(job->chunk_bytes, 1), 1);
    job->chunks = smaller(parts_of(CHUNKS, call->groups * job->parts), smaller(most, s->n_boxes));
    job->chunks = larger(job->chunks, 1);
    const int64_t tasks = job->chunks * job->parts * call->groups, wanted = TASKS * threads;
    job->panel_parts = 1;
    if (threads > 1 && tasks < wanted)
        job->panel_parts = smaller(job->panels, parts_of(wanted, tasks));
}

tn_status tn_convolve_to_weights(const tn_convolution *call, const char *x, const char *y, char *w,
                                 int threads) {
    weights_job job = {.x = x, .y = y, .w = w};
    tn_strips *s = &job.s;
    tn_begin_strips(s, call);
    const int64_t groups = call->groups, terms = s->taps * call->in_channels;
    if (!terms || !call->out_channels || !groups) return TN_OK;
    const double windows = (double)s->count[0] * (double)s->count[1] * (double)s->count[2] *
                           (double)s->count[3];
    job.panels = parts_of(call->out_channels, s->kernels->columns);
    job.row = s->kernels->columns * s->size;
    const double chunk_bytes = (double)(groups * job.panels * job.row) * (double)terms;
    if (chunk_bytes >= 0x1p50) return TN_NO_MEMORY;
    job.chunk_bytes = (int64_t)chunk_bytes;
    threads = tn_worthwhile_threads(
        call, windows * (double)terms * (double)(groups * call->out_channels), threads);
    cut(&job, threads);
    const int64_t tasks = groups * job.chunks * job.parts * job.panel_parts;
    threads = (int)smaller(threads, tasks);
    const double each = workspace_bytes(&job);
    if (chunk_bytes * (double)job.chunks + each * threads >= 0x1p58) return TN_NO_MEMORY;
    job.stride = TN_ALIGNED((int64_t)each);
    const int64_t sums_bytes = TN_ALIGNED(job.chunk_bytes * job.chunks);
    const size_t bytes = (size_t)(sums_bytes + job.stride * threads);
    job.sums = tn_alloc(bytes);
    if (!job.sums) return TN_NO_MEMORY;
    job.workspace = job.sums + sums_bytes;
    for (int i = 0; i < threads; i++) lay_out_space(&job, job.workspace + i * job.stride);
    tn_parallel_for(threads, tasks, chunk_task, &job);
    tn_parallel_for(threads, groups * call->in_channels, finish_task, &job);
    tn_free(job.sums, bytes);
    return TN_OK;
}
