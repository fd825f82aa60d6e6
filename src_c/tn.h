/* tensornet's one public C header: plain structs, int64 shapes, signed byte strides, an int status.
 *
 * Nothing here raises, prints or knows Python.  Letters used throughout:
 *   a, b, c   left operand, right operand, result
 *   batch     indices on a, b and c;   m: on a and c;   n: on b and c;   k: on a and b, summed
 */
#ifndef TN_H
#define TN_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    TN_OK = 0,
    TN_NO_MEMORY,   /* an allocation failed */
    TN_INTERRUPTED, /* the poll callback asked to stop */
    TN_PAUSED,      /* the poll callback asked for a pause: call again to go on */
    TN_TOO_LARGE,   /* a size does not fit in 60 bits, or too many axes */
    TN_BAD_ISA      /* the requested instruction set is unknown or not supported by this CPU */
} tn_status;

/* Element types the kernels compute in.  Signed integers share the bits of unsigned ones. */
typedef enum {
    TN_BOOL,
    TN_U8,
    TN_U16,
    TN_U32,
    TN_U64,
    TN_F32,
    TN_F64,
    TN_C64,
    TN_C128,
    TN_DTYPES, /* how many kernels exist per instruction set */
    TN_F16     /* storage only: converted to TN_F32 on the way in and back on the way out */
} tn_dtype;

enum { TN_MAX_DIMS = 128, TN_ALIGN = 64, TN_MAX_THREADS = 256 };
#define TN_ALIGNED(bytes) (((bytes) + TN_ALIGN - 1) / TN_ALIGN * TN_ALIGN)

/* ---- threads ------------------------------------------------------------------------------ */

/* What poll answers. */
enum { TN_GO_ON, TN_CANCEL, TN_PAUSE };

/* Lets one run be watched and stopped.  poll is called now and then on the calling thread only; the
 * run is cancelled at once, or pauses between two slices.  done and total count macs. */
typedef struct tn_control {
    int cancel, pause; /* read and written atomically */
    int (*poll)(void *self, double done, double total);
    void *self;
    double done, total;
    double next_poll; /* seconds, monotonic clock */
} tn_control;

typedef struct {
    int index;        /* 0 is the calling thread */
    char *workspace;  /* packing buffers of this thread, TN_ALIGN aligned */
    tn_control *control;
} tn_worker;

typedef void (*tn_task)(void *job, int64_t task, int worker);

/* Runs task 0..tasks-1 on up to `threads` threads; the caller takes part.  When the pool is in use
 * by another caller the tasks run on the calling thread alone: results never depend on it. */
void tn_parallel_for(int threads, int64_t tasks, tn_task task, void *job);
/* Between these two the pool expects more jobs soon, and its threads wake up and stay awake. */
void tn_begin_run(int threads);
void tn_end_run(void);
/* Whether so many threads would start at once: waking one costs as much as a small product. */
int tn_pool_awake(int threads);
/* The same, or whether another small product asked a moment ago, so that waking them will pay. */
int tn_pool_ready(int threads);
/* Nonzero when the run is cancelled; on worker 0 it also calls poll every few ten milliseconds. */
int tn_stopped(tn_control *control, int worker);
int tn_paused(const tn_control *control);
/* Gives the core away for a moment, a longer one after many rounds of the caller's loop. */
void tn_rest(int round);

/* ---- memory ------------------------------------------------------------------------------- */

/* TN_ALIGN aligned; recently freed blocks of middling size are used again, large ones are backed by
 * huge pages where the system has them.  tn_trim gives back what waits for use; tn_kept tells how many
 * bytes these are, tn_keep_at_most how many they may be. */
void *tn_alloc(size_t bytes);
void tn_free(void *memory, size_t bytes);
void tn_trim(void);
void tn_keep_at_most(size_t bytes);
size_t tn_kept(void);
/* Puts value into *slot and returns what was there, atomically. */
void *tn_exchange(void **slot, void *value);

/* ---- kernels ------------------------------------------------------------------------------ */

/* One axis of a loop nest: its extent and the byte stride on each operand. */
typedef struct {
    int64_t n, sa, sb, sc;
} tn_dim;

/* c[batch,m,n] = sum_k a[batch,m,k] * b[batch,k,n], or += with accumulate.  dims holds the axes of
 * the four groups one after the other, outermost first within a group.  b may be absent (unary):
 * then n is empty and c[batch,m] = sum_k a[batch,m,k], which is also copy, permute and trace. */
