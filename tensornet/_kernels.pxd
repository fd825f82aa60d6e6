# The C core lives in the _kernels extension alone, so that there is one thread pool; the other
# doors reach it through these.
cimport numpy as cnp
from libc.stdint cimport int64_t

from .tn cimport tn_control, tn_network, tn_program, tn_program_info, tn_execution, tn_status

cdef int check_status(tn_status status) except -1
cdef tn_status lower(const tn_network *network, tn_program **program) noexcept nogil
cdef void program_free(tn_program *program) noexcept nogil
cdef tn_program_info program_describe(const tn_program *program) noexcept nogil
cdef tn_status program_run(const tn_execution *run, int64_t *exponent) noexcept nogil
cdef int64_t first_slice(const tn_program *program, int64_t chunk) noexcept nogil
cdef int64_t loop_index(const tn_program *program, int64_t loop) noexcept nogil
cdef void run_begin(const tn_execution *run, bint clear_results) noexcept nogil
cdef tn_status run_prepare(const tn_execution *run) noexcept nogil
cdef tn_status run_chunks(const tn_execution *run, int64_t first, int64_t last) noexcept nogil
cdef tn_status run_finish(const tn_execution *run, int64_t *exponent) noexcept nogil
cdef int program_step(const tn_program *program, int64_t i, char *text, size_t n) noexcept nogil
cdef void *allocate(size_t bytes) noexcept nogil
cdef void release(void *memory, size_t bytes) noexcept nogil
cdef void *exchange(void **slot, void *value) noexcept nogil
cdef cnp.ndarray fresh(shape, dtype)
