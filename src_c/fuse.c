/* Stems: where one large value meets small ones, step after step, the steps run together, block by block.
 *
 * Indices that the small operands do not have stay on the stem all the way.  For every value of some
 * of them, a block of the stem passes through all steps while it is in the caches, and only
 * blocks are ever held of what is in between.  Where the stem then meets another large value and little is
 * left, that is summed block by block, too, and what the blocks give is added up at the end. */
#include "lowering.h"

#include <stdlib.h>
#include <string.h>

static const int64_t BLOCK_BYTES = 256 << 10; /* two of them stay in the second cache */
enum {
    FEWEST = 4, /* blocks of the first result of a stem that is worth the trouble */
    SHRUNK = 8, /* of its largest value, the smallest part that a result may be */
    SHARE = 2   /* the part of a block that a small operand may have */
};

typedef struct {
    const tn_lowering *l;
    int64_t block_bytes;
    uint8_t *taken;  /* by step of the tree: part of a stem already */
    uint8_t *on;     /* by index: scratch, all zero */
} search;

/* A stem while it grows. */
typedef struct {
    tn_stem stem;
    int32_t index[TN_MAX_DIMS]; /* that all of its steps leave alone, from the outermost axis on */
    int64_t count, bytes;       /* of these; of the largest value */
    int64_t spared;             /* bytes of the values between its steps */
    uint64_t sliced;
} growing;

static int64_t bytes_of(const tn_lowering *l, int32_t v) {
    return l->p->values[v].elements * tn_itemsize(l->p->dtype);
}

/* The value of the smaller operand, or -1 if the step does not read its operands as they are. */
static int32_t small_operand(const tn_lowering *l, int64_t t, int64_t stem) {
    const int64_t *ids = l->net->steps + 2 * t;
    const int32_t large = l->current[stem], small = l->current[ids[0] == stem ? ids[1] : ids[0]];
    const tn_value *c = &l->p->values[l->current[l->net->n_inputs + t]];
    const tn_step *s = &l->p->steps[c->producer];
    const int as_they_are = (s->a == large && s->b == small) || (s->a == small && s->b == large);
    return as_they_are && c->place != PLACE_OUTPUT ? small : -1;
}

static void mark(const search *f, int32_t v, uint8_t set) {
    const tn_value *value = &f->l->p->values[v];
    for (int32_t d = 0; d < value->n_axes; d++)
        f->on[f->l->axes.index[value->first_axis + d]] = set;
}

/* Keeps the indices that are (not) on value v. */
static void keep(const search *f, growing *g, int32_t v, int present) {
    int64_t kept = 0;
    mark(f, v, 1);
    for (int64_t i = 0; i < g->count; i++)
        if (f->on[g->index[i]] == present) g->index[kept++] = g->index[i];
    g->count = kept;
    mark(f, v, 0);
}

/* So many of these indices, from the first on, that blocks are small enough; 0 if they never are. */
static int choose_blocked(const search *f, growing *g, const int32_t *index, int64_t count) {
    int64_t blocks = 1;
    g->stem.n_blocked = 0;
    for (int64_t i = 0; i < count && g->stem.n_blocked < TN_MOST_BLOCKED; i++) {
        if (blocks * f->block_bytes >= g->bytes) break;
        blocks *= f->l->sizes[index[i]];
        g->stem.blocked[g->stem.n_blocked++] = index[i];
    }
    return blocks * f->block_bytes >= g->bytes;
}

static int64_t stride_of(const tn_lowering *l, int32_t v, int32_t index) {
    const tn_value *value = &l->p->values[v];
    for (int32_t d = 0; d < value->n_axes; d++) {
        const int64_t stride = l->axes.stride[value->first_axis + d];
        if (l->axes.index[value->first_axis + d] == index) return stride < 0 ? -stride : stride;
    }
    return 0;
}

