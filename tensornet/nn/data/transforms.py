"""Stages that make other elements: map, filter, batch, unbatch, zip, enumerate, interleave."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from ...errors import ShapeError
from .sources import Rows
from .stages import Elements, Range, Size, Stage
from .structure import call, leaves, map_leaves
from .threads import mapped

__all__ = ["Batch", "Enumerate", "Filter", "Interleave", "Map", "Unbatch", "Zip", "zipped"]

END = object()


def name_of(function: Any) -> str:
    """What to call a function in the description of a dataset."""
    return getattr(function, "__qualname__", type(function).__name__)


@dataclass(frozen=True)
class Map(Stage):
    """The function of each element; skipped elements are not computed."""

    source: Stage
    function: Callable[..., Any]
    workers: int
    seed: int | None

    @property
    def size(self) -> Size:
        return self.source.size

    def start(self, epoch: int, position: int) -> Elements:
        with closing(self.source.start(epoch, position)) as elements:
            if self.seed is None:
                function, inputs = partial(call, self.function), elements
            else:
                function = partial(self._seeded, epoch)
                inputs = zip(itertools.count(position), elements)  # type: ignore[assignment]
            if self.workers:
                yield from mapped(function, inputs, self.workers)
            else:
                for element in inputs:
                    yield function(element)

    def _seeded(self, epoch: int, numbered: tuple[int, Any]) -> Any:
        number, element = numbered
        rng = np.random.default_rng([self.seed or 0, epoch, number])
        return call(self.function, element, rng=rng)

    def __str__(self) -> str:
        seed = "" if self.seed is None else f", seed={self.seed}"
        return f"{self.source}.map({name_of(self.function)}{seed})"


@dataclass(frozen=True)
class Filter(Stage):
    """The elements of which the function is true."""

    source: Stage
    function: Callable[..., Any]

    @property
    def size(self) -> Size:
        return 0 if self.source.size == 0 else None

    def start(self, epoch: int, position: int) -> Elements:
        with closing(self.source.start(epoch, 0)) as elements:
            kept = (element for element in elements if call(self.function, element))
            yield from itertools.islice(kept, position, None)

    def __str__(self) -> str:
        return f"{self.source}.filter({name_of(self.function)})"


@dataclass(frozen=True)
class Batch(Stage):
    """Runs of elements, stacked."""

    source: Stage
    length: int
    drop: bool

    @property
    def size(self) -> Size:
        size = self.source.size
        if not isinstance(size, int):
            return size
        return size // self.length if self.drop else ceil(size / self.length)

    def start(self, epoch: int, position: int) -> Elements:
        with closing(self.source.runs(epoch, position * self.length, self.length)) as runs:
            for length, run in runs:
                if length == self.length or not self.drop:
                    yield run

    def __str__(self) -> str:
        drop = ", drop_remainder=True" if self.drop else ""
        return f"{self.source}.batch({self.length}{drop})"


@dataclass(frozen=True)
class Unbatch(Stage):
    """The rows of each element."""

    source: Stage

    @property
    def size(self) -> Size:
        return 0 if self.source.size == 0 else None

    def start(self, epoch: int, position: int) -> Elements:
        with closing(self.source.start(epoch, 0)) as elements:
            for element in elements:
                length = _length(element)
                for row in range(position, length):
                    yield map_leaves(lambda a: np.asarray(a)[row], element)  # noqa: B023
                position = max(0, position - length)

    def __str__(self) -> str:
        return f"{self.source}.unbatch()"


def _length(element: Any) -> int:
    lengths = {np.shape(leaf)[:1] for leaf in leaves(element)}
    if len(lengths) != 1 or () in lengths:
        shapes = [np.shape(leaf) for leaf in leaves(element)]
        raise ShapeError(f"unbatch() needs arrays with one first axis, not of shapes {shapes}")
    return int(lengths.pop()[0])


@dataclass(frozen=True)
class Zip(Stage):
    """Tuples of one element of each source, until one of them ends."""

    sources: tuple[Stage, ...]

    @property
    def size(self) -> Size:
        sizes = [source.size for source in self.sources]
        return (
            0 if 0 in sizes else None if None in sizes else min(s for s in sizes if s is not None)
        )

    def start(self, epoch: int, position: int) -> Elements:
        with ExitStack() as stack:
            yield from zip(
                *[stack.enter_context(closing(s.start(epoch, position))) for s in self.sources]
            )

    def __str__(self) -> str:
        return f"zip({', '.join(map(str, self.sources))})"


def zipped(sources: tuple[Stage, ...]) -> Stage:
    """Tuples of elements; rows of arrays in order are zipped as arrays."""
    arrays = [source.in_order() if isinstance(source, Rows) else None for source in sources]
    if any(array is None for array in arrays):
        return Zip(sources)
    sizes = [source.size for source in sources]
    return Rows(tuple(arrays), Range(0, min(s for s in sizes if isinstance(s, int))))


@dataclass(frozen=True)
class Enumerate(Stage):
    """Pairs of the number of an element and the element."""

    source: Stage
    first: int

    @property
    def size(self) -> Size:
        return self.source.size

    def start(self, epoch: int, position: int) -> Elements:
        with closing(self.source.start(epoch, position)) as elements:
            yield from enumerate(elements, self.first + position)

    def __str__(self) -> str:
        return f"{self.source}.enumerate({self.first or ''})"


@dataclass(frozen=True)
class Interleave(Stage):
    """Elements in turn from the datasets that elements are opened to.

    Args:
        opened: gives the elements of a dataset for an element and the epoch.
        name: what to call it.
        cycle: how many are open at a time, each in a place of its own.
        block: how many elements come from one before it is the turn of the next place.
    """

    source: Stage
    opened: Callable[[Any, int], Elements]
    name: str
    cycle: int
    block: int

    @property
    def size(self) -> Size:
        return 0 if self.source.size == 0 else None

    def start(self, epoch: int, position: int) -> Elements:
        with closing(self._turns(epoch)) as elements:
            yield from itertools.islice(elements, position, None)

    def _turns(self, epoch: int) -> Elements:
        places: list[Elements | None] = [None] * self.cycle
        with closing(self.source.start(epoch, 0)) as waiting, ExitStack() as ending:
            ending.callback(_close_all, places)
            more = True
            while more or any(places):
                for number in range(self.cycle):
                    if places[number] is None and more:
                        element = next(waiting, END)
                        more = element is not END
                        places[number] = self.opened(element, epoch) if more else None
                    yield from self._turn(places, number)

    def _turn(self, places: list[Elements | None], number: int) -> Elements:
        """A block from one place, which is free again if its dataset ended."""
        place = places[number]
        given = 0
        if place is not None:
            for element in itertools.islice(place, self.block):
                given += 1
                yield element
        if given < self.block:
            places[number] = None

    def __str__(self) -> str:
        return f"{self.source}.interleave({self.name}, {self.cycle}, {self.block})"


def _close_all(places: list[Elements | None]) -> None:
    for place in places:
        if place is not None:
            place.close()
