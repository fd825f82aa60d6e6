"""The tape: what is recorded of operations on tracked Tensors, and the sweep backwards over it.

Here is what is done for every operation and every variable, in small steps of which each counts; no
operation is known here. `records` and `tape` are the doors to the first half, `autodiff.engine` to
the second.
"""

cimport numpy as cnp
cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint64_t

from heapq import heappop, heappush
from threading import local

import numpy as np

from .errors import ShapeError, TensorNetError

cnp.import_array()

cdef extern from *:
    """
    #include <stdatomic.h>
    static atomic_llong tape_orders;
    static _Thread_local int tape_depth;
    #define tape_next_order() atomic_fetch_add(&tape_orders, 1)
    """
    long long tape_next_order() nogil
    int tape_depth
    cnp.ndarray PyArray_NewFromDescr(PyTypeObject *, PyObject *, int, cnp.npy_intp *,
                                     cnp.npy_intp *, void *, int, PyObject *)


cdef class State:
    """What is being differentiated in the thread that asks.

    Attributes:
        depth: how many differentiations are under way; operations are recorded if any is.
        tapes: the GradientTapes among them.
    """

    cdef object own

    def __cinit__(self):
        self.own = local()

    @property
    def depth(self):
        return tape_depth

    @depth.setter
    def depth(self, int value):
        global tape_depth
        tape_depth = value

    @property
    def tapes(self):
        if not hasattr(self.own, "tapes"):
            self.own.tapes = []
        return self.own.tapes


state = State()


# Tensors


cdef class TensorBase:
    """What a Tensor holds: its array, and its origin if it is on a tape: a Record, and which of its
    results it is."""

    cdef public object _array
    cdef public object _origin
    cdef object __weakref__


cdef object Tensor = None


def set_tensor_class(given):
    """Say which heir of TensorBase the Tensors are."""
    global Tensor
    Tensor = given


cdef TensorBase make_tensor(object array, object origin):
    cdef TensorBase made = <TensorBase> (<PyTypeObject *> Tensor).tp_new(
        Tensor, <PyObject *> (), NULL)
    made._array = array
    made._origin = origin
    return made


def tensor_of(array, origin=None):
    """A Tensor of an array that is known to be numeric, with its place on a tape."""
    return make_tensor(array, origin)


# Rules and records


cdef class Rule:
    """How to differentiate an operation, and which of its arrays that takes.

    Attributes:
        pull: ``pull(g, result, needed, args, options)`` returns the cotangent of each argument,
            None or anything for those that are not `needed`. g is the cotangent of the result; if
            that is a tuple, `result` is one, too, and g has None where nothing arrived.
        keeps: positions of the arguments whose entries it reads, or a tuple of them for each
            argument: what its cotangent reads; None for all. Of other arrays it sees an `Outline`.
        keeps_result: does it read the entries of the result?
        forward: ``forward(needed, args, options)`` takes the place of the operation where it is
            recorded: it returns the result and something that `pull` will find as
            ``options["saved"]``; in a sweep that is itself recorded, None.
    """

    cdef readonly object pull
    cdef readonly object keeps
    cdef readonly bint keeps_result
    cdef readonly object forward
    cdef tuple each  # what is kept for each argument, if that is said

    def __init__(self, pull, keeps=None, keeps_result=False, forward=None):
        self.pull = pull
        self.keeps = keeps
        self.keeps_result = keeps_result
        self.forward = forward
        if keeps and type(keeps[0]) is tuple:
            self.each = keeps


MISSING = Rule(lambda *_: (), ())  # of operations that have none


cpdef object rule_of(function):
    """The rule of an operation; None: nothing is differentiated through it."""
    return getattr(function, "gradient_rule", MISSING)


