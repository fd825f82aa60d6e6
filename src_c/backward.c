/* The backward sweep: from the cotangent of the output down to the gradients of operands.
 *
 * A step that contracts a and b to c, of indices A, B and C, is linear in each, so that the cotangent of a
 * is that of c contracted with b to the indices A, and costs as many multiply-adds as the step.  Each
 * index of A that neither B nor C has was summed on the operand alone, before: there the cotangent is
 * the same for all of its values.  With slices, the cotangent of a value is summed over the loops inside
 * the level of the value, and what depends on it waits for their end: no step runs more often than its
 * step of the forward sweep. */
#include "lowering.h"

#include <stdlib.h>

typedef struct {
    tn_lowering *l;
    int32_t *gradient;  /* by operand: the result that its gradient is, or -1 */
    uint8_t *wanted;    /* by id of the tree: a gradient depends on its cotangent */
    int32_t *cotangent; /* by id of the tree */
    int32_t *stack;
} sweep;

tn_status tn_add_cotangent(tn_lowering *l) {
    const tn_network *net = l->net;
    return tn_add_input(l, (int32_t)net->n_inputs, net->output, net->n_output, NULL);
}

static int deeper(int32_t x, int32_t y) { return x > y ? x : y; }

/* What has been added is a step backwards, at this level. */
static void finish_step(tn_lowering *l, int32_t level, int late) {
    tn_step *s = &l->p->steps[l->p->n_steps - 1];
    s->backward = 1;
    s->level = level;
    s->late = (uint8_t)late;
}

/* The cotangent of an operand of the network is a result: points stride_c at its axes, of which
 * repeated ones are a diagonal, and says how a step at this level writes to it. */
static tn_target to_gradient(sweep *s, int64_t leaf, int32_t level) {
    const tn_network *net = s->l->net;
    tn_program *p = s->l->p;
    const int64_t first = net->starts[leaf], n = net->starts[leaf + 1] - first;
    const int64_t *ids = net->ids + first;
    int64_t strides[TN_MAX_DIMS];
    int diagonal = 0;
    tn_contiguous_strides(net->sizes, ids, n, tn_itemsize(p->dtype), strides);
    for (int64_t d = 0; d < n; d++) s->l->stride_c[ids[d]] = 0;
    for (int64_t d = 0; d < n; d++) {
        if (s->l->stride_c[ids[d]]) diagonal = 1;
        s->l->stride_c[ids[d]] += strides[d];
    }
    tn_result *result = &p->results[s->gradient[leaf]];
    result->own_sums = p->half || (!p->direct && level > 0);
    result->cleared = !result->own_sums && (diagonal || level > 0);
    return (tn_target){s->gradient[leaf], (int32_t)leaf, level > 0, -1};
}

/* Copies a cotangent to the gradient of an operand, along the axes that it has besides. */
static tn_status spread(sweep *s, int32_t from, int64_t leaf) {
    tn_lowering *l = s->l;
    const int32_t level = deeper(l->p->values[from].level, l->p->values[leaf].level);
    const int late = l->p->values[from].late;
    const tn_target target = to_gradient(s, leaf, level);
    tn_dim dims[TN_MAX_DIMS];
    int32_t c;
    tn_status status = tn_new_value(l, &c);
    if (status) return status;
    const int64_t first = l->axes.count;
    const tn_value whole = l->p->values[leaf];
    for (int32_t d = 0; d < whole.n_axes; d++)
        if (!tn_push_axis(&l->axes, l->axes.index[whole.first_axis + d], 0)) return TN_NO_MEMORY;
    tn_output_value(l, c, first, target.result);
    tn_mark(l, from, l->on_a, l->stride_a, 1);
    for (int32_t d = 0; d < whole.n_axes; d++) {
        const int32_t i = l->axes.index[first + d];
        dims[d] = (tn_dim){l->sizes[i], l->on_a[i] ? l->stride_a[i] : 0, 0, l->axes.stride[first + d]};
    }
    tn_mark(l, from, l->on_a, l->stride_a, 0);
    tn_step step = {.a = from, .b = -1, .c = c};
    step.x.n_m = (uint8_t)whole.n_axes;
    step.x.unary = 1;
    step.x.accumulate = (uint8_t)target.accumulate;
    status = tn_add_step(l, step, dims);
    if (!status) finish_step(l, level, late);
    return status;
}

