"""The one road from an Expr and arrays to a number: plan or recall the plan, lower, run.

Every front door comes through `contract_expr`, or through its parts where it keeps the Program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import DTypeLike

from . import config
from .arrays import Array, as_arrays, converted, reads, result_dtype
from .config import parse_bytes
from .errors import MemoryLimitError
from .expr import Expr
from .planner import Tree, unwrapped
from .planning import plan_expr
from .program import Program, recall
from .progress import Progress
from .tape import any_tensor, apply

__all__ = ["contract_expr"]

T = TypeVar("T")
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
    key: Hashable = None,
) -> Any:
    """Plan (or recall the plan), lower and run: the one road that every front door takes.

    Args:
        arrays: one array, Tensor or array-like per operand, of shapes ``expr.shapes``.
        out: takes the result, whatever its strides, even if it shares memory with an operand.
        memory_limit, max_entries: as in `plan_expr`.
        progress, executor, checkpoint: of the run, as in `Program`.
        dtype: of the computation; by default NumPy's result type of the operands.
        key: what `recalled` will know this contraction by, if the options are in it.

    Returns:
        an ndarray of shape ``expr.output_shape``, or ``(mantissa, exponent)`` of a value
        mantissa * 2**exponent if `strip_exponent`; a Tensor in its place if an operand is one and
        there is no `out`.

    Raises:
        ShapeError, TypeError: arrays or `out` that do not fit the network or the dtype.
        MemoryLimitError: the limit, or the memory there is, is too small.
    """
    if out is None and any_tensor(arrays):
        limits = {"memory_limit": memory_limit, "max_entries": max_entries, "seed": seed}
        chosen = {"optimize": optimize, "strip_exponent": strip_exponent, "dtype": dtype}
        running = Running(progress, executor, checkpoint)._asdict()
        return apply(contract_operands, (expr, *arrays), {**chosen, **limits, **running})
    operands = as_arrays(arrays)
    dtypes = [a.dtype for a in operands]
    target = result_dtype(dtypes, dtype, "same_kind")
    ready = converted(operands, target)
    program = find_within(
        memory_limit,
        lambda limit: find_program(
            expr, target, optimize, seed, limit, max_entries, strip_exponent
        ),
        partial(memory_of_run, operands, ready, out),
    )
    if key is not None:
        if len(_latest) >= _RECALLED:
            _latest.clear()
        _latest[key] = ref(program), config.get_num_threads()
    return run_program(program, ready, out, "same_kind", Running(progress, executor, checkpoint))


def contract_operands(expr: Expr, *operands: Any, **options: Any) -> Any:
    """`contract_expr` as an operation, whose operands are arguments of their own."""
    return contract_expr(expr, operands, **options)


# The Program of the latest contraction with some key, if it is still there, and the number of
# threads then. It need not fit the next one: it looks at dtypes and shapes itself.
_latest: dict[Hashable, tuple[ref[Program], int]] = {}
_RECALLED = 256  # how many of them


def recalled(key: Hashable, arrays: tuple[Any, ...]) -> Array | None:
    """The result of a small contraction that was made before with this key; None for others.

    Costs about a dictionary lookup. The arrays may be others than then, even of other shapes.
    """
    found = _latest.get(key)
    if found is None or found[1] != config.get_num_threads():
        return None
    program = found[0]()
    return None if program is None else program.quick(arrays)


def clear_cache() -> None:
    """Forget what `recalled` knows."""
    _latest.clear()


def find_program(
    expr: Expr,
    dtype: np.dtype[Any],
    optimize: Any = "auto",
    seed: int = 0,
    memory_limit: int | str | None = None,
    max_entries: int | None = None,
    strip_exponent: bool = False,
    minimize: str = "macs",
) -> Program:
    """The Program of a network: planner and compiler recall what they made with these options."""
    optimize = hashable_optimize(optimize)

    def make() -> Program:
        return plan_expr(
            expr,
            optimize,
            minimize=minimize,
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
    return recall((expr, dtype, optimize, minimize, seed, strip_exponent, *limits), make)


def find_within(
    memory_limit: int | str | None, find: Callable[[Any], T], needs: Callable[[T], int]
) -> T:
    """What `find(bytes)` finds to run, if a run on the arrays at hand keeps to the limit.

    Args:
        find: makes a Program, or something around one, for operands in C order.
        needs: bytes of a run on the operands that there are, converted copies included.

    Raises:
        MemoryLimitError: nothing does.
    """
    found = find(memory_limit)
    limit = parse_bytes(memory_limit)
    if limit is None:
        return found
    allowed = limit
    while (excess := needs(found) - limit) > 0:
        allowed -= excess
        besides = f"besides, the dtypes and strides of these arrays take {limit - allowed:,} bytes"
        if allowed < 1:
            raise MemoryLimitError(f"{limit:,} bytes are too few: {besides}")
        try:
            found = find(allowed)
        except MemoryLimitError as error:
            raise MemoryLimitError(f"{error}; {besides}") from None
    return found


def memory_of_run(
    arrays: Sequence[Array], ready: Sequence[Array], out: Array | None, program: Program
) -> int:
    """Bytes of `run_program` on arrays made ready: copies made on the way included."""
    copied = sum([b.nbytes for a, b in zip(arrays, ready) if b is not a])
    castable = out is None or reads(out.dtype, program.dtype)
    return copied + program.memory_for(*ready, out=out if castable else None)


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
    return unwrapped(optimize)
