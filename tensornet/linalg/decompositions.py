"""Decompositions of arrays of any rank, folded into a matrix at a pivot axis; and matrix functions.

Names and results follow google/TensorNetwork 0.4.6.
"""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

import numpy as np

from ..arrays import Array
from ..tape import operation
from .matrices import adjoint, check_finite, enter, fold, work_dtype
from .partial_svd import is_worthwhile, partial_svd

__all__ = ["eigh", "inv", "norm", "qr", "rq", "solve", "square", "svd"]

METHODS = ("auto", "full")


@operation
def svd(
    tensor: Any,
    pivot_axis: int = -1,
    max_singular_values: int | None = None,
    max_truncation_error: float | None = None,
    relative: bool | None = False,
    method: str = "auto",
) -> tuple[Array, Array, Array, Array]:
    """The singular value decomposition ``tensor = u * s @ vh``, truncated on request.

    The smallest singular values are dropped, as many as possible while the 2-norm of those dropped
    stays within `max_truncation_error`; and in any case all but `max_singular_values`.

    Args:
        tensor: an array of any rank and of extents ``rows + columns``.
        pivot_axis: the first axis of the columns; negative ones count from the end.
        max_singular_values: the most values to keep.
        max_truncation_error: the largest error, in the Frobenius norm, that dropping may cause.
        relative: `max_truncation_error` is a part of the largest singular value.
        method: "auto", or "full" to compute all singular values whatever `max_singular_values` is.

    Returns:
        ``(u, s, vh, dropped)`` of shapes ``rows + (k,)``, ``(k,)``, ``(k,) + columns`` and the
        singular values that were dropped. All are of the tensor's dtype (float64 for integers),
        values in descending order. The 2-norm of `dropped` is the truncation error.

        When `max_singular_values` are few of a large matrix, "auto" computes only them, to 1e-9
        (single precision: 2e-5) of the largest one. The last entry of `dropped` is then the 2-norm
        of all values that were never computed, so that the 2-norm of `dropped` is the truncation
        error as before, though `dropped` is shorter.

    Raises:
        ValueError: no such pivot axis, NaN or infinity in the tensor, a negative or NaN limit.
        TypeError: a dtype without kernels.

    Cost: O(m n min(m, n)) for an (m, n) matrix; O(m n k) if few values are computed, or half of
    the full cost if the spectrum is flat.

    >>> u, s, vh, dropped = svd(np.diag([4.0, 3.0, 2.0, 1.0]), max_truncation_error=2.3)
    >>> u.shape, s.tolist(), vh.shape, dropped.tolist()
    ((4, 2), [4.0, 3.0], (2, 4), [2.0, 1.0])
    """
    most, error = _check_limits(max_singular_values, max_truncation_error)
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not known; it is one of {METHODS}")
    matrix, rows, columns, dtype = fold(tensor, pivot_axis)
    partial = None
    if most is not None and method == "auto" and is_worthwhile(matrix.shape, most):
        partial = partial_svd(matrix, most)
    if partial is None:
        u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    else:
        u, vh = partial.u, partial.vh
        s = np.append(partial.s, partial.rest)
    kept = _count_kept(s, most, error, bool(relative))
    values = s.astype(dtype, copy=False)
    return (
        u[:, :kept].reshape(*rows, kept).astype(dtype, copy=False),
        values[:kept],
        vh[:kept].reshape(kept, *columns).astype(dtype, copy=False),
        values[kept:],
    )


def _check_limits(most: int | None, error: float | None) -> tuple[int | None, float | None]:
    """The limits of a truncation as an int and a float; ValueError if they make no sense."""
    if most is not None and (most := index(most)) < 0:
        raise ValueError(f"max_singular_values is {most}; it must not be negative")
    if error is not None and not (error := float(error)) >= 0:
        raise ValueError(f"the truncation error allowed is {error}; it must not be negative or NaN")
    return most, error


