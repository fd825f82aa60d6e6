"""The door to compiled programs: lower a tree in C, run it without the GIL."""

import time
from itertools import chain, islice, product

import numpy as np

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from ._kernels cimport (
    allocate, check_status, exchange, first_slice, fresh, loop_index, lower, program_describe,
    program_free, program_run, program_step, release, run_begin, run_chunks, run_finish, run_prepare,
)
from .tn cimport *

from .errors import MemoryLimitError

cnp.import_array()


# Results above this size take their memory where workspace comes from.
cdef int64_t OWN_MEMORY = 64 << 10

DTYPE_CODES = {
    np.dtype(name): code
    for name, code in {
        "bool": TN_BOOL, "int8": TN_U8, "int16": TN_U16, "int32": TN_U32, "int64": TN_U64,
        "uint8": TN_U8, "uint16": TN_U16, "uint32": TN_U32, "uint64": TN_U64, "float16": TN_F16,
        "float32": TN_F32, "float64": TN_F64, "complex64": TN_C64, "complex128": TN_C128,
    }.items()
}

# Arenas up to this size stay with their program between runs; src_c/memory.c keeps larger ones.
cdef int64_t KEPT_ARENA = 64 << 10
cdef int VARIANTS = 4
# Programs up to these sizes run without being watched, and without releasing the GIL.
cdef double QUICK_MACS = 1 << 22, HELD_MACS = 1 << 18
cdef int64_t QUICK_BYTES = 4 << 20


cdef int64_t *_flat(values, int64_t count) except NULL:
    """A C array of the integers in an iterable that has `count` of them."""
    cdef int64_t *array = <int64_t *> malloc(max(count, 1) * sizeof(int64_t))
    cdef int64_t i = 0
    if array == NULL:
        raise MemoryError()
    try:
        for value in values:
            array[i] = value
            i += 1
    except BaseException:
        free(array)
        raise
    return array


cdef class _Watch:
    """What a run tells Python now and then, when it shall pause, and the exception that ends it.

    An exception cancels the run at once, or with patience first asks for a pause and cancels
    what has not reached one after so many seconds.
    """


cdef int _poll(void *watch, double done, double total) noexcept with gil:
    cdef _Watch self = <_Watch> watch
    if self.error is not None:
        return TN_CANCEL if time.monotonic() >= self.cancel_at else TN_GO_ON
    try:
        PyErr_CheckSignals()
        if self.progress is not None:
            self.progress(done, total)
        if self.pause_at and time.monotonic() >= self.pause_at:
            self.pause_at = 0
            return TN_PAUSE
    except BaseException as error:
        self.error = error
        if not self.patience:
            return TN_CANCEL
        self.cancel_at = time.monotonic() + self.patience
        return TN_PAUSE
    return TN_GO_ON


cdef class _Lowered:
    """The C program for one set of operand strides."""

    def __dealloc__(self):
        release(self.spare, self.info.arena_bytes)
        program_free(self.program)
        free(self.strides)


