# What the Cython doors see of src_c/tn.h.
from libc.stdint cimport int32_t, int64_t, uint8_t


cdef extern from "tn.h" nogil:
    ctypedef enum tn_status:
        TN_OK
        TN_NO_MEMORY
        TN_INTERRUPTED
        TN_PAUSED
        TN_TOO_LARGE
        TN_BAD_ISA

    enum:
        TN_BOOL
        TN_U8
        TN_U16
        TN_U32
        TN_U64
        TN_F16
        TN_F32
        TN_F64
        TN_C64
        TN_C128
        TN_NO_EXPONENT
        TN_MAX_THREADS
        TN_GO_ON
        TN_CANCEL
        TN_PAUSE
        TN_TORN
        TN_SLIDE_MAX
        TN_SLIDE_ARGMAX
        TN_SLIDE_PICK
        TN_SLIDE_AVERAGE
        TN_SLIDE_WEIGH
        TN_WHOLE
        TN_FORWARD
        TN_BACKWARD

    ctypedef struct tn_control:
        int cancel
        int pause
        int (*poll)(void *self, double done, double total) noexcept
        void *self
        double done
        double total
        double next_poll

    ctypedef struct tn_network:
        int64_t n_inputs, n_indices, n_output, n_sliced, n_needed, largest
        const int64_t *needed
        const int64_t *starts
        const int64_t *ids
        const int64_t *sizes
        const int64_t *output
        const int64_t *sliced
        const int64_t *steps
        const int64_t *input_strides
        const int64_t *output_strides
        int dtype, threads, strip

    ctypedef struct tn_program:
        pass

    ctypedef struct tn_program_info:
        int64_t steps, slices, chunks, workers, threads
        int64_t arena_bytes, output_bytes, saved_bytes
        double macs, forward_macs, invariant_macs
        int64_t invariant_steps
        int64_t chunks_at, sums_at, sums_bytes, places

    ctypedef struct tn_execution:
        const tn_program *program
        const char *const *inputs
        char **outs
        char *arena
        tn_control *control
        char *saved
        int part

    tn_status tn_lower(const tn_network *network, tn_program **program)
    void tn_program_free(tn_program *program)
    tn_program_info tn_program_describe(const tn_program *program)
    tn_status tn_program_run(const tn_execution *run, int64_t *exponent)
    int64_t tn_first_slice(const tn_program *program, int64_t chunk)
    int64_t tn_loop_index(const tn_program *program, int64_t loop)
    void tn_execution_begin(const tn_execution *run, int clear_results)
    tn_status tn_execution_prepare(const tn_execution *run)
    tn_status tn_execution_chunks(const tn_execution *run, int64_t first, int64_t last)
    tn_status tn_execution_finish(const tn_execution *run, int64_t *exponent)
    int tn_program_step(const tn_program *program, int64_t i, char *text, size_t capacity)

    ctypedef struct tn_windows:
        int64_t batch
        int64_t[3] out, kernel, stride, dilation, before
        int64_t[3] extent "in"

    ctypedef struct tn_volume:
        int64_t batch, channel
        int64_t[3] at

    ctypedef struct tn_weights:
        int64_t[3] at
        int64_t into "in"
        int64_t out, group

    ctypedef struct tn_convolution:
        tn_windows windows
        int64_t groups, in_channels, out_channels
        tn_volume x, y
        tn_weights w
        int dtype

    tn_status tn_convolve(const tn_convolution *call, const char *x, const char *w, char *y,
                          int threads)
    tn_status tn_convolve_to_weights(const tn_convolution *call, const char *x, const char *y,
                                     char *w, int threads)

    void tn_add_bias(int dtype, char *y, const char *bias, int64_t rows, int64_t columns, int rectify,
                     int threads)
    enum:
        TN_CURVE_TANH, TN_CURVE_SIGMOID, TN_CURVE_SILU, TN_CURVE_SOFTPLUS, TN_CURVE_ELU
        TN_CURVE_ERF, TN_CURVE_GELU, TN_CURVE_GELU_TANH
    void tn_curve(int dtype, int curve, double parameter, const char *g, const char *x, char *out,
                  int64_t n, int threads)
    void tn_relu_gradient(int dtype, const char *g, const char *y, char *out, int64_t n, int threads)
    void tn_adam(int dtype, char *w, const char *g, char *total, char *squares, int64_t n,
                 double beta_1, double beta_2, double epsilon, double rate, int threads)

    ctypedef struct tn_winograd:
        tn_windows at
        tn_volume x, y
        int64_t channels, outputs
        int64_t w_row, w_column, w_in, w_out
        int dtype

    int64_t tn_winograd_workspace(const tn_winograd *x, int threads)
    void tn_winograd_run(const tn_winograd *x, const char *a, const char *w, char *c, int threads,
                         char *workspace, tn_control *control)

    int64_t tn_winograd_to_weights_workspace(const tn_winograd *x, int threads)
    void tn_winograd_to_weights(const tn_winograd *x, const char *a, const char *y, char *w,
                                int threads, char *workspace, tn_control *control)

    void *tn_alloc(size_t bytes)
    void tn_free(void *memory, size_t bytes)
    void tn_trim()
    void tn_keep_at_most(size_t bytes)
    size_t tn_kept()
    void *tn_exchange(void **slot, void *value)

    tn_status tn_set_isa(const char *name)
    const char *tn_isa_name()
    int tn_isa_names(const char **names, int capacity)

    ctypedef struct tn_slide:
        tn_windows windows
        int64_t channels
        tn_volume source "from"
        tn_volume to, index
        int64_t weight_tap, weight_channel
        uint8_t kind, transposed, dtype, padded, narrow

    tn_status tn_run_slide(const tn_slide *x, const char *source, const char *weights, char *index,
                           char *to, int threads)
    tn_status tn_slide_weights(const tn_slide *x, const char *source, const char *to, char *weights,
                               int threads)
