"""Stages of a pipeline, and those that only order elements: parts, repeats, shuffles, caches.

A stage holds no state of an iteration. `start(epoch, position)` begins any pass at any place, so
the state of an iteration is these two numbers, whatever the pipeline is made of. Stages that
compute where to begin do not produce what was skipped; the others do and drop it.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from ...arrays import Array
from .structure import read_only, stack

__all__ = ["Cache", "Elements", "Part", "Range", "Repeat", "Shuffle", "Size", "Stage"]

Elements = Generator[Any, None, None]
Size = int | float | None
"""How many elements: a number, infinity, or None where only running tells."""

BLOCK = 4096  # indices and random numbers that are made at a time
ENDLESS_EPOCH = 1 << 32  # passes that an endless repeat is given before those of the next epoch


class Stage(ABC):
    """One step of a pipeline, with those that it takes its elements from."""

    @property
    @abstractmethod
    def size(self) -> Size:
        """The number of elements of an epoch."""

    @abstractmethod
    def start(self, epoch: int, position: int) -> Elements:
        """The elements of an epoch from `position` on; closing it ends its threads."""

    def runs(self, epoch: int, position: int, length: int) -> Generator[tuple[int, Any]]:
        """Elements in stacked runs of `length`, the last maybe shorter, each after its length."""
        with closing(self.start(epoch, position)) as elements:
            while picked := list(itertools.islice(elements, length)):
                yield len(picked), stack(picked)

    def keys(self, epoch: int, position: int, length: int) -> Generator[Array | slice]:
        """For a stage of indices: runs of `length` in the form in which arrays take them."""
        with closing(self.start(epoch, position)) as indices:
            while picked := list(itertools.islice(indices, length)):
                yield np.array(picked, dtype=np.intp)

    def reorder(self, make: Callable[[Stage], Stage]) -> Stage:
        """The stage that `make`, which only picks and orders elements, puts after this one."""
        return make(self)


@dataclass(frozen=True)
class Range(Stage):
    """The indices of rows, from `first` to before `last`."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first

    def start(self, epoch: int, position: int) -> Elements:
        yield from range(self.first + position, self.last)

    def keys(self, epoch: int, position: int, length: int) -> Generator[slice]:
        for begin in range(self.first + position, self.last, length):
            yield slice(begin, min(begin + length, self.last))

    def __str__(self) -> str:
        return f"rows({self.first}, {self.last})"


@dataclass(frozen=True)
class Part(Stage):
    """The elements from number `first` to before `last`, or to the end."""

    source: Stage
    first: int
    last: int | None = None

    @classmethod
    def of(cls, source: Stage, first: int, last: int | None) -> Stage:
        """The part; of a range, another range."""
        if not isinstance(source, Range):
            return cls(source, first, last)
        begin = min(source.first + first, source.last)
        end = source.last if last is None else min(source.first + last, source.last)
        return Range(begin, end)

    @property
    def size(self) -> Size:
        size = self.source.size
        if size is None:
            return 0 if self.last == 0 else None
        return max(0, min(size, inf if self.last is None else self.last) - self.first)

    def start(self, epoch: int, position: int) -> Elements:
        begin = self.first + position
        left = None if self.last is None else max(0, self.last - begin)
        with closing(self.source.start(epoch, begin)) as elements:
            yield from itertools.islice(elements, left)

    def __str__(self) -> str:
        skip = f".skip({self.first})" if self.first else ""
        return f"{self.source}{skip}" + ("" if self.last is None else f".take({self.last})")


@dataclass(frozen=True)
class Repeat(Stage):
    """All elements `count` times, or for ever; each pass is an epoch of its own."""

    source: Stage
    count: int | None

    @property
    def size(self) -> Size:
        size = self.source.size
        if size == 0 or self.count == 0:
            return 0
        return inf if self.count is None else None if size is None else size * self.count

    def start(self, epoch: int, position: int) -> Elements:
        size, done, begin, drop = self.source.size, 0, position, 0
        if size is None:
            begin, drop = 0, position
        elif 0 < size < inf:
            done, begin = divmod(position, int(size))
        rounds = 0 if size == 0 else ENDLESS_EPOCH if self.count is None else self.count
        for number in itertools.takewhile(lambda n: n < rounds, itertools.count(done)):
            empty = True
            with closing(self.source.start(epoch * rounds + number, begin)) as elements:
                for element in elements:
                    empty = False
                    if drop:
                        drop -= 1
                    else:
                        yield element
            if empty and self.size == inf:
                raise ValueError(f"an endless repetition of no elements: {self} is empty")
            begin = 0

    def __str__(self) -> str:
        return f"{self.source}.repeat({'' if self.count is None else self.count})"


@dataclass(frozen=True)
class Shuffle(Stage):
    """Elements in random order: each drawn from a buffer that the source refills.

    The draws depend on the seed and the epoch, not on the elements, so that datasets that are
    zipped after equal shuffles still correspond.
    """

    source: Stage
    buffer: int | None
    seed: int
    reshuffle: bool

    @property
    def size(self) -> Size:
        return self.source.size

    def _generator(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch if self.reshuffle else 0])

    def _order(self, epoch: int) -> Array | None:
        """The indices in order, if a range is permuted as a whole."""
        rows = self.source
        if not isinstance(rows, Range) or (self.buffer is not None and self.buffer < rows.size):
            return None
        return rows.first + self._generator(epoch).permutation(rows.size)

    def start(self, epoch: int, position: int) -> Elements:
        order = self._order(epoch)
        if order is None:
            with closing(self.source.start(epoch, 0)) as elements:
                yield from itertools.islice(self._drawn(elements, epoch), position, None)
            return
        for begin in range(position, len(order), BLOCK):
            yield from order[begin : begin + BLOCK].tolist()

    def keys(self, epoch: int, position: int, length: int) -> Generator[Array | slice]:
        order = self._order(epoch)
        if order is None:
            yield from super().keys(epoch, position, length)
            return
        for begin in range(position, len(order), length):
            yield order[begin : begin + length]

    def _drawn(self, elements: Iterator[Any], epoch: int) -> Elements:
        generator = self._generator(epoch)
        buffer = list(itertools.islice(elements, self.buffer))
        for element, place in zip(elements, _numbers(generator, len(buffer))):
            chosen, buffer[place] = buffer[place], element
            yield chosen
        yield from map(buffer.__getitem__, generator.permutation(len(buffer)).tolist())

    def __str__(self) -> str:
        once = "" if self.reshuffle else ", reshuffle_each_iteration=False"
        return f"{self.source}.shuffle({self.buffer}, seed={self.seed}{once})"


def _numbers(generator: np.random.Generator, below: int) -> Iterator[int]:
    while True:
        yield from generator.integers(below, size=BLOCK).tolist()


@dataclass
class Cache(Stage):
    """What the source gave in its epoch 0, kept from the first complete pass on."""

    source: Stage
    kept: list[Any] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, source: Stage) -> Stage:
        """The cache; a range needs none."""
        return source if isinstance(source, Range) else cls(source)

    @property
    def size(self) -> Size:
        return self.source.size if self.kept is None else len(self.kept)

    def start(self, epoch: int, position: int) -> Elements:
        if self.kept is not None:
            yield from itertools.islice(self.kept, position, None)
            return
        kept = []
        with closing(self.source.start(0, 0)) as elements:
            for number, element in enumerate(elements):
                kept.append(read_only(element))
                if number >= position:
                    yield kept[-1]
        self.kept = kept

    def __str__(self) -> str:
        return f"{self.source}.cache()"
