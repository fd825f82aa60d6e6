"""The C core: instruction set, machine facts, and the C functions that the other doors import."""

import os

import numpy as np

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy, memset, strcpy

from .tn cimport *

from .errors import MemoryLimitError, TensorNetError

cnp.import_array()


cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyDataMemAllocator:
        void *ctx
        void *(*malloc)(void *ctx, size_t size) noexcept nogil
        void *(*calloc)(void *ctx, size_t count, size_t size) noexcept nogil
        void *(*realloc)(void *ctx, void *memory, size_t size) noexcept nogil
        void (*free)(void *ctx, void *memory, size_t size) noexcept nogil
    ctypedef struct PyDataMem_Handler:
        char name[127]
        unsigned char version
        PyDataMemAllocator allocator
    object PyDataMem_SetHandler(object handler)


# Large results take their memory where workspace comes from: it is used again once they are gone,
# and pages that were touched before are much faster. NumPy's handler for it puts the number of
# bytes in front.
cdef enum:
    HEADER = 64
    REUSED = 65536  # results from this size on


cdef void *_result_malloc(void *ctx, size_t size) noexcept nogil:
    cdef char *memory = <char *> tn_alloc(size + HEADER)
    if memory == NULL:
        return NULL
    (<size_t *> memory)[0] = size + HEADER
    return memory + HEADER


cdef void *_result_calloc(void *ctx, size_t count, size_t size) noexcept nogil:
    cdef void *memory = _result_malloc(ctx, count * size)
    if memory != NULL:
        memset(memory, 0, count * size)
    return memory


cdef void _result_free(void *ctx, void *memory, size_t size) noexcept nogil:
    if memory != NULL:
        tn_free(<char *> memory - HEADER, (<size_t *> (<char *> memory - HEADER))[0])


cdef void *_result_realloc(void *ctx, void *memory, size_t size) noexcept nogil:
    cdef void *moved = _result_malloc(ctx, size)
    if moved != NULL and memory != NULL:
        memcpy(moved, memory, min(size, (<size_t *> (<char *> memory - HEADER))[0] - HEADER))
        _result_free(ctx, memory, 0)
    return moved


cdef PyDataMem_Handler _result_memory
strcpy(_result_memory.name, b"tensornet")
_result_memory.version = 1
_result_memory.allocator.malloc = _result_malloc
_result_memory.allocator.calloc = _result_calloc
_result_memory.allocator.realloc = _result_realloc
_result_memory.allocator.free = _result_free
cdef object _result_handler = PyCapsule_New(&_result_memory, "mem_handler", NULL)


cdef cnp.ndarray fresh(shape, dtype):
    """An array of undefined entries, aligned to TN_ALIGN, whose memory will be used again."""
    cdef object before = PyDataMem_SetHandler(_result_handler)
    try:
        return np.empty(shape, dtype)
    finally:
        PyDataMem_SetHandler(before)


cdef int check_status(tn_status status) except -1:
    """The one table from C status to exception."""
    if status == TN_OK:
        return 0
    if status == TN_NO_MEMORY:
        raise MemoryLimitError("out of memory while compiling or running a contraction")
    if status == TN_TOO_LARGE:
        raise MemoryLimitError(
            "an intermediate would have more than 2**59 bytes; give a memory_limit to slice the "
            "contraction, or a better path"
        )
    if status == TN_BAD_ISA:
        raise TensorNetError("this instruction set is not in this build or not on this CPU")
    raise TensorNetError("the contraction was interrupted")


cdef tn_status lower(const tn_network *network, tn_program **program) noexcept nogil:
    return tn_lower(network, program)


cdef void program_free(tn_program *program) noexcept nogil:
    tn_program_free(program)


cdef tn_program_info program_describe(const tn_program *program) noexcept nogil:
    return tn_program_describe(program)


cdef tn_status program_run(const tn_execution *run, int64_t *exponent) noexcept nogil:
    return tn_program_run(run, exponent)


cdef int64_t first_slice(const tn_program *program, int64_t chunk) noexcept nogil:
    return tn_first_slice(program, chunk)


