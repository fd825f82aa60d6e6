/* When each step runs and where each value lives: order by slice level, then depth first with the
 * hungrier operand first; arena offsets by liveness. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNKS = 32, MOST_CHUNKS = 256 };  /* of a run, and of a long one that many machines share */
static const double LONG_CHUNK = 1 << 27;     /* macs of a chunk that may be cut further */
static const int64_t SMALL_SUMS = 256;          /* bytes of one chunk's sums that never matter */
static const int64_t CHUNK_SUMS = 64 << 20;     /* bytes that the sums of all chunks may take */
static const int64_t WORKER_ARENA = 256 << 20;  /* larger slices run one after the other */
static const double ALONE_MACS = 1 << 17;       /* as in contract.c: no step of it is split */

static int64_t value_bytes(const tn_program *p, int32_t v) {
    if (v < 0 || p->values[v].producer < 0 || p->values[v].place == PLACE_OUTPUT) return 0;
    return TN_ALIGNED(p->values[v].elements * tn_itemsize(p->dtype));
}

static double step_macs(const tn_step *s) {
    if (s->x.unary) return 0;
    return (double)s->x.batch * (double)s->x.m * (double)s->x.n * (double)s->x.k;
}

/* Postorder from the root, children in the order that needs less memory at its worst. */
static tn_status depth_first(const tn_program *p, int32_t root, int32_t *order) {
    const size_t n = (size_t)p->n_values;
    int64_t *peak = calloc(n, sizeof *peak);
    int32_t *stack = malloc((2 * n + 2) * sizeof *stack);
    uint8_t *entered = calloc(n, 1);
    tn_status status = TN_NO_MEMORY;
    if (!peak || !stack || !entered) goto done;
    for (int64_t i = 0; i < p->n_steps; i++) { /* steps come operands first */
        const tn_step *s = &p->steps[i];
        int64_t a = value_bytes(p, s->a), b = value_bytes(p, s->b);
        int64_t peak_a = peak[s->a], peak_b = s->b < 0 ? 0 : peak[s->b];
        int64_t ab = peak_a > a + peak_b ? peak_a : a + peak_b;
        int64_t ba = peak_b > b + peak_a ? peak_b : b + peak_a;
        int64_t self = a + b + value_bytes(p, s->c), best = ab < ba ? ab : ba;
        peak[s->c] = best > self ? best : self;
    }
    int64_t depth = 0, count = 0;
    stack[depth++] = root;
    while (depth) {
        int32_t v = stack[depth - 1];
        int32_t producer = p->values[v].producer;
        if (producer < 0 || entered[v]) {
            if (producer >= 0) order[count++] = producer;
            depth--;
            continue;
        }
        entered[v] = 1;
        const tn_step *s = &p->steps[producer];
        int32_t first = s->a, second = s->b;
        if (second >= 0) {
            int64_t a = value_bytes(p, first), b = value_bytes(p, second);
            int64_t ab = peak[first] > a + peak[second] ? peak[first] : a + peak[second];
            int64_t ba = peak[second] > b + peak[first] ? peak[second] : b + peak[first];
            if (ba < ab) first = s->b, second = s->a;
            stack[depth++] = second;
        }
        stack[depth++] = first;
    }
    status = TN_OK;
done:
    free(peak);
    free(stack);
    free(entered);
    return status;
}

/* Places the loops from the innermost outwards, those in `outer` last: steps that do not depend on a
 * loop are not computed again in it, so the next is the one that leaves the least arithmetic if no
 * further loop saved anything. */
static void rank_loops(const tn_program *p, uint64_t outer, int64_t *rank) {
    uint64_t left = p->n_loops ? ~(uint64_t)0 >> (64 - p->n_loops) : 0;
    for (int64_t place = p->n_loops - 1; place >= 0; place--) {
        const uint64_t open = left & ~outer ? left & ~outer : left;
        double cost[64] = {0}, total = 0, least = 0;
        int64_t inner = -1;
        for (int64_t i = 0; i < p->n_steps; i++) {
            uint64_t depends = p->values[p->steps[i].c].sliced;
            if (!depends || depends & ~left) continue; /* computed in an inner loop anyway */
            const double macs = step_macs(&p->steps[i]);
            total += macs;
            for (; depends; depends &= depends - 1) cost[__builtin_ctzll(depends)] += macs;
        }
        for (int64_t l = 0; l < p->n_loops; l++) {
            if (!(open >> l & 1)) continue;
            const double macs = cost[l] + (total - cost[l]) / (double)p->extents[l];
            if (inner < 0 || macs <= least) inner = l, least = macs;
        }
        rank[inner] = place;
        left &= ~((uint64_t)1 << inner);
    }
}