typedef struct {
    const tn_dim *dims;
    const int32_t *table; /* of TN_ROAD_TABLE */
    const struct tn_tiling *tiling; /* of TN_ROAD_SKINNY; NULL: found in every call */
    uint8_t n_batch, n_m, n_n, n_k;
    uint8_t dtype, road, accumulate, unary;
    uint8_t far; /* c is a part of a value too large for the second cache */
    int64_t batch, m, n, k; /* group sizes */
} tn_contraction;

/* Roads of a contraction, chosen once by tn_choose_road. */
enum {
    TN_ROAD_GETT,     /* packed panels and register tiles */
    TN_ROAD_DIRECT,   /* register tiles over operands where they lie: one axis each of m, n, k */
    TN_ROAD_DOTS,     /* few columns: vectors along k; one axis each of m, n, k; no integers */
    TN_ROAD_N,        /* loop nest, innermost over the last n axis:     c[j] += a * b[j] */
    TN_ROAD_BATCH,    /* loop nest, innermost over the last batch axis: c[j] += a[j] * b[j] */
    TN_ROAD_K,        /* loop nest, innermost over the last k axis:     c += a[j] * b[j] */
    TN_ROAD_TRANSPOSE, /* unary copy in tiles (tiles.h) */
    TN_ROAD_SKINNY,    /* few n and k: tiles of m that stream through registers */
    TN_ROAD_LANES,     /* many small products: vectors along the last batch axis */
    TN_ROAD_TABLE,     /* tiny: every offset is looked up */
    TN_ROAD_INNER      /* few m and n, long k: vectors along k; no integers */
};

typedef enum { ON_A, ON_B, ON_C } tn_operand;

/* A group of axes cut into boxes: tiles of each axis, the last axis fastest. */
typedef struct {
    const tn_dim *dims;
    int n_dims;
    int64_t tile[TN_MAX_DIMS], count;
} tn_boxes;

/* A tile on TN_ROAD_TRANSPOSE: rows, elements of one along c, bytes if it consists of runs. */
enum { TN_COPY_ROWS = 512, TN_COPY_ALONG = 2048, TN_COPY_TILE = 16 << 10 };
enum { TN_INNER_SUMS = 256, TN_INNER_SIDE = 32 }; /* most sums, rows, columns on TN_ROAD_INNER */
enum { TN_DIRECT_DEPTH = 256 }; /* summed points for which TN_ROAD_DIRECT can gather columns of b */

/* How a packed product is blocked: at most so many rows, columns and steps in a block, the boxes
 * that these are, and whether an operand is read where it lies. */
typedef struct {
    int64_t mc, nc, kc, bytes; /* bytes: workspace of one thread */
    tn_boxes m, n, k;
    int a_direct, b_direct;
} tn_blocking;

/* One task of a contraction: ranges of batch points and of boxes (packed) or points of m and n. */
typedef struct {
    int64_t batch0, batch1, m0, m1, n0, n1;
    int far; /* 1: the result is too large for the second cache, 2: for all caches */
} tn_box;

typedef struct tn_tiling tn_tiling; /* of TN_ROAD_SKINNY */
typedef struct tn_winograd_plan tn_winograd_plan;
typedef struct tn_convolver tn_convolver; /* in convolve.h */
typedef struct tn_lanes tn_lanes;   /* of TN_ROAD_LANES */

