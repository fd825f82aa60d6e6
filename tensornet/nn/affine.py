"""A linear map, a bias and an activation as one operation.

The bias is added, and the activation taken, where the result of the linear map lies: one array is
made and kept instead of three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..autodiff.rules.registry import joint_rule
from ..ops import greater, multiply, relu
from ..records import rule_of
from ..tape import operation
from .sums import sum_over

__all__ = ["affine"]


def affine(
    linear: Callable[..., Any],
    x: Any,
    kernel: Any,
    bias: Any = None,
    activation: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Any:
    """``activation(linear(x, kernel, **options) + bias)``.

    Args:
        linear: an operation with a gradient rule, whose results are new arrays, channels last.
        bias: of shape (channels,); None for none.
        activation: relu is taken in place, others as operations of their own.

    >>> from tensornet.ops import matmul
    >>> affine(matmul, np.eye(2), np.array([[1.0, -1], [2, 3]]), np.array([1.0, 0]), relu)
    array([[2., 0.],
           [3., 3.]])
    """
    rectify = activation is relu
    if bias is None and not rectify:
        result = linear(x, kernel, **options)
    else:
        result = _fused(linear, rectify)(x, kernel, bias, **options)
    return result if rectify or activation is None else activation(result)


@cache
def _fused(linear: Callable[..., Any], rectify: bool) -> Callable[..., Any]:
    """The operation of (x, kernel, bias) with its rule."""

    def forward(x: Any, kernel: Any, bias: Any, **options: Any) -> Any:
        result = linear(x, kernel, **options)
        if bias is not None:
            result += bias
        if rectify:
            np.maximum(result, 0, out=result)
        return result

    def pull(
        g: Any, y: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
    ) -> Sequence[Any]:
        if rectify:
            g = multiply(g, greater(y, 0))  # where() takes ten times as long
        rule = rule_of(linear)
        assert rule is not None
        pulled = rule.pull(g, None, needed[:2], args[:2], options)
        rows = tuple(range(len(g.shape) - 1))
        return *pulled, sum_over(g, None, axes=rows) if needed[2] else None

    forward.__name__ = f"{linear.__name__} with bias"
    op = operation(forward)
    of_linear = rule_of(linear)
    keeps: Any = None if of_linear is None else of_linear.keeps
    if keeps and isinstance(keeps[0], tuple):  # one for each argument
        keeps = (*keeps, ())
    joint_rule(op, pull, keeps=keeps, keeps_result=rectify)
    return op