cdef class Pulls:
    """The `pull` of a Rule with a function for each argument.

    Args:
        pulls: for each positional argument ``pull(g, y, *args, **options)``: its cotangent, given
            that of the result y; None for an argument that has none.
    """

    cdef tuple pulls

    def __init__(self, *pulls):
        self.pulls = pulls

    def __call__(self, g, y, list needed, args, options):
        cdef Py_ssize_t k
        cdef tuple given = (g, y, *args)
        cdef list pulled = []
        for k in range(min(len(self.pulls), len(needed))):
            pull = self.pulls[k]
            if pull is None or not needed[k]:
                pulled.append(None)
            else:
                pulled.append(pull(*given, **options) if options else pull(*given))
        return pulled


cdef class Outline:
    """What remains of an array whose entries are not needed.

    Attributes:
        shape, dtype: those of the array.
    """

    cdef readonly tuple shape
    cdef readonly object dtype

    def __init__(self, tuple shape, dtype):
        self.shape = shape
        self.dtype = dtype

    def __repr__(self):
        return f"Outline(shape={self.shape}, dtype={self.dtype})"


cdef Outline outline(cnp.ndarray array):
    cdef Outline made = Outline.__new__(Outline)
    made.shape = cnp.PyArray_IntTupleFromIntp(cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array))
    made.dtype = <object> cnp.PyArray_DESCR(array)
    return made


@cython.trashcan(True)
cdef class Record:
    """An operation on the tape, or, without a function, variables at its beginning.

    Attributes:
        function, args, options: the call, with arrays in place of Tensors.
        parents: what made each argument; None for those that nothing on the tape made.
        results: the arrays of the results, or their Outlines.
        is_tuple: did the operation return a tuple?
        saved: what the `forward` of its rule has left for its `pull`.
        order: later records have greater numbers.
    """

    cdef readonly object function
    cdef readonly tuple args
    cdef readonly object options
    cdef readonly tuple parents
    cdef readonly list results
    cdef readonly bint is_tuple
    cdef readonly object saved
    cdef readonly long long order
    cdef object __weakref__

    def __init__(self, function, tuple args, options, tuple parents, list results,
                 bint is_tuple=False):
        self.function = function
        self.args = args
        self.options = options
        self.parents = parents
        self.results = results
        self.is_tuple = is_tuple
        self.order = tape_next_order()

    cdef void release(self):
        self.args = self.parents = ()
        self.results = []
        self.saved = None


cdef inline bint is_floating(cnp.ndarray array):
    cdef int number = cnp.PyArray_TYPE(array)
    return cnp.PyTypeNum_ISFLOAT(number) or cnp.PyTypeNum_ISCOMPLEX(number)


def all_floating(given):
    """Are these plain arrays of floating point numbers, real or complex?"""
    for each in given:
        if type(each) is not cnp.ndarray or not is_floating(each):
            return False
    return True


def begin(list arrays, function=None, tuple parents=()):
    """Variables: a Tensor for each array, on a new Record; of `function`, if they have parents.

    Returns:
        the Tensors, and their origins.
    """
    cdef Record record = Record(function, tuple(arrays) if function else (), {}, parents, arrays,
                                True)
    cdef list made = [], origins = []
    cdef Py_ssize_t k
    for k in range(len(arrays)):
        origin = record, k
        origins.append(origin)
        made.append(make_tensor(arrays[k], origin))
    return made, origins


# Operations


cpdef bint any_tensor(operands) except -1:
    """Is one of these a Tensor?"""
    for each in operands:
        if type(each) is Tensor:
            return True
    return False


def dispatch(function, compute, tuple args, dict options):
    """Call an operation: recorded, if one of its arguments is on a tape.

    Args:
        function: what the tape writes down, and whose rule counts.
        compute: the same of arrays.
        args: arguments; a result is a Tensor if one of them is.
        options: keyword arguments, none of them a Tensor.
    """
    if any_tensor(args):
        return applied(function, compute, args, options)
    return compute(*args, **options) if options else compute(*args)


