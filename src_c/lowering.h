/* What the parts of lowering share: the program being made, and the axes of its values.
 * Internal to lower.c, layout.c and fuse.c. */
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

/* Steps of the tree, each on the result of the one before, that run block by block. */
typedef struct {
    int64_t steps[TN_MOST_FUSED];
    int64_t n_steps;
    int64_t stem; /* what the first one reads in blocks: an id of the tree */
    int32_t blocked[TN_MOST_BLOCKED]; /* indices that all of them leave alone */
    int64_t n_blocked;
} tn_stem;

typedef struct {
    const tn_network *net;
    tn_program *p;
    tn_axis_pool axes;
    int64_t dims_capacity, dims_count, values_capacity, tables_capacity, tables_count;
    int64_t *sizes;   /* extents, 1 for sliced indices */
    int32_t *alive;   /* how many live values, and the output, have this index */
    int64_t *stride_a, *stride_b, *stride_c; /* byte strides of the current step, by index */
    uint8_t *on_a, *on_b;
    int32_t *current; /* id of the tree -> value that now stands for it */
    const tn_stem **stem_of; /* by step of the tree: that it is fused in; NULL: nothing is */
} tn_lowering;

int tn_grow(void **memory, int64_t *capacity, int64_t needed, size_t item);

/* layout.c: the axes of values, by index and stride, outermost first. */
int tn_push_axis(tn_axis_pool *pool, int32_t index, int64_t stride);
void tn_contiguous_strides(const int64_t *sizes, const int64_t *ids, int64_t n, int64_t itemsize,
                           int64_t *strides);
tn_status tn_add_input(tn_lowering *l, int64_t v, const int32_t *loop_of);
tn_status tn_new_value(tn_lowering *l, int32_t *v);
tn_status tn_finish_value(tn_lowering *l, int32_t v, int64_t first_axis);
tn_status tn_output_value(tn_lowering *l, int32_t v, int64_t first_axis);
tn_status tn_lay_out(tn_lowering *l, int32_t a, int32_t b, int to_output, int32_t c);

/* lower.c: the step that contracts a and b to c. */
tn_status tn_pair_step(tn_lowering *l, int32_t a, int32_t b, int to_output, int32_t c);

/* fuse.c */
tn_status tn_find_stems(const tn_lowering *l, tn_stem **stems, int64_t *count);
tn_status tn_lower_stem(tn_lowering *l, const tn_stem *stem);

#endif
