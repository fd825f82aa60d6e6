"""The Dataset: a description of data that can be iterated over many times, and resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from math import inf
from operator import index
from typing import Any

from .idx import load_idx
from .sources import Generated, rows_of
from .stages import Cache, Elements, Part, Repeat, Shuffle, Stage
from .structure import call
from .threads import Prefetch
from .transforms import (
    Batch,
    Enumerate,
    Filter,
    Interleave,
    Map,
    Unbatch,
    name_of,
    zipped,
)

__all__ = ["Dataset", "Iteration"]


class Iteration(Iterator[Any]):
    """One pass over a `Dataset`, made by `Dataset.iterate` or ``iter(dataset)``.

    Threads of `prefetch` and `map` end when it does: at its end, at an error, when it is closed, or
    when nothing refers to it any more, as after a ``break``.
    """

    def __init__(self, stage: Stage, epoch: int, position: int) -> None:
        self._stage, self._epoch, self._position = stage, epoch, position
        self._elements = stage.start(epoch, position)

    def __next__(self) -> Any:
        element = next(self._elements)
        self._position += 1
        return element

    def state(self) -> dict[str, Any]:
        """Where it stands, for `Dataset.iterate`: small, and plain enough for JSON.

        Returns:
            ``epoch``, ``position`` (how many elements of the epoch have been given out) and
            ``dataset``, the description of what is iterated over, seeds included.
        """
        return {"epoch": self._epoch, "position": self._position, "dataset": str(self._stage)}

    def close(self) -> None:
        """End it, with its threads; no elements come any more."""
        self._elements.close()


class Dataset:
    """Elements to iterate over as often as one likes, and methods that make other Datasets.

    An element is an array or any value, or a tuple or dict of such. Nothing is computed before
    elements are asked for, a Dataset is never changed by a method, and a function that is given
    to one takes the parts of a tuple as arguments: ``lambda x, y: ...``.

    Each ``for`` loop over a Dataset is an epoch of its own, counted from 0, and `shuffle` gives
    each epoch another order. All of it follows from the seeds: the same Dataset made again gives
    the same elements. `iterate` begins any epoch anywhere and continues one that was interrupted.

    Those who know tf.data find ``from_tensor_slices`` as `from_arrays`, ``as_numpy_iterator`` as
    ``iter``, ``num_parallel_calls`` as `workers`, and arguments of the same names elsewhere.
    For PyTorch's ``DataLoader(data, batch_size, shuffle=True, num_workers=2, drop_last=True)``
    write ``data.shuffle(None, seed).batch(batch_size, drop_remainder=True)``, with
    ``map(function, workers=2)`` for the ``__getitem__`` and `prefetch` at the end.

    Rows of arrays that are only picked and ordered (`shuffle`, `take`, `skip`, `repeat`, `zip`,
    `cache`) are never touched one by one: a batch is ``array[order[i : i + n]]``, and without a
    shuffle a view. So batch first, and map batches rather than samples where the function can.
    Arrays that may be views are read-only.

    >>> data = Dataset.from_arrays([10, 11, 12, 13, 14], [0, 1, 0, 1, 0])
    >>> for x, y in data.shuffle(None, seed=1).batch(2):
    ...     print(x, y)
    [14 10] [0 0]
    [11 12] [1 0]
    [13] [1]
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._epoch = 0  # of the next iteration

    @classmethod
    def from_arrays(cls, *arrays: Any) -> Dataset:
        """The rows of arrays along their first axes, as ``tf.data.Dataset.from_tensor_slices``.

        Args:
            arrays: one array (elements are its rows), several (elements are tuples), or a tuple or
                dict of arrays (elements are such). They are not copied.

        Raises:
            ShapeError: no array, one without an axis, or arrays of different lengths.

        >>> list(Dataset.from_arrays({"a": [1, 2], "b": [3, 4]}).batch(2))
        [{'a': array([1, 2]), 'b': array([3, 4])}]
        """
        return cls(rows_of(arrays[0] if len(arrays) == 1 else arrays))

    @classmethod
    def from_generator(
        cls, function: Callable[[], Iterable[Any]], length: int | None = None
    ) -> Dataset:
        """What the iterable that `function` returns yields; it is called anew for each epoch.

        As PyTorch's IterableDataset. A generator that uses random numbers makes its own from a
        seed; one whose epochs differ cannot be resumed.

        Args:
            function: called without arguments; its iterator is closed at the end or a ``break``.
            length: the number of elements, if it is known.

        Raises:
            ValueError: while iterating, a generator that yields another number than `length`.

        >>> list(Dataset.from_generator(lambda: range(5)).batch(3))
        [array([0, 1, 2]), array([3, 4])]
        """
        if not callable(function):
            raise TypeError(
                f"from_generator takes a function that returns an iterable, not a "
                f"{type(function).__name__}, which could be iterated over only once"
            )
        return cls(Generated(function, None if length is None else _at_least(0, length, "length")))

    @classmethod
    def from_idx(cls, *paths: str | os.PathLike[str]) -> Dataset:
        """The rows of one IDX file, or tuples of those of several; see `load_idx`.

        Raises:
            FormatError: a file that is none or is damaged.
            ShapeError: files of different lengths.
        """
        return cls.from_arrays(*[load_idx(path) for path in paths])

    def map(
        self, function: Callable[..., Any], workers: int = 0, *, seed: int | None = None
    ) -> Dataset:
        """The function of each element, in order.

        Args:
            function: NumPy releases Python's lock in most of its work, so threads help there.
            workers: threads that compute up to ``2 * workers`` elements ahead; 0 means the
                caller's. An exception reaches the caller where its element would have been.
            seed: if given, the function also gets ``rng=``, a ``numpy.random.Generator`` that
                depends on the seed, the epoch and the position only: random augmentation that
                any number of workers and a resumed iteration repeat.

        >>> list(Dataset.from_arrays([1, 2], [3, 4]).map(lambda a, b: int(a + b), workers=2))
        [4, 6]
        """
        workers = _at_least(0, workers, "workers")
        return Dataset(Map(self._stage, function, workers, _seed(seed)))

    def filter(self, function: Callable[..., Any]) -> Dataset:
        """The elements of which the function is true.

        >>> list(Dataset.from_generator(lambda: range(5)).filter(lambda n: n % 2))
        [1, 3]
        """
        return Dataset(Filter(self._stage, function))

    def shuffle(
        self, buffer_size: int | None, seed: int, *, reshuffle_each_iteration: bool = True
    ) -> Dataset:
        """Elements in random order.

        Args:
            buffer_size: each element is drawn from so many that are held; None or a size that is
                large enough gives all orders the same chance. Of rows of arrays only the indices
                are held.
            seed: a whole number, from 0 on; there is no order that cannot be repeated.
            reshuffle_each_iteration: another order in each epoch, or always the same, which a
                split by `take` and `skip` into training and test data needs.

        >>> data = Dataset.from_arrays([0, 1, 2, 3]).shuffle(4, seed=0).batch(4)
        >>> [batch.tolist() for _ in range(2) for batch in data]
        [[2, 0, 1, 3], [3, 0, 2, 1]]
        """
        if buffer_size is not None:
            buffer_size = _at_least(1, buffer_size, "buffer_size")
        elif self._stage.size == inf:
            raise ValueError("an endless dataset cannot be shuffled as a whole; give a buffer_size")
        number = _at_least(0, seed, "seed")
        return self._reordered(
            lambda stage: Shuffle(stage, buffer_size, number, reshuffle_each_iteration)
        )

    def batch(self, batch_size: int, *, drop_remainder: bool = False) -> Dataset:
        """Runs of elements, stacked along a new first axis.

        Args:
            batch_size: how many; the last batch holds what is left.
            drop_remainder: leave out a last batch that is short (``drop_last`` of PyTorch).

        Raises:
            ShapeError: while iterating, elements of different shapes or structures.
            TypeError: while iterating, values that no array holds, such as None.

        >>> list(Dataset.from_arrays([1, 2, 3]).batch(2))
        [array([1, 2]), array([3])]
        """
        size = _at_least(1, batch_size, "batch_size")
        return Dataset(Batch(self._stage, size, drop_remainder))

    def unbatch(self) -> Dataset:
        """The rows of each element, the inverse of `batch`.

        Raises:
            ShapeError: while iterating, arrays of an element with different first extents.
        """
        return Dataset(Unbatch(self._stage))

    def repeat(self, count: int | None = None) -> Dataset:
        """All elements `count` times, or without end; a `shuffle` before shuffles each time anew.

        Raises:
            ValueError: while iterating, no elements where only running tells, without end.

        >>> list(Dataset.from_arrays([1, 2]).repeat(2).batch(3))
        [array([1, 2, 1]), array([2])]
        """
        times = None if count is None else _at_least(0, count, "count")
        return self._reordered(lambda stage: Repeat(stage, times))

    def take(self, count: int) -> Dataset:
        """The first `count` elements, or as many as there are."""
        last = _at_least(0, count, "count")
        return self._reordered(lambda stage: Part.of(stage, 0, last))

    def skip(self, count: int) -> Dataset:
        """All but the first `count` elements."""
        first = _at_least(0, count, "count")
        return self._reordered(lambda stage: Part.of(stage, first, None))

    def cache(self) -> Dataset:
        """The elements of the first complete pass, kept in memory for all that follow.

        They keep their order, so `shuffle` comes after. Their arrays are read-only.

        Raises:
            ValueError: an endless dataset.
        """
        if self._stage.size == inf:
            raise ValueError("an endless dataset cannot be cached; put cache() before repeat()")
        return self._reordered(Cache.of)

    def zip(self, *others: Dataset) -> Dataset:
        """Tuples of one element of each, until one ends; also ``Dataset.zip(a, b)``.

        >>> a, b = Dataset.from_arrays([1, 2]), Dataset.from_arrays([3, 4])
        >>> list(a.zip(b).batch(2))
        [(array([1, 2]), array([3, 4]))]
        """
        for data in (self, *others):
            if not isinstance(data, Dataset):
                raise TypeError(f"zip takes Datasets, as in zip(a, b), not a {type(data).__name__}")
        return Dataset(zipped(tuple(data._stage for data in (self, *others))))

    def enumerate(self, start: int = 0) -> Dataset:
        """Pairs of a number, counted from `start`, and the element."""
        return Dataset(Enumerate(self._stage, index(start)))

    def interleave(
        self,
        function: Callable[..., Dataset | Iterable[Any]],
        cycle_length: int,
        block_length: int = 1,
    ) -> Dataset:
        """Elements in turn from the datasets that the function makes of elements.

        Args:
            function: gives a Dataset, or another iterable, for an element, such as a file's name.
            cycle_length: how many are open at a time; one that ends makes room for the next.
            block_length: how many elements come from one before the next has its turn.

        >>> numbers = Dataset.from_generator(lambda: range(1, 4))
        >>> list(numbers.interleave(lambda n: [n] * 3, cycle_length=2, block_length=2))
        [1, 1, 2, 2, 1, 2, 3, 3, 3]
        """
        cycle = _at_least(1, cycle_length, "cycle_length")
        block = _at_least(1, block_length, "block_length")
        opened = partial(_opened, function)
        return Dataset(Interleave(self._stage, opened, name_of(function), cycle, block))

    def prefetch(self, buffer_size: int = 2) -> Dataset:
        """The same elements, up to `buffer_size` of them made by a thread before they are due.

        The thread begins with the first element and has ended when the loop has, by a ``break`` or
        an exception, too. Exceptions of the work before reach the caller in their turn. An
        iteration does not go on in a forked process; iterate again there.
        """
        return Dataset(Prefetch(self._stage, _at_least(1, buffer_size, "buffer_size")))

    def iterate(
        self, state: Mapping[str, Any] | None = None, *, epoch: int | None = None
    ) -> Iteration:
        """A pass over the elements: the next epoch, a given one, or the rest of one.

        Rows of arrays, `shuffle` of them, `map`, `batch`, `take`, `skip`, `zip` and `prefetch`
        begin in the middle at once; `filter`, `unbatch`, `interleave`, a generator and a shuffle
        of its elements go through what is skipped.

        Args:
            state: what `Iteration.state` returned, in this process or an earlier one: exactly the
                elements follow that would have followed then, and the next ``for`` loop is the
                epoch after that.
            epoch: the number of the epoch to begin.

        Raises:
            ValueError: a state of another dataset or beyond its end, or both arguments.

        >>> data = Dataset.from_arrays(range(6)).shuffle(None, seed=3).batch(2)
        >>> first = data.iterate()
        >>> _ = next(first)
        >>> state = first.state()
        >>> [b.tolist() for b in first] == [b.tolist() for b in data.iterate(state)]
        True
        """
        position = 0
        if state is not None:
            if epoch is not None:
                raise ValueError("a state says which epoch it is; leave out epoch=")
            epoch, position = self._checked(state)
        elif epoch is None:
            epoch = self._epoch
        iteration = Iteration(self._stage, _at_least(0, epoch, "epoch"), position)
        self._epoch = epoch + 1
        return iteration

    def _checked(self, state: Mapping[str, Any]) -> tuple[int, int]:
        if missing := {"epoch", "position"} - set(state):
            raise ValueError(f"the state of an iteration has no {' and no '.join(sorted(missing))}")
        here, there = str(self._stage), state.get("dataset")
        if there is not None and here != there:
            raise ValueError(f"the state is of another dataset: it was {there}, and this is {here}")
        position, size = _at_least(0, state["position"], "position"), self._stage.size
        if size is not None and position > size:
            raise ValueError(f"position={position} is beyond the {size} elements of the dataset")
        return _at_least(0, state["epoch"], "epoch"), position

    def cardinality(self) -> int | float | None:
        """The number of elements of an epoch: ``math.inf`` if endless, None if not known."""
        return self._stage.size

    def _reordered(self, make: Callable[[Stage], Stage]) -> Dataset:
        return Dataset(self._stage.reorder(make))

    def __iter__(self) -> Iteration:
        return self.iterate()

    def __len__(self) -> int:
        size = self._stage.size
        if not isinstance(size, int):
            kind = "an endless dataset" if size == inf else "a dataset of unknown length"
            raise TypeError(f"{kind} has no len(); see cardinality()")
        return size

    def __repr__(self) -> str:
        return f"<Dataset {self._stage}>"


def _opened(function: Callable[..., Any], element: Any, epoch: int) -> Elements:
    """The elements of the dataset or iterable that the function makes."""
    made = call(function, element)
    if isinstance(made, Dataset):
        return made._stage.start(epoch, 0)
    if not isinstance(made, Iterable):
        raise TypeError(
            f"the function of interleave gives a {type(made).__name__}, no Dataset and no iterable"
        )
    return Generated(lambda: made, None).start(epoch, 0)


def _at_least(least: int, value: Any, name: str) -> int:
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name}={number} is below {least}")
    return number


def _seed(seed: int | None) -> int | None:
    return None if seed is None else _at_least(0, seed, "seed")
