"""Random arrays: normal and uniform, of any supported dtype, from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Array, check_dtype

__all__ = ["normal", "uniform"]


def normal(shape: Sequence[int], dtype: Any = None, seed: int | None = None) -> Array:
    """Numbers of the standard normal distribution; complex ones have two such parts.

    Args:
        shape: the extents.
        dtype: the dtype, float64 by default. Numbers of an integer dtype are rounded towards 0.
        seed: makes the numbers repeatable: those of ``numpy.random.RandomState(seed)``, as in
            google/TensorNetwork. Without it they follow ``numpy.random.seed``.

    >>> normal((2,), seed=1).round(3).tolist()
    [1.624, -0.612]
    """
    source = np.random if seed is None else np.random.RandomState(seed)
    return _draw(source.standard_normal, shape, dtype)


def uniform(
    shape: Sequence[int],
    dtype: Any = None,
    seed: int | None = None,
    boundaries: tuple[float, float] | None = (0.0, 1.0),
) -> Array:
    """Numbers spread evenly between `boundaries`; both parts of complex ones are.

    The other arguments are those of `normal`.

    >>> uniform((2,), seed=1, boundaries=(-1, 1)).round(3).tolist()
    [-0.166, 0.441]
    """
    source = np.random if seed is None else np.random.RandomState(seed)
    low, high = (0.0, 1.0) if boundaries is None else boundaries
    return _draw(lambda shape: source.uniform(low, high, shape), shape, dtype)


def _draw(draw: Callable[[tuple[int, ...]], Any], shape: Sequence[int], dtype: Any) -> Array:
    target = check_dtype(np.float64 if dtype is None else dtype)
    extents = tuple(shape)
    drawn = np.asarray(draw(extents))
    if target.kind == "c":
        drawn = drawn + 1j * np.asarray(draw(extents))
    return drawn.astype(target)
