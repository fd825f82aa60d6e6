"""The one road from an Expr and arrays to a number: plan or recall the plan, lower, run.

Every front door comes through `contract_expr`, or through its parts where it keeps the Program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from . import config
from .expr import Expr
from .planner import Tree
from .plans import plan_expr
from .program import Program, check_dtype, recall

__all__ = ["contract_expr"]

Array = np.ndarray[Any, Any]
Progress = bool | Callable[[float, float], object] | None
Path = str | os.PathLike[str]


class Running(NamedTuple):
    """How a run is watched, where its slices run, what is kept of them: options of `Program`."""

    progress: Progress = None
    executor: Any = None
    checkpoint: Path | None = None


def contract_expr(
    expr: Expr,
    arrays: Sequence[Any],
    *,
    out: Array | None = None,
    optimize: Any = "auto",
    memory_limit: int | str | None = None,
    max_entries: int | None = None,
    strip_exponent: bool = False,
    progress: Progress = None,
    executor: Any = None,
    checkpoint: Path | None = None,
    dtype: DTypeLike | None = None,
    seed: int = 0,
) -> Any:
    """Plan (or recall the plan), lower and run: the one road that every front door takes.

    Args:
        arrays: one array or array-like per operand, of shapes ``expr.shapes``.
        out: takes the result, whatever its strides, even if it shares memory with an operand.
        memory_limit, max_entries: as in `plan_expr`.
        progress, executor, checkpoint: of the run, as in `Program`.
        dtype: of the computation; by default NumPy's result type of the operands.

    Returns:
        an ndarray of shape ``expr.output_shape``, or ``(mantissa, exponent)`` of a value
        mantissa * 2**exponent if `strip_exponent`.

    Raises:
        ShapeError, TypeError: arrays or `out` that do not fit the network or the dtype.
        MemoryLimitError: the limit, or the memory there is, is too small.
    """
    operands = [x if type(x) is np.ndarray else np.asarray(x) for x in arrays]
    dtypes = [a.dtype for a in operands]
    target = result_dtype(dtypes, dtype, "same_kind")
    program = find_program(expr, target, optimize, seed, memory_limit, max_entries, strip_exponent)
    running = Running(progress, executor, checkpoint)
    return run_program(program, converted(operands, target), out, "same_kind", running)


def find_program(
    expr: Expr,
    dtype: np.dtype[Any],
    optimize: Any = "auto",
    seed: int = 0,
    memory_limit: int | str | None = None,
    max_entries: int | None = None,
    strip_exponent: bool = False,
) -> Program:
    """The Program of a network: planner and compiler recall what they made with these options."""
    optimize = hashable_optimize(optimize)

    def make() -> Program:
        return plan_expr(
            expr,
            optimize,
            seed=seed,
            memory_limit=memory_limit,
            max_entries=max_entries,
            dtype=dtype,
            strip_exponent=strip_exponent,
            cache_slices=isinstance(optimize, (str, bool)),
        ).compile()

    if not isinstance(optimize, (str, bool, tuple, Tree)):
        return make()  # an optimizer may find something else in every call
    limits = memory_limit, max_entries, config.get_num_threads()
    return recall((expr, dtype, optimize, seed, strip_exponent, *limits), make)


_PLAINLY = Running()


def run_program(
    program: Program,
    arrays: Sequence[Array],
    out: Array | None = None,
    casting: Any = "same_kind",
    running: Running = _PLAINLY,
) -> Any:
    """Run, with `casting` instead of the Program's own rule for what `out` may hold."""
    if out is None or not isinstance(out, np.ndarray):
        return program(*arrays, out=out, **running._asdict())
    if not np.can_cast(program.dtype, out.dtype, casting):
        raise TypeError(
            f"the result of dtype {program.dtype} cannot be cast to out of dtype {out.dtype} "
            f"with casting={casting!r}"
        )
    if reads(out.dtype, program.dtype):
        return program(*arrays, out=out, **running._asdict())
    result = np.empty(out.shape, program.dtype)  # an unsafe cast, which the caller asked for
    returned = program(*arrays, out=result, **running._asdict())
    np.copyto(out, result, casting=casting)
    return (out, returned[1]) if isinstance(returned, tuple) else out


def result_dtype(
    dtypes: Sequence[np.dtype[Any]], dtype: DTypeLike | None, casting: Any
) -> np.dtype[Any]:
    """NumPy's result type of operands of these dtypes, or `dtype` if they may be cast to it.

    Raises:
        TypeError: a dtype without kernels, or a cast that `casting` forbids; names the operand.
    """
    distinct = dict.fromkeys(dtypes)
    if dtype is None:
        for each in distinct:
            try:
                check_dtype(each)
            except TypeError as error:
                raise TypeError(f"operand {dtypes.index(each)}: {error}") from None
    target = np.result_type(*distinct) if dtype is None else check_dtype(dtype)
    for each in distinct:
        if not np.can_cast(each, target, casting):
            raise TypeError(
                f"operand {dtypes.index(each)} of dtype {each} cannot be cast to {target} "
                f"with casting={casting!r}"
            )
    native: np.dtype[Any] = target.newbyteorder("=")
    return native


def check_out(out: Any) -> np.dtype[Any]:
    """The dtype of `out`, which has its say in the result type.

    Raises:
        TypeError: no array, or of a dtype without kernels.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    return check_dtype(out.dtype)


def reads(target: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    """Does a Program of dtype `target` take operands of this dtype?"""
    return dtype == target or np.can_cast(dtype, target, "same_kind")


def converted(arrays: Sequence[Array], dtype: np.dtype[Any]) -> list[Array]:
    """The arrays, those that a Program of this dtype would refuse converted."""
    return [a if reads(dtype, a.dtype) else a.astype(dtype) for a in arrays]


def drop_axes(arrays: Sequence[Array], dropped: Sequence[Sequence[int]]) -> list[Array]:
    """Views without these axes, all of size 1: what stretches is simply not on the operand."""
    return [
        a[tuple([0 if k in axes else slice(None) for k in range(a.ndim)])] if axes else a
        for a, axes in zip(arrays, dropped)
    ]


def finished(result: Any, reverse: bool) -> Any:
    """A result as einsum returns it: axes in order, a NumPy scalar if there are none."""
    if isinstance(result, tuple):
        return finished(result[0], reverse), result[1]
    if reverse:
        result = result.T
    return result if result.ndim else result[()]


def is_fortran(order: str, arrays: Sequence[Array]) -> bool:
    """Does this `order` of einsum ask for a result in Fortran order, given the operands?

    Raises:
        ValueError: no such order.
    """
    if order == "K":
        return False
    if order not in ("C", "F", "A", "c", "f", "a", "k"):
        raise ValueError(f"order must be one of 'C', 'F', 'A' or 'K', not {order!r}")
    return order in "Ff" or (order in "Aa" and all(a.flags.fnc for a in arrays))


def hashable_optimize(optimize: Any) -> Any:
    """`optimize` in the form that caches know it by: a path as a tuple, a Plan as its Tree."""
    if optimize is None:
        return False
    if isinstance(optimize, list):
        steps = optimize[1:] if optimize[:1] == ["einsum_path"] else optimize
        return tuple([tuple(step) for step in steps])
    return getattr(optimize, "tree", optimize)


def check_backend(backend: str | None) -> None:
    """Raise a ValueError unless the arrays are to be NumPy's."""
    if backend not in (None, "auto", "numpy"):
        raise ValueError(f"backend {backend!r} is not there: tensornet computes on NumPy arrays")
