"""Metrics: what is counted over many batches, right for a short last one and for weighted samples.

``update(y_true, y_pred, sample_weight=None)`` counts a batch, and ``result()`` is of all batches
since the last ``reset()``. Samples are what is weighted, so neither the sizes of batches nor their
order matter. `get` finds a metric by its name.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from operator import index
from typing import Any, Literal

import numpy as np

from ..arrays import Array, as_array
from ..errors import ShapeError
from .samples import aligned, checked_labels, labels_of, weights_of

__all__ = [
    "Accuracy",
    "ConfusionMatrix",
    "Mean",
    "MeanOf",
    "Metric",
    "Precision",
    "Recall",
    "TopK",
    "absolute_error",
    "get",
    "squared_error",
]

Average = Literal["binary", "macro", "micro"] | None


class Metric(ABC):
    """Counts something over batches.

    Attributes:
        name: what to call it, in a history or a log.
    """

    name: str

    @abstractmethod
    def reset(self) -> None:
        """Forget all batches."""

    @abstractmethod
    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch.

        Args:
            y_true: what should come out, of shape (n, ...).
            y_pred: what came out, its shape depending on the metric.
            sample_weight: how much each sample counts, by default 1: of shape (n,), or of the
                leading axes of what is counted; a number stands for all.

        Raises:
            ShapeError: shapes that do not go together.
            ValueError: labels that are no classes, predictions that are NaN, weights that are
                negative or not finite. A failed call counts nothing.
        """

    @abstractmethod
    def result(self) -> Any:
        """What was counted since the last reset."""

    def state_dict(self) -> dict[str, Array]:
        """What was counted since the last reset as arrays, for a checkpoint amid an epoch."""
        return {}

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:  # noqa: B027
        """Take over what `state_dict` has returned."""


class Mean:
    """The weighted mean of numbers, such as the losses of batches weighted by their sizes.

    >>> loss = Mean()
    >>> loss.update(1.0, sample_weight=64)
    >>> loss.update(3.0, sample_weight=32)  # a short last batch
    >>> round(loss.result(), 4)
    1.6667
    """

    def __init__(self, name: str = "mean") -> None:
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget all numbers."""
        self._total = self._weight = 0.0

    def update(self, values: Any, sample_weight: Any = None) -> None:
        """Count numbers, of any shape.

        Args:
            sample_weight: one number, or one for each entry along the leading axes of `values`.

        Raises:
            ShapeError: weights of another shape.
            ValueError: weights that are negative or not finite.
        """
        array = as_array(values, "a value").astype(np.float64)
        weights = weights_of(sample_weight, array.shape)
        self._total += float((array * weights).sum())
        self._weight += float(weights.sum())

    def result(self) -> float:
        """The mean; NaN if nothing was counted."""
        return self._total / self._weight if self._weight else float("nan")

    def state_dict(self) -> dict[str, Array]:
        """The sums, as an array."""
        return {"sums": np.array([self._total, self._weight])}

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `state_dict` has returned."""
        self._total, self._weight = arrays["sums"].tolist()


class MeanOf(Metric):
    """The mean of a function of each sample.

    Args:
        function: takes ``(y_true, y_pred)`` as arrays, and returns numbers, of shape (n, ...).
        name: by default the function's.

    >>> error = MeanOf(squared_error)
    >>> error.update([1.0, 2.0], [1.0, 4.0])
    >>> error.result()
    2.0
    """

    def __init__(self, function: Callable[[Array, Array], Any], name: str | None = None) -> None:
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self._function = function
        self._mean = Mean()

    def reset(self) -> None:
        self._mean.reset()

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._mean.update(self._function(*_arrays(y_true, y_pred)), sample_weight)

    def result(self) -> float:
        """The mean; NaN if nothing was counted."""
        return self._mean.result()

    def state_dict(self) -> dict[str, Array]:
        return self._mean.state_dict()

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        self._mean.load_state_dict(arrays)


