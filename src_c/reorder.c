/* Products whose operands and result lie in orders that do not go together: some are copied.
 *
 * Where one of the three is as large as the product itself (an outer or an elementwise product, a vector
 * times many axes), time is what it takes to go through that one.  Vectors run along memory, and axes fuse,
 * if the two others have the order of the large one: those that have not are copied to it, or from it.
 *
 * Other products read and write along memory unless a batch axis is nearest on an operand or on the result,
 * so that every line is passed by as often as that axis is long: batch axes then go to the front.  And what
 * must be packed number by number for a small result in an odd order is read in place for one whose rows are
 * the rows of an operand.  A large result of few steps is written along its rows, if those of an operand are put
 * in their order. */
#include "lowering.h"

/* Which of a, b and c have an axis. */
enum { SUMMED = 3, OF_A = 5, OF_B = 6, BATCH = 7 };
enum { SLIVER = 16, ROW = 32 };         /* bytes */
static const double MOST_POINTS = 1e15; /* of products that anybody will wait for */

typedef struct {
    int32_t index;
    uint8_t on[3]; /* whether a, b and c have it, with strides that may be 0 */
    int64_t n, stride[3];
} common_axis;

/* The axes of a product. */
typedef struct {
    common_axis axes[TN_MAX_DIMS];
    int n;
    int64_t itemsize, size[3]; /* bytes of an entry; entries of a, b and c */
} common_order;

static int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride; }

static int members(const common_axis *x) { return x->on[0] | x->on[1] << 1 | x->on[2] << 2; }

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

/* Puts the result in, which has all axes that are not summed; returns how many points the product has. */
static double add_result(const tn_lowering *l, common_order *o) {
    double points = 1, entries = 1;
    for (int at = 0; at < o->n; at++) {
        common_axis *x = &o->axes[at];
        points *= (double)x->n;
        if (x->on[0] && x->on[1] && l->alive[x->index] == 2) continue;
        x->on[2] = 1;
        x->stride[2] = l->stride_c[x->index];
        entries *= (double)x->n;
    }
    o->size[2] = points <= MOST_POINTS ? (int64_t)entries : 0;
    return points;
}

/* How far out an axis is on this operand; those that it has not are outermost. */
static int64_t outerness(const common_axis *x, int operand) {
    return x->on[operand] ? distance(x->stride[operand]) : INT64_MAX;
}

/* Brings the axes into the order of this operand, the nearest first. */
static void sort_axes(common_order *o, int operand) {
    for (int i = 1; i < o->n; i++) { /* insertion sort */
        const common_axis x = o->axes[i];
        int j = i;
        for (; j > 0 && outerness(&o->axes[j - 1], operand) > outerness(&x, operand); j--)
            o->axes[j] = o->axes[j - 1];
        o->axes[j] = x;
    }
}

/* Lays the axes of v whose members are in a set (bits) in the order in which they are on `like`, from a stride
 * on; returns the next one. */
static int64_t lay_axes(common_order *o, int v, unsigned set, int like, int64_t stride) {
    uint8_t laid[TN_MAX_DIMS] = {0};
    for (;;) {
        int nearest = -1;
        for (int at = 0; at < o->n; at++)
            if (!laid[at] && set >> members(&o->axes[at]) & 1 &&
                (nearest < 0 || outerness(&o->axes[at], like) < outerness(&o->axes[nearest], like)))
                nearest = at;
        if (nearest < 0) return stride;
        laid[nearest] = 1;
        o->axes[nearest].stride[v] = stride;
        stride *= o->axes[nearest].n;
    }
}

/* A new value with the axes of an operand as they are laid. */
static tn_status new_value(tn_lowering *l, const common_order *laid, int operand, int32_t *v) {
    common_order o = *laid;
    tn_status status = tn_new_value(l, v);
    const int64_t first = l->axes.count;
    sort_axes(&o, operand);
    for (int at = o.n - 1; at >= 0 && !status; at--)
        if (o.axes[at].on[operand] && !tn_push_axis(&l->axes, o.axes[at].index, 0)) status = TN_NO_MEMORY;
    return status ? status : tn_finish_value(l, *v, first);
}

