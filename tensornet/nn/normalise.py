"""Entries made to have mean 0 and variance 1, scaled and shifted: one operation with its rule.

Letters: x has axes 0 to r - 1. Statistics are taken over some of them; scale and shift have the
extents of the last ones. They vary along the axes of the statistics (layer normalisation: all of
them) or not at all (batch normalisation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ..autodiff.rules.registry import joint_rule
from ..ops import multiply, reshape, subtract
from ..tape import operation
from .sums import sum_over

__all__ = ["normalise"]


@operation
def normalise(x: Any, scale: Any, shift: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    """``(x - mean) / sqrt(variance + epsilon) * scale + shift``, mean and variance over axes.

    Args:
        x: array of any shape.
        scale, shift: of the shape of the last axes of x; None for none.
        axes: not negative, with at least one entry on them: the last ones, those of scale; or all
            others.

    Returns:
        (the array, of the shape of x; mean; ``1 / sqrt(variance + epsilon)``), the last two with
        extent 1 on the axes. The variance divides by the number of entries.

    Complexity: six passes over x. The rule keeps x, and takes ten.
    """
    middle = _mean(axes, x)
    result = x - middle
    inverse = (1 / np.sqrt(_mean(axes, result, result) + epsilon)).astype(x.dtype, copy=False)
    if scale is not None and not _varies(x, scale, axes):
        result *= inverse * scale
    else:
        result *= inverse
        if scale is not None:
            result *= scale
    if shift is not None:
        result += shift
    return result, middle, inverse


def _varies(x: Any, scale: Any, axes: tuple[int, ...]) -> bool:
    """Does the scale vary along the axes of the statistics?"""
    return max(axes) >= len(x.shape) - len(scale.shape)


def _mean(axes: tuple[int, ...], a: Any, b: Any = None) -> Any:
    """The mean of a, or of ``a * b``, over axes, which keep extent 1."""
    shape = a.shape
    small = tuple([1 if k in axes else n for k, n in enumerate(shape)])
    total = sum_over(a, b, axes=axes)
    return reshape(total, small) / prod([shape[k] for k in axes])


def _pull(
    g: Any, results: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
) -> Sequence[Any]:
    x, scale, shift = args[:3]
    axes = options["axes"]
    (gy, g_middle, g_inverse), (_, middle, inverse) = g, results
    centred = subtract(x, middle)
    of_x = of_scale = of_shift = None
    if gy is not None:
        inside = scale is not None and _varies(x, scale, axes)
        h = multiply(gy, scale) if inside else gy
        factor = inverse if inside or scale is None else inverse * scale
        first, second = _mean(axes, h), _mean(axes, h, centred)
        if needed[0]:
            of_x = h * factor - (centred * (second * inverse * inverse * factor) + first * factor)
        if needed[1]:
            of_scale = _over_rows(scale, gy, centred * inverse)
        if needed[2]:
            of_shift = _over_rows(shift, gy)
    if needed[0]:
        count = prod([x.shape[k] for k in axes])
        if g_middle is not None:
            of_x = _plus(of_x, multiply(g_middle / count, np.ones(x.shape, x.dtype)))
        if g_inverse is not None:
            cube = inverse * inverse * inverse
            of_x = _plus(of_x, centred * (g_inverse * cube / -count))
    return of_x, of_scale, of_shift


def _over_rows(like: Any, a: Any, b: Any = None) -> Any:
    """a, or ``a * b``, summed over all axes but the last ones, those of `like`."""
    return sum_over(a, b, axes=tuple(range(len(a.shape) - len(like.shape))))


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else a + b


joint_rule(normalise, _pull, keeps=(0, 1), keeps_result=True)