class Accuracy(MeanOf):
    """The fraction of samples whose predicted class is the right one.

    What `y_true` and `y_pred` are is seen from their shapes:

    - sparse: labels (n, ...) and scores (n, ..., classes), of which the largest counts;
    - dense: distributions such as one-hot rows, and scores, both (n, ..., classes);
    - binary: labels 0 or 1 and probabilities, both (n,) or (n, 1).

    Where scores are equal, the first class counts. A trailing axis of extent 1 more or less on one
    side makes no difference.

    Args:
        threshold: of binary predictions: above it they say 1. For logits it is 0.

    >>> accuracy = Accuracy()
    >>> accuracy.update([2, 0], [[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
    >>> accuracy.result()
    0.5
    """

    def __init__(self, threshold: float = 0.5, name: str = "accuracy") -> None:
        super().__init__(self._right, name)
        self._threshold = threshold

    def _right(self, y_true: Array, y_pred: Array) -> Array:
        labels, predicted, _ = labels_of(y_true, y_pred, self._threshold)
        right: Array = labels == predicted
        return right


class TopK(MeanOf):
    """The fraction of samples whose class is among the `k` of the largest scores.

    Shapes are those of `Accuracy`, sparse or dense, with which it agrees for ``k=1``: of equal
    scores the first counts as the larger.

    >>> top = TopK(2)
    >>> top.update([2, 0], [[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
    >>> top.result()
    1.0
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        if index(k) < 1:
            raise ValueError(f"k={k} is below 1")
        super().__init__(self._among, name or f"top_{k}")
        self._k = k

    def _among(self, y_true: Array, y_pred: Array) -> Array:
        if y_pred.ndim < 2 or y_pred.shape[-1] < 2:
            raise ShapeError(f"top-k needs scores of shape (n, classes), not {y_pred.shape}")
        labels, _, classes = labels_of(y_true, y_pred, 0.5)
        score = np.take_along_axis(y_pred, labels[..., None], axis=-1)
        before = np.arange(classes) < labels[..., None]
        rank = ((y_pred > score) | ((y_pred == score) & before)).sum(axis=-1)
        among: Array = rank < self._k
        return among


class ConfusionMatrix(Metric):
    """How often each class was taken for each other: rows are true classes, columns predicted ones.

    Args:
        classes: their number. Left out, it is that of the scores, or 2 for binary predictions.
        threshold: as for `Accuracy`.

    Shapes are those of `Accuracy`; `y_pred` may also be labels, whole numbers of the shape of
    `y_true`, if `classes` is given.

    >>> matrix = ConfusionMatrix(3)
    >>> matrix.update([0, 1, 1, 2], [0, 1, 2, 2])
    >>> matrix.result()
    array([[1, 0, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """

    def __init__(
        self, classes: int | None = None, threshold: float = 0.5, name: str = "confusion_matrix"
    ) -> None:
        if classes is not None and index(classes) < 1:
            raise ValueError(f"classes={classes} is below 1")
        self.name = name
        self._classes, self._threshold = classes, threshold
        self.reset()

    def reset(self) -> None:
        self._counts: Array | None = None

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, scores = _arrays(y_true, y_pred)
        if self._classes is not None and scores.dtype.kind in "iu" and true.shape == scores.shape:
            classes = self._classes
            labels, predicted = (checked_labels(values, classes) for values in (true, scores))
        else:
            labels, predicted, classes = labels_of(true, scores, self._threshold)
        self._check_classes(classes)
        weights = None if sample_weight is None else weights_of(sample_weight, labels.shape).ravel()
        pairs = (labels * classes + predicted).ravel()
        counts = np.bincount(pairs, weights, classes * classes).reshape(classes, classes)
        self._counts = counts if self._counts is None else self._counts + counts

    def _check_classes(self, classes: int) -> None:
        before = self._classes if self._counts is None else len(self._counts)
        if before is not None and before != classes:
            raise ShapeError(
                f"{self.name} counts {before} classes, and predictions are of {classes}"
            )

    def result(self) -> Array:
        """An array (classes, classes): int64, or float64 if samples were weighted."""
        if self._counts is None:
            return np.zeros((self._classes or 0,) * 2, np.int64)
        counts: Array = self._counts.copy()
        return counts

    def state_dict(self) -> dict[str, Array]:
        return {} if self._counts is None else {"counts": self._counts.copy()}

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        self._counts = arrays.get("counts")


class _OfClasses(ConfusionMatrix):
    """A ratio for each class: of the right samples to those in `_axis` of the confusion matrix."""

    _axis: int

    def __init__(
        self,
        average: Average = "binary",
        classes: int | None = None,
        threshold: float = 0.5,
        name: str | None = None,
    ) -> None:
        if average not in ("binary", "macro", "micro", None):
            raise ValueError(f"average={average!r} is not 'binary', 'macro', 'micro' or None")
        super().__init__(classes, threshold, name or type(self).__name__.lower())
        self._average = average

    def result(self) -> Any:
        """A float, or an array (classes,) for ``average=None``; 0 where there is no sample."""
        matrix = super().result()
        right, all_ = matrix.diagonal(), matrix.sum(axis=self._axis)
        if self._average == "micro":
            right, all_ = right.sum(keepdims=True), all_.sum(keepdims=True)
        ratios = np.divide(right, all_, out=np.zeros(len(all_)), where=all_ > 0)
        if self._average is None:
            return ratios
        if self._average != "binary":
            return float(ratios.mean()) if ratios.size else 0.0
        if len(ratios) not in (0, 2):
            raise ValueError(
                f"{self.name} of {len(ratios)} classes needs average='macro', 'micro' or None"
            )
        return float(ratios[1]) if ratios.size else 0.0


class Precision(_OfClasses):
    """How many of the samples that were taken for a class belong to it.

    Args:
        average: "binary" for class 1 of two; "macro" for the mean over classes; "micro" for all
            samples together; None for each class.
        classes, threshold: as for `ConfusionMatrix`.

    >>> precision = Precision()
    >>> precision.update([1, 0, 1, 0], [0.9, 0.8, 0.3, 0.1])
    >>> precision.result()
    0.5
    """

    _axis = 0


class Recall(_OfClasses):
    """How many of the samples of a class were taken for it; the arguments are those of `Precision`.

    >>> recall = Recall(average=None)
    >>> recall.update([0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> recall.result()
    array([0.5, 1. ])
    """

    _axis = 1


def squared_error(y_true: Any, y_pred: Any) -> Array:
    """The mean of ``abs(y_true - y_pred) ** 2`` of each sample; shapes (n, ...) to (n,)."""
    return _sample_means(np.square(_distance(y_true, y_pred)))


def absolute_error(y_true: Any, y_pred: Any) -> Array:
    """The mean of ``abs(y_true - y_pred)`` of each sample; shapes (n, ...) to (n,)."""
    return _sample_means(_distance(y_true, y_pred))


def _distance(y_true: Any, y_pred: Any) -> Array:
    """The absolute differences."""
    true, predicted = aligned(*_arrays(y_true, y_pred))
    if true.shape != predicted.shape or 0 in (true.ndim, *true.shape[1:]):
        raise ShapeError(
            f"y_true of shape {true.shape} and y_pred of shape {predicted.shape} are not both of a "
            "shape (n, ...) with samples of at least one entry"
        )
    dtype = np.result_type(true.dtype, predicted.dtype, np.float64)
    distance: Array = np.abs(np.subtract(true, predicted, dtype=dtype))
    return distance


def _sample_means(entries: Array) -> Array:
    means: Array = entries.mean(axis=tuple(range(1, entries.ndim)))
    return means


NAMED: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "confusion_matrix": ConfusionMatrix,
    "mae": lambda: MeanOf(absolute_error, "mae"),
    "mse": lambda: MeanOf(squared_error, "mse"),
    "precision": Precision,
    "recall": Recall,
    "top_k": lambda: TopK(5, "top_k"),
}


def get(metric: str | Metric | Callable[[Array, Array], Any]) -> Metric:
    """The metric of this name, one that is given itself, or the mean of a function.

    Args:
        metric: "accuracy", "top_k" (of 5), "top_1" and so on, "confusion_matrix", "precision",
            "recall", "mse" or "mae"; a `Metric`; or a function as for `MeanOf`.

    Raises:
        ValueError: an unknown name; the message lists all.

    >>> get("top_3").name
    'top_3'
    """
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        return MeanOf(metric)
    if metric in NAMED:
        return NAMED[metric]()
    if match := re.fullmatch(r"top_([1-9]\d*)", metric):
        return TopK(int(match[1]))
    raise ValueError(f"there is no metric {metric!r}; there are {', '.join(sorted(NAMED))}")


def _arrays(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    return as_array(y_true, "y_true"), as_array(y_pred, "y_pred")