/* So many of the other indices that all steps leave alone that they fill vectors, the innermost on the stem. */
static void choose_lanes(const search *f, growing *g) {
    const tn_lowering *l = f->l;
    const int64_t lanes = tn_get_kernels(l->p->dtype)->lanes;
    if (g->stem.other >= 0) keep(f, g, l->current[g->stem.other], 1);
    for (int64_t i = 0; i < g->stem.n_blocked; i++) f->on[g->stem.blocked[i]] = 1;
    for (int64_t i = g->count - 1, filled = 1; i >= 0 && filled < lanes; i--) {
        if (g->stem.n_lanes == TN_MOST_LANES) break;
        if (f->on[g->index[i]]) continue;
        filled *= l->sizes[g->index[i]];
        g->stem.lanes[g->stem.n_lanes++] = g->index[i];
    }
    for (int64_t i = 0; i < g->stem.n_blocked; i++) f->on[g->stem.blocked[i]] = 0;
}

/* Of the indices that all steps leave alone those whose strides on both values are lines at least, the
 * longest strides first; returns how many. */
static int64_t list_outer(const search *f, const growing *g, int32_t v, int32_t other, int32_t *index) {
    enum { LINE = 64 };
    int64_t kept = 0, apart[TN_MAX_DIMS];
    for (int64_t i = 0; i < g->count; i++) {
        const int64_t on_v = stride_of(f->l, v, g->index[i]);
        const int64_t on_other = stride_of(f->l, other, g->index[i]);
        const int64_t least = on_v < on_other ? on_v : on_other;
        if (least < LINE) continue;
        int64_t at = kept++;
        for (; at > 0 && apart[at - 1] < least; at--)
            apart[at] = apart[at - 1], index[at] = index[at - 1];
        apart[at] = least;
        index[at] = g->index[i];
    }
    return kept;
}

/* Adds step t, where the stem meets another large value and little is left, if that can be summed in blocks
 * of indices that all steps before leave alone.  What was out of order when the stem was read is so when its
 * blocks are: a stem that shrinks had better be read in order. */
static void join(const search *f, growing *g, int64_t t, int64_t stem) {
    const tn_lowering *l = f->l;
    const int64_t *ids = l->net->steps + 2 * t;
    const int32_t c = l->current[l->net->n_inputs + t], other = small_operand(l, t, stem);
    if (other < 0 || l->p->values[c].sliced != g->sliced) return;
    if (bytes_of(l, l->current[g->stem.stem]) > bytes_of(l, l->current[stem])) return;
    growing joined = *g;
    int32_t outer[TN_MAX_DIMS];
    const int64_t n_outer = list_outer(f, g, l->current[g->stem.stem], other, outer);
    if (bytes_of(l, other) > joined.bytes) joined.bytes = bytes_of(l, other);
    if (!choose_blocked(f, &joined, outer, n_outer)) return;
    int64_t left = bytes_of(l, c);
    for (int64_t i = 0; i < joined.stem.n_blocked; i++) left *= l->sizes[joined.stem.blocked[i]];
    if (left * SHRUNK > g->bytes) return;
    joined.stem.other = ids[0] == stem ? ids[1] : ids[0];
    joined.spared += bytes_of(l, l->current[stem]);
    joined.stem.steps[joined.stem.n_steps++] = t;
    *g = joined;
}

/* Adds step t, which reads value `stem` of the tree; 0 if it cannot be fused with those before. */
static int grow_by(const search *f, growing *g, int64_t t, int64_t stem) {
    const tn_lowering *l = f->l;
    const int32_t c = l->current[l->net->n_inputs + t], small = small_operand(l, t, stem);
    if (small < 0 || bytes_of(l, small) * SHARE > f->block_bytes) return 0;
    if (g->stem.n_steps && l->p->values[c].sliced != g->sliced) return 0;
    if (bytes_of(l, c) * SHRUNK < g->bytes) return 0;
    growing larger = *g;
    keep(f, &larger, small, 0);
    keep(f, &larger, c, 1);
    if (bytes_of(l, c) > larger.bytes) larger.bytes = bytes_of(l, c);
    larger.sliced = l->p->values[c].sliced;
    if (!choose_blocked(f, &larger, larger.index, larger.count)) return 0;
    if (g->stem.n_steps) larger.spared += bytes_of(l, l->current[stem]);
    larger.stem.steps[larger.stem.n_steps++] = t;
    *g = larger;
    return 1;
}

