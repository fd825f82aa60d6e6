"""Entries picked by positions, and put back: take, and scatter_add, which undoes it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any

import numpy as np

from ..arrays import Array, as_numeric
from ..errors import ShapeError
from ..tape import operation

__all__ = ["embed_diagonal", "getitem", "scatter_add", "take", "take_along_axis"]

_NARROW = 8  # entries per row up to which rows are summed entry by entry
_ONCE = (int, slice, type(None), type(Ellipsis))  # types of keys that name no entry twice


@operation
def getitem(tensor: Any, key: Any) -> Any:
    """``tensor[key]`` with NumPy's indexing: a view of slices, a copy of anything else."""
    return as_numeric(tensor)[key]


@operation
def take(tensor: Any, indices: Any, axis: int | None = None) -> Any:
    """The entries at some positions along an axis, by default of the tensor on one axis.

    Args:
        indices: whole numbers of any shape, which takes the place of the axis; negative ones
            count from the end.

    Raises:
        IndexError: a position that is not there.

    >>> take([[1.0, 2.0, 3.0]], [2, 0], axis=1)
    array([[3., 1.]])
    """
    return np.take(as_numeric(tensor), as_numeric(indices, "indices"), axis)


@operation
def take_along_axis(tensor: Any, indices: Any, axis: int | None = -1) -> Any:
    """Along an axis, at each place of the others the entries at positions of its own.

    Args:
        indices: whole numbers, of the shape of the tensor but for the axis.
        axis: None for the entries in C order, as if they had one axis.

    Raises:
        IndexError: a position that is not there, or shapes that do not fit.

    >>> take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1)
    array([[2.],
           [3.]])
    """
    return np.take_along_axis(as_numeric(tensor), as_numeric(indices, "indices"), axis)


@operation
def scatter_add(values: Any, key: Any, shape: Sequence[int]) -> Any:
    """Zeros of a shape, with values added at ``[key]``, also where that names an entry twice.

    This is what gradients of `getitem` are made with.

    Args:
        values: of the shape of ``zeros[key]``.
        key: anything that NumPy indexes with.

    Raises:
        ShapeError: values of another shape.
        IndexError: a position that is not there.

    Complexity: that of reading the values and writing the result; rows that are added up are sorted
    first.

    >>> scatter_add([1.0, 2.0, 3.0], [0, 2, 0], (4,))
    array([4., 0., 2., 0.])
    """
    array, extents = as_numeric(values, "values"), tuple(shape)
    if _names_entries_once(key):
        result = np.zeros(extents, array.dtype)
        _check_fit(result[key], array)
        result[key] = array
        return result
    axis, rows = _rows(key)
    if rows is None:
        places = _places(key, extents)
        _check_fit(places, array)
        return _summed(places, array, prod(extents)).reshape(extents)
    return _sum_rows(array, axis, rows, extents)


def grid(indices: Array, axis: int, shape: Sequence[int]) -> tuple[Any, ...]:
    """The key that means what `take_along_axis` does with these indices in a tensor of a shape."""
    key: list[Any] = list(np.ogrid[tuple(map(slice, shape))])
    key[axis] = indices
    return tuple(key)


def _check_fit(places: Any, values: Array) -> None:
    if np.shape(places) != values.shape:
        raise ShapeError(
            f"values of shape {values.shape} are given for places of shape {np.shape(places)}"
        )


def _names_entries_once(key: Any) -> bool:
    """Does it consist of numbers, slices, ... and None, or is it a mask?"""
    if isinstance(key, np.ndarray) and key.dtype == bool:
        return True
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is None
        or part is Ellipsis
        or type(part) in (int, slice)
        or isinstance(part, np.integer)
        for part in parts
    )


def _places(key: Any, extents: tuple[int, ...]) -> Array:
    """The positions in C order of the entries that a key names."""
    parts = key if isinstance(key, tuple) else (key,)
    whole = [type(part) is np.ndarray and part.dtype.kind in "iu" for part in parts]
    if not all(whole) or len(parts) < len(extents):
        named: Array = np.arange(prod(extents)).reshape(extents)[key]
        return named
    places = np.zeros((), np.int64)
    for part, extent in zip(parts, extents):
        places = places * extent + _positive(part, extent)
    return places