/* Counts who has the indices of a step backwards: the cotangent, the other operand, the result. */
static void count_holders(tn_lowering *l, int32_t g, int32_t other, int32_t like) {
    const int32_t held[3] = {g, other, like};
    for (int add = 0; add < 2; add++)
        for (int h = 0; h < 3; h++) {
            const tn_value *value = &l->p->values[held[h]];
            for (int32_t d = 0; d < value->n_axes; d++) {
                int32_t *alive = &l->alive[l->axes.index[value->first_axis + d]];
                *alive = add ? *alive + 1 : 0;
            }
        }
}

/* The cotangent of `id`, which was read as value `own` together with value `other`, from that of the
 * result of their step. */
static tn_status step_back(sweep *s, int32_t g, int32_t other, int32_t own, int64_t id) {
    tn_lowering *l = s->l;
    tn_program *p = l->p;
    const int is_leaf = id < l->net->n_inputs;
    const int is_result = is_leaf && p->values[own].n_axes == p->values[id].n_axes;
    const int late = p->values[g].late;
    const int32_t inside = p->values[own].level;
    int32_t level = deeper(p->values[g].level, p->values[other].level), c;
    if (is_result) level = deeper(level, p->values[id].level);
    const int summed = !is_result && level > inside;
    const tn_target target = is_result ? to_gradient(s, id, level) : (tn_target){-1, own, summed, -1};
    tn_status status = tn_new_value(l, &c);
    if (status) return status;
    count_holders(l, g, other, own);
    status = tn_pair_step(l, &g, &other, target, c);
    if (status) return status;
    finish_step(l, level, late);
    tn_value *made = &p->values[c];
    made->level = summed ? inside : level;
    made->late = (uint8_t)(late || summed);
    made->summed = (uint8_t)summed;
    if (summed && !inside) made->place = PLACE_SUMS;
    s->cotangent[id] = c;
    return is_leaf && !is_result ? spread(s, c, id) : TN_OK;
}

/* Both operands of each step, from the last step down; of two branches the one with the larger
 * cotangent first. */
static tn_status sweep_down(sweep *s) {
    tn_lowering *l = s->l;
    const int64_t n = l->net->n_inputs;
    int64_t depth = 0;
    tn_status status = TN_OK;
    if (n > 1) s->stack[depth++] = (int32_t)(2 * n - 2);
    while (depth && !status) {
        const int32_t id = s->stack[--depth];
        const int64_t t = id - n, *ids = l->net->steps + 2 * t;
        const int32_t *read = l->prepared + 2 * t;
        for (int o = 0; o < 2 && !status; o++)
            if (s->wanted[ids[o]])
                status = step_back(s, s->cotangent[id], read[!o], read[o], ids[o]);
        const int first = l->p->values[read[0]].elements <= l->p->values[read[1]].elements;
        for (int i = 0; i < 2; i++) {
            const int64_t next = ids[i ? first : !first];
            if (next >= n && s->wanted[next]) s->stack[depth++] = (int32_t)next;
        }
    }
    return status;
}

static tn_status begin_sweep(sweep *s) {
    const tn_network *net = s->l->net;
    const int64_t n = net->n_inputs;
    for (int64_t v = 0; v < n; v++) s->gradient[v] = -1;
    for (int64_t r = 0; r < net->n_needed; r++) {
        s->gradient[net->needed[r]] = (int32_t)r + 1;
        s->wanted[net->needed[r]] = 1;
    }
    for (int64_t t = 0; t < n - 1; t++)
        s->wanted[n + t] = s->wanted[net->steps[2 * t]] | s->wanted[net->steps[2 * t + 1]];
    int32_t g = (int32_t)n;
    const int64_t steps = s->l->p->n_steps;
    const int32_t level = s->l->p->values[g].level;
    tn_status status = tn_widen(s->l, &g);
    s->l->p->values[g].level = level;
    if (s->l->p->n_steps > steps) finish_step(s->l, level, 0);
    s->cotangent[2 * n - 2] = g;
    if (n == 1 && !status) status = spread(s, g, 0);
    return status;
}

tn_status tn_lower_backward(tn_lowering *l) {
    const size_t n = (size_t)l->net->n_inputs;
    sweep s = {l, malloc(n * sizeof *s.gradient), calloc(2 * n, 1),
               malloc(2 * n * sizeof *s.cotangent), malloc((n + 1) * sizeof *s.stack)};
    tn_status status = TN_NO_MEMORY;
    if (s.gradient && s.wanted && s.cotangent && s.stack) {
        status = begin_sweep(&s);
        if (!status) status = sweep_down(&s);
    }
    free(s.gradient);
    free(s.wanted);
    free(s.cotangent);
    free(s.stack);
    return status;
}
