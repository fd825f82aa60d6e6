"""Exponentials and their sums, stable for entries of any size: logsumexp and softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import Array, as_numeric
from ..tape import operation
from .reductions import Axis, _over

__all__ = ["log_softmax", "logsumexp", "softmax"]


@operation
def logsumexp(tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log(sum(exp(tensor))) over axes, by default over all, without overflow on the way.

    Args:
        axis, keepdims: as of `sum`.

    Returns:
        a tensor of the dtype of the entries, float64 for whole numbers: -inf where all entries are,
        inf where one is.

    >>> logsumexp([1000.0, 1000.0]).round(3)
    np.float64(1000.693)
    """
    array, over = as_numeric(tensor), _over(axis)
    shifted, most = _shifted(array, over)
    with np.errstate(divide="ignore"):  # no entries: log(0)
        total = np.log(np.sum(np.exp(shifted, out=shifted), axis=over, keepdims=True)) + most
    return total if keepdims else np.squeeze(total, over)


@operation
def softmax(tensor: Any, axis: Axis = -1) -> Any:
    """exp(tensor) divided by its sum over axes, by default the last, or over all for None.

    Infinite entries are limits: those that equal the greatest share evenly, so a row of nothing but
    -inf comes out uniform.

    >>> softmax([1000.0, 1000.0, -np.inf])
    array([0.5, 0.5, 0. ])
    """
    over = _over(axis)
    weights, _ = _shifted(as_numeric(tensor), over)
    np.exp(weights, out=weights)
    weights /= np.sum(weights, axis=over, keepdims=True)
    return weights


@operation
def log_softmax(tensor: Any, axis: Axis = -1) -> Any:
    """The logarithm of `softmax`, precise also where that underflows.

    >>> log_softmax([0.0, 1000.0])
    array([-1000.,     0.])
    """
    over = _over(axis)
    shifted, _ = _shifted(as_numeric(tensor), over)
    shifted -= np.log(np.sum(np.exp(shifted), axis=over, keepdims=True))
    return shifted


def _shifted(array: Array, over: int | tuple[int, ...] | None) -> tuple[Array, Array]:
    """A new array: the entries less the greatest (real part) along axes; and the latter."""
    if array.dtype.kind not in "fc":
        array = array.astype(np.float64)
    height = array.real
    most = np.max(height, axis=over, keepdims=True, initial=-np.inf)
    if np.isfinite(most).all():
        return np.asarray(np.subtract(array, most)), most
    with np.errstate(invalid="ignore"):
        shifted = np.asarray(np.subtract(array, most))
    np.copyto(shifted.real, 0, where=height == most)  # also where both are infinite
    return shifted, most
