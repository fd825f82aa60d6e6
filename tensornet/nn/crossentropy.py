"""Cross-entropies of logits with gradient rules of their own: softmax and logarithm never meet.

With ``total = log(sum(exp(logits)))`` of a row, the cross-entropy is ``sum(targets) * total -
sum(targets * logits)``, and its gradient ``sum(targets) * exp(logits - total) - targets``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import as_numeric
from ..autodiff.rules.registry import joint_rule, rule
from ..errors import ShapeError
from ..ops import exp, multiply, negative, reshape, scatter_add, sigmoid, subtract
from ..ops import sum as sum_of
from ..tape import Tensor, operation

__all__ = ["binary_values", "dense_values", "one_of", "sparse_values"]

Array = np.ndarray[Any, Any]


def one_of(rows: Any, labels: Any, name: str) -> Array:
    """The labels of rows (..., classes) as an array of whole numbers; complains of wrong ones."""
    array = labels.array if type(labels) is Tensor else as_numeric(labels, "labels")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} expects labels that are whole numbers, not {array.dtype}")
    if not rows.shape or array.shape != rows.shape[:-1]:
        raise ShapeError(
            f"{name} expects labels of shape {rows.shape[:-1]} for predictions of shape "
            f"{rows.shape}, not {array.shape}"
        )
    classes = rows.shape[-1]
    if array.size and not 0 <= array.min() <= array.max() < classes:
        places = np.argwhere((array < 0) | (array >= classes))[0]
        place = ", ".join(map(str, places.tolist()))
        raise ValueError(
            f"label {array[tuple(places)]}, of row {place}, is not one of {classes} classes, "
            f"0 to {classes - 1}"
        )
    return array


def _log_total(logits: Array) -> Array:
    """log(sum(exp(logits))) over the last axis, which keeps extent 1."""
    top = logits.max(axis=-1, keepdims=True)
    total: Array = np.exp(logits - top).sum(axis=-1, keepdims=True)
    total = np.log(total, out=total) + top
    return total


@operation
def sparse_values(logits: Any, labels: Array, smoothing: float) -> Any:
    """The cross-entropy of each row (...) with its label, and the total of each (..., 1)."""
    total = _log_total(logits)
    at = np.take_along_axis(logits, labels[..., None], -1)
    if smoothing:
        at = (1 - smoothing) * at + smoothing * logits.mean(axis=-1, keepdims=True)
    return (total - at)[..., 0], total


def _pull_sparse(
    g: Any, results: Any, _: list[bool], args: Sequence[Any], options: Mapping[str, Any]
) -> Sequence[Any]:
    (logits, labels), smoothing = args, options["smoothing"]
    (of_values, of_total), (_, total) = g, results
    softmax = exp(subtract(logits, total))
    if of_values is None:
        return multiply(softmax, of_total), None
    column = reshape(of_values, total.shape)
    pulled = multiply(softmax, column if of_total is None else column + of_total)
    if smoothing:
        pulled = pulled - column * (smoothing / logits.shape[-1])
    return pulled - _at(column * (1 - smoothing), labels, logits.shape[-1]), None


def _at(column: Any, labels: Array, classes: int) -> Any:
    """Zeros (..., classes), but the entries of a column (..., 1) at the labels."""
    count = labels.size
    flat = reshape(column, (count,))
    placed = scatter_add(flat, (np.arange(count), labels.reshape(-1)), (count, classes))
    return reshape(placed, (*labels.shape, classes))


joint_rule(sparse_values, _pull_sparse, keeps_result=True)


@operation
def dense_values(logits: Any, targets: Any, smoothing: float) -> Any:
    """The cross-entropy of each row (...) with targets (..., classes), and totals (..., 1)."""
    total = _log_total(logits)
    if smoothing:
        weight = targets.sum(axis=-1, keepdims=True)
        targets = (1 - smoothing) * targets + smoothing / logits.shape[-1] * weight
    return (targets * (total - logits)).sum(axis=-1), total


def _pull_dense(
    g: Any, results: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
) -> Sequence[Any]:
    (logits, targets), smoothing = args, options["smoothing"]
    (of_values, of_total), (_, total) = g, results
    of_logits = of_targets = None
    softmax = exp(subtract(logits, total))
    if of_values is not None:
        column = reshape(of_values, total.shape)
        weight = sum_of(targets, -1, keepdims=True)
        smooth = targets
        if smoothing:
            smooth = targets * (1 - smoothing) + weight * (smoothing / logits.shape[-1])
        of_logits = multiply(softmax * weight - smooth, column)
        if needed[1]:
            of_targets = subtract(total, logits) * (1 - smoothing)
            if smoothing:
                rest = subtract(total, sum_of(logits, -1, keepdims=True) / logits.shape[-1])
                of_targets = of_targets + rest * smoothing
            of_targets = multiply(of_targets, column)
    if of_total is not None:
        further = multiply(softmax, of_total)
        of_logits = further if of_logits is None else of_logits + further
    return of_logits, of_targets


joint_rule(dense_values, _pull_dense, keeps_result=True)


@operation
def binary_values(logits: Any, targets: Any) -> Any:
    """``max(z, 0) - z * t + log(1 + exp(-abs(z)))`` of every entry."""
    return np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))


rule(
    binary_values,
    lambda g, y, z, t: multiply(g, subtract(sigmoid(z), t)),
    lambda g, y, z, t: multiply(g, negative(z)),
)
