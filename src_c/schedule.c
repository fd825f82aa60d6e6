/* When each step runs, and how many chunks of slices there are: steps are ordered by section, in it those
 * of the forward sweep depth first with the hungrier operand first, then those of the backward sweep. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNKS = 32, MOST_CHUNKS = 256 };  /* of a run, and of a long one that many machines share */
static const double LONG_CHUNK = 1 << 27;     /* macs of a chunk that may be cut further */
static const int64_t SMALL_SUMS = 256;          /* bytes of one chunk's sums that never matter */
static const int64_t CHUNK_SUMS = 64 << 20;     /* bytes that the sums of all chunks may take */
static const int64_t WORKER_ARENA = 256 << 20;  /* larger slices run one after the other */

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
        const int32_t v = p->steps[i].a == before ? p->steps[i].b : p->steps[i].a;
        values[count++] = v == f->other_block ? f->other : v;
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
        const int64_t spare = peak[v] - tn_value_bytes(p, v);
        int j = i;
        for (; j > 0 && peak[values[j - 1]] - tn_value_bytes(p, values[j - 1]) < spare; j--)
            values[j] = values[j - 1];
        values[j] = v;
    }
    int64_t held = 0, most = 0;
    for (int i = 0; i < count; i++) {
        if (held + peak[values[i]] > most) most = held + peak[values[i]];
        held += tn_value_bytes(p, values[i]);
    }
    return most;
}

