"""An iteration that is stored and continued gives exactly what would have followed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet.nn import Dataset

ROWS = 17


def rows() -> Dataset:
    return Dataset.from_arrays(np.arange(ROWS), np.arange(ROWS) / 2)


def streamed() -> Dataset:
    return Dataset.from_generator(lambda: zip(range(ROWS), np.arange(ROWS) / 2))


def augmented(x: Any, y: Any, rng: np.random.Generator) -> Any:
    return x + rng.random(np.shape(x)), y


PIPELINES: dict[str, Callable[[Dataset], Dataset]] = {
    "training": lambda d: d.shuffle(None, 1).batch(4).map(augmented, 2, seed=3).prefetch(2),
    "small buffer": lambda d: d.shuffle(5, 1).batch(4),
    "repeated": lambda d: d.shuffle(5, 1).repeat(3).batch(4, drop_remainder=True),
    "endless": lambda d: d.shuffle(5, 1).repeat().batch(4).take(20),
    "parts": lambda d: d.shuffle(9, 2).skip(2).take(11).enumerate(3),
    "filtered": lambda d: d.shuffle(9, 2).filter(lambda x, y: x % 3 > 0).repeat(2).batch(2),
    "cached": lambda d: d.shuffle(9, 2).map(augmented, seed=1).cache().shuffle(4, 1).batch(3),
    "zipped": lambda d: d.shuffle(9, 2).zip(d.shuffle(9, 3)).batch(3),
    "unbatched": lambda d: d.shuffle(9, 2).batch(5).unbatch(),
    "interleaved": lambda d: d.shuffle(9, 2).interleave(lambda x, y: [x, y, x], 3, 2).batch(4),
}


def plain(element: Any) -> Any:
    if isinstance(element, tuple):
        return [plain(part) for part in element]
    return np.asarray(element).tolist()


def all_of(data: Any) -> list[Any]:
    return [plain(element) for element in data]


@pytest.mark.parametrize("source", [rows, streamed])
@pytest.mark.parametrize("name", PIPELINES)
def test_a_run_that_is_continued_sees_the_elements_of_an_uninterrupted_one(
    name: str, source: Callable[[], Dataset]
) -> None:
    data = PIPELINES[name](source())
    epochs = [all_of(data) for _ in range(3)]
    for stop in {0, 1, 2, len(epochs[1]) - 1, len(epochs[1])}:
        data = PIPELINES[name](source())  # as another process would
        iteration = data.iterate(epoch=1)
        for _ in range(stop):
            next(iteration)
        stored = json.dumps(iteration.state())
        iteration.close()
        data = PIPELINES[name](source())
        assert all_of(data.iterate(json.loads(stored))) == epochs[1][stop:]
        assert all_of(data) == epochs[2]


def test_what_is_skipped_is_not_computed_where_it_need_not_be() -> None:
    calls = []
    data = rows().shuffle(None, 1).batch(2).map(lambda x, y: calls.append(x) or x)
    rest = list(data.iterate({"epoch": 0, "position": 7}))
    assert len(rest) == len(calls) == 2


def test_a_state_says_where_an_iteration_stands() -> None:
    data = rows().shuffle(3, seed=5).batch(2)
    iteration = data.iterate()
    next(iteration)
    assert iteration.state() == {
        "epoch": 0,
        "position": 1,
        "dataset": "rows(0, 17).shuffle(3, seed=5).batch(2)",
    }
    assert repr(data) == "<Dataset rows(0, 17).shuffle(3, seed=5).batch(2)>"
    list(iteration)
    assert iteration.state()["position"] == len(data)
    assert data.iterate().state()["epoch"] == 1


def test_prefetch_workers_and_a_range_that_is_cached_may_differ() -> None:
    state = rows().batch(2).map(abs).iterate().state()
    rows().cache().batch(2).map(abs, workers=2).prefetch(3).iterate(state)


def test_two_iterations_at_once_do_not_disturb_each_other() -> None:
    data = rows().shuffle(4, 1)
    expected = [all_of(data.iterate(epoch=e)) for e in (0, 1)]
    pairs = list(zip(data.iterate(epoch=0), data.iterate(epoch=1)))
    assert [all_of(side) for side in zip(*pairs)] == expected


def test_states_of_other_datasets_and_damaged_ones_are_refused() -> None:
    data = rows().shuffle(4, seed=1).batch(2)
    for other in (rows().shuffle(4, seed=2).batch(2), rows().take(9).shuffle(4, seed=1).batch(2)):
        with pytest.raises(ValueError, match="another dataset"):
            data.iterate(other.iterate().state())
    with pytest.raises(ValueError, match="no position"):
        data.iterate({"epoch": 1})
    for wrong in ({"epoch": -1, "position": 0}, {"epoch": 0, "position": -1}):
        with pytest.raises(ValueError, match="below 0"):
            data.iterate(wrong)
    with pytest.raises(TypeError, match="whole number"):
        data.iterate({"epoch": 0.5, "position": 0})
    data.iterate({"epoch": 0, "position": 9}).close()
    with pytest.raises(ValueError, match="position=10 is beyond the 9 elements"):
        data.iterate({"epoch": 0, "position": 10})
    with pytest.raises(ValueError, match="leave out"):
        data.iterate({"epoch": 0, "position": 0}, epoch=1)
    assert data.iterate().state()["epoch"] == 1  # refused calls change nothing


STEPS: dict[str, Callable[[Dataset, int], Dataset]] = {
    "shuffle": lambda d, n: d.shuffle(n + 1, n),
    "whole shuffle": lambda d, n: d.shuffle(None, n),
    "take": lambda d, n: d.take(3 * n),
    "skip": lambda d, n: d.skip(n),
    "repeat": lambda d, n: d.repeat(n),
    "endless": lambda d, n: d.repeat().take(4 * n),
    "map": lambda d, n: d.map(lambda x: x * 2 + n),
    "threads": lambda d, n: d.map(lambda x: x * 2 + n, workers=n),
    "noise": lambda d, n: d.map(lambda x, rng: x + rng.integers(9), seed=n),
    "filter": lambda d, n: d.filter(lambda x: x % 3 != n),
    "batches": lambda d, n: d.batch(n + 1, drop_remainder=n % 2 == 1).unbatch(),
    "cache": lambda d, n: d.cache(),
    "zip": lambda d, n: d.zip(d.skip(n)).map(lambda x, y: x - y),
    "enumerate": lambda d, n: d.enumerate(n).map(lambda i, x: i * x),
    "interleave": lambda d, n: d.interleave(lambda x: [x] * (n + 1), 3, 2),
    "prefetch": lambda d, n: d.prefetch(n + 1),
}


@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 3)), max_size=5),
    st.integers(0, 30),
)
def test_any_chain_of_methods_can_be_continued(
    fused: bool, chain: list[tuple[str, int]], stop: int
) -> None:
    def make() -> Dataset:
        numbers = np.arange(7)
        data = Dataset.from_arrays(numbers) if fused else Dataset.from_generator(lambda: numbers)
        for name, number in chain:
            data = STEPS[name](data, number)
        return data

    data = make()
    try:
        epochs = [all_of(data) for _ in range(3)]
    except ValueError as error:
        if "endless repetition of no elements" not in str(error):
            raise
        return
    assert data.cardinality() in (None, len(epochs[0]))
    iteration = make().iterate(epoch=1)
    seen = [plain(element) for element, _ in zip(iteration, range(stop))]
    state = iteration.state()
    iteration.close()
    continued = make()
    assert seen == epochs[1][:stop]
    assert all_of(continued.iterate(state)) == epochs[1][state["position"] :]
    assert all_of(continued) == epochs[2]