/* Macs of a run in one chunk, if the loops have these ranks. */
static double macs_in_order(const tn_program *p, const int64_t *rank) {
    double passes[65] = {1}, macs = 0; /* by level */
    for (int64_t l = 0; l < p->n_loops; l++) passes[rank[l] + 1] = (double)p->extents[l];
    for (int64_t l = 1; l <= p->n_loops; l++) passes[l] *= passes[l - 1];
    for (int64_t i = 0; i < p->n_steps; i++) {
        int64_t level = 0;
        for (uint64_t d = p->values[p->steps[i].c].sliced; d; d &= d - 1)
            if (rank[__builtin_ctzll(d)] >= level) level = rank[__builtin_ctzll(d)] + 1;
        macs += passes[level] * step_macs(&p->steps[i]);
    }
    return macs;
}

/* What macs are to be weighed with: how evenly a few workers, not known here, can share n chunks. */
static double unevenness(int64_t n) { return 1 + 2 / (double)n; }

/* Where there is no memory for a sum per chunk, chunks can only be places of the output, which asks for
 * its loops to be the outer ones; that must not cost more than what they are good for. */
static void separate_places(tn_program *p, int64_t *rank) {
    int64_t apart[64], places = 1;
    uint64_t outer = 0;
    for (int64_t i = 0; i < p->n_slice_strides; i++)
        if (p->slice_strides[i].value < 0) outer |= (uint64_t)1 << p->slice_strides[i].loop;
    for (uint64_t l = outer; l; l &= l - 1) places *= p->extents[__builtin_ctzll(l)];
    if (places == 1) return;
    rank_loops(p, outer, apart);
    p->chunks = places < MOST_CHUNKS ? places : MOST_CHUNKS;
    const int64_t n = p->chunks < CHUNKS ? p->chunks : CHUNKS;
    if (macs_in_order(p, apart) * unevenness(n) > macs_in_order(p, rank) * unevenness(1)) {
        p->chunks = 1;
        return;
    }
    p->grain = p->slices / places;
    memcpy(rank, apart, (size_t)p->n_loops * sizeof *rank);
}

static void order_loops(tn_program *p) {
    int64_t rank[64], extents[64];
    p->grain = p->direct ? p->slices : 1;
    rank_loops(p, 0, rank);
    if (p->direct) separate_places(p, rank);
    for (int64_t l = 0; l < p->n_loops; l++) p->order[rank[l]] = l;
    memcpy(extents, p->extents, (size_t)p->n_loops * sizeof *extents);
    for (int64_t l = 0; l < p->n_loops; l++) p->extents[rank[l]] = extents[l];
    for (int64_t i = 0; i < p->n_slice_strides; i++)
        p->slice_strides[i].loop = (int32_t)rank[p->slice_strides[i].loop];
    for (int64_t v = 0; v < p->n_values; v++) {
        tn_value *value = &p->values[v];
        for (uint64_t depends = value->sliced; depends; depends &= depends - 1) {
            int32_t level = (int32_t)rank[__builtin_ctzll(depends)] + 1;
            if (level > value->level) value->level = level;
        }
    }
}

/* Reorders the steps: by level, depth first within a level. */
static tn_status order_steps(tn_program *p, int32_t root) {
    int32_t *order = malloc((size_t)(p->n_steps + 1) * sizeof *order);
    tn_step *sorted = malloc((size_t)(p->n_steps + 1) * sizeof *sorted);
    tn_status status = TN_NO_MEMORY;
    if (!order || !sorted) goto done;
    status = depth_first(p, root, order);
    if (status) goto done;
    int64_t count = 0;
    for (int64_t level = 0; level <= p->n_loops; level++) {
        p->level_start[level] = count;
        for (int64_t i = 0; i < p->n_steps; i++) {
            const tn_step *s = &p->steps[order[i]];
            if (p->values[s->c].level != level) continue;
            p->level_macs[level] += step_macs(s);
            sorted[count++] = *s;
        }
    }
    p->level_start[p->n_loops + 1] = count;
    memcpy(p->steps, sorted, (size_t)count * sizeof *sorted);
    for (int64_t i = 0; i < count; i++) p->values[sorted[i].c].producer = (int32_t)i;
done:
    free(order);
    free(sorted);
    return status;
}