/* The forward sweep: postorder from the root, operands in the order that needs less memory at its worst. */
static tn_status depth_first(const tn_program *p, int32_t root, int32_t *order) {
    const size_t n = (size_t)p->n_values;
    int64_t *peak = calloc(n, sizeof *peak);
    int32_t *stack = malloc((2 * n + 2) * sizeof *stack);
    uint8_t *entered = calloc(n, 1);
    tn_status status = TN_NO_MEMORY;
    if (!peak || !stack || !entered) goto done;
    int32_t reads[MOST_OPERANDS];
    for (int64_t i = 0; i < p->n_forward; i++) { /* steps come operands first */
        if (is_inside(p, i)) continue;
        const int n_reads = read_values(p, i, reads);
        const int32_t c = result_of(p, i);
        const int64_t before = order_reads(p, peak, reads, n_reads);
        int64_t self = tn_value_bytes(p, c);
        for (int r = 0; r < n_reads; r++) self += tn_value_bytes(p, reads[r]);
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
    if (p->n_results > 1) return; /* their places would not be the same */
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

void tn_rank_loops(tn_program *p) {
    int64_t *rank = p->rank, extents[64];
    p->n_forward = p->n_steps;
    p->grain = p->direct ? p->slices : 1;
    rank_loops(p, 0, rank);
    if (p->direct) separate_places(p, rank);
    for (int64_t l = 0; l < p->n_loops; l++) p->order[rank[l]] = l;
    memcpy(extents, p->extents, (size_t)p->n_loops * sizeof *extents);
    for (int64_t l = 0; l < p->n_loops; l++) p->extents[rank[l]] = extents[l];
    for (int64_t i = 0; i < p->n_slice_strides; i++)
        p->slice_strides[i].loop = (int32_t)rank[p->slice_strides[i].loop];
    for (int64_t v = 0; v < p->n_values; v++) p->values[v].level = tn_level(p, p->values[v].sliced);
    for (int64_t i = 0; i < p->n_steps; i++) p->steps[i].level = p->values[p->steps[i].c].level;
}

/* Reorders the steps: by section, those of the forward sweep depth first. */
static tn_status order_steps(tn_program *p, int32_t root) {
    int32_t *order = malloc((size_t)(p->n_steps + 1) * sizeof *order);
    tn_step *sorted = malloc((size_t)(p->n_steps + 1) * sizeof *sorted);
    tn_status status = TN_NO_MEMORY;
    if (!order || !sorted) goto done;
    status = depth_first(p, root, order);
    if (!status) status = tn_find_branches(p, root, order);
    if (status) goto done;
    for (int64_t i = p->n_forward; i < p->n_steps; i++) {
        order[i] = (int32_t)i;
        if (p->steps[i].late) p->has_late = 1;
    }
    int64_t count = 0;
    const int64_t last = p->has_late ? 2 * p->n_loops : p->n_loops;
    for (int64_t section = 0; section <= last; section++) {
        p->section_start[section] = count;
        for (int64_t i = 0; i < p->n_steps; i++) {
            const tn_step *s = &p->steps[order[i]];
            if (tn_section(p, s) != section) continue;
            p->level_macs[s->level] += tn_step_macs(s);
            if (!s->backward) p->forward_macs[s->level] += tn_step_macs(s);
            if (s->fused >= 0 && (!count || sorted[count - 1].fused != s->fused))
                p->fused[s->fused].first_step = count;
            sorted[count++] = *s;
        }
    }
    for (int64_t section = last + 1; section <= 2 * p->n_loops + 1; section++)
        p->section_start[section] = count;
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

/* Marks what need not run where the value is not wanted: no step of the backward sweep reads it. */
static tn_status mark_value_only(tn_program *p) {
    uint8_t *read = calloc((size_t)p->n_values, 1);
    if (!read) return TN_NO_MEMORY;
    for (int64_t i = p->n_steps - 1; i >= 0; i--) { /* readers before what they read */
        tn_step *s = &p->steps[i];
        s->value_only = !s->backward && !read[s->c];
        if (s->value_only) continue;
        read[s->a] = 1;
        if (s->b >= 0) read[s->b] = 1;
    }
    free(read);
    return TN_OK;
}

/* The first step of the innermost loop after which sums are torn until the slice is done. */
static int64_t find_first_sum(const tn_program *p) {
    int64_t i = p->section_start[p->n_loops];
    const int64_t last = p->section_start[p->n_loops + 1] - 1;
    while (i < last && p->values[p->steps[i].c].place != PLACE_OUTPUT &&
           !p->values[p->steps[i].c].summed)
        i++;
    return i;
}

/* Where the sums of a chunk have each result, and each cotangent of a value outside all loops. */
static void place_sums(tn_program *p) {
    const int64_t itemsize = tn_itemsize(p->dtype);
    for (int64_t r = 0; r < p->n_results; r++) {
        if (!p->results[r].own_sums) continue;
        p->results[r].offset = p->sums_bytes;
        p->sums_bytes += TN_ALIGNED(p->results[r].elements * itemsize);
    }
    for (int64_t v = 0; v < p->n_values; v++) {
        if (p->values[v].place != PLACE_SUMS) continue;
        p->values[v].offset = p->sums_bytes;
        p->sums_bytes += tn_value_bytes(p, (int32_t)v);
    }
}

/* For how many chunks there is memory, if their sums have so many elements each. */
static int64_t limit_chunks(const tn_program *p, int64_t largest, int64_t elements) {
    const int64_t sums = TN_ALIGNED(elements * tn_itemsize(p->dtype));
    int64_t chunks = p->slices < MOST_CHUNKS ? p->slices : MOST_CHUNKS;
    /* their sums must not undo what slicing saves */
    if (largest && chunks > largest / (2 * elements) && sums > SMALL_SUMS)
        chunks = largest / (2 * elements);
    if (chunks > CHUNK_SUMS / sums) chunks = chunks > CHUNKS ? CHUNKS : chunks;
    return chunks < 1 || sums > CHUNK_SUMS / chunks ? 1 : chunks;
}

void tn_split_slices(tn_program *p, int64_t largest, int64_t elements) {
    p->chunks = limit_chunks(p, largest, elements);
    p->direct = p->chunks == 1 && !p->strip && !p->half;
}

/* Macs of a run in so many chunks, each of which starts its inner loops anew, by those of each level. */
static double macs_in_chunks(const tn_program *p, int64_t chunks, const double *level_macs) {
    double macs = level_macs[0];
    int64_t inner = 1; /* slices inside loop level - 1 */
    for (int64_t level = p->n_loops; level > 0; level--) {
        int64_t passes = p->slices / inner;
        for (int64_t chunk = 0; chunk < chunks && inner > 1; chunk++)
            passes += tn_slice_of(p->slices, p->grain, chunks, chunk) % inner != 0;
        macs += (double)passes * level_macs[level];
        inner *= p->extents[level - 1];
    }
    return macs;
}

/* Of the numbers of chunks that are possible, the one that is worth what is computed again at their
 * starts; for the forward sweep, so that it is the same with and without a backward sweep. */
static void choose_chunks(tn_program *p) {
    const int64_t most = p->chunks;
    double best = 0, forward = 0;
    for (int64_t n = 1; n <= most; n++) {
        if (n > CHUNKS && (n % CHUNKS || forward < (double)n * LONG_CHUNK)) continue;
        const double macs = macs_in_chunks(p, n, p->forward_macs), cost = macs * unevenness(n);
        if (n > 1 && cost >= best) continue;
        best = cost;
        p->chunks = n;
        forward = macs;
    }
    p->macs = macs_in_chunks(p, p->chunks, p->level_macs);
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
    int64_t elements = p->results[0].elements;
    for (int64_t v = 0; v < p->n_values; v++)
        if (p->values[v].elements > elements) elements = p->values[v].elements;
    const int shares = largest >= TN_ALONE_MACS || elements >= TN_ALONE_MACS;
    if (!shares && !p->n_branches && p->workers == 1) p->threads = 1;
    /* per worker: a pointer, and with strip an exponent, per value */
    p->table_bytes = TN_ALIGNED(p->n_values * (int64_t)sizeof(char *)) +
                     (p->strip ? TN_ALIGNED(p->n_values * (int64_t)sizeof(int64_t)) : 0);
    p->arena_bytes = p->shared_bytes + p->workers * (p->worker_bytes + p->table_bytes) +
                     p->threads * (p->workspace_bytes + p->block_bytes) +
                     p->chunks * p->sums_bytes +
                     TN_ALIGNED(p->chunks * (int64_t)sizeof(tn_chunk));
}

tn_status tn_schedule(tn_program *p, int32_t root, int64_t largest) {
    tn_status status = order_steps(p, root);
    if (!status) status = tn_place_values(p);
    if (!status && p->n_results > 1) status = mark_value_only(p);
    if (status) return status;
    p->first_sum = find_first_sum(p);
    place_sums(p);
    if (p->n_results > 1 && p->chunks > 1) {
        const int64_t chunks = limit_chunks(p, largest, p->sums_bytes / tn_itemsize(p->dtype));
        if (chunks < p->chunks) p->chunks = chunks;
    }
    count_resources(p);
    return TN_OK;
}
