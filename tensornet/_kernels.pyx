"""The C core: instruction set, machine facts, and the C functions that the other doors import."""

import os

import numpy as np

cimport numpy as cnp
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


_choose_isa()
