"""Gradients kept small, between `compute_gradients` and `apply_gradients`."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from ..tape import Tensor

__all__ = ["Gradients", "clip_by_global_norm", "clip_by_value", "global_norm"]

# What `compute_gradients` returns: (gradient or None, variable).
Gradients: TypeAlias = "list[tuple[Any, Tensor]]"


def clip_by_value(gradients: Iterable[tuple[Any, Tensor]], limit: float) -> Gradients:
    """The gradients with entries from -limit to limit.

    >>> w = Tensor([1.0, 2.0])
    >>> clip_by_value([(Tensor([5.0, -0.5]), w)], 1.0)[0][0]
    Tensor([ 1. , -0.5], dtype=float64)
    """
    if not limit > 0:
        raise ValueError(f"gradients are clipped to a positive value, not {limit}")
    return [
        (None if g is None else Tensor(np.clip(np.asarray(g), -limit, limit)), variable)
        for g, variable in gradients
    ]


def global_norm(gradients: Iterable[tuple[Any, Tensor]]) -> float:
    """The root of the sum of squares of all entries of all gradients.

    >>> global_norm([(Tensor([3.0]), Tensor([0.0])), (Tensor([4.0]), Tensor([0.0]))])
    5.0
    """
    return sqrt(sum([_square(np.asarray(g)) for g, _ in gradients if g is not None]))


def _square(array: Any) -> float:
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    flat = array.reshape(-1)
    return float(np.vdot(flat, flat).real)


def clip_by_global_norm(gradients: Iterable[tuple[Any, Tensor]], limit: float) -> Gradients:
    """The gradients, all scaled down alike if their `global_norm` is more than `limit`.

    >>> w = Tensor([1.0, 2.0])
    >>> clip_by_global_norm([(Tensor([3.0, 4.0]), w)], 1.0)[0][0]
    Tensor([0.6, 0.8], dtype=float64)
    """
    if not limit > 0:
        raise ValueError(f"gradients are clipped to a positive norm, not {limit}")
    pairs = list(gradients)
    norm = global_norm(pairs)
    if not norm > limit:
        return pairs
    factor = limit / norm
    return [(None if g is None else Tensor(np.asarray(g) * factor), v) for g, v in pairs]
