"""Where elements come from: the rows of arrays, or a generator."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ...arrays import Array, as_array
from ...errors import ShapeError
from .stages import Elements, Range, Size, Stage
from .structure import leaves, map_leaves, read_only

__all__ = ["Generated", "Rows", "rows_of"]


@dataclass(frozen=True)
class Rows(Stage):
    """Rows of arrays in the order of a stage of indices.

    Whatever only orders elements is put after the indices, not after the rows, so that a batch of
    shuffled rows is ``array[order[i : i + length]]``, and of rows in order a view.
    """

    arrays: Any
    indices: Stage

    @property
    def size(self) -> Size:
        return self.indices.size

    def start(self, epoch: int, position: int) -> Elements:
        with closing(self.indices.start(epoch, position)) as indices:
            for index in indices:
                yield map_leaves(lambda array: array[index], self.arrays)  # noqa: B023

    def runs(self, epoch: int, position: int, length: int) -> Generator[tuple[int, Any]]:
        with closing(self.indices.keys(epoch, position, length)) as keys:
            for key in keys:
                if isinstance(key, slice):
                    yield key.stop - key.start, map_leaves(lambda a: a[key], self.arrays)  # noqa: B023
                else:
                    yield len(key), map_leaves(lambda a: a.take(key, axis=0), self.arrays)  # noqa: B023

    def reorder(self, make: Callable[[Stage], Stage]) -> Stage:
        return Rows(self.arrays, make(self.indices))

    def in_order(self) -> Any:
        """The arrays as views of just these rows, or None where they are in another order."""
        rows = self.indices
        if not isinstance(rows, Range):
            return None
        return map_leaves(lambda array: array[rows.first : rows.last], self.arrays)

    def __str__(self) -> str:
        return str(self.indices)


def rows_of(arrays: Any) -> Rows:
    """The rows of a structure of arrays, along their first axes.

    Raises:
        ShapeError: no array, one without an axis, or arrays of different lengths.
    """
    arrays = read_only(map_leaves(_as_array, arrays))
    shapes = [array.shape for array in leaves(arrays)]
    if not shapes or () in shapes:
        raise ShapeError("a dataset takes at least one array, each with an axis of samples")
    lengths = sorted({shape[0] for shape in shapes})
    if len(lengths) > 1:
        raise ShapeError(
            f"the first axes of the arrays of a dataset differ, {lengths[0]} and {lengths[-1]}; "
            f"the shapes are {', '.join(map(str, shapes))}"
        )
    return Rows(arrays, Range(0, lengths[0]))


def _as_array(values: Any) -> Array:
    try:
        array = as_array(values, "an array of a dataset")
    except ValueError:
        raise ShapeError(
            "rows of different shapes are no array; use Dataset.from_generator"
        ) from None
    if array.dtype == object and array is not values:
        raise TypeError(f"an array of a dataset cannot be made of this {type(values).__name__}")
    return array


@dataclass(frozen=True)
class Generated(Stage):
    """What the iterable that `make` returns yields."""

    make: Callable[[], Iterable[Any]] = field(repr=False)
    length: int | None

    @property
    def size(self) -> Size:
        return self.length

    def start(self, epoch: int, position: int) -> Elements:
        iterator = iter(self.make())
        try:
            yield from islice(self._counted(iterator), position, None)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def _counted(self, iterator: Iterable[Any]) -> Elements:
        number = 0
        for number, element in enumerate(iterator, 1):
            if self.length is not None and number > self.length:
                raise ValueError(f"a generator yields more than its length of {self.length}")
            yield element
        if self.length is not None and number < self.length:
            raise ValueError(f"a generator yields {number} elements, not its length {self.length}")

    def __str__(self) -> str:
        name = getattr(self.make, "__qualname__", type(self.make).__name__)
        return f"generator({name})"