/* The longest stem from step t on. */
static growing find_stem(const search *f, int64_t t) {
    const tn_lowering *l = f->l;
    const int64_t *ids = l->net->steps + 2 * t;
    const tn_value *values = l->p->values;
    growing g = {.stem.other = -1};
    g.stem.stem = values[l->current[ids[0]]].elements < values[l->current[ids[1]]].elements ? ids[1]
                                                                                           : ids[0];
    const tn_value *whole = &values[l->current[g.stem.stem]];
    for (int32_t d = 0; d < whole->n_axes; d++)
        g.index[g.count++] = l->axes.index[whole->first_axis + d];
    g.bytes = bytes_of(l, l->current[g.stem.stem]);
    for (int64_t stem = g.stem.stem; g.stem.n_steps < TN_MOST_FUSED; t = f->l->reader[t]) {
        if (t < 0 || f->taken[t]) break;
        if (!grow_by(f, &g, t, stem)) {
            if (g.stem.n_steps) join(f, &g, t, stem);
            break;
        }
        stem = l->net->n_inputs + t;
    }
    return g;
}

/* Of the stems from step t or one of the following on, the one that spares the most memory traffic: a late
 * start may allow a late end. */
static growing find_best(const search *f, int64_t t) {
    const growing first = find_stem(f, t);
    growing best = first;
    for (int64_t i = 1; i < first.stem.n_steps; i++) {
        const growing later = find_stem(f, first.stem.steps[i]);
        if (later.spared > best.spared) best = later;
    }
    return best;
}

static tn_status find_all(search *f, tn_stem **stems, int64_t *count) {
    const tn_lowering *l = f->l;
    const int64_t n = l->net->n_inputs - 1;
    int64_t capacity = 0;
    for (int64_t t = 0; t < n;) {
        const int64_t bytes = bytes_of(l, l->current[l->net->n_inputs + t]);
        growing g = {.count = 0};
        if (!f->taken[t] && bytes >= FEWEST * f->block_bytes) g = find_best(f, t);
        if (g.stem.n_steps < 2) {
            t++;
            continue;
        }
        choose_lanes(f, &g);
        if (!tn_grow((void **)stems, &capacity, *count + 1, sizeof **stems)) return TN_NO_MEMORY;
        (*stems)[(*count)++] = g.stem;
        for (int64_t i = 0; i < g.stem.n_steps; i++) f->taken[g.stem.steps[i]] = 1;
    }
    return TN_OK;
}

tn_status tn_find_stems(const tn_lowering *l, tn_stem **stems, int64_t *count) {
    const int64_t n = l->net->n_inputs, wanted = l->net->block_bytes;
    *stems = NULL;
    *count = 0;
    if (n < 3 || wanted < 0 || l->p->strip || l->net->n_needed) return TN_OK;
    search f = {l, wanted ? wanted : BLOCK_BYTES, calloc((size_t)n, 1),
                calloc((size_t)l->net->n_indices + 1, 1)};
    const tn_status status = f.taken && f.on ? find_all(&f, stems, count) : TN_NO_MEMORY;
    free(f.taken);
    free(f.on);
    return status;
}

/* A value that stands for one block of another; strides[] of the axes that it does not have are set. */
static tn_status add_block(tn_lowering *l, const tn_stem *stem, int32_t whole_value, int32_t *v,
                           int64_t *strides) {
    tn_status status = tn_new_value(l, v);
    if (status) return status;
    const tn_value whole = l->p->values[whole_value];
    tn_value block = {.first_axis = l->axes.count, .producer = -1, .place = PLACE_BLOCK,
                      .sliced = whole.sliced, .elements = 1};
    for (int64_t i = 0; i < stem->n_blocked; i++) l->on_a[stem->blocked[i]] = 1;
    for (int32_t d = 0; d < whole.n_axes; d++) {
        const int32_t i = l->axes.index[whole.first_axis + d];
        const int64_t stride = l->axes.stride[whole.first_axis + d];
        strides[i] = stride;
        if (l->on_a[i]) continue;
        block.elements *= l->sizes[i];
        if (!tn_push_axis(&l->axes, i, stride)) status = TN_NO_MEMORY;
    }
    for (int64_t i = 0; i < stem->n_blocked; i++) l->on_a[stem->blocked[i]] = 0;
    block.n_axes = (int32_t)(l->axes.count - block.first_axis);
    l->p->values[*v] = block;
    return status;
}

