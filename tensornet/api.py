"""The front doors for arrays: einsum, tensordot, ncon, and plan for a network without arrays."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from . import backends, config, planner, program, road
from .arrays import (
    Array,
    as_array,
    as_arrays,
    check_backend,
    check_out,
    converted,
    drop_axes,
    reads,
    result_dtype,
    view_of,
)
from .errors import ShapeError
from .expr import Equation, bind_equation, from_labels, from_shapes, parse_einsum, parse_ncon
from .expression import ContractExpression, contract_expression
from .planner import Tree
from .planning import plan_expr
from .plans import Plan
from .progress import Progress
from .road import (
    Path,
    Running,
    contract_expr,
    find_program,
    find_within,
    finished,
    hashable_optimize,
    is_fortran,
    memory_of_run,
    recalled,
    run_program,
)
from .tape import Tensor, any_tensor, apply, as_operands

__all__ = [
    "ContractExpression",
    "Plan",
    "clear_cache",
    "contract_expr",
    "contract_expression",
    "einsum",
    "ncon",
    "plan",
    "plan_expr",
    "tensordot",
]


_SMALL = 64  # operands up to which an einsum is recalled by its subscripts and shapes alone
_RECALLED = 256  # how many of them
_OPTIONS = (
    *("optimize", "dtype", "order", "casting", "memory_limit", "strip_exponent", "minimize"),
    *("progress", "executor", "checkpoint"),
)
_PLAIN = (str, bool, tuple, Tree)  # kinds of `optimize` that mean the same in every call


class _Compiled(NamedTuple):
    """All that a repeated einsum needs to know beyond its arrays."""

    program: program.Program
    dropped: tuple[tuple[int, ...], ...] | None  # stretched axes of size 1, per operand
    converts: bool  # an operand has a dtype or byte order that the Program does not read
    is_view: bool  # one operand, nothing to compute: NumPy returns a view


def einsum(
    *operands: Any,
    out: Array | None = None,
    optimize: Any = "auto",
    dtype: DTypeLike | None = None,
    order: str | None = "K",
    casting: Any = "safe",
    memory_limit: int | str | None = None,
    strip_exponent: bool = False,
    minimize: str = "macs",
    progress: Progress = None,
    executor: Any = None,
    checkpoint: Path | None = None,
) -> Any:
    """Einstein summation with NumPy's syntax and results, over as many operands as you like.

    Args:
        operands: ``("ij,jk->ik", a, b)`` or ``(a, [0, 1], b, [1, 2], [0, 2])``. Any letters,
            any number of them; an index may be on three or more operands; "..." broadcasts.
        out: array of the result's shape that takes the result; it may be an operand.
        optimize: a search ("auto", "greedy", any opt_einsum name), a path, an opt_einsum or
            cotengra optimizer, or a Plan.
        dtype: of the computation; by default NumPy's result type of operands and `out`.
        order: layout of a new result: "C", "F", "A" (F if all operands are), "K" or None
            (any).
        casting: which casts of the operands to `dtype`, and of the result to `out`, are allowed.
        memory_limit: bytes that the contraction may allocate, or text such as "512MB"; it is
            sliced until it fits.
        strip_exponent: return ``(mantissa, exponent)`` with the value mantissa * 2**exponent,
            so that nothing overflows on the way.
        minimize: what the search makes small, as in `plan`.
        progress: True for a bar on stderr, or a callable ``(done, total)``.
        executor, checkpoint: where slices run, and a file to continue from, as in `Program`.

    Returns:
        an array, a NumPy scalar if the result has no axes, or `out`. As in NumPy, a single
        operand whose axes are only reordered or put on a diagonal comes back as a view.

    Raises:
        ShapeError: malformed subscripts, or shapes that do not fit them.
        TypeError: a dtype without kernels, or a cast that `casting` forbids.
        MemoryLimitError: the limit, or the memory there is, is too small.

    Complexity: pairwise, as the plan says; a repeated small call costs about a dictionary lookup.

    >>> float(einsum("i,ij,j->", [1.0, 2.0], [[1.0, 0.0], [0.0, 3.0]], [1.0, 2.0]))
    13.0
    """
    usual = (
        optimize == "auto"
        and dtype is None
        and (order == "K" or order == "C")
        and casting == "safe"
        and memory_limit is None
        and not strip_exponent
        and minimize == "macs"
        and type(operands[0] if operands else None) is str
    )
    if usual:
        latest = _latest.get(operands[0])
        if latest is not None and latest[1] == config.get_num_threads():
            found, _, is_view = latest
            arrays = operands[1:]
            result = None
            if is_view and out is None and order == "K":
                if found.accepts(arrays):
                    return finished(view_of(arrays[0], found.tree.expr), False)
            elif progress is None and executor is None and checkpoint is None:
                result = found.quick(arrays, out)
            fits = out is None or (type(out) is ndarray and out.dtype == found.dtype)
            if result is None and fits and found.accepts(arrays):
                result = found(
                    *arrays, out=out, progress=progress, executor=executor, checkpoint=checkpoint
                )
            if result is not None:
                return result if result.ndim or out is not None else result[()]
    options = (optimize, dtype, order or "K", casting, memory_limit, strip_exponent, minimize)
    if out is None and any_tensor(operands):
        named = dict(zip(_OPTIONS, (*options, progress, executor, checkpoint)))
        return apply(einsum, operands, named)
    return _einsum(operands, out, Running(progress, executor, checkpoint), usual, *options)


# The Program of the latest plain einsum with some subscripts, the number of threads then, and if
# the result is a view unless `out` takes it.
_latest: dict[str, tuple[program.Program, int, bool]] = {}


def _einsum(
    operands: tuple[Any, ...],
    out: Array | None,
    running: Running,
    usual: bool,
    optimize: Any,
    dtype: DTypeLike | None,
    order: str,
    casting: Any,
    memory_limit: int | str | None,
    strip_exponent: bool,
    minimize: str,
) -> Any:
    """einsum with any operands and options; `usual` ones are remembered in `_latest`."""
    source: str | Equation
    given: Sequence[Any]
    if operands and isinstance(operands[0], str):
        source, given = operands[0], operands[1:]
    else:
        source, given = parse_einsum(operands)
    arrays = as_arrays(given)
    dtypes = [a.dtype for a in arrays]
    if out is not None and dtype is None:
        dtypes.append(check_out(out))
    reverse = is_fortran(order, arrays) and out is None
    optimize = hashable_optimize(optimize)
    small = len(arrays) <= _SMALL and isinstance(optimize, _PLAIN)
    threads = config.get_num_threads()
    find = partial(
        _compile if small else _compile.__wrapped__,
        source,
        tuple([a.shape for a in arrays]),
        tuple(dtypes),
        optimize,
        None if dtype is None else np.dtype(dtype),
        casting,
        strip_exponent,
        minimize,
        reverse,
        threads,
    )
    compiled = find(memory_limit)
    if compiled.dropped is not None:
        arrays = drop_axes(arrays, compiled.dropped)
    elif usual and small and compiled.program.accepts(tuple(arrays)):
        if len(_latest) >= _RECALLED:
            _latest.clear()
        _latest[operands[0]] = compiled.program, threads, compiled.is_view
    if compiled.is_view and out is None and order in "KAka":
        return finished(view_of(arrays[0], compiled.program.tree.expr), reverse)
    ready = converted(arrays, compiled.program.dtype) if compiled.converts else arrays
    if memory_limit is not None:
        needs = partial(memory_of_run, arrays, ready, out)
        compiled = find_within(memory_limit, find, lambda found: needs(found.program))
    result = run_program(compiled.program, ready, out, casting, running)
    return result if out is not None else finished(result, reverse)


@lru_cache(maxsize=_RECALLED)
def _compile(
    source: str | Equation,
    shapes: tuple[tuple[int, ...], ...],
    dtypes: tuple[np.dtype[Any], ...],
    optimize: Any,
    dtype: np.dtype[Any] | None,
    casting: Any,
    strip_exponent: bool,
    minimize: str,
    reverse: bool,
    threads: int,
    memory_limit: int | str | None,
) -> _Compiled:
    """Parse, plan and lower an einsum; `dtypes` may hold that of `out` behind the operands'."""
    equation = parse_einsum((source, *shapes))[0] if isinstance(source, str) else source
    expr, _, dropped = bind_equation(equation, shapes)
    target = result_dtype(dtypes[: len(shapes)], dtype, casting)
    if dtype is None and len(dtypes) > len(shapes):
        target = result_dtype(dtypes, None, casting)
    kept = dtypes[0].newbyteorder("=") if dtype is None else dtypes[0]
    in_place = len(shapes) == 1 and len(expr.output) == len(expr.sizes) and kept == target
    if reverse:
        expr = replace(expr, output=expr.output[::-1])
    found = find_program(
        expr,
        target,
        optimize,
        memory_limit=memory_limit,
        strip_exponent=strip_exponent,
        minimize=minimize,
    )
    converts = any(not reads(target, each) for each in dtypes)
    return _Compiled(found, dropped, converts, in_place and not strip_exponent)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum products over pairs of axes of two arrays, with NumPy's meaning of `axes`.

    Args:
        axes: N for the last N axes of `a` with the first N of `b`, or a pair
            ``(axes of a, axes of b)`` of which each is an axis or a sequence of axes.

    Returns:
        an array whose axes are the remaining ones of `a`, then those of `b`.

    Raises:
        ShapeError: axes that do not exist, repeat, or disagree in number or extent.

    >>> tensordot(np.ones((2, 3)), np.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    if type(a) is not ndarray or type(b) is not ndarray:
        if type(a) is Tensor or type(b) is Tensor:
            return apply(tensordot, (a, b, axes))
        a, b = as_array(a, "a"), as_array(b, "b")
    if type(axes) is not int:
        axes = _axes_pair(axes)
    compiled = _compile_tensordot(
        a.shape, b.shape, a.dtype, b.dtype, axes, config.get_num_threads()
    )
    result = compiled.program.quick((a, b))
    if result is not None:
        return result
    arrays = converted((a, b), compiled.program.dtype) if compiled.converts else (a, b)
    return run_program(compiled.program, arrays)


@lru_cache(maxsize=_RECALLED)
def _compile_tensordot(
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    a_dtype: np.dtype[Any],
    b_dtype: np.dtype[Any],
    axes: int | tuple[tuple[int, ...], tuple[int, ...]],
    threads: int,
) -> _Compiled:
    a_rank, b_rank = len(a_shape), len(b_shape)
    if isinstance(axes, int):
        if not 0 <= axes <= min(a_rank, b_rank):
            raise ShapeError(
                f"axes={axes} needs that many axes on both arrays, shapes {a_shape} and {b_shape}"
            )
        pairs = (tuple(range(a_rank - axes, a_rank)), tuple(range(axes)))
    else:
        pairs = _checked_axes("a", a_shape, axes[0]), _checked_axes("b", b_shape, axes[1])
    if len(pairs[0]) != len(pairs[1]):
        raise ShapeError(f"axes pairs {len(pairs[0])} axes of a with {len(pairs[1])} axes of b")
    b_term = list(range(a_rank, a_rank + b_rank))
    for left, right in zip(*pairs):
        if a_shape[left] != b_shape[right]:
            raise ShapeError(
                f"axis {left} of a has extent {a_shape[left]} but axis {right} of b, with which "
                f"it is summed, has {b_shape[right]} (shapes {a_shape} and {b_shape})"
            )
        b_term[right] = left
    output = [k for k in (*range(a_rank), *b_term) if k not in pairs[0]]
    expr = from_shapes([range(a_rank), b_term], output, [a_shape, b_shape])
    target = result_dtype((a_dtype, b_dtype), None, "safe")
    converts = not (reads(target, a_dtype) and reads(target, b_dtype))
    return _Compiled(find_program(expr, target), None, converts, False)


def _axes_pair(axes: Any) -> int | tuple[tuple[int, ...], ...]:
    try:
        if not isinstance(axes, (list, tuple)) and np.ndim(axes) == 0:
            return as_int(axes)
        left, right = axes
        return _axes_of(left), _axes_of(right)
    except (TypeError, ValueError):
        raise ShapeError(
            f"axes must be a number, or a pair (axes of a, axes of b), not {axes!r}"
        ) from None


def _axes_of(given: Any) -> tuple[int, ...]:
    if isinstance(given, int):
        return (given,)
    if isinstance(given, (list, tuple)) or np.ndim(given):
        return tuple(map(as_int, given))
    return (as_int(given),)


def _checked_axes(name: str, shape: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    rank = len(shape)
    for axis in axes:
        if not -rank <= axis < rank:
            raise ShapeError(f"{name} has no axis {axis}: it has {rank} axes (shape {shape})")
    positive = tuple([axis % rank for axis in axes])
    if len(set(positive)) != len(positive):
        raise ShapeError(f"axes {tuple(axes)} of {name} name an axis twice (shape {shape})")
    return positive


def ncon(
    tensors: Sequence[Any],
    network_structure: Sequence[Sequence[int | str]],
    con_order: Sequence[int | str] | None = None,
    out_order: Sequence[int | str] | None = None,
    check_network: bool = True,
    backend: str | None = None,
    *,
    progress: Progress = None,
    executor: Any = None,
    checkpoint: Path | None = None,
) -> Any:
    """Contract a network written as one list of labels per tensor.

    Negative numbers and strings that start with "-" are open labels: they stay, also if several
    tensors share them (batch labels). All other labels are summed.

    Args:
        con_order: every summed label, in the order in which to contract; planned if left out.
        out_order: the open labels in the order of the result's axes; by default -1, -2, ...,
            then the strings alphabetically.
        check_network: False lets `con_order` be incomplete and labels be of any characters.
        backend: None or "numpy", the only arrays that the kernels take.
        progress, executor, checkpoint: of the run, as in `Program`.

    Raises:
        ShapeError: labels, orders and shapes that do not fit together.

    >>> ncon([np.eye(2), np.ones((2, 3))], [[-1, 1], [1, -2]]).shape
    (2, 3)
    """
    check_backend(backend)
    key = None
    planned = con_order is None and out_order is None and check_network
    if planned and progress is None and executor is None and checkpoint is None:
        tensors = tuple(tensors)
        key = _ncon_key(network_structure)
        result = None if key is None else recalled(key, tensors)
        if result is not None:
            return result
    operands = as_operands(tensors)
    shapes = [a.shape for a in operands]
    expr, path = parse_ncon(shapes, network_structure, con_order, out_order, check_network)
    optimize = "auto" if path is None else Tree.from_ssa_path(expr, path)
    running = Running(progress, executor, checkpoint)
    return contract_expr(expr, operands, optimize=optimize, key=key, **running._asdict())


def _ncon_key(network_structure: Sequence[Sequence[int | str]]) -> Hashable:
    """What a plain ncon is recalled by; None for what is no network or too large."""
    try:
        terms = tuple(map(tuple, network_structure))
        hash(terms)
    except TypeError:
        return None
    known = str not in map(type, network_structure) and len(terms) <= _SMALL
    return ("ncon", terms) if known else None


def plan(
    inputs: Sequence[Sequence[Hashable]],
    output: Iterable[Hashable],
    sizes: Mapping[Hashable, int],
    optimize: Any = "auto",
    *,
    minimize: str = "macs",
    seed: int = 0,
    max_time: float | None = None,
    max_steps: int | None = None,
    memory_limit: int | str | None = None,
    dtype: DTypeLike = "float64",
    threads: int | None = None,
    progress: bool = False,
    cache: str | os.PathLike[str] | None = None,
    constants: Collection[int] = (),
    runs: int = 1,
) -> Plan:
    """Plan the contraction of a network that is given by labels and extents, without arrays.

    Args:
        inputs: the labels of each tensor, such as ``["ab", "bc"]`` or ``[(0, 1), (1, 2)]``.
        output: the labels of the result.
        sizes: the extent of each label.
        optimize: as for `einsum`.
        minimize: what the search makes small: "macs", "size" (of the largest intermediate),
            "write" (entries of all of them), "combo" (macs + 64 * write), "time" (of a run).
        memory_limit: bytes that a run may allocate, or text such as "512MB"; the plan is sliced
            until it fits.
        seed, max_time, max_steps, progress: of the search; seconds, and samples of the search.
        dtype, threads: what the memory is computed for.
        cache: a folder in which the trees that our searches find are kept, improved, and shared
            by processes; by default the one that TENSORNET_PLAN_CACHE names, if it is set.
        constants, runs: plan for so many runs of `Program.map` that have the operands at these
            positions in common: they are contracted among themselves as far as that pays.

    Raises:
        ShapeError: a label without an extent, or an output label that is on no tensor.
        PlanError: `optimize` names no search, or its path does not contract this network.
        MemoryLimitError: no slicing is enough; the message says the smallest limit that would do.

    >>> plan(["ab", "bc", "ca"], "", {"a": 2, "b": 3, "c": 4}).macs
    30
    """
    if isinstance(inputs, str):
        raise ShapeError(f"inputs must be one term per tensor, such as {inputs.split(',')}")
    terms = [tuple(term) for term in inputs]
    made = plan_expr(
        from_labels(terms, output, sizes),
        optimize,
        minimize=minimize,
        seed=seed,
        max_time=max_time,
        max_steps=max_steps,
        memory_limit=memory_limit,
        dtype=dtype,
        threads=threads,
        progress=progress,
        cache=cache,
        constants=constants,
        runs=runs,
    )
    return replace(made, labels=tuple(dict.fromkeys(chain.from_iterable(terms))))


def clear_cache() -> None:
    """Forget every plan and Program that a front door keeps for the next call."""
    _latest.clear()
    _compile.cache_clear()
    _compile_tensordot.cache_clear()
    road.clear_cache()
    backends.clear_cache()
    planner.clear_cache()
    program.clear_cache()