typedef struct {
    int mr, nr;
    int lanes; /* elements of a vector */
    void (*gett)(const tn_contraction *, const tn_blocking *, const char *a, const char *b,
                 char *c, const tn_box *, const tn_worker *);
    void (*direct)(const tn_contraction *, const char *a, const char *b, char *c, const tn_box *);
    void (*dots)(const tn_contraction *, const char *a, const char *b, char *c, const tn_box *);
    void (*inner)(const tn_contraction *, const char *a, const char *b, char *c, const tn_box *);
    void (*nest)(const tn_contraction *, const char *a, const char *b, char *c, const tn_box *);
    /* floating point types only; a box is a range of tiles, as batch points */
    void (*skinny)(const tn_contraction *, const tn_tiling *, const char *a, const char *b, char *c,
                   const tn_box *);
    /* a box is a range of blocks of lanes, as batch points */
    void (*in_lanes)(const tn_contraction *, const tn_lanes *, const char *a, const char *b, char *c,
                  const tn_box *);
    void (*unary)(const tn_contraction *, const char *a, char *c, const tn_box *);
    void (*table)(const tn_contraction *, const char *a, const char *b, char *c);
    /* e with largest |x| over n real numbers in [2^(e-1), 2^e); 0 if any is not finite and
     * TN_NO_EXPONENT if all are zero */
    int (*exponent)(const char *x, int64_t n);
    void (*scale)(char *x, int64_t n, int exponent);                /* x *= 2^exponent */
    void (*add)(char *c, const char *x, int64_t n, int exponent);   /* c += x * 2^exponent */
    /* real floating point types only: one panel of weights, one block of tiles; for the gradient to
     * weights the sums of one part of the tiles and one group of outputs, one pane of outputs */
    void (*winograd_weights)(const tn_winograd_plan *, const char *w, char *u, int64_t panel);
    void (*winograd_block)(const tn_winograd_plan *, const char *a, const char *u, char *c,
                           int64_t block, char *workspace);
    void (*winograd_part)(const tn_winograd_plan *, const char *a, const char *y, char *sums,
                          int64_t part, int64_t group, char *workspace);
    void (*winograd_taps)(const tn_winograd_plan *, const char *sums, char *w, int64_t pane);
    const tn_convolver *convolver; /* floating point types only */
} tn_kernels;

enum { TN_NO_EXPONENT = INT32_MIN };

const tn_kernels *tn_get_kernels(int dtype);
int tn_itemsize(int dtype);
int tn_real_count(int dtype); /* real numbers per element */
/* Chooses the instruction set: NULL or "" means the best that the CPU has. */
tn_status tn_set_isa(const char *name);
const char *tn_isa_name(void);
int tn_loads_limit(void); /* whether the processor multiplies as many vectors as it loads */
int tn_large_l2(void);    /* whether L2 is taken for large: Intel's with 2 MB; Zen 4's with 1 MB is not measured */
/* Names that this build and this CPU have, best first; returns how many. */
int tn_isa_names(const char **names, int capacity);

enum { TN_ADDED_DIMS = 3 }; /* axes of extent 1 for which dims needs room beyond those given */
/* Orders and fuses the axes, sets the group sizes and chooses the road.  x comes with its dims,
 * counts, dtype and flags set.  Returns 1 if it exchanged the roles of a and b. */
int tn_choose_road(tn_contraction *x, tn_dim *dims);
/* How many int32 the offsets of this contraction take if it is tiny enough to tabulate, else 0; and
 * the table itself: a, b, c per element of c, then a, b per summed point. */
int64_t tn_table_size(const tn_contraction *x);
void tn_fill_table(const tn_contraction *x, int32_t *table);
/* The tiling of a contraction that will run often on the instruction set in use, to be freed; NULL if there
 * is none, or no memory. */
const struct tn_tiling *tn_make_tiling(const tn_contraction *x);
int64_t tn_workspace(const tn_contraction *x); /* bytes per thread; the same if a, b are swapped */
/* Runs one contraction on up to `threads` threads, or with threads 1 as worker number `worker` of a
 * caller that has split its work already.  workspace has tn_workspace(x) bytes per thread. */
void tn_contract(const tn_contraction *x, const char *a, const char *b, char *c, int threads,
                 char *workspace, int64_t workspace_stride, int worker, tn_control *control);

/* Windows over the spatial axes of an array: always three, of which the leading ones may have extent
 * 1.  Window o sees the positions o * stride - before + t * dilation, t < kernel; those outside of
 * 0 .. in - 1 are padding. */
typedef struct {
    int64_t batch;
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], before[3];
} tn_windows;

/* Byte strides of an array that windows slide over, or of their results. */
typedef struct {
    int64_t batch, channel, at[3];
} tn_volume;

/* Convolution with 3 x 3 or 5 x 5 windows over axes 1 and 2, stride and dilation 1, of TN_F32 or
 * TN_F64. */
typedef struct {
    tn_windows at;
    tn_volume x, y;
    int64_t channels, outputs;
    int64_t w_row, w_column, w_in, w_out; /* byte strides of the weights */
    int dtype;
} tn_winograd;

int64_t tn_winograd_workspace(const tn_winograd *x, int threads); /* bytes */
void tn_winograd_run(const tn_winograd *x, const char *a, const char *w, char *c, int threads,
                     char *workspace, tn_control *control);
/* The gradient to the weights w, the sum over all windows of what they see times y. */
int64_t tn_winograd_to_weights_workspace(const tn_winograd *x, int threads);
void tn_winograd_to_weights(const tn_winograd *x, const char *a, const char *y, char *w, int threads,
                            char *workspace, tn_control *control);

