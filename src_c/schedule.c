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

enum { MOST_OPERANDS = TN_MOST_FUSED + 1 };

/* The values that step i reads, fused steps as the last of them; returns how many there are. */
static int read_values(const tn_program *p, int64_t i, int32_t *values) {
    const tn_step *s = &p->steps[i];
    int count = 0;
    if (s->fused < 0) {
        values[count++] = s->a;
        if (s->b >= 0) values[count++] = s->b;
        return count;
    }
    const tn_fused *f = &p->fused[s->fused];
    values[count++] = f->stem;
    for (i = f->first_step; i < f->first_step + f->n_steps; i++) {
        const int32_t before = f->first_block + (int32_t)(i - f->first_step);
        values[count++] = p->steps[i].a == before ? p->steps[i].b : p->steps[i].a;
    }
    return count;
}

/* Whether fused steps have not all been seen with step i. */
static int is_inside(const tn_program *p, int64_t i) {
    const int32_t f = p->steps[i].fused;
    return f >= 0 && i != p->fused[f].first_step + p->fused[f].n_steps - 1;
}

static int32_t result_of(const tn_program *p, int64_t i) {
    const tn_step *s = &p->steps[i];
    return s->fused < 0 ? s->c : p->fused[s->fused].result;
}

/* Sorts the values that a step reads into the order in which making them needs least memory: first
 * what needs most beyond its own size. Returns the memory needed. */
static int64_t order_reads(const tn_program *p, const int64_t *peak, int32_t *values, int count) {
    for (int i = 1; i < count; i++) {
        const int32_t v = values[i];
        const int64_t spare = peak[v] - value_bytes(p, v);
        int j = i;
        for (; j > 0 && peak[values[j - 1]] - value_bytes(p, values[j - 1]) < spare; j--)
            values[j] = values[j - 1];
        values[j] = v;
    }
    int64_t held = 0, most = 0;
    for (int i = 0; i < count; i++) {
        if (held + peak[values[i]] > most) most = held + peak[values[i]];
        held += value_bytes(p, values[i]);
    }
    return most;
}

/* Postorder from the root, children in the order that needs less memory at its worst. */
static tn_status depth_first(const tn_program *p, int32_t root, int32_t *order) {
    const size_t n = (size_t)p->n_values;
    int64_t *peak = calloc(n, sizeof *peak);
    int32_t *stack = malloc((2 * n + 2) * sizeof *stack);
    uint8_t *entered = calloc(n, 1);
    tn_status status = TN_NO_MEMORY;
    if (!peak || !stack || !entered) goto done;
    int32_t reads[MOST_OPERANDS];
    for (int64_t i = 0; i < p->n_steps; i++) { /* steps come operands first */
        if (is_inside(p, i)) continue;
        const int n_reads = read_values(p, i, reads);
        const int32_t c = result_of(p, i);
        const int64_t before = order_reads(p, peak, reads, n_reads);
        int64_t self = value_bytes(p, c);
        for (int r = 0; r < n_reads; r++) self += value_bytes(p, reads[r]);
        peak[c] = before > self ? before : self;
    }
    int64_t depth = 0, count = 0;
    stack[depth++] = root;
    while (depth) {
        const int32_t v = stack[depth - 1], producer = p->values[v].producer;
        if (producer < 0 || entered[v]) {
            depth--;
            if (producer < 0) continue;
            const int32_t f = p->steps[producer].fused;
            for (int64_t n = f < 0 ? 1 : p->fused[f].n_steps; n > 0; n--)
                order[count++] = (int32_t)(producer - n + 1);
            continue;
        }
        entered[v] = 1;
        int n_reads = read_values(p, producer, reads);
        order_reads(p, peak, reads, n_reads);
        while (n_reads) stack[depth++] = reads[--n_reads];
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
            const double macs = tn_step_macs(&p->steps[i]);
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
        macs += passes[level] * tn_step_macs(&p->steps[i]);
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
            p->level_macs[level] += tn_step_macs(s);
            if (s->fused >= 0 && (!count || sorted[count - 1].fused != s->fused))
                p->fused[s->fused].first_step = count;
            sorted[count++] = *s;
        }
    }
    p->level_start[p->n_loops + 1] = count;
    memcpy(p->steps, sorted, (size_t)count * sizeof *sorted);
    for (int64_t i = 0; i < count; i++) {
        p->values[sorted[i].c].producer = (int32_t)i;
        p->values[result_of(p, i)].producer = (int32_t)i;
    }
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

/* What is taken from an arena before step i, and given back after it. */
static int32_t value_made(const tn_program *p, int64_t i) {
    const tn_step *s = &p->steps[i];
    if (s->fused < 0) return s->c;
    const tn_fused *f = &p->fused[s->fused];
    return i == f->first_step ? f->result : -1;
}

/* The blocks between fused steps: those of one step and of the next. */
static void place_blocks(tn_program *p) {
    for (int64_t f = 0; f < p->n_fused; f++) {
        const tn_fused *fused = &p->fused[f];
        int64_t largest[2] = {0, 0};
        for (int64_t i = 0; i + 1 < fused->n_steps; i++) {
            const int64_t bytes = TN_ALIGNED(p->values[fused->first_block + 1 + i].elements *
                                             tn_itemsize(p->dtype));
            if (bytes > largest[i % 2]) largest[i % 2] = bytes;
        }
        for (int64_t i = 0; i + 1 < fused->n_steps; i++)
            p->values[fused->first_block + 1 + i].offset = i % 2 ? largest[0] : 0;
        if (largest[0] + largest[1] > p->block_bytes) p->block_bytes = largest[0] + largest[1];
    }
}

/* Offsets by liveness.  A value is read once; it is freed there unless its reader runs in a deeper
 * loop, which will want it again. */
static tn_status place_values(tn_program *p) {
    arena arenas[2] = {{0}, {0}};
    tn_status status = TN_OK;
    place_blocks(p);
    for (int64_t i = 0; i < p->n_steps && !status; i++) {
        const tn_step *s = &p->steps[i];
        const int32_t made = value_made(p, i);
        const int32_t level = p->values[s->c].level;
        if (made >= 0 && p->values[made].place != PLACE_OUTPUT) {
            p->values[made].place = level ? PLACE_WORKER : PLACE_SHARED;
            p->values[made].offset = arena_take(&arenas[level > 0], value_bytes(p, made));
        }
        int32_t operands[2] = {s->a, s->b};
        for (int o = 0; o < 2 && !status; o++) {
            int32_t v = operands[o];
            if (s->fused >= 0 && v == p->fused[s->fused].first_block) v = p->fused[s->fused].stem;
            if (v < 0 || p->values[v].producer < 0 || p->values[v].level != level) continue;
            if (p->values[v].place == PLACE_BLOCK) continue;
            status = arena_give(&arenas[level > 0], p->values[v].offset, value_bytes(p, v));
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
        if (tn_step_macs(&p->steps[i]) > largest) largest = tn_step_macs(&p->steps[i]);
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
                     p->threads * (p->workspace_bytes + p->block_bytes) +
                     p->chunks * p->sums_bytes +
                     TN_ALIGNED(p->chunks * (int64_t)sizeof(tn_chunk));
}

tn_status tn_schedule(tn_program *p, int32_t root) {
    order_loops(p);
    tn_status status = order_steps(p, root);
    if (!status) status = place_values(p);
    if (!status) count_resources(p);
    return status;
}