cpdef object applied(function, compute, tuple args, options):
    """`dispatch`, where one of the arguments is known to be a Tensor."""
    cdef list arrays = []
    cdef bint tracked = False
    for each in args:
        if type(each) is Tensor:
            tracked = tracked or (<TensorBase> each)._origin is not None
            each = (<TensorBase> each)._array
        arrays.append(each)
    if tracked and tape_depth:
        rule = rule_of(function)
        if rule is not None:
            return recorded(function, rule, compute, args, tuple(arrays), options)
    return wrapped(computed(compute, tuple(arrays), options))


cdef inline object computed(compute, tuple arrays, options):
    return compute(*arrays, **options) if options else compute(*arrays)


cdef object wrapped(result):
    """Arrays and NumPy scalars as Tensors, also in a tuple; anything else as it is."""
    if isinstance(result, (cnp.ndarray, np.generic)):
        return make_tensor(np.asarray(result), None)
    if type(result) is tuple:
        return tuple([wrapped(each) for each in result])
    return result


cdef object recorded(function, Rule rule, compute, tuple args, tuple arrays, options):
    """The result as `wrapped` returns it, tracked by a new Record."""
    cdef list parents = [], made = []
    cdef Record record
    saved = None
    for each in args:
        parents.append((<TensorBase> each)._origin if type(each) is Tensor else None)
    if rule.forward is None:
        result = computed(compute, arrays, options)
    else:
        needed = [each is not None for each in parents]
        result, saved = rule.forward(needed, arrays, options)
    record = Record(function, kept_of(rule, arrays, parents), options, tuple(parents), [],
                    type(result) is tuple)
    record.saved = saved
    if not record.is_tuple:
        return result_of(record, result, arrays, rule.keeps_result)
    for each in <tuple> result:
        made.append(result_of(record, each, arrays, rule.keeps_result))
    return tuple(made)


cdef tuple kept_of(Rule rule, tuple arrays, list parents):
    """The arguments, of which a rule reads the entries of those that its `keeps` names."""
    cdef Py_ssize_t k
    cdef list kept
    cdef object read = rule.keeps
    if read is None:
        return arrays
    if rule.each is not None:
        read = set()
        for k in range(min(len(rule.each), len(parents))):
            if parents[k] is not None:
                read.update(<tuple> rule.each[k])
    kept = list(arrays)
    for k in range(len(kept)):
        if type(kept[k]) is cnp.ndarray and k not in read:
            kept[k] = outline(kept[k])
    return tuple(kept)


cdef object result_of(Record record, given, tuple arrays, bint keeps):
    """The next result of a record, as a Tensor."""
    cdef cnp.ndarray array = given if type(given) is cnp.ndarray else np.asarray(given)
    cdef bint own = cnp.PyArray_BASE(array) == NULL
    cdef Py_ssize_t place = len(record.results)
    for each in arrays:
        own = own and each is not array
    if own:  # what is kept must not change, but others may know it: a view, whose base is a tuple
        base = (array,)
        Py_INCREF(array.dtype)  # which is stolen
        array = PyArray_NewFromDescr(
            <PyTypeObject *> cnp.ndarray, <PyObject *> cnp.PyArray_DESCR(array), array.ndim,
            array.shape, array.strides, array.data, 0, NULL)
        cnp.set_array_base(array, base)
    record.results.append(array if keeps else outline(array))
    return make_tensor(array, (record, place) if is_floating(array) else None)


# The sweep