def _count_kept(s: Array, most: int | None, error: float | None, relative: bool) -> int:
    """How many of the singular values `s`, the last of which may stand for many, to keep."""
    kept = len(s)
    if error is not None and kept:
        # Scaled by a power of two, which is exact, so that no square overflows or vanishes.
        exponent = int(np.frexp(s[0])[1])
        scaled = np.ldexp(s.astype(np.float64), -exponent)
        limit = error * float(scaled[0]) if relative else float(np.ldexp(error, -exponent))
        kept = int(np.count_nonzero(np.sqrt(np.cumsum(scaled[::-1] ** 2)) > limit))
    return kept if most is None else min(kept, most)


@operation
def qr(
    tensor: Any, pivot_axis: int = -1, non_negative_diagonal: bool = False
) -> tuple[Array, Array]:
    """The QR decomposition ``tensor = q @ r``.

    Args:
        tensor: an array of any rank and of extents ``rows + columns``.
        pivot_axis: the first axis of the columns; negative ones count from the end.
        non_negative_diagonal: make the diagonal of `r` real and non-negative, which makes the
            decomposition of a matrix of full column rank unique.

    Returns:
        ``(q, r)`` of shapes ``rows + (k,)`` and ``(k,) + columns``, k being the smaller extent of
        the matrix. The columns of `q` are orthonormal, `r` is upper triangular. Both are of the
        tensor's dtype (float64 for integers).

    Raises:
        ValueError: no such pivot axis; NaN or infinity in the tensor.
        TypeError: a dtype without kernels.

    Cost: O(m n min(m, n)) for an (m, n) matrix.

    >>> q, r = qr(np.ones((2, 3, 2)), non_negative_diagonal=True)
    >>> q.shape, r.shape, bool((np.diagonal(r) >= 0).all())
    ((2, 3, 2), (2, 2), True)
    """
    matrix, rows, columns, dtype = fold(tensor, pivot_axis)
    q, r = _orthogonalised(matrix, non_negative_diagonal)
    return (
        q.reshape(*rows, q.shape[1]).astype(dtype, copy=False),
        r.reshape(r.shape[0], *columns).astype(dtype, copy=False),
    )


@operation
def rq(
    tensor: Any, pivot_axis: int = -1, non_negative_diagonal: bool = False
) -> tuple[Array, Array]:
    """The decomposition ``tensor = r @ q``, `q` having orthonormal rows.

    It is the adjoint of the QR decomposition of the adjoint, so `r` is lower triangular. Arguments,
    errors and cost are those of `qr`.

    Returns:
        ``(r, q)`` of shapes ``rows + (k,)`` and ``(k,) + columns``.

    >>> r, q = rq(np.ones((2, 3, 2)))
    >>> r.shape, q.shape
    ((2, 3, 2), (2, 2))
    """
    matrix, rows, columns, dtype = fold(tensor, pivot_axis)
    q, r = map(adjoint, _orthogonalised(adjoint(matrix), non_negative_diagonal))
    return (
        r.reshape(*rows, r.shape[1]).astype(dtype, copy=False),
        q.reshape(q.shape[0], *columns).astype(dtype, copy=False),
    )


def _orthogonalised(matrix: Array, non_negative_diagonal: bool) -> tuple[Array, Array]:
    """The QR decomposition of a matrix, with phases moved from `r` to `q` on request."""
    q, r = np.linalg.qr(matrix)
    if non_negative_diagonal:
        diagonal = np.diagonal(r)
        size = abs(diagonal)
        # An entry of 0 has no phase: its column of q must stay what it is.
        phases = np.where(size > 0, diagonal, 1) / np.where(size > 0, size, 1)
        q = q * phases
        r = phases.conj()[:, None] * r
        steps = np.arange(len(diagonal))
        r[steps, steps] = size
    return q, r


