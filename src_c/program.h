/* What lowering hands to the runner.  Internal to lower.c, schedule.c and program.c. */
#ifndef TN_PROGRAM_H
#define TN_PROGRAM_H

#include "tn.h"

/* Where a value lives.  Values 0 .. n_inputs - 1 are the operands, then the results of the tree's
 * steps, then copies that lowering adds. */
typedef enum {
    PLACE_INPUT,
    PLACE_SHARED, /* computed once per run, read by all workers */
    PLACE_WORKER, /* depends on a sliced index: one per worker */
    PLACE_OUTPUT,
    PLACE_BLOCK   /* a block of a value, in fused steps: one per thread */
} tn_place;

typedef struct {
    int64_t first_axis;        /* into the axis pool: indices and byte strides */
    int32_t n_axes;
    int32_t producer;          /* step, or -1 for inputs */
    int32_t level;             /* 0: no sliced index; l: depends on loop l - 1, maybe on outer ones */
    uint8_t place;
    uint64_t sliced;           /* bit p: depends on sliced index p */
    int64_t elements, offset;
} tn_value;

typedef struct {
    tn_contraction x;
    int64_t first_dim, first_entry; /* into the dims, and into the tables or -1 */
    int32_t a, b, c; /* values; b is -1 in a unary step */
    int32_t fused;   /* the fused steps that it is one of, or -1 */
    int64_t blocks;  /* how often it runs for that */
    uint8_t widen;   /* float16 operand copied to float32 */
} tn_step;

enum { TN_MOST_FUSED = 16, TN_MOST_BLOCKED = 24 };

/* Steps, each on the result of the one before, that run one after the other on every block of their
 * stem: a value that they leave alone in some indices.  What is between them stays in the caches. */
typedef struct {
    int64_t first_step, n_steps;
    int32_t first_block;  /* values: a block of the stem, then of the result of each step */
    int32_t stem, result; /* the whole of the first and of the last */
    int64_t blocks, n_dims;
    tn_dim dims[TN_MOST_BLOCKED]; /* of the blocks: extent, byte strides on stem (sa) and result (sc) */
} tn_fused;

/* The byte stride of one sliced index on one operand (or on the output: value -1). */
typedef struct {
    int32_t value, loop;
    int64_t stride;
} tn_slice_stride;

struct tn_program {
    tn_step *steps; /* ordered by level, so that a loop restarts at level_start[its level] */
    tn_value *values;
    tn_dim *dims;
    int32_t *tables;
    tn_slice_stride *slice_strides;
    tn_fused *fused;
    int64_t *extents;     /* of the slice loops, outermost first */
    int64_t order[64];    /* which sliced index each loop runs over */
    int64_t *level_start; /* levels + 1 */
    int64_t n_inputs, n_values, n_steps, n_slice_strides, n_loops, n_fused;
    int64_t slices, chunks, workers, threads;
    int64_t grain;        /* slices from one that may start a chunk to the next */
    int dtype, half, strip, direct;
    int32_t result;       /* the value that an accumulated run adds to the sums, or -1 */
    tn_contraction fill, copy, collect; /* zero c; sums -> output; result -> sums of its chunk */
    int64_t fill_dims, copy_dims, collect_dims;
    int64_t shared_bytes, worker_bytes, workspace_bytes, block_bytes, sums_bytes, table_bytes, arena_bytes;
    int64_t output_elements;
    double *level_macs;   /* macs of one pass over the steps of a level */
    double macs;
};

/* How many chunks of slices there is memory for, whose number tn_schedule fixes: by the plan alone,
 * threads only decide who runs them. */
void tn_split_slices(tn_program *program, int64_t largest);

/* The first slice of a chunk, if so many chunks share the slices, by the grain, as evenly as they can. */
static inline int64_t tn_slice_of(int64_t slices, int64_t grain, int64_t chunks, int64_t chunk) {
    const int64_t grains = slices / grain, rest = grains % chunks;
    return (grains / chunks * chunk + (chunk < rest ? chunk : rest)) * grain;
}

/* Multiply-adds of a step, in all blocks. */
static inline double tn_step_macs(const tn_step *s) {
    if (s->x.unary) return 0;
    return (double)s->blocks * (double)s->x.batch * (double)s->x.m * (double)s->x.n *
           (double)s->x.k;
}

/* Orders the steps and places the values; sums of the whole network are known after it. */
tn_status tn_schedule(tn_program *program, int32_t root);

#endif
