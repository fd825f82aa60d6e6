"""A linear map, a bias and an activation as one operation.

The bias is added, and the activation taken, where the result of the linear map lies: one array is
made and kept instead of three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from .. import _kernels
from ..autodiff.rules.registry import joint_rule, rule
from ..config import get_num_threads
from ..ops import relu
from ..records import rule_of
from ..tape import operation
from .sums import sum_over

__all__ = ["affine", "where_positive"]


def _has_kernel(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.dtype.char in "fd"


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


@operation
def where_positive(g: Any, y: Any) -> Any:
    """g where y is positive, else 0: the gradient of relu, whose result is y. One pass.

    >>> where_positive(np.array([1.0, 2.0]), np.array([0.0, 3.0]))
    array([0., 2.])
    """
    if _has_kernel(g, y):
        operands = np.ascontiguousarray(g), np.ascontiguousarray(y)
        return _kernels.relu_gradient(*operands, get_num_threads())
    return np.multiply(g, y > 0)


rule(where_positive, lambda g, _, __, y: where_positive(g, y), keeps=(1,))


@cache
def _fused(linear: Callable[..., Any], rectify: bool) -> Callable[..., Any]:
    """The operation of (x, kernel, bias) with its rule."""

    def forward(x: Any, kernel: Any, bias: Any, **options: Any) -> Any:
        result = linear(x, kernel, **options)
        if bias is not None and _has_kernel(result, bias) and result.flags.c_contiguous:
            threads = get_num_threads()
            _kernels.add_bias(result, np.ascontiguousarray(bias), rectify, threads)
            return result
        if bias is not None:
            result += bias
        if rectify:
            np.maximum(result, 0, out=result)
        return result

    def pull(
        g: Any, y: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
    ) -> Sequence[Any]:
        if rectify:
            g = where_positive(g, y)
        of_linear = rule_of(linear)
        assert of_linear is not None
        pulled = of_linear.pull(g, None, needed[:2], args[:2], options)
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
