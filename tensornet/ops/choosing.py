"""One of two entries: the greater, the smaller, the one that a condition chooses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import as_numeric
from ..tape import operation
from .elementwise import operand

__all__ = ["clip", "maximum", "minimum", "where"]


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
    return np.where(as_numeric(condition, "the condition"), operand(a), operand(b))


@operation
def clip(tensor: Any, min: Any = None, max: Any = None) -> Any:
    """Every entry, those below `min` and above `max` replaced by these; None for no limit.

    An entry that equals a limit keeps its gradient.

    >>> clip([1.0, 5.0, 9.0], 2.0, 6.0)
    array([2., 5., 6.])
    """
    low, high = (None if limit is None else operand(limit) for limit in (min, max))
    return np.clip(as_numeric(tensor), low, high)
