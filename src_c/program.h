/* What lowering hands to the runner.  Internal to lower.c, schedule.c, branch.c, place.c and
 * program.c.
 *
 * Levels nest like the slice loops: what is at level 0 is computed once, what is at level l once for
 * each pass of loop l - 1.  A cotangent of a value at level l is a sum over the loops inside: it is
 * there when these have ended, and the steps that read it run then, after the others of their level.
 * The steps of one level before its inner loops, or after them, are a section. */
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
    PLACE_BLOCK,  /* a block of a value, in fused steps: one per thread */
    PLACE_SUMS,   /* summed over all slices: among the sums of a chunk */
    PLACE_SAVED   /* left by the forward half of a run for the backward half */
} tn_place;

typedef struct {
    int64_t first_axis;        /* into the axis pool: indices and byte strides */
    int32_t n_axes;
    int32_t producer;          /* step, or -1 for inputs */
    int32_t level;             /* 0: no sliced index; l: depends on loop l - 1, maybe on outer ones */
    uint8_t place;
    uint8_t summed;            /* over the loops inside its level */
    uint8_t late;              /* there only when the loops inside its level have ended */
    uint64_t sliced;           /* bit p: depends on sliced index p */
    int64_t elements, offset;
} tn_value;

typedef struct {
    tn_contraction x;
    int64_t first_dim, first_entry; /* into the dims, and into the tables or -1 */
    int32_t a, b, c; /* values; b is -1 in a unary step */
    int32_t fused;   /* the fused steps that it is one of, or -1 */
    int64_t blocks;  /* how often it runs for that */
    int32_t level;
    uint8_t widen;   /* float16 operand copied to float32 */
    uint8_t backward;
    uint8_t late;       /* runs when the loops inside its level have ended */
    uint8_t value_only; /* nothing but the value depends on it */
} tn_step;

enum { TN_MOST_FUSED = 16, TN_MOST_BLOCKED = 24, TN_MOST_BRANCHES = 64 };

/* Steps, each on the result of the one before, that run one after the other on every block of their
 * stem: a value that they leave alone in some indices.  What is between them stays in the caches. */
typedef struct {
    int64_t first_step, n_steps;
    int32_t first_block;  /* values: a block of the stem, then of the result of each step */
    int32_t stem, result; /* the whole of the first and of the last */
    int32_t other, other_block; /* what the last step reads besides in blocks, and a block of it; or -1 */
    int64_t blocks, n_dims;
    /* of the blocks: extents and byte strides, on the stem (sa), the other (sb) and the result (sc) */
    tn_dim dims[TN_MOST_BLOCKED];
    int32_t index[TN_MOST_BLOCKED];
} tn_fused;

/* The byte stride of one sliced index on one operand, or on result r: value -1 - r. */
typedef struct {
    int32_t value, loop;
    int64_t stride;
} tn_slice_stride;

/* The value of the network, or the gradient of an operand. */
typedef struct {
    int32_t value;    /* that is written to it; -1: none, it is collected */
    uint8_t own_sums; /* summed among the sums of each chunk, not in the caller's array */
    uint8_t cleared;  /* made zero before a run */
    int64_t elements, offset; /* among the sums */
    tn_contraction fill, copy; /* zero it; sums -> the caller's array */
    int64_t fill_dims, copy_dims;
} tn_result;

struct tn_program {
    tn_step *steps; /* ordered by section, so that a loop restarts at section_start[its level] */
    tn_result *results; /* the value first */
    tn_value *values;
    tn_dim *dims;
    int32_t *tables;
    tn_slice_stride *slice_strides;
    tn_fused *fused;
    int64_t *extents;     /* of the slice loops, outermost first */
    int64_t order[64];    /* which sliced index each loop runs over */
    int64_t rank[64];     /* which loop each sliced index has */
    int64_t *section_start; /* levels upwards, then those that have something after inner loops down */
    int64_t n_inputs, n_values, n_steps, n_slice_strides, n_loops, n_fused, n_results;
    int64_t n_forward;    /* steps; the others are the backward sweep */
    int64_t n_branches;   /* subtrees that run side by side, each on one thread, before all other steps */
    int64_t branch_end[TN_MOST_BRANCHES]; /* of each: where its steps end and those of the next begin */
    int64_t first_sum;    /* the first step in the innermost loop that adds to results or sums */
    int64_t slices, chunks, workers, threads;
    int64_t grain;        /* slices from one that may start a chunk to the next */
    int dtype, half, strip, direct;
    int has_late;         /* some step runs after the loops inside its level */
    int32_t stripped;     /* the value that is added to the sums with its exponent, or -1 */
    tn_contraction collect; /* that value -> sums of its chunk */
    int64_t collect_dims;
    int64_t shared_bytes, worker_bytes, workspace_bytes, block_bytes, sums_bytes, table_bytes, arena_bytes;
    int64_t saved_bytes;
    double *level_macs;   /* macs of one pass over the steps of a level */
    double *forward_macs; /* of them in the forward sweep */
    double macs;
};

/* Macs of a step that is not split (as in contract.c), and of a program that is worth waking the pool for. */
enum { TN_ALONE_MACS = 1 << 17, TN_WAKING_MACS = 1 << 22 };

/* How many chunks of slices there is memory for, each with sums of so many elements.  tn_schedule fixes
 * their number: by the plan alone, threads only decide who runs them. */
void tn_split_slices(tn_program *program, int64_t largest, int64_t elements);

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

/* The section in which a step runs, of 2 n_loops + 1. */
static inline int64_t tn_section(const tn_program *p, const tn_step *s) {
    return s->late ? 2 * p->n_loops - s->level : s->level;
}

/* The level of what depends on these sliced indices, once the loops are ranked. */
static inline int32_t tn_level(const tn_program *p, uint64_t sliced) {
    int32_t level = 0;
    for (; sliced; sliced &= sliced - 1)
        if (p->rank[__builtin_ctzll(sliced)] >= level)
            level = (int32_t)p->rank[__builtin_ctzll(sliced)] + 1;
    return level;
}

/* schedule.c: ranks the loops, from the steps of the forward sweep, and gives values and steps their
 * levels; then, with all steps there, orders them and counts. */
void tn_rank_loops(tn_program *program);
tn_status tn_schedule(tn_program *program, int32_t root, int64_t largest);

static inline int64_t tn_branch_start(const tn_program *p, int64_t branch) {
    return branch ? p->branch_end[branch - 1] : 0;
}

/* branch.c: of the forward steps, in this order, moves those of branches to the front. */
tn_status tn_find_branches(tn_program *program, int32_t root, int32_t *order);

/* place.c */
int64_t tn_value_bytes(const tn_program *program, int32_t v);
tn_status tn_place_values(tn_program *program);

#endif
