"""Many runs of one program: what only constants enter is contracted once, before the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from .arrays import Array
from .errors import ShapeError
from .planner import Fold, Tree
from .progress import Progress, progress_bar

__all__ = ["Shared", "contract_folds", "entries_of_folds", "run_batches"]


class Runs(Protocol):
    """What a batch needs of a Program."""

    tree: Tree
    dtype: np.dtype[Any]
    strip_exponent: bool
    macs: int

    @property
    def quick(self) -> Callable[..., Array | None]: ...

    def __call__(self, *arrays: Any, out: Array | None = ..., progress: Any = ...) -> Any: ...


class Shared(NamedTuple):
    """The results of folds: their product is ``arrays`` times ``2**exponent``."""

    arrays: tuple[Array, ...]
    exponent: float


def entries_of_folds(dtype: np.dtype[Any], limit: int | None) -> int | None:
    """How many entries folds may have: none of float16, which runs compute in float32."""
    return 0 if dtype == np.float16 else limit


def contract_folds(
    folds: Sequence[Fold], constants: Mapping[int, Array], compiled: Callable[[Tree], Runs]
) -> Shared:
    """Contract each fold with the program that `compiled` makes of its tree."""
    arrays, total = [], 0.0
    for fold in folds:
        expr = fold.tree.expr
        if expr.inputs == (expr.output,):  # nothing to compute
            arrays.append(np.asarray(constants[fold.operands[0]], order="C"))
            continue
        result = compiled(fold.tree)(*[constants[k] for k in fold.operands])
        if isinstance(result, tuple):
            result, exponent = result
            total += exponent
        arrays.append(result)
    return Shared(tuple(arrays), total)


def run_batches(
    program: Runs,
    batches: Iterable[Sequence[Any]],
    count: int | None,
    shared: Shared,
    out: Array | None = None,
    progress: Progress = None,
) -> Any:
    """Run a program on (arrays of each batch, shared arrays); results side by side.

    Args:
        batches: read one after the other.
        count: how many there are; None if that is not known, `out` then tells.
        out: takes the results along its first axis.
        progress: True for a bar on stderr, or a function of (macs done, macs in all).

    Returns:
        the results, of shape (runs, *shape of one), or (mantissas, exponents) if the program
        strips them.

    Raises:
        ShapeError: arrays that do not fit, naming the run; another number of runs than `out` has.
    """
    shape = program.tree.expr.output_shape
    if count is None:
        if not isinstance(out, np.ndarray) or not out.ndim:
            raise ShapeError("batches without a length need out=, an array with a row per run")
        count = len(out)
    if out is None:
        out = np.empty((count, *shape), program.dtype)
    elif not isinstance(out, np.ndarray) or out.shape != (count, *shape):
        given = out.shape if isinstance(out, np.ndarray) else type(out).__name__
        raise ShapeError(f"out must be an array of shape {(count, *shape)}, not {given}")
    exponents = np.full(count, shared.exponent) if program.strip_exponent else None
    done = 0
    with progress_bar(progress) as report:
        for given in batches:
            if done == count:
                raise ShapeError(f"out has room for {count} runs, but there are more batches")
            result = _run(program, given, shared, out[done, ...], done, report, count)
            if exponents is not None:
                exponents[done] += result[1]
            done += 1
            if report is not None:
                report(done * program.macs, count * program.macs)
    if done < count:
        raise ShapeError(f"{count} runs were expected, but there are {done} batches")
    return out if exponents is None else (out, exponents)


def _run(
    program: Runs,
    given: Sequence[Any],
    shared: Shared,
    target: Array,
    number: int,
    report: Callable[[float, float], object] | None,
    count: int,
) -> Any:
    arrays = (*given, *shared.arrays)
    result = program.quick(arrays, target)
    if result is not None:
        return result
    expected = len(program.tree.expr.inputs) - len(shared.arrays)
    if len(given) != expected:
        raise ShapeError(
            f"batch {number} has {len(given)} arrays, expected {expected}: one for each operand "
            f"that is not constant"
        )

    def part(macs: float, total: float) -> object:
        return None if report is None else report(number * total + macs, count * total)

    try:
        return program(*arrays, out=target, progress=None if report is None else part)
    except (ShapeError, TypeError) as error:
        raise type(error)(f"batch {number}: {error}") from None
