/* y from x and w: each task makes some columns of y in one box of windows. */
#include "convolve.h"
#include "sizes.h"

#include <string.h>

/* Bytes of a strip, which stays in the second cache; windows of a box, and at least as many where there
 * are many threads, for the packed weights to be used often. */
static const double STRIP = 160 << 10, WINDOWS = 4096, LEAST_WINDOWS = 96;
enum { TASKS = 4 }; /* for each thread */


typedef struct {
    tn_strips s;
    const char *x, *w;
    char *y;
    int64_t terms, depth;  /* positions and channels that are summed; of a block of them */
    int64_t panels, parts; /* of a tile's width each, in a group; tasks that share these */
    int64_t *taps;
    char *packed; /* [group][panel][terms] rows of a tile's width */
    char *workspace;
    int64_t stride; /* of the workspace, from one thread to the next */
} convolve_job;

/* What is in a thread's workspace, and for which box its tables were made: any box with as many
 * windows, and the same planes and rows of them, has the same. */
typedef struct {
    tn_window_box box;
    tn_band *bands;
    int64_t n_bands;
    int64_t *windows, *y, *rows; /* offsets in the strip, in y, in the sums; band by band */
    char *strip, *sums;
} convolve_space;

static int64_t row_bytes(const tn_strips *s) { return s->kernels->columns * s->size; }

static double workspace_bytes(const tn_strips *s) {
    return (double)sizeof(convolve_space) + s->strip_bytes + 4 * TN_ALIGN +
           (double)tn_most_bands(s) * (double)sizeof(tn_band) +
           (double)s->points * (double)(row_bytes(s) + 3 * (int64_t)sizeof(int64_t));
}

static void lay_out_space(const tn_strips *s, char *workspace) {
    convolve_space *space = (convolve_space *)workspace;
    workspace += TN_ALIGNED(sizeof *space);
    space->box = (tn_window_box){{0}, {0}};
    space->bands = (tn_band *)workspace;
    workspace += tn_most_bands(s) * (int64_t)sizeof(tn_band);
    space->windows = (int64_t *)workspace;
    space->y = space->windows + s->points;
    space->rows = space->y + s->points;
    space->sums = workspace + TN_ALIGNED(3 * s->points * (int64_t)sizeof(int64_t));
    space->strip = space->sums + TN_ALIGNED(s->points * row_bytes(s));
}

/* The tables for a box, unless they are at hand. */
static void tabulate(const tn_strips *s, convolve_space *space, const tn_window_box *box) {
    const int64_t row = row_bytes(s), *count = box->count;
    const tn_volume sums = {count[1] * count[2] * count[3] * row, 0,
                            {count[2] * count[3] * row, count[3] * row, row}};
    int64_t *windows = space->windows, *y = space->y, *rows = space->rows;
    if (!memcmp(space->box.count, count, sizeof box->count) &&
        space->box.first[1] == box->first[1] && space->box.first[2] == box->first[2])
        return;
    space->box = *box;
    space->n_bands = tn_cut_bands(s, box, space->bands);
    for (int64_t i = 0; i < space->n_bands; i++) {
        const tn_band *band = &space->bands[i];
        windows = tn_tabulate_windows(s, band->first, band->count, windows);
        y = tn_tabulate(band->first, band->count, &s->call.y, y);
        rows = tn_tabulate(band->first, band->count, &sums, rows);
    }
}

/* Columns of a panel that exist. */
static int64_t panel_columns(const tn_strips *s, int64_t panel) {
    return smaller(s->call.out_channels - panel * s->kernels->columns, s->kernels->columns);
}

static void pack_task(void *argument, int64_t task, int worker) {
    const convolve_job *job = argument;
    const tn_strips *s = &job->s;
    const tn_convolution *call = &s->call;
    const int64_t panel = task % job->panels, group = task / job->panels, row = row_bytes(s);
    const int64_t columns = panel_columns(s, panel), into = call->in_channels;
    const int64_t *kernel = call->windows.kernel, unit = tn_joined_taps(s);
    const char *w = job->w + group * call->w.group + panel * s->kernels->columns * call->w.out;
    char *to = job->packed + task * job->terms * row;
    (void)worker;
    if (columns < s->kernels->columns) memset(to, 0, (size_t)(job->terms * row));
    if (unit) { /* positions are neighbours: channel by channel */
        const tn_move move = {columns, s->taps, call->w.out, unit, s->size, into * row};
        for (int64_t i = 0; i < into; i++) s->kernels->move(&move, w + i * call->w.in, to + i * row);
        return;
    }
    const tn_move move = {into, columns, call->w.in, call->w.out, row, s->size};
    for (int64_t d = 0; d < kernel[0]; d++)
        for (int64_t h = 0; h < kernel[1]; h++)
            for (int64_t i = 0; i < kernel[2]; i++, to += into * row)
                s->kernels->move(&move, w + d * call->w.at[0] + h * call->w.at[1] + i * call->w.at[2],
                                 to);
}

/* The terms from p to end that a band sees, into the tiles of its windows. */
static void add_terms(const convolve_job *job, tn_band *band, tn_tiles *tiles, const char *packed,
                      int64_t p, int64_t end) {
    const tn_convolution *call = &job->s.call;
    const int64_t row_terms = call->windows.kernel[2] * call->in_channels;
    const int64_t rows = call->windows.kernel[1], whole = band->high[1] - band->low[1] == rows;
    for (int64_t d = band->low[0]; d < (whole ? band->low[0] + 1 : band->high[0]); d++) {
        const int64_t last = whole ? band->high[0] * rows : d * rows + band->high[1];
        const int64_t low = larger(p, (d * rows + band->low[1]) * row_terms);
        tiles->depth = smaller(end, last * row_terms) - low;
        if (tiles->depth <= 0) continue;
        tiles->steps = job->taps + low;
        tiles->b = packed + low * row_bytes(&job->s);
        tiles->accumulate = band->begun;
        band->begun = 1;
        job->s.kernels->tiles(tiles);
    }
}

