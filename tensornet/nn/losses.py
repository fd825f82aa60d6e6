"""Losses: how far predictions are from what they should be.

Every loss is a function ``loss(predictions, targets, weights=None, reduction="mean")``, predictions
first, as in PyTorch (Keras has targets first). Losses by row, the classifications, have one value
per row; the others one per entry.

Weights are one per example, or per leading axes of the values; they are constants. The reductions:

- "mean": ``sum(weights * values) / sum(weights)``, the right average of a short batch or of one
  filled up with examples of weight 0; 0 if all weights are;
- "sum": ``sum(weights * values)``;
- "none": ``weights * values``.

Gradients have gradients, which are exact. Targets that are on the tape get gradients, too, where
that makes sense: not whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..autodiff import stop_gradient
from ..errors import ShapeError
from ..ops import abs as absolute
from ..ops import log, minimum, multiply, negative, reshape, subtract, take_along_axis
from ..ops import sum as sum_of
from ..tape import as_operands
from .crossentropy import binary_values, dense_values, one_of, sparse_values

__all__ = [
    "LOSSES",
    "LossLike",
    "binary_cross_entropy",
    "huber",
    "kl_divergence",
    "loss_of",
    "mean_absolute_error",
    "mean_squared_error",
    "negative_log_likelihood",
    "reduced",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]

Loss: TypeAlias = "Callable[..., Any]"
LossLike: TypeAlias = "str | Loss"


def sparse_softmax_cross_entropy(
    logits: Any,
    labels: Any,
    weights: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """``-log(softmax(logits))`` at the labels; PyTorch's cross_entropy, fused.

    Args:
        logits: (..., classes), not normalised.
        labels: (...), whole numbers from 0 to classes - 1.
        weights, reduction: see above.
        label_smoothing: the part of the target that is spread evenly over all classes.

    Raises:
        ShapeError: labels of another shape than (...).
        TypeError: labels that are not whole numbers.
        ValueError: a label out of range, which it names.

    Complexity: two passes over the logits; it keeps them for the gradient, and one number per row.

    >>> round(float(sparse_softmax_cross_entropy(np.array([[0.0, 0.0]]), [1])), 4)
    0.6931
    """
    (logits,) = as_operands([logits])
    labels = one_of(logits, labels, "sparse_softmax_cross_entropy")
    values = sparse_values(logits, labels, smoothing=_fraction(label_smoothing))[0]
    return reduced(values, weights, reduction)


def softmax_cross_entropy(
    logits: Any,
    targets: Any,
    weights: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """``-sum(targets * log(softmax(logits)))`` over the last axis, fused.

    Args:
        logits, targets: (..., classes), targets the chance of each class; one-hot rows for labels.
        weights, reduction, label_smoothing: as for `sparse_softmax_cross_entropy`.

    Raises:
        ShapeError: unequal shapes.

    >>> loss = softmax_cross_entropy(np.zeros((1, 2)), np.array([[0.5, 0.5]]))
    >>> round(float(loss), 4)
    0.6931
    """
    logits, targets = _alike("softmax_cross_entropy", logits, targets)
    smoothing = _fraction(label_smoothing)
    return reduced(dense_values(logits, targets, smoothing=smoothing)[0], weights, reduction)


def binary_cross_entropy(
    logits: Any,
    targets: Any,
    weights: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """``-t * log(sigmoid(z)) - (1 - t) * log(1 - sigmoid(z))`` of logits z, without overflow.

    Args:
        logits, targets: of one shape; targets from 0 to 1.
        weights, reduction: see above.
        label_smoothing: s makes targets ``(1 - s) * t + s / 2``.

    Raises:
        ShapeError: unequal shapes.

    >>> round(float(binary_cross_entropy(np.array([0.0]), np.array([1.0]))), 4)
    0.6931
    """
    logits, targets = _alike("binary_cross_entropy", logits, targets)
    if smoothing := _fraction(label_smoothing):
        targets = targets * (1 - smoothing) + smoothing / 2
    return reduced(binary_values(logits, targets), weights, reduction)


def mean_squared_error(
    predictions: Any, targets: Any, weights: Any = None, reduction: str = "mean"
) -> Any:
    """``(predictions - targets) ** 2`` of every entry.

    Raises:
        ShapeError: unequal shapes.

    >>> float(mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    difference = subtract(*_alike("mean_squared_error", predictions, targets))
    return reduced(multiply(difference, difference), weights, reduction)


def mean_absolute_error(
    predictions: Any, targets: Any, weights: Any = None, reduction: str = "mean"
) -> Any:
    """``abs(predictions - targets)`` of every entry.

    Raises:
        ShapeError: unequal shapes.

    >>> float(mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    1.0
    """
    difference = subtract(*_alike("mean_absolute_error", predictions, targets))
    return reduced(absolute(difference), weights, reduction)


def huber(
    predictions: Any,
    targets: Any,
    weights: Any = None,
    reduction: str = "mean",
    delta: float = 1.0,
) -> Any:
    """Half the square of what is within `delta`, and a line further out.

    ``d * d / 2`` for differences of size d up to delta, else ``delta * (d - delta / 2)``.

    Raises:
        ShapeError: unequal shapes.
        ValueError: delta is not positive.

    >>> huber(np.array([1.0, 5.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.5, 4.5])
    """
    if not delta > 0:
        raise ValueError(f"huber needs a positive delta, not {delta}")
    size = absolute(subtract(*_alike("huber", predictions, targets)))
    within = minimum(size, delta)
    return reduced(multiply(within, size - within / 2), weights, reduction)


def negative_log_likelihood(
    log_probabilities: Any, labels: Any, weights: Any = None, reduction: str = "mean"
) -> Any:
    """``-log_probabilities`` at the labels: PyTorch's nll_loss.

    Args:
        log_probabilities: (..., classes), such as the result of log_softmax.
        labels: (...), whole numbers from 0 to classes - 1.

    Raises:
        ShapeError, TypeError, ValueError: as `sparse_softmax_cross_entropy`.

    >>> float(negative_log_likelihood(np.array([[-1.0, -2.0]]), [1]))
    2.0
    """
    (rows,) = as_operands([log_probabilities])
    labels = one_of(rows, labels, "negative_log_likelihood")
    picked = reshape(take_along_axis(rows, labels[..., None], axis=-1), labels.shape)
    return reduced(negative(picked), weights, reduction)


def kl_divergence(
    log_probabilities: Any, targets: Any, weights: Any = None, reduction: str = "mean"
) -> Any:
    """``sum(targets * (log(targets) - log_probabilities))`` over the last axis.

    Args:
        log_probabilities: (..., classes), such as the result of log_softmax.
        targets: of the same shape, probabilities; where they are 0 nothing is added. Constants.

    Raises:
        ShapeError: unequal shapes.

    >>> float(kl_divergence(np.log([[0.5, 0.5]]), np.array([[0.5, 0.5]])))
    0.0
    """
    rows, targets = _alike("kl_divergence", log_probabilities, targets)
    constant = np.asarray(stop_gradient(targets))
    logs = log(np.where(constant > 0, constant, 1))
    terms = multiply(constant, logs - rows)
    return reduced(sum_of(terms, -1), weights, reduction)


LOSSES: dict[str, Loss] = {
    "sparse_softmax_cross_entropy": sparse_softmax_cross_entropy,
    "softmax_cross_entropy": softmax_cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "mse": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "mae": mean_absolute_error,
    "huber": huber,
    "negative_log_likelihood": negative_log_likelihood,
    "nll": negative_log_likelihood,
    "kl_divergence": kl_divergence,
}


def loss_of(given: LossLike) -> Loss:
    """The loss meant by a name, or by itself.

    Raises:
        ValueError: an unknown name.
    """
    if callable(given):
        return given
    if given not in LOSSES:
        raise ValueError(f"no loss is called {given!r}; there are {', '.join(LOSSES)}")
    return LOSSES[given]


def reduced(values: Any, weights: Any = None, reduction: str = "mean") -> Any:
    """Values of a loss, weighted and reduced; see the top of this file.

    Raises:
        ValueError: another reduction, or no values to take the mean of.
        ShapeError: weights that are not of the shape of the first axes of values.

    >>> float(reduced(np.array([1.0, 2.0, 7.0]), weights=[1, 3, 0]))
    1.75
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    shape = values.shape
    count: Any = np.size(values) if weights is None else None
    if weights is not None:
        spread = np.asarray(stop_gradient(weights), values.dtype)
        if spread.shape != shape[: spread.ndim]:
            raise ShapeError(
                f"weights of shape {spread.shape} do not belong to the first axes of losses of "
                f"shape {shape}"
            )
        count = spread.sum() * np.prod(shape[spread.ndim :], dtype=np.int64)
        values = multiply(values, spread.reshape(*spread.shape, *[1] * (len(shape) - spread.ndim)))
    if reduction == "none":
        return values
    total = sum_of(values)
    if reduction == "sum":
        return total
    if weights is None and not count:
        raise ValueError(f"no mean of losses of shape {shape}: there are none")
    return multiply(total, np.asarray(1 / count if count else 0, values.dtype))


def _alike(name: str, predictions: Any, targets: Any) -> tuple[Any, Any]:
    """Both as operands of one shape, targets in the dtype of the predictions."""
    predictions, targets = as_operands([predictions, targets])
    if predictions.shape != targets.shape:
        raise ShapeError(
            f"{name} expects targets of the shape of the predictions, {predictions.shape}, not "
            f"{targets.shape}"
        )
    if type(targets) is np.ndarray and targets.dtype != predictions.dtype:
        targets = targets.astype(predictions.dtype)
    return predictions, targets


def _fraction(smoothing: float) -> float:
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing is from 0 to 1, not {smoothing}")
    return smoothing