cdef class Executor:
    """Runs one contraction tree on arrays of one dtype, whatever their strides.

    Compiles once per set of strides and keeps the last few. Safe to call from many threads.
    With operands in `needed` the programs have a backward sweep (`_gradient.pyx`).
    """

    def __cinit__(self, expr, steps, sliced, dtype, int64_t largest, int threads,
                  bint strip, tuple needed=()):
        cdef tn_network *net = &self.network
        cdef int64_t position = 0
        starts = [0]
        for term in expr.inputs:
            position += len(term)
            starts.append(position)
        self.dtype = dtype
        self.number = dtype.num
        self.expr = expr
        self.output_shape = expr.output_shape
        self.variants = []
        self.n_axes = position
        net.n_inputs = len(expr.inputs)
        net.n_indices = len(expr.sizes)
        net.n_output = len(expr.output)
        net.n_sliced = len(sliced)
        net.n_needed = len(needed)
        net.largest = largest
        net.dtype = DTYPE_CODES[dtype]
        net.threads = threads
        net.strip = strip
        net.starts = _flat(starts, net.n_inputs + 1)
        net.ids = _flat(chain.from_iterable(expr.inputs), position)
        net.sizes = _flat(expr.sizes, net.n_indices)
        net.output = _flat(expr.output, net.n_output)
        net.sliced = _flat(sliced, net.n_sliced)
        net.needed = _flat(needed, net.n_needed)
        net.steps = _flat(chain.from_iterable(steps), 2 * len(steps))
        for position in range(min(net.n_output, 64)):
            self.output_extents[position] = net.sizes[net.output[position]]
        # an empty network is the number one; a sum over nothing is zero
        self.fill = 1 if not expr.inputs else 0 if 0 in expr.sizes else None
        if self.fill is None:
            self.contiguous = self._lower(NULL, False)

    def __dealloc__(self):
        free(<void *> self.network.starts)
        free(<void *> self.network.ids)
        free(<void *> self.network.sizes)
        free(<void *> self.network.output)
        free(<void *> self.network.sliced)
        free(<void *> self.network.needed)
        free(<void *> self.network.steps)

    cdef _Lowered _lower(self, int64_t *strides, bint output):
        """Compiles for these strides (inputs, then maybe output), which the result owns."""
        cdef _Lowered made = _Lowered()
        cdef tn_network net = self.network
        cdef tn_status status
        made.strides = strides
        if strides != NULL:
            net.input_strides = strides
        if output:
            net.output_strides = strides + self.n_axes
        with nogil:
            status = lower(&net, &made.program)
        check_status(status)
        made.info = program_describe(made.program)
        return made

    @property
    def shapes(self):
        """The shape of each operand."""
        if self.known_shapes is None:
            self.known_shapes = self.expr.shapes
        return self.known_shapes

    @property
    def info(self):
        """Facts about the program for C-contiguous operands, as a dict."""
        cdef tn_program_info facts
        if self.contiguous is None:
            itemsize = self.dtype.itemsize
            return {"steps": 0, "slices": 1, "chunks": 1, "workers": 1, "threads": 1,
                    "arena_bytes": 0, "output_bytes": int(np.prod(self.output_shape)) * itemsize,
                    "saved_bytes": 0, "macs": 0.0, "forward_macs": 0.0, "invariant_macs": 0.0,
                    "invariant_steps": 0, "chunks_at": 0, "sums_at": 0,
                    "sums_bytes": 0, "places": 1}
        facts = self.contiguous.info
        return facts

    def step_lines(self):
        """One line of text per compiled step, in the order in which they run."""
        cdef char text[200]
        cdef int64_t i
        lines = []
        if self.contiguous is not None:
            for i in range(self.contiguous.info.steps):
                program_step(self.contiguous.program, i, text, sizeof(text))
                lines.append(text.decode())
        return lines

    def empty(self):
        """A fresh array for the result, its entries undefined."""
        cdef int64_t entries = 1
        cdef int i
        for i in range(self.network.n_output):
            entries *= self.network.sizes[self.network.output[i]]
        if entries * <int64_t> self.dtype.itemsize < OWN_MEMORY:
            return np.empty(self.output_shape, self.dtype)
        return fresh(self.output_shape, self.dtype)

    cpdef bint accepts(self, tuple arrays) except -1:
        """Whether there is one plain array of the right dtype and shape per operand."""
        cdef const tn_network *net = &self.network
        cdef int number = self.number
        cdef const int64_t *ids
        cdef cnp.ndarray array
        cdef Py_ssize_t i
        cdef int d
        if len(arrays) != net.n_inputs:
            return False
        for i, operand in enumerate(arrays):
            if type(operand) is not cnp.ndarray:
                return False
            array = operand
            if (cnp.PyArray_TYPE(array) != number or not cnp.PyArray_ISNOTSWAPPED(array)
                    or array.ndim != net.starts[i + 1] - net.starts[i]):
                return False
            ids = net.ids + net.starts[i]
            for d in range(array.ndim):
                if array.shape[d] != net.sizes[ids[d]]:
                    return False
        return True

    cdef _Lowered _variant(self, tuple arrays, out):
        """The program for the strides at hand: the contiguous one, a recent one, or a new one.

        Without `out` the result is in C order.
        """
        cdef tuple given = arrays if out is None else arrays + (out,)
        cdef bint contiguous = True
        cdef int64_t *strides
        cdef int64_t at = 0
        cdef cnp.ndarray array
        cdef _Lowered variant
        cdef int d
        for array in given:
            contiguous = contiguous and cnp.PyArray_IS_C_CONTIGUOUS(array)
        if contiguous:
            return self.contiguous
        strides = <int64_t *> malloc((self.n_axes + self.network.n_output + 1) * sizeof(int64_t))
        if strides == NULL:
            raise MemoryError()
        for array in given:
            for d in range(array.ndim):
                # axes of extent 1 have strides of no meaning
                strides[at] = array.strides[d] if array.shape[d] > 1 else 0
                at += 1
        for variant in self.variants:
            if _same(variant.strides, strides, at):
                free(strides)
                return variant
        variant = self._lower(strides, out is not None)
        self.variants = [variant] + self.variants[:VARIANTS - 1]
        return variant

    def arena_bytes(self, tuple arrays, cnp.ndarray out):
        """Bytes of workspace for operands and a result with the strides of these arrays."""
        return 0 if self.fill is not None else self._variant(arrays, out).info.arena_bytes

    @property
    def n_compiled(self):
        """For how many sets of strides a compiled program is kept."""
        return 1 + len(self.variants)

    def run(self, tuple arrays, cnp.ndarray out, progress=None):
        """Contracts `arrays` (of exactly the right dtype and shapes) into `out`.

        Returns the stripped exponent: None when exactly zero, 0 when nothing was stripped.
        """
        if self.fill is not None:
            out.fill(self.fill)
            return 0 if self.fill else None
        cdef _Watch watch = _Watch()
        watch.progress = progress
        cdef int64_t exponent = self._run(arrays, out, watch)
        return None if exponent == TN_NO_EXPONENT else exponent

    def quick(self, tuple arrays, target=None):
        """The result for plain arrays and a small program without options; None for others.

        It is written to `target`, if one is given: a plain array apart from the operands.
        """
        cdef _Lowered program = self.contiguous
        if program is None or self.network.strip or program.info.macs > QUICK_MACS:
            return None
        if program.info.arena_bytes + program.info.output_bytes > QUICK_BYTES:
            return None
        if not self.accepts(arrays):
            return None
        cdef cnp.ndarray out
        if target is not None:
            if not self._takes(target, arrays):
                return None
            out = target
        elif program.info.output_bytes < OWN_MEMORY:
            out = cnp.PyArray_EMPTY(
                <int> self.network.n_output, self.output_extents, self.number, 0)
        else:
            out = self.empty()
        self._run(arrays, out, None)
        return out

    cdef bint _takes(self, target, tuple arrays) except -1:
        """Whether the result may be written to `target` while the operands are read."""
        cdef cnp.ndarray out, array
        cdef int64_t first, end, other_first, other_end
        cdef int d
        if type(target) is not cnp.ndarray:
            return False
        out = target
        if (cnp.PyArray_TYPE(out) != self.number or not cnp.PyArray_ISNOTSWAPPED(out)
                or not cnp.PyArray_ISWRITEABLE(out) or out.ndim != self.network.n_output):
            return False
        for d in range(out.ndim):
            if out.shape[d] != self.output_extents[d]:
                return False
        _bounds(out, &first, &end)
        for operand in arrays:
            _bounds(<cnp.ndarray> operand, &other_first, &other_end)
            if first < other_end and other_first < end:
                return False
        return True

    cdef int64_t _run(self, tuple arrays, cnp.ndarray out, _Watch watch) except? -1:
        """Runs, watched or not; returns the stripped exponent."""
        cdef _Lowered variant = self._variant(arrays, out)
        cdef const char *few[4]
        cdef const char **inputs = few
        cdef char *to = <char *> cnp.PyArray_DATA(out)
        cdef Py_ssize_t i
        if len(arrays) > 4:
            inputs = <const char **> malloc(len(arrays) * sizeof(char *))
            if inputs == NULL:
                raise MemoryError()
        for i in range(len(arrays)):
            inputs[i] = <const char *> cnp.PyArray_DATA(<cnp.ndarray> arrays[i])
        if inputs == few:
            return execute(variant, inputs, &to, NULL, TN_WHOLE, watch)
        try:
            return execute(variant, inputs, &to, NULL, TN_WHOLE, watch)
        finally:
            free(inputs)


