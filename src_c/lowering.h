/* What the parts of lowering share: the program being made, and the axes of its values.
 * Internal to lower.c, reorder.c, layout.c, fuse.c, results.c and backward.c. */
#ifndef TN_LOWERING_H
#define TN_LOWERING_H

#include "program.h"

enum { TN_LOG2_LIMIT = 59 };

/* A growing array of axes: index and byte stride. */
typedef struct {
    int32_t *index;
    int64_t *stride;
    int64_t count, capacity;
} tn_axis_pool;

enum { TN_MOST_LANES = 4 };

/* Steps of the tree, each on the result of the one before, that run block by block. */
typedef struct {
    int64_t steps[TN_MOST_FUSED];
    int64_t n_steps;
    int64_t stem; /* what the first one reads in blocks: an id of the tree */
    int32_t blocked[TN_MOST_BLOCKED]; /* indices that all of them leave alone */
    int64_t n_blocked;
    int32_t lanes[TN_MOST_LANES]; /* more of these, that stay in the lanes of vectors all the way */
    int64_t n_lanes;
    int64_t other; /* what the last one, that sums over the blocked indices, reads in blocks, too; or -1 */
} tn_stem;

/* What becomes of the result of a step. */
typedef struct {
    int32_t result; /* of the program, that it is written to, with the strides in stride_c; or -1 */
    int32_t like;   /* a value in whose order it has its axes; -1: in one that suits the step */
    int accumulate; /* adds to what is there */
    int64_t step;   /* of the tree, whose result it is, if steps to come have a say in its order; or -1 */
} tn_target;

#define TN_NEW_VALUE ((tn_target){.result = -1, .like = -1, .step = -1})

typedef struct tn_lowering {
    const tn_network *net;
    const struct tn_lowering *before; /* the first time, if it is done once more; else NULL */
    tn_program *p;
    tn_axis_pool axes;
    int64_t dims_capacity, dims_count, values_capacity, tables_capacity, tables_count;
    int64_t *sizes;   /* extents, 1 for sliced indices */
    int32_t *alive;   /* how many live values, and the output, have this index */
    int64_t *stride_a, *stride_b, *stride_c; /* byte strides of the current step, by index */
    uint8_t *on_a, *on_b;
    int32_t *current; /* id of the tree -> value that now stands for it */
    int32_t *prepared; /* with a backward sweep: what each step read, after steps on single operands */
    int32_t *loop_of;  /* index -> slice loop, or -1 */
    int64_t *reader;   /* by step of the tree: the one that reads its result, or -1 */
    int32_t *rank;     /* by index: scratch, all zero */
    int64_t *summed_at; /* by index: the step of the tree that sums it, or one beyond the last */
    const tn_stem **stem_of; /* by step of the tree: that it is fused in; NULL: nothing is */
} tn_lowering;

int tn_grow(void **memory, int64_t *capacity, int64_t needed, size_t item);

/* layout.c: the axes of values, by index and stride, outermost first. */
int tn_push_axis(tn_axis_pool *pool, int32_t index, int64_t stride);
void tn_contiguous_strides(const int64_t *sizes, const int64_t *ids, int64_t n, int64_t itemsize,
                           int64_t *strides);
tn_status tn_add_input(tn_lowering *l, int32_t v, const int64_t *ids, int64_t n,
                       const int64_t *strides);
tn_status tn_new_value(tn_lowering *l, int32_t *v);
tn_status tn_finish_value(tn_lowering *l, int32_t v, int64_t first_axis);
tn_status tn_output_value(tn_lowering *l, int32_t v, int64_t first_axis, int32_t result);
tn_status tn_lay_out(tn_lowering *l, int32_t a, int32_t b, tn_target target, int32_t c);
/* Whether step t of the tree sums over many points that are in different orders on its operands, which
 * had better be laid out anew. */
int tn_sums_scattered(const tn_lowering *l, int64_t t);

/* lower.c: steps.  tn_pair_step contracts a and b to c, and tells what they were after steps on each
 * alone; an index that neither the other nor, by l->alive, anyone else has is summed. */
void tn_mark(tn_lowering *l, int32_t v, uint8_t *on, int64_t *strides, uint8_t set);
tn_status tn_add_step(tn_lowering *l, tn_step step, const tn_dim *dims);
tn_status tn_widen(tn_lowering *l, int32_t *v);
tn_status tn_sum_lonely(tn_lowering *l, int32_t *v); /* sums the indices that nobody else has */
tn_status tn_pair_step(tn_lowering *l, int32_t *a, int32_t *b, tn_target target, int32_t c);
/* a goes to c, which is laid out already, in whatever order their axes are, widened if it is of float16. */
tn_status tn_move_step(tn_lowering *l, int32_t a, int32_t c, int widen, int accumulate);

/* reorder.c: copies what lies in an order that does not go with that of the others of a, b and the program's
 * result c, where that pays; c becomes a new value if it is to be made in another order.  Without c the result
 * will be laid out in a suitable order, and operands of the network only are copied. */
tn_status tn_reorder(tn_lowering *l, int32_t *a, int32_t *b, int32_t *c);

/* fuse.c */
tn_status tn_find_stems(const tn_lowering *l, tn_stem **stems, int64_t *count);
tn_status tn_lower_stem(tn_lowering *l, const tn_stem *stem);

/* results.c: where results go, and the passes over whole results. */
tn_status tn_add_results(tn_lowering *l);
tn_status tn_add_passes(tn_lowering *l, int32_t root);

/* backward.c: the steps of the backward sweep, once the loops are ranked. */
tn_status tn_add_cotangent(tn_lowering *l);
tn_status tn_lower_backward(tn_lowering *l);

#endif