def square(matrix: Any, what: str) -> tuple[Array, np.dtype[Any]]:
    """A finite square matrix in a dtype that LAPACK has, and the dtype of results.

    Raises:
        ValueError: not a square matrix, or NaN or infinity in it; `what` says who asks.
        TypeError: a dtype without kernels.
    """
    array = enter(matrix, "the matrix")
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"{what} takes a square matrix, not an array of shape {array.shape}")
    check_finite(array, "the matrix")
    work, dtype = work_dtype(array.dtype)
    return array.astype(work, copy=False), dtype


@operation
def eigh(matrix: Any) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of a Hermitian matrix, of which the lower triangle is read.

    Args:
        matrix: an (n, n) array.

    Returns:
        The eigenvalues, real and in ascending order, and the orthonormal eigenvectors as the
        columns of an (n, n) matrix of the matrix's dtype (float64 for integers).

    Raises:
        ValueError: not a square matrix; NaN or infinity in it.
        TypeError: a dtype without kernels.

    Cost: O(n**3).

    >>> values, vectors = eigh([[0.0, 1.0], [1.0, 0.0]])
    >>> values.round(12).tolist()
    [-1.0, 1.0]
    """
    array, dtype = square(matrix, "eigh")
    values, vectors = np.linalg.eigh(array)
    real = np.empty(0, dtype).real.dtype
    return values.astype(real, copy=False), vectors.astype(dtype, copy=False)


@operation
def inv(matrix: Any) -> Array:
    """The inverse of a square matrix, in its dtype (float64 for integers).

    Raises:
        ValueError: not a square matrix; NaN or infinity in it; singular (a LinAlgError).
        TypeError: a dtype without kernels.

    Cost: O(n**3).

    >>> inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    array, dtype = square(matrix, "inv")
    try:
        inverse: Array = np.linalg.inv(array).astype(dtype, copy=False)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(
            f"the matrix of shape {array.shape} is singular and has no inverse"
        ) from None
    return inverse


@operation
def solve(matrix: Any, right: Any) -> Array:
    """The solution x of ``matrix @ x = right``, in the dtype of both (float64 for integers).

    Args:
        matrix: an (n, n) array.
        right: an (n,) or (n, k) array.

    Raises:
        ValueError: not a square matrix, or `right` has another first extent; NaN or infinity in
            the matrix; singular (a LinAlgError).
        TypeError: a dtype without kernels.

    Cost: O(n**3 + n**2 k).

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()
    [1.0, 0.5]
    """
    array, dtype = square(matrix, "solve")
    side = enter(right, "the right side")
    if side.ndim not in (1, 2) or len(side) != len(array):
        raise ValueError(
            f"solve takes a right side of shape ({len(array)},) or ({len(array)}, k) beside a "
            f"matrix of shape {array.shape}, not {side.shape}"
        )
    work, result = work_dtype(np.result_type(dtype, side.dtype))
    columns = side.astype(work, copy=False).reshape(len(side), prod(side.shape[1:]))
    try:
        solution: Array = np.linalg.solve(array.astype(work, copy=False), columns)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(
            f"the matrix of shape {array.shape} is singular: there is no one solution"
        ) from None
    shaped: Array = solution.reshape(side.shape).astype(result, copy=False)
    return shaped


@operation
def norm(tensor: Any) -> Any:
    """The 2-norm of all entries of an array of any rank, as a NumPy number.

    It is real, of the precision of the tensor (float64 for integers). It overflows or vanishes only
    if it is too large or too small itself; NaN and infinity go through.

    >>> float(norm([[3.0, 0.0], [0.0, 4.0j]]))
    5.0
    """
    array = enter(tensor)
    work, dtype = work_dtype(array.dtype)
    real = np.empty(0, work).real.dtype
    flat = array.astype(work, copy=False).ravel().view(real)
    least = np.sqrt(flat.size * np.finfo(real).tiny)  # below it, squares that matter lose digits
    with np.errstate(over="ignore", under="ignore"):
        value = np.linalg.norm(flat)
        if flat.size and not least < value < np.inf:
            largest = abs(flat).max()
            if 0.0 < largest < np.inf:
                value = largest * np.linalg.norm(flat / largest)
    return value.astype(np.empty(0, dtype).real.dtype)
