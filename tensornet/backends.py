"""Plans on arrays of other libraries: a Tree lowered to array-API calls that the library runs.

Nothing here computes. Every step is permute, reshape and matmul of its two operands, so that torch,
JAX or CuPy run it on their devices, and their automatic differentiation and compilers see through.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .arrays import library_of
from .errors import ShapeError
from .planner import Tree
from .progress import progress_bar

__all__ = ["Calls", "Library", "clear_cache", "find_library", "lower_to_calls", "run_calls"]

Term = tuple[int, ...]


class Library(NamedTuple):
    """The few functions that a lowered tree calls, under whatever name a library has them."""

    name: str
    permute: Callable[[Any, Term], Any]
    reshape: Callable[[Any, Term], Any]
    matmul: Callable[[Any, Any], Any]
    sum: Callable[..., Any]
    stack: Callable[[list[Any]], Any]
    promote: Callable[[Any, Any], Any]  # of two dtypes
    cast: Callable[[Any, Any], Any]
    read: Callable[[Any], Any]  # what is no array of the library yet
    module: Any


def find_library(backend: Any, arrays: Sequence[Any]) -> Library | None:
    """The library to run on; None for our own kernels.

    Args:
        backend: None or "numpy" for the kernels, the name of a library, "auto" for the one whose
            arrays are given, or its namespace of functions.

    Raises:
        ImportError: it is not installed.
        TypeError: it lacks a function that is needed, or "auto" meets arrays of several libraries.
    """
    if backend == "auto":
        names = {library_of(x) for x in arrays} - {"numpy", "builtins"}
        if len(names) > 1:
            found = ", ".join(sorted(names))
            raise TypeError(f"backend='auto' finds arrays of {found}: name the one that shall run")
        backend = names.pop() if names else None
    if backend is None or backend == "numpy":
        return None
    if not isinstance(backend, str):
        return _library_of_module(backend)
    try:
        return _library_of_module(importlib.import_module(_NAMESPACES.get(backend, backend)))
    except ModuleNotFoundError as error:
        raise ImportError(f"backend={backend!r} needs that package installed: {error}") from None


_NAMESPACES = {"jax": "jax.numpy"}  # of libraries whose functions are not in their first module


@lru_cache(maxsize=16)
def _library_of_module(module: Any) -> Library:
    name = str(getattr(module, "__name__", type(module).__name__))

    def function(*names: str) -> Callable[..., Any]:
        for each in names:
            if hasattr(module, each):
                found: Callable[..., Any] = getattr(module, each)
                return found
        raise TypeError(f"backend {name} has no function {names[0]}, which contractions need")

    def cast(array: Any, dtype: Any) -> Any:
        return array.to(dtype) if hasattr(array, "to") else array.astype(dtype)

    return Library(
        name,
        function("permute_dims", "permute", "transpose"),
        function("reshape"),
        function("matmul"),
        function("sum"),
        function("stack"),
        function("promote_types", "result_type"),
        function("astype") if hasattr(module, "astype") else cast,
        function("asarray"),
        module,
    )


class _Single(NamedTuple):
    """What an operand needs before its first step; None where nothing is to be done."""

    diagonals: tuple[tuple[Term, Term, int], ...]  # order of axes, shape before, stride, each
    sums: Term


class _Pair(NamedTuple):
    """One pairwise step: (batch, m, k) times (batch, k, n); None where nothing is to be done."""

    a: int
    b: int
    c: int
    permute_a: Term | None
    shape_a: Term
    permute_b: Term | None
    shape_b: Term
    shape_c: Term
    last_a: bool  # no later step, and no later slice, reads it
    last_b: bool


class Calls(NamedTuple):
    """A tree as calls; values are numbered as in the tree, operands first.

    The slice loop is hoisted: `levels[l]` are the steps to repeat once loop l - 1 moves on,
    level 0 runs once. Loops over axes of the output come first and their results stand side by
    side; what the others give is summed.
    """

    shapes: tuple[Term, ...]
    singles: tuple[_Single | None, ...]
    slices: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]  # operand, (axis, loop) each
    extents: Term  # of the loops, outermost first
    n_stacked: int  # how many of them are over axes of the output
    levels: tuple[tuple[_Pair, ...], ...]
    permute: Term | None  # from (stacked axes, axes of the result) to the output
    macs: int


@lru_cache(maxsize=256)
def lower_to_calls(tree: Tree) -> Calls:
    """Lower a tree; what was lowered lately is recalled. Linear in the size of the network."""
    expr, sizes = tree.expr, tree.expr.sizes
    output = set(expr.output)
    loops = [i for i in tree.sliced if sizes[i]]  # a sum over nothing is left to the library
    loops.sort(key=lambda i: i not in output)
    loop_of = {index: position for position, index in enumerate(loops)}
    holders = _holders(tree)
    terms: list[Term] = []
    singles: list[_Single | None] = []
    slices = []
    level = []
    for k, term in enumerate(expr.inputs):
        cut = tuple([(axis, loop_of[i]) for axis, i in enumerate(term) if i in loop_of])
        if cut:
            slices.append((k, cut))
        level.append(1 + max([loop for _, loop in cut], default=-1))
        single, kept = _single([i for i in term if i not in loop_of], holders, sizes)
        singles.append(single)
        terms.append(kept)
    pairs: list[list[_Pair]] = [[] for _ in range(len(loops) + 1)]
    for a, b in tree.steps:
        at = max(level[a], level[b])
        pair, result = _pair(a, b, len(terms), terms, holders, sizes)
        pairs[at].append(pair._replace(last_a=level[a] == at, last_b=level[b] == at))
        level.append(at)
        terms.append(result)
    n_stacked = sum(i in output for i in loops)
    order = [*loops[:n_stacked], *(terms[-1] if terms else ())]
    permute = tuple([order.index(i) for i in expr.output])
    return Calls(
        expr.shapes,
        tuple(singles),
        tuple(slices),
        tuple([sizes[i] for i in loops]),
        n_stacked,
        tuple([tuple(each) for each in pairs]),
        None if permute == tuple(range(len(permute))) else permute,
        tree.macs,
    )


def clear_cache() -> None:
    """Forget the calls of all trees."""
    lower_to_calls.cache_clear()


def _holders(tree: Tree) -> list[int]:
    """How many tensors, and the output, have each index."""
    count = [0] * len(tree.expr.sizes)
    for term in (*tree.expr.inputs, tree.expr.output):
        for i in set(term):
            count[i] += 1
    return count


def _single(term: list[int], holders: list[int], sizes: Term) -> tuple[_Single | None, Term]:
    """Diagonals of repeated indices, by a stride over the joined axes; sums of lonely ones."""
    diagonals = []
    for i in dict.fromkeys(term):
        count = term.count(i)
        if count > 1:
            axes = [axis for axis, other in enumerate(term) if other == i]
            others = [axis for axis, other in enumerate(term) if other != i]
            n = sizes[i]
            stride = sum([n**power for power in range(count)])
            term = [i, *[term[axis] for axis in others]]
            shape = (n**count, *[sizes[j] for j in term[1:]])
            diagonals.append(((*axes, *others), shape, stride))
    sums = tuple([axis for axis, i in enumerate(term) if holders[i] == 1])
    kept = tuple([i for i in term if holders[i] > 1])
    return (_Single(tuple(diagonals), sums) if diagonals or sums else None), kept


def _pair(
    a: int, b: int, c: int, terms: Sequence[Term], holders: list[int], sizes: Term
) -> tuple[_Pair, Term]:
    """The step a, b -> c; counts down the holders of the indices that both have."""
    left, right = terms[a], terms[b]
    shared = set(left) & set(right)
    for i in shared:
        holders[i] -= 1
    # in the order of the larger operand, which then is the less likely to be moved
    larger = left if len(left) >= len(right) else right
    batch = [i for i in larger if i in shared and holders[i] > 1]
    summed = [i for i in larger if i in shared and holders[i] == 1]
    rows = [i for i in left if i not in shared]
    columns = [i for i in right if i not in shared]

    def extent(term: Sequence[int]) -> int:
        return prod([sizes[i] for i in term])

    def permute(term: Term, *groups: list[int]) -> Term | None:
        order = tuple([term.index(i) for group in groups for i in group])
        return None if order == tuple(range(len(order))) else order

    several = (extent(batch),) if batch else ()
    result = (*batch, *rows, *columns)
    pair = _Pair(
        a,
        b,
        c,
        permute(left, batch, rows, summed),
        (*several, extent(rows), extent(summed)),
        permute(right, batch, summed, columns),
        (*several, extent(summed), extent(columns)),
        tuple([sizes[i] for i in result]),
        True,
        True,
    )
    return pair, result


def run_calls(tree: Tree, arrays: Sequence[Any], library: Library, progress: Any = None) -> Any:
    """Contract arrays of a library along a tree, with the functions of that library.

    Args:
        arrays: one per operand, of the shapes of the network; dtypes are promoted by the rules of
            the library, NumPy arrays and lists are read by its `asarray`.
        progress: True for a bar on stderr, or a function of (macs done, macs in all).

    Returns:
        an array of the library, on its device, through which it can differentiate.

    Raises:
        ShapeError: wrong number or shapes of operands.

    A run takes a few calls per step from Python. All intermediates that the library records for
    gradients stay in memory, also those of slices.
    """
    calls = lower_to_calls(tree)
    if not calls.shapes:
        return library.module.ones(())
    values = _operands(calls, arrays, library)
    done = 0
    total = prod(calls.extents)
    within = prod(calls.extents[calls.n_stacked :])
    pieces: list[Any] = []
    with progress_bar(progress) as report:
        for result in _results(calls, values, library):
            if done % within == 0:
                pieces.append(result)
            else:
                pieces[-1] = pieces[-1] + result
            done += 1
            if report is not None:
                report(calls.macs * done / total, calls.macs)
    result = pieces[0]
    if calls.n_stacked:
        result = library.stack(pieces)
        stacked = calls.extents[: calls.n_stacked]
        result = library.reshape(result, (*stacked, *result.shape[1:]))
    return result if calls.permute is None else library.permute(result, calls.permute)


def _operands(calls: Calls, arrays: Sequence[Any], library: Library) -> list[Any]:
    """The arrays as arrays of the library, of one dtype, checked."""
    if len(arrays) != len(calls.shapes):
        raise ShapeError(
            f"the network has {len(calls.shapes)} operands but {len(arrays)} were given"
        )
    known = ("numpy", "builtins")
    ours = [library.read(_plain(x)) if library_of(x) in known else x for x in arrays]
    for k, (x, shape) in enumerate(zip(ours, calls.shapes)):
        if tuple(x.shape) != shape:
            raise ShapeError(f"operand {k} has shape {tuple(x.shape)}, expected {shape}")
    dtypes = list(dict.fromkeys([x.dtype for x in ours]))
    if len(dtypes) == 1:
        return ours
    dtype = reduce(library.promote, dtypes)
    return [x if x.dtype == dtype else library.cast(x, dtype) for x in ours]


def _plain(x: Any) -> Any:
    """An array of NumPy without what others refuse, warn of, or crash on (as torch may where it is
    not aligned): swapped bytes, steps backwards or of no whole entries, write protection."""
    if not isinstance(x, np.ndarray):
        return x
    steps = all(s >= 0 and s % x.itemsize == 0 for s in x.strides)
    if steps and x.flags.aligned and x.flags.writeable and x.dtype.isnative:
        return x
    return np.array(x, x.dtype.newbyteorder("="), order="C")


def _results(calls: Calls, arrays: list[Any], library: Library) -> Iterator[Any]:
    """The result of every slice in turn, the last loop fastest."""
    values: list[Any] = [*arrays, *[None] * (len(arrays) - 1)]
    fixed = {k for k, _ in calls.slices}
    for k, array in enumerate(arrays):
        if k not in fixed:
            values[k] = _prepared(array, calls.singles[k], library)
    digits = [0] * len(calls.extents)
    moved = 0  # the outermost loop that moved on, plus one; all at the beginning
    while True:
        for k, cut in calls.slices:
            if moved <= 1 + max([loop for _, loop in cut]):
                where: list[Any] = [slice(None)] * len(calls.shapes[k])
                for axis, loop in cut:
                    where[axis] = digits[loop]
                values[k] = _prepared(arrays[k][tuple(where)], calls.singles[k], library)
        for level in calls.levels[moved:]:
            for pair in level:
                _step(pair, values, library)
        yield values[-1]
        loop = len(digits) - 1
        while loop >= 0 and digits[loop] + 1 == calls.extents[loop]:
            digits[loop] = 0
            loop -= 1
        if loop < 0:
            return
        digits[loop] += 1
        moved = loop + 1


def _prepared(x: Any, single: _Single | None, library: Library) -> Any:
    if single is None:
        return x
    for order, shape, stride in single.diagonals:
        x = library.reshape(library.permute(x, order), shape)[::stride, ...]
    return library.sum(x, axis=single.sums, dtype=x.dtype) if single.sums else x


def _step(pair: _Pair, values: list[Any], library: Library) -> None:
    a, b = values[pair.a], values[pair.b]
    if pair.last_a:
        values[pair.a] = None
    if pair.last_b:
        values[pair.b] = None
    if pair.permute_a is not None:
        a = library.permute(a, pair.permute_a)
    if pair.permute_b is not None:
        b = library.permute(b, pair.permute_b)
    a = library.reshape(a, pair.shape_a)
    b = library.reshape(b, pair.shape_b)
    values[pair.c] = library.reshape(library.matmul(a, b), pair.shape_c)