def _rows(key: Any) -> tuple[int, Array | None]:
    """The axis and the indices of a key that has whole slices and one array of whole numbers."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [
        k for k, part in enumerate(parts) if not (type(part) is slice and part == slice(None))
    ]
    if len(arrays) == 1 and parts[arrays[0]] is not Ellipsis:
        indices = np.asarray(parts[arrays[0]])
        if indices.dtype.kind in "iu":
            return arrays[0], indices
    return 0, None


def _sum_rows(values: Array, axis: int, indices: Array, extents: tuple[int, ...]) -> Array:
    """`scatter_add` along one axis."""
    wanted = extents[:axis] + indices.shape + extents[axis + 1 :]
    if values.shape != wanted:
        raise ShapeError(f"values of shape {values.shape} are given for places of shape {wanted}")
    lead = np.moveaxis(values, range(axis, axis + indices.ndim), range(indices.ndim))
    rest = extents[:axis] + extents[axis + 1 :]
    width = prod(rest)
    rows, places = lead.reshape(indices.size, width), _positive(indices.ravel(), extents[axis])
    if width <= _NARROW:
        spread = places[:, None] * width + np.arange(width)
        sums = _summed(spread, rows, extents[axis] * width)
    else:
        sums = np.zeros((extents[axis], width), values.dtype)
        _add_sorted(sums, places, rows)
    return np.ascontiguousarray(np.moveaxis(sums.reshape(extents[axis], *rest), 0, axis))


def _positive(places: Array, extent: int) -> Array:
    if places.size and not (-extent <= places.min() and places.max() < extent):
        raise IndexError(f"positions {places.min()} to {places.max()} on an axis of {extent}")
    wide = places.astype(np.int64, copy=False)  # the sums of narrow ones would wrap around
    return np.where(wide < 0, wide + extent, wide)


def _add_sorted(sums: Array, places: Array, rows: Array) -> None:
    """Put rows into `sums` at these places, those of one place added up.

    They lie together once sorted; then every second is added to the one before until one is left.
    """
    order = np.argsort(places, kind="stable")
    places, rows = places[order], rows[order]
    while True:
        is_first = np.ones(places.size, bool)
        np.not_equal(places[1:], places[:-1], out=is_first[1:])
        if is_first.all():
            break
        starts = np.flatnonzero(is_first)
        is_odd = ((np.arange(places.size) - starts[np.cumsum(is_first) - 1]) & 1).astype(bool)
        odd = np.flatnonzero(is_odd)
        rows[odd - 1] += rows[odd]
        places, rows = places[~is_odd], rows[~is_odd]
    sums[places] = rows


def _summed(places: Array, values: Array, size: int) -> Array:
    """Zeros of some size with values added at places, in double precision."""
    flat, entries = places.ravel(), values.ravel()
    if values.dtype.kind == "c":
        total: Array = np.empty(size, np.complex128)
        total.real = np.bincount(flat, entries.real, size)
        total.imag = np.bincount(flat, entries.imag, size)
    elif values.dtype.kind == "f":
        total = np.bincount(flat, entries, size)
    else:
        total = np.zeros(size, values.dtype)
        np.add.at(total, flat, entries)
    return total.astype(values.dtype, copy=False)


@operation
def embed_diagonal(
    values: Any, shape: Sequence[int], offset: int = 0, axis1: int = -2, axis2: int = -1
) -> Any:
    """Zeros of a shape with these values on the diagonal of two axes.

    Args:
        values: of the shape of ``diagonal(zeros, offset, axis1, axis2)``.
        offset, axis1, axis2: as of `diagonal`, whose gradient this makes.

    Raises:
        ShapeError: values of another shape.

    >>> embed_diagonal([1.0, 2.0], (2, 3), offset=1)
    array([[0., 1., 0.],
           [0., 0., 2.]])
    """
    array = as_numeric(values, "values")
    result = np.zeros(tuple(map(index, shape)), array.dtype)
    line = np.diagonal(result, offset, axis1, axis2)
    _check_fit(line, array)
    line.flags.writeable = True
    line[...] = array
    return result