/* Free blocks of an arena, sorted by offset. */
typedef struct {
    int64_t *offset, *size;
    int64_t count, capacity, end;
} arena;

static int64_t arena_take(arena *a, int64_t bytes) {
    int64_t best = -1;
    for (int64_t i = 0; i < a->count; i++)
        if (a->size[i] >= bytes && (best < 0 || a->size[i] < a->size[best])) best = i;
    if (best < 0) {
        /* grow, starting in a free block that touches the end */
        int64_t at = a->end;
        if (a->count && a->offset[a->count - 1] + a->size[a->count - 1] == a->end)
            at = a->offset[--a->count];
        a->end = at + bytes;
        return at;
    }
    int64_t at = a->offset[best];
    a->offset[best] += bytes;
    a->size[best] -= bytes;
    if (!a->size[best]) {
        a->count--;
        size_t tail = (size_t)(a->count - best) * sizeof(int64_t);
        memmove(&a->offset[best], &a->offset[best + 1], tail);
        memmove(&a->size[best], &a->size[best + 1], tail);
    }
    return at;
}

static tn_status arena_give(arena *a, int64_t offset, int64_t bytes) {
    if (!bytes) return TN_OK;
    if (a->count == a->capacity) {
        int64_t capacity = a->capacity ? 2 * a->capacity : 64;
        int64_t *offsets = realloc(a->offset, (size_t)capacity * sizeof *offsets);
        if (offsets) a->offset = offsets;
        int64_t *sizes = realloc(a->size, (size_t)capacity * sizeof *sizes);
        if (sizes) a->size = sizes;
        if (!offsets || !sizes) return TN_NO_MEMORY;
        a->capacity = capacity;
    }
    int64_t low = 0, high = a->count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (a->offset[middle] < offset) low = middle + 1;
        else high = middle;
    }
    int joins_left = low > 0 && a->offset[low - 1] + a->size[low - 1] == offset;
    int joins_right = low < a->count && offset + bytes == a->offset[low];
    if (joins_left) {
        a->size[low - 1] += bytes;
        if (!joins_right) return TN_OK;
        a->size[low - 1] += a->size[low];
        a->count--;
        size_t tail = (size_t)(a->count - low) * sizeof(int64_t);
        memmove(&a->offset[low], &a->offset[low + 1], tail);
        memmove(&a->size[low], &a->size[low + 1], tail);
    } else if (joins_right) {
        a->offset[low] = offset;
        a->size[low] += bytes;
    } else {
        size_t tail = (size_t)(a->count - low) * sizeof(int64_t);
        memmove(&a->offset[low + 1], &a->offset[low], tail);
        memmove(&a->size[low + 1], &a->size[low], tail);
        a->offset[low] = offset;
        a->size[low] = bytes;
        a->count++;
    }
    return TN_OK;
}

/* Offsets by liveness.  A value is read once; it is freed there unless its reader runs in a deeper
 * loop, which will want it again. */
static tn_status place_values(tn_program *p) {
    arena arenas[2] = {{0}, {0}};
    tn_status status = TN_OK;
    for (int64_t i = 0; i < p->n_steps && !status; i++) {
        const tn_step *s = &p->steps[i];
        tn_value *c = &p->values[s->c];
        if (c->place != PLACE_OUTPUT) {
            c->place = c->level ? PLACE_WORKER : PLACE_SHARED;
            c->offset = arena_take(&arenas[c->level > 0], value_bytes(p, s->c));
        }
        int32_t operands[2] = {s->a, s->b};
        for (int o = 0; o < 2 && !status; o++) {
            int32_t v = operands[o];
            if (v < 0 || p->values[v].producer < 0 || p->values[v].level != c->level) continue;
            status = arena_give(&arenas[c->level > 0], p->values[v].offset, value_bytes(p, v));
        }
    }
    p->shared_bytes = arenas[0].end;
    p->worker_bytes = arenas[1].end;
    for (int i = 0; i < 2; i++) {
        free(arenas[i].offset);
        free(arenas[i].size);
    }
    return status;
}

