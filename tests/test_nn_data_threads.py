"""Threads work ahead within bounds, hand on errors, and are gone with the iteration."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tensornet.nn import Dataset

PATIENCE = 60  # seconds for what takes none, so that a failure does not hang


def crew() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("tensornet-data")]


def numbers(count: int) -> Dataset:
    return Dataset.from_generator(lambda: iter(range(count)))


def double(n: int) -> int:
    return 2 * n


def failing(n: int) -> int:
    if n == 3:
        raise KeyError("three")
    return n


PIPELINES: dict[str, Callable[[Dataset], Dataset]] = {
    "prefetch": lambda d: d.prefetch(2),
    "prefetch twice": lambda d: d.prefetch(1).map(int).prefetch(3),
    "map": lambda d: d.map(int, workers=3),
    "map and prefetch": lambda d: d.map(int, workers=2).prefetch(2),
    "below others": lambda d: d.prefetch(2).shuffle(2, 0).batch(2).unbatch().filter(lambda n: True),
    "zipped": lambda d: d.prefetch(2).zip(d.map(int, workers=2)).map(lambda a, b: a),
    "interleaved": lambda d: d.interleave(lambda n: numbers(9).map(lambda _: n).prefetch(), 2, 9),
}
pipelines = pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=list(PIPELINES))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    assert crew() == []
    yield
    assert crew() == []


@pipelines
def test_threads_have_ended_with_the_loop(pipeline: Callable[[Dataset], Dataset]) -> None:
    data = pipeline(numbers(20))
    for _ in range(2):
        assert set(data) == set(range(20))
        assert crew() == []


@pipelines
def test_a_break_leaves_no_thread_behind(pipeline: Callable[[Dataset], Dataset]) -> None:
    for _ in pipeline(numbers(10**9)):
        assert crew()
        break
    assert crew() == []


@pipelines
def test_an_error_in_the_loop_leaves_no_thread_behind(
    pipeline: Callable[[Dataset], Dataset],
) -> None:
    def loop() -> None:
        for _ in pipeline(numbers(10**9)):
            raise LookupError

    with pytest.raises(LookupError):
        loop()
    assert crew() == []


@pipelines
def test_closing_and_dropping_an_iteration_end_its_threads(
    pipeline: Callable[[Dataset], Dataset],
) -> None:
    iteration = iter(pipeline(numbers(10**9)))
    next(iteration)
    iteration.close()
    assert crew() == []
    iteration.close()
    assert list(iteration) == []
    iteration = iter(pipeline(numbers(10**9)))
    next(iteration)
    del iteration
    assert crew() == []
    unused = iter(pipeline(numbers(10**9)))
    assert crew() == []
    del unused


@pipelines
def test_the_garbage_collector_ends_threads(pipeline: Callable[[Dataset], Dataset]) -> None:
    cycle: list[Any] = [iter(pipeline(numbers(10**9)))]
    next(cycle[0])
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert crew() == []


@pytest.mark.parametrize("workers", [0, 1])
def test_a_garbage_collector_that_runs_in_the_thread_does_not_wait_for_itself(workers: int) -> None:
    dropped, collected = threading.Event(), threading.Event()

    def collect(n: int) -> int:
        if n == 1:
            dropped.wait(PATIENCE)
            gc.collect()
            collected.set()
        return n

    data = numbers(10**9).map(collect, workers)
    cycle: list[Any] = [iter(data if workers else data.prefetch(2))]
    gc.disable()
    try:
        next(cycle[0])
        (thread,) = crew()
        cycle.append(cycle)
        del cycle
        dropped.set()
        assert collected.wait(PATIENCE)
    finally:
        gc.enable()
    thread.join(PATIENCE)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_prefetch_goes_ahead_by_its_size_and_no_further(depth: int) -> None:
    made = 0
    full = threading.Event()

    def generate() -> Iterator[int]:
        nonlocal made
        for n in range(10**9):
            made += 1
            if made == 1 + depth:
                full.set()
            yield n

    for taken, _ in enumerate(Dataset.from_generator(generate).prefetch(depth), 1):
        assert full.wait(PATIENCE)
        assert made <= taken + depth
        if taken == 20:
            break


@pytest.mark.parametrize("workers", [1, 3])
def test_a_parallel_map_goes_ahead_by_twice_its_workers_and_no_further(workers: int) -> None:
    calls: list[int] = []
    data = numbers(10**9).map(lambda n: calls.append(n) or n, workers)
    for taken, _ in enumerate(data, 1):
        assert len(calls) < taken + 2 * workers
        if taken == 20:
            break


def test_a_parallel_map_is_parallel_and_keeps_the_order() -> None:
    meeting = threading.Barrier(2)
    order = []

    def meet(n: int) -> int:
        meeting.wait(PATIENCE)  # passed only by two calls at once
        order.append(n)
        return double(n)

    assert list(numbers(10).map(meet, workers=2)) == [double(n) for n in range(10)]
    assert sorted(order) == list(range(10))


@pytest.mark.parametrize(
    "pipeline",
    [
        lambda d: d.map(failing).prefetch(2),
        lambda d: d.map(failing, workers=1),
        lambda d: d.map(failing, workers=4),
        lambda d: d.map(failing, workers=2).prefetch(9).prefetch(1),
        lambda d: d.map(failing).map(int, workers=4),
    ],
)
def test_an_error_of_a_thread_reaches_the_caller_after_what_came_before(
    pipeline: Callable[[Dataset], Dataset],
) -> None:
    data = pipeline(numbers(10))
    for _ in range(2):
        seen: list[int] = []
        with pytest.raises(KeyError, match="three") as caught:
            seen.extend(data)
        assert seen == [0, 1, 2]
        assert caught.traceback[-1].name == "failing"
        assert crew() == []


class Failure(Exception):
    """One that can be referred to weakly."""


def failure(n: int) -> int:
    raise Failure


@pytest.mark.parametrize(
    "pipeline",
    [
        lambda d: d.map(failure).prefetch(2),
        lambda d: d.map(failure, workers=2),
        lambda d: d.map(failure).map(int, workers=2),
    ],
)
def test_an_error_of_a_thread_is_freed_with_its_last_reference(
    pipeline: Callable[[Dataset], Dataset],
) -> None:
    gc.disable()
    try:
        list(pipeline(numbers(10)))
    except Failure as error:
        caught = weakref.ref(error)
    finally:
        gc.enable()
    assert caught() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_iterates_anew_and_is_told_so() -> None:
    data = numbers(50).map(double, workers=2).prefetch(2)
    iteration = iter(data)
    next(iteration)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python and of other libraries, that there are threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            if list(data) == [double(n) for n in range(50)]:
                list(iteration)
        except RuntimeError as error:
            status = 0 if "iterate over the dataset again" in str(error) else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert list(iteration) == [double(n) for n in range(1, 50)]


PROGRAM = """
from tensornet.nn import Dataset
data = Dataset.from_generator(lambda: iter(range(10**9)))
one, two = iter(data.prefetch(3)), iter(data.map(abs, workers=2).prefetch(2))
next(one), next(two)
{end}
"""


@pytest.mark.parametrize(("end", "status"), [("", 0), ("raise SystemExit(3)", 3)])
def test_the_interpreter_ends_with_iterations_left_open(end: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (status, "")
