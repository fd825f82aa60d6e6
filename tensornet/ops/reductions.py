"""Many entries made one: sums, means, products, extremes; and sums up to each entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ..arrays import as_numeric
from ..tape import operation
from .elementwise import sqrt

__all__ = ["argmax", "argmin", "cumsum", "max", "mean", "min", "prod", "std", "sum", "var"]

Axis: TypeAlias = "int | Sequence[int] | None"


_total: Any = np.add.reduce  # np.sum without its detours


def _over(axis: Any) -> int | tuple[int, ...] | None:
    if axis is None or isinstance(axis, int):
        return axis
    return int(axis) if isinstance(axis, np.integer) else tuple(axis)


@operation
def sum(tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over axes, by default over all.

    Args:
        axis: one, or several, which may be negative.
        keepdims: keep them with extent 1.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.])
    """
    return _total(as_numeric(tensor), axis=_over(axis), keepdims=keepdims)


@operation
def mean(tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over axes, by default over all; arguments as of `sum`.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([2., 3.])
    """
    array, over = as_numeric(tensor), _over(axis)
    if array.dtype.kind not in "fc" or array.dtype.itemsize < 4 or not array.size:
        return np.mean(array, axis=over, keepdims=keepdims)
    total = _total(array, axis=over, keepdims=keepdims)
    return total / total.dtype.type(array.size // total.size)


@operation
def prod(tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product over axes, by default over all; arguments as of `sum`.

    >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([ 2., 12.])
    """
    return np.prod(as_numeric(tensor), axis=_over(axis), keepdims=keepdims)


@operation
def max(tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The greatest entry along axes, by default of all; nan if one is nan. Arguments as of `sum`.

    Entries that are equally great share the gradient evenly.

    Raises:
        ValueError: there is no entry.

    >>> max([[1.0, 5.0], [3.0, 4.0]], axis=0)
    array([3., 5.])
    """
    return np.max(as_numeric(tensor), axis=_over(axis), keepdims=keepdims)


@operation
def min(tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The least entry along axes, by default of all; nan if one is nan. Arguments as of `sum`.

    Entries that are equally small share the gradient evenly.

    Raises:
        ValueError: there is no entry.

    >>> min([[1.0, 5.0], [3.0, 4.0]], axis=0)
    array([1., 4.])
    """
    return np.min(as_numeric(tensor), axis=_over(axis), keepdims=keepdims)


@operation
def var(tensor: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The mean over axes of the squared distance from their mean; real also for complex entries.

    Args:
        axis, keepdims: as of `sum`.
        ddof: the sum of squares is divided by the number of entries less this.

    >>> var([[1.0, 3.0], [2.0, 8.0]], axis=1)
    array([1., 9.])
    """
    return np.var(as_numeric(tensor), axis=_over(axis), ddof=ddof, keepdims=keepdims)


def std(tensor: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The square root of `var`, whose arguments it takes.

    >>> std([[1.0, 3.0], [2.0, 8.0]], axis=1)
    array([1., 3.])
    """
    return sqrt(var(tensor, axis, ddof, keepdims))


@operation
def argmax(tensor: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the first greatest entry along an axis is, by default in C order of all; int64.

    >>> argmax([[1.0, 5.0], [3.0, 4.0]], axis=1)
    array([1, 1])
    """
    return np.argmax(as_numeric(tensor), axis=axis, keepdims=keepdims)


@operation
def argmin(tensor: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Where the first least entry along an axis is, by default in C order of all; int64.

    >>> argmin([[1.0, 5.0], [3.0, 4.0]], axis=1)
    array([0, 0])
    """
    return np.argmin(as_numeric(tensor), axis=axis, keepdims=keepdims)


@operation
def cumsum(tensor: Any, axis: int | None = None) -> Any:
    """The sums of the entries up to each along an axis, by default along all in C order.

    >>> cumsum([1.0, 2.0, 3.0])
    array([1., 3., 6.])
    """
    return np.cumsum(as_numeric(tensor), axis=axis)
