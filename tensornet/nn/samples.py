"""What goes with samples: labels, scores and weights, checked before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import Array, as_array
from ..errors import ShapeError

__all__ = ["aligned", "checked_labels", "labels_of", "weights_of"]


def aligned(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Both without a last axis of extent 1 that the other does not have.

    So labels (n,) go with predictions (n, 1); they must not be broadcast to (n, n).
    """
    if y_true.shape == (*y_pred.shape, 1):
        y_true = y_true[..., 0]
    elif y_pred.shape == (*y_true.shape, 1):
        y_pred = y_pred[..., 0]
    return y_true, y_pred


def labels_of(y_true: Array, y_pred: Array, threshold: float) -> tuple[Array, Array, int]:
    """True and predicted labels of one shape, and the number of classes.

    Args:
        y_true: labels (n, ...), distributions (n, ..., classes), or labels 0 and 1.
        y_pred: scores (n, ..., classes), or probabilities of the shape of `y_true`.
        threshold: probabilities above it say 1.

    Raises:
        ShapeError: other shapes.
        ValueError: labels that are no classes, predictions that are NaN.
    """
    y_true, y_pred = aligned(y_true, y_pred)
    if y_true.ndim == y_pred.ndim > 1 and y_true.shape == (*y_pred.shape[:-1], 1):
        y_true = y_true[..., 0]
    same = y_true.shape == y_pred.shape
    if np.isnan(y_pred).any():
        place = np.argwhere(np.isnan(y_pred))[0].tolist()
        raise ValueError(f"the predictions are NaN, first at {place}")
    if same and (y_pred.ndim == 1 or y_pred.shape[-1:] == (1,)):
        return checked_labels(y_true, 2), (y_pred > threshold).astype(np.int64), 2
    fit = y_pred.ndim > 1 and y_pred.shape[-1] > 0 and (same or y_true.shape == y_pred.shape[:-1])
    if not fit:
        raise ShapeError(
            f"y_true of shape {y_true.shape} and y_pred of shape {y_pred.shape} are neither labels "
            "(n,) or one-hot rows (n, classes) with scores (n, classes), nor labels and "
            "probabilities (n,)"
        )
    classes = y_pred.shape[-1]
    labels = y_true.argmax(axis=-1) if same else checked_labels(y_true, classes)
    return labels, y_pred.argmax(axis=-1), classes


def checked_labels(labels: Array, classes: int) -> Array:
    """The labels as int64, whole numbers of any dtype from 0 to ``classes - 1``.

    Raises:
        ValueError: another one; names it and its sample.
    """
    with np.errstate(invalid="ignore"):  # NaN is no label, which is found next
        whole: Array = labels.astype(np.int64)
    wrong = np.argwhere((whole != labels) | (whole < 0) | (whole >= classes))
    if len(wrong):
        place = tuple(wrong[0].tolist())
        raise ValueError(
            f"label {labels[place]} of sample {place[0]} is none of the {classes} classes, "
            f"which are counted from 0 to {classes - 1}"
        )
    return whole


def weights_of(sample_weight: Any, shape: tuple[int, ...]) -> Array:
    """Weights of the leading axes, or one for all, broadcast to `shape`; float64, read-only.

    Raises:
        ShapeError: weights of another shape.
        ValueError: weights that are negative or not finite.
    """
    weights = as_array(1.0 if sample_weight is None else sample_weight, "sample_weight")
    weights = weights.astype(np.float64)
    if weights.shape != shape[: weights.ndim]:
        raise ShapeError(
            f"sample_weight has shape {weights.shape}, but what it weighs has shape {shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("sample_weight has entries that are negative, infinite or NaN")
    return np.broadcast_to(
        weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape
    )
