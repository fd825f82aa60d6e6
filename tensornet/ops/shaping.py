"""Axes and entries moved or picked, never computed with: reshape, transpose, slices, diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any

import numpy as np

from ..arrays import as_numeric
from ..errors import ShapeError
from ..tape import Tensor, operation
from .elementwise import conj

__all__ = [
    "broadcast_to",
    "copy",
    "diagflat",
    "diagonal",
    "hconj",
    "pivot",
    "reshape",
    "shape",
    "take_slice",
    "transpose",
]


def shape(tensor: Any) -> tuple[int, ...]:
    """The extents of the axes, as a tuple of ints.

    >>> shape([[1, 2, 3]])
    (1, 3)
    """
    return tensor.shape if type(tensor) is Tensor else as_numeric(tensor).shape


@operation
def reshape(tensor: Any, new_shape: int | Sequence[int]) -> Any:
    """The same entries, in C order, in another shape; a view where NumPy makes one.

    Args:
        new_shape: the extents, of which one may be -1: as many as are left. They may be Tensors or
            whole floats, as computed extents often are.

    Raises:
        ShapeError: a shape with another number of entries.

    >>> reshape([1, 2, 3, 4], (2, -1))
    array([[1, 2],
           [3, 4]])
    """
    array = as_numeric(tensor)
    try:
        if type(new_shape) is not tuple or set(map(type, new_shape)) != {int}:
            new_shape = tuple([_whole(extent) for extent in np.atleast_1d(new_shape)])
        return array.reshape(new_shape)
    except (ValueError, TypeError):
        raise ShapeError(
            f"a tensor of shape {array.shape}, {array.size} entries, cannot take the shape "
            f"{new_shape}"
        ) from None


def _whole(extent: Any) -> int:
    number = int(extent)
    if number != extent:
        raise ValueError
    return number


@operation
def broadcast_to(tensor: Any, new_shape: Sequence[int]) -> Any:
    """The tensor repeated along new axes in front and axes of extent 1; a read-only view.

    Raises:
        ShapeError: it does not broadcast to that shape.

    >>> broadcast_to([1, 2], (2, 2))
    array([[1, 2],
           [1, 2]])
    """
    array, wanted = as_numeric(tensor), tuple(new_shape)
    if not array.ndim and array.flags.c_contiguous:
        view: Any = np.ndarray(wanted, array.dtype, array, 0, (0,) * len(wanted))
        view.flags.writeable = False
        return view
    try:
        return np.broadcast_to(array, wanted)
    except ValueError:
        raise ShapeError(
            f"a tensor of shape {array.shape} does not broadcast to {tuple(new_shape)}"
        ) from None


@operation
def transpose(tensor: Any, perm: Sequence[int] | None = None) -> Any:
    """The axes in another order; a view.

    Args:
        perm: axis ``perm[k]`` of the tensor becomes axis k; None reverses the order.

    Raises:
        ShapeError: `perm` does not name every axis once.

    >>> transpose(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    array = as_numeric(tensor)
    if perm is None:
        return array.T
    order = [index(axis) for axis in perm]
    rank = array.ndim
    if sorted([axis + rank if axis < 0 else axis for axis in order]) != list(range(rank)):
        raise ShapeError(
            f"perm={tuple(order)} does not name each axis of a tensor of shape {array.shape} once"
        )
    return array.transpose(order)


@operation
def hconj(tensor: Any, perm: Sequence[int] | None = None) -> Any:
    """The complex conjugate with its axes in another order, by default reversed.

    Args:
        perm: as for `transpose`.

    Raises:
        ShapeError: `perm` does not name every axis once.

    >>> hconj([[1, 2j]])
    array([[1.-0.j],
           [0.-2.j]])
    """
    return conj(transpose(tensor, perm))


@operation
def copy(tensor: Any) -> Any:
    """An array of its own, in C order."""
    return np.array(as_numeric(tensor), order="C")


@operation
def take_slice(tensor: Any, start_indices: Sequence[int], slice_sizes: Sequence[int]) -> Any:
    """A block of the tensor; a view.

    Args:
        start_indices: its first position on each axis; axes without one are kept whole.
        slice_sizes: its extent on each axis.

    Raises:
        ShapeError: unequal numbers of the two, more than there are axes, or a block that leaves
            the tensor.

    >>> take_slice(np.arange(6).reshape(2, 3), (0, 1), (2, 2))
    array([[1, 2],
           [4, 5]])
    """
    array = as_numeric(tensor)
    starts = [index(start) for start in start_indices]
    sizes = [index(size) for size in slice_sizes]
    fits = len(starts) == len(sizes) <= array.ndim and all(
        0 <= start <= start + size <= extent
        for start, size, extent in zip(starts, sizes, array.shape)
    )
    if not fits:
        raise ShapeError(
            f"the block of {tuple(sizes)} entries from {tuple(starts)} on is not within a tensor "
            f"of shape {array.shape}"
        )
    return array[tuple([slice(start, start + size) for start, size in zip(starts, sizes)])]


@operation
def diagonal(tensor: Any, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """The diagonal of two axes, by default the last two; a read-only view.

    Args:
        offset: how far right of the main diagonal, or left of it if negative.
        axis1, axis2: they are taken out, and the diagonal is the last axis of the result.

    Raises:
        ValueError: an axis that the tensor does not have, or twice the same.

    >>> diagonal([[1, 2, 3], [4, 5, 6]], offset=1)
    array([2, 6])
    """
    return np.diagonal(as_numeric(tensor), offset, axis1, axis2)


@operation
def diagflat(tensor: Any, k: int = 0) -> Any:
    """The square matrix, zero elsewhere, with the entries in C order on its k-th diagonal.

    It has ``size + abs(k)`` rows and columns.

    >>> diagflat([1, 2], k=1)
    array([[0, 1, 0],
           [0, 0, 2],
           [0, 0, 0]])
    """
    return np.diagflat(as_numeric(tensor), k)


@operation
def pivot(tensor: Any, pivot_axis: int = -1) -> Any:
    """The matrix whose rows are the axes before `pivot_axis`, its columns those from there on.

    Args:
        pivot_axis: from -rank to rank; at 0 there is one row, at rank one column.

    Returns:
        a view where NumPy makes one, of shape (product of the extents before, of those after).

    Raises:
        ShapeError: `pivot_axis` is not within the axes.

    >>> pivot(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    array = as_numeric(tensor)
    rank = array.ndim
    if not -rank <= pivot_axis <= rank:
        raise ShapeError(
            f"pivot_axis={pivot_axis} is not within the {rank} axes of shape {array.shape}"
        )
    return array.reshape(prod(array.shape[:pivot_axis]), prod(array.shape[pivot_axis:]))
