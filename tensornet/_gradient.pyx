"""The door to programs with a backward sweep: values and gradients, in one run or in two halves."""

cimport numpy as cnp
from libc.stdlib cimport free, malloc

import numpy as np

from ._kernels cimport fresh
from ._program cimport Executor, _Lowered, _Watch, execute
from .tn cimport *

cnp.import_array()

cdef enum:
    FEW = 8  # pointers that need no memory of their own

# Gradients above this size take their memory where workspace comes from; runs up to these are not
# watched.
cdef int64_t OWN_MEMORY = 64 << 10, QUICK_BYTES = 4 << 20
cdef double QUICK_MACS = 1 << 22


cdef fused real:
    float
    double


cdef void _negate_imaginary(real *at, int64_t elements) noexcept nogil:
    cdef int64_t i
    for i in range(elements):
        at[2 * i + 1] = -at[2 * i + 1]


def conjugate(list arrays):
    """Conjugates complex arrays in C order in place: of small ones, quicker than NumPy's."""
    cdef cnp.ndarray array
    for array in arrays:
        if cnp.PyArray_TYPE(array) == cnp.NPY_CFLOAT:
            _negate_imaginary(<float *> cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))
        else:
            _negate_imaginary(<double *> cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))


cdef class Saved:
    """What the forward half of a run leaves for the backward half: intermediates, and the operands.

    Attributes:
        arrays: the operands, as they were given; they must not have changed until they are read.
    """

    cdef _Lowered program
    cdef readonly tuple arrays
    cdef cnp.ndarray memory

    @property
    def nbytes(self):
        """Bytes that the intermediates take."""
        return 0 if self.memory is None else self.program.info.saved_bytes