/* One panel of columns of y for the box whose strip is filled. */
static void make_panel(const convolve_job *job, const convolve_space *space,
                       const tn_window_box *box, const char *packed, int64_t columns, char *y) {
    const tn_strips *s = &job->s;
    const int direct = columns == s->kernels->columns && s->call.y.channel == s->size;
    tn_tiles tiles = {.a = space->strip, .c = direct ? y : space->sums, .columns = columns};
    for (int64_t i = 0; i < space->n_bands; i++) space->bands[i].begun = 0;
    for (int64_t p = 0; p < job->terms || !p; p += job->depth) {
        const int64_t end = smaller(p + job->depth, job->terms);
        int64_t first = 0;
        for (int64_t i = 0; i < space->n_bands; i++, first += tiles.rows) {
            tiles.rows = space->bands[i].windows;
            tiles.a_rows = space->windows + first;
            tiles.c_rows = (direct ? space->y : space->rows) + first;
            add_terms(job, &space->bands[i], &tiles, packed, p, end);
            if (end < job->terms || space->bands[i].begun) continue;
            tiles.depth = tiles.accumulate = 0; /* it sees nothing */
            s->kernels->tiles(&tiles);
        }
    }
    if (!direct) tn_move_windows(s, box, space->sums, row_bytes(s), y, columns, 0);
}

static void box_task(void *argument, int64_t task, int worker) {
    const convolve_job *job = argument;
    const tn_strips *s = &job->s;
    const tn_convolution *call = &s->call;
    convolve_space *space = (convolve_space *)(job->workspace + worker * job->stride);
    const int64_t part = task % job->parts, number = task / job->parts % s->n_boxes;
    const int64_t group = task / job->parts / s->n_boxes;
    tn_window_box box;
    tn_place_box(s, number, &box);
    tabulate(s, space, &box);
    tn_fill_strip(s, &box, job->x + group * call->in_channels * call->x.channel, call->in_channels,
                  space->strip);
    char *y = job->y + group * call->out_channels * call->y.channel + tn_box_offset(&box, &call->y);
    const int64_t width = s->kernels->columns, panel = job->terms * row_bytes(s);
    for (int64_t j = job->panels * part / job->parts; j < job->panels * (part + 1) / job->parts; j++)
        make_panel(job, space, &box, job->packed + (group * job->panels + j) * panel,
                   panel_columns(s, j), y + j * width * call->y.channel);
}

/* Chooses boxes, and how many tasks share the columns where there are too few boxes. */
static void cut(convolve_job *job, int threads) {
    tn_strips *s = &job->s;
    const tn_convolution *call = &s->call;
    const int64_t wanted = threads > 1 ? TASKS * threads : 1;
    const double all = (double)s->count[0] * (double)s->count[1] * (double)s->count[2] *
                       (double)s->count[3] * (double)call->groups;
    double windows = threads > 1 ? all / (double)wanted : WINDOWS;
    if (windows < LEAST_WINDOWS) windows = LEAST_WINDOWS;
    tn_cut_strips(s, TN_BY_PIXEL, call->in_channels, STRIP, windows < WINDOWS ? windows : WINDOWS);
    const int64_t tasks = s->n_boxes * call->groups;
    job->parts = tasks && tasks < wanted ? smaller(job->panels, parts_of(wanted, tasks)) : 1;
}

tn_status tn_convolve(const tn_convolution *call, const char *x, const char *w, char *y, int threads) {
    convolve_job job = {.x = x, .w = w, .y = y};
    tn_strips *s = &job.s;
    tn_begin_strips(s, call);
    const int64_t groups = call->groups, windows = s->count[0] * s->count[1] * s->count[2] *
                                                   s->count[3];
    if (!windows || !call->out_channels || !groups) return TN_OK;
    job.terms = s->taps * call->in_channels;
    job.depth = tn_block_depth(s->kernels, s->size, job.terms);
    job.panels = parts_of(call->out_channels, s->kernels->columns);
    const double macs = (double)windows * (double)job.terms * (double)(groups * call->out_channels);
    threads = tn_worthwhile_threads(call, macs, threads);
    cut(&job, threads);
    const int64_t tasks = groups * s->n_boxes * job.parts;
    threads = (int)smaller(threads, tasks);
    const double each = workspace_bytes(s);
    const double packed = (double)(groups * job.panels * row_bytes(s)) * (double)job.terms;
    if (packed + each * threads >= 0x1p58) return TN_NO_MEMORY;
    const int64_t packed_bytes = TN_ALIGNED((int64_t)packed);
    const int64_t taps_bytes = TN_ALIGNED(job.terms * (int64_t)sizeof(int64_t));
    job.stride = TN_ALIGNED((int64_t)each);
    const size_t bytes = (size_t)(packed_bytes + taps_bytes + job.stride * threads);
    job.packed = tn_alloc(bytes);
    if (!job.packed) return TN_NO_MEMORY;
    job.taps = (int64_t *)(job.packed + packed_bytes);
    job.workspace = job.packed + packed_bytes + taps_bytes;
    tn_tabulate_taps(s, call->in_channels, job.taps);
    for (int i = 0; i < threads; i++) lay_out_space(s, job.workspace + i * job.stride);
    tn_parallel_for(threads, groups * job.panels, pack_task, &job);
    tn_parallel_for(threads, tasks, box_task, &job);
    tn_free(job.packed, bytes);
    return TN_OK;
}
