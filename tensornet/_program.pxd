# What the doors to programs share.
cimport numpy as cnp
from libc.stdint cimport int64_t

from .tn cimport tn_network, tn_program, tn_program_info

cdef class _Watch:
    cdef object progress
    cdef object error
    cdef double pause_at, patience, cancel_at  # seconds; 0: never

cdef class _Lowered:
    cdef tn_program *program
    cdef tn_program_info info
    cdef int64_t *strides
    cdef void *spare

cdef class Executor:
    cdef tn_network network
    cdef int64_t n_axes
    cdef int number  # NumPy's type number
    cdef readonly object dtype
    cdef readonly tuple output_shape
    cdef object expr
    cdef tuple known_shapes
    cdef list variants
    cdef _Lowered contiguous
    cdef object fill
    cdef cnp.npy_intp output_extents[64]  # NumPy's most; quick() needs no more

    cdef _Lowered _lower(self, int64_t *strides, bint output)
    cpdef bint accepts(self, tuple arrays) except -1
    cdef _Lowered _variant(self, tuple arrays, out)
    cdef bint _takes(self, target, tuple arrays) except -1
    cdef int64_t _run(self, tuple arrays, cnp.ndarray out, _Watch watch) except? -1

cdef int64_t execute(_Lowered program, const char **inputs, char **outs, char *saved, int part,
                     _Watch watch) except? -1
