"""Sums over axes by the kernels of contractions, several times as fast as NumPy's over rows."""

from __future__ import annotations

from typing import Any

from ..api import einsum
from ..autodiff.rules.registry import rule
from ..ops import broadcast_to, conj, multiply, reshape
from ..tape import operation

__all__ = ["sum_over"]


@operation
def sum_over(a: Any, b: Any, axes: tuple[int, ...]) -> Any:
    """The sum of ``a * b`` over axes.

    Args:
        a, b: arrays of one shape; b may be None, for the sum of a.
        axes: not negative; they are taken out.

    Complexity: one pass over a and b; no product is written.

    >>> import numpy as np
    >>> sum_over(np.ones((2, 3)), np.ones((2, 3)), axes=(0,))
    array([2., 2., 2.])
    """
    every = [*range(a.ndim)]
    operands = (a, every) if b is None else (a, every, b, every)
    return einsum(*operands, [k for k in every if k not in axes])


def _spread(g: Any, like: Any, axes: tuple[int, ...]) -> Any:
    """The cotangent of the sum, repeated along its axes."""
    kept = tuple([1 if k in axes else n for k, n in enumerate(like.shape)])
    return broadcast_to(reshape(g, kept), like.shape)


rule(
    sum_over,
    lambda g, _, a, b, axes: (
        _spread(g, a, axes) if b is None else multiply(_spread(g, a, axes), conj(b))
    ),
    lambda g, _, a, b, axes: multiply(_spread(g, a, axes), conj(a)),
    keeps=((1,), (0,), ()),
)