cdef class Sweep:
    """One sweep: what has arrived where.

    Args:
        add, cast: the operations that cotangents need by themselves.
    """

    cdef dict arrived  # by record: a list of the cotangents of its results, None if there is none
    cdef dict waiting  # records by order, of those that will be visited
    cdef list latest   # a heap of negated orders
    cdef set sums      # addresses of arrays in `arrived` that were made here: they may be added to
    cdef long long horizon  # the order of the first source
    cdef object add, cast

    def __init__(self, add, cast):
        self.arrived = {}
        self.waiting = {}
        self.latest = []
        self.sums = set()
        self.add = add
        self.cast = cast

    cdef int collect(self, Record puller, origins, cotangents) except -1:
        """Add cotangents, which `puller` has pulled back, to what has arrived.

        Those of variables that are no sources are left, and so are those of records made before
        every source.
        """
        cdef Record record
        cdef Py_ssize_t k, place, n = min(len(origins), len(cotangents))
        cdef list there
        for k in range(n):
            origin, cotangent = origins[k], cotangents[k]
            if origin is None or cotangent is None:
                continue
            record, place = <Record> (<tuple> origin)[0], (<tuple> origin)[1]
            found = self.arrived.get(record)
            if found is None and (record.function is None or record.order < self.horizon):
                continue
            cotangent = self.fitted(cotangent, record, place, puller)
            if found is None:
                found = [None] * len(record.results)
                self.arrived[record] = found
                self.waiting[record.order] = record
                heappush(self.latest, -record.order)
            there = <list> found
            known = there[place]
            there[place] = cotangent if known is None else self.sum_of(known, cotangent)
        return 0

    cdef object sum_of(self, known, cotangent):
        cdef bint plain = type(known) is cnp.ndarray and type(cotangent) is cnp.ndarray
        if plain and <size_t> <void *> known in self.sums:
            return np.add(known, cotangent, known)
        total = self.add(known, cotangent)
        if plain and type(total) is cnp.ndarray and total is not known:
            self.sums.add(<size_t> <void *> total)
        return total

    cdef list taken(self, Record record):
        """The cotangents of a record whose turn it is: whoever gets them may hand them on."""
        cdef list there = self.arrived.pop(record)
        if self.sums:
            for each in there:
                self.sums.discard(<size_t> <void *> each)
        return there

    cdef object fitted(self, cotangent, Record record, Py_ssize_t place, Record puller):
        """A cotangent in the dtype of the result that it belongs to; its shape must be right."""
        if place >= len(record.results):
            raise TensorNetError(
                "these gradients have been taken, and what was recorded for them is gone: use "
                "GradientTape(persistent=True) to take gradients more than once"
            )
        made = record.results[place]
        cdef int fit = fits(cotangent, made)
        if fit < 0:
            raise ShapeError(
                f"the gradient rule of {name_of(puller)} made a gradient of shape "
                f"{cotangent.shape} for an operand of shape {made.shape}"
            )
        return cotangent if fit else self.cast(cotangent, made.dtype)

    cdef object pulled(self, Record record, list cotangents):
        """What the rule of a record makes of the cotangents of its results, for each argument."""
        given = rule_of(record.function)
        if given is None or given is MISSING:
            raise TypeError(
                f"{name_of(record)} has no gradient rule; give it one with tensornet.custom_op, "
                "or keep what it is applied to from being differentiated with "
                "tensornet.stop_gradient"
            )
        cdef Rule rule = <Rule?> given
        cdef tuple args = record.args
        cdef list results = record.results, needed = []
        options = record.options
        if rule.forward is not None:
            options = {**options, "saved": None if tape_depth else record.saved}
        if tape_depth:  # the sweep is recorded, so what it reads is tracked
            args = tuple([
                make_tensor(x, origin) if origin is not None and type(x) is cnp.ndarray else x
                for x, origin in zip(args, record.parents)
            ])
            results = [
                make_tensor(x, (record, k)) if type(x) is cnp.ndarray else x
                for k, x in enumerate(results)
            ]
        for origin in record.parents:
            needed.append(origin is not None)
        if record.is_tuple:
            return rule.pull(cotangents, tuple(results), needed, args, options)
        return rule.pull(cotangents[0], results[0], needed, args, options)


