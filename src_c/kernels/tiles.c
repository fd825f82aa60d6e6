/* How a copy into another order of axes is cut into tiles, which tiles.h walks over. */
#include "boxes.h"
#include "groups.h"

enum { LINE = 64 }; /* bytes of memory */

/* A copy moves bytes: elements that stay together move as one wider element, whatever their type. */
static int64_t widen_elements(tn_contraction *x, int64_t run) {
    static const int wider[] = {TN_C128, TN_F64, TN_F32};
    for (int i = 0; i < 3 && !x->accumulate; i++)
        if (run % tn_itemsize(wider[i]) == 0) {
            x->dtype = (uint8_t)wider[i];
            break;
        }
    return tn_itemsize(x->dtype);
}

/* Tiles are nearly equal, and cut between lines of c. */
static void even_out(tn_boxes *tile, int64_t size) {
    for (int d = 0; d < tile->n_dims; d++) {
        const int64_t n = tile->dims[d].n, line = LINE / size;
        const int64_t parts = (n + tile->tile[d] - 1) / tile->tile[d];
        const int64_t even = (n + parts - 1) / parts, whole = (even + line - 1) / line * line;
        tile->tile[d] = parts > 1 && whole <= tile->tile[d] ? whole : even;
    }
}

/* The part of each axis that one tile of a copy of elements holds: long rows of a, which the hardware
 * fetches by itself, and as much of c as comes in strips of a few lines. */
static void cut_strips(tn_boxes *tile, int64_t size) {
    enum { ROWS = 512, POINTS = 1 << 20 };
    int64_t points = grow_box(tile, ON_C, size, LINE / size, POINTS, 1);
    points = grow_box(tile, ON_A, size, ROWS, POINTS, points);
    points = grow_box(tile, ON_C, size, TN_COPY_ALONG, POINTS, points);
    grow_box(tile, ON_A, size, TN_COPY_ROWS, TN_COPY_TILE / size, points);
    even_out(tile, size);
}

/* Bytes of a segment of c in one tile: whole axes if they make a segment of middling length. */
static int64_t segment_bytes(const tn_dim *dims, int n_dims, int64_t size) {
    enum { SHORT = 512, LONG = 1024 };
    int64_t bytes = size;
    for (int d = n_dims - 1; d >= 0 && bytes < SHORT; d--)
        if (dims[d].sc == bytes) bytes *= dims[d].n;
    return bytes < SHORT || bytes > LONG ? SHORT : bytes;
}

/* Bytes of a row of a in one tile: long ones where neighbours on c, a large one, are so far apart that
 * they would meet in the same sets of the cache. */
static int64_t row_bytes(const tn_dim *dims, int n_dims, int64_t size) {
    enum { SHORT = 256, LONG = 1024, PERIOD = 64 << 10, LARGE = 16 << 20 };
    const int64_t run = size * dims[n_dims - 1].n;
    int64_t bytes = run, meet = 0;
    for (int d = 0; d < n_dims - 1; bytes *= dims[d++].n)
        meet |= dims[d].sc == run && dims[d].sa % PERIOD == 0;
    return meet && bytes >= LARGE ? LONG : SHORT;
}

/* The same for runs: whole cache lines of both operands, more of them on c. */
static void cut_runs(tn_boxes *tile, int64_t size) {
    const int64_t limit = TN_COPY_TILE / size, row = row_bytes(tile->dims, tile->n_dims, size);
    int64_t points = grow_box(tile, ON_C, size, 4 * LINE / size, limit, 1);
    points = grow_box(tile, ON_A, size, 2 * LINE / size, limit, points);
    points = grow_box(tile, ON_C, size, segment_bytes(tile->dims, tile->n_dims, size) / size,
                      limit + limit / 2, points); /* whole axes are worth it */
    points = grow_box(tile, ON_A, size, row / size, limit, points);
    grow_box(tile, ON_C, size, limit, limit, points);
    even_out(tile, size);
}

/* The axes along which tiles are contiguous on the operand, innermost first, and beyond runs of
 * `bytes`; returns how many. */
static int find_chain(const tn_boxes *tile, tn_operand operand, int64_t bytes, uint8_t *chain) {
    int n = 0;
    for (int d = 0; d < tile->n_dims; d++) {
        const tn_dim *x = &tile->dims[d];
        if (tile->tile[d] < 2 || (operand == ON_A ? x->sa : x->sc) != bytes) continue;
        chain[n++] = (uint8_t)d;
        if (tile->tile[d] < x->n) break;
        bytes *= x->n;
        d = -1;
    }
    return n;
}