cdef int64_t loop_index(const tn_program *program, int64_t loop) noexcept nogil:
    return tn_loop_index(program, loop)


cdef void run_begin(const tn_execution *run, bint clear_results) noexcept nogil:
    tn_execution_begin(run, clear_results)


cdef tn_status run_prepare(const tn_execution *run) noexcept nogil:
    return tn_execution_prepare(run)


cdef tn_status run_chunks(const tn_execution *run, int64_t first, int64_t last) noexcept nogil:
    return tn_execution_chunks(run, first, last)


cdef tn_status run_finish(const tn_execution *run, int64_t *exponent) noexcept nogil:
    return tn_execution_finish(run, exponent)


cdef int program_step(const tn_program *program, int64_t i, char *text, size_t n) noexcept nogil:
    return tn_program_step(program, i, text, n)


cdef void *allocate(size_t bytes) noexcept nogil:
    return tn_alloc(bytes)


cdef void release(void *memory, size_t bytes) noexcept nogil:
    tn_free(memory, bytes)


cdef void *exchange(void **slot, void *value) noexcept nogil:
    return tn_exchange(slot, value)


cdef tn_convolution _convolution(int dtype, cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, stride,
                                 dilation, before, int64_t groups):
    """What the kernels need to know; w is [spatial axes, channels of x in a group, of y in all]."""
    cdef tn_convolution call
    cdef int spatial = x.ndim - 2
    cdef int k, axis
    memset(&call, 0, sizeof(call))
    call.dtype = dtype
    call.x = _volume(x, True)
    call.y = _volume(y, True)
    call.groups = groups
    call.in_channels = x.shape[spatial + 1] // groups
    call.out_channels = y.shape[spatial + 1] // groups
    call.w.into = w.strides[spatial + 1]
    call.w.out = w.strides[spatial + 2]
    call.w.group = w.strides[0]
    call.windows.batch = x.shape[0]
    for axis in range(3):
        k = axis + spatial - 3
        call.windows.extent[axis] = x.shape[k + 1] if k >= 0 else 1
        call.windows.out[axis] = y.shape[k + 1] if k >= 0 else 1
        call.windows.kernel[axis] = w.shape[k + 1] if k >= 0 else 1
        call.w.at[axis] = w.strides[k + 1] if k >= 0 else 0
        call.windows.stride[axis] = stride[k] if k >= 0 else 1
        call.windows.dilation[axis] = dilation[k] if k >= 0 else 1
        call.windows.before[axis] = before[k] if k >= 0 else 0
    return call


def convolve(int dtype, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray y not None,
             tuple stride, tuple dilation, tuple before, int threads):
    """Write the convolution of x with w to y; see `tensornet.ops.sliding` for their axes."""
    cdef tn_convolution call = _convolution(dtype, x, w, y, stride, dilation, before, w.shape[0])
    cdef tn_status status
    with nogil:
        status = tn_convolve(&call, x.data, w.data, y.data, threads)
    check_status(status)


def convolve_to_weights(int dtype, cnp.ndarray x not None, cnp.ndarray y not None,
                        cnp.ndarray w not None, tuple stride, tuple dilation, tuple before,
                        int threads):
    """Write to w the sum over all windows of what they see in x times y."""
    cdef tn_convolution call = _convolution(dtype, x, w, y, stride, dilation, before, w.shape[0])
    cdef tn_status status
    with nogil:
        status = tn_convolve_to_weights(&call, x.data, y.data, w.data, threads)
    check_status(status)


def trim():
    """Give back the workspace that waits for the next run."""
    with nogil:
        tn_trim()


def keep_at_most(size_t bytes):
    """Let at most so many bytes of freed workspace and results wait for use."""
    with nogil:
        tn_keep_at_most(bytes)


def kept():
    """Bytes of freed workspace and results that wait for use."""
    return tn_kept()