cdef int64_t execute(_Lowered program, const char **inputs, char **outs, char *saved, int part,
                     _Watch watch) except? -1:
    """One run, or a part of it, in an arena of its own; returns the stripped exponent."""
    cdef int64_t needed = program.info.arena_bytes, exponent = 0
    cdef tn_control control
    cdef tn_execution run
    cdef tn_status status
    cdef void *arena = exchange(&program.spare, NULL)
    if arena == NULL:
        arena = allocate(needed)
    if arena == NULL:
        raise MemoryLimitError(f"could not allocate {needed} bytes of workspace")
    control.cancel = control.pause = 0
    control.poll = NULL
    if watch is not None:
        control.poll = _poll
    control.self = <void *> watch
    control.done = control.total = control.next_poll = 0
    run.program = program.program
    run.inputs = inputs
    run.outs = outs
    run.arena = <char *> arena
    run.control = &control
    run.saved = saved
    run.part = part
    # held: too short to be worth a release of the GIL
    if (watch is None and program.info.macs <= HELD_MACS
            and needed + program.info.saved_bytes + program.info.output_bytes <= OWN_MEMORY):
        status = program_run(&run, &exponent)
    else:
        with nogil:
            status = program_run(&run, &exponent)
    if needed <= KEPT_ARENA:
        arena = exchange(&program.spare, arena)
    release(arena, needed)
    if watch is not None and watch.error is not None:
        raise watch.error
    check_status(status)
    return exponent


