"""Rules of what moves or picks entries, and of sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import broadcast_to, reshape, transpose
from ...ops import sum as sum_of
from .registry import like, rule

__all__: list[str] = []


def _spread(g: Any, _: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """What a sum over axes pulls back: the cotangent repeated along them."""
    if not keepdims:
        rank = len(a.shape)
        over = range(rank) if axis is None else np.atleast_1d(axis) % max(rank, 1)
        g = reshape(g, tuple([1 if k in over else n for k, n in enumerate(a.shape)]))
    return broadcast_to(g, a.shape)


def _back(g: Any, _: Any, a: Any, perm: Any = None) -> Any:
    return transpose(g, None if perm is None else tuple(np.argsort(np.mod(perm, len(a.shape)))))


rule(sum_of, _spread, keeps=())
rule(broadcast_to, lambda g, y, a, shape: like(g, a), keeps=())
rule(reshape, lambda g, y, a, shape: reshape(g, a.shape), keeps=())
rule(transpose, _back, keeps=())