/* Copies those operands that are laid anew, and makes a value for such a result; not if they take much memory. */
static tn_status move(tn_lowering *l, const common_order *o, const int anew[3], int32_t *const v[3]) {
    enum { MUCH = 256 << 20 }; /* bytes */
    tn_status status = TN_OK;
    int64_t bytes = 0;
    for (int i = 0; i < 3; i++)
        if (anew[i]) bytes += o->size[i] * o->itemsize;
    for (int i = 0; i < 3 && !status && bytes <= MUCH; i++) {
        if (!anew[i]) continue;
        const int32_t from = *v[i];
        status = new_value(l, o, i, v[i]);
        if (!status && i < 2) status = tn_move_step(l, from, *v[i], 0, 0);
    }
    return status;
}

static int has_same_operands(const common_axis *x, const common_axis *y) { return members(x) == members(y); }

/* Whether axis `at` continues the one before it on whoever has both: now, or if all have the order of the
 * lead. */
static int continues(const common_order *o, int lead, int at, int reordered) {
    const common_axis *x = &o->axes[at], *inner = x - 1;
    if (!has_same_operands(x, inner)) return 0;
    for (int v = 0; v < 3; v++)
        if (x->on[v] && x->stride[v] != inner->n * inner->stride[v] && (v == lead || !reordered)) return 0;
    return 1;
}

/* How many axes there are when those that continue each other are fused. */
static int fused_axes(const common_order *o, int lead, int reordered) {
    int count = 1;
    for (int at = 1; at < o->n; at++) count += !continues(o, lead, at, reordered);
    return count;
}

/* Bytes of the runs along the lead that are runs on whoever has their axes: now, or if all have its
 * order. */