void tn_split_slices(tn_program *p, int64_t largest) {
    const int64_t sums = TN_ALIGNED(p->output_elements * tn_itemsize(p->dtype));
    p->chunks = p->slices < MOST_CHUNKS ? p->slices : MOST_CHUNKS;
    /* their sums must not undo what slicing saves */
    if (largest && p->chunks > largest / (2 * p->output_elements) && sums > SMALL_SUMS)
        p->chunks = largest / (2 * p->output_elements);
    if (p->chunks > CHUNK_SUMS / sums) p->chunks = p->chunks > CHUNKS ? CHUNKS : p->chunks;
    if (p->chunks < 1 || sums > CHUNK_SUMS / p->chunks) p->chunks = 1;
    p->direct = p->chunks == 1 && !p->strip && !p->half;
    p->sums_bytes = p->direct ? 0 : sums;
}

/* Macs of a run in so many chunks: each starts its inner loops anew. */
static double macs_in_chunks(const tn_program *p, int64_t chunks) {
    double macs = p->level_macs[0];
    int64_t inner = 1; /* slices inside loop level - 1 */
    for (int64_t level = p->n_loops; level > 0; level--) {
        int64_t passes = p->slices / inner;
        for (int64_t chunk = 0; chunk < chunks && inner > 1; chunk++)
            passes += tn_slice_of(p->slices, p->grain, chunks, chunk) % inner != 0;
        macs += (double)passes * p->level_macs[level];
        inner *= p->extents[level - 1];
    }
    return macs;
}

/* Of the numbers of chunks that are possible, the one that is worth what is computed again at their
 * starts. */
static void choose_chunks(tn_program *p) {
    const int64_t most = p->chunks;
    double best = 0;
    for (int64_t n = 1; n <= most; n++) {
        if (n > CHUNKS && (n % CHUNKS || p->macs < (double)n * LONG_CHUNK)) continue;
        const double macs = macs_in_chunks(p, n), cost = macs * unevenness(n);
        if (n > 1 && cost >= best) continue;
        best = cost;
        p->chunks = n;
        p->macs = macs;
    }
}

static void count_resources(tn_program *p) {
    double largest = 0;
    choose_chunks(p);
    for (int64_t i = 0; i < p->n_steps; i++) {
        int64_t workspace = tn_workspace(&p->steps[i].x);
        if (workspace > p->workspace_bytes) p->workspace_bytes = workspace;
        if (step_macs(&p->steps[i]) > largest) largest = step_macs(&p->steps[i]);
    }
    p->workers = 1;
    if (p->chunks > 1 && p->worker_bytes <= WORKER_ARENA)
        p->workers = p->threads < p->chunks ? p->threads : p->chunks;
    /* a program of small steps never leaves its thread */
    int64_t elements = p->output_elements;
    for (int64_t v = 0; v < p->n_values; v++)
        if (p->values[v].elements > elements) elements = p->values[v].elements;
    if (largest < ALONE_MACS && (double)elements < ALONE_MACS && p->workers == 1) p->threads = 1;
    /* per worker: a pointer, and with strip an exponent, per value */
    p->table_bytes = TN_ALIGNED(p->n_values * (int64_t)sizeof(char *)) +
                     (p->strip ? TN_ALIGNED(p->n_values * (int64_t)sizeof(int64_t)) : 0);
    p->arena_bytes = p->shared_bytes + p->workers * (p->worker_bytes + p->table_bytes) +
                     p->threads * p->workspace_bytes + p->chunks * p->sums_bytes +
                     TN_ALIGNED(p->chunks * (int64_t)sizeof(tn_chunk));
}

tn_status tn_schedule(tn_program *p, int32_t root) {
    order_loops(p);
    tn_status status = order_steps(p, root);
    if (!status) status = place_values(p);
    if (!status) count_resources(p);
    return status;
}