cdef int fits(cotangent, made) except -2:
    """1 if a cotangent has the shape and dtype of a result or its Outline, 0 if only the dtype is
    another, else -1."""
    cdef cnp.ndarray array
    cdef tuple shape
    cdef int d
    if type(cotangent) is cnp.ndarray and type(made) is Outline:
        array, shape = <cnp.ndarray> cotangent, (<Outline> made).shape
        if cnp.PyArray_NDIM(array) != len(shape):
            return -1
        for d in range(cnp.PyArray_NDIM(array)):
            if cnp.PyArray_DIM(array, d) != <cnp.npy_intp> shape[d]:
                return -1
        if <object> cnp.PyArray_DESCR(array) is (<Outline> made).dtype:
            return 1
    elif type(cotangent) is cnp.ndarray and type(made) is cnp.ndarray:
        if not cnp.PyArray_SAMESHAPE(cotangent, made):
            return -1
        if cnp.PyArray_DESCR(cotangent) == cnp.PyArray_DESCR(made):
            return 1
    elif cotangent.shape != made.shape:
        return -1
    return cotangent.dtype == made.dtype


cdef object name_of(Record record):
    function = record and record.function
    return getattr(function, "__name__", type(function).__name__)


def sweep_back(list origins, list cotangents, sources, bint release, add, cast):
    """`autodiff.engine.pull_back`."""
    cdef Sweep sweep = Sweep(add, cast)
    cdef dict wanted = {}  # lists of the cotangents of records that have sources
    cdef Record record, known = None
    cdef list there = None, found = []
    for origin in sources:
        record = <Record> (<tuple> origin)[0]
        if record is known:  # many variables begin on one record
            continue
        if known is None or record.order < sweep.horizon:
            sweep.horizon = record.order
        known = record
        if record not in wanted:
            wanted[record] = [None] * len(record.results)
            if record.function is None:
                sweep.arrived[record] = wanted[record]
    sweep.collect(None, origins, cotangents)
    origins.clear()
    cotangents.clear()
    while sweep.latest:
        record = sweep.waiting.pop(-heappop(sweep.latest))
        there = sweep.taken(record)
        if record in wanted:
            wanted[record] = there
        if record.order > sweep.horizon:
            sweep.collect(record, record.parents, sweep.pulled(record, there))
            if release:
                record.release()
    known = None
    for origin in sources:
        record = <Record> (<tuple> origin)[0]
        if record is not known:
            known, there = record, wanted[record]
        found.append(found_at(there, (<tuple> origin)[1]))
    return found


cdef inline object found_at(list there, Py_ssize_t place):
    return there[place] if place < len(there) else None  # nothing, of a record that was released


def settled(found, given, other):
    """Cotangents in the form in which they leave, in a list.

    A plain array for a plain array has memory that nothing else sees, or is copied; of everything
    else, and of arrays without axes, the form is ``other(cotangent, given)``.
    """
    cdef list made = []
    cdef set seen = set()
    cdef Py_ssize_t k
    for k in range(len(given)):
        cotangent = found[k]
        if type(cotangent) is cnp.ndarray:
            cotangent = own(cotangent, seen)
            if type(given[k]) is cnp.ndarray and cnp.PyArray_NDIM(cotangent):
                made.append(cotangent)
                continue
        made.append(other(cotangent, given[k]))
    return made


cpdef object own(cnp.ndarray array, set seen):
    """The array, or a copy if it is a view or was given to somebody else: it may be written to.

    A view of bytes is a piece of memory that nobody else sees as numbers.
    """
    cdef PyObject *base = cnp.PyArray_BASE(array)
    cdef bint is_view = base != NULL and not (
        isinstance(<object> base, cnp.ndarray)
        and cnp.PyArray_TYPE(<cnp.ndarray> <object> base) == cnp.NPY_UINT8
    )
    cdef Py_ssize_t before = len(seen)
    seen.add(<size_t> <void *> array)
    if is_view or len(seen) == before:
        array = array.copy()
        seen.add(<size_t> <void *> array)
    return array
