"""One of two entries: the greater, the smaller, the one that a condition chooses."""

from __future__ import annotations

from math import copysign
from typing import Any

import numpy as np

from ..arrays import Array, as_numeric
from ..tape import operation
from .elementwise import operand

__all__ = ["choose", "clip", "maximum", "minimum", "where"]


@operation
def maximum(a: Any, b: Any) -> Any:
    """The greater of two entries; nan if one is. Equal ones share the gradient evenly.

    >>> maximum([1.0, 5.0], 3.0)
    array([3., 5.])
    """
    return np.maximum(operand(a), operand(b))


@operation
def minimum(a: Any, b: Any) -> Any:
    """The smaller of two entries; nan if one is. Equal ones share the gradient evenly.

    >>> minimum([1.0, 5.0], 3.0)
    array([1., 3.])
    """
    return np.minimum(operand(a), operand(b))


@operation
def where(condition: Any, a: Any, b: Any) -> Any:
    """The entries of a where the condition is true or not zero, those of b elsewhere.

    All three are broadcast. What is not chosen gets gradient zero, also if it is nan or infinite.

    >>> where([True, False], [1.0, 2.0], 0.0)
    array([1., 0.])
    """
    return choose(as_numeric(condition, "the condition"), operand(a), operand(b))


@operation
def clip(tensor: Any, min: Any = None, max: Any = None) -> Any:
    """Every entry, those below `min` and above `max` replaced by these; None for no limit.

    An entry that equals a limit keeps its gradient.

    >>> clip([1.0, 5.0, 9.0], 2.0, 6.0)
    array([2., 5., 6.])
    """
    low, high = (None if limit is None else operand(limit) for limit in (min, max))
    return np.clip(as_numeric(tensor), low, high)


def choose(condition: Array, a: Any, b: Any) -> Any:
    """`where` of arrays and numbers: by bits, for `numpy.where` waits at every turn of a condition.

    >>> choose(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    is_masked = type(b) is float and b == 0 and copysign(1, b) == 1
    dtype = a.dtype if is_masked and type(a) is np.ndarray else np.result_type(a, b)
    whole = _SAME_SIZE.get(dtype)
    if whole is None:
        return np.where(condition, a, b)
    if condition.dtype != bool:
        condition = np.not_equal(condition, 0)
    bits = np.negative(condition.astype(whole))
    chosen = bits & np.asarray(a, dtype).view(whole)
    if not is_masked:
        chosen = chosen | (~bits & np.asarray(b, dtype).view(whole))
    return chosen.view(dtype)


_SAME_SIZE = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}