cdef class Run:
    """One run of an Executor in parts, from which it can be stored, shared out and continued.

    What is summed so far is in `chunks` and, per chunk, in what `sums` returns; `restore` puts in
    what another run of an equal program has summed. Sliced programs only; one thread at a time.

    Args:
        clear: make `out` zero where chunks sum in it, unless each will be restored before it runs.

    Attributes:
        starts: the first slice of each chunk and, last, the number of slices.
        chunks: the next slice of each chunk and the exponent of its sums, shape (chunks, 2).
    """

    cdef _Lowered program
    cdef tuple arrays
    cdef cnp.ndarray out, arena
    cdef const char **inputs
    cdef char *to
    cdef bint prepared
    cdef list place_axes  # of the output, outermost loop first, whose values are its places
    cdef readonly list starts
    cdef readonly cnp.ndarray chunks

    def __init__(self, Executor executor, tuple arrays, cnp.ndarray out, bint clear=True):
        cdef tn_control control
        cdef tn_execution run
        cdef tn_program_info facts
        cdef int64_t i
        self.program = executor._variant(arrays, out)
        self.arrays = arrays
        self.out = out
        self.to = <char *> cnp.PyArray_DATA(out)
        facts = self.program.info
        self.starts = [first_slice(self.program.program, i) for i in range(facts.chunks + 1)]
        self.inputs = <const char **> malloc(max(len(arrays), 1) * sizeof(char *))
        try:
            self.arena = fresh(facts.arena_bytes, np.uint8)
        except MemoryError:
            raise MemoryLimitError(
                f"could not allocate {facts.arena_bytes} bytes of workspace") from None
        if self.inputs == NULL:
            raise MemoryError()
        for i in range(len(arrays)):
            self.inputs[i] = <const char *> cnp.PyArray_DATA(<cnp.ndarray> arrays[i])
        at, count = facts.chunks_at, facts.chunks
        self.chunks = self.arena[at:at + 16 * count].view(np.int64).reshape(count, 2)
        self.place_axes = self._place_axes(executor)
        self._point(&run, &control, None)
        with nogil:
            run_begin(&run, clear)

    def __dealloc__(self):
        free(self.inputs)

    cdef list _place_axes(self, Executor executor):
        cdef const tn_network *net = &executor.network
        cdef int64_t places = 1, loop = 0
        axes = []
        output = [net.output[i] for i in range(net.n_output)]
        while places < self.program.info.places and self.program.info.sums_bytes == 0:
            axes.append(output.index(net.sliced[loop_index(self.program.program, loop)]))
            places *= (<object> self.out).shape[axes[-1]]
            loop += 1
        return axes

    def _places(self, int64_t chunk):
        """The parts of the output in which a chunk sums, as views."""
        grain = self.starts[-1] // self.program.info.places
        extents = [(<object> self.out).shape[axis] for axis in self.place_axes]
        first, end = self.starts[chunk] // grain, self.starts[chunk + 1] // grain
        for digits in islice(product(*map(range, extents)), first, end):
            index = [slice(None)] * (<object> self.out).ndim
            for axis, digit in zip(self.place_axes, digits):
                index[axis] = digit
            yield self.out[(*index, ...)]

    cdef void _point(self, tn_execution *run, tn_control *control, _Watch watch) noexcept:
        control.cancel = control.pause = 0
        control.poll = NULL
        if watch is not None:
            control.poll = _poll
        control.self = <void *> watch
        control.done = control.total = control.next_poll = 0
        run.program = self.program.program
        run.inputs = self.inputs
        run.outs = &self.to
        run.saved = NULL
        run.part = TN_WHOLE
        run.arena = <char *> cnp.PyArray_DATA(self.arena)
        run.control = control

    @property
    def done(self):
        """How many slices are summed."""
        return int(self.chunks[:, 0].sum()) - sum(self.starts[:-1])

    @property
    def whole(self):
        """Whether no chunk was cancelled while a slice was being added to its sums."""
        return bool((self.chunks[:, 0] != TN_TORN).all())

    def sums(self, int64_t chunk):
        """The bytes of a chunk's sums: where they are, or a copy if they are in the output."""
        cdef int64_t size = self.program.info.sums_bytes
        cdef int64_t at = self.program.info.sums_at + chunk * size
        if size == 0:
            return np.concatenate([place.reshape(-1) for place in self._places(chunk)]).view("u1")
        return self.arena[at:at + size]

    def restore(self, int64_t chunk, int64_t next, int64_t exponent, sums):
        """Continue from another run's next slice, exponent and bytes of sums; None: all zero."""
        cdef int64_t at = 0
        self.chunks[chunk] = next, exponent
        if self.program.info.sums_bytes:
            self.sums(chunk)[:] = 0 if sums is None else sums
            return
        for place in self._places(chunk):
            if sums is None:
                place[...] = 0
            else:
                place[...] = sums[at:at + place.nbytes].view(place.dtype).reshape(place.shape)
                at += place.nbytes

    def proceed(self, int64_t first, int64_t last, progress=None, double seconds=0,
                double patience=0):
        """Sum what is left of chunks first .. last - 1; False if a pause came first.

        It pauses between two slices, some time after `seconds` (0: never). If `progress`, or a
        signal, raises, the run pauses as well and the exception is raised then; a slice that
        takes longer than `patience` is cancelled, and may leave its chunk torn.
        """
        cdef _Watch watch = _Watch()
        cdef tn_control control
        cdef tn_execution run
        cdef tn_status status = TN_OK
        watch.progress = progress
        watch.patience = patience
        watch.pause_at = time.monotonic() + seconds if seconds else 0
        self._point(&run, &control, watch)
        with nogil:
            if not self.prepared:
                status = run_prepare(&run)
                self.prepared = status == TN_OK
            if status == TN_OK:
                status = run_chunks(&run, first, last)
        if watch.error is not None:
            raise watch.error
        if status != TN_PAUSED:
            check_status(status)
        return status == TN_OK

    def finish(self):
        """Combine all chunks into the output; returns the stripped exponent as `run` does."""
        cdef tn_control control
        cdef tn_execution run
        cdef tn_status status
        cdef int64_t exponent = 0
        self._point(&run, &control, None)
        with nogil:
            status = run_finish(&run, &exponent)
        check_status(status)
        return None if exponent == TN_NO_EXPONENT else exponent


cdef void _bounds(cnp.ndarray array, int64_t *first, int64_t *end) noexcept:
    """The addresses between which all entries of a non-empty array lie."""
    cdef int64_t reach
    cdef int d
    first[0] = end[0] = <int64_t> cnp.PyArray_DATA(array)
    for d in range(array.ndim):
        reach = (array.shape[d] - 1) * array.strides[d]
        if reach < 0:
            first[0] += reach
        else:
            end[0] += reach
    end[0] += cnp.PyArray_ITEMSIZE(array)


cdef bint _same(const int64_t *x, const int64_t *y, int64_t n) noexcept:
    cdef int64_t i
    for i in range(n):
        if x[i] != y[i]:
            return False
    return True