cdef int _poll_signals(void *caught, double done, double total) noexcept with gil:
    """Stop what runs when a signal handler raises, and keep the exception in a list."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<list> caught).append(error)
        return TN_CANCEL
    return TN_GO_ON


cdef tn_winograd _winograd(cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, before):
    """What the kernels need to know."""
    cdef tn_winograd call
    cdef int k
    memset(&call, 0, sizeof(call))
    call.dtype = TN_F32 if x.descr.type_num == cnp.NPY_FLOAT32 else TN_F64
    call.x = _volume(x, True)
    call.y = _volume(y, True)
    call.at.batch = x.shape[0]
    for k in range(1, 3):
        call.at.extent[k] = x.shape[k]
        call.at.out[k] = y.shape[k]
        call.at.kernel[k] = w.shape[k - 1]
        call.at.before[k] = before[k - 1]
    call.channels, call.outputs = w.shape[2], w.shape[3]
    call.w_row, call.w_column = w.strides[0], w.strides[1]
    call.w_in, call.w_out = w.strides[2], w.strides[3]
    return call


def winograd(cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray y not None, tuple before,
             bint to_weights, int threads):
    """Write to y the convolution of x, padded by so many rows and columns in front, with w; or to
    w the gradient of the sum of that times y.

    x and y are [batch, rows, columns, channels], w is [3, 3, channels, outputs] or [5, 5, ...], all of
    one dtype, float32 or float64, and of any strides.
    """
    cdef tn_winograd call = _winograd(x, w, y, before)
    cdef tn_control control
    cdef char *space
    cdef int64_t bytes
    caught = []
    memset(&control, 0, sizeof(control))
    control.poll = _poll_signals
    control.self = <void *> caught
    if to_weights:
        bytes = tn_winograd_to_weights_workspace(&call, threads)
    else:
        bytes = tn_winograd_workspace(&call, threads)
    with nogil:
        space = <char *> tn_alloc(bytes)
        if space != NULL and to_weights:
            tn_winograd_to_weights(&call, x.data, y.data, w.data, threads, space, &control)
        elif space != NULL:
            tn_winograd_run(&call, x.data, w.data, y.data, threads, space, &control)
        tn_free(space, bytes)
    if space == NULL:
        raise MemoryLimitError(f"no memory for {bytes} bytes of transformed tiles and weights")
    if caught:
        raise caught[0]


def empty(shape, dtype):
    """An array of undefined entries; if it is large, its memory will be used again."""
    cdef cnp.npy_intp bytes = dtype.itemsize
    for extent in shape:
        bytes *= extent
    return fresh(shape, dtype) if bytes >= REUSED else np.empty(shape, dtype)


def _available_isas():
    cdef const char *names[16]
    cdef int count = tn_isa_names(names, 16)
    return [names[i].decode() for i in range(count)]


def _choose_isa():
    """TENSORNET_ISA or the best there is; once, at import: compiled programs depend on it."""
    name = os.environ.get("TENSORNET_ISA", "")
    if tn_set_isa(name.encode()) != TN_OK:
        raise TensorNetError(
            f"TENSORNET_ISA={name!r} is not in this build or not on this CPU; "
            f"choose one of {', '.join(_available_isas())}"
        )


def _cache_bytes(level):
    """Bytes of a data or unified cache of the first CPU, or None where the system does not say."""
    root = "/sys/devices/system/cpu/cpu0/cache"
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    try:
        for entry in sorted(os.listdir(root)):
            if not entry.startswith("index"):
                continue
            facts = {}
            for name in ("level", "type", "size"):
                with open(os.path.join(root, entry, name)) as file:
                    facts[name] = file.read().strip()
            if facts["level"] == str(level) and facts["type"] != "Instruction":
                number, unit = facts["size"][:-1], facts["size"][-1:]
                return int(number) * units[unit]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return None


def info():
    """What the kernels run on: instruction sets and cache sizes in bytes (None: unknown).

    >>> sorted(info())
    ['available_isas', 'isa', 'l1d', 'l2', 'l3']
    """
    return {
        "isa": tn_isa_name().decode(),
        "available_isas": _available_isas(),
        "l1d": _cache_bytes(1),
        "l2": _cache_bytes(2),
        "l3": _cache_bytes(3),
    }


SLIDE_KINDS = {
    "max": TN_SLIDE_MAX, "argmax": TN_SLIDE_ARGMAX, "pick": TN_SLIDE_PICK,
    "average": TN_SLIDE_AVERAGE, "weigh": TN_SLIDE_WEIGH,
}


cdef tn_volume _volume(cnp.ndarray array, bint channels_last) noexcept:
    """The strides of an array in one of the data formats."""
    cdef tn_volume volume
    cdef int spatial = array.ndim - 2, d
    volume.batch = array.strides[0]
    volume.channel = array.strides[array.ndim - 1 if channels_last else 1]
    for d in range(3):
        volume.at[d] = 0
        if d >= 3 - spatial:
            volume.at[d] = array.strides[d - (3 - spatial) + (1 if channels_last else 2)]
    return volume


cdef int _set_windows(tn_windows *to, windows) except -1:
    """Extents of Windows on three axes, the leading ones of extent 1."""
    cdef int spatial = len(windows.extents), d, i
    to.batch = windows.batch
    for d in range(3):
        i = d - (3 - spatial)
        to.extent[d] = windows.extents[i] if i >= 0 else 1
        to.out[d] = windows.counts[i] if i >= 0 else 1
        to.kernel[d] = windows.kernel[i] if i >= 0 else 1
        to.stride[d] = windows.stride[i] if i >= 0 else 1
        to.dilation[d] = windows.dilation[i] if i >= 0 else 1
        to.before[d] = windows.before[i] if i >= 0 else 0
    return 0


cdef tn_slide _slide(windows, cnp.ndarray source, cnp.ndarray to) except *:
    """What every slide has: windows, and the arrays read and written."""
    cdef tn_slide x
    memset(&x, 0, sizeof(x))
    _set_windows(&x.windows, windows)
    x.channels = windows.channels
    x.dtype = TN_F64 if source.dtype == np.float64 else TN_F32
    x.source = _volume(source, windows.channels_last)
    x.to = _volume(to, windows.channels_last)
    return x


def slide(kind, windows, cnp.ndarray source, int threads, *, bint transposed=False,
          cnp.ndarray weights=None, cnp.ndarray index=None, bint padded=False):
    """Slide windows over an array, or bring what they have back to one.

    Args:
        kind: one of SLIDE_KINDS.
        windows: a `tensornet.ops.windows.Windows`; channels are those of both arrays.
        source: float32 or float64, aligned, in one of the data formats; transposed, of the shape of
            results.
        weights: (taps, channels), of the same dtype, for "weigh".
        index: uint8 or int32, of the shape of results, for "argmax", which writes it, and "pick".
        padded: padding counts in averages.

    Returns:
        a fresh array in C order.
    """
    shape = windows.shape(windows.channels)
    if transposed:
        last = windows.channels_last
        shape = (windows.batch, *windows.extents, windows.channels) if last else (
            windows.batch, windows.channels, *windows.extents)
    cdef cnp.ndarray to = fresh(shape, source.dtype)
    cdef tn_slide x = _slide(windows, source, to)
    cdef const char *weight_bytes = NULL
    cdef char *places = NULL
    cdef tn_status status
    x.kind = SLIDE_KINDS[kind]
    x.transposed = transposed
    x.padded = padded
    if weights is not None:
        x.weight_tap, x.weight_channel = weights.strides[0], weights.strides[1]
        weight_bytes = <const char *> cnp.PyArray_DATA(weights)
    if index is not None:
        x.index = _volume(index, windows.channels_last)
        x.narrow = index.itemsize == 1
        places = <char *> cnp.PyArray_DATA(index)
    with nogil:
        status = tn_run_slide(&x, <const char *> cnp.PyArray_DATA(source), weight_bytes, places,
                              <char *> cnp.PyArray_DATA(to), threads)
    check_status(status)
    return to


def slide_weights(windows, cnp.ndarray source, cnp.ndarray gradient, cnp.ndarray weights,
                  int threads):
    """The gradient of "weigh" to its weights, written to `weights`, (taps, channels)."""
    cdef tn_slide x = _slide(windows, source, gradient)
    cdef tn_status status
    x.kind = TN_SLIDE_WEIGH
    x.weight_tap, x.weight_channel = weights.strides[0], weights.strides[1]
    with nogil:
        status = tn_slide_weights(&x, <const char *> cnp.PyArray_DATA(source),
                                  <const char *> cnp.PyArray_DATA(gradient),
                                  <char *> cnp.PyArray_DATA(weights), threads)
    check_status(status)


_choose_isa()


cdef int _real_dtype(tuple arrays) except -1:
    """The code of the one dtype of arrays that must be contiguous and of it."""
    dtype = arrays[0].dtype
    if dtype != np.float32 and dtype != np.float64:
        raise TypeError(f"float32 or float64, not {dtype}")
    for array in arrays:
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise TypeError("arrays in C order, of one dtype")
    return TN_F64 if dtype == np.float64 else TN_F32


def add_bias(cnp.ndarray y not None, cnp.ndarray bias not None, bint rectify, int threads):
    """y += bias along the last axis, then 0 where negative if `rectify`, in place."""
    cdef int dtype = _real_dtype((y, bias))
    cdef int64_t columns = bias.size, rows = y.size // columns if columns else 0
    if bias.ndim != 1 or y.ndim < 1 or y.shape[y.ndim - 1] != columns or not y.flags.writeable:
        raise TypeError("a bias of the extent of the last axis, and an array to write to")
    with nogil:
        tn_add_bias(dtype, y.data, bias.data, rows, columns, rectify, threads)


def relu_gradient(cnp.ndarray g not None, cnp.ndarray y not None, int threads):
    """A fresh array: g where y is positive, else 0."""
    cdef int dtype = _real_dtype((g, y))
    if g.size != y.size:
        raise TypeError("arrays of one shape")
    cdef cnp.ndarray out = fresh(np.shape(g), g.dtype)
    cdef int64_t n = g.size
    with nogil:
        tn_relu_gradient(dtype, g.data, y.data, out.data, n, threads)
    return out


CURVES = {
    "tanh": TN_CURVE_TANH, "sigmoid": TN_CURVE_SIGMOID, "silu": TN_CURVE_SILU,
    "softplus": TN_CURVE_SOFTPLUS, "elu": TN_CURVE_ELU, "erf": TN_CURVE_ERF,
    "gelu": TN_CURVE_GELU, "gelu_tanh": TN_CURVE_GELU_TANH,
}


def curve(name, cnp.ndarray x not None, int threads, *, double parameter=0, cnp.ndarray g=None):
    """A fresh array: one of CURVES of every entry, or with g its derivative there times g."""
    cdef int dtype = _real_dtype((x,) if g is None else (x, g)), which = CURVES[name]
    if g is not None and g.size != x.size:
        raise TypeError("arrays of one shape")
    cdef cnp.ndarray out = fresh(np.shape(x), x.dtype)
    cdef const char *slopes = NULL if g is None else g.data
    cdef int64_t n = x.size
    with nogil:
        tn_curve(dtype, which, parameter, slopes, x.data, out.data, n, threads)
    return out


def adam(cnp.ndarray w not None, cnp.ndarray g not None, cnp.ndarray total not None,
         cnp.ndarray squares not None, double beta_1, double beta_2, double epsilon, double rate,
         int threads):
    """total = beta_1 * total + g, squares = beta_2 * squares + g * g, both in place, and w less
    rate * total / (sqrt(squares) + epsilon)."""
    cdef int dtype = _real_dtype((w, g, total, squares))
    cdef int64_t n = w.size
    if not g.size == total.size == squares.size == n or not w.flags.writeable:
        raise TypeError("arrays of one shape, to be written to")
    with nogil:
        tn_adam(dtype, w.data, g.data, total.data, squares.data, n, beta_1, beta_2, epsilon, rate,
                threads)
