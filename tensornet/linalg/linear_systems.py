"""GMRES: linear systems over any linear map (Saad & Schultz 1986)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from .maps import LinearMap, Rows, leave, norm_of
from .matrices import check_finite, enter, work_dtype

__all__ = ["gmres"]

# The estimate of the residual within a round is exact but for rounding; this is left for that.
_MARGIN = 0.99


def gmres(
    A_mv: Callable[..., Any],
    b: Any,
    A_args: Sequence[Any] | None = None,
    x0: Any = None,
    tol: float = 1e-5,
    atol: float | None = None,
    num_krylov_vectors: int | None = None,
    maxiter: int | None = 1,
    M: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """Solve ``A x = b`` by GMRES with restarts, for any linear map A.

    The residual ``|b - A x|`` is minimised over the space of ``r, A r, A A r, ...``, made of
    orthogonal vectors, where r is the residual at the start of the round.

    Args:
        A_mv: called as ``A_mv(x, *A_args)``, with an array x of the shape of `b`, returns one of
            that shape. It must be linear.
        b: the right side, of any shape.
        A_args: further arguments of `A_mv`.
        x0: where to start, of the shape and dtype of `b`; zeros by default.
        tol: the residual relative to ``|b|`` that is good enough.
        atol: the absolute residual that is good enough, `tol` by default. The larger one counts:
            pass 0 to solve for a small `b`.
        num_krylov_vectors: the most vectors in a round, at most (and by default) ``b.size``. Memory
            is taken as they come, 8 at first.
        maxiter: the most rounds.
        M: an approximate inverse of A as a function of an array. The space is then made with
            ``A M``; residuals are those of the system itself.

    Returns:
        ``(x, info)``: x in the shape of `b`; `info` is 0 if the residual is good enough (it is
        computed afresh from x), and otherwise the number of rounds. A round that gains nothing is
        the last.

    Raises:
        ValueError: a negative `tol` or `atol`, `num_krylov_vectors` not from 1 to ``b.size``,
            `maxiter` below 1, another shape of `x0` or of a result, NaN or infinity.
        TypeError: another dtype of `x0`, `A_mv` or `M` not callable, a dtype without kernels.

    Cost: one product per vector and one more per round, and O(num_krylov_vectors * b.size) beside
    each.

    >>> matrix = np.array([[4.0, 1.0], [2.0, 3.0]])
    >>> x, info = gmres(lambda x: matrix @ x, np.array([1.0, 2.0]), tol=1e-12)
    >>> x.round(12).tolist(), info
    ([0.1, 0.6], 0)
    """
    right = enter(b, "b")
    check_finite(right, "b")
    shape, dtype = right.shape, right.dtype
    size, rounds = _check_counts(num_krylov_vectors, maxiter, right.size)
    flat = right.astype(work_dtype(dtype)[0], copy=False).ravel()
    linear_map = LinearMap(A_mv, A_args, shape, "A_mv")
    inverse = None if M is None else LinearMap(M, None, shape, "M")
    target = _check_tolerance(tol, atol, norm_of(flat))
    x = np.zeros_like(flat) if x0 is None else _guess(x0, shape, dtype).astype(flat.dtype)
    residual = flat if x0 is None else flat - linear_map(x)
    left, done = norm_of(residual), 0
    while left > target and done < rounds:
        done += 1
        step = _round(linear_map, inverse, residual, size, target)
        better = x + (step if inverse is None else inverse(step))
        residual = flat - linear_map(better)
        before, left = left, norm_of(residual)
        if left >= before:
            break
        x = better
    return leave(x.reshape(shape)), 0 if left <= target else done


def _check_counts(vectors: int | None, rounds: int | None, entries: int) -> tuple[int, int]:
    """(vectors in a round, rounds) as numbers; ValueError if they make no sense."""
    size = entries if vectors is None else vectors
    if vectors is not None and not 0 < vectors <= entries:
        raise ValueError(
            f"num_krylov_vectors is {vectors}; it must be at least 1 and at most {entries}, the "
            "number of entries of b"
        )
    rounds = 1 if rounds is None else rounds
    if rounds < 1:
        raise ValueError(f"maxiter is {rounds}; it must be at least 1")
    return size, rounds


def _check_tolerance(tol: float, atol: float | None, size: float) -> float:
    """The residual that is good enough for a right side of this norm."""
    if atol is None:
        atol = tol
    if not (tol >= 0 and atol >= 0):
        raise ValueError(f"tol is {tol} and atol is {atol}; they must not be negative")
    return max(tol * size, atol)


def _guess(x0: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    array = enter(x0, "x0")
    if array.shape != shape:
        raise ValueError(f"x0 has shape {array.shape}, but b has {shape}; they must be the same")
    if array.dtype != dtype:
        raise TypeError(f"x0 has dtype {array.dtype}, but b has {dtype}; they must be the same")
    check_finite(array, "x0")
    return array.ravel()


def _round(
    linear_map: LinearMap,
    inverse: LinearMap | None,
    residual: Array,
    size: int,
    target: float,
) -> Array:
    """The combination of at most `size` vectors whose image comes closest to `residual`."""
    rows = Rows(residual / norm_of(residual))
    rotations: list[tuple[float, complex]] = []
    columns: list[list[complex]] = []
    rest: list[complex] = [norm_of(residual)]
    scale = 0.0
    for k in range(size):
        vector = rows[k] if inverse is None else inverse(rows[k])
        image = linear_map(vector)
        scale = max(scale, norm_of(image))
        coefficients, new = rows.project_out(image)
        left = norm_of(new)
        column = [*coefficients.tolist(), left]
        _rotate(column, rotations)
        rotations.append(_rotation(column[k], left))
        _rotate(column, rotations[k:], k)
        rest.append(0.0)
        _rotate(rest, rotations[k:], k)
        columns.append(column[: k + 1])
        if left <= 10 * float(np.finfo(new.dtype).eps) * scale:
            break
        if abs(rest[-1]) <= _MARGIN * target:
            break
        rows.append(new / left)
    vectors = rows.all[: len(columns)]
    combination: Array = _solve_triangular(columns, rest).astype(new.dtype) @ vectors
    return combination


def _rotation(above: complex, below: float) -> tuple[float, complex]:
    """The Givens rotation ``[[c, s], [-conj(s), c]]`` that clears `below`, a number >= 0."""
    size = float(np.hypot(abs(above), below))
    if abs(above) == 0:
        return 0.0, 1.0
    return abs(above) / size, above / abs(above) * below / size


def _rotate(column: list[complex], rotations: list[tuple[float, complex]], first: int = 0) -> None:
    """Apply rotations of the entries ``first, first + 1``, then of the next two, and so on."""
    for k, (c, s) in enumerate(rotations, first):
        above, below = column[k], column[k + 1]
        column[k] = c * above + s * below
        column[k + 1] = c * below - s.conjugate() * above


def _solve_triangular(columns: list[list[complex]], rest: list[complex]) -> Array:
    """Solve for the coefficients; the shortest solution if the triangle is singular."""
    size = len(columns)
    triangle = np.array([column + [0.0] * (size - len(column)) for column in columns]).T
    right = np.array(rest[:size])
    diagonal = abs(np.diagonal(triangle))
    if diagonal.min() <= 10 * size * np.finfo(np.float64).eps * diagonal.max():
        solution: Array = np.linalg.lstsq(triangle, right)[0]
        return solution
    return np.linalg.solve(triangle, right)
