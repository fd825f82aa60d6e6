"""Where arrays enter linear algebra: read, checked to be finite, and folded into matrices."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, as_array, check_dtype

__all__ = ["Folded", "adjoint", "check_finite", "enter", "fold", "work_dtype"]


class Folded(NamedTuple):
    """A tensor as a matrix, in a dtype that LAPACK has.

    `rows` and `columns` are the extents folded into its two axes, `dtype` is that of the results.
    """

    matrix: Array
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    dtype: np.dtype[Any]


def enter(given: Any, what: str = "the tensor") -> Array:
    """The array that `given` is or describes: the one place where operands enter."""
    return as_array(given, what)


def work_dtype(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """(the dtype to compute in, the dtype of the results) for operands of this dtype.

    float16 is computed in float32, integers and bool in float64, all others in their own dtype.

    Raises:
        TypeError: a dtype that tensornet does not support.

    >>> work_dtype(np.dtype("float16"))
    (dtype('float32'), dtype('float16'))
    """
    native = check_dtype(dtype)
    if native.kind in "iub":
        return np.dtype(np.float64), np.dtype(np.float64)
    return (np.dtype(np.float32) if native.itemsize == 2 else native), native


def check_finite(array: Array, what: str = "the tensor") -> None:
    """Raise LinAlgError (a ValueError) if `array` holds NaN or infinity; says how many and where.

    O(entries).
    """
    if np.isfinite(array).all():
        return
    bad = np.argwhere(~np.isfinite(array))
    raise np.linalg.LinAlgError(
        f"{what} (shape {array.shape}, {array.dtype}) holds NaN or infinity in {len(bad)} of "
        f"{array.size} entries, first at {tuple(bad[0].tolist())}; find out where they come from"
    )


def fold(tensor: Any, pivot_axis: int) -> Folded:
    """Fold the axes before `pivot_axis` into rows and the others into columns.

    Args:
        tensor: an array of any rank.
        pivot_axis: the first axis of the columns, at least ``-rank`` and at most the rank;
            negative ones count from the end. Where no axes are left for a side, its extent is 1.

    Raises:
        TypeError: not numeric, or a dtype without kernels.
        ValueError: no such axis; NaN or infinity in the tensor.

    >>> fold(np.ones((2, 3, 4)), -1).matrix.shape
    (6, 4)
    """
    array = enter(tensor)
    work, dtype = work_dtype(array.dtype)
    pivot = index(pivot_axis)
    if not -array.ndim <= pivot <= array.ndim:
        raise ValueError(
            f"pivot_axis {pivot} is not an axis of a tensor of shape {array.shape}; it splits the "
            f"axes into rows and columns and is at least {-array.ndim} and at most {array.ndim}"
        )
    check_finite(array)
    if pivot < 0:
        pivot += array.ndim
    rows, columns = array.shape[:pivot], array.shape[pivot:]
    matrix = array.reshape(prod(rows), prod(columns)).astype(work, copy=False)
    return Folded(matrix, rows, columns, dtype)


def adjoint(matrix: Array) -> Array:
    """The conjugated transpose; a view if the matrix is real."""
    transposed: Array = matrix.T
    return transposed.conj() if matrix.dtype.kind == "c" else transposed
