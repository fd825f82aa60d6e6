"""Many entries made one: sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import as_numeric
from ..tape import operation

__all__ = ["sum"]


@operation
def sum(tensor: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The sum over axes, by default over all.

    Args:
        axis: one, or several, which may be negative.
        keepdims: keep them with extent 1.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.])
    """
    over = axis if axis is None or isinstance(axis, int) else tuple(axis)
    return np.sum(as_numeric(tensor), axis=over, keepdims=keepdims)