/* Byte strides of weights: of positions, channels of x and of y, and groups of these. */
typedef struct {
    int64_t at[3], in, out, group;
} tn_weights;

/* y[n, o, j] = sum over t, i of x[n, what window o sees at t, i] w[t, i, j], within each group of channels i
 * of x and j of y. */
typedef struct {
    tn_windows windows; /* before may be negative: then the first positions are not seen */
    int64_t groups, in_channels, out_channels; /* channels of one group */
    tn_volume x, y;
    tn_weights w;
    int dtype; /* floating point */
} tn_convolution;

/* Writes y; or w, the sum over n and o of what windows see times y: its gradient. */
tn_status tn_convolve(const tn_convolution *call, const char *x, const char *w, char *y, int threads);
tn_status tn_convolve_to_weights(const tn_convolution *call, const char *x, const char *y, char *w,
                                 int threads);

/* What becomes of the positions that a window sees. */
typedef enum {
    TN_SLIDE_MAX,
    TN_SLIDE_ARGMAX,  /* the largest, and where in its window it is: the first of equals; NaN wins */
    TN_SLIDE_PICK,    /* the one that stands where an index says */
    TN_SLIDE_AVERAGE,
    TN_SLIDE_WEIGH    /* their sum, each times a weight: depthwise convolution */
} tn_slide_kind;

/* One pass of windows over an array.  Transposed (not for the maximum), it takes an array like the
 * results to one like that which the windows slide over, as gradients do. */
typedef struct {
    tn_windows windows;
    int64_t channels;
    tn_volume from, to; /* of what is read and written */
    tn_volume index;    /* of the places in windows, laid out as results of windows */
    int64_t weight_tap, weight_channel; /* bytes between weights */
    uint8_t kind, transposed, dtype;    /* TN_F32 or TN_F64 */
    uint8_t padded; /* padding counts in averages */
    uint8_t narrow; /* an index is uint8, else int32 */
} tn_slide;

/* index is written by TN_SLIDE_ARGMAX.  The bits do not depend on threads. */
tn_status tn_run_slide(const tn_slide *x, const char *from, const char *weights, char *index,
                       char *to, int threads);
/* The gradient of TN_SLIDE_WEIGH to its weights: weight[tap] = sum over the windows of what they see
 * there, from `from`, times what `to` has for them. */
tn_status tn_slide_weights(const tn_slide *x, const char *from, const char *to, char *weights,
                           int threads);

/* float16 <-> float32 with any strides: extent and strides from dims' n, sa, sc. */
void tn_half_to_float(const tn_dim *dims, int n_dims, const char *a, char *c);
void tn_float_to_half(const tn_dim *dims, int n_dims, const char *a, char *c);

/* ---- entry by entry (entrywise.c): TN_F32 or TN_F64, C order ------------------------------- */

/* y[r, c] += bias[c], and then 0 where negative if rectify. */
void tn_add_bias(int dtype, char *y, const char *bias, int64_t rows, int64_t columns, int rectify,
                 int threads);
/* out = y > 0 ? g : 0 */
void tn_relu_gradient(int dtype, const char *g, const char *y, char *out, int64_t n, int threads);
/* Curves: functions of one real number. */
enum {
    TN_CURVE_TANH,
    TN_CURVE_SIGMOID,
    TN_CURVE_SILU,
    TN_CURVE_SOFTPLUS,
    TN_CURVE_ELU, /* its parameter is alpha; others have none */
    TN_CURVE_ERF,
    TN_CURVE_GELU,
    TN_CURVE_GELU_TANH,
    TN_CURVES
};
/* out = f(x), or unless g is NULL f'(x) * g, where x is f's result for TN_CURVE_TANH and _SIGMOID.  out may
 * be x or g. */
void tn_curve(int dtype, int curve, double parameter, const char *g, const char *x, char *out, int64_t n,
              int threads);
/* total = beta_1 * total + g, squares = beta_2 * squares + g * g,
 * w -= rate * total / (sqrt(squares) + epsilon). */
void tn_adam(int dtype, char *w, const char *g, char *total, char *squares, int64_t n, double beta_1,
             double beta_2, double epsilon, double rate, int threads);

/* ---- programs ----------------------------------------------------------------------------- */

