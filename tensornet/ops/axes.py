"""Axes added, dropped and moved; entries turned round along them, triangles of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from ..arrays import as_numeric
from ..errors import ShapeError
from ..tape import operation
from .shaping import reshape, shape, transpose

__all__ = ["expand_dims", "flip", "moveaxis", "roll", "squeeze", "swapaxes", "tril", "triu"]


def _axes(axis: int | Sequence[int], rank: int) -> list[int]:
    """Axes counted from the front.

    Raises:
        ShapeError: one that is not there, or twice the same.
    """
    given = [index(axis)] if isinstance(axis, (int, np.integer)) else [index(k) for k in axis]
    found = [k + rank if k < 0 else k for k in given]
    if len(set(found)) < len(found) or not all(0 <= k < rank for k in found):
        raise ShapeError(f"axis={axis} does not name different ones of {rank} axes")
    return found


def expand_dims(tensor: Any, axis: int | Sequence[int]) -> Any:
    """With new axes of extent 1, which become those numbers of the result; a view.

    Raises:
        ShapeError: an axis that the result does not have, or twice the same.

    >>> expand_dims([1.0, 2.0], 0).shape
    (1, 2)
    """
    extents = list(shape(tensor))
    count = 1 if isinstance(axis, (int, np.integer)) else len(axis)
    for k in sorted(_axes(axis, len(extents) + count)):
        extents.insert(k, 1)
    return reshape(tensor, extents)


def squeeze(tensor: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Without axes of extent 1, by default without all of them; a view.

    Raises:
        ShapeError: an axis that is not there or has another extent.

    >>> squeeze([[1.0, 2.0]]).shape
    (2,)
    """
    extents = shape(tensor)
    dropped = [k for k, n in enumerate(extents) if n == 1]
    if axis is not None:
        wanted = _axes(axis, len(extents))
        if not set(wanted) <= set(dropped):
            raise ShapeError(f"axis={axis} is to be dropped, but the shape is {extents}")
        dropped = wanted
    return reshape(tensor, [n for k, n in enumerate(extents) if k not in dropped])


def swapaxes(tensor: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged; a view.

    >>> swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    order = list(range(len(shape(tensor))))
    (a,), (b,) = _axes(axis1, len(order)), _axes(axis2, len(order))
    order[a], order[b] = b, a
    return transpose(tensor, order)


def moveaxis(tensor: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Axes moved to other places, the others as they follow each other; a view.

    Raises:
        ShapeError: an axis that is not there, twice the same, or unequal numbers of both.

    >>> moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    rank = len(shape(tensor))
    sources, places = _axes(source, rank), _axes(destination, rank)
    if len(sources) != len(places):
        raise ShapeError(f"{len(sources)} axes are to be moved to {len(places)} places")
    order = [k for k in range(rank) if k not in sources]
    for place, axis in sorted(zip(places, sources)):
        order.insert(place, axis)
    return transpose(tensor, order)


@operation
def flip(tensor: Any, axis: int | Sequence[int] | None = None) -> Any:
    """The entries in reverse order along axes, by default along all; a view.

    >>> flip([1.0, 2.0])
    array([2., 1.])
    """
    over = axis if axis is None or isinstance(axis, int) else tuple(axis)
    return np.flip(as_numeric(tensor), over)


@operation
def roll(tensor: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """The entries moved round along axes, by default on one axis in C order.

    Args:
        shift: by how many places; one number, or one per axis.

    >>> roll([1.0, 2.0, 3.0], 1)
    array([3., 1., 2.])
    """
    return np.roll(as_numeric(tensor), shift, axis)


@operation
def tril(tensor: Any, k: int = 0) -> Any:
    """Matrices, on the last two axes, with zeros above the k-th diagonal.

    >>> tril([[1.0, 2.0], [3.0, 4.0]])
    array([[1., 0.],
           [3., 4.]])
    """
    return np.tril(as_numeric(tensor), k)


@operation
def triu(tensor: Any, k: int = 0) -> Any:
    """Matrices, on the last two axes, with zeros below the k-th diagonal.

    >>> triu([[1.0, 2.0], [3.0, 4.0]])
    array([[1., 2.],
           [0., 4.]])
    """
    return np.triu(as_numeric(tensor), k)
