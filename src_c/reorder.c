/* Products of little arithmetic whose operands and result lie in different orders.
 *
 * Where one of the three is as large as the product itself (an outer or an elementwise product, a vector
 * times many axes), time is what it takes to go through that one.  Vectors run along memory, and axes fuse,
 * if the two others have the order of the large one: those that have not are copied to it, or from it. */
#include "lowering.h"

typedef struct {
    int32_t index;
    uint8_t on[3]; /* whether a, b and c have it, with strides that may be 0 */
    int64_t n, stride[3];
} common_axis;

/* The axes of a product, from the nearest on the lead on: the largest of the three, which has them all. */
typedef struct {
    common_axis axes[TN_MAX_DIMS];
    int n, lead;
    int64_t size[3]; /* entries of a, b and c */
} common_order;

static int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride; }

/* The axes that value v has besides those that are there. */
static void add_axes(const tn_lowering *l, common_order *o, int32_t v, int operand) {
    const tn_value *value = &l->p->values[v];
    o->size[operand] = value->elements;
    for (int32_t d = 0; d < value->n_axes; d++) {
        const int32_t i = l->axes.index[value->first_axis + d];
        int at = 0;
        while (at < o->n && o->axes[at].index != i) at++;
        if (at == o->n) o->axes[o->n++] = (common_axis){.index = i, .n = l->sizes[i]};
        o->axes[at].on[operand] = 1;
        o->axes[at].stride[operand] = l->axes.stride[value->first_axis + d];
    }
}

/* Puts the result in, which has all axes that are not summed; returns whether one of the three has all axes. */
static int find_lead(const tn_lowering *l, common_order *o) {
    int64_t points = 1;
    o->size[2] = 1;
    for (int at = 0; at < o->n; at++) {
        common_axis *x = &o->axes[at];
        points *= x->n;
        if (x->on[0] && x->on[1] && l->alive[x->index] == 2) continue;
        x->on[2] = 1;
        x->stride[2] = l->stride_c[x->index];
        o->size[2] *= x->n;
    }
    for (o->lead = 2; o->lead >= 0; o->lead--)
        if (o->size[o->lead] == points) return 1;
    return 0;
}

static void sort_axes(common_order *o) {
    for (int i = 1; i < o->n; i++) { /* insertion sort */
        const common_axis x = o->axes[i];
        int j = i;
        for (; j > 0 && distance(o->axes[j - 1].stride[o->lead]) > distance(x.stride[o->lead]); j--)
            o->axes[j] = o->axes[j - 1];
        o->axes[j] = x;
    }
}

static int has_same_operands(const common_axis *x, const common_axis *y) {
    for (int v = 0; v < 3; v++)
        if (x->on[v] != y->on[v]) return 0;
    return 1;
}

/* Whether axis `at` continues the one before it on whoever has both: now, or if all have the order of the
 * lead. */
static int continues(const common_order *o, int at, int reordered) {
    const common_axis *x = &o->axes[at], *inner = x - 1;
    if (!has_same_operands(x, inner)) return 0;
    for (int v = 0; v < 3; v++)
        if (x->on[v] && x->stride[v] != inner->n * inner->stride[v] && (v == o->lead || !reordered))
            return 0;
    return 1;
}

/* How many axes there are when those that continue each other are fused. */
static int fused_axes(const common_order *o, int reordered) {
    int count = 1;
    for (int at = 1; at < o->n; at++) count += !continues(o, at, reordered);
    return count;
}

/* Bytes of the runs along the lead that are runs on whoever has their axes: now, or if all have its
 * order. */
static int64_t common_run(const common_order *o, int64_t itemsize, int reordered) {
    int64_t run = itemsize * o->axes[0].n;
    for (int v = 0; v < 3; v++)
        if (o->axes[0].on[v] && o->axes[0].stride[v] != itemsize && (v == o->lead || !reordered))
            return itemsize;
    for (int at = 1; at < o->n && continues(o, at, reordered); at++) run *= o->axes[at].n;
    return run;
}

static int is_in_order(const common_order *o, int operand) {
    int64_t nearest = 0;
    for (int at = 0; at < o->n; at++) {
        const int64_t stride = o->axes[at].stride[operand];
        if (!o->axes[at].on[operand] || !stride) continue; /* repeated entries lie wherever others do */
        if (stride <= nearest) return 0;
        nearest = stride;
    }
    return 1;
}

/* Whether copies are worth their time: they make runs much longer, or are small and leave fewer axes; and the
 * product is large. */
static int pays(const common_order *o, int64_t itemsize) {
    enum { SMALL = 4 << 10, LONG = 128, GAIN = 2, TINY = 8 }; /* entries, bytes, and parts of the lead */
    if (o->size[o->lead] < SMALL) return 0;
    int64_t copied = 0;
    for (int v = 0; v < 3; v++)
        if (v != o->lead && !is_in_order(o, v)) copied += o->size[v];
    const int64_t run = common_run(o, itemsize, 0);
    if (run < LONG && common_run(o, itemsize, 1) >= GAIN * run) return copied > 0;
    return copied > 0 && copied <= o->size[o->lead] / TINY && fused_axes(o, 1) < fused_axes(o, 0);
}

/* A new value with those axes that this operand has, in the order of the lead. */
static tn_status new_like_lead(tn_lowering *l, const common_order *o, int operand, int32_t *v) {
    tn_status status = tn_new_value(l, v);
    const int64_t first = l->axes.count;
    for (int at = o->n - 1; at >= 0 && !status; at--)
        if (o->axes[at].on[operand] && !tn_push_axis(&l->axes, o->axes[at].index, 0))
            status = TN_NO_MEMORY;
    return status ? status : tn_finish_value(l, *v, first);
}

tn_status tn_reorder(tn_lowering *l, int32_t *a, int32_t *b, int32_t *c) {
    common_order o = {.n = 0};
    const int64_t itemsize = tn_itemsize(l->p->dtype);
    int32_t *operands[2] = {a, b};
    add_axes(l, &o, *a, 0);
    add_axes(l, &o, *b, 1);
    if (!find_lead(l, &o)) return TN_OK;
    sort_axes(&o);
    if (!pays(&o, itemsize)) return TN_OK;
    tn_status status = TN_OK;
    for (int v = 0; v < 2 && !status; v++) {
        if (v == o.lead || is_in_order(&o, v)) continue;
        const int32_t from = *operands[v];
        status = new_like_lead(l, &o, v, operands[v]);
        if (!status) status = tn_move_step(l, from, *operands[v], 0, 0);
    }
    if (!status && o.lead != 2 && !is_in_order(&o, 2)) status = new_like_lead(l, &o, 2, c);
    return status;
}