enum { BETWEEN, ALONG, ACROSS, RUN }; /* what an axis of a copy is in its tiles */

/* Gives each axis its role, beyond runs of `bytes`; returns how many points a tile has along c. */
static int64_t give_roles(tn_boxes *tile, int64_t bytes, uint8_t *role, uint8_t *order) {
    enum { SOME = 16, LONGER = 4, WIDEST = 8 };
    const int64_t most[2] = {TN_COPY_ALONG, TN_COPY_ROWS};
    uint8_t chain[2][TN_MAX_DIMS];
    int ends[2] = {find_chain(tile, ON_C, bytes, chain[0]), find_chain(tile, ON_A, bytes, chain[1])};
    int64_t points[2] = {1, 1};
    int at[2] = {0, 0};
    /* axes that both would have go to the group with fewer points so far; once there are some across, and
     * elements are small, c has its way until its rows are long */
    for (int n = 0;; n++) {
        const int64_t weight = points[1] < SOME || bytes > WIDEST ? 1 : LONGER;
        int side = points[0] <= points[1] * weight ? 0 : 1;
        if (at[side] == ends[side] || role[chain[side][at[side]]]) side = !side;
        if (at[side] == ends[side] || role[chain[side][at[side]]]) break;
        const int d = chain[side][at[side]++];
        role[d] = side ? ACROSS : ALONG;
        order[n] = (uint8_t)d;
        if (points[side] * tile->tile[d] > most[side]) { /* then it is the last one */
            tile->tile[d] = most[side] / points[side];
            ends[side] = at[side];
        }
        points[side] *= tile->tile[d];
    }
    for (int d = 0; d < tile->n_dims; d++) { /* the rows of a tile are bounded */
        if (role[d] != BETWEEN) continue;
        const int64_t room = points[1] < TN_COPY_ROWS ? TN_COPY_ROWS / points[1] : 1;
        if (tile->tile[d] > room) tile->tile[d] = room;
        points[1] *= tile->tile[d];
    }
    return points[0];
}

/* A copy of elements, or of runs of them (k) that stay together: its axes in the groups between,
 * along c, across and run, each with the extent of a tile in its sb (tiles.h). */
int tn_cut_copy(tn_contraction *x, tn_dim *dims, const tn_dim *group, int count) {
    const int dtype = x->dtype;
    tn_dim axes[TN_MAX_DIMS], parts[4][TN_MAX_DIMS];
    uint8_t role[TN_MAX_DIMS] = {0}, order[TN_MAX_DIMS];
    int n = 0, counts[4] = {0};
    for (int d = 0; d < count; d++)
        if (group[d].n > 1) axes[n++] = group[d];
    int64_t run = tn_itemsize(dtype);
    const int together = n && axes[n - 1].sa == run && axes[n - 1].sc == run;
    if (together && x->accumulate) return 0;
    if (together) run *= axes[n - 1].n;
    const int64_t size = widen_elements(x, run);
    const int runs = together && run > size;
    if (together) axes[n - 1] = (tn_dim){run / size, size, 0, size};
    if (together && !runs) n--;
    tn_boxes tile = {.dims = axes, .n_dims = n};
    for (int d = 0; d < n; d++) tile.tile[d] = 1;
    (runs ? cut_runs : cut_strips)(&tile, size);
    if (runs) role[n - 1] = RUN;
    const int broken = runs && tile.tile[n - 1] < axes[n - 1].n; /* nothing continues half a run */
    const int64_t along = give_roles(&tile, broken ? INT64_MIN : run, role, order);
    if (!together && along < 2) {
        x->dtype = (uint8_t)dtype;
        return 0;
    }
    int chained = 0;
    for (int d = 0; d < n; d++) {
        axes[d].sb = tile.tile[d];
        if (role[d] == BETWEEN || role[d] == RUN) parts[role[d]][counts[role[d]]++] = axes[d];
        chained += role[d] == ALONG || role[d] == ACROSS;
    }
    for (int i = chained - 1; i >= 0; i--) /* outermost first */
        parts[role[order[i]]][counts[role[order[i]]]++] = axes[order[i]];
    x->road = TN_ROAD_TRANSPOSE;
    pack_groups(x, dims, parts, counts);
    return 1;
}