/* A contraction tree in flat arrays.  Operand i has the indices ids[starts[i] .. starts[i+1]);
 * step t contracts values steps[2t] and steps[2t+1] into value n_inputs + t.
 *
 * With needed, the program has a backward sweep, too: besides the operands it reads the cotangent of
 * the output, input n_inputs, and besides the value it writes, for each operand that is needed, the
 * product of the cotangent and all other operands: its gradient, if none of them is complex, else
 * the conjugate of the gradient for the conjugate cotangent.  These are in C order. */
typedef struct {
    int64_t n_inputs, n_indices, n_output, n_sliced;
    int64_t n_needed;
    const int64_t *needed;
    int64_t largest; /* entries of the largest intermediate within a slice; 0: unknown */
    const int64_t *starts, *ids, *sizes, *output, *sliced, *steps;
    const int64_t *input_strides;  /* bytes, one per entry of ids; NULL: contiguous, C order */
    const int64_t *output_strides; /* bytes; NULL: contiguous, C order */
    int dtype, threads, strip;
    int64_t block_bytes; /* larger values may be made block by block; 0: a default, -1: none are */
} tn_network;

typedef struct tn_program tn_program;

typedef struct {
    int64_t steps, slices, chunks, workers, threads;
    int64_t branches;     /* subtrees that threads run side by side, each alone */
    int64_t arena_bytes;  /* everything a run allocates, results and what is saved excepted */
    int64_t output_bytes; /* of all results */
    int64_t saved_bytes;  /* what the forward half of a run leaves for the backward half */
    double macs;          /* multiply-adds of one run, hoisting counted */
    double forward_macs;  /* of them in the forward half, if there are halves */
    double invariant_macs;   /* of them outside the slice loop */
    int64_t invariant_steps; /* steps that run once although the program has slices */
    /* where in the arena the tn_chunks and the sums of each chunk lie, and bytes of one chunk's sums;
     * 0 bytes: chunks sum in the output, each in places of its own */
    int64_t chunks_at, sums_at, sums_bytes;
    int64_t places; /* then: values of the outer loops, over output indices, that chunks share */
} tn_program_info;

tn_status tn_lower(const tn_network *network, tn_program **program);
void tn_program_free(tn_program *program);
tn_program_info tn_program_describe(const tn_program *program);
/* What of a program with a backward sweep is run; there are halves only without slices. */
enum { TN_WHOLE, TN_FORWARD, TN_BACKWARD };

/* A run.  outs holds the value, or NULL if it is not wanted, then the gradients; arena has arena_bytes,
 * and saved has saved_bytes, which the backward half finds as the forward half left it. */
typedef struct {
    const tn_program *program;
    const char *const *inputs;
    char *const *outs;
    char *arena;
    tn_control *control;
    char *saved;
    int part;
} tn_execution;

/* With strip, *exponent is the power of two by which the value must be multiplied (TN_NO_EXPONENT: it
 * is exactly zero).  Safe to call from many threads. */
tn_status tn_program_run(const tn_execution *run, int64_t *exponent);

/* A run in parts: begin, prepare, sum chunks until all are done, finish; in between it may be stored,
 * or continued elsewhere.  What has been summed so far is in the tn_chunks and sums of its arena and
 * may be replaced by what another run of the same program has summed. */

/* How far a chunk of slices is. */
typedef struct {
    int64_t next;     /* the slice to add next; TN_TORN: cancelled while one was being added */
    int64_t exponent; /* of its sums; TN_NO_EXPONENT: they are zero, or nothing is stripped */
} tn_chunk;

enum { TN_TORN = -1 };

/* The first slice of a chunk; that of the chunk after it is where it ends. */
int64_t tn_first_slice(const tn_program *program, int64_t chunk);
/* Which of the network's sliced indices a loop runs over; loops count from the outermost. */
int64_t tn_loop_index(const tn_program *program, int64_t loop);
/* All sums become zero, but those in the results only if asked for. */
void tn_execution_begin(const tn_execution *run, int clear_results);
/* The steps outside the slice loop: once for all calls of tn_execution_chunks in this arena. */
tn_status tn_execution_prepare(const tn_execution *run);
/* Sums what is left of chunks first .. last - 1; TN_PAUSED when a pause came first. */
tn_status tn_execution_chunks(const tn_execution *run, int64_t first, int64_t last);
/* Combines the chunks into the results; their sums are gone after it.  exponent as in tn_program_run. */
tn_status tn_execution_finish(const tn_execution *run, int64_t *exponent);

/* One line about step i for people: road, group sizes, level; returns its length. */
int tn_program_step(const tn_program *program, int64_t i, char *text, size_t capacity);

#endif
