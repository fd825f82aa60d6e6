"""Canonical polyadic decomposition: a tensor as a sum of products of one vector per axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from ... import linalg
from ...api import einsum

__all__ = ["canonical_factors", "canonical_rank"]

_LETTERS = "abcdefgh"  # of axes; r is the sum


def canonical_factors(
    tensor: Any, rank: int, sweeps: int = 300, seed: int = 0
) -> tuple[list[Any], float]:
    """One matrix (extent, rank) for each axis, and the relative error of the sum of their products.

    Alternating least squares, begun with leading singular vectors: Kolda & Bader, Tensor
    decompositions and applications, SIAM Review 51, 2009, section 3.4. A sweep takes as many
    multiply-adds per axis as the tensor has entries, times the rank. The columns of all matrices
    have equal norms.

    Args:
        tensor: of two to eight axes.
        sweeps: the most; fewer when the error no longer falls.
        seed: of the columns beyond the singular vectors that there are.

    >>> factors, error = canonical_factors(np.ones((2, 3, 4)), 1)
    >>> [factor.shape for factor in factors], error < 1e-7
    ([(2, 1), (3, 1), (4, 1)], True)
    """
    scale = float(np.linalg.norm(tensor))
    if scale == 0.0:
        return [np.zeros((n, rank), tensor.dtype) for n in tensor.shape], 0.0
    tensor = tensor / scale
    factors = _first_factors(tensor, rank, np.random.default_rng(seed))
    error = _error(tensor, factors)
    for _ in range(sweeps):
        for axis in range(tensor.ndim):
            factors[axis] = _best_factor(tensor, factors, axis)
            factors = _balanced(factors)
        before, error = error, _error(tensor, factors)
        if error < 1e-9 or before - error < 1e-6 * error:
            break
    factors[0] = factors[0] * scale
    return _balanced(factors), error


def canonical_rank(tensor: Any, most: int | None, tolerance: float) -> tuple[list[Any], float]:
    """The factors of the first rank of 1, 2, 3 ... whose relative error is at most `tolerance`.

    From 8 on, ranks grow by eighths: least squares that alternate are the slower the more a rank
    exceeds what is needed, so that larger ones are of no help in finding a small one.

    Args:
        most: the largest rank that is tried; its factors are the result where none is good enough.
    """
    bound = prod(tensor.shape) // max(tensor.shape)  # of which every tensor is a sum
    last = bound if most is None else min(most, bound)
    rank = 1
    while True:
        found = canonical_factors(tensor, rank)
        if found[1] <= tolerance or rank == last:
            return found
        rank = min(last, rank + max(1, rank // 8))


def _first_factors(tensor: Any, rank: int, generator: np.random.Generator) -> list[Any]:
    factors = []
    for axis, extent in enumerate(tensor.shape):
        columns = generator.normal(size=(extent, rank)).astype(tensor.dtype) / np.sqrt(extent)
        u, *_ = linalg.svd(np.moveaxis(tensor, axis, 0), 1, rank)
        columns[:, : u.shape[1]] = u
        factors.append(columns)
    return factors


def _best_factor(tensor: Any, factors: Sequence[Any], axis: int) -> Any:
    """The least squares solution for one matrix, the others given: equation 3.4 of the review."""
    axes = _LETTERS[: tensor.ndim]
    others = [k for k in range(tensor.ndim) if k != axis]
    terms = ",".join([axes, *[f"{axes[k]}r" for k in others]])
    conjugates = [factors[k].conj() for k in others]
    moments = einsum(f"{terms}->{axes[axis]}r", tensor, *conjugates)
    gram = reduce(np.multiply, [factors[k].T @ factors[k].conj() for k in others])
    return np.linalg.lstsq(gram.T, moments.T, rcond=None)[0].T


def _balanced(factors: Sequence[Any]) -> list[Any]:
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    size = reduce(np.multiply, norms) ** (1 / len(norms))
    return [factor * (size / np.where(n > 0, n, 1)) for factor, n in zip(factors, norms)]


def _error(tensor: Any, factors: Sequence[Any]) -> float:
    axes = _LETTERS[: tensor.ndim]
    terms = ",".join([f"{axis}r" for axis in axes])
    return float(np.linalg.norm(tensor - einsum(f"{terms}->{axes}", *factors)))
