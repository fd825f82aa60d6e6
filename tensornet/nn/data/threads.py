"""Work done ahead of an iteration by threads that end with it.

The caller hands out calls and takes their results in order, so nothing but a bounded number of
calls is ever under way, and threads never wait for a full queue: they can always be joined.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from inspect import GEN_RUNNING, getgeneratorstate
from itertools import repeat
from typing import Any

from .stages import Elements, Size, Stage

__all__ = ["Prefetch", "mapped"]

END = object()


class Crew:
    """Threads that end with the block, wherever and by whom it is left."""

    def __init__(self, workers: int) -> None:
        self.process = os.getpid()
        self.members: set[int] = set()
        self.pool = ThreadPoolExecutor(workers, "tensornet-data", partial(_join, self.members))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        if os.getpid() != self.process:
            return  # the threads stayed in the parent, and so did whoever holds their locks
        # the garbage collector may close an iteration in one of its own threads
        wait = threading.get_ident() not in self.members
        self.pool.shutdown(wait=wait, cancel_futures=True)

    def results(self, calls: Iterable[Callable[[], Any]], ahead: int) -> Elements:
        """The results of the calls, in order; at most `ahead` of them are under way at a time."""
        pending: deque[Future[Any]] = deque()
        for call in calls:
            self._check_process()
            pending.append(self.pool.submit(call))
            del call  # an error refers to what has a name here, which must not refer to it
            if len(pending) == ahead:
                yield pending.popleft().result()
        while pending:
            self._check_process()
            yield pending.popleft().result()

    def _check_process(self) -> None:
        if os.getpid() != self.process:
            raise RuntimeError(
                "the threads of this iteration are in the process that it was forked from; "
                "iterate over the dataset again"
            )


def _join(members: set[int]) -> None:
    members.add(threading.get_ident())


def mapped(function: Callable[[Any], Any], elements: Iterator[Any], workers: int) -> Elements:
    """The function of each element, in order, computed by so many threads."""
    with Crew(workers) as crew:
        yield from crew.results(_calls(function, elements), 2 * workers)


def _calls(function: Callable[[Any], Any], elements: Iterator[Any]) -> Generator[Any]:
    """One call for each element; an error of the source comes after what it gave before."""
    try:
        for element in elements:
            yield partial(function, element)
    except Exception as error:
        yield partial(_raise, error)


def _raise(error: Exception) -> None:
    try:
        raise error
    finally:
        del error  # which would refer to itself by its traceback


@dataclass(frozen=True)
class Prefetch(Stage):
    """The elements of the source, up to `depth` of them fetched by a thread before they are due."""

    source: Stage
    depth: int

    @property
    def size(self) -> Size:
        return self.source.size

    def start(self, epoch: int, position: int) -> Elements:
        elements = self.source.start(epoch, position)
        try:
            with Crew(1) as crew:
                for element in crew.results(repeat(partial(next, elements, END)), self.depth + 1):
                    if element is END:
                        return
                    yield element
        finally:
            if getgeneratorstate(elements) != GEN_RUNNING:  # by the thread that closes this
                elements.close()

    def __str__(self) -> str:
        return str(self.source)  # the elements are the same