cdef class GradientExecutor(Executor):
    """Runs one contraction tree and its backward sweep on arrays of one floating or complex dtype.

    Made like an Executor, with the operands in `needed` whose gradients are computed, ascending. A
    gradient is the cotangent contracted with all other operands, nothing conjugated.
    """

    cdef int64_t itemsize

    def __init__(self, *arguments):
        self.itemsize = self.dtype.itemsize

    @property
    def needed(self):
        """The operands whose gradients are computed."""
        return [self.network.needed[i] for i in range(self.network.n_needed)]

    cdef list _gradients(self):
        """Fresh arrays for the gradients, zero where nothing will be computed.

        Many small ones lie in one block: pages that are touched for the first time in each run
        would cost more than what is written to them.
        """
        cdef int64_t i, bytes, small = 0, at = 0
        cdef cnp.ndarray block = None
        cdef list made = []
        for i in range(self.network.n_needed):
            bytes = self._bytes(i)
            small += bytes if bytes < OWN_MEMORY else 0
        if small >= OWN_MEMORY:
            block = fresh(small, np.uint8)
        for i in range(self.network.n_needed):
            bytes = self._bytes(i)
            if self.fill is not None:
                made.append(np.zeros(self.shapes[self.network.needed[i]], self.dtype))
            elif bytes >= OWN_MEMORY:
                made.append(fresh(self.shapes[self.network.needed[i]], self.dtype))
            else:
                made.append(self._plain(i, block, at))
                at += bytes
        return made

    cdef int64_t _bytes(self, int64_t gradient) noexcept:
        """Of a gradient, by its position among those needed."""
        cdef const tn_network *net = &self.network
        cdef int64_t operand = net.needed[gradient], d, elements = 1
        for d in range(net.starts[operand], net.starts[operand + 1]):
            elements *= net.sizes[net.ids[d]]
        return elements * self.itemsize

    cdef object _plain(self, int64_t gradient, cnp.ndarray block, int64_t at):
        """An array for a gradient, its entries undefined: at this byte of the block, if there is one."""
        cdef const tn_network *net = &self.network
        cdef int64_t first = net.starts[net.needed[gradient]]
        cdef int n = <int> (net.starts[net.needed[gradient] + 1] - first), d
        cdef cnp.npy_intp extents[64]
        cdef cnp.ndarray made
        for d in range(n):
            extents[d] = net.sizes[net.ids[first + d]]
        if block is None:
            return cnp.PyArray_EMPTY(n, extents, self.number, 0)
        made = cnp.PyArray_SimpleNewFromData(
            n, extents, self.number, <char *> cnp.PyArray_DATA(block) + at)
        cnp.set_array_base(made, block)
        return made

    cdef object _value(self):
        value = self.empty()
        if self.fill is not None:
            value.fill(self.fill)
        return value

    cdef int _go(self, _Lowered program, tuple arrays, cotangent, value, list gradients,
                 cnp.ndarray memory, int part, progress) except -1:
        """A run, or a part of it; what is None is not there."""
        cdef Py_ssize_t n = len(arrays), i
        cdef char *few[FEW]
        cdef char **pointers = few
        cdef _Watch watch = None
        if self.fill is not None:
            return 0
        if n + 2 + len(gradients) > FEW:
            pointers = <char **> malloc((n + 2 + len(gradients)) * sizeof(char *))
            if pointers == NULL:
                raise MemoryError()
        for i in range(n):
            pointers[i] = <char *> cnp.PyArray_DATA(<cnp.ndarray> arrays[i])
        pointers[n] = pointers[n + 1] = NULL
        if cotangent is not None:
            pointers[n] = <char *> cnp.PyArray_DATA(<cnp.ndarray> cotangent)
        if value is not None:
            pointers[n + 1] = <char *> cnp.PyArray_DATA(<cnp.ndarray> value)
        for i in range(len(gradients)):
            pointers[n + 2 + i] = (NULL if gradients[i] is None else
                                   <char *> cnp.PyArray_DATA(<cnp.ndarray> gradients[i]))
        if (progress is not None or program.info.macs > QUICK_MACS or program.info.arena_bytes
                + program.info.saved_bytes + program.info.output_bytes > QUICK_BYTES):
            watch = _Watch()
            watch.progress = progress
        try:
            execute(program, <const char **> pointers, pointers + n + 1,
                    NULL if memory is None else <char *> cnp.PyArray_DATA(memory), part, watch)
        finally:
            if pointers != few:
                free(pointers)
        return 0

    cdef cnp.ndarray _room(self, _Lowered program):
        """Memory for what one half leaves for the other."""
        if program is None or not program.info.saved_bytes:
            return None
        return fresh(program.info.saved_bytes, np.uint8)

    cdef _Lowered _program(self, tuple arrays):
        return None if self.fill is not None else self._variant(arrays, None)

    def sweep(self, tuple arrays, cotangent, bint wanted=True, progress=None):
        """The value, or None if it is not wanted, and the gradients, in one run.

        All arrays are of just the right dtype and shapes, and the cotangent is in C order.
        """
        cdef _Lowered program = self._program(arrays)
        value = self._value() if wanted else None
        gradients = self._gradients()
        self._go(program, arrays, cotangent, value, gradients, self._room(program), TN_WHOLE,
                 progress)
        return value, gradients

    def forward(self, tuple arrays, progress=None):
        """The value, and what `backward` will need. Programs without slices only."""
        cdef Saved saved = Saved()
        saved.program = self._program(arrays)
        saved.arrays = arrays
        saved.memory = self._room(saved.program)
        value = self._value()
        cdef list gradients = [None] * self.network.n_needed
        self._go(saved.program, arrays, None, value, gradients, saved.memory, TN_FORWARD, progress)
        return value, saved

    def backward(self, Saved saved, cotangent, progress=None):
        """The gradients, from what `forward` has left; as often as wanted."""
        gradients = self._gradients()
        self._go(saved.program, saved.arrays, cotangent, None, gradients, saved.memory,
                 TN_BACKWARD, progress)
        return gradients

    def workspace(self, tuple arrays):
        """Bytes of arena, and of what is saved, for operands with the strides of these arrays."""
        cdef _Lowered program = self._program(arrays)
        if program is None:
            return 0, 0
        return program.info.arena_bytes, program.info.saved_bytes