static int64_t common_run(const common_order *o, int lead, int reordered) {
    int64_t run = o->itemsize * o->axes[0].n;
    for (int v = 0; v < 3; v++)
        if (o->axes[0].on[v] && o->axes[0].stride[v] != o->itemsize && (v == lead || !reordered))
            return o->itemsize;
    for (int at = 1; at < o->n && continues(o, lead, at, reordered); at++) run *= o->axes[at].n;
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
static int pays(const common_order *o, int lead, const int anew[3]) {
    enum { SMALL = 4 << 10, LONG = 128, GAIN = 2, TINY = 8 }; /* entries, bytes, and parts of the lead */
    if (o->size[lead] < SMALL) return 0;
    int64_t copied = 0;
    for (int v = 0; v < 3; v++)
        if (anew[v]) copied += o->size[v];
    const int64_t run = common_run(o, lead, 0);
    if (run < LONG && common_run(o, lead, 1) >= GAIN * run) return copied > 0;
    return copied > 0 && copied <= o->size[lead] / TINY && fused_axes(o, lead, 1) < fused_axes(o, lead, 0);
}

/* Lays the others in the order of the largest, which has all axes; returns whether that pays. */
static int follow_lead(common_order *o, int lead, int anew[3]) {
    sort_axes(o, lead);
    for (int v = 0; v < 3; v++) anew[v] = v != lead && !is_in_order(o, v);
    if (!pays(o, lead, anew)) return 0;
    for (int v = 0; v < 3; v++)
        if (anew[v]) lay_axes(o, v, ~0u, lead, o->itemsize);
    return 1;
}

/* The road of the product as its axes lie. */
static uint8_t road_of(const tn_lowering *l, const common_order *o) {
    static const int groups[4] = {BATCH, OF_A, OF_B, SUMMED};
    tn_dim dims[TN_MAX_DIMS], road[TN_MAX_DIMS + TN_ADDED_DIMS];
    int count[4] = {0}, n = 0;
    for (int g = 0; g < 4; g++)
        for (int at = 0; at < o->n; at++) {
            const common_axis *x = &o->axes[at];
            if (members(x) != groups[g]) continue;
            dims[n++] = (tn_dim){x->n, x->stride[0], x->stride[1], x->stride[2]};
            count[g]++;
        }
    tn_contraction x = {.n_batch = (uint8_t)count[0], .n_m = (uint8_t)count[1], .n_n = (uint8_t)count[2],
                        .n_k = (uint8_t)count[3], .dtype = (uint8_t)l->p->dtype, .dims = dims};
    tn_choose_road(&x, road);
    return x.road;
}

/* The axis along which neighbours of v are, if there is one. */
static const common_axis *nearest_on(const common_order *o, int v) {
    for (int at = 0; at < o->n; at++)
        if (o->axes[at].on[v] && distance(o->axes[at].stride[v]) == o->itemsize) return &o->axes[at];
    return NULL;
}

/* Lays the batch axes of an operand in front of the others. */
static void lay_batch_first(common_order *o, int v) {
    const int64_t stride = lay_axes(o, v, 1u << SUMMED | 1u << (v ? OF_B : OF_A), v, o->itemsize);
    lay_axes(o, v, 1u << BATCH, v, stride);
}

/* Lays the result like the operands: batch axes, those of one operand, and the rows of the other. */
static void lay_result(common_order *o, int rows) {
    int64_t stride = lay_axes(o, 2, 1u << (rows ? OF_B : OF_A), rows, o->itemsize);
    stride = lay_axes(o, 2, 1u << (rows ? OF_A : OF_B), !rows, stride);
    lay_axes(o, 2, 1u << BATCH, o->size[0] > o->size[1] ? 0 : 1, stride);
}

/* Bytes of the rows of the result that are rows of an operand, or of both. */
static int64_t shared_row(const common_order *laid) {
    common_order o = *laid;
    sort_axes(&o, 2);
    return common_run(&o, 2, 0);
}

/* Whether the result has such short rows that this road would be faster with longer ones, and a copy. */
static int has_slivers(const common_order *laid, uint8_t road) {
    common_order o = *laid;
    sort_axes(&o, 2);
    if (road == TN_ROAD_DIRECT) return o.axes[0].n * o.itemsize < ROW;
    return (road == TN_ROAD_N || road == TN_ROAD_BATCH || road == TN_ROAD_SKINNY) &&
           common_run(&o, 2, 0) < SLIVER;
}

static int sums(const common_order *o) {
    for (int at = 0; at < o->n; at++)
        if (members(&o->axes[at]) == SUMMED) return 1;
    return 0;
}

/* Whether a batch axis that is nearest on v had better be in front, since all its lines are read once for each
 * of many points: where it must be packed, or is read number by number, or is large. */
static int is_in_the_way(const common_order *o, int v, uint8_t road) {
    enum { SHORT = 8, NEAR = 512 << 10 }; /* points of the axis, and bytes of the operand */
    const common_axis *nearest = nearest_on(o, v);
    if (!nearest || members(nearest) != BATCH || nearest->n < SHORT) return 0;
    if (road == TN_ROAD_GETT || road == TN_ROAD_INNER || (road == TN_ROAD_N && sums(o))) return 1;
    return (road == TN_ROAD_DIRECT || road == TN_ROAD_DOTS) && o->size[v] * o->itemsize >= NEAR;
}

/* Whether the larger operand runs along what is summed, and the result along that operand's own axes: then
 * packed products read it in place, too (thin.h). */
static int is_read_in_place(const common_order *o, int larger) {
    const common_axis *run = nearest_on(o, larger), *row = nearest_on(o, 2);
    return run && row && members(run) == SUMMED && members(row) == (larger ? OF_B : OF_A);
}

/* Whether the larger operand and the result run along the same axis: then it is packed without squares. */
static int run_together(const common_order *o, int larger) {
    const common_axis *run = nearest_on(o, larger);
    return run && run == nearest_on(o, 2);
}

/* Lays a result so that its operands are read in place or packed along memory, if it is much smaller than these
 * or in the way; or so that its rows are more than slivers.  Returns whether it is laid anew. */
static int untangle_result(const tn_lowering *l, common_order *o, double points, uint8_t road) {
    enum { PART = 4 }; /* of the larger operand */
    const int larger = o->size[1] > o->size[0];
    const int small = o->size[2] <= o->size[larger] / PART, outer = (double)o->size[2] == points;
    const int slivers = (small || outer) && has_slivers(o, road);
    const int moves = is_in_the_way(o, 2, road) || (small && road == TN_ROAD_SKINNY) ||
                      (small && road == TN_ROAD_GETT && !is_read_in_place(o, larger));
    if (!slivers && !moves) return 0;
    for (int rows = 0; rows < 2; rows++) {
        common_order other = *o;
        lay_result(&other, rows);
        const uint8_t found = road_of(l, &other);
        const int in_place = found == TN_ROAD_DOTS || (found == TN_ROAD_DIRECT && road != TN_ROAD_SKINNY);
        const int along = found == TN_ROAD_GETT && road == TN_ROAD_GETT && rows == larger &&
                          run_together(&other, larger) && !run_together(o, larger);
        if ((moves && (in_place || along)) || (slivers && shared_row(&other) >= ROW)) {
            *o = other;
            return 1;
        }
    }
    return 0;
}

/* Whether v has the columns of a result that takes longer to be written, for its few steps, than v to be put in
 * order, and has them scattered: direct tiles then write rows of the result from end to end. */
static int has_scattered_columns(const common_order *o, int v, double points, uint8_t road) {
    enum { FEW = 64, PART = 8, LEAST = 64 << 10 }; /* steps, of the result, bytes of it */
    const common_axis *column = nearest_on(o, 2);
    if (road != TN_ROAD_DIRECT || !column || members(column) != (v ? OF_B : OF_A)) return 0;
    const double entries = (double)o->size[2];
    return distance(column->stride[v]) != o->itemsize && points <= FEW * entries &&
           o->size[v] <= o->size[2] / PART && o->size[2] * o->itemsize >= LEAST;
}

/* Lays an operand in rows of the result. */
static void lay_columns_last(common_order *o, int v) {
    int64_t stride = lay_axes(o, v, 1u << (v ? OF_B : OF_A), 2, o->itemsize);
    stride = lay_axes(o, v, 1u << SUMMED, !v, stride);
    lay_axes(o, v, 1u << BATCH, v, stride);
}

/* Lays batch axes in front, and a result that is there as the operands; returns whether anything is laid anew. */
static int untangle(const tn_lowering *l, common_order *o, double points, int has_result, int anew[3]) {
    enum { SMALL = 16 << 10 }; /* multiply-adds */
    if (points < SMALL) return 0;
    uint8_t road = road_of(l, o);
    const common_order given = *o;
    for (int v = 0; v < 2; v++) {
        anew[v] = is_in_the_way(&given, v, road);
        if (anew[v]) lay_batch_first(o, v);
    }
    if (anew[0] || anew[1]) road = road_of(l, o);
    anew[2] = has_result && untangle_result(l, o, points, road);
    for (int v = 0; v < 2; v++) {
        if (!has_result || anew[2] || !has_scattered_columns(o, v, points, road)) continue;
        anew[v] = 1;
        lay_columns_last(o, v);
    }
    return anew[0] || anew[1] || anew[2];
}

/* Whether what would be copied are operands of the network, which lie as their owner has them: other values
 * are where the steps around them want them. */
static int are_inputs(const tn_lowering *l, const int anew[3], int32_t *const v[3]) {
    for (int i = 0; i < 2; i++)
        if (anew[i] && l->p->values[*v[i]].producer >= 0) return 0;
    return 1;
}

tn_status tn_reorder(tn_lowering *l, int32_t *a, int32_t *b, int32_t *c) {
    common_order o = {.itemsize = tn_itemsize(l->p->dtype)};
    int32_t *const values[3] = {a, b, c};
    int anew[3], instead[3], lead = c ? 3 : 2; /* a result that is not laid out yet leads nobody */
    add_axes(l, &o, *a, 0);
    add_axes(l, &o, *b, 1);
    const double points = add_result(l, &o);
    if (points > MOST_POINTS) return TN_OK;
    if (!c) lay_result(&o, o.size[1] > o.size[0]);
    common_order followed = o, untangled = o;
    while (lead-- > 0) {
        if (!c) lay_axes(&followed, 2, ~0u, lead, o.itemsize);
        if ((double)o.size[lead] == points && follow_lead(&followed, lead, anew) && (c || are_inputs(l, anew, values)))
            break;
        followed = o;
    }
    if (lead >= 0 && (!c || lead < 2 || !has_slivers(&followed, road_of(l, &followed))))
        return move(l, &followed, anew, values);
    if (untangle(l, &untangled, points, c != NULL, instead) && (c || are_inputs(l, instead, values)))
        return move(l, &untangled, instead, values);
    return lead >= 0 ? move(l, &followed, anew, values) : TN_OK;
}
