"""What is trained on: arrays or a Dataset, as batches of inputs, targets and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, as_array
from ..errors import ShapeError
from ..tape import Tensor
from .data import Dataset
from .data.structure import leaves, map_leaves
from .samples import weights_of

__all__ = ["Batch", "as_batch", "batches_of", "class_factors", "inputs_of", "split_off"]


class Batch(NamedTuple):
    """Samples that go through the model together.

    Attributes:
        inputs: what the model is called with.
        targets: what should come out.
        weights: how much each sample counts, of shape (n,); None for all alike.
    """

    inputs: tuple[Any, ...]
    targets: Any
    weights: Any

    @property
    def size(self) -> int:
        """The number of samples."""
        return len(leaves(self.inputs)[0])


def batches_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    seed: int | None = None,
) -> Dataset:
    """Batches of arrays, in another order in each epoch if there is a seed; or a Dataset as it is.

    Args:
        x: an array, a tuple of arrays for a model of several inputs, or a Dataset of batches.
        y: targets; None for none.
        sample_weight: of shape (n,).

    Raises:
        ShapeError: arrays of different lengths.
        ValueError: no samples, negative weights, or arguments that a Dataset settles itself.
    """
    if isinstance(x, Dataset):
        given = {"y": y, "sample_weight": sample_weight, "batch_size": batch_size}
        if too_much := [name for name, value in given.items() if value is not None]:
            raise ValueError(
                f"a Dataset has {' and '.join(too_much)} in its elements, which are batches (x, y) "
                "or (x, y, sample_weight): see Dataset.zip and Dataset.batch"
            )
        if x.cardinality() == inf:
            raise ValueError("an endless Dataset has no epochs: take() as many batches as one has")
        return x
    arrays = [map_leaves(_array_of, x)]
    if y is not None:
        arrays.append(map_leaves(_array_of, y))
    if sample_weight is not None:
        if y is None:
            raise ValueError("sample_weight goes with targets, and there is no y")
        arrays.append(weights_of(sample_weight, np.shape(sample_weight)))
    data = Dataset.from_arrays(tuple(arrays))
    if not len(data):
        raise ValueError("there are no samples: the arrays are empty")
    if seed is not None:
        data = data.shuffle(None, seed)
    return data.batch(32 if batch_size is None else batch_size)


def _array_of(given: Any) -> Array:
    return given.array if type(given) is Tensor else as_array(given)


def split_off(parts: Sequence[Any], fraction: float) -> tuple[list[Any], list[Any]]:
    """The first samples of arrays, and the fraction of them that is last.

    Args:
        parts: arrays, tuples of arrays, or None, which stays None.

    Raises:
        ValueError: a fraction that leaves no samples on one side.
    """
    if isinstance(parts[0], Dataset):
        raise ValueError("validation_split is of arrays: split a Dataset with take() and skip()")
    parts = [None if part is None else map_leaves(_array_of, part) for part in parts]
    arrays = [array for part in parts if part is not None for array in leaves(part)]
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise ShapeError(f"arrays of {' and '.join(map(str, sorted(lengths)))} samples")
    count = lengths.pop()
    first = int(count * (1 - fraction)) if 0 < fraction < 1 else 0
    if not 0 < first < count:
        raise ValueError(
            f"validation_split={fraction} of {count} samples leaves none to train on or none to "
            "validate with"
        )

    def part_of(rows: slice) -> list[Any]:
        return [None if p is None else map_leaves(lambda a: a[rows], p) for p in parts]

    return part_of(slice(first)), part_of(slice(first, None))


def inputs_of(x: Any, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """What a model is called with: real numbers of its own precision, all else as it is."""
    return tuple([_converted(each, dtype) for each in (x if isinstance(x, tuple) else (x,))])


def _converted(given: Any, dtype: np.dtype[Any]) -> Any:
    array = given if type(given) is Tensor else as_array(given)
    if array.dtype.kind == "f" and dtype.kind in "fc" and array.dtype != dtype:
        return np.asarray(array).astype(dtype)
    return array


def as_batch(element: Any, dtype: np.dtype[Any], classes: Any = None) -> Batch:
    """An element of a Dataset, for a model of a dtype.

    Args:
        classes: weights of classes, as `class_factors` takes them.

    Raises:
        ValueError: an element that is not (x, y) or (x, y, sample_weight).
    """
    if not isinstance(element, tuple) or len(element) not in (2, 3):
        kind = f"{len(element)} parts" if isinstance(element, tuple) else type(element).__name__
        raise ValueError(f"a batch is (x, y) or (x, y, sample_weight), not {kind}")
    x, targets, *rest = element
    weights = rest[0] if rest else None
    if classes is not None:
        factors = class_factors(classes, targets)
        weights = factors if weights is None else factors * np.asarray(weights)
    batch = Batch(inputs_of(x, dtype), targets, weights)
    if not batch.size:
        raise ValueError("a batch has no samples")
    return batch


def class_factors(classes: Mapping[int, float] | Sequence[float], targets: Any) -> Array:
    """How much samples count for their classes.

    Args:
        classes: a dict from class to weight, where those left out have weight 1; or the weights
            of all classes.
        targets: labels, of shape (n,) or (n, 1), or one-hot rows (n, classes).

    Raises:
        ShapeError: other targets.
        ValueError: a label without a weight, or weights that are negative.

    >>> class_factors({1: 3.0}, np.array([0, 1, 1]))
    array([1., 3., 3.])
    """
    labels = np.asarray(targets)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(axis=1)
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != 1 or (labels != labels.astype(np.int64)).any():
        raise ShapeError(
            f"class_weight goes with labels (n,) or one-hot rows, not with {labels.dtype} targets "
            f"of shape {np.shape(targets)}"
        )
    labels = labels[:, 0].astype(np.int64)
    if isinstance(classes, Mapping):
        pairs = {index(label): float(weight) for label, weight in classes.items()}
        most = max([0, *pairs, *labels.tolist()]) + 1
        table = np.array([pairs.get(label, 1.0) for label in range(most)])
    else:
        table = np.asarray(classes, np.float64)
    weights_of(table, table.shape)
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(table):
        raise ValueError(f"class_weight has {len(table)} weights, but a label is {labels.max()}")
    factors: Array = table[labels]
    return factors