/* The blocks of the stem, the outermost axes first, and of what it meets at last. */
static tn_status cut_blocks(tn_lowering *l, const tn_stem *stem, tn_fused *fused) {
    tn_status status = TN_OK;
    if (fused->other >= 0)
        status = add_block(l, stem, fused->other, &fused->other_block, l->stride_b);
    if (!status) status = add_block(l, stem, fused->stem, &fused->first_block, l->stride_a);
    if (status) return status;
    for (int64_t i = 0; i < stem->n_blocked; i++) {
        const int32_t index = stem->blocked[i];
        int64_t at = fused->n_dims++;
        for (; at > 0 && fused->dims[at - 1].sa < l->stride_a[index]; at--)
            fused->dims[at] = fused->dims[at - 1], fused->index[at] = fused->index[at - 1];
        fused->dims[at] = (tn_dim){l->sizes[index], l->stride_a[index],
                                   fused->other < 0 ? 0 : l->stride_b[index], 0};
        fused->index[at] = index;
        fused->blocks *= l->sizes[index];
        /* the stem and what it meets become one holder of it */
        if (fused->other >= 0) l->alive[index]--;
    }
    return TN_OK;
}

/* The whole of the last result: its blocks one after the other. */
static tn_status join_blocks(tn_lowering *l, int32_t last, tn_fused *fused) {
    tn_status status = tn_new_value(l, &fused->result);
    if (status) return status;
    const tn_value block = l->p->values[last];
    const int64_t first = l->axes.count;
    for (int64_t d = 0; d < fused->n_dims; d++)
        if (!tn_push_axis(&l->axes, fused->index[d], 0)) return TN_NO_MEMORY;
    for (int32_t d = 0; d < block.n_axes; d++)
        if (!tn_push_axis(&l->axes, l->axes.index[block.first_axis + d], 0)) return TN_NO_MEMORY;
    status = tn_finish_value(l, fused->result, first);
    for (int64_t d = 0; d < fused->n_dims; d++) fused->dims[d].sc = l->axes.stride[first + d];
    l->p->values[fused->result].sliced = block.sliced;
    l->p->values[fused->result].producer = block.producer;
    return status;
}

/* The last step writes parts of the result, which may be too large for the second cache. */
static void mark_far(tn_program *p, const tn_fused *f) {
    enum { LARGE = 1 << 20 };
    const int64_t bytes = p->values[f->result].elements * tn_itemsize(p->dtype);
    p->steps[f->first_step + f->n_steps - 1].x.far = bytes >= LARGE;
}

tn_status tn_lower_stem(tn_lowering *l, const tn_stem *stem) {
    tn_program *p = l->p;
    tn_fused fused = {.first_step = p->n_steps, .n_steps = stem->n_steps, .blocks = 1,
                      .stem = l->current[stem->stem], .other = -1, .other_block = -1};
    if (stem->other >= 0) fused.other = l->current[stem->other];
    tn_status status = cut_blocks(l, stem, &fused);
    int32_t from = fused.first_block;
    for (int64_t i = 0, id = stem->stem; i < stem->n_steps && !status; i++) {
        const int64_t t = stem->steps[i], *ids = l->net->steps + 2 * t;
        const int64_t met = ids[0] == id ? ids[1] : ids[0];
        int32_t other = met == stem->other ? fused.other_block : l->current[met], c;
        status = tn_new_value(l, &c);
        const tn_target next = {-1, -1, 0, t};
        if (!status) status = tn_pair_step(l, &from, &other, next, c);
        if (status) return status;
        p->values[c].place = PLACE_BLOCK;
        p->steps[p->n_steps - 1].fused = (int32_t)p->n_fused;
        p->steps[p->n_steps - 1].blocks = fused.blocks;
        from = c;
        id = l->net->n_inputs + t;
    }
    if (!status) status = join_blocks(l, from, &fused);
    if (!status) mark_far(p, &fused);
    p->fused[p->n_fused++] = fused;
    int32_t *result = &l->current[l->net->n_inputs + stem->steps[stem->n_steps - 1]];
    *result = fused.result;
    return status || stem->other < 0 ? status : tn_sum_lonely(l, result);
}
